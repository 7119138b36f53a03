/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the operator writes, on the command line and in a file: what it means, and the one line for
 * each mistake, word by word. The sockets are looked at in a folder of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "config_file.h"
#include "socket_path.h"
#include "wire.h"

#define ARGS_MAX 24
#define CLOCKS                                                                                     \
	"utc, tai, monotonic, utc-smeared[:noon-linear|:utc-sls], utc-maybe-smeared, separated "   \
	"by commas; or none"
#define REPEAT_63  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define REPEAT_252 REPEAT_63 REPEAT_63 REPEAT_63 REPEAT_63

static char dir[] = "/tmp/dpdk-rtc-config-XXXXXX";
static char ini[64];
static struct app_config config;
static char error[1024];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(ini, sizeof(ini), "%s/a.ini", dir);
	return 0;
}

static int remove_dir(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	(void)state;
	if (!d)
		return -1;
	while ((entry = readdir(d)))
		(void)unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	return rmdir(dir);
}

static void write_bytes(const void *bytes, size_t n)
{
	FILE *f = fopen(ini, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void write_ini(const char *text)
{
	write_bytes(text, strlen(text));
}

/* Arguments after the program's name, NULL last. */
#define parse(...) parse_args((const char *const[]){__VA_ARGS__})

static int parse_args(const char *const *arg)
{
	const char *argv[ARGS_MAX + 2] = {"dpdk-rtc"};
	int argc = 1;

	while (*arg && argc <= ARGS_MAX)
		argv[argc++] = *arg++;
	memset(error, 0, sizeof(error));
	return app_config_parse(&config, argc, (char **)argv, error, sizeof(error));
}

/* One line, printable, whole; and nothing that was to be freed is left. */
static void assert_error(const char *expected)
{
	const struct app_config empty = {0};

	assert_string_equal(error, expected);
	assert_true(strlen(error) < sizeof(error) - 1);
	for (const char *c = error; *c; c++)
		assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
	assert_memory_equal(&config, &empty, sizeof(empty));
}

/* A file's error; expected is what follows the file's name. */
static void assert_ini_error(const char *text, const char *expected)
{
	char whole[1024];

	write_ini(text);
	assert_int_equal(parse("--config", ini, NULL), -EINVAL);
	snprintf(whole, sizeof(whole), "%s:%s", ini, expected);
	assert_error(whole);
}

/* A file that is good. */
static void assert_ini(const char *text)
{
	write_ini(text);
	if (parse("--config", ini, NULL))
		fail_msg("%s", error);
}

static void assert_clock(
	const struct app_device_config *d, unsigned id, uint8_t type, uint8_t smear)
{
	assert_in_range(id, 0, d->n_clocks - 1u);
	assert_int_equal(d->clock[id].type, type);
	assert_int_equal(d->clock[id].smear, smear);
}

static void assert_default_clocks(const struct app_device_config *d)
{
	assert_int_equal(d->n_clocks, 4);
	assert_clock(d, 0, VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR);
	assert_clock(d, 1, VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED);
	assert_clock(d, 2, VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED);
	assert_clock(d, 3, VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED);
}

/* ---- The command line. */

static void one_socket_path_is_all_it_takes(void **state)
{
	(void)state;
	assert_int_equal(parse("--socket-path", "/run/rtc/vm1.sock", NULL), 0);
	assert_int_equal(config.action, APP_RUN);
	assert_int_equal(config.idle, VRTC_IDLE_BUSY);
	assert_false(config.idle_given);
	assert_string_equal(config.leap_table, APP_LEAP_TABLE);
	assert_int_equal(config.n_eal, 1);
	assert_string_equal(config.eal[0], "dpdk-rtc");
	assert_null(config.eal[1]);
	assert_int_equal(config.n_devices, 1);
	assert_string_equal(config.device[0].name, "vm1");
	assert_string_equal(config.device[0].socket_path, "/run/rtc/vm1.sock");
	assert_string_equal(config.device[0].origin, "--socket-path=");
	assert_false(config.device[0].client);
	assert_default_clocks(&config.device[0]);
	app_config_free(&config);
}

static void a_value_may_follow_an_equals_sign_or_stand_alone(void **state)
{
	(void)state;
	assert_int_equal(parse("--socket-path=a=b.sock", "--idle=pause", "--leap-table", "t",
				 "--clocks=tai", "--client", NULL),
		0);
	assert_string_equal(config.device[0].socket_path, "a=b.sock");
	assert_int_equal(config.idle, VRTC_IDLE_PAUSE);
	assert_true(config.idle_given);
	assert_string_equal(config.leap_table, "t");
	assert_true(config.device[0].client);
	assert_int_equal(config.device[0].n_clocks, 1);
	assert_clock(&config.device[0], 0, VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED);
	app_config_free(&config);
}

static void what_stands_before_the_dashes_is_the_eals_untouched(void **state)
{
	(void)state;
	assert_int_equal(parse("-l", "2,3", "--nonsense=1", "--help", "--", "--socket-path", "x",
				 "--idle=interrupt", NULL),
		0);
	assert_int_equal(config.action, APP_RUN);
	assert_int_equal(config.n_eal, 5);
	assert_string_equal(config.eal[0], "dpdk-rtc");
	assert_string_equal(config.eal[1], "-l");
	assert_string_equal(config.eal[2], "2,3");
	assert_string_equal(config.eal[3], "--nonsense=1");
	assert_string_equal(config.eal[4], "--help");
	assert_null(config.eal[5]);
	assert_int_equal(config.idle, VRTC_IDLE_INTERRUPT);
	app_config_free(&config);
}

static void nothing_before_the_dashes_is_the_embedded_default(void **state)
{
	(void)state;
	assert_int_equal(parse("--", "--socket-path", "x", NULL), 0);
	assert_int_equal(config.n_eal, 1);
	app_config_free(&config);
}

static void devices_of_the_command_line_are_named_after_their_sockets(void **state)
{
	static const struct {
		const char *path;
		const char *name;
	} cases[] = {
		{"/run/a.sock", "a"},
		{"/run/a.socket", "a-2"},
		{"a", "a-3"},
		{".sock", "xsock"},
		{"/x/.b", "xb"},
		{"with blank and ü", "with_blank_and___"},
		{"/y/1.2_3-4", "1.2_3-4"},
		{"012345678901234567890123456789012345678901234567890.sock",
			"012345678901234567890123456789012345678901234567"},
		{"/z/012345678901234567890123456789012345678901234567890.sock",
			"0123456789012345678901234567890123456789012345-2"},
	};

	(void)state;
	assert_int_equal(parse("--socket-path", cases[0].path, "--socket-path", cases[1].path,
				 "--socket-path", cases[2].path, "--socket-path", cases[3].path,
				 "--socket-path", cases[4].path, "--socket-path", cases[5].path,
				 "--socket-path", cases[6].path, "--socket-path", cases[7].path,
				 "--socket-path", cases[8].path, NULL),
		0);
	assert_int_equal(config.n_devices, 9);
	for (unsigned i = 0; i < 9; i++) {
		assert_string_equal(config.device[i].socket_path, cases[i].path);
		assert_string_equal(config.device[i].name, cases[i].name);
	}
	app_config_free(&config);
}

static void none_is_a_device_without_clocks(void **state)
{
	(void)state;
	assert_int_equal(parse("--socket-path=x", "--clocks=none", NULL), 0);
	assert_int_equal(config.device[0].n_clocks, 0);
	app_config_free(&config);
}

static void a_clock_may_be_there_more_than_once_and_64_are_enough(void **state)
{
	char list[64 * 4 + 8] = "";

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		memcpy(list + 4 * (size_t)i, "tai,", 5);
	list[255] = '\0';
	assert_int_equal(parse("--socket-path=x", "--clocks", list, NULL), 0);
	assert_int_equal(config.device[0].n_clocks, 64);
	app_config_free(&config);

	memcpy(list + 255, ",utc", 5);
	assert_int_equal(parse("--socket-path=x", "--clocks", list, NULL), -EINVAL);
	assert_non_null(strstr(error, ": too many clocks; accepted: up to 64"));
}

static void help_version_and_capabilities_need_no_device(void **state)
{
	(void)state;
	assert_int_equal(parse("--help", NULL), 0);
	assert_int_equal(config.action, APP_HELP);
	app_config_free(&config);
	assert_int_equal(parse("-h", "--nonsense", NULL), 0);
	assert_int_equal(config.action, APP_HELP);
	app_config_free(&config);
	assert_int_equal(parse("--version", NULL), 0);
	assert_int_equal(config.action, APP_VERSION);
	app_config_free(&config);
	/* "Other options and arguments should be ignored", say QEMU's conventions. */
	assert_int_equal(parse("--socket-path=/nope", "--nonsense", "--fd=3",
				 "--print-capabilities", "--help", NULL),
		0);
	assert_int_equal(config.action, APP_PRINT_CAPABILITIES);
	app_config_free(&config);
	assert_int_equal(parse("--check-config", "--socket-path=/nope/x", NULL), 0);
	assert_int_equal(config.action, APP_CHECK_CONFIG);
	app_config_free(&config);
}

static void each_mistake_in_an_option_is_one_line(void **state)
{
	static const struct {
		const char *arg[4];
		const char *expected;
	} cases[] = {
		{{NULL},
			"no device: give --socket-path PATH for each, or --config FILE with sections "
			"[device NAME]; see --help"},
		{{"--idle=busy"},
			"no device: give --socket-path PATH for each, or --config FILE with "
			"sections [device NAME]; see --help"},
		{{"x.sock"}, "x.sock: not an option; a socket is given as --socket-path x.sock"},
		{{""}, ": not an option; a socket is given as --socket-path PATH"},
		{{"-"}, "-: not an option; a socket is given as --socket-path -"},
		{{"--socket"},
			"--socket: no such option; accepted: --socket-path, --client, --clocks, "
			"--config, --idle, --leap-table, --check-config, --print-capabilities, "
			"--help, --version; options of the EAL before \"--\""},
		{{"-q"},
			"-q: no such option; accepted: --socket-path, --client, --clocks, --config, "
			"--idle, --leap-table, --check-config, --print-capabilities, --help, "
			"--version; options of the EAL before \"--\""},
		{{"-l", "1"}, "-l: an option of the EAL, and these come before \"--\"; accepted: "
			      "dpdk-rtc [EAL options --] [options]"},
		{{"--lcores=0@1"},
			"--lcores=0@1: an option of the EAL, and these come before \"--\"; "
			"accepted: dpdk-rtc [EAL options --] [options]"},
		{{"--no-huge"}, "--no-huge: an option of the EAL, and these come before \"--\"; "
				"accepted: dpdk-rtc [EAL options --] [options]"},
		{{"--in-memory"},
			"--in-memory: an option of the EAL, and these come before \"--\"; "
			"accepted: dpdk-rtc [EAL options --] [options]"},
		{{"--file-prefix", "x"},
			"--file-prefix: an option of the EAL, and these come before \"--\"; accepted: "
			"dpdk-rtc [EAL options --] [options]"},
		{{"--socket-path", "x", "--"},
			"--socket-path: not an option of the EAL, whose options these are; accepted: "
			"after \"--\": dpdk-rtc [EAL options --] [options]"},
		{{"--config=x", "--"},
			"--config: not an option of the EAL, whose options these are; accepted: after "
			"\"--\": dpdk-rtc [EAL options --] [options]"},
		{{"--fd=3"}, "--fd=3: rte_vhost cannot take over an open descriptor; accepted: "
			     "--socket-path PATH"},
		{{"--fd", "7"}, "--fd=7: rte_vhost cannot take over an open descriptor; accepted: "
				"--socket-path PATH"},
		{{"--fd"}, "--fd=: rte_vhost cannot take over an open descriptor; accepted: "
			   "--socket-path PATH"},
		{{"--client=yes"}, "--client=yes: takes no value; accepted: --client"},
		{{"--socket-path"},
			"--socket-path: the value is missing; accepted: --socket-path PATH"},
		{{"--socket-path", "--client"},
			"--socket-path: the value is missing; accepted: --socket-path PATH"},
		{{"--idle="}, "--idle=: the value is missing; accepted: --idle POLICY"},
		{{"--socket-path", ""},
			"--socket-path: the value is missing; accepted: --socket-path PATH"},
		{{"--socket-path=/run/"},
			"--socket-path=/run/: names a folder; accepted: the path of a socket"},
		{{"--socket-path=.."},
			"--socket-path=..: names a folder; accepted: the path of a socket"},
		{{"--socket-path=a", "--socket-path=a"},
			"--socket-path=a: the device a has this socket already; accepted: a socket for "
			"each device"},
		{{"--socket-path=/run/a", "--socket-path=//run/.//./a"},
			"--socket-path=//run/.//./a: the device a has this socket already; accepted: a "
			"socket for each device"},
		{{"--socket-path=x", "--idle", "lazy"},
			"--idle=lazy: no such idle policy; accepted: busy, pause, interrupt"},
		{{"--socket-path=x", "--clocks", "utc,gps"},
			"--clocks=utc,gps: there is no clock \"gps\"; accepted: " CLOCKS},
		{{"--socket-path=x", "--clocks", "UTC"},
			"--clocks=UTC: there is no clock \"UTC\"; accepted: " CLOCKS},
		{{"--socket-path=x", "--clocks", "utc,none"},
			"--clocks=utc,none: there is no clock \"none\"; accepted: " CLOCKS},
		{{"--socket-path=x", "--clocks", "utc,,tai"},
			"--clocks=utc,,tai: the name of a clock is missing; accepted: " CLOCKS},
		{{"--socket-path=x", "--clocks", "utc, "},
			"--clocks=utc, : the name of a clock is missing; accepted: " CLOCKS},
		{{"--socket-path=x", "--clocks", ","},
			"--clocks=,: the name of a clock is missing; accepted: " CLOCKS},
		{{"--socket-path=x", "--idle", "a\nb\033[1m"},
			"--idle=a?b?[1m: no such idle policy; accepted: busy, pause, interrupt"},
		{{"--config=/nope/x.ini"}, "/nope/x.ini: No such file or directory; accepted: a "
					   "configuration file that can be read"},
		{{"--config=/tmp"}, "/tmp: is a folder; accepted: a configuration file"},
		{{"--config=/dev/null"},
			"/dev/null: there is no device in it; accepted: a section [device NAME] with "
			"socket = PATH, or --socket-path PATH"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			parse(cases[i].arg[0], cases[i].arg[1], cases[i].arg[2], NULL), -EINVAL);
		assert_error(cases[i].expected);
	}
}

static void a_path_as_long_as_the_kernel_takes_is_accepted_and_no_longer(void **state)
{
	char path[109];

	(void)state;
	memset(path, 'p', sizeof(path));
	path[107] = '\0';
	assert_int_equal(parse("--socket-path", path, NULL), 0);
	assert_string_equal(config.device[0].socket_path, path);
	app_config_free(&config);
	path[107] = 'p';
	path[108] = '\0';
	assert_int_equal(parse("--socket-path", path, NULL), -EINVAL);
	assert_non_null(strstr(error, "p: the path has 108 bytes; accepted: up to 107"));
}

static void absurdly_long_arguments_leave_room_for_what_is_accepted(void **state)
{
	static const char *const options[] = {"--socket-path", "--clocks", "--idle", "--config"};
	size_t bytes = 100000;
	char *text = malloc(bytes + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'q', bytes);
	text[bytes] = '\0';
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(parse("--socket-path=x", options[i], text, NULL), -EINVAL);
		assert_non_null(strstr(error, "; accepted: "));
		assert_true(strlen(error) < sizeof(error) - 1);
	}
	assert_int_equal(parse(text, NULL), -EINVAL);
	assert_true(strlen(error) < sizeof(error) - 1);
	memset(text, '-', 2);
	assert_int_equal(parse(text, NULL), -EINVAL);
	assert_non_null(strstr(error, "; accepted: "));
	free(text);
}

static void an_error_is_cut_to_the_room_there_is(void **state)
{
	static const char *const argv[] = {"dpdk-rtc", "--nonsense", NULL};
	char room[] = "########";

	(void)state;
	assert_int_equal(app_config_parse(&config, 2, (char **)argv, room, 5), -EINVAL);
	assert_string_equal(room, "--no");
	assert_string_equal(room + 5, "###");
	assert_int_equal(app_config_parse(&config, 2, (char **)argv, room, 0), -EINVAL);
	assert_string_equal(room, "--no");
}

static void five_hundred_and_eleven_devices_are_accepted_and_no_more(void **state)
{
	static char arg[APP_DEVICES_MAX + 1][32];
	static char *argv[APP_DEVICES_MAX + 3];

	(void)state;
	argv[0] = "dpdk-rtc";
	for (unsigned i = 0; i <= APP_DEVICES_MAX; i++) {
		snprintf(arg[i], sizeof(arg[i]), "--socket-path=/%u", i);
		argv[1 + i] = arg[i];
	}
	assert_int_equal(
		app_config_parse(&config, 1 + APP_DEVICES_MAX, argv, error, sizeof(error)), 0);
	assert_int_equal(config.n_devices, APP_DEVICES_MAX);
	assert_string_equal(config.device[510].name, "510");
	app_config_free(&config);
	assert_int_equal(app_config_parse(&config, 2 + APP_DEVICES_MAX, argv, error, sizeof(error)),
		-EINVAL);
	assert_error("--socket-path=/511: too many devices; accepted: up to 511");
}

/* ---- The file. */

static void a_file_has_every_key(void **state)
{
	(void)state;
	assert_ini("# a comment\n"
		   "; another = one\n"
		   "\n"
		   "  [ global ]  # and one\n"
		   "\tidle = interrupt # of mine\r\n"
		   "leap_table=/tmp/leap\n"
		   "[device a]\n"
		   "socket = /run/a b.sock\n"
		   "[device \t b.2]\n"
		   "clocks = utc-smeared , utc-smeared:utc-sls,utc-maybe-smeared\n"
		   "mode = client\n"
		   "socket = b.sock");
	assert_int_equal(config.idle, VRTC_IDLE_INTERRUPT);
	assert_true(config.idle_given);
	assert_string_equal(config.leap_table, "/tmp/leap");
	assert_int_equal(config.n_devices, 2);
	assert_string_equal(config.device[0].name, "a");
	assert_string_equal(config.device[0].socket_path, "/run/a b.sock");
	assert_false(config.device[0].client);
	assert_default_clocks(&config.device[0]);
	assert_string_equal(config.device[1].name, "b.2");
	assert_string_equal(config.device[1].socket_path, "b.sock");
	assert_true(config.device[1].client);
	assert_int_equal(config.device[1].n_clocks, 3);
	assert_clock(
		&config.device[1], 0, VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR);
	assert_clock(&config.device[1], 1, VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UTC_SLS);
	assert_clock(&config.device[1], 2, VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED,
		VIRTIO_RTC_SMEAR_UNSPECIFIED);
	app_config_free(&config);
}

static void the_command_line_has_precedence_over_the_file(void **state)
{
	(void)state;
	write_ini("[global]\nidle = busy\nleap_table = of the file\n[device x]\nsocket = /f/x\n");
	assert_int_equal(
		parse("--config", ini, "--idle", "pause", "--leap-table", "of argv", NULL), 0);
	assert_int_equal(config.idle, VRTC_IDLE_PAUSE);
	assert_string_equal(config.leap_table, "of argv");
	app_config_free(&config);
}

static void socket_paths_add_devices_to_those_of_the_file(void **state)
{
	(void)state;
	write_ini("[device x]\nsocket = /f/x\nmode = server\nclocks = tai\n");
	assert_int_equal(
		parse("--socket-path=/a/x", "--client", "--clocks=utc", "--config", ini, NULL), 0);
	assert_int_equal(config.n_devices, 2);
	assert_string_equal(config.device[0].name, "x");
	assert_false(config.device[0].client);
	assert_clock(&config.device[0], 0, VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED);
	assert_string_equal(config.device[1].name, "x-2");
	assert_true(config.device[1].client);
	assert_clock(&config.device[1], 0, VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED);
	app_config_free(&config);

	assert_int_equal(parse("--config", ini, "--socket-path=/f/x", NULL), -EINVAL);
	assert_error("--socket-path=/f/x: the device x has this socket already; accepted: a socket "
		     "for each device");
}

static void options_that_would_have_no_effect_on_the_file_are_refused(void **state)
{
	(void)state;
	write_ini("[device x]\nsocket = /f/x\n");
	assert_int_equal(parse("--config", ini, "--client", NULL), -EINVAL);
	assert_error(
		"--client: is for devices of --socket-path; accepted for those of a file: mode "
		"= client in their sections");
	assert_int_equal(parse("--config", ini, "--clocks=utc", NULL), -EINVAL);
	assert_error("--clocks: is for devices of --socket-path; accepted for those of a file: "
		     "clocks = LIST in their sections");
}

static void each_mistake_in_a_file_is_one_line_with_its_number(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"[global]\nidle = lazy\n",
			"2: [global] idle = lazy: no such idle policy; accepted: "
			"busy, pause, interrupt"},
		{"[global]\n\n# x\nidel = busy\n",
			"4: [global] idel = busy: no such key; accepted: idle, leap_table"},
		{"[global]\nsocket = /x\n",
			"2: [global] socket = /x: no such key; accepted: idle, leap_table"},
		{"[Global]\n", "1: [Global]: no such section; accepted: [global], [device NAME]"},
		{"\n[devices a]\n",
			"2: [devices a]: no such section; accepted: [global], [device NAME]"},
		{"[device]\nsocket = x\n",
			"1: [device]: the device has no name; accepted: [device NAME]"},
		{"[device a b]\nsocket = x\n",
			"1: [device a b]: not the name of a device; accepted: letters, digits, '.', "
			"'_' and '-', beginning with a letter or a digit"},
		{"[device ../a]\nsocket = x\n",
			"1: [device ../a]: not the name of a device; accepted: letters, digits, '.', "
			"'_' and '-', beginning with a letter or a digit"},
		{"[device 0123456789012345678901234567890123456789012345678]\nsocket = x\n",
			"1: [device 0123456789012345678901234567890123456789012345678]: the name has 49 "
			"bytes; accepted: up to 48"},
		{"[device a]\nmode = server\n",
			"1: [device a]: the device has no socket; accepted: socket = PATH"},
		{"[device a]\nsocket = x\nmode = listen\n",
			"3: [device a] mode = listen: no such mode; accepted: server (we listen), client "
			"(we connect)"},
		{"[device a]\nsocket = x\nclocks = utc gps\n",
			"3: [device a] clocks = utc gps: there is no clock \"utc gps\"; accepted: " CLOCKS},
		{"[device a]\nsocket = x\nidle = busy\n",
			"3: [device a] idle = busy: no such key; accepted: socket, mode, clocks"},
		{"[device a]\nsocket = x/\n",
			"2: [device a] socket = x/: names a folder; accepted: the path of a socket"},
		{"[device a]\nsocket = x\n[device b]\n\nsocket = ./x\n",
			"5: [device b] socket = ./x: the device a has this socket already; accepted: a "
			"socket for each device"},
		/* What rte_cfgfile would take without a word, or with words of its own. */
		{"[device a]\nsocket = x\n[global]\n[device  a]\nsocket = y\n",
			"4: [device a]: the section was there before, in line 1; accepted: each section "
			"once"},
		{"[global]\n[global]\n", "2: [global]: the section was there before, in line 1; "
					 "accepted: each section once"},
		{"[device a]\nsocket = x\nmode = client\nsocket = y\n",
			"4: [device a] socket = y: the key was there before, in line 2; accepted: each "
			"key once"},
		{"idle = busy\n[global]\n",
			"1: idle = busy: no section begins before it; accepted: a [section] first"},
		{"[global]\nidle busy\n",
			"2: [global] idle busy: there is no =; accepted: [section], "
			"key = value, or # and a comment"},
		{"[global]\nidle =\n", "2: [global] idle = : the value is missing; accepted: key = "
				       "value, or no line at all for the default"},
		{"[global]\nidle = # busy\n",
			"2: [global] idle = : the value is missing; accepted: key "
			"= value, or no line at all for the default"},
		{"[global]\n= busy\n",
			"2: [global]  = busy: a key is missing; accepted: [section], key "
			"= value, or # and a comment"},
		{"[global\n", "1: [global: the ] is missing; accepted: [section]"},
		{"[device a] socket = x\n",
			"1: [device a] socket = x: something follows the ]; accepted: [section]"},
		{"[]\n", "1: []: the name is missing; accepted: [section]"},
		{"[ \t ]\n", "1: []: the name is missing; accepted: [section]"},
		{"[device a]\nsocket = /run/a ; mine\n",
			"2: [device a] socket = /run/a ; mine: a comment after a value begins with #; "
			"accepted: key = value # comment"},
		{"[global]\nidle = bu\033sy\n",
			"2: a character with code 27 is in the line; accepted: text"},
		{"\xef\xbb\xbf[global]\n", "1: \xef\xbb\xbf[global]: no section begins before it; "
					   "accepted: a [section] first"},
		{"[device " REPEAT_63 "]\n",
			"1: [device " REPEAT_63 "]: the name has 70 bytes; accepted: up to 63"},
		{"[global]\nk" REPEAT_63 " = 1\n",
			"2: [global] k" REPEAT_63 " = 1: the key has 64 bytes; accepted: up to 63"},
		{"[global]\nleap_table = 0123" REPEAT_252 "\n",
			"2: [global] leap_table = 0123" REPEAT_63 REPEAT_63
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: the value has 256 bytes; accepted: up to 255"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_ini_error(cases[i].text, cases[i].expected);
}

static void a_nul_in_a_file_is_told(void **state)
{
	static const char text[] = "[global]\nidle\0 = busy\n";
	char whole[256];

	(void)state;
	write_bytes(text, sizeof(text) - 1);
	assert_int_equal(parse("--config", ini, NULL), -EINVAL);
	snprintf(whole, sizeof(whole),
		"%s:2: a character with code 0 is in the line; accepted: text", ini);
	assert_error(whole);
}

static void names_and_values_at_rte_cfgfiles_limits_are_whole(void **state)
{
	char text[800];

	(void)state;
	snprintf(text, sizeof(text),
		"[global]\nleap_table   =   /12%s   # a comment that makes the line longer than "
		"rte_cfgfile takes: %s\n[device a]\nsocket=a\n",
		REPEAT_252, REPEAT_252);
	assert_ini(text);
	assert_int_equal(strlen(config.leap_table), 255);
	assert_string_equal(config.leap_table, "/12" REPEAT_252);
	app_config_free(&config);
}

static void a_file_with_more_than_511_devices_is_refused_where_the_next_begins(void **state)
{
	static char text[64 * (APP_DEVICES_MAX + 8)];
	char expected[160];
	size_t used = (size_t)snprintf(text, sizeof(text), "[global]\n");
	size_t at_most = 0;

	(void)state;
	for (unsigned i = 0; i < APP_DEVICES_MAX + 4; i++) {
		if (i == APP_DEVICES_MAX)
			at_most = used;
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "[device d%u]\nsocket = /s/%u\n", i, i);
	}
	snprintf(expected, sizeof(expected),
		"1026: [device d512]: too many sections; accepted: up to 513");
	assert_ini_error(text, expected);

	text[at_most] = '\0';
	assert_ini(text);
	assert_int_equal(config.n_devices, APP_DEVICES_MAX);
	app_config_free(&config);
	assert_int_equal(parse("--config", ini, "--socket-path=/more", NULL), -EINVAL);
	assert_error("--socket-path=/more: too many devices; accepted: up to 511");

	used = at_most + (size_t)snprintf(text + at_most, sizeof(text) - at_most,
				 "[device last]\nsocket = /last\n");
	assert_int_equal(text[used], '\0');
	assert_ini_error(text, "1025: [device last] socket = /last: too many devices; accepted: up "
			       "to 511");
}

