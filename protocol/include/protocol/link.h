/* The renderer link: what binnacled and one binnacle-renderer say to each other over a
 * SOCK_SEQPACKET pair, and the three memfds they share. Both are built together, so this is no
 * stable protocol; but the renderer may be under a guest's control, so the daemon checks every
 * message with bn_link_check() and believes nothing in the shared memfds.
 *
 * Sizes and layouts use fixed-width members without implicit padding; host byte order (one
 * machine). */
#ifndef BN_PROTOCOL_LINK_H
#define BN_PROTOCOL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BN_LINK_VERSION 4u
#define BN_LINK_SCANOUTS 16u	/* VIRTIO_GPU_MAX_SCANOUTS */
#define BN_LINK_CAPSETS 8u
#define BN_LINK_QUEUES 2u	/* control, cursor */
#define BN_LINK_QUEUE_SIZE_MAX 1024u
#define BN_LINK_BUFFERS_MAX 256u /* buffers that one renderer may have announced at a time */
#define BN_LINK_TEXT 128u
#define BN_LINK_HELLO_FDS 7u

enum bn_link_type {
	/* daemon → renderer */
	/* bn_link_hello + BN_LINK_HELLO_FDS fds (+ render node if gpu says so), in that order:
	 * journal, inflight, stats, request page, grant page (read-only), doorbell of the arbiter,
	 * doorbell of the renderer (eventfds; see protocol/grant.h) */
	BN_LINK_HELLO = 1,
	BN_LINK_DISPLAYS,	/* bn_link_displays */
	BN_LINK_FEATURES,	/* bn_link_u64: the virtio features that the driver accepted */
	BN_LINK_MEM_ADD,	/* bn_link_region + 1 fd → ACK */
	BN_LINK_MEM_REMOVE,	/* bn_link_region → ACK */
	BN_LINK_MEM_CLEAR,	/* no payload → ACK */
	BN_LINK_VRING_START,	/* bn_link_vring + 1 fd (kick) → ACK */
	BN_LINK_VRING_CALL,	/* bn_link_u64 = index + 0 or 1 fd: call fd; also before START */
	/* bn_link_u64 = index → ACK with value = the base to resume from; sent when nothing is in
	 * flight any more */
	BN_LINK_VRING_STOP,
	BN_LINK_PRESENTED,	/* bn_link_presented */
	BN_LINK_RELEASE,	/* bn_link_release: the renderer may write to that buffer again */
	/* renderer → daemon */
	BN_LINK_READY = 64,	/* bn_link_ready, once, after HELLO */
	BN_LINK_ACK,		/* bn_link_ack, one for each message marked → ACK, in order */
	BN_LINK_BUFFER_NEW,	/* bn_link_buffer + 1–4 fds (one per plane; memfd: one) */
	BN_LINK_BUFFER_GONE,	/* bn_link_u64 = buffer id: forget it once it is not shown */
	BN_LINK_FRAME,		/* bn_link_frame */
	BN_LINK_CURSOR_IMAGE,	/* bn_link_cursor_image */
	BN_LINK_CURSOR_MOVE,	/* bn_link_cursor_move */
	BN_LINK_FAULT,		/* bn_link_fault */
};

struct bn_link_header {
	uint32_t type; /* enum bn_link_type */
	uint32_t size; /* bytes of payload */
	uint32_t seq;  /* the sender's number; an ACK's payload names the one it answers */
	uint32_t reserved;
};

enum bn_link_gpu {
	BN_LINK_GPU_NONE = 0,	     /* 2D only */
	BN_LINK_GPU_SURFACELESS = 1, /* EGL_PLATFORM_SURFACELESS_MESA: the software rasteriser */
	BN_LINK_GPU_RENDER_NODE = 2, /* EGL_PLATFORM_GBM on the fd that came with HELLO */
};

enum bn_link_priority { BN_LINK_PRIORITY_LOW, BN_LINK_PRIORITY_MEDIUM, BN_LINK_PRIORITY_HIGH };

