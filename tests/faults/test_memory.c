/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front-end takes its guest's memory away under the daemon. Its connection ends, with one line in
 * the log; the process lives, and the neighbour's readings are right all along.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/deadline.h"
#include "neighbour.h"
#include "wire.h"

#define TRUNCATED "the file behind the guest's memory was truncated; connection closed"
#define ROUNDS    20

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* The exit statuses of a hostile front-end. */
enum { CLOSED, NO_SESSION, NO_REQUEST, NO_TRUNCATION, STILL_OPEN };

static const struct virtio_rtc_req_read read_utc = {
	.head.msg_type.b = {VIRTIO_RTC_REQ_READ}, .clock_id.b = {1}};

/* In a process of its own: after the truncation it must not touch the memory either. */
static int be_hostile(off_t left_bytes, bool flooded, bool says_more)
{
	struct vfe_msg enable = {
		.header = {VFE_MSG_SET_VRING_ENABLE, VFE_MSG_VERSION, sizeof(struct vfe_msg_state)},
		.payload.state = {0, 1},
	};
	struct vfe_config cfg;
	struct vfe_session s;
	unsigned slot;

	fixture_config(&neighbour_fixture, &cfg);
	if (vfe_session_init(&s, &cfg) || vfe_session_start(&s))
		return NO_SESSION;
	for (unsigned i = 0; flooded && i < VFE_RTC_SLOTS; i++) {
		if (vfe_rtc_submit(&s, &read_utc, sizeof(read_utc), 16, &slot))
			return NO_REQUEST;
	}
	if (ftruncate(s.mem.regions[0].fd, left_bytes))
		return NO_TRUNCATION;
	/* A kick: an lcore that sleeps does not touch the memory. */
	if (write(s.queues[0].kick_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		return NO_REQUEST;
	/* rte_vhost's own accesses: it looks at the rings when a queue is stopped and started. */
	for (uint32_t i = 0; says_more && i < 8; i++) {
		enable.payload.state.num = i % 2;
		if (vfe_msg_send(s.sock, &enable, NULL, 0, vfe_deadline_in_ms(FIXTURE_WAIT_MS)))
			break;
	}
	return vfe_msg_wait_closed(s.sock, vfe_deadline_in_ms(FIXTURE_WAIT_MS)) ? STILL_OPEN
										: CLOSED;
}

static void run_hostile(off_t left_bytes, bool flooded, bool says_more)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(be_hostile(left_bytes, flooded, says_more));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CLOSED);
}

static void rounds(const char *what, off_t left_bytes, bool flooded, bool says_more)
{
	unsigned lines = fixture_log_lines(&neighbour_fixture, TRUNCATED);
	unsigned fds = neighbour_daemon_fds();

	neighbour_begin(what);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct vfe_session s;

		run_hostile(left_bytes, flooded, says_more);
		neighbour_count(1);
		/* And the device is there for the next front-end. */
		fixture_connect(&neighbour_fixture, &s);
		fixture_check_all_clocks(&s);
		vfe_session_fini(&s);
	}
	neighbour_end();
	fixture_wait_log(&neighbour_fixture, TRUNCATED, lines + ROUNDS);
	neighbour_wait_fds(fds);
}

static void a_file_truncated_to_nothing_under_requests_costs_its_own_connection(void **state)
{
	(void)state;
	rounds(__func__, 0, true, false);
}

static void a_file_truncated_to_nothing_at_rest_costs_its_own_connection(void **state)
{
	(void)state;
	rounds(__func__, 0, false, false);
}

static void messages_after_the_truncation_cost_the_same(void **state)
{
	(void)state;
	rounds(__func__, 0, true, true);
}

