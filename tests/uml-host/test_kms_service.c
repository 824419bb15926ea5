/* A whole service whose displays fail: one is unplugged, another program takes the card. Guests go on, the other display
 * notices nothing, the watchdog raises no alarm, and afterwards the hardware shows the right pictures. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xf86drm.h>

#include "service_rig.h"

#define ROUNDS 3

static void test_start(void)
{
	service_open();
	CU_ASSERT_TRUE(is_looked_at("warning"));
}

/* ---- a display drops out ---- */

static void plug(bool plugged)
{
	CU_ASSERT_TRUE(kms_card_plug(0, plugged));
	CU_ASSERT_TRUE(output_becomes("dash", "connected", plugged));
	CU_ASSERT_TRUE(output_becomes("dash", "active", plugged));
}

static void test_unplug(void)
{
	int64_t failures = all_failures(), failed = output_int("other", "failed");
	int64_t late = output_int("other", "late"), flips = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		plug(false);
		int64_t before = output_int("other", "flips"), dark = output_int("dash", "commits");

		stay_paused(failures);
		CU_ASSERT_EQUAL(ctl("watchdog", NULL, NULL), 0);
		says("paused: output inactive");
		CU_ASSERT_TRUE(output_int("other", "flips") > before + 5);
		flips += output_int("other", "flips") - before;
		CU_ASSERT_EQUAL(output_int("dash", "commits"), dark);
		CU_ASSERT_TRUE(other_is_right());
		CU_ASSERT_TRUE(is_in("far", "live"));
		plug(true);
		come_back(failures);
	}
	CU_ASSERT_EQUAL(output_int("dash", "unplugged"), ROUNDS);
	CU_ASSERT_EQUAL(output_int("other", "unplugged"), 0);
	CU_ASSERT_EQUAL(output_int("other", "failed"), failed);
	printf("(the other display: %lld flips meanwhile, %lld late in all) ", (long long)flips,
		(long long)(output_int("other", "late") - late));
}

/* The guest stops while nobody can see it, and goes on in time. */
static void test_unplug_still(void)
{
	int64_t failures = all_failures();

	plug(false);
	await("alive", "paused", false);
	e2e_sleep_ms(2000);
	CU_ASSERT_TRUE(is_in("alive", "paused"));
	plug(true);
	come_back(failures);
	/* And the watch has not gone to sleep for good. */
	cluster.fault = TG_CLUSTER_WRONG;
	await("warning", "fallback", true);
	CU_ASSERT_TRUE(pixel_is(20, 20, WARNING));
	cluster.fault = TG_CLUSTER_WELL;
	await_all_live();
	CU_ASSERT_TRUE(screen_is_live());
	CU_ASSERT_EQUAL(all_failures(), failures + 1);
}

/* ---- another program ---- */

static void test_second_instance(void)
{
	char ini[2 * E2E_PATH],
		*argv[] = {(char *)e2e_program("BINNACLED"), (char *)"-c", ini, NULL};
	int64_t failures = all_failures();

	snprintf(ini, sizeof(ini), "%s/second.ini", e.dir);
	FILE *f = fopen(ini, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fprintf(f,
		"[core]\nruntime-dir=%s/second\n[output mine]\nbackend=kms\ncard=/dev/dri/card0\n"
		"[vm guest]\nscanout.0=mine\n",
		e.dir);
	fclose(f);
	CU_ASSERT_TRUE(e2e_run(argv, out, sizeof(out)) == 1);
	says("/dev/dri/card0 is in use by another program (a display server, or a second "
	     "binnacled): "
	     "stop that one, or name another card=");
	CU_ASSERT_TRUE(output_int("dash", "active") == 1 && output_int("other", "active") == 1);
	CU_ASSERT_TRUE(is_in("warning", "live"));
	come_back(failures);
}

/* The service's own file of the card, as only root may have it. */
static int service_card(void)
{
	char path[64], node[64];
	long process = syscall(SYS_pidfd_open, e.daemon, 0);
	int found = -1;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)e.daemon);
	DIR *d = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	for (struct dirent *entry; found < 0 && (entry = readdir(d));) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, node, sizeof(node) - 1);

		if (n <= 0)
			continue;
		node[n] = '\0';
		if (strcmp(node, "/dev/dri/card0") == 0)
			found = (int)syscall(SYS_pidfd_getfd, (int)process, atoi(entry->d_name), 0);
	}
	closedir(d);
	close((int)process);
	CU_ASSERT_FATAL(found >= 0);
	return found;
}

static void test_master_lost(void)
{
	int64_t failures = all_failures();
	int theirs = service_card(), ours = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);

	CU_ASSERT_FATAL(ours >= 0);
	CU_ASSERT_TRUE(drmIsMaster(theirs));
	CU_ASSERT_EQUAL(drmDropMaster(theirs), 0);
	CU_ASSERT_EQUAL(drmSetMaster(ours), 0);
	draw_both(2);
	CU_ASSERT_TRUE(output_becomes("dash", "active", 0));
	CU_ASSERT_TRUE(output_becomes("other", "active", 0));
	stay_paused(failures);
	CU_ASSERT_TRUE(drmIsMaster(ours));
	close(ours);
	CU_ASSERT_TRUE(output_becomes("dash", "active", 1));
	CU_ASSERT_TRUE(output_becomes("other", "active", 1));
	CU_ASSERT_TRUE(drmIsMaster(theirs));
	close(theirs);
	come_back(failures);
}

static bool is_logged(const char *text)
{
	static char log[65536];
	FILE *f = fopen(e.log, "r");
	size_t n = f ? fread(log, 1, sizeof(log) - 1, f) : 0;

	log[n] = '\0';
	if (f)
		fclose(f);
	if (!strstr(log, text))
		fprintf(stderr, "\n\"%s\" is not in the log:\n%s\n", text, log);
	return strstr(log, text);
}

static void test_log(void)
{
	CU_ASSERT_TRUE(is_logged("/dev/dri/card0: another program has become its DRM master"));
	CU_ASSERT_TRUE(is_logged("/dev/dri/card0: it is ours again"));
}

static void test_stop(void)
{
	service_close();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"service and guests start", test_start},
		{"a display is unplugged and returns", test_unplug},
		{"… while its guest draws nothing", test_unplug_still},
		{"a second instance", test_second_instance},
		{"another program becomes master and goes", test_master_lost},
		{"what the log says of it", test_log},
		{"service stops", test_stop},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("kms_service", tests);
}
