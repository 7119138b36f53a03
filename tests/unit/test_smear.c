/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * smear.[ch] against the definitions of the windows, written down a second time here as fractions
 * of 128-bit integers, at every edge and at random instants (fixed seed).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "smear.h"
#include "wire.h"

#define S INT64_C(1000000000)

#define REAL_TABLE "/usr/share/zoneinfo/leap-seconds.list"

#define UNTOUCHED INT64_C(0x5a5a5a5a5a5a5a5a)

#define NOON VIRTIO_RTC_SMEAR_NOON_LINEAR
#define SLS  VIRTIO_RTC_SMEAR_UTC_SLS

/* POSIX seconds. */
#define UTC_1972_01 INT64_C(63072000)
#define UTC_1972_07 INT64_C(78796800) /* a positive leap second before it: 10 to 11 s */
#define UTC_1973_01 INT64_C(94694400) /* an invented negative one before it: 11 to 10 s */
#define UTC_2017_01 INT64_C(1483228800)

static const char table_text[] = "#@ 2366755200\n"
				 "2272060800 10 # 1 Jan 1972\n"
				 "2287785600 11 # 1 Jul 1972\n"
				 "2303683200 10 # 1 Jan 1973\n";

static struct vrtc_leap_table table;

/*
 * One smearing window: from begin_tai_ns on, where the clock shows begin_ns, the clock runs at
 * num/den until end_tai_ns, where it shows end_ns.
 */
struct curve {
	const char *what;
	uint8_t smear;
	int64_t begin_tai_ns;
	int64_t end_tai_ns;
	int64_t begin_ns;
	int64_t end_ns;
	int64_t num;
	int64_t den;
};

static const struct curve curves[] = {
	/* 1972-06-30 12:00:00 to 1972-07-01 12:00:00. */
	{"noon-linear, positive", NOON, (UTC_1972_07 - 43200 + 10) * S,
		(UTC_1972_07 + 43200 + 11) * S, (UTC_1972_07 - 43200) * S,
		(UTC_1972_07 + 43200) * S, 86400, 86401},
	/* 1972-12-31 12:00:00 to 1973-01-01 12:00:00. */
	{"noon-linear, negative", NOON, (UTC_1973_01 - 43200 + 11) * S,
		(UTC_1973_01 + 43200 + 10) * S, (UTC_1973_01 - 43200) * S,
		(UTC_1973_01 + 43200) * S, 86400, 86399},
	/* 23:43:21 to 23:59:60 inclusive: 1000 s. */
	{"utc-sls, positive", SLS, (UTC_1972_07 - 999 + 10) * S, (UTC_1972_07 + 11) * S,
		(UTC_1972_07 - 999) * S, UTC_1972_07 *S, 999, 1000},
	/* 23:43:19 to 23:59:58 inclusive: 1000 s. */
	{"utc-sls, negative", SLS, (UTC_1973_01 - 1001 + 11) * S, (UTC_1973_01 + 10) * S,
		(UTC_1973_01 - 1001) * S, UTC_1973_01 *S, 1001, 1000},
};

#define N_CURVES (sizeof(curves) / sizeof(curves[0]))

/* What the curve says, rounded down; outside of the window, UTC with the offset there. */
static int64_t expected_ns(const struct curve *curve, int64_t tai_ns)
{
	if (tai_ns < curve->begin_tai_ns)
		return tai_ns - curve->begin_tai_ns + curve->begin_ns;
	if (tai_ns >= curve->end_tai_ns)
		return tai_ns - curve->end_tai_ns + curve->end_ns;
	return (int64_t)(curve->begin_ns +
			 (__int128)(tai_ns - curve->begin_tai_ns) * curve->num / curve->den);
}

static int64_t smeared_of(uint8_t smear, int64_t tai_ns)
{
	int64_t smeared_ns = UNTOUCHED;

	assert_int_equal(vrtc_smear_from_tai(smear, &table, tai_ns, &smeared_ns), VRTC_LEAP_OK);
	return smeared_ns;
}

