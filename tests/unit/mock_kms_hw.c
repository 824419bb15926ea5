/* Three display controllers as their drivers present them, as far as layers are concerned. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "mock_kms.h"

static const uint32_t rgb[] = {DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888, DRM_FORMAT_XBGR8888,
	DRM_FORMAT_ABGR8888, DRM_FORMAT_RGB565, 0};
static const uint32_t opaque[] = {DRM_FORMAT_XRGB8888, DRM_FORMAT_RGB565, 0};
static const uint32_t video[] = {DRM_FORMAT_NV12, DRM_FORMAT_YUYV, DRM_FORMAT_XRGB8888, 0};
static const uint32_t all[] = {DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888, DRM_FORMAT_XBGR8888,
	DRM_FORMAT_ABGR8888, DRM_FORMAT_RGB565, DRM_FORMAT_NV12, DRM_FORMAT_YUYV, 0};
static const uint32_t cursor[] = {DRM_FORMAT_ARGB8888, 0};

#define TURNS (DRM_MODE_ROTATE_MASK | DRM_MODE_REFLECT_MASK)
#define FLIPS (DRM_MODE_ROTATE_0 | DRM_MODE_ROTATE_180 | DRM_MODE_REFLECT_MASK)

/* The order is fixed, the primary plane has to be there, and only the others have a scaler, one at a time. */
const struct mock_hw mock_imx8 = {
	.name = "mock-imx8",
	.crtcs = 1,
	.scaled_max = 1,
	.planes_max = 3,
	.primary_covers = true,
	.plane_count = 3,
	.planes =
		{
			{DRM_PLANE_TYPE_PRIMARY, 1, rgb, 0, 0, 0, true, false, 16, 16, true},
			{DRM_PLANE_TYPE_OVERLAY, 1, video, 1, 0, 0, false, false, 4, 128, true},
			{DRM_PLANE_TYPE_OVERLAY, 1, all, 2, 0, 0, false, false, 4, 128, true},
		},
};

/* Any plane at any height and at either display; four that scale and turn, some that cannot even be transparent. */
const struct mock_hw mock_rk3588 = {
	.name = "mock-rk3588",
	.crtcs = 2,
	.scaled_max = 4,
	.planes_max = 7,
	.plane_count = 9,
	.planes =
		{
			{DRM_PLANE_TYPE_PRIMARY, 1, all, 0, 7, FLIPS, true, true, 2, 128},
			{DRM_PLANE_TYPE_PRIMARY, 2, all, 1, 7, FLIPS, true, true, 2, 128},
			{DRM_PLANE_TYPE_OVERLAY, 3, all, 2, 7, TURNS, true, true, 2, 128},
			{DRM_PLANE_TYPE_OVERLAY, 3, all, 3, 7, TURNS, true, true, 2, 128},
			{DRM_PLANE_TYPE_OVERLAY, 3, rgb, 4, 7, FLIPS, true, true, 16, 16},
			{DRM_PLANE_TYPE_OVERLAY, 3, rgb, 5, 7, 0, true, true, 16, 16},
			{DRM_PLANE_TYPE_OVERLAY, 3, opaque, 6, 7, 0, false, false, 16, 16},
			{DRM_PLANE_TYPE_CURSOR, 1, cursor, 7, 0, 0, false, false, 16, 16},
			{DRM_PLANE_TYPE_CURSOR, 2, cursor, 7, 0, 0, false, false, 16, 16},
		},
};

/* Many planes, most alike, no cursor; bandwidth ends before planes do. */
const struct mock_hw mock_dpu = {
	.name = "mock-dpu",
	.crtcs = 2,
	.scaled_max = 3,
	.planes_max = 6,
	.plane_count = 10,
	.planes =
		{
			{DRM_PLANE_TYPE_PRIMARY, 3, rgb, 0, 255, FLIPS, true, true, 16, 16, true},
			{DRM_PLANE_TYPE_PRIMARY, 3, rgb, 0, 255, FLIPS, true, true, 16, 16, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, rgb, 0, 255, FLIPS, true, true, 16, 16, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, rgb, 0, 255, FLIPS, true, true, 16, 16, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, all, 0, 255, TURNS, true, true, 4, 320, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, all, 0, 255, TURNS, true, true, 4, 320, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, all, 0, 255, TURNS, true, true, 4, 320, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, all, 0, 255, TURNS, true, true, 4, 320, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, rgb, 0, 255, FLIPS, true, true, 16, 16, true},
			{DRM_PLANE_TYPE_OVERLAY, 3, rgb, 0, 255, FLIPS, true, true, 16, 16, true},
		},
};
