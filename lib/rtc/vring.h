/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's side of a virtqueue: a bounded walk from the ring to one request in private memory,
 * and the way back. virtio-v1.4 Basic Facilities of a Virtio Device / Split Virtqueues, with
 * VIRTIO_F_VERSION_1 (all is little-endian), VIRTIO_F_INDIRECT_DESC and VIRTIO_F_EVENT_IDX.
 *
 * Trust: rings, descriptors and buffers are the guest's, hostile, and may change while they are
 * read. Each value is copied once, checked once, and only the copy is used; only memory which
 * struct vrtc_guestmem covers is touched. What a driver must never do breaks the ring: the fault is
 * kept, vrtc_vring_pop() answers VRTC_VRING_BROKEN for ever, and nothing is written to the guest's
 * memory any more. The work for one chain is bounded by the ring's size.
 *
 * Threads: one thread at a time calls into a ring; handing it over is the caller's business. The
 * ordering towards the driver is made here alone, see the head of vring.c. Nothing is allocated,
 * nothing is logged, no clock is read. The members of struct vrtc_vring are private to vring.c.
 *
 * The usual turn of a poller:
 *
 *	while (budget-- && vrtc_vring_pop(ring, &chain) == VRTC_VRING_CHAIN)
 *		vrtc_vring_push(ring, &chain, resp, resp_bytes);
 *	if (vrtc_vring_publish(ring))
 *		(signal the driver)
 *
 * Chains are pushed in the order in which they were popped (VIRTIO_F_IN_ORDER may be offered).
 */
#ifndef VRTC_VRING_H
#define VRTC_VRING_H

#include <stdbool.h>
#include <stdint.h>

#include "guestmem.h"
#include "wire.h"

/*
 * What the front-end has told about a queue. The areas are called as in virtio-v1.4 Virtqueues:
 * Descriptor Area (the descriptor table), Driver Area (the available ring) and Device Area (the
 * used ring); these are host addresses inside of the regions of mem.
 */
struct vrtc_vring_config {
	const struct vrtc_guestmem *mem; /* constant and mapped for as long as the ring is used */
	const void *g_desc;              /* a multiple of 16 */
	const void *g_driver;            /* a multiple of 2 */
	void *g_device;                  /* a multiple of 4 */
	uint16_t size;                   /* entries: a power of two, 1..32768 */
	uint16_t base;                   /* free-running index of the next chain to be popped */
	bool event_idx;                  /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;                   /* VIRTIO_F_INDIRECT_DESC was negotiated */
};

/* Private to vring.c; here so that it can be embedded. */
struct vrtc_vring {
	const struct vrtc_guestmem *mem;
	const char *fault; /* why the ring is broken, or NULL */
	const void *g_desc;
	const void *g_driver;
	void *g_device;
	uint16_t size;
	uint16_t avail_next;     /* the next chain to be popped */
	uint16_t avail_seen;     /* how far the driver has come, as of the last look */
	uint16_t used_next;      /* the next used entry to be filled in */
	uint16_t used_published; /* how far the driver was told; used_next is ahead by the batch */
	bool event_idx;
	bool indirect;
	unsigned near; /* the region of the last buffer, see vrtc_guestmem_map_near() */
};

/* A piece of the device-writable part of a chain, contiguous in host memory. */
struct vrtc_segment {
	uint8_t *g_base;
	uint32_t bytes; /* 1..VRTC_RESP_BYTES_MAX */
};

/*
 * One popped chain. No request and no response of this device has more than 24 bytes, so a chain
 * of whatever length is reduced to its first 24 readable bytes, copied, and to where its first 24
 * writable bytes are. A buffer of 2^32 bytes, the most the specification allows, counts as
 * UINT32_MAX.
 */
