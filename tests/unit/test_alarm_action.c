/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Alarm actions against QMP servers and programs of the test's own. The process looks as the daemon
 * does when it makes its actions: pinned to a CPU, with signals blocked and SIGPIPE ignored.
 *
 * send() and posix_spawn(), with which actions begin, go through this file (--wrap), which sees
 * whether one begins when none may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarm_action.h"
#include "log.h"
#include "wire.h"

/* As in backend.c, which is not linked here. */
int vrtc_logtype;
RTE_LOG_REGISTER(vrtc_logtype, rtc, DEBUG)

/* Longer than any of the test's waits should take on a machine that is busy with other things. */
#define PATIENCE_MS 30000
/* Of an action that the test wants to see ended by its deadline, and of all others. */
#define SHORT_MS    1500
#define LONG_MS     PATIENCE_MS
/* A descriptor that is not closed by an exec. */
#define OPEN_FD     100
#define ALARM_NS    UINT64_C(1795420800123456789)

#define GREETING                                                                                   \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 3, \"minor\": 1, \"major\": 11},"          \
	" \"package\": \"{\\\"error\\\"\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define RETURN "{\"return\": {}}\r\n"
#define EVENT                                                                                      \
	"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2, \"error\": 3}, \"event\": "         \
	"\"WAKEUP\", \"data\": [{\"return\": \"}\"}]}\r\n"
#define ERROR(desc) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" desc "\"}}\r\n"

static const struct vrtc_clock clocks[] = {
	{.type = VIRTIO_RTC_CLOCK_UTC_SMEARED,
		.smear = VIRTIO_RTC_SMEAR_NOON_LINEAR,
		.alarm = true},
	{.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true},
};

static char dir[] = "/tmp/dpdk-rtc-action-XXXXXX";
static char log_path[64];
static cpu_set_t cpus_at_start;

/* ---- What begins. */

static atomic_bool forbidden;
static atomic_uint begun;
static atomic_uint begun_although_forbidden;

ssize_t real_send(int fd, const void *data, size_t bytes, int flags) __asm__("__real_send");
ssize_t seen_send(int fd, const void *data, size_t bytes, int flags) __asm__("__wrap_send");
int real_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
	const posix_spawnattr_t *attributes, char *const argv[],
	char *const envp[]) __asm__("__real_posix_spawn");
int seen_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
	const posix_spawnattr_t *attributes, char *const argv[],
	char *const envp[]) __asm__("__wrap_posix_spawn");

static void look_whether_forbidden(void)
{
	if (atomic_load(&forbidden))
		(void)atomic_fetch_add(&begun_although_forbidden, 1);
}

ssize_t seen_send(int fd, const void *data, size_t bytes, int flags)
{
	bool wakes = memmem(data, bytes, "system_wakeup", strlen("system_wakeup")) != NULL;
	ssize_t n;

	if (!wakes)
		return real_send(fd, data, bytes, flags);
	look_whether_forbidden();
	n = real_send(fd, data, bytes, flags);
	look_whether_forbidden();
	(void)atomic_fetch_add(&begun, 1);
	return n;
}

int seen_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
	const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	int rc;

	look_whether_forbidden();
	rc = real_spawn(pid, path, files, attributes, argv, envp);
	look_whether_forbidden();
	(void)atomic_fetch_add(&begun, 1);
	return rc;
}

