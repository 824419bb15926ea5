#include "gl_target.h"

#define WORDS 64

static uint32_t words[WORDS] __attribute__((aligned(8)));

static void draw_into(struct gl_target *t)
{
	struct bn_virgl_stream s;

	bn_virgl_init(&s, words, WORDS);
	bn_virgl_create_sub_ctx(&s, 1);
	bn_virgl_set_sub_ctx(&s, 1);
	bn_virgl_create_surface(&s, 1, t->res, BN_VIRGL_FORMAT_B8G8R8A8);
	bn_virgl_set_framebuffer(&s, 1);
	bn_virgl_set_viewport(&s, t->image.width, t->image.height);
	E2E_OK(gl_target_send(t, &s));
}

void gl_target_init(struct gl_target *t, struct tg_vm *vm, uint32_t ctx, uint32_t res, uint32_t w,
	uint32_t h)
{
	struct virtio_gpu_resource_create_3d args = tg_gl_picture(res, w, h);
	bool kinds = vm->front.features & (1ull << VIRTIO_GPU_F_CONTEXT_INIT);

	*t = (struct gl_target){.vm = vm, .ctx = ctx, .res = res};
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&t->image, vm, -1, w, h), 0);
	E2E_OK(tg_ctx_create(vm, ctx, kinds ? VIRTIO_GPU_CAPSET_VIRGL2 : 0, "test"));
	E2E_OK(tg_create_3d(vm, &args));
	E2E_OK(tg_attach(vm, res, t->image.entries, t->image.pages));
	E2E_OK(tg_ctx_attach(vm, ctx, res));
	draw_into(t);
}

void gl_target_finish(struct gl_target *t)
{
	tg_image_finish(&t->image);
}

uint32_t gl_target_send(struct gl_target *t, const struct bn_virgl_stream *s)
{
	CU_ASSERT_FALSE(s->overflow);
	return tg_submit_3d(t->vm, t->ctx, s->words, s->count * 4);
}

struct tg_request *gl_target_clear_async(struct gl_target *t, uint32_t colour)
{
	struct bn_virgl_stream s;
	float rgba[4];

	bn_virgl_colour(rgba, colour);
	bn_virgl_init(&s, words, WORDS);
	bn_virgl_clear(&s, rgba);
	CU_ASSERT_FALSE(s.overflow);
	return tg_submit_3d_async(t->vm, t->ctx, -1, s.words, s.count * 4);
}

uint32_t gl_target_clear(struct gl_target *t, uint32_t colour)
{
	return tg_finish(gl_target_clear_async(t, colour), NULL, 0);
}

uint32_t gl_target_read(struct gl_target *t, uint32_t *pixels)
{
	struct virtio_gpu_transfer_host_3d args = {
		.box = {0, 0, 0, t->image.width, t->image.height, 1},
		.resource_id = t->res,
		.stride = t->image.stride,
	};
	uint32_t type = tg_transfer_3d(t->vm, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, t->ctx, &args);

	tg_image_read(&t->image, pixels);
	return type;
}

uint32_t gl_target_wrong(const struct gl_target *t, const uint32_t *pixels, const uint32_t *want)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->image.width * t->image.height; i++)
		n += (pixels[i] & 0xffffff) != (want[i] & 0xffffff);
	return n;
}
