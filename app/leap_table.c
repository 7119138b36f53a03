/* SPDX-License-Identifier: BSD-3-Clause */
#include "leap_table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

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

void app_leap_table_init(struct app_leap_table *t, const char *path, struct vrtc_leap_table *table)
{
	*t = (struct app_leap_table){.path = path, .table = table};
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

	if (app_leap_file_is_new(t->path, &t->version)) {
		/* Padding is compared below, too. */
		table = calloc(1, sizeof(*table));
		if (!table) {
			VRTC_LOG(WARNING,
				"no memory for the leap-second table; the one before stays");
		} else if (app_leap_file_load(t->path, table, error, sizeof(error))) {
			VRTC_LOG(WARNING, "%s; the table of before stays", error);
			free(table);
		} else if (memcmp(table, t->table, sizeof(*table)) == 0) {
			free(table);
		} else {
			replace(t, table, host, poller, n_pollers);
			t->expired_told = false;
		}
	}
	tell_expiry(t);
}
