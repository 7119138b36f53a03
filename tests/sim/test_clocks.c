/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each clock through leap seconds, against the closed formulas: nanosecond by nanosecond around
 * every edge, at random in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "clock.h"
#include "formulas.h"
#include "leap_seconds.h"
#include "wire.h"

#define S         INT64_C(1000000000)
#define EDGE_NS   2000
#define RANDOM_N  20000
#define MAX_EDGES 12
#define ERROR_ONE (INT64_C(1) << 32) /* of sim_error(): 1 ns */

struct subject {
	const char *name;
	struct vrtc_clock clock;
	struct sim_time (*formula)(const struct sim_leap *leap, int64_t ns);
	int64_t slowest; /* what 1 ns of TAI moves it by, apart from the step of UTC */
	int64_t fastest;
};

static const struct subject subjects[] = {
	{"UTC", {VIRTIO_RTC_CLOCK_UTC, 0, false}, sim_utc, 1, 1},
	{"TAI", {VIRTIO_RTC_CLOCK_TAI, 0, false}, sim_same, 1, 1},
	{"MONOTONIC", {VIRTIO_RTC_CLOCK_MONOTONIC, 0, false}, sim_same, 1, 1},
	{"UTC_SMEARED, NOON_LINEAR",
		{VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR, false},
		sim_noon_linear, 0, 2},
	{"UTC_SMEARED, UTC_SLS", {VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UTC_SLS, false},
		sim_utc_sls, 0, 2},
	{"UTC_MAYBE_SMEARED", {VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED, 0, false}, sim_same, 1, 1},
};
#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

static struct vrtc_leap_table table;
static uint64_t seed;

static uint64_t any(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
	return (seed >> 16) % below;
}

static int load(void **state)
{
	(void)state;
	seed = 20161231;
	return sim_table(&table);
}

/* Where something begins or ends, of any clock. */
static unsigned edges_of(const struct sim_leap *leap, int64_t *edge)
{
	unsigned n = 0;

	edge[n++] = sim_step_tai_ns(leap);
	edge[n++] = sim_step_tai_ns(leap) + S;
	edge[n++] = sim_step_tai_ns(leap) - S;
	edge[n++] = sim_noon_begin_ns(leap);
	edge[n++] = sim_noon_end_ns(leap);
	edge[n++] = sim_sls_begin_ns(leap);
	edge[n++] = sim_sls_end_ns(leap);
	/* Seconds of no importance, and the middle of the windows. */
	edge[n++] = sim_step_tai_ns(leap) - 90000 * S;
	edge[n++] = sim_step_tai_ns(leap) + 90000 * S;
	edge[n++] = sim_step_tai_ns(leap) - 20000 * S;
	edge[n++] = sim_step_tai_ns(leap) - 500 * S;
	return n;
}

static int64_t read_at(const struct subject *subject, int64_t tai_ns)
{
	uint64_t reading_ns = 0;

	assert_true(vrtc_clock_read(&subject->clock, &table, tai_ns, &reading_ns));
	return (int64_t)reading_ns;
}

static int64_t error_at(const struct subject *subject, const struct sim_leap *leap, int64_t tai_ns)
{
	return sim_error((uint64_t)read_at(subject, tai_ns), subject->formula(leap, tai_ns));
}

static void widen(int64_t error, int64_t *least, int64_t *most)
{
	*least = error < *least ? error : *least;
	*most = error > *most ? error : *most;
}

static void each_clock_is_what_its_formula_says_but_for_rounding_down(void **state)
{
	(void)state;
	for (unsigned s = 0; s < SUBJECTS; s++) {
		int64_t least = 0, most = 0;

		for (unsigned l = 0; l < SIM_LEAPS; l++) {
			int64_t edge[MAX_EDGES];
			unsigned n = edges_of(&sim_leap[l], edge);

			for (unsigned e = 0; e < n; e++)
				for (int64_t ns = -EDGE_NS; ns <= EDGE_NS; ns++)
					widen(error_at(&subjects[s], &sim_leap[l], edge[e] + ns),
						&least, &most);
			for (unsigned i = 0; i < RANDOM_N; i++)
				widen(error_at(&subjects[s], &sim_leap[l],
					      edge[0] + (int64_t)any(200000 * (uint64_t)S) -
						      100000 * S),
					&least, &most);
		}
		print_message("%-26s off by %+.9f to %+.9f ns\n", subjects[s].name,
			(double)least / (double)ERROR_ONE, (double)most / (double)ERROR_ONE);
		assert_true(least > -ERROR_ONE);
		assert_int_equal(most, 0);
	}
}

