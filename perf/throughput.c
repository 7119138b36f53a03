/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-throughput: how many READs a second one queue answers, and how long each of them takes,
 * with 1 to 256 of them outstanding.
 *
 * In two ways. "batch": so many requests are published at once, and the next ones when all of them
 * are back. "window": whatever comes back is published again at once, so that there are always so
 * many. The time of a request is from its publication to the driver's look that finds it used.
 *
 * The echo floor, where it is given, is measured beside it, in alternating slices; whoever's turn
 * it is not is stopped. Slices of the machine's noise on the back-ends' CPU lie in between. READs a
 * second are the median slice's: what the machine does to some slices is in the times alone.
 *
 * The driver has a part in it: it writes descriptors, and reads used entries. What that costs it
 * for each request is measured without a device, and is a row of its own: where this is more than
 * what a request takes, it is the driver that is slow.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"
#include "frontend/deadline.h"
#include "histogram.h"
#include "lane.h"
#include "options.h"
#include "partner.h"
#include "pause.h"
#include "result.h"

#define DEPTH_MAX      256
#define RING_ENTRIES   512
#define ROUNDS_MAX     1000
#define WARMUP         2000
#define NOISE_SLICE_MS 20

static const char program[] = "dpdk-rtc-throughput";

static const unsigned depths[] = {1, 2, 4, 8, 16, 32, 64, 128, DEPTH_MAX};
#define N_DEPTHS (sizeof(depths) / sizeof(depths[0]))

enum way { BATCH, WINDOW, N_WAYS };

static const char *const way_names[N_WAYS] = {"batch", "window"};

struct options {
	const char *path[2]; /* the device's, and the echo's or NULL */
	long pid[2];         /* 0: never stopped */
	long cpu, poller_cpu, clock_id, slice_ms, rounds;
	uint64_t features;
	const char *json;
};

struct cell {
	struct perf_histogram *took;
	unsigned n_slices;
	double per_cycle[ROUNDS_MAX]; /* requests, of each slice */
};

struct side {
	const char *name;
	pid_t pid;
	struct perf_lane lane;
	struct cell cell[N_WAYS][N_DEPTHS];
};

static struct side sides[2] = {{.name = "device"}, {.name = "echo"}};
static int n_sides;

/* One batch: published, and all of it waited for. */
static int run_batch(struct perf_lane *lane, unsigned depth, struct perf_histogram *took)
{
	uint64_t published;

	for (unsigned i = 0; i < depth; i++)
		if (perf_lane_add(lane, i))
			return -1;
	published = perf_cycles();
	perf_lane_publish(lane);
	for (unsigned i = 0; i < depth; i++) {
		if (perf_lane_wait(lane) < 0)
			return -1;
		if (took)
			perf_histogram_add(took, perf_cycles() - published);
	}
	return 0;
}

