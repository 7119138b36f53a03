/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small files of /proc, /sys and /dev, beneath a root that is "" for this machine. Any thread; no
 * allocation.
 */
#ifndef APP_HOST_TREE_H
#define APP_HOST_TREE_H

#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APP_HOST_TREE_LINE 256

/*
 * The file's text up to room for its NUL, without blanks and line ends at its end.
 *
 * @param bytes  of text; its beginning is read of a file that is longer
 * @return       false: it cannot be read; text is ""
 */
bool app_host_tree_read(const char *root, char *text, size_t bytes, const char *path, ...)
	__attribute__((format(printf, 4, 5)));

/* A file with a number in it; false: no file, or no number. */
bool app_host_tree_number(const char *root, int64_t *number, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

/* A file with a list of CPUs, or of NUMA nodes; false: no file, or no list; then set is empty. */
bool app_host_tree_list(const char *root, cpu_set_t *set, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

/* Of 4 bytes in the machine's own order, as /dev/cpu_dma_latency has it. */
bool app_host_tree_int32(const char *root, int32_t *number, const char *path);

DIR *app_host_tree_opendir(const char *root, const char *path, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether this is a virtual machine, as its CPU says (x86). */
bool app_host_tree_is_virtual(const char *root);

#endif
