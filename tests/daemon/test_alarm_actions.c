/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * "Implementation-specific alarm actions": the real daemon starts a program when an alarm expires
 * (--alarm-action exec:PROGRAM), whatever the driver is doing. The actions by themselves, qmp:
 * among them, are tested in tests/unit/test_alarm_action.c.
 *
 * virtio-v1.4 RTC Device / Alarm Operation.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarms.h"
#include "wire.h"

#define F_ALARM (UINT64_C(1) << VIRTIO_RTC_F_ALARM)

/* In which a program that is wrongly started would have left its line. */
#define QUIET_MS 300

static struct vfe_session s;
static char program[96];
static char actions[96]; /* a line for each run of the program */

static int start_daemon(void **state)
{
	static char option[112];
	FILE *file;

	(void)state;
	fixture_init(&fixture_group);
	snprintf(program, sizeof(program), "%s/action", fixture_group.dir);
	snprintf(actions, sizeof(actions), "%s/actions", fixture_group.dir);
	file = fopen(program, "we");
	assert_non_null(file);
	fprintf(file,
		"#!/bin/sh\necho \"$DPDK_RTC_DEVICE $DPDK_RTC_CLOCK_ID $DPDK_RTC_CLOCK "
		"$DPDK_RTC_ALARM_NS\" >>%s\n",
		actions);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(program, 0700), 0);
	snprintf(option, sizeof(option), "exec:%s", program);
	alarms_args(&fixture_group, "interrupt");
	fixture_arg(&fixture_group, "--alarm-action");
	fixture_arg(&fixture_group, option);
	fixture_start(&fixture_group);
	return 0;
}

static int connect_driver(void **state)
{
	(void)state;
	alarms_connect(&fixture_group, &s);
	(void)unlink(actions);
	return 0;
}

static int disconnect_driver(void **state)
{
	(void)state;
	vfe_session_fini(&s);
	return 0;
}

/* Waits for one run of the program, and wants it to be of this alarm. */
static void expect_action(uint16_t clock, const char *name, uint64_t alarm_ns)
{
	char wanted[128];
	char *lines = NULL;

	for (unsigned ms = 0; ms < FIXTURE_WAIT_MS; ms += 5) {
		lines = child_read_file(actions);
		if (lines && strchr(lines, '\n'))
			break;
		free(lines);
		lines = NULL;
		fixture_sleep_ms(5);
	}
	snprintf(wanted, sizeof(wanted), "rtc %u %s %" PRIu64 "\n", clock, name, alarm_ns);
	assert_non_null(lines);
	assert_string_equal(lines, wanted);
	free(lines);
	assert_int_equal(unlink(actions), 0);
}

static void expect_no_action(void)
{
	fixture_sleep_ms(QUIET_MS);
	assert_int_equal(access(actions, F_OK), -1);
}

/*
 * "While the device is serving an alarm expiration event, the device MAY execute
 * implementation-specific alarm actions."
 */
static void an_action_is_executed_while_an_expiration_is_served(void **state)
{
	uint64_t alarm_ns;

	(void)state;
	/* Whether there is a buffer for its notification or not. */
	alarm_ns = alarms_now(&s, ALARMS_TAI) + 5 * ALARMS_MS;
	alarms_set(&s, ALARMS_TAI, alarm_ns, true);
	expect_action(ALARMS_TAI, "tai", alarm_ns);
	alarms_fill(&s, 4);
	alarms_wait(&s, ALARMS_TAI);
	/* By each kind of event. */
	alarms_enable(&s, ALARMS_TAI, true);
	alarms_wait(&s, ALARMS_TAI);
	expect_action(ALARMS_TAI, "tai", alarm_ns);
	alarms_set(&s, ALARMS_UTC, 7, true);
	alarms_wait(&s, ALARMS_UTC);
	expect_action(ALARMS_UTC, "utc", 7);
}

/*
 * "The device MAY ignore the device status when executing implementation-specific alarm actions."
 */
