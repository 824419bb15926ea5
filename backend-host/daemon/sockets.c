#include "sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"

int bn_make_runtime_dir(const char *path)
{
	struct stat st;
	/* Open to all: each socket has its own permissions, and QEMU may be another user. */
	if (mkdir(path, 0755) == 0)
		return 0;
	int err = errno;
	if (err == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	bn_error("the folder for sockets, %s: %s; make it, or name another with runtime-dir=", path,
		strerror(err));
	return -err;
}

int bn_listen(const char *path, int type, unsigned mode, const char *key)
{
	int fd = bn_unix_listen(path, type, mode);
	switch (fd < 0 ? -fd : 0) {
	case 0:
		break;
	case EADDRINUSE:
		bn_error("%s is in use by a running program; end that, or name another path with "
			 "%s=",
			path, key);
		break;
	case EEXIST:
		bn_error("%s exists and is no socket; move it away, or name another path with %s=",
			path, key);
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		bn_error("%s cannot be made: %s; make its folder writable for this user, or name "
			 "another path with %s=",
			path, strerror(-fd), key);
		break;
	case ENOENT:
		bn_error("%s cannot be made: its folder is missing; make it, or name another path "
			 "with %s=",
			path, key);
		break;
	default:
		bn_error("%s: %s", path, strerror(-fd));
	}
	return fd;
}
