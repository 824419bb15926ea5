/* What every unit test program of Binnacle has in common. */
#ifndef BN_TESTS_UNIT_H
#define BN_TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

/* Runs the tests (an array that ends with CU_TEST_INFO_NULL) verbosely as one suite. Returns 0,
 * or 1 when a test failed, CUnit could not run them, or the process has other fds open
 * afterwards than before (each is named on stderr). Meant to be the return value of main(). */
int bn_unit_main(const char *suite, const CU_TestInfo *tests);

/* For a test that finds no way to make dma-bufs and passes over what needs them: says so, and fails where
 * BN_TEST_DMABUF is set, which promises that there is one (tests/uml-host). */
void bn_unit_no_dmabuf(void);

#endif
