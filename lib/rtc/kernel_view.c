/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel_view.h"
#include "nstime.h"

#define HOUR_NS (3600 * VRTC_NS_PER_S)
#define DAY_NS  (24 * HOUR_NS)
/* NTP daemons announce a leap second some time during its day. */
#define LATE_NS (2 * HOUR_NS)

int vrtc_kernel_view_table_s(const struct vrtc_leap_table *table, int64_t utc_ns)
{
	for (unsigned int i = table->n; i-- > 0;)
		if (utc_ns >= table->entries[i].utc_ns)
			return table->entries[i].offset_s;
	return 0;
}

/* The leap second of the table that is at most so far ahead: +1, -1, or 0. */
static int leap_within(const struct vrtc_leap_table *table, int64_t utc_ns, int64_t ahead_ns)
{
	for (unsigned int i = table->n; i-- > 0;) {
		const struct vrtc_leap_entry *entry = &table->entries[i];

		if (utc_ns >= entry->utc_ns)
			break;
		if (entry->utc_ns - utc_ns <= ahead_ns)
			return entry->step_s;
	}
	return 0;
}

enum vrtc_kernel_verdict vrtc_kernel_view_judge(const struct vrtc_kernel_view *view,
	const struct vrtc_leap_table *table, enum vrtc_host_timescale timescale, int64_t utc_ns)
{
	bool steps = timescale == VRTC_HOST_UTC || timescale == VRTC_HOST_TAI_OFFSET;
	int table_s = vrtc_kernel_view_table_s(table, utc_ns);

	if (view->leap != 0 && view->leap != leap_within(table, utc_ns, DAY_NS))
		return VRTC_KERNEL_LEAP_UNKNOWN;
	if (view->leap != 0 && !steps && timescale != VRTC_HOST_UNKNOWN)
		return VRTC_KERNEL_LEAP_WHILE_SMEARED;
	if (view->leap == 0 && leap_within(table, utc_ns, LATE_NS) != 0 && steps)
		return VRTC_KERNEL_LEAP_MISSING;
	if (view->tai_s == 0)
		return VRTC_KERNEL_UNTOLD;
	/* A smeared UTC is off by up to a second, and TAI - UTC with it, as the kernel means it. */
	if (table_s != 0 && view->tai_s != table_s)
		return VRTC_KERNEL_OTHER_TAI;
	return VRTC_KERNEL_AGREES;
}
