/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "leap.h"
#include "nstime.h"
#include "sha1.h"

/*
 * The file counts seconds from 1900-01-01 as NTP does; POSIX begins 70 years (17 leap days) later.
 */
#define POSIX_EPOCH_NTP_S INT64_C(2208988800)

/* UTC with whole offsets began at 1972-01-01, 10 s behind TAI. */
#define FIRST_UTC_S    INT64_C(63072000)
#define FIRST_OFFSET_S 10

#define S_PER_DAY INT64_C(86400)

/*
 * The latest time that a line may name: a week before an int64_t of nanoseconds ends (2262), so
 * that no instant around an entry (offset, smearing window) can overflow.
 */
#define UTC_S_MAX (INT64_MAX / VRTC_NS_PER_S - 7 * S_PER_DAY)

/* What is left of a line, without its end. */
struct cursor {
	const char *at;
	const char *end;
};

struct parser {
	struct vrtc_leap_table *table;
	struct vrtc_leap_error at; /* the line in hand, and what is wrong with it */
	bool updated_seen;
	bool expires_seen;
	unsigned int hash_line; /* 0: none so far */
	uint32_t hash[VRTC_SHA1_WORDS];
	/*
	 * The hash in the file is of the digits of its numbers, in order of appearance: update,
	 * expiry, and of each entry the time and the offset.
	 */
	struct vrtc_sha1 digits;
};

static enum vrtc_leap_result fail(
	struct parser *parser, enum vrtc_leap_result result, const char *message)
{
	parser->at.message = message;
	return result;
}

/* Not <ctype.h>: what a digit is must not depend on the locale, nor on char being signed. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && is_blank(*cursor->at))
		cursor->at++;
}

static bool at_end_or_comment(const struct cursor *cursor)
{
	return cursor->at == cursor->end || *cursor->at == '#';
}

/*
 * A decimal number and the blanks after it, at most max; its digits go into the hash. More digits
 * glued to other characters are a syntax error, not a shorter number.
 */
static enum vrtc_leap_result take_number(
	struct parser *parser, struct cursor *cursor, int64_t max, int64_t *value)
{
	const char *begin = cursor->at;
	int64_t sum = 0;

	while (cursor->at < cursor->end && is_digit(*cursor->at)) {
		int digit = *cursor->at++ - '0';

		if (sum > (max - digit) / 10)
			return fail(parser, VRTC_LEAP_BAD_NUMBER, "the number is too large");
		sum = 10 * sum + digit;
	}
	if (cursor->at == begin)
		return fail(parser, VRTC_LEAP_BAD_SYNTAX, "a decimal number is expected");
	if (!at_end_or_comment(cursor) && !is_blank(*cursor->at))
		return fail(parser, VRTC_LEAP_BAD_SYNTAX, "the number ends in another character");

	vrtc_sha1_update(&parser->digits, begin, (size_t)(cursor->at - begin));
	skip_blanks(cursor);
	*value = sum;
	return VRTC_LEAP_OK;
}

/* The one number of a "#$" or "#@" line, as POSIX seconds. */
static enum vrtc_leap_result take_date(
	struct parser *parser, struct cursor *cursor, bool *seen, int64_t *utc_s)
{
	enum vrtc_leap_result result;
	int64_t ntp_s;

	if (*seen)
		return fail(parser, VRTC_LEAP_BAD_REPEAT, "the table has such a line already");
	*seen = true;

	skip_blanks(cursor);
	result = take_number(parser, cursor, UTC_S_MAX + POSIX_EPOCH_NTP_S, &ntp_s);
	if (result != VRTC_LEAP_OK)
		return result;
	if (!at_end_or_comment(cursor))
		return fail(parser, VRTC_LEAP_BAD_SYNTAX, "one number is expected");
	*utc_s = ntp_s - POSIX_EPOCH_NTP_S;
	return VRTC_LEAP_OK;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* "#h" and five words in hexadecimal; some publishers drop the leading zeros of a word. */
static enum vrtc_leap_result take_hash(struct parser *parser, struct cursor *cursor)
{
	if (parser->hash_line != 0)
		return fail(parser, VRTC_LEAP_BAD_REPEAT, "the table has such a line already");
	parser->hash_line = parser->at.line;

