/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-scale: what devices cost that share one lcore: up to 500 that listen, and, in client
 * mode, as many as rte_vhost takes. A daemon for each number of devices, started here.
 *
 *	memory   resident in the daemon, with a front-end at each device
 *	idle     the round trip of READ on one device, while the others have nothing to do. Its lcore
 *	         looks at it once a turn, so what a round trip is longer with more devices is a turn
 *	         that is longer: divided by the number of devices, the cost of an idle one
 *	active   a READ outstanding on each device at all times, from one driver: the time of each
 *	burst    a READ on each device, all published before the driver looks for the first answer:
 *	         the time of the one that is published first, and of all of them
 *
 * Of the last two the driver has a part, since one thread is the driver of all devices; how the
 * device's own time grows with their number is measured without one by dpdk-rtc-device-time.
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

#define LANES_MAX      1000
#define RING_ENTRIES   256
#define CONNECT_MS     20000
#define WARMUP_TURNS   3
#define NOISE_SLICE_MS 100
#define PATH_BYTES     64

static const char program[] = "dpdk-rtc-scale";

struct options {
	const char *daemon;
	long cpu, poller_cpu, ms, servers, clients;
	const char *json;
};

enum quantity { IDLE, ACTIVE, BURST_FIRST, BURST_ALL, N_QUANTITIES };

static const char *const quantity_names[N_QUANTITIES] = {
	"idle neighbours",
	"all active",
	"burst, the first one",
	"burst, all of them",
};

static const char *const quantity_heads[N_QUANTITIES] = {
	"round trip of READ on one device, the others idle",
	"READ, with one outstanding on each device",
	"READs on all devices at once: the one that was published first",
	"READs on all devices at once: until the last is answered",
};

/* A number of devices. */
struct crowd {
	unsigned n;
	bool client;
	bool measured;
	struct perf_child_memory before; /* without a front-end */
	struct perf_child_memory after;
	struct perf_histogram *took[N_QUANTITIES];
};

static struct crowd crowds[] = {
	{.n = 1},
	{.n = 10},
	{.n = 100},
	{.n = 500},
	{.n = LANES_MAX, .client = true},
};
#define N_CROWDS (sizeof(crowds) / sizeof(crowds[0]))

static struct perf_lane lanes[LANES_MAX];
static char paths[LANES_MAX][PATH_BYTES];
static uint64_t published[LANES_MAX];
static struct perf_child child;

static int publish_on(unsigned i)
{
	if (perf_lane_add(&lanes[i], 0))
		return -1;
	published[i] = perf_cycles();
	perf_lane_publish(&lanes[i]);
	return 0;
}

static int run_idle(struct crowd *crowd, int64_t end_ns)
{
	struct perf_lane *lane = &lanes[crowd->n / 2];

	while (vfe_now_ns() < end_ns) {
		for (unsigned i = 0; i < 64; i++) {
			uint64_t begin = perf_cycles();

			if (perf_lane_add(lane, 0))
				return -1;
			perf_lane_publish(lane);
			if (perf_lane_wait(lane) < 0)
				return -1;
			perf_histogram_add(crowd->took[IDLE], perf_cycles() - begin);
		}
	}
	return 0;
}

/* Once around all devices: what is answered is published again while it goes on. */
static int turn_over(struct crowd *crowd, bool count, bool go_on)
{
	for (unsigned i = 0; i < crowd->n; i++) {
		int slot = go_on ? perf_lane_take(&lanes[i]) : perf_lane_wait(&lanes[i]);

		if (slot == PERF_LANE_ERROR)
			return -1;
		if (slot == PERF_LANE_NONE)
			continue;
		if (count)
			perf_histogram_add(crowd->took[ACTIVE], perf_cycles() - published[i]);
		if (go_on && publish_on(i))
			return -1;
	}
	return 0;
}

