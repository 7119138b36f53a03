/* SPDX-License-Identifier: BSD-3-Clause */
/* guestmem.c: translation of hostile addresses, at all the edges. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guestmem.h"

static uint8_t low[0x1000];
static uint8_t high[0x1000];
static uint8_t far[0x1000];

#define LOW_GPA  0x10000u
#define HIGH_GPA 0x11000u             /* the guest's neighbour of low, not ours */
#define FAR_GPA  (UINT64_MAX - 0xfff) /* ends with the address space */

static struct vrtc_guestmem three_regions(void)
{
	struct vrtc_guestmem mem = {0};

	assert_int_equal(vrtc_guestmem_add(&mem, FAR_GPA, sizeof(far), far), 0);
	assert_int_equal(vrtc_guestmem_add(&mem, LOW_GPA, sizeof(low), low), 0);
	assert_int_equal(vrtc_guestmem_add(&mem, HIGH_GPA, sizeof(high), high), 0);
	return mem;
}

/* Both lookups, from each possible hint: they must agree. */
static void *map(const struct vrtc_guestmem *mem, uint64_t gpa, uint64_t bytes, uint64_t *contig)
{
	void *g = vrtc_guestmem_map(mem, gpa, bytes, contig);

	for (unsigned hint = 0; hint < VRTC_GUESTMEM_REGIONS_MAX; hint++) {
		uint8_t near = (uint8_t)hint;
		uint64_t near_contig = 12345;

		assert_ptr_equal(vrtc_guestmem_map_near(mem, &near, gpa, bytes, &near_contig), g);
		assert_int_equal(near_contig, *contig);
		assert_true(near < VRTC_GUESTMEM_REGIONS_MAX);
	}
	return g;
}

static void a_guest_without_memory_has_no_address(void **state)
{
	struct vrtc_guestmem mem = {0};
	uint64_t contig = 1;

	(void)state;
	assert_null(map(&mem, 0, 1, &contig));
	assert_int_equal(contig, 0);
	assert_null(map(&mem, UINT64_MAX, UINT64_MAX, &contig));
	assert_false(vrtc_guestmem_holds(&mem, low, 1));
	assert_false(vrtc_guestmem_holds(&mem, NULL, 1));
}

static void regions_are_kept_in_ascending_order(void **state)
{
	struct vrtc_guestmem mem = three_regions();

	(void)state;
	assert_int_equal(mem.n, 3);
	assert_int_equal(mem.region[0].gpa, LOW_GPA);
	assert_ptr_equal(mem.region[0].g_base, low);
	assert_int_equal(mem.region[1].gpa, HIGH_GPA);
	assert_ptr_equal(mem.region[1].g_base, high);
	assert_int_equal(mem.region[2].gpa, FAR_GPA);
	assert_ptr_equal(mem.region[2].g_base, far);
}

static void a_region_that_is_empty_null_or_past_the_end_is_einval(void **state)
{
	struct vrtc_guestmem mem = {0};
	struct vrtc_guestmem nothing = {0};

	(void)state;
	assert_int_equal(vrtc_guestmem_add(&mem, 0, 0, low), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, 0, 1, NULL), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, FAR_GPA, 0x1001, far), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, UINT64_MAX, 2, far), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, 1, UINT64_MAX, far), -EINVAL); /* host address */
	assert_memory_equal(&mem, &nothing, sizeof(mem));
}

static void an_overlapping_region_is_einval_and_changes_nothing(void **state)
{
	struct vrtc_guestmem mem = three_regions();
	struct vrtc_guestmem before = mem;
	static uint8_t big[0x3000];

	(void)state;
	assert_int_equal(vrtc_guestmem_add(&mem, LOW_GPA, sizeof(low), big), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, LOW_GPA + 0xfff, 1, big), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, LOW_GPA - 1, 2, big), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, LOW_GPA - 1, sizeof(big), big), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, HIGH_GPA + 1, 2, big), -EINVAL);
	assert_int_equal(vrtc_guestmem_add(&mem, UINT64_MAX, 1, big), -EINVAL);
	assert_memory_equal(&mem, &before, sizeof(mem));
}

