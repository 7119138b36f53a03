/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model of a PTP hardware clock against clocks that are made here, with fixed seeds: the
 * counter is the truth, the clock a sum of pieces of known frequency, the brackets are random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "phc_model.h"

#define HZ         2900000000.0 /* of the counter */
#define S          1000000000.0
#define HOLDOVER_S 10
#define TIME0_NS   INT64_C(1795000000123456789)
#define COUNTER0   UINT64_C(77777777777)

/* A clock: it went through time0_ns at counter0, and runs at `fast` against the counter. */
struct clock {
	uint64_t counter0;
	int64_t time0_ns;
	double fast; /* ns a ns */
};

struct world {
	struct vrtc_phc_model model;
	struct clock clock;
	uint64_t counter;
	uint64_t random;
	double half_ns;
	int64_t last_ns; /* what a reader saw last */
	double worst_ns; /* of what readers saw */
	double bound_ns; /* the largest that was claimed meanwhile */
	unsigned readings;
};

static double any(struct world *w)
{
	w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407U;
	return (double)(w->random >> 11) / (double)(UINT64_C(1) << 53);
}

/* The truth, as ns since TIME0_NS so that a double holds it; hours are exact to a ns. */
static double truth(const struct world *w, uint64_t counter)
{
	double ns = (double)(int64_t)(counter - w->clock.counter0) * (S / HZ);

	return (double)(w->clock.time0_ns - TIME0_NS) + ns + ns * w->clock.fast;
}

static void change(struct world *w, double step_ns, double fast)
{
	w->clock.time0_ns = TIME0_NS + (int64_t)(truth(w, w->counter) + step_ns);
	w->clock.counter0 = w->counter;
	w->clock.fast = fast;
}

static struct world begin(uint64_t seed, double half_ns, double fast)
{
	struct world w = {.clock = {COUNTER0, TIME0_NS, fast},
		.counter = COUNTER0,
		.random = seed,
		.half_ns = half_ns,
		.last_ns = INT64_MIN};

	vrtc_phc_model_init(&w.model, (int64_t)(HOLDOVER_S * S));
	return w;
}

static void pass_ns(struct world *w, double ns)
{
	w->counter += (uint64_t)(ns * HZ / S);
}

static enum vrtc_phc_change look(struct world *w)
{
	/* The clock was read anywhere in the bracket; some brackets are much wider than others. */
	double half_ns = w->half_ns * (any(w) < 0.05 ? 1 + 20 * any(w) : 1 + 0.3 * any(w));
	double at = (2 * any(w) - 1) * half_ns;
	struct vrtc_phc_look now = {.counter = w->counter, .half_ns = (int64_t)half_ns + 2};

	now.time_ns = TIME0_NS + (int64_t)(truth(w, w->counter) + at);
	pass_ns(w, 20000 * any(w));
	return vrtc_phc_model_look(&w->model, &now, w->counter);
}

/* Readings until the next look; what is claimed holds, and they do not go back. */
static void read_on(struct world *w, double ns, bool may_step)
{
	for (int i = 0; i < 20; i++) {
		int64_t time_ns = 0;
		double error;
		int64_t claimed_ns;

		pass_ns(w, ns / 20);
		assert_true(vrtc_phc_line_at(&w->model.line, w->counter, &time_ns));
		error = (double)(time_ns - TIME0_NS) - truth(w, w->counter);
		claimed_ns = vrtc_phc_model_error_ns(&w->model, w->counter);
		if (error > (double)claimed_ns || -error > (double)claimed_ns)
			fail_msg("%.0f ns off, %lld claimed, after %u readings", error,
				(long long)claimed_ns, w->readings);
		if (!may_step && time_ns < w->last_ns)
			fail_msg("back by %lld ns", (long long)(w->last_ns - time_ns));
		may_step = false;
		w->last_ns = time_ns;
		w->worst_ns = error > w->worst_ns    ? error
			      : -error > w->worst_ns ? -error
						     : w->worst_ns;
		if ((double)claimed_ns > w->bound_ns)
			w->bound_ns = (double)claimed_ns;
		w->readings++;
	}
}

/* Two looks are not enough. */
static void wait_for_line(struct world *w, enum vrtc_phc_change change)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(look(w), VRTC_PHC_NOT_YET);
		pass_ns(w, VRTC_PHC_LOOK_NS / 5.0);
	}
	assert_int_equal(look(w), change);
}

