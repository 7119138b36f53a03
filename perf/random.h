/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarm times that keep no step with anything, and are the same in each run (xorshift64*). */
#ifndef PERF_RANDOM_H
#define PERF_RANDOM_H

#include <stdint.h>

/** @return a number below 2^48. One sequence for each source file that uses it. */
static inline uint64_t perf_random(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	return x * 0x2545f4914f6cdd1d >> 16;
}

#endif
