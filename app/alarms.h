/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon's alarms stand on: the lcores that fire them, the folder that keeps them, the
 * actions. Main thread.
 */
#ifndef APP_ALARMS_H
#define APP_ALARMS_H

#include <rte_config.h>

#include "alarm_lcore.h"
#include "alarm_store.h"
#include "config.h"
#include "endpoint_alarms.h"
#include "lcore_roles.h"
#include "sources.h"

struct app_alarms {
	struct vrtc_alarm_source source[APP_SOURCES_MAX]; /* alarms of all devices */
	unsigned n_sources;
	uint32_t n_devices; /* with alarms */
	struct vrtc_alarm_lcore *lcore[RTE_MAX_LCORE];
	unsigned n_lcores;
	struct vrtc_alarm_store store;
};

/*
 * Counts the alarms and opens the folder; says in the log what will be kept and where. sources
 * outlives all alarm lcores.
 */
void app_alarms_init(struct app_alarms *alarms, const struct app_config *config,
	const struct app_sources *sources);

/*
 * An lcore that fires alarms: any device's, so it has room for all. The log says where its memory
 * is.
 *
 * @return  NULL with errno set
 */
struct vrtc_alarm_lcore *app_alarms_new_lcore(
	struct app_alarms *alarms, const struct app_lcore *lcore);

/*
 * What a device's endpoint needs, but for its source of time; all zero for a device without alarms.
 * What is wrong with the device's file costs the retention and a line in the log.
 *
 * @return  0, or -1 with errno set: no memory, or no thread for an action
 */
int app_alarms_open_device(struct app_alarms *alarms, const struct app_device_config *device,
	struct vrtc_endpoint_alarms_config *endpoint);

#endif
