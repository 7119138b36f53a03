/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split virtqueues, the device's side.
 *
 * Memory ordering. Every access to memory that the driver may touch at the same time is an atomic
 * of this file; those that order anything are these, and each has its counterpart in the driver
 * (virtio-v1.4 Split Virtqueues / Supplying Buffers to The Device, and / Receiving Used Buffers
 * From The Device):
 *
 *   A1  look_for_chains(): acquire load of avail->idx. Pairs with the driver's barrier between
 *       writing descriptors and available ring, and writing avail->idx. Whatever is read of a
 *       chain is read after it.
 *   R1  vrtc_vring_publish(): store of used->idx, at least a release. Pairs with the driver's
 *       barrier between reading used->idx, and reading the used entries and the responses.
 *   F1  vrtc_vring_publish(): store of used->idx, then load of avail->flags or used_event, neither
 *       to be reordered. Pairs with the driver's full barrier between writing flags or used_event,
 *       and reading used->idx again: one of the two sees the other, and no signal is lost.
 *   F2  vrtc_vring_kick_enable(): store of used->flags or avail_event, then load of avail->idx,
 *       neither to be reordered. Pairs with the driver's full barrier between writing avail->idx,
 *       and reading flags or avail_event: one of the two sees the other, and no kick is lost.
 *
 * F1 and F2 are sequentially consistent stores and loads and not a fence between relaxed ones: an
 * equal guarantee against a driver with fences, one locked exchange on x86 and a store-release and
 * a load-acquire on arm64, and ThreadSanitizer understands them. All other accesses are relaxed:
 * they order nothing, they are atomic so that each is made exactly once, whatever the driver does
 * meanwhile. A descriptor is two such loads; one that a driver changes in between is a mixture of
 * two, which is checked like any other.
 *
 * What a driver does in spite of a MUST NOT breaks the ring where it is seen at no cost; nothing is
 * guessed. Three places where the text leaves room:
 *
 * - Length of a chain: "A driver MUST NOT create a descriptor chain longer than the Queue Size of
 *   the device", wherever its descriptors are. So all descriptors that describe a buffer are
 *   counted, direct and indirect ones together, and more than size of them break the ring; the one
 *   that refers to a table describes no buffer and does not count. This alone bounds the work, for
 *   what is longer than its own table is a loop, and a loop is longer than any number.
 * - A descriptor of length 0 is not forbidden. It adds no byte, and its address is never looked at;
 *   it counts, and its WRITE flag takes part in "device-writable after device-readable".
 * - "Drivers MUST NOT add a descriptor chain longer than 2^32 bytes in total": readable and
 *   writable together. A total of 2^32 is allowed, and saturates.
 */
#include "vring.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* The numbers of virtio-v1.4 Split Virtqueues. */
#define VIRTQ_DESC_F_NEXT          1
#define VIRTQ_DESC_F_WRITE         2
#define VIRTQ_DESC_F_INDIRECT      4
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#define VIRTQ_USED_F_NO_NOTIFY     1

#define RING_SIZE_MAX     32768
#define DESC_BYTES        16
#define CHAIN_BYTES_LIMIT ((uint64_t)1 << 32)

/* Words in guest memory: little-endian, and they alias whatever the guest keeps there. */
typedef uint16_t __attribute__((may_alias)) g_le16;
typedef uint32_t __attribute__((may_alias)) g_le32;
typedef uint64_t __attribute__((may_alias)) g_le64;

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

