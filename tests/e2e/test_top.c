/* binnaclectl top as a person has it: in a terminal, with keys, windows that change their size, and a
 * service that goes away. The service is a fake one, whose figures are known. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#include "fake_service.h"
#include "harness.h"
#include "unit.h"
#include "vt.h"

#define DEADLINE_S 20

static struct fake_service fake;

/* The program in its terminal. */
static struct {
	pid_t pid;
	int master, slave; /* the slave stays open here: its settings are looked at afterwards */
	struct termios before;
	struct vt vt;
} t;

static void be_top(const char *term, const char *locale, const char *arg)
{
	setenv("TERM", term, 1);
	setenv("LC_ALL", locale, 1);
	if (strcmp(arg, "--no-color") == 0)
		setenv("NO_COLOR", "1", 1);
	else
		unsetenv("NO_COLOR");
	unsetenv("COLUMNS");
	unsetenv("LINES");
	execl(e2e_program("BINNACLECTL"), "binnaclectl", "--socket", fake.path, "top", "--interval",
		"0.1", arg[0] && strcmp(arg, "--no-color") ? arg : (char *)NULL, (char *)NULL);
	_exit(127);
}

static void start(const char *term, const char *locale, const char *arg)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	CU_ASSERT_EQUAL_FATAL(openpty(&t.master, &t.slave, NULL, NULL, &size), 0);
	tcgetattr(t.slave, &t.before);
	vt_init(&t.vt, 24, 80);
	t.pid = fork();
	if (t.pid == 0) {
		close(t.master);
		login_tty(t.slave);
		be_top(term, locale, arg);
	}
	CU_ASSERT_TRUE_FATAL(t.pid > 0);
}

/* Takes what the program writes within that time; false when it writes nothing. */
static bool hear(int ms)
{
	char data[4096];
	struct pollfd p = {.fd = t.master, .events = POLLIN};
	if (poll(&p, 1, ms) <= 0)
		return false;
	ssize_t n = read(t.master, data, sizeof(data));
	if (n > 0)
		vt_write(&t.vt, data, (size_t)n);
	return n > 0;
}

static bool wait_for(const char *text, bool there)
{
	struct timespec begin, now;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if ((vt_find(&t.vt, text) >= 0) == there && !hear(0))
			return true;
		hear(50);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < DEADLINE_S);
	fprintf(stderr, "\n'%s' is %s:\n", text, there ? "missing" : "still there");
	for (unsigned row = 0; row < t.vt.rows; row++)
		fprintf(stderr, "%s\n", vt_row(&t.vt, row));
	return false;
}

#define SHOWS(text) CU_ASSERT_TRUE(wait_for(text, true))
#define SHOWS_NOT(text) CU_ASSERT_TRUE(wait_for(text, false))

static void keys(const char *text)
{
	CU_ASSERT_EQUAL(write(t.master, text, strlen(text)), (ssize_t)strlen(text));
}

static void resize(unsigned short rows, unsigned short cols)
{
	struct winsize size = {.ws_row = rows, .ws_col = cols};
	vt_resize(&t.vt, rows, cols);
	ioctl(t.master, TIOCSWINSZ, &size);
}

/* Waits for its end, and looks whether the terminal is as it was. Returns what waitpid says. */
static int finish(void)
{
	int status = -1;
	for (unsigned i = 0; i < DEADLINE_S * 20 && waitpid(t.pid, &status, WNOHANG) == 0; i++)
		hear(50);
	while (hear(20)) {
	}
	struct termios after;
	tcgetattr(t.slave, &after);
	CU_ASSERT_EQUAL(after.c_lflag, t.before.c_lflag);
	CU_ASSERT_EQUAL(after.c_iflag, t.before.c_iflag);
	CU_ASSERT_EQUAL(after.c_oflag, t.before.c_oflag);
	CU_ASSERT_EQUAL(memcmp(after.c_cc, t.before.c_cc, sizeof(after.c_cc)), 0);
	CU_ASSERT_FALSE(t.vt.alternate);
	CU_ASSERT_FALSE(t.vt.cursor_hidden);
	CU_ASSERT_EQUAL(t.vt.unknown, 0);
	if (status == -1) {
		kill(t.pid, SIGKILL);
		waitpid(t.pid, NULL, 0);
	}
	close(t.master);
	close(t.slave);
	return status;
}

