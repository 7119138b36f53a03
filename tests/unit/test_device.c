/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every status and every byte of the responses, case by case after the statements of virtio-v1.4
 * RTC Device / Device Operation. The device here has five clocks and a table of one entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"

static const struct vrtc_clock clocks[] = {
	{VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR, false},
	{VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
	{VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
	{VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
	{VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
};
#define N_CLOCKS (sizeof(clocks) / sizeof(clocks[0]))
enum { SMEARED, UTC, TAI, MONOTONIC, MAYBE_SMEARED };

static const struct vrtc_device device = {.clock = clocks, .n_clocks = N_CLOCKS};
static struct vrtc_leap_table leap;
static const struct vrtc_offer no_offer = {.hw_counter = VIRTIO_RTC_COUNTER_INVALID};
static const struct vrtc_offer tsc_offer = {.hw_counter = VIRTIO_RTC_COUNTER_X86_TSC};
/* What the guest's counter shows now. */
#define CYCLES UINT64_C(0x0123456789abcdef)

/* 2026-11-23 00:00:00 UTC, and the offset of the one entry below. */
#define NOW_UTC_NS INT64_C(1795392000000000000)
#define OFFSET_NS  (10 * INT64_C(1000000000))

struct answer {
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	uint32_t bytes;
};

static int load_leap(void **state)
{
	static const char text[] = "#@ 4102444800\n2272060800 10\n";

	(void)state;
	return vrtc_leap_parse(&leap, text, sizeof(text) - 1, NULL);
}

static struct answer ask_at(const struct vrtc_offer *offer, const struct vrtc_instant *now,
	const void *req, uint32_t readable_bytes, uint32_t writable_bytes)
{
	uint8_t copy[VRTC_REQ_BYTES_MAX] = {0};
	struct vrtc_command cmd;
	struct answer answer;

	memset(&answer, 0x5a, sizeof(answer));
	memcpy(copy, req, readable_bytes < sizeof(copy) ? readable_bytes : sizeof(copy));
	vrtc_device_decode(&device, offer, copy, readable_bytes, writable_bytes, &cmd);
	answer.bytes = vrtc_device_respond(&device, &cmd, now, answer.resp);
	assert_true(answer.bytes <= sizeof(answer.resp));
	assert_true(answer.bytes <= writable_bytes);
	return answer;
}

static struct answer ask_in_room(const void *req, uint32_t readable_bytes, uint32_t writable_bytes)
{
	const struct vrtc_instant now = {
		.known = true, .timebase_ns = NOW_UTC_NS + OFFSET_NS, .leap = &leap};

	return ask_at(&no_offer, &now, req, readable_bytes, writable_bytes);
}

/* A request of 24 bytes, of which a message uses what it needs. */
struct request {
	uint8_t b[VRTC_REQ_BYTES_MAX];
};

static struct request make(uint16_t msg_type, uint16_t clock_id, uint8_t hw_counter)
{
	struct request r = {{0}};

	r.b[0] = (uint8_t)msg_type;
	r.b[1] = (uint8_t)(msg_type >> 8);
	if (msg_type == VIRTIO_RTC_REQ_SET_ALARM) {
		r.b[16] = (uint8_t)clock_id;
		r.b[17] = (uint8_t)(clock_id >> 8);
	} else {
		r.b[8] = (uint8_t)clock_id;
		r.b[9] = (uint8_t)(clock_id >> 8);
		r.b[10] = hw_counter;
	}
	return r;
}

static uint32_t request_bytes(uint16_t msg_type)
{
	return msg_type == VIRTIO_RTC_REQ_CFG ? 8 : msg_type == VIRTIO_RTC_REQ_SET_ALARM ? 24 : 16;
}

static uint32_t response_bytes(uint16_t msg_type)
{
	switch (msg_type) {
	case VIRTIO_RTC_REQ_READ_CROSS:
	case VIRTIO_RTC_REQ_READ_ALARM:
		return 24;
	case VIRTIO_RTC_REQ_SET_ALARM:
	case VIRTIO_RTC_REQ_SET_ALARM_ENABLED:
		return 8;
	default:
		return 16;
	}
}

static struct answer ask(uint16_t msg_type, uint16_t clock_id, uint8_t hw_counter)
{
	struct request r = make(msg_type, clock_id, hw_counter);

	return ask_in_room(&r, request_bytes(msg_type), response_bytes(msg_type));
}

static uint64_t word(const struct answer *a, unsigned at)
{
	uint64_t v = 0;

	for (unsigned i = 8; i-- > 0;)
		v = v << 8 | a->resp[at + i];
	return v;
}

static const uint16_t messages[] = {VIRTIO_RTC_REQ_READ, VIRTIO_RTC_REQ_READ_CROSS,
	VIRTIO_RTC_REQ_CFG, VIRTIO_RTC_REQ_CLOCK_CAP, VIRTIO_RTC_REQ_CROSS_CAP,
	VIRTIO_RTC_REQ_READ_ALARM, VIRTIO_RTC_REQ_SET_ALARM, VIRTIO_RTC_REQ_SET_ALARM_ENABLED};
#define N_MESSAGES (sizeof(messages) / sizeof(messages[0]))

static void cfg_tells_the_number_of_clocks_and_zeroes_reserved_fields(void **state)
{
	struct answer a = ask(VIRTIO_RTC_REQ_CFG, 0, 0);

	(void)state;
	assert_int_equal(a.bytes, 16);
	assert_int_equal(word(&a, 0), VIRTIO_RTC_S_OK);
	assert_int_equal(word(&a, 8), N_CLOCKS);
}

static void clock_cap_tells_type_and_variant_and_no_alarm_without_the_feature(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		struct answer a = ask(VIRTIO_RTC_REQ_CLOCK_CAP, id, 0);

		assert_int_equal(a.bytes, 16);
		assert_int_equal(word(&a, 0), VIRTIO_RTC_S_OK);
		/* type, leap_second_smearing, flags = 0, reserved = 0 */
		assert_int_equal(word(&a, 8), clocks[id].type | clocks[id].smear << 8);
	}
}

static void clocks_other_than_utc_smeared_have_the_variant_unspecified(void **state)
{
	(void)state;
	for (uint16_t id = UTC; id < N_CLOCKS; id++) {
		struct answer a = ask(VIRTIO_RTC_REQ_CLOCK_CAP, id, 0);

		assert_int_equal(a.resp[9], VIRTIO_RTC_SMEAR_UNSPECIFIED);
	}
}

static void cross_cap_of_a_known_counter_without_a_map_is_ok_with_the_flag_clear(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		for (uint8_t counter = 0; counter < 2; counter++) {
			struct answer a = ask(VIRTIO_RTC_REQ_CROSS_CAP, id, counter);

			assert_int_equal(a.bytes, 16);
			assert_int_equal(word(&a, 0), VIRTIO_RTC_S_OK);
			assert_int_equal(word(&a, 8), 0);
		}
	}
}

static void read_cross_without_a_map_is_eopnotsupp(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		for (uint8_t counter = 0; counter < 2; counter++) {
			struct answer a = ask(VIRTIO_RTC_REQ_READ_CROSS, id, counter);

			assert_int_equal(word(&a, 0), VIRTIO_RTC_S_EOPNOTSUPP);
		}
	}
}

/* With a map of the guest's TSC, at an instant of which the counter is told or not. */
static struct answer ask_cross(
	uint16_t msg_type, uint16_t clock_id, uint8_t hw_counter, bool known, bool counted)
{
	const struct vrtc_instant now = {.known = known,
		.timebase_ns = NOW_UTC_NS + OFFSET_NS,
		.leap = &leap,
		.counted = counted,
		.guest_cycles = CYCLES};
	struct request r = make(msg_type, clock_id, hw_counter);

	return ask_at(&tsc_offer, &now, r.b, 16, VRTC_RESP_BYTES_MAX);
}

static void cross_cap_with_a_map_sets_the_flag_for_that_counter_alone(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		struct answer tsc = ask_cross(
			VIRTIO_RTC_REQ_CROSS_CAP, id, VIRTIO_RTC_COUNTER_X86_TSC, true, true);
		struct answer vct = ask_cross(
			VIRTIO_RTC_REQ_CROSS_CAP, id, VIRTIO_RTC_COUNTER_ARM_VCT, true, true);

		assert_int_equal(tsc.resp[0], VIRTIO_RTC_S_OK);
		assert_int_equal(tsc.resp[8], VIRTIO_RTC_FLAG_CROSS_CAP);
		assert_int_equal(tsc.bytes, 16);
		assert_int_equal(vct.resp[0], VIRTIO_RTC_S_OK);
		assert_int_equal(vct.resp[8], 0);
	}
}

