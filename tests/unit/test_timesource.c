/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timesource.c with a PTP hardware clock whose line is drawn here: it shows T0 when the host's
 * counter was read, and goes on as slowly as a line can, so that a reading is known to the
 * microsecond, however long a test takes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "timesource.h"

#define NS_PER_S    INT64_C(1000000000)
#define UTC_1972_01 (INT64_C(63072000) * NS_PER_S)
#define UTC_1972_07 (INT64_C(78796800) * NS_PER_S) /* after a leap second: 10 to 11 s */
#define UTC_1973_01 (INT64_C(94694400) * NS_PER_S) /* an invented negative one: 11 to 10 s */
/* A nanosecond in 2^20 counts: a test of an hour is some 10 us. */
#define SLOW        (INT64_C(1) << (VRTC_PHC_RATE_SHIFT - 20))
#define SOON_NS     (10 * 1000 * 1000)

static const char table_text[] = "#@ 2366755200\n"
				 "2272060800 10 # 1 Jan 1972\n"
				 "2287785600 11 # 1 Jul 1972\n"
				 "2303683200 10 # 1 Jan 1973\n";

static struct vrtc_leap_table table;
static struct vrtc_hosttime host;
static struct vrtc_pairing pairing;
static struct vrtc_phc phc;
static struct vrtc_timesource source = {.host = &host, .pairing = &pairing, .phc = &phc};

static int begin(void **state)
{
	struct vrtc_hosttime_report report;

	(void)state;
	if (vrtc_leap_parse(&table, table_text, strlen(table_text), NULL) != VRTC_LEAP_OK)
		return -1;
	vrtc_hosttime_init(&host, VRTC_HOST_UTC, &table, &report);
	vrtc_pairing_init(&pairing);
	memset(&phc, 0, sizeof(phc));
	phc.counter = vrtc_counter_choose();
	source.phc_is_utc = false;
	return 0;
}

static void show(int64_t time_ns)
{
	struct vrtc_phc_line line = {
		.counter0 = vrtc_counter_read(phc.counter),
		.time0_ns = time_ns,
		.before_rate = SLOW,
		.bent_rate = SLOW,
		.bend = UINT64_MAX / 4,
		.rate = SLOW,
		.counts_max = UINT64_MAX / 4,
	};

	vrtc_phc_line_publish(&phc.published, &line);
}

static struct vrtc_instant read_tai(void)
{
	struct vrtc_instant now = {.known = false};

	vrtc_timesource_read(&source, VRTC_TIMEBASE_TAI, &now);
	return now;
}

#define NEAR(ns, expected_ns) assert_in_range((ns) - (expected_ns), 0, SOON_NS)

static void a_clock_on_tai_is_taken_as_it_is(void **state)
{
	struct vrtc_instant now;

	(void)state;
	show(UTC_1972_07);
	now = read_tai();
	assert_true(now.known);
	assert_ptr_equal(now.leap, &table);
	NEAR(now.timebase_ns, UTC_1972_07);
}

static void a_clock_on_utc_is_taken_through_the_table(void **state)
{
	struct vrtc_instant now;

	(void)state;
	source.phc_is_utc = true;
	show(UTC_1972_01);
	now = read_tai();
	assert_true(now.known);
	NEAR(now.timebase_ns, UTC_1972_01 + 10 * NS_PER_S);
	show(UTC_1972_07);
	now = read_tai();
	NEAR(now.timebase_ns, UTC_1972_07 + 11 * NS_PER_S);
}

static void a_second_that_utc_shows_twice_is_taken_for_the_first(void **state)
{
	int64_t tai_ns = 0;

	(void)state;
	assert_true(vrtc_timesource_tai_from_utc(&table, UTC_1972_07 - NS_PER_S / 2, &tai_ns));
	assert_int_equal(tai_ns, UTC_1972_07 - NS_PER_S / 2 + 10 * NS_PER_S);
}

static void a_second_that_utc_skips_is_known_all_the_same(void **state)
{
	int64_t tai_ns = 0;

	(void)state;
	assert_true(vrtc_timesource_tai_from_utc(&table, UTC_1973_01 - NS_PER_S / 2, &tai_ns));
	assert_in_range(
		tai_ns, UTC_1973_01 + 10 * NS_PER_S - NS_PER_S, UTC_1973_01 + 11 * NS_PER_S);
}

