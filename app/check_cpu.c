/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of each CPU that an lcore has: what else may run there, and what may slow it down. An lcore that
 * polls never lets its CPU idle, so that C-states are no concern of it; one that sleeps lets the
 * tick end by itself and is no task that nohz_full would be for. Each is told of what concerns it.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host_text.h"
#include "host_tree.h"
#include "host_view.h"

#define CPU_FOLDER "/sys/devices/system/cpu"

/* A wake-up takes tens of microseconds (config/README.md); a state of this adds little. */
#define WAKE_US_MAX 10

/* Interrupts that are named; of the others the number is told. */
#define IRQS_NAMED 3

/* One line for each CPU of /proc/stat, of up to 120 bytes, and the one for all. */
#define STAT_BYTES (128 * (CPU_SETSIZE + 1))

struct look {
	const struct app_host_view *view;
	struct app_host_advice *advice;
	const struct app_host_lcore *lcore;
	unsigned cpu;
	char subject[64];
	char workers[APP_HOST_TEXT_CPUS];
	char others[APP_HOST_TEXT_CPUS]; /* "": no CPU is left */
};
#define TELL(l, state, ...) app_host_advice_tell((l)->advice, state, (l)->subject, __VA_ARGS__)

static bool is_isolated(const struct app_host_view *view, unsigned cpu, bool *told)
{
	cpu_set_t by_boot;
	cpu_set_t by_cpuset;

	*told = app_host_tree_list(view->root, &by_boot, CPU_FOLDER "/isolated");
	*told |= app_host_tree_list(view->root, &by_cpuset, "/sys/fs/cgroup/cpuset.cpus.isolated");
	return CPU_ISSET(cpu, &by_boot) || CPU_ISSET(cpu, &by_cpuset);
}

static const char *role(const struct app_host_lcore *lcore)
{
	if (lcore->requests && lcore->alarms)
		return "requests and alarms";
	return lcore->requests ? "requests" : lcore->alarms ? "alarms" : "control";
}

static void look_at_sharing(const struct look *l)
{
	for (unsigned i = 0; i < l->view->n_lcores; i++) {
		const struct app_host_lcore *other = &l->view->lcore[i];

		if (other == l->lcore || !CPU_ISSET(l->cpu, &other->cpus))
			continue;
		if (app_host_view_polls(l->view))
			TELL(l, APP_HOST_WRONG,
				"lcore %u (%s) is on this CPU, too, and one that polls leaves it "
				"nothing -> a CPU for each lcore: -l or --lcores, before \"--\"",
				other->lcore_id, role(other));
		else
			TELL(l, APP_HOST_BETTER,
				"lcore %u (%s) is on this CPU, too -> a CPU for each lcore: -l or "
				"--lcores, before \"--\"",
				other->lcore_id, role(other));
		return;
	}
}

static void look_at_isolation(const struct look *l)
{
	bool told;

	if (is_isolated(l->view, l->cpu, &told))
		TELL(l, APP_HOST_OK, "isolated: no other process is put here");
	else if (told)
		TELL(l, APP_HOST_BETTER,
			"not isolated: any process may run here -> kernel parameter "
			"isolcpus=managed_irq,domain,%s, or a cpuset with "
			"cpuset.cpus.partition = isolated",
			l->workers);
	else
		TELL(l, APP_HOST_UNKNOWN, "isolation: no " CPU_FOLDER "/isolated");
}

static void look_at_tick(const struct look *l)
{
	cpu_set_t set;

	if (!app_host_tree_list(l->view->root, &set, CPU_FOLDER "/nohz_full"))
		TELL(l, APP_HOST_BETTER,
			"the timer tick goes on, as this kernel has no nohz_full -> one with "
			"CONFIG_NO_HZ_FULL, and its parameter nohz_full=%s",
			l->workers);
	else if (CPU_ISSET(l->cpu, &set))
		TELL(l, APP_HOST_OK, "nohz_full: no tick while one task runs here");
	else
		TELL(l, APP_HOST_BETTER, "the timer tick goes on -> kernel parameter nohz_full=%s",
			l->workers);
}

