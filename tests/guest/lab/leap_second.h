/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A leap second of the laboratory's own, at the end of June 2033: a table that has it, and what
 * clocks show around it.
 */
#ifndef LAB_LEAP_SECOND_H
#define LAB_LEAP_SECOND_H

#include <stdint.h>

#define LAB_LEAP_TABLE "/run/lab/leap-seconds.list"

/* 2033-07-01 00:00:00 UTC, the midnight behind it. */
#define LAB_LEAP_UTC_S  INT64_C(2003788800)
#define LAB_LEAP_UTC_NS (LAB_LEAP_UTC_S * INT64_C(1000000000))

/* Inserted: 23:59:59 is shown twice. Deleted: it is left out. */
enum lab_leap_kind {
	LAB_LEAP_INSERTED = 1,
	LAB_LEAP_DELETED = -1,
};

struct lab_leap {
	enum lab_leap_kind kind;
	int before_s;        /* TAI - UTC until then */
	int64_t step_tai_ns; /* when UTC steps */
};

/** Writes LAB_LEAP_TABLE: tzdata's entries, and our leap second. */
struct lab_leap lab_leap_write_table(enum lab_leap_kind kind);

/** What a UTC clock shows. */
int64_t lab_leap_utc_ns(const struct lab_leap *leap, int64_t tai_ns);

/** What a clock of smeared UTC, noon-linear, shows within the day of smearing. */
int64_t lab_leap_smeared_ns(const struct lab_leap *leap, int64_t tai_ns);

#endif
