/* SPDX-License-Identifier: BSD-3-Clause */
#include "histogram.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void perf_histogram_clear(struct perf_histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

struct perf_histogram *perf_histogram_new(void)
{
	struct perf_histogram *h = malloc(sizeof(*h));

	if (h)
		perf_histogram_clear(h);
	return h;
}

/* The largest value that falls into a slot. */
static uint64_t slot_end(unsigned slot)
{
	unsigned shift = slot >> PERF_HISTOGRAM_DIGIT_BITS;
	uint64_t digits = slot & ((1u << PERF_HISTOGRAM_DIGIT_BITS) - 1);

	/* Slots 0 to 2047 are values; from there on the highest bit of the digits is implied. */
	if (shift < 2)
		return slot;
	shift--;
	return ((((UINT64_C(1) << PERF_HISTOGRAM_DIGIT_BITS) | digits) + 1) << shift) - 1;
}

void perf_histogram_merge(struct perf_histogram *h, const struct perf_histogram *other)
{
	for (unsigned i = 0; i < PERF_HISTOGRAM_SLOTS; i++)
		h->slot[i] += other->slot[i];
	h->n += other->n;
	h->sum += other->sum;
	if (other->min < h->min)
		h->min = other->min;
	if (other->max > h->max)
		h->max = other->max;
}

uint64_t perf_histogram_quantile(const struct perf_histogram *h, double quantile)
{
	/* How many may be above it. */
	uint64_t above = (uint64_t)((double)h->n * (1 - quantile) + 1e-9);
	uint64_t n = 0;

	if (h->n == 0)
		return 0;
	if (quantile <= 0)
		return h->min;
	for (unsigned i = PERF_HISTOGRAM_SLOTS; i-- > 0;) {
		n += h->slot[i];
		if (n > above) {
			uint64_t end = slot_end(i);

			return end > h->max ? h->max : end < h->min ? h->min : end;
		}
	}
	return h->min;
}

double perf_histogram_mean(const struct perf_histogram *h)
{
	return h->n > 0 ? h->sum / (double)h->n : 0;
}

void perf_histogram_write_json(const struct perf_histogram *h, FILE *to, double unit)
{
	static const struct {
		const char *name;
		double quantile;
	} points[] = {
		{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
	const char *comma = "";

	fprintf(to, "\"count\": %" PRIu64 ", \"min\": %.3f, \"max\": %.3f, \"mean\": %.3f", h->n,
		(double)(h->n > 0 ? h->min : 0) * unit, (double)h->max * unit,
		perf_histogram_mean(h) * unit);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		fprintf(to, ", \"%s\": %.3f", points[i].name,
			(double)perf_histogram_quantile(h, points[i].quantile) * unit);
	fputs(", \"buckets\": [", to);
	for (unsigned i = 0; i < PERF_HISTOGRAM_SLOTS; i++) {
		if (h->slot[i] == 0)
			continue;
		fprintf(to, "%s[%.3f, %" PRIu64 "]", comma, (double)slot_end(i) * unit, h->slot[i]);
		comma = ", ";
	}
	fputc(']', to);
}
