/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's memory for the ring fuzzer, twice: the real one, which the device works on, and an
 * image of what it has to hold. Each region ends at a page that nobody may touch, and begins at
 * one; a byte of the real memory that differs from the image was written without permission.
 *
 * The regions overlap in no guest address; two of them may show the same host memory, and one may
 * be of more than 2^32 bytes.
 */
#ifndef TESTS_FUZZ_GUEST_SPACE_H
#define TESTS_FUZZ_GUEST_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guestmem.h"

#define SPACE_BLOCKS      3
#define SPACE_BLOCK_BYTES 8192
#define SPACE_REGIONS_MAX 5

/* Where the last region lies, that has more bytes than a chain may have. */
#define SPACE_HUGE_BYTES ((UINT64_C(1) << 32) + SPACE_BLOCK_BYTES)

struct space_region {
	uint64_t gpa;
	uint64_t bytes;
	uint8_t *g_base;
	int block; /* -1: the huge one, of which there is no image */
	size_t offset;
};

struct guest_space {
	uint8_t *g_block[SPACE_BLOCKS];
	uint8_t *g_huge; /* NULL: this machine has no room for it */
	uint8_t image[SPACE_BLOCKS][SPACE_BLOCK_BYTES];
	unsigned n;
	struct space_region region[SPACE_REGIONS_MAX];
	struct vrtc_guestmem mem; /* the same as the device is told */
	bool huge_written;
};

/* Maps the memory, once. */
void guest_space_map(struct guest_space *space);

/*
 * Lays the regions out and fills them with zeroes.
 *
 * @param layout  any value: one bit a choice. What is next to what, aliases, the huge region, the
 *                end of the address space
 */
void guest_space_lay_out(struct guest_space *space, uint8_t layout);

/* The region of a guest address; NULL: none. */
const struct space_region *guest_space_find(const struct guest_space *space, uint64_t gpa);

/* Whether each byte is in a region. */
bool guest_space_holds(const struct guest_space *space, uint64_t gpa, uint64_t bytes);

/* The host's address of a byte, NULL: none. */
uint8_t *guest_space_at(const struct guest_space *space, uint64_t gpa);

/* A byte as it has to be, by its host address, which is in a region. */
uint8_t guest_space_get(const struct guest_space *space, const uint8_t *g_byte);

/* The device is to have written this byte: into the image alone. */
void guest_space_expect(struct guest_space *space, uint8_t *g_byte, uint8_t value);

/* The driver writes: into both. Bytes outside of the regions are left out. */
void guest_space_write(struct guest_space *space, uint64_t gpa, const void *from, size_t bytes);

/* Ends the process if a byte differs from the image. */
void guest_space_check(const struct guest_space *space);

#endif