/* ---- Helpers. */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_us(long us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* Waits until the condition is true; one that never is fails the test. */
#define EVENTUALLY(condition)                                                                      \
	do {                                                                                       \
		int64_t end_ms = now_ms() + PATIENCE_MS;                                           \
		while (!(condition) && now_ms() < end_ms)                                          \
			sleep_us(2000);                                                            \
		assert_true(condition);                                                            \
	} while (0)

static char *read_file(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *f = fopen(path, "re");

	assert_non_null(text);
	if (f) {
		text[fread(text, 1, 65535, f)] = '\0';
		fclose(f);
	}
	return text;
}

/* Log lines of a device that contain the words. */
static unsigned logged(const char *device, const char *words)
{
	char *text = read_file(log_path);
	char *rest = NULL;
	char prefix[64];
	unsigned n = 0;

	snprintf(prefix, sizeof(prefix), "dpdk-rtc: %s: ", device);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		n += strncmp(line, prefix, strlen(prefix)) == 0 && strstr(line, words);
	free(text);
	return n;
}

/* How long an awake guest is tried again, for actions to be made. */
static unsigned asleep_ms;

static struct vrtc_alarm_action *action_of(const char *device, const char *kind, const char *file,
	unsigned deadline_ms, unsigned pause_ms)
{
	char what[128];
	struct vrtc_alarm_action *a;

	snprintf(what, sizeof(what), "%s:%s%s%s", kind, file[0] == '/' ? "" : dir,
		file[0] == '/' ? "" : "/", file);
	vrtc_alarm_action_limits.deadline_ms = deadline_ms;
	vrtc_alarm_action_limits.pause_ms = pause_ms;
	vrtc_alarm_action_limits.asleep_ms = asleep_ms;
	a = vrtc_alarm_action_new(what, device, clocks, 2);
	assert_non_null(a);
	return a;
}

/* ---- A QMP server: what it says first, to qmp_capabilities and to system_wakeup. */

#define AWAKE ERROR("Unable to wake up: guest is not in suspended state")

struct manners {
	const char
		*greeting; /* NULL, here and below: nothing, and waits for the other side's end */
	const char *capabilities;
	const char *wakeup;
	unsigned
		awake_times; /* how often the guest is awake before that is said of system_wakeup */
	bool hangs_up;       /* instead of waiting, where it says nothing */
	bool holds;          /* accepts all there are, and says nothing */
	unsigned slowly_us;  /* between two bytes */
};

struct server {
	struct manners manners;
	char path[80];
	int fd;
	int stop_fd;
	pthread_t thread;
	atomic_uint wakeups;
	atomic_uint held;
	atomic_uint held_max;
	atomic_uint released;
};

static bool say(const struct server *s, int fd, const char *text)
{
	size_t step = s->manners.slowly_us ? 1 : strlen(text);

	for (size_t i = 0; i < strlen(text); i += step) {
		if (write(fd, text + i, step) != (ssize_t)step)
			return false;
		if (s->manners.slowly_us)
			sleep_us(s->manners.slowly_us);
	}
	return true;
}

/* A line, in any number of parts; false at the end of the connection or of the server. */
static bool hear(struct server *s, int fd, char *line, size_t bytes)
{
	size_t n = 0;

	line[0] = '\0';
	while (n + 1 < bytes && !strchr(line, '\n')) {
		struct pollfd fds[] = {
			{.fd = fd, .events = POLLIN}, {.fd = s->stop_fd, .events = POLLIN}};
		ssize_t got;

		(void)poll(fds, 2, PATIENCE_MS);
		if (!fds[0].revents)
			return false;
		got = read(fd, line + n, bytes - n - 1);
		if (got <= 0)
			return false;
		n += (size_t)got;
		line[n] = '\0';
	}
	return true;
}

static void converse(struct server *s, int fd)
{
	const char *words = s->manners.greeting;
	char line[256];

	for (;;) {
		if (words ? !say(s, fd, words) : s->manners.hangs_up)
			return;
		if (!hear(s, fd, line, sizeof(line)))
			return;
		if (strstr(line, "qmp_capabilities"))
			words = s->manners.capabilities;
		else
			words = s->manners.wakeup;
		if (strstr(line, "system_wakeup") &&
			atomic_fetch_add(&s->wakeups, 1) < s->manners.awake_times)
			words = AWAKE;
	}
}

/* Holds all that connect, and lets go of those that hang up; or of one when released is raised. */
static void hold(struct server *s)
{
	struct pollfd fds[34] = {
		{.fd = s->stop_fd, .events = POLLIN}, {.fd = s->fd, .events = POLLIN}};
	unsigned n = 2;
	unsigned released = 0;

	while (poll(fds, n, 20) >= 0 && !fds[0].revents) {
		if (fds[1].revents && n < 34) {
			fds[n].fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
			fds[n].events = POLLIN;
			fds[n].revents = 0;
			n += fds[n].fd >= 0;
		}
		for (unsigned i = 2; i < n; i++) {
			if (!fds[i].revents && released >= atomic_load(&s->released))
				continue;
			released += !fds[i].revents;
			close(fds[i].fd);
			fds[i--] = fds[--n];
		}
		atomic_store(&s->held, n - 2);
		if (n - 2 > atomic_load(&s->held_max))
			atomic_store(&s->held_max, n - 2);
	}
	while (n > 2)
		close(fds[--n].fd);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct pollfd fds[] = {
		{.fd = s->fd, .events = POLLIN}, {.fd = s->stop_fd, .events = POLLIN}};

	if (s->manners.holds) {
		hold(s);
		return NULL;
	}
	while (poll(fds, 2, -1) >= 0 && !fds[1].revents) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		converse(s, fd);
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *s, const char *file, struct manners manners)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(s, 0, sizeof(*s));
	s->manners = manners;
	snprintf(s->path, sizeof(s->path), "%s/%s", dir, file);
	memcpy(address.sun_path, s->path, sizeof(s->path));
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(s->fd >= 0 && s->stop_fd >= 0);
	assert_int_equal(bind(s->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->fd, 32), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	assert_int_equal(write(s->stop_fd, &(uint64_t){1}, 8), 8);
	pthread_join(s->thread, NULL);
	close(s->fd);
	close(s->stop_fd);
	unlink(s->path);
}

/* An alarm at a server of such manners ends with one such line, and so many wake-ups. */
static void expect(struct manners manners, unsigned deadline_ms, const char *device,
	const char *words, unsigned wakeups)
{
	struct server s;
	struct vrtc_alarm_action *a;

	server_start(&s, device, manners);
	a = action_of(device, "qmp", device, deadline_ms, 0);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged(device, words) == 1);
	assert_int_equal(logged(device, ""), 1);
	assert_int_equal(atomic_load(&s.wakeups), wakeups);
	assert_true(vrtc_alarm_action_cancel(a, 0));
	server_stop(&s);
}

