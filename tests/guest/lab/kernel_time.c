/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel_time.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>

#include "lab.h"

/* How often, and until when, the kernel's state of a leap second is looked at. */
#define LOOK_MS      20
#define LOOKS_MS_MAX 3000

int64_t lab_time_ns(clockid_t clock)
{
	struct timespec now;

	lab_check(clock_gettime(clock, &now) == 0, "clock_gettime(%d): %s", (int)clock,
		strerror(errno));
	return now.tv_sec * LAB_NS_PER_S + now.tv_nsec;
}

static bool set_realtime(int64_t utc_ns)
{
	struct timespec at = {utc_ns / LAB_NS_PER_S, utc_ns % LAB_NS_PER_S};

	return clock_settime(CLOCK_REALTIME, &at) == 0;
}

void lab_time_set(int64_t utc_ns)
{
	lab_check(set_realtime(utc_ns), "clock_settime: %s", strerror(errno));
}

void lab_time_step(int64_t by_ns)
{
	struct timex step = {
		.modes = ADJ_SETOFFSET | ADJ_NANO,
		.time.tv_sec = by_ns / LAB_NS_PER_S,
		.time.tv_usec = by_ns % LAB_NS_PER_S,
	};

	/* The kernel wants the fraction positive. */
	if (step.time.tv_usec < 0) {
		step.time.tv_sec--;
		step.time.tv_usec += LAB_NS_PER_S;
	}
	lab_check(adjtimex(&step) >= 0, "adjtimex(ADJ_SETOFFSET): %s", strerror(errno));
}

void lab_time_set_tai(int tai_s)
{
	struct timex tai = {.modes = ADJ_TAI, .constant = tai_s};

	lab_check(adjtimex(&tai) >= 0, "adjtimex(ADJ_TAI): %s", strerror(errno));
	/* The kernel wakes nobody for this (TFD_TIMER_CANCEL_ON_SET), but for the smallest step. */
	lab_time_step(1);
}

/*
 * Plans a leap second or none, and returns when the kernel's state follows, at the next second.
 * Without a small error, the kernel takes itself for not synchronised, and tells that (TIME_ERROR)
 * instead of the state.
 */
static bool plan(int status, int wanted)
{
	struct timex wish = {.modes = ADJ_STATUS | ADJ_MAXERROR, .status = status, .maxerror = 0};
	struct timex look = {.modes = 0};

	if (adjtimex(&wish) < 0)
		return false;
	for (int waited_ms = 0; waited_ms < LOOKS_MS_MAX; waited_ms += LOOK_MS) {
		if (adjtimex(&look) == wanted)
			return true;
		lab_sleep_ms(LOOK_MS);
	}
	errno = ETIMEDOUT;
	return false;
}

void lab_time_plan_leap_second(bool insert)
{
	lab_check(plan(insert ? STA_INS : STA_DEL, insert ? TIME_INS : TIME_DEL),
		"adjtimex(%s): %s", insert ? "STA_INS" : "STA_DEL", strerror(errno));
}

bool lab_time_calm(int64_t untouched_ns)
{
	struct timex no_tai = {.modes = ADJ_TAI, .constant = 0};

	return plan(0, TIME_OK) && adjtimex(&no_tai) >= 0 &&
	       set_realtime(untouched_ns + lab_time_ns(CLOCK_BOOTTIME));
}

void lab_sleep_ms(int64_t ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * LAB_NS_PER_MS};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}
