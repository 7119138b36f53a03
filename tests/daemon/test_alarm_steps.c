/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Alarms of clocks that step: UTC of a host whose clock is set. The daemon runs with a clock of the
 * test's own (stepped_clock.c), in the idle policy busy, since nothing tells it of these steps; the
 * policy interrupt and the kernel's own steps are tests/guest's.
 *
 * virtio-v1.4 RTC Device / Alarm Operation.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarms.h"
#include "wire.h"

#define SECOND (1000 * ALARMS_MS)

/* Those that step with CLOCK_REALTIME; MONOTONIC does not. */
#define STEPPING ((UINT64_C(1) << ALARMS_N) - 1 - (1u << ALARMS_MONOTONIC))

static struct vfe_session s;
static char step_path[96];
static int64_t *step_ns;

/*
 * Steps, and waits until the daemon has compared its alarms with the clock: an alarm lcore does so
 * before it answers alarm requests, so whoever answers the second has looked behind the first.
 */
static void step(int64_t by_ns)
{
	uint64_t alarm_ns;
	bool enabled;

	__atomic_fetch_add(step_ns, by_ns, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vfe_rtc_read_alarm(&s, 0, &alarm_ns, &enabled), VIRTIO_RTC_S_OK);
}

static int start_daemon(void **state)
{
	const char *asan = getenv("ASAN_OPTIONS");
	char *was = asan ? strdup(asan) : NULL;
	char with[1024];
	int fd;

	(void)state;
	fixture_init(&fixture_group);
	snprintf(step_path, sizeof(step_path), "%s/step", fixture_group.dir);
	fd = open(step_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*step_ns)), 0);
	step_ns = mmap(NULL, sizeof(*step_ns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(step_ns != MAP_FAILED);
	close(fd);

	/* For the daemon alone: this process runs already. */
	setenv("STEPPED_CLOCK", step_path, 1);
	setenv("LD_PRELOAD", STEPPED_CLOCK, 1);
	/* The sanitizer wants to be the first; what comes before it here, it need not know. */
	snprintf(with, sizeof(with), "%s:verify_asan_link_order=0", asan ? asan : "");
	setenv("ASAN_OPTIONS", with + (asan ? 0 : 1), 1);
	alarms_args(&fixture_group, "busy");
	fixture_start(&fixture_group);
	unsetenv("LD_PRELOAD");
	unsetenv("STEPPED_CLOCK");
	if (was)
		setenv("ASAN_OPTIONS", was, 1);
	else
		unsetenv("ASAN_OPTIONS");
	free(was);
	return 0;
}

static int stop_daemon(void **state)
{
	munmap(step_ns, sizeof(*step_ns));
	return fixture_group_teardown(state);
}

static int connect_driver(void **state)
{
	(void)state;
	__atomic_store_n(step_ns, 0, __ATOMIC_SEQ_CST);
	alarms_connect(&fixture_group, &s);
	return 0;
}

static int disconnect_driver(void **state)
{
	(void)state;
	vfe_session_fini(&s);
	return 0;
}

/* On all clocks, so far ahead or behind. */
static void set_all(int64_t ahead_ns)
{
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, alarms_now(&s, clock) + (uint64_t)ahead_ns, true);
}

/* What all of this stands on. */
static void the_daemons_utc_steps_and_its_monotonic_clock_does_not(void **state)
{
	uint64_t utc_ns = alarms_now(&s, ALARMS_UTC);
	uint64_t monotonic_ns = alarms_now(&s, ALARMS_MONOTONIC);

	(void)state;
	step(3600 * (int64_t)SECOND);
	assert_in_range(alarms_now(&s, ALARMS_UTC), utc_ns + 3600 * SECOND, UINT64_MAX);
	assert_in_range(
		alarms_now(&s, ALARMS_MONOTONIC), monotonic_ns, monotonic_ns + 1800 * SECOND);
	step(-7200 * (int64_t)SECOND);
	assert_in_range(alarms_now(&s, ALARMS_UTC), 0, utc_ns);
}

/*
 * "The device MUST consider it an alarm expiration event when the associated clock progresses
 * (also: steps) from a time prior to the alarm time to the alarm time, or to a time after the alarm
 * time, while the alarm is enabled."
 */
