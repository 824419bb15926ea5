/* PNG files for the watchdog: every kind, and files that are none or want too much; and the words
 * of hooks. */
#include "unit.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <png.h>
#include <zlib.h>

#include "picture.h"
#include "watchdog_hook.h"
#include "zero-copy/buffer.h"

static char path[64], why[BN_PICTURE_WHY_MAX];
static struct bn_picture picture;

static void name_file(void)
{
	snprintf(path, sizeof(path), "/tmp/binnacle-picture-%d.png", (int)getpid());
}

static void write_bytes(const void *bytes, size_t size)
{
	FILE *file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

/* A file of width × height of that kind; rows as PNG has them. */
static void write_png(uint32_t width, uint32_t height, int depth, int colour, int interlace,
	const uint8_t *rows, size_t stride)
{
	static const png_color palette[4] = {{0, 0, 0}, {255, 0, 0}, {1, 2, 3}, {9, 8, 7}};
	static const png_byte transparent[2] = {255, 0};
	FILE *file = fopen(path, "we");
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);
	if (setjmp(png_jmpbuf(png)))
		CU_FAIL_FATAL("libpng");
	png_init_io(png, file);
	png_set_IHDR(png, info, width, height, depth, colour, interlace, PNG_COMPRESSION_TYPE_BASE,
		PNG_FILTER_TYPE_BASE);
	if (colour == PNG_COLOR_TYPE_PALETTE) {
		png_set_PLTE(png, info, palette, 4);
		png_set_tRNS(png, info, transparent, 2, NULL);
	}
	png_write_info(png, info);
	int passes = interlace ? png_set_interlace_handling(png) : 1;
	for (int pass = 0; pass < passes; pass++) {
		for (uint32_t y = 0; y < height; y++)
			png_write_row(png, rows + y * stride);
	}
	png_write_end(png, NULL);
	png_destroy_write_struct(&png, &info);
	fclose(file);
}

static int read_it(uint32_t width, uint32_t height)
{
	bn_picture_finish(&picture);
	why[0] = '\0';
	return bn_picture_read(&picture, path, width, height, why);
}

static void done(void)
{
	bn_picture_finish(&picture);
	unlink(path);
}

/* ---- kinds ---- */

static void test_rgb(void)
{
	const uint8_t rows[] = {1, 2, 3, 255, 254, 253, 0, 0, 0, 7, 8, 9};
	name_file();
	for (int interlace = PNG_INTERLACE_NONE; interlace <= PNG_INTERLACE_ADAM7; interlace++) {
		write_png(2, 2, 8, PNG_COLOR_TYPE_RGB, interlace, rows, 6);
		CU_ASSERT_EQUAL_FATAL(read_it(2, 2), 0);
		CU_ASSERT_EQUAL(picture.width, 2);
		CU_ASSERT_EQUAL(picture.height, 2);
		CU_ASSERT_EQUAL(picture.pixels[0], 0x010203);
		CU_ASSERT_EQUAL(picture.pixels[1], 0xfffefd);
		CU_ASSERT_EQUAL(picture.pixels[3], 0x070809);
	}
	done();
}

static void test_kinds(void)
{
	const uint8_t rgba[] = {200, 100, 50, 255, 200, 100, 50, 128, 200, 100, 50, 0};
	const uint8_t rgb16[] = {0x12, 0x34, 0xff, 0xff, 0, 0};
	const uint8_t gray[] = {77}, gray_alpha[] = {200, 128}, bits[] = {0x40};
	const uint8_t indices[] = {0, 1, 2};
	name_file();
	write_png(3, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, 0, rgba, 12);
	CU_ASSERT_EQUAL_FATAL(read_it(0, 0), 0);
	CU_ASSERT_EQUAL(picture.pixels[0], 0xc86432);
	CU_ASSERT_EQUAL(picture.pixels[1], 0x643219); /* over black */
	CU_ASSERT_EQUAL(picture.pixels[2], 0);
	write_png(1, 1, 16, PNG_COLOR_TYPE_RGB, 0, rgb16, 6);
	CU_ASSERT_EQUAL_FATAL(read_it(0, 0), 0);
	CU_ASSERT_EQUAL(picture.pixels[0], 0x12ff00);
	write_png(1, 1, 8, PNG_COLOR_TYPE_GRAY, 0, gray, 1);
	CU_ASSERT_EQUAL_FATAL(read_it(0, 0), 0);
	CU_ASSERT_EQUAL(picture.pixels[0], 0x4d4d4d);
	write_png(1, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, 0, gray_alpha, 2);
	CU_ASSERT_EQUAL_FATAL(read_it(0, 0), 0);
	CU_ASSERT_EQUAL(picture.pixels[0], 0x646464);
	write_png(2, 1, 1, PNG_COLOR_TYPE_GRAY, 0, bits, 1);
	CU_ASSERT_EQUAL_FATAL(read_it(0, 0), 0);
	CU_ASSERT_EQUAL(picture.pixels[0], 0);
	CU_ASSERT_EQUAL(picture.pixels[1], 0xffffff);
	write_png(3, 1, 8, PNG_COLOR_TYPE_PALETTE, 0, indices, 3);
	CU_ASSERT_EQUAL_FATAL(read_it(0, 0), 0);
	CU_ASSERT_EQUAL(picture.pixels[1], 0); /* transparent red */
	CU_ASSERT_EQUAL(picture.pixels[2], 0x010203);
	done();
}

/* ---- what is none ---- */

static void test_wrong_size(void)
{
	const uint8_t rows[6] = {0};
	name_file();
	write_png(2, 1, 8, PNG_COLOR_TYPE_RGB, 0, rows, 6);
	CU_ASSERT_EQUAL(read_it(1, 1), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "has 2x1 pixels; 1x1 are expected");
	CU_ASSERT_PTR_NULL(picture.pixels);
	CU_ASSERT_EQUAL(read_it(2, 0), 0);
	done();
}

