/* SPDX-License-Identifier: BSD-3-Clause */
#include "eal_default.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void app_eal_default_make(
	struct app_eal_default *eal, const cpu_set_t *allowed, bool alarms, char *program)
{
	/*
	 * 64 MB of address space, of which some MB are touched. The EAL is quiet: its notices mean
	 * nothing to whom this default is for, its warnings do.
	 */
	static char no_huge[] = "--no-huge", mem[] = "-m", mem_mb[] = "64",
		    no_shconf[] = "--no-shconf", no_pci[] = "--no-pci",
		    prefix[] = "--file-prefix=dpdk-rtc",
		    log_telemetry[] = "--log-level=lib.telemetry:error",
		    log_eal[] = "--log-level=lib.eal:warning", lcores[] = "--lcores";
	int first = -1;
	int before_last = -1;
	int last = -1;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, allowed))
			continue;
		if (first < 0)
			first = cpu;
		before_last = last;
		last = cpu;
	}
	eal->shared_cpu = first == last;
	if (alarms && before_last >= 0 && before_last != first)
		snprintf(eal->lcores, sizeof(eal->lcores), "0@%d,1@%d,2@%d", first, last,
			before_last);
	else
		snprintf(eal->lcores, sizeof(eal->lcores), "0@%d,1@%d", first, last);

	eal->argc = 0;
	eal->argv[eal->argc++] = program;
	eal->argv[eal->argc++] = no_huge;
	eal->argv[eal->argc++] = mem;
	eal->argv[eal->argc++] = mem_mb;
	eal->argv[eal->argc++] = no_shconf;
	eal->argv[eal->argc++] = no_pci;
	eal->argv[eal->argc++] = prefix;
	eal->argv[eal->argc++] = log_eal;
	eal->argv[eal->argc++] = log_telemetry;
	eal->argv[eal->argc++] = lcores;
	eal->argv[eal->argc++] = eal->lcores;
	eal->argv[eal->argc] = NULL;
}

void app_eal_default_runtime_dir(void)
{
	char dir[64];

	if (geteuid() == 0 || getenv("XDG_RUNTIME_DIR"))
		return;
	snprintf(dir, sizeof(dir), "/tmp/dpdk-rtc-%u", (unsigned)geteuid());
	/* What is wrong with the folder, if anything, is for the EAL to say. */
	(void)mkdir(dir, 0700);
	(void)setenv("XDG_RUNTIME_DIR", dir, 1);
}
