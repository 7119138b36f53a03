/* SPDX-License-Identifier: BSD-3-Clause */
#include "leap_table.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static void tell_expiry(struct app_leap_table *t)
{
	bool expired = vrtc_leap_expired(t->table, (int64_t)time(NULL));

	if (expired && !t->expired_told)
		VRTC_LOG(WARNING,
			"the leap-second table %s has expired: a leap second announced since "
			"would be missed; update tzdata",
			t->path);
	t->expired_told = expired;
}

/*
 * The folder, since a new version of a file is another file of the same name. Where it cannot be
 * watched, or the name is a link to elsewhere, changes are found at the next look.
 */
static int watch_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash == path ? 1 : slash - path),
			path);
	if (fd >= 0 && inotify_add_watch(fd, folder,
			       IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void drain(int fd)
{
	char events[4096];

	while (fd >= 0 && read(fd, events, sizeof(events)) > 0)
		;
}

void app_leap_table_close(struct app_leap_table *t)
{
	if (t->watch_fd >= 0)
		close(t->watch_fd);
	free(t->table);
	*t = (struct app_leap_table){.watch_fd = -1};
}

void app_leap_table_init(struct app_leap_table *t, const char *path, struct vrtc_leap_table *table)
{
	*t = (struct app_leap_table){.path = path, .table = table, .watch_fd = watch_folder(path)};
	/* A change between its reading and now would be missed: so it is looked at once more. */
	tell_expiry(t);
}

static void replace(struct app_leap_table *t, struct vrtc_leap_table *table,
	struct vrtc_hosttime *host, struct vrtc_poller *const *poller, unsigned n_pollers)
{
	const struct vrtc_leap_entry *last = &table->entries[table->n - 1];
	struct vrtc_leap_table *old = t->table;
	time_t since = (time_t)last->utc_s;
	char date[16] = "";
	struct tm tm;

	if (gmtime_r(&since, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%d", &tm);

	t->table = table;
	vrtc_hosttime_set_leap(host, table);
	for (unsigned i = 0; i < n_pollers; i++)
		vrtc_poller_synchronize(poller[i]);
	free(old);
	VRTC_LOG(INFO, "the leap-second table %s was read again: TAI - UTC = %d s from %s on",
		t->path, last->offset_s, date);
}

void app_leap_table_look(struct app_leap_table *t, struct vrtc_hosttime *host,
	struct vrtc_poller *const *poller, unsigned n_pollers)
{
	struct vrtc_leap_table *table;
	char error[1024];

	drain(t->watch_fd);
	if (app_leap_file_is_new(t->path, &t->version)) {
		table = calloc(1, sizeof(*table));
		if (!table) {
			VRTC_LOG(WARNING,
				"no memory for the leap-second table; the one before stays");
		} else if (app_leap_file_load(t->path, table, error, sizeof(error))) {
			VRTC_LOG(WARNING, "%s; the table of before stays", error);
			free(table);
		} else if (vrtc_leap_same(table, t->table)) {
			free(table);
		} else {
			replace(t, table, host, poller, n_pollers);
			t->expired_told = false;
		}
	}
	tell_expiry(t);
}