/* "any specific request [...] the same response": a map that is lost changes nothing here. */
static void cross_cap_stays_while_no_counter_can_be_told(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		struct answer with = ask_cross(
			VIRTIO_RTC_REQ_CROSS_CAP, id, VIRTIO_RTC_COUNTER_X86_TSC, true, true);
		struct answer without = ask_cross(
			VIRTIO_RTC_REQ_CROSS_CAP, id, VIRTIO_RTC_COUNTER_X86_TSC, true, false);

		assert_memory_equal(with.resp, without.resp, sizeof(with.resp));
	}
}

static void read_cross_gives_the_reading_and_the_cycles_of_one_instant(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		struct answer read = ask(VIRTIO_RTC_REQ_READ, id, 0);
		struct answer cross = ask_cross(
			VIRTIO_RTC_REQ_READ_CROSS, id, VIRTIO_RTC_COUNTER_X86_TSC, true, true);
		struct virtio_rtc_resp_read_cross resp;

		memcpy(&resp, cross.resp, sizeof(resp));
		assert_int_equal(cross.bytes, sizeof(resp));
		/* Status, reserved bytes and reading are those of READ. */
		assert_memory_equal(cross.resp, read.resp, 16);
		assert_true(vrtc_le64_get(resp.counter_cycles) == CYCLES);
	}
}

