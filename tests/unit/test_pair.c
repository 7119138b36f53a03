/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pairs of a counter and a clock: on this host, by what holds however slow or busy it is; and the
 * choice among windows, by windows that are made up, whose truth is known.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hosttime.h"
#include "pair.h"

#define PAIRS      100000
#define HANDOVERS  20000
#define MADE_UP    200000
#define ROWS       50
#define CLOCK_0_NS INT64_C(1800000000000000000)

static struct vrtc_pairing pairing;

/* ---- On this host. */

static const enum vrtc_host_counter counters[] = {
	VRTC_HOST_COUNTER_CPU, VRTC_HOST_COUNTER_MONOTONIC};

/* None of them is set by anybody while the test runs. */
static const clockid_t clocks[] = {CLOCK_BOOTTIME, CLOCK_MONOTONIC};

/* Where the kernel does not vouch for the CPU's counter, nor do we. */
static bool is_fit(enum vrtc_host_counter counter)
{
	if (counter == VRTC_HOST_COUNTER_CPU && pairing.cpu_unfit) {
		printf("SKIP: pairs with the CPU's counter: %s\n", pairing.cpu_unfit);
		return false;
	}
	return true;
}

static void both_halves_lie_between_what_is_read_before_and_after(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 2; c++) {
		if (!is_fit(counters[c]))
			continue;
		for (unsigned i = 0; i < PAIRS; i++) {
			clockid_t id = clocks[i & 1];
			uint64_t count = vrtc_pair_count(counters[c]);
			int64_t clock_ns = vrtc_hosttime_clock_ns(id);
			struct vrtc_pair pair;

			vrtc_pair_read(&pairing, counters[c], id, &pair);
			assert_true(pair.clock_ns >= clock_ns);
			assert_true(pair.clock_ns <= vrtc_hosttime_clock_ns(id));
			assert_true(pair.count >= count);
			assert_true(pair.count <= vrtc_pair_count(counters[c]));
			assert_true(pair.doubt > 0);
		}
	}
}

/*
 * virtio-v1.4 RTC Device / Read Requests: what a later request returns is not before what an
 * earlier one did.
 */
static void pairs_one_after_the_other_do_not_go_back(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 2; c++) {
		struct vrtc_pair last = {.count = 0}, pair;

		if (!is_fit(counters[c]))
			continue;
		for (unsigned i = 0; i < PAIRS; i++) {
			vrtc_pair_read(&pairing, counters[c], CLOCK_BOOTTIME, &pair);
			assert_true(pair.count >= last.count);
			assert_true(pair.clock_ns >= last.clock_ns);
			last = pair;
		}
	}
}

/* Two threads, each on a CPU of its own where there are two, that read a pair in turns. */
struct relay {
	enum vrtc_host_counter counter;
	atomic_uint turn;
	struct vrtc_pair last;
	unsigned back;
	int cpu[2];
};

struct runner {
	struct relay *relay;
	unsigned me;
};

static void *run_relay(void *runner_of)
{
	const struct runner *runner = runner_of;
	struct relay *relay = runner->relay;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(relay->cpu[runner->me], &cpu);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
	for (unsigned turn = runner->me; turn < HANDOVERS; turn += 2) {
		struct vrtc_pair pair;

		while (atomic_load_explicit(&relay->turn, memory_order_acquire) != turn)
			sched_yield();
		vrtc_pair_read(&pairing, relay->counter, CLOCK_BOOTTIME, &pair);
		if (pair.count < relay->last.count || pair.clock_ns < relay->last.clock_ns)
			relay->back++;
		relay->last = pair;
		atomic_store_explicit(&relay->turn, turn + 1, memory_order_release);
	}
	return NULL;
}

static void two_cpus(int cpu[2])
{
	cpu_set_t allowed;
	int n = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &allowed))
			cpu[n++] = i;
	if (n < 2)
		cpu[1] = cpu[0];
}

static void pairs_of_two_cpus_do_not_go_back(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 2; c++) {
		struct relay relay = {.counter = counters[c]};
		struct runner runners[2] = {{&relay, 0}, {&relay, 1}};
		pthread_t thread[2];

		if (!is_fit(counters[c]))
			continue;
		two_cpus(relay.cpu);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(
				pthread_create(&thread[i], NULL, run_relay, &runners[i]), 0);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(relay.turn, HANDOVERS);
		assert_int_equal(relay.back, 0);
	}
}

