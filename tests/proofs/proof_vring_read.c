/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * take_buffer() of vring_chain.h for all device-readable descriptors, in a buffer of one piece, of
 * a chain of which any number of bytes came before: no byte is written beyond the 24 of the request,
 * none is read beyond the piece, and the bytes are counted. The lengths are taken one by one, each
 * a run of its own for CBMC, which is not done with all of them at once: up to LENGTHS bytes in the
 * piece and LENGTHS before it, and any larger number.
 */
#define PIECES 1
#include "guest_pieces.h"
#include "vring_chain.h"

#define LENGTHS 25

static void prove(uint64_t before, uint32_t bytes)
{
	struct vrtc_guestmem mem = {0};
	struct vrtc_vring ring = {.mem = &mem};
	struct vrtc_chain chain;
	struct walk walk = {
		.readable_bytes = before, .left = nondet_u32(), .writing = nondet_bool()};
	struct walk was = walk;
	struct descriptor desc = {.gpa = nondet_u64(), .bytes = bytes, .flags = 0};
	const char *fault;

	n_pieces = 0;
	is_nowhere = false;
	chain.n_segments = 7;
	fault = take_buffer(&ring, &chain, &walk, &desc);
	PROVE(walk.left == was.left - (was.left != 0), "each descriptor counts");
	PROVE(walk.writable_bytes == was.writable_bytes && chain.n_segments == 7,
		"nothing of it is writable");
	if (fault != NULL) {
		PROVE(was.left == 0 || was.writing || is_nowhere,
			"a readable buffer is refused for a reason");
		return;
	}
	PROVE(was.left != 0 && !was.writing && !is_nowhere, "what is wrong is refused");
	PROVE(walk.readable_bytes == was.readable_bytes + desc.bytes, "its bytes are counted");
}

int main(void)
{
	uint64_t many_before = nondet_u64();
	uint32_t many = nondet_u32();

	ASSUME(many_before >= LENGTHS && many_before <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	ASSUME(many >= LENGTHS);
	for (uint32_t before = 0; before <= LENGTHS; before++)
		prove(before, many);
	for (uint32_t bytes = 0; bytes <= LENGTHS; bytes++)
		prove(many_before, bytes);
	for (uint32_t bytes = 0; bytes <= LENGTHS; bytes++)
		prove(bytes % 7, bytes);
	prove(many_before, many);
	return 0;
}
