/* wayland_output WESTON-PID: shows guests' pictures in the compositor of WAYLAND_DISPLAY, looks
 * at what it made of them, stops it, lets it go on, and ends it. Frames must be presented all
 * the time, each exactly once. Started by wayland_output.sh. */
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <wayland-server-core.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "compositor/output.h"

#define WIDTH 320
#define HEIGHT 240
#define BUFFERS 3
#define PICTURE "wayland-screenshot.png"

struct show {
	struct wl_event_loop *loop;
	struct bn_output *output;
	struct bn_layer *layer;
	struct bn_buffer *buffers[BUFFERS];
	unsigned submitted, shown, other;
	uint64_t last_ns;
	bool closed;
};

static unsigned destroyed;
/* Where the cursor is. Without wp_viewporter one that must be cut is not shown. */
static int cursor_x = 20;

static void fail(const char *what)
{
	fprintf(stderr, "wayland_output: %s\n", what);
	exit(1);
}

static void check(bool ok, const char *what)
{
	if (!ok)
		fail(what);
}

static void handle_destroy(void *data, struct bn_buffer *buffer)
{
	destroyed++;
}

static const struct bn_buffer_listener buffer_listener = {.destroy = handle_destroy};

/* With BN_TEST_DMABUF pictures are dma-bufs. Closes the memfd. */
static int dmabuf_of(int memfd, size_t size)
{
	struct udmabuf_create create = {
		.memfd = (uint32_t)memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size};
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int fd = ioctl(device, UDMABUF_CREATE, &create);

	check(fd >= 0, "no dma-buf");
	close(device);
	close(memfd);
	return fd;
}

/* The upper half of the memory has one colour, the lower half the other. */
static struct bn_buffer *buffer_new(uint32_t width, uint32_t height, uint32_t fourcc,
	uint32_t first, uint32_t second, bool y_invert)
{
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = width,
		.height = height,
		.fourcc = fourcc,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {width * 4},
		.fd = {-1, -1, -1, -1},
		.y_invert = y_invert,
	};
	/* Whole pages, as dma-bufs are. */
	size_t size = ((size_t)width * height * 4 + 4095) & ~(size_t)4095;
	size_t pixels_size = (size_t)width * height * 4;
	int memfd = bn_memfd_create("picture", size);
	uint32_t *pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	struct bn_buffer *buffer;

	check(pixels != MAP_FAILED, "no memory for a picture");
	for (size_t i = 0; i < pixels_size / 4; i++)
		pixels[i] = i < pixels_size / 8 ? first : second;
	munmap(pixels, size);
	attrs.fd[0] = memfd;
	if (getenv("BN_TEST_DMABUF")) {
		attrs.kind = BN_BUFFER_DMABUF;
		attrs.fd[0] = dmabuf_of(memfd, size);
	}
	check(bn_buffer_create(&buffer, &attrs, &buffer_listener, NULL) == 0, "no buffer");
	return buffer;
}

static void submit(struct bn_layer *layer, struct bn_buffer *buffer, unsigned seq)
{
	struct bn_frame frame = {
		.buffer = buffer,
		.seq = seq,
		.src_width = UINT32_MAX,
		.src_height = UINT32_MAX,
		.damage_width = WIDTH,
		.damage_height = HEIGHT,
		.flush_ns = bn_now_ns(),
	};

	bn_layer_submit(layer, &frame);
}

static void handle_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
	struct show *show = data;

	check(when_ns >= frame->flush_ns, "presented before it was flushed");
	check(when_ns >= show->last_ns, "presented before its predecessor");
	check(frame->seq == show->shown + show->other, "reports out of order");
	show->last_ns = when_ns;
	if (how == BN_PRESENTED_SHOWN)
		show->shown++;
	else
		show->other++;
}

static const struct bn_layer_listener listener = {.presented = handle_presented};

static void ignore_presented(
	void *data, const struct bn_frame *frame, enum bn_presented how, uint64_t when_ns)
{
}

static const struct bn_layer_listener quiet = {.presented = ignore_presented};

