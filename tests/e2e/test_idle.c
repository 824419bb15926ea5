/* Eight VMs that do nothing cost nothing: no wake-ups, bounded memory. */
#include <stdio.h>
#include <string.h>

#include "harness.h"

#define VMS 8u
#define W 320u
#define H 240u

static struct e2e e;
static struct tg_vm vms[VMS];
static bool open_vms[VMS];

static void test_start(void)
{
	char ini[2048] = "";
	for (unsigned i = 0; i < VMS; i++)
		snprintf(ini + strlen(ini), sizeof(ini) - strlen(ini),
			"[output o%u]\nmode=320x240@60\n[vm v%u]\nscanout.0=o%u\n", i, i, i);
	e2e_open(&e, ini);
}

static void test_stop(void)
{
	for (unsigned i = 0; i < VMS; i++) {
		if (open_vms[i])
			tg_vm_close(&vms[i]);
	}
	e2e_close(&e);
}

/* Each guest shows a frame and its cursor, then sleeps. */
static void test_frames(void)
{
	static uint32_t pixels[W * H];
	for (unsigned i = 0; i < VMS; i++) {
		char name[8];
		struct tg_image image;
		snprintf(name, sizeof(name), "v%u", i);
		CU_ASSERT_EQUAL_FATAL(tg_vm_open(&vms[i], e2e_socket(&e, name), NULL), 0);
		open_vms[i] = true;
		CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, &vms[i], -1, W, H), 0);
		tg_pattern(pixels, W, H, i);
		tg_image_write(&image, pixels);
		E2E_OK(tg_image_resource(&image, 1));
		E2E_OK(tg_transfer_2d(&vms[i], 1, tg_rect(0, 0, W, H), 0));
		E2E_OK(tg_set_scanout(&vms[i], 0, 1, tg_rect(0, 0, W, H)));
		E2E_OK(tg_finish(tg_flush_async(&vms[i], 1, tg_rect(0, 0, W, H)), NULL, 0));
		E2E_OK(tg_cursor_move(&vms[i], 0, 1, 1));
		snprintf(name, sizeof(name), "o%u", i);
		CU_ASSERT_EQUAL(e2e_differences(&e, name, pixels, 0, 0, W, H), 0);
		tg_image_finish(&image);
	}
}

static int64_t wakeups(const pid_t *pids, unsigned n)
{
	int64_t sum = e2e_wakeups(e.daemon);
	for (unsigned i = 0; i < n; i++)
		sum += e2e_wakeups(pids[i]);
	return sum;
}

static void test_wakeups(void)
{
	pid_t pids[64];
	unsigned n = e2e_descendants(e.daemon, pids, 64);
	CU_ASSERT_TRUE(n >= VMS);
	e2e_sleep_ms(1500); /* what the last frames still cause */
	int64_t before = wakeups(pids, n);
	e2e_sleep_ms(2000);
	int64_t after = wakeups(pids, n);
	if (after != before) {
		fprintf(stderr, "\nwake-ups in 2 s: %lld\n", (long long)(after - before));
		for (unsigned i = 0; i <= n; i++) {
			pid_t pid = i < n ? pids[i] : e.daemon;
			int64_t first = e2e_wakeups(pid);
			e2e_sleep_ms(500);
			fprintf(stderr, "  process %d: %lld in 0.5 s\n", (int)pid,
				(long long)(e2e_wakeups(pid) - first));
		}
	}
	CU_ASSERT_EQUAL(after, before);
}

static void test_memory(void)
{
	pid_t pids[64];
	unsigned n = e2e_descendants(e.daemon, pids, 64);
	int64_t rss = e2e_memory_kb(e.daemon, "Rss"), pss = e2e_memory_kb(e.daemon, "Pss");
	fprintf(stderr, "\nbinnacled: %lld KiB RSS, %lld KiB PSS\n", (long long)rss,
		(long long)pss);
	for (unsigned i = 0; i < n; i++) {
		rss += e2e_memory_kb(pids[i], "Rss");
		pss += e2e_memory_kb(pids[i], "Pss");
	}
	fprintf(stderr, "with %u VMs: %lld MiB RSS, %lld MiB PSS\n", VMS, (long long)rss / 1024,
		(long long)pss / 1024);
	CU_ASSERT_TRUE(pss > 0 && pss < 1536 * 1024);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service starts", test_start},
		{"eight guests show frames", test_frames},
		{"no wake-ups", test_wakeups},
		{"memory", test_memory},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("idle", tests);
}
