/* binnacle-renderer: one virtual machine's GPU.
 *
 *	binnacled ── link (fd 3) ── binnacle-renderer ── rings in guest memory ── the guest's driver
 *
 * binnacled starts one per VM, in namespaces of its own, with nothing but the link. The order
 * here matters: the link's greeting brings the fds that are needed; then the process locks
 * itself in; only then the GL library, which will eat what the guest feeds it, is started; only
 * then guest memory arrives. It ends when the link does. Threads: this one (rings, GL, link),
 * the cursor's, and those of the GL library. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/fd.h"
#include "common/log.h"
#include "probe.h"
#include "renderer.h"
#include "sandbox/sandbox.h"

#define LINK_FD 3
#define FDS_MAX 4096u
/* What the GL library needs of its own (compiler, caches), on top of the guest's resources. */
#define GL_MEMORY (2ull << 30)
/* Of that, what no new context may take: those that are there go on compiling and drawing. */
#define GL_RESERVE (GL_MEMORY / 4)

struct options {
	bool sandbox;
	const char *shader_cache, *vm;
	enum bn_log_level level;
	int link_fd;
	bool probe;
	const char *probe_node; /* NULL: the software rasteriser */
};

static void usage(FILE *to)
{
	fputs("usage: binnacle-renderer [--no-sandbox] [--shader-cache DIR] [--log LEVEL] [--link "
	      "FD] [--vm NAME]\n"
	      "       binnacle-renderer --probe [NODE]\n"
	      "Started by binnacled; the link to it is file descriptor 3 unless --link says "
	      "otherwise.\n",
		to);
}

static bool options_read(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{"no-sandbox", no_argument, NULL, 'n'},
		{"shader-cache", required_argument, NULL, 's'},
		{"log", required_argument, NULL, 'l'},
		{"link", required_argument, NULL, 'f'},
		{"vm", required_argument, NULL, 'v'},
		{"probe", no_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'n') {
			o->sandbox = false;
		} else if (c == 's') {
			o->shader_cache = optarg;
		} else if (c == 'f') {
			o->link_fd = atoi(optarg);
		} else if (c == 'v') {
			o->vm = optarg;
		} else if (c == 'p') {
			o->probe = true;
		} else if (c == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		} else if (c != 'l' || !bn_log_level_parse(optarg, &o->level)) {
			return false;
		}
	}
	if (o->probe && optind + 1 == argc)
		o->probe_node = argv[optind++];
	return optind == argc && o->link_fd >= 3;
}

static void log_start(const struct options *o, const char *vm)
{
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "renderer %s", vm);
	bn_log_init(o->level, prefix);
}

/* ---- the greeting ---- */

enum hello_fd {
	FD_JOURNAL,
	FD_INFLIGHT,
	FD_STATS,
	FD_REQUEST,
	FD_GRANT,
	FD_ARBITER_BELL,
	FD_BELL,
	FD_NODE,
	HELLO_FDS
};
_Static_assert(FD_NODE == BN_LINK_HELLO_FDS, "the order of link.h");

static int hello_receive(struct bn_renderer *r, int *fds)
{
	struct {
		struct bn_link_header header;
		struct bn_link_hello hello;
	} msg;
	size_t nfds = HELLO_FDS;
	long n = bn_recvmsg(r->link_fd, &msg, sizeof(msg), fds, &nfds, 0);

	if (n <= 0)
		return n == 0 ? -ECONNRESET : (int)n;
	if (n != sizeof(msg) || msg.header.type != BN_LINK_HELLO ||
		bn_link_check(&msg.header, &msg.hello, sizeof(msg.hello), nfds, false) < 0) {
		bn_fds_close(fds, nfds);
		return -EPROTO;
	}
	for (size_t i = nfds; i < HELLO_FDS; i++)
		fds[i] = -1;
	r->hello = msg.hello;
	return 0;
}

