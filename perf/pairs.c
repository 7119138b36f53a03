/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-pairs: how far apart the two halves of a pair (lib/rtc/pair.h) are, and whether they are
 * ever farther than the pair claims.
 *
 * Judged in two ways:
 *
 *	line    a straight line fitted through the pairs of 0.1 ms before and after each. The
 *	        kernel's clock is linear from tick to tick, so what a pair is off the line is an
 *	        error. An offset that all pairs have is not seen.
 *	kernel  the kernel's own pair of CLOCK_REALTIME and the TSC, of KVM, taken some microseconds
 *	        before. Where there is no such KVM this is left out, and said.
 *
 * Beside it, one window and its middle, which is what a pair would be without a choice; and pairs
 * of which each follows a walk through 2 MB, since requests are rare and caches are shared.
 *
 * An error is the pair's count less the one at which the clock showed what the pair says, in ns.
 * Clocks show whole nanoseconds; an error is beyond the bound if it is more than the pair's doubt
 * and that one nanosecond.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "figures.h"
#include "hosttime.h"
#include "kvm_clock.h"
#include "options.h"
#include "pair.h"

#define AROUND_NS   100000
#define GOAL_NS     5
#define BINS        16   /* of 1 ns to either side of the one around 0, and the rest */
#define RESIDUE     1024 /* a count's parts, for sums that are exact */
#define KVM_RATE    1000 /* pairs from one measurement of the rate to the next */
#define CACHE_BYTES (2 << 20)
#define CACHE_LINE  64
#define COST_CALLS  1000
#define COST_BATCH  1000
#define BAR         60

static const char program[] = "dpdk-rtc-pairs";

struct judged {
	double *error_ns; /* of each pair */
	double *doubt_ns;
	size_t n;
};

static struct vrtc_pairing pairing;
static struct vrtc_pair *pairs;
static struct perf_kvm_pair *kernel;
static struct judged judged;
static long n_pairs = 1000000;

