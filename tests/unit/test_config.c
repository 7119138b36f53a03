/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * argv and the file, as app_config_parse() takes them: what is good becomes the right structure,
 * what is wrong becomes one line, whole and exact. The file is in memory, so that the random cases
 * cost no disk.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_config.h>

#include "config.h"
#include "wire.h"

#define ERROR_BYTES 1024
#define SYNTAX      "accepted: [section], key = value, or # and a comment"
#define NO_CLOCK_TAIL                                                                              \
	"; accepted: utc, tai, monotonic, utc-smeared[:noon-linear|:utc-sls], utc-maybe-smeared, " \
	"each with or without +alarm, separated by commas; or none"
#define NOT_A_NAME                                                                                 \
	"not the name of a device; accepted: letters, digits, '.', '_' and '-', beginning with a " \
	"letter or a digit"

static int file_fd;
static char file_path[32];
static char error[ERROR_BYTES];

static int open_file(void **state)
{
	(void)state;
	file_fd = memfd_create("test-config", MFD_CLOEXEC);
	snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file_fd);
	return file_fd < 0;
}

static int close_file(void **state)
{
	(void)state;
	return close(file_fd);
}

static void write_file(const void *text, size_t bytes)
{
	assert_int_equal(ftruncate(file_fd, 0), 0);
	assert_int_equal(pwrite(file_fd, text, bytes, 0), bytes);
}

static void write_text(const char *text)
{
	write_file(text, strlen(text));
}

/* The parser keeps argv's strings for the EAL, and writes to none. */
static int parse_args(struct app_config *config, const char *const *args)
{
	static char program[] = "dpdk-rtc";
	static char *argv[16];
	int argc = 0;

	argv[argc++] = program;
	for (; *args; args++) {
		assert_in_range(argc, 1, 14);
		argv[argc++] = (char *)(uintptr_t)*args;
	}
	argv[argc] = NULL;
	memset(config, 0xa5, sizeof(*config));
	memset(error, 'E', sizeof(error));
	error[sizeof(error) - 1] = '\0';
	return app_config_parse(config, argc, argv, error, sizeof(error));
}
#define PARSE(config, ...) parse_args(config, (const char *const[]){__VA_ARGS__, NULL})

static void check_one_line(const char *text)
{
	size_t bytes = strnlen(text, ERROR_BYTES);

	assert_in_range(bytes, 1, ERROR_BYTES - 2); /* not cut */
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			fail_msg("byte %zu of \"%s\" is not printable", i, text);
}

static void check_nothing_to_free(const struct app_config *config)
{
	assert_null(config->device);
	assert_null(config->leap_table);
	assert_null(config->alarm_store_dir);
	assert_null(config->eal);
	assert_int_equal(config->n_devices, 0);
}

static void refused_args(const char *line, const char *const *args)
{
	struct app_config config;

	assert_int_equal(parse_args(&config, args), -EINVAL);
	check_one_line(error);
	assert_string_equal(error, line);
	check_nothing_to_free(&config);
}
#define REFUSED(line, ...) refused_args(line, (const char *const[]){__VA_ARGS__, NULL})

/* The line without the file's path and the ':' after it. */
static void refused_file_bytes(const char *text, size_t bytes, const char *line)
{
	char whole[ERROR_BYTES + sizeof(file_path)];

	write_file(text, bytes);
	snprintf(whole, sizeof(whole), "%s:%s", file_path, line);
	REFUSED(whole, "--config", file_path);
}

static void refused_file(const char *text, const char *line)
{
	refused_file_bytes(text, strlen(text), line);
}

static void accept_file(struct app_config *config, const char *text)
{
	write_file(text, strlen(text));
	if (PARSE(config, "--config", file_path))
		fail_msg("%s", error);
}

static void check_default_clocks(const struct app_device_config *d)
{
	static const struct vrtc_clock wanted[] = {
		{VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR, true},
		{VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED, true},
		{VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
		{VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
	};

	assert_int_equal(d->n_clocks, 4);
	assert_memory_equal(d->clock, wanted, sizeof(wanted));
}

/* ---- argv. */

static void one_socket_gives_one_device_with_the_defaults(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--socket-path", "/run/vm1.sock"), 0);
	assert_int_equal(c.action, APP_RUN);
	assert_int_equal(c.idle, VRTC_IDLE_BUSY);
	assert_false(c.idle_given);
	assert_string_equal(c.leap_table, APP_LEAP_TABLE);
	assert_int_equal(c.n_eal, 1);
	assert_null(c.eal[1]);
	assert_int_equal(c.n_devices, 1);
	assert_string_equal(c.device[0].name, "vm1");
	assert_string_equal(c.device[0].socket_path, "/run/vm1.sock");
	assert_string_equal(c.device[0].origin, "--socket-path=");
	assert_false(c.device[0].client);
	check_default_clocks(&c.device[0]);
	assert_int_equal(c.device[0].retain, VRTC_RETAIN_VMM);
	assert_string_equal(c.device[0].alarm_action, "");
	assert_int_equal(c.alarm_lcores.choice, APP_ALARM_LCORES_AUTO);
	assert_true(c.alarm_store);
	assert_null(c.alarm_store_dir);
	assert_true(app_config_has_alarms(&c));
	app_config_free(&c);
	check_nothing_to_free(&c);
}

static void a_value_follows_an_equals_sign_or_is_the_next_argument(void **state)
{
	struct app_config a;
	struct app_config b;

	(void)state;
	assert_int_equal(PARSE(&a, "--socket-path", "a=b", "--clocks", "tai", "--idle", "pause",
				 "--leap-table", "t=1", "--client", "--check-config"),
		0);
	assert_int_equal(PARSE(&b, "--check-config", "--client", "--leap-table=t=1", "--idle=pause",
				 "--clocks=tai", "--socket-path=a=b"),
		0);
	assert_int_equal(a.action, APP_CHECK_CONFIG);
	assert_int_equal(b.action, APP_CHECK_CONFIG);
	assert_string_equal(a.leap_table, "t=1");
	assert_string_equal(b.leap_table, "t=1");
	assert_int_equal(a.idle, VRTC_IDLE_PAUSE);
	assert_true(a.idle_given && b.idle_given && a.idle == b.idle);
	assert_true(a.device[0].client);
	assert_int_equal(a.device[0].n_clocks, 1);
	assert_string_equal(a.device[0].socket_path, "a=b");
	assert_memory_equal(&a.device[0], &b.device[0], sizeof(a.device[0]));
	app_config_free(&a);
	app_config_free(&b);
}

static void what_stands_before_two_dashes_is_the_eals(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "-l", "0,1", "--no-huge", "--", "--socket-path", "a"), 0);
	assert_int_equal(c.n_eal, 4);
	assert_string_equal(c.eal[1], "-l");
	assert_string_equal(c.eal[2], "0,1");
	assert_string_equal(c.eal[3], "--no-huge");
	assert_null(c.eal[4]);
	assert_int_equal(c.n_devices, 1);
	app_config_free(&c);

	assert_int_equal(PARSE(&c, "--", "--socket-path", "a"), 0);
	assert_int_equal(c.n_eal, 1);
	app_config_free(&c);

	REFUSED("--: no such option; accepted: --socket-path, --client, --clocks, --source, --counter, --packed, --retain, "
		"--alarm-action, --socket-mode, --socket-owner, --config, --idle, --leap-table, --host-timescale, --phc-holdover, --alarm-lcore, --alarm-store, --seccomp, "
		"--check-config, --check-host, --print-capabilities, --help, --version; "
		"options of the EAL before \"--\"",
		"--", "--", "--socket-path", "a");
	REFUSED("--idle: not an option of the EAL, whose options these are; accepted: after "
		"\"--\": dpdk-rtc [EAL options --] [options]",
		"--idle=busy", "--", "--socket-path", "a");
}

static void actions_that_do_not_run_need_no_device(void **state)
{
	static const struct {
		const char *arg;
		enum app_action action;
	} cases[] = {
		{"--help", APP_HELP},
		{"-h", APP_HELP},
		{"--version", APP_VERSION},
		{"--print-capabilities", APP_PRINT_CAPABILITIES},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct app_config c;

		assert_int_equal(PARSE(&c, cases[i].arg), 0);
		assert_int_equal(c.action, cases[i].action);
		app_config_free(&c);
	}
}

static void print_capabilities_makes_everything_else_moot(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--fd=3", "--bad", "--help", "--print-capabilities"), 0);
	assert_int_equal(c.action, APP_PRINT_CAPABILITIES);
	app_config_free(&c);
}

