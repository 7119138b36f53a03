/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-wakeup: what each idle policy costs, and what it saves: the round trip of a READ that
 * comes after the device had nothing to do for a while, and the processor time of the daemon.
 *
 * A daemon for each policy, started here, on the same CPU; all but one are stopped. The driver
 * spins through the gaps and polls for the answer, so that no sleep but the device's is measured,
 * and kicks where the device wants that. Slices are interleaved.
 *
 * Processor time is the kernel's account of all the daemon's threads, over the slices of a gap.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "cycles.h"
#include "frontend/deadline.h"
#include "histogram.h"
#include "lane.h"
#include "options.h"
#include "partner.h"
#include "pause.h"
#include "result.h"

#define RING_ENTRIES   256
#define CONNECT_MS     30000
#define WARMUP         200
#define NOISE_SLICE_MS 20

static const char program[] = "dpdk-rtc-wakeup";

static const unsigned gaps_us[] = {0, 10, 30, 100, 300, 1000, 3000, 10000};
#define N_GAPS (sizeof(gaps_us) / sizeof(gaps_us[0]))

enum { N_POLICIES = 3 };

static const char *const policies[N_POLICIES] = {"busy", "pause", "interrupt"};

struct options {
	const char *daemon;
	long cpu, poller_cpu, slice_ms, rounds;
	const char *json;
};

struct cell {
	struct perf_histogram *took;
	int64_t wall_ns;
	int64_t cpu_ns;
};

struct side {
	struct perf_child child;
	struct perf_lane lane;
	char path[80];
	struct cell cell[N_GAPS];
	struct cell asleep; /* no request at all */
};

static struct side sides[N_POLICIES];

static int read_once(struct perf_lane *lane, struct perf_histogram *took)
{
	uint64_t begin = perf_cycles();

	if (perf_lane_add(lane, 0))
		return -1;
	perf_lane_publish(lane);
	if (perf_lane_wait(lane) < 0)
		return -1;
	if (took)
		perf_histogram_add(took, perf_cycles() - begin);
	return 0;
}

static void spin(uint64_t cycles)
{
	uint64_t begin = perf_cycles();

	while (perf_cycles() - begin < cycles)
		;
}

/* A slice of one gap; at least one request. */
static int run_gap(const struct options *o, struct side *side, size_t g, double cycles_per_us)
{
	struct cell *cell = &side->cell[g];
	uint64_t gap = (uint64_t)(gaps_us[g] * cycles_per_us);
	int64_t begin_ns = vfe_now_ns();
	int64_t cpu_ns = perf_child_cpu_ns(&side->child);
	int64_t end_ns = begin_ns + o->slice_ms * 1000000;

	do {
		spin(gap);
		if (read_once(&side->lane, cell->took))
			return -1;
	} while (vfe_now_ns() < end_ns);
	cell->cpu_ns += perf_child_cpu_ns(&side->child) - cpu_ns;
	cell->wall_ns += vfe_now_ns() - begin_ns;
	return 0;
}

static int take_turn(const struct options *o, struct side *side, double cycles_per_us)
{
	int64_t begin_ns, cpu_ns;
	int rc = 0;

	perf_pause_end(side->child.pid);
	for (unsigned i = 0; !rc && i < WARMUP; i++)
		rc = read_once(&side->lane, NULL);
	for (size_t g = 0; !rc && g < N_GAPS; g++)
		rc = run_gap(o, side, g, cycles_per_us);
	begin_ns = vfe_now_ns();
	cpu_ns = perf_child_cpu_ns(&side->child);
	perf_sleep_ms((unsigned)o->slice_ms);
	side->asleep.cpu_ns += perf_child_cpu_ns(&side->child) - cpu_ns;
	side->asleep.wall_ns += vfe_now_ns() - begin_ns;
	if (perf_pause(side->child.pid) < 0) {
		fprintf(stderr, "%s: cannot stop process %d\n", program, (int)side->child.pid);
		rc = -1;
	}
	return rc;
}

static int begin_side(const struct options *o, int i, const char *dir)
{
	struct side *side = &sides[i];
	const struct perf_lane_config config = {
		.path = side->path,
		.depth = 1,
		.ring_entries = RING_ENTRIES,
		.connect_ms = CONNECT_MS,
	};
	/* Without alarms, so that nothing else is on the lcore. */
	char *argv[] = {(char *)(uintptr_t)o->daemon, (char *)"--idle",
		(char *)(uintptr_t)policies[i], (char *)"--clocks", (char *)"utc,tai,monotonic",
		(char *)"--socket-path", side->path, NULL};

	snprintf(side->path, sizeof(side->path), "%s/%s", dir, policies[i]);
	for (size_t g = 0; g < N_GAPS; g++) {
		side->cell[g].took = perf_histogram_new();
		if (!side->cell[g].took) {
			fprintf(stderr, "%s: out of memory\n", program);
			return -1;
		}
	}
	if (perf_child_start(&side->child, program, dir, argv))
		return -1;
	if (perf_lane_init(&side->lane, program, &config) || perf_lane_start(&side->lane)) {
		(void)perf_child_lives(&side->child, program);
		return -1;
	}
	if (perf_pause(side->child.pid) < 0) {
		fprintf(stderr, "%s: cannot stop process %d\n", program, (int)side->child.pid);
		return -1;
	}
	return 0;
}

static double percent(const struct cell *cell)
{
	return cell->wall_ns > 0 ? 100.0 * (double)cell->cpu_ns / (double)cell->wall_ns : 0;
}

