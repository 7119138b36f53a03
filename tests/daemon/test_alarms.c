/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-v1.4 RTC Device / Alarm Operation, Alarm Control Requests and Alarm Notifications: a test
 * for each device-normative statement, named after it, with the words that it tests; and what an
 * alarm does whose driver is slow, or has many. From a real front-end to the real daemon, on a
 * clock of every kind.
 *
 * Elsewhere: what a clock that steps does, in test_alarm_steps.c; device resets and the end of the
 * daemon, in test_alarm_retain.c; alarmq buffers of every shape, in test_alarm_buffers.c; the
 * implementation-specific actions, in test_alarm_actions.c.
 *
 * Run with a word for alarms_args(): test_alarms busy.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "alarms.h"
#include "wire.h"

#define REQUESTQ VIRTIO_RTC_REQUESTQ
#define ALARMQ   VIRTIO_RTC_ALARMQ

#define ALL_CLOCKS ((UINT64_C(1) << ALARMS_N) - 1)

static const char *idle = "interrupt";
static struct vfe_session s;

static int start_daemon(void **state)
{
	(void)state;
	fixture_init(&fixture_group);
	alarms_args(&fixture_group, idle);
	fixture_start(&fixture_group);
	return 0;
}

static int connect_driver(void **state)
{
	(void)state;
	alarms_connect(&fixture_group, &s);
	return 0;
}

static int disconnect_driver(void **state)
{
	(void)state;
	vfe_session_fini(&s);
	return 0;
}

/* Connected anew, without VIRTIO_RTC_F_ALARM, but with both queues. */
static void connect_without_alarm(void)
{
	struct vfe_config cfg;

	vfe_session_fini(&s);
	alarms_config(&fixture_group, &cfg);
	cfg.features &= ~(UINT64_C(1) << VIRTIO_RTC_F_ALARM);
	fixture_connect_as(&s, &cfg);
	assert_false(s.features >> VIRTIO_RTC_F_ALARM & 1);
}

static uint16_t alarmq_used(void)
{
	return vfe_ring_used_idx(&s.queues[ALARMQ].ring);
}

/* ---- Alarm Operation ---- */

/*
 * "If VIRTIO_RTC_F_ALARM has been negotiated, the device MUST support the alarm messages,
 * VIRTIO_RTC_REQ_READ_ALARM, VIRTIO_RTC_REQ_SET_ALARM, VIRTIO_RTC_REQ_SET_ALARM_ENABLED, and
 * VIRTIO_RTC_NOTIF_ALARM, for one or more clocks."
 */
static void with_f_alarm_the_device_supports_the_alarm_messages(void **state)
{
	(void)state;
	assert_true(s.features >> VIRTIO_RTC_F_ALARM & 1);
	alarms_fill(&s, 8);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		alarms_set(&s, clock, 1234, false);
		alarms_check(&s, clock, 1234, false);
		alarms_enable(&s, clock, true);
		alarms_check(&s, clock, 1234, true);
		alarms_wait(&s, clock);
	}
}

/*
 * "If VIRTIO_RTC_F_ALARM has not been negotiated, the device MUST NOT support the alarm messages."
 *
 * The notification is one of them: alarms that an earlier driver left behind do not come.
 */
static void without_f_alarm_the_device_does_not_support_the_alarm_messages(void **state)
{
	bool enabled;
	uint64_t ns;

	(void)state;
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, alarms_now(&s, clock) + 5 * ALARMS_MS, true);
	connect_without_alarm();
	alarms_fill(&s, 8);
	for (uint16_t clock = 0; clock <= ALARMS_WITHOUT; clock++) {
		assert_int_equal(vfe_rtc_read_alarm(&s, clock, &ns, &enabled), VIRTIO_RTC_S_ENODEV);
		assert_int_equal(vfe_rtc_set_alarm(&s, clock, 0, true), VIRTIO_RTC_S_ENODEV);
		assert_int_equal(vfe_rtc_set_alarm_enabled(&s, clock, true), VIRTIO_RTC_S_ENODEV);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	assert_int_equal(alarmq_used(), 0);
}

/*
 * "The device MUST set the VIRTIO_RTC_FLAG_ALARM_CAP flag in struct virtio_rtc_resp_clock_cap.flags
 * if the respective clock supports alarm messages, and clear the flag otherwise."
 */
static void alarm_cap_is_set_if_the_clock_supports_alarm_messages_and_clear_otherwise(void **state)
{
	struct vfe_rtc_clock_cap cap;

	(void)state;
	for (uint16_t clock = 0; clock <= ALARMS_WITHOUT; clock++) {
		assert_int_equal(vfe_rtc_clock_cap(&s, clock, &cap), VIRTIO_RTC_S_OK);
		assert_int_equal(cap.flags, clock < ALARMS_N ? VIRTIO_RTC_FLAG_ALARM_CAP : 0);
	}
	connect_without_alarm();
	for (uint16_t clock = 0; clock <= ALARMS_WITHOUT; clock++) {
		assert_int_equal(vfe_rtc_clock_cap(&s, clock, &cap), VIRTIO_RTC_S_OK);
		assert_int_equal(cap.flags, 0);
	}
}

