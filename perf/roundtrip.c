/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-roundtrip: what a reading costs the driver. Each of these that can be had is a side, and
 * all sides are measured in one run, in alternating batches, by the same code, over rings of the
 * same size and layout in memory of the same kind: the machines at hand change their speed from
 * run to run, and only a ratio within one run means something.
 *
 *	READ and READ_CROSS on the device
 *	the same requests on dpdk-rtc-echo, the least that a device on rte_vhost can be
 *	a cache line each way and nothing else, between the same two CPUs
 *
 * While one is measured the others are stopped (SIGSTOP by their pids), so all can poll on the same
 * CPU; the first requests after a back-end goes on are not counted. Between the batches the noise
 * of both CPUs is listened to, while nothing else runs on them.
 *
 * Any vhost-user RTC back-end can be the device: without --device-pid it is not stopped, and then
 * nothing else can be measured on its CPU.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"
#include "frontend/deadline.h"
#include "frontend/rtc.h"
#include "options.h"
#include "partner.h"
#include "pause.h"
#include "result.h"
#include "wire.h"

#if defined(__aarch64__)
#define HW_COUNTER VIRTIO_RTC_COUNTER_ARM_VCT
#else
#define HW_COUNTER VIRTIO_RTC_COUNTER_X86_TSC
#endif

/* After each batch, on each CPU; at some 2.5 GHz, half a millisecond. */
#define LISTEN_CYCLES 1250000

enum { DEVICE, ECHO_, BACK_ENDS };

struct options {
	const char *path[BACK_ENDS];
	pid_t pid[BACK_ENDS]; /* 0: never stopped */
	unsigned int batches;
	unsigned int batch;
	unsigned int warmup;
	int cpu; /* -1: not pinned */
	int poller_cpu;
	enum vfe_wait wait;
	uint16_t clock_id;
	uint16_t ring_size;
	uint64_t features;
	const char *json;
};

struct side {
	char name[64];
	char group[64];
	const char *role;
	pid_t pid;
	bool cross;
	struct vfe_session *session; /* NULL: the cache line */
	struct perf_histogram *cycles;
	uint16_t clock_id;
};

struct run {
	struct vfe_session session[BACK_ENDS];
	char how[32]; /* the driver waits, and on which kind of ring, where it is not the usual */
	struct perf_partner *partner;
	struct perf_histogram *noise[2]; /* of the front-end's CPU, of the pollers' */
	unsigned n;
	struct side side[5];
};

static int request(const struct run *run, const struct side *side)
{
	uint64_t reading, counter;

	if (!side->session) {
		perf_partner_bounce(run->partner);
		return 0;
	}
	if (side->cross)
		return vfe_rtc_read_cross(
			side->session, side->clock_id, HW_COUNTER, &reading, &counter);
	return vfe_rtc_read(side->session, side->clock_id, &reading);
}

static int measure_batch(
	const struct run *run, struct side *side, unsigned int warmup, unsigned int batch)
{
	int status;

	for (unsigned int i = 0; i < warmup + batch; i++) {
		uint64_t before = perf_cycles();
		uint64_t cycles;

		status = request(run, side);
		cycles = perf_cycles() - before;
		if (status != 0)
			return status;
		if (i >= warmup)
			perf_histogram_add(side->cycles, cycles);
	}
	return 0;
}

/* Back-ends run alone, each; the partner when none of them does. */
static int measure(struct run *run, struct side *side, const struct options *o)
{
	int status;

	if (!side->session) {
		perf_partner_begin(run->partner, PERF_PARTNER_BOUNCES);
		status = measure_batch(run, side, o->warmup, o->batch);
		perf_partner_end(run->partner);
		return status;
	}
	perf_pause_end(side->pid);
	status = measure_batch(run, side, o->warmup, o->batch);
	if (status)
		fprintf(stderr, "dpdk-rtc-roundtrip: %s: %s %s\n", side->name,
			status > 0 ? "answered" : vfe_error(side->session),
			status > 0 ? vfe_rtc_status_name((uint8_t)status) : "");
	else if (perf_pause(side->pid) < 0)
		status = -1;
	return status;
}

static void listen_to_noise(struct run *run)
{
	perf_listen(run->noise[0], LISTEN_CYCLES);
	if (!run->partner)
		return;
	perf_partner_begin(run->partner, PERF_PARTNER_LISTENS);
	perf_listen(run->noise[0], LISTEN_CYCLES);
	perf_partner_end(run->partner);
}