static void too_many_keys_or_bytes_are_refused(void **state)
{
	char text[1024] = "[global]\n";
	char *big = malloc(1024 * 1024 + 1);
	char whole[256];

	(void)state;
	assert_non_null(big);
	for (unsigned i = 0; i < 33; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "k%u = 1\n", i);
	assert_ini_error(text,
		"34: [global] k32 = 1: too many keys in the section; accepted: up to "
		"32");

	memset(big, '\n', 1024 * 1024 + 1);
	write_bytes(big, 1024 * 1024 + 1);
	assert_int_equal(parse("--config", ini, NULL), -EINVAL);
	snprintf(whole, sizeof(whole),
		"%s: is longer than 1048576 bytes; accepted: a configuration file", ini);
	assert_error(whole);
	/* One byte less is a file, if an empty one. */
	write_bytes(big, 1024 * 1024);
	assert_int_equal(parse("--config", ini, "--socket-path=x", NULL), 0);
	app_config_free(&config);
	free(big);
}

/* Root may do everything, so it becomes somebody else for a moment; others close the folder. */
static void lose_access(void)
{
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	else
		assert_int_equal(chmod(dir, 0), 0);
}

static void regain_access(void)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	else
		assert_int_equal(chmod(dir, 0700), 0);
}

static void a_file_that_may_not_be_read_is_told(void **state)
{
	char whole[256];
	int rc;

	(void)state;
	write_ini("[global]\n");
	lose_access();
	rc = parse("--config", ini, NULL);
	regain_access();
	assert_int_equal(rc, -EINVAL);
	snprintf(whole, sizeof(whole),
		"%s: Permission denied; accepted: a configuration file that can be read", ini);
	assert_error(whole);
}