/* "Initially, the alarm time is 0, and the alarm is disabled." */
static void initially_the_alarm_time_is_0_and_the_alarm_disabled(void **state)
{
	struct vfe_session first;
	struct vfe_config cfg;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	alarms_args(&f, idle);
	fixture_start(&f);
	alarms_config(&f, &cfg);
	fixture_connect_as(&first, &cfg);
	alarms_fill(&first, 8);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_check(&first, clock, 0, false);
	/* Time 0 is past on each clock: were one of them enabled, it had expired. */
	alarms_wait_none(&first, ALARMS_QUIET_MS);
	vfe_session_fini(&first);
	fixture_stop(&f);
	fixture_fini(&f);
}

/*
 * "The device MUST consider it an alarm expiration event when the associated clock progresses
 * (also: steps) from a time prior to the alarm time to the alarm time, or to a time after the alarm
 * time, while the alarm is enabled."
 */
static void an_enabled_alarm_expires_when_its_clock_progresses_to_the_alarm_time(void **state)
{
	(void)state;
	alarms_fill(&s, 32);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		alarms_set(&s, clock, alarms_now(&s, clock) + 20 * ALARMS_MS, true);
		alarms_wait(&s, clock);
	}
	/* All at once, and enabled in two steps. */
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, alarms_now(&s, clock) + 20 * ALARMS_MS, false);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_enable(&s, clock, true);
	alarms_wait_all(&s, ALL_CLOCKS);
	/* Not while it is disabled. */
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, alarms_now(&s, clock) + 10 * ALARMS_MS, false);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "The device MUST consider it an alarm expiration event when the driver sets an alarm time which
 * the associated clock has already reached or passed, while also setting the alarm to enabled."
 */
