/* A display controller that is only data: the kernel's side of every KMS ioctl that libdrm and libliftoff make. One card, one
 * process. What its planes would show can be looked at pixel by pixel. */
#ifndef BN_TEST_MOCK_KMS_H
#define BN_TEST_MOCK_KMS_H

#include <stdbool.h>
#include <stdint.h>

#define MOCK_PLANES_MAX 20
#define MOCK_CRTCS_MAX 4

struct mock_plane {
	uint32_t type; /* DRM_PLANE_TYPE_* */
	uint32_t crtcs;
	const uint32_t *formats; /* ended by 0 */
	int zpos;                /* -1: no such property */
	int zpos_max;            /* 0: it cannot be set */
	uint32_t rotations;      /* 0: no such property */
	bool alpha, blend;       /* properties */
	/* Sizes of the destination as a share of the source, in 1/16; 16 and 16: no scaling. */
	unsigned scale_min, scale_max;
	bool damage; /* FB_DAMAGE_CLIPS */
};

struct mock_hw {
	const char *name;
	unsigned crtcs;
	bool no_vblank;      /* the test tells of flips as soon as there is a commit */
	bool primary_covers; /* the primary plane must be on and cover the display */
	unsigned scaled_max; /* planes of one CRTC that scale at a time */
	unsigned planes_max; /* of one CRTC, for its bandwidth */
	unsigned plane_count;
	struct mock_plane planes[MOCK_PLANES_MAX];
};

extern const struct mock_hw mock_imx8, mock_rk3588, mock_dpu;

/* What goes wrong. */
struct mock_faults {
	unsigned refuse_tests;   /* of 100 TEST_ONLY commits, by chance */
	unsigned refuse_commits; /* of 100 real ones: EINVAL */
	unsigned busy;           /* of 100 real ones: EBUSY */
	bool lose_flips;
	bool no_master;
};

/* What a display lists; the first is the one that it prefers. */
struct mock_mode {
	uint16_t width, height, hz; /* width 0: the end of the list */
};

struct mock_kms {
	const struct mock_hw *hw;
	struct mock_faults faults;
	uint64_t random;
	unsigned tests, commits, refused; /* counted */
	bool unplugged[MOCK_CRTCS_MAX];
	const struct mock_mode *modes[MOCK_CRTCS_MAX]; /* of each connector; NULL: 640×480 at 60 Hz */
	unsigned most_pending; /* commits of one CRTC under way at a time */
	bool copies;           /* set by the test: mock_kms_copy() is wanted */
	uint64_t copied;       /* pixels of it */
	unsigned blobs_made;
};
extern struct mock_kms mock;

/* From here on "/dev/dri/card0" is this hardware, with a display of 640×480 at 60 Hz on each CRTC's connector. */
void mock_kms_start(const struct mock_hw *hw);
/* Says what of it was left over. */
void mock_kms_stop(void);
/* The vblank of all CRTCs: commits that wait are shown, and their flips told of. */
void mock_kms_vblank(uint64_t now_ns);
bool mock_kms_pending(unsigned crtc);
/* What the CRTC scans out; 640×480. */
void mock_kms_render(unsigned crtc, uint32_t *pixels);
/* What a display shows to which only the pixels are copied that the commits damaged. */
const uint32_t *mock_kms_copy(unsigned crtc);
/* Another program has drawn on it. */
void mock_kms_scribble(unsigned crtc);
/* Planes that are on. */
unsigned mock_kms_planes_on(unsigned crtc);
/* Of them, those that show memory the CPU drew into, cursors aside. */
unsigned mock_kms_composed_on(unsigned crtc);
bool mock_kms_is_active(unsigned crtc);
/* The mode that it is set to; width 0: none. */
struct mock_mode mock_kms_mode(unsigned crtc);

#endif
