/* The gate's batches: when they are over, what they cost, what a frame took. */
#include "gate_fixture.h"

/* The command's own fence will do, and what is over when the library returns needs none. */
static void test_own_fence(void)
{
	struct bn_gate_batch b = batch(1);

	setup();
	fake_arbiter_lease(&a);
	b.fenced = true;
	YES(enter(&b));
	bn_gate_started(a.gate, &b, false);
	EQ(gl.fences, 0);
	EQ(a.request->busy, 1);
	b.more = true; /* not behind the last piece */
	YES(enter(&b));
	bn_gate_started(a.gate, &b, false);
	EQ(gl.fences, 1);
	EQ(a.request->cuts, 1);
	b.more = false;
	b.piece = 1;
	YES(enter(&b));
	bn_gate_started(a.gate, &b, true); /* no answer of a refused command waits for a fence */
	EQ(gl.fences, 2);
	EQ(a.request->cuts, 1);
	finish(1);
	EQ(a.request->busy, 1);
	finish(1);
	EQ(a.request->busy, 0);
	b = (struct bn_gate_batch){.kind = BN_COST_CREATE};
	YES(enter(&b));
	bn_gate_started(a.gate, &b, false);
	EQ(gl.fences, 0);
	EQ(a.request->busy, 0);
	EQ(a.request->batches, 4);
	teardown();
}

static void test_no_fence_to_be_had(void)
{
	setup();
	fake_arbiter_lease(&a);
	gl.fences = FAKE_GL_MAX;
	YES(start());
	EQ(a.request->busy, 0); /* the best that can be said */
	gl.fences = 0;
	YES(start());
	gl.fences = FAKE_GL_MAX;
	YES(start());
	gl.fences = 1;
	EQ(a.request->busy, 2);
	finish(1); /* covers the one behind it */
	EQ(a.request->busy, 0);
	teardown();
}

static void test_many(void)
{
	struct bn_gate_batch b = batch(1);
	unsigned n = 0;

	setup();
	fake_arbiter_lease(&a);
	b.fenced = true;
	while (n < 1000 && enter(&b)) {
		bn_gate_started(a.gate, &b, false);
		n++;
	}
	YES(n >= 64 && n < 1000);
	EQ(a.request->busy, n);
	NO(bn_gate_ready(a.gate));
	bn_gate_gpu_done(a.gate, 1);
	YES(bn_gate_ready(a.gate));
	YES(enter(&b));
	bn_gate_gpu_done(a.gate, UINT64_MAX);
	EQ(a.request->busy, 0);
	EQ(a.request->batches, n + 1);
	teardown();
}

/* Only the batches of that context are over; the order stays. */
static void test_forget(void)
{
	struct bn_gate_batch one = batch(1), two = batch(2);

	setup();
	fake_arbiter_lease(&a);
	YES(enter(&two));
	bn_gate_started(a.gate, &two, false);
	YES(enter(&one));
	bn_gate_started(a.gate, &one, false);
	bn_fences_ctx_gone(fences, 1);
	bn_gate_forget_context(a.gate, 1);
	EQ(a.request->busy, 2);
	EQ(a.request->batch_ctx, 2);
	finish(1);
	EQ(a.request->busy, 0);
	teardown();
}

static void test_lose(void)
{
	setup();
	fake_arbiter_lease(&a);
	YES(start()); /* 1 */
	YES(start()); /* 2 */
	a.grant->lose_batch = 1;
	fake_arbiter_ring(&a);
	EQ(lost, 0); /* when it ends */
	finish(1);
	EQ(lost, 1);
	EQ(last_lost, 1);
	EQ(a.request->contexts_lost, 1);
	finish(1);
	fake_arbiter_ring(&a);
	EQ(lost, 1); /* and none later */
	/* It has just ended when the arbiter says so. */
	a.grant->lose_batch = 2;
	fake_arbiter_ring(&a);
	EQ(lost, 2);
	/* Its context was destroyed, and the number may be another one's. */
	YES(start()); /* 3 */
	bn_gate_forget_context(a.gate, 1);
	a.grant->lose_batch = 3;
	fake_arbiter_ring(&a);
	EQ(lost, 2);
	/* What never was. */
	a.grant->lose_batch = UINT64_MAX;
	fake_arbiter_ring(&a);
	a.grant->lose_batch = 2;
	fake_arbiter_ring(&a);
	EQ(lost, 2);
	finish(1);
	teardown();
}

