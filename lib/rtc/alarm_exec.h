/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that an alarm starts: it finds a clean house (default signals, none blocked, no
 * descriptor of ours, the CPUs that this process started with, a process group of its own), and may
 * run until a deadline.
 *
 * stdin is /dev/null; stdout and stderr are our stderr, where the log is.
 */
#ifndef VRTC_ALARM_EXEC_H
#define VRTC_ALARM_EXEC_H

#include <stdint.h>
#include <sys/types.h>

#include "action_end.h"

/*
 * Whether the program could be started now. It also brings the folders that lead to it into the
 * kernel's caches, so that vrtc_exec_start() waits less.
 */
enum vrtc_action_end vrtc_exec_check(const char *program, struct vrtc_action_why *why);

/*
 * Starts the program, without arguments. The calling thread has the CPUs that this process started
 * with while it does so, since the child inherits them.
 *
 * @param environment  the child's, with a NULL at its end
 * @param pid          set on VRTC_ACTION_DONE: to be given to vrtc_exec_wait()
 */
enum vrtc_action_end vrtc_exec_start(
	const char *program, char *const environment[], pid_t *pid, struct vrtc_action_why *why);

/*
 * Waits until the program has ended, and reaps it. At the deadline (of CLOCK_MONOTONIC) it is
 * killed with its process group; what it left running when it ended before is left alone.
 *
 * @return  VRTC_ACTION_DONE for exit status 0, otherwise a failure with *why
 */
enum vrtc_action_end vrtc_exec_wait(pid_t pid, int64_t deadline_ns, struct vrtc_action_why *why);

#endif
