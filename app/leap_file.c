/* SPDX-License-Identifier: BSD-3-Clause */
#include "leap_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config_file.h"

/* tzdata's file has 5 kB; what is longer than this is not a leap-second table. */
#define TABLE_BYTES_MAX (256 * 1024)

static const char accepted[] = "accepted: leap-seconds.list as IERS and tzdata publish it";

static int fail(char *error, unsigned error_bytes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(char *error, unsigned error_bytes, const char *fmt, ...)
{
	va_list args;

	if (error_bytes > 0)
		error[0] = '\0';
	va_start(args, fmt);
	app_config_vappend(error, error_bytes, fmt, args);
	va_end(args);
	return -EINVAL;
}

int app_leap_file_load(
	const char *path, struct vrtc_leap_table *table, char *error, unsigned error_bytes)
{
	static char text[TABLE_BYTES_MAX + 1];
	struct vrtc_leap_error parse_error;
	size_t bytes;
	FILE *f = fopen(path, "re");
	int failed;

	if (!f)
		return fail(error, error_bytes, "leap-second table %s: %s; %s", path,
			strerror(errno), accepted);
	errno = 0;
	bytes = fread(text, 1, sizeof(text), f);
	failed = ferror(f) ? errno : 0;
	fclose(f);
	if (failed)
		return fail(error, error_bytes, "leap-second table %s: %s; %s", path,
			strerror(failed), accepted);
	if (bytes > TABLE_BYTES_MAX)
		return fail(error, error_bytes, "leap-second table %s: longer than %d bytes; %s",
			path, TABLE_BYTES_MAX, accepted);
	if (vrtc_leap_parse(table, text, bytes, &parse_error))
		return fail(error, error_bytes, "leap-second table %s:%u: %s; %s", path,
			parse_error.line, parse_error.message, accepted);
	return 0;
}

bool app_leap_file_is_new(const char *path, struct app_leap_version *last)
{
	struct app_leap_version now = {.there = false};
	struct stat status;
	bool same;

	if (stat(path, &status) == 0)
		now = (struct app_leap_version){.there = true,
			.device = status.st_dev,
			.inode = status.st_ino,
			.bytes = status.st_size,
			.changed = status.st_mtim};
	same = now.there == last->there && now.device == last->device && now.inode == last->inode &&
	       now.bytes == last->bytes && now.changed.tv_sec == last->changed.tv_sec &&
	       now.changed.tv_nsec == last->changed.tv_nsec;
	*last = now;
	return !same;
}