static void start(struct world *w)
{
	wait_for_line(w, VRTC_PHC_FIRST);
	read_on(w, VRTC_PHC_LOOK_NS, true);
}

static void follow(struct world *w, int looks)
{
	for (int i = 0; i < looks; i++) {
		assert_int_equal(look(w), VRTC_PHC_NOTHING_NEW);
		read_on(w, VRTC_PHC_LOOK_NS * (0.8 + 0.4 * any(w)), false);
	}
}

static void bound_holds_and_readings_do_not_go_back_at_any_bracket_and_frequency(void **state)
{
	static const double halves_ns[] = {20, 500, 10000, 60000};
	static const double fasts[] = {0, 3e-6, -50e-6, 500e-6};

	(void)state;
	for (unsigned h = 0; h < 4; h++) {
		for (unsigned f = 0; f < 4; f++) {
			struct world w = begin(h * 4 + f + 1, halves_ns[h], fasts[f]);

			start(&w);
			follow(&w, 100);
			w.worst_ns = 0;
			w.bound_ns = 0;
			follow(&w, 200);
			/* What is claimed is of use: not much more than the brackets. */
			assert_true(w.bound_ns < 3 * halves_ns[h] + 500);
			if (f == 0)
				print_message("brackets of +-%.0f ns: at most %.0f ns off, %.0f "
					      "claimed\n",
					halves_ns[h], w.worst_ns, w.bound_ns);
		}
	}
}

static void servo_that_pulls_the_frequency_is_followed_within_the_bound(void **state)
{
	struct world w = begin(11, 300, 2e-6);

	(void)state;
	start(&w);
	follow(&w, 50);
	for (int s = 0; s < 60; s++) {
		change(&w, 0, 2e-6 + (any(&w) - 0.5) * 800e-9);
		follow(&w, 10);
	}
	/* 0.5 to 1.8 us with 60 seeds. */
	assert_true(w.worst_ns < 3000);
}

static void frequency_that_jumps_is_followed_without_a_step(void **state)
{
	struct world w = begin(12, 300, 0);

	(void)state;
	start(&w);
	follow(&w, 100);
	change(&w, 0, 40e-6);
	/* For the one look in which it happened no bound could be known. */
	pass_ns(&w, VRTC_PHC_LOOK_NS);
	assert_int_equal(look(&w), VRTC_PHC_NOTHING_NEW);
	read_on(&w, VRTC_PHC_LOOK_NS, false);
	follow(&w, 300);
	w.worst_ns = 0;
	follow(&w, 100);
	assert_true(w.worst_ns < 600);
}

static void clock_that_is_set_is_believed_at_once(void **state)
{
	static const double steps_ns[] = {3600 * S, -3600 * S, 100000, -100000, 37 * S};
	struct world w = begin(13, 500, 10e-6);

	(void)state;
	start(&w);
	for (unsigned i = 0; i < 5; i++) {
		double off;

		follow(&w, 100);
		change(&w, steps_ns[i], 10e-6);
		assert_int_equal(look(&w), VRTC_PHC_STEP);
		off = (double)w.model.step_ns - steps_ns[i];
		assert_true(off < 3000 && off > -3000);
		read_on(&w, VRTC_PHC_LOOK_NS, true);
	}
	follow(&w, 100);
}

static void small_step_is_bent_to_without_going_back(void **state)
{
	struct world w = begin(14, 200, 0);

	(void)state;
	start(&w);
	follow(&w, 100);
	change(&w, -20000, 0);
	assert_int_equal(look(&w), VRTC_PHC_NOTHING_NEW);
	read_on(&w, VRTC_PHC_LOOK_NS, false);
	follow(&w, 100);
	w.worst_ns = 0;
	follow(&w, 100);
	assert_true(w.worst_ns < 600);
}

static void line_ends_at_the_holdover_and_a_look_brings_it_back(void **state)
{
	struct world w = begin(15, 500, 1e-6);
	int64_t time_ns = 42;

	(void)state;
	start(&w);
	follow(&w, 100);
	for (int i = 0; i < HOLDOVER_S - 1; i++)
		read_on(&w, S, false);
	assert_true(w.bound_ns < 50000);
	pass_ns(&w, S);
	assert_false(vrtc_phc_line_at(&w.model.line, w.counter, &time_ns));
	assert_int_equal(vrtc_phc_model_error_ns(&w.model, w.counter), INT64_MAX);
	assert_int_equal(look(&w), VRTC_PHC_FIRST);
	read_on(&w, VRTC_PHC_LOOK_NS, true);
	follow(&w, 10);
}

