/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The alarmq as drivers fill it: buffers of every shape, good and bad, rings that are broken, and
 * drivers that want to be called or not. What is wrong costs its own buffer or its own queue; no
 * notification is lost.
 *
 * virtio-v1.4 RTC Device / Alarm Notifications: "All alarmq fields are device-writable." "The
 * driver MUST allocate enough space for any alarmq notification in the device-writable part of an
 * alarmq buffer."
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alarms.h"
#include "wire.h"

#define ALARMQ       VIRTIO_RTC_ALARMQ
#define NOTIF_BYTES  ((uint32_t)sizeof(struct virtio_rtc_notif_alarm))
#define BAD_BUFFER   "alarmq: a buffer"
#define BROKEN_QUEUE "alarmq is broken"

static const char *idle = "interrupt";
static struct vfe_session s;

static int start_daemon(void **state)
{
	(void)state;
	fixture_init(&fixture_group);
	alarms_args(&fixture_group, idle);
	fixture_start(&fixture_group);
	return 0;
}

static void connect_with(uint64_t features)
{
	struct vfe_config cfg;

	alarms_config(&fixture_group, &cfg);
	cfg.features |= features;
	fixture_connect_as(&s, &cfg);
	assert_true((s.features & features) == features);
	alarms_clear(&s, ALARMS_N);
}

static int connect_driver(void **state)
{
	(void)state;
	connect_with(UINT64_C(1) << VFE_F_INDIRECT_DESC);
	return 0;
}

static int disconnect_driver(void **state)
{
	(void)state;
	vfe_session_fini(&s);
	return 0;
}

/* An expiration. */
static void fire(void)
{
	alarms_set(&s, ALARMS_UTC, 1, true);
}

/* The next buffer comes back with a notification, and not a byte behind it is written. */
static void expect_good(uint32_t bytes)
{
	static const struct virtio_rtc_notif_alarm notif = {
		.head.msg_type.b = {0x00, 0x20}, .clock_id.b = {ALARMS_UTC}};
	struct vfe_rtc_alarm_used used;

	if (vfe_rtc_alarm_take(&s, &used, FIXTURE_WAIT_MS))
		fail_msg("%s", vfe_error(&s));
	assert_int_equal(used.bytes, bytes);
	assert_int_equal(used.used_bytes, NOTIF_BYTES);
	assert_memory_equal(used.content, &notif, sizeof(notif));
	for (size_t i = sizeof(notif); i < sizeof(used.content); i++)
		assert_int_equal(used.content[i], 0xa5);
}

/* The next buffer comes back with used length 0, untouched. */
static void expect_returned(uint32_t bytes)
{
	struct vfe_rtc_alarm_used used;

	if (vfe_rtc_alarm_take(&s, &used, FIXTURE_WAIT_MS))
		fail_msg("%s", vfe_error(&s));
	assert_int_equal(used.bytes, bytes);
	assert_int_equal(used.used_bytes, 0);
	for (size_t i = 0; i < sizeof(used.content); i++)
		assert_int_equal(used.content[i], 0xa5);
}

/* The notification goes past a bad buffer, which comes back, into the next good one. */
static void check_bad(const struct vfe_rtc_part *part, unsigned n, bool indirect)
{
	uint32_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += part[i].bytes;
	/* First the buffer, then the event; and the event first. */
	for (unsigned order = 0; order < 2; order++) {
		if (order == 1)
			fire();
		if (vfe_rtc_alarmq_add(&s, part, n, indirect))
			fail_msg("%s", vfe_error(&s));
		if (order == 0)
			fire();
		expect_returned(bytes);
		assert_int_equal(vfe_ring_in_flight(&s.queues[ALARMQ].ring), 0);
		alarms_fill(&s, 1);
		expect_good(NOTIF_BYTES);
	}
}

static void check_good(const struct vfe_rtc_part *part, unsigned n, bool indirect)
{
	uint32_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += part[i].bytes;
	if (vfe_rtc_alarmq_add(&s, part, n, indirect))
		fail_msg("%s", vfe_error(&s));
	fire();
	expect_good(bytes);
}

