/* SPDX-License-Identifier: BSD-3-Clause */
/* /rtc/devices and /rtc/counter: what is known of the guests' counters. */
#include "telemetry_counters.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "backend.h"

/* What telemetry can name at a time: its answers have room for as many. */
#define DEVICES_MAX 256

static struct {
	pthread_mutex_t mutex;
	const struct app_config *config;
	struct vrtc_endpoint *const *endpoint;
	unsigned n;
} devices = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int answer_devices(const char *cmd, const char *params, struct rte_tel_data *d)
{
	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	pthread_mutex_lock(&devices.mutex);
	for (unsigned i = 0; i < devices.n && i < DEVICES_MAX; i++)
		rte_tel_data_add_array_string(d, devices.config->device[i].name);
	pthread_mutex_unlock(&devices.mutex);
	return 0;
}

/* In hexadecimal: numbers of 64 bits have another function in each version of DPDK. */
static void add_hex(struct rte_tel_data *d, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	rte_tel_data_add_dict_string(d, name, text);
}

static void add_map(struct rte_tel_data *d, const struct vrtc_counter_map *map)
{
	static const char *const hosts[] = {
		[VRTC_HOST_COUNTER_NONE] = "none",
		[VRTC_HOST_COUNTER_CPU] = "cpu",
		[VRTC_HOST_COUNTER_MONOTONIC] = "monotonic",
	};

	rte_tel_data_add_dict_string(d, "host_counter", hosts[map->host_counter]);
	if (map->host_counter == VRTC_HOST_COUNTER_NONE)
		return;
	add_hex(d, "mult", map->mult);
	rte_tel_data_add_dict_int(d, "shift", map->shift);
	add_hex(d, "host_base", map->host_base);
	add_hex(d, "guest_base", map->guest_base);
}

static int clip(uint64_t value)
{
	return value < INT32_MAX ? (int)value : INT32_MAX;
}

static void add_counter(struct rte_tel_data *d, unsigned i)
{
	struct vrtc_guest_counter_status status;

	vrtc_backend_counter_status(devices.endpoint[i], &status);
	rte_tel_data_add_dict_string(d, "device", devices.config->device[i].name);
	rte_tel_data_add_dict_string(d, "counter", vrtc_guest_counter_name(status.offered));
	rte_tel_data_add_dict_string(
		d, "known_from", vrtc_guest_counter_origin_name(status.origin));
	rte_tel_data_add_dict_int(d, "maps", clip(status.generation));
	add_map(d, &status.map);
	rte_tel_data_add_dict_int(d, "pairs", clip(status.pairs));
	rte_tel_data_add_dict_int(d, "doubt_ns", clip(status.doubt_ns));
	rte_tel_data_add_dict_int(d, "doubt_max_ns", clip(status.doubt_max_ns));
}

static int answer_counter(const char *cmd, const char *params, struct rte_tel_data *d)
{
	char *end = NULL;
	unsigned long i;
	int rc = -EINVAL;

	RTE_SET_USED(cmd);
	if (!params || *params < '0' || *params > '9')
		return -EINVAL;
	i = strtoul(params, &end, 10);
	if (*end != '\0')
		return -EINVAL;
	pthread_mutex_lock(&devices.mutex);
	if (i < devices.n) {
		rte_tel_data_start_dict(d);
		add_counter(d, (unsigned)i);
		rc = 0;
	}
	pthread_mutex_unlock(&devices.mutex);
	return rc;
}

void app_telemetry_counters_begin(
	const struct app_config *config, struct vrtc_endpoint *const *endpoint)
{
	pthread_mutex_lock(&devices.mutex);
	devices.config = config;
	devices.endpoint = endpoint;
	devices.n = config->n_devices;
	pthread_mutex_unlock(&devices.mutex);
	/* It fails for want of memory alone, and then there is no answer. */
	(void)rte_telemetry_register_cmd(
		"/rtc/devices", answer_devices, "The devices. No parameters");
	(void)rte_telemetry_register_cmd("/rtc/counter", answer_counter,
		"What is known of the counter of a device's guest, and of its cross-timestamps. "
		"Parameter: its index in /rtc/devices");
}

void app_telemetry_counters_end(void)
{
	pthread_mutex_lock(&devices.mutex);
	devices.n = 0;
	pthread_mutex_unlock(&devices.mutex);
}
