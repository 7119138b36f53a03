/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_file.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_cfgfile.h>

static_assert(APP_FILE_NAME_BYTES_MAX == CFG_NAME_LEN - 1, "rte_cfgfile cuts longer names");
static_assert(APP_FILE_VALUE_BYTES_MAX == CFG_VALUE_LEN - 1, "rte_cfgfile cuts longer values");

/* APP_DEVICES_MAX devices with every key at its longest take half of it. */
#define FILE_BYTES_MAX   (2 * 1024 * 1024)
/* No section has as many keys; it bounds the search for duplicates. */
#define ENTRIES_MAX      32
/* How much of a path, and of other people's words, a message shows. */
#define SHOWN_PATH_BYTES 160
#define SHOWN_BYTES      160

static const char accepted_syntax[] = "accepted: [section], key = value, or # and a comment";

/* One line of the file, and what is known when it is read. */
struct scan {
	const char *path;
	unsigned line;
	unsigned max_sections;
	struct app_config_file *file;
	int copy_fd; /* what rte_cfgfile will read */
	char *error;
	unsigned error_bytes;
};

void app_config_vappend(char *text, unsigned text_bytes, const char *fmt, va_list args)
{
	size_t used;

	if (text_bytes == 0)
		return;
	used = strlen(text);
	/* clang 14 does not see the caller's va_start() once rte_config.h was included. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	(void)vsnprintf(text + used, text_bytes - used, fmt, args);
	for (text += used; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

const char *app_config_file_shown(const char *path, unsigned max_bytes)
{
	size_t bytes = strlen(path);

	return bytes > max_bytes ? path + bytes - max_bytes : path;
}

void app_config_append(char *text, unsigned text_bytes, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	app_config_vappend(text, text_bytes, fmt, args);
	va_end(args);
}

int app_config_file_error(const struct app_config_place *place, char *error, unsigned error_bytes,
	const char *fmt, ...)
{
	const char *path = app_config_file_shown(place->path, SHOWN_PATH_BYTES);
	va_list args;

	if (error_bytes == 0)
		return -EINVAL;
	error[0] = '\0';
	app_config_append(error, error_bytes, "%s%s:", path == place->path ? "" : "...", path);
	if (place->line > 0)
		app_config_append(error, error_bytes, "%u:", place->line);
	if (place->section)
		app_config_append(error, error_bytes, " [%.*s]", SHOWN_BYTES, place->section);
	if (place->key && place->key[0])
		app_config_append(error, error_bytes, " %.*s", SHOWN_BYTES, place->key);
	if (place->value)
		app_config_append(error, error_bytes, " = %.*s", SHOWN_BYTES, place->value);
	app_config_append(error, error_bytes, place->section || place->key ? ": " : " ");

	va_start(args, fmt);
	app_config_vappend(error, error_bytes, fmt, args);
	va_end(args);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Without the blanks around it, in place. */
static char *trim(char *text)
{
	size_t bytes;

	while (is_blank(*text))
		text++;
	bytes = strlen(text);
	while (bytes > 0 && is_blank(text[bytes - 1]))
		bytes--;
	text[bytes] = '\0';
	return text;
}

static void fold_blanks(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (!is_blank(*from))
			*to++ = *from;
		else if (to[-1] != ' ') /* text does not begin with a blank */
			*to++ = ' ';
	}
	*to = '\0';
}

static int add_section(struct scan *scan, char *name)
{
	struct app_config_place place = {.path = scan->path, .line = scan->line, .section = name};
	struct app_config_file *file = scan->file;
	struct app_config_section *more;

	if (strlen(name) > APP_FILE_NAME_BYTES_MAX)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"the name has %zu bytes; accepted: up to %d", strlen(name),
			APP_FILE_NAME_BYTES_MAX);
	for (unsigned i = 0; i < file->n_sections; i++)
		if (strcmp(file->section[i].name, name) == 0)
			return app_config_file_error(&place, scan->error, scan->error_bytes,
				"the section was there before, in line %u; accepted: each section "
				"once",
				file->section[i].line);
	if (file->n_sections == scan->max_sections)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"too many sections; accepted: up to %u", scan->max_sections);

	more = reallocarray(file->section, file->n_sections + 1, sizeof(file->section[0]));
	if (!more)
		return app_config_file_error(
			&place, scan->error, scan->error_bytes, "%s", strerror(ENOMEM));
	file->section = more;
	more += file->n_sections++;
	*more = (struct app_config_section){.line = scan->line};
	memcpy(more->name, name, strlen(name) + 1);
	return 0;
}