static void neighbours_and_aliases_of_host_memory_are_accepted(void **state)
{
	struct vrtc_guestmem mem = three_regions();
	uint64_t contig;

	(void)state;
	assert_int_equal(vrtc_guestmem_add(&mem, LOW_GPA - 0x1000, 0x1000, low), 0);
	assert_int_equal(vrtc_guestmem_add(&mem, HIGH_GPA + 0x1000, 0x1000, low), 0);
	assert_ptr_equal(map(&mem, LOW_GPA - 1, 1, &contig), low + 0xfff);
	assert_ptr_equal(map(&mem, HIGH_GPA + 0x1000, 1, &contig), low);
}

static void one_region_too_many_is_enospc(void **state)
{
	struct vrtc_guestmem mem = {0};
	struct vrtc_guestmem before;

	(void)state;
	for (unsigned i = 0; i < VRTC_GUESTMEM_REGIONS_MAX; i++)
		assert_int_equal(
			vrtc_guestmem_add(&mem, (7 - (uint64_t)i) * 0x1000, 0x1000, low), 0);
	before = mem;
	assert_int_equal(vrtc_guestmem_add(&mem, 0x100000, 0x1000, low), -ENOSPC);
	assert_int_equal(vrtc_guestmem_add(&mem, 0, 0x1000, low), -EINVAL);
	assert_memory_equal(&mem, &before, sizeof(mem));
}

static void first_and_last_byte_of_a_region_map_and_the_next_does_not(void **state)
{
	struct vrtc_guestmem mem = three_regions();
	uint64_t contig;

	(void)state;
	assert_ptr_equal(map(&mem, LOW_GPA, 1, &contig), low);
	assert_int_equal(contig, 1);
	assert_ptr_equal(map(&mem, LOW_GPA, sizeof(low), &contig), low);
	assert_int_equal(contig, sizeof(low));
	assert_ptr_equal(map(&mem, HIGH_GPA + 0xfff, 1, &contig), high + 0xfff);
	assert_int_equal(contig, 1);
	assert_null(map(&mem, LOW_GPA - 1, 1, &contig));
	assert_int_equal(contig, 0);
	assert_null(map(&mem, HIGH_GPA + 0x1000, 1, &contig));
	assert_int_equal(contig, 0);
	assert_ptr_equal(map(&mem, UINT64_MAX, 1, &contig), far + 0xfff);
	assert_int_equal(contig, 1);
	assert_ptr_equal(map(&mem, FAR_GPA, sizeof(far), &contig), far);
	assert_int_equal(contig, sizeof(far));
}

static void zero_bytes_map_to_nothing(void **state)
{
	struct vrtc_guestmem mem = three_regions();
	uint64_t contig;

	(void)state;
	assert_null(map(&mem, LOW_GPA, 0, &contig));
	assert_int_equal(contig, 0);
}

static void a_range_past_the_address_space_maps_to_nothing(void **state)
{
	struct vrtc_guestmem mem = three_regions();
	uint64_t contig;

	(void)state;
	assert_null(map(&mem, UINT64_MAX, 2, &contig));
	assert_null(map(&mem, FAR_GPA, 0x1001, &contig));
	assert_null(map(&mem, LOW_GPA, UINT64_MAX, &contig));
	assert_null(map(&mem, 1, UINT64_MAX, &contig));
	assert_int_equal(contig, 0);
}

static void a_straddling_range_comes_in_pieces(void **state)
{
	struct vrtc_guestmem mem = three_regions();
	uint64_t contig;

	(void)state;
	assert_ptr_equal(map(&mem, HIGH_GPA - 3, 8, &contig), low + 0xffd);
	assert_int_equal(contig, 3);
	assert_ptr_equal(map(&mem, HIGH_GPA, 5, &contig), high);
	assert_int_equal(contig, 5);
	/* What goes on into a hole shows when the caller asks for the rest. */
	assert_ptr_equal(map(&mem, HIGH_GPA + 0xffe, 4, &contig), high + 0xffe);
	assert_int_equal(contig, 2);
	assert_null(map(&mem, HIGH_GPA + 0x1000, 2, &contig));
}

static void the_hint_follows_the_last_answer(void **state)
{
	struct vrtc_guestmem mem = three_regions();
	uint8_t near = 0;
	uint64_t contig;

	(void)state;
	assert_ptr_equal(vrtc_guestmem_map_near(&mem, &near, HIGH_GPA, 1, &contig), high);
	assert_int_equal(near, 1);
	assert_null(vrtc_guestmem_map_near(&mem, &near, 0, 1, &contig));
	assert_int_equal(near, 1);
}

