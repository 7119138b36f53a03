/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-v1.4 RTC Device / Alarm Control Requests: what becomes of the bytes of a request, and how
 * its answer looks. Whether the alarm then does what was asked is test_alarm_device.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"

enum { WITH_ALARM, WITHOUT };
static const struct vrtc_clock clocks[] = {
	[WITH_ALARM] = {.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true},
	[WITHOUT] = {.type = VIRTIO_RTC_CLOCK_TAI},
};
static const struct vrtc_device device = {.clock = clocks, .n_clocks = 2};

static const uint16_t types[] = {
	VIRTIO_RTC_REQ_READ_ALARM, VIRTIO_RTC_REQ_SET_ALARM, VIRTIO_RTC_REQ_SET_ALARM_ENABLED};
#define N_TYPES 3

struct request {
	uint8_t b[VRTC_REQ_BYTES_MAX];
};

/* Where clock_id is in the request, and flags behind it where there are any. */
static unsigned id_at(uint16_t type)
{
	return type == VIRTIO_RTC_REQ_SET_ALARM ? 16 : 8;
}

static struct request make(uint16_t type, uint16_t clock_id, uint8_t flags, uint64_t alarm_ns)
{
	struct request r = {{(uint8_t)type, (uint8_t)(type >> 8)}};
	struct vrtc_le64 time = vrtc_le64_put(alarm_ns);

	if (type == VIRTIO_RTC_REQ_SET_ALARM)
		memcpy(r.b + 8, &time, sizeof(time));
	r.b[id_at(type)] = (uint8_t)clock_id;
	r.b[id_at(type) + 1] = (uint8_t)(clock_id >> 8);
	r.b[id_at(type) + 2] = flags;
	return r;
}

static uint32_t request_bytes(uint16_t type)
{
	return type == VIRTIO_RTC_REQ_SET_ALARM ? 24 : 16;
}

static uint32_t response_bytes(uint16_t type)
{
	return type == VIRTIO_RTC_REQ_READ_ALARM ? 24 : 8;
}

static const struct vrtc_offer offers[] = {
	{.alarm = false, .hw_counter = VIRTIO_RTC_COUNTER_INVALID},
	{.alarm = true, .hw_counter = VIRTIO_RTC_COUNTER_INVALID},
};

static struct vrtc_command decode(bool alarm, const struct request *r)
{
	struct vrtc_command cmd;

	memset(&cmd, 0xa5, sizeof(cmd));
	vrtc_device_decode(&device, &offers[alarm], r->b, 24, 24, &cmd);
	return cmd;
}

/* The response, with everything zero but what the caller wants looked at: its size. */
static uint32_t respond(const struct vrtc_command *cmd, uint8_t *resp)
{
	const struct vrtc_instant no_time = {.known = false};

	memset(resp, 0x5a, VRTC_RESP_BYTES_MAX);
	return vrtc_device_respond(&device, cmd, &no_time, resp);
}

static void assert_refused(bool alarm, const struct request *r, uint8_t status)
{
	struct vrtc_command cmd = decode(alarm, r);
	uint8_t resp[VRTC_RESP_BYTES_MAX];

	assert_false(cmd.about_alarm);
	assert_int_equal(respond(&cmd, resp), response_bytes((uint16_t)(r->b[0] | r->b[1] << 8)));
	assert_int_equal(resp[0], status);
	for (unsigned i = 1; i < VRTC_RESP_BYTES_MAX; i++)
		assert_int_equal(resp[i], 0);
}

static void alarm_cap_is_set_for_a_clock_with_an_alarm_where_the_feature_is_negotiated(void **state)
{
	(void)state;
	for (uint8_t clock = 0; clock < 2; clock++) {
		for (unsigned alarm = 0; alarm < 2; alarm++) {
			struct request r = {{(uint8_t)VIRTIO_RTC_REQ_CLOCK_CAP,
				VIRTIO_RTC_REQ_CLOCK_CAP >> 8, [8] = clock}};
			struct vrtc_command cmd = decode(alarm, &r);
			uint8_t resp[VRTC_RESP_BYTES_MAX];

			assert_int_equal(respond(&cmd, resp), 16);
			assert_int_equal(resp[10],
				alarm && clock == WITH_ALARM ? VIRTIO_RTC_FLAG_ALARM_CAP : 0);
		}
	}
}

static void feature_not_negotiated_is_enodev(void **state)
{
	(void)state;
	for (unsigned t = 0; t < N_TYPES; t++) {
		struct request r = make(types[t], WITH_ALARM, 0, 0);

		assert_refused(false, &r, VIRTIO_RTC_S_ENODEV);
	}
}

static void clock_without_alarm_and_unknown_clock_are_enodev_whatever_else_is_wrong(void **state)
{
	static const uint16_t ids[] = {WITHOUT, 2, UINT16_MAX};

	(void)state;
	for (unsigned t = 0; t < N_TYPES; t++) {
		for (unsigned i = 0; i < 3; i++) {
			struct request r = make(types[t], ids[i], 0, 5);

			assert_refused(true, &r, VIRTIO_RTC_S_ENODEV);
			r.b[7] = 1;
			assert_refused(true, &r, VIRTIO_RTC_S_ENODEV);
			r.b[id_at(types[t]) + 7] = 1;
			assert_refused(true, &r, VIRTIO_RTC_S_ENODEV);
		}
	}
}