static void put_chunk(uint8_t **at, const char *type, const void *data, uint32_t size)
{
	uint32_t n = htobe32(size), crc;
	memcpy(*at, &n, 4);
	memcpy(*at + 4, type, 4);
	memcpy(*at + 8, data, size);
	crc = htobe32((uint32_t)crc32(0, *at + 4, size + 4));
	memcpy(*at + 8 + size, &crc, 4);
	*at += size + 12;
}

/* A header that promises a giant: found before any memory is taken for it. */
static void test_giants(void)
{
	static const uint32_t sizes[][2] = {
		{8193, 1}, {1, 8193}, {0x7fffffff, 0x7fffffff}, {0, 1}, {1, 0}, {0xffffffff, 1}};
	name_file();
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t file[64] = "\x89PNG\r\n\x1a\n", *at = file + 8;
		struct {
			uint32_t width, height;
			uint8_t depth, colour, compression, filter, interlace;
		} head = {
			htobe32(sizes[i][0]), htobe32(sizes[i][1]), 8, PNG_COLOR_TYPE_RGB, 0, 0, 0};
		put_chunk(&at, "IHDR", &head, 13);
		put_chunk(&at, "IDAT", "", 0);
		write_bytes(file, (size_t)(at - file));
		CU_ASSERT_EQUAL(read_it(0, 0), -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "is no PNG file"));
	}
	done();
}

/* Cut anywhere, and with any byte changed: read or refused, never more. */
static void test_damaged(void)
{
	uint8_t rows[16 * 48], file[4096];
	name_file();
	for (size_t i = 0; i < sizeof(rows); i++)
		rows[i] = (uint8_t)(i * 37);
	write_png(16, 16, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, rows, 48);
	FILE *f = fopen(path, "re");
	size_t size = fread(file, 1, sizeof(file), f);
	fclose(f);
	CU_ASSERT_TRUE_FATAL(size > 100 && size < sizeof(file));
	for (size_t cut = 0; cut + 12 < size; cut++) {
		write_bytes(file, cut);
		CU_ASSERT_NOT_EQUAL(read_it(0, 0), 0);
		CU_ASSERT_PTR_NULL(picture.pixels);
	}
	unsigned refused = 0;
	for (size_t i = 0; i < size; i++) {
		file[i] ^= 0x55;
		write_bytes(file, size);
		int ret = read_it(16, 16);
		refused += ret < 0;
		CU_ASSERT_EQUAL(ret == 0, picture.pixels != NULL);
		file[i] ^= 0x55;
	}
	CU_ASSERT_TRUE(refused > size / 2);
	done();
}

static void test_no_file(void)
{
	name_file();
	CU_ASSERT_EQUAL(read_it(0, 0), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "No such file"));
	snprintf(path, sizeof(path), "/tmp");
	CU_ASSERT_EQUAL(read_it(0, 0), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "is no file of at most 256 MiB");
	/* Nobody writes to it: a start would wait for ever. */
	name_file();
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(read_it(0, 0), -EINVAL);
	done();
}

/* ---- pixels ---- */

static void test_crc(void)
{
	/* zlib.crc32(b"\x03\x02\x01\x00\xff\xff\xff\x00") */
	const uint32_t pixels[] = {0x010203, 0xffffff};
	const uint8_t bytes[] = {3, 2, 1, 0, 255, 255, 255, 0};
	CU_ASSERT_EQUAL(bn_picture_crc(pixels, 2), crc32(crc32(0, NULL, 0), bytes, 8));
	CU_ASSERT_NOT_EQUAL(bn_picture_crc(pixels, 1), bn_picture_crc(pixels, 2));
}

static void test_buffer(void)
{
	uint32_t pixels[] = {1, 2, 3, 4, 5, 6};
	const struct bn_picture p = {.width = 3, .height = 2, .pixels = pixels};
	struct bn_buffer *buffer = bn_picture_buffer(&p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(buffer);
	CU_ASSERT_EQUAL(bn_buffer_attrs(buffer)->width, 3);
	CU_ASSERT_EQUAL(bn_buffer_attrs(buffer)->height, 2);
	CU_ASSERT_EQUAL(memcmp(bn_buffer_pixels(buffer), pixels, sizeof(pixels)), 0);
	bn_buffer_drop(buffer);
}

/* ---- hooks ---- */

static void test_hook_words(void)
{
	const char *text = NULL;
	CU_ASSERT_TRUE(bn_watch_hook_check("/bin/sh", &text));
	CU_ASSERT_PTR_NULL(text);
	CU_ASSERT_TRUE(bn_watch_hook_check("  /bin/sh -c \"exit 0; echo  a\"\t x", &text));
	CU_ASSERT_TRUE(bn_watch_hook_check("/bin/sh 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", &text));
	static const char *const wrong[] = {"", "  ", "sh", "/bin", "/no/such/program",
		"/etc/passwd", "/bin/sh \"a", "\"\"",
		"/bin/sh 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CU_ASSERT_FALSE(bn_watch_hook_check(wrong[i], &text));
		CU_ASSERT_PTR_NOT_NULL(text);
	}
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"red, green, blue", test_rgb},
		{"other kinds", test_kinds},
		{"another size", test_wrong_size},
		{"giants", test_giants},
		{"damaged files", test_damaged},
		{"what is no file", test_no_file},
		{"checksums", test_crc},
		{"memory for displays", test_buffer},
		{"words of a hook", test_hook_words},
		CU_TEST_INFO_NULL,
	};
	return bn_unit_main("picture", tests);
}
