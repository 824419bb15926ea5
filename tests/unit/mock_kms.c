#include "mock_kms.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "kms_impl.h"
#include "unit.h"

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

struct mock_kms mock;

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
	PROPS,
};

static const char *const names[PROPS] = {"FB_ID", "CRTC_ID", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H",
	"SRC_X", "SRC_Y", "SRC_W", "SRC_H", "rotation", "alpha", "pixel blend mode",
	"COLOR_ENCODING", "COLOR_RANGE", "zpos", "type", "ACTIVE", "MODE_ID", "link-status"};

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

struct state {
	uint64_t plane[MOCK_PLANES_MAX][PROPS];
	uint64_t crtc[MOCK_CRTCS_MAX][PROPS];
	uint64_t connector[MOCK_CRTCS_MAX][PROPS];
};

static struct {
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
} m;

static unsigned chance(unsigned of_100)
{
	mock.random = mock.random * 6364136223846793005u + 1442695040888963407u;
	return mock.random >> 33 & 0xffff ? (mock.random >> 33) % 100 < of_100 : false;
}

/* ---- the calls that are not ioctls ---- */

static int mock_open(const char *path)
{
	if (strcmp(path, "/dev/dri/card0") != 0)
		return -ENOENT;
	CU_ASSERT_EQUAL_FATAL(pipe2(m.fds, O_CLOEXEC | O_NONBLOCK), 0);
	return m.fds[0];
}

static void mock_close(int fd)
{
	close(m.fds[0]);
	close(m.fds[1]);
	m.fds[0] = m.fds[1] = -1;
}

static void *mock_map(int fd, size_t size, uint64_t offset)
{
	return m.memory[offset >> 32].map;
}

static void mock_unmap(void *map, size_t size)
{
}

static int mock_share(int udmabuf, struct udmabuf_create *create)
{
	if (create->offset % 4096 || create->size % 4096)
		return -EINVAL;
	return dup((int)create->memfd);
}

/* ---- memory ---- */

static int take_memory(void *map, size_t size, bool dumb)
{
	for (int i = 1; i < MEMORIES; i++) {
		if (m.memory[i].map)
			continue;
		m.memory[i] = (struct memory){map, size, dumb, true, 0};
		return i;
	}
	CU_FAIL_FATAL("the mock has no memory left");
	return 0;
}

static void drop_memory(unsigned i)
{
	struct memory *memory = &m.memory[i];

	if (memory->open || memory->fbs > 0)
		return;
	if (memory->dumb)
		free(memory->map);
	else
		munmap(memory->map, memory->size);
	*memory = (struct memory){0};
}

static int create_dumb(struct drm_mode_create_dumb *args)
{
	args->pitch = args->width * 4;
	args->size = (uint64_t)args->pitch * args->height;
	args->handle = (uint32_t)take_memory(calloc(1, args->size), args->size, true);
	return 0;
}

static int import(struct drm_prime_handle *args)
{
	struct stat st;
	void *map;

	fstat(args->fd, &st);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, args->fd, 0);
	CU_ASSERT_FATAL(map != MAP_FAILED);
	args->handle = (uint32_t)take_memory(map, (size_t)st.st_size, false);
	return 0;
}

static int close_handle(uint32_t handle)
{
	CU_ASSERT(handle < MEMORIES && m.memory[handle].open);
	m.memory[handle].open = false;
	drop_memory(handle);
	return 0;
}

static int add_fb(struct drm_mode_fb_cmd2 *args)
{
	for (uint32_t i = 1; i < FBS; i++) {
		if (m.fb[i].used)
			continue;
		m.fb[i] = (struct fb){true, args->width, args->height, args->pixel_format,
			args->pitches[0], args->offsets[0], args->handles[0]};
		CU_ASSERT(args->handles[0] > 0 && m.memory[args->handles[0]].open);
		m.memory[args->handles[0]].fbs++;
		args->fb_id = i;
		return 0;
	}
	return -ENOSPC;
}

