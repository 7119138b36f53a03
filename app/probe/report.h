/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the probe's findings are shown: tables for a human, one JSON object a line for a program.
 * Main thread only; writes to stdout.
 */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include "probe.h"

/** The clocks and what they can do. */
void report_clocks(const struct probe *p);

/** The readings beside the host's clocks. */
void report_readings(const struct probe *p);

/** The round trips; nothing if none was measured. */
void report_round_trips(const struct probe *p);

/** The alarm that was set; nothing if none was. */
void report_alarm(const struct probe *p);

/** All of it as one line of JSON. Nanoseconds are integers; what is unknown is null. */
void report_json(const struct probe *p);

#endif
