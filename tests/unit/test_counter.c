/* SPDX-License-Identifier: BSD-3-Clause */
/* counter.h on kernels that keep time by one counter or another; the CPU is what runs this. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "counter.h"

#if defined(__x86_64__)
#define OURS "tsc\n"
#else
#define OURS "arch_sys_counter\n"
#endif

static const char *clocksource; /* what the kernel says; NULL: there is no such file */
static bool unreadable;
static int fd = -1;

int seen_open(const char *path, int flags) __asm__("__wrap_open64");
ssize_t seen_read(int from, void *buffer, size_t bytes) __asm__("__wrap_read");

int seen_open(const char *path, int flags)
{
	assert_string_equal(
		path, "/sys/devices/system/clocksource/clocksource0/current_clocksource");
	if (!clocksource) {
		errno = ENOENT;
		return -1;
	}
	fd = openat(AT_FDCWD, "/dev/null", flags);
	assert_true(fd >= 0);
	return fd;
}

ssize_t seen_read(int from, void *buffer, size_t bytes)
{
	assert_int_equal(from, fd);
	if (unreadable) {
		errno = EIO;
		return -1;
	}
	return (ssize_t)strlen(strncpy(buffer, clocksource, bytes));
}

static void a_kernel_that_keeps_time_by_another_counter_is_read_by_its_own_clock(void **state)
{
	static const char *const others[] = {
		"hpet\n", "acpi_pm\n", "kvm-clock\n", "tscc\n", "", NULL};

	(void)state;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const char *why;

		clocksource = others[i];
		assert_int_equal(vrtc_counter_choose(), VRTC_COUNTER_MONOTONIC_RAW);
		why = vrtc_counter_unfit();
		assert_non_null(why);
		/* Or the CPU itself is unfit, which is said first. */
		if (!strstr(why, "invariant TSC"))
			assert_non_null(strstr(why, "clocksource0/current_clocksource"));
	}
}

static void a_clocksource_that_cannot_be_read_is_another_one(void **state)
{
	(void)state;
	clocksource = OURS;
	unreadable = true;
	assert_int_equal(vrtc_counter_choose(), VRTC_COUNTER_MONOTONIC_RAW);
	unreadable = false;
	assert_int_equal(vrtc_counter_choose(), VRTC_COUNTER_CPU);
	/* And nothing of it stays open. */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void counters_go_on(void **state)
{
	static const enum vrtc_counter counters[] = {
		VRTC_COUNTER_CPU, VRTC_COUNTER_MONOTONIC_RAW, VRTC_COUNTER_MONOTONIC};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t first = vrtc_counter_read(counters[i]);
		uint64_t then = first;

		for (int n = 0; n < 1000000 && then == first; n++)
			then = vrtc_counter_read(counters[i]);
		assert_true(then > first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_kernel_that_keeps_time_by_another_counter_is_read_by_its_own_clock),
		cmocka_unit_test(a_clocksource_that_cannot_be_read_is_another_one),
		cmocka_unit_test(counters_go_on),
	};

	return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
