/* Renderers and front ends that die: the VM behind a killed renderer keeps its picture and goes on,
 * a killed VMM leaves nothing behind, a renderer that hangs does not hang the service. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bystander.h"
#include "gl_target.h"

#define W 160u
#define H 120u
#define WORDS 2048
#define RED 0xff0000u

static struct e2e e;
static struct tg_vm vm;
/* What it shows: resource 1. */
static struct tg_image image;
static uint32_t pixels[W * H];
static uint32_t words[WORDS] __attribute__((aligned(8)));

static const char config[] = "[output main]\nmode=160x120@60\n"
			     "[output slow]\nmode=160x120@1\n"
			     "[output dash]\nmode=128x96@60\n"
			     "[vm a]\nscanout.0=main\nscanout.1=slow\n"
			     "[vm cluster]\nscanout.0=dash\ngl=no\n";

static void test_start(void)
{
	e2e_open(&e, config);
}

static void test_stop(void)
{
	e2e_close(&e);
}

static bool guest_open(void)
{
	int err = tg_vm_open(&vm, e2e_socket(&e, "a"), NULL);
	CU_ASSERT_EQUAL(err, 0);
	if (err)
		tg_vm_close(&vm);
	return !err;
}

static pid_t renderer(void)
{
	CU_ASSERT_TRUE(e2e_vm_wait(&e, "a", "renderer_pid", 1));
	return (pid_t)e2e_vm_int(&e, "a", "renderer_pid");
}

static bool is_error(uint32_t type)
{
	return type >= VIRTIO_GPU_RESP_ERR_UNSPEC;
}

static void flush_main(uint32_t res)
{
	E2E_OK(tg_finish(tg_flush_async(&vm, res, tg_rect(0, 0, W, H)), NULL, 0));
}

static void check_shown(void)
{
	CU_ASSERT_EQUAL(e2e_differences(&e, "main", pixels, 0, 0, W, H), 0);
}

static void show(uint32_t seed)
{
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vm, -1, W, H), 0);
	tg_pattern(pixels, W, H, seed);
	tg_image_write(&image, pixels);
	E2E_OK(tg_image_resource(&image, 1));
	E2E_OK(tg_transfer_2d(&vm, 1, tg_rect(0, 0, W, H), 0));
	E2E_OK(tg_set_scanout(&vm, 0, 1, tg_rect(0, 0, W, H)));
	flush_main(1);
	check_shown();
}

/* A guest that shows something. */
static bool begin(uint32_t seed)
{
	if (!guest_open())
		return false;
	show(seed);
	return true;
}

static void end(void)
{
	tg_image_finish(&image);
	tg_vm_close(&vm);
}

/* Killed while flushes wait for a display: each is answered exactly once, the last frame stays, and
 * the resources are there again. */
static void test_kill_2d(void)
{
	struct tg_request *requests[30];
	if (!begin(1))
		return;
	E2E_OK(tg_set_scanout(&vm, 1, 1, tg_rect(0, 0, W, H)));
	for (unsigned round = 0; round < 3; round++) {
		int64_t restarts = e2e_vm_int(&e, "a", "restarts");
		for (unsigned i = 0; i < 30; i++)
			requests[i] = tg_flush_async(&vm, 1, tg_rect(0, 0, W, H));
		CU_ASSERT_EQUAL(kill(renderer(), SIGKILL), 0);
		check_shown();
		for (unsigned i = 0; i < 30; i++) {
			uint32_t type = tg_finish(requests[i], NULL, 0);
			CU_ASSERT_TRUE(type == VIRTIO_GPU_RESP_OK_NODATA || is_error(type));
		}
		CU_ASSERT_EQUAL(vm.outstanding, 0);
		CU_ASSERT_EQUAL(vm.ring[TG_CONTROL].strays, 0);
		CU_ASSERT_EQUAL(e2e_vm_int(&e, "a", "restarts"), restarts + 1);
		/* Only a flush, no transfer: what shows comes from the backing. */
		flush_main(1);
		check_shown();
		tg_pattern(pixels, W, H, 2 + round);
		tg_image_write(&image, pixels);
		E2E_OK(tg_transfer_2d(&vm, 1, tg_rect(0, 0, W, H), 0));
		flush_main(1);
		check_shown();
	}
	E2E_OK(tg_unref(&vm, 1));
	end();
}

