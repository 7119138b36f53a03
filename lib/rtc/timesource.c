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