/* A pipe cannot be read twice: `--config <(...)` of a shell. */
static void a_pipe_is_as_good_as_a_file(void **state)
{
	static const char text[] = "[device a]\nsocket = /run/a\n";
	char path[64];
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd[0]);
	if (parse("--config", path, NULL))
		fail_msg("%s", error);
	assert_string_equal(config.device[0].socket_path, "/run/a");
	app_config_free(&config);
	close(fd[0]);
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % bound;
}

static void check_whatever_comes(void)
{
	if (parse("--config", ini, NULL) == 0) {
		assert_true(config.n_devices > 0);
		for (unsigned i = 0; i < config.n_devices; i++) {
			assert_true(strlen(config.device[i].name) > 0);
			assert_true(strlen(config.device[i].socket_path) > 0);
		}
		app_config_free(&config);
		return;
	}
	assert_true(strncmp(error, ini, strlen(ini)) == 0);
	assert_non_null(strstr(error, "; accepted: "));
	for (const char *c = error; *c; c++)
		assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void random_bytes_are_a_file_or_an_error(void **state)
{
	unsigned char bytes[512] = {0};

	(void)state;
	for (unsigned round = 0; round < 1000; round++) {
		uint32_t n = random_below(sizeof(bytes));

		for (uint32_t i = 0; i < n; i++)
			bytes[i] = (unsigned char)random_below(256);
		write_bytes(bytes, n);
		check_whatever_comes();
	}
}

static void random_words_are_a_file_or_an_error(void **state)
{
	static const char *const words[] = {"[", "]", "=", "#", ";", "\\", "\n", "\n", "\n", "\n",
		" ", "\t", "\r", "[global]\n", "[device a]\n", "[device b]\n", "socket", "mode",
		"clocks", "idle", "leap_table", "socket = x\n", "[device c]\nsocket = z\n",
		"socket = y\n", "utc", ",", "tai", "none", "client", "busy", REPEAT_63, "\\#", "a",
		"\xff"};
	unsigned n_good = 0;

	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		char text[4096] = "";
		uint32_t n = random_below(24);

		for (uint32_t i = 0; i < n; i++)
			strcat(text, words[random_below(sizeof(words) / sizeof(words[0]))]);
		write_ini(text);
		check_whatever_comes();
		n_good += error[0] == '\0';
	}
	assert_true(n_good > 10); /* both happen */
}

