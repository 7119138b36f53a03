/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The leap-second table in use. When its file changes it is read again and published; what cannot
 * be read leaves the table that was. A table goes when no lcore uses it any more. Main thread.
 */
#ifndef APP_LEAP_TABLE_H
#define APP_LEAP_TABLE_H

#include <stdbool.h>

#include "hosttime.h"
#include "leap_file.h"
#include "poller.h"

struct app_leap_table {
	const char *path;
	struct vrtc_leap_table *table; /* of malloc() */
	struct app_leap_version version;
	bool expired_told;
	int watch_fd; /* readable when something in the file's folder has changed; -1: none */
};

/* Takes over a table that was read from path, which outlives it. Warns if it has expired. */
void app_leap_table_init(struct app_leap_table *t, const char *path, struct vrtc_leap_table *table);

/* Closes what was opened, and frees the table: after the last lcore has ended. */
void app_leap_table_close(struct app_leap_table *t);

/*
 * Looks whether the file has changed; if so, publishes what it says now in host. Says in the log
 * what became of it, and, once, that the table has expired.
 *
 * @param poller  all lcores that may use the table
 */
void app_leap_table_look(struct app_leap_table *t, struct vrtc_hosttime *host,
	struct vrtc_poller *const *poller, unsigned n_pollers);

#endif
