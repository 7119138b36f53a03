/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes every vrtc_vring_pop() of a test the one of a poller with several rings: it looks whether
 * something waits, and fetches ahead (vring_ahead.h). Neither changes the ring, and the look agrees
 * with the pop, unless another thread is the driver: pop_beside_driver().
 */
#ifndef POP_AHEAD_H
#define POP_AHEAD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "vring_ahead.h"

static enum vrtc_vring_result pop_ahead(
	struct vrtc_vring *ring, struct vrtc_chain *chain, bool alone)
{
	bool broken = vrtc_vring_fault(ring) != NULL;
	bool waiting = vrtc_vring_is_waiting(ring);
	struct vrtc_vring_ahead ahead;
	enum vrtc_vring_result result;
	uint8_t before[sizeof(*ring)];

	memcpy(before, ring, sizeof(before));
	for (unsigned step = 1; waiting && step <= VRTC_VRING_AHEAD_STEPS; step++)
		vrtc_vring_ahead(ring, step, &ahead);
	assert_memory_equal(before, ring, sizeof(before));
	result = vrtc_vring_pop(ring, chain);
	if (alone)
		assert_int_equal(waiting, !broken && result != VRTC_VRING_EMPTY);
	return result;
}
#define vrtc_vring_pop(ring, chain)    pop_ahead(ring, chain, true)
#define pop_beside_driver(ring, chain) pop_ahead(ring, chain, false)

#endif
