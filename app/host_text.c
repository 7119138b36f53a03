/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More digits are no CPU. */
#define NUMBER_MAX 1000000u

static bool take_number(const char **at, unsigned *number)
{
	const char *p = *at;

	*number = 0;
	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++) {
		*number = *number * 10 + (unsigned)(*p - '0');
		if (*number > NUMBER_MAX)
			return false;
	}
	*at = p;
	return true;
}

/* "4", "4-7", "0-15:2/4". */
static bool take_range(const char **at, cpu_set_t *set)
{
	unsigned used = 1;
	unsigned group = 1;
	unsigned first;
	unsigned last;

	if (!take_number(at, &first))
		return false;
	last = first;
	if (**at == '-') {
		++*at;
		if (!take_number(at, &last) || last < first)
			return false;
		if (**at == ':') {
			++*at;
			if (!take_number(at, &used) || **at != '/')
				return false;
			++*at;
			if (!take_number(at, &group) || group == 0 || used > group)
				return false;
		}
	}
	for (unsigned cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++)
		if ((cpu - first) % group < used)
			CPU_SET(cpu, set);
	return true;
}

static bool is_end(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return *at == '\0';
}

bool app_host_text_list(const char *text, cpu_set_t *set)
{
	const char *at = text;

	CPU_ZERO(set);
	if (is_end(at) || (strncmp(at, "(null)", 6) == 0 && is_end(at + 6)))
		return true;
	if (strncmp(at, "all", 3) == 0 && is_end(at + 3)) {
		for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, set);
		return true;
	}
	while (take_range(&at, set)) {
		if (is_end(at))
			return true;
		if (*at++ != ',')
			break;
	}
	CPU_ZERO(set);
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool app_host_text_mask(const char *text, cpu_set_t *set)
{
	const char *end = text + strcspn(text, " \t\n");
	unsigned in_group = 0;
	unsigned cpu = 0;

	CPU_ZERO(set);
	if (end == text || !is_end(end))
		return false;
	/* From the lowest digit on. Each group but the first has eight. */
	for (const char *at = end; at > text; at--) {
		int digit = hex_digit(at[-1]);

		if (at[-1] == ',' && in_group == 8 && at - 1 > text) {
			in_group = 0;
			continue;
		}
		if (digit < 0 || in_group == 8) {
			CPU_ZERO(set);
			return false;
		}
		for (unsigned bit = 0; bit < 4; bit++)
			if (digit >> bit & 1 && cpu + bit < CPU_SETSIZE)
				CPU_SET(cpu + bit, set);
		cpu += 4;
		in_group++;
	}
	return true;
}

/* Whether it fitted; if not, "..." is what the text ends with. */
static bool append(char *text, size_t *used, const char *what)
{
	size_t bytes = strlen(what);

	if (*used + bytes + sizeof("...") > APP_HOST_TEXT_CPUS) {
		memcpy(text + *used, "...", sizeof("..."));
		return false;
	}
	memcpy(text + *used, what, bytes + 1);
	*used += bytes;
	return true;
}

void app_host_text_print_list(const cpu_set_t *set, char text[static APP_HOST_TEXT_CPUS])
{
	size_t used = 0;

	text[0] = '\0';
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int first = cpu;
		char range[32];

		if (!CPU_ISSET(cpu, set))
			continue;
		while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, set))
			cpu++;
		if (cpu == first)
			snprintf(range, sizeof(range), "%s%d", used ? "," : "", first);
		else
			snprintf(range, sizeof(range), "%s%d-%d", used ? "," : "", first, cpu);
		if (!append(text, &used, range))
			return;
	}
}

void app_host_text_print_mask(const cpu_set_t *set, char text[static APP_HOST_TEXT_CPUS])
{
	bool begun = false;
	size_t used = 0;

	text[0] = '\0';
	for (int group = CPU_SETSIZE / 32 - 1; group >= 0; group--) {
		uint32_t word = 0;
		char digits[16];

		for (int bit = 0; bit < 32; bit++)
			if (CPU_ISSET(32 * group + bit, set))
				word |= UINT32_C(1) << bit;
		if (!begun && word == 0 && group > 0)
			continue;
		snprintf(digits, sizeof(digits), begun ? ",%08x" : "%x", word);
		begun = true;
		if (!append(text, &used, digits))
			return;
	}
}

bool app_host_text_parameter(const char *cmdline, const char *name, char *value, size_t value_bytes)
{
	size_t name_bytes = strlen(name);
	const char *at = cmdline;
	bool found = false;

	for (;;) {
		size_t bytes;

		at += strspn(at, " \t\n");
		bytes = strcspn(at, " \t\n");
		if (bytes == 0 || (bytes == 2 && strncmp(at, "--", 2) == 0))
			return found;
		if (bytes >= name_bytes && strncmp(at, name, name_bytes) == 0 &&
			(bytes == name_bytes || at[name_bytes] == '=')) {
			size_t begin = bytes == name_bytes ? bytes : name_bytes + 1;

			snprintf(value, value_bytes, "%.*s", (int)(bytes - begin), at + begin);
			found = true;
		}
		at += bytes;
	}
}

void app_host_text_chosen(const char *text, char *word, size_t word_bytes)
{
	const char *open = strchr(text, '[');
	const char *begin = open ? open + 1 : text;

	snprintf(word, word_bytes, "%.*s", (int)strcspn(begin, open ? "]\n" : "\n"), begin);
}

bool app_host_text_has_word(const char *line, const char *word)
{
	size_t bytes = strlen(word);

	while (*line && *line != '\n') {
		size_t here = strcspn(line, " \t\n");

		if (here == bytes && strncmp(line, word, bytes) == 0)
			return true;
		line += here;
		line += strspn(line, " \t");
	}
	return false;
}

const char *app_host_text_line(const char *text, const char *name)
{
	size_t bytes = strlen(name);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		if (*at == '\n')
			at++;
		if (strncmp(at, name, bytes) == 0 && at[bytes] != '\0' && strchr(": \t", at[bytes]))
			return at;
	}
	return NULL;
}

bool app_host_text_field(const char *text, const char *name, unsigned nth, uint64_t *value)
{
	const char *at = app_host_text_line(text, name);

	if (!at)
		return false;
	at += strlen(name);
	at += strspn(at, ": \t");
	for (;; nth--) {
		char *end;

		if (!isdigit((unsigned char)*at))
			return false;
		*value = strtoull(at, &end, 10);
		if (nth == 0)
			return true;
		at = end + strspn(end, " \t");
	}
}
