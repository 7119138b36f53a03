/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser of leap-seconds.list on any bytes; of what it accepts, the conversions, the smearing
 * curves, the latch and the kernel's view at times that the input chooses.
 *
 * Input: 8 bytes of a time, a byte that says how many times come, those, and the text. A time
 * is as it is, or near an entry.
 */
#include "clock.h"
#include "fuzz.h"
#include "kernel_view.h"
#include "leap.h"
#include "nstime.h"
#include "smear.h"
#include "tai_latch.h"
#include "wire.h"

#define TIMES_MAX 16

static unsigned count_lines(const uint8_t *text, size_t bytes)
{
	unsigned lines = bytes > 0;

	for (size_t i = 0; i + 1 < bytes; i++)
		lines += text[i] == '\n';
	return lines;
}

static void check_refused(const struct vrtc_leap_table *table, const struct vrtc_leap_error *error,
	enum vrtc_leap_result result, unsigned lines)
{
	static const struct vrtc_leap_table empty;

	FUZZ_CHECK(result >= VRTC_LEAP_BAD_SYNTAX && result <= VRTC_LEAP_TRUNCATED);
	FUZZ_CHECK(fuzz_is_same(table, &empty, sizeof(empty)));
	FUZZ_CHECK(error->message && error->message[0] && error->line <= lines);
	FUZZ_CHECK(vrtc_leap_expired(table, 0));
}

static void check_table(const struct vrtc_leap_table *table)
{
	FUZZ_CHECK(table->n >= 1 && table->n <= VRTC_LEAP_MAX);
	FUZZ_CHECK(table->entries[0].offset_s == 10 && table->entries[0].step_s == 0);
	for (unsigned i = 0; i < table->n; i++) {
		const struct vrtc_leap_entry *e = &table->entries[i];

		FUZZ_CHECK(e->utc_s % 86400 == 0 && e->utc_s < table->expires_utc_s);
		FUZZ_CHECK(e->utc_ns == e->utc_s * VRTC_NS_PER_S);
		FUZZ_CHECK(e->tai_ns == e->utc_ns + e->offset_s * VRTC_NS_PER_S);
		if (i == 0)
			continue;
		FUZZ_CHECK(e->offset_s - e[-1].offset_s == e->step_s);
		FUZZ_CHECK(e->step_s == 1 || e->step_s == -1);
		FUZZ_CHECK(e->utc_s - e[-1].utc_s >= VRTC_LEAP_DISTANCE_MIN_S);
	}
	FUZZ_CHECK(!vrtc_leap_expired(table, table->expires_utc_s - 1));
	FUZZ_CHECK(vrtc_leap_expired(table, table->expires_utc_s));
	FUZZ_CHECK(vrtc_leap_same(table, table));
}

/* UTC as the text has it, entry by entry from the first one on. */
static bool naive_utc(const struct vrtc_leap_table *table, int64_t tai_ns, int64_t *utc_ns)
{
	bool known = false;

	for (unsigned i = 0; i < table->n; i++) {
		const struct vrtc_leap_entry *e = &table->entries[i];
		int64_t step_ns = (e->utc_s + e->offset_s - (e->step_s == 1)) * VRTC_NS_PER_S;

		if (tai_ns >= step_ns) {
			*utc_ns = tai_ns - e->offset_s * VRTC_NS_PER_S;
			known = true;
		}
	}
	return known;
}

static void check_utc(const struct vrtc_leap_table *table, int64_t ns)
{
	int64_t want_ns = 0;
	int64_t utc_ns = 0;
	int64_t first_ns;
	int64_t last_ns;
	enum vrtc_leap_result result;

	if (naive_utc(table, ns, &want_ns)) {
		FUZZ_CHECK(vrtc_leap_utc_from_tai(table, ns, &utc_ns) == VRTC_LEAP_OK);
		FUZZ_CHECK(utc_ns == want_ns);
		result = vrtc_leap_tai_from_utc(table, utc_ns, &first_ns, &last_ns);
		FUZZ_CHECK(result == VRTC_LEAP_OK || result == VRTC_LEAP_AMBIGUOUS);
		FUZZ_CHECK(first_ns == ns || last_ns == ns);
	} else {
		FUZZ_CHECK(vrtc_leap_utc_from_tai(table, ns, &utc_ns) == VRTC_LEAP_UNKNOWN);
	}

	/* The time as one of UTC: the first instant at which the clock shows it or more. */
	result = vrtc_leap_tai_from_utc(table, ns, &first_ns, &last_ns);
	if (result == VRTC_LEAP_UNKNOWN) {
		FUZZ_CHECK(ns < table->entries[0].utc_ns);
		return;
	}
	if (result == VRTC_LEAP_OVERFLOW)
		return;
	FUZZ_CHECK(naive_utc(table, first_ns, &utc_ns) && utc_ns >= ns);
	FUZZ_CHECK(utc_ns == ns || result == VRTC_LEAP_SKIPPED);
	if (naive_utc(table, first_ns - 1, &utc_ns))
		FUZZ_CHECK(utc_ns < ns);
	FUZZ_CHECK(naive_utc(table, last_ns, &utc_ns) && utc_ns >= ns);
}

