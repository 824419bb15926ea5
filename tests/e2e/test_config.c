/* What a person meets first: mistakes in the configuration, in the command line and in the
 * surroundings are answered with a place and a remedy, and the programs print what they should. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static struct e2e e;
static char out[65536];

static int binnacled(const char *arg, const char *arg2)
{
	char *argv[] = {(char *)e2e_program("BINNACLED"), (char *)"-c", e.ini, (char *)arg,
		(char *)arg2, NULL};
	return e2e_run(argv, out, sizeof(out));
}

static int ctl(const char *command, const char *arg, const char *arg2)
{
	char *argv[] = {(char *)e2e_program("BINNACLECTL"), (char *)"--socket", e.control,
		(char *)command, (char *)arg, (char *)arg2, NULL};
	return e2e_run(argv, out, sizeof(out));
}

static void says(const char *text)
{
	if (!strstr(out, text))
		fprintf(stderr, "\n\"%s\" is not in: %s\n", text, out);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, text));
}

/* Line numbers count from the two lines that e2e_prepare writes: the text begins on line 3. */
static const struct {
	const char *ini;
	int line;         /* 0: the file as a whole */
	const char *word; /* which the message must have */
} mistakes[] = {
	{"metrics-listen=0.0.0.0:9273\n[vm a]\n", 3, "127.0.0.1"},
	{"[vm a]\nscanout.0=none\n", 3, "none"},
	{"[output a]\nmode=big\n[vm a]\n", 4, "WIDTHxHEIGHT"},
	{"[output a]\nmode=0x100\n[vm a]\n", 4, "8192"},
	{"[output a]\nmode=9000x100\n[vm a]\n", 4, "8192"},
	{"[output a]\nmode=100x100@5000\n[vm a]\n", 4, "1000"},
	{"[output a]\nbackend=cinema\n[vm a]\n", 4, "headless"},
	{"[output a]\npacing=often\n[vm a]\n", 4, "free"},
	{"[output a]\ncolour=red\n[vm a]\n", 4, "colour"},
	{"[output a]\nmode\n[vm a]\n", 4, ""},
	{"[output]\n[vm a]\n", 3, ""},
	{"[display a]\n[vm a]\n", 3, "display"},
	{"[output a b]\n[vm a]\n", 3, ""},
	{"[output a/b]\n[vm a]\n", 3, ""},
	{"[output a]\n[output a]\n[vm a]\n", 4, ""},
	{"[vm a]\nsocket=relative\n", 4, "absolute"},
	{"[vm a]\nmemory-max=lots\n", 4, "512M"},
	{"[vm a]\nmemory-max=1K\n", 4, "16M"},
	{"[vm a]\ngl=perhaps\n", 4, "yes"},
	{"[vm a]\nscanout.99=b\n[output b]\n", 4, "15"},
	{"[vm a]\nsocket=/tmp/x\n[vm b]\nsocket=/tmp/x\n", 5, "/tmp/x"},
	{"[output a]\n", 0, "[vm"},
	{"[output a]\n[vm a]\n[layer m]\nvm=a\noutput=a\n", 5, "scanout.0=OUTPUT in [vm a]"},
	{"[output a]\n[vm v]\nscanout.0=a\n[layer m]\nvm=v\noutput=b\n", 6, "no output 'b'"},
	{"[output a]\n[vm v]\nscanout.0=a\n[layer m]\nvm=w\noutput=a\n", 6, "no vm 'w'"},
	{"[output a]\n[vm v]\nscanout.0=a\n[layer m]\nvm=v\noutput=a\nat=1280,0\n", 6,
		"outside of output a"},
	{"[output a]\n[vm v]\nscanout.0=a\n[layer m]\nvm=v\noutput=a\nrole=safety\n[layer n]\n"
	 "vm=v\noutput=a\n",
		10, "covers safety layer m"},
	{"[output a]\n[vm v]\nscanout.0=a\n[layer m]\nvm=v\noutput=a\nsize=big\n", 9,
		"WIDTHxHEIGHT"},
};

static void test_mistakes(void)
{
	for (unsigned i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char where[E2E_PATH + 32];
		CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, mistakes[i].ini));
		if (mistakes[i].line)
			snprintf(where, sizeof(where), "%s:%d: ", e.ini, mistakes[i].line);
		else
			snprintf(where, sizeof(where), "%s: ", e.ini);
		CU_ASSERT_NOT_EQUAL(binnacled(NULL, NULL), 0);
		says(where);
		says(mistakes[i].word);
		CU_ASSERT_NOT_EQUAL(binnacled("--check-config", NULL), 0);
		says(where);
		e2e_close(&e);
	}
}

