/* SPDX-License-Identifier: BSD-3-Clause */
/* What the measuring programs have in common at their command lines. */
#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include <stdbool.h>

/** A whole number from min to max; otherwise false, and a line that says so. */
bool perf_number(const char *program, const char *text, long min, long max, long *out);

/** Pins the calling thread; -1: does not. False: it cannot be, and a line says so. */
bool perf_pin(const char *program, int cpu);

/** The last CPU that this thread may use: where back-ends poll, if nobody tells them another. */
int perf_last_cpu(void);

void perf_sleep_ms(unsigned ms);

/** What a cycle of perf_cycles() is in ns, to a per mille: for how long to go on, no more. */
double perf_ns_per_cycle(void);

#endif
