/* SPDX-License-Identifier: BSD-3-Clause */
#include "near_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define GPA          0x100000u
#define BYTES        65536u
#define RING_SIZE    256u
#define DRIVER_AT    8192u
#define DEVICE_AT    16384u
#define TABLE_AT     24576u
#define REQUEST_AT   32768u
#define RESPONSE_AT  40960u
#define BUFFER_BYTES 24u
#define PIECES       4u

#define F_NEXT     1u
#define F_WRITE    2u
#define F_INDIRECT 4u
#define F_AVAIL    0x80u
#define F_USED     0x8000u

/* In both kinds of ring; little-endian, as the machines are that this is built for. */
struct entry {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags_or_id; /* split: flags */
	uint16_t next_or_flags;
};

static uint8_t *at(const struct perf_near_ring *r, unsigned offset)
{
	return r->g_mem + offset + r->at;
}

/* The i-th of n descriptors of the chain, as a split ring has it but for `next`. */
static struct entry piece(const struct perf_near_ring *r, unsigned i, unsigned n)
{
	unsigned each = n / 2;
	bool write = i >= each;
	unsigned bytes = each <= BUFFER_BYTES ? BUFFER_BYTES / each : 0;
	unsigned offset = (write ? RESPONSE_AT : REQUEST_AT) + (i % each) * bytes;

	return (struct entry){
		.gpa = GPA + r->at + offset,
		.bytes = bytes,
		.flags_or_id = (uint16_t)((write ? F_WRITE : 0) | (i + 1 < n ? F_NEXT : 0)),
		.next_or_flags = (uint16_t)(i + 1),
	};
}

static void put(void *g_entry, struct entry e)
{
	volatile struct entry *to = g_entry;

	to->gpa = e.gpa;
	to->bytes = e.bytes;
	to->flags_or_id = e.flags_or_id;
	/* The flags of a packed one: what makes it available. */
	__atomic_store_n(
		&((struct entry *)g_entry)->next_or_flags, e.next_or_flags, __ATOMIC_RELEASE);
}

static bool has_table(const struct perf_near_ring *r)
{
	return r->layout == PERF_NEAR_INDIRECT || r->layout == PERF_NEAR_LONG;
}

static void offer_split(struct perf_near_ring *r, unsigned n)
{
	struct entry *g_desc = (struct entry *)at(r, 0);
	uint16_t *g_avail = (uint16_t *)at(r, DRIVER_AT);

	if (has_table(r)) {
		for (unsigned i = 0; i < n; i++)
			put(at(r, TABLE_AT + i * 16), piece(r, i, n));
		put(g_desc, (struct entry){GPA + r->at + TABLE_AT, n * 16, F_INDIRECT, 0});
	} else {
		for (unsigned i = 0; i < n; i++)
			put(&g_desc[i], piece(r, i, n));
	}
	*(volatile uint16_t *)&g_avail[2 + r->driver_next % RING_SIZE] = 0;
	r->driver_next++;
	__atomic_store_n(&g_avail[1], r->driver_next, __ATOMIC_RELEASE);
}

static struct entry packed(struct entry e, unsigned flags, bool first_lap)
{
	e.flags_or_id = 0;
	e.next_or_flags = (uint16_t)(flags | (first_lap ? F_AVAIL : F_USED));
	return e;
}

static void offer_packed(struct perf_near_ring *r, unsigned n)
{
	struct entry *g_desc = (struct entry *)at(r, 0);
	unsigned offset = r->driver_next % RING_SIZE;
	bool first_lap = r->driver_next / RING_SIZE % 2 == 0;

	if (has_table(r)) {
		for (unsigned i = 0; i < n; i++) {
			struct entry e = piece(r, i, n);

			put(at(r, TABLE_AT + i * 16),
				(struct entry){e.gpa, e.bytes, 0, e.flags_or_id & F_WRITE});
		}
		put(&g_desc[offset], packed((struct entry){GPA + r->at + TABLE_AT, n * 16, 0, 0},
					     F_INDIRECT, first_lap));
		r->driver_next++;
		return;
	}
	/* The first of the chain last, which makes it available. */
	for (unsigned i = n; i-- > 0;) {
		struct entry e = piece(r, i, n);

		put(&g_desc[offset + i], packed(e, e.flags_or_id, first_lap));
	}
	r->driver_next = (uint16_t)(r->driver_next + n);
}

