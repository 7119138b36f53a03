/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What telemetry says of guests' counters and cross-timestamps: /rtc/devices, /rtc/counter. Main
 * thread; telemetry's own asks.
 */
#ifndef APP_TELEMETRY_COUNTERS_H
#define APP_TELEMETRY_COUNTERS_H

#include "config.h"

struct vrtc_endpoint;

/* All devices are open. Both outlive app_telemetry_counters_end(). */
void app_telemetry_counters_begin(
	const struct app_config *config, struct vrtc_endpoint *const *endpoint);

/* Nobody looks at the endpoints any more when this returns. */
void app_telemetry_counters_end(void);

#endif
