/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon on a machine with two NUMA nodes: who serves which guest. */
#include "cases.h"

#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "driver.h"
#include "lab.h"
#include "memory_node.h"

#define NODES 2

static void needs_two_nodes(void)
{
	lab_check(lab_nodes() == NODES, "this kernel has %u nodes", lab_nodes());
}

/* A front-end whose memory is on that node; the line that the daemon wrote about its requestq. */
static void serve(const char *socket_path, int node, unsigned int nth, char *line, size_t size)
{
	struct vfe_session s;
	int64_t reading_ns;

	lab_memory_bind(node);
	lab_driver_start(&s, socket_path);
	lab_memory_bind(-1);
	lab_check(lab_memory_node(s.queues[0].ring.used) == node,
		"the ring of the front-end is on node %d, not %d",
		lab_memory_node(s.queues[0].ring.used), node);
	lab_driver_read(&s, 0, &reading_ns);
	lab_daemon_await_log("requestq of ", nth, line, size);
	vfe_session_fini(&s);
}

/* The CPUs 0 and 1 are on node 0, 2 and 3 on node 1; the lcore 0 is for control. */
static void check_served(const char *const args[], const char *what)
{
	pid_t daemon = lab_daemon_start(args);
	char line[512], wanted[64];

	for (unsigned int nth = 1; nth <= 4; nth++) {
		int node = (int)(nth % NODES);

		serve(LAB_DAEMON_SOCKET, node, nth, line, sizeof(line));
		snprintf(wanted, sizeof(wanted), "(memory on node %d, lcore on node %d)", node,
			node);
		lab_check(strstr(line, wanted), "%s: the log says '%s', not '%s'", what, line,
			wanted);
	}
	lab_daemon_stop(daemon);
	remove(LAB_DAEMON_LOG);
}

void lab_case_numa_requests(void)
{
	const char *const no_huge[] = {"-l", "0-3", "--no-huge", "-m", "64", "--no-shconf",
		"--no-pci", "--no-telemetry", "--", "--socket-path", LAB_DAEMON_SOCKET, "--idle",
		"interrupt", NULL};
	const char *const by_default[] = {
		"--socket-path", LAB_DAEMON_SOCKET, "--idle", "interrupt", NULL};
	char line[512];
	pid_t daemon;

	needs_two_nodes();
	check_served(no_huge, "lcores 1 to 3");

	/* One request lcore, on the last CPU, serves all; it says what is not local. */
	daemon = lab_daemon_start(by_default);
	serve(LAB_DAEMON_SOCKET, 0, 1, line, sizeof(line));
	lab_check(strstr(line, "(memory on node 0, lcore on node 1)"), "the log says '%s'", line);
	serve(LAB_DAEMON_SOCKET, 1, 2, line, sizeof(line));
	lab_check(strstr(line, "(memory on node 1, lcore on node 1)"), "the log says '%s'", line);
	lab_daemon_stop(daemon);
}
