/* Pacing: guests, renderer, daemon and outputs together, in simulated time. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "common/log.h"

static const uint32_t rates[] = {59940, 60000, 75000, 90000, 144000};
#define RATES (sizeof(rates) / sizeof(rates[0]))
#define APPS_MAX 4u

static struct wl_event_loop *loop;
static uint64_t total_frames;

/* ---- a stage: outputs, VMs, and what runs in them ---- */

static struct sim_app apps[APPS_MAX];
static unsigned napps;
static struct sim_random dice;

static void handle_signalled(void *data)
{
	for (unsigned i = 0; i < napps; i++) {
		if (apps[i].vm == data)
			sim_app_wake(&apps[i]);
	}
}

static void vm_init(struct sim_vm *vm, struct sim_vm_config config, uint64_t stream)
{
	config.hop = (struct sim_range){5 * US, 40 * US};
	sim_vm_init(vm, &config, stream);
	vm->signalled = handle_signalled;
	vm->data = vm;
}

static struct sim_app *app_add_with(struct sim_vm *vm, enum app_throttle throttle, uint32_t ctx_id,
	struct sim_range cpu, struct sim_range gpu, unsigned buffers)
{
	struct sim_app *app = &apps[napps];

	*app = (struct sim_app){
		.vm = vm,
		.random = sim_random(1000 + napps + vm->random.state % 97),
		.throttle = throttle,
		.ctx_id = ctx_id,
		.buffers = buffers,
		.first_res = 1 + napps * APP_BUFFERS_MAX,
		.cpu = cpu,
		.gpu = gpu,
	};
	napps++;
	sim_app_start(app);
	return app;
}

static struct sim_app *app_add(struct sim_vm *vm, enum app_throttle throttle, uint32_t ctx_id,
	struct sim_range cpu, struct sim_range gpu)
{
	unsigned buffers = throttle == APP_WORKER ? 0 : 1 + (unsigned)sim_below(&dice, 4);

	return app_add_with(vm, throttle, ctx_id, cpu, gpu, buffers);
}

static void run(uint64_t ns)
{
	uint64_t end = sim_now() + ns;

	while (sim_step(end))
		;
}

static void stop_apps(void)
{
	for (unsigned i = 0; i < napps; i++) {
		sim_app_stop(&apps[i]);
		total_frames += apps[i].throttle == APP_WORKER ? 0 : apps[i].frames;
	}
}

static void close_stage(void)
{
	napps = 0;
	sim_clear();
}

/* Of one VM on one output. */
static void clear_stage(struct sim_vm *vm, struct sim_output *output)
{
	stop_apps();
	sim_vm_finish(vm);
	sim_output_finish(output);
	close_stage();
}

static uint64_t period(uint32_t mhz)
{
	return 1000000000000ull / mhz;
}

/* Up to so many percent of a period, down to a tenth of that. */
static struct sim_range share(uint32_t mhz, uint64_t percent)
{
	uint64_t max = period(mhz) * percent / 100;

	return (struct sim_range){max / 10, max};
}

static struct sim_vm_config some_config(struct sim_output *output)
{
	return (struct sim_vm_config){
		.outputs = {output},
		.engine = (enum gpu_engine)sim_below(&dice, 3),
		.rings = sim_one_in(&dice, 2),
		.export = sim_one_in(&dice, 2),
	};
}

/* Each flush was shown, but for those still on their way. */
static void check_all_shown(const struct sim_vm *vm, uint64_t frames, uint64_t under_way)
{
	SIM_CHECK(vm->monitor.frames_superseded == 0, "%llu frames dropped by the output",
		(unsigned long long)vm->monitor.frames_superseded);
	SIM_CHECK(vm->frames_sent <= frames && vm->frames_sent + under_way >= frames,
		"%llu frames of %llu flushes sent", (unsigned long long)vm->frames_sent,
		(unsigned long long)frames);
	SIM_CHECK(vm->monitor.frames_presented + under_way >= frames, "%llu of %llu presented",
		(unsigned long long)vm->monitor.frames_presented, (unsigned long long)frames);
}

/* ---- a guest that is quick enough ---- */

static const char *const throttle_names[] = {"mesa", "finish", "middle", "dumb"};

/* A guest that is just quick enough needs a moment to get its one frame ahead. */
static void settle_in(struct sim_vm *vm, uint32_t mhz)
{
	run(10 * period(mhz));
	memset(vm->seen, 0, sizeof(vm->seen));
}