static int remove_fb(uint32_t id)
{
	CU_ASSERT_FATAL(id < FBS && m.fb[id].used);
	m.fb[id].used = false;
	m.memory[m.fb[id].memory].fbs--;
	drop_memory(m.fb[id].memory);
	/* The kernel takes it off the planes that show it. */
	for (unsigned p = 0; p < MOCK_PLANES_MAX; p++) {
		if (m.now.plane[p][FB_ID] == id)
			m.now.plane[p][FB_ID] = m.now.plane[p][CRTC_ID] = 0;
		if (m.next.plane[p][FB_ID] == id)
			m.next.plane[p][FB_ID] = m.next.plane[p][CRTC_ID] = 0;
	}
	return 0;
}

static int get_fb(struct drm_mode_fb_cmd2 *args)
{
	const struct fb *fb = &m.fb[args->fb_id];

	if (args->fb_id >= FBS || !fb->used)
		return -ENOENT;
	args->width = fb->width;
	args->height = fb->height;
	args->pixel_format = fb->fourcc;
	args->flags = DRM_MODE_FB_MODIFIERS;
	args->pitches[0] = fb->stride;
	memset(args->handles, 0, sizeof(args->handles));
	return 0;
}

static int create_blob(struct drm_mode_create_blob *args)
{
	for (uint32_t i = 1; i < BLOBS; i++) {
		if (m.blob[i].data)
			continue;
		m.blob[i].data = malloc(args->length);
		m.blob[i].size = args->length;
		memcpy(m.blob[i].data, (void *)(uintptr_t)args->data, args->length);
		args->blob_id = i;
		return 0;
	}
	return -ENOSPC;
}

static int destroy_blob(uint32_t id)
{
	CU_ASSERT(id < BLOBS && m.blob[id].data);
	free(m.blob[id].data);
	m.blob[id].data = NULL;
	return 0;
}

/* ---- looking ---- */

static void copy_out(uint64_t to, uint32_t *count, const uint32_t *ids, uint32_t n)
{
	if (to && *count >= n)
		memcpy((void *)(uintptr_t)to, ids, n * sizeof(*ids));
	*count = n;
}

static int get_resources(struct drm_mode_card_res *args)
{
	uint32_t crtcs[MOCK_CRTCS_MAX], connectors[MOCK_CRTCS_MAX], encoders[MOCK_CRTCS_MAX];

	for (unsigned i = 0; i < mock.hw->crtcs; i++) {
		crtcs[i] = CRTC + i;
		connectors[i] = CONNECTOR + i;
		encoders[i] = ENCODER + i;
	}
	copy_out(args->crtc_id_ptr, &args->count_crtcs, crtcs, mock.hw->crtcs);
	copy_out(args->connector_id_ptr, &args->count_connectors, connectors, mock.hw->crtcs);
	copy_out(args->encoder_id_ptr, &args->count_encoders, encoders, mock.hw->crtcs);
	args->count_fbs = 0;
	return 0;
}

static int get_planes(struct drm_mode_get_plane_res *args)
{
	uint32_t ids[MOCK_PLANES_MAX];

	for (unsigned i = 0; i < mock.hw->plane_count; i++)
		ids[i] = PLANE + i;
	copy_out(args->plane_id_ptr, &args->count_planes, ids, mock.hw->plane_count);
	return 0;
}

static int get_plane(struct drm_mode_get_plane *args)
{
	const struct mock_plane *plane = &mock.hw->planes[args->plane_id - PLANE];
	uint32_t n = 0;

	while (plane->formats[n])
		n++;
	args->possible_crtcs = plane->crtcs;
	args->crtc_id = args->fb_id = 0;
	copy_out(args->format_type_ptr, &args->count_format_types, plane->formats, n);
	return 0;
}

static const struct drm_mode_modeinfo mode = {
	.clock = 25200,
	.hdisplay = WIDTH,
	.htotal = 800,
	.vdisplay = HEIGHT,
	.vtotal = 525,
	.vrefresh = 60,
	.type = DRM_MODE_TYPE_PREFERRED,
	.name = "640x480",
};

