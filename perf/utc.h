/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock by which lateness is measured. */
#ifndef PERF_UTC_H
#define PERF_UTC_H

#include <stdint.h>
#include <time.h>

/** CLOCK_REALTIME in nanoseconds. */
static inline int64_t perf_utc_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#endif
