/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-roundtrip: what a READ costs the driver, on the device and on the echo floor.
 *
 * Both back-ends are measured in one run, in alternating batches, by the same code, over rings of
 * the same size and layout in memory of the same kind: the machines at hand change their speed from
 * run to run, and only a ratio within one run means something. While one is measured the other is
 * stopped (SIGSTOP by its pid), so both can have the same core; the first requests after it goes on
 * are thrown away.
 *
 * Every sample is kept (4 bytes), so percentiles are exact. The unit is the TSC, whose frequency is
 * measured against CLOCK_MONOTONIC over the whole run.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/deadline.h"
#include "frontend/rtc.h"

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
	bool json;
};

/* One back-end and its samples. */
struct side {
	const char *name;
	pid_t pid;
	struct vfe_session session;
	uint32_t *cycles;
	size_t n;
	uint16_t clock_id;
};

struct figures {
	double min, p50, p90, p99, p999, max;
};

/* For the end of the program, however it comes: no back-end is left stopped. */
static pid_t stopped[2];

static void continue_all(void)
{
	for (int i = 0; i < 2; i++)
		if (stopped[i] > 0)
			kill(stopped[i], SIGCONT);
}

static void end(int sig)
{
	continue_all();
	_exit(128 + sig);
}

static inline uint64_t now_cycles(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
#error "name this processor's counter"
#endif
}

/* True once every thread of the process is in state T. */
static bool is_stopped(pid_t pid)
{
	char path[300];
	bool all = true;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while (all && (e = readdir(dir)) != NULL) {
		char line[512];
		const char *after_name;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", (int)pid, e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		/* pid (name) state: the name may hold anything, a parenthesis as well. */
		if (fgets(line, sizeof(line), f)) {
			after_name = strrchr(line, ')');
			all = after_name && after_name[1] == ' ' &&
			      (after_name[2] == 'T' || after_name[2] == 't');
		}
		fclose(f);
	}
	closedir(dir);
	return all;
}