static void a_step_forward_over_the_alarm_time_is_an_expiration(void **state)
{
	(void)state;
	alarms_fill(&s, 32);
	set_all(100 * (int64_t)SECOND);
	/* Not by a step that ends before it. */
	step(50 * (int64_t)SECOND);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	step(51 * (int64_t)SECOND);
	alarms_wait_all(&s, STEPPING);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	/* Not while it is disabled. */
	set_all(100 * (int64_t)SECOND);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_enable(&s, clock, false);
	step(200 * (int64_t)SECOND);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* "An alarm expires [...] each time when one of the above expiration events occurs". */
static void an_alarm_that_the_clock_steps_back_before_expires_again(void **state)
{
	uint64_t utc_ns;

	(void)state;
	alarms_fill(&s, 64);
	set_all(100 * (int64_t)SECOND);
	for (unsigned i = 0; i < 4; i++) {
		step(200 * (int64_t)SECOND);
		alarms_wait_all(&s, STEPPING);
		step(-200 * (int64_t)SECOND);
		alarms_wait_none(&s, 10);
	}
	/* And by running there, from 300 ms before the first of them. */
	utc_ns = alarms_now(&s, ALARMS_UTC);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, alarms_now(&s, clock), true);
	alarms_wait_all(&s, STEPPING | 1u << ALARMS_MONOTONIC);
	step(-(int64_t)(alarms_now(&s, ALARMS_UTC) - utc_ns + 300 * ALARMS_MS));
	alarms_wait_all(&s, STEPPING);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* Backwards, but not to before the alarm: it is not reached again. */
static void a_step_back_that_ends_behind_the_alarm_is_no_event(void **state)
{
	(void)state;
	alarms_fill(&s, 32);
	set_all(-100 * (int64_t)SECOND);
	alarms_wait_all(&s, STEPPING | 1u << ALARMS_MONOTONIC);
	step(-50 * (int64_t)SECOND);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	step(20 * (int64_t)SECOND);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "After a clock C stepped to a time previous to C's alarm time, the device MAY stop serving any
 * previous alarm expiration event for C."
 *
 * Ours does: a driver is not told of a time that is still to come.
 */
static void a_step_back_before_the_alarm_stops_an_expiration_that_waits_for_a_buffer(void **state)
{
	(void)state;
	set_all(10 * (int64_t)SECOND);
	for (unsigned i = 0; i < 3; i++) {
		step(20 * (int64_t)SECOND);
		step(-20 * (int64_t)SECOND);
	}
	alarms_fill(&s, 32);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	/* When it is reached again, there is one notification, not one for each of the past. */
	step(20 * (int64_t)SECOND);
	alarms_wait_all(&s, STEPPING);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

static void an_alarm_set_behind_a_clock_that_stepped_back_is_ahead(void **state)
{
	uint64_t before_ns = alarms_now(&s, ALARMS_UTC);

	(void)state;
	alarms_fill(&s, 8);
	step(-100 * (int64_t)SECOND);
	alarms_set(&s, ALARMS_UTC, before_ns, true);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	step(100 * (int64_t)SECOND);
	alarms_wait(&s, ALARMS_UTC);
}

/* The reading of after the notification is not before the alarm, whatever the clock does later. */
static void many_steps_each_way_give_each_expiration_once(void **state)
{
	(void)state;
	alarms_fill(&s, 128);
	set_all(1000 * (int64_t)SECOND);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t alarm_ns;
		bool enabled;

		step(((int64_t)i * 37 % 900 + 1000) * (int64_t)SECOND);
		alarms_wait_all(&s, STEPPING);
		assert_int_equal(
			vfe_rtc_read_alarm(&s, ALARMS_UTC, &alarm_ns, &enabled), VIRTIO_RTC_S_OK);
		assert_in_range(alarms_now(&s, ALARMS_UTC), alarm_ns, UINT64_MAX);
		step(-((int64_t)i * 37 % 900 + 1000) * (int64_t)SECOND);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* "if the alarm time is retained and not in the future": of the clock as it is at the reset. */
static void a_reset_after_a_step_back_is_no_expiration(void **state)
{
	(void)state;
	alarms_fill(&s, 32);
	set_all(10 * (int64_t)SECOND);
	step(20 * (int64_t)SECOND);
	alarms_wait_all(&s, STEPPING);
	step(-20 * (int64_t)SECOND);
	assert_int_equal(vfe_session_reset(&s), 0);
	alarms_fill(&s, 32);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	step(20 * (int64_t)SECOND);
	alarms_wait_all(&s, STEPPING);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_driver, disconnect_driver)
	const struct CMUnitTest tests[] = {
		TEST(the_daemons_utc_steps_and_its_monotonic_clock_does_not),
		TEST(a_step_forward_over_the_alarm_time_is_an_expiration),
		TEST(an_alarm_that_the_clock_steps_back_before_expires_again),
		TEST(a_step_back_that_ends_behind_the_alarm_is_no_event),
		TEST(a_step_back_before_the_alarm_stops_an_expiration_that_waits_for_a_buffer),
		TEST(an_alarm_set_behind_a_clock_that_stepped_back_is_ahead),
		TEST(many_steps_each_way_give_each_expiration_once),
		TEST(a_reset_after_a_step_back_is_no_expiration),
	};

	return cmocka_run_group_tests(tests, start_daemon, stop_daemon);
}
