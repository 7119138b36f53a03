/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every request, from a real front-end process to the real daemon. What each status is for is
 * tested byte by byte in tests/unit/test_device.c; here it is that the bytes arrive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fixture.h"
#include "wire.h"

static void cfg_and_capabilities_of_the_default_clocks(void **state)
{
	static const struct vfe_rtc_clock_cap wanted[] = {
		{VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR, 0},
		{VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED, 0},
		{VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED, 0},
		{VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED, 0},
	};
	struct vfe_session s;
	uint16_t n;

	(void)state;
	fixture_connect(&fixture_group, &s);
	assert_int_equal(vfe_rtc_cfg(&s, &n), VIRTIO_RTC_S_OK);
	assert_int_equal(n, 4);
	for (uint16_t id = 0; id < n; id++) {
		struct vfe_rtc_clock_cap cap;

		assert_int_equal(vfe_rtc_clock_cap(&s, id, &cap), VIRTIO_RTC_S_OK);
		assert_memory_equal(&cap, &wanted[id], sizeof(cap));
		for (uint8_t counter = 0; counter < 2; counter++) {
			bool supported = true;
			uint64_t reading_ns;
			uint64_t cycles;

			assert_int_equal(
				vfe_rtc_cross_cap(&s, id, counter, &supported), VIRTIO_RTC_S_OK);
			assert_false(supported);
			assert_int_equal(vfe_rtc_read_cross(&s, id, counter, &reading_ns, &cycles),
				VIRTIO_RTC_S_EOPNOTSUPP);
		}
	}
	vfe_session_fini(&s);
}

static void each_reading_lies_between_the_hosts_before_and_after(void **state)
{
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (unsigned i = 0; i < 100; i++)
		fixture_check_all_clocks(&s);
	vfe_session_fini(&s);
}

static void statuses_of_wrong_requests(void **state)
{
	struct vfe_rtc_clock_cap cap;
	struct vfe_session s;
	uint64_t ns;
	bool flag;

	(void)state;
	fixture_connect(&fixture_group, &s);
	assert_int_equal(vfe_rtc_clock_cap(&s, 4, &cap), VIRTIO_RTC_S_ENODEV);
	assert_int_equal(vfe_rtc_read(&s, 0xffff, &ns), VIRTIO_RTC_S_ENODEV);
	assert_int_equal(vfe_rtc_cross_cap(&s, 0, 0x42, &flag), VIRTIO_RTC_S_EOPNOTSUPP);
	assert_int_equal(vfe_rtc_cross_cap(&s, 0, 0xff, &flag), VIRTIO_RTC_S_EINVAL);
	assert_int_equal(vfe_rtc_read_alarm(&s, 0, &ns, &flag), VIRTIO_RTC_S_ENODEV);
	assert_int_equal(vfe_rtc_set_alarm(&s, 0, 1, true), VIRTIO_RTC_S_ENODEV);
	assert_int_equal(vfe_rtc_set_alarm_enabled(&s, 0, true), VIRTIO_RTC_S_ENODEV);
	fixture_check_reading(&s);
	vfe_session_fini(&s);
}

static void used_length_is_what_was_written_and_not_a_byte_more_is(void **state)
{
	static const struct virtio_rtc_req_read req = {
		.head.msg_type.b = {VIRTIO_RTC_REQ_READ}, .clock_id.b = {1}};
	uint8_t resp[64];
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (uint32_t room = 0; room <= sizeof(resp); room++) {
		uint32_t wanted = room >= 16 ? 16 : room < 8 ? room : 8;
		uint32_t used_bytes;

		assert_int_equal(vfe_rtc_request(&s, &req, sizeof(req), resp, room, &used_bytes,
					 FIXTURE_WAIT_MS),
			0);
		assert_int_equal(used_bytes, wanted);
		if (room > 0)
			assert_int_equal(
				resp[0], room >= 16 ? VIRTIO_RTC_S_OK : VIRTIO_RTC_S_EINVAL);
		for (uint32_t i = wanted; i < room; i++)
			assert_int_equal(resp[i], 0xa5);
	}
	vfe_session_fini(&s);
}

