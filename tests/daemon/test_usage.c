/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the program says and how it exits: for each thing that can be wrong with what it is asked
 * for, exit status 1, one line on stderr, nothing on stdout and nothing started. What the lines say
 * word by word is in tests/unit/test_config.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"

#define ARGS_MAX   12
#define TIMEOUT_MS 10000

/* What a run of the program left. */
struct run {
	int status;
	char *out;
	char *err;
};

static char dir[] = "/tmp/dpdk-rtc-usage-XXXXXX";
/* In it; dir is another one in each run, hence not in the cases themselves. */
static char path[128];

static const char *in_dir(const char *file)
{
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return path;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
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

static void write_file(const char *file, const char *text)
{
	FILE *f = fopen(in_dir(file), "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Runs the program with arguments, in which a leading '@' is the folder. */
static struct run run_program(const char *const *arg)
{
	const char *program = getenv("DPDK_RTC");
	const char *argv[ARGS_MAX + 2] = {program && *program ? program : FIXTURE_DAEMON};
	char text[ARGS_MAX][256];
	char out_path[128];
	char err_path[128];
	struct child child;
	struct run run;

	for (unsigned i = 0; i < ARGS_MAX && arg[i]; i++) {
		const char *at = strchr(arg[i], '@');

		if (at)
			snprintf(text[i], sizeof(text[i]), "%.*s%s%s", (int)(at - arg[i]), arg[i],
				dir, at + 1);
		argv[1 + i] = at ? text[i] : arg[i];
	}
	memcpy(out_path, in_dir("stdout"), sizeof(out_path));
	memcpy(err_path, in_dir("stderr"), sizeof(err_path));
	assert_int_equal(child_start(&child, argv, out_path, err_path), 0);
	run.status = child_wait(&child, TIMEOUT_MS);
	run.out = child_read_file(out_path);
	run.err = child_read_file(err_path);
	assert_non_null(run.out);
	assert_non_null(run.err);
	return run;
}

static void free_run(struct run *run)
{
	free(run->out);
	free(run->err);
}

static void assert_refused(const char *const *arg, const char *what)
{
	struct run run = run_program(arg);

	if (run.status != 1 || run.out[0] != '\0' || strncmp(run.err, "dpdk-rtc: ", 10) != 0 ||
		strchr(run.err, '\n') != run.err + strlen(run.err) - 1 || !strstr(run.err, what))
		fail_msg(
			"%s %s ...: wanted one line with \"%s\", got status %d, stdout \"%s\", stderr "
			"\"%s\"",
			arg[0] ? arg[0] : "(nothing)", arg[0] && arg[1] ? arg[1] : "", what,
			run.status, run.out, run.err);
	free_run(&run);
}

static void assert_accepted(const char *const *arg, const char *out)
{
	struct run run = run_program(arg);

	if (run.status != 0 || run.err[0] != '\0' || !strstr(run.out, out))
		fail_msg("%s ...: wanted \"%s\", got status %d, stdout \"%s\", stderr \"%s\"",
			arg[0], out, run.status, run.out, run.err);
	free_run(&run);
}

static int bind_at(const char *file, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, file);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void a_wrong_option_or_value_is_one_line(void **state)
{
	static const struct {
		const char *arg[6];
		const char *what;
	} cases[] = {
		{{NULL}, "no device: give --socket-path PATH for each, or --config FILE"},
		{{"--"}, "no device: give --socket-path PATH for each, or --config FILE"},
		{{"--check-config"}, "no device: "},
		{{"--nonsense"}, "--nonsense: no such option; accepted: --socket-path, "},
		{{"@/rtc.sock"}, "not an option; a socket is given as --socket-path"},
		{{"--socket-path"}, "the value is missing; accepted: --socket-path PATH"},
		{{"--client=1", "--socket-path=@/s"}, "takes no value"},
		{{"--fd=3"}, "--fd=3: rte_vhost cannot take over an open descriptor; accepted: "
			     "--socket-path PATH"},
		{{"--socket-path=@/s", "--idle=lazy"}, "accepted: busy, pause, interrupt"},
		{{"--socket-path=@/s", "--clocks=utc,gps"},
			"there is no clock \"gps\"; accepted: utc"},
		{{"--no-huge", "--socket-path=@/s"}, "--no-huge: an option of the EAL"},
		{{"--socket-path=@/s", "-l", "0,1"}, "-l: an option of the EAL"},
		{{"--socket-path=@/s", "--"}, "--socket-path: not an option of the EAL"},
		{{"--socket-path=@/s", "--idle", "two\nlines"}, "two?lines: no such idle policy"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i].arg, cases[i].what);
	assert_int_equal(access(in_dir("s"), F_OK), -1);
}

static void a_wrong_path_is_one_line(void **state)
{
	static const struct {
		const char *arg[6];
		const char *what;
	} cases[] = {
		{{"--socket-path=@/nowhere/s"}, "/nowhere: No such file or directory; accepted: a "
						"socket in a folder that exists"},
		{{"--client", "--socket-path=@/nowhere/s"}, "/nowhere: No such file or directory"},
		{{"--socket-path=@/file"}, "/file: exists and is a file, not a socket"},
		{{"--socket-path=@/file/s"}, "/file is no folder; accepted: a socket in a folder"},
		{{"--socket-path=@"}, "exists and is a folder, not a socket"},
		{{"--socket-path=@/"}, "names a folder"},
		{{"--socket-path=@/free", "--socket-path=@/used"},
			"/used: is in use: another process listens on it"},
		{{"--socket-path=@/free", "--leap-table=@/nowhere"},
			"/nowhere: No such file or directory"},
		{{"--socket-path=@/free", "--leap-table=@"}, "Is a directory"},
		{{"--socket-path=@/free", "--leap-table=@/file"}, "accepted: leap-seconds.list"},
		{{"--config=@/nowhere.ini"}, "/nowhere.ini: No such file or directory"},
		{{"--config=@"}, "is a folder; accepted: a configuration file"},
	};
	int fd = bind_at("used", true);

	(void)state;
	write_file("file", "no leap second\n");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i].arg, cases[i].what);
	/* --check-config comes to the same judgement. */
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *arg[ARGS_MAX] = {"--check-config"};

		memcpy(arg + 1, cases[i].arg, sizeof(cases[i].arg));
		assert_refused(arg, cases[i].what);
	}
	/* Nothing was made, and nothing that was there is gone. */
	assert_int_equal(access(in_dir("free"), F_OK), -1);
	assert_int_equal(access(in_dir("file"), F_OK), 0);
	assert_int_equal(access(in_dir("used"), F_OK), 0);
	close(fd);
}

