/* The scene: looked at, changed, loaded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "client.h"
#include "command.h"
#include "common/fd.h"
#include "json.h"
#include "scene_table.h"
#include "text.h"

/* A text with line ends grows on its way, and a request is 64 KiB at most. */
#define FILE_MAX 60000

/* ---- asking ---- */

static int ask(const struct bn_ctl_options *o, struct json_object *request,
	struct json_object **answer)
{
	int sock = bn_ctl_open(o->socket);
	*answer = NULL;
	if (sock < 0) {
		json_object_put(request);
		return sock;
	}
	int ret = bn_ctl_send(sock, request);
	if (ret == 0)
		ret = bn_ctl_receive(sock, BN_CTL_ANSWER_MS, answer, NULL);
	bn_fd_close(&sock);
	json_object_put(request);
	if (ret < 0)
		bn_ctl_complain(ret);
	return ret;
}

/* Everything that is wrong, each in a line: with the file and the line in it where there are. */
static void print_faults(struct json_object *faults, unsigned n, const char *file)
{
	for (unsigned i = 0; i < n; i++) {
		struct json_object *f = json_object_array_get_idx(faults, i);
		unsigned long long line = bn_json_count(f, "line");
		if (!file)
			fputs("binnaclectl: ", stderr);
		else if (line)
			fprintf(stderr, "%s:%llu: ", file, line);
		else
			fprintf(stderr, "%s: ", file);
		bn_text_print(stderr, bn_json_text(f, "text"));
		fputc('\n', stderr);
	}
	fputs("binnaclectl: the scene stays as it is\n", stderr);
}

/* Takes the request over. file: NULL where no file is meant. */
static int order(const struct bn_ctl_options *o, struct json_object *request, const char *file)
{
	struct json_object *answer, *faults;
	unsigned n;
	int ret = ask(o, request, &answer);
	if (ret == 0 && o->given & BN_OPTION_JSON) {
		bn_ctl_print_json(answer);
		ret = bn_json_bool(answer, "ok") ? 0 : 1;
	} else if (ret == 0 && !bn_json_bool(answer, "ok")) {
		faults = bn_json_array(answer, "faults", &n);
		ret = 1;
		if (n > 0)
			print_faults(faults, n, file);
		else
			bn_ctl_check(answer);
	}
	json_object_put(answer);
	return ret == 0 ? 0 : 1;
}

static int show(const struct bn_ctl_options *o)
{
	struct json_object *answer;
	int ret = bn_ctl_request(o, bn_json_request("scene"), &answer);
	if (ret == 0 && o->given & BN_OPTION_JSON) {
		ret = bn_ctl_print_json(answer);
	} else if (ret == 0) {
		bn_ctl_print_scene(stdout, answer);
		ret = fflush(stdout) == 0 ? 0 : 1;
	}
	json_object_put(answer);
	return ret;
}

/* ---- changes ----
 * ACTION [+ ACTION...], where ACTION is set|add LAYER KEY=VALUE... [LAYER KEY=VALUE...]... or remove
 * LAYER...: a word without = names a layer, and those with one are for the layer before. */

struct changes {
	struct json_object *list;
	const char *action;
	struct json_object *set; /* of the layer that was named last; NULL: none was */
};

static bool wrong(const char *fmt, const char *word)
{
	fputs("binnaclectl: ", stderr);
	fprintf(stderr, fmt, word);
	fputc('\n', stderr);
	return false;
}

static void begin_layer(struct changes *c, const char *name)
{
	struct json_object *change = json_object_new_object();
	bn_json_add_text(change, "do", c->action);
	bn_json_add_text(change, "layer", name);
	c->set = json_object_new_object();
	json_object_object_add(change, "set", c->set);
	json_object_array_add(c->list, change);
}

