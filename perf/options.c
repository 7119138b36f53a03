/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool perf_number(const char *program, const char *text, long min, long max, long *out)
{
	char *after;

	errno = 0;
	*out = strtol(text, &after, 10);
	if (errno || *after || after == text || *out < min || *out > max) {
		fprintf(stderr, "%s: '%s' is not a number from %ld to %ld\n", program, text, min,
			max);
		return false;
	}
	return true;
}

bool perf_pin(const char *program, int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return true;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0)
		return true;
	fprintf(stderr, "%s: cannot run on CPU %d: %s\n", program, cpu, strerror(errno));
	return false;
}
