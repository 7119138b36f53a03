/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alarm_ledger.h"
#include "wire.h"

static const struct vrtc_clock clocks[] = {
	{.type = VIRTIO_RTC_CLOCK_UTC_SMEARED,
		.smear = VIRTIO_RTC_SMEAR_NOON_LINEAR,
		.alarm = true},
	{.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true},
	{.type = VIRTIO_RTC_CLOCK_TAI},
};
#define N_CLOCKS 3

static struct vrtc_alarm_ledger ledger;

static int begin(void **state)
{
	(void)state;
	memset(&ledger, 0xee, sizeof(ledger));
	vrtc_alarm_ledger_init(&ledger, clocks, N_CLOCKS);
	return 0;
}

static bool good(size_t bytes, const struct vrtc_clock *of, uint16_t n, const char **why)
{
	return vrtc_alarm_ledger_check(&ledger, bytes, of, n, why);
}

static void fresh_ledger_is_good_and_all_alarms_are_zero_and_disabled(void **state)
{
	const char *why = NULL;

	(void)state;
	assert_true(good(sizeof(ledger), clocks, N_CLOCKS, &why));
	assert_null(why);
	for (uint16_t c = 0; c < VRTC_ALARM_CLOCKS_MAX; c++) {
		struct vrtc_alarm_record r = vrtc_alarm_ledger_read(&ledger, c);

		assert_int_equal(r.alarm_ns, 0);
		assert_int_equal(r.flags, 0);
	}
	assert_int_equal(vrtc_alarm_ledger_next_serial(&ledger), 1);
}

static void what_is_written_is_read_and_the_other_clocks_keep_theirs(void **state)
{
	struct vrtc_alarm_record r = {.alarm_ns = UINT64_MAX, .flags = VRTC_ALARM_RECORD_ENABLED};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		r.alarm_ns--;
		vrtc_alarm_ledger_write(&ledger, 1, &r);
		assert_int_equal(vrtc_alarm_ledger_read(&ledger, 1).alarm_ns, r.alarm_ns);
		assert_int_equal(vrtc_alarm_ledger_read(&ledger, 0).alarm_ns, 0);
		assert_int_equal(vrtc_alarm_ledger_read(&ledger, 2).alarm_ns, 0);
	}
}

/*
 * A killed process has made its stores up to some instruction. Each prefix of a write's stores,
 * byte by byte, has to read as the record before or the one after.
 */
static void write_cut_off_at_any_byte_leaves_the_old_or_the_new_record(void **state)
{
	const struct vrtc_alarm_record old = {.alarm_ns = 0x1111111111111111, .flags = 1};
	const struct vrtc_alarm_record new = {.alarm_ns = 0x2222222222222222, .flags = 7};
	struct vrtc_alarm_ledger before;
	struct vrtc_alarm_ledger after;
	unsigned olds = 0;
	unsigned news = 0;

	(void)state;
	vrtc_alarm_ledger_write(&ledger, 0, &old);
	before = ledger;
	vrtc_alarm_ledger_write(&ledger, 0, &new);
	after = ledger;
	/* The bytes of the records, in two orders before the switch, one by one. */
	for (int backwards = 0; backwards < 2; backwards++) {
		const size_t from = offsetof(struct vrtc_alarm_ledger, record);

		ledger = before;
		for (size_t i = 0; i <= sizeof(ledger) - from; i++) {
			struct vrtc_alarm_record r = vrtc_alarm_ledger_read(&ledger, 0);
			size_t at = backwards ? sizeof(ledger) - 1 - i : from + i;
			const char *why;

			assert_memory_equal(&r, &old, sizeof(r));
			assert_true(good(sizeof(ledger), clocks, N_CLOCKS, &why));
			olds++;
			if (i < sizeof(ledger) - from)
				((char *)&ledger)[at] = ((char *)&after)[at];
		}
		/* The switch is one byte. */
		ledger.current[0] = after.current[0];
		assert_int_equal(vrtc_alarm_ledger_read(&ledger, 0).alarm_ns, new.alarm_ns);
		assert_memory_equal(&ledger, &after, sizeof(ledger));
		news++;
	}
	assert_true(olds > 0 && news == 2);
}

static void other_file_damaged_file_and_other_clocks_are_told_apart(void **state)
{
	static const struct vrtc_clock others[N_CLOCKS] = {
		{.type = VIRTIO_RTC_CLOCK_UTC_SMEARED, .smear = VIRTIO_RTC_SMEAR_UTC_SLS},
		{.type = VIRTIO_RTC_CLOCK_UTC},
		{.type = VIRTIO_RTC_CLOCK_TAI},
	};
	const char *why;

	(void)state;
	assert_false(good(sizeof(ledger) - 1, clocks, N_CLOCKS, &why));
	assert_string_equal(why, "is no file of alarms");
	assert_false(good(sizeof(ledger), others, N_CLOCKS, &why));
	assert_string_equal(why, "is of a device with other clocks");
	assert_false(good(sizeof(ledger), clocks, N_CLOCKS - 1, &why));
	assert_string_equal(why, "is of a device with other clocks");

	ledger.current[63] = 2;
	assert_false(good(sizeof(ledger), clocks, N_CLOCKS, &why));
	assert_string_equal(why, "is damaged");
	begin(NULL);
	ledger.record[0][0].flags = 16;
	assert_false(good(sizeof(ledger), clocks, N_CLOCKS, &why));
	begin(NULL);
	ledger.n_clocks = UINT16_MAX;
	assert_false(good(sizeof(ledger), clocks, N_CLOCKS, &why));
	begin(NULL);
	ledger.magic[7] ^= 1;
	assert_false(good(sizeof(ledger), clocks, N_CLOCKS, &why));
	memset(&ledger, 0, sizeof(ledger));
	assert_false(good(sizeof(ledger), clocks, N_CLOCKS, &why));
}

static void request_is_unanswered_until_its_serial_is_noted_as_answered(void **state)
{
	struct vrtc_alarm_record r = {.serial = 5, .request_index = 700};
	uint16_t index = 1;

	(void)state;
	assert_false(vrtc_alarm_ledger_unanswered(&ledger, &index));
	assert_int_equal(index, 1);
	vrtc_alarm_ledger_write(&ledger, 2, &r);
	r = (struct vrtc_alarm_record){.serial = 4, .request_index = 699};
	vrtc_alarm_ledger_write(&ledger, 0, &r);
	assert_true(vrtc_alarm_ledger_unanswered(&ledger, &index));
	assert_int_equal(index, 700);
	assert_int_equal(vrtc_alarm_ledger_next_serial(&ledger), 6);
	ledger.answered_serial = 5;
	assert_false(vrtc_alarm_ledger_unanswered(&ledger, &index));
	ledger.answered_serial = 9;
	assert_int_equal(vrtc_alarm_ledger_next_serial(&ledger), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			fresh_ledger_is_good_and_all_alarms_are_zero_and_disabled, begin),
		cmocka_unit_test_setup(
			what_is_written_is_read_and_the_other_clocks_keep_theirs, begin),
		cmocka_unit_test_setup(
			write_cut_off_at_any_byte_leaves_the_old_or_the_new_record, begin),
		cmocka_unit_test_setup(
			other_file_damaged_file_and_other_clocks_are_told_apart, begin),
		cmocka_unit_test_setup(
			request_is_unanswered_until_its_serial_is_noted_as_answered, begin),
	};

	return cmocka_run_group_tests_name("alarm_ledger", tests, NULL, NULL);
}
