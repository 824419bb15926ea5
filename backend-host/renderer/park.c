/* A command that waits for the gate, or for a display (release.c). Nothing is taken from the control
 * ring meanwhile, so that commands stay in their order; cursors, the link and fences go on. The
 * handler is called again from its beginning when that is over; what it must not do twice it looks up
 * in cmd->resumed. */
#include "common/log.h"
#include "device.h"

void bn_device_park(struct bn_device *dev, const struct bn_cmd *cmd, const union bn_cmd_body *body)
{
	dev->parked.cmd = *cmd;
	dev->parked.cmd.resumed = true;
	dev->parked.body = *body;
	dev->parked.responded = false;
	dev->parked.on = true;
}

static void parked_answer(struct bn_device *dev, uint32_t type)
{
	struct bn_cmd cmd = dev->parked.cmd;

	dev->parked.on = false;
	dev->releases.waits = 0;
	bn_device_answer(dev, &cmd, type);
}

void bn_device_resume(struct bn_device *dev)
{
	uint32_t type;

	if (!dev->parked.on)
		return;
	type = bn_device_run(dev, &dev->parked.cmd, &dev->parked.body);
	if (type != BN_CMD_PARKED)
		parked_answer(dev, type);
}

void bn_device_unpark(struct bn_device *dev)
{
	if (!dev->parked.on)
		return;
	if (dev->gate)
		bn_gate_withdraw(dev->gate);
	parked_answer(dev, VIRTIO_GPU_RESP_ERR_UNSPEC);
}

/* What waits here answers with no more than a header. If it fails after this, the guest does not
 * learn it; it learns nothing of a failed command anyway but for a line in its kernel's log. */
void bn_device_memory_changes(struct bn_device *dev)
{
	struct bn_parked *p = &dev->parked;

	if (!p->on || p->responded)
		return;
	p->written = bn_device_respond(p->cmd.request, &p->cmd.hdr, VIRTIO_GPU_RESP_OK_NODATA);
	p->responded = true;
}

bool bn_device_enter(struct bn_device *dev, struct bn_gate_batch *batch)
{
	return !dev->gate || bn_gate_enter(dev->gate, batch);
}

void bn_device_started(struct bn_device *dev, const struct bn_gate_batch *batch, bool error)
{
	if (dev->gate)
		bn_gate_started(dev->gate, batch, error);
}

bool bn_device_quarantined(const struct bn_device *dev)
{
	return dev->gate && bn_gate_quarantined(dev->gate);
}

/* ---- what the arbiter decides about contexts ---- */

static void handle_context_lost(void *data, uint32_t ctx_id)
{
	struct bn_device *dev = data;
	struct bn_context *ctx = bn_context_get(dev, ctx_id);

	if (ctx && !ctx->lost)
		bn_context_stop(dev, ctx, "it kept the GPU for too long");
}

static void handle_quarantine(void *data, bool on)
{
	struct bn_device *dev = data;
	struct bn_context *ctx;
	uint32_t at = 0;

	if (!on) {
		bn_info("quarantine is over: this VM may make OpenGL contexts again");
		return;
	}
	if (bn_log_gate(&dev->gate_errors))
		bn_warn("quarantine: this VM draws in 2D only until an operator pardons it or it "
			"resets its display device (%lu so far)",
			dev->gate_errors);
	while ((ctx = bn_idmap_next(&dev->contexts, &at))) {
		if (!ctx->lost)
			bn_context_stop(dev, ctx, "the VM is in quarantine");
	}
}

const struct bn_gate_listener bn_device_gate_listener = {
	.context_lost = handle_context_lost,
	.quarantine = handle_quarantine,
};

void bn_device_set_gate(struct bn_device *dev, struct bn_gate *gate)
{
	dev->gate = gate;
	bn_fences_set_gate(dev->fences, gate);
	if (gate)
		bn_gate_set_fences(gate, dev->fences);
}
