/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an alarm could be without dpdk-rtc, on the CPU of its alarm lcore: a thread that sleeps on a
 * timerfd, as a back-end would have it, and a loop that reads the clock and does nothing else. On
 * that CPU nothing can beat this loop, which records the gaps meanwhile.
 *
 * Both read the clock when they are awake and then write a word that the measuring CPU polls, as it
 * polls a used ring: so their lateness is known at both ends.
 *
 * One measuring thread; the rival's own thread is inside.
 */
#ifndef PERF_RIVAL_H
#define PERF_RIVAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "histogram.h"

enum perf_rival_way {
	PERF_RIVAL_REST,
	PERF_RIVAL_TIMERFD,
	PERF_RIVAL_LOOP,
	PERF_RIVAL_QUIT,
};

/* The lines of cache that both sides touch come first, each of them alone. */
struct perf_rival {
	_Alignas(64) _Atomic uint64_t
		fired; /* how many alarms have expired: the word to be polled */
	/* The rival's reading of the last one; the measurer's once fired has changed. */
	int64_t own_ns;
	_Alignas(64) _Atomic int64_t alarm_ns; /* 0: none */
	atomic_int way;
	int cpu; /* -1: not pinned */
	int wake_fd;
	int timer_fd;
	pthread_t thread;
	struct perf_histogram *gaps; /* ns */
};

/** Starts the thread, resting. @param gaps  of the loop, in ns. @return 0 or -errno */
int perf_rival_start(struct perf_rival *r, int cpu, struct perf_histogram *gaps);

/** Ends the thread, if one was started. */
void perf_rival_stop(struct perf_rival *r);

/** From now on alarms expire in this way; with REST the thread sleeps. No alarm is armed. */
void perf_rival_become(struct perf_rival *r, enum perf_rival_way way);

/** Arms an alarm of CLOCK_REALTIME. */
void perf_rival_arm(struct perf_rival *r, int64_t alarm_ns);

#endif
