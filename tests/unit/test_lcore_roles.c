/* SPDX-License-Identifier: BSD-3-Clause */
/* lcore_roles.[ch]: who answers requests and who fires alarms, on machines of many shapes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lcore_roles.h"

#define LCORES_MAX 32

static const struct app_alarm_lcores by_auto = {.choice = APP_ALARM_LCORES_AUTO};
static const struct app_alarm_lcores by_shared = {.choice = APP_ALARM_LCORES_SHARED};

/* Lcores 1, 2, 3 ... on these nodes. What they do is wrong before, and has to be written. */
static void place(struct app_lcore *lcore, const int *node, unsigned n)
{
	assert_in_range(n, 1, LCORES_MAX);
	for (unsigned i = 0; i < n; i++)
		lcore[i] = (struct app_lcore){
			.lcore_id = i + 1, .node = node[i], .requests = i % 2, .alarms = !(i % 2)};
}

/* roles: a letter for each lcore: r requests, a alarms, b both. */
static void check_nodes(const char *roles, bool wanted_shared, bool alarms,
	const struct app_alarm_lcores *wanted, const int *node, unsigned n)
{
	struct app_lcore lcore[LCORES_MAX];
	char why[APP_LCORE_ROLES_WHY_BYTES];
	char found[LCORES_MAX + 1];
	bool shared = !wanted_shared;

	place(lcore, node, n);
	assert_int_equal(app_lcore_roles_assign(lcore, n, alarms, wanted, &shared, why), 0);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(lcore[i].lcore_id, i + 1);
		assert_int_equal(lcore[i].node, node[i]);
		found[i] = "-rab"[lcore[i].requests + 2 * lcore[i].alarms];
	}
	found[n] = '\0';
	assert_string_equal(found, roles);
	assert_int_equal(shared, wanted_shared);
}
#define N_OF(...) (sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
#define CHECK(roles, shared, alarms, wanted, ...)                                                  \
	check_nodes(roles, shared, alarms, wanted, (const int[]){__VA_ARGS__}, N_OF(__VA_ARGS__))

static void without_alarms_all_answer_requests_whatever_was_chosen(void **state)
{
	static const struct app_alarm_lcores list = {APP_ALARM_LCORES_LIST, 1, {2}};

	(void)state;
	CHECK("r", false, false, &by_auto, 0);
	CHECK("rrr", false, false, &by_auto, 0, 0, 0);
	CHECK("rrrr", false, false, &by_auto, 0, 1, 0, 1);
	CHECK("rr", false, false, &by_shared, 0, 1);
	CHECK("rrr", false, false, &list, 0, 0, 0);
}

static void auto_takes_the_last_lcore_of_one_node(void **state)
{
	(void)state;
	CHECK("ra", false, true, &by_auto, 0, 0);
	CHECK("rra", false, true, &by_auto, 0, 0, 0);
	CHECK("rrrrrrra", false, true, &by_auto, 0, 0, 0, 0, 0, 0, 0, 0);
	CHECK("ra", false, true, &by_auto, 3, 3);
}

static void auto_takes_the_last_lcore_of_each_of_two_nodes(void **state)
{
	(void)state;
	CHECK("rara", false, true, &by_auto, 0, 0, 1, 1);
	CHECK("rraa", false, true, &by_auto, 0, 1, 0, 1);
	CHECK("rraa", false, true, &by_auto, 0, 1, 1, 0);
	CHECK("rrarra", false, true, &by_auto, 0, 0, 0, 1, 1, 1);
}

static void auto_takes_one_of_each_of_four_nodes(void **state)
{
	(void)state;
	CHECK("rararara", false, true, &by_auto, 0, 0, 1, 1, 2, 2, 3, 3);
	CHECK("rrrraaaa", false, true, &by_auto, 0, 1, 2, 3, 0, 1, 2, 3);
	CHECK("rrrraarraa", false, true, &by_auto, 3, 0, 2, 1, 0, 3, 1, 1, 2, 1);
}

static void auto_leaves_the_only_lcore_of_a_node_to_requests(void **state)
{
	(void)state;
	CHECK("rar", false, true, &by_auto, 0, 0, 1);
	CHECK("rra", false, true, &by_auto, 0, 1, 1);
	CHECK("rarrr", false, true, &by_auto, 2, 2, 0, 1, 3);
}

