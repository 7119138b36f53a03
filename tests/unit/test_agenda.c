/* SPDX-License-Identifier: BSD-3-Clause */
/* The agenda against a shadow that looks at every alarm at every move of the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agenda.h"

#define N_ALARMS 512

static struct vrtc_alarm alarm[N_ALARMS];
static struct vrtc_agenda agenda;
static void *storage;

/* The same sequence at each run. */
static uint64_t next_random(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int begin(void **state)
{
	(void)state;
	storage = malloc(vrtc_agenda_bytes(N_ALARMS));
	if (!storage)
		return -1;
	memset(alarm, 0, sizeof(alarm));
	vrtc_agenda_init(&agenda, storage, N_ALARMS);
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(storage);
	return 0;
}

static void put(unsigned i, uint64_t alarm_ns, bool reached)
{
	alarm[i].alarm_ns = alarm_ns;
	alarm[i].reached = reached;
	vrtc_agenda_put(&agenda, &alarm[i]);
}

static void empty_agenda_has_nothing_next_and_expires_nothing(void **state)
{
	uint64_t next_ns = 7;

	(void)state;
	assert_true(vrtc_agenda_is_empty(&agenda));
	assert_false(vrtc_agenda_next(&agenda, &next_ns));
	assert_int_equal(next_ns, 7);
	assert_null(vrtc_agenda_expire(&agenda, UINT64_MAX));
	assert_null(vrtc_agenda_rewind(&agenda, 0));
}

static void alarm_expires_at_its_nanosecond_and_once(void **state)
{
	(void)state;
	put(0, 1000, false);
	assert_null(vrtc_agenda_expire(&agenda, 999));
	assert_ptr_equal(vrtc_agenda_expire(&agenda, 1000), &alarm[0]);
	assert_true(alarm[0].reached);
	assert_null(vrtc_agenda_expire(&agenda, 1000));
	assert_null(vrtc_agenda_expire(&agenda, UINT64_MAX));
}

static void forward_step_expires_all_that_it_passes_nearest_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		put(i, 1000 + (i * 37) % 100, false);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(vrtc_agenda_expire(&agenda, 1049)->alarm_ns, 1000 + i);
	assert_null(vrtc_agenda_expire(&agenda, 1049));
}

static void backward_step_puts_ahead_again_what_it_passes_latest_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		put(i, 1000 + (i * 37) % 100, true);
	assert_null(vrtc_agenda_rewind(&agenda, 1099));
	for (unsigned i = 0; i < 50; i++) {
		struct vrtc_alarm *back = vrtc_agenda_rewind(&agenda, 1049);

		assert_int_equal(back->alarm_ns, 1099 - i);
		assert_false(back->reached);
	}
	/* 1049 itself is reached. */
	assert_null(vrtc_agenda_rewind(&agenda, 1049));
	assert_int_equal(vrtc_agenda_expire(&agenda, 2000)->alarm_ns, 1050);
}

static void extreme_alarm_times_are_ordered_like_others(void **state)
{
	uint64_t next_ns;

	(void)state;
	put(0, UINT64_MAX, false);
	put(1, 0, false);
	put(2, INT64_MAX, false);
	put(3, (uint64_t)INT64_MAX + 1, false);
	assert_true(vrtc_agenda_next(&agenda, &next_ns));
	assert_int_equal(next_ns, 0);
	assert_ptr_equal(vrtc_agenda_expire(&agenda, 0), &alarm[1]);
	assert_ptr_equal(vrtc_agenda_expire(&agenda, INT64_MAX), &alarm[2]);
	assert_null(vrtc_agenda_expire(&agenda, INT64_MAX));
	assert_ptr_equal(vrtc_agenda_expire(&agenda, UINT64_MAX), &alarm[3]);
	assert_ptr_equal(vrtc_agenda_expire(&agenda, UINT64_MAX), &alarm[0]);
	/* And back: 0 is never ahead of any clock. */
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(vrtc_agenda_rewind(&agenda, 0));
	assert_null(vrtc_agenda_rewind(&agenda, 0));
}

static void removed_alarm_is_nowhere_and_removing_it_again_is_harmless(void **state)
{
	(void)state;
	put(0, 10, false);
	put(1, 20, false);
	put(2, 5, true);
	vrtc_agenda_remove(&agenda, &alarm[0]);
	assert_false(vrtc_agenda_has(&alarm[0]));
	vrtc_agenda_remove(&agenda, &alarm[0]);
	assert_ptr_equal(vrtc_agenda_expire(&agenda, 100), &alarm[1]);
	assert_null(vrtc_agenda_expire(&agenda, 100));
	vrtc_agenda_remove(&agenda, &alarm[1]);
	vrtc_agenda_remove(&agenda, &alarm[2]);
	assert_true(vrtc_agenda_is_empty(&agenda));
}

/*
 * Random puts, removals and moves of the clock. The shadow says for each alarm whether a move
 * crosses it; the agenda has to name exactly these, and each once.
 */
static void random_steps_cross_exactly_what_the_shadow_says(void **state)
{
	uint64_t now_ns = 5000;
	unsigned crossed = 0;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)(next_random() % N_ALARMS);
		bool named[N_ALARMS] = {false};
		struct vrtc_alarm *a;
		uint64_t then_ns = now_ns;

		if (vrtc_agenda_has(&alarm[i])) {
			if (next_random() % 2)
				vrtc_agenda_remove(&agenda, &alarm[i]);
		} else {
			uint64_t alarm_ns = next_random() % 10000;

			put(i, alarm_ns, alarm_ns <= now_ns);
		}
		now_ns = next_random() % 4 ? now_ns + next_random() % 20 : next_random() % 10000;
		while ((a = vrtc_agenda_expire(&agenda, now_ns)) != NULL) {
			assert_true(then_ns < a->alarm_ns && a->alarm_ns <= now_ns);
			assert_false(named[a - alarm]);
			named[a - alarm] = true;
			crossed++;
		}
		while ((a = vrtc_agenda_rewind(&agenda, now_ns)) != NULL) {
			assert_true(now_ns < a->alarm_ns && a->alarm_ns <= then_ns);
			assert_false(named[a - alarm]);
			named[a - alarm] = true;
		}
		for (unsigned k = 0; k < N_ALARMS; k++) {
			if (vrtc_agenda_has(&alarm[k]))
				assert_int_equal(alarm[k].reached, alarm[k].alarm_ns <= now_ns);
			if (vrtc_agenda_has(&alarm[k]) && !named[k])
				assert_int_equal(
					alarm[k].alarm_ns <= then_ns, alarm[k].alarm_ns <= now_ns);
		}
	}
	/* The sequence is fixed, and holds many crossings. */
	assert_true(crossed > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			empty_agenda_has_nothing_next_and_expires_nothing, begin, end),
		cmocka_unit_test_setup_teardown(
			alarm_expires_at_its_nanosecond_and_once, begin, end),
		cmocka_unit_test_setup_teardown(
			forward_step_expires_all_that_it_passes_nearest_first, begin, end),
		cmocka_unit_test_setup_teardown(
			backward_step_puts_ahead_again_what_it_passes_latest_first, begin, end),
		cmocka_unit_test_setup_teardown(
			extreme_alarm_times_are_ordered_like_others, begin, end),
		cmocka_unit_test_setup_teardown(
			removed_alarm_is_nowhere_and_removing_it_again_is_harmless, begin, end),
		cmocka_unit_test_setup_teardown(
			random_steps_cross_exactly_what_the_shadow_says, begin, end),
	};

	return cmocka_run_group_tests_name("agenda", tests, NULL, NULL);
}
