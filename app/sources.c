/* SPDX-License-Identifier: BSD-3-Clause */
#include "sources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "config_file.h"
#include "log.h"

/* ---- The kernel's clocks. */

static void report_host(const struct vrtc_hosttime_report *report)
{
	int kernel_s = report->view.tai_s;
	int table_s = report->table_tai_s;
	const char *leap = report->view.leap > 0 ? "insert" : "delete";

	switch (report->verdict) {
	case VRTC_KERNEL_AGREES:
		VRTC_LOG(INFO, "the kernel and the leap-second table agree: TAI - UTC = %d s",
			kernel_s);
		break;
	case VRTC_KERNEL_UNTOLD:
		VRTC_LOG(INFO,
			"the kernel was not told TAI - UTC; by the leap-second table it is %d s",
			table_s);
		break;
	case VRTC_KERNEL_OTHER_TAI:
		VRTC_LOG(WARNING, "the kernel says TAI - UTC = %d s, the leap-second table %d s",
			kernel_s, table_s);
		break;
	case VRTC_KERNEL_LEAP_UNKNOWN:
		VRTC_LOG(WARNING,
			"the kernel will %s a leap second at the end of this UTC day, of which the "
			"leap-second table knows nothing: one of them is wrong",
			leap);
		break;
	case VRTC_KERNEL_LEAP_MISSING:
		VRTC_LOG(WARNING,
			"there is a leap second at the end of this UTC day, of which the kernel was "
			"not told: CLOCK_REALTIME will be a second off until it is set");
		break;
	case VRTC_KERNEL_LEAP_WHILE_SMEARED:
		VRTC_LOG(WARNING,
			"the kernel will %s a leap second at the end of this UTC day, although "
			"host_timescale says that CLOCK_REALTIME is smeared",
			leap);
		break;
	}
}

static void look_at_host(struct app_sources *s)
{
	vrtc_hosttime_look(&s->host, &s->report);
	if (s->report.changed)
		report_host(&s->report);
	if (s->report.leap_not_done)
		VRTC_LOG(WARNING,
			"the host's clock did not do the leap second of a minute ago: UTC and TAI "
			"go by CLOCK_REALTIME, as ever, which is a second off until it is set");
}

/* ---- PTP hardware clocks. */

static void report_phc(const struct app_source *source, const struct vrtc_phc_status *was)
{
	const struct vrtc_phc_status *now = &source->status;

	if (now->steps != was->steps)
		VRTC_LOG(WARNING, "%s was set: by %+" PRId64 " ns", source->path, now->step_ns);
	if (now->state == was->state)
		return;
	switch (now->state) {
	case VRTC_PHC_STARTING:
		break;
	case VRTC_PHC_FOLLOWING:
		VRTC_LOG(INFO, "%s is followed (%s): known to +-%" PRId64 " ns", source->path,
			vrtc_phc_method_name(now->method), now->error_ns);
		break;
	case VRTC_PHC_HOLDOVER:
		VRTC_LOG(WARNING, "%s cannot be read: %s; time goes on by its last frequency",
			source->path, strerror(now->error));
		break;
	case VRTC_PHC_LOST:
		VRTC_LOG(ERR,
			"%s cannot be read for longer than the holdover: its devices' readings "
			"answer EIO until it is back",
			source->path);
		break;
	}
}

static void look_at_phcs(struct app_sources *s)
{
	eventfd_t ignored;

	if (s->attention_fd >= 0)
		(void)eventfd_read(s->attention_fd, &ignored);
	for (unsigned i = 1; i < s->n; i++) {
		struct vrtc_phc_status was = s->source[i].status;

		vrtc_phc_status(s->source[i].phc, &s->source[i].status);
		report_phc(&s->source[i], &was);
	}
}

/* ---- All of them. */

static bool is_source(const struct app_source *source, const struct app_device_config *device)
{
	if (!source->path || !device->phc[0])
		return !source->path && !device->phc[0];
	return strcmp(source->path, device->phc) == 0 &&
	       source->time.phc_is_utc == device->phc_is_utc;
}

unsigned app_sources_find(const struct app_sources *s, const struct app_device_config *device)
{
	unsigned i = 0;

	while (i < s->n && !is_source(&s->source[i], device))
		i++;
	return i;
}

