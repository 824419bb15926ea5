/* Time at the GPU as the kernel counts it: /proc/PID/fdinfo, see the kernel's drm-usage-stats. */
#include "cpu_priv.h"

#include <fcntl.h>
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

struct usage {
	int dir;
	uint64_t sum, clients[CLIENTS_MAX];
	unsigned count;
};

/* The same client may have several fds. */
static bool is_new(struct usage *u, uint64_t client)
{
	for (unsigned i = 0; i < u->count; i++) {
		if (u->clients[i] == client)
			return false;
	}
	if (u->count < CLIENTS_MAX)
		u->clients[u->count++] = client;
	return true;
}

static int add_fd(void *data, const char *name)
{
	struct usage *u = data;
	char text[4096];
	int fd = openat(u->dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	bn_fd_close(&fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	uint64_t client, ns = bn_cpu_fdinfo_time(text, &client);
	if (ns > 0 && is_new(u, client))
		u->sum += ns;
	return 0;
}

uint64_t bn_cpu_process_gpu_time(const struct bn_cpu_process *p)
{
	struct usage usage = {.dir = p->member[0].fdinfo};
	if (usage.dir >= 0)
		bn_cpu_each_entry(usage.dir, add_fd, &usage);
	return usage.sum;
}
