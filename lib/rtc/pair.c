/* SPDX-License-Identifier: BSD-3-Clause */
#include "pair.h"

#include "nstime.h"

#define RATE_PAUSE_NS 5000000
#define RATE_WINDOWS  64

static inline struct vrtc_pair_window window_of(
	uint64_t before, const struct timespec *clock, uint64_t after)
{
	return (struct vrtc_pair_window){
		.begin = before,
		.width = after - before,
		.clock_ns = (int64_t)clock->tv_sec * VRTC_NS_PER_S + clock->tv_nsec,
	};
}

/* Whether their middles are as far apart as their clocks; a comes before b. */
static inline bool agree(
	const struct vrtc_pair_window *a, const struct vrtc_pair_window *b, uint64_t rate)
{
	/* Modulo 2^64: if a clock that was set agrees, then by chance, as others do. */
	uint64_t ns = (uint64_t)b->clock_ns - (uint64_t)a->clock_ns;
	/* In half counts, since a middle may lie between two. */
	uint64_t halves = 2 * (b->begin - a->begin) + b->width - a->width;
	uint64_t apart = (halves << (VRTC_PAIR_RATE_SHIFT - 1)) - ns * rate;
	uint64_t alike = VRTC_PAIR_ALIKE_NS * rate;

	return apart + alike <= 2 * alike;
}

static inline void take_middle(const struct vrtc_pair_window *window, struct vrtc_pair *pair)
{
	/* Of an odd width the end is one further away than the beginning; of no width it is 1. */
	uint64_t doubt = window->width / 2 + 1;

	pair->count = window->begin + window->width / 2;
	pair->clock_ns = window->clock_ns;
	pair->doubt = doubt > UINT32_MAX ? UINT32_MAX : (uint32_t)doubt;
}

static inline void take_narrower(
	const struct vrtc_pair_window *a, const struct vrtc_pair_window *b, struct vrtc_pair *pair)
{
	take_middle(a->width < b->width ? a : b, pair);
}

bool vrtc_pair_settle(
	const struct vrtc_pair_window windows[], unsigned n, uint64_t rate, struct vrtc_pair *pair)
{
	const struct vrtc_pair_window *last = &windows[n - 1];
	const struct vrtc_pair_window *narrowest = last;

	for (unsigned i = n - 1; i-- > 0;) {
		if (agree(&windows[i], last, rate)) {
			take_narrower(&windows[i], last, pair);
			return true;
		}
	}
	if (n < VRTC_PAIR_WINDOWS)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (windows[i].width < narrowest->width)
			narrowest = &windows[i];
	take_middle(narrowest, pair);
	return true;
}

/* One request in ten or fewer; apart, so that the others need no more than registers. */
__attribute__((noinline)) static void read_on(const struct vrtc_pair_window *first,
	const struct vrtc_pair_window *second, uint64_t rate, enum vrtc_host_counter counter,
	clockid_t clockid, struct vrtc_pair *pair)
{
	struct vrtc_pair_window windows[VRTC_PAIR_WINDOWS] = {*first, *second};
	unsigned n = 2;

	do {
		uint64_t before = vrtc_pair_count(counter), after;
		struct timespec clock;

		(void)clock_gettime(clockid, &clock);
		after = vrtc_pair_count(counter);
		windows[n++] = window_of(before, &clock, after);
	} while (!vrtc_pair_settle(windows, n, rate, pair));
}

/*
 * Nothing is between the counter and the clock but what is to be measured: what is done on the way
 * there alone moves the clock out of the middle. So the first two windows, which agree as a rule,
 * share the counter between them, and are looked at behind the second.
 */
void vrtc_pair_read(const struct vrtc_pairing *p, enum vrtc_host_counter counter, clockid_t clockid,
	struct vrtc_pair *pair)
{
	struct vrtc_pair_window first, second;
	struct timespec first_clock, second_clock;
	uint64_t before = vrtc_pair_count(counter), between, after;

	(void)clock_gettime(clockid, &first_clock);
	between = vrtc_pair_count(counter);
	(void)clock_gettime(clockid, &second_clock);
	after = vrtc_pair_count(counter);
	first = window_of(before, &first_clock, between);
	second = window_of(between, &second_clock, after);
	if (agree(&first, &second, p->rate[counter]))
		take_narrower(&first, &second, pair);
	else
		read_on(&first, &second, p->rate[counter], counter, clockid, pair);
}

/* The narrowest of many, since this thread may be interrupted like any other. */
static struct vrtc_pair_window narrowest_of_raw(void)
{
	struct vrtc_pair_window best = {.width = UINT64_MAX};

	for (unsigned i = 0; i < RATE_WINDOWS; i++) {
		uint64_t before = vrtc_pair_count(VRTC_HOST_COUNTER_CPU);
		struct vrtc_pair_window window;
		struct timespec raw;

		(void)clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
		window = window_of(before, &raw, vrtc_pair_count(VRTC_HOST_COUNTER_CPU));
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
	uint64_t halves;

	while (nanosleep(&left, &left))
		;
	last = narrowest_of_raw();
	halves = 2 * (last.begin - first.begin) + last.width - first.width;
	return (double)halves / 2 / (double)(last.clock_ns - first.clock_ns);
}

void vrtc_pairing_init(struct vrtc_pairing *p)
{
	*p = (struct vrtc_pairing){.cpu_unfit = vrtc_counter_unfit()};
	p->counts_per_ns[VRTC_HOST_COUNTER_CPU] = measure_rate();
	p->counts_per_ns[VRTC_HOST_COUNTER_MONOTONIC] = 1;
	for (unsigned i = 0; i < 3; i++)
		p->rate[i] = (uint64_t)(p->counts_per_ns[i] * (1u << VRTC_PAIR_RATE_SHIFT));
}
