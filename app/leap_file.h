/* SPDX-License-Identifier: BSD-3-Clause */
/* The leap-second table, from the file that the operator named. Main thread. */
#ifndef APP_LEAP_FILE_H
#define APP_LEAP_FILE_H

#include <sys/stat.h>

#include "leap.h"

/*
 * @param error  on failure one line: file, line, what is wrong, what is accepted
 * @return       0, or -EINVAL: the table is not to be used
 */
int app_leap_file_load(
	const char *path, struct vrtc_leap_table *table, char *error, unsigned error_bytes);

/* Which version of the file it was: another inode, size or time of change is another version. */
struct app_leap_version {
	bool there;
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec changed;
};

/* Whether the file is another version than the last time; of the first time: yes. */
bool app_leap_file_is_new(const char *path, struct app_leap_version *last);

#endif
