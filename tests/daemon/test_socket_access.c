/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may connect to a socket of the daemon's: mode and owner, at each step until it has them. */
#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

/* Nobody's in particular: numbers need no entry in a file. */
#define USER        54321
#define GROUP       54322
#define OTHER_USER  54323
#define OTHER_GROUP 54324

static void skip_without_root(void)
{
	if (geteuid() != 0) {
		print_message("only root gives a socket to another user\n");
		skip();
	}
}

static void check_socket(const struct fixture *f, mode_t mode, uid_t user, gid_t group)
{
	struct stat status;

	assert_int_equal(stat(f->socket, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, mode);
	assert_int_equal(status.st_uid, user);
	assert_int_equal(status.st_gid, group);
}

/* The error that another user gets who connects; 0: none. */
static int connect_as(const struct fixture *f, uid_t user, gid_t group)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int status;
	pid_t pid;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || setgroups(0, NULL) || setgid(group) || setuid(user))
			_exit(255);
		_exit(connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void without_the_keys_the_umask_decides(void **state)
{
	struct fixture f;
	mode_t before;

	(void)state;
	before = umask(027);
	fixture_init(&f);
	fixture_start_one(&f);
	(void)umask(before);
	check_socket(&f, 0750, geteuid(), getegid());
	fixture_stop(&f);
	fixture_fini(&f);
}

static void a_mode_is_given_whatever_the_umask_is(void **state)
{
	struct fixture f;
	struct vfe_session s;
	mode_t before;

	(void)state;
	before = umask(077);
	fixture_init(&f);
	fixture_arg(&f, "--socket-mode");
	fixture_arg(&f, "0666");
	fixture_start_one(&f);
	(void)umask(before);
	check_socket(&f, 0666, geteuid(), getegid());
	fixture_connect(&f, &s);
	fixture_check_reading(&s);
	vfe_session_fini(&s);
	fixture_stop(&f);
	fixture_fini(&f);
}

/* An owner alone: the mode is the umask's. */
static void a_group_is_given_by_whoever_is_in_it(void **state)
{
	char owner[16];
	struct fixture f;
	mode_t before;

	(void)state;
	snprintf(owner, sizeof(owner), ":%u", getegid());
	before = umask(022);
	fixture_init(&f);
	fixture_arg(&f, "--socket-owner");
	fixture_arg(&f, owner);
	fixture_start_one(&f);
	(void)umask(before);
	check_socket(&f, 0755, geteuid(), getegid());
	fixture_stop(&f);
	fixture_fini(&f);
}

static void those_of_mode_and_owner_can_connect_and_no_others(void **state)
{
	struct fixture f;

	(void)state;
	skip_without_root();
	fixture_init(&f);
	assert_int_equal(chmod(f.dir, 0755), 0);
	fixture_arg(&f, "--socket-mode=0660");
	fixture_arg(&f, "--socket-owner=54321:54322");
	fixture_start_one(&f);
	check_socket(&f, 0660, USER, GROUP);
	assert_int_equal(connect_as(&f, OTHER_USER, OTHER_GROUP), EACCES);
	assert_int_equal(connect_as(&f, OTHER_USER, GROUP), 0);
	assert_int_equal(connect_as(&f, USER, OTHER_GROUP), 0);
	fixture_stop(&f);
	fixture_fini(&f);
}

/* What the daemon says with bind_watch.c; it ends well. */
static char *watch(struct fixture *f)
{
	const char *asan = getenv("ASAN_OPTIONS");
	char *was = asan ? strdup(asan) : NULL;
	char with[512];
	char *log;

	setenv("LD_PRELOAD", BIND_WATCH, 1);
	/* The sanitizer wants to be the first; what comes before it here, it need not know. */
	snprintf(with, sizeof(with), "%s%sverify_asan_link_order=0", asan ? asan : "",
		asan ? ":" : "");
	setenv("ASAN_OPTIONS", with, 1);
	fixture_start_one(f);
	unsetenv("LD_PRELOAD");
	if (was)
		setenv("ASAN_OPTIONS", was, 1);
	else
		unsetenv("ASAN_OPTIONS");
	free(was);
	log = fixture_log(f);
	assert_non_null(log);
	fixture_stop(f);
	fixture_fini(f);
	return log;
}

/* The socket's steps; those of telemetry come before, each without one that follows. */
static void check_steps(const char *log, const char *const *steps)
{
	const char *at = log;

	for (; *steps; steps++) {
		const char *found = strstr(at, *steps);

		if (!found) {
			fail_msg("no step \"%s\" in:\n%s", *steps, log);
			return;
		}
		at = found + strlen(*steps);
	}
	assert_null(strstr(at, "bind_watch: "));
}

static void at_no_instant_can_others_connect(void **state)
{
	/* Under an umask of 0 a socket would be everybody's from the beginning. */
	static const char *const steps[] = {"bind_watch: bind 0700 0 0\n",
		"bind_watch: chown 0700 0 54322\n", "bind_watch: chmod 0060 0 54322\n",
		"bind_watch: chown 0060 54321 54322\n", NULL};
	struct fixture f;
	mode_t before;
	char *log;

	(void)state;
	skip_without_root();
	before = umask(0);
	fixture_init(&f);
	fixture_arg(&f, "--socket-mode=0060");
	fixture_arg(&f, "--socket-owner=54321:54322");
	log = watch(&f);
	(void)umask(before);
	check_steps(log, steps);
	free(log);
}

/* Whether another user may run the daemon where it is; what valgrind writes, he may not. */
static bool is_for_others(const char *program)
{
	int status;
	pid_t pid;

	if (getenv("DPDK_RTC"))
		return false;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(setgroups(0, NULL) || setgid(GROUP) || setuid(USER) || access(program, X_OK));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

static void an_owner_that_cannot_be_given_is_one_line_and_status_1(void **state)
{
	char wanted[512];
	char out[128];
	char err[128];
	char socket_arg[160];
	struct fixture f;
	struct child daemon;
	char *said;

	(void)state;
	skip_without_root();
	fixture_init(&f);
	if (!is_for_others(f.args[0])) {
		print_message("other users cannot run the daemon where it is\n");
		fixture_fini(&f);
		skip();
	}
	assert_int_equal(chown(f.dir, USER, GROUP), 0);
	snprintf(socket_arg, sizeof(socket_arg), "--socket-path=%s", f.socket);
	snprintf(out, sizeof(out), "%s/stdout", f.dir);
	snprintf(err, sizeof(err), "%s/stderr", f.dir);
	{
		const char *args[] = {"setpriv", "--reuid=54321", "--regid=54322", "--clear-groups",
			f.args[0], socket_arg, "--socket-owner=54323", "--idle=interrupt",
			"--alarm-store=none", NULL};

		assert_int_equal(child_start(&daemon, args, out, err), 0);
	}
	assert_int_equal(child_wait(&daemon, FIXTURE_WAIT_MS), 1);
	said = child_read_file(err);
	assert_non_null(said);
	snprintf(wanted, sizeof(wanted),
		"dpdk-rtc: --socket-owner=54323: %s: Operation not permitted; accepted: a user and "
		"a group that we may give it to; only root gives to others\n",
		f.socket);
	if (!strstr(said, wanted))
		fail_msg("it said:\n%s", said);
	free(said);
	/* Nothing is left behind. */
	assert_int_equal(access(f.socket, F_OK), -1);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_keys_the_umask_decides),
		cmocka_unit_test(a_mode_is_given_whatever_the_umask_is),
		cmocka_unit_test(a_group_is_given_by_whoever_is_in_it),
		cmocka_unit_test(those_of_mode_and_owner_can_connect_and_no_others),
		cmocka_unit_test(at_no_instant_can_others_connect),
		cmocka_unit_test(an_owner_that_cannot_be_given_is_one_line_and_status_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