static int add_entry(struct scan *scan, const char *key, const char *value)
{
	struct app_config_section *section = &scan->file->section[scan->file->n_sections - 1];
	struct app_config_place place = {scan->path, scan->line, section->name, key, value};
	struct app_config_entry *more;

	if (key[0] == '\0')
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"a key is missing; %s", accepted_syntax);
	if (strlen(key) > APP_FILE_NAME_BYTES_MAX)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"the key has %zu bytes; accepted: up to %d", strlen(key),
			APP_FILE_NAME_BYTES_MAX);
	if (value[0] == '\0')
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"the value is missing; accepted: key = value, or no line at all for the "
			"default");
	if (strlen(value) > APP_FILE_VALUE_BYTES_MAX)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"the value has %zu bytes; accepted: up to %d", strlen(value),
			APP_FILE_VALUE_BYTES_MAX);
	/* Somebody used to other files meant a comment, and would get a strange socket. */
	if (strstr(value, " ;") || strstr(value, "\t;"))
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"a comment after a value begins with #; accepted: key = value # comment");
	for (unsigned i = 0; i < section->n_entries; i++)
		if (strcmp(section->entry[i].key, key) == 0)
			return app_config_file_error(&place, scan->error, scan->error_bytes,
				"the key was there before, in line %u; accepted: each key once",
				section->entry[i].line);
	if (section->n_entries == ENTRIES_MAX)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"too many keys in the section; accepted: up to %d", ENTRIES_MAX);

	more = reallocarray(section->entry, section->n_entries + 1, sizeof(section->entry[0]));
	if (!more)
		return app_config_file_error(
			&place, scan->error, scan->error_bytes, "%s", strerror(ENOMEM));
	section->entry = more;
	more += section->n_entries++;
	*more = (struct app_config_entry){.line = scan->line};
	/* For the search above; the value comes from rte_cfgfile. */
	memcpy(more->key, key, strlen(key) + 1);
	return 0;
}

/* A line without its newline. */
static int scan_line(struct scan *scan, char *line, size_t bytes)
{
	struct app_config_place place = {.path = scan->path, .line = scan->line};
	char *equals;
	char *comment;
	int err;

	/* Of a line's end only: anywhere else it would be in a path, and rewrite the log's line. */
	if (bytes > 0 && line[bytes - 1] == '\r')
		line[--bytes] = '\0';
	for (size_t i = 0; i < bytes; i++)
		if (((unsigned char)line[i] < ' ' && !is_blank(line[i])) || line[i] == 0x7f)
			return app_config_file_error(&place, scan->error, scan->error_bytes,
				"a character with code %d is in the line; accepted: text", line[i]);
	comment = strchr(line, '#');
	if (comment)
		*comment = '\0';
	line = trim(line);
	if (line[0] == '\0' || line[0] == ';')
		return 0;
	place.key = line;

	if (line[0] == '[') {
		char *end = strchr(line, ']');
		char *name;

		if (!end)
			return app_config_file_error(&place, scan->error, scan->error_bytes,
				"the ] is missing; accepted: [section]");
		if (end[1] != '\0')
			return app_config_file_error(&place, scan->error, scan->error_bytes,
				"something follows the ]; accepted: [section]");
		*end = '\0';
		name = trim(line + 1);
		if (name[0] == '\0') {
			place.key = NULL;
			place.section = "";
			return app_config_file_error(&place, scan->error, scan->error_bytes,
				"the name is missing; accepted: [section]");
		}
		fold_blanks(name);
		err = add_section(scan, name);
		if (!err)
			dprintf(scan->copy_fd, "[%s]\n", name);
		return err;
	}
	if (scan->file->n_sections == 0)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"no section begins before it; accepted: a [section] first");
	place.section = scan->file->section[scan->file->n_sections - 1].name;
	equals = strchr(line, '=');
	if (!equals)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"there is no =; %s", accepted_syntax);
	*equals = '\0';
	line = trim(line);
	equals = trim(equals + 1);
	err = add_entry(scan, line, equals);
	if (!err)
		dprintf(scan->copy_fd, "%s=%s\n", line, equals);
	return err;
}