/* Each byte of a good file, changed in each of some ways: no crash, and no empty word about it. */
static void a_good_file_with_a_changed_byte_is_a_file_or_an_error(void **state)
{
	static const char good[] = "[global]\nidle = pause # c\n[device a]\nsocket = /run/a.sock\n"
				   "mode = client\nclocks = utc, tai\n";
	static const char others[] = {'\0', '\n', '[', ']', '=', '#', ';', '\\', ' ', '\xff', 'x'};

	(void)state;
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (size_t k = 0; k < sizeof(others); k++) {
			char text[sizeof(good)];

			memcpy(text, good, sizeof(good));
			text[i] = others[k];
			write_bytes(text, sizeof(good) - 1);
			check_whatever_comes();
		}
	}
}

/* Each key of the file that comes with the program shows its default. */
static void the_file_that_comes_with_it_says_what_is_so_without_it(void **state)
{
	(void)state;
	if (parse("--config", SOURCE_ROOT "/config/dpdk-rtc.ini", NULL))
		fail_msg("%s", error);
	assert_int_equal(config.idle, VRTC_IDLE_BUSY);
	assert_string_equal(config.leap_table, APP_LEAP_TABLE);
	assert_int_equal(config.n_devices, 1);
	assert_string_equal(config.device[0].name, "vm1");
	assert_string_equal(config.device[0].socket_path, "/run/dpdk-rtc/vm1.sock");
	assert_false(config.device[0].client);
	assert_default_clocks(&config.device[0]);
	app_config_free(&config);
}

