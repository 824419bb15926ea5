#include "watchdog_cover.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "picture.h"
#include "zero-copy/buffer.h"

/* Frames of the picture are numbered 1; the empty ones that hide it 0. */
static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
	struct bn_cover *cover = data;
	if (frame->seq == 1 && how == BN_PRESENTED_SHOWN && cover->shown && cover->presented)
		cover->presented(cover->data, when_ns);
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

int bn_cover_init(struct bn_cover *cover, struct bn_output *output, const char *name,
	const char *path, int32_t z)
{
	char why[BN_PICTURE_WHY_MAX];
	struct bn_picture picture;
	struct bn_place place = bn_place_default;
	*cover = (struct bn_cover){0};
	int ret = bn_picture_read(&picture, path, 0, 0, why);
	if (ret < 0) {
		bn_error("%s %s", path, why);
		return ret;
	}
	cover->width = picture.width;
	cover->height = picture.height;
	cover->buffer = bn_picture_buffer(&picture);
	bn_picture_finish(&picture);
	if (cover->buffer)
		cover->layer = bn_layer_create(output, &listener, cover);
	if (!cover->layer) {
		bn_error("output %s: no room for the picture %s", bn_output_config(output)->name,
			path);
		return -ENOMEM;
	}
	place.role = BN_ROLE_FALLBACK;
	place.z = z;
	bn_layer_set_place(cover->layer, &place);
	bn_layer_set_owner(cover->layer, name, UINT32_MAX, 0);
	return 0;
}

void bn_cover_finish(struct bn_cover *cover)
{
	cover->presented = NULL;
	bn_layer_destroy(cover->layer);
	bn_buffer_drop(cover->buffer);
	*cover = (struct bn_cover){0};
}

struct bn_layer *bn_cover_layer(struct bn_cover *cover, struct bn_output *output)
{
	struct bn_layer *layer = bn_layer_create(output, &listener, cover);
	if (!layer)
		return NULL;
	bn_layer_set_owner(layer, bn_layer_name(cover->layer), UINT32_MAX, 0);
	bn_layer_set_place(layer, bn_layer_place(cover->layer));
	return layer;
}

void bn_cover_take(struct bn_cover *cover, struct bn_layer *layer)
{
	bn_layer_destroy(cover->layer);
	cover->layer = layer;
	cover->shown = false;
}

void bn_cover_place(struct bn_cover *cover, const struct bn_rect *at)
{
	if (!cover->layer)
		return;
	struct bn_place place = *bn_layer_place(cover->layer);
	place.at = *at;
	if (at->width == cover->width && at->height == cover->height)
		place.at.width = place.at.height = 0;
	bn_layer_set_place(cover->layer, &place);
}

void bn_cover_show(struct bn_cover *cover, bool show)
{
	if (!cover->layer || cover->shown == show)
		return;
	struct bn_frame frame = {0};
	if (show)
		frame = (struct bn_frame){
			.buffer = cover->buffer,
			.src_width = cover->width,
			.src_height = cover->height,
			.damage_width = cover->width,
			.damage_height = cover->height,
			.seq = 1,
		};
	cover->shown = show;
	bn_layer_submit(cover->layer, &frame);
}
