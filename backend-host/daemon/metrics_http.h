/* The metrics over HTTP, for Prometheus itself: GET /metrics, on this machine alone. */
#ifndef BN_DAEMON_METRICS_HTTP_H
#define BN_DAEMON_METRICS_HTTP_H

#include <stdbool.h>
#include <sys/socket.h>

struct bn_service;
struct bn_metrics_http; /* opaque */

/* Reads "127.0.0.1:9273" or "[::1]:9273". false for anything else, addresses that other machines
 * reach included: figures of a vehicle's displays are nobody else's, and there is no password. */
bool bn_metrics_address(const char *text, struct sockaddr_storage *out, socklen_t *size);

/* Listens as the settings say; *out NULL and 0 when they do not. 0 or -errno, logged; -ENOTSUP in a
 * build without libmicrohttpd. The service must outlive it. */
int bn_metrics_http_create(struct bn_metrics_http **out, struct bn_service *service);
/* NULL is allowed. */
void bn_metrics_http_destroy(struct bn_metrics_http *http);

#endif
