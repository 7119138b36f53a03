/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device's alarms with a driver's ring in memory of the test, and clocks that the test sets. What
 * the whole daemon does of it is in tests/daemon.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alarm_device.h"
#include "wire.h"

enum { UTC, TAI, PLAIN };
static const struct vrtc_clock clocks[] = {
	[UTC] = {.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true},
	[TAI] = {.type = VIRTIO_RTC_CLOCK_TAI, .alarm = true},
	[PLAIN] = {.type = VIRTIO_RTC_CLOCK_MONOTONIC},
};
#define N_CLOCKS 3

#define RING 16
#define GPA  0x10000

/* The guest's memory: an alarmq, and a buffer for each descriptor. */
static struct {
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
		uint16_t next;
	} desc[RING];
	struct {
		uint16_t flags;
		uint16_t idx;
		uint16_t ring[RING];
		uint16_t used_event;
	} avail;
	_Alignas(4) struct {
		uint16_t flags;
		uint16_t idx;
		struct {
			uint32_t id;
			uint32_t len;
		} ring[RING];
		uint16_t avail_event;
	} used;
	_Alignas(16) uint8_t buffer[RING][64];
} __attribute__((aligned(4096))) g;

static struct vrtc_guestmem mem;
static struct vrtc_alarm_ledger ledger;
static struct vrtc_alarm_device dev;
static struct vrtc_agenda agenda[VRTC_TIMESCALES];
static struct vrtc_agenda_slot slots[VRTC_TIMESCALES][2 * N_CLOCKS];
static uint16_t seen; /* how far the driver has looked at the used ring */
static uint64_t serial;

static void new_agenda(void)
{
	for (unsigned t = 0; t < VRTC_TIMESCALES; t++)
		vrtc_agenda_init(&agenda[t], slots[t], N_CLOCKS);
}

/* What a new process does: nothing is left but the ledger, and the guest's memory. */
static void begin_process(void)
{
	new_agenda();
	vrtc_alarm_device_init(&dev, clocks, N_CLOCKS, &ledger);
	vrtc_alarm_device_join(&dev, agenda);
}

static void start_alarmq(uint16_t base)
{
	const struct vrtc_vring_config config = {
		.mem = &mem,
		.g_desc = g.desc,
		.g_driver = &g.avail,
		.g_device = &g.used,
		.size = RING,
		.base = base,
	};
	const char *why;

	assert_int_equal(vrtc_alarm_device_start(&dev, &config, &why), 0);
}

static int begin(void **state)
{
	(void)state;
	memset(&g, 0, sizeof(g));
	mem = (struct vrtc_guestmem){0};
	seen = 0;
	serial = 1;
	vrtc_alarm_ledger_init(&ledger, clocks, N_CLOCKS);
	begin_process();
	return vrtc_guestmem_add(&mem, GPA, sizeof(g), &g);
}

static void add_buffer(uint32_t bytes, bool writable)
{
	uint16_t d = g.avail.idx % RING;

	g.desc[d].addr = htole64(GPA + (uint64_t)((uint8_t *)g.buffer[d] - (uint8_t *)&g));
	g.desc[d].len = htole32(bytes);
	g.desc[d].flags = htole16(writable ? 2 : 0);
	memset(g.buffer[d], 0xa5, sizeof(g.buffer[d]));
	g.avail.ring[g.avail.idx % RING] = htole16(d);
	g.avail.idx++;
}

static void add_buffers(unsigned n)
{
	while (n--)
		add_buffer(16, true);
}

static enum vrtc_alarm_delivery deliver(void)
{
	bool signal = false;

	return vrtc_alarm_device_deliver(&dev, &signal);
}