static void handle_closed(void *data)
{
	((struct show *)data)->closed = true;
}

/* As a guest does it: the next frame when the last one was shown. */
static void show_frames(struct show *show, unsigned n, const char *what)
{
	uint64_t start = bn_now_ns();

	for (unsigned i = 0; i < n; i++) {
		unsigned target = show->shown + 1;

		submit(show->layer, show->buffers[show->submitted % BUFFERS], show->submitted);
		show->submitted++;
		/* A free-running output presents in the idle callback, and nothing else may wake
		 * the loop then. */
		wl_event_loop_dispatch(show->loop, 0);
		while (show->shown < target)
			wl_event_loop_dispatch(show->loop, -1);
	}
	check(show->other == 0, "a frame was superseded or discarded");
	printf("%s: %u frames, %.1f ms each\n", what, n, (double)(bn_now_ns() - start) / 1e6 / n);
}

static uint32_t pixel(const png_image *image, const uint8_t *rgb, unsigned x, unsigned y)
{
	const uint8_t *p = rgb + ((size_t)y * image->width + x) * 3;

	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static void expect_pixel(const png_image *image, const uint8_t *rgb, int x, int y, uint32_t color)
{
	int left = (int)(image->width - WIDTH) / 2, top = (int)(image->height - HEIGHT) / 2;
	uint32_t seen = pixel(image, rgb, (unsigned)(left + x), (unsigned)(top + y));

	if (seen == color)
		return;
	fprintf(stderr, "wayland_output: pixel %d,%d is %06x, not %06x\n", x, y, seen, color);
	exit(1);
}

/* What the compositor shows: RGB, to be freed. */
static uint8_t *screenshot(struct show *show, png_image *image)
{
	uint8_t *rgb;

	/* The cursor and the still layers follow with the compositor's next frames. */
	show_frames(show, 3, "before the picture");
	check(system("rm -f wayland-screenshot*.png; weston-screenshooter && "
		     "mv wayland-screenshot*.png " PICTURE) == 0,
		"no screenshot");
	*image = (png_image){.version = PNG_IMAGE_VERSION};
	check(png_image_begin_read_from_file(image, PICTURE), "unreadable screenshot");
	image->format = PNG_FORMAT_RGB;
	check(image->width >= WIDTH && image->height >= HEIGHT, "screenshot too small");
	rgb = malloc(PNG_IMAGE_SIZE(*image));
	check(rgb && png_image_finish_read(image, NULL, rgb, 0, NULL), "unreadable screenshot");
	return rgb;
}

static void look(struct show *show)
{
	png_image image;
	uint8_t *rgb = screenshot(show, &image);

	expect_pixel(&image, rgb, 5, 5, 0x204060); /* the first layer, plain */
	expect_pixel(&image, rgb, 5, HEIGHT - 5, 0x402010);
	expect_pixel(&image, rgb, 105, 25, 0x0000ff); /* upside down: second colour first */
	expect_pixel(&image, rgb, 105, 55, 0x00ff00);
	expect_pixel(
		&image, rgb, WIDTH - 5, 25, 0xc0ffee); /* over the right edge, in an odd format */
	expect_pixel(&image, rgb, WIDTH - 45, 25, 0x204060);
	expect_pixel(
		&image, rgb, cursor_x, 120, 0xffffff); /* the cursor's hot spot is its middle */
	expect_pixel(&image, rgb, cursor_x - 53, 120, 0x000000); /* cut at the window's edge */
	expect_pixel(&image, rgb, cursor_x + 33, 115, 0x204060);
	if (image.width > WIDTH)
		expect_pixel(&image, rgb, WIDTH, 25, 0x000000);
	free(rgb);
	png_image_free(&image);
}

static struct bn_layer *still_layer(
	struct show *show, int32_t x, int32_t y, struct bn_buffer *buffer)
{
	struct bn_layer *layer = bn_layer_create(show->output, &quiet, NULL);

	check(layer != NULL, "no layer");
	bn_layer_set_position(layer, x, y);
	submit(layer, buffer, 0);
	bn_buffer_drop(buffer);
	return layer;
}

static void set_cursor(struct bn_layer *layer)
{
	static uint32_t cursor[BN_CURSOR_SIZE * BN_CURSOR_SIZE];

	memset(cursor, 0xff, sizeof(cursor));
	bn_layer_set_cursor(layer, cursor, 32, 32);
	bn_layer_move_cursor(layer, cursor_x, 120);
}

/* ---- scenes ---- */

#define SCENE_WIDTH 96
#define SCENE_HEIGHT 64

static unsigned differs(uint32_t a, uint32_t b)
{
	unsigned max = 0;

	for (int shift = 0; shift < 24; shift += 8) {
		int d = abs((int)(a >> shift & 255) - (int)(b >> shift & 255));

		max = (unsigned)d > max ? (unsigned)d : max;
	}
	return max;
}

/* The compositor's picture is what the output says it shows; tolerance: of a channel. */
static void compare(struct show *show, const char *what, unsigned tolerance)
{
	png_image image;
	uint8_t *rgb = screenshot(show, &image);
	unsigned left = (image.width - WIDTH) / 2, top = (image.height - HEIGHT) / 2;
	uint32_t *want, width, height;

	check(bn_output_capture(show->output, &want, &width, &height) == 0, "no capture");
	for (unsigned y = 0; y < height; y++) {
		for (unsigned x = 0; x < width; x++) {
			uint32_t seen = pixel(&image, rgb, left + x, top + y);

			if (differs(seen, want[y * width + x]) <= tolerance)
				continue;
			fprintf(stderr, "wayland_output: %s: pixel %u,%u is %06x, not %06x\n", what,
				x, y, seen, want[y * width + x]);
			exit(1);
		}
	}
	free(want);
	free(rgb);
	png_image_free(&image);
}

/* Smooth, so that filters do not matter much, and different in every direction and at every edge. */
static struct bn_buffer *slope(uint32_t fourcc, bool y_invert)
{
	struct bn_buffer *buffer;
	struct bn_buffer_attrs attrs = {
		.kind = BN_BUFFER_MEMFD,
		.width = SCENE_WIDTH,
		.height = SCENE_HEIGHT,
		.fourcc = fourcc,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.planes = 1,
		.stride = {SCENE_WIDTH * 4},
		.fd = {-1, -1, -1, -1},
		.y_invert = y_invert,
	};
	size_t size = SCENE_WIDTH * SCENE_HEIGHT * 4;
	uint32_t *pixels;

	attrs.fd[0] = bn_memfd_create("slope", size);
	pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, attrs.fd[0], 0);
	check(pixels != MAP_FAILED, "no memory for a picture");
	for (uint32_t y = 0; y < SCENE_HEIGHT; y++) {
		for (uint32_t x = 0; x < SCENE_WIDTH; x++) {
			uint32_t alpha = fourcc == DRM_FORMAT_ARGB8888 ? 40 + x : 255;

			pixels[y * SCENE_WIDTH + x] =
				alpha << 24 | (2 * x + 20) * alpha / 255 << 16 |
				(3 * y + 30) * alpha / 255 << 8 | (200 - x - y) * alpha / 255;
		}
	}
	munmap(pixels, size);
	check(bn_buffer_create(&buffer, &attrs, NULL, NULL) == 0, "no buffer");
	return buffer;
}