/* Killed again and again at any point of a stream of cheap commands. */
static void test_kill_anywhere(void)
{
	if (!guest_open())
		return;
	unsigned answered = 0, errors = 0, kills = 0;
	uint64_t next = tg_now_ns() + 30000000;
	for (unsigned round = 0; kills < 4 || round % 50; round++) {
		struct tg_request *requests[40];
		unsigned n = 0;
		for (; n < 40; n++) {
			struct virtio_gpu_ctrl_hdr hdr = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
			struct iovec out = {&hdr, sizeof(hdr)};
			tg_fence(&vm, &hdr);
			requests[n] = tg_submit(&vm, TG_CONTROL, &out, 1, 408);
			if (!requests[n])
				break;
		}
		/* Slowly enough not to be taken for a renderer that cannot live. */
		if (kills < 4 && tg_now_ns() > next) {
			kill(renderer(), SIGKILL);
			kills++;
			next = tg_now_ns() + 1200000000;
		}
		for (unsigned i = 0; i < n; i++) {
			uint32_t type = tg_finish(requests[i], NULL, 0);
			CU_ASSERT_TRUE_FATAL(
				type == VIRTIO_GPU_RESP_OK_DISPLAY_INFO || is_error(type));
			answered++;
			errors += is_error(type);
		}
	}
	CU_ASSERT_TRUE(answered > 0 && errors <= 4 * 40);
	CU_ASSERT_EQUAL(vm.ring[TG_CONTROL].strays, 0);
	CU_ASSERT_EQUAL(vm.outstanding, 0);
	tg_vm_close(&vm);
}

static void check_red(struct gl_target *t)
{
	static uint32_t red[W * H];
	for (uint32_t i = 0; i < W * H; i++)
		red[i] = RED;
	E2E_OK(gl_target_clear(t, RED));
	E2E_OK(gl_target_read(t, pixels));
	CU_ASSERT_EQUAL(gl_target_wrong(t, pixels, red), 0);
	E2E_OK(tg_set_scanout(&vm, 0, t->res, tg_rect(0, 0, W, H)));
	flush_main(t->res);
	CU_ASSERT_EQUAL(e2e_differences(&e, "main", red, 0, 0, W, H), 0);
}

/* Killed in the middle of GL work: the old context says that it is lost, as long as it lives; a new
 * one draws. */
