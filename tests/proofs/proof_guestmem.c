/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guestmem.c for a table of up to three regions at any guest addresses, and any range asked for: no
 * sum overflows, and the answer lies inside of the region that has the guest address, as far as
 * it says. A region has HOST_BYTES bytes or less, which are memory of the proof's own: CBMC sees
 * whether the pointer that comes out is one into it.
 */
#include "guestmem.h"
#include "proof.h"

#define REGIONS    3
#define HOST_BYTES 64

static uint8_t host[REGIONS][HOST_BYTES];

/* Any table that keeps the promise of guestmem.h: ascending, disjoint, no region that wraps. */
static void make_table(struct vrtc_guestmem *mem)
{
	mem->n = nondet_u8() % (REGIONS + 1);
	for (unsigned i = 0; i < REGIONS; i++) {
		struct vrtc_guestmem_region *r = &mem->region[i];

		if (i >= mem->n)
			break;
		r->gpa = nondet_u64();
		r->bytes = nondet_u8();
		r->g_base = host[i];
		ASSUME(r->bytes >= 1 && r->bytes <= HOST_BYTES);
		ASSUME(r->bytes - 1 <= UINT64_MAX - r->gpa);
		ASSUME(i == 0 || mem->region[i - 1].gpa + (mem->region[i - 1].bytes - 1) < r->gpa);
	}
}

int main(void)
{
	struct vrtc_guestmem mem = {0};
	uint64_t gpa = nondet_u64();
	uint64_t bytes = nondet_u64();
	uint64_t contig = 77;
	uint8_t near = nondet_u8() % VRTC_GUESTMEM_REGIONS_MAX;
	bool inside = false;
	uint8_t *g_at;

	make_table(&mem);
	g_at = vrtc_guestmem_map_near(&mem, &near, gpa, bytes, &contig);
	PROVE(near < VRTC_GUESTMEM_REGIONS_MAX, "the hint stays one");
	for (unsigned i = 0; i < REGIONS; i++) {
		const struct vrtc_guestmem_region *r = &mem.region[i];

		if (i < mem.n && gpa >= r->gpa && gpa - r->gpa < r->bytes && bytes != 0 &&
			bytes - 1 <= UINT64_MAX - gpa) {
			inside = true;
			PROVE(g_at == host[i] + (gpa - r->gpa), "the guest's byte is ours");
			PROVE(contig >= 1 && contig <= bytes && contig <= r->bytes - (gpa - r->gpa),
				"no more is contiguous than the region has");
		}
	}
	PROVE(inside || (g_at == NULL && contig == 0), "an address outside is nowhere");
	return 0;
}
