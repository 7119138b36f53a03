/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "alarm_action.h"
#include "alarm_lcore.h"
#include "alarm_store.h"
#include "backend.h"
#include "eal_default.h"
#include "log.h"
#include "poller.h"
#include "socket_path.h"
#include "timesource.h"

/* How often the kernel is asked for its TAI offset although no clock was set. */
#define REFRESH_MS     10000
/* See vrtc_backend_nudge_events(). */
#define NUDGE_AGAIN_MS 20

struct daemon {
	const struct app_config *config;
	struct vrtc_timesource time;
	struct vrtc_poller *poller[RTE_MAX_LCORE];
	unsigned n_pollers;
	struct vrtc_poller *request_poller[RTE_MAX_LCORE]; /* those of them that serve requests */
	unsigned n_request_pollers;
	struct vrtc_alarm_lcore *alarm_lcore[RTE_MAX_LCORE];
	unsigned n_alarm_lcores;
	struct vrtc_alarm_store alarm_store;
	struct vrtc_endpoint **endpoint;
	unsigned n_endpoints;
	int signal_fd;    /* SIGTERM, SIGINT */
	int clock_set_fd; /* readable when somebody set the host's clock or its TAI offset */
	int attention_fd; /* the back-end has something to log */
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "dpdk-rtc: %s: %s\n", what, why);
	return -1;
}

