/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.[ch]: which host time each clock is computed from, what it reads, and its names. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "wire.h"

#define S INT64_C(1000000000)

#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

/* POSIX seconds. */
#define UTC_1972_01 INT64_C(63072000)
#define UTC_1972_07 INT64_C(78796800) /* a positive leap second before it: 10 to 11 s */
#define UTC_1973_01 INT64_C(94694400) /* an invented negative one before it: 11 to 10 s */

static const char table_text[] = "#@ 2366755200\n"
				 "2272060800 10 # 1 Jan 1972\n"
				 "2287785600 11 # 1 Jul 1972\n"
				 "2303683200 10 # 1 Jan 1973\n";

static struct vrtc_leap_table table;

static const struct vrtc_clock utc = {VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED, false};
static const struct vrtc_clock tai = {VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED, false};
static const struct vrtc_clock monotonic = {
	VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED, false};
static const struct vrtc_clock noon_linear = {
	VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR, false};
static const struct vrtc_clock utc_sls = {
	VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UTC_SLS, false};
static const struct vrtc_clock maybe_smeared = {
	VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED, VIRTIO_RTC_SMEAR_UNSPECIFIED, false};

static int load_table(void **state)
{
	(void)state;
	return vrtc_leap_parse(&table, table_text, strlen(table_text), NULL) == VRTC_LEAP_OK ? 0
											     : -1;
}

static void assert_reading(const struct vrtc_clock *clock, int64_t timebase_ns, int64_t expected_ns)
{
	uint64_t reading_ns = UNTOUCHED;

	assert_true(vrtc_clock_read(clock, &table, timebase_ns, &reading_ns));
	assert_true(reading_ns == (uint64_t)expected_ns);
}

static void assert_no_reading(
	const struct vrtc_clock *clock, const struct vrtc_leap_table *leap, int64_t timebase_ns)
{
	uint64_t reading_ns = UNTOUCHED;

	assert_false(vrtc_clock_read(clock, leap, timebase_ns, &reading_ns));
	assert_true(reading_ns == UNTOUCHED);
}

static void each_clock_names_the_one_host_time_that_it_needs(void **state)
{
	(void)state;
	assert_int_equal(vrtc_clock_timebase(&utc), VRTC_TIMEBASE_TAI);
	assert_int_equal(vrtc_clock_timebase(&tai), VRTC_TIMEBASE_TAI);
	assert_int_equal(vrtc_clock_timebase(&monotonic), VRTC_TIMEBASE_MONOTONIC);
	assert_int_equal(vrtc_clock_timebase(&noon_linear), VRTC_TIMEBASE_TAI);
	assert_int_equal(vrtc_clock_timebase(&utc_sls), VRTC_TIMEBASE_TAI);
	assert_int_equal(vrtc_clock_timebase(&maybe_smeared), VRTC_TIMEBASE_REALTIME);
}

static void utc_clock_steps_at_leap_seconds(void **state)
{
	(void)state;
	assert_reading(&utc, (UTC_1972_07 + 10) * S - 1, UTC_1972_07 * S - 1);
	assert_reading(&utc, (UTC_1972_07 + 10) * S, UTC_1972_07 * S - S);
	assert_reading(&utc, (UTC_1972_07 + 11) * S, UTC_1972_07 * S);
	assert_reading(&utc, (UTC_1973_01 + 10) * S - 1, UTC_1973_01 * S - S - 1);
	assert_reading(&utc, (UTC_1973_01 + 10) * S, UTC_1973_01 * S);
}

static void smeared_clocks_follow_their_own_variants(void **state)
{
	(void)state;
	/* 6 h into the window of noon-linear; UTC-SLS has not begun. */
	assert_reading(&noon_linear, (UTC_1972_07 - 21600 + 10) * S,
		(UTC_1972_07 - 21600) * S - 21600 * S / 86401 - 1);
	assert_reading(&utc_sls, (UTC_1972_07 - 21600 + 10) * S, (UTC_1972_07 - 21600) * S);
	/* The last 500 s of the day: half a second by UTC-SLS. */
	assert_reading(&utc_sls, (UTC_1972_07 - 500 + 11) * S, (UTC_1972_07 - 500) * S + S / 2);
	assert_reading(&utc_sls, (UTC_1973_01 - 500 + 10) * S, (UTC_1973_01 - 500) * S - S / 2);
	/* A day later both are UTC again. */
	assert_reading(&noon_linear, (UTC_1972_07 + 86400 + 11) * S, (UTC_1972_07 + 86400) * S);
	assert_reading(&utc_sls, (UTC_1972_07 + 86400 + 11) * S, (UTC_1972_07 + 86400) * S);
}

