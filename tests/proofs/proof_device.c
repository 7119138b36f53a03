/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c for all requests: any bytes, any two sizes, any offer, any host time, up to CLOCKS
 * clocks of any type. Nothing is read beyond min(readable_bytes, 24) bytes of the request, nor
 * beyond the clocks; the response fits the buffer, its status is one of the text, and all behind a
 * status other than OK is zero. What a clock shows (clock.c) is any value here: the readings are
 * the fuzzer's and the tests' matter.
 */
#include "device.h"
#include "proof.h"

#include <stdlib.h>

#ifndef CLOCKS
#define CLOCKS 3
#endif

bool vrtc_clock_read(const struct vrtc_clock *clock, const struct vrtc_leap_table *table,
	int64_t timebase_ns, uint64_t *reading_ns)
{
	uint8_t type = clock->type; /* it has to be one of the device's */

	(void)type;
	(void)table;
	(void)timebase_ns;
	if (nondet_bool())
		return false;
	*reading_ns = nondet_u64();
	return true;
}

enum vrtc_timebase vrtc_clock_timebase(const struct vrtc_clock *clock)
{
	return (enum vrtc_timebase)(clock->type % 4);
}

int main(void)
{
	uint16_t n_clocks = nondet_u8() % (CLOCKS + 1);
	struct vrtc_clock *clock = malloc(n_clocks * sizeof(struct vrtc_clock));
	struct vrtc_device dev = {.clock = clock, .n_clocks = n_clocks};
	struct vrtc_offer offer = {.alarm = nondet_bool(), .hw_counter = nondet_u8()};
	struct vrtc_instant now = {.known = nondet_bool(),
		.timebase_ns = nondet_i64(),
		.counted = nondet_bool(),
		.guest_cycles = nondet_u64()};
	uint32_t readable_bytes = nondet_u32();
	uint32_t writable_bytes = nondet_u32();
	uint32_t have = readable_bytes < VRTC_REQ_BYTES_MAX ? readable_bytes : VRTC_REQ_BYTES_MAX;
	uint8_t *req = malloc(have);
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	struct vrtc_command cmd;
	uint32_t resp_bytes;

	ASSUME(clock != NULL && req != NULL);
	vrtc_device_decode(&dev, &offer, req, readable_bytes, writable_bytes, &cmd);
	if (cmd.about_alarm) {
		PROVE(offer.alarm, "an alarm message needs the feature");
		PROVE(cmd.alarm.clock_id < n_clocks && clock[cmd.alarm.clock_id].alarm,
			"an alarm message is about a clock with an alarm");
	}
	resp_bytes = vrtc_device_respond(&dev, &cmd, &now, resp);
	PROVE(resp_bytes <= VRTC_RESP_BYTES_MAX && resp_bytes <= writable_bytes,
		"the response fits the buffer");
	PROVE(resp[0] == VIRTIO_RTC_S_OK ||
			(resp[0] >= VIRTIO_RTC_S_EOPNOTSUPP && resp[0] <= VIRTIO_RTC_S_EIO),
		"the status is one of the text");
	for (unsigned i = 1; i < VRTC_RESP_BYTES_MAX; i++)
		PROVE(resp[0] == VIRTIO_RTC_S_OK || resp[i] == 0, "all behind an error is zero");
	PROVE(resp[0] == VIRTIO_RTC_S_OK || !cmd.about_alarm, "an error changes no alarm");
	return 0;
}
