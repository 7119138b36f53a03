/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device's session in this process, with a driver's side that does the least: one request, whose
 * chain is written once and made available again and again. For what serving costs by itself,
 * without a socket and without rte_vhost.
 *
 * Threads: the driver's side (perf_near_ring_offer(), perf_near_ring_look()) may be another thread
 * than the one that polls; each is one.
 */
#ifndef PERF_NEAR_RING_H
#define PERF_NEAR_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "session.h"

enum perf_near_layout {
	PERF_NEAR_DIRECT,   /* a descriptor each way */
	PERF_NEAR_INDIRECT, /* both in a table, as Linux does it */
	PERF_NEAR_PIECES,   /* four descriptors each way */
	PERF_NEAR_LONG,     /* a table of as many as the queue has entries; nearly all of no byte */
};

struct perf_near_ring {
	struct vrtc_session *session;
	uint8_t *g_mem;
	enum perf_near_layout layout;
	bool packed;
	uint16_t
		driver_next; /* split: the available index; packed: entries made available so far */
	uint16_t taken;      /* by the driver, counted in the same way */
	uint16_t entries;    /* that a request adds to them */
	unsigned
		at; /* its own cache lines: devices do not all begin at the same offset of a page */
};

/** What a request of 16 bytes looks like, little-endian: msg_type, reserved, then its fields. */
struct perf_near_request {
	uint16_t msg_type;
	uint16_t reserved[3];
	uint16_t clock_id;
	uint8_t hw_counter;
	uint8_t reserved2[5];
};

/**
 * The guest's counter is the host's.
 *
 * @param seed  which cache lines it takes
 * @return      0; -ENOMEM; -EINVAL: the session would not start
 */
int perf_near_ring_init(struct perf_near_ring *r, const struct vrtc_device *device,
	const struct vrtc_timesource *source, bool packed, enum perf_near_layout layout,
	unsigned seed);

void perf_near_ring_fini(struct perf_near_ring *r);

/** The request that is made available from now on. */
void perf_near_ring_set(struct perf_near_ring *r, const struct perf_near_request *request);

/** Writes the chain, as a driver does for each request, and makes it available. */
void perf_near_ring_offer(struct perf_near_ring *r);

/** The next answer, as far as a driver looks at it. @return its status; -1: it is not there yet */
int perf_near_ring_look(struct perf_near_ring *r);

/** The answer to the last request of all; those before are passed over. */
int perf_near_ring_look_at_last(struct perf_near_ring *r);

#endif