static void tai_monotonic_and_maybe_smeared_read_as_the_host_says_without_a_table(void **state)
{
	const struct vrtc_clock *const clocks[] = {&tai, &monotonic, &maybe_smeared};
	static const int64_t times[] = {0, 1, UTC_1972_07 * S, INT64_MAX};

	(void)state;
	for (size_t c = 0; c < sizeof(clocks) / sizeof(clocks[0]); c++) {
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
			uint64_t reading_ns = UNTOUCHED;

			assert_true(vrtc_clock_read(clocks[c], NULL, times[i], &reading_ns));
			assert_true(reading_ns == (uint64_t)times[i]);
		}
	}
}

static void negative_time_is_no_reading_and_leaves_output(void **state)
{
	const struct vrtc_clock *const clocks[] = {
		&utc, &tai, &monotonic, &noon_linear, &utc_sls, &maybe_smeared};

	(void)state;
	for (size_t c = 0; c < sizeof(clocks) / sizeof(clocks[0]); c++) {
		assert_no_reading(clocks[c], &table, -1);
		assert_no_reading(clocks[c], &table, INT64_MIN);
	}
}

static void utc_that_is_not_known_is_no_reading_and_leaves_output(void **state)
{
	static const struct vrtc_leap_table empty;
	const struct vrtc_clock *const clocks[] = {&utc, &noon_linear, &utc_sls};

	(void)state;
	for (size_t c = 0; c < sizeof(clocks) / sizeof(clocks[0]); c++) {
		assert_no_reading(clocks[c], &table, 0);
		assert_no_reading(clocks[c], &table, (UTC_1972_01 + 10) * S - 1);
		assert_reading(clocks[c], (UTC_1972_01 + 10) * S, UTC_1972_01 * S);
		assert_reading(clocks[c], INT64_MAX, INT64_MAX - 10 * S);
		assert_no_reading(clocks[c], &empty, UTC_1972_07 * S);
	}
}

