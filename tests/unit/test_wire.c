/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h against the listings of virtio-v1.4 RTC Device / Device Operation: the values and offsets
 * here are copied and counted from the text, not from the header.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire.h"

/* A field of a structure: its offset and its size. */
#define assert_field(type, field, offset, bytes)                                                   \
	do {                                                                                       \
		assert_int_equal(offsetof(struct type, field), offset);                            \
		assert_int_equal(sizeof(((struct type *)0)->field), bytes);                        \
	} while (0)

static void constants_are_those_of_the_specification(void **state)
{
	(void)state;
	assert_int_equal(VIRTIO_ID_RTC, 17);
	assert_int_equal(VIRTIO_RTC_F_ALARM, 0);
	assert_int_equal(VIRTIO_RTC_REQUESTQ, 0);
	assert_int_equal(VIRTIO_RTC_ALARMQ, 1);

	assert_int_equal(VIRTIO_RTC_REQ_READ, 0x0001);
	assert_int_equal(VIRTIO_RTC_REQ_READ_CROSS, 0x0002);
	assert_int_equal(VIRTIO_RTC_REQ_CFG, 0x1000);
	assert_int_equal(VIRTIO_RTC_REQ_CLOCK_CAP, 0x1001);
	assert_int_equal(VIRTIO_RTC_REQ_CROSS_CAP, 0x1002);
	assert_int_equal(VIRTIO_RTC_REQ_READ_ALARM, 0x1003);
	assert_int_equal(VIRTIO_RTC_REQ_SET_ALARM, 0x1004);
	assert_int_equal(VIRTIO_RTC_REQ_SET_ALARM_ENABLED, 0x1005);
	assert_int_equal(VIRTIO_RTC_NOTIF_ALARM, 0x2000);

	assert_int_equal(VIRTIO_RTC_S_OK, 0);
	assert_int_equal(VIRTIO_RTC_S_EOPNOTSUPP, 2);
	assert_int_equal(VIRTIO_RTC_S_ENODEV, 3);
	assert_int_equal(VIRTIO_RTC_S_EINVAL, 4);
	assert_int_equal(VIRTIO_RTC_S_EIO, 5);

	assert_int_equal(VIRTIO_RTC_CLOCK_UTC, 0);
	assert_int_equal(VIRTIO_RTC_CLOCK_TAI, 1);
	assert_int_equal(VIRTIO_RTC_CLOCK_MONOTONIC, 2);
	assert_int_equal(VIRTIO_RTC_CLOCK_UTC_SMEARED, 3);
	assert_int_equal(VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED, 4);

	assert_int_equal(VIRTIO_RTC_SMEAR_UNSPECIFIED, 0);
	assert_int_equal(VIRTIO_RTC_SMEAR_NOON_LINEAR, 1);
	assert_int_equal(VIRTIO_RTC_SMEAR_UTC_SLS, 2);

	assert_int_equal(VIRTIO_RTC_COUNTER_ARM_VCT, 0);
	assert_int_equal(VIRTIO_RTC_COUNTER_X86_TSC, 1);
	assert_int_equal(VIRTIO_RTC_COUNTER_INVALID, 0xFF);

	assert_int_equal(VIRTIO_RTC_FLAG_ALARM_CAP, 1);
	assert_int_equal(VIRTIO_RTC_FLAG_CROSS_CAP, 1);
	assert_int_equal(VIRTIO_RTC_FLAG_ALARM_ENABLED, 1);
}

static void heads_are_laid_out_as_in_the_specification(void **state)
{
	(void)state;
	assert_field(virtio_rtc_req_head, msg_type, 0, 2);
	assert_field(virtio_rtc_req_head, reserved, 2, 6);
	assert_int_equal(sizeof(struct virtio_rtc_req_head), 8);
	assert_field(virtio_rtc_resp_head, status, 0, 1);
	assert_field(virtio_rtc_resp_head, reserved, 1, 7);
	assert_int_equal(sizeof(struct virtio_rtc_resp_head), 8);
	assert_field(virtio_rtc_notif_head, msg_type, 0, 2);
	assert_field(virtio_rtc_notif_head, reserved, 2, 6);
	assert_int_equal(sizeof(struct virtio_rtc_notif_head), 8);
}

