/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's side of a virtqueue: a bounded walk from the ring to one request in private memory,
 * and the way back. virtio-v1.4 Basic Facilities of a Virtio Device / Split Virtqueues, and /
 * Packed Virtqueues, with VIRTIO_F_VERSION_1 (all is little-endian), VIRTIO_F_INDIRECT_DESC,
 * VIRTIO_F_EVENT_IDX and VIRTIO_F_IN_ORDER. Which of the two a ring is, is decided when it starts.
 *
 * Trust: rings, descriptors and buffers are the guest's, hostile, and may change while they are
 * read. Each value is copied once, checked once, and only the copy is used; only memory which
 * struct vrtc_guestmem covers is touched. What a driver must never do breaks the ring: the fault is
 * kept, vrtc_vring_pop() answers VRTC_VRING_BROKEN for ever, and nothing is written to the guest's
 * memory any more. The work for one chain is bounded by the ring's size.
 *
 * Threads: one thread at a time calls into a ring; handing it over is the caller's business. The
 * ordering towards the driver is made by vring_split.c and vring_packed.c alone, see their heads.
 * Nothing is allocated, nothing is logged, no clock is read. The members of struct vrtc_vring are
 * private to vring*.c.
 *
 * The usual turn of a poller:
 *
 *	while (budget-- && vrtc_vring_pop(ring, &chain) == VRTC_VRING_CHAIN)
 *		vrtc_vring_push(ring, &chain, resp, resp_bytes);
 *	if (vrtc_vring_publish(ring))
 *		(signal the driver)
 *
 * Chains are pushed in the order in which they were popped, which is all that VIRTIO_F_IN_ORDER
 * wants of the device. "The device MAY notify the use of a batch [...] by only writing out a single
 * used" entry is not made use of: the skipped ones count as written completely, and ours are not.
 */
#ifndef VRTC_VRING_H
#define VRTC_VRING_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dirty_log.h"
#include "guestmem.h"
#include "wire.h"

#define VRTC_VRING_SIZE_MAX     32768
/* A packed ring begins at entry 0, and its wrap counters at 1. */
#define VRTC_VRING_PACKED_FIRST 0x8000

/*
 * What the front-end has told about a queue. The areas are called as in virtio-v1.4 Virtqueues:
 * Descriptor Area (the descriptor table, or the packed ring), Driver Area (the available ring, or
 * the driver's event suppression) and Device Area (the used ring, or the device's event
 * suppression); these are host addresses inside of the regions of mem.
 */
struct vrtc_vring_config {
	const struct vrtc_guestmem *mem; /* constant and mapped for as long as the ring is used */
	const void *g_desc;              /* a multiple of 16; a packed ring is written to, too */
	const void *g_driver;            /* a multiple of 2; packed: of 4 */
	void *g_device;                  /* a multiple of 4 */
	uint16_t size;                   /* entries: 1..32768, a power of two unless packed */
	uint16_t base;                   /* see vrtc_vring_base() */
	bool packed;                     /* VIRTIO_F_RING_PACKED was negotiated */
	bool event_idx;                  /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;                   /* VIRTIO_F_INDIRECT_DESC was negotiated */
	/* A live migration: what is written is marked in here. NULL: none. */
	uint8_t *g_dirty_bits;
	uint64_t dirty_bytes;
	uint64_t log_guest_addr; /* of the Device Area, as the front-end has it; 0: not told */
};

enum vrtc_vring_kind {
	VRTC_VRING_KIND_BROKEN = 0,
	VRTC_VRING_KIND_SPLIT,
	VRTC_VRING_KIND_PACKED,
};

/*
 * Private to vring*.c; here so that it can be embedded. Ordered by use: a split ring that is not
 * logged needs the first 56 bytes alone, and whoever looks whether there is something, too.
 */
struct vrtc_vring {
	const struct vrtc_guestmem *mem;
	void *g_desc;
	const void *g_driver;
	void *g_device;
	uint8_t kind; /* enum vrtc_vring_kind */
	bool event_idx;
	bool indirect;
	uint8_t near; /* the region of the last buffer, see vrtc_guestmem_map_near() */
	uint16_t size;
	/*
	 * Split: free-running indices. Packed: entries as vrtc_vring_base() has them; there is
	 * nothing like avail_seen.
	 */
	uint16_t avail_next;     /* the next chain to be popped */
	uint16_t avail_seen;     /* how far the driver has come, as of the last look */
	uint16_t used_next;      /* the next used entry to be filled in */
	uint16_t used_published; /* how far the driver was told; used_next is ahead by the batch */
	struct vrtc_dirty_log dirty;
	struct {
		uint16_t popped;       /* entries from used_published to avail_next */
		uint16_t held_entries; /* of the one chain that is pushed and not shown; 0: none */
		uint32_t unsignalled;  /* entries shown since the driver was asked for its wish */
		uint64_t held;         /* its used descriptor */
		uint32_t suppression;  /* the flags last written to the Device Area */
	} packed;
	const char *fault; /* why the ring is broken, or NULL */
};