static void before_the_table_there_is_no_tai_of_utc(void **state)
{
	int64_t tai_ns = 7;

	(void)state;
	source.phc_is_utc = true;
	show(UTC_1972_01 - NS_PER_S);
	assert_false(vrtc_timesource_tai_from_utc(&table, UTC_1972_01 - NS_PER_S, &tai_ns));
	assert_false(read_tai().known);
}

static void without_a_line_there_is_no_tai_but_the_other_timebases_are_there(void **state)
{
	struct vrtc_instant now = {.known = false};

	(void)state;
	assert_false(read_tai().known);
	source.phc_is_utc = true;
	assert_false(read_tai().known);
	vrtc_timesource_read(&source, VRTC_TIMEBASE_MONOTONIC, &now);
	assert_true(now.known);
	vrtc_timesource_read(&source, VRTC_TIMEBASE_REALTIME, &now);
	assert_true(now.known);
	vrtc_timesource_read(&source, VRTC_TIMEBASE_NONE, &now);
	assert_false(now.known);
}

static void a_pair_with_the_cpus_counter_is_exact(void **state)
{
	struct vrtc_instant now;
	struct vrtc_pair pair;
	uint64_t before, after;
	int64_t shown_ns;

	(void)state;
	if (phc.counter != VRTC_COUNTER_CPU)
		skip();
	show(UTC_1972_07);
	before = vrtc_counter_read(phc.counter);
	vrtc_timesource_read_pair(&source, VRTC_TIMEBASE_TAI, VRTC_HOST_COUNTER_CPU, &now, &pair);
	after = vrtc_counter_read(phc.counter);
	assert_true(now.known);
	assert_int_equal(pair.doubt, 1);
	assert_in_range(pair.count, before, after);
	assert_true(vrtc_phc_read_at(&phc, pair.count, &shown_ns));
	assert_int_equal(now.timebase_ns, shown_ns);
}

static void a_pair_with_another_counter_is_as_good_as_its_bracket(void **state)
{
	struct vrtc_instant now;
	struct vrtc_pair pair;
	uint64_t before, after;

	(void)state;
	source.phc_is_utc = true;
	show(UTC_1972_07);
	before = vrtc_pair_count(VRTC_HOST_COUNTER_MONOTONIC);
	vrtc_timesource_read_pair(
		&source, VRTC_TIMEBASE_TAI, VRTC_HOST_COUNTER_MONOTONIC, &now, &pair);
	after = vrtc_pair_count(VRTC_HOST_COUNTER_MONOTONIC);
	assert_true(now.known);
	NEAR(now.timebase_ns, UTC_1972_07 + 11 * NS_PER_S);
	assert_in_range(pair.count, before, after);
	assert_in_range(pair.doubt, 1, after - before + 1);
}

static void without_a_line_there_is_no_pair(void **state)
{
	struct vrtc_instant now = {.known = true};
	struct vrtc_pair pair;

	(void)state;
	vrtc_timesource_read_pair(&source, VRTC_TIMEBASE_TAI, VRTC_HOST_COUNTER_CPU, &now, &pair);
	assert_false(now.known);
	vrtc_timesource_read_pair(
		&source, VRTC_TIMEBASE_TAI, VRTC_HOST_COUNTER_MONOTONIC, &now, &pair);
	assert_false(now.known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_clock_on_tai_is_taken_as_it_is, begin),
		cmocka_unit_test_setup(a_clock_on_utc_is_taken_through_the_table, begin),
		cmocka_unit_test_setup(a_second_that_utc_shows_twice_is_taken_for_the_first, begin),
		cmocka_unit_test_setup(a_second_that_utc_skips_is_known_all_the_same, begin),
		cmocka_unit_test_setup(before_the_table_there_is_no_tai_of_utc, begin),
		cmocka_unit_test_setup(
			without_a_line_there_is_no_tai_but_the_other_timebases_are_there, begin),
		cmocka_unit_test_setup(a_pair_with_the_cpus_counter_is_exact, begin),
		cmocka_unit_test_setup(
			a_pair_with_another_counter_is_as_good_as_its_bracket, begin),
		cmocka_unit_test_setup(without_a_line_there_is_no_pair, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