/* ---- Sockets. */

static struct app_device_config device_at(const char *file)
{
	struct app_device_config d = {.name = "d", .origin = "a.ini:3: [device d] socket = "};

	snprintf(d.socket_path, sizeof(d.socket_path), "%s/%s", dir, file);
	return d;
}

/* A socket that is bound, and listens if type says so. */
static int bind_at(const struct app_device_config *d, int type, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, d->socket_path, sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		assert_int_equal(listen(fd, 0), 0);
	return fd;
}

/* Both functions say the same, and the path is as it was. */
static void assert_socket_error(const struct app_device_config *d, int err, const char *what)
{
	char expected[512];
	struct stat before;
	struct stat after;
	bool there = lstat(d->socket_path, &before) == 0;

	snprintf(expected, sizeof(expected), "%s%s: %s", d->origin, d->socket_path, what);
	error[0] = '\0';
	assert_int_equal(app_socket_check(d, error, sizeof(error)), -err);
	assert_string_equal(error, expected);
	error[0] = '\0';
	assert_int_equal(app_socket_remove_stale(d, error, sizeof(error)), -err);
	assert_string_equal(error, expected);
	assert_int_equal(lstat(d->socket_path, &after) == 0, there);
	if (there)
		assert_int_equal(before.st_ino, after.st_ino);
}

