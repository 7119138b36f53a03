/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sources of time that devices of this process have: the system clocks, and PTP hardware clocks
 * by their paths. What there is to be said of them goes to the log from here, once each. Main
 * thread.
 */
#ifndef APP_SOURCES_H
#define APP_SOURCES_H

#include <sched.h>
#include <stdbool.h>

#include "config.h"
#include "hosttime.h"
#include "leap_table.h"
#include "timesource.h"

#define APP_SOURCES_MAX 16

struct app_source {
	struct vrtc_timesource time;
	const char *path; /* of the PHC; NULL: the system clocks */
	struct vrtc_phc *phc;
	struct vrtc_phc_status status; /* of the last look */
};

struct app_sources {
	struct vrtc_hosttime host;
	struct vrtc_pairing pairing;
	struct vrtc_hosttime_report report; /* of the last look */
	struct app_leap_table leap;
	struct app_source source[APP_SOURCES_MAX]; /* the first: the system clocks */
	unsigned n;
	int attention_fd; /* readable when a PHC's state has changed; -1: there is none */
};

/*
 * Whether all sources that the configuration names can be had, without starting any.
 *
 * @param error  on failure one line: what is wrong, where, what is accepted
 * @return       0, or -EINVAL
 */
int app_sources_check(const struct app_config *config, char *error, unsigned error_bytes);

/*
 * Starts the sources: a thread for each PHC.
 *
 * @param table  of malloc(); taken over
 * @param cpus   where threads may run
 * @return       0, or -1 after a line on stderr
 */
int app_sources_open(struct app_sources *s, const struct app_config *config,
	struct vrtc_leap_table *table, const cpu_set_t *cpus);

/* The source of a device: its index. */
unsigned app_sources_find(const struct app_sources *s, const struct app_device_config *device);

/*
 * Looks at everything: the kernel's clocks, the table's file, the PHCs. To be called every
 * APP_SOURCES_LOOK_MS, when CLOCK_REALTIME was set, and when attention_fd is readable.
 */
void app_sources_look(struct app_sources *s, struct vrtc_poller *const *poller, unsigned n_pollers);
#define APP_SOURCES_LOOK_MS 10000

/* After the last lcore has ended. */
void app_sources_close(struct app_sources *s);

#endif
