/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's half of the truth check, as far as it has to be quick; pairs.py judges.
 *
 *	pairs_host watch realtime|boottime tsc|monotonic
 *
 * Until its standard input ends: the clock as the function of the counter that it is
 * (vdso_clock.h), a line whenever the kernel changes it: count_base shifted_ns sec mult shift.
 *
 *	pairs_host meet MEMORY RUN tsc|monotonic SECONDS COUNT_NUMERATOR
 *
 * Asks the guest for its counter again and again (init.c, step `meet`). The guest reads it after we
 * asked and before we see the answer, so each answer bounds what the guest's counter, times
 * COUNT_NUMERATOR, is ahead of the host's, from both sides: prints what is left between all bounds.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pairs.h"
#include "vdso_clock.h"

#define WATCH_NS 500000
#define PATIENCE 1000000 /* looks at the page before an answer is given up */
#define NS_PER_S INT64_C(1000000000)

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The clock by CLOCK_MONOTONIC: ns for ns, until somebody sets it. */
static void by_monotonic(struct vdso_line *line, const struct vdso_line *monotonic)
{
	int64_t ns = vdso_line_ns(line, line->count_base);

	*line = (struct vdso_line){
		.count_base = (uint64_t)vdso_line_ns(monotonic, line->count_base),
		.sec = (uint64_t)(ns / NS_PER_S),
		.shifted_ns = (uint64_t)(ns % NS_PER_S),
		.mult = 1};
}

static int watch(unsigned clock_id, bool tsc)
{
	struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
	const struct timespec pause = {.tv_nsec = WATCH_NS};
	struct vdso_clock clock, monotonic;
	uint64_t last = 0;

	if (!vdso_clock_find(&clock, clock_id) || !vdso_clock_find(&monotonic, CLOCK_MONOTONIC)) {
		fprintf(stderr, "pairs_host: no clock of this host is a line of its counter\n");
		return 75;
	}
	while (poll(&end, 1, 0) == 0) {
		struct vdso_line line, other;

		/* Both of one moment. */
		do {
			if (!vdso_clock_line(&clock, &line) || !vdso_clock_line(&monotonic, &other))
				return 1;
		} while (line.count_base != other.count_base);
		if (line.count_base != last) {
			last = line.count_base;
			if (!tsc)
				by_monotonic(&line, &other);
			printf("%llu %llu %llu %u %u\n", (unsigned long long)line.count_base,
				(unsigned long long)line.shifted_ns, (unsigned long long)line.sec,
				line.mult, line.shift);
			fflush(stdout);
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static struct pairs_page *find_meeting(const char *path, uint64_t run)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat status;
	char *memory;

	if (fd < 0 || fstat(fd, &status))
		return NULL;
	memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return NULL;
	for (off_t at = 0; at < status.st_size; at += PAIRS_PAGE_BYTES) {
		struct pairs_page *page = (struct pairs_page *)(memory + at);

		if (page->magic == (PAIRS_MAGIC ^ run) && page->run == run &&
			page->index == PAIRS_MEETING)
			return page;
	}
	return NULL;
}

static int meet(struct pairs_page *page, bool tsc, int64_t until_ns, uint64_t numerator)
{
	int64_t low = INT64_MIN, high = INT64_MAX;
	uint64_t answers = 0;

	for (uint64_t ask = 1; monotonic_ns() < until_ns; ask++) {
		uint64_t before, after, guest;
		unsigned looks = 0;

		before = tsc ? vdso_count_now() : (uint64_t)monotonic_ns();
		atomic_store_explicit(&page->meeting.ask, ask, memory_order_release);
		while (atomic_load_explicit(&page->meeting.answer, memory_order_acquire) != ask &&
			looks < PATIENCE)
			looks++;
		after = tsc ? vdso_count_now() : (uint64_t)monotonic_ns();
		if (looks == PATIENCE)
			continue;
		/* The guest's count stands for all the host's units until the next one. */
		guest = page->meeting.count * numerator;
		if ((int64_t)(guest + numerator - 1 - before) < high)
			high = (int64_t)(guest + numerator - 1 - before);
		if ((int64_t)(guest - after) > low)
			low = (int64_t)(guest - after);
		answers++;
	}
	atomic_store_explicit(&page->meeting.ask, PAIRS_MEETING_END, memory_order_release);
	printf("answers=%llu\nlow=%lld\nhigh=%lld\n", (unsigned long long)answers, (long long)low,
		(long long)high);
	return answers ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "watch") == 0)
		return watch(strcmp(argv[2], "boottime") ? CLOCK_REALTIME : CLOCK_BOOTTIME,
			strcmp(argv[3], "tsc") == 0);
	if (argc == 7 && strcmp(argv[1], "meet") == 0) {
		struct pairs_page *page = find_meeting(argv[2], strtoull(argv[3], NULL, 10));

		if (!page) {
			fprintf(stderr, "pairs_host: the guest's page is not there\n");
			return 1;
		}
		return meet(page, strcmp(argv[4], "tsc") == 0,
			monotonic_ns() + atoll(argv[5]) * NS_PER_S, strtoull(argv[6], NULL, 10));
	}
	fprintf(stderr,
		"pairs_host watch CLOCK COUNTER | meet MEMORY RUN COUNTER SECONDS NUMERATOR\n");
	return 2;
}