_Static_assert(offsetof(struct vrtc_vring, dirty) + offsetof(struct vrtc_dirty_log, g_bits) +
			       sizeof(uint8_t *) <=
		       56,
	"what a request needs of its ring, and 8 bytes of its owner's, are a cache line");

/* A word in guest memory, which aliases whatever the guest keeps there. */
typedef uint16_t __attribute__((may_alias)) vrtc_vring_le16;

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
	uint16_t index;                                   /* vrtc_vring_base() when it was next */
	uint16_t entries;                                 /* of a packed ring that it takes */
	uint16_t descriptors;                             /* with those of a table: its work */
	uint8_t req[VRTC_REQ_BYTES_MAX];                  /* zeroes where the chain has less */
	unsigned n_segments;                              /* segments beyond are not initialised */
	struct vrtc_segment segment[VRTC_RESP_BYTES_MAX]; /* min(24, writable_bytes) bytes in all */
};

enum vrtc_vring_result { VRTC_VRING_BROKEN = -1, VRTC_VRING_EMPTY = 0, VRTC_VRING_CHAIN = 1 };

/*
 * Begins to serve a ring. Reads where the Device Area says that a predecessor was, and writes
 * nothing: whether the driver sends notifications is as a predecessor left it until
 * vrtc_vring_kick_disable() or vrtc_vring_kick_enable() is called.
 *
 * Serving begins where the used ring ends, at or before config->base: what a predecessor popped and
 * never answered is served again (this device answers in order, and repeating a request is
 * harmless). A used index that is not within size entries before base breaks the ring. A packed
 * ring has no used index; ours is kept beside it, see vring_packed.c, and where it is not found,
 * base counts.
 *
 * A predecessor may also have died between publishing and signalling: who starts a ring that is not
 * new signals the driver once (the driver has to cope with spurious notifications).
 *
 * @return 0, or, with *ring broken in all cases and guest memory untouched,
 *         -EINVAL: size is 0 or above 32768, or no power of two in a split ring, an area is NULL or
 *         misaligned;
 *         -EFAULT: an area is not wholly inside of one region of mem
 */
int vrtc_vring_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config);

/* What an error of vrtc_vring_start() means: a static sentence. */
const char *vrtc_vring_start_error(int rc);

/* One of each for either kind of ring; ring->kind is right. */
enum vrtc_vring_result vrtc_vring_split_pop(struct vrtc_vring *ring, struct vrtc_chain *chain);
enum vrtc_vring_result vrtc_vring_packed_pop(struct vrtc_vring *ring, struct vrtc_chain *chain);
void vrtc_vring_split_push(struct vrtc_vring *ring, const struct vrtc_chain *chain,
	const void *resp, uint32_t resp_bytes);
void vrtc_vring_packed_push(struct vrtc_vring *ring, const struct vrtc_chain *chain,
	const void *resp, uint32_t resp_bytes);
bool vrtc_vring_split_publish(struct vrtc_vring *ring);
bool vrtc_vring_packed_publish(struct vrtc_vring *ring);
void vrtc_vring_split_kick_disable(struct vrtc_vring *ring);
void vrtc_vring_packed_kick_disable(struct vrtc_vring *ring);
bool vrtc_vring_split_kick_enable(struct vrtc_vring *ring);
bool vrtc_vring_packed_kick_enable(struct vrtc_vring *ring);

bool vrtc_vring_packed_is_waiting(const struct vrtc_vring *ring);

/*
 * Whether vrtc_vring_pop() would find something, a chain or a fault; nothing is taken. False where
 * the ring is broken. Inline, since of a device that is asked now and then this is all that happens
 * in most turns.
 */
static inline bool vrtc_vring_is_waiting(const struct vrtc_vring *ring)
{
	if (ring->kind == VRTC_VRING_KIND_SPLIT) {
		/* Behind the flags. Acquire, as A1 of vring_split.c: for vring_ahead.h. */
		const vrtc_vring_le16 *g_idx = (const vrtc_vring_le16 *)ring->g_driver + 1;

		return ring->avail_next != ring->avail_seen ||
		       le16toh(__atomic_load_n(g_idx, __ATOMIC_ACQUIRE)) != ring->avail_next;
	}
	return ring->kind == VRTC_VRING_KIND_PACKED && vrtc_vring_packed_is_waiting(ring);
}

/*
 * Whether the next chain is one that the driver had made available when we last looked; of a packed
 * ring, where each is looked at by itself, never.
 */