static void check_in_step(
	const struct sim_vm *vm, unsigned scanout, uint32_t mhz, uint64_t ns, const char *what)
{
	const struct sim_seen *seen = &vm->seen[scanout];
	uint64_t vblanks = (uint64_t)((unsigned __int128)ns * mhz / 1000000000000ull);

	SIM_CHECK(seen->steps[1] + 1 == seen->presents, "%s at %u mHz: %llu presents, %llu in step",
		what, mhz, (unsigned long long)seen->presents, (unsigned long long)seen->steps[1]);
	SIM_CHECK(seen->presents + 3 >= vblanks && seen->presents <= vblanks + 1,
		"%s at %u mHz: %llu presents in %llu vblanks", what, mhz,
		(unsigned long long)seen->presents, (unsigned long long)vblanks);
	SIM_CHECK(seen->backlog_max <= 2, "%s at %u mHz: %u flushes waiting", what, mhz,
		seen->backlog_max);
}

static void fits(uint32_t mhz, enum app_throttle throttle, uint64_t cpu, uint64_t gpu)
{
	const uint64_t ns = 60 * S;
	struct sim_output output;
	struct sim_app *app;
	struct sim_vm vm;

	sim_output_init(&output, loop, mhz, false);
	vm_init(&vm, some_config(&output), mhz);
	app = app_add(
		&vm, throttle, throttle == APP_DUMB ? 0 : 1, share(mhz, cpu), share(mhz, gpu));
	settle_in(&vm, mhz);
	run(ns);
	check_in_step(&vm, 0, mhz, ns, throttle_names[throttle]);
	check_all_shown(&vm, app->frames, 3);
	clear_stage(&vm, &output);
}

/* Presented exactly once per refresh, on a grid that does not drift, nothing doubled, nothing
 * dropped. */
static void test_fits(void)
{
	for (unsigned i = 0; i < RATES; i++) {
		for (unsigned k = 0; k < 4; k++) {
			fits(rates[i], APP_MESA, 2 + sim_below(&dice, 88),
				2 + sim_below(&dice, 88));
			fits(rates[i], APP_MESA, 2, 2);
			fits(rates[i], APP_FINISH, 2 + sim_below(&dice, 40),
				2 + sim_below(&dice, 40));
			fits(rates[i], APP_MIDDLE, 2 + sim_below(&dice, 18),
				2 + sim_below(&dice, 18));
			fits(rates[i], APP_DUMB, 2 + sim_below(&dice, 88), 0);
		}
	}
	sim_settle();
}

/* ---- a guest that is not ---- */

static void slow(uint32_t mhz, enum app_throttle throttle, uint64_t cpu, uint64_t gpu)
{
	struct sim_output output;
	struct sim_app *app;
	struct sim_vm vm;

	sim_output_init(&output, loop, mhz, false);
	vm_init(&vm, some_config(&output), mhz);
	app = app_add(
		&vm, throttle, throttle == APP_DUMB ? 0 : 1, share(mhz, cpu), share(mhz, gpu));
	run(60 * S);
	check_all_shown(&vm, app->frames, 3);
	SIM_CHECK(vm.seen[0].backlog_max <= 2, "%u flushes waiting", vm.seen[0].backlog_max);
	clear_stage(&vm, &output);
}

/* Steady times: the figure to compare with is exact. */
static void slow_but_no_slower(uint32_t mhz, uint64_t cpu, uint64_t gpu)
{
	struct sim_output output;
	struct sim_app *app;
	struct sim_vm vm;
	uint64_t slowest = cpu > gpu ? cpu : gpu;

	sim_output_init(&output, loop, mhz, false);
	vm_init(&vm, some_config(&output), mhz);
	app = app_add(&vm, APP_MESA, 1, (struct sim_range){cpu, cpu}, (struct sim_range){gpu, gpu});
	run(60 * S);
	/* Two buffers without a copy: the GPU begins when a display lets go of the other one. */
	if (vm.config.export && app->buffers == 2) {
		gpu += period(mhz) + 200 * US;
		gpu -= gpu % period(mhz);
		slowest = cpu > gpu ? cpu : gpu;
	}
	SIM_CHECK(app->frames >= 60 * S / (slowest + slowest / 20 + 200 * US),
		"%llu frames with %llu + %llu us at %u mHz", (unsigned long long)app->frames,
		(unsigned long long)(cpu / US), (unsigned long long)(gpu / US), mhz);
	clear_stage(&vm, &output);
}

/* Skips refreshes, but never has more than one frame waiting behind the one on its way to the
 * display, and the display costs it nothing. */
