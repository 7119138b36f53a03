/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * argv is read first, into wishes, because it names the file; then the file is; then the wishes,
 * which have precedence, are granted.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_file.h"
#include "config_value.h"

/* How much of an argument a message shows. */
#define SHOWN_BYTES        160
/* Of the file's path in an origin, beside a line number and a section name at their longest. */
#define ORIGIN_PATH_BYTES  80
/* Of the value in an origin. */
#define ORIGIN_VALUE_BYTES 40

enum option_id {
	OPTION_SOCKET_PATH,
	OPTION_CLIENT,
	OPTION_CLOCKS,
	OPTION_SOURCE,
	OPTION_COUNTER,
	OPTION_PACKED,
	OPTION_RETAIN,
	OPTION_ALARM_ACTION,
	OPTION_SOCKET_MODE,
	OPTION_SOCKET_OWNER,
	OPTION_CONFIG,
	OPTION_IDLE,
	OPTION_LEAP_TABLE,
	OPTION_HOST_TIMESCALE,
	OPTION_PHC_HOLDOVER,
	OPTION_ALARM_LCORE,
	OPTION_ALARM_STORE,
	OPTION_SECCOMP,
	OPTION_CHECK_CONFIG,
	OPTION_CHECK_HOST,
	OPTION_FD,
	OPTION_PRINT_CAPABILITIES,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option {
	const char *name;
	const char *value; /* what it takes; NULL: nothing */
} options[] = {
	[OPTION_SOCKET_PATH] = {"--socket-path", "PATH"},
	[OPTION_CLIENT] = {"--client", NULL},
	[OPTION_CLOCKS] = {"--clocks", "LIST"},
	[OPTION_SOURCE] = {"--source", "SOURCE"},
	[OPTION_COUNTER] = {"--counter", "COUNTER"},
	[OPTION_PACKED] = {"--packed", "CHOICE"},
	[OPTION_RETAIN] = {"--retain", "SCOPE"},
	[OPTION_ALARM_ACTION] = {"--alarm-action", "ACTION"},
	[OPTION_SOCKET_MODE] = {"--socket-mode", "MODE"},
	[OPTION_SOCKET_OWNER] = {"--socket-owner", "OWNER"},
	[OPTION_CONFIG] = {"--config", "FILE"},
	[OPTION_IDLE] = {"--idle", "POLICY"},
	[OPTION_LEAP_TABLE] = {"--leap-table", "FILE"},
	[OPTION_HOST_TIMESCALE] = {"--host-timescale", "TIMESCALE"},
	[OPTION_PHC_HOLDOVER] = {"--phc-holdover", "SECONDS"},
	[OPTION_ALARM_LCORE] = {"--alarm-lcore", "LCORES"},
	[OPTION_ALARM_STORE] = {"--alarm-store", "DIR"},
	[OPTION_SECCOMP] = {"--seccomp", "CHOICE"},
	[OPTION_CHECK_CONFIG] = {"--check-config", NULL},
	[OPTION_CHECK_HOST] = {"--check-host", NULL},
	[OPTION_FD] = {"--fd", "FDNUM"},
	[OPTION_PRINT_CAPABILITIES] = {"--print-capabilities", NULL},
	[OPTION_HELP] = {"--help", NULL},
	[OPTION_VERSION] = {"--version", NULL},
};
#define N_OPTIONS ((int)(sizeof(options) / sizeof(options[0])))

/* The EAL's, of DPDK 22.11 to 25.11, for one purpose: to say where they belong. */
static const char *const eal_options[] = {"--allow", "--base-virtaddr", "--block", "--coremask",
	"--corelist", "--create-uio-dev", "--file-prefix", "--force-max-simd-bitwidth",
	"--huge-dir", "--huge-unlink", "--huge-worker-stack", "--in-memory", "--iova-mode",
	"--lcores", "--legacy-mem", "--log-color", "--log-level", "--log-timestamp", "--main-lcore",
	"--match-allocations", "--mbuf-pool-ops-name", "--memory-channels", "--memory-ranks",
	"--memory-size", "--no-hpet", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
	"--numa-limit", "--numa-mem", "--proc-type", "--remap-lcore-ids", "--service-corelist",
	"--service-coremask", "--single-file-segments", "--socket-limit", "--socket-mem",
	"--syslog", "--telemetry", "--trace", "--trace-bufsz", "--trace-dir", "--trace-mode",
	"--vdev", "--vfio-intr", "--vfio-vf-token", "--vmware-tsc-map"};
static const char eal_short_options[] = "abcdlmnrsSvw";

/* What argv asks for; strings are argv's own, NULL: not asked for. */
struct wishes {
	enum app_action action;
	bool client;
	const char *clocks;
	const char *source;
	const char *counter;
	const char *packed;
	const char *retain;
	const char *alarm_action;
	const char *socket_mode;
	const char *socket_owner;
	const char *config;
	const char *idle;
	const char *leap_table;
	const char *host_timescale;
	const char *phc_holdover;
	const char *alarm_lcore;
	const char *alarm_store;
	const char *seccomp;
	const char **socket;
	unsigned n_sockets;
};

struct report {
	char *error;
	unsigned bytes;
};

static __attribute__((format(printf, 2, 3))) int fail(const struct report *r, const char *fmt, ...)
{
	va_list args;

	if (r->bytes > 0)
		r->error[0] = '\0';
	va_start(args, fmt);
	app_config_vappend(r->error, r->bytes, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* An option's value that is wrong. */
static int fail_option(
	const struct report *r, enum option_id id, const char *value, const char *why)
{
	return fail(r, "%s=%.*s: %s", options[id].name, SHOWN_BYTES, value, why);
}

/* ---- The list of devices. */

static struct app_device_config *find_name(const struct app_config *config, const char *name)
{
	for (unsigned i = 0; i < config->n_devices; i++)
		if (strcmp(config->device[i].name, name) == 0)
			return &config->device[i];
	return NULL;
}

/*
 * A path without the spellings that mean nothing: absolute, no "//", no "/./". "a/.." stays, for
 * with symbolic links it means something.
 */
static void normalise(const char *path, char *to, size_t to_bytes)
{
	char whole[PATH_MAX + 128];
	char *out = to;

	if (path[0] != '/' && getcwd(to, PATH_MAX))
		snprintf(whole, sizeof(whole), "%s/%s", to, path);
	else
		snprintf(whole, sizeof(whole), "%s", path);
	for (const char *in = whole; *in && out < to + to_bytes - 1;) {
		if (in[0] == '/' && in[1] == '/')
			in++;
		else if (in[0] == '/' && in[1] == '.' && in[2] == '/')
			in += 2;
		else
			*out++ = *in++;
	}
	*out = '\0';
}

/* A device that has the same socket already. */
static const struct app_device_config *find_socket(
	const struct app_config *config, const char *path)
{
	char wanted[PATH_MAX + 128];
	char there[PATH_MAX + 128];

	normalise(path, wanted, sizeof(wanted));
	for (unsigned i = 0; i < config->n_devices; i++) {
		normalise(config->device[i].socket_path, there, sizeof(there));
		if (strcmp(wanted, there) == 0)
			return &config->device[i];
	}
	return NULL;
}

/* Whether rte_vhost can serve one more. */
static bool is_room_for(const struct app_config *config, const struct app_device_config *device)
{
	unsigned watched = device->client ? 1 : 2;

	for (unsigned i = 0; i < config->n_devices; i++)
		watched += config->device[i].client ? 1 : 2;
	return config->n_devices < APP_DEVICES_MAX && watched <= APP_WATCHED_MAX;
}

/* There is room for APP_DEVICES_MAX from the beginning. */
static bool add_device(struct app_config *config, const struct app_device_config *device, char *why)
{
	const struct app_device_config *same = find_socket(config, device->socket_path);

	if (same) {
		snprintf(why, APP_WHY_BYTES,
			"the device %s has this socket already; accepted: a socket for each device",
			same->name);
		return false;
	}
	if (!is_room_for(config, device)) {
		snprintf(why, APP_WHY_BYTES,
			"too many devices; accepted: up to %d that listen, up to %d that connect, "
			"and of both as many as have %d descriptors, two and one each",
			APP_SERVERS_MAX, APP_DEVICES_MAX, APP_WATCHED_MAX);
		return false;
	}
	config->device[config->n_devices++] = *device;
	return true;
}

/* The socket's file name makes the device's: "/run/rtc/vm1.sock" is vm1. */
static void name_after_socket(const struct app_config *config, struct app_device_config *device)
{
	static const char *const suffixes[] = {".sock", ".socket"};
	const char *slash = strrchr(device->socket_path, '/');
	const char *file = slash ? slash + 1 : device->socket_path;
	size_t bytes = strlen(file);
	char base[APP_NAME_BYTES_MAX + 1];

	for (unsigned i = 0; i < 2; i++) {
		size_t suffix = strlen(suffixes[i]);

		if (bytes > suffix && strcmp(file + bytes - suffix, suffixes[i]) == 0) {
			bytes -= suffix;
			break;
		}
	}
	if (bytes > APP_NAME_BYTES_MAX)
		bytes = APP_NAME_BYTES_MAX;
	memcpy(base, file, bytes);
	for (size_t i = 0; i < bytes; i++)
		if (!app_value_is_of_name(base[i], i == 0))
			base[i] = i == 0 ? 'x' : '_';
	base[bytes] = '\0';

	memcpy(device->name, base, bytes + 1);
	for (unsigned n = 2; find_name(config, device->name); n++) {
		char suffix[12];
		int suffix_bytes = snprintf(suffix, sizeof(suffix), "-%u", n);

		snprintf(device->name, sizeof(device->name), "%.*s%s",
			APP_NAME_BYTES_MAX - suffix_bytes, base, suffix);
	}
}

static bool has_alarm(const struct app_device_config *device)
{
	for (unsigned i = 0; i < device->n_clocks; i++)
		if (device->clock[i].alarm)
			return true;
	return false;
}

/* An action that would never be taken was meant for an alarm: the clocks are not what was meant. */
static bool action_has_alarm(const struct app_device_config *device, const char *clocks, char *why)
{
	if (device->alarm_action[0] == '\0' || has_alarm(device))
		return true;
	why[0] = '\0';
	app_config_append(why, APP_WHY_BYTES,
		"no clock of the device has an alarm, its clocks are %.*s; accepted: a clock with "
		"+alarm among them, or no action",
		SHOWN_BYTES, clocks);
	return false;
}

/* In client mode the socket is the VMM's, and so is its mode. */
#define ACCESS_OF_CLIENT                                                                           \
	"in client mode the VMM makes the socket, and gives it its mode and owner; accepted: in "  \
	"server mode"

/* ---- argv. */

static int find_option(const char *arg, size_t name_bytes)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if (strlen(options[i].name) == name_bytes &&
			strncmp(arg, options[i].name, name_bytes) == 0)
			return i;
	return -1;
}

static bool is_eal_option(const char *arg, size_t name_bytes)
{
	if (arg[0] == '-' && arg[1] != '-')
		return strchr(eal_short_options, arg[1]) != NULL;
	for (unsigned i = 0; i < sizeof(eal_options) / sizeof(eal_options[0]); i++)
		if (strlen(eal_options[i]) == name_bytes &&
			strncmp(arg, eal_options[i], name_bytes) == 0)
			return true;
	return false;
}

static int fail_unknown(const struct report *r, const char *arg, size_t name_bytes)
{
	char names[1024] = "";
	size_t used = 0;

	if (arg[0] != '-' || arg[1] == '\0')
		return fail(r, "%.*s: not an option; a socket is given as --socket-path %.*s",
			SHOWN_BYTES, arg, SHOWN_BYTES, arg[0] ? arg : "PATH");
	if (is_eal_option(arg, name_bytes))
		return fail(r,
			"%.*s: an option of the EAL, and these come before \"--\"; accepted: dpdk-rtc "
			"[EAL options --] [options]",
			SHOWN_BYTES, arg);
	for (int i = 0; i < N_OPTIONS; i++)
		if (i != OPTION_FD)
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
				used ? ", " : "", options[i].name);
	return fail(r, "%.*s: no such option; accepted: %s; options of the EAL before \"--\"",
		(int)(name_bytes < SHOWN_BYTES ? name_bytes : SHOWN_BYTES), arg, names);
}

/* Returns 1 when the rest of argv does not matter. */
static int take_option(
	struct wishes *w, enum option_id id, const char *value, const struct report *r)
{
	switch (id) {
	case OPTION_SOCKET_PATH:
		w->socket[w->n_sockets++] = value;
		return 0;
	case OPTION_CLIENT:
		w->client = true;
		return 0;
	case OPTION_CLOCKS:
		w->clocks = value;
		return 0;
	case OPTION_SOURCE:
		w->source = value;
		return 0;
	case OPTION_COUNTER:
		w->counter = value;
		return 0;
	case OPTION_PACKED:
		w->packed = value;
		return 0;
	case OPTION_RETAIN:
		w->retain = value;
		return 0;
	case OPTION_ALARM_ACTION:
		w->alarm_action = value;
		return 0;
	case OPTION_SOCKET_MODE:
		w->socket_mode = value;
		return 0;
	case OPTION_SOCKET_OWNER:
		w->socket_owner = value;
		return 0;
	case OPTION_CONFIG:
		w->config = value;
		return 0;
	case OPTION_IDLE:
		w->idle = value;
		return 0;
	case OPTION_LEAP_TABLE:
		w->leap_table = value;
		return 0;
	case OPTION_HOST_TIMESCALE:
		w->host_timescale = value;
		return 0;
	case OPTION_PHC_HOLDOVER:
		w->phc_holdover = value;
		return 0;
	case OPTION_ALARM_LCORE:
		w->alarm_lcore = value;
		return 0;
	case OPTION_ALARM_STORE:
		w->alarm_store = value;
		return 0;
	case OPTION_SECCOMP:
		w->seccomp = value;
		return 0;
	case OPTION_CHECK_CONFIG:
		w->action = APP_CHECK_CONFIG;
		return 0;
	case OPTION_CHECK_HOST:
		w->action = APP_CHECK_HOST;
		return 0;
	case OPTION_FD:
		return fail_option(r, id, value,
			"rte_vhost cannot take over an open descriptor; accepted: --socket-path PATH");
	case OPTION_PRINT_CAPABILITIES:
		w->action = APP_PRINT_CAPABILITIES;
		return 1;
	case OPTION_HELP:
		w->action = APP_HELP;
		return 1;
	case OPTION_VERSION:
		w->action = APP_VERSION;
		return 1;
	}
	return 0;
}

/* first: the index of the first argument that is ours */
static int read_options(struct wishes *w, int argc, char **argv, int first, const struct report *r)
{
	for (int i = first; i < argc; i++) {
		if (strcmp(argv[i], options[OPTION_PRINT_CAPABILITIES].name) == 0) {
			w->action = APP_PRINT_CAPABILITIES;
			return 0;
		}
	}
	for (int i = first; i < argc; i++) {
		const char *arg = strcmp(argv[i], "-h") == 0 ? "--help" : argv[i];
		size_t name_bytes = strcspn(arg, "=");
		const char *value = arg[name_bytes] == '=' ? arg + name_bytes + 1 : NULL;
		int id = find_option(arg, name_bytes);
		int done;

		if (id < 0)
			return fail_unknown(r, arg, name_bytes);
		if (value && !options[id].value)
			return fail(r, "%.*s: takes no value; accepted: %s", SHOWN_BYTES, arg,
				options[id].name);
		/* What looks like an option is one: "--socket-path --client" forgot the path. */
		if (!value && options[id].value && i + 1 < argc &&
			strncmp(argv[i + 1], "--", 2) != 0)
			value = argv[++i];
		if (options[id].value && (!value || value[0] == '\0')) {
			if (id == OPTION_FD)
				value = "";
			else
				return fail(r, "%s: the value is missing; accepted: %s %s", arg,
					options[id].name, options[id].value);
		}
		done = take_option(w, (enum option_id)id, value ? value : "", r);
		if (done)
			return done < 0 ? done : 0;
	}
	return 0;
}

/* Splits argv at the first "--": config->eal. Returns the index of our first argument, or -EINVAL. */
static int split_argv(struct app_config *config, int argc, char **argv, const struct report *r)
{
	static char program[] = "dpdk-rtc";
	int dashes = 1;

	while (dashes < argc && strcmp(argv[dashes], "--") != 0)
		dashes++;
	config->n_eal = dashes < argc ? dashes : 1;
	config->eal = calloc((size_t)config->n_eal + 1, sizeof(config->eal[0]));
	if (!config->eal)
		return fail(r, "%s", strerror(ENOMEM));
	config->eal[0] = argc > 0 ? argv[0] : program;
	for (int i = 1; i < config->n_eal; i++) {
		size_t name_bytes = strcspn(argv[i], "=");
		int id = find_option(argv[i], name_bytes);

		/* The EAL would answer with its whole usage. It has --help and --version, too. */
		if (id >= 0 && id != OPTION_HELP && id != OPTION_VERSION)
			return fail(r,
				"%s: not an option of the EAL, whose options these are; accepted: after "
				"\"--\": dpdk-rtc [EAL options --] [options]",
				options[id].name);
		config->eal[i] = argv[i];
	}
	return dashes < argc ? dashes + 1 : 1;
}

/* ---- The file. */

/* Of the file, or of the command line after it. */
static bool take_store(struct app_config *config, const char *value, char *why)
{
	const char *dir;

	if (!app_value_alarm_store(value, &config->alarm_store, &dir, why))
		return false;
	free(config->alarm_store_dir);
	config->alarm_store_dir = dir ? strdup(dir) : NULL;
	if (!dir || config->alarm_store_dir)
		return true;
	snprintf(why, APP_WHY_BYTES, "%s", strerror(ENOMEM));
	return false;
}

static int fail_entry(const struct report *r, const char *path,
	const struct app_config_section *section, const struct app_config_entry *entry,
	const char *why)
{
	const struct app_config_place place = {
		path, entry->line, section->name, entry->key, entry->value};

	return app_config_file_error(&place, r->error, r->bytes, "%s", why);
}

/* Where an entry is, for a message that is written when the whole file is read. */
static void note_origin(char *origin, const char *path, const struct app_config_section *section,
	const struct app_config_entry *entry)
{
	const char *shown = app_config_file_shown(path, ORIGIN_PATH_BYTES);

	origin[0] = '\0';
	app_config_append(origin, APP_ORIGIN_BYTES,
		"%s%s:%u: [%s] %s = %.*s: ", shown == path ? "" : "...", shown, entry->line,
		section->name, entry->key, ORIGIN_VALUE_BYTES, entry->value);
}

static int take_global(struct app_config *config, const char *path,
	const struct app_config_section *section, const struct report *r)
{
	for (unsigned i = 0; i < section->n_entries; i++) {
		const struct app_config_entry *entry = &section->entry[i];
		char why[APP_WHY_BYTES];

		if (strcmp(entry->key, "idle") == 0) {
			if (!app_value_idle(entry->value, &config->idle, why))
				return fail_entry(r, path, section, entry, why);
			config->idle_given = true;
		} else if (strcmp(entry->key, "leap_table") == 0) {
			free(config->leap_table);
			config->leap_table = strdup(entry->value);
			if (!config->leap_table)
				return fail_entry(r, path, section, entry, strerror(ENOMEM));
		} else if (strcmp(entry->key, "host_timescale") == 0) {
			if (!app_value_host_timescale(entry->value, &config->host_timescale, why))
				return fail_entry(r, path, section, entry, why);
			note_origin(config->host_timescale_origin, path, section, entry);
		} else if (strcmp(entry->key, "phc_holdover") == 0) {
			if (!app_value_holdover(entry->value, &config->phc_holdover_s, why))
				return fail_entry(r, path, section, entry, why);
		} else if (strcmp(entry->key, "alarm_lcore") == 0) {
			if (!app_value_alarm_lcore(entry->value, &config->alarm_lcores, why))
				return fail_entry(r, path, section, entry, why);
		} else if (strcmp(entry->key, "alarm_store") == 0) {
			if (!take_store(config, entry->value, why))
				return fail_entry(r, path, section, entry, why);
		} else if (strcmp(entry->key, "seccomp") == 0) {
			if (!app_value_seccomp(entry->value, &config->seccomp, why))
				return fail_entry(r, path, section, entry, why);
		} else {
			return fail_entry(r, path, section, entry,
				"no such key; accepted: idle, leap_table, host_timescale, "
				"phc_holdover, alarm_lcore, alarm_store, seccomp");
		}
	}
	return 0;
}

static int take_device(struct app_config *config, const char *path,
	const struct app_config_section *section, const char *name, const struct report *r)
{
	const struct app_config_place here = {
		.path = path, .line = section->line, .section = section->name};
	const struct app_config_entry *socket = NULL;
	const struct app_config_entry *action = NULL;
	const struct app_config_entry *access = NULL;
	const char *clocks = APP_CLOCKS_DEFAULT;
	struct app_device_config device = {0};
	const char *shown = app_config_file_shown(path, ORIGIN_PATH_BYTES);
	char why[APP_WHY_BYTES];

	if (!app_value_name(&device, name, why))
		return app_config_file_error(&here, r->error, r->bytes, "%s", why);
	(void)app_value_clocks(&device, APP_CLOCKS_DEFAULT, why);
	for (unsigned i = 0; i < section->n_entries; i++) {
		const struct app_config_entry *entry = &section->entry[i];
		bool good;

		if (strcmp(entry->key, "socket") == 0) {
			socket = entry;
			good = app_value_socket_path(&device, entry->value, why);
		} else if (strcmp(entry->key, "mode") == 0) {
			good = app_value_mode(entry->value, &device.client, why);
		} else if (strcmp(entry->key, "clocks") == 0) {
			clocks = entry->value;
			good = app_value_clocks(&device, entry->value, why);
			device.clocks_given = true;
			note_origin(device.clocks_origin, path, section, entry);
		} else if (strcmp(entry->key, "source") == 0) {
			good = app_value_source(&device, entry->value, why);
			note_origin(device.source_origin, path, section, entry);
		} else if (strcmp(entry->key, "counter") == 0) {
			good = app_value_counter(entry->value, &device.counter, why);
		} else if (strcmp(entry->key, "packed") == 0) {
			good = app_value_packed(entry->value, &device.no_packed, why);
		} else if (strcmp(entry->key, "retain") == 0) {
			good = app_value_retain(entry->value, &device.retain, why);
		} else if (strcmp(entry->key, "alarm_action") == 0) {
			action = entry;
			good = app_value_alarm_action(&device, entry->value, why);
		} else if (strcmp(entry->key, "socket_mode") == 0) {
			access = entry;
			good = app_value_socket_mode(&device, entry->value, why);
			if (device.access_origin[0] == '\0')
				note_origin(device.access_origin, path, section, entry);
		} else if (strcmp(entry->key, "socket_owner") == 0) {
			access = entry;
			good = app_value_socket_owner(&device, entry->value, why);
			note_origin(device.access_origin, path, section, entry);
		} else {
			return fail_entry(r, path, section, entry,
				"no such key; accepted: socket, mode, clocks, source, counter, "
				"packed, retain, alarm_action, socket_mode, socket_owner");
		}
		if (!good)
			return fail_entry(r, path, section, entry, why);
	}
	if (!socket)
		return app_config_file_error(&here, r->error, r->bytes,
			"the device has no socket; accepted: socket = PATH");
	if (action && !action_has_alarm(&device, clocks, why))
		return fail_entry(r, path, section, action, why);
	if (access && device.client)
		return fail_entry(r, path, section, access, ACCESS_OF_CLIENT);
	snprintf(device.origin, sizeof(device.origin),
		"%s%s:%u: [%s] socket = ", shown == path ? "" : "...", shown, socket->line,
		section->name);
	if (!add_device(config, &device, why))
		return fail_entry(r, path, section, socket, why);
	return 0;
}

static int take_file(struct app_config *config, const char *path, const struct report *r)
{
	struct app_config_file file;
	/* [global]; and one too many, so that it is told for what it is. */
	int err = app_config_file_load(&file, path, APP_DEVICES_MAX + 2, r->error, r->bytes);

	if (err)
		return err;
	for (unsigned i = 0; i < file.n_sections && !err; i++) {
		const struct app_config_section *section = &file.section[i];
		const struct app_config_place here = {
			.path = path, .line = section->line, .section = section->name};

		if (strcmp(section->name, "global") == 0)
			err = take_global(config, path, section, r);
		else if (strncmp(section->name, "device ", 7) == 0)
			err = take_device(config, path, section, section->name + 7, r);
		else if (strcmp(section->name, "device") == 0)
			err = app_config_file_error(&here, r->error, r->bytes,
				"the device has no name; accepted: [device NAME]");
		else
			err = app_config_file_error(&here, r->error, r->bytes,
				"no such section; accepted: [global], [device NAME]");
	}
	app_config_file_free(&file);
	return err;
}

/* ---- What argv asks for, after the file. */

static int grant_access(
	struct app_device_config *device, const struct wishes *w, const struct report *r)
{
	enum option_id id = w->socket_owner ? OPTION_SOCKET_OWNER : OPTION_SOCKET_MODE;
	const char *value = w->socket_owner ? w->socket_owner : w->socket_mode;
	char why[APP_WHY_BYTES];

