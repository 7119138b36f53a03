/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line from outside: what is wrong ends the real daemon with status 1 and one line, and
 * nothing of it stays behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

struct outcome {
	int status;
	char *out;
	char *err;
};

static char *in_dir(const struct fixture *f, const char *name, char path[static 128])
{
	snprintf(path, 128, "%s/%s", f->dir, name);
	return path;
}

/* A run of its own beside the fixture's daemon, until its end. */
static void run(const struct fixture *f, const char *const *args, struct outcome *o)
{
	const char *argv[FIXTURE_ARGS_MAX + 2] = {f->args[0]};
	char out_path[128];
	char err_path[128];
	struct child child;

	for (unsigned i = 0; args[i]; i++) {
		assert_true(i < FIXTURE_ARGS_MAX);
		argv[i + 1] = args[i];
	}
	in_dir(f, "usage.out", out_path);
	in_dir(f, "usage.err", err_path);
	assert_int_equal(child_start(&child, argv, out_path, err_path), 0);
	o->status = child_wait(&child, FIXTURE_WAIT_MS);
	o->out = child_read_file(out_path);
	o->err = child_read_file(err_path);
	assert_non_null(o->out);
	assert_non_null(o->err);
}
#define RUN(f, o, ...) run(f, (const char *const[]){__VA_ARGS__, NULL}, o)

static void outcome_free(struct outcome *o)
{
	free(o->out);
	free(o->err);
}

/* Status 1, nothing on stdout, and this one line on stderr. */
static void check_refused(struct outcome *o, const char *line)
{
	char whole[1200];

	snprintf(whole, sizeof(whole), "dpdk-rtc: %s\n", line);
	assert_string_equal(o->err, whole);
	assert_string_equal(o->out, "");
	assert_int_equal(o->status, 1);
	outcome_free(o);
}
#define REFUSED(f, line, ...)                                                                      \
	do {                                                                                       \
		struct outcome refused_o;                                                          \
		RUN(f, &refused_o, __VA_ARGS__);                                                   \
		check_refused(&refused_o, line);                                                   \
	} while (0)

static void check_no_socket(const struct fixture *f)
{
	assert_int_equal(access(f->socket, F_OK), -1);
}

/* Among whose lines is one that begins so: others may follow from other threads. */
static void check_has_line(const char *err, const char *begin)
{
	const char *at = strstr(err, begin);

	if (!at || at < err + strlen("dpdk-rtc: ") ||
		strncmp(at - strlen("dpdk-rtc: "), "dpdk-rtc: ", strlen("dpdk-rtc: ")) != 0)
		fail_msg("no line \"dpdk-rtc: %s\" in:\n%s", begin, err);
}

/* Whose last line begins so, when the EAL has started or has tried to, and said something, too. */
static void check_last_line_of_ours(const char *err, const char *begin)
{
	const char *last = NULL;

	for (const char *at = err; (at = strstr(at, "dpdk-rtc: ")); at++)
		if (at == err || at[-1] == '\n')
			last = at;
	if (!last || strncmp(last + strlen("dpdk-rtc: "), begin, strlen(begin)) != 0)
		fail_msg("no last line \"dpdk-rtc: %s\" in:\n%s", begin, err);
}

static void write_path(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
}