static void *table(size_t bytes)
{
	void *t = malloc(bytes);

	if (!t) {
		fprintf(stderr, "%s: out of memory\n", program);
		exit(1);
	}
	/* Touched now, so that no sample pays for a page. */
	memset(t, 1, bytes);
	return t;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double at(const double *sorted, size_t n, double share)
{
	size_t i = (size_t)(share * (double)n);

	return sorted[i < n ? i : n - 1];
}

static void print_histogram(const double *error_ns, size_t n)
{
	size_t bin[2 * BINS + 1] = {0};
	size_t most = 1, below = 0, above = 0;

	for (size_t i = 0; i < n; i++) {
		double ns = floor(error_ns[i] + 0.5);

		if (ns < -BINS)
			below++;
		else if (ns > BINS)
			above++;
		else
			bin[(int)ns + BINS]++;
	}
	for (int b = 0; b <= 2 * BINS; b++)
		if (bin[b] > most)
			most = bin[b];
	printf("  %5s ns %9zu\n", "below", below);
	for (int b = 0; b <= 2 * BINS; b++) {
		/* By the logarithm: the tails are what is looked for. */
		int length =
			bin[b] ? 1 + (int)((BAR - 1) * log((double)bin[b]) / log((double)most + 1))
			       : 0;

		if (bin[b])
			printf("  %+5d ns %9zu %.*s\n", b - BINS, bin[b], length,
				"############################################################");
	}
	printf("  %5s ns %9zu\n", "above", above);
}

/* @return  how many are beyond their bound */
static size_t report(const char *what, struct judged *j)
{
	size_t good = 0, beyond = 0;
	double sum = 0;

	for (size_t i = 0; i < j->n; i++) {
		sum += j->error_ns[i];
		if (fabs(j->error_ns[i]) > j->doubt_ns[i] + 1)
			beyond++;
	}
	printf("\n%s: %zu pairs, mean %+.2f ns; bars by the logarithm\n", what, j->n,
		sum / (double)j->n);
	print_histogram(j->error_ns, j->n);
	for (size_t i = 0; i < j->n; i++) {
		j->error_ns[i] = fabs(j->error_ns[i]);
		good += j->error_ns[i] <= GOAL_NS;
	}
	qsort(j->error_ns, j->n, sizeof(j->error_ns[0]), by_value);
	qsort(j->doubt_ns, j->n, sizeof(j->doubt_ns[0]), by_value);
	printf("  |error|  median %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  p99.99 %.2f  max %.2f ns\n",
		at(j->error_ns, j->n, 0.5), at(j->error_ns, j->n, 0.9), at(j->error_ns, j->n, 0.99),
		at(j->error_ns, j->n, 0.999), at(j->error_ns, j->n, 0.9999),
		at(j->error_ns, j->n, 1));
	printf("  claimed  median %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  p99.99 %.1f  max %.1f ns\n",
		at(j->doubt_ns, j->n, 0.5), at(j->doubt_ns, j->n, 0.9), at(j->doubt_ns, j->n, 0.99),
		at(j->doubt_ns, j->n, 0.999), at(j->doubt_ns, j->n, 0.9999),
		at(j->doubt_ns, j->n, 1));
	printf("  within %d ns: %.4f %%; beyond what was claimed: %zu\n", GOAL_NS,
		100 * (double)good / (double)j->n, beyond);
	return beyond;
}

/* Sums of a line's fit: exact, so that what is added can be taken out again. */
struct line {
	__int128 n, t, tt, r, tr;
};

static void add(struct line *l, int64_t t, int64_t r, int sign)
{
	l->n += sign;
	l->t += sign * t;
	l->tt += sign * (__int128)t * t;
	l->r += sign * r;
	l->tr += sign * (__int128)t * r;
}

static double line_at(const struct line *l, int64_t t)
{
	/* n sums, so that the mean is exact, too. */
	double tt = (double)(l->n * l->tt - l->t * l->t);
	double tr = (double)(l->n * l->tr - l->t * l->r);
	double mean = (double)l->r / (double)l->n;
	double from_mean = (double)(l->n * t - l->t) / (double)l->n;

	return mean + (tt > 0 ? tr / tt * from_mean : 0);
}

/* What is left of a pair's count once the known rate is taken away, in parts of a count. */
static int64_t residue(const struct vrtc_pair *first, const struct vrtc_pair *p, double rate)
{
	double expected = (double)(p->clock_ns - first->clock_ns) * rate;
	double whole = floor(expected);

	return ((int64_t)(p->count - first->count) - (int64_t)whole) * RESIDUE -
	       (int64_t)((expected - whole) * RESIDUE);
}

/* Wide windows say little and would bend the line; they are judged by it all the same. */
static bool is_wide(const struct vrtc_pair *p, double doubt_median)
{
	return p->doubt > 2 * doubt_median;
}

static void judge_by_line(double rate)
{
	const struct vrtc_pair *first = &pairs[0];
	size_t n = (size_t)n_pairs, from = 0, to = 0;
	struct line line = {0};
	double doubt_median;

	for (size_t i = 0; i < n; i++)
		judged.doubt_ns[i] = pairs[i].doubt;
	qsort(judged.doubt_ns, n, sizeof(double), by_value);
	doubt_median = at(judged.doubt_ns, n, 0.5);
	judged.n = 0;
	for (size_t i = 0; i < n; i++) {
		int64_t t = pairs[i].clock_ns - first->clock_ns;

		for (; to < n && pairs[to].clock_ns <= pairs[i].clock_ns + AROUND_NS; to++)
			if (!is_wide(&pairs[to], doubt_median))
				add(&line, pairs[to].clock_ns - first->clock_ns,
					residue(first, &pairs[to], rate), 1);
		for (; pairs[from].clock_ns < pairs[i].clock_ns - AROUND_NS; from++)
			if (!is_wide(&pairs[from], doubt_median))
				add(&line, pairs[from].clock_ns - first->clock_ns,
					residue(first, &pairs[from], rate), -1);
		/* Behind a long steal there is nobody around. */
		if (line.n < 100)
			continue;
		judged.error_ns[judged.n] =
			((double)residue(first, &pairs[i], rate) - line_at(&line, t)) / RESIDUE /
			rate;
		judged.doubt_ns[judged.n++] = pairs[i].doubt / rate;
	}
}

static size_t measure_line(enum vrtc_host_counter counter, clockid_t id, const char *what)
{
	for (long i = 0; i < n_pairs; i++)
		vrtc_pair_read(&pairing, counter, id, &pairs[i]);
	judge_by_line(pairing.counts_per_ns[counter]);
	return report(what, &judged);
}

/* The pair's clock less CLOCK_REALTIME: whole seconds. */
static void judge_by_kernel(long n, int64_t ahead_ns)
{
	judged.n = 0;
	for (long i = 0; i < n; i++) {
		long a = i - i % KVM_RATE;
		long b = a + KVM_RATE - 1 < n ? a + KVM_RATE - 1 : n - 1;
		double rate = pairing.counts_per_ns[VRTC_HOST_COUNTER_CPU];
		int64_t clock_ns = pairs[i].clock_ns - ahead_ns;

		if (b > a)
			rate = (double)(kernel[b].tsc - kernel[a].tsc) /
			       (double)(kernel[b].realtime_ns - kernel[a].realtime_ns);
		judged.error_ns[judged.n] =
			(double)(int64_t)(pairs[i].count - kernel[i].tsc) / rate -
			(double)(clock_ns - kernel[i].realtime_ns);
		judged.doubt_ns[judged.n++] = pairs[i].doubt / rate;
	}
}

/* What precedes a pair, or stands in for it. */
enum way { AS_IT_IS, COLD, ONE_WINDOW };

/* Fills the caches of this CPU with something else, as whatever runs between two requests does. */
static void use_caches(void)
{
	static volatile unsigned char memory[CACHE_BYTES];

	for (size_t i = 0; i < sizeof(memory); i += CACHE_LINE)
		memory[i]++;
}

static void read_one_window(clockid_t id, struct vrtc_pair *pair)
{
	struct vrtc_pair_window window = {.begin = vrtc_pair_count(VRTC_HOST_COUNTER_CPU)};

	window.clock_ns = vrtc_hosttime_clock_ns(id);
	window.width = vrtc_pair_count(VRTC_HOST_COUNTER_CPU) - window.begin;
	vrtc_pair_from_window(&window, pair);
}

static size_t measure_kernel(
	int kvm, enum way way, clockid_t id, int64_t ahead_ns, const char *what)
{
	long n = way == COLD ? n_pairs / 10 : n_pairs;

	for (long i = 0; i < n; i++) {
		if (perf_kvm_clock_read(kvm, &kernel[i])) {
			fprintf(stderr, "%s: KVM_GET_CLOCK: %s\n", program, strerror(errno));
			exit(1);
		}
		if (way == COLD)
			use_caches();
		if (way == ONE_WINDOW)
			read_one_window(id, &pairs[i]);
		else
			vrtc_pair_read(&pairing, VRTC_HOST_COUNTER_CPU, id, &pairs[i]);
	}
	judge_by_kernel(n, ahead_ns);
	return report(what, &judged);
}

enum cost { COST_CLOCK, COST_WINDOW, COST_PAIR, COST_MONOTONIC, COSTS };

static const char *const cost_names[COSTS] = {
	"clock_gettime()", "one window", "pair with the TSC", "pair with MONOTONIC"};

static volatile int64_t sink;

static void call(enum cost cost)
{
	struct vrtc_pair pair = {.clock_ns = 0};

	switch (cost) {
	case COST_CLOCK:
		pair.clock_ns = vrtc_hosttime_clock_ns(CLOCK_REALTIME);
		break;
	case COST_WINDOW:
		pair.count = vrtc_pair_count(VRTC_HOST_COUNTER_CPU);
		pair.clock_ns = vrtc_hosttime_clock_ns(CLOCK_REALTIME);
		pair.clock_ns += (int64_t)(vrtc_pair_count(VRTC_HOST_COUNTER_CPU) - pair.count);
		break;
	case COST_PAIR:
		vrtc_pair_read(&pairing, VRTC_HOST_COUNTER_CPU, CLOCK_REALTIME, &pair);
		break;
	default:
		vrtc_pair_read(&pairing, VRTC_HOST_COUNTER_MONOTONIC, CLOCK_REALTIME, &pair);
		break;
	}
	sink = pair.clock_ns;
}

static void measure_cost(void)
{
	static int64_t ns[COSTS][COST_BATCH];

	for (int b = 0; b < COST_BATCH; b++) {
		for (unsigned c = 0; c < COSTS; c++) {
			int64_t begin_ns = vrtc_hosttime_clock_ns(CLOCK_MONOTONIC_RAW);

			for (int i = 0; i < COST_CALLS; i++)
				call((enum cost)c);
			ns[c][b] = vrtc_hosttime_clock_ns(CLOCK_MONOTONIC_RAW) - begin_ns;
		}
	}
	printf("\ncost of CLOCK_REALTIME, mean of a batch of %d, %d interleaved batches\n",
		COST_CALLS, COST_BATCH);
	perf_figures_print_head();
	for (unsigned c = 0; c < COSTS; c++) {
		struct perf_figures f = perf_figures_of(ns[c], COST_BATCH, 1.0 / COST_CALLS);

		perf_figures_print(cost_names[c], "ns", &f);
	}
}

static const char help[] = "usage: dpdk-rtc-pairs [OPTION...]\n"
			   "How exact pairs of a counter and a clock are, and what they cost.\n"
			   "  --pairs N  of each kind (1000000)\n"
			   "  --cpu N    pin this process (-1: do not; default)\n";

static bool parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"pairs", required_argument, NULL, 'p'},
		{"cpu", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	long cpu = -1;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			if (!perf_number(program, optarg, 1000, 100000000, &n_pairs))
				return false;
			break;
		case 'c':
			if (!perf_number(program, optarg, -1, 1023, &cpu))
				return false;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			return false;
		}
	}
	if (optind != argc) {
		fputs(help, stderr);
		return false;
	}
	return perf_pin(program, (int)cpu);
}

