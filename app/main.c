/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_host.h"
#include "config.h"
#include "daemon.h"
#include "leap_file.h"
#include "socket_path.h"
#include "sources.h"

/*
 * Whatever can be found wrong without starting anything. With --check-config the sockets are left
 * out: whoever edits a file while the daemon runs with it wants to know of the file.
 */
static int check(const struct app_config *config, struct vrtc_leap_table *leap)
{
	char error[1024];

	if (!leap) {
		fprintf(stderr, "dpdk-rtc: %s\n", strerror(ENOMEM));
		return -1;
	}
	if (app_leap_file_load(config->leap_table, leap, error, sizeof(error)) ||
		app_sources_check(config, error, sizeof(error))) {
		fprintf(stderr, "dpdk-rtc: %s\n", error);
		return -1;
	}
	for (unsigned i = 0; config->action == APP_RUN && i < config->n_devices; i++) {
		if (app_socket_check(&config->device[i], error, sizeof(error))) {
			fprintf(stderr, "dpdk-rtc: %s\n", error);
			return -1;
		}
	}
	return 0;
}

static int check_or_run(const struct app_config *config)
{
	struct vrtc_leap_table *leap = calloc(1, sizeof(*leap));

	if (check(config, leap)) {
		free(leap);
		return EXIT_FAILURE;
	}
	if (config->action == APP_RUN)
		return app_daemon_run(config, leap);
	printf("dpdk-rtc: the configuration is good: %u device%s\n", config->n_devices,
		config->n_devices == 1 ? "" : "s");
	free(leap);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	/* Static, and not freed after a run: rte_vhost's thread lives on, and reads it. */
	static struct app_config config;
	char error[1024];
	int status = EXIT_SUCCESS;

	if (app_config_parse(&config, argc, argv, error, sizeof(error))) {
		fprintf(stderr, "dpdk-rtc: %s\n", error);
		return EXIT_FAILURE;
	}
	switch (config.action) {
	case APP_HELP:
		app_config_print_help();
		break;
	case APP_VERSION:
		app_config_print_version();
		break;
	case APP_PRINT_CAPABILITIES:
		app_config_print_capabilities();
		break;
	case APP_CHECK_HOST:
		status = app_check_host_run(&config);
		break;
	case APP_CHECK_CONFIG:
	case APP_RUN:
		status = check_or_run(&config);
		break;
	}
	if (config.action != APP_RUN)
		app_config_free(&config);
	return status;
}
