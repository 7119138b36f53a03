/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine's own noise: how long a loop that does nothing but read the clock is kept from doing
 * so. What runs on that CPU can be no more punctual than this loop.
 *
 * One thread at a time; perf_gaps_new() allocates.
 */
#ifndef PERF_GAPS_H
#define PERF_GAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Up to here the gaps are counted by the nanosecond, above it each one is kept. */
#define PERF_GAPS_SHORT_NS 1000
#define PERF_GAPS_LONG_MAX (1u << 20)

struct perf_gaps {
	uint64_t n;
	int64_t total_ns;
	uint64_t by_ns[PERF_GAPS_SHORT_NS + 1];
	size_t n_long;
	size_t n_lost; /* long ones that were too many; their time is in total_ns */
	int64_t long_ns[PERF_GAPS_LONG_MAX];
};

/** @return all zero, its memory touched; NULL: none */
struct perf_gaps *perf_gaps_new(void);

static inline void perf_gaps_add(struct perf_gaps *g, int64_t gap_ns)
{
	if (gap_ns < 0)
		return; /* the clock was set */
	g->n++;
	g->total_ns += gap_ns;
	if (gap_ns <= PERF_GAPS_SHORT_NS)
		g->by_ns[gap_ns]++;
	else if (g->n_long < PERF_GAPS_LONG_MAX)
		g->long_ns[g->n_long++] = gap_ns;
	else
		g->n_lost++;
}

/** Prints them as text; sorts the long ones. where: a half-sentence, "CPU 1" */
void perf_gaps_print(struct perf_gaps *g, const char *where);

/** One member of a JSON object, and tail. */
void perf_gaps_print_json(struct perf_gaps *g, const char *name, const char *tail);

#endif