/* The two halves are the same clock: here, and nowhere else on a host, the truth is known. */
static void monotonic_beside_itself_is_the_same_within_doubt(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PAIRS; i++) {
		struct vrtc_pair pair;

		vrtc_pair_read(&pairing, VRTC_HOST_COUNTER_MONOTONIC, CLOCK_MONOTONIC, &pair);
		assert_true(llabs((int64_t)pair.count - pair.clock_ns) <= pair.doubt);
	}
}

/* ---- Windows that are made up. */

static struct vrtc_pair_window window(uint64_t begin, uint64_t width)
{
	return (struct vrtc_pair_window){begin, width, CLOCK_0_NS + (int64_t)begin};
}

/* @return  how many of the windows were looked at */
static unsigned choose(const struct vrtc_pair_widths *good, const struct vrtc_pair_window windows[],
	struct vrtc_pair_window *best)
{
	unsigned n = 0;

	*best = (struct vrtc_pair_window){.width = UINT64_MAX};
	while (!vrtc_pair_choose(good, n, &windows[n], best))
		n++;
	return n + 1;
}

static const struct vrtc_pair_widths good_40_to_44 = {40, 4};

static void first_window_of_a_good_width_is_taken(void **state)
{
	static const uint64_t widths[] = {40, 42, 44};

	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct vrtc_pair_window best,
			windows[3] = {window(100, 39), window(200, widths[w]), window(300, 41)};

		assert_int_equal(choose(&good_40_to_44, windows, &best), 2);
		assert_int_equal(best.begin, 200);
		assert_int_equal(best.width, widths[w]);
		assert_int_equal(best.clock_ns, CLOCK_0_NS + 200);
	}
}

static void window_that_was_interrupted_is_passed_over(void **state)
{
	struct vrtc_pair_window best,
		windows[3] = {window(100, 50045), window(60000, 45), window(70000, 40)};

	(void)state;
	assert_int_equal(choose(&good_40_to_44, windows, &best), 3);
	assert_int_equal(best.begin, 70000);
}

static void where_none_is_good_the_narrowest_of_all_is_taken(void **state)
{
	(void)state;
	for (unsigned narrowest = 0; narrowest < VRTC_PAIR_WINDOWS; narrowest++) {
		struct vrtc_pair_window best, windows[VRTC_PAIR_WINDOWS];

		for (unsigned i = 0; i < VRTC_PAIR_WINDOWS; i++)
			windows[i] = window(1000 + 100 * i, i == narrowest ? 39 : 60 - i);
		assert_int_equal(choose(&good_40_to_44, windows, &best), VRTC_PAIR_WINDOWS);
		assert_int_equal(best.begin, 1000 + 100 * narrowest);
	}
}

static void count_is_the_middle_and_doubt_reaches_both_ends_and_saturates(void **state)
{
	static const uint64_t widths[] = {
		0, 1, 2, 3, 77, 78, UINT32_MAX, UINT64_C(0x1fffffffb), UINT64_C(0x200000000)};

	(void)state;
	for (unsigned w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
		struct vrtc_pair_window of = window(1000, widths[w]);
		struct vrtc_pair pair;

		vrtc_pair_from_window(&of, &pair);
		assert_int_equal(pair.clock_ns, of.clock_ns);
		assert_int_equal(pair.count, 1000 + widths[w] / 2);
		assert_true(pair.doubt > 0);
		if (widths[w] / 2 >= UINT32_MAX) {
			assert_int_equal(pair.doubt, UINT32_MAX);
			continue;
		}
		assert_true(pair.count - 1000 <= pair.doubt);
		assert_true(1000 + widths[w] - pair.count <= pair.doubt);
		assert_true(pair.doubt <= widths[w] / 2 + 1);
	}
}

/* ---- A host that is made up, with all that happens to one. */

static uint64_t random_state = 20261123;

static uint64_t random_below(uint64_t n)
{
	/* xorshift64*, fixed seed: the same windows in each run. */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d) % n;
}

