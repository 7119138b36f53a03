/* SPDX-License-Identifier: BSD-3-Clause */
#include "formulas.h"

#define S INT64_C(1000000000)

static int64_t old_utc_ns(const struct sim_leap *leap, int64_t tai_ns)
{
	return tai_ns - leap->before_s * S;
}

int64_t sim_step_tai_ns(const struct sim_leap *leap)
{
	int64_t midnight_ns = (leap->midnight_s + leap->before_s) * S;

	return leap->sign > 0 ? midnight_ns : midnight_ns - S;
}

struct sim_time sim_utc(const struct sim_leap *leap, int64_t tai_ns)
{
	int64_t leapt_ns = tai_ns >= sim_step_tai_ns(leap) ? leap->sign * S : 0;

	return (struct sim_time){old_utc_ns(leap, tai_ns) - leapt_ns, 1};
}

struct sim_time sim_same(const struct sim_leap *leap, int64_t ns)
{
	(void)leap;
	return (struct sim_time){ns, 1};
}

/* Within a window of span_s of TAI the clock shows span_s - k seconds. */
static struct sim_time smear(
	const struct sim_leap *leap, int64_t tai_ns, int64_t begin_ns, int64_t span_s)
{
	__int128 passed_ns = tai_ns - begin_ns;

	if (passed_ns <= 0)
		return (struct sim_time){old_utc_ns(leap, tai_ns), 1};
	if (passed_ns >= (__int128)span_s * S)
		return (struct sim_time){old_utc_ns(leap, tai_ns) - leap->sign * S, 1};
	return (struct sim_time){
		(__int128)old_utc_ns(leap, begin_ns) * span_s + passed_ns * (span_s - leap->sign),
		span_s};
}

int64_t sim_noon_begin_ns(const struct sim_leap *leap)
{
	return (leap->midnight_s - 43200 + leap->before_s) * S;
}

int64_t sim_noon_end_ns(const struct sim_leap *leap)
{
	return (leap->midnight_s + 43200 + leap->before_s + leap->sign) * S;
}

int64_t sim_sls_end_ns(const struct sim_leap *leap)
{
	return (leap->midnight_s + leap->before_s + leap->sign) * S;
}

int64_t sim_sls_begin_ns(const struct sim_leap *leap)
{
	return sim_sls_end_ns(leap) - 1000 * S;
}

struct sim_time sim_noon_linear(const struct sim_leap *leap, int64_t tai_ns)
{
	return smear(leap, tai_ns, sim_noon_begin_ns(leap), 86400 + leap->sign);
}

struct sim_time sim_utc_sls(const struct sim_leap *leap, int64_t tai_ns)
{
	return smear(leap, tai_ns, sim_sls_begin_ns(leap), 1000);
}

int64_t sim_error(uint64_t reading_ns, struct sim_time time)
{
	__int128 difference = (__int128)reading_ns * time.denominator - time.numerator;

	return (int64_t)(difference * (INT64_C(1) << 32) / time.denominator);
}
