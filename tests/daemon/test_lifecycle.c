/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens to a device in its life: resets, reconnects, memory that comes and goes, and the
 * daemon's own death. The next reading is right, and nobody else notices.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "frontend/deadline.h"
#include "wire.h"

static const struct virtio_rtc_req_read read_monotonic = {
	.head.msg_type.b = {VIRTIO_RTC_REQ_READ}, .clock_id.b = {3}};

static void capabilities(struct vfe_session *s, struct vfe_rtc_clock_cap cap[4])
{
	uint16_t n;

	assert_int_equal(vfe_rtc_cfg(s, &n), VIRTIO_RTC_S_OK);
	assert_int_equal(n, 4);
	for (uint16_t id = 0; id < n; id++)
		assert_int_equal(vfe_rtc_clock_cap(s, id, &cap[id]), VIRTIO_RTC_S_OK);
}

static void capabilities_are_the_same_over_guest_resets(void **state)
{
	struct vfe_rtc_clock_cap first[4];
	struct vfe_rtc_clock_cap again[4];
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	capabilities(&s, first);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(vfe_session_reset(&s), 0);
		capabilities(&s, again);
		assert_memory_equal(first, again, sizeof(first));
		fixture_check_all_clocks(&s);
	}
	vfe_session_fini(&s);
}

static void a_stopped_vm_goes_on_where_it_was(void **state)
{
	uint8_t resp[16];
	struct vfe_session s;
	unsigned slot;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (unsigned i = 0; i < 20; i++) {
		for (unsigned j = 0; j <= i; j++)
			fixture_check_reading(&s);
		assert_int_equal(vfe_session_stop(&s), 0);
		/* Made available while nobody serves: answered after the start, not before. */
		assert_int_equal(vfe_rtc_submit(&s, &read_monotonic, sizeof(read_monotonic),
					 sizeof(resp), &slot),
			0);
		assert_int_equal(vfe_rtc_collect(&s, slot, resp, NULL, 20), -ETIMEDOUT);
		assert_int_equal(vfe_session_resume(&s), 0);
		assert_int_equal(vfe_rtc_collect(&s, slot, resp, NULL, FIXTURE_WAIT_MS), 0);
		assert_int_equal(resp[0], VIRTIO_RTC_S_OK);
	}
	vfe_session_fini(&s);
}

static void a_front_end_that_vanishes_leaves_the_socket_to_the_next(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct vfe_session s;

		fixture_connect(&fixture_group, &s);
		fixture_check_reading(&s);
		/* Closes without a word, as a process that crashed. */
		vfe_session_fini(&s);
	}
}

static void the_same_front_end_comes_back_to_the_same_daemon(void **state)
{
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (unsigned i = 0; i < 20; i++) {
		fixture_check_reading(&s);
		vfe_session_disconnect(&s);
		assert_int_equal(vfe_session_reconnect(&s), 0);
	}
	fixture_check_all_clocks(&s);
	vfe_session_fini(&s);
}

static void requests_in_flight_survive_kill_9_and_restart(void **state)
{
	struct virtio_rtc_resp_read resp;
	unsigned slot[VFE_RTC_SLOTS];
	struct vfe_session s;
	uint64_t last_ns = 0;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (unsigned round = 0; round < 5; round++) {
		fixture_check_reading(&s);
		/* Some are answered before it dies, some are not: both must come back, once. */
		for (unsigned i = 0; i < VFE_RTC_SLOTS; i++) {
			if (i == VFE_RTC_SLOTS / 2)
				fixture_kill(&fixture_group);
			assert_int_equal(vfe_rtc_submit(&s, &read_monotonic, sizeof(read_monotonic),
						 sizeof(resp), &slot[i]),
				0);
		}
		fixture_start(&fixture_group);
		assert_int_equal(vfe_session_reconnect(&s), 0);
		for (unsigned i = 0; i < VFE_RTC_SLOTS; i++) {
			uint64_t ns;

			assert_int_equal(
				vfe_rtc_collect(&s, slot[i], &resp, NULL, FIXTURE_WAIT_MS), 0);
			assert_int_equal(resp.head.status, VIRTIO_RTC_S_OK);
			ns = vrtc_le64_get(resp.clock_reading);
			assert_true(ns >= last_ns);
			last_ns = ns;
		}
	}
	fixture_check_all_clocks(&s);
	vfe_session_fini(&s);
}