static void name_gap(char *text, size_t bytes, int i, size_t g)
{
	if (gaps_us[g] == 0)
		snprintf(text, bytes, "%s, no gap", policies[i]);
	else
		snprintf(text, bytes, "%s, gap %u us", policies[i], gaps_us[g]);
}

static void report(const struct options *o, const struct perf_histogram *noise, double ns_per_cycle)
{
	struct perf_result *r = perf_result_begin("wakeup",
		"What does each idle policy cost in latency after a pause, and save in processor "
		"time?",
		o->json);
	char name[64];

	perf_result_set_tsc(r, ns_per_cycle);
	perf_result_head(r, "\nround trip of READ after a gap without requests");
	for (int i = 0; i < N_POLICIES; i++) {
		for (size_t g = 0; g < N_GAPS; g++) {
			name_gap(name, sizeof(name), i, g);
			perf_result_series(r, name, policies[i], "device", sides[i].cell[g].took,
				ns_per_cycle);
		}
	}
	if (noise)
		perf_result_noise(r, (int)o->poller_cpu, noise, ns_per_cycle);
	puts("\nthe daemon's processor time, of one CPU");
	for (int i = 0; i < N_POLICIES; i++) {
		char group[64];

		snprintf(group, sizeof(group), "processor time, %s", policies[i]);
		for (size_t g = 0; g < N_GAPS; g++) {
			name_gap(name, sizeof(name), i, g);
			perf_result_value(r, name, group, percent(&sides[i].cell[g]), "%");
		}
		snprintf(name, sizeof(name), "%s, no requests", policies[i]);
		perf_result_value(r, name, group, percent(&sides[i].asleep), "%");
	}
	perf_result_end(r);
}

static int measure(const struct options *o, const char *dir)
{
	struct perf_histogram *noise = perf_histogram_new();
	struct perf_partner *partner = NULL;
	uint64_t first_cycles, last_cycles;
	int64_t first_ns, last_ns;
	double cycles_per_us;
	int rc = 0;

	for (int i = 0; !rc && i < N_POLICIES; i++)
		rc = begin_side(o, i, dir);
	if (!rc && noise)
		partner = perf_partner_new((int)o->poller_cpu, noise);
	cycles_per_us = 1e3 / perf_ns_per_cycle();
	first_ns = vfe_now_ns();
	first_cycles = perf_cycles();
	for (int round = 0; !rc && round < o->rounds; round++) {
		/* Forwards, then backwards: nobody is always behind the same one. */
		for (int i = 0; !rc && i < N_POLICIES; i++)
			rc = take_turn(
				o, &sides[round & 1 ? N_POLICIES - 1 - i : i], cycles_per_us);
		if (partner) {
			perf_partner_begin(partner, PERF_PARTNER_LISTENS);
			perf_sleep_ms(NOISE_SLICE_MS);
			perf_partner_end(partner);
		}
	}
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	if (!rc)
		report(o, partner ? noise : NULL,
			(double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	perf_partner_free(partner);
	free(noise);
	for (int i = 0; i < N_POLICIES; i++) {
		perf_pause_end(sides[i].child.pid);
		perf_lane_fini(&sides[i].lane);
		perf_child_end(&sides[i].child);
		for (size_t g = 0; g < N_GAPS; g++)
			free(sides[i].cell[g].took);
	}
	return rc ? 1 : 0;
}

static int run(const struct options *o)
{
	char dir[] = "/tmp/dpdk-rtc-wakeup-XXXXXX";
	int rc;

	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	rc = measure(o, dir);
	rmdir(dir);
	return rc;
}

static const char help[] =
	"usage: dpdk-rtc-wakeup --daemon PROGRAM [OPTION...]\n"
	"Measures, for each --idle of dpdk-rtc, the round trip of a READ after gaps without requests,\n"
	"and the processor time that the daemon takes. The daemons are started here.\n"
	"  --daemon PROGRAM  dpdk-rtc\n"
	"  --cpu N           pin this process (0; -1: do not)\n"
	"  --poller-cpu N    where they poll (the last that this process may use): for its noise\n"
	"  --slice-ms N      of each policy and gap (50)   --rounds N  of slices (16; --quick: 3)\n"
	"  --json FILE\n";

int main(int argc, char **argv)
{
	enum { DAEMON = 1, CPU, POLLER_CPU, SLICE_MS, ROUNDS, QUICK, JSON, HELP };
	static const struct option options[] = {
		{"daemon", required_argument, NULL, DAEMON},
		{"cpu", required_argument, NULL, CPU},
		{"poller-cpu", required_argument, NULL, POLLER_CPU},
		{"slice-ms", required_argument, NULL, SLICE_MS},
		{"rounds", required_argument, NULL, ROUNDS},
		{"quick", no_argument, NULL, QUICK},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.slice_ms = 50, .rounds = 16, .poller_cpu = perf_last_cpu()};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case DAEMON:
			o.daemon = optarg;
			break;
		case CPU:
			ok = perf_number(program, optarg, -1, 1023, &o.cpu);
			break;
		case POLLER_CPU:
			ok = perf_number(program, optarg, 0, 1023, &o.poller_cpu);
			break;
		case SLICE_MS:
			ok = perf_number(program, optarg, 1, 10000, &o.slice_ms);
			break;
		case ROUNDS:
			ok = perf_number(program, optarg, 1, 1000, &o.rounds);
			break;
		case QUICK:
			o.rounds = 3;
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
	if (!o.daemon || optind != argc) {
		fprintf(stderr, "%s: --daemon is needed; see --help\n", program);
		return 2;
	}
	perf_child_begin();
	if (!perf_pin(program, (int)o.cpu))
		return 1;
	perf_pause_begin();
	return run(&o);
}
