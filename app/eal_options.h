/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be told from the operator's EAL options without the EAL. Pure. */
#ifndef APP_EAL_OPTIONS_H
#define APP_EAL_OPTIONS_H

#include <stdbool.h>

#include "config.h"

/*
 * Those that say which lcores there are, with their values, in their order. Long names may be cut
 * short, as the EAL's getopt_long() takes them.
 *
 * @param argv  room for config->n_eal pointers
 * @return      how many; NULL follows them
 */
int app_eal_options_lcores(const struct app_config *config, char **argv);

/* Whether they ask for hugepages; without any there are none. */
bool app_eal_options_hugepages(const struct app_config *config);

#endif
