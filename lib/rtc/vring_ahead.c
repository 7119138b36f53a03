/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_ahead.h"

#include "vring_chain.h"

#define DRIVER_RING_AT 4 /* entries of 2 bytes in the available ring */
#define DEVICE_RING_AT 4 /* entries of 8 bytes in the used ring */

static void fetch(const void *g_at)
{
	__builtin_prefetch(g_at, 0);
}

/* For what we will write: the line comes without the other CPU's copy, which would cost again. */
static void fetch_to_write(const void *g_at)
{
#ifdef __x86_64__
	/*
	 * A compiler makes a plain prefetch of it unless the CPU is known to have this one;
	 * those of this architecture that do not have it take it for a NOP.
	 */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)g_at));
#else
	__builtin_prefetch(g_at, 1);
#endif
}

static void begin(const struct vrtc_vring *ring, struct vrtc_vring_ahead *ahead)
{
	const uint8_t *g_desc = ring->g_desc;

	*ahead = (struct vrtc_vring_ahead){.g_desc = g_desc};
	if (ring->kind == VRTC_VRING_KIND_PACKED) {
		ahead->g_desc += (size_t)(ring->avail_next & INT16_MAX) * DESC_BYTES;
		fetch_to_write(ahead->g_desc);
		return;
	}
	fetch((const uint8_t *)ring->g_driver + DRIVER_RING_AT +
		(size_t)(ring->avail_next & (ring->size - 1)) * 2);
	fetch_to_write((const uint8_t *)ring->g_device + DEVICE_RING_AT +
		       (size_t)(ring->used_next & (ring->size - 1)) * 8);
}

static void fetch_descriptor(const struct vrtc_vring *ring, struct vrtc_vring_ahead *ahead)
{
	const g_le16 *g_entry;
	uint16_t head;

	if (ring->kind == VRTC_VRING_KIND_PACKED)
		return;
	g_entry = (const g_le16 *)((const uint8_t *)ring->g_driver + DRIVER_RING_AT) +
		  (ring->avail_next & (ring->size - 1));
	head = le16toh(__atomic_load_n(g_entry, __ATOMIC_RELAXED));
	ahead->g_desc =
		(const uint8_t *)ring->g_desc + (size_t)(head & (ring->size - 1)) * DESC_BYTES;
	fetch(ahead->g_desc);
}

/* Where the chain goes on behind a descriptor of the ring, or of a table of two or more. */
static const uint8_t *follow(const struct vrtc_vring *ring, const struct vrtc_vring_ahead *ahead,
	const struct descriptor *desc)
{
	const uint8_t *g_desc = ring->g_desc;
	const uint8_t *g_next = ahead->g_desc + DESC_BYTES;

	if (ahead->in_table)
		return g_next;
	if (ring->kind == VRTC_VRING_KIND_PACKED)
		return g_next < g_desc + (size_t)ring->size * DESC_BYTES ? g_next : g_desc;
	return g_desc + (size_t)(desc->next & (ring->size - 1)) * DESC_BYTES;
}

static struct descriptor load(const struct vrtc_vring *ring, const uint8_t *g_desc)
{
	struct descriptor desc = load_descriptor(g_desc);

	/* There, the flags are where a split one has the next index. */
	if (ring->kind == VRTC_VRING_KIND_PACKED)
		desc.flags = desc.next;
	return desc;
}

static const uint8_t *find(const struct vrtc_vring *ring, uint64_t gpa, uint64_t bytes)
{
	uint8_t near = ring->near;
	uint64_t contig;
	const uint8_t *g_at = vrtc_guestmem_map_near(ring->mem, &near, gpa, bytes, &contig);

	return g_at != NULL && contig == bytes ? g_at : NULL;
}

static void fetch_buffer(const struct vrtc_vring *ring, const struct descriptor *desc)
{
	const uint8_t *g_buffer = find(ring, desc->gpa, 1);

	if (g_buffer == NULL)
		return;
	if ((desc->flags & VIRTQ_DESC_F_WRITE) != 0)
		fetch_to_write(g_buffer);
	else
		fetch(g_buffer);
}

/* A request to this device has two buffers, nearly always, one each way. */
static void fetch_buffers(const struct vrtc_vring *ring, struct vrtc_vring_ahead *ahead)
{
	struct descriptor first = load(ring, ahead->g_desc);
	struct descriptor second;

	if (!ahead->in_table && (first.flags & VIRTQ_DESC_F_INDIRECT) != 0) {
		ahead->g_desc = first.bytes >= 2 * DESC_BYTES
					? find(ring, first.gpa, 2 * DESC_BYTES)
					: NULL;
		ahead->in_table = true;
		if (ahead->g_desc != NULL)
			fetch(ahead->g_desc);
		return;
	}
	fetch_buffer(ring, &first);
	if (ahead->in_table || (first.flags & VIRTQ_DESC_F_NEXT) != 0) {
		second = load(ring, follow(ring, ahead, &first));
		fetch_buffer(ring, &second);
	}
	ahead->g_desc = NULL;
}

void vrtc_vring_ahead(const struct vrtc_vring *ring, unsigned step, struct vrtc_vring_ahead *ahead)
{
	if (step == 1)
		begin(ring, ahead);
	else if (step == 2)
		fetch_descriptor(ring, ahead);
	else if (ahead->g_desc != NULL)
		fetch_buffers(ring, ahead);
}
