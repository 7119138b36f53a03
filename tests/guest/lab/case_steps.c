/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms while the clock is stepped under the daemon. */
#include "cases.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "alarm_clocks.h"
#include "driver.h"
#include "kernel_time.h"
#include "lab.h"
#include "leap_second.h"

#define HOUR_NS (3600 * LAB_NS_PER_S)
#define BUFFERS 8

#define RANDOM_STEPS 100

/* A wake-up every second would need half of one on average; what a step does is immediate. */
#define WAKES        8
#define WAKES_MS_MAX 2000

static const char *const idle_policies[] = {"busy", "pause", "interrupt", NULL};

static pid_t start(const char *idle, struct vfe_session *s, unsigned int buffers)
{
	pid_t daemon;

	lab_leap_write_table(LAB_LEAP_INSERTED);
	daemon = lab_daemon_start(LAB_ALARM_DAEMON(idle));
	lab_driver_start_alarms(s, LAB_DAEMON_SOCKET, buffers);
	return daemon;
}

/* Its alarms are for this process, whose next session would find them. */
static void end(pid_t daemon, struct vfe_session *s)
{
	for (uint16_t clock = 0; clock <= LAB_MONOTONIC; clock++)
		lab_driver_disable_alarm(s, clock);
	vfe_session_fini(s);
	lab_daemon_stop(daemon);
}

static int64_t alarm_ahead(struct vfe_session *s, uint16_t clock, int64_t ahead_ns)
{
	int64_t now_ns;

	lab_driver_read(s, clock, &now_ns);
	lab_driver_set_alarm(s, clock, now_ns + ahead_ns);
	return now_ns + ahead_ns;
}

/* One notification of each clock that a step moves, in any order, and never early. */
static void expect_all_steppable(struct vfe_session *s, const int64_t *alarm_ns)
{
	unsigned int seen = 0;

	for (unsigned int i = 0; i < 3; i++) {
		int64_t reading_ns;
		uint16_t clock;

		lab_check(lab_driver_next_alarm(s, &clock, LAB_PATIENCE_MS),
			"after the step %u notifications came, not 3", i);
		lab_check(clock < LAB_MONOTONIC, "clock %u expired, although it was not stepped",
			clock);
		lab_check(!(seen >> clock & 1), "two notifications of clock %u", clock);
		seen |= 1u << clock;
		lab_driver_read(s, clock, &reading_ns);
		lab_check(reading_ns >= alarm_ns[clock], "clock %u: notified early", clock);
	}
}

static void step_forward(const char *idle)
{
	int64_t alarm_ns[LAB_MONOTONIC + 1];
	struct vfe_session s;
	pid_t daemon = start(idle, &s, BUFFERS);

	for (uint16_t clock = 0; clock <= LAB_MONOTONIC; clock++)
		alarm_ns[clock] = alarm_ahead(&s, clock, HOUR_NS);
	lab_driver_expect_silence(&s, "before the step");
	lab_time_step(2 * HOUR_NS);
	expect_all_steppable(&s, alarm_ns);
	lab_driver_expect_silence(&s, "after the notifications of the step");
	end(daemon, &s);
}

void lab_case_step_forward(void)
{
	for (unsigned int i = 0; idle_policies[i]; i++)
		step_forward(idle_policies[i]);
}

static void step_backward(const char *idle)
{
	struct vfe_session s;
	pid_t daemon = start(idle, &s, BUFFERS);
	int64_t alarm_ns = alarm_ahead(&s, LAB_UTC, HOUR_NS);

	lab_time_step(2 * HOUR_NS);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "the first crossing");
	for (unsigned int i = 0; i < 3; i++) {
		lab_time_step(-2 * HOUR_NS);
		lab_driver_expect_silence(&s, "after a step back before the alarm");
		lab_time_step(2 * HOUR_NS);
		lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "a further crossing");
	}
	lab_driver_expect_silence(&s, "after the last crossing");

	/* A step back that does not go before the alarm time is no crossing. */
	lab_time_step(-HOUR_NS / 2);
	lab_time_step(HOUR_NS / 2);
	lab_driver_expect_silence(&s, "after steps behind the alarm time");
	end(daemon, &s);
}

void lab_case_step_backward(void)
{
	for (unsigned int i = 0; idle_policies[i]; i++)
		step_backward(idle_policies[i]);
}

