/* The one composed picture of an output: what has no plane, drawn by a GPU or by the CPU, each time only where something
 * changed. Up to three buffers take turns; each knows what has changed since it was drawn. */
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <xf86drm.h>

#include "common/fd.h"
#include "common/log.h"
#include "kms_impl.h"

#define BIT(i) (1ull << (i))
#define FENCE_MS 100

static void add_rect(pixman_region32_t *region, const struct bn_rect *rect)
{
	pixman_region32_union_rect(region, region, rect->x, rect->y, rect->width, rect->height);
}

static void damage_all(struct bn_kms_output *ko)
{
	const struct bn_output_config *config = &ko->output->config;
	struct bn_rect all = {0, 0, config->width, config->height};

	add_rect(&ko->pictures.damage, &all);
}

/* ---- memory ---- */

static void set_up(struct bn_kms_output *ko)
{
	struct bn_kms_pictures *p = &ko->pictures;

	if (p->set_up)
		return;
	for (unsigned i = 0; i < BN_KMS_PICTURES; i++) {
		pixman_region32_init(&p->stale[i]);
		p->fence[i] = -1;
	}
	pixman_region32_init(&p->damage);
	pixman_region32_init(&p->changed);
	p->latest = -1;
	p->set_up = true;
}

static int make_picture(struct bn_kms_output *ko, int index)
{
	const struct bn_output_config *config = &ko->output->config;
	struct bn_kms_pictures *p = &ko->pictures;
	struct bn_kms_dumb *dumb = &p->dumb[index];
	int r;

	if (dumb->map)
		return 0;
	r = bn_kms_dumb_init(dumb, ko->card, config->width, config->height);
	if (r < 0)
		return r;
	p->image[index] = pixman_image_create_bits_no_clear(PIXMAN_a8r8g8b8, (int)config->width,
		(int)config->height, (uint32_t *)(void *)dumb->map, (int)dumb->stride);
	if (p->image[index] && ko->card->prefer_shadow && !p->shadow)
		p->shadow = pixman_image_create_bits(
			PIXMAN_a8r8g8b8, (int)config->width, (int)config->height, NULL, 0);
	if (!p->image[index] || (ko->card->prefer_shadow && !p->shadow)) {
		bn_kms_dumb_finish(dumb, ko->card);
		return -ENOMEM;
	}
	pixman_region32_union_rect(
		&p->stale[index], &p->stale[index], 0, 0, config->width, config->height);
	return 0;
}

int bn_kms_compose_prepare(struct bn_kms_output *ko)
{
	set_up(ko);
	return make_picture(ko, 0);
}

void bn_kms_compose_finish(struct bn_kms_output *ko)
{
	struct bn_kms_pictures *p = &ko->pictures;

	if (!p->set_up)
		return;
	for (unsigned i = 0; i < BN_KMS_PICTURES; i++) {
		bn_compose_gl_target_destroy(p->target[i]);
		bn_fd_close(&p->fence[i]);
		if (p->image[i])
			pixman_image_unref(p->image[i]);
		if (p->dumb[i].handle)
			bn_kms_dumb_finish(&p->dumb[i], ko->card);
		pixman_region32_fini(&p->stale[i]);
	}
	if (p->shadow)
		pixman_image_unref(p->shadow);
	pixman_region32_fini(&p->damage);
	pixman_region32_fini(&p->changed);
	*p = (struct bn_kms_pictures){.latest = -1};
}

static int pick_picture(struct bn_kms_output *ko)
{
	/* The one drawn last has the least to be drawn, if it is free (its commit failed). */
	int latest = ko->pictures.latest;

	if (latest >= 0 && !bn_kms_is_held(ko, false, latest))
		return latest;
	for (int i = 0; i < BN_KMS_PICTURES; i++) {
		if (!bn_kms_is_held(ko, false, i))
			return i;
	}
	return -EBUSY;
}

/* ---- damage ---- */

static bool same_geometry(const struct bn_geometry *a, const struct bn_geometry *b)
{
	return memcmp(&a->at, &b->at, sizeof(a->at)) == 0 && a->src_x == b->src_x &&
	       a->src_y == b->src_y && a->src_width == b->src_width &&
	       a->src_height == b->src_height && a->transform == b->transform;
}

