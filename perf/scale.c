/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-scale: what devices cost that share one lcore: up to 500 that listen, and 1000 that
 * connect to their front-ends, about as many as rte_vhost takes. A daemon for each number of
 * devices, started here; they are measured in alternating slices, and all but one are stopped.
 *
 *	memory   resident in the daemon, with a front-end at each device
 *	idle     the round trip of READ on one device, while the others have nothing to do. Its
 *	         lcore looks at it once a turn, so what a round trip is longer with more devices is
 *	         a turn that is longer: divided by the number of devices, the cost of an idle one
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
#define START_MS       60000
#define CONNECT_MS     5000
#define WARMUP_TURNS   3
#define NOISE_SLICE_MS 20
#define PATH_BYTES     64
#define ROUNDS_MAX     1000

static const char program[] = "dpdk-rtc-scale";

struct options {
	const char *daemon;
	long cpu, poller_cpu, slice_ms, rounds, servers, clients;
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

/* A number of devices, their drivers and their daemon. */
struct crowd {
	unsigned n;
	unsigned n_slices;
	bool client;
	bool wanted;
	struct perf_child child;
	struct perf_lane *lane;
	uint64_t *published;
	char (*path)[PATH_BYTES];
	struct perf_child_memory memory;
	struct perf_histogram *took[N_QUANTITIES];
	double per_cycle[ROUNDS_MAX]; /* requests with all active, of each slice */
};

static struct crowd crowds[] = {
	{.n = 1},
	{.n = 10},
	{.n = 100},
	{.n = 500},
	{.n = LANES_MAX, .client = true},
};
#define N_CROWDS (sizeof(crowds) / sizeof(crowds[0]))

static int publish_on(struct crowd *crowd, unsigned i)
{
	if (perf_lane_add(&crowd->lane[i], 0))
		return -1;
	crowd->published[i] = perf_cycles();
	perf_lane_publish(&crowd->lane[i]);
	return 0;
}

/* One in the middle: what is before it and what is behind it makes no difference. */
static int run_idle(struct crowd *crowd, int64_t end_ns)
{
	struct perf_lane *lane = &crowd->lane[crowd->n / 2];

	for (unsigned round = 0; round < 2 || vfe_now_ns() < end_ns; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			uint64_t begin = perf_cycles();

			if (perf_lane_add(lane, 0))
				return -1;
			perf_lane_publish(lane);
			if (perf_lane_wait(lane) < 0)
				return -1;
			/* The first ones find a daemon that has only just gone on. */
			if (round > 0)
				perf_histogram_add(crowd->took[IDLE], perf_cycles() - begin);
		}
	}
	return 0;
}

/* Once around all devices: what is answered is published again while it goes on. */
static int turn_over(struct crowd *crowd, bool count, bool go_on)
{
	for (unsigned i = 0; i < crowd->n; i++) {
		struct perf_lane *lane = &crowd->lane[i];
		int slot = go_on ? perf_lane_take(lane) : perf_lane_wait(lane);

		if (slot == PERF_LANE_ERROR)
			return -1;
		if (slot == PERF_LANE_NONE)
			continue;
		if (count)
			perf_histogram_add(
				crowd->took[ACTIVE], perf_cycles() - crowd->published[i]);
		if (go_on && publish_on(crowd, i))
			return -1;
	}
	return 0;
}

static int run_active(struct crowd *crowd, int64_t end_ns)
{
	uint64_t n_before = crowd->took[ACTIVE]->n;
	uint64_t begin = 0;

	for (unsigned i = 0; i < crowd->n; i++)
		if (publish_on(crowd, i))
			return -1;
	for (unsigned turn = 0; turn <= WARMUP_TURNS || vfe_now_ns() < end_ns; turn++) {
		if (turn == WARMUP_TURNS)
			begin = perf_cycles();
		if (turn_over(crowd, turn >= WARMUP_TURNS, true))
			return -1;
	}
	crowd->per_cycle[crowd->n_slices++] =
		(double)(crowd->took[ACTIVE]->n - n_before) / (double)(perf_cycles() - begin);
	return turn_over(crowd, false, false);
}