/* ---- qmp: */

static void guest_is_woken_by_system_wakeup(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING, RETURN, RETURN}, LONG_MS, "woken", ": done",
		1);
}

static void events_between_the_replies_are_skipped(void **state)
{
	(void)state;
	expect(
		(struct manners){
			.greeting = EVENT GREETING EVENT, EVENT EVENT RETURN, EVENT RETURN EVENT},
		LONG_MS, "events", ": done", 1);
}

static void replies_that_come_byte_by_byte_are_understood(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING, RETURN, EVENT RETURN, .slowly_us = 100},
		LONG_MS, "slow", ": done", 1);
}

static void guest_that_is_awake_is_no_failure(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING, RETURN, AWAKE}, LONG_MS, "awake",
		"Unable to wake up: guest is not in suspended state", 1);
}

static struct vrtc_alarm_action *wake_awake_guest(
	struct server *s, const char *device, unsigned awake_times)
{
	struct vrtc_alarm_action *a;

	server_start(s, device,
		(struct manners){.greeting = GREETING, RETURN, RETURN, .awake_times = awake_times});
	asleep_ms = LONG_MS;
	a = action_of(device, "qmp", device, LONG_MS, 10);
	asleep_ms = 0;
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	return a;
}

static void guest_that_is_still_going_to_sleep_is_woken_when_it_sleeps(void **state)
{
	struct vrtc_alarm_action *a;
	struct server s;

	(void)state;
	a = wake_awake_guest(&s, "drowsy", 5);
	EVENTUALLY(logged("drowsy", ": done") == 1);
	assert_int_equal(atomic_load(&s.wakeups), 6);
	sleep_us(50000);
	assert_int_equal(atomic_load(&s.wakeups), 6);
	assert_true(vrtc_alarm_action_cancel(a, 0));
	server_stop(&s);
}

static void awake_guest_is_left_alone_when_its_driver_has_cancelled(void **state)
{
	struct vrtc_alarm_action *a;
	struct server s;
	unsigned wakeups;

	(void)state;
	a = wake_awake_guest(&s, "alert", UINT_MAX);
	EVENTUALLY(atomic_load(&s.wakeups) >= 3);
	EVENTUALLY(vrtc_alarm_action_cancel(a, 0));
	wakeups = atomic_load(&s.wakeups);
	sleep_us(100000);
	/* One may have been sent, and not counted, when it was cancelled. */
	assert_true(atomic_load(&s.wakeups) <= wakeups + 1);
	server_stop(&s);
}

static void awake_guest_is_not_tried_for_ever(void **state)
{
	struct vrtc_alarm_action *a;
	struct server s;
	unsigned wakeups;

	(void)state;
	server_start(&s, "insomniac",
		(struct manners){.greeting = GREETING, RETURN, RETURN, .awake_times = UINT_MAX});
	asleep_ms = 100;
	a = action_of("insomniac", "qmp", "insomniac", LONG_MS, 10);
	asleep_ms = 0;
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	sleep_us(300000);
	wakeups = atomic_load(&s.wakeups);
	assert_true(wakeups > 1);
	sleep_us(100000);
	assert_int_equal(atomic_load(&s.wakeups), wakeups);
	/* The next expiration has its own time. */
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(atomic_load(&s.wakeups) > wakeups + 1);
	assert_true(logged("insomniac", "") > 2);
	EVENTUALLY(vrtc_alarm_action_cancel(a, 0));
	server_stop(&s);
}

static void awake_guest_is_tried_for_each_clock_by_itself(void **state)
{
	struct vrtc_alarm_action *a;
	struct server s;
	unsigned wakeups;

	(void)state;
	server_start(&s, "two-clocks",
		(struct manners){.greeting = GREETING, RETURN, RETURN, .awake_times = UINT_MAX});
	asleep_ms = 100;
	a = action_of("two-clocks", "qmp", "two-clocks", LONG_MS, 10);
	asleep_ms = 0;
	/* The first expiration of either has the same number; the first one's time is over. */
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	sleep_us(300000);
	wakeups = atomic_load(&s.wakeups);
	vrtc_alarm_action_expire(a, 1, ALARM_NS);
	EVENTUALLY(atomic_load(&s.wakeups) > wakeups + 1);
	/* Both at once, in turns: each ends. */
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	vrtc_alarm_action_expire(a, 1, ALARM_NS);
	vrtc_alarm_action_expire(a, 1, ALARM_NS);
	sleep_us(400000);
	wakeups = atomic_load(&s.wakeups);
	sleep_us(100000);
	assert_int_equal(atomic_load(&s.wakeups), wakeups);
	server_stop(&s);
}

