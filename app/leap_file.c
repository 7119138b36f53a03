/* SPDX-License-Identifier: BSD-3-Clause */
#include "leap_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* tzdata's file has 5 kB; what is longer than this is not a leap-second table. */
#define TABLE_BYTES_MAX (256 * 1024)

static const char accepted[] = "accepted: leap-seconds.list as IERS and tzdata publish it";

int app_leap_file_load(
	const char *path, struct vrtc_leap_table *table, char *error, unsigned error_bytes)
{
	static char text[TABLE_BYTES_MAX + 1];
	struct vrtc_leap_error parse_error;
	size_t bytes;
	FILE *f = fopen(path, "re");

	if (!f) {
		snprintf(error, error_bytes, "leap-second table %s: %s; %s", path, strerror(errno),
			accepted);
		return -EINVAL;
	}
	errno = 0;
	bytes = fread(text, 1, sizeof(text), f);
	if (ferror(f)) {
		snprintf(error, error_bytes, "leap-second table %s: %s; %s", path, strerror(errno),
			accepted);
		fclose(f);
		return -EINVAL;
	}
	fclose(f);
	if (bytes > TABLE_BYTES_MAX) {
		snprintf(error, error_bytes, "leap-second table %s: longer than %d bytes; %s", path,
			TABLE_BYTES_MAX, accepted);
		return -EINVAL;
	}
	if (vrtc_leap_parse(table, text, bytes, &parse_error)) {
		snprintf(error, error_bytes, "leap-second table %s:%u: %s; %s", path,
			parse_error.line, parse_error.message, accepted);
		return -EINVAL;
	}
	return 0;
}
