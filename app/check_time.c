/* SPDX-License-Identifier: BSD-3-Clause */
/* Of the host's time: what a reading costs, who disciplines the clock, and leap seconds. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "host_text.h"
#include "host_tree.h"
#include "host_view.h"
#include "nstime.h"

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0"

#define OK(...)      app_host_advice_tell(advice, APP_HOST_OK, "time", __VA_ARGS__)
#define BETTER(...)  app_host_advice_tell(advice, APP_HOST_BETTER, "time", __VA_ARGS__)
#define WRONG(...)   app_host_advice_tell(advice, APP_HOST_WRONG, "time", __VA_ARGS__)
#define UNKNOWN(...) app_host_advice_tell(advice, APP_HOST_UNKNOWN, "time", __VA_ARGS__)

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static void look_at_clocksource(const struct app_host_view *view, struct app_host_advice *advice)
{
	/* The counter itself; and what a hypervisor adds to it, in a page that the vDSO reads. */
	static const char *const counters[] = {"tsc", "arch_sys_counter", NULL};
	static const char *const pages[] = {
		"kvm-clock", "xen", "hyperv_clocksource_tsc_page", NULL};
	char available[APP_HOST_TREE_LINE];
	char name[APP_HOST_TREE_LINE];
	const char *what;

	if (!app_host_tree_read(
		    view->root, name, sizeof(name), CLOCKSOURCE "/current_clocksource")) {
		UNKNOWN("clock source: no " CLOCKSOURCE "/current_clocksource");
		return;
	}
	(void)app_host_tree_read(
		view->root, available, sizeof(available), CLOCKSOURCE "/available_clocksource");
	what = app_host_text_has_word(available, "tsc") ? "echo tsc > " CLOCKSOURCE
							  "/current_clocksource"
	       : app_host_tree_is_virtual(view->root)
		       ? "on the host: expose invtsc (QEMU: -cpu host,+invtsc)"
		       : "the kernel's log says why it does not trust the TSC; kernel parameter "
			 "tsc=reliable if you do";
	if (is_one_of(name, counters))
		OK("clock source %s: a reading is no system call", name);
	else if (is_one_of(name, pages))
		BETTER("clock source %s: a reading is no system call, but there are no "
		       "cross-timestamps -> %s",
			name, what);
	else
		WRONG("clock source %s: each reading is a system call, and there are no "
		      "cross-timestamps -> %s",
			name, what);
}

static void look_at_discipline(const struct app_host_view *view, struct app_host_advice *advice)
{
	bool system = view->config->n_devices == 0;

	for (unsigned i = 0; i < view->config->n_devices; i++)
		system |= view->config->device[i].phc[0] == '\0';
	if (view->synchronised)
		OK("CLOCK_REALTIME is synchronised, by its own word to %" PRId64 " us",
			view->maximum_error_us);
	else if (system)
		WRONG("nobody synchronises CLOCK_REALTIME, which guests are given -> chrony, or "
		      "phc2sys");
	else
		BETTER("nobody synchronises CLOCK_REALTIME; the PTP hardware clocks of source are "
		       "what UTC and TAI come from -> chrony, or phc2sys, for utc-maybe-smeared "
		       "and logs");
}

static void print_date(int64_t utc_s, char date[static 16])
{
	time_t at = (time_t)utc_s;
	struct tm tm;

	date[0] = '\0';
	if (gmtime_r(&at, &tm))
		(void)strftime(date, 16, "%Y-%m-%d", &tm);
}

/* @return  whether there is a table to compare with */
static bool look_at_table(const struct app_host_view *view, struct app_host_advice *advice)
{
	const char *path = view->config->leap_table;
	char date[16];

	if (!view->leap) {
		WRONG("%s -> package tzdata, or leap_table = FILE", view->leap_error);
		return false;
	}
	print_date(view->leap->expires_utc_s, date);
	if (vrtc_leap_expired(view->leap, view->utc_ns / VRTC_NS_PER_S))
		BETTER("the leap-second table %s has expired on %s: it knows of no leap second announced since -> a newer tzdata",
			path, date);
	else
		OK("the leap-second table %s is good until %s", path, date);
	return true;
}

static void look_at_kernel(const struct app_host_view *view, struct app_host_advice *advice)
{
	int table_s = vrtc_kernel_view_table_s(view->leap, view->utc_ns);
	int kernel_s = view->kernel.tai_s;

	switch (vrtc_kernel_view_judge(
		&view->kernel, view->leap, view->config->host_timescale, view->utc_ns)) {
	case VRTC_KERNEL_AGREES:
		OK("kernel and table agree: TAI - UTC = %d s", kernel_s);
		break;
	case VRTC_KERNEL_UNTOLD:
		if (view->config->host_timescale == VRTC_HOST_TAI_OFFSET)
			WRONG("the kernel was not told TAI - UTC, and host_timescale = tai-offset "
			      "believes its 0 s, where the table has %d s -> chrony: leapsectz "
			      "right/UTC; or host_timescale = utc",
				table_s);
		else
			OK("the kernel was not told TAI - UTC; the table has %d s, and is used",
				table_s);
		break;
	case VRTC_KERNEL_OTHER_TAI:
		WRONG("TAI - UTC is %d s by the kernel and %d s by the table -> a newer tzdata, or "
		      "what tells the kernel is wrong",
			kernel_s, table_s);
		break;
	case VRTC_KERNEL_LEAP_UNKNOWN:
		WRONG("the kernel will make a leap second of which the table knows nothing -> a "
		      "newer tzdata, or a false announcement from an NTP server");
		break;
	case VRTC_KERNEL_LEAP_MISSING:
		WRONG("the table has a leap second in the next two hours, and the kernel was not "
		      "told -> chrony: leapsectz right/UTC");
		break;
	case VRTC_KERNEL_LEAP_WHILE_SMEARED:
		WRONG("the kernel will make a leap second, although host_timescale says that the "
		      "host smears it -> chrony: leapsecmode slew or ignore; or host_timescale");
		break;
	}
}

void app_check_time_tell(const struct app_host_view *view, struct app_host_advice *advice)
{
	look_at_clocksource(view, advice);
	look_at_discipline(view, advice);
	if (look_at_table(view, advice))
		look_at_kernel(view, advice);
}
