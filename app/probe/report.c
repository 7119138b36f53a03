/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "wire.h"

#define NS_PER_S 1000000000

static const char *yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

/* A number where the name is not known: types of experiments begin at 0xF0. */
static const char *name_or_number(const char *name, uint8_t number, char *text, size_t text_bytes)
{
	if (strcmp(name, "unknown") != 0)
		return name;
	snprintf(text, text_bytes, "0x%02x", number);
	return text;
}

static const char *status_text(int status, char *text, size_t text_bytes)
{
	snprintf(text, text_bytes, "status %d (%s)", status, vfe_rtc_status_name((uint8_t)status));
	return text;
}

static const char *cross_text(const struct probe_clock *c, int counter)
{
	return c->cross_status[counter] != VIRTIO_RTC_S_OK
		       ? vfe_rtc_status_name((uint8_t)c->cross_status[counter])
		       : yes_no(c->cross[counter]);
}

/* A date for the clocks that have one, seconds for the others. */
static void format_reading(uint8_t type, uint64_t ns, char *text, size_t text_bytes)
{
	time_t s = (time_t)(ns / NS_PER_S);
	char date[40];
	struct tm tm;

	if (type == VIRTIO_RTC_CLOCK_MONOTONIC || type > VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED ||
		!gmtime_r(&s, &tm) || strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm) == 0) {
		snprintf(text, text_bytes, "%" PRIu64 ".%09" PRIu64 " s", ns / NS_PER_S,
			ns % NS_PER_S);
		return;
	}
	snprintf(text, text_bytes, "%s.%09" PRIu64, date, ns % NS_PER_S);
}

/* What the alarms are set to. */
static void print_alarms(const struct probe *p)
{
	printf("\n%5s  %-29s  %s\n", "clock", "alarm time", "enabled");
	for (unsigned int i = 0; i < p->n_clocks; i++) {
		const struct probe_clock *c = &p->clocks[i];
		char text[64];

		if (c->cap_status != VIRTIO_RTC_S_OK || !(c->cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP))
			continue;
		if (c->alarm_status != VIRTIO_RTC_S_OK) {
			printf("%5u  READ_ALARM answered with %s\n", c->id,
				status_text(c->alarm_status, text, sizeof(text)));
			continue;
		}
		format_reading(c->cap.type, c->alarm_ns, text, sizeof(text));
		printf("%5u  %-29s  %s\n", c->id, text, yes_no(c->alarm_enabled));
	}
}

/* Whether a clock has an alarm: it does not say without the feature. */
static const char *alarm_text(const struct probe *p, const struct probe_clock *c)
{
	if (!probe_knows_alarms(p) && p->session.features_offered >> VIRTIO_RTC_F_ALARM & 1)
		return "?";
	return yes_no((c->cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP) != 0);
}

void report_clocks(const struct probe *p)
{
	static const struct {
		unsigned bit;
		const char *name;
	} features[] = {
		{VIRTIO_RTC_F_ALARM, "ALARM"},
		{VFE_F_INDIRECT_DESC, "INDIRECT_DESC"},
		{VFE_F_EVENT_IDX, "EVENT_IDX"},
		{VFE_F_VERSION_1, "VERSION_1"},
		{VFE_F_RING_PACKED, "RING_PACKED"},
		{VFE_F_IN_ORDER, "IN_ORDER"},
	};
	const struct vfe_session *s = &p->session;

	printf("%s: RTC device with %u clock%s; features:", p->options.socket_path, p->n_clocks,
		p->n_clocks == 1 ? "" : "s");
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (s->features_offered >> features[i].bit & 1)
			printf(" %s", features[i].name);
	}
	printf(" (0x%" PRIx64 ")\n", s->features_offered);
	if (p->n_clocks == 0)
		return;

	printf("\n%5s  %-17s  %-12s  %-5s  %-13s  %s\n", "clock", "type", "smearing", "alarm",
		"cross ARM_VCT", "cross X86_TSC");
	for (unsigned int i = 0; i < p->n_clocks; i++) {
		const struct probe_clock *c = &p->clocks[i];
		char type[8], smearing[8], status[40];

		if (c->cap_status != VIRTIO_RTC_S_OK) {
			printf("%5u  CLOCK_CAP answered with %s\n", c->id,
				status_text(c->cap_status, status, sizeof(status)));
			continue;
		}
		printf("%5u  %-17s  %-12s  %-5s  %-13s  %s\n", c->id,
			name_or_number(vfe_rtc_clock_type_name(c->cap.type), c->cap.type, type,
				sizeof(type)),
			c->cap.type == VIRTIO_RTC_CLOCK_UTC_SMEARED
				? name_or_number(vfe_rtc_smearing_name(c->cap.smearing),
					  c->cap.smearing, smearing, sizeof(smearing))
				: "-",
			alarm_text(p, c), cross_text(c, 0), cross_text(c, 1));
	}
	if (probe_knows_alarms(p))
		print_alarms(p);
	else if (s->features_offered >> VIRTIO_RTC_F_ALARM & 1)
		puts("(which clocks have an alarm is not asked for without --alarms: see --help)");
}

