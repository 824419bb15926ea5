/* The renderer's root: a tmpfs with read-only views of the libraries, the few devices that a driver
 * may open, and its shader cache. No /proc, no /etc but the loader's and Mesa's files, no /home. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/log.h"

#include "sandbox_priv.h"

#define DRM_MAJOR 226u
#define DRM_RENDER_FIRST 128u
#define FD_SCAN_MAX 256

/* What the loader, Mesa, LLVM and GL vendor dispatch read. Missing ones are passed over. */
static const char *const libraries[] = {
	"/usr/lib",
	"/usr/lib32",
	"/usr/lib64",
	"/usr/libx32",
	"/usr/local/lib",
	"/lib",
	"/lib32",
	"/lib64",
	"/libx32",
	"/usr/share/drirc.d",
	"/usr/share/glvnd",
	"/usr/share/libdrm",
	"/usr/share/vulkan",
	"/etc/ld.so.cache",
	"/etc/glvnd",
	"/etc/drirc",
	"/etc/vulkan",
	/* How many processors there are: llvmpipe makes a thread for each. */
	"/sys/devices/system/cpu",
};
static const char *const devices[] = {"/dev/null", "/dev/urandom", "/dev/udmabuf"};

/* Where the new root is put together; some folder that every system has. Nothing is looked for
 * below it afterwards, except what is reached through an fd. */
static const char *const places[] = {"/mnt", "/media", "/srv", "/opt", "/var/tmp", "/tmp"};

static int mkdirs(char *path, size_t from)
{
	for (char *p = path + from + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		int ret = mkdir(path, 0755);
		*p = '/';
		if (ret < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* Older kernels: only the mount itself, and flags that came with it must be kept, as a user
 * namespace may not drop them. */
static int remount(const char *path, unsigned long flags)
{
	static const struct {
		unsigned long st, ms;
	} kept[] = {
		{ST_NODEV, MS_NODEV},
		{ST_NOSUID, MS_NOSUID},
		{ST_NOEXEC, MS_NOEXEC},
		{ST_NOATIME, MS_NOATIME},
		{ST_NODIRATIME, MS_NODIRATIME},
		{ST_RELATIME, MS_RELATIME},
		{ST_RDONLY, MS_RDONLY},
	};
	struct statvfs st;
	if (statvfs(path, &st) < 0)
		return -errno;
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (st.f_flag & kept[i].st)
			flags |= kept[i].ms;
	}
	return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0 ? -errno : 0;
}

/* attributes: MOUNT_ATTR_*. Everything mounted below is covered, where the kernel can (5.12). */
static int restrict_mount(const char *path, uint64_t attributes)
{
	struct mount_attr attr = {.attr_set = attributes};
	if (syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)) == 0)
		return 0;
	if (errno != ENOSYS)
		return -errno;
	unsigned long flags = 0;
	flags |= attributes & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0;
	flags |= attributes & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0;
	flags |= attributes & MOUNT_ATTR_NODEV ? MS_NODEV : 0;
	flags |= attributes & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0;
	return remount(path, flags);
}

static int make_target(const char *path, bool folder)
{
	if (folder)
		return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int bind_to(
	const char *source, char *target, size_t root_len, bool folder, uint64_t attributes)
{
	int ret = mkdirs(target, root_len);
	if (ret == 0)
		ret = make_target(target, folder);
	if (ret < 0)
		return ret;
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	return restrict_mount(target, attributes);
}

static int copy_link(const char *path, char *target, size_t root_len)
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return -errno;
	to[n] = '\0';
	int ret = mkdirs(target, root_len);
	if (ret < 0)
		return ret;
	return symlink(to, target) < 0 && errno != EEXIST ? -errno : 0;
}

/* The same path inside, read-only. What is not there outside is not there inside. */
static int show(const char *root, const char *path, uint64_t attributes)
{
	struct stat st;
	char target[PATH_MAX];
	if (lstat(path, &st) < 0)
		return 0;
	snprintf(target, sizeof(target), "%s%s", root, path);
	int ret;
	if (S_ISLNK(st.st_mode))
		ret = copy_link(path, target, strlen(root));
	else
		ret = bind_to(path, target, strlen(root), S_ISDIR(st.st_mode), attributes);
	if (ret < 0)
		bn_error("sandbox: showing %s inside: %s", path, strerror(-ret));
	return ret;
}

