/* SPDX-License-Identifier: BSD-3-Clause */
#include "eal_options.h"

#include <string.h>

/* Of DPDK 22.11 to 25.11; all of them take a value. */
static const char letters[] = "lcsS";
static const char *const names[] = {"--lcores", "--main-lcore", "--master-lcore", "--coremask",
	"--corelist", "--service-coremask", "--service-corelist"};
/* What is shorter may be another option: "--l", "--ma". */
#define NAME_BYTES_MIN 5

/* How many arguments this one is, if it is about lcores; else 0. */
static int count_arguments(const char *arg)
{
	size_t bytes = strcspn(arg, "=");

	if (arg[0] == '-' && arg[1] != '\0' && strchr(letters, arg[1]))
		return arg[2] == '\0' ? 2 : 1;
	if (bytes < NAME_BYTES_MIN)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(arg, names[i], bytes) == 0)
			return arg[bytes] == '=' ? 1 : 2;
	return 0;
}

int app_eal_options_lcores(const struct app_config *config, char **argv)
{
	int n = 0;

	for (int i = 1; i < config->n_eal;) {
		int taken = count_arguments(config->eal[i]);

		for (int k = 0; k < taken && i + k < config->n_eal; k++)
			argv[n++] = config->eal[i + k];
		i += taken > 0 ? taken : 1;
	}
	argv[n] = NULL;
	return n;
}

bool app_eal_options_hugepages(const struct app_config *config)
{
	for (int i = 1; i < config->n_eal; i++)
		if (strcmp(config->eal[i], "--no-huge") == 0)
			return false;
	return config->n_eal > 1;
}