/* All of them at once, not one at a time. */
static void test_all_mistakes(void)
{
	char where[E2E_PATH + 32];
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, "[output a]\nmode=x\npacing=y\n[vm a]\ngl=z\n"));
	CU_ASSERT_NOT_EQUAL(binnacled("--check-config", NULL), 0);
	for (int line = 4; line <= 7; line += line == 5 ? 2 : 1) {
		snprintf(where, sizeof(where), "%s:%d: ", e.ini, line);
		says(where);
	}
	unlink(e.ini);
	CU_ASSERT_NOT_EQUAL(binnacled(NULL, NULL), 0);
	says(e.ini);
	e2e_close(&e);
}

static const char good[] = "[output main]\nmode=64x48@60\n[vm a]\nscanout.0=main\ngl=no\n";

static void test_check_config(void)
{
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, good));
	CU_ASSERT_EQUAL(binnacled("--check-config", NULL), 0);
	CU_ASSERT_NOT_EQUAL(access(e.control, F_OK), 0);
	e2e_close(&e);
}

static void test_command_line(void)
{
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, good));
	CU_ASSERT_EQUAL(binnacled("--help", NULL), 0);
	says("usage");
	CU_ASSERT_EQUAL(binnacled("--version", NULL), 0);
	says("binnacled");
	CU_ASSERT_NOT_EQUAL(binnacled("--nonsense", NULL), 0);
	CU_ASSERT_NOT_EQUAL(binnacled("surplus", NULL), 0);
	CU_ASSERT_NOT_EQUAL(binnacled("--log", "loud"), 0);
	CU_ASSERT_NOT_EQUAL(binnacled("--renderer", "/nonexistent/renderer"), 0);
	says("/nonexistent/renderer");
	e2e_close(&e);
}

static void test_probe(void)
{
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, good));
	CU_ASSERT_EQUAL(binnacled("--probe", NULL), 0);
	says("OpenGL for guests");
	says("sandbox");
	CU_ASSERT_EQUAL(binnacled("--probe", "--json"), 0);
	struct json_object *json = json_tokener_parse(out);
	CU_ASSERT_PTR_NOT_NULL(json);
	json_object_put(json);
	e2e_close(&e);
}

static void test_socket_in_use(void)
{
	struct tg_vm vm;
	CU_ASSERT_TRUE_FATAL(e2e_open(&e, good));
	CU_ASSERT_NOT_EQUAL(binnacled(NULL, NULL), 0);
	says("in use");
	says(e.dir);
	/* The first one is not disturbed. */
	CU_ASSERT_EQUAL(tg_vm_open(&vm, e2e_socket(&e, "a"), NULL), 0);
	tg_vm_close(&vm);
	e2e_close(&e);
}

/* kill -9 at any moment of its life: its renderers end with it, and its sockets are no hindrance to
 * the next one. */
static void test_killed(void)
{
	static const unsigned moments_ms[] = {0, 1, 2, 3, 5, 10, 300};
	CU_ASSERT_TRUE_FATAL(e2e_open(&e, good));
	for (unsigned i = 0; i < sizeof(moments_ms) / sizeof(moments_ms[0]); i++) {
		e2e_sleep_ms(moments_ms[i]);
		kill(e.daemon, SIGKILL);
		e2e_reap(&e);
		CU_ASSERT_EQUAL(access(e.control, F_OK), 0);
		CU_ASSERT_TRUE_FATAL(e2e_start(&e));
	}
	e2e_close(&e);
}

/* A file in a socket's place is not replaced. */
static void test_file_in_place(void)
{
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, good));
	char path[E2E_PATH + 16];
	snprintf(path, sizeof(path), "%s/run", e.dir);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/run/a.sock", e.dir);
	FILE *f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	CU_ASSERT_NOT_EQUAL(binnacled(NULL, NULL), 0);
	says(path);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	e2e_close(&e);
}

static void test_unwritable(void)
{
	char ini[512];
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, good));
	/* Not even root makes folders below these. */
	static const char *const places[] = {
		"/proc/binnacle", "/dev/null/binnacle", "/nonexistent/a/b"};
	for (unsigned i = 0; i < 3; i++) {
		FILE *f = fopen(e.ini, "w");
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		snprintf(ini, sizeof(ini), "[core]\nruntime-dir=%s\n%s", places[i], good);
		fputs(ini, f);
		fclose(f);
		CU_ASSERT_NOT_EQUAL(binnacled(NULL, NULL), 0);
		says(places[i]);
	}
	e2e_close(&e);
}

