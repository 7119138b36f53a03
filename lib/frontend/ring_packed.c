/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a packed virtqueue. virtio-v1.4 Packed Virtqueues.
 *
 * An entry is named as in SET_VRING_BASE: its offset, and the wrap counter in bit 15. The indices
 * of a split ring go on as counts of buffers: added, published, taken.
 *
 * Memory ordering: the driver releases the flags of the first descriptor that it makes available,
 * behind all else that it added; the device's acquire of those flags is the other half. It acquires
 * the flags of a used descriptor before it reads id, length and the buffer; the device's release is
 * the other half. Between writing flags and reading the other side's event suppression, and the
 * other way round, stands a full fence, on both sides.
 */
#include "ring_packed.h"

#include <errno.h>
#include <string.h>

#define DESC_F_AVAIL (1u << 7)
#define DESC_F_USED  (1u << 15)

#define WRAP   0x8000u
#define OFFSET 0x7fffu

_Static_assert(sizeof(struct vfe_packed_desc) == sizeof(struct vfe_desc), "wire size");

static uint16_t advance(const struct vfe_ring *ring, uint16_t at, unsigned int entries)
{
	unsigned int offset = (at & OFFSET) + entries;

	if (offset < ring->size)
		return (uint16_t)(at + entries);
	return (uint16_t)((offset - ring->size) | (~at & WRAP));
}

/* How many entries to is behind from, 0..2 * size - 1. */
static unsigned int distance(const struct vfe_ring *ring, uint16_t from, uint16_t to)
{
	unsigned int laps = (from ^ to) & WRAP ? ring->size : 0;

	return ((to & OFFSET) + laps + 2u * ring->size - (from & OFFSET)) % (2u * ring->size);
}

static struct vfe_packed_desc *desc_at(const struct vfe_ring *ring, uint16_t at)
{
	return &ring->packed_desc[at & OFFSET];
}

static bool is_used(const struct vfe_ring *ring, uint16_t at)
{
	uint16_t flags = __atomic_load_n(&desc_at(ring, at)->flags, __ATOMIC_ACQUIRE);
	bool wrap = at & WRAP;

	return !!(flags & DESC_F_AVAIL) == wrap && !!(flags & DESC_F_USED) == wrap;
}

void vfe_ring_packed_begin(struct vfe_ring *ring)
{
	ring->next_at = VFE_PACKED_FIRST;
	ring->unpublished_at = VFE_PACKED_FIRST;
	ring->kicked_at = VFE_PACKED_FIRST;
	ring->used_at = VFE_PACKED_FIRST;
}

/* The flags of the first descriptor since the last publish() are kept back. */
static void put_desc(
	struct vfe_ring *ring, uint64_t gpa, uint32_t bytes, uint16_t id, unsigned int flags)
{
	struct vfe_packed_desc *d = desc_at(ring, ring->next_at);

	flags |= ring->next_at & WRAP ? DESC_F_AVAIL : DESC_F_USED;
	d->gpa = gpa;
	d->bytes = bytes;
	d->id = id;
	if (ring->next_at == ring->unpublished_at)
		ring->unpublished_flags = (uint16_t)flags;
	else
		__atomic_store_n(&d->flags, (uint16_t)flags, __ATOMIC_RELAXED);
	ring->next_at = advance(ring, ring->next_at, 1);
}

static void enter(struct vfe_ring *ring, uint16_t id, unsigned int n_desc, uint32_t writable_bytes,
	uint64_t cookie)
{
	ring->head[id] = (struct vfe_ring_head){
		.cookie = cookie,
		.writable_bytes = writable_bytes,
		.n_desc = (uint16_t)n_desc,
		.last = id,
	};
	/* The free list is of ids here; there are as many as entries, so one is free. */
	ring->free_first = ring->next[id];
	ring->n_free = (uint16_t)(ring->n_free - n_desc);
	ring->order[ring->added_idx & (ring->size - 1)] = id;
	ring->added_idx++;
}

int vfe_ring_packed_add(struct vfe_ring *ring, const struct vfe_seg *segs, unsigned int n_segs,
	uint64_t cookie, uint16_t *id)
{
	uint16_t mine = ring->free_first;
	uint32_t writable_bytes = 0;

	if (n_segs == 0)
		return -EINVAL;
	if (n_segs > ring->n_free)
		return -ENOSPC;
	for (unsigned int i = 0; i < n_segs; i++) {
		put_desc(ring, segs[i].gpa, segs[i].bytes, mine,
			(segs[i].writable ? VFE_DESC_F_WRITE : 0u) |
				(i + 1 < n_segs ? VFE_DESC_F_NEXT : 0u));
		if (segs[i].writable)
			writable_bytes += segs[i].bytes;
	}
	enter(ring, mine, n_segs, writable_bytes, cookie);
	if (id)
		*id = mine;
	return 0;
}

