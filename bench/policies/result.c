/* Results of several runs, and what is read from them. */
#include <math.h>
#include <string.h>

#include "model.h"

static void histogram_merge(struct bn_histogram *into, const struct bn_histogram *add)
{
	if (add->count == 0)
		return;
	if (into->count == 0 || add->min_ns < into->min_ns)
		into->min_ns = add->min_ns;
	if (add->max_ns > into->max_ns)
		into->max_ns = add->max_ns;
	into->count += add->count;
	into->sum_ns += add->sum_ns;
	for (unsigned i = 0; i < BN_HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += add->buckets[i];
}

static void frames_merge(struct psim_frames *into, const struct psim_frames *add)
{
	into->frames += add->frames;
	into->due += add->due;
	into->missed += add->missed;
	if (add->longest_run > into->longest_run)
		into->longest_run = add->longest_run;
	for (unsigned i = 0; i < PSIM_REFRESHES; i++)
		into->shown_after[i] += add->shown_after[i];
	into->beyond += add->beyond;
	if (into->beyond_at == 0)
		into->beyond_at = add->beyond_at;
	if (into->missed_at == 0)
		into->missed_at = add->missed_at;
	histogram_merge(&into->response, &add->response);
	histogram_merge(&into->done, &add->done);
	into->present_sum += add->present_sum;
	into->response_square += add->response_square;
	into->present_square += add->present_square;
	into->bound = add->bound;
	into->deadline = add->deadline;
	into->promised = add->promised;
}

void psim_merge(struct psim_result *into, const struct psim_result *add)
{
	for (unsigned i = 0; i < PSIM_VMS; i++) {
		frames_merge(&into->frames[i], &add->frames[i]);
		into->gpu[i] += add->gpu[i];
		into->batches[i] += add->batches[i];
	}
	into->guard_waits += add->guard_waits;
	into->demotions += add->demotions;
	into->trips += add->trips;
	into->quarantines += add->quarantines;
	into->elapsed += add->elapsed;
	into->busy += add->busy;
	into->slack += add->slack;
	into->slack_used += add->slack_used;
	into->windows += add->windows;
	into->share_error_sum += add->share_error_sum;
	if (add->share_error_max > into->share_error_max)
		into->share_error_max = add->share_error_max;
	into->decisions += add->decisions;
	into->grants += add->grants;
	into->leases += add->leases;
	into->revokes += add->revokes;
	into->empty_grants += add->empty_grants;
	into->events += add->events;
}

void psim_safety(
	const struct psim_scenario *s, const struct psim_result *r, struct psim_frames *out)
{
	bool promised = true;

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < psim_guests(s); i++) {
		if (s->guests[i].policy.vm_class != BN_CLASS_SAFETY || s->guests[i].faulty)
			continue;
		frames_merge(out, &r->frames[i]);
		promised &= r->frames[i].promised;
	}
	out->bound = r->frames[0].bound;
	out->deadline = r->frames[0].deadline;
	out->promised = promised;
}

double psim_others(const struct psim_scenario *s, const struct psim_result *r)
{
	uint64_t gpu = 0;

	for (unsigned i = 0; i < psim_guests(s); i++) {
		if (s->guests[i].policy.vm_class != BN_CLASS_SAFETY)
			gpu += r->gpu[i];
	}
	return r->elapsed ? (double)gpu / (double)r->elapsed : 0;
}

static double deviation(double sum, double square, double n)
{
	double variance = n > 0 ? square / n - sum / n * (sum / n) : 0;

	return variance > 0 ? sqrt(variance) : 0;
}

double psim_response_deviation(const struct psim_frames *f)
{
	return deviation((double)f->response.sum_ns, f->response_square, (double)f->response.count);
}

double psim_present_deviation(const struct psim_frames *f)
{
	return deviation((double)f->present_sum, f->present_square, (double)f->frames);
}

unsigned psim_present_quantile(const struct psim_frames *f, double q)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < PSIM_REFRESHES; i++) {
		seen += f->shown_after[i];
		if (seen > 0 && (double)seen >= q * (double)f->frames)
			return i;
	}
	return 0;
}