static void look_at_rcu(const struct look *l)
{
	char cmdline[4096];
	char value[1024];
	cpu_set_t set;
	cpu_set_t full;

	if (!app_host_tree_read(l->view->root, cmdline, sizeof(cmdline), "/proc/cmdline")) {
		TELL(l, APP_HOST_UNKNOWN, "rcu_nocbs: no /proc/cmdline");
		return;
	}
	CPU_ZERO(&set);
	if (app_host_text_parameter(cmdline, "rcu_nocbs", value, sizeof(value)))
		(void)app_host_text_list(value, &set);
	(void)app_host_tree_list(l->view->root, &full, CPU_FOLDER "/nohz_full");
	if (CPU_ISSET(l->cpu, &set) || CPU_ISSET(l->cpu, &full))
		TELL(l, APP_HOST_OK, "RCU callbacks run elsewhere");
	else
		TELL(l, APP_HOST_BETTER,
			"RCU callbacks run here -> kernel parameter rcu_nocbs=%s "
			"(nohz_full=%s does it, too)",
			l->workers, l->workers);
}

static const struct app_host_lcore *find_worker(
	const struct app_host_view *view, const cpu_set_t *cpus, const struct app_host_lcore *but)
{
	for (unsigned i = 0; i < view->n_lcores; i++) {
		const struct app_host_lcore *lcore = &view->lcore[i];
		cpu_set_t both;

		CPU_AND(&both, &lcore->cpus, cpus);
		if (lcore != but && (lcore->requests || lcore->alarms) && CPU_COUNT(&both) > 0)
			return lcore;
	}
	return NULL;
}

static void look_at_hyperthread(const struct look *l)
{
	const struct app_host_lcore *neighbour;
	char text[APP_HOST_TEXT_CPUS];
	cpu_set_t siblings;
	bool open = false;
	bool told;

	if (!app_host_tree_list(l->view->root, &siblings,
		    CPU_FOLDER "/cpu%u/topology/thread_siblings_list", l->cpu)) {
		TELL(l, APP_HOST_UNKNOWN,
			"hyperthreads: no " CPU_FOLDER "/cpu%u/topology/thread_siblings_list",
			l->cpu);
		return;
	}
	CPU_CLR(l->cpu, &siblings);
	if (CPU_COUNT(&siblings) == 0) {
		TELL(l, APP_HOST_OK, "the core has no other hyperthread in use");
		return;
	}
	app_host_text_print_list(&siblings, text);
	neighbour = find_worker(l->view, &siblings, l->lcore);
	if (neighbour) {
		TELL(l, APP_HOST_BETTER,
			"its hyperthread, CPU %s, has lcore %u (%s), and they slow each other "
			"down -> an lcore for each core; or idle = pause",
			text, neighbour->lcore_id, role(neighbour));
		return;
	}
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		open |= CPU_ISSET(cpu, &siblings) && !is_isolated(l->view, cpu, &told);
	if (!open)
		TELL(l, APP_HOST_OK, "its hyperthread, CPU %s, is isolated and no lcore's", text);
	else
		TELL(l, APP_HOST_BETTER,
			"any process may run on its hyperthread, CPU %s -> isolate it as well, or "
			"echo 0 > " CPU_FOLDER "/cpu%u/online",
			text, (unsigned)strtoul(text, NULL, 10));
}