/* Each device takes five descriptors; the usual soft limit of 1024 would end at 200 devices. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int block_signals(struct daemon *d)
{
	sigset_t set;

	/* A front-end that closed its end of a descriptor must not end us. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL))
		return fail("cannot block signals", strerror(errno));
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signal_fd < 0)
		return fail("signalfd", strerror(errno));
	return 0;
}

/* A timer that never expires, and is cancelled when CLOCK_REALTIME or the TAI offset is set. */
static int arm_clock_set(int fd)
{
	struct itimerspec never = {.it_value.tv_sec = INT32_MAX};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void report_time(const struct vrtc_timesource_report *report)
{
	if (report->origin == VRTC_TAI_FROM_KERNEL)
		VRTC_LOG(INFO,
			"TAI comes from the kernel: TAI - UTC = %d s, as in the leap-second "
			"table",
			report->kernel_tai_s);
	else if (report->kernel_tai_s == 0)
		VRTC_LOG(INFO,
			"the kernel was not told TAI - UTC; TAI comes from CLOCK_REALTIME and "
			"the leap-second table: %d s",
			report->table_tai_s);
	else
		VRTC_LOG(WARNING,
			"the kernel says TAI - UTC = %d s, the leap-second table %d s; TAI "
			"comes from CLOCK_REALTIME and the table",
			report->kernel_tai_s, report->table_tai_s);
}

static void refresh_time(struct daemon *d)
{
	struct vrtc_timesource_report report;

	vrtc_timesource_refresh(&d->time, &report);
	if (report.changed)
		report_time(&report);
}

static int start_eal(const struct app_config *config, bool *shared_cpu)
{
	struct app_eal_default eal;
	bool by_default = config->n_eal == 1;
	cpu_set_t allowed;

	*shared_cpu = false;
	if (by_default) {
		if (sched_getaffinity(0, sizeof(allowed), &allowed))
			return fail("cannot read the CPUs that we may run on", strerror(errno));
		app_eal_default_make(&eal, &allowed,
			app_config_has_alarms(config) &&
				config->alarm_lcores.choice != APP_ALARM_LCORES_SHARED,
			config->eal[0]);
		app_eal_default_runtime_dir();
		*shared_cpu = eal.shared_cpu;
	}
	if (rte_eal_init(
		    by_default ? eal.argc : config->n_eal, by_default ? eal.argv : config->eal) < 0)
		return fail("the EAL did not start", rte_strerror(rte_errno));
	/*
	 * rte_vhost says a line or more for each message; ours, which a front-end cannot multiply,
	 * say what an operator needs. Whoever gives EAL options has --log-level.
	 */
	if (by_default)
		rte_log_set_level_pattern("lib.vhost.*", RTE_LOG_CRIT);
	return 0;
}

static bool has_alarms(const struct app_device_config *device)
{
	for (uint16_t c = 0; c < device->n_clocks; c++)
		if (device->clock[c].alarm)
			return true;
	return false;
}

/* The devices that have alarms, and how many alarms there are of each timescale. */
static unsigned count_alarms(const struct app_config *config, uint32_t capacity[VRTC_TIMESCALES])
{
	unsigned devices = 0;

	for (unsigned i = 0; i < config->n_devices; i++) {
		const struct app_device_config *device = &config->device[i];

		devices += has_alarms(device);
		for (uint16_t c = 0; c < device->n_clocks; c++)
			if (device->clock[c].alarm)
				capacity[vrtc_clock_timescale(&device->clock[c])]++;
	}
	return devices;
}

/* Any device may come to any alarm lcore, so each has room for all. */
static struct vrtc_alarm_lcore *new_alarm_lcore(struct daemon *d, unsigned lcore_id, bool shared)
{
	uint32_t capacity[VRTC_TIMESCALES] = {0};
	unsigned devices = count_alarms(d->config, capacity);
	int node = (int)rte_lcore_to_socket_id(lcore_id);
	struct vrtc_alarm_lcore *l =
		vrtc_alarm_lcore_new(lcore_id, node, &d->time, capacity, devices);
	size_t n_pages;
	size_t on_node;

	if (!l)
		return NULL;
	d->alarm_lcore[d->n_alarm_lcores++] = l;
	on_node = vrtc_alarm_lcore_pages(l, node, &n_pages);
	VRTC_LOG(INFO,
		"alarms are fired by lcore %u on node %d%s; %zu of %zu pages of its memory there",
		lcore_id, node, shared ? ", which serves requests, too" : "", on_node, n_pages);
	if (shared)
		VRTC_LOG(WARNING,
			"no lcore to spare for alarms: a request may wait while an alarm is fired, and an "
			"alarm while requests are served; give the EAL another lcore, or --alarm-lcore");
	return l;
}

static int start_lcore(
	struct daemon *d, unsigned lcore_id, enum vrtc_idle idle, bool requests, bool alarms)
{
	struct vrtc_alarm_lcore *l = NULL;
	struct vrtc_poller *p = NULL;

	if (alarms)
		l = new_alarm_lcore(d, lcore_id, requests);
	if (l || !alarms)
		p = vrtc_poller_new(lcore_id, (int)rte_lcore_to_socket_id(lcore_id), idle, l);
	if (!p)
		return fail("cannot create an lcore's poller", strerror(errno));
	d->poller[d->n_pollers++] = p;
	if (requests)
		d->request_poller[d->n_request_pollers++] = p;
	if (rte_eal_remote_launch(vrtc_poller_run, p, lcore_id))
		return fail("cannot start an lcore", "it is busy");
	return 0;
}

static int start_lcores(struct daemon *d, bool shared_cpu)
{
	uint32_t capacity[VRTC_TIMESCALES] = {0};
	bool wanted = count_alarms(d->config, capacity) > 0;
	enum vrtc_idle idle = d->config->idle;
	unsigned workers = rte_lcore_count() - 1;
	unsigned lcore_id;
	unsigned i = 0;

	if (shared_cpu && !d->config->idle_given) {
		idle = VRTC_IDLE_INTERRUPT;
		VRTC_LOG(WARNING,
			"there is one CPU for control and requests: idle = interrupt, since "
			"an lcore that never sleeps would starve the other");
	}
	if (workers == 0)
		return fail("no lcore for requests",
			"give the EAL two or more, the first is for control; for example -l 0,1");
	RTE_LCORE_FOREACH_WORKER (lcore_id) {
		bool last = ++i == workers;

		if (start_lcore(
			    d, lcore_id, idle, !(wanted && last && workers > 1), wanted && last))
			return -1;
	}
	return 0;
}

/* What goes wrong here costs the retention, not the device. */
static struct vrtc_alarm_ledger *open_ledger(
	struct daemon *d, const struct app_device_config *device)
{
	char why[VRTC_ALARM_STORE_WHY_BYTES];
	enum vrtc_alarm_store_result result;
	struct vrtc_alarm_ledger *ledger =
		vrtc_alarm_store_ledger(device->retain == VRTC_RETAIN_NO ? NULL : &d->alarm_store,
			device->name, device->clock, device->n_clocks, &result, why);

	if (result == VRTC_ALARM_STORE_DISCARDED)
		VRTC_LOG(WARNING, "%s: %s; its alarms are forgotten", device->name, why);
	else if (result == VRTC_ALARM_STORE_NONE && why[0])
		VRTC_LOG(
			WARNING, "%s: alarms will not outlive this process: %s", device->name, why);
	return ledger;
}

static void open_store(struct daemon *d)
{
	uint32_t capacity[VRTC_TIMESCALES] = {0};
	char why[VRTC_ALARM_STORE_WHY_BYTES];

	d->alarm_store.dir_fd = -1;
	if (!d->config->alarm_store || count_alarms(d->config, capacity) == 0)
		return;
	if (vrtc_alarm_store_open(&d->alarm_store, d->config->alarm_store_dir, why))
		VRTC_LOG(WARNING, "alarms will not outlive this process: %s", why);
	else
		VRTC_LOG(INFO, "alarms are kept in %s", d->alarm_store.path);
}

static int make_alarms(struct daemon *d, const struct app_device_config *device,
	struct vrtc_endpoint_alarms_config *alarms)
{
	*alarms = (struct vrtc_endpoint_alarms_config){.retain = device->retain};
	if (!has_alarms(device))
		return 0;
	alarms->ledger = open_ledger(d, device);
	if (!alarms->ledger)
		return fail(device->name, strerror(errno));
	if (device->alarm_action[0]) {
		alarms->action = vrtc_alarm_action_new(
			device->alarm_action, device->name, device->clock, device->n_clocks);
		if (!alarms->action)
			return fail(device->alarm_action, strerror(errno));
	}
	return 0;
}

static struct vrtc_endpoint *open_endpoint(struct daemon *d, const struct app_device_config *device)
{
	struct vrtc_endpoint_config config = {
		.name = device->name,
		.socket_path = device->socket_path,
		.client = device->client,
		.device = {.clock = device->clock, .n_clocks = device->n_clocks},
	};
	int lock_fd = app_socket_lock_folder(device);
	struct vrtc_endpoint *endpoint = NULL;
	char error[1024];

	if (app_socket_remove_stale(device, error, sizeof(error))) {
		fprintf(stderr, "dpdk-rtc: %s\n", error);
	} else if (make_alarms(d, device, &config.alarms) == 0) {
		endpoint = vrtc_backend_open(&config);
		if (!endpoint)
			fail(device->socket_path, strerror(errno));
	}
	if (lock_fd >= 0)
		close(lock_fd);
	return endpoint;
}

static int open_endpoints(struct daemon *d)
{
	d->endpoint = calloc(d->config->n_devices, sizeof(d->endpoint[0]));
	if (!d->endpoint)
		return fail("devices", strerror(ENOMEM));
	for (unsigned i = 0; i < d->config->n_devices; i++) {
		const struct app_device_config *device = &d->config->device[i];

		d->endpoint[i] = open_endpoint(d, device);
		if (!d->endpoint[i])
			return -1;
		d->n_endpoints++;
		VRTC_LOG(INFO, "%s: %s %s", device->name,
			device->client ? "connecting to" : "listening on", device->socket_path);
	}
	vrtc_backend_nudge_events();
	return 0;
}

static int start(struct daemon *d, const struct vrtc_leap_table *leap)
{
	struct vrtc_timesource_report report;
	bool shared_cpu;

	d->clock_set_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->clock_set_fd < 0 || arm_clock_set(d->clock_set_fd))
		return fail("timerfd", strerror(errno));
	raise_descriptor_limit();
	if (start_eal(d->config, &shared_cpu))
		return -1;

	vrtc_timesource_init(&d->time, leap, &report);
	report_time(&report);
	if (vrtc_leap_expired(leap, (int64_t)time(NULL)))
		VRTC_LOG(WARNING,
			"the leap-second table %s has expired: a leap second announced since "
			"would be missed; update tzdata",
			d->config->leap_table);
	if (start_lcores(d, shared_cpu))
		return -1;
	open_store(d);
	d->attention_fd = vrtc_backend_init(&(struct vrtc_backend_config){
		.poller = d->request_poller,
		.n_pollers = d->n_request_pollers,
		.alarm_lcore = d->alarm_lcore,
		.n_alarm_lcores = d->n_alarm_lcores,
		.time = &d->time,
	});
	if (d->attention_fd < 0)
		return fail("back-end", strerror(-d->attention_fd));
	return open_endpoints(d);
}

