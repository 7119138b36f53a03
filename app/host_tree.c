/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_tree.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host_text.h"

/* One CPU's paragraph of /proc/cpuinfo, and more. */
#define CPUINFO_BYTES 16384

static bool name_path(char full[PATH_MAX], const char *root, const char *path, va_list args)
	__attribute__((format(printf, 3, 0)));

static bool name_path(char full[PATH_MAX], const char *root, const char *path, va_list args)
{
	size_t used = strlen(root);
	int bytes;

	if (used >= PATH_MAX)
		return false;
	memcpy(full, root, used + 1);
	/* clang 14 does not see va_start() once rte_config.h was included. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	bytes = vsnprintf(full + used, PATH_MAX - used, path, args);
	return bytes >= 0 && (size_t)bytes < PATH_MAX - used;
}

/* How many bytes were read; -1: none can be. */
static ssize_t read_file(const char *full, void *to, size_t bytes)
{
	int fd = open(full, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	while (used < bytes && (n = read(fd, (char *)to + used, bytes - used)) > 0)
		used += (size_t)n;
	close(fd);
	return n < 0 ? -1 : (ssize_t)used;
}

static bool read_text(const char *root, char *text, size_t bytes, const char *path, va_list args)
	__attribute__((format(printf, 4, 0)));

static bool read_text(const char *root, char *text, size_t bytes, const char *path, va_list args)
{
	char full[PATH_MAX];
	ssize_t used;

	text[0] = '\0';
	if (!name_path(full, root, path, args))
		return false;
	used = read_file(full, text, bytes - 1);
	if (used < 0) {
		text[0] = '\0';
		return false;
	}
	while (used > 0 && isspace((unsigned char)text[used - 1]))
		used--;
	text[used] = '\0';
	return true;
}

bool app_host_tree_read(const char *root, char *text, size_t bytes, const char *path, ...)
{
	va_list args;
	bool there;

	va_start(args, path);
	there = read_text(root, text, bytes, path, args);
	va_end(args);
	return there;
}

bool app_host_tree_number(const char *root, int64_t *number, const char *path, ...)
{
	char text[APP_HOST_TREE_LINE];
	va_list args;
	bool there;
	char *end;

	va_start(args, path);
	there = read_text(root, text, sizeof(text), path, args);
	va_end(args);
	*number = there ? strtoll(text, &end, 10) : 0;
	return there && end != text && *end == '\0';
}

bool app_host_tree_list(const char *root, cpu_set_t *set, const char *path, ...)
{
	char text[4096];
	va_list args;
	bool there;

	CPU_ZERO(set);
	va_start(args, path);
	there = read_text(root, text, sizeof(text), path, args);
	va_end(args);
	return there && app_host_text_list(text, set);
}

bool app_host_tree_int32(const char *root, int32_t *number, const char *path)
{
	char full[PATH_MAX];

	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full))
		return false;
	return read_file(full, number, sizeof(*number)) == (ssize_t)sizeof(*number);
}

DIR *app_host_tree_opendir(const char *root, const char *path, ...)
{
	char full[PATH_MAX];
	va_list args;
	bool named;

	va_start(args, path);
	named = name_path(full, root, path, args);
	va_end(args);
	return named ? opendir(full) : NULL;
}

bool app_host_tree_is_virtual(const char *root)
{
	static char text[CPUINFO_BYTES];
	const char *flags;

	if (!app_host_tree_read(root, text, sizeof(text), "/proc/cpuinfo"))
		return false;
	flags = app_host_text_line(text, "flags");
	return flags && app_host_text_has_word(flags, "hypervisor");
}
