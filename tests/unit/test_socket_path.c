/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a socket can be had, and what is removed to have it: in a folder of the test's own, with
 * real sockets. Both functions have to say the same, and leave what they refuse as it was.
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

#include "socket_path.h"

static char dir[] = "/tmp/dpdk-rtc-socket-XXXXXX";
static char error[512];

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

static void a_strange_path_makes_one_line_all_the_same(void **state)
{
	struct app_device_config d = {.origin = "--socket-path=", .socket_path = "a\nb\033/x"};

	(void)state;
	assert_int_equal(app_socket_check(&d, error, sizeof(error)), -ENOENT);
	assert_string_equal(error,
		"--socket-path=a?b?/x: the folder a?b?: No such file or directory; "
		"accepted: a socket in a folder that exists");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_free_path_is_good),
		cmocka_unit_test(a_relative_path_is_in_the_current_folder),
		cmocka_unit_test(a_stale_socket_is_good_and_removed_only_when_asked),
		cmocka_unit_test(a_socket_that_somebody_listens_on_is_in_use),
		cmocka_unit_test(a_socket_of_another_kind_is_in_use),
		cmocka_unit_test(what_is_not_a_socket_is_never_removed),
		cmocka_unit_test(the_folder_has_to_be_there),
		cmocka_unit_test(the_folder_of_a_listening_socket_has_to_be_writable),
		cmocka_unit_test(in_client_mode_the_socket_may_be_there_or_not),
		cmocka_unit_test(a_strange_path_makes_one_line_all_the_same),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
