/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.h"

#include <stddef.h>

#include "lab.h"

const struct lab_case lab_cases[] = {
	{"read-steps", lab_case_read_steps},
	{"read-leap", lab_case_read_leap},
	{"read-leap-untold", lab_case_read_leap_untold},
	{"numa-requests", lab_case_numa_requests},
	{NULL, NULL},
};
