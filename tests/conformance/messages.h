/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requests of the RTC device, written byte by byte: virtio-v1.4 RTC Device / Device Operation.
 * A table for those who want to do the same with each of them.
 */
#ifndef CONFORM_MESSAGES_H
#define CONFORM_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "conform.h"

struct conform_message {
	const char *name;
	uint16_t type;
	uint8_t req_bytes;
	uint8_t resp_bytes;
	uint8_t clock_at; /* of clock_id in the request; 0: it has none */
	uint8_t flags_at; /* of flags in the request; 0: it has none */
	uint8_t counter_at;
	uint8_t resp_flags_at;
	uint32_t req_reserved; /* bit i: byte i is reserved */
	uint32_t resp_reserved;
	bool about_alarm;
};

enum conform_message_index {
	MSG_READ,
	MSG_READ_CROSS,
	MSG_CFG,
	MSG_CLOCK_CAP,
	MSG_CROSS_CAP,
	MSG_READ_ALARM,
	MSG_SET_ALARM,
	MSG_SET_ALARM_ENABLED,
	N_MESSAGES,
};

extern const struct conform_message conform_messages[N_MESSAGES];

/* A request, and what came of it. */
struct conform_ask {
	const struct conform_message *msg;
	uint8_t req[CONFORM_BYTES_MAX];
	uint8_t resp[CONFORM_BYTES_MAX];
	uint32_t used_bytes;
	char words[96]; /* the request, for messages */
};

/* Fills in a request; arg is hw_counter or flags, where there is one. The alarm time is 0. */
void conform_prepare(
	struct conform_ask *ask, enum conform_message_index msg, uint16_t clock, uint8_t arg);

/* Puts a little-endian number into the request. */
void conform_put(struct conform_ask *ask, unsigned int at, uint64_t value, unsigned int bytes);

/* Makes it, with buffers of its own size. @return its status; -1: conform_broke() was called */
int conform_ask(struct conform *c, struct conform_ask *ask);

/* prepare() and ask(). */
int conform_do(struct conform *c, struct conform_ask *ask, enum conform_message_index msg,
	uint16_t clock, uint8_t arg);

/* A little-endian number of the response. */
uint64_t conform_get(const struct conform_ask *ask, unsigned int at, unsigned int bytes);

/* The reading of a clock, which must be OK. */
bool conform_read(struct conform *c, uint16_t clock, uint64_t *reading_ns);

/* SET_ALARM, which must be OK. */
bool conform_set_alarm(struct conform *c, uint16_t clock, uint64_t alarm_ns, bool enabled);

/* "OK", or "status 9 (unknown)". */
const char *conform_status(int status);

#endif
