/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/deadline.h"
#include "kernel_time.h"
#include "lab.h"

#define ARGS_MAX 32
#define LOOK_MS  20

static void become_daemon(const char *const args[])
{
	char *argv[ARGS_MAX + 2] = {(char[]){"dpdk-rtc"}};
	int log_fd = open(LAB_DAEMON_LOG, O_WRONLY | O_CREAT | O_APPEND, 0644);

	for (unsigned int i = 0; i < ARGS_MAX && args[i]; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	if (log_fd < 0 || dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		_exit(126);
	execv(LAB_DAEMON_BINARY, argv);
	dprintf(STDERR_FILENO, "%s: %s\n", LAB_DAEMON_BINARY, strerror(errno));
	_exit(127);
}

static bool find_in_log(const char *text, unsigned int nth, char *line, size_t size)
{
	char buffer[1024];
	unsigned int found = 0;
	FILE *log = fopen(LAB_DAEMON_LOG, "re");

	while (log && found < nth && fgets(buffer, sizeof(buffer), log))
		if (strstr(buffer, text) && ++found == nth && line)
			snprintf(line, size, "%.*s", (int)strcspn(buffer, "\n"), buffer);
	if (log)
		fclose(log);
	return found == nth;
}

pid_t lab_daemon_start(const char *const args[])
{
	int64_t deadline_ns = vfe_deadline_in_ms(LAB_PATIENCE_MS);
	unsigned int lives = 0;
	pid_t pid;

	/* It may be the second one of this case, with the log of the first before it. */
	while (find_in_log("ready: ", lives + 1, NULL, 0))
		lives++;
	pid = fork();
	lab_check(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0)
		become_daemon(args);
	while (!find_in_log("ready: ", lives + 1, NULL, 0)) {
		int status;

		lab_check(waitpid(pid, &status, WNOHANG) == 0,
			"the daemon has not started, wait status 0x%x", (unsigned int)status);
		lab_check(vfe_now_ns() < deadline_ns, "the daemon is not ready after %d ms",
			LAB_PATIENCE_MS);
		lab_sleep_ms(LOOK_MS);
	}
	return pid;
}

void lab_daemon_stop(pid_t pid)
{
	int64_t deadline_ns = vfe_deadline_in_ms(LAB_PATIENCE_MS);
	int status = 0;

	lab_check(kill(pid, SIGTERM) == 0, "the daemon is gone: %s", strerror(errno));
	while (waitpid(pid, &status, WNOHANG) == 0) {
		lab_check(vfe_now_ns() < deadline_ns, "the daemon ignores SIGTERM");
		lab_sleep_ms(LOOK_MS);
	}
	lab_check(status == 0, "the daemon has ended with wait status 0x%x", (unsigned int)status);
}

void lab_daemon_await_log(const char *text, unsigned int nth, char *line, size_t size)
{
	int64_t deadline_ns = vfe_deadline_in_ms(LAB_PATIENCE_MS);

	while (!find_in_log(text, nth, line, size)) {
		lab_check(vfe_now_ns() < deadline_ns,
			"the daemon's log has no line %u with '%s' after %d ms", nth, text,
			LAB_PATIENCE_MS);
		lab_sleep_ms(LOOK_MS);
	}
}

bool lab_daemon_has_logged(const char *text)
{
	return find_in_log(text, 1, NULL, 0);
}
