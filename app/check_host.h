/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --check-host: what this machine has, and has not, for short and steady readings from the lcores
 * of this configuration; a line each on stdout. Advice: nothing is changed, no device is opened.
 *
 * The lcores are the EAL's own understanding of its options: those about lcores are given to it,
 * and the others, which take memory and devices, are not, so that a running daemon does not notice.
 */
#ifndef APP_CHECK_HOST_H
#define APP_CHECK_HOST_H

#include "config.h"

/* @return  exit status: 0 whatever was found; 1: the lcores are none that a daemon could use */
int app_check_host_run(const struct app_config *config);

#endif