	for (unsigned int i = 0; i < VRTC_SHA1_WORDS; i++) {
		unsigned int digits = 0;
		uint32_t word = 0;

		skip_blanks(cursor);
		while (cursor->at < cursor->end && hex_value(*cursor->at) >= 0) {
			word = word << 4 | (uint32_t)hex_value(*cursor->at++);
			digits++;
		}
		if (digits < 1 || digits > 8)
			return fail(parser, VRTC_LEAP_BAD_SYNTAX,
				"the hash is not five words of up to eight hexadecimal digits");
		parser->hash[i] = word;
	}
	skip_blanks(cursor);
	if (cursor->at != cursor->end)
		return fail(parser, VRTC_LEAP_BAD_SYNTAX,
			"the hash is not five words of up to eight hexadecimal digits");
	return VRTC_LEAP_OK;
}

static enum vrtc_leap_result add_entry(struct parser *parser, int64_t utc_s, int64_t offset_s)
{
	struct vrtc_leap_table *table = parser->table;
	struct vrtc_leap_entry *entry;
	int64_t step_s = 0;

	if (table->n == VRTC_LEAP_MAX)
		return fail(parser, VRTC_LEAP_FULL, "the table has too many entries");

	if (table->n == 0) {
		if (utc_s != FIRST_UTC_S || offset_s != FIRST_OFFSET_S)
			return fail(parser, VRTC_LEAP_BAD_FIRST,
				"the first entry is not 10 s from 1972-01-01 (2272060800)");
	} else {
		const struct vrtc_leap_entry *last = &table->entries[table->n - 1];

		if (utc_s <= last->utc_s)
			return fail(parser, VRTC_LEAP_BAD_ORDER,
				"the entry is not later than the one before");
		if (utc_s % S_PER_DAY != 0)
			return fail(parser, VRTC_LEAP_BAD_MIDNIGHT,
				"the entry does not begin at midnight UTC");
		if (utc_s - last->utc_s < VRTC_LEAP_DISTANCE_MIN_S)
			return fail(parser, VRTC_LEAP_BAD_ORDER,
				"the entry is less than 28 days after the one before");
		step_s = offset_s - last->offset_s;
		if (step_s != 1 && step_s != -1)
			return fail(parser, VRTC_LEAP_BAD_STEP,
				"the offset differs from the one before by other than one second");
	}

	entry = &table->entries[table->n++];
	entry->utc_s = utc_s;
	entry->utc_ns = utc_s * VRTC_NS_PER_S;
	entry->offset_s = (int32_t)offset_s;
	entry->offset_ns = offset_s * VRTC_NS_PER_S;
	entry->step_s = (int32_t)step_s;
	entry->tai_ns = entry->utc_ns + entry->offset_ns;
	/* A positive leap second is the last one before midnight, and the step is at its start. */
	entry->step_tai_ns = entry->tai_ns - (step_s > 0 ? VRTC_NS_PER_S : 0);
	return VRTC_LEAP_OK;
}

static enum vrtc_leap_result take_entry(struct parser *parser, struct cursor *cursor)
{
	enum vrtc_leap_result result;
	int64_t ntp_s, offset_s;

	result = take_number(parser, cursor, UTC_S_MAX + POSIX_EPOCH_NTP_S, &ntp_s);
	if (result != VRTC_LEAP_OK)
		return result;
	result = take_number(parser, cursor, FIRST_OFFSET_S + VRTC_LEAP_MAX, &offset_s);
	if (result != VRTC_LEAP_OK)
		return result;
	if (!at_end_or_comment(cursor))
		return fail(parser, VRTC_LEAP_BAD_SYNTAX, "two numbers are expected");
	return add_entry(parser, ntp_s - POSIX_EPOCH_NTP_S, offset_s);
}

static enum vrtc_leap_result take_line(struct parser *parser, struct cursor line)
{
	char mark = 0;

	skip_blanks(&line);
	if (line.at == line.end)
		return VRTC_LEAP_OK;
	if (*line.at != '#')
		return take_entry(parser, &line);

	if (line.end - line.at >= 2)
		mark = line.at[1];
	line.at += mark != 0 ? 2 : 1;
	switch (mark) {
	case '$':
		return take_date(
			parser, &line, &parser->updated_seen, &parser->table->updated_utc_s);
	case '@':
		return take_date(
			parser, &line, &parser->expires_seen, &parser->table->expires_utc_s);
	case 'h':
		/* The first word of a comment may begin so, too. */
		if (line.at < line.end && !is_blank(*line.at))
			return VRTC_LEAP_OK;
		return take_hash(parser, &line);
	default:
		return VRTC_LEAP_OK;
	}
}

/* What only the whole text can tell. */
static enum vrtc_leap_result check_whole(struct parser *parser)
{
	struct vrtc_leap_table *table = parser->table;
	uint32_t digest[VRTC_SHA1_WORDS];

