/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver that sets alarms and measures: sessions with the alarmq filled, and the moment at which
 * a notification is visible.
 *
 * Main thread.
 */
#ifndef PERF_ALARM_SESSION_H
#define PERF_ALARM_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/rtc.h"

/**
 * A request's result that is not 0, as a line on stderr.
 *
 * @return -1
 */
int perf_complain(const struct vfe_session *s, const char *program, const char *doing, int result);

/**
 * Connects (waiting for the socket for a while), negotiates alarms and fills the alarmq. Polls; the
 * device is asked not to call.
 *
 * @return 0; otherwise a line on stderr has said why, and there is nothing to fini()
 */
int perf_alarm_session_start(struct vfe_session *s, const char *program, const char *socket_path);

/**
 * The first clock of that type that has an alarm.
 *
 * @return 0; otherwise a line on stderr has said why
 */
int perf_alarm_session_find(
	struct vfe_session *s, const char *program, uint8_t type, uint16_t *clock_id);

enum perf_alarm_outcome {
	PERF_ALARM_SEEN,
	PERF_ALARM_TOO_LATE, /* its time had come before the device had answered SET_ALARM */
	PERF_ALARM_FAILED,   /* a line on stderr has said why */
};

/**
 * Sets an alarm of a clock that shows CLOCK_REALTIME, waits for its notification by polling the
 * used index, reads the clock, and gives the buffer back to the alarmq.
 *
 * @param lateness_ns  CLOCK_REALTIME, when the used index was seen to change, minus the alarm time
 */
enum perf_alarm_outcome perf_alarm_session_time(struct vfe_session *s, const char *program,
	uint16_t clock_id, int64_t ahead_ns, int64_t *lateness_ns);

#endif