static const char *wait_name(enum vfe_wait wait)
{
	return wait == VFE_WAIT_POLL ? "poll" : wait == VFE_WAIT_SPIN ? "spin" : "sleep";
}

static const struct side *find(const struct run *run, int back_end, bool cross)
{
	for (unsigned i = 0; i < run->n; i++) {
		if (run->side[i].session == &run->session[back_end] && run->side[i].cross == cross)
			return &run->side[i];
	}
	return NULL;
}

static void report(const struct options *o, const struct run *run, double ns_per_cycle)
{
	static const char question[] =
		"What does a reading cost the driver, from request to answer?";
	struct perf_result *r = perf_result_begin("roundtrip", question, o->json);
	/* The goals of the project are for polling drivers. */
	bool polled = o->wait == VFE_WAIT_POLL;

	perf_result_set_tsc(r, ns_per_cycle);
	perf_result_head(r,
		"round trip, ns: %u each in %u interleaved batches; wait %s, rings of %u, %s",
		o->batches * o->batch, o->batches, wait_name(o->wait), o->ring_size,
		run->session[DEVICE].features & 1ull << VFE_F_RING_PACKED ? "packed" : "split");
	for (unsigned i = 0; i < run->n; i++) {
		const struct side *s = &run->side[i];

		perf_result_series(r, s->name, s->group, s->role, s->cycles, ns_per_cycle);
	}
	if (o->cpu >= 0)
		perf_result_noise(r, o->cpu, run->noise[0], ns_per_cycle);
	if (run->partner)
		perf_result_noise(r, o->poller_cpu, run->noise[1], ns_per_cycle);
	for (int cross = 0; cross < 2; cross++) {
		const struct side *device = find(run, DEVICE, cross);
		const struct side *echo = find(run, ECHO_, cross);
		char name[80];

		snprintf(name, sizeof(name), "%s, %s, over the echo", cross ? "READ_CROSS" : "READ",
			wait_name(o->wait));
		if (device && echo)
			perf_result_ratios(r, name, device->cycles, echo->cycles,
				polled && !cross ? 1.10 : 0, 0, polled && !cross ? 1.2 : 0);
	}
	if (find(run, DEVICE, true)) {
		char name[80];

		snprintf(name, sizeof(name), "READ_CROSS over READ, %s", run->how);
		perf_result_ratios(r, name, find(run, DEVICE, true)->cycles,
			find(run, DEVICE, false)->cycles, polled ? 1.5 : 0, 0, 0);
	}
	perf_result_end(r);
}

static int connect_to(
	struct vfe_session *session, const struct options *o, const char *path, const char *name)
{
	struct vfe_config cfg;

	vfe_config_default(&cfg, path);
	cfg.connect_ms = 5000;
	cfg.wait = o->wait;
	cfg.ring_size = o->ring_size;
	cfg.features |= o->features;
	if (vfe_session_init(session, &cfg) < 0 || vfe_session_start(session) < 0) {
		fprintf(stderr, "dpdk-rtc-roundtrip: %s: %s\n", name, vfe_error(session));
		return -1;
	}
	return 0;
}

static int add_side(struct run *run, const struct options *o, int back_end, bool cross)
{
	static const char *const whose[] = {"the device", "the rte_vhost echo", "a cache line"};
	struct side *side = &run->side[run->n];
	const char *what = cross ? "READ_CROSS" : "READ";

	side->cycles = perf_histogram_new();
	if (!side->cycles) {
		fputs("dpdk-rtc-roundtrip: out of memory\n", stderr);
		return -1;
	}
	snprintf(side->group, sizeof(side->group), "%s, %s", what, run->how);
	if (back_end == BACK_ENDS) {
		snprintf(side->name, sizeof(side->name), "%s each way", whose[back_end]);
	} else {
		snprintf(side->name, sizeof(side->name), "%s, %s, %s", what, whose[back_end],
			run->how);
		side->session = &run->session[back_end];
		side->pid = o->pid[back_end];
	}
	side->role = back_end == DEVICE ? "device" : "floor";
	side->cross = cross;
	side->clock_id = o->clock_id;
	run->n++;
	return 0;
}

/* The driver has to ask before it reads. */
static bool may_cross(struct vfe_session *session, uint16_t clock_id)
{
	bool supported = false;

	return vfe_rtc_cross_cap(session, clock_id, HW_COUNTER, &supported) == 0 && supported;
}

