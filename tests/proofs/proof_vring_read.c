/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * take_buffer() of vring_chain.h for all device-readable descriptors in all states of a walk, in a
 * buffer of up to three pieces: what is copied of a request goes to its place among the first 24
 * bytes and comes from the buffer, nothing of it is left out, the descriptor and the bytes are
 * counted, and what is refused is refused for a reason. The copy itself is replaced by what
 * proof_guest_copy.c shows of it, and by what it has to be given.
 */
#include "guest_pieces.h"

#define copy_in copy_in_bytes
#include "guest_copy.h"
#undef copy_in
static void copy_in(uint8_t *to, const uint8_t *g_from, uint32_t bytes);
#include "vring_chain.h"

static struct vrtc_chain chain;
static uint64_t copied; /* how much of the request was there, and is now */

static void copy_in(uint8_t *to, const uint8_t *g_from, uint32_t bytes)
{
	PROVE(bytes >= 1 && bytes <= VRTC_REQ_BYTES_MAX, "no copy is longer than a request");
	PROVE(copied <= VRTC_REQ_BYTES_MAX - bytes, "nor goes beyond it");
	PROVE(to == chain.req + copied, "it goes to its place");
	PROVE(__CPROVER_r_ok(g_from, bytes), "and comes from the buffer");
	copied += bytes;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int main(void)
{
	struct vrtc_guestmem mem = {0};
	struct vrtc_vring ring = {.mem = &mem};
	struct walk walk = {.readable_bytes = nondet_u64(),
		.writable_bytes = nondet_u64(),
		.left = nondet_u32(),
		.writing = nondet_bool()};
	struct walk was = walk;
	struct descriptor desc = {.gpa = nondet_u64(), .bytes = nondet_u32(), .flags = 0};
	const char *fault;

	/* What a chain of 32768 descriptors can come to. */
	ASSUME(walk.readable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	ASSUME(walk.writable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	copied = least(walk.readable_bytes, VRTC_REQ_BYTES_MAX);

	fault = take_buffer(&ring, &chain, &walk, &desc);
	PROVE(walk.left == was.left - (was.left != 0), "each descriptor counts");
	PROVE(walk.writable_bytes == was.writable_bytes, "nothing of it is writable");
	PROVE(walk.writing == was.writing, "a readable descriptor changes no direction");
	PROVE(chain.n_segments == 0, "and is no place for a response");
	if (fault != NULL) {
		PROVE(was.left == 0 || was.writing || is_nowhere,
			"a readable buffer is refused for a reason");
		return 0;
	}
	PROVE(was.left != 0, "a chain is not longer than its ring");
	PROVE(!was.writing, "what is readable comes first");
	PROVE(!is_nowhere, "all of the buffer is in the guest's memory");
	PROVE(walk.readable_bytes == was.readable_bytes + desc.bytes, "its bytes are counted");
	PROVE(copied == least(walk.readable_bytes, VRTC_REQ_BYTES_MAX),
		"as much is kept as a request can have");
	return 0;
}