static void expect_shown(const struct bn_layer *layer, enum bn_shown_how how, const char *what)
{
	struct bn_layer_shown shown;

	bn_layer_shown(layer, &shown);
	if (shown.how == how)
		return;
	fprintf(stderr, "wayland_output: %s: shown as %d (%s), not %d\n", what, shown.how,
		shown.why, how);
	exit(1);
}

static void show_turned(struct show *show, struct bn_layer *layer, bool bare)
{
	for (uint32_t i = 0; i < 16; i++) {
		struct bn_place place = bn_place_default;
		char what[64];

		snprintf(what, sizeof(what), "turned %u", i);
		place.transform = (DRM_MODE_ROTATE_0 << i % 4) | i / 4 * DRM_MODE_REFLECT_X;
		/* Cut at an edge, but for those that a compositor without viewports can show. */
		place.at = (struct bn_rect){
			i % 3 == 0 ? 30 : -17, i % 3 == 1 ? HEIGHT - 20 : 40, 0, 0};
		bn_layer_set_place(layer, &place);
		compare(show, what, 0);
		expect_shown(layer, bare && i % 3 != 0 ? BN_SHOWN_COMPOSED : BN_SHOWN_PLANE, what);
	}
}

static void show_scaled(struct show *show, struct bn_layer *layer, bool bare)
{
	static const struct bn_place places[] = {
		{.alpha = BN_ALPHA_OPAQUE, .crop = {8, 4, 40, 30}, .at = {11, 60, 0, 0}},
		{.alpha = BN_ALPHA_OPAQUE, .at = {20, 30, 200, 150}},
		{.alpha = BN_ALPHA_OPAQUE, .crop = {0, 0, 64, 64}, .at = {100, 90, 32, 48}},
		{.alpha = BN_ALPHA_OPAQUE,
			.crop = {10, 10, 60, 40},
			.at = {-40, -30, 160, 240},
			.transform = DRM_MODE_ROTATE_90},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		bn_layer_set_place(layer, &places[i]);
		compare(show, i == 0 ? "cropped" : "scaled", i == 0 ? 0 : 8);
		expect_shown(layer, bare ? BN_SHOWN_COMPOSED : BN_SHOWN_PLANE, "cropped or scaled");
	}
}