/* Connects, and leaves every back-end stopped that can be. */
static int set_up(struct run *run, const struct options *o)
{
	bool cross = false;

	for (int i = 0; i < 2; i++) {
		run->noise[i] = perf_histogram_new();
		if (!run->noise[i])
			return -1;
	}
	for (int b = 0; b < BACK_ENDS; b++) {
		struct vfe_session *session = &run->session[b];

		if (!o->path[b])
			continue;
		if (connect_to(session, o, o->path[b], b == DEVICE ? "device" : "echo"))
			return -1;
		if (b == DEVICE) {
			bool packed = session->features & 1ull << VFE_F_RING_PACKED;

			cross = may_cross(session, o->clock_id);
			snprintf(run->how, sizeof(run->how), "%s%s", wait_name(o->wait),
				packed ? ", packed" : "");
		}
		if (add_side(run, o, b, false) || (cross && add_side(run, o, b, true)))
			return -1;
		if (perf_pause(o->pid[b]) < 0) {
			fprintf(stderr, "dpdk-rtc-roundtrip: cannot stop pid %d\n", o->pid[b]);
			return -1;
		}
	}
	if (o->poller_cpu < 0)
		return 0;
	run->partner = perf_partner_new(o->poller_cpu, run->noise[1]);
	return run->partner ? add_side(run, o, BACK_ENDS, false) : -1;
}

