/* SPDX-License-Identifier: BSD-3-Clause */
/* The leap-second table, from the file that the operator named. */
#ifndef APP_LEAP_FILE_H
#define APP_LEAP_FILE_H

#include "leap.h"

/*
 * @param error  on failure one line: file, line, what is wrong, what is accepted
 * @return       0, or -EINVAL: the table is not to be used
 */
int app_leap_file_load(
	const char *path, struct vrtc_leap_table *table, char *error, unsigned error_bytes);

#endif
