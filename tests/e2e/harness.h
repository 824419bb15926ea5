/* What every end-to-end test has in common: a real binnacled with real renderers from the build
 * tree, in a folder of its own, started from an INI text and stopped with SIGTERM, after which
 * nothing of it may be left. The programs' paths come from the environment (BINNACLED,
 * BINNACLE_RENDERER, BINNACLECTL; tests/e2e/meson.build). Failures are CUnit assertions. One
 * thread. */
#ifndef BN_E2E_HARNESS_H
#define BN_E2E_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <json.h>
#include <CUnit/CUnit.h>

#include "gpu.h"
#include "unit.h"

#define E2E_PATH 160

struct e2e {
	char dir[64];
	char ini[E2E_PATH], log[E2E_PATH], control[E2E_PATH];
	pid_t daemon; /* 0: not running */
};

/* Makes the folder and writes the INI: a [core] section with runtime-dir, followed by the given
 * text. */
bool e2e_prepare(struct e2e *e, const char *ini);
/* Starts the service and waits until the control socket answers. For a closer look: E2E_LOG=LEVEL
 * in the environment becomes --log LEVEL, E2E_NO_SANDBOX=1 becomes --no-sandbox. */
bool e2e_start(struct e2e *e);
/* Both. */
bool e2e_open(struct e2e *e, const char *ini);
/* SIGTERM; exit status 0, no process and no socket left, all asserted. Removes the folder, but not
 * when something failed (its path is printed then). */
void e2e_close(struct e2e *e);

/* After the test itself killed the service: waits for what is left of it. */
void e2e_reap(struct e2e *e);

/* Runs a program to its end with stdout and stderr into out (NUL-terminated, cut at size). Returns
 * the exit status, or 128 + signal. */
int e2e_run(char *const argv[], char *out, size_t size);
/* $NAME, asserted. */
const char *e2e_program(const char *name);

/* Sends a command (JSON text) to the control socket. The answer is the caller's (json_object_put),
 * NULL at a failure; *fd, if asked for, is the fd that came with it or -1. */
struct json_object *e2e_control(struct e2e *e, const char *request, int *fd);
/* A field of a VM's status; path may go deeper with dots ("scanouts.0.width"). -1 when it is not
 * there. */
int64_t e2e_vm_int(struct e2e *e, const char *vm, const char *path);
/* Waits until that field is at least value; false at the deadline. */
bool e2e_vm_wait(struct e2e *e, const char *vm, const char *path, int64_t value);
/* … is exactly value. */
bool e2e_vm_wait_is(struct e2e *e, const char *vm, const char *path, int64_t value);
/* Path of a VM's socket. Valid until the next call. */
const char *e2e_socket(struct e2e *e, const char *vm);
/* The output's picture as XRGB pixels without the X byte (0x00RRGGBB), malloc'd; NULL at a failure.
 */
uint32_t *e2e_screenshot(struct e2e *e, const char *output, uint32_t *width, uint32_t *height);
/* The same of what is scanned out, from where the watchdog looks: source is "writeback", "composed" or
 * "layer", shown_ns the vblank that first showed it. NULL, and nothing said: not known now. */
uint32_t *e2e_scanout(struct e2e *e, const char *output, uint32_t *width, uint32_t *height,
	char source[16], uint64_t *shown_ns);
/* Pixels that differ (the X byte aside) between a picture (stride w) and the output's region at x,
 * y; all of them when there is no screenshot. */
uint32_t e2e_differences(struct e2e *e, const char *output, const uint32_t *want, uint32_t x,
	uint32_t y, uint32_t w, uint32_t h);

/* Entries in /proc/PID/fd; -1 when the process is not there. */
int e2e_fd_count(pid_t pid);
/* Sum of voluntary_ctxt_switches over all threads of a process. */
int64_t e2e_wakeups(pid_t pid);
/* A kB field of /proc/PID/smaps_rollup ("Rss", "Pss"). */
int64_t e2e_memory_kb(pid_t pid, const char *field);
/* Processes whose parent is pid, directly or over others; returns their number. */
unsigned e2e_descendants(pid_t pid, pid_t *out, unsigned max);
void e2e_sleep_ms(unsigned ms);

/* assert that a virtio-gpu answer is as wanted, naming both in the output. */
#define E2E_ANSWER(call, want) e2e_answer((call), (want), #call, __FILE__, __LINE__)
void e2e_answer(uint32_t got, uint32_t want, const char *call, const char *file, int line);
#define E2E_OK(call) E2E_ANSWER(call, VIRTIO_GPU_RESP_OK_NODATA)

#endif