/* Two layers that overlap, in either order. */
static void show_blended(struct show *show, struct bn_layer *layer, struct bn_layer *other)
{
	struct bn_place place = {.at = {40, 50, 0, 0}, .alpha = 0x9000};
	struct bn_place over = {.at = {80, 70, 0, 0}, .alpha = BN_ALPHA_OPAQUE, .blend = true};

	for (int z = -1; z <= 2; z++) {
		place.z = z; /* below the ground's layer first */
		bn_layer_set_place(layer, &place);
		bn_layer_set_place(other, &over);
		compare(show, "blended", 2);
		expect_shown(layer, BN_SHOWN_COMPOSED, "alpha");
		expect_shown(other, BN_SHOWN_PLANE, "blended pixels");
		over.z = 1;
	}
	place.hidden = true;
	bn_layer_set_place(layer, &place);
	compare(show, "hidden", 2);
	expect_shown(layer, BN_SHOWN_NOT, "hidden");
}

/* A change of place alone, without any frame, must be shown and told. */
static void count_shown(void *data, uint64_t when_ns)
{
	++*(unsigned *)data;
}

static void show_place_alone(struct show *show, struct bn_layer *layer)
{
	struct bn_place place = bn_place_default;
	unsigned shown = 0;

	bn_output_set_observer(show->output, count_shown, &shown);
	for (unsigned i = 1; i <= 5; i++) {
		place.at.x = (int32_t)i;
		bn_layer_set_place(layer, &place);
		while (shown < i)
			wl_event_loop_dispatch(show->loop, -1);
	}
	bn_output_set_observer(show->output, NULL, NULL);
}

static void show_scenes(struct show *show)
{
	bool bare = getenv("BN_WAYLAND_WITHOUT");
	struct bn_layer *layer = still_layer(show, 0, 0, slope(DRM_FORMAT_XRGB8888, false));
	struct bn_layer *other = still_layer(show, 200, 150, slope(DRM_FORMAT_ARGB8888, true));

	show_turned(show, layer, bare);
	show_scaled(show, layer, bare);
	show_blended(show, layer, other);
	show_place_alone(show, layer);
	bn_layer_destroy(other);
	bn_layer_destroy(layer);
	compare(show, "gone", 0);
}