static void a_request_that_is_too_short_is_einval(void **state)
{
	static const struct virtio_rtc_req_read req = {.head.msg_type.b = {VIRTIO_RTC_REQ_READ}};
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (uint32_t bytes = 0; bytes < sizeof(req); bytes++) {
		uint8_t resp[16];
		uint32_t used_bytes;

		assert_int_equal(vfe_rtc_request(&s, &req, bytes, resp, sizeof(resp), &used_bytes,
					 FIXTURE_WAIT_MS),
			0);
		assert_int_equal(resp[0], VIRTIO_RTC_S_EINVAL);
		assert_int_equal(used_bytes, 8);
	}
	fixture_check_reading(&s);
	vfe_session_fini(&s);
}

/* A READ of UTC and its response in pieces: bit i of a mask: a piece ends behind byte i. */
static void read_in_pieces(struct vfe_session *s, uint64_t gpa, uint32_t req_cuts,
	uint32_t resp_cuts, bool indirect, bool mixed)
{
	struct vfe_seg segs[40];
	struct vfe_done done;
	unsigned n = 0;
	uint8_t *host = vfe_mem_host(&s->mem, gpa, 1024);
	struct vfe_ring *ring = &s->queues[0].ring;

	memset(host, 0, 1024);
	host[0] = VIRTIO_RTC_REQ_READ;
	host[8] = 1;
	for (unsigned part = 0; part < 2; part++) {
		uint32_t cuts = part ? resp_cuts : req_cuts;
		uint64_t at = gpa + (part ? 128 : 0);
		uint32_t begin = 0;

		for (uint32_t i = 0; i < 16; i++) {
			if (i == 15 || cuts & 1u << i) {
				segs[n++] = (struct vfe_seg){at + begin, i + 1 - begin, part};
				begin = i + 1;
			}
		}
	}
	/* "A driver MUST NOT write direct descriptors with [INDIRECT] linked by [NEXT]": packed. */
	if (mixed && !ring->packed) {
		/* The first piece directly, the rest through a table at the end of the chain. */
		struct vfe_desc *table = vfe_mem_host(&s->mem, gpa + 256, 16 * (n - 1));
		uint16_t head;

		for (unsigned i = 1; i < n; i++) {
			table[i - 1].gpa = segs[i].gpa;
			table[i - 1].bytes = segs[i].bytes;
			table[i - 1].flags = (uint16_t)((segs[i].writable ? VFE_DESC_F_WRITE : 0) |
							(i + 1 < n ? VFE_DESC_F_NEXT : 0));
			table[i - 1].next = (uint16_t)(i + 1 < n ? i : 0);
		}
		segs[1] = (struct vfe_seg){gpa + 256, 16 * (n - 1), false};
		assert_int_equal(vfe_ring_add(ring, segs, 2, 0, &head), 0);
		ring->desc[ring->desc[head].next].flags = VFE_DESC_F_INDIRECT;
	} else if (indirect) {
		assert_int_equal(vfe_ring_add_indirect(ring, segs, n, gpa + 256, 0, NULL), 0);
	} else {
		assert_int_equal(vfe_ring_add(ring, segs, n, 0, NULL), 0);
	}
	vfe_ring_publish(ring);
	vfe_session_kick(s, 0, false);
	assert_int_equal(vfe_session_wait_used(s, 0, &done, FIXTURE_WAIT_MS), 0);
	assert_int_equal(done.used_bytes, 16);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(host[128 + i], VIRTIO_RTC_S_OK);
	assert_true(host[128 + 15] != 0);
}

