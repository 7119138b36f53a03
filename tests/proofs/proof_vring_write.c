/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * take_buffer() of vring_chain.h for all device-writable descriptors in all states of a walk, in a
 * buffer of up to three pieces: no segment is written beyond the 24, the descriptor and the bytes
 * are counted, and what is refused is refused for a reason.
 */
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
	struct descriptor desc = {
		.gpa = nondet_u64(), .bytes = nondet_u32(), .flags = VIRTQ_DESC_F_WRITE};
	const char *fault;

	/* What a chain of 32768 descriptors can come to; a segment has a byte at least. */
	ASSUME(walk.readable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	ASSUME(walk.writable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	chain.n_segments = nondet_u8();
	ASSUME(chain.n_segments <= VRTC_RESP_BYTES_MAX && chain.n_segments <= walk.writable_bytes);

	fault = take_buffer(&ring, &chain, &walk, &desc);
	PROVE(walk.left == was.left - (was.left != 0), "each descriptor counts");
	PROVE(walk.readable_bytes == was.readable_bytes, "nothing of it is readable");
	PROVE(chain.n_segments <= VRTC_RESP_BYTES_MAX && chain.n_segments <= walk.writable_bytes,
		"there is room for the segments");
	if (fault != NULL) {
		PROVE(was.left == 0 || is_nowhere, "a writable buffer is refused for a reason");
		return 0;
	}
	PROVE(was.left != 0, "a chain is not longer than its ring");
	PROVE(!is_nowhere, "all of the buffer is in the guest's memory");
	PROVE(walk.writing, "what follows has to be writable, too");
	PROVE(walk.writable_bytes == was.writable_bytes + desc.bytes, "its bytes are counted");
	return 0;
}