static int run_active(struct crowd *crowd, int64_t end_ns)
{
	for (unsigned i = 0; i < crowd->n; i++)
		if (publish_on(i))
			return -1;
	for (unsigned turn = 0; turn < WARMUP_TURNS || vfe_now_ns() < end_ns; turn++)
		if (turn_over(crowd, turn >= WARMUP_TURNS, true))
			return -1;
	return turn_over(crowd, false, false);
}

static int run_burst(struct crowd *crowd, bool count)
{
	uint64_t first = 0;
	uint64_t begin;

	/* All is written before; what remains to be done is a store for each. */
	for (unsigned i = 0; i < crowd->n; i++)
		if (perf_lane_add(&lanes[i], 0))
			return -1;
	begin = perf_cycles();
	for (unsigned i = 0; i < crowd->n; i++)
		perf_lane_publish(&lanes[i]);
	for (unsigned i = 0; i < crowd->n; i++) {
		if (perf_lane_wait(&lanes[i]) < 0)
			return -1;
		if (i == 0)
			first = perf_cycles() - begin;
	}
	if (count) {
		perf_histogram_add(crowd->took[BURST_FIRST], first);
		perf_histogram_add(crowd->took[BURST_ALL], perf_cycles() - begin);
	}
	return 0;
}

static int run_bursts(struct crowd *crowd, int64_t end_ns)
{
	for (unsigned turn = 0; turn < WARMUP_TURNS || vfe_now_ns() < end_ns; turn++)
		if (run_burst(crowd, turn >= WARMUP_TURNS))
			return -1;
	return 0;
}

/* The daemon's command line. */
static char **command(const struct options *o, const struct crowd *crowd)
{
	char **argv = calloc(crowd->n * 2 + 8, sizeof(argv[0]));
	size_t n = 0;

	if (!argv)
		return NULL;
	argv[n++] = (char *)(uintptr_t)o->daemon;
	argv[n++] = (char *)"--idle";
	argv[n++] = (char *)"busy";
	/* Without alarms, so that nothing else is on the lcore. */
	argv[n++] = (char *)"--clocks";
	argv[n++] = (char *)"utc,tai,monotonic";
	if (crowd->client)
		argv[n++] = (char *)"--client";
	for (unsigned i = 0; i < crowd->n; i++) {
		argv[n++] = (char *)"--socket-path";
		argv[n++] = paths[i];
	}
	return argv;
}

/* Lanes, daemon, lanes: who listens comes first. */
static int set_up(const struct options *o, struct crowd *crowd, const char *dir)
{
	char **argv;
	int rc = 0;

	for (unsigned i = 0; !rc && i < crowd->n; i++) {
		const struct perf_lane_config config = {
			.path = paths[i],
			.listen = crowd->client,
			.depth = 1,
			.ring_entries = RING_ENTRIES,
			.connect_ms = CONNECT_MS,
		};

		snprintf(paths[i], sizeof(paths[i]), "%.40s/%u", dir, i);
		rc = perf_lane_init(&lanes[i], program, &config);
	}
	argv = command(o, crowd);
	if (rc || !argv || perf_child_start(&child, program, dir, argv)) {
		free(argv);
		return -1;
	}
	free(argv);
	for (unsigned i = 0; !rc && i < crowd->n; i++) {
		rc = perf_lane_start(&lanes[i]);
		if (rc) {
			fprintf(stderr, "%s: device %u of %u\n", program, i + 1, crowd->n);
			(void)perf_child_lives(&child, program);
		}
		/* It listens on the last one: so it is complete. */
		if (i == 0 && !crowd->client)
			crowd->before = perf_child_memory(&child);
	}
	return rc;
}

