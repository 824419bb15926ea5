/* This is the one exception to "one loop, one thread": a GL command runs for milliseconds and
 * cannot be interrupted, and a pointer that stops for so long is felt.
 *
 * The thread polls the cursor queue's kick fd and an eventfd of ours. Under dev->lock it takes a
 * request and copies the picture of a 2D resource; it sends the link message itself (a packet is
 * atomic) without the lock, because the daemon may be slow to read; under the lock again it
 * completes the request. Pictures of 3D resources have to be read back by the ring thread, which
 * owns the GL library: such a request is handed over and completed there, and so are later
 * UPDATE_CURSORs until it is done, to keep their order. MOVE_CURSOR never waits.
 *
 * dev->lock guards: the cursor vq, the resource map and 64×64 pixels, everything in struct
 * bn_cursor but `thread`. */
#include <drm_fourcc.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/fd.h"
#include "common/log.h"
#include "cursor.h"

#define PIXELS (BN_CURSOR_SIZE * BN_CURSOR_SIZE)

struct cursor_update {
	struct wl_list link;           /* bn_cursor.updates, oldest first */
	struct bn_vq_request *request; /* NULL: completed already */
	struct virtio_gpu_update_cursor cmd;
};

struct bn_cursor {
	struct bn_device *dev;
	struct bn_vq *vq;
	int link_fd;
	int wake_fd; /* to the thread */
	int hand_fd; /* to the ring thread */
	pthread_t thread;
	bool quit, paused;
	struct wl_list updates; /* handed over; the first may be at the GPU */
	bool reading;           /* … and is */
	struct {
		int32_t x, y;
	} pos[BN_LINK_SCANOUTS];
	uint32_t seq;
	unsigned long errors;
};

/* One packet, built in place. */
struct cursor_message {
	struct bn_link_header header;
	union {
		struct bn_link_cursor_image image;
		struct bn_link_cursor_move move;
	};
};

struct channel_shifts {
	uint32_t fourcc;
	uint8_t a, r, g, b;
	bool alpha;
};

static const struct channel_shifts formats[] = {
	{DRM_FORMAT_ARGB8888, 24, 16, 8, 0, true},
	{DRM_FORMAT_XRGB8888, 24, 16, 8, 0, false},
	{DRM_FORMAT_ABGR8888, 24, 0, 8, 16, true},
	{DRM_FORMAT_XBGR8888, 24, 0, 8, 16, false},
	{DRM_FORMAT_RGBA8888, 0, 24, 16, 8, true},
	{DRM_FORMAT_RGBX8888, 0, 24, 16, 8, false},
	{DRM_FORMAT_BGRA8888, 0, 8, 16, 24, true},
	{DRM_FORMAT_BGRX8888, 0, 8, 16, 24, false},
};

bool bn_cursor_convert(uint32_t fourcc, const uint32_t *src, uint32_t *dst, size_t n)
{
	const struct channel_shifts *f = NULL;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].fourcc == fourcc)
			f = &formats[i];
	}
	if (!f)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t a = f->alpha ? src[i] >> f->a & 0xff : 0xff;

		dst[i] = a << 24 | (src[i] >> f->r & 0xff) << 16 | (src[i] >> f->g & 0xff) << 8 |
			 (src[i] >> f->b & 0xff);
	}
	return true;
}

/* ---- messages ---- */

static void message_begin(
	struct bn_cursor *cursor, struct cursor_message *msg, uint32_t type, uint32_t size)
{
	msg->header = (struct bn_link_header){.type = type, .size = size, .seq = ++cursor->seq};
}

static void message_move(struct bn_cursor *cursor, struct cursor_message *msg, uint32_t scanout)
{
	message_begin(cursor, msg, BN_LINK_CURSOR_MOVE, sizeof(msg->move));
	msg->move = (struct bn_link_cursor_move){
		.scanout = scanout,
		.x = cursor->pos[scanout].x,
		.y = cursor->pos[scanout].y,
	};
}