static void look_at_frequency(const struct look *l)
{
	const char *root = l->view->root;
	char governor[APP_HOST_TREE_LINE];
	char preference[APP_HOST_TREE_LINE];

	if (!app_host_tree_read(root, governor, sizeof(governor),
		    CPU_FOLDER "/cpu%u/cpufreq/scaling_governor", l->cpu)) {
		TELL(l, APP_HOST_UNKNOWN,
			app_host_tree_is_virtual(root)
				? "frequency: the host's affair -> its governor should be performance"
				: "frequency: this kernel has no cpufreq; the firmware decides");
		return;
	}
	if (strcmp(governor, "performance") == 0)
		TELL(l, APP_HOST_OK, "governor performance");
	else
		TELL(l, APP_HOST_BETTER,
			"governor %s: the frequency changes -> echo performance > " CPU_FOLDER
			"/cpu%u/cpufreq/scaling_governor",
			governor, l->cpu);
	if (!app_host_tree_read(root, preference, sizeof(preference),
		    CPU_FOLDER "/cpu%u/cpufreq/energy_performance_preference", l->cpu))
		return;
	if (strcmp(preference, "performance") == 0 || strcmp(preference, "0") == 0)
		TELL(l, APP_HOST_OK, "energy preference performance");
	else
		TELL(l, APP_HOST_BETTER,
			"energy preference %s -> echo performance > " CPU_FOLDER
			"/cpu%u/cpufreq/energy_performance_preference",
			preference, l->cpu);
}

/* What a wake-up may take at most, by request of whoever is privileged; INT64_MAX: no request. */
static int64_t wake_limit_us(const struct look *l)
{
	char text[APP_HOST_TREE_LINE];
	int64_t limit_us = INT64_MAX;
	int32_t all_us;

	if (app_host_tree_int32(l->view->root, &all_us, "/dev/cpu_dma_latency"))
		limit_us = all_us;
	if (app_host_tree_read(l->view->root, text, sizeof(text),
		    CPU_FOLDER "/cpu%u/power/pm_qos_resume_latency_us", l->cpu)) {
		/* "n/a" is none at all, and 0 is any. */
		int64_t one_us = strtoll(text, NULL, 10);

		if (strcmp(text, "n/a") == 0)
			limit_us = 0;
		else if (one_us > 0 && one_us < limit_us)
			limit_us = one_us;
	}
	return limit_us;
}

static void look_at_sleep(const struct look *l)
{
	const char *root = l->view->root;
	int64_t limit_us = wake_limit_us(l);
	char deepest[APP_HOST_TREE_LINE] = "";
	int64_t deepest_us = -1;
	int64_t latency_us;

	for (unsigned i = 0; app_host_tree_number(
		     root, &latency_us, CPU_FOLDER "/cpu%u/cpuidle/state%u/latency", l->cpu, i);
		i++) {
		int64_t disabled = 0;

		(void)app_host_tree_number(
			root, &disabled, CPU_FOLDER "/cpu%u/cpuidle/state%u/disable", l->cpu, i);
		if (disabled || latency_us > limit_us || latency_us <= deepest_us)
			continue;
		deepest_us = latency_us;
		(void)app_host_tree_read(root, deepest, sizeof(deepest),
			CPU_FOLDER "/cpu%u/cpuidle/state%u/name", l->cpu, i);
	}
	if (deepest_us < 0)
		TELL(l, APP_HOST_UNKNOWN, "C-states: no " CPU_FOLDER "/cpu%u/cpuidle%s", l->cpu,
			app_host_tree_is_virtual(root) ? "; they are the host's affair" : "");
	else if (deepest_us <= WAKE_US_MAX)
		TELL(l, APP_HOST_OK, "it sleeps no deeper than %s, %" PRId64 " us to wake up",
			deepest, deepest_us);
	else
		TELL(l, APP_HOST_BETTER,
			"it sleeps as deep as %s, %" PRId64
			" us to wake up -> echo %d > " CPU_FOLDER
			"/cpu%u/power/pm_qos_resume_latency_us",
			deepest, deepest_us, WAKE_US_MAX, l->cpu);
}