static void memory_can_be_plugged_and_unplugged_while_the_device_serves(void **state)
{
	const uint64_t dimm_gpa = 0x100000000;
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (unsigned i = 0; i < 20; i++) {
		struct vfe_seg segs[2];
		struct vfe_done done;
		uint8_t *host;
		uint64_t gpa;

		assert_int_equal(vfe_mem_add(&s.mem, dimm_gpa, 1 << 20, i % 2 ? 1 << 16 : 0), 0);
		assert_int_equal(vfe_session_set_mem_table(&s), 0);
		fixture_check_reading(&s);

		/* A request in the new memory. */
		gpa = vfe_mem_alloc_in(&s.mem, dimm_gpa, 64, 1);
		host = vfe_mem_host(&s.mem, gpa, 64);
		memcpy(host, &read_monotonic, sizeof(read_monotonic));
		segs[0] = (struct vfe_seg){gpa, 16, false};
		segs[1] = (struct vfe_seg){gpa + 16, 16, true};
		assert_int_equal(vfe_ring_add(&s.queues[0].ring, segs, 2, 0, NULL), 0);
		vfe_ring_publish(&s.queues[0].ring);
		vfe_session_kick(&s, 0, false);
		assert_int_equal(vfe_session_wait_used(&s, 0, &done, FIXTURE_WAIT_MS), 0);
		assert_int_equal(done.used_bytes, 16);
		assert_int_equal(host[16], VIRTIO_RTC_S_OK);

		assert_int_equal(vfe_mem_remove(&s.mem, dimm_gpa), 0);
		assert_int_equal(vfe_session_set_mem_table(&s), 0);
		fixture_check_reading(&s);
	}
	vfe_session_fini(&s);
}

static void a_buffer_may_lie_across_two_adjacent_regions(void **state)
{
	const uint64_t low_gpa = 0x200000000;
	const uint64_t high_gpa = low_gpa + (1 << 20);
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	assert_int_equal(vfe_mem_add(&s.mem, low_gpa, 1 << 20, 0), 0);
	assert_int_equal(vfe_mem_add(&s.mem, high_gpa, 1 << 20, 0), 0);
	assert_int_equal(vfe_session_set_mem_table(&s), 0);
	for (uint64_t below = 1; below < 32; below++) {
		struct vfe_seg segs[2] = {
			{high_gpa - below, 16, false}, {high_gpa - below + 16, 16, true}};
		struct vfe_done done;

		for (unsigned i = 0; i < 32; i++) {
			uint8_t *host = vfe_mem_host(&s.mem, high_gpa - below + i, 1);

			*host = i < 16 ? ((const uint8_t *)&read_monotonic)[i] : 0xa5;
		}
		assert_int_equal(vfe_ring_add(&s.queues[0].ring, segs, 2, 0, NULL), 0);
		vfe_ring_publish(&s.queues[0].ring);
		vfe_session_kick(&s, 0, false);
		assert_int_equal(vfe_session_wait_used(&s, 0, &done, FIXTURE_WAIT_MS), 0);
		assert_int_equal(done.used_bytes, 16);
		for (unsigned i = 16; i < 24; i++) {
			uint8_t *host = vfe_mem_host(&s.mem, high_gpa - below + i, 1);

			assert_int_equal(*host, 0);
		}
	}
	vfe_session_fini(&s);
}

static void a_second_front_end_is_refused_and_the_first_does_not_notice(void **state)
{
	struct vfe_session first;
	struct vfe_session second;
	struct vfe_config cfg;

	(void)state;
	fixture_connect(&fixture_group, &first);
	for (unsigned i = 0; i < 5; i++) {
		fixture_config(&fixture_group, &cfg);
		assert_int_equal(vfe_session_init(&second, &cfg), 0);
		assert_true(vfe_session_start(&second) < 0);
		vfe_session_fini(&second);
		fixture_check_reading(&first);
	}
	vfe_session_fini(&first);
}

static void queue_0_alone_is_served_whether_queue_1_is_named_or_not(void **state)
{
	(void)state;
	for (unsigned named = 0; named < 2; named++) {
		struct vfe_config cfg;
		struct vfe_session s;

		fixture_config(&fixture_group, &cfg);
		cfg.queues = 1;
		cfg.queues_named = named ? 3 : 1;
		fixture_connect_as(&s, &cfg);
		fixture_check_all_clocks(&s);
		vfe_session_fini(&s);
	}
}