static void setting_and_enabling_an_alarm_time_that_is_passed_is_an_expiration(void **state)
{
	(void)state;
	alarms_fill(&s, 64);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		uint64_t now_ns = alarms_now(&s, clock);
		const uint64_t passed_ns[] = {0, 1, now_ns / 2, now_ns - 1, now_ns};

		for (unsigned i = 0; i < sizeof(passed_ns) / sizeof(passed_ns[0]); i++) {
			alarms_set(&s, clock, passed_ns[i], true);
			alarms_wait(&s, clock);
			alarms_check(&s, clock, passed_ns[i], true);
		}
		/* The same again, although it is enabled already and has expired. */
		alarms_set(&s, clock, now_ns, true);
		alarms_wait(&s, clock);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "The device MUST consider it an alarm expiration event when the driver sets the alarm to enabled,
 * if the clock has already reached or passed the alarm time."
 */
static void enabling_an_alarm_whose_time_is_passed_is_an_expiration(void **state)
{
	(void)state;
	alarms_fill(&s, 64);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		alarms_set(&s, clock, alarms_now(&s, clock), false);
		/* Also when it is enabled already. */
		for (unsigned i = 0; i < 3; i++) {
			alarms_enable(&s, clock, true);
			alarms_wait(&s, clock);
		}
		alarms_enable(&s, clock, false);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "If an alarm expiration event E happens, the device MUST start serving the alarm expiration event
 * E."
 *
 * Every event, of each clock and again and again, has its notification when there is time for it
 * before the next.
 */
static void each_expiration_is_served(void **state)
{
	(void)state;
	alarms_fill(&s, 1);
	for (unsigned i = 0; i < 60; i++) {
		uint16_t clock = (uint16_t)(i % ALARMS_N);
		uint64_t now_ns = alarms_now(&s, clock);

		alarms_set(&s, clock, i % 2 ? now_ns - 1 : now_ns + ALARMS_MS, i % 3 != 0);
		if (i % 3 == 0)
			alarms_enable(&s, clock, true);
		alarms_wait(&s, clock);
		alarms_enable(&s, clock, false);
		alarms_fill(&s, 1);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "If the device is currently serving an alarm expiration event E, the device MUST use a single
 * VIRTIO_RTC_NOTIF_ALARM notification for E, as soon as an alarmq buffer is available for this
 * purpose."
 */
static void a_single_notification_is_used_as_soon_as_a_buffer_is_available(void **state)
{
	(void)state;
	/* There are more buffers than expirations. */
	alarms_fill(&s, 8);
	alarms_set(&s, ALARMS_UTC, 1, true);
	alarms_wait(&s, ALARMS_UTC);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	assert_int_equal(alarmq_used(), 1);

	/* There is none; they come one by one. */
	assert_int_equal(vfe_session_reset(&s), 0);
	alarms_clear(&s, ALARMS_N);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, alarms_now(&s, clock) + ALARMS_MS, true);
	fixture_sleep_ms(10);
	for (uint64_t left = ALL_CLOCKS; left;) {
		uint16_t clock;

		alarms_fill(&s, 1);
		assert_int_equal(vfe_rtc_alarm_wait(&s, &clock, false, FIXTURE_WAIT_MS), 0);
		assert_true(left >> clock & 1);
		left &= ~(UINT64_C(1) << clock);
	}
	alarms_fill(&s, 8);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	assert_int_equal(alarmq_used(), ALARMS_N);
}

/* "[...] no buffers are available in the alarmq [...]": the alarmq is started after the event. */
static void an_expiration_before_the_alarmq_is_started_is_notified_when_it_is(void **state)
{
	(void)state;
	assert_int_equal(vfe_session_queue_stop(&s, ALARMQ), 0);
	alarms_set(&s, ALARMS_TAI, alarms_now(&s, ALARMS_TAI) + 5 * ALARMS_MS, true);
	alarms_fill(&s, 4);
	fixture_sleep_ms(20);
	assert_int_equal(alarmq_used(), 0);
	assert_int_equal(vfe_session_queue_start(&s, ALARMQ), 0);
	alarms_wait(&s, ALARMS_TAI);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "If the driver successfully disables an alarm for clock C with request VIRTIO_RTC_REQ_SET_ALARM
 * or VIRTIO_RTC_REQ_SET_ALARM_ENABLED, the device MUST stop serving any previous alarm expiration
 * event for C before the device uses the response buffer."
 */
static void disabling_stops_a_pending_expiration_before_the_response_is_used(void **state)
{
	(void)state;
	/* Pending for lack of a buffer, by each kind of event; disabled in each way. */
	for (unsigned i = 0; i < 4u * ALARMS_N; i++) {
		uint16_t clock = (uint16_t)(i / 4);
		uint64_t now_ns = alarms_now(&s, clock);

		alarms_set(&s, clock, i & 1 ? now_ns : now_ns + ALARMS_MS, true);
		fixture_sleep_ms(5);
		if (i & 2)
			alarms_enable(&s, clock, false);
		else
			alarms_set(&s, clock, now_ns, false);
	}
	alarms_fill(&s, 16);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	assert_int_equal(alarmq_used(), 0);
}

/*
 * The same statement, when the alarm is just going off: the request is made available within some
 * microseconds of the alarm's instant, and whichever comes first, behind the response there is no
 * notification.
 */
static void no_notification_comes_behind_the_response_that_disables(void **state)
{
	int64_t lead_ns = 0; /* of the request before the alarm; follows the outcome */
	unsigned fired = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		uint64_t alarm_ns;
		uint16_t used;

		if (vfe_ring_in_flight(&s.queues[ALARMQ].ring) == 0)
			alarms_fill(&s, 1);
		alarm_ns = alarms_now(&s, ALARMS_MONOTONIC) + ALARMS_MS;
		alarms_set(&s, ALARMS_MONOTONIC, alarm_ns, true);
		while ((int64_t)(alarm_ns - fixture_now_ns(CLOCK_BOOTTIME)) > lead_ns)
			continue;
		if (i & 1)
			alarms_enable(&s, ALARMS_MONOTONIC, false);
		else
			alarms_set(&s, ALARMS_MONOTONIC, alarm_ns, false);
		used = alarmq_used();
		fixture_sleep_ms(1);
		assert_int_equal(alarmq_used(), used);
		if (used != s.queues[ALARMQ].ring.used_idx) {
			alarms_wait(&s, ALARMS_MONOTONIC);
			fired++;
			lead_ns += 10000;
		} else {
			lead_ns -= 10000;
		}
	}
	print_message("of 200 alarms, %u fired before they were disabled\n", fired);
}

/*
 * "If the driver successfully requests VIRTIO_RTC_REQ_SET_ALARM, or
 * VIRTIO_RTC_REQ_SET_ALARM_ENABLED, for clock C, keeping the alarm enabled, the device MAY stop
 * serving any previous alarm expiration event for C."
 *
 * Ours does: what the driver gets is about the alarm that it has set.
 */
static void setting_an_alarm_anew_stops_its_previous_expiration(void **state)
{
	uint64_t later_ns;

	(void)state;
	alarms_set(&s, ALARMS_UTC, 1, true);
	later_ns = alarms_now(&s, ALARMS_UTC) + 60000 * ALARMS_MS;
	alarms_set(&s, ALARMS_UTC, later_ns, true);
	alarms_fill(&s, 4);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	alarms_check(&s, ALARMS_UTC, later_ns, true);
}

/*
 * "If an alarm expiration event happens for clock C, the device MAY stop serving any previous alarm
 * expiration event for C."
 *
 * Ours does: many events and no buffer are one notification, when there is a buffer.
 */
static void an_expiration_stops_the_previous_one_of_the_same_clock(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		alarms_set(&s, ALARMS_UTC, i, true);
		alarms_enable(&s, ALARMS_UTC, true);
		alarms_enable(&s, ALARMS_TAI, true);
	}
	alarms_fill(&s, 16);
	alarms_wait_all(&s, 1u << ALARMS_UTC | 1u << ALARMS_TAI);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* ---- Alarm Control Requests ---- */

/*
 * "If VIRTIO_RTC_F_ALARM has not been negotiated, the device MUST set status VIRTIO_RTC_S_ENODEV
 * for VIRTIO_RTC_REQ_READ_ALARM, VIRTIO_RTC_REQ_SET_ALARM, and VIRTIO_RTC_REQ_SET_ALARM_ENABLED."
 */
static void without_f_alarm_the_alarm_control_requests_are_enodev(void **state)
{
	bool enabled;
	uint64_t ns;

	(void)state;
	alarms_set(&s, ALARMS_UTC, 77, false);
	connect_without_alarm();
	for (uint16_t clock = 0; clock <= ALARMS_WITHOUT + 1; clock++) {
		assert_int_equal(vfe_rtc_read_alarm(&s, clock, &ns, &enabled), VIRTIO_RTC_S_ENODEV);
		assert_int_equal(vfe_rtc_set_alarm(&s, clock, 1, true), VIRTIO_RTC_S_ENODEV);
		assert_int_equal(vfe_rtc_set_alarm_enabled(&s, clock, true), VIRTIO_RTC_S_ENODEV);
	}
	/* And nothing was set by them. */
	assert_int_equal(
		vfe_session_reset_as(&s, s.features | UINT64_C(1) << VIRTIO_RTC_F_ALARM, 3), 0);
	alarms_check(&s, ALARMS_UTC, 77, false);
}

/*
 * "If the clock does not support alarm messages, the device MUST set status VIRTIO_RTC_S_ENODEV for
 * VIRTIO_RTC_REQ_READ_ALARM, VIRTIO_RTC_REQ_SET_ALARM, and VIRTIO_RTC_REQ_SET_ALARM_ENABLED."
 */
static void of_a_clock_without_alarm_the_alarm_control_requests_are_enodev(void **state)
{
	static const uint16_t without[] = {ALARMS_WITHOUT, ALARMS_WITHOUT + 1, 64, 256, 0xffff};
	bool enabled;
	uint64_t ns;

	(void)state;
	for (unsigned i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		assert_int_equal(
			vfe_rtc_read_alarm(&s, without[i], &ns, &enabled), VIRTIO_RTC_S_ENODEV);
		assert_int_equal(vfe_rtc_set_alarm(&s, without[i], 1, true), VIRTIO_RTC_S_ENODEV);
		assert_int_equal(
			vfe_rtc_set_alarm_enabled(&s, without[i], true), VIRTIO_RTC_S_ENODEV);
	}
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_check(&s, clock, 0, false);
}

/* Times at the edges of what 64 bits hold, signed and not. */
static const uint64_t edge_ns[] = {0, 1, 2, INT64_MAX - 1, INT64_MAX, (uint64_t)INT64_MAX + 1,
	UINT64_MAX - 1, UINT64_MAX, 0x0123456789abcdef, 0xfedcba9876543210};
#define N_EDGES (sizeof(edge_ns) / sizeof(edge_ns[0]))

/*
 * "For VIRTIO_RTC_REQ_READ_ALARM, the device MUST set the alarm_time field to the alarm time."
 */
static void read_alarm_gives_the_alarm_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_EDGES; i++) {
		/* Each clock another one: an alarm mistaken for another's shows. */
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_set(&s, clock, edge_ns[(i + clock) % N_EDGES], i % 2);
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_check(&s, clock, edge_ns[(i + clock) % N_EDGES], i % 2);
	}
}

/*
 * "For VIRTIO_RTC_REQ_READ_ALARM, the device MUST set the VIRTIO_RTC_FLAG_ALARM_ENABLED flag in the
 * flags field if the alarm is enabled, and clear the flag otherwise."
 *
 * An alarm that has expired is still enabled.
 */
static void read_alarm_sets_the_enabled_flag_if_enabled_and_clears_it_otherwise(void **state)
{
	uint64_t soon_ns;

	(void)state;
	alarms_fill(&s, 4);
	soon_ns = alarms_now(&s, ALARMS_UTC) + 5 * ALARMS_MS;
	alarms_set(&s, ALARMS_UTC, soon_ns, true);
	alarms_check(&s, ALARMS_UTC, soon_ns, true);
	alarms_wait(&s, ALARMS_UTC);
	alarms_check(&s, ALARMS_UTC, soon_ns, true);
	alarms_enable(&s, ALARMS_UTC, false);
	alarms_check(&s, ALARMS_UTC, soon_ns, false);
	alarms_check(&s, ALARMS_TAI, 0, false);
}

/*
 * "For VIRTIO_RTC_REQ_READ_ALARM and for any clock type listed in this specification, the device
 * MUST use the nanosecond as unit for the alarm_time field."
 *
 * So is the reading's: an alarm of so many units ahead comes when so many nanoseconds have passed.
 */
static void the_unit_of_the_alarm_time_is_the_nanosecond(void **state)
{
	(void)state;
	alarms_fill(&s, 16);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		uint64_t begin_ns = fixture_now_ns(CLOCK_BOOTTIME);
		uint64_t alarm_ns = alarms_now(&s, clock) + 30000000;

		alarms_set(&s, clock, alarm_ns, true);
		alarms_check(&s, clock, alarm_ns, true);
		alarms_wait(&s, clock);
		/* 1 ms for a smear that may be under way, and for the host's clock being slewed. */
		assert_true(fixture_now_ns(CLOCK_BOOTTIME) - begin_ns >= 29000000);
		assert_in_range(alarms_now(&s, clock), alarm_ns, UINT64_MAX);
	}
}

