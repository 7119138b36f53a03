/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The counter of the guest behind one connection: which one it is, its present map, and where that
 * was learnt (D39). The lcore reads the map at each VIRTIO_RTC_REQ_READ_CROSS.
 *
 *	the configuration ── identity, offset:N ─────────────┐
 *	the VMM's message (SET_CONFIG) ── vrtc_guest_counter_set() ──▶ map ──▶ the lcore
 *	KVM's debugfs ── at the start, and looked at again ──┘
 *
 * Which counter cross-timestamps are of is decided once in a connection, when its requestq starts
 * for the first time: CROSS_CAP's answers stay as they are (virtio-v1.4 RTC Device / Device
 * Operation). A map that is lost later makes READ_CROSS fail.
 *
 * Threads: the members of the lcore are written by it alone while the queue runs; all functions are
 * for the control threads, one at a time. A function that says that the map has changed wants its
 * caller to wait for a grace period of that lcore before it calls another one: the maps are two,
 * and the one that was is the next to be written.
 */
#ifndef VRTC_GUEST_COUNTER_H
#define VRTC_GUEST_COUNTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "counter_map.h"
#include "pair.h"
#include "peer.h"
#include "wire.h"

/* Where a guest's map comes from, by the operator's word. */
enum vrtc_counter_choice {
	VRTC_COUNTER_AUTO,   /* from the VMM's message; if none came, from KVM */
	VRTC_COUNTER_VMM,    /* from the VMM's message alone */
	VRTC_COUNTER_KVM,    /* from KVM's debugfs alone */
	VRTC_COUNTER_OFFSET, /* the guest's counter is the host's plus so many cycles */
	VRTC_COUNTER_NONE,   /* no cross-timestamps */
};

struct vrtc_counter_config {
	enum vrtc_counter_choice choice;
	uint64_t offset; /* of OFFSET, modulo 2^64 */
};

/* Where it came from. */
enum vrtc_counter_origin {
	VRTC_COUNTER_FROM_NOWHERE,
	VRTC_COUNTER_FROM_CONFIG,
	VRTC_COUNTER_FROM_VMM,
	VRTC_COUNTER_FROM_KVM,
};

struct vrtc_guest_counter {
	/* Read by the lcore. */
	_Atomic(const struct vrtc_counter_map *) map;
	const struct vrtc_pairing *pairing;
	uint8_t offered; /* VIRTIO_RTC_COUNTER_*; INVALID: no cross-timestamps */

	/* Written by the lcore, for whoever is curious. */
	atomic_uint_least64_t pairs;
	atomic_uint doubt; /* of the last pair, in counts of the host's counter, and: */
	atomic_uint doubt_max;

	/* Of the control threads. */
	struct vrtc_counter_map slot[2];
	struct vrtc_counter_config config;
	enum vrtc_counter_origin origin;
	struct vrtc_kvm_debugfs *kvm; /* NULL: the map is not KVM's */
	bool decided;                 /* offered is */
	unsigned generation;          /* how many maps there were in this connection */
};

/* pairing outlives c. */
void vrtc_guest_counter_init(struct vrtc_guest_counter *c, const struct vrtc_counter_config *config,
	const struct vrtc_pairing *pairing);

/* Whether the VMM's message is listened to at all. */
bool vrtc_guest_counter_wants_message(const struct vrtc_guest_counter *c);

/* Whether vrtc_guest_counter_start() needs to know the front-end's process. */
bool vrtc_guest_counter_wants_process(const struct vrtc_guest_counter *c);

/* A connection begins, or has ended: no map is known but that of the configuration. No lcore. */
void vrtc_guest_counter_forget(struct vrtc_guest_counter *c);

/*
 * The VMM's message.
 *
 * @param changed  set: the map is another one
 * @return         NULL, or a sentence for the log: why it is not taken
 */
const char *vrtc_guest_counter_message(
	struct vrtc_guest_counter *c, const uint8_t *message, size_t bytes, bool *changed);

/*
 * The requestq is about to start (no lcore). In a connection's first start, what is offered is
 * decided; the sentence then says what and why, for the log.
 *
 * @param vmm   the front-end's process; all zero: unknown
 * @param what  room for VRTC_GUEST_COUNTER_WHAT_BYTES; "": nothing new
 */
void vrtc_guest_counter_start(
	struct vrtc_guest_counter *c, const struct vrtc_peer_process *vmm, char *what);
#define VRTC_GUEST_COUNTER_WHAT_BYTES 192

/*
 * Looks again where the map has to be asked for; to be called every VRTC_GUEST_COUNTER_LOOK_MS.
 *
 * @return  the map is another one, or gone
 */
bool vrtc_guest_counter_look(struct vrtc_guest_counter *c);
#define VRTC_GUEST_COUNTER_LOOK_MS 100

/* Whether it has to be looked at. */
static inline bool vrtc_guest_counter_is_looked_at(const struct vrtc_guest_counter *c)
{
	return c->kvm;
}

/* What there is to be said, for telemetry. */
struct vrtc_guest_counter_status {
	uint8_t offered;
	enum vrtc_counter_origin origin;
	unsigned generation;
	struct vrtc_counter_map map;
	uint64_t pairs;
	uint32_t doubt_ns; /* of the last pair, rounded up, and: */
	uint32_t doubt_max_ns;
};

void vrtc_guest_counter_status(
	const struct vrtc_guest_counter *c, struct vrtc_guest_counter_status *status);

/* "X86_TSC", "ARM_VCT"; "none". And where a map came from, in words. Static strings. */
const char *vrtc_guest_counter_name(uint8_t hw_counter);
const char *vrtc_guest_counter_origin_name(enum vrtc_counter_origin origin);

/* Of a pair that was made. The lcore. */
static inline void vrtc_guest_counter_note(struct vrtc_guest_counter *c, uint32_t doubt)
{
	/* Relaxed, and no read-modify-write: one thread writes, and a reader wants no more. */
	atomic_store_explicit(&c->pairs, atomic_load_explicit(&c->pairs, memory_order_relaxed) + 1,
		memory_order_relaxed);
	atomic_store_explicit(&c->doubt, doubt, memory_order_relaxed);
	if (doubt > atomic_load_explicit(&c->doubt_max, memory_order_relaxed))
		atomic_store_explicit(&c->doubt_max, doubt, memory_order_relaxed);
}

#endif
