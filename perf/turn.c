/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-turn: what armed alarms cost the lcore that has them.
 *
 * Several daemons with the same devices on the same CPU, measured in alternating batches while the
 * others are stopped: one whose clocks have no alarms, and some in which other devices have armed
 * so many. Of each the device 0 is measured: the round trip of READ, which its lcore answers once a
 * turn, so a longer turn shows; the round trip of SET_ALARM, which finds its place among the armed
 * ones; and the lateness of one further alarm.
 *
 * The other devices' front-ends arm and go away; their devices keep the alarms (retain = name). At
 * the end they come back and look whether all are still armed: otherwise nothing was measured.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alarm_session.h"
#include "cycles.h"
#include "frontend/deadline.h"
#include "histogram.h"
#include "options.h"
#include "pause.h"
#include "random.h"
#include "result.h"
#include "wire.h"

#define SIDES_MAX     8
#define NO_ALARMS     (-1)
#define WARMUP        2000
#define DAY_NS        86400000000000ull
#define DIR_BYTES_MAX 200

static const char program[] = "dpdk-rtc-turn";

struct options {
	long devices, batches, reads, sets, alarms, cpu, seconds;
	const char *json;
};

enum quantity { READ_TRIP, SET_TRIP, LATENESS, N_QUANTITIES };

static const char *const what[N_QUANTITIES] = {
	"round trip of READ",
	"round trip of SET_ALARM",
	"lateness of one further alarm",
};

static const char *const keys[N_QUANTITIES] = {"READ", "SET_ALARM", "lateness"};

struct side {
	long armed; /* NO_ALARMS: the device's clocks have none */
	pid_t pid;
	uint16_t clock_id; /* UTC */
	bool connected;
	char name[41];
	char dir[DIR_BYTES_MAX];
	struct vfe_session session;
	struct perf_histogram *took[N_QUANTITIES]; /* cycles, cycles, ns */
};

static struct side sides[SIDES_MAX];
static int n_sides;

/* A session without an alarmq, with memory for no more than that. */
static int connect_plainly(struct vfe_session *s, const char *path, bool alarms)
{
	struct vfe_config cfg;
	int result;

	vfe_config_default(&cfg, path);
	cfg.connect_ms = 5000;
	cfg.mem_bytes = 1024 * 1024;
	if (alarms) {
		cfg.features |= 1ull << VIRTIO_RTC_F_ALARM;
		cfg.features_required |= 1ull << VIRTIO_RTC_F_ALARM;
	}
	result = vfe_session_init(s, &cfg);
	if (!result)
		result = vfe_session_start(s);
	if (result) {
		perf_complain(s, program, "connecting", result);
		vfe_session_fini(s);
	}
	return result;
}

/*
 * Arms alarms on a device, one or more days ahead, or counts those that are armed.
 *
 * @return  how many, wanted at most; -1: a line has said why
 */
static long visit(const char *path, long wanted, bool arm)
{
	struct vfe_rtc_clock_cap cap;
	struct vfe_session s;
	uint16_t n_clocks = 0;
	long n = 0;
	int result;

	if (connect_plainly(&s, path, true))
		return -1;
	result = vfe_rtc_cfg(&s, &n_clocks);
	for (uint16_t i = 0; !result && i < n_clocks && n < wanted; i++) {
		uint64_t ns = 0;
		bool armed = true;

		result = vfe_rtc_clock_cap(&s, i, &cap);
		if (result || !(cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP))
			continue;
		if (arm) {
			result = vfe_rtc_read(&s, i, &ns);
			if (!result)
				result = vfe_rtc_set_alarm(
					&s, i, ns + DAY_NS + perf_random() % DAY_NS, true);
		} else {
			result = vfe_rtc_read_alarm(&s, i, &ns, &armed);
		}
		if (!result && armed)
			n++;
	}
	if (result) {
		perf_complain(&s, program, arm ? "arming" : "looking at its alarms", result);
		n = -1;
	}
	vfe_session_fini(&s);
	return n;
}

/* Spreads the alarms evenly over the devices 1 to n, or sees whether they are there. */
static int visit_all(const struct options *o, struct side *side, bool arm)
{
	long left = side->armed;

	for (long d = 1; d <= o->devices && left > 0; d++) {
		long wanted = (left + o->devices - d) / (o->devices - d + 1);
		char path[DIR_BYTES_MAX + 24];
		long n;

		snprintf(path, sizeof(path), "%s/%ld", side->dir, d);
		n = visit(path, wanted, arm);
		if (n < 0)
			return -1;
		left -= n;
	}
	if (left <= 0)
		return 0;
	fprintf(stderr, "%s: %s: %ld of %ld alarms %s\n", program, side->dir, left, side->armed,
		arm ? "found no clock" : "are not armed any more");
	return -1;
}

