/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMM's message about the guest's counter (counter_map.c), of any bytes and any length; and the
 * arithmetic of what it accepts, beside one in wide integers.
 *
 * Input: 8 bytes of a counter, then the message.
 */
#include "counter_map.h"
#include "fuzz.h"
#include "wire.h"

/* guest_base + floor((host - host_base) * mult / 2^shift), by magnitude and sign. */
static uint64_t apply(const struct vrtc_counter_map *map, uint64_t host)
{
	uint64_t since = host - map->host_base;
	bool negative = since >> 63;
	unsigned __int128 size = (unsigned __int128)(negative ? 0 - since : since) * map->mult;
	unsigned __int128 floor = size >> map->shift;

	if (!negative)
		return map->guest_base + (uint64_t)floor;
	if (floor << map->shift != size)
		floor++;
	return map->guest_base - (uint64_t)floor;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input in = {data, bytes};
	struct vrtc_counter_map untouched;
	struct vrtc_counter_map map;
	uint64_t host = fuzz_take64(&in);
	uint8_t *message = fuzz_copy(in.at, in.left);
	const char *wrong;

	memset(&map, 0xa5, sizeof(map));
	untouched = map;
	wrong = vrtc_counter_map_parse(message, in.left, &map);
	if (wrong) {
		FUZZ_CHECK(wrong[0] && vrtc_counter_map_equal(&map, &untouched));
	} else {
		FUZZ_CHECK(in.left == VRTC_COUNTER_MAP_BYTES && map.shift <= 127);
		FUZZ_CHECK(map.guest_counter <= VIRTIO_RTC_COUNTER_X86_TSC);
		FUZZ_CHECK(map.host_counter <= VRTC_HOST_COUNTER_MONOTONIC);
		FUZZ_CHECK(map.host_counter == VRTC_HOST_COUNTER_NONE || map.mult != 0);
		FUZZ_CHECK(vrtc_counter_map_apply(&map, host) == apply(&map, host));
		FUZZ_CHECK(vrtc_counter_map_apply(&map, map.host_base) == map.guest_base);
		map = vrtc_counter_map_offset(map.guest_counter, host);
		FUZZ_CHECK(vrtc_counter_map_apply(&map, host) == host + host);
	}
	free(message);
	return 0;
}
