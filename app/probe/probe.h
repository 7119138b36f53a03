/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the probe asks a device, and what it finds. Nothing here prints.
 *
 * Each step is bounded by the timeout as a whole, however slowly its single answers come.
 *
 * Main thread only; allocates in probe_init().
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/rtc.h"
#include "leap.h"

enum probe_step {
	PROBE_SETUP,
	PROBE_CONNECT,
	PROBE_NEGOTIATE,
	PROBE_CFG,
	PROBE_CLOCKS,
	PROBE_READINGS,
	PROBE_ROUND_TRIPS,
};

struct probe_options {
	const char *socket_path;
	bool listen;
	unsigned int timeout_ms; /* of each step */
	unsigned int count;      /* readings for the round trip; 0: none */
	enum vfe_wait wait;
};

/* A reading beside a clock of the host. */
struct probe_reading {
	int status; /* VIRTIO_RTC_S_... */
	uint64_t reading_ns;
	const char *host_name; /* NULL: nothing to compare with */
	int64_t host_ns;       /* the host's clock in the middle of the request */
	int64_t table_ns;      /* TAI: the same by CLOCK_REALTIME and the leap table */
	bool table_known;
	int64_t round_trip_ns; /* by CLOCK_MONOTONIC: the middle is known to half of it */
};

struct probe_clock {
	uint16_t id;
	int cap_status;
	struct vfe_rtc_clock_cap cap;
	int cross_status[2]; /* by hw_counter: ARM_VCT, X86_TSC */
	bool cross[2];
	struct probe_reading reading;
};

struct probe_round_trips {
	unsigned int n; /* less than asked for if the time was up */
	uint16_t clock_id;
	int64_t min_ns, median_ns, p99_ns, max_ns;
};

struct probe {
	struct probe_options options;
	struct vfe_session session;
	enum probe_step step; /* being taken: what an error is about */
	struct vrtc_leap_table leap;
	unsigned int n_clocks;
	struct probe_clock *clocks;
	struct probe_round_trips round_trips;
	uint32_t *samples_ns;
};

/**
 * Prepares; does not touch the socket. fini() is due afterwards in any case.
 *
 * @param leap_table  path of a leap-seconds.list; a file that is not there or not good only leaves
 *                    the TAI by table unknown
 * @return 0 or -errno with vfe_error(&p->session)
 */
int probe_init(struct probe *p, const struct probe_options *options, const char *leap_table);

void probe_fini(struct probe *p);

/** Connects, negotiates, and asks for the clocks. @return 0; -errno; a status above 0 from CFG. */
int probe_discover(struct probe *p);

/** Reads every clock that has capabilities. @return 0 or -errno */
int probe_read_all(struct probe *p);

/**
 * Measures the round trips of READ, on the first clock that answers; none without such a clock.
 *
 * @return 0 or -errno
 */
int probe_round_trips(struct probe *p);

#endif