static void a_free_path_is_good(void **state)
{
	struct app_device_config d = device_at("free");

	(void)state;
	assert_int_equal(app_socket_check(&d, error, sizeof(error)), 0);
	assert_int_equal(app_socket_remove_stale(&d, error, sizeof(error)), 0);
}

static void a_relative_path_is_in_the_current_folder(void **state)
{
	struct app_device_config d = {.socket_path = "relative.sock", .client = true};

	(void)state;
	assert_int_equal(app_socket_check(&d, error, sizeof(error)), 0);
	memcpy(d.socket_path, "/x", 3);
	assert_int_equal(app_socket_check(&d, error, sizeof(error)), 0);
}

static void a_stale_socket_is_good_and_removed_only_when_asked(void **state)
{
	struct app_device_config d = device_at("stale");

	(void)state;
	close(bind_at(&d, SOCK_STREAM, true));
	assert_int_equal(app_socket_check(&d, error, sizeof(error)), 0);
	assert_int_equal(access(d.socket_path, F_OK), 0);
	assert_int_equal(app_socket_remove_stale(&d, error, sizeof(error)), 0);
	assert_int_equal(access(d.socket_path, F_OK), -1);
}

static void a_socket_that_somebody_listens_on_is_in_use(void **state)
{
	static const char in_use[] =
		"is in use: another process listens on it; accepted: a path that is free";
	struct app_device_config d = device_at("used");
	int fd = bind_at(&d, SOCK_STREAM, true);

	(void)state;
	/* Until its backlog is full, and then. */
	for (unsigned i = 0; i < 4; i++)
		assert_socket_error(&d, EADDRINUSE, in_use);
	close(fd);
	assert_int_equal(unlink(d.socket_path), 0);
}

