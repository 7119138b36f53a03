/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-readings: what a reading costs the lcore, for each clock, beside clock_gettime() of the
 * vDSO: time by batches that are interleaved, and instructions. "+ TSC" is the same with the CPU's
 * counter at that instant, for a cross-timestamp.
 *
 * No device and no ring: what session.c does between the pop and the response. The PTP hardware
 * clock is a line that is published once; /dev/ptpN is not needed.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "figures.h"
#include "hosttime.h"
#include "timesource.h"
#include "wire.h"

#define BATCHES   2000
#define CALLS     1000
#define STEPS_MAX 100000

struct subject {
	const char *name;
	const struct vrtc_timesource *source; /* NULL: clock_gettime() alone */
	struct vrtc_clock clock;
	bool cross;
	clockid_t id;
};

static struct vrtc_pairing pairing;
static struct vrtc_hosttime host;
static struct vrtc_leap_table table;
static struct vrtc_phc phc;
static const struct vrtc_timesource by_system = {.pairing = &pairing, .host = &host};
static const struct vrtc_timesource by_phc = {.pairing = &pairing, .host = &host, .phc = &phc};
static const struct vrtc_timesource by_phc_utc = {.host = &host, .phc = &phc, .phc_is_utc = true};

static const struct subject subjects[] = {
	{"clock_gettime(CLOCK_REALTIME)", NULL, {0}, false, CLOCK_REALTIME},
	{"clock_gettime(CLOCK_TAI)", NULL, {0}, false, CLOCK_TAI},
	{"clock_gettime(CLOCK_BOOTTIME)", NULL, {0}, false, CLOCK_BOOTTIME},
	{"UTC", &by_system, {.type = VIRTIO_RTC_CLOCK_UTC}, false, 0},
	{"TAI", &by_system, {.type = VIRTIO_RTC_CLOCK_TAI}, false, 0},
	{"MONOTONIC", &by_system, {.type = VIRTIO_RTC_CLOCK_MONOTONIC}, false, 0},
	{"UTC_SMEARED, NOON_LINEAR", &by_system,
		{.type = VIRTIO_RTC_CLOCK_UTC_SMEARED, .smear = VIRTIO_RTC_SMEAR_NOON_LINEAR},
		false, 0},
	{"UTC_SMEARED, UTC_SLS", &by_system,
		{.type = VIRTIO_RTC_CLOCK_UTC_SMEARED, .smear = VIRTIO_RTC_SMEAR_UTC_SLS}, false,
		0},
	{"UTC_MAYBE_SMEARED", &by_system, {.type = VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED}, false, 0},
	{"TAI of a PHC", &by_phc, {.type = VIRTIO_RTC_CLOCK_TAI}, false, 0},
	{"UTC of a PHC", &by_phc, {.type = VIRTIO_RTC_CLOCK_UTC}, false, 0},
	{"UTC of a PHC on UTC", &by_phc_utc, {.type = VIRTIO_RTC_CLOCK_UTC}, false, 0},
	{"UTC + TSC", &by_system, {.type = VIRTIO_RTC_CLOCK_UTC}, true, 0},
	{"TAI + TSC", &by_system, {.type = VIRTIO_RTC_CLOCK_TAI}, true, 0},
	{"MONOTONIC + TSC", &by_system, {.type = VIRTIO_RTC_CLOCK_MONOTONIC}, true, 0},
	{"UTC_SMEARED, NOON_LINEAR + TSC", &by_system,
		{.type = VIRTIO_RTC_CLOCK_UTC_SMEARED, .smear = VIRTIO_RTC_SMEAR_NOON_LINEAR}, true,
		0},
	{"TAI of a PHC + TSC", &by_phc, {.type = VIRTIO_RTC_CLOCK_TAI}, true, 0},
};
#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

static volatile uint64_t sink;

static uint64_t call(const struct subject *subject)
{
	enum vrtc_timebase timebase = vrtc_clock_timebase(&subject->clock);
	struct vrtc_instant now;
	struct vrtc_pair pair;
	uint64_t reading_ns = 0;

	if (!subject->source)
		return (uint64_t)vrtc_hosttime_clock_ns(subject->id);
	if (subject->cross)
		vrtc_timesource_read_pair(
			subject->source, timebase, VRTC_HOST_COUNTER_CPU, &now, &pair);
	else
		vrtc_timesource_read(subject->source, timebase, &now);
	if (!now.known ||
		!vrtc_clock_read(&subject->clock, now.leap, now.timebase_ns, &reading_ns)) {
		fprintf(stderr, "%s cannot be read\n", subject->name);
		exit(1);
	}
	return reading_ns;
}

