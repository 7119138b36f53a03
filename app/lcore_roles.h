/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each worker lcore does: answer requests, fire alarms, or both.
 *
 * An lcore that fires alarms and does nothing else is late by a turn of its loop at most. One that
 * answers requests as well is late by the requests of its turn, too, and they wait for its alarms.
 * So `auto` takes an lcore of its own for alarms where there is one to spare, and does so on each
 * NUMA node, since a device's alarms are best served where its guest's memory is.
 *
 * Pure arithmetic: no DPDK, no libnuma, no allocation; any thread.
 */
#ifndef APP_LCORE_ROLES_H
#define APP_LCORE_ROLES_H

#include "config.h"

#define APP_LCORE_ROLES_WHY_BYTES 512

struct app_lcore {
	unsigned lcore_id; /* of the EAL */
	int node;          /* NUMA node; -1: unknown, which is taken for a node like the others */
	bool requests;     /* to be found out: answers requests */
	bool alarms;       /* to be found out: fires alarms */
};

/*
 * Fills in what the lcores do. At least one answers requests. If there are alarms, at least one
 * fires them:
 *
 *   AUTO    on each node with two lcores or more its last one, and it does nothing else; if no node
 *           has two, the last of all; if there is but one lcore, it does both
 *   SHARED  all answer requests, the first one of each node fires alarms as well
 *   LIST    those of the list, and they do nothing else
 *
 * If there are none, all answer requests and nothing else; a list is judged all the same.
 *
 * @param lcore   the n >= 1 workers of the EAL, in its order; no lcore_id twice
 * @param alarms  whether any device has an alarm
 * @param shared  AUTO found no lcore to spare, which costs something that the operator did not ask
 *                for
 * @param why     APP_LCORE_ROLES_WHY_BYTES bytes; on error one line without the final newline
 * @return        0; -EINVAL: the list has an lcore that is not there, or leaves none for requests;
 *                why says it, lcore and *shared are unchanged
 */
int app_lcore_roles_assign(struct app_lcore *lcore, unsigned n, bool alarms,
	const struct app_alarm_lcores *wanted, bool *shared, char *why);

#endif