/* The whole file, read once: what is judged is what is used, and a pipe is as good as a file. */
static int read_text(
	const char *path, char **text, size_t *bytes, char *error, unsigned error_bytes)
{
	const struct app_config_place place = {.path = path};
	struct stat status;
	FILE *f = fopen(path, "re");
	int failed;

	if (!f)
		return app_config_file_error(&place, error, error_bytes,
			"%s; accepted: a configuration file that can be read", strerror(errno));
	if (fstat(fileno(f), &status) == 0 && S_ISDIR(status.st_mode)) {
		fclose(f);
		return app_config_file_error(
			&place, error, error_bytes, "is a folder; accepted: a configuration file");
	}
	*text = malloc(FILE_BYTES_MAX + 2);
	if (!*text) {
		fclose(f);
		return app_config_file_error(&place, error, error_bytes, "%s", strerror(ENOMEM));
	}
	errno = 0;
	*bytes = fread(*text, 1, FILE_BYTES_MAX + 1, f);
	failed = ferror(f) ? errno : 0;
	fclose(f);
	if (failed)
		return app_config_file_error(&place, error, error_bytes,
			"%s; accepted: a configuration file that can be read", strerror(failed));
	if (*bytes > FILE_BYTES_MAX)
		return app_config_file_error(&place, error, error_bytes,
			"is longer than %d bytes; accepted: a configuration file", FILE_BYTES_MAX);
	(*text)[*bytes] = '\0';
	return 0;
}

static int scan_text(struct scan *scan, char *text, size_t bytes)
{
	char *end = text + bytes;

	while (text < end) {
		char *newline = memchr(text, '\n', (size_t)(end - text));
		char *next = newline ? newline + 1 : end;
		int err;

		if (newline)
			*newline = '\0';
		scan->line++;
		err = scan_line(scan, text, (size_t)((newline ? newline : end) - text));
		if (err)
			return err;
		text = next;
	}
	return 0;
}

/* The values, by rte_cfgfile, beside the lines that the scan has put there. */
static bool take_values(struct app_config_file *file, struct rte_cfgfile *cfg)
{
	struct rte_cfgfile_entry entry[ENTRIES_MAX];
	char name[CFG_NAME_LEN];

	if (rte_cfgfile_num_sections(cfg, NULL, 0) != (int)file->n_sections)
		return false;
	for (unsigned i = 0; i < file->n_sections; i++) {
		struct app_config_section *section = &file->section[i];

		if (rte_cfgfile_section_num_entries_by_index(cfg, name, (int)i) !=
				(int)section->n_entries ||
			strcmp(name, section->name) != 0 ||
			rte_cfgfile_section_entries_by_index(
				cfg, (int)i, name, entry, ENTRIES_MAX) != (int)section->n_entries)
			return false;
		for (unsigned k = 0; k < section->n_entries; k++) {
			memcpy(section->entry[k].key, entry[k].name, sizeof(entry[k].name));
			memcpy(section->entry[k].value, entry[k].value, sizeof(entry[k].value));
		}
	}
	return true;
}

static int load_values(struct scan *scan)
{
	const struct rte_cfgfile_parameters params = {.comment_character = '#'};
	const struct app_config_place place = {.path = scan->path};
	struct rte_cfgfile *cfg;
	char copy_path[64];
	bool taken;

	snprintf(copy_path, sizeof(copy_path), "/proc/self/fd/%d", scan->copy_fd);
	cfg = rte_cfgfile_load_with_params(copy_path, 0, &params);
	taken = cfg && take_values(scan->file, cfg);
	if (cfg)
		rte_cfgfile_close(cfg);
	if (!taken)
		return app_config_file_error(&place, scan->error, scan->error_bytes,
			"rte_cfgfile could not read it: is there memory, and is /proc mounted?");
	return 0;
}

int app_config_file_load(struct app_config_file *file, const char *path, unsigned max_sections,
	char *error, unsigned error_bytes)
{
	const struct app_config_place place = {.path = path};
	struct scan scan = {.path = path,
		.max_sections = max_sections,
		.file = file,
		.error = error,
		.error_bytes = error_bytes};
	char *text = NULL;
	size_t bytes = 0;
	int err;

	*file = (struct app_config_file){0};
	err = read_text(path, &text, &bytes, error, error_bytes);
	if (!err) {
		scan.copy_fd = memfd_create("dpdk-rtc-config", MFD_CLOEXEC);
		if (scan.copy_fd < 0) {
			err = app_config_file_error(
				&place, error, error_bytes, "memfd_create: %s", strerror(errno));
		} else {
			err = scan_text(&scan, text, bytes);
			if (!err)
				err = load_values(&scan);
			close(scan.copy_fd);
		}
	}
	free(text);
	if (err)
		app_config_file_free(file);
	return err;
}

void app_config_file_free(struct app_config_file *file)
{
	for (unsigned i = 0; i < file->n_sections; i++)
		free(file->section[i].entry);
	free(file->section);
	*file = (struct app_config_file){0};
}