static void test_kill_gl(void)
{
	struct gl_target before, after;
	struct tg_request *requests[30];
	struct bn_virgl_stream s;
	float rgba[4] = {0, 1, 0, 1};
	if (!guest_open())
		return;
	if (!(vm.front.features & (1ull << VIRTIO_GPU_F_VIRGL))) {
		tg_vm_close(&vm);
		return;
	}
	gl_target_init(&before, &vm, 1, 10, W, H);
	check_red(&before);
	bn_virgl_init(&s, words, WORDS);
	for (unsigned i = 0; i < 50; i++)
		bn_virgl_clear(&s, rgba);
	for (unsigned i = 0; i < 30; i++)
		requests[i] = tg_submit_3d_async(&vm, 1, -1, s.words, s.count * 4);
	CU_ASSERT_EQUAL(kill(renderer(), SIGKILL), 0);
	for (unsigned i = 0; i < 30; i++) {
		uint32_t type = tg_finish(requests[i], NULL, 0);
		CU_ASSERT_TRUE(type == VIRTIO_GPU_RESP_OK_NODATA || is_error(type));
	}
	CU_ASSERT_EQUAL(vm.ring[TG_CONTROL].strays, 0);
	E2E_ANSWER(gl_target_clear(&before, RED), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	E2E_ANSWER(gl_target_clear(&before, RED), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	gl_target_init(&after, &vm, 2, 20, W, H);
	check_red(&after);
	/* The driver tidies up after its lost context. */
	E2E_OK(tg_ctx_destroy(&vm, 1));
	E2E_OK(tg_unref(&vm, 10));
	gl_target_finish(&before);
	gl_target_init(&before, &vm, 1, 10, W, H);
	check_red(&before);
	gl_target_finish(&before);
	gl_target_finish(&after);
	tg_vm_close(&vm);
}

/* The cursor is part of what comes back. */
static void test_kill_cursor(void)
{
	struct tg_image arrow;
	static uint32_t cursor[64 * 64];
	if (!begin(30))
		return;
	tg_pattern(cursor, 64, 64, 31);
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&arrow, &vm, -1, 64, 64), 0);
	tg_image_write(&arrow, cursor);
	E2E_OK(tg_create_2d(&vm, 2, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64));
	E2E_OK(tg_attach(&vm, 2, arrow.entries, arrow.pages));
	E2E_OK(tg_transfer_2d(&vm, 2, tg_rect(0, 0, 64, 64), 0));
	E2E_OK(tg_cursor_update(&vm, 0, 20, 30, 2, 0, 0));
	CU_ASSERT_EQUAL(kill(renderer(), SIGKILL), 0);
	E2E_OK(tg_cursor_move(&vm, 0, 40, 50));
	for (uint32_t y = 0; y < 64; y++)
		memcpy(&pixels[(50 + y) * W + 40], &cursor[y * 64], 64 * 4);
	flush_main(1);
	e2e_sleep_ms(50);
	check_shown();
	tg_image_finish(&arrow);
	end();
}

/* Killed while its connection is being set up. */
static void test_kill_early(void)
{
	for (unsigned round = 0; round < 3; round++) {
		CU_ASSERT_EQUAL_FATAL(tg_vm_prepare(&vm, NULL), 0);
		if (round == 0)
			kill(renderer(), SIGKILL);
		CU_ASSERT_EQUAL(tg_vm_connect(&vm, e2e_socket(&e, "a")), 0);
		if (round == 1)
			kill(renderer(), SIGKILL);
		CU_ASSERT_EQUAL(tg_vm_announce(&vm), 0);
		if (round == 2)
			kill(renderer(), SIGKILL);
		CU_ASSERT_EQUAL(tg_vm_start(&vm), 0);
		show(40 + round);
		end();
		e2e_sleep_ms(1100); /* not taken for one that cannot live */
	}
}

/* A VMM in a process of its own, which shows a frame and works on until it is killed. */
static void vmm(int ready)
{
	if (tg_vm_open(&vm, e2e_socket(&e, "a"), NULL) || tg_image_init(&image, &vm, -1, W, H))
		_exit(1);
	tg_pattern(pixels, W, H, 50);
	tg_image_write(&image, pixels);
	tg_image_resource(&image, 1);
	tg_transfer_2d(&vm, 1, tg_rect(0, 0, W, H), 0);
	tg_set_scanout(&vm, 0, 1, tg_rect(0, 0, W, H));
	tg_ctx_create(&vm, 1, VIRTIO_GPU_CAPSET_VIRGL2, "doomed");
	tg_flush(&vm, 1, tg_rect(0, 0, W, H));
	if (write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		tg_finish(tg_flush_async(&vm, 1, tg_rect(0, 0, W, H)), NULL, 0);
}

static void test_kill_front_end(void)
{
	for (unsigned round = 0; round < 3; round++) {
		char byte;
		int ready[2];
		CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(ready[0]);
			vmm(ready[1]);
		}
		close(ready[1]);
		CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		CU_ASSERT_TRUE(e2e_vm_int(&e, "a", "resources") > 0);
		CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
		CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
		if (round == 0) { /* the next one comes at once in the other rounds */
			CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "guest_memory_bytes", 0));
			CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "buffers", 0));
			CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "resources", 0));
			CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "contexts", 0));
		}
		if (!guest_open())
			return;
		E2E_ANSWER(tg_unref(&vm, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		show(60 + round);
		end();
	}
}