static void both_queues_set_up_are_fine_and_the_alarmq_is_left_alone(void **state)
{
	struct vfe_config cfg;
	struct vfe_session s;
	uint16_t clock_id;

	(void)state;
	fixture_config(&fixture_group, &cfg);
	cfg.queues = 3;
	fixture_connect_as(&s, &cfg);
	assert_int_equal(vfe_rtc_alarmq_fill(&s, 8, 16), 0);
	fixture_check_all_clocks(&s);
	assert_int_equal(vfe_rtc_alarm_wait(&s, &clock_id, false, 20), -ETIMEDOUT);
	assert_int_equal(vfe_session_reset(&s), 0);
	fixture_check_all_clocks(&s);
	vfe_session_fini(&s);
}

static void call_and_kick_descriptors_can_be_replaced_at_any_time(void **state)
{
	struct vfe_config cfg;
	struct vfe_session s;

	(void)state;
	fixture_config(&fixture_group, &cfg);
	cfg.wait = VFE_WAIT_SLEEP;
	fixture_connect_as(&s, &cfg);
	for (unsigned i = 0; i < 100; i++) {
		int call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		assert_true(call >= 0 && kick >= 0);
		assert_int_equal(vfe_session_set_fd(&s, VFE_MSG_SET_VRING_CALL, 0, call), 0);
		close(s.queues[0].call_fd);
		s.queues[0].call_fd = call;
		assert_int_equal(vfe_session_set_fd(&s, VFE_MSG_SET_VRING_KICK, 0, kick), 0);
		close(s.queues[0].kick_fd);
		s.queues[0].kick_fd = kick;
		fixture_check_reading(&s);
	}
	vfe_session_fini(&s);
}

static void reset_owner_is_ignored_and_a_new_setup_is_served(void **state)
{
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	for (unsigned i = 0; i < 5; i++) {
		struct vfe_msg msg = {0};

		fixture_check_reading(&s);
		msg.header.request = VFE_MSG_RESET_OWNER;
		assert_int_equal(vfe_session_exchange(&s, &msg, NULL, 0), 0);
		s.queues[0].started = false;
		s.queues[0].base = vfe_ring_used_idx(&s.queues[0].ring);
		assert_int_equal(vfe_session_negotiate(&s), 0);
		assert_int_equal(vfe_session_set_mem_table(&s), 0);
		assert_int_equal(vfe_session_queue_start(&s, 0), 0);
	}
	fixture_check_all_clocks(&s);
	vfe_session_fini(&s);
}

/* SET_INFLIGHT_FD of these sizes made rte_vhost write outside of its mapping. */
static void a_message_that_was_not_offered_ends_its_connection_alone(void **state)
{
	static const uint32_t requests[] = {VFE_MSG_SET_LOG_BASE, VFE_MSG_SEND_RARP,
		VFE_MSG_IOTLB_MSG, VFE_MSG_GET_CONFIG, VFE_MSG_POSTCOPY_ADVISE,
		VFE_MSG_GET_INFLIGHT_FD, VFE_MSG_SET_INFLIGHT_FD, VFE_MSG_SET_STATUS, 200};

	(void)state;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		/* mmap_size, mmap_offset, num_queues, queue_size */
		struct {
			struct vfe_msg_header header;
			uint64_t mmap[2];
			uint16_t queues[2];
		} __attribute__((packed)) msg = {
			.header = {requests[i], VFE_MSG_VERSION | VFE_MSG_NEED_REPLY, 20},
			.mmap = {4096, 0},
			.queues = {2, 65535},
		};
		int fd = memfd_create("inflight", MFD_CLOEXEC);
		struct vfe_session s;

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 4096), 0);
		fixture_connect(&fixture_group, &s);
		assert_int_equal(vfe_msg_send_raw(s.sock, &msg, sizeof(msg), &fd, 1,
					 vfe_deadline_in_ms(FIXTURE_WAIT_MS)),
			0);
		assert_int_equal(
			vfe_msg_wait_closed(s.sock, vfe_deadline_in_ms(FIXTURE_WAIT_MS)), 0);
		vfe_session_fini(&s);
		close(fd);
		fixture_connect(&fixture_group, &s);
		fixture_check_reading(&s);
		vfe_session_fini(&s);
	}
}