struct host {
	double rate;   /* true counts a ns of the clock, which may be slewed just now */
	uint64_t step; /* the counter moves so many counts at once */
	double way_ns;
	unsigned trouble;
	double count; /* now, exactly */
	double clock_ns;
};

static void pass(struct host *host, double ns)
{
	host->count += ns * host->rate;
	host->clock_ns += ns;
}

static uint64_t shown(const struct host *host)
{
	uint64_t count = (uint64_t)host->count;

	return count - count % host->step;
}

/* To or from the clock, as long as it takes as a rule; one way in so many is interrupted. */
static void pass_some(struct host *host)
{
	pass(host, host->way_ns + (double)random_below(200) / 100);
	if (host->trouble && random_below(host->trouble) == 0)
		pass(host, (double)random_below(100000));
}

/* @return  the counter's value that the clock's was made of */
static uint64_t make_window(struct host *host, struct vrtc_pair_window *made)
{
	uint64_t truth;

	made->begin = shown(host);
	pass_some(host);
	truth = shown(host);
	made->clock_ns =
		CLOCK_0_NS + (int64_t)(host->clock_ns - (host->count - (double)truth) / host->rate);
	pass_some(host);
	made->width = shown(host) - made->begin;
	/* The way to the next one. */
	pass(host, 13 + (double)random_below(1000) / 100);
	return truth;
}

static const double rates[] = {0.025, 1, 2.596, 5};
static const uint64_t steps[] = {1, 1, 26, 2};

static void truth_is_within_doubt_whatever_happens(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MADE_UP; i++) {
		struct host host = {
			.rate = rates[i % 4],
			.step = steps[i % 4],
			.way_ns = 15 + (double)random_below(20),
			.trouble = 10,
			.count = 1e6 + (double)random_below(1000),
		};
		/* At the start they may have been anything. */
		struct vrtc_pair_widths good = {random_below(100), random_below(100)};
		struct vrtc_pair_window window, best = {.width = UINT64_MAX};
		uint64_t truth, best_truth = 0;
		struct vrtc_pair pair;
		unsigned n = 0;
		bool done;

		do {
			/* It is set; or slewed, by a tenth at most. */
			if (random_below(10) == 0)
				host.clock_ns += (double)random_below(2000) - 1000;
			host.rate = rates[i % 4] * (0.9 + 0.1 * (double)random_below(3));
			truth = make_window(&host, &window);
			done = vrtc_pair_choose(&good, n++, &window, &best);
			if (best.begin == window.begin && best.width == window.width)
				best_truth = truth;
		} while (!done);
		assert_true(n <= VRTC_PAIR_WINDOWS);
		vrtc_pair_from_window(&best, &pair);
		assert_true(pair.count - best.begin <= best.width);
		assert_true(llabs((int64_t)(pair.count - best_truth)) <= pair.doubt);
	}
}

static void make_rows(struct host *host, struct vrtc_pair_window rows[ROWS][VRTC_PAIR_ROW])
{
	for (unsigned r = 0; r < ROWS; r++)
		for (unsigned i = 0; i < VRTC_PAIR_ROW; i++)
			(void)make_window(host, &rows[r][i]);
}

static struct vrtc_pair_window rows[ROWS][VRTC_PAIR_ROW];

static void of_a_counter_in_steps_the_width_that_is_symmetrical_is_good(void **state)
{
	/* Ways of 1.8 steps: one and two, two and one, or two and two. Interrupted or not. */
	static const unsigned troubles[] = {0, 200};

	(void)state;
	for (unsigned t = 0; t < 2; t++) {
		struct host host = {.rate = 2.596,
			.step = 26,
			.way_ns = 17,
			.count = 1e6,
			.trouble = troubles[t]};
		struct vrtc_pair_widths good;

		make_rows(&host, rows);
		good = vrtc_pair_good_widths(rows, ROWS, host.rate);
		assert_int_equal(good.narrow, 104);
		assert_int_equal(good.span, 0);
	}
}

