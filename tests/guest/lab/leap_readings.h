/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readings of a UTC, a TAI and a smeared clock around a leap second, judged by the kernel's
 * CLOCK_TAI, which does not see it.
 */
#ifndef LAB_LEAP_READINGS_H
#define LAB_LEAP_READINGS_H

#include "driver.h"
#include "leap_second.h"

/* What one look has found. */
struct lab_look {
	int64_t tai_before_ns; /* the truth before the readings, and after them */
	int64_t tai_after_ns;
	int64_t utc_ns;
	int64_t tai_ns;
	int64_t smeared_ns;
};

/**
 * Reads the clocks.
 *
 * @param plus_ns  TAI minus CLOCK_TAI: not 0 if the kernel was not told TAI - UTC
 */
void lab_look_take(struct vfe_session *s, uint16_t utc, uint16_t tai, uint16_t smeared,
	int64_t plus_ns, struct lab_look *look);

/** Each clock read what it should have, by TAI and the leap second. */
void lab_look_check(const struct lab_look *look, const struct lab_leap *leap);

#endif
