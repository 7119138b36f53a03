/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A child process of a test: started, watched, ended and reaped by its own pid, every wait bounded.
 * What it writes to its standard output and error goes into files that the test can read. It is
 * killed when the thread that started it ends, so that a test that fails leaves nothing behind.
 *
 * Threads: a struct child belongs to one thread.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* 0: not running */
};

/*
 * Starts argv[0] (looked up in PATH) with stdin from /dev/null.
 *
 * @param out_path, err_path  files that are truncated and get stdout and stderr; NULL: inherited
 * @return  0, or -errno: nothing runs. A program that cannot be executed is -ENOENT, -EACCES ...
 */
int child_start(
	struct child *child, const char *const *argv, const char *out_path, const char *err_path);

/* Whether it still runs; one that has ended is left to be reaped by child_wait(). */
bool child_runs(const struct child *child);

int child_signal(const struct child *child, int signo);

/*
 * Waits until the child has ended, and reaps it.
 *
 * @param timeout_ms  after it the child is killed and reaped
 * @return  the exit status, 128 + N after signal N, or -ETIMEDOUT
 */
int child_wait(struct child *child, unsigned timeout_ms);

/* The whole of a file as a string to be freed; NULL if it cannot be read. */
char *child_read_file(const char *path);

#endif
