/* SPDX-License-Identifier: BSD-3-Clause */
/* Readings while the clocks are set under the daemon. */
#include "cases.h"

#include <inttypes.h>

#include "daemon.h"
#include "driver.h"
#include "kernel_time.h"
#include "lab.h"
#include "leap_second.h"

#define SMEARED   0
#define UTC       1
#define TAI       2
#define MONOTONIC 3

#define HOUR_NS (3600 * LAB_NS_PER_S)

/* A reading is made on another CPU than what it is compared with. */
#define SLACK_NS 100000

/* CLOCK_... before and after, plus a constant, has the reading between. */
static void check_reading(
	struct vfe_session *s, uint16_t clock, clockid_t by, int64_t plus_ns, const char *when)
{
	int64_t before_ns = lab_time_ns(by) + plus_ns;
	int64_t after_ns;
	int64_t reading_ns;

	lab_driver_read(s, clock, &reading_ns);
	after_ns = lab_time_ns(by) + plus_ns;
	lab_check(reading_ns >= before_ns - SLACK_NS && reading_ns <= after_ns + SLACK_NS,
		"%s: clock %u reads %" PRId64 " ns, which is not between %" PRId64 " and %" PRId64,
		when, clock, reading_ns, before_ns, after_ns);
}

static void check_all(struct vfe_session *s, int tai_s, const char *when)
{
	check_reading(s, SMEARED, CLOCK_REALTIME, 0, when);
	check_reading(s, UTC, CLOCK_REALTIME, 0, when);
	check_reading(s, TAI, CLOCK_REALTIME, tai_s * LAB_NS_PER_S, when);
	check_reading(s, MONOTONIC, CLOCK_BOOTTIME, 0, when);
}

void lab_case_read_steps(void)
{
	const char *const args[] = {"--socket-path", LAB_DAEMON_SOCKET, "--idle", "interrupt",
		"--leap-table", LAB_LEAP_TABLE, NULL};
	int tai_s = lab_leap_write_table(LAB_LEAP_INSERTED).before_s;
	pid_t daemon = lab_daemon_start(args);
	struct vfe_session s;

	lab_driver_start(&s, LAB_DAEMON_SOCKET);
	check_all(&s, tai_s, "at first");
	lab_time_step(2 * HOUR_NS);
	check_all(&s, tai_s, "after a step of 2 h forward");
	lab_time_step(-3 * HOUR_NS);
	check_all(&s, tai_s, "after a step of 3 h backward");

	lab_time_set_tai(tai_s);
	check_all(&s, tai_s, "the kernel knows TAI");
	lab_daemon_await_log("leap-second table agree", 1, NULL, 0);
	lab_time_step(2 * HOUR_NS);
	check_all(&s, tai_s, "the kernel knows TAI, after a step forward");

	lab_time_set_tai(tai_s - 7);
	check_all(&s, tai_s, "the kernel has a wrong TAI");
	lab_daemon_await_log("the kernel says TAI - UTC", 1, NULL, 0);
	lab_time_step(-HOUR_NS);
	check_all(&s, tai_s, "the kernel has a wrong TAI, after a step backward");
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}
