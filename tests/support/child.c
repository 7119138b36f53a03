/* SPDX-License-Identifier: BSD-3-Clause */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int redirect(int fd, const char *path, int flags)
{
	int file = open(path, flags | O_CLOEXEC, 0600);

	if (file < 0)
		return -1;
	return dup2(file, fd) < 0 ? -1 : 0;
}

/* In the child: becomes the program, or tells the parent through the pipe why not. */
static __attribute__((noreturn)) void become(const char *const *argv, const char *out_path,
	const char *err_path, pid_t parent, int report_fd)
{
	int err;

	/* A test that fails returns in the middle: its child must not live on. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && redirect(0, "/dev/null", O_RDONLY) == 0 &&
		(!out_path || redirect(1, out_path, O_WRONLY | O_CREAT | O_TRUNC) == 0) &&
		(!err_path || redirect(2, err_path, O_WRONLY | O_CREAT | O_TRUNC) == 0))
		execvp(argv[0], (char *const *)argv);
	err = errno;
	if (write(report_fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int child_start(
	struct child *child, const char *const *argv, const char *out_path, const char *err_path)
{
	pid_t parent = getpid();
	int report[2];
	int err = 0;

	*child = (struct child){0};
	if (pipe2(report, O_CLOEXEC))
		return -errno;
	child->pid = fork();
	if (child->pid == 0)
		become(argv, out_path, err_path, parent, report[1]);
	if (child->pid < 0) {
		err = errno;
		child->pid = 0;
	}
	close(report[1]);
	/* Ends without a byte when the program runs: the pipe is closed by exec. */
	if (!err && read(report[0], &err, sizeof(err)) == (ssize_t)sizeof(err)) {
		waitpid(child->pid, NULL, 0);
		child->pid = 0;
	}
	close(report[0]);
	return -err;
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