static int64_t tai_of(uint8_t smear, int64_t smeared_ns)
{
	int64_t tai_ns = UNTOUCHED;

	assert_int_equal(vrtc_smear_to_tai(smear, &table, smeared_ns, &tai_ns), VRTC_LEAP_OK);
	return tai_ns;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 11;
}

/* An instant from an hour before the window to an hour after it. */
static int64_t random_tai(const struct curve *curve, uint64_t *seed)
{
	uint64_t range_ns = (uint64_t)(curve->end_tai_ns - curve->begin_tai_ns + 7200 * S);

	return curve->begin_tai_ns - 3600 * S + (int64_t)(next_random(seed) % range_ns);
}

static int load_table(void **state)
{
	(void)state;
	return vrtc_leap_parse(&table, table_text, strlen(table_text), NULL) == VRTC_LEAP_OK ? 0
											     : -1;
}

static void window_begins_and_ends_on_utc_to_the_nanosecond(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CURVES; c++) {
		const struct curve *curve = &curves[c];
		int64_t utc_ns;

		assert_true(smeared_of(curve->smear, curve->begin_tai_ns) == curve->begin_ns);
		assert_true(vrtc_leap_utc_from_tai(&table, curve->begin_tai_ns, &utc_ns) ==
				    VRTC_LEAP_OK &&
			    utc_ns == curve->begin_ns);
		assert_true(smeared_of(curve->smear, curve->end_tai_ns) == curve->end_ns);
		assert_true(vrtc_leap_utc_from_tai(&table, curve->end_tai_ns, &utc_ns) ==
				    VRTC_LEAP_OK &&
			    utc_ns == curve->end_ns);
	}
}

static void noon_linear_lasts_from_noon_to_noon_and_utc_sls_1000_seconds(void **state)
{
	(void)state;
	assert_true(curves[0].end_tai_ns - curves[0].begin_tai_ns == 86401 * S);
	assert_true(curves[1].end_tai_ns - curves[1].begin_tai_ns == 86399 * S);
	assert_true(curves[2].end_tai_ns - curves[2].begin_tai_ns == 1000 * S);
	assert_true(curves[3].end_tai_ns - curves[3].begin_tai_ns == 1000 * S);
	/* The frequency changes at these instants: a second before runs as usual, one after not. */
	for (size_t c = 0; c < N_CURVES; c++) {
		const struct curve *k = &curves[c];

		assert_true(k->begin_ns - smeared_of(k->smear, k->begin_tai_ns - S) == S);
		assert_true(smeared_of(k->smear, k->begin_tai_ns + S) - k->begin_ns ==
			    S * k->num / k->den);
		assert_true(smeared_of(k->smear, k->end_tai_ns + S) - k->end_ns == S);
		assert_true(k->end_ns - smeared_of(k->smear, k->end_tai_ns - S) != S);
	}
}

static void smeared_time_is_the_exact_fraction_rounded_down(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (size_t c = 0; c < N_CURVES; c++) {
		const struct curve *curve = &curves[c];

		for (int64_t near_ns = -2000; near_ns <= 2000; near_ns++) {
			int64_t begin_ns = curve->begin_tai_ns + near_ns;
			int64_t end_ns = curve->end_tai_ns + near_ns;

			assert_true(
				smeared_of(curve->smear, begin_ns) == expected_ns(curve, begin_ns));
			assert_true(smeared_of(curve->smear, end_ns) == expected_ns(curve, end_ns));
		}
		for (unsigned int i = 0; i < 200000; i++) {
			int64_t tai_ns = random_tai(curve, &seed);

			assert_true(smeared_of(curve->smear, tai_ns) == expected_ns(curve, tai_ns));
		}
	}
}

static void half_a_second_is_smeared_in_the_middle_of_the_window(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CURVES; c++) {
		const struct curve *k = &curves[c];
		int64_t half_ns = (k->end_tai_ns - k->begin_tai_ns) / 2;
		int64_t shown_ns = smeared_of(k->smear, k->begin_tai_ns + half_ns) - k->begin_ns;

		assert_true(shown_ns - half_ns == (k->num < k->den ? -S / 2 : S / 2));
	}
}

