/* SPDX-License-Identifier: BSD-3-Clause */
#include "leap_second.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"

#define TZDATA_TABLE "/usr/share/zoneinfo/leap-seconds.list"
/* The file counts from 1900. */
#define NTP_EPOCH_S  INT64_C(2208988800)
#define YEAR_S       (365 * INT64_C(86400))

int lab_leap_write_table(void)
{
	FILE *from = fopen(TZDATA_TABLE, "re");
	FILE *to = fopen(LAB_LEAP_TABLE, "we");
	int64_t last_s = 0;
	char line[256];
	int tai_s = 0;

	lab_check(from, "%s: %s", TZDATA_TABLE, strerror(errno));
	lab_check(to, "%s: %s", LAB_LEAP_TABLE, strerror(errno));
	/* Comments are left out, and with them tzdata's date of expiry and hash. */
	while (fgets(line, sizeof(line), from))
		if (line[0] != '#' && sscanf(line, "%" SCNd64 " %d", &last_s, &tai_s) == 2)
			fprintf(to, "%" PRId64 " %d\n", last_s, tai_s);
	lab_check(last_s - NTP_EPOCH_S < LAB_LEAP_UTC_S - YEAR_S,
		"%s has leap seconds near the laboratory's own", TZDATA_TABLE);
	fprintf(to, "%" PRId64 " %d\n#@ %" PRId64 "\n", LAB_LEAP_UTC_S + NTP_EPOCH_S, tai_s + 1,
		LAB_LEAP_UTC_S + NTP_EPOCH_S + YEAR_S);
	fclose(from);
	lab_check(fclose(to) == 0, "%s: %s", LAB_LEAP_TABLE, strerror(errno));
	return tai_s;
}

int64_t lab_leap_utc_ns(int before_s, int64_t tai_ns)
{
	/* The last second of the day is shown twice. */
	int64_t step_tai_ns = (LAB_LEAP_UTC_S + before_s) * LAB_NS_PER_S;
	int64_t utc_ns = tai_ns - before_s * LAB_NS_PER_S;

	return tai_ns < step_tai_ns ? utc_ns : utc_ns - LAB_NS_PER_S;
}

int64_t lab_leap_smeared_ns(int before_s, int64_t tai_ns)
{
	/* From noon to noon, 86,401 seconds pass while it shows 86,400. */
	int64_t noon_ns = (LAB_LEAP_UTC_S - 43200) * LAB_NS_PER_S;
	__extension__ __int128 passed_ns = tai_ns - before_s * LAB_NS_PER_S - noon_ns;

	return noon_ns + (int64_t)(passed_ns * 86400 / 86401);
}
