/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory ordering, all of it here. The driver releases avail->idx after the descriptors and the
 * entries; the device's acquire of avail->idx is the other half. The driver acquires used->idx
 * before it reads the entries and the buffers; the device's release of used->idx is the other half.
 * Between "I wrote an index" and "I read whether the other side sleeps" stands a full fence, on
 * both sides, or both could miss each other (virtio-v1.4 Available Buffer Notification
 * Suppression).
 */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring_packed.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the rings are little-endian and are written here in the order of the machine"
#endif

_Static_assert(sizeof(struct vfe_desc) == 16, "wire size");
_Static_assert(sizeof(struct vfe_used_elem) == 8, "wire size");

#define PAGE 4096

static uint64_t desc_bytes(uint16_t size)
{
	return sizeof(struct vfe_desc) * size;
}

static uint64_t avail_bytes(uint16_t size)
{
	return sizeof(struct vfe_avail) + sizeof(uint16_t) * (size + 1ul);
}

static uint64_t used_bytes(uint16_t size)
{
	return sizeof(struct vfe_used) + sizeof(struct vfe_used_elem) * size + sizeof(uint16_t);
}

/* used_event lies behind the available ring, avail_event behind the used ring. */
static uint16_t *used_event(const struct vfe_ring *ring)
{
	return &ring->avail->ring[ring->size];
}

static uint16_t *avail_event(const struct vfe_ring *ring)
{
	return (uint16_t *)(void *)&ring->used->ring[ring->size];
}

static void start_empty(struct vfe_ring *ring, uint64_t features)
{
	ring->event_idx = features >> VFE_F_EVENT_IDX & 1;
	ring->in_order = features >> VFE_F_IN_ORDER & 1;
	ring->packed = features >> VFE_F_RING_PACKED & 1;
	vfe_ring_packed_begin(ring);
	ring->calls_wanted = true;
	ring->n_free = ring->size;
	ring->free_first = 0;
	ring->free_last = (uint16_t)(ring->size - 1);
	ring->added_idx = 0;
	ring->published_idx = 0;
	ring->kicked_idx = 0;
	ring->used_idx = 0;
	ring->batch_open = false;
	for (unsigned int i = 0; i < ring->size; i++)
		ring->next[i] = (uint16_t)((i + 1) % ring->size);
	memset(ring->head, 0, sizeof(ring->head[0]) * ring->size);
	memset(ring->desc, 0, desc_bytes(ring->size));
	memset(ring->avail, 0, avail_bytes(ring->size));
	memset(ring->used, 0, used_bytes(ring->size));
}

int vfe_ring_init(struct vfe_ring *ring, struct vfe_mem *mem, uint16_t size, uint64_t features)
{
	memset(ring, 0, sizeof(*ring));
	if (size == 0 || size > VFE_RING_SIZE_MAX || (size & (size - 1)) != 0)
		return -EINVAL;
	ring->mem = mem;
	ring->size = size;
	ring->desc_gpa = vfe_mem_alloc(mem, desc_bytes(size), PAGE);
	ring->avail_gpa = vfe_mem_alloc(mem, avail_bytes(size), PAGE);
	ring->used_gpa = vfe_mem_alloc(mem, used_bytes(size), PAGE);
	if (ring->desc_gpa == VFE_GPA_NONE || ring->avail_gpa == VFE_GPA_NONE ||
		ring->used_gpa == VFE_GPA_NONE)
		return -ENOSPC;
	ring->desc = vfe_mem_host(mem, ring->desc_gpa, desc_bytes(size));
	ring->avail = vfe_mem_host(mem, ring->avail_gpa, avail_bytes(size));
	ring->used = vfe_mem_host(mem, ring->used_gpa, used_bytes(size));
	/* A packed ring's areas are smaller, or as large. */
	ring->packed_desc = (void *)ring->desc;
	ring->driver_event = (void *)ring->avail;
	ring->device_event = (void *)ring->used;
	ring->next = calloc(size, sizeof(ring->next[0]));
	ring->order = calloc(size, sizeof(ring->order[0]));
	ring->head = calloc(size, sizeof(ring->head[0]));
	if (!ring->next || !ring->order || !ring->head) {
		vfe_ring_fini(ring);
		return -ENOMEM;
	}
	start_empty(ring, features);
	return 0;
}

