/* SPDX-License-Identifier: BSD-3-Clause */
/* dirty_log.h: which bits are set, and that none is outside of the log, whatever is marked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dirty_log.h"

#define PAGE  VRTC_DIRTY_LOG_PAGE_BYTES
#define GPA   ((uint64_t)5 * PAGE)
#define PAGES 20

static uint8_t memory[PAGES * PAGE];
static struct {
	uint8_t before[8];
	uint8_t bits[4];
	uint8_t behind[8];
} log_memory;
static struct vrtc_dirty_log dirty;
static struct vrtc_guestmem mem;

static int begin(void **state)
{
	(void)state;
	memset(&log_memory, 0, sizeof(log_memory));
	dirty = (struct vrtc_dirty_log){
		.g_bits = log_memory.bits, .bytes = sizeof(log_memory.bits)};
	mem = (struct vrtc_guestmem){0};
	return vrtc_guestmem_add(&mem, GPA, sizeof(memory), memory);
}

/* The bits, as a number; and nothing beside them. */
static uint32_t taken(void)
{
	static const uint8_t zeroes[8];
	uint32_t bits;

	memcpy(&bits, log_memory.bits, sizeof(bits));
	memset(log_memory.bits, 0, sizeof(log_memory.bits));
	assert_memory_equal(log_memory.before, zeroes, 8);
	assert_memory_equal(log_memory.behind, zeroes, 8);
	return bits;
}

static void each_page_that_is_touched_is_marked(void **state)
{
	(void)state;
	vrtc_dirty_log_mark(&dirty, &mem, memory, 1);
	assert_int_equal(taken(), 1u << 5);
	vrtc_dirty_log_mark(&dirty, &mem, memory + PAGE - 1, 2);
	assert_int_equal(taken(), 3u << 5);
	vrtc_dirty_log_mark(&dirty, &mem, memory + PAGE, 3 * PAGE);
	assert_int_equal(taken(), 7u << 6);
	vrtc_dirty_log_mark(&dirty, &mem, memory + PAGE, 3 * PAGE + 1);
	assert_int_equal(taken(), 15u << 6);
}

static void nothing_is_marked_for_nothing_or_for_what_is_no_memory_of_the_guest(void **state)
{
	(void)state;
	vrtc_dirty_log_mark(&dirty, &mem, memory, 0);
	vrtc_dirty_log_mark(&dirty, &mem, memory + sizeof(memory), 1);
	vrtc_dirty_log_mark(&dirty, &mem, &dirty, 1);
	assert_int_equal(taken(), 0);
}

static void pages_behind_the_log_are_not_marked(void **state)
{
	(void)state;
	dirty.bytes = 1;
	vrtc_dirty_log_mark(&dirty, &mem, memory, sizeof(memory));
	assert_int_equal(taken(), 0xe0);
	dirty.bytes = 0;
	vrtc_dirty_log_mark(&dirty, &mem, memory, sizeof(memory));
	assert_int_equal(taken(), 0);
}

/* VHOST_VRING_F_LOG: the front-end's word counts for the Device Area, and may be anything. */
static void the_device_area_is_where_the_front_end_says(void **state)
{
	(void)state;
	dirty.g_device = memory + 2 * PAGE;
	dirty.device_bytes = 64;
	dirty.device_gpa = (uint64_t)1 * PAGE;
	vrtc_dirty_log_mark(&dirty, &mem, memory + 2 * PAGE, 4);
	assert_int_equal(taken(), 1u << 1);
	vrtc_dirty_log_mark(&dirty, &mem, memory + 2 * PAGE + 64, 4);
	assert_int_equal(taken(), 1u << 7);
	dirty.device_gpa = UINT64_MAX - 2;
	vrtc_dirty_log_mark(&dirty, &mem, memory + 2 * PAGE, 4);
	assert_int_equal(taken(), 0);
	dirty.device_gpa = UINT64_MAX;
	vrtc_dirty_log_mark(&dirty, &mem, memory + 2 * PAGE, 1);
	assert_int_equal(taken(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_page_that_is_touched_is_marked, begin),
		cmocka_unit_test_setup(
			nothing_is_marked_for_nothing_or_for_what_is_no_memory_of_the_guest, begin),
		cmocka_unit_test_setup(pages_behind_the_log_are_not_marked, begin),
		cmocka_unit_test_setup(the_device_area_is_where_the_front_end_says, begin),
	};

	return cmocka_run_group_tests_name("dirty_log", tests, NULL, NULL);
}
