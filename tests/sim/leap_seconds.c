/* SPDX-License-Identifier: BSD-3-Clause */
#include "leap_seconds.h"

#include <string.h>

const struct sim_leap sim_leap[SIM_LEAPS] = {
	{"2016-12-31, inserted", INT64_C(1483228800), 36, 1},
	{"2033-06-30, inserted", INT64_C(2003788800), 37, 1},
	{"2035-12-31, left out", INT64_C(2082758400), 38, -1},
};

/* NTP seconds, as in leap-seconds.list. */
static const char text[] = "#@ 4500000000\n"
			   "2272060800 10\n" /* 1972-01-01 */
			   "2287785600 11\n2303683200 12\n2335219200 13\n2366755200 14\n"
			   "2398291200 15\n2429913600 16\n2461449600 17\n2492985600 18\n"
			   "2524521600 19\n2571782400 20\n2603318400 21\n2634854400 22\n"
			   "2698012800 23\n2776982400 24\n2840140800 25\n2871676800 26\n"
			   "2918937600 27\n2950473600 28\n2982009600 29\n3029443200 30\n"
			   "3076704000 31\n3124137600 32\n3345062400 33\n3439756800 34\n"
			   "3550089600 35\n3644697600 36\n"
			   "3692217600 37\n"  /* 2017-01-01 */
			   "4212777600 38\n"  /* 2033-07-01 */
			   "4291747200 37\n"; /* 2036-01-01 */

int sim_table(struct vrtc_leap_table *table)
{
	return vrtc_leap_parse(table, text, strlen(text), NULL) == VRTC_LEAP_OK ? 0 : -1;
}
