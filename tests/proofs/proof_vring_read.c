/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * take_buffer() of vring_chain.h for all device-readable descriptors in all states of a walk, in a
 * buffer of one piece: no byte is written beyond the 24 of the request, none is read beyond the
 * piece, and the bytes are counted.
 */
#define PIECES 1
#include "guest_pieces.h"
#include "vring_chain.h"

int main(void)
{
	struct vrtc_guestmem mem = {0};
	struct vrtc_vring ring = {.mem = &mem};
	struct vrtc_chain chain;
	struct walk walk = {.readable_bytes = nondet_u64(),
		.writable_bytes = nondet_u64(),
		.left = nondet_u32(),
		.writing = nondet_bool()};
	struct walk was = walk;
	struct descriptor desc = {.gpa = nondet_u64(), .bytes = nondet_u32(), .flags = 0};
	const char *fault;

	ASSUME(walk.readable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	ASSUME(walk.writable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	chain.n_segments = 7;
	fault = take_buffer(&ring, &chain, &walk, &desc);
	PROVE(walk.left == was.left - (was.left != 0), "each descriptor counts");
	PROVE(walk.writable_bytes == was.writable_bytes && chain.n_segments == 7,
		"nothing of it is writable");
	if (fault != NULL) {
		PROVE(was.left == 0 || was.writing || is_nowhere,
			"a readable buffer is refused for a reason");
		return 0;
	}
	PROVE(was.left != 0 && !was.writing && !is_nowhere, "what is wrong is refused");
	PROVE(walk.readable_bytes == was.readable_bytes + desc.bytes, "its bytes are counted");
	return 0;
}
