/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PTP hardware clock (/dev/ptpN) as a source of time. A thread of its own looks at the device ten
 * times a second and publishes a line, counter to time, that lcores read: a counter and a
 * multiplication, no system call, no lock (D8).
 *
 * While the device cannot be read the line goes on, for the holdover. After that there are no
 * readings, until the device is back: it is opened again by its path once a second.
 */
#ifndef VRTC_PHC_H
#define VRTC_PHC_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "counter.h"
#include "phc_device.h"
#include "phc_line.h"

struct vrtc_phc {
	struct vrtc_phc_published published;
	enum vrtc_counter counter;
	struct vrtc_phc_follower *follower;
};

struct vrtc_phc_config {
	int64_t holdover_ns; /* 1 s to a day */
	cpu_set_t cpus;      /* where the thread may run: not where an lcore polls */
	int attention_fd;    /* an eventfd that is written when the status has changed; -1: none */
};

enum vrtc_phc_state {
	VRTC_PHC_STARTING,  /* not read yet */
	VRTC_PHC_FOLLOWING, /* the last looks were good */
	VRTC_PHC_HOLDOVER,  /* no good look for a second */
	VRTC_PHC_LOST,      /* nor within the holdover: no readings */
};

struct vrtc_phc_status {
	enum vrtc_phc_state state;
	enum vrtc_phc_method method;
	int error;             /* of the last look that failed: errno; 0: none did */
	int64_t error_ns;      /* how far readings may be off now; INT64_MAX: there are none */
	int64_t frequency_ppb; /* against CLOCK_MONOTONIC_RAW */
	int64_t offset_ns;     /* how far the last look was from what was published */
	int64_t half_ns;       /* half of its bracket */
	uint64_t looks;        /* good ones */
	uint64_t rejected;
	uint64_t steps;  /* how often the clock was set */
	int64_t step_ns; /* by how much, the last time */
};

/* Whether a path is that of a PTP hardware clock: 0, or -errno and why (VRTC_PHC_WHY_BYTES). */
int vrtc_phc_check(const char *path, char *why);

/* NUMA node of the clock of that path; -1: unknown. */
int vrtc_phc_node(const char *path);

/*
 * Follows a clock. path outlives it.
 *
 * @param why  set on error: a sentence; VRTC_PHC_WHY_BYTES
 * @return     NULL with errno set
 */
struct vrtc_phc *vrtc_phc_open(const char *path, const struct vrtc_phc_config *config, char *why);

/*
 * Ends the thread, after the last reader. One that is blocked in its driver is left behind, with
 * its memory.
 */
void vrtc_phc_close(struct vrtc_phc *phc);

/* Any thread but an lcore. */
void vrtc_phc_status(const struct vrtc_phc *phc, struct vrtc_phc_status *status);

const char *vrtc_phc_state_name(enum vrtc_phc_state state);

/* What the clock shows at a count of phc->counter, in ns; false: it is not known. Any thread. */
static inline bool vrtc_phc_read_at(const struct vrtc_phc *phc, uint64_t count, int64_t *at_ns)
{
	struct vrtc_phc_line line;

	vrtc_phc_line_get(&phc->published, &line);
	return vrtc_phc_line_at(&line, count, at_ns);
}

/* And now. */
static inline bool vrtc_phc_read(const struct vrtc_phc *phc, int64_t *now_ns)
{
	struct vrtc_phc_line line;

	vrtc_phc_line_get(&phc->published, &line);
	return vrtc_phc_line_at(&line, vrtc_counter_read(phc->counter), now_ns);
}

#endif
