/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the operator asked for: argv and, with --config, a file, made into one validated structure
 * before anything is started. Whatever is wrong becomes one line that says what, where and what is
 * accepted.
 *
 * Allocates; main thread only.
 */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "clock.h"
#include "poller.h"

/* A name is used in log lines and in telemetry: letters, digits, '.', '_' and '-'. */
#define APP_NAME_BYTES_MAX 48
#define APP_CLOCKS_MAX	   64
/* rte_vhost watches 1024 descriptors, two for each listening device (shared/facts, measured). */
#define APP_DEVICES_MAX 511
#define APP_LEAP_TABLE "/usr/share/zoneinfo/leap-seconds.list"

struct app_device_config {
	char name[APP_NAME_BYTES_MAX + 1];
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool client; /* we connect, and connect again when the front-end goes */
	uint16_t n_clocks;
	struct vrtc_clock clock[APP_CLOCKS_MAX];
};

enum app_action {
	APP_RUN,
	APP_CHECK_CONFIG,	/* everything up to, and without, the start */
	APP_HELP,
	APP_VERSION,
	APP_PRINT_CAPABILITIES,
};

struct app_config {
	enum app_action action;
	enum vrtc_idle idle;
	bool idle_given; /* by the operator, not by default */
	char *leap_table;
	unsigned n_devices;
	struct app_device_config *device;

	/* What stands before "--" in argv, program name first, NULL last; n_eal == 1: nothing. */
	int n_eal;
	char **eal;
};

/*
 * Reads argv, and the file that it names.
 *
 * @param error  on failure one line without the final newline: "FILE:LINE: [section] key = value:
 *               what is wrong; accepted: ...", or "--option: ..."
 * @return       0; -EINVAL: error is filled, config holds nothing to free
 */
int app_config_parse(
	struct app_config *config, int argc, char **argv, char *error, unsigned error_bytes);

void app_config_free(struct app_config *config);

/* What --help, --version and --print-capabilities print. */
void app_config_print_help(void);
void app_config_print_version(void);
void app_config_print_capabilities(void);

#endif
