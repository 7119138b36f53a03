/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_rings.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define TABLE_BYTES 1024u
#define F_NEXT      1u
#define F_WRITE     2u
#define F_INDIRECT  4u
#define F_AVAIL     0x80u
#define F_USED      0x8000u

struct descriptor {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t third;
	uint16_t fourth;
};

static struct descriptor *descriptors(const struct guest_rings *guest)
{
	return (struct descriptor *)(void *)guest->g_mem;
}

void guest_rings_make(struct guest_rings *guest, bool packed)
{
	*guest = (struct guest_rings){.packed = packed, .g_mem = aligned_alloc(4096, GUEST_BYTES)};
	if (!guest->g_mem)
		abort();
	memset(guest->g_mem, 0, GUEST_BYTES);
}

void guest_rings_free(struct guest_rings *guest)
{
	free(guest->g_mem);
	guest->g_mem = NULL;
}

struct vrtc_session_ring guest_rings_queue(const struct guest_rings *guest)
{
	return (struct vrtc_session_ring){
		.g_desc = guest->g_mem,
		.g_avail = guest->g_mem + GUEST_DRIVER_AT,
		.g_used = guest->g_mem + GUEST_DEVICE_AT,
		.size = GUEST_QUEUE_SIZE,
		.base = guest->packed ? VRTC_VRING_PACKED_FIRST : 0,
		.kickfd = -1,
		.callfd = -1,
		.features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RTC_F_ALARM |
			    1ULL << VIRTIO_RING_F_INDIRECT_DESC |
			    (guest->packed ? 1ULL << VIRTIO_F_RING_PACKED : 0),
	};
}

/* Offers the descriptor `first` as the next entry of a split queue. */
static void make_available(struct guest_rings *guest, unsigned first)
{
	uint16_t *avail = (uint16_t *)(void *)(guest->g_mem + GUEST_DRIVER_AT);

	avail[2 + guest->offered] = htole16((uint16_t)first);
	guest->offered++;
	__atomic_store_n(&avail[1], htole16(guest->offered), __ATOMIC_RELEASE);
}

void guest_rings_offer(struct guest_rings *guest, uint16_t msg_type)
{
	unsigned i = guest->offered;
	uint8_t *request = guest->g_mem + GUEST_REQUEST_AT + i * GUEST_SLOT_BYTES;
	struct descriptor *d = &descriptors(guest)[2 * i];
	uint64_t request_gpa = GUEST_GPA + GUEST_REQUEST_AT + i * GUEST_SLOT_BYTES;
	uint64_t response_gpa = GUEST_GPA + GUEST_RESPONSE_AT + i * GUEST_SLOT_BYTES;

	memset(request, 0, GUEST_SLOT_BYTES);
	request[0] = (uint8_t)msg_type;
	request[1] = (uint8_t)(msg_type >> 8);
	if (guest->packed) {
		d[1] = (struct descriptor){response_gpa, 24, (uint16_t)i, F_AVAIL | F_WRITE};
		d[0] = (struct descriptor){request_gpa, 24, (uint16_t)i, 0};
		__atomic_store_n(&d[0].fourth, (uint16_t)(F_AVAIL | F_NEXT), __ATOMIC_RELEASE);
		guest->offered++;
		return;
	}
	d[0] = (struct descriptor){request_gpa, 24, F_NEXT, (uint16_t)(2 * i + 1)};
	d[1] = (struct descriptor){response_gpa, 24, F_WRITE, 0};
	make_available(guest, 2 * i);
}

void guest_rings_offer_long(struct guest_rings *guest, unsigned n)
{
	unsigned i = guest->offered;
	struct descriptor *table =
		(struct descriptor *)(void *)(guest->g_mem + GUEST_TABLES_AT + i * TABLE_BYTES);
	struct descriptor *d = &descriptors(guest)[i];
	uint64_t gpa = GUEST_GPA + GUEST_TABLES_AT + i * TABLE_BYTES;

	for (unsigned k = 0; k < n; k++) {
		bool last = k == n - 1;

		table[k] = (struct descriptor){
			GUEST_GPA + (last ? GUEST_RESPONSE_AT : GUEST_REQUEST_AT),
			k == 0 || last ? 24 : 0, last ? F_WRITE : F_NEXT, (uint16_t)(k + 1)};
		if (guest->packed)
			table[k].fourth = last ? F_WRITE : 0;
	}
	if (guest->packed) {
		*d = (struct descriptor){
			gpa, 16 * n, (uint16_t)i, (uint16_t)(F_AVAIL | F_INDIRECT)};
		guest->offered++;
		return;
	}
	*d = (struct descriptor){gpa, 16 * n, F_INDIRECT, 0};
	make_available(guest, i);
}

unsigned guest_rings_shown(const struct guest_rings *guest)
{
	unsigned n = 0;

	if (!guest->packed)
		return le16toh(
			__atomic_load_n((uint16_t *)(void *)(guest->g_mem + GUEST_DEVICE_AT + 2),
				__ATOMIC_ACQUIRE));
	/* Two entries each. */
	while (n < guest->offered &&
		__atomic_load_n(&descriptors(guest)[2 * n].fourth, __ATOMIC_ACQUIRE) & F_USED)
		n++;
	return n;
}