/* A signed duration, in the unit that suits it. */
static void format_difference(int64_t ns, char *text, size_t text_bytes)
{
	uint64_t size = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	char sign = ns < 0 ? '-' : '+';

	if (size < 10000)
		snprintf(text, text_bytes, "%c%" PRIu64 " ns", sign, size);
	else if (size < 10000000)
		snprintf(text, text_bytes, "%c%.3f us", sign, (double)size / 1e3);
	else if (size < 10000000000)
		snprintf(text, text_bytes, "%c%.6f ms", sign, (double)size / 1e6);
	else
		snprintf(text, text_bytes, "%c%" PRIu64 ".%09" PRIu64 " s", sign, size / NS_PER_S,
			size % NS_PER_S);
}

/* Reading minus host, modulo 2^64: readings are unsigned. */
static int64_t difference_ns(uint64_t reading_ns, int64_t host_ns)
{
	return (int64_t)(reading_ns - (uint64_t)host_ns);
}

static void print_against(const char *host_name, uint64_t reading_ns, int64_t host_ns,
	int64_t round_trip_ns, const char *remark)
{
	char difference[40], half[40];

	format_difference(difference_ns(reading_ns, host_ns), difference, sizeof(difference));
	format_difference(round_trip_ns / 2, half, sizeof(half));
	printf("  %-14s  %19s  +-%s%s\n", host_name, difference, half + 1, remark);
}

void report_readings(const struct probe *p)
{
	if (p->n_clocks == 0)
		return;
	printf("\n%5s  %-29s  %-14s  %19s  %s\n", "clock", "reading", "host's clock", "difference",
		"known to");
	for (unsigned int i = 0; i < p->n_clocks; i++) {
		const struct probe_clock *c = &p->clocks[i];
		const struct probe_reading *r = &c->reading;
		const char *remark = "";
		char text[64];

		if (c->cap_status != VIRTIO_RTC_S_OK)
			continue;
		if (r->status != VIRTIO_RTC_S_OK) {
			printf("%5u  READ answered with %s\n", c->id,
				status_text(r->status, text, sizeof(text)));
			continue;
		}
		format_reading(c->cap.type, r->reading_ns, text, sizeof(text));
		printf("%5u  %-29s", c->id, text);
		if (!r->host_name) {
			printf("  (nothing to compare with)\n");
			continue;
		}
		/* A whole offset that the kernel was never told. */
		if (r->table_known && r->table_ns - r->host_ns >= NS_PER_S)
			remark = "  the kernel's TAI offset is not set";
		print_against(r->host_name, r->reading_ns, r->host_ns, r->round_trip_ns, remark);
		if (r->table_known) {
			printf("%5s  %-29s", "", "");
			print_against(
				"TAI by table", r->reading_ns, r->table_ns, r->round_trip_ns, "");
		} else if (c->cap.type == VIRTIO_RTC_CLOCK_TAI) {
			printf("%5s  %-29s  TAI by table    (no good leap-second table)\n", "", "");
		}
	}
}

static const char *wait_name(enum vfe_wait wait)
{
	return wait == VFE_WAIT_SLEEP ? "sleep" : "poll";
}

void report_round_trips(const struct probe *p)
{
	const struct probe_round_trips *r = &p->round_trips;
	char min[40], median[40], p99[40], max[40];

	if (r->n == 0)
		return;
	format_difference(r->min_ns, min, sizeof(min));
	format_difference(r->median_ns, median, sizeof(median));
	format_difference(r->p99_ns, p99, sizeof(p99));
	format_difference(r->max_ns, max, sizeof(max));
	printf("\nround trip of %u readings of clock %u (%s): min %s, median %s, p99 %s, max %s\n",
		r->n, r->clock_id, wait_name(p->options.wait), min + 1, median + 1, p99 + 1,
		max + 1);
	if (r->n < p->options.count)
		printf("(%u were asked for; the time of --timeout was up)\n", p->options.count);
}

void report_alarm(const struct probe *p)
{
	const struct probe_alarm *a = &p->alarm;
	char time[64], late[40], known_to[40], beyond[40];

	if (!a->came)
		return;
	format_reading(p->clocks[a->clock_id].cap.type, a->alarm_ns, time, sizeof(time));
	format_difference(a->late_ns, late, sizeof(late));
	format_difference(a->known_to_ns, known_to, sizeof(known_to));
	format_difference(a->beyond_ns, beyond, sizeof(beyond));
	printf("\nalarm of clock %u (%s), set 1 s ahead for %s:\n"
	       "notified %s after its time, known to +-%s; a reading asked for then is %s beyond it\n",
		a->clock_id, wait_name(p->options.wait), time, late, known_to + 1, beyond);
}