/* The private copy of a descriptor, in host order. */
struct descriptor {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

/* What is known of the chain under way. */
struct walk {
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	unsigned left; /* how many more descriptors the chain may have */
	bool writing;  /* a device-writable descriptor was seen */
};

static uint16_t load16(const g_le16 *g_word)
{
	return le16toh(__atomic_load_n(g_word, __ATOMIC_RELAXED));
}

static void store16(g_le16 *g_word, uint16_t value)
{
	__atomic_store_n(g_word, htole16(value), __ATOMIC_RELAXED);
}

/*
 * Copies with every byte of guest memory read once. By words where its address allows, which is
 * nearly always; never more than 24 bytes.
 */
static inline void copy_in(uint8_t *to, const uint8_t *g_from, uint32_t bytes)
{
	if ((uintptr_t)g_from % sizeof(uint64_t) == 0) {
		for (; bytes >= sizeof(uint64_t); bytes -= (uint32_t)sizeof(uint64_t)) {
			uint64_t word = __atomic_load_n(
				(const g_le64 *)(const void *)g_from, __ATOMIC_RELAXED);

			memcpy(to, &word, sizeof(word));
			to += sizeof(word);
			g_from += sizeof(word);
		}
	}
	while (bytes-- > 0)
		*to++ = __atomic_load_n(g_from++, __ATOMIC_RELAXED);
}

static inline void copy_out(uint8_t *g_to, const uint8_t *from, uint32_t bytes)
{
	if ((uintptr_t)g_to % sizeof(uint64_t) == 0) {
		for (; bytes >= sizeof(uint64_t); bytes -= (uint32_t)sizeof(uint64_t)) {
			uint64_t word;

			memcpy(&word, from, sizeof(word));
			__atomic_store_n((g_le64 *)(void *)g_to, word, __ATOMIC_RELAXED);
			from += sizeof(word);
			g_to += sizeof(word);
		}
	}
	while (bytes-- > 0)
		__atomic_store_n(g_to++, *from++, __ATOMIC_RELAXED);
}

static inline struct descriptor load_descriptor(const uint8_t *g_desc)
{
	uint64_t word[2];
	uint64_t rest;

	copy_in((uint8_t *)word, g_desc, DESC_BYTES);
	rest = le64toh(word[1]);
	return (struct descriptor){
		.gpa = le64toh(word[0]),
		.bytes = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/* The beginning of the request; `have` bytes of the chain came before. */
static void keep_readable(
	struct vrtc_chain *chain, uint64_t have, const uint8_t *g_piece, uint64_t bytes)
{
	if (have < VRTC_REQ_BYTES_MAX) {
		uint64_t want = VRTC_REQ_BYTES_MAX - have;

		copy_in(chain->req + have, g_piece, (uint32_t)(bytes < want ? bytes : want));
	}
}

/* Where the response will begin; no piece is empty, so at most 24 of them come here with room. */
static void keep_writable(struct vrtc_chain *chain, uint64_t have, uint8_t *g_piece, uint64_t bytes)
{
	if (have < VRTC_RESP_BYTES_MAX) {
		uint64_t want = VRTC_RESP_BYTES_MAX - have;

		chain->segment[chain->n_segments++] = (struct vrtc_segment){
			.g_base = g_piece,
			.bytes = (uint32_t)(bytes < want ? bytes : want),
		};
	}
}

/*
 * Adds what a descriptor describes to the chain. Returns a fault, or NULL. Inlined by force: pop,
 * push and publish of a request of two descriptors take 365 instructions instead of 428 (gcc 12
 * -O3), 355 instead of 421 (clang 14).
 */
static inline __attribute__((always_inline)) const char *take_buffer(struct vrtc_vring *ring,
	struct vrtc_chain *chain, struct walk *walk, const struct descriptor *desc)
{
	uint64_t gpa = desc->gpa;
	uint64_t left = desc->bytes;
	bool write = (desc->flags & VIRTQ_DESC_F_WRITE) != 0;

	if (walk->left == 0)
		return "a chain has more descriptors than its queue, or is a loop";
	walk->left--;
	if (walk->writing && !write)
		return "a device-readable descriptor follows a device-writable one";
	walk->writing = write;

	/* More than once only where a buffer straddles regions. */
	while (left != 0) {
		uint64_t contig;
		uint8_t *g_piece =
			vrtc_guestmem_map_near(ring->mem, &ring->near, gpa, left, &contig);

		if (g_piece == NULL)
			return "a buffer is not in the guest's memory";
		if (write) {
			keep_writable(chain, walk->writable_bytes, g_piece, contig);
			walk->writable_bytes += contig;
		} else {
			keep_readable(chain, walk->readable_bytes, g_piece, contig);
			walk->readable_bytes += contig;
		}
		gpa += contig;
		left -= contig;
	}
	return NULL;
}

/* Whether all of a range is in the guest's memory, in whatever pieces. */
static bool is_mapped(struct vrtc_vring *ring, uint64_t gpa, uint64_t bytes)
{
	while (bytes != 0) {
		uint64_t contig;

		if (vrtc_guestmem_map_near(ring->mem, &ring->near, gpa, bytes, &contig) == NULL)
			return false;
		gpa += contig;
		bytes -= contig;
	}
	return true;
}

/* A descriptor of a table that straddles regions; the table was found to be mapped. */
static struct descriptor load_straddling(struct vrtc_vring *ring, uint64_t gpa)
{
	_Alignas(uint64_t) uint8_t copy[DESC_BYTES];
	uint32_t done = 0;

	while (done < DESC_BYTES) {
		uint64_t contig;
		const uint8_t *g_piece = vrtc_guestmem_map_near(
			ring->mem, &ring->near, gpa + done, DESC_BYTES - done, &contig);

		assert(g_piece != NULL);
		copy_in(copy + done, g_piece, (uint32_t)contig);
		done += (uint32_t)contig;
	}
	return load_descriptor(copy);
}

/* The rest of a chain, from the descriptor that refers to an indirect table on. */
static const char *take_indirect(struct vrtc_vring *ring, struct vrtc_chain *chain,
	struct walk *walk, const struct descriptor *table)
{
	uint32_t entries = table->bytes / DESC_BYTES;
	uint32_t at = 0;
	uint64_t contig;
	const uint8_t *g_table;

	if (!ring->indirect)
		return "an indirect descriptor, but INDIRECT_DESC was not negotiated";
	if ((table->flags & VIRTQ_DESC_F_NEXT) != 0)
		return "a descriptor has both INDIRECT and NEXT";
	if (entries == 0 || table->bytes % DESC_BYTES != 0)
		return "the length of an indirect table is zero or no multiple of 16";
	g_table = vrtc_guestmem_map_near(ring->mem, &ring->near, table->gpa, table->bytes, &contig);
	if (g_table == NULL || (contig < table->bytes && !is_mapped(ring, table->gpa + contig,
								 table->bytes - contig)))
		return "an indirect table is not in the guest's memory";

	for (;;) {
		uint64_t offset = (uint64_t)at * DESC_BYTES;
		struct descriptor desc = contig == table->bytes
						 ? load_descriptor(g_table + offset)
						 : load_straddling(ring, table->gpa + offset);
		const char *fault;

		if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0)
			return "an indirect descriptor in an indirect table";
		fault = take_buffer(ring, chain, walk, &desc);
		if (fault != NULL || (desc.flags & VIRTQ_DESC_F_NEXT) == 0)
			return fault;
		at = desc.next;
		if (at >= entries)
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

	if (walk.readable_bytes + walk.writable_bytes >= CHAIN_BYTES_LIMIT) {
		if (walk.readable_bytes + walk.writable_bytes > CHAIN_BYTES_LIMIT)
			return "a chain has more than 2^32 bytes";
		/* One of the two may be 2^32 itself. */
		if (walk.readable_bytes == CHAIN_BYTES_LIMIT)
			walk.readable_bytes--;
		if (walk.writable_bytes == CHAIN_BYTES_LIMIT)
			walk.writable_bytes--;
	}
	chain->readable_bytes = (uint32_t)walk.readable_bytes;
	chain->writable_bytes = (uint32_t)walk.writable_bytes;
	return NULL;
}

int vrtc_vring_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config)
{
	/* The event words lie behind the rings, and are touched with EVENT_IDX alone. */
	uint64_t event_bytes = config->event_idx ? sizeof(g_le16) : 0;
	uint64_t size = config->size;
	uint16_t unserved;

	*ring = (struct vrtc_vring){
		.mem = config->mem,
		.fault = "the areas or the size of the queue are not those of a ring",
		.g_desc = config->g_desc,
		.g_driver = config->g_driver,
		.g_device = config->g_device,
		.size = config->size,
		.event_idx = config->event_idx,
		.indirect = config->indirect,
		.avail_next = config->base,
		.avail_seen = config->base,
		.used_next = config->base,
		.used_published = config->base,
	};
	if (size == 0 || size > RING_SIZE_MAX || (size & (size - 1)) != 0 || config->mem == NULL)
		return -EINVAL;
	if (config->g_desc == NULL || (uintptr_t)config->g_desc % DESC_BYTES != 0 ||
		config->g_driver == NULL || (uintptr_t)config->g_driver % sizeof(g_le16) != 0 ||
		config->g_device == NULL || (uintptr_t)config->g_device % sizeof(g_le32) != 0)
		return -EINVAL;
	if (!vrtc_guestmem_holds(config->mem, config->g_desc, size * DESC_BYTES) ||
		!vrtc_guestmem_holds(config->mem, config->g_driver,
			sizeof(struct virtq_avail) + size * sizeof(g_le16) + event_bytes) ||
		!vrtc_guestmem_holds(config->mem, config->g_device,
			sizeof(struct virtq_used) + size * sizeof(struct virtq_used_elem) +
				event_bytes))
		return -EFAULT;

	/* Serving goes on where the used ring ends: see vring.h. */
	ring->used_next = load16(&((struct virtq_used *)config->g_device)->idx);
	unserved = (uint16_t)(config->base - ring->used_next);
	if (unserved > size) {
		ring->used_next = config->base;
		ring->fault = "the index of the used ring contradicts the base of the queue";
		return 0;
	}
	ring->avail_next = ring->used_next;
	ring->avail_seen = ring->used_next;
	ring->used_published = ring->used_next;
	ring->fault = NULL;
	return 0;
}

const char *vrtc_vring_start_error(int rc)
{
	return rc == -EFAULT ? "a ring lies outside of the guest's memory"
			     : "a ring is missing, misaligned or of a bad size";
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
		ring->fault = "the available index is ahead by more than the queue's size";
		return false;
	}
	ring->avail_seen = idx;
	return ahead != 0;
}

enum vrtc_vring_result vrtc_vring_pop(struct vrtc_vring *ring, struct vrtc_chain *chain)
{
	const struct virtq_avail *g_avail = ring->g_driver;
	uint16_t head;