static void guest_that_cannot_be_woken_is_a_failure_in_qemus_words(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING,
		       RETURN,
		       ERROR("wake-up from suspend is not supported by this \\\"guest\\n\x1b[31m")},
		LONG_MS, "unable",
		"system_wakeup: wake-up from suspend is not supported by this \\\"guest\\n?[31m",
		1);
}

static void error_of_qmp_capabilities_is_a_failure_and_wakes_nobody(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING, ERROR("no"), RETURN}, LONG_MS, "incapable",
		"qmp_capabilities: no", 0);
}

static void missing_greeting_fails_at_the_deadline_and_names_the_reason(void **state)
{
	(void)state;
	expect((struct manners){.greeting = NULL}, SHORT_MS, "silent", "another may be connected",
		0);
}

static void half_a_greeting_fails_at_the_deadline(void **state)
{
	(void)state;
	expect((struct manners){.greeting = "{\"QMP\": {"}, SHORT_MS, "half", "no greeting in time",
		0);
}

static void missing_answer_fails_at_the_deadline(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING, RETURN, NULL}, SHORT_MS, "mute",
		"no answer to system_wakeup in time", 1);
}

static void bytes_without_end_fail_at_the_deadline(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING GREETING, .slowly_us = 50000}, SHORT_MS,
		"drip", "no greeting in time", 0);
}

static void garbage_is_not_a_greeting(void **state)
{
	static const char *const garbage[] = {
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\n",
		"}{\"QMP\": 1}\n",
		"[\"QMP\"]\n",
		"{\"QMP\n",
		"{\"QMP\"\n",
		"{\"QMP\": \"\\\n",
		"{\"QMP\": {}\n",
		"{\"QMP\": {}} x\n",
		"{\"a\": {\"QMP\": 1}}\n",
		"{\"a\": \"\\\"QMP\\\": 1\"}\n",
		"{\"return\": {}}\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		char device[32];

		snprintf(device, sizeof(device), "garbage%u", i);
		expect((struct manners){.greeting = garbage[i], RETURN, RETURN}, LONG_MS,
			strdup(device), "no greeting of QMP's", 0);
	}
}

static void reply_that_is_neither_return_nor_error_is_a_failure(void **state)
{
	(void)state;
	expect((struct manners){.greeting = GREETING, "{\"id\": \"return\"}\n", RETURN}, LONG_MS,
		"neither", "neither a return nor an error", 0);
	expect((struct manners){.greeting = GREETING, RETURN, "{}\n"}, LONG_MS, "empty",
		"neither a return nor an error", 1);
}

static void line_of_more_than_16_KiB_is_a_failure(void **state)
{
	static char line[16384 + 1];

	(void)state;
	memset(line, ' ', sizeof(line) - 1);
	expect((struct manners){.greeting = line}, LONG_MS, "long",
		"a line of more than 16384 bytes", 0);
}

static void line_of_16_KiB_is_understood(void **state)
{
	static char line[16384 + 1];

	(void)state;
	assert_int_equal(snprintf(line, sizeof(line), "{\"QMP\": {%*s}}\n", 16384 - 12, ""), 16384);
	expect((struct manners){.greeting = line, RETURN, RETURN}, LONG_MS, "longest", ": done", 1);
}

static void events_without_end_are_a_failure(void **state)
{
	static char many[300 * sizeof("{\"event\": 1}\n")];

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		strcat(many, "{\"event\": 1}\n");
	expect((struct manners){.greeting = GREETING, many, RETURN}, LONG_MS, "talkative",
		"more than 256 events", 0);
}

static void connection_that_ends_is_a_failure_at_once(void **state)
{
	(void)state;
	expect((struct manners){.greeting = NULL, .hangs_up = true}, LONG_MS, "gone0",
		"the connection ended before the greeting", 0);
	expect((struct manners){.greeting = GREETING, NULL, .hangs_up = true}, LONG_MS, "gone1",
		"the connection ended before the answer to qmp_capabilities", 0);
	expect((struct manners){.greeting = GREETING, RETURN, NULL, .hangs_up = true}, LONG_MS,
		"gone2", "the connection ended before the answer to system_wakeup", 1);
}

static void absent_socket_is_a_failure_logged_once_until_a_success(void **state)
{
	struct server s;
	struct vrtc_alarm_action *a = action_of("absent", "qmp", "absent", LONG_MS, 0);

	(void)state;
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("absent", "cannot connect: No such file") == 1);
	/* How often it tries shows at a socket that hangs up. The failure is of another kind. */
	server_start(&s, "absent", (struct manners){.greeting = NULL, .hangs_up = true});
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("absent", "the connection ended") == 1);
	server_stop(&s);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	sleep_us(100000);
	assert_int_equal(logged("absent", ""), 2);
	server_start(&s, "absent", (struct manners){.greeting = GREETING, RETURN, RETURN});
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("absent", ": done") == 1);
	server_stop(&s);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("absent", "cannot connect: No such file") == 2);
	assert_int_equal(logged("absent", ""), 4);
}

