/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon on a machine with two NUMA nodes: who serves which guest. */
#include "cases.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "alarm_clocks.h"
#include "daemon.h"
#include "driver.h"
#include "lab.h"
#include "memory_node.h"

#define NODES 2

/* Of 2 MiB, on each node. */
#define HUGE_PAGES 16
/* Of a node without room. */
#define CONFIG     "/run/lab/many.ini"
#define DEVICES    500

/* What is in a line of numa_maps: of memory that is not put anywhere, of the ledger of a device. */
#define NO_POLICY " default"
#define LEDGER    ".alarms"

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
	const char *const huge[] = {"-l", "0-3", "--in-memory", "--socket-mem", "16,16", "--no-pci",
		"--no-telemetry", "--", "--socket-path", LAB_DAEMON_SOCKET, "--idle", "interrupt",
		NULL};
	const char *const by_default[] = {
		"--socket-path", LAB_DAEMON_SOCKET, "--idle", "interrupt", NULL};
	char line[512];
	pid_t daemon;

	needs_two_nodes();
	check_served(no_huge, "lcores 1 to 3");
	lab_memory_huge_pages(HUGE_PAGES);
	check_served(huge, "lcores 1 to 3, huge pages");
	lab_memory_huge_pages(0);

	/* One request lcore, on the last CPU, serves all; it says what is not local. */
	daemon = lab_daemon_start(by_default);
	serve(LAB_DAEMON_SOCKET, 0, 1, line, sizeof(line));
	lab_check(strstr(line, "(memory on node 0, lcore on node 1)"), "the log says '%s'", line);
	serve(LAB_DAEMON_SOCKET, 1, 2, line, sizeof(line));
	lab_check(strstr(line, "(memory on node 1, lcore on node 1)"), "the log says '%s'", line);
	lab_daemon_stop(daemon);
}

/* ---- Alarms. */

/* Lcores 1 and 3 are for requests, 2 and 4 for alarms: one of each on each node. */
static const char *const alarm_args[] = {"--lcores", "0@0,1@0,2@1,3@2,4@3", "--no-huge", "-m", "64",
	"--no-shconf", "--no-pci", "--no-telemetry", "--", "--socket-path", LAB_DAEMON_SOCKET,
	"--clocks", LAB_ALARM_CLOCKS, "--idle", "interrupt", "--alarm-lcore", "2,4", NULL};

static unsigned int alarm_lcore(unsigned int node)
{
	return 2 + 2 * node;
}

static bool is_ledger(const char *line)
{
	return strstr(line, LEDGER);
}

static bool has_policy(const char *line)
{
	return !strstr(line, NO_POLICY);
}

/*
 * How many pages of a process are on each node, by /proc/PID/numa_maps: "ADDRESS bind:1 anon=2 ...
 * N1=2", a line for each mapping. Of the mappings that are wanted.
 */
static void count_pages(pid_t pid, bool (*is_wanted)(const char *line), unsigned long *on_node)
{
	char path[64], line[1024];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)pid);
	maps = fopen(path, "re");
	lab_check(maps, "%s cannot be read", path);
	memset(on_node, 0, NODES * sizeof(on_node[0]));
	while (fgets(line, sizeof(line), maps)) {
		for (unsigned int n = 0; n < NODES && is_wanted(line); n++) {
			const char *pages;
			char key[8];

			snprintf(key, sizeof(key), " N%u=", n);
			pages = strstr(line, key);
			if (pages)
				on_node[n] += strtoul(pages + strlen(key), NULL, 10);
		}
	}
	fclose(maps);
}

/* A front-end whose memory is on that node has an alarm. */
static void serve_alarms(int node, unsigned int nth)
{
	char line[512], wanted[128];
	struct vfe_session s;
	int64_t now_ns;

	lab_memory_bind(node);
	lab_driver_start_alarms(&s, LAB_DAEMON_SOCKET, 4);
	lab_memory_bind(-1);
	lab_check(lab_memory_node(s.queues[1].ring.used) == node,
		"the alarmq of the front-end is not on node %d", node);
	lab_driver_read(&s, LAB_UTC, &now_ns);
	lab_driver_set_alarm(&s, LAB_UTC, now_ns + 100 * LAB_NS_PER_MS);
	lab_driver_expect_alarm(
		&s, LAB_UTC, now_ns + 100 * LAB_NS_PER_MS, "in a tenth of a second");
	/* It is kept for the next session of this process, to which the reset would be an event. */
	lab_driver_disable_alarm(&s, LAB_UTC);
	lab_daemon_await_log("alarmq of ", nth, line, sizeof(line));
	snprintf(wanted, sizeof(wanted),
		"served by alarm lcore %u (memory on node %d, lcore on node %d)",
		alarm_lcore((unsigned int)node), node, node);
	lab_check(strstr(line, wanted), "the log says '%s', not '%s'", line, wanted);
	vfe_session_fini(&s);
}