/* Where the frame's damage comes to lie. */
static void damage_frame(struct bn_kms_output *ko, const struct bn_kms_item *item)
{
	const struct bn_layer *layer = item->layer;
	const struct bn_frame *frame = &layer->current;
	const struct bn_place *place = &layer->place;
	struct bn_rect rect = {
		(int32_t)frame->damage_x - (int32_t)frame->src_x - place->crop.x + place->at.x,
		(int32_t)frame->damage_y - (int32_t)frame->src_y - place->crop.y + place->at.y,
		frame->damage_width,
		frame->damage_height,
	};
	bool upright = (place->transform & ~(uint32_t)DRM_MODE_ROTATE_0) == 0;
	bool cropped = place->crop.width != 0 && place->crop.height != 0;

	if (!cropped && (place->crop.x != 0 || place->crop.y != 0))
		upright = false;
	if (!upright || bn_geometry_is_scaled(&item->at))
		rect = item->at.at;
	else if (!bn_rect_intersect(&rect, &item->at.at, &rect))
		return;
	add_rect(&ko->pictures.damage, &rect);
}

/* What hides a hidden one may be on a plane below the picture, which it must not be in. */
static bool is_composed(const struct bn_kms_plan *plan, unsigned i)
{
	return plan->plane[i] < 0 && plan->reason[i] != BN_KMS_HIDDEN;
}

/* One item that is composed now, was before, or both. */
static void damage_item(struct bn_kms_output *ko, const struct bn_kms_item *item, bool composed)
{
	struct bn_kms_layer *kl = bn_kms_layer_of(item->layer);
	bool *drawn = item->cursor ? &kl->cursor_drawn : &kl->drawn;
	struct bn_geometry *at = item->cursor ? &kl->cursor_at : &kl->at;
	bool fresh = item->cursor ? kl->cursor_changed : item->layer->fresh;

	if (*drawn && (!composed || !same_geometry(at, &item->at)))
		add_rect(&ko->pictures.damage, &at->at);
	if (composed && (!*drawn || !same_geometry(at, &item->at)))
		add_rect(&ko->pictures.damage, &item->at.at);
	else if (composed && fresh && item->cursor)
		add_rect(&ko->pictures.damage, &item->at.at);
	else if (composed && fresh)
		damage_frame(ko, item);
	*drawn = composed;
	*at = item->at;
	if (composed && item->cursor)
		kl->cursor_changed = item->layer->cursor.fresh = false;
}

/* Layers that were drawn and cannot be seen any more. */
static void damage_gone(struct bn_kms_output *ko)
{
	struct bn_geometry unused;
	struct bn_layer *layer;

	wl_list_for_each(layer, &ko->output->layers, link)
	{
		struct bn_kms_layer *kl = layer->impl_data;

		if (!kl)
			continue;
		if (kl->drawn && !bn_layer_geometry(layer, &unused)) {
			add_rect(&ko->pictures.damage, &kl->at.at);
			kl->drawn = false;
		}
		if (kl->cursor_drawn && !bn_cursor_geometry(layer, &unused)) {
			add_rect(&ko->pictures.damage, &kl->cursor_at.at);
			kl->cursor_drawn = false;
		}
	}
}

void bn_kms_compose_forget(struct bn_kms_output *ko, const struct bn_kms_layer *kl)
{
	if (!ko->pictures.set_up)
		return;
	if (kl->drawn)
		add_rect(&ko->pictures.damage, &kl->at.at);
	if (kl->cursor_drawn)
		add_rect(&ko->pictures.damage, &kl->cursor_at.at);
}

/* What is in the picture in which order and how; where it is and what it shows is looked at one by one. */
static uint64_t order_of(const struct bn_kms_scene *scene, const struct bn_kms_plan *plan)
{
	uint64_t key = plan->picture_below;

	for (unsigned i = 0; i < scene->count; i++) {
		const struct bn_kms_item *item = &scene->items[i];

		if (!is_composed(plan, i) || item->cursor)
			continue;
		key = (key ^ (item->layer->age << 20 | (uint64_t)item->alpha << 4 |
				     (uint64_t)item->blend << 1)) *
		      0x9e3779b97f4a7c15u;
	}
	return key;
}

