/* When answers go out: order on timelines, the GPU, displays, and the soft hold that paces
 * guests. */
#include "fence.h"

#include <string.h>

#include "fake_gl.h"
#include "unit.h"

static struct bn_gl gl;
static struct bn_fences *fences;
static struct bn_stats stats;
static struct bn_hold hold_a, hold_b;
static struct bn_vq_request requests[64];
static char out[64]; /* the names of the answers that went out */
static unsigned nout;

static void handle_answer(void *data, struct bn_vq_request *request, uint32_t written)
{
	CU_ASSERT_EQUAL(written, 24);
	out[nout++] = (char)('a' + (request - requests));
	out[nout] = '\0';
}

static const struct bn_fences_ops ops = {.answer = handle_answer};

static void setup(void)
{
	memset(&gl, 0, sizeof(gl));
	memset(&stats, 0, sizeof(stats));
	nout = 0;
	out[0] = '\0';
	fences = bn_fences_create(&ops, NULL, &stats);
	bn_fences_set_gl(fences, &gl);
	bn_hold_init(fences, &hold_a);
	bn_hold_init(fences, &hold_b);
}

static void teardown(void)
{
	bn_fences_reset(fences);
	bn_hold_finish(&hold_a);
	bn_hold_finish(&hold_b);
	bn_fences_destroy(fences);
	CU_ASSERT_EQUAL(stats.fences_pending, 0);
}

static const struct bn_fence_key global = {.fenced = true}, unfenced = {0};
static const struct bn_fence_key ring1 = {.fenced = true, .ring = true, .ctx_id = 1};
static const struct bn_fence_key ring2 = {.fenced = true, .ring = true, .ctx_id = 2};

/* Answers by name: done at once, after the GPU work of a context, or after flushes. */
static void done(char name, const struct bn_fence_key *key)
{
	bn_fences_done(fences, key, &requests[name - 'a'], 24);
}

static void gpu(char name, const struct bn_fence_key *key, uint32_t ctx)
{
	bn_fences_gpu(fences, key, ctx, ctx == 1 ? &hold_a : &hold_b, &requests[name - 'a'], 24);
}

static void flush(char name, const struct bn_fence_key *key, unsigned scanout, uint64_t number)
{
	struct bn_flush_set set = {.mask = (uint16_t)(1u << scanout)};

	set.number[scanout] = number;
	bn_fences_flush(fences, key, &set, &requests[name - 'a'], 24);
}

static void finish(unsigned i)
{
	bn_fences_gpu_done(fences, gl.fence[i].ctx_id, gl.fence[i].id);
}

#define OUT(text) CU_ASSERT_STRING_EQUAL(out, text)

static void test_order(void)
{
	setup();
	done('a', &global);
	OUT("a");
	gpu('b', &global, 1);
	done('c', &global);
	gpu('d', &global, 2);
	done('e', &unfenced);
	OUT("ae");
	finish(1); /* d's, but b comes first */
	OUT("ae");
	finish(0);
	OUT("aebcd");
	CU_ASSERT_EQUAL(stats.fences, 4);
	teardown();
}

static void test_timelines(void)
{
	setup();
	gpu('a', &ring1, 1);
	gpu('b', &ring2, 2);
	gpu('c', &ring1, 1);
	done('d', &global);
	OUT("d");
	finish(1);
	OUT("db");
	finish(2); /* a context finishes in order: a is done, too */
	OUT("dbac");
	teardown();
}

static void test_unfenced_gpu(void)
{
	setup();
	gpu('a', &unfenced, 1);
	OUT("a");
	CU_ASSERT_EQUAL(gl.fences, 0);
	gl.fences = FAKE_GL_MAX; /* no fence to be had: answered at once */
	gpu('b', &global, 1);
	OUT("ab");
	gl.fences = 0;
	teardown();
}

static void test_ctx_gone(void)
{
	setup();
	gpu('a', &global, 1);
	gpu('b', &global, 2);
	bn_fences_ctx_gone(fences, 1);
	OUT("a");
	finish(0); /* reported late: nothing happens */
	finish(1);
	OUT("ab");
	teardown();
}

static void test_flush(void)
{
	struct bn_flush_set two = {.mask = 3, .number = {5, 7}};

	setup();
	flush('a', &unfenced, 0, 1);
	flush('b', &unfenced, 0, 2);
	OUT("");
	bn_fences_presented(fences, 1, 9);
	OUT("");
	bn_fences_presented(fences, 0, 1);
	OUT("a");
	flush('c', &global, 0, 3);
	done('d', &global);
	bn_fences_presented(fences, 0, 3); /* covers b */
	CU_ASSERT_EQUAL(nout, 4);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "cd"));
	nout = 0;
	bn_fences_flush(fences, &unfenced, &two, &requests[4], 24);
	bn_fences_presented(fences, 0, 5);
	CU_ASSERT_EQUAL(nout, 0);
	bn_fences_presented(fences, 1, 7);
	OUT("e");
	teardown();
}

