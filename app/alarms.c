/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarms.h"

#include "log.h"

static bool has_alarms(const struct app_device_config *device)
{
	for (uint16_t c = 0; c < device->n_clocks; c++) {
		if (device->clock[c].alarm)
			return true;
	}
	return false;
}

void app_alarms_init(struct app_alarms *alarms, const struct app_config *config,
	const struct app_sources *sources)
{
	char why[VRTC_ALARM_STORE_WHY_BYTES];

	*alarms = (struct app_alarms){.store.dir_fd = -1, .n_sources = sources->n};
	for (unsigned i = 0; i < sources->n; i++)
		alarms->source[i].time = &sources->source[i].time;
	for (unsigned i = 0; i < config->n_devices; i++) {
		const struct app_device_config *device = &config->device[i];
		struct vrtc_alarm_source *source =
			&alarms->source[app_sources_find(sources, device)];

		alarms->n_devices += has_alarms(device);
		for (uint16_t c = 0; c < device->n_clocks; c++) {
			if (device->clock[c].alarm)
				source->capacity[vrtc_clock_timescale(&device->clock[c])]++;
		}
	}
	if (alarms->n_devices == 0 || !config->alarm_store)
		return;
	if (vrtc_alarm_store_open(&alarms->store, config->alarm_store_dir, why))
		VRTC_LOG(WARNING, "alarms will not outlive this process: %s", why);
	else
		VRTC_LOG(INFO, "alarms are kept in %s", alarms->store.path);
}

struct vrtc_alarm_lcore *app_alarms_new_lcore(
	struct app_alarms *alarms, const struct app_lcore *lcore)
{
	struct vrtc_alarm_lcore *l = vrtc_alarm_lcore_new(
		lcore->lcore_id, lcore->node, alarms->source, alarms->n_sources, alarms->n_devices);
	size_t n_pages;
	size_t on_node;

	if (!l)
		return NULL;
	alarms->lcore[alarms->n_lcores++] = l;
	on_node = vrtc_alarm_lcore_pages(l, lcore->node, &n_pages);
	VRTC_LOG(INFO,
		"alarms are fired by lcore %u on node %d%s; %zu of the %zu pages of its memory are "
		"there",
		lcore->lcore_id, lcore->node, lcore->requests ? ", which serves requests, too" : "",
		on_node, n_pages);
	return l;
}

int app_alarms_open_device(struct app_alarms *alarms, const struct app_device_config *device,
	struct vrtc_endpoint_alarms_config *endpoint)
{
	const struct vrtc_alarm_store *store =
		device->retain == VRTC_RETAIN_NO ? NULL : &alarms->store;
	char why[VRTC_ALARM_STORE_WHY_BYTES];
	enum vrtc_alarm_store_result result;

	*endpoint = (struct vrtc_endpoint_alarms_config){.retain = device->retain};
	if (!has_alarms(device))
		return 0;
	endpoint->ledger = vrtc_alarm_store_ledger(
		store, device->name, device->clock, device->n_clocks, &result, why);
	if (!endpoint->ledger)
		return -1;
	if (result == VRTC_ALARM_STORE_DISCARDED)
		VRTC_LOG(WARNING, "%s: %s: its alarms are forgotten", device->name, why);
	else if (result == VRTC_ALARM_STORE_NONE && why[0])
		VRTC_LOG(
			WARNING, "%s: alarms will not outlive this process: %s", device->name, why);
	if (device->alarm_action[0]) {
		endpoint->action = vrtc_alarm_action_new(
			device->alarm_action, device->name, device->clock, device->n_clocks);
		if (!endpoint->action)
			return -1;
	}
	return 0;
}
