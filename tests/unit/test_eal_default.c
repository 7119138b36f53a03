/* SPDX-License-Identifier: BSD-3-Clause */
/* eal_default.[ch]: which CPUs control, requests and alarms get where nobody said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "eal_default.h"

static void check_lcores(const char *lcores, bool shared_cpu, bool alarms, const int *cpu, size_t n)
{
	static char program[] = "dpdk-rtc";
	struct app_eal_default eal;
	cpu_set_t allowed;

	CPU_ZERO(&allowed);
	for (size_t i = 0; i < n; i++)
		CPU_SET(cpu[i], &allowed);
	memset(&eal, 0xa5, sizeof(eal));
	app_eal_default_make(&eal, &allowed, alarms, program);
	assert_string_equal(eal.lcores, lcores);
	assert_int_equal(eal.shared_cpu, shared_cpu);
	assert_in_range(eal.argc, 3, APP_EAL_DEFAULT_ARGS);
	assert_ptr_equal(eal.argv[0], program);
	assert_string_equal(eal.argv[eal.argc - 2], "--lcores");
	assert_ptr_equal(eal.argv[eal.argc - 1], eal.lcores);
	assert_null(eal.argv[eal.argc]);
}
#define CHECK(lcores, shared_cpu, alarms, ...)                                                     \
	check_lcores(lcores, shared_cpu, alarms, (const int[]){__VA_ARGS__},                       \
		sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void the_only_cpu_is_shared_by_control_and_requests(void **state)
{
	(void)state;
	CHECK("0@0,1@0", true, false, 0);
	CHECK("0@0,1@0", true, true, 0);
	CHECK("0@7,1@7", true, true, 7);
}

static void of_two_cpus_control_gets_the_first_and_requests_the_other(void **state)
{
	(void)state;
	CHECK("0@0,1@1", false, false, 0, 1);
	CHECK("0@0,1@1", false, true, 0, 1);
	CHECK("0@5,1@63", false, true, 63, 5);
}

static void of_three_cpus_or_more_alarms_get_the_last_but_one(void **state)
{
	(void)state;
	CHECK("0@0,1@2,2@1", false, true, 0, 1, 2);
	CHECK("0@2,1@9,2@6", false, true, 2, 6, 9);
	CHECK("0@0,1@7,2@6", false, true, 0, 1, 2, 3, 4, 5, 6, 7);
	CHECK("0@1021,1@1023,2@1022", false, true, 1021, 1022, 1023);
}

static void without_alarms_there_is_no_lcore_for_them(void **state)
{
	(void)state;
	CHECK("0@0,1@2", false, false, 0, 1, 2);
	CHECK("0@0,1@7", false, false, 0, 1, 2, 3, 4, 5, 6, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_cpu_is_shared_by_control_and_requests),
		cmocka_unit_test(of_two_cpus_control_gets_the_first_and_requests_the_other),
		cmocka_unit_test(of_three_cpus_or_more_alarms_get_the_last_but_one),
		cmocka_unit_test(without_alarms_there_is_no_lcore_for_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
