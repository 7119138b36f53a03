/* SPDX-License-Identifier: BSD-3-Clause */
/* nstime.h: arithmetic at the edges of an int64_t, against 128-bit integers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "nstime.h"

#define UNTOUCHED INT64_C(0x5a5a5a5a5a5a5a5a)

static const int64_t edges[] = {
	INT64_MIN,
	INT64_MIN + 1,
	INT64_MIN / 2,
	-VRTC_NS_PER_S - 1,
	-VRTC_NS_PER_S,
	-VRTC_NS_PER_S + 1,
	-1,
	0,
	1,
	VRTC_NS_PER_S - 1,
	VRTC_NS_PER_S,
	VRTC_NS_PER_S + 1,
	INT64_MAX / VRTC_NS_PER_S,
	INT64_MAX / VRTC_NS_PER_S + 1,
	INT64_MIN / VRTC_NS_PER_S,
	INT64_MIN / VRTC_NS_PER_S - 1,
	INT64_MAX / 2 + 1,
	INT64_MAX - 1,
	INT64_MAX,
};

#define N_EDGES (sizeof(edges) / sizeof(edges[0]))

/* Fits: the output is the exact value. Does not: false, and the output is untouched. */
static void assert_checked(bool ok, int64_t output, __int128 exact)
{
	bool fits = exact >= INT64_MIN && exact <= INT64_MAX;

	assert_int_equal(ok, fits);
	assert_true(output == (fits ? (int64_t)exact : UNTOUCHED));
}

static void sum_is_exact_or_refused_and_leaves_output(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_EDGES; i++) {
		for (size_t j = 0; j < N_EDGES; j++) {
			int64_t out = UNTOUCHED;
			bool ok = vrtc_nstime_add(edges[i], edges[j], &out);

			assert_checked(ok, out, (__int128)edges[i] + edges[j]);
		}
	}
}

static void difference_is_exact_or_refused_and_leaves_output(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_EDGES; i++) {
		for (size_t j = 0; j < N_EDGES; j++) {
			int64_t out = UNTOUCHED;
			bool ok = vrtc_nstime_sub(edges[i], edges[j], &out);

			assert_checked(ok, out, (__int128)edges[i] - edges[j]);
		}
	}
}

static void seconds_become_nanoseconds_or_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_EDGES; i++) {
		int64_t out = UNTOUCHED;
		bool ok = vrtc_nstime_from_s(edges[i], &out);

		assert_checked(ok, out, (__int128)edges[i] * 1000000000);
	}
}

static void output_may_be_one_of_the_inputs(void **state)
{
	int64_t a = 5, b = 3;

	(void)state;
	assert_true(vrtc_nstime_add(a, b, &a));
	assert_int_equal(a, 8);
	assert_true(vrtc_nstime_sub(a, b, &b));
	assert_int_equal(b, 5);
}

static void second_of_an_instant_begins_at_or_before_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_EDGES; i++) {
		__int128 s = vrtc_nstime_to_s(edges[i]);

		assert_true(s * VRTC_NS_PER_S <= edges[i]);
		assert_true((s + 1) * VRTC_NS_PER_S > edges[i]);
	}
	assert_true(vrtc_nstime_to_s(-1) == -1);
	assert_true(vrtc_nstime_to_s(-VRTC_NS_PER_S) == -1);
	assert_true(vrtc_nstime_to_s(VRTC_NS_PER_S - 1) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sum_is_exact_or_refused_and_leaves_output),
		cmocka_unit_test(difference_is_exact_or_refused_and_leaves_output),
		cmocka_unit_test(seconds_become_nanoseconds_or_are_refused),
		cmocka_unit_test(output_may_be_one_of_the_inputs),
		cmocka_unit_test(second_of_an_instant_begins_at_or_before_it),
	};

	return cmocka_run_group_tests_name("nstime", tests, NULL, NULL);
}