static void a_host_range_is_held_only_where_wholly_in_one_region(void **state)
{
	struct vrtc_guestmem mem = three_regions();

	(void)state;
	assert_true(vrtc_guestmem_holds(&mem, low, sizeof(low)));
	assert_true(vrtc_guestmem_holds(&mem, low + 0xfff, 1));
	assert_true(vrtc_guestmem_holds(&mem, high, sizeof(high)));
	assert_false(vrtc_guestmem_holds(&mem, low, 0));
	assert_false(vrtc_guestmem_holds(&mem, low + 1, sizeof(low)));
	assert_false(vrtc_guestmem_holds(&mem, low + 1, UINT64_MAX));
	assert_false(vrtc_guestmem_holds(&mem, NULL, 1));
}

static void a_short_alias_does_not_hide_the_region_that_holds_a_host_range(void **state)
{
	static _Alignas(16) uint8_t host[0x100];
	struct vrtc_guestmem mem = {0};

	(void)state;
	/* The alias has the lower guest address, so it is found first. */
	assert_int_equal(vrtc_guestmem_add(&mem, 0, 16, host), 0);
	assert_int_equal(vrtc_guestmem_add(&mem, 0x1000, sizeof(host), host), 0);
	assert_true(vrtc_guestmem_holds(&mem, host, 16));
	assert_true(vrtc_guestmem_holds(&mem, host, sizeof(host)));
	assert_false(vrtc_guestmem_holds(&mem, host + 1, sizeof(host)));
}

/* Against a search that asks of each single address. */
static void random_ranges_agree_with_a_byte_by_byte_search(void **state)
{
	(void)state;
	srand(17);
	for (int round = 0; round < 2000; round++) {
		struct vrtc_guestmem mem = {0};
		uint8_t *owner[64] = {0};
		static uint8_t host[64 * 64];

		for (int i = 0; i < 12; i++) {
			unsigned gpa = (unsigned)rand() % 60;
			unsigned bytes = (unsigned)rand() % 6;
			uint8_t *g_base = host + rand() % 1024;
			int expected = bytes == 0 ? -EINVAL : 0;

			for (unsigned b = gpa; b < gpa + bytes && b < 64; b++)
				if (owner[b] != NULL)
					expected = -EINVAL;
			if (gpa + bytes > 64)
				continue;
			if (expected == 0 && mem.n == VRTC_GUESTMEM_REGIONS_MAX)
				expected = -ENOSPC;
			assert_int_equal(vrtc_guestmem_add(&mem, gpa, bytes, g_base), expected);
			for (unsigned b = 0; expected == 0 && b < bytes; b++)
				owner[gpa + b] = g_base + b;
		}
		for (unsigned gpa = 0; gpa < 64; gpa++) {
			uint64_t contig;
			uint8_t *g = map(&mem, gpa, 9, &contig);

			assert_ptr_equal(g, owner[gpa]);
			assert_true(g == NULL ? contig == 0 : contig >= 1 && contig <= 9);
			for (unsigned b = 0; b < contig; b++)
				assert_ptr_equal(owner[gpa + b], g + b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_without_memory_has_no_address),
		cmocka_unit_test(regions_are_kept_in_ascending_order),
		cmocka_unit_test(a_region_that_is_empty_null_or_past_the_end_is_einval),
		cmocka_unit_test(an_overlapping_region_is_einval_and_changes_nothing),
		cmocka_unit_test(neighbours_and_aliases_of_host_memory_are_accepted),
		cmocka_unit_test(one_region_too_many_is_enospc),
		cmocka_unit_test(first_and_last_byte_of_a_region_map_and_the_next_does_not),
		cmocka_unit_test(zero_bytes_map_to_nothing),
		cmocka_unit_test(a_range_past_the_address_space_maps_to_nothing),
		cmocka_unit_test(a_straddling_range_comes_in_pieces),
		cmocka_unit_test(the_hint_follows_the_last_answer),
		cmocka_unit_test(a_host_range_is_held_only_where_wholly_in_one_region),
		cmocka_unit_test(a_short_alias_does_not_hide_the_region_that_holds_a_host_range),
		cmocka_unit_test(random_ranges_agree_with_a_byte_by_byte_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
