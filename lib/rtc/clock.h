/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clocks that a device can offer, and their readings (virtio-v1.4 RTC Device / Clock Types,
 * Read Requests): a reading is a function of the clock, the leap-second table and one time of the
 * host. The caller asks vrtc_clock_timebase() which, so that after a request it takes that one
 * alone.
 *
 * A clock is a value, and the functions are pure: any thread, no allocation, no clock read, no log.
 * A request never reaches this file as bytes: clocks come from the configuration.
 */
#ifndef VRTC_CLOCK_H
#define VRTC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "leap.h"

struct vrtc_clock {
	uint8_t type;  /* VIRTIO_RTC_CLOCK_* */
	uint8_t smear; /* VIRTIO_RTC_SMEAR_*; UNSPECIFIED unless the type is UTC_SMEARED */
	bool alarm;    /* the driver can set an alarm on it (VIRTIO_RTC_FLAG_ALARM_CAP) */
};

/* The host times that clocks are computed from. */
enum vrtc_timebase {
	VRTC_TIMEBASE_NONE,      /* of a clock that does not exist */
	VRTC_TIMEBASE_TAI,       /* ns since 1970-01-01 00:00 TAI (D5) */
	VRTC_TIMEBASE_MONOTONIC, /* ns of the host's CLOCK_BOOTTIME (D6) */
	VRTC_TIMEBASE_REALTIME,  /* ns of the host's CLOCK_REALTIME: smeared as the host is */
};

/* A time of the host, and the leap-second table that is to be used with it. */
struct vrtc_instant {
	bool known;          /* false: the host cannot tell; readings become EIO */
	int64_t timebase_ns; /* of the timebase that was asked for */
	const struct vrtc_leap_table *leap;
	/* Of a cross-timestamp: what the guest's counter showed then; false: it cannot be told. */
	bool counted;
	uint64_t guest_cycles;
};

/*
 * The kinds of clock: all clocks of one kind show the same time, and an alarm of one is compared
 * with that (agenda.h).
 */
enum vrtc_timescale {
	VRTC_TIMESCALE_UTC,
	VRTC_TIMESCALE_TAI,
	VRTC_TIMESCALE_MONOTONIC,
	VRTC_TIMESCALE_NOON_LINEAR,
	VRTC_TIMESCALE_UTC_SLS,
	VRTC_TIMESCALE_MAYBE_SMEARED,
};
#define VRTC_TIMESCALES 6

/* The clock's kind. The clock is one of vrtc_clock_parse(): asserted. */
enum vrtc_timescale vrtc_clock_timescale(const struct vrtc_clock *clock);

/* A clock of that kind. */
const struct vrtc_clock *vrtc_timescale_clock(enum vrtc_timescale timescale);

/*
 * The time base's time at which the clock shows reading_ns or more for the first time.
 *
 * @return  false: never, as far as can be told; *timebase_ns is then unchanged
 */
bool vrtc_clock_instant(const struct vrtc_clock *clock, const struct vrtc_leap_table *table,
	uint64_t reading_ns, int64_t *timebase_ns);

/*
 * The host time that the clock's reading needs; VRTC_TIMEBASE_NONE for an unknown type or variant.
 */
enum vrtc_timebase vrtc_clock_timebase(const struct vrtc_clock *clock);

/*
 * The clock's reading, in ns since its epoch, at the instant when its time base shows timebase_ns
 * (any value). table is used by UTC and UTC_SMEARED alone, and may be NULL for the others.
 *
 * Returns false when there is no reading, which a device answers with VIRTIO_RTC_S_EIO: the reading
 * would be negative, or UTC is not known (before 1972, no table), or the clock does not exist.
 * *reading_ns is then unchanged.
 */
bool vrtc_clock_read(const struct vrtc_clock *clock, const struct vrtc_leap_table *table,
	int64_t timebase_ns, uint64_t *reading_ns);

/*
 * The clock of a name as the configuration has it, in lower case: "utc", "tai", "monotonic",
 * "utc-smeared:noon-linear", "utc-smeared:utc-sls", "utc-smeared" (the same as noon-linear),
 * "utc-maybe-smeared"; each with "+alarm" behind it for a clock with an alarm. Returns 0, or
 * -EINVAL with *clock unchanged.
 */
int vrtc_clock_parse(const char *name, struct vrtc_clock *clock);

/*
 * The clock's name in full, without "+alarm": a static string which vrtc_clock_parse() accepts;
 * "unknown" if none.
 */
const char *vrtc_clock_name(const struct vrtc_clock *clock);

/* The names that vrtc_clock_parse() accepts, for error messages; a static string. */
const char *vrtc_clock_accepted(void);

#endif
