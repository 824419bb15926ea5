/* Outputs on a display controller (KMS, atomic). Private to the compositor and its tests.
 *
 * One object per card, shared by its outputs; one thread. A frame goes: latched → planned (which
 * layer on which plane; kms_plan.c) → what has no plane is composed (kms_compose.c) → committed
 * without waiting (kms_commit.c) → reported at its page flip. At most one commit of an output is
 * under way. An output that is unplugged, whose session is not in front or that has no master is
 * "off": its frames are paced by the virtual vblank as on a headless output.
 *
 * When is committed: at once when no other layer of the output is expected to bring a frame before
 * the next vblank, otherwise when the last of them has brought it, at the latest a margin before
 * the vblank. Two guests on one display so get one vblank each, whatever the phase between them. */
#ifndef BN_COMPOSITOR_KMS_IMPL_H
#define BN_COMPOSITOR_KMS_IMPL_H

#include <pthread.h>
#include <xf86drmMode.h>

#include "compose_gl.h"
#include "output_impl.h"

#define BN_KMS_ITEMS_MAX (2 * BN_OUTPUT_LAYERS_MAX)
#define BN_KMS_ENUMS_MAX 16
#define BN_KMS_PLANS_MAX 16
/* TEST_ONLY commits for one new scene shape, whatever the driver says. */
#define BN_KMS_TESTS_MAX 64
#define BN_KMS_PICTURES 3

struct udmabuf_create;

/* What a test puts its own in place of; libdrm's own calls all pass through drmIoctl(). */
struct bn_kms_sys {
	int (*open)(const char *path); /* fd or -errno */
	void (*close)(int fd);
	void *(*map)(int fd, size_t size, uint64_t offset); /* NULL: failed */
	void (*unmap)(void *map, size_t size);
	/* A dma-buf over pages of a memfd: fd or -errno, -ENOENT: there is no /dev/udmabuf. */
	int (*share)(int udmabuf, struct udmabuf_create *create);
	bool threads; /* connectors are probed beside the loop */
	bool uevents; /* listen to the kernel's */
};
extern struct bn_kms_sys bn_kms_sys;

/* ---- properties ---- */

enum bn_kms_plane_prop {
	BN_KMS_FB_ID,
	BN_KMS_CRTC_ID,
	BN_KMS_CRTC_X,
	BN_KMS_CRTC_Y,
	BN_KMS_CRTC_W,
	BN_KMS_CRTC_H,
	BN_KMS_SRC_X,
	BN_KMS_SRC_Y,
	BN_KMS_SRC_W,
	BN_KMS_SRC_H,
	BN_KMS_ROTATION,
	BN_KMS_ALPHA,
	BN_KMS_BLEND_MODE,
	BN_KMS_ENCODING,
	BN_KMS_RANGE,
	BN_KMS_ZPOS,
	BN_KMS_TYPE,
	BN_KMS_IN_FORMATS,
	BN_KMS_IN_FENCE,
	BN_KMS_DAMAGE,
	BN_KMS_PLANE_PROPS,
};
enum bn_kms_crtc_prop { BN_KMS_ACTIVE, BN_KMS_MODE_ID, BN_KMS_CRTC_PROPS };
enum bn_kms_connector_prop {
	BN_KMS_CONNECTOR_CRTC_ID,
	BN_KMS_EDID,
	BN_KMS_LINK_STATUS,
	BN_KMS_WRITEBACK_FB_ID,
	BN_KMS_WRITEBACK_FENCE,
	BN_KMS_WRITEBACK_FORMATS,
	BN_KMS_CONNECTOR_PROPS,
};

extern const char *const bn_kms_plane_props[BN_KMS_PLANE_PROPS];
extern const char *const bn_kms_crtc_props[BN_KMS_CRTC_PROPS];
extern const char *const bn_kms_connector_props[BN_KMS_CONNECTOR_PROPS];

/* One property of one object; id 0: the object has none of that name. */
struct bn_kms_prop {
	uint32_t id;
	uint32_t flags;
	uint64_t value;    /* when the object was looked at */
	uint64_t min, max; /* of a range */
	unsigned enums;
	struct {
		char name[DRM_PROP_NAME_LEN];
		uint64_t value;
	} enumeration[BN_KMS_ENUMS_MAX];
};

