/* The command that a watch runs when it fails and when it is live again: without a shell, detached,
 * one at a time. */
#ifndef BN_DAEMON_WATCHDOG_HOOK_H
#define BN_DAEMON_WATCHDOG_HOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct wl_event_loop;
struct wl_event_source;

/* What the command finds in its environment, besides PATH. */
struct bn_watch_hook_facts {
	/* All to outlive the hook. */
	const char *watch, *layer, *output; /* BINNACLE_WATCH, BINNACLE_LAYER, BINNACLE_OUTPUT */
	const char *state;                  /* BINNACLE_STATE: fallback, fault or live */
	const char *fault;                  /* BINNACLE_FAULT: wrong, missing and so on */
};

struct bn_watch_hook {
	struct wl_event_loop *loop;
	const char *command;
	pid_t pid; /* 0: none runs */
	int pidfd;
	struct wl_event_source *source, *timer;
	uint64_t last_ns; /* when it was started last */
	bool wanted;      /* … for these facts, as soon as it may be */
	struct bn_watch_hook_facts facts;
	unsigned skipped; /* BINNACLE_SKIPPED of the next one */
	uint64_t runs;
	unsigned long failures;
};

/* Whether the words of it can be run: an absolute path that may be executed, at most 15
 * arguments, blanks between words, "…" around words with blanks. *why: what is the matter and
 * what is expected (constant). */
bool bn_watch_hook_check(const char *command, const char **why);

/* command "": runs nothing. It and the loop must outlive it. */
void bn_watch_hook_init(
	struct bn_watch_hook *hook, struct wl_event_loop *loop, const char *command);
/* A command that runs is left alone. */
void bn_watch_hook_finish(struct bn_watch_hook *hook);
/* Starts the command, but not within a second of the one before, nor while that runs: then it is
 * started afterwards for the newest facts, and told how many others were skipped. Never waits. */
void bn_watch_hook_run(struct bn_watch_hook *hook, const struct bn_watch_hook_facts *facts);

#endif
