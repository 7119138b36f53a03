/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split virtqueues, the device's side.
 *
 * Memory ordering. Those accesses that order anything are these, and each has its counterpart in
 * the driver (virtio-v1.4 Split Virtqueues / Supplying Buffers to The Device, and / Receiving Used
 * Buffers From The Device):
 *
 *   A1  look_for_chains(): acquire load of avail->idx. Pairs with the driver's barrier between
 *       writing descriptors and available ring, and writing avail->idx. Whatever is read of a
 *       chain is read after it.
 *   R1  vrtc_vring_split_publish(): store of used->idx, at least a release. Pairs with the driver's
 *       barrier between reading used->idx, and reading the used entries and the responses.
 *   F1  vrtc_vring_split_publish(): store of used->idx, then load of avail->flags or used_event,
 *       neither to be reordered. Pairs with the driver's full barrier between writing flags or
 *       used_event, and reading used->idx again: one of the two sees the other, and no signal is
 *       lost.
 *   F2  vrtc_vring_split_kick_enable(): store of used->flags or avail_event, then load of
 *       avail->idx, neither to be reordered. Pairs with the driver's full barrier between writing
 *       avail->idx, and reading flags or avail_event: one of the two sees the other, and no kick is
 *       lost.
 *
 * F1 and F2 are sequentially consistent stores and loads and not a fence between relaxed ones: an
 * equal guarantee against a driver with fences, one locked exchange on x86 and a store-release and
 * a load-acquire on arm64, and ThreadSanitizer understands them. All other accesses are relaxed,
 * see vring_chain.h.
 */
#include "vring.h"

#include <errno.h>

#include "vring_chain.h"
#include "vring_kinds.h"

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#define VIRTQ_USED_F_NO_NOTIFY     1

struct virtq_avail {
	g_le16 flags;
	g_le16 idx;
	g_le16 ring[]; /* size entries, then used_event */
};

struct virtq_used_elem {
	g_le32 id;
	g_le32 len;
};

struct virtq_used {
	g_le16 flags;
	g_le16 idx;
	struct virtq_used_elem ring[]; /* size entries, then avail_event */
};

_Static_assert(offsetof(struct virtq_avail, ring) == 4, "wire size");
_Static_assert(offsetof(struct virtq_used, ring) == 4, "wire size");
_Static_assert(sizeof(struct virtq_used_elem) == 8, "wire size");

static uint16_t load16(const g_le16 *g_word)
{
	return le16toh(__atomic_load_n(g_word, __ATOMIC_RELAXED));
}

static void store16(g_le16 *g_word, uint16_t value)
{
	__atomic_store_n(g_word, htole16(value), __ATOMIC_RELAXED);
}

/* The rest of a chain, from the descriptor that refers to an indirect table on. */
static const char *take_indirect(struct vrtc_vring *ring, struct vrtc_chain *chain,
	struct walk *walk, const struct descriptor *table)
{
	uint32_t at = 0;
	uint64_t contig;
	const uint8_t *g_table;
	const char *fault = find_table(ring, table, &g_table, &contig);

	if (fault != NULL)
		return fault;
	for (;;) {
		struct descriptor desc = load_from_table(ring, table, g_table, contig, at);

		if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0)
			return "an indirect descriptor in an indirect table";
		fault = take_buffer(ring, chain, walk, &desc);
		if (fault != NULL || (desc.flags & VIRTQ_DESC_F_NEXT) == 0)
			return fault;
		at = desc.next;
		if (at >= table->bytes / DESC_BYTES)
			return "the next index of a descriptor is outside of its indirect table";
	}
}

/*
 * Walks the chain that begins at head. Returns a fault, or NULL. Not inlined into the pop, so that
 * the poll of an empty ring, by far the most frequent call, saves no registers for it: 29 instead
 * of 43 instructions (gcc 12 -O3). Branch hints on top of the two were measured and gained nothing.
 */
static __attribute__((noinline)) const char *take_chain(
	struct vrtc_vring *ring, struct vrtc_chain *chain, uint16_t head)
{
	struct walk walk = {.left = ring->size};
	uint16_t at = head;

	chain->id = head;
	chain->n_segments = 0;
	memset(chain->req, 0, sizeof(chain->req));

