/* SPDX-License-Identifier: BSD-3-Clause */
/* hosttime.h on a host whose kernel says, and shows, what a case makes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/timex.h>

#include <cmocka.h>

#include "hosttime.h"

#define S           VRTC_NS_PER_S
#define UTC_1972_03 (INT64_C(68256000) * S)
#define UTC_1972_07 (INT64_C(78796800) * S) /* a positive leap second before it: 10 to 11 s */
#define UTC_1973_01 (INT64_C(94694400) * S) /* an invented negative one before it: 11 to 10 s */
#define UTC_1971    (INT64_C(31536000) * S)

static const char table_text[] = "#@ 2366755200\n"
				 "2272060800 10 # 1 Jan 1972\n"
				 "2287785600 11 # 1 Jul 1972\n"
				 "2303683200 10 # 1 Jan 1973\n";

static struct vrtc_leap_table table;
static int64_t realtime_ns;
static int64_t boot_ns;
static int kernel_tai_s;
static int kernel_status;
static int kernel_state;

int seen_adjtimex(struct timex *state) __asm__("__wrap_adjtimex");
int seen_clock_gettime(clockid_t id, struct timespec *now) __asm__("__wrap_clock_gettime");

int seen_adjtimex(struct timex *state)
{
	assert_int_equal(state->modes, 0);
	state->tai = kernel_tai_s;
	state->status = kernel_status;
	return kernel_state;
}

int seen_clock_gettime(clockid_t id, struct timespec *now)
{
	int64_t ns = id == CLOCK_BOOTTIME ? boot_ns
		     : id == CLOCK_TAI    ? realtime_ns + kernel_tai_s * S
					  : realtime_ns;

	*now = (struct timespec){.tv_sec = ns / S, .tv_nsec = ns % S};
	return 0;
}

static int begin(void **state)
{
	(void)state;
	realtime_ns = UTC_1972_03;
	boot_ns = 1000 * S;
	kernel_tai_s = 10;
	kernel_status = 0;
	kernel_state = TIME_OK;
	return vrtc_leap_parse(&table, table_text, strlen(table_text), NULL) == VRTC_LEAP_OK ? 0
											     : -1;
}

static struct vrtc_hosttime host_on(enum vrtc_host_timescale timescale)
{
	struct vrtc_hosttime_report report;
	struct vrtc_hosttime h;

	vrtc_hosttime_init(&h, timescale, &table, &report);
	assert_true(report.changed);
	return h;
}

static int64_t tai_of(const struct vrtc_hosttime *h)
{
	int64_t tai_ns = 0;

	assert_true(vrtc_hosttime_read_tai(h, &table, &tai_ns));
	return tai_ns;
}

static void clock_tai_is_believed_where_the_operator_says_so(void **state)
{
	struct vrtc_hosttime h = host_on(VRTC_HOST_TAI_OFFSET);
	int64_t tai_ns = 0;

	(void)state;
	assert_true(tai_of(&h) == UTC_1972_03 + 10 * S);
	/* Whatever the table says. */
	kernel_tai_s = 12;
	assert_true(tai_of(&h) == UTC_1972_03 + 12 * S);
	/* What comes from CLOCK_REALTIME (a PHC on UTC) is by the table. */
	assert_true(vrtc_hosttime_tai_from_realtime(&h, &table, UTC_1972_03, &tai_ns));
	assert_true(tai_ns == UTC_1972_03 + 10 * S);
}

static void utc_is_taken_through_the_table_in_what_it_repeats_and_leaves_out_too(void **state)
{
	struct vrtc_hosttime h = host_on(VRTC_HOST_UTC);
	int64_t tai_ns = 0;

	(void)state;
	kernel_tai_s = 0;
	assert_true(tai_of(&h) == UTC_1972_03 + 10 * S);
	/* Shown twice: nobody can tell, the first. */
	assert_true(vrtc_hosttime_tai_from_realtime(&h, &table, UTC_1972_07 - S / 2, &tai_ns));
	assert_true(tai_ns == UTC_1972_07 - S / 2 + 10 * S);
	/* Never shown by a clock that does the leap second: midnight. */
	assert_true(vrtc_hosttime_tai_from_realtime(&h, &table, UTC_1973_01 - S / 2, &tai_ns));
	assert_true(tai_ns == UTC_1973_01 + 10 * S);
	/* There was no such UTC. */
	assert_false(vrtc_hosttime_tai_from_realtime(&h, &table, UTC_1971, &tai_ns));
}

static void a_host_of_no_known_timescale_has_no_tai(void **state)
{
	struct vrtc_hosttime h = host_on(VRTC_HOST_UNKNOWN);
	int64_t tai_ns = 77;

	(void)state;
	assert_false(vrtc_hosttime_read_tai(&h, &table, &tai_ns));
	assert_int_equal(tai_ns, 77);
}

static void smeared_hosts_have_tai_by_their_curve(void **state)
{
	struct vrtc_hosttime noon = host_on(VRTC_HOST_NOON_LINEAR);
	struct vrtc_hosttime sls = host_on(VRTC_HOST_UTC_SLS);
	int64_t tai_ns = 0;

	(void)state;
	/* At midnight half of a day's smear is over, and all of UTC-SLS's. */
	assert_true(vrtc_hosttime_tai_from_realtime(&noon, &table, UTC_1972_07, &tai_ns));
	assert_in_range(tai_ns - UTC_1972_07, 10 * S + S / 2 - 10000, 10 * S + S / 2 + 10000);
	assert_true(vrtc_hosttime_tai_from_realtime(&sls, &table, UTC_1972_07, &tai_ns));
	assert_true(tai_ns == UTC_1972_07 + 11 * S);
	assert_false(vrtc_hosttime_tai_from_realtime(&noon, &table, UTC_1971, &tai_ns));
	assert_false(vrtc_hosttime_tai_from_realtime(&sls, &table, UTC_1971, &tai_ns));
}

