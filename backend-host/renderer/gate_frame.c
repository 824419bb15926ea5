/* Frames: what each one took. A frame is what the guest gives to the GPU between two flushes. */
#include <string.h>

#include "gate_priv.h"

void bn_gate_flag(struct bn_gate *gate, uint32_t flag, bool on)
{
	uint32_t flags = on ? gate->mine.flags | flag : gate->mine.flags & ~flag;

	if (flags != gate->mine.flags)
		BN_GATE_PUT(gate, flags, flags);
}

struct bn_gate_frame_slot *bn_gate_frame_get(struct bn_gate *gate, uint64_t number)
{
	struct bn_gate_frame_slot *slot = &gate->frames[number % BN_GATE_FRAMES];

	return slot->number == number ? slot : NULL;
}

void bn_gate_frame_start(struct bn_gate *gate)
{
	struct bn_gate_frame_slot *slot = &gate->frames[++gate->frame % BN_GATE_FRAMES];

	*slot = (struct bn_gate_frame_slot){.number = gate->frame};
	BN_GATE_PUT(gate, frame_queued_ns, 0);
	bn_gate_flag(gate, BN_REQUEST_FRAME_OPEN, false);
}

uint64_t bn_gate_active(const struct bn_gate *gate, uint64_t now)
{
	return gate->active.total_ns +
	       (gate->active.on ? bn_gate_since(now, gate->active.since_ns) : 0);
}

void bn_gate_active_look(struct bn_gate *gate, uint64_t now)
{
	if (!gate->active.on || gate->wait_since_ns != 0 || bn_gate_unfinished(gate) > 0)
		return;
	gate->active.total_ns = bn_gate_active(gate, now);
	gate->active.on = false;
}

void bn_gate_frame_work(struct bn_gate *gate, uint64_t now)
{
	struct bn_gate_frame_slot *slot = bn_gate_frame_get(gate, gate->frame);

	if (!gate->active.on) {
		gate->active.on = true;
		gate->active.since_ns = now;
	}
	if (slot->frame.queued_ns != 0)
		return;
	slot->frame.queued_ns = now;
	slot->active_start_ns = bn_gate_active(gate, now);
	BN_GATE_PUT(gate, frame_queued_ns, now);
	bn_gate_flag(gate, BN_REQUEST_FRAME_OPEN, true);
}

uint64_t bn_gate_frame_end(struct bn_gate *gate)
{
	uint64_t number = gate->frame;

	bn_gate_frame_start(gate);
	BN_GATE_PUT_SEQ(gate, frames, gate->mine.frames + 1);
	if (gate->held.number != 0 && gate->held.kind == BN_GRANT_FRAME) {
		gate->held.over = true;
		bn_gate_settle(gate);
		bn_gate_ring(gate);
	}
	return number;
}

void bn_gate_frame_done(struct bn_gate *gate, uint64_t number, struct bn_gate_frame *frame)
{
	struct bn_gate_frame_slot *slot = bn_gate_frame_get(gate, number);

	memset(frame, 0, sizeof(*frame));
	if (!slot)
		return;
	*frame = slot->frame;
	if (frame->done_ns != 0)
		frame->response_ns = bn_gate_since(slot->active_end_ns, slot->active_start_ns);
}
