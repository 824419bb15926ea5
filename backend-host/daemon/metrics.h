/* The service's figures in Prometheus' text format 0.0.4. */
#ifndef BN_DAEMON_METRICS_H
#define BN_DAEMON_METRICS_H

#include <stddef.h>

struct bn_service;

#define BN_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* malloced, *size without the NUL; NULL without memory. */
char *bn_metrics_text(struct bn_service *service, size_t *size);

#endif