static inline bool vrtc_vring_is_announced(const struct vrtc_vring *ring)
{
	return ring->kind == VRTC_VRING_KIND_SPLIT && ring->avail_next != ring->avail_seen;
}

/*
 * Takes the next chain.
 * @param chain out; unspecified unless VRTC_VRING_CHAIN is returned
 * @return VRTC_VRING_CHAIN;
 *         VRTC_VRING_EMPTY: the driver has made nothing more available;
 *         VRTC_VRING_BROKEN: see vrtc_vring_fault(); now and for ever
 */
static inline enum vrtc_vring_result vrtc_vring_pop(
	struct vrtc_vring *ring, struct vrtc_chain *chain)
{
	if (ring->kind == VRTC_VRING_KIND_SPLIT)
		return vrtc_vring_split_pop(ring, chain);
	if (ring->kind == VRTC_VRING_KIND_PACKED)
		return vrtc_vring_packed_pop(ring, chain);
	return VRTC_VRING_BROKEN;
}

/*
 * Copies a response to the beginning of the chain's writable part, and enters chain and length in
 * the used ring. The driver may not see it before vrtc_vring_publish(). (Of a batch in a packed
 * ring it sees all but the last as they come: one store each, in order, so that whoever is killed
 * in between leaves nothing that is half used.) Does nothing where the ring is broken.
 * @param resp_bytes 0..min(24, chain->writable_bytes), asserted; no more than this is written, and
 *                   the driver is told exactly this length
 */
static inline void vrtc_vring_push(struct vrtc_vring *ring, const struct vrtc_chain *chain,
	const void *resp, uint32_t resp_bytes)
{
	if (ring->kind == VRTC_VRING_KIND_SPLIT)
		vrtc_vring_split_push(ring, chain, resp, resp_bytes);
	else if (ring->kind == VRTC_VRING_KIND_PACKED)
		vrtc_vring_packed_push(ring, chain, resp, resp_bytes);
}

/*
 * Shows the driver all that was pushed since the last call. Does nothing where nothing was, or
 * where the ring is broken.
 * @return whether the driver wants to be signalled for it: unless it has disabled that or, with
 *         EVENT_IDX, only where the entry that it named is among those of this batch
 */
static inline bool vrtc_vring_publish(struct vrtc_vring *ring)
{
	if (ring->kind == VRTC_VRING_KIND_SPLIT)
		return vrtc_vring_split_publish(ring);
	return ring->kind == VRTC_VRING_KIND_PACKED && vrtc_vring_packed_publish(ring);
}

/*
 * Touches what the next vrtc_vring_pop() and vrtc_vring_push() will touch, so that no page fault
 * delays them: for a ring whose next use is far away and has to be quick. Changes nothing, neither
 * here nor in the guest's memory; does nothing where the driver has made nothing available.
 */
void vrtc_vring_warm(const struct vrtc_vring *ring);

/* Asks the driver not to send notifications. It may still send some: they mean nothing. */
static inline void vrtc_vring_kick_disable(struct vrtc_vring *ring)
{
	if (ring->kind == VRTC_VRING_KIND_SPLIT)
		vrtc_vring_split_kick_disable(ring);
	else if (ring->kind == VRTC_VRING_KIND_PACKED)
		vrtc_vring_packed_kick_disable(ring);
}

/*
 * Asks the driver to send a notification for the next chain that it makes available.
 * @return whether a chain is there already, for which no notification is to be expected: do not
 *         sleep, pop. False where the ring is broken.
 */
static inline bool vrtc_vring_kick_enable(struct vrtc_vring *ring)
{
	if (ring->kind == VRTC_VRING_KIND_SPLIT)
		return vrtc_vring_split_kick_enable(ring);
	return ring->kind == VRTC_VRING_KIND_PACKED && vrtc_vring_packed_kick_enable(ring);
}

/*
 * The first chain that was not served, that is answered and published: what GET_VRING_BASE answers,
 * and the base of whoever goes on. In a split ring a free-running index; in a packed one the entry,
 * and the wrap counter at it << 15.
 */
static inline uint16_t vrtc_vring_base(const struct vrtc_vring *ring)
{
	return ring->used_published;
}

/*
 * The queue is stopped and the front-end is told its base: from now on that counts, and no note of
 * ours in a packed ring's Device Area. Does nothing where the ring is broken.
 */
void vrtc_vring_leave(struct vrtc_vring *ring);

/*
 * Whether the ring is at its beginning. (A ring that has come around to it looks the same; of a
 * packed one, whose entries come around soon, the last entry has to be unused besides.)
 */
bool vrtc_vring_is_at_start(const struct vrtc_vring *ring);

/* Why the ring is broken: a static sentence, without the final stop; NULL where it is not. */
static inline const char *vrtc_vring_fault(const struct vrtc_vring *ring)
{
	return ring->fault;
}

#endif
