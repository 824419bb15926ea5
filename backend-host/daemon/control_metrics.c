#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "control_priv.h"
#include "json_add.h"
#include "metrics.h"

struct json_object *bn_control_metrics(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	size_t size = 0;
	char *text = bn_metrics_text(client->control->service, &size);
	if (!text)
		return bn_control_failure("out of memory");
	int memfd = bn_control_memfd("binnacle-metrics", text, size);
	free(text);
	if (memfd < 0)
		return bn_control_failure("%s", strerror(-memfd));
	*fd = memfd;
	struct json_object *answer = bn_control_success();
	bn_json_add_text(answer, "format", "prometheus");
	bn_json_add_uint(answer, "size", size);
	return answer;
}
