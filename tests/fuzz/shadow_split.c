/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-v1.4 Split Virtqueues.
 */
#include "fuzz.h"
#include "shadow.h"

static uint64_t desc_bytes(const struct shadow_ring *ring)
{
	return (uint64_t)16 * ring->size;
}

static uint64_t driver_bytes(const struct shadow_ring *ring)
{
	return 4 + (uint64_t)2 * ring->size + (ring->event_idx ? 2 : 0);
}

static uint64_t device_bytes(const struct shadow_ring *ring)
{
	return 4 + (uint64_t)8 * ring->size + (ring->event_idx ? 2 : 0);
}

/* A power of two, or 0, or something that is not allowed. */
static uint32_t size_of(uint8_t byte)
{
	return byte < 0xf0 ? 1u << byte % 9 : (uint32_t)(byte & 15) * 257;
}

static bool size_is_good(uint32_t size)
{
	return size > 0 && size <= 32768 && (size & (size - 1)) == 0;
}

static uint16_t avail_idx(const struct shadow_ring *ring)
{
	return (uint16_t)shadow_get(ring, ring->driver_gpa + 2, 2);
}

static uint64_t avail_entry(const struct shadow_ring *ring, uint32_t index)
{
	return ring->driver_gpa + 4 + (uint64_t)2 * (index % ring->size);
}

/* Rings that end at the base, or not. */
static uint16_t prepare(struct shadow_ring *ring, uint16_t base, bool device, bool driver)
{
	if (device)
		guest_space_write(ring->space, ring->device_gpa + 2, &base, 2);
	if (driver)
		guest_space_write(ring->space, ring->driver_gpa + 2, &base, 2);
	return base;
}

static void start(struct shadow_ring *ring, uint16_t base)
{
	uint16_t used = (uint16_t)shadow_get(ring, ring->device_gpa + 2, 2);

	ring->broken = false;
	/* "Serving begins where the used ring ends, at or before base", at most the ring's size. */
	for (uint32_t back = 0; back <= ring->size; back++) {
		if ((uint16_t)(base - back) == used) {
			ring->popped = ring->seen = ring->pushed = ring->published = used;
			return;
		}
	}
	ring->broken = true;
	ring->popped = ring->seen = ring->pushed = ring->published = base;
}

/* The chain's buffers, in order; false: it is none. */
static bool write_out(struct shadow_ring *ring, uint16_t head, struct shadow_list *list)
{
	uint64_t table = ring->desc_gpa;
	uint64_t entries = ring->size;
	bool in_indirect = false;
	uint64_t at = head;

	list->n = 0;
	for (;;) {
		struct shadow_buffer buffer;

		if (at >= entries)
			return false;
		buffer = shadow_get_descriptor(ring, table + 16 * at);
		if (buffer.flags & SHADOW_INDIRECT) {
			if (in_indirect || !ring->indirect || buffer.flags & SHADOW_NEXT ||
				buffer.bytes == 0 || buffer.bytes % 16 != 0 ||
				!guest_space_holds(ring->space, buffer.gpa, buffer.bytes))
				return false;
			in_indirect = true;
			table = buffer.gpa;
			entries = buffer.bytes / 16;
			at = 0;
			continue;
		}
		/* One more than there may be is enough to know. */
		if (list->n == ring->size)
			return false;
		list->buffer[list->n++] = buffer;
		if (!(buffer.flags & SHADOW_NEXT))
			return true;
		at = buffer.next;
	}
}

static enum vrtc_vring_result pop(struct shadow_ring *ring, struct shadow_chain *chain)
{
	static struct shadow_list list;
	uint16_t head;

