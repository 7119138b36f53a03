/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leap.[ch] and sha1.[ch]: the parser against damaged text, and the conversions at every edge of
 * every step, with an invented table that has a negative leap second and with the machine's own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leap.h"
#include "sha1.h"

#define S INT64_C(1000000000)

#define REAL_TABLE "/usr/share/zoneinfo/leap-seconds.list"

#define UNTOUCHED INT64_C(0x5a5a5a5a5a5a5a5a)

/* POSIX seconds; from `date -u -d DATE +%s`. */
#define UTC_1972_01 INT64_C(63072000)
#define UTC_1972_07 INT64_C(78796800)  /* a positive leap second before it: 10 to 11 s */
#define UTC_1973_01 INT64_C(94694400)  /* an invented negative one before it: 11 to 10 s */
#define UTC_1975_01 INT64_C(157766400) /* the invented table expires */
#define UTC_2017_01 INT64_C(1483228800)

/* The parts of a table in NTP seconds; the hash was computed by another implementation of SHA-1. */
#define UPDATE  "#$\t2303683200\n"
#define EXPIRY  "#@\t2366755200\n"
#define FIRST   "2272060800      10      # 1 Jan 1972\n"
#define PLUS    "2287785600      11      # 1 Jul 1972\n"
#define MINUS   "2303683200      10      # 1 Jan 1973\n"
#define ENTRIES FIRST PLUS MINUS
#define HASH    "#h\t8aaee6f1 2ad917c1 68b0460f 90e00c3f 7e48c745\n"
#define TABLE   "#\tAn invented table\n#\n" UPDATE "#\n" EXPIRY ENTRIES "#\n" HASH

static struct vrtc_leap_table invented;
static struct vrtc_leap_table real;
static char real_text[65536];
static size_t real_bytes;

/* Parse from a copy of exactly this size, so that the sanitizer sees any read beyond it. */
static enum vrtc_leap_result parse_exactly(struct vrtc_leap_table *table, const char *text,
	size_t bytes, struct vrtc_leap_error *error)
{
	char *copy = malloc(bytes);
	enum vrtc_leap_result result;

	if (copy == NULL)
		abort();
	memcpy(copy, text, bytes);
	result = vrtc_leap_parse(table, copy, bytes, error);
	free(copy);
	return result;
}

static enum vrtc_leap_result parse(struct vrtc_leap_table *table, const char *text)
{
	return parse_exactly(table, text, strlen(text), NULL);
}

static void assert_empty(const struct vrtc_leap_table *table)
{
	static const struct vrtc_leap_table empty;

	assert_memory_equal(table, &empty, sizeof(empty));
}

static int load_tables(void **state)
{
	FILE *file;

	(void)state;
	if (parse(&invented, TABLE) != VRTC_LEAP_OK)
		return -1;
	file = fopen(REAL_TABLE, "r");
	if (file == NULL)
		return 0;
	real_bytes = fread(real_text, 1, sizeof(real_text), file);
	fclose(file);
	return parse_exactly(&real, real_text, real_bytes, NULL) == VRTC_LEAP_OK ? 0 : -1;
}

static void need_real_table(void)
{
	if (real_bytes == 0) {
		print_message("no " REAL_TABLE " (package tzdata) here\n");
		skip();
	}
}

/* SHA-1 */

static void assert_sha1(const char *message, size_t times, const uint32_t expected[VRTC_SHA1_WORDS])
{
	struct vrtc_sha1 sha1;
	uint32_t digest[VRTC_SHA1_WORDS];

	vrtc_sha1_init(&sha1);
	for (size_t i = 0; i < times; i++)
		vrtc_sha1_update(&sha1, message, strlen(message));
	vrtc_sha1_final(&sha1, digest);
	assert_memory_equal(digest, expected, sizeof(digest));
}

static void sha1_agrees_with_the_examples_of_fips_180(void **state)
{
	static const uint32_t of_nothing[] = {
		0xda39a3ee, 0x5e6b4b0d, 0x3255bfef, 0x95601890, 0xafd80709};
	static const uint32_t of_abc[] = {
		0xa9993e36, 0x4706816a, 0xba3e2571, 0x7850c26c, 0x9cd0d89d};
	static const uint32_t of_two_blocks[] = {
		0x84983e44, 0x1c3bd26e, 0xbaae4aa1, 0xf95129e5, 0xe54670f1};
	static const uint32_t of_a_million[] = {
		0x34aa973c, 0xd4c4daa4, 0xf61eeb2b, 0xdbad2731, 0x6534016f};

	(void)state;
	assert_sha1("", 1, of_nothing);
	assert_sha1("abc", 1, of_abc);
	assert_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, of_two_blocks);
	assert_sha1("aaaaaaaaaa", 100000, of_a_million);
}

