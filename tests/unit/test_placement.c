/* SPDX-License-Identifier: BSD-3-Clause */
/* Two and more NUMA nodes, which the machines that we build on do not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "placement.h"

static void the_only_lcore_serves_every_node(void **state)
{
	struct vrtc_place place[] = {{.node = 0, .load = 7}};

	(void)state;
	for (int node = -1; node < 3; node++)
		assert_int_equal(vrtc_placement_choose(place, 1, node), 0);
}

static void an_lcore_of_the_memorys_node_is_preferred_however_loaded(void **state)
{
	struct vrtc_place place[] = {{0, 0}, {1, 100}, {0, 3}};

	(void)state;
	assert_int_equal(vrtc_placement_choose(place, 3, 1), 1);
}

static void of_several_on_the_node_the_least_loaded_is_chosen(void **state)
{
	struct vrtc_place place[] = {{0, 0}, {1, 5}, {1, 4}, {1, 4}};

	(void)state;
	assert_int_equal(vrtc_placement_choose(place, 4, 1), 2);
}

static void without_one_on_the_node_the_least_loaded_of_all_is_chosen(void **state)
{
	struct vrtc_place place[] = {{0, 2}, {1, 1}, {0, 3}};

	(void)state;
	assert_int_equal(vrtc_placement_choose(place, 3, 2), 1);
	assert_int_equal(vrtc_placement_choose(place, 3, -1), 1);
}

static void an_lcore_of_unknown_node_is_no_match_for_unknown_memory(void **state)
{
	struct vrtc_place place[] = {{0, 1}, {-1, 5}};

	(void)state;
	assert_int_equal(vrtc_placement_choose(place, 2, -1), 0);
}

static void a_hundred_devices_spread_evenly_within_their_nodes(void **state)
{
	struct vrtc_place place[] = {{0, 0}, {0, 0}, {1, 0}, {1, 0}, {1, 0}};

	(void)state;
	for (unsigned i = 0; i < 120; i++)
		place[vrtc_placement_choose(place, 5, i % 2)].load++;
	assert_int_equal(place[0].load, 30);
	assert_int_equal(place[1].load, 30);
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(place[i].load, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_lcore_serves_every_node),
		cmocka_unit_test(an_lcore_of_the_memorys_node_is_preferred_however_loaded),
		cmocka_unit_test(of_several_on_the_node_the_least_loaded_is_chosen),
		cmocka_unit_test(without_one_on_the_node_the_least_loaded_of_all_is_chosen),
		cmocka_unit_test(an_lcore_of_unknown_node_is_no_match_for_unknown_memory),
		cmocka_unit_test(a_hundred_devices_spread_evenly_within_their_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
