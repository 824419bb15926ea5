/* Tests of the watchdog: each way in which the cluster's guest, renderer or VM fails. All is live
 * before each and after. */
#ifndef BN_E2E_WATCHDOG_FAULTS_H
#define BN_E2E_WATCHDOG_FAULTS_H

void test_haunted(void);
void test_renderer_dies_again(void);
void test_wrong(void);
void test_one_pixel(void);
void test_swapped(void);
void test_frozen(void);
void test_stale(void);
void test_missing(void);
void test_renderer_killed(void);
void test_guest_killed(void);

#endif