/* The clock of the next notification that the driver has not seen yet; -1: there is none. */
static int next_notification(void)
{
	struct virtio_rtc_notif_alarm notif;

	if (seen == le16toh(g.used.idx))
		return -1;
	assert_int_equal(le32toh(g.used.ring[seen % RING].len), sizeof(notif));
	memcpy(&notif, g.buffer[le32toh(g.used.ring[seen % RING].id)], sizeof(notif));
	seen++;
	assert_int_equal(vrtc_le16_get(notif.head.msg_type), VIRTIO_RTC_NOTIF_ALARM);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(notif.head.reserved[i], 0);
		assert_int_equal(notif.reserved[i], 0);
	}
	return vrtc_le16_get(notif.clock_id);
}

static struct vrtc_alarm_now at(uint64_t ns)
{
	return (struct vrtc_alarm_now){.known = true, .ns = ns};
}

static bool set(uint16_t clock_id, uint64_t alarm_ns, bool enabled, uint64_t now_ns)
{
	const struct vrtc_alarm_change change = {.clock_id = clock_id,
		.enabled = enabled,
		.alarm_ns = alarm_ns,
		.serial = serial,
		.request_index = (uint16_t)serial};

	serial++;
	return vrtc_alarm_device_set(&dev, &change, at(now_ns));
}

static bool enable(uint16_t clock_id, bool enabled, uint64_t now_ns)
{
	const struct vrtc_alarm_change change = {.clock_id = clock_id,
		.enabled = enabled,
		.serial = serial,
		.request_index = (uint16_t)serial};

	serial++;
	return vrtc_alarm_device_enable(&dev, &change, at(now_ns));
}

/* What a turn of the alarm lcore does when the clock shows now_ns. */
static void compare(enum vrtc_timescale timescale, uint64_t now_ns)
{
	struct vrtc_alarm *alarm;

	while ((alarm = vrtc_agenda_expire(&agenda[timescale], now_ns)) != NULL)
		vrtc_alarm_device_expire(alarm);
	while ((alarm = vrtc_agenda_rewind(&agenda[timescale], now_ns)) != NULL)
		vrtc_alarm_device_rewind(alarm);
	(void)deliver();
}

static void alarm_is_zero_and_disabled_initially(void **state)
{
	(void)state;
	for (unsigned c = 0; c < N_CLOCKS; c++) {
		assert_int_equal(dev.alarm[c].alarm_ns, 0);
		assert_false(dev.alarm[c].enabled);
	}
	compare(VRTC_TIMESCALE_UTC, 1000);
	assert_int_equal(dev.owed, 0);
}

static void clock_that_progresses_to_the_alarm_time_expires_it_once(void **state)
{
	(void)state;
	add_buffers(4);
	start_alarmq(0);
	assert_false(set(UTC, 1000, true, 10));
	compare(VRTC_TIMESCALE_UTC, 999);
	assert_int_equal(next_notification(), -1);
	compare(VRTC_TIMESCALE_UTC, 1000);
	assert_int_equal(next_notification(), UTC);
	compare(VRTC_TIMESCALE_UTC, 1001);
	compare(VRTC_TIMESCALE_UTC, 100000);
	assert_int_equal(next_notification(), -1);
}

static void clock_that_steps_over_the_alarm_time_expires_it(void **state)
{
	(void)state;
	add_buffers(1);
	start_alarmq(0);
	set(TAI, 1000, true, 10);
	compare(VRTC_TIMESCALE_TAI, UINT64_C(3600000000000));
	assert_int_equal(next_notification(), TAI);
}

static void alarm_set_to_a_time_that_is_reached_expires_at_once(void **state)
{
	(void)state;
	add_buffers(3);
	start_alarmq(0);
	assert_true(set(UTC, 1000, true, 1000));
	assert_true(set(TAI, 0, true, 1000));
	assert_int_equal(deliver(), VRTC_ALARM_NOTHING_OWED);
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), TAI);
	/* Set again, it is another event. */
	assert_true(set(UTC, 1000, true, 1000));
	deliver();
	assert_int_equal(next_notification(), UTC);
}

