/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's free-running counter: what a model of another clock (phc_model.h) is a function of.
 *
 * It is the CPU's own counter where the kernel keeps time by it, and so vouches for its being
 * constant and the same on all CPUs; elsewhere CLOCK_MONOTONIC_RAW, in ns, which costs more. How
 * fast it counts nobody needs to know: it is measured (EAL's idea of the TSC is off by up to
 * 1500 ppm).
 */
#ifndef VRTC_COUNTER_H
#define VRTC_COUNTER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

enum vrtc_counter {
	VRTC_COUNTER_MONOTONIC_RAW,
	VRTC_COUNTER_CPU,       /* x86: TSC; arm64: CNTVCT_EL0 */
	VRTC_COUNTER_MONOTONIC, /* of a counter that is emulated by it (pair.h) */
};

/* Which one can be used on this host: one of the first two. */
enum vrtc_counter vrtc_counter_choose(void);

/*
 * Why the CPU's counter cannot stand for time on this host: a sentence, or NULL if it can. It has
 * to be constant, to go on in sleep, and to be what the kernel keeps time by.
 */
const char *vrtc_counter_unfit(void);

/* Now. Any thread; the values of one host's threads can be compared. */
static inline uint64_t vrtc_counter_read(enum vrtc_counter counter)
{
	struct timespec now;

	if (__builtin_expect(counter == VRTC_COUNTER_CPU, 1)) {
#if defined(__x86_64__)
		/* Not before what precedes it: a reading is later than its request. */
		_mm_lfence();
		return __rdtsc();
#elif defined(__aarch64__)
		uint64_t count;

		__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(count)::"memory");
		return count;
#endif
	}
	(void)clock_gettime(
		counter == VRTC_COUNTER_MONOTONIC ? CLOCK_MONOTONIC : CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

#endif
