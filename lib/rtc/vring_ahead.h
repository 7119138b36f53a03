/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Has the CPU's cache fetch what the next pop and push of a ring will touch, for a poller with
 * several rings in which something waits: the driver wrote all of it on another CPU, and the cache
 * misses of one ring after the other are most of what serving them costs. Each step needs what the
 * step before has fetched, so the poller makes one step for all its rings, and then the next.
 *
 *	1  the entry of the available ring and the used entry
 *	2  the first descriptor
 *	3  the buffers, or the indirect table
 *	4  the buffers of the table
 *
 * Trust: nothing that is found here is kept or believed; it says where to prefetch, and a prefetch
 * has no effect but on time. Guest memory is read where a pop would read it, and nowhere else.
 *
 * Threads: as vring.h. Nothing is written, but by the caller's wish *ahead.
 */
#ifndef VRTC_VRING_AHEAD_H
#define VRTC_VRING_AHEAD_H

#include <stdint.h>

#include "vring.h"

#define VRTC_VRING_AHEAD_STEPS 4

/* Private to vring_ahead.c; the first step fills it in. */
struct vrtc_vring_ahead {
	const uint8_t *g_desc; /* fetched, and the next to be looked at; NULL: that was all */
	bool in_table;
};

/*
 * @param step  1..VRTC_VRING_AHEAD_STEPS, in order; of a ring that vrtc_vring_is_waiting(), and
 *              that nobody has popped from since the first
 */
void vrtc_vring_ahead(const struct vrtc_vring *ring, unsigned step, struct vrtc_vring_ahead *ahead);

#endif