void vfe_ring_fini(struct vfe_ring *ring)
{
	free(ring->next);
	free(ring->order);
	free(ring->head);
	memset(ring, 0, sizeof(*ring));
}

void vfe_ring_reset(struct vfe_ring *ring, uint64_t features)
{
	start_empty(ring, features);
}

/* Enters a chain that is written already into the private books and the available ring. */
static void enter(struct vfe_ring *ring, uint16_t head, uint16_t last, unsigned int n_desc,
	uint32_t writable_bytes, uint64_t cookie)
{
	ring->head[head] = (struct vfe_ring_head){
		.cookie = cookie,
		.writable_bytes = writable_bytes,
		.n_desc = (uint16_t)n_desc,
		.last = last,
	};
	ring->free_first = ring->next[last];
	ring->n_free = (uint16_t)(ring->n_free - n_desc);
	ring->order[ring->added_idx & (ring->size - 1)] = head;
	ring->avail->ring[ring->added_idx & (ring->size - 1)] = head;
	ring->added_idx++;
}

int vfe_ring_add(struct vfe_ring *ring, const struct vfe_seg *segs, unsigned int n_segs,
	uint64_t cookie, uint16_t *head)
{
	uint16_t first = ring->free_first;
	uint16_t at = first;
	uint16_t last = first;
	uint32_t writable_bytes = 0;

	if (ring->packed)
		return vfe_ring_packed_add(ring, segs, n_segs, cookie, head);
	if (n_segs == 0)
		return -EINVAL;
	if (n_segs > ring->n_free)
		return -ENOSPC;
	for (unsigned int i = 0; i < n_segs; i++) {
		bool more = i + 1 < n_segs;

		ring->desc[at] = (struct vfe_desc){
			.gpa = segs[i].gpa,
			.bytes = segs[i].bytes,
			.flags = (uint16_t)((segs[i].writable ? VFE_DESC_F_WRITE : 0) |
					    (more ? VFE_DESC_F_NEXT : 0)),
			.next = more ? ring->next[at] : 0,
		};
		if (segs[i].writable)
			writable_bytes += segs[i].bytes;
		last = at;
		at = ring->next[at];
	}
	enter(ring, first, last, n_segs, writable_bytes, cookie);
	if (head)
		*head = first;
	return 0;
}

int vfe_ring_add_indirect(struct vfe_ring *ring, const struct vfe_seg *segs, unsigned int n_segs,
	uint64_t table_gpa, uint64_t cookie, uint16_t *head)
{
	uint16_t first = ring->free_first;
	uint32_t writable_bytes = 0;
	struct vfe_desc *table;

	if (n_segs == 0 || n_segs > VFE_RING_SIZE_MAX)
		return -EINVAL;
	if (ring->n_free == 0)
		return -ENOSPC;
	table = vfe_mem_host(ring->mem, table_gpa, sizeof(*table) * n_segs);
	if (!table)
		return -EFAULT;
	if (ring->packed)
		return vfe_ring_packed_add_indirect(
			ring, segs, n_segs, table_gpa, table, cookie, head);
	for (unsigned int i = 0; i < n_segs; i++) {
		bool more = i + 1 < n_segs;
		struct vfe_desc d = {
			.gpa = segs[i].gpa,
			.bytes = segs[i].bytes,
			.flags = (uint16_t)((segs[i].writable ? VFE_DESC_F_WRITE : 0) |
					    (more ? VFE_DESC_F_NEXT : 0)),
			.next = (uint16_t)(more ? i + 1 : 0),
		};

		/* The caller's table may lie anywhere. */
		memcpy(&table[i], &d, sizeof(d));
		if (segs[i].writable)
			writable_bytes += segs[i].bytes;
	}
	ring->desc[first] = (struct vfe_desc){
		.gpa = table_gpa,
		.bytes = (uint32_t)(sizeof(*table) * n_segs),
		.flags = VFE_DESC_F_INDIRECT,
	};
	enter(ring, first, first, 1, writable_bytes, cookie);
	if (head)
		*head = first;
	return 0;
}

void vfe_ring_publish(struct vfe_ring *ring)
{
	if (ring->packed) {
		vfe_ring_packed_publish(ring);
		return;
	}
	__atomic_store_n(&ring->avail->idx, ring->added_idx, __ATOMIC_RELEASE);
	ring->published_idx = ring->added_idx;
}

