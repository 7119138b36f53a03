/* SPDX-License-Identifier: BSD-3-Clause */
/* A line is read whole while another one is published: the readers of ThreadSanitizer's stage. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "phc_line.h"

#define READERS      2
#define PUBLICATIONS 200000

static struct vrtc_phc_published published;
static atomic_bool done;
static atomic_uint torn;

/* All of its fields follow from one number. */
static struct vrtc_phc_line line_of(uint64_t n)
{
	return (struct vrtc_phc_line){.counter0 = n,
		.time0_ns = (int64_t)n * 3,
		.fraction = n * 5,
		.bent_rate = (int64_t)n * 7,
		.bend = n * 11,
		.rate = (int64_t)n * 13,
		.counts_max = n * 17};
}

static void *read_on(void *unused)
{
	uint64_t last = 0;

	while (!atomic_load_explicit(&done, memory_order_relaxed)) {
		struct vrtc_phc_line line, whole;

		vrtc_phc_line_get(&published, &line);
		whole = line_of(line.counter0);
		if (line.time0_ns != whole.time0_ns || line.fraction != whole.fraction ||
			line.bent_rate != whole.bent_rate || line.bend != whole.bend ||
			line.rate != whole.rate || line.counts_max != whole.counts_max ||
			line.counter0 < last)
			atomic_fetch_add(&torn, 1);
		last = line.counter0;
	}
	return unused;
}

static void readers_see_whole_lines_and_none_older_than_the_last(void **state)
{
	pthread_t reader[READERS];

	(void)state;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, read_on, NULL), 0);
	for (uint64_t n = 1; n <= PUBLICATIONS; n++) {
		struct vrtc_phc_line line = line_of(n);

		vrtc_phc_line_publish(&published, &line);
	}
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(reader[i], NULL), 0);
	assert_int_equal(atomic_load(&torn), 0);
}

static void line_before_the_first_publication_is_good_for_nothing(void **state)
{
	static struct vrtc_phc_published none;
	struct vrtc_phc_line line;
	int64_t time_ns = 0;

	(void)state;
	vrtc_phc_line_get(&none, &line);
	assert_false(vrtc_phc_line_at(&line, 0, &time_ns));
	assert_false(vrtc_phc_line_at(&line, 12345, &time_ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_before_the_first_publication_is_good_for_nothing),
		cmocka_unit_test(readers_see_whole_lines_and_none_older_than_the_last),
	};

	return cmocka_run_group_tests_name("phc_line", tests, NULL, NULL);
}
