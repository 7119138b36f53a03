/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a PTP hardware clock (PHC) shows, estimated from looks at it: a look says that at a value of
 * the host's counter the clock showed a time, give or take half of the look's bracket. Between
 * looks the model tells the time, how far off it is at most, and how fast the clock is.
 *
 * The estimate is an interval. It widens from look to look by how little the frequency is known,
 * and each look cuts it down to its bracket; so it is right as long as the brackets are, and as the
 * frequency is within the allowance of what it was in the last seconds. The allowance is the only
 * assumption here: VRTC_PHC_ALLOWANCE_MIN_PPB, and twice what the last minute showed. A look beyond
 * the interval says that the frequency changed by more, or that the clock was set; more than
 * VRTC_PHC_STEP_NS of it is taken for the latter.
 *
 * What is published (phc_line.h) goes on where the line before will be in VRTC_PHC_LEAD_NS, and
 * bends from there to the estimate with up to 500 ppm: readings do not go back, unless the clock
 * was set, or the publishing thread was interrupted for VRTC_PHC_LEAD_MIN_NS between its last look
 * at the counter and the store behind it.
 *
 * Pure: one thread, no allocation, no clock read. Floating point is for frequencies and for
 * differences of some seconds, never for a time.
 */
#ifndef VRTC_PHC_MODEL_H
#define VRTC_PHC_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "phc_line.h"

#define VRTC_PHC_LOOK_NS           100000000 /* from one look to the next */
#define VRTC_PHC_ALLOWANCE_MIN_PPB 1000
#define VRTC_PHC_STEP_NS           50000
/* So many in a row say that it was not set, and that the frequency is another one altogether. */
#define VRTC_PHC_STEPS_MAX         3
/* How far ahead of the counter a line begins, and how far when it is published at the latest. */
#define VRTC_PHC_LEAD_NS           500000
#define VRTC_PHC_LEAD_MIN_NS       100000
/* Looks that the frequency is estimated from. */
#define VRTC_PHC_LOOKS             80

/* One look: at counter the clock showed time_ns, give or take half_ns. */
struct vrtc_phc_look {
	uint64_t counter;
	int64_t time_ns;
	int64_t half_ns; /* at least 1 */
};

enum vrtc_phc_change {
	VRTC_PHC_NOTHING_NEW, /* the line is the better for it */
	VRTC_PHC_FIRST,   /* there is a line now, and there was none, or one past its holdover */
	VRTC_PHC_STEP,    /* the clock was set, by step_ns */
	VRTC_PHC_NOT_YET, /* more looks are needed for the frequency */
	VRTC_PHC_ANEW,    /* nothing is known any more: the line is good for nothing */
	VRTC_PHC_REFUSED, /* not later than the one before, or a time that cannot be */
};

/* An interval of times at a counter, and what becomes of it. */
struct vrtc_phc_estimate {
	uint64_t counter;
	int64_t time_ns;
	double ns; /* what is likely, relative to time_ns; likewise: */
	double low_ns;
	double high_ns;
	double rate;  /* ns a count */
	double doubt; /* of the rate, ns a count */
};

struct vrtc_phc_model {
	int64_t holdover_ns;

	/* Looks, the newest at (n - 1 + first) modulo. */
	struct vrtc_phc_look look[VRTC_PHC_LOOKS];
	unsigned first;
	unsigned n;
	uint64_t counter_now; /* the latest that was told */

	/* As of the newest look, at its counter; the estimate is look.time_ns + estimate_ns. */
	bool known;
	double estimate_ns;
	double low_ns; /* the interval, likewise relative to look.time_ns */
	double high_ns;
	double rate;       /* ns a count */
	double rate_doubt; /* ns a count, without the allowance */
	double allowance;  /* ns a ns */
	bool is_jump;      /* the frequency was another one before this look */
	unsigned steps;    /* in a row, up to this look */
	int64_t step_ns;

	struct vrtc_phc_line line;      /* published last, or to be */
	struct vrtc_phc_estimate claim; /* that it is drawn by */
	struct vrtc_phc_line before;    /* the one that the line goes on from */
	bool go_on;
};

void vrtc_phc_model_init(struct vrtc_phc_model *m, int64_t holdover_ns);

/*
 * Takes a look into account. Unless the result is NOT_YET or REFUSED there is a new line, m->line,
 * to be published while vrtc_phc_model_is_in_time().
 *
 * @param counter_now  a value of the counter behind the look
 */
enum vrtc_phc_change vrtc_phc_model_look(
	struct vrtc_phc_model *m, const struct vrtc_phc_look *look, uint64_t counter_now);

/*
 * There was no look. ANEW if the counter is behind what it was, which is that of a host that was
 * suspended: m->line is to be published, then. NOTHING_NEW otherwise.
 */
enum vrtc_phc_change vrtc_phc_model_no_look(struct vrtc_phc_model *m, uint64_t counter_now);

/* Whether it is not too late to publish m->line at that counter. */
bool vrtc_phc_model_is_in_time(const struct vrtc_phc_model *m, uint64_t counter_now);

/* It is too late: draws m->line again, from a later counter. */
void vrtc_phc_model_redraw(struct vrtc_phc_model *m, uint64_t counter_now);

/* The device was gone: looks of before are of another clock, for all that is known. */
void vrtc_phc_model_forget(struct vrtc_phc_model *m);

/*
 * How far m->line may be from the clock at a counter, in ns; INT64_MAX where it is good for
 * nothing.
 */
int64_t vrtc_phc_model_error_ns(const struct vrtc_phc_model *m, uint64_t counter);

/* How much faster than the counter's own idea of a second the clock is; hz: counts a second. */
double vrtc_phc_model_frequency_ppb(const struct vrtc_phc_model *m, double hz);

#endif
