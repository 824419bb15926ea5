/* What the control socket's commands have in common. */
#include "control_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/fd.h"
#include "json_add.h"
#include "service.h"

struct json_object *bn_control_success(void)
{
	struct json_object *answer = json_object_new_object();
	bn_json_add_bool(answer, "ok", true);
	return answer;
}

struct json_object *bn_control_failure(const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	struct json_object *answer = json_object_new_object();
	bn_json_add_bool(answer, "ok", false);
	bn_json_add_text(answer, "error", text);
	return answer;
}

const char *bn_control_text(struct json_object *request, const char *key)
{
	struct json_object *value;
	if (!json_object_object_get_ex(request, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

int bn_control_vm(
	struct bn_control *control, struct json_object *request, struct json_object **error)
{
	const struct bn_settings *settings = control->service->settings;
	const char *name = bn_control_text(request, "vm");
	char names[512] = "";
	size_t len = 0;
	for (size_t i = 0; i < settings->num_vms; i++) {
		if (name && strcmp(settings->vms[i].name, name) == 0)
			return (int)i;
		if (len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
				i ? ", " : "", settings->vms[i].name);
	}
	*error = bn_control_failure("there is no vm '%s'; vms are: %s", name ? name : "", names);
	return -1;
}

int bn_control_seal(int fd)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

int bn_control_memfd(const char *name, const void *data, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int ret = 0;
	for (size_t done = 0; done < size && ret == 0;) {
		ssize_t n = write(fd, (const char *)data + done, size - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			ret = n == 0 ? -EIO : -errno;
	}
	if (ret == 0)
		ret = bn_control_seal(fd);
	if (ret < 0) {
		bn_fd_close(&fd);
		return ret;
	}
	return fd;
}