static void full_backlog_fails_at_the_deadline(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vrtc_alarm_action *a = action_of("backlog", "qmp", "backlog", SHORT_MS, 0);

	(void)state;
	assert_true(fd >= 0 && other >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/backlog", dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(connect(other, (const struct sockaddr *)&address, sizeof(address)), 0);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("backlog", "not connected in time") == 1);
	close(other);
	close(fd);
}

/* ---- exec: */

static void write_program(const char *file, const char *text)
{
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("#!/bin/sh\n", f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

static bool exists(const char *file)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return access(path, F_OK) == 0;
}

/* What the program "show" has left. */
static char *run_show(const char *device)
{
	struct vrtc_alarm_action *a = action_of(device, "exec", "show", LONG_MS, 0);
	char path[80];

	snprintf(path, sizeof(path), "%s/show.out", dir);
	unlink(path);
	vrtc_alarm_action_expire(a, 1, ALARM_NS);
	EVENTUALLY(logged(device, ": done") == 1);
	return read_file(path);
}

static void program_finds_device_clock_and_time_in_its_environment(void **state)
{
	char *shown = run_show("show-environment");

	(void)state;
	assert_non_null(strstr(shown, "\nDPDK_RTC_DEVICE=show-environment\n"));
	assert_non_null(strstr(shown, "\nDPDK_RTC_CLOCK_ID=1\n"));
	assert_non_null(strstr(shown, "\nDPDK_RTC_CLOCK=utc\n"));
	assert_non_null(strstr(shown, "\nDPDK_RTC_ALARM_NS=1795420800123456789\n"));
	assert_non_null(strstr(shown, "\nKEPT=yes\n"));
	/* Ours of the same name is gone. */
	assert_null(strstr(shown, "DPDK_RTC_DEVICE=wrong"));
	free(shown);
}

static void program_has_default_signals_and_none_blocked(void **state)
{
	char *shown = run_show("show-signals");
	const char *ignored;

	(void)state;
	assert_non_null(strstr(shown, "\nSigBlk:\t0000000000000000\n"));
	/* But for signals 32 and 33, which glibc keeps to itself, and ignores in posix_spawn(). */
	ignored = strstr(shown, "\nSigIgn:\t");
	assert_non_null(ignored);
	assert_int_equal(strtoull(ignored + strlen("\nSigIgn:\t"), NULL, 16) & ~0x180000000, 0);
	free(shown);
}

static void program_has_descriptors_0_to_2_and_a_group_of_its_own(void **state)
{
	char *shown = run_show("show-descriptors");

	(void)state;
	assert_true(fcntl(OPEN_FD, F_GETFD) == 0);
	assert_non_null(strstr(shown, "\nfd 0 /dev/null\n"));
	assert_null(strstr(shown, "\nfd 100"));
	assert_non_null(strstr(shown, "\nstdout is stderr\n"));
	assert_non_null(strstr(shown, "\nleads its group\n"));
	free(shown);
}

static void program_may_run_on_the_cpus_of_before_main(void **state)
{
	char *shown;
	char *line;
	unsigned n = 0;

	(void)state;
	if (CPU_COUNT(&cpus_at_start) < 2) {
		print_message("SKIP: one CPU: being pinned to it makes no difference\n");
		skip();
	}
	shown = run_show("show-cpus");
	line = strstr(shown, "\nCpus_allowed:\t");
	assert_non_null(line);
	for (line += strlen("\nCpus_allowed:\t"); *line && *line != '\n'; line++) {
		char digit[2] = {*line, '\0'};

		n += (unsigned)__builtin_popcountl(strtoul(digit, NULL, 16));
	}
	assert_int_equal(n, CPU_COUNT(&cpus_at_start));
	free(shown);
}

static void exit_status_other_than_0_is_a_failure_logged_once(void **state)
{
	struct vrtc_alarm_action *a = action_of("status", "exec", "status", LONG_MS, 0);

	(void)state;
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("status", "exit status 3") == 1);
	EVENTUALLY(exists("status.1"));
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(exists("status.2"));
	sleep_us(200000);
	assert_int_equal(logged("status", ""), 1);
}

static void program_ended_by_a_signal_is_a_failure(void **state)
{
	struct vrtc_alarm_action *a = action_of("signal", "exec", "signal", LONG_MS, 0);

	(void)state;
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("signal", "ended by signal 15") == 1);
}

static void program_that_cannot_be_executed_is_a_failure(void **state)
{
	(void)state;
	vrtc_alarm_action_expire(action_of("missing", "exec", "missing", LONG_MS, 0), 0, ALARM_NS);
	EVENTUALLY(logged("missing", "cannot be started: No such file") == 1);
	/* It may be executed, and has no format that the kernel knows. */
	vrtc_alarm_action_expire(action_of("format", "exec", "format", LONG_MS, 0), 0, ALARM_NS);
	/* valgrind gives such a file to a shell, whose failure is as good. */
	EVENTUALLY(logged("format", "") == 1);
	assert_int_equal(logged("format", "cannot be started: Exec format error") +
				 logged("format", "exit status 127"),
		1);
}

