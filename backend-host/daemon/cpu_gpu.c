/* Time at the GPU as the kernel counts it: /proc/PID/fdinfo, see the kernel's drm-usage-stats. */
#include "cpu_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"

#define CLIENTS_MAX 16u

static const char *after(const char *line, const char *key)
{
	size_t n = strlen(key);
	return strncmp(line, key, n) == 0 ? line + n : NULL;
}

uint64_t bn_cpu_fdinfo_time(const char *text, uint64_t *client)
{
	uint64_t sum = 0;
	*client = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *value = after(line, "drm-client-id:");
		if (value)
			*client = strtoull(value, NULL, 10);
		value = after(line, "drm-engine-");
		/* Not drm-engine-capacity-*, which is a count. */
		if (!value || after(value, "capacity-"))
			continue;
		size_t name = strcspn(value, ":\n");
		if (value[name] == ':')
			sum += strtoull(value + name + 1, NULL, 10);
	}
	return sum;
}

/* The same client may have several fds. */
static bool is_new(uint64_t client, uint64_t *clients, unsigned *count)
{
	for (unsigned i = 0; i < *count; i++) {
		if (clients[i] == client)
			return false;
	}
	if (*count < CLIENTS_MAX)
		clients[(*count)++] = client;
	return true;
}

uint64_t bn_cpu_process_gpu_time(const struct bn_cpu_process *p)
{
	char path[64], text[4096];
	uint64_t sum = 0, clients[CLIENTS_MAX], client;
	unsigned count = 0;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)p->member[0].pid);
	DIR *dir = opendir(path);
	if (!dir)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
		bn_fd_close(&fd);
		if (n <= 0)
			continue;
		text[n] = '\0';
		uint64_t ns = bn_cpu_fdinfo_time(text, &client);
		if (ns > 0 && is_new(client, clients, &count))
			sum += ns;
	}
	closedir(dir);
	return sum;
}
