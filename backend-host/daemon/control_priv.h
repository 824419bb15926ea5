/* The control socket's inside: sockets in control.c, commands in control_commands.c and beside. */
#ifndef BN_DAEMON_CONTROL_PRIV_H
#define BN_DAEMON_CONTROL_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wayland-util.h>

#include "control.h"
#include "settings.h"

struct bn_admission;
struct bn_display;
struct bn_scene_layer;
struct bn_stage;
struct bn_control_trace;
struct json_object;

struct bn_control_client {
	struct bn_control *control;
	struct wl_list link; /* bn_control.clients */
	int fd;
	struct wl_event_source *source;
	bool follows;                   /* gets every event */
	struct bn_control_trace *trace; /* under way; the answer comes with its end */
};

/* What a VM had used of the GPU when it was last asked for. */
struct bn_control_seen {
	uint64_t gpu_ns, at_ns;
};

struct bn_control {
	struct bn_service *service;
	int fd;
	int spare_fd; /* of bn_unix_accept() */
	struct wl_event_source *source;
	struct wl_list clients; /* bn_control_client.link */
	unsigned num_clients, num_traces;
	struct wl_list traces; /* bn_control_trace.link */
	/* The VMs' settings with what was changed at run time. */
	struct bn_settings_vm vm[BN_SETTINGS_VMS_MAX];
	struct bn_control_seen seen[BN_SETTINGS_VMS_MAX];
};

/* ---- control.c ---- */

/* Takes the answer and the fd (-1: none), and sends both; false when the client must go. */
bool bn_control_send(struct bn_control_client *client, struct json_object *answer, int fd);
void bn_control_client_destroy(struct bn_control_client *client);
/* A request that is answered later: until then the client's next ones wait. */
void bn_control_client_pause(struct bn_control_client *client, bool pause);

/* ---- control_answer.c: what commands answer with ---- */

struct json_object *bn_control_success(void);
struct json_object *bn_control_failure(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The string behind key, or NULL. */
const char *bn_control_text(struct json_object *request, const char *key);
/* The number of the VM named by the request, or -1 and *error. */
int bn_control_vm(
	struct bn_control *control, struct json_object *request, struct json_object **error);
/* A memfd with those bytes, sealed for good: the reader may map it without fear. fd or -errno. */
int bn_control_memfd(const char *name, const void *data, size_t size);
/* Seals an own memfd for good, however large it has become. 0 or -errno. */
int bn_control_seal(int fd);

/* ---- commands: a new answer, the caller's, with a memfd in *fd or -1; NULL: comes later ---- */

struct json_object *bn_control_answer(
	struct bn_control_client *client, const char *request, int *fd);
struct json_object *bn_control_admit(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_change(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_metrics(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_record(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_events(
	struct bn_control_client *client, struct json_object *request, int *fd);

struct json_object *bn_control_output(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_outputs(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_planes(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_scene(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_screenshot(
	struct bn_control_client *client, struct json_object *request, int *fd);
struct json_object *bn_control_watchdog(
	struct bn_control_client *client, struct json_object *request, int *fd);

/* control_scene.c */

/* Adds the display's layers to a list, lowest first. */
void bn_control_add_layers(
	struct json_object *layers, const struct bn_stage *stage, const struct bn_display *display);
/* For bn_stage_set(): data is a list, which gets the fault. */
void bn_control_report_fault(void *data, const struct bn_scene_layer *layer, const char *fault);
/* What such a list (not empty, taken over) makes for an answer. */
struct json_object *bn_control_faults(struct json_object *faults);

/* control_events.c: tells every follower; `data` is the control. */
struct bn_event;
void bn_control_event_added(void *data, const struct bn_event *event);
/* control_trace.c: nobody waits for it any more. NULL is allowed. */
void bn_control_trace_abandon(struct bn_control_trace *trace);
/* Ends all, waiting for their writers. */
void bn_control_traces_finish(struct bn_control *control);
/* control_vm.c: tells the monitors what frames are measured by, as things are admitted now. */
void bn_control_update_targets(struct bn_control *control);

#endif
