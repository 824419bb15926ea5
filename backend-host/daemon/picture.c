#include "picture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <png.h>
#include <zlib.h>

#include "common/fd.h"
#include "zero-copy/buffer.h"

#define FILE_MAX (256l << 20)

/* ---- PNG ---- */

struct reader {
	FILE *file;
	png_structp png;
	png_infop info;
	struct bn_picture picture;
	png_bytep *rows;
	uint32_t want_width, want_height;
	char *why;
};

static void handle_error(png_structp png, png_const_charp text)
{
	struct reader *r = png_get_error_ptr(png);
	snprintf(r->why, BN_PICTURE_WHY_MAX, "is no PNG file that can be read (%.80s)", text);
	longjmp(png_jmpbuf(png), 1);
}

static void handle_warning(png_structp png, png_const_charp text)
{
}

static int check_size(struct reader *r)
{
	struct bn_picture *p = &r->picture;
	p->width = png_get_image_width(r->png, r->info);
	p->height = png_get_image_height(r->png, r->info);
	if ((r->want_width == 0 || p->width == r->want_width) &&
		(r->want_height == 0 || p->height == r->want_height))
		return 0;
	snprintf(r->why, BN_PICTURE_WHY_MAX, "has %ux%u pixels; %ux%u are expected", p->width,
		p->height, r->want_width, r->want_height);
	return -EINVAL;
}

/* Whatever the file has, rows of blue, green, red and alpha come. */
static void ask_for_bgra(struct reader *r)
{
	png_set_expand(r->png);
	png_set_scale_16(r->png);
	png_set_gray_to_rgb(r->png);
	png_set_bgr(r->png);
	png_set_filler(r->png, 0xff, PNG_FILLER_AFTER);
	png_set_interlace_handling(r->png);
	png_read_update_info(r->png, r->info);
}

static int allocate(struct reader *r)
{
	struct bn_picture *p = &r->picture;
	size_t stride = (size_t)p->width * 4;
	if (png_get_rowbytes(r->png, r->info) != stride)
		return -EINVAL;
	p->pixels = calloc(p->height, stride);
	r->rows = calloc(p->height, sizeof(*r->rows));
	if (!p->pixels || !r->rows)
		return -ENOMEM;
	for (uint32_t y = 0; y < p->height; y++)
		r->rows[y] = (png_bytep)p->pixels + y * stride;
	return 0;
}

static int decode(struct reader *r)
{
	if (setjmp(png_jmpbuf(r->png)))
		return -EBADMSG;
	png_init_io(r->png, r->file);
	png_set_user_limits(r->png, BN_PICTURE_SIDE_MAX, BN_PICTURE_SIDE_MAX);
	png_set_chunk_cache_max(r->png, 64);
	png_set_chunk_malloc_max(r->png, 1 << 20);
	png_read_info(r->png, r->info);
	int ret = check_size(r);
	if (ret < 0)
		return ret;
	ask_for_bgra(r);
	ret = allocate(r);
	if (ret < 0) {
		snprintf(r->why, BN_PICTURE_WHY_MAX, "takes more memory than there is");
		return ret;
	}
	png_read_image(r->png, r->rows);
	png_read_end(r->png, NULL);
	return 0;
}

static uint32_t over_black(uint32_t bgra)
{
	uint32_t a = bgra >> 24, out = 0;
	for (unsigned shift = 0; shift < 24; shift += 8)
		out |= ((bgra >> shift & 0xff) * a + 127) / 255 << shift;
	return out;
}

static int read_stream(struct reader *r)
{
	int ret = -ENOMEM;
	snprintf(r->why, BN_PICTURE_WHY_MAX, "%s", strerror(ENOMEM));
	r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, handle_error, handle_warning);
	r->info = r->png ? png_create_info_struct(r->png) : NULL;
	if (r->info)
		ret = decode(r);
	if (r->png)
		png_destroy_read_struct(&r->png, &r->info, NULL);
	free(r->rows);
	size_t count = ret == 0 ? (size_t)r->picture.width * r->picture.height : 0;
	for (size_t i = 0; i < count; i++)
		r->picture.pixels[i] = over_black(le32toh(r->picture.pixels[i]));
	return ret;
}

/* No fifo, on which a start would wait, and no giant. */
static int open_file(struct reader *r, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = -errno;
		snprintf(r->why, BN_PICTURE_WHY_MAX, "cannot be read (%s)", strerror(-err));
		bn_fd_close(&fd);
		return err;
	}
	if (S_ISREG(st.st_mode) && st.st_size <= FILE_MAX)
		r->file = fdopen(fd, "rb");
	if (r->file)
		return 0;
	snprintf(r->why, BN_PICTURE_WHY_MAX, "is no file of at most 256 MiB");
	bn_fd_close(&fd);
	return -EINVAL;
}

int bn_picture_read(struct bn_picture *out, const char *path, uint32_t width, uint32_t height,
	char why[BN_PICTURE_WHY_MAX])
{
	struct reader r = {.want_width = width, .want_height = height, .why = why};
	int ret = open_file(&r, path);
	*out = (struct bn_picture){0};
	if (ret < 0)
		return ret;
	ret = read_stream(&r);
	fclose(r.file);
	if (ret < 0)
		bn_picture_finish(&r.picture);
	else
		*out = r.picture;
	return ret;
}

void bn_picture_finish(struct bn_picture *p)
{
	free(p->pixels);
	*p = (struct bn_picture){0};
}

/* ---- pixels ---- */

uint32_t bn_picture_crc(const uint32_t *pixels, size_t count)
{
	return (uint32_t)crc32_z(crc32_z(0, NULL, 0), (const Bytef *)pixels, count * 4);
}

struct bn_buffer *bn_picture_buffer(const struct bn_picture *p)
{
	size_t size = (size_t)p->width * p->height * 4;
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = p->width,
		.height = p->height,
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {p->width * 4},
		.fd = {bn_memfd_create("binnacle-picture", size), -1, -1, -1},
	};
	struct bn_buffer *buffer;
	if (attrs.fd[0] < 0)
		return NULL;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, attrs.fd[0], 0);
	if (map == MAP_FAILED) {
		bn_fd_close(&attrs.fd[0]);
		return NULL;
	}
	memcpy(map, p->pixels, size);
	munmap(map, size);
	return bn_buffer_create(&buffer, &attrs, NULL, NULL) == 0 ? buffer : NULL;
}