static void gather_damage(struct bn_kms_output *ko, const struct bn_kms_plan *plan)
{
	const struct bn_output_config *config = &ko->output->config;
	struct bn_kms_pictures *p = &ko->pictures;
	uint64_t order = order_of(&ko->scene, plan);

	for (unsigned i = 0; i < ko->scene.count; i++)
		damage_item(ko, &ko->scene.items[i], is_composed(plan, i));
	damage_gone(ko);
	if (p->latest < 0 || p->opaque != plan->picture_below || p->order != order)
		damage_all(ko);
	/* Things were drawn elsewhere when the mode was another, and what fills boxes does not look where they are. */
	pixman_region32_intersect_rect(
		&p->damage, &p->damage, 0, 0, config->width, config->height);
	p->opaque = plan->picture_below;
	p->order = order;
}

/* ---- drawing ---- */

static unsigned list_composed(const struct bn_kms_output *ko, const struct bn_kms_plan *plan,
	struct bn_compose_item *items)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ko->scene.count; i++) {
		const struct bn_kms_item *item = &ko->scene.items[i];

		if (is_composed(plan, i))
			items[count++] = (struct bn_compose_item){item->layer, item->cursor};
	}
	return count;
}

static int draw(struct bn_kms_output *ko, const struct bn_kms_plan *plan, pixman_image_t *image,
	pixman_region32_t *region)
{
	const pixman_color_t black = {0, 0, 0, plan->picture_below ? 0xffff : 0};
	struct bn_compose_item items[BN_KMS_ITEMS_MAX];
	pixman_box32_t *boxes;
	int n;

	boxes = pixman_region32_rectangles(region, &n);
	pixman_image_fill_boxes(PIXMAN_OP_SRC, image, &black, n, boxes);
	return bn_compose_items(image, 0, 0, items, list_composed(ko, plan, items), region);
}

static void copy_region(pixman_image_t *to, pixman_image_t *from, pixman_region32_t *region)
{
	int n;
	pixman_box32_t *box = pixman_region32_rectangles(region, &n);

	for (int i = 0; i < n; i++)
		pixman_image_composite32(PIXMAN_OP_SRC, from, NULL, to, box[i].x1, box[i].y1, 0, 0,
			box[i].x1, box[i].y1, box[i].x2 - box[i].x1, box[i].y2 - box[i].y1);
}

static int draw_by_cpu(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int index)
{
	struct bn_kms_pictures *p = &ko->pictures;
	struct bn_output_status *counters = &ko->output->counters;
	int r;

	if (p->shadow) {
		if (p->by_gpu) {
			damage_all(ko);
			pixman_region32_copy(&p->stale[index], &p->damage);
		}
		r = draw(ko, plan, p->shadow, &p->damage);
		copy_region(p->image[index], p->shadow, &p->stale[index]);
		counters->composed_bytes += 4 * bn_compose_area(&p->damage);
	} else {
		r = draw(ko, plan, p->image[index], &p->stale[index]);
	}
	counters->composed_bytes += 4 * bn_compose_area(&p->stale[index]);
	p->by_gpu = false;
	return r;
}

/* ---- on a GPU ---- */

static struct bn_compose_gl *gpu_of(struct bn_kms_card *card)
{
	if (!card->gl_asked && bn_kms_sys.threads)
		card->gl = bn_compose_gl_create(card->fd, card->path);
	card->gl_asked = true;
	return card->gl;
}

static struct bn_compose_gl_target *target_of(struct bn_kms_output *ko, int index)
{
	struct bn_kms_pictures *p = &ko->pictures;
	const struct bn_kms_dumb *dumb = &p->dumb[index];
	struct bn_compose_gl_memory memory = {-1, dumb->width, dumb->height, dumb->stride};

	if (p->target[index] || p->no_target)
		return p->target[index];
	if (drmPrimeHandleToFD(ko->card->fd, dumb->handle, DRM_CLOEXEC | DRM_RDWR, &memory.fd) <
			0 ||
		bn_compose_gl_target_create(&p->target[index], ko->card->gl, &memory) < 0) {
		bn_info("output %s: the card's memory cannot be handed to a GPU: the CPU composes",
			ko->output->config.name);
		p->no_target = true;
	}
	bn_fd_close(&memory.fd);
	return p->target[index];
}