static void a_buffer_that_is_too_small_comes_back_empty_and_the_next_is_used(void **state)
{
	(void)state;
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		for (uint32_t bytes = 0; bytes < NOTIF_BYTES; bytes++) {
			struct vfe_rtc_part whole = {bytes, true};
			struct vfe_rtc_part split[2] = {
				{bytes / 2, true}, {bytes - bytes / 2, true}};

			check_bad(&whole, 1, indirect);
			check_bad(split, 2, indirect);
		}
	}
	/* Of all of them, one line. */
	fixture_wait_log(&fixture_group, BAD_BUFFER, 1);
}

static void a_buffer_with_readable_parts_comes_back_empty(void **state)
{
	static const struct vfe_rtc_part readable[] = {{16, false}};
	static const struct vfe_rtc_part before[] = {{8, false}, {16, true}};
	static const struct vfe_rtc_part one_byte[] = {{1, false}, {63, true}};
	static const struct vfe_rtc_part two[] = {{16, false}, {16, false}};
	unsigned told = fixture_log_lines(&fixture_group, BAD_BUFFER);

	(void)state;
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		check_bad(readable, 1, indirect);
		check_bad(before, 2, indirect);
		check_bad(one_byte, 2, indirect);
		check_bad(two, 2, indirect);
	}
	fixture_wait_log(&fixture_group, BAD_BUFFER, told + 1);
}

/* "The alarmq field", in as many pieces as the driver likes. */
static void a_buffer_that_is_large_enough_gets_16_bytes_and_keeps_the_rest(void **state)
{
	static const struct vfe_rtc_part pieces[8] = {{1, true}, {1, true}, {1, true}, {1, true},
		{3, true}, {8, true}, {1, true}, {10, true}};
	static const struct vfe_rtc_part empty_ones[5] = {
		{0, true}, {7, true}, {0, true}, {9, true}, {0, true}};

	(void)state;
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		for (uint32_t bytes = NOTIF_BYTES; bytes <= VFE_RTC_ALARM_BYTES_MAX; bytes++) {
			struct vfe_rtc_part whole = {bytes, true};

			check_good(&whole, 1, indirect);
			for (uint32_t cut = 1; cut < bytes; cut += 5) {
				struct vfe_rtc_part split[2] = {{cut, true}, {bytes - cut, true}};

				check_good(split, 2, indirect);
			}
		}
		check_good(pieces, 8, indirect);
		check_good(empty_ones, 5, indirect);
	}
}

/* Nothing but bad buffers, a ring full at a time: requests are answered. */
static void a_flood_of_bad_buffers_delays_nobody(void **state)
{
	struct vfe_rtc_alarm_used used;

	(void)state;
	fire();
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(vfe_rtc_alarmq_fill(&s, 256, 8), 0);
		(void)alarms_now(&s, ALARMS_UTC);
		for (unsigned i = 0; i < 256; i++) {
			if (vfe_rtc_alarm_take(&s, &used, FIXTURE_WAIT_MS))
				fail_msg("%s", vfe_error(&s));
			assert_int_equal(used.used_bytes, 0);
		}
	}
	alarms_fill(&s, 1);
	expect_good(NOTIF_BYTES);
}

/* Between bad ones and good ones, each alarm comes exactly once. */
static void good_buffers_among_bad_ones_carry_every_notification_once(void **state)
{
	uint64_t left = (UINT64_C(1) << ALARMS_N) - 1;

	(void)state;
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, 1, true);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(
			vfe_rtc_alarmq_fill(&s, 1, i % 5 == 4 ? NOTIF_BYTES : 1 + i % 15), 0);
	while (left) {
		struct vfe_rtc_alarm_used used;

		if (vfe_rtc_alarm_take(&s, &used, FIXTURE_WAIT_MS))
			fail_msg("%s", vfe_error(&s));
		if (used.bytes < NOTIF_BYTES) {
			assert_int_equal(used.used_bytes, 0);
			continue;
		}
		assert_int_equal(used.used_bytes, NOTIF_BYTES);
		assert_true(left >> used.content[8] & 1);
		left &= ~(UINT64_C(1) << used.content[8]);
	}
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* ---- Rings that are broken ---- */

