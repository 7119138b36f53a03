/* SPDX-License-Identifier: BSD-3-Clause */
#include "pair.h"

#include <math.h>
#include <stdlib.h>

#include "nstime.h"

/* A middle is in the right place if it is no further from it: less than half of Zen's step. */
#define ALIKE_NS 2

/* One window in the wrong place outweighs so many in the right one. */
#define WRONG_WEIGHS 50

/* Of all windows, so many have good widths, that no reading takes long. */
#define USUAL_SHARE 0.25

#define RATE_PAUSE_NS 5000000
#define RATE_WINDOWS  64

/*
 * Apart, so that the windows that are measured at the start are those of the readings: a few
 * instructions more on one way alone move the clock out of the middle.
 */
__attribute__((noinline)) static struct vrtc_pair_window look(
	enum vrtc_host_counter counter, clockid_t clockid)
{
	struct timespec clock;
	uint64_t before = vrtc_pair_count(counter), after;

	(void)clock_gettime(clockid, &clock);
	after = vrtc_pair_count(counter);
	return (struct vrtc_pair_window){
		.begin = before,
		.width = after - before,
		.clock_ns = (int64_t)clock.tv_sec * VRTC_NS_PER_S + clock.tv_nsec,
	};
}

void vrtc_pair_read(const struct vrtc_pairing *p, enum vrtc_host_counter counter, clockid_t clockid,
	struct vrtc_pair *pair)
{
	struct vrtc_pair_window window, best = {.width = UINT64_MAX};
	struct timespec unused;
	unsigned n = 0;

	(void)clock_gettime(clockid, &unused);
	do
		window = look(counter, clockid);
	while (!vrtc_pair_choose(&p->good[counter], n++, &window, &best));
	vrtc_pair_from_window(&best, pair);
}

/* ---- At the start. */

struct sample {
	uint64_t width;
	bool alike;
};

static int by_width(const void *a, const void *b)
{
	uint64_t x = ((const struct sample *)a)->width;
	uint64_t y = ((const struct sample *)b)->width;

	return x < y ? -1 : x > y;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The clock at a row's middles is on one line; the median is right, whatever happened to some. */
static void sample_row(const struct vrtc_pair_window row[VRTC_PAIR_ROW], double counts_per_ns,
	struct sample samples[VRTC_PAIR_ROW])
{
	double off[VRTC_PAIR_ROW], sorted[VRTC_PAIR_ROW];

	for (unsigned i = 0; i < VRTC_PAIR_ROW; i++) {
		double middle = (double)(row[i].begin - row[0].begin) + (double)row[i].width / 2;

		off[i] = middle / counts_per_ns - (double)(row[i].clock_ns - row[0].clock_ns);
		sorted[i] = off[i];
	}
	qsort(sorted, VRTC_PAIR_ROW, sizeof(sorted[0]), by_value);
	for (unsigned i = 0; i < VRTC_PAIR_ROW; i++)
		samples[i] = (struct sample){.width = row[i].width,
			.alike = fabs(off[i] - sorted[VRTC_PAIR_ROW / 2]) <= ALIKE_NS};
}

struct vrtc_pair_widths vrtc_pair_good_widths(
	const struct vrtc_pair_window rows[][VRTC_PAIR_ROW], size_t n, double counts_per_ns)
{
	struct sample sample[VRTC_PAIR_ROWS_MAX * VRTC_PAIR_ROW] = {{0, false}};
	size_t samples = n * VRTC_PAIR_ROW;
	struct vrtc_pair_widths good;
	long most = 0;

	for (size_t i = 0; i < n; i++)
		sample_row(rows[i], counts_per_ns, &sample[i * VRTC_PAIR_ROW]);
	qsort(sample, samples, sizeof(sample[0]), by_width);
	good = (struct vrtc_pair_widths){0, sample[samples / 2].width};
	for (size_t first = 0; first < samples; first++) {
		long weight = 0;

		/* All of a width, or none. */
		if (first > 0 && sample[first].width == sample[first - 1].width)
			continue;
		for (size_t last = first; last < samples; last++) {
			weight += sample[last].alike ? 1 : -WRONG_WEIGHS;
			if (last + 1 < samples && sample[last].width == sample[last + 1].width)
				continue;
			if (weight <= most ||
				(double)(last - first + 1) < USUAL_SHARE * (double)samples)
				continue;
			most = weight;
			good.narrow = sample[first].width;
			good.span = sample[last].width - sample[first].width;
		}
	}
	return good;
}

static void measure_widths(struct vrtc_pairing *p, enum vrtc_host_counter counter)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_TAI, CLOCK_BOOTTIME};
	struct vrtc_pair_window rows[VRTC_PAIR_ROWS_MAX][VRTC_PAIR_ROW];

	for (unsigned r = 0; r < VRTC_PAIR_ROWS_MAX; r++)
		for (unsigned i = 0; i < VRTC_PAIR_ROW; i++)
			rows[r][i] = look(counter, clocks[r % 3]);
	p->good[counter] =
		vrtc_pair_good_widths(rows, VRTC_PAIR_ROWS_MAX, p->counts_per_ns[counter]);
}

/* The narrowest of many, since this thread may be interrupted like any other. */
static struct vrtc_pair_window narrowest_of_raw(void)
{
	struct vrtc_pair_window best = {.width = UINT64_MAX};

	for (unsigned i = 0; i < RATE_WINDOWS; i++) {
		struct vrtc_pair_window window = look(VRTC_HOST_COUNTER_CPU, CLOCK_MONOTONIC_RAW);

		if (window.width < best.width)
			best = window;
	}
	return best;
}

/* By the clock that nobody disciplines: the others may be slewed by a tenth just now. */
static double measure_rate(void)
{
	struct vrtc_pair_window first = narrowest_of_raw(), last;
	struct timespec left = {.tv_nsec = RATE_PAUSE_NS};
	double counts;

	while (nanosleep(&left, &left))
		;
	last = narrowest_of_raw();
	counts =
		(double)(last.begin - first.begin) + ((double)last.width - (double)first.width) / 2;
	return counts / (double)(last.clock_ns - first.clock_ns);
}

void vrtc_pairing_init(struct vrtc_pairing *p)
{
	*p = (struct vrtc_pairing){.cpu_unfit = vrtc_counter_unfit()};
	p->counts_per_ns[VRTC_HOST_COUNTER_CPU] = measure_rate();
	p->counts_per_ns[VRTC_HOST_COUNTER_MONOTONIC] = 1;
	measure_widths(p, VRTC_HOST_COUNTER_CPU);
	measure_widths(p, VRTC_HOST_COUNTER_MONOTONIC);
}
