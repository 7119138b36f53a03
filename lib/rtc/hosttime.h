/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's own time: what its system clocks say, as the timebases that clocks of devices are
 * computed from.
 *
 * TAI is the base of UTC and of the smeared clocks (D5), and is made of what CLOCK_REALTIME shows
 * by the operator's word (enum vrtc_host_timescale):
 *
 *	utc          CLOCK_REALTIME and the table; around a leap second CLOCK_TAI and a difference,
 *	             see tai_latch.h (D33)
 *	tai-offset   CLOCK_TAI
 *	noon-linear, the smear is undone
 *	utc-sls
 *	unknown      there is no TAI
 *
 * Threads: vrtc_hosttime_read() from any thread, without a lock and without a system call where the
 * kernel's clock source allows the vDSO. The rest is for one thread, the control thread.
 */
#ifndef VRTC_HOSTTIME_H
#define VRTC_HOSTTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "clock.h"
#include "kernel_view.h"
#include "leap.h"
#include "nstime.h"
#include "tai_latch.h"

struct vrtc_hosttime {
	/* Of the readers. */
	_Atomic(const struct vrtc_leap_table *) leap;
	/* TAI - CLOCK_TAI, or VRTC_HOSTTIME_UNLATCHED: TAI comes from CLOCK_REALTIME. */
	atomic_int_least64_t latched_ns;
	enum vrtc_host_timescale timescale;

	/* Of the control thread. */
	struct vrtc_tai_latch latch;
	struct vrtc_kernel_view view;
	enum vrtc_kernel_verdict verdict;
};

#define VRTC_HOSTTIME_UNLATCHED INT64_MIN

/* What a look found, for the operator. */
struct vrtc_hosttime_report {
	struct vrtc_kernel_view view;
	enum vrtc_kernel_verdict verdict;
	int table_tai_s; /* TAI - UTC of the table now */
	bool changed;    /* view or verdict differ from those of the last look */
	bool leap_not_done;
};

/* leap must outlive h, or its replacement. Looks once; no errors. */
void vrtc_hosttime_init(struct vrtc_hosttime *h, enum vrtc_host_timescale timescale,
	const struct vrtc_leap_table *leap, struct vrtc_hosttime_report *report);

/*
 * Looks at the kernel's clocks and what it believes of them. To be called at least every
 * VRTC_TAI_LATCH_LOOK_NS, and whenever CLOCK_REALTIME was set.
 */
void vrtc_hosttime_look(struct vrtc_hosttime *h, struct vrtc_hosttime_report *report);

/*
 * Another table from now on. The one before may still be in use by readings that have begun: it
 * can go after a grace period of all lcores.
 */
void vrtc_hosttime_set_leap(struct vrtc_hosttime *h, const struct vrtc_leap_table *leap);

/* TAI - UTC that the kernel was told, in s; 0: none. */
int vrtc_hosttime_kernel_tai_s(void);

static inline int64_t vrtc_hosttime_clock_ns(clockid_t id)
{
	struct timespec now;

	/* Cannot fail: the clock is one that every kernel of ours has, the address is ours. */
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * VRTC_NS_PER_S + now.tv_nsec;
}

/* TAI from CLOCK_REALTIME; false where there is none (before 1972, timescale unknown). */
bool vrtc_hosttime_tai_from_realtime(const struct vrtc_hosttime *h,
	const struct vrtc_leap_table *leap, int64_t realtime_ns, int64_t *tai_ns);

/*
 * TAI in two steps: from which system clock, and what that clock's time is in TAI. In between, the
 * clock is read.
 *
 * @param latched_ns  what the first step found, for the second
 */
static inline clockid_t vrtc_hosttime_tai_clock(const struct vrtc_hosttime *h, int64_t *latched_ns)
{
	/* Relaxed: a reading uses the one or the other, and nothing else depends on it. */
	*latched_ns = atomic_load_explicit(&h->latched_ns, memory_order_relaxed);
	return *latched_ns != VRTC_HOSTTIME_UNLATCHED ? CLOCK_TAI : CLOCK_REALTIME;
}

static inline bool vrtc_hosttime_tai_from_clock(const struct vrtc_hosttime *h,
	const struct vrtc_leap_table *leap, int64_t latched_ns, int64_t clock_ns, int64_t *tai_ns)
{
	if (latched_ns != VRTC_HOSTTIME_UNLATCHED) {
		*tai_ns = clock_ns + latched_ns;
		return true;
	}
	return vrtc_hosttime_tai_from_realtime(h, leap, clock_ns, tai_ns);
}

static inline bool vrtc_hosttime_read_tai(
	const struct vrtc_hosttime *h, const struct vrtc_leap_table *leap, int64_t *tai_ns)
{
	int64_t latched_ns;
	clockid_t id = vrtc_hosttime_tai_clock(h, &latched_ns);

	return vrtc_hosttime_tai_from_clock(
		h, leap, latched_ns, vrtc_hosttime_clock_ns(id), tai_ns);
}

#endif