static void device_that_comes_back_within_the_holdover_goes_on(void **state)
{
	struct world w = begin(16, 500, 1e-6);

	(void)state;
	start(&w);
	follow(&w, 100);
	vrtc_phc_model_forget(&w.model);
	pass_ns(&w, S);
	wait_for_line(&w, VRTC_PHC_NOTHING_NEW);
	read_on(&w, VRTC_PHC_LOOK_NS, false);
	follow(&w, 50);
	/* Another clock under the same name. */
	vrtc_phc_model_forget(&w.model);
	change(&w, -5 * S, 30e-6);
	wait_for_line(&w, VRTC_PHC_STEP);
	read_on(&w, VRTC_PHC_LOOK_NS, true);
	follow(&w, 50);
}

static void looks_that_cannot_be_are_refused_and_leave_the_line(void **state)
{
	struct world w = begin(17, 500, 0);
	struct vrtc_phc_line line;
	struct vrtc_phc_look bad;

	(void)state;
	start(&w);
	follow(&w, 20);
	line = w.model.line;
	bad = (struct vrtc_phc_look){w.counter, INT64_MAX, 100};
	assert_int_equal(vrtc_phc_model_look(&w.model, &bad, w.counter), VRTC_PHC_REFUSED);
	bad = (struct vrtc_phc_look){w.counter, INT64_MIN, 100};
	assert_int_equal(vrtc_phc_model_look(&w.model, &bad, w.counter), VRTC_PHC_REFUSED);
	bad = (struct vrtc_phc_look){w.counter, TIME0_NS, 0};
	assert_int_equal(vrtc_phc_model_look(&w.model, &bad, w.counter), VRTC_PHC_REFUSED);
	bad = (struct vrtc_phc_look){w.counter + 1, TIME0_NS, 100};
	assert_int_equal(vrtc_phc_model_look(&w.model, &bad, w.counter), VRTC_PHC_REFUSED);
	bad = (struct vrtc_phc_look){COUNTER0, TIME0_NS, 100};
	assert_int_equal(vrtc_phc_model_look(&w.model, &bad, w.counter), VRTC_PHC_REFUSED);
	assert_memory_equal(&line, &w.model.line, sizeof(line));
	follow(&w, 20);
}

static void clock_that_stands_still_at_first_is_waited_for(void **state)
{
	struct world w = begin(18, 100, -1);

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(look(&w), VRTC_PHC_NOT_YET);
		pass_ns(&w, VRTC_PHC_LOOK_NS);
		/* Brackets alone make it move to and fro; it must not move forward. */
		w.half_ns = 1;
	}
}

static void reader_a_little_before_the_line_reads_and_one_far_off_does_not(void **state)
{
	struct world w = begin(19, 100, 0);
	const struct vrtc_phc_line *line = &w.model.line;
	int64_t time_ns = 0, begin_ns = 0;

	(void)state;
	start(&w);
	assert_true(vrtc_phc_line_at(line, line->counter0, &begin_ns));
	assert_true(vrtc_phc_line_at(line, line->counter0 - 29, &time_ns));
	assert_in_range(begin_ns - time_ns, 9, 11);
	assert_false(vrtc_phc_line_at(line, line->counter0 + INT64_MAX, &time_ns));
	assert_false(vrtc_phc_line_at(line, line->counter0 - INT64_MAX, &time_ns));
	assert_true(vrtc_phc_line_at(line, line->counter0 + line->counts_max, &time_ns));
	assert_false(vrtc_phc_line_at(line, line->counter0 + line->counts_max + 1, &time_ns));
}

static void counter_that_begins_anew_is_followed_from_there(void **state)
{
	struct world w = begin(20, 300, 1e-6);
	int64_t time_ns = 0;

	(void)state;
	start(&w);
	follow(&w, 300);
	/* A suspend: the counter is reset, the clock went on. */
	w.clock.time0_ns = TIME0_NS + (int64_t)truth(&w, w.counter);
	w.counter = 1000;
	w.clock.counter0 = w.counter;
	pass_ns(&w, S);
	assert_false(vrtc_phc_line_at(&w.model.line, w.counter, &time_ns));
	assert_int_equal(look(&w), VRTC_PHC_ANEW);
	pass_ns(&w, VRTC_PHC_LOOK_NS);
	wait_for_line(&w, VRTC_PHC_FIRST);
	read_on(&w, VRTC_PHC_LOOK_NS, true);
	follow(&w, 50);
}

