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

struct lab_leap lab_leap_write_table(enum lab_leap_kind kind)
{
	struct lab_leap leap = {.kind = kind};
	FILE *from = fopen(TZDATA_TABLE, "re");
	FILE *to = fopen(LAB_LEAP_TABLE, "we");
	int64_t last_s = 0;
	char line[256];

	lab_check(from, "%s: %s", TZDATA_TABLE, strerror(errno));
	lab_check(to, "%s: %s", LAB_LEAP_TABLE, strerror(errno));
	/* Comments are left out, and with them tzdata's date of expiry and hash. */
	while (fgets(line, sizeof(line), from))
		if (line[0] != '#' && sscanf(line, "%" SCNd64 " %d", &last_s, &leap.before_s) == 2)
			fprintf(to, "%" PRId64 " %d\n", last_s, leap.before_s);
	lab_check(last_s - NTP_EPOCH_S < LAB_LEAP_UTC_S - YEAR_S,
		"%s has leap seconds near the laboratory's own", TZDATA_TABLE);
	fprintf(to, "%" PRId64 " %d\n#@ %" PRId64 "\n", LAB_LEAP_UTC_S + NTP_EPOCH_S,
		leap.before_s + kind, LAB_LEAP_UTC_S + NTP_EPOCH_S + YEAR_S);
	fclose(from);
	lab_check(fclose(to) == 0, "%s: %s", LAB_LEAP_TABLE, strerror(errno));

	/* At the end of the last second of the day, or in place of it. */
	leap.step_tai_ns = LAB_LEAP_UTC_NS + leap.before_s * LAB_NS_PER_S -
			   (kind == LAB_LEAP_DELETED ? LAB_NS_PER_S : 0);
	return leap;
}

int64_t lab_leap_utc_ns(const struct lab_leap *leap, int64_t tai_ns)
{
	int64_t utc_ns = tai_ns - leap->before_s * LAB_NS_PER_S;

	return tai_ns < leap->step_tai_ns ? utc_ns : utc_ns - leap->kind * LAB_NS_PER_S;
}

int64_t lab_leap_smeared_ns(const struct lab_leap *leap, int64_t tai_ns)
{
	/* From noon to noon it shows 86,400 seconds, while 86,401 or 86,399 pass. */
	int64_t noon_ns = LAB_LEAP_UTC_NS - 43200 * LAB_NS_PER_S;
	__extension__ __int128 passed_ns = tai_ns - leap->before_s * LAB_NS_PER_S - noon_ns;

	return noon_ns + (int64_t)(passed_ns * 86400 / (86400 + leap->kind));
}