static void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch == '"' || ch == '\\')
			printf("\\%c", ch);
		else if (ch < 0x20 || ch > 0x7e)
			printf("\\u%04x", ch);
		else
			putchar(ch);
	}
	putchar('"');
}

static void print_json_reading(const struct probe_reading *r, uint8_t type)
{
	if (r->status != VIRTIO_RTC_S_OK) {
		printf("{\"status\":%d}", r->status);
		return;
	}
	printf("{\"status\":0,\"reading_ns\":%" PRIu64 ",\"round_trip_ns\":%" PRId64
	       ",\"host_clock\":",
		r->reading_ns, r->round_trip_ns);
	if (r->host_name)
		printf("\"%s\",\"host_ns\":%" PRId64 ",\"difference_ns\":%" PRId64, r->host_name,
			r->host_ns, difference_ns(r->reading_ns, r->host_ns));
	else
		printf("null");
	if (type == VIRTIO_RTC_CLOCK_TAI && r->table_known)
		printf(",\"table_tai_ns\":%" PRId64 ",\"table_difference_ns\":%" PRId64,
			r->table_ns, difference_ns(r->reading_ns, r->table_ns));
	else if (type == VIRTIO_RTC_CLOCK_TAI)
		printf(",\"table_tai_ns\":null,\"table_difference_ns\":null");
	printf("}");
}

static const char *true_false(bool yes)
{
	return yes ? "true" : "false";
}

static void print_json_clock(const struct probe *p, const struct probe_clock *c)
{
	static const char *const counters[2] = {"cross_arm_vct", "cross_x86_tsc"};

	printf("{\"id\":%u,\"clock_cap_status\":%d", c->id, c->cap_status);
	if (c->cap_status == VIRTIO_RTC_S_OK) {
		bool has_alarm = (c->cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP) != 0;

		printf(",\"type\":%u,\"type_name\":\"%s\",\"smearing\":%u,\"smearing_name\":\"%s\","
		       "\"alarm\":%s",
			c->cap.type, vfe_rtc_clock_type_name(c->cap.type), c->cap.smearing,
			vfe_rtc_smearing_name(c->cap.smearing),
			*alarm_text(p, c) == '?' ? "null" : true_false(has_alarm));
		if (has_alarm && c->alarm_status == VIRTIO_RTC_S_OK)
			printf(",\"alarm_ns\":%" PRIu64 ",\"alarm_enabled\":%s", c->alarm_ns,
				true_false(c->alarm_enabled));
		for (int i = 0; i < 2; i++)
			printf(",\"%s\":%s", counters[i],
				c->cross_status[i] != VIRTIO_RTC_S_OK ? "null"
				: c->cross[i]                         ? "true"
								      : "false");
		printf(",\"read\":");
		print_json_reading(&c->reading, c->cap.type);
	}
	printf("}");
}

void report_json(const struct probe *p)
{
	const struct probe_round_trips *r = &p->round_trips;
	const struct probe_alarm *a = &p->alarm;

	printf("{\"socket\":");
	print_json_string(p->options.socket_path);
	printf(",\"features_offered\":%" PRIu64 ",\"queues_max\":", p->session.features_offered);
	if (p->session.queue_max)
		printf("%" PRIu64, p->session.queue_max);
	else
		printf("null");
	printf(",\"num_clocks\":%u,\"clocks\":[", p->n_clocks);
	for (unsigned int i = 0; i < p->n_clocks; i++) {
		if (i > 0)
			putchar(',');
		print_json_clock(p, &p->clocks[i]);
	}
	printf("],\"round_trip\":");
	if (r->n > 0)
		printf("{\"clock\":%u,\"count\":%u,\"wait\":\"%s\",\"min_ns\":%" PRId64
		       ",\"median_ns\":%" PRId64 ",\"p99_ns\":%" PRId64 ",\"max_ns\":%" PRId64 "}",
			r->clock_id, r->n, wait_name(p->options.wait), r->min_ns, r->median_ns,
			r->p99_ns, r->max_ns);
	else
		printf("null");
	printf(",\"alarm\":");
	if (a->came)
		printf("{\"clock\":%u,\"wait\":\"%s\",\"alarm_ns\":%" PRIu64 ",\"late_ns\":%" PRId64
		       ",\"known_to_ns\":%" PRId64 ",\"reading_beyond_ns\":%" PRId64 "}",
			a->clock_id, wait_name(p->options.wait), a->alarm_ns, a->late_ns,
			a->known_to_ns, a->beyond_ns);
	else
		printf("null");
	printf("}\n");
}
