/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A counter of the host and one of its clocks at one instant: the two halves of a cross-timestamp
 * (virtio-v1.4 RTC Device / Read Requests: "at the time instant when the device read the
 * clock_reading value"), before the counter becomes the guest's (counter_map.h).
 *
 * The clock is read through the vDSO, which reads the CPU's counter itself and does not say what it
 * was. So the counter is read before and after; the vDSO's reading lies between, and what is handed
 * out is the point of the window where it lies as a rule (D40). The window is the bound of the
 * error: whatever happens between the two readings, an interrupt or a move to another CPU, makes it
 * wider and is seen. A window that is wider than they are as a rule is tried again.
 *
 * Threads: vrtc_pair_read() from any thread, without a lock or a system call.
 */
#ifndef VRTC_PAIR_H
#define VRTC_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "counter.h"
#include "counter_map.h"
#include "nstime.h"

/* How often a pair is tried before the best of them is taken. */
#define VRTC_PAIR_TRIES 4

struct vrtc_pair {
	uint64_t count;   /* of the host's counter */
	int64_t clock_ns; /* what the clock showed then */
	uint32_t doubt;   /* counts: the true instant is not further away */
};

/* What is known of this host's windows, in counts; for each enum vrtc_host_counter. */
struct vrtc_pairing {
	struct vrtc_pairing_windows {
		uint32_t good;    /* as wide as they are as a rule: no second try */
		uint32_t in_4096; /* where the instant is, of the window's width */
	} windows[3];
	double counts_per_ns[3];
	/* NULL, or a sentence: why the CPU's counter is not fit to be a guest's. */
	const char *cpu_unfit;
};

/* Measures the windows: some milliseconds, in the calling thread. */
void vrtc_pairing_init(struct vrtc_pairing *p);

static inline uint64_t vrtc_pair_count(enum vrtc_host_counter counter)
{
	if (__builtin_expect(counter == VRTC_HOST_COUNTER_CPU, 1))
		return vrtc_counter_read(VRTC_COUNTER_CPU);
	return vrtc_counter_read(VRTC_COUNTER_MONOTONIC);
}

/* The clock clockid and the counter, which is not NONE. */
static inline void vrtc_pair_read(const struct vrtc_pairing *p, enum vrtc_host_counter counter,
	clockid_t clockid, struct vrtc_pair *pair)
{
	const struct vrtc_pairing_windows *windows = &p->windows[counter];
	uint64_t best = UINT64_MAX;

	for (unsigned tries = 0; tries < VRTC_PAIR_TRIES; tries++) {
		struct timespec now;
		uint64_t before = vrtc_pair_count(counter);
		uint64_t window;

		(void)clock_gettime(clockid, &now);
		window = vrtc_pair_count(counter) - before;
		if (window < best) {
			best = window;
			pair->count = before;
			pair->clock_ns = (int64_t)now.tv_sec * VRTC_NS_PER_S + now.tv_nsec;
		}
		if (best <= windows->good)
			break;
	}
	/* A window of a second and more has no middle that is worth anything. */
	if (best > UINT32_MAX / 2)
		best = UINT32_MAX / 2;
	pair->doubt = (uint32_t)best;
	pair->count += best * windows->in_4096 >> 12;
}

#endif
