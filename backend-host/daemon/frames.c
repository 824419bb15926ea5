#include "frames.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <wayland-util.h>

#include "common/clock.h"
#include "frame_record.h"
#include "zero-copy/buffer.h"

/* A layer hands back only the frame's number, and may do so when the renderer that gave it is
 * long replaced. So the number has the renderer's generation in its upper bits. */
#define SEQ_BITS 48
#define SEQ_MASK ((UINT64_C(1) << SEQ_BITS) - 1)

struct shown_buffer {
	struct wl_list link;      /* bn_frames.buffers */
	struct bn_frames *frames; /* NULL once the renderer has nothing to do with it any more */
	uint64_t id;
	struct bn_buffer *buffer;
};

struct scanout {
	struct bn_frames *frames;
	unsigned index;
	struct bn_output *output;
	struct bn_layer *layer;       /* NULL without an output; its pace is the guest's */
	uint64_t submitted, answered; /* sequence numbers of this renderer */
	struct wl_list mirrors;       /* bn_frames_mirror.link: the same picture elsewhere */
	struct bn_frame last;         /* given to the layers; its buffer has a lock of its own */
	struct {
		bool visible;
		uint32_t hot_x, hot_y; /* 0–63 */
		int32_t x, y;          /* of the hot spot */
		uint32_t pixels[BN_CURSOR_SIZE * BN_CURSOR_SIZE];
	} cursor;
};

struct bn_frames {
	struct scanout scanout[BN_LINK_SCANOUTS];
	unsigned num_scanouts;
	uint64_t generation; /* of the renderer, modulo 2^16 */
	uint64_t last_seq;
	bool draining;
	struct wl_list buffers; /* shown_buffer.link */
	unsigned num_buffers;
	struct bn_frame_record record;
	const struct bn_frames_listener *listener;
	void *data;
};

/* ---- buffers ---- */

static void handle_release(void *data, struct bn_buffer *buffer)
{
	struct shown_buffer *b = data;
	if (!b->frames)
		return;
	const struct bn_link_release message = {.buffer = b->id, .seq = b->frames->last_seq};
	b->frames->listener->send(b->frames->data, BN_LINK_RELEASE, &message, sizeof(message));
}

static void handle_destroy(void *data, struct bn_buffer *buffer)
{
	free(data);
}

static const struct bn_buffer_listener buffer_listener = {
	.release = handle_release,
	.destroy = handle_destroy,
};

static struct shown_buffer *find_buffer(struct bn_frames *frames, uint64_t id)
{
	struct shown_buffer *b;
	wl_list_for_each(b, &frames->buffers, link)
	{
		if (b->id == id)
			return b;
	}
	return NULL;
}

static void forget_buffer(struct shown_buffer *b)
{
	wl_list_remove(&b->link);
	b->frames->num_buffers--;
	b->frames = NULL;
	bn_buffer_drop(b->buffer); /* frees b, now or with the last lock */
}

static struct bn_buffer_attrs buffer_attrs(const struct bn_link_buffer *m, int *fds, size_t nfds)
{
	struct bn_buffer_attrs attrs = {
		.kind = m->kind == BN_LINK_BUFFER_DMABUF ? BN_BUFFER_DMABUF : BN_BUFFER_MEMFD,
		.width = m->width,
		.height = m->height,
		.fourcc = m->fourcc,
		.modifier = m->modifier,
		.planes = m->planes,
		.fd = {-1, -1, -1, -1},
		.y_invert = m->y_invert != 0,
	};
	for (unsigned i = 0; i < 4; i++) {
		attrs.stride[i] = m->stride[i];
		attrs.offset[i] = m->offset[i];
		if (i < nfds) {
			attrs.fd[i] = fds[i];
			fds[i] = -1;
		}
	}
	return attrs;
}

bool bn_frames_buffer_new(struct bn_frames *frames, const struct bn_link_buffer *m, int *fds,
	size_t nfds, const char **why)
{
	*why = "it announced a buffer's number twice";
	if (m->id == 0 || find_buffer(frames, m->id))
		return false;
	*why = "it announced more buffers than it may";
	if (frames->num_buffers >= BN_LINK_BUFFERS_MAX)
		return false;
	struct shown_buffer *b = calloc(1, sizeof(*b));
	*why = "out of memory";
	if (!b)
		return false;
	b->frames = frames;
	b->id = m->id;
	const struct bn_buffer_attrs attrs = buffer_attrs(m, fds, nfds);
	*why = "it announced a buffer that its memory does not hold";
	if (bn_buffer_create(&b->buffer, &attrs, &buffer_listener, b) < 0) {
		free(b);
		return false;
	}
	wl_list_insert(&frames->buffers, &b->link);
	frames->num_buffers++;
	return true;
}

