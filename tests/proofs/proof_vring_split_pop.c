/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vrtc_vring_split_pop() for all rings of up to 8 entries, all indices and whatever the driver has
 * written: the walk ends, within as many buffers as the ring has entries, reads nothing outside of
 * the available ring and of the descriptor table, keeps the indices' order, and leaves a ring that
 * is broken or a chain that is whole. The steps of the walk are those of walk_steps.h.
 */
#include "walk_steps.h"

#include "../../lib/rtc/vring_split.c"

static _Alignas(4) uint8_t avail[4 + 2 * SIZE_MAX_PROVED];

/* How far an index is behind the driver's, which is as far ahead as the ring is long at most. */
static bool is_in_order(const struct vrtc_vring *ring)
{
	uint16_t seen = (uint16_t)(ring->avail_seen - ring->used_published);
	uint16_t next = (uint16_t)(ring->avail_next - ring->used_published);

	return seen <= ring->size && next <= seen;
}

int main(void)
{
	struct vrtc_chain chain;
	struct vrtc_vring ring = {.kind = VRTC_VRING_KIND_SPLIT,
		.size = nondet_u16(),
		.indirect = nondet_bool(),
		.avail_next = nondet_u16(),
		.avail_seen = nondet_u16(),
		.used_published = nondet_u16()};
	struct vrtc_vring was;
	enum vrtc_vring_result result;

	ASSUME(ring.size == 1 || ring.size == 2 || ring.size == 4 || ring.size == 8);
	ASSUME(is_in_order(&ring));
	ring.g_desc = descriptors + (SIZE_MAX_PROVED - ring.size) * DESC_BYTES;
	ring.g_driver = avail + (SIZE_MAX_PROVED - ring.size) * 2;
	for (unsigned i = 0; i < sizeof(avail); i++)
		avail[i] = nondet_u8();
	was = ring;

	result = vrtc_vring_split_pop(&ring, &chain);
	if (result == VRTC_VRING_BROKEN) {
		PROVE(ring.fault != NULL && ring.kind == VRTC_VRING_KIND_BROKEN,
			"a ring is broken for a reason");
		return 0;
	}
	PROVE(ring.kind == VRTC_VRING_KIND_SPLIT, "a ring that is not broken goes on");
	PROVE(is_in_order(&ring), "indices keep their order");
	PROVE(ring.used_published == was.used_published, "a pop publishes nothing");
	if (result == VRTC_VRING_EMPTY) {
		PROVE(ring.avail_next == was.avail_next && taken == 0, "nothing is taken");
		return 0;
	}
	prove_chain(&ring, &chain);
	PROVE(chain.id < ring.size, "the chain begins in the table");
	PROVE(chain.index == was.avail_next, "it is the next one");
	PROVE(ring.avail_next == (uint16_t)(was.avail_next + 1),
		"and the one behind it comes next");
	return 0;
}
