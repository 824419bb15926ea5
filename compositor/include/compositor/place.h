/* How a layer sits on its output. Pure values: nothing here touches a device. */
#ifndef BN_COMPOSITOR_PLACE_H
#define BN_COMPOSITOR_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#define BN_ALPHA_OPAQUE 0xffffu

/* Pixels from the top left. */
struct bn_rect {
	int32_t x, y;
	uint32_t width, height;
};

/* Layers of a higher role are above those of a lower one whatever their z, but for NORMAL and SAFETY, which z orders:
 * a NORMAL layer that would cover a SAFETY one outside of its openings is refused by bn_scene_check(). */
enum bn_role {
	BN_ROLE_NORMAL,
	BN_ROLE_SAFETY,	  /* gets its plane before every NORMAL layer of the output, and is never left out */
	BN_ROLE_FALLBACK, /* the picture shown instead of a safety layer that failed, and at start: on top of all */
};

struct bn_place {
	/* The part of the scanout that is shown, in its pixels seen upright; a width of 0: all of it. What of the part lies
	 * outside of the scanout shows nothing, at its place and scale. */
	struct bn_rect crop;
	/* Where it comes to lie on the output, turned and scaled; a width or height of 0: unscaled (after turning). */
	struct bn_rect at;
	/* One of DRM_MODE_ROTATE_0, _90, _180, _270 (counter-clockwise), and DRM_MODE_REFLECT_X and _Y (before the turn), of
	 * drm_mode.h; 0: as it is. */
	uint32_t transform;
	uint16_t alpha; /* of the whole layer, BN_ALPHA_OPAQUE: opaque */
	bool blend;	/* the pixels' own alpha counts (premultiplied); otherwise the picture is opaque */
	bool hidden;
	int32_t z; /* layers of the same z: in the order they were made */
	enum bn_role role;
};

/* At the top left, unscaled, opaque. */
extern const struct bn_place bn_place_default;

/* What the scanout part of width × height becomes on the output: at, with its size filled in. */
struct bn_rect bn_place_rect(const struct bn_place *place, uint32_t width, uint32_t height);
/* Whether the two have a pixel in common; *common may be NULL. No overflow whatever they hold. */
bool bn_rect_intersect(const struct bn_rect *a, const struct bn_rect *b, struct bn_rect *common);

#endif
