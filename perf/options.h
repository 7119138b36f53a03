/* SPDX-License-Identifier: BSD-3-Clause */
/* What the measuring programs have in common at their command lines. */
#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include <stdbool.h>

/** A whole number from min to max; otherwise false, and a line that says so. */
bool perf_number(const char *program, const char *text, long min, long max, long *out);

/** Pins the calling thread; -1: does not. False: it cannot be, and a line says so. */
bool perf_pin(const char *program, int cpu);

#endif