static void a_file_truncated_before_the_message_costs_its_connection_or_nothing(void **state)
{
	(void)state;
	neighbour_begin(__func__);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct vfe_config cfg;
		struct vfe_session s;
		struct vfe_session next;

		fixture_config(&neighbour_fixture, &cfg);
		assert_int_equal(vfe_session_init(&s, &cfg), 0);
		assert_int_equal(vfe_session_connect(&s), 0);
		assert_int_equal(vfe_session_negotiate(&s), 0);
		assert_int_equal(vfe_session_set_mem_table(&s), 0);
		/* Pages by pages: which of the rings' is gone when rte_vhost translates them? */
		assert_int_equal(ftruncate(s.mem.regions[0].fd, (off_t)(i % 5) * 4096), 0);
		/* Messages alone: the rings are not looked at here. */
		for (unsigned q = 0; q < 1; q++) {
			struct vfe_msg msg = {
				.header = {VFE_MSG_SET_VRING_NUM, VFE_MSG_VERSION, 8},
				.payload.state = {q, s.queues[q].ring.size},
			};
			int64_t deadline_ns = vfe_deadline_in_ms(FIXTURE_WAIT_MS);

			(void)vfe_msg_send(s.sock, &msg, NULL, 0, deadline_ns);
			msg = (struct vfe_msg){
				.header = {VFE_MSG_SET_VRING_ADDR, VFE_MSG_VERSION, 40},
				.payload.addr = {.index = q,
					.desc_user_addr =
						(uint64_t)(uintptr_t)s.queues[q].ring.desc,
					.used_user_addr =
						(uint64_t)(uintptr_t)s.queues[q].ring.used,
					.avail_user_addr =
						(uint64_t)(uintptr_t)s.queues[q].ring.avail},
			};
			(void)vfe_msg_send(s.sock, &msg, NULL, 0, deadline_ns);
			msg = (struct vfe_msg){
				.header = {VFE_MSG_SET_VRING_KICK, VFE_MSG_VERSION, 8},
				.payload.u64 = q};
			(void)vfe_msg_send(s.sock, &msg, &s.queues[q].kick_fd, 1, deadline_ns);
			msg.header.request = VFE_MSG_SET_VRING_CALL;
			(void)vfe_msg_send(s.sock, &msg, &s.queues[q].call_fd, 1, deadline_ns);
			msg = (struct vfe_msg){
				.header = {VFE_MSG_SET_VRING_ENABLE, VFE_MSG_VERSION, 8},
				.payload.state = {q, 1}};
			(void)vfe_msg_send(s.sock, &msg, NULL, 0, deadline_ns);
		}
		if (i % 5 < 3)
			assert_int_equal(
				vfe_msg_wait_closed(s.sock, vfe_deadline_in_ms(FIXTURE_WAIT_MS)),
				0);
		vfe_session_fini(&s);
		neighbour_count(1);
		fixture_connect(&neighbour_fixture, &next);
		fixture_check_reading(&next);
		vfe_session_fini(&next);
	}
	neighbour_end();
}

static void a_sigbus_that_was_sent_ends_the_process_as_ever(void **state)
{
	struct fixture f;

	(void)state;
	/* A wrapper's process ends in its own way, and a sanitizer's with a report. */
	if (getenv("DPDK_RTC") || SANITIZED)
		skip();
	fixture_init(&f);
	fixture_start_one(&f);
	assert_int_equal(child_signal(&f.daemon, SIGBUS), 0);
	assert_int_equal(child_wait(&f.daemon, FIXTURE_WAIT_MS), 128 + SIGBUS);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_file_truncated_to_nothing_under_requests_costs_its_own_connection),
		cmocka_unit_test(a_file_truncated_to_nothing_at_rest_costs_its_own_connection),
		cmocka_unit_test(messages_after_the_truncation_cost_the_same),
		cmocka_unit_test(
			a_file_truncated_before_the_message_costs_its_connection_or_nothing),
		cmocka_unit_test(a_sigbus_that_was_sent_ends_the_process_as_ever),
	};

	return cmocka_run_group_tests(tests, neighbour_group_setup, neighbour_group_teardown);
}
