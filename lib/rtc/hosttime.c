/* SPDX-License-Identifier: BSD-3-Clause */
#include "hosttime.h"

#include <sys/timex.h>

#include "smear.h"
#include "wire.h"

bool vrtc_hosttime_tai_from_realtime(const struct vrtc_hosttime *h,
	const struct vrtc_leap_table *leap, int64_t realtime_ns, int64_t *tai_ns)
{
	int64_t last_tai_ns;

	switch (h->timescale) {
	case VRTC_HOST_UTC:
	case VRTC_HOST_TAI_OFFSET:
		switch (vrtc_leap_tai_from_utc(leap, realtime_ns, tai_ns, &last_tai_ns)) {
		case VRTC_LEAP_OK:
		case VRTC_LEAP_AMBIGUOUS: /* not latched, so nobody can tell: the first */
		case VRTC_LEAP_SKIPPED:
			return true;
		default:
			return false;
		}
	case VRTC_HOST_NOON_LINEAR:
		return vrtc_smear_to_tai(VIRTIO_RTC_SMEAR_NOON_LINEAR, leap, realtime_ns, tai_ns) ==
		       VRTC_LEAP_OK;
	case VRTC_HOST_UTC_SLS:
		return vrtc_smear_to_tai(VIRTIO_RTC_SMEAR_UTC_SLS, leap, realtime_ns, tai_ns) ==
		       VRTC_LEAP_OK;
	case VRTC_HOST_UNKNOWN:
		break;
	}
	return false;
}

/* Reading needs no privilege and cannot fail with a valid address. */
static int read_kernel(struct vrtc_kernel_view *view)
{
	struct timex state = {.modes = 0};
	int now = adjtimex(&state);

	view->tai_s = state.tai;
	view->leap = state.status & STA_INS ? 1 : state.status & STA_DEL ? -1 : 0;
	/* Behind the leap second the kernel keeps what announced it until that is taken away. */
	if (now == TIME_OOP || now == TIME_WAIT)
		view->leap = 0;
	return now;
}

int vrtc_hosttime_kernel_tai_s(void)
{
	struct vrtc_kernel_view view;

	(void)read_kernel(&view);
	return view.tai_s;
}

static void look_at_latch(struct vrtc_hosttime *h, const struct vrtc_leap_table *leap,
	const struct vrtc_tai_look *look, struct vrtc_hosttime_report *report)
{
	enum vrtc_tai_latch_event event = vrtc_tai_latch_look(&h->latch, leap, look);

	report->leap_not_done = event == VRTC_TAI_LATCH_NOT_DONE;
	atomic_store_explicit(&h->latched_ns,
		h->latch.latched ? h->latch.difference_ns : VRTC_HOSTTIME_UNLATCHED,
		memory_order_relaxed);
}

void vrtc_hosttime_look(struct vrtc_hosttime *h, struct vrtc_hosttime_report *report)
{
	const struct vrtc_leap_table *leap = atomic_load_explicit(&h->leap, memory_order_relaxed);
	struct vrtc_tai_look look;
	int kernel;

	*report = (struct vrtc_hosttime_report){.view = h->view, .verdict = h->verdict};
	kernel = read_kernel(&report->view);
	look.in_leap_second = kernel == TIME_OOP;
	look.clock_tai_ns = vrtc_hosttime_clock_ns(CLOCK_TAI);
	look.boot_ns = vrtc_hosttime_clock_ns(CLOCK_BOOTTIME);
	look.realtime_ns = vrtc_hosttime_clock_ns(CLOCK_REALTIME);

	if (h->timescale == VRTC_HOST_UTC)
		look_at_latch(h, leap, &look, report);
	report->table_tai_s = vrtc_kernel_view_table_s(leap, look.realtime_ns);
	if (!h->latch.latched)
		report->verdict =
			vrtc_kernel_view_judge(&report->view, leap, h->timescale, look.realtime_ns);
	else
		report->view = h->view;
	report->changed = report->verdict != h->verdict || report->view.tai_s != h->view.tai_s ||
			  report->view.leap != h->view.leap;
	h->view = report->view;
	h->verdict = report->verdict;
}

void vrtc_hosttime_set_leap(struct vrtc_hosttime *h, const struct vrtc_leap_table *leap)
{
	/* Release: pairs with the acquire of vrtc_timesource_read(). */
	atomic_store_explicit(&h->leap, leap, memory_order_release);
}

void vrtc_hosttime_init(struct vrtc_hosttime *h, enum vrtc_host_timescale timescale,
	const struct vrtc_leap_table *leap, struct vrtc_hosttime_report *report)
{
	h->timescale = timescale;
	h->latch = (struct vrtc_tai_latch){.latched = false};
	h->view = (struct vrtc_kernel_view){0};
	h->verdict = VRTC_KERNEL_AGREES;
	atomic_init(&h->leap, leap);
	/* CLOCK_TAI is believed as it is: latched for good. */
	atomic_init(
		&h->latched_ns, timescale == VRTC_HOST_TAI_OFFSET ? 0 : VRTC_HOSTTIME_UNLATCHED);
	vrtc_hosttime_look(h, report);
	report->changed = true;
}