/* Takes over the fd. NULL on failure. */
static void *map_shared(int *fd, size_t size)
{
	void *p = MAP_FAILED;

	if (bn_memfd_check(*fd, size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	bn_fd_close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- the parts ---- */

static void handle_gl_fence(void *data, uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id)
{
	struct bn_renderer *r = data;

	bn_fences_gpu_done(r->dev->fences, ctx_id, fence_id);
}

static const struct bn_gl_listener gl_listener = {.fence = handle_gl_fence};

static void handle_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
	struct bn_renderer *r = data;

	r->dirty = true;
	bn_vq_complete(request, written);
}

static void handle_send(
	void *data, uint32_t type, const void *payload, size_t size, const int *fds, size_t nfds)
{
	bn_link_send(data, type, payload, size, fds, nfds);
}

static const struct bn_device_ops device_ops = {.answer = handle_answer, .send = handle_send};

static bool read_meter(void *data, uint64_t id, uint64_t *ns)
{
	return bn_gl_meter_read(data, id, ns);
}

/* Timestamps of a software rasteriser tell for how long a batch was under way, preempted or not: there
 * processor time says more. */
static void cost_source(struct bn_renderer *r)
{
	struct bn_gate_meter meter = {.read = read_meter, .data = r->gl};

	bn_gate_set_software(r->gate, bn_gl_is_software(r->gl));
	if (!bn_gl_is_software(r->gl) && bn_gl_has_timestamps(r->gl))
		bn_gate_set_meter(r->gate, &meter);
}

/* The GL library may fail on a host where it worked yesterday: the VM then has a 2D display
 * rather than none. */
static void gl_start(struct bn_renderer *r, int *node_fd)
{
	int error;

	if (r->hello.gpu == BN_LINK_GPU_NONE)
		return;
	error = bn_gl_create(&r->gl, r->hello.gpu, *node_fd, r->hello.priority, &gl_listener, r);
	*node_fd = -1;
	if (error == 0) {
		bn_device_set_gl(r->dev, r->gl);
		cost_source(r);
		return;
	}
	r->gl = NULL;
	bn_warn("no OpenGL for this VM (%s): 2D only", strerror(-error));
	bn_link_fault(r, false, "OpenGL does not start in this renderer: the VM gets 2D only");
}

static int gate_start(struct bn_renderer *r, int *fds)
{
	struct bn_gate_config config = {
		.request_fd = fds[FD_REQUEST],
		.grant_fd = fds[FD_GRANT],
		.arbiter_bell = fds[FD_ARBITER_BELL],
		.bell = fds[FD_BELL],
		.listener = &bn_device_gate_listener,
		.data = r->dev,
	};
	int error;

	fds[FD_REQUEST] = fds[FD_GRANT] = fds[FD_ARBITER_BELL] = fds[FD_BELL] = -1;
	error = bn_gate_create(&r->gate, &config);
	if (error == 0)
		bn_device_set_gate(r->dev, r->gate);
	return error;
}

static int device_start(struct bn_renderer *r)
{
	struct bn_device_config config = {
		.mem = r->mem,
		.stats = r->stats,
		.ops = &device_ops,
		.data = r,
		.num_scanouts = r->hello.num_scanouts,
		.host_memory_max = r->hello.host_memory_max,
		.reserve = GL_RESERVE,
	};
	int error = bn_device_create(&r->dev, &config);

	if (error < 0)
		return error;
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++) {
		r->vq[i] = bn_vq_create(r->mem, &r->inflight->queue[i], i);
		if (!r->vq[i])
			return -ENOMEM;
	}
	return 0;
}

static void ready_send(struct bn_renderer *r, uint32_t sandbox)
{
	struct bn_link_ready ready = {
		.device_features = bn_device_features(r->dev),
		.num_capsets = r->dev->num_capsets,
		.sandbox = sandbox,
	};

	memcpy(ready.capset, r->dev->capsets, sizeof(ready.capset));
	if (r->gl) {
		snprintf(ready.gl_renderer, sizeof(ready.gl_renderer), "%s",
			bn_gl_renderer_name(r->gl));
		ready.software = bn_gl_is_software(r->gl);
		ready.priority = bn_gl_priority(r->gl);
		ready.timestamps = bn_gate_metered(r->gate);
		snprintf(ready.gl_version, sizeof(ready.gl_version), "%s", bn_gl_version(r->gl));
	}
	bn_link_send(r, BN_LINK_READY, &ready, sizeof(ready), NULL, 0);
}

/* 0 or more: BN_LINK_SANDBOX_* bits; -errno. */
static int sandbox_start(const struct bn_renderer *r, const struct options *o)
{
	struct bn_sandbox_config config = {
		.render_node = r->hello.gpu == BN_LINK_GPU_RENDER_NODE,
		.memory_max = r->hello.host_memory_max ? r->hello.host_memory_max + GL_MEMORY : 0,
		.fds_max = FDS_MAX,
		.shader_cache = o->shader_cache,
	};

	if (!o->sandbox) {
		bn_warn("RUNNING WITHOUT A SANDBOX: a guest that breaks the GL library has this "
			"user's rights");
		return 0;
	}
	return bn_sandbox_enter(&config);
}

static int start(struct bn_renderer *r, const struct options *o, int *fds)
{
	int sandbox, error;

	r->inflight = map_shared(&fds[FD_INFLIGHT], sizeof(*r->inflight));
	r->stats = map_shared(&fds[FD_STATS], sizeof(*r->stats));
	if (!r->inflight || !r->stats)
		return -EINVAL;
	r->loop = wl_event_loop_create();
	r->mem = bn_guest_memory_create();
	if (!r->loop || !r->mem || bn_link_init(r) < 0)
		return -ENOMEM;
	error = device_start(r);
	if (error == 0)
		error = gate_start(r, fds);
	if (error < 0)
		return error;
	sandbox = sandbox_start(r, o);
	if (sandbox < 0)
		return sandbox;
	gl_start(r, &fds[FD_NODE]);
	error = bn_state_open(r->dev, fds[FD_JOURNAL], r->hello.journal_size, r->hello.restore);
	fds[FD_JOURNAL] = -1;
	if (error < 0)
		return error;
	error = bn_cursor_create(&r->cursor, r->dev, r->vq[1], r->link_fd);
	if (error == 0)
		error = bn_ring_init(r);
	if (error == 0)
		ready_send(r, (uint32_t)sandbox);
	return error;
}

static void finish(struct bn_renderer *r)
{
	bn_ring_stop(r);
	bn_cursor_destroy(r->cursor);
	if (r->dev) {
		bn_device_unpark(r->dev);
		bn_fences_reset(r->dev->fences);
	}
	if (r->cursor_source)
		wl_event_source_remove(r->cursor_source);
	if (r->gl_source)
		wl_event_source_remove(r->gl_source);
	if (r->gate_source)
		wl_event_source_remove(r->gate_source);
	if (r->stop.timer)
		wl_event_source_remove(r->stop.timer);
	if (r->display.timer)
		wl_event_source_remove(r->display.timer);
	bn_device_destroy(r->dev);
	bn_gate_destroy(r->gate);
	for (unsigned i = 0; i < BN_LINK_QUEUES; i++)
		bn_vq_destroy(r->vq[i]);
	bn_gl_destroy(r->gl);
	bn_guest_memory_destroy(r->mem);
	bn_link_finish(r);
	if (r->loop)
		wl_event_loop_destroy(r->loop);
	if (r->inflight)
		munmap(r->inflight, sizeof(*r->inflight));
	if (r->stats)
		munmap(r->stats, sizeof(*r->stats));
	bn_fd_close(&r->link_fd);
}

int main(int argc, char **argv)
{
	struct options o = {.sandbox = true, .vm = "?", .level = BN_LOG_INFO, .link_fd = LINK_FD};
	struct bn_renderer r = {0};
	int fds[HELLO_FDS], error;

	bn_log_init(BN_LOG_INFO, "renderer");
	if (!options_read(&o, argc, argv)) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	if (o.probe) {
		bn_log_init(BN_LOG_WARN, "renderer"); /* the answer says what info lines would */
		return bn_probe_print_json(stdout, o.probe_node) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	log_start(&o, o.vm);
	r.link_fd = o.link_fd;
	error = hello_receive(&r, fds);
	if (error < 0) {
		bn_error("no greeting from binnacled on fd %d: %s", r.link_fd, strerror(-error));
		return EXIT_FAILURE;
	}
	log_start(&o, r.hello.vm);
	error = start(&r, &o, fds);
	bn_fds_close(fds, HELLO_FDS);
	if (error < 0) {
		bn_error("cannot start: %s", strerror(-error));
		r.exit_code = EXIT_FAILURE;
	} else {
		bn_ring_run(&r);
	}
	finish(&r);
	return r.exit_code;
}