static void a_mistake_in_argv_is_one_line_that_says_what_is_accepted(void **state)
{
	(void)state;
	REFUSED("no device: give --socket-path PATH for each, or --config FILE with sections "
		"[device NAME]; see --help",
		NULL);
	REFUSED("--bad: no such option; accepted: --socket-path, --client, --clocks, --source, --counter, --packed, --retain, "
		"--alarm-action, --socket-mode, --socket-owner, --config, --idle, --leap-table, --host-timescale, --phc-holdover, --alarm-lcore, --alarm-store, --seccomp, "
		"--check-config, --check-host, --print-capabilities, --help, --version; "
		"options of the EAL before \"--\"",
		"--bad=1");
	REFUSED("a.sock: not an option; a socket is given as --socket-path a.sock", "a.sock");
	REFUSED(": not an option; a socket is given as --socket-path PATH", "");
	REFUSED("-: not an option; a socket is given as --socket-path -", "-");
	REFUSED("-l: an option of the EAL, and these come before \"--\"; accepted: dpdk-rtc "
		"[EAL options --] [options]",
		"-l", "0,1");
	REFUSED("--lcores=0: an option of the EAL, and these come before \"--\"; accepted: "
		"dpdk-rtc [EAL options --] [options]",
		"--lcores=0");
	REFUSED("--client=yes: takes no value; accepted: --client", "--client=yes");
	REFUSED("--socket-path: the value is missing; accepted: --socket-path PATH",
		"--socket-path");
	REFUSED("--socket-path: the value is missing; accepted: --socket-path PATH",
		"--socket-path", "--client");
	REFUSED("--socket-path=: the value is missing; accepted: --socket-path PATH",
		"--socket-path=");
	REFUSED("--clocks: the value is missing; accepted: --clocks LIST", "--clocks", "");
	REFUSED("--fd=3: rte_vhost cannot take over an open descriptor; accepted: --socket-path "
		"PATH",
		"--fd=3");
	REFUSED("--idle=x: no such idle policy; accepted: busy, pause, interrupt", "--idle=x",
		"--socket-path=a");
	REFUSED("--idle=BUSY: no such idle policy; accepted: busy, pause, interrupt", "--idle=BUSY",
		"--socket-path=a");
	REFUSED("--clocks=utc,gps: there is no clock \"gps\"" NO_CLOCK_TAIL, "--clocks=utc,gps",
		"--socket-path=a");
	REFUSED("--clocks=utc,,tai: the name of a clock is missing" NO_CLOCK_TAIL,
		"--clocks=utc,,tai", "--socket-path=a");
	REFUSED("--clocks=utc,: the name of a clock is missing" NO_CLOCK_TAIL, "--clocks=utc,",
		"--socket-path=a");
	REFUSED("--clocks=utc, : the name of a clock is missing" NO_CLOCK_TAIL, "--clocks=utc, ",
		"--socket-path=a");
	REFUSED("--socket-path=/run/: names a folder; accepted: the path of a socket",
		"--socket-path=/run/");
	REFUSED("--socket-path=/run/..: names a folder; accepted: the path of a socket",
		"--socket-path=/run/..");
	REFUSED("--socket-path=.: names a folder; accepted: the path of a socket",
		"--socket-path=.");
	REFUSED("--socket-path=/r//a: the device a has this socket already; accepted: a socket "
		"for each device",
		"--socket-path=/r/a", "--socket-path=/r//a");
	REFUSED("/nonexistent/f: No such file or directory; accepted: a configuration file that "
		"can be read",
		"--config=/nonexistent/f");
	REFUSED("/tmp: is a folder; accepted: a configuration file", "--config=/tmp");
	REFUSED("--a?b??[31m: no such option; accepted: --socket-path, --client, --clocks, --source, --counter, --packed, --retain, "
		"--alarm-action, --socket-mode, --socket-owner, --config, --idle, --leap-table, --host-timescale, --phc-holdover, --alarm-lcore, --alarm-store, --seccomp, "
		"--check-config, --check-host, --print-capabilities, --help, "
		"--version; options of the EAL before \"--\"",
		"--a\nb\r\033[31m");
}

static void client_and_clocks_without_a_socket_of_argv_are_refused(void **state)
{
	(void)state;
	write_text("[device a]\nsocket=/a\n");
	REFUSED("--client: is for devices of --socket-path; accepted for those of a file: mode = "
		"client in their sections",
		"--client", "--config", file_path);
	REFUSED("--clocks: is for devices of --socket-path; accepted for those of a file: clocks "
		"= LIST in their sections",
		"--clocks=utc", "--config", file_path);
}

static void retain_and_alarm_action_without_a_socket_of_argv_are_refused(void **state)
{
	(void)state;
	write_text("[device a]\nsocket=/a\n");
	REFUSED("--retain: is for devices of --socket-path; accepted for those of a file: retain = "
		"SCOPE in their sections",
		"--retain=no", "--config", file_path);
	REFUSED("--alarm-action: is for devices of --socket-path; accepted for those of a file: "
		"alarm_action = ACTION in their sections",
		"--alarm-action=none", "--config", file_path);
}

static void the_same_socket_is_known_however_it_is_spelled(void **state)
{
	static const char *const other[] = {"x.sock", "./x.sock", ".//x.sock", "././x.sock"};
	char line[256];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(line, sizeof(line),
			"--socket-path=%s: the device x has this socket already; accepted: a socket "
			"for each device",
			other[i]);
		REFUSED(line, "--socket-path=x.sock", "--socket-path", other[i]);
	}
}

/* ---- Names. */

