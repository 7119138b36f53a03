/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cross-timestamps of the real daemon: the guest is this process, so its counter is what we say
 * that it is, and each pair can be checked against the host's own counter and clock before and
 * after. virtio-v1.4 RTC Device / Read Requests, Control Requests.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "counter_map.h"
#include "fixture.h"
#include "frontend/deadline.h"
#include "wire.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#define NATIVE VIRTIO_RTC_COUNTER_X86_TSC
#define OTHER  VIRTIO_RTC_COUNTER_ARM_VCT
#elif defined(__aarch64__)
#define NATIVE VIRTIO_RTC_COUNTER_ARM_VCT
#define OTHER  VIRTIO_RTC_COUNTER_X86_TSC
#endif

#define N_CLOCKS 4
#define UTC      1

static struct fixture f;

/* Not the daemon's code: what a guest would read that has the host's own counter. */
static uint64_t count_now(void)
{
#if defined(__x86_64__)
	unsigned cpu;
	uint64_t count;

	_mm_lfence();
	count = __rdtscp(&cpu);
	_mm_lfence();
	return count;
#elif defined(__aarch64__)
	uint64_t count;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(count)::"memory");
	return count;
#endif
}

static uint64_t monotonic_ns(void)
{
	return fixture_now_ns(CLOCK_MONOTONIC);
}

/* Half as fast again as the host's, and soon to run over its 64 bits. */
static const struct vrtc_counter_map native = {
	.guest_counter = NATIVE,
	.host_counter = VRTC_HOST_COUNTER_CPU,
	.mult = UINT64_C(3) << 40,
	.shift = 41, /* 1.5 times as fast */
	.host_base = UINT64_C(123456789),
	.guest_base = UINT64_C(0xfffffff000000000),
};

static const struct vrtc_counter_map emulated = {
	.guest_counter = OTHER,
	.host_counter = VRTC_HOST_COUNTER_MONOTONIC,
	.mult = 1,
	.shift = 4, /* 62.5 MHz */
	.host_base = 1000,
};

static uint64_t guest_of(const struct vrtc_counter_map *map, uint64_t host)
{
	/* These maps are small enough for one multiplication. */
	return map->guest_base +
	       (uint64_t)((unsigned __int128)(host - map->host_base) * map->mult >> map->shift);
}

static bool clocksource_is_native(void)
{
	char name[32] = "";
	FILE *file =
		fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	if (!file || !fgets(name, sizeof(name), file))
		name[0] = '\0';
	if (file)
		fclose(file);
	return strcmp(name, "tsc\n") == 0 || strcmp(name, "arch_sys_counter\n") == 0;
}

/* Whether pairs with the CPU's counter can be had on this machine. The daemon has to agree. */
static bool needs_native(void)
{
	if (clocksource_is_native())
		return true;
	print_message("SKIP: the kernel does not keep time by the CPU's counter\n");
	return false;
}

static int begin(void **state)
{
	(void)state;
	fixture_init(&f);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fixture_end(&f);
	return 0;
}

static void start(const char *counter)
{
	if (counter) {
		fixture_arg(&f, "--counter");
		fixture_arg(&f, counter);
	}
	fixture_start_one(&f);
}

/* A front-end as qemu-glue's QEMU is one. map NULL: it negotiates CONFIG and says nothing. */
static void connect_with(struct vfe_session *s, const struct vrtc_counter_map *map)
{
	struct vfe_config cfg;
	int err;

	fixture_config(&f, &cfg);
	cfg.protocol_features |= UINT64_C(1) << VFE_PROTOCOL_F_CONFIG;
	assert_int_equal(vfe_session_init(s, &cfg), 0);
	if (map)
		assert_int_equal(vfe_session_set_counter_map(s, map), 0);
	err = vfe_session_start(s);
	if (err)
		print_error("%s\n", vfe_error(s));
	assert_int_equal(err, 0);
}

static void assert_capable(struct vfe_session *s, uint8_t counter, bool wanted)
{
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		bool supported = !wanted;

		assert_int_equal(vfe_rtc_cross_cap(s, id, counter, &supported), VIRTIO_RTC_S_OK);
		assert_int_equal(supported, wanted);
	}
}

/* The pair's counter lies between the host's counts around the request, as the map has them. */
static void assert_pair(struct vfe_session *s, uint16_t id, const struct vrtc_counter_map *map)
{
	bool cpu = map->host_counter == VRTC_HOST_COUNTER_CPU;
	uint64_t before = cpu ? count_now() : monotonic_ns();
	uint64_t reading_ns = 0;
	uint64_t cycles = 0;
	uint64_t after;
	uint64_t low;

	assert_int_equal(vfe_rtc_read_cross(s, id, map->guest_counter, &reading_ns, &cycles),
		VIRTIO_RTC_S_OK);
	after = cpu ? count_now() : monotonic_ns();
	low = guest_of(map, before);
	assert_true(cycles - low <= guest_of(map, after) - low);
	assert_true(reading_ns > 0);
}

