/* SPDX-License-Identifier: BSD-3-Clause */
/* What the running daemon has given up: each of its threads, as the kernel shows it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../daemon/fixture.h"

/* CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_IPC_LOCK and CAP_SYS_PTRACE. */
#define KEPT (1ULL << 1 | 1ULL << 2 | 1ULL << 14 | 1ULL << 19)

static uint64_t number(const char *status, const char *key, int base)
{
	const char *at = strstr(status, key);

	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, base);
}

/* Calls a function with the status of each thread of the daemon. */
static unsigned for_each_thread(const struct fixture *f, void (*look)(const char *status))
{
	unsigned n = 0;
	struct dirent *entry;
	char path[320];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)f->daemon.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char *status;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)f->daemon.pid,
			entry->d_name);
		status = child_read_file(path);
		assert_non_null(status);
		look(status);
		free(status);
		n++;
	}
	closedir(dir);
	return n;
}

static void has_given_up(const char *status)
{
	assert_int_equal(number(status, "NoNewPrivs:", 10), 1);
	assert_int_equal(number(status, "CapPrm:", 16) & ~KEPT, 0);
	assert_int_equal(number(status, "CapEff:", 16) & ~KEPT, 0);
	assert_int_equal(number(status, "CapInh:", 16), 0);
}

static void may_get_more(const char *status)
{
	assert_int_equal(number(status, "NoNewPrivs:", 10), 0);
}

static void no_thread_has_capabilities_that_are_not_needed_nor_a_way_to_more(void **state)
{
	struct fixture f;
	struct vfe_session s;

	(void)state;
	fixture_init(&f);
	fixture_start_one(&f);
	fixture_connect(&f, &s);
	fixture_check_all_clocks(&s);
	/* Main, an lcore and rte_vhost's at the least. */
	assert_true(for_each_thread(&f, has_given_up) >= 3);
	vfe_session_fini(&s);
	fixture_stop(&f);
	fixture_fini(&f);
}

static void a_core_dump_is_without_memory_that_is_shared_with_guests(void **state)
{
	char path[64];
	struct fixture f;
	char *filter;

	(void)state;
	fixture_init(&f);
	fixture_start_one(&f);
	snprintf(path, sizeof(path), "/proc/%d/coredump_filter", (int)f.daemon.pid);
	filter = child_read_file(path);
	if (filter) /* a kernel without core dumps has no such file */
		assert_int_equal(strtoul(filter, NULL, 16), 0x31);
	free(filter);
	fixture_stop(&f);
	fixture_fini(&f);
}

static void where_programs_are_executed_they_inherit_what_the_daemon_was_given(void **state)
{
	char *own = child_read_file("/proc/self/status");
	struct fixture f;

	(void)state;
	assert_non_null(own);
	if (number(own, "NoNewPrivs:", 10) != 0) {
		free(own);
		skip(); /* we run with it ourselves, and so does every child */
	}
	free(own);
	fixture_init(&f);
	fixture_arg(&f, "--alarm-action");
	fixture_arg(&f, "exec:/bin/true");
	fixture_start_one(&f);
	(void)for_each_thread(&f, may_get_more);
	fixture_wait_log(&f, "privileges stay", 1);
	fixture_stop(&f);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_thread_has_capabilities_that_are_not_needed_nor_a_way_to_more),
		cmocka_unit_test(a_core_dump_is_without_memory_that_is_shared_with_guests),
		cmocka_unit_test(
			where_programs_are_executed_they_inherit_what_the_daemon_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
