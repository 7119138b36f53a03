/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Back-ends that poll the same CPU and are measured in turns: all but one are stopped (SIGSTOP, by
 * their own process ids). However this process ends, none is left stopped.
 *
 * Main thread only.
 */
#ifndef PERF_PAUSE_H
#define PERF_PAUSE_H

#include <sys/types.h>

/** Before the first stop: what is stopped goes on when this process ends, by a signal as well. */
void perf_pause_begin(void);

/**
 * Stops a process and waits until each of its threads is.
 *
 * @param pid  0: nothing is done, here and in perf_pause_end()
 * @return     0; -errno; -ETIMEDOUT; -ENOSPC too many are stopped
 */
int perf_pause(pid_t pid);

/** Lets it go on. */
void perf_pause_end(pid_t pid);

#endif
