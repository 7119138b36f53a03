/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon makes of the host's clock, and of a leap-second table that changes under it. The
 * tables are tzdata's with one more entry, at the midnight that is nearest: so it is always within
 * the day of smearing.
 */
#include <inttypes.h>
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

#define TZDATA      "/usr/share/zoneinfo/leap-seconds.list"
#define NTP_EPOCH_S INT64_C(2208988800)
#define S           INT64_C(1000000000)
#define DAY_S       86400
/* It learns of a change at once; where the folder cannot be watched, at its next look, in 10 s. */
#define LOOK_MS     60000

static struct fixture f;
static char table_path[128];

static int64_t nearest_midnight_s(void)
{
	return (time(NULL) + DAY_S / 2) / DAY_S * DAY_S;
}

/* tzdata's entries, and one at utc_s; 0: none. Returns TAI - UTC before it. */
static int write_table(int64_t utc_s)
{
	char new_path[160], line[256];
	long long ntp_s = 0;
	int offset_s = 0;
	FILE *from = fopen(TZDATA, "re");
	FILE *to;

	snprintf(new_path, sizeof(new_path), "%s.new", table_path);
	to = fopen(new_path, "we");
	assert_non_null(from);
	assert_non_null(to);
	while (fgets(line, sizeof(line), from))
		if (line[0] != '#' && sscanf(line, "%lld %d", &ntp_s, &offset_s) == 2)
			fprintf(to, "%lld %d\n", ntp_s, offset_s);
	if (utc_s)
		fprintf(to, "%" PRId64 " %d\n", utc_s + NTP_EPOCH_S, offset_s + 1);
	fprintf(to, "#@ %" PRId64 "\n", nearest_midnight_s() + 400 * DAY_S + NTP_EPOCH_S);
	fclose(from);
	assert_int_equal(fclose(to), 0);
	assert_int_equal(rename(new_path, table_path), 0);
	return offset_s;
}

static void write_text(const char *text)
{
	FILE *to = fopen(table_path, "we");

	assert_non_null(to);
	fputs(text, to);
	assert_int_equal(fclose(to), 0);
}

static int begin(void **state)
{
	(void)state;
	fixture_init(&f);
	snprintf(table_path, sizeof(table_path), "%s/leap-seconds.list", f.dir);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fixture_end(&f);
	return 0;
}

static void start(const char *clocks, const char *timescale)
{
	fixture_arg(&f, "--leap-table");
	fixture_arg(&f, table_path);
	fixture_arg(&f, "--host-timescale");
	fixture_arg(&f, timescale);
	if (clocks) {
		fixture_arg(&f, "--clocks");
		fixture_arg(&f, clocks);
	}
	fixture_start_one(&f);
}

static int64_t read_clock(struct vfe_session *s, uint16_t clock)
{
	uint64_t reading_ns = 0;

	assert_int_equal(vfe_rtc_read(s, clock, &reading_ns), VIRTIO_RTC_S_OK);
	return (int64_t)reading_ns;
}

/* Reads until TAI is what CLOCK_REALTIME and an offset make it; each reading is of one of two. */
static void await_offset(struct vfe_session *s, int from_s, int to_s)
{
	uint64_t deadline_ns = fixture_now_ns(CLOCK_BOOTTIME) + LOOK_MS * UINT64_C(1000000);
	int offset_s = from_s;

	while (offset_s != to_s) {
		int64_t before_ns = (int64_t)fixture_now_ns(CLOCK_REALTIME);
		int64_t tai_ns = read_clock(s, 0);
		int64_t after_ns = (int64_t)fixture_now_ns(CLOCK_REALTIME);
		int64_t utc_ns = read_clock(s, 1);
		int64_t last_ns = (int64_t)fixture_now_ns(CLOCK_REALTIME);
		bool old = tai_ns >= before_ns + from_s * S && tai_ns <= after_ns + from_s * S;
		bool new = tai_ns >= before_ns + to_s *S &&tai_ns <= after_ns + to_s *S;

		assert_true(old || new);
		offset_s = new ? to_s : from_s;
		/* UTC does not notice. */
		assert_true(utc_ns >= after_ns && utc_ns <= last_ns);
		assert_true(fixture_now_ns(CLOCK_BOOTTIME) < deadline_ns);
		fixture_sleep_ms(1);
	}
}

