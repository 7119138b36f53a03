/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-device-time: what the device itself takes, from seeing a request to showing the answer;
 * no socket, no rte_vhost, no driver but one that writes rings in this process. Three questions:
 *
 *	a request     each type, on each kind of ring, in each layout; all in the cache. A thousand
 *	              are offered and served one by one, less a thousand that are offered only
 *	many          what a device of N takes in a turn in which each has a request, which a thread
 *	              on another CPU has written
 *	idle          what a device of N takes in a turn in which none has
 *	fairness      how long a turn is in which a device has a READ, and its neighbour on the same
 *	              lcore has flooded its queue: what the READ waits for at worst
 *
 * A sample is a mean of many, since a counter does not tell 10 ns from 20 on every machine; what is
 * shown are percentiles of samples.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"
#include "frontend/deadline.h"
#include "hosttime.h"
#include "near_ring.h"
#include "options.h"
#include "result.h"
#include "turn.h"

#if defined(__aarch64__)
#define HW_COUNTER VIRTIO_RTC_COUNTER_ARM_VCT
#else
#define HW_COUNTER VIRTIO_RTC_COUNTER_X86_TSC
#endif

#define REQUESTS    1000 /* of a sample */
#define DEVICES_MAX 1000
/* Samples are kept in thousandths of a cycle. */
#define FINE        1000
#define WAIT_MS     10000

struct options {
	unsigned samples;
	int cpu;
	int driver_cpu; /* -1: the part `many` is left out */
	const char *json;
	const char *serve; /* NULL: all is measured */
};

static struct vrtc_leap_table table;
static struct vrtc_hosttime host;
static struct vrtc_pairing pairing;
static const struct vrtc_timesource source = {.host = &host, .pairing = &pairing};
static const struct vrtc_clock clocks[] = {
	{.type = VIRTIO_RTC_CLOCK_UTC},
	{.type = VIRTIO_RTC_CLOCK_TAI},
	{.type = VIRTIO_RTC_CLOCK_MONOTONIC},
	{.type = VIRTIO_RTC_CLOCK_UTC_SMEARED, .smear = VIRTIO_RTC_SMEAR_NOON_LINEAR},
};
static const struct vrtc_device device = {.clock = clocks, .n_clocks = 4};

static const struct subject {
	const char *name;
	struct perf_near_request request;
	enum perf_near_layout layout;
	bool packed;
	uint8_t status;
} subjects[] = {
	{"READ of UTC, split, direct", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_DIRECT, false,
		VIRTIO_RTC_S_OK},
	{"READ of UTC, split, indirect", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_INDIRECT,
		false, VIRTIO_RTC_S_OK},
	{"READ of UTC, split, 4 + 4 pieces", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_PIECES,
		false, VIRTIO_RTC_S_OK},
	{"READ of UTC, packed, direct", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_DIRECT, true,
		VIRTIO_RTC_S_OK},
	{"READ of UTC, packed, indirect", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_INDIRECT,
		true, VIRTIO_RTC_S_OK},
	{"READ of UTC, packed, 4 + 4 pieces", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_PIECES,
		true, VIRTIO_RTC_S_OK},
	{"READ of TAI, split, direct", {.msg_type = VIRTIO_RTC_REQ_READ, .clock_id = 1},
		PERF_NEAR_DIRECT, false, VIRTIO_RTC_S_OK},
	{"READ of MONOTONIC, split, direct", {.msg_type = VIRTIO_RTC_REQ_READ, .clock_id = 2},
		PERF_NEAR_DIRECT, false, VIRTIO_RTC_S_OK},
	{"READ of UTC_SMEARED, split, direct", {.msg_type = VIRTIO_RTC_REQ_READ, .clock_id = 3},
		PERF_NEAR_DIRECT, false, VIRTIO_RTC_S_OK},
	{"READ_CROSS of UTC, split, direct",
		{.msg_type = VIRTIO_RTC_REQ_READ_CROSS, .hw_counter = HW_COUNTER}, PERF_NEAR_DIRECT,
		false, VIRTIO_RTC_S_OK},
	{"CFG, split, direct", {.msg_type = VIRTIO_RTC_REQ_CFG}, PERF_NEAR_DIRECT, false,
		VIRTIO_RTC_S_OK},
	{"CLOCK_CAP, split, direct", {.msg_type = VIRTIO_RTC_REQ_CLOCK_CAP}, PERF_NEAR_DIRECT,
		false, VIRTIO_RTC_S_OK},
	{"CROSS_CAP, split, direct",
		{.msg_type = VIRTIO_RTC_REQ_CROSS_CAP, .hw_counter = HW_COUNTER}, PERF_NEAR_DIRECT,
		false, VIRTIO_RTC_S_OK},
	{"no such request, split, direct", {.msg_type = 0x7fff}, PERF_NEAR_DIRECT, false,
		VIRTIO_RTC_S_EOPNOTSUPP},
};
#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