static void quit(void)
{
	keys("q");
	CU_ASSERT_EQUAL(finish(), 0);
}

/* ---- what it shows ---- */

static void test_table(void)
{
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster    safe run  60.0     ▇▇█▇ 16.00 16.10 33.00 ████▊░  25 0.10      0   0");
	SHOWS(" hostile?[… back QUAR");
	SHOWS("policy reserve  admitted 50%");
	SHOWS("q quit  s/S sort");
	CU_ASSERT_TRUE(t.vt.alternate);
	CU_ASSERT_TRUE(t.vt.cursor_hidden);
	int row = vt_find(&t.vt, ">cluster");
	CU_ASSERT_EQUAL(t.vt.attr[row][33] & 4, 4); /* the missed refresh is red */
	CU_ASSERT_EQUAL(t.vt.attr[row][32] & 4, 0);
	fake.state->misses = 7;
	SHOWS("7/1");
	fake.state->admitted = false;
	SHOWS("NOT ADMITTED");
	quit();
	fake_close(&fake);
}

static void test_keys(void)
{
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster");
	keys("\033OB"); /* down */
	SHOWS(">hostile");
	keys("\033OA");
	SHOWS(">cluster");
	keys("\r");
	SHOWS("(2+1)·(1·2.00 + 0.05) + 5.00 + 4·0.15 + 0.50 + 0.00 = 12.25 ≤ 14.00");
	SHOWS("from 40.00 ms");
	keys("\033");
	SHOWS(">cluster");
	keys("e");
	SHOWS("12:00:00.123 tripped     event 2?[31m");
	fake.state->events = 3;
	SHOWS("event 3?[31m");
	keys("h");
	SHOWS("selects a VM");
	keys("?");
	keys("s");
	SHOWS("sorted by VM");
	keys("S");
	SHOWS("sorted by VM, reversed");
	quit();
	fake_close(&fake);
}

static void test_pause_reset(void)
{
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster");
	keys("p");
	SHOWS("PAUSED");
	while (hear(300)) { /* one answer may still be on its way */
	}
	unsigned requests = fake.state->requests;
	CU_ASSERT_FALSE(hear(500));
	CU_ASSERT_EQUAL(fake.state->requests, requests);
	keys("p");
	SHOWS_NOT("PAUSED");
	keys("r");
	SHOWS("begin anew? y/n");
	keys("n");
	SHOWS_NOT("y/n");
	CU_ASSERT_EQUAL(fake.state->resets, 0);
	keys("ry");
	SHOWS("statistics begin anew");
	CU_ASSERT_EQUAL(fake.state->resets, 1);
	quit();
	fake_close(&fake);
}

static void test_sizes(void)
{
	static const unsigned short sizes[][2] = {{60, 200}, {3, 10}, {1, 1}, {10, 40}, {24, 80}};
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	fake.state->vms = 32;
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster");
	SHOWS("1 to 19 of 32 VMs");
	resize(40, 120);
	SHOWS("safety      running");
	SHOWS("vm31");
	SHOWS_NOT("of 32 VMs");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		resize(sizes[i][0], sizes[i][1]);
		while (hear(150)) {
		}
	}
	SHOWS("1 to 19 of 32 VMs");
	SHOWS("q quit  s/S sort");
	fake.state->vms = 64; /* an answer that needs a memfd */
	SHOWS("1 to 19 of 64 VMs");
	fake.state->vms = 0;
	SHOWS_NOT(">cluster");
	quit();
	fake_close(&fake);
}

/* Poor terminals. */
static void test_plain(void)
{
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	start("vt100", "C", "");
	SHOWS(">cluster    safe run  60.0     **#* 16.00 16.10 33.00 #####.  25 0.10      0   0");
	CU_ASSERT_FALSE(t.vt.coloured);
	int row = vt_find(&t.vt, ">cluster");
	CU_ASSERT_EQUAL(t.vt.attr[row][33] & 1, 1); /* reverse says it without colours */
	CU_ASSERT_EQUAL(t.vt.attr[row][32] & 1, 0);
	quit();
	start("xterm-256color", "C.UTF-8", "--no-color");
	SHOWS(">cluster");
	CU_ASSERT_FALSE(t.vt.coloured);
	quit();
	start("xterm-256color", "C.UTF-8", "--ascii");
	SHOWS("**#*");
	quit();
	fake_close(&fake);
}