/* "For VIRTIO_RTC_REQ_SET_ALARM, the device MUST accept any alarm_time value." */
static void set_alarm_accepts_any_alarm_time(void **state)
{
	(void)state;
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		for (unsigned i = 0; i < N_EDGES; i++) {
			alarms_set(&s, clock, edge_ns[i], true);
			alarms_set(&s, clock, edge_ns[i], false);
		}
		for (unsigned bit = 0; bit < 64; bit++)
			alarms_set(&s, clock, UINT64_C(1) << bit, bit % 2);
	}
	/* Past is what is not ahead of the clock, read without a sign. */
	alarms_clear(&s, ALARMS_N);
	alarms_fill(&s, 16);
	for (unsigned i = 0; i < N_EDGES; i++) {
		bool passed = edge_ns[i] <= alarms_now(&s, ALARMS_UTC);

		alarms_set(&s, ALARMS_UTC, edge_ns[i], true);
		if (passed)
			alarms_wait(&s, ALARMS_UTC);
		else
			alarms_wait_none(&s, 5);
	}
}

/*
 * "If the device sets status VIRTIO_RTC_S_OK for VIRTIO_RTC_REQ_SET_ALARM, the device MUST set the
 * alarm time to the time represented by the alarm_time field."
 */
static void set_alarm_sets_the_alarm_time(void **state)
{
	(void)state;
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		for (unsigned i = 0; i < N_EDGES; i++) {
			alarms_set(&s, clock, edge_ns[i], i % 2);
			alarms_check(&s, clock, edge_ns[i], i % 2);
		}
		/* Of this clock alone. */
		for (uint16_t other = (uint16_t)(clock + 1); other < ALARMS_N; other++)
			alarms_check(&s, other, 0, false);
	}
}