static void of_a_fine_counter_most_widths_are_good_and_no_interrupted_one_is(void **state)
{
	struct host host = {.rate = 2.6, .step = 1, .way_ns = 17, .count = 1e6, .trouble = 200};
	struct vrtc_pair_widths good;
	unsigned within = 0;

	(void)state;
	make_rows(&host, rows);
	good = vrtc_pair_good_widths(rows, ROWS, host.rate);
	for (unsigned r = 0; r < ROWS; r++)
		for (unsigned i = 0; i < VRTC_PAIR_ROW; i++)
			within += rows[r][i].width - good.narrow <= good.span;
	assert_true(within > ROWS * VRTC_PAIR_ROW * 9 / 10);
	assert_true(good.narrow + good.span < 120);
}

/* Windows of 2 counts a ns whose clock is in the middle, but for so many ns. */
static struct vrtc_pair_window off_middle(unsigned i, uint64_t width, int64_t off_ns)
{
	return (struct vrtc_pair_window){
		2000 * i, width, CLOCK_0_NS + 1000 * i + (int64_t)width / 4 + off_ns};
}

static void width_is_good_whose_middles_are_right_almost_always(void **state)
{
	struct vrtc_pair_widths good;

	(void)state;
	for (unsigned r = 0; r < ROWS; r++) {
		for (unsigned i = 0; i < VRTC_PAIR_ROW; i++) {
			unsigned n = r * VRTC_PAIR_ROW + i;

			/* Longer on the way back; 1 in 16 off; and right. */
			rows[r][i] = n % 4 == 0   ? off_middle(i, 100, -5)
				     : n % 4 == 1 ? off_middle(i, 84, n % 64 < 4 ? -3 : 0)
						  : off_middle(i, 80 - n % 2 * 4, n % 8 == 2);
		}
	}
	good = vrtc_pair_good_widths(rows, ROWS, 2);
	assert_int_equal(good.narrow, 76);
	assert_int_equal(good.span, 4);
}

static void width_that_is_rare_is_not_waited_for(void **state)
{
	struct vrtc_pair_widths good;

	(void)state;
	for (unsigned r = 0; r < ROWS; r++)
		for (unsigned i = 0; i < VRTC_PAIR_ROW; i++)
			rows[r][i] = i % 8 == 0 ? off_middle(i, 80, 0)
						: off_middle(i, 90, i % 2 ? 4 : -4);
	good = vrtc_pair_good_widths(rows, ROWS, 2);
	assert_int_equal(good.narrow, 0);
	assert_int_equal(good.span, 90);
}

static void where_no_width_is_reliable_the_narrower_half_is_good(void **state)
{
	(void)state;
	/* The clock is where nobody would look for it. */
	for (unsigned r = 0; r < ROWS; r++)
		for (unsigned i = 0; i < VRTC_PAIR_ROW; i++)
			rows[r][i] = (struct vrtc_pair_window){
				1000 * i, 30 + i, (int64_t)(1000 * i + random_below(1000))};
	assert_int_equal(vrtc_pair_good_widths(rows, ROWS, 1).narrow, 0);
	assert_int_equal(vrtc_pair_good_widths(rows, ROWS, 1).span, 30 + VRTC_PAIR_ROW / 2);
}

static int start(void **state)
{
	(void)state;
	vrtc_pairing_init(&pairing);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_halves_lie_between_what_is_read_before_and_after),
		cmocka_unit_test(pairs_one_after_the_other_do_not_go_back),
		cmocka_unit_test(pairs_of_two_cpus_do_not_go_back),
		cmocka_unit_test(monotonic_beside_itself_is_the_same_within_doubt),
		cmocka_unit_test(first_window_of_a_good_width_is_taken),
		cmocka_unit_test(window_that_was_interrupted_is_passed_over),
		cmocka_unit_test(where_none_is_good_the_narrowest_of_all_is_taken),
		cmocka_unit_test(count_is_the_middle_and_doubt_reaches_both_ends_and_saturates),
		cmocka_unit_test(truth_is_within_doubt_whatever_happens),
		cmocka_unit_test(of_a_counter_in_steps_the_width_that_is_symmetrical_is_good),
		cmocka_unit_test(of_a_fine_counter_most_widths_are_good_and_no_interrupted_one_is),
		cmocka_unit_test(width_is_good_whose_middles_are_right_almost_always),
		cmocka_unit_test(width_that_is_rare_is_not_waited_for),
		cmocka_unit_test(where_no_width_is_reliable_the_narrower_half_is_good),
	};

	return cmocka_run_group_tests_name("pair", tests, start, NULL);
}