	if (parser->hash_line != 0) {
		vrtc_sha1_final(&parser->digits, digest);
		parser->at.line = parser->hash_line;
		if (memcmp(digest, parser->hash, sizeof(digest)) != 0)
			return fail(parser, VRTC_LEAP_BAD_HASH,
				"the hash does not fit the contents: a damaged or edited file");
		table->hash_verified = true;
	}

	parser->at.line = 0;
	if (table->n == 0)
		return fail(parser, VRTC_LEAP_NO_ENTRY, "the table has no entry");
	if (!parser->expires_seen)
		return fail(
			parser, VRTC_LEAP_NO_EXPIRY, "the table has no date of expiry (#@ line)");
	if (table->expires_utc_s <= table->entries[table->n - 1].utc_s)
		return fail(
			parser, VRTC_LEAP_BAD_EXPIRY, "the table expires before its last entry");
	return VRTC_LEAP_OK;
}

static enum vrtc_leap_result take_text(struct parser *parser, struct cursor text)
{
	while (text.at < text.end) {
		const char *newline = memchr(text.at, '\n', (size_t)(text.end - text.at));
		struct cursor line = {text.at, newline};
		enum vrtc_leap_result result;

		parser->at.line++;
		/*
		 * A file cut short is most likely cut within a line. What would be left is a table
		 * without its latest entries, which is worse than none.
		 */
		if (newline == NULL)
			return fail(parser, VRTC_LEAP_TRUNCATED,
				"the last line has no line end: a truncated file");
		text.at = newline + 1;

		if (line.end > line.at && line.end[-1] == '\r')
			line.end--;
		result = take_line(parser, line);
		if (result != VRTC_LEAP_OK)
			return result;
	}
	return check_whole(parser);
}

enum vrtc_leap_result vrtc_leap_parse(struct vrtc_leap_table *table, const char *text, size_t bytes,
	struct vrtc_leap_error *error)
{
	struct parser parser = {.table = table};
	struct cursor whole = {text, text};
	enum vrtc_leap_result result;

	if (bytes > 0)
		whole.end = text + bytes;
	memset(table, 0, sizeof(*table));
	vrtc_sha1_init(&parser.digits);

	result = take_text(&parser, whole);
	if (result != VRTC_LEAP_OK) {
		memset(table, 0, sizeof(*table));
		if (error != NULL)
			*error = parser.at;
	}
	return result;
}

bool vrtc_leap_expired(const struct vrtc_leap_table *table, int64_t utc_s)
{
	return table->n == 0 || utc_s >= table->expires_utc_s;
}

bool vrtc_leap_same(const struct vrtc_leap_table *a, const struct vrtc_leap_table *b)
{
	if (a->n != b->n || a->expires_utc_s != b->expires_utc_s)
		return false;
	for (unsigned int i = 0; i < a->n; i++)
		if (a->entries[i].utc_s != b->entries[i].utc_s ||
			a->entries[i].offset_s != b->entries[i].offset_s)
			return false;
	return true;
}

enum vrtc_leap_result vrtc_leap_utc_from_tai(
	const struct vrtc_leap_table *table, int64_t tai_ns, int64_t *utc_ns)
{
	for (unsigned int i = table->n; i-- > 0;) {
		const struct vrtc_leap_entry *entry = &table->entries[i];

		if (tai_ns >= entry->step_tai_ns) {
			*utc_ns = tai_ns - entry->offset_ns;
			return VRTC_LEAP_OK;
		}
	}
	return VRTC_LEAP_UNKNOWN;
}

enum vrtc_leap_result vrtc_leap_tai_from_utc(const struct vrtc_leap_table *table, int64_t utc_ns,
	int64_t *first_tai_ns, int64_t *last_tai_ns)
{
	for (unsigned int i = table->n; i-- > 0;) {
		const struct vrtc_leap_entry *entry = &table->entries[i];

		if (utc_ns >= entry->utc_ns) {
			if (!vrtc_nstime_add(utc_ns, entry->offset_ns, first_tai_ns))
				return VRTC_LEAP_OVERFLOW;
			*last_tai_ns = *first_tai_ns;
			return VRTC_LEAP_OK;
		}
		if (entry->step_s == 0 || utc_ns < entry->utc_ns - VRTC_NS_PER_S)
			continue;

		/* The second before midnight: shown twice, or left out. */
		if (entry->step_s < 0) {
			*first_tai_ns = entry->step_tai_ns;
			*last_tai_ns = entry->step_tai_ns;
			return VRTC_LEAP_SKIPPED;
		}
		*last_tai_ns = utc_ns + entry->offset_ns;
		*first_tai_ns = *last_tai_ns - VRTC_NS_PER_S;
		return VRTC_LEAP_AMBIGUOUS;
	}
	return VRTC_LEAP_UNKNOWN;
}