/* The parser */

static void entries_are_read_with_their_instants(void **state)
{
	const struct vrtc_leap_entry *e = invented.entries;

	(void)state;
	assert_int_equal(invented.n, 3);
	assert_true(invented.hash_verified);
	assert_true(invented.updated_utc_s == UTC_1973_01);
	assert_true(invented.expires_utc_s == UTC_1975_01);

	assert_true(e[0].utc_s == UTC_1972_01 && e[0].offset_s == 10 && e[0].step_s == 0);
	assert_true(e[0].tai_ns == (UTC_1972_01 + 10) * S && e[0].step_tai_ns == e[0].tai_ns);

	assert_true(e[1].utc_s == UTC_1972_07 && e[1].offset_s == 11 && e[1].step_s == 1);
	assert_true(e[1].tai_ns == (UTC_1972_07 + 11) * S);
	assert_true(e[1].step_tai_ns == (UTC_1972_07 + 10) * S);

	assert_true(e[2].utc_s == UTC_1973_01 && e[2].offset_s == 10 && e[2].step_s == -1);
	assert_true(e[2].tai_ns == (UTC_1973_01 + 10) * S && e[2].step_tai_ns == e[2].tai_ns);

	for (unsigned int i = 0; i < invented.n; i++) {
		assert_true(e[i].utc_ns == e[i].utc_s * S);
		assert_true(e[i].offset_ns == e[i].offset_s * S);
	}
}

static void machines_own_table_is_accepted_with_its_hash(void **state)
{
	(void)state;
	need_real_table();
	assert_true(real.n >= 28 && real.n <= VRTC_LEAP_MAX);
	assert_true(real.hash_verified);
	assert_true(real.entries[0].utc_s == UTC_1972_01);
	assert_true(real.entries[27].utc_s == UTC_2017_01);
	assert_int_equal(real.entries[27].offset_s, 37);
}

static void update_and_hash_lines_are_optional(void **state)
{
	struct vrtc_leap_table table;

	(void)state;
	assert_int_equal(parse(&table, EXPIRY ENTRIES), VRTC_LEAP_OK);
	assert_int_equal(table.n, 3);
	assert_false(table.hash_verified);
	assert_true(table.updated_utc_s == 0);
}

static void carriage_returns_blanks_and_comments_do_not_matter(void **state)
{
	struct vrtc_leap_table table;

	(void)state;
	assert_int_equal(parse(&table, "#$ 2303683200\r\n#@\t 2366755200\t \r\n\r\n \t\r\n#\r\n"
				       "#hello\r\n#\"$@h\r\n  2272060800\t10\r\n"
				       "2287785600 11# glued\r\n2303683200 10 #\r\n" HASH),
		VRTC_LEAP_OK);
	assert_memory_equal(&table, &invented, sizeof(table));
}

static void leading_zeros_of_a_hash_word_may_be_missing(void **state)
{
	struct vrtc_leap_table table;

	(void)state;
	assert_int_equal(parse(&table, "#$\t2303683366\n" EXPIRY ENTRIES
				       "#h faed8fe2 7e6877 BD455D9A ff9dac38 5378a476\n"),
		VRTC_LEAP_OK);
	assert_true(table.hash_verified);
}