static void read_cross_of_the_other_counter_is_eopnotsupp(void **state)
{
	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		struct answer a = ask_cross(
			VIRTIO_RTC_REQ_READ_CROSS, id, VIRTIO_RTC_COUNTER_ARM_VCT, true, true);

		assert_int_equal(a.resp[0], VIRTIO_RTC_S_EOPNOTSUPP);
	}
}

/* "a value other than VIRTIO_RTC_S_OK if the device cannot determine the approximate value". */
static void read_cross_without_the_counter_or_the_clock_is_eio_and_gives_neither(void **state)
{
	static const uint8_t zero[16] = {0};

	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		for (unsigned have = 0; have < 3; have++) {
			struct answer a = ask_cross(VIRTIO_RTC_REQ_READ_CROSS, id,
				VIRTIO_RTC_COUNTER_X86_TSC, have & 1, have & 2);

			assert_int_equal(a.resp[0], VIRTIO_RTC_S_EIO);
			assert_int_equal(a.bytes, sizeof(struct virtio_rtc_resp_read_cross));
			assert_memory_equal(a.resp + 8, zero, sizeof(zero));
		}
	}
}

/* "if and only if": without a counter, and with either. */
static void cross_cap_agrees_with_read_cross_for_every_counter_and_clock(void **state)
{
	const struct vrtc_instant now = {.known = true,
		.timebase_ns = NOW_UTC_NS + OFFSET_NS,
		.leap = &leap,
		.counted = true};
	const struct vrtc_offer offers[] = {
		no_offer, tsc_offer, {.hw_counter = VIRTIO_RTC_COUNTER_ARM_VCT}};

	(void)state;
	for (unsigned i = 0; i < 3 * N_CLOCKS * 256; i++) {
		const struct vrtc_offer *offer = &offers[i % 3];
		uint16_t id = (uint16_t)(i / 3 % N_CLOCKS);
		uint8_t counter = (uint8_t)(i / 3 / N_CLOCKS);
		struct request cap_req = make(VIRTIO_RTC_REQ_CROSS_CAP, id, counter);
		struct request read_req = make(VIRTIO_RTC_REQ_READ_CROSS, id, counter);
		struct answer cap = ask_at(offer, &now, cap_req.b, 16, VRTC_RESP_BYTES_MAX);
		struct answer read = ask_at(offer, &now, read_req.b, 16, VRTC_RESP_BYTES_MAX);

		assert_int_equal(cap.resp[0] == VIRTIO_RTC_S_OK && cap.resp[8] & 1,
			read.resp[0] == VIRTIO_RTC_S_OK);
		assert_int_equal(read.resp[0] == VIRTIO_RTC_S_OK,
			counter == offer->hw_counter && counter != VIRTIO_RTC_COUNTER_INVALID);
	}
}

