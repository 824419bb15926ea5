#include "shader_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "sandbox/sandbox.h"

static int open_folder(int at, const char *path, unsigned mode, int flags)
{
	bool made = mkdirat(at, path, mode) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	if (fd < 0)
		return -errno;
	if (made && fchmod(fd, mode) < 0) { /* what the umask took */
		int err = -errno;
		bn_fd_close(&fd);
		return err;
	}
	return fd;
}

static int give_to_renderer(int fd)
{
	uid_t uid;
	gid_t gid;
	struct stat st;
	bn_sandbox_ids(&uid, &gid);
	if (fstat(fd, &st) < 0)
		return -errno;
	/* What somebody else put there would be run on the GPU in this VM's name. */
	if (st.st_uid != uid && st.st_uid != geteuid())
		return -EPERM;
	if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) < 0)
		return -errno;
	return fchmod(fd, 0700) < 0 ? -errno : 0;
}

int bn_shader_cache_make(char out[BN_SHADER_CACHE_PATH_MAX], const char *dir, const char *vm)
{
	int n = snprintf(out, BN_SHADER_CACHE_PATH_MAX, "%s/%s", dir, vm);
	if (n < 0 || n >= BN_SHADER_CACHE_PATH_MAX)
		return -ENAMETOOLONG;
	/* The renderer's id may go through it, not look around. */
	int parent = open_folder(AT_FDCWD, dir, 0711, 0);
	if (parent < 0)
		return parent;
	int fd = open_folder(parent, vm, 0700, O_NOFOLLOW);
	bn_fd_close(&parent);
	if (fd < 0)
		return fd;
	int ret = give_to_renderer(fd);
	bn_fd_close(&fd);
	return ret;
}