	if (!value)
		return 0;
	if (w->client)
		return fail_option(r, id, value, ACCESS_OF_CLIENT);
	if (w->socket_mode && !app_value_socket_mode(device, w->socket_mode, why))
		return fail_option(r, OPTION_SOCKET_MODE, w->socket_mode, why);
	if (w->socket_owner && !app_value_socket_owner(device, w->socket_owner, why))
		return fail_option(r, OPTION_SOCKET_OWNER, w->socket_owner, why);
	app_config_append(device->access_origin, APP_ORIGIN_BYTES, "%s=%.*s: ", options[id].name,
		SHOWN_BYTES, value);
	return 0;
}

static int grant_sockets(struct app_config *config, const struct wishes *w, const struct report *r)
{
	const char *clocks = w->clocks ? w->clocks : APP_CLOCKS_DEFAULT;
	char why[APP_WHY_BYTES];

	for (unsigned i = 0; i < w->n_sockets; i++) {
		struct app_device_config device = {.client = w->client};

		snprintf(device.origin, sizeof(device.origin),
			"%s=", options[OPTION_SOCKET_PATH].name);
		if (!app_value_clocks(&device, clocks, why))
			return fail_option(r, OPTION_CLOCKS, clocks, why);
		device.clocks_given = w->clocks != NULL;
		app_config_append(device.clocks_origin, APP_ORIGIN_BYTES,
			"%s=%.*s: ", options[OPTION_CLOCKS].name, SHOWN_BYTES, clocks);
		if (w->source && !app_value_source(&device, w->source, why))
			return fail_option(r, OPTION_SOURCE, w->source, why);
		app_config_append(device.source_origin, APP_ORIGIN_BYTES,
			"%s=%.*s: ", options[OPTION_SOURCE].name, SHOWN_BYTES,
			w->source ? w->source : "");
		if (w->counter && !app_value_counter(w->counter, &device.counter, why))
			return fail_option(r, OPTION_COUNTER, w->counter, why);
		if (w->packed && !app_value_packed(w->packed, &device.no_packed, why))
			return fail_option(r, OPTION_PACKED, w->packed, why);
		if (w->retain && !app_value_retain(w->retain, &device.retain, why))
			return fail_option(r, OPTION_RETAIN, w->retain, why);
		if (w->alarm_action && (!app_value_alarm_action(&device, w->alarm_action, why) ||
					       !action_has_alarm(&device, clocks, why)))
			return fail_option(r, OPTION_ALARM_ACTION, w->alarm_action, why);
		if (grant_access(&device, w, r))
			return -EINVAL;
		if (!app_value_socket_path(&device, w->socket[i], why))
			return fail_option(r, OPTION_SOCKET_PATH, w->socket[i], why);
		name_after_socket(config, &device);
		if (!add_device(config, &device, why))
			return fail_option(r, OPTION_SOCKET_PATH, w->socket[i], why);
	}
	return 0;
}

/* Silence would leave the file's devices without what was asked for. */
static int refuse_without_socket(const struct wishes *w, const struct report *r)
{
	const struct {
		bool asked;
		enum option_id id;
		const char *in_file;
	} of_sockets[] = {
		{w->client, OPTION_CLIENT, "mode = client"},
		{w->clocks != NULL, OPTION_CLOCKS, "clocks = LIST"},
		{w->source != NULL, OPTION_SOURCE, "source = SOURCE"},
		{w->counter != NULL, OPTION_COUNTER, "counter = COUNTER"},
		{w->packed != NULL, OPTION_PACKED, "packed = CHOICE"},
		{w->retain != NULL, OPTION_RETAIN, "retain = SCOPE"},
		{w->alarm_action != NULL, OPTION_ALARM_ACTION, "alarm_action = ACTION"},
		{w->socket_mode != NULL, OPTION_SOCKET_MODE, "socket_mode = MODE"},
		{w->socket_owner != NULL, OPTION_SOCKET_OWNER, "socket_owner = OWNER"},
	};

	for (unsigned i = 0; i < sizeof(of_sockets) / sizeof(of_sockets[0]); i++)
		if (of_sockets[i].asked)
			return fail(r,
				"%s: is for devices of --socket-path; accepted for those of a "
				"file: %s in their sections",
				options[of_sockets[i].id].name, of_sockets[i].in_file);
	return 0;
}

static int grant(struct app_config *config, const struct wishes *w, const struct report *r)
{
	char why[APP_WHY_BYTES];
	int err;

	if (w->idle) {
		if (!app_value_idle(w->idle, &config->idle, why))
			return fail_option(r, OPTION_IDLE, w->idle, why);
		config->idle_given = true;
	}
	if (w->leap_table) {
		free(config->leap_table);
		config->leap_table = strdup(w->leap_table);
		if (!config->leap_table)
			return fail(r, "%s", strerror(ENOMEM));
	}
	if (w->host_timescale) {
		if (!app_value_host_timescale(w->host_timescale, &config->host_timescale, why))
			return fail_option(r, OPTION_HOST_TIMESCALE, w->host_timescale, why);
		config->host_timescale_origin[0] = '\0';
		app_config_append(config->host_timescale_origin, APP_ORIGIN_BYTES,
			"%s=%s: ", options[OPTION_HOST_TIMESCALE].name, w->host_timescale);
	}
	if (w->phc_holdover && !app_value_holdover(w->phc_holdover, &config->phc_holdover_s, why))
		return fail_option(r, OPTION_PHC_HOLDOVER, w->phc_holdover, why);
	if (w->alarm_lcore && !app_value_alarm_lcore(w->alarm_lcore, &config->alarm_lcores, why))
		return fail_option(r, OPTION_ALARM_LCORE, w->alarm_lcore, why);
	if (w->alarm_store && !take_store(config, w->alarm_store, why))
		return fail_option(r, OPTION_ALARM_STORE, w->alarm_store, why);
	if (w->seccomp && !app_value_seccomp(w->seccomp, &config->seccomp, why))
		return fail_option(r, OPTION_SECCOMP, w->seccomp, why);
	err = grant_sockets(config, w, r);
	if (err)
		return err;
	if (config->n_devices == 0 && w->config)
		return fail(r,
			"%.*s: there is no device in it; accepted: a section [device NAME] with socket "
			"= PATH, or --socket-path PATH",
			SHOWN_BYTES, w->config);
	/* A machine can be looked at before there is anything to serve. */
	if (config->n_devices == 0 && w->action != APP_CHECK_HOST)
		return fail(r, "no device: give --socket-path PATH for each, or --config FILE with "
			       "sections [device NAME]; see --help");
	if (w->n_sockets == 0)
		return refuse_without_socket(w, r);
	return 0;
}

/*
 * Where nobody knows what CLOCK_REALTIME shows, UTC and TAI cannot be told from it. Of the devices
 * that have other clocks by default alone, these are taken away.
 */
static int judge_clocks(struct app_config *config, const struct report *r)
{
	char why[APP_WHY_BYTES];

	for (unsigned i = 0; i < config->n_devices; i++) {
		struct app_device_config *device = &config->device[i];

		if (config->host_timescale != VRTC_HOST_UNKNOWN || device->phc[0])
			continue;
		if (!device->clocks_given)
			(void)app_value_clocks(device, APP_CLOCKS_UNKNOWN, why);
		for (uint16_t c = 0; c < device->n_clocks; c++)
			if (vrtc_clock_timebase(&device->clock[c]) == VRTC_TIMEBASE_TAI)
				return fail(r,
					"%s%s cannot be told where host_timescale = unknown: nobody knows "
					"how far CLOCK_REALTIME is from it around a leap second; accepted: "
					"utc-maybe-smeared, monotonic, or another source of time",
					device->clocks_origin, vrtc_clock_name(&device->clock[c]));
	}
	return 0;
}

static int make(
	struct app_config *config, struct wishes *w, int argc, char **argv, const struct report *r)
{
	int first = split_argv(config, argc, argv, r);
	int err;

