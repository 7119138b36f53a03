/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-conformance: what its cases are made of. A case is a function with a driver of its own;
 * it looks at the device in some way, and says of each statement that it shows what was wanted and
 * what came. A statement that none of its cases has judged is a failure: of the device if it did
 * not answer, of the case otherwise. So nothing is passed over in silence.
 *
 * Ids and cases are in statements.h, which statements.py makes of statements.txt.
 *
 * One thread. Every wait ends: options.timeout_ms for an answer, CONFORM_QUIET_MS for something
 * that must not come.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "frontend/rtc.h"

#define CONFORM_STATEMENTS_MAX 256
#define CONFORM_CLOCKS_MAX     256 /* clocks of a device that are looked at */
#define CONFORM_NOTES          3   /* failures of a statement that are told in full */
#define CONFORM_QUIET_MS       25
#define CONFORM_BYTES_MAX      24 /* the longest request, and the longest response */

struct conform;

struct conform_case {
	const char *name;
	void (*run)(struct conform *c);
};

struct conform_statement {
	const char *id;
	const char *level;
	const char *section;
	const char *text;
	const char *tests; /* those that need more than a socket, with a space between */
	uint64_t cases;    /* bit i: conform_cases[i]; 0: tests alone */
};

extern const struct conform_case conform_cases[];
extern const unsigned int conform_n_cases;
extern const struct conform_statement conform_statements[];
extern const unsigned int conform_n_statements;

enum conform_verdict {
	CONFORM_OPEN, /* nobody has judged it */
	CONFORM_PASS,
	CONFORM_SKIP,
	CONFORM_FAIL,
	CONFORM_ELSEWHERE, /* tests alone show it */
};

struct conform_note {
	const char *in; /* the case */
	char wanted[240];
	char came[400];
};

struct conform_result {
	enum conform_verdict verdict;
	unsigned int checks;
	unsigned int failures;
	char reason[200]; /* of SKIP */
	struct conform_note note[CONFORM_NOTES];
};

struct conform_options {
	const char *socket_path;
	uint64_t without;   /* features that are not negotiated */
	uint16_t ring_size; /* 0: of the case's choice */
	unsigned int timeout_ms;
	bool counter_map; /* tell the back-end a map of the guest's counter, as a VMM does */
	bool indirect;    /* requests in tables of their own */
	bool sleep;       /* wait on the call eventfd */
};

struct conform {
	struct conform_options options;
	unsigned int in_case; /* the running one's index */
	bool broke;           /* the device did not answer it */
	bool gone;            /* the socket takes no connections any more */
	struct conform_note broken;
	struct conform_result result[CONFORM_STATEMENTS_MAX];
	/* The case's session; ended for it. */
	struct vfe_session s;
	bool has_session;
	/* Found at the beginning, with VIRTIO_RTC_F_ALARM if it is offered. */
	uint64_t offered; /* features */
	unsigned int n_clocks;
	struct vfe_rtc_clock_cap cap[CONFORM_CLOCKS_MAX];
};

/* ---- What a case says. */

/*
 * A look at what a statement wants.
 *
 * @param wanted  in words, without the statement's own
 * @param came    what came instead, printf style; used if it was not good
 * @return good
 */
bool conform_check(struct conform *c, unsigned int id, bool good, const char *wanted,
	const char *came, ...) __attribute__((format(printf, 5, 6)));

/* This case cannot show the statement here, and why. */
void conform_skip(struct conform *c, unsigned int id, const char *reason, ...)
	__attribute__((format(printf, 3, 4)));

/* The same of all statements of the running case. */
void conform_skip_all(struct conform *c, const char *reason, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The device did not answer: what the running case has not judged is failed. After it the case
 * returns.
 *
 * @return false
 */
bool conform_broke(struct conform *c, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* ---- Running them. */

/* Connects once and finds out what is offered. @return 0, or -errno with vfe_error(&c->s) */
int conform_discover(struct conform *c);

/* Runs the cases whose bit is set, then judges what they left open. */
void conform_run(struct conform *c, uint64_t cases);

/* ---- What the driver does. After false the case returns: conform_broke() was called. */

/* The configuration of the options: all rings' features, no alarms, queue 0. */
void conform_config(const struct conform *c, struct vfe_config *cfg);

/* The same with VIRTIO_RTC_F_ALARM and the alarmq, if they are offered. */
void conform_config_alarm(const struct conform *c, struct vfe_config *cfg);

/* A session of this configuration, started; NULL: of conform_config(). An earlier one is ended. */
bool conform_open(struct conform *c, const struct vfe_config *cfg);

/* The same up to, and without, its start. */
bool conform_init(struct conform *c, const struct vfe_config *cfg);

void conform_close(struct conform *c);

/* A guest reset. */
bool conform_reset(struct conform *c);

/* @return whether a feature was negotiated */
bool conform_has(const struct conform *c, unsigned int bit);

/* Bytes into a buffer, and what came back: resp is 0xA5 where nothing was written. */
bool conform_request(struct conform *c, const void *req, uint32_t req_bytes, void *resp,
	uint32_t resp_bytes, uint32_t *used_bytes);

/* Still answers: READ or CFG. For statements of what a device survives. */
bool conform_is_alive(struct conform *c);

void conform_sleep_ms(unsigned int ms);

/* @return whether a clock has an alarm, as CLOCK_CAP says where F_ALARM is negotiated */
bool conform_has_alarm(const struct conform *c, unsigned int clock);

/* The first clock with an alarm; -1: none. */
int conform_alarm_clock(const struct conform *c);

#endif
