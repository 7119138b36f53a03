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
#define RATE(r)    ((uint64_t)((r) * (1u << VRTC_PAIR_RATE_SHIFT)))
#define RATE_OF_1  RATE(1)
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

/* ---- Windows that are made up: at a rate of 1, so that counts are ns. */

static struct vrtc_pair_window window(uint64_t begin, uint64_t width, int64_t clock_ns)
{
	return (struct vrtc_pair_window){begin, width, CLOCK_0_NS + clock_ns};
}

static void two_windows_that_agree_settle_it_and_the_narrower_counts(void **state)
{
	struct vrtc_pair_window windows[2] = {window(1000, 40, 0), window(1040, 60, 50)};
	struct vrtc_pair pair;

	(void)state;
	assert_true(vrtc_pair_settle(windows, 2, RATE_OF_1, &pair));
	assert_int_equal(pair.count, 1020);
	assert_int_equal(pair.clock_ns, CLOCK_0_NS);
	assert_int_equal(pair.doubt, 21);
	windows[0].width = 60;
	windows[1] = window(1060, 40, 50);
	assert_true(vrtc_pair_settle(windows, 2, RATE_OF_1, &pair));
	assert_int_equal(pair.count, 1080);
	assert_int_equal(pair.clock_ns, CLOCK_0_NS + 50);
}

static void one_window_settles_nothing(void **state)
{
	struct vrtc_pair_window alone = window(1000, 40, 0);
	struct vrtc_pair pair;

	(void)state;
	assert_false(vrtc_pair_settle(&alone, 1, RATE_OF_1, &pair));
}

static void windows_agree_to_2_ns_of_their_middles_and_no_further(void **state)
{
	static const double rates[] = {0.025, 1, 2.6, 5};

	(void)state;
	for (unsigned r = 0; r < 4; r++) {
		/* Windows of 400 ns, the second 4000 ns after the first. */
		uint64_t width = (uint64_t)(400 * rates[r]), later = (uint64_t)(4000 * rates[r]);

		for (int off_ns = -10; off_ns <= 10; off_ns++) {
			struct vrtc_pair_window windows[2] = {
				window(777, width, 0), window(777 + later, width, 4000 + off_ns)};
			struct vrtc_pair pair;

			/* What lies between 1 and 3 is the rate's rounding. */
			if (abs(off_ns) == 2)
				continue;
			assert_int_equal(vrtc_pair_settle(windows, 2, RATE(rates[r]), &pair),
				abs(off_ns) < 2);
		}
	}
}

static void window_that_was_interrupted_is_passed_over(void **state)
{
	/* In the second the thread lost its CPU for 50 us, before the clock was read. */
	struct vrtc_pair_window windows[3] = {
		window(1000, 40, 0), window(1040, 50040, 50020), window(51100, 40, 50100)};
	struct vrtc_pair pair;

	(void)state;
	assert_false(vrtc_pair_settle(windows, 2, RATE_OF_1, &pair));
	assert_true(vrtc_pair_settle(windows, 3, RATE_OF_1, &pair));
	assert_int_equal(pair.count, 51120);
	assert_int_equal(pair.doubt, 21);
}

static void clock_that_is_set_between_windows_is_told_as_it_is_afterwards(void **state)
{
	static const int64_t steps_ns[] = {1000, -1000, 100 * VRTC_NS_PER_S, -100 * VRTC_NS_PER_S,
		-CLOCK_0_NS, INT64_MAX - CLOCK_0_NS - 1000};

	(void)state;
	for (unsigned s = 0; s < sizeof(steps_ns) / sizeof(steps_ns[0]); s++) {
		struct vrtc_pair_window windows[3] = {window(1000, 40, 0),
			window(1040, 40, 40 + steps_ns[s]), window(1100, 44, 102 + steps_ns[s])};
		struct vrtc_pair pair;

		assert_false(vrtc_pair_settle(windows, 2, RATE_OF_1, &pair));
		assert_true(vrtc_pair_settle(windows, 3, RATE_OF_1, &pair));
		assert_int_equal(pair.count, 1060);
		assert_int_equal(pair.clock_ns, CLOCK_0_NS + 40 + steps_ns[s]);
	}
}

