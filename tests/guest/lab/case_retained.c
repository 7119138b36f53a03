/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the clock while the device is not live, and what the driver finds afterwards. */
#include "cases.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include "alarm_clocks.h"
#include "driver.h"
#include "kernel_time.h"
#include "lab.h"
#include "leap_second.h"

#define HOUR_NS (3600 * LAB_NS_PER_S)
#define BUFFERS 8

static const char *const idle = "interrupt";

static int64_t arm(struct vfe_session *s)
{
	int64_t now_ns;

	lab_driver_read(s, LAB_UTC, &now_ns);
	lab_driver_set_alarm(s, LAB_UTC, now_ns + HOUR_NS);
	return now_ns + HOUR_NS;
}

static void reconnect(struct vfe_session *s)
{
	lab_driver_check(s, vfe_session_reconnect(s), "reconnecting");
}

void lab_case_step_disconnected(void)
{
	struct vfe_session s;
	int64_t alarm_ns;
	pid_t daemon;

	lab_leap_write_table(LAB_LEAP_INSERTED);
	daemon = lab_daemon_start(LAB_ALARM_DAEMON(idle));
	lab_driver_start_alarms(&s, LAB_DAEMON_SOCKET, BUFFERS);

	alarm_ns = arm(&s);
	vfe_session_disconnect(&s);
	lab_time_step(2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	reconnect(&s);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "reconnected after the alarm time");
	lab_driver_expect_silence(&s, "after the one notification");

	vfe_session_disconnect(&s);
	reconnect(&s);
	lab_driver_expect_silence(&s, "reconnected after a notification that was delivered");

	/* Back before it, and over it again, while nobody is there. */
	vfe_session_disconnect(&s);
	lab_time_step(-2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	lab_time_step(2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	reconnect(&s);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "crossed again while disconnected");
	lab_driver_expect_silence(&s, "after the one notification of the second crossing");

	/* Back before it while a notification is owed to nobody. */
	vfe_session_disconnect(&s);
	lab_time_step(-2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	lab_time_step(2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	lab_time_step(-2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	reconnect(&s);
	lab_driver_expect_silence(&s, "reconnected before the alarm time");
	lab_time_step(2 * HOUR_NS);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "the time is reached again");
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}

/* As a guest that is suspended: its driver resets the device when it resumes. */
void lab_case_step_reset(void)
{
	struct vfe_session s;
	int64_t alarm_ns;
	pid_t daemon;

	lab_leap_write_table(LAB_LEAP_INSERTED);
	daemon = lab_daemon_start(LAB_ALARM_DAEMON(idle));
	lab_driver_start_alarms(&s, LAB_DAEMON_SOCKET, BUFFERS);

	alarm_ns = arm(&s);
	lab_driver_check(&s, vfe_session_stop(&s), "stopping the queues");
	lab_time_step(2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	lab_driver_check(&s, vfe_session_reset(&s), "reset");
	lab_driver_fill(&s, BUFFERS);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "reset after the alarm time");
	lab_driver_expect_silence(&s, "after the one notification");

	/* Retained, enabled and past: each reset is an expiration event. */
	lab_driver_check(&s, vfe_session_reset(&s), "reset");
	lab_driver_fill(&s, BUFFERS);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "a second reset after the alarm time");

	lab_time_step(-2 * HOUR_NS);
	lab_sleep_ms(LAB_SILENCE_MS);
	lab_driver_check(&s, vfe_session_reset(&s), "reset");
	lab_driver_fill(&s, BUFFERS);
	lab_driver_expect_silence(&s, "reset before the alarm time");
	lab_time_step(2 * HOUR_NS);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "the time is reached after the reset");
	lab_driver_expect_silence(&s, "after the last notification");
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}

static void crash(pid_t daemon)
{
	lab_check(kill(daemon, SIGKILL) == 0, "kill: %s", strerror(errno));
	lab_check(waitpid(daemon, NULL, 0) == daemon, "waitpid: %s", strerror(errno));
}

void lab_case_step_crashed(void)
{
	struct vfe_session s;
	int64_t alarm_ns;
	pid_t daemon;

	lab_leap_write_table(LAB_LEAP_INSERTED);
	daemon = lab_daemon_start(LAB_ALARM_DAEMON(idle));
	lab_driver_start_alarms(&s, LAB_DAEMON_SOCKET, BUFFERS);

	alarm_ns = arm(&s);
	crash(daemon);
	lab_time_step(2 * HOUR_NS);
	daemon = lab_daemon_start(LAB_ALARM_DAEMON(idle));
	reconnect(&s);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "the step came while no daemon ran");
	lab_driver_expect_silence(&s, "after the one notification");

	crash(daemon);
	daemon = lab_daemon_start(LAB_ALARM_DAEMON(idle));
	reconnect(&s);
	lab_driver_expect_silence(&s, "restarted after a notification that was delivered");

	/* The clock went back before it while no daemon ran. */
	crash(daemon);
	lab_time_step(-2 * HOUR_NS);
	daemon = lab_daemon_start(LAB_ALARM_DAEMON(idle));
	reconnect(&s);
	lab_driver_expect_silence(&s, "restarted before the alarm time");
	lab_time_step(2 * HOUR_NS);
	lab_driver_expect_alarm(&s, LAB_UTC, alarm_ns, "the time is reached after the restart");
	lab_driver_expect_silence(&s, "after the last notification");
	lab_check(!lab_daemon_has_logged("forgotten"), "the log says that alarms were forgotten");
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}