static void read_answers_the_reading_in_nanoseconds_for_every_clock(void **state)
{
	static const int64_t reading_ns[] = {
		[SMEARED] = NOW_UTC_NS,
		[UTC] = NOW_UTC_NS,
		[TAI] = NOW_UTC_NS + OFFSET_NS,
		[MONOTONIC] = NOW_UTC_NS + OFFSET_NS,
		[MAYBE_SMEARED] = NOW_UTC_NS + OFFSET_NS,
	};

	(void)state;
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		struct answer a = ask(VIRTIO_RTC_REQ_READ, id, 0);

		assert_int_equal(a.bytes, 16);
		assert_int_equal(word(&a, 0), VIRTIO_RTC_S_OK);
		assert_int_equal(word(&a, 8), reading_ns[id]);
	}
}

static void read_needs_the_time_of_its_clock_and_no_other_message_needs_any(void **state)
{
	static const enum vrtc_timebase timebase[] = {
		[SMEARED] = VRTC_TIMEBASE_TAI,
		[UTC] = VRTC_TIMEBASE_TAI,
		[TAI] = VRTC_TIMEBASE_TAI,
		[MONOTONIC] = VRTC_TIMEBASE_MONOTONIC,
		[MAYBE_SMEARED] = VRTC_TIMEBASE_REALTIME,
	};

	(void)state;
	for (unsigned m = 0; m < N_MESSAGES; m++) {
		for (uint16_t id = 0; id < N_CLOCKS; id++) {
			struct request r = make(messages[m], id, 0);
			struct vrtc_command cmd;

			vrtc_device_decode(&device, &no_offer, r.b, 24, 24, &cmd);
			assert_int_equal(cmd.timebase, messages[m] == VIRTIO_RTC_REQ_READ
							       ? timebase[id]
							       : VRTC_TIMEBASE_NONE);
		}
	}
}

static void a_reading_that_the_host_cannot_give_is_eio(void **state)
{
	struct request r = make(VIRTIO_RTC_REQ_READ, UTC, 0);
	struct vrtc_instant unknown = {.known = false, .timebase_ns = NOW_UTC_NS, .leap = &leap};
	struct vrtc_instant before_1972 = {.known = true, .timebase_ns = 1, .leap = &leap};
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	struct vrtc_command cmd;

	(void)state;
	vrtc_device_decode(&device, &no_offer, r.b, 16, 16, &cmd);
	assert_int_equal(vrtc_device_respond(&device, &cmd, &unknown, resp), 16);
	assert_int_equal(resp[0], VIRTIO_RTC_S_EIO);
	assert_int_equal(vrtc_device_respond(&device, &cmd, &before_1972, resp), 16);
	assert_int_equal(resp[0], VIRTIO_RTC_S_EIO);
}

static void unknown_msg_type_is_eopnotsupp(void **state)
{
	(void)state;
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		struct request r = make((uint16_t)type, 0, 0);
		struct answer a;
		unsigned m = 0;

		while (m < N_MESSAGES && messages[m] != type)
			m++;
		if (m < N_MESSAGES)
			continue;
		a = ask_in_room(&r, 24, 24);
		assert_int_equal(word(&a, 0), VIRTIO_RTC_S_EOPNOTSUPP);
		assert_int_equal(a.bytes, 8);
	}
}

static void unknown_msg_type_is_eopnotsupp_even_with_reserved_bits_and_little_room(void **state)
{
	struct request r = make(0x7777, 0xffff, 0xff);
	struct answer a;

	(void)state;
	r.b[7] = 1;
	a = ask_in_room(&r, 8, 1);
	assert_int_equal(a.resp[0], VIRTIO_RTC_S_EOPNOTSUPP);
	assert_int_equal(a.bytes, 1);
}

