/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program has measured: rows of text for whoever looks on, and one JSON object, for
 * perf/report and perf/compare, in a file.
 *
 *	{"program": ..., "question": ..., "tsc_mhz": ...,
 *	 "series": [{"name", "group", "role", "unit", "count", "min", "max", "mean", "p50", ...,
 *	             "p99.99", "buckets": [[upper end, count], ...]}],
 *	 "values": [{"name", "group", "value", "unit"}],
 *	 "ratios": [{"name", "value", "goal"}],
 *	 "noise": [{"cpu", "seconds", "series": {as one of series}}]}
 *
 * Main thread; errors end the program with a line that says so.
 */
#ifndef PERF_RESULT_H
#define PERF_RESULT_H

#include "histogram.h"

struct perf_result;

/**
 * @param program   as in dpdk-rtc-PROGRAM
 * @param question  what is measured, a sentence
 * @param path      of the JSON file; NULL: text alone
 */
struct perf_result *perf_result_begin(const char *program, const char *question, const char *path);

/** What a TSC count is in ns: for the object's tsc_mhz. */
void perf_result_set_tsc(struct perf_result *r, double ns_per_cycle);

/** A line of text above the rows that follow, with the columns' names. */
void perf_result_head(struct perf_result *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * A row.
 *
 * @param group  series of the same group are compared with each other
 * @param role   "device", "floor", "noise" or "other"
 * @param unit   what one unit of the values is in ns
 */
void perf_result_series(struct perf_result *r, const char *name, const char *group,
	const char *role, const struct perf_histogram *h, double unit);

/** A single figure. */
void perf_result_value(
	struct perf_result *r, const char *name, const char *group, double value, const char *unit);

/** @param goal  0: none */
void perf_result_ratio(struct perf_result *r, const char *name, double value, double goal);

/** Of two series, at p50, p99 and p99.9; goals, 0: none. "NAME, p50" and so on. */
void perf_result_ratios(struct perf_result *r, const char *name, const struct perf_histogram *h,
	const struct perf_histogram *base, double goal_p50, double goal_p99, double goal_p999);

/** The gaps of a loop that did nothing but read the TSC on that CPU, in the same run. */
void perf_result_noise(
	struct perf_result *r, int cpu, const struct perf_histogram *gaps, double unit);

/** Writes the file, and frees. */
void perf_result_end(struct perf_result *r);

#endif