static void a_socket_of_another_kind_is_in_use(void **state)
{
	struct app_device_config d = device_at("datagrams");
	int fd = bind_at(&d, SOCK_DGRAM, false);

	(void)state;
	assert_socket_error(&d, EADDRINUSE,
		"is in use: another process has a socket of another kind there; accepted: a path "
		"that is free");
	close(fd);
	assert_int_equal(unlink(d.socket_path), 0);
}

static void what_is_not_a_socket_is_never_removed(void **state)
{
	struct app_device_config d = device_at("something");
	struct app_device_config target = device_at("target");

	(void)state;
	close(creat(d.socket_path, 0600));
	assert_socket_error(
		&d, EEXIST, "exists and is a file, not a socket; accepted: a path that is free");
	assert_int_equal(unlink(d.socket_path), 0);

	assert_int_equal(mkdir(d.socket_path, 0700), 0);
	assert_socket_error(
		&d, EEXIST, "exists and is a folder, not a socket; accepted: a path that is free");
	assert_int_equal(rmdir(d.socket_path), 0);

	assert_int_equal(mkfifo(d.socket_path, 0600), 0);
	assert_socket_error(&d, EEXIST,
		"exists and is something else, not a socket; accepted: a path that is free");
	assert_int_equal(unlink(d.socket_path), 0);

	close(bind_at(&target, SOCK_STREAM, true));
	assert_int_equal(symlink(target.socket_path, d.socket_path), 0);
	assert_socket_error(&d, EEXIST,
		"exists and is a symbolic link, not a socket; accepted: a path that is free");
	assert_int_equal(unlink(d.socket_path), 0);
	assert_int_equal(unlink(target.socket_path), 0);
}