/* Looks up the named properties of an object. 0 or -errno. */
int bn_kms_props_read(int fd, uint32_t object, uint32_t type, const char *const *names,
	unsigned count, struct bn_kms_prop *out);
/* The value of an enum's (or the bit number of a bitmask's) name; false: it has no such name. */
bool bn_kms_prop_enum(const struct bn_kms_prop *prop, const char *name, uint64_t *value);

/* ---- the card ---- */

struct bn_kms_format {
	uint32_t fourcc;
	uint64_t modifier;
};

/* Rectangles of damage for one plane; more are told as one. */
#define BN_KMS_CLIPS_MAX 8

/* What a plane shows, but for the pixels in it. All zero: nothing, or nobody knows. Compared byte by byte, so there is no
 * gap in it. */
struct bn_kms_shows {
	uint64_t modifier;
	uint64_t layer; /* its age + 1; 0: the composed picture */
	const struct bn_output *output;
	struct bn_geometry at;
	uint32_t width, height, fourcc, look;
	int32_t zpos;
};

struct bn_kms_plane {
	uint32_t id, type; /* DRM_PLANE_TYPE_* */
	uint32_t possible_crtcs;
	uint32_t rotations; /* DRM_MODE_ROTATE_* | DRM_MODE_REFLECT_* that it can do */
	bool has_modifiers; /* formats come from IN_FORMATS */
	bool zpos_free;     /* zpos may be set, from 0 to zpos_max */
	bool blends;
	uint64_t zpos, zpos_max;
	struct bn_kms_format *formats;
	unsigned format_count;
	struct bn_kms_prop props[BN_KMS_PLANE_PROPS];
	uint64_t premultiplied; /* enum values, where the properties are there */
	uint64_t encodings[3],
		ranges[2]; /* by enum bn_encoding and enum bn_range; UINT64_MAX: not to be had */
	struct bn_output *owner; /* shows something on it, or has it for itself; NULL: nobody */
	bool lit;                /* scanned out since our last commit with it */
	struct bn_kms_shows shows, next_shows; /* since the last commit; with the one under way */
	struct drm_mode_rect clips[BN_KMS_CLIPS_MAX]; /* in its blob */
	unsigned clip_count;
	uint32_t clips_blob; /* 0: none */
};

struct bn_kms_seat;

struct bn_kms_card {
	struct wl_list link;    /* all cards of this process */
	struct wl_list outputs; /* bn_kms_output.link */
	struct wl_list fbs;     /* bn_kms_fb.link */
	struct wl_event_loop *loop;
	unsigned refs;
	char path[64], driver[32];
	int fd;
	int seat_device; /* of the seat; -1: opened by ourselves */
	bool active;     /* we may commit: the session is in front, or we are master */
	bool waiting;    /* no card, but where outputs are until their session is in front for the first time */
	bool modifiers;  /* ADDFB2_MODIFIERS */
	/* vkms (Linux 7.2): adds the offset of the first plane twice, and reads past the end; and a job for its writeback
	 * that comes too soon after another is never done. */
	bool quirks;
	bool prefer_shadow; /* reading dumb buffers is slow */
	uint32_t cursor_width, cursor_height;
	uint32_t *crtcs, *connectors;
	unsigned crtc_count, connector_count;
	struct bn_kms_plane planes[64]; /* lowest first */
	unsigned plane_count;
	unsigned long claims; /* raised when a plane changes hands */
	uint64_t serial;      /* of the last commit */
	struct wl_event_source *events, *hotplug, *master_timer;
	int hotplug_fd, udmabuf_fd; /* -1: none */
	struct bn_kms_probe *probe;
	uint32_t least_blob; /* a damage of one pixel; 0: not made */
	struct bn_compose_gl *gl; /* NULL: nothing was composed so far, or there can be none */
	bool gl_asked;
};

/* A card with that path or driver's name ("" for the first that has a connector for us), shared with
 * its other outputs. Says in the log what is wrong. name: of the output, for messages. When the seat is not ours yet, which card
 * that is cannot be known: then it is one that is only `waiting`, without anything. */
int bn_kms_card_get(struct bn_kms_card **out, struct wl_event_loop *loop, const char *card,
	const char *connector, const char *name);
