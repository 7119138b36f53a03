/* SPDX-License-Identifier: BSD-3-Clause */
/* One process, many devices: each on its own socket, none the wiser of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "wire.h"

#define N_DEVICES 200

static struct fixture fixture;
static char socket_path[N_DEVICES][108];
static struct vfe_session session[N_DEVICES];

/* Device i has i % 5 + 1 clocks, so that a device mistaken for another is noticed. */
static unsigned clocks_of(unsigned i)
{
	return i % 5 + 1;
}

static int start_daemon(void **state)
{
	static const char *const clocks[] = {"monotonic", "monotonic, utc", "monotonic, utc, tai",
		"monotonic, utc, tai, utc-smeared:utc-sls",
		"monotonic, utc, tai, utc-smeared:utc-sls, utc-maybe-smeared"};
	static char path[128];
	FILE *f;

	(void)state;
	fixture_init(&fixture);
	snprintf(path, sizeof(path), "%s/many.ini", fixture.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "[global]\nidle = interrupt\n");
	for (unsigned i = 0; i < N_DEVICES; i++) {
		snprintf(socket_path[i], sizeof(socket_path[i]), "%s/vm%u.sock", fixture.dir, i);
		fprintf(f, "[device vm%u]\nsocket = %s\nclocks = %s\n", i, socket_path[i],
			clocks[clocks_of(i) - 1]);
	}
	assert_int_equal(fclose(f), 0);
	fixture_arg(&fixture, "--config");
	fixture_arg(&fixture, path);
	fixture_start(&fixture);
	return 0;
}

static int stop_daemon(void **state)
{
	(void)state;
	fixture_stop(&fixture);
	for (unsigned i = 0; i < N_DEVICES; i++)
		assert_int_equal(access(socket_path[i], F_OK), -1);
	fixture_fini(&fixture);
	return 0;
}

static void connect_device(unsigned i)
{
	struct vfe_config cfg;

	fixture_config(&fixture, &cfg);
	cfg.socket_path = socket_path[i];
	cfg.ring_size = 16;
	cfg.mem_bytes = 1 << 20;
	cfg.wait = i % 2 ? VFE_WAIT_SLEEP : VFE_WAIT_POLL;
	fixture_connect_as(&session[i], &cfg);
}

static void check_device(unsigned i)
{
	uint64_t before_ns = fixture_now_ns(CLOCK_BOOTTIME);
	uint64_t ns;
	uint16_t n;

	assert_int_equal(vfe_rtc_cfg(&session[i], &n), VIRTIO_RTC_S_OK);
	assert_int_equal(n, clocks_of(i));
	assert_int_equal(vfe_rtc_read(&session[i], 0, &ns), VIRTIO_RTC_S_OK);
	assert_in_range(ns, before_ns, fixture_now_ns(CLOCK_BOOTTIME));
	assert_int_equal(
		vfe_rtc_read(&session[i], (uint16_t)clocks_of(i), &ns), VIRTIO_RTC_S_ENODEV);
}

static void two_hundred_devices_are_served_at_once_each_as_configured(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_DEVICES; i++)
		connect_device(i);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N_DEVICES; i++)
			check_device(i);
	}
}

static void all_devices_are_asked_before_any_answer_is_taken(void **state)
{
	static const struct virtio_rtc_req_read req = {
		.head.msg_type.b = {VIRTIO_RTC_REQ_READ}, .clock_id.b = {0}};
	static unsigned slot[N_DEVICES];

	(void)state;
	for (unsigned i = 0; i < N_DEVICES; i++)
		assert_int_equal(vfe_rtc_submit(&session[i], &req, sizeof(req), 16, &slot[i]), 0);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		uint8_t resp[16];

		assert_int_equal(
			vfe_rtc_collect(&session[i], slot[i], resp, NULL, FIXTURE_WAIT_MS), 0);
		assert_int_equal(resp[0], VIRTIO_RTC_S_OK);
	}
}

static void monotonic_never_goes_back_across_devices(void **state)
{
	uint64_t last_ns = 0;

	(void)state;
	for (unsigned k = 0; k < 10 * N_DEVICES; k++) {
		uint64_t ns;

		assert_int_equal(
			vfe_rtc_read(&session[k * 7 % N_DEVICES], 0, &ns), VIRTIO_RTC_S_OK);
		assert_true(ns >= last_ns);
		last_ns = ns;
	}
}

static void devices_come_and_go_while_others_run(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 100; k++) {
		unsigned comes_and_goes = k * 13 % (N_DEVICES / 2);
		unsigned stays = N_DEVICES / 2 + k % (N_DEVICES / 2);

		vfe_session_fini(&session[comes_and_goes]);
		check_device(stays);
		connect_device(comes_and_goes);
		check_device(comes_and_goes);
		check_device(stays);
	}
}

static void all_front_ends_vanish(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_DEVICES; i++)
		vfe_session_fini(&session[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_hundred_devices_are_served_at_once_each_as_configured),
		cmocka_unit_test(all_devices_are_asked_before_any_answer_is_taken),
		cmocka_unit_test(monotonic_never_goes_back_across_devices),
		cmocka_unit_test(devices_come_and_go_while_others_run),
		cmocka_unit_test(all_front_ends_vanish),
	};

	return cmocka_run_group_tests(tests, start_daemon, stop_daemon);
}