static int stop(struct side *side, int which)
{
	int64_t deadline_ns = vfe_deadline_in_ms(2000);

	if (side->pid == 0)
		return 0;
	stopped[which] = side->pid;
	if (kill(side->pid, SIGSTOP) < 0)
		return -errno;
	while (!is_stopped(side->pid)) {
		if (vfe_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

static void go_on(struct side *side, int which)
{
	if (side->pid == 0)
		return;
	kill(side->pid, SIGCONT);
	stopped[which] = 0;
}

static int measure(struct side *side, unsigned int warmup, unsigned int batch)
{
	uint64_t reading;
	int status;

	for (unsigned int i = 0; i < warmup + batch; i++) {
		uint64_t before = now_cycles();
		uint64_t cycles;

		status = vfe_rtc_read(&side->session, side->clock_id, &reading);
		cycles = now_cycles() - before;
		if (status != 0)
			return status;
		if (i >= warmup)
			side->cycles[side->n++] =
				cycles < UINT32_MAX ? (uint32_t)cycles : UINT32_MAX;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static struct figures figures_of(struct side *side, double ns_per_cycle)
{
	const uint32_t *c = side->cycles;
	size_t n = side->n;

	qsort(side->cycles, n, sizeof(c[0]), by_value);
	return (struct figures){
		.min = c[0] * ns_per_cycle,
		.p50 = c[n / 2] * ns_per_cycle,
		.p90 = c[n - 1 - n / 10] * ns_per_cycle,
		.p99 = c[n - 1 - n / 100] * ns_per_cycle,
		.p999 = c[n - 1 - n / 1000] * ns_per_cycle,
		.max = c[n - 1] * ns_per_cycle,
	};
}

static const char *wait_name(enum vfe_wait wait)
{
	return wait == VFE_WAIT_POLL ? "poll" : wait == VFE_WAIT_SPIN ? "spin" : "sleep";
}

static void print_json_figures(const char *name, const struct figures *f, const char *tail)
{
	printf("  \"%s\": {\"min\": %.1f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
	       "\"p99.9\": %.1f, \"max\": %.1f}%s\n",
		name, f->min, f->p50, f->p90, f->p99, f->p999, f->max, tail);
}

static void print_row(const char *name, const char *unit, const struct figures *f, int digits)
{
	printf("%-8s %-4s %10.*f %10.*f %10.*f %10.*f %10.*f %12.*f\n", name, unit, digits, f->min,
		digits, f->p50, digits, f->p90, digits, f->p99, digits, f->p999, digits, f->max);
}

static void report(const struct options *o, struct side *sides, double ns_per_cycle)
{
	struct figures device = figures_of(&sides[0], ns_per_cycle);
	struct figures echo = figures_of(&sides[1], ns_per_cycle);
	struct figures ratio = {
		.min = device.min / echo.min,
		.p50 = device.p50 / echo.p50,
		.p90 = device.p90 / echo.p90,
		.p99 = device.p99 / echo.p99,
		.p999 = device.p999 / echo.p999,
		.max = device.max / echo.max,
	};

	if (o->json) {
		printf("{\n  \"what\": \"round trip of VIRTIO_RTC_REQ_READ, ns\",\n"
		       "  \"samples_each\": %zu,\n  \"batches\": %u,\n  \"wait\": \"%s\",\n"
		       "  \"ring_size\": %u,\n  \"tsc_mhz\": %.3f,\n",
			sides[0].n, o->batches, wait_name(o->wait), o->ring_size,
			1000 / ns_per_cycle);
		print_json_figures("device", &device, ",");
		print_json_figures("echo", &echo, ",");
		printf("  \"ratio\": {\"min\": %.3f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, "
		       "\"p99.9\": %.3f, \"max\": %.3f}\n}\n",
			ratio.min, ratio.p50, ratio.p90, ratio.p99, ratio.p999, ratio.max);
		return;
	}
	printf("round trip of READ, %zu each in %u interleaved batches, wait %s, rings of %u, "
	       "TSC %.1f MHz\n",
		sides[0].n, o->batches, wait_name(o->wait), o->ring_size, 1000 / ns_per_cycle);
	printf("%-8s %-4s %10s %10s %10s %10s %10s %12s\n", "", "", "min", "median", "p90", "p99",
		"p99.9", "max");
	print_row("device", "ns", &device, 0);
	print_row("echo", "ns", &echo, 0);
	print_row("ratio", "", &ratio, 2);
}

static int run(const struct options *o)
{
	static struct side sides[2] = {{.name = "device"}, {.name = "echo"}};
	uint64_t first_cycles, last_cycles;
	int64_t first_ns, last_ns;
	int status = 0;

	for (int i = 0; i < 2; i++) {
		struct side *side = &sides[i];
		struct vfe_config cfg;

		vfe_config_default(&cfg, o->path[i]);
		cfg.connect_ms = 5000;
		cfg.wait = o->wait;
		cfg.ring_size = o->ring_size;
		cfg.features |= o->features;
		side->pid = o->pid[i];
		side->clock_id = o->clock_id;
		side->cycles = malloc(sizeof(side->cycles[0]) * o->batches * o->batch);
		if (!side->cycles) {
			fputs("dpdk-rtc-roundtrip: out of memory\n", stderr);
			return 1;
		}
		/* Touched now, so that no sample pays for a page. */
		memset(side->cycles, 0, sizeof(side->cycles[0]) * o->batches * o->batch);
		if (vfe_session_init(&side->session, &cfg) < 0 ||
			vfe_session_start(&side->session) < 0) {
			fprintf(stderr, "dpdk-rtc-roundtrip: %s: %s\n", side->name,
				vfe_error(&side->session));
			return 1;
		}
		if (stop(side, i) < 0) {
			fprintf(stderr, "dpdk-rtc-roundtrip: cannot stop %s (pid %d)\n", side->name,
				(int)side->pid);
			return 1;
		}
	}

	first_ns = vfe_now_ns();
	first_cycles = now_cycles();
	for (unsigned int b = 0; !status && b < o->batches * 2; b++) {
		/* device echo, echo device, ...: neither is always the second. */
		int which = (int)((b & 1) ^ (b >> 1 & 1));
		struct side *side = &sides[which];

		go_on(side, which);
		status = measure(side, o->warmup, o->batch);
		if (status)
			fprintf(stderr, "dpdk-rtc-roundtrip: %s: %s %s\n", side->name,
				status > 0 ? "READ answered" : vfe_error(&side->session),
				status > 0 ? vfe_rtc_status_name((uint8_t)status) : "");
		else if (stop(side, which) < 0)
			status = -1;
	}
	last_cycles = now_cycles();
	last_ns = vfe_now_ns();
	continue_all();
	if (!status)
		report(o, sides,
			(double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	for (int i = 0; i < 2; i++) {
		vfe_session_fini(&sides[i].session);
		free(sides[i].cycles);
	}
	return status ? 1 : 0;
}

static const char help[] =
	"usage: dpdk-rtc-roundtrip --device SOCKET --echo SOCKET [OPTION...]\n"
	"Measures the round trip of READ on a device and on dpdk-rtc-echo, interleaved.\n"
	"  --device-pid PID, --echo-pid PID  stopped while the other is measured\n"
	"  --batches N    batches of each (50)      --batch N   requests of a batch (20000)\n"
	"  --warmup N     not counted, a batch (2000)\n"
	"  --cpu N        pin this process (0; -1: do not)\n"
	"  --wait HOW     poll: no calls (default); spin: poll, but let the device call;\n"
	"                 sleep: on the call eventfd\n"
	"  --clock N      the device's clock to read (0)\n"
	"  --ring-size N  entries (256)\n"
	"  --event-idx    negotiate EVENT_IDX where it is offered\n"
	"  --json\n";

static bool number(const char *text, long min, long max, long *out)
{
	char *after;

	errno = 0;
	*out = strtol(text, &after, 10);
	if (errno || *after || after == text || *out < min || *out > max) {
		fprintf(stderr, "dpdk-rtc-roundtrip: '%s' is not a number from %ld to %ld\n", text,
			min, max);
		return false;
	}
	return true;
}

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
			ok = number(optarg, 2, 1 << 30, &v);
			o.pid[0] = (pid_t)v;
			break;
		case ECHO_PID:
			ok = number(optarg, 2, 1 << 30, &v);
			o.pid[1] = (pid_t)v;
			break;
		case BATCHES:
			ok = number(optarg, 1, 100000, &v);
			o.batches = (unsigned int)v;
			break;
		case BATCH:
			ok = number(optarg, 1, 10000000, &v);
			o.batch = (unsigned int)v;
			break;
		case WARMUP:
			ok = number(optarg, 0, 10000000, &v);
			o.warmup = (unsigned int)v;
			break;
		case CPU:
			ok = number(optarg, -1, 1023, &v);
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
			ok = number(optarg, 0, 65535, &v);
			o.clock_id = (uint16_t)v;
			break;
		case RING_SIZE:
			ok = number(optarg, 2, 32768, &v);
			o.ring_size = (uint16_t)v;
			break;
		case EVENT_IDX:
			o.features = 1ull << VFE_F_EVENT_IDX;
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
	if (!o.path[0] || !o.path[1] || optind != argc) {
		fputs("dpdk-rtc-roundtrip: --device and --echo are needed; see --help\n", stderr);
		return 2;
	}
	if (o.cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(o.cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0) {
			fprintf(stderr, "dpdk-rtc-roundtrip: cannot run on CPU %d: %s\n", o.cpu,
				strerror(errno));
			return 1;
		}
	}
	atexit(continue_all);
	signal(SIGINT, end);
	signal(SIGTERM, end);
	return run(&o);
}
