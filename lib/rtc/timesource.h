/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a device's time comes from: the host's system clocks, or a PTP hardware clock of the host
 * that TAI is taken from instead. Devices share a source.
 *
 * Threads: vrtc_timesource_read() from any thread, without a lock and without a system call. The
 * caller lets go of the instant's table before its lcore's next quiescent state (poller.h).
 */
#ifndef VRTC_TIMESOURCE_H
#define VRTC_TIMESOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "clock.h"
#include "hosttime.h"
#include "pair.h"
#include "phc.h"

struct vrtc_timesource {
	const struct vrtc_pairing *pairing; /* of cross-timestamps */
	const struct vrtc_hosttime *host;
	const struct vrtc_phc *phc; /* NULL: the system clocks */
	bool phc_is_utc;            /* it counts UTC, not TAI */
};

/* UTC of a PHC as TAI; a second that UTC shows twice is taken for the first. */
bool vrtc_timesource_tai_from_utc(
	const struct vrtc_leap_table *leap, int64_t utc_ns, int64_t *tai_ns);

static inline bool vrtc_timesource_read_tai(
	const struct vrtc_timesource *ts, const struct vrtc_leap_table *leap, int64_t *tai_ns)
{
	if (!ts->phc)
		return vrtc_hosttime_read_tai(ts->host, leap, tai_ns);
	if (!vrtc_phc_read(ts->phc, tai_ns))
		return false;
	return !ts->phc_is_utc || vrtc_timesource_tai_from_utc(leap, *tai_ns, tai_ns);
}

/*
 * Of a PTP hardware clock. Its model is a function of the CPU's counter, so the pair is exact; how
 * far the model may be from the clock itself is another matter, which its status tells.
 */
void vrtc_timesource_read_phc_pair(const struct vrtc_timesource *ts, enum vrtc_host_counter counter,
	struct vrtc_instant *now, struct vrtc_pair *pair);

/*
 * The time in a timebase, now, and the leap-second table to go with it. now->known is false where
 * the source cannot tell: the driver gets EIO.
 */
static inline void vrtc_timesource_read(
	const struct vrtc_timesource *ts, enum vrtc_timebase timebase, struct vrtc_instant *now)
{
	/* Acquire: pairs with the release of vrtc_hosttime_set_leap(). */
	now->leap = atomic_load_explicit(&ts->host->leap, memory_order_acquire);
	now->known = true;
	switch (timebase) {
	case VRTC_TIMEBASE_TAI:
		now->known = vrtc_timesource_read_tai(ts, now->leap, &now->timebase_ns);
		break;
	case VRTC_TIMEBASE_MONOTONIC:
		now->timebase_ns = vrtc_hosttime_clock_ns(CLOCK_BOOTTIME);
		break;
	case VRTC_TIMEBASE_REALTIME:
		now->timebase_ns = vrtc_hosttime_clock_ns(CLOCK_REALTIME);
		break;
	case VRTC_TIMEBASE_NONE:
		now->known = false;
		break;
	}
}

/*
 * The time in a timebase, and a counter of the host at that very instant.
 *
 * @param counter  not NONE
 * @param pair     set: count and doubt
 */
static inline void vrtc_timesource_read_pair(const struct vrtc_timesource *ts,
	enum vrtc_timebase timebase, enum vrtc_host_counter counter, struct vrtc_instant *now,
	struct vrtc_pair *pair)
{
	int64_t latched_ns = 0;
	clockid_t id = CLOCK_REALTIME;

	/* Acquire: pairs with the release of vrtc_hosttime_set_leap(). */
	now->leap = atomic_load_explicit(&ts->host->leap, memory_order_acquire);
	now->known = timebase != VRTC_TIMEBASE_NONE;
	if (timebase == VRTC_TIMEBASE_TAI && ts->phc) {
		vrtc_timesource_read_phc_pair(ts, counter, now, pair);
		return;
	}
	if (timebase == VRTC_TIMEBASE_TAI)
		id = vrtc_hosttime_tai_clock(ts->host, &latched_ns);
	else if (timebase == VRTC_TIMEBASE_MONOTONIC)
		id = CLOCK_BOOTTIME;
	vrtc_pair_read(ts->pairing, counter, id, pair);
	now->timebase_ns = pair->clock_ns;
	if (timebase == VRTC_TIMEBASE_TAI)
		now->known = vrtc_hosttime_tai_from_clock(
			ts->host, now->leap, latched_ns, pair->clock_ns, &now->timebase_ns);
}

#endif