static void utc_sls_runs_slower_and_faster_by_exactly_one_in_a_thousand(void **state)
{
	(void)state;
	for (size_t c = 2; c < N_CURVES; c++) {
		const struct curve *k = &curves[c];

		for (int64_t x_ns = 0; x_ns < 1000 * S; x_ns += S - 1000) {
			int64_t tai_ns = k->begin_tai_ns + x_ns;

			assert_true(smeared_of(k->smear, tai_ns + 1000) -
					    smeared_of(k->smear, tai_ns) ==
				    k->num);
		}
	}
}

static void smeared_clock_never_steps(void **state)
{
	uint64_t seed = 2;

	(void)state;
	for (size_t c = 0; c < N_CURVES; c++) {
		const struct curve *curve = &curves[c];
		const int64_t special[] = {curve->begin_tai_ns, curve->end_tai_ns,
			/* where UTC steps, and a second after */
			(UTC_1972_07 + 10) * S, (UTC_1972_07 + 11) * S, (UTC_1973_01 + 10) * S,
			(UTC_1973_01 + 11) * S};

		for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
			int64_t before_ns = smeared_of(curve->smear, special[i] - 3000);

			for (int64_t near_ns = -2999; near_ns < 3000; near_ns++) {
				int64_t now_ns = smeared_of(curve->smear, special[i] + near_ns);

				assert_in_range(now_ns - before_ns, 0, 2);
				before_ns = now_ns;
			}
		}
		for (unsigned int i = 0; i < 200000; i++) {
			int64_t tai_ns = random_tai(curve, &seed);

			assert_in_range(smeared_of(curve->smear, tai_ns + 1) -
						smeared_of(curve->smear, tai_ns),
				0, 2);
		}
	}
}

static void smeared_clock_goes_forward_second_by_second_through_both_leap_seconds(void **state)
{
	static const uint8_t smears[] = {NOON, SLS};

	(void)state;
	for (size_t v = 0; v < sizeof(smears); v++) {
		int64_t last_ns = 0;

		for (int64_t tai_s = UTC_1972_07 - 90000; tai_s < UTC_1973_01 + 90000; tai_s++) {
			int64_t now_ns = smeared_of(smears[v], tai_s * S + tai_s % 997);

			if (last_ns != 0)
				assert_in_range(now_ns - last_ns, S - 1010000, S + 1010000);
			last_ns = now_ns;
		}
	}
}

static void smeared_clock_is_utc_outside_of_its_windows(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CURVES; c++) {
		const struct curve *curve = &curves[c];
		const int64_t outside[] = {curve->begin_tai_ns - 1, curve->begin_tai_ns - 86400 * S,
			curve->end_tai_ns, curve->end_tai_ns + 1, curve->end_tai_ns + 86400 * S,
			(UTC_1972_01 + 10) * S, INT64_MAX};

		for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
			int64_t utc_ns;

			assert_int_equal(
				vrtc_leap_utc_from_tai(&table, outside[i], &utc_ns), VRTC_LEAP_OK);
			assert_true(smeared_of(curve->smear, outside[i]) == utc_ns);
		}
	}
}

/* The definition of the inverse itself, at one value. */
static void assert_first_instant(uint8_t smear, int64_t smeared_ns)
{
	int64_t tai_ns = tai_of(smear, smeared_ns);

	assert_true(smeared_of(smear, tai_ns) >= smeared_ns);
	assert_true(smeared_of(smear, tai_ns - 1) < smeared_ns);
}

static void inverse_is_the_first_nanosecond_that_has_reached_the_value(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (size_t c = 0; c < N_CURVES; c++) {
		const struct curve *curve = &curves[c];

		for (int64_t near_ns = -3000; near_ns <= 3000; near_ns++) {
			assert_first_instant(curve->smear, curve->begin_ns + near_ns);
			assert_first_instant(curve->smear, curve->end_ns + near_ns);
		}
		for (unsigned int i = 0; i < 200000; i++)
			assert_first_instant(curve->smear,
				random_tai(curve, &seed) - curve->begin_tai_ns + curve->begin_ns);
	}
}

