/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cycles.h"
#include "frontend/deadline.h"

#define CALIBRATION_MS 20

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

int perf_last_cpu(void)
{
	cpu_set_t set;
	int last = 0;

	if (sched_getaffinity(0, sizeof(set), &set) == 0) {
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &set))
				last = cpu;
	}
	return last;
}

void perf_sleep_ms(unsigned ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

double perf_ns_per_cycle(void)
{
	int64_t begin_ns = vfe_now_ns();
	uint64_t begin = perf_cycles();

	perf_sleep_ms(CALIBRATION_MS);
	return (double)(vfe_now_ns() - begin_ns) / (double)(perf_cycles() - begin);
}
