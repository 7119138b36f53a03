/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the operator writes as a value, the same on the command line and in the file.
 *
 * Each function returns whether the value is good. If not, why (APP_WHY_BYTES bytes) gets what is
 * wrong and what is accepted; where it was written the caller knows. Nothing is allocated.
 */
#ifndef APP_CONFIG_VALUE_H
#define APP_CONFIG_VALUE_H

#include "config.h"

#define APP_WHY_BYTES 512

bool app_value_idle(const char *text, enum vrtc_idle *idle, char *why);
bool app_value_mode(const char *text, bool *client, char *why);
bool app_value_host_timescale(const char *text, enum vrtc_host_timescale *timescale, char *why);
bool app_value_holdover(const char *text, unsigned *holdover_s, char *why);
bool app_value_counter(const char *text, struct vrtc_counter_config *counter, char *why);
bool app_value_packed(const char *text, bool *no_packed, char *why);
bool app_value_seccomp(const char *text, bool *seccomp, char *why);
bool app_value_retain(const char *text, enum vrtc_retain *retain, char *why);
bool app_value_alarm_lcore(const char *text, struct app_alarm_lcores *lcores, char *why);

/* *dir: where in the text the folder is, as long as that is there; NULL: by default, or none. */
bool app_value_alarm_store(const char *text, bool *store, const char **dir, char *why);

/* These fill in their part of the device. */
bool app_value_clocks(struct app_device_config *device, const char *list, char *why);
bool app_value_source(struct app_device_config *device, const char *text, char *why);
bool app_value_socket_path(struct app_device_config *device, const char *path, char *why);
bool app_value_alarm_action(struct app_device_config *device, const char *text, char *why);
bool app_value_name(struct app_device_config *device, const char *name, char *why);
bool app_value_socket_mode(struct app_device_config *device, const char *text, char *why);

/* USER, USER:GROUP or :GROUP, by names that are looked up, or by numbers. */
bool app_value_socket_owner(struct app_device_config *device, const char *text, char *why);

/* As app_value_host_timescale() takes it; a static string. */
const char *app_value_host_timescale_name(enum vrtc_host_timescale timescale);

/* Whether a device's name may have the character; first: as its first one. */
bool app_value_is_of_name(char c, bool first);

#endif
