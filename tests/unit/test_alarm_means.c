/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Alarm actions on a machine that lacks something: threads, memory, descriptors, a socket's
 * options. What cannot be begun is told, leaves nothing behind, and the next one is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarm_action.h"
#include "alarm_exec.h"
#include "alarm_qmp.h"
#include "log.h"
#include "refuser.h"
#include "wire.h"

#define PROGRAM     "/bin/true"
#define NS_PER_S    INT64_C(1000000000)
#define PATIENCE_MS 30000
#define WAKEUP_DONE "{\"return\": {}}\n"

static const struct vrtc_clock clocks[] = {{.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true}};

static int64_t deadline_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec + PATIENCE_MS * INT64_C(1000000);
}

/* ---- A program. */

static void a_program_that_is_refused_anything_is_told_and_leaves_nothing(void **state)
{
	char *const environment[] = {NULL};
	struct vrtc_action_why why;
	enum vrtc_action_end end;
	bool refused = true;
	unsigned nth = 0;
	pid_t pid = 0;

	(void)state;
	while (refused) {
		unsigned descriptors = refuser_descriptors();
		long memory = refuser_memory();

		why.text[0] = '\0';
		refuser_begin(++nth, EAGAIN);
		end = vrtc_exec_start(PROGRAM, environment, &pid, &why);
		refused = refuser_end();
		assert_int_equal(refuser_descriptors(), descriptors);
		assert_int_equal(refuser_memory(), memory);
		if (!refused)
			break;
		assert_true(end == VRTC_ACTION_NO_MEANS || end == VRTC_ACTION_NOT_STARTED);
		assert_non_null(strstr(why.text, strerror(EAGAIN)));
	}
	assert_int_equal(nth - 1, 9);
	assert_int_equal(end, VRTC_ACTION_DONE);
	assert_int_equal(vrtc_exec_wait(pid, deadline_ns(), &why), VRTC_ACTION_DONE);
	/* Whoever ignores SIGCHLD has its children reaped by the kernel: gone, without a word. */
	assert_int_equal(vrtc_exec_wait(pid, deadline_ns(), &why), VRTC_ACTION_DONE);
}

/* ---- A QEMU. */

struct qemu {
	char path[64];
	int listener;
	pthread_t thread;
	const char *answer; /* to system_wakeup */
	unsigned connections;
};

static bool take_line(int fd)
{
	char byte = 0;

	while (byte != '\n') {
		if (read(fd, &byte, 1) != 1)
			return false;
	}
	return true;
}

static bool say(int fd, const char *line)
{
	return write(fd, line, strlen(line)) == (ssize_t)strlen(line);
}

static void *serve(void *argument)
{
	struct qemu *qemu = argument;
	int fd;

	while ((fd = accept(qemu->listener, NULL, NULL)) >= 0) {
		qemu->connections++;
		if (say(fd, "{\"QMP\": {}}\r\n") && take_line(fd) &&
			say(fd, "{\"return\": {}}\n") && take_line(fd))
			(void)say(fd, qemu->answer);
		close(fd);
	}
	return NULL;
}

