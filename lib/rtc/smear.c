/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A window of span_s seconds of TAI gains or loses one second. So after x ns in it the smeared
 * clock is x/span_s ns away from the clock that goes on with the old offset, and
 *
 *   positive  y = floor(x * (span_s - 1) / span_s) = x - ceil(x / span_s)
 *   negative  y = floor(x * (span_s + 1) / span_s) = x + floor(x / span_s)
 *
 * ns on the smeared clock: one division by a number of seconds, exact, and no product that could
 * overflow. The least x that reaches y is then
 *
 *   positive  x = ceil(y * span_s / (span_s - 1)) = y + ceil(y / (span_s - 1))
 *   negative  x = ceil(y * span_s / (span_s + 1)) = y - floor(y / (span_s + 1))
 */
#include "nstime.h"
#include "smear.h"
#include "wire.h"

#define NOON_LINEAR_DAY_S 86400
#define NOON_LINEAR_END_S 43200
#define UTC_SLS_SPAN_S    1000

struct window {
	int64_t span_s; /* its length on TAI */
	int64_t end_ns; /* from midnight (the entry's instant) to its end */
};

bool vrtc_smear_known(uint8_t smear)
{
	return smear == VIRTIO_RTC_SMEAR_NOON_LINEAR || smear == VIRTIO_RTC_SMEAR_UTC_SLS;
}

/* The first entry has no leap second: step_s is 0, and its window is not to be looked at. */
static struct window get_window(uint8_t smear, const struct vrtc_leap_entry *entry)
{
	if (smear == VIRTIO_RTC_SMEAR_UTC_SLS)
		return (struct window){.span_s = UTC_SLS_SPAN_S};
	return (struct window){
		.span_s = NOON_LINEAR_DAY_S + entry->step_s,
		.end_ns = NOON_LINEAR_END_S * VRTC_NS_PER_S,
	};
}

/* For value >= 0 and divisor > 0. */
static int64_t divide_up(int64_t value, int64_t divisor)
{
	return value / divisor + (value % divisor != 0);
}

enum vrtc_leap_result vrtc_smear_from_tai(
	uint8_t smear, const struct vrtc_leap_table *table, int64_t tai_ns, int64_t *smeared_ns)
{
	if (!vrtc_smear_known(smear))
		return VRTC_LEAP_NO_CURVE;

	for (unsigned int i = table->n; i-- > 0;) {
		const struct vrtc_leap_entry *entry = &table->entries[i];
		struct window window = get_window(smear, entry);
		int64_t start_tai_ns, old_offset_ns, x_ns;

		if (entry->step_s == 0) {
			if (tai_ns < entry->tai_ns)
				return VRTC_LEAP_UNKNOWN;
			*smeared_ns = tai_ns - entry->offset_ns;
			return VRTC_LEAP_OK;
		}
		if (tai_ns >= entry->tai_ns + window.end_ns) {
			*smeared_ns = tai_ns - entry->offset_ns;
			return VRTC_LEAP_OK;
		}
		start_tai_ns = entry->tai_ns + window.end_ns - window.span_s * VRTC_NS_PER_S;
		if (tai_ns < start_tai_ns)
			continue;

		x_ns = tai_ns - start_tai_ns;
		old_offset_ns = entry->offset_ns - entry->step_s * VRTC_NS_PER_S;
		*smeared_ns = tai_ns - old_offset_ns;
		if (entry->step_s > 0)
			*smeared_ns -= divide_up(x_ns, window.span_s);
		else
			*smeared_ns += x_ns / window.span_s;
		return VRTC_LEAP_OK;
	}
	return VRTC_LEAP_UNKNOWN;
}

enum vrtc_leap_result vrtc_smear_to_tai(
	uint8_t smear, const struct vrtc_leap_table *table, int64_t smeared_ns, int64_t *tai_ns)
{
	if (!vrtc_smear_known(smear))
		return VRTC_LEAP_NO_CURVE;

	for (unsigned int i = table->n; i-- > 0;) {
		const struct vrtc_leap_entry *entry = &table->entries[i];
		struct window window = get_window(smear, entry);
		int64_t start_smeared_ns, old_offset_ns, y_ns;

		if (entry->step_s == 0 && smeared_ns < entry->utc_ns)
			return VRTC_LEAP_UNKNOWN;
		if (entry->step_s == 0 || smeared_ns >= entry->utc_ns + window.end_ns) {
			if (!vrtc_nstime_add(smeared_ns, entry->offset_ns, tai_ns))
				return VRTC_LEAP_OVERFLOW;
			return VRTC_LEAP_OK;
		}
		start_smeared_ns = entry->utc_ns + window.end_ns -
				   (window.span_s - entry->step_s) * VRTC_NS_PER_S;
		if (smeared_ns < start_smeared_ns)
			continue;

		y_ns = smeared_ns - start_smeared_ns;
		old_offset_ns = entry->offset_ns - entry->step_s * VRTC_NS_PER_S;
		*tai_ns = smeared_ns + old_offset_ns;
		if (entry->step_s > 0)
			*tai_ns += divide_up(y_ns, window.span_s - 1);
		else
			*tai_ns -= y_ns / (window.span_s + 1);
		return VRTC_LEAP_OK;
	}
	return VRTC_LEAP_UNKNOWN;
}