/* In whole seconds, which are the table's or the kernel's and not measured. */
static int64_t tai_ahead_ns(void)
{
	return (int64_t)vrtc_hosttime_kernel_tai_s() * VRTC_NS_PER_S;
}

int main(int argc, char **argv)
{
	const struct vrtc_pair_widths *cpu = &pairing.good[VRTC_HOST_COUNTER_CPU];
	const struct vrtc_pair_widths *monotonic = &pairing.good[VRTC_HOST_COUNTER_MONOTONIC];
	size_t beyond = 0;
	const char *why;
	int kvm;

	if (!parse(argc, argv))
		return 2;
	vrtc_pairing_init(&pairing);
	if (pairing.cpu_unfit) {
		printf("SKIP: %s\n", pairing.cpu_unfit);
		return 0;
	}
	pairs = table(sizeof(pairs[0]) * (size_t)n_pairs);
	kernel = table(sizeof(kernel[0]) * (size_t)n_pairs);
	judged.error_ns = table(sizeof(double) * (size_t)n_pairs);
	judged.doubt_ns = table(sizeof(double) * (size_t)n_pairs);
	printf("%.6f counts a ns; windows are good that are %" PRIu64 " to %" PRIu64
	       " counts wide, of MONOTONIC %" PRIu64 " to %" PRIu64 " ns\n",
		pairing.counts_per_ns[VRTC_HOST_COUNTER_CPU], cpu->narrow, cpu->narrow + cpu->span,
		monotonic->narrow, monotonic->narrow + monotonic->span);

	kvm = perf_kvm_clock_open(&why);
	if (kvm < 0) {
		printf("\nagainst the kernel's own pairs: SKIP: %s\n", why);
	} else {
		beyond += measure_kernel(kvm, AS_IT_IS, CLOCK_REALTIME, 0,
			"REALTIME, against the kernel's own pairs");
		beyond += measure_kernel(kvm, AS_IT_IS, CLOCK_TAI, tai_ahead_ns(),
			"TAI, against the kernel's own pairs");
		beyond += measure_kernel(kvm, COLD, CLOCK_REALTIME, 0,
			"REALTIME behind a walk through 2 MB, against the kernel's own pairs");
		beyond += measure_kernel(kvm, ONE_WINDOW, CLOCK_REALTIME, 0,
			"for comparison: REALTIME by one window, against the kernel's own pairs");
	}
	beyond += measure_line(VRTC_HOST_COUNTER_CPU, CLOCK_REALTIME,
		"REALTIME, against a line through those around");
	beyond += measure_line(
		VRTC_HOST_COUNTER_CPU, CLOCK_TAI, "TAI, against a line through those around");
	beyond += measure_line(VRTC_HOST_COUNTER_CPU, CLOCK_BOOTTIME,
		"BOOTTIME, against a line through those around");
	beyond += measure_line(VRTC_HOST_COUNTER_MONOTONIC, CLOCK_REALTIME,
		"REALTIME with MONOTONIC, against a line through those around");
	measure_cost();
	if (beyond)
		fprintf(stderr, "%s: %zu pairs are off by more than they claim\n", program, beyond);
	return beyond ? 1 : 0;
}