void bn_kms_card_put(struct bn_kms_card *card);
/* The session came to the front or went (libseat), or the master is back or lost. */
void bn_kms_card_set_active(struct bn_kms_card *card, bool active);
/* A commit said that we are not master: asks for it every second until it is ours. */
void bn_kms_card_lost(struct bn_kms_card *card);
/* Planes, lowest first. 0 or -errno. */
int bn_kms_planes_read(struct bn_kms_card *card);
void bn_kms_planes_finish(struct bn_kms_card *card);
bool bn_kms_plane_has_format(const struct bn_kms_plane *plane, uint32_t fourcc, uint64_t modifier);

/* A session manager (seatd, logind). NULL in *out and 0: there is none, the card is opened directly. */
int bn_kms_seat_open(struct bn_kms_card *card, const char *path, int *fd, int *device);
void bn_kms_seat_close(struct bn_kms_card *card, int device);
/* True when a session manager answers. */
bool bn_kms_seat_get(struct wl_event_loop *loop);
void bn_kms_seat_put(void);
/* Whether its session is in front. */
bool bn_kms_seat_active(void);
/* Calls bn_kms_card_set_active() of every card that was opened through the seat. */
void bn_kms_cards_seat_changed(bool active);
/* The seat is ours for the first time: outputs that waited for it are set up. Not from within the seat's own calls. */
void bn_kms_cards_begin(void);

/* ---- connectors ---- */

struct bn_kms_connector {
	uint32_t id, crtc_mask; /* CRTCs, by index, that its encoders can be fed from */
	uint32_t current_crtc;  /* id; 0: none */
	char name[32];
	bool connected, writeback;
	uint32_t width_mm, height_mm;
	drmModeModeInfo *modes; /* owned */
	unsigned mode_count;
};

/* probe: the display is asked, which takes its time; otherwise what the kernel knows is taken. */
int bn_kms_connector_read(int fd, uint32_t id, bool probe, struct bn_kms_connector *out);
void bn_kms_connector_finish(struct bn_kms_connector *connector);
/* Maker and model of the display; "" when not known. */
void bn_kms_connector_model(int fd, uint32_t id, char *out, size_t size);
/* From an EDID, hostile. */
void bn_kms_edid_model(const void *edid, size_t size, char *out, size_t out_size);

uint32_t bn_kms_mode_refresh(const drmModeModeInfo *mode); /* mHz */
/* The preferred mode (width 0), or the listed one nearest to what is asked for; NULL: none listed. */
const drmModeModeInfo *bn_kms_mode_choose(const drmModeModeInfo *modes, unsigned count,
	uint32_t width, uint32_t height, uint32_t refresh_mhz);

/* Asks connectors beside the loop and calls bn_kms_output_probed() for their outputs. */
struct bn_kms_probe *bn_kms_probe_create(struct bn_kms_card *card);
void bn_kms_probe_destroy(struct bn_kms_probe *probe);
void bn_kms_probe_all(struct bn_kms_card *card);
/* The kernel's events. 0 or -errno. */
int bn_kms_hotplug_start(struct bn_kms_card *card);
void bn_kms_hotplug_stop(struct bn_kms_card *card);

/* ---- framebuffers ---- */

/* What the card made of a buffer, kept with the buffer. */
struct bn_kms_fb {
	struct wl_list link;
	struct bn_kms_card *card;
	struct bn_buffer *buffer;
	uint32_t id[2]; /* opaque, with alpha; 0: not made */
	bool tried[2];
	int dmabuf;      /* made from a memfd; -1: none */
	const char *why; /* there is none */
};

/* The framebuffer of a buffer, made at the first call; 0 and *why: the card cannot scan it out. */
uint32_t bn_kms_fb_get(
	struct bn_kms_card *card, struct bn_buffer *buffer, bool alpha, const char **why);
/* The producer has written to memory that the display reads: makes it visible where caches are not. */
void bn_kms_fb_flush(struct bn_kms_card *card, struct bn_buffer *buffer);
void bn_kms_fbs_finish(struct bn_kms_card *card);
/* The same format without its alpha, or with it; fourcc itself when there is no other. */
uint32_t bn_kms_fourcc_opaque(uint32_t fourcc);
uint32_t bn_kms_fourcc_alpha(uint32_t fourcc);

