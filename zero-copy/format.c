#include "zero-copy/format.h"

#include <drm_fourcc.h>
#include <stddef.h>

#define RGB(name, size, has_alpha)                                                         \
	{                                                                                  \
		.fourcc = DRM_FORMAT_##name, .planes = 1, .alpha = (has_alpha), .plane = { \
			{(size), 1, 1}                                                     \
		}                                                                          \
	}

/* A plane of Y and one of pairs; bytes: of a sample, first: which of the pair U is. */
#define SEMI_PLANAR(name, depth, size, h, v_, first)                     \
	{                                                                \
		.fourcc = DRM_FORMAT_##name,                             \
		.planes = 2,                                             \
		.bits = (depth),                                         \
		.plane = {{(size), 1, 1}, {2 * (size), (h), (v_)}},      \
		.y = {0, 0, (size), 1, 1},                               \
		.u = {1, (first) * (size), 2 * (size), (h), (v_)},       \
		.v = {1, (1 - (first)) * (size), 2 * (size), (h), (v_)}, \
	}

/* A plane each; u_plane: which one U is. */
#define PLANAR(name, h, v_, u_plane)                                  \
	{                                                             \
		.fourcc = DRM_FORMAT_##name,                          \
		.planes = 3,                                          \
		.bits = 8,                                            \
		.plane = {{1, 1, 1}, {1, (h), (v_)}, {1, (h), (v_)}}, \
		.y = {0, 0, 1, 1, 1},                                 \
		.u = {(u_plane), 0, 1, (h), (v_)},                    \
		.v = {3 - (u_plane), 0, 1, (h), (v_)},                \
	}

/* Two pixels in four bytes; at which of them the first Y, U and V are. */
#define PACKED(name, y_at, u_at, v_at)       \
	{                                    \
		.fourcc = DRM_FORMAT_##name, \
		.planes = 1,                 \
		.bits = 8,                   \
		.plane = {{4, 2, 1}},        \
		.y = {0, (y_at), 2, 1, 1},   \
		.u = {0, (u_at), 4, 2, 1},   \
		.v = {0, (v_at), 4, 2, 1},   \
	}

static const struct bn_format formats[] = {
	RGB(XRGB8888, 4, false),
	RGB(ARGB8888, 4, true),
	RGB(XBGR8888, 4, false),
	RGB(ABGR8888, 4, true),
	RGB(RGBX8888, 4, false),
	RGB(RGBA8888, 4, true),
	RGB(BGRX8888, 4, false),
	RGB(BGRA8888, 4, true),
	RGB(RGB565, 2, false),
	SEMI_PLANAR(NV12, 8, 1, 2, 2, 0),
	SEMI_PLANAR(NV21, 8, 1, 2, 2, 1),
	SEMI_PLANAR(NV16, 8, 1, 2, 1, 0),
	SEMI_PLANAR(NV61, 8, 1, 2, 1, 1),
	SEMI_PLANAR(NV24, 8, 1, 1, 1, 0),
	SEMI_PLANAR(NV42, 8, 1, 1, 1, 1),
	SEMI_PLANAR(P010, 10, 2, 2, 2, 0),
	SEMI_PLANAR(P012, 12, 2, 2, 2, 0),
	SEMI_PLANAR(P016, 16, 2, 2, 2, 0),
	PLANAR(YUV420, 2, 2, 1),
	PLANAR(YVU420, 2, 2, 2),
	PLANAR(YUV422, 2, 1, 1),
	PLANAR(YVU422, 2, 1, 2),
	PLANAR(YUV444, 1, 1, 1),
	PLANAR(YVU444, 1, 1, 2),
	PACKED(YUYV, 0, 1, 3),
	PACKED(YVYU, 0, 3, 1),
	PACKED(UYVY, 1, 0, 2),
	PACKED(VYUY, 1, 2, 0),
};

const struct bn_format *bn_format_find(uint32_t fourcc)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].fourcc == fourcc)
			return &formats[i];
	}
	return NULL;
}

uint64_t bn_format_row(const struct bn_format *format, unsigned plane, uint32_t width)
{
	const struct bn_format_plane *p = &format->plane[plane];

	return ((uint64_t)width + p->hsub - 1) / p->hsub * p->bytes;
}

uint32_t bn_format_rows(const struct bn_format *format, unsigned plane, uint32_t height)
{
	const struct bn_format_plane *p = &format->plane[plane];

	return height / p->vsub + (height % p->vsub != 0);
}