static void test_hold(void)
{
	setup();
	/* Finished before the flush: free. */
	gpu('a', &ring1, 1);
	finish(0);
	OUT("a");
	bn_hold_add(&hold_a, 0, 1);
	gpu('b', &ring1, 1);
	finish(1);
	OUT("a"); /* held */
	gpu('c', &ring2, 2);
	finish(2);
	OUT("ac"); /* another context is not */
	bn_hold_add(&hold_a, 0, 2);
	gpu('d', &ring1, 1);
	finish(3); /* the frame after flush 2 */
	OUT("ac");
	bn_fences_presented(fences, 0, 1);
	OUT("acb"); /* one frame for each refresh */
	gpu('e', &ring1, 1);
	finish(4);
	OUT("acb");
	bn_fences_presented(fences, 0, 2);
	OUT("acbde");
	gpu('f', &ring1, 1);
	finish(5);
	OUT("acbdef"); /* nothing is unpresented any more */
	/* The GPU is slower than the guest's way to the flush: held for its own frame. */
	gpu('g', &ring1, 1);
	bn_hold_add(&hold_a, 0, 3);
	bn_hold_add(&hold_a, 0, 4);
	finish(6);
	OUT("acbdef");
	bn_fences_presented(fences, 0, 3);
	OUT("acbdefg");
	teardown();
}

static void test_soft(void)
{
	setup();
	bn_hold_add(&hold_a, 0, 1);
	gpu('a', &global, 1);
	gpu('b', &global, 2);
	gpu('c', &global, 1);
	finish(0);
	OUT("");
	finish(1); /* b is not held: a goes with it */
	OUT("ab");
	finish(2);
	OUT("ab");
	bn_fences_presented(fences, 0, 1);
	OUT("abc");
	teardown();
}

/* A context that draws for two displays follows whichever comes first. */
static void test_two_displays(void)
{
	setup();
	bn_hold_add(&hold_a, 0, 1);
	bn_hold_add(&hold_a, 3, 1);
	gpu('a', &ring1, 1);
	finish(0);
	OUT("");
	bn_fences_presented(fences, 3, 1);
	OUT("a");
	gpu('b', &ring1, 1);
	finish(1);
	OUT("a");
	bn_fences_presented(fences, 0, 1);
	OUT("ab");
	teardown();
}

static void test_ignore_displays(void)
{
	setup();
	bn_hold_add(&hold_a, 0, 1);
	gpu('a', &ring1, 1);
	gpu('b', &ring1, 1);
	finish(0);
	flush('c', &unfenced, 0, 1);
	bn_fences_ignore_displays(fences, true);
	OUT("ac");
	bn_hold_add(&hold_a, 0, 2);
	finish(1);
	OUT("acb");
	flush('d', &unfenced, 0, 2);
	OUT("acbd");
	bn_fences_ignore_displays(fences, false);
	flush('e', &unfenced, 0, 3);
	OUT("acbd");
	teardown();
	OUT("acbde"); /* a reset answers everything */
}

static int waits, cancels;
static void handle_wait(void *data, bool cancelled)
{
	CU_ASSERT_PTR_EQUAL(data, &waits);
	if (cancelled)
		cancels++;
	else
		waits++;
}

static void test_wait(void)
{
	const uint32_t ids[] = {1, 2};

	setup();
	waits = 0;
	cancels = 0;
	CU_ASSERT_EQUAL(bn_fences_wait(fences, NULL, 0, handle_wait, &waits), 0);
	CU_ASSERT_EQUAL(waits, 1);
	CU_ASSERT_EQUAL(bn_fences_wait(fences, ids, 2, handle_wait, &waits), 0);
	finish(1);
	CU_ASSERT_EQUAL(waits, 1);
	CU_ASSERT_EQUAL(bn_fences_gpu_pending(fences), 1);
	bn_fences_ctx_gone(fences, 1);
	CU_ASSERT_EQUAL(waits, 2);
	CU_ASSERT_EQUAL(bn_fences_wait(fences, ids, 2, handle_wait, &waits), 0);
	teardown();
	CU_ASSERT_EQUAL(waits, 2);
	CU_ASSERT_EQUAL(cancels, 1);
	CU_ASSERT_TRUE(stats.gpu_busy_ns > 0);
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"order", test_order},
		{"timelines", test_timelines},
		{"no fence asked for, or to be had", test_unfenced_gpu},
		{"context destroyed", test_ctx_gone},
		{"flushes wait for displays", test_flush},
		{"held for one frame", test_hold},
		{"the hold is soft", test_soft},
		{"two displays", test_two_displays},
		{"displays ignored", test_ignore_displays},
		{"waits", test_wait},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("fence", tests);
}