bool vfe_ring_kick_wanted(struct vfe_ring *ring)
{
	uint16_t before = ring->kicked_idx;
	uint16_t after = ring->published_idx;
	uint16_t event;

	if (ring->packed)
		return vfe_ring_packed_kick_wanted(ring);
	ring->kicked_idx = after;
	if (before == after)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->event_idx)
		return !(__atomic_load_n(&ring->used->flags, __ATOMIC_RELAXED) &
			 VFE_USED_F_NO_NOTIFY);
	event = __atomic_load_n(avail_event(ring), __ATOMIC_RELAXED);
	/* Did the index pass the event on its way from before to after? */
	return (uint16_t)(after - event - 1) < (uint16_t)(after - before);
}

/* Puts the descriptors of a chain behind the last free one. */
static void give_back(struct vfe_ring *ring, uint16_t head)
{
	struct vfe_ring_head *h = &ring->head[head];

	if (ring->n_free == 0)
		ring->free_first = head;
	else
		ring->next[ring->free_last] = head;
	ring->free_last = h->last;
	ring->n_free = (uint16_t)(ring->n_free + h->n_desc);
	h->n_desc = 0;
}

int vfe_ring_poll(struct vfe_ring *ring, struct vfe_done *done)
{
	uint16_t slot = ring->used_idx & (uint16_t)(ring->size - 1);
	uint32_t id, n_bytes;
	uint16_t there;

	if (ring->packed)
		return vfe_ring_packed_poll(ring, done);
	there = __atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE);
	if (there == ring->used_idx)
		return 0;
	if ((uint16_t)(there - ring->used_idx) > (uint16_t)(ring->published_idx - ring->used_idx))
		return -EPROTO;

	if (!ring->batch_open) {
		id = __atomic_load_n(&ring->used->ring[slot].id, __ATOMIC_RELAXED);
		n_bytes = __atomic_load_n(&ring->used->ring[slot].bytes, __ATOMIC_RELAXED);
	} else {
		id = ring->batch_last;
		n_bytes = ring->batch_bytes;
	}
	if (id >= ring->size || ring->head[id].n_desc == 0)
		return -EPROTO;
	if (ring->in_order) {
		/*
		 * virtio-v1.4 In-order use of descriptors: one entry can stand for a batch, whose
		 * last buffer it names; the ones before it count as filled.
		 */
		uint16_t expected = ring->order[slot];

		ring->batch_open = id != expected;
		ring->batch_last = (uint16_t)id;
		ring->batch_bytes = n_bytes;
		if (ring->batch_open) {
			id = expected;
			n_bytes = ring->head[expected].writable_bytes;
		}
	}
	done->head = (uint16_t)id;
	done->used_bytes = n_bytes;
	done->cookie = ring->head[id].cookie;
	give_back(ring, (uint16_t)id);
	ring->used_idx++;
	return 1;
}

unsigned int vfe_ring_in_flight(const struct vfe_ring *ring)
{
	return (uint16_t)(ring->added_idx - ring->used_idx);
}

uint16_t vfe_ring_first_base(const struct vfe_ring *ring)
{
	return ring->packed ? VFE_PACKED_FIRST : 0;
}

uint16_t vfe_ring_used_idx(const struct vfe_ring *ring)
{
	if (ring->packed)
		return vfe_ring_packed_used_idx(ring);
	return __atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE);
}

void vfe_ring_suppress_calls(struct vfe_ring *ring)
{
	if (ring->packed) {
		vfe_ring_packed_suppress_calls(ring);
		return;
	}
	if (!ring->calls_wanted)
		return;
	ring->calls_wanted = false;
	if (ring->event_idx)
		/* Just passed: 65535 buffers until the device meets it again. */
		__atomic_store_n(
			used_event(ring), (uint16_t)(ring->used_idx - 1), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&ring->avail->flags, VFE_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}

bool vfe_ring_arm_call(struct vfe_ring *ring)
{
	if (ring->packed)
		return vfe_ring_packed_arm_call(ring);
	if (ring->event_idx)
		__atomic_store_n(used_event(ring), ring->used_idx, __ATOMIC_RELAXED);
	else if (!ring->calls_wanted)
		__atomic_store_n(&ring->avail->flags, 0, __ATOMIC_RELAXED);
	ring->calls_wanted = true;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&ring->used->idx, __ATOMIC_RELAXED) == ring->used_idx;
}
