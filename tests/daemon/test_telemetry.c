/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon tells through DPDK's telemetry, asked as dpdk-telemetry.py asks: a line to a
 * socket of packets, an object of JSON back. /rtc/time, /rtc/sources, /rtc/source, /rtc/devices and
 * /rtc/counter, as config/README.md has them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "wire.h"

#if defined(__x86_64__)
#define NATIVE VIRTIO_RTC_COUNTER_X86_TSC
#define NAME   "X86_TSC"
#else
#define NATIVE VIRTIO_RTC_COUNTER_ARM_VCT
#define NAME   "ARM_VCT"
#endif

static struct fixture f;
static char answer[65536];
static int telemetry = -1;

/* $RUNTIME_DIRECTORY, below which the EAL's folders are, is ours: other daemons are not asked. */
static int begin(void **state)
{
	(void)state;
	fixture_init(&f);
	return setenv("RUNTIME_DIRECTORY", f.dir, 1);
}

static int end(void **state)
{
	(void)state;
	if (telemetry >= 0)
		close(telemetry);
	telemetry = -1;
	fixture_end(&f);
	return unsetenv("RUNTIME_DIRECTORY");
}

static const char *receive(void)
{
	ssize_t n = recv(telemetry, answer, sizeof(answer) - 1, 0);

	if (n < 0)
		fail_msg("no answer: %s", strerror(errno));
	answer[n < 0 ? 0 : n] = '\0';
	return answer;
}

static void connect_telemetry(void)
{
	const struct timeval limit = {.tv_sec = FIXTURE_WAIT_MS / 1000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/dpdk/dpdk-rtc/dpdk_telemetry.v2",
		f.dir);
	telemetry = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(telemetry >= 0);
	assert_int_equal(setsockopt(telemetry, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	if (connect(telemetry, (struct sockaddr *)&address, sizeof(address)))
		fail_msg("%s: %s", address.sun_path, strerror(errno));
	assert_non_null(strstr(receive(), "\"version\""));
}

/* Without blanks, which the versions of DPDK set differently. */
static const char *ask(const char *command)
{
	size_t n = 0;

	assert_int_equal(send(telemetry, command, strlen(command), 0), strlen(command));
	(void)receive();
	for (size_t i = 0; answer[i]; i++) {
		if (answer[i] != ' ')
			answer[n++] = answer[i];
	}
	answer[n] = '\0';
	return answer;
}

static void says(const char *command, const char *what)
{
	const char *said = ask(command);

	if (!strstr(said, what))
		fail_msg("%s: %s is not in %s", command, what, said);
}

/* An unknown one, for DPDK, is answered by null. */
static void refuses(const char *command)
{
	const char *said = ask(command);

	if (!strstr(said, "null"))
		fail_msg("%s: %s", command, said);
}

static void time_and_its_sources_are_told(void **state)
{
	static const char *const times[] = {"\"host_timescale\":\"utc\"", "\"kernel\":\"",
		"\"kernel_tai_s\":", "\"kernel_leap_s\":0",
		"\"table_tai_s\":", "\"around_leap_second\":0", "\"table\":\"/",
		"\"table_expires\":\"20", "\"table_expired\":"};

	(void)state;
	fixture_start_one(&f);
	connect_telemetry();
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		says("/rtc/time", times[i]);
	says("/rtc/sources", "[\"system\"]");
	says("/rtc/source,0", "\"source\":\"system\"");
	fixture_stop(&f);
}

static void what_is_no_index_is_refused_and_the_next_question_answered(void **state)
{
	static const char *const no_indices[] = {"", ",", ",1", ",-1", ",+0", ",0x0", ",0 ", ", 0",
		",4294967296", ",18446744073709551616", ",zero"};
	char command[64];

	(void)state;
	fixture_start_one(&f);
	connect_telemetry();
	for (size_t i = 0; i < sizeof(no_indices) / sizeof(no_indices[0]); i++) {
		snprintf(command, sizeof(command), "/rtc/source%s", no_indices[i]);
		refuses(command);
		snprintf(command, sizeof(command), "/rtc/counter%s", no_indices[i]);
		refuses(command);
	}
	says("/rtc/sources", "[\"system\"]");
	fixture_stop(&f);
}

static void the_counter_of_each_guest_is_told(void **state)
{
	struct vfe_session s;
	uint64_t reading_ns;
	uint64_t cycles;

	(void)state;
	fixture_arg(&f, "--counter");
	fixture_arg(&f, "identity");
	fixture_start_one(&f);
	connect_telemetry();
	says("/rtc/devices", "[\"rtc\"]");
	says("/rtc/counter,0", "\"device\":\"rtc\"");
	fixture_connect(&f, &s);
	if (vfe_rtc_read_cross(&s, 0, NATIVE, &reading_ns, &cycles) != VIRTIO_RTC_S_OK) {
		print_message("SKIP: the kernel does not keep time by the CPU's counter\n");
		vfe_session_fini(&s);
		fixture_stop(&f);
		skip();
	}
	says("/rtc/counter,0", "\"counter\":\"" NAME "\"");
	says("/rtc/counter,0", "\"known_from\":\"");
	says("/rtc/counter,0", "\"host_counter\":\"cpu\"");
	says("/rtc/counter,0", "\"pairs\":1");
	says("/rtc/counter,0", "\"doubt_max_ns\":");
	vfe_session_fini(&s);
	fixture_stop(&f);
}

static void a_guest_without_a_counter_has_none(void **state)
{
	(void)state;
	fixture_arg(&f, "--counter");
	fixture_arg(&f, "none");
	fixture_start_one(&f);
	connect_telemetry();
	says("/rtc/counter,0", "\"host_counter\":\"none\"");
	says("/rtc/counter,0", "\"pairs\":0");
	fixture_stop(&f);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(time_and_its_sources_are_told),
		CASE(what_is_no_index_is_refused_and_the_next_question_answered),
		CASE(the_counter_of_each_guest_is_told),
		CASE(a_guest_without_a_counter_has_none),
	};

	return cmocka_run_group_tests_name("telemetry", tests, NULL, NULL);
}