static void control_requests_are_laid_out_as_in_the_specification(void **state)
{
	(void)state;
	assert_field(virtio_rtc_req_cfg, head, 0, 8);
	assert_int_equal(sizeof(struct virtio_rtc_req_cfg), 8);
	assert_field(virtio_rtc_resp_cfg, head, 0, 8);
	assert_field(virtio_rtc_resp_cfg, num_clocks, 8, 2);
	assert_field(virtio_rtc_resp_cfg, reserved, 10, 6);
	assert_int_equal(sizeof(struct virtio_rtc_resp_cfg), 16);

	assert_field(virtio_rtc_req_clock_cap, head, 0, 8);
	assert_field(virtio_rtc_req_clock_cap, clock_id, 8, 2);
	assert_field(virtio_rtc_req_clock_cap, reserved, 10, 6);
	assert_int_equal(sizeof(struct virtio_rtc_req_clock_cap), 16);
	assert_field(virtio_rtc_resp_clock_cap, head, 0, 8);
	assert_field(virtio_rtc_resp_clock_cap, type, 8, 1);
	assert_field(virtio_rtc_resp_clock_cap, leap_second_smearing, 9, 1);
	assert_field(virtio_rtc_resp_clock_cap, flags, 10, 1);
	assert_field(virtio_rtc_resp_clock_cap, reserved, 11, 5);
	assert_int_equal(sizeof(struct virtio_rtc_resp_clock_cap), 16);

	assert_field(virtio_rtc_req_cross_cap, head, 0, 8);
	assert_field(virtio_rtc_req_cross_cap, clock_id, 8, 2);
	assert_field(virtio_rtc_req_cross_cap, hw_counter, 10, 1);
	assert_field(virtio_rtc_req_cross_cap, reserved, 11, 5);
	assert_int_equal(sizeof(struct virtio_rtc_req_cross_cap), 16);
	assert_field(virtio_rtc_resp_cross_cap, head, 0, 8);
	assert_field(virtio_rtc_resp_cross_cap, flags, 8, 1);
	assert_field(virtio_rtc_resp_cross_cap, reserved, 9, 7);
	assert_int_equal(sizeof(struct virtio_rtc_resp_cross_cap), 16);
}

static void read_requests_are_laid_out_as_in_the_specification(void **state)
{
	(void)state;
	assert_field(virtio_rtc_req_read, head, 0, 8);
	assert_field(virtio_rtc_req_read, clock_id, 8, 2);
	assert_field(virtio_rtc_req_read, reserved, 10, 6);
	assert_int_equal(sizeof(struct virtio_rtc_req_read), 16);
	assert_field(virtio_rtc_resp_read, head, 0, 8);
	assert_field(virtio_rtc_resp_read, clock_reading, 8, 8);
	assert_int_equal(sizeof(struct virtio_rtc_resp_read), 16);

	assert_field(virtio_rtc_req_read_cross, head, 0, 8);
	assert_field(virtio_rtc_req_read_cross, clock_id, 8, 2);
	assert_field(virtio_rtc_req_read_cross, hw_counter, 10, 1);
	assert_field(virtio_rtc_req_read_cross, reserved, 11, 5);
	assert_int_equal(sizeof(struct virtio_rtc_req_read_cross), 16);
	assert_field(virtio_rtc_resp_read_cross, head, 0, 8);
	assert_field(virtio_rtc_resp_read_cross, clock_reading, 8, 8);
	assert_field(virtio_rtc_resp_read_cross, counter_cycles, 16, 8);
	assert_int_equal(sizeof(struct virtio_rtc_resp_read_cross), 24);
}

