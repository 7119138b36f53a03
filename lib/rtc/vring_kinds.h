/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vring.c asks of vring_split.c and vring_packed.c, besides what vring.h dispatches. Nobody
 * else includes this.
 */
#ifndef VRTC_VRING_KINDS_H
#define VRTC_VRING_KINDS_H

#include "vring.h"

/*
 * As vrtc_vring_start(), which has filled in *ring as a broken one and checked what holds for both
 * kinds; sets kind and fault where there is none.
 */
int vrtc_vring_split_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config);
int vrtc_vring_packed_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config);

/* The used ring's part of vrtc_vring_warm(); a packed ring's used entry is the popped one. */
void vrtc_vring_split_warm(const struct vrtc_vring *ring);

void vrtc_vring_packed_leave(struct vrtc_vring *ring);
bool vrtc_vring_packed_is_at_start(const struct vrtc_vring *ring);

#endif
