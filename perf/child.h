/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Back-ends that a program starts itself, since it needs them in many forms; and what they cost:
 * processor time and memory, as the kernel accounts for them.
 *
 * Main thread. None outlives this process, however that ends.
 */
#ifndef PERF_CHILD_H
#define PERF_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct perf_child {
	pid_t pid;     /* 0: there is none */
	char log[256]; /* what it says: a file, removed at its end */
	/*
	 * Its own RUNTIME_DIRECTORY, removed at its end: a starting EAL connects to the telemetry
	 * socket of the one that was there before it, and waits if that one is stopped.
	 */
	char run_dir[256];
};

/**
 * Once, before perf_pin(): children run on the CPUs that this process may use now. Raises the limit
 * of open files as far as it goes.
 */
void perf_child_begin(void);

/**
 * Starts a command.
 *
 * @param dir   a directory, for these two
 * @param argv  as for execvp(3)
 * @return      0; otherwise a line on stderr says why
 */
int perf_child_start(struct perf_child *child, const char *program, const char *dir, char **argv);

/** Whether it still runs; if it ended by itself, a line and its log's last ones say so. */
bool perf_child_lives(struct perf_child *child, const char *program);

/**
 * Waits until its log has a text in it.
 *
 * @return 0; otherwise, after so many milliseconds or its end, a line and the log's last ones
 */
int perf_child_await(
	struct perf_child *child, const char *program, const char *text, unsigned timeout_ms);

/** Ends it (SIGTERM, and after 10 s SIGKILL) and waits for it. Also good for a child of zeroes. */
void perf_child_end(struct perf_child *child);

/** Processor time of all its threads up to now; -1: unknown. */
int64_t perf_child_cpu_ns(const struct perf_child *child);

struct perf_child_memory {
	long anonymous_kib; /* its own */
	long file_kib;      /* of programs and files */
	long shared_kib;    /* of front-ends, as far as it has touched it */
};

/** What is resident. All zero: unknown. */
struct perf_child_memory perf_child_memory(const struct perf_child *child);

#endif
