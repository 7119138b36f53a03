/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A counter of the host and one of its clocks at one instant: the two halves of a cross-timestamp
 * (virtio-v1.4 RTC Device / Read Requests: "at the time instant when the device read the
 * clock_reading value"), before the counter becomes the guest's (counter_map.h).
 *
 * The clock is read through the vDSO, which reads the CPU's counter itself and does not say what it
 * was. So the counter is read before and after, and the vDSO's value lies in this window:
 *
 *	counter     clock     counter     clock     counter     ...
 *	   |----------+----------|----------+----------|
 *	         a window              the next one
 *
 * The bound of the error is the window's, whatever happens in it: an interrupt, a steal of the
 * hypervisor's or a move to another CPU makes it wider and is seen. It rests on no assumption but
 * that the counter is the same on all CPUs and is read in order (counter.h).
 *
 * The estimate is the middle of a window, once two windows agree about it: the clock's difference
 * between them has to be the counter's, to VRTC_PAIR_ALIKE_NS. One window alone will not do: where
 * the counter moves in coarse steps (26 counts, 10 ns, on AMD's Zen) its middle is half a step off
 * in one window of ten; and the first window of a request is often lopsided, since the clock's
 * code and data come from afar. Two that are wrong rarely are so alike.
 * Nothing else is calibrated: a difference between the way from the counter to the clock and the
 * way back cannot be seen from outside, and is below a nanosecond where it was measured
 * (perf/results/cross-timestamps.md).
 *
 * Threads: vrtc_pair_read() from any thread, without a lock or a system call, where the vDSO can
 * read the clock.
 */
#ifndef VRTC_PAIR_H
#define VRTC_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "counter.h"
#include "counter_map.h"

/* How many windows are looked at before the narrowest is taken. */
#define VRTC_PAIR_WINDOWS  5
/* More than what the clock's whole nanoseconds cut off, less than half of Zen's step. */
#define VRTC_PAIR_ALIKE_NS 2

struct vrtc_pair {
	uint64_t count;   /* of the host's counter */
	int64_t clock_ns; /* what the clock showed then */
	/*
	 * In counts, at least 1: the counter's value that the clock's reading was made of is not
	 * further away from count than this, to either side.
	 */
	uint32_t doubt;
};

/* What is known of this host; for each enum vrtc_host_counter. */
struct vrtc_pairing {
	uint64_t rate[3]; /* counts a ns, in 2^-VRTC_PAIR_RATE_SHIFT */
	double counts_per_ns[3];
	/* NULL, or a sentence: why the CPU's counter is not fit to be a guest's. */
	const char *cpu_unfit;
};

#define VRTC_PAIR_RATE_SHIFT 16

/* Measures the CPU's counter: some milliseconds, in the calling thread. */
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

/* Of vrtc_pair_read(), for its test: pure. */
struct vrtc_pair_window {
	uint64_t begin; /* the counter before the clock was read */
	uint64_t width; /* to the counter afterwards */
	int64_t clock_ns;
};

/*
 * Whether the last of n windows (1 to VRTC_PAIR_WINDOWS) agrees with one before it, or is the last
 * that there will be: then the pair is in *pair.
 */
bool vrtc_pair_settle(
	const struct vrtc_pair_window windows[], unsigned n, uint64_t rate, struct vrtc_pair *pair);

#endif