static void any_alarm_time_is_accepted(void **state)
{
	static const uint64_t times[] = {0, 1, 1795392000000000000, INT64_MAX,
		(uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		for (uint8_t flags = 0; flags < 2; flags++) {
			struct request r =
				make(VIRTIO_RTC_REQ_SET_ALARM, WITH_ALARM, flags, times[i]);
			struct vrtc_command cmd = decode(true, &r);
			uint8_t resp[VRTC_RESP_BYTES_MAX];

			assert_true(cmd.about_alarm);
			assert_int_equal(cmd.alarm.clock_id, WITH_ALARM);
			assert_true(cmd.alarm.alarm_ns == times[i]);
			assert_int_equal(cmd.alarm.enabled, flags);
			assert_int_equal(respond(&cmd, resp), 8);
			for (unsigned b = 0; b < 8; b++)
				assert_int_equal(resp[b], 0);
		}
	}
}

static void enabling_and_disabling_are_told_apart_by_the_flag(void **state)
{
	(void)state;
	for (uint8_t flags = 0; flags < 2; flags++) {
		struct request r = make(VIRTIO_RTC_REQ_SET_ALARM_ENABLED, WITH_ALARM, flags, 0);
		struct vrtc_command cmd = decode(true, &r);

		assert_true(cmd.about_alarm);
		assert_int_equal(cmd.alarm.clock_id, WITH_ALARM);
		assert_int_equal(cmd.alarm.enabled, flags);
		assert_int_equal(cmd.status, VIRTIO_RTC_S_OK);
		assert_int_equal(cmd.timebase, VRTC_TIMEBASE_NONE);
	}
}

static void read_alarm_answers_time_and_flag_in_nanoseconds(void **state)
{
	(void)state;
	for (unsigned enabled = 0; enabled < 2; enabled++) {
		struct request r = make(VIRTIO_RTC_REQ_READ_ALARM, WITH_ALARM, 0, 0);
		struct vrtc_command cmd = decode(true, &r);
		uint8_t resp[VRTC_RESP_BYTES_MAX];
		struct vrtc_le64 time;

		assert_true(cmd.about_alarm);
		cmd.alarm.alarm_ns = 0x0123456789abcdef;
		cmd.alarm.enabled = enabled;
		assert_int_equal(respond(&cmd, resp), 24);
		assert_int_equal(resp[0], VIRTIO_RTC_S_OK);
		memcpy(&time, resp + 8, sizeof(time));
		assert_true(vrtc_le64_get(time) == 0x0123456789abcdef);
		assert_int_equal(resp[16], enabled);
		for (unsigned b = 1; b < 24; b++) {
			if (b < 8 || b > 16)
				assert_int_equal(resp[b], 0);
		}
	}
}

static void flags_and_reserved_fields_that_the_text_does_not_allow_are_einval(void **state)
{
	(void)state;
	for (unsigned t = 0; t < N_TYPES; t++) {
		unsigned first_flag = types[t] == VIRTIO_RTC_REQ_READ_ALARM ? 0 : 1;

		for (unsigned bit = 16; bit < 64; bit++) {
			struct request r = make(types[t], WITH_ALARM, 0, 5);

			r.b[bit / 8] = (uint8_t)(1 << bit % 8);
			assert_refused(true, &r, VIRTIO_RTC_S_EINVAL);
		}
		for (unsigned bit = 16 + first_flag; bit < 64; bit++) {
			struct request r = make(types[t], WITH_ALARM, 0, 5);

			r.b[id_at(types[t]) + bit / 8] |= (uint8_t)(1 << bit % 8);
			assert_refused(true, &r, VIRTIO_RTC_S_EINVAL);
		}
	}
}

static void what_does_not_fit_is_einval_even_without_the_feature_and_changes_nothing(void **state)
{
	(void)state;
	for (unsigned t = 0; t < N_TYPES; t++) {
		struct request r = make(types[t], WITHOUT, 0, 0);
		struct vrtc_command cmd;

		for (uint32_t bytes = 0; bytes < request_bytes(types[t]); bytes++) {
			vrtc_device_decode(&device, &offers[bytes & 1], r.b, bytes, 24, &cmd);
			assert_int_equal(cmd.status, VIRTIO_RTC_S_EINVAL);
			assert_false(cmd.about_alarm);
		}
		for (uint32_t room = 0; room < response_bytes(types[t]); room++) {
			vrtc_device_decode(&device, &offers[room & 1], r.b, 24, room, &cmd);
			assert_int_equal(cmd.status, VIRTIO_RTC_S_EINVAL);
			assert_int_equal(cmd.resp_bytes, room < 8 ? room : 8);
			assert_false(cmd.about_alarm);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			alarm_cap_is_set_for_a_clock_with_an_alarm_where_the_feature_is_negotiated),
		cmocka_unit_test(feature_not_negotiated_is_enodev),
		cmocka_unit_test(
			clock_without_alarm_and_unknown_clock_are_enodev_whatever_else_is_wrong),
		cmocka_unit_test(any_alarm_time_is_accepted),
		cmocka_unit_test(enabling_and_disabling_are_told_apart_by_the_flag),
		cmocka_unit_test(read_alarm_answers_time_and_flag_in_nanoseconds),
		cmocka_unit_test(flags_and_reserved_fields_that_the_text_does_not_allow_are_einval),
		cmocka_unit_test(
			what_does_not_fit_is_einval_even_without_the_feature_and_changes_nothing),
	};

	return cmocka_run_group_tests_name("alarm_requests", tests, NULL, NULL);
}
