/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vrtc_guestmem_add() of two regions at any addresses of any lengths, in any order: what becomes a
 * table is ascending and disjoint, none of it wraps, and what is refused changes nothing. More than
 * two regions are the fuzzer's.
 */
#include <errno.h>

#include "guestmem.h"
#include "proof.h"

int main(void)
{
	static uint8_t host[1];
	struct vrtc_guestmem mem = {0};
	uint64_t gpa[2] = {nondet_u64(), nondet_u64()};
	uint64_t bytes[2] = {nondet_u64(), nondet_u64()};
	int rc[2];

	rc[0] = vrtc_guestmem_add(&mem, gpa[0], bytes[0], host);
	PROVE(mem.n == (rc[0] == 0), "a region is added, or refused");
	rc[1] = vrtc_guestmem_add(&mem, gpa[1], bytes[1], host);
	PROVE(mem.n == (unsigned)(rc[0] == 0) + (rc[1] == 0), "so is the second one");
	for (unsigned i = 0; i < 2; i++) {
		const struct vrtc_guestmem_region *r = &mem.region[i];

		PROVE(rc[i] == 0 || rc[i] == -EINVAL, "there is room for both");
		PROVE((r->bytes == 0) == (i >= mem.n), "what is behind the table is zero");
		PROVE(i >= mem.n || r->bytes - 1 <= UINT64_MAX - r->gpa, "a region does not wrap");
	}
	PROVE(mem.n < 2 || mem.region[0].gpa + (mem.region[0].bytes - 1) < mem.region[1].gpa,
		"they ascend and are disjoint");
	return 0;
}