static const unsigned counts[] = {1, 10, 100, 500, 1000};
#define COUNTS (sizeof(counts) / sizeof(counts[0]))

static const char program[] = "dpdk-rtc-device-time";

static void give_up(const char *what)
{
	fprintf(stderr, "%s: %s\n", program, what);
	exit(1);
}

static struct perf_histogram *new_histogram(void)
{
	struct perf_histogram *h = perf_histogram_new();

	if (!h)
		give_up("out of memory");
	return h;
}

static void begin_ring(struct perf_near_ring *ring, const struct subject *subject, unsigned seed)
{
	if (perf_near_ring_init(ring, &device, &source, subject->packed, subject->layout, seed))
		give_up("a session in this process does not start");
	perf_near_ring_set(ring, &subject->request);
}

/* ---- A request. */

static uint64_t offer_only(struct perf_near_ring *ring)
{
	uint64_t begin = perf_cycles();

	for (unsigned i = 0; i < REQUESTS; i++)
		perf_near_ring_offer(ring);
	return perf_cycles() - begin;
}

static uint64_t offer_and_serve(struct perf_near_ring *ring)
{
	struct vrtc_session *sessions[] = {ring->session};
	uint64_t begin = perf_cycles();

	for (unsigned i = 0; i < REQUESTS; i++) {
		perf_near_ring_offer(ring);
		(void)vrtc_turn(sessions, 1);
	}
	return perf_cycles() - begin;
}

static uint64_t read_clock_only(void)
{
	uint64_t begin = perf_cycles();

	for (unsigned i = 0; i < REQUESTS; i++)
		(void)vrtc_hosttime_clock_ns(CLOCK_REALTIME);
	return perf_cycles() - begin;
}

static void check_served(struct perf_near_ring *ring, const struct subject *subject)
{
	int status = perf_near_ring_look_at_last(ring);

	if (status == subject->status)
		return;
	fprintf(stderr, "%s: %s is answered %d\n", program, subject->name, status);
	exit(1);
}

struct requests {
	struct perf_near_ring served[SUBJECTS];
	struct perf_near_ring offered[SUBJECTS];
	struct perf_histogram *took[SUBJECTS];
	struct perf_histogram *clock;
};

/* Interleaved: one sample of each, and again. */
static void measure_requests(struct requests *q, unsigned samples)
{
	q->clock = new_histogram();
	for (unsigned s = 0; s < SUBJECTS; s++) {
		begin_ring(&q->served[s], &subjects[s], 0);
		begin_ring(&q->offered[s], &subjects[s], 0);
		q->took[s] = new_histogram();
	}
	for (unsigned i = 0; i < samples; i++) {
		perf_histogram_add(q->clock, read_clock_only() * FINE / REQUESTS);
		for (unsigned s = 0; s < SUBJECTS; s++) {
			uint64_t both = offer_and_serve(&q->served[s]);
			uint64_t offers = offer_only(&q->offered[s]);

			check_served(&q->served[s], &subjects[s]);
			perf_histogram_add(
				q->took[s], both > offers ? (both - offers) * FINE / REQUESTS : 0);
		}
	}
	for (unsigned s = 0; s < SUBJECTS; s++) {
		perf_near_ring_fini(&q->served[s]);
		perf_near_ring_fini(&q->offered[s]);
	}
}

static void report_requests(struct perf_result *r, const struct requests *q, double ns)
{
	double clock_ns = (double)perf_histogram_quantile(q->clock, 0.5) * ns;
	double read_ns = (double)perf_histogram_quantile(q->took[0], 0.5) * ns;

	perf_result_head(r, "\na request, ns; each sample is the mean of %d", REQUESTS);
	for (unsigned s = 0; s < SUBJECTS; s++)
		perf_result_series(r, subjects[s].name, "device time", "device", q->took[s], ns);
	perf_result_series(
		r, "clock_gettime(CLOCK_REALTIME)", "device time", "floor", q->clock, ns);
	perf_result_value(r, "READ of UTC, less the clock's own read", "device time",
		read_ns - clock_ns, "ns");
	perf_result_ratio(
		r, "READ less the clock's own read, of 60 ns", (read_ns - clock_ns) / 60, 1);
}

