/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The alarms of one device, as they are kept in memory that may outlive the process (a file on a
 * tmpfs, see alarm_store.h): the process can be killed between any two instructions, and the next
 * one finds for each alarm the state before or after a change, never one in between.
 *
 * Each alarm has two records and a switch that says which one counts. A change fills in the other
 * record and turns the switch: one store of one byte. A killed process has made all of its stores
 * up to some instruction and none behind it, so the order in which they are written here is all
 * that matters; no cache is flushed, for the machine's death ends the guests, too.
 *
 * Two things are in a record that are no state of the alarm. They let the next process find out
 * what the driver has seen:
 *
 * - VRTC_ALARM_RECORD_SENDING and used_index: the notification is about to be published as this
 *   entry of the alarmq's used ring. The ring says whether it was.
 * - serial and request_index: the last request that was applied to the alarm. If the ledger's
 *   answered_serial is behind it and the requestq goes on at or before that index, then the driver
 *   will be answered now, and the request is not applied once more.
 *
 * Threads: a record is written by the alarm lcore that owns the device, answered_serial by its
 * request lcore, the owner by control threads while the device's queues are stopped.
 * Nothing is allocated or logged.
 */
#ifndef VRTC_ALARM_LEDGER_H
#define VRTC_ALARM_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

#define VRTC_ALARM_CLOCKS_MAX 64

#define VRTC_ALARM_RECORD_ENABLED 1
#define VRTC_ALARM_RECORD_REACHED 2 /* struct vrtc_alarm.reached */
#define VRTC_ALARM_RECORD_PENDING 4 /* an expiration is being served: a notification is owed */
#define VRTC_ALARM_RECORD_SENDING 8 /* and is about to be published */
#define VRTC_ALARM_RECORD_FLAGS   15

struct vrtc_alarm_record {
	uint64_t alarm_ns;
	uint64_t serial;
	uint16_t request_index;
	uint16_t used_index;
	uint8_t flags; /* VRTC_ALARM_RECORD_* */
	uint8_t zero[11];
};

_Static_assert(sizeof(struct vrtc_alarm_record) == 32, "the file's format");

/* The file. Its bytes are this machine's: it never leaves it. */
struct vrtc_alarm_ledger {
	char magic[8];
	uint32_t bytes; /* of this structure */
	uint16_t n_clocks;
	uint8_t zero[2];
	struct {
		uint8_t type;
		uint8_t smear;
	} clock[VRTC_ALARM_CLOCKS_MAX];
	/* The process that used the device last (peer.h); zeroes: unknown, or none yet. */
	uint64_t owner_pid;
	uint64_t owner_start_ticks;
	_Atomic uint64_t answered_serial;
	_Atomic uint8_t current[VRTC_ALARM_CLOCKS_MAX]; /* which record counts: 0 or 1 */
	struct vrtc_alarm_record record[VRTC_ALARM_CLOCKS_MAX][2];
};

/* A ledger of a device that has never been used: alarm times 0, disabled. */
void vrtc_alarm_ledger_init(
	struct vrtc_alarm_ledger *ledger, const struct vrtc_clock *clock, uint16_t n_clocks);

/*
 * Whether memory of so many bytes holds a ledger of a device with these clocks. Reads it once; who
 * can write to the file can write to it later, too.
 *
 * @param why  set on false: what is wrong, a static half-sentence ("is of other clocks")
 */
bool vrtc_alarm_ledger_check(const struct vrtc_alarm_ledger *ledger, size_t bytes,
	const struct vrtc_clock *clock, uint16_t n_clocks, const char **why);

/* clock_id < VRTC_ALARM_CLOCKS_MAX */
struct vrtc_alarm_record vrtc_alarm_ledger_read(
	const struct vrtc_alarm_ledger *ledger, uint16_t clock_id);
void vrtc_alarm_ledger_write(struct vrtc_alarm_ledger *ledger, uint16_t clock_id,
	const struct vrtc_alarm_record *record);

/* The serial that the next request has to have: above all that are in the ledger. */
uint64_t vrtc_alarm_ledger_next_serial(const struct vrtc_alarm_ledger *ledger);

/*
 * Whether a request was applied and not answered, as far as the ledger knows.
 *
 * @param request_index  its index in the requestq; untouched on false
 */
bool vrtc_alarm_ledger_unanswered(const struct vrtc_alarm_ledger *ledger, uint16_t *request_index);

#endif
