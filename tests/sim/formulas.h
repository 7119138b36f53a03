/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each clock shows by the specification and decision D1, as closed formulas: exact
 * rational numbers, from the definition of the leap second alone. Nothing of lib/rtc is used, so
 * that the two can be held against each other.
 *
 * With L the midnight behind the leap second (UTC, POSIX count), d = TAI - UTC before it, and k =
 * +1 or -1, on an axis t of TAI:
 *
 *	UTC          t - d before the step, t - d - k from it on; the step is where 23:59:60
 *	             begins, t = L + d (k = +1), or where 23:59:59 would, t = L + d - 1 s (k = -1)
 *	NOON_LINEAR  from noon before to noon after L, 86400 + k s of TAI show 86400 s
 *	UTC_SLS      the last 1000 s of TAI before L's instant (t = L + d + k) show 1000 - k s
 */
#ifndef SIM_FORMULAS_H
#define SIM_FORMULAS_H

#include <stdint.h>

/* A leap second. */
struct sim_leap {
	const char *name;
	int64_t midnight_s; /* L */
	int64_t before_s;   /* d */
	int64_t sign;       /* k */
};

/* numerator / denominator ns. */
struct sim_time {
	__int128 numerator;
	int64_t denominator;
};

/* The instant of the step of UTC, on TAI. */
int64_t sim_step_tai_ns(const struct sim_leap *leap);

struct sim_time sim_utc(const struct sim_leap *leap, int64_t tai_ns);
struct sim_time sim_noon_linear(const struct sim_leap *leap, int64_t tai_ns);
struct sim_time sim_utc_sls(const struct sim_leap *leap, int64_t tai_ns);
struct sim_time sim_same(const struct sim_leap *leap, int64_t ns); /* TAI, monotonic */

/* Where the windows of smearing begin and end, on TAI. */
int64_t sim_noon_begin_ns(const struct sim_leap *leap);
int64_t sim_noon_end_ns(const struct sim_leap *leap);
int64_t sim_sls_begin_ns(const struct sim_leap *leap);
int64_t sim_sls_end_ns(const struct sim_leap *leap);

/* reading - time, in 2^-32 ns. */
int64_t sim_error(uint64_t reading_ns, struct sim_time time);

#endif