static int run_burst(struct crowd *crowd, bool count)
{
	uint64_t first = 0;
	uint64_t begin;

	/* All is written before; what remains to be done is a store for each. */
	for (unsigned i = 0; i < crowd->n; i++)
		if (perf_lane_add(&crowd->lane[i], 0))
			return -1;
	begin = perf_cycles();
	for (unsigned i = 0; i < crowd->n; i++)
		perf_lane_publish(&crowd->lane[i]);
	for (unsigned i = 0; i < crowd->n; i++) {
		if (perf_lane_wait(&crowd->lane[i]) < 0)
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
	for (unsigned turn = 0; turn <= WARMUP_TURNS || vfe_now_ns() < end_ns; turn++)
		if (run_burst(crowd, turn >= WARMUP_TURNS))
			return -1;
	return 0;
}

static int pause_crowd(const struct crowd *crowd)
{
	if (perf_pause(crowd->child.pid) == 0)
		return 0;
	fprintf(stderr, "%s: cannot stop process %d\n", program, (int)crowd->child.pid);
	return -1;
}

/* A slice of each. */
static int take_turn(const struct options *o, struct crowd *crowd)
{
	static int (*const run[])(struct crowd *, int64_t) = {run_idle, run_active, run_bursts};
	int rc = 0;

	perf_pause_end(crowd->child.pid);
	for (size_t i = 0; !rc && i < sizeof(run) / sizeof(run[0]); i++)
		rc = run[i](crowd, vfe_now_ns() + o->slice_ms * 1000000);
	crowd->memory = perf_child_memory(&crowd->child);
	return pause_crowd(crowd) ? -1 : rc;
}

static int start_daemon(const struct options *o, struct crowd *crowd, const char *dir)
{
	char **argv = calloc(crowd->n * 2 + 8, sizeof(argv[0]));
	size_t n = 0;
	int rc;

	if (!argv)
		return -1;
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
		argv[n++] = crowd->path[i];
	}
	rc = perf_child_start(&crowd->child, program, dir, argv);
	free(argv);
	return rc;
}

static int make_room(struct crowd *crowd)
{
	bool ok;

	crowd->lane = calloc(crowd->n, sizeof(crowd->lane[0]));
	crowd->published = calloc(crowd->n, sizeof(crowd->published[0]));
	crowd->path = calloc(crowd->n, sizeof(crowd->path[0]));
	ok = crowd->lane && crowd->published && crowd->path;
	for (int q = 0; q < N_QUANTITIES; q++) {
		crowd->took[q] = perf_histogram_new();
		ok = ok && crowd->took[q];
	}
	if (!ok)
		fprintf(stderr, "%s: out of memory\n", program);
	return ok ? 0 : -1;
}

/* The sockets of those who are connected to, and the daemon, which connects to them. */
static int begin_crowd(const struct options *o, struct crowd *crowd, const char *dir)
{
	int rc = make_room(crowd);

	for (unsigned i = 0; !rc && i < crowd->n; i++) {
		const struct perf_lane_config config = {
			.path = crowd->path[i],
			.listen = crowd->client,
			.depth = 1,
			.ring_entries = RING_ENTRIES,
			.connect_ms = CONNECT_MS,
		};

		snprintf(crowd->path[i], PATH_BYTES, "%.40s/%c%u.%u", dir,
			crowd->client ? 'c' : 's', crowd->n, i);
		rc = perf_lane_init(&crowd->lane[i], program, &config);
	}
	if (!rc)
		rc = start_daemon(o, crowd, dir);
	return rc;
}

static int connect_crowd(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->n; i++) {
		if (perf_lane_start(&crowd->lane[i])) {
			fprintf(stderr, "%s: device %u of %u\n", program, i + 1, crowd->n);
			(void)perf_child_lives(&crowd->child, program);
			return -1;
		}
	}
	return 0;
}

/* Leaves the daemon stopped. */
static int set_up(const struct options *o, struct crowd *crowd, const char *dir)
{
	if (begin_crowd(o, crowd, dir) ||
		perf_child_await(&crowd->child, program, "dpdk-rtc: ready", START_MS) ||
		connect_crowd(crowd))
		return -1;
	return pause_crowd(crowd);
}

static void tear_down(struct crowd *crowd)
{
	perf_pause_end(crowd->child.pid);
	for (unsigned i = 0; crowd->lane && i < crowd->n; i++)
		perf_lane_fini(&crowd->lane[i]);
	perf_child_end(&crowd->child);
	free(crowd->lane);
	free(crowd->published);
	free(crowd->path);
	for (int q = 0; q < N_QUANTITIES; q++)
		free(crowd->took[q]);
}