static void test_cost(void)
{
	setup();
	fake_arbiter_lease(&a);
	YES(start());
	a.now += MS;
	YES(start());
	a.now += 3 * MS;
	finish(1);
	EQ(a.request->gpu_ns, 4 * MS);
	EQ(a.request->batch, 2);
	EQ(a.request->batch_start_ns, a.now); /* the GPU comes to it now */
	a.now += MS;
	finish(1);
	EQ(a.request->gpu_ns, 5 * MS);
	a.now += 10 * MS; /* a pause costs nothing */
	YES(start());
	a.now += MS;
	finish(1);
	EQ(a.request->gpu_ns, 6 * MS);
	teardown();
}

/* On the software rasteriser: 8 ms passed, of which we had the processor for 2. */
static void test_cost_software(void)
{
	struct bn_gate_span span;

	setup();
	bn_gate_set_software(a.gate, true);
	a.grant->batch_max_ns = 2 * MS; /* contended: every batch is looked at */
	fake_arbiter_lease(&a);
	YES(start());
	a.now += 8 * MS;
	a.cpu += 2 * MS;
	finish(1);
	EQ(a.request->gpu_ns, 2 * MS);
	YES(start());
	a.now += MS;
	a.cpu += 4 * MS; /* four threads */
	finish(1);
	EQ(a.request->gpu_ns, 3 * MS);
	bn_gate_span_begin(a.gate, &span);
	a.now += 5 * MS;
	a.cpu += MS;
	bn_gate_span_end(a.gate, &span);
	EQ(a.request->gpu_ns, 4 * MS);
	EQ(a.request->batches, 2);
	EQ(a.request->predictions, 2);
	teardown();
}

/* The GPU's clock, by hand: what it says of the next batch to end. */
static uint64_t clock_ns;
static unsigned clock_reads;

static bool read_clock(void *data, uint64_t id, uint64_t *ns)
{
	EQ(data, &clock_ns);
	EQ(id, 5);
	clock_reads++;
	*ns = clock_ns;
	return clock_ns != 0;
}

static void start_metered(void)
{
	struct bn_gate_batch b = batch(1);

	YES(enter(&b));
	YES(b.metered);
	b.meter = 5;
	bn_gate_started(a.gate, &b, false);
}

static void finish_metered(uint64_t later_ns, uint64_t says_ns)
{
	a.now += later_ns;
	clock_ns = says_ns;
	finish(1);
}

static void setup_metered(void)
{
	struct bn_gate_meter meter = {.read = read_clock, .data = &clock_ns};

	setup();
	clock_reads = 0;
	NO(bn_gate_metered(a.gate));
	bn_gate_set_meter(a.gate, &meter);
	YES(bn_gate_metered(a.gate));
	a.grant->batch_max_ns = 2 * MS; /* contended: every batch is looked at */
	fake_arbiter_lease(&a);
}

static void test_cost_metered(void)
{
	setup_metered();
	start_metered();
	finish_metered(8 * MS, 3 * MS);
	EQ(a.request->gpu_ns, 3 * MS);
	start_metered();
	finish_metered(8 * MS, 0); /* not to be had: the fence's */
	EQ(a.request->gpu_ns, 11 * MS);
	start_metered();
	finish_metered(MS, 40 * MS); /* what cannot be */
	EQ(a.request->gpu_ns, 12 * MS);
	EQ(clock_reads, 3);
	EQ(a.request->predictions, 3);
	teardown();
}

/* A fence that was seen late leaves its time to the batch behind it, and no batch has more than all
 * of them together. */
static void test_cost_metered_queued(void)
{
	setup_metered();
	start_metered();
	start_metered();
	start_metered();
	finish_metered(6 * MS, 2 * MS);
	finish_metered(0, 3 * MS);
	EQ(a.request->gpu_ns, 5 * MS);
	finish_metered(MS, 9 * MS);
	EQ(a.request->gpu_ns, 7 * MS); /* all that was between the first start and the last fence */
	a.now += 10 * MS;              /* a pause is nobody's */
	start_metered();
	finish_metered(MS, 9 * MS);
	EQ(a.request->gpu_ns, 8 * MS);
	teardown();
}

/* Work for the processor only: the GPU was held for it. */
static void test_cost_of_the_library(void)
{
	struct bn_gate_batch b = batch(1);

	setup_metered();
	YES(enter(&b));
	b.meter = 5;
	a.now += 4 * MS;
	bn_gate_started(a.gate, &b, false);
	finish_metered(2 * MS, 1);
	EQ(a.request->gpu_ns, 4 * MS);
	teardown();
}

