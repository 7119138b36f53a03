/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-probe and alarms: a look at a device that a VM has left for a moment must not make its
 * alarms forgotten; who wants to see or to try them says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alarms.h"

#define HOUR_NS (3600 * UINT64_C(1000000000))

static struct vfe_session s;

/* Runs the probe on the device; returns its exit status, and what it wrote in *text. */
static int probe(const struct fixture *f, const char *option, char **text)
{
	const char *const argv[] = {PROBE, "--count=0", option, f->socket, NULL};
	char path[128];
	struct child child;
	int status;

	snprintf(path, sizeof(path), "%s/probe.txt", f->dir);
	assert_int_equal(child_start(&child, argv, path, path), 0);
	status = child_wait(&child, FIXTURE_WAIT_MS);
	*text = child_read_file(path);
	assert_non_null(*text);
	return status;
}

static void check_probe(const struct fixture *f, const char *option, int status, const char *words)
{
	char *text;
	int got = probe(f, option, &text);

	if (got != status || !strstr(text, words))
		fail_msg("%s: status %d, not %d, or without \"%s\":\n%s", option, got, status,
			words, text);
	free(text);
}

/* An alarm an hour ahead is set, and its driver's connection is lost. */
static uint64_t leave_alarm(struct fixture *f)
{
	uint64_t alarm_ns;

	fixture_init(f);
	alarms_args(f, "interrupt");
	fixture_start(f);
	alarms_connect(f, &s);
	alarm_ns = alarms_now(&s, ALARMS_UTC) + HOUR_NS;
	alarms_set(&s, ALARMS_UTC, alarm_ns, true);
	vfe_session_disconnect(&s);
	return alarm_ns;
}

static void come_back(struct fixture *f)
{
	if (vfe_session_reconnect(&s))
		fail_msg("%s", vfe_error(&s));
	(void)f;
}

static void leave(struct fixture *f)
{
	vfe_session_fini(&s);
	fixture_stop(f);
	fixture_fini(f);
}

static void a_look_at_a_device_leaves_its_alarms(void **state)
{
	struct fixture f;
	uint64_t alarm_ns = leave_alarm(&f);

	(void)state;
	check_probe(&f, "--wait=sleep", 0, "which clocks have an alarm is not asked for");
	come_back(&f);
	alarms_check(&s, ALARMS_UTC, alarm_ns, true);
	leave(&f);
}

static void who_asks_for_alarms_sees_his_own_and_those_of_before_are_forgotten(void **state)
{
	struct fixture f;

	(void)state;
	(void)leave_alarm(&f);
	check_probe(&f, "--alarms", 0, "1970-01-01 00:00:00.000000000  no");
	come_back(&f);
	alarms_check(&s, ALARMS_UTC, 0, false);
	leave(&f);
}

static void alarm_that_is_tried_comes(void **state)
{
	struct fixture f;

	(void)state;
	(void)leave_alarm(&f);
	check_probe(&f, "--alarm=3", 0, "notified +");
	leave(&f);
}

static void clock_without_alarm_and_unknown_clock_are_told_in_a_line(void **state)
{
	struct fixture f;

	(void)state;
	(void)leave_alarm(&f);
	check_probe(&f, "--alarm=6", 1, "--alarm=6: this clock has no alarm");
	check_probe(&f, "--alarm=7", 1, "--alarm=7: there is no such clock; the device has 7");
	check_probe(&f, "--alarm=1x", 2, "--alarm=1x: a whole number from 0 to 65535 is accepted");
	leave(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_look_at_a_device_leaves_its_alarms),
		cmocka_unit_test(
			who_asks_for_alarms_sees_his_own_and_those_of_before_are_forgotten),
		cmocka_unit_test(alarm_that_is_tried_comes),
		cmocka_unit_test(clock_without_alarm_and_unknown_clock_are_told_in_a_line),
	};

	return cmocka_run_group_tests_name("alarm_probe", tests, NULL, NULL);
}
