/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exact percentiles of samples that were all kept, and the rows in which they are printed: the same
 * columns in every program, so that tables of one run can be read one below the other.
 */
#ifndef PERF_FIGURES_H
#define PERF_FIGURES_H

#include <stddef.h>
#include <stdint.h>

struct perf_figures {
	double min, p50, p90, p99, p999, max;
};

/**
 * Sorts the samples, too.
 *
 * @param n     1 or more
 * @param unit  what one of the sample's units is in the figures' unit
 */
struct perf_figures perf_figures_of(int64_t *sample, size_t n, double unit);

/** Each figure by its like in base. */
struct perf_figures perf_figures_ratio(
	const struct perf_figures *f, const struct perf_figures *base);

/** The line above the rows. */
void perf_figures_print_head(void);

/** @param unit  of the figures, "" for a ratio */
void perf_figures_print(const char *name, const char *unit, const struct perf_figures *f);

/** One member of a JSON object: "name": {"min": ...} and tail. */
void perf_figures_print_json(const char *name, const struct perf_figures *f, const char *tail);

#endif
