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
#include "mock_kms_priv.h"
#include "unit.h"

struct mock_kms mock;
struct mock_state m;

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
	struct clips clips;

	CU_ASSERT(v[FB_ID] < FBS && fb->used);
	if ((v[FB_ID] == 0) != (v[CRTC_ID] == 0) || crtc >= mock.hw->crtcs ||
		!(plane->crtcs & 1u << crtc) || !mock_takes(plane, fb->fourcc))
		return false;
	if (v[SRC_X] + v[SRC_W] > (uint64_t)fb->width << 16 ||
		v[SRC_Y] + v[SRC_H] > (uint64_t)fb->height << 16 || v[CRTC_W] == 0 ||
		v[CRTC_H] == 0)
		return false;
	if (!mock_read_clips(v, &clips))
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

	CU_ASSERT_FATAL(prop >= PROP && p < PROPS && mock_object_has(object, p));
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

/* Clips are of one commit, and the blob may be gone after it. */
static void keep_clips(const struct drm_mode_atomic *args, struct state *s)
{
	const uint32_t *objects = (void *)(uintptr_t)args->objs_ptr;

	for (unsigned o = 0; o < args->count_objs; o++) {
		unsigned p = objects[o] - PLANE;

		if (objects[o] < PLANE)
			continue;
		mock_read_clips(s->plane[p], &m.clips[p]);
		m.named[p] = true;
	}
	for (unsigned p = 0; p < MOCK_PLANES_MAX; p++)
		s->plane[p][DAMAGE] = 0;
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
	keep_clips(args, &s);
	m.next = s;
	for (unsigned c = 0; c < mock.hw->crtcs; c++) {
		if (touched[c] && (args->flags & DRM_MODE_PAGE_FLIP_EVENT))
			m.pending[c] = args->user_data;
		else if (touched[c])
			m.now = m.next;
	}
	return 0;
}

static void copy_damaged(void);

