/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of the machine as a whole: what disturbs lcores wherever they are. KSM is not asked for: it
 * merges anonymous memory alone, and a guest's that a vhost-user device shares is none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alarm_ledger.h"
#include "host_text.h"
#include "host_tree.h"
#include "host_view.h"

#define TEXT_BYTES 16384

#define OK(...)      app_host_advice_tell(advice, APP_HOST_OK, "host", __VA_ARGS__)
#define BETTER(...)  app_host_advice_tell(advice, APP_HOST_BETTER, "host", __VA_ARGS__)
#define WRONG(...)   app_host_advice_tell(advice, APP_HOST_WRONG, "host", __VA_ARGS__)
#define UNKNOWN(...) app_host_advice_tell(advice, APP_HOST_UNKNOWN, "host", __VA_ARGS__)

static void look_at_isolated(const struct app_host_view *view, struct app_host_advice *advice)
{
	char text[APP_HOST_TEXT_CPUS];
	cpu_set_t unused;

	if (view->chosen ||
		!app_host_tree_list(view->root, &unused, "/sys/devices/system/cpu/isolated"))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &view->workers))
			CPU_CLR(cpu, &unused);
	if (CPU_COUNT(&unused) == 0)
		return;
	app_host_text_print_list(&unused, text);
	BETTER("CPUs %s are isolated, and no lcore is there, since without EAL options lcores are "
	       "put where the process may run anyway -> dpdk-rtc -l CONTROL,%s EAL-OPTIONS -- ...",
		text, text);
}

static void look_at_interrupts_to_come(
	const struct app_host_view *view, struct app_host_advice *advice)
{
	char text[APP_HOST_TEXT_CPUS];
	char list[APP_HOST_TEXT_CPUS];
	cpu_set_t set;
	cpu_set_t both;

	if (!app_host_tree_read(view->root, text, sizeof(text), "/proc/irq/default_smp_affinity") ||
		!app_host_text_mask(text, &set)) {
		UNKNOWN("interrupts of devices to come: no /proc/irq/default_smp_affinity");
		return;
	}
	CPU_AND(&both, &set, &view->workers);
	if (CPU_COUNT(&both) == 0) {
		OK("interrupts of devices to come stay away from the lcores");
		return;
	}
	if (CPU_COUNT(&view->others) == 0) {
		BETTER("interrupts of devices to come may be put on lcores' CPUs, since there are "
		       "no others -> fewer lcores");
		return;
	}
	app_host_text_print_mask(&view->others, text);
	app_host_text_print_list(&view->others, list);
	BETTER("interrupts of devices to come may be put on lcores' CPUs -> echo %s > "
	       "/proc/irq/default_smp_affinity; from the boot on: kernel parameter irqaffinity=%s",
		text, list);
}

static bool all_isolated(const struct app_host_view *view)
{
	cpu_set_t by_boot;
	cpu_set_t by_cpuset;
	cpu_set_t left;

	(void)app_host_tree_list(view->root, &by_boot, "/sys/devices/system/cpu/isolated");
	(void)app_host_tree_list(view->root, &by_cpuset, "/sys/fs/cgroup/cpuset.cpus.isolated");
	CPU_OR(&by_boot, &by_boot, &by_cpuset);
	CPU_AND(&left, &by_boot, &view->workers);
	return CPU_EQUAL(&left, &view->workers);
}

