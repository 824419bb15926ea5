/* Events to those who ask, and to those who follow. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <json-c/json.h>

#include "control_priv.h"
#include "events.h"
#include "json_add.h"
#include "service.h"

static struct json_object *event_json(const struct bn_events *events, const struct bn_event *e)
{
	struct json_object *o = json_object_new_object();
	struct tm tm;
	char day[32] = "", wall[48];
	if (gmtime_r(&e->wall.tv_sec, &tm))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(wall, sizeof(wall), "%s.%03uZ", day, (unsigned)(e->wall.tv_nsec / 1000000) % 1000);
	bn_json_add_uint(o, "number", e->number);
	bn_json_add_uint(o, "time_ns", e->time_ns);
	bn_json_add_text(o, "wall", wall);
	bn_json_add_text(o, "vm", bn_event_vm_name(events, e->vm));
	bn_json_add_text(o, "kind", bn_event_kind_name(e->kind));
	bn_json_add_text(o, "text", e->text);
	return o;
}

struct json_object *bn_control_events(
	struct bn_control_client *client, struct json_object *request, int *fd)
{
	const struct bn_events *events = client->control->service->context.events;
	struct json_object *since = NULL, *follow = NULL, *list = json_object_new_array();
	uint64_t from = 0;
	if (json_object_object_get_ex(request, "since", &since)) {
		int64_t n = json_object_get_int64(since);
		from = n > 0 ? (uint64_t)n : 0;
	}
	if (json_object_object_get_ex(request, "follow", &follow))
		client->follows = json_object_get_boolean(follow);
	for (const struct bn_event *e; (e = bn_events_from(events, from)); from = e->number + 1)
		json_object_array_add(list, event_json(events, e));
	struct json_object *answer = bn_control_success();
	json_object_object_add(answer, "events", list);
	bn_json_add_uint(answer, "next", bn_events_next(events));
	return answer;
}

void bn_control_event_added(void *data, const struct bn_event *event)
{
	struct bn_control *control = data;
	struct bn_control_client *c, *tmp;
	wl_list_for_each_safe(c, tmp, &control->clients, link)
	{
		if (!c->follows)
			continue;
		struct json_object *message = json_object_new_object();
		json_object_object_add(
			message, "event", event_json(control->service->context.events, event));
		/* Its own request may be what caused this, so it is not freed here: the loop finds
		 * it hung up. */
		if (!bn_control_send(c, message, -1)) {
			c->follows = false;
			shutdown(c->fd, SHUT_RDWR);
		}
	}
}
