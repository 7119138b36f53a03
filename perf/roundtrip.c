/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-roundtrip: what a READ costs the driver, on the device and on the echo floor; or, of one
 * device, what a READ_CROSS costs beside a READ (--cross).
 *
 * Both back-ends are measured in one run, in alternating batches, by the same code, over rings of
 * the same size and layout in memory of the same kind: the machines at hand change their speed from
 * run to run, and only a ratio within one run means something. While one is measured the other is
 * stopped (SIGSTOP by its pid), so both can have the same core; the first requests after it goes on
 * are thrown away.
 *
 * Every sample is kept, so percentiles are exact. The unit is the TSC, whose frequency is
 * measured against CLOCK_MONOTONIC over the whole run.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"
#include "figures.h"
#include "frontend/deadline.h"
#include "frontend/rtc.h"
#include "options.h"
#include "pause.h"
#include "wire.h"

#if defined(__aarch64__)
#define HW_COUNTER VIRTIO_RTC_COUNTER_ARM_VCT
#else
#define HW_COUNTER VIRTIO_RTC_COUNTER_X86_TSC
#endif

struct options {
	const char *path[2];
	pid_t pid[2]; /* 0: never stopped */
	unsigned int batches;
	unsigned int batch;
	unsigned int warmup;
	int cpu; /* -1: not pinned */
	enum vfe_wait wait;
	uint16_t clock_id;
	uint16_t ring_size;
	uint64_t features;
	bool cross;
	bool json;
};

/* One back-end, or one request of the same back-end, and its samples. */
struct side {
	const char *name;
	pid_t pid;
	bool cross;
	struct vfe_session *session;
	int64_t *cycles;
	size_t n;
	uint16_t clock_id;
};

static int request(struct side *side)
{
	uint64_t reading, counter;

	if (side->cross)
		return vfe_rtc_read_cross(
			side->session, side->clock_id, HW_COUNTER, &reading, &counter);
	return vfe_rtc_read(side->session, side->clock_id, &reading);
}

static int measure(struct side *side, unsigned int warmup, unsigned int batch)
{
	int status;

	for (unsigned int i = 0; i < warmup + batch; i++) {
		uint64_t before = perf_cycles();
		uint64_t cycles;

		status = request(side);
		cycles = perf_cycles() - before;
		if (status != 0)
			return status;
		if (i >= warmup)
			side->cycles[side->n++] = (int64_t)cycles;
	}
	return 0;
}

static const char *wait_name(enum vfe_wait wait)
{
	return wait == VFE_WAIT_POLL ? "poll" : wait == VFE_WAIT_SPIN ? "spin" : "sleep";
}

