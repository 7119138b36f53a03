/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest_clock_watch MEMORY SECONDS: how far a guest's CLOCK_REALTIME is from the host's, by the
 * page that guest_clock_page.c writes.
 *
 * QEMU without an accelerator gives a guest the host's TSC and a constant. Seeing a new value in
 * the page takes some time after the guest read its TSC, but never none: the least difference of
 * the host's TSC then and the guest's is the constant, and what the fastest sight has taken.
 * A line a second: the seconds passed, and the offset's median and extremes of that second in ns;
 * last, what the constant may be off by: the difference of the least and the tenth least.
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
#include <x86intrin.h>

#include "guest_clock.h"

#define SAMPLES_MAX 1200000
#define LEAST       10
#define WIDE_NS     2000
#define PAUSE_NS    100000

struct sample {
	uint64_t guest_tsc;
	int64_t guest_ns;
	uint64_t host_tsc; /* CLOCK_REALTIME was host_ns then */
	int64_t host_ns;
};

static struct sample samples[SAMPLES_MAX];
static int64_t least[LEAST]; /* host's TSC when seen, less the guest's */

static void host_now(uint64_t *tsc, int64_t *ns)
{
	struct timespec now;
	uint64_t before = __rdtsc();

	clock_gettime(CLOCK_REALTIME, &now);
	*tsc = before + (__rdtsc() - before) / 2;
	*ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const volatile struct guest_clock_page *find_page(const char *memory, size_t bytes)
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

static void note_least(int64_t difference)
{
	for (int i = 0; i < LEAST; i++) {
		if (difference < least[i]) {
			memmove(&least[i + 1], &least[i],
				(size_t)(LEAST - 1 - i) * sizeof(least[0]));
			least[i] = difference;
			return;
		}
	}
}

/* False: nothing new, or it is being written, or the guest was interrupted in between. */
static bool look(const volatile struct guest_clock_page *page, uint64_t *last, double ghz,
	struct sample *sample)
{
	uint64_t sequence = page->sequence;
	uint64_t seen = __rdtsc();
	uint64_t before, after;

	if (sequence == *last || sequence % 2)
		return false;
	before = page->tsc_before;
	after = page->tsc_after;
	sample->guest_ns = page->realtime_ns;
	if (page->sequence != sequence)
		return false;
	*last = sequence;
	note_least((int64_t)(seen - after));
	if ((double)(after - before) / ghz > WIDE_NS)
		return false;
	sample->guest_tsc = before + (after - before) / 2;
	host_now(&sample->host_tsc, &sample->host_ns);
	return true;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* How fast the TSC is, by the host's clock. */
static double measure_ghz(void)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	uint64_t tsc0, tsc1;
	int64_t ns0, ns1;

	host_now(&tsc0, &ns0);
	nanosleep(&pause, NULL);
	host_now(&tsc1, &ns1);
	return (double)(tsc1 - tsc0) / (double)(ns1 - ns0);
}

static void report(unsigned n, double ghz)
{
	static int64_t offsets[SAMPLES_MAX];
	unsigned begin = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct sample *s = &samples[i];
		int64_t ago = (int64_t)(s->host_tsc - s->guest_tsc) - least[0];

		offsets[i] = s->guest_ns - (s->host_ns - (int64_t)((double)ago / ghz));
	}
	for (unsigned i = 0; i < n; i++) {
		int64_t second = (samples[i].host_ns - samples[0].host_ns) / 1000000000;
		bool last = i + 1 == n ||
			    (samples[i + 1].host_ns - samples[0].host_ns) / 1000000000 != second;

		if (!last)
			continue;
		qsort(&offsets[begin], i + 1 - begin, sizeof(offsets[0]), by_size);
		printf("%lld %lld %lld %lld\n", (long long)second,
			(long long)offsets[(begin + i) / 2], (long long)offsets[begin],
			(long long)offsets[i]);
		begin = i + 1;
	}
	printf("doubt %.0f\n", (double)(least[LEAST - 1] - least[0]) / ghz);
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const volatile struct guest_clock_page *page;
	double ghz = measure_ghz();
	uint64_t last = 0, tsc;
	int64_t until_ns, now_ns;
	struct stat status;
	unsigned n = 0;
	void *memory;
	int fd;

	fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &status)) {
		perror("guest_clock_watch MEMORY SECONDS");
		return 1;
	}
	memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	page = memory == MAP_FAILED ? NULL : find_page(memory, (size_t)status.st_size);
	if (!page) {
		fprintf(stderr, "guest_clock_watch: the guest's page is not there\n");
		return 1;
	}
	for (int i = 0; i < LEAST; i++)
		least[i] = INT64_MAX;
	host_now(&tsc, &now_ns);
	until_ns = now_ns + atoll(argv[2]) * 1000000000;
	while (n < SAMPLES_MAX && now_ns < until_ns) {
		if (look(page, &last, ghz, &samples[n]))
			n++;
		nanosleep(&pause, NULL);
		host_now(&tsc, &now_ns);
	}
	report(n, ghz);
	return 0;
}