static const struct {
	const char *text;
	enum vrtc_leap_result result;
	unsigned int line;
	const char *message;
} malformed[] = {
	{"", VRTC_LEAP_NO_ENTRY, 0, "the table has no entry"},
	{UPDATE EXPIRY, VRTC_LEAP_NO_ENTRY, 0, "the table has no entry"},
	{ENTRIES, VRTC_LEAP_NO_EXPIRY, 0, "the table has no date of expiry (#@ line)"},
	{"#@ 2303683200\n" ENTRIES, VRTC_LEAP_BAD_EXPIRY, 0,
		"the table expires before its last entry"},

	{EXPIRY FIRST "2287785600\n", VRTC_LEAP_BAD_SYNTAX, 3, "a decimal number is expected"},
	{EXPIRY FIRST "2287785600 # 11\n", VRTC_LEAP_BAD_SYNTAX, 3, "a decimal number is expected"},
	{EXPIRY FIRST "2287785600 -11\n", VRTC_LEAP_BAD_SYNTAX, 3, "a decimal number is expected"},
	{EXPIRY FIRST "+2287785600 11\n", VRTC_LEAP_BAD_SYNTAX, 3, "a decimal number is expected"},
	{EXPIRY FIRST "x\n", VRTC_LEAP_BAD_SYNTAX, 3, "a decimal number is expected"},
	{EXPIRY FIRST "\r\r\n", VRTC_LEAP_BAD_SYNTAX, 3, "a decimal number is expected"},
	{EXPIRY FIRST "\xff\xfe 11\n", VRTC_LEAP_BAD_SYNTAX, 3, "a decimal number is expected"},
	{EXPIRY FIRST "2287785600 1x\n", VRTC_LEAP_BAD_SYNTAX, 3,
		"the number ends in another character"},
	{EXPIRY FIRST "2287785600.0 11\n", VRTC_LEAP_BAD_SYNTAX, 3,
		"the number ends in another character"},
	{EXPIRY FIRST "2287785600 11 12\n", VRTC_LEAP_BAD_SYNTAX, 3, "two numbers are expected"},
	{"\n#@\n" ENTRIES, VRTC_LEAP_BAD_SYNTAX, 2, "a decimal number is expected"},
	{"\n#$ today\n" EXPIRY ENTRIES, VRTC_LEAP_BAD_SYNTAX, 2, "a decimal number is expected"},
	{"#@ 2366755200 1\n" ENTRIES, VRTC_LEAP_BAD_SYNTAX, 1, "one number is expected"},

	{EXPIRY FIRST "11432361472 11\n", VRTC_LEAP_BAD_NUMBER, 3, "the number is too large"},
	{EXPIRY FIRST "18446744073709551616 11\n", VRTC_LEAP_BAD_NUMBER, 3,
		"the number is too large"},
	{EXPIRY FIRST "99999999999999999999999999999999999999999 11\n", VRTC_LEAP_BAD_NUMBER, 3,
		"the number is too large"},
	{EXPIRY FIRST "2287785600 4294967307\n", VRTC_LEAP_BAD_NUMBER, 3,
		"the number is too large"},
	/* One second after the latest that is accepted. */
	{"#@ 11431756037\n" ENTRIES, VRTC_LEAP_BAD_NUMBER, 1, "the number is too large"},
	{"#@ 9223372036854775807\n" ENTRIES, VRTC_LEAP_BAD_NUMBER, 1, "the number is too large"},

	{EXPIRY PLUS MINUS, VRTC_LEAP_BAD_FIRST, 2,
		"the first entry is not 10 s from 1972-01-01 (2272060800)"},
	{EXPIRY "2272060800 9\n", VRTC_LEAP_BAD_FIRST, 2,
		"the first entry is not 10 s from 1972-01-01 (2272060800)"},
	{EXPIRY "0 10\n", VRTC_LEAP_BAD_FIRST, 2,
		"the first entry is not 10 s from 1972-01-01 (2272060800)"},
	{EXPIRY FIRST MINUS PLUS, VRTC_LEAP_BAD_STEP, 3,
		"the offset differs from the one before by other than one second"},
	{EXPIRY FIRST "2287785600 12\n", VRTC_LEAP_BAD_STEP, 3,
		"the offset differs from the one before by other than one second"},
	{EXPIRY FIRST PLUS "\n" PLUS, VRTC_LEAP_BAD_ORDER, 5,
		"the entry is not later than the one before"},
	{EXPIRY FIRST PLUS FIRST, VRTC_LEAP_BAD_ORDER, 4,
		"the entry is not later than the one before"},
	{EXPIRY FIRST PLUS "2290118400 12\n", VRTC_LEAP_BAD_ORDER, 4,
		"the entry is less than 28 days after the one before"},
	{EXPIRY FIRST "2287785601 11\n", VRTC_LEAP_BAD_MIDNIGHT, 3,
		"the entry does not begin at midnight UTC"},

	{UPDATE EXPIRY UPDATE ENTRIES, VRTC_LEAP_BAD_REPEAT, 3,
		"the table has such a line already"},
	{EXPIRY ENTRIES EXPIRY, VRTC_LEAP_BAD_REPEAT, 5, "the table has such a line already"},
	{TABLE HASH, VRTC_LEAP_BAD_REPEAT, 11, "the table has such a line already"},

	{UPDATE EXPIRY ENTRIES "#h 8aaee6f1 2ad917c1 68b0460f 90e00c3f 7e48c744\n",
		VRTC_LEAP_BAD_HASH, 6,
		"the hash does not fit the contents: a damaged or edited file"},
	{"#$ 2303683201\n" EXPIRY ENTRIES HASH, VRTC_LEAP_BAD_HASH, 6,
		"the hash does not fit the contents: a damaged or edited file"},
	{UPDATE "#@ 2366755201\n" ENTRIES HASH, VRTC_LEAP_BAD_HASH, 6,
		"the hash does not fit the contents: a damaged or edited file"},
	{HASH UPDATE EXPIRY FIRST PLUS, VRTC_LEAP_BAD_HASH, 1,
		"the hash does not fit the contents: a damaged or edited file"},
	{EXPIRY ENTRIES "#h\n", VRTC_LEAP_BAD_SYNTAX, 5,
		"the hash is not five words of up to eight hexadecimal digits"},
	{EXPIRY ENTRIES "#h 8aaee6f1 2ad917c1 68b0460f 90e00c3f\n", VRTC_LEAP_BAD_SYNTAX, 5,
		"the hash is not five words of up to eight hexadecimal digits"},
	{EXPIRY ENTRIES "#h 8aaee6f1 2ad917c1 68b0460f 90e00c3f 7e48c745 0\n", VRTC_LEAP_BAD_SYNTAX,
		5, "the hash is not five words of up to eight hexadecimal digits"},
	{EXPIRY ENTRIES "#h 08aaee6f1 2ad917c1 68b0460f 90e00c3f 7e48c745\n", VRTC_LEAP_BAD_SYNTAX,
		5, "the hash is not five words of up to eight hexadecimal digits"},
	{EXPIRY ENTRIES "#h 8aaee6f1 2ad917c1 68b0460f 90e00c3g 7e48c745\n", VRTC_LEAP_BAD_SYNTAX,
		5, "the hash is not five words of up to eight hexadecimal digits"},

	{EXPIRY ENTRIES "#", VRTC_LEAP_TRUNCATED, 5,
		"the last line has no line end: a truncated file"},
};