/* ---- ends ---- */

static void test_lost(void)
{
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster");
	fake_stop(&fake);
	SHOWS("figures are old; trying again");
	SHOWS("the service is gone: No such file or directory");
	SHOWS(">cluster"); /* the last figures stay */
	keys("\033OB");
	SHOWS(">hostile"); /* and so do the keys */
	keys("ry");
	SHOWS_NOT("y/n");
	CU_ASSERT_TRUE_FATAL(fake_start(&fake));
	SHOWS_NOT("trying again");
	fake.state->misses = 5;
	SHOWS("5/1");
	fake.state->hangs_up = true;
	SHOWS("has closed the connection");
	fake.state->hangs_up = false;
	SHOWS_NOT("trying again");
	fake.state->junk = true;
	SHOWS("not understood");
	fake.state->junk = false;
	SHOWS_NOT("trying again");
	fake.state->mute = true;
	SHOWS("does not answer");
	keys("h");
	SHOWS("selects a VM");
	quit();
	fake_close(&fake);
	start("xterm-256color", "C.UTF-8", ""); /* nobody there from the beginning */
	SHOWS("the service is gone: No such file or directory; trying again");
	quit();
}

static void test_signals(void)
{
	static const int deadly[] = {SIGTERM, SIGHUP, SIGQUIT};
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		start("xterm-256color", "C.UTF-8", "");
		SHOWS(">cluster");
		kill(t.pid, deadly[i]);
		int status = finish();
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		CU_ASSERT_EQUAL(WTERMSIG(status), deadly[i]);
	}
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster");
	keys("\003"); /* ^C is a way to quit */
	CU_ASSERT_EQUAL(finish(), 0);
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster");
	kill(t.pid, SIGSTOP);
	kill(t.pid, SIGCONT);
	fake.state->misses = 9;
	SHOWS("9/1");
	fake_close(&fake);
	SHOWS("trying again");
	kill(t.pid, SIGTERM); /* with the connection lost */
	CU_ASSERT_TRUE(WIFSIGNALED(finish()));
}

/* The terminal goes away: nothing is left that runs for nobody. */
static void test_hangup(void)
{
	CU_ASSERT_TRUE_FATAL(fake_open(&fake));
	start("xterm-256color", "C.UTF-8", "");
	SHOWS(">cluster");
	close(t.master);
	close(t.slave);
	int status = -1;
	for (unsigned i = 0; i < DEADLINE_S * 20 && waitpid(t.pid, &status, WNOHANG) == 0; i++)
		e2e_sleep_ms(50);
	CU_ASSERT_NOT_EQUAL(status, -1);
	fake_close(&fake);
}

static void test_no_terminal(void)
{
	char out[4096];
	char *argv[] = {(char *)e2e_program("BINNACLECTL"), (char *)"--socket", fake.path,
		(char *)"top", NULL};
	CU_ASSERT_EQUAL(e2e_run(argv, out, sizeof(out)), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "a terminal is needed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "--once"));
	start("dumb", "C", "");
	CU_ASSERT_EQUAL(WEXITSTATUS(finish()), 1);
	CU_ASSERT_TRUE(vt_find(&t.vt, "cannot move its cursor") >= 0);
	start("no-such-terminal", "C", "");
	CU_ASSERT_EQUAL(WEXITSTATUS(finish()), 1);
	CU_ASSERT_TRUE(vt_find(&t.vt, "cannot move its cursor") >= 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"table", test_table},
		{"keys", test_keys},
		{"pause and reset", test_pause_reset},
		{"sizes", test_sizes},
		{"no colours, no UTF-8", test_plain},
		{"lost and found service", test_lost},
		{"signals", test_signals},
		{"hang-up", test_hangup},
		{"no terminal", test_no_terminal},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("top", tests);
}
