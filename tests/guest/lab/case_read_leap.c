/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readings through a leap second that the kernel itself inserts. CLOCK_TAI does not see it, and is
 * what the readings are judged by.
 */
#include "cases.h"

#include <inttypes.h>
#include <stddef.h>

#include "daemon.h"
#include "driver.h"
#include "kernel_time.h"
#include "lab.h"
#include "leap_second.h"

#define SMEARED 0
#define UTC     1
#define TAI     2

/* A reading is made on another CPU than what it is compared with. */
#define SLACK_NS 100000

#define LEAP_NS  (LAB_LEAP_UTC_S * LAB_NS_PER_S)
/* The clock when the kernel is told of the leap second, and when the last reading is made. */
#define BEGIN_NS (LEAP_NS - 3 * LAB_NS_PER_S)
#define END_S    1

/* What one look has found. */
struct look {
	int64_t before_ns; /* TAI before the readings, and after them */
	int64_t after_ns;
	int64_t host_before_ns; /* CLOCK_REALTIME likewise */
	int64_t host_after_ns;
	int64_t smeared_ns;
	int64_t utc_ns;
	int64_t tai_ns;
};

static const char *const arguments[] = {"--socket-path", LAB_DAEMON_SOCKET, "--idle", "interrupt",
	"--leap-table", LAB_LEAP_TABLE, NULL};

/* Minutes before the leap second, since the daemon decides about TAI before its last one. */
static pid_t start(struct vfe_session *s, bool kernel_told, int tai_s)
{
	pid_t daemon;

	lab_time_set(LEAP_NS - 600 * LAB_NS_PER_S);
	lab_time_set_tai(kernel_told ? tai_s : 0);
	daemon = lab_daemon_start(arguments);
	lab_daemon_await_log(
		kernel_told ? "TAI comes from the kernel" : "was not told TAI", 1, NULL, 0);
	lab_driver_start(s, LAB_DAEMON_SOCKET);
	lab_time_set(BEGIN_NS);
	lab_time_insert_leap_second();
	return daemon;
}

/*
 * @param tai_plus_ns  TAI minus `by`, which does not see the leap second
 */
static void take_look(struct vfe_session *s, clockid_t by, int64_t tai_plus_ns, struct look *look)
{
	look->before_ns = lab_time_ns(by) + tai_plus_ns;
	look->host_before_ns = lab_time_ns(CLOCK_REALTIME);
	lab_driver_read(s, UTC, &look->utc_ns);
	look->host_after_ns = lab_time_ns(CLOCK_REALTIME);
	lab_driver_read(s, TAI, &look->tai_ns);
	lab_driver_read(s, SMEARED, &look->smeared_ns);
	look->after_ns = lab_time_ns(by) + tai_plus_ns;
}

static bool is_between(int64_t low_ns, int64_t ns, int64_t high_ns)
{
	return ns >= low_ns - SLACK_NS && ns <= high_ns + SLACK_NS;
}

static void check_smeared(int tai_s, const struct look *look)
{
	int64_t low_ns = lab_leap_smeared_ns(tai_s, look->before_ns);
	int64_t high_ns = lab_leap_smeared_ns(tai_s, look->after_ns);

	lab_check(is_between(low_ns, look->smeared_ns, high_ns),
		"smeared UTC reads %" PRId64 " ns, which is not between %" PRId64 " and %" PRId64,
		look->smeared_ns, low_ns, high_ns);
}

/* Where the clock steps between the two, it shows the end of the one second or the start of the
 * other. */
static void check_stepping(
	const char *what, int64_t reading_ns, int64_t before_ns, int64_t after_ns)
{
	bool stepped = after_ns < before_ns;

	lab_check(stepped ? reading_ns >= before_ns - SLACK_NS || reading_ns <= after_ns + SLACK_NS
			  : is_between(before_ns, reading_ns, after_ns),
		"UTC reads %" PRId64 " ns, %s %" PRId64 " before and %" PRId64 " after", reading_ns,
		what, before_ns, after_ns);
}