static void alarm_messages_are_laid_out_as_in_the_specification(void **state)
{
	(void)state;
	assert_field(virtio_rtc_req_read_alarm, head, 0, 8);
	assert_field(virtio_rtc_req_read_alarm, clock_id, 8, 2);
	assert_field(virtio_rtc_req_read_alarm, reserved, 10, 6);
	assert_int_equal(sizeof(struct virtio_rtc_req_read_alarm), 16);
	assert_field(virtio_rtc_resp_read_alarm, head, 0, 8);
	assert_field(virtio_rtc_resp_read_alarm, alarm_time, 8, 8);
	assert_field(virtio_rtc_resp_read_alarm, flags, 16, 1);
	assert_field(virtio_rtc_resp_read_alarm, reserved, 17, 7);
	assert_int_equal(sizeof(struct virtio_rtc_resp_read_alarm), 24);

	/* Here alone something stands between the head and clock_id. */
	assert_field(virtio_rtc_req_set_alarm, head, 0, 8);
	assert_field(virtio_rtc_req_set_alarm, alarm_time, 8, 8);
	assert_field(virtio_rtc_req_set_alarm, clock_id, 16, 2);
	assert_field(virtio_rtc_req_set_alarm, flags, 18, 1);
	assert_field(virtio_rtc_req_set_alarm, reserved, 19, 5);
	assert_int_equal(sizeof(struct virtio_rtc_req_set_alarm), 24);
	assert_int_equal(sizeof(struct virtio_rtc_resp_set_alarm), 8);

	assert_field(virtio_rtc_req_set_alarm_enabled, head, 0, 8);
	assert_field(virtio_rtc_req_set_alarm_enabled, clock_id, 8, 2);
	assert_field(virtio_rtc_req_set_alarm_enabled, flags, 10, 1);
	assert_field(virtio_rtc_req_set_alarm_enabled, reserved, 11, 5);
	assert_int_equal(sizeof(struct virtio_rtc_req_set_alarm_enabled), 16);
	assert_int_equal(sizeof(struct virtio_rtc_resp_set_alarm_enabled), 8);

	assert_field(virtio_rtc_notif_alarm, head, 0, 8);
	assert_field(virtio_rtc_notif_alarm, clock_id, 8, 2);
	assert_field(virtio_rtc_notif_alarm, reserved, 10, 6);
	assert_int_equal(sizeof(struct virtio_rtc_notif_alarm), 16);
}

static void longest_request_and_response_are_24_bytes(void **state)
{
	(void)state;
	assert_int_equal(VRTC_REQ_BYTES_MAX, 24);
	assert_int_equal(VRTC_RESP_BYTES_MAX, 24);
}

static void integers_are_little_endian_in_memory(void **state)
{
	static const uint8_t bytes16[] = {0x34, 0x12};
	static const uint8_t bytes64[] = {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
	struct vrtc_le16 le16 = vrtc_le16_put(0x1234);
	struct vrtc_le64 le64 = vrtc_le64_put(0x0123456789abcdef);

	(void)state;
	assert_int_equal(sizeof(le16), 2);
	assert_memory_equal(&le16, bytes16, sizeof(bytes16));
	assert_int_equal(sizeof(le64), 8);
	assert_memory_equal(&le64, bytes64, sizeof(bytes64));
}

static void integers_come_back_as_they_were_put(void **state)
{
	(void)state;
	for (uint32_t v = 0; v <= UINT16_MAX; v++)
		assert_int_equal(vrtc_le16_get(vrtc_le16_put((uint16_t)v)), v);
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t one = UINT64_C(1) << bit;

		assert_true(vrtc_le64_get(vrtc_le64_put(one)) == one);
		assert_true(vrtc_le64_get(vrtc_le64_put(~one)) == ~one);
		assert_true(vrtc_le64_get(vrtc_le64_put(one - 1)) == one - 1);
	}
}

static void structures_lie_at_any_address(void **state)
{
	uint8_t memory[VRTC_REQ_BYTES_MAX + 1] = {0};
	struct virtio_rtc_req_set_alarm *request = (void *)&memory[1];

	(void)state;
	request->alarm_time = vrtc_le64_put(UINT64_MAX - 1);
	request->clock_id = vrtc_le16_put(0xabcd);
	assert_true(vrtc_le64_get(request->alarm_time) == UINT64_MAX - 1);
	assert_int_equal(memory[1 + 8], 0xfe);
	assert_int_equal(memory[1 + 16], 0xcd);
	assert_int_equal(memory[1 + 17], 0xab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants_are_those_of_the_specification),
		cmocka_unit_test(heads_are_laid_out_as_in_the_specification),
		cmocka_unit_test(control_requests_are_laid_out_as_in_the_specification),
		cmocka_unit_test(read_requests_are_laid_out_as_in_the_specification),
		cmocka_unit_test(alarm_messages_are_laid_out_as_in_the_specification),
		cmocka_unit_test(longest_request_and_response_are_24_bytes),
		cmocka_unit_test(integers_are_little_endian_in_memory),
		cmocka_unit_test(integers_come_back_as_they_were_put),
		cmocka_unit_test(structures_lie_at_any_address),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