static void alarm_enabled_when_its_time_is_reached_expires_and_keeps_its_time(void **state)
{
	(void)state;
	add_buffers(2);
	start_alarmq(0);
	assert_false(set(UTC, 1000, false, 10));
	compare(VRTC_TIMESCALE_UTC, 2000);
	assert_int_equal(next_notification(), -1);
	assert_true(enable(UTC, true, 2000));
	deliver();
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(dev.alarm[UTC].alarm_ns, 1000);
}

static void disabled_alarm_is_not_served_any_more(void **state)
{
	(void)state;
	start_alarmq(0);
	set(UTC, 1000, true, 2000);
	set(TAI, 1000, true, 2000);
	assert_int_equal(deliver(), VRTC_ALARM_NO_BUFFER);
	enable(UTC, false, 2000);
	set(TAI, 500, false, 2000);
	add_buffers(4);
	assert_int_equal(deliver(), VRTC_ALARM_NOTHING_OWED);
	assert_int_equal(next_notification(), -1);
	/* And disabled it does not expire, whatever the clock does. */
	compare(VRTC_TIMESCALE_UTC, 10);
	compare(VRTC_TIMESCALE_UTC, 5000);
	assert_int_equal(next_notification(), -1);
}

static void expiration_is_notified_once_when_there_is_a_buffer_and_the_queue_runs(void **state)
{
	(void)state;
	set(UTC, 1000, true, 10);
	compare(VRTC_TIMESCALE_UTC, 1500);
	start_alarmq(0);
	assert_int_equal(deliver(), VRTC_ALARM_NO_BUFFER);
	compare(VRTC_TIMESCALE_UTC, 1600);
	add_buffers(3);
	assert_int_equal(deliver(), VRTC_ALARM_NOTHING_OWED);
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), -1);
}

static void clock_that_steps_back_and_comes_again_expires_it_again(void **state)
{
	(void)state;
	add_buffers(4);
	start_alarmq(0);
	set(UTC, 1000, true, 10);
	for (unsigned i = 0; i < 3; i++) {
		compare(VRTC_TIMESCALE_UTC, 1500);
		assert_int_equal(next_notification(), UTC);
		assert_int_equal(next_notification(), -1);
		compare(VRTC_TIMESCALE_UTC, 999);
	}
	assert_int_equal(next_notification(), -1);
}

static void step_back_stops_what_was_not_delivered_so_that_no_driver_hears_of_it_early(void **state)
{
	(void)state;
	start_alarmq(0);
	set(UTC, 1000, true, 10);
	compare(VRTC_TIMESCALE_UTC, 1500);
	compare(VRTC_TIMESCALE_UTC, 500);
	add_buffers(2);
	deliver();
	assert_int_equal(next_notification(), -1);
	compare(VRTC_TIMESCALE_UTC, 1000);
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), -1);
}

static void alarm_expires_in_its_own_clock_s_time(void **state)
{
	(void)state;
	add_buffers(2);
	start_alarmq(0);
	set(UTC, 1000, true, 10);
	set(TAI, 1000, true, 10);
	compare(VRTC_TIMESCALE_TAI, 5000);
	assert_int_equal(next_notification(), TAI);
	assert_int_equal(next_notification(), -1);
}

static void clock_that_cannot_be_read_expires_nothing_until_it_can(void **state)
{
	const struct vrtc_alarm_change change = {.clock_id = UTC, .enabled = true, .alarm_ns = 1};

	(void)state;
	add_buffers(1);
	start_alarmq(0);
	assert_false(vrtc_alarm_device_set(&dev, &change, (struct vrtc_alarm_now){.known = false}));
	deliver();
	assert_int_equal(next_notification(), -1);
	compare(VRTC_TIMESCALE_UTC, 1);
	assert_int_equal(next_notification(), UTC);
}

