/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The alarms of one guest's device: events in, notifications out. Implements virtio-v1.4 RTC Device
 * / Alarm Operation and Alarm Notifications; the alarm requests' statuses are device.h's.
 *
 *	expiration event	vrtc_alarm_device_expire(), _set(), _enable(), _reset()
 *	obsolete, or stopped	vrtc_alarm_device_rewind(), _set(), _enable(), _reset()
 *	notification		vrtc_alarm_device_deliver(), while the alarmq runs
 *
 * An expiration that is being served is one bit: a notification is owed. It is set by each event
 * and cleared by the delivery, by what stops serving, and, because the text allows it, by
 * the next event of the same clock, whose bit it then is. So for each event there is one
 * notification at most, and it comes as soon as there is a buffer.
 *
 * A step back before the alarm time stops serving ("the device MAY stop"): the expiration happens
 * anew when the clock is there again, and no driver is told of a time that is still to come.
 *
 * Threads: one owner, the alarm lcore which the device is at; vrtc_alarm_device_init() before there
 * is one. Nothing is allocated or logged, no clock is read: now_ns is the respective clock's time.
 * Trust: the alarmq is the guest's, see vring.h.
 */
#ifndef VRTC_ALARM_DEVICE_H
#define VRTC_ALARM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "agenda.h"
#include "alarm.h"
#include "alarm_ledger.h"
#include "clock.h"
#include "vring.h"

struct vrtc_alarm_device {
	const struct vrtc_clock *clock;
	uint16_t n_clocks;
	bool alarmq_runs;
	bool bad_buffer;            /* the driver offered a buffer that no notification fits in */
	uint64_t owed;              /* bit c: a notification of clock c */
	struct vrtc_agenda *agenda; /* of the alarm lcore, by timescale; NULL: at none */
	struct vrtc_alarm_ledger *ledger;
	struct vrtc_vring alarmq;
	struct vrtc_alarm alarm[VRTC_ALARM_CLOCKS_MAX];
};

/* What an alarm request asks for. */
struct vrtc_alarm_change {
	uint16_t clock_id; /* of a clock with an alarm */
	bool enabled;
	uint64_t alarm_ns;
	/* For the ledger: the request's serial number, rising, and its index in the requestq. */
	uint64_t serial;
	uint16_t request_index;
};

/* The clock's reading; not known where the host cannot tell. */
struct vrtc_alarm_now {
	bool known;
	uint64_t ns;
};

/* Takes over what the ledger holds. clock (up to VRTC_ALARM_CLOCKS_MAX) and ledger outlive dev. */
void vrtc_alarm_device_init(struct vrtc_alarm_device *dev, const struct vrtc_clock *clock,
	uint16_t n_clocks, struct vrtc_alarm_ledger *ledger);

/*
 * The device comes to an alarm lcore, or leaves it. While it is at none, no alarm expires.
 * agenda: VRTC_TIMESCALES of them, with room for its clocks.
 */
void vrtc_alarm_device_join(struct vrtc_alarm_device *dev, struct vrtc_agenda *agenda);
void vrtc_alarm_device_leave(struct vrtc_alarm_device *dev);

/*
 * VIRTIO_RTC_REQ_SET_ALARM, and VIRTIO_RTC_REQ_SET_ALARM_ENABLED, which leaves the alarm time
 * (change->alarm_ns is not looked at).
 *
 * @return  whether this is an expiration event
 */
bool vrtc_alarm_device_set(struct vrtc_alarm_device *dev, const struct vrtc_alarm_change *change,
	struct vrtc_alarm_now now);
bool vrtc_alarm_device_enable(struct vrtc_alarm_device *dev, const struct vrtc_alarm_change *change,
	struct vrtc_alarm_now now);

/* The agenda says that the clock has come to the alarm: an expiration event. */
void vrtc_alarm_device_expire(struct vrtc_alarm *alarm);

/* The agenda says that the clock has stepped back before the alarm. */
void vrtc_alarm_device_rewind(struct vrtc_alarm *alarm);

/*
 * Device reset. Retained alarms whose time has come (as of the last comparison) and that are
 * enabled expire; others become 0 and disabled.
 */
void vrtc_alarm_device_reset(struct vrtc_alarm_device *dev, bool retain);

/*
 * The alarmq starts, as vrtc_vring_start() has it; the error's cause is in why. What a predecessor
 * was about to deliver is looked up in the ring. _stop(): the ring is not touched any more.
 */
int vrtc_alarm_device_start(
	struct vrtc_alarm_device *dev, const struct vrtc_vring_config *ring, const char **why);
void vrtc_alarm_device_stop(struct vrtc_alarm_device *dev);

/*
 * Before an alarm is waited for: touches the memory that its notification will go to. The first
 * access to a page of the guest's memory costs tens of microseconds.
 */
void vrtc_alarm_device_warm(const struct vrtc_alarm_device *dev);

/*
 * Buffers without room for a notification that one call of deliver() gives back at most: each can
 * be a chain as long as its ring, and other devices' alarms wait meanwhile.
 */
#define VRTC_ALARM_BAD_BUFFERS_MAX 1

enum vrtc_alarm_delivery {
	VRTC_ALARM_NOTHING_OWED, /* or the alarmq does not run, or is broken: nothing to wait for */
	VRTC_ALARM_NO_BUFFER,    /* a notification is owed and waits for a buffer: call again */
};

/*
 * Delivers the notifications that are owed, as far as the driver has made buffers available. A
 * buffer that is too small or that has a device-readable part is given back with used length 0.
 *
 * @param signal  set to true if the driver wants to be signalled; otherwise left alone
 */
enum vrtc_alarm_delivery vrtc_alarm_device_deliver(struct vrtc_alarm_device *dev, bool *signal);

#endif
