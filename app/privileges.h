/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon gives up before it starts a thread (each of these is a thread's own, and is
 * inherited by those that it starts): capabilities that nothing here needs, the way to new
 * privileges by programs, and guests' memory in core dumps.
 *
 * Main thread only, before rte_eal_init().
 */
#ifndef APP_PRIVILEGES_H
#define APP_PRIVILEGES_H

#include "config.h"

/*
 * What programs of alarm_action = exec: would inherit is left as it is where there are such; and
 * capabilities stay where EAL options are given, since hugepages and devices may want any of them.
 *
 * @return  a sentence for the log, a constant
 */
const char *app_privileges_drop(const struct app_config *config);

#endif