static void report_crowd(struct perf_result *r, int q, double ns_per_cycle)
{
	perf_result_head(r, "\n%s", quantity_heads[q]);
	for (size_t c = 0; c < N_CROWDS; c++) {
		char name[64];

		if (!crowds[c].wanted)
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
		if (!crowds[c].wanted || crowds[c].client)
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

		if (!many->wanted || many->client || many->n < 100)
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

		if (!crowds[c].wanted)
			continue;
		snprintf(name, sizeof(name), "resident, %u device%s%s", crowds[c].n,
			crowds[c].n > 1 ? "s" : "", crowds[c].client ? ", client" : "");
		perf_result_value(r, name, "memory",
			(double)(crowds[c].memory.anonymous_kib + crowds[c].memory.file_kib) / 1024,
			"MiB");
	}
	if (many && many->n > few->n) {
		double n = many->n - few->n;

		perf_result_value(r, "a device with a front-end: the daemon's own memory", "memory",
			(double)(many->memory.anonymous_kib - few->memory.anonymous_kib) / n,
			"KiB");
		perf_result_value(r, "a device with a front-end: touched of the guest's", "memory",
			(double)(many->memory.shared_kib - few->memory.shared_kib) / n, "KiB");
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_per_cycle(struct crowd *crowd)
{
	qsort(crowd->per_cycle, crowd->n_slices, sizeof(crowd->per_cycle[0]), by_size);
	return crowd->per_cycle[crowd->n_slices / 2];
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

		if (!crowds[c].wanted)
			continue;
		/* One thread is the driver of all. */
		snprintf(name, sizeof(name), "READs a second, all of %u active%s", crowds[c].n,
			crowds[c].client ? ", client" : "");
		perf_result_value(r, name, "READs a second",
			median_per_cycle(&crowds[c]) * 1e9 / ns_per_cycle, "1/s");
	}
	report_memory(r);
	perf_result_end(r);
}

static int measure_all(const struct options *o, struct perf_histogram *noise)
{
	struct perf_partner *partner = perf_partner_new((int)o->poller_cpu, noise);
	uint64_t first_cycles = perf_cycles(), last_cycles;
	int64_t first_ns = vfe_now_ns(), last_ns;
	int rc = partner ? 0 : -1;

	for (long round = 0; !rc && round < o->rounds; round++) {
		/* Forwards, then backwards: nobody is always behind the same one. */
		for (size_t i = 0; !rc && i < N_CROWDS; i++) {
			struct crowd *crowd = &crowds[round & 1 ? N_CROWDS - 1 - i : i];

			if (crowd->wanted)
				rc = take_turn(o, crowd);
		}
		perf_partner_begin(partner, PERF_PARTNER_LISTENS);
		perf_sleep_ms(NOISE_SLICE_MS);
		perf_partner_end(partner);
	}
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	perf_partner_free(partner);
	if (!rc)
		report(o, noise,
			(double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	return rc;
}

static int measure(const struct options *o, const char *dir)
{
	struct perf_histogram *noise = perf_histogram_new();
	int rc = noise ? 0 : -1;

	for (size_t c = 0; !rc && c < N_CROWDS; c++) {
		crowds[c].wanted = crowds[c].n <= (crowds[c].client ? o->clients : o->servers);
		if (crowds[c].wanted)
			rc = set_up(o, &crowds[c], dir);
	}
	if (!rc)
		rc = measure_all(o, noise);
	for (size_t c = 0; c < N_CROWDS; c++)
		tear_down(&crowds[c]);
	free(noise);
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
	"  --slice-ms N      of each quantity and number of devices (50)\n"
	"  --rounds N        of slices (12; --quick: 3)\n"
	"  --servers N       no more devices than this (500)\n"
	"  --clients N       in client mode (1000; 0: none)\n"
	"  --json FILE\n";

int main(int argc, char **argv)
{
	enum { DAEMON = 1, CPU, POLLER_CPU, SLICE_MS, ROUNDS, SERVERS, CLIENTS, QUICK, JSON, HELP };
	static const struct option options[] = {
		{"daemon", required_argument, NULL, DAEMON},
		{"cpu", required_argument, NULL, CPU},
		{"poller-cpu", required_argument, NULL, POLLER_CPU},
		{"slice-ms", required_argument, NULL, SLICE_MS},
		{"rounds", required_argument, NULL, ROUNDS},
		{"servers", required_argument, NULL, SERVERS},
		{"clients", required_argument, NULL, CLIENTS},
		{"quick", no_argument, NULL, QUICK},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.slice_ms = 50,
		.rounds = 12,
		.servers = 500,
		.clients = LANES_MAX,
		.poller_cpu = perf_last_cpu()};
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
			ok = perf_number(program, optarg, 1, ROUNDS_MAX, &o.rounds);
			break;
		case SERVERS:
			ok = perf_number(program, optarg, 1, 500, &o.servers);
			break;
		case CLIENTS:
			ok = perf_number(program, optarg, 0, LANES_MAX, &o.clients);
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
