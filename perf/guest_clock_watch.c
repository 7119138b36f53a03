/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest_clock_watch MEMORY SECONDS DIFFERENCE: how far a guest's CLOCK_REALTIME is from the host's,
 * by the page that guest_clock_page.c writes. DIFFERENCE is what the guest's TSC is ahead of the
 * host's; the host's clock is a line of its TSC (vdso_clock.h), so that what it showed when the
 * guest read its own is not measured either.
 *
 * A line a second: the seconds passed, and the offset's median and extremes of that second in ns.
 */
#include <fcntl.h>
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

#include "guest_clock.h"
#include "vdso_clock.h"

#define PER_SECOND_MAX 2000
#define PAUSE_NS       500000
#define STALE_NS       20000000
#define NS_PER_S       1000000000

static const struct guest_clock_page *find_page(const char *memory, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += GUEST_CLOCK_PAGE_BYTES) {
		const struct guest_clock_page *page = (const void *)(memory + at);
		bool found = true;

		for (unsigned i = 0; i < GUEST_CLOCK_MAGICS; i++)
			found = found && page->magic[i] == guest_clock_magic(i);
		if (found)
			return page;
	}
	return NULL;
}

/* False: nothing new, or it is being written. */
static bool look(const struct guest_clock_page *page, uint64_t *last, uint64_t *tsc, int64_t *ns)
{
	uint64_t sequence = atomic_load(&page->sequence);

	if (sequence == *last || sequence % 2)
		return false;
	*tsc = *(const volatile uint64_t *)&page->tsc;
	*ns = *(const volatile int64_t *)&page->realtime_ns;
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&page->sequence) != sequence)
		return false;
	*last = sequence;
	return true;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void report(long second, int64_t *offsets, unsigned n)
{
	if (!n)
		return;
	qsort(offsets, n, sizeof(offsets[0]), by_size);
	printf("%ld %lld %lld %lld\n", second, (long long)offsets[n / 2], (long long)offsets[0],
		(long long)offsets[n - 1]);
}

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int watch(const struct guest_clock_page *page, long seconds, uint64_t difference)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	static int64_t offsets[PER_SECOND_MAX];
	int64_t begin_ns = monotonic_ns();
	struct vdso_clock clock;
	uint64_t last = 0;

	if (!vdso_clock_find(&clock, CLOCK_REALTIME)) {
		fprintf(stderr, "guest_clock_watch: this host's clock is no line of its TSC\n");
		return 1;
	}
	for (long second = 0; second < seconds; second++) {
		unsigned n = 0;

		while (monotonic_ns() < begin_ns + (second + 1) * NS_PER_S) {
			struct vdso_line line;
			uint64_t tsc;
			int64_t ns, host_ns;

			nanosleep(&pause, NULL);
			if (n == PER_SECOND_MAX || !look(page, &last, &tsc, &ns) ||
				!vdso_clock_line(&clock, &line))
				continue;
			host_ns = vdso_line_ns(&line, tsc - difference);
			/* Seen too late: another line may have been the host's then. */
			if (vdso_line_ns(&line, vdso_count_now()) - host_ns < STALE_NS)
				offsets[n++] = ns - host_ns;
		}
		report(second, offsets, n);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct guest_clock_page *page;
	struct stat status;
	void *memory;
	int fd;

	fd = argc == 4 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &status)) {
		perror("guest_clock_watch MEMORY SECONDS DIFFERENCE");
		return 1;
	}
	memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	page = memory == MAP_FAILED ? NULL : find_page(memory, (size_t)status.st_size);
	if (!page) {
		fprintf(stderr, "guest_clock_watch: the guest's page is not there\n");
		return 1;
	}
	return watch(page, atol(argv[2]), (uint64_t)strtoll(argv[3], NULL, 10));
}