static void malformed_table_is_refused_with_its_line_and_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct vrtc_leap_table table = invented;
		struct vrtc_leap_error error = {.line = 12345};
		enum vrtc_leap_result result =
			parse_exactly(&table, malformed[i].text, strlen(malformed[i].text), &error);

		if (result != malformed[i].result || error.line != malformed[i].line)
			print_error("in malformed text %zu: %s\n", i, malformed[i].text);
		assert_int_equal(result, malformed[i].result);
		assert_int_equal(error.line, malformed[i].line);
		assert_string_equal(error.message, malformed[i].message);
		assert_empty(&table);
		assert_int_equal(parse(&table, malformed[i].text), malformed[i].result);
	}
}

static void accepted_table_leaves_the_error_alone(void **state)
{
	struct vrtc_leap_table table;
	struct vrtc_leap_error error = {.line = 12345};

	(void)state;
	assert_int_equal(parse_exactly(&table, TABLE, strlen(TABLE), &error), VRTC_LEAP_OK);
	assert_int_equal(error.line, 12345);
	assert_null(error.message);
}

static void null_text_of_no_bytes_is_a_table_without_entries(void **state)
{
	struct vrtc_leap_table table = invented;

	(void)state;
	assert_int_equal(vrtc_leap_parse(&table, NULL, 0, NULL), VRTC_LEAP_NO_ENTRY);
	assert_empty(&table);
}

static void nul_in_an_entry_is_refused(void **state)
{
	static const char text[] = EXPIRY FIRST "2287785600 11\0\n";
	struct vrtc_leap_table table;
	struct vrtc_leap_error error;

	(void)state;
	assert_int_equal(
		parse_exactly(&table, text, sizeof(text) - 1, &error), VRTC_LEAP_BAD_SYNTAX);
	assert_int_equal(error.line, 3);
}

static void text_cut_within_a_line_is_refused(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes < strlen(TABLE); bytes++) {
		struct vrtc_leap_table table;
		enum vrtc_leap_result result = parse_exactly(&table, TABLE, bytes, NULL);

		if (TABLE[bytes - 1] == '\n')
			continue;
		if (result == VRTC_LEAP_OK)
			print_error("cut after %zu bytes\n", bytes);
		assert_int_not_equal(result, VRTC_LEAP_OK);
		assert_empty(&table);
	}
}

