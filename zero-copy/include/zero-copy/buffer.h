/* A picture that a producer shows and consumers use without copying: memory (memfd) or dma-buf,
 * with the producer/consumer life of wlroots' wlr_buffer: the producer drops it once, each consumer
 * locks and unlocks it; when it is dropped and nobody holds a lock, it is destroyed; when the last
 * lock goes while it is not dropped, `release` tells the producer that it may write again. One
 * thread. */
#ifndef BN_ZERO_COPY_BUFFER_H
#define BN_ZERO_COPY_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

enum bn_buffer_kind {
	BN_BUFFER_MEMFD,  /* one fd for all planes, sealed against shrinking, CPU-readable */
	BN_BUFFER_DMABUF, /* 1–4 planes */
};

/* Of YUV pictures. What a buffer says nothing of is 0: what video of unknown origin is taken for. */
enum bn_encoding { BN_ENCODING_BT601, BN_ENCODING_BT709, BN_ENCODING_BT2020 };
enum bn_range { BN_RANGE_LIMITED, BN_RANGE_FULL };

struct bn_buffer_attrs {
	enum bn_buffer_kind kind;
	uint32_t width, height; /* pixels, 1–8192 */
	uint32_t fourcc;	/* DRM_FORMAT_* of drm_fourcc.h; those of zero-copy/format.h */
	uint64_t modifier;	/* DRM_FORMAT_MOD_LINEAR for memfd */
	uint32_t planes;
	uint32_t stride[4], offset[4]; /* bytes */
	int fd[4];		       /* memfd: fd[0] only */
	bool y_invert;		       /* row 0 is the bottom of the picture (GL) */
	enum bn_encoding encoding;     /* for RGB without meaning, as is range */
	enum bn_range range;
};

struct bn_buffer;

struct bn_buffer_listener {
	/* The last lock is gone and the producer has not dropped the buffer. May be NULL. */
	void (*release)(void *data, struct bn_buffer *buffer);
	/* The buffer is about to be freed. May be NULL. */
	void (*destroy)(void *data, struct bn_buffer *buffer);
};

/* Checks the attributes as hostile and takes ownership of the fds (memfd: fd[0]; dma-buf: the first
 * `planes`, at most 4) whatever the result. As many planes as the format has (a dma-buf that is not
 * linear: or more). Memfd: stride and offset are multiples of 4 (YUV: of a sample), stride × rows +
 * offset lies within the file, no huge pages; mapped read-only. Dma-buf: every fd is one; linear
 * planes lie within it. listener may be NULL and is copied. Returns 0, -EINVAL (attributes),
 * -EPERM (memfd without F_SEAL_SHRINK), -ENOMEM, -errno of mmap; *out is NULL on failure. */
int bn_buffer_create(struct bn_buffer **out, const struct bn_buffer_attrs *attrs,
	const struct bn_buffer_listener *listener, void *data);
/* Producer's last word, once. Destroys the buffer when nobody holds a lock. NULL is allowed. */
void bn_buffer_drop(struct bn_buffer *buffer);
struct bn_buffer *bn_buffer_lock(struct bn_buffer *buffer); /* returns its argument */
/* NULL is allowed. */
void bn_buffer_unlock(struct bn_buffer *buffer);
bool bn_buffer_locked(const struct bn_buffer *buffer);

/* Valid as long as the buffer. */
const struct bn_buffer_attrs *bn_buffer_attrs(const struct bn_buffer *buffer);
/* First byte of plane 0 (offset applied), NULL for dma-bufs. */
const void *bn_buffer_pixels(const struct bn_buffer *buffer);
/* The same of any of its planes. */
const void *bn_buffer_plane(const struct bn_buffer *buffer, unsigned plane);
/* A consumer's own object for this buffer (a wl_buffer, a KMS framebuffer): found again by owner,
 * destroyed through `free` with the buffer. At most 8 owners; -ENOSPC past that. Setting again
 * frees the owner's former object. `free` may be NULL. Get returns NULL when there is none. */
int bn_buffer_set_private(
	struct bn_buffer *buffer, const void *owner, void *object, void (*free)(void *object));
void *bn_buffer_get_private(const struct bn_buffer *buffer, const void *owner);
/* Forgets the owner's object without calling its free. */
void bn_buffer_clear_private(struct bn_buffer *buffer, const void *owner);

/* Bytes per pixel of the RGB formats that buffers may have (all 32-bit orders and RGB565), 0 for
 * others: those that zero-copy/format.h knows besides are YUV. */
unsigned bn_fourcc_bytes(uint32_t fourcc);

#endif
