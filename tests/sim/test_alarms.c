/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inverse of the clocks through leap seconds: when does a clock show a time, or more, for the
 * first time? That is when an alarm of it expires.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "clock.h"
#include "formulas.h"
#include "leap_seconds.h"
#include "wire.h"

#define S        INT64_C(1000000000)
#define EDGE_NS  1000
#define RANDOM_N 20000

static const struct vrtc_clock utc = {VIRTIO_RTC_CLOCK_UTC, 0, false};
static const struct vrtc_clock noon_linear = {
	VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR, false};
static const struct vrtc_clock utc_sls = {
	VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UTC_SLS, false};
static const struct vrtc_clock *const clocks[] = {&utc, &noon_linear, &utc_sls};

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
	seed = 60;
	return sim_table(&table);
}

static int64_t read_at(const struct vrtc_clock *clock, int64_t tai_ns)
{
	uint64_t reading_ns = 0;

	assert_true(vrtc_clock_read(clock, &table, tai_ns, &reading_ns));
	return (int64_t)reading_ns;
}

static int64_t instant_of(const struct vrtc_clock *clock, int64_t alarm_ns)
{
	int64_t tai_ns = 0;

	assert_true(vrtc_clock_instant(clock, &table, (uint64_t)alarm_ns, &tai_ns));
	return tai_ns;
}

/* It shows the time or more there, and less just before. */
static void assert_first(const struct vrtc_clock *clock, int64_t alarm_ns)
{
	int64_t tai_ns = instant_of(clock, alarm_ns);

	assert_true(read_at(clock, tai_ns) >= alarm_ns);
	assert_true(read_at(clock, tai_ns - 1) < alarm_ns);
}

/* An alarm at what the clock shows at an instant expires then, or before if it was shown before. */
static void assert_round_trip(const struct vrtc_clock *clock, int64_t tai_ns)
{
	int64_t shown_ns = read_at(clock, tai_ns);
	int64_t first_ns = instant_of(clock, shown_ns);

	assert_true(first_ns <= tai_ns);
	assert_true(read_at(clock, first_ns) >= shown_ns);
	if (clock != &utc)
		assert_in_range(tai_ns - first_ns, 0, 1);
}

static void alarm_expires_when_its_clock_shows_its_time_for_the_first_time(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 3; c++) {
		for (unsigned l = 0; l < SIM_LEAPS; l++) {
			const struct sim_leap *leap = &sim_leap[l];
			const int64_t edge[] = {sim_noon_begin_ns(leap), sim_noon_end_ns(leap),
				sim_sls_begin_ns(leap), sim_sls_end_ns(leap),
				sim_step_tai_ns(leap)};
			int64_t midnight_ns = leap->midnight_s * S;

			for (unsigned e = 0; e < 5; e++)
				for (int64_t ns = -EDGE_NS; ns <= EDGE_NS; ns++) {
					assert_first(clocks[c], read_at(clocks[c], edge[e] + ns));
					assert_round_trip(clocks[c], edge[e] + ns);
				}
			for (unsigned i = 0; i < RANDOM_N; i++) {
				int64_t ns = (int64_t)any(200000 * (uint64_t)S) - 100000 * S;

				/* What UTC leaves out has a case of its own. */
				if (leap->sign > 0 || ns < -S || ns >= 0)
					assert_first(clocks[c], midnight_ns + ns);
				assert_round_trip(clocks[c], edge[4] + ns);
			}
		}
	}
}

static void alarm_in_a_repeated_second_expires_at_its_first_showing(void **state)
{
	(void)state;
	for (unsigned l = 0; l < SIM_LEAPS; l++) {
		int64_t midnight_ns = sim_leap[l].midnight_s * S;
		int64_t step_ns = sim_step_tai_ns(&sim_leap[l]);

		if (sim_leap[l].sign < 0)
			continue;
		for (unsigned i = 0; i < RANDOM_N; i++) {
			int64_t before_ns = 1 + (int64_t)any((uint64_t)S);

			assert_true(
				instant_of(&utc, midnight_ns - before_ns) == step_ns - before_ns);
			/* It shows it again a second later. */
			assert_true(
				read_at(&utc, step_ns - before_ns + S) == midnight_ns - before_ns);
		}
		assert_true(instant_of(&utc, midnight_ns) == step_ns + S);
	}
}

static void alarm_in_a_skipped_second_expires_when_the_clock_passes_it(void **state)
{
	(void)state;
	for (unsigned l = 0; l < SIM_LEAPS; l++) {
		int64_t midnight_ns = sim_leap[l].midnight_s * S;

		if (sim_leap[l].sign > 0)
			continue;
		for (unsigned i = 0; i < RANDOM_N; i++)
			assert_true(instant_of(&utc, midnight_ns - (int64_t)any((uint64_t)S)) ==
				    sim_step_tai_ns(&sim_leap[l]));
		assert_true(
			instant_of(&utc, midnight_ns - S - 1) == sim_step_tai_ns(&sim_leap[l]) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alarm_expires_when_its_clock_shows_its_time_for_the_first_time),
		cmocka_unit_test(alarm_in_a_repeated_second_expires_at_its_first_showing),
		cmocka_unit_test(alarm_in_a_skipped_second_expires_when_the_clock_passes_it),
	};

	return cmocka_run_group_tests_name("sim_alarms", tests, load, NULL);
}
