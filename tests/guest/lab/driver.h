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

/**
 * Connects with VIRTIO_RTC_F_ALARM and starts both queues. The case is skipped if the feature is
 * not offered.
 *
 * @param buffers  in the alarmq
 */
void lab_driver_start_alarms(struct vfe_session *s, const char *socket_path, unsigned int buffers);

void lab_driver_read(struct vfe_session *s, uint16_t clock, int64_t *reading_ns);

void lab_driver_set_alarm(struct vfe_session *s, uint16_t clock, int64_t alarm_ns);

void lab_driver_disable_alarm(struct vfe_session *s, uint16_t clock);

/**
 * The clock's notification comes within LAB_PATIENCE_MS, as the next one, and a reading taken
 * after it is not before alarm_ns. The buffer goes back.
 */
void lab_driver_expect_alarm(struct vfe_session *s, uint16_t clock, int64_t alarm_ns);

/** No notification comes for LAB_SILENCE_MS. */
void lab_driver_expect_silence(struct vfe_session *s, const char *when);

/** Ends the case unless the call of the front-end succeeded, saying what it was doing. */
void lab_driver_check(struct vfe_session *s, int result, const char *doing);

#endif
