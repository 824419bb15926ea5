/* The control socket (protocol/control.h): answers binnaclectl. Readable and writable by the
 * service's user alone. */
#ifndef BN_DAEMON_CONTROL_H
#define BN_DAEMON_CONTROL_H

struct bn_service;
struct bn_control; /* opaque */

/* Listens on the settings' control socket. 0 or -errno, logged. The service must outlive it. */
int bn_control_create(struct bn_control **out, struct bn_service *service);
/* Removes the socket. NULL is allowed. */
void bn_control_destroy(struct bn_control *control);
/* A display has another refresh rate: VMs without a period of their own follow. */
void bn_control_follow_display(struct bn_control *control, const char *output);

#endif