static void every_changed_digit_is_found_by_the_hash_or_before(void **state)
{
	const char *text = real_bytes > 0 ? real_text : TABLE;
	size_t bytes = real_bytes > 0 ? real_bytes : strlen(TABLE), changed = 0;
	char *copy = malloc(bytes);
	bool comment = false;

	(void)state;
	assert_non_null(copy);
	memcpy(copy, text, bytes);
	for (size_t i = 0; i < bytes; i++) {
		struct vrtc_leap_table table;

		if (text[i] == '\n')
			comment = false;
		else if (text[i] == '#' && (i + 1 == bytes || !strchr("$@h", text[i + 1])))
			comment = true;
		if (comment || text[i] < '0' || text[i] > '9')
			continue;
		copy[i] = text[i] == '9' ? '0' : (char)(text[i] + 1);
		assert_int_not_equal(vrtc_leap_parse(&table, copy, bytes, NULL), VRTC_LEAP_OK);
		copy[i] = text[i];
		changed++;
	}
	assert_true(changed > 60);
	free(copy);
}

/* A text of as many monthly entries as asked for, alternately positive and negative. */
static enum vrtc_leap_result parse_many(struct vrtc_leap_table *table, unsigned int n)
{
	static char text[(VRTC_LEAP_MAX + 1) * 32 + 64];
	int length;

	assert_true(n <= VRTC_LEAP_MAX + 1);
	length = sprintf(text, "#@ 10000000000\n");
	for (unsigned int i = 0; i < n; i++)
		length += sprintf(text + length, "%lld %u\n",
			(long long)(INT64_C(2272060800) + i * VRTC_LEAP_DISTANCE_MIN_S),
			10 + i % 2);
	return parse_exactly(table, text, (size_t)length, NULL);
}

static void table_holds_as_many_entries_as_it_says_and_no_more(void **state)
{
	struct vrtc_leap_table table;

	(void)state;
	assert_int_equal(parse_many(&table, VRTC_LEAP_MAX), VRTC_LEAP_OK);
	assert_int_equal(table.n, VRTC_LEAP_MAX);
	assert_int_equal(parse_many(&table, VRTC_LEAP_MAX + 1), VRTC_LEAP_FULL);
	assert_empty(&table);
}

static void entry_at_the_end_of_64_bit_time_does_not_overflow(void **state)
{
	struct vrtc_leap_table table;
	int64_t first_ns, last_ns, utc_ns;

	(void)state;
	/* 2262-04-04, the last midnight that the parser accepts. */
	assert_int_equal(parse(&table, "#@ 11431756036\n" FIRST "11431670400 11\n"), VRTC_LEAP_OK);
	assert_int_equal(vrtc_leap_utc_from_tai(&table, INT64_MAX, &utc_ns), VRTC_LEAP_OK);
	assert_true(utc_ns == INT64_MAX - 11 * S);
	assert_int_equal(vrtc_leap_tai_from_utc(&table, INT64_MAX - 11 * S, &first_ns, &last_ns),
		VRTC_LEAP_OK);
	assert_true(first_ns == INT64_MAX && last_ns == INT64_MAX);
	assert_int_equal(
		parse(&table, "#@ 11431756036\n" FIRST "11431756800 11\n"), VRTC_LEAP_BAD_NUMBER);
}

static void damaged_text_never_makes_an_inconsistent_table(void **state)
{
	const char *text = real_bytes > 0 ? real_text : TABLE;
	size_t bytes = real_bytes > 0 ? real_bytes : strlen(TABLE);
	static const char likely[] = "0123456789#$@h \t\r\n\0x-";
	uint64_t seed = 17;
	char *copy = malloc(bytes);

	(void)state;
	assert_non_null(copy);
	for (unsigned int round = 0; round < 20000; round++) {
		struct vrtc_leap_table table;

		memcpy(copy, text, bytes);
		for (unsigned int i = 0; i < 1 + round % 4; i++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			copy[(seed >> 33) % bytes] = likely[(seed >> 20) % (sizeof(likely) - 1)];
		}
		if (parse_exactly(&table, copy, bytes - round % 100, NULL) != VRTC_LEAP_OK) {
			assert_empty(&table);
			continue;
		}
		assert_true(table.n >= 1 && table.n <= VRTC_LEAP_MAX);
		assert_true(table.expires_utc_s > table.entries[table.n - 1].utc_s);
		for (unsigned int i = 1; i < table.n; i++) {
			const struct vrtc_leap_entry *e = &table.entries[i];

			assert_true(e->utc_s - e[-1].utc_s >= VRTC_LEAP_DISTANCE_MIN_S);
			assert_true(e->step_s == e->offset_s - e[-1].offset_s);
			assert_int_equal(abs(e->step_s), 1);
		}
	}
	free(copy);
}

/* Expiry */

