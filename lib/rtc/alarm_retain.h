/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For how long a device keeps its alarms (virtio-v1.4 RTC Device / Alarm Operation, "The device MAY
 * retain both alarm time and alarm enabled status of a clock across a device reset").
 */
#ifndef VRTC_ALARM_RETAIN_H
#define VRTC_ALARM_RETAIN_H

enum vrtc_retain {
	/*
	 * Over device resets, the end of the daemon and kill -9, for as long as the device is used
	 * by one and the same process: another VMM may be another guest, which must not learn of
	 * this one's alarms.
	 */
	VRTC_RETAIN_VMM,
	/* Over all that, and for whoever uses the device next: its name stands for one guest. */
	VRTC_RETAIN_NAME,
	/* Not even over a device reset. */
	VRTC_RETAIN_NO,
};

#endif