static int fail(char *error, unsigned error_bytes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(char *error, unsigned error_bytes, const char *fmt, ...)
{
	va_list args;

	if (error_bytes > 0)
		error[0] = '\0';
	va_start(args, fmt);
	app_config_vappend(error, error_bytes, fmt, args);
	va_end(args);
	return -EINVAL;
}

int app_sources_check(const struct app_config *config, char *error, unsigned error_bytes)
{
	char why[VRTC_PHC_WHY_BYTES];
	unsigned n_sources = 1;

	if (config->host_timescale == VRTC_HOST_TAI_OFFSET && vrtc_hosttime_kernel_tai_s() == 0)
		return fail(error, error_bytes,
			"%sthe kernel was not told TAI - UTC; accepted: utc, or whoever disciplines "
			"CLOCK_REALTIME tells it (adjtimex, ADJ_TAI)",
			config->host_timescale_origin);
	for (unsigned i = 0; i < config->n_devices; i++) {
		const struct app_device_config *device = &config->device[i];
		unsigned before = 0;

		if (!device->phc[0])
			continue;
		while (strcmp(config->device[before].phc, device->phc) != 0 ||
			config->device[before].phc_is_utc != device->phc_is_utc)
			before++;
		if (before < i)
			continue;
		if (n_sources++ == APP_SOURCES_MAX)
			return fail(error, error_bytes,
				"%stoo many sources of time; accepted: up to %d, the system clocks "
				"among them",
				device->source_origin, APP_SOURCES_MAX);
		if (vrtc_phc_check(device->phc, why))
			return fail(error, error_bytes, "%s%s", device->source_origin, why);
	}
	return 0;
}

static int open_phc(struct app_sources *s, const struct app_config *config,
	const struct app_device_config *device, const cpu_set_t *cpus)
{
	const struct vrtc_phc_config phc_config = {
		.holdover_ns = config->phc_holdover_s * VRTC_NS_PER_S,
		.cpus = *cpus,
		.attention_fd = s->attention_fd,
	};
	struct app_source *source = &s->source[s->n];
	char why[VRTC_PHC_WHY_BYTES];

	*source = (struct app_source){.path = device->phc};
	source->phc = vrtc_phc_open(device->phc, &phc_config, why);
	if (!source->phc) {
		fprintf(stderr, "dpdk-rtc: %s: source = phc:%s: %s\n", device->name, device->phc,
			why);
		return -1;
	}
	source->time = (struct vrtc_timesource){.pairing = &s->pairing,
		.host = &s->host,
		.phc = source->phc,
		.phc_is_utc = device->phc_is_utc};
	vrtc_phc_status(source->phc, &source->status);
	VRTC_LOG(INFO, "%s (node %d) is a source of time: it shows %s", device->phc,
		vrtc_phc_node(device->phc), device->phc_is_utc ? "UTC" : "TAI");
	s->n++;
	return 0;
}

int app_sources_open(struct app_sources *s, const struct app_config *config,
	struct vrtc_leap_table *table, const cpu_set_t *cpus)
{
	*s = (struct app_sources){.n = 1, .attention_fd = -1, .leap.watch_fd = -1};
	app_leap_table_init(&s->leap, config->leap_table, table);
	vrtc_hosttime_init(&s->host, config->host_timescale, table, &s->report);
	report_host(&s->report);
	vrtc_pairing_init(&s->pairing);
	s->source[0].time.pairing = &s->pairing;
	s->source[0].time.host = &s->host;
	for (unsigned i = 0; i < config->n_devices; i++) {
		if (app_sources_find(s, &config->device[i]) < s->n)
			continue;
		if (s->attention_fd < 0)
			s->attention_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (s->attention_fd < 0) {
			fprintf(stderr, "dpdk-rtc: eventfd: %s\n", strerror(errno));
			return -1;
		}
		if (open_phc(s, config, &config->device[i], cpus))
			return -1;
	}
	return 0;
}

void app_sources_look(struct app_sources *s, struct vrtc_poller *const *poller, unsigned n_pollers)
{
	look_at_host(s);
	look_at_phcs(s);
	app_leap_table_look(&s->leap, &s->host, poller, n_pollers);
}

void app_sources_close(struct app_sources *s)
{
	for (unsigned i = 1; i < s->n; i++)
		vrtc_phc_close(s->source[i].phc);
	app_leap_table_close(&s->leap);
}