static int read_once(struct side *side, bool count)
{
	uint64_t reading_ns;
	uint64_t before = perf_cycles();
	int result = vfe_rtc_read(&side->session, side->clock_id, &reading_ns);
	uint64_t cycles = perf_cycles() - before;

	if (count)
		perf_histogram_add(side->took[READ_TRIP], cycles);
	return result;
}

static int set_once(struct side *side, uint64_t now_ns)
{
	uint64_t alarm_ns = now_ns + DAY_NS + perf_random() % DAY_NS;
	uint64_t before = perf_cycles();
	int result = vfe_rtc_set_alarm(&side->session, side->clock_id, alarm_ns, true);
	uint64_t cycles = perf_cycles() - before;

	perf_histogram_add(side->took[SET_TRIP], cycles);
	return result;
}

static int measure(const struct options *o, struct side *side)
{
	uint64_t now_ns = 0;
	int result = 0;

	for (long i = 0; !result && i < WARMUP + o->reads; i++)
		result = read_once(side, i >= WARMUP);
	if (result)
		return perf_complain(&side->session, program, "READ", result);
	if (side->armed == NO_ALARMS)
		return 0;
	result = vfe_rtc_read(&side->session, side->clock_id, &now_ns);
	for (long i = 0; !result && i < o->sets; i++)
		result = set_once(side, now_ns);
	if (result)
		return perf_complain(&side->session, program, "SET_ALARM", result);
	for (long i = 0; i < o->alarms;) {
		int64_t ahead_ns = 100000 + (int64_t)(perf_random() % 100000);
		int64_t lateness_ns = 0;

		switch (perf_alarm_session_time(
			&side->session, program, side->clock_id, ahead_ns, &lateness_ns)) {
		case PERF_ALARM_SEEN:
			perf_histogram_add(
				side->took[LATENESS], lateness_ns > 0 ? (uint64_t)lateness_ns : 0);
			i++;
			break;
		case PERF_ALARM_TOO_LATE:
			break;
		default:
			return -1;
		}
	}
	return 0;
}

static int begin_side(const struct options *o, struct side *side)
{
	char path[DIR_BYTES_MAX + 24];

	for (int q = 0; q < N_QUANTITIES; q++) {
		side->took[q] = perf_histogram_new();
		if (!side->took[q]) {
			fprintf(stderr, "%s: out of memory\n", program);
			return -1;
		}
	}
	snprintf(path, sizeof(path), "%s/0", side->dir);
	if (side->armed == NO_ALARMS) {
		if (connect_plainly(&side->session, path, false))
			return -1;
		side->connected = true;
	} else {
		if (visit_all(o, side, true) < 0 ||
			perf_alarm_session_start(&side->session, program, path) < 0)
			return -1;
		side->connected = true;
		if (perf_alarm_session_find(
			    &side->session, program, VIRTIO_RTC_CLOCK_UTC, &side->clock_id))
			return -1;
	}
	if (perf_pause(side->pid) < 0) {
		fprintf(stderr, "%s: cannot stop process %d\n", program, (int)side->pid);
		return -1;
	}
	return 0;
}

static void report(const struct options *o, double ns_per_cycle)
{
	struct perf_result *r = perf_result_begin(
		"turn", "What do armed alarms cost the lcore that has them?", o->json);
	char name[80];

	perf_result_set_tsc(r, ns_per_cycle);
	for (int q = 0; q < N_QUANTITIES; q++) {
		const struct perf_histogram *base = NULL;

		perf_result_head(
			r, "\n%s: %ld devices, interleaved batches", what[q], o->devices + 1);
		for (int i = 0; i < n_sides; i++) {
			if (sides[i].took[q]->n == 0)
				continue;
			snprintf(name, sizeof(name), "%s, %s", keys[q], sides[i].name);
			perf_result_series(r, name, what[q], "device", sides[i].took[q],
				q == LATENESS ? 1 : ns_per_cycle);
		}
		for (int i = 0; i < n_sides; i++) {
			if (sides[i].took[q]->n == 0)
				continue;
			snprintf(name, sizeof(name), "%s, %s, over the first", keys[q],
				sides[i].name);
			if (base)
				perf_result_ratios(r, name, sides[i].took[q], base, 0, 0, 0);
			else
				base = sides[i].took[q];
		}
	}
	perf_result_end(r);
}

