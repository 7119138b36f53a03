/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The EAL of somebody who does not want to know of it: no hugepages, no PCI, no root, no files that
 * outlive us; one lcore for control and one for requests, each on a CPU of its own where there are
 * two, and one for alarms where there are three.
 */
#ifndef APP_EAL_DEFAULT_H
#define APP_EAL_DEFAULT_H

#include <sched.h>
#include <stdbool.h>

#define APP_EAL_DEFAULT_ARGS 16

struct app_eal_default {
	char lcores[64];
	bool shared_cpu; /* control and requests have to share the one CPU there is */
	int argc;
	char *argv[APP_EAL_DEFAULT_ARGS + 1];
};

/*
 * @param allowed  CPUs that we may run on, at least one
 * @param alarms   whether an lcore for alarms is wanted
 * @param eal      filled; argv points into it and into static strings, and must not be moved
 *
 * Lcore 0 is for control, lcore 1 for requests, and lcore 2, if there is one, for alarms: of the
 * workers the last is what app_lcore_roles_assign() takes for them.
 *
 * Control gets the first of the CPUs, requests the last and alarms the one before it: the first
 * ones are where interrupts and other people's work go by default.
 */
void app_eal_default_make(
	struct app_eal_default *eal, const cpu_set_t *allowed, bool alarms, char *program);

/*
 * Sees to a runtime folder that other users do not lock us out of: the EAL's is /tmp/dpdk for those
 * who are not root and have no XDG_RUNTIME_DIR, and belongs to the first user of the machine. Sets
 * XDG_RUNTIME_DIR for them; before rte_eal_init(), and before other threads.
 */
void app_eal_default_runtime_dir(void);

#endif
