/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_config.h>

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

/* A path that a socket of ours, or of QEMU's monitor, can have. */
static bool check_socket_path(const char *path, char *why)
{
	const size_t bytes_max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	size_t bytes = strlen(path);

	if (bytes > bytes_max) {
		snprintf(why, APP_WHY_BYTES, "the path has %zu bytes; accepted: up to %zu", bytes,
			bytes_max);
		return false;
	}
	if (file[0] == '\0' || strcmp(file, ".") == 0 || strcmp(file, "..") == 0) {
		snprintf(why, APP_WHY_BYTES, "%s; accepted: the path of a socket",
			bytes > 0 ? "names a folder" : "the path is empty");
		return false;
	}
	return true;
}

bool app_value_socket_path(struct app_device_config *device, const char *path, char *why)
{
	if (!check_socket_path(path, why))
		return false;
	memcpy(device->socket_path, path, strlen(path) + 1);
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

static const char *const timescale_names[] = {
	[VRTC_HOST_UTC] = "utc",
	[VRTC_HOST_TAI_OFFSET] = "tai-offset",
	[VRTC_HOST_NOON_LINEAR] = "noon-linear",
	[VRTC_HOST_UTC_SLS] = "utc-sls",
	[VRTC_HOST_UNKNOWN] = "unknown",
};

bool app_value_host_timescale(const char *text, enum vrtc_host_timescale *timescale, char *why)
{
	for (unsigned i = 0; i < sizeof(timescale_names) / sizeof(timescale_names[0]); i++) {
		if (strcmp(text, timescale_names[i]) == 0) {
			*timescale = (enum vrtc_host_timescale)i;
			return true;
		}
	}
	snprintf(why, APP_WHY_BYTES,
		"CLOCK_REALTIME cannot be on such a timescale; accepted: utc, tai-offset (utc, and "
		"the kernel is told TAI - UTC), noon-linear, utc-sls, unknown");
	return false;
}

const char *app_value_host_timescale_name(enum vrtc_host_timescale timescale)
{
	return timescale_names[timescale];
}

bool app_value_source(struct app_device_config *device, const char *text, char *why)
{
	static const char phc[] = "phc:";
	const char *path = text + strlen(phc);
	const char *comma;
	size_t bytes;

	device->phc[0] = '\0';
	device->phc_is_utc = false;
	if (strcmp(text, "system") == 0)
		return true;
	if (strncmp(text, phc, strlen(phc)) != 0 || path[0] != '/') {
		snprintf(why, APP_WHY_BYTES,
			"no such source of time; accepted: system, phc:/dev/ptpN (TAI), "
			"phc:/dev/ptpN,utc");
		return false;
	}
	comma = strrchr(path, ',');
	if (comma && strcmp(comma, ",utc") != 0 && strcmp(comma, ",tai") != 0) {
		snprintf(why, APP_WHY_BYTES,
			"a PTP hardware clock that shows neither TAI nor UTC; accepted: "
			"phc:/dev/ptpN or phc:/dev/ptpN,tai (TAI), phc:/dev/ptpN,utc");
		return false;
	}
	bytes = comma ? (size_t)(comma - path) : strlen(path);
	if (bytes >= sizeof(device->phc)) {
		snprintf(why, APP_WHY_BYTES, "the path has %zu bytes; accepted: up to %zu", bytes,
			sizeof(device->phc) - 1);
		return false;
	}
	memcpy(device->phc, path, bytes);
	device->phc[bytes] = '\0';
	device->phc_is_utc = comma && strcmp(comma, ",utc") == 0;
	return true;
}

bool app_value_holdover(const char *text, unsigned *holdover_s, char *why)
{
	unsigned s = 0;

	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9') {
			s = 0;
			break;
		}
		if (s <= APP_HOLDOVER_S_MAX)
			s = s * 10 + (unsigned)(*c - '0');
	}
	if (s < 1 || s > APP_HOLDOVER_S_MAX) {
		snprintf(why, APP_WHY_BYTES, "not a holdover; accepted: 1 to %d seconds",
			APP_HOLDOVER_S_MAX);
		return false;
	}
	*holdover_s = s;
	return true;
}

/* A number of cycles, of either sign: decimal, or hexadecimal behind 0x. */
static bool parse_cycles(const char *text, uint64_t *cycles)
{
	bool negative = text[0] == '-';
	const char *digits = text + (negative || text[0] == '+');
	int base = digits[0] == '0' && digits[1] == 'x' ? 16 : 10;
	const char *first = base == 16 ? digits + 2 : digits;
	unsigned long long value;
	char *end;

	/* strtoull() itself would take spaces and another sign. */
	if (!(base == 16 ? isxdigit((unsigned char)*first) : isdigit((unsigned char)*first)))
		return false;
	errno = 0;
	value = strtoull(first, &end, base);
	if (errno || *end != '\0')
		return false;
	*cycles = negative ? -(uint64_t)value : (uint64_t)value;
	return true;
}