static void table_expires_at_its_date(void **state)
{
	static const struct vrtc_leap_table empty;

	(void)state;
	assert_false(vrtc_leap_expired(&invented, INT64_MIN));
	assert_false(vrtc_leap_expired(&invented, UTC_1975_01 - 1));
	assert_true(vrtc_leap_expired(&invented, UTC_1975_01));
	assert_true(vrtc_leap_expired(&invented, INT64_MAX));
	assert_true(vrtc_leap_expired(&empty, INT64_MIN));
}

static void last_offset_holds_after_expiry(void **state)
{
	int64_t utc_ns;

	(void)state;
	assert_int_equal(
		vrtc_leap_utc_from_tai(&invented, (UTC_1975_01 + 99) * S, &utc_ns), VRTC_LEAP_OK);
	assert_true(utc_ns == (UTC_1975_01 + 89) * S);
}

/* Conversions */

static int64_t utc_of(const struct vrtc_leap_table *table, int64_t tai_ns)
{
	int64_t utc_ns = UNTOUCHED;

	assert_int_equal(vrtc_leap_utc_from_tai(table, tai_ns, &utc_ns), VRTC_LEAP_OK);
	return utc_ns;
}

static void assert_tai(const struct vrtc_leap_table *table, int64_t utc_ns,
	enum vrtc_leap_result result, int64_t first_ns, int64_t last_ns)
{
	int64_t first = UNTOUCHED, last = UNTOUCHED;

	assert_int_equal(vrtc_leap_tai_from_utc(table, utc_ns, &first, &last), result);
	assert_true(first == first_ns);
	assert_true(last == last_ns);
}

static void utc_steps_back_one_second_exactly_at_the_start_of_a_positive_leap_second(void **state)
{
	const int64_t midnight_ns = UTC_1972_07 * S;
	const int64_t step_tai_ns = (UTC_1972_07 + 10) * S; /* 23:59:60 UTC begins */

	(void)state;
	assert_true(utc_of(&invented, step_tai_ns - S) == midnight_ns - S);
	assert_true(utc_of(&invented, step_tai_ns - 1) == midnight_ns - 1);
	assert_true(utc_of(&invented, step_tai_ns) == midnight_ns - S);
	assert_true(utc_of(&invented, step_tai_ns + 1) == midnight_ns - S + 1);
	assert_true(utc_of(&invented, step_tai_ns + S - 1) == midnight_ns - 1);
	assert_true(utc_of(&invented, step_tai_ns + S) == midnight_ns);
	assert_true(utc_of(&invented, step_tai_ns + S + 1) == midnight_ns + 1);
}

static void utc_steps_forward_one_second_exactly_at_the_start_of_a_negative_one(void **state)
{
	const int64_t midnight_ns = UTC_1973_01 * S;
	const int64_t step_tai_ns = (UTC_1973_01 - 1 + 11) * S; /* 23:59:59 UTC would begin */

	(void)state;
	assert_true(utc_of(&invented, step_tai_ns - 1) == midnight_ns - S - 1);
	assert_true(utc_of(&invented, step_tai_ns) == midnight_ns);
	assert_true(utc_of(&invented, step_tai_ns + 1) == midnight_ns + 1);
}

static void utc_is_unknown_before_1972_and_leaves_output(void **state)
{
	static const struct vrtc_leap_table empty;
	static const int64_t before[] = {
		INT64_MIN, INT64_MIN + 1, -1, 0, (UTC_1972_01 + 10) * S - 1};
	int64_t utc_ns = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		assert_int_equal(
			vrtc_leap_utc_from_tai(&invented, before[i], &utc_ns), VRTC_LEAP_UNKNOWN);
		assert_int_equal(
			vrtc_leap_utc_from_tai(&empty, before[i], &utc_ns), VRTC_LEAP_UNKNOWN);
	}
	assert_int_equal(vrtc_leap_utc_from_tai(&empty, INT64_MAX, &utc_ns), VRTC_LEAP_UNKNOWN);
	assert_true(utc_ns == UNTOUCHED);
	assert_true(utc_of(&invented, (UTC_1972_01 + 10) * S) == UTC_1972_01 * S);
}

static void repeated_second_is_ambiguous_with_both_its_instants(void **state)
{
	const int64_t midnight_ns = UTC_1972_07 * S;

	(void)state;
	assert_tai(&invented, midnight_ns - S - 1, VRTC_LEAP_OK, midnight_ns + 9 * S - 1,
		midnight_ns + 9 * S - 1);
	assert_tai(&invented, midnight_ns - S, VRTC_LEAP_AMBIGUOUS, midnight_ns + 9 * S,
		midnight_ns + 10 * S);
	assert_tai(&invented, midnight_ns - 1, VRTC_LEAP_AMBIGUOUS, midnight_ns + 10 * S - 1,
		midnight_ns + 11 * S - 1);
	assert_tai(
		&invented, midnight_ns, VRTC_LEAP_OK, midnight_ns + 11 * S, midnight_ns + 11 * S);
}