void perf_near_ring_offer(struct perf_near_ring *r)
{
	unsigned n = r->layout == PERF_NEAR_PIECES ? 2 * PIECES
		     : r->layout == PERF_NEAR_LONG ? RING_SIZE
						   : 2;

	if (r->packed)
		offer_packed(r, n);
	else
		offer_split(r, n);
}

int perf_near_ring_look(struct perf_near_ring *r)
{
	if (r->packed) {
		struct entry *g_desc = (struct entry *)at(r, 0);
		uint16_t flags = __atomic_load_n(
			&g_desc[r->taken % RING_SIZE].next_or_flags, __ATOMIC_ACQUIRE);
		bool first_lap = r->taken / RING_SIZE % 2 == 0;

		if (!(flags & F_USED) == first_lap || !(flags & F_AVAIL) == first_lap)
			return -1;
	} else {
		uint16_t *g_used = (uint16_t *)at(r, DEVICE_AT);

		if ((int16_t)(__atomic_load_n(&g_used[1], __ATOMIC_ACQUIRE) - r->taken) <= 0)
			return -1;
	}
	r->taken = (uint16_t)(r->taken + r->entries);
	return *(volatile uint8_t *)at(r, RESPONSE_AT);
}

int perf_near_ring_look_at_last(struct perf_near_ring *r)
{
	r->taken = (uint16_t)(r->driver_next - r->entries);
	return perf_near_ring_look(r);
}

void perf_near_ring_set(struct perf_near_ring *r, const struct perf_near_request *request)
{
	memcpy(at(r, REQUEST_AT), request, sizeof(*request));
}

int perf_near_ring_init(struct perf_near_ring *r, const struct vrtc_device *device,
	const struct vrtc_timesource *source, bool packed, enum perf_near_layout layout,
	unsigned seed)
{
	const struct vrtc_counter_config counter = {.choice = VRTC_COUNTER_OFFSET};
	struct vrtc_session_ring ring;
	struct vrtc_session *s;
	char what[VRTC_GUEST_COUNTER_WHAT_BYTES];
	const struct vrtc_peer_process nobody = {0};
	const char *why;

	memset(r, 0, sizeof(*r));
	r->layout = layout;
	r->packed = packed;
	r->entries = !packed || has_table(r) ? 1 : layout == PERF_NEAR_DIRECT ? 2 : 2 * PIECES;
	r->at = seed * 5 % 16 * VRTC_SESSION_ALIGN;
	r->g_mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (r->g_mem == MAP_FAILED)
		return -ENOMEM;
	s = aligned_alloc(VRTC_SESSION_ALIGN, sizeof(*s));
	if (!s) {
		(void)munmap(r->g_mem, BYTES);
		return -ENOMEM;
	}
	memset(s, 0, sizeof(*s));
	r->session = s;
	s->device = device;
	s->time = source;
	s->attention_fd = -1;
	vrtc_guest_counter_init(&s->counter, &counter, source->pairing);
	vrtc_guest_counter_start(&s->counter, &nobody, what);
	if (vrtc_guestmem_add(&s->mem, GPA, BYTES, r->g_mem))
		goto fail;
	ring = (struct vrtc_session_ring){
		.g_desc = at(r, 0),
		.g_avail = at(r, DRIVER_AT),
		.g_used = at(r, DEVICE_AT),
		.size = RING_SIZE,
		.base = packed ? VRTC_VRING_PACKED_FIRST : 0,
		.kickfd = -1,
		.callfd = -1,
		.features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
			    (packed ? 1ULL << VIRTIO_F_RING_PACKED : 0),
	};
	/* The driver wants no signals. */
	*(uint16_t *)at(r, DRIVER_AT + (packed ? 2 : 0)) = 1;
	if (vrtc_session_start(s, &ring, &why))
		goto fail;
	return 0;
fail:
	perf_near_ring_fini(r);
	return -EINVAL;
}

void perf_near_ring_fini(struct perf_near_ring *r)
{
	free(r->session);
	(void)munmap(r->g_mem, BYTES);
}
