/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of alarms say again and again, against the daemon of fixture.h: a device with an
 * alarm on a clock of every kind, and a driver that wants something of it. What is not as wanted
 * ends the test, and names the line that wanted it.
 */
#ifndef ALARMS_H
#define ALARMS_H

#include <stdbool.h>
#include <stdint.h>

#include "fixture.h"

/* For --clocks: one clock of every kind with an alarm, and behind them one without. */
#define ALARMS_CLOCKS                                                                              \
	"utc-smeared:noon-linear+alarm,utc+alarm,tai+alarm,monotonic+alarm,"                       \
	"utc-smeared:utc-sls+alarm,utc-maybe-smeared+alarm,monotonic"

/* Their ids. */
enum { ALARMS_UTC = 1, ALARMS_TAI = 2, ALARMS_MONOTONIC = 3, ALARMS_N = 6, ALARMS_WITHOUT = 6 };

#define ALARMS_MS UINT64_C(1000000)

/* For something that must not happen: how long is waited for it. */
#define ALARMS_QUIET_MS 30

/*
 * Adds --socket-path, --clocks ALARMS_CLOCKS and --idle to the daemon's arguments, of which they
 * are the first. "dedicated" is interrupt with an lcore for alarms alone; with the idle policies'
 * own names one lcore does all.
 */
void alarms_args(struct fixture *f, const char *idle);

/* The same with other clocks; the string outlives the fixture. */
void alarms_args_with(struct fixture *f, const char *idle, const char *clocks);

/* cfg of a driver that polls, negotiates VIRTIO_RTC_F_ALARM if offered, and has both queues. */
void alarms_config(const struct fixture *f, struct vfe_config *cfg);

/*
 * Does what the specification advises drivers to do after a reset, on the clocks 0 to n_clocks - 1:
 * sets the alarms to 0 and disabled, so that nothing of before comes. Buffers for the alarmq come
 * after it.
 */
void alarms_clear(struct vfe_session *s, uint16_t n_clocks);

/* A session of alarms_config(), started, its alarms cleared, no buffer in the alarmq. */
void alarms_connect(const struct fixture *f, struct vfe_session *s);

/* Puts n buffers of 16 bytes into the alarmq. */
#define alarms_fill(s, n) alarms_fill_at(__FILE__, __LINE__, s, n)
void alarms_fill_at(const char *file, int line, struct vfe_session *s, unsigned n);

/* The clock's reading. */
#define alarms_now(s, clock) alarms_now_at(__FILE__, __LINE__, s, clock)
uint64_t alarms_now_at(const char *file, int line, struct vfe_session *s, uint16_t clock);

/* SET_ALARM and SET_ALARM_ENABLED, with status OK. */
#define alarms_set(s, clock, alarm_ns, enabled)                                                    \
	alarms_set_at(__FILE__, __LINE__, s, clock, alarm_ns, enabled)
void alarms_set_at(const char *file, int line, struct vfe_session *s, uint16_t clock,
	uint64_t alarm_ns, bool enabled);
#define alarms_enable(s, clock, enabled) alarms_enable_at(__FILE__, __LINE__, s, clock, enabled)
void alarms_enable_at(
	const char *file, int line, struct vfe_session *s, uint16_t clock, bool enabled);

/* READ_ALARM gives this. */
#define alarms_check(s, clock, alarm_ns, enabled)                                                  \
	alarms_check_at(__FILE__, __LINE__, s, clock, alarm_ns, enabled)
void alarms_check_at(const char *file, int line, struct vfe_session *s, uint16_t clock,
	uint64_t alarm_ns, bool enabled);

/* The next notification, within FIXTURE_WAIT_MS, is of this clock. Its buffer is not given back. */
#define alarms_wait(s, clock) alarms_wait_at(__FILE__, __LINE__, s, clock)
void alarms_wait_at(const char *file, int line, struct vfe_session *s, uint16_t clock);

/* The next notifications are one of each clock whose bit is set, in any order. */
#define alarms_wait_all(s, clocks) alarms_wait_all_at(__FILE__, __LINE__, s, clocks)
void alarms_wait_all_at(const char *file, int line, struct vfe_session *s, uint64_t clocks);

/* No notification comes for so long. */
#define alarms_wait_none(s, ms) alarms_wait_none_at(__FILE__, __LINE__, s, ms)
void alarms_wait_none_at(const char *file, int line, struct vfe_session *s, unsigned ms);

#endif