/* Gone, or a zombie that waits for a reaper of its own. */
static bool is_over(const char *file, bool reaped)
{
	char path[80];
	char *pid;
	char *stat;
	bool over;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	pid = read_file(path);
	assert_true(atoi(pid) > 1);
	snprintf(path, sizeof(path), "/proc/%d/stat", atoi(pid));
	stat = read_file(path);
	over = stat[0] == '\0' || (!reaped && strstr(stat, ") Z "));
	free(pid);
	free(stat);
	return over;
}

static void program_that_hangs_is_killed_with_its_group_and_reaped(void **state)
{
	struct vrtc_alarm_action *a = action_of("hang", "exec", "hang", SHORT_MS, 0);

	(void)state;
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(exists("hang.ready"));
	EVENTUALLY(logged("hang", "it ran for too long, and was killed") == 1);
	assert_true(is_over("hang.leader", true));
	EVENTUALLY(is_over("hang.member", false));
}

/* ---- Turns, bounds, cancelling. */

static void what_is_no_action_is_einval(void **state)
{
	static const char *const no_actions[] = {
		"", "qmp", "qmp:", "exec:", "none", "run:/bin/true"};
	char too_long[128] = "qmp:/";

	(void)state;
	for (unsigned i = 0; i < sizeof(no_actions) / sizeof(no_actions[0]); i++) {
		errno = 0;
		assert_null(vrtc_alarm_action_new(no_actions[i], "none", clocks, 2));
		assert_int_equal(errno, EINVAL);
	}
	/* A sun_path has 108 bytes, the last of them for the NUL. */
	memset(too_long + 5, 'a', 107);
	assert_null(vrtc_alarm_action_new(too_long, "none", clocks, 2));
	assert_int_equal(errno, EINVAL);
	too_long[4 + 107] = '\0';
	assert_non_null(vrtc_alarm_action_new(too_long, "longest-path", clocks, 2));
	errno = 0;
	assert_null(vrtc_alarm_action_new("exec:/bin/true", "none", clocks, 0));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(vrtc_alarm_action_new("exec:/bin/true", "none", clocks, 65));
	assert_int_equal(errno, EINVAL);
}

static void action_cancelled_before_it_begins_is_not_executed(void **state)
{
	struct server s;
	struct vrtc_alarm_action *a;

	(void)state;
	/* The greeting takes half a second: the worker is in the midst of it. */
	server_start(&s, "cancelled",
		(struct manners){.greeting = GREETING, RETURN, RETURN, .slowly_us = 4000});
	a = action_of("cancelled", "qmp", "cancelled", LONG_MS, 0);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	sleep_us(100000);
	assert_true(vrtc_alarm_action_cancel(a, 0));
	/* The device's other clock has its turn only after the first one's worker is through. */
	vrtc_alarm_action_expire(a, 1, ALARM_NS);
	EVENTUALLY(logged("cancelled", "alarm of clock 1: ") == 1);
	assert_int_equal(atomic_load(&s.wakeups), 1);
	assert_int_equal(logged("cancelled", ""), 1);
	server_stop(&s);
}

static void expiration_replaces_one_whose_action_has_not_begun(void **state)
{
	struct server s;
	struct vrtc_alarm_action *a;

	(void)state;
	server_start(&s, "replaced",
		(struct manners){.greeting = GREETING, RETURN, RETURN, .slowly_us = 4000});
	a = action_of("replaced", "qmp", "replaced", LONG_MS, 0);
	for (unsigned i = 0; i < 5; i++)
		vrtc_alarm_action_expire(a, 0, ALARM_NS + i);
	EVENTUALLY(logged("replaced", ": done") == 1);
	sleep_us(200000);
	assert_int_equal(atomic_load(&s.wakeups), 1);
	server_stop(&s);
}

static void failed_preparation_uses_up_no_later_expiration(void **state)
{
	struct server s;
	struct vrtc_alarm_action *a;

	(void)state;
	server_start(&s, "later", (struct manners){.greeting = NULL});
	a = action_of("later", "qmp", "later", SHORT_MS, 0);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	sleep_us(300000);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	/* The second attempt is seen by its answer. */
	EVENTUALLY(logged("later", "no greeting in time") == 1);
	server_stop(&s);
	server_start(&s, "later", (struct manners){.greeting = GREETING, RETURN, RETURN});
	EVENTUALLY(logged("later", "") == 2);
	server_stop(&s);
}

static void device_pauses_between_its_actions(void **state)
{
	struct vrtc_alarm_action *a = action_of("pause", "exec", "/bin/true", LONG_MS, 1000);
	int64_t start_ms = now_ms();

	(void)state;
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("pause", ": done") == 1);
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	EVENTUALLY(logged("pause", ": done") == 2);
	assert_true(now_ms() - start_ms >= 990);
}

