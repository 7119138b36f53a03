/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A counter of the host and one of its clocks at one instant: the two halves of a cross-timestamp
 * (virtio-v1.4 RTC Device / Read Requests: "at the time instant when the device read the
 * clock_reading value"), before the counter becomes the guest's (counter_map.h).
 *
 * The clock is read through the vDSO, which reads the CPU's counter itself and does not say what it
 * was. So the counter is read before and after, and the vDSO's value lies in this window:
 *
 *	counter     clock     counter
 *	   |----------+----------|
 *
 * The bound of the error is the window: an interrupt, a steal of the hypervisor's or a move to
 * another CPU makes it wider and is seen. It rests on nothing but that the counter is the same on
 * all CPUs and is read in order (counter.h); in particular on no rate and on nothing measured.
 *
 * The estimate is the middle. How good it is depends on the width, and not as one might think:
 * where the counter moves in coarse steps (26 counts, 10 ns, on AMD's Zen), both ways take two
 * steps in a window of four, while in one of three nobody knows which way took the one. So which
 * widths have their middle in the right place is measured at the start, and a window of another
 * width is tried again. The first window of a request is often lopsided without being any wider,
 * since the clock's code and data come from afar; that is why the clock is read once beforehand.
 * What remains is a difference between the two ways that all windows have. It cannot be seen from
 * outside, and is below a nanosecond where it was measured (perf/results/cross-timestamps.md).
 *
 * Threads: vrtc_pair_read() from any thread, without a lock, and without a system call where the
 * vDSO can read the clock.
 */
#ifndef VRTC_PAIR_H
#define VRTC_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "counter.h"
#include "counter_map.h"

/* How many windows are looked at before the narrowest is taken. */
#define VRTC_PAIR_WINDOWS 6

struct vrtc_pair {
	uint64_t count;   /* of the host's counter */
	int64_t clock_ns; /* what the clock showed then */
	/*
	 * In counts, at least 1: the counter's value that the clock's reading was made of is not
	 * further away from count than this, to either side.
	 */
	uint32_t doubt;
};

/* The widths from narrow to narrow + span, in counts. */
struct vrtc_pair_widths {
	uint64_t narrow;
	uint64_t span;
};

/* What is known of this host; for each enum vrtc_host_counter. */
struct vrtc_pairing {
	struct vrtc_pair_widths good[3];
	double counts_per_ns[3];
	/* NULL, or a sentence: why the CPU's counter is not fit to be a guest's. */
	const char *cpu_unfit;
};

/* Measures widths and rate: some milliseconds, in the calling thread. */
void vrtc_pairing_init(struct vrtc_pairing *p);

/* The counter, which is not NONE, as it is read for pairs. */
static inline uint64_t vrtc_pair_count(enum vrtc_host_counter counter)
{
	if (__builtin_expect(counter == VRTC_HOST_COUNTER_CPU, 1))
		return vrtc_counter_read(VRTC_COUNTER_CPU);
	return vrtc_counter_read(VRTC_COUNTER_MONOTONIC);
}

/*
 * The clock clockid and the counter, which is not NONE.
 *
 * A pair whose reading begins after that of another one has ended, on whatever CPU, has no smaller
 * count: a count lies within a window of its own reading, always.
 */
void vrtc_pair_read(const struct vrtc_pairing *p, enum vrtc_host_counter counter, clockid_t clockid,
	struct vrtc_pair *pair);

/* ---- Of the above, pure, for tests. */

struct vrtc_pair_window {
	uint64_t begin; /* the counter before the clock was read */
	uint64_t width; /* to the counter afterwards */
	int64_t clock_ns;
};

/*
 * The n-th window of a reading, from 0.
 *
 * @param best  the one that is to be taken, once there is none to be looked at any more; at first
 *              of width UINT64_MAX
 * @return      that is so
 */
static inline bool vrtc_pair_choose(const struct vrtc_pair_widths *good, unsigned n,
	const struct vrtc_pair_window *window, struct vrtc_pair_window *best)
{
	bool is_good = window->width - good->narrow <= good->span;

	if (is_good || window->width < best->width)
		*best = *window;
	return is_good || n + 1 == VRTC_PAIR_WINDOWS;
}

static inline void vrtc_pair_from_window(
	const struct vrtc_pair_window *window, struct vrtc_pair *pair)
{
	/* Of an odd width the end is one further away than the beginning; of no width it is 1. */
	uint64_t doubt = window->width / 2 + 1;

	pair->count = window->begin + window->width / 2;
	pair->clock_ns = window->clock_ns;
	pair->doubt = doubt > UINT32_MAX ? UINT32_MAX : (uint32_t)doubt;
}

/* Windows in a row, so few that a clock's rate over them is known to the nanosecond. */
#define VRTC_PAIR_ROW      32
#define VRTC_PAIR_ROWS_MAX 96

/*
 * The widths that most windows have whose middles agree with those around them; where no widths
 * are reliable, those up to the median.
 *
 * @param rows  n of them, 1 to VRTC_PAIR_ROWS_MAX, each of one clock
 */
struct vrtc_pair_widths vrtc_pair_good_widths(
	const struct vrtc_pair_window rows[][VRTC_PAIR_ROW], size_t n, double counts_per_ns);

#endif