static void the_folder_has_to_be_there(void **state)
{
	struct app_device_config d = device_at("no-such-folder/x");
	struct app_device_config file = device_at("file");
	char what[256];

	(void)state;
	snprintf(what, sizeof(what),
		"the folder %s/no-such-folder: No such file or directory; accepted: a socket in a "
		"folder that exists",
		dir);
	assert_socket_error(&d, ENOENT, what);
	d.client = true;
	assert_socket_error(&d, ENOENT, what);

	close(creat(file.socket_path, 0600));
	memcpy(d.socket_path, file.socket_path, sizeof(d.socket_path));
	strcat(d.socket_path, "/x");
	snprintf(what, sizeof(what), "%s is no folder; accepted: a socket in a folder that exists",
		file.socket_path);
	assert_socket_error(&d, ENOTDIR, what);
	assert_int_equal(unlink(file.socket_path), 0);
}

static void the_folder_of_a_listening_socket_has_to_be_writable(void **state)
{
	struct app_device_config d = device_at("x");
	char expected[512];
	int server;
	int client;

	(void)state;
	lose_access();
	server = app_socket_check(&d, error, sizeof(error));
	d.client = true;
	client = app_socket_check(&d, NULL, 0);
	regain_access();
	assert_int_equal(server, -EACCES);
	assert_int_equal(client, 0);
	snprintf(expected, sizeof(expected),
		"%s%s: the folder %s: Permission denied; accepted: a socket in a folder that we may "
		"write to",
		d.origin, d.socket_path, dir);
	assert_string_equal(error, expected);
}

static void in_client_mode_the_socket_may_be_there_or_not(void **state)
{
	struct app_device_config d = device_at("client");
	int fd;

	(void)state;
	d.client = true;
	assert_int_equal(app_socket_check(&d, error, sizeof(error)), 0);
	fd = bind_at(&d, SOCK_STREAM, true);
	assert_int_equal(app_socket_check(&d, error, sizeof(error)), 0);
	close(fd);
	/* It is not ours to remove, stale or not. */
	assert_int_equal(app_socket_remove_stale(&d, error, sizeof(error)), 0);
	assert_int_equal(unlink(d.socket_path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_socket_path_is_all_it_takes),
		cmocka_unit_test(a_value_may_follow_an_equals_sign_or_stand_alone),
		cmocka_unit_test(what_stands_before_the_dashes_is_the_eals_untouched),
		cmocka_unit_test(nothing_before_the_dashes_is_the_embedded_default),
		cmocka_unit_test(devices_of_the_command_line_are_named_after_their_sockets),
		cmocka_unit_test(none_is_a_device_without_clocks),
		cmocka_unit_test(a_clock_may_be_there_more_than_once_and_64_are_enough),
		cmocka_unit_test(help_version_and_capabilities_need_no_device),
		cmocka_unit_test(each_mistake_in_an_option_is_one_line),
		cmocka_unit_test(a_path_as_long_as_the_kernel_takes_is_accepted_and_no_longer),
		cmocka_unit_test(absurdly_long_arguments_leave_room_for_what_is_accepted),
		cmocka_unit_test(an_error_is_cut_to_the_room_there_is),
		cmocka_unit_test(five_hundred_and_eleven_devices_are_accepted_and_no_more),
		cmocka_unit_test(a_file_has_every_key),
		cmocka_unit_test(the_command_line_has_precedence_over_the_file),
		cmocka_unit_test(socket_paths_add_devices_to_those_of_the_file),
		cmocka_unit_test(options_that_would_have_no_effect_on_the_file_are_refused),
		cmocka_unit_test(each_mistake_in_a_file_is_one_line_with_its_number),
		cmocka_unit_test(a_nul_in_a_file_is_told),
		cmocka_unit_test(names_and_values_at_rte_cfgfiles_limits_are_whole),
		cmocka_unit_test(
			a_file_with_more_than_511_devices_is_refused_where_the_next_begins),
		cmocka_unit_test(too_many_keys_or_bytes_are_refused),
		cmocka_unit_test(a_file_that_may_not_be_read_is_told),
		cmocka_unit_test(a_pipe_is_as_good_as_a_file),
		cmocka_unit_test(random_bytes_are_a_file_or_an_error),
		cmocka_unit_test(random_words_are_a_file_or_an_error),
		cmocka_unit_test(a_good_file_with_a_changed_byte_is_a_file_or_an_error),
		cmocka_unit_test(the_file_that_comes_with_it_says_what_is_so_without_it),
		cmocka_unit_test(a_free_path_is_good),
		cmocka_unit_test(a_relative_path_is_in_the_current_folder),
		cmocka_unit_test(a_stale_socket_is_good_and_removed_only_when_asked),
		cmocka_unit_test(a_socket_that_somebody_listens_on_is_in_use),
		cmocka_unit_test(a_socket_of_another_kind_is_in_use),
		cmocka_unit_test(what_is_not_a_socket_is_never_removed),
		cmocka_unit_test(the_folder_has_to_be_there),
		cmocka_unit_test(the_folder_of_a_listening_socket_has_to_be_writable),
		cmocka_unit_test(in_client_mode_the_socket_may_be_there_or_not),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
