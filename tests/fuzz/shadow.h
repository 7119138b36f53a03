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
	/* Of a split ring, free-running; published is the base of either kind. */
	uint16_t popped;
	uint16_t seen;
	uint16_t pushed;
	uint16_t published;
	bool broken;
	/* Of a packed ring, beside popped and pushed: positions, see shadow_packed.c. */
	struct {
		uint64_t popped;
		uint64_t pushed;
		uint64_t shown;
		uint64_t signalled;
		unsigned held; /* entries of the chain that is pushed and not shown, or 0 */
		uint64_t held_descriptor;
		unsigned suppression;
	} packed;
};

/* What a chain is to be reduced to. */
struct shadow_chain {
	uint32_t readable_bytes;
	uint32_t writable_bytes;
	uint16_t id;
	uint16_t index;
	uint16_t entries; /* of a packed ring; 0: split */
	uint8_t req[VRTC_REQ_BYTES_MAX];
	unsigned n_writable;
	uint8_t *g_writable[VRTC_RESP_BYTES_MAX]; /* byte by byte */
};

/* A descriptor, as a split ring has it: a packed one's flags and id are the other way round. */
struct shadow_buffer {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

enum { SHADOW_NEXT = 1, SHADOW_WRITE = 2, SHADOW_INDIRECT = 4 };

/* A chain is first written out as a list of its buffers, whatever they are; then it is judged. */
struct shadow_list {
	unsigned n;
	struct shadow_buffer buffer[VRTC_VRING_SIZE_MAX + 1];
};

struct shadow_kind {
	const char *name;
	unsigned driver_align;
	unsigned device_align;
	/* A size, often a good one, of a byte of the input; and which are. */
	uint32_t (*size_of)(uint8_t byte);
	bool (*size_is_good)(uint32_t size);
	/* The sizes of the three areas, in bytes. */
	uint64_t (*desc_bytes)(const struct shadow_ring *ring);
	uint64_t (*driver_bytes)(const struct shadow_ring *ring);
	uint64_t (*device_bytes)(const struct shadow_ring *ring);

	/* The front-end's and the driver's part before the first start: returns the base. */
	uint16_t (*prepare)(struct shadow_ring *ring, uint16_t base, bool device, bool driver);

	/* As the functions of vring.h. A ring may be broken behind start(), too. */
	void (*start)(struct shadow_ring *ring, uint16_t base);
	enum vrtc_vring_result (*pop)(struct shadow_ring *ring, struct shadow_chain *chain);
	void (*push)(struct shadow_ring *ring, const struct shadow_chain *chain,
		const uint8_t *resp, uint32_t resp_bytes);
	bool (*publish)(struct shadow_ring *ring);
	void (*kick_disable)(struct shadow_ring *ring);
	bool (*kick_enable)(struct shadow_ring *ring);

	bool (*is_waiting)(const struct shadow_ring *ring);
	bool (*is_at_start)(const struct shadow_ring *ring);
	void (*leave)(struct shadow_ring *ring);

	/* The process ends where a store is about to be made, or was just made: both memories. */
	void (*be_killed)(struct shadow_ring *ring);

	/* The driver's part, so that inputs get somewhere: offers a chain that begins at head. */
	void (*offer)(struct shadow_ring *ring, uint16_t head);
};

extern const struct shadow_kind shadow_split;
extern const struct shadow_kind shadow_packed;

/* Little-endian words of the image, and descriptors, as a split ring has them. */
uint64_t shadow_get(const struct shadow_ring *ring, uint64_t gpa, unsigned bytes);
void shadow_expect(struct shadow_ring *ring, uint64_t gpa, uint64_t value, unsigned bytes);
struct shadow_buffer shadow_get_descriptor(const struct shadow_ring *ring, uint64_t gpa);

/* Whether a list is a chain, and what it is to be reduced to. */
bool shadow_judge(
	struct shadow_ring *ring, const struct shadow_list *list, struct shadow_chain *chain);

#endif
