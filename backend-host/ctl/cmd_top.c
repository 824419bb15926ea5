/* top: asks the service again and again, and shows it. Between the pictures nothing runs: one poll()
 * waits for keys, answers, signals and the next second, so a service that hangs does not hang the
 * keys. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "client.h"
#include "command.h"
#include "common/clock.h"
#include "common/fd.h"
#include "json.h"
#include "terminal.h"
#include "top.h"

#define ANSWER_NS (5 * BN_NS_PER_S)
#define ONCE_NS 300000000

enum question { ASK_STATUS, ASK_ADMIT, ASK_EVENTS, ASK_RESET };

#define QUESTIONS_MAX 8u

struct session {
	const struct bn_ctl_options *options;
	struct bn_top top;
	struct bn_terminal *terminal;
	bool ascii, quit;
	int sock, signals;                  /* fds */
	int signal;                         /* that ended it; 0: none */
	enum question asked[QUESTIONS_MAX]; /* answers come in this order */
	unsigned pending;
	uint64_t asked_ns, next_ns;
};

/* ---- questions and answers ---- */

static void lose(struct session *s, const char *why, int err)
{
	char text[128];
	snprintf(text, sizeof(text), "%s%s%s", why, err ? ": " : "", err ? strerror(-err) : "");
	bn_top_lost(&s->top, text);
	bn_fd_close(&s->sock);
	s->pending = 0;
}

static struct json_object *request_of(const struct session *s, enum question q)
{
	static const char *const names[] = {"status", "admit", "events", "reset"};
	struct json_object *request = bn_json_request(names[q]);
	if (q == ASK_EVENTS)
		json_object_object_add(request, "since", json_object_new_uint64(s->top.next_event));
	return request;
}

static void ask(struct session *s, enum question q)
{
	if (s->sock < 0 || s->pending == QUESTIONS_MAX)
		return;
	struct json_object *request = request_of(s, q);
	int ret = bn_ctl_send(s->sock, request);
	json_object_put(request);
	if (ret < 0) {
		lose(s, "the service is gone", ret);
		return;
	}
	if (s->pending == 0)
		s->asked_ns = bn_now_ns();
	s->asked[s->pending++] = q;
}

/* What the page needs, unless answers are still to come. */
static void ask_for_page(struct session *s)
{
	if (s->sock < 0) {
		int sock = bn_ctl_connect(s->options->socket);
		if (sock < 0) {
			lose(s, "the service is gone", sock);
			return;
		}
		s->sock = sock;
	}
	if (s->pending)
		return;
	ask(s, ASK_STATUS);
	if (s->top.page == BN_PAGE_DETAIL)
		ask(s, ASK_ADMIT);
	if (s->top.page == BN_PAGE_EVENTS)
		ask(s, ASK_EVENTS);
}

static void take(struct session *s, enum question q, struct json_object *answer)
{
	bool ok = bn_json_bool(answer, "ok");
	if (q == ASK_RESET) {
		const char *error = bn_json_text(answer, "error");
		bn_top_was_reset(&s->top, ok ? NULL : error[0] ? error : "no reason given");
		json_object_put(answer);
	} else if (!ok) {
		/* A service that does not know the command: its fields stay '-'. */
		if (q == ASK_STATUS)
			bn_top_lost(&s->top, "the service refuses to tell its status");
		json_object_put(answer);
	} else if (q == ASK_STATUS) {
		bn_top_status(&s->top, answer);
	} else if (q == ASK_ADMIT) {
		bn_top_admission(&s->top, answer);
	} else {
		bn_top_events(&s->top, answer);
	}
}

static void receive(struct session *s)
{
	struct json_object *answer;
	int ret = bn_ctl_receive(s->sock, 0, &answer, NULL);
	if (ret == -ETIMEDOUT)
		return;
	if (ret < 0 || s->pending == 0) {
		json_object_put(answer);
		lose(s,
			ret == -ECONNRESET ? "the service has closed the connection"
			: ret == -EBADMSG  ? "an answer was not understood"
					   : "the service is gone",
			ret == -ECONNRESET || ret == -EBADMSG ? 0 : ret);
		return;
	}
	enum question q = s->asked[0];
	memmove(s->asked, s->asked + 1, --s->pending * sizeof(s->asked[0]));
	s->asked_ns = bn_now_ns();
	take(s, q, answer);
}

/* ---- the picture ---- */

static void draw(struct session *s)
{
	struct bn_grid g;
	unsigned rows, cols;
	bn_terminal_size(s->terminal, &rows, &cols);
	if (bn_grid_init(&g, rows, cols, s->ascii) < 0)
		return;
	bn_top_draw(&s->top, &g);
	bn_terminal_draw(s->terminal, &g);
	bn_grid_finish(&g);
}

