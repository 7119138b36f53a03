/* SPDX-License-Identifier: BSD-3-Clause */
#include "counter_map.h"

#include "wire.h"

static uint64_t load(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | at[bytes];
	return value;
}

const char *vrtc_counter_map_parse(
	const uint8_t *message, size_t bytes, struct vrtc_counter_map *map)
{
	struct vrtc_counter_map m;
	uint8_t host;

	if (bytes != VRTC_COUNTER_MAP_BYTES)
		return "it is not of 40 bytes";
	if (load(message, 4) != VRTC_COUNTER_MAP_MAGIC)
		return "it does not begin with the magic number 0x4d435456";
	if (load(message + 4, 2) != VRTC_COUNTER_MAP_VERSION)
		return "its version is not 1";
	host = message[7];
	m = (struct vrtc_counter_map){
		.guest_counter = message[6],
		.host_counter = (enum vrtc_host_counter)host,
		.shift = message[8],
		.mult = load(message + 16, 8),
		.host_base = load(message + 24, 8),
		.guest_base = load(message + 32, 8),
	};
	if (load(message + 9, 7) != 0)
		return "its reserved bytes are not zero";
	if (m.guest_counter != VIRTIO_RTC_COUNTER_ARM_VCT &&
		m.guest_counter != VIRTIO_RTC_COUNTER_X86_TSC)
		return "the guest's counter is neither ARM_VCT nor X86_TSC";
	if (host > VRTC_HOST_COUNTER_MONOTONIC)
		return "the host's counter is none of 0 to 2";
	if (host != VRTC_HOST_COUNTER_NONE && m.mult == 0)
		return "a counter that stands still: mult is 0";
	if (m.shift > 127)
		return "shift is above 127";
	*map = m;
	return NULL;
}

struct vrtc_counter_map vrtc_counter_map_offset(uint8_t guest_counter, uint64_t offset)
{
	return (struct vrtc_counter_map){
		.guest_counter = guest_counter,
		.host_counter = VRTC_HOST_COUNTER_CPU,
		.mult = 1,
		.guest_base = offset,
	};
}

bool vrtc_counter_map_equal(const struct vrtc_counter_map *a, const struct vrtc_counter_map *b)
{
	return a->guest_counter == b->guest_counter && a->host_counter == b->host_counter &&
	       a->shift == b->shift && a->mult == b->mult && a->host_base == b->host_base &&
	       a->guest_base == b->guest_base;
}
