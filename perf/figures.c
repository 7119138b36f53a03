/* SPDX-License-Identifier: BSD-3-Clause */
#include "figures.h"

#include <stdio.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

struct perf_figures perf_figures_of(int64_t *sample, size_t n, double unit)
{
	qsort(sample, n, sizeof(sample[0]), by_value);
	return (struct perf_figures){
		.min = (double)sample[0] * unit,
		.p50 = (double)sample[n / 2] * unit,
		.p90 = (double)sample[n - 1 - n / 10] * unit,
		.p99 = (double)sample[n - 1 - n / 100] * unit,
		.p999 = (double)sample[n - 1 - n / 1000] * unit,
		.max = (double)sample[n - 1] * unit,
	};
}

struct perf_figures perf_figures_ratio(
	const struct perf_figures *f, const struct perf_figures *base)
{
	return (struct perf_figures){
		.min = f->min / base->min,
		.p50 = f->p50 / base->p50,
		.p90 = f->p90 / base->p90,
		.p99 = f->p99 / base->p99,
		.p999 = f->p999 / base->p999,
		.max = f->max / base->max,
	};
}

void perf_figures_print_head(void)
{
	printf("%-24s %-4s %9s %9s %9s %9s %9s %11s\n", "", "", "min", "median", "p90", "p99",
		"p99.9", "max");
}

void perf_figures_print(const char *name, const char *unit, const struct perf_figures *f)
{
	int digits = *unit ? 0 : 2;

	printf("%-24s %-4s %9.*f %9.*f %9.*f %9.*f %9.*f %11.*f\n", name, unit, digits, f->min,
		digits, f->p50, digits, f->p90, digits, f->p99, digits, f->p999, digits, f->max);
}

void perf_figures_print_json(const char *name, const struct perf_figures *f, const char *tail)
{
	printf("  \"%s\": {\"min\": %.3f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, "
	       "\"p99.9\": %.3f, \"max\": %.3f}%s\n",
		name, f->min, f->p50, f->p90, f->p99, f->p999, f->max, tail);
}
