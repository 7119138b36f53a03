/* SPDX-License-Identifier: BSD-3-Clause */
#include "timesource.h"

#include <sys/timex.h>

/* Half of the time around a leap second in which the origin of TAI is not decided anew. */
#define LEAP_QUIET_NS (60 * VRTC_NS_PER_S)

bool vrtc_timesource_tai_from_realtime(
	const struct vrtc_timesource *ts, int64_t realtime_ns, int64_t *tai_ns)
{
	int64_t last_tai_ns;

	switch (vrtc_leap_tai_from_utc(ts->leap, realtime_ns, tai_ns, &last_tai_ns)) {
	case VRTC_LEAP_OK:
	case VRTC_LEAP_AMBIGUOUS: /* the kernel does not say which of the two: the first */
	case VRTC_LEAP_SKIPPED:
		return true;
	default:
		return false;
	}
}

static int read_kernel_tai_s(void)
{
	struct timex state = {.modes = 0};

	/* Reading needs no privilege and cannot fail with a valid address. */
	(void)adjtimex(&state);
	return state.tai;
}

/* TAI - UTC of the table at a time; false where it is unknown or changes within the quiet time. */
static bool read_table_tai_s(const struct vrtc_timesource *ts, int64_t realtime_ns, int *tai_s)
{
	int64_t before_ns;
	int64_t after_ns;

	if (!vrtc_timesource_tai_from_realtime(ts, realtime_ns - LEAP_QUIET_NS, &before_ns) ||
		!vrtc_timesource_tai_from_realtime(ts, realtime_ns + LEAP_QUIET_NS, &after_ns) ||
		after_ns - before_ns != 2 * LEAP_QUIET_NS)
		return false;
	*tai_s = (int)((before_ns - (realtime_ns - LEAP_QUIET_NS)) / VRTC_NS_PER_S);
	return true;
}

void vrtc_timesource_refresh(struct vrtc_timesource *ts, struct vrtc_timesource_report *report)
{
	enum vrtc_tai_origin was =
		(enum vrtc_tai_origin)atomic_load_explicit(&ts->tai_origin, memory_order_relaxed);

	*report = (struct vrtc_timesource_report){
		.origin = was,
		.kernel_tai_s = read_kernel_tai_s(),
		.table_tai_s = ts->table_tai_s,
	};
	if (read_table_tai_s(ts, vrtc_timesource_clock_ns(CLOCK_REALTIME), &report->table_tai_s))
		report->origin = report->kernel_tai_s == report->table_tai_s
					 ? VRTC_TAI_FROM_KERNEL
					 : VRTC_TAI_FROM_REALTIME;

	report->changed = report->origin != was || report->kernel_tai_s != ts->kernel_tai_s ||
			  report->table_tai_s != ts->table_tai_s;
	ts->kernel_tai_s = report->kernel_tai_s;
	ts->table_tai_s = report->table_tai_s;
	/* Relaxed: a reading uses the one or the other, and nothing else depends on it. */
	atomic_store_explicit(&ts->tai_origin, report->origin, memory_order_relaxed);
}

void vrtc_timesource_init(struct vrtc_timesource *ts, const struct vrtc_leap_table *leap,
	struct vrtc_timesource_report *report)
{
	ts->leap = leap;
	ts->kernel_tai_s = 0;
	ts->table_tai_s = 0;
	atomic_init(&ts->tai_origin, VRTC_TAI_FROM_REALTIME);
	vrtc_timesource_refresh(ts, report);
}
