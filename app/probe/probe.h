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
	PROBE_ALARM,
};

struct probe_options {
	const char *socket_path;
	bool listen;
	unsigned int timeout_ms; /* of each step */
	unsigned int count;      /* readings for the round trip; 0: none */
	enum vfe_wait wait;
	/*
	 * Negotiates alarms: the clocks say whether they have one, and what is set. For the device
	 * this process then is who uses its alarms, and those of another process may end with that.
	 */
	bool alarms;
	int alarm_clock; /* its alarm is set; -1: none's. With alarms only */
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
	/* Of a clock with an alarm, if alarms are negotiated: READ_ALARM. */
	int alarm_status;
	bool alarm_enabled;
	uint64_t alarm_ns;
};

struct probe_round_trips {
	unsigned int n; /* less than asked for if the time was up */
	uint16_t clock_id;
	int64_t min_ns, median_ns, p99_ns, max_ns;
};

/* An alarm that the probe has set: probe_alarm.h. */
struct probe_alarm {
	bool came;
	uint16_t clock_id;
	uint64_t alarm_ns;
	int64_t late_ns;     /* when the notification was seen, after the alarm time ... */
	int64_t known_to_ns; /* ... give or take this */
	int64_t beyond_ns;   /* a reading asked for then, minus the alarm time */
};

struct probe {
	struct probe_options options;
	struct vfe_session session;
	enum probe_step step; /* being taken: what an error is about */
	struct vrtc_leap_table leap;
	unsigned int n_clocks;
	struct probe_clock *clocks;
	struct probe_round_trips round_trips;
	struct probe_alarm alarm;
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

/** Whether the device was asked for alarms and has them: else no clock says if it has one. */
bool probe_knows_alarms(const struct probe *p);

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
