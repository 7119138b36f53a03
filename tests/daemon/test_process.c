/* SPDX-License-Identifier: BSD-3-Clause */
/* The process: how it ends, what it costs when idle, and on what it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "frontend/deadline.h"

/* utime + stime of a process, all threads, in clock ticks. */
static unsigned long cpu_ticks(pid_t pid)
{
	unsigned long user = 0;
	unsigned long system = 0;
	char path[64];
	char line[1024];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	/* Fields 14 and 15; the name in field 2 may hold anything but ends with the last ')'. */
	assert_int_equal(
		sscanf(strrchr(line, ')') + 2,
			"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
		2);
	return user + system;
}

/* A daemon of its own for a test, with a front-end that has had a reading. */
static void begin(struct fixture *f, struct vfe_session *s)
{
	fixture_init(f);
	fixture_start_one(f);
	fixture_connect(f, s);
	fixture_check_reading(s);
}

static void end(struct fixture *f, struct vfe_session *s)
{
	vfe_session_fini(s);
	fixture_stop(f);
	fixture_fini(f);
}

static void each_idle_policy_serves(void **state)
{
	static const char *const idle[] = {"busy", "pause", "interrupt"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct vfe_session s;
		struct fixture f;

		fixture_init(&f);
		fixture_arg(&f, "--socket-path");
		fixture_arg(&f, f.socket);
		fixture_arg(&f, "--idle");
		fixture_arg(&f, idle[i]);
		fixture_start(&f);
		fixture_connect(&f, &s);
		for (unsigned k = 0; k < 20; k++) {
			fixture_check_all_clocks(&s);
			fixture_sleep_ms(k % 4);
		}
		end(&f, &s);
	}
}

static void an_idle_daemon_in_interrupt_mode_sleeps(void **state)
{
	struct vfe_session s;
	struct fixture f;
	unsigned long before;

	(void)state;
	begin(&f, &s);
	fixture_sleep_ms(100);
	before = cpu_ticks(f.daemon.pid);
	fixture_sleep_ms(2000);
	/*
	 * Of 200 ticks. A poller that does not sleep uses all of them; ours uses none, but its
	 * looks at the guest's counter cost some under valgrind.
	 */
	assert_in_range(cpu_ticks(f.daemon.pid) - before, 0, 20);
	fixture_check_reading(&s);
	end(&f, &s);
}

static void a_stale_socket_of_a_killed_daemon_is_replaced(void **state)
{
	struct vfe_session s;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_start_one(&f);
	fixture_kill(&f);
	assert_int_equal(access(f.socket, F_OK), 0);
	fixture_start(&f);
	fixture_connect(&f, &s);
	fixture_check_reading(&s);
	end(&f, &s);
}

static void it_ends_on_sigterm_with_a_front_end_connected(void **state)
{
	struct vfe_session s;
	struct fixture f;

	(void)state;
	begin(&f, &s);
	fixture_stop(&f);
	vfe_session_fini(&s);
	fixture_fini(&f);
}

/* rte_vhost's event thread is then at work while the main thread takes everything down. */
static void it_ends_on_sigterm_while_front_ends_leave(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		static struct vfe_session s[8];
		static char path[8][108];
		struct fixture f;

		fixture_init(&f);
		for (unsigned i = 0; i < 8; i++) {
			snprintf(path[i], sizeof(path[i]), "%s/%u.sock", f.dir, i);
			fixture_arg(&f, "--socket-path");
			fixture_arg(&f, path[i]);
		}
		fixture_arg(&f, "--idle=interrupt");
		fixture_start(&f);
		for (unsigned i = 0; i < 8; i++) {
			struct vfe_config cfg;

			fixture_config(&f, &cfg);
			cfg.socket_path = path[i];
			fixture_connect_as(&s[i], &cfg);
			fixture_check_reading(&s[i]);
		}
		for (unsigned i = 0; i < 8; i++)
			vfe_session_fini(&s[i]);
		fixture_stop(&f);
		fixture_fini(&f);
	}
}

/* rte_vhost's event thread then waits in read(), for as long as the front-end likes. */
static void it_ends_on_sigterm_while_a_front_end_owes_a_payload(void **state)
{
	struct vfe_msg_header header = {VFE_MSG_SET_FEATURES, VFE_MSG_VERSION, 8};
	struct vfe_session s;
	struct fixture f;

	(void)state;
	begin(&f, &s);
	assert_int_equal(vfe_msg_send_raw(s.sock, &header, sizeof(header), NULL, 0,
				 vfe_deadline_in_ms(FIXTURE_WAIT_MS)),
		0);
	fixture_sleep_ms(50);
	fixture_stop(&f);
	vfe_session_fini(&s);
	fixture_fini(&f);
}

static void eal_options_before_the_two_dashes_are_the_eals(void **state)
{
	struct vfe_session s;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_arg(&f, "--no-huge");
	fixture_arg(&f, "-m");
	fixture_arg(&f, "32");
	fixture_arg(&f, "--no-shconf");
	fixture_arg(&f, "--no-pci");
	fixture_arg(&f, "--no-telemetry");
	fixture_arg(&f, "--lcores");
	fixture_arg(&f, "0@0,3@0,5@0"); /* two request lcores */
	fixture_arg(&f, "--");
	fixture_arg(&f, "--socket-path");
	fixture_arg(&f, f.socket);
	fixture_arg(&f, "--idle");
	fixture_arg(&f, "interrupt");
	fixture_start(&f);
	fixture_connect(&f, &s);
	fixture_check_all_clocks(&s);
	end(&f, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_idle_policy_serves),
		cmocka_unit_test(an_idle_daemon_in_interrupt_mode_sleeps),
		cmocka_unit_test(a_stale_socket_of_a_killed_daemon_is_replaced),
		cmocka_unit_test(it_ends_on_sigterm_with_a_front_end_connected),
		cmocka_unit_test(it_ends_on_sigterm_while_front_ends_leave),
		cmocka_unit_test(it_ends_on_sigterm_while_a_front_end_owes_a_payload),
		cmocka_unit_test(eal_options_before_the_two_dashes_are_the_eals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
