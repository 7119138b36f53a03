/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vring.c on a ring of SIZE entries whose every byte is anything, in a guest of two regions, one of
 * which holds the ring and is followed by nothing: start, TURNS times a pop and a push, publish.
 * No access outside of the two regions, no overflow, no assertion of vring.c's own; and the loops
 * end within the bounds, that is for a chain with direct and indirect descriptors: after SIZE of
 * them. Not shown: larger rings, and memory that changes while it is read.
 */
#include "proof.h"
#include "vring.h"

#ifndef SIZE
#define SIZE 2
#endif
#ifndef TURNS
#define TURNS 1
#endif

#ifndef INDIRECT
#define INDIRECT 0
#endif

#define OTHER_BYTES 40

/* Descriptors; the available ring and its event word; padding; the used ring and its event word. */
#define DRIVER_AT  (16 * SIZE)
#define DEVICE_AT  ((DRIVER_AT + 4 + 2 * SIZE + 2 + 3) / 4 * 4)
#define RING_BYTES (DEVICE_AT + 4 + 8 * SIZE + 2)

int main(void)
{
	_Alignas(16) uint8_t ring_memory[RING_BYTES];
	_Alignas(16) uint8_t other[OTHER_BYTES];
	uint64_t ring_gpa = nondet_u64();
	uint64_t other_gpa = nondet_u64();
	struct vrtc_guestmem mem = {0};
	struct vrtc_vring_config config = {.mem = &mem,
		.g_desc = ring_memory,
		.g_driver = ring_memory + DRIVER_AT,
		.g_device = ring_memory + DEVICE_AT,
		.size = SIZE,
		.base = nondet_u16(),
		.event_idx = nondet_bool(),
		.indirect = INDIRECT};
	const uint8_t resp[VRTC_RESP_BYTES_MAX] = {0};
	struct vrtc_vring ring;
	struct vrtc_chain chain;

	ASSUME(ring_gpa <= UINT64_MAX - RING_BYTES && other_gpa <= UINT64_MAX - OTHER_BYTES);
	ASSUME(other_gpa >= ring_gpa + RING_BYTES || other_gpa + OTHER_BYTES <= ring_gpa);
	/* As vrtc_guestmem_add() has them, whose own proof is another one. */
	mem.n = 2;
	mem.region[ring_gpa > other_gpa] =
		(struct vrtc_guestmem_region){ring_gpa, RING_BYTES, ring_memory};
	mem.region[ring_gpa < other_gpa] =
		(struct vrtc_guestmem_region){other_gpa, OTHER_BYTES, other};

	if (vrtc_vring_start(&ring, &config) != 0) {
		PROVE(false, "the areas are good");
		return 0;
	}
	for (unsigned i = 0; i < TURNS; i++) {
		uint32_t bytes = nondet_u8() % (VRTC_RESP_BYTES_MAX + 1);
		uint32_t total = 0;

		if (vrtc_vring_pop(&ring, &chain) != VRTC_VRING_CHAIN)
			break;
		PROVE(chain.id < SIZE && chain.n_segments <= VRTC_RESP_BYTES_MAX, "in bounds");
		for (unsigned s = 0; s < VRTC_RESP_BYTES_MAX; s++)
			total += s < chain.n_segments ? chain.segment[s].bytes : 0;
		PROVE(total == (chain.writable_bytes < VRTC_RESP_BYTES_MAX ? chain.writable_bytes
									   : VRTC_RESP_BYTES_MAX),
			"the segments are the beginning of the writable part");
		if (bytes > chain.writable_bytes)
			bytes = chain.writable_bytes;
		vrtc_vring_push(&ring, &chain, resp, bytes);
	}
	(void)vrtc_vring_publish(&ring);
	PROVE((uint16_t)(config.base - vrtc_vring_base(&ring)) <= SIZE ||
			(uint16_t)(vrtc_vring_base(&ring) - config.base) <= TURNS,
		"the ring goes on from its base");
	return 0;
}