static int get_connector(struct drm_mode_get_connector *args)
{
	unsigned i = args->connector_id - CONNECTOR;
	uint32_t encoder = ENCODER + i, modes = args->count_modes;

	args->connector_type = DRM_MODE_CONNECTOR_DSI;
	args->connector_type_id = i + 1;
	args->connection = mock.unplugged[i] ? 2 : 1;
	args->encoder_id = 0;
	args->count_props = 0;
	args->count_modes = mock.unplugged[i] ? 0 : 1;
	if (modes >= 1 && args->modes_ptr && args->count_modes)
		memcpy((void *)(uintptr_t)args->modes_ptr, &mode, sizeof(mode));
	copy_out(args->encoders_ptr, &args->count_encoders, &encoder, 1);
	return 0;
}

static bool takes(const struct mock_plane *plane, uint32_t fourcc)
{
	for (unsigned i = 0; plane->formats[i]; i++) {
		if (plane->formats[i] == fourcc)
			return true;
	}
	return false;
}

static bool plane_has(const struct mock_plane *plane, enum prop prop)
{
	switch (prop) {
	case ROTATION:
		return plane->rotations != 0;
	case ALPHA:
		return plane->alpha;
	case BLEND:
		return plane->blend;
	case ENCODING:
	case RANGE:
		return takes(plane, DRM_FORMAT_NV12);
	case ZPOS:
		return plane->zpos >= 0;
	default:
		return prop <= TYPE;
	}
}

static const uint64_t *values_of(uint32_t object)
{
	if (object >= PLANE)
		return m.next.plane[object - PLANE];
	return object >= CONNECTOR ? m.next.connector[object - CONNECTOR]
				   : m.next.crtc[object - CRTC];
}

static bool object_has(uint32_t object, enum prop prop)
{
	if (object >= PLANE)
		return plane_has(&mock.hw->planes[object - PLANE], prop);
	return object >= CONNECTOR ? prop == CRTC_ID || prop == LINK
				   : prop == ACTIVE || prop == MODE_ID;
}

/* Of a plane some properties have an id of their own, because what they may be differs. */
static uint32_t prop_id(uint32_t object, enum prop prop)
{
	bool own = object >= PLANE && (prop == ROTATION || prop == ZPOS);

	return PROP + prop + (own ? 100 * (object - PLANE + 1) : 0);
}

static int get_properties(struct drm_mode_obj_get_properties *args)
{
	uint32_t *ids = (void *)(uintptr_t)args->props_ptr, n = 0;
	uint64_t *values = (void *)(uintptr_t)args->prop_values_ptr;
	bool fill = ids && values;

	for (unsigned p = 0; p < PROPS; p++) {
		if (!object_has(args->obj_id, (enum prop)p))
			continue;
		if (fill && n < args->count_props) {
			ids[n] = prop_id(args->obj_id, (enum prop)p);
			values[n] = values_of(args->obj_id)[p];
		}
		n++;
	}
	args->count_props = n;
	return 0;
}

static const char *const rotations[] = {
	"rotate-0", "rotate-90", "rotate-180", "rotate-270", "reflect-x", "reflect-y"};

static unsigned list_enums(
	enum prop prop, const struct mock_plane *plane, struct drm_mode_property_enum *out)
{
	unsigned n = 0;

	if (prop == ROTATION) {
		for (unsigned i = 0; i < 6; i++) {
			if (!(plane->rotations & 1u << i))
				continue;
			out[n].value = i;
			snprintf(out[n++].name, DRM_PROP_NAME_LEN, "%s", rotations[i]);
		}
	} else if (prop == BLEND) {
		out[0].value = 0;
		strcpy(out[0].name, "Pre-multiplied");
		n = 1;
	} else if (prop == ENCODING || prop == RANGE) {
		for (n = 0; n < 2; n++) {
			out[n].value = n;
			strcpy(out[n].name,
				prop == ENCODING ? n ? "ITU-R BT.709 YCbCr" : "ITU-R BT.601 YCbCr"
				: n              ? "YCbCr full range"
						 : "YCbCr limited range");
		}
	}
	return n;
}