struct bn_link_hello {
	uint32_t version;
	uint32_t gpu;	      /* enum bn_link_gpu */
	uint32_t num_scanouts; /* 1–16 */
	/* 1: journal and inflight memfd hold a predecessor's state to take over; 0: both fresh */
	uint32_t restore;
	uint64_t journal_size; /* bytes of that memfd */
	/* Bytes that resources may take on the host; creating more answers OUT_OF_MEMORY. */
	uint64_t host_memory_max;
	uint32_t priority; /* enum bn_link_priority of its GPU contexts, if the driver has such */
	uint32_t reserved;
	char vm[32];	      /* the VM's name, NUL-terminated */
};

struct bn_link_display {
	uint32_t enabled; /* 0 or 1 */
	uint32_t width, height, refresh_mhz;
	uint32_t width_mm, height_mm;
	char name[16];	  /* EDID monitor name, NUL-terminated, at most 13 characters are used */
};
struct bn_link_displays {
	struct bn_link_display display[BN_LINK_SCANOUTS];
};

struct bn_link_u64 {
	uint64_t value;
};

struct bn_link_region {
	uint64_t guest_addr, size, user_addr, mmap_offset;
};

struct bn_link_vring {
	uint32_t index, num; /* queue, its size: a power of two up to BN_LINK_QUEUE_SIZE_MAX */
	uint64_t desc_user, avail_user, used_user; /* front-end addresses */
	uint32_t base;	     /* last available index taken, 0–65535 */
	/* 1: this ring ran in a renderer that died: derive the base from used index and inflight
	 * table instead */
	uint32_t restore;
	/* 1: the driver starts anew: forget every resource and context of the old one first */
	uint32_t fresh;
	uint32_t reserved;
};

/* No display, mirror or picture in the making uses the buffer any more: sent when the last one lets
 * go, after the frames up to `seq`. Where a newer frame names the buffer, the two have crossed, and
 * another release follows. */
struct bn_link_release {
	uint64_t buffer;
	uint64_t seq; /* of the newest FRAME that the daemon had seen, of any scanout */
};

struct bn_link_presented {
	uint64_t seq;	  /* of the FRAME; every earlier frame of that scanout is done too */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint32_t scanout;
	uint32_t reserved;
	/* As RELEASE, before the rest is looked at; buffer 0: none. */
	struct bn_link_release released;
};

struct bn_link_capset {
	uint32_t id, max_version, max_size, reserved;
};
struct bn_link_ready {
	uint64_t device_features; /* VIRTIO_GPU_F_* bits that this renderer can serve */
	uint32_t num_capsets;
	uint32_t sandbox;	  /* BN_LINK_SANDBOX_* bits that are in force */
	uint32_t software;	  /* 1: the processor draws */
	uint32_t priority;	  /* enum bn_link_priority that the driver granted, asked back */
	uint32_t timestamps;	  /* 1: batches are metered by GPU timestamps, 0: by their fences */
	uint32_t reserved;
	struct bn_link_capset capset[BN_LINK_CAPSETS];
	char gl_renderer[BN_LINK_TEXT]; /* GL_RENDERER, "" without GL */
	char gl_version[BN_LINK_TEXT];
};
#define BN_LINK_SANDBOX_NAMESPACES 1u
#define BN_LINK_SANDBOX_SECCOMP 2u
#define BN_LINK_SANDBOX_RLIMITS 4u

struct bn_link_ack {
	uint32_t seq;	/* of the message answered */
	int32_t error;	/* 0 or -errno */
	uint64_t value; /* VRING_STOP: the base; else 0 */
};

enum bn_link_buffer_kind { BN_LINK_BUFFER_MEMFD = 0, BN_LINK_BUFFER_DMABUF = 1 };
struct bn_link_buffer {
	uint64_t id; /* the renderer's choice, not 0, never used twice */
	uint32_t kind, width, height, fourcc;
	uint64_t modifier;
	uint32_t planes;
	uint32_t y_invert; /* 1: row 0 is the picture's bottom */
	uint32_t stride[4], offset[4];
};

