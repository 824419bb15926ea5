/* The watchdog's part of the metrics. */
#ifndef BN_DAEMON_METRICS_WATCH_H
#define BN_DAEMON_METRICS_WATCH_H

#include <stdio.h>

struct bn_service;

void bn_metrics_watch(FILE *out, const struct bn_service *service);

#endif