static int measure_all(struct run *run, const struct options *o)
{
	uint64_t first_cycles = perf_cycles(), last_cycles;
	int64_t first_ns = vfe_now_ns(), last_ns;
	int status = 0;

	for (unsigned int b = 0; !status && b < o->batches; b++) {
		/* Forth, and back: none is always behind the same one. */
		for (unsigned int i = 0; !status && i < run->n; i++)
			status = measure(run, &run->side[b & 1 ? run->n - 1 - i : i], o);
		listen_to_noise(run);
	}
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	for (int b = 0; b < BACK_ENDS; b++)
		perf_pause_end(o->pid[b]);
	if (!status)
		report(o, run, (double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	return status ? 1 : 0;
}

static int run_all(const struct options *o)
{
	static struct run run;
	int rc = set_up(&run, o) ? 1 : measure_all(&run, o);

	perf_partner_free(run.partner);
	for (int b = 0; b < BACK_ENDS; b++) {
		perf_pause_end(o->pid[b]);
		if (run.session[b].cfg.socket_path)
			vfe_session_fini(&run.session[b]);
		free(run.noise[b]);
	}
	for (unsigned i = 0; i < run.n; i++)
		free(run.side[i].cycles);
	return rc;
}

static const char program[] = "dpdk-rtc-roundtrip";

static const char help[] =
	"usage: dpdk-rtc-roundtrip --device SOCKET [OPTION...]\n"
	"Measures the round trip of READ, and of READ_CROSS where the device offers it, interleaved\n"
	"with dpdk-rtc-echo's and with that of a cache line.\n"
	"  --echo SOCKET      dpdk-rtc-echo\n"
	"  --device-pid PID, --echo-pid PID  stopped while others are measured\n"
	"  --poller-cpu N     where those two poll: a cache line and the noise are measured there,\n"
	"                     too. Only where both can be stopped\n"
	"  --batches N        batches of each (50)      --batch N   requests of a batch (20000)\n"
	"  --warmup N         not counted, a batch (2000)\n"
	"  --cpu N            pin this process (0; -1: do not)\n"
	"  --wait HOW         poll: no calls (default); spin: poll, but let the device call;\n"
	"                     sleep: on the call eventfd\n"
	"  --clock N          the device's clock to read (0)\n"
	"  --ring-size N      entries (256)\n"
	"  --event-idx        negotiate EVENT_IDX where it is offered\n"
	"  --packed           negotiate RING_PACKED where it is offered\n"
	"  --json FILE        what was measured, for perf/report\n";

static bool take_wait(const char *text, enum vfe_wait *wait)
{
	for (enum vfe_wait w = VFE_WAIT_POLL; w <= VFE_WAIT_SLEEP; w++) {
		if (strcmp(text, wait_name(w)) == 0) {
			*wait = w;
			return true;
		}
	}
	fprintf(stderr, "%s: --wait %s: poll, spin and sleep are accepted\n", program, text);
	return false;
}

static bool is_usable(const struct options *o)
{
	const char *what = NULL;

	if (!o->path[DEVICE])
		what = "--device is needed";
	else if (o->path[ECHO_] && (!o->pid[DEVICE] || !o->pid[ECHO_]))
		what = "with --echo, --device-pid and --echo-pid are needed: they are measured in "
		       "turns";
	else if (o->poller_cpu >= 0 && !o->pid[DEVICE])
		what = "with --poller-cpu, --device-pid is needed: the CPU has to be free at times";
	else if (o->poller_cpu >= 0 && o->poller_cpu == o->cpu)
		what = "--poller-cpu and --cpu are two CPUs";
	if (what)
		fprintf(stderr, "%s: %s; see --help\n", program, what);
	return what == NULL;
}

int main(int argc, char **argv)
{
	enum {
		DEVICE_PATH = 1,
		ECHO_PATH,
		DEVICE_PID,
		ECHO_PID,
		BATCHES,
		BATCH,
		WARMUP,
		CPU,
		POLLER_CPU,
		WAIT,
		CLOCK,
		RING_SIZE,
		EVENT_IDX,
		PACKED,
		JSON,
		HELP
	};
	static const struct option options[] = {
		{"device", required_argument, NULL, DEVICE_PATH},
		{"echo", required_argument, NULL, ECHO_PATH},
		{"device-pid", required_argument, NULL, DEVICE_PID},
		{"echo-pid", required_argument, NULL, ECHO_PID},
		{"batches", required_argument, NULL, BATCHES},
		{"batch", required_argument, NULL, BATCH},
		{"warmup", required_argument, NULL, WARMUP},
		{"cpu", required_argument, NULL, CPU},
		{"poller-cpu", required_argument, NULL, POLLER_CPU},
		{"wait", required_argument, NULL, WAIT},
		{"clock", required_argument, NULL, CLOCK},
		{"ring-size", required_argument, NULL, RING_SIZE},
		{"event-idx", no_argument, NULL, EVENT_IDX},
		{"packed", no_argument, NULL, PACKED},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {
		.batches = 50,
		.batch = 20000,
		.warmup = 2000,
		.wait = VFE_WAIT_POLL,
		.ring_size = 256,
		.poller_cpu = -1,
	};
	long v = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case DEVICE_PATH:
			o.path[DEVICE] = optarg;
			break;
		case ECHO_PATH:
			o.path[ECHO_] = optarg;
			break;
		case DEVICE_PID:
			ok = perf_number(program, optarg, 2, 1 << 30, &v);
			o.pid[DEVICE] = (pid_t)v;
			break;
		case ECHO_PID:
			ok = perf_number(program, optarg, 2, 1 << 30, &v);
			o.pid[ECHO_] = (pid_t)v;
			break;
		case BATCHES:
			ok = perf_number(program, optarg, 1, 100000, &v);
			o.batches = (unsigned int)v;
			break;
		case BATCH:
			ok = perf_number(program, optarg, 1, 10000000, &v);
			o.batch = (unsigned int)v;
			break;
		case WARMUP:
			ok = perf_number(program, optarg, 0, 10000000, &v);
			o.warmup = (unsigned int)v;
			break;
		case CPU:
			ok = perf_number(program, optarg, -1, 1023, &v);
			o.cpu = (int)v;
			break;
		case POLLER_CPU:
			ok = perf_number(program, optarg, 0, 1023, &v);
			o.poller_cpu = (int)v;
			break;
		case WAIT:
			ok = take_wait(optarg, &o.wait);
			break;
		case CLOCK:
			ok = perf_number(program, optarg, 0, 65535, &v);
			o.clock_id = (uint16_t)v;
			break;
		case RING_SIZE:
			ok = perf_number(program, optarg, 2, 32768, &v);
			o.ring_size = (uint16_t)v;
			break;
		case EVENT_IDX:
			o.features |= 1ull << VFE_F_EVENT_IDX;
			break;
		case PACKED:
			o.features |= 1ull << VFE_F_RING_PACKED;
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
	if (optind != argc) {
		fprintf(stderr, "%s: %s: no such argument; see --help\n", program, argv[optind]);
		return 2;
	}
	if (!is_usable(&o))
		return 2;
	if (!perf_pin(program, o.cpu))
		return 1;
	perf_pause_begin();
	return run_all(&o);
}
