/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A daemon with two devices: one for the test to be hostile to, and one whose guest, a thread of
 * its own, reads a clock all the while and wants each reading right.
 */
#ifndef NEIGHBOUR_H
#define NEIGHBOUR_H

#include "../daemon/fixture.h"

/* The daemon of this group; fixture_connect() on it is a session with the hostile's device. */
extern struct fixture neighbour_fixture;

/* For cmocka_run_group_tests(). The teardown wants the daemon to end well. */
int neighbour_group_setup(void **state);
int neighbour_group_teardown(void **state);

/*
 * Begins to read; ends, and fails the test where a reading was wrong or missing.
 *
 * With $DPDK_RTC_FAULTS_RECORD, a path, each end adds a line of JSON there, for run-long: what was
 * done meanwhile, how often (neighbour_count()), and how long each reading took. So that it is the
 * daemon's doing and not the scheduler's, the daemon then polls on the last CPU, the neighbour
 * polls for its answers on the first, and the hostile thread is there, too, but idles whenever the
 * neighbour wants to run (SCHED_IDLE).
 *
 * @param what  the test that is hostile meanwhile
 */
void neighbour_begin(const char *what);
void neighbour_end(void);

/* n more faults were done to the daemon. */
void neighbour_count(unsigned n);

/* How many descriptors the daemon has. */
unsigned neighbour_daemon_fds(void);

/* Resident memory of the daemon, in KiB. */
unsigned neighbour_daemon_rss_kib(void);

/* Waits until the daemon has as many descriptors as that, or fewer; fails the test otherwise. */
void neighbour_wait_fds(unsigned n);

#endif