static void inverse_of_a_reading_is_never_later_than_the_reading(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (size_t c = 0; c < N_CURVES; c++) {
		for (unsigned int i = 0; i < 200000; i++) {
			int64_t tai_ns = random_tai(&curves[c], &seed);
			int64_t back_ns =
				tai_of(curves[c].smear, smeared_of(curves[c].smear, tai_ns));

			/*
			 * Slowed down, two neighbours show the same; else it is the same instant.
			 */
			assert_in_range(tai_ns - back_ns, 0, curves[c].num < curves[c].den ? 1 : 0);
		}
	}
}

static void smeared_time_is_unknown_before_1972_and_leaves_output(void **state)
{
	static const struct vrtc_leap_table empty;
	static const uint8_t smears[] = {NOON, SLS};
	int64_t out_ns = UNTOUCHED;

	(void)state;
	for (size_t v = 0; v < sizeof(smears); v++) {
		uint8_t smear = smears[v];
		const int64_t before[] = {INT64_MIN, -1, 0, UTC_1972_01 * S - 1};

		for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
			assert_int_equal(vrtc_smear_to_tai(smear, &table, before[i], &out_ns),
				VRTC_LEAP_UNKNOWN);
			assert_int_equal(
				vrtc_smear_from_tai(smear, &table, before[i] + 10 * S, &out_ns),
				VRTC_LEAP_UNKNOWN);
		}
		assert_int_equal(
			vrtc_smear_from_tai(smear, &table, INT64_MIN, &out_ns), VRTC_LEAP_UNKNOWN);
		assert_int_equal(
			vrtc_smear_from_tai(smear, &empty, INT64_MAX, &out_ns), VRTC_LEAP_UNKNOWN);
		assert_int_equal(
			vrtc_smear_to_tai(smear, &empty, INT64_MAX, &out_ns), VRTC_LEAP_UNKNOWN);
		assert_true(out_ns == UNTOUCHED);

		assert_true(smeared_of(smear, (UTC_1972_01 + 10) * S) == UTC_1972_01 * S);
		assert_true(tai_of(smear, UTC_1972_01 * S) == (UTC_1972_01 + 10) * S);
	}
}

static void instant_that_does_not_fit_is_an_overflow(void **state)
{
	static const uint8_t smears[] = {NOON, SLS};
	int64_t tai_ns = UNTOUCHED;

	(void)state;
	for (size_t v = 0; v < sizeof(smears); v++) {
		assert_int_equal(
			vrtc_smear_to_tai(smears[v], &table, INT64_MAX - 10 * S + 1, &tai_ns),
			VRTC_LEAP_OVERFLOW);
		assert_int_equal(vrtc_smear_to_tai(smears[v], &table, INT64_MAX, &tai_ns),
			VRTC_LEAP_OVERFLOW);
		assert_true(tai_ns == UNTOUCHED);
		assert_true(tai_of(smears[v], INT64_MAX - 10 * S) == INT64_MAX);
	}
}

static void unknown_variant_has_no_curve_and_leaves_output(void **state)
{
	int64_t out_ns = UNTOUCHED;

	(void)state;
	for (unsigned int smear = 0; smear <= UINT8_MAX; smear++) {
		if (smear == NOON || smear == SLS) {
			assert_true(vrtc_smear_known((uint8_t)smear));
			continue;
		}
		assert_false(vrtc_smear_known((uint8_t)smear));
		assert_int_equal(
			vrtc_smear_from_tai((uint8_t)smear, &table, UTC_2017_01 * S, &out_ns),
			VRTC_LEAP_NO_CURVE);
		assert_int_equal(
			vrtc_smear_to_tai((uint8_t)smear, &table, UTC_2017_01 * S, &out_ns),
			VRTC_LEAP_NO_CURVE);
	}
	assert_true(out_ns == UNTOUCHED);
}

