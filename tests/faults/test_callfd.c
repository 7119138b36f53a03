/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front-end that makes its call eventfd blocking and full, so that a write() would sleep: D15.
 * Each case is bounded by SIGALRM.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "../daemon/fixture.h"
#include "callfd.h"

#define FULL (UINT64_MAX - 1)

static void fill(int fd)
{
	uint64_t n = FULL;
	uint64_t there;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	if (read(fd, &there, sizeof(there)) < 0)
		there = 0;
	assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

static void the_front_end_of_one_device_cannot_stop_another(void **state)
{
	struct vfe_config config;
	struct vfe_session neighbour;
	struct vfe_session hostile;
	char path[108];
	struct fixture f;

	(void)state;
	fixture_init(&f);
	snprintf(path, sizeof(path), "%s/hostile.sock", f.dir);
	fixture_arg(&f, "--socket-path");
	fixture_arg(&f, path);
	fixture_start_one(&f);
	fixture_connect(&f, &neighbour);
	fixture_config(&f, &config);
	config.socket_path = path;
	fixture_connect_as(&hostile, &config);

	/* Not as the session that polls: with interrupts. */
	__atomic_store_n(&hostile.queues[0].ring.avail->flags, 0, __ATOMIC_SEQ_CST);
	fill(hostile.queues[0].call_fd);
	for (unsigned i = 0; i < 100; i++) {
		fixture_check_reading(&hostile);
		fixture_check_reading(&neighbour);
	}
	/* It leaves as it is, and nobody is left to empty it. */
	vfe_session_fini(&hostile);
	fixture_check_all_clocks(&neighbour);
	vfe_session_fini(&neighbour);
	fixture_connect(&f, &neighbour);
	fixture_check_all_clocks(&neighbour);
	vfe_session_fini(&neighbour);
	fixture_stop(&f);
	fixture_fini(&f);
}

static uint64_t counter(int fd)
{
	uint64_t n = 0;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void *signal_ten_times(void *arg)
{
	for (unsigned i = 0; i < 10; i++)
		vrtc_callfd_signal(*(const int *)arg);
	return NULL;
}

static void each_signal_counts_and_a_full_counter_stays(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	pthread_t thread;
	int rc;

	(void)state;
	assert_true(fd >= 0);
	vrtc_callfd_signal(-1);
	rc = vrtc_callfd_protect(1);
	if (rc) {
		print_message("no asynchronous I/O here: %s\n", strerror(-rc));
		close(fd);
		skip();
	}
	/* More than there is room for in the ring of completions. */
	for (unsigned i = 0; i < 1000; i++)
		vrtc_callfd_signal(fd);
	assert_int_equal(counter(fd), 1000);
	fill(fd);
	vrtc_callfd_signal(fd);
	vrtc_callfd_signal(fd);
	assert_true(counter(fd) >= FULL);
	/* For a second thread nothing was asked for: it writes. */
	assert_int_equal(pthread_create(&thread, NULL, signal_ten_times, &fd), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(counter(fd), 10);
	/* What is no eventfd does no harm. */
	vrtc_callfd_signal(STDOUT_FILENO);
	close(fd);
	vrtc_callfd_signal(fd);
}

static int bound(void **state)
{
	(void)state;
	/* The default action of SIGALRM is to end this. */
	(void)alarm(150);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* The thread that asks first is the one that is protected. */
		cmocka_unit_test_setup(each_signal_counts_and_a_full_counter_stays, bound),
		cmocka_unit_test_setup(the_front_end_of_one_device_cannot_stop_another, bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
