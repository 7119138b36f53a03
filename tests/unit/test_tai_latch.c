/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TAI through leap seconds, on hosts of several kinds. The host is a model: true time goes on, and
 * what its clocks show follows from what its kernel was told and what happens to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tai_latch.h"

#define S           VRTC_NS_PER_S
#define MS          (S / 1000)
#define UTC_1972_07 (INT64_C(78796800) * S) /* a positive leap second before it: 10 to 11 s */
#define UTC_1973_01 (INT64_C(94694400) * S) /* an invented negative one before it: 11 to 10 s */

static const char table_text[] = "#@ 2366755200\n"
				 "2272060800 10 # 1 Jan 1972\n"
				 "2287785600 11 # 1 Jul 1972\n"
				 "2303683200 10 # 1 Jan 1973\n";

static struct vrtc_leap_table table;

struct host {
	int64_t tai_ns;      /* the truth */
	int64_t realtime_ns; /* CLOCK_REALTIME */
	int64_t boot_ns;
	int64_t kernel_tai_s;
	bool in_leap_second;
	struct vrtc_tai_latch latch;
};

static int load_table(void **state)
{
	(void)state;
	return vrtc_leap_parse(&table, table_text, strlen(table_text), NULL) == VRTC_LEAP_OK ? 0
											     : -1;
}

static struct host host_at(int64_t utc_ns, int64_t offset_s, int64_t kernel_tai_s)
{
	return (struct host){.tai_ns = utc_ns + offset_s * S,
		.realtime_ns = utc_ns,
		.boot_ns = 1000 * S,
		.kernel_tai_s = kernel_tai_s};
}

static void pass(struct host *h, int64_t ns)
{
	h->tai_ns += ns;
	h->realtime_ns += ns;
	h->boot_ns += ns;
}

/* The kernel steps CLOCK_REALTIME and counts TAI - UTC on, as its own leap second does. */
static void kernel_leap(struct host *h, int step_s)
{
	h->realtime_ns -= step_s * S;
	h->kernel_tai_s += step_s;
}

static enum vrtc_tai_latch_event look(struct host *h)
{
	const struct vrtc_tai_look now = {.realtime_ns = h->realtime_ns,
		.clock_tai_ns = h->realtime_ns + h->kernel_tai_s * S,
		.boot_ns = h->boot_ns,
		.in_leap_second = h->in_leap_second};

	return vrtc_tai_latch_look(&h->latch, &table, &now);
}

/* What a reading would say between two looks. */
static int64_t read_tai(const struct host *h)
{
	int64_t first_ns;
	int64_t last_ns;

	if (h->latch.latched)
		return h->realtime_ns + h->kernel_tai_s * S + h->latch.difference_ns;
	assert_true(vrtc_leap_tai_from_utc(&table, h->realtime_ns, &first_ns, &last_ns) <=
		    VRTC_LEAP_SKIPPED);
	return first_ns;
}

static void assert_right(const struct host *h)
{
	assert_true(read_tai(h) == h->tai_ns);
}

/* A minute and a half before midnight to as long after, the kernel late by 4 ms. */
static void go_through_leap(int64_t midnight_ns, int before_s, int step_s, int kernel_tai_s)
{
	struct host h = host_at(midnight_ns - 90 * S, before_s, kernel_tai_s);
	int64_t midnight_tai_ns = midnight_ns + before_s * S - (step_s < 0 ? S : 0);
	bool done = false;

	for (int i = 0; i < 18000; i++) {
		if (i % 1000 == 0)
			assert_int_equal(look(&h), VRTC_TAI_LATCH_NONE);
		assert_right(&h);
		pass(&h, 10 * MS);
		/* The tick at which the kernel finds that the leap second has begun. */
		if (!done && h.tai_ns >= midnight_tai_ns) {
			pass(&h, 4 * MS);
			assert_right(&h);
			kernel_leap(&h, step_s);
			done = true;
			assert_right(&h);
			assert_int_equal(look(&h), VRTC_TAI_LATCH_NONE);
		}
		assert_right(&h);
	}
	assert_true(done);
}

static void leap_second_of_a_kernel_that_was_told_nothing_is_not_noticed(void **state)
{
	(void)state;
	go_through_leap(UTC_1972_07, 10, 1, 0);
}

