/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * phc.c with a PTP hardware clock that is made up: what phc_device.c would find is replaced, on the
 * host's real counter. The clock is CLOCK_MONOTONIC_RAW and an offset, so what readings should be
 * is known. tests/guest has a real one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "phc.h"

#define NS_PER_S INT64_C(1000000000)
#define WAIT_S   60
/* A look of this clock is exact but for its own duration, on a machine that is never this busy. */
#define NEAR_NS  (NS_PER_S / 10)
#define FAKE_FD  100000

/* The clock. */
static atomic_int_least64_t offset_ns;
static atomic_int look_rc;   /* of a look */
static atomic_int open_rc;   /* of an open */
static atomic_bool nonsense; /* a look shows what is no time */
static atomic_bool no_memory;
static atomic_bool blocked;    /* a look does not return */
static atomic_bool is_blocked; /* one is there */
static atomic_uint opened;
static atomic_uint closed;

static int64_t raw_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void sleep_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* NOLINTBEGIN(cert-dcl37-c,cert-dcl51-cpp): the linker's names. */
int __wrap_vrtc_phc_device_open(struct vrtc_phc_device *d, const char *path, char *why);
void __wrap_vrtc_phc_device_close(struct vrtc_phc_device *d);
int __wrap_vrtc_phc_device_node(const struct vrtc_phc_device *d);
int __wrap_vrtc_phc_device_look(struct vrtc_phc_device *d, struct vrtc_phc_look *look);

int __wrap_vrtc_phc_device_open(struct vrtc_phc_device *d, const char *path, char *why)
{
	int rc = atomic_load(&open_rc);

	*d = (struct vrtc_phc_device){.fd = -1, .counter = vrtc_counter_choose()};
	if (rc) {
		snprintf(why, VRTC_PHC_WHY_BYTES, "%s cannot be had", path);
		return rc;
	}
	atomic_fetch_add(&opened, 1);
	d->fd = FAKE_FD;
	d->method = VRTC_PHC_PRECISE;
	return 0;
}

void __wrap_vrtc_phc_device_close(struct vrtc_phc_device *d)
{
	if (d->fd == FAKE_FD)
		atomic_fetch_add(&closed, 1);
	d->fd = -1;
}

int __wrap_vrtc_phc_device_node(const struct vrtc_phc_device *d)
{
	return d->fd == FAKE_FD ? 3 : -1;
}

int __wrap_vrtc_phc_device_look(struct vrtc_phc_device *d, struct vrtc_phc_look *look)
{
	int rc = atomic_load(&look_rc);
	int64_t before_ns, after_ns;

	assert_int_equal(d->fd, FAKE_FD);
	while (atomic_load(&blocked)) {
		atomic_store(&is_blocked, true);
		sleep_ms(1);
	}
	if (rc)
		return rc;
	before_ns = raw_ns();
	look->counter = vrtc_counter_read(d->counter);
	after_ns = raw_ns();
	look->time_ns = (before_ns + after_ns) / 2 + atomic_load(&offset_ns);
	look->half_ns = (after_ns - before_ns) / 2 + 1;
	if (atomic_load(&nonsense))
		look->time_ns = INT64_MAX;
	return 0;
}

void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return atomic_load(&no_memory) ? NULL : __real_aligned_alloc(align, bytes);
}
/* NOLINTEND(cert-dcl37-c,cert-dcl51-cpp) */

static int begin(void **state)
{
	(void)state;
	atomic_store(&offset_ns, 1700000000 * NS_PER_S);
	atomic_store(&look_rc, 0);
	atomic_store(&open_rc, 0);
	atomic_store(&nonsense, false);
	atomic_store(&no_memory, false);
	atomic_store(&blocked, false);
	atomic_store(&is_blocked, false);
	atomic_store(&opened, 0);
	atomic_store(&closed, 0);
	return 0;
}

static struct vrtc_phc *follow_for(int64_t holdover_ns, int attention_fd)
{
	struct vrtc_phc_config config = {.holdover_ns = holdover_ns, .attention_fd = attention_fd};
	char why[VRTC_PHC_WHY_BYTES];
	struct vrtc_phc *phc;

	assert_int_equal(sched_getaffinity(0, sizeof(config.cpus), &config.cpus), 0);
	phc = vrtc_phc_open("/dev/ptp7", &config, why);
	assert_non_null(phc);
	return phc;
}

static struct vrtc_phc *follow(int attention_fd)
{
	return follow_for(NS_PER_S, attention_fd);
}

static void wait_state(const struct vrtc_phc *phc, enum vrtc_phc_state state)
{
	int64_t until_ns = raw_ns() + WAIT_S * NS_PER_S;
	struct vrtc_phc_status status;

	for (;;) {
		vrtc_phc_status(phc, &status);
		if (status.state == state)
			return;
		if (raw_ns() > until_ns)
			fail_msg("it is %s, not %s", vrtc_phc_state_name(status.state),
				vrtc_phc_state_name(state));
		sleep_ms(5);
	}
}

