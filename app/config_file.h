/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A configuration file as text: sections of keys and values, each with its line. What they mean is
 * config.c's affair.
 *
 * rte_cfgfile reads the values. By itself it passes over a line without '=', cuts long names and
 * values, takes a key or a section twice, ignores what follows a ']', keeps no line numbers, and
 * says the rest in lines of its own; so each line is judged here first, and it is given what is
 * left when nothing is wrong.
 *
 * The syntax: "[section]" or "key = value"; blanks around each are nothing; '#' begins a comment
 * anywhere, ';' one at the beginning of a line.
 *
 * Allocates; main thread only.
 */
#ifndef APP_CONFIG_FILE_H
#define APP_CONFIG_FILE_H

#include <stdarg.h>

/* rte_cfgfile's limits, CFG_NAME_LEN and CFG_VALUE_LEN, without the NUL; asserted to be so. */
#define APP_FILE_NAME_BYTES_MAX  63
#define APP_FILE_VALUE_BYTES_MAX 255

struct app_config_entry {
	char key[APP_FILE_NAME_BYTES_MAX + 1];
	char value[APP_FILE_VALUE_BYTES_MAX + 1]; /* never empty */
	unsigned line;
};

struct app_config_section {
	char name[APP_FILE_NAME_BYTES_MAX + 1]; /* each run of blanks in it is one space */
	unsigned line;
	unsigned n_entries;
	struct app_config_entry *entry; /* no key twice */
};

struct app_config_file {
	unsigned n_sections;
	struct app_config_section *section; /* no name twice */
};

/*
 * @param max_sections  more than that is an error
 * @param error         on failure one line, see app_config_file_error()
 * @return              0; -EINVAL: error is filled, file holds nothing to free
 */
int app_config_file_load(struct app_config_file *file, const char *path, unsigned max_sections,
	char *error, unsigned error_bytes);

void app_config_file_free(struct app_config_file *file);

/* What a message is about: as much of it as is known, the rest 0 or NULL. */
struct app_config_place {
	const char *path; /* of the file */
	unsigned line;
	const char *section;
	const char *key;
	const char *value;
};

/*
 * Writes "FILE:LINE: [section] key = value: " and the message: one line, printable. Long parts are
 * cut so that 1024 bytes do.
 *
 * @return  -EINVAL
 */
int app_config_file_error(const struct app_config_place *place, char *error, unsigned error_bytes,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A file's path for a message: its end, when it is long. */
const char *app_config_file_shown(const char *path, unsigned max_bytes);

/*
 * Adds to a text what vsnprintf() makes of the rest, on one line and printable: control characters
 * become '?', and what does not fit is cut. Without room for a NUL it does nothing.
 */
void app_config_append(char *text, unsigned text_bytes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void app_config_vappend(char *text, unsigned text_bytes, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

#endif
