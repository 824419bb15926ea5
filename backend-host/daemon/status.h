/* The service's figures as JSON; binnaclectl(1) lists the fields. */
#ifndef BN_DAEMON_STATUS_H
#define BN_DAEMON_STATUS_H

struct bn_display;
struct bn_service;
struct json_object;

/* A new object; the caller's. */
struct json_object *bn_status_json(struct bn_service *service);
/* Of one output alone. */
struct json_object *bn_status_output_json(
	struct bn_service *service, const struct bn_display *display);
/* "headless", "wayland" or "kms". */
const char *bn_status_output_kind(const struct bn_display *display);

#endif