static void a_device_is_named_after_its_socket(void **state)
{
	static const struct {
		const char *path;
		const char *name;
	} cases[] = {
		{"/run/vm1.sock", "vm1"},
		{"/run/vm1.socket", "vm1"},
		{"vm1", "vm1"},
		{"/run/vm1.sock.sock", "vm1.sock"},
		{"/run/.sock", "xsock"},
		{"/run/-a b\n", "xa_b_"},
		{"/run/\303\244.sock", "x_"},
		{"/run/"
		 "123456789012345678901234567890123456789012345678",
			"123456789012345678901234567890123456789012345678"},
		{"/run/"
		 "1234567890123456789012345678901234567890123456789",
			"123456789012345678901234567890123456789012345678"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct app_config c;

		assert_int_equal(PARSE(&c, "--socket-path", cases[i].path), 0);
		assert_string_equal(c.device[0].name, cases[i].name);
		app_config_free(&c);
	}
}

static void devices_of_equal_file_names_get_a_number(void **state)
{
	struct app_config c;

	(void)state;
	write_text("[device a]\nsocket=/0/a\n[device a-3]\nsocket=/0/b\n");
	assert_int_equal(PARSE(&c, "--socket-path=/1/a", "--socket-path=/2/a.sock", "--socket-path",
				 "/3/a.socket", "--config", file_path,
				 "--socket-path=/1/"
				 "123456789012345678901234567890123456789012345678",
				 "--socket-path=/2/"
				 "123456789012345678901234567890123456789012345678"),
		0);
	assert_int_equal(c.n_devices, 7);
	assert_string_equal(c.device[0].name, "a");
	assert_string_equal(c.device[1].name, "a-3");
	assert_string_equal(c.device[2].name, "a-2");
	assert_string_equal(c.device[3].name, "a-4");
	assert_string_equal(c.device[4].name, "a-5");
	assert_string_equal(c.device[5].name, "123456789012345678901234567890123456789012345678");
	assert_string_equal(c.device[6].name, "1234567890123456789012345678901234567890123456-2");
	app_config_free(&c);
}

/* ---- Alarms: what is the same in argv and in the file is tried in argv. */

static void alarm_lcores_are_a_word_or_a_list_of_different_lcores(void **state)
{
	static const struct {
		const char *value;
		struct app_alarm_lcores lcores;
	} cases[] = {
		{"auto", {APP_ALARM_LCORES_AUTO, 0, {0}}},
		{"shared", {APP_ALARM_LCORES_SHARED, 0, {0}}},
		{"0", {APP_ALARM_LCORES_LIST, 1, {0}}},
		{"3,11", {APP_ALARM_LCORES_LIST, 2, {3, 11}}},
		{" 11 ,\t3 ", {APP_ALARM_LCORES_LIST, 2, {11, 3}}},
		{"007", {APP_ALARM_LCORES_LIST, 1, {7}}},
		{"127", {APP_ALARM_LCORES_LIST, 1, {127}}},
		{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
			{APP_ALARM_LCORES_LIST, 16,
				{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct app_config c;

		if (PARSE(&c, "--socket-path=a", "--alarm-lcore", cases[i].value))
			fail_msg("%s", error);
		assert_int_equal(c.alarm_lcores.choice, cases[i].lcores.choice);
		assert_int_equal(c.alarm_lcores.n, cases[i].lcores.n);
		for (unsigned k = 0; k < c.alarm_lcores.n; k++)
			assert_int_equal(c.alarm_lcores.lcore[k], cases[i].lcores.lcore[k]);
		app_config_free(&c);
	}
}

#define LCORES_ACCEPTED "; accepted: auto, shared, or lcores of the EAL as in 3,11"

static void other_alarm_lcores_are_refused(void **state)
{
	static const char *const no_list[] = {"Auto", "none", "1,", ",1", "1,,2", " ", "1 2", "-1",
		"+1", "1-3", "0x1", "1.0", "1;2", "auto,1", "1,shared"};
	char beyond[32];
	char line[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(no_list) / sizeof(no_list[0]); i++) {
		snprintf(line, sizeof(line),
			"--alarm-lcore=%s: not a list of lcores" LCORES_ACCEPTED, no_list[i]);
		REFUSED(line, "--socket-path=a", "--alarm-lcore", no_list[i]);
	}
	snprintf(beyond, sizeof(beyond), "1,%d", RTE_MAX_LCORE);
	snprintf(line, sizeof(line),
		"--alarm-lcore=%s: an EAL has no such lcore" LCORES_ACCEPTED ", each up to %d",
		beyond, RTE_MAX_LCORE - 1);
	REFUSED(line, "--socket-path=a", "--alarm-lcore", beyond);
	/* 2^32 and 2^64 and one: were they cut, they would be lcores. */
	snprintf(line, sizeof(line),
		"--alarm-lcore=4294967297: an EAL has no such lcore" LCORES_ACCEPTED
		", each up to %d",
		RTE_MAX_LCORE - 1);
	REFUSED(line, "--socket-path=a", "--alarm-lcore=4294967297");
	snprintf(line, sizeof(line),
		"--alarm-lcore=18446744073709551617: an EAL has no such lcore" LCORES_ACCEPTED
		", each up to %d",
		RTE_MAX_LCORE - 1);
	REFUSED(line, "--socket-path=a", "--alarm-lcore=18446744073709551617");
	REFUSED("--alarm-lcore=3,11,3: lcore 3 is there twice" LCORES_ACCEPTED ", each once",
		"--socket-path=a", "--alarm-lcore=3,11,3");
	REFUSED("--alarm-lcore=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16: too many "
		"lcores" LCORES_ACCEPTED ", up to 16",
		"--socket-path=a", "--alarm-lcore=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16");
	refused_file("[global]\nalarm_lcore = 2-3\n",
		"2: [global] alarm_lcore = 2-3: not a list of lcores" LCORES_ACCEPTED);
}

static void alarm_store_is_a_word_or_an_absolute_path(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--socket-path=a", "--alarm-store=none"), 0);
	assert_false(c.alarm_store);
	assert_null(c.alarm_store_dir);
	app_config_free(&c);
	assert_int_equal(PARSE(&c, "--socket-path=a", "--alarm-store=/dev/shm/a b"), 0);
	assert_true(c.alarm_store);
	assert_string_equal(c.alarm_store_dir, "/dev/shm/a b");
	app_config_free(&c);

	/* argv has precedence, whatever the file has said before. */
	write_text("[global]\nalarm_store = /run/x\nalarm_lcore = 4\n[device a]\nsocket = /a\n");
	assert_int_equal(PARSE(&c, "--config", file_path), 0);
	assert_string_equal(c.alarm_store_dir, "/run/x");
	assert_int_equal(c.alarm_lcores.choice, APP_ALARM_LCORES_LIST);
	app_config_free(&c);
	assert_int_equal(
		PARSE(&c, "--config", file_path, "--alarm-store=auto", "--alarm-lcore=shared"), 0);
	assert_true(c.alarm_store);
	assert_null(c.alarm_store_dir);
	assert_int_equal(c.alarm_lcores.choice, APP_ALARM_LCORES_SHARED);
	assert_int_equal(c.alarm_lcores.n, 0);
	app_config_free(&c);
	assert_int_equal(PARSE(&c, "--config", file_path, "--alarm-store=none"), 0);
	assert_false(c.alarm_store);
	assert_null(c.alarm_store_dir);
	app_config_free(&c);
	write_text("[global]\nalarm_store = none\n[device a]\nsocket = /a\n");
	assert_int_equal(PARSE(&c, "--config", file_path, "--alarm-store=/run/y"), 0);
	assert_true(c.alarm_store);
	assert_string_equal(c.alarm_store_dir, "/run/y");
	app_config_free(&c);
}

#define STORE_ACCEPTED "accepted: auto, none, or the absolute path of a folder on a tmpfs"

static void a_relative_or_long_alarm_store_is_refused(void **state)
{
	struct app_config c;
	char option[300] = "--alarm-store=/";
	char line[512];

	(void)state;
	REFUSED("--alarm-store=alarms: not an absolute path; " STORE_ACCEPTED, "--socket-path=a",
		"--alarm-store=alarms");
	REFUSED("--alarm-store=./a: not an absolute path; " STORE_ACCEPTED, "--socket-path=a",
		"--alarm-store=./a");
	refused_file("[global]\nalarm_store = None\n",
		"2: [global] alarm_store = None: not an absolute path; " STORE_ACCEPTED);
	memset(option + 15, 's', 255);
	snprintf(line, sizeof(line),
		"--alarm-store=%.160s: the path has 256 bytes; " STORE_ACCEPTED ", up to 255",
		option + 14);
	REFUSED(line, "--socket-path=a", option);
	option[14 + 255] = '\0';
	assert_int_equal(PARSE(&c, "--socket-path=a", option), 0);
	assert_string_equal(c.alarm_store_dir, option + 14);
	app_config_free(&c);
}

static void packed_rings_are_offered_unless_they_are_off(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--socket-path=a"), 0);
	assert_false(c.device[0].no_packed);
	app_config_free(&c);
	assert_int_equal(PARSE(&c, "--socket-path=a", "--packed=off"), 0);
	assert_true(c.device[0].no_packed);
	app_config_free(&c);
	assert_int_equal(PARSE(&c, "--socket-path=a", "--packed", "on"), 0);
	assert_false(c.device[0].no_packed);
	app_config_free(&c);
	REFUSED("--packed=no: packed virtqueues are offered or not; accepted: on, off (split ones "
		"alone)",
		"--socket-path=a", "--packed=no");
	refused_file("[device a]\nsocket = /a\npacked = 1\n",
		"3: [device a] packed = 1: packed virtqueues are offered or not; accepted: on, off "
		"(split ones alone)");
}

static void system_calls_are_limited_or_not(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--socket-path=a"), 0);
	assert_int_equal(c.seccomp, APP_SECCOMP);
	app_config_free(&c);
	accept_file(&c, "[global]\nseccomp = on\n[device a]\nsocket = /a\n");
	assert_true(c.seccomp);
	app_config_free(&c);
	accept_file(&c, "[global]\nseccomp = off\n[device a]\nsocket = /a\n");
	assert_false(c.seccomp);
	app_config_free(&c);
	write_text("[global]\nseccomp = off\n[device a]\nsocket = /a\n");
	assert_int_equal(PARSE(&c, "--config", file_path, "--seccomp", "on"), 0);
	assert_true(c.seccomp);
	app_config_free(&c);
	REFUSED("--seccomp=no: system calls are limited or not; accepted: on, off (for debugging)",
		"--socket-path=a", "--seccomp=no");
	refused_file("[global]\nseccomp = 1\n[device a]\nsocket = /a\n",
		"2: [global] seccomp = 1: system calls are limited or not; accepted: on, off (for "
		"debugging)");
}

#define NO_MODE                                                                                    \
	"not the mode of a socket; accepted: three octal digits, for user, group and others, as "  \
	"in 0660"

static void a_sockets_mode_is_three_octal_digits(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--socket-path=a"), 0);
	assert_false(c.device[0].access.has_mode);
	app_config_free(&c);
	assert_int_equal(PARSE(&c, "--socket-path=a", "--socket-mode=0660"), 0);
	assert_true(c.device[0].access.has_mode);
	assert_int_equal(c.device[0].access.mode, 0660);
	app_config_free(&c);
	accept_file(&c, "[device a]\nsocket = /a\nsocket_mode = 777\n[device b]\nsocket = /b\n");
	assert_int_equal(c.device[0].access.mode, 0777);
	assert_string_equal(
		strchr(c.device[0].access_origin, ':'), ":3: [device a] socket_mode = 777: ");
	assert_false(c.device[1].access.has_mode);
	app_config_free(&c);
	REFUSED("--socket-mode=66: " NO_MODE, "--socket-path=a", "--socket-mode=66");
	REFUSED("--socket-mode=1660: " NO_MODE, "--socket-path=a", "--socket-mode=1660");
	REFUSED("--socket-mode=00660: " NO_MODE, "--socket-path=a", "--socket-mode=00660");
	REFUSED("--socket-mode=0668: " NO_MODE, "--socket-path=a", "--socket-mode=0668");
	REFUSED("--socket-mode=rw-: " NO_MODE, "--socket-path=a", "--socket-mode=rw-");
	refused_file("[device a]\nsocket = /a\nsocket_mode = -66\n",
		"3: [device a] socket_mode = -66: " NO_MODE);
}

#define OWNERS "accepted: USER, USER:GROUP or :GROUP, by name or number"

static void a_sockets_owner_is_a_user_a_group_or_both_by_name_or_number(void **state)
{
	const struct app_socket_access *access;
	struct app_config c;

	(void)state;
	accept_file(&c, "[device a]\nsocket = /a\nsocket_owner = 4294967294\n"
			"[device b]\nsocket = /b\nsocket_owner = root:7\nsocket_mode = 0600\n"
			"[device c]\nsocket = /c\nsocket_owner = :root\n");
	access = &c.device[0].access;
	assert_true(access->has_user && !access->has_group && !access->has_mode);
	assert_int_equal(access->user, 4294967294);
	access = &c.device[1].access;
	assert_true(access->has_user && access->has_group && access->has_mode);
	assert_int_equal(access->user, 0);
	assert_int_equal(access->group, 7);
	/* It is the owner that can fail when the socket is there. */
	assert_non_null(
		strstr(c.device[1].access_origin, ":6: [device b] socket_owner = root:7: "));
	access = &c.device[2].access;
	assert_true(!access->has_user && access->has_group);
	assert_int_equal(access->group, 0);
	app_config_free(&c);
	REFUSED("--socket-owner=nobody-here: there is no user nobody-here; " OWNERS,
		"--socket-path=a", "--socket-owner=nobody-here");
	REFUSED("--socket-owner=0:nobodies: there is no group nobodies; " OWNERS, "--socket-path=a",
		"--socket-owner=0:nobodies");
	/* What chown() takes for "as it is". */
	REFUSED("--socket-owner=4294967295: there is no user 4294967295; " OWNERS,
		"--socket-path=a", "--socket-owner=4294967295");
	REFUSED("--socket-owner=0:: not the owner of a socket; " OWNERS, "--socket-path=a",
		"--socket-owner=0:");
	REFUSED("--socket-owner=:: not the owner of a socket; " OWNERS, "--socket-path=a",
		"--socket-owner=:");
	refused_file("[device a]\nsocket = /a\nsocket_owner = 0:0:0\n",
		"3: [device a] socket_owner = 0:0:0: there is no group 0:0; " OWNERS);
}

#define NOT_OURS                                                                                   \
	"in client mode the VMM makes the socket, and gives it its mode and owner; accepted: in "  \
	"server mode"

static void a_socket_that_the_vmm_makes_gets_neither_mode_nor_owner(void **state)
{
	(void)state;
	REFUSED("--socket-mode=0600: " NOT_OURS, "--socket-path=a", "--client",
		"--socket-mode=0600");
	REFUSED("--socket-owner=0: " NOT_OURS, "--socket-path=a", "--socket-owner=0", "--client",
		"--socket-mode=0600");
	refused_file("[device a]\nsocket = /a\nsocket_mode = 0600\nmode = client\n",
		"3: [device a] socket_mode = 0600: " NOT_OURS);
	write_text("[device a]\nsocket=/a\n");
	REFUSED("--socket-mode: is for devices of --socket-path; accepted for those of a file: "
		"socket_mode = MODE in their sections",
		"--socket-mode=0600", "--config", file_path);
	REFUSED("--socket-owner: is for devices of --socket-path; accepted for those of a file: "
		"socket_owner = OWNER in their sections",
		"--socket-owner=0", "--config", file_path);
}

static void retain_is_for_a_process_a_name_or_not_at_all(void **state)
{
	static const struct {
		const char *value;
		enum vrtc_retain retain;
	} cases[] = {
		{"vmm", VRTC_RETAIN_VMM},
		{"name", VRTC_RETAIN_NAME},
		{"no", VRTC_RETAIN_NO},
	};
	struct app_config c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(PARSE(&c, "--socket-path=a", "--retain", cases[i].value), 0);
		assert_int_equal(c.device[0].retain, cases[i].retain);
		app_config_free(&c);
	}
	REFUSED("--retain=yes: alarms cannot be retained so; accepted: vmm (for one front-end "
		"process), name (for whoever uses the device), no (not even over a reset)",
		"--socket-path=a", "--retain=yes");
	refused_file("[device a]\nsocket = /a\nretain = none\n",
		"3: [device a] retain = none: alarms cannot be retained so; accepted: vmm (for one "
		"front-end process), name (for whoever uses the device), no (not even over a "
		"reset)");
}

static void an_alarm_action_is_a_qmp_socket_or_a_program(void **state)
{
	static const struct {
		const char *value;
		const char *action;
	} cases[] = {
		{"none", ""},
		{"qmp:/run/vm1.qmp", "qmp:/run/vm1.qmp"},
		{"qmp:vm1.qmp", "qmp:vm1.qmp"},
		{"exec:/usr/bin/wake up", "exec:/usr/bin/wake up"},
	};
	struct app_config c;
	char text[160];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(PARSE(&c, "--socket-path=a", "--socket-path=b", "--alarm-action",
					 cases[i].value),
			0);
		assert_string_equal(c.device[0].alarm_action, cases[i].action);
		assert_string_equal(c.device[1].alarm_action, cases[i].action);
		app_config_free(&c);
		snprintf(text, sizeof(text), "[device a]\nalarm_action = %s\nsocket = /a\n",
			cases[i].value);
		accept_file(&c, text);
		assert_string_equal(c.device[0].alarm_action, cases[i].action);
		app_config_free(&c);
	}
}

static void another_alarm_action_is_refused(void **state)
{
	static const char *const unknown[] = {
		"qmp", "exec", "/bin/true", "QMP:/q", "None", "ssh:x"};
	static const char *const no_program[] = {
		"exec:", "exec:true", "exec:./true", "exec:/", "exec:/bin/"};
	char path[260];
	char line[512];
	struct app_config c;

	(void)state;
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		snprintf(line, sizeof(line),
			"--alarm-action=%s: no such action; accepted: none, qmp:PATH (wakes a QEMU's "
			"guest), exec:PROGRAM (starts a program)",
			unknown[i]);
		REFUSED(line, "--socket-path=a", "--alarm-action", unknown[i]);
	}
	for (unsigned i = 0; i < sizeof(no_program) / sizeof(no_program[0]); i++) {
		snprintf(line, sizeof(line),
			"--alarm-action=%s: not an absolute path of a program; accepted: "
			"exec:/PROGRAM, without arguments",
			no_program[i]);
		REFUSED(line, "--socket-path=a", "--alarm-action", no_program[i]);
	}
	REFUSED("--alarm-action=qmp:: the path is empty; accepted: the path of a socket",
		"--socket-path=a", "--alarm-action=qmp:");
	REFUSED("--alarm-action=qmp:/run/: names a folder; accepted: the path of a socket",
		"--socket-path=a", "--alarm-action=qmp:/run/");

	snprintf(path, sizeof(path), "qmp:/%0107d", 0);
	snprintf(line, sizeof(line),
		"--alarm-action=%s: the path has 108 bytes; accepted: up to 107", path);
	REFUSED(line, "--socket-path=a", "--alarm-action", path);
	path[4 + 107] = '\0';
	assert_int_equal(PARSE(&c, "--socket-path=a", "--alarm-action", path), 0);
	assert_string_equal(c.device[0].alarm_action, path);
	app_config_free(&c);

	snprintf(path, sizeof(path), "exec:/%0250d", 0);
	snprintf(line, sizeof(line),
		"--alarm-action=%.160s: the action has 256 bytes; accepted: up to 255", path);
	REFUSED(line, "--socket-path=a", "--alarm-action", path);
	path[255] = '\0';
	assert_int_equal(PARSE(&c, "--socket-path=a", "--alarm-action", path), 0);
	assert_string_equal(c.device[0].alarm_action, path);
	app_config_free(&c);
}

static void an_action_where_no_clock_has_an_alarm_is_refused(void **state)
{
	struct app_config c;

	(void)state;
	REFUSED("--alarm-action=exec:/x: no clock of the device has an alarm, its clocks are "
		"utc,tai; accepted: a clock with +alarm among them, or no action",
		"--socket-path=a", "--clocks=utc,tai", "--alarm-action=exec:/x");
	REFUSED("--alarm-action=qmp:/q: no clock of the device has an alarm, its clocks are none; "
		"accepted: a clock with +alarm among them, or no action",
		"--socket-path=a", "--clocks=none", "--alarm-action=qmp:/q");
	/* In whichever order they are. */
	refused_file("[device a]\nalarm_action = qmp:/q\nclocks = tai , utc\nsocket = /a\n",
		"2: [device a] alarm_action = qmp:/q: no clock of the device has an alarm, its "
		"clocks are tai , utc; accepted: a clock with +alarm among them, or no action");
	refused_file("[device a]\nsocket = /a\nclocks = tai\nalarm_action = exec:/x\n",
		"4: [device a] alarm_action = exec:/x: no clock of the device has an alarm, its "
		"clocks are tai; accepted: a clock with +alarm among them, or no action");
	/* What would be kept of no alarm, and where, harms nobody. */
	assert_int_equal(PARSE(&c, "--socket-path=a", "--clocks=tai", "--alarm-action=none",
				 "--retain=name", "--alarm-lcore=3", "--alarm-store=/x"),
		0);
	assert_false(app_config_has_alarms(&c));
	app_config_free(&c);
}

static void the_last_clock_of_the_last_device_is_enough_for_an_alarm(void **state)
{
	struct app_config c;

	(void)state;
	accept_file(&c, "[device a]\nsocket = /a\nclocks = none\n"
			"[device b]\nsocket = /b\nclocks = tai, utc, monotonic+alarm\n"
			"alarm_action = exec:/x\n");
	assert_true(app_config_has_alarms(&c));
	assert_false(c.device[1].clock[0].alarm);
	assert_false(c.device[1].clock[1].alarm);
	assert_true(c.device[1].clock[2].alarm);
	assert_int_equal(c.device[1].clock[2].type, VIRTIO_RTC_CLOCK_MONOTONIC);
	app_config_free(&c);
	accept_file(&c, "[device a]\nsocket = /a\nclocks = none\n"
			"[device b]\nsocket = /b\nclocks = tai, utc\n");
	assert_false(app_config_has_alarms(&c));
	app_config_free(&c);
}

/* ---- The file. */

static void a_file_says_everything(void **state)
{
	struct app_config c;
	char origin[64];

	(void)state;
	accept_file(&c,
		"# a comment\n\n; another\n[ global ] # and one\n idle =\tinterrupt # one\n"
		"leap_table=/a b/table\nalarm_lcore = 3, 11\nalarm_store=/dev/shm/a\n[device \t vm.1_-]\nsocket = /run/x y.sock\n"
		"mode = client\nclocks = tai , utc-smeared:utc-sls+alarm\nretain = name\n"
		"alarm_action = exec:/a b\n[device none]\n"
		"clocks = none\nmode = server\nsocket = b=c\n");
	assert_int_equal(c.idle, VRTC_IDLE_INTERRUPT);
	assert_true(c.idle_given);
	assert_string_equal(c.leap_table, "/a b/table");
	assert_int_equal(c.alarm_lcores.n, 2);
	assert_string_equal(c.alarm_store_dir, "/dev/shm/a");
	assert_int_equal(c.n_devices, 2);
	assert_string_equal(c.device[0].name, "vm.1_-");
	assert_string_equal(c.device[0].socket_path, "/run/x y.sock");
	snprintf(origin, sizeof(origin), "%s:10: [device vm.1_-] socket = ", file_path);
	assert_string_equal(c.device[0].origin, origin);
	assert_true(c.device[0].client);
	assert_int_equal(c.device[0].n_clocks, 2);
	assert_int_equal(c.device[0].clock[0].type, VIRTIO_RTC_CLOCK_TAI);
	assert_int_equal(c.device[0].clock[1].type, VIRTIO_RTC_CLOCK_UTC_SMEARED);
	assert_int_equal(c.device[0].clock[1].smear, VIRTIO_RTC_SMEAR_UTC_SLS);
	assert_false(c.device[0].clock[0].alarm);
	assert_true(c.device[0].clock[1].alarm);
	assert_int_equal(c.device[0].retain, VRTC_RETAIN_NAME);
	assert_string_equal(c.device[0].alarm_action, "exec:/a b");
	assert_int_equal(c.device[1].retain, VRTC_RETAIN_VMM);
	assert_string_equal(c.device[1].alarm_action, "");
	assert_false(c.device[1].client);
	assert_int_equal(c.device[1].n_clocks, 0);
	assert_string_equal(c.device[1].socket_path, "b=c");
	app_config_free(&c);
}

static void argv_has_precedence_over_the_file(void **state)
{
	struct app_config c;

	(void)state;
	write_text("[device a]\nsocket=/a\n[global]\nidle=pause\nleap_table=/t\n");
	assert_int_equal(PARSE(&c, "--idle=interrupt", "--leap-table=/u", "--socket-path=/b",
				 "--clocks=tai", "--client", "--config", file_path),
		0);
	assert_int_equal(c.idle, VRTC_IDLE_INTERRUPT);
	assert_string_equal(c.leap_table, "/u");
	/* The file's devices first, and untouched by what is for argv's. */
	assert_int_equal(c.n_devices, 2);
	assert_string_equal(c.device[0].name, "a");
	assert_false(c.device[0].client);
	check_default_clocks(&c.device[0]);
	assert_true(c.device[1].client);
	assert_int_equal(c.device[1].n_clocks, 1);
	app_config_free(&c);
}

static void a_key_given_twice_is_refused_with_both_lines(void **state)
{
	(void)state;
	refused_file("[global]\n\nidle = busy\n# x\nidle = pause\n",
		"5: [global] idle = pause: the key was there before, in line 3; accepted: each key "
		"once");
}

static void a_section_given_twice_is_refused_with_both_lines(void **state)
{
	(void)state;
	refused_file("\n[device a]\nsocket=/a\n[device  a]\n",
		"4: [device a]: the section was there before, in line 2; accepted: each section "
		"once");
}

static void a_mistake_in_the_file_is_one_line_with_its_place(void **state)
{
	static const struct {
		const char *text;
		const char *line;
	} cases[] = {
		{"idle = busy\n",
			"1: idle = busy: no section begins before it; accepted: a [section] first"},
		{"[global\n", "1: [global: the ] is missing; accepted: [section]"},
		{"[global # ]\n", "1: [global: the ] is missing; accepted: [section]"},
		{"[]\n", "1: []: the name is missing; accepted: [section]"},
		{"[ \t]\n", "1: []: the name is missing; accepted: [section]"},
		{"[global] x\n", "1: [global] x: something follows the ]; accepted: [section]"},
		{"[glob]\n", "1: [glob]: no such section; accepted: [global], [device NAME]"},
		{"[GLOBAL]\n", "1: [GLOBAL]: no such section; accepted: [global], [device NAME]"},
		{"[devices a]\n",
			"1: [devices a]: no such section; accepted: [global], [device NAME]"},
		{"[device]\n", "1: [device]: the device has no name; accepted: [device NAME]"},
		{"[device -a]\n", "1: [device -a]: " NOT_A_NAME},
		{"[device a b]\n", "1: [device a b]: " NOT_A_NAME},
		{"[device \303\244]\n", "1: [device \303\244]: " NOT_A_NAME},
		{"[device a]\n",
			"1: [device a]: the device has no socket; accepted: socket = PATH"},
		{"[global]\nidle\n", "2: [global] idle: there is no =; " SYNTAX},
		{"[global]\n = busy\n", "2: [global] = busy: a key is missing; " SYNTAX},
		{"[global]\nidle = \n",
			"2: [global] idle = : the value is missing; accepted: key = value, or no "
			"line at all for the default"},
		{"[global]\nidle = # busy\n",
			"2: [global] idle = : the value is missing; accepted: key = value, or no "
			"line at all for the default"},
		{"[global]\nidle = busy ; x\n",
			"2: [global] idle = busy ; x: a comment after a value begins with #; "
			"accepted: key = value # comment"},
		{"[global]\nidle = lazy\n",
			"2: [global] idle = lazy: no such idle policy; accepted: busy, pause, "
			"interrupt"},
		{"[global]\nmode = client\n",
			"2: [global] mode = client: no such key; accepted: idle, leap_table, host_timescale, phc_holdover, alarm_lcore, "
			"alarm_store, seccomp"},
		{"[device a]\nIdle = busy\n",
			"2: [device a] Idle = busy: no such key; accepted: socket, mode, clocks, source, counter, packed, retain, "
			"alarm_action, socket_mode, socket_owner"},
		{"[device a]\nsocket = /a\nmode = both\n",
			"3: [device a] mode = both: no such mode; accepted: server (we listen), "
			"client (we connect)"},
		{"[device a]\nsocket = /a\nclocks = gps\n",
			"3: [device a] clocks = gps: there is no clock \"gps\"" NO_CLOCK_TAIL},
		{"[device a]\nsocket = /a/\n",
			"2: [device a] socket = /a/: names a folder; accepted: the path of a "
			"socket"},
		{"[device a]\nsocket = /a\n[device b]\nsocket = /./a\n",
			"4: [device b] socket = /./a: the device a has this socket already; "
			"accepted: a socket for each device"},
		{"[global]\nidle = a\001b\n",
			"2: a character with code 1 is in the line; accepted: text"},
		{"# \033[2J\n", "1: a character with code 27 is in the line; accepted: text"},
		{"[global]\nidle = a\177b\n",
			"2: a character with code 127 is in the line; accepted: text"},
		{"[device a]\nsocket = /a\rb\n",
			"2: a character with code 13 is in the line; accepted: text"},
		{"[device a]\rsocket = /a\r",
			"1: a character with code 13 is in the line; accepted: text"},
		{"", " there is no device in it; accepted: a section [device NAME] with socket = "
		     "PATH, or --socket-path PATH"},
		{"\n# nothing\n\n", " there is no device in it; accepted: a section [device NAME] "
				    "with socket = PATH, or --socket-path PATH"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused_file(cases[i].text, cases[i].line);
}

static void a_nul_byte_is_refused_where_it_is(void **state)
{
	static const char text[] = "[device a]\nsocket = /a\0b\n";

	(void)state;
	refused_file_bytes(text, sizeof(text) - 1,
		"2: a character with code 0 is in the line; accepted: text");
	refused_file_bytes("\0", 1, "1: a character with code 0 is in the line; accepted: text");
}

static void lines_may_end_as_on_windows_or_not_at_all(void **state)
{
	struct app_config c;

	(void)state;
	accept_file(&c, "[device a]\r\n\r\nsocket = /a\r\nmode = client # x\r\n");
	assert_string_equal(c.device[0].socket_path, "/a");
	assert_true(c.device[0].client);
	app_config_free(&c);
	accept_file(&c, "[device a]\nsocket = /a");
	assert_string_equal(c.device[0].socket_path, "/a");
	app_config_free(&c);
}

/* ---- Limits. */

static void a_path_of_107_bytes_is_taken_and_of_108_refused(void **state)
{
	struct app_config c;
	char path[109];
	char text[160];
	char line[256];

	(void)state;
	memset(path, 'p', 108);
	path[108] = '\0';
	snprintf(line, sizeof(line),
		"--socket-path=%s: the path has 108 bytes; accepted: up to 107", path);
	REFUSED(line, "--socket-path", path);
	snprintf(text, sizeof(text), "[device a]\nsocket = %s\n", path);
	snprintf(line, sizeof(line),
		"2: [device a] socket = %s: the path has 108 bytes; accepted: up to 107", path);
	refused_file(text, line);
	path[107] = '\0';
	assert_int_equal(PARSE(&c, "--socket-path", path), 0);
	assert_string_equal(c.device[0].socket_path, path);
	app_config_free(&c);
}

static void a_name_of_48_bytes_is_taken_and_of_49_refused(void **state)
{
	static const char n49[] = "1234567890123456789012345678901234567890123456789";
	struct app_config c;
	char text[160];
	char line[256];

	(void)state;
	snprintf(text, sizeof(text), "[device %s]\nsocket = /a\n", n49);
	snprintf(line, sizeof(line), "1: [device %s]: the name has 49 bytes; accepted: up to 48",
		n49);
	refused_file(text, line);
	snprintf(text, sizeof(text), "[device %s]\nsocket = /a\n", n49 + 1);
	accept_file(&c, text);
	assert_string_equal(c.device[0].name, n49 + 1);
	app_config_free(&c);
}

static void a_value_of_255_bytes_is_taken_and_of_256_refused(void **state)
{
	struct app_config c;
	char value[257];
	char text[512];
	char line[512];

	(void)state;
	memset(value, 'v', 256);
	value[256] = '\0';
	snprintf(text, sizeof(text), "[global]\nleap_table = %s\n", value);
	snprintf(line, sizeof(line),
		"2: [global] leap_table = %.160s: the value has 256 bytes; accepted: up to 255",
		value);
	refused_file(text, line);
	value[255] = '\0';
	snprintf(text, sizeof(text), "[global]\nleap_table = %s\n[device a]\nsocket = /a\n", value);
	accept_file(&c, text);
	assert_string_equal(c.leap_table, value);
	app_config_free(&c);
}

static void keys_and_section_names_end_at_63_bytes(void **state)
{
	char name[65];
	char text[256];
	char line[256];

	(void)state;
	memset(name, 'n', 64);
	name[64] = '\0';
	snprintf(text, sizeof(text), "[global]\n%s = 1\n", name);
	snprintf(line, sizeof(line), "2: [global] %s = 1: the key has 64 bytes; accepted: up to 63",
		name);
	refused_file(text, line);
	snprintf(text, sizeof(text), "[global]\n%s = 1\n", name + 1);
	snprintf(line, sizeof(line),
		"2: [global] %s = 1: no such key; accepted: idle, leap_table, host_timescale, phc_holdover, alarm_lcore, "
		"alarm_store, seccomp",
		name + 1);
	refused_file(text, line);
	snprintf(text, sizeof(text), "[%s]\n", name + 1);
	snprintf(line, sizeof(line), "1: [%s]: no such section; accepted: [global], [device NAME]",
		name + 1);
	refused_file(text, line);
	snprintf(text, sizeof(text), "[%s]\n", name);
	snprintf(line, sizeof(line), "1: [%s]: the name has 64 bytes; accepted: up to 63", name);
	refused_file(text, line);
}

static void the_33rd_key_of_a_section_is_refused(void **state)
{
	char text[512] = "[global]\n";

	(void)state;
	for (unsigned i = 0; i < 33; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "k%u = v\n", i);
	refused_file(
		text, "34: [global] k32 = v: too many keys in the section; accepted: up to 32");
}

/* A line is not limited by itself: a comment and blanks are nothing, however many. */
static void a_long_comment_or_indent_is_no_mistake(void **state)
{
	struct app_config c;
	char *text = malloc(100100);
	size_t bytes;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', 50000);
	bytes = 50000 + (size_t)snprintf(text + 50000, 100, "[device a]\nsocket = /a #");
	memset(text + bytes, '=', 50000);
	write_file(text, bytes + 50000);
	assert_int_equal(PARSE(&c, "--config", file_path), 0);
	assert_string_equal(c.device[0].socket_path, "/a");
	app_config_free(&c);
	free(text);
}

static void a_long_word_is_cut_in_the_message(void **state)
{
	char text[5000];
	char line[512];

	(void)state;
	memset(text, 'w', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(line, sizeof(line),
		"1: %.160s: no section begins before it; accepted: a [section] first", text);
	refused_file(text, line);
	snprintf(line, sizeof(line),
		"%.160s: not an option; a socket is given as --socket-path %.160s", text, text);
	REFUSED(line, text);
}

static void a_file_of_more_than_two_megabytes_is_refused(void **state)
{
	char line[128];

	(void)state;
	assert_int_equal(ftruncate(file_fd, 0), 0);
	assert_int_equal(ftruncate(file_fd, 2 * 1024 * 1024 + 1), 0);
	snprintf(line, sizeof(line),
		"%s: is longer than 2097152 bytes; accepted: a configuration file", file_path);
	REFUSED(line, "--config", file_path);
}

static void clocks_are_64_at_most(void **state)
{
	char list[65 * 4 + 1] = "";
	struct app_config c;
	char text[512];
	char line[512];

	(void)state;
	for (unsigned i = 0; i < 65; i++)
		memcpy(list + 4 * i, "utc,", 5);
	list[259] = '\0';
	snprintf(line, sizeof(line), "--clocks=%.160s: too many clocks; accepted: up to 64", list);
	REFUSED(line, "--clocks", list, "--socket-path=a");
	list[255] = '\0';
	assert_int_equal(PARSE(&c, "--clocks", list, "--socket-path=a"), 0);
	assert_int_equal(c.device[0].n_clocks, 64);
	app_config_free(&c);
	snprintf(text, sizeof(text), "[device a]\nsocket = /a\nclocks = %s\n", list);
	accept_file(&c, text);
	assert_int_equal(c.device[0].n_clocks, 64);
	app_config_free(&c);
}

static void add_devices(char *text, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		text += sprintf(text, "[device d%u]\nsocket = /s/%u\n", i, i);
}

#define TOO_MANY                                                                                   \
	"too many devices; accepted: up to 511 that listen, up to 1000 that connect, and of both " \
	"as many as have 1022 descriptors, two and one each"

static void devices_are_511_at_most(void **state)
{
	static char text[64 * 1024];
	struct app_config c;

	(void)state;
	add_devices(text, 511);
	accept_file(&c, text);
	assert_int_equal(c.n_devices, 511);
	assert_string_equal(c.device[510].name, "d510");
	app_config_free(&c);
	REFUSED("--socket-path=/x: " TOO_MANY, "--socket-path=/x", "--config", file_path);
	add_devices(text, 512);
	refused_file(text, "1024: [device d511] socket = /s/511: " TOO_MANY);
	/* With [global] as well there is still room to say what is wrong. */
	memcpy(text, "[global]\n", 10);
	add_devices(text + 9, 512);
	refused_file(text, "1025: [device d511] socket = /s/511: " TOO_MANY);
	add_devices(text, 1003);
	refused_file(text, "2005: [device d1002]: too many sections; accepted: up to 1002");
}

/* Returns where the text ends. */
static char *add_clients(char *text, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		text += sprintf(text, "[device c%u]\nsocket = /c/%u\nmode = client\n", i, i);
	return text;
}

static void clients_are_1000_at_most_and_servers_count_twice_beside_them(void **state)
{
	static char text[64 * 1024];
	struct app_config c;

	(void)state;
	add_clients(text, 1000);
	accept_file(&c, text);
	assert_int_equal(c.n_devices, 1000);
	app_config_free(&c);
	add_clients(text, 1001);
	refused_file(text, "3002: [device c1000] socket = /c/1000: " TOO_MANY);
	add_devices(add_clients(text, 900), 61);
	accept_file(&c, text);
	assert_int_equal(c.n_devices, 961);
	app_config_free(&c);
	add_devices(add_clients(text, 900), 62);
	refused_file(text, "2824: [device d61] socket = /s/61: " TOO_MANY);
}

static void a_small_buffer_for_the_line_is_not_overrun(void **state)
{
	char *argv[] = {(char[]){"dpdk-rtc"}, (char[]){"--bad"}, NULL};
	struct app_config c;
	char small[8];

	(void)state;
	for (unsigned bytes = 0; bytes <= sizeof(small); bytes++) {
		memset(small, '@', sizeof(small));
		assert_int_equal(app_config_parse(&c, 2, argv, small, bytes), -EINVAL);
		for (unsigned i = bytes; i < sizeof(small); i++)
			assert_int_equal(small[i], '@');
	}
}

/* ---- Chance. */

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* 0, or one printable line; nothing else. */
static void check_any_file(const void *text, size_t bytes)
{
	struct app_config c;

	write_file(text, bytes);
	if (PARSE(&c, "--config", file_path)) {
		check_one_line(error);
		assert_int_equal(strncmp(error, file_path, strlen(file_path)), 0);
		check_nothing_to_free(&c);
		return;
	}
	assert_in_range(c.n_devices, 1, APP_DEVICES_MAX);
	for (unsigned i = 0; i < c.n_devices; i++) {
		assert_in_range(strlen(c.device[i].name), 1, APP_NAME_BYTES_MAX);
		assert_in_range(strlen(c.device[i].socket_path), 1, 107);
		assert_in_range(c.device[i].n_clocks, 0, APP_CLOCKS_MAX);
	}
	app_config_free(&c);
}

static void random_bytes_give_one_line(void **state)
{
	uint64_t seed = 1;
	unsigned char text[600];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		size_t bytes = next_random(&seed) % sizeof(text);
		/* Few different bytes make deeper files than all of them. */
		static const char few[] = "[]=#;\n\n\r\t ab\\,/:";

		for (size_t k = 0; k < bytes; k++)
			text[k] = i % 2 ? (unsigned char)few[next_random(&seed) % 16]
					: (unsigned char)next_random(&seed);
		check_any_file(text, bytes);
	}
}

static void a_good_file_changed_at_random_is_good_or_gives_one_line(void **state)
{
	static const char good[] =
		"# all\n[global]\nidle = pause\nleap_table = /t\nalarm_lcore = 3,11\nalarm_store = /s\n\n[device a]\nsocket = /run/a.sock\n"
		"mode = client\nclocks = utc+alarm, tai\nretain = no\nalarm_action = qmp:/q\n[device b]\nsocket = b # x\nclocks = none\n";
	static const char few[] = "[]=#;\n\r\t ab\\,/.\0\033";
	uint64_t seed = 2;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		char text[2 * sizeof(good)];
		size_t bytes = sizeof(good) - 1;

		memcpy(text, good, bytes);
		for (unsigned n = 1 + next_random(&seed) % 4; n > 0; n--) {
			size_t at = next_random(&seed) % bytes;
			size_t many = next_random(&seed) % (bytes - at) % 32;

			switch (next_random(&seed) % 4) {
			case 0:
				text[at] = few[next_random(&seed) % (sizeof(few) - 1)];
				break;
			case 1:
				text[at] ^= (char)(1 << next_random(&seed) % 8);
				break;
			case 2:
				memmove(text + at, text + at + many, bytes - at - many);
				bytes -= many;
				break;
			default:
				if (bytes + many <= sizeof(text)) {
					memmove(text + at + many, text + at, bytes - at);
					bytes += many;
				}
				break;
			}
			if (bytes == 0)
				bytes = 1;
		}
		check_any_file(text, bytes);
	}
}

static void random_argv_gives_one_line_or_devices(void **state)
{
	static const char *const pool[] = {"--", "--socket-path", "--socket-path=", "/a", "b.sock",
		"--client", "--clocks", "--clocks=tai", "utc,,", "--idle=pause", "--idle", "-l",
		"0", "", "-", "=", "--=", "--help", "--check-config", "--fd", "--leap-table=\n\n",
		"\177\377", "--config=/nonexistent", "--socket-path=/c\n", "--alarm-lcore=1,1",
		"--alarm-lcore=1", "--alarm-store=/s", "--alarm-store", "--retain=no",
		"--alarm-action=qmp:/q", "--no-huge"};
	uint64_t seed = 3;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		const char *args[8] = {NULL};
		unsigned n = next_random(&seed) % 8;
		struct app_config c;

		for (unsigned k = 0; k < n; k++)
			args[k] = pool[next_random(&seed) % (sizeof(pool) / sizeof(pool[0]))];
		if (parse_args(&c, args) == 0) {
			app_config_free(&c);
			continue;
		}
		check_one_line(error);
		check_nothing_to_free(&c);
	}
}

/* ---- Where time comes from. */

static void the_hosts_timescale_is_utc_unless_somebody_says_otherwise(void **state)
{
	static const struct {
		const char *name;
		enum vrtc_host_timescale timescale;
	} known[] = {{"utc", VRTC_HOST_UTC}, {"tai-offset", VRTC_HOST_TAI_OFFSET},
		{"noon-linear", VRTC_HOST_NOON_LINEAR}, {"utc-sls", VRTC_HOST_UTC_SLS}};
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--socket-path", "a"), 0);
	assert_int_equal(c.host_timescale, VRTC_HOST_UTC);
	assert_int_equal(c.phc_holdover_s, APP_HOLDOVER_S);
	app_config_free(&c);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(
			PARSE(&c, "--socket-path", "a", "--host-timescale", known[i].name), 0);
		assert_int_equal(c.host_timescale, known[i].timescale);
		app_config_free(&c);
	}
	accept_file(&c, "[global]\nhost_timescale = utc-sls\nphc_holdover = 3\n"
			"[device a]\nsocket = s\n");
	assert_int_equal(c.host_timescale, VRTC_HOST_UTC_SLS);
	assert_int_equal(c.phc_holdover_s, 3);
	app_config_free(&c);
	REFUSED("--host-timescale=gps: CLOCK_REALTIME cannot be on such a timescale; accepted: utc, "
		"tai-offset (utc, and the kernel is told TAI - UTC), noon-linear, utc-sls, unknown",
		"--socket-path", "a", "--host-timescale", "gps");
}

