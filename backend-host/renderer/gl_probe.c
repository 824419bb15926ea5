#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

#include "gl_priv.h"
#include "probe.h"

#define PROBE_RES 1u
#define NOBODY 65534u

static void put_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < 0x20 || *c >= 0x7f)
			fprintf(out, "\\u%04x", *c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

static void put_member(FILE *out, const char *name, const char *value)
{
	put_string(out, name);
	fputs(": ", out);
	put_string(out, value);
	fputs(",\n ", out);
}

static void put_row(FILE *out, const char *name, bool offered, const char *reason)
{
	fputs("  {\"name\": ", out);
	put_string(out, name);
	fprintf(out, ", \"offered\": %s, \"reason\": ", offered ? "true" : "false");
	put_string(out, reason);
	fputs("},\n", out);
}

static void put_capsets(FILE *out, struct bn_gl *gl)
{
	struct bn_link_capset sets[BN_LINK_CAPSETS];
	unsigned n = bn_gl_capsets(gl, sets);
	for (unsigned i = 0; i < n; i++) {
		char name[32], reason[64];
		snprintf(name, sizeof(name), "capset %s",
			sets[i].id == BN_VIRGL_CAPSET_VIRGL ? "virgl" : "virgl2");
		snprintf(reason, sizeof(reason), "version %u, %u bytes", sets[i].max_version,
			sets[i].max_size);
		put_row(out, name, true, reason);
	}
}

/* By doing it: drivers offer the extension and fail, too. */
static void put_export(FILE *out, struct bn_gl *gl)
{
	struct bn_gl_resource_args args = {
		.id = PROBE_RES,
		.target = 2, /* PIPE_TEXTURE_2D */
		.format = 2, /* B8G8R8X8 */
		.bind = VIRGL_RES_BIND_RENDER_TARGET | VIRGL_RES_BIND_SCANOUT,
		.width = 64,
		.height = 64,
		.depth = 1,
		.array_size = 1,
	};
	struct bn_gl_scanout scanout;
	const char *name = "frames as dma-bufs";
	int ret = bn_gl_resource_create(gl, &args);
	if (ret == 0)
		ret = bn_gl_export(gl, PROBE_RES, &scanout);
	if (ret == 0) {
		char reason[96];
		snprintf(reason, sizeof(reason), "%u plane%s, modifier 0x%llx", scanout.planes,
			scanout.planes == 1 ? "" : "s", (unsigned long long)scanout.modifier);
		put_row(out, name, true, reason);
		bn_fds_close(scanout.fd, 4);
	} else {
		char why[160], reason[200];
		const char *known = bn_gl_no_export(gl, why, sizeof(why));
		snprintf(reason, sizeof(reason), "%s; frames are copied once",
			known ? known : strerror(-ret));
		put_row(out, name, false, reason);
	}
	bn_gl_resource_unref(gl, PROBE_RES);
}

static void put_timestamps(FILE *out, struct bn_gl *gl)
{
	char reason[128];
	if (!bn_gl_has_timestamps(gl))
		snprintf(reason, sizeof(reason),
			"the driver's have %d bits: GPU time is taken from fences",
			bn_gl_timestamp_bits(gl));
	else
		snprintf(reason, sizeof(reason), "%d bits; %s", bn_gl_timestamp_bits(gl),
			bn_gl_is_software(gl) ? "not used, processor time is taken here"
					      : "GPU time is taken from them");
	put_row(out, "GPU timestamps", bn_gl_has_timestamps(gl), reason);
}

static void put_features(FILE *out, struct bn_gl *gl)
{
	bool native_fence =
		epoxy_has_egl_extension(gl->egl.display, "EGL_ANDROID_native_fence_sync");
	put_row(out, "OpenGL for guests", true,
		gl->egl.gles ? "OpenGL ES only: the driver has no desktop OpenGL"
			     : "desktop OpenGL and OpenGL ES");
	put_capsets(out, gl);
	put_row(out, "rendering in hardware", !bn_gl_is_software(gl),
		bn_gl_is_software(gl) ? "this is the software rasteriser: the processor draws"
				      : gl->name);
	put_row(out, "contexts by capset", bn_gl_has_context_init(gl),
		"virgl_renderer_context_create_with_flags()");
	put_row(out, "fence thread", !gl->own_poll_fd,
		gl->own_poll_fd
			? "virglrenderer has no sync thread (is VIRGL_DISABLE_MT set?): fences "
			  "are waited for in place"
			: "fences wake the renderer, nothing polls");
	put_export(out, gl);
	put_row(out, "context priority", gl->egl.has_priority,
		gl->egl.has_priority ? "EGL_IMG_context_priority"
				     : "the driver lacks EGL_IMG_context_priority");
	put_row(out, "fences as sync files", native_fence,
		native_fence ? "EGL_ANDROID_native_fence_sync"
			     : "the driver lacks EGL_ANDROID_native_fence_sync");
	put_timestamps(out, gl);
}

static void put_virgl_version(FILE *out)
{
	char version[64] = "built with a version before 1.0";
#ifdef VIRGL_MAJOR_VERSION
	snprintf(version, sizeof(version), "built with %d.%d.%d", VIRGL_MAJOR_VERSION,
		VIRGL_MINOR_VERSION, VIRGL_MICRO_VERSION);
#endif
	put_member(out, "virglrenderer", version);
}

static void put_members(FILE *out, struct bn_gl *gl)
{
	char egl[256];
	const char *vendor = eglQueryString(gl->egl.display, EGL_VENDOR);
	const char *version = eglQueryString(gl->egl.display, EGL_VERSION);
	snprintf(egl, sizeof(egl), "%s %s", vendor ? vendor : "?", version ? version : "?");
	put_member(out, "egl", egl);
	put_member(out, "gl_renderer", gl->name);
	put_member(out, "gl_version", gl->version);
}

static void ignore_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
}

