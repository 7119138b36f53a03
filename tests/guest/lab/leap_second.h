/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A leap second of the laboratory's own, at the end of June 2033: a table that has it, and what
 * clocks show around it.
 */
#ifndef LAB_LEAP_SECOND_H
#define LAB_LEAP_SECOND_H

#include <stdint.h>

#define LAB_LEAP_TABLE "/run/lab/leap-seconds.list"

/* 2033-07-01 00:00:00 UTC, the midnight behind it, in POSIX seconds. */
#define LAB_LEAP_UTC_S INT64_C(2003788800)

/**
 * Writes LAB_LEAP_TABLE: the table of tzdata, with our leap second and without what it contradicts.
 *
 * @return TAI - UTC in seconds before our leap second
 */
int lab_leap_write_table(void);

/**
 * What a UTC clock shows.
 *
 * @param before_s  as lab_leap_write_table() returned it
 */
int64_t lab_leap_utc_ns(int before_s, int64_t tai_ns);

/** What a clock of smeared UTC, noon-linear, shows within the day of smearing. */
int64_t lab_leap_smeared_ns(int before_s, int64_t tai_ns);

#endif
