/* SPDX-License-Identifier: BSD-3-Clause */
/* Readings and alarms around a leap second that the kernel itself makes. */
#include "cases.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "driver.h"
#include "kernel_time.h"
#include "lab.h"
#include "leap_readings.h"
#include "leap_second.h"
#include "telemetry.h"

#define CLOCKS "utc-smeared:noon-linear+alarm,utc+alarm,utc+alarm,tai+alarm"

enum { SMEARED, UTC, MIDNIGHT_UTC, TAI };

#define MS(n)    ((n)*LAB_NS_PER_MS)
/* The clock when the kernel is told of the leap second, and how long after it we stay. */
#define BEGIN_NS (LAB_LEAP_UTC_NS - 3 * LAB_NS_PER_S)
#define STAY_NS  (2 * LAB_NS_PER_S)

#define DUE_MAX  2
#define N_ALARMS 4

/* The alarm of a clock. It is due at instants of TAI, here relative to when UTC steps. */
struct alarm {
	const char *name;
	int64_t alarm_ns; /* on its own clock */
	unsigned int n_due;
	int64_t due_ns[DUE_MAX];
	unsigned int n_came;
};

/* A device and its driver in a world with a leap second. */
struct scene {
	struct lab_leap leap;
	int64_t tai_plus_ns; /* TAI minus the kernel's */
	pid_t daemon;
	struct vfe_session s;
	struct alarm alarm[N_ALARMS]; /* by clock */
};

static int64_t true_tai_ns(const struct scene *scene)
{
	return lab_time_ns(CLOCK_TAI) + scene->tai_plus_ns;
}

static void set_alarms(struct scene *scene)
{
	bool inserted = scene->leap.kind == LAB_LEAP_INSERTED;
	int64_t step_ns = scene->leap.step_tai_ns;
	struct alarm *alarm = scene->alarm;

	/* The smear is rounded down, so the clock shows the next nanosecond no sooner than due. */
	alarm[SMEARED] = (struct alarm){"smeared UTC",
		lab_leap_smeared_ns(&scene->leap, step_ns + MS(750)) + 1, 1, {MS(750)}, 0};
	alarm[UTC] = (struct alarm){"UTC 23:59:59.5", LAB_LEAP_UTC_NS - MS(500), 1, {0}, 0};
	alarm[MIDNIGHT_UTC] = (struct alarm){"UTC 00:00:00", LAB_LEAP_UTC_NS, 1, {0}, 0};
	alarm[TAI] = (struct alarm){"TAI", step_ns + MS(250), 1, {MS(250)}, 0};
	if (inserted) {
		alarm[UTC].n_due = 2;
		alarm[UTC].due_ns[0] = MS(-500);
		alarm[UTC].due_ns[1] = MS(500);
		alarm[MIDNIGHT_UTC].due_ns[0] = MS(1000);
	}
	for (uint16_t clock = 0; clock < N_ALARMS; clock++)
		lab_driver_set_alarm(&scene->s, clock, alarm[clock].alarm_ns);
}

/* Telemetry says the same as the log. */
static void check_telemetry(const struct lab_leap *leap, bool kernel_told)
{
	char answer[2048];
	int fd = lab_telemetry_open();

	lab_telemetry_ask(fd, "/rtc/time", answer, sizeof(answer));
	close(fd);
	lab_check(strstr(answer, "\"kernel\":\"leap-second-not-announced\""), "/rtc/time: %s",
		answer);
	lab_check(lab_telemetry_number(answer, "table_tai_s") == leap->before_s &&
			  lab_telemetry_number(answer, "kernel_tai_s") ==
				  (kernel_told ? leap->before_s : 0) &&
			  lab_telemetry_number(answer, "table_expired") == 0,
		"/rtc/time: %s", answer);
}

static void open_scene(
	struct scene *scene, const char *idle, enum lab_leap_kind kind, bool kernel_told)
{
	const char *const args[] = {"--socket-path", LAB_DAEMON_SOCKET, "--clocks", CLOCKS,
		"--idle", idle, "--leap-table", LAB_LEAP_TABLE, NULL};

