/* What the control socket's commands do. */
#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <json-c/json.h>

#include "common/config.h"
#include "common/fd.h"
#include "common/log.h"
#include "service.h"
#include "status.h"

static struct json_object *success(void)
{
	struct json_object *answer = json_object_new_object();
	json_object_object_add(answer, "ok", json_object_new_boolean(true));
	return answer;
}

__attribute__((format(printf, 1, 2))) static struct json_object *failure(const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	struct json_object *answer = json_object_new_object();
	json_object_object_add(answer, "ok", json_object_new_boolean(false));
	json_object_object_add(answer, "error", json_object_new_string(text));
	return answer;
}

/* The string behind key, or NULL. */
static const char *text_of(struct json_object *request, const char *key)
{
	struct json_object *value;
	if (!json_object_object_get_ex(request, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static struct bn_display *display_of(
	struct bn_service *service, struct json_object *request, struct json_object **error)
{
	const char *name = text_of(request, "output");
	struct bn_display *d = name ? bn_displays_find(&service->displays, name) : NULL;
	char names[256] = "";
	size_t len = 0;
	if (d)
		return d;
	for (size_t i = 0; i < service->displays.count && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
			bn_display_name(&service->displays.display[i]));
	*error = failure("there is no output '%s'; outputs are: %s", name ? name : "",
		names[0] ? names : "none");
	return NULL;
}

static struct json_object *do_status(
	struct bn_service *service, struct json_object *request, int *fd)
{
	struct json_object *answer = bn_status_json(service);
	json_object_object_add(answer, "ok", json_object_new_boolean(true));
	return answer;
}

/* A memfd with the pixels, sealed for good: the reader may map it without fear. */
static int picture_memfd(const uint32_t *pixels, size_t size)
{
	int fd = bn_memfd_create("binnacle-screenshot", size);
	if (fd < 0)
		return fd;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		int err = -errno;
		bn_fd_close(&fd);
		return err;
	}
	memcpy(map, pixels, size);
	munmap(map, size);
	return fd;
}

static struct json_object *do_screenshot(
	struct bn_service *service, struct json_object *request, int *fd)
{
	struct json_object *answer = NULL;
	const struct bn_display *d = display_of(service, request, &answer);
	if (!d)
		return answer;
	uint32_t *pixels = NULL, width, height;
	int ret = bn_output_capture(d->output, &pixels, &width, &height);
	if (ret == -ENOTSUP)
		return failure(
			"output %s shows GPU memory that a CPU cannot read", bn_display_name(d));
	if (ret == -EAGAIN)
		return failure("a guest draws into what output %s shows; try again",
			bn_display_name(d));
	if (ret == 0) {
		*fd = picture_memfd(pixels, (size_t)width * height * 4);
		ret = *fd < 0 ? *fd : 0;
	}
	free(pixels);
	if (ret < 0)
		return failure("%s", strerror(-ret));
	answer = success();
	json_object_object_add(answer, "width", json_object_new_int64(width));
	json_object_object_add(answer, "height", json_object_new_int64(height));
	json_object_object_add(answer, "stride", json_object_new_int64((int64_t)width * 4));
	json_object_object_add(answer, "format", json_object_new_string("XR24"));
	return answer;
}

static struct json_object *do_output(
	struct bn_service *service, struct json_object *request, int *fd)
{
	struct json_object *answer = NULL, *enabled = NULL;
	struct bn_display *d = display_of(service, request, &answer);
	if (!d)
		return answer;
	const char *mode = text_of(request, "mode");
	bool has_enabled = json_object_object_get_ex(request, "enabled", &enabled);
	if (!mode && !has_enabled)
		return failure("\"mode\" or \"enabled\" is expected");
	if (has_enabled && !json_object_is_type(enabled, json_type_boolean))
		return failure("\"enabled\" takes true or false");
	if (mode) {
		unsigned width, height, refresh = bn_output_config(d->output)->refresh_mhz;
		if (!bn_config_mode(mode, &width, &height, &refresh))
			return failure("'%s' is no mode; WIDTHxHEIGHT[@HZ] is expected", mode);
		int ret = bn_display_set_mode(d, width, height, refresh);
		if (ret < 0)
			return failure("output %s cannot take %s: %s", bn_display_name(d), mode,
				strerror(-ret));
	}
	if (has_enabled)
		bn_display_set_enabled(d, json_object_get_boolean(enabled));
	return success();
}

static struct json_object *do_quit(struct bn_service *service, struct json_object *request, int *fd)
{
	bn_info("stopping on request");
	service->quit = true;
	return success();
}

static const struct {
	const char *name;
	struct json_object *(*run)(
		struct bn_service *service, struct json_object *request, int *fd);
} commands[] = {
	{"status", do_status},
	{"screenshot", do_screenshot},
	{"output", do_output},
	{"quit", do_quit},
};

struct json_object *bn_control_answer(struct bn_service *service, const char *text, int *fd)
{
	*fd = -1;
	struct json_object *request = json_tokener_parse(text);
	if (!json_object_is_type(request, json_type_object)) {
		json_object_put(request);
		return failure("a JSON object is expected");
	}
	const char *command = text_of(request, "command");
	struct json_object *answer = NULL;
	for (size_t i = 0; command && !answer && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(command, commands[i].name) == 0)
			answer = commands[i].run(service, request, fd);
	}
	if (!answer)
		answer = failure(
			"'%s' is no command; status, screenshot, output or quit is expected",
			command ? command : "");
	json_object_put(request);
	return answer;
}