static void in_client_mode_the_daemon_connects_and_connects_again(void **state)
{
	struct fixture f;
	struct vfe_config cfg;
	struct vfe_session s;

	(void)state;
	fixture_init(&f);
	fixture_config(&f, &cfg);
	cfg.listen = true;
	cfg.timeout_ms = FIXTURE_WAIT_MS;
	assert_int_equal(vfe_session_init(&s, &cfg), 0);

	fixture_arg(&f, "--client");
	fixture_arg(&f, "--socket-path");
	fixture_arg(&f, f.socket);
	fixture_arg(&f, "--idle");
	fixture_arg(&f, "interrupt");
	fixture_start(&f);
	assert_int_equal(vfe_session_start(&s), 0);
	fixture_check_all_clocks(&s);

	/* The front-end goes and comes back. */
	for (unsigned i = 0; i < 2; i++) {
		vfe_session_disconnect(&s);
		assert_int_equal(vfe_session_reconnect(&s), 0);
		fixture_check_all_clocks(&s);
	}
	/* The daemon goes and comes back. */
	fixture_kill(&f);
	fixture_start(&f);
	assert_int_equal(vfe_session_reconnect(&s), 0);
	fixture_check_all_clocks(&s);

	vfe_session_fini(&s);
	fixture_stop(&f);
	fixture_fini(&f);
}

static void a_broken_ring_is_left_alone_until_the_driver_resets_the_device(void **state)
{
	struct vfe_seg loop = {0xdead0000dead0000, 16, false};
	struct vfe_done done;
	struct vfe_session s;

	(void)state;
	fixture_connect(&fixture_group, &s);
	fixture_check_reading(&s);
	assert_int_equal(vfe_ring_add(&s.queues[0].ring, &loop, 1, 0, NULL), 0);
	vfe_ring_publish(&s.queues[0].ring);
	vfe_session_kick(&s, 0, true);
	assert_int_equal(vfe_session_wait_used(&s, 0, &done, 50), -ETIMEDOUT);
	assert_int_equal(vfe_session_reset(&s), 0);
	fixture_check_all_clocks(&s);
	vfe_session_fini(&s);
}

/* A boot loader on split rings, the system behind it on packed ones, and so on. */
static void rings_of_either_kind_follow_each_other_at_each_reset(void **state)
{
	const uint64_t packed = UINT64_C(1) << VFE_F_RING_PACKED;
	struct vfe_config cfg;
	struct vfe_session s;

	(void)state;
	fixture_config(&fixture_group, &cfg);
	fixture_connect_as(&s, &cfg);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t wanted = i / 2 % 2 ? cfg.features & ~packed : cfg.features | packed;

		assert_int_equal(vfe_session_reset_as(&s, wanted, 1), 0);
		assert_int_equal(s.features, wanted);
		for (unsigned n = 0; n < 300; n++)
			fixture_check_reading(&s);
		assert_int_equal(vfe_session_stop(&s), 0);
		assert_int_equal(vfe_session_resume(&s), 0);
		fixture_check_reading(&s);
	}
	vfe_session_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_are_the_same_over_guest_resets),
		cmocka_unit_test(a_stopped_vm_goes_on_where_it_was),
		cmocka_unit_test(a_front_end_that_vanishes_leaves_the_socket_to_the_next),
		cmocka_unit_test(the_same_front_end_comes_back_to_the_same_daemon),
		cmocka_unit_test(requests_in_flight_survive_kill_9_and_restart),
		cmocka_unit_test(memory_can_be_plugged_and_unplugged_while_the_device_serves),
		cmocka_unit_test(a_buffer_may_lie_across_two_adjacent_regions),
		cmocka_unit_test(a_second_front_end_is_refused_and_the_first_does_not_notice),
		cmocka_unit_test(queue_0_alone_is_served_whether_queue_1_is_named_or_not),
		cmocka_unit_test(both_queues_set_up_are_fine_and_the_alarmq_is_left_alone),
		cmocka_unit_test(call_and_kick_descriptors_can_be_replaced_at_any_time),
		cmocka_unit_test(reset_owner_is_ignored_and_a_new_setup_is_served),
		cmocka_unit_test(a_message_that_was_not_offered_ends_its_connection_alone),
		cmocka_unit_test(in_client_mode_the_daemon_connects_and_connects_again),
		cmocka_unit_test(a_broken_ring_is_left_alone_until_the_driver_resets_the_device),
		cmocka_unit_test(rings_of_either_kind_follow_each_other_at_each_reset),
	};

	return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