int vfe_ring_packed_add_indirect(struct vfe_ring *ring, const struct vfe_seg *segs,
	unsigned int n_segs, uint64_t table_gpa, void *table, uint64_t cookie, uint16_t *id)
{
	uint16_t mine = ring->free_first;
	uint32_t writable_bytes = 0;

	for (unsigned int i = 0; i < n_segs; i++) {
		struct vfe_packed_desc d = {
			.gpa = segs[i].gpa,
			.bytes = segs[i].bytes,
			.flags = segs[i].writable ? VFE_DESC_F_WRITE : 0,
		};

		/* The caller's table may lie anywhere. */
		memcpy((char *)table + i * sizeof(d), &d, sizeof(d));
		if (segs[i].writable)
			writable_bytes += segs[i].bytes;
	}
	put_desc(ring, table_gpa, (uint32_t)(sizeof(struct vfe_packed_desc) * n_segs), mine,
		VFE_DESC_F_INDIRECT);
	enter(ring, mine, 1, writable_bytes, cookie);
	if (id)
		*id = mine;
	return 0;
}

void vfe_ring_packed_publish(struct vfe_ring *ring)
{
	if (ring->unpublished_at != ring->next_at)
		__atomic_store_n(&desc_at(ring, ring->unpublished_at)->flags,
			ring->unpublished_flags, __ATOMIC_RELEASE);
	ring->unpublished_at = ring->next_at;
	ring->published_idx = ring->added_idx;
}

bool vfe_ring_packed_kick_wanted(struct vfe_ring *ring)
{
	uint16_t before = ring->kicked_at;
	bool nothing_new = ring->kicked_idx == ring->published_idx;
	struct vfe_packed_event event;

	ring->kicked_idx = ring->published_idx;
	ring->kicked_at = ring->unpublished_at;
	if (nothing_new)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event.flags = __atomic_load_n(&ring->device_event->flags, __ATOMIC_ACQUIRE);
	event.at = __atomic_load_n(&ring->device_event->at, __ATOMIC_RELAXED);
	if (event.flags != VFE_EVENT_F_DESC)
		return event.flags != VFE_EVENT_F_DISABLE;
	return distance(ring, before, event.at) < distance(ring, before, ring->kicked_at) ||
	       before == ring->kicked_at;
}

int vfe_ring_packed_poll(struct vfe_ring *ring, struct vfe_done *done)
{
	const struct vfe_packed_desc *d = desc_at(ring, ring->used_at);
	uint32_t n_bytes = ring->batch_bytes;
	uint16_t id = ring->batch_last;

	if (!ring->batch_open) {
		if (!is_used(ring, ring->used_at))
			return 0;
		id = __atomic_load_n(&d->id, __ATOMIC_RELAXED);
		n_bytes = __atomic_load_n(&d->bytes, __ATOMIC_RELAXED);
		/* "Element Length is reserved for used descriptors without the [...] WRITE flag" */
		if (!(__atomic_load_n(&d->flags, __ATOMIC_RELAXED) & VFE_DESC_F_WRITE))
			n_bytes = 0;
	}
	if (ring->used_idx == ring->published_idx || id >= ring->size || ring->head[id].n_desc == 0)
		return -EPROTO;
	if (ring->in_order) {
		uint16_t expected = ring->order[ring->used_idx & (ring->size - 1)];

		ring->batch_open = id != expected;
		ring->batch_last = id;
		ring->batch_bytes = n_bytes;
		if (ring->batch_open) {
			id = expected;
			n_bytes = ring->head[expected].writable_bytes;
		}
	}
	done->head = id;
	done->used_bytes = n_bytes;
	done->cookie = ring->head[id].cookie;

	ring->used_at = advance(ring, ring->used_at, ring->head[id].n_desc);
	/* As many ids as buffers: the list is never left empty by n_free. */
	ring->next[ring->free_last] = id;
	ring->free_last = id;
	if (ring->added_idx - ring->used_idx == ring->size)
		ring->free_first = id;
	ring->n_free = (uint16_t)(ring->n_free + ring->head[id].n_desc);
	ring->head[id].n_desc = 0;
	ring->used_idx++;
	return 1;
}

/* What poll() has taken, and what it would take now. */
uint16_t vfe_ring_packed_used_idx(const struct vfe_ring *ring)
{
	uint16_t idx = ring->used_idx;
	uint16_t at = ring->used_at;

	while (idx != ring->published_idx && is_used(ring, at)) {
		uint16_t id = __atomic_load_n(&desc_at(ring, at)->id, __ATOMIC_RELAXED);

		idx++;
		if (id >= ring->size || ring->head[id].n_desc == 0)
			break;
		at = advance(ring, at, ring->head[id].n_desc);
	}
	return idx;
}

static void set_event(struct vfe_ring *ring, uint16_t flags)
{
	__atomic_store_n(&ring->driver_event->at, ring->used_at, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->driver_event->flags, flags, __ATOMIC_RELEASE);
}

void vfe_ring_packed_suppress_calls(struct vfe_ring *ring)
{
	if (!ring->calls_wanted)
		return;
	ring->calls_wanted = false;
	set_event(ring, VFE_EVENT_F_DISABLE);
}

bool vfe_ring_packed_arm_call(struct vfe_ring *ring)
{
	if (ring->event_idx)
		set_event(ring, VFE_EVENT_F_DESC);
	else if (!ring->calls_wanted)
		set_event(ring, VFE_EVENT_F_ENABLE);
	ring->calls_wanted = true;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !is_used(ring, ring->used_at);
}