static struct vfe_ring *alarmq(void)
{
	return &s.queues[ALARMQ].ring;
}

/* The head of the buffer that was added last. */
static struct vfe_desc *last_desc(void)
{
	return &alarmq()->desc[alarmq()->avail->ring[(alarmq()->avail->idx - 1u) % 256]];
}

static void break_available_entry(void)
{
	alarmq()->avail->ring[(alarmq()->avail->idx - 1u) % 256] = 256;
}

static void break_available_index(void)
{
	__atomic_store_n(&alarmq()->avail->idx, 0x4000, __ATOMIC_RELEASE);
}

static void break_address(void)
{
	last_desc()->gpa = 0xdead0000dead0000;
}

static void break_address_that_wraps(void)
{
	last_desc()->gpa = UINT64_MAX - 4;
}

static void break_length(void)
{
	last_desc()->bytes = UINT32_MAX;
}

static void break_by_loop(void)
{
	last_desc()->flags |= VFE_DESC_F_NEXT;
	last_desc()->next = alarmq()->avail->ring[(alarmq()->avail->idx - 1u) % 256];
}

static void break_next(void)
{
	last_desc()->flags |= VFE_DESC_F_NEXT;
	last_desc()->next = 0xffff;
}

static void break_table_size(void)
{
	last_desc()->flags = VFE_DESC_F_INDIRECT;
	last_desc()->bytes = 15;
}

static void break_table_address(void)
{
	last_desc()->flags = VFE_DESC_F_INDIRECT;
	last_desc()->gpa = 0xdead0000dead0000;
}

static void a_broken_alarmq_is_left_alone_with_one_line_and_requests_are_answered(void **state)
{
	static void (*const how[])(void) = {break_available_entry, break_available_index,
		break_address, break_address_that_wraps, break_length, break_by_loop, break_next,
		break_table_size, break_table_address};
	unsigned told = fixture_log_lines(&fixture_group, BROKEN_QUEUE);

	(void)state;
	for (unsigned i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		/* Three lines a connection are the most: each has its own. */
		disconnect_driver(NULL);
		connect_driver(NULL);
		alarms_fill(&s, 1);
		how[i]();
		fire();
		for (unsigned k = 0; k < 20; k++) {
			(void)alarms_now(&s, ALARMS_UTC);
			alarms_check(&s, ALARMS_UTC, 1, true);
			alarms_enable(&s, ALARMS_UTC, true);
		}
		assert_int_equal(vfe_ring_used_idx(alarmq()), 0);
		fixture_wait_log(&fixture_group, BROKEN_QUEUE, ++told);

		/* The driver resets the device, and has what it missed. */
		assert_int_equal(vfe_session_reset(&s), 0);
		alarms_fill(&s, 2);
		alarms_wait(&s, ALARMS_UTC);
		alarms_wait_none(&s, 5);
	}
}

static void what_is_behind_a_used_buffer_is_not_looked_at_before_an_alarm(void **state)
{
	(void)state;
	/* Broken, but nobody wants the buffer; the driver mends it in time. */
	alarms_fill(&s, 1);
	break_address();
	(void)alarms_now(&s, ALARMS_UTC);
	assert_int_equal(vfe_session_reset(&s), 0);
	alarms_fill(&s, 1);
	fire();
	expect_good(NOTIF_BYTES);
}

/* ---- Calls ---- */

/* Each start of a queue calls once (lib/rtc/DESIGN.md, D17), behind the last message's answer. */
static void await_call_of_start(void)
{
	unsigned ms = 0;

	while (vfe_session_calls(&s, ALARMQ) == 0) {
		assert_in_range(ms++, 0, FIXTURE_WAIT_MS);
		fixture_sleep_ms(1);
	}
}