static void reset_retains_and_expires_what_is_past_and_enabled(void **state)
{
	(void)state;
	set(UTC, 1000, true, 2000);
	set(TAI, 3000, true, 2000);
	vrtc_alarm_device_reset(&dev, true);
	assert_int_equal(dev.owed, 1 << UTC);
	assert_int_equal(dev.alarm[TAI].alarm_ns, 3000);
	assert_true(dev.alarm[TAI].enabled);
	add_buffers(4);
	start_alarmq(0);
	deliver();
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), -1);
	/* Delivered or not, each reset is an event. */
	vrtc_alarm_device_stop(&dev);
	vrtc_alarm_device_reset(&dev, true);
	assert_int_equal(dev.owed, 1 << UTC);
	start_alarmq(g.used.idx);
	deliver();
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), -1);
}

static void reset_that_does_not_retain_initialises_time_to_zero_and_disables(void **state)
{
	(void)state;
	add_buffers(2);
	start_alarmq(0);
	set(UTC, 1000, true, 10);
	set(TAI, 1000, true, 10);
	compare(VRTC_TIMESCALE_TAI, 2000);
	assert_int_equal(next_notification(), TAI);
	vrtc_alarm_device_reset(&dev, false);
	assert_int_equal(dev.owed, 0);
	alarm_is_zero_and_disabled_initially(NULL);
	compare(VRTC_TIMESCALE_UTC, 2000);
	compare(VRTC_TIMESCALE_TAI, 10);
	compare(VRTC_TIMESCALE_TAI, 2000);
	assert_int_equal(next_notification(), -1);
	begin_process();
	alarm_is_zero_and_disabled_initially(NULL);
}

static void check_bad_buffer(uint32_t bytes, bool writable)
{
	(void)begin(NULL);
	add_buffer(bytes, writable);
	start_alarmq(0);
	set(UTC, 1000, true, 2000);
	assert_int_equal(deliver(), VRTC_ALARM_NO_BUFFER);
	assert_true(dev.bad_buffer);
	assert_int_equal(le16toh(g.used.idx), 1);
	assert_int_equal(le32toh(g.used.ring[0].len), 0);
	for (unsigned i = 0; i < sizeof(g.buffer[0]); i++)
		assert_int_equal(g.buffer[0][i], 0xa5);
	seen = 1;
	add_buffer(16, true);
	assert_int_equal(deliver(), VRTC_ALARM_NOTHING_OWED);
	assert_int_equal(next_notification(), UTC);
}

static void buffer_without_room_is_given_back_untouched_and_the_next_one_is_used(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes < 16; bytes++)
		check_bad_buffer(bytes, true);
	check_bad_buffer(16, false);
	check_bad_buffer(64, false);
}

static void bad_buffers_are_taken_a_bounded_number_at_a_time(void **state)
{
	unsigned calls = 1;

	(void)state;
	start_alarmq(0);
	set(UTC, 1000, true, 2000);
	/* The driver makes its buffers available again at once: as many as the device takes. */
	for (unsigned i = 0; i < RING; i++)
		add_buffer(8, true);
	while (deliver() == VRTC_ALARM_NO_BUFFER && calls < 10) {
		assert_true((uint16_t)(g.used.idx - seen) <= VRTC_ALARM_BAD_BUFFERS_MAX);
		while (seen != g.used.idx) {
			add_buffer(8, true);
			seen++;
		}
		calls++;
	}
	assert_int_equal(calls, 10);
	assert_int_equal(dev.owed, 1 << UTC);
}

/* ---- Another process, with nothing but the ledger and the guest's memory. */

static void next_process_keeps_what_was_set(void **state)
{
	(void)state;
	set(UTC, 1000, true, 10);
	set(TAI, UINT64_MAX, false, 10);
	begin_process();
	assert_int_equal(dev.alarm[UTC].alarm_ns, 1000);
	assert_true(dev.alarm[UTC].enabled);
	assert_int_equal(dev.alarm[TAI].alarm_ns, UINT64_MAX);
	assert_false(dev.alarm[TAI].enabled);
	add_buffers(1);
	start_alarmq(0);
	compare(VRTC_TIMESCALE_UTC, 1000);
	assert_int_equal(next_notification(), UTC);
}