static void test_slow(void)
{
	for (unsigned i = 0; i < RATES; i++) {
		for (unsigned k = 0; k < 10; k++) {
			enum app_throttle throttle = (enum app_throttle)sim_below(&dice, 4);

			slow(rates[i], throttle, 20 + sim_below(&dice, 400),
				20 + sim_below(&dice, 400));
		}
		slow_but_no_slower(rates[i], period(rates[i]) / 4, period(rates[i]) * 13 / 10);
		slow_but_no_slower(rates[i], period(rates[i]) * 17 / 10, period(rates[i]) / 3);
	}
	sim_settle();
}

/* ---- off-screen work beside it ---- */

static void worker(uint32_t mhz, struct sim_vm_config config)
{
	struct sim_output output;
	struct sim_vm vm;

	sim_output_init(&output, loop, mhz, false);
	config.outputs[0] = &output;
	vm_init(&vm, config, mhz);
	app_add(&vm, APP_MESA, 1, share(mhz, 20), share(mhz, 20));
	app_add(&vm, APP_WORKER, 2, share(mhz, 5), share(mhz, 10));
	run(20 * S);
	/* A context that shows nothing is never held: where the timeline allows it (its own, or
	 * one for all in the order of the GPU), the answer goes out with the GPU's word. */
	if (config.rings || config.engine != GPU_PARALLEL)
		SIM_CHECK(vm.lag_max[2] == 0, "off-screen work held for %llu us",
			(unsigned long long)(vm.lag_max[2] / US));
	if (config.rings)
		check_in_step(&vm, 0, mhz, 20 * S, "beside off-screen work");
	/* Without a copy the control queue waits for the display when the guest runs out of buffers:
	 * it is one frame ahead at most, or more if the worker's fences let its own out. */
	bool waits = config.export && apps[0].buffers > 1 &&
		     (!config.rings || apps[0].buffers < 4);
	/* Until the first export fails it is not known that there are copies. */
	SIM_CHECK(waits || !config.export || vm.stats.release_waits == 0,
		"%llu waits for the display, %u buffers",
		(unsigned long long)vm.stats.release_waits, apps[0].buffers);
	SIM_CHECK(!waits || apps[0].buffers > 2 || vm.stats.release_waits > 1000, "no waits");
	SIM_CHECK(vm.stats.release_timeouts == 0, "waited in vain");
	SIM_CHECK(apps[1].frames > 20 * S / period(mhz) * (waits ? 9 : 40) / 10,
		"off-screen: %llu rounds", (unsigned long long)apps[1].frames);
	clear_stage(&vm, &output);
}

static void test_worker(void)
{
	for (unsigned i = 0; i < RATES; i++) {
		for (unsigned k = 0; k < 12; k++) {
			struct sim_vm_config config = {
				.engine = k % 3,
				.rings = k / 3 % 2,
				.export = k / 6,
			};

			worker(rates[i], config);
		}
	}
	sim_settle();
}

/* ---- free running ---- */

static void test_free(void)
{
	for (unsigned k = 0; k < 12; k++) {
		struct sim_output output;
		struct sim_vm vm;
		struct sim_app *app;
		const uint64_t cpu = 500 * US;

		sim_output_init(&output, loop, 60000, true);
		vm_init(&vm, some_config(&output), k);
		app = app_add(&vm, k % 2 ? APP_MESA : APP_DUMB, k % 2, (struct sim_range){cpu, cpu},
			(struct sim_range){10 * US, 400 * US});
		run(20 * S);
		/* A dumb flush is a round trip by way of the daemon: six hops at most. */
		SIM_CHECK(app->frames >= 20 * S / (cpu + (k % 2 ? 100 : 240) * US),
			"held back: %llu frames", (unsigned long long)app->frames);
		check_all_shown(&vm, app->frames, 3);
		clear_stage(&vm, &output);
	}
	sim_settle();
}

/* ---- two displays ---- */

