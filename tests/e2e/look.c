/* Looking at the running service from outside: status fields, pictures, /proc. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

static struct json_object *find_vm(struct json_object *status, const char *name)
{
	struct json_object *vms, *field;
	if (!status || !json_object_object_get_ex(status, "vms", &vms))
		return NULL;
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);
		if (json_object_object_get_ex(vm, "name", &field) &&
			strcmp(json_object_get_string(field), name) == 0)
			return vm;
	}
	return NULL;
}

static struct json_object *descend(struct json_object *at, const char *path)
{
	char key[64];
	while (at && *path) {
		size_t len = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		path += len + (path[len] == '.');
		if (json_object_is_type(at, json_type_array))
			at = json_object_array_get_idx(at, (size_t)atoi(key));
		else if (!json_object_object_get_ex(at, key, &at))
			at = NULL;
	}
	return at;
}

int64_t e2e_vm_int(struct e2e *e, const char *vm, const char *path)
{
	struct json_object *status = e2e_control(e, "{\"command\":\"status\"}", NULL);
	struct json_object *field = descend(find_vm(status, vm), path);
	int64_t value = field ? json_object_get_int64(field) : -1;
	json_object_put(status);
	return value;
}

static bool wait_field(struct e2e *e, const char *vm, const char *path, int64_t value, bool exact)
{
	uint64_t end = tg_now_ns() + TG_DEADLINE_S * 1000000000ull;
	int64_t now = -1;
	while (tg_now_ns() < end) {
		now = e2e_vm_int(e, vm, path);
		if (exact ? now == value : now >= value)
			return true;
		e2e_sleep_ms(10);
	}
	fprintf(stderr, "\n%s of VM %s is %lld, waited for %lld\n", path, vm, (long long)now,
		(long long)value);
	return false;
}

bool e2e_vm_wait(struct e2e *e, const char *vm, const char *path, int64_t value)
{
	return wait_field(e, vm, path, value, false);
}

bool e2e_vm_wait_is(struct e2e *e, const char *vm, const char *path, int64_t value)
{
	return wait_field(e, vm, path, value, true);
}

const char *e2e_socket(struct e2e *e, const char *vm)
{
	static char path[E2E_PATH];
	snprintf(path, sizeof(path), "%s/run/%s.sock", e->dir, vm);
	return path;
}

static uint32_t field_u32(struct json_object *o, const char *key)
{
	struct json_object *field;
	return json_object_object_get_ex(o, key, &field) ? (uint32_t)json_object_get_int64(field)
							 : 0;
}

/* The picture of an answer to "screenshot"; NULL, and said, when there is none. */
static uint32_t *take_picture(
	struct json_object *answer, int fd, uint32_t *width, uint32_t *height, bool quiet)
{
	*width = field_u32(answer, "width");
	*height = field_u32(answer, "height");
	uint32_t stride = field_u32(answer, "stride");
	if (fd < 0 || !*width || !*height || stride < *width * 4) {
		if (!quiet)
			fprintf(stderr, "\nscreenshot: %s\n",
				json_object_to_json_string(answer));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	uint32_t *pixels = malloc((size_t)*width * *height * 4);
	for (uint32_t y = 0; pixels && y < *height; y++) {
		uint32_t *row = pixels + (size_t)y * *width;
		if (pread(fd, row, *width * 4, (off_t)y * stride) != (ssize_t)*width * 4)
			memset(row, 0x55, *width * 4);
		for (uint32_t x = 0; x < *width; x++)
			row[x] &= 0xffffffu;
	}
	close(fd);
	return pixels;
}

uint32_t *e2e_screenshot(struct e2e *e, const char *output, uint32_t *width, uint32_t *height)
{
	char request[128];
	snprintf(
		request, sizeof(request), "{\"command\":\"screenshot\",\"output\":\"%s\"}", output);
	int fd;
	struct json_object *answer = e2e_control(e, request, &fd);
	uint32_t *pixels = take_picture(answer, fd, width, height, false);
	json_object_put(answer);
	return pixels;
}

uint32_t *e2e_scanout(struct e2e *e, const char *output, uint32_t *width, uint32_t *height,
	char source[16], uint64_t *shown_ns)
{
	char request[128];
	snprintf(request, sizeof(request),
		"{\"command\":\"screenshot\",\"output\":\"%s\",\"scanout\":true}", output);
	int fd;
	struct json_object *answer = e2e_control(e, request, &fd), *value;
	uint32_t *pixels = take_picture(answer, fd, width, height, true);
	source[0] = '\0';
	*shown_ns = 0;
	if (json_object_object_get_ex(answer, "source", &value))
		snprintf(source, 16, "%s", json_object_get_string(value));
	if (json_object_object_get_ex(answer, "shown_ns", &value))
		*shown_ns = (uint64_t)json_object_get_int64(value);
	json_object_put(answer);
	return pixels;
}

uint32_t e2e_differences(struct e2e *e, const char *output, const uint32_t *want, uint32_t x,
	uint32_t y, uint32_t w, uint32_t h)
{
	uint32_t width, height, count = 0, first_x = 0, first_y = 0;
	uint32_t *shot = e2e_screenshot(e, output, &width, &height);
	if (!shot || x + w > width || y + h > height) {
		free(shot);
		return w * h;
	}
	for (uint32_t row = 0; row < h; row++) {
		for (uint32_t col = 0; col < w; col++) {
			uint32_t is = shot[(size_t)(y + row) * width + x + col];
			if (is == (want[(size_t)row * w + col] & 0xffffffu))
				continue;
			if (!count++) {
				first_x = col;
				first_y = row;
			}
		}
	}
	if (count)
		fprintf(stderr,
			"\n%s: %u of %u pixels differ, first at %u,%u: 0x%06x, expected 0x%06x\n",
			output, count, w * h, first_x, first_y,
			shot[(size_t)(y + first_y) * width + x + first_x],
			want[(size_t)first_y * w + first_x] & 0xffffffu);
	free(shot);
	return count;
}

static unsigned count_entries(const char *path)
{
	unsigned n = 0;
	DIR *d = opendir(path);
	for (struct dirent *entry; d && (entry = readdir(d));)
		n += entry->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

int e2e_fd_count(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	return access(path, R_OK) == 0 ? (int)count_entries(path) : -1;
}

static int64_t file_field(const char *path, const char *field)
{
	char line[256];
	int64_t value = -1;
	size_t len = strlen(field);
	FILE *f = fopen(path, "r");
	while (f && value < 0 && fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, len) == 0 && line[len] == ':')
			value = strtoll(line + len + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return value;
}

int64_t e2e_wakeups(pid_t pid)
{
	char path[300];
	int64_t sum = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	for (struct dirent *entry; d && (entry = readdir(d));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, entry->d_name);
		sum += file_field(path, "voluntary_ctxt_switches");
	}
	if (!d)
		return -1;
	closedir(d);
	return sum;
}

int64_t e2e_memory_kb(pid_t pid, const char *field)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	return file_field(path, field);
}

unsigned e2e_descendants(pid_t pid, pid_t *out, unsigned max)
{
	unsigned n = 0;
	DIR *d = opendir("/proc");
	for (struct dirent *entry; d && n < max && (entry = readdir(d));) {
		char path[300];
		pid_t child = atoi(entry->d_name);
		if (child <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
		if (file_field(path, "PPid") != pid)
			continue;
		out[n++] = child;
		n += e2e_descendants(child, out + n, max - n);
	}
	if (d)
		closedir(d);
	return n;
}
