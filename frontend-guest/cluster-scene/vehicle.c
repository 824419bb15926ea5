/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stddef.h>

#include "vehicle.h"

#define STEP (1.0 / 240.0)
/* Instruments show their whole range once at the start, as in a car. */
#define SELF_TEST 2.2
#define NEEDLE_STIFFNESS 90.0f

/* The speed that the driver wants, from which second on; then from the second phase again. */
static const struct {
	double from;
	float speed;
} plan[] = {
	{0.0, 0.0f},
	{3.0, 58.0f},
	{10.0, 92.0f},
	{17.0, 136.0f},
	{26.0, 104.0f},
	{33.0, 121.0f},
	{41.0, 46.0f},
	{48.0, 78.0f},
	{55.0, 58.0f},
};
#define PLAN_START 10.0
#define PLAN_END 58.0

/* Engine speed in thousands for each km/h, and where the next gear begins. */
static const struct {
	float ratio, up;
} gears[] = {
	{0.0f, 0.0f},
	{0.118f, 34.0f},
	{0.071f, 56.0f},
	{0.0485f, 84.0f},
	{0.0362f, 108.0f},
	{0.0285f, 400.0f},
};
#define LAST_GEAR 5

void bn_vehicle_init(struct bn_vehicle *vehicle)
{
	*vehicle = (struct bn_vehicle){
		.rpm = 0.8f, .range = 438.0f, .fuel = 0.68f, .telltales = BN_ALL_TELLTALES};
}

static float wanted_speed(double t)
{
	float speed = 0.0f;

	if (t > PLAN_END)
		t = PLAN_START + fmod(t - PLAN_START, PLAN_END - PLAN_START);
	for (size_t i = 0; i < sizeof(plan) / sizeof(plan[0]); i++) {
		if (t >= plan[i].from)
			speed = plan[i].speed;
	}
	/* No foot is quite still. */
	return speed > 0.0f ? speed + 1.6f * sinf((float)t * 0.9f) + 0.7f * sinf((float)t * 2.3f)
			    : 0.0f;
}

static void drive(struct bn_vehicle *v)
{
	float dt = (float)STEP, error = wanted_speed(v->time) - v->speed;
	float strongest = 19.0f - 0.075f * v->speed;
	float pull = fmaxf(-21.0f, fminf(strongest, error * 1.1f));

	v->speed = fmaxf(0.0f, v->speed + pull * dt);
	if (v->speed > 0.5f && v->gear == 0)
		v->gear = 1;
	if (v->gear > 0 && v->gear < LAST_GEAR && v->speed > gears[v->gear].up)
		v->gear++;
	if (v->gear > 1 && v->speed < gears[v->gear - 1].up - 9.0f)
		v->gear--;
	/* The clutch smooths what a shift does to the engine. */
	v->rpm += (fmaxf(0.8f, v->speed * gears[v->gear].ratio + 0.012f * fmaxf(pull, 0.0f)) -
			  v->rpm) *
		  dt * 9.0f;
	v->distance += (double)(v->speed / 3.6f * dt);
	v->range = 438.0f - (float)(v->distance / 1000.0);
}

static void follow(struct bn_needle *needle, float value)
{
	float dt = (float)STEP;
	float damping = 2.0f * sqrtf(NEEDLE_STIFFNESS) * 0.86f;

	needle->rate += (NEEDLE_STIFFNESS * (value - needle->value) - damping * needle->rate) * dt;
	needle->value += needle->rate * dt;
}

static void indicate(struct bn_vehicle *v)
{
	double t = v->time, turn = fmod(t, 24.0);
	int lit = fmod(t, 0.72) < 0.38;
	unsigned on = BN_LIGHTS;

	if (t < SELF_TEST) {
		v->telltales = BN_ALL_TELLTALES;
		return;
	}
	if (t < 4.5 && lit)
		on |= BN_SEAT_BELT;
	if (t < 3.0)
		on |= BN_BRAKE;
	if (turn > 7.5 && turn < 12.5 && lit)
		on |= BN_TURN_LEFT;
	if (turn > 17.0 && turn < 21.5 && lit)
		on |= BN_TURN_RIGHT;
	if (fmod(t, 30.0) > 11.0 && fmod(t, 30.0) < 24.0)
		on |= BN_HIGH_BEAM;
	v->telltales = on;
}

static void step(struct bn_vehicle *v)
{
	float sweep = 0.0f;

	v->time += STEP;
	if (v->time < SELF_TEST)
		sweep = 0.5f - 0.5f * cosf((float)(v->time / SELF_TEST) * 2.0f * (float)M_PI);
	drive(v);
	follow(&v->speed_needle, fmaxf(v->speed, sweep * BN_MAX_SPEED));
	follow(&v->rpm_needle, fmaxf(v->rpm, sweep * BN_MAX_RPM));
	indicate(v);
}

void bn_vehicle_advance(struct bn_vehicle *vehicle, double t)
{
	double limit = vehicle->time + 1.0;

	for (double end = fmin(t, limit); vehicle->time + STEP <= end;)
		step(vehicle);
	if (t > limit)
		vehicle->time = t;
}