static void an_action_is_executed_whatever_the_device_status_is(void **state)
{
	uint64_t alarm_ns;

	(void)state;
	/* The VM is stopped. */
	alarm_ns = alarms_now(&s, ALARMS_MONOTONIC) + 50 * ALARMS_MS;
	alarms_set(&s, ALARMS_MONOTONIC, alarm_ns, true);
	assert_int_equal(vfe_session_stop(&s), 0);
	expect_action(ALARMS_MONOTONIC, "monotonic", alarm_ns);
	assert_int_equal(vfe_session_resume(&s), 0);

	/* There is no VM. */
	alarm_ns = alarms_now(&s, ALARMS_MONOTONIC) + 50 * ALARMS_MS;
	alarms_set(&s, ALARMS_MONOTONIC, alarm_ns, true);
	vfe_session_disconnect(&s);
	expect_action(ALARMS_MONOTONIC, "monotonic", alarm_ns);

	/* The driver has its notification nevertheless. */
	assert_int_equal(vfe_session_reconnect(&s), 0);
	alarms_fill(&s, 4);
	alarms_wait(&s, ALARMS_MONOTONIC);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "The device MAY ignore whether VIRTIO_RTC_F_ALARM has been negotiated when executing
 * implementation-specific alarm actions."
 */
static void an_action_is_executed_whether_f_alarm_is_negotiated_or_not(void **state)
{
	uint64_t alarm_ns = alarms_now(&s, ALARMS_UTC) + 100 * ALARMS_MS;

	(void)state;
	alarms_set(&s, ALARMS_UTC, alarm_ns, true);
	assert_int_equal(vfe_session_reset_as(&s, s.features & ~F_ALARM, 1), 0);
	expect_action(ALARMS_UTC, "utc", alarm_ns);
}

/*
 * "If the driver successfully disables an alarm [...], the device MUST stop serving any previous
 * alarm expiration event": an alarm that is disabled in time executes nothing.
 */
static void a_disabled_alarm_executes_no_action(void **state)
{
	(void)state;
	alarms_set(&s, ALARMS_UTC, alarms_now(&s, ALARMS_UTC) + 100 * ALARMS_MS, true);
	alarms_enable(&s, ALARMS_UTC, false);
	alarms_set(&s, ALARMS_TAI, 1, false);
	expect_no_action();
}

/* Else a driver that resets the device again and again would start as many programs. */
static void a_reset_executes_no_action(void **state)
{
	(void)state;
	alarms_set(&s, ALARMS_UTC, 1, true);
	expect_action(ALARMS_UTC, "utc", 1);
	assert_int_equal(vfe_session_reset(&s), 0);
	alarms_fill(&s, 4);
	alarms_wait(&s, ALARMS_UTC);
	expect_no_action();
}

/* The program does not end: alarms come nevertheless, and so does the end of the daemon. */
static void an_action_that_hangs_delays_no_alarm(void **state)
{
	FILE *file = fopen(program, "we");

	(void)state;
	assert_non_null(file);
	/* Until the fixture's folder goes. */
	fprintf(file, "#!/bin/sh\nwhile [ -e %s ]; do sleep 1; done\n", program);
	assert_int_equal(fclose(file), 0);
	alarms_fill(&s, 64);
	for (unsigned i = 0; i < 30; i++) {
		uint16_t clock = (uint16_t)(i % ALARMS_N);

		/* The program hangs for longer than this waits. */
		alarms_set(&s, clock, alarms_now(&s, clock) + 2 * ALARMS_MS, true);
		alarms_wait(&s, clock);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_driver, disconnect_driver)
	const struct CMUnitTest tests[] = {
		TEST(an_action_is_executed_while_an_expiration_is_served),
		TEST(an_action_is_executed_whatever_the_device_status_is),
		TEST(an_action_is_executed_whether_f_alarm_is_negotiated_or_not),
		TEST(a_disabled_alarm_executes_no_action),
		TEST(a_reset_executes_no_action),
		TEST(an_action_that_hangs_delays_no_alarm),
	};

	return cmocka_run_group_tests(tests, start_daemon, fixture_group_teardown);
}