static void what_the_kernel_announces_is_reported_once(void **state)
{
	static const struct {
		int status;
		int state;
		int leap;
	} kernels[] = {
		{STA_INS, TIME_INS, 1},
		{STA_DEL, TIME_DEL, -1},
		/* Under way, and over: what announced it is still there. */
		{STA_INS, TIME_OOP, 0},
		{STA_INS, TIME_WAIT, 0},
		{STA_DEL, TIME_WAIT, 0},
		{STA_UNSYNC, TIME_ERROR, 0},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		struct vrtc_hosttime h = host_on(VRTC_HOST_TAI_OFFSET);
		struct vrtc_hosttime_report report;

		kernel_status = kernels[i].status;
		kernel_state = kernels[i].state;
		vrtc_hosttime_look(&h, &report);
		assert_int_equal(report.view.leap, kernels[i].leap);
		assert_int_equal(report.changed, kernels[i].leap != 0);
		assert_int_equal(report.verdict,
			kernels[i].leap ? VRTC_KERNEL_LEAP_UNKNOWN : VRTC_KERNEL_AGREES);
		vrtc_hosttime_look(&h, &report);
		assert_false(report.changed);
		kernel_status = 0;
		kernel_state = TIME_OK;
	}
}

static void another_tai_of_the_kernel_s_is_reported_once(void **state)
{
	struct vrtc_hosttime h = host_on(VRTC_HOST_TAI_OFFSET);
	struct vrtc_hosttime_report report;

	(void)state;
	kernel_tai_s = 37;
	vrtc_hosttime_look(&h, &report);
	assert_true(report.changed);
	assert_int_equal(report.verdict, VRTC_KERNEL_OTHER_TAI);
	assert_int_equal(report.view.tai_s, 37);
	assert_int_equal(report.table_tai_s, 10);
	/* Another wrong one: the same verdict, and news. */
	kernel_tai_s = 36;
	vrtc_hosttime_look(&h, &report);
	assert_true(report.changed);
	vrtc_hosttime_look(&h, &report);
	assert_false(report.changed);
	assert_int_equal(vrtc_hosttime_kernel_tai_s(), 36);
}

static void around_a_leap_second_tai_is_that_of_clock_tai_and_nothing_is_judged(void **state)
{
	struct vrtc_hosttime h = host_on(VRTC_HOST_UTC);
	struct vrtc_hosttime_report report;

	(void)state;
	realtime_ns = UTC_1972_07 - 30 * S;
	kernel_status = STA_INS;
	kernel_state = TIME_INS;
	vrtc_hosttime_look(&h, &report);
	assert_true(atomic_load(&h.latched_ns) == 0);
	assert_false(report.changed);
	assert_false(report.leap_not_done);
	assert_true(tai_of(&h) == UTC_1972_07 - 20 * S);
	/* The kernel's leap second: TAI goes on. */
	realtime_ns = UTC_1972_07 - S / 2;
	boot_ns += 30 * S + S / 2;
	kernel_tai_s = 11;
	kernel_state = TIME_OOP;
	assert_true(tai_of(&h) == UTC_1972_07 + 10 * S + S / 2);
	vrtc_hosttime_look(&h, &report);
	assert_true(tai_of(&h) == UTC_1972_07 + 10 * S + S / 2);
	realtime_ns = UTC_1972_07 + 70 * S;
	boot_ns += 70 * S + S / 2;
	kernel_state = TIME_WAIT;
	vrtc_hosttime_look(&h, &report);
	assert_true(atomic_load(&h.latched_ns) == VRTC_HOSTTIME_UNLATCHED);
	assert_false(report.leap_not_done);
	assert_int_equal(report.verdict, VRTC_KERNEL_AGREES);
	assert_true(tai_of(&h) == UTC_1972_07 + 81 * S);
}

static void a_leap_second_that_the_host_did_not_do_is_told(void **state)
{
	struct vrtc_hosttime h = host_on(VRTC_HOST_UTC);
	struct vrtc_hosttime_report report;

	(void)state;
	realtime_ns = UTC_1972_07 - 30 * S;
	vrtc_hosttime_look(&h, &report);
	/* Nothing happened at midnight. */
	realtime_ns += 100 * S;
	boot_ns += 100 * S;
	vrtc_hosttime_look(&h, &report);
	assert_true(report.leap_not_done);
	vrtc_hosttime_look(&h, &report);
	assert_false(report.leap_not_done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(clock_tai_is_believed_where_the_operator_says_so, begin),
		cmocka_unit_test_setup(
			utc_is_taken_through_the_table_in_what_it_repeats_and_leaves_out_too,
			begin),
		cmocka_unit_test_setup(a_host_of_no_known_timescale_has_no_tai, begin),
		cmocka_unit_test_setup(smeared_hosts_have_tai_by_their_curve, begin),
		cmocka_unit_test_setup(what_the_kernel_announces_is_reported_once, begin),
		cmocka_unit_test_setup(another_tai_of_the_kernel_s_is_reported_once, begin),
		cmocka_unit_test_setup(
			around_a_leap_second_tai_is_that_of_clock_tai_and_nothing_is_judged, begin),
		cmocka_unit_test_setup(a_leap_second_that_the_host_did_not_do_is_told, begin),
	};

	return cmocka_run_group_tests_name("hosttime", tests, NULL, NULL);
}
