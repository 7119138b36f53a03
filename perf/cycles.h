/* SPDX-License-Identifier: BSD-3-Clause */
/* The processor's counter, for durations too short for a clock. */
#ifndef PERF_CYCLES_H
#define PERF_CYCLES_H

#include <stdint.h>

static inline uint64_t perf_cycles(void)
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

#endif