static int measure_crowd(const struct options *o, struct crowd *crowd, const char *dir)
{
	static int (*const run[])(struct crowd *, int64_t) = {run_idle, run_active, run_bursts};
	int rc = 0;

	for (int q = 0; q < N_QUANTITIES; q++) {
		crowd->took[q] = perf_histogram_new();
		if (!crowd->took[q]) {
			fprintf(stderr, "%s: out of memory\n", program);
			return -1;
		}
	}
	rc = set_up(o, crowd, dir);
	for (size_t i = 0; !rc && i < sizeof(run) / sizeof(run[0]); i++)
		rc = run[i](crowd, vfe_now_ns() + o->ms * 1000000);
	if (!rc)
		crowd->after = perf_child_memory(&child);
	for (unsigned i = 0; i < crowd->n; i++)
		perf_lane_fini(&lanes[i]);
	perf_child_end(&child);
	crowd->measured = rc == 0;
	return rc;
}

static void report_crowd(struct perf_result *r, int q, double ns_per_cycle)
{
	perf_result_head(r, "\n%s", quantity_heads[q]);
	for (size_t c = 0; c < N_CROWDS; c++) {
		char name[64];

		if (!crowds[c].measured)
			continue;
		snprintf(name, sizeof(name), "%s, %u%s", quantity_names[q], crowds[c].n,
			crowds[c].client ? ", client" : "");
		perf_result_series(
			r, name, quantity_heads[q], "device", crowds[c].took[q], ns_per_cycle);
	}
}

/* The crowd of server mode with the most devices that were measured, or with the fewest. */
static const struct crowd *extreme(bool most)
{
	const struct crowd *found = NULL;

	for (size_t c = 0; c < N_CROWDS; c++) {
		if (!crowds[c].measured || crowds[c].client)
			continue;
		if (!found || most)
			found = &crowds[c];
	}
	return found;
}

/*
 * Of the medians: a request of one device waits for the turn to come to it again, whose length is
 * the sum of its devices.
 */
static void report_idle_cost(struct perf_result *r, double ns_per_cycle)
{
	const struct crowd *few = NULL;

	for (size_t c = 0; c < N_CROWDS; c++) {
		const struct crowd *many = &crowds[c];
		double more;
		char name[96];

		if (!many->measured || many->client || many->n < 100)
			continue;
		/* With few devices a turn is shorter than the way of a request. */
		if (few) {
			more = (double)perf_histogram_quantile(many->took[IDLE], 0.5) -
			       (double)perf_histogram_quantile(few->took[IDLE], 0.5);
			snprintf(name, sizeof(name), "an idle device, each turn (%u against %u)",
				many->n, few->n);
			perf_result_value(r, name, "idle device",
				more * ns_per_cycle / (many->n - few->n), "ns");
			perf_result_ratio(r, "an idle device's ns over 5 ns",
				more * ns_per_cycle / (many->n - few->n) / 5, 1);
		}
		few = many;
	}
}

static void report_memory(struct perf_result *r)
{
	const struct crowd *few = extreme(false);
	const struct crowd *many = extreme(true);

	for (size_t c = 0; c < N_CROWDS; c++) {
		char name[96];

		if (!crowds[c].measured)
			continue;
		snprintf(name, sizeof(name), "resident, %u device%s%s", crowds[c].n,
			crowds[c].n > 1 ? "s" : "", crowds[c].client ? ", client" : "");
		perf_result_value(r, name, "memory",
			(double)(crowds[c].after.anonymous_kib + crowds[c].after.file_kib) / 1024,
			"MiB");
	}
	if (many && many->n > few->n) {
		double n = many->n - few->n;

		perf_result_value(r, "a device with a front-end: the daemon's own memory", "memory",
			(double)(many->after.anonymous_kib - few->after.anonymous_kib) / n, "KiB");
		perf_result_value(r, "a device with a front-end: touched of the guest's", "memory",
			(double)(many->after.shared_kib - few->after.shared_kib) / n, "KiB");
	}
}