/* Memory of the card that the CPU writes. */
struct bn_kms_dumb {
	uint32_t handle, width, height, stride;
	uint32_t fb_opaque, fb_alpha; /* XRGB8888 and ARGB8888 of the same memory */
	uint64_t size;
	uint8_t *map; /* NULL: there is none */
};

int bn_kms_dumb_init(
	struct bn_kms_dumb *dumb, struct bn_kms_card *card, uint32_t width, uint32_t height);
void bn_kms_dumb_finish(struct bn_kms_dumb *dumb, struct bn_kms_card *card);

/* ---- planning ---- */

/* Who gets a plane first; among equals the higher in the stack, because what is composed belongs below. */
enum bn_kms_right { BN_KMS_ANY, BN_KMS_RESERVED, BN_KMS_SAFETY, BN_KMS_FALLBACK };

/* A layer or a cursor that is to be seen. */
struct bn_kms_item {
	struct bn_layer *layer;
	bool cursor;
	bool plain; /* bn_geometry_is_plain() */
	struct bn_geometry at;
	struct bn_rect block; /* what counts as overlapping: a cursor's is its layer's */
	uint32_t fb;          /* 0: composed, see why */
	uint32_t fb_width, fb_height;
	uint32_t fourcc;
	uint64_t modifier;
	uint16_t alpha;
	bool blend, yuv;
	uint8_t encoding, range;
	enum bn_kms_right right;
	const char *why;
};

/* Numbers are indices into bn_kms_card.planes. */
#define BN_KMS_COMPOSED (-1)
#define BN_KMS_NO_PICTURE (-1)

enum bn_kms_reason {
	BN_KMS_FITS,
	BN_KMS_NO_BUFFER, /* item.why */
	BN_KMS_NO_FORMAT, /* no plane has the format, the turn or the transparency */
	BN_KMS_NO_PLANE_LEFT,
	BN_KMS_REFUSED,  /* by the driver */
	BN_KMS_STACKING, /* what lies above or below it is composed */
	BN_KMS_HIDDEN,   /* nothing of it can be seen: bn_kms_seen() */
};

struct bn_kms_plan {
	unsigned count;
	int8_t plane[BN_KMS_ITEMS_MAX]; /* of each item, or BN_KMS_COMPOSED (hidden ones, too) */
	uint8_t reason[BN_KMS_ITEMS_MAX];
	int8_t picture;     /* the plane of the composed picture, or BN_KMS_NO_PICTURE */
	bool picture_below; /* nothing lies below it: it is opaque */
	bool ordered;       /* zpos is to be set */
	int8_t zpos[64];    /* by plane */
};

struct bn_kms_scene {
	struct bn_output *output;
	struct bn_kms_card *card;
	uint64_t usable; /* planes, as bits by index */
	int primary;     /* index of the output's own */
	unsigned count;
	uint64_t present; /* items that count, as bits; the others are left out */
	struct bn_kms_item items[BN_KMS_ITEMS_MAX]; /* lowest first */
};

/* Everything that planning keeps. All zero is none; test is set by the owner. */
struct bn_kms_planner {
	struct {
		uint64_t key; /* 0: unused */
		uint64_t used;
		struct bn_kms_plan plan;
	} cache[BN_KMS_PLANS_MAX];
	uint64_t uses;
	/* Found by trial: the primary plane must be there and cover the whole display. */
	bool strict;
	unsigned tests; /* of the plan under way */
	/* A plan that took many tests, and for which layers: tried first when only their places changed. */
	struct bn_kms_plan costly;
	uint64_t costly_cast;
	unsigned costly_uses;
	/* What the driver says of a plan: 0 or -errno. */
	int (*test)(struct bn_kms_scene *scene, const struct bn_kms_plan *plan);
	struct bn_kms_liftoff *liftoff; /* NULL: none yet */
};

/* A plan for the scene: from the cache when its shape has been seen, else tried on the driver. Never fails: the
 * last resort is everything composed. The result holds until the next call. */
const struct bn_kms_plan *bn_kms_plan(struct bn_kms_planner *planner, struct bn_kms_scene *scene);
/* The driver refused it after all: everything is composed from now on for scenes of this shape. */
const struct bn_kms_plan *bn_kms_plan_refused(
	struct bn_kms_planner *planner, struct bn_kms_scene *scene);