	for (;;) {
		struct descriptor desc =
			load_descriptor((const uint8_t *)ring->g_desc + (size_t)at * DESC_BYTES);
		const char *fault;

		if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0) {
			fault = take_indirect(ring, chain, &walk, &desc);
			if (fault != NULL)
				return fault;
			break;
		}
		fault = take_buffer(ring, chain, &walk, &desc);
		if (fault != NULL)
			return fault;
		if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0)
			break;
		at = desc.next;
		if (at >= ring->size)
			return "the next index of a descriptor is outside of the descriptor table";
	}

	return end_chain(ring, chain, &walk);
}

int vrtc_vring_split_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config)
{
	/* The event words lie behind the rings, and are touched with EVENT_IDX alone. */
	uint64_t event_bytes = config->event_idx ? sizeof(g_le16) : 0;
	uint64_t size = config->size;
	uint64_t used_bytes = sizeof(struct virtq_used) + size * sizeof(struct virtq_used_elem);
	uint16_t unserved;

	if ((size & (size - 1)) != 0 || (uintptr_t)config->g_driver % sizeof(g_le16) != 0 ||
		(uintptr_t)config->g_device % sizeof(g_le32) != 0)
		return -EINVAL;
	if (!vrtc_guestmem_holds(config->mem, config->g_driver,
		    sizeof(struct virtq_avail) + size * sizeof(g_le16) + event_bytes) ||
		!vrtc_guestmem_holds(config->mem, config->g_device, used_bytes + event_bytes))
		return -EFAULT;
	ring->dirty.device_bytes = used_bytes + event_bytes;

	/* Serving goes on where the used ring ends: see vring.h. */
	ring->used_next = load16(&((struct virtq_used *)config->g_device)->idx);
	unserved = (uint16_t)(config->base - ring->used_next);
	if (unserved > size) {
		ring->used_next = config->base;
		break_ring(ring, "the index of the used ring contradicts the base of the queue");
		return 0;
	}
	ring->avail_next = ring->used_next;
	ring->avail_seen = ring->used_next;
	ring->used_published = ring->used_next;
	ring->kind = VRTC_VRING_KIND_SPLIT;
	ring->fault = NULL;
	return 0;
}

/*
 * Looks how far the driver has come. It cannot have more chains under way than the ring has
 * entries, and one under way is one whose use we have not published: the driver has no way to know
 * of it. So no batch of ours can exceed the ring either. An index that went backwards is far ahead.
 */
static bool look_for_chains(struct vrtc_vring *ring)
{
	const struct virtq_avail *g_avail = ring->g_driver;
	uint16_t idx = le16toh(__atomic_load_n(&g_avail->idx, __ATOMIC_ACQUIRE)); /* A1 */
	uint16_t ahead = (uint16_t)(idx - ring->avail_next);
	uint16_t popped = (uint16_t)(ring->avail_next - ring->used_published);

	if (ahead > ring->size - popped) {
		break_ring(ring, "the available index is ahead by more than the queue's size");
		return false;
	}
	ring->avail_seen = idx;
	return ahead != 0;
}

enum vrtc_vring_result vrtc_vring_split_pop(struct vrtc_vring *ring, struct vrtc_chain *chain)
{
	const struct virtq_avail *g_avail = ring->g_driver;
	const char *fault;
	uint16_t head;

	/* The driver's index is looked at only when all it had announced is popped. */
	if (ring->avail_next == ring->avail_seen && !look_for_chains(ring))
		return ring->fault == NULL ? VRTC_VRING_EMPTY : VRTC_VRING_BROKEN;

	head = load16(&g_avail->ring[ring->avail_next & (ring->size - 1)]);
	if (head >= ring->size) {
		break_ring(ring, "the head of a chain is outside of the descriptor table");
		return VRTC_VRING_BROKEN;
	}
	fault = take_chain(ring, chain, head);
	if (fault != NULL) {
		break_ring(ring, fault);
		return VRTC_VRING_BROKEN;
	}
	chain->index = ring->avail_next++;
	return VRTC_VRING_CHAIN;
}