static void end_slice(struct cell *cell, uint64_t n_before, uint64_t cycles)
{
	cell->per_cycle[cell->n_slices++] = (double)(cell->took->n - n_before) / (double)cycles;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_per_cycle(struct cell *cell)
{
	qsort(cell->per_cycle, cell->n_slices, sizeof(cell->per_cycle[0]), by_size);
	return cell->per_cycle[cell->n_slices / 2];
}

/* Batches for so many cycles. */
static int run_batches(struct perf_lane *lane, unsigned depth, uint64_t cycles, struct cell *cell)
{
	uint64_t n_before = cell->took->n;
	uint64_t begin = perf_cycles();
	uint64_t now = begin;

	while (now - begin < cycles) {
		if (run_batch(lane, depth, cell->took))
			return -1;
		now = perf_cycles();
	}
	end_slice(cell, n_before, now - begin);
	return 0;
}

/* Takes what is there, at least one, and publishes it again. */
static int turn_over(struct perf_lane *lane, struct perf_histogram *took, uint64_t *published)
{
	int slot = perf_lane_wait(lane);
	unsigned slots[DEPTH_MAX];
	unsigned n = 0;
	uint64_t now;

	for (; slot >= 0; slot = n < lane->depth ? perf_lane_take(lane) : PERF_LANE_NONE) {
		perf_histogram_add(took, perf_cycles() - published[slot]);
		slots[n++] = (unsigned)slot;
	}
	if (slot == PERF_LANE_ERROR)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (perf_lane_add(lane, slots[i]))
			return -1;
	now = perf_cycles();
	for (unsigned i = 0; i < n; i++)
		published[slots[i]] = now;
	perf_lane_publish(lane);
	return 0;
}

static int run_window(struct perf_lane *lane, unsigned depth, uint64_t cycles, struct cell *cell)
{
	uint64_t n_before = cell->took->n;
	uint64_t published[DEPTH_MAX];
	uint64_t begin, now;

	for (unsigned i = 0; i < depth; i++)
		if (perf_lane_add(lane, i))
			return -1;
	begin = perf_cycles();
	for (unsigned i = 0; i < depth; i++)
		published[i] = begin;
	perf_lane_publish(lane);
	for (now = begin; now - begin < cycles; now = perf_cycles())
		if (turn_over(lane, cell->took, published))
			return -1;
	end_slice(cell, n_before, now - begin);
	/* What is still outstanding is not counted, and has to come back. */
	for (unsigned i = 0; i < depth; i++)
		if (perf_lane_wait(lane) < 0)
			return -1;
	return 0;
}

/* A side's turn: a slice of each cell. */
static int take_turn(const struct options *o, struct side *side, uint64_t cycles_per_ms)
{
	uint64_t cycles = (uint64_t)o->slice_ms * cycles_per_ms;
	int rc = 0;

	perf_pause_end(side->pid);
	for (unsigned i = 0; !rc && i < WARMUP; i++)
		rc = run_batch(&side->lane, 1, NULL);
	for (size_t d = 0; !rc && d < N_DEPTHS; d++) {
		rc = run_batches(&side->lane, depths[d], cycles, &side->cell[BATCH][d]);
		if (!rc)
			rc = run_window(&side->lane, depths[d], cycles, &side->cell[WINDOW][d]);
	}
	if (perf_pause(side->pid) < 0) {
		fprintf(stderr, "%s: cannot stop process %d\n", program, (int)side->pid);
		rc = -1;
	}
	return rc;
}

static int begin_side(const struct options *o, int i)
{
	const struct perf_lane_config config = {
		.path = o->path[i],
		.depth = DEPTH_MAX,
		.ring_entries = RING_ENTRIES,
		.connect_ms = 5000,
		.features = i == 0 ? o->features : 0,
		.clock_id = (uint16_t)o->clock_id,
	};
	struct side *side = &sides[i];

	for (int w = 0; w < N_WAYS; w++) {
		for (size_t d = 0; d < N_DEPTHS; d++) {
			side->cell[w][d].took = perf_histogram_new();
			if (!side->cell[w][d].took) {
				fprintf(stderr, "%s: out of memory\n", program);
				return -1;
			}
		}
	}
	if (perf_lane_init(&side->lane, program, &config) || perf_lane_start(&side->lane))
		return -1;
	side->pid = (pid_t)o->pid[i];
	if (perf_pause(side->pid) < 0) {
		fprintf(stderr, "%s: cannot stop process %d\n", program, (int)side->pid);
		return -1;
	}
	return 0;
}

/*
 * What a request costs the driver, in cycles: a ring of its own, which this thread answers, too, by
 * the two stores that the driver needs to see.
 */
static double drivers_part(unsigned depth)
{
	const struct perf_lane_config config = {
		.path = "(no device)", .depth = DEPTH_MAX, .ring_entries = RING_ENTRIES};
	const unsigned rounds = 200000 / depth;
	uint64_t cycles = 0;
	struct perf_lane lane;
	struct vfe_ring *ring;

	if (perf_lane_init(&lane, program, &config))
		return 0;
	ring = &lane.session.queues[0].ring;
	vfe_ring_suppress_calls(ring);
	ring->used->flags = VFE_USED_F_NO_NOTIFY;
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t begin = perf_cycles();

		for (unsigned i = 0; i < depth; i++)
			perf_lane_add(&lane, i);
		perf_lane_publish(&lane);
		cycles += perf_cycles() - begin;
		for (unsigned i = 0; i < depth; i++) {
			uint16_t at = (uint16_t)(ring->used->idx + i) & (RING_ENTRIES - 1);

			ring->used->ring[at] =
				(struct vfe_used_elem){.id = ring->avail->ring[at], .bytes = 16};
		}
		__atomic_store_n(&ring->used->idx, ring->avail->idx, __ATOMIC_RELEASE);
		begin = perf_cycles();
		for (unsigned i = 0; i < depth; i++)
			perf_lane_take(&lane);
		cycles += perf_cycles() - begin;
	}
	perf_lane_fini(&lane);
	return (double)cycles / rounds / depth;
}

