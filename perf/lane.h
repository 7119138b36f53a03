/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A requestq with many READs outstanding: buffers that were made once, so that a request costs the
 * driver its ring and nothing else.
 *
 *	perf_lane_init(&lane, program, &cfg);   memory, ring; with cfg.listen the socket
 *	perf_lane_start(&lane);                 connects, sets the queue up
 *	perf_lane_add(&lane, slot) ...; perf_lane_publish(&lane);
 *	perf_lane_take(&lane) or perf_lane_wait(&lane)
 *	perf_lane_fini(&lane);
 *
 * Errors: a line on stderr has said why.
 *
 * Threads: a lane belongs to one at a time. Only init() and start() allocate.
 */
#ifndef PERF_LANE_H
#define PERF_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/session.h"

struct perf_lane_config {
	const char *path;      /* outlives the lane */
	bool listen;           /* the back-end connects to us */
	unsigned depth;        /* requests that can be outstanding, up to VFE_RING_SIZE_MAX / 2 */
	unsigned ring_entries; /* a power of two, 2 * depth or more */
	unsigned connect_ms;   /* as in struct vfe_config */
	uint64_t features;     /* of the ring, besides what is needed */
	uint16_t clock_id;
	enum vfe_wait wait; /* VFE_WAIT_POLL: the device is asked not to call */
};

struct perf_lane {
	const char *program;
	unsigned depth;
	uint64_t slots_gpa;
	uint8_t *slots;
	struct vfe_session session;
};

#define PERF_LANE_NONE  (-1)
#define PERF_LANE_ERROR (-2)

/** @return 0; otherwise there is nothing to fini(), but it is allowed */
int perf_lane_init(
	struct perf_lane *lane, const char *program, const struct perf_lane_config *config);

int perf_lane_start(struct perf_lane *lane);

/** Also good for a lane of zeroes. */
void perf_lane_fini(struct perf_lane *lane);

/** Adds a READ. @param slot  below the depth, and not outstanding */
int perf_lane_add(struct perf_lane *lane, unsigned slot);

/** Makes available all that was added; kicks if that is wanted. */
void perf_lane_publish(struct perf_lane *lane);

/** @return the slot of a request that was answered with a reading; NONE there is none; ERROR */
int perf_lane_take(struct perf_lane *lane);

/** As take(), but spins until there is one, for 5 seconds at most. @return never NONE */
int perf_lane_wait(struct perf_lane *lane);

#endif