bool app_value_counter(const char *text, struct vrtc_counter_config *counter, char *why)
{
	static const char *const names[] = {
		[VRTC_COUNTER_AUTO] = "auto",
		[VRTC_COUNTER_VMM] = "vmm",
		[VRTC_COUNTER_KVM] = "kvm",
		[VRTC_COUNTER_OFFSET] = "identity",
		[VRTC_COUNTER_NONE] = "none",
	};
	static const char offset[] = "offset:";

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*counter =
				(struct vrtc_counter_config){.choice = (enum vrtc_counter_choice)i};
			return true;
		}
	}
	if (strncmp(text, offset, sizeof(offset) - 1) == 0 &&
		parse_cycles(text + sizeof(offset) - 1, &counter->offset)) {
		counter->choice = VRTC_COUNTER_OFFSET;
		return true;
	}
	snprintf(why, APP_WHY_BYTES,
		"the guest's counter cannot be known so; accepted: auto (from the VMM, or else from "
		"KVM), vmm, kvm, identity (it is the host's), offset:N (the host's plus N cycles), "
		"none");
	return false;
}

bool app_value_packed(const char *text, bool *no_packed, char *why)
{
	*no_packed = strcmp(text, "off") == 0;
	if (*no_packed || strcmp(text, "on") == 0)
		return true;
	snprintf(why, APP_WHY_BYTES,
		"packed virtqueues are offered or not; accepted: on, off (split ones alone)");
	return false;
}

bool app_value_seccomp(const char *text, bool *seccomp, char *why)
{
	*seccomp = strcmp(text, "on") == 0;
	if (*seccomp || strcmp(text, "off") == 0)
		return true;
	snprintf(why, APP_WHY_BYTES,
		"system calls are limited or not; accepted: on, off (for debugging)");
	return false;
}

bool app_value_socket_mode(struct app_device_config *device, const char *text, char *why)
{
	size_t bytes = strlen(text);
	mode_t mode = 0;
	bool good = bytes == 3 || (bytes == 4 && text[0] == '0');

	for (size_t i = 0; i < bytes; i++) {
		good = good && text[i] >= '0' && text[i] <= '7';
		mode = mode * 8 + (mode_t)((unsigned char)text[i] - '0');
	}
	if (!good) {
		snprintf(why, APP_WHY_BYTES,
			"not the mode of a socket; accepted: three octal digits, for user, group "
			"and others, as in 0660");
		return false;
	}
	device->access.has_mode = true;
	device->access.mode = mode;
	return true;
}

/* A number of a user or a group; -1, for which there is no room in chown(), is none. */
static bool parse_id(const char *text, unsigned *id)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > UINT32_MAX)
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*id = (unsigned)value;
	return value < UINT32_MAX;
}

bool app_value_socket_owner(struct app_device_config *device, const char *text, char *why)
{
	static const char accepted[] = "USER, USER:GROUP or :GROUP, by name or number";
	const char *colon = strchr(text, ':');
	size_t user_bytes = colon ? (size_t)(colon - text) : strlen(text);
	const char *group = colon ? colon + 1 : NULL;
	struct app_socket_access *access = &device->access;
	char user[64];

	if ((colon && *group == '\0') || (!colon && user_bytes == 0) ||
		user_bytes >= sizeof(user)) {
		snprintf(why, APP_WHY_BYTES, "not the owner of a socket; accepted: %s", accepted);
		return false;
	}
	memcpy(user, text, user_bytes);
	user[user_bytes] = '\0';
	if (user_bytes > 0 && !parse_id(user, &access->user)) {
		const struct passwd *entry = getpwnam(user);

		if (!entry) {
			snprintf(why, APP_WHY_BYTES, "there is no user %s; accepted: %s", user,
				accepted);
			return false;
		}
		access->user = entry->pw_uid;
	}
	if (group && !parse_id(group, &access->group)) {
		const struct group *entry = getgrnam(group);

		if (!entry) {
			snprintf(why, APP_WHY_BYTES, "there is no group %.64s; accepted: %s", group,
				accepted);
			return false;
		}
		access->group = entry->gr_gid;
	}
	access->has_user = user_bytes > 0;
	access->has_group = group != NULL;
	return true;
}

static const char *const retain_names[] = {
	[VRTC_RETAIN_VMM] = "vmm",
	[VRTC_RETAIN_NAME] = "name",
	[VRTC_RETAIN_NO] = "no",
};

bool app_value_retain(const char *text, enum vrtc_retain *retain, char *why)
{
	for (unsigned i = 0; i < sizeof(retain_names) / sizeof(retain_names[0]); i++) {
		if (strcmp(text, retain_names[i]) == 0) {
			*retain = (enum vrtc_retain)i;
			return true;
		}
	}
	snprintf(why, APP_WHY_BYTES,
		"alarms cannot be retained so; accepted: vmm (for one front-end process), name "
		"(for whoever uses the device), no (not even over a reset)");
	return false;
}

