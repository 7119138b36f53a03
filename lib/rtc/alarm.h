/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The alarm of one clock (virtio-v1.4 RTC Device / Alarm Operation): what the driver has set, and
 * what became of it. A value without functions; agenda.h compares it with its clock, alarm_device.h
 * decides what happens.
 */
#ifndef VRTC_ALARM_H
#define VRTC_ALARM_H

#include <stdbool.h>
#include <stdint.h>

struct vrtc_alarm {
	uint64_t alarm_ns; /* in the clock's own time; any value */
	bool enabled;
	/*
	 * The clock showed alarm_ns or more when it was last compared. Between false and true lies
	 * an expiration event, and only there; without meaning while the alarm is disabled.
	 */
	bool reached;
	uint16_t clock_id;
	uint32_t place; /* private to agenda.c */
	struct vrtc_alarm_device *device;
};

#endif