static void report(const struct options *o, const struct perf_histogram *noise, int noise_cpu,
	double ns_per_cycle)
{
	struct perf_result *r = perf_result_begin("throughput",
		"How many READs a second one queue answers, and how long each takes, with so many "
		"outstanding",
		o->json);

	perf_result_set_tsc(r, ns_per_cycle);
	for (int w = 0; w < N_WAYS; w++) {
		char group[64];

		snprintf(group, sizeof(group), "time of a READ, %s", way_names[w]);
		perf_result_head(r, "\n%s of", group);
		for (int i = 0; i < n_sides; i++) {
			for (size_t d = 0; d < N_DEPTHS; d++) {
				char name[64];

				snprintf(name, sizeof(name), "%s, %s %u", sides[i].name,
					way_names[w], depths[d]);
				perf_result_series(r, name, group, i == 0 ? "device" : "floor",
					sides[i].cell[w][d].took, ns_per_cycle);
			}
		}
	}
	puts("\nREADs a second");
	for (int w = 0; w < N_WAYS; w++) {
		for (int i = 0; i < n_sides; i++) {
			char group[64];

			snprintf(group, sizeof(group), "READs a second, %s, %s", way_names[w],
				sides[i].name);
			for (size_t d = 0; d < N_DEPTHS; d++) {
				struct cell *c = &sides[i].cell[w][d];
				char name[64];

				snprintf(name, sizeof(name), "%s, %s %u", sides[i].name,
					way_names[w], depths[d]);
				perf_result_value(r, name, group,
					median_per_cycle(c) * 1e9 / ns_per_cycle, "1/s");
			}
		}
	}
	perf_result_value(r, "the driver's own part of a READ, batch 1", "driver",
		drivers_part(1) * ns_per_cycle, "ns");
	perf_result_value(r, "the driver's own part of a READ, batch 64", "driver",
		drivers_part(64) * ns_per_cycle, "ns");
	if (noise) {
		perf_result_head(r, "\nbetween two readings of the TSC");
		perf_result_noise(r, noise_cpu, noise, ns_per_cycle);
	}
	perf_result_end(r);
}