static void a_mistake_in_an_option_is_one_line_and_status_1(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	REFUSED(&f,
		"no device: give --socket-path PATH for each, or --config FILE with sections "
		"[device NAME]; see --help",
		NULL);
	REFUSED(&f,
		"--bad: no such option; accepted: --socket-path, --client, --clocks, --source, --counter, --packed, --retain, "
		"--alarm-action, --socket-mode, --socket-owner, --config, --idle, --leap-table, --host-timescale, --phc-holdover, --alarm-lcore, --alarm-store, --seccomp, "
		"--check-config, --check-host, --print-capabilities, --help, --version; "
		"options of the EAL before \"--\"",
		"--socket-path", f.socket, "--bad");
	REFUSED(&f,
		"-l: an option of the EAL, and these come before \"--\"; accepted: dpdk-rtc [EAL "
		"options --] [options]",
		"--socket-path", f.socket, "-l", "0,1");
	REFUSED(&f, "--socket-path: the value is missing; accepted: --socket-path PATH",
		"--socket-path");
	REFUSED(&f, "--idle=lazy: no such idle policy; accepted: busy, pause, interrupt",
		"--socket-path", f.socket, "--idle", "lazy");
	REFUSED(&f,
		"--clocks=utc,gps: there is no clock \"gps\"; accepted: utc, tai, monotonic, "
		"utc-smeared[:noon-linear|:utc-sls], utc-maybe-smeared, each with or without "
		"+alarm, separated by commas; or none",
		"--socket-path", f.socket, "--clocks=utc,gps");
	REFUSED(&f,
		"--alarm-lcore=2-3: not a list of lcores; accepted: auto, shared, or lcores of the "
		"EAL as in 3,11",
		"--socket-path", f.socket, "--alarm-lcore=2-3");
	REFUSED(&f,
		"--alarm-store=alarms: not an absolute path; accepted: auto, none, or the absolute "
		"path of a folder on a tmpfs",
		"--socket-path", f.socket, "--alarm-store", "alarms");
	REFUSED(&f,
		"--alarm-action=qmp:/q: no clock of the device has an alarm, its clocks are tai; "
		"accepted: a clock with +alarm among them, or no action",
		"--socket-path", f.socket, "--clocks=tai", "--alarm-action=qmp:/q");
	REFUSED(&f,
		"--fd=3: rte_vhost cannot take over an open descriptor; accepted: --socket-path "
		"PATH",
		"--fd=3");
	check_no_socket(&f);
	fixture_fini(&f);
}

static void a_path_that_no_socket_can_have_is_refused_and_untouched(void **state)
{
	struct stat status;
	struct fixture f;
	char missing[128];
	char folder[128];
	char file[128];
	char beneath[160];
	char line[512];

	(void)state;
	fixture_init(&f);
	in_dir(&f, "none/a.sock", missing);
	in_dir(&f, "none", folder);
	snprintf(line, sizeof(line),
		"--socket-path=%s: the folder %s: No such file or directory; accepted: a socket in "
		"a folder that exists",
		missing, folder);
	REFUSED(&f, line, "--socket-path", missing);

	in_dir(&f, "file", file);
	write_path(file, "precious\n");
	snprintf(line, sizeof(line),
		"--socket-path=%s: exists and is a file, not a socket; accepted: a path that is "
		"free",
		file);
	REFUSED(&f, line, "--socket-path", file);
	assert_int_equal(stat(file, &status), 0);
	assert_int_equal(status.st_size, 9);

	snprintf(beneath, sizeof(beneath), "%s/a.sock", file);
	snprintf(line, sizeof(line),
		"--socket-path=%s: %s is no folder; accepted: a socket in a folder that exists",
		beneath, file);
	REFUSED(&f, line, "--socket-path", beneath);
	fixture_fini(&f);
}

static void a_socket_in_use_is_refused_and_its_device_is_served_on(void **state)
{
	struct vfe_session s;
	struct outcome o;
	struct fixture f;
	char line[512];

	(void)state;
	fixture_init(&f);
	fixture_start_one(&f);
	fixture_connect(&f, &s);
	fixture_check_reading(&s);
	snprintf(line, sizeof(line),
		"--socket-path=%s: is in use: another process listens on it; accepted: a path that "
		"is free",
		f.socket);
	REFUSED(&f, line, "--socket-path", f.socket);
	/* Its own configuration, checked by whoever is about to edit it. */
	RUN(&f, &o, "--socket-path", f.socket, "--check-config");
	assert_int_equal(o.status, 0);
	outcome_free(&o);
	fixture_check_reading(&s);
	vfe_session_fini(&s);
	fixture_connect(&f, &s);
	fixture_check_reading(&s);
	vfe_session_fini(&s);
	fixture_stop(&f);
	fixture_fini(&f);
}

