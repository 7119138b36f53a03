/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon answers to dpdk-telemetry.py (rte_telemetry):
 *
 *	/rtc/time            what CLOCK_REALTIME shows, what the kernel and the leap-second table
 *	                     say, and whether they agree
 *	/rtc/sources         the sources of time: "system", then the paths of PTP hardware clocks
 *	/rtc/source,INDEX    one of them
 *
 * The telemetry thread answers from a copy, which the main thread renews, and asks PTP hardware
 * clocks itself.
 */
#ifndef APP_TELEMETRY_H
#define APP_TELEMETRY_H

#include "sources.h"

/* Once, after rte_eal_init(). Without telemetry (--no-telemetry) it does no harm. */
void app_telemetry_register(void);

/* Main thread. */
void app_telemetry_publish(const struct app_sources *sources);

/* Before sources are closed: no PTP hardware clock is asked any more. */
void app_telemetry_end(void);

#endif
