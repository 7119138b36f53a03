/* SPDX-License-Identifier: BSD-3-Clause */
/* The cases, a file for each of their subjects. Their names and purposes are in ../lab.py. */
#ifndef LAB_CASES_H
#define LAB_CASES_H

/* case_read.c */
void lab_case_read_steps(void);

/* case_steps.c */
void lab_case_step_forward(void);
void lab_case_step_backward(void);
void lab_case_step_back_undelivered(void);
void lab_case_step_wakes(void);
void lab_case_step_random(void);

/* case_retained.c */
void lab_case_step_disconnected(void);
void lab_case_step_reset(void);
void lab_case_step_crashed(void);

/* case_leap.c */
void lab_case_leap_busy(void);
void lab_case_leap_interrupt(void);
void lab_case_leap_deleted(void);
void lab_case_leap_rate(void);
void lab_case_leap_rate_deleted(void);
void lab_case_leap_untold(void);
void lab_case_leap_untold_deleted(void);

/* case_numa.c */
void lab_case_phc(void);
void lab_case_phc_lost(void);
void lab_case_numa_requests(void);
void lab_case_numa_alarms(void);
void lab_case_numa_full(void);

#endif