static void request_and_response_in_any_split_directly_and_through_tables(void **state)
{
	struct vfe_config cfg;
	struct vfe_session s;
	uint64_t gpa;

	(void)state;
	fixture_config(&fixture_group, &cfg);
	cfg.features |= 1ULL << VFE_F_INDIRECT_DESC;
	fixture_connect_as(&s, &cfg);
	assert_true(s.features & 1ULL << VFE_F_INDIRECT_DESC);
	gpa = vfe_mem_alloc(&s.mem, 1024, 16);
	assert_true(gpa != VFE_GPA_NONE);
	/* One cut anywhere, each byte alone, and a fixed choice of all others. */
	for (uint32_t i = 0; i < 16; i++) {
		for (unsigned how = 0; how < 3; how++) {
			read_in_pieces(&s, gpa, 1u << i, 1u << (15 - i), how == 1, how == 2);
			read_in_pieces(&s, gpa, 0x7fff, 1u << i, how == 1, how == 2);
			read_in_pieces(&s, gpa, 1u << i, 0x7fff, how == 1, how == 2);
			read_in_pieces(&s, gpa, (0x1234u * (i + 1)) & 0x7fff,
				(0x2f31u * (i + 3)) & 0x7fff, how == 1, how == 2);
		}
	}
	read_in_pieces(&s, gpa, 0x7fff, 0x7fff, false, false);
	read_in_pieces(&s, gpa, 0x7fff, 0x7fff, true, false);
	vfe_session_fini(&s);
}

static void with_event_index_and_a_sleeping_driver_no_signal_is_lost(void **state)
{
	struct vfe_config cfg;
	struct vfe_session s;

	(void)state;
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		fixture_config(&fixture_group, &cfg);
		cfg.wait = VFE_WAIT_SLEEP;
		cfg.ring_size = 8;
		if (event_idx)
			cfg.features |= 1ULL << VFE_F_EVENT_IDX;
		fixture_connect_as(&s, &cfg);
		assert_int_equal(!!(s.features & 1ULL << VFE_F_EVENT_IDX), event_idx);
		for (unsigned i = 0; i < 500; i++)
			fixture_check_reading(&s);
		vfe_session_fini(&s);
	}
}

static void sixty_four_requests_at_once_are_answered_in_order(void **state)
{
	static const struct virtio_rtc_req_read req = {
		.head.msg_type.b = {VIRTIO_RTC_REQ_READ}, .clock_id.b = {3}};
	unsigned slot[VFE_RTC_SLOTS];
	struct vfe_session s;
	uint64_t last_ns = 0;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < VFE_RTC_SLOTS; i++)
			assert_int_equal(vfe_rtc_submit(&s, &req, sizeof(req), 16, &slot[i]), 0);
		for (unsigned i = 0; i < VFE_RTC_SLOTS; i++) {
			struct virtio_rtc_resp_read resp;
			uint32_t used_bytes;
			uint64_t ns;

			assert_int_equal(
				vfe_rtc_collect(&s, slot[i], &resp, &used_bytes, FIXTURE_WAIT_MS),
				0);
			assert_int_equal(resp.head.status, VIRTIO_RTC_S_OK);
			ns = vrtc_le64_get(resp.clock_reading);
			assert_true(ns >= last_ns);
			last_ns = ns;
		}
	}
	vfe_session_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cfg_and_capabilities_of_the_default_clocks),
		cmocka_unit_test(each_reading_lies_between_the_hosts_before_and_after),
		cmocka_unit_test(statuses_of_wrong_requests),
		cmocka_unit_test(used_length_is_what_was_written_and_not_a_byte_more_is),
		cmocka_unit_test(a_request_that_is_too_short_is_einval),
		cmocka_unit_test(request_and_response_in_any_split_directly_and_through_tables),
		cmocka_unit_test(with_event_index_and_a_sleeping_driver_no_signal_is_lost),
		cmocka_unit_test(sixty_four_requests_at_once_are_answered_in_order),
	};

	return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