static void handle_keys(struct session *s)
{
	uint32_t key;
	while (!s->quit && (key = bn_terminal_key(s->terminal)) != 0) {
		switch (bn_top_key(&s->top, key)) {
		case BN_TOP_QUIT:
			s->quit = true;
			break;
		case BN_TOP_REFRESH:
			s->next_ns = 0;
			break;
		case BN_TOP_RESET:
			if (s->sock < 0)
				bn_top_was_reset(&s->top, "the service is not there");
			ask(s, ASK_RESET);
			s->next_ns = 0;
			break;
		case BN_TOP_NOTHING:
			break;
		}
	}
}

static void handle_signal(struct session *s)
{
	struct signalfd_siginfo info;
	if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		bn_terminal_resized(s->terminal);
	} else if (info.ssi_signo == SIGCONT) {
		bn_terminal_redraw(s->terminal);
	} else {
		s->signal = info.ssi_signo == SIGINT ? 0 : (int)info.ssi_signo;
		s->quit = true;
	}
}

/* ---- the loop ---- */

/* Whatever time it is for; returns the milliseconds until there is something again. */
static int tick(struct session *s)
{
	uint64_t now = bn_now_ns();
	uint64_t interval = (uint64_t)(s->options->interval * (double)BN_NS_PER_S);
	if (s->pending && now - s->asked_ns > ANSWER_NS)
		lose(s, "the service does not answer", 0);
	if (now >= s->next_ns) {
		/* Paused, only a page that has just been opened is fetched. */
		if (!s->top.paused || s->next_ns == 0)
			ask_for_page(s);
		s->next_ns = now + interval;
	}
	return (int)((s->next_ns - now) / BN_NS_PER_MS) + 1;
}

static void run(struct session *s)
{
	while (!s->quit) {
		int timeout = tick(s);
		draw(s);
		struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = s->signals, .events = POLLIN}, {.fd = s->sock, .events = POLLIN}};
		if (poll(p, 3, timeout) < 0)
			continue; /* a signal that we have no fd for */
		if (p[1].revents)
			handle_signal(s);
		handle_keys(s);
		if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			s->quit = true; /* nobody is looking any more */
		if (p[2].revents && s->sock >= 0)
			receive(s);
	}
}

static int complain_terminal(int err)
{
	fprintf(stderr, "binnaclectl: top: %s; 'binnaclectl top --once' prints one picture\n",
		err == -ENOTTY    ? "a terminal is needed"
		: err == -ENOTSUP ? "the terminal that TERM names cannot move its cursor"
		: err == -ENOSYS  ? "built without ncurses"
				  : strerror(-err));
	return 1;
}

/* The end that the signal would have made of us, with the terminal in order. */
static int end_by(int signal_number, const sigset_t *before)
{
	if (signal_number == 0)
		return 0;
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	sigprocmask(SIG_SETMASK, before, NULL);
	return 1;
}

static int watch(struct session *s)
{
	sigset_t set, before;
	sigemptyset(&set);
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT};
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&set, caught[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	int ret = s->signals < 0 ? -errno : bn_terminal_open(&s->terminal);
	if (ret == 0)
		run(s);
	bn_terminal_close(s->terminal);
	bn_fd_close(&s->signals);
	bn_fd_close(&s->sock);
	if (ret == 0)
		return end_by(s->signal, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return complain_terminal(ret);
}

/* As wide as COLUMNS says, or the terminal is; 80 where neither is known. */
static unsigned print_columns(void)
{
	const char *columns = getenv("COLUMNS");
	long n = columns ? strtol(columns, NULL, 10) : 0;
	struct winsize size;
	if (n <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		n = size.ws_col;
	return n >= 20 && n <= 1000 ? (unsigned)n : 80;
}

/* One status into s->top; 0 or 1. */
static int ask_once(struct session *s)
{
	struct json_object *answer;
	if (bn_ctl_request(s->options, bn_json_request("status"), &answer) != 0) {
		json_object_put(answer);
		return 1;
	}
	bn_top_status(&s->top, answer);
	return 0;
}

/* Two answers, so that rates are those of a time of our own. */
static int print_once(struct session *s)
{
	const struct timespec between = {.tv_nsec = ONCE_NS};
	struct bn_grid g;
	if (ask_once(s) != 0)
		return 1;
	nanosleep(&between, NULL);
	if (ask_once(s) != 0)
		return 1;
	if (bn_grid_init(&g, bn_top_once_rows(&s->top), print_columns(), s->ascii) < 0)
		return 1;
	bn_top_draw_once(&s->top, &g);
	bn_grid_print(&g, stdout);
	bn_grid_finish(&g);
	return fflush(stdout) == 0 ? 0 : 1;
}

int bn_cmd_top(const struct bn_ctl_options *o, int argc, char **argv)
{
	char host[65] = "";
	gethostname(host, sizeof(host) - 1);
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return 1;
	s->options = o;
	s->ascii = (o->given & BN_OPTION_ASCII) || !bn_terminal_is_utf8();
	s->sock = s->signals = -1;
	bn_top_init(&s->top, host);
	int ret = o->given & BN_OPTION_ONCE ? print_once(s) : watch(s);
	bn_top_finish(&s->top);
	free(s);
	return ret;
}