static void skipped_second_gives_the_instant_of_the_step(void **state)
{
	const int64_t midnight_ns = UTC_1973_01 * S;
	const int64_t step_tai_ns = midnight_ns + 10 * S;

	(void)state;
	assert_tai(&invented, midnight_ns - S - 1, VRTC_LEAP_OK, step_tai_ns - 1, step_tai_ns - 1);
	assert_tai(&invented, midnight_ns - S, VRTC_LEAP_SKIPPED, step_tai_ns, step_tai_ns);
	assert_tai(&invented, midnight_ns - 1, VRTC_LEAP_SKIPPED, step_tai_ns, step_tai_ns);
	assert_tai(&invented, midnight_ns, VRTC_LEAP_OK, step_tai_ns, step_tai_ns);
	assert_tai(&invented, midnight_ns + 1, VRTC_LEAP_OK, step_tai_ns + 1, step_tai_ns + 1);
}

static void tai_is_unknown_for_a_utc_time_before_1972(void **state)
{
	static const struct vrtc_leap_table empty;

	(void)state;
	assert_tai(&invented, INT64_MIN, VRTC_LEAP_UNKNOWN, UNTOUCHED, UNTOUCHED);
	assert_tai(&invented, UTC_1972_01 * S - 1, VRTC_LEAP_UNKNOWN, UNTOUCHED, UNTOUCHED);
	assert_tai(&invented, UTC_1972_01 * S, VRTC_LEAP_OK, (UTC_1972_01 + 10) * S,
		(UTC_1972_01 + 10) * S);
	assert_tai(&empty, UTC_2017_01 * S, VRTC_LEAP_UNKNOWN, UNTOUCHED, UNTOUCHED);
}

static void tai_that_does_not_fit_is_an_overflow(void **state)
{
	(void)state;
	assert_tai(&invented, INT64_MAX - 10 * S, VRTC_LEAP_OK, INT64_MAX, INT64_MAX);
	assert_tai(&invented, INT64_MAX - 10 * S + 1, VRTC_LEAP_OVERFLOW, UNTOUCHED, UNTOUCHED);
	assert_tai(&invented, INT64_MAX, VRTC_LEAP_OVERFLOW, UNTOUCHED, UNTOUCHED);
}

/* First instant with utc >= target, by stepping through TAI: what an alarm means. */
static void first_instant_is_the_first_at_which_utc_has_arrived(void **state)
{
	(void)state;
	for (unsigned int e = 1; e < invented.n; e++) {
		const int64_t midnight_ns = invented.entries[e].utc_ns;

		for (int64_t utc_ns = midnight_ns - 3 * S; utc_ns < midnight_ns + 3 * S;
			utc_ns += S / 4) {
			int64_t first_ns, last_ns, tai_ns = midnight_ns + 5 * S;

			vrtc_leap_tai_from_utc(&invented, utc_ns, &first_ns, &last_ns);
			while (utc_of(&invented, tai_ns) < utc_ns)
				tai_ns += S / 4;
			assert_true(tai_ns == first_ns);
		}
	}
}

static void check_round_trips(const struct vrtc_leap_table *table)
{
	static const int64_t near_ns[] = {-43200 * S, -2 * S, -S - 1, -S, -S + 1, -2, -1, 0, 1, 2,
		S - 1, S, S + 1, 2 * S, 43200 * S, 86400 * S};

	for (unsigned int e = 0; e < table->n; e++) {
		for (size_t i = 0; i < sizeof(near_ns) / sizeof(near_ns[0]); i++) {
			int64_t tai_ns = table->entries[e].step_tai_ns + near_ns[i];
			int64_t utc_ns, first_ns, last_ns;
			enum vrtc_leap_result result;

			if (e == 0 && near_ns[i] < 0)
				continue;
			utc_ns = utc_of(table, tai_ns);
			result = vrtc_leap_tai_from_utc(table, utc_ns, &first_ns, &last_ns);
			assert_true(result == VRTC_LEAP_OK || result == VRTC_LEAP_AMBIGUOUS);
			assert_true(tai_ns == first_ns || tai_ns == last_ns);
			assert_int_equal(last_ns - first_ns, result == VRTC_LEAP_OK ? 0 : S);
		}
	}
}