void mock_kms_vblank(uint64_t now_ns)
{
	if (mock.faults.lose_flips)
		return;
	if (mock.copies)
		copy_damaged();
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
	case DRM_IOCTL_CRTC_GET_SEQUENCE:
		return mock.hw->no_vblank ? -EOPNOTSUPP : -EINVAL;
	case DRM_IOCTL_SET_CLIENT_CAP:
	case DRM_IOCTL_DROP_MASTER:
		return 0;
	case DRM_IOCTL_SET_MASTER:
		return mock.faults.no_master ? -EBUSY : 0;
	case DRM_IOCTL_AUTH_MAGIC:
		return mock.faults.no_master ? -EACCES : -EINVAL;
	case DRM_IOCTL_MODE_GETRESOURCES:
		return mock_get_resources(arg);
	case DRM_IOCTL_MODE_GETPLANERESOURCES:
		return mock_get_planes(arg);
	case DRM_IOCTL_MODE_GETPLANE:
		return mock_get_plane(arg);
	case DRM_IOCTL_MODE_GETCONNECTOR:
		return mock_get_connector(arg);
	case DRM_IOCTL_MODE_GETENCODER:
		return get_encoder(arg);
	case DRM_IOCTL_MODE_OBJ_GETPROPERTIES:
		return mock_get_properties(arg);
	case DRM_IOCTL_MODE_GETPROPERTY:
		return mock_get_property(arg);
	case DRM_IOCTL_MODE_CREATEPROPBLOB:
		return mock_create_blob(arg);
	case DRM_IOCTL_MODE_DESTROYPROPBLOB:
		return mock_destroy_blob(((struct drm_mode_destroy_blob *)arg)->blob_id);
	case DRM_IOCTL_MODE_CREATE_DUMB:
		return mock_create_dumb(arg);
	case DRM_IOCTL_MODE_MAP_DUMB:
		return map_dumb(arg);
	case DRM_IOCTL_MODE_DESTROY_DUMB:
		return mock_close_handle(((struct drm_mode_destroy_dumb *)arg)->handle);
	case DRM_IOCTL_GEM_CLOSE:
		return mock_close_handle(((struct drm_gem_close *)arg)->handle);
	case DRM_IOCTL_PRIME_FD_TO_HANDLE:
		return mock_import(arg);
	case DRM_IOCTL_MODE_ADDFB2:
		return mock_add_fb(arg);
	case DRM_IOCTL_MODE_GETFB2:
		return mock_get_fb(arg);
	case DRM_IOCTL_MODE_RMFB:
		return mock_remove_fb(*(unsigned *)arg);
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

/* Of one colour, or upright but for REFLECT_Y: only then is it right. */
static void draw(const uint64_t *v, uint32_t *pixels)
{
	const struct fb *fb = &m.fb[v[FB_ID]];
	const uint8_t *bytes = (uint8_t *)m.memory[fb->memory].map + fb->offset;
	bool alpha = fb->fourcc == DRM_FORMAT_ARGB8888;

	for (uint64_t y = 0; y < v[CRTC_H] && v[CRTC_Y] + y < HEIGHT; y++) {
		for (uint64_t x = 0; x < v[CRTC_W] && v[CRTC_X] + x < WIDTH; x++) {
			uint64_t sx = (v[SRC_X] + x * v[SRC_W] / v[CRTC_W]) >> 16;
			uint64_t row = v[ROTATION] & DRM_MODE_REFLECT_Y ? v[CRTC_H] - 1 - y : y;
			uint64_t sy = (v[SRC_Y] + row * v[SRC_H] / v[CRTC_H]) >> 16;
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

/* ---- a display that is copied to ---- */

static bool dirty[WIDTH * HEIGHT];

static void dirty_rect(int64_t x1, int64_t y1, int64_t x2, int64_t y2)
{
	for (int64_t y = y1 < 0 ? 0 : y1; y < y2 && y < HEIGHT; y++) {
		for (int64_t x = x1 < 0 ? 0 : x1; x < x2 && x < WIDTH; x++)
			dirty[y * WIDTH + x] = true;
	}
}

static void dirty_plane(const uint64_t *v)
{
	dirty_rect((int64_t)v[CRTC_X], (int64_t)v[CRTC_Y], (int64_t)(v[CRTC_X] + v[CRTC_W]),
		(int64_t)(v[CRTC_Y] + v[CRTC_H]));
}

/* Where a framebuffer's pixel comes to lie. */
static int64_t to_crtc(int64_t pixel, const uint64_t *v, enum prop src, enum prop src_size,
	enum prop at, enum prop size)
{
	return (int64_t)v[at] +
	       ((pixel << 16) - (int64_t)v[src]) * (int64_t)v[size] / (int64_t)v[src_size];
}

static int64_t clamp(int64_t n, int64_t low, int64_t size)
{
	return n < low ? low : n > low + size ? low + size : n;
}

static void dirty_clips(const uint64_t *v, const struct clips *clips)
{
	int64_t x = (int64_t)v[CRTC_X], y = (int64_t)v[CRTC_Y], w = (int64_t)v[CRTC_W],
		h = (int64_t)v[CRTC_H];

	for (unsigned i = 0; i < clips->count; i++) {
		const struct drm_mode_rect *r = &clips->rect[i];
		int64_t x1 = to_crtc(r->x1, v, SRC_X, SRC_W, CRTC_X, CRTC_W);
		int64_t x2 = to_crtc(r->x2, v, SRC_X, SRC_W, CRTC_X, CRTC_W);
		int64_t y1 = to_crtc(r->y1, v, SRC_Y, SRC_H, CRTC_Y, CRTC_H);
		int64_t y2 = to_crtc(r->y2, v, SRC_Y, SRC_H, CRTC_Y, CRTC_H);
		int64_t both = 2 * y + h, top = y1;
		bool scaled = v[SRC_W] != v[CRTC_W] << 16 || v[SRC_H] != v[CRTC_H] << 16;

		if (v[ROTATION] & DRM_MODE_REFLECT_Y) {
			y1 = both - y2;
			y2 = both - top;
		}
		dirty_rect(clamp(x1 - scaled, x, w), clamp(y1 - scaled, y, h),
			clamp(x2 + scaled, x, w), clamp(y2 + scaled, y, h));
	}
}

/* Whether but for the framebuffer it is the same. */
static bool same_place(const uint64_t *a, const uint64_t *b)
{
	for (unsigned i = 0; i < PROPS; i++) {
		if (i != FB_ID && i != DAMAGE && a[i] != b[i])
			return false;
	}
	return true;
}

/* As drivers do it with the kernel's drm_damage_helper.c. */
static void find_dirty(unsigned crtc)
{
	bool all = m.now.crtc[crtc][ACTIVE] != m.next.crtc[crtc][ACTIVE] ||
		   m.now.crtc[crtc][MODE_ID] != m.next.crtc[crtc][MODE_ID];

	memset(dirty, all, sizeof(dirty));
	for (unsigned p = 0; p < mock.hw->plane_count; p++) {
		const uint64_t *old = m.now.plane[p], *new = m.next.plane[p];

		if (!m.named[p] || (old[CRTC_ID] != CRTC + crtc && new[CRTC_ID] != CRTC + crtc))
			continue;
		if (m.clips[p].count > 0 && same_place(old, new) &&
			(new[ROTATION] & ~(uint64_t)DRM_MODE_REFLECT_Y) == DRM_MODE_ROTATE_0) {
			dirty_clips(new, &m.clips[p]);
			continue;
		}
		if (old[CRTC_ID] == CRTC + crtc)
			dirty_plane(old);
		if (new[CRTC_ID] == CRTC + crtc)
			dirty_plane(new);
	}
}

/* The commits that wait are shown; what they damaged is copied. */
static void copy_damaged(void)
{
	static bool copied[MOCK_CRTCS_MAX][WIDTH * HEIGHT];
	static uint32_t pixels[WIDTH * HEIGHT];

	for (unsigned c = 0; c < mock.hw->crtcs; c++) {
		find_dirty(c);
		memcpy(copied[c], dirty, sizeof(dirty));
	}
	m.now = m.next;
	memset(m.named, 0, sizeof(m.named));
	for (unsigned c = 0; c < mock.hw->crtcs; c++) {
		mock_kms_render(c, pixels);
		for (unsigned i = 0; i < WIDTH * HEIGHT; i++) {
			if (!copied[c][i])
				continue;
			m.copy[c][i] = pixels[i];
			mock.copied++;
		}
	}
}

void mock_kms_scribble(unsigned crtc)
{
	memset(m.copy[crtc], 0x55, sizeof(m.copy[crtc]));
}

const uint32_t *mock_kms_copy(unsigned crtc)
{
	return m.copy[crtc];
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

struct mock_mode mock_kms_mode(unsigned crtc)
{
	const struct drm_mode_modeinfo *info = m.blob[m.now.crtc[crtc][MODE_ID]].data;

	return info ? (struct mock_mode){info->hdisplay, info->vdisplay, (uint16_t)info->vrefresh}
		    : (struct mock_mode){0};
}

bool mock_kms_is_active(unsigned crtc)
{
	return m.now.crtc[crtc][ACTIVE];
}
