/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two kinds of ring share, for vring_split.c, vring_packed.c and vring_ahead.c alone:
 * descriptors are copied once, their buffers are found in the guest's memory, and a chain of any
 * length becomes a struct vrtc_chain; the response goes the other way. Trust and threads: see
 * vring.h.
 *
 * Every access to memory that the driver may touch at the same time is an atomic. Those of this
 * file and of guest_copy.h order nothing and are relaxed: they are atomic so that each is made
 * exactly once, whatever the driver does meanwhile. A descriptor of a split ring or of a table is
 * two such loads; one that a driver changes in between is a mixture of two, which is checked like
 * any other.
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
#ifndef VRTC_VRING_CHAIN_H
#define VRTC_VRING_CHAIN_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "guest_copy.h"
#include "vring.h"

/* The numbers of virtio-v1.4 Split Virtqueues, and Packed Virtqueues. */
#define VIRTQ_DESC_F_NEXT     1
#define VIRTQ_DESC_F_WRITE    2
#define VIRTQ_DESC_F_INDIRECT 4

#define DESC_BYTES        16
#define CHAIN_BYTES_LIMIT ((uint64_t)1 << 32)

/* Words in guest memory, as g_le64. */
typedef vrtc_vring_le16 g_le16;
typedef uint32_t __attribute__((may_alias)) g_le32;

/* The private copy of a descriptor, in host order. */
struct descriptor {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next; /* of a packed ring: the buffer id */
};

/* What is known of the chain under way. */
struct walk {
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	unsigned left; /* how many more descriptors the chain may have */
	bool writing;  /* a device-writable descriptor was seen */
};

/* Behind each write to the guest's memory: does a migration want to know of it? */
static inline bool is_logged(const struct vrtc_vring *ring)
{
	return __builtin_expect(ring->dirty.g_bits != NULL, 0);
}

/* Only where is_logged(). */
static inline void mark(const struct vrtc_vring *ring, const void *g_start, uint64_t bytes)
{
	vrtc_dirty_log_mark(&ring->dirty, ring->mem, g_start, bytes);
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
static inline void keep_readable(
	struct vrtc_chain *chain, uint64_t have, const uint8_t *g_piece, uint64_t bytes)
{
	if (have < VRTC_REQ_BYTES_MAX) {
		uint64_t want = VRTC_REQ_BYTES_MAX - have;

		copy_in(chain->req + have, g_piece, (uint32_t)(bytes < want ? bytes : want));
	}
}

/* Where the response will begin; no piece is empty, so at most 24 of them come here with room. */
static inline void keep_writable(
	struct vrtc_chain *chain, uint64_t have, uint8_t *g_piece, uint64_t bytes)
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
static inline bool is_mapped(struct vrtc_vring *ring, uint64_t gpa, uint64_t bytes)
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
static inline struct descriptor load_straddling(struct vrtc_vring *ring, uint64_t gpa)
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

/*
 * Where a table is. Returns a fault, or NULL.
 * @param g_table  out: where its first bytes are
 * @param contig   out: how many; the whole of it, nearly always
 */
static inline const char *find_table(struct vrtc_vring *ring, const struct descriptor *table,
	const uint8_t **g_table, uint64_t *contig)
{
	if (!ring->indirect)
		return "an indirect descriptor, but INDIRECT_DESC was not negotiated";
	if ((table->flags & VIRTQ_DESC_F_NEXT) != 0)
		return "a descriptor has both INDIRECT and NEXT";
	if (table->bytes == 0 || table->bytes % DESC_BYTES != 0)
		return "the length of an indirect table is zero or no multiple of 16";
	*g_table = vrtc_guestmem_map_near(ring->mem, &ring->near, table->gpa, table->bytes, contig);
	if (*g_table == NULL || (*contig < table->bytes && !is_mapped(ring, table->gpa + *contig,
								   table->bytes - *contig)))
		return "an indirect table is not in the guest's memory";
	return NULL;
}

/* One descriptor of a table that find_table() has found. */
static inline struct descriptor load_from_table(struct vrtc_vring *ring,
	const struct descriptor *table, const uint8_t *g_table, uint64_t contig, uint32_t at)
{
	uint64_t offset = (uint64_t)at * DESC_BYTES;

	return contig == table->bytes ? load_descriptor(g_table + offset)
				      : load_straddling(ring, table->gpa + offset);
}

/* The sizes of a chain whose last descriptor was taken. Returns a fault, or NULL. */
static inline const char *end_chain(
	const struct vrtc_vring *ring, struct vrtc_chain *chain, struct walk *walk)
{
	chain->descriptors = (uint16_t)(ring->size - walk->left);
	if (walk->readable_bytes + walk->writable_bytes >= CHAIN_BYTES_LIMIT) {
		if (walk->readable_bytes + walk->writable_bytes > CHAIN_BYTES_LIMIT)
			return "a chain has more than 2^32 bytes";
		/* One of the two may be 2^32 itself. */
		if (walk->readable_bytes == CHAIN_BYTES_LIMIT)
			walk->readable_bytes--;
		if (walk->writable_bytes == CHAIN_BYTES_LIMIT)
			walk->writable_bytes--;
	}
	chain->readable_bytes = (uint32_t)walk->readable_bytes;
	chain->writable_bytes = (uint32_t)walk->writable_bytes;
	return NULL;
}

/* Copies the response to where the chain's writable part begins. */
static inline void put_response(
	const struct vrtc_chain *chain, const void *resp, uint32_t resp_bytes)
{
	const uint8_t *from = resp;
	uint32_t left = resp_bytes;

	assert(resp_bytes <= VRTC_RESP_BYTES_MAX && resp_bytes <= chain->writable_bytes);
	for (const struct vrtc_segment *segment = chain->segment; left != 0; segment++) {
		uint32_t bytes = left < segment->bytes ? left : segment->bytes;

		copy_out(segment->g_base, from, bytes);
		from += bytes;
		left -= bytes;
	}
}

/* Marks what put_response() wrote, where is_logged(). In vring.c, out of the way. */
void vrtc_vring_mark_response(
	const struct vrtc_vring *ring, const struct vrtc_chain *chain, uint32_t resp_bytes);

static inline void break_ring(struct vrtc_vring *ring, const char *fault)
{
	ring->fault = fault;
	ring->kind = VRTC_VRING_KIND_BROKEN;
}

#endif