static void the_notification_type_is_no_request(void **state)
{
	struct answer a = ask(VIRTIO_RTC_NOTIF_ALARM, 0, 0);

	(void)state;
	assert_int_equal(a.resp[0], VIRTIO_RTC_S_EOPNOTSUPP);
}

static void unknown_hw_counter_is_eopnotsupp(void **state)
{
	(void)state;
	for (unsigned counter = 2; counter < 0xff; counter++) {
		struct answer cap = ask(VIRTIO_RTC_REQ_CROSS_CAP, 0, (uint8_t)counter);
		struct answer read = ask(VIRTIO_RTC_REQ_READ_CROSS, 0, (uint8_t)counter);

		assert_int_equal(cap.resp[0], VIRTIO_RTC_S_EOPNOTSUPP);
		assert_int_equal(read.resp[0], VIRTIO_RTC_S_EOPNOTSUPP);
	}
}

static void the_counter_called_invalid_is_einval(void **state)
{
	struct answer cap = ask(VIRTIO_RTC_REQ_CROSS_CAP, 0, VIRTIO_RTC_COUNTER_INVALID);
	struct answer read = ask(VIRTIO_RTC_REQ_READ_CROSS, 0, VIRTIO_RTC_COUNTER_INVALID);

	(void)state;
	assert_int_equal(cap.resp[0], VIRTIO_RTC_S_EINVAL);
	assert_int_equal(read.resp[0], VIRTIO_RTC_S_EINVAL);
}

static void clock_id_that_identifies_no_clock_is_enodev(void **state)
{
	static const uint16_t types[] = {VIRTIO_RTC_REQ_READ, VIRTIO_RTC_REQ_READ_CROSS,
		VIRTIO_RTC_REQ_CLOCK_CAP, VIRTIO_RTC_REQ_CROSS_CAP};

	(void)state;
	for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		for (unsigned id = N_CLOCKS; id <= UINT16_MAX; id++) {
			struct answer a = ask(types[t], (uint16_t)id, 0);

			assert_int_equal(word(&a, 0), VIRTIO_RTC_S_ENODEV);
		}
	}
}

static void reserved_bits_are_einval_unless_the_clock_is_unknown(void **state)
{
	static const uint16_t types[] = {VIRTIO_RTC_REQ_READ, VIRTIO_RTC_REQ_READ_CROSS,
		VIRTIO_RTC_REQ_CFG, VIRTIO_RTC_REQ_CLOCK_CAP, VIRTIO_RTC_REQ_CROSS_CAP};

	(void)state;
	for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		bool counter = types[t] == VIRTIO_RTC_REQ_READ_CROSS ||
			       types[t] == VIRTIO_RTC_REQ_CROSS_CAP;
		uint32_t bytes = request_bytes(types[t]);

		for (unsigned i = 2; i < bytes; i++) {
			if (i >= 8 && i < (counter ? 11 : 10))
				continue; /* clock_id, hw_counter */
			for (unsigned bit = 0; bit < 8; bit++) {
				struct request r = make(types[t], 0, 0);
				struct answer a;

				r.b[i] = (uint8_t)(1 << bit);
				a = ask_in_room(&r, bytes, 24);
				assert_int_equal(word(&a, 0), VIRTIO_RTC_S_EINVAL);
				if (bytes == 8)
					continue;
				r.b[9] = 0xff;
				a = ask_in_room(&r, bytes, 24);
				assert_int_equal(word(&a, 0), VIRTIO_RTC_S_ENODEV);
			}
		}
	}
}

static void alarm_messages_without_the_feature_are_enodev(void **state)
{
	static const uint16_t types[] = {VIRTIO_RTC_REQ_READ_ALARM, VIRTIO_RTC_REQ_SET_ALARM,
		VIRTIO_RTC_REQ_SET_ALARM_ENABLED};

	(void)state;
	for (unsigned t = 0; t < 3; t++) {
		for (uint16_t id = 0; id < N_CLOCKS + 1; id++) {
			struct answer a = ask(types[t], id, 0);

			assert_int_equal(word(&a, 0), VIRTIO_RTC_S_ENODEV);
			assert_int_equal(a.bytes, response_bytes(types[t]));
		}
	}
}