void bn_kms_planner_forget(struct bn_kms_planner *planner);
void bn_kms_planner_finish(struct bn_kms_planner *planner);
/* The driver's word on a plan, counted. 0 or -errno. */
int bn_kms_plan_try(
	struct bn_kms_planner *planner, struct bn_kms_scene *scene, const struct bn_kms_plan *plan);

/* Items, as bits, of which something can be seen: no opaque layers above hide all of them. A cursor counts where its layer is. It
 * goes by what is in the scene's shape. */
uint64_t bn_kms_seen(const struct bn_kms_scene *scene);
/* Everything on the composed picture. */
void bn_kms_assign_none(const struct bn_kms_scene *scene, struct bn_kms_plan *plan);
/* Planes for the items that want one (bits by index), never those in refused[item] (planes as bits; may be NULL). False: it
 * cannot be done for all of them. Asks nobody. */
bool bn_kms_assign(const struct bn_kms_scene *scene, uint64_t wanted, bool strict,
	const uint64_t *refused, struct bn_kms_plan *plan);
/* What is left of wanted when one height is to be right for all that is composed. */
uint64_t bn_kms_stackable(const struct bn_kms_scene *scene, uint64_t wanted);
/* Whether the plan shows the scene right: order, one picture, no plane twice. */
bool bn_kms_plan_is_right(const struct bn_kms_scene *scene, const struct bn_kms_plan *plan);
/* The planes can be stacked in any order. */
bool bn_kms_order_is_free(const struct bn_kms_scene *scene);
bool bn_kms_plane_can(const struct bn_kms_scene *scene, unsigned plane, unsigned item);
/* The item with the least right in the set; -1: it is empty. */
int bn_kms_least(const struct bn_kms_scene *scene, uint64_t set);

/* libliftoff's choice for the items in wanted. False: it found nothing, or it is not built in. */
bool bn_kms_liftoff_plan(struct bn_kms_planner *planner, struct bn_kms_scene *scene,
	uint64_t wanted, struct bn_kms_plan *plan);
void bn_kms_liftoff_destroy(struct bn_kms_liftoff *liftoff);

/* ---- the output ---- */

/* What one commit shows, until the next has replaced it. */
struct bn_kms_held {
	struct bn_buffer *buffers[BN_OUTPUT_LAYERS_MAX]; /* locked */
	unsigned count;
	int picture;     /* of the composed ones; -1: none */
	int cursor;      /* of the cursor's pictures; -1: none */
	uint64_t planes; /* as bits by index */
};

/* Of one layer (bn_layer.impl_data). */
struct bn_kms_layer {
	enum bn_shown_how how; /* as committed last; the cursor's own beside it */
	int plane;
	const char *why;
	uint64_t last_ns; /* submit time of the newest frame that was latched; 0: none */
	/* As drawn into the composed picture last. */
	bool drawn, cursor_drawn;
	bool cursor_changed; /* since then */
	struct bn_geometry at, cursor_at;
};

/* The composed picture, in memory that the CPU writes. */
struct bn_kms_pictures {
	struct bn_kms_dumb dumb[BN_KMS_PICTURES];
	pixman_region32_t stale[BN_KMS_PICTURES]; /* what has changed since it was drawn */
	pixman_region32_t damage;                 /* noted since the last one was drawn */
	pixman_region32_t changed;                /* drawn since the last one was committed */
	pixman_image_t *image[BN_KMS_PICTURES];
	pixman_image_t *shadow; /* NULL: drawn directly */
	/* For the GPU; NULL: not drawn by it so far. fence: of its drawing that is not committed; -1: none. */
	struct bn_compose_gl_target *target[BN_KMS_PICTURES];
	int fence[BN_KMS_PICTURES];
	bool no_target; /* the card's memory cannot be handed on */
	bool by_gpu;    /* the latest, and the shadow knows nothing of it */
	bool set_up;
	int latest;     /* drawn last; -1: none */
	bool opaque;    /* black where nothing is drawn, not transparent */
	uint64_t order; /* of what is in it */
};

struct bn_kms_cursor {
	struct bn_kms_dumb dumb[BN_KMS_PICTURES];
	int latest;                           /* -1: none */
	const struct bn_layer *layer;         /* whose it is; only compared */
	uint32_t src_x, src_y, width, height; /* the part of its layer's cursor that is drawn */
};