/* The handler of an interrupt, a folder of that name; false: it has none, and never comes. */
static bool name_handler(const char *root, unsigned irq, char *name, size_t bytes)
{
	DIR *dir = app_host_tree_opendir(root, "/proc/irq/%u", irq);
	const struct dirent *entry;

	name[0] = '\0';
	while (dir && !name[0] && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			snprintf(name, bytes, "%.*s", (int)bytes - 1, entry->d_name);
	if (dir)
		closedir(dir);
	return name[0] != '\0';
}

/* Ascending, as far as there is room: /proc has them so, other file systems have not. */
static unsigned list_irqs(const char *root, unsigned *irq, unsigned n_max)
{
	DIR *dir = app_host_tree_opendir(root, "/proc/irq");
	const struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return 0;
	while (n < n_max && (entry = readdir(dir))) {
		unsigned number = (unsigned)strtoul(entry->d_name, NULL, 10);
		unsigned at = n;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		for (; at > 0 && irq[at - 1] > number; at--)
			irq[at] = irq[at - 1];
		irq[at] = number;
		n++;
	}
	closedir(dir);
	return n;
}

static void look_at_interrupts(const struct look *l)
{
	static unsigned irq[4096];
	unsigned n_irqs = list_irqs(l->view->root, irq, sizeof(irq) / sizeof(irq[0]));
	const char *root = l->view->root;
	char names[256] = "";
	size_t used = 0;
	unsigned n_here = 0;
	unsigned n_maybe = 0;
	unsigned first = 0;

	for (unsigned i = 0; i < n_irqs; i++) {
		char handler[64];
		cpu_set_t allowed;
		cpu_set_t effective;
		bool here;

		if (!app_host_tree_list(root, &allowed, "/proc/irq/%u/smp_affinity_list", irq[i]) ||
			!name_handler(root, irq[i], handler, sizeof(handler)))
			continue;
		here = app_host_tree_list(
			       root, &effective, "/proc/irq/%u/effective_affinity_list", irq[i]) &&
		       CPU_ISSET(l->cpu, &effective);
		if (!here && !CPU_ISSET(l->cpu, &allowed))
			continue;
		if (n_here == 0 && (here || n_maybe == 0))
			first = irq[i];
		n_here += here;
		n_maybe += !here;
		if (here && n_here <= IRQS_NAMED)
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%u %.40s",
				n_here > 1 ? ", " : "", irq[i], handler);
	}
	if (n_irqs == 0)
		TELL(l, APP_HOST_UNKNOWN, "interrupts: none in /proc/irq");
	else if (n_here + n_maybe == 0)
		TELL(l, APP_HOST_OK, "no device's interrupt may come here");
	else
		TELL(l, APP_HOST_BETTER,
			"interrupts of devices: %u come here%s%s%s%s, %u more may -> echo %s > "
			"/proc/irq/%u/smp_affinity_list, and so on; irqbalance with "
			"IRQBALANCE_BANNED_CPULIST=%s; those that refuse it: isolcpus=managed_irq,...",
			n_here, n_here ? " (" : "", names, n_here > IRQS_NAMED ? ", ..." : "",
			n_here ? ")" : "", n_maybe, l->others[0] ? l->others : "OTHER-CPUS", first,
			l->workers);
}

static void look_at_watchdog(const struct look *l)
{
	const char *root = l->view->root;
	cpu_set_t watched;
	int64_t soft = 0;
	int64_t nmi = 0;

	if (!app_host_tree_number(root, &soft, "/proc/sys/kernel/watchdog") &&
		!app_host_tree_number(root, &nmi, "/proc/sys/kernel/nmi_watchdog")) {
		TELL(l, APP_HOST_UNKNOWN, "watchdog: no /proc/sys/kernel/watchdog");
		return;
	}
	(void)app_host_tree_number(root, &nmi, "/proc/sys/kernel/nmi_watchdog");
	if ((soft == 0 && nmi == 0) ||
		(app_host_tree_list(root, &watched, "/proc/sys/kernel/watchdog_cpumask") &&
			!CPU_ISSET(l->cpu, &watched)))
		TELL(l, APP_HOST_OK, "the kernel's watchdog leaves it alone");
	else
		TELL(l, APP_HOST_BETTER,
			"the kernel's watchdog%s interrupts it -> echo %s > "
			"/proc/sys/kernel/watchdog_cpumask",
			nmi ? " (nmi_watchdog, too)" : "", l->others[0] ? l->others : "OTHER-CPUS");
}