static void alarm_that_passed_while_there_was_no_process_expires_in_the_next_one(void **state)
{
	(void)state;
	set(UTC, 1000, true, 10);
	begin_process();
	add_buffers(2);
	start_alarmq(0);
	compare(VRTC_TIMESCALE_UTC, 5000);
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), -1);
}

static void what_was_delivered_is_not_delivered_by_the_next_process(void **state)
{
	(void)state;
	add_buffers(4);
	start_alarmq(0);
	set(UTC, 1000, true, 10);
	compare(VRTC_TIMESCALE_UTC, 1000);
	assert_int_equal(next_notification(), UTC);
	begin_process();
	start_alarmq(g.used.idx);
	compare(VRTC_TIMESCALE_UTC, 1001);
	assert_int_equal(next_notification(), -1);
	/* Back and forth is an event for it as for the one before. */
	compare(VRTC_TIMESCALE_UTC, 10);
	compare(VRTC_TIMESCALE_UTC, 1001);
	assert_int_equal(next_notification(), UTC);
}

static void what_was_owed_is_delivered_by_the_next_process(void **state)
{
	(void)state;
	start_alarmq(0);
	set(UTC, 1000, true, 10);
	compare(VRTC_TIMESCALE_UTC, 1000);
	begin_process();
	add_buffers(4);
	start_alarmq(0);
	compare(VRTC_TIMESCALE_UTC, 1001);
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), -1);
}

/*
 * Killed between the note that a notification is being published and the note that it was: before
 * the used index was stored, or after. The state is put together here, byte by byte as the killed
 * process leaves it.
 */
static void check_killed_while_sending(bool published)
{
	struct vrtc_alarm_record r;

	(void)begin(NULL);
	add_buffers(4);
	start_alarmq(0);
	/* Another one before, so that the index is not 0. */
	set(TAI, 1000, true, 2000);
	deliver();
	assert_int_equal(next_notification(), TAI);
	set(UTC, 1000, true, 10);
	r = vrtc_alarm_ledger_read(&ledger, UTC);
	r.flags = VRTC_ALARM_RECORD_ENABLED | VRTC_ALARM_RECORD_REACHED |
		  VRTC_ALARM_RECORD_PENDING | VRTC_ALARM_RECORD_SENDING;
	r.used_index = 1;
	vrtc_alarm_ledger_write(&ledger, UTC, &r);
	if (published) {
		const struct virtio_rtc_notif_alarm notif = {
			.head.msg_type = vrtc_le16_put(VIRTIO_RTC_NOTIF_ALARM),
			.clock_id = vrtc_le16_put(UTC)};

		memcpy(g.buffer[1], &notif, sizeof(notif));
		g.used.ring[1].id = htole32(1);
		g.used.ring[1].len = htole32(sizeof(notif));
		g.used.idx = htole16(2);
	}
	begin_process();
	start_alarmq(g.used.idx);
	compare(VRTC_TIMESCALE_UTC, 1001);
	assert_int_equal(next_notification(), UTC);
	assert_int_equal(next_notification(), -1);
	/* And it is settled: a start once more changes nothing. */
	vrtc_alarm_device_stop(&dev);
	start_alarmq(g.used.idx);
	deliver();
	assert_int_equal(next_notification(), -1);
}

static void notification_that_a_kill_left_in_doubt_is_delivered_exactly_once(void **state)
{
	(void)state;
	check_killed_while_sending(false);
	check_killed_while_sending(true);
}

static void damaged_ledger_of_a_clock_without_alarm_sets_no_alarm(void **state)
{
	const struct vrtc_alarm_record r = {
		.alarm_ns = 5, .flags = VRTC_ALARM_RECORD_ENABLED | VRTC_ALARM_RECORD_PENDING};

	(void)state;
	vrtc_alarm_ledger_write(&ledger, PLAIN, &r);
	begin_process();
	add_buffers(1);
	start_alarmq(0);
	compare(VRTC_TIMESCALE_MONOTONIC, 1000);
	assert_int_equal(next_notification(), -1);
}