static void loop(struct daemon *d)
{
	struct pollfd fds[] = {
		{.fd = d->signal_fd, .events = POLLIN},
		{.fd = d->clock_set_fd, .events = POLLIN},
		{.fd = d->attention_fd, .events = POLLIN},
	};
	int timeout_ms = NUDGE_AGAIN_MS;

	for (;;) {
		int n = poll(fds, RTE_DIM(fds), timeout_ms);

		if (n == 0 && timeout_ms == NUDGE_AGAIN_MS) {
			vrtc_backend_nudge_events();
			timeout_ms = REFRESH_MS;
			continue;
		}
		if (fds[0].revents)
			return;
		if (fds[1].revents) {
			uint64_t ignored;

			/* ECANCELED is what it is for: the clock was set. */
			if (read(d->clock_set_fd, &ignored, sizeof(ignored)) < 0)
				(void)arm_clock_set(d->clock_set_fd);
		}
		if (fds[2].revents)
			vrtc_backend_report();
		refresh_time(d);
	}
}

static void stop(struct daemon *d)
{
	/* Front-ends first: after this no lcore has a session. */
	for (unsigned i = 0; i < d->n_endpoints; i++)
		vrtc_backend_close(d->endpoint[i]);
	free(d->endpoint);
	vrtc_alarm_actions_end();
	for (unsigned i = 0; i < d->n_pollers; i++)
		vrtc_poller_stop(d->poller[i]);
	if (d->n_pollers > 0)
		rte_eal_mp_wait_lcore();
	for (unsigned i = 0; i < d->n_pollers; i++)
		vrtc_poller_free(d->poller[i]);
}

int app_daemon_run(const struct app_config *config, const struct vrtc_leap_table *leap)
{
	struct daemon d = {.config = config, .attention_fd = -1};
	int status = 1;

	if (block_signals(&d))
		return 1;
	if (start(&d, leap) == 0) {
		VRTC_LOG(INFO, "ready: %u device%s, %u request lcore%s", d.n_endpoints,
			d.n_endpoints == 1 ? "" : "s", d.n_request_pollers,
			d.n_request_pollers == 1 ? "" : "s");
		loop(&d);
		VRTC_LOG(INFO, "ending");
		status = 0;
	}
	stop(&d);
	/*
	 * No rte_eal_cleanup(): it unmaps the EAL's memory, in which rte_vhost's event thread still
	 * lives and moves, and that thread can be neither joined nor stopped (on DPDK 24.11 it was
	 * seen to crash there, when front-ends left in the same millisecond). The process ends now
	 * anyway. The EAL's own folder is of no use after us; it stays if anything else is in it.
	 */
	if (rte_eal_get_runtime_dir())
		(void)rmdir(rte_eal_get_runtime_dir());
	return status;
}
