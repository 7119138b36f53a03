/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counter_map.c for all messages of up to 64 bytes: nothing is read beyond the message, what is
 * refused leaves the map alone, and the arithmetic of what is accepted has no overflow and no shift
 * that C leaves undefined, for every counter.
 */
#include "counter_map.h"
#include "proof.h"
#include "wire.h"

#include <stdlib.h>

int main(void)
{
	size_t bytes = nondet_u8() % 65;
	uint8_t *message = malloc(bytes);
	struct vrtc_counter_map map = {.guest_counter = 9, .mult = 4};
	const char *wrong;

	ASSUME(message != NULL);
	wrong = vrtc_counter_map_parse(message, bytes, &map);
	if (wrong != NULL) {
		PROVE(map.guest_counter == 9 && map.mult == 4 && map.shift == 0,
			"a refused message leaves the map");
		return 0;
	}
	PROVE(bytes == VRTC_COUNTER_MAP_BYTES, "a message has 40 bytes");
	PROVE(map.shift <= 127, "the shift is one that C defines");
	PROVE(map.host_counter == VRTC_HOST_COUNTER_NONE || map.mult != 0, "mult is not zero");
	PROVE(map.guest_counter <= VIRTIO_RTC_COUNTER_X86_TSC, "the counter is a known one");
	(void)vrtc_counter_map_apply(&map, nondet_u64());
	PROVE(vrtc_counter_map_apply(&map, map.host_base) == map.guest_base,
		"the map begins where it says");
	return 0;
}
