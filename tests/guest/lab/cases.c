/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.h"

#include <stddef.h>

#include "lab.h"

const struct lab_case lab_cases[] = {
	{"read-steps", lab_case_read_steps},
	{"step-forward", lab_case_step_forward},
	{"step-backward", lab_case_step_backward},
	{"step-back-undelivered", lab_case_step_back_undelivered},
	{"step-wakes", lab_case_step_wakes},
	{"step-random", lab_case_step_random},
	{"step-disconnected", lab_case_step_disconnected},
	{"step-reset", lab_case_step_reset},
	{"step-crashed", lab_case_step_crashed},
	{"leap-busy", lab_case_leap_busy},
	{"leap-interrupt", lab_case_leap_interrupt},
	{"leap-deleted", lab_case_leap_deleted},
	{"leap-rate", lab_case_leap_rate},
	{"leap-rate-deleted", lab_case_leap_rate_deleted},
	{"leap-untold", lab_case_leap_untold},
	{"leap-untold-deleted", lab_case_leap_untold_deleted},
	{"phc", lab_case_phc},
	{"phc-lost", lab_case_phc_lost},
	{"numa-requests", lab_case_numa_requests},
	{"numa-alarms", lab_case_numa_alarms},
	{"numa-full", lab_case_numa_full},
	{NULL, NULL},
};
