/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon says of itself (rte_telemetry). */
#ifndef LAB_TELEMETRY_H
#define LAB_TELEMETRY_H

#include <stddef.h>

/** Connects; what goes wrong ends the case. */
int lab_telemetry_open(void);

/** Asks; the answer, JSON, ended by NUL. */
void lab_telemetry_ask(int fd, const char *command, char *answer, size_t size);

/** The number behind a name in an answer. */
long long lab_telemetry_number(const char *answer, const char *name);

#endif
