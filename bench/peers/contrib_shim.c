/* LD_PRELOAD shim that lets QEMU's contrib/vhost-user-gpu run as a peer on a machine without a render node: adds the surfaceless flag to
 * virgl_renderer_init(), without which EGL finds no display there, and answers the texture export, which a software rasteriser without udmabuf cannot do, with
 * an empty memfd so that the back end goes on (it then shows nothing). It changes nothing of how commands and fences are processed. */
#include <dlfcn.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define SURFACELESS (1 << 3) /* VIRGL_RENDERER_USE_SURFACELESS, virglrenderer.h */

struct virgl_renderer_callbacks;

__attribute__((visibility("default"))) int virgl_renderer_init(
	void *cookie, int flags, struct virgl_renderer_callbacks *callbacks);
__attribute__((visibility("default"))) int virgl_renderer_get_fd_for_texture(uint32_t tex_id, int *fd);

int virgl_renderer_init(void *cookie, int flags, struct virgl_renderer_callbacks *callbacks)
{
	int (*real)(void *, int, struct virgl_renderer_callbacks *) =
		(int (*)(void *, int, struct virgl_renderer_callbacks *))dlsym(RTLD_NEXT, "virgl_renderer_init");
	return real(cookie, flags | SURFACELESS, callbacks);
}

int virgl_renderer_get_fd_for_texture(uint32_t tex_id, int *fd)
{
	(void)tex_id;
	*fd = memfd_create("shown-nowhere", MFD_CLOEXEC);
	return *fd < 0 ? -1 : ftruncate(*fd, 4096);
}
