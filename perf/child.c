/* SPDX-License-Identifier: BSD-3-Clause */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frontend/deadline.h"

#define END_MS        10000
#define LOG_SHOWN_MAX 2000

static cpu_set_t cpus;

void perf_child_begin(void)
{
	struct rlimit files;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* In the child. */
static void become(pid_t parent, const struct perf_child *child, char **argv)
{
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	setenv("RUNTIME_DIRECTORY", child->run_dir, 1);
	fd = open(child->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int perf_child_start(struct perf_child *child, const char *program, const char *dir, char **argv)
{
	static unsigned number;
	pid_t parent = getpid();

	snprintf(child->log, sizeof(child->log), "%s/log.%u", dir, number);
	snprintf(child->run_dir, sizeof(child->run_dir), "%s/run.%u", dir, number++);
	if (mkdir(child->run_dir, 0700)) {
		fprintf(stderr, "%s: %s: %s\n", program, child->run_dir, strerror(errno));
		return -1;
	}
	child->pid = fork();
	if (child->pid == 0)
		become(parent, child, argv);
	if (child->pid > 0)
		return 0;
	fprintf(stderr, "%s: fork: %s\n", program, strerror(errno));
	child->pid = 0;
	return -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* It has ended. */
static void forget(struct perf_child *child)
{
	unlink(child->log);
	nftw(child->run_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	child->pid = 0;
}

/* The end of its log, as a string. */
static void read_log(const struct perf_child *child, char text[LOG_SHOWN_MAX + 1])
{
	FILE *f = fopen(child->log, "re");
	size_t n = 0;

	if (f && fseek(f, -LOG_SHOWN_MAX, SEEK_END) < 0)
		rewind(f);
	if (f) {
		n = fread(text, 1, LOG_SHOWN_MAX, f);
		fclose(f);
	}
	text[n] = '\0';
}

static void show_log(const struct perf_child *child)
{
	char text[LOG_SHOWN_MAX + 1];

	read_log(child, text);
	fputs(text, stderr);
}

bool perf_child_lives(struct perf_child *child, const char *program)
{
	if (child->pid == 0)
		return false;
	if (waitpid(child->pid, NULL, WNOHANG) == 0)
		return true;
	fprintf(stderr, "%s: the back-end has ended:\n", program);
	show_log(child);
	forget(child);
	return false;
}

int perf_child_await(
	struct perf_child *child, const char *program, const char *text, unsigned timeout_ms)
{
	int64_t deadline_ns = vfe_deadline_in_ms(timeout_ms);
	const struct timespec pause = {.tv_nsec = 5000000};
	char log[LOG_SHOWN_MAX + 1];

	for (;;) {
		read_log(child, log);
		if (strstr(log, text))
			return 0;
		if (!perf_child_lives(child, program))
			return -1;
		if (vfe_now_ns() >= deadline_ns)
			break;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "%s: the back-end did not say '%s' within %u ms:\n", program, text,
		timeout_ms);
	show_log(child);
	return -1;
}

void perf_child_end(struct perf_child *child)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	int64_t deadline_ns = vfe_deadline_in_ms(END_MS);

	if (child->pid == 0)
		return;
	kill(child->pid, SIGCONT);
	kill(child->pid, SIGTERM);
	while (waitpid(child->pid, NULL, WNOHANG) == 0) {
		if (vfe_now_ns() >= deadline_ns)
			kill(child->pid, SIGKILL);
		nanosleep(&pause, NULL);
	}
	forget(child);
}

int64_t perf_child_cpu_ns(const struct perf_child *child)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(child->pid, &clock) || clock_gettime(clock, &ts))
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct perf_child_memory perf_child_memory(const struct perf_child *child)
{
	struct perf_child_memory m = {0};
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)child->pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "RssAnon: %ld", &m.anonymous_kib);
		sscanf(line, "RssFile: %ld", &m.file_kib);
		sscanf(line, "RssShmem: %ld", &m.shared_kib);
	}
	if (f)
		fclose(f);
	return m;
}
