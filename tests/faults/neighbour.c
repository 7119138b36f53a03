/* SPDX-License-Identifier: BSD-3-Clause */
#include "neighbour.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "histogram.h"
#include "wire.h"

/* Of a group that is recorded, at its begin and its end: the neighbour without any fault. */
#define QUIET_MS 2000

struct fixture neighbour_fixture;

static char socket_path[108];
static struct vfe_session session;
static pthread_t thread;
static atomic_bool end;
static struct perf_histogram *took_ns;
static unsigned n_bad;
static const char *doing;
static unsigned n_faults;
static unsigned n_preempted;
static const char *record; /* a path, or NULL */

/* The first CPU is the front-ends', hostile or not; the daemon has the last, see the header. */
static void share_first_cpu(void)
{
	cpu_set_t mine, first;

	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	CPU_ZERO(&first);
	for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&first) == 0; cpu++)
		if (CPU_ISSET(cpu, &mine))
			CPU_SET(cpu, &first);
	assert_int_equal(sched_setaffinity(0, sizeof(first), &first), 0);
}

static void record_quiet(void)
{
	neighbour_begin("quiet");
	fixture_sleep_ms(QUIET_MS);
	neighbour_end();
}

int neighbour_group_setup(void **state)
{
	struct vfe_config cfg;

	(void)state;
	fixture_init(&neighbour_fixture);
	snprintf(socket_path, sizeof(socket_path), "%s/neighbour.sock", neighbour_fixture.dir);
	fixture_arg(&neighbour_fixture, "--socket-path");
	fixture_arg(&neighbour_fixture, neighbour_fixture.socket);
	fixture_arg(&neighbour_fixture, "--socket-path");
	fixture_arg(&neighbour_fixture, socket_path);
	fixture_arg(&neighbour_fixture, "--idle");
	record = getenv("DPDK_RTC_FAULTS_RECORD");
	fixture_arg(&neighbour_fixture, record ? "busy" : "interrupt");
	fixture_start(&neighbour_fixture);
	fixture_config(&neighbour_fixture, &cfg);
	cfg.socket_path = socket_path;
	cfg.wait = record ? VFE_WAIT_POLL : VFE_WAIT_SLEEP;
	fixture_connect_as(&session, &cfg);
	took_ns = perf_histogram_new();
	assert_non_null(took_ns);
	if (record) {
		share_first_cpu();
		record_quiet();
	}
	return 0;
}

int neighbour_group_teardown(void **state)
{
	(void)state;
	if (record)
		record_quiet();
	free(took_ns);
	vfe_session_fini(&session);
	fixture_stop(&neighbour_fixture);
	fixture_fini(&neighbour_fixture);
	return 0;
}

/* How often the kernel took the CPU from this thread. */
static long preemptions(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static void *read_on(void *unused)
{
	(void)unused;
	while (!atomic_load(&end)) {
		long preempted = preemptions();
		uint64_t before_ns = fixture_now_ns(CLOCK_BOOTTIME);
		uint64_t ns = 0;
		int status = vfe_rtc_read(&session, 3, &ns);
		uint64_t after_ns = fixture_now_ns(CLOCK_BOOTTIME);

		n_bad += status != VIRTIO_RTC_S_OK || ns < before_ns || ns > after_ns;
		/* Somebody else ran here meanwhile: no measure of the daemon. */
		if (record && preemptions() != preempted)
			n_preempted++;
		else
			perf_histogram_add(took_ns, after_ns - before_ns);
		if (status < 0)
			break;
		fixture_sleep_ms(1);
	}
	return NULL;
}

void neighbour_begin(const char *what)
{
	const struct sched_param none = {0};
	pthread_attr_t attr;

	doing = what;
	n_faults = 0;
	n_preempted = 0;
	n_bad = 0;
	atomic_store(&end, false);
	perf_histogram_clear(took_ns);
	pthread_attr_init(&attr);
	/* Not idle as its creator. */
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	assert_int_equal(pthread_create(&thread, &attr, read_on, NULL), 0);
	pthread_attr_destroy(&attr);
	if (record)
		assert_int_equal(sched_setscheduler(0, SCHED_IDLE, &none), 0);
}

void neighbour_count(unsigned n)
{
	n_faults += n;
}

static void write_record(void)
{
	FILE *to = fopen(record, "ae");

	assert_non_null(to);
	fprintf(to,
		"{\"what\": \"%s\", \"faults\": %u, \"wrong\": %u, \"preempted\": %u, "
		"\"fds\": %u, \"rss_kib\": %u, ",
		doing, n_faults, n_bad, n_preempted, neighbour_daemon_fds(),
		neighbour_daemon_rss_kib());
	perf_histogram_write_json(took_ns, to, 1);
	fputs("}\n", to);
	assert_int_equal(fclose(to), 0);
}

void neighbour_end(void)
{
	const struct sched_param none = {0};

	atomic_store(&end, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (record) {
		/* Back, so that what is not measured does not take for ever beside other work. */
		assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
		write_record();
	}
	print_message("the neighbour: %u readings, p50 %.0f us, p99 %.0f us\n",
		(unsigned)took_ns->n, (double)perf_histogram_quantile(took_ns, 0.5) / 1e3,
		(double)perf_histogram_quantile(took_ns, 0.99) / 1e3);
	if (n_bad)
		fail_msg("the neighbour: %u of %u readings were wrong or missing: %s", n_bad,
			(unsigned)took_ns->n, vfe_error(&session));
	assert_true(took_ns->n > 0);
}

unsigned neighbour_daemon_fds(void)
{
	char path[64];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)neighbour_fixture.daemon.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

unsigned neighbour_daemon_rss_kib(void)
{
	char path[64];
	char *text;
	char *line;
	unsigned kib;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)neighbour_fixture.daemon.pid);
	text = child_read_file(path);
	assert_non_null(text);
	line = strstr(text, "VmRSS:");
	assert_non_null(line);
	kib = (unsigned)strtoul(line + strlen("VmRSS:"), NULL, 10);
	free(text);
	return kib;
}

void neighbour_wait_fds(unsigned n)
{
	unsigned waited_ms = 0;

	while (neighbour_daemon_fds() > n && waited_ms < FIXTURE_WAIT_MS) {
		fixture_sleep_ms(5);
		waited_ms += 5;
	}
	assert_in_range(neighbour_daemon_fds(), 0, n);
}
