/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Indirect tables, vring_chain.h: find_table() for all descriptors and a table in up to three
 * pieces, and a descriptor of a table that it has found, wherever that lies: what is not whole is
 * refused, and what is read of a table is in it. And end_chain() for all sizes.
 */
#include "guest_pieces.h"
#include "vring_chain.h"

static void prove_end_of_chain(void)
{
	struct vrtc_vring ring = {.size = nondet_u16()};
	struct vrtc_chain chain;
	struct walk walk = {.readable_bytes = nondet_u64(),
		.writable_bytes = nondet_u64(),
		.left = nondet_u16()};
	struct walk was = walk;

	ASSUME(walk.left <= ring.size);
	ASSUME(walk.readable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	ASSUME(walk.writable_bytes <= (uint64_t)VRTC_VRING_SIZE_MAX << 32);
	if (end_chain(&ring, &chain, &walk) != NULL) {
		PROVE(was.readable_bytes + was.writable_bytes > CHAIN_BYTES_LIMIT,
			"a chain may have 2^32 bytes");
		return;
	}
	PROVE(was.readable_bytes + was.writable_bytes <= CHAIN_BYTES_LIMIT, "and no more");
	PROVE(chain.descriptors == ring.size - was.left, "descriptors are counted");
	PROVE(chain.readable_bytes == was.readable_bytes ||
			(chain.readable_bytes == UINT32_MAX &&
				was.readable_bytes == CHAIN_BYTES_LIMIT),
		"readable bytes are right, or saturated");
	PROVE(chain.writable_bytes == was.writable_bytes ||
			(chain.writable_bytes == UINT32_MAX &&
				was.writable_bytes == CHAIN_BYTES_LIMIT),
		"writable bytes are right, or saturated");
}

int main(void)
{
	struct vrtc_guestmem mem = {0};
	struct vrtc_vring ring = {.mem = &mem, .indirect = nondet_bool()};
	struct descriptor table = {
		.gpa = nondet_u64(), .bytes = nondet_u32(), .flags = nondet_u16()};
	const uint8_t *g_table;
	uint64_t contig = 0;
	const char *fault;

	prove_end_of_chain();
	fault = find_table(&ring, &table, &g_table, &contig);
	if (fault != NULL) {
		PROVE(!ring.indirect || table.flags & VIRTQ_DESC_F_NEXT || table.bytes == 0 ||
				table.bytes % 16 != 0 || is_nowhere,
			"a table is refused for a reason");
		return 0;
	}
	PROVE(ring.indirect && !(table.flags & VIRTQ_DESC_F_NEXT) && !is_nowhere,
		"what must not be is refused");
	PROVE(table.bytes != 0 && table.bytes % 16 == 0, "a table is of whole descriptors");
	PROVE(table.bytes - 1 <= UINT64_MAX - table.gpa, "a table does not wrap");
	PROVE(contig >= 1 && contig <= table.bytes, "its first piece is of it");
	/* Its first two, where they are in one piece. */
	if (contig == table.bytes && table.bytes <= GUEST_BYTES) {
		uint32_t at = nondet_u32();

		ASSUME(at < table.bytes / DESC_BYTES);
		(void)load_from_table(&ring, &table, g_table, contig, at);
	}
	return 0;
}
