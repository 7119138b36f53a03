/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_value.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *const idle_names[] = {
	[VRTC_IDLE_BUSY] = "busy",
	[VRTC_IDLE_PAUSE] = "pause",
	[VRTC_IDLE_INTERRUPT] = "interrupt",
};
#define IDLE_ACCEPTED "busy, pause, interrupt"

bool app_value_idle(const char *text, enum vrtc_idle *idle, char *why)
{
	for (unsigned i = 0; i < sizeof(idle_names) / sizeof(idle_names[0]); i++) {
		if (strcmp(text, idle_names[i]) == 0) {
			*idle = (enum vrtc_idle)i;
			return true;
		}
	}
	snprintf(why, APP_WHY_BYTES, "no such idle policy; accepted: " IDLE_ACCEPTED);
	return false;
}

bool app_value_clocks(struct app_device_config *device, const char *list, char *why)
{
	const char *end;

	device->n_clocks = 0;
	if (strcmp(list, "none") == 0)
		return true;
	for (;; list = end + 1) {
		char name[64];
		size_t bytes;

		end = strchrnul(list, ',');
		while (*list == ' ' || *list == '\t')
			list++;
		bytes = (size_t)(end - list);
		while (end > list && bytes > 0 &&
			(list[bytes - 1] == ' ' || list[bytes - 1] == '\t'))
			bytes--;
		if (end <= list || bytes == 0) {
			snprintf(why, APP_WHY_BYTES,
				"the name of a clock is missing; accepted: %s, separated by commas; "
				"or none",
				vrtc_clock_accepted());
			return false;
		}
		if (device->n_clocks == APP_CLOCKS_MAX) {
			snprintf(why, APP_WHY_BYTES, "too many clocks; accepted: up to %d",
				APP_CLOCKS_MAX);
			return false;
		}
		snprintf(
			name, sizeof(name), "%.*s", (int)(bytes < INT_MAX ? bytes : INT_MAX), list);
		if (bytes >= sizeof(name) ||
			vrtc_clock_parse(name, &device->clock[device->n_clocks])) {
			snprintf(why, APP_WHY_BYTES,
				"there is no clock \"%s\"; accepted: %s, separated by commas; or "
				"none",
				name, vrtc_clock_accepted());
			return false;
		}
		device->n_clocks++;
		if (*end == '\0')
			return true;
	}
}

bool app_value_socket_path(struct app_device_config *device, const char *path, char *why)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	size_t bytes = strlen(path);

	if (bytes >= sizeof(device->socket_path)) {
		snprintf(why, APP_WHY_BYTES, "the path has %zu bytes; accepted: up to %zu", bytes,
			sizeof(device->socket_path) - 1);
		return false;
	}
	if (file[0] == '\0' || strcmp(file, ".") == 0 || strcmp(file, "..") == 0) {
		snprintf(why, APP_WHY_BYTES, "%s; accepted: the path of a socket",
			bytes > 0 ? "names a folder" : "the path is empty");
		return false;
	}
	memcpy(device->socket_path, path, bytes + 1);
	return true;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool app_value_is_of_name(char c, bool first)
{
	return is_letter_or_digit(c) || (!first && (c == '.' || c == '_' || c == '-'));
}

bool app_value_name(struct app_device_config *device, const char *name, char *why)
{
	size_t bytes = strlen(name);
	bool good = true;

	for (size_t i = 0; i < bytes; i++)
		good = good && app_value_is_of_name(name[i], i == 0);
	if (!good) {
		snprintf(why, APP_WHY_BYTES,
			"not the name of a device; accepted: letters, digits, '.', '_' and '-', "
			"beginning with a letter or a digit");
		return false;
	}
	if (bytes > APP_NAME_BYTES_MAX) {
		snprintf(why, APP_WHY_BYTES, "the name has %zu bytes; accepted: up to %d", bytes,
			APP_NAME_BYTES_MAX);
		return false;
	}
	memcpy(device->name, name, bytes + 1);
	return true;
}

bool app_value_mode(const char *text, bool *client, char *why)
{
	if (strcmp(text, "server") != 0 && strcmp(text, "client") != 0) {
		snprintf(why, APP_WHY_BYTES,
			"no such mode; accepted: server (we listen), client (we connect)");
		return false;
	}
	*client = text[0] == 'c';
	return true;
}