static void a_request_that_does_not_fit_is_einval(void **state)
{
	(void)state;
	for (unsigned m = 0; m < N_MESSAGES; m++) {
		struct request r = make(messages[m], 0, 0);

		for (uint32_t bytes = 0; bytes < request_bytes(messages[m]); bytes++) {
			struct answer a = ask_in_room(&r, bytes, 24);

			assert_int_equal(word(&a, 0), VIRTIO_RTC_S_EINVAL);
			assert_int_equal(a.bytes, 8);
		}
	}
	/* Nor does a header that is cut off, whatever type its first bytes would be of (D14). */
	for (uint32_t bytes = 0; bytes < 8; bytes++) {
		struct request r = make(0x3001, 0, 0);

		assert_int_equal(ask_in_room(&r, bytes, 24).resp[0], VIRTIO_RTC_S_EINVAL);
	}
}

static void a_response_that_does_not_fit_is_einval_where_the_status_fits(void **state)
{
	(void)state;
	for (unsigned m = 0; m < N_MESSAGES; m++) {
		struct request r = make(messages[m], 0, 0);

		for (uint32_t room = 1; room < response_bytes(messages[m]); room++) {
			struct answer a = ask_in_room(&r, 24, room);

			assert_int_equal(a.resp[0], VIRTIO_RTC_S_EINVAL);
			assert_int_equal(a.bytes, room < 8 ? room : 8);
			for (uint32_t i = 1; i < a.bytes; i++)
				assert_int_equal(a.resp[i], 0);
		}
	}
}

static void without_room_for_the_status_nothing_is_written(void **state)
{
	(void)state;
	for (unsigned m = 0; m < N_MESSAGES; m++) {
		struct request r = make(messages[m], 0, 0);

		assert_int_equal(ask_in_room(&r, 24, 0).bytes, 0);
		assert_int_equal(ask_in_room(&r, 0, 0).bytes, 0);
	}
}

static void additional_space_on_either_side_is_ignored(void **state)
{
	static const uint32_t sizes[] = {24, 25, 4096, UINT32_MAX};

	(void)state;
	for (unsigned m = 0; m < N_MESSAGES; m++) {
		struct request r = make(messages[m], 0, 0);
		struct answer exact =
			ask_in_room(&r, request_bytes(messages[m]), response_bytes(messages[m]));

		/* What follows a request is not part of it, whatever it is. */
		memset(r.b + request_bytes(messages[m]), 0xff, 24 - request_bytes(messages[m]));
		for (unsigned i = 0; i < 4; i++) {
			for (unsigned j = 0; j < 4; j++) {
				struct answer a = ask_in_room(&r, sizes[i], sizes[j]);

				assert_int_equal(a.bytes, exact.bytes);
				assert_memory_equal(a.resp, exact.resp, exact.bytes);
			}
		}
	}
}

static void a_response_of_another_status_is_of_full_size_and_zero(void **state)
{
	(void)state;
	for (unsigned m = 0; m < N_MESSAGES; m++) {
		struct answer a = ask(messages[m], 0xffff, 0);

		if (messages[m] == VIRTIO_RTC_REQ_CFG)
			continue;
		assert_int_equal(a.bytes, response_bytes(messages[m]));
		assert_int_equal(a.resp[0], VIRTIO_RTC_S_ENODEV);
		for (uint32_t i = 1; i < a.bytes; i++)
			assert_int_equal(a.resp[i], 0);
	}
}

static void a_device_without_clocks_says_so_and_has_no_clock_0(void **state)
{
	const struct vrtc_device none = {.clock = NULL, .n_clocks = 0};
	struct vrtc_instant now = {.known = false};
	struct request cfg = make(VIRTIO_RTC_REQ_CFG, 0, 0);
	struct request read = make(VIRTIO_RTC_REQ_READ, 0, 0);
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	struct vrtc_command cmd;

	(void)state;
	vrtc_device_decode(&none, &no_offer, cfg.b, 8, 16, &cmd);
	assert_int_equal(vrtc_device_respond(&none, &cmd, &now, resp), 16);
	assert_int_equal(resp[0], VIRTIO_RTC_S_OK);
	assert_int_equal(resp[8] | resp[9], 0);
	vrtc_device_decode(&none, &no_offer, read.b, 16, 16, &cmd);
	assert_int_equal(vrtc_device_respond(&none, &cmd, &now, resp), 16);
	assert_int_equal(resp[0], VIRTIO_RTC_S_ENODEV);
}

