#include "unit.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FDS 1024

struct fd_set_seen {
	bool open[MAX_FDS];
};

static void fds_look(struct fd_set_seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	DIR *dir = opendir("/proc/self/fd");
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		int fd = atoi(entry->d_name);
		if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < MAX_FDS)
			seen->open[fd] = true;
	}
	closedir(dir);
}

/* Names each fd that is open now and was not before, or the other way round. */
static int fds_compare(const struct fd_set_seen *before, const struct fd_set_seen *after)
{
	int differences = 0;
	for (int fd = 0; fd < MAX_FDS; fd++) {
		if (before->open[fd] == after->open[fd])
			continue;
		char link[64], target[256] = "?";
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (after->open[fd] && readlink(link, target, sizeof(target) - 1) < 0)
			target[0] = '\0';
		fprintf(stderr, "fd %d (%s) %s\n", fd, target,
			after->open[fd] ? "leaked" : "was open before the tests and is closed now");
		differences++;
	}
	return differences;
}

void bn_unit_no_dmabuf(void)
{
	printf("(no dma-bufs on this machine, not run) ");
	CU_ASSERT_PTR_NULL(getenv("BN_TEST_DMABUF"));
}

int bn_unit_main(const char *suite, const CU_TestInfo *tests)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	CU_pSuite s = CU_add_suite(suite, NULL, NULL);
	for (const CU_TestInfo *t = tests; s && t->pName; t++) {
		if (!CU_add_test(s, t->pName, t->pTestFunc)) {
			fprintf(stderr, "%s: %s\n", t->pName, CU_get_error_msg());
			s = NULL;
		}
	}
	struct fd_set_seen before, after;
	fds_look(&before);
	int ok = s != NULL;
	if (ok) {
		CU_basic_set_mode(CU_BRM_VERBOSE);
		ok = CU_basic_run_tests() == CUE_SUCCESS && CU_get_number_of_failures() == 0 &&
		     CU_get_number_of_tests_run() > 0;
	}
	fds_look(&after);
	ok = fds_compare(&before, &after) == 0 && ok;
	CU_cleanup_registry();
	return ok ? 0 : 1;
}
