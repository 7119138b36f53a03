/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-early: whether a driver that was notified of an alarm ever reads its clock before the
 * alarm time (virtio-v1.4 RTC Device, "return a clock_reading which does not precede A").
 *
 * In each round every clock with an alarm is read and its alarm set a random time ahead of that,
 * to the nanosecond; then, at each notification, that clock is read by a request made after it. So
 * the alarms of several timescales expire among each other. Besides what was early it is counted
 * what came twice, or for a clock whose alarm was not set; what does not come ends the program.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alarm_session.h"
#include "figures.h"
#include "options.h"
#include "random.h"
#include "wire.h"

#define CLOCKS_MAX  16
#define PATIENCE_MS 2000

static const char program[] = "dpdk-rtc-early";

struct options {
	const char *path;
	long alarms, cpu, ahead_max_us;
	bool json;
};

struct clock {
	uint16_t id;
	struct vfe_rtc_clock_cap cap;
	bool waiting;
	uint64_t alarm_ns;
	size_t n, n_early;
	int64_t *margin_ns; /* reading after the notification, minus alarm time */
};

static struct vfe_session session;
static struct clock clocks[CLOCKS_MAX];
static unsigned int n_clocks;
static size_t n_unasked; /* notifications of an alarm that was not set, or notified before */

static int find_clocks(size_t margins)
{
	uint16_t n = 0;
	int result = vfe_rtc_cfg(&session, &n);

	for (uint16_t i = 0; !result && i < n && n_clocks < CLOCKS_MAX; i++) {
		struct clock *c = &clocks[n_clocks];

		result = vfe_rtc_clock_cap(&session, i, &c->cap);
		if (result || !(c->cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP))
			continue;
		c->id = i;
		c->margin_ns = malloc(sizeof(c->margin_ns[0]) * margins);
		if (!c->margin_ns) {
			fprintf(stderr, "%s: out of memory\n", program);
			return -1;
		}
		n_clocks++;
	}
	if (result)
		return perf_complain(&session, program, "its clocks", result);
	if (n_clocks == 0) {
		fprintf(stderr, "%s: %s: no clock has an alarm\n", program,
			session.cfg.socket_path);
		return -1;
	}
	return 0;
}

static int set_all(const struct options *o)
{
	for (unsigned int i = 0; i < n_clocks; i++) {
		struct clock *c = &clocks[i];
		uint64_t now_ns = 0;
		int result = vfe_rtc_read(&session, c->id, &now_ns);

		if (result)
			return perf_complain(&session, program, "READ", result);
		c->alarm_ns = now_ns + perf_random() % ((uint64_t)o->ahead_max_us * 1000 + 1);
		c->waiting = true;
		result = vfe_rtc_set_alarm(&session, c->id, c->alarm_ns, true);
		if (result)
			return perf_complain(&session, program, "SET_ALARM", result);
	}
	return 0;
}

static int take_one(unsigned int *n_waiting)
{
	struct clock *c = NULL;
	uint64_t reading_ns = 0;
	uint16_t id = 0;
	int result = vfe_rtc_alarm_wait(&session, &id, true, PATIENCE_MS);

	if (result)
		return perf_complain(&session, program, "a notification", result);
	for (unsigned int i = 0; i < n_clocks; i++)
		if (clocks[i].id == id)
			c = &clocks[i];
	if (!c || !c->waiting) {
		n_unasked++;
		return 0;
	}
	result = vfe_rtc_read(&session, id, &reading_ns);
	if (result)
		return perf_complain(&session, program, "READ", result);
	c->waiting = false;
	(*n_waiting)--;
	c->margin_ns[c->n] = (int64_t)(reading_ns - c->alarm_ns);
	if (c->margin_ns[c->n] < 0)
		c->n_early++;
	c->n++;
	return 0;
}

static int measure(const struct options *o, size_t rounds)
{
	const struct vfe_ring *alarmq = &session.queues[VIRTIO_RTC_ALARMQ].ring;

	for (size_t r = 0; r < rounds; r++) {
		unsigned int n_waiting = n_clocks;

		if (set_all(o) < 0)
			return -1;
		/* Also what is there although nothing is waited for. */
		while (n_waiting > 0 || vfe_ring_used_idx(alarmq) != alarmq->used_idx)
			if (take_one(&n_waiting) < 0)
				return -1;
	}
	return 0;
}