struct bn_kms_writeback;

struct bn_kms_output {
	struct wl_list link; /* bn_kms_card.outputs */
	struct bn_output *output;
	struct bn_kms_card *card;
	uint32_t connector, crtc, crtc_index;
	char name[32], model[64];
	struct bn_kms_prop connector_props[BN_KMS_CONNECTOR_PROPS];
	struct bn_kms_prop crtc_props[BN_KMS_CRTC_PROPS];
	uint32_t want_width, want_height,
		want_mhz; /* asked for; width 0: what the display prefers */
	bool given_mm; /* the display's size was given, whatever the display says */
	drmModeModeInfo mode;
	uint32_t mode_blob; /* 0: none */
	int primary;        /* index of its plane */
	bool connected;
	bool modeset; /* the next commit sets everything */
	bool dirty;   /* something is to be shown that no frame tells of */
	bool stuck;   /* a flip did not come, or commits fail: paced as headless until one comes */
	/* The driver has no vblank (virtual displays, some USB ones): it tells of a flip as soon as it has carried it out, so
	 * commits keep to refreshes of the clock. slot_ns: the one that the last commit was for. */
	bool unpaced;
	uint64_t slot_ns;

	uint64_t serial; /* of the commit under way; 0: none */
	uint64_t latched, target_ns;
	/* When to do something; 0: never. */
	uint64_t timeout_ns, retry_ns, latch_ns, off_ns, capture_ns;
	unsigned failures;                       /* in a row */
	uint64_t cost_ns;                        /* of a commit, smoothed */
	struct bn_kms_held pending, shown, lost; /* lost: by a commit whose flip did not come */
	unsigned long log_flip, log_lost, log_refused, log_busy, log_compose;

	drmModeAtomicReq *request;
	struct bn_kms_scene scene;
	struct bn_kms_planner planner;
	struct bn_kms_plan plan; /* as committed last; of the scene above */
	bool has_plan;
	struct bn_kms_pictures pictures;
	struct bn_kms_cursor cursor;
	struct bn_kms_writeback *writeback; /* NULL: no observer yet, or no such connector */
};

static inline struct bn_kms_output *bn_kms_output_of(const struct bn_output *output)
{
	return output->impl_data;
}

/* The CRTC can show something: plugged in, and the card is ours. */
bool bn_kms_output_on(const struct bn_kms_output *ko);
/* What a probe found; connector stays the caller's. */
void bn_kms_output_probed(struct bn_kms_output *ko, const struct bn_kms_connector *connector);
/* kms_start.c: finds a connector and a CRTC on its card, and sets up. 0 or -errno, logged where a person can do something. */
int bn_kms_output_find_place(struct bn_kms_output *ko);
/* Puts it, which is on no list, among those that wait for their seat. */
void bn_kms_output_wait(struct bn_kms_output *ko, struct bn_kms_card *waiting);
/* The seat is ours: looks for the card and finds a place. Whatever is wrong is logged; then it waits on. */
void bn_kms_output_begin(struct bn_kms_output *ko);
/* The card may be used, or no longer. */
void bn_kms_output_card_changed(struct bn_kms_output *ko);
/* Picks the mode for what is asked for. 0 or -errno. */
int bn_kms_output_set_mode(struct bn_kms_output *ko, const struct bn_kms_connector *connector);
/* Sees that everything happens in time, after anything has. */
void bn_kms_output_arm(struct bn_kms_output *ko);
/* Commits what there is, now or when it is time. */
void bn_kms_output_go_on(struct bn_kms_output *ko);
/* NULL: no memory. */
struct bn_kms_layer *bn_kms_layer_of(struct bn_layer *layer);

/* kms_commit.c: latches and commits what is new; a commit under way is an error of the caller. */
void bn_kms_commit(struct bn_kms_output *ko);
/* Switches the CRTC off. */
void bn_kms_commit_off(struct bn_kms_output *ko);
/* A flip came: serial is its commit's. */
void bn_kms_flip(struct bn_kms_output *ko, uint64_t serial, uint64_t when_ns);
void bn_kms_flip_timeout(struct bn_kms_output *ko);
/* Forgets the commit under way; its frames are reported now. */
void bn_kms_abandon(struct bn_kms_output *ko);
void bn_kms_held_release(struct bn_kms_held *held);
bool bn_kms_is_held(const struct bn_kms_output *ko, bool cursor, int index);

