/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A histogram of durations with a high dynamic range: three significant digits at any size, a fixed
 * amount of memory, so that nothing is sampled and no percentile is an average of percentiles.
 * (What is usually taken for this, HdrHistogram_c, is in no release of Debian that we build on.)
 *
 * Values below 2048 have a slot each; above, each power of two has 1024 slots. Minimum and maximum
 * are exact; a percentile is the upper end of its slot, less than 0.1 % too high.
 *
 * Threads: one at a time. perf_histogram_new() allocates, nothing else does.
 */
#ifndef PERF_HISTOGRAM_H
#define PERF_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define PERF_HISTOGRAM_DIGIT_BITS 10
/* Durations of 2^44 ns are five hours; what is longer is counted as this. */
#define PERF_HISTOGRAM_BITS       44
#define PERF_HISTOGRAM_SLOTS                                                                       \
	((PERF_HISTOGRAM_BITS - PERF_HISTOGRAM_DIGIT_BITS + 1) << PERF_HISTOGRAM_DIGIT_BITS)

struct perf_histogram {
	uint64_t n;
	uint64_t min;
	uint64_t max;
	double sum;
	uint64_t slot[PERF_HISTOGRAM_SLOTS];
};

/** @return an empty one, its memory touched; NULL: there is none. free() frees it. */
struct perf_histogram *perf_histogram_new(void);

static inline unsigned perf_histogram_slot(uint64_t value)
{
	unsigned shift;

	if (value >= UINT64_C(1) << PERF_HISTOGRAM_BITS)
		value = (UINT64_C(1) << PERF_HISTOGRAM_BITS) - 1;
	if (value >> (PERF_HISTOGRAM_DIGIT_BITS + 1) == 0)
		return (unsigned)value;
	shift = 63 - PERF_HISTOGRAM_DIGIT_BITS - (unsigned)__builtin_clzll(value);
	return (shift << PERF_HISTOGRAM_DIGIT_BITS) + (unsigned)(value >> shift);
}

/* Allocates nothing and makes no system call. */
static inline void perf_histogram_add(struct perf_histogram *h, uint64_t value)
{
	h->slot[perf_histogram_slot(value)]++;
	h->n++;
	h->sum += (double)value;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

/** Adds all that is in other. */
void perf_histogram_merge(struct perf_histogram *h, const struct perf_histogram *other);

/** Empties it. */
void perf_histogram_clear(struct perf_histogram *h);

/**
 * The smallest value that no more than n * (1 - quantile) values are above.
 *
 * @param quantile  0 to 1; 0 is the minimum, and 1 the maximum
 * @return          0 where it is empty
 */
uint64_t perf_histogram_quantile(const struct perf_histogram *h, double quantile);

double perf_histogram_mean(const struct perf_histogram *h);

/**
 * Writes the members of a JSON object: count, min, max, mean, p50 to p99.99, and the slots that are
 * not empty as [[upper end, count], ...].
 *
 * @param unit  what one of the values' units is in the unit to be written
 */
void perf_histogram_write_json(const struct perf_histogram *h, FILE *to, double unit);

#endif