static uint32_t hot(uint32_t value)
{
	return value < BN_CURSOR_SIZE ? value : BN_CURSOR_SIZE - 1;
}

/* Everything but the pixels. */
static void message_image(struct bn_cursor *cursor, struct cursor_message *msg,
	const struct virtio_gpu_update_cursor *cmd, bool visible)
{
	uint32_t scanout = cmd->pos.scanout_id;

	message_begin(cursor, msg, BN_LINK_CURSOR_IMAGE, sizeof(msg->image));
	msg->image.scanout = scanout;
	msg->image.visible = visible;
	msg->image.hot_x = hot(cmd->hot_x);
	msg->image.hot_y = hot(cmd->hot_y);
	msg->image.x = cursor->pos[scanout].x;
	msg->image.y = cursor->pos[scanout].y;
	if (!visible)
		memset(msg->image.pixels, 0, sizeof(msg->image.pixels));
}

/* In the thread, without the lock: waits while the socket is full, unless the process is to end. */
static void message_send(struct bn_cursor *cursor, const struct cursor_message *msg)
{
	size_t size = sizeof(msg->header) + msg->header.size;

	while (bn_sendmsg(cursor->link_fd, msg, size, NULL, 0) == -EAGAIN) {
		struct pollfd pfd = {.fd = cursor->link_fd, .events = POLLOUT};

		if (__atomic_load_n(&cursor->quit, __ATOMIC_ACQUIRE))
			return;
		/* The timeout only bounds how long the end of the process takes. */
		poll(&pfd, 1, 100);
	}
}

/* ---- the thread ---- */

enum outcome { ANSWER, SEND, HANDED_OVER };