static void a_wrong_line_of_a_file_is_one_line_with_its_number(void **state)
{
	static const struct {
		const char *text;
		const char *what;
	} cases[] = {
		{"", "a.ini: there is no device in it; accepted: a section [device NAME]"},
		{"[global]\nidle = lazy\n", "a.ini:2: [global] idle = lazy: no such idle policy; "},
		{"[global]\nidel = busy\n",
			"a.ini:2: [global] idel = busy: no such key; accepted: "},
		{"[global]\nidle\n", "a.ini:2: [global] idle: there is no =; accepted: "},
		{"[globe]\n",
			"a.ini:1: [globe]: no such section; accepted: [global], [device NAME]"},
		{"[global\n", "a.ini:1: [global: the ] is missing; "},
		{"[device a]\n", "a.ini:1: [device a]: the device has no socket; "},
		{"[device a]\nsocket =\n", "a.ini:2: [device a] socket = : the value is missing; "},
		{"[device a]\nsocket = x\nsocket = y\n",
			"a.ini:3: [device a] socket = y: the key was"},
		{"[device a]\nsocket = x\nclocks = gps\n",
			"a.ini:3: [device a] clocks = gps: there is"},
		{"[device a]\nsocket = x\nmode = both\n",
			"a.ini:3: [device a] mode = both: no such"},
		{"[device a]\nsocket = x\n[device a]\n",
			"a.ini:3: [device a]: the section was there"},
		{"[device a]\nsocket = x\n[device b]\nsocket = x\n",
			"a.ini:4: [device b] socket = x: the device a has this socket already; "},
		{"[device a]\n\nsocket = /nowhere/x\n",
			"a.ini:3: [device a] socket = /nowhere/x: the folder /nowhere: No such file"},
		{"[device a]\nsocket = /etc/passwd\n",
			"a.ini:2: [device a] socket = /etc/passwd: exists and is a file, not a socket"},
	};
	static const char *const arg[] = {"--config", "@/a.ini", NULL};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file("a.ini", cases[i].text);
		assert_refused(arg, cases[i].what);
	}
}

