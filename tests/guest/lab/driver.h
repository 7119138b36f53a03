/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front-end's session in the words of the cases. What goes wrong ends the case.
 */
#ifndef LAB_DRIVER_H
#define LAB_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/rtc.h"
#include "frontend/session.h"

/** Connects and starts the requestq. */
void lab_driver_start(struct vfe_session *s, const char *socket_path);

/** The same for a driver that polls for its answers, which come the sooner for it. */
void lab_driver_start_polling(struct vfe_session *s, const char *socket_path);

/**
 * Connects with VIRTIO_RTC_F_ALARM and starts both queues. The case is skipped if the feature is
 * not offered.
 *
 * @param buffers  in the alarmq
 */
void lab_driver_start_alarms(struct vfe_session *s, const char *socket_path, unsigned int buffers);

void lab_driver_read(struct vfe_session *s, uint16_t clock, int64_t *reading_ns);

/** SET_ALARM, enabled. */
void lab_driver_set_alarm(struct vfe_session *s, uint16_t clock, int64_t alarm_ns);

/** SET_ALARM_ENABLED, false. */
void lab_driver_disable_alarm(struct vfe_session *s, uint16_t clock);

/** @return false: no notification within timeout_ms. The buffer goes back into the alarmq. */
bool lab_driver_next_alarm(struct vfe_session *s, uint16_t *clock, unsigned int timeout_ms);

/**
 * The clock's notification comes, as the next one, and a reading taken after it is not before
 * alarm_ns.
 */
void lab_driver_expect_alarm(
	struct vfe_session *s, uint16_t clock, int64_t alarm_ns, const char *when);

/** No notification comes for LAB_SILENCE_MS. */
void lab_driver_expect_silence(struct vfe_session *s, const char *when);

/** Puts buffers into the alarmq, of the driver's size. */
void lab_driver_fill(struct vfe_session *s, unsigned int buffers);

/** Ends the case unless the call of the front-end succeeded, saying what it was doing. */
void lab_driver_check(struct vfe_session *s, int result, const char *doing);

#endif
