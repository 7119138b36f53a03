/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cpu.c, check_machine.c, check_time.c: what --check-host says of machines that are made up
 * of files: one that is tuned, in which one thing after the other is made worse, a laptop, a
 * virtual machine, two nodes, and one that has none of the files.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host_text.h"
#include "host_tree.h"
#include "host_view.h"

/* 2026-11-24, and a table with 11 s that expires on 2027-06-28. */
#define NOW_NS INT64_C(1795478400000000000)
static const char table[] = "#$ 3900000000\n#@ 4023129600\n2272060800 10\n2287785600 11\n";

struct machine {
	char root[64];
	struct app_config config;
	struct app_host_lcore lcore[8];
	struct vrtc_leap_table leap;
	struct app_host_view view;
	struct app_host_advice advice;
	char *said;
	size_t bytes;
};

static void put(const struct machine *m, const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", m->root, path);
	for (char *slash = full + strlen(m->root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	/* A path that ends with a slash is a folder. */
	if (full[strlen(full) - 1] == '/')
		return;
	file = fopen(full, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void put_cpu(const struct machine *m, unsigned cpu, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/%s", cpu, file);
	put(m, path, text);
}

static void take(const struct machine *m, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", m->root, path);
	assert_int_equal(unlink(full), 0);
}

static int take_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

/* roles: a letter for each lcore, which is on the CPU of its number: c, r, a, b, or - for none. */
static void machine_init(struct machine *m, const char *roles, const char *online)
{
	static char program[] = "dpdk-rtc";
	static char socket[] = "--socket-path=/x.sock";
	static char action[] = "--check-host";
	char *argv[] = {program, socket, action, NULL};
	char error[1024];
	cpu_set_t all;

	memset(m, 0, sizeof(*m));
	snprintf(m->root, sizeof(m->root), "/tmp/dpdk-rtc-host-XXXXXX");
	assert_non_null(mkdtemp(m->root));
	assert_int_equal(app_config_parse(&m->config, 3, argv, error, sizeof(error)), 0);
	assert_int_equal(m->config.action, APP_CHECK_HOST);
	assert_int_equal(vrtc_leap_parse(&m->leap, table, strlen(table), NULL), VRTC_LEAP_OK);
	m->view = (struct app_host_view){.root = m->root,
		.config = &m->config,
		.lcore = m->lcore,
		.chosen = true,
		.policy = SCHED_OTHER,
		.memlock_bytes = UINT64_MAX,
		.synchronised = true,
		.maximum_error_us = 250,
		.utc_ns = NOW_NS,
		.kernel = {.tai_s = 11},
		.leap = &m->leap};
	for (unsigned cpu = 0; roles[cpu]; cpu++) {
		struct app_host_lcore *lcore = &m->lcore[m->view.n_lcores];

		if (roles[cpu] == '-')
			continue;
		assert_in_range(m->view.n_lcores, 0, 7);
		*lcore = (struct app_host_lcore){.lcore_id = cpu,
			.requests = strchr("rb", roles[cpu]) != NULL,
			.alarms = strchr("ab", roles[cpu]) != NULL};
		CPU_SET(cpu, &lcore->cpus);
		if (roles[cpu] != 'c')
			CPU_SET(cpu, &m->view.workers);
		m->view.n_lcores++;
	}
	assert_true(app_host_text_list(online, &all));
	CPU_XOR(&m->view.others, &all, &m->view.workers);
}

static void machine_fini(struct machine *m)
{
	free(m->said);
	app_config_free(&m->config);
	assert_int_equal(nftw(m->root, take_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void judge(struct machine *m)
{
	free(m->said);
	m->advice = (struct app_host_advice){.out = open_memstream(&m->said, &m->bytes)};
	assert_non_null(m->advice.out);
	app_check_cpu_tell(&m->view, &m->advice);
	app_check_machine_tell(&m->view, &m->advice);
	app_check_time_tell(&m->view, &m->advice);
	app_host_advice_end(&m->advice);
	assert_int_equal(fclose(m->advice.out), 0);
}

static unsigned count(const struct machine *m, enum app_host_state state)
{
	return m->advice.n[state];
}

/* A line that is exactly this. */
static bool has(const struct machine *m, const char *line)
{
	size_t bytes = strlen(line);

	for (const char *at = m->said; (at = strstr(at, line)); at++)
		if ((at == m->said || at[-1] == '\n') && at[bytes] == '\n')
			return true;
	return false;
}

static void check_has(const struct machine *m, const char *line)
{
	if (!has(m, line))
		fail_msg("no line \"%s\" in:\n%s", line, m->said);
}

static void check_has_not(const struct machine *m, const char *what)
{
	if (strstr(m->said, what))
		fail_msg("\"%s\" in:\n%s", what, m->said);
}

static void check_all_ok(const struct machine *m)
{
	if (count(m, APP_HOST_BETTER) + count(m, APP_HOST_WRONG) + count(m, APP_HOST_UNKNOWN))
		fail_msg("not all is well:\n%s", m->said);
}

static void put_irq(const struct machine *m, unsigned irq, const char *handler, const char *allowed,
	const char *effective)
{
	char path[128];

	if (handler) {
		snprintf(path, sizeof(path), "/proc/irq/%u/%s/", irq, handler);
		put(m, path, "");
	}
	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq);
	put(m, path, allowed);
	snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", irq);
	put(m, path, effective);
}

/* What all machines have: no lcore is named in it. */
static void put_host(const struct machine *m)
{
	put(m, "/proc/irq/default_smp_affinity", "33\n");
	put(m, "/proc/sys/kernel/sched_rt_runtime_us", "950000\n");
	put(m, "/proc/sys/kernel/sched_rt_period_us", "1000000\n");
	put(m, "/proc/cpuinfo",
		"processor\t: 0\nflags\t\t: fpu tsc constant_tsc nonstop_tsc ssse3\nbugs\t:\n");
	put(m, "/proc/swaps", "Filename Type Size Used Priority\n");
	put(m, "/sys/devices/system/node/has_cpu", "0\n");
	put(m, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	put(m, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put(m, "/sys/devices/system/clocksource/clocksource0/available_clocksource",
		"tsc hpet acpi_pm \n");
}

/* Four cores of two hyperthreads; requests on CPU 2, alarms on CPU 3, both cores isolated. */
static void make_tuned(struct machine *m)
{
	static const char *const siblings[] = {"0,4", "1,5", "2,6", "3,7"};

	machine_init(m, "c-ra", "0-7");
	put_host(m);
	put(m, "/sys/devices/system/cpu/isolated", "2-3,6-7\n");
	put(m, "/sys/devices/system/cpu/nohz_full", "2-3,6-7\n");
	put(m, "/proc/cmdline", "root=/dev/sda1 isolcpus=2-3,6-7 nohz_full=2-3,6-7 quiet\n");
	for (unsigned cpu = 0; cpu < 8; cpu++) {
		put_cpu(m, cpu, "topology/thread_siblings_list", siblings[cpu % 4]);
		put_cpu(m, cpu, "cpufreq/scaling_governor", "performance\n");
		put_cpu(m, cpu, "cpufreq/energy_performance_preference", "performance\n");
	}
	put_irq(m, 24, "nvme0q0", "0-1,4-5\n", "0\n");
	/* It may come here, but nobody has asked for it. */
	put_irq(m, 25, NULL, "0-7\n", "2\n");
	put(m, "/proc/sys/kernel/watchdog", "1\n");
	put(m, "/proc/sys/kernel/nmi_watchdog", "1\n");
	put(m, "/proc/sys/kernel/watchdog_cpumask", "0-1,4-5\n");
	put(m, "/sys/devices/virtual/workqueue/cpumask", "33\n");
}

static void of_a_tuned_machine_all_is_well(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	judge(&m);
	check_all_ok(&m);
	check_has(&m, "ok               lcore 2 (requests) on CPU 2: isolated: no other process is "
		      "put here");
	check_has(&m, "ok               lcore 3 (alarms) on CPU 3: RCU callbacks run elsewhere");
	check_has(&m, "ok               time: CLOCK_REALTIME is synchronised, by its own word to "
		      "250 us");
	check_has(&m, "29 ok, 0 could be better, 0 wrong, 0 cannot be told");
	/* The one for control may be disturbed. */
	check_has_not(&m, "lcore 0");
	/* An lcore that polls does not sleep. */
	check_has_not(&m, "sleeps no deeper");
	machine_fini(&m);
}

/* In the tuned machine one file is another, or none: this line follows. */
static const struct {
	const char *path;
	const char *text; /* NULL: no file */
	const char *line;
} worse[] = {
	{"/sys/devices/system/cpu/isolated", "3,6-7\n",
		"could be better  lcore 2 (requests) on CPU 2: not isolated: any process may run "
		"here -> kernel parameter isolcpus=managed_irq,domain,2-3, or a cpuset with "
		"cpuset.cpus.partition = isolated"},
	{"/sys/devices/system/cpu/isolated", "2-3\n",
		"could be better  lcore 2 (requests) on CPU 2: any process may run on its "
		"hyperthread, CPU 6 -> isolate it as well, or echo 0 > "
		"/sys/devices/system/cpu/cpu6/online"},
	{"/sys/devices/system/cpu/isolated", NULL,
		"cannot be told   lcore 2 (requests) on CPU 2: isolation: no "
		"/sys/devices/system/cpu/isolated"},
	{"/sys/devices/system/cpu/nohz_full", "(null)\n",
		"could be better  lcore 2 (requests) on CPU 2: the timer tick goes on -> kernel "
		"parameter nohz_full=2-3"},
	{"/sys/devices/system/cpu/nohz_full", "2\n",
		"could be better  lcore 3 (alarms) on CPU 3: RCU callbacks run here -> kernel "
		"parameter rcu_nocbs=2-3 (nohz_full=2-3 does it, too)"},
	{"/sys/devices/system/cpu/nohz_full", NULL,
		"could be better  lcore 3 (alarms) on CPU 3: the timer tick goes on, as this "
		"kernel has no nohz_full -> one with CONFIG_NO_HZ_FULL, and its parameter "
		"nohz_full=2-3"},
	{"/proc/cmdline", NULL,
		"cannot be told   lcore 2 (requests) on CPU 2: rcu_nocbs: no /proc/cmdline"},
	{"/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3\n",
		"could be better  lcore 2 (requests) on CPU 2: its hyperthread, CPU 3, has lcore 3 "
		"(alarms), and they slow each other down -> an lcore for each core; or idle = "
		"pause"},
	{"/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", NULL,
		"cannot be told   lcore 2 (requests) on CPU 2: hyperthreads: no "
		"/sys/devices/system/cpu/cpu2/topology/thread_siblings_list"},
	{"/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "schedutil\n",
		"could be better  lcore 3 (alarms) on CPU 3: governor schedutil: the frequency "
		"changes -> echo performance > "
		"/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor"},
	{"/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", NULL,
		"cannot be told   lcore 3 (alarms) on CPU 3: frequency: this kernel has no "
		"cpufreq; the firmware decides"},
	{"/sys/devices/system/cpu/cpu2/cpufreq/energy_performance_preference",
		"balance_performance\n",
		"could be better  lcore 2 (requests) on CPU 2: energy preference "
		"balance_performance -> echo performance > "
		"/sys/devices/system/cpu/cpu2/cpufreq/energy_performance_preference"},
	{"/proc/irq/24/effective_affinity_list", "3\n",
		"could be better  lcore 3 (alarms) on CPU 3: interrupts of devices: 1 come here (24 "
		"nvme0q0), 0 more may -> echo 0-1,4-7 > /proc/irq/24/smp_affinity_list, and so on; "
		"irqbalance with IRQBALANCE_BANNED_CPULIST=2-3; those that refuse it: "
		"isolcpus=managed_irq,..."},
	{"/proc/irq/24/smp_affinity_list", "0-7\n",
		"could be better  lcore 2 (requests) on CPU 2: interrupts of devices: 0 come here, 1 "
		"more may -> echo 0-1,4-7 > /proc/irq/24/smp_affinity_list, and so on; irqbalance "
		"with IRQBALANCE_BANNED_CPULIST=2-3; those that refuse it: "
		"isolcpus=managed_irq,..."},
	{"/proc/sys/kernel/watchdog_cpumask", "0-7\n",
		"could be better  lcore 2 (requests) on CPU 2: the kernel's watchdog (nmi_watchdog, "
		"too) interrupts it -> echo 0-1,4-7 > /proc/sys/kernel/watchdog_cpumask"},
	{"/sys/devices/virtual/workqueue/cpumask", "ff\n",
		"could be better  lcore 2 (requests) on CPU 2: unbound workqueues of the kernel may "
		"run here -> echo f3 > /sys/devices/virtual/workqueue/cpumask"},
	{"/sys/devices/virtual/workqueue/cpumask", NULL,
		"cannot be told   lcore 2 (requests) on CPU 2: workqueues: no "
		"/sys/devices/virtual/workqueue/cpumask"},
	{"/proc/irq/default_smp_affinity", "ff\n",
		"could be better  host: interrupts of devices to come may be put on lcores' CPUs -> "
		"echo f3 > /proc/irq/default_smp_affinity; from the boot on: kernel parameter "
		"irqaffinity=0-1,4-7"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n",
		"could be better  host: transparent hugepages: always; the kernel moves pages in "
		"use into them -> echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"},
	{"/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 8 0 -2\n",
		"could be better  host: swap is on: a page that is away stops an lcore until it is "
		"back -> swapoff -a; for the daemon alone: MemorySwapMax=0 in its unit"},
	{"/proc/cpuinfo", "flags : fpu tsc constant_tsc\n",
		"wrong            host: the TSC is not constant, or stops -> another machine: "
		"cross-timestamps and PTP clocks need it"},
	{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n",
		"wrong            time: clock source hpet: each reading is a system call, and there "
		"are no cross-timestamps -> echo tsc > "
		"/sys/devices/system/clocksource/clocksource0/current_clocksource"},
};

static void each_thing_that_is_missing_is_told_with_what_to_do(void **state)
{
	char before[512];
	struct machine m;

	(void)state;
	make_tuned(&m);
	for (size_t i = 0; i < sizeof(worse) / sizeof(worse[0]); i++) {
		assert_true(app_host_tree_read(
			m.root, before, sizeof(before) - 1, "%s", worse[i].path));
		if (worse[i].text)
			put(&m, worse[i].path, worse[i].text);
		else
			take(&m, worse[i].path);
		judge(&m);
		check_has(&m, worse[i].line);
		put(&m, worse[i].path, before);
		judge(&m);
		check_all_ok(&m);
	}
	machine_fini(&m);
}

static void a_cpuset_isolates_as_well_as_the_boot(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	put(&m, "/sys/devices/system/cpu/isolated", "\n");
	put(&m, "/sys/fs/cgroup/cpuset.cpus.isolated", "2-3,6-7\n");
	judge(&m);
	check_all_ok(&m);
	machine_fini(&m);
}

static void rcu_nocbs_and_a_watchdog_that_is_off_do_without_nohz_full(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	put(&m, "/sys/devices/system/cpu/nohz_full", "\n");
	put(&m, "/proc/cmdline", "quiet rcu_nocbs=2-3\n");
	put(&m, "/proc/sys/kernel/watchdog", "0\n");
	put(&m, "/proc/sys/kernel/nmi_watchdog", "0\n");
	put(&m, "/proc/sys/kernel/watchdog_cpumask", "0-7\n");
	judge(&m);
	check_has(&m, "ok               lcore 2 (requests) on CPU 2: RCU callbacks run elsewhere");
	check_has(&m, "ok               lcore 2 (requests) on CPU 2: the kernel's watchdog leaves "
		      "it alone");
	assert_int_equal(count(&m, APP_HOST_BETTER), 2);
	machine_fini(&m);
}

static void lcores_that_share_a_cpu_are_wrong_where_they_poll(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.lcore[0].cpus = m.lcore[1].cpus;
	judge(&m);
	check_has(&m, "wrong            lcore 2 (requests) on CPU 2: lcore 0 (control) is on this "
		      "CPU, too, and one that polls leaves it nothing -> a CPU for each lcore: -l "
		      "or --lcores, before \"--\"");
	m.view.idle = VRTC_IDLE_INTERRUPT;
	judge(&m);
	check_has(&m, "could be better  lcore 2 (requests) on CPU 2: lcore 0 (control) is on this "
		      "CPU, too -> a CPU for each lcore: -l or --lcores, before \"--\"");
	assert_int_equal(count(&m, APP_HOST_WRONG), 0);
	machine_fini(&m);
}

static void an_lcore_with_several_cpus_is_told_and_each_is_looked_at(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	CPU_SET(6, &m.lcore[1].cpus);
	CPU_SET(6, &m.view.workers);
	judge(&m);
	check_has(&m,
		"could be better  lcore 2 (requests): it is moved between CPUs 2,6 -> one CPU "
		"for it: --lcores 2@CPU, before \"--\"");
	check_has(&m, "ok               lcore 2 (requests) on CPU 6: isolated: no other process is "
		      "put here");
	machine_fini(&m);
}

static void a_real_time_policy_is_judged_by_its_limit_and_by_who_else_is_there(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.view.policy = SCHED_FIFO;
	judge(&m);
	check_has(&m, "wrong            host: real-time policy: an lcore that polls may be stopped "
		      "for 50000 of each 1000000 us -> SCHED_OTHER on isolated CPUs; or echo -1 > "
		      "/proc/sys/kernel/sched_rt_runtime_us");
	put(&m, "/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
	judge(&m);
	check_has(&m, "could be better  host: real-time policy without a limit: what the kernel "
		      "itself has to do on the lcores' CPUs waits for good -> SCHED_OTHER, since "
		      "they are isolated");
	put(&m, "/sys/devices/system/cpu/isolated", "2\n");
	judge(&m);
	check_has(&m,
		"wrong            host: real-time policy without a limit on CPUs that are not "
		"isolated: what else is put there never runs -> SCHED_OTHER, and isolated "
		"CPUs");
	machine_fini(&m);
}

static void hugepages_matter_where_the_eal_is_asked_for_them(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.view.hugepages = true;
	judge(&m);
	check_has(&m,
		"wrong            host: no free hugepages, which these EAL options ask for -> "
		"echo 64 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or "
		"--no-huge -m 64");
	put(&m, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "60\n");
	put(&m, "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "2\n");
	judge(&m);
	check_has(&m, "ok               host: 62 free hugepages for the EAL");
	machine_fini(&m);
}

/* The capability's bit is 14. */
static void alarms_that_cannot_be_locked_are_told_unless_the_capability_is_there(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.view.memlock_bytes = 0;
	put(&m, "/proc/self/status", "Name:\tx\nCapEff:\t0000000000003fff\n");
	judge(&m);
	assert_int_equal(count(&m, APP_HOST_BETTER), 1);
	assert_non_null(strstr(m.said,
		"could be better  host: 0 bytes may be locked into memory, and the alarms of all "
		"devices have "));
	put(&m, "/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
	judge(&m);
	check_all_ok(&m);
	machine_fini(&m);
}

static void isolated_cpus_that_no_lcore_uses_are_told_where_nobody_chose(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.view.chosen = false;
	judge(&m);
	check_has(&m, "could be better  host: CPUs 6-7 are isolated, and no lcore is there, since "
		      "without EAL options lcores are put where the process may run anyway -> "
		      "dpdk-rtc -l CONTROL,6-7 EAL-OPTIONS -- ...");
	machine_fini(&m);
}

/* Two cores of two threads, all as a distribution leaves it; nothing polls. */
static void of_a_laptop_that_sleeps_c_states_matter_and_the_tick_does_not(void **state)
{
	static const int32_t latency_us = 2000000000;
	struct machine m;
	char path[256];
	FILE *file;

	(void)state;
	machine_init(&m, "c--b", "0-3");
	m.view.idle = VRTC_IDLE_INTERRUPT;
	put_host(&m);
	put(&m, "/proc/irq/default_smp_affinity", "f\n");
	put(&m, "/sys/devices/system/cpu/isolated", "\n");
	put(&m, "/proc/cmdline", "quiet splash\n");
	put_cpu(&m, 3, "topology/thread_siblings_list", "2-3\n");
	put_cpu(&m, 3, "cpufreq/scaling_governor", "powersave\n");
	put_cpu(&m, 3, "cpuidle/state0/latency", "0\n");
	put_cpu(&m, 3, "cpuidle/state0/name", "POLL\n");
	put_cpu(&m, 3, "cpuidle/state1/latency", "2\n");
	put_cpu(&m, 3, "cpuidle/state1/name", "C1\n");
	put_cpu(&m, 3, "cpuidle/state2/latency", "133\n");
	put_cpu(&m, 3, "cpuidle/state2/name", "C6\n");
	put_cpu(&m, 3, "cpuidle/state3/latency", "890\n");
	put_cpu(&m, 3, "cpuidle/state3/name", "C10\n");
	put_cpu(&m, 3, "cpuidle/state3/disable", "1\n");
	put_irq(&m, 9, "acpi", "0-3\n", "3\n");
	put_irq(&m, 120, "i915", "0-3\n", "3\n");
	put_irq(&m, 121, "xhci_hcd", "0-3\n", "3\n");
	put_irq(&m, 122, "nvme0q4", "3\n", "3\n");
	put_irq(&m, 123, "iwlwifi", "0-3\n", "1\n");
	judge(&m);
	check_has(&m,
		"could be better  lcore 3 (requests and alarms) on CPU 3: it sleeps as deep as "
		"C6, 133 us to wake up -> echo 10 > "
		"/sys/devices/system/cpu/cpu3/power/pm_qos_resume_latency_us");
	check_has(&m,
		"could be better  lcore 3 (requests and alarms) on CPU 3: interrupts of "
		"devices: 4 come here (9 acpi, 120 i915, 121 xhci_hcd, ...), 1 more may -> echo "
		"0-2 > /proc/irq/9/smp_affinity_list, and so on; irqbalance with "
		"IRQBALANCE_BANNED_CPULIST=3; those that refuse it: "
		"isolcpus=managed_irq,...");
	check_has_not(&m, "tick");
	check_has_not(&m, "RCU");
	check_has_not(&m, "watchdog");

	/* No request, and then one of the kernel's users, and one for this CPU. */
	snprintf(path, sizeof(path), "%s/dev", m.root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/dev/cpu_dma_latency", m.root);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(&latency_us, sizeof(latency_us), 1, file), 1);
	assert_int_equal(fclose(file), 0);
	put_cpu(&m, 3, "power/pm_qos_resume_latency_us", "0\n");
	judge(&m);
	assert_non_null(strstr(m.said, "as deep as C6, 133 us"));
	put_cpu(&m, 3, "power/pm_qos_resume_latency_us", "10\n");
	judge(&m);
	check_has(&m,
		"ok               lcore 3 (requests and alarms) on CPU 3: it sleeps no deeper "
		"than C1, 2 us to wake up");
	put_cpu(&m, 3, "power/pm_qos_resume_latency_us", "n/a\n");
	judge(&m);
	assert_non_null(strstr(m.said, "no deeper than POLL, 0 us"));
	put_cpu(&m, 3, "power/pm_qos_resume_latency_us", "0\n");
	put(&m, "/dev/cpu_dma_latency", "\x05");
	judge(&m);
	/* One byte is no number: no request. */
	assert_non_null(strstr(m.said, "as deep as C6, 133 us"));
	machine_fini(&m);
}

static void of_a_virtual_machine_the_host_has_to_do_its_part(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	put(&m, "/proc/cpuinfo", "flags : fpu tsc constant_tsc nonstop_tsc hypervisor\n");
	put(&m, "/proc/stat",
		"cpu 1 1 1 1 1 1 1 1 0 0\ncpu2 100 0 0 890 0 0 0 10 0 0\n"
		"cpu3 5 5 5 5 5 5 5 0 0 0\n");
	put(&m, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock\n");
	put(&m, "/sys/devices/system/clocksource/clocksource0/available_clocksource",
		"kvm-clock acpi_pm \n");
	take(&m, "/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor");
	judge(&m);
	check_has(&m,
		"could be better  lcore 2 (requests) on CPU 2: a vCPU: the host ran something "
		"else for 1.000 % of the time since the boot -> on the host, a CPU for it "
		"alone (libvirt: vcpupin)");
	check_has(&m, "ok               lcore 3 (alarms) on CPU 3: a vCPU, of which no time was "
		      "stolen since the boot");
	check_has(&m,
		"cannot be told   lcore 2 (requests) on CPU 2: frequency: the host's affair -> "
		"its governor should be performance");
	check_has(&m, "could be better  time: clock source kvm-clock: a reading is no system call, "
		      "but there are no cross-timestamps -> on the host: expose invtsc (QEMU: -cpu "
		      "host,+invtsc)");
	assert_int_equal(count(&m, APP_HOST_WRONG), 0);
	put(&m, "/proc/stat", "cpu 1 1 1 1 1 1 1 1 0 0\n");
	judge(&m);
	check_has(&m, "cannot be told   lcore 2 (requests) on CPU 2: stolen time: no cpu2 in "
		      "/proc/stat");
	machine_fini(&m);
}

static void each_node_wants_a_request_lcore_and_one_for_alarms(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	put(&m, "/sys/devices/system/node/has_cpu", "0-1\n");
	put(&m, "/sys/devices/system/node/node0/cpulist", "0-3,8\n");
	put(&m, "/sys/devices/system/node/node1/cpulist", "4-7\n");
	put(&m, "/proc/sys/kernel/numa_balancing", "1\n");
	judge(&m);
	check_has(&m, "ok               host: NUMA node 0 has its lcores");
	check_has(&m,
		"could be better  host: NUMA node 1 has no request lcore: a guest whose memory "
		"is there is served from afar -> an lcore on one of CPUs 4-7");
	check_has(&m,
		"could be better  host: NUMA balancing takes pages away to see who uses them, "
		"and lcores fault -> echo 0 > /proc/sys/kernel/numa_balancing");
	m.lcore[2].node = 1;
	m.lcore[2].requests = true;
	put(&m, "/proc/sys/kernel/numa_balancing", "0\n");
	judge(&m);
	check_has(&m, "could be better  host: NUMA node 0 has request lcores and none that fires "
		      "alarms -> one more lcore on one of CPUs 0-3,8, or alarm_lcore");
	check_has(&m, "ok               host: NUMA node 1 has its lcores");
	check_has(&m, "ok               host: the kernel moves no memory between nodes by itself");
	machine_fini(&m);
}

static void the_hosts_time_is_judged_as_the_daemon_judges_it(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.view.synchronised = false;
	m.view.kernel.tai_s = 0;
	judge(&m);
	check_has(&m, "wrong            time: nobody synchronises CLOCK_REALTIME, which guests are "
		      "given -> chrony, or phc2sys");
	check_has(&m,
		"ok               time: the kernel was not told TAI - UTC; the table has 11 s, "
		"and is used");
	m.config.host_timescale = VRTC_HOST_TAI_OFFSET;
	judge(&m);
	check_has(&m,
		"wrong            time: the kernel was not told TAI - UTC, and host_timescale = "
		"tai-offset believes its 0 s, where the table has 11 s -> chrony: leapsectz "
		"right/UTC; or host_timescale = utc");
	snprintf(m.config.device[0].phc, sizeof(m.config.device[0].phc), "/dev/ptp0");
	m.view.kernel.tai_s = 37;
	judge(&m);
	assert_non_null(strstr(m.said, "could be better  time: nobody synchronises"));
	check_has(&m,
		"wrong            time: TAI - UTC is 37 s by the kernel and 11 s by the table -> "
		"a newer tzdata, or what tells the kernel is wrong");
	m.view.kernel = (struct vrtc_kernel_view){.tai_s = 11, .leap = 1};
	judge(&m);
	assert_non_null(
		strstr(m.said, "wrong            time: the kernel will make a leap second"));
	machine_fini(&m);
}

static void a_leap_second_table_that_is_old_or_missing_is_told(void **state)
{
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.leap.expires_utc_s = NOW_NS / 1000000000 - 86400;
	judge(&m);
	check_has(&m,
		"could be better  time: the leap-second table "
		"/usr/share/zoneinfo/leap-seconds.list has expired on 2026-11-23: it knows of "
		"no leap second announced since -> a newer tzdata");
	m.view.leap = NULL;
	m.view.leap_error = "leap-second table x: No such file or directory";
	judge(&m);
	check_has(&m, "wrong            time: leap-second table x: No such file or directory -> "
		      "package tzdata, or leap_table = FILE");
	check_has_not(&m, "TAI - UTC");
	machine_fini(&m);
}

static void without_any_file_what_cannot_be_told_is_said_to_be_so(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, "crra", "0-3");
	m.view.policy = SCHED_RR;
	judge(&m);
	/* A tick is there unless the kernel says that there is none. */
	assert_int_equal(count(&m, APP_HOST_BETTER), 3);
	assert_int_equal(count(&m, APP_HOST_WRONG), 0);
	/* Of each lcore 7, of the host 5: interrupts, policy, nodes, hugepages, clock source. */
	assert_int_equal(count(&m, APP_HOST_UNKNOWN), 3 * 7 + 5);
	machine_fini(&m);
}

/* Whatever the files contain: lines are told, each of a state. */
static void of_nonsense_in_all_files_lines_are_made_all_the_same(void **state)
{
	static const char *const nonsense[] = {"", "\n", "-", "99999999999999999999", "[", "%s%n",
		"cpu2", "flags", "0-", "\xff\xfe", "4294967296-4294967297"};
	struct machine m;

	(void)state;
	make_tuned(&m);
	m.view.hugepages = true;
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		for (size_t k = 0; k < sizeof(worse) / sizeof(worse[0]); k++)
			put(&m, worse[k].path, nonsense[i]);
		put(&m, "/proc/stat", nonsense[i]);
		put(&m, "/proc/self/status", nonsense[i]);
		m.view.memlock_bytes = 0;
		judge(&m);
		assert_true(count(&m, APP_HOST_OK) + count(&m, APP_HOST_BETTER) +
				    count(&m, APP_HOST_WRONG) + count(&m, APP_HOST_UNKNOWN) >=
			    20);
	}
	machine_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_tuned_machine_all_is_well),
		cmocka_unit_test(each_thing_that_is_missing_is_told_with_what_to_do),
		cmocka_unit_test(a_cpuset_isolates_as_well_as_the_boot),
		cmocka_unit_test(rcu_nocbs_and_a_watchdog_that_is_off_do_without_nohz_full),
		cmocka_unit_test(lcores_that_share_a_cpu_are_wrong_where_they_poll),
		cmocka_unit_test(an_lcore_with_several_cpus_is_told_and_each_is_looked_at),
		cmocka_unit_test(
			a_real_time_policy_is_judged_by_its_limit_and_by_who_else_is_there),
		cmocka_unit_test(hugepages_matter_where_the_eal_is_asked_for_them),
		cmocka_unit_test(
			alarms_that_cannot_be_locked_are_told_unless_the_capability_is_there),
		cmocka_unit_test(isolated_cpus_that_no_lcore_uses_are_told_where_nobody_chose),
		cmocka_unit_test(of_a_laptop_that_sleeps_c_states_matter_and_the_tick_does_not),
		cmocka_unit_test(of_a_virtual_machine_the_host_has_to_do_its_part),
		cmocka_unit_test(each_node_wants_a_request_lcore_and_one_for_alarms),
		cmocka_unit_test(the_hosts_time_is_judged_as_the_daemon_judges_it),
		cmocka_unit_test(a_leap_second_table_that_is_old_or_missing_is_told),
		cmocka_unit_test(without_any_file_what_cannot_be_told_is_said_to_be_so),
		cmocka_unit_test(of_nonsense_in_all_files_lines_are_made_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