static bool is_listed(const struct app_alarm_lcores *lcores, unsigned lcore_id)
{
	for (unsigned i = 0; i < lcores->n; i++)
		if (lcores->lcore[i] == lcore_id)
			return true;
	return false;
}

/* The number that a text begins with, and the blanks around it; NULL: it begins with none. */
static const char *read_lcore(const char *text, unsigned *lcore_id)
{
	text += strspn(text, " \t");
	if (*text < '0' || *text > '9')
		return NULL;
	for (*lcore_id = 0; *text >= '0' && *text <= '9'; text++)
		if (*lcore_id < RTE_MAX_LCORE)
			*lcore_id = *lcore_id * 10 + (unsigned)(*text - '0');
	return text + strspn(text, " \t");
}

bool app_value_alarm_lcore(const char *text, struct app_alarm_lcores *lcores, char *why)
{
	static const char accepted[] = "auto, shared, or lcores of the EAL as in 3,11";
	struct app_alarm_lcores list = {.choice = APP_ALARM_LCORES_LIST};

	if (strcmp(text, "auto") == 0 || strcmp(text, "shared") == 0) {
		*lcores = (struct app_alarm_lcores){
			.choice = text[0] == 'a' ? APP_ALARM_LCORES_AUTO : APP_ALARM_LCORES_SHARED};
		return true;
	}
	for (;; text++) {
		unsigned lcore_id = 0;

		text = read_lcore(text, &lcore_id);
		if (!text || (*text != '\0' && *text != ',')) {
			snprintf(
				why, APP_WHY_BYTES, "not a list of lcores; accepted: %s", accepted);
			return false;
		}
		if (lcore_id >= RTE_MAX_LCORE) {
			snprintf(why, APP_WHY_BYTES,
				"an EAL has no such lcore; accepted: %s, each up to %d", accepted,
				RTE_MAX_LCORE - 1);
			return false;
		}
		if (is_listed(&list, lcore_id)) {
			snprintf(why, APP_WHY_BYTES,
				"lcore %u is there twice; accepted: %s, each once", lcore_id,
				accepted);
			return false;
		}
		if (list.n == APP_ALARM_LCORES) {
			snprintf(why, APP_WHY_BYTES, "too many lcores; accepted: %s, up to %d",
				accepted, APP_ALARM_LCORES);
			return false;
		}
		list.lcore[list.n++] = lcore_id;
		if (*text == '\0') {
			*lcores = list;
			return true;
		}
	}
}

bool app_value_alarm_store(const char *text, bool *store, const char **dir, char *why)
{
	static const char accepted[] = "auto, none, or the absolute path of a folder on a tmpfs";
	bool is_word = strcmp(text, "auto") == 0 || strcmp(text, "none") == 0;

	if (!is_word && text[0] != '/') {
		snprintf(why, APP_WHY_BYTES, "not an absolute path; accepted: %s", accepted);
		return false;
	}
	if (strlen(text) >= APP_STORE_BYTES) {
		snprintf(why, APP_WHY_BYTES, "the path has %zu bytes; accepted: %s, up to %d",
			strlen(text), accepted, APP_STORE_BYTES - 1);
		return false;
	}
	*store = strcmp(text, "none") != 0;
	*dir = is_word ? NULL : text;
	return true;
}

bool app_value_alarm_action(struct app_device_config *device, const char *text, char *why)
{
	static const char qmp[] = "qmp:";
	static const char exec[] = "exec:";
	size_t bytes = strlen(text);

	if (strcmp(text, "none") == 0) {
		device->alarm_action[0] = '\0';
		return true;
	}
	if (strncmp(text, qmp, strlen(qmp)) == 0) {
		if (!check_socket_path(text + strlen(qmp), why))
			return false;
	} else if (strncmp(text, exec, strlen(exec)) == 0) {
		if (text[strlen(exec)] != '/' || text[bytes - 1] == '/') {
			snprintf(why, APP_WHY_BYTES,
				"not an absolute path of a program; accepted: exec:/PROGRAM, "
				"without arguments");
			return false;
		}
	} else {
		snprintf(why, APP_WHY_BYTES,
			"no such action; accepted: none, qmp:PATH (wakes a QEMU's guest), "
			"exec:PROGRAM (starts a program)");
		return false;
	}
	if (bytes >= sizeof(device->alarm_action)) {
		snprintf(why, APP_WHY_BYTES, "the action has %zu bytes; accepted: up to %zu", bytes,
			sizeof(device->alarm_action) - 1);
		return false;
	}
	memcpy(device->alarm_action, text, bytes + 1);
	return true;
}
