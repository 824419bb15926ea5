/* Two models. A class of alike batches remembers what its last ones cost: exact, but it knows only
 * what has been seen. A linear model of the sizes guesses the rest: weights that start from a rough
 * idea of a GPU and are corrected with each batch (normalised least mean squares, weights never
 * negative), more eagerly upwards than downwards, since a batch that takes longer than was said hurts
 * others and one that takes less does not. */
#include "scheduler/cost.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES 256u /* a power of two */
#define WAYS 4u
#define WINDOW 64u
#define KINDS 3u

/* Longer ones are counted as this: a batch is killed long before. */
#define COST_MAX_NS 60000000000ull
#define SIZE_MAX_COUNTED 1e12

struct class
{
	uint64_t used; /* 0: free */
	uint64_t content;
	uint32_t ctx_id, kind;
	uint32_t count, next;    /* of window: filled, to be written */
	uint32_t max;            /* of window */
	uint32_t floor;          /* what the prediction has fallen to, without the margin */
	uint32_t window[WINDOW]; /* in units of 16 ns */
};

/* What costs are taken to be linear in, with the first idea of each in nanoseconds. */
enum feature {
	FEATURE_BATCH,
	FEATURE_COMMANDS,
	FEATURE_DRAWS,
	FEATURE_INDIRECT,
	FEATURE_TARGETS,
	FEATURE_SHADERS,
	FEATURE_OBJECTS,
	FEATURE_VERTICES,
	FEATURE_CLEARS_COPIES,
	FEATURE_PIXELS,
	FEATURE_SHADER_PIXELS,
	FEATURE_TRANSFERS,
	FEATURE_BYTES,
	FEATURE_COPIED,
	FEATURE_GROUPS,
	FEATURES
};
static const double first_idea[FEATURES] = {
	[FEATURE_BATCH] = 10000,
	[FEATURE_COMMANDS] = 200,
	[FEATURE_DRAWS] = 3000,
	[FEATURE_INDIRECT] = 200000,
	[FEATURE_TARGETS] = 5000,
	[FEATURE_SHADERS] = 100000,
	[FEATURE_OBJECTS] = 2000,
	[FEATURE_VERTICES] = 5,
	[FEATURE_CLEARS_COPIES] = 5000,
	[FEATURE_PIXELS] = 0.2,
	[FEATURE_SHADER_PIXELS] = 0.002,
	[FEATURE_TRANSFERS] = 5000,
	[FEATURE_BYTES] = 0.3,
	[FEATURE_COPIED] = 1,
	[FEATURE_GROUPS] = 100,
};

struct line {
	double weight[FEATURES]; /* of the first idea */
	double excess;           /* actual by predicted, a high quantile */
	uint32_t count;
};

struct bn_cost {
	uint64_t unknown_ns, tick;
	struct line line[KINDS];
	struct class classes[CLASSES];
};

struct bn_cost *bn_cost_create(uint64_t unknown_ns)
{
	struct bn_cost *cost = calloc(1, sizeof(*cost));
	if (!cost)
		return NULL;
	cost->unknown_ns = unknown_ns < COST_MAX_NS ? unknown_ns : COST_MAX_NS;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		cost->line[kind].excess = 1;
		for (unsigned i = 0; i < FEATURES; i++)
			cost->line[kind].weight[i] = 1;
	}
	return cost;
}

void bn_cost_destroy(struct bn_cost *cost)
{
	free(cost);
}

/* ---- the linear model ---- */

static double counted(uint64_t n)
{
	return n < (uint64_t)SIZE_MAX_COUNTED ? (double)n : SIZE_MAX_COUNTED;
}

/* What the first idea says of each size, in nanoseconds. */
static void features(const struct bn_virgl_work *work, double *x)
{
	x[FEATURE_BATCH] = 1;
	x[FEATURE_COMMANDS] = work->commands;
	x[FEATURE_DRAWS] = work->draws;
	x[FEATURE_INDIRECT] = work->indirect_draws;
	x[FEATURE_TARGETS] = work->target_changes;
	x[FEATURE_SHADERS] = work->shaders;
	x[FEATURE_OBJECTS] = work->objects;
	x[FEATURE_VERTICES] = counted(work->vertices);
	x[FEATURE_CLEARS_COPIES] = (double)work->clears + work->copies + work->dispatches;
	x[FEATURE_PIXELS] = counted(work->pixels);
	x[FEATURE_SHADER_PIXELS] = counted(work->shader_pixels);
	x[FEATURE_TRANSFERS] = work->transfers;
	x[FEATURE_BYTES] = counted(work->transfer_bytes);
	x[FEATURE_COPIED] = counted(work->copy_pixels);
	x[FEATURE_GROUPS] = counted(work->compute_groups);
	for (unsigned i = 0; i < FEATURES; i++)
		x[i] *= first_idea[i];
}

static double line_cost(const struct line *line, const double *x)
{
	double sum = 0;
	for (unsigned i = 0; i < FEATURES; i++)
		sum += line->weight[i] * x[i];
	return sum;
}

static uint64_t to_ns(double ns)
{
	return ns < (double)COST_MAX_NS ? (uint64_t)ns : COST_MAX_NS;
}

