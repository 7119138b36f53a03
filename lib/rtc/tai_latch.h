/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TAI of a host whose CLOCK_REALTIME is UTC, through a leap second.
 *
 * On any other day TAI is CLOCK_REALTIME and the table's offset: whatever TAI - UTC the kernel was
 * told, or not, does not matter. Around a leap second CLOCK_REALTIME does not say which 23:59:59 it
 * means, and the kernel steps it at the first tick behind the instant, so for up to a tick it shows
 * a midnight that is not there yet. CLOCK_TAI goes on through that, even where it is off by whole
 * seconds: so its distance to TAI is latched a minute before, and let go a minute after.
 *
 * Looks at the clocks are to be made at least every VRTC_TAI_LATCH_LOOK_NS, and whenever
 * CLOCK_REALTIME was set. Pure: any one thread, no allocation, no clock read.
 */
#ifndef VRTC_TAI_LATCH_H
#define VRTC_TAI_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "leap.h"
#include "nstime.h"

/* How long before and after midnight UTC the distance is latched. */
#define VRTC_TAI_LATCH_QUIET_NS (60 * VRTC_NS_PER_S)
/* A third of it, so that no leap second comes between two looks. */
#define VRTC_TAI_LATCH_LOOK_NS  (20 * VRTC_NS_PER_S)

/*
 * The host's clocks, read together. Differences of them do not overflow: Linux shows nothing before
 * 1970, keeps CLOCK_REALTIME before 2233 (TIME_SETTOD_SEC_MAX), and CLOCK_TAI is 100,000 s ahead of
 * it at most (MAX_TAI_OFFSET).
 */
struct vrtc_tai_look {
	int64_t realtime_ns;
	int64_t clock_tai_ns; /* CLOCK_TAI, right or not */
	int64_t boot_ns;      /* CLOCK_BOOTTIME: the one that nobody sets */
	bool in_leap_second;  /* the kernel says that it shows a second again (TIME_OOP) */
};

struct vrtc_tai_latch {
	bool latched;
	int64_t difference_ns; /* while latched: TAI - CLOCK_TAI, whole seconds */
	bool looked;
	int64_t last_tai_ns; /* TAI as of the last look */
	struct vrtc_tai_look last;
};

enum vrtc_tai_latch_event {
	VRTC_TAI_LATCH_NONE,
	/* A leap second of the table is over, and the host's clock did not do it. */
	VRTC_TAI_LATCH_NOT_DONE,
};

/* latch: all zero before the first look. */
enum vrtc_tai_latch_event vrtc_tai_latch_look(struct vrtc_tai_latch *latch,
	const struct vrtc_leap_table *table, const struct vrtc_tai_look *look);

#endif
