/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checked arithmetic on nanoseconds. An int64_t of nanoseconds since 1970 ends in the year 2262; a
 * configuration file, a guest or a broken host clock can name times beyond that, and none of them
 * may overflow. An operation whose exact result does not fit says so and leaves its output alone.
 *
 * Pure functions: any thread, no allocation, no clock.
 */
#ifndef VRTC_NSTIME_H
#define VRTC_NSTIME_H

#include <stdbool.h>
#include <stdint.h>

#define VRTC_NS_PER_S INT64_C(1000000000)

/* *sum_ns = a_ns + b_ns. False on overflow; *sum_ns is then unchanged. */
static inline bool vrtc_nstime_add(int64_t a_ns, int64_t b_ns, int64_t *sum_ns)
{
	int64_t exact_ns;

	if (__builtin_add_overflow(a_ns, b_ns, &exact_ns))
		return false;
	*sum_ns = exact_ns;
	return true;
}

/* *difference_ns = a_ns - b_ns. False on overflow; *difference_ns is then unchanged. */
static inline bool vrtc_nstime_sub(int64_t a_ns, int64_t b_ns, int64_t *difference_ns)
{
	int64_t exact_ns;

	if (__builtin_sub_overflow(a_ns, b_ns, &exact_ns))
		return false;
	*difference_ns = exact_ns;
	return true;
}

/* *ns = seconds in nanoseconds. False on overflow (beyond 292 years); *ns is then unchanged. */
static inline bool vrtc_nstime_from_s(int64_t seconds, int64_t *ns)
{
	int64_t exact_ns;

	if (__builtin_mul_overflow(seconds, VRTC_NS_PER_S, &exact_ns))
		return false;
	*ns = exact_ns;
	return true;
}

/* The second that contains the instant: rounds towards the past, before 1970 too. Never fails. */
static inline int64_t vrtc_nstime_to_s(int64_t ns)
{
	return ns / VRTC_NS_PER_S - (ns % VRTC_NS_PER_S < 0);
}

#endif
