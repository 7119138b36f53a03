/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed virtqueues, the device's side.
 *
 * An entry of the ring is named as the base of a queue is: its offset, and the wrap counter in bit
 * 15. Two laps later it has the same name.
 *
 * Memory ordering (virtio-v1.4 Packed Virtqueues / Supplying Buffers to The Device, and / Receiving
 * Used Buffers From The Device):
 *
 *   A2  vrtc_vring_packed_pop(): acquire load of a descriptor's second word, in which the flags
 *       are. Pairs with the driver's barrier before it writes the flags of a chain's first
 *       descriptor. Whatever else is read of a chain is read after it.
 *   R2  show(): store of the used descriptor's second word, at least a release. Pairs with the
 *       driver's barrier between reading the flags, and reading id, length and the response.
 *   F3  vrtc_vring_packed_publish(): the last such store of a batch, then load of the driver's
 *       event suppression, neither to be reordered. Pairs with the driver's full barrier between
 *       writing that and reading the flags again.
 *   F4  vrtc_vring_packed_kick_enable(): store of our event suppression, then load of the next
 *       descriptor's flags, neither to be reordered. Pairs with the driver's full barrier between
 *       writing flags and reading our event suppression.
 *
 * F3 and F4 are sequentially consistent stores and loads, as in vring_split.c.
 *
 * The process can be killed between any two instructions, and the next one has to go on (D45). So
 *
 * - a descriptor becomes a used one by one store of 64 bits: length, id and flags. Nothing that is
 *   still needed to serve the request again is overwritten before that. Chains are shown one by
 *   one, in order: what was shown is always a prefix of what was pushed.
 * - where we are is written into our event suppression structure, which survives with the ring as a
 *   used index does. Its field desc means something to the driver with RING_EVENT_FLAGS_DESC
 *   alone, and then it is the next entry anyway. Otherwise it is a note: wrap counter << 15,
 *   SHOWING, offset + 1; zero, as the driver left it, is no note. SHOWING is set before a chain is
 *   shown and cleared, with the entry behind it, afterwards. Found set, the entry itself says
 *   whether the store was made, see settle().
 * - a used descriptor keeps VIRTQ_DESC_F_NEXT ("reserved in used descriptors, and should be ignored
 *   by drivers") where its chain was longer than one, so that settle() finds the chain's end.
 */
#include "vring.h"

#include <errno.h>

#include "vring_chain.h"
#include "vring_kinds.h"

#define VIRTQ_DESC_F_AVAIL (1u << 7)
#define VIRTQ_DESC_F_USED  (1u << 15)

#define RING_EVENT_FLAGS_ENABLE  0u
#define RING_EVENT_FLAGS_DISABLE 1u
#define RING_EVENT_FLAGS_DESC    2u
#define RING_EVENT_FLAGS         3u

#define WRAP           0x8000u
#define OFFSET         0x7fffu
/* Of a note. Larger rings are served without one: a base is all that is known of them. */
#define NOTE_SHOWING   0x4000u
#define NOTE_OFFSET    0x3fffu
#define NOTE_RING_SIZE 16383u

struct pvirtq_desc {
	g_le64 addr;
	g_le64 rest; /* len, id, flags */
};

_Static_assert(sizeof(struct pvirtq_desc) == DESC_BYTES, "wire size");

static struct pvirtq_desc *entry(const struct vrtc_vring *ring, uint16_t at)
{
	return (struct pvirtq_desc *)ring->g_desc + (at & OFFSET);
}

static uint16_t advance(const struct vrtc_vring *ring, uint16_t at, unsigned entries)
{
	unsigned offset = (at & OFFSET) + entries;

	if (offset < ring->size)
		return (uint16_t)(at + entries);
	return (uint16_t)((offset - ring->size) | (~at & WRAP));
}

/* How many entries `to` is behind `from`, 0..2 * size - 1. */
static unsigned distance(const struct vrtc_vring *ring, uint16_t from, uint16_t to)
{
	unsigned laps = (from ^ to) & WRAP ? ring->size : 0;
	unsigned behind = (to & OFFSET) + laps;
	unsigned offset = from & OFFSET;

	return behind >= offset ? behind - offset : behind + 2u * ring->size - offset;
}

static unsigned flags_of(uint64_t rest)
{
	return (unsigned)(rest >> 48);
}

/* Whether the driver has made the entry available, in the lap that its name is of. */
static bool is_available(unsigned flags, uint16_t at)
{
	bool wrap = at & WRAP;

	return !!(flags & VIRTQ_DESC_F_AVAIL) == wrap && !!(flags & VIRTQ_DESC_F_USED) != wrap;
}

static unsigned load_flags(const struct vrtc_vring *ring, uint16_t at)
{
	return flags_of(le64toh(__atomic_load_n(&entry(ring, at)->rest, __ATOMIC_RELAXED)));
}

/* ---- Our event suppression structure, and the note in it. */

static uint32_t note_of(const struct vrtc_vring *ring, uint16_t at, unsigned showing)
{
	if (ring->size > NOTE_RING_SIZE)
		return 0;
	return (at & WRAP) | showing | ((at & OFFSET) + 1u);
}

/* Release: no store that was made before comes behind a note. */
static void note(struct vrtc_vring *ring, uint16_t at, unsigned showing)
{
	/* The event that the driver was told, if it was, is not told any more: any will do. */
	if (ring->packed.suppression == RING_EVENT_FLAGS_DESC)
		ring->packed.suppression = RING_EVENT_FLAGS_ENABLE;
	__atomic_store_n((g_le32 *)ring->g_device,
		htole32(note_of(ring, at, showing) | ring->packed.suppression << 16),
		__ATOMIC_RELEASE);
}

static void mark_suppression(const struct vrtc_vring *ring)
{
	if (is_logged(ring))
		mark(ring, ring->g_device, sizeof(g_le32));
}

/*
 * The entry to go on with, where a predecessor was killed while it showed the chain at `at`. When
 * it began, the entry was available.
 */
static uint16_t settle(const struct vrtc_vring *ring, uint16_t at)
{
	unsigned flags = load_flags(ring, at);
	bool wrap = at & WRAP;
	unsigned entries = 0;

	if (!!(flags & VIRTQ_DESC_F_USED) != wrap)
		return at;
	if (!!(flags & VIRTQ_DESC_F_AVAIL) == wrap) {
		/* Used. What is behind it in its chain is as the driver left it. */
		do
			flags = load_flags(ring, advance(ring, at, entries++));
		while (flags & VIRTQ_DESC_F_NEXT && entries < ring->size);
		return advance(ring, at, entries);
	}
	/*
	 * Used, and the driver has made the entry available again: its ring is full, up to us. (Not
	 * quite where the chain was longer than one, and it filled the ring with chains of other
	 * lengths meanwhile. What is found then is the end of that chain; D45.)
	 */
	do
		entries++;
	while (entries < ring->size && is_available(load_flags(ring, advance(ring, at, entries)),
					       (uint16_t)(advance(ring, at, entries) ^ WRAP)));
	return advance(ring, at, entries);
}

/* Where a predecessor was, or what the front-end says. */
static uint16_t find_start(const struct vrtc_vring *ring, uint16_t base)
{
	uint32_t word = le32toh(__atomic_load_n((g_le32 *)ring->g_device, __ATOMIC_RELAXED));
	unsigned noted = (word & NOTE_OFFSET) - 1;

	/* Nothing that we write. */
	if (ring->size > NOTE_RING_SIZE || word >> 16 > RING_EVENT_FLAGS_DESC)
		return base;
	if (word >> 16 == RING_EVENT_FLAGS_DESC)
		return (word & OFFSET) < ring->size ? (uint16_t)word : base;
	if (noted >= ring->size)
		return base;
	noted |= word & WRAP;
	return word & NOTE_SHOWING ? settle(ring, (uint16_t)noted) : (uint16_t)noted;
}

int vrtc_vring_packed_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config)
{
	uint16_t at = config->base;

	if ((uintptr_t)config->g_driver % sizeof(g_le32) != 0 ||
		(uintptr_t)config->g_device % sizeof(g_le32) != 0)
		return -EINVAL;
	if (!vrtc_guestmem_holds(config->mem, config->g_driver, sizeof(g_le32)) ||
		!vrtc_guestmem_holds(config->mem, config->g_device, sizeof(g_le32)))
		return -EFAULT;
	ring->dirty.device_bytes = sizeof(g_le32);
	if ((at & OFFSET) >= ring->size) {
		break_ring(ring, "the base of the queue is outside of the ring");
		return 0;
	}

	at = find_start(ring, at);
	ring->avail_next = at;
	ring->used_next = at;
	ring->used_published = at;
	ring->kind = VRTC_VRING_KIND_PACKED;
	ring->fault = NULL;
	return 0;
}