static size_t report(const struct options *o, size_t rounds)
{
	size_t n_early = 0;

	for (unsigned int i = 0; i < n_clocks; i++)
		n_early += clocks[i].n_early;
	if (o->json)
		printf("{\n  \"what\": \"reading after an alarm's notification minus alarm time, ns\",\n"
		       "  \"alarms\": %zu,\n  \"early\": %zu,\n  \"not_asked_for\": %zu,\n",
			rounds * n_clocks, n_early, n_unasked);
	else
		printf("never early: %zu alarms, up to %ld us ahead; early: %zu; notified without being "
		       "due: %zu;\na reading asked for after the notification is beyond the alarm time "
		       "by\n",
			rounds * n_clocks, o->ahead_max_us, n_early, n_unasked);
	if (!o->json)
		perf_figures_print_head();
	for (unsigned int i = 0; i < n_clocks; i++) {
		struct clock *c = &clocks[i];
		struct perf_figures f = perf_figures_of(c->margin_ns, c->n, 1);
		bool smeared = c->cap.type == VIRTIO_RTC_CLOCK_UTC_SMEARED;
		char name[64];

		snprintf(name, sizeof(name), "%u %s%s%s", c->id,
			smeared ? "" : vfe_rtc_clock_type_name(c->cap.type),
			smeared ? "SMEARED " : "",
			smeared ? vfe_rtc_smearing_name(c->cap.smearing) : "");
		if (o->json)
			perf_figures_print_json(name, &f, i + 1 < n_clocks ? "," : "");
		else
			perf_figures_print(name, "ns", &f);
	}
	if (o->json)
		puts("}");
	return n_early;
}

static int run(const struct options *o)
{
	size_t rounds = 0;
	int rc;

	if (perf_alarm_session_start(&session, program, o->path) < 0)
		return 1;
	rc = find_clocks((size_t)o->alarms);
	if (!rc) {
		rounds = ((size_t)o->alarms + n_clocks - 1) / n_clocks;
		rc = measure(o, rounds);
	}
	/* An early alarm is a fault, not a slow result. */
	if (!rc && report(o, rounds) > 0)
		rc = -1;
	for (unsigned int i = 0; i < n_clocks; i++)
		free(clocks[i].margin_ns);
	vfe_session_fini(&session);
	return rc ? 1 : 0;
}

static const char help[] =
	"usage: dpdk-rtc-early --device SOCKET [OPTION...]\n"
	"Sets alarms on all clocks of a device that have one, and reads each clock after its\n"
	"notification. Exit status 1 if a reading is before the alarm time.\n"
	"  --alarms N      in all (100000)\n"
	"  --ahead-max US  how long before its time an alarm is set at most (50)\n"
	"  --cpu N         pin this process (0; -1: do not)\n"
	"  --json\n";

int main(int argc, char **argv)
{
	enum { DEVICE = 1, ALARMS, AHEAD_MAX, CPU, JSON, HELP };
	static const struct option options[] = {
		{"device", required_argument, NULL, DEVICE},
		{"alarms", required_argument, NULL, ALARMS},
		{"ahead-max", required_argument, NULL, AHEAD_MAX},
		{"cpu", required_argument, NULL, CPU},
		{"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.alarms = 100000, .ahead_max_us = 50};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case DEVICE:
			o.path = optarg;
			break;
		case ALARMS:
			ok = perf_number(program, optarg, 1, 100000000, &o.alarms);
			break;
		case AHEAD_MAX:
			ok = perf_number(program, optarg, 0, 1000000, &o.ahead_max_us);
			break;
		case CPU:
			ok = perf_number(program, optarg, -1, 1023, &o.cpu);
			break;
		case JSON:
			o.json = true;
			break;
		case HELP:
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
		if (!ok)
			return 2;
	}
	if (!o.path || optind != argc) {
		fprintf(stderr, "%s: --device is needed; see --help\n", program);
		return 2;
	}
	return perf_pin(program, (int)o.cpu) ? run(&o) : 1;
}
