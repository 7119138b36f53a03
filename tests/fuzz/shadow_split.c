/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-v1.4 Split Virtqueues. A chain is first written out as a list of its buffers, whatever
 * they are; then the list is judged.
 */
#include "fuzz.h"
#include "shadow.h"

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

#define SIZE_MAX_OF_A_QUEUE 32768

struct buffer {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct list {
	unsigned n;
	struct buffer buffer[SIZE_MAX_OF_A_QUEUE + 1];
};

static uint64_t get(const struct shadow_ring *ring, uint64_t gpa, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0) {
		const uint8_t *g_byte = guest_space_at(ring->space, gpa + bytes);

		FUZZ_CHECK(g_byte);
		value = value << 8 | guest_space_get(ring->space, g_byte);
	}
	return value;
}

static void expect(struct shadow_ring *ring, uint64_t gpa, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		guest_space_expect(ring->space, guest_space_at(ring->space, gpa + i),
			(uint8_t)(value >> 8 * i));
}

static struct buffer get_descriptor(const struct shadow_ring *ring, uint64_t gpa)
{
	return (struct buffer){
		.gpa = get(ring, gpa, 8),
		.bytes = (uint32_t)get(ring, gpa + 8, 4),
		.flags = (uint16_t)get(ring, gpa + 12, 2),
		.next = (uint16_t)get(ring, gpa + 14, 2),
	};
}

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

static uint16_t avail_idx(const struct shadow_ring *ring)
{
	return (uint16_t)get(ring, ring->driver_gpa + 2, 2);
}

static uint64_t avail_entry(const struct shadow_ring *ring, uint32_t index)
{
	return ring->driver_gpa + 4 + (uint64_t)2 * (index % ring->size);
}

static void start(struct shadow_ring *ring, uint16_t base)
{
	uint16_t used = (uint16_t)get(ring, ring->device_gpa + 2, 2);

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
static bool write_out(struct shadow_ring *ring, uint16_t head, struct list *list)
{
	uint64_t table = ring->desc_gpa;
	uint64_t entries = ring->size;
	bool in_indirect = false;
	uint64_t at = head;

	list->n = 0;
	for (;;) {
		struct buffer buffer;

		if (at >= entries)
			return false;
		buffer = get_descriptor(ring, table + 16 * at);
		if (buffer.flags & INDIRECT) {
			if (in_indirect || !ring->indirect || buffer.flags & NEXT ||
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
		if (!(buffer.flags & NEXT))
			return true;
		at = buffer.next;
	}
}

static bool judge(struct shadow_ring *ring, const struct list *list, struct shadow_chain *chain)
{
	uint64_t bytes[2] = {0, 0};
	bool write_seen = false;

	memset(chain->req, 0, sizeof(chain->req));
	chain->n_writable = 0;
	for (unsigned i = 0; i < list->n; i++) {
		const struct buffer *buffer = &list->buffer[i];
		bool write = buffer->flags & WRITE;

		if (write_seen && !write)
			return false;
		write_seen = write;
		if (!guest_space_holds(ring->space, buffer->gpa, buffer->bytes))
			return false;
		for (uint32_t k = 0; k < buffer->bytes && bytes[write] + k < 24; k++) {
			uint8_t *g_byte = guest_space_at(ring->space, buffer->gpa + k);

			if (write)
				chain->g_writable[chain->n_writable++] = g_byte;
			else
				chain->req[bytes[write] + k] = guest_space_get(ring->space, g_byte);
		}
		bytes[write] += buffer->bytes;
	}
	if (bytes[0] + bytes[1] > (uint64_t)1 << 32)
		return false;
	chain->readable_bytes = bytes[0] > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes[0];
	chain->writable_bytes = bytes[1] > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes[1];
	return true;
}

static enum vrtc_vring_result pop(struct shadow_ring *ring, struct shadow_chain *chain)
{
	static struct list list;
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
	head = (uint16_t)get(ring, avail_entry(ring, ring->popped), 2);
	if (!write_out(ring, head, &list) || !judge(ring, &list, chain)) {
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
	expect(ring, entry, chain->id, 4);
	expect(ring, entry + 4, resp_bytes, 4);
	ring->pushed++;
}

static bool publish(struct shadow_ring *ring)
{
	uint16_t first = ring->published;
	uint16_t used_event;

	if (ring->broken || ring->pushed == ring->published)
		return false;
	ring->published = ring->pushed;
	expect(ring, ring->device_gpa + 2, ring->published, 2);
	if (!ring->event_idx)
		return !(get(ring, ring->driver_gpa, 2) & 1);
	used_event = (uint16_t)get(ring, ring->driver_gpa + 4 + (uint64_t)2 * ring->size, 2);
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
	expect(ring, ring->device_gpa, ring->event_idx ? 0 : 1, 2);
	if (ring->event_idx)
		expect(ring, avail_event(ring), (uint16_t)(ring->popped - 1), 2);
}

static bool kick_enable(struct shadow_ring *ring)
{
	if (ring->broken)
		return false;
	expect(ring, ring->device_gpa, 0, 2);
	if (ring->event_idx)
		expect(ring, avail_event(ring), ring->popped, 2);
	return avail_idx(ring) != ring->popped || ring->seen != ring->popped;
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
	.desc_bytes = desc_bytes,
	.driver_bytes = driver_bytes,
	.device_bytes = device_bytes,
	.start = start,
	.pop = pop,
	.push = push,
	.publish = publish,
	.kick_disable = kick_disable,
	.kick_enable = kick_enable,
	.offer = offer,
};