static void a_leap_table_that_cannot_be_used_is_refused(void **state)
{
	struct fixture f;
	char table[128];
	char line[512];

	(void)state;
	fixture_init(&f);
	in_dir(&f, "table", table);
	snprintf(line, sizeof(line),
		"leap-second table %s: No such file or directory; accepted: leap-seconds.list as "
		"IERS and tzdata publish it",
		table);
	REFUSED(&f, line, "--socket-path", f.socket, "--leap-table", table);

	/* Unreadable for root, too, whom permissions do not keep away. */
	snprintf(line, sizeof(line),
		"leap-second table %s: Is a directory; accepted: leap-seconds.list as IERS and "
		"tzdata publish it",
		f.dir);
	REFUSED(&f, line, "--socket-path", f.socket, "--leap-table", f.dir);

	write_path(table, "# a comment\nsoon 37\n");
	snprintf(line, sizeof(line),
		"leap-second table %s:2: a decimal number is expected; accepted: leap-seconds.list "
		"as IERS and tzdata publish it",
		table);
	REFUSED(&f, line, "--socket-path", f.socket, "--leap-table", table);
	if (geteuid() != 0) {
		assert_int_equal(chmod(table, 0), 0);
		snprintf(line, sizeof(line),
			"leap-second table %s: Permission denied; accepted: leap-seconds.list as "
			"IERS and tzdata publish it",
			table);
		REFUSED(&f, line, "--socket-path", f.socket, "--leap-table", table);
	}
	check_no_socket(&f);
	fixture_fini(&f);
}

static void a_mistake_in_the_file_is_told_with_its_line(void **state)
{
	struct fixture f;
	char text[512];
	char file[128];
	char line[512];

	(void)state;
	fixture_init(&f);
	in_dir(&f, "dpdk-rtc.ini", file);
	snprintf(line, sizeof(line),
		"%s: No such file or directory; accepted: a configuration file that can be read",
		file);
	REFUSED(&f, line, "--config", file);

	snprintf(
		text, sizeof(text), "# first\n[device a]\nsocket = %s\nmodus = client\n", f.socket);
	write_path(file, text);
	snprintf(line, sizeof(line),
		"%s:4: [device a] modus = client: no such key; accepted: socket, mode, clocks, source, counter, packed, retain, "
		"alarm_action, socket_mode, socket_owner",
		file);
	REFUSED(&f, line, "--config", file);
	REFUSED(&f, line, "--config", file, "--check-config");
	check_no_socket(&f);
	fixture_fini(&f);
}

static void check_config_says_that_all_is_good_and_starts_nothing(void **state)
{
	struct outcome o;
	struct fixture f;
	char text[512];
	char file[128];

	(void)state;
	fixture_init(&f);
	in_dir(&f, "dpdk-rtc.ini", file);
	snprintf(text, sizeof(text), "[device a]\nsocket = %s\n", f.socket);
	write_path(file, text);
	in_dir(&f, "b.sock", text);
	RUN(&f, &o, "--config", file, "--check-config");
	assert_string_equal(o.out, "dpdk-rtc: the configuration is good: 1 device\n");
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
	outcome_free(&o);
	RUN(&f, &o, "--check-config", "--config", file, "--socket-path", text);
	assert_string_equal(o.out, "dpdk-rtc: the configuration is good: 2 devices\n");
	assert_int_equal(o.status, 0);
	outcome_free(&o);
	check_no_socket(&f);
	fixture_fini(&f);
}

