/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is said of a run: TAP, one test point a statement, and JSON, one object a statement with the
 * same and what is known of it besides.
 */
#ifndef CONFORM_REPORT_H
#define CONFORM_REPORT_H

#include "conform.h"

/* bit i of chosen's words: statement i is reported. */
struct report_choice {
	bool statement[CONFORM_STATEMENTS_MAX];
};

/* @return the number of statements that failed */
unsigned int report_tap(const struct conform *c, const struct report_choice *choice, FILE *out);

/* @return 0, or -errno of what could not be written */
int report_json(const struct conform *c, const struct report_choice *choice, const char *path);

#endif