/* What a VM takes on the host is given back when its front end goes. */
static void test_baseline(void)
{
	int64_t rss[6];
	for (unsigned i = 0; i < 6; i++) {
		if (!begin(70 + i))
			return;
		for (uint32_t k = 0; k < 8; k++)
			E2E_OK(tg_create_2d(
				&vm, 100 + k, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 1024, 1024));
		end();
		CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "guest_memory_bytes", 0));
		CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "a", "resource_bytes", 0));
		rss[i] = e2e_memory_kb(e.daemon, "Rss");
	}
	/* Half a MiB is what a heap may wander. */
	CU_ASSERT_TRUE(rss[5] <= rss[1] + 512);
}

static void test_hang(void)
{
	struct bystander *cluster = bystander_start(&e, "cluster", 128, 96);
	if (!begin(80))
		return;
	pid_t pid = renderer();
	CU_ASSERT_EQUAL(kill(pid, SIGSTOP), 0);
	struct tg_request *flush = tg_flush_async(&vm, 1, tg_rect(0, 0, W, H));
	for (unsigned i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(e2e_vm_int(&e, "a", "renderer_pid"), pid);
		check_shown();
	}
	bystander_check(cluster);
	CU_ASSERT_FALSE(tg_done(flush));
	CU_ASSERT_EQUAL(kill(pid, SIGCONT), 0);
	E2E_OK(tg_finish(flush, NULL, 0));
	/* Stopped for good, and its front end gone: the next one is served. */
	CU_ASSERT_EQUAL(kill(pid, SIGSTOP), 0);
	end();
	if (guest_open()) {
		show(81);
		end();
	}
	bystander_check(cluster);
	bystander_stop(cluster);
}

/* Each leave and each reset costs the service a new renderer: not more than 20 of them in a second,
 * though one without GL is there in a few milliseconds. */
static void test_comes_and_goes(void)
{
	struct timespec first, last;
	clock_gettime(CLOCK_MONOTONIC, &first);
	for (unsigned i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(tg_vm_open(&vm, e2e_socket(&e, "cluster"), NULL), 0);
		tg_vm_close(&vm);
	}
	clock_gettime(CLOCK_MONOTONIC, &last);
	long ms = (last.tv_sec - first.tv_sec) * 1000 + (last.tv_nsec - first.tv_nsec) / 1000000;
	printf("(%ld ms) ", ms);
	CU_ASSERT(ms >= 9 * 50 - 10);
}

/* A front end waits for memory and rings with its processors stopped: a renderer that does not
 * answer is replaced under it. */
static void test_no_answer(void)
{
	struct bystander *cluster = bystander_start(&e, "cluster", 128, 96);
	if (!begin(82))
		return;
	pid_t pid = renderer();
	CU_ASSERT_EQUAL(kill(pid, SIGSTOP), 0);
	CU_ASSERT(tg_vm_stop_ring(&vm, 0) >= 0);
	CU_ASSERT_NOT_EQUAL(renderer(), pid);
	check_shown();
	bystander_check(cluster);
	end();
	bystander_stop(cluster);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", test_start},
		{"renderer killed, 2D in flight", test_kill_2d},
		{"renderer killed anywhere", test_kill_anywhere},
		{"renderer killed, GL in flight", test_kill_gl},
		{"renderer killed, cursor shown", test_kill_cursor},
		{"renderer killed during set-up", test_kill_early},
		{"front end killed", test_kill_front_end},
		{"memory goes back", test_baseline},
		{"renderer stopped", test_hang},
		{"front end that comes and goes", test_comes_and_goes},
		{"renderer that does not answer", test_no_answer},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("restart", tests);
}
