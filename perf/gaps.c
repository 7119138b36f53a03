/* SPDX-License-Identifier: BSD-3-Clause */
#include "gaps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t limits_ns[] = {1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000};
#define LIMITS (sizeof(limits_ns) / sizeof(limits_ns[0]))

struct summary {
	int64_t p50_ns, p99_ns, p999_ns, p9999_ns, max_ns;
	size_t n_above[LIMITS];
	double share_above[LIMITS]; /* of the time */
};

struct perf_gaps *perf_gaps_new(void)
{
	struct perf_gaps *g = malloc(sizeof(*g));

	if (g)
		memset(g, 0, sizeof(*g));
	return g;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The gap that all but n_above are no longer than; the long ones are sorted. */
static int64_t quantile(const struct perf_gaps *g, uint64_t n_above)
{
	uint64_t n = 0;

	if (n_above < g->n_long)
		return g->long_ns[g->n_long - 1 - n_above];
	n = g->n_long;
	for (int64_t ns = PERF_GAPS_SHORT_NS; ns >= 0; ns--) {
		n += g->by_ns[ns];
		if (n > n_above)
			return ns;
	}
	return 0;
}

static struct summary summarise(struct perf_gaps *g)
{
	struct summary s = {0};

	qsort(g->long_ns, g->n_long, sizeof(g->long_ns[0]), by_value);
	s.p50_ns = quantile(g, g->n / 2);
	s.p99_ns = quantile(g, g->n / 100);
	s.p999_ns = quantile(g, g->n / 1000);
	s.p9999_ns = quantile(g, g->n / 10000);
	s.max_ns = quantile(g, 0);
	for (size_t i = 0; i < LIMITS; i++) {
		int64_t above_ns = 0;

		for (size_t k = g->n_long; k > 0 && g->long_ns[k - 1] > limits_ns[i]; k--) {
			above_ns += g->long_ns[k - 1];
			s.n_above[i]++;
		}
		if (g->total_ns > 0)
			s.share_above[i] = (double)above_ns / (double)g->total_ns;
	}
	return s;
}

void perf_gaps_print(struct perf_gaps *g, const char *where)
{
	struct summary s = summarise(g);

	printf("gaps on %s: a loop reads the clock, %" PRIu64
	       " times in %.1f s; from one reading to "
	       "the next,\nmedian %" PRId64 ", p99 %" PRId64 ", p99.9 %" PRId64 ", p99.99 %" PRId64
	       ", max %" PRId64 " ns\n",
		where, g->n, (double)g->total_ns / 1e9, s.p50_ns, s.p99_ns, s.p999_ns, s.p9999_ns,
		s.max_ns);
	printf("%-24s", "longer than, us");
	for (size_t i = 0; i < LIMITS; i++)
		printf(" %8" PRId64, limits_ns[i] / 1000);
	printf("\n%-24s", "a second");
	for (size_t i = 0; i < LIMITS; i++)
		printf(" %8.1f", (double)s.n_above[i] * 1e9 / (double)g->total_ns);
	printf("\n%-24s", "share of the time, %");
	for (size_t i = 0; i < LIMITS; i++)
		printf(" %8.3f", s.share_above[i] * 100);
	putchar('\n');
	if (g->n_lost > 0)
		printf("(%zu more longer than 1 us were not kept)\n", g->n_lost);
}

void perf_gaps_print_json(struct perf_gaps *g, const char *name, const char *tail)
{
	struct summary s = summarise(g);

	printf("  \"%s\": {\"readings\": %" PRIu64 ", \"seconds\": %.3f, \"p50\": %" PRId64
	       ", \"p99\": %" PRId64 ", \"p99.9\": %" PRId64 ", \"p99.99\": %" PRId64
	       ", \"max\": %" PRId64 ",\n    \"longer_than\": [",
		name, g->n, (double)g->total_ns / 1e9, s.p50_ns, s.p99_ns, s.p999_ns, s.p9999_ns,
		s.max_ns);
	for (size_t i = 0; i < LIMITS; i++)
		printf("%s{\"ns\": %" PRId64 ", \"n\": %zu, \"share_of_time\": %.6f}",
			i > 0 ? ", " : "", limits_ns[i], s.n_above[i], s.share_above[i]);
	printf("]}%s\n", tail);
}