/* The picture of a 2D resource; RESP_OK_NODATA when msg has it. */
static uint32_t image_2d(struct bn_cursor *cursor, const struct bn_resource *res,
	const struct virtio_gpu_update_cursor *cmd, struct cursor_message *msg)
{
	if (res->width != BN_CURSOR_SIZE || res->height != BN_CURSOR_SIZE)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	message_image(cursor, msg, cmd, true);
	bn_cursor_convert(bn_format_fourcc(res->format), (const uint32_t *)(void *)res->pixels,
		msg->image.pixels, PIXELS);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static bool hand_over(struct bn_cursor *cursor, struct bn_vq_request *request,
	const struct virtio_gpu_update_cursor *cmd)
{
	struct cursor_update *update = calloc(1, sizeof(*update));

	if (!update)
		return false;
	update->request = request;
	update->cmd = *cmd;
	wl_list_insert(cursor->updates.prev, &update->link);
	bn_event_signal(cursor->hand_fd);
	return true;
}

static enum outcome handle_update(struct bn_cursor *cursor, struct bn_vq_request *request,
	const struct virtio_gpu_update_cursor *cmd, struct cursor_message *msg, uint32_t *type)
{
	struct bn_resource *res = bn_resource_get(cursor->dev, cmd->resource_id);

	if (cmd->resource_id != 0 && !res) {
		*type = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
		return ANSWER;
	}
	if ((res && res->is_3d) || !wl_list_empty(&cursor->updates)) {
		*type = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
		return hand_over(cursor, request, cmd) ? HANDED_OVER : ANSWER;
	}
	if (!res) {
		message_image(cursor, msg, cmd, false);
		return SEND;
	}
	*type = image_2d(cursor, res, cmd, msg);
	return *type == VIRTIO_GPU_RESP_OK_NODATA ? SEND : ANSWER;
}

static enum outcome handle_request(struct bn_cursor *cursor, struct bn_vq_request *request,
	bool replayed, struct virtio_gpu_update_cursor *cmd, struct cursor_message *msg,
	uint32_t *type)
{
	uint64_t got = bn_iov_read(request->out, request->nout, 0, cmd, sizeof(*cmd));
	uint32_t scanout = cmd->pos.scanout_id;

	*type = VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (got < sizeof(cmd->hdr))
		memset(&cmd->hdr, 0, sizeof(cmd->hdr));
	if (replayed || request->chain_error ||
		(cmd->hdr.type != VIRTIO_GPU_CMD_UPDATE_CURSOR &&
			cmd->hdr.type != VIRTIO_GPU_CMD_MOVE_CURSOR))
		return ANSWER;
	*type = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (got < sizeof(*cmd))
		return ANSWER;
	*type = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	if (scanout >= cursor->dev->config.num_scanouts)
		return ANSWER;
	cursor->pos[scanout].x = (int32_t)cmd->pos.x;
	cursor->pos[scanout].y = (int32_t)cmd->pos.y;
	*type = VIRTIO_GPU_RESP_OK_NODATA;
	if (cmd->hdr.type == VIRTIO_GPU_CMD_UPDATE_CURSOR)
		return handle_update(cursor, request, cmd, msg, type);
	message_move(cursor, msg, scanout);
	return SEND;
}

/* Under the lock. Guest memory may have changed while the message was being sent: then nothing
 * is written to where it was. */
static void complete(struct bn_cursor *cursor, struct bn_vq_request *request,
	const struct virtio_gpu_ctrl_hdr *hdr, uint32_t type)
{
	uint32_t written = 0;

	if (request->generation == bn_guest_memory_generation(cursor->dev->config.mem))
		written = bn_device_respond(request, hdr, type);
	if (type >= VIRTIO_GPU_RESP_ERR_UNSPEC) {
		bn_stat_add(&cursor->dev->stats->errors, 1);
		if (bn_log_gate(&cursor->errors))
			bn_info("cursor command 0x%04x answered with error 0x%04x (%lu so far)",
				hdr->type, type, cursor->errors);
	}
	bn_vq_complete(request, written);
	bn_vq_notify(cursor->vq);
}

/* Takes one request, with the lock held on entry and exit. False: nothing to take. */
static bool run_one(struct bn_cursor *cursor)
{
	struct cursor_message msg;
	struct virtio_gpu_update_cursor cmd = {0};
	struct bn_vq_request *request;
	enum outcome outcome;
	bool replayed;
	uint32_t type;

	if (cursor->paused || cursor->quit || bn_vq_pop(cursor->vq, &request, &replayed) <= 0)
		return false;
	bn_stat_add(&cursor->dev->stats->cursor_commands, 1);
	outcome = handle_request(cursor, request, replayed, &cmd, &msg, &type);
	if (outcome == HANDED_OVER)
		return true;
	if (outcome == SEND) {
		pthread_mutex_unlock(&cursor->dev->lock);
		message_send(cursor, &msg);
		pthread_mutex_lock(&cursor->dev->lock);
		if (cursor->paused)
			bn_event_signal(cursor->hand_fd); /* somebody waits for this one */
	}
	complete(cursor, request, &cmd.hdr, type);
	return true;
}

/* With the lock held on entry and exit. A mutex knows no queue: without a moment's sleep this
 * thread would have it again before the other one woke up. */
static void make_way(struct bn_cursor *cursor)
{
	const struct timespec moment = {.tv_nsec = 50000};

	pthread_mutex_unlock(&cursor->dev->lock);
	nanosleep(&moment, NULL);
	pthread_mutex_lock(&cursor->dev->lock);
}

static void run_queue(struct bn_cursor *cursor)
{
	bn_vq_suppress_kicks(cursor->vq, true);
	while (!cursor->paused && !cursor->quit) {
		if (run_one(cursor)) {
			if (__atomic_load_n(&cursor->dev->lock_wanted, __ATOMIC_SEQ_CST) > 0)
				make_way(cursor);
			continue;
		}
		if (!bn_vq_suppress_kicks(cursor->vq, false))
			break;
		/* Something came in the last moment, or there was no memory for it. */
		bn_vq_suppress_kicks(cursor->vq, true);
		make_way(cursor);
	}
}

static void *cursor_thread(void *data)
{
	struct bn_cursor *cursor = data;
	struct bn_device *dev = cursor->dev;

	pthread_mutex_lock(&dev->lock);
	while (!cursor->quit) {
		struct pollfd pfd[2] = {
			{.fd = cursor->wake_fd, .events = POLLIN},
			{.fd = cursor->paused ? -1 : bn_vq_kick_fd(cursor->vq), .events = POLLIN},
		};

		pthread_mutex_unlock(&dev->lock);
		poll(pfd, 2, -1);
		pthread_mutex_lock(&dev->lock);
		if (pfd[0].revents)
			bn_event_drain(cursor->wake_fd);
		/* The ring may have been stopped meanwhile, and its fd's number be another file
		 * by now. */
		if (pfd[1].revents && bn_vq_running(cursor->vq) &&
			bn_vq_kick_fd(cursor->vq) == pfd[1].fd)
			bn_event_drain(pfd[1].fd);
		run_queue(cursor);
	}
	pthread_mutex_unlock(&dev->lock);
	return NULL;
}

/* ---- the ring thread ---- */

/* Under the lock. */
static void update_finish(struct bn_cursor *cursor, struct cursor_update *update, uint32_t type)
{
	if (update->request)
		complete(cursor, update->request, &update->cmd.hdr, type);
	wl_list_remove(&update->link);
	free(update);
}

static uint32_t image_3d(
	struct bn_cursor *cursor, const struct cursor_update *update, struct cursor_message *msg)
{
	uint32_t pixels[PIXELS];
	struct bn_gl_scanout info;
	struct bn_device *dev = cursor->dev;
	const struct bn_resource *res = bn_resource_get(dev, update->cmd.resource_id);

	if (!res || !res->is_3d)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (bn_gl_scanout_info(dev->gl, res->id, &info) != 0 || info.width != BN_CURSOR_SIZE ||
		info.height != BN_CURSOR_SIZE ||
		bn_gl_read_back(dev->gl, res->id, 0, 0, BN_CURSOR_SIZE, BN_CURSOR_SIZE, pixels,
			BN_CURSOR_SIZE * 4) != 0 ||
		!bn_cursor_convert(info.fourcc, pixels, msg->image.pixels, PIXELS))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Shows the first update. The GPU is done with it. */
static void update_show(struct bn_cursor *cursor, struct cursor_update *update)
{
	struct bn_device *dev = cursor->dev;
	const struct bn_resource *res = bn_resource_get(dev, update->cmd.resource_id);
	struct cursor_message msg;
	uint32_t type = VIRTIO_GPU_RESP_OK_NODATA;

	if (res && res->is_3d)
		type = image_3d(cursor, update, &msg);
	else if (update->cmd.resource_id != 0 && !res)
		type = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	bn_device_lock(dev);
	if (type == VIRTIO_GPU_RESP_OK_NODATA && res && !res->is_3d)
		type = image_2d(cursor, res, &update->cmd, &msg);
	else
		message_image(cursor, &msg, &update->cmd, res != NULL);
	if (type == VIRTIO_GPU_RESP_OK_NODATA)
		dev->config.ops->send(dev->config.data, BN_LINK_CURSOR_IMAGE, &msg.image,
			sizeof(msg.image), NULL, 0);
	update_finish(cursor, update, type);
	pthread_mutex_unlock(&dev->lock);
}

static struct cursor_update *update_first(struct bn_cursor *cursor)
{
	struct cursor_update *update = NULL;

	bn_device_lock(cursor->dev);
	if (!wl_list_empty(&cursor->updates))
		update = wl_container_of(cursor->updates.next, update, link);
	pthread_mutex_unlock(&cursor->dev->lock);
	return update;
}

static void handle_drawn(void *data, bool cancelled)
{
	struct bn_cursor *cursor = data;

	struct cursor_update *update = update_first(cursor);

	cursor->reading = false;
	if (cancelled || !update)
		return;
	update_show(cursor, update);
	bn_event_signal(cursor->hand_fd); /* there may be more */
}

void bn_cursor_dispatch(struct bn_cursor *cursor)
{
	struct cursor_update *update;
	struct bn_resource *res;
	uint32_t *ids = NULL;
	unsigned n = 0;

	bn_event_drain(cursor->hand_fd);
	update = update_first(cursor);
	if (!update || cursor->reading)
		return;
	res = bn_resource_get(cursor->dev, update->cmd.resource_id);
	cursor->reading = true;
	if (res && res->is_3d)
		bn_resource_contexts(res, &ids, &n);
	if (bn_fences_wait(cursor->dev->fences, ids, n, handle_drawn, cursor) < 0)
		handle_drawn(cursor, false);
	free(ids);
}

static void complete_all(struct bn_cursor *cursor)
{
	struct cursor_update *update, *next;
	bool first = true;

	wl_list_for_each_safe(update, next, &cursor->updates, link)
	{
		if (first && cursor->reading && update->request) {
			/* Its picture is still to be shown; only the guest's request is over. */
			complete(cursor, update->request, &update->cmd.hdr,
				VIRTIO_GPU_RESP_OK_NODATA);
			update->request = NULL;
		} else if (!first || !cursor->reading) {
			update_finish(cursor, update, VIRTIO_GPU_RESP_OK_NODATA);
		}
		first = false;
	}
}

void bn_cursor_pause(struct bn_cursor *cursor)
{
	bn_device_lock(cursor->dev);
	cursor->paused = true;
	complete_all(cursor);
	pthread_mutex_unlock(&cursor->dev->lock);
}

void bn_cursor_forget(struct bn_cursor *cursor)
{
	struct cursor_update *update;

	bn_device_lock(cursor->dev);
	/* bn_fences_reset() will report the wait of the first as cancelled; without the update
	 * there is nothing left to show. */
	while (!wl_list_empty(&cursor->updates)) {
		update = wl_container_of(cursor->updates.next, update, link);
		update_finish(cursor, update, VIRTIO_GPU_RESP_OK_NODATA);
	}
	pthread_mutex_unlock(&cursor->dev->lock);
}

void bn_cursor_start(struct bn_cursor *cursor)
{
	bn_device_lock(cursor->dev);
	cursor->paused = false;
	pthread_mutex_unlock(&cursor->dev->lock);
	bn_event_signal(cursor->wake_fd);
}

int bn_cursor_fd(const struct bn_cursor *cursor)
{
	return cursor->hand_fd;
}

int bn_cursor_create(struct bn_cursor **out, struct bn_device *dev, struct bn_vq *vq, int link_fd)
{
	struct bn_cursor *cursor = calloc(1, sizeof(*cursor));
	int r = -ENOMEM;

	if (!cursor)
		return r;
	cursor->dev = dev;
	cursor->vq = vq;
	cursor->link_fd = link_fd;
	wl_list_init(&cursor->updates);
	cursor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cursor->hand_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cursor->wake_fd < 0 || cursor->hand_fd < 0) {
		r = -errno;
		goto error;
	}
	r = -pthread_create(&cursor->thread, NULL, cursor_thread, cursor);
	if (r < 0)
		goto error;
	*out = cursor;
	return 0;

error:
	bn_fd_close(&cursor->wake_fd);
	bn_fd_close(&cursor->hand_fd);
	free(cursor);
	return r;
}

void bn_cursor_destroy(struct bn_cursor *cursor)
{
	if (!cursor)
		return;
	bn_device_lock(cursor->dev);
	__atomic_store_n(&cursor->quit, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&cursor->dev->lock);
	bn_event_signal(cursor->wake_fd);
	pthread_join(cursor->thread, NULL);
	bn_cursor_forget(cursor);
	bn_fences_reset(cursor->dev->fences); /* it may hold a wait of ours */
	bn_fd_close(&cursor->wake_fd);
	bn_fd_close(&cursor->hand_fd);
	free(cursor);
}
