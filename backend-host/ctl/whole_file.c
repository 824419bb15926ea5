#include "whole_file.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

int bn_ctl_write_whole(const char *path, int (*write)(FILE *file, void *data), void *data)
{
	char part[PATH_MAX];
	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	FILE *file = fopen(part, "wbe");
	if (!file)
		return -errno;
	int ret = write(file, data);
	if (fclose(file) != 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(part, path) < 0)
		ret = -errno;
	if (ret < 0)
		unlink(part);
	return ret;
}