static void begin_qemu(struct qemu *qemu, const char *answer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*qemu = (struct qemu){.answer = answer};
	snprintf(qemu->path, sizeof(qemu->path), "/tmp/dpdk-rtc-means-%d", (int)getpid());
	memcpy(address.sun_path, qemu->path, strlen(qemu->path));
	qemu->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(qemu->listener >= 0);
	(void)unlink(qemu->path);
	assert_int_equal(bind(qemu->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(qemu->listener, 8), 0);
	assert_int_equal(pthread_create(&qemu->thread, NULL, serve, qemu), 0);
}

static void end_qemu(struct qemu *qemu)
{
	(void)shutdown(qemu->listener, SHUT_RDWR);
	assert_int_equal(pthread_join(qemu->thread, NULL), 0);
	close(qemu->listener);
	(void)unlink(qemu->path);
}

static enum vrtc_action_end wake(const char *path, struct vrtc_action_why *why)
{
	static struct vrtc_qmp q;
	enum vrtc_action_end end = vrtc_qmp_open(&q, path, deadline_ns(), why);

	if (end != VRTC_ACTION_DONE) {
		assert_int_equal(q.fd, -1);
		return end;
	}
	end = vrtc_qmp_send_wakeup(&q, why);
	if (end == VRTC_ACTION_DONE)
		end = vrtc_qmp_finish(&q, why);
	vrtc_qmp_close(&q);
	vrtc_qmp_close(&q); /* what is closed already */
	return end;
}

static void a_wakeup_that_is_refused_anything_is_told_and_leaves_nothing(void **state)
{
	static const int errors[] = {ENOBUFS, EINTR, EAGAIN};

	(void)state;
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct vrtc_action_why why;
		enum vrtc_action_end end;
		struct qemu qemu;
		bool refused = true;
		unsigned told = 0;
		unsigned nth = 0;

		while (refused && nth < 100) {
			long memory = refuser_memory();

			/* A QEMU each: it is at no other client then. */
			begin_qemu(&qemu, WAKEUP_DONE);
			refuser_begin(++nth, errors[i]);
			end = wake(qemu.path, &why);
			refused = refuser_end();
			end_qemu(&qemu);
			assert_int_equal(refuser_memory(), memory);
			if (end == VRTC_ACTION_DONE)
				continue;
			assert_true(refused);
			assert_true(end == VRTC_ACTION_NO_MEANS || end == VRTC_ACTION_HUNG_UP);
			assert_non_null(strstr(why.text, strerror(errors[i])));
			told++;
		}
		assert_false(refused);
		/* Socket, option and two lines; and what is received, which may be tried again. */
		if (errors[i] == ENOBUFS)
			assert_true(told >= 6);
		else
			assert_int_equal(told, 4);
	}
}

static void what_qemu_says_of_a_failure_is_printed_as_far_as_it_can_be(void **state)
{
	static const struct {
		const char *answer;
		const char *text;
	} answers[] = {
		{"{\"error\":\t{ \"desc\"\t:\r\"a\001b\177c\" } }\n", "system_wakeup: a?b?c"},
		{"{\"error\": {\"desc\": 5}}\n", "system_wakeup: "},
		{"{\"error\": {\"desc\": \"no end}}\n", "neither a return nor an error"},
		{"{\"error\": {\"desc\":\n", "neither a return nor an error"},
	};
	char longer[4096];
	struct vrtc_action_why why;
	struct qemu qemu;

	(void)state;
	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		begin_qemu(&qemu, answers[i].answer);
		assert_true(wake(qemu.path, &why) > VRTC_ACTION_NOT_NEEDED);
		assert_non_null(strstr(why.text, answers[i].text));
		end_qemu(&qemu);
	}
	snprintf(longer, sizeof(longer), "{\"error\": {\"desc\": \"%0*d\"}}\n", 4000, 0);
	begin_qemu(&qemu, longer);
	assert_int_equal(wake(qemu.path, &why), VRTC_ACTION_REFUSED);
	assert_in_range(strlen(why.text), 20, sizeof(why.text) - 1);
	end_qemu(&qemu);
}

static void a_path_that_no_socket_has_is_told(void **state)
{
	struct vrtc_action_why why;
	char path[200];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(wake(path, &why), VRTC_ACTION_UNREACHABLE);
	assert_string_equal(why.text, "the path is too long");
}

/* ---- An action, its thread and its dispatcher. */

static FILE *log_file;

