/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smeared UTC clocks: UTC without its steps (virtio-v1.4 RTC Device / Smearing Variants and the
 * device requirements of Control Requests). Outside of a window around each leap second they are
 * UTC; within it they run a little slower (positive) or faster (negative) and so lose or gain one
 * second, continuously.
 *
 *                    window, in UTC                         length    clock seconds   rate
 *   NOON_LINEAR  +   noon before to noon after              86,401 s  86,400          86400/86401
 *                -                                          86,399 s  86,400          86400/86399
 *   UTC_SLS      +   the last 1000 s of the day with the     1,000 s     999          0.999
 *                -   leap second                             1,000 s   1,001          1.001
 *
 * NOON_LINEAR is decision D1: the specification's "decrease the frequency by 1/86400" and "exactly
 * from noon to noon" leave a step of 11.6 us between them, and a step is forbidden. UTC_SLS is as
 * the specification has it.
 *
 * A smeared time is the exact rational value, rounded down to a nanosecond. It never decreases
 * while TAI increases; slowed down it shows some nanoseconds twice, sped up it passes over some.
 *
 * The windows of two leap seconds never overlap: vrtc_leap_parse() refuses entries closer than
 * VRTC_LEAP_DISTANCE_MIN_S.
 *
 * Pure functions of their parameters: any thread, no allocation, no clock, integers only. Outside
 * of the windows and after the last leap second a conversion costs one comparison and one
 * addition; within a window, one division more.
 */
#ifndef VRTC_SMEAR_H
#define VRTC_SMEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "leap.h"

/* Whether smear (a wire value, VIRTIO_RTC_SMEAR_*) is a variant that these functions compute. */
bool vrtc_smear_known(uint8_t smear);

/*
 * What the smeared clock shows at tai_ns (any value).
 *
 * Returns VRTC_LEAP_OK; VRTC_LEAP_UNKNOWN before the table's first entry or with an empty table;
 * VRTC_LEAP_NO_CURVE if the variant is not known. *smeared_ns is unchanged unless VRTC_LEAP_OK.
 */
enum vrtc_leap_result vrtc_smear_from_tai(
	uint8_t smear, const struct vrtc_leap_table *table, int64_t tai_ns, int64_t *smeared_ns);

/*
 * The first TAI nanosecond at which the smeared clock shows smeared_ns (any value) or more: when an
 * alarm set to smeared_ns expires.
 *
 * Returns as above, and VRTC_LEAP_OVERFLOW if the instant is beyond an int64_t (the last seconds
 * before 2262-04-11 23:47:16). *tai_ns is unchanged unless VRTC_LEAP_OK.
 */
enum vrtc_leap_result vrtc_smear_to_tai(
	uint8_t smear, const struct vrtc_leap_table *table, int64_t smeared_ns, int64_t *tai_ns);

#endif