struct bn_link_frame {
	uint64_t seq;	    /* rises with each frame of a renderer, over all scanouts */
	uint64_t buffer;    /* 0: the scanout is off */
	uint64_t flush_ns;  /* CLOCK_MONOTONIC when the flush was taken from the ring */
	uint32_t scanout;
	/* 1: nobody flushed it; a new renderer shows again what its predecessor showed */
	uint32_t again;
	uint32_t src_x, src_y, src_width, src_height;
	uint32_t damage_x, damage_y, damage_width, damage_height; /* buffer pixels */
	/* What this frame took at the GPU, all since the flush before it; 0 where it had no GPU
	 * work. Stamps are CLOCK_MONOTONIC. */
	uint64_t queued_ns;   /* its first batch was taken from the ring */
	uint64_t done_ns;     /* the GPU finished its last batch */
	uint64_t wait_ns;     /* in between, batches waited for grants */
	uint64_t gpu_ns;      /* cost of its batches */
	uint64_t response_ns; /* time in between with something queued or at the GPU: without gaps */
	uint32_t batches, cuts;
};

struct bn_link_cursor_image {
	uint32_t scanout, visible; /* visible 0: hide; pixels are ignored then */
	uint32_t hot_x, hot_y; /* 0–63 when visible */
	int32_t x, y;
	uint32_t pixels[64 * 64]; /* ARGB8888 premultiplied */
};
struct bn_link_cursor_move {
	uint32_t scanout;
	int32_t x, y;
	uint32_t reserved;
};

struct bn_link_fault {
	uint32_t fatal; /* 1: the renderer ends itself after this */
	uint32_t reserved;
	char text[BN_LINK_TEXT]; /* what happened, NUL-terminated */
};

#define BN_LINK_PAYLOAD_MAX sizeof(struct bn_link_cursor_image)

/* 0 when header and payload (size bytes received after the header, nfds fds) are of a known type
 * that the given side may send, with the exact size and a legal number of fds, every enum, count
 * and string within bounds; else -EPROTO. from_renderer tells who sent it. payload may be NULL when
 * size is 0 and need not be aligned. Rectangles are bounded to 8192 pixels, but whether they lie
 * within the buffer, and whether an id is known, is the caller's to check; cursor positions may be
 * anything. */
int bn_link_check(const struct bn_link_header *header, const void *payload, size_t size,
	size_t nfds, bool from_renderer);
/* Makes a checked text of a renderer fit to be shown: what is not printable ASCII becomes '?'. In
 * JSON a stray byte would make everything around it unreadable, other VMs' numbers too. */
void bn_link_text_clean(char text[BN_LINK_TEXT]);
/* For logs; "?" for unknown types. */
const char *bn_link_name(uint32_t type);

/* ---- shared memfds, made and sealed by the daemon, mapped by both or handed on ---- */

/* Descriptors in flight of one split ring, in the manner of vhost-user's VhostUserInflight split
 * layout (QEMU docs/interop/vhost-user.rst, "Inflight I/O tracking"): enough for the next renderer
 * to answer each exactly once. */
struct bn_inflight_queue {
	uint16_t used_idx;   /* used->idx after the last completed batch */
	uint16_t last_head;  /* head of the last completion begun */
	uint16_t reserved[2];
	uint8_t inflight[BN_LINK_QUEUE_SIZE_MAX]; /* 1: this head was taken and is not answered */
};
struct bn_inflight {
	struct bn_inflight_queue queue[BN_LINK_QUEUES];
};

/* Always-on counters of a renderer, written by it alone, read by the daemon at any time (relaxed
 * atomics). */
struct bn_stats {
	uint64_t commands, errors;     /* control-queue commands taken, answered with an error */
	uint64_t cursor_commands;
	uint64_t submits, submit_bytes;
	uint64_t fences, fences_pending;
	uint64_t contexts, resources;  /* alive now */
	uint64_t resource_bytes;       /* host memory of resources */
	uint64_t gpu_busy_ns;	       /* time with at least one fenced submit unfinished */
	uint64_t flushes;
	uint64_t copy_bytes_in;	       /* guest → host pixel copies by a CPU (2D transfers) */
	uint64_t copy_bytes_out;       /* GPU → memfd read-back for outputs without dma-bufs */
	uint64_t zero_copy_frames;     /* frames handed on without any copy in the renderer */
	uint64_t wakeups;	       /* times the ring loop woke up */
	uint64_t guest_memory_bytes;
	uint64_t context_losses;
	/* Commands that waited until a display had let go of what they draw into, and did in vain. */
	uint64_t release_waits, release_timeouts;
};

#endif
