/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a virtqueue, split or (with VIRTIO_F_RING_PACKED) packed.
 *
 * add() fills descriptors, publish() makes all that was added available at once, poll() takes one
 * used buffer. What the driver needs to stay sane (free descriptors, which heads are in flight) is
 * private memory; from the shared used ring it believes only an id that is in flight. So a device
 * that writes nonsense costs an error and nothing else.
 *
 * Tests of hostility write to ring->desc, ring->avail and ring->used directly, or to
 * ring->packed_desc, ring->driver_event and ring->device_event, which are the same three areas as a
 * packed ring has them; such a ring is good for nothing but vfe_ring_reset() afterwards.
 *
 * Threads: a ring belongs to one thread at a time; the device is the other side. Nothing but init
 * allocates.
 *
 * virtio-v1.4 Split Virtqueues, Packed Virtqueues.
 */
#ifndef VFE_RING_H
#define VFE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

/* Feature bits that change how a ring is used. */
#define VFE_F_LOG_ALL       26 /* vhost's: not the driver's to negotiate */
#define VFE_F_INDIRECT_DESC 28
#define VFE_F_EVENT_IDX     29
#define VFE_F_VERSION_1     32
#define VFE_F_RING_PACKED   34
#define VFE_F_IN_ORDER      35

#define VFE_RING_SIZE_MAX 32768

#define VFE_DESC_F_NEXT     1
#define VFE_DESC_F_WRITE    2
#define VFE_DESC_F_INDIRECT 4

#define VFE_AVAIL_F_NO_INTERRUPT 1
#define VFE_USED_F_NO_NOTIFY     1

struct vfe_desc {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct vfe_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* [size] entries, then used_event */
};

struct vfe_used_elem {
	uint32_t id;
	uint32_t bytes;
};

struct vfe_used {
	uint16_t flags;
	uint16_t idx;
	struct vfe_used_elem ring[]; /* [size] entries, then avail_event */
};

#define VFE_EVENT_F_ENABLE  0
#define VFE_EVENT_F_DISABLE 1
#define VFE_EVENT_F_DESC    2

/* An entry of a packed ring is its offset and, << 15, the wrap counter. This is the first. */
#define VFE_PACKED_FIRST 0x8000

struct vfe_packed_desc {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t id;
	uint16_t flags;
};

struct vfe_packed_event {
	uint16_t at; /* with VFE_EVENT_F_DESC: the entry that is waited for */
	uint16_t flags;
};

/* One piece of a buffer. */
struct vfe_seg {
	uint64_t gpa;
	uint32_t bytes;
	bool writable; /* by the device */
};

/* A buffer that came back. */
struct vfe_done {
	uint16_t head;
	uint32_t used_bytes; /* as the device wrote it: not checked against the buffer's size */
	uint64_t cookie;     /* as given to add() */
};

/* What the driver knows of a descriptor that is the head of a chain; packed: of a buffer id. */
struct vfe_ring_head {
	uint64_t cookie;
	uint32_t writable_bytes;
	uint16_t n_desc; /* 0: not in flight */
	uint16_t last;   /* last descriptor of its chain */
};

struct vfe_ring {
	/* The layout, guest addresses, and the same here. */
	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;
	struct vfe_desc *desc;
	struct vfe_avail *avail;
	struct vfe_used *used;
	struct vfe_packed_desc *packed_desc;
	struct vfe_packed_event *driver_event;
	struct vfe_packed_event *device_event;
	struct vfe_mem *mem;

	uint16_t size;
	bool packed;
	bool event_idx;
	bool in_order;
	bool calls_wanted;

	/* Private state. */
	uint16_t n_free;
	uint16_t free_first; /* free descriptors in the order in which they came back */
	uint16_t free_last;
	/* Packed: these count buffers, and are in no shared memory. */
	uint16_t added_idx;     /* avail index of all that was added */
	uint16_t published_idx; /* avail index that the device sees */
	uint16_t kicked_idx;    /* avail index at the last kick_wanted() */
	uint16_t used_idx;      /* used index up to which poll() has taken */
	uint16_t batch_last;    /* IN_ORDER: head that ends the device's batch ... */
	uint32_t batch_bytes;   /* ... and its used length */
	bool batch_open;
	uint16_t next_at;           /* packed: the entry of the next add() */
	uint16_t unpublished_at;    /* the first that the device does not see ... */
	uint16_t unpublished_flags; /* ... since these are not written yet */
	uint16_t kicked_at;         /* as kicked_idx */
	uint16_t used_at;           /* as used_idx */
	uint16_t *next;             /* [size] chain and free list, the driver's own copy */
	uint16_t *order;            /* [size] heads in the order in which they were added */
	struct vfe_ring_head *head; /* [size] */
};