static void device_that_left_its_lcore_expires_when_it_is_at_the_next(void **state)
{
	(void)state;
	set(UTC, 1000, true, 10);
	vrtc_alarm_device_leave(&dev);
	assert_true(vrtc_agenda_is_empty(&agenda[VRTC_TIMESCALE_UTC]));
	new_agenda();
	vrtc_alarm_device_join(&dev, agenda);
	add_buffers(1);
	start_alarmq(0);
	compare(VRTC_TIMESCALE_UTC, 1000);
	assert_int_equal(next_notification(), UTC);
}

static void warming_up_changes_nothing(void **state)
{
	struct vrtc_alarm_device before;
	uint8_t memory[sizeof(g)];

	(void)state;
	vrtc_alarm_device_warm(&dev);
	start_alarmq(0);
	vrtc_alarm_device_warm(&dev);
	add_buffers(2);
	/* A ring that is broken further on is found broken when it is used, not before. */
	g.avail.ring[1] = htole16(RING);
	before = dev;
	memcpy(memory, &g, sizeof(g));
	vrtc_alarm_device_warm(&dev);
	assert_memory_equal(&dev, &before, sizeof(dev));
	assert_memory_equal(memory, &g, sizeof(g));
	set(UTC, 1000, true, 2000);
	assert_int_equal(deliver(), VRTC_ALARM_NOTHING_OWED);
	assert_int_equal(next_notification(), UTC);
}

static void broken_alarmq_harms_nobody_and_says_why(void **state)
{
	(void)state;
	add_buffers(1);
	g.avail.ring[0] = htole16(RING);
	start_alarmq(0);
	set(UTC, 1000, true, 2000);
	assert_int_equal(deliver(), VRTC_ALARM_NOTHING_OWED);
	assert_non_null(vrtc_vring_fault(&dev.alarmq));
	assert_int_equal(g.used.idx, 0);
	/* What was owed is still, for a driver that sets the queue up anew. */
	assert_int_equal(dev.owed, 1 << UTC);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {
		CASE(alarm_is_zero_and_disabled_initially),
		CASE(clock_that_progresses_to_the_alarm_time_expires_it_once),
		CASE(clock_that_steps_over_the_alarm_time_expires_it),
		CASE(alarm_set_to_a_time_that_is_reached_expires_at_once),
		CASE(alarm_enabled_when_its_time_is_reached_expires_and_keeps_its_time),
		CASE(disabled_alarm_is_not_served_any_more),
		CASE(expiration_is_notified_once_when_there_is_a_buffer_and_the_queue_runs),
		CASE(clock_that_steps_back_and_comes_again_expires_it_again),
		CASE(step_back_stops_what_was_not_delivered_so_that_no_driver_hears_of_it_early),
		CASE(alarm_expires_in_its_own_clock_s_time),
		CASE(clock_that_cannot_be_read_expires_nothing_until_it_can),
		CASE(reset_retains_and_expires_what_is_past_and_enabled),
		CASE(reset_that_does_not_retain_initialises_time_to_zero_and_disables),
		CASE(buffer_without_room_is_given_back_untouched_and_the_next_one_is_used),
		CASE(bad_buffers_are_taken_a_bounded_number_at_a_time),
		CASE(next_process_keeps_what_was_set),
		CASE(alarm_that_passed_while_there_was_no_process_expires_in_the_next_one),
		CASE(what_was_delivered_is_not_delivered_by_the_next_process),
		CASE(what_was_owed_is_delivered_by_the_next_process),
		CASE(notification_that_a_kill_left_in_doubt_is_delivered_exactly_once),
		CASE(damaged_ledger_of_a_clock_without_alarm_sets_no_alarm),
		CASE(device_that_left_its_lcore_expires_when_it_is_at_the_next),
		CASE(warming_up_changes_nothing),
		CASE(broken_alarmq_harms_nobody_and_says_why),
	};

	return cmocka_run_group_tests_name("alarm_device", tests, NULL, NULL);
}
