/* SPDX-License-Identifier: BSD-3-Clause */
#include "check_host.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "eal_default.h"
#include "eal_options.h"
#include "host_text.h"
#include "host_tree.h"
#include "host_view.h"
#include "hosttime.h"
#include "lcore_roles.h"
#include "leap_file.h"

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "dpdk-rtc: %s: %s\n", what, why);
	return -1;
}

/* The EAL as by default, which takes nothing that matters; with the operator's lcores. */
static int start_eal(const struct app_config *config, bool *shared_cpu)
{
	static char no_telemetry[] = "--no-telemetry";
	struct app_eal_default eal;
	cpu_set_t allowed;
	char **argv;
	int argc;
	int rc;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return fail("cannot read the CPUs that we may run on", strerror(errno));
	app_eal_default_make(&eal, &allowed,
		app_config_has_alarms(config) &&
			config->alarm_lcores.choice != APP_ALARM_LCORES_SHARED,
		config->eal[0]);
	app_eal_default_runtime_dir();
	*shared_cpu = eal.shared_cpu && config->n_eal == 1;
	/* The EAL writes into argv[0 .. argc], and its strings have to stay. */
	argv = calloc((size_t)eal.argc + (size_t)config->n_eal + 2, sizeof(argv[0]));
	if (!argv)
		return fail("EAL options", strerror(ENOMEM));
	/* The default's lcores are its last two arguments. */
	argc = config->n_eal == 1 ? eal.argc : eal.argc - 2;
	memcpy(argv, eal.argv, (size_t)argc * sizeof(argv[0]));
	argv[argc++] = no_telemetry;
	argc += app_eal_options_lcores(config, argv + argc);
	rc = rte_eal_init(argc, argv);
	free(argv);
	return rc < 0 ? fail("the EAL did not start", rte_strerror(rte_errno)) : 0;
}

static void take_lcore(struct app_host_lcore *to, const struct app_lcore *from)
{
	*to = (struct app_host_lcore){.lcore_id = from->lcore_id,
		.node = from->node,
		.cpus = rte_lcore_cpuset(from->lcore_id),
		.requests = from->requests,
		.alarms = from->alarms};
}

/* The one for control first, then the workers, as the daemon would use them. */
static int list_lcores(
	const struct app_config *config, struct app_host_view *view, struct app_host_lcore *lcore)
{
	struct app_lcore worker[RTE_MAX_LCORE];
	char why[APP_LCORE_ROLES_WHY_BYTES];
	unsigned lcore_id;
	unsigned n = 0;
	bool shared;

	RTE_LCORE_FOREACH_WORKER (lcore_id)
		worker[n++] = (struct app_lcore){
			.lcore_id = lcore_id, .node = (int)rte_lcore_to_socket_id(lcore_id)};
	if (n == 0)
		return fail("no lcore for requests",
			"give the EAL two or more, the first is for control; for example -l 0,1");
	if (app_lcore_roles_assign(worker, n, app_config_has_alarms(config), &config->alarm_lcores,
		    &shared, why)) {
		fprintf(stderr, "dpdk-rtc: %s\n", why);
		return -1;
	}
	take_lcore(&lcore[0], &(struct app_lcore){.lcore_id = rte_get_main_lcore(),
				      .node = (int)rte_lcore_to_socket_id(rte_get_main_lcore())});
	for (unsigned i = 0; i < n; i++)
		take_lcore(&lcore[i + 1], &worker[i]);
	view->lcore = lcore;
	view->n_lcores = n + 1;
	return 0;
}

static void list_cpus(struct app_host_view *view)
{
	cpu_set_t online;

	CPU_ZERO(&view->workers);
	for (unsigned i = 1; i < view->n_lcores; i++)
		CPU_OR(&view->workers, &view->workers, &view->lcore[i].cpus);
	CPU_ZERO(&view->others);
	(void)app_host_tree_list(view->root, &online, "/sys/devices/system/cpu/online");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &online) && !CPU_ISSET(cpu, &view->workers))
			CPU_SET(cpu, &view->others);
}

static void ask_kernel(struct app_host_view *view)
{
	struct timex state = {.modes = 0};
	static const struct vrtc_leap_table none;
	struct vrtc_hosttime_report report;
	struct vrtc_hosttime host;
	struct rlimit limit;

	view->synchronised = adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
	view->maximum_error_us = state.maxerror;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		view->memlock_bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
	view->policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
	vrtc_hosttime_init(
		&host, view->config->host_timescale, view->leap ? view->leap : &none, &report);
	view->kernel = report.view;
	view->utc_ns = vrtc_hosttime_clock_ns(CLOCK_REALTIME);
}

int app_check_host_run(const struct app_config *config)
{
	static struct app_host_lcore lcore[RTE_MAX_LCORE];
	static struct vrtc_leap_table leap;
	struct app_host_advice advice = {.out = stdout};
	struct app_host_view view = {.root = "",
		.config = config,
		.idle = config->idle,
		.chosen = config->n_eal != 1,
		.hugepages = app_eal_options_hugepages(config)};
	char leap_error[1024];
	bool shared_cpu;

	if (start_eal(config, &shared_cpu) || list_lcores(config, &view, lcore))
		return EXIT_FAILURE;
	if (shared_cpu && !config->idle_given)
		view.idle = VRTC_IDLE_INTERRUPT;
	list_cpus(&view);
	if (app_leap_file_load(config->leap_table, &leap, leap_error, sizeof(leap_error)))
		view.leap_error = leap_error;
	else
		view.leap = &leap;
	ask_kernel(&view);
	app_check_cpu_tell(&view, &advice);
	app_check_machine_tell(&view, &advice);
	app_check_time_tell(&view, &advice);
	app_host_advice_end(&advice);
	return EXIT_SUCCESS;
}