/*
 * "If the device sets status VIRTIO_RTC_S_OK for VIRTIO_RTC_REQ_SET_ALARM, the device MUST enable
 * the alarm if VIRTIO_RTC_FLAG_ALARM_ENABLED is set in the flags field."
 */
static void set_alarm_enables_the_alarm_if_the_flag_is_set(void **state)
{
	(void)state;
	alarms_fill(&s, 16);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		uint64_t alarm_ns = alarms_now(&s, clock) + 3 * ALARMS_MS;

		alarms_set(&s, clock, alarm_ns, true);
		alarms_check(&s, clock, alarm_ns, true);
		alarms_wait(&s, clock);
	}
}

/*
 * "If the device sets status VIRTIO_RTC_S_OK for VIRTIO_RTC_REQ_SET_ALARM, the device MUST disable
 * the alarm if VIRTIO_RTC_FLAG_ALARM_ENABLED is cleared in the flags field."
 */
static void set_alarm_disables_the_alarm_if_the_flag_is_cleared(void **state)
{
	uint64_t alarm_ns[ALARMS_N];

	(void)state;
	alarms_fill(&s, 16);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		alarms_set(&s, clock, alarms_now(&s, clock) + 1000 * ALARMS_MS, true);
		alarm_ns[clock] = alarms_now(&s, clock) + 10 * ALARMS_MS;
		alarms_set(&s, clock, alarm_ns[clock], false);
		alarms_check(&s, clock, alarm_ns[clock], false);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "If the device sets status VIRTIO_RTC_S_OK for VIRTIO_RTC_REQ_SET_ALARM_ENABLED, the device MUST
 * enable the alarm if VIRTIO_RTC_FLAG_ALARM_ENABLED is set in the flags field."
 */
static void set_alarm_enabled_enables_the_alarm_if_the_flag_is_set(void **state)
{
	(void)state;
	alarms_fill(&s, 16);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		uint64_t alarm_ns = alarms_now(&s, clock) + 5 * ALARMS_MS;

		alarms_set(&s, clock, alarm_ns, false);
		alarms_enable(&s, clock, true);
		alarms_check(&s, clock, alarm_ns, true);
		alarms_wait(&s, clock);
	}
}

/*
 * "If the device sets status VIRTIO_RTC_S_OK for VIRTIO_RTC_REQ_SET_ALARM_ENABLED, the device MUST
 * disable the alarm if VIRTIO_RTC_FLAG_ALARM_ENABLED is cleared in the flags field."
 */
static void set_alarm_enabled_disables_the_alarm_if_the_flag_is_cleared(void **state)
{
	uint64_t alarm_ns[ALARMS_N];

	(void)state;
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		alarm_ns[clock] = alarms_now(&s, clock) + 10 * ALARMS_MS;
		alarms_set(&s, clock, alarm_ns[clock], true);
		alarms_enable(&s, clock, false);
		alarms_check(&s, clock, alarm_ns[clock], false);
	}
	alarms_fill(&s, 16);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/*
 * "If the device sets status VIRTIO_RTC_S_OK for VIRTIO_RTC_REQ_SET_ALARM_ENABLED, the device MUST
 * retain the alarm time."
 */