static void table_is_read_again_when_its_file_changes_without_a_wrong_reading(void **state)
{
	int64_t past_s = nearest_midnight_s() - 30 * DAY_S;
	struct vfe_session s;
	int offset_s;

	(void)state;
	offset_s = write_table(0);
	start("tai,utc", "utc");
	fixture_connect(&f, &s);
	await_offset(&s, offset_s - 1, offset_s);
	write_table(past_s);
	await_offset(&s, offset_s, offset_s + 1);
	fixture_wait_log(&f, "was read again", 1);

	/* What is no table leaves the one that was. */
	write_text("2272060800 10\n2272060801 11\n#@ 3000000000\n");
	fixture_wait_log(&f, "the table of before stays", 1);
	await_offset(&s, offset_s, offset_s + 1);
	assert_int_equal(unlink(table_path), 0);
	fixture_wait_log(&f, "the table of before stays", 2);
	await_offset(&s, offset_s, offset_s + 1);
	write_table(0);
	await_offset(&s, offset_s + 1, offset_s);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* The smeared clock is the host's own; TAI is how much of the window has passed, by the text. */
static void check_smeared_host(const char *clock, int64_t begin_s, int64_t span_s, int offset_s)
{
	char clocks[64];
	struct vfe_session s;

	snprintf(clocks, sizeof(clocks), "%s,tai,utc", clock);
	start(clocks, strchr(clock, ':') + 1);
	fixture_connect(&f, &s);
	for (int i = 0; i < 100; i++) {
		int64_t before_ns = (int64_t)fixture_now_ns(CLOCK_REALTIME);
		int64_t smeared_ns = read_clock(&s, 0);
		int64_t tai_ns = read_clock(&s, 1);
		int64_t utc_ns = read_clock(&s, 2);
		int64_t after_ns = (int64_t)fixture_now_ns(CLOCK_REALTIME);
		/* From the window's begin on, span_s of TAI make span_s - 1 of the host's clock. */
		long double passed = (long double)(before_ns - begin_s * S);
		long double tai = (long double)(begin_s + offset_s) * S + passed;

		if (passed > 0)
			tai += passed > (long double)(span_s - 1) * S
				       ? (long double)S
				       : passed / (long double)(span_s - 1);
		assert_in_range(smeared_ns - before_ns, 0, after_ns - before_ns);
		assert_true((long double)tai_ns >= tai - 2);
		assert_true(
			(long double)tai_ns <= tai + 1.01L * (long double)(after_ns - before_ns));
		assert_in_range(tai_ns - offset_s * S - utc_ns + S, 0, 2 * S);
	}
	vfe_session_fini(&s);
	fixture_stop(&f);
}

static void smear_of_the_host_is_undone_noon_to_noon(void **state)
{
	int64_t midnight_s = nearest_midnight_s();

	(void)state;
	check_smeared_host("utc-smeared:noon-linear", midnight_s - DAY_S / 2, DAY_S + 1,
		write_table(midnight_s));
}

static void smear_of_the_host_is_undone_utc_sls(void **state)
{
	int64_t midnight_s = nearest_midnight_s();

	(void)state;
	/* The 1000 s end at the midnight: 999 of the host's clock. */
	check_smeared_host("utc-smeared:utc-sls", midnight_s - 999, 1000, write_table(midnight_s));
}

static void unknown_timescale_offers_what_can_be_told(void **state)
{
	struct vfe_rtc_clock_cap cap;
	struct vfe_session s;
	int64_t before_ns;
	uint16_t n;

	(void)state;
	write_table(0);
	start(NULL, "unknown");
	fixture_connect(&f, &s);
	assert_int_equal(vfe_rtc_cfg(&s, &n), VIRTIO_RTC_S_OK);
	assert_int_equal(n, 2);
	assert_int_equal(vfe_rtc_clock_cap(&s, 0, &cap), VIRTIO_RTC_S_OK);
	assert_int_equal(cap.type, VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED);
	assert_int_equal(vfe_rtc_clock_cap(&s, 1, &cap), VIRTIO_RTC_S_OK);
	assert_int_equal(cap.type, VIRTIO_RTC_CLOCK_MONOTONIC);
	before_ns = (int64_t)fixture_now_ns(CLOCK_REALTIME);
	assert_true(read_clock(&s, 0) >= before_ns);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			table_is_read_again_when_its_file_changes_without_a_wrong_reading, begin,
			end),
		cmocka_unit_test_setup_teardown(
			smear_of_the_host_is_undone_noon_to_noon, begin, end),
		cmocka_unit_test_setup_teardown(smear_of_the_host_is_undone_utc_sls, begin, end),
		cmocka_unit_test_setup_teardown(
			unknown_timescale_offers_what_can_be_told, begin, end),
	};

	return cmocka_run_group_tests_name("timescales", tests, NULL, NULL);
}
