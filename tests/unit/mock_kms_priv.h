/* What the parts of the mock share. */
#ifndef BN_TEST_MOCK_KMS_PRIV_H
#define BN_TEST_MOCK_KMS_PRIV_H

#include <xf86drm.h>
#include <xf86drmMode.h>

#include "mock_kms.h"

#define WIDTH 640
#define HEIGHT 480
#define CRTC 10u
#define ENCODER 20u
#define CONNECTOR 30u
#define PLANE 100u
#define PROP 1000u
#define BLOBS 64
#define FBS 256
#define MEMORIES 256

enum prop {
	FB_ID,
	CRTC_ID,
	CRTC_X,
	CRTC_Y,
	CRTC_W,
	CRTC_H,
	SRC_X,
	SRC_Y,
	SRC_W,
	SRC_H,
	ROTATION,
	ALPHA,
	BLEND,
	ENCODING,
	RANGE,
	ZPOS,
	TYPE,
	ACTIVE,
	MODE_ID,
	LINK,
	DAMAGE,
	PROPS,
};

/* Memory by handle: a dumb buffer, or somebody's memfd. */
struct memory {
	void *map;
	size_t size;
	bool dumb, open; /* open: the handle is */
	unsigned fbs;
};

struct fb {
	bool used;
	uint32_t width, height, fourcc, stride, offset, memory;
};

/* Of a commit for one plane; count 0: all of it. */
struct clips {
	unsigned count;
	struct drm_mode_rect rect[16];
};

struct state {
	uint64_t plane[MOCK_PLANES_MAX][PROPS];
	uint64_t crtc[MOCK_CRTCS_MAX][PROPS];
	uint64_t connector[MOCK_CRTCS_MAX][PROPS];
};

struct mock_state {
	int fds[2];
	struct state now, next; /* shown; committed */
	struct fb fb[FBS];
	struct memory memory[MEMORIES];
	struct {
		void *data;
		uint32_t size;
	} blob[BLOBS];
	uint64_t pending[MOCK_CRTCS_MAX]; /* user data of its flip; 0: none */
	uint32_t sequence;
	struct clips clips[MOCK_PLANES_MAX]; /* of the last commit that named the plane */
	bool named[MOCK_PLANES_MAX];         /* by a commit that is not shown yet */
	uint32_t copy[MOCK_CRTCS_MAX][WIDTH * HEIGHT];
};
extern struct mock_state m;

/* The ioctls, by object. Each 0 or -errno. */
int mock_create_dumb(struct drm_mode_create_dumb *args);
int mock_import(struct drm_prime_handle *args);
int mock_close_handle(uint32_t handle);
int mock_add_fb(struct drm_mode_fb_cmd2 *args);
int mock_remove_fb(uint32_t id);
int mock_get_fb(struct drm_mode_fb_cmd2 *args);
int mock_create_blob(struct drm_mode_create_blob *args);
int mock_destroy_blob(uint32_t id);
/* The plane's FB_DAMAGE_CLIPS, checked as the kernel does. */
bool mock_read_clips(const uint64_t *plane, struct clips *out);
int mock_get_resources(struct drm_mode_card_res *args);
int mock_get_planes(struct drm_mode_get_plane_res *args);
int mock_get_plane(struct drm_mode_get_plane *args);
int mock_get_connector(struct drm_mode_get_connector *args);
int mock_get_properties(struct drm_mode_obj_get_properties *args);
int mock_get_property(struct drm_mode_get_property *args);
bool mock_object_has(uint32_t object, enum prop prop);
bool mock_takes(const struct mock_plane *plane, uint32_t fourcc);

#endif
