/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The leap-second table: how far TAI is ahead of UTC, and when that changes. It is parsed once,
 * from the text of leap-seconds.list (IERS; tzdata installs it in /usr/share/zoneinfo), and
 * converts between TAI and UTC from then on.
 *
 * UTC is counted as in virtio-v1.4 RTC Device / Clock Types: nanoseconds since 1970-01-01 00:00
 * UTC, seconds counted as POSIX counts them, 86,400 to a day. TAI is nanoseconds since 1970-01-01
 * 00:00 TAI. The POSIX count has no number for a leap second, so the clock steps "at the start of
 * the leap second":
 *
 *   positive   ... 23:59:59.999999999 | 23:59:59.000000000 ... 23:59:59.999999999, 00:00:00 ...
 *              | is the start of 23:59:60. The second before midnight is shown twice (AMBIGUOUS).
 *   negative   ... 23:59:58.999999999 | 00:00:00.000000000 ...
 *              | is the start of 23:59:59, which is left out (SKIPPED).
 *
 * What the table does not know is a result and never a guess: a time before 1972 has no whole
 * offset. After the table's expiry the last offset is still used, because a clock that stops is
 * worse than one that may be a second off; vrtc_leap_expired() lets the operator be told.
 *
 * The parser trusts nothing in its input. A table is read-only once parsed: any number of threads
 * may share it. Nothing here allocates, reads a clock or a file, or logs.
 */
#ifndef VRTC_LEAP_H
#define VRTC_LEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries that a table holds; the table of 2017 has 28. */
#define VRTC_LEAP_MAX 128

/*
 * Entries lie at midnight UTC and at least this far apart: leap seconds end a month (ITU-R
 * TF.460-6), and 28 days is the shortest. No two smearing windows (a day and a second) overlap
 * then.
 */
#define VRTC_LEAP_DISTANCE_MIN_S (28 * INT64_C(86400))

enum vrtc_leap_result {
	VRTC_LEAP_OK = 0,

	/* Of a conversion. */
	VRTC_LEAP_UNKNOWN,   /* before the first entry (1972), or the table is empty */
	VRTC_LEAP_AMBIGUOUS, /* UTC shows this time twice, a second apart */
	VRTC_LEAP_SKIPPED,   /* UTC never shows this time */
	VRTC_LEAP_OVERFLOW,  /* the result does not fit in an int64_t */
	VRTC_LEAP_NO_CURVE,  /* smear.h: no such smearing variant */

	/* Of the parser. */
	VRTC_LEAP_BAD_SYNTAX,   /* a line is neither a comment nor two numbers */
	VRTC_LEAP_BAD_NUMBER,   /* a number is too large */
	VRTC_LEAP_BAD_FIRST,    /* the first entry is not 10 s from 1972-01-01 */
	VRTC_LEAP_BAD_ORDER,    /* entries are not ascending, or closer than the minimum distance */
	VRTC_LEAP_BAD_MIDNIGHT, /* an entry does not begin at midnight UTC */
	VRTC_LEAP_BAD_STEP,     /* the offset changes by other than +1 s or -1 s */
	VRTC_LEAP_BAD_REPEAT,   /* a second #$, #@ or #h line */
	VRTC_LEAP_BAD_HASH,     /* the #h line contradicts the contents */
	VRTC_LEAP_BAD_EXPIRY,   /* the table expires before its last entry */
	VRTC_LEAP_NO_EXPIRY,    /* no #@ line */
	VRTC_LEAP_NO_ENTRY,     /* no entry at all */
	VRTC_LEAP_FULL,         /* more than VRTC_LEAP_MAX entries */
	VRTC_LEAP_TRUNCATED,    /* the last line does not end */
};

/* From utc_s on, TAI - UTC is offset_s. */
struct vrtc_leap_entry {
	int64_t utc_s;       /* POSIX seconds; a midnight */
	int64_t utc_ns;      /* the same in ns */
	int64_t tai_ns;      /* the same instant on TAI */
	int64_t step_tai_ns; /* at which a UTC clock steps: tai_ns or one second before */
	int64_t offset_ns;   /* TAI - UTC */
	int32_t offset_s;    /* the same in s */
	int32_t step_s;      /* +1 positive leap second, -1 negative, 0 in the first entry */
};

/* A table of n == 0 (all bytes zero) is valid and knows nothing. */
struct vrtc_leap_table {
	unsigned int n;
	bool hash_verified;    /* the text had a #h line, and it was right */
	int64_t updated_utc_s; /* the #$ line; 0 if there is none */
	int64_t expires_utc_s; /* the #@ line */
	struct vrtc_leap_entry entries[VRTC_LEAP_MAX];
};

struct vrtc_leap_error {
	unsigned int line;   /* from 1; 0 if the text as a whole is meant */
	const char *message; /* static, without the line number, no full stop */
};

/*
 * Parse the text of a leap-seconds.list: bytes at text, no NUL needed at the end.
 *
 * Lines end in LF or CR LF. Returns VRTC_LEAP_OK, or the first thing that is wrong: *table is then
 * empty, and *error, if error is not NULL, says where and what. On VRTC_LEAP_OK *error is
 * unchanged.
 */
enum vrtc_leap_result vrtc_leap_parse(struct vrtc_leap_table *table, const char *text, size_t bytes,
	struct vrtc_leap_error *error);

/*
 * Whether the table no longer vouches for this time (utc_s: POSIX seconds, any value): a leap
 * second announced since may be missing. The empty table has always expired.
 */
bool vrtc_leap_expired(const struct vrtc_leap_table *table, int64_t utc_s);

/* Whether two tables say the same: entries and expiry. */
bool vrtc_leap_same(const struct vrtc_leap_table *a, const struct vrtc_leap_table *b);

/*
 * What a UTC clock shows at tai_ns (any value). Returns VRTC_LEAP_OK, or VRTC_LEAP_UNKNOWN with
 * *utc_ns unchanged.
 *
 * The search begins at the latest entry, so that today costs one comparison and one subtraction.
 */
enum vrtc_leap_result vrtc_leap_utc_from_tai(
	const struct vrtc_leap_table *table, int64_t tai_ns, int64_t *utc_ns);

/*
 * When a UTC clock shows utc_ns (any value), as TAI.
 *
 * VRTC_LEAP_OK         *first_tai_ns and *last_tai_ns are the one instant
 * VRTC_LEAP_AMBIGUOUS  *first_tai_ns before the clock steps back, *last_tai_ns in the leap second
 * VRTC_LEAP_SKIPPED    both are the instant of the step, where the clock passes utc_ns
 * VRTC_LEAP_UNKNOWN, VRTC_LEAP_OVERFLOW  both are unchanged
 *
 * In the first three cases *first_tai_ns is the first instant at which the clock shows utc_ns or
 * more: the one at which an alarm set to utc_ns expires.
 */
enum vrtc_leap_result vrtc_leap_tai_from_utc(const struct vrtc_leap_table *table, int64_t utc_ns,
	int64_t *first_tai_ns, int64_t *last_tai_ns);

#endif