static void check_reading(const struct vrtc_phc *phc)
{
	int64_t before_ns = raw_ns() + atomic_load(&offset_ns);
	int64_t now_ns, after_ns;

	assert_true(vrtc_phc_read(phc, &now_ns));
	after_ns = raw_ns() + atomic_load(&offset_ns);
	assert_in_range(now_ns, before_ns - NEAR_NS, after_ns + NEAR_NS);
}

static void a_clock_is_followed_and_its_status_says_so(void **state)
{
	int attention_fd = eventfd(0, EFD_CLOEXEC);
	struct pollfd attention = {.fd = attention_fd, .events = POLLIN};
	struct vrtc_phc *phc = follow(attention_fd);
	struct vrtc_phc_status status;

	(void)state;
	wait_state(phc, VRTC_PHC_FOLLOWING);
	assert_int_equal(poll(&attention, 1, WAIT_S * 1000), 1);
	check_reading(phc);
	vrtc_phc_status(phc, &status);
	assert_int_equal(status.method, VRTC_PHC_PRECISE);
	assert_int_equal(status.error, 0);
	assert_true(status.looks >= 3);
	assert_int_equal(status.steps, 0);
	assert_in_range(status.error_ns, 1, NEAR_NS);
	assert_true(status.half_ns >= 1);
	vrtc_phc_close(phc);
	assert_int_equal(opened, 1);
	assert_int_equal(closed, 1);
	close(attention_fd);
}

static void a_clock_that_is_set_is_a_step(void **state)
{
	struct vrtc_phc *phc = follow(-1);
	int64_t until_ns = raw_ns() + WAIT_S * NS_PER_S;
	struct vrtc_phc_status status;

	(void)state;
	wait_state(phc, VRTC_PHC_FOLLOWING);
	atomic_fetch_add(&offset_ns, 5 * NS_PER_S);
	do {
		sleep_ms(10);
		vrtc_phc_status(phc, &status);
		assert_true(raw_ns() < until_ns);
	} while (status.steps == 0);
	assert_in_range(status.step_ns, 5 * NS_PER_S - NEAR_NS, 5 * NS_PER_S + NEAR_NS);
	/* The line that has it begins a little ahead. */
	sleep_ms(5);
	check_reading(phc);
	vrtc_phc_close(phc);
}

static void without_looks_the_line_goes_on_for_the_holdover_and_ends_then(void **state)
{
	struct vrtc_phc *phc = follow(-1);
	struct vrtc_phc_status status;
	int64_t now_ns;

	(void)state;
	wait_state(phc, VRTC_PHC_FOLLOWING);
	atomic_store(&look_rc, -EAGAIN);
	wait_state(phc, VRTC_PHC_LOST);
	assert_false(vrtc_phc_read(phc, &now_ns));
	vrtc_phc_status(phc, &status);
	assert_int_equal(status.error, EAGAIN);
	assert_true(status.rejected > 0);
	assert_int_equal(status.error_ns, INT64_MAX);
	/* It was the driver's mood: the device was never opened again. */
	assert_int_equal(opened, 1);
	atomic_store(&look_rc, 0);
	wait_state(phc, VRTC_PHC_FOLLOWING);
	sleep_ms(5);
	check_reading(phc);
	vrtc_phc_close(phc);
}

static void between_a_second_without_looks_and_the_holdover_s_end_the_status_says_so(void **state)
{
	struct vrtc_phc *phc = follow_for(WAIT_S * NS_PER_S, -1);

	(void)state;
	wait_state(phc, VRTC_PHC_FOLLOWING);
	atomic_store(&look_rc, -EAGAIN);
	wait_state(phc, VRTC_PHC_HOLDOVER);
	check_reading(phc);
	vrtc_phc_close(phc);
}

static void looks_that_show_no_time_are_rejected_and_the_line_goes_on(void **state)
{
	struct vrtc_phc *phc = follow_for(WAIT_S * NS_PER_S, -1);
	int64_t until_ns = raw_ns() + WAIT_S * NS_PER_S;
	struct vrtc_phc_status status;

	(void)state;
	wait_state(phc, VRTC_PHC_FOLLOWING);
	atomic_store(&nonsense, true);
	do {
		sleep_ms(10);
		vrtc_phc_status(phc, &status);
		assert_true(raw_ns() < until_ns);
	} while (status.rejected < 3);
	assert_int_equal(status.steps, 0);
	check_reading(phc);
	vrtc_phc_close(phc);
}

static void without_memory_no_clock_is_followed(void **state)
{
	struct vrtc_phc_config config = {.holdover_ns = NS_PER_S, .attention_fd = -1};
	char why[VRTC_PHC_WHY_BYTES] = "";

	(void)state;
	atomic_store(&no_memory, true);
	assert_null(vrtc_phc_open("/dev/ptp7", &config, why));
	assert_string_equal(why, strerror(ENOMEM));
	assert_int_equal(opened, 0);
}

