/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's clocks, read and set. A call that fails ends the case.
 */
#ifndef LAB_KERNEL_TIME_H
#define LAB_KERNEL_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

int64_t lab_time_ns(clockid_t clock);

/** Sets CLOCK_REALTIME, as a date is set. */
void lab_time_set(int64_t utc_ns);

/** Steps CLOCK_REALTIME by so much, forward or (negative) backward. */
void lab_time_step(int64_t by_ns);

/** Tells the kernel TAI - UTC, as an NTP daemon with a leap-second table does; 0: unknown. */
void lab_time_set_tai(int tai_s);

/**
 * Has the kernel insert a leap second at the next midnight of UTC (STA_INS), or delete the last
 * second of the day (STA_DEL), and returns when it has taken note. To be called with the clock
 * two seconds or more before.
 */
void lab_time_plan_leap_second(bool insert);

/**
 * Undoes all this: no leap second is pending, TAI - UTC is unknown, CLOCK_REALTIME is what it would
 * be had nobody touched it.
 *
 * @param untouched_ns  CLOCK_REALTIME minus CLOCK_BOOTTIME of before
 * @return false: the kernel refuses
 */
bool lab_time_calm(int64_t untouched_ns);

void lab_sleep_ms(int64_t ms);

#endif