void vrtc_vring_packed_leave(struct vrtc_vring *ring)
{
	if (ring->packed.suppression == RING_EVENT_FLAGS_DESC)
		ring->packed.suppression = RING_EVENT_FLAGS_ENABLE;
	__atomic_store_n((g_le32 *)ring->g_device, htole32(ring->packed.suppression << 16),
		__ATOMIC_RELAXED);
	mark_suppression(ring);
}

/* Whether the ring's last entry was never anything else than available for the first time. */
bool vrtc_vring_packed_is_at_start(const struct vrtc_vring *ring)
{
	uint16_t last = (uint16_t)(WRAP | (ring->size - 1u));
	const struct pvirtq_desc *g_last = entry(ring, last);
	uint64_t rest = le64toh(__atomic_load_n(&g_last->rest, __ATOMIC_RELAXED));

	if (ring->used_published != VRTC_VRING_PACKED_FIRST)
		return false;
	return is_available(flags_of(rest), last) ||
	       (rest == 0 && __atomic_load_n(&g_last->addr, __ATOMIC_RELAXED) == 0);
}

/* ---- From the driver. */

/* Returns a fault, or NULL. VIRTQ_DESC_F_WRITE is all that counts of the flags in a table. */
static const char *take_table(struct vrtc_vring *ring, struct vrtc_chain *chain, struct walk *walk,
	const struct descriptor *table)
{
	uint64_t contig;
	const uint8_t *g_table;
	const char *fault = find_table(ring, table, &g_table, &contig);

	for (uint32_t at = 0; fault == NULL && at < table->bytes / DESC_BYTES; at++) {
		struct descriptor desc = load_from_table(ring, table, g_table, contig, at);

		/* In a packed descriptor the flags are where a split one has the next index. */
		desc.flags = desc.next;
		fault = take_buffer(ring, chain, walk, &desc);
	}
	return fault;
}