/* kms_scene.c: what is to be shown, into ko->scene. */
void bn_kms_scene_gather(struct bn_kms_output *ko);

/* kms_request.c: the whole state of the plan into ko->request, which is emptied first; picture: the index of the composed
 * picture to show. 0 or -errno. */
int bn_kms_request_build(struct bn_kms_output *ko, const struct bn_kms_scene *scene,
	const struct bn_kms_plan *plan, int picture);
/* The mode and the connectors, when the CRTC is to be set up. */
int bn_kms_request_modeset(struct bn_kms_output *ko, drmModeAtomicReq *request);
int bn_kms_request_off(struct bn_kms_output *ko);
/* A TEST_ONLY commit of the plan (bn_kms_planner.test). */
int bn_kms_request_test(struct bn_kms_scene *scene, const struct bn_kms_plan *plan);

/* kms_damage.c: adds to ko->request what of its planes' pixels is new. 0 or -ENOMEM. */
int bn_kms_damage_add(struct bn_kms_output *ko, const struct bn_kms_plan *plan);
/* That request was committed. */
void bn_kms_damage_committed(struct bn_kms_output *ko);
void bn_kms_damage_finish(struct bn_kms_card *card);

/* kms_compose.c: draws what the plan composes into a free picture; *picture: its index, -1 when none is needed.
 * 0 or -errno. */
int bn_kms_compose(struct bn_kms_output *ko, const struct bn_kms_plan *plan, int *picture);
/* That picture is on its way to the display. */
void bn_kms_compose_committed(struct bn_kms_output *ko, int picture);
/* Picture 0 is there, for a test. */
int bn_kms_compose_prepare(struct bn_kms_output *ko);
/* The size changed, or everything has to be drawn anew. */
void bn_kms_compose_finish(struct bn_kms_output *ko);
/* The layer goes: where it was drawn is to be drawn again. */
void bn_kms_compose_forget(struct bn_kms_output *ko, const struct bn_kms_layer *kl);
/* The same pixels for reading; NULL: none. */
const uint32_t *bn_kms_compose_pixels(const struct bn_kms_output *ko, uint32_t *stride);

/* kms_cursor.c: the cursor's framebuffer, drawn if it changed; 0: none could be made. */
uint32_t bn_kms_cursor_draw(struct bn_kms_output *ko, const struct bn_kms_item *item);
void bn_kms_cursor_finish(struct bn_kms_output *ko);

/* kms_writeback.c, for an observer. */
void bn_kms_writeback_observe(struct bn_output *output);
/* Its connector, when the CRTC is set up. */
int bn_kms_writeback_modeset(struct bn_kms_output *ko, drmModeAtomicReq *request);
/* A job in the request when one is wanted and none is under way. 0 or -errno. */
int bn_kms_writeback_add(struct bn_kms_output *ko, drmModeAtomicReq *request);
/* What became of the request. */
void bn_kms_writeback_committed(struct bn_kms_output *ko, bool done);
void bn_kms_writeback_flipped(struct bn_kms_output *ko, uint64_t serial, uint64_t when_ns);
/* 0, -EAGAIN (under way), -ENOTSUP (there is none of the picture that is shown). */
int bn_kms_writeback_read(struct bn_kms_output *ko, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info);
/* The next commit had better wait (vkms alone). */
bool bn_kms_writeback_hold(const struct bn_kms_output *ko);
/* The CRTC had better not be switched off now. */
bool bn_kms_writeback_busy(const struct bn_kms_output *ko);
void bn_kms_writeback_finish(struct bn_kms_output *ko);

/* kms_status.c */
void bn_kms_shown(const struct bn_layer *layer, struct bn_layer_shown *out);
unsigned bn_kms_planes(const struct bn_output *output, struct bn_plane_status *out, unsigned max);
bool bn_kms_active(const struct bn_output *output);
void bn_kms_status(const struct bn_output *output, struct bn_output_status *out);
int bn_kms_read(struct bn_output *output, const struct bn_rect *rect, uint32_t *pixels,
	struct bn_read_info *info);

#endif
