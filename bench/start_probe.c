/* start_probe BINNACLED RUNS: how fast the service comes up, one JSON line, milliseconds.
 *
 *   sockets   fork of binnacled → a VM's socket accepts a connection
 *   cold      connect at once after that (its renderer still starts) → the first scanout is on its output
 *   warm      the same once the renderer is ready, as when a VMM starts later
 *
 * The VM is the user-space guest of tests/guest: it has no boot of its own, so what is measured is the service. Its output refreshes at
 * 60 Hz, so up to 16.7 ms of "cold" and "warm" are the wait for the vblank. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "gpu.h"

#define WIDTH 640
#define HEIGHT 480
#define RUNS_MAX 1000

static char dir[] = "/tmp/binnacle-start.XXXXXX";
static char ini[64], sock[64];

static bool write_ini(void)
{
	snprintf(ini, sizeof(ini), "%s/binnacle.ini", dir);
	snprintf(sock, sizeof(sock), "%s/vm.sock", dir);
	FILE *f = fopen(ini, "w");
	if (!f)
		return false;
	fprintf(f,
		"[core]\nruntime-dir=%s\ncontrol-socket=%s/control\nlog=error\n"
		"[output display]\nbackend=headless\nmode=%dx%d@60\n[vm vm]\nscanout.0=display\n",
		dir, dir, WIDTH, HEIGHT);
	return fclose(f) == 0;
}

static pid_t spawn(const char *binnacled)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl(binnacled, binnacled, "-c", ini, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Milliseconds until the VM's socket accepts; the connection is closed again. -1 when the service ended. */
static double wait_socket(pid_t pid, uint64_t start)
{
	for (;;) {
		int fd = bn_unix_connect(sock, SOCK_STREAM);
		if (fd >= 0) {
			bn_fd_close(&fd);
			return (double)(bn_now_ns() - start) / 1e6;
		}
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return -1;
		usleep(200);
	}
}

/* Connects as a guest and shows a frame; milliseconds until its flush is answered, -1 on failure. */
static double first_scanout(void)
{
	struct tg_vm vm;
	struct tg_image image;
	uint64_t start = bn_now_ns();
	double ms = -1;

	if (tg_vm_open(&vm, sock, NULL) == 0 && tg_image_init(&image, &vm, -1, WIDTH, HEIGHT) == 0) {
		struct virtio_gpu_rect all = tg_rect(0, 0, WIDTH, HEIGHT);
		bool ok = tg_image_resource(&image, 1) == VIRTIO_GPU_RESP_OK_NODATA &&
			  tg_transfer_2d(&vm, 1, all, 0) == VIRTIO_GPU_RESP_OK_NODATA &&
			  tg_set_scanout(&vm, 0, 1, all) == VIRTIO_GPU_RESP_OK_NODATA &&
			  tg_finish(tg_flush_async(&vm, 1, all), NULL, 0) == VIRTIO_GPU_RESP_OK_NODATA;
		if (ok)
			ms = (double)(bn_now_ns() - start) / 1e6;
		tg_image_finish(&image);
	}
	tg_vm_close(&vm);
	return ms;
}

static bool stop(pid_t pid)
{
	int status;
	kill(pid, SIGTERM);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print(const char *name, double *v, int n, const char *end)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	printf("\"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}%s", name, v[n / 2], v[(n * 99) / 100 < n ? (n * 99) / 100 : n - 1],
		v[n - 1], end);
}

int main(int argc, char **argv)
{
	static double sockets[RUNS_MAX], cold[RUNS_MAX], warm[RUNS_MAX];
	int runs = argc == 3 ? atoi(argv[2]) : 0;
	int done = 0;

	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "usage: start_probe BINNACLED RUNS (1–%d)\n", RUNS_MAX);
		return 2;
	}
	if (!mkdtemp(dir) || !write_ini()) {
		fprintf(stderr, "start_probe: %s: %s\n", dir, strerror(errno));
		return 1;
	}
	for (; done < runs; done++) {
		uint64_t start = bn_now_ns();
		pid_t pid = spawn(argv[1]);
		sockets[done] = pid > 0 ? wait_socket(pid, start) : -1;
		cold[done] = sockets[done] >= 0 ? first_scanout() : -1;
		usleep(500000); /* the next renderer gets ready */
		warm[done] = cold[done] >= 0 ? first_scanout() : -1;
		if (pid <= 0 || !stop(pid) || warm[done] < 0) {
			fprintf(stderr, "start_probe: run %d failed\n", done);
			break;
		}
	}
	unlink(ini);
	rmdir(dir);
	if (done < runs)
		return 1;
	printf("{\"unit\": \"ms\", \"runs\": %d, ", runs);
	print("sockets", sockets, runs, ", ");
	print("cold", cold, runs, ", ");
	print("warm", warm, runs, "}\n");
	return 0;
}