static void clocks_that_cannot_be_told_of_an_unknown_timescale_are_refused(void **state)
{
	static const char why[] =
		" cannot be told where host_timescale = unknown: nobody knows how far "
		"CLOCK_REALTIME is from it around a leap second; accepted: utc-maybe-smeared, "
		"monotonic, or another source of time";
	char line[ERROR_BYTES];

	(void)state;
	snprintf(line, sizeof(line), "--clocks=monotonic,tai: tai%s", why);
	REFUSED(line, "--socket-path", "a", "--host-timescale", "unknown", "--clocks",
		"monotonic,tai");
	/* The timescale may be said behind the device. */
	snprintf(line, sizeof(line),
		"3: [device a] clocks = utc-smeared: utc-smeared:noon-linear%s", why);
	refused_file("[device a]\nsocket = s\nclocks = utc-smeared\n"
		     "[global]\nhost_timescale = unknown\n",
		line);
}

static void clocks_of_an_unknown_timescale_are_by_default_those_that_can_be_told(void **state)
{
	struct app_config c;

	(void)state;
	assert_int_equal(PARSE(&c, "--socket-path", "a", "--host-timescale", "unknown"), 0);
	assert_int_equal(c.device[0].n_clocks, 2);
	assert_int_equal(c.device[0].clock[0].type, VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED);
	assert_true(c.device[0].clock[0].alarm);
	assert_int_equal(c.device[0].clock[1].type, VIRTIO_RTC_CLOCK_MONOTONIC);
	app_config_free(&c);
	/* A PTP hardware clock can tell them. */
	assert_int_equal(PARSE(&c, "--socket-path", "a", "--host-timescale", "unknown", "--source",
				 "phc:/dev/ptp0"),
		0);
	check_default_clocks(&c.device[0]);
	app_config_free(&c);
}

