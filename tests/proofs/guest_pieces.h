/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory for proofs of the ring walk: instead of the search in the table of regions its
 * contract, which proof_guestmem.c shows of the real one. A range is nowhere, or begins with a
 * piece of any length; it has PIECES pieces at most, wherever they are. Of a piece GUEST_BYTES may
 * be read at most: CBMC sees a read beyond the piece, or beyond those.
 *
 * To be included before vring_chain.h.
 */
#ifndef TESTS_PROOF_GUEST_PIECES_H
#define TESTS_PROOF_GUEST_PIECES_H

#define vrtc_guestmem_map_near vrtc_guestmem_map_near_in_regions
#include "guestmem.h"
#undef vrtc_guestmem_map_near

#include "proof.h"

#ifndef PIECES
#define PIECES 3
#endif
#define GUEST_BYTES 32

static _Alignas(uint64_t) uint8_t guest0[GUEST_BYTES];
static _Alignas(uint64_t) uint8_t guest1[GUEST_BYTES];
static _Alignas(uint64_t) uint8_t guest2[GUEST_BYTES];
static unsigned n_pieces;
static bool is_nowhere; /* an answer was NULL */

static void *vrtc_guestmem_map_near(const struct vrtc_guestmem *mem, uint8_t *near, uint64_t gpa,
	uint64_t bytes, uint64_t *contig)
{
	uint8_t *guest = n_pieces == 0 ? guest0 : n_pieces == 1 ? guest1 : guest2;
	uint64_t n = nondet_u64();

	(void)mem;
	PROVE(n_pieces == 0 || bytes - 1 <= UINT64_MAX - gpa,
		"what is left of a range is something, and does not wrap");
	*near = nondet_u8() % VRTC_GUESTMEM_REGIONS_MAX;
	*contig = 0;
	if (bytes == 0 || bytes - 1 > UINT64_MAX - gpa || nondet_bool()) {
		is_nowhere = true;
		return NULL;
	}
	ASSUME(n >= 1 && n <= bytes);
	ASSUME(n_pieces < PIECES - 1 || n == bytes);
	n_pieces++;
	*contig = n;
	return guest + (n < GUEST_BYTES ? GUEST_BYTES - n : 0);
}

#endif