/* ---- Many devices, each with a request. */

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): a cache line each */
struct many {
	struct perf_near_ring ring[DEVICES_MAX];
	struct vrtc_session *session[DEVICES_MAX];
	unsigned n;
	int cpu;
	/* The turn's number: written by the driver when all is offered, by us when it is served. */
	_Alignas(64) atomic_uint offered;
	_Alignas(64) atomic_uint served;
	atomic_bool end;
	bool bad;
};

static void *drive(void *arg)
{
	struct many *m = arg;

	if (!perf_pin(program, m->cpu)) {
		m->bad = true;
		return NULL;
	}
	while (!atomic_load_explicit(&m->end, memory_order_acquire)) {
		unsigned turn = atomic_load_explicit(&m->offered, memory_order_relaxed) + 1;

		for (unsigned i = 0; i < m->n; i++)
			perf_near_ring_offer(&m->ring[i]);
		atomic_store_explicit(&m->offered, turn, memory_order_release);
		while (atomic_load_explicit(&m->served, memory_order_acquire) != turn) {
			if (atomic_load_explicit(&m->end, memory_order_relaxed))
				return NULL;
		}
		for (unsigned i = 0; i < m->n; i++)
			m->bad |= perf_near_ring_look(&m->ring[i]) != VIRTIO_RTC_S_OK;
	}
	return NULL;
}

static void serve_turns(struct many *m, unsigned turns, struct perf_histogram *took)
{
	/* The first ones are for the cache. */
	unsigned last = atomic_load(&m->served) + turns;

	for (unsigned turn = last - turns + 1; turn != last + 1; turn++) {
		int64_t deadline_ns = vfe_deadline_in_ms(WAIT_MS);
		uint64_t begin;
		unsigned n;

		while (atomic_load_explicit(&m->offered, memory_order_acquire) != turn) {
			if (m->bad || vfe_now_ns() > deadline_ns)
				give_up("the driver's thread does nothing");
		}
		begin = perf_cycles();
		n = vrtc_turn(m->session, m->n);
		perf_histogram_add(took, (perf_cycles() - begin) * FINE / m->n);
		if (n != m->n)
			give_up("a turn did not serve all devices");
		atomic_store_explicit(&m->served, turn, memory_order_release);
	}
}

static void begin_many(struct many *m)
{
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		begin_ring(&m->ring[i], &subjects[0], i);
		m->session[i] = m->ring[i].session;
	}
}

/* Rounds of all counts: the machine is not the same from second to second. */
static void measure_many(
	struct many *m, const struct options *o, struct perf_histogram *const took[COUNTS])
{
	struct perf_histogram *warmup = new_histogram();

	m->cpu = o->driver_cpu;
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned c = 0; c < COUNTS; c++) {
			pthread_t thread;

			m->n = counts[c];
			atomic_store(&m->end, false);
			atomic_store(&m->offered, atomic_load(&m->served));
			if (pthread_create(&thread, NULL, drive, m))
				give_up("no thread");
			serve_turns(m, 10, warmup);
			serve_turns(m, o->samples / 10 + 1, took[c]);
			atomic_store(&m->end, true);
			pthread_join(thread, NULL);
			/* What it has offered behind our last turn. */
			(void)vrtc_turn(m->session, m->n);
			for (unsigned i = 0; i < m->n; i++)
				(void)perf_near_ring_look(&m->ring[i]);
		}
	}
	free(warmup);
	if (m->bad)
		give_up("a request was not answered, or not with OK");
}

static void measure_idle(
	struct many *m, const struct options *o, struct perf_histogram *const took[COUNTS])
{
	for (unsigned i = 0; i < o->samples; i++) {
		for (unsigned c = 0; c < COUNTS; c++) {
			unsigned turns = 1 + 2000 / counts[c];
			uint64_t begin;

			(void)vrtc_turn(m->session, counts[c]);
			begin = perf_cycles();
			for (unsigned t = 0; t < turns; t++)
				(void)vrtc_turn(m->session, counts[c]);
			perf_histogram_add(
				took[c], (perf_cycles() - begin) * FINE / turns / counts[c]);
		}
	}
}

static void report_counts(struct perf_result *r, const char *what, const char *group,
	struct perf_histogram *const took[COUNTS], double ns)
{
	for (unsigned c = 0; c < COUNTS; c++) {
		char name[80];

		snprintf(name, sizeof(name), "%s of %u", what, counts[c]);
		perf_result_series(r, name, group, "device", took[c], ns);
	}
}