void lab_case_numa_alarms(void)
{
	/* By the node on which the guest's memory is, on each node. */
	unsigned long pages[NODES][NODES];
	char line[512];
	pid_t daemon;

	needs_two_nodes();
	daemon = lab_daemon_start(alarm_args);
	for (unsigned int i = 0; i < NODES; i++) {
		unsigned int lcore, node;
		size_t on_node, all;

		lab_daemon_await_log("alarms are fired by lcore ", i + 1, line, sizeof(line));
		lab_check(sscanf(strstr(line, "alarms are"),
				  "alarms are fired by lcore %u on node %u; %zu of the %zu pages",
				  &lcore, &node, &on_node, &all) == 4,
			"the log says '%s'", line);
		lab_check(lcore == alarm_lcore(i) && node == i && on_node == all && all > 0,
			"the log says '%s'", line);
	}
	for (unsigned int nth = 1; nth <= 2 * NODES; nth++) {
		unsigned int node = nth % NODES;
		unsigned long ledger[NODES];

		serve_alarms((int)node, nth);
		count_pages(daemon, has_policy, pages[node]);
		count_pages(daemon, is_ledger, ledger);
		lab_check(ledger[node] > 0 && ledger[!node] == 0,
			"of the ledger %lu pages are on node %u and %lu elsewhere, after it was served "
			"there",
			ledger[node], node, ledger[!node]);
	}
	/* The device's own memory goes with it, those of the two alarm lcores stay. */
	lab_check(pages[0][1] > 0 && pages[1][0] > 0,
		"an alarm lcore has no page on its node: %lu on node 1, %lu on node 0", pages[0][1],
		pages[1][0]);
	lab_check(
		pages[0][0] > pages[1][0] && pages[0][0] - pages[1][0] == pages[1][1] - pages[0][1],
		"served on node 0, %lu and %lu pages are on the nodes; on node 1, %lu and %lu",
		pages[0][0], pages[0][1], pages[1][0], pages[1][1]);
	lab_note("numa_maps: alarm lcores %lu and %lu pages, each on its node; the device's %lu "
		 "follow the guest's memory, its ledger, too",
		pages[1][0], pages[0][1], pages[0][0] - pages[1][0]);
	lab_daemon_stop(daemon);
}

/* So many that their memory is more than what a full node still has. */
static void write_config(void)
{
	FILE *ini = fopen(CONFIG, "we");

	lab_check(ini, "%s: %s", CONFIG, strerror(errno));
	fprintf(ini, "[global]\nidle = interrupt\nalarm_lcore = 2,4\n\n");
	/* The first one's socket has no number: it is where the front-end goes. */
	for (unsigned int i = 0; i < DEVICES; i++)
		fprintf(ini, "[device vm%u]\nsocket = " LAB_DAEMON_SOCKET "%.0u\nclocks = %s\n\n",
			i, i, LAB_ALARM_CLOCKS);
	lab_check(fclose(ini) == 0, "%s: %s", CONFIG, strerror(errno));
}

void lab_case_numa_full(void)
{
	const char *const args[] = {"--lcores", "0@0,1@0,2@1,3@2,4@3", "--no-huge", "-m", "128",
		"--no-shconf", "--no-pci", "--no-telemetry", "--", "--config", CONFIG, NULL};
	pid_t filler, daemon;
	char line[512];

	needs_two_nodes();
	write_config();
	filler = lab_memory_fill(1);
	daemon = lab_daemon_start(args);
	lab_daemon_await_log("alarms are fired by lcore 4 on node 1", 1, line, sizeof(line));
	/* The front-end is on node 0: there is no room for it on node 1, either. */
	serve_alarms(0, 1);
	lab_check(waitpid(filler, NULL, WNOHANG) == 0,
		"the kernel killed the process that held the memory of node 1");
	lab_note("%u devices; %s", DEVICES, strstr(line, "alarms are"));
	lab_daemon_stop(daemon);
}