void lab_case_read_leap(void)
{
	int tai_s = lab_leap_write_table();
	int64_t end_tai_ns = LEAP_NS + (tai_s + 1 + END_S) * LAB_NS_PER_S;
	unsigned int shown[2] = {0, 0};
	unsigned int looks = 0;
	struct vfe_session s;
	struct look look;
	pid_t daemon = start(&s, true, tai_s);

	do {
		take_look(&s, CLOCK_TAI, 0, &look);
		looks++;
		check_stepping("which shows", look.utc_ns, lab_leap_utc_ns(tai_s, look.before_ns),
			lab_leap_utc_ns(tai_s, look.after_ns));
		lab_check(is_between(look.before_ns, look.tai_ns, look.after_ns),
			"TAI reads %" PRId64 " ns, which is not between %" PRId64 " and %" PRId64,
			look.tai_ns, look.before_ns, look.after_ns);
		check_smeared(tai_s, &look);
		if (look.utc_ns / LAB_NS_PER_S == LAB_LEAP_UTC_S - 1)
			shown[look.after_ns >= (LAB_LEAP_UTC_S + tai_s) * LAB_NS_PER_S]++;
		lab_sleep_ms(1);
	} while (look.after_ns < end_tai_ns);
	lab_check(shown[0] > 0 && shown[1] > 0, "UTC showed 23:59:59 %u and %u times", shown[0],
		shown[1]);
	lab_note("%u readings, 23:59:59 was read %u times, and again %u times", looks, shown[0],
		shown[1]);
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}

static void widen(int64_t error_ns, int64_t *behind_ns, int64_t *ahead_ns)
{
	if (error_ns < *behind_ns)
		*behind_ns = error_ns;
	if (error_ns > *ahead_ns)
		*ahead_ns = error_ns;
}

void lab_case_read_leap_untold(void)
{
	int tai_s = lab_leap_write_table();
	int64_t end_tai_ns = LEAP_NS + (tai_s + 1 + END_S) * LAB_NS_PER_S;
	int64_t behind_ns = 0, ahead_ns = 0, smeared_behind_ns = 0, smeared_ahead_ns = 0;
	unsigned int looks = 0;
	struct vfe_session s;
	struct look look;
	pid_t daemon = start(&s, false, tai_s);
	/* The kernel has no TAI here, so what it would be is what it was, and time since. */
	int64_t plus_ns =
		lab_time_ns(CLOCK_REALTIME) - lab_time_ns(CLOCK_BOOTTIME) + tai_s * LAB_NS_PER_S;

	do {
		take_look(&s, CLOCK_BOOTTIME, plus_ns, &look);
		looks++;
		check_stepping("the host", look.utc_ns, look.host_before_ns, look.host_after_ns);
		widen(look.tai_ns - look.after_ns, &behind_ns, &(int64_t){0});
		widen(look.tai_ns - look.before_ns, &(int64_t){0}, &ahead_ns);
		widen(look.smeared_ns - lab_leap_smeared_ns(tai_s, look.after_ns),
			&smeared_behind_ns, &(int64_t){0});
		widen(look.smeared_ns - lab_leap_smeared_ns(tai_s, look.before_ns), &(int64_t){0},
			&smeared_ahead_ns);
		lab_sleep_ms(1);
	} while (look.after_ns < end_tai_ns);
	/* Bounds of what happens; what did happen is the note. */
	lab_check(behind_ns > -2 * LAB_NS_PER_S && ahead_ns < 2 * LAB_NS_PER_S,
		"TAI was %" PRId64 " ns behind and %" PRId64 " ns ahead", -behind_ns, ahead_ns);
	lab_note("%u readings, UTC is the host's; TAI up to %.3f s behind and %.3f s ahead, "
		 "smeared UTC %.3f s and %.3f s",
		looks, -1e-9 * (double)behind_ns, 1e-9 * (double)ahead_ns,
		-1e-9 * (double)smeared_behind_ns, 1e-9 * (double)smeared_ahead_ns);
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}
