/* SPDX-License-Identifier: BSD-3-Clause */
#include "neighbour.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "wire.h"

#define SAMPLES_MAX (1u << 20)

struct fixture neighbour_fixture;

static char socket_path[108];
static struct vfe_session session;
static pthread_t thread;
static atomic_bool end;
static uint64_t took_ns[SAMPLES_MAX];
static unsigned n_readings;
static unsigned n_bad;

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
	fixture_arg(&neighbour_fixture, "interrupt");
	fixture_start(&neighbour_fixture);
	fixture_config(&neighbour_fixture, &cfg);
	cfg.socket_path = socket_path;
	cfg.wait = VFE_WAIT_SLEEP;
	fixture_connect_as(&session, &cfg);
	return 0;
}

int neighbour_group_teardown(void **state)
{
	(void)state;
	vfe_session_fini(&session);
	fixture_stop(&neighbour_fixture);
	fixture_fini(&neighbour_fixture);
	return 0;
}

static void *read_on(void *unused)
{
	(void)unused;
	while (!atomic_load(&end)) {
		uint64_t before_ns = fixture_now_ns(CLOCK_BOOTTIME);
		uint64_t ns = 0;
		int status = vfe_rtc_read(&session, 3, &ns);
		uint64_t after_ns = fixture_now_ns(CLOCK_BOOTTIME);

		n_bad += status != VIRTIO_RTC_S_OK || ns < before_ns || ns > after_ns;
		if (n_readings < SAMPLES_MAX)
			took_ns[n_readings] = after_ns - before_ns;
		n_readings++;
		if (status < 0)
			break;
		fixture_sleep_ms(1);
	}
	return NULL;
}

void neighbour_begin(void)
{
	atomic_store(&end, false);
	n_readings = 0;
	n_bad = 0;
	assert_int_equal(pthread_create(&thread, NULL, read_on, NULL), 0);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

void neighbour_end(void)
{
	unsigned n;

	atomic_store(&end, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	n = n_readings < SAMPLES_MAX ? n_readings : SAMPLES_MAX;
	qsort(took_ns, n, sizeof(took_ns[0]), compare);
	if (n > 0)
		print_message("the neighbour: %u readings, p50 %.0f us, p99 %.0f us\n", n_readings,
			(double)took_ns[n / 2] / 1e3,
			(double)took_ns[(unsigned)((uint64_t)n * 99 / 100)] / 1e3);
	if (n_bad)
		fail_msg("the neighbour: %u of %u readings were wrong or missing: %s", n_bad,
			n_readings, vfe_error(&session));
	assert_true(n_readings > 0);
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
