/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's time, as the clocks of a device are computed from it.
 *
 * TAI is the base of UTC and of the smeared clocks (D5). It is CLOCK_TAI where the kernel was told
 * TAI - UTC and the leap-second table says the same; otherwise CLOCK_REALTIME and the table's
 * offset, so that UTC is right in any case and TAI on the many kernels that were told nothing.
 *
 * Threads: vrtc_timesource_read() from any thread, without a lock and without a system call where
 * the kernel's clock source allows the vDSO; vrtc_timesource_refresh() from one thread at a time.
 */
#ifndef VRTC_TIMESOURCE_H
#define VRTC_TIMESOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "clock.h"
#include "leap.h"
#include "nstime.h"

/* Where TAI comes from. */
enum vrtc_tai_origin {
	VRTC_TAI_FROM_KERNEL,   /* CLOCK_TAI */
	VRTC_TAI_FROM_REALTIME, /* CLOCK_REALTIME and the leap-second table */
};

struct vrtc_timesource {
	const struct vrtc_leap_table *leap;
	atomic_int tai_origin;
	/* As of the last refresh, for its report. */
	int kernel_tai_s;
	int table_tai_s;
};

/* What vrtc_timesource_refresh() found, for the operator. */
struct vrtc_timesource_report {
	enum vrtc_tai_origin origin;
	int kernel_tai_s; /* TAI - UTC of the kernel; 0: it was never told */
	int table_tai_s;  /* TAI - UTC of the table, now */
	bool changed;     /* differs from what the last refresh found */
};

/* leap must outlive ts. Refreshes once; no errors. */
void vrtc_timesource_init(struct vrtc_timesource *ts, const struct vrtc_leap_table *leap,
	struct vrtc_timesource_report *report);

/*
 * Asks the kernel again for its TAI - UTC and decides where TAI comes from. To be called about once
 * a second, and whenever the kernel's clocks were set. Within a minute of a leap second the
 * decision is left as it was: the table counts the leap second from its start, the kernel from its
 * end.
 */
void vrtc_timesource_refresh(struct vrtc_timesource *ts, struct vrtc_timesource_report *report);

static inline int64_t vrtc_timesource_clock_ns(clockid_t id)
{
	struct timespec now;

	/* Cannot fail: the clock is one that every kernel of ours has, the address is ours. */
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * VRTC_NS_PER_S + now.tv_nsec;
}

/* TAI from CLOCK_REALTIME; false where the table knows no offset for it (before 1972). */
bool vrtc_timesource_tai_from_realtime(
	const struct vrtc_timesource *ts, int64_t realtime_ns, int64_t *tai_ns);

/*
 * The host's time in a timebase, now.
 *
 * @param now_ns  ns since the timebase's epoch; untouched on false
 * @return        false: this host cannot tell (the driver gets EIO)
 */
static inline bool vrtc_timesource_read(
	const struct vrtc_timesource *ts, enum vrtc_timebase timebase, int64_t *now_ns)
{
	switch (timebase) {
	case VRTC_TIMEBASE_TAI:
		if (atomic_load_explicit(&ts->tai_origin, memory_order_relaxed) ==
			VRTC_TAI_FROM_KERNEL) {
			*now_ns = vrtc_timesource_clock_ns(CLOCK_TAI);
			return true;
		}
		return vrtc_timesource_tai_from_realtime(
			ts, vrtc_timesource_clock_ns(CLOCK_REALTIME), now_ns);
	case VRTC_TIMEBASE_MONOTONIC:
		*now_ns = vrtc_timesource_clock_ns(CLOCK_BOOTTIME);
		return true;
	case VRTC_TIMEBASE_REALTIME:
		*now_ns = vrtc_timesource_clock_ns(CLOCK_REALTIME);
		return true;
	case VRTC_TIMEBASE_NONE:
		break;
	}
	return false;
}

#endif