static void a_source_is_the_system_or_a_ptp_hardware_clock_on_tai_or_utc(void **state)
{
	struct app_config c;

	(void)state;
	accept_file(&c, "[device a]\nsocket = s\n"
			"[device b]\nsocket = t\nsource = phc:/dev/ptp1\n"
			"[device c]\nsocket = u\nsource = phc:/dev/ptp1,utc\n"
			"[device d]\nsocket = v\nsource = phc:/dev/ptp_kvm,tai\n"
			"[device e]\nsocket = w\nsource = system\n");
	assert_string_equal(c.device[0].phc, "");
	assert_string_equal(c.device[1].phc, "/dev/ptp1");
	assert_false(c.device[1].phc_is_utc);
	assert_string_equal(c.device[2].phc, "/dev/ptp1");
	assert_true(c.device[2].phc_is_utc);
	assert_string_equal(c.device[3].phc, "/dev/ptp_kvm");
	assert_false(c.device[3].phc_is_utc);
	assert_string_equal(c.device[4].phc, "");
	app_config_free(&c);
	REFUSED("--source=ptp0: no such source of time; accepted: system, phc:/dev/ptpN (TAI), "
		"phc:/dev/ptpN,utc",
		"--socket-path", "a", "--source", "ptp0");
	REFUSED("--source=phc:/dev/ptp0,gps: a PTP hardware clock that shows neither TAI nor UTC; "
		"accepted: phc:/dev/ptpN or phc:/dev/ptpN,tai (TAI), phc:/dev/ptpN,utc",
		"--socket-path", "a", "--source", "phc:/dev/ptp0,gps");
	REFUSED("--phc-holdover=0: not a holdover; accepted: 1 to 86400 seconds", "--socket-path",
		"a", "--phc-holdover", "0");
	REFUSED("--phc-holdover=99999999999: not a holdover; accepted: 1 to 86400 seconds",
		"--socket-path", "a", "--phc-holdover", "99999999999");
	REFUSED("--phc-holdover=1h: not a holdover; accepted: 1 to 86400 seconds", "--socket-path",
		"a", "--phc-holdover", "1h");
}