static void report(const struct options *o, struct side *sides, double ns_per_cycle)
{
	struct perf_figures first = perf_figures_of(sides[0].cycles, sides[0].n, ns_per_cycle);
	struct perf_figures second = perf_figures_of(sides[1].cycles, sides[1].n, ns_per_cycle);
	struct perf_figures ratio = perf_figures_ratio(&first, &second);
	const char *what = o->cross ? "READ_CROSS" : "READ";

	if (o->json) {
		printf("{\n  \"what\": \"round trip of VIRTIO_RTC_REQ_%s, ns\",\n"
		       "  \"samples_each\": %zu,\n  \"batches\": %u,\n  \"wait\": \"%s\",\n"
		       "  \"ring_size\": %u,\n  \"tsc_mhz\": %.3f,\n",
			what, sides[0].n, o->batches, wait_name(o->wait), o->ring_size,
			1000 / ns_per_cycle);
		perf_figures_print_json(sides[0].name, &first, ",");
		perf_figures_print_json(sides[1].name, &second, ",");
		perf_figures_print_json("ratio", &ratio, "");
		puts("}");
		return;
	}
	printf("round trip of %s, %zu each in %u interleaved batches, wait %s, rings of %u, "
	       "TSC %.1f MHz\n",
		what, sides[0].n, o->batches, wait_name(o->wait), o->ring_size,
		1000 / ns_per_cycle);
	perf_figures_print_head();
	perf_figures_print(sides[0].name, "ns", &first);
	perf_figures_print(sides[1].name, "ns", &second);
	perf_figures_print("ratio", "", &ratio);
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

/* The driver has to ask before it reads. */
static int may_cross(struct vfe_session *session, uint16_t clock_id)
{
	bool supported = false;

	if (vfe_rtc_cross_cap(session, clock_id, HW_COUNTER, &supported) == 0 && supported)
		return 0;
	fputs("dpdk-rtc-roundtrip: the device has no cross-timestamps of this processor's counter "
	      "(dpdk-rtc: --counter identity)\n",
		stderr);
	return -1;
}

static int run(const struct options *o)
{
	static struct vfe_session sessions[2];
	static struct side sides[2] = {{.name = "device", .session = &sessions[0]},
		{.name = "echo", .session = &sessions[1]}};
	int n_sessions = o->cross ? 1 : 2;
	uint64_t first_cycles, last_cycles;
	int64_t first_ns, last_ns;
	int status = 0;

	if (o->cross) {
		sides[0].name = "READ_CROSS";
		sides[0].cross = true;
		sides[1].name = "READ";
		sides[1].session = &sessions[0];
	}
	for (int i = 0; i < 2; i++) {
		struct side *side = &sides[i];

		side->clock_id = o->clock_id;
		side->cycles = malloc(sizeof(side->cycles[0]) * o->batches * o->batch);
		if (!side->cycles) {
			fputs("dpdk-rtc-roundtrip: out of memory\n", stderr);
			return 1;
		}
		/* Touched now, so that no sample pays for a page. */
		memset(side->cycles, 0, sizeof(side->cycles[0]) * o->batches * o->batch);
	}
	for (int i = 0; i < n_sessions; i++) {
		struct side *side = &sides[i];

		if (connect_to(side->session, o, o->path[i], side->name) ||
			(side->cross && may_cross(side->session, o->clock_id)))
			return 1;
		if (o->cross)
			break;
		side->pid = o->pid[i];
		if (perf_pause(side->pid) < 0) {
			fprintf(stderr, "dpdk-rtc-roundtrip: cannot stop %s (pid %d)\n", side->name,
				(int)side->pid);
			return 1;
		}
	}

	first_ns = vfe_now_ns();
	first_cycles = perf_cycles();
	for (unsigned int b = 0; !status && b < o->batches * 2; b++) {
		/* device echo, echo device, ...: neither is always the second. */
		int which = (int)((b & 1) ^ (b >> 1 & 1));
		struct side *side = &sides[which];

		perf_pause_end(side->pid);
		status = measure(side, o->warmup, o->batch);
		if (status)
			fprintf(stderr, "dpdk-rtc-roundtrip: %s: %s %s\n", side->name,
				status > 0 ? "answered" : vfe_error(side->session),
				status > 0 ? vfe_rtc_status_name((uint8_t)status) : "");
		else if (perf_pause(side->pid) < 0)
			status = -1;
	}
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	for (int i = 0; i < 2; i++)
		perf_pause_end(sides[i].pid);
	if (!status)
		report(o, sides,
			(double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	for (int i = 0; i < 2; i++)
		free(sides[i].cycles);
	for (int i = 0; i < n_sessions; i++)
		vfe_session_fini(&sessions[i]);
	return status ? 1 : 0;
}

static const char program[] = "dpdk-rtc-roundtrip";

static const char help[] =
	"usage: dpdk-rtc-roundtrip --device SOCKET --echo SOCKET [OPTION...]\n"
	"       dpdk-rtc-roundtrip --device SOCKET --cross [OPTION...]\n"
	"Measures the round trip of READ on a device and on dpdk-rtc-echo, or of READ_CROSS and\n"
	"READ on one device, interleaved.\n"
	"  --device-pid PID, --echo-pid PID  stopped while the other is measured\n"
	"  --batches N    batches of each (50)      --batch N   requests of a batch (20000)\n"
	"  --warmup N     not counted, a batch (2000)\n"
	"  --cpu N        pin this process (0; -1: do not)\n"
	"  --wait HOW     poll: no calls (default); spin: poll, but let the device call;\n"
	"                 sleep: on the call eventfd\n"
	"  --clock N      the device's clock to read (0)\n"
	"  --ring-size N  entries (256)\n"
	"  --event-idx    negotiate EVENT_IDX where it is offered\n"
	"  --packed       negotiate RING_PACKED where it is offered\n"
	"  --json\n";

int main(int argc, char **argv)
{
	enum {
		DEVICE = 1,
		ECHO_,
		DEVICE_PID,
		ECHO_PID,
		BATCHES,
		BATCH,
		WARMUP,
		CPU,
		WAIT,
		CLOCK,
		RING_SIZE,
		EVENT_IDX,
		PACKED,
		CROSS,
		JSON,
		HELP
	};
	static const struct option options[] = {
		{"device", required_argument, NULL, DEVICE},
		{"echo", required_argument, NULL, ECHO_},
		{"device-pid", required_argument, NULL, DEVICE_PID},
		{"echo-pid", required_argument, NULL, ECHO_PID},
		{"batches", required_argument, NULL, BATCHES},
		{"batch", required_argument, NULL, BATCH},
		{"warmup", required_argument, NULL, WARMUP},
		{"cpu", required_argument, NULL, CPU},
		{"wait", required_argument, NULL, WAIT},
		{"clock", required_argument, NULL, CLOCK},
		{"ring-size", required_argument, NULL, RING_SIZE},
		{"event-idx", no_argument, NULL, EVENT_IDX},
		{"packed", no_argument, NULL, PACKED},
		{"cross", no_argument, NULL, CROSS},
		{"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {
		.batches = 50,
		.batch = 20000,
		.warmup = 2000,
		.wait = VFE_WAIT_POLL,
		.ring_size = 256,
	};
	long v = 0;
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
			ok = perf_number(program, optarg, 2, 1 << 30, &v);
			o.pid[0] = (pid_t)v;
			break;
		case ECHO_PID:
			ok = perf_number(program, optarg, 2, 1 << 30, &v);
			o.pid[1] = (pid_t)v;
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
		case WAIT:
			ok = false;
			for (enum vfe_wait w = VFE_WAIT_POLL; w <= VFE_WAIT_SLEEP; w++) {
				if (strcmp(optarg, wait_name(w)) == 0) {
					o.wait = w;
					ok = true;
				}
			}
			if (!ok)
				fputs("dpdk-rtc-roundtrip: --wait is poll, spin or sleep\n",
					stderr);
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
		case CROSS:
			o.cross = true;
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
	if (!o.path[0] || o.cross == (o.path[1] != NULL) || optind != argc) {
		fputs("dpdk-rtc-roundtrip: --device is needed, and one of --echo and --cross; see "
		      "--help\n",
			stderr);
		return 2;
	}
	if (!perf_pin(program, o.cpu))
		return 1;
	perf_pause_begin();
	return run(&o);
}