	scene->leap = lab_leap_write_table(kind);
	scene->tai_plus_ns = kernel_told ? 0 : scene->leap.before_s * LAB_NS_PER_S;
	lab_time_set(BEGIN_NS - 600 * LAB_NS_PER_S);
	lab_time_set_tai(kernel_told ? scene->leap.before_s : 0);
	scene->daemon = lab_daemon_start(args);
	/* Ten minutes before it, nobody has told the kernel of the leap second yet. */
	lab_daemon_await_log("of which the kernel was not told", 1, NULL, 0);
	check_telemetry(&scene->leap, kernel_told);
	lab_driver_start_alarms(&scene->s, LAB_DAEMON_SOCKET, 8);
	lab_time_set(BEGIN_NS);
	lab_time_plan_leap_second(kind == LAB_LEAP_INSERTED);
	set_alarms(scene);
}

static void close_scene(struct scene *scene)
{
	vfe_session_fini(&scene->s);
	lab_daemon_stop(scene->daemon);
}

/* The alarm that the next notification is of, or NULL: there is none. */
static struct alarm *next_alarm(struct scene *scene)
{
	uint16_t clock;

	if (!lab_driver_next_alarm(&scene->s, &clock, 1))
		return NULL;
	lab_check(clock < N_ALARMS, "a notification of clock %u", clock);
	scene->alarm[clock].n_came++;
	return &scene->alarm[clock];
}

static void check_alarm(const struct alarm *alarm, int64_t since_step_ns, int64_t *latest_ns)
{
	int64_t late_ns;

	lab_check(alarm->n_came <= alarm->n_due,
		"%s: a notification too many, %" PRId64 " ms after UTC stepped", alarm->name,
		since_step_ns / LAB_NS_PER_MS);
	late_ns = since_step_ns - alarm->due_ns[alarm->n_came - 1];
	lab_check(late_ns >= 0, "%s: notification %u is %" PRId64 " ns early", alarm->name,
		alarm->n_came, -late_ns);
	if (late_ns > *latest_ns)
		*latest_ns = late_ns;
}

static void check_leap(const char *idle, enum lab_leap_kind kind, bool kernel_told)
{
	unsigned int shown[2] = {0, 0};
	unsigned int looks = 0;
	int64_t latest_ns = 0;
	struct scene scene;
	struct lab_look look;

	open_scene(&scene, idle, kind, kernel_told);
	do {
		struct alarm *alarm = next_alarm(&scene);

		if (alarm)
			check_alarm(
				alarm, true_tai_ns(&scene) - scene.leap.step_tai_ns, &latest_ns);
		lab_look_take(&scene.s, UTC, TAI, SMEARED, scene.tai_plus_ns, &look);
		lab_look_check(&look, &scene.leap);
		looks++;
		if (look.utc_ns / LAB_NS_PER_S == LAB_LEAP_UTC_S - 1)
			shown[look.tai_before_ns >= scene.leap.step_tai_ns]++;
	} while (look.tai_after_ns < scene.leap.step_tai_ns + STAY_NS);
	for (unsigned int i = 0; i < N_ALARMS; i++)
		lab_check(scene.alarm[i].n_came == scene.alarm[i].n_due,
			"%s: %u notifications, not %u", scene.alarm[i].name, scene.alarm[i].n_came,
			scene.alarm[i].n_due);
	lab_check((shown[0] > 0 && shown[1] > 0) == (kind == LAB_LEAP_INSERTED),
		"UTC was read as 23:59:59 %u times before it stepped, %u times after", shown[0],
		shown[1]);
	lab_note("%u looks, 23:59:59 was read %u times, and again %u times; alarms at most %.1f ms "
		 "late",
		looks, shown[0], shown[1], 1e-6 * (double)latest_ns);
	close_scene(&scene);
}

void lab_case_leap_busy(void)
{
	check_leap("busy", LAB_LEAP_INSERTED, true);
}

void lab_case_leap_interrupt(void)
{
	check_leap("interrupt", LAB_LEAP_INSERTED, true);
}

void lab_case_leap_deleted(void)
{
	check_leap("interrupt", LAB_LEAP_DELETED, true);
}

/*
 * A kernel without TAI says 23:59:59 twice, and nothing tells which of the two it is; and it says
 * 00:00:00 before it executes the leap second. The daemon goes by CLOCK_TAI meanwhile (D33).
 */
void lab_case_leap_untold(void)
{
	check_leap("busy", LAB_LEAP_INSERTED, false);
}

void lab_case_leap_untold_deleted(void)
{
	check_leap("interrupt", LAB_LEAP_DELETED, false);
}
