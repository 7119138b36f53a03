/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel believes about UTC (adjtimex), beside what the leap-second table says: where the
 * two differ, one of them is wrong about a second, and the operator is to know.
 *
 * Pure: any thread, no allocation, no clock read.
 */
#ifndef VRTC_KERNEL_VIEW_H
#define VRTC_KERNEL_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "leap.h"

/* What CLOCK_REALTIME of this host shows: a fact of its configuration (host_timescale). */
enum vrtc_host_timescale {
	VRTC_HOST_UTC,         /* UTC, with its steps; TAI - UTC by the table */
	VRTC_HOST_TAI_OFFSET,  /* UTC, and CLOCK_TAI is TAI: the kernel is told TAI - UTC */
	VRTC_HOST_NOON_LINEAR, /* UTC smeared from noon to noon */
	VRTC_HOST_UTC_SLS,     /* UTC-SLS */
	VRTC_HOST_UNKNOWN,
};

struct vrtc_kernel_view {
	int tai_s; /* TAI - UTC; 0: the kernel was not told */
	int leap;  /* +1, -1: it will insert, delete a second at the end of this UTC day; else 0 */
};

enum vrtc_kernel_verdict {
	VRTC_KERNEL_AGREES,
	VRTC_KERNEL_UNTOLD,       /* TAI - UTC is 0; the rest agrees */
	VRTC_KERNEL_OTHER_TAI,    /* another TAI - UTC than the table's */
	VRTC_KERNEL_LEAP_UNKNOWN, /* it announces a leap second that the table does not have */
	VRTC_KERNEL_LEAP_MISSING, /* two hours before one of the table it announces none */
	VRTC_KERNEL_LEAP_WHILE_SMEARED, /* it announces one, although the host's UTC is smeared */
};

/*
 * @param utc_ns  what CLOCK_REALTIME shows. In the minute around a leap second the kernel and the
 *                table change at different instants: not to be asked then
 */
enum vrtc_kernel_verdict vrtc_kernel_view_judge(const struct vrtc_kernel_view *view,
	const struct vrtc_leap_table *table, enum vrtc_host_timescale timescale, int64_t utc_ns);

/* TAI - UTC of the table in s; 0: not known (before 1972, no table). */
int vrtc_kernel_view_table_s(const struct vrtc_leap_table *table, int64_t utc_ns);

#endif
