/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device whose alarms the cases set: a clock of each kind, each with an alarm.
 */
#ifndef LAB_ALARM_CLOCKS_H
#define LAB_ALARM_CLOCKS_H

#include "daemon.h"

#define LAB_ALARM_CLOCKS "utc-smeared:noon-linear+alarm,utc+alarm,tai+alarm,monotonic+alarm"

enum {
	LAB_SMEARED,
	LAB_UTC,
	LAB_TAI,
	LAB_MONOTONIC,
};

/* Arguments of lab_daemon_start(). */
#define LAB_ALARM_DAEMON(idle)                                                                     \
	((const char *const[]){"--socket-path", LAB_DAEMON_SOCKET, "--clocks", LAB_ALARM_CLOCKS,   \
		"--idle", (idle), "--leap-table", LAB_LEAP_TABLE, NULL})

#endif
