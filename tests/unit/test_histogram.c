/* SPDX-License-Identifier: BSD-3-Clause */
/* perf/histogram.c beside the sorted values themselves. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "histogram.h"

#define N 100000

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sizes of all kinds: so many bits, 1 to 40. */
static void fill(uint64_t *value, struct perf_histogram *h, uint64_t seed)
{
	for (unsigned i = 0; i < N; i++) {
		value[i] = next_random(&seed) >> (24 + next_random(&seed) % 40);
		perf_histogram_add(h, value[i]);
	}
	qsort(value, N, sizeof(value[0]), by_value);
}

static void percentiles_are_those_of_the_sorted_values_within_a_thousandth(void **state)
{
	static const double quantile[] = {0.001, 0.5, 0.9, 0.99, 0.999, 0.9999};
	static uint64_t value[N];
	struct perf_histogram *h = perf_histogram_new();

	(void)state;
	assert_non_null(h);
	fill(value, h, 88172645463325252u);
	assert_int_equal(h->n, N);
	assert_int_equal(h->min, value[0]);
	assert_int_equal(h->max, value[N - 1]);
	assert_int_equal(perf_histogram_quantile(h, 0), value[0]);
	assert_int_equal(perf_histogram_quantile(h, 1), value[N - 1]);
	for (size_t i = 0; i < sizeof(quantile) / sizeof(quantile[0]); i++) {
		uint64_t exact = value[N - 1 - (size_t)((double)N * (1 - quantile[i]) + 1e-9)];
		uint64_t found = perf_histogram_quantile(h, quantile[i]);

		assert_true(found >= exact);
		assert_true(found - exact <= exact / 1000);
	}
	free(h);
}

static void values_of_less_than_2048_are_exact(void **state)
{
	struct perf_histogram *h = perf_histogram_new();

	(void)state;
	assert_non_null(h);
	for (uint64_t v = 0; v < 2048; v++) {
		perf_histogram_clear(h);
		perf_histogram_add(h, 0);
		perf_histogram_add(h, v);
		perf_histogram_add(h, UINT64_C(1) << 30);
		assert_int_equal(perf_histogram_quantile(h, 0.5), v);
	}
	free(h);
}

static void slots_follow_each_other_without_a_gap(void **state)
{
	(void)state;
	for (unsigned bits = 1; bits < PERF_HISTOGRAM_BITS; bits++) {
		uint64_t power = UINT64_C(1) << bits;

		assert_int_equal(perf_histogram_slot(power), perf_histogram_slot(power - 1) + 1);
	}
	assert_int_equal(perf_histogram_slot(UINT64_MAX), PERF_HISTOGRAM_SLOTS - 1);
	assert_int_equal(perf_histogram_slot((UINT64_C(1) << PERF_HISTOGRAM_BITS) - 1),
		PERF_HISTOGRAM_SLOTS - 1);
}

static void a_merged_histogram_is_that_of_all_values(void **state)
{
	static uint64_t value[N];
	struct perf_histogram *all = perf_histogram_new();
	struct perf_histogram *a = perf_histogram_new();
	struct perf_histogram *b = perf_histogram_new();

	(void)state;
	assert_true(all && a && b);
	fill(value, a, 3);
	for (unsigned i = 0; i < N; i++)
		perf_histogram_add(all, value[i]);
	fill(value, b, 5);
	for (unsigned i = 0; i < N; i++)
		perf_histogram_add(all, value[i]);
	perf_histogram_merge(a, b);
	assert_int_equal(a->n, all->n);
	assert_int_equal(a->min, all->min);
	assert_int_equal(a->max, all->max);
	assert_memory_equal(a->slot, all->slot, sizeof(a->slot));
	free(all);
	free(a);
	free(b);
}

static void an_empty_histogram_has_zeroes(void **state)
{
	struct perf_histogram *h = perf_histogram_new();

	(void)state;
	assert_non_null(h);
	assert_int_equal(perf_histogram_quantile(h, 0.5), 0);
	assert_true(perf_histogram_mean(h) == 0);
	free(h);
}

static void json_has_the_counts_in_the_unit_asked_for(void **state)
{
	struct perf_histogram *h = perf_histogram_new();
	char *text = NULL;
	size_t bytes = 0;
	FILE *to = open_memstream(&text, &bytes);

	(void)state;
	assert_true(h && to);
	for (int i = 0; i < 3; i++)
		perf_histogram_add(h, 10);
	perf_histogram_add(h, 30);
	perf_histogram_write_json(h, to, 0.5);
	fclose(to);
	assert_string_equal(text, "\"count\": 4, \"min\": 5.000, \"max\": 15.000, \"mean\": 7.500, "
				  "\"p50\": 5.000, \"p90\": 15.000, \"p99\": 15.000, "
				  "\"p99.9\": 15.000, \"p99.99\": 15.000, "
				  "\"buckets\": [[5.000, 3], [15.000, 1]]");
	free(text);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_those_of_the_sorted_values_within_a_thousandth),
		cmocka_unit_test(values_of_less_than_2048_are_exact),
		cmocka_unit_test(slots_follow_each_other_without_a_gap),
		cmocka_unit_test(a_merged_histogram_is_that_of_all_values),
		cmocka_unit_test(an_empty_histogram_has_zeroes),
		cmocka_unit_test(json_has_the_counts_in_the_unit_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
