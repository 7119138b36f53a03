/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_view.h"
#include "nstime.h"

#define S           VRTC_NS_PER_S
#define HOUR        (3600 * S)
#define UTC_1972_07 (INT64_C(78796800) * S)

static const char table_text[] = "#@ 2366755200\n"
				 "2272060800 10 # 1 Jan 1972\n"
				 "2287785600 11 # 1 Jul 1972\n";

static struct vrtc_leap_table table;

static int load_table(void **state)
{
	(void)state;
	return vrtc_leap_parse(&table, table_text, strlen(table_text), NULL) == VRTC_LEAP_OK ? 0
											     : -1;
}

static enum vrtc_kernel_verdict judge(int tai_s, int leap, int64_t utc_ns)
{
	const struct vrtc_kernel_view view = {.tai_s = tai_s, .leap = leap};

	return vrtc_kernel_view_judge(&view, &table, VRTC_HOST_UTC, utc_ns);
}

static void tai_of_the_kernel_is_compared_with_the_tables(void **state)
{
	(void)state;
	assert_int_equal(judge(10, 0, UTC_1972_07 - 48 * HOUR), VRTC_KERNEL_AGREES);
	assert_int_equal(judge(11, 0, UTC_1972_07), VRTC_KERNEL_AGREES);
	assert_int_equal(judge(0, 0, UTC_1972_07), VRTC_KERNEL_UNTOLD);
	assert_int_equal(judge(10, 0, UTC_1972_07), VRTC_KERNEL_OTHER_TAI);
	assert_int_equal(vrtc_kernel_view_table_s(&table, UTC_1972_07 - 1), 10);
	assert_int_equal(vrtc_kernel_view_table_s(&table, 0), 0);
}

static void announced_leap_second_that_the_table_lacks_is_found(void **state)
{
	(void)state;
	assert_int_equal(judge(11, 1, UTC_1972_07 + HOUR), VRTC_KERNEL_LEAP_UNKNOWN);
	assert_int_equal(judge(0, 1, UTC_1972_07 + HOUR), VRTC_KERNEL_LEAP_UNKNOWN);
	/* The other kind than the table's, and a day too early: the kernel does it tonight. */
	assert_int_equal(judge(10, -1, UTC_1972_07 - HOUR), VRTC_KERNEL_LEAP_UNKNOWN);
	assert_int_equal(judge(10, 1, UTC_1972_07 - 25 * HOUR), VRTC_KERNEL_LEAP_UNKNOWN);
	assert_int_equal(judge(10, 1, UTC_1972_07 - 23 * HOUR), VRTC_KERNEL_AGREES);
}

static void leap_second_of_the_table_that_is_not_announced_is_found_two_hours_before(void **state)
{
	(void)state;
	assert_int_equal(judge(10, 0, UTC_1972_07 - 3 * HOUR), VRTC_KERNEL_AGREES);
	assert_int_equal(judge(10, 0, UTC_1972_07 - HOUR), VRTC_KERNEL_LEAP_MISSING);
	assert_int_equal(judge(10, 1, UTC_1972_07 - HOUR), VRTC_KERNEL_AGREES);
}

static void kernel_of_a_smeared_host_is_not_to_announce_any(void **state)
{
	const struct vrtc_kernel_view announces = {.tai_s = 10, .leap = 1};
	const struct vrtc_kernel_view silent = {.tai_s = 10, .leap = 0};

	(void)state;
	assert_int_equal(vrtc_kernel_view_judge(
				 &announces, &table, VRTC_HOST_NOON_LINEAR, UTC_1972_07 - HOUR),
		VRTC_KERNEL_LEAP_WHILE_SMEARED);
	assert_int_equal(
		vrtc_kernel_view_judge(&silent, &table, VRTC_HOST_NOON_LINEAR, UTC_1972_07 - HOUR),
		VRTC_KERNEL_AGREES);
}

static void what_nobody_said_is_not_contradicted(void **state)
{
	static const struct vrtc_leap_table empty;
	const struct vrtc_kernel_view announces = {.tai_s = 10, .leap = 1};
	const struct vrtc_kernel_view told = {.tai_s = 11};

	(void)state;
	assert_int_equal(
		vrtc_kernel_view_judge(&announces, &table, VRTC_HOST_UNKNOWN, UTC_1972_07 - HOUR),
		VRTC_KERNEL_AGREES);
	assert_int_equal(vrtc_kernel_view_judge(&told, &empty, VRTC_HOST_UTC, UTC_1972_07),
		VRTC_KERNEL_AGREES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tai_of_the_kernel_is_compared_with_the_tables),
		cmocka_unit_test(announced_leap_second_that_the_table_lacks_is_found),
		cmocka_unit_test(
			leap_second_of_the_table_that_is_not_announced_is_found_two_hours_before),
		cmocka_unit_test(kernel_of_a_smeared_host_is_not_to_announce_any),
		cmocka_unit_test(what_nobody_said_is_not_contradicted),
	};

	return cmocka_run_group_tests_name("kernel_view", tests, load_table, NULL);
}