void vrtc_vring_split_push(struct vrtc_vring *ring, const struct vrtc_chain *chain,
	const void *resp, uint32_t resp_bytes)
{
	struct virtq_used *g_used = ring->g_device;
	struct virtq_used_elem *g_elem;

	assert(ring->used_next != ring->avail_next); /* something was popped */

	put_response(chain, resp, resp_bytes);
	g_elem = &g_used->ring[ring->used_next & (ring->size - 1)];
	__atomic_store_n(&g_elem->id, htole32((uint32_t)chain->id), __ATOMIC_RELAXED);
	__atomic_store_n(&g_elem->len, htole32(resp_bytes), __ATOMIC_RELAXED);
	ring->used_next++;
	if (is_logged(ring)) {
		vrtc_vring_mark_response(ring, chain, resp_bytes);
		mark(ring, g_elem, sizeof(*g_elem));
	}
}

bool vrtc_vring_split_publish(struct vrtc_vring *ring)
{
	const struct virtq_avail *g_avail = ring->g_driver;
	struct virtq_used *g_used = ring->g_device;
	uint16_t batch = (uint16_t)(ring->used_next - ring->used_published);
	uint16_t first = ring->used_published;
	bool wanted;

	if (batch == 0)
		return false;
	ring->used_published = ring->used_next;
	__atomic_store_n(&g_used->idx, htole16(ring->used_next), __ATOMIC_SEQ_CST); /* R1, F1 */

	if (!ring->event_idx) {
		uint16_t flags =
			le16toh(__atomic_load_n(&g_avail->flags, __ATOMIC_SEQ_CST)); /* F1 */

		wanted = (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
	} else {
		uint16_t used_event = le16toh(
			__atomic_load_n(&g_avail->ring[ring->size], __ATOMIC_SEQ_CST)); /* F1 */

		/* Is the entry of that index among [first, first + batch)? Modulo 2^16. */
		wanted = (uint16_t)(used_event - first) < batch;
	}
	if (is_logged(ring))
		mark(ring, &g_used->idx, sizeof(g_used->idx));
	return wanted;
}

void vrtc_vring_split_warm(const struct vrtc_vring *ring)
{
	const struct virtq_used *g_used = ring->g_device;

	(void)__atomic_load_n(
		&g_used->ring[ring->used_next & (ring->size - 1)].id, __ATOMIC_RELAXED);
}

/* After flags and avail_event, both or one, were written. */
static void mark_suppression(struct vrtc_vring *ring)
{
	struct virtq_used *g_used = ring->g_device;

	if (!is_logged(ring))
		return;
	mark(ring, &g_used->flags, sizeof(g_used->flags));
	if (ring->event_idx)
		mark(ring, &g_used->ring[ring->size], sizeof(g_le16));
}

static g_le16 *avail_event(struct vrtc_vring *ring)
{
	struct virtq_used *g_used = ring->g_device;

	return (g_le16 *)&g_used->ring[ring->size];
}

void vrtc_vring_split_kick_disable(struct vrtc_vring *ring)
{
	struct virtq_used *g_used = ring->g_device;

	if (ring->event_idx) {
		/* The entry just behind us: the driver comes by it after 65535 more chains. */
		store16(&g_used->flags, 0);
		store16(avail_event(ring), (uint16_t)(ring->avail_next - 1));
	} else {
		store16(&g_used->flags, VIRTQ_USED_F_NO_NOTIFY);
	}
	mark_suppression(ring);
}

bool vrtc_vring_split_kick_enable(struct vrtc_vring *ring)
{
	const struct virtq_avail *g_avail = ring->g_driver;
	struct virtq_used *g_used = ring->g_device;
	uint16_t idx;

	if (ring->event_idx) {
		store16(&g_used->flags, 0);
		__atomic_store_n(
			avail_event(ring), htole16(ring->avail_next), __ATOMIC_SEQ_CST); /* F2 */
	} else {
		__atomic_store_n(&g_used->flags, 0, __ATOMIC_SEQ_CST); /* F2 */
	}
	mark_suppression(ring);
	/* Not kept: the next pop looks again, and judges what it finds. */
	idx = le16toh(__atomic_load_n(&g_avail->idx, __ATOMIC_SEQ_CST)); /* F2 */
	return idx != ring->avail_next || ring->avail_seen != ring->avail_next;
}