/* ---- What is shipped. */

static void the_file_that_is_installed_says_the_defaults(void **state)
{
	struct app_config shipped;
	struct app_config plain;

	(void)state;
	if (PARSE(&shipped, "--config", DPDK_RTC_INI))
		fail_msg("%s", error);
	assert_int_equal(PARSE(&plain, "--socket-path", "/run/dpdk-rtc/vm1.sock"), 0);
	assert_int_equal(shipped.idle, plain.idle);
	assert_string_equal(shipped.leap_table, plain.leap_table);
	assert_int_equal(shipped.n_devices, 1);
	assert_string_equal(shipped.device[0].name, plain.device[0].name);
	assert_string_equal(shipped.device[0].socket_path, plain.device[0].socket_path);
	assert_int_equal(shipped.device[0].client, plain.device[0].client);
	check_default_clocks(&shipped.device[0]);
	assert_int_equal(shipped.alarm_lcores.choice, plain.alarm_lcores.choice);
	assert_int_equal(shipped.alarm_store, plain.alarm_store);
	assert_null(shipped.alarm_store_dir);
	assert_int_equal(shipped.device[0].retain, plain.device[0].retain);
	assert_string_equal(shipped.device[0].alarm_action, plain.device[0].alarm_action);
	assert_int_equal(shipped.host_timescale, plain.host_timescale);
	assert_int_equal(shipped.phc_holdover_s, plain.phc_holdover_s);
	assert_string_equal(shipped.device[0].phc, plain.device[0].phc);
	app_config_free(&shipped);
	app_config_free(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_socket_gives_one_device_with_the_defaults),
		cmocka_unit_test(a_value_follows_an_equals_sign_or_is_the_next_argument),
		cmocka_unit_test(what_stands_before_two_dashes_is_the_eals),
		cmocka_unit_test(actions_that_do_not_run_need_no_device),
		cmocka_unit_test(print_capabilities_makes_everything_else_moot),
		cmocka_unit_test(a_mistake_in_argv_is_one_line_that_says_what_is_accepted),
		cmocka_unit_test(client_and_clocks_without_a_socket_of_argv_are_refused),
		cmocka_unit_test(retain_and_alarm_action_without_a_socket_of_argv_are_refused),
		cmocka_unit_test(the_same_socket_is_known_however_it_is_spelled),
		cmocka_unit_test(a_device_is_named_after_its_socket),
		cmocka_unit_test(devices_of_equal_file_names_get_a_number),
		cmocka_unit_test(alarm_lcores_are_a_word_or_a_list_of_different_lcores),
		cmocka_unit_test(other_alarm_lcores_are_refused),
		cmocka_unit_test(alarm_store_is_a_word_or_an_absolute_path),
		cmocka_unit_test(a_relative_or_long_alarm_store_is_refused),
		cmocka_unit_test(packed_rings_are_offered_unless_they_are_off),
		cmocka_unit_test(system_calls_are_limited_or_not),
		cmocka_unit_test(a_sockets_mode_is_three_octal_digits),
		cmocka_unit_test(a_sockets_owner_is_a_user_a_group_or_both_by_name_or_number),
		cmocka_unit_test(a_socket_that_the_vmm_makes_gets_neither_mode_nor_owner),
		cmocka_unit_test(retain_is_for_a_process_a_name_or_not_at_all),
		cmocka_unit_test(an_alarm_action_is_a_qmp_socket_or_a_program),
		cmocka_unit_test(another_alarm_action_is_refused),
		cmocka_unit_test(an_action_where_no_clock_has_an_alarm_is_refused),
		cmocka_unit_test(the_last_clock_of_the_last_device_is_enough_for_an_alarm),
		cmocka_unit_test(a_file_says_everything),
		cmocka_unit_test(argv_has_precedence_over_the_file),
		cmocka_unit_test(a_key_given_twice_is_refused_with_both_lines),
		cmocka_unit_test(a_section_given_twice_is_refused_with_both_lines),
		cmocka_unit_test(a_mistake_in_the_file_is_one_line_with_its_place),
		cmocka_unit_test(a_nul_byte_is_refused_where_it_is),
		cmocka_unit_test(lines_may_end_as_on_windows_or_not_at_all),
		cmocka_unit_test(a_path_of_107_bytes_is_taken_and_of_108_refused),
		cmocka_unit_test(a_name_of_48_bytes_is_taken_and_of_49_refused),
		cmocka_unit_test(a_value_of_255_bytes_is_taken_and_of_256_refused),
		cmocka_unit_test(keys_and_section_names_end_at_63_bytes),
		cmocka_unit_test(the_33rd_key_of_a_section_is_refused),
		cmocka_unit_test(a_long_comment_or_indent_is_no_mistake),
		cmocka_unit_test(a_long_word_is_cut_in_the_message),
		cmocka_unit_test(a_file_of_more_than_two_megabytes_is_refused),
		cmocka_unit_test(clocks_are_64_at_most),
		cmocka_unit_test(devices_are_511_at_most),
		cmocka_unit_test(clients_are_1000_at_most_and_servers_count_twice_beside_them),
		cmocka_unit_test(a_small_buffer_for_the_line_is_not_overrun),
		cmocka_unit_test(random_bytes_give_one_line),
		cmocka_unit_test(a_good_file_changed_at_random_is_good_or_gives_one_line),
		cmocka_unit_test(random_argv_gives_one_line_or_devices),
		cmocka_unit_test(the_hosts_timescale_is_utc_unless_somebody_says_otherwise),
		cmocka_unit_test(clocks_that_cannot_be_told_of_an_unknown_timescale_are_refused),
		cmocka_unit_test(
			clocks_of_an_unknown_timescale_are_by_default_those_that_can_be_told),
		cmocka_unit_test(a_source_is_the_system_or_a_ptp_hardware_clock_on_tai_or_utc),
		cmocka_unit_test(the_file_that_is_installed_says_the_defaults),
	};

	return cmocka_run_group_tests(tests, open_file, close_file);
}
