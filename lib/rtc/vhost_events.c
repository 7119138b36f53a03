/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event thread of rte_vhost before DPDK 23.11 copies its set of descriptors, then poll()s them
 * for up to a second; nothing tells it of a new listening socket. A signal ends the poll() early.
 */
#include "backend.h"

#include <rte_version.h>

#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Ignored by default, used by nobody here, and never blocked by us. */
#define NUDGE_SIGNAL SIGURG

static void do_nothing(int signo)
{
	(void)signo;
}

static int is_event_thread(const char *tid)
{
	char path[64];
	char comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	fclose(f);
	return strncmp(comm, "vhost-events", strlen("vhost-events")) == 0;
}

void vrtc_backend_nudge_events(void)
{
	/* SA_RESTART: a message that is being read goes on; poll() is interrupted regardless. */
	struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
	struct dirent *task;
	DIR *tasks;

	sigaction(NUDGE_SIGNAL, &action, NULL);
	tasks = opendir("/proc/self/task");
	if (!tasks)
		return;
	while ((task = readdir(tasks))) {
		if (is_event_thread(task->d_name))
			syscall(SYS_tgkill, getpid(), atoi(task->d_name), NUDGE_SIGNAL);
	}
	closedir(tasks);
}

#else

void vrtc_backend_nudge_events(void)
{
}

#endif