struct vrtc_chain {
	uint32_t readable_bytes;                          /* of the whole chain; 0 is possible */
	uint32_t writable_bytes;                          /* of the whole chain; 0 is possible */
	uint16_t id;                                      /* what the driver knows the chain by */
	uint16_t index;                                   /* the free-running one of its pop */
	uint8_t req[VRTC_REQ_BYTES_MAX];                  /* zeroes where the chain has less */
	unsigned n_segments;                              /* segments beyond are not initialised */
	struct vrtc_segment segment[VRTC_RESP_BYTES_MAX]; /* min(24, writable_bytes) bytes in all */
};

enum vrtc_vring_result { VRTC_VRING_BROKEN = -1, VRTC_VRING_EMPTY = 0, VRTC_VRING_CHAIN = 1 };

/*
 * Begins to serve a ring. Reads the used ring's index, and writes nothing: whether the driver
 * sends notifications is as a predecessor left it until vrtc_vring_kick_disable() or
 * vrtc_vring_kick_enable() is called.
 *
 * Serving begins where the used ring ends, at or before config->base: what a predecessor popped and
 * never answered is served again (this device answers in order, and repeating a request is
 * harmless). A used index that is not within size entries before base breaks the ring.
 *
 * A predecessor may also have died between publishing and signalling: who starts a ring that is not
 * new signals the driver once (the driver has to cope with spurious notifications).
 *
 * @return 0, or, with *ring broken in all cases and guest memory untouched,
 *         -EINVAL: size is 0 or no power of two or above 32768, an area is NULL or misaligned;
 *         -EFAULT: an area is not wholly inside of one region of mem
 */
int vrtc_vring_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config);

/* What an error of vrtc_vring_start() means: a static sentence. */
const char *vrtc_vring_start_error(int rc);

/*
 * Takes the next chain.
 * @param chain out; unspecified unless VRTC_VRING_CHAIN is returned
 * @return VRTC_VRING_CHAIN;
 *         VRTC_VRING_EMPTY: the driver has made nothing more available;
 *         VRTC_VRING_BROKEN: see vrtc_vring_fault(); now and for ever
 */
enum vrtc_vring_result vrtc_vring_pop(struct vrtc_vring *ring, struct vrtc_chain *chain);

/*
 * Copies a response to the beginning of the chain's writable part, and enters chain and length in
 * the used ring. The driver does not see it before vrtc_vring_publish(). Does nothing where the
 * ring is broken.
 * @param resp_bytes 0..min(24, chain->writable_bytes), asserted; no more than this is written, and
 *                   the driver is told exactly this length
 */
void vrtc_vring_push(struct vrtc_vring *ring, const struct vrtc_chain *chain, const void *resp,
	uint32_t resp_bytes);

/*
 * Shows the driver all that was pushed since the last call. Does nothing where nothing was, or
 * where the ring is broken.
 * @return whether the driver wants to be signalled for it: unless it has set NO_INTERRUPT or, with
 *         EVENT_IDX, only where used_event is among the entries of this batch
 */
bool vrtc_vring_publish(struct vrtc_vring *ring);

/*
 * Touches what the next vrtc_vring_pop() and vrtc_vring_push() will touch, so that no page fault
 * delays them: for a ring whose next use is far away and has to be quick. Changes nothing, neither
 * here nor in the guest's memory; does nothing where the driver has made nothing available.
 */
void vrtc_vring_warm(const struct vrtc_vring *ring);

/* Asks the driver not to send notifications. It may still send some: they mean nothing. */
void vrtc_vring_kick_disable(struct vrtc_vring *ring);

/*
 * Asks the driver to send a notification for the next chain that it makes available.
 * @return whether a chain is there already, for which no notification is to be expected: do not
 *         sleep, pop. False where the ring is broken.
 */
bool vrtc_vring_kick_enable(struct vrtc_vring *ring);

/*
 * The free-running index of the first chain that was not served, that is answered and published:
 * what GET_VRING_BASE answers, and the base of whoever goes on.
 */
uint16_t vrtc_vring_base(const struct vrtc_vring *ring);

/* Why the ring is broken: a static sentence, without the final stop; NULL where it is not. */
const char *vrtc_vring_fault(const struct vrtc_vring *ring);

#endif
