/* SPDX-License-Identifier: BSD-3-Clause */
#include "pause.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/deadline.h"

#define STOPPED_MAX 16
#define STOP_MS     2000

static volatile pid_t stopped[STOPPED_MAX];

static void continue_all(void)
{
	for (int i = 0; i < STOPPED_MAX; i++)
		if (stopped[i] > 0)
			kill(stopped[i], SIGCONT);
}

static void end(int sig)
{
	continue_all();
	_exit(128 + sig);
}

void perf_pause_begin(void)
{
	atexit(continue_all);
	signal(SIGINT, end);
	signal(SIGTERM, end);
}

/* True once every thread of the process is in state T. */
static bool is_stopped(pid_t pid)
{
	char path[300];
	bool all = true;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while (all && (e = readdir(dir)) != NULL) {
		char line[512];
		const char *after_name;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", (int)pid, e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		/* pid (name) state: the name may hold anything, a parenthesis as well. */
		if (fgets(line, sizeof(line), f)) {
			after_name = strrchr(line, ')');
			all = after_name && after_name[1] == ' ' &&
			      (after_name[2] == 'T' || after_name[2] == 't');
		}
		fclose(f);
	}
	closedir(dir);
	return all;
}

int perf_pause(pid_t pid)
{
	int64_t deadline_ns = vfe_deadline_in_ms(STOP_MS);
	int i = 0;

	if (pid == 0)
		return 0;
	while (i < STOPPED_MAX && stopped[i] != 0 && stopped[i] != pid)
		i++;
	if (i == STOPPED_MAX)
		return -ENOSPC;
	stopped[i] = pid;
	if (kill(pid, SIGSTOP) < 0)
		return -errno;
	while (!is_stopped(pid)) {
		if (vfe_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

void perf_pause_end(pid_t pid)
{
	if (pid == 0)
		return;
	kill(pid, SIGCONT);
	for (int i = 0; i < STOPPED_MAX; i++)
		if (stopped[i] == pid)
			stopped[i] = 0;
}
