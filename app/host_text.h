/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel writes into /proc and /sys, understood: lists and masks of CPUs, its command
 * line, choices with the chosen one in brackets, fields behind a name.
 *
 * Pure: any text, NUL at its end; no file, no allocation; any thread.
 */
#ifndef APP_HOST_TEXT_H
#define APP_HOST_TEXT_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list or a mask of CPUs in text, its beginning and "..." if it does not fit. */
#define APP_HOST_TEXT_CPUS 320

/*
 * "0-3,8": as in /sys and kernel parameters, with "0-15:2/4" (2 of each 4) and "all". Nothing, and
 * "(null)", is no CPU. CPUs from CPU_SETSIZE on are left out.
 *
 * @param set  filled; on failure empty
 * @return     false: not such a list
 */
bool app_host_text_list(const char *text, cpu_set_t *set);

/* "3", "ffffffff,00000001": hexadecimal, 32 CPUs between commas, the last ones first. As above. */
bool app_host_text_mask(const char *text, cpu_set_t *set);

void app_host_text_print_list(const cpu_set_t *set, char text[static APP_HOST_TEXT_CPUS]);
void app_host_text_print_mask(const cpu_set_t *set, char text[static APP_HOST_TEXT_CPUS]);

/*
 * The value of a kernel parameter, of the last one if it is there more than once; "" if it has
 * none. What stands behind "--" is not the kernel's.
 *
 * @return  false: not there
 */
bool app_host_text_parameter(
	const char *cmdline, const char *name, char *value, size_t value_bytes);

/* Of "always [madvise] never": madvise; of text without brackets the whole. */
void app_host_text_chosen(const char *text, char *word, size_t word_bytes);

/* Whether the word stands in the line, between blanks. */
bool app_host_text_has_word(const char *line, const char *word);

/*
 * The number behind "NAME:" or "NAME " at the beginning of a line: meminfo, stat.
 *
 * @param nth  which number, from 0
 * @return     false: not there
 */
bool app_host_text_field(const char *text, const char *name, unsigned nth, uint64_t *value);

/* The line that begins with this name, a blank or a colon behind it; NULL: none. */
const char *app_host_text_line(const char *text, const char *name);

#endif
