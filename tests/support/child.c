/* SPDX-License-Identifier: BSD-3-Clause */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int redirect(posix_spawn_file_actions_t *actions, int fd, const char *path)
{
	return path ? posix_spawn_file_actions_addopen(
			      actions, fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600)
		    : 0;
}

int child_start(
	struct child *child, const char *const *argv, const char *out_path, const char *err_path)
{
	posix_spawn_file_actions_t actions;
	int err;

	*child = (struct child){0};
	err = posix_spawn_file_actions_init(&actions);
	if (err)
		return -err;
	err = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!err)
		err = redirect(&actions, 1, out_path);
	if (!err)
		err = redirect(&actions, 2, err_path);
	if (!err)
		err = posix_spawnp(
			&child->pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err) {
		child->pid = 0;
		return -err;
	}
	child->out_path = out_path ? strdup(out_path) : NULL;
	child->err_path = err_path ? strdup(err_path) : NULL;
	return 0;
}

bool child_runs(const struct child *child)
{
	siginfo_t info = {0};

	if (child->pid == 0)
		return false;
	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT))
		return false;
	return info.si_pid == 0;
}

int child_signal(const struct child *child, int signo)
{
	if (child->pid == 0)
		return -ESRCH;
	return kill(child->pid, signo) ? -errno : 0;
}

int child_wait(struct child *child, unsigned timeout_ms)
{
	struct pollfd ended = {.events = POLLIN};
	bool timed_out;
	int status = 0;

	if (child->pid == 0)
		return -ECHILD;
	ended.fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	timed_out = ended.fd < 0 || poll(&ended, 1, (int)timeout_ms) == 0;
	if (ended.fd >= 0)
		close(ended.fd);
	if (timed_out)
		kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	free(child->out_path);
	free(child->err_path);
	*child = (struct child){0};
	if (timed_out)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *child_read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t bytes = 0;

	if (!f)
		return NULL;
	for (;;) {
		char *more = realloc(text, bytes + 4096);
		size_t n;

		if (!more)
			break;
		text = more;
		n = fread(text + bytes, 1, 4095, f);
		bytes += n;
		text[bytes] = '\0';
		if (n == 0)
			break;
	}
	fclose(f);
	return text;
}
