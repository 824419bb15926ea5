/* The mock's memory, framebuffers and blobs. */
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

static int take_memory(void *map, size_t size, bool dumb)
{
	for (int i = 1; i < MEMORIES; i++) {
		if (m.memory[i].map)
			continue;
		m.memory[i] = (struct memory){map, size, dumb, true, 0};
		return i;
	}
	CU_FAIL_FATAL("the mock has no memory left");
	return 0;
}

static void drop_memory(unsigned i)
{
	struct memory *memory = &m.memory[i];

	if (memory->open || memory->fbs > 0)
		return;
	if (memory->dumb)
		free(memory->map);
	else
		munmap(memory->map, memory->size);
	*memory = (struct memory){0};
}

int mock_create_dumb(struct drm_mode_create_dumb *args)
{
	args->pitch = args->width * 4;
	args->size = (uint64_t)args->pitch * args->height;
	args->handle = (uint32_t)take_memory(calloc(1, args->size), args->size, true);
	return 0;
}

int mock_import(struct drm_prime_handle *args)
{
	struct stat st;
	void *map;

	fstat(args->fd, &st);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, args->fd, 0);
	CU_ASSERT_FATAL(map != MAP_FAILED);
	args->handle = (uint32_t)take_memory(map, (size_t)st.st_size, false);
	return 0;
}

int mock_close_handle(uint32_t handle)
{
	CU_ASSERT(handle < MEMORIES && m.memory[handle].open);
	m.memory[handle].open = false;
	drop_memory(handle);
	return 0;
}

int mock_add_fb(struct drm_mode_fb_cmd2 *args)
{
	for (uint32_t i = 1; i < FBS; i++) {
		if (m.fb[i].used)
			continue;
		m.fb[i] = (struct fb){true, args->width, args->height, args->pixel_format,
			args->pitches[0], args->offsets[0], args->handles[0]};
		CU_ASSERT(args->handles[0] > 0 && m.memory[args->handles[0]].open);
		m.memory[args->handles[0]].fbs++;
		args->fb_id = i;
		return 0;
	}
	return -ENOSPC;
}

int mock_remove_fb(uint32_t id)
{
	CU_ASSERT_FATAL(id < FBS && m.fb[id].used);
	m.fb[id].used = false;
	m.memory[m.fb[id].memory].fbs--;
	drop_memory(m.fb[id].memory);
	/* The kernel takes it off the planes that show it. */
	for (unsigned p = 0; p < MOCK_PLANES_MAX; p++) {
		if (m.now.plane[p][FB_ID] == id)
			m.now.plane[p][FB_ID] = m.now.plane[p][CRTC_ID] = 0;
		if (m.next.plane[p][FB_ID] == id)
			m.next.plane[p][FB_ID] = m.next.plane[p][CRTC_ID] = 0;
	}
	return 0;
}

int mock_get_fb(struct drm_mode_fb_cmd2 *args)
{
	const struct fb *fb = &m.fb[args->fb_id];

	if (args->fb_id >= FBS || !fb->used)
		return -ENOENT;
	args->width = fb->width;
	args->height = fb->height;
	args->pixel_format = fb->fourcc;
	args->flags = DRM_MODE_FB_MODIFIERS;
	args->pitches[0] = fb->stride;
	memset(args->handles, 0, sizeof(args->handles));
	return 0;
}

int mock_create_blob(struct drm_mode_create_blob *args)
{
	for (uint32_t i = 1; i < BLOBS; i++) {
		if (m.blob[i].data)
			continue;
		m.blob[i].data = malloc(args->length);
		m.blob[i].size = args->length;
		memcpy(m.blob[i].data, (void *)(uintptr_t)args->data, args->length);
		args->blob_id = i;
		mock.blobs_made++;
		return 0;
	}
	return -ENOSPC;
}

int mock_destroy_blob(uint32_t id)
{
	CU_ASSERT(id < BLOBS && m.blob[id].data);
	free(m.blob[id].data);
	m.blob[id].data = NULL;
	return 0;
}

bool mock_read_clips(const uint64_t *plane, struct clips *out)
{
	const struct fb *fb = &m.fb[plane[FB_ID]];
	unsigned id = (unsigned)plane[DAMAGE];

	*out = (struct clips){0};
	if (id == 0)
		return true;
	if (id >= BLOBS || !m.blob[id].data || m.blob[id].size == 0 ||
		m.blob[id].size % sizeof(out->rect[0]) != 0 ||
		m.blob[id].size > sizeof(out->rect))
		return false;
	out->count = m.blob[id].size / sizeof(out->rect[0]);
	memcpy(out->rect, m.blob[id].data, m.blob[id].size);
	for (unsigned i = 0; i < out->count; i++) {
		const struct drm_mode_rect *r = &out->rect[i];

		if (r->x1 >= r->x2 || r->y1 >= r->y2 || r->x1 < 0 || r->y1 < 0 ||
			r->x2 > (int32_t)fb->width || r->y2 > (int32_t)fb->height)
			return false;
	}
	return true;
}