static void cfg_and_capabilities_are_the_same_at_every_repetition(void **state)
{
	static const uint16_t types[] = {
		VIRTIO_RTC_REQ_CFG, VIRTIO_RTC_REQ_CLOCK_CAP, VIRTIO_RTC_REQ_CROSS_CAP};

	(void)state;
	for (unsigned t = 0; t < 3; t++) {
		for (uint16_t id = 0; id < N_CLOCKS; id++) {
			struct answer first =
				ask(types[t], types[t] == VIRTIO_RTC_REQ_CFG ? 0 : id, 0);

			(void)ask(VIRTIO_RTC_REQ_READ, id, 0);
			(void)ask(0x7777, id, 0);
			for (unsigned i = 0; i < 100; i++) {
				struct answer again =
					ask(types[t], types[t] == VIRTIO_RTC_REQ_CFG ? 0 : id, 0);

				assert_memory_equal(&again, &first, sizeof(first));
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cfg_tells_the_number_of_clocks_and_zeroes_reserved_fields),
		cmocka_unit_test(clock_cap_tells_type_and_variant_and_no_alarm_without_the_feature),
		cmocka_unit_test(clocks_other_than_utc_smeared_have_the_variant_unspecified),
		cmocka_unit_test(
			cross_cap_of_a_known_counter_without_a_map_is_ok_with_the_flag_clear),
		cmocka_unit_test(read_cross_without_a_map_is_eopnotsupp),
		cmocka_unit_test(cross_cap_with_a_map_sets_the_flag_for_that_counter_alone),
		cmocka_unit_test(cross_cap_stays_while_no_counter_can_be_told),
		cmocka_unit_test(read_cross_gives_the_reading_and_the_cycles_of_one_instant),
		cmocka_unit_test(read_cross_of_the_other_counter_is_eopnotsupp),
		cmocka_unit_test(
			read_cross_without_the_counter_or_the_clock_is_eio_and_gives_neither),
		cmocka_unit_test(cross_cap_agrees_with_read_cross_for_every_counter_and_clock),
		cmocka_unit_test(read_answers_the_reading_in_nanoseconds_for_every_clock),
		cmocka_unit_test(read_needs_the_time_of_its_clock_and_no_other_message_needs_any),
		cmocka_unit_test(a_reading_that_the_host_cannot_give_is_eio),
		cmocka_unit_test(unknown_msg_type_is_eopnotsupp),
		cmocka_unit_test(
			unknown_msg_type_is_eopnotsupp_even_with_reserved_bits_and_little_room),
		cmocka_unit_test(the_notification_type_is_no_request),
		cmocka_unit_test(unknown_hw_counter_is_eopnotsupp),
		cmocka_unit_test(the_counter_called_invalid_is_einval),
		cmocka_unit_test(clock_id_that_identifies_no_clock_is_enodev),
		cmocka_unit_test(reserved_bits_are_einval_unless_the_clock_is_unknown),
		cmocka_unit_test(alarm_messages_without_the_feature_are_enodev),
		cmocka_unit_test(a_request_that_does_not_fit_is_einval),
		cmocka_unit_test(a_response_that_does_not_fit_is_einval_where_the_status_fits),
		cmocka_unit_test(without_room_for_the_status_nothing_is_written),
		cmocka_unit_test(additional_space_on_either_side_is_ignored),
		cmocka_unit_test(a_response_of_another_status_is_of_full_size_and_zero),
		cmocka_unit_test(a_device_without_clocks_says_so_and_has_no_clock_0),
		cmocka_unit_test(cfg_and_capabilities_are_the_same_at_every_repetition),
	};

	return cmocka_run_group_tests(tests, load_leap, NULL);
}