static void set_alarm_enabled_retains_the_alarm_time(void **state)
{
	(void)state;
	for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
		for (unsigned i = 0; i < N_EDGES; i++) {
			alarms_set(&s, clock, edge_ns[i], false);
			for (unsigned k = 0; k < 4; k++) {
				alarms_enable(&s, clock, k < 2);
				alarms_check(&s, clock, edge_ns[i], k < 2);
			}
		}
	}
}

/* ---- Alarm Notifications, and what other sections say of alarms ---- */

/*
 * "The device MUST NOT use a VIRTIO_RTC_NOTIF_ALARM notification for a clock which does not support
 * alarm messages."
 */
static void no_notification_is_of_a_clock_without_alarm(void **state)
{
	(void)state;
	alarms_fill(&s, 64);
	for (uint16_t clock = 0; clock < 16; clock++)
		(void)vfe_rtc_set_alarm(&s, clock, 1, true);
	alarms_wait_all(&s, ALL_CLOCKS);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* "All reserved fields are written as zero." alarms_wait() looks at those of notifications. */
static void reserved_fields_of_responses_and_notifications_are_zero(void **state)
{
	struct virtio_rtc_resp_set_alarm set_resp;
	struct virtio_rtc_resp_read_alarm resp;
	struct virtio_rtc_req_set_alarm set = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_SET_ALARM),
		.alarm_time = vrtc_le64_put(UINT64_MAX),
		.clock_id = vrtc_le16_put(ALARMS_UTC),
		.flags = VIRTIO_RTC_FLAG_ALARM_ENABLED,
	};
	struct virtio_rtc_req_read_alarm get = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ_ALARM),
		.clock_id = vrtc_le16_put(ALARMS_UTC),
	};
	static const uint8_t zero[7];
	uint32_t used_bytes;

	(void)state;
	assert_int_equal(vfe_rtc_request(&s, &set, sizeof(set), &set_resp, sizeof(set_resp),
				 &used_bytes, FIXTURE_WAIT_MS),
		0);
	assert_int_equal(used_bytes, sizeof(set_resp));
	assert_int_equal(set_resp.head.status, VIRTIO_RTC_S_OK);
	assert_memory_equal(set_resp.head.reserved, zero, sizeof(zero));
	assert_int_equal(vfe_rtc_request(&s, &get, sizeof(get), &resp, sizeof(resp), &used_bytes,
				 FIXTURE_WAIT_MS),
		0);
	assert_int_equal(used_bytes, sizeof(resp));
	assert_int_equal(resp.head.status, VIRTIO_RTC_S_OK);
	assert_memory_equal(resp.head.reserved, zero, sizeof(zero));
	assert_int_equal(resp.flags, VIRTIO_RTC_FLAG_ALARM_ENABLED);
	assert_memory_equal(resp.reserved, zero, sizeof(zero));
	alarms_set(&s, ALARMS_UTC, 1, true);
	alarms_fill(&s, 1);
	alarms_wait(&s, ALARMS_UTC);
}

/*
 * virtio-v1.4 RTC Device / Read Requests: "If the device sent an alarm notification for clock C
 * with alarm time A, the device MUST, for all read requests of C which the driver marks as
 * available after the notification, return a clock_reading which does not precede A".
 *
 * And it comes soon: half of them within 50 ms, whatever else the machine does.
 */
static void a_reading_after_the_notification_does_not_precede_the_alarm_time(void **state)
{
	(void)state;
	alarms_fill(&s, 128);
	for (unsigned round = 0; round < 40; round++) {
		uint64_t alarm_ns[ALARMS_N];

		for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
			alarm_ns[clock] = alarms_now(&s, clock) + ALARMS_MS +
					  (round * 7919 + clock * 104729) % 2000000;
			alarms_set(&s, clock, alarm_ns[clock], true);
		}
		for (unsigned i = 0; i < ALARMS_N; i++) {
			uint64_t reading_ns;
			uint16_t clock;

			assert_int_equal(vfe_rtc_alarm_wait(&s, &clock, true, FIXTURE_WAIT_MS), 0);
			assert_in_range(clock, 0, ALARMS_N - 1);
			reading_ns = alarms_now(&s, clock);
			assert_in_range(reading_ns, alarm_ns[clock], UINT64_MAX);
		}
	}
}

/*
 * The order of statuses, where a request is wrong in more than one way (lib/rtc/DESIGN.md, D14).
 */
