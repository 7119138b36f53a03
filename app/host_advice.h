/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings of --check-host: a line each, and how many there were. Main thread. */
#ifndef APP_HOST_ADVICE_H
#define APP_HOST_ADVICE_H

#include <stdio.h>

enum app_host_state {
	APP_HOST_OK,
	APP_HOST_BETTER, /* could be better */
	APP_HOST_WRONG, /* readings or alarms are wrong, or late by more than a neighbour's noise */
	APP_HOST_UNKNOWN, /* cannot be told */
};
#define APP_HOST_STATES 4

struct app_host_advice {
	FILE *out;
	unsigned n[APP_HOST_STATES];
};

/*
 * "STATE  SUBJECT: what was found -> what to do", or without the last where there is nothing to do.
 */
void app_host_advice_tell(struct app_host_advice *advice, enum app_host_state state,
	const char *subject, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* How many of each. */
void app_host_advice_end(struct app_host_advice *advice);

#endif