static struct descriptor unpack(const struct vrtc_vring *ring, uint16_t at, uint64_t rest)
{
	return (struct descriptor){
		.gpa = le64toh(__atomic_load_n(&entry(ring, at)->addr, __ATOMIC_RELAXED)),
		.bytes = (uint32_t)rest,
		.flags = (uint16_t)flags_of(rest),
		.next = (uint16_t)(rest >> 32),
	};
}

/* Walks the chain whose first descriptor is available. Returns a fault, or NULL. */
static __attribute__((noinline)) const char *take_chain(
	struct vrtc_vring *ring, struct vrtc_chain *chain, uint64_t rest)
{
	struct walk walk = {.left = ring->size};
	/* The driver has no more entries: the others are under way to us, or from us. */
	unsigned room = ring->size - ring->packed.popped;
	uint16_t at = ring->avail_next;
	unsigned entries = 0;

	chain->n_segments = 0;
	memset(chain->req, 0, sizeof(chain->req));

	for (;;) {
		struct descriptor desc = unpack(ring, at, rest);
		const char *fault;

		if (++entries > room)
			return "a chain has more descriptors than its queue, or is a loop";
		if ((desc.flags & VIRTQ_DESC_F_INDIRECT) == 0) {
			fault = take_buffer(ring, chain, &walk, &desc);
		} else {
			if (entries > 1)
				return "an indirect descriptor is linked to a direct one";
			fault = take_table(ring, chain, &walk, &desc);
		}
		if (fault != NULL)
			return fault;
		chain->id = desc.next;
		at = advance(ring, at, 1);
		if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0)
			break;
		rest = le64toh(__atomic_load_n(&entry(ring, at)->rest, __ATOMIC_RELAXED));
		if (!is_available(flags_of(rest), at))
			return "a descriptor of a chain is not marked as available";
	}
	chain->entries = (uint16_t)entries;
	return end_chain(ring, chain, &walk);
}

bool vrtc_vring_packed_is_waiting(const struct vrtc_vring *ring)
{
	uint16_t at = ring->avail_next;

	/* Acquire, as A2: for vring_ahead.h. */
	return is_available(
		flags_of(le64toh(__atomic_load_n(&entry(ring, at)->rest, __ATOMIC_ACQUIRE))), at);
}

enum vrtc_vring_result vrtc_vring_packed_pop(struct vrtc_vring *ring, struct vrtc_chain *chain)
{
	uint16_t at = ring->avail_next;
	uint64_t rest = le64toh(__atomic_load_n(&entry(ring, at)->rest, __ATOMIC_ACQUIRE)); /* A2 */
	const char *fault;