static void auto_takes_the_last_of_all_where_no_node_has_two(void **state)
{
	(void)state;
	CHECK("ra", false, true, &by_auto, 0, 1);
	CHECK("ra", false, true, &by_auto, 1, 0);
	CHECK("rrra", false, true, &by_auto, 0, 1, 2, 3);
	CHECK("ra", false, true, &by_auto, -1, 0);
}

static void auto_with_one_lcore_shares_it_and_says_so(void **state)
{
	(void)state;
	CHECK("b", true, true, &by_auto, 0);
	CHECK("b", true, true, &by_auto, -1);
}

static void shared_by_choice_is_nothing_to_be_told(void **state)
{
	(void)state;
	CHECK("b", false, true, &by_shared, 0);
	CHECK("br", false, true, &by_shared, 0, 0);
}

static void shared_adds_alarms_to_the_first_lcore_of_each_node(void **state)
{
	(void)state;
	CHECK("brr", false, true, &by_shared, 0, 0, 0);
	CHECK("brbr", false, true, &by_shared, 0, 0, 1, 1);
	CHECK("bbrr", false, true, &by_shared, 1, 0, 1, 0);
	CHECK("bbbbrrrr", false, true, &by_shared, 0, 1, 2, 3, 0, 1, 2, 3);
}

static void an_unknown_node_is_a_node_like_the_others(void **state)
{
	(void)state;
	CHECK("rra", false, true, &by_auto, -1, -1, -1);
	CHECK("rara", false, true, &by_auto, 0, 0, -1, -1);
	CHECK("rra", false, true, &by_auto, 0, -1, -1);
	CHECK("brb", false, true, &by_shared, -1, -1, 0);
}

static void those_of_a_list_fire_alarms_and_do_nothing_else(void **state)
{
	static const struct app_alarm_lcores first = {APP_ALARM_LCORES_LIST, 1, {1}};
	static const struct app_alarm_lcores two = {APP_ALARM_LCORES_LIST, 2, {4, 2}};
	static const struct app_alarm_lcores all_but_one = {APP_ALARM_LCORES_LIST, 3, {1, 2, 4}};

	(void)state;
	CHECK("ar", false, true, &first, 0, 0);
	CHECK("arrr", false, true, &first, 0, 0, 1, 1);
	CHECK("rara", false, true, &two, 0, 0, 0, 0);
	CHECK("aara", false, true, &all_but_one, 0, 1, 2, 3);
}

static void refused(const char *line, bool alarms, const struct app_alarm_lcores *list,
	struct app_lcore *lcore, unsigned n)
{
	char why[APP_LCORE_ROLES_WHY_BYTES];

	for (unsigned before = 0; before < 2; before++) {
		bool shared = before;

		memset(why, 'E', sizeof(why));
		for (unsigned i = 0; i < n; i++)
			lcore[i].requests = lcore[i].alarms = before;
		assert_int_equal(
			app_lcore_roles_assign(lcore, n, alarms, list, &shared, why), -EINVAL);
		assert_string_equal(why, line);
		assert_int_equal(shared, before);
		for (unsigned i = 0; i < n; i++)
			assert_true(lcore[i].requests == before && lcore[i].alarms == before);
	}
}

static void a_listed_lcore_that_is_no_worker_is_refused_with_those_that_are(void **state)
{
	static const struct app_alarm_lcores list = {APP_ALARM_LCORES_LIST, 2, {3, 11}};
	struct app_lcore lcore[] = {{1, 0, 0, 0}, {2, 0, 0, 0}, {3, 0, 0, 0}, {7, 1, 0, 0},
		{9, 1, 0, 0}, {10, 1, 0, 0}};

	(void)state;
	refused("alarm_lcore: lcore 11 is no worker of the EAL; accepted: auto, shared, or some of "
		"1-3,7,9-10",
		true, &list, lcore, 6);
	refused("alarm_lcore: lcore 3 is no worker of the EAL; accepted: auto, shared, or some of "
		"1",
		true, &list, lcore, 1);
	/* Whether or not there are alarms: tomorrow there may be. */
	refused("alarm_lcore: lcore 11 is no worker of the EAL; accepted: auto, shared, or some of "
		"1-3",
		false, &list, lcore, 3);
}

