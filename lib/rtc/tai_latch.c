/* SPDX-License-Identifier: BSD-3-Clause */
#include "tai_latch.h"

/* What no servo slews between two looks of a minute: beyond this a clock was set. */
#define STEP_NS (VRTC_NS_PER_S / 4)

static bool is_quiet(const struct vrtc_leap_table *table, int64_t realtime_ns)
{
	for (unsigned int i = table->n; i-- > 0;) {
		const struct vrtc_leap_entry *entry = &table->entries[i];

		if (entry->step_s == 0 || realtime_ns >= entry->utc_ns + VRTC_TAI_LATCH_QUIET_NS)
			return false;
		if (realtime_ns >= entry->utc_ns - VRTC_TAI_LATCH_QUIET_NS)
			return true;
	}
	return false;
}

static int64_t distance_ns(int64_t a_ns, int64_t b_ns)
{
	int64_t difference_ns;

	if (!vrtc_nstime_sub(a_ns, b_ns, &difference_ns) || difference_ns == INT64_MIN)
		return INT64_MAX;
	return difference_ns < 0 ? -difference_ns : difference_ns;
}

/* Whether CLOCK_TAI was set, by a step of the clock or by another TAI - UTC. */
static bool was_set(const struct vrtc_tai_latch *latch, const struct vrtc_tai_look *look)
{
	return distance_ns(look->clock_tai_ns - latch->last.clock_tai_ns,
		       look->boot_ns - latch->last.boot_ns) > STEP_NS;
}

/*
 * TAI by CLOCK_REALTIME and the table; of two instants the one that time passed to. Where the clock
 * was set there is no telling, unless it was set by the leap second.
 */
static bool tai_of(const struct vrtc_tai_latch *latch, const struct vrtc_leap_table *table,
	const struct vrtc_tai_look *look, int64_t *tai_ns)
{
	int64_t first_ns;
	int64_t last_ns;
	int64_t expected_ns;
	bool is_last;

	switch (vrtc_leap_tai_from_utc(table, look->realtime_ns, &first_ns, &last_ns)) {
	case VRTC_LEAP_OK:
	case VRTC_LEAP_SKIPPED:
		*tai_ns = first_ns;
		return true;
	case VRTC_LEAP_AMBIGUOUS:
		break;
	default:
		return false;
	}
	expected_ns = latch->last_tai_ns + (look->boot_ns - latch->last.boot_ns);
	is_last = latch->looked &&
		  distance_ns(last_ns, expected_ns) < distance_ns(first_ns, expected_ns) &&
		  (!was_set(latch, look) || distance_ns(last_ns, expected_ns) <= STEP_NS);
	*tai_ns = look->in_leap_second || is_last ? last_ns : first_ns;
	return true;
}

static int64_t to_whole_s(int64_t ns)
{
	return vrtc_nstime_to_s(ns + VRTC_NS_PER_S / 2) * VRTC_NS_PER_S;
}

enum vrtc_tai_latch_event vrtc_tai_latch_look(struct vrtc_tai_latch *latch,
	const struct vrtc_leap_table *table, const struct vrtc_tai_look *look)
{
	enum vrtc_tai_latch_event event = VRTC_TAI_LATCH_NONE;
	bool quiet = is_quiet(table, look->realtime_ns);
	int64_t tai_ns;

	if (quiet && latch->latched && !was_set(latch, look)) {
		tai_ns = look->clock_tai_ns + latch->difference_ns;
	} else if (!tai_of(latch, table, look, &tai_ns)) {
		*latch = (struct vrtc_tai_latch){.latched = false};
		return event;
	} else {
		if (latch->latched && !quiet && !was_set(latch, look) &&
			distance_ns(look->clock_tai_ns + latch->difference_ns, tai_ns) > STEP_NS)
			event = VRTC_TAI_LATCH_NOT_DONE;
		latch->latched = quiet;
		latch->difference_ns = to_whole_s(tai_ns - look->clock_tai_ns);
	}
	latch->looked = true;
	latch->last_tai_ns = tai_ns;
	latch->last = *look;
	return event;
}
