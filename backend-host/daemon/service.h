/* The whole service: displays, VMs, control socket, on one event loop. */
#ifndef BN_DAEMON_SERVICE_H
#define BN_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "composing.h"
#include "display.h"
#include "settings.h"
#include "vm.h"

struct bn_control;
struct bn_metrics_http;
struct bn_stage;
struct bn_watchdogs;

struct bn_service {
	struct wl_event_loop *loop;
	const struct bn_settings *settings;
	struct bn_displays displays;
	struct bn_vm_context context;
	struct bn_vm *vm[BN_SETTINGS_VMS_MAX];
	struct bn_frames *frames[BN_SETTINGS_VMS_MAX]; /* of the VMs, for the stage */
	size_t num_vms;
	struct bn_stage *stage;
	struct bn_watchdogs *watchdogs;
	struct bn_composing composing;
	struct bn_control *control;
	struct bn_metrics_http *metrics; /* NULL: not asked for */
	struct wl_event_source *signals[2], *watchdog;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	bool quit;
};

/* Opens the displays and every socket, starts the renderers without waiting for them. settings
 * must outlive it. 0 or -errno, logged; bn_service_finish() is due in both cases. */
int bn_service_init(struct bn_service *service, const struct bn_settings *settings,
	const struct bn_renderer_program *program);
/* Serves until SIGTERM, SIGINT or `quit`. */
void bn_service_run(struct bn_service *service);
void bn_service_finish(struct bn_service *service);

#endif
