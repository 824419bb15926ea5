#include "preemption.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* kernel/sched/debug.c: the model at work stands in parentheses. */
static bool selected(const char *model, char out[16])
{
	const char *open = strchr(model, '('), *close = open ? strchr(open, ')') : NULL;
	if (!close || close - open > 15)
		return false;
	memcpy(out, open + 1, (size_t)(close - open - 1));
	out[close - open - 1] = '\0';
	return true;
}

bool bn_preemption_parse(const char *model, const char *version, char *text, size_t size)
{
	char name[16];
	if (strstr(version, "PREEMPT_RT")) {
		snprintf(text, size, "PREEMPT_RT");
		return true;
	}
	if (model && selected(model, name)) {
		bool full = strcmp(name, "full") == 0;
		snprintf(text, size, "%s%s", name,
			full ? "" : ": others' system calls delay real-time threads; boot with preempt=full");
		return full;
	}
	if (strstr(version, "PREEMPT_DYNAMIC")) {
		snprintf(text, size,
			"unknown (/sys/kernel/debug/sched/preempt cannot be read); boot with preempt=full");
		return false;
	}
	bool full = strstr(version, "PREEMPT") != NULL;
	snprintf(text, size, "%s", full ? "full"
					: "none: others' system calls delay real-time threads; a "
					  "kernel with CONFIG_PREEMPT is expected");
	return full;
}

bool bn_preemption(char *text, size_t size)
{
	char model[128];
	struct utsname name;
	FILE *file = fopen("/sys/kernel/debug/sched/preempt", "re");
	bool read = file && fgets(model, sizeof(model), file);
	if (file)
		fclose(file);
	if (uname(&name) < 0)
		name.version[0] = '\0';
	return bn_preemption_parse(read ? model : NULL, name.version, text, size);
}