/* Five minutes after the host's start it is suspended for an hour: the line ahead is long. */
static void counter_that_begins_anew_is_not_served_the_past(void **state)
{
	struct world w = begin(21, 300, 0);
	int64_t time_ns = 0;

	(void)state;
	vrtc_phc_model_init(&w.model, (int64_t)(3600 * S));
	w.counter = w.clock.counter0 = (uint64_t)(300 * HZ);
	start(&w);
	follow(&w, 100);
	w.counter = 1000;
	for (int i = 0; i < 50; i++) {
		assert_false(vrtc_phc_line_at(&w.model.line, w.counter, &time_ns));
		pass_ns(&w, S);
	}
	/* The driver cannot be asked yet; what it was is given up for good, not until it fits. */
	assert_int_equal(vrtc_phc_model_no_look(&w.model, w.counter), VRTC_PHC_ANEW);
	assert_int_equal(vrtc_phc_model_no_look(&w.model, w.counter), VRTC_PHC_NOTHING_NEW);
	w.counter = (uint64_t)(311 * HZ);
	assert_false(vrtc_phc_line_at(&w.model.line, w.counter, &time_ns));
	assert_int_equal(vrtc_phc_model_error_ns(&w.model, w.counter), INT64_MAX);
	assert_true(vrtc_phc_model_is_in_time(&w.model, w.counter));
}

static void clock_that_is_set_between_the_first_looks_is_not_taken_for_a_fast_one(void **state)
{
	static const double steps_ns[] = {10e6, -3e6, 100e6, 37 * S, -37 * S, 200000};

	(void)state;
	for (int at = 1; at <= 2; at++) {
		for (unsigned i = 0; i < 6; i++) {
			struct world w = begin(22 + i, 200, 0);
			enum vrtc_phc_change is = VRTC_PHC_NOT_YET;

			for (int n = 0; n < 6 && is == VRTC_PHC_NOT_YET; n++) {
				if (n == at)
					change(&w, steps_ns[i], 0);
				is = look(&w);
				pass_ns(&w, VRTC_PHC_LOOK_NS / 5.0);
			}
			assert_int_equal(is, VRTC_PHC_FIRST);
			read_on(&w, VRTC_PHC_LOOK_NS, true);
			follow(&w, 100);
		}
	}
}

/* ptp4l slews without a limit of its own: at the driver's, up to 62500 ppm and more. */
static void slew_beyond_what_a_step_is_becomes_one_step_and_is_followed(void **state)
{
	static const double slews[] = {1000e-6, -1000e-6, 600e-6, -62500e-6, 62500e-6};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct world w = begin(30 + i, 200, 1e-6);

		start(&w);
		follow(&w, 100);
		change(&w, 0, slews[i]);
		pass_ns(&w, VRTC_PHC_LOOK_NS);
		assert_int_equal(look(&w), VRTC_PHC_STEP);
		read_on(&w, VRTC_PHC_LOOK_NS, true);
		follow(&w, 200);
		w.worst_ns = 0;
		follow(&w, 100);
		assert_true(w.worst_ns < 600);
	}
}

/* What no servo does: steps are not believed for ever. */
static void frequency_that_no_look_agrees_with_is_given_up(void **state)
{
	struct world w = begin(36, 200, 0);
	enum vrtc_phc_change changes[8];
	int n = 0;

	(void)state;
	start(&w);
	follow(&w, 100);
	change(&w, 0, 0.5);
	do {
		pass_ns(&w, VRTC_PHC_LOOK_NS);
		changes[n] = look(&w);
	} while (changes[n++] != VRTC_PHC_ANEW && n < 8);
	assert_int_equal(n, VRTC_PHC_STEPS_MAX);
	assert_int_equal(vrtc_phc_model_error_ns(&w.model, w.counter), INT64_MAX);
	pass_ns(&w, VRTC_PHC_LOOK_NS);
	assert_int_equal(look(&w), VRTC_PHC_NOT_YET);
	pass_ns(&w, VRTC_PHC_LOOK_NS);
	assert_int_equal(look(&w), VRTC_PHC_FIRST);
	read_on(&w, VRTC_PHC_LOOK_NS, true);
	follow(&w, 100);
}

