/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "config_value.h"

/* What the last look found. */
static struct {
	pthread_mutex_t mutex;
	bool known;
	enum vrtc_host_timescale timescale;
	struct vrtc_hosttime_report report;
	bool latched;
	const char *table_path;
	int64_t table_expires_utc_s;
	bool table_expired;
	unsigned n;
	struct {
		const char *path;
		bool is_utc;
		const struct vrtc_phc *phc;
	} source[APP_SOURCES_MAX];
} last = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *const verdict_names[] = {
	[VRTC_KERNEL_AGREES] = "agrees",
	[VRTC_KERNEL_UNTOLD] = "tai-not-told",
	[VRTC_KERNEL_OTHER_TAI] = "other-tai",
	[VRTC_KERNEL_LEAP_UNKNOWN] = "leap-second-unknown-to-table",
	[VRTC_KERNEL_LEAP_MISSING] = "leap-second-not-announced",
	[VRTC_KERNEL_LEAP_WHILE_SMEARED] = "leap-second-announced-while-smeared",
};

static void add_time(struct rte_tel_data *d)
{
	char date[24] = "";
	time_t expires = (time_t)last.table_expires_utc_s;
	struct tm tm;

	if (gmtime_r(&expires, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	rte_tel_data_add_dict_string(
		d, "host_timescale", app_value_host_timescale_name(last.timescale));
	rte_tel_data_add_dict_string(d, "kernel", verdict_names[last.report.verdict]);
	rte_tel_data_add_dict_int(d, "kernel_tai_s", last.report.view.tai_s);
	rte_tel_data_add_dict_int(d, "kernel_leap_s", last.report.view.leap);
	rte_tel_data_add_dict_int(d, "table_tai_s", last.report.table_tai_s);
	rte_tel_data_add_dict_int(d, "around_leap_second", last.latched);
	rte_tel_data_add_dict_string(d, "table", last.table_path);
	rte_tel_data_add_dict_string(d, "table_expires", date);
	rte_tel_data_add_dict_int(d, "table_expired", last.table_expired);
}

static int answer_time(const char *cmd, const char *params, struct rte_tel_data *d)
{
	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&last.mutex);
	if (last.known)
		add_time(d);
	pthread_mutex_unlock(&last.mutex);
	return 0;
}

static const char *source_name(unsigned i)
{
	return last.source[i].path ? last.source[i].path : "system";
}

static int answer_sources(const char *cmd, const char *params, struct rte_tel_data *d)
{
	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	pthread_mutex_lock(&last.mutex);
	for (unsigned i = 0; i < last.n; i++)
		rte_tel_data_add_array_string(d, source_name(i));
	pthread_mutex_unlock(&last.mutex);
	return 0;
}

static int clip(int64_t value)
{
	return (int)RTE_MAX(RTE_MIN(value, INT32_MAX), INT32_MIN);
}

static void add_source(struct rte_tel_data *d, unsigned i)
{
	struct vrtc_phc_status status;

	rte_tel_data_add_dict_string(d, "source", source_name(i));
	if (!last.source[i].phc)
		return;
	vrtc_phc_status(last.source[i].phc, &status);
	rte_tel_data_add_dict_string(d, "timescale", last.source[i].is_utc ? "utc" : "tai");
	rte_tel_data_add_dict_string(d, "state", vrtc_phc_state_name(status.state));
	rte_tel_data_add_dict_string(d, "method", vrtc_phc_method_name(status.method));
	rte_tel_data_add_dict_int(d, "error_bound_ns", clip(status.error_ns));
	rte_tel_data_add_dict_int(d, "frequency_ppb", clip(status.frequency_ppb));
	rte_tel_data_add_dict_int(d, "offset_ns", clip(status.offset_ns));
	rte_tel_data_add_dict_int(d, "looks", clip((int64_t)status.looks));
	rte_tel_data_add_dict_int(d, "looks_rejected", clip((int64_t)status.rejected));
	rte_tel_data_add_dict_int(d, "steps", clip((int64_t)status.steps));
}

static int answer_source(const char *cmd, const char *params, struct rte_tel_data *d)
{
	char *end = NULL;
	unsigned long i;
	int rc = -EINVAL;

	RTE_SET_USED(cmd);
	if (!params || *params < '0' || *params > '9')
		return -EINVAL;
	i = strtoul(params, &end, 10);
	if (*end != '\0')
		return -EINVAL;
	pthread_mutex_lock(&last.mutex);
	if (i < last.n) {
		rte_tel_data_start_dict(d);
		add_source(d, (unsigned)i);
		rc = 0;
	}
	pthread_mutex_unlock(&last.mutex);
	return rc;
}

void app_telemetry_register(void)
{
	/* It fails for want of memory alone, and then there is no answer. */
	(void)rte_telemetry_register_cmd("/rtc/time", answer_time,
		"What the host's clock, its kernel and the leap-second table say. No parameters");
	(void)rte_telemetry_register_cmd(
		"/rtc/sources", answer_sources, "The sources of time. No parameters");
	(void)rte_telemetry_register_cmd("/rtc/source", answer_source,
		"A source of time, as of the last look. Parameter: its index in /rtc/sources");
}

void app_telemetry_end(void)
{
	pthread_mutex_lock(&last.mutex);
	last.n = 0;
	pthread_mutex_unlock(&last.mutex);
}

void app_telemetry_publish(const struct app_sources *sources)
{
	pthread_mutex_lock(&last.mutex);
	last.known = true;
	last.timescale = sources->host.timescale;
	last.report = sources->report;
	last.latched = sources->host.latch.latched;
	last.table_path = sources->leap.path;
	last.table_expires_utc_s = sources->leap.table->expires_utc_s;
	last.table_expired = sources->leap.expired_told;
	last.n = sources->n;
	for (unsigned i = 0; i < sources->n; i++) {
		last.source[i].path = sources->source[i].path;
		last.source[i].is_utc = sources->source[i].time.phc_is_utc;
		last.source[i].phc = sources->source[i].phc;
	}
	pthread_mutex_unlock(&last.mutex);
}