static void sixteen_run_at_a_time_and_the_others_wait_for_their_turn(void **state)
{
	enum { HANGING = 17 };
	static char names[HANGING][16];
	struct vrtc_alarm_action *hanging[HANGING];
	struct vrtc_alarm_action *last;
	struct server s;
	int64_t start_ms;

	(void)state;
	server_start(&s, "hold", (struct manners){.holds = true});
	for (unsigned i = 0; i < HANGING; i++) {
		snprintf(names[i], sizeof(names[i]), "hold%u", i);
		hanging[i] = action_of(names[i], "qmp", "hold", LONG_MS, 0);
	}
	last = action_of("eighteenth", "exec", "eighteenth", LONG_MS, 0);
	/* One that hangs delays nobody. */
	vrtc_alarm_action_expire(hanging[0], 0, ALARM_NS);
	EVENTUALLY(atomic_load(&s.held) == 1);
	vrtc_alarm_action_expire(last, 0, ALARM_NS);
	EVENTUALLY(logged("eighteenth", ": done") == 1);
	/* Seventeen leave no place, and whoever reports an expiration does not notice. */
	start_ms = now_ms();
	for (unsigned i = 1; i < HANGING; i++)
		vrtc_alarm_action_expire(hanging[i], 0, ALARM_NS);
	assert_true(now_ms() - start_ms < SHORT_MS);
	EVENTUALLY(atomic_load(&s.held) == 16);
	start_ms = now_ms();
	for (unsigned i = 0; i < 1000; i++)
		vrtc_alarm_action_expire(last, 0, ALARM_NS);
	assert_true(now_ms() - start_ms < SHORT_MS);
	sleep_us(300000);
	assert_int_equal(logged("eighteenth", ""), 1);
	/* One ends: the seventeenth or the eighteenth has its place; another one ends: both had. */
	atomic_store(&s.released, 2);
	EVENTUALLY(logged("eighteenth", ": done") == 2);
	assert_int_equal(atomic_load(&s.held_max), 16);
	for (unsigned i = 0; i < HANGING; i++)
		(void)vrtc_alarm_action_cancel(hanging[i], 0);
	server_stop(&s);
}

/*
 * Many expirations and cancellings, of which each comes at another phase of the action.
 *
 * @param most_us  about how long it takes until an action has begun
 */
static void hammer(struct vrtc_alarm_action *a, unsigned rounds, unsigned most_us)
{
	unsigned before = atomic_load(&begun);
	int64_t end_ms = now_ms() + 10000;
	unsigned refused = 0;
	unsigned round;
	unsigned had_begun;

	for (round = 0; round < rounds && now_ms() < end_ms; round++) {
		atomic_store(&forbidden, false);
		vrtc_alarm_action_expire(a, 0, ALARM_NS);
		sleep_us((long)(rand() % (int)(most_us * 2)));
		while (!vrtc_alarm_action_cancel(a, 0)) {
			refused++;
			sched_yield();
		}
		atomic_store(&forbidden, true);
		if (round % 2)
			sleep_us((long)(rand() % (int)most_us));
	}
	sleep_us(100000);
	had_begun = atomic_load(&begun) - before;
	print_message("%u rounds, %u begun, %u times asked again\n", round, had_begun, refused);
	atomic_store(&forbidden, false);
	/* Both were hit: actions that had begun, and actions that had not. */
	assert_in_range(had_begun, 1, round - 1);
	assert_int_equal(atomic_load(&begun_although_forbidden), 0);
}

static void no_wakeup_is_sent_after_cancel_has_said_so(void **state)
{
	struct server s;

	(void)state;
	server_start(&s, "hammer", (struct manners){.greeting = GREETING, RETURN, RETURN});
	hammer(action_of("hammer-qmp", "qmp", "hammer", LONG_MS, 0), 5000, 400);
	server_stop(&s);
}

static void no_program_is_started_after_cancel_has_said_so(void **state)
{
	(void)state;
	hammer(action_of("hammer-exec", "exec", "/bin/true", LONG_MS, 0), 1000, 1000);
}

/* The last one: nothing begins after it. */
static void nothing_begins_after_the_end(void **state)
{
	struct vrtc_alarm_action *a = action_of("end", "exec", "end", LONG_MS, 0);

	(void)state;
	vrtc_alarm_actions_end();
	vrtc_alarm_action_expire(a, 0, ALARM_NS);
	sleep_us(300000);
	assert_false(exists("end.out"));
	assert_int_equal(logged("end", ""), 0);
	assert_true(vrtc_alarm_action_cancel(a, 0));
}

/* ---- */