/* What it says of a made-up machine: tests/unit/test_check_host.c. */
static void check_host_says_a_line_for_each_finding_and_starts_nothing(void **state)
{
	static const char *const states[] = {
		"ok  ", "could be better  ", "wrong  ", "cannot be told  ", NULL};
	struct outcome o;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	RUN(&f, &o, "--lcores", "0@0,5@0", "--no-huge", "-m", "32", "--no-pci", "--",
		"--socket-path", f.socket, "--check-host");
	assert_int_equal(o.status, 0);
	assert_null(strstr(o.err, "dpdk-rtc:"));
	assert_non_null(
		strstr(o.out, "lcore 5 (requests and alarms) on CPU 0: lcore 0 (control) is "
			      "on this CPU, too"));
	assert_non_null(strstr(o.out, " time: "));
	for (const char *at = o.out; *at; at = strchr(at, '\n') + 1) {
		unsigned i = 0;

		while (states[i] && strncmp(at, states[i], strlen(states[i])) != 0)
			i++;
		/* The last one has the numbers of each. */
		if (!states[i] && strchr(at, '\n')[1] != '\0')
			fail_msg("a line of no state in:\n%s", o.out);
	}
	outcome_free(&o);

	/* While a daemon of the same options runs, which is not disturbed. */
	fixture_start_one(&f);
	RUN(&f, &o, "--socket-path", f.socket, "--check-host");
	assert_int_equal(o.status, 0);
	assert_null(strstr(o.err, "dpdk-rtc:"));
	outcome_free(&o);
	fixture_stop(&f);
	check_no_socket(&f);
	fixture_fini(&f);
}

static void check_host_wants_no_device(void **state)
{
	struct outcome o;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	RUN(&f, &o, "--check-host");
	assert_int_equal(o.status, 0);
	assert_non_null(strstr(o.out, " time: "));
	outcome_free(&o);
	fixture_fini(&f);
}

static void check_host_of_lcores_that_no_daemon_could_use_is_status_1(void **state)
{
	struct outcome o;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	RUN(&f, &o, "-l", "0", "--", "--socket-path", f.socket, "--check-host");
	assert_int_equal(o.status, 1);
	assert_string_equal(o.out, "");
	check_last_line_of_ours(o.err, "no lcore for requests: give the EAL two or more");
	outcome_free(&o);
	RUN(&f, &o, "--lcores", "0@0,1@0", "--", "--socket-path", f.socket, "--check-host",
		"--alarm-lcore=1");
	assert_int_equal(o.status, 1);
	check_last_line_of_ours(o.err, "alarm_lcore: no lcore is left for requests");
	outcome_free(&o);
	fixture_fini(&f);
}

static void help_version_and_capabilities_go_to_stdout(void **state)
{
	struct outcome o;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	RUN(&f, &o, "--help");
	assert_int_equal(o.status, 0);
	assert_non_null(strstr(o.out, "--socket-path PATH"));
	assert_string_equal(o.err, "");
	outcome_free(&o);

	RUN(&f, &o, "--version");
	assert_int_equal(o.status, 0);
	assert_int_equal(strncmp(o.out, "dpdk-rtc ", 9), 0);
	assert_ptr_equal(strchr(o.out, '\n'), o.out + strlen(o.out) - 1);
	assert_string_equal(o.err, "");
	outcome_free(&o);

	/* Exactly this, which is JSON; QEMU's conventions make whatever else is asked for moot. */
	RUN(&f, &o, "--fd=3", "--print-capabilities");
	assert_int_equal(o.status, 0);
	assert_string_equal(o.out, "{\n  \"type\": \"rtc\"\n}\n");
	assert_string_equal(o.err, "");
	outcome_free(&o);
	fixture_fini(&f);
}

static void an_eal_that_does_not_start_is_status_1(void **state)
{
	struct outcome o;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	RUN(&f, &o, "--no-such-eal-option", "--", "--socket-path", f.socket);
	assert_int_equal(o.status, 1);
	check_last_line_of_ours(o.err, "the EAL did not start: ");
	outcome_free(&o);
	check_no_socket(&f);
	fixture_fini(&f);
}

static void one_lcore_is_too_few(void **state)
{
	struct outcome o;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	RUN(&f, &o, "-l", "0", "--no-huge", "-m", "32", "--no-shconf", "--no-pci", "--no-telemetry",
		"--", "--socket-path", f.socket);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.out, "");
	check_last_line_of_ours(o.err, "no lcore for requests: give the EAL two or more");
	outcome_free(&o);
	check_no_socket(&f);
	fixture_fini(&f);
}