static void a_device_that_is_gone_is_closed_and_opened_again(void **state)
{
	struct vrtc_phc *phc = follow(-1);
	int64_t until_ns = raw_ns() + WAIT_S * NS_PER_S;

	(void)state;
	wait_state(phc, VRTC_PHC_FOLLOWING);
	atomic_store(&open_rc, -ENOENT);
	atomic_store(&look_rc, -ENODEV);
	while (atomic_load(&closed) == 0) {
		assert_true(raw_ns() < until_ns);
		sleep_ms(5);
	}
	/* Another one of the same path, that shows another time. */
	atomic_fetch_add(&offset_ns, 3600 * NS_PER_S);
	atomic_store(&look_rc, 0);
	atomic_store(&open_rc, 0);
	while (atomic_load(&opened) < 2) {
		assert_true(raw_ns() < until_ns);
		sleep_ms(5);
	}
	wait_state(phc, VRTC_PHC_FOLLOWING);
	vrtc_phc_close(phc);
	assert_int_equal(opened, 2);
	assert_int_equal(closed, 2);
}

/* What is left behind, for the thread that is blocked in its driver. */
static struct vrtc_phc *left;

static void a_thread_that_its_driver_blocks_is_left_behind(void **state)
{
	int64_t until_ns = raw_ns() + WAIT_S * NS_PER_S;

	(void)state;
	left = follow(-1);
	wait_state(left, VRTC_PHC_FOLLOWING);
	atomic_store(&blocked, true);
	while (!atomic_load(&is_blocked)) {
		assert_true(raw_ns() < until_ns);
		sleep_ms(5);
	}
	vrtc_phc_close(left);
	assert_int_equal(closed, 0);
	atomic_store(&blocked, false);
	/* Its own end; nobody waits for it but us. */
	sleep_ms(100);
}

static void a_path_that_is_none_says_why(void **state)
{
	struct vrtc_phc_config config = {.holdover_ns = NS_PER_S, .attention_fd = -1};
	char why[VRTC_PHC_WHY_BYTES] = "";

	(void)state;
	assert_int_equal(vrtc_phc_check("/dev/ptp7", why), 0);
	assert_int_equal(vrtc_phc_node("/dev/ptp7"), 3);
	assert_int_equal(opened, 2);
	assert_int_equal(closed, 2);
	atomic_store(&open_rc, -ENXIO);
	assert_int_equal(vrtc_phc_check("/dev/ptp7", why), -ENXIO);
	assert_string_equal(why, "/dev/ptp7 cannot be had");
	assert_int_equal(vrtc_phc_node("/dev/ptp7"), -1);
	errno = 0;
	assert_null(vrtc_phc_open("/dev/ptp7", &config, why));
	assert_int_equal(errno, ENXIO);
}

static void a_thread_that_may_run_nowhere_is_an_error(void **state)
{
	/* No CPU at all. */
	struct vrtc_phc_config config = {.holdover_ns = NS_PER_S, .attention_fd = -1};
	char why[VRTC_PHC_WHY_BYTES] = "";

	(void)state;
	assert_null(vrtc_phc_open("/dev/ptp7", &config, why));
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(why, "no thread for it: "));
	assert_int_equal(closed, 1);
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(vrtc_phc_state_name(VRTC_PHC_STARTING), "starting");
	assert_string_equal(vrtc_phc_state_name(VRTC_PHC_FOLLOWING), "following");
	assert_string_equal(vrtc_phc_state_name(VRTC_PHC_HOLDOVER), "holdover");
	assert_string_equal(vrtc_phc_state_name(VRTC_PHC_LOST), "lost");
	assert_string_equal(vrtc_phc_state_name((enum vrtc_phc_state)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_clock_is_followed_and_its_status_says_so, begin),
		cmocka_unit_test_setup(a_clock_that_is_set_is_a_step, begin),
		cmocka_unit_test_setup(
			without_looks_the_line_goes_on_for_the_holdover_and_ends_then, begin),
		cmocka_unit_test_setup(
			between_a_second_without_looks_and_the_holdover_s_end_the_status_says_so,
			begin),
		cmocka_unit_test_setup(
			looks_that_show_no_time_are_rejected_and_the_line_goes_on, begin),
		cmocka_unit_test_setup(without_memory_no_clock_is_followed, begin),
		cmocka_unit_test_setup(a_device_that_is_gone_is_closed_and_opened_again, begin),
		cmocka_unit_test_setup(a_thread_that_its_driver_blocks_is_left_behind, begin),
		cmocka_unit_test_setup(a_path_that_is_none_says_why, begin),
		cmocka_unit_test_setup(a_thread_that_may_run_nowhere_is_an_error, begin),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
