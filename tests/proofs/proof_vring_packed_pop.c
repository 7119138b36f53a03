/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vrtc_vring_packed_pop() for all rings of up to 8 entries, all places in them and whatever the
 * driver has written: the walk ends, takes no more entries than are the driver's, reads nothing
 * outside of the ring, and leaves a ring that is broken or a chain that is whole, of which the next
 * place in the ring is right. The steps of the walk are those of walk_steps.h.
 */
#include "walk_steps.h"

#include "../../lib/rtc/vring_packed.c"

static bool is_place(const struct vrtc_vring *ring, uint16_t at)
{
	return (at & OFFSET) < ring->size;
}

int main(void)
{
	struct vrtc_chain chain;
	struct vrtc_vring ring = {.kind = VRTC_VRING_KIND_PACKED,
		.size = nondet_u16(),
		.indirect = nondet_bool(),
		.avail_next = nondet_u16()};
	struct vrtc_vring was;
	enum vrtc_vring_result result;
	unsigned lap;

	ASSUME(ring.size >= 1 && ring.size <= SIZE_MAX_PROVED);
	ASSUME(is_place(&ring, ring.avail_next));
	ring.packed.popped = nondet_u16();
	ASSUME(ring.packed.popped <= ring.size);
	ring.g_desc = descriptors + (SIZE_MAX_PROVED - ring.size) * DESC_BYTES;
	for (unsigned i = 0; i < sizeof(descriptors); i++)
		descriptors[i] = nondet_u8();
	was = ring;

	result = vrtc_vring_packed_pop(&ring, &chain);
	if (result == VRTC_VRING_BROKEN) {
		PROVE(ring.fault != NULL && ring.kind == VRTC_VRING_KIND_BROKEN,
			"a ring is broken for a reason");
		return 0;
	}
	PROVE(ring.kind == VRTC_VRING_KIND_PACKED, "a ring that is not broken goes on");
	if (result == VRTC_VRING_EMPTY) {
		PROVE(ring.avail_next == was.avail_next && taken == 0, "nothing is taken");
		return 0;
	}
	prove_chain(&ring, &chain);
	PROVE(chain.entries >= 1 && chain.entries <= ring.size - was.packed.popped,
		"its entries are the driver's");
	PROVE(ring.packed.popped == was.packed.popped + chain.entries, "and are counted");
	PROVE(chain.index == was.avail_next, "it is the next one");
	PROVE(is_place(&ring, ring.avail_next), "the next place is in the ring");
	lap = (was.avail_next & OFFSET) + chain.entries;
	PROVE((ring.avail_next & OFFSET) == (lap < ring.size ? lap : lap - ring.size) &&
			((ring.avail_next ^ was.avail_next) & WRAP) == (lap < ring.size ? 0 : WRAP),
		"behind the chain, and in the next lap if that goes around");
	return 0;
}