/* Everything that VM 0's guest sees, with or without another VM that behaves badly. */
static uint64_t alone_or_not(bool other, uint64_t *frames)
{
	struct sim_output output[2];
	struct sim_vm vm[2];
	uint64_t digest;

	for (unsigned i = 0; i < 2; i++) {
		struct sim_vm_config config = {.outputs = {&output[i]}, .rings = true};

		sim_output_init(&output[i], loop, i ? 144000 : 60000, false);
		vm_init(&vm[i], config, 50 + i);
	}
	dice = sim_random(3);
	app_add(&vm[0], APP_MESA, 1, share(60000, 60), share(60000, 60));
	if (other) {
		app_add(&vm[1], APP_MESA, 1, share(144000, 150), share(144000, 300));
		app_add(&vm[1], APP_WORKER, 2, share(144000, 5), share(144000, 20));
	}
	run(120 * S);
	check_in_step(&vm[0], 0, 60000, 120 * S, "beside another VM");
	digest = vm[0].digest;
	*frames = apps[0].frames;
	stop_apps();
	for (unsigned i = 0; i < 2; i++)
		sim_vm_finish(&vm[i]);
	for (unsigned i = 0; i < 2; i++)
		sim_output_finish(&output[i]);
	close_stage();
	return digest;
}

static void test_two_vms(void)
{
	uint64_t alone_frames, frames, alone, together, start = sim_now();

	/* The same start within the grid, so that the two runs can be equal to the last bit. */
	alone = alone_or_not(false, &alone_frames);
	sim_rewind(start);
	together = alone_or_not(true, &frames);
	SIM_CHECK(alone == together && alone_frames == frames, "the other VM made a difference");
	sim_settle();
}

static void test_two_scanouts(void)
{
	for (unsigned i = 0; i < RATES; i++) {
		struct sim_output output[2];
		struct sim_vm_config config = {.outputs = {&output[0], &output[1]}, .rings = true};
		struct sim_app *second;
		struct sim_vm vm;
		uint32_t other = rates[(i + 1) % RATES];

		sim_output_init(&output[0], loop, rates[i], false);
		sim_output_init(&output[1], loop, other, false);
		config.engine = GPU_PARALLEL;
		vm_init(&vm, config, i);
		app_add(&vm, APP_MESA, 1, share(rates[i], 60), share(rates[i], 60));
		second = app_add(&vm, i % 2 ? APP_DUMB : APP_MESA, i % 2 ? 0 : 2, share(other, 60),
			share(other, 60));
		second->scanout = 1;
		run(60 * S);
		check_in_step(&vm, 0, rates[i], 60 * S, "first display");
		check_in_step(&vm, 1, other, 60 * S, "second display");
		stop_apps();
		sim_vm_finish(&vm);
		sim_output_finish(&output[0]);
		sim_output_finish(&output[1]);
		close_stage();
	}
	sim_settle();
}

/* The same without copies: a slow display does not slow a fast one, which is waited for. */
static void test_two_rates(void)
{
	struct sim_output output[2];
	struct sim_vm_config config = {
		.outputs = {&output[0], &output[1]}, .rings = true, .export = true};
	struct sim_vm vm;

	sim_output_init(&output[0], loop, 60000, false);
	sim_output_init(&output[1], loop, 144000, false);
	config.engine = GPU_PARALLEL;
	vm_init(&vm, config, 9);
	for (unsigned i = 0; i < 2; i++) {
		struct sim_range time = share(144000, 40);

		app_add_with(&vm, APP_MESA, 1 + i, time, time, 2)->scanout = i;
	}
	vm.tears = 1u << 0;
	run(60 * S);
	check_in_step(&vm, 0, 60000, 60 * S, "slow display");
	check_in_step(&vm, 1, 144000, 60 * S, "fast display");
	SIM_CHECK(vm.stats.release_waits > 1000 && vm.stats.release_timeouts == 0, "%llu waits",
		(unsigned long long)vm.stats.release_waits);
	stop_apps();
	sim_vm_finish(&vm);
	for (unsigned i = 0; i < 2; i++)
		sim_output_finish(&output[i]);
	close_stage();
	sim_settle();
}

/* ---- disturbances ---- */

/* What a guest may do in the middle of a frame, and its host. */
static void disturb(struct sim_vm *vm, struct sim_output *output)
{
	struct sim_app *app = &apps[0];

	switch (sim_below(&dice, 7)) {
	case 0:
		sim_app_scanout_off(app);
		break;
	case 1: /* the application ends, another begins */
		sim_app_stop(app);
		sim_app_clean(app);
		sim_app_start(app);
		break;
	case 2: /* a new driver */
		for (unsigned i = 0; i < napps; i++)
			sim_app_stop(&apps[i]);
		sim_vm_reset(vm);
		for (unsigned i = 0; i < napps; i++)
			sim_app_start(&apps[i]);
		break;
	case 3:
		bn_output_set_mode(output->output, 16, 16, rates[sim_below(&dice, RATES)]);
		sim_output_tend(output);
		break;
	case 4: /* the rings stop and go on, as for a migration or a suspend */
		sim_vm_drain(vm, true);
		run(sim_below(&dice, 3) * MS);
		sim_vm_drain(vm, false);
		break;
	case 5: /* one buffer goes, perhaps while the GPU still draws it */
		sim_app_new_buffer(app);
		break;
	default: /* its buffers go while they are shown */
		sim_app_stop(app);
		sim_app_clean(app);
		run(sim_below(&dice, 3) * MS);
		sim_app_start(app);
		break;
	}
}

