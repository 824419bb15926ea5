#include "dash.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "app.h"

#define COLOUR 0x004080u /* the red channel counts frames */

struct dash {
	struct e2e *e;
	char name[32], output[32];
	struct tg_vm vm;
	struct tg_app app;
	pthread_t thread;
	bool stop;               /* atomic, as all below */
	unsigned frames, errors;
	uint64_t worst_ns, last_ns;
};

static bool frame(struct dash *d, uint32_t count)
{
	struct tg_app *app = &d->app;
	struct tg_request *submit, *flush;

	tg_app_begin(app);
	tg_app_fill(app, 2, 4);
	tg_app_clear(app, COLOUR | (count & 0xff) << 16);
	submit = tg_app_submit_async(app);
	flush = tg_app_flush_async(app);
	return (int)(tg_finish(submit, NULL, 0) == VIRTIO_GPU_RESP_OK_NODATA) &
	       (int)(tg_finish(flush, NULL, 0) == VIRTIO_GPU_RESP_OK_NODATA);
}

static void *run(void *data)
{
	struct dash *d = data;
	const struct sched_param param = {.sched_priority = 10};

	/* As a hypervisor runs a safety VM: behind the service, before other guests. Where it may not, what
	 * else the machine does is measured, too. */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);

	for (uint32_t i = 0; !__atomic_load_n(&d->stop, __ATOMIC_RELAXED); i++) {
		bool ok = frame(d, i);
		uint64_t now = tg_now_ns();
		uint64_t last = __atomic_exchange_n(&d->last_ns, now, __ATOMIC_RELAXED);

		if (last && now - last > __atomic_load_n(&d->worst_ns, __ATOMIC_RELAXED))
			__atomic_store_n(&d->worst_ns, now - last, __ATOMIC_RELAXED);
		__atomic_add_fetch(ok ? &d->frames : &d->errors, 1, __ATOMIC_RELAXED);
		if (!ok)
			break;
	}
	return NULL;
}

struct dash *dash_start(struct e2e *e, const char *vm, const char *output, uint32_t w, uint32_t h)
{
	struct dash *d = calloc(1, sizeof(*d));

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	d->e = e;
	snprintf(d->name, sizeof(d->name), "%s", vm);
	snprintf(d->output, sizeof(d->output), "%s", output);
	CU_ASSERT_EQUAL_FATAL(tg_vm_open(&d->vm, e2e_socket(e, vm), NULL), 0);
	CU_ASSERT_EQUAL_FATAL(tg_app_init(&d->app, &d->vm, 1, 10, w, h), 0);
	E2E_OK(tg_app_show(&d->app, 0));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&d->thread, NULL, run, d), 0);
	CU_ASSERT_TRUE(dash_wait(d, 10));
	return d;
}

void dash_mark(struct dash *d)
{
	__atomic_store_n(&d->frames, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&d->worst_ns, 0, __ATOMIC_RELAXED);
}

bool dash_wait(struct dash *d, unsigned n)
{
	unsigned from = __atomic_load_n(&d->frames, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < 2000; i++) {
		if (__atomic_load_n(&d->frames, __ATOMIC_RELAXED) - from >= n)
			return true;
		e2e_sleep_ms(10);
	}
	return false;
}

uint64_t dash_worst_ns(const struct dash *d, unsigned *frames)
{
	if (frames)
		*frames = __atomic_load_n(&d->frames, __ATOMIC_RELAXED);
	return __atomic_load_n(&d->worst_ns, __ATOMIC_RELAXED);
}

static unsigned wrong_pixels(const uint32_t *pixels, uint32_t n)
{
	unsigned wrong = 0;

	for (uint32_t i = 0; i < n; i++)
		wrong += pixels[i] != pixels[0] || (pixels[i] & 0xffff) != COLOUR;
	return wrong;
}

void dash_check(struct dash *d)
{
	uint32_t w = 0, h = 0;
	uint32_t *pixels;

	CU_ASSERT_TRUE(dash_wait(d, 10));
	CU_ASSERT_EQUAL(__atomic_load_n(&d->errors, __ATOMIC_RELAXED), 0);
	pixels = e2e_screenshot(d->e, d->output, &w, &h);
	CU_ASSERT_PTR_NOT_NULL(pixels);
	if (pixels)
		CU_ASSERT_EQUAL(wrong_pixels(pixels, w * h), 0);
	free(pixels);
}

void dash_stop(struct dash *d)
{
	if (!d)
		return;
	__atomic_store_n(&d->stop, true, __ATOMIC_RELAXED);
	pthread_join(d->thread, NULL);
	CU_ASSERT_EQUAL(d->errors, 0);
	tg_app_finish(&d->app);
	tg_vm_close(&d->vm);
	free(d);
}