static int run(const struct options *o)
{
	uint64_t first_cycles, last_cycles;
	int64_t first_ns, last_ns;
	int rc = 0;

	for (int i = 0; !rc && i < n_sides; i++)
		rc = begin_side(o, &sides[i]);
	first_ns = vfe_now_ns();
	first_cycles = perf_cycles();
	for (long b = 0; !rc && b < o->batches &&
			 (b == 0 || vfe_now_ns() - first_ns < o->seconds * 1000000000);
		b++) {
		/* Forwards, then backwards: nobody is always behind the same one. */
		for (int i = 0; !rc && i < n_sides; i++) {
			struct side *side = &sides[b & 1 ? n_sides - 1 - i : i];

			perf_pause_end(side->pid);
			rc = measure(o, side);
			if (perf_pause(side->pid) < 0) {
				fprintf(stderr, "%s: cannot stop process %d\n", program,
					(int)side->pid);
				rc = -1;
			}
		}
	}
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	for (int i = 0; !rc && i < n_sides; i++) {
		perf_pause_end(sides[i].pid);
		rc = visit_all(o, &sides[i], false);
		perf_pause(sides[i].pid);
	}
	for (int i = 0; i < n_sides; i++)
		perf_pause_end(sides[i].pid);
	if (!rc)
		report(o, (double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	for (int i = 0; i < n_sides; i++) {
		if (sides[i].connected)
			vfe_session_fini(&sides[i].session);
		for (int q = 0; q < N_QUANTITIES; q++)
			free(sides[i].took[q]);
	}
	return rc ? 1 : 0;
}

/* ARMED,PID,DIR */
static bool add_side(char *text)
{
	struct side *side = &sides[n_sides];
	char *pid_text = strchr(text, ',');
	char *dir = pid_text ? strchr(pid_text + 1, ',') : NULL;
	long pid;

	if (!dir || strlen(dir + 1) >= sizeof(side->dir)) {
		fprintf(stderr, "%s: --side %s: ARMED,PID,DIR is accepted\n", program, text);
		return false;
	}
	if (n_sides == SIDES_MAX) {
		fprintf(stderr, "%s: --side: up to %d\n", program, SIDES_MAX);
		return false;
	}
	*pid_text++ = '\0';
	*dir++ = '\0';
	side->armed = NO_ALARMS;
	if (strcmp(text, "none") != 0 && !perf_number(program, text, 0, 30000, &side->armed))
		return false;
	if (!perf_number(program, pid_text, 0, 1 << 30, &pid))
		return false;
	side->pid = (pid_t)pid;
	memcpy(side->dir, dir, strlen(dir) + 1);
	if (side->armed == NO_ALARMS)
		snprintf(side->name, sizeof(side->name), "clocks without alarms");
	else
		snprintf(side->name, sizeof(side->name), "%ld armed", side->armed);
	n_sides++;
	return true;
}

static const char help[] =
	"usage: dpdk-rtc-turn --side ARMED,PID,DIR [--side ...] [OPTION...]\n"
	"Measures what armed alarms cost. Each side is a daemon with --retain name and its devices on\n"
	"DIR/0, which is measured, and DIR/1 to DIR/N, on which ARMED alarms are spread; stopped while\n"
	"another is measured (PID 0: not). ARMED is a number, or none: its clocks have no alarms.\n"
	"Ratios are to the first side.\n"
	"  --devices N  that are not measured (500)\n"
	"  --seconds N  no further batch after that long (40)\n"
	"  --batches N  of each (20); in each of them\n"
	"    --reads N  READ (10000)   --sets N  SET_ALARM (1000)   --alarms N  expire (100)\n"
	"  --cpu N      pin this process (0; -1: do not)\n"
	"  --quick      5 batches\n"
	"  --json FILE\n";

int main(int argc, char **argv)
{
	enum { SIDE = 1, DEVICES, BATCHES, READS, SETS, ALARMS, CPU, SECONDS, QUICK, JSON, HELP };
	static const struct option options[] = {
		{"side", required_argument, NULL, SIDE},
		{"devices", required_argument, NULL, DEVICES},
		{"batches", required_argument, NULL, BATCHES},
		{"reads", required_argument, NULL, READS},
		{"sets", required_argument, NULL, SETS},
		{"alarms", required_argument, NULL, ALARMS},
		{"cpu", required_argument, NULL, CPU},
		{"seconds", required_argument, NULL, SECONDS},
		{"quick", no_argument, NULL, QUICK},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.devices = 500,
		.batches = 20,
		.reads = 10000,
		.sets = 1000,
		.alarms = 100,
		.seconds = 40};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case SIDE:
			ok = add_side(optarg);
			break;
		case DEVICES:
			ok = perf_number(program, optarg, 1, 510, &o.devices);
			break;
		case BATCHES:
			ok = perf_number(program, optarg, 1, 100000, &o.batches);
			break;
		case READS:
			ok = perf_number(program, optarg, 1, 10000000, &o.reads);
			break;
		case SETS:
			ok = perf_number(program, optarg, 1, 10000000, &o.sets);
			break;
		case ALARMS:
			ok = perf_number(program, optarg, 1, 1000000, &o.alarms);
			break;
		case CPU:
			ok = perf_number(program, optarg, -1, 1023, &o.cpu);
			break;
		case SECONDS:
			ok = perf_number(program, optarg, 1, 3600, &o.seconds);
			break;
		case QUICK:
			o.batches = 5;
			break;
		case JSON:
			o.json = optarg;
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
	if (n_sides == 0 || optind != argc) {
		fprintf(stderr, "%s: --side is needed; see --help\n", program);
		return 2;
	}
	if (!perf_pin(program, (int)o.cpu))
		return 1;
	perf_pause_begin();
	return run(&o);
}
