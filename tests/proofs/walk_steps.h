/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of the walk over a chain, for proofs of the walk itself: each is replaced by its
 * contract, which another proof shows of the real one (proof_vring_read.c, proof_vring_write.c,
 * proof_vring_table.c), and proves that it is called as those assume. A step may refuse, and what a
 * descriptor holds may be anything.
 *
 * To be included before the .c file under proof.
 */
#ifndef TESTS_PROOF_WALK_STEPS_H
#define TESTS_PROOF_WALK_STEPS_H

#include "proof.h"
#include "vring_chain.h"

#ifndef SIZE_MAX_PROVED
#define SIZE_MAX_PROVED 8
#endif

static const char refused[] = "refused";
static unsigned taken; /* buffers */

/* At the end of the array: a read beyond the ring's size is one beyond the array. */
static _Alignas(16) uint8_t descriptors[SIZE_MAX_PROVED * DESC_BYTES];

static struct descriptor any_descriptor(void)
{
	return (struct descriptor){.gpa = nondet_u64(),
		.bytes = nondet_u32(),
		.flags = nondet_u16(),
		.next = nondet_u16()};
}

static struct descriptor step_load_descriptor(const uint8_t *g_desc)
{
	PROVE(__CPROVER_r_ok(g_desc, DESC_BYTES), "a descriptor is read inside of its table");
	PROVE((uintptr_t)g_desc % DESC_BYTES == 0, "and from its beginning");
	return any_descriptor();
}

static const char *step_find_table(struct vrtc_vring *ring, const struct descriptor *table,
	const uint8_t **g_table, uint64_t *contig)
{
	if (!ring->indirect || table->bytes == 0 || table->bytes % DESC_BYTES != 0 || nondet_bool())
		return refused;
	*g_table = descriptors;
	*contig = nondet_u64();
	return NULL;
}

static struct descriptor step_load_from_table(struct vrtc_vring *ring,
	const struct descriptor *table, const uint8_t *g_table, uint64_t contig, uint32_t at)
{
	(void)ring;
	(void)g_table;
	(void)contig;
	PROVE((uint64_t)at * DESC_BYTES + DESC_BYTES <= table->bytes,
		"a descriptor is read inside of its indirect table");
	return any_descriptor();
}

static const char *step_take_buffer(struct vrtc_vring *ring, struct vrtc_chain *chain,
	struct walk *walk, const struct descriptor *desc)
{
	PROVE(walk->left <= ring->size, "descriptors are counted down");
	PROVE(walk->readable_bytes <= (uint64_t)(ring->size - walk->left) << 32 &&
			walk->writable_bytes <= (uint64_t)(ring->size - walk->left) << 32,
		"no sum is more than its descriptors can come to");
	PROVE(chain->n_segments <= VRTC_RESP_BYTES_MAX && chain->n_segments <= walk->writable_bytes,
		"segments are of writable bytes");
	if (walk->left == 0)
		return refused;
	walk->left--;
	taken++;
	if (nondet_bool())
		return refused;
	if (desc->flags & VIRTQ_DESC_F_WRITE) {
		unsigned n = nondet_u8();

		walk->writing = true;
		walk->writable_bytes += desc->bytes;
		ASSUME(n >= chain->n_segments && n <= VRTC_RESP_BYTES_MAX &&
			n <= walk->writable_bytes);
		chain->n_segments = n;
	} else {
		if (walk->writing)
			return refused;
		walk->readable_bytes += desc->bytes;
	}
	return NULL;
}

#define load_descriptor step_load_descriptor
#define find_table      step_find_table
#define load_from_table step_load_from_table
#define take_buffer     step_take_buffer

/* What vrtc_vring_pop() has said of a chain. */
static void prove_chain(const struct vrtc_vring *ring, const struct vrtc_chain *chain)
{
	PROVE(chain->n_segments <= VRTC_RESP_BYTES_MAX, "no chain has more segments than bytes");
	PROVE(chain->descriptors == taken, "its descriptors are those that were taken");
	PROVE(taken <= ring->size, "and no more than the ring has");
	PROVE(ring->fault == NULL, "a chain is no fault");
}

#endif