/* Moves the weights so that this batch would have been predicted better. */
static void line_learn(struct line *line, const double *x, double actual)
{
	double predicted = line_cost(line, x), power = 1;
	for (unsigned i = 0; i < FEATURES; i++)
		power += x[i] * x[i];
	double error = actual - predicted;
	double step = (error > 0 ? 0.5 : 0.1) * error / power;
	for (unsigned i = 0; i < FEATURES; i++) {
		double weight = line->weight[i] + step * x[i];
		line->weight[i] = weight < 1e-4 ? 1e-4 : weight > 1e4 ? 1e4 : weight;
	}
	double ratio = predicted > 1 ? actual / predicted : 1;
	if (ratio > line->excess)
		line->excess = ratio < 8 ? ratio : 8;
	else
		line->excess += (1 - line->excess) / 64;
	line->count += line->count < UINT32_MAX;
}

/* ---- classes ---- */

/* The power of two that n is below; 0 for 0. */
static uint64_t bucket(uint64_t n)
{
	return n ? 64 - (uint64_t)__builtin_clzll(n) : 0;
}

static uint64_t content_of(const struct bn_virgl_work *w)
{
	uint64_t content = bucket(w->shader_pixels);
	content = content * 65 + bucket(w->vertices);
	content = content * 65 + bucket(w->transfer_bytes);
	content = content * 65 + bucket(w->copy_pixels);
	content = content * 65 + bucket(w->compute_groups);
	content = content * 65 + bucket((uint64_t)w->draws + w->clears + w->copies + w->dispatches);
	content = content * 65 + bucket(w->commands);
	content = content * 65 + bucket((uint64_t)w->shaders + w->objects + w->target_changes);
	return content * 65 + bucket(w->indirect_draws);
}

static struct class *set_of(struct bn_cost *cost, const struct bn_cost_key *key, uint64_t content)
{
	uint64_t hash = (content ^ ((uint64_t)key->ctx_id << 32 | (uint32_t)key->kind)) *
			0x9e3779b97f4a7c15ull;
	return &cost->classes[(hash >> 32) % (CLASSES / WAYS) * WAYS];
}

static struct class *class_find(struct bn_cost *cost, const struct bn_cost_key *key)
{
	uint64_t content = content_of(key->work);
	struct class *set = set_of(cost, key, content);
	for (unsigned i = 0; i < WAYS; i++) {
		struct class *c = &set[i];
		if (c->used && c->content == content && c->ctx_id == key->ctx_id &&
			c->kind == (uint32_t)key->kind) {
			c->used = ++cost->tick;
			return c;
		}
	}
	return NULL;
}

/* In the place of the one that was not used for longest. */
static struct class *class_add(struct bn_cost *cost, const struct bn_cost_key *key)
{
	uint64_t content = content_of(key->work);
	struct class *set = set_of(cost, key, content), *place = set;
	for (unsigned i = 1; i < WAYS; i++) {
		if (set[i].used < place->used)
			place = &set[i];
	}
	*place = (struct class){
		.used = ++cost->tick, .content = content, .ctx_id = key->ctx_id, .kind = key->kind};
	return place;
}

static void class_learn(struct class *c, uint64_t actual_ns)
{
	uint32_t units = (uint32_t)(actual_ns / 16) + 1, out = c->window[c->next];
	c->window[c->next] = units;
	c->next = (c->next + 1) % WINDOW;
	if (c->count < WINDOW)
		c->count++;
	if (units >= c->max) {
		c->max = units;
	} else if (out == c->max) {
		c->max = 0;
		for (unsigned i = 0; i < WINDOW; i++)
			c->max = c->window[i] > c->max ? c->window[i] : c->max;
	}
	/* Up at once; down by a sixteenth of the way at most. */
	if (c->max >= c->floor)
		c->floor = c->max;
	else
		c->floor -= (c->floor - c->max + 15) / 16;
}

/* The less is known, the more is added: the largest of n alike ones is exceeded by the next with
 * probability 1 / (n + 1). */
static uint64_t class_predict(const struct class *c)
{
	uint64_t ns = (uint64_t)c->floor * 16;
	return ns + ns / 16 + ns / c->count / 2;
}

/* ---- the two together ---- */

static unsigned kind_of(const struct bn_cost_key *key)
{
	return (unsigned)key->kind < KINDS ? (unsigned)key->kind : BN_COST_SUBMIT;
}

uint64_t bn_cost_estimate(const struct bn_cost *cost, const struct bn_virgl_work *work)
{
	double x[FEATURES];
	features(work, x);
	return to_ns(line_cost(&cost->line[BN_COST_SUBMIT], x));
}

uint64_t bn_cost_predict(struct bn_cost *cost, const struct bn_cost_key *key)
{
	const struct class *c = class_find(cost, key);
	if (c)
		return class_predict(c);
	const struct line *line = &cost->line[kind_of(key)];
	if (!line->count)
		return cost->unknown_ns;
	double x[FEATURES];
	features(key->work, x);
	return to_ns(line_cost(line, x) * line->excess * 1.25);
}

void bn_cost_learn(
	struct bn_cost *cost, const struct bn_cost_key *key, uint64_t actual_ns, bool compiled)
{
	if (compiled)
		return;
	if (actual_ns > COST_MAX_NS)
		actual_ns = COST_MAX_NS;
	struct class *c = class_find(cost, key);
	class_learn(c ? c : class_add(cost, key), actual_ns);
	double x[FEATURES];
	features(key->work, x);
	line_learn(&cost->line[kind_of(key)], x, (double)actual_ns);
}

void bn_cost_forget(struct bn_cost *cost, uint32_t ctx_id)
{
	for (unsigned i = 0; i < CLASSES; i++) {
		if (cost->classes[i].ctx_id == ctx_id)
			cost->classes[i].used = 0;
	}
}