static void disturbed(enum app_throttle throttle)
{
	struct sim_output output;
	struct sim_vm vm;
	uint32_t ctx_id = throttle == APP_DUMB ? 0 : 1;

	sim_output_init(&output, loop, rates[sim_below(&dice, RATES)], false);
	vm_init(&vm, some_config(&output), sim_next(&dice));
	app_add(&vm, throttle, ctx_id, share(90000, 10 + sim_below(&dice, 150)),
		share(90000, 10 + sim_below(&dice, 150)));
	app_add(&vm, APP_WORKER, 2, share(90000, 20), share(90000, 40));
	for (unsigned i = 0; i < 400; i++) {
		uint64_t presents, frames;

		run(sim_within(&dice, (struct sim_range){0, 60 * MS}));
		disturb(&vm, &output);
		if (i % 20 != 19)
			continue;
		presents = vm.seen[0].presents;
		frames = apps[0].frames;
		run(200 * MS);
		presents = vm.seen[0].presents - presents;
		frames = apps[0].frames - frames;
		SIM_CHECK(presents >= 3, "it does not go on");
		/* Without rings the worker's fences let the others out. */
		SIM_CHECK(!vm.config.rings || frames <= presents + 3,
			"%llu frames for %llu presents", (unsigned long long)frames,
			(unsigned long long)presents);
	}
	stop_apps();
	run(200 * MS);
	SIM_CHECK(vm.sent == vm.answered, "%llu of %llu answered", (unsigned long long)vm.answered,
		(unsigned long long)vm.sent);
	sim_vm_finish(&vm);
	sim_output_finish(&output);
	close_stage();
}

static void test_disturbed(void)
{
	for (unsigned k = 0; k < 40; k++)
		disturbed(k % 4);
	sim_settle();
}

/* ---- a host that is late ---- */

static void test_late(void)
{
	for (unsigned i = 0; i < RATES; i++) {
		for (unsigned k = 0; k < 4; k++) {
			struct sim_output output;
			struct sim_vm vm;
			struct sim_app *app;
			uint64_t late = period(rates[i]) * (k + 1);

			sim_output_init(&output, loop, rates[i], false);
			output.late = (struct sim_range){0, late};
			vm_init(&vm, some_config(&output), k);
			app = app_add(&vm, k % 2 ? APP_MESA : APP_DUMB, k % 2, share(rates[i], 30),
				share(rates[i], 30));
			run(60 * S);
			check_all_shown(&vm, app->frames, 3);
			SIM_CHECK(
				vm.seen[0].backlog_max <= 2, "%u waiting", vm.seen[0].backlog_max);
			SIM_CHECK(app->frames >= 60 * S / (2 * period(rates[i]) + late),
				"%llu frames", (unsigned long long)app->frames);
			output.late = (struct sim_range){0, 0};
			run(S); /* on time again: in step again */
			vm.seen[0] = (struct sim_seen){0};
			run(10 * S);
			check_in_step(&vm, 0, rates[i], 10 * S, "after lateness");
			clear_stage(&vm, &output);
		}
	}
	sim_settle();
}

static void test_enough(void)
{
	printf("%llu frames ", (unsigned long long)total_frames);
	CU_ASSERT_TRUE(total_frames >= 1000000);
}

int main(void)
{
	const CU_TestInfo tests[] = {
		{"once per refresh", test_fits},
		{"slower than the display", test_slow},
		{"off-screen work", test_worker},
		{"free running", test_free},
		{"two VMs, two rates", test_two_vms},
		{"two displays of one VM", test_two_scanouts},
		{"two rates without copies", test_two_rates},
		{"changes in mid-frame", test_disturbed},
		{"late wake-ups", test_late},
		{"a million frames", test_enough},
		CU_TEST_INFO_NULL,
	};
	int r;

	loop = wl_event_loop_create();
	dice = sim_random(1);
	bn_log_init(BN_LOG_ERROR, "sim");
	r = bn_unit_main("sim_pacing", tests);
	wl_event_loop_destroy(loop);
	return r;
}