static int64_t raw_ns(void)
{
	return vrtc_hosttime_clock_ns(CLOCK_MONOTONIC_RAW);
}

static int64_t time_batch(const struct subject *subject)
{
	int64_t begin_ns = raw_ns();

	for (int i = 0; i < CALLS; i++)
		sink = call(subject);
	return raw_ns() - begin_ns;
}

/*
 * A call's instructions, the vDSO's among them, by stepping through it: this needs no counter that
 * a virtual machine may not have. The child stops before and after each call.
 */
static void be_stepped(void)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	raise(SIGSTOP);
	raise(SIGSTOP);
	for (unsigned s = 0; s < SUBJECTS; s++) {
		sink = call(&subjects[s]);
		raise(SIGSTOP);
		sink = call(&subjects[s]);
		raise(SIGSTOP);
	}
	_exit(0);
}

/* Steps to the child's next stop; -1: it has ended. */
static int step(pid_t pid)
{
	int status;

	for (int n = 0; n < STEPS_MAX; n++) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid ||
			!WIFSTOPPED(status))
			return -1;
		if (WSTOPSIG(status) == SIGSTOP)
			return n;
	}
	return -1;
}

/* All 0 where it cannot be done. */
static void count_instructions(int count[SUBJECTS])
{
	pid_t pid = fork();
	int status, nothing;

	memset(count, 0, SUBJECTS * sizeof(count[0]));
	if (pid == 0)
		be_stepped();
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return;
	nothing = step(pid);
	for (unsigned s = 0; s < SUBJECTS && nothing >= 0; s++) {
		int warmed = step(pid);
		int counted = warmed < 0 ? -1 : step(pid);

		count[s] = counted < 0 ? 0 : counted - nothing;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
}

static int load_table(const char *path)
{
	static char text[256 * 1024];
	FILE *file = fopen(path, "re");
	size_t bytes = file ? fread(text, 1, sizeof(text), file) : 0;

	if (file)
		fclose(file);
	return vrtc_leap_parse(&table, text, bytes, NULL) == VRTC_LEAP_OK ? 0 : -1;
}

static void publish_phc(void)
{
	struct vrtc_phc_line line = {.time0_ns = vrtc_hosttime_clock_ns(CLOCK_REALTIME),
		.bent_rate = (INT64_C(1) << VRTC_PHC_RATE_SHIFT) / 3,
		.bend = UINT64_MAX / 4,
		.rate = (INT64_C(1) << VRTC_PHC_RATE_SHIFT) / 3,
		.counts_max = UINT64_MAX / 4};

	phc.counter = vrtc_counter_choose();
	line.counter0 = vrtc_counter_read(phc.counter);
	vrtc_phc_line_publish(&phc.published, &line);
}

int main(void)
{
	static int64_t ns[SUBJECTS][BATCHES];
	struct vrtc_hosttime_report report;
	struct perf_figures base = {0};
	int instructions[SUBJECTS];

	if (load_table("/usr/share/zoneinfo/leap-seconds.list")) {
		fprintf(stderr, "dpdk-rtc-readings: no leap-second table (package tzdata)\n");
		return 1;
	}
	vrtc_hosttime_init(&host, VRTC_HOST_UTC, &table, &report);
	vrtc_pairing_init(&pairing);
	publish_phc();
	for (int b = 0; b < BATCHES; b++)
		for (unsigned s = 0; s < SUBJECTS; s++)
			ns[s][b] = time_batch(&subjects[s]);
	perf_figures_print_head();
	for (unsigned s = 0; s < SUBJECTS; s++) {
		struct perf_figures f = perf_figures_of(ns[s], BATCHES, 1.0 / CALLS);

		if (s == 0)
			base = f;
		perf_figures_print(subjects[s].name, "ns", &f);
	}
	count_instructions(instructions);
	printf("\nmedian by that of clock_gettime(CLOCK_REALTIME), and instructions of a call\n"
	       "(with the TSC, stepping widens all windows, so all %d are made):\n",
		VRTC_PAIR_WINDOWS);
	for (unsigned s = 0; s < SUBJECTS; s++) {
		struct perf_figures f = perf_figures_of(ns[s], BATCHES, 1.0 / CALLS);

		printf("%-32s %5.2f  %d\n", subjects[s].name, f.p50 / base.p50, instructions[s]);
	}
	return 0;
}