static int get_property(struct drm_mode_get_property *args)
{
	unsigned own = (args->prop_id - PROP) / 100;
	enum prop prop = (enum prop)((args->prop_id - PROP) % 100);
	const struct mock_plane *plane = own ? &mock.hw->planes[own - 1] : &mock.hw->planes[0];
	struct drm_mode_property_enum enums[8];
	unsigned n = list_enums(prop, plane, enums);
	uint64_t range[2] = {
		0, prop == ZPOS ? (uint64_t)(plane->zpos_max ? plane->zpos_max : plane->zpos)
				: UINT32_MAX};

	memset(args->name, 0, sizeof(args->name));
	snprintf(args->name, sizeof(args->name), "%s", names[prop]);
	args->flags = prop == ROTATION ? DRM_MODE_PROP_BITMASK
		      : n              ? DRM_MODE_PROP_ENUM
				       : DRM_MODE_PROP_RANGE;
	if (prop == TYPE || (prop == ZPOS && plane->zpos_max == 0))
		args->flags |= DRM_MODE_PROP_IMMUTABLE;
	if (n && args->count_enum_blobs >= n && args->enum_blob_ptr)
		memcpy((void *)(uintptr_t)args->enum_blob_ptr, enums, n * sizeof(enums[0]));
	if (!n && args->count_values >= 2 && args->values_ptr)
		memcpy((void *)(uintptr_t)args->values_ptr, range, sizeof(range));
	if (n && args->values_ptr && args->count_values >= n) {
		for (unsigned i = 0; i < n; i++)
			((uint64_t *)(uintptr_t)args->values_ptr)[i] = enums[i].value;
	}
	args->count_enum_blobs = n;
	args->count_values = n ? n : 2;
	return 0;
}

/* ---- committing ---- */

/* By how much it is scaled in both ways is within limits; *scaled: it is at all. */
static bool scale_is_fine(const struct mock_plane *plane, const uint64_t *v, bool *scaled)
{
	bool turned = v[ROTATION] & (DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_270);
	uint64_t w = (turned ? v[SRC_H] : v[SRC_W]) >> 12, h = (turned ? v[SRC_W] : v[SRC_H]) >> 12;
	uint64_t dw = v[CRTC_W] * 256, dh = v[CRTC_H] * 256;

	*scaled = dw != w * 16 || dh != h * 16;
	return dw >= w * plane->scale_min && dw <= w * plane->scale_max &&
	       dh >= h * plane->scale_min && dh <= h * plane->scale_max;
}

static bool plane_is_fine(unsigned p, const uint64_t *v, bool *scaled)
{
	const struct mock_plane *plane = &mock.hw->planes[p];
	const struct fb *fb = &m.fb[v[FB_ID]];
	uint32_t crtc = (uint32_t)v[CRTC_ID] - CRTC;

	CU_ASSERT(v[FB_ID] < FBS && fb->used);
	if ((v[FB_ID] == 0) != (v[CRTC_ID] == 0) || crtc >= mock.hw->crtcs ||
		!(plane->crtcs & 1u << crtc) || !takes(plane, fb->fourcc))
		return false;
	if (v[SRC_X] + v[SRC_W] > (uint64_t)fb->width << 16 ||
		v[SRC_Y] + v[SRC_H] > (uint64_t)fb->height << 16 || v[CRTC_W] == 0 ||
		v[CRTC_H] == 0)
		return false;
	if (plane->rotations && (v[ROTATION] & plane->rotations) != v[ROTATION])
		return false;
	if (plane->type == DRM_PLANE_TYPE_CURSOR && (v[CRTC_W] != 64 || v[CRTC_H] != 64))
		return false;
	return scale_is_fine(plane, v, scaled);
}

static bool covers(const uint64_t *v)
{
	return v[CRTC_X] == 0 && v[CRTC_Y] == 0 && v[CRTC_W] == WIDTH && v[CRTC_H] == HEIGHT;
}

static bool crtc_is_fine(const struct state *s, unsigned c)
{
	unsigned on = 0, scaling = 0;
	bool primary = false;

	for (unsigned p = 0; p < mock.hw->plane_count; p++) {
		const uint64_t *v = s->plane[p];
		bool scaled = false;

		if (v[CRTC_ID] != CRTC + c)
			continue;
		if (!plane_is_fine(p, v, &scaled))
			return false;
		on++;
		scaling += scaled;
		primary |= mock.hw->planes[p].type == DRM_PLANE_TYPE_PRIMARY && covers(v);
	}
	if (on > 0 && !s->crtc[c][ACTIVE])
		return false;
	return on <= mock.hw->planes_max && scaling <= mock.hw->scaled_max &&
	       (!mock.hw->primary_covers || primary || !s->crtc[c][ACTIVE]);
}

