/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A clock of the kernel as the exact function of the CPU's counter that it is. clock_gettime()
 * computes it in user space, of a page that the kernel maps into each process ("[vvar]"):
 *
 *	ns = sec + ((count - count_base) * mult + shifted_ns >> shift)
 *
 * So a time can be told from a count and a count from a time, to the last digit, where looking at
 * both leaves the time that a look takes. The page's layout is the kernel's own affair: what is
 * taken for the clock is what predicts clock_gettime() between two looks at the counter, again and
 * again; and if there is none, there is none.
 */
#ifndef VDSO_CLOCK_H
#define VDSO_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define VDSO_PAGE_BYTES 4096
#define VDSO_CLOCKS     12 /* CLOCK_REALTIME to CLOCK_TAI */

struct vdso_clock {
	const volatile uint32_t *sequence; /* where the kernel's structure begins */
	unsigned clock_id;
	unsigned overflow_words; /* 1: it has max_cycles, 0: it has not */
};

struct vdso_line {
	uint64_t count_base;
	uint64_t shifted_ns;
	uint64_t sec;
	uint32_t mult;
	uint32_t shift;
};

static inline uint64_t vdso_count_now(void)
{
#if defined(__x86_64__)
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t count;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(count)::"memory");
	return count;
#endif
}

static inline int64_t vdso_line_ns(const struct vdso_line *line, uint64_t count)
{
	__int128 since = (int64_t)(count - line->count_base);

	return (int64_t)(line->sec * 1000000000) +
	       (int64_t)((since * line->mult + line->shifted_ns) >> line->shift);
}

/* Of the counts at which the clock shows ns, the middle one. */
static inline uint64_t vdso_line_count(const struct vdso_line *line, int64_t ns)
{
	__int128 since = ((__int128)(ns - (int64_t)(line->sec * 1000000000)) << line->shift) -
			 line->shifted_ns + ((__int128)1 << line->shift) / 2;

	return line->count_base + (uint64_t)(int64_t)(since / line->mult);
}

/* The kernel's present line; false: what is there cannot be one. */
static inline bool vdso_clock_line(const struct vdso_clock *c, struct vdso_line *line)
{
	const volatile uint64_t *words = (const volatile uint64_t *)c->sequence;
	const volatile uint64_t *behind = words + 2 + c->overflow_words;
	uint32_t before;
	uint64_t mask;

	for (unsigned tries = 0; tries < 1000; tries++) {
		before = *c->sequence;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		line->count_base = words[1];
		mask = behind[0];
		line->mult = (uint32_t)behind[1];
		line->shift = (uint32_t)(behind[1] >> 32);
		line->sec = behind[2 + 2 * c->clock_id];
		line->shifted_ns = behind[3 + 2 * c->clock_id];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (before % 2 == 0 && *c->sequence == before)
			return line->mult && line->shift < 32 && mask > UINT32_MAX &&
			       (mask & (mask + 1)) == 0;
	}
	return false;
}

/* Whether clock_gettime() is what the line says, between two looks at the counter. */
static inline bool vdso_clock_holds(const struct vdso_clock *c)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		uint64_t before = vdso_count_now();
		struct vdso_line line;
		struct timespec now;
		int64_t ns;

		clock_gettime((clockid_t)c->clock_id, &now);
		ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		/* Of lines that follow each other, the later one is off by less than its doubt. */
		if (!vdso_clock_line(c, &line) || ns < vdso_line_ns(&line, before) - 1 ||
			ns > vdso_line_ns(&line, vdso_count_now()) + 1)
			return false;
	}
	return true;
}

/* CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW or CLOCK_BOOTTIME, of this kernel. */
static inline bool vdso_clock_find(struct vdso_clock *c, unsigned clock_id)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char text[512];
	unsigned long begin = 0;

	while (maps && fgets(text, sizeof(text), maps))
		if (strstr(text, "[vvar]"))
			(void)sscanf(text, "%lx", &begin);
	if (maps)
		fclose(maps);
	if (!begin)
		return false;
	for (unsigned at = 0; at + 8 * (4 + 2 * VDSO_CLOCKS) < VDSO_PAGE_BYTES; at += 8) {
		for (unsigned words = 0; words < 2; words++) {
			*c = (struct vdso_clock){
				.sequence = (const volatile uint32_t *)(begin + at),
				.clock_id = clock_id,
				.overflow_words = words};
			if (vdso_clock_holds(c))
				return true;
		}
	}
	return false;
}

#endif