static void a_list_that_leaves_none_for_requests_is_refused(void **state)
{
	static const struct app_alarm_lcores one = {APP_ALARM_LCORES_LIST, 1, {5}};
	static const struct app_alarm_lcores three = {APP_ALARM_LCORES_LIST, 3, {8, 5, 6}};
	struct app_lcore lcore[] = {{5, 0, 0, 0}, {6, 0, 0, 0}, {8, 1, 0, 0}};

	(void)state;
	refused("alarm_lcore: no lcore is left for requests; accepted: auto, shared, or fewer than "
		"all workers of the EAL, which are 5",
		true, &one, lcore, 1);
	refused("alarm_lcore: no lcore is left for requests; accepted: auto, shared, or fewer than "
		"all workers of the EAL, which are 5-6,8",
		true, &three, lcore, 3);
}

/* More than a line holds: every second one of 1024 lcores. */
static void of_very_many_workers_the_first_are_named(void **state)
{
	static const struct app_alarm_lcores list = {APP_ALARM_LCORES_LIST, 1, {1}};
	static struct app_lcore lcore[512];
	char why[APP_LCORE_ROLES_WHY_BYTES];
	bool shared = false;
	size_t bytes;

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		lcore[i].lcore_id = 2 * i;
	memset(why, 'E', sizeof(why));
	assert_int_equal(app_lcore_roles_assign(lcore, 512, true, &list, &shared, why), -EINVAL);
	bytes = strnlen(why, sizeof(why));
	assert_in_range(bytes, 256, sizeof(why) - 1);
	assert_string_equal(why + bytes - 4, ",...");
	assert_non_null(strstr(why, "some of 0,2,4,"));
}

/* Whatever the machine: somebody answers, somebody fires, and nobody is idle. */
static void of_any_machine_no_lcore_is_idle_and_no_role_without_one(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned run = 0; run < 20000; run++) {
		struct app_lcore lcore[LCORES_MAX];
		char why[APP_LCORE_ROLES_WHY_BYTES];
		unsigned n_requests = 0;
		unsigned n_alarms = 0;
		unsigned n_both = 0;
		bool shared;
		unsigned n;

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		n = 1 + (unsigned)(seed >> 33) % LCORES_MAX;
		for (unsigned i = 0; i < n; i++)
			lcore[i] = (struct app_lcore){.lcore_id = i,
				.node = (int)((seed >> (i + 20)) % (1 + run % 5)) - 1};
		assert_int_equal(app_lcore_roles_assign(lcore, n, true,
					 run % 2 ? &by_auto : &by_shared, &shared, why),
			0);
		for (unsigned i = 0; i < n; i++) {
			assert_true(lcore[i].requests || lcore[i].alarms);
			n_requests += lcore[i].requests;
			n_alarms += lcore[i].alarms;
			n_both += lcore[i].requests && lcore[i].alarms;
		}
		assert_true(n_requests >= 1 && n_alarms >= 1);
		if (run % 2) {
			assert_int_equal(shared, n == 1);
			assert_int_equal(n_both, n == 1);
		} else {
			assert_int_equal(n_requests, n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_alarms_all_answer_requests_whatever_was_chosen),
		cmocka_unit_test(auto_takes_the_last_lcore_of_one_node),
		cmocka_unit_test(auto_takes_the_last_lcore_of_each_of_two_nodes),
		cmocka_unit_test(auto_takes_one_of_each_of_four_nodes),
		cmocka_unit_test(auto_leaves_the_only_lcore_of_a_node_to_requests),
		cmocka_unit_test(auto_takes_the_last_of_all_where_no_node_has_two),
		cmocka_unit_test(auto_with_one_lcore_shares_it_and_says_so),
		cmocka_unit_test(shared_by_choice_is_nothing_to_be_told),
		cmocka_unit_test(shared_adds_alarms_to_the_first_lcore_of_each_node),
		cmocka_unit_test(an_unknown_node_is_a_node_like_the_others),
		cmocka_unit_test(those_of_a_list_fire_alarms_and_do_nothing_else),
		cmocka_unit_test(a_listed_lcore_that_is_no_worker_is_refused_with_those_that_are),
		cmocka_unit_test(a_list_that_leaves_none_for_requests_is_refused),
		cmocka_unit_test(of_very_many_workers_the_first_are_named),
		cmocka_unit_test(of_any_machine_no_lcore_is_idle_and_no_role_without_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