/* Waits for the used index without any help of the device. */
static void wait_used_index(uint16_t index)
{
	for (unsigned ms = 0; vfe_ring_used_idx(alarmq()) != index; ms++) {
		assert_in_range(ms, 0, FIXTURE_WAIT_MS);
		fixture_sleep_ms(1);
	}
	/* A call comes right behind the index. */
	fixture_sleep_ms(20);
}

static void the_driver_is_called_once_for_a_notification_unless_it_said_no(void **state)
{
	(void)state;
	alarms_fill(&s, 16);
	await_call_of_start();
	for (uint16_t i = 0; i < 8; i++) {
		if (i % 2)
			vfe_ring_arm_call(alarmq());
		else
			vfe_ring_suppress_calls(alarmq());
		fire();
		wait_used_index((uint16_t)(i + 1));
		assert_int_equal(vfe_session_calls(&s, ALARMQ), i % 2);
	}
	/* And for a buffer that was of no use. */
	alarms_clear(&s, ALARMS_N);
	assert_int_equal(vfe_session_reset(&s), 0);
	assert_int_equal(vfe_rtc_alarmq_fill(&s, 1, 8), 0);
	vfe_ring_arm_call(alarmq());
	await_call_of_start();
	fire();
	wait_used_index(1);
	assert_int_equal(vfe_session_calls(&s, ALARMQ), 1);
}

static void with_event_idx_the_driver_is_called_for_the_entry_that_it_named(void **state)
{
	uint16_t *used_event;

	(void)state;
	disconnect_driver(NULL);
	connect_with(UINT64_C(1) << VFE_F_EVENT_IDX);
	alarms_fill(&s, 16);
	used_event = &alarmq()->avail->ring[256];
	await_call_of_start();
	for (uint16_t i = 0; i < 12; i++) {
		/* Entries 2, 5, 8 and 11 are wanted. */
		__atomic_store_n(used_event, (uint16_t)(i / 3 * 3 + 2), __ATOMIC_SEQ_CST);
		fire();
		wait_used_index((uint16_t)(i + 1));
		assert_int_equal(vfe_session_calls(&s, ALARMQ), i % 3 == 2);
	}
}

static void a_driver_that_sleeps_is_woken_for_each_alarm(void **state)
{
	struct vfe_config cfg;

	(void)state;
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		disconnect_driver(NULL);
		alarms_config(&fixture_group, &cfg);
		cfg.wait = VFE_WAIT_SLEEP;
		cfg.ring_size = 8;
		if (event_idx)
			cfg.features |= UINT64_C(1) << VFE_F_EVENT_IDX;
		fixture_connect_as(&s, &cfg);
		alarms_clear(&s, ALARMS_N);
		alarms_fill(&s, 2);
		for (unsigned i = 0; i < 60; i++) {
			uint16_t clock = (uint16_t)(i % ALARMS_N);

			alarms_set(&s, clock, alarms_now(&s, clock) + i % 4 * 500000, true);
			alarms_wait(&s, clock);
			alarms_fill(&s, 1);
		}
	}
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_driver, disconnect_driver)
	const struct CMUnitTest tests[] = {
		TEST(a_buffer_that_is_too_small_comes_back_empty_and_the_next_is_used),
		TEST(a_buffer_with_readable_parts_comes_back_empty),
		TEST(a_buffer_that_is_large_enough_gets_16_bytes_and_keeps_the_rest),
		TEST(a_flood_of_bad_buffers_delays_nobody),
		TEST(good_buffers_among_bad_ones_carry_every_notification_once),
		TEST(a_broken_alarmq_is_left_alone_with_one_line_and_requests_are_answered),
		TEST(what_is_behind_a_used_buffer_is_not_looked_at_before_an_alarm),
		TEST(the_driver_is_called_once_for_a_notification_unless_it_said_no),
		TEST(with_event_idx_the_driver_is_called_for_the_entry_that_it_named),
		TEST(a_driver_that_sleeps_is_woken_for_each_alarm),
	};

	if (argc > 1)
		idle = argv[1];
	return cmocka_run_group_tests(tests, start_daemon, fixture_group_teardown);
}
