/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread on the back-ends' CPU, for while they are stopped: the physical limit of a round trip
 * between the two CPUs, a cache line each way and nothing else; and that CPU's own noise.
 *
 * All functions: main thread. Between begin and end the partner polls, otherwise it sleeps.
 */
#ifndef PERF_PARTNER_H
#define PERF_PARTNER_H

#include <stdatomic.h>
#include <stdint.h>

#include "histogram.h"

enum perf_partner_work {
	PERF_PARTNER_SLEEPS,
	PERF_PARTNER_BOUNCES,
	PERF_PARTNER_LISTENS, /* to the noise */
	PERF_PARTNER_ENDS,
};

struct perf_partner;

/**
 * @param gaps  where the noise goes, in cycles
 * @return      NULL, and a line that says why
 */
struct perf_partner *perf_partner_new(int cpu, struct perf_histogram *gaps);

void perf_partner_free(struct perf_partner *p);

/** Returns when the thread is at it. */
void perf_partner_begin(struct perf_partner *p, enum perf_partner_work work);

/** Returns when the thread has let go of the CPU. */
void perf_partner_end(struct perf_partner *p);

/** A round trip, between begin of PERF_PARTNER_BOUNCES and end. */
void perf_partner_bounce(struct perf_partner *p);

/** A loop on the caller's CPU that does nothing but read the counter, for so many cycles. */
void perf_listen(struct perf_histogram *gaps, uint64_t cycles);

#endif
