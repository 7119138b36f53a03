/* SPDX-License-Identifier: BSD-3-Clause */
/* The cases, a file for each of their subjects. Their names and purposes are in ../lab.py. */
#ifndef LAB_CASES_H
#define LAB_CASES_H

void lab_case_read_steps(void);
void lab_case_read_leap(void);
void lab_case_read_leap_untold(void);
void lab_case_numa_requests(void);

#endif
