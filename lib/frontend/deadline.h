/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deadlines. Every wait of the front-end ends at one: an instant of CLOCK_MONOTONIC in nanoseconds,
 * computed once at the edge of a call, so that a peer that answers byte by byte gains no time.
 */
#ifndef VFE_DEADLINE_H
#define VFE_DEADLINE_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

/** @return now, CLOCK_MONOTONIC, in nanoseconds. */
static inline int64_t vfe_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/** @return the deadline that is timeout_ms milliseconds from now. */
static inline int64_t vfe_deadline_in_ms(unsigned int timeout_ms)
{
	return vfe_now_ns() + (int64_t)timeout_ms * 1000000;
}

/** @return milliseconds left, rounded up, for poll(2): 0 once the deadline has passed. */
static inline int vfe_deadline_left_ms(int64_t deadline_ns)
{
	int64_t left_ns = deadline_ns - vfe_now_ns();

	if (left_ns <= 0)
		return 0;
	if (left_ns > (int64_t)INT_MAX * 1000000 - 999999)
		return INT_MAX;
	return (int)((left_ns + 999999) / 1000000);
}

#endif