static bool take_key(struct changes *c, const char *word, const char *equals)
{
	char key[64];
	size_t len = (size_t)(equals - word);
	if (!c->set)
		return wrong("'%s': a layer's name is expected before it", word);
	if (strcmp(c->action, "remove") == 0)
		return wrong("'%s': remove takes names of layers alone", word);
	if (len == 0 || len >= sizeof(key))
		return wrong("'%s': KEY=VALUE is expected", word);
	memcpy(key, word, len);
	key[len] = '\0';
	bn_json_add_text(c->set, key, equals + 1);
	return true;
}

/* Nothing half said: a layer with keys where they are due. */
static bool is_complete(const struct changes *c)
{
	if (!c->action)
		return wrong("%s: set, add or remove is expected", "scene");
	if (!c->set)
		return wrong("scene %s: a layer's name is expected", c->action);
	return strcmp(c->action, "remove") == 0 || json_object_object_length(c->set) > 0 ||
	       wrong("scene %s LAYER: KEY=VALUE is expected", c->action);
}

static bool take_word(struct changes *c, const char *word)
{
	const char *equals = strchr(word, '=');
	if (strcmp(word, "--") == 0)
		return true;
	if (strcmp(word, "+") == 0) {
		bool complete = is_complete(c);
		c->action = NULL;
		c->set = NULL;
		return complete;
	}
	if (!c->action) {
		c->action = word;
		return strcmp(word, "set") == 0 || strcmp(word, "add") == 0 ||
		       strcmp(word, "remove") == 0 ||
		       wrong("'%s': set, add, remove, load or reset is expected", word);
	}
	if (equals)
		return take_key(c, word, equals);
	if (c->set && !is_complete(c))
		return false;
	begin_layer(c, word);
	return true;
}

static int change(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct changes c = {.list = json_object_new_array()};
	bool good = true;
	for (int i = 1; good && i < argc; i++)
		good = take_word(&c, argv[i]);
	if (!good || !is_complete(&c)) {
		json_object_put(c.list);
		return bn_ctl_bad_usage();
	}
	struct json_object *request = bn_json_request("scene");
	json_object_object_add(request, "changes", c.list);
	return order(o, request, NULL);
}

/* ---- files ---- */

/* At most FILE_MAX bytes, the caller's to free; NULL, said why. */
static char *read_file(const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = file ? malloc(FILE_MAX + 2) : NULL;
	int err = file ? 0 : errno;
	size_t len = text ? fread(text, 1, FILE_MAX + 1, file) : 0;
	if (file && ferror(file))
		err = errno ? errno : EIO;
	if (file && file != stdin)
		fclose(file);
	if (!text || err) {
		fprintf(stderr, "binnaclectl: %s: %s\n", path, strerror(err ? err : ENOMEM));
	} else if (len > FILE_MAX) {
		fprintf(stderr, "binnaclectl: %s: too long; at most %d bytes are expected\n", path,
			FILE_MAX);
	} else if (memchr(text, '\0', len)) {
		fprintf(stderr, "binnaclectl: %s: no text; an INI file is expected\n", path);
	} else {
		text[len] = '\0';
		return text;
	}
	free(text);
	return NULL;
}

static int load(const struct bn_ctl_options *o, const char *path)
{
	char *text = read_file(path);
	if (!text)
		return 1;
	struct json_object *request = bn_json_request("scene");
	bn_json_add_text(request, "load", text);
	free(text);
	return order(o, request, strcmp(path, "-") == 0 ? "stdin" : path);
}

int bn_cmd_scene(const struct bn_ctl_options *o, int argc, char **argv)
{
	if (argc == 1)
		return show(o);
	if (argc == 3 && strcmp(argv[1], "load") == 0)
		return load(o, argv[2]);
	if (argc == 2 && strcmp(argv[1], "reset") == 0) {
		struct json_object *request = bn_json_request("scene");
		json_object_object_add(request, "reset", json_object_new_boolean(true));
		return order(o, request, NULL);
	}
	return change(o, argc, argv);
}