	if (first < 0)
		return first;
	err = read_options(w, argc, argv, first, r);
	if (err)
		return err;
	config->action = w->action;
	if (w->action != APP_RUN && w->action != APP_CHECK_CONFIG && w->action != APP_CHECK_HOST)
		return 0;
	config->alarm_store = true;
	config->seccomp = APP_SECCOMP;
	config->phc_holdover_s = APP_HOLDOVER_S;
	config->leap_table = strdup(APP_LEAP_TABLE);
	config->device = calloc(APP_DEVICES_MAX, sizeof(config->device[0]));
	if (!config->leap_table || !config->device)
		return fail(r, "%s", strerror(ENOMEM));
	if (w->config) {
		err = take_file(config, w->config, r);
		if (err)
			return err;
	}
	err = grant(config, w, r);
	return err ? err : judge_clocks(config, r);
}

int app_config_parse(
	struct app_config *config, int argc, char **argv, char *error, unsigned error_bytes)
{
	const struct report r = {error, error_bytes};
	struct wishes w = {0};
	int err;

	*config = (struct app_config){0};
	w.socket = calloc((size_t)argc + 1, sizeof(w.socket[0]));
	err = w.socket ? make(config, &w, argc, argv, &r) : fail(&r, "%s", strerror(ENOMEM));
	free(w.socket);
	if (err)
		app_config_free(config);
	return err;
}

bool app_config_executes_programs(const struct app_config *config)
{
	for (unsigned i = 0; i < config->n_devices; i++)
		if (strncmp(config->device[i].alarm_action, "exec:", strlen("exec:")) == 0)
			return true;
	return false;
}

bool app_config_has_alarms(const struct app_config *config)
{
	for (unsigned i = 0; i < config->n_devices; i++)
		if (has_alarm(&config->device[i]))
			return true;
	return false;
}

void app_config_free(struct app_config *config)
{
	free(config->alarm_store_dir);
	free(config->leap_table);
	free(config->device);
	free(config->eal);
	*config = (struct app_config){0};
}
