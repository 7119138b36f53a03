/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a PTP hardware clock shows, as a function of a counter, for readers that must not wait: a
 * line of three pieces. The first is the end of the line before, so that a line can be published
 * ahead of its beginning: readers do not see when. The second leads from what was shown before to
 * what is right, the third goes on for as long as nothing newer comes, and ends at the holdover.
 *
 *	time
 *	  |                  ___---   rate
 *	  |            __---
 *	  |          /      bend: counts from counter0
 *	  |    _-- /  bent_rate
 *	  |   before_rate
 *	  +-------+-----------------+---> counter
 *	       counter0          counts_max
 *
 * One thread publishes, any number read. There are two lines, of which the sequence number tells
 * the one to read, so that a publisher that is interrupted makes nobody wait: a reader begins anew
 * only if a line was published while it read.
 *
 * Pure: no allocation, no clock read.
 */
#ifndef VRTC_PHC_LINE_H
#define VRTC_PHC_LINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A rate is in 2^-48 ns a count: 0.04 ns off at most after an hour of 3 GHz. */
#define VRTC_PHC_RATE_SHIFT 48
/* How far before counter0 a line is good: for its first piece, and for other CPUs' counters. */
#define VRTC_PHC_BEFORE_NS  2000000

struct vrtc_phc_line {
	uint64_t counter0;
	int64_t time0_ns;    /* what the clock shows at counter0, and: */
	uint64_t fraction;   /* 2^-48 ns, less than 1 ns */
	int64_t before_rate; /* up to counter0 */
	int64_t bent_rate;   /* up to the bend */
	uint64_t bend;       /* counts from counter0 */
	int64_t rate;        /* behind it */
	uint64_t counts_max; /* counts from counter0 that the line is good for; 0: there is none */
};

struct vrtc_phc_published {
	struct vrtc_phc_atomic_line {
		_Atomic uint64_t counter0;
		_Atomic int64_t time0_ns;
		_Atomic uint64_t fraction;
		_Atomic int64_t before_rate;
		_Atomic int64_t bent_rate;
		_Atomic uint64_t bend;
		_Atomic int64_t rate;
		_Atomic uint64_t counts_max;
	} line[2];            /* a cache line each */
	atomic_uint sequence; /* its lowest bit: which of the two */
} __attribute__((aligned(64)));

/* What the line shows at a counter, in 2^-48 ns from time0_ns; false: it is not good for that. */
static inline bool vrtc_phc_line_at_exactly(
	const struct vrtc_phc_line *line, uint64_t counter, __int128 *since_time0)
{
	int64_t counts = (int64_t)(counter - line->counter0);

	if (__builtin_expect(counts < 0, 0)) {
		*since_time0 = (__int128)counts * line->before_rate + (__int128)line->fraction;
		return line->counts_max > 0 &&
		       *since_time0 >= -((__int128)VRTC_PHC_BEFORE_NS << VRTC_PHC_RATE_SHIFT);
	}
	if ((uint64_t)counts > line->counts_max)
		return false;
	if ((uint64_t)counts <= line->bend)
		*since_time0 = (__int128)counts * line->bent_rate;
	else
		*since_time0 = (__int128)line->bend * line->bent_rate +
			       (__int128)(counts - (int64_t)line->bend) * line->rate;
	*since_time0 += (__int128)line->fraction;
	return line->counts_max > 0;
}

/* What the line shows at a counter; false: it is not good for that, and *time_ns is as it was. */
static inline bool vrtc_phc_line_at(
	const struct vrtc_phc_line *line, uint64_t counter, int64_t *time_ns)
{
	__int128 since_time0;

	if (!vrtc_phc_line_at_exactly(line, counter, &since_time0))
		return false;
	*time_ns = line->time0_ns + (int64_t)(since_time0 >> VRTC_PHC_RATE_SHIFT);
	return true;
}

/* The line that was published last. Any thread. */
static inline void vrtc_phc_line_get(const struct vrtc_phc_published *p, struct vrtc_phc_line *line)
{
	unsigned sequence;

	do {
		const struct vrtc_phc_atomic_line *from;

		/* Acquire: pairs with the release of vrtc_phc_line_publish(). */
		sequence = atomic_load_explicit(&p->sequence, memory_order_acquire);
		from = &p->line[sequence & 1];
		/*
		 * Acquire: pairs with the release of each store there. If any of these loads sees
		 * what is being published over the line, the sequence that is loaded behind them
		 * is another one.
		 */
		line->counter0 = atomic_load_explicit(&from->counter0, memory_order_acquire);
		line->time0_ns = atomic_load_explicit(&from->time0_ns, memory_order_acquire);
		line->fraction = atomic_load_explicit(&from->fraction, memory_order_acquire);
		line->before_rate = atomic_load_explicit(&from->before_rate, memory_order_acquire);
		line->bent_rate = atomic_load_explicit(&from->bent_rate, memory_order_acquire);
		line->bend = atomic_load_explicit(&from->bend, memory_order_acquire);
		line->rate = atomic_load_explicit(&from->rate, memory_order_acquire);
		line->counts_max = atomic_load_explicit(&from->counts_max, memory_order_acquire);
	} while (atomic_load_explicit(&p->sequence, memory_order_relaxed) != sequence);
}

/* One thread. p: all zero at first, which is a line that is good for nothing. */
static inline void vrtc_phc_line_publish(
	struct vrtc_phc_published *p, const struct vrtc_phc_line *line)
{
	unsigned sequence = atomic_load_explicit(&p->sequence, memory_order_relaxed) + 1;
	struct vrtc_phc_atomic_line *to = &p->line[sequence & 1];

	/*
	 * Release: a reader that still reads this line, from before the last publication, and sees
	 * any of these stores (acquire), sees that publication's sequence, too.
	 */
	atomic_store_explicit(&to->counter0, line->counter0, memory_order_release);
	atomic_store_explicit(&to->time0_ns, line->time0_ns, memory_order_release);
	atomic_store_explicit(&to->fraction, line->fraction, memory_order_release);
	atomic_store_explicit(&to->before_rate, line->before_rate, memory_order_release);
	atomic_store_explicit(&to->bent_rate, line->bent_rate, memory_order_release);
	atomic_store_explicit(&to->bend, line->bend, memory_order_release);
	atomic_store_explicit(&to->rate, line->rate, memory_order_release);
	atomic_store_explicit(&to->counts_max, line->counts_max, memory_order_release);
	/* Release: pairs with the acquire of vrtc_phc_line_get(). */
	atomic_store_explicit(&p->sequence, sequence, memory_order_release);
}

#endif