static void help_and_version_are_printed(void **state)
{
	static const char *const words[] = {"--socket-path", "--client", "--clocks", "--config",
		"--idle", "--leap-table", "--check-config", "--print-capabilities", "--version",
		"[EAL", "utc-smeared:noon-linear,utc,tai,monotonic"};

	(void)state;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_accepted((const char *const[]){"--help", NULL}, words[i]);
	assert_accepted((const char *const[]){"--version", NULL}, "dpdk-rtc ");
}

static void capabilities_are_json_whatever_else_is_asked_for(void **state)
{
	static const char *const args[][4] = {
		{"--print-capabilities", NULL},
		{"--fd=3", "--socket-path=/nowhere/x", "--print-capabilities", NULL},
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct run run = run_program(args[i]);

		assert_int_equal(run.status, 0);
		assert_string_equal(run.err, "");
		assert_string_equal(run.out, "{\n  \"type\": \"rtc\"\n}\n");
		free_run(&run);
	}
}

static void a_good_configuration_is_said_to_be_good(void **state)
{
	static const char *const args[][6] = {
		{"--check-config", "--socket-path=@/s", NULL},
		{"--socket-path", "@/s", "--client", "--check-config", NULL},
		{"--socket-path=@/stale", "--check-config", NULL},
		{"--no-huge", "-m", "64", "--", "--check-config", "--socket-path=@/s"},
	};

	(void)state;
	close(bind_at("stale", true));
	for (unsigned i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		const char *arg[ARGS_MAX + 1] = {NULL};

		memcpy(arg, args[i], sizeof(args[i]));
		assert_accepted(arg, "dpdk-rtc: the configuration is good: 1 device\n");
	}
	/* Nothing was started, and the stale socket is left for the one who starts. */
	assert_int_equal(access(in_dir("s"), F_OK), -1);
	assert_int_equal(access(in_dir("stale"), F_OK), 0);
}

/* As it is installed, but for the folder of the sockets, which systemd makes. */
static void the_configuration_that_comes_with_it_is_good(void **state)
{
	static const char folder[] = "/run/dpdk-rtc/";
	char *text = child_read_file(DPDK_RTC_INI);
	char *at;
	char *changed;
	size_t bytes;

	(void)state;
	assert_non_null(text);
	at = strstr(text, folder);
	assert_non_null(at);
	assert_null(strstr(at + 1, folder));
	bytes = strlen(text) + sizeof(dir) + 1;
	changed = malloc(bytes);
	assert_non_null(changed);
	snprintf(changed, bytes, "%.*s%s/%s", (int)(at - text), text, dir, at + sizeof(folder) - 1);
	write_file("shipped.ini", changed);
	assert_accepted((const char *const[]){"--check-config", "--config", "@/shipped.ini", NULL},
		"dpdk-rtc: the configuration is good: 1 device\n");
	free(changed);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_option_or_value_is_one_line),
		cmocka_unit_test(a_wrong_path_is_one_line),
		cmocka_unit_test(a_wrong_line_of_a_file_is_one_line_with_its_number),
		cmocka_unit_test(help_and_version_are_printed),
		cmocka_unit_test(capabilities_are_json_whatever_else_is_asked_for),
		cmocka_unit_test(a_good_configuration_is_said_to_be_good),
		cmocka_unit_test(the_configuration_that_comes_with_it_is_good),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
