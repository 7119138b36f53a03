/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon gives up. Before it starts a thread (each of these is a thread's own, and is
 * inherited by those that it starts): capabilities that nothing here needs, the way to new
 * privileges by programs, and guests' memory in core dumps. When everything is started: all system
 * calls but those that it makes from then on.
 *
 * Main thread only.
 */
#ifndef APP_PRIVILEGES_H
#define APP_PRIVILEGES_H

#include "config.h"

/*
 * To be called before rte_eal_init(). What programs of alarm_action = exec: would inherit is left
 * as it is where there are such; and capabilities stay where EAL options are given, since hugepages
 * and devices may want any of them.
 *
 * @return  a sentence for the log, a constant
 */
const char *app_privileges_drop(const struct app_config *config);

/*
 * To be called when everything is started. Nothing is limited where seccomp = off, nor where there
 * are programs of exec:.
 *
 * @param sentence  for the log, or on failure for a message; a constant
 * @return          0; -errno: see app_syscalls_limit()
 */
int app_privileges_limit_calls(const struct app_config *config, const char **sentence);

#endif
