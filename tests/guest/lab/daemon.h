/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon under test, in the laboratory: one at a time, its output in a file. What goes wrong
 * ends the case.
 */
#ifndef LAB_DAEMON_H
#define LAB_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LAB_DAEMON_BINARY "/usr/bin/dpdk-rtc"
#define LAB_DAEMON_LOG    "/run/lab/daemon.log"
#define LAB_DAEMON_SOCKET "/run/lab/rtc.sock"

/**
 * Starts it and waits until it is ready.
 *
 * @param args  its arguments, ended by NULL, which name LAB_DAEMON_SOCKET
 */
pid_t lab_daemon_start(const char *const args[]);

/** Ends it in order: SIGTERM, status 0. */
void lab_daemon_stop(pid_t pid);

/**
 * Waits for a line of its log.
 *
 * @param nth   1: the first line with the text, 2: the second ...
 * @param line  the line, or NULL
 */
void lab_daemon_await_log(const char *text, unsigned int nth, char *line, size_t size);

/** Whether a line of its log has the text by now. */
bool lab_daemon_has_logged(const char *text);

#endif