/**
 * Allocates a ring in guest memory and begins it. The three parts lie in guest memory one after
 * the other, each on a page of its own.
 *
 * @param mem       outlives the ring
 * @param size      entries, a power of two up to VFE_RING_SIZE_MAX
 * @param features  negotiated; of these EVENT_IDX, IN_ORDER and RING_PACKED matter here
 * @return 0; -EINVAL size; -ENOSPC guest memory is full; -ENOMEM
 */
int vfe_ring_init(struct vfe_ring *ring, struct vfe_mem *mem, uint16_t size, uint64_t features);

/** Frees what is private; the guest memory stays handed out. Also good for a ring of zeroes. */
void vfe_ring_fini(struct vfe_ring *ring);

/**
 * Begins again as a driver does after a device reset: indices 0, nothing in flight, calls wanted.
 *
 * @param features  as in vfe_ring_init()
 */
void vfe_ring_reset(struct vfe_ring *ring, uint64_t features);

/**
 * Adds a buffer as a chain of descriptors. The device sees it after vfe_ring_publish().
 *
 * @param segs    n_segs pieces in order. The device-readable ones come first in a lawful buffer;
 *                other orders, zero lengths and unmapped addresses are passed on as they are
 * @param cookie  comes back from vfe_ring_poll()
 * @param head    the head's index, or NULL
 * @return 0; -EINVAL n_segs 0; -ENOSPC not as many descriptors are free
 */
int vfe_ring_add(struct vfe_ring *ring, const struct vfe_seg *segs, unsigned int n_segs,
	uint64_t cookie, uint16_t *head);

/**
 * Adds a buffer as an indirect table, one descriptor of the ring.
 *
 * @param table_gpa  16 * n_segs bytes of guest memory for the table, aligned to 16, the buffer's
 *                   until it comes back
 * @return 0; -EINVAL n_segs 0 or above VFE_RING_SIZE_MAX; -EFAULT the table is not in guest
 *         memory; -ENOSPC no descriptor is free
 */
int vfe_ring_add_indirect(struct vfe_ring *ring, const struct vfe_seg *segs, unsigned int n_segs,
	uint64_t table_gpa, uint64_t cookie, uint16_t *head);

/** Makes available all that was added (release). */
void vfe_ring_publish(struct vfe_ring *ring);

/**
 * @return true if the device wants a kick for what was published since the last question
 *         (NO_NOTIFY, or avail_event with EVENT_IDX)
 */
bool vfe_ring_kick_wanted(struct vfe_ring *ring);

/**
 * Takes one used buffer; does not wait.
 *
 * @param done  written only when 1 is returned
 * @return 1 a buffer; 0 there is none;
 *         -EPROTO the device broke the ring (more used than was published, or an id that is not
 *         the head of a buffer in flight); the ring stays as it is
 */
int vfe_ring_poll(struct vfe_ring *ring, struct vfe_done *done);

/** @return buffers that the device has and the driver did not get back, published or not. */
unsigned int vfe_ring_in_flight(const struct vfe_ring *ring);

/**
 * @return the used index in guest memory, from which a device that starts again goes on; of a
 *         packed ring, which has none, as many buffers as it would have counted
 */
uint16_t vfe_ring_used_idx(const struct vfe_ring *ring);

/** @return SET_VRING_BASE of a device that begins with the ring after a reset. */
uint16_t vfe_ring_first_base(const struct vfe_ring *ring);

/** Asks the device not to call (best effort, as the specification says of both ways). */
void vfe_ring_suppress_calls(struct vfe_ring *ring);

/**
 * Asks for a call at the next used buffer.
 *
 * @return true: sleep now, a call will come; false: a buffer is there already, poll instead
 */
bool vfe_ring_arm_call(struct vfe_ring *ring);

#endif