static void where_none_agree_the_narrowest_of_all_is_taken(void **state)
{
	for (unsigned narrowest = 0; narrowest < VRTC_PAIR_WINDOWS; narrowest++) {
		struct vrtc_pair_window windows[VRTC_PAIR_WINDOWS];
		struct vrtc_pair pair;

		for (unsigned i = 0; i < VRTC_PAIR_WINDOWS; i++)
			windows[i] = window(1000 + 100 * i, i == narrowest ? 40 : 60, 120 * i);
		for (unsigned n = 1; n < VRTC_PAIR_WINDOWS; n++)
			assert_false(vrtc_pair_settle(windows, n, RATE_OF_1, &pair));
		assert_true(vrtc_pair_settle(windows, VRTC_PAIR_WINDOWS, RATE_OF_1, &pair));
		assert_int_equal(pair.count, 1000 + 100 * narrowest + 20);
		assert_int_equal(pair.clock_ns, CLOCK_0_NS + 120 * narrowest);
	}
	(void)state;
}

static void doubt_reaches_both_ends_and_saturates(void **state)
{
	static const uint64_t widths[] = {
		0, 1, 2, 3, 77, 78, UINT32_MAX, UINT64_C(0x1fffffffb), UINT64_C(0x200000000)};

	(void)state;
	for (unsigned w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
		struct vrtc_pair_window windows[2] = {
			window(1000, widths[w], 0), window(1000, widths[w], 0)};
		struct vrtc_pair pair;

		assert_true(vrtc_pair_settle(windows, 2, RATE_OF_1, &pair));
		assert_true(pair.doubt > 0);
		assert_true(pair.count - 1000 <= widths[w]);
		if (pair.doubt == UINT32_MAX)
			continue;
		assert_true(pair.count - 1000 <= pair.doubt);
		assert_true(1000 + widths[w] - pair.count <= pair.doubt);
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
	double count;  /* now, exactly */
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

/* To and from the clock, 15 to 25 ns; one way in 20 is interrupted. */
static void pass_some(struct host *host)
{
	pass(host, 15 + (double)random_below(1000) / 100);
	if (random_below(20) == 0)
		pass(host, (double)random_below(100000));
}

/* @return  the counter's value that the clock's was made of */
static uint64_t make_window(struct host *host, struct vrtc_pair_window *made)
{
	uint64_t truth;

	if (random_below(20) == 0)
		host->clock_ns += (double)random_below(2000) - 1000;
	made->begin = shown(host);
	pass_some(host);
	truth = shown(host);
	made->clock_ns =
		CLOCK_0_NS + (int64_t)(host->clock_ns - (host->count - (double)truth) / host->rate);
	pass_some(host);
	made->width = shown(host) - made->begin;
	return truth;
}

static void truth_is_within_doubt_whatever_happens(void **state)
{
	static const double rates[] = {0.025, 1, 2.596, 5};
	static const uint64_t steps[] = {1, 1, 26, 2};

	(void)state;
	for (unsigned i = 0; i < MADE_UP; i++) {
		double told = rates[i % 4];
		/* A clock that is slewed may go as much as a tenth faster or slower. */
		struct host host = {
			.rate = told * (0.9 + 0.1 * (double)random_below(3)),
			.step = steps[i % 4],
			.count = 1e6 + (double)random_below(1000),
		};
		struct vrtc_pair_window windows[VRTC_PAIR_WINDOWS];
		uint64_t truth[VRTC_PAIR_WINDOWS];
		struct vrtc_pair pair = {.doubt = 0};
		bool within = false;
		unsigned n = 0;

		do
			truth[n] = make_window(&host, &windows[n]);
		while (n++, !vrtc_pair_settle(windows, n, RATE(told), &pair));
		assert_true(n <= VRTC_PAIR_WINDOWS);
		for (unsigned w = 0; w < n; w++)
			within |= windows[w].clock_ns == pair.clock_ns &&
				  pair.count - windows[w].begin <= windows[w].width &&
				  llabs((int64_t)(pair.count - truth[w])) <= pair.doubt;
		assert_true(within);
	}
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
		cmocka_unit_test(one_window_settles_nothing),
		cmocka_unit_test(two_windows_that_agree_settle_it_and_the_narrower_counts),
		cmocka_unit_test(windows_agree_to_2_ns_of_their_middles_and_no_further),
		cmocka_unit_test(window_that_was_interrupted_is_passed_over),
		cmocka_unit_test(clock_that_is_set_between_windows_is_told_as_it_is_afterwards),
		cmocka_unit_test(where_none_agree_the_narrowest_of_all_is_taken),
		cmocka_unit_test(doubt_reaches_both_ends_and_saturates),
		cmocka_unit_test(truth_is_within_doubt_whatever_happens),
	};

	return cmocka_run_group_tests_name("pair", tests, start, NULL);
}
