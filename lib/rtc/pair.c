/* SPDX-License-Identifier: BSD-3-Clause */
#include "pair.h"

#include <stdlib.h>

#define SAMPLES 1000

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct vrtc_pairing *p, enum vrtc_host_counter counter)
{
	uint64_t window[SAMPLES];
	struct timespec now;

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t before = vrtc_pair_count(counter);

		(void)clock_gettime(CLOCK_REALTIME, &now);
		window[i] = vrtc_pair_count(counter) - before;
	}
	qsort(window, SAMPLES, sizeof(window[0]), compare);
	p->windows[counter].good = (uint32_t)window[SAMPLES / 2];
	p->windows[counter].in_4096 = 2048;
}

/* Over the time that it takes; what telemetry says in ns is good to some per mille. */
static double measure_rate(void)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	uint64_t counts = vrtc_pair_count(VRTC_HOST_COUNTER_CPU);
	uint64_t ns = vrtc_pair_count(VRTC_HOST_COUNTER_MONOTONIC);

	(void)nanosleep(&pause, NULL);
	counts = vrtc_pair_count(VRTC_HOST_COUNTER_CPU) - counts;
	ns = vrtc_pair_count(VRTC_HOST_COUNTER_MONOTONIC) - ns;
	return (double)counts / (double)ns;
}

void vrtc_pairing_init(struct vrtc_pairing *p)
{
	*p = (struct vrtc_pairing){.cpu_unfit = vrtc_counter_unfit()};
	measure(p, VRTC_HOST_COUNTER_CPU);
	measure(p, VRTC_HOST_COUNTER_MONOTONIC);
	p->counts_per_ns[VRTC_HOST_COUNTER_CPU] = measure_rate();
	p->counts_per_ns[VRTC_HOST_COUNTER_MONOTONIC] = 1;
}