static void look_at_workqueues(const struct look *l)
{
	char text[APP_HOST_TEXT_CPUS];
	char mask[APP_HOST_TEXT_CPUS];
	cpu_set_t set;

	if (!app_host_tree_read(
		    l->view->root, text, sizeof(text), "/sys/devices/virtual/workqueue/cpumask") ||
		!app_host_text_mask(text, &set)) {
		TELL(l, APP_HOST_UNKNOWN, "workqueues: no /sys/devices/virtual/workqueue/cpumask");
		return;
	}
	app_host_text_print_mask(&l->view->others, mask);
	if (!CPU_ISSET(l->cpu, &set))
		TELL(l, APP_HOST_OK, "unbound workqueues of the kernel run elsewhere");
	else
		TELL(l, APP_HOST_BETTER,
			"unbound workqueues of the kernel may run here -> echo %s > "
			"/sys/devices/virtual/workqueue/cpumask",
			l->others[0] ? mask : "MASK-OF-OTHER-CPUS");
}

/* Time that the hypervisor gave to others while this CPU had something to do. */
static void look_at_steal(const struct look *l)
{
	static char stat[STAT_BYTES];
	uint64_t field[8];
	uint64_t sum = 0;
	char name[16];

	if (!app_host_tree_is_virtual(l->view->root))
		return;
	snprintf(name, sizeof(name), "cpu%u", l->cpu);
	(void)app_host_tree_read(l->view->root, stat, sizeof(stat), "/proc/stat");
	for (unsigned i = 0; i < 8; i++) {
		if (!app_host_text_field(stat, name, i, &field[i])) {
			TELL(l, APP_HOST_UNKNOWN, "stolen time: no %s in /proc/stat", name);
			return;
		}
		sum += field[i];
	}
	if (field[7] == 0)
		TELL(l, APP_HOST_OK, "a vCPU, of which no time was stolen since the boot");
	else
		TELL(l, APP_HOST_BETTER,
			"a vCPU: the host ran something else for %.3f %% of the time since the boot "
			"-> on the host, a CPU for it alone (libvirt: vcpupin)",
			100.0 * (double)field[7] / (double)sum);
}

static void look_at_cpu(struct look *l)
{
	snprintf(l->subject, sizeof(l->subject), "lcore %u (%s) on CPU %u", l->lcore->lcore_id,
		role(l->lcore), l->cpu);
	look_at_sharing(l);
	look_at_isolation(l);
	if (app_host_view_polls(l->view)) {
		look_at_tick(l);
		look_at_rcu(l);
	}
	look_at_hyperthread(l);
	look_at_frequency(l);
	if (!app_host_view_polls(l->view))
		look_at_sleep(l);
	look_at_interrupts(l);
	if (app_host_view_polls(l->view)) {
		look_at_watchdog(l);
		look_at_workqueues(l);
	}
	look_at_steal(l);
}

void app_check_cpu_tell(const struct app_host_view *view, struct app_host_advice *advice)
{
	struct look l = {.view = view, .advice = advice};

	app_host_text_print_list(&view->workers, l.workers);
	app_host_text_print_list(&view->others, l.others);
	for (unsigned i = 0; i < view->n_lcores; i++) {
		l.lcore = &view->lcore[i];
		if (!l.lcore->requests && !l.lcore->alarms)
			continue;
		if (CPU_COUNT(&l.lcore->cpus) > 1) {
			char cpus[APP_HOST_TEXT_CPUS];

			app_host_text_print_list(&l.lcore->cpus, cpus);
			snprintf(l.subject, sizeof(l.subject), "lcore %u (%s)", l.lcore->lcore_id,
				role(l.lcore));
			TELL(&l, APP_HOST_BETTER,
				"it is moved between CPUs %s -> one CPU for it: --lcores %u@CPU, "
				"before \"--\"",
				cpus, l.lcore->lcore_id);
		}
		for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &l.lcore->cpus))
				continue;
			l.cpu = cpu;
			look_at_cpu(&l);
		}
	}
}