static void reading_does_not_go_back_when_a_line_is_published_late(void **state)
{
	struct world w = begin(37, 200, 0);
	struct vrtc_phc_line old;
	unsigned redrawn = 0;

	(void)state;
	vrtc_phc_model_init(&w.model, (int64_t)(3600 * S));
	start(&w);
	follow(&w, 100);
	for (int i = 0; i < 200; i++) {
		/* Now and then a blocked driver, and a clock 0.1 ppm slower meanwhile. */
		if (i % 10 == 5) {
			change(&w, 0, -0.1e-6);
			pass_ns(&w, 60 * S);
		}
		old = w.model.line;
		(void)look(&w);
		/* Interrupted, for up to two leads; lines bend meanwhile, too. */
		for (bool late = true; late; redrawn += late) {
			int64_t before_ns = 0, after_ns = 0;

			pass_ns(&w, 2 * any(&w) * VRTC_PHC_LEAD_NS);
			late = !vrtc_phc_model_is_in_time(&w.model, w.counter);
			if (late) {
				vrtc_phc_model_redraw(&w.model, w.counter);
				continue;
			}
			assert_true(vrtc_phc_line_at(&old, w.counter, &before_ns));
			assert_true(vrtc_phc_line_at(&w.model.line, w.counter, &after_ns));
			assert_in_range(after_ns - before_ns + 1, 0, 2);
			w.last_ns = after_ns;
		}
		read_on(&w, VRTC_PHC_LOOK_NS * (0.5 + 2 * any(&w)), false);
	}
	assert_true(redrawn > 20);
}

static void error_is_known_for_as_long_as_there_are_readings(void **state)
{
	struct world w = begin(38, 500, 1e-6);
	int64_t time_ns = 0;

	(void)state;
	start(&w);
	follow(&w, 100);
	vrtc_phc_model_forget(&w.model);
	for (int i = 0; i < HOLDOVER_S - 1; i++)
		read_on(&w, S, false);
	pass_ns(&w, S);
	assert_false(vrtc_phc_line_at(&w.model.line, w.counter, &time_ns));
	assert_int_equal(vrtc_phc_model_error_ns(&w.model, w.counter), INT64_MAX);
}

static void counter_of_nanoseconds_does_as_well(void **state)
{
	struct vrtc_phc_model m;
	int64_t time_ns = 0;

	(void)state;
	vrtc_phc_model_init(&m, (int64_t)S);
	for (uint64_t i = 0; i < 50; i++) {
		uint64_t counter = i * VRTC_PHC_LOOK_NS;
		struct vrtc_phc_look now = {counter, TIME0_NS + (int64_t)counter, 10};

		(void)vrtc_phc_model_look(&m, &now, counter);
		if (i < 2)
			continue;
		assert_true(vrtc_phc_line_at(&m.line, counter + 1000, &time_ns));
		assert_in_range(time_ns - now.time_ns, 999, 1000);
	}
	assert_true(vrtc_phc_model_frequency_ppb(&m, 1e9) < 1 &&
		    vrtc_phc_model_frequency_ppb(&m, 1e9) > -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			bound_holds_and_readings_do_not_go_back_at_any_bracket_and_frequency),
		cmocka_unit_test(servo_that_pulls_the_frequency_is_followed_within_the_bound),
		cmocka_unit_test(frequency_that_jumps_is_followed_without_a_step),
		cmocka_unit_test(clock_that_is_set_is_believed_at_once),
		cmocka_unit_test(small_step_is_bent_to_without_going_back),
		cmocka_unit_test(line_ends_at_the_holdover_and_a_look_brings_it_back),
		cmocka_unit_test(device_that_comes_back_within_the_holdover_goes_on),
		cmocka_unit_test(looks_that_cannot_be_are_refused_and_leave_the_line),
		cmocka_unit_test(clock_that_stands_still_at_first_is_waited_for),
		cmocka_unit_test(reader_a_little_before_the_line_reads_and_one_far_off_does_not),
		cmocka_unit_test(counter_that_begins_anew_is_followed_from_there),
		cmocka_unit_test(counter_that_begins_anew_is_not_served_the_past),
		cmocka_unit_test(
			clock_that_is_set_between_the_first_looks_is_not_taken_for_a_fast_one),
		cmocka_unit_test(slew_beyond_what_a_step_is_becomes_one_step_and_is_followed),
		cmocka_unit_test(frequency_that_no_look_agrees_with_is_given_up),
		cmocka_unit_test(reading_does_not_go_back_when_a_line_is_published_late),
		cmocka_unit_test(error_is_known_for_as_long_as_there_are_readings),
		cmocka_unit_test(counter_of_nanoseconds_does_as_well),
	};

	return cmocka_run_group_tests_name("phc_model", tests, NULL, NULL);
}