	if (ring->broken)
		return VRTC_VRING_BROKEN;
	if (ring->popped == ring->seen) {
		uint16_t under_way = (uint16_t)(ring->popped - ring->published);
		uint16_t idx = avail_idx(ring);

		if ((uint16_t)(idx - ring->popped) + (uint32_t)under_way > ring->size) {
			ring->broken = true;
			return VRTC_VRING_BROKEN;
		}
		ring->seen = idx;
		if (ring->popped == idx)
			return VRTC_VRING_EMPTY;
	}
	head = (uint16_t)shadow_get(ring, avail_entry(ring, ring->popped), 2);
	if (!write_out(ring, head, &list) || !shadow_judge(ring, &list, chain)) {
		ring->broken = true;
		return VRTC_VRING_BROKEN;
	}
	chain->id = head;
	chain->index = ring->popped++;
	return VRTC_VRING_CHAIN;
}

static void push(struct shadow_ring *ring, const struct shadow_chain *chain, const uint8_t *resp,
	uint32_t resp_bytes)
{
	uint64_t entry = ring->device_gpa + 4 + (uint64_t)8 * (ring->pushed % ring->size);

	if (ring->broken)
		return;
	for (uint32_t i = 0; i < resp_bytes; i++)
		guest_space_expect(ring->space, chain->g_writable[i], resp[i]);
	shadow_expect(ring, entry, chain->id, 4);
	shadow_expect(ring, entry + 4, resp_bytes, 4);
	ring->pushed++;
}

static bool publish(struct shadow_ring *ring)
{
	uint16_t first = ring->published;
	uint16_t used_event;

	if (ring->broken || ring->pushed == ring->published)
		return false;
	ring->published = ring->pushed;
	shadow_expect(ring, ring->device_gpa + 2, ring->published, 2);
	if (!ring->event_idx)
		return !(shadow_get(ring, ring->driver_gpa, 2) & 1);
	used_event = (uint16_t)shadow_get(ring, ring->driver_gpa + 4 + (uint64_t)2 * ring->size, 2);
	for (uint16_t i = first; i != ring->published; i++)
		if (i == used_event)
			return true;
	return false;
}

static uint64_t avail_event(const struct shadow_ring *ring)
{
	return ring->device_gpa + 4 + (uint64_t)8 * ring->size;
}

static void kick_disable(struct shadow_ring *ring)
{
	if (ring->broken)
		return;
	shadow_expect(ring, ring->device_gpa, ring->event_idx ? 0 : 1, 2);
	if (ring->event_idx)
		shadow_expect(ring, avail_event(ring), (uint16_t)(ring->popped - 1), 2);
}

static bool is_waiting(const struct shadow_ring *ring)
{
	return !ring->broken && (avail_idx(ring) != ring->popped || ring->seen != ring->popped);
}

static bool kick_enable(struct shadow_ring *ring)
{
	if (ring->broken)
		return false;
	shadow_expect(ring, ring->device_gpa, 0, 2);
	if (ring->event_idx)
		shadow_expect(ring, avail_event(ring), ring->popped, 2);
	return is_waiting(ring);
}

static bool is_at_start(const struct shadow_ring *ring)
{
	return ring->published == 0;
}

/* "No note of ours in a packed ring's Device Area": there is none, and the used index survives. */
static void leave(struct shadow_ring *ring)
{
	(void)ring;
}

static void be_killed(struct shadow_ring *ring)
{
	(void)ring;
}

static void offer(struct shadow_ring *ring, uint16_t head)
{
	uint16_t idx = avail_idx(ring);
	uint8_t word[2] = {(uint8_t)head, (uint8_t)(head >> 8)};

	guest_space_write(ring->space, avail_entry(ring, idx), word, 2);
	idx++;
	word[0] = (uint8_t)idx;
	word[1] = (uint8_t)(idx >> 8);
	guest_space_write(ring->space, ring->driver_gpa + 2, word, 2);
}

const struct shadow_kind shadow_split = {
	.name = "split",
	.driver_align = 2,
	.device_align = 4,
	.size_of = size_of,
	.size_is_good = size_is_good,
	.desc_bytes = desc_bytes,
	.driver_bytes = driver_bytes,
	.device_bytes = device_bytes,
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