static uint64_t *slot(struct state *s, uint32_t object, uint32_t prop)
{
	enum prop p = (enum prop)((prop - PROP) % 100);

	CU_ASSERT_FATAL(prop >= PROP && p < PROPS && object_has(object, p));
	if (object >= PLANE)
		return &s->plane[object - PLANE][p];
	return object >= CONNECTOR ? &s->connector[object - CONNECTOR][p]
				   : &s->crtc[object - CRTC][p];
}

static void read_request(const struct drm_mode_atomic *args, struct state *s, bool touched[])
{
	const uint32_t *objects = (void *)(uintptr_t)args->objs_ptr;
	const uint32_t *counts = (void *)(uintptr_t)args->count_props_ptr;
	const uint32_t *props = (void *)(uintptr_t)args->props_ptr;
	const uint64_t *values = (void *)(uintptr_t)args->prop_values_ptr;

	for (unsigned o = 0; o < args->count_objs; o++) {
		for (unsigned i = 0; i < counts[o]; i++, props++, values++)
			*slot(s, objects[o], *props) = *values;
		for (unsigned c = 0; c < mock.hw->crtcs; c++) {
			touched[c] |= objects[o] == CRTC + c ||
				      (objects[o] >= PLANE &&
					      (s->plane[objects[o] - PLANE][CRTC_ID] == CRTC + c ||
						      m.next.plane[objects[o] - PLANE][CRTC_ID] ==
							      CRTC + c));
		}
	}
}

static int atomic_commit(const struct drm_mode_atomic *args)
{
	bool test = args->flags & DRM_MODE_ATOMIC_TEST_ONLY, touched[MOCK_CRTCS_MAX] = {false};
	struct state s = m.next;

	read_request(args, &s, touched);
	if (mock.faults.no_master)
		return -EACCES;
	test ? mock.tests++ : mock.commits++;
	for (unsigned c = 0; c < mock.hw->crtcs; c++) {
		bool modeset = s.crtc[c][ACTIVE] != m.next.crtc[c][ACTIVE] ||
			       s.crtc[c][MODE_ID] != m.next.crtc[c][MODE_ID];

		if (modeset && !(args->flags & DRM_MODE_ATOMIC_ALLOW_MODESET))
			return -EINVAL;
		if (!crtc_is_fine(&s, c))
			return -EINVAL;
		if (!test && touched[c] && m.pending[c]) {
			mock.most_pending = 2;
			return -EBUSY;
		}
	}
	if (chance(test ? mock.faults.refuse_tests : mock.faults.refuse_commits)) {
		mock.refused++;
		return -EINVAL;
	}
	if (test)
		return 0;
	if (chance(mock.faults.busy))
		return -EBUSY;
	m.next = s;
	for (unsigned c = 0; c < mock.hw->crtcs; c++) {
		if (touched[c] && (args->flags & DRM_MODE_PAGE_FLIP_EVENT))
			m.pending[c] = args->user_data;
		else if (touched[c])
			m.now = m.next;
	}
	return 0;
}

void mock_kms_vblank(uint64_t now_ns)
{
	if (mock.faults.lose_flips)
		return;
	m.now = m.next;
	m.sequence++;
	for (unsigned c = 0; c < mock.hw->crtcs; c++) {
		struct drm_event_vblank event = {
			.base = {DRM_EVENT_FLIP_COMPLETE, sizeof(event)},
			.user_data = m.pending[c],
			.tv_sec = (uint32_t)(now_ns / BN_NS_PER_S),
			.tv_usec = (uint32_t)(now_ns % BN_NS_PER_S / 1000),
			.sequence = m.sequence,
			.crtc_id = CRTC + c,
		};

		if (!m.pending[c])
			continue;
		m.pending[c] = 0;
		CU_ASSERT_EQUAL(write(m.fds[1], &event, sizeof(event)), sizeof(event));
	}
}

bool mock_kms_pending(unsigned crtc)
{
	return m.pending[crtc] != 0;
}

/* ---- the way in ---- */

