#include "app.h"

#include <stdlib.h>
#include <string.h>

#define SURFACE 1u
#define STATE 10u /* handles of the triangles' state */
#define LOOP_SHADER 20u
#define SUB_CTX 1u

static uint32_t create_picture(struct tg_app *app)
{
	struct virtio_gpu_resource_create_3d args =
		tg_gl_picture(app->picture, app->width, app->height);

	return tg_create_3d(app->vm, &args);
}

static uint32_t create_vertices(struct tg_app *app)
{
	struct virtio_gpu_resource_create_3d args =
		tg_gl_buffer(app->vertices, BN_VIRGL_BIND_VERTEX_BUFFER,
			TG_APP_QUADS * 6 * sizeof(struct bn_virgl_vertex));

	return tg_create_3d(app->vm, &args);
}

static void write_vertices(struct tg_app *app)
{
	static const float corner[6][2] = {{-1, -1}, {1, -1}, {1, 1}, {-1, -1}, {1, 1}, {-1, 1}};
	struct bn_virgl_vertex v[6];

	for (unsigned quad = 0; quad < TG_APP_QUADS; quad++) {
		float shade = (float)(quad + 1) / (float)TG_APP_QUADS;

		for (unsigned i = 0; i < 6; i++)
			v[i] = (struct bn_virgl_vertex){
				{corner[i][0], corner[i][1], 0, 1}, {shade, 0.5f, 1 - shade, 1}};
		bn_virgl_write_buffer(
			&app->stream, app->vertices, quad * sizeof(v), v, sizeof(v));
	}
}

static bool failed(uint32_t type, int *error)
{
	*error = type == VIRTIO_GPU_RESP_OK_NODATA ? 0 : (int)type + 1;
	return *error != 0;
}

static int create(struct tg_app *app)
{
	struct tg_vm *vm = app->vm;
	uint32_t capset = vm->front.features & (1ull << VIRTIO_GPU_F_CONTEXT_INIT)
				  ? VIRTIO_GPU_CAPSET_VIRGL2
				  : 0;
	int error;

	if (failed(tg_ctx_create(vm, app->ctx, capset, "app"), &error) ||
		failed(create_picture(app), &error) || failed(create_vertices(app), &error) ||
		failed(tg_ctx_attach(vm, app->ctx, app->picture), &error) ||
		failed(tg_ctx_attach(vm, app->ctx, app->vertices), &error))
		return error;
	tg_app_begin(app);
	bn_virgl_create_sub_ctx(&app->stream, SUB_CTX);
	bn_virgl_set_sub_ctx(&app->stream, SUB_CTX);
	bn_virgl_create_surface(&app->stream, SURFACE, app->picture, BN_VIRGL_FORMAT_B8G8R8A8);
	bn_virgl_set_framebuffer(&app->stream, SURFACE);
	bn_virgl_set_viewport(&app->stream, app->width, app->height);
	bn_virgl_triangle_state(&app->stream, STATE);
	write_vertices(app);
	failed(tg_app_submit(app), &error);
	return error;
}

int tg_app_init(
	struct tg_app *app, struct tg_vm *vm, uint32_t ctx, uint32_t res, uint32_t w, uint32_t h)
{
	*app = (struct tg_app){
		.vm = vm, .ctx = ctx, .picture = res, .vertices = res + 1, .width = w, .height = h};
	app->words = aligned_alloc(8, TG_APP_WORDS * sizeof(uint32_t));
	return app->words ? create(app) : -1;
}

void tg_app_finish(struct tg_app *app)
{
	free(app->words);
	app->words = NULL;
}

void tg_app_begin(struct tg_app *app)
{
	bn_virgl_init(&app->stream, app->words, TG_APP_WORDS);
}

void tg_app_clear(struct tg_app *app, uint32_t colour)
{
	float rgba[4];

	bn_virgl_colour(rgba, colour);
	bn_virgl_clear(&app->stream, rgba);
}

void tg_app_fill(struct tg_app *app, unsigned draws, unsigned quads)
{
	for (unsigned i = 0; i < draws; i++)
		bn_virgl_draw_triangles(&app->stream, app->vertices,
			6 * (quads < TG_APP_QUADS ? quads : TG_APP_QUADS));
}

void tg_app_loop(struct tg_app *app, unsigned rounds, unsigned times)
{
	bn_virgl_loop_shader(&app->stream, LOOP_SHADER, rounds, times);
}

struct tg_request *tg_app_submit_async(struct tg_app *app)
{
	if (app->stream.overflow)
		return NULL;
	return tg_submit_3d_async(
		app->vm, app->ctx, -1, app->stream.words, app->stream.count * 4);
}

uint32_t tg_app_submit(struct tg_app *app)
{
	return tg_finish(tg_app_submit_async(app), NULL, 0);
}

uint32_t tg_app_show(struct tg_app *app, uint32_t scanout)
{
	return tg_set_scanout(
		app->vm, scanout, app->picture, tg_rect(0, 0, app->width, app->height));
}

struct tg_request *tg_app_flush_async(struct tg_app *app)
{
	return tg_flush_async(app->vm, app->picture, tg_rect(0, 0, app->width, app->height));
}