static void utc_steps_at_the_nanosecond_at_which_the_leap_second_starts(void **state)
{
	(void)state;
	for (unsigned l = 0; l < SIM_LEAPS; l++) {
		int64_t step_ns = sim_step_tai_ns(&sim_leap[l]);
		int64_t midnight_ns = sim_leap[l].midnight_s * S;

		/* Inserted: 23:59:59.999999999, 23:59:59; left out: 23:59:58.999999999, 0:00:00. */
		if (sim_leap[l].sign > 0) {
			assert_true(read_at(&subjects[0], step_ns - 1) == midnight_ns - 1);
			assert_true(read_at(&subjects[0], step_ns) == midnight_ns - S);
			assert_true(read_at(&subjects[0], step_ns + S) == midnight_ns);
		} else {
			assert_true(read_at(&subjects[0], step_ns - 1) == midnight_ns - S - 1);
			assert_true(read_at(&subjects[0], step_ns) == midnight_ns);
		}
	}
}

static void nothing_but_utc_steps_and_nothing_goes_back(void **state)
{
	(void)state;
	for (unsigned s = 0; s < SUBJECTS; s++) {
		for (unsigned l = 0; l < SIM_LEAPS; l++) {
			int64_t edge[MAX_EDGES];
			unsigned n = edges_of(&sim_leap[l], edge);

			for (unsigned e = 0; e < n; e++) {
				for (int64_t ns = edge[e] - EDGE_NS; ns < edge[e] + EDGE_NS; ns++) {
					int64_t moved_ns = read_at(&subjects[s], ns + 1) -
							   read_at(&subjects[s], ns);

					if (s == 0 && ns + 1 == sim_step_tai_ns(&sim_leap[l]))
						assert_true(moved_ns == 1 - sim_leap[l].sign * S);
					else
						assert_in_range(moved_ns, subjects[s].slowest,
							subjects[s].fastest);
				}
			}
			for (unsigned i = 0; i < RANDOM_N; i++) {
				int64_t ns =
					edge[0] + (int64_t)any(200000 * (uint64_t)S) - 100000 * S;
				int64_t later_ns = ns + (int64_t)any(3 * (uint64_t)S);

				if (s > 0)
					assert_true(read_at(&subjects[s], later_ns) >=
						    read_at(&subjects[s], ns));
			}
		}
	}
}

static void windows_of_smearing_lose_or_gain_one_second_exactly(void **state)
{
	(void)state;
	for (unsigned l = 0; l < SIM_LEAPS; l++) {
		const struct sim_leap *leap = &sim_leap[l];
		int64_t noon_ns = read_at(&subjects[3], sim_noon_end_ns(leap)) -
				  read_at(&subjects[3], sim_noon_begin_ns(leap));
		int64_t sls_ns = read_at(&subjects[4], sim_sls_end_ns(leap)) -
				 read_at(&subjects[4], sim_sls_begin_ns(leap));

		assert_true(noon_ns == 86400 * S);
		assert_true(sls_ns == (1000 - leap->sign) * S);
		/* The rate is the same all through: so much after a thousandth of the window. */
		assert_true(read_at(&subjects[4], sim_sls_begin_ns(leap) + S) -
				    read_at(&subjects[4], sim_sls_begin_ns(leap)) ==
			    S - leap->sign * (S / 1000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_clock_is_what_its_formula_says_but_for_rounding_down),
		cmocka_unit_test(utc_steps_at_the_nanosecond_at_which_the_leap_second_starts),
		cmocka_unit_test(nothing_but_utc_steps_and_nothing_goes_back),
		cmocka_unit_test(windows_of_smearing_lose_or_gain_one_second_exactly),
	};

	return cmocka_run_group_tests_name("sim_clocks", tests, load, NULL);
}