static void clock_of_unknown_type_or_variant_has_no_time_base_reading_or_name(void **state)
{
	static const struct vrtc_clock unknown[] = {
		{VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED + 1, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
		{0xf0, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
		{0xff, VIRTIO_RTC_SMEAR_UTC_SLS, false},
		{VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
		{VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UTC_SLS + 1, false},
		{VIRTIO_RTC_CLOCK_UTC_SMEARED, 0xf0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_int_equal(vrtc_clock_timebase(&unknown[i]), VRTC_TIMEBASE_NONE);
		assert_no_reading(&unknown[i], &table, UTC_1972_07 * S);
		assert_string_equal(vrtc_clock_name(&unknown[i]), "unknown");
	}
}

static void name_gives_the_clock_and_the_clock_its_name(void **state)
{
	static const struct {
		const char *name;
		const struct vrtc_clock *clock;
	} known[] = {
		{"utc", &utc},
		{"tai", &tai},
		{"monotonic", &monotonic},
		{"utc-smeared:noon-linear", &noon_linear},
		{"utc-smeared:utc-sls", &utc_sls},
		{"utc-maybe-smeared", &maybe_smeared},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct vrtc_clock clock = {0xee, 0xee, false};

		clock.alarm = true;
		assert_int_equal(vrtc_clock_parse(known[i].name, &clock), 0);
		assert_int_equal(clock.type, known[i].clock->type);
		assert_int_equal(clock.smear, known[i].clock->smear);
		assert_false(clock.alarm);
		assert_string_equal(vrtc_clock_name(&clock), known[i].name);
	}
}

static void plus_alarm_gives_the_clock_an_alarm_and_nothing_else(void **state)
{
	static const struct {
		const char *name;
		const struct vrtc_clock *clock;
	} known[] = {
		{"utc+alarm", &utc},
		{"tai+alarm", &tai},
		{"monotonic+alarm", &monotonic},
		{"utc-smeared+alarm", &noon_linear},
		{"utc-smeared:noon-linear+alarm", &noon_linear},
		{"utc-smeared:utc-sls+alarm", &utc_sls},
		{"utc-maybe-smeared+alarm", &maybe_smeared},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct vrtc_clock clock = {0xee, 0xee, false};

		assert_int_equal(vrtc_clock_parse(known[i].name, &clock), 0);
		assert_int_equal(clock.type, known[i].clock->type);
		assert_int_equal(clock.smear, known[i].clock->smear);
		assert_true(clock.alarm);
		assert_string_equal(vrtc_clock_name(&clock), vrtc_clock_name(known[i].clock));
	}
}

static void utc_smeared_alone_is_noon_linear_and_is_named_in_full(void **state)
{
	struct vrtc_clock clock = {0xee, 0xee, false};

	(void)state;
	assert_int_equal(vrtc_clock_parse("utc-smeared", &clock), 0);
	assert_int_equal(clock.type, VIRTIO_RTC_CLOCK_UTC_SMEARED);
	assert_int_equal(clock.smear, VIRTIO_RTC_SMEAR_NOON_LINEAR);
	assert_string_equal(vrtc_clock_name(&clock), "utc-smeared:noon-linear");
}

static void other_name_is_einval_and_leaves_the_clock(void **state)
{
	static const char *const names[] = {"", " ", "UTC", "utc ", " utc", "ut", "utcx", "tai,utc",
		"unknown", "utc-smeared:", "utc-smeared:sls", "utc-smeared:noon-linear ",
		"utc:utc-sls", "utc-maybe-smeared:utc-sls", "0", "+alarm", "utc+", "utc +alarm",
		"utc+ alarm", "utc+alarm ", "utc+alarms", "utc+Alarm", "utc+alarm+alarm",
		"utcx+alarm", "utc-smeared+alarm:utc-sls", "utc-smeared:+alarm", "none+alarm",
		"alarm"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct vrtc_clock clock = {0xee, 0xee, false};

		assert_int_equal(vrtc_clock_parse(names[i], &clock), -EINVAL);
		assert_int_equal(clock.type, 0xee);
		assert_int_equal(clock.smear, 0xee);
		assert_false(clock.alarm);
	}
}

static void accepted_names_are_listed(void **state)
{
	(void)state;
	assert_string_equal(vrtc_clock_accepted(),
		"utc, tai, monotonic, utc-smeared[:noon-linear|:utc-sls], utc-maybe-smeared, each "
		"with or without +alarm");
}

static void each_kind_of_clock_has_a_timescale_of_its_own(void **state)
{
	(void)state;
	for (int t = 0; t < VRTC_TIMESCALES; t++) {
		const struct vrtc_clock *clock = vrtc_timescale_clock((enum vrtc_timescale)t);

		assert_int_equal(vrtc_clock_timescale(clock), t);
		assert_string_not_equal(vrtc_clock_name(clock), "unknown");
	}
}

/* Around leap seconds of both signs, in steps that are no divisor of anything. */
static void instant_of_a_reading_is_the_first_at_which_the_clock_shows_it_or_more(void **state)
{
	(void)state;
	for (int t = 0; t < VRTC_TIMESCALES; t++) {
		const struct vrtc_clock *clock = vrtc_timescale_clock((enum vrtc_timescale)t);

		for (int64_t ns = (UTC_1972_07 - 90000) * S; ns < (UTC_1972_07 + 90000) * S;
			ns += 7919 * S / 10 + 1) {
			uint64_t shown_ns;
			int64_t instant_ns;

			assert_true(vrtc_clock_instant(clock, &table, (uint64_t)ns, &instant_ns));
			assert_true(vrtc_clock_read(clock, &table, instant_ns, &shown_ns));
			assert_true(shown_ns >= (uint64_t)ns);
			assert_true(vrtc_clock_read(clock, &table, instant_ns - 1, &shown_ns));
			assert_true(shown_ns < (uint64_t)ns);
		}
	}
}

static void reading_that_no_clock_will_show_has_no_instant(void **state)
{
	static const uint64_t never[] = {(uint64_t)INT64_MAX + 1, UINT64_MAX};

	(void)state;
	for (int t = 0; t < VRTC_TIMESCALES; t++) {
		int64_t instant_ns = 7;

		for (unsigned i = 0; i < 2; i++)
			assert_false(
				vrtc_clock_instant(vrtc_timescale_clock((enum vrtc_timescale)t),
					&table, never[i], &instant_ns));
		assert_int_equal(instant_ns, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_clock_names_the_one_host_time_that_it_needs),
		cmocka_unit_test(utc_clock_steps_at_leap_seconds),
		cmocka_unit_test(smeared_clocks_follow_their_own_variants),
		cmocka_unit_test(
			tai_monotonic_and_maybe_smeared_read_as_the_host_says_without_a_table),
		cmocka_unit_test(negative_time_is_no_reading_and_leaves_output),
		cmocka_unit_test(utc_that_is_not_known_is_no_reading_and_leaves_output),
		cmocka_unit_test(clock_of_unknown_type_or_variant_has_no_time_base_reading_or_name),
		cmocka_unit_test(name_gives_the_clock_and_the_clock_its_name),
		cmocka_unit_test(plus_alarm_gives_the_clock_an_alarm_and_nothing_else),
		cmocka_unit_test(utc_smeared_alone_is_noon_linear_and_is_named_in_full),
		cmocka_unit_test(other_name_is_einval_and_leaves_the_clock),
		cmocka_unit_test(accepted_names_are_listed),
		cmocka_unit_test(each_kind_of_clock_has_a_timescale_of_its_own),
		cmocka_unit_test(
			instant_of_a_reading_is_the_first_at_which_the_clock_shows_it_or_more),
		cmocka_unit_test(reading_that_no_clock_will_show_has_no_instant),
	};

	return cmocka_run_group_tests_name("clock", tests, load_table, NULL);
}