static void too_short_comes_first_then_the_clock_then_reserved_bits_and_flags(void **state)
{
	static const struct {
		uint16_t type;
		uint8_t req_bytes;
		uint8_t resp_bytes;
		uint8_t clock_at;
		uint8_t flags_at; /* 0: it has none */
	} request[] = {
		{VIRTIO_RTC_REQ_READ_ALARM, 16, 24, 8, 0},
		{VIRTIO_RTC_REQ_SET_ALARM, 24, 8, 16, 18},
		{VIRTIO_RTC_REQ_SET_ALARM_ENABLED, 16, 8, 8, 10},
	};

	(void)state;
	for (unsigned with = 2; with-- > 0;) {
		for (unsigned r = 0; r < 3; r++) {
			uint32_t bytes = request[r].req_bytes;
			uint32_t room = request[r].resp_bytes;
			uint8_t req[24] = {
				(uint8_t)request[r].type, (uint8_t)(request[r].type >> 8)};
			uint8_t resp[24];

			/* Too short wins over an unknown clock, and over F_ALARM. */
			req[request[r].clock_at] = 99;
			for (uint32_t n = 2; n < bytes; n++) {
				assert_int_equal(vfe_rtc_request(&s, req, n, resp, room, NULL,
							 FIXTURE_WAIT_MS),
					0);
				assert_int_equal(resp[0], VIRTIO_RTC_S_EINVAL);
			}
			for (uint32_t n = 1; n < room; n++) {
				assert_int_equal(vfe_rtc_request(&s, req, bytes, resp, n, NULL,
							 FIXTURE_WAIT_MS),
					0);
				assert_int_equal(resp[0], VIRTIO_RTC_S_EINVAL);
			}
			/* The clock wins over reserved bits, each alone, and so does F_ALARM. */
			for (uint32_t bit = 0; bit < bytes * 8; bit++) {
				uint32_t at = bit / 8;
				bool is_time = bytes == 24 && at >= 8 && at < 16;
				bool is_clock =
					at == request[r].clock_at || at == request[r].clock_at + 1u;
				bool is_flag =
					request[r].flags_at && bit == request[r].flags_at * 8u;

				if (at < 2 || is_time || is_clock || is_flag)
					continue;
				req[at] ^= (uint8_t)(1u << bit % 8);
				req[request[r].clock_at] = 99;
				assert_int_equal(vfe_rtc_request(&s, req, bytes, resp, room, NULL,
							 FIXTURE_WAIT_MS),
					0);
				assert_int_equal(resp[0], VIRTIO_RTC_S_ENODEV);
				req[request[r].clock_at] = ALARMS_UTC;
				assert_int_equal(vfe_rtc_request(&s, req, bytes, resp, room, NULL,
							 FIXTURE_WAIT_MS),
					0);
				assert_int_equal(
					resp[0], with ? VIRTIO_RTC_S_EINVAL : VIRTIO_RTC_S_ENODEV);
				req[at] ^= (uint8_t)(1u << bit % 8);
			}
		}
		if (with) {
			/* None of it has set anything. */
			alarms_check(&s, ALARMS_UTC, 0, false);
			connect_without_alarm();
		}
	}
}

/* ---- Many, and few ---- */

/* A daemon of its own with 64 clocks, each with an alarm. */
static void start_64_clocks(struct fixture *f)
{
	static char clocks[64 * 16];
	size_t n = 0;

	for (unsigned i = 0; i < 64; i++)
		n += (size_t)snprintf(clocks + n, sizeof(clocks) - n, "%s%s", i ? "," : "",
			i % 2 ? "tai+alarm" : "utc+alarm");
	fixture_init(f);
	alarms_args_with(f, idle, clocks);
	fixture_start(f);
}

