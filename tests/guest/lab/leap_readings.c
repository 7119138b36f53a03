/* SPDX-License-Identifier: BSD-3-Clause */
#include "leap_readings.h"

#include <inttypes.h>
#include <stdbool.h>

#include "kernel_time.h"
#include "lab.h"

/* A reading is made on another CPU than what it is compared with. */
#define SLACK_NS 100000

void lab_look_take(struct vfe_session *s, uint16_t utc, uint16_t tai, uint16_t smeared,
	int64_t plus_ns, struct lab_look *look)
{
	look->tai_before_ns = lab_time_ns(CLOCK_TAI) + plus_ns;
	lab_driver_read(s, utc, &look->utc_ns);
	lab_driver_read(s, tai, &look->tai_ns);
	lab_driver_read(s, smeared, &look->smeared_ns);
	look->tai_after_ns = lab_time_ns(CLOCK_TAI) + plus_ns;
}

static bool is_between(int64_t low_ns, int64_t ns, int64_t high_ns)
{
	return ns >= low_ns - SLACK_NS && ns <= high_ns + SLACK_NS;
}

static void check_steady(const char *what, int64_t low_ns, int64_t reading_ns, int64_t high_ns)
{
	lab_check(is_between(low_ns, reading_ns, high_ns),
		"%s reads %" PRId64 " ns, which is not between %" PRId64 " and %" PRId64, what,
		reading_ns, low_ns, high_ns);
}

/* If it stepped back between the two, it showed the end of the one or the start of the other. */
static void check_stepping(int64_t before_ns, int64_t reading_ns, int64_t after_ns)
{
	bool right = after_ns >= before_ns ? is_between(before_ns, reading_ns, after_ns)
					   : reading_ns >= before_ns - SLACK_NS ||
						     reading_ns <= after_ns + SLACK_NS;

	lab_check(right,
		"UTC reads %" PRId64 " ns; by TAI it is %" PRId64 " before, %" PRId64 " after",
		reading_ns, before_ns, after_ns);
}

void lab_look_check(const struct lab_look *look, const struct lab_leap *leap)
{
	check_stepping(lab_leap_utc_ns(leap, look->tai_before_ns), look->utc_ns,
		lab_leap_utc_ns(leap, look->tai_after_ns));
	check_steady("TAI", look->tai_before_ns, look->tai_ns, look->tai_after_ns);
	check_steady("smeared UTC", lab_leap_smeared_ns(leap, look->tai_before_ns),
		look->smeared_ns, lab_leap_smeared_ns(leap, look->tai_after_ns));
}
