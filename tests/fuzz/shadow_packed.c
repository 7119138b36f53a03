/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-v1.4 Packed Virtqueues, and the notes of D45.
 *
 * A position counts the descriptors since the ring's first lap began, so that it has a lap and an
 * offset, and the wrap counter is 1 in even laps. What others know a position by is its name:
 * offset and wrap counter, as in the event suppression structures.
 */
#include "fuzz.h"
#include "shadow.h"

enum { AVAIL = 1 << 7, USED = 1 << 15 };
enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };

/* A note has 14 bits for the offset + 1. */
#define LARGEST_WITH_NOTES 16383

static uint64_t desc_bytes(const struct shadow_ring *ring)
{
	return (uint64_t)16 * ring->size;
}

static uint64_t event_bytes(const struct shadow_ring *ring)
{
	(void)ring;
	return 4;
}

static uint32_t size_of(uint8_t byte)
{
	static const uint32_t large[] = {16383, 16384, 32767, 32768, 0, 32769, 65535, 511};

	if (byte < 0xf0)
		return byte < 0x40 ? byte % 8 + 1u : byte;
	return byte < 0xf8 ? 1u << (byte & 7) : large[byte & 7];
}

static bool size_is_good(uint32_t size)
{
	return size > 0 && size <= 32768;
}

static bool wrap_at(const struct shadow_ring *ring, uint64_t position)
{
	return position / ring->size % 2 == 0;
}

static uint16_t name_of(const struct shadow_ring *ring, uint64_t position)
{
	return (uint16_t)(position % ring->size + (wrap_at(ring, position) ? 0x8000 : 0));
}

/* Of the first two laps. */
static uint64_t position_of(const struct shadow_ring *ring, uint16_t name)
{
	return (name & 0x7fff) + (name & 0x8000 ? 0 : ring->size);
}

static uint64_t entry_gpa(const struct shadow_ring *ring, uint64_t position)
{
	return ring->desc_gpa + position % ring->size * 16;
}

static unsigned flags_at(const struct shadow_ring *ring, uint64_t position)
{
	return (unsigned)shadow_get(ring, entry_gpa(ring, position) + 14, 2);
}

/* "the driver sets the AVAIL bit to match [its] wrap counter [and] USED to match the inverse" */
static bool is_available(const struct shadow_ring *ring, uint64_t position)
{
	unsigned flags = flags_at(ring, position) & (AVAIL | USED);

	return flags == (wrap_at(ring, position) ? AVAIL : USED);
}

/* "the device sets the USED bit to match [its] wrap counter [and] AVAIL to match the same value" */
static bool is_used(const struct shadow_ring *ring, uint64_t position)
{
	unsigned flags = flags_at(ring, position) & (AVAIL | USED);

	return flags == (wrap_at(ring, position) ? AVAIL | USED : 0);
}

/*
 * A process was killed while it showed the chain at this position: how many entries further did it
 * get?
 */
static unsigned entries_shown(const struct shadow_ring *ring, uint64_t position)
{
	unsigned n;

	if (is_used(ring, position)) {
		/* "keeps NEXT where its chain was longer than one"; the others are the driver's. */
		for (n = 1; n < ring->size; n++)
			if (!(flags_at(ring, position + n - 1) & SHADOW_NEXT))
				break;
		return n;
	}
	if (!is_available(ring, position + ring->size))
		return 0;
	/* It was shown, and the driver has gone on, as far as it could. */
	for (n = 1; n < ring->size; n++)
		if (!is_available(ring, position + n + ring->size))
			break;
	return n;
}

static uint16_t prepare(struct shadow_ring *ring, uint16_t base, bool device, bool driver)
{
	/* Where all rings begin; somewhere in the ring; anywhere. */
	if (device || ring->size == 0)
		return 0x8000;
	return driver ? (uint16_t)((base & 0x8000) + (base & 0x7fff) % ring->size) : base;
}

static void start(struct shadow_ring *ring, uint16_t base)
{
	uint16_t desc = (uint16_t)shadow_get(ring, ring->device_gpa, 2);
	uint16_t event = (uint16_t)shadow_get(ring, ring->device_gpa + 2, 2);
	unsigned noted = desc & 0x3fff;
	uint64_t at;

	memset(&ring->packed, 0, sizeof(ring->packed));
	ring->published = base;
	ring->broken = (base & 0x7fff) >= ring->size;
	if (ring->broken)
		return;
	at = position_of(ring, base);
	if (ring->size <= LARGEST_WITH_NOTES && event == EVENT_DESC) {
		if ((desc & 0x7fff) < ring->size)
			at = position_of(ring, desc);
	} else if (ring->size <= LARGEST_WITH_NOTES && event <= EVENT_DISABLE && noted != 0 &&
		   noted <= ring->size) {
		at = position_of(ring, (uint16_t)((desc & 0x8000) + noted - 1));
		if (desc & 0x4000)
			at += entries_shown(ring, at);
	}
	ring->packed.popped = ring->packed.pushed = at;
	ring->packed.shown = ring->packed.signalled = at;
	ring->published = name_of(ring, at);
}

