#include <string.h>

#include "policy_priv.h"

/* Nine of ten of the last charges were within the quantile that predictions are corrected to. */
#define QUANTILE_TENTHS 9u
#define RATIO_MAX (UINT64_C(1) << 20)
/* Corrected by at most that factor. */
#define SCALE_MAX (BN_TRUST_ONE * 64u)

void bn_trust_init(struct bn_trust *t)
{
	memset(t, 0, sizeof(*t));
	t->scale = BN_TRUST_ONE;
}

static unsigned class_of(uint64_t actual_ns, uint64_t predicted_ns)
{
	uint64_t ratio = RATIO_MAX;
	if (predicted_ns > 0)
		ratio = actual_ns * BN_TRUST_ONE / predicted_ns;
	if (ratio < 4)
		return 0;
	if (ratio >= RATIO_MAX)
		return BN_TRUST_CLASSES - 1;
	unsigned octave = 63u - (unsigned)__builtin_clzll(ratio);
	return octave * 4 + ((ratio >> (octave - 2)) & 3);
}

/* The upper edge of the class. */
static uint64_t ratio_of(unsigned class)
{
	unsigned octave = class / 4;
	return octave < 2 ? 4 : (uint64_t)(5 + class % 4) << (octave - 2);
}

static void remember(struct bn_trust *t, unsigned class, bool lie)
{
	if (t->filled == BN_TRUST_WINDOW)
		t->count[t->ring[t->next]]--;
	else
		t->filled++;
	t->ring[t->next] = (uint8_t)class;
	t->count[class]++;
	t->next = (t->next + 1) % BN_TRUST_WINDOW;
	t->lies = t->lies << 1 | lie;
}

static uint32_t quantile(const struct bn_trust *t)
{
	unsigned wanted = (t->filled * QUANTILE_TENTHS + 9) / 10, seen = 0, class = 0;
	while (class < BN_TRUST_CLASSES - 1 && (seen += t->count[class]) < wanted)
		class ++;
	uint64_t ratio = ratio_of(class);
	if (ratio < BN_TRUST_ONE)
		return BN_TRUST_ONE;
	return ratio > SCALE_MAX ? SCALE_MAX : (uint32_t)ratio;
}

/* True when it has just been pardoned. */
static bool serve_time(struct bn_trust *t, unsigned lies, uint64_t now_ns)
{
	if (lies > BN_TRUST_HONEST_LIES) {
		t->honest = 0;
		return false;
	}
	if (t->honest++ == 0)
		t->honest_ns = now_ns;
	if (t->honest < BN_TRUST_HONEST || now_ns - t->honest_ns < BN_TRUST_HONEST_NS)
		return false;
	t->demoted = false;
	t->honest = 0;
	return true;
}

bool bn_trust_learn(struct bn_trust *t, uint64_t actual_ns, uint64_t predicted_ns, uint64_t now_ns)
{
	bool lie = actual_ns > BN_TRUST_FLOOR_NS && actual_ns > predicted_ns + predicted_ns / 4;
	remember(t, class_of(actual_ns, predicted_ns), lie);
	unsigned lies = (unsigned)__builtin_popcountll(t->lies);
	if (lies <= BN_TRUST_LIES_MAX) {
		t->scale = BN_TRUST_ONE;
		t->lying = 0;
	} else {
		t->lying++;
		if (t->scale == BN_TRUST_ONE || t->lying % 8 == 0)
			t->scale = quantile(t);
	}
	if (t->demoted)
		return serve_time(t, lies, now_ns);
	if (t->lying < BN_TRUST_DEMOTE)
		return false;
	t->demoted = true;
	t->honest = 0;
	return true;
}