static void a_map_of_the_vmm_makes_true_pairs_of_every_clock(void **state)
{
	const struct vrtc_counter_map *maps[] = {&native, &emulated};

	(void)state;
	if (!needs_native())
		skip();
	start(NULL);
	for (unsigned m = 0; m < 2; m++) {
		struct vfe_session s;

		connect_with(&s, maps[m]);
		assert_capable(&s, maps[m]->guest_counter, true);
		assert_capable(&s, m ? NATIVE : OTHER, false);
		for (unsigned i = 0; i < 1000; i++)
			assert_pair(&s, (uint16_t)(i % N_CLOCKS), maps[m]);
		vfe_session_fini(&s);
	}
	fixture_stop(&f);
}

/* The clock's half: with a counter that is CLOCK_MONOTONIC, the two clocks' difference is known. */
static void the_reading_is_of_the_instant_of_the_counter(void **state)
{
	static const struct vrtc_counter_map ns = {
		.guest_counter = OTHER, .host_counter = VRTC_HOST_COUNTER_MONOTONIC, .mult = 1};
	struct vfe_session s;

	(void)state;
	start(NULL);
	connect_with(&s, &ns);
	for (unsigned i = 0; i < 1000; i++) {
		/* Both are CLOCK_MONOTONIC and a constant, unless the clock is set or slewed. */
		int64_t before = (int64_t)(fixture_now_ns(CLOCK_REALTIME) - monotonic_ns());
		uint64_t reading_ns;
		uint64_t cycles;
		int64_t after;
		int64_t off_ns;

		assert_int_equal(
			vfe_rtc_read_cross(&s, UTC, OTHER, &reading_ns, &cycles), VIRTIO_RTC_S_OK);
		after = (int64_t)(fixture_now_ns(CLOCK_REALTIME) - monotonic_ns());
		/* A test that is interrupted between its two clocks shows by how much. */
		off_ns = (int64_t)(reading_ns - cycles);
		assert_true(off_ns >= (before < after ? before : after) - 1000000);
		assert_true(off_ns <= (before > after ? before : after) + 1000000);
	}
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/*
 * "a value that the hardware counter shows after the earlier request's", or the same; and readings
 * in the order of the requests.
 */
static void pairs_of_one_clock_and_counter_never_go_back(void **state)
{
	const struct vrtc_counter_map *maps[] = {&native, &emulated};

	(void)state;
	if (!needs_native())
		skip();
	start(NULL);
	for (unsigned m = 0; m < 2; m++) {
		uint64_t last_ns[N_CLOCKS] = {0};
		uint64_t last = 0;
		struct vfe_session s;

		connect_with(&s, maps[m]);
		for (unsigned i = 0; i < 20000; i++) {
			uint16_t id = (uint16_t)(i % N_CLOCKS);
			uint64_t reading_ns;
			uint64_t cycles;

			assert_int_equal(vfe_rtc_read_cross(&s, id, maps[m]->guest_counter,
						 &reading_ns, &cycles),
				VIRTIO_RTC_S_OK);
			assert_true(i == 0 || (int64_t)(cycles - last) >= 0);
			assert_true(reading_ns >= last_ns[id]);
			last = cycles;
			last_ns[id] = reading_ns;
		}
		vfe_session_fini(&s);
	}
	fixture_stop(&f);
}

static void a_map_that_is_lost_makes_read_cross_fail_and_cross_cap_stay(void **state)
{
	struct vrtc_counter_map none = native;
	uint64_t reading_ns;
	uint64_t cycles;
	struct vfe_session s;

	(void)state;
	if (!needs_native())
		skip();
	start(NULL);
	connect_with(&s, &native);
	none.host_counter = VRTC_HOST_COUNTER_NONE;
	for (unsigned i = 0; i < 3; i++) {
		assert_pair(&s, UTC, &native);
		assert_int_equal(vfe_session_set_counter_map(&s, &none), 0);
		assert_int_equal(vfe_rtc_read_cross(&s, UTC, NATIVE, &reading_ns, &cycles),
			VIRTIO_RTC_S_EIO);
		assert_capable(&s, NATIVE, true);
		/* Over a reset of the device, too. */
		assert_int_equal(vfe_session_reset(&s), 0);
		assert_capable(&s, NATIVE, true);
		fixture_check_reading(&s);
		assert_int_equal(vfe_session_set_counter_map(&s, &native), 0);
	}
	/* Another counter's map is none of this one. */
	assert_int_equal(vfe_session_set_counter_map(&s, &emulated), 0);
	assert_int_equal(
		vfe_rtc_read_cross(&s, UTC, NATIVE, &reading_ns, &cycles), VIRTIO_RTC_S_EIO);
	assert_int_equal(
		vfe_rtc_read_cross(&s, UTC, OTHER, &reading_ns, &cycles), VIRTIO_RTC_S_EOPNOTSUPP);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

static void a_map_that_comes_after_the_first_start_changes_no_capability(void **state)
{
	uint64_t reading_ns;
	uint64_t cycles;
	struct vfe_session s;

	(void)state;
	if (!needs_native())
		skip();
	start("vmm");
	connect_with(&s, NULL);
	assert_capable(&s, NATIVE, false);
	assert_int_equal(vfe_session_set_counter_map(&s, &native), 0);
	assert_capable(&s, NATIVE, false);
	assert_int_equal(
		vfe_rtc_read_cross(&s, UTC, NATIVE, &reading_ns, &cycles), VIRTIO_RTC_S_EOPNOTSUPP);
	/* The next connection has it from its beginning. */
	assert_int_equal(vfe_session_reconnect(&s), 0);
	assert_capable(&s, NATIVE, true);
	assert_pair(&s, UTC, &native);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* Requests are under way while the map changes again and again. */
static void a_pair_is_of_one_map_the_old_or_the_new(void **state)
{
	struct vrtc_counter_map maps[2] = {native, native};
	const struct virtio_rtc_req_read_cross req = {
		.head.msg_type.b = {VIRTIO_RTC_REQ_READ_CROSS},
		.clock_id.b = {UTC},
		.hw_counter = NATIVE};
	struct vfe_session s;

	(void)state;
	if (!needs_native())
		skip();
	/* A mixture of the two would be off by far. */
	maps[1].guest_base = 0;
	maps[1].mult = UINT64_C(5) << 50;
	maps[1].shift = 53;
	maps[1].host_base = UINT64_C(77777777777);
	start(NULL);
	connect_with(&s, &maps[0]);
	for (unsigned i = 1; i <= 500; i++) {
		struct virtio_rtc_resp_read_cross resp[32];
		unsigned slot[32];
		uint64_t before = count_now();
		uint64_t after;

		for (unsigned r = 0; r < 32; r++)
			assert_int_equal(
				vfe_rtc_submit(&s, &req, sizeof(req), sizeof(resp[r]), &slot[r]),
				0);
		assert_int_equal(vfe_session_set_counter_map(&s, &maps[i % 2]), 0);
		for (unsigned r = 0; r < 32; r++)
			assert_int_equal(
				vfe_rtc_collect(&s, slot[r], &resp[r], NULL, FIXTURE_WAIT_MS), 0);
		after = count_now();
		for (unsigned r = 0; r < 32; r++) {
			uint64_t cycles = vrtc_le64_get(resp[r].counter_cycles);
			bool fits = false;

			assert_int_equal(resp[r].head.status, VIRTIO_RTC_S_OK);
			for (unsigned m = 0; m < 2; m++) {
				uint64_t low = guest_of(&maps[m], before);

				fits |= cycles - low <= guest_of(&maps[m], after) - low;
			}
			assert_true(fits);
		}
		/* What is asked behind the answer to SET_CONFIG is of the new one. */
		assert_pair(&s, UTC, &maps[i % 2]);
	}
	vfe_session_fini(&s);
	fixture_stop(&f);
}

static void the_configuration_can_say_that_the_guests_counter_is_the_hosts(void **state)
{
	static const struct {
		const char *value;
		uint64_t offset;
	} cases[] = {{"identity", 0}, {"offset:-5000000000", -UINT64_C(5000000000)},
		{"offset:0xfedcba9876543210", UINT64_C(0xfedcba9876543210)}};

	(void)state;
	if (!needs_native())
		skip();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct vrtc_counter_map map = {.guest_counter = NATIVE,
			.host_counter = VRTC_HOST_COUNTER_CPU,
			.mult = 1,
			.guest_base = cases[i].offset};
		struct vfe_session s;

		if (i > 0)
			fixture_init(&f);
		start(cases[i].value);
		fixture_connect(&f, &s);
		/* The VMM is not asked, so it is not offered to say. */
		assert_int_equal(s.protocol_offered >> VFE_PROTOCOL_F_CONFIG & 1, 0);
		assert_capable(&s, NATIVE, true);
		assert_capable(&s, OTHER, false);
		for (unsigned n = 0; n < 100; n++)
			assert_pair(&s, (uint16_t)(n % N_CLOCKS), &map);
		vfe_session_fini(&s);
		fixture_stop(&f);
		if (i + 1 < sizeof(cases) / sizeof(cases[0]))
			fixture_fini(&f);
	}
}

static void without_a_map_there_are_no_pairs_and_the_log_says_why(void **state)
{
	uint64_t reading_ns;
	uint64_t cycles;
	struct vfe_session s;

	(void)state;
	start("none");
	connect_with(&s, NULL);
	assert_capable(&s, NATIVE, false);
	assert_int_equal(
		vfe_rtc_read_cross(&s, UTC, NATIVE, &reading_ns, &cycles), VIRTIO_RTC_S_EOPNOTSUPP);
	fixture_wait_log(&f, "rtc: no cross-timestamps: counter = none", 1);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* Each of them is answered as an error, said once, and harms nothing. */
static void a_message_that_is_no_map_is_refused_and_the_connection_goes_on(void **state)
{
	struct vfe_msg good = {
		.header = {.request = VFE_MSG_SET_CONFIG, .size = 12 + VRTC_COUNTER_MAP_BYTES},
		.payload.config = {.bytes = VRTC_COUNTER_MAP_BYTES},
	};
	struct vfe_session s;

	(void)state;
	start(NULL);
	connect_with(&s, &emulated);
	for (unsigned i = 0; i < VRTC_COUNTER_MAP_BYTES; i++) {
		struct vfe_msg msg = good;

		memset(msg.payload.config.region, 0xff, VRTC_COUNTER_MAP_BYTES);
		msg.payload.config.region[i] = 0;
		assert_int_equal(vfe_session_exchange(&s, &msg, NULL, 0), -EREMOTEIO);
	}
	good.payload.config.offset = 4;
	assert_int_equal(vfe_session_exchange(&s, &good, NULL, 0), -EREMOTEIO);
	for (unsigned i = 0; i < 100; i++)
		assert_pair(&s, UTC, &emulated);
	fixture_wait_log(&f, "map of the guest's counter is not understood", 4);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* What is not even a configuration ends the connection, as every message that is malformed. */
static void a_configuration_of_a_wrong_size_ends_the_connection(void **state)
{
	static const struct {
		uint32_t size;
		uint32_t bytes;
	} cases[] = {{0, 0}, {8, 0}, {12, 1}, {12 + 40, 41}, {12 + 40, 39}, {12 + 257, 257},
		{12 + 40, UINT32_MAX}};

	(void)state;
	start(NULL);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfe_msg msg = {
			.header = {VFE_MSG_SET_CONFIG, VFE_MSG_VERSION, cases[i].size},
			.payload.config.bytes = cases[i].bytes,
		};
		struct vfe_session s;

		connect_with(&s, &emulated);
		assert_int_equal(
			vfe_msg_send(s.sock, &msg, NULL, 0, vfe_deadline_in_ms(FIXTURE_WAIT_MS)),
			0);
		assert_int_equal(
			vfe_msg_wait_closed(s.sock, vfe_deadline_in_ms(FIXTURE_WAIT_MS)), 0);
		vfe_session_fini(&s);
	}
	fixture_stop(&f);
}

/* A device has no configuration space: the protocol's answer to GET_CONFIG is an empty one. */
static void get_config_is_answered_empty(void **state)
{
	struct vfe_msg msg = {.header = {.request = VFE_MSG_GET_CONFIG, .size = 12 + 8},
		.payload.config = {.bytes = 8}};
	struct vfe_session s;

	(void)state;
	start(NULL);
	connect_with(&s, &emulated);
	msg.header.flags = VFE_MSG_VERSION;
	assert_int_equal(
		vfe_msg_send(s.sock, &msg, NULL, 0, vfe_deadline_in_ms(FIXTURE_WAIT_MS)), 0);
	assert_int_equal(
		vfe_msg_recv(s.sock, &msg, NULL, NULL, vfe_deadline_in_ms(FIXTURE_WAIT_MS)), 0);
	assert_int_equal(msg.header.request, VFE_MSG_GET_CONFIG);
	assert_int_equal(msg.header.size, 0);
	assert_pair(&s, UTC, &emulated);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_map_of_the_vmm_makes_true_pairs_of_every_clock),
		CASE(the_reading_is_of_the_instant_of_the_counter),
		CASE(pairs_of_one_clock_and_counter_never_go_back),
		CASE(a_map_that_is_lost_makes_read_cross_fail_and_cross_cap_stay),
		CASE(a_map_that_comes_after_the_first_start_changes_no_capability),
		CASE(a_pair_is_of_one_map_the_old_or_the_new),
		CASE(the_configuration_can_say_that_the_guests_counter_is_the_hosts),
		CASE(without_a_map_there_are_no_pairs_and_the_log_says_why),
		CASE(a_message_that_is_no_map_is_refused_and_the_connection_goes_on),
		CASE(a_configuration_of_a_wrong_size_ends_the_connection),
		CASE(get_config_is_answered_empty),
	};

	return cmocka_run_group_tests_name("cross", tests, NULL, NULL);
}
