/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ring.c asks of ring_packed.c where a ring is a packed one: each function as the one of
 * ring.h without "packed" in its name. Nobody else includes this.
 */
#ifndef VFE_RING_PACKED_H
#define VFE_RING_PACKED_H

#include "ring.h"

void vfe_ring_packed_begin(struct vfe_ring *ring);
int vfe_ring_packed_add(struct vfe_ring *ring, const struct vfe_seg *segs, unsigned int n_segs,
	uint64_t cookie, uint16_t *id);
/* n_segs and the table are checked. */
int vfe_ring_packed_add_indirect(struct vfe_ring *ring, const struct vfe_seg *segs,
	unsigned int n_segs, uint64_t table_gpa, void *table, uint64_t cookie, uint16_t *id);
void vfe_ring_packed_publish(struct vfe_ring *ring);
bool vfe_ring_packed_kick_wanted(struct vfe_ring *ring);
int vfe_ring_packed_poll(struct vfe_ring *ring, struct vfe_done *done);
uint16_t vfe_ring_packed_used_idx(const struct vfe_ring *ring);
void vfe_ring_packed_suppress_calls(struct vfe_ring *ring);
bool vfe_ring_packed_arm_call(struct vfe_ring *ring);

#endif