static void step_back_undelivered(const char *idle)
{
	struct vfe_session s;
	pid_t daemon = start(idle, &s, 0);
	int64_t alarm_ns = alarm_ahead(&s, LAB_UTC, HOUR_NS);

	lab_time_step(2 * HOUR_NS);
	/* No buffer, so there is nothing to wait for but time. */
	lab_sleep_ms(LAB_SILENCE_MS);
	lab_time_step(-2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	lab_driver_fill(&s, BUFFERS);
	lab_driver_expect_silence(&s, "buffers, but the clock is before the alarm again");
	lab_time_step(2 * HOUR_NS);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "the time is reached again");
	lab_driver_expect_silence(&s, "after the one notification");
	end(daemon, &s);
}

void lab_case_step_back_undelivered(void)
{
	step_back_undelivered("busy");
	step_back_undelivered("interrupt");
}

void lab_case_step_wakes(void)
{
	int64_t total_ns = 0, longest_ns = 0;
	struct vfe_session s;
	pid_t daemon = start("interrupt", &s, BUFFERS);

	for (unsigned int i = 0; i < WAKES; i++) {
		int64_t alarm_ns = alarm_ahead(&s, LAB_UTC, HOUR_NS);
		int64_t took_ns;

		/* Asleep by now, and at no particular phase of a second. */
		lab_sleep_ms(200 + 37 * i);
		took_ns = -lab_time_ns(CLOCK_MONOTONIC);
		lab_time_step(2 * HOUR_NS);
		lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "a step while it sleeps");
		took_ns += lab_time_ns(CLOCK_MONOTONIC);
		total_ns += took_ns;
		if (took_ns > longest_ns)
			longest_ns = took_ns;
	}
	lab_note("notified %.1f ms after the step on average, %.1f ms at most",
		1e-6 * (double)total_ns / WAKES, 1e-6 * (double)longest_ns);
	lab_check(total_ns < WAKES_MS_MAX * LAB_NS_PER_MS,
		"%d steps took %" PRId64 " ms to be noticed: the sleep does not end by them", WAKES,
		total_ns / LAB_NS_PER_MS);
	end(daemon, &s);
}

/*
 * Returns when the alarm lcore has compared its alarms with the clock as it is now: the answer may
 * be of a turn whose comparison was before, the next one cannot be.
 */
static void await_comparison(struct vfe_session *s)
{
	uint64_t alarm_ns;
	bool enabled;

	for (unsigned int i = 0; i < 2; i++)
		lab_driver_check(
			s, vfe_rtc_read_alarm(s, LAB_UTC, &alarm_ns, &enabled), "READ_ALARM");
}

/* The notifications of clocks from to before to, one each; returns how many these are. */
static unsigned int expect_crossed(struct vfe_session *s, unsigned int from, unsigned int to)
{
	unsigned int wanted = 0, n = 0;
	uint16_t clock;

	for (unsigned int c = from; c < to; c++)
		wanted |= 1u << c;
	for (; wanted; n++) {
		lab_check(lab_driver_next_alarm(s, &clock, LAB_PATIENCE_MS),
			"a step crossed %u alarms, and %u were notified", to - from, n);
		lab_check(wanted >> clock & 1,
			"a step crossed the alarms of clocks %u to %u; clock %u was notified", from,
			to - 1, clock);
		wanted &= ~(1u << clock);
	}
	lab_check(
		!lab_driver_next_alarm(s, &clock, 0), "clock %u: notified for no crossing", clock);
	return n;
}

/*
 * An hour between the alarms, and the clock is in one of the four times before, between and after
 * them: crossed is what its steps say.
 */
static void step_at_random(const char *idle)
{
	unsigned int at = 0, notifications = 0;
	uint32_t random = 1;
	struct vfe_session s;
	pid_t daemon = start(idle, &s, BUFFERS);

	for (uint16_t clock = 0; clock < LAB_MONOTONIC; clock++)
		alarm_ahead(&s, clock, HOUR_NS / 2 + clock * HOUR_NS);
	for (unsigned int i = 0; i < RANDOM_STEPS; i++) {
		unsigned int to;

		/* The generator of POSIX's rand(); its upper bits are the better ones. */
		random = random * 1103515245 + 12345;
		to = random >> 16 & 3;
		lab_time_step(((int64_t)to - at) * HOUR_NS);
		await_comparison(&s);
		notifications += expect_crossed(&s, at, to);
		at = to;
	}
	lab_driver_expect_silence(&s, "after the last step");
	lab_note("%s: %d steps, %u notifications", idle, RANDOM_STEPS, notifications);
	end(daemon, &s);
}

void lab_case_step_random(void)
{
	for (unsigned int i = 0; idle_policies[i]; i++)
		step_at_random(idle_policies[i]);
}