static void test_ctl(void)
{
	char path[E2E_PATH + 16];
	static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	uint8_t head[24] = {0};
	CU_ASSERT_TRUE_FATAL(e2e_open(&e, good));
	CU_ASSERT_EQUAL(ctl("status", NULL, NULL), 0);
	says("main");
	CU_ASSERT_EQUAL(ctl("status", "--json", NULL), 0);
	struct json_object *json = json_tokener_parse(out), *vms;
	CU_ASSERT_TRUE(json && json_object_object_get_ex(json, "vms", &vms) &&
		       json_object_array_length(vms) == 1);
	json_object_put(json);
	snprintf(path, sizeof(path), "%s/shot.png", e.dir);
	CU_ASSERT_EQUAL(ctl("screenshot", "main", path), 0);
	FILE *f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fread(head, 1, sizeof(head), f), sizeof(head));
	fclose(f);
	CU_ASSERT_EQUAL(memcmp(head, png, 8), 0);
	CU_ASSERT_EQUAL(head[19], 64); /* IHDR: width, height */
	CU_ASSERT_EQUAL(head[23], 48);
	CU_ASSERT_NOT_EQUAL(ctl("screenshot", "none", path), 0);
	says("none");
	CU_ASSERT_NOT_EQUAL(ctl("screenshot", "main", "/nonexistent/shot.png"), 0);
	says("/nonexistent/shot.png");
	CU_ASSERT_NOT_EQUAL(ctl("nonsense", NULL, NULL), 0);
	e2e_close(&e);
	CU_ASSERT_TRUE_FATAL(e2e_prepare(&e, good));
	CU_ASSERT_NOT_EQUAL(ctl("status", NULL, NULL), 0); /* nobody there */
	says(e.control);
	e2e_close(&e);
}

/* Whether argument is one of a process's own. */
static bool has_argument(pid_t pid, const char *argument)
{
	char path[32], text[4096];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file)
		fclose(file);
	text[n] = '\0';
	for (size_t i = 0; i < n; i += strlen(text + i) + 1) {
		if (strcmp(text + i, argument) == 0)
			return true;
	}
	return false;
}

static void check_cache(const char *dir, const char *vm)
{
	char path[E2E_PATH];
	struct stat st = {0};
	snprintf(path, sizeof(path), "%s/%s", dir, vm);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFDIR | 0700);
	CU_ASSERT_TRUE(geteuid() == 0 ? st.st_uid != 0 : st.st_uid == geteuid());
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, vm, "renderer_ready", 1));
	CU_ASSERT_TRUE(has_argument((pid_t)e2e_vm_int(&e, vm, "renderer_pid"), path));
}

/* Each VM has a folder of its own, which only its renderer is told; none without GL. */
static void test_shader_cache(void)
{
	char dir[64], path[E2E_PATH], ini[256];
	struct stat st = {0};
	mode_t mask = umask(077);
	snprintf(dir, sizeof(dir), "/tmp/binnacle-cache-%d", (int)getpid());
	snprintf(ini, sizeof(ini),
		"shader-cache=%s\ngpu=surfaceless\n[vm one]\n[vm two]\n[vm flat]\ngl=no\n", dir);
	CU_ASSERT_TRUE_FATAL(e2e_open(&e, ini));
	umask(mask);
	CU_ASSERT_EQUAL(stat(dir, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFDIR | 0711);
	check_cache(dir, "one");
	check_cache(dir, "two");
	snprintf(path, sizeof(path), "%s/one", dir);
	CU_ASSERT_FALSE(has_argument((pid_t)e2e_vm_int(&e, "two", "renderer_pid"), path));
	snprintf(path, sizeof(path), "%s/flat", dir);
	CU_ASSERT_TRUE(stat(path, &st) < 0);
	e2e_close(&e);
	/* A folder that cannot be: said, and everything runs without. */
	snprintf(ini, sizeof(ini), "shader-cache=/proc/none\ngpu=surfaceless\n[vm one]\n");
	CU_ASSERT_TRUE_FATAL(e2e_open(&e, ini));
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "one", "renderer_ready", 1));
	CU_ASSERT_FALSE(has_argument(
		(pid_t)e2e_vm_int(&e, "one", "renderer_pid"), "--shader-cache"));
	e2e_close(&e);
	char *argv[] = {(char *)"/bin/rm", (char *)"-rf", dir, NULL};
	CU_ASSERT_EQUAL(e2e_run(argv, out, sizeof(out)), 0);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"each mistake has its place", test_mistakes},
		{"all mistakes at once", test_all_mistakes},
		{"--check-config", test_check_config},
		{"command line", test_command_line},
		{"--probe", test_probe},
		{"a socket path in use", test_socket_in_use},
		{"service killed", test_killed},
		{"a file in a socket's place", test_file_in_place},
		{"folders that cannot be", test_unwritable},
		{"binnaclectl", test_ctl},
		{"shader cache", test_shader_cache},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("config", tests);
}