bool bn_frames_buffer_gone(struct bn_frames *frames, uint64_t id, const char **why)
{
	struct shown_buffer *b = find_buffer(frames, id);
	*why = "it took back a buffer that it never announced";
	if (!b)
		return false;
	forget_buffer(b);
	return true;
}

/* ---- frames ---- */

static void answer(struct scanout *s, uint64_t seq, uint64_t when_ns)
{
	/* One answer stands for all frames before it. */
	if (seq <= s->answered)
		return;
	s->answered = seq;
	const struct bn_link_presented message = {
		.seq = seq, .time_ns = when_ns, .scanout = s->index};
	s->frames->listener->send(s->frames->data, BN_LINK_PRESENTED, &message, sizeof(message));
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
	struct scanout *s = data;
	uint64_t seq = frame->seq & SEQ_MASK;
	if (seq == 0) /* our own, from bn_frames_clear() */
		return;
	if (how == BN_PRESENTED_SUPERSEDED)
		bn_monitor_superseded(s->frames->record.monitor);
	else if (how == BN_PRESENTED_SHOWN && frame->buffer)
		bn_frame_record_shown(&s->frames->record, frame, s->output, s->index, when_ns);
	/* A superseded frame is answered with the one that took its place. */
	if (how != BN_PRESENTED_SUPERSEDED && frame->seq >> SEQ_BITS == s->frames->generation)
		answer(s, seq, when_ns);
}

static const struct bn_layer_listener layer_listener = {
	.presented = handle_presented,
};

/* Mirrors show what there is when their own output refreshes; nobody waits for that. */
static void mirror_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
}

const struct bn_layer_listener bn_frames_mirror_listener = {
	.presented = mirror_presented,
};

static void mirror_frame(struct bn_frames_mirror *mirror, const struct bn_frame *frame)
{
	struct bn_frame copy = *frame;
	copy.seq = 0;
	bn_layer_submit(mirror->layer, &copy);
}

