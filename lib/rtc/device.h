/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One guest's RTC device: the bytes of a request in, the bytes of a response out. Every status is
 * decided here and nowhere else.
 * Implements virtio-v1.4 RTC Device / Device Operation, Control Requests, Read Requests and Alarm
 * Control Requests.
 *
 * A request is served in two steps, because a reading has to be obtained after the driver made the
 * request available, and because the core never reads a clock:
 *
 *	vrtc_device_decode()	looks at the request and says which time of the host it needs
 *	(the caller reads that time)
 *	vrtc_device_respond()	writes the response
 *
 * A request about an alarm is carried out in between, by whom the alarms belong to: see
 * struct vrtc_command.
 *
 * Both work in memory of our own: the caller has copied the request out of the guest (once) and
 * copies the response in. Neither allocates, locks, logs or calls into the system. A struct
 * vrtc_device does not change while it is served, so any number of threads may use it.
 */
#ifndef VRTC_DEVICE_H
#define VRTC_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "wire.h"

/*
 * What a device offers. The driver is given the same answers for as long as this structure lives,
 * device resets included; it therefore belongs to the configuration, not to a connection.
 */
struct vrtc_device {
	const struct vrtc_clock *clock; /* clock_id is the index */
	uint16_t n_clocks;              /* 0 is allowed: a device without clocks */
};

/* What holds for the driver of one connection, besides the device's configuration. */
struct vrtc_offer {
	bool alarm; /* VIRTIO_RTC_F_ALARM is negotiated */
	/*
	 * VIRTIO_RTC_COUNTER_*: the counter that cross-timestamps are of, with each clock;
	 * INVALID: there are none. It stays as it is for as long as the connection lasts.
	 */
	uint8_t hw_counter;
};

/* A request that was looked at: what is to be answered, and from which time of the host. */
struct vrtc_command {
	bool alarm_negotiated;
	bool cross; /* the guest's counter at that time is needed, too; or CROSS_CAP's answer */
	bool about_alarm; /* then alarm is to be carried out, or filled in, before the response */
	enum vrtc_timebase timebase; /* VRTC_TIMEBASE_NONE: no time is needed */
	uint16_t msg_type;
	uint8_t status;     /* as far as it is decided without a reading */
	uint8_t resp_bytes; /* how much of the writable part the response takes, 0 to 24 */
	const struct vrtc_clock *clock;
	struct {
		uint16_t clock_id;
		bool enabled;
		uint64_t alarm_ns; /* not of SET_ALARM_ENABLED */
	} alarm;
};

/*
 * Decides what a request asks for, as far as that needs no reading.
 *
 * @param offer           of the connection
 * @param req             the first bytes of the request, at least min(readable_bytes, 24) of them
 * @param readable_bytes  size of the device-readable part of the buffer, any value
 * @param writable_bytes  size of the device-writable part of the buffer, any value
 * @param cmd             written completely, whatever the request holds
 *
 * No request is an error to the caller: what is wrong with it becomes its status.
 */
void vrtc_device_decode(const struct vrtc_device *dev, const struct vrtc_offer *offer,
	const uint8_t *req, uint32_t readable_bytes, uint32_t writable_bytes,
	struct vrtc_command *cmd);

/*
 * Writes the response of a decoded request.
 *
 * @param now   the host's time in cmd->timebase, taken after the request was popped; not looked at
 *              for VRTC_TIMEBASE_NONE
 * @param resp  room for VRTC_RESP_BYTES_MAX bytes
 * @return      the response's size in bytes, 0 to 24: exactly what is to be copied to the guest and
 *              entered as used length. 0 where not even the status fits
 */
uint32_t vrtc_device_respond(const struct vrtc_device *dev, const struct vrtc_command *cmd,
	const struct vrtc_instant *now, uint8_t *resp);

#endif