static void leap_second_of_a_kernel_that_knows_tai_is_not_noticed(void **state)
{
	(void)state;
	go_through_leap(UTC_1972_07, 10, 1, 10);
}

static void negative_leap_second_is_not_noticed(void **state)
{
	(void)state;
	go_through_leap(UTC_1973_01, 11, -1, 0);
	go_through_leap(UTC_1973_01, 11, -1, 11);
}

static void tai_told_to_the_kernel_on_any_day_changes_nothing(void **state)
{
	struct host h = host_at(UTC_1972_07 + 1000 * S, 11, 0);

	(void)state;
	look(&h);
	pass(&h, S);
	h.kernel_tai_s = 11;
	assert_right(&h); /* before the next look, too */
	look(&h);
	assert_right(&h);
}

static void tai_told_to_the_kernel_in_the_quiet_minute_changes_nothing_after_a_look(void **state)
{
	struct host h = host_at(UTC_1972_07 - 50 * S, 10, 0);

	(void)state;
	look(&h);
	pass(&h, S);
	h.kernel_tai_s = 10;
	look(&h);
	assert_right(&h);
	/* And in the leap second itself. */
	pass(&h, 49 * S + 500 * MS);
	kernel_leap(&h, 1);
	assert_right(&h);
	h.kernel_tai_s = 0;
	look(&h);
	assert_right(&h);
	pass(&h, 5 * S);
	assert_right(&h);
}

static void leap_second_that_ntp_makes_by_a_step_is_right_after_the_next_look(void **state)
{
	struct host h = host_at(UTC_1972_07 - 50 * S, 10, 0);

	(void)state;
	look(&h);
	pass(&h, 50 * S + 300 * MS);
	assert_right(&h); /* the kernel did nothing: CLOCK_REALTIME shows 00:00:00.3 */
	look(&h);
	assert_right(&h);
	pass(&h, 400 * MS);
	h.realtime_ns -= S; /* NTP's step: 23:59:59.7 again, and TAI - UTC as before */
	look(&h);
	assert_right(&h);
	pass(&h, 20 * S);
	look(&h);
	assert_right(&h);
	pass(&h, 60 * S);
	assert_int_equal(look(&h), VRTC_TAI_LATCH_NONE);
	assert_right(&h);
}

static void leap_second_that_the_host_does_not_do_is_told_once_and_its_utc_is_believed(void **state)
{
	struct host h = host_at(UTC_1972_07 - 50 * S, 10, 0);

	(void)state;
	look(&h);
	for (int i = 0; i < 10; i++) {
		pass(&h, 10 * S);
		assert_int_equal(look(&h), VRTC_TAI_LATCH_NONE);
		assert_right(&h);
	}
	pass(&h, 15 * S);
	assert_int_equal(look(&h), VRTC_TAI_LATCH_NOT_DONE);
	assert_true(read_tai(&h) == h.tai_ns + S);
	pass(&h, 10 * S);
	assert_int_equal(look(&h), VRTC_TAI_LATCH_NONE);
}

static void first_look_within_a_leap_second_believes_the_kernel(void **state)
{
	struct host h = host_at(UTC_1972_07 - 500 * MS, 11, 11);

	(void)state;
	h.in_leap_second = true;
	look(&h);
	assert_right(&h);
	h = host_at(UTC_1972_07 - 500 * MS, 10, 10);
	look(&h);
	assert_right(&h);
}

static void clock_that_is_set_into_the_quiet_minute_and_out_of_it_is_followed(void **state)
{
	struct host h = host_at(UTC_1972_07 - 86400 * S, 10, 0);

	(void)state;
	look(&h);
	pass(&h, S);
	h.realtime_ns = UTC_1972_07 - 2 * S;
	h.tai_ns = h.realtime_ns + 10 * S;
	look(&h);
	assert_right(&h);
	pass(&h, 2 * S + 4 * MS);
	kernel_leap(&h, 1);
	look(&h);
	assert_right(&h);
	h.realtime_ns = UTC_1972_07 - 3600 * S;
	h.tai_ns = h.realtime_ns + 10 * S;
	h.kernel_tai_s = 0;
	assert_int_equal(look(&h), VRTC_TAI_LATCH_NONE);
	assert_false(h.latch.latched);
	assert_right(&h);
}