static void alarm_lcores_that_the_eal_has_not_or_that_requests_need_are_refused(void **state)
{
	static const struct {
		const char *option;
		const char *line;
	} cases[] = {
		{"--alarm-lcore=1,5",
			"alarm_lcore: lcore 5 is no worker of the EAL; accepted: auto, shared, or "
			"some of 1-2\n"},
		/* The one for control. */
		{"--alarm-lcore=0", "alarm_lcore: lcore 0 is no worker of the EAL; accepted: auto, "
				    "shared, or some of 1-2\n"},
		{"--alarm-lcore=2,1",
			"alarm_lcore: no lcore is left for requests; accepted: auto, shared, or "
			"fewer than all workers of the EAL, which are 1-2\n"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o;
		struct fixture f;

		fixture_init(&f);
		RUN(&f, &o, "--lcores", "0@0,1@0,2@0", "--no-huge", "-m", "32", "--no-shconf",
			"--no-pci", "--no-telemetry", "--", "--socket-path", f.socket,
			cases[i].option);
		assert_int_equal(o.status, 1);
		assert_string_equal(o.out, "");
		check_last_line_of_ours(o.err, cases[i].line);
		outcome_free(&o);
		check_no_socket(&f);
		fixture_fini(&f);
	}
}

static void nothing_is_left_half_started_when_the_second_device_fails(void **state)
{
	struct outcome o;
	struct fixture f;
	char other[128];
	char same[160];
	char begin[256];

	(void)state;
	fixture_init(&f);
	/* The first device's socket by another way: free when looked at, taken when bound. */
	assert_int_equal(symlink(f.dir, in_dir(&f, "link", other)), 0);
	snprintf(same, sizeof(same), "%s/rtc.sock", other);
	snprintf(begin, sizeof(begin), "--socket-path=%s: is in use: ", same);
	RUN(&f, &o, "--socket-path", f.socket, "--socket-path", same, "--idle=interrupt");
	assert_int_equal(o.status, 1);
	assert_string_equal(o.out, "");
	/* The try to connect, by which a socket in use is told, is logged by the event thread. */
	check_has_line(o.err, begin);
	outcome_free(&o);
	check_no_socket(&f);

	/* A mistake that is seen earlier: the first socket is not even made. */
	snprintf(same, sizeof(same), "%s/none/b.sock", f.dir);
	RUN(&f, &o, "--socket-path", f.socket, "--socket-path", same);
	assert_int_equal(o.status, 1);
	assert_ptr_equal(strchr(o.err, '\n'), o.err + strlen(o.err) - 1);
	outcome_free(&o);
	check_no_socket(&f);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mistake_in_an_option_is_one_line_and_status_1),
		cmocka_unit_test(a_path_that_no_socket_can_have_is_refused_and_untouched),
		cmocka_unit_test(a_socket_in_use_is_refused_and_its_device_is_served_on),
		cmocka_unit_test(a_leap_table_that_cannot_be_used_is_refused),
		cmocka_unit_test(a_mistake_in_the_file_is_told_with_its_line),
		cmocka_unit_test(check_config_says_that_all_is_good_and_starts_nothing),
		cmocka_unit_test(check_host_says_a_line_for_each_finding_and_starts_nothing),
		cmocka_unit_test(check_host_wants_no_device),
		cmocka_unit_test(check_host_of_lcores_that_no_daemon_could_use_is_status_1),
		cmocka_unit_test(help_version_and_capabilities_go_to_stdout),
		cmocka_unit_test(an_eal_that_does_not_start_is_status_1),
		cmocka_unit_test(one_lcore_is_too_few),
		cmocka_unit_test(
			alarm_lcores_that_the_eal_has_not_or_that_requests_need_are_refused),
		cmocka_unit_test(nothing_is_left_half_started_when_the_second_device_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