/* A policy is inherited: what this process has, the daemon has if it is started likewise. */
static void look_at_scheduling(const struct app_host_view *view, struct app_host_advice *advice)
{
	int64_t runtime_us;
	int64_t period_us;

	if (view->policy != SCHED_FIFO && view->policy != SCHED_RR) {
		OK("no real-time policy: nothing throttles the lcores, and they starve nobody");
		return;
	}
	if (!app_host_tree_number(
		    view->root, &runtime_us, "/proc/sys/kernel/sched_rt_runtime_us") ||
		!app_host_tree_number(
			view->root, &period_us, "/proc/sys/kernel/sched_rt_period_us")) {
		UNKNOWN("real-time policy: no /proc/sys/kernel/sched_rt_runtime_us");
		return;
	}
	if (!app_host_view_polls(view))
		OK("real-time policy, and lcores that sleep");
	else if (runtime_us >= 0 && runtime_us < period_us)
		WRONG("real-time policy: an lcore that polls may be stopped for %" PRId64
		      " of each %" PRId64 " us -> SCHED_OTHER on isolated CPUs; or echo -1 > "
		      "/proc/sys/kernel/sched_rt_runtime_us",
			period_us - runtime_us, period_us);
	else if (all_isolated(view))
		BETTER("real-time policy without a limit: what the kernel itself has to do on the "
		       "lcores' CPUs waits for good -> SCHED_OTHER, since they are isolated");
	else
		WRONG("real-time policy without a limit on CPUs that are not isolated: what else "
		      "is put there never runs -> SCHED_OTHER, and isolated CPUs");
}

