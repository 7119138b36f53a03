/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "peer.h"

/* What the kernel is made to say. */
static const char *stat_text; /* of every process; NULL: as it is */
static int no_folder;         /* why /proc/self/fd cannot be had; 0: it can */
static int lost_name;         /* a descriptor whose name is gone between two calls */

FILE *real_fopen(const char *path, const char *mode) __asm__("__real_fopen64");
FILE *seen_fopen(const char *path, const char *mode) __asm__("__wrap_fopen64");
DIR *real_opendir(const char *path) __asm__("__real_opendir");
DIR *seen_opendir(const char *path) __asm__("__wrap_opendir");
int real_getsockname(int fd, struct sockaddr *name, socklen_t *bytes) __asm__("__real_getsockname");
int seen_getsockname(int fd, struct sockaddr *name, socklen_t *bytes) __asm__("__wrap_getsockname");

FILE *seen_fopen(const char *path, const char *mode)
{
	if (!stat_text || strncmp(path, "/proc/", strlen("/proc/")) != 0)
		return real_fopen(path, mode);
	return stat_text[0] ? fmemopen((void *)(uintptr_t)stat_text, strlen(stat_text), "r") : NULL;
}

DIR *seen_opendir(const char *path)
{
	errno = no_folder;
	return no_folder ? NULL : real_opendir(path);
}

int seen_getsockname(int fd, struct sockaddr *name, socklen_t *bytes)
{
	if (fd != lost_name)
		return real_getsockname(fd, name, bytes);
	errno = ENOTSOCK;
	return -1;
}

static char dir[] = "/tmp/dpdk-rtc-peer-XXXXXX";

static int enter_folder(void **state)
{
	(void)state;
	return !mkdtemp(dir) || chdir(dir) || mkdir("elsewhere", 0700) ? -1 : 0;
}

static int leave_folder(void **state)
{
	(void)state;
	(void)unlink("elsewhere/two.sock");
	(void)unlink("one.sock");
	(void)rmdir("elsewhere");
	return rmdir(dir);
}

