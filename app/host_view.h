/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What --check-host judges: the configuration, the lcores that the EAL makes of its options, and
 * what the kernel says by system calls. What it says in files is read beneath the root.
 */
#ifndef APP_HOST_VIEW_H
#define APP_HOST_VIEW_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "host_advice.h"
#include "kernel_view.h"
#include "leap.h"

struct app_host_lcore {
	unsigned lcore_id;
	int node; /* NUMA node, -1: unknown */
	cpu_set_t cpus;
	bool requests;
	bool alarms; /* neither: it is for control */
};

struct app_host_view {
	const char *root; /* of /proc, /sys, /dev; "": this machine */
	const struct app_config *config;
	enum vrtc_idle idle; /* of request and alarm lcores */

	const struct app_host_lcore *lcore;
	unsigned n_lcores;
	cpu_set_t workers; /* CPUs of those that are not for control */
	cpu_set_t others;  /* the CPUs that are online and no worker's */
	bool chosen;       /* the operator has given EAL options */
	bool hugepages;    /* and they ask for some */

	int policy;             /* SCHED_..., of this process */
	uint64_t memlock_bytes; /* what it may lock; UINT64_MAX: all */
	bool synchronised;      /* adjtimex(): somebody disciplines the clock */
	int64_t maximum_error_us;

	int64_t utc_ns;
	struct vrtc_kernel_view kernel;
	const struct vrtc_leap_table *leap; /* NULL: it could not be loaded, and why */
	const char *leap_error;
};

/* An lcore polls; with idle = interrupt it sleeps. */
static inline bool app_host_view_polls(const struct app_host_view *view)
{
	return view->idle != VRTC_IDLE_INTERRUPT;
}

/* The CPUs of each lcore that is not for control. */
void app_check_cpu_tell(const struct app_host_view *view, struct app_host_advice *advice);

/* The machine as a whole: interrupts to come, memory, NUMA, scheduling. */
void app_check_machine_tell(const struct app_host_view *view, struct app_host_advice *advice);

/* The host's time: its clock, who disciplines it, leap seconds. */
void app_check_time_tell(const struct app_host_view *view, struct app_host_advice *advice);

#endif
