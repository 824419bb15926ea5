/* A build without libmicrohttpd. */
#include "metrics_http.h"

#include <errno.h>
#include <stddef.h>

#include "common/log.h"
#include "service.h"

int bn_metrics_http_create(struct bn_metrics_http **out, struct bn_service *service)
{
	*out = NULL;
	if (!service->settings->metrics_listen[0])
		return 0;
	bn_error("metrics-listen=%s: this build has no libmicrohttpd; leave the key out and use "
		 "'binnaclectl metrics', or build with -Dmetrics_http=enabled",
		service->settings->metrics_listen);
	return -ENOTSUP;
}

void bn_metrics_http_destroy(struct bn_metrics_http *http)
{
}