static void windows_of_the_closest_leap_seconds_do_not_overlap(void **state)
{
	static const uint8_t smears[] = {NOON, SLS};
	enum { HALF = VRTC_LEAP_MAX / 2 };
	struct vrtc_leap_table close;
	char text[8192];
	int length = sprintf(text, "#@ 10000000000\n");

	(void)state;
	for (unsigned int i = 0; i < VRTC_LEAP_MAX; i++)
		length += sprintf(text + length, "%lld %u\n",
			(long long)(INT64_C(2272060800) + i * VRTC_LEAP_DISTANCE_MIN_S),
			10 + (i < HALF ? i : 2 * HALF - i));
	if (vrtc_leap_parse(&close, text, (size_t)length, NULL) != VRTC_LEAP_OK)
		fail();
	for (size_t v = 0; v < sizeof(smears); v++) {
		int64_t last_ns = 0;

		for (int64_t tai_ns = close.entries[0].tai_ns;
			tai_ns < close.entries[close.n - 1].tai_ns + 100000 * S;
			tai_ns += 500 * S) {
			int64_t now_ns, back_ns;

			assert_int_equal(vrtc_smear_from_tai(smears[v], &close, tai_ns, &now_ns),
				VRTC_LEAP_OK);
			assert_int_equal(vrtc_smear_to_tai(smears[v], &close, now_ns, &back_ns),
				VRTC_LEAP_OK);
			assert_in_range(tai_ns - back_ns, 0, 1);
			if (last_ns != 0)
				assert_in_range(now_ns - last_ns, 499 * S, 501 * S);
			last_ns = now_ns;
		}
	}
}

static void machines_own_table_smears_the_leap_second_of_2016(void **state)
{
	static const int64_t utc_2025_ns = INT64_C(1735689600) * S;
	static char text[65536];
	struct vrtc_leap_table real;
	FILE *file = fopen(REAL_TABLE, "r");
	size_t bytes;
	int64_t ns;

	(void)state;
	if (file == NULL) {
		print_message("no " REAL_TABLE " (package tzdata) here\n");
		skip();
		return;
	}
	bytes = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_int_equal(vrtc_leap_parse(&real, text, bytes, NULL), VRTC_LEAP_OK);

	/*
	 * At the start of 23:59:60 noon-linear has smeared 43200 of 86401 s, UTC-SLS 999 of 1000.
	 */
	vrtc_smear_from_tai(NOON, &real, (UTC_2017_01 + 36) * S, &ns);
	assert_true(ns == UTC_2017_01 * S - 43200 * S / 86401 - 1);
	vrtc_smear_from_tai(SLS, &real, (UTC_2017_01 + 36) * S, &ns);
	assert_true(ns == UTC_2017_01 * S - 999 * S / 1000);
	vrtc_smear_from_tai(NOON, &real, utc_2025_ns + 37 * S, &ns);
	assert_true(ns == utc_2025_ns);
	vrtc_smear_from_tai(SLS, &real, utc_2025_ns + 37 * S, &ns);
	assert_true(ns == utc_2025_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_begins_and_ends_on_utc_to_the_nanosecond),
		cmocka_unit_test(noon_linear_lasts_from_noon_to_noon_and_utc_sls_1000_seconds),
		cmocka_unit_test(smeared_time_is_the_exact_fraction_rounded_down),
		cmocka_unit_test(half_a_second_is_smeared_in_the_middle_of_the_window),
		cmocka_unit_test(utc_sls_runs_slower_and_faster_by_exactly_one_in_a_thousand),
		cmocka_unit_test(smeared_clock_never_steps),
		cmocka_unit_test(
			smeared_clock_goes_forward_second_by_second_through_both_leap_seconds),
		cmocka_unit_test(smeared_clock_is_utc_outside_of_its_windows),
		cmocka_unit_test(inverse_is_the_first_nanosecond_that_has_reached_the_value),
		cmocka_unit_test(inverse_of_a_reading_is_never_later_than_the_reading),
		cmocka_unit_test(smeared_time_is_unknown_before_1972_and_leaves_output),
		cmocka_unit_test(instant_that_does_not_fit_is_an_overflow),
		cmocka_unit_test(unknown_variant_has_no_curve_and_leaves_output),
		cmocka_unit_test(windows_of_the_closest_leap_seconds_do_not_overlap),
		cmocka_unit_test(machines_own_table_smears_the_leap_second_of_2016),
	};

	return cmocka_run_group_tests_name("smear", tests, load_table, NULL);
}