	if (!is_available(flags_of(rest), at))
		return VRTC_VRING_EMPTY;
	fault = take_chain(ring, chain, rest);
	if (fault != NULL) {
		break_ring(ring, fault);
		return VRTC_VRING_BROKEN;
	}
	chain->index = at;
	ring->avail_next = advance(ring, at, chain->entries);
	ring->packed.popped = (uint16_t)(ring->packed.popped + chain->entries);
	return VRTC_VRING_CHAIN;
}

/* ---- To the driver. */

/* Makes the chain that is held a used one; order is as strong as a release. R2 */
static inline void show(struct vrtc_vring *ring, int order)
{
	struct pvirtq_desc *g_desc = entry(ring, ring->used_published);

	note(ring, ring->used_published, NOTE_SHOWING);
	if (order == __ATOMIC_SEQ_CST)
		__atomic_store_n(&g_desc->rest, ring->packed.held, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&g_desc->rest, ring->packed.held, __ATOMIC_RELEASE);
	ring->used_published = advance(ring, ring->used_published, ring->packed.held_entries);
	note(ring, ring->used_published, 0);

	ring->packed.popped = (uint16_t)(ring->packed.popped - ring->packed.held_entries);
	/* A quick driver goes on with what it sees, so this may be more than the ring has. */
	ring->packed.unsignalled += ring->packed.held_entries;
	ring->packed.held_entries = 0;
	if (is_logged(ring)) {
		mark(ring, g_desc, sizeof(*g_desc));
		mark_suppression(ring);
	}
}

void vrtc_vring_packed_push(struct vrtc_vring *ring, const struct vrtc_chain *chain,
	const void *resp, uint32_t resp_bytes)
{
	uint64_t flags = ring->used_next & WRAP ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0;

	assert(ring->used_next == chain->index); /* in the order of the pops */

	if (ring->packed.held_entries != 0)
		show(ring, __ATOMIC_RELEASE);
	put_response(chain, resp, resp_bytes);
	if (is_logged(ring))
		vrtc_vring_mark_response(ring, chain, resp_bytes);
	if (resp_bytes != 0)
		flags |= VIRTQ_DESC_F_WRITE;
	if (chain->entries > 1)
		flags |= VIRTQ_DESC_F_NEXT;
	ring->packed.held = htole64(resp_bytes | (uint64_t)chain->id << 32 | flags << 48);
	ring->packed.held_entries = chain->entries;
	ring->used_next = advance(ring, ring->used_next, chain->entries);
}

bool vrtc_vring_packed_publish(struct vrtc_vring *ring)
{
	unsigned batch;
	unsigned behind;
	uint32_t event;

	if (ring->packed.held_entries == 0)
		return false;
	show(ring, __ATOMIC_SEQ_CST); /* F3 */
	batch = ring->packed.unsignalled;
	ring->packed.unsignalled = 0;
	event = le32toh(__atomic_load_n((const g_le32 *)ring->g_driver, __ATOMIC_SEQ_CST)); /* F3 */

	switch (event >> 16 & RING_EVENT_FLAGS) {
	case RING_EVENT_FLAGS_DISABLE:
		return false;
	case RING_EVENT_FLAGS_DESC:
		if (!ring->event_idx || (event & OFFSET) >= ring->size)
			return true;
		break;
	default:
		return true;
	}
	/* How far back it is; of one that would be next, two laps: it has the same name. */
	behind = distance(ring, (uint16_t)event, ring->used_published);
	return behind == 0 ? batch >= 2u * ring->size : behind <= batch;
}

/* ---- Whether the driver is to notify us. */

void vrtc_vring_packed_kick_disable(struct vrtc_vring *ring)
{
	ring->packed.suppression = RING_EVENT_FLAGS_DISABLE;
	note(ring, ring->used_published, 0);
	mark_suppression(ring);
}

bool vrtc_vring_packed_kick_enable(struct vrtc_vring *ring)
{
	uint16_t at = ring->avail_next;
	uint32_t word = note_of(ring, ring->used_published, 0);

	ring->packed.suppression = RING_EVENT_FLAGS_ENABLE;
	/* Of a chain that is under way to the driver a note is worth more than an exact event. */
	if (ring->event_idx && ring->used_published == at) {
		ring->packed.suppression = RING_EVENT_FLAGS_DESC;
		word = at;
	}
	word |= ring->packed.suppression << 16;
	__atomic_store_n((g_le32 *)ring->g_device, htole32(word), __ATOMIC_SEQ_CST); /* F4 */
	mark_suppression(ring);
	return is_available(flags_of(le64toh(__atomic_load_n(
				    &entry(ring, at)->rest, __ATOMIC_SEQ_CST))), /* F4 */
		at);
}