static void sixty_four_alarms_of_one_instant_all_come_through_two_buffers(void **state)
{
	struct vfe_config cfg;
	uint64_t tai_utc_ns;
	uint64_t alarm_ns;
	struct fixture f;

	(void)state;
	vfe_session_fini(&s);
	start_64_clocks(&f);
	alarms_config(&f, &cfg);
	fixture_connect_as(&s, &cfg);
	for (unsigned round = 0; round < 5; round++) {
		uint64_t left = UINT64_MAX;

		tai_utc_ns = (uint64_t)fixture_tai_utc_s() * 1000 * ALARMS_MS;
		alarm_ns = alarms_now(&s, 0) + 20 * ALARMS_MS;
		for (uint16_t clock = 0; clock < 64; clock++)
			alarms_set(&s, clock, alarm_ns + (clock % 2 ? tai_utc_ns : 0), true);
		if (round == 0)
			alarms_fill(&s, 2);
		while (left) {
			uint16_t clock = 0;

			assert_int_equal(vfe_rtc_alarm_wait(&s, &clock, true, FIXTURE_WAIT_MS), 0);
			assert_in_range(clock, 0, 63);
			assert_true(left >> clock & 1);
			left &= ~(UINT64_C(1) << clock);
		}
		assert_in_range(alarms_now(&s, 0), alarm_ns, UINT64_MAX);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	vfe_session_fini(&s);
	fixture_stop(&f);
	fixture_fini(&f);
}

static void an_alarmq_of_one_entry_is_enough(void **state)
{
	struct vfe_config cfg;

	(void)state;
	vfe_session_fini(&s);
	alarms_config(&fixture_group, &cfg);
	/* The requestq, too; a request has two descriptors, so it is started with its own size. */
	assert_int_equal(vfe_session_init(&s, &cfg), 0);
	vfe_ring_fini(&s.queues[ALARMQ].ring);
	assert_int_equal(vfe_ring_init(&s.queues[ALARMQ].ring, &s.mem, 1, 0), 0);
	assert_int_equal(vfe_session_start(&s), 0);
	alarms_clear(&s, ALARMS_N);
	alarms_fill(&s, 1);
	for (unsigned round = 0; round < 20; round++) {
		uint64_t left = ALL_CLOCKS;

		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_set(&s, clock, round, true);
		while (left) {
			uint16_t clock = 0;

			assert_int_equal(vfe_rtc_alarm_wait(&s, &clock, true, FIXTURE_WAIT_MS), 0);
			assert_true(left >> clock & 1);
			left &= ~(UINT64_C(1) << clock);
		}
		alarms_clear(&s, ALARMS_N);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* More requests than one at a time, alarm requests between the others: each has its own answer. */
static void alarm_requests_among_others_are_answered_in_order(void **state)
{
	struct virtio_rtc_req_read read = {.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ),
		.clock_id = vrtc_le16_put(ALARMS_MONOTONIC)};
	struct virtio_rtc_req_read_alarm get = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ_ALARM),
		.clock_id = vrtc_le16_put(ALARMS_TAI)};
	struct virtio_rtc_req_set_alarm set = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_SET_ALARM),
		.clock_id = vrtc_le16_put(ALARMS_TAI)};
	unsigned slot[60];
	uint64_t last_ns = 0;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 60; i += 3) {
			set.alarm_time = vrtc_le64_put(UINT64_MAX - i - round);
			assert_int_equal(vfe_rtc_submit(&s, &set, sizeof(set), 8, &slot[i]), 0);
			assert_int_equal(
				vfe_rtc_submit(&s, &read, sizeof(read), 16, &slot[i + 1]), 0);
			assert_int_equal(
				vfe_rtc_submit(&s, &get, sizeof(get), 24, &slot[i + 2]), 0);
		}
		for (unsigned i = 0; i < 60; i++) {
			uint8_t resp[24] = {0};
			struct vrtc_le64 word;
			uint64_t value;

			assert_int_equal(
				vfe_rtc_collect(&s, slot[i], resp, NULL, FIXTURE_WAIT_MS), 0);
			assert_int_equal(resp[0], VIRTIO_RTC_S_OK);
			memcpy(&word, resp + 8, sizeof(word));
			value = vrtc_le64_get(word);
			if (i % 3 == 1) {
				assert_true(value >= last_ns);
				last_ns = value;
			} else if (i % 3 == 2) {
				assert_true(value == UINT64_MAX - (i - 2) - round);
			}
		}
	}
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_driver, disconnect_driver)
	const struct CMUnitTest tests[] = {
		TEST(with_f_alarm_the_device_supports_the_alarm_messages),
		TEST(without_f_alarm_the_device_does_not_support_the_alarm_messages),
		TEST(alarm_cap_is_set_if_the_clock_supports_alarm_messages_and_clear_otherwise),
		TEST(initially_the_alarm_time_is_0_and_the_alarm_disabled),
		TEST(an_enabled_alarm_expires_when_its_clock_progresses_to_the_alarm_time),
		TEST(setting_and_enabling_an_alarm_time_that_is_passed_is_an_expiration),
		TEST(enabling_an_alarm_whose_time_is_passed_is_an_expiration),
		TEST(each_expiration_is_served),
		TEST(a_single_notification_is_used_as_soon_as_a_buffer_is_available),
		TEST(an_expiration_before_the_alarmq_is_started_is_notified_when_it_is),
		TEST(disabling_stops_a_pending_expiration_before_the_response_is_used),
		TEST(no_notification_comes_behind_the_response_that_disables),
		TEST(setting_an_alarm_anew_stops_its_previous_expiration),
		TEST(an_expiration_stops_the_previous_one_of_the_same_clock),
		TEST(without_f_alarm_the_alarm_control_requests_are_enodev),
		TEST(of_a_clock_without_alarm_the_alarm_control_requests_are_enodev),
		TEST(read_alarm_gives_the_alarm_time),
		TEST(read_alarm_sets_the_enabled_flag_if_enabled_and_clears_it_otherwise),
		TEST(the_unit_of_the_alarm_time_is_the_nanosecond),
		TEST(set_alarm_accepts_any_alarm_time),
		TEST(set_alarm_sets_the_alarm_time),
		TEST(set_alarm_enables_the_alarm_if_the_flag_is_set),
		TEST(set_alarm_disables_the_alarm_if_the_flag_is_cleared),
		TEST(set_alarm_enabled_enables_the_alarm_if_the_flag_is_set),
		TEST(set_alarm_enabled_disables_the_alarm_if_the_flag_is_cleared),
		TEST(set_alarm_enabled_retains_the_alarm_time),
		TEST(no_notification_is_of_a_clock_without_alarm),
		TEST(reserved_fields_of_responses_and_notifications_are_zero),
		TEST(a_reading_after_the_notification_does_not_precede_the_alarm_time),
		TEST(too_short_comes_first_then_the_clock_then_reserved_bits_and_flags),
		TEST(sixty_four_alarms_of_one_instant_all_come_through_two_buffers),
		TEST(an_alarmq_of_one_entry_is_enough),
		TEST(alarm_requests_among_others_are_answered_in_order),
	};

	if (argc > 1)
		idle = argv[1];
	return cmocka_run_group_tests(tests, start_daemon, fixture_group_teardown);
}