static bool is_logged(const char *what)
{
	static char text[65536];
	const struct timespec pause = {.tv_nsec = 2000000};

	for (int ms = 0; ms < PATIENCE_MS; ms += 2) {
		ssize_t n = pread(fileno(log_file), text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, what)) {
			assert_int_equal(ftruncate(fileno(log_file), 0), 0);
			return true;
		}
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static struct vrtc_alarm_action *action;

static void an_action_that_cannot_be_made_leaves_nothing_but_what_the_next_one_uses(void **state)
{
	/*
	 * The action's three pieces of memory, the copy of an environment of two, the eventfd that
	 * wakes the dispatcher; with these there, its signal mask, attributes and thread.
	 */
	static const unsigned refusals[] = {1, 2, 3, 4, 5, 6, 7, 5, 5, 6};
	unsigned descriptors = refuser_descriptors();
	long memory = refuser_memory();

	(void)state;
	assert_int_equal(clearenv(), 0);
	assert_int_equal(setenv("PATH", "/bin", 1), 0);
	assert_int_equal(setenv("LANG", "C", 1), 0);
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		refuser_begin(refusals[i], EAGAIN);
		action = vrtc_alarm_action_new("exec:" PROGRAM, "vm1", clocks, 1);
		assert_true(refuser_end());
		assert_null(action);
		assert_true(errno == ENOMEM || errno == EAGAIN);
		assert_int_equal(refuser_memory() - memory, i < 6 ? 0 : 3);
		assert_int_equal(refuser_descriptors() - descriptors, i < 7 ? 0 : 1);
	}
	action = vrtc_alarm_action_new("exec:" PROGRAM, "vm1", clocks, 1);
	assert_non_null(action);
}

static void an_action_without_means_is_told_and_the_next_one_is_done(void **state)
{
	/* The dispatcher's two calls, and the five that make an environment. */
	static const char *const told[] = {"no thread, trying again: ", "no thread, trying again: ",
		"no memory", "no memory", "no memory", "no memory", "no memory"};
	long memory = refuser_memory();
	unsigned retried = 0;

	(void)state;
	assert_non_null(action);
	for (unsigned nth = 1; nth <= sizeof(told) / sizeof(told[0]); nth++) {
		refuser_begin(nth, EAGAIN);
		vrtc_alarm_action_expire(action, 0, 1000 + nth);
		assert_true(is_logged(told[nth - 1]));
		assert_true(refuser_end());
		if (nth <= 2) {
			/* By itself, a second later. */
			assert_true(is_logged("exec:" PROGRAM ": done"));
			retried++;
			continue;
		}
		vrtc_alarm_action_expire(action, 0, 2000 + nth);
		assert_true(is_logged("exec:" PROGRAM ": done"));
	}
	assert_int_equal(retried, 2);
	assert_int_equal(refuser_memory(), memory);
}

static int begin(void **state)
{
	(void)state;
	log_file = tmpfile();
	if (!log_file)
		return -1;
	/* So that it can be cut while it is written. */
	(void)fcntl(fileno(log_file), F_SETFL, O_APPEND);
	setbuf(log_file, NULL);
	vrtc_alarm_action_limits.pause_ms = 1;
	(void)rte_log_set_level((uint32_t)vrtc_logtype, RTE_LOG_DEBUG);
	return rte_openlog_stream(log_file);
}

static int end(void **state)
{
	(void)state;
	vrtc_alarm_actions_end();
	(void)rte_openlog_stream(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_that_is_refused_anything_is_told_and_leaves_nothing),
		cmocka_unit_test(a_wakeup_that_is_refused_anything_is_told_and_leaves_nothing),
		cmocka_unit_test(what_qemu_says_of_a_failure_is_printed_as_far_as_it_can_be),
		cmocka_unit_test(a_path_that_no_socket_has_is_told),
		cmocka_unit_test(
			an_action_that_cannot_be_made_leaves_nothing_but_what_the_next_one_uses),
		cmocka_unit_test(an_action_without_means_is_told_and_the_next_one_is_done),
	};

	return cmocka_run_group_tests_name("alarm_means", tests, begin, end);
}