/* Why bn_gl_create() failed, found out step by step. */
static void put_no_gl(FILE *out, const char *node, int node_error)
{
	struct bn_egl egl;
	char reason[256];
	int fd = node ? open(node, O_RDWR | O_CLOEXEC) : -1;
	if (node_error) {
		snprintf(reason, sizeof(reason), "%s: %s", node, strerror(-node_error));
		bn_fd_close(&fd);
	} else if (bn_egl_init(&egl, node ? BN_LINK_GPU_RENDER_NODE : BN_LINK_GPU_SURFACELESS, fd,
			   BN_LINK_PRIORITY_MEDIUM) <
		   0) {
		snprintf(reason, sizeof(reason), "%s", egl.why);
	} else {
		snprintf(reason, sizeof(reason), "virglrenderer does not start on this driver");
		bn_egl_finish(&egl);
	}
	put_row(out, "OpenGL for guests", false, reason);
}

static void put_vulkan(FILE *out)
{
	fputs("  {\"name\": \"Vulkan for guests (venus)\", \"offered\": false, \"reason\": "
	      "\"this version serves OpenGL\"}\n ]\n}\n",
		out);
}

/* A renderer of a service that runs as root does not, and other devices open for it. */
static void drop_root(void)
{
	if (geteuid() != 0)
		return;
	/* Root's is not for other ids. */
	setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
	/* In a user namespace there may be no other id: then nothing changes. */
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		setresuid(NOBODY, NOBODY, NOBODY) < 0)
		bn_debug("gl: probing as root: %s", strerror(errno));
}

int bn_probe_print_json(FILE *out, const char *node)
{
	static const struct bn_gl_listener listener = {.fence = ignore_fence};
	struct bn_gl *gl = NULL;
	int fd = -1, node_error = 0;
	if (node) {
		fd = open(node, O_RDWR | O_CLOEXEC);
		node_error = fd < 0 ? -errno : 0;
	}
	drop_root();
	if (!node_error)
		bn_gl_create(&gl, node ? BN_LINK_GPU_RENDER_NODE : BN_LINK_GPU_SURFACELESS, fd,
			BN_LINK_PRIORITY_MEDIUM,
			&listener, NULL);
	fputs("{\n ", out);
	put_member(out, "gpu", node ? node : "software rasteriser");
	put_virgl_version(out);
	if (gl)
		put_members(out, gl);
	fputs("\"features\": [\n", out);
	if (gl)
		put_features(out, gl);
	else
		put_no_gl(out, node, node_error);
	put_vulkan(out);
	bn_gl_destroy(gl);
	return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
