/* Safety content: what is watched, and how it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "command.h"
#include "json.h"
#include "text.h"

static void print_watch(FILE *out, struct json_object *w)
{
	char since[BN_TEXT_NUMBER], worst[BN_TEXT_NUMBER], source[32];
	const char *last = bn_json_text(w, "last_fault");
	/* "layer*": what lies below the fallback. */
	snprintf(source, sizeof(source), "%.16s%s", bn_json_text(w, "source"),
		bn_json_bool(w, "covered") ? "*" : "");
	fprintf(out, "%-16.31s %-16.31s %-28.60s %-8.12s %-10.20s %-10.12s %6llu %6s %s%s%s\n",
		bn_json_text(w, "name"), bn_json_text(w, "layer"), bn_json_text(w, "rule"),
		bn_json_text(w, "state"), source[0] ? source : "-",
		strcmp(last, "ok") == 0 ? "-" : last,
		(unsigned long long)bn_json_count(w, "failures"),
		bn_json_count(w, "reactions")
			? bn_text_number(worst, bn_json_number(w, "reaction_max_ms"), 6, 1)
			: "-",
		bn_text_duration(since, bn_json_number(w, "since_ms") / 1000),
		bn_json_text(w, "reason")[0] ? "  paused: " : "", bn_json_text(w, "reason"));
}

static void print_boot(FILE *out, struct json_object *b)
{
	char after[BN_TEXT_NUMBER];
	fprintf(out, "output %.31s: boot picture %s, first shown after %s ms\n",
		bn_json_text(b, "output"), bn_json_bool(b, "shown") ? "shown" : "done with",
		bn_json_count(b, "first_ns")
			? bn_text_number(after, bn_json_number(b, "after_ms"), 8, 1)
			: "-");
}

static void print_all(FILE *out, struct json_object *answer)
{
	unsigned watches, boots;
	struct json_object *list = bn_json_array(answer, "watches", &watches);
	if (watches == 0)
		fputs("nothing is watched ([watch NAME] in binnacle.ini(5))\n", out);
	else
		fprintf(out, "%-16s %-16s %-28s %-8s %-10s %-10s %6s %6s %s\n", "WATCH", "LAYER",
			"RULE", "STATE", "SOURCE", "LAST FAULT", "FAULTS", "MAX ms", "SINCE");
	for (unsigned i = 0; i < watches; i++)
		print_watch(out, json_object_array_get_idx(list, i));
	list = bn_json_array(answer, "boot", &boots);
	for (unsigned i = 0; i < boots; i++)
		print_boot(out, json_object_array_get_idx(list, i));
}

static int print_answer(struct json_object *answer)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	if (!memory)
		return 1;
	print_all(memory, answer);
	if (fclose(memory) == 0 && text)
		bn_text_print(stdout, text);
	free(text);
	return fflush(stdout) == 0 ? 0 : 1;
}

int bn_cmd_watchdog(const struct bn_ctl_options *o, int argc, char **argv)
{
	struct json_object *answer, *request = bn_json_request("watchdog");
	if (argc == 3 && strcmp(argv[2], "reset") == 0) {
		bn_json_add_text(request, "reset", argv[1]);
		return bn_ctl_order(o, request);
	}
	if (argc != 1) {
		json_object_put(request);
		return bn_ctl_bad_usage();
	}
	int ret = bn_ctl_request(o, request, &answer);
	if (ret == 0)
		ret = o->given & BN_OPTION_JSON ? bn_ctl_print_json(answer) : print_answer(answer);
	json_object_put(answer);
	return ret;
}
