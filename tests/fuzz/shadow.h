/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second device for the ring fuzzer: what vring.h promises, written as simply as it can be, byte
 * by byte and with wide integers, by the text of the specification and not by vring.c. It works on
 * the image of a guest_space, and its writes are the ones that are expected there.
 *
 * A kind of ring is a struct shadow_kind; the fuzzer knows them by a byte of its input.
 */
#ifndef TESTS_FUZZ_SHADOW_H
#define TESTS_FUZZ_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "guest_space.h"
#include "vring.h"

/* The ring as the front-end told it. */
struct shadow_ring {
	struct guest_space *space;
	const struct shadow_kind *kind;
	uint64_t desc_gpa;
	uint64_t driver_gpa;
	uint64_t device_gpa;
	uint32_t size;
	bool event_idx;
	bool indirect;
	/* All free-running. */
	uint16_t popped;
	uint16_t seen;
	uint16_t pushed;
	uint16_t published;
	bool broken;
};

/* What a chain is to be reduced to. */
struct shadow_chain {
	uint32_t readable_bytes;
	uint32_t writable_bytes;
	uint16_t id;
	uint16_t index;
	uint8_t req[VRTC_REQ_BYTES_MAX];
	unsigned n_writable;
	uint8_t *g_writable[VRTC_RESP_BYTES_MAX]; /* byte by byte */
};

struct shadow_kind {
	const char *name;
	/* The sizes of the three areas, in bytes. */
	uint64_t (*desc_bytes)(const struct shadow_ring *ring);
	uint64_t (*driver_bytes)(const struct shadow_ring *ring);
	uint64_t (*device_bytes)(const struct shadow_ring *ring);

	/* As the functions of vring.h. A ring may be broken behind start(), too. */
	void (*start)(struct shadow_ring *ring, uint16_t base);
	enum vrtc_vring_result (*pop)(struct shadow_ring *ring, struct shadow_chain *chain);
	void (*push)(struct shadow_ring *ring, const struct shadow_chain *chain,
		const uint8_t *resp, uint32_t resp_bytes);
	bool (*publish)(struct shadow_ring *ring);
	void (*kick_disable)(struct shadow_ring *ring);
	bool (*kick_enable)(struct shadow_ring *ring);

	/* The driver's part, so that inputs get somewhere: offers a chain that begins at head. */
	void (*offer)(struct shadow_ring *ring, uint16_t head);
};

extern const struct shadow_kind shadow_split;

#endif