/* The list's buffers, in order, its id and its entries; false: it is none. */
static bool write_out(
	struct shadow_ring *ring, struct shadow_list *list, uint16_t *id, uint16_t *entries)
{
	/* What was popped and not shown is ours, and not the driver's to make available. */
	uint64_t end = ring->packed.shown + ring->size;
	uint64_t at = ring->packed.popped;
	struct shadow_buffer buffer;
	bool more;

	list->n = 0;
	do {
		if (at >= end || !is_available(ring, at))
			return false;
		buffer = shadow_get_descriptor(ring, entry_gpa(ring, at));
		*id = buffer.flags;
		buffer.flags = buffer.next;
		more = buffer.flags & SHADOW_NEXT;
		if (!(buffer.flags & SHADOW_INDIRECT)) {
			list->buffer[list->n++] = buffer;
		} else {
			/* "each list only contains descriptors of a given type" */
			if (more || at != ring->packed.popped || !ring->indirect ||
				buffer.bytes == 0 || buffer.bytes % 16 != 0 ||
				buffer.bytes / 16 > ring->size ||
				!guest_space_holds(ring->space, buffer.gpa, buffer.bytes))
				return false;
			for (uint32_t i = 0; i < buffer.bytes / 16; i++) {
				struct shadow_buffer *one = &list->buffer[list->n++];

				*one = shadow_get_descriptor(ring, buffer.gpa + (uint64_t)16 * i);
				/* WRITE is "the only valid flag" in a table. */
				one->flags = one->next & SHADOW_WRITE;
			}
		}
		at++;
	} while (more);
	*entries = (uint16_t)(at - ring->packed.popped);
	return true;
}

static enum vrtc_vring_result pop(struct shadow_ring *ring, struct shadow_chain *chain)
{
	static struct shadow_list list;

	if (ring->broken)
		return VRTC_VRING_BROKEN;
	if (!is_available(ring, ring->packed.popped))
		return VRTC_VRING_EMPTY;
	if (!write_out(ring, &list, &chain->id, &chain->entries) ||
		!shadow_judge(ring, &list, chain)) {
		ring->broken = true;
		return VRTC_VRING_BROKEN;
	}
	chain->index = name_of(ring, ring->packed.popped);
	ring->packed.popped += chain->entries;
	return VRTC_VRING_CHAIN;
}

/* The whole of our event suppression structure; a note, where desc has no other meaning. */
static void expect_event(struct shadow_ring *ring, unsigned event, bool showing)
{
	uint16_t desc = 0;

	if (event == EVENT_DESC)
		desc = name_of(ring, ring->packed.popped);
	else if (ring->size <= LARGEST_WITH_NOTES)
		desc = (uint16_t)(name_of(ring, ring->packed.shown) + 1 + (showing ? 0x4000 : 0));
	ring->packed.suppression = event;
	shadow_expect(ring, ring->device_gpa, desc | (uint64_t)event << 16, 4);
}

static void show(struct shadow_ring *ring)
{
	unsigned event = ring->packed.suppression == EVENT_DISABLE ? EVENT_DISABLE : EVENT_ENABLE;

	if (ring->packed.held == 0)
		return;
	/* In this order, which is seen where areas overlap. */
	expect_event(ring, event, true);
	shadow_expect(
		ring, entry_gpa(ring, ring->packed.shown) + 8, ring->packed.held_descriptor, 8);
	ring->packed.shown += ring->packed.held;
	ring->packed.held = 0;
	expect_event(ring, event, false);
	ring->published = name_of(ring, ring->packed.shown);
}

static void push(struct shadow_ring *ring, const struct shadow_chain *chain, const uint8_t *resp,
	uint32_t resp_bytes)
{
	uint64_t flags = wrap_at(ring, ring->packed.pushed) ? AVAIL | USED : 0;

	if (ring->broken)
		return;
	/* "Of a batch in a packed ring it sees all but the last as they come" */
	show(ring);
	for (uint32_t i = 0; i < resp_bytes; i++)
		guest_space_expect(ring->space, chain->g_writable[i], resp[i]);
	/* "whether any data has been written by the device" */
	if (resp_bytes > 0)
		flags |= SHADOW_WRITE;
	if (chain->entries > 1)
		flags |= SHADOW_NEXT;
	ring->packed.held_descriptor = flags << 48 | (uint64_t)chain->id << 32 | resp_bytes;
	ring->packed.held = chain->entries;
	ring->packed.pushed += chain->entries;
}

