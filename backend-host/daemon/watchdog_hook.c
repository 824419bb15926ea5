#include "watchdog_hook.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "settings.h"

#define WORDS_MAX 16
#define GAP_NS BN_NS_PER_S
#define VARIABLE_MAX 96

struct words {
	char text[BN_SETTINGS_VALUE_MAX];
	char *word[WORDS_MAX + 1];
	unsigned count;
};

static const char *split(struct words *w, const char *command)
{
	char *to = w->text;
	w->count = 0;
	if (strlen(command) >= sizeof(w->text))
		return "it is too long; at most 180 bytes are expected";
	while (*(command += strspn(command, " \t"))) {
		bool quoted = false;
		if (w->count == WORDS_MAX)
			return "it has too many words; at most 15 arguments are expected";
		w->word[w->count++] = to;
		for (; *command && (quoted || (*command != ' ' && *command != '\t')); command++) {
			if (*command == '"')
				quoted = !quoted;
			else
				*to++ = *command;
		}
		if (quoted)
			return "a '\"' is missing; \"…\" around a word with blanks is expected";
		*to++ = '\0';
	}
	w->word[w->count] = NULL;
	return w->count ? NULL : "no command is there; an absolute path is expected";
}

bool bn_watch_hook_check(const char *command, const char **why)
{
	struct words words;
	struct stat st;
	*why = split(&words, command);
	if (*why)
		return false;
	if (words.word[0][0] != '/')
		*why = "it is not run by a shell; an absolute path is expected";
	else if (stat(words.word[0], &st) < 0 || !S_ISREG(st.st_mode) ||
		 access(words.word[0], X_OK) < 0)
		*why = "there is no such program that may be run";
	return !*why;
}

void bn_watch_hook_init(struct bn_watch_hook *h, struct wl_event_loop *loop, const char *command)
{
	*h = (struct bn_watch_hook){.loop = loop, .command = command, .pidfd = -1};
}

static int handle_end(int fd, uint32_t mask, void *data);
static int handle_timer(void *data);

static void forget(struct bn_watch_hook *h)
{
	if (h->source)
		wl_event_source_remove(h->source);
	h->source = NULL;
	bn_fd_close(&h->pidfd);
	h->pid = 0;
}

void bn_watch_hook_finish(struct bn_watch_hook *h)
{
	forget(h);
	if (h->timer)
		wl_event_source_remove(h->timer);
	h->timer = NULL;
}

/* Reaps it; false while it runs. */
static bool has_ended(struct bn_watch_hook *h)
{
	int status = 0;
	if (h->pid == 0)
		return true;
	pid_t pid = waitpid(h->pid, &status, WNOHANG);
	if (pid == 0)
		return false;
	if (pid > 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0) &&
		bn_log_gate(&h->failures))
		bn_warn("hook %s: %s %d", h->command, WIFEXITED(status) ? "exit status" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	forget(h);
	return true;
}

/* In a session of its own, with no input, no signal blocked, as an ordinary process. */
static int spawn(struct bn_watch_hook *h, struct words *words, char *const *environment)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	const struct sched_param param = {0};
	static const int ours[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	sigset_t none, defaults;
	int ret = posix_spawn_file_actions_init(&actions);
	if (ret != 0)
		return ret;
	ret = posix_spawnattr_init(&attributes);
	if (ret != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return ret;
	}
	sigemptyset(&none);
	sigemptyset(&defaults);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&defaults, ours[i]);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setschedpolicy(&attributes, SCHED_OTHER);
	posix_spawnattr_setschedparam(&attributes, &param);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETSCHEDULER);
	ret = posix_spawn(&h->pid, words->word[0], &actions, &attributes, words->word, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return ret;
}

static void start(struct bn_watch_hook *h)
{
	const struct bn_watch_hook_facts *f = &h->facts;
	struct words words;
	char line[7][VARIABLE_MAX], *environment[8] = {0};
	unsigned n = 0;
	snprintf(line[n++], VARIABLE_MAX,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	snprintf(line[n++], VARIABLE_MAX, "BINNACLE_WATCH=%s", f->watch);
	snprintf(line[n++], VARIABLE_MAX, "BINNACLE_LAYER=%s", f->layer);
	snprintf(line[n++], VARIABLE_MAX, "BINNACLE_OUTPUT=%s", f->output);
	snprintf(line[n++], VARIABLE_MAX, "BINNACLE_STATE=%s", f->state);
	snprintf(line[n++], VARIABLE_MAX, "BINNACLE_FAULT=%s", f->fault);
	snprintf(line[n++], VARIABLE_MAX, "BINNACLE_SKIPPED=%u", h->skipped);
	for (unsigned i = 0; i < n; i++)
		environment[i] = line[i];
	int ret = split(&words, h->command) ? EINVAL : spawn(h, &words, environment);
	if (ret != 0) {
		h->pid = 0;
		if (bn_log_gate(&h->failures))
			bn_warn("hook %s: %s", h->command, strerror(ret));
		return;
	}
	h->runs++;
	h->skipped = 0;
	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	if (h->pidfd >= 0) /* else it is reaped when the next one is due */
		h->source =
			wl_event_loop_add_fd(h->loop, h->pidfd, WL_EVENT_READABLE, handle_end, h);
}

static void try_start(struct bn_watch_hook *h)
{
	uint64_t now = bn_now_ns();
	uint64_t due = h->last_ns != 0 ? h->last_ns + GAP_NS : now;
	if (!has_ended(h) || now < due) {
		int ms = (int)((due > now ? due - now : GAP_NS) / BN_NS_PER_MS) + 1;
		if (!h->timer)
			h->timer = wl_event_loop_add_timer(h->loop, handle_timer, h);
		if (h->timer)
			wl_event_source_timer_update(h->timer, ms);
		return;
	}
	h->last_ns = now;
	h->wanted = false;
	start(h);
}

static int handle_timer(void *data)
{
	struct bn_watch_hook *h = data;
	if (h->wanted)
		try_start(h);
	return 0;
}

static int handle_end(int fd, uint32_t mask, void *data)
{
	struct bn_watch_hook *h = data;
	if (has_ended(h) && h->wanted)
		try_start(h);
	return 0;
}

void bn_watch_hook_run(struct bn_watch_hook *h, const struct bn_watch_hook_facts *facts)
{
	if (h->command[0] == '\0')
		return;
	h->skipped += h->wanted;
	h->facts = *facts;
	h->wanted = true;
	try_start(h);
}