	if (ring->fault != NULL)
		return VRTC_VRING_BROKEN;

	/* The driver's index is looked at only when all it had announced is popped. */
	if (ring->avail_next == ring->avail_seen && !look_for_chains(ring))
		return ring->fault == NULL ? VRTC_VRING_EMPTY : VRTC_VRING_BROKEN;

	head = load16(&g_avail->ring[ring->avail_next & (ring->size - 1)]);
	if (head >= ring->size) {
		ring->fault = "the head of a chain is outside of the descriptor table";
		return VRTC_VRING_BROKEN;
	}
	ring->fault = take_chain(ring, chain, head);
	if (ring->fault != NULL)
		return VRTC_VRING_BROKEN;
	chain->index = ring->avail_next++;
	return VRTC_VRING_CHAIN;
}

void vrtc_vring_push(struct vrtc_vring *ring, const struct vrtc_chain *chain, const void *resp,
	uint32_t resp_bytes)
{
	struct virtq_used *g_used = ring->g_device;
	const uint8_t *from = resp;
	uint32_t left = resp_bytes;
	struct virtq_used_elem *g_elem;

	if (ring->fault != NULL)
		return;
	assert(resp_bytes <= VRTC_RESP_BYTES_MAX && resp_bytes <= chain->writable_bytes);
	assert(ring->used_next != ring->avail_next); /* something was popped */

	for (const struct vrtc_segment *segment = chain->segment; left != 0; segment++) {
		uint32_t bytes = left < segment->bytes ? left : segment->bytes;

		copy_out(segment->g_base, from, bytes);
		from += bytes;
		left -= bytes;
	}

	g_elem = &g_used->ring[ring->used_next & (ring->size - 1)];
	__atomic_store_n(&g_elem->id, htole32((uint32_t)chain->id), __ATOMIC_RELAXED);
	__atomic_store_n(&g_elem->len, htole32(resp_bytes), __ATOMIC_RELAXED);
	ring->used_next++;
}

bool vrtc_vring_publish(struct vrtc_vring *ring)
{
	const struct virtq_avail *g_avail = ring->g_driver;
	struct virtq_used *g_used = ring->g_device;
	uint16_t batch = (uint16_t)(ring->used_next - ring->used_published);
	uint16_t first = ring->used_published;
	uint16_t used_event;

	if (batch == 0 || ring->fault != NULL)
		return false;
	ring->used_published = ring->used_next;
	__atomic_store_n(&g_used->idx, htole16(ring->used_next), __ATOMIC_SEQ_CST); /* R1, F1 */

	if (!ring->event_idx) {
		uint16_t flags =
			le16toh(__atomic_load_n(&g_avail->flags, __ATOMIC_SEQ_CST)); /* F1 */

		return (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
	}
	used_event =
		le16toh(__atomic_load_n(&g_avail->ring[ring->size], __ATOMIC_SEQ_CST)); /* F1 */
	/* Is the entry of that index among [first, first + batch)? Modulo 2^16, as indices are. */
	return (uint16_t)(used_event - first) < batch;
}

void vrtc_vring_warm(const struct vrtc_vring *ring)
{
	const struct virtq_used *g_used = ring->g_device;
	struct vrtc_vring copy = *ring;
	struct vrtc_chain chain;

	/* All that a pop changes is in the copy. */
	if (vrtc_vring_pop(&copy, &chain) != VRTC_VRING_CHAIN)
		return;
	for (unsigned i = 0; i < chain.n_segments; i++)
		(void)__atomic_load_n(chain.segment[i].g_base, __ATOMIC_RELAXED);
	(void)__atomic_load_n(
		&g_used->ring[ring->used_next & (ring->size - 1)].id, __ATOMIC_RELAXED);
}

static g_le16 *avail_event(struct vrtc_vring *ring)
{
	struct virtq_used *g_used = ring->g_device;

	return (g_le16 *)&g_used->ring[ring->size];
}

void vrtc_vring_kick_disable(struct vrtc_vring *ring)
{
	struct virtq_used *g_used = ring->g_device;

	if (ring->fault != NULL)
		return;
	if (!ring->event_idx) {
		store16(&g_used->flags, VIRTQ_USED_F_NO_NOTIFY);
		return;
	}
	/* The entry just behind us: the driver comes by it after 65535 more chains. */
	store16(&g_used->flags, 0);
	store16(avail_event(ring), (uint16_t)(ring->avail_next - 1));
}

bool vrtc_vring_kick_enable(struct vrtc_vring *ring)
{
	const struct virtq_avail *g_avail = ring->g_driver;
	struct virtq_used *g_used = ring->g_device;
	uint16_t idx;

	if (ring->fault != NULL)
		return false;
	if (ring->event_idx) {
		store16(&g_used->flags, 0);
		__atomic_store_n(
			avail_event(ring), htole16(ring->avail_next), __ATOMIC_SEQ_CST); /* F2 */
	} else {
		__atomic_store_n(&g_used->flags, 0, __ATOMIC_SEQ_CST); /* F2 */
	}
	/* Not kept: the next pop looks again, and judges what it finds. */
	idx = le16toh(__atomic_load_n(&g_avail->idx, __ATOMIC_SEQ_CST)); /* F2 */
	return idx != ring->avail_next || ring->avail_seen != ring->avail_next;
}

uint16_t vrtc_vring_base(const struct vrtc_vring *ring)
{
	return ring->used_published;
}

const char *vrtc_vring_fault(const struct vrtc_vring *ring)
{
	return ring->fault;
}