static bool publish(struct shadow_ring *ring)
{
	uint64_t first = ring->packed.signalled;
	uint16_t desc;

	if (ring->broken || ring->packed.held == 0)
		return false;
	show(ring);
	ring->packed.signalled = ring->packed.shown;
	desc = (uint16_t)shadow_get(ring, ring->driver_gpa, 2);
	switch (shadow_get(ring, ring->driver_gpa + 2, 2) & 3) {
	case EVENT_DISABLE:
		return false;
	case EVENT_DESC:
		/* "Only valid if EVENT_IDX has been negotiated"; and no entry, no suppression. */
		if (!ring->event_idx || (desc & 0x7fff) >= ring->size)
			return true;
		for (uint64_t i = first; i < ring->packed.shown; i++)
			if (name_of(ring, i) == desc)
				return true;
		return false;
	default:
		return true;
	}
}

static void kick_disable(struct shadow_ring *ring)
{
	if (!ring->broken)
		expect_event(ring, EVENT_DISABLE, false);
}

static bool is_waiting(const struct shadow_ring *ring)
{
	return !ring->broken && is_available(ring, ring->packed.popped);
}

static bool kick_enable(struct shadow_ring *ring)
{
	bool exact = ring->event_idx && ring->packed.shown == ring->packed.popped;

	if (!ring->broken)
		expect_event(ring, exact ? EVENT_DESC : EVENT_ENABLE, false);
	return is_waiting(ring);
}

static bool is_at_start(const struct shadow_ring *ring)
{
	uint64_t last = entry_gpa(ring, ring->size - 1);

	return ring->published == 0x8000 &&
	       (is_available(ring, ring->size - 1) ||
		       (shadow_get(ring, last, 8) == 0 && shadow_get(ring, last + 8, 8) == 0));
}

static void leave(struct shadow_ring *ring)
{
	unsigned event = ring->packed.suppression;

	if (ring->broken)
		return;
	if (event == EVENT_DESC)
		event = EVENT_ENABLE;
	ring->packed.suppression = event;
	shadow_expect(ring, ring->device_gpa, (uint64_t)event << 16, 4);
}

/* Before the store that shows the chain at published, or behind it. */
static void be_killed(struct shadow_ring *ring)
{
	uint16_t note = (uint16_t)((name_of(ring, ring->packed.shown) + 1) | 0x4000);
	uint8_t bytes[4] = {(uint8_t)note, (uint8_t)(note >> 8), 0, 0};

	if (ring->size <= LARGEST_WITH_NOTES)
		guest_space_write(ring->space, ring->device_gpa, bytes, sizeof(bytes));
}

/*
 * A list of the descriptors that are in the next free entries, as they are but for the flags that
 * make it a list: of 1 to 4, or to the size. Of 7, nothing but
 * AVAIL and USED is set.
 */
static void offer(struct shadow_ring *ring, uint16_t head)
{
	unsigned n = 1 + (head < 8 ? head & 3u : head % ring->size);
	uint64_t at = ring->packed.popped;

	if (ring->broken)
		return;
	for (unsigned i = 0; i < ring->size && is_available(ring, at); i++)
		at++;
	for (unsigned i = n; i-- > 0;) {
		unsigned flags = flags_at(ring, at + i) & ~(unsigned)(AVAIL | USED);
		uint8_t bytes[2];

		flags |= wrap_at(ring, at + i) ? AVAIL : USED;
		if (head != 7)
			flags = i + 1 == n ? flags & ~(unsigned)SHADOW_NEXT : flags | SHADOW_NEXT;
		bytes[0] = (uint8_t)flags;
		bytes[1] = (uint8_t)(flags >> 8);
		guest_space_write(ring->space, entry_gpa(ring, at + i) + 14, bytes, 2);
	}
}

const struct shadow_kind shadow_packed = {
	.name = "packed",
	.driver_align = 4,
	.device_align = 4,
	.size_of = size_of,
	.size_is_good = size_is_good,
	.desc_bytes = desc_bytes,
	.driver_bytes = event_bytes,
	.device_bytes = event_bytes,
	.prepare = prepare,
	.start = start,
	.pop = pop,
	.push = push,
	.publish = publish,
	.kick_disable = kick_disable,
	.kick_enable = kick_enable,
	.is_waiting = is_waiting,
	.is_at_start = is_at_start,
	.leave = leave,
	.be_killed = be_killed,
	.offer = offer,
};