static int show_all(const char *root)
{
	const uint64_t library = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	const uint64_t device = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	for (unsigned i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		int ret = show(root, libraries[i], library);
		if (ret < 0)
			return ret;
	}
	for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		int ret = show(root, devices[i], device);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The render node that was handed to us is the one whose device we may see. */
static bool find_node(dev_t *node)
{
	for (int fd = 0; fd < FD_SCAN_MAX; fd++) {
		struct stat st;
		if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
			continue;
		if (major(st.st_rdev) == DRM_MAJOR && minor(st.st_rdev) >= DRM_RENDER_FIRST) {
			*node = st.st_rdev;
			return true;
		}
	}
	return false;
}

/* /dev/dri/renderD* and the device's own folder in /sys: libdrm finds the driver through
 * /sys/dev/char/MAJOR:MINOR/device. */
static int show_node(const char *root)
{
	dev_t node;
	char path[64], real[PATH_MAX], target[PATH_MAX];
	if (!find_node(&node)) {
		bn_warn("sandbox: a render node is to be used, but none was passed");
		return 0;
	}
	snprintf(path, sizeof(path), "/dev/dri/renderD%u", minor(node));
	int ret = show(root, path, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", major(node), minor(node));
	snprintf(target, sizeof(target), "%s%s", root, path);
	ret = copy_link(path, target, strlen(root));
	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device", major(node), minor(node));
	if (!realpath(path, real))
		return -errno;
	return show(root, real, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/* cache_fd: the VM's own folder, or -1. */
static int add_cache(const char *root, int cache_fd)
{
	char target[PATH_MAX], source[64];
	const uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	snprintf(target, sizeof(target), "%s" BN_SANDBOX_CACHE, root);
	if (mkdir(target, 0700) < 0)
		return -errno;
	if (cache_fd >= 0) {
		snprintf(source, sizeof(source), "/proc/self/fd/%d", cache_fd);
		if (mount(source, target, NULL, MS_BIND, NULL) == 0)
			return restrict_mount(target, attributes);
		bn_warn("sandbox: the shader cache stays in memory: %s", strerror(errno));
	}
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	const char *options = "mode=0700,size=64m,nr_inodes=16k";
	return mount("cache", target, "tmpfs", flags, options) < 0 ? -errno : 0;
}

static int move_in(const char *root)
{
	if (chdir(root) < 0)
		return -errno;
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		/* Both are stacked on "/" now, the old one below "." */
		if (umount2(".", MNT_DETACH) < 0)
			return -errno;
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) {
		/* An initramfs cannot be pivoted away from, but covered. */
		return -errno;
	}
	return chdir("/") < 0 ? -errno : 0;
}

static int fill_and_enter(const char *root, const struct bn_sandbox_config *config, int cache_fd)
{
	int ret = show_all(root);
	if (ret == 0 && config->render_node)
		ret = show_node(root);
	if (ret == 0)
		ret = add_cache(root, cache_fd);
	if (ret == 0)
		ret = move_in(root);
	if (ret == 0 && mount(NULL, "/", NULL,
				MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
				NULL) < 0)
		ret = -errno;
	if (ret < 0)
		bn_error("sandbox: making the renderer's root: %s", strerror(-ret));
	return ret;
}

static const char *find_place(void)
{
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stat st;
		if (lstat(places[i], &st) == 0 && S_ISDIR(st.st_mode))
			return places[i];
	}
	return NULL;
}

int bn_sandbox_root(const struct bn_sandbox_config *config)
{
	const char *place = find_place();
	if (!place)
		return -ENOENT;
	int cache_fd = -1;
	if (config->shader_cache) {
		/* Before the place is covered, under which it may lie. */
		cache_fd =
			open(config->shader_cache, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (cache_fd < 0)
			bn_warn("sandbox: shader cache %s: %s", config->shader_cache,
				strerror(errno));
	}
	int ret = 0;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("root", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0) {
		ret = errno == EPERM || errno == EACCES ? -EPERM : -errno;
	} else {
		ret = fill_and_enter(place, config, cache_fd);
		/* From here on nothing can be undone. */
		if (ret == -EPERM)
			ret = -EACCES;
	}
	if (cache_fd >= 0)
		close(cache_fd);
	return ret;
}