static void tai_to_utc_and_back_is_the_same_instant(void **state)
{
	(void)state;
	check_round_trips(&invented);
}

static void machines_own_table_agrees_at_every_leap_second(void **state)
{
	(void)state;
	need_real_table();
	check_round_trips(&real);
	for (unsigned int e = 1; e < 28; e++) {
		const struct vrtc_leap_entry *entry = &real.entries[e];

		/* All known leap seconds are positive. */
		assert_int_equal(entry->offset_s, 10 + e);
		assert_true(utc_of(&real, entry->step_tai_ns - 1) == entry->utc_s * S - 1);
		assert_true(utc_of(&real, entry->step_tai_ns) == entry->utc_s * S - S);
		assert_true(utc_of(&real, (entry->utc_s + 10 + e) * S) == entry->utc_s * S);
	}
}

static void utc_is_37_seconds_behind_tai_since_2017(void **state)
{
	const int64_t utc_2025_ns = INT64_C(1735689600) * S;

	(void)state;
	need_real_table();
	assert_true(utc_of(&real, utc_2025_ns + 37 * S) == utc_2025_ns);
	assert_tai(&real, utc_2025_ns, VRTC_LEAP_OK, utc_2025_ns + 37 * S, utc_2025_ns + 37 * S);
}

/* What the operator is told when a table is read again. */
static void tables_are_the_same_if_every_entry_and_the_date_are(void **state)
{
	struct vrtc_leap_table other = invented;

	(void)state;
	assert_true(vrtc_leap_same(&invented, &other));
	other.expires_utc_s++;
	assert_false(vrtc_leap_same(&invented, &other));
	other = invented;
	other.n--;
	assert_false(vrtc_leap_same(&invented, &other));
	for (unsigned i = 0; i < invented.n; i++) {
		other = invented;
		other.entries[i].utc_s++;
		assert_false(vrtc_leap_same(&invented, &other));
		other = invented;
		other.entries[i].offset_s++;
		assert_false(vrtc_leap_same(&invented, &other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1_agrees_with_the_examples_of_fips_180),
		cmocka_unit_test(entries_are_read_with_their_instants),
		cmocka_unit_test(machines_own_table_is_accepted_with_its_hash),
		cmocka_unit_test(update_and_hash_lines_are_optional),
		cmocka_unit_test(carriage_returns_blanks_and_comments_do_not_matter),
		cmocka_unit_test(leading_zeros_of_a_hash_word_may_be_missing),
		cmocka_unit_test(malformed_table_is_refused_with_its_line_and_reason),
		cmocka_unit_test(accepted_table_leaves_the_error_alone),
		cmocka_unit_test(null_text_of_no_bytes_is_a_table_without_entries),
		cmocka_unit_test(nul_in_an_entry_is_refused),
		cmocka_unit_test(text_cut_within_a_line_is_refused),
		cmocka_unit_test(every_changed_digit_is_found_by_the_hash_or_before),
		cmocka_unit_test(table_holds_as_many_entries_as_it_says_and_no_more),
		cmocka_unit_test(entry_at_the_end_of_64_bit_time_does_not_overflow),
		cmocka_unit_test(damaged_text_never_makes_an_inconsistent_table),
		cmocka_unit_test(table_expires_at_its_date),
		cmocka_unit_test(tables_are_the_same_if_every_entry_and_the_date_are),
		cmocka_unit_test(last_offset_holds_after_expiry),
		cmocka_unit_test(
			utc_steps_back_one_second_exactly_at_the_start_of_a_positive_leap_second),
		cmocka_unit_test(
			utc_steps_forward_one_second_exactly_at_the_start_of_a_negative_one),
		cmocka_unit_test(utc_is_unknown_before_1972_and_leaves_output),
		cmocka_unit_test(repeated_second_is_ambiguous_with_both_its_instants),
		cmocka_unit_test(skipped_second_gives_the_instant_of_the_step),
		cmocka_unit_test(tai_is_unknown_for_a_utc_time_before_1972),
		cmocka_unit_test(tai_that_does_not_fit_is_an_overflow),
		cmocka_unit_test(first_instant_is_the_first_at_which_utc_has_arrived),
		cmocka_unit_test(tai_to_utc_and_back_is_the_same_instant),
		cmocka_unit_test(machines_own_table_agrees_at_every_leap_second),
		cmocka_unit_test(utc_is_37_seconds_behind_tai_since_2017),
	};

	return cmocka_run_group_tests_name("leap", tests, load_tables, NULL);
}
