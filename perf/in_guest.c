/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In the guest: what one virtio-rtc device costs those who read its clocks.
 *
 *	in_guest PCI_ADDRESS SAMPLES READINGS
 *
 * Of the device at that PCI address ("0000:00:03.0"), as one JSON object on standard output:
 * SAMPLES delays of PTP_SYS_OFFSET_EXTENDED, that is what the kernel's clock showed around each
 * reading of the first PTP clock; READINGS calls of RTC_RD_TIME, each by itself, and how many were
 * done a second; and the same calls of clock_gettime() that the guest's kernel answers alone, as
 * what a system call costs here. A device without an RTC has no readings.
 *
 *	{"series": [as of perf/histogram.h, with "name"], "per_second": N}
 *
 * perf/run boots the guest, chooses who runs when, and puts the rounds together.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptp_clock.h>
#include <linux/rtc.h>

#include "histogram.h"

#define NS_PER_S   UINT64_C(1000000000)
/* Before anything counts: what the guest's kernel and, under TCG, its translator see first. */
#define WARM_UP    50
#define MOST       1000000
#define LINE_BYTES 300

__attribute__((noreturn)) static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "in_guest: %s: %s\n", what, why);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Opens the first device file of a class ("ptp") that hangs on that PCI device; -1: there is none. */
static int open_first(const char *class, const char *address)
{
	char path[64], link[PATH_MAX], target[PATH_MAX], part[32];
	int fd = -1;

	snprintf(part, sizeof(part), "/%s/", address);
	for (int i = 0; i < 64 && fd < 0; i++) {
		snprintf(link, sizeof(link), "/sys/class/%s/%s%d", class, class, i);
		if (!realpath(link, target) || !strstr(target, part))
			continue;
		snprintf(path, sizeof(path), "/dev/%s%d", class, i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			give_up(path, strerror(errno));
	}
	return fd;
}

static uint64_t ptp_ns(const struct ptp_clock_time *t)
{
	return (uint64_t)t->sec * NS_PER_S + t->nsec;
}

/* As chrony and phc2sys do it: several samples a call. */
static void measure_offsets(int fd, unsigned long samples, struct perf_histogram *delays)
{
	for (unsigned long done = 0; done < samples + WARM_UP;) {
		struct ptp_sys_offset_extended request = {.n_samples = PTP_MAX_SAMPLES};

		if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED2, &request))
			give_up("PTP_SYS_OFFSET_EXTENDED", strerror(errno));
		for (unsigned int i = 0; i < request.n_samples; i++, done++)
			if (done >= WARM_UP && done < samples + WARM_UP)
				perf_histogram_add(delays,
					ptp_ns(&request.ts[i][2]) - ptp_ns(&request.ts[i][0]));
	}
}

static double measure_readings(int fd, unsigned long readings, struct perf_histogram *durations)
{
	uint64_t begin_ns = 0, before_ns, after_ns = 0;

	for (unsigned long done = 0; done < readings + WARM_UP; done++) {
		struct rtc_time time;

		before_ns = now_ns();
		if (done == WARM_UP)
			begin_ns = before_ns;
		if (ioctl(fd, RTC_RD_TIME, &time))
			give_up("RTC_RD_TIME", strerror(errno));
		after_ns = now_ns();
		if (done >= WARM_UP)
			perf_histogram_add(durations, after_ns - before_ns);
	}
	return (double)readings * (double)NS_PER_S / (double)(after_ns - begin_ns);
}

/* By the kernel, not by the vDSO. */
static void measure_calls(unsigned long calls, struct perf_histogram *durations)
{
	struct timespec ts;

	for (unsigned long done = 0; done < calls + WARM_UP; done++) {
		uint64_t before_ns = now_ns();

		syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
		if (done >= WARM_UP)
			perf_histogram_add(durations, now_ns() - before_ns);
	}
}

static void write_series(
	FILE *to, const char *comma, const char *name, const struct perf_histogram *h)
{
	fprintf(to, "%s{\"name\": \"%s\", ", comma, name);
	perf_histogram_write_json(h, to, 1);
	fputc('}', to);
}

/* In lines that the serial line to the host takes (tests/guest/init.c); no string has a space. */
static void print_folded(const char *text)
{
	int column = 0;

	for (; *text; text++) {
		bool fold = *text == ' ' && column > LINE_BYTES;

		putchar(fold ? '\n' : *text);
		column = fold ? 0 : column + 1;
	}
	putchar('\n');
}

static unsigned long count_of(const char *text)
{
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	if (end == text || *end || count < 1 || count > MOST)
		give_up(text, "not a number from 1 to 1000000");
	return count;
}

int main(int argc, char **argv)
{
	struct perf_histogram *delays, *readings, *calls;
	int phc, rtc;
	double per_second = 0;
	size_t bytes;
	char *text;
	FILE *to;

	if (argc != 4)
		give_up("usage", "in_guest PCI_ADDRESS SAMPLES READINGS");
	delays = perf_histogram_new();
	readings = perf_histogram_new();
	calls = perf_histogram_new();
	if (!delays || !readings || !calls)
		give_up("memory", strerror(errno));
	phc = open_first("ptp", argv[1]);
	if (phc < 0)
		give_up(argv[1], "no PTP clock of that device");
	rtc = open_first("rtc", argv[1]);
	measure_calls(count_of(argv[3]), calls);
	measure_offsets(phc, count_of(argv[2]), delays);
	if (rtc >= 0)
		per_second = measure_readings(rtc, count_of(argv[3]), readings);
	to = open_memstream(&text, &bytes);
	if (!to)
		give_up("memory", strerror(errno));
	fputs("{\"series\": [", to);
	write_series(to, "", "clock_gettime", calls);
	write_series(to, ", ", "PTP_SYS_OFFSET_EXTENDED", delays);
	if (rtc >= 0)
		write_series(to, ", ", "RTC_RD_TIME", readings);
	fprintf(to, "], \"per_second\": %.6g}", per_second);
	if (fclose(to))
		give_up("memory", strerror(errno));
	print_folded(text);
	return fflush(stdout) ? 1 : 0;
}