static void write_programs(void)
{
	/* All before the first one runs: a file that is open for writing is not executed. */
	write_program("show", "one=$(readlink /proc/$$/fd/1) two=$(readlink /proc/$$/fd/2)\n"
			      "{\n"
			      "echo\n"
			      "env\n"
			      "cat /proc/self/status\n"
			      "for fd in /proc/$$/fd/*; do\n"
			      "	echo \"fd ${fd##*/} $(readlink \"$fd\")\"\n"
			      "done\n"
			      "[ \"$one\" = \"$two\" ] && echo 'stdout is stderr'\n"
			      "group=$(cut -d' ' -f5 /proc/$$/stat)\n"
			      "[ $$ = \"$group\" ] && echo 'leads its group'\n"
			      "} >\"$0.tmp\"\n"
			      "mv \"$0.tmp\" \"$0.out\"\n");
	write_program("status", "[ -e \"$0.1\" ] && : >\"$0.2\"\n: >\"$0.1\"\nexit 3\n");
	write_program("signal", "kill -TERM $$\n");
	write_program("hang", "trap '' TERM HUP\n"
			      "sleep 1000 &\n"
			      "echo $! >\"$0.member\"\n"
			      "echo $$ >\"$0.leader\"\n"
			      ": >\"$0.ready\"\n"
			      "wait\n");
	write_program("eighteenth", "exit 0\n");
	write_program("end", ": >\"$0.out\"\n");
}

static int make_house(void **state)
{
	char path[80];
	cpu_set_t one;
	sigset_t set;
	FILE *log;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_programs();
	snprintf(path, sizeof(path), "%s/format", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	assert_true(fd >= 0 && write(fd, "\1\2\3\4", 4) == 4);
	close(fd);

	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	log = fopen(log_path, "ae");
	assert_non_null(log);
	assert_int_equal(rte_openlog_stream(log), 0);
	rte_log_set_global_level(RTE_LOG_DEBUG);

	/* As the daemon is, and somewhat worse. */
	assert_int_equal(setenv("DPDK_RTC_DEVICE", "wrong", 1), 0);
	assert_int_equal(setenv("KEPT", "yes", 1), 0);
	assert_int_equal(dup2(STDERR_FILENO, OPEN_FD), OPEN_FD);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(cpus_at_start), &cpus_at_start), 0);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
		if (CPU_ISSET(cpu, &cpus_at_start))
			CPU_SET(cpu, &one);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	return 0;
}

static int remove_house(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_is_woken_by_system_wakeup),
		cmocka_unit_test(events_between_the_replies_are_skipped),
		cmocka_unit_test(replies_that_come_byte_by_byte_are_understood),
		cmocka_unit_test(guest_that_is_awake_is_no_failure),
		cmocka_unit_test(guest_that_is_still_going_to_sleep_is_woken_when_it_sleeps),
		cmocka_unit_test(awake_guest_is_left_alone_when_its_driver_has_cancelled),
		cmocka_unit_test(awake_guest_is_not_tried_for_ever),
		cmocka_unit_test(awake_guest_is_tried_for_each_clock_by_itself),
		cmocka_unit_test(guest_that_cannot_be_woken_is_a_failure_in_qemus_words),
		cmocka_unit_test(error_of_qmp_capabilities_is_a_failure_and_wakes_nobody),
		cmocka_unit_test(missing_greeting_fails_at_the_deadline_and_names_the_reason),
		cmocka_unit_test(half_a_greeting_fails_at_the_deadline),
		cmocka_unit_test(missing_answer_fails_at_the_deadline),
		cmocka_unit_test(bytes_without_end_fail_at_the_deadline),
		cmocka_unit_test(garbage_is_not_a_greeting),
		cmocka_unit_test(reply_that_is_neither_return_nor_error_is_a_failure),
		cmocka_unit_test(line_of_more_than_16_KiB_is_a_failure),
		cmocka_unit_test(line_of_16_KiB_is_understood),
		cmocka_unit_test(events_without_end_are_a_failure),
		cmocka_unit_test(connection_that_ends_is_a_failure_at_once),
		cmocka_unit_test(absent_socket_is_a_failure_logged_once_until_a_success),
		cmocka_unit_test(full_backlog_fails_at_the_deadline),
		cmocka_unit_test(program_finds_device_clock_and_time_in_its_environment),
		cmocka_unit_test(program_has_default_signals_and_none_blocked),
		cmocka_unit_test(program_has_descriptors_0_to_2_and_a_group_of_its_own),
		cmocka_unit_test(program_may_run_on_the_cpus_of_before_main),
		cmocka_unit_test(exit_status_other_than_0_is_a_failure_logged_once),
		cmocka_unit_test(program_ended_by_a_signal_is_a_failure),
		cmocka_unit_test(program_that_cannot_be_executed_is_a_failure),
		cmocka_unit_test(program_that_hangs_is_killed_with_its_group_and_reaped),
		cmocka_unit_test(what_is_no_action_is_einval),
		cmocka_unit_test(action_cancelled_before_it_begins_is_not_executed),
		cmocka_unit_test(expiration_replaces_one_whose_action_has_not_begun),
		cmocka_unit_test(failed_preparation_uses_up_no_later_expiration),
		cmocka_unit_test(device_pauses_between_its_actions),
		cmocka_unit_test(sixteen_run_at_a_time_and_the_others_wait_for_their_turn),
		cmocka_unit_test(no_wakeup_is_sent_after_cancel_has_said_so),
		cmocka_unit_test(no_program_is_started_after_cancel_has_said_so),
		cmocka_unit_test(nothing_begins_after_the_end),
	};

	return cmocka_run_group_tests(tests, make_house, remove_house);
}