static void report(const struct options *o, const struct perf_histogram *noise, double ns_per_cycle)
{
	struct perf_result *r = perf_result_begin("scale",
		"What do many devices on one lcore cost each other, idle and active?", o->json);

	perf_result_set_tsc(r, ns_per_cycle);
	for (int q = 0; q < N_QUANTITIES; q++)
		report_crowd(r, q, ns_per_cycle);
	perf_result_noise(r, (int)o->poller_cpu, noise, ns_per_cycle);
	putchar('\n');
	report_idle_cost(r, ns_per_cycle);
	for (size_t c = 0; c < N_CROWDS; c++) {
		char name[96];

		if (!crowds[c].measured || crowds[c].took[ACTIVE]->n == 0)
			continue;
		/* One thread is the driver of all. */
		snprintf(name, sizeof(name), "READs a second, all of %u active%s", crowds[c].n,
			crowds[c].client ? ", client" : "");
		perf_result_value(r, name, "READs a second",
			crowds[c].n * 1e9 /
				(perf_histogram_mean(crowds[c].took[ACTIVE]) * ns_per_cycle),
			"1/s");
	}
	report_memory(r);
	perf_result_end(r);
}

static int measure(const struct options *o, const char *dir)
{
	struct perf_histogram *noise = perf_histogram_new();
	struct perf_partner *partner;
	uint64_t first_cycles, last_cycles;
	int64_t first_ns, last_ns;
	int rc = 0;

	partner = noise ? perf_partner_new((int)o->poller_cpu, noise) : NULL;
	if (!partner)
		rc = -1;
	first_ns = vfe_now_ns();
	first_cycles = perf_cycles();
	for (size_t c = 0; !rc && c < N_CROWDS; c++) {
		if (crowds[c].n > (crowds[c].client ? o->clients : o->servers))
			continue;
		rc = measure_crowd(o, &crowds[c], dir);
		perf_partner_begin(partner, PERF_PARTNER_LISTENS);
		perf_sleep_ms(NOISE_SLICE_MS);
		perf_partner_end(partner);
	}
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	if (!rc)
		report(o, noise,
			(double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	perf_partner_free(partner);
	free(noise);
	for (size_t c = 0; c < N_CROWDS; c++)
		for (int q = 0; q < N_QUANTITIES; q++)
			free(crowds[c].took[q]);
	return rc ? 1 : 0;
}

static int run(const struct options *o)
{
	char dir[] = "/tmp/dpdk-rtc-scale-XXXXXX";
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
	"usage: dpdk-rtc-scale --daemon PROGRAM [OPTION...]\n"
	"Measures what 1, 10, 100 and 500 devices on one lcore cost each other, idle and active, and\n"
	"1000 in client mode; and the memory of a device. The daemons are started here.\n"
	"  --daemon PROGRAM  dpdk-rtc\n"
	"  --cpu N           pin this process (0; -1: do not)\n"
	"  --poller-cpu N    where they poll (the last that this process may use): for its noise\n"
	"  --ms N            of each quantity and number of devices (1000; --quick: 200)\n"
	"  --servers N       no more devices than this (500)\n"
	"  --clients N       in client mode (1000; 0: none)\n"
	"  --json FILE\n";

int main(int argc, char **argv)
{
	enum { DAEMON = 1, CPU, POLLER_CPU, MS, SERVERS, CLIENTS, QUICK, JSON, HELP };
	static const struct option options[] = {
		{"daemon", required_argument, NULL, DAEMON},
		{"cpu", required_argument, NULL, CPU},
		{"poller-cpu", required_argument, NULL, POLLER_CPU},
		{"ms", required_argument, NULL, MS},
		{"servers", required_argument, NULL, SERVERS},
		{"clients", required_argument, NULL, CLIENTS},
		{"quick", no_argument, NULL, QUICK},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {
		.ms = 1000, .servers = 500, .clients = LANES_MAX, .poller_cpu = perf_last_cpu()};
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
		case MS:
			ok = perf_number(program, optarg, 1, 60000, &o.ms);
			break;
		case SERVERS:
			ok = perf_number(program, optarg, 1, 500, &o.servers);
			break;
		case CLIENTS:
			ok = perf_number(program, optarg, 0, LANES_MAX, &o.clients);
			break;
		case QUICK:
			o.ms = 200;
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
	return run(&o);
}