static int run(const struct options *o)
{
	struct perf_histogram *noise = perf_histogram_new();
	struct perf_partner *partner = NULL;
	uint64_t first_cycles, last_cycles;
	int64_t first_ns, last_ns;
	uint64_t cycles_per_ms;
	int rc = 0;

	n_sides = o->path[1] ? 2 : 1;
	for (int i = 0; !rc && i < n_sides; i++)
		rc = begin_side(o, i);
	/* A device that cannot be stopped would be taken for noise. */
	if (!rc && noise && o->pid[0] && o->poller_cpu >= 0)
		partner = perf_partner_new((int)o->poller_cpu, noise);
	cycles_per_ms = (uint64_t)(1e6 / perf_ns_per_cycle());
	first_ns = vfe_now_ns();
	first_cycles = perf_cycles();
	for (int round = 0; !rc && round < o->rounds; round++) {
		/* Forwards, then backwards: nobody is always behind the same one. */
		for (int i = 0; !rc && i < n_sides; i++)
			rc = take_turn(o, &sides[round & 1 ? n_sides - 1 - i : i], cycles_per_ms);
		if (partner) {
			perf_partner_begin(partner, PERF_PARTNER_LISTENS);
			perf_sleep_ms(NOISE_SLICE_MS);
			perf_partner_end(partner);
		}
	}
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	for (int i = 0; i < n_sides; i++)
		perf_pause_end(sides[i].pid);
	if (!rc)
		report(o, partner ? noise : NULL, (int)o->poller_cpu,
			(double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	if (partner)
		perf_partner_free(partner);
	free(noise);
	for (int i = 0; i < n_sides; i++) {
		perf_lane_fini(&sides[i].lane);
		for (int w = 0; w < N_WAYS; w++)
			for (size_t d = 0; d < N_DEPTHS; d++)
				free(sides[i].cell[w][d].took);
	}
	return rc ? 1 : 0;
}

static const char help[] =
	"usage: dpdk-rtc-throughput --device SOCKET [--echo SOCKET] [OPTION...]\n"
	"Measures how many READs a second one queue answers, and how long each takes, with 1 to 256\n"
	"outstanding. Any vhost-user back-end of an RTC device will do.\n"
	"  --device-pid PID  --echo-pid PID   stopped while the other is measured\n"
	"  --cpu N           pin this process (0; -1: do not)\n"
	"  --poller-cpu N    where the back-ends poll (the last): its noise is measured, if there is\n"
	"                    --device-pid, and so is --echo-pid or no echo (-1: it is not)\n"
	"  --clock N         the device's clock to read (0)\n"
	"  --slice-ms N      of each depth and way (10)   --rounds N  of slices (25; --quick: 5)\n"
	"  --packed  --event-idx  --in-order  negotiate it with the device where it is offered\n"
	"  --json FILE\n";

int main(int argc, char **argv)
{
	enum {
		DEVICE = 1,
		ECHO_,
		DEVICE_PID,
		ECHO_PID,
		CPU,
		POLLER_CPU,
		CLOCK,
		SLICE_MS,
		ROUNDS,
		QUICK,
		PACKED,
		EVENT_IDX,
		IN_ORDER,
		JSON,
		HELP
	};
	static const struct option options[] = {
		{"device", required_argument, NULL, DEVICE},
		{"echo", required_argument, NULL, ECHO_},
		{"device-pid", required_argument, NULL, DEVICE_PID},
		{"echo-pid", required_argument, NULL, ECHO_PID},
		{"cpu", required_argument, NULL, CPU},
		{"poller-cpu", required_argument, NULL, POLLER_CPU},
		{"clock", required_argument, NULL, CLOCK},
		{"slice-ms", required_argument, NULL, SLICE_MS},
		{"rounds", required_argument, NULL, ROUNDS},
		{"quick", no_argument, NULL, QUICK},
		{"packed", no_argument, NULL, PACKED},
		{"event-idx", no_argument, NULL, EVENT_IDX},
		{"in-order", no_argument, NULL, IN_ORDER},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.slice_ms = 10, .rounds = 25, .poller_cpu = perf_last_cpu()};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case DEVICE:
			o.path[0] = optarg;
			break;
		case ECHO_:
			o.path[1] = optarg;
			break;
		case DEVICE_PID:
			ok = perf_number(program, optarg, 2, 1 << 30, &o.pid[0]);
			break;
		case ECHO_PID:
			ok = perf_number(program, optarg, 2, 1 << 30, &o.pid[1]);
			break;
		case CPU:
			ok = perf_number(program, optarg, -1, 1023, &o.cpu);
			break;
		case POLLER_CPU:
			ok = perf_number(program, optarg, -1, 1023, &o.poller_cpu);
			break;
		case CLOCK:
			ok = perf_number(program, optarg, 0, 65535, &o.clock_id);
			break;
		case SLICE_MS:
			ok = perf_number(program, optarg, 1, 10000, &o.slice_ms);
			break;
		case ROUNDS:
			ok = perf_number(program, optarg, 1, ROUNDS_MAX, &o.rounds);
			break;
		case QUICK:
			o.rounds = 5;
			break;
		case PACKED:
			o.features |= 1ull << VFE_F_RING_PACKED;
			break;
		case EVENT_IDX:
			o.features |= 1ull << VFE_F_EVENT_IDX;
			break;
		case IN_ORDER:
			o.features |= 1ull << VFE_F_IN_ORDER;
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
	if (!o.path[0] || optind != argc) {
		fprintf(stderr, "%s: --device is needed; see --help\n", program);
		return 2;
	}
	if (o.path[1] && !o.pid[1])
		o.poller_cpu = -1;
	if (!perf_pin(program, (int)o.cpu))
		return 1;
	perf_pause_begin();
	return run(&o);
}