/* Every driver that is atomic takes a fence, or so it should be. */
static void settle_fence(const struct bn_kms_output *ko, const struct bn_kms_plan *plan, int *fence)
{
	struct pollfd p = {.fd = *fence, .events = POLLIN};

	if (*fence < 0 || ko->card->planes[plan->picture].props[BN_KMS_IN_FENCE].id != 0)
		return;
	poll(&p, 1, FENCE_MS);
	bn_fd_close(fence);
}

/* As bn_compose_gl_draw(). */
static int draw_by_gpu(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int index)
{
	struct bn_compose_item items[BN_KMS_ITEMS_MAX];
	struct bn_kms_pictures *p = &ko->pictures;
	struct bn_compose_gl *gl = gpu_of(ko->card);
	struct bn_compose_gl_target *target;
	int r;

	if (!gl || !bn_compose_gl_ready(gl))
		return -EBUSY;
	target = target_of(ko, index);
	if (!target)
		return -EIO;
	r = bn_compose_gl_draw(gl, target, items, list_composed(ko, plan, items),
		plan->picture_below, &p->stale[index], &p->fence[index],
		&ko->output->counters.composed_bytes);
	if (!bn_compose_gl_drew(r))
		return r;
	settle_fence(ko, plan, &p->fence[index]);
	p->by_gpu = true;
	return r;
}

void bn_kms_compose_committed(struct bn_kms_output *ko, int picture)
{
	bn_fd_close(&ko->pictures.fence[picture]);
	pixman_region32_clear(&ko->pictures.changed);
}

static int draw_picture(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int index)
{
	struct bn_kms_pictures *p = &ko->pictures;
	int r;

	for (unsigned i = 0; i < BN_KMS_PICTURES; i++)
		pixman_region32_union(&p->stale[i], &p->stale[i], &p->damage);
	bn_fd_close(&p->fence[index]);
	r = draw_by_gpu(ko, plan, index);
	if (!bn_compose_gl_drew(r))
		r = draw_by_cpu(ko, plan, index);
	ko->output->counters.composed++;
	pixman_region32_union(&p->changed, &p->changed, &p->damage);
	pixman_region32_clear(&p->stale[index]);
	pixman_region32_clear(&p->damage);
	p->latest = index;
	return r;
}

/* A layer that could not be drawn (a GPU still writes to it, or it cannot be read) is tried again with the next frame. */
static void complain(struct bn_kms_output *ko, int error)
{
	damage_all(ko);
	if (error == -EAGAIN)
		ko->dirty = true;
	else if (bn_log_gate(&ko->log_compose))
		bn_warn("output %s: a layer without a plane could not be drawn: %s",
			ko->output->config.name, strerror(-error));
}

static bool have_layers(const struct bn_kms_scene *scene)
{
	for (unsigned i = 0; i < scene->count; i++) {
		if (!bn_kms_layer_of(scene->items[i].layer))
			return false;
	}
	return true;
}

int bn_kms_compose(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int *picture)
{
	struct bn_kms_pictures *p = &ko->pictures;
	int r;

	*picture = -1;
	set_up(ko);
	if (!have_layers(&ko->scene))
		return -ENOMEM;
	if (plan->picture < 0) {
		/* What happens from here on is not followed. */
		p->latest = -1;
		return 0;
	}
	gather_damage(ko, plan);
	if (!pixman_region32_not_empty(&p->damage)) {
		*picture = p->latest;
		return 0;
	}
	*picture = pick_picture(ko);
	r = *picture < 0 ? *picture : make_picture(ko, *picture);
	if (r < 0)
		return r;
	r = draw_picture(ko, plan, *picture);
	if (r < 0)
		complain(ko, r);
	return 0;
}

const uint32_t *bn_kms_compose_pixels(const struct bn_kms_output *ko, uint32_t *stride)
{
	const struct bn_kms_pictures *p = &ko->pictures;
	pixman_image_t *image;

	if (!p->set_up || ko->shown.picture < 0 || p->latest != ko->shown.picture)
		return NULL;
	image = p->shadow && !p->by_gpu ? p->shadow : p->image[p->latest];
	*stride = (uint32_t)pixman_image_get_stride(image) / 4;
	return pixman_image_get_data(image);
}