/* ---- For perf/instructions: one thing so many times, and nothing else in vrtc_turn(). */

#define IDLE_NAME  "an idle device of 500"
#define IDLE_COUNT 500

static void list_names(void)
{
	for (unsigned s = 0; s < SUBJECTS; s++)
		puts(subjects[s].name);
	puts(IDLE_NAME);
}

static void serve_subject(const struct subject *subject, unsigned times)
{
	struct perf_near_ring ring;
	struct vrtc_session *sessions[1];

	begin_ring(&ring, subject, 0);
	sessions[0] = ring.session;
	for (unsigned i = 0; i < times; i++) {
		perf_near_ring_offer(&ring);
		(void)vrtc_turn(sessions, 1);
	}
	check_served(&ring, subject);
	perf_near_ring_fini(&ring);
}

/* @param times  looks at a device: rounded to whole turns */
static void idle_around(unsigned times)
{
	static struct many many;

	begin_many(&many);
	for (unsigned turn = 0; turn < times / IDLE_COUNT; turn++)
		(void)vrtc_turn(many.session, IDLE_COUNT);
}

static int serve(const char *name, unsigned times)
{
	for (unsigned s = 0; s < SUBJECTS; s++) {
		if (strcmp(name, subjects[s].name) == 0) {
			serve_subject(&subjects[s], times);
			return 0;
		}
	}
	if (strcmp(name, IDLE_NAME) == 0) {
		idle_around(times);
		return 0;
	}
	fprintf(stderr, "%s: --serve %s: --list shows what is accepted\n", program, name);
	return 2;
}

/* ---- A neighbour that floods its queue. */

static const struct flood {
	const char *name;
	struct perf_near_request request;
	enum perf_near_layout layout;
	unsigned n; /* made available before each turn */
} floods[] = {
	{"the neighbour is quiet", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_DIRECT, 0},
	{"a READ of the neighbour's", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_DIRECT, 1},
	{"64 READs, the budget", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_DIRECT, 64},
	{"64 READ_CROSS", {.msg_type = VIRTIO_RTC_REQ_READ_CROSS, .hw_counter = HW_COUNTER},
		PERF_NEAR_DIRECT, 64},
	{"64 requests that are none", {.msg_type = 0x7fff}, PERF_NEAR_DIRECT, 64},
	/* One is served in each turn: its descriptors are the budget. */
	{"requests of 256 descriptors", {.msg_type = VIRTIO_RTC_REQ_READ}, PERF_NEAR_LONG, 1},
};
#define FLOODS (sizeof(floods) / sizeof(floods[0]))

static void measure_fairness(unsigned samples, struct perf_histogram *const took[FLOODS])
{
	struct perf_near_ring ours[FLOODS], theirs[FLOODS];

	for (size_t f = 0; f < FLOODS; f++) {
		const struct subject neighbour = {
			.request = floods[f].request, .layout = floods[f].layout};

		begin_ring(&ours[f], &subjects[0], 1);
		begin_ring(&theirs[f], &neighbour, 2);
	}
	for (unsigned i = 0; i < samples; i++) {
		for (size_t f = 0; f < FLOODS; f++) {
			/* The neighbour first: it is the READ that waits. */
			struct vrtc_session *both[] = {theirs[f].session, ours[f].session};
			uint64_t begin;

			for (unsigned k = 0; k < floods[f].n; k++)
				perf_near_ring_offer(&theirs[f]);
			perf_near_ring_offer(&ours[f]);
			begin = perf_cycles();
			(void)vrtc_turn(both, 2);
			perf_histogram_add(took[f], (perf_cycles() - begin) * FINE);
			check_served(&ours[f], &subjects[0]);
		}
	}
	for (size_t f = 0; f < FLOODS; f++) {
		perf_near_ring_fini(&ours[f]);
		perf_near_ring_fini(&theirs[f]);
	}
}

