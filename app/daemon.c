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
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "alarm_action.h"
#include "alarms.h"
#include "backend.h"
#include "callfd.h"
#include "eal_default.h"
#include "lcore_roles.h"
#include "log.h"
#include "poller.h"
#include "privileges.h"
#include "socket_access.h"
#include "socket_path.h"
#include "sources.h"
#include "telemetry.h"
#include "telemetry_counters.h"

/* See vrtc_backend_nudge_events(). */
#define NUDGE_AGAIN_MS 20

struct daemon {
	const struct app_config *config;
	struct app_sources sources;
	struct vrtc_poller *poller[RTE_MAX_LCORE];
	unsigned n_pollers;
	struct vrtc_poller *request_poller[RTE_MAX_LCORE]; /* those of them that serve requests */
	unsigned n_request_pollers;
	struct app_alarms alarms;
	struct vrtc_endpoint **endpoint;
	unsigned n_endpoints;
	int signal_fd;    /* SIGTERM, SIGINT */
	int clock_set_fd; /* readable when somebody set the host's clock */
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

/* A timer that never expires, and is cancelled when CLOCK_REALTIME is set. */
static int arm_clock_set(int fd)
{
	struct itimerspec never = {.it_value.tv_sec = INT32_MAX};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
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

static int start_lcore(struct daemon *d, const struct app_lcore *lcore, enum vrtc_idle idle)
{
	struct vrtc_alarm_lcore *alarms = NULL;
	struct vrtc_poller *p = NULL;

	if (lcore->alarms) {
		alarms = app_alarms_new_lcore(&d->alarms, lcore);
		if (!alarms)
			return fail("cannot create an alarm lcore", strerror(errno));
	}
	p = vrtc_poller_new(lcore->lcore_id, lcore->node, idle, alarms);
	if (!p)
		return fail("cannot create an lcore's poller", strerror(errno));
	d->poller[d->n_pollers++] = p;
	if (lcore->requests)
		d->request_poller[d->n_request_pollers++] = p;
	if (rte_eal_remote_launch(vrtc_poller_run, p, lcore->lcore_id))
		return fail("cannot start an lcore", "it is busy");
	return 0;
}

static int start_lcores(struct daemon *d, bool shared_cpu)
{
	bool wanted = app_config_has_alarms(d->config);
	struct app_lcore lcore[RTE_MAX_LCORE];
	char why[APP_LCORE_ROLES_WHY_BYTES];
	enum vrtc_idle idle = d->config->idle;
	unsigned lcore_id;
	unsigned n = 0;
	bool shared;

	if (shared_cpu && !d->config->idle_given) {
		idle = VRTC_IDLE_INTERRUPT;
		VRTC_LOG(WARNING,
			"there is one CPU for control and requests: idle = interrupt, since "
			"an lcore that never sleeps would starve the other");
	}
	RTE_LCORE_FOREACH_WORKER (lcore_id)
		lcore[n++] = (struct app_lcore){
			.lcore_id = lcore_id, .node = (int)rte_lcore_to_socket_id(lcore_id)};
	if (n == 0)
		return fail("no lcore for requests",
			"give the EAL two or more, the first is for control; for example -l 0,1");
	if (app_lcore_roles_assign(lcore, n, wanted, &d->config->alarm_lcores, &shared, why)) {
		fprintf(stderr, "dpdk-rtc: %s\n", why);
		return -1;
	}
	if (shared)
		VRTC_LOG(WARNING,
			"no lcore to spare for alarms: an alarm may wait for requests, and requests "
			"for alarms; give the EAL one more, or say --alarm-lcore shared");
	for (unsigned i = 0; i < n; i++) {
		if (start_lcore(d, &lcore[i], idle))
			return -1;
	}
	return 0;
}

/* The socket is there, and open to whom it may be, or there is a line that says why not. */
static struct vrtc_endpoint *bind_socket(
	const struct app_device_config *device, const struct vrtc_endpoint_config *config)
{
	mode_t before = app_socket_access_close(device);
	struct vrtc_endpoint *endpoint = vrtc_backend_open(config);
	char error[1024];

	if (!endpoint) {
		fail(device->socket_path, strerror(errno));
		(void)umask(before);
		return NULL;
	}
	if (app_socket_access_apply(device, before, error, sizeof(error))) {
		fprintf(stderr, "dpdk-rtc: %s\n", error);
		vrtc_backend_close(endpoint);
		return NULL;
	}
	return endpoint;
}

static struct vrtc_endpoint *open_endpoint(struct daemon *d, const struct app_device_config *device)
{
	unsigned source = app_sources_find(&d->sources, device);
	struct vrtc_endpoint_config config = {
		.name = device->name,
		.socket_path = device->socket_path,
		.client = device->client,
		.device = {.clock = device->clock, .n_clocks = device->n_clocks},
		.time = &d->sources.source[source].time,
		.counter = device->counter,
		.no_packed = device->no_packed,
	};
	int lock_fd = app_socket_lock_folder(device);
	struct vrtc_endpoint *endpoint = NULL;
	char error[1024];

	if (app_socket_remove_stale(device, error, sizeof(error))) {
		fprintf(stderr, "dpdk-rtc: %s\n", error);
	} else if (app_alarms_open_device(&d->alarms, device, &config.alarms)) {
		fail(device->name, strerror(errno));
	} else {
		config.alarms.source = source;
		config.alarms.time = config.time;
		endpoint = bind_socket(device, &config);
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
	app_telemetry_counters_begin(d->config, d->endpoint);
	vrtc_backend_nudge_events();
	return 0;
}

/* From each other's front-ends; an only device has but its own. */
static void protect_devices(const struct daemon *d)
{
	/* The lcores, and rte_vhost's threads: a queue that starts is signalled. */
	int rc = vrtc_callfd_protect(d->n_pollers + 2);

	if (rc)
		VRTC_LOG(WARNING,
			"a front-end can make an lcore wait that serves others, too: no asynchronous "
			"I/O: %s",
			strerror(-rc));
}

static int limit_calls(const struct app_config *config)
{
	const char *sentence;

	if (app_privileges_limit_calls(config, &sentence)) {
		fprintf(stderr,
			"dpdk-rtc: seccomp = on: %s; accepted where that cannot be had: off\n",
			sentence);
		return -1;
	}
	VRTC_LOG(INFO, "%s", sentence);
	return 0;
}

static int start(struct daemon *d, struct vrtc_leap_table *leap)
{
	const char *privileges;
	cpu_set_t control;
	bool shared_cpu;

	d->clock_set_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->clock_set_fd < 0 || arm_clock_set(d->clock_set_fd))
		return fail("timerfd", strerror(errno));
	raise_descriptor_limit();
	privileges = app_privileges_drop(d->config);
	if (start_eal(d->config, &shared_cpu))
		return -1;
	VRTC_LOG(INFO, "%s", privileges);

	/* The main thread's, which the EAL has put on the main lcore's CPU. */
	if (sched_getaffinity(0, sizeof(control), &control))
		return fail("cannot read the CPUs that we run on", strerror(errno));
	if (app_sources_open(&d->sources, d->config, leap, &control))
		return -1;
	app_alarms_init(&d->alarms, d->config, &d->sources);
	if (start_lcores(d, shared_cpu))
		return -1;
	d->attention_fd = vrtc_backend_init(&(struct vrtc_backend_config){
		.poller = d->request_poller,
		.n_pollers = d->n_request_pollers,
		.alarm_lcore = d->alarms.lcore,
		.n_alarm_lcores = d->alarms.n_lcores,
	});
	if (d->attention_fd < 0)
		return fail("back-end", strerror(-d->attention_fd));
	if (d->config->n_devices > 1)
		protect_devices(d);
	app_telemetry_publish(&d->sources);
	app_telemetry_register();
	return open_endpoints(d) ? -1 : limit_calls(d->config);
}

static void look(struct daemon *d)
{
	app_sources_look(&d->sources, d->poller, d->n_pollers);
	app_telemetry_publish(&d->sources);
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void loop(struct daemon *d)
{
	struct pollfd fds[] = {
		{.fd = d->signal_fd, .events = POLLIN},
		{.fd = d->clock_set_fd, .events = POLLIN},
		{.fd = d->attention_fd, .events = POLLIN},
		{.fd = d->sources.attention_fd, .events = POLLIN},
		{.fd = d->sources.leap.watch_fd, .events = POLLIN},
	};
	int timeout_ms = NUDGE_AGAIN_MS;
	bool nudged = false;
	int64_t look_ms = now_ms() + APP_SOURCES_LOOK_MS;

	for (;;) {
		int n = poll(fds, RTE_DIM(fds), timeout_ms);
		int counters_ms;

		if (n == 0 && !nudged) {
			vrtc_backend_nudge_events();
			nudged = true;
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
		counters_ms = vrtc_backend_look();
		if (n > 0 || now_ms() >= look_ms) {
			look(d);
			look_ms = now_ms() + APP_SOURCES_LOOK_MS;
		}
		timeout_ms = nudged ? (int)RTE_MAX(look_ms - now_ms(), 0) : NUDGE_AGAIN_MS;
		if (counters_ms >= 0)
			timeout_ms = RTE_MIN(timeout_ms, counters_ms);
	}
}

static void stop(struct daemon *d)
{
	app_telemetry_counters_end();
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
	app_telemetry_end();
	app_sources_close(&d->sources);
}

int app_daemon_run(const struct app_config *config, struct vrtc_leap_table *leap)
{
	struct daemon d = {.config = config,
		.attention_fd = -1,
		.sources = {.attention_fd = -1, .leap = {.table = leap, .watch_fd = -1}}};
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
	 * anyway. The EAL's folder stays: another process of this prefix may be starting in it.
	 */
	return status;
}
