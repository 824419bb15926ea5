/* SPDX-License-Identifier: MIT */
/*
 * A drive to show: what the instruments of a car would be told over its bus. Pure and
 * deterministic.
 */
#ifndef BN_CLUSTER_VEHICLE_H
#define BN_CLUSTER_VEHICLE_H

enum bn_telltale {
	BN_TURN_LEFT = 1 << 0,
	BN_TURN_RIGHT = 1 << 1,
	BN_HIGH_BEAM = 1 << 2,
	BN_SEAT_BELT = 1 << 3,
	BN_ENGINE = 1 << 4,
	BN_BATTERY = 1 << 5,
	BN_BRAKE = 1 << 6,
	BN_ABS = 1 << 7,
	BN_LIGHTS = 1 << 8,
	BN_ALL_TELLTALES = (1 << 9) - 1,
};

#define BN_MAX_SPEED 240.0f
#define BN_MAX_RPM 8.0f

/* A needle has mass and a damper: it follows its value smoothly. */
struct bn_needle {
	float value, rate;
};

struct bn_vehicle {
	double time;        /* s since the start */
	float speed;        /* km/h */
	float rpm;          /* thousands */
	int gear;           /* 0 = parked */
	double distance;    /* m */
	float range;        /* km */
	float fuel;         /* 0 … 1 */
	unsigned telltales; /* enum bn_telltale, as lit in this moment */
	struct bn_needle speed_needle, rpm_needle;
};

/* The vehicle as it stands at the start. */
void bn_vehicle_init(struct bn_vehicle *vehicle);

/*
 * Moves time on to t seconds after the start, in small fixed steps; going back, and pauses over 1
 * s, are skipped.
 */
void bn_vehicle_advance(struct bn_vehicle *vehicle, double t);

#endif
