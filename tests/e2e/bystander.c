#include "bystander.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct bystander {
	struct e2e *e;
	char name[32];
	struct tg_vm vm;
	struct tg_image image;
	uint32_t w, h;
	pthread_t thread;
	unsigned frames, errors; /* atomics */
	bool stop;               /* atomic */
};

static void *run(void *data)
{
	struct bystander *b = data;
	uint32_t *pixels = calloc((size_t)b->w * b->h, 4);
	for (uint32_t i = 0; pixels && !__atomic_load_n(&b->stop, __ATOMIC_RELAXED); i++) {
		struct virtio_gpu_rect all = tg_rect(0, 0, b->w, b->h);
		tg_pattern(pixels, b->w, b->h, i);
		tg_image_write(&b->image, pixels);
		bool ok = tg_transfer_2d(&b->vm, 1, all, 0) == VIRTIO_GPU_RESP_OK_NODATA &&
			  tg_finish(tg_flush_async(&b->vm, 1, all), NULL, 0) ==
				  VIRTIO_GPU_RESP_OK_NODATA;
		__atomic_add_fetch(ok ? &b->frames : &b->errors, 1, __ATOMIC_RELAXED);
		if (!ok)
			break;
	}
	free(pixels);
	return NULL;
}

struct bystander *bystander_start(struct e2e *e, const char *vm, uint32_t w, uint32_t h)
{
	struct bystander *b = calloc(1, sizeof(*b));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->e = e;
	b->w = w;
	b->h = h;
	snprintf(b->name, sizeof(b->name), "%s", vm);
	CU_ASSERT_EQUAL_FATAL(tg_vm_open(&b->vm, e2e_socket(e, vm), NULL), 0);
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&b->image, &b->vm, -1, w, h), 0);
	E2E_OK(tg_image_resource(&b->image, 1));
	E2E_OK(tg_set_scanout(&b->vm, 0, 1, tg_rect(0, 0, w, h)));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&b->thread, NULL, run, b), 0);
	bystander_check(b);
	return b;
}

void bystander_check(struct bystander *b)
{
	int64_t before = e2e_vm_int(b->e, b->name, "frames_presented");
	CU_ASSERT_TRUE(before >= 0);
	CU_ASSERT_TRUE(e2e_vm_wait(b->e, b->name, "frames_presented", before + 3));
	CU_ASSERT_EQUAL(__atomic_load_n(&b->errors, __ATOMIC_RELAXED), 0);
}

void bystander_stop(struct bystander *b)
{
	if (!b)
		return;
	__atomic_store_n(&b->stop, true, __ATOMIC_RELAXED);
	pthread_join(b->thread, NULL);
	CU_ASSERT_EQUAL(b->errors, 0);
	CU_ASSERT_TRUE(b->frames > 0);
	CU_ASSERT_EQUAL(b->vm.ring[TG_CONTROL].strays, 0);
	tg_image_finish(&b->image);
	tg_vm_close(&b->vm);
	free(b);
}
