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
#include <sys/types.h>
#include <sys/un.h>

#include "alarm_retain.h"
#include "clock.h"
#include "guest_counter.h"
#include "kernel_view.h"
#include "poller.h"

/* A name is used in log lines, telemetry and file names: letters, digits, inside '.', '_', '-'. */
#define APP_NAME_BYTES_MAX 48
#define APP_CLOCKS_MAX     64
#define APP_CLOCKS_DEFAULT "utc-smeared:noon-linear+alarm,utc+alarm,tai,monotonic" /* D7 */
/*
 * rte_vhost watches 1024 descriptors, one of its own: two of each device that listens, and one of
 * each that connects. (511 that listen, and 1000 that connect, were seen to be served.)
 */
#define APP_WATCHED_MAX    1022
#define APP_SERVERS_MAX    (APP_WATCHED_MAX / 2)
#define APP_DEVICES_MAX    1000
/* A message about a socket begins with it; the path of a file is cut from the left to fit. */
#define APP_ORIGIN_BYTES   224
/* "qmp:PATH" or "exec:PROGRAM", with its NUL. */
#define APP_ACTION_BYTES   256
#define APP_ALARM_LCORES   16
/* A folder for alarms, with its NUL: VRTC_ALARM_STORE_PATH_BYTES of alarm_store.h. */
#define APP_STORE_BYTES    256
#define APP_LEAP_TABLE     "/usr/share/zoneinfo/leap-seconds.list"
/* What is honest where nobody knows what CLOCK_REALTIME shows. */
#define APP_CLOCKS_UNKNOWN "utc-maybe-smeared+alarm,monotonic"
#define APP_PHC_BYTES      128 /* the path of a PTP hardware clock, with its NUL */
#define APP_HOLDOVER_S     60
#define APP_HOLDOVER_S_MAX 86400
/* Whether system calls are limited by default; not in builds for sanitizers: app/meson.build. */
#ifndef APP_SECCOMP
#define APP_SECCOMP true
#endif

/* Who may connect to a socket that we make; what is not there is as bind() leaves it. */
struct app_socket_access {
	bool has_mode;
	bool has_user;
	bool has_group;
	mode_t mode; /* permission bits alone */
	uid_t user;
	gid_t group;
};

struct app_device_config {
	char name[APP_NAME_BYTES_MAX + 1];
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool client;                     /* we connect, and connect again when the front-end goes */
	struct app_socket_access access; /* in server mode alone */
	uint16_t n_clocks;
	struct vrtc_clock clock[APP_CLOCKS_MAX];
	enum vrtc_retain retain;
	struct vrtc_counter_config counter;
	bool no_packed;                      /* VIRTIO_F_RING_PACKED is not offered */
	char alarm_action[APP_ACTION_BYTES]; /* for vrtc_alarm_action_new(); "": none */
	char phc[APP_PHC_BYTES];             /* where its time comes from; "": the system clocks */
	bool phc_is_utc;                     /* what that shows; else TAI */
	bool clocks_given;                   /* by the operator, not by default */
	/* Where, for messages: "--clocks=LIST: ", "FILE:LINE: [section] clocks = LIST: " */
	char clocks_origin[APP_ORIGIN_BYTES];
	char source_origin[APP_ORIGIN_BYTES]; /* the same of phc */
	char access_origin[APP_ORIGIN_BYTES]; /* the same of access, its owner if there is one */
	/* Where socket_path was given, to be followed by it: "--socket-path=", "FILE:LINE: ... = " */
	char origin[APP_ORIGIN_BYTES];
};

enum app_action {
	APP_RUN,
	APP_CHECK_CONFIG, /* everything up to, and without, the start */
	APP_CHECK_HOST,   /* whether the machine is one for short and steady readings */
	APP_HELP,
	APP_VERSION,
	APP_PRINT_CAPABILITIES,
};

/* Which lcores fire alarms. */
struct app_alarm_lcores {
	enum {
		APP_ALARM_LCORES_AUTO,   /* one on each node that can spare one: lcore_roles.h */
		APP_ALARM_LCORES_SHARED, /* the request lcores do it */
		APP_ALARM_LCORES_LIST,
	} choice;
	unsigned n;
	unsigned lcore[APP_ALARM_LCORES]; /* of the EAL; no two alike */
};

struct app_config {
	enum app_action action;
	enum vrtc_idle idle;
	bool idle_given; /* by the operator, not by default */
	char *leap_table;
	enum vrtc_host_timescale host_timescale;
	char host_timescale_origin[APP_ORIGIN_BYTES]; /* as above; "": nobody said */
	unsigned phc_holdover_s;
	bool seccomp; /* system calls are limited once everything is started */
	struct app_alarm_lcores alarm_lcores;
	bool alarm_store;      /* false: alarms do not outlive the process */
	char *alarm_store_dir; /* NULL: by default, see alarm_store.h */
	unsigned n_devices;
	struct app_device_config *device;

	/*
	 * What stands before "--" in argv, program name first, NULL last; n_eal == 1: nothing.
	 * The strings are argv's own.
	 */
	int n_eal;
	char **eal;
};

/*
 * Reads argv, and the file that it names. Devices of the file come first, in its order, then those
 * of --socket-path. --idle, --leap-table, --host-timescale, --phc-holdover, --alarm-lcore,
 * --alarm-store and --seccomp have precedence over the file's [global]; --clocks, --client,
 * --source, --counter, --packed, --retain, --alarm-action, --socket-mode and --socket-owner are for
 * the devices of --socket-path. --print-capabilities makes everything else moot, as QEMU's
 * conventions for back-ends say (docs/interop/vhost-user.rst).
 *
 * Nothing is looked at but argv, that one file, and the machine's users and groups: whether sockets
 * and leap table are there, and as they should be, is for socket_path.h and leap_file.h.
 *
 * @param error  on failure one line without the final newline: "FILE:LINE: [section] key = value:
 *               what is wrong; accepted: ...", or "--option: ...". Whatever argv and file contain,
 *               it is printable; 1024 bytes hold every message.
 * @return       0; -EINVAL: error is filled, config holds nothing to free
 */
int app_config_parse(
	struct app_config *config, int argc, char **argv, char *error, unsigned error_bytes);

void app_config_free(struct app_config *config);

/* Whether an alarm of any device starts a program. */
bool app_config_executes_programs(const struct app_config *config);

/* Whether a clock of any device has an alarm. */
bool app_config_has_alarms(const struct app_config *config);

/* What --help, --version and --print-capabilities print. */
void app_config_print_help(void);
void app_config_print_version(void);
void app_config_print_capabilities(void);

#endif
