/* Renderers that are being started: the service stops meanwhile, the program is not there, they die before
 * they are ready. The service goes on, the VM beside shows its frames, and nothing is left behind. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bystander.h"

#define W 128u
#define H 96u

static struct e2e e;
static struct bystander *cluster;
/* A copy of the renderer, to be taken away. */
static char dir[] = "/tmp/bn-start-XXXXXX", program[64], away[64];

static const char config[] = "[output dash]\nmode=128x96@60\n"
			     "[output main]\nmode=128x96@60\n"
			     "[vm cluster]\nscanout.0=dash\ngl=no\n"
			     "[vm a]\nscanout.0=main\n"
			     "[vm b]\nscanout.0=main\n"
			     "[vm c]\nscanout.0=main\n";

static void test_copy(void)
{
	char out[256];
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(program, sizeof(program), "%s/renderer", dir);
	snprintf(away, sizeof(away), "%s/away", dir);
	char *argv[] = {(char *)"/bin/cp", (char *)e2e_program("BINNACLE_RENDERER"), program, NULL};
	CU_ASSERT_EQUAL_FATAL(e2e_run(argv, out, sizeof(out)), 0);
	CU_ASSERT_EQUAL(chmod(dir, 0755), 0);
	setenv("BINNACLE_RENDERER", program, 1);
}

/* Its socket answers before any renderer is ready. e2e_close() asserts that none is left. */
static void test_stop_at_once(void)
{
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_TRUE(e2e_open(&e, config));
		e2e_sleep_ms(i * 3);
		e2e_close(&e);
	}
}

static void test_start(void)
{
	e2e_open(&e, config);
	cluster = bystander_start(&e, "cluster", W, H);
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "renderer_ready", 1));
}

/* What the service logs, until it says all of that in one line. */
static bool log_says(const char *first, const char *second)
{
	char line[1024];
	for (unsigned i = 0; i < 500; i++) {
		FILE *f = fopen(e.log, "re");
		bool found = false;
		while (f && !found && fgets(line, sizeof(line), f))
			found = strstr(line, first) && strstr(line, second);
		if (f)
			fclose(f);
		if (found)
			return true;
		e2e_sleep_ms(20);
	}
	return false;
}

/* Kills the renderer that is there; returns its process id. */
static pid_t kill_renderer(const char *name)
{
	CU_ASSERT_TRUE(e2e_vm_wait(&e, name, "renderer_pid", 1));
	pid_t pid = (pid_t)e2e_vm_int(&e, name, "renderer_pid");
	if (pid > 1)
		kill(pid, SIGKILL);
	return pid;
}

/* Waits until another one than that runs. */
static bool wait_other(const char *name, pid_t pid)
{
	for (unsigned i = 0; i < 5000; i++) {
		int64_t now = e2e_vm_int(&e, name, "renderer_pid");
		if (now > 0 && now != pid)
			return true;
		e2e_sleep_ms(2);
	}
	return false;
}

static void check_serves(void)
{
	static uint32_t pixels[W * H];
	struct tg_vm vm;
	struct tg_image image;
	CU_ASSERT_EQUAL_FATAL(tg_vm_open(&vm, e2e_socket(&e, "a"), NULL), 0);
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	tg_pattern(pixels, W, H, 7);
	tg_image_write(&image, pixels);
	E2E_OK(tg_image_resource(&image, 1));
	E2E_OK(tg_transfer_2d(&vm, 1, tg_rect(0, 0, W, H), 0));
	E2E_OK(tg_set_scanout(&vm, 0, 1, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(&vm, 1, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "main", pixels, 0, 0, W, H), 0);
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

/* The reason and the VM are in the log, it is tried again, and works once the program is back. */
static void test_program_gone(void)
{
	int64_t restarts = e2e_vm_int(&e, "a", "restarts");
	CU_ASSERT_EQUAL_FATAL(rename(program, away), 0);
	kill_renderer("a");
	CU_ASSERT_TRUE(log_says("a: starting ", "No such file"));
	CU_ASSERT_TRUE(log_says("a: no renderer: ", "trying again"));
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "a", "renderer_ready"), 0);
	bystander_check(cluster);
	CU_ASSERT_EQUAL(rename(away, program), 0);
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "renderer_ready", 1));
	CU_ASSERT_EQUAL(e2e_vm_int(&e, "a", "restarts"), restarts + 1);
	check_serves();
	bystander_check(cluster);
}

/* Again and again, as soon as it runs. */
static void test_dies_early(void)
{
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_TRUE(wait_other("a", kill_renderer("a")));
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "renderer_ready", 1));
	check_serves();
	bystander_check(cluster);
}

/* A guest resets its device, or hangs up, while the renderer for it is still on its way. */
static void test_front_end_meanwhile(void)
{
	struct tg_vm vm;
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL_FATAL(tg_vm_open(&vm, e2e_socket(&e, "a"), NULL), 0);
		kill_renderer("a");
		e2e_sleep_ms(i * 20);
		if (i % 2)
			CU_ASSERT_EQUAL(
				tg_front_set(&vm.front, BN_VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
		tg_vm_close(&vm);
	}
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "renderer_ready", 1));
	check_serves();
	bystander_check(cluster);
}

/* The service stops while a start is due again and again. */
static void test_stop(void)
{
	bystander_stop(cluster);
	cluster = NULL;
	CU_ASSERT_EQUAL(rename(program, away), 0);
	kill_renderer("a");
	kill_renderer("b");
	CU_ASSERT_TRUE(log_says("b: starting ", "No such file"));
	e2e_close(&e);
	unlink(away);
	rmdir(dir);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"a program of its own", test_copy},
		{"service stops while renderers start", test_stop_at_once},
		{"service starts", test_start},
		{"program gone", test_program_gone},
		{"dies before it is ready", test_dies_early},
		{"front end meanwhile", test_front_end_meanwhile},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("start", tests);
}