static void check_smear(const struct vrtc_leap_table *table, uint8_t smear, int64_t ns)
{
	int64_t utc_ns = 0;
	int64_t here_ns = 0;
	int64_t next_ns = 0;
	int64_t tai_ns = 0;
	bool known = vrtc_smear_from_tai(smear, table, ns, &here_ns) == VRTC_LEAP_OK;

	if (known) {
		/* Never more than a second from UTC, never back, a nanosecond or two at a time. */
		FUZZ_CHECK(naive_utc(table, ns, &utc_ns));
		FUZZ_CHECK(here_ns - utc_ns <= VRTC_NS_PER_S && utc_ns - here_ns <= VRTC_NS_PER_S);
		if (ns < INT64_MAX) {
			FUZZ_CHECK(vrtc_smear_from_tai(smear, table, ns + 1, &next_ns) ==
				   VRTC_LEAP_OK);
			FUZZ_CHECK(next_ns >= here_ns && next_ns - here_ns <= 2);
		}
	}
	if (vrtc_smear_to_tai(smear, table, ns, &tai_ns) != VRTC_LEAP_OK)
		return;
	FUZZ_CHECK(vrtc_smear_from_tai(smear, table, tai_ns, &here_ns) == VRTC_LEAP_OK);
	FUZZ_CHECK(here_ns >= ns);
	if (vrtc_smear_from_tai(smear, table, tai_ns - 1, &here_ns) == VRTC_LEAP_OK)
		FUZZ_CHECK(here_ns < ns);
}

static void check_clocks(const struct vrtc_leap_table *table, int64_t ns)
{
	for (int t = 0; t < VRTC_TIMESCALES; t++) {
		const struct vrtc_clock *clock = vrtc_timescale_clock((enum vrtc_timescale)t);
		uint64_t reading_ns = 0;
		int64_t at_ns;

		FUZZ_CHECK(vrtc_clock_timescale(clock) == (enum vrtc_timescale)t);
		if (vrtc_clock_read(clock, table, ns, &reading_ns))
			FUZZ_CHECK(reading_ns <= INT64_MAX);
		if (vrtc_clock_instant(clock, table, (uint64_t)ns, &at_ns) &&
			vrtc_clock_read(clock, table, at_ns, &reading_ns))
			FUZZ_CHECK(reading_ns >= (uint64_t)ns);
	}
}

/*
 * What the host shows at the times, in their order. They are of the kernel's own clocks, which are
 * never negative; here until 2043, so that no difference of any two sums of them overflows.
 */
#define HOST_NS(ns) ((int64_t)((uint64_t)(ns) & ((UINT64_C(1) << 61) - 1)))

static void check_latch(const struct vrtc_leap_table *table, const int64_t *ns, unsigned n)
{
	struct vrtc_tai_latch latch = {0};

	for (unsigned i = 0; i < n; i++) {
		struct vrtc_tai_look look = {
			.realtime_ns = HOST_NS(ns[i]),
			.clock_tai_ns = HOST_NS(ns[(i + 1) % n]),
			.boot_ns = HOST_NS(ns[(i + 2) % n]),
			.in_leap_second = ns[i] & 1,
		};
		struct vrtc_kernel_view view = {
			.tai_s = (int)(ns[i] >> 40),
			.leap = (int)(ns[i] >> 20 & 1) - (int)(ns[i] >> 21 & 1),
		};

		FUZZ_CHECK(vrtc_tai_latch_look(&latch, table, &look) <= VRTC_TAI_LATCH_NOT_DONE);
		FUZZ_CHECK(!latch.latched || latch.difference_ns % VRTC_NS_PER_S == 0);
		for (int t = VRTC_HOST_UTC; t <= VRTC_HOST_UNKNOWN; t++)
			FUZZ_CHECK(vrtc_kernel_view_judge(&view, table, (enum vrtc_host_timescale)t,
					   HOST_NS(ns[i])) <= VRTC_KERNEL_LEAP_WHILE_SMEARED);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct vrtc_leap_table again;
	static struct vrtc_leap_table table;
	struct vrtc_leap_error error = {0};
	struct fuzz_input in = {data, bytes};
	int64_t raw_ns[TIMES_MAX];
	int64_t ns[TIMES_MAX];
	enum vrtc_leap_result result;
	unsigned n = fuzz_take8(&in) % (TIMES_MAX + 1);
	char *text;

	fuzz_take(&in, raw_ns, n * sizeof(raw_ns[0]));
	text = fuzz_copy(in.at, in.left);
	memset(&table, 0xa5, sizeof(table));
	result = vrtc_leap_parse(&table, text, in.left, &error);
	memset(&again, 0x5a, sizeof(again));
	FUZZ_CHECK(vrtc_leap_parse(&again, text, in.left, NULL) == result);
	free(text);
	if (result != VRTC_LEAP_OK) {
		check_refused(&table, &error, result, count_lines(in.at, in.left));
		return 0;
	}
	FUZZ_CHECK(error.message == NULL && error.line == 0);
	check_table(&table);
	for (unsigned i = 0; i < n; i++) {
		const struct vrtc_leap_entry *entry = &table.entries[(uint64_t)raw_ns[i] % table.n];

		/* Within a day and half of an entry, in one case of two. */
		ns[i] = raw_ns[i];
		if (raw_ns[i] & 0x100)
			ns[i] = entry->tai_ns + raw_ns[i] % (129600 * VRTC_NS_PER_S);
		check_utc(&table, ns[i]);
		check_smear(&table, VIRTIO_RTC_SMEAR_NOON_LINEAR, ns[i]);
		check_smear(&table, VIRTIO_RTC_SMEAR_UTC_SLS, ns[i]);
		check_clocks(&table, ns[i]);
	}
	if (n > 0)
		check_latch(&table, ns, n);
	return 0;
}