static int get_cap(struct drm_get_cap *args)
{
	switch (args->capability) {
	case DRM_CAP_DUMB_BUFFER:
	case DRM_CAP_TIMESTAMP_MONOTONIC:
	case DRM_CAP_CRTC_IN_VBLANK_EVENT:
		args->value = 1;
		return 0;
	case DRM_CAP_CURSOR_WIDTH:
	case DRM_CAP_CURSOR_HEIGHT:
		args->value = 64;
		return 0;
	default:
		args->value = 0;
		return 0;
	}
}

static int get_version(struct drm_version *args)
{
	size_t n = strlen(mock.hw->name);

	if (args->name && args->name_len >= n)
		memcpy(args->name, mock.hw->name, n);
	args->name_len = n;
	args->date_len = args->desc_len = 0;
	return 0;
}

static int get_encoder(struct drm_mode_get_encoder *args)
{
	args->crtc_id = 0;
	args->possible_crtcs = mock.hw->crtcs > 1 ? 3 : 1;
	return 0;
}

static int map_dumb(struct drm_mode_map_dumb *args)
{
	args->offset = (uint64_t)args->handle << 32;
	return 0;
}

static int dispatch(unsigned long request, void *arg)
{
	switch (request) {
	case DRM_IOCTL_VERSION:
		return get_version(arg);
	case DRM_IOCTL_GET_CAP:
		return get_cap(arg);
	case DRM_IOCTL_SET_CLIENT_CAP:
	case DRM_IOCTL_DROP_MASTER:
		return 0;
	case DRM_IOCTL_SET_MASTER:
		return mock.faults.no_master ? -EBUSY : 0;
	case DRM_IOCTL_AUTH_MAGIC:
		return mock.faults.no_master ? -EACCES : -EINVAL;
	case DRM_IOCTL_MODE_GETRESOURCES:
		return get_resources(arg);
	case DRM_IOCTL_MODE_GETPLANERESOURCES:
		return get_planes(arg);
	case DRM_IOCTL_MODE_GETPLANE:
		return get_plane(arg);
	case DRM_IOCTL_MODE_GETCONNECTOR:
		return get_connector(arg);
	case DRM_IOCTL_MODE_GETENCODER:
		return get_encoder(arg);
	case DRM_IOCTL_MODE_OBJ_GETPROPERTIES:
		return get_properties(arg);
	case DRM_IOCTL_MODE_GETPROPERTY:
		return get_property(arg);
	case DRM_IOCTL_MODE_CREATEPROPBLOB:
		return create_blob(arg);
	case DRM_IOCTL_MODE_DESTROYPROPBLOB:
		return destroy_blob(((struct drm_mode_destroy_blob *)arg)->blob_id);
	case DRM_IOCTL_MODE_CREATE_DUMB:
		return create_dumb(arg);
	case DRM_IOCTL_MODE_MAP_DUMB:
		return map_dumb(arg);
	case DRM_IOCTL_MODE_DESTROY_DUMB:
		return close_handle(((struct drm_mode_destroy_dumb *)arg)->handle);
	case DRM_IOCTL_GEM_CLOSE:
		return close_handle(((struct drm_gem_close *)arg)->handle);
	case DRM_IOCTL_PRIME_FD_TO_HANDLE:
		return import(arg);
	case DRM_IOCTL_MODE_ADDFB2:
		return add_fb(arg);
	case DRM_IOCTL_MODE_GETFB2:
		return get_fb(arg);
	case DRM_IOCTL_MODE_RMFB:
		return remove_fb(*(unsigned *)arg);
	case DRM_IOCTL_MODE_ATOMIC:
		return atomic_commit(arg);
	default:
		fprintf(stderr, "the mock knows nothing of ioctl %#lx\n", request);
		return -ENOTTY;
	}
}

/* libdrm's own, which all of libdrm and libliftoff go through. */
__attribute__((visibility("default"))) int drmIoctl(int fd, unsigned long request, void *arg)
{
	int r = dispatch(request, arg);

	errno = -r;
	return r < 0 ? -1 : 0;
}