static void open_output(struct show *show)
{
	struct bn_output_config config = {
		.name = "test",
		.kind = BN_OUTPUT_WAYLAND,
		.width = WIDTH,
		.height = HEIGHT,
		.refresh_mhz = 100000,
	};

	show->loop = wl_event_loop_create();
	check(bn_output_create(&show->output, show->loop, &config) == 0, "no output");
	bn_output_set_closed_handler(show->output, handle_closed, show);
	show->layer = bn_layer_create(show->output, &listener, show);
	for (unsigned i = 0; i < BUFFERS; i++)
		show->buffers[i] = buffer_new(
			WIDTH, HEIGHT, DRM_FORMAT_ARGB8888, 0x00204060, 0x00402010, false);
}

static void run_free(pid_t weston)
{
	struct bn_output_config config = {
		.name = "free",
		.kind = BN_OUTPUT_WAYLAND,
		.width = WIDTH,
		.height = HEIGHT,
		.refresh_mhz = 60000,
		.free_running = true,
		.fullscreen = true,
	};
	struct show show = {.loop = wl_event_loop_create()};

	check(bn_output_create(&show.output, show.loop, &config) == 0, "no second output");
	bn_output_set_closed_handler(show.output, handle_closed, &show);
	show.layer = bn_layer_create(show.output, &listener, &show);
	for (unsigned i = 0; i < BUFFERS; i++)
		show.buffers[i] =
			buffer_new(WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, 0xff0000, 0xff0000, false);
	show_frames(&show, 2000, "free running");
	/* The socket fills up: nothing may be sent or gathered then. */
	kill(weston, SIGSTOP);
	show_frames(&show, 20000, "free running, compositor stopped");
	kill(weston, SIGCONT);
	show_frames(&show, 2000, "free running, compositor back");
	check(!show.closed, "the free-running output lost its compositor");
	bn_layer_destroy(show.layer);
	bn_output_destroy(show.output);
	for (unsigned i = 0; i < BUFFERS; i++)
		bn_buffer_drop(show.buffers[i]);
	wl_event_loop_destroy(show.loop);
}

static void end_compositor(struct show *show, pid_t weston)
{
	kill(weston, SIGKILL);
	while (!show->closed)
		wl_event_loop_dispatch(show->loop, -1);
	show_frames(show, 20, "without a compositor");
}

int main(int argc, char **argv)
{
	struct show show = {0};
	struct bn_layer *still[2];
	pid_t weston = argc == 2 ? atoi(argv[1]) : 0;

	check(weston > 1, "usage: wayland_output WESTON-PID");
	bn_log_init(BN_LOG_DEBUG, "wayland_output");
	alarm(100);
	if (getenv("BN_WAYLAND_WITHOUT"))
		cursor_x = 40;
	run_free(weston);
	open_output(&show);
	still[0] = still_layer(
		&show, 100, 20, buffer_new(40, 40, DRM_FORMAT_XRGB8888, 0x00ff00, 0x0000ff, true));
	still[1] = still_layer(&show, WIDTH - 40, 20,
		buffer_new(80, 40, DRM_FORMAT_RGBX8888, 0xc0ffee00, 0xc0ffee00, false));
	set_cursor(show.layer);
	show_frames(&show, 60, "shown");
	look(&show);
	show_scenes(&show);
	kill(weston, SIGSTOP);
	show_frames(&show, 60, "compositor stopped");
	kill(weston, SIGCONT);
	show_frames(&show, 60, "compositor back");
	check(bn_output_set_mode(show.output, WIDTH / 2, HEIGHT / 2, 100000) == 0, "no new mode");
	show_frames(&show, 10, "smaller");
	check(!show.closed, "the compositor was lost early");
	end_compositor(&show, weston);
	bn_layer_destroy(still[1]);
	bn_layer_destroy(still[0]);
	bn_layer_destroy(show.layer);
	for (unsigned i = 0; i < BUFFERS; i++)
		bn_buffer_drop(show.buffers[i]);
	check(destroyed == 2 * BUFFERS + 2, "a buffer is still locked");
	bn_output_destroy(show.output);
	wl_event_loop_destroy(show.loop);
	return 0;
}