/* Nothing is asked for what is not looked at, was not metered, or is no command stream. */
static void test_not_metered(void)
{
	struct bn_gate_batch b = batch(1);

	setup_metered();
	YES(enter(&b));
	b.meter = 0;
	bn_gate_started(a.gate, &b, false);
	finish_metered(MS, 1);
	EQ(a.request->gpu_ns, MS);
	b = (struct bn_gate_batch){.kind = BN_COST_TRANSFER, .ctx_id = 1};
	YES(enter(&b));
	NO(b.metered);
	bn_gate_started(a.gate, &b, false);
	finish_metered(MS, 1);
	a.grant->batch_max_ns = 0; /* uncontended: one in eight */
	for (unsigned i = 0, asked = 0; i < 80; i++) {
		b = batch(1);
		YES(enter(&b));
		asked += b.metered;
		YES(i < 79 || asked == 10);
		bn_gate_started(a.gate, &b, false);
		finish_metered(MS, 1);
	}
	bn_gate_set_meter(a.gate, NULL);
	a.grant->batch_max_ns = 2 * MS;
	b = batch(1);
	YES(enter(&b));
	NO(b.metered);
	bn_gate_started(a.gate, &b, false);
	EQ(clock_reads, 0);
	teardown();
}

/* Alone with the GPU: one in eight, and of small ones one in a millisecond. */
static void test_samples(void)
{
	struct bn_gate_batch b;
	unsigned sampled = 0, last = 0;

	setup();
	fake_arbiter_lease(&a);
	for (unsigned i = 0; i < 1000; i++) {
		b = batch(1);
		YES(enter(&b));
		if (b.sampled) {
			YES(sampled == 0 || i - last >= 66);
			last = i;
			sampled++;
		}
		bn_gate_started(a.gate, &b, false);
		a.now += 15000;
		finish(1);
	}
	YES(sampled >= 10);
	EQ(a.request->predictions, sampled);
	EQ(a.request->batches, 1000);
	a.grant->batch_max_ns = 2 * MS; /* somebody has come */
	for (unsigned i = 0; i < 10; i++) {
		b = batch(1);
		YES(enter(&b));
		YES(b.sampled);
		bn_gate_started(a.gate, &b, false);
		finish(1);
	}
	teardown();
}

static void test_coverage(void)
{
	uint64_t before;

	setup();
	a.grant->batch_max_ns = 2 * MS;
	fake_arbiter_lease(&a);
	for (unsigned i = 0; i < 10; i++) {
		YES(start());
		a.now += 5 * MS;
		finish(1);
	}
	EQ(a.request->predictions, 10);
	before = a.request->covered;
	YES(before >= 7 && before < 10); /* at first it knew no better */
	YES(start());
	YES(a.request->batch_predicted_ns >= 5 * MS);
	a.now += 50 * MS;
	finish(1);
	EQ(a.request->covered, before);
	teardown();
}

static void test_frames(void)
{
	struct bn_gate_batch b = batch(1);
	struct bn_gate_frame f;
	uint64_t t, number;

	setup();
	number = bn_gate_frame_end(a.gate);
	bn_gate_frame_done(a.gate, number, &f);
	EQ(f.queued_ns + f.done_ns + f.response_ns + f.batches, 0);
	t = a.now;
	NO(start());
	a.now += MS;
	fake_arbiter_grant(&a, BN_GRANT_FRAME, 100 * MS, UINT64_MAX);
	b.more = true;
	YES(enter(&b));
	bn_gate_started(a.gate, &b, false);
	a.now += 2 * MS;
	finish(1);
	a.now += 4 * MS; /* a gap */
	YES(start());
	number = bn_gate_frame_end(a.gate);
	a.now += 3 * MS;
	NO(start()); /* the next frame's */
	finish(1);
	bn_gate_frame_done(a.gate, number, &f);
	EQ(f.queued_ns, t);
	EQ(f.done_ns, t + 10 * MS);
	EQ(f.wait_ns, MS);
	EQ(f.gpu_ns, 5 * MS);
	EQ(f.response_ns, 6 * MS); /* without the gap */
	EQ(f.batches, 2);
	EQ(f.cuts, 1);
	EQ(a.request->frames, 2);
	for (unsigned i = 0; i < 100; i++)
		bn_gate_frame_end(a.gate);
	bn_gate_frame_done(a.gate, number, &f); /* forgotten */
	EQ(f.batches, 0);
	teardown();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"own fence", test_own_fence},
		{"no fence to be had", test_no_fence_to_be_had},
		{"very many", test_many},
		{"forget a context", test_forget},
		{"lose a context", test_lose},
		{"cost", test_cost},
		{"cost in software", test_cost_software},
		{"cost by the GPU's clock", test_cost_metered},
		{"… with several queued", test_cost_metered_queued},
		{"… of processor work", test_cost_of_the_library},
		{"not by the GPU's clock", test_not_metered},
		{"samples", test_samples},
		{"coverage", test_coverage},
		{"frames", test_frames},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("gate_batch", tests);
}