/* To all layers of the scanout. */
static void submit(struct scanout *s, const struct bn_frame *frame)
{
	struct bn_buffer *before = s->last.buffer;
	struct bn_frames_mirror *mirror;
	s->last = *frame;
	if (frame->buffer)
		bn_buffer_lock(frame->buffer);
	bn_layer_submit(s->layer, frame);
	wl_list_for_each(mirror, &s->mirrors, link) mirror_frame(mirror, frame);
	bn_buffer_unlock(before);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Cuts [*start, *start + *length) to [low, low + size). */
static void clip(uint32_t *start, uint32_t *length, uint32_t low, uint32_t size)
{
	uint64_t end = (uint64_t)*start + *length, limit = (uint64_t)low + size;
	if (*start < low)
		*start = low;
	if (end > limit)
		end = limit;
	*length = end > *start ? (uint32_t)(end - *start) : 0;
	*start = min_u32(*start, low + size);
}

/* When the guest flushed what is seen of it. */
static uint64_t content_of(const struct bn_frame *frame)
{
	return frame->content_ns ? frame->content_ns : frame->flush_ns;
}

static bool fill_frame(struct bn_frames *frames, const struct bn_link_frame *m,
	struct bn_frame *frame, const char **why)
{
	*frame = (struct bn_frame){
		.seq = frames->generation << SEQ_BITS | m->seq,
		.flush_ns = m->flush_ns,
	};
	if (m->buffer == 0)
		return true;
	struct shown_buffer *b = find_buffer(frames, m->buffer);
	*why = "it showed a buffer that it never announced";
	if (!b)
		return false;
	const struct bn_buffer_attrs *attrs = bn_buffer_attrs(b->buffer);
	*why = "it showed a part outside its buffer";
	if (m->src_width == 0 || m->src_height == 0 ||
		(uint64_t)m->src_x + m->src_width > attrs->width ||
		(uint64_t)m->src_y + m->src_height > attrs->height)
		return false;
	frame->buffer = b->buffer;
	frame->src_x = m->src_x;
	frame->src_y = m->src_y;
	frame->src_width = m->src_width;
	frame->src_height = m->src_height;
	frame->damage_x = m->damage_x;
	frame->damage_y = m->damage_y;
	frame->damage_width = m->damage_width;
	frame->damage_height = m->damage_height;
	clip(&frame->damage_x, &frame->damage_width, m->src_x, m->src_width);
	clip(&frame->damage_y, &frame->damage_height, m->src_y, m->src_height);
	return true;
}

bool bn_frames_frame(struct bn_frames *frames, const struct bn_link_frame *m, const char **why)
{
	*why = "it named a scanout that is not there";
	if (m->scanout >= frames->num_scanouts)
		return false;
	*why = "its frame numbers do not rise";
	if (m->seq <= frames->last_seq || m->seq > SEQ_MASK)
		return false;
	struct bn_frame frame;
	if (!fill_frame(frames, m, &frame, why))
		return false;
	frames->last_seq = m->seq;
	struct scanout *s = &frames->scanout[m->scanout];
	s->submitted = m->seq;
	if (m->again)
		frame.content_ns = content_of(&s->last);
	if (frame.buffer)
		bn_monitor_flushed(frames->record.monitor);
	if (s->layer) {
		bn_frame_record_submitted(&frames->record, frame.seq, m);
		submit(s, &frame);
	} else if (frame.buffer) {
		/* Nobody looks, so nobody holds it. */
		bn_buffer_unlock(bn_buffer_lock(frame.buffer));
	}
	if (!s->layer || frames->draining)
		answer(s, m->seq, bn_now_ns());
	return true;
}

/* ---- cursors ---- */

static struct scanout *cursor_scanout(struct bn_frames *frames, uint32_t index, const char **why)
{
	*why = "it named a scanout that is not there";
	return index < frames->num_scanouts ? &frames->scanout[index] : NULL;
}

static void show_cursor(struct scanout *s, struct bn_layer *layer)
{
	bn_layer_set_cursor(layer, s->cursor.visible ? s->cursor.pixels : NULL, s->cursor.hot_x,
		s->cursor.hot_y);
}

static void set_cursor(struct scanout *s)
{
	struct bn_frames_mirror *mirror;
	show_cursor(s, s->layer);
	wl_list_for_each(mirror, &s->mirrors, link) show_cursor(s, mirror->layer);
}

/* What the guest calls the cursor's position is its picture's top left corner: Linux sends
 * crtc_x and crtc_y of the cursor plane, and QEMU draws it there. Layers want the hot spot. */
static void move_cursor(struct scanout *s, int32_t x, int32_t y)
{
	struct bn_frames_mirror *mirror;
	if (x > INT32_MAX - BN_CURSOR_SIZE)
		x = INT32_MAX - BN_CURSOR_SIZE;
	if (y > INT32_MAX - BN_CURSOR_SIZE)
		y = INT32_MAX - BN_CURSOR_SIZE;
	s->cursor.x = x + (int32_t)s->cursor.hot_x;
	s->cursor.y = y + (int32_t)s->cursor.hot_y;
	bn_layer_move_cursor(s->layer, s->cursor.x, s->cursor.y);
	wl_list_for_each(mirror, &s->mirrors, link)
		bn_layer_move_cursor(mirror->layer, s->cursor.x, s->cursor.y);
}

bool bn_frames_cursor_image(
	struct bn_frames *frames, const struct bn_link_cursor_image *m, const char **why)
{
	struct scanout *s = cursor_scanout(frames, m->scanout, why);
	if (!s)
		return false;
	if (!s->layer)
		return true;
	s->cursor.visible = m->visible;
	if (m->visible) {
		s->cursor.hot_x = min_u32(m->hot_x, BN_CURSOR_SIZE - 1);
		s->cursor.hot_y = min_u32(m->hot_y, BN_CURSOR_SIZE - 1);
		memcpy(s->cursor.pixels, m->pixels, sizeof(s->cursor.pixels));
	}
	set_cursor(s);
	if (m->visible)
		move_cursor(s, m->x, m->y);
	return true;
}

bool bn_frames_cursor_move(
	struct bn_frames *frames, const struct bn_link_cursor_move *m, const char **why)
{
	struct scanout *s = cursor_scanout(frames, m->scanout, why);
	if (s && s->layer)
		move_cursor(s, m->x, m->y);
	return s != NULL;
}

/* ---- mirrors ---- */

struct bn_layer *bn_frames_layer(struct bn_frames *frames, unsigned scanout)
{
	return scanout < frames->num_scanouts ? frames->scanout[scanout].layer : NULL;
}

void bn_frames_mirror_add(
	struct bn_frames *frames, unsigned scanout, struct bn_frames_mirror *mirror)
{
	assert(scanout < frames->num_scanouts && frames->scanout[scanout].layer);
	struct scanout *s = &frames->scanout[scanout];
	struct bn_frame now = s->last;
	wl_list_insert(s->mirrors.prev, &mirror->link);
	/* How long ago that was flushed is no latency of this output. */
	now.content_ns = content_of(&now);
	now.flush_ns = bn_now_ns();
	mirror_frame(mirror, &now);
	show_cursor(s, mirror->layer);
	bn_layer_move_cursor(mirror->layer, s->cursor.x, s->cursor.y);
}

void bn_frames_mirror_remove(struct bn_frames_mirror *mirror)
{
	wl_list_remove(&mirror->link);
}

/* ---- life ---- */

void bn_frames_renderer_gone(struct bn_frames *frames)
{
	struct shown_buffer *b, *tmp;
	wl_list_for_each_safe(b, tmp, &frames->buffers, link) forget_buffer(b);
	frames->generation = (frames->generation + 1) & 0xffff;
	frames->last_seq = 0;
	frames->draining = false;
	for (unsigned i = 0; i < frames->num_scanouts; i++)
		frames->scanout[i].submitted = frames->scanout[i].answered = 0;
}

void bn_frames_clear(struct bn_frames *frames)
{
	const struct bn_frame nothing = {0};
	for (unsigned i = 0; i < frames->num_scanouts; i++) {
		struct scanout *s = &frames->scanout[i];
		if (!s->layer)
			continue;
		s->cursor.visible = false;
		set_cursor(s);
		submit(s, &nothing);
	}
}

void bn_frames_set_draining(struct bn_frames *frames, bool draining)
{
	frames->draining = draining;
	for (unsigned i = 0; draining && i < frames->num_scanouts; i++)
		answer(&frames->scanout[i], frames->scanout[i].submitted, bn_now_ns());
}

unsigned bn_frames_buffers(const struct bn_frames *frames)
{
	return frames->num_buffers;
}

bool bn_frames_uses_output(const struct bn_frames *frames, const struct bn_output *output)
{
	for (unsigned i = 0; i < frames->num_scanouts; i++) {
		if (frames->scanout[i].layer && frames->scanout[i].output == output)
			return true;
	}
	return false;
}

struct bn_frames *bn_frames_create(struct bn_output *const *outputs, unsigned num_scanouts,
	struct bn_monitor *monitor, const struct bn_frames_listener *listener, void *data)
{
	assert(num_scanouts >= 1 && num_scanouts <= BN_LINK_SCANOUTS && listener->send);
	struct bn_frames *frames = calloc(1, sizeof(*frames));
	if (!frames)
		return NULL;
	wl_list_init(&frames->buffers);
	frames->num_scanouts = num_scanouts;
	frames->record.monitor = monitor;
	frames->listener = listener;
	frames->data = data;
	for (unsigned i = 0; i < num_scanouts; i++) {
		struct scanout *s = &frames->scanout[i];
		s->frames = frames;
		s->index = i;
		s->output = outputs[i];
		wl_list_init(&s->mirrors);
		if (!outputs[i])
			continue;
		s->layer = bn_layer_create(outputs[i], &layer_listener, s);
		if (!s->layer) {
			bn_frames_destroy(frames);
			return NULL;
		}
	}
	return frames;
}

void bn_frames_set_scheduler(struct bn_frames *frames, struct bn_arbiter *arbiter, unsigned vm,
	struct bn_trace *trace, struct bn_events *events)
{
	frames->record.arbiter = arbiter;
	frames->record.vm = vm;
	frames->record.trace = trace;
	frames->record.events = events;
}

void bn_frames_destroy(struct bn_frames *frames)
{
	if (!frames)
		return;
	bn_frames_renderer_gone(frames);
	for (unsigned i = 0; i < frames->num_scanouts; i++) {
		struct scanout *s = &frames->scanout[i];
		assert(!s->frames || wl_list_empty(&s->mirrors));
		bn_layer_destroy(s->layer);
		bn_buffer_unlock(s->last.buffer);
	}
	free(frames);
}