static void run(const struct options *o)
{
	static struct requests requests;
	static struct many many;
	struct perf_histogram *active[COUNTS], *idle[COUNTS], *flooded[FLOODS];
	struct perf_result *r = perf_result_begin("device-time",
		"What does the device itself take, from seeing a request to showing the answer?",
		o->json);
	uint64_t first_cycles = perf_cycles();
	int64_t first_ns = vfe_now_ns();
	double ns;

	for (unsigned c = 0; c < COUNTS; c++) {
		active[c] = new_histogram();
		idle[c] = new_histogram();
	}
	measure_requests(&requests, o->samples);
	begin_many(&many);
	if (o->driver_cpu >= 0)
		measure_many(&many, o, active);
	measure_idle(&many, o, idle);
	for (size_t f = 0; f < FLOODS; f++)
		flooded[f] = new_histogram();
	measure_fairness(o->samples, flooded);
	ns = (double)(vfe_now_ns() - first_ns) / (double)(perf_cycles() - first_cycles);
	perf_result_set_tsc(r, ns);
	ns /= FINE;
	report_requests(r, &requests, ns);
	if (o->driver_cpu >= 0) {
		perf_result_head(r,
			"\na device with a READ that another CPU wrote, ns; a sample is "
			"the mean of a turn");
		report_counts(r, "a waiting device", "active devices", active, ns);
		perf_result_ratio(r, "a waiting device of 500, by one alone",
			(double)perf_histogram_quantile(active[3], 0.5) /
				(double)perf_histogram_quantile(active[0], 0.5),
			1.2);
	}
	perf_result_head(r, "\nan idle device, ns a turn");
	report_counts(r, "an idle device", "idle devices", idle, ns);
	perf_result_ratio(r, "an idle device of 500, of 5 ns",
		(double)perf_histogram_quantile(idle[3], 0.5) * ns / 5, 1);
	perf_result_head(r, "\na turn with a READ, beside a neighbour that floods its queue, ns");
	for (size_t f = 0; f < FLOODS; f++)
		perf_result_series(r, floods[f].name, "fairness", "device", flooded[f], ns);
	perf_result_end(r);
}

static bool load_table(void)
{
	static char text[256 * 1024];
	FILE *file = fopen("/usr/share/zoneinfo/leap-seconds.list", "re");
	size_t bytes = file ? fread(text, 1, sizeof(text), file) : 0;

	if (file)
		fclose(file);
	return vrtc_leap_parse(&table, text, bytes, NULL) == VRTC_LEAP_OK;
}

static const char help[] =
	"usage: dpdk-rtc-device-time [OPTION...]\n"
	"Measures the device's own part of a request, in this process.\n"
	"  --samples N      of each (2000)\n"
	"  --cpu N          where the device runs (0; -1: anywhere)\n"
	"  --driver-cpu N   where requests are written for devices that are many; without it, that\n"
	"                   part is left out\n"
	"  --json FILE      what was measured, for perf/report\n"
	"For perf/instructions:\n"
	"  --list           the names of what can be served\n"
	"  --serve NAME     serves that --samples times, and measures nothing\n";

int main(int argc, char **argv)
{
	enum { SAMPLES = 1, CPU, DRIVER_CPU, JSON, LIST, SERVE, HELP };
	static const struct option options[] = {
		{"samples", required_argument, NULL, SAMPLES},
		{"cpu", required_argument, NULL, CPU},
		{"driver-cpu", required_argument, NULL, DRIVER_CPU},
		{"json", required_argument, NULL, JSON},
		{"list", no_argument, NULL, LIST},
		{"serve", required_argument, NULL, SERVE},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.samples = 2000, .driver_cpu = -1};
	struct vrtc_hosttime_report report;
	long v = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case SAMPLES:
			ok = perf_number(program, optarg, 1, 1000000, &v);
			o.samples = (unsigned)v;
			break;
		case CPU:
			ok = perf_number(program, optarg, -1, 1023, &v);
			o.cpu = (int)v;
			break;
		case DRIVER_CPU:
			ok = perf_number(program, optarg, 0, 1023, &v);
			o.driver_cpu = (int)v;
			break;
		case JSON:
			o.json = optarg;
			break;
		case LIST:
			list_names();
			return 0;
		case SERVE:
			o.serve = optarg;
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
	if (optind != argc || (o.driver_cpu >= 0 && o.driver_cpu == o.cpu)) {
		fprintf(stderr, "%s: %s; see --help\n", program,
			optind != argc ? "no such argument"
				       : "--cpu and --driver-cpu are two CPUs");
		return 2;
	}
	if (!load_table())
		give_up("no leap-second table (package tzdata)");
	if (!perf_pin(program, o.cpu))
		return 1;
	vrtc_hosttime_init(&host, VRTC_HOST_UTC, &table, &report);
	vrtc_pairing_init(&pairing);
	if (o.serve)
		return serve(o.serve, o.samples);
	run(&o);
	return 0;
}
