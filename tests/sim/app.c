#include "app.h"

#include <string.h>

#define SIZE 16u

static void draw(void *data, uint64_t generation);

/* ---- commands ---- */

#define SEND(app, cmd, fenced) sim_vm_send((app)->vm, &(cmd), sizeof(cmd), NULL, 0, fenced)

static struct virtio_gpu_ctrl_hdr header(const struct sim_app *app, uint32_t type)
{
	return (struct virtio_gpu_ctrl_hdr){.type = type, .ctx_id = app->ctx_id};
}

static void buffer_create(struct sim_app *app, uint32_t id)
{
	struct virtio_gpu_resource_create_3d c3 = {
		.hdr = header(app, VIRTIO_GPU_CMD_RESOURCE_CREATE_3D),
		.resource_id = id,
		.target = 2,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.width = SIZE,
		.height = SIZE,
		.depth = 1,
		.array_size = 1,
	};
	struct virtio_gpu_ctx_resource attach = {
		.hdr = header(app, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE),
		.resource_id = id,
	};
	struct virtio_gpu_resource_create_2d c2 = {
		.hdr = header(app, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
		.resource_id = id,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.width = SIZE,
		.height = SIZE,
	};
	struct virtio_gpu_resource_attach_backing backing = {
		.hdr = header(app, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
		.resource_id = id,
		.nr_entries = 1,
	};
	struct virtio_gpu_mem_entry entry = {.addr = SIM_GUEST_RAM, .length = SIZE * SIZE * 4};

	if (app->ctx_id != 0) {
		SEND(app, c3, false);
		SEND(app, attach, false);
		return;
	}
	SEND(app, c2, false);
	sim_vm_send(app->vm, &backing, sizeof(backing), &entry, sizeof(entry), false);
}

static void set_scanout(struct sim_app *app, uint32_t id)
{
	struct virtio_gpu_set_scanout c = {
		.hdr = {.type = VIRTIO_GPU_CMD_SET_SCANOUT},
		.r = {0, 0, SIZE, SIZE},
		.scanout_id = app->scanout,
		.resource_id = id,
	};

	SEND(app, c, false);
}

/* Of the frame that was begun last, or is about to be. */
static uint32_t buffer_of(const struct sim_app *app, uint64_t frame)
{
	return app->buffers ? app->first_res + (uint32_t)(frame % app->buffers) : 0;
}

static uint64_t submit(struct sim_app *app, uint64_t frame)
{
	struct virtio_gpu_cmd_submit c = {
		.hdr = header(app, VIRTIO_GPU_CMD_SUBMIT_3D),
		.size = GPU_STREAM_WORDS * 4,
	};
	uint32_t words[GPU_STREAM_WORDS];

	gpu_stream(words, buffer_of(app, frame), sim_within(&app->random, app->gpu));
	return sim_vm_send(app->vm, &c, sizeof(c), words, sizeof(words), true);
}

static uint64_t flush(struct sim_app *app)
{
	uint32_t id = buffer_of(app, app->frames);
	struct virtio_gpu_transfer_to_host_2d t = {
		.hdr = {.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D},
		.r = {0, 0, SIZE, SIZE},
		.resource_id = id,
	};
	struct virtio_gpu_resource_flush c = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH},
		.r = {0, 0, SIZE, SIZE},
		.resource_id = id,
	};

	if (app->ctx_id == 0)
		SEND(app, t, false);
	if (app->buffers > 1 || !app->on)
		set_scanout(app, id);
	app->on = true;
	return SEND(app, c, app->ctx_id == 0);
}

/* ---- frames ---- */

static void wait_for(struct sim_app *app, uint64_t fence, void (*then)(struct sim_app *app))
{
	if (fence == 0 || sim_vm_signalled(app->vm, app->ctx_id, fence)) {
		then(app);
		return;
	}
	app->waiting = true;
	app->wait_for = fence;
	app->then = then;
}

void sim_app_wake(struct sim_app *app)
{
	if (!app->waiting || !sim_vm_signalled(app->vm, app->ctx_id, app->wait_for))
		return;
	app->waiting = false;
	app->then(app);
}

static void next_frame(struct sim_app *app)
{
	sim_at(sim_now() + sim_within(&app->random, app->cpu), draw, app, app->generation);
}

static void show(struct sim_app *app)
{
	flush(app);
	next_frame(app);
}

static void finish_frame(struct sim_app *app)
{
	uint64_t before = app->last_fence;

	app->last_fence = submit(app, app->frames);
	if (app->throttle == APP_WORKER)
		wait_for(app, app->last_fence, next_frame);
	else
		wait_for(app, app->throttle == APP_FINISH ? app->last_fence : before, show);
}

static void second_half(struct sim_app *app)
{
	app->middle = true;
	sim_at(sim_now() + sim_within(&app->random, app->cpu), draw, app, app->generation);
}

static void draw(void *data, uint64_t generation)
{
	struct sim_app *app = data;

	if (generation != app->generation)
		return;
	if (app->throttle == APP_MIDDLE && !app->middle) {
		wait_for(app, submit(app, app->frames + 1), second_half);
		return;
	}
	app->middle = false;
	app->frames++;
	if (app->throttle == APP_DUMB)
		wait_for(app, flush(app), next_frame);
	else
		finish_frame(app);
}

/* ---- life ---- */

void sim_app_start(struct sim_app *app)
{
	struct virtio_gpu_ctx_create c = {.hdr = header(app, VIRTIO_GPU_CMD_CTX_CREATE)};

	if (app->ctx_id != 0)
		SEND(app, c, false);
	for (unsigned i = 0; i < app->buffers; i++)
		buffer_create(app, app->first_res + i);
	app->last_fence = 0;
	app->waiting = false;
	app->middle = false;
	app->on = false;
	app->frames = 0;
	next_frame(app);
}

void sim_app_stop(struct sim_app *app)
{
	app->generation++;
	app->waiting = false;
}

void sim_app_scanout_off(struct sim_app *app)
{
	set_scanout(app, 0);
	app->on = false;
}

static void buffer_destroy(struct sim_app *app, uint32_t id)
{
	struct virtio_gpu_resource_unref c = {
		.hdr = header(app, VIRTIO_GPU_CMD_RESOURCE_UNREF),
		.resource_id = id,
	};

	SEND(app, c, false);
}

void sim_app_new_buffer(struct sim_app *app)
{
	uint32_t id = buffer_of(app, app->frames);

	if (app->buffers > 1)
		set_scanout(app, app->first_res + (uint32_t)((app->frames + 1) % app->buffers));
	else
		app->on = false;
	buffer_destroy(app, id);
	buffer_create(app, id);
}

void sim_app_clean(struct sim_app *app)
{
	struct virtio_gpu_ctx_destroy c = {.hdr = header(app, VIRTIO_GPU_CMD_CTX_DESTROY)};

	for (unsigned i = 0; i < app->buffers; i++)
		buffer_destroy(app, app->first_res + i);
	if (app->ctx_id != 0)
		SEND(app, c, false);
}