static void look_at_huge_transparent(
	const struct app_host_view *view, struct app_host_advice *advice)
{
	char mode[APP_HOST_TREE_LINE];
	char text[APP_HOST_TREE_LINE];

	if (!app_host_tree_read(view->root, text, sizeof(text),
		    "/sys/kernel/mm/transparent_hugepage/enabled")) {
		UNKNOWN("transparent hugepages: no /sys/kernel/mm/transparent_hugepage/enabled");
		return;
	}
	app_host_text_chosen(text, mode, sizeof(mode));
	if (strcmp(mode, "always") != 0)
		OK("transparent hugepages: %s", mode);
	else
		BETTER("transparent hugepages: always; the kernel moves pages in use into them -> "
		       "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
}

static uint64_t free_hugepages(const char *root)
{
	DIR *dir = app_host_tree_opendir(root, "/sys/kernel/mm/hugepages");
	const struct dirent *entry;
	uint64_t n = 0;

	while (dir && (entry = readdir(dir))) {
		int64_t n_here;

		if (entry->d_name[0] != '.' &&
			app_host_tree_number(root, &n_here,
				"/sys/kernel/mm/hugepages/%s/free_hugepages", entry->d_name))
			n += (uint64_t)n_here;
	}
	if (dir)
		closedir(dir);
	return n;
}

static void look_at_hugepages(const struct app_host_view *view, struct app_host_advice *advice)
{
	uint64_t n;

	if (!view->hugepages)
		return;
	n = free_hugepages(view->root);
	if (n > 0)
		OK("%" PRIu64 " free hugepages for the EAL", n);
	else
		WRONG("no free hugepages, which these EAL options ask for -> echo 64 > "
		      "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or --no-huge -m 64");
}

static void look_at_swap(const struct app_host_view *view, struct app_host_advice *advice)
{
	char text[TEXT_BYTES];
	const char *second;

	if (!app_host_tree_read(view->root, text, sizeof(text), "/proc/swaps")) {
		OK("no swap: the kernel has none");
		return;
	}
	/* A heading, and a line for each. */
	second = strchr(text, '\n');
	if (!second)
		OK("no swap");
	else
		BETTER("swap is on: a page that is away stops an lcore until it is back -> swapoff "
		       "-a; for the daemon alone: MemorySwapMax=0 in its unit");
}

static bool is_capable_of_locking(const char *root)
{
	char text[TEXT_BYTES];
	const char *line;

	if (!app_host_tree_read(root, text, sizeof(text), "/proc/self/status"))
		return false;
	line = app_host_text_line(text, "CapEff");
	/* Bit 14 is CAP_IPC_LOCK (capabilities(7)). */
	return line && strtoull(line + strlen("CapEff:"), NULL, 16) >> 14 & 1;
}

/* What the daemon locks: the alarms of each device, so that no turn waits for them. */
static void look_at_locks(const struct app_host_view *view, struct app_host_advice *advice)
{
	const uint64_t page = 4096;
	uint64_t wanted = (sizeof(struct vrtc_alarm_ledger) + page - 1) / page * page *
			  view->config->n_devices;

	if (!app_config_has_alarms(view->config))
		return;
	if (view->memlock_bytes >= wanted || is_capable_of_locking(view->root))
		OK("the alarms of all devices can be locked into memory");
	else
		BETTER("%" PRIu64 " bytes may be locked into memory, and the alarms of all devices "
		       "have %" PRIu64 " -> LimitMEMLOCK=%" PRIu64 " in the unit, or ulimit -l",
			view->memlock_bytes, wanted, wanted);
}

static void look_at_balancing(const struct app_host_view *view, struct app_host_advice *advice)
{
	int64_t on = 0;

	if (!app_host_tree_number(view->root, &on, "/proc/sys/kernel/numa_balancing") || on == 0)
		OK("the kernel moves no memory between nodes by itself");
	else
		BETTER("NUMA balancing takes pages away to see who uses them, and lcores fault -> "
		       "echo 0 > /proc/sys/kernel/numa_balancing");
}

/* Lcores of a kind on a node. */
static bool has_lcore(const struct app_host_view *view, int node, bool of_alarms)
{
	for (unsigned i = 0; i < view->n_lcores; i++) {
		const struct app_host_lcore *lcore = &view->lcore[i];

		if (lcore->node == node && (of_alarms ? lcore->alarms : lcore->requests))
			return true;
	}
	return false;
}

static void look_at_nodes(const struct app_host_view *view, struct app_host_advice *advice)
{
	bool alarms = app_config_has_alarms(view->config);
	char text[APP_HOST_TEXT_CPUS];
	cpu_set_t nodes;

	if (!app_host_tree_list(view->root, &nodes, "/sys/devices/system/node/has_cpu") &&
		!app_host_tree_list(view->root, &nodes, "/sys/devices/system/node/online")) {
		UNKNOWN("NUMA nodes: no /sys/devices/system/node/online");
		return;
	}
	if (CPU_COUNT(&nodes) <= 1) {
		OK("one NUMA node");
		return;
	}
	look_at_balancing(view, advice);
	for (int node = 0; node < CPU_SETSIZE; node++) {
		char cpus[4096];

		if (!CPU_ISSET(node, &nodes))
			continue;
		if (!app_host_tree_read(view->root, cpus, sizeof(cpus),
			    "/sys/devices/system/node/node%d/cpulist", node))
			snprintf(cpus, sizeof(cpus), "unknown");
		snprintf(text, sizeof(text), "%.100s", cpus);
		if (!has_lcore(view, node, false))
			BETTER("NUMA node %d has no request lcore: a guest whose memory is there is "
			       "served from afar -> an lcore on one of CPUs %s",
				node, text);
		else if (alarms && !has_lcore(view, node, true))
			BETTER("NUMA node %d has request lcores and none that fires alarms -> one "
			       "more lcore on one of CPUs %s, or alarm_lcore",
				node, text);
		else
			OK("NUMA node %d has its lcores", node);
	}
}

static void look_at_tsc(const struct app_host_view *view, struct app_host_advice *advice)
{
	static char text[TEXT_BYTES];
	const char *flags = NULL;
	bool virtual = app_host_tree_is_virtual(view->root);

	if (app_host_tree_read(view->root, text, sizeof(text), "/proc/cpuinfo"))
		flags = app_host_text_line(text, "flags");
	/* Other machines' counters are constant by their architecture. */
	if (!flags)
		return;
	if (app_host_text_has_word(flags, "constant_tsc") &&
		app_host_text_has_word(flags, "nonstop_tsc"))
		OK("the TSC is constant and does not stop");
	else
		WRONG("the TSC is not constant, or stops -> %s",
			virtual ? "on the host: expose invtsc (QEMU: -cpu host,+invtsc)"
				: "another machine: cross-timestamps and PTP clocks need it");
}

void app_check_machine_tell(const struct app_host_view *view, struct app_host_advice *advice)
{
	look_at_isolated(view, advice);
	look_at_interrupts_to_come(view, advice);
	look_at_scheduling(view, advice);
	look_at_nodes(view, advice);
	look_at_huge_transparent(view, advice);
	look_at_hugepages(view, advice);
	look_at_swap(view, advice);
	look_at_locks(view, advice);
	look_at_tsc(view, advice);
}
