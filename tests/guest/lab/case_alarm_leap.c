/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Alarms around a leap second that the kernel itself inserts. CLOCK_TAI goes on through it, so the
 * instants at which alarms are due are on it.
 */
#include "cases.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon.h"
#include "driver.h"
#include "kernel_time.h"
#include "lab.h"
#include "leap_second.h"
#include "wire.h"

#define CLOCKS "utc-smeared:noon-linear+alarm,utc+alarm,utc+alarm,tai+alarm"

#define LEAP_NS  (LAB_LEAP_UTC_S * LAB_NS_PER_S)
/* The clock when the kernel is told of the leap second, and how long after it is waited. */
#define BEGIN_NS (LEAP_NS - 3 * LAB_NS_PER_S)
#define END_NS   (3 * LAB_NS_PER_S / 2)

#define DUE_MAX 2

/* An alarm, and the TAI at which it is due, relative to the start of the leap second. */
struct alarm {
	const char *name;
	uint16_t clock;
	unsigned int n_due;
	int64_t due_ns[DUE_MAX];
	int64_t alarm_ns; /* on its own clock; computed */
	unsigned int n_came;
};

#define MS(n) ((n)*LAB_NS_PER_MS)

enum { SMEARED, BEFORE_MIDNIGHT, MIDNIGHT, WITHIN, N_ALARMS };

static struct alarm alarms[N_ALARMS] = {
	[SMEARED] = {"smeared UTC", 0, 1, {MS(750)}, 0, 0},
	[BEFORE_MIDNIGHT] = {"UTC 23:59:59.5", 1, 2, {MS(-500), MS(500)}, LEAP_NS - MS(500), 0},
	[MIDNIGHT] = {"UTC 00:00:00", 2, 1, {MS(1000)}, LEAP_NS, 0},
	[WITHIN] = {"TAI", 3, 1, {MS(250)}, 0, 0},
};

static pid_t start(struct vfe_session *s, const char *idle, bool kernel_told, int tai_s)
{
	const char *const args[] = {"--socket-path", LAB_DAEMON_SOCKET, "--clocks", CLOCKS,
		"--idle", idle, "--leap-table", LAB_LEAP_TABLE, NULL};
	int64_t leap_tai_ns = LEAP_NS + tai_s * LAB_NS_PER_S;
	pid_t daemon;

	/* Minutes before, since the daemon decides about TAI before the last one. */
	lab_time_set(LEAP_NS - 600 * LAB_NS_PER_S);
	lab_time_set_tai(kernel_told ? tai_s : 0);
	daemon = lab_daemon_start(args);
	lab_daemon_await_log(
		kernel_told ? "TAI comes from the kernel" : "was not told TAI", 1, NULL, 0);
	lab_driver_start_alarms(s, LAB_DAEMON_SOCKET, 8);
	lab_time_set(BEGIN_NS);
	lab_time_insert_leap_second();

	alarms[WITHIN].alarm_ns = leap_tai_ns + alarms[WITHIN].due_ns[0];
	/* Up to a nanosecond is lost in the smear, and the alarm is not due before it is shown. */
	alarms[SMEARED].alarm_ns =
		lab_leap_smeared_ns(tai_s, leap_tai_ns + alarms[SMEARED].due_ns[0]) + 1;
	for (unsigned int i = 0; i < N_ALARMS; i++)
		lab_driver_set_alarm(s, alarms[i].clock, alarms[i].alarm_ns);
	return daemon;
}

static struct alarm *find(uint16_t clock)
{
	unsigned int i = 0;

	while (i < N_ALARMS && alarms[i].clock != clock)
		i++;
	lab_check(i < N_ALARMS, "a notification of clock %u", clock);
	return &alarms[i];
}

/* @param tai_ns  relative to the start of the leap second, after the notification */
static void check_due(const struct alarm *alarm, int64_t tai_ns, int64_t *latest_ns)
{
	int64_t late_ns;

	lab_check(alarm->n_came < alarm->n_due,
		"%s: a notification too many, %" PRId64 " ms after the leap second began",
		alarm->name, tai_ns / LAB_NS_PER_MS);
	late_ns = tai_ns - alarm->due_ns[alarm->n_came];
	lab_check(late_ns >= 0, "%s: notification %u is %" PRId64 " ns early", alarm->name,
		alarm->n_came + 1, -late_ns);
	if (late_ns > *latest_ns)
		*latest_ns = late_ns;
}

static void check_leap(const char *idle)
{
	int tai_s = lab_leap_write_table();
	int64_t leap_tai_ns = LEAP_NS + tai_s * LAB_NS_PER_S;
	int64_t latest_ns = 0;
	struct vfe_session s;
	pid_t daemon = start(&s, idle, true, tai_s);

	while (lab_time_ns(CLOCK_TAI) < leap_tai_ns + END_NS) {
		struct alarm *alarm;
		uint16_t clock;

		if (!lab_driver_next_alarm(&s, &clock, 100))
			continue;
		alarm = find(clock);
		check_due(alarm, lab_time_ns(CLOCK_TAI) - leap_tai_ns, &latest_ns);
		alarm->n_came++;
	}
	for (unsigned int i = 0; i < N_ALARMS; i++)
		lab_check(alarms[i].n_came == alarms[i].n_due, "%s: %u notifications, not %u",
			alarms[i].name, alarms[i].n_came, alarms[i].n_due);
	lab_note("at most %.1f ms late", 1e-6 * (double)latest_ns);
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}

void lab_case_alarm_leap_busy(void)
{
	check_leap("busy");
}

void lab_case_alarm_leap_interrupt(void)
{
	check_leap("interrupt");
}

/*
 * A kernel without TAI says 23:59:59 twice, and nothing tells the daemon which of the two it is; it
 * takes each for the first. And it says 00:00:00 before it executes the leap second. What must hold
 * nevertheless: no alarm is lost. How often each comes, and when, is the note.
 */
void lab_case_alarm_leap_untold(void)
{
	int tai_s = lab_leap_write_table();
	char text[512] = "";
	struct vfe_session s;
	pid_t daemon = start(&s, "busy", false, tai_s);
	int64_t begin_ns = lab_time_ns(CLOCK_BOOTTIME) - lab_time_ns(CLOCK_REALTIME) + LEAP_NS;

	while (lab_time_ns(CLOCK_BOOTTIME) < begin_ns + END_NS) {
		struct alarm *alarm;
		size_t length;
		uint16_t clock;

		if (!lab_driver_next_alarm(&s, &clock, 100))
			continue;
		alarm = find(clock);
		alarm->n_came++;
		length = snprintf(NULL, 0, "%s", text);
		snprintf(text + length, sizeof(text) - length, "%s%s at %+.3f s",
			length ? ", " : "", alarm->name,
			1e-9 * (double)(lab_time_ns(CLOCK_BOOTTIME) - begin_ns));
	}
	for (unsigned int i = 0; i < N_ALARMS; i++)
		lab_check(alarms[i].n_came > 0, "%s: no notification; there were: %s",
			alarms[i].name, text);
	lab_check(alarms[BEFORE_MIDNIGHT].n_came >= 2, "UTC was 23:59:59.5 twice; there were: %s",
		text);
	lab_note("%s", text);
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}
