/* SPDX-License-Identifier: BSD-3-Clause */
/* callfd.h with a kernel that refuses; the cases are in order, for what is protected stays so. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "callfd.h"

static int refuse_open;
static int refuse_eventfd;
static int refuse_setup;
static bool strange_ring;
static unsigned setups;
static unsigned destroyed;
static unsigned submitted;
static int trial = -1;
/* What a kernel whose ring we do not know would show. */
static uint32_t strange[8] = {1};

int real_open(const char *path, int flags, ...) __asm__("__real_open64");
int seen_open(const char *path, int flags) __asm__("__wrap_open64");
int real_eventfd(unsigned start, int flags) __asm__("__real_eventfd");
int seen_eventfd(unsigned start, int flags) __asm__("__wrap_eventfd");
long real_syscall(long number, ...) __asm__("__real_syscall");
long seen_syscall(long number, long a, void *b, void *c) __asm__("__wrap_syscall");

int seen_open(const char *path, int flags)
{
	if (refuse_open && strcmp(path, "/dev/null") == 0) {
		errno = refuse_open;
		return -1;
	}
	return real_open(path, flags);
}

int seen_eventfd(unsigned start, int flags)
{
	if (refuse_eventfd) {
		errno = refuse_eventfd;
		return -1;
	}
	trial = real_eventfd(start, flags);
	return trial;
}

long seen_syscall(long number, long a, void *b, void *c)
{
	switch (number) {
	case SYS_io_setup:
		if (refuse_setup) {
			errno = refuse_setup;
			return -1;
		}
		setups++;
		if (strange_ring) {
			*(aio_context_t *)b = (aio_context_t)(uintptr_t)strange;
			return 0;
		}
		return real_syscall(number, a, b);
	case SYS_io_destroy:
		destroyed++;
		return strange_ring ? 0 : real_syscall(number, a);
	default:
		submitted += number == SYS_io_submit;
		return real_syscall(number, a, b, c);
	}
}

static void *signal_it(void *callfd)
{
	vrtc_callfd_signal(*(int *)callfd);
	return NULL;
}

/* Each thread of its own takes one context, once. */
static void signal_by_a_new_thread(int callfd)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, signal_it, &callfd), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static uint64_t count_of(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void unprotected_thread_writes_and_bears_a_full_or_useless_descriptor(void **state)
{
	int fd = real_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int ends[2];

	(void)state;
	signal_by_a_new_thread(fd);
	assert_int_equal(count_of(fd), 1);
	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	signal_by_a_new_thread(fd);
	assert_true(count_of(fd) == UINT64_MAX - 1);
	assert_int_equal(pipe(ends), 0);
	signal_by_a_new_thread(ends[0]);
	signal_by_a_new_thread(-1);
	assert_int_equal(submitted, 0);
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

static void descriptors_of_another_kind_are_refused_and_the_call_is_made_not_to_block(void **state)
{
	int call = real_eventfd(0, EFD_CLOEXEC);
	int kick = real_eventfd(0, EFD_CLOEXEC);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_false(vrtc_callfd_check(ends[1], kick));
	assert_false(vrtc_callfd_check(call, ends[0]));
	assert_int_equal(fcntl(call, F_GETFL) & O_NONBLOCK, 0);
	close(ends[0]);
	close(ends[1]);
	assert_false(vrtc_callfd_check(ends[1], kick));
	assert_true(vrtc_callfd_check(-1, -1));
	assert_true(vrtc_callfd_check(call, kick));
	assert_int_not_equal(fcntl(call, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(kick, F_GETFL) & O_NONBLOCK, 0);
	close(call);
	close(kick);
}

/* The lowest number that is free. */
static int next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void refusal_of_the_kernel_is_told_and_what_was_made_for_the_trial_is_gone(void **state)
{
	int next = next_fd();

	(void)state;
	refuse_open = EMFILE;
	assert_int_equal(vrtc_callfd_protect(1), -EMFILE);
	refuse_open = 0;
	refuse_eventfd = ENFILE;
	assert_int_equal(vrtc_callfd_protect(1), -ENFILE);
	refuse_eventfd = 0;
	refuse_setup = EAGAIN;
	assert_int_equal(vrtc_callfd_protect(1), -EAGAIN);
	assert_false(is_open(trial));
	assert_int_equal(destroyed, 0);
	assert_int_equal(next_fd(), next);
	refuse_setup = 0;
}

static void ring_of_a_kernel_that_we_do_not_know_is_given_back_and_never_written(void **state)
{
	uint32_t before[8];

	(void)state;
	memcpy(before, strange, sizeof(before));
	strange_ring = true;
	setups = 0;
	assert_int_equal(vrtc_callfd_protect(2), -ENOTSUP);
	assert_int_equal(setups, 1);
	assert_int_equal(destroyed, 1);
	assert_int_equal(submitted, 0);
	assert_false(is_open(trial));
	assert_memory_equal(before, strange, sizeof(before));
	/* The right number, but with features that it says we have to know. */
	strange[4] = 0xa10a10a1;
	strange[6] = 1;
	memcpy(before, strange, sizeof(before));
	assert_int_equal(vrtc_callfd_protect(2), -ENOTSUP);
	assert_int_equal(destroyed, 2);
	assert_int_equal(submitted, 0);
	assert_memory_equal(before, strange, sizeof(before));
	strange_ring = false;
}

/* It would hang. */
static void protected_thread_never_waits_for_a_full_descriptor_and_those_beyond_write(void **state)
{
	int blocking = real_eventfd(0, EFD_CLOEXEC);
	int other = real_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	unsigned before;
	int rc = vrtc_callfd_protect(1);

	(void)state;
	if (rc) {
		print_message("SKIP: no asynchronous I/O here: %s\n", strerror(-rc));
		close(blocking);
		close(other);
		skip();
	}
	assert_false(is_open(trial));
	assert_int_equal(eventfd_write(blocking, UINT64_MAX - 1), 0);
	before = submitted;
	signal_by_a_new_thread(blocking);
	assert_int_equal(submitted, before + 1);
	assert_true(count_of(blocking) >= UINT64_MAX - 1);
	signal_by_a_new_thread(other);
	assert_int_equal(submitted, before + 1);
	assert_int_equal(count_of(other), 1);
	close(blocking);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unprotected_thread_writes_and_bears_a_full_or_useless_descriptor),
		cmocka_unit_test(
			descriptors_of_another_kind_are_refused_and_the_call_is_made_not_to_block),
		cmocka_unit_test(
			refusal_of_the_kernel_is_told_and_what_was_made_for_the_trial_is_gone),
		cmocka_unit_test(
			ring_of_a_kernel_that_we_do_not_know_is_given_back_and_never_written),
		cmocka_unit_test(
			protected_thread_never_waits_for_a_full_descriptor_and_those_beyond_write),
	};

	return cmocka_run_group_tests_name("callfd", tests, NULL, NULL);
}
