/* SPDX-License-Identifier: BSD-3-Clause */
#include "timesource.h"

bool vrtc_timesource_tai_from_utc(
	const struct vrtc_leap_table *leap, int64_t utc_ns, int64_t *tai_ns)
{
	int64_t last_tai_ns;

	switch (vrtc_leap_tai_from_utc(leap, utc_ns, tai_ns, &last_tai_ns)) {
	case VRTC_LEAP_OK:
	case VRTC_LEAP_AMBIGUOUS:
	case VRTC_LEAP_SKIPPED:
		return true;
	default:
		return false;
	}
}

void vrtc_timesource_read_phc_pair(const struct vrtc_timesource *ts, enum vrtc_host_counter counter,
	struct vrtc_instant *now, struct vrtc_pair *pair)
{
	uint64_t before = vrtc_pair_count(counter);
	uint64_t width = 0;

	if (counter == VRTC_HOST_COUNTER_CPU && ts->phc->counter == VRTC_COUNTER_CPU) {
		now->known = vrtc_phc_read_at(ts->phc, before, &pair->clock_ns);
	} else {
		now->known = vrtc_phc_read(ts->phc, &pair->clock_ns);
		width = vrtc_pair_count(counter) - before;
	}
	pair->count = before + width / 2;
	pair->doubt = width / 2 < UINT32_MAX ? (uint32_t)(width / 2) + 1 : UINT32_MAX;
	now->timebase_ns = pair->clock_ns;
	if (now->known && ts->phc_is_utc)
		now->known =
			vrtc_timesource_tai_from_utc(now->leap, pair->clock_ns, &now->timebase_ns);
}
