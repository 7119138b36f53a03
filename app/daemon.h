/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The running daemon: lcores, sockets, and the main thread's loop. Everything that can be wrong
 * with the operator's wishes was found before; what fails here is the machine.
 */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "config.h"
#include "leap.h"

/*
 * leap: the table as it was read from config->leap_table, of malloc(); taken over.
 *
 * Runs until SIGTERM or SIGINT. To be called once, by the main thread, before any other thread was
 * started (signals are blocked here, so that all threads have them blocked).
 *
 * @return  the process's exit status: 0, or 1 after a line on stderr
 */
int app_daemon_run(const struct app_config *config, struct vrtc_leap_table *leap);

#endif