static struct sockaddr_un named(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = named(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int connect_to(const char *path, const char *own_name)
{
	struct sockaddr_un address = named(path);
	struct sockaddr_un own;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (own_name) {
		own = named(own_name);
		assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	}
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void connection_is_found_by_the_path_it_was_accepted_on_until_its_end(void **state)
{
	int listening = listen_on("one.sock");
	struct vrtc_peer_process process;
	int theirs;
	int ours;

	(void)state;
	assert_int_equal(vrtc_peer_find("one.sock", false), -ENOTCONN);
	theirs = connect_to("one.sock", NULL);
	ours = accept(listening, NULL, NULL);
	assert_int_equal(vrtc_peer_find("one.sock", false), ours);
	assert_true(vrtc_peer_process(ours, &process));
	assert_int_equal(process.pid, getpid());
	assert_int_not_equal(process.start_ticks, 0);
	close(theirs);
	assert_true(vrtc_peer_is_gone(ours));
	assert_int_equal(vrtc_peer_find("one.sock", false), -ENOTCONN);
	close(ours);
	close(listening);
}

/* Names are relative to the folder of who uses them, so that anybody can have any. */
static void front_end_that_takes_another_device_s_name_is_not_taken_for_its_front_end(void **state)
{
	int listening = listen_on("one.sock");
	pid_t front_end;
	int ours;

	(void)state;
	front_end = fork();
	if (front_end == 0) {
		if (chdir("elsewhere") == 0 && connect_to("../one.sock", "two.sock") >= 0)
			pause();
		_exit(1);
	}
	ours = accept(listening, NULL, NULL);
	assert_int_equal(vrtc_peer_find("two.sock", false), -ENOTCONN);
	assert_int_equal(vrtc_peer_find("one.sock", false), ours);
	kill(front_end, SIGKILL);
	waitpid(front_end, NULL, 0);
	close(ours);
	close(listening);
}

static void connection_of_ours_is_found_by_the_listener_s_name_or_another_one_for_it(void **state)
{
	char path[sizeof(dir) + 16];
	char odd_path[sizeof(path) + 8];
	int listening;
	int theirs;
	int ours;

	(void)state;
	snprintf(path, sizeof(path), "%s/one.sock", dir);
	snprintf(odd_path, sizeof(odd_path), "%s/./one.sock", dir);
	listening = listen_on(path);
	ours = connect_to(path, NULL);
	theirs = accept(listening, NULL, NULL);
	assert_int_equal(vrtc_peer_find(path, true), ours);
	assert_int_equal(vrtc_peer_find(odd_path, true), ours);
	close(theirs);
	close(ours);
	close(listening);
}

static void process_runs_until_its_end_and_not_as_another_one_of_its_pid(void **state)
{
	int listening = listen_on("one.sock");
	struct vrtc_peer_process process;
	struct vrtc_peer_process other;
	pid_t front_end;
	int ours;

	(void)state;
	front_end = fork();
	if (front_end == 0) {
		if (connect_to("one.sock", NULL) >= 0)
			pause();
		_exit(1);
	}
	ours = accept(listening, NULL, NULL);
	assert_true(vrtc_peer_process(ours, &process));
	assert_int_equal(process.pid, front_end);
	assert_true(vrtc_peer_process_runs(&process));
	other = process;
	other.start_ticks++;
	assert_false(vrtc_peer_process_runs(&other));
	kill(front_end, SIGKILL);
	waitpid(front_end, NULL, 0);
	assert_false(vrtc_peer_process_runs(&process));
	other = (struct vrtc_peer_process){0};
	assert_false(vrtc_peer_process_runs(&other));
	close(ours);
	close(listening);
}

static void connections_of_two_listeners_of_one_name_are_neither_told_apart_nor_ended(void **state)
{
	int listening[2];
	int theirs[2];
	int ours[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		listening[i] = listen_on("one.sock");
		ours[i] = connect_to("one.sock", NULL);
		theirs[i] = accept(listening[i], NULL, NULL);
	}
	assert_int_equal(vrtc_peer_find("one.sock", true), -ENOTUNIQ);
	vrtc_peer_hang_up("one.sock", true);
	assert_false(vrtc_peer_is_gone(theirs[0]));
	assert_false(vrtc_peer_is_gone(theirs[1]));
	/* Once the other one has gone there is no doubt. */
	close(theirs[0]);
	assert_int_equal(vrtc_peer_find("one.sock", true), ours[1]);
	vrtc_peer_hang_up("one.sock", true);
	assert_true(vrtc_peer_is_gone(theirs[1]));
	close(theirs[1]);
	for (unsigned i = 0; i < 2; i++) {
		close(ours[i]);
		close(listening[i]);
	}
}

static void process_of_what_is_no_connection_is_unknown(void **state)
{
	struct vrtc_peer_process process = {.pid = 1, .start_ticks = 1};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_false(vrtc_peer_process(ends[0], &process));
	assert_int_equal(process.pid, 0);
	assert_int_equal(process.start_ticks, 0);
	close(ends[0]);
	close(ends[1]);
}

/* Its name is whatever it likes, and comes before the fields. */
static void process_is_known_whatever_it_calls_itself(void **state)
{
	static const char *const names[] = {"x) R 1 2 3 4 5", "((((", ") ) )", " 9 9 9 9 9 9 9"};
	struct vrtc_peer_process before = {0};
	struct vrtc_peer_process now;
	char own[17] = "";
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(prctl(PR_GET_NAME, own), 0);
	assert_true(vrtc_peer_process(ends[0], &before));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
		assert_true(vrtc_peer_process(ends[0], &now));
		assert_int_equal(now.start_ticks, before.start_ticks);
		assert_true(vrtc_peer_process_runs(&before));
	}
	assert_int_equal(prctl(PR_SET_NAME, own), 0);
	close(ends[0]);
	close(ends[1]);
}

static void process_that_the_kernel_does_not_describe_is_unknown(void **state)
{
	static const char *const texts[] = {"", "17 no parenthesis", "17 (vmm)", "17 (vmm) S 1 2 3",
		"17 (vmm) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 0 20\n"};
	struct vrtc_peer_process process;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		stat_text = texts[i];
		assert_false(vrtc_peer_process(ends[0], &process));
		assert_int_equal(process.pid, 0);
	}
	stat_text = "17 (vmm) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\n";
	assert_true(vrtc_peer_process(ends[0], &process));
	assert_int_equal(process.start_ticks, 19);
	stat_text = NULL;
	close(ends[0]);
	close(ends[1]);
}

static void connection_that_cannot_be_looked_for_is_an_error_and_not_hung_up(void **state)
{
	int listening = listen_on("one.sock");
	int theirs = connect_to("one.sock", NULL);
	int ours = accept(listening, NULL, NULL);

	(void)state;
	assert_true(ours >= 0);
	no_folder = EMFILE;
	assert_int_equal(vrtc_peer_find("one.sock", false), -EMFILE);
	vrtc_peer_hang_up("one.sock", false);
	no_folder = 0;
	assert_false(vrtc_peer_is_gone(theirs));
	lost_name = ours;
	assert_int_equal(vrtc_peer_find("one.sock", false), -ENOTCONN);
	lost_name = 0;
	/* Another path, of a file that is there and of one that is not. */
	assert_int_equal(vrtc_peer_find("elsewhere", false), -ENOTCONN);
	assert_int_equal(vrtc_peer_find("none.sock", false), -ENOTCONN);
	assert_int_equal(vrtc_peer_find("one.sock", false), ours);
	vrtc_peer_hang_up("one.sock", false);
	assert_true(vrtc_peer_is_gone(theirs));
	close(ours);
	close(theirs);
	close(listening);
}

/* Other sockets of this process: no connection of a path's. */
static void sockets_that_are_no_unix_sockets_are_no_front_ends(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t bytes = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ours;

	(void)state;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof(address)) ||
		listen(listening, 1) ||
		getsockname(listening, (struct sockaddr *)&address, &bytes) ||
		connect(theirs, (struct sockaddr *)&address, sizeof(address))) {
		print_message("SKIP: there is no loopback interface\n");
		close(listening);
		close(theirs);
		skip();
	}
	ours = accept(listening, NULL, NULL);
	assert_true(ours >= 0);
	assert_int_equal(vrtc_peer_find("", false), -ENOTCONN);
	assert_int_equal(vrtc_peer_find("one.sock", true), -ENOTCONN);
	close(ours);
	close(theirs);
	close(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection_is_found_by_the_path_it_was_accepted_on_until_its_end),
		cmocka_unit_test(
			front_end_that_takes_another_device_s_name_is_not_taken_for_its_front_end),
		cmocka_unit_test(
			connection_of_ours_is_found_by_the_listener_s_name_or_another_one_for_it),
		cmocka_unit_test(process_runs_until_its_end_and_not_as_another_one_of_its_pid),
		cmocka_unit_test(
			connections_of_two_listeners_of_one_name_are_neither_told_apart_nor_ended),
		cmocka_unit_test(process_of_what_is_no_connection_is_unknown),
		cmocka_unit_test(process_is_known_whatever_it_calls_itself),
		cmocka_unit_test(process_that_the_kernel_does_not_describe_is_unknown),
		cmocka_unit_test(connection_that_cannot_be_looked_for_is_an_error_and_not_hung_up),
		cmocka_unit_test(sockets_that_are_no_unix_sockets_are_no_front_ends),
	};

	return cmocka_run_group_tests_name("peer", tests, enter_folder, leave_folder);
}