void mock_kms_start(const struct mock_hw *hw)
{
	memset(&m, 0, sizeof(m));
	mock = (struct mock_kms){.hw = hw, .random = 1};
	m.fds[0] = m.fds[1] = -1;
	for (unsigned p = 0; p < hw->plane_count; p++) {
		m.next.plane[p][TYPE] = hw->planes[p].type;
		m.next.plane[p][ZPOS] = hw->planes[p].zpos > 0 ? (uint64_t)hw->planes[p].zpos : 0;
		m.next.plane[p][ROTATION] = DRM_MODE_ROTATE_0;
		m.next.plane[p][ALPHA] = 0xffff;
	}
	m.now = m.next;
	bn_kms_sys = (struct bn_kms_sys){
		.open = mock_open,
		.close = mock_close,
		.map = mock_map,
		.unmap = mock_unmap,
		.share = mock_share,
	};
}

void mock_kms_stop(void)
{
	for (unsigned i = 1; i < FBS; i++)
		CU_ASSERT(!m.fb[i].used);
	for (unsigned i = 1; i < MEMORIES; i++)
		CU_ASSERT_PTR_NULL(m.memory[i].map);
	for (unsigned i = 1; i < BLOBS; i++)
		CU_ASSERT_PTR_NULL(m.blob[i].data);
	CU_ASSERT_EQUAL(m.fds[0], -1);
}

/* ---- the picture ---- */

static int compare_height(const void *a, const void *b)
{
	unsigned p = *(const unsigned *)a, q = *(const unsigned *)b;

	if (m.now.plane[p][ZPOS] != m.now.plane[q][ZPOS])
		return m.now.plane[p][ZPOS] < m.now.plane[q][ZPOS] ? -1 : 1;
	return p < q ? -1 : 1;
}

static unsigned list_on(unsigned crtc, unsigned *planes)
{
	unsigned n = 0;

	for (unsigned p = 0; p < mock.hw->plane_count; p++) {
		if (m.now.plane[p][CRTC_ID] == CRTC + crtc)
			planes[n++] = p;
	}
	qsort(planes, n, sizeof(*planes), compare_height);
	return n;
}

/* Of one colour or not turned: only then is it right. */
static void draw(const uint64_t *v, uint32_t *pixels)
{
	const struct fb *fb = &m.fb[v[FB_ID]];
	const uint8_t *bytes = (uint8_t *)m.memory[fb->memory].map + fb->offset;
	bool alpha = fb->fourcc == DRM_FORMAT_ARGB8888;

	for (uint64_t y = 0; y < v[CRTC_H] && v[CRTC_Y] + y < HEIGHT; y++) {
		for (uint64_t x = 0; x < v[CRTC_W] && v[CRTC_X] + x < WIDTH; x++) {
			uint64_t sx = (v[SRC_X] + x * v[SRC_W] / v[CRTC_W]) >> 16;
			uint64_t sy = (v[SRC_Y] + y * v[SRC_H] / v[CRTC_H]) >> 16;
			uint32_t pixel;

			memcpy(&pixel, bytes + sy * fb->stride + sx * 4, 4);
			if (!alpha || pixel >> 24)
				pixels[(v[CRTC_Y] + y) * WIDTH + v[CRTC_X] + x] = pixel & 0xffffff;
		}
	}
}

void mock_kms_render(unsigned crtc, uint32_t *pixels)
{
	unsigned planes[MOCK_PLANES_MAX], n = list_on(crtc, planes);

	memset(pixels, 0, WIDTH * HEIGHT * sizeof(*pixels));
	for (unsigned i = 0; i < n; i++)
		draw(m.now.plane[planes[i]], pixels);
}

unsigned mock_kms_planes_on(unsigned crtc)
{
	unsigned planes[MOCK_PLANES_MAX];

	return list_on(crtc, planes);
}

unsigned mock_kms_composed_on(unsigned crtc)
{
	unsigned planes[MOCK_PLANES_MAX], n = list_on(crtc, planes), composed = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct fb *fb = &m.fb[m.now.plane[planes[i]][FB_ID]];

		composed += m.memory[fb->memory].dumb && fb->width == WIDTH;
	}
	return composed;
}

bool mock_kms_is_active(unsigned crtc)
{
	return m.now.crtc[crtc][ACTIVE];
}