/* By 0.7 s, which is no leap second: the first of the two 23:59:59 is meant. */
static void fast_clock_that_is_set_right_in_the_last_second_is_believed(void **state)
{
	struct host h = host_at(UTC_1972_07 - 30 * S, 10, 0);

	(void)state;
	h.realtime_ns += 700 * MS;
	look(&h);
	pass(&h, 29 * S + 200 * MS);
	h.realtime_ns -= 700 * MS;
	look(&h);
	assert_right(&h);
}

static void small_correction_in_the_quiet_minute_is_taken_over_at_once(void **state)
{
	struct host h = host_at(UTC_1972_07 - 30 * S, 10, 0);

	(void)state;
	look(&h);
	h.realtime_ns += 50 * MS;
	h.tai_ns += 50 * MS;
	assert_right(&h);
	look(&h);
	assert_right(&h);
}

/* Linux shows none outside (TIME_SETTOD_SEC_MAX, MAX_TAI_OFFSET); a sanitizer watches the sums. */
static void clocks_at_the_ends_of_what_a_kernel_shows_are_judged_as_any(void **state)
{
	const int64_t last_ns = INT64_C(8277292035) * S + (S - 1);
	const int64_t tai_s[] = {0, 37, 100000};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct host first = host_at(0, 10, tai_s[i]);
		struct host last = host_at(last_ns, 10, tai_s[i]);
		struct host there;

		assert_int_equal(look(&first), VRTC_TAI_LATCH_NONE);
		assert_false(first.latch.looked); /* there was no UTC then */
		assert_int_equal(look(&last), VRTC_TAI_LATCH_NONE);
		assert_false(last.latch.latched);
		assert_right(&last);
		/* And set from the one to the other, there and back. */
		there = first;
		there.tai_ns = last.tai_ns;
		there.realtime_ns = last.realtime_ns;
		assert_int_equal(look(&there), VRTC_TAI_LATCH_NONE);
		assert_right(&there);
		there.realtime_ns = UTC_1972_07 - 30 * S;
		there.tai_ns = there.realtime_ns + 10 * S;
		assert_int_equal(look(&there), VRTC_TAI_LATCH_NONE);
		assert_true(there.latch.latched);
		assert_right(&there);
		there.realtime_ns = last.realtime_ns;
		there.tai_ns = last.tai_ns;
		assert_int_equal(look(&there), VRTC_TAI_LATCH_NONE);
		assert_right(&there);
	}
}

static void without_a_table_nothing_is_latched(void **state)
{
	static const struct vrtc_leap_table empty;
	struct vrtc_tai_latch latch = {.latched = false};
	const struct vrtc_tai_look now = {.realtime_ns = UTC_1972_07};

	(void)state;
	assert_int_equal(vrtc_tai_latch_look(&latch, &empty, &now), VRTC_TAI_LATCH_NONE);
	assert_false(latch.latched);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leap_second_of_a_kernel_that_was_told_nothing_is_not_noticed),
		cmocka_unit_test(leap_second_of_a_kernel_that_knows_tai_is_not_noticed),
		cmocka_unit_test(negative_leap_second_is_not_noticed),
		cmocka_unit_test(tai_told_to_the_kernel_on_any_day_changes_nothing),
		cmocka_unit_test(
			tai_told_to_the_kernel_in_the_quiet_minute_changes_nothing_after_a_look),
		cmocka_unit_test(leap_second_that_ntp_makes_by_a_step_is_right_after_the_next_look),
		cmocka_unit_test(
			leap_second_that_the_host_does_not_do_is_told_once_and_its_utc_is_believed),
		cmocka_unit_test(first_look_within_a_leap_second_believes_the_kernel),
		cmocka_unit_test(clock_that_is_set_into_the_quiet_minute_and_out_of_it_is_followed),
		cmocka_unit_test(fast_clock_that_is_set_right_in_the_last_second_is_believed),
		cmocka_unit_test(small_correction_in_the_quiet_minute_is_taken_over_at_once),
		cmocka_unit_test(clocks_at_the_ends_of_what_a_kernel_shows_are_judged_as_any),
		cmocka_unit_test(without_a_table_nothing_is_latched),
	};

	return cmocka_run_group_tests_name("tai_latch", tests, load_table, NULL);
}
