/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_space.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

enum {
	LAYOUT_GAP = 1,   /* the second region does not touch the first in the guest's addresses */
	LAYOUT_SHORT = 2, /* the first one ends in the middle of a descriptor */
	LAYOUT_ALIAS = 4, /* a region that shows the first block again */
	LAYOUT_HUGE = 8,  /* a region of more than 2^32 bytes */
	LAYOUT_LAST = 16, /* a region that ends with the address space */
	LAYOUT_MIDDLE = 32, /* the alias begins in the middle of a word */
	LAYOUT_BELOW = 64,  /* the alias has the lower guest address of the two */
};

#define FIRST_GPA UINT64_C(0x10000)
#define HUGE_GPA  (UINT64_C(1) << 40)
#define ALIAS_GPA UINT64_C(0x80000000)
#define GAP_BYTES 24

static uint8_t *map_between_guards(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t inner = (bytes + page - 1) / page * page;
	uint8_t *all = mmap(NULL, inner + 2 * page, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (all == MAP_FAILED || mprotect(all + page, inner, PROT_READ | PROT_WRITE))
		return NULL;
	/* It ends at the guard; where pages are larger than the block, it does not begin at one. */
	return all + page + inner - bytes;
}

void guest_space_map(struct guest_space *space)
{
	for (int i = 0; i < SPACE_BLOCKS; i++) {
		space->g_block[i] = map_between_guards(SPACE_BLOCK_BYTES);
		FUZZ_CHECK(space->g_block[i]);
	}
	space->g_huge = map_between_guards(SPACE_HUGE_BYTES);
}

static void add(struct guest_space *space, uint64_t gpa, uint64_t bytes, int block, size_t offset)
{
	uint8_t *g_base = block < 0 ? space->g_huge : space->g_block[block] + offset;

	space->region[space->n++] = (struct space_region){gpa, bytes, g_base, block, offset};
	FUZZ_CHECK(vrtc_guestmem_add(&space->mem, gpa, bytes, g_base) == 0);
}

void guest_space_lay_out(struct guest_space *space, uint8_t layout)
{
	uint64_t first_bytes = SPACE_BLOCK_BYTES - (layout & LAYOUT_SHORT ? 8 : 0);
	uint64_t second = FIRST_GPA + first_bytes + (layout & LAYOUT_GAP ? GAP_BYTES : 0);

	for (int i = 0; i < SPACE_BLOCKS; i++)
		memset(space->g_block[i], 0, SPACE_BLOCK_BYTES);
	memset(space->image, 0, sizeof(space->image));
	if (space->huge_written)
		(void)madvise((void *)((uintptr_t)space->g_huge & ~(uintptr_t)65535),
			SPACE_HUGE_BYTES, MADV_DONTNEED);
	space->huge_written = false;
	space->n = 0;
	memset(&space->mem, 0, sizeof(space->mem));

	/* The later ones first: the table has to sort them. */
	if (layout & LAYOUT_LAST)
		add(space, UINT64_MAX - (SPACE_BLOCK_BYTES - 1), SPACE_BLOCK_BYTES, 2, 0);
	if (layout & LAYOUT_HUGE && space->g_huge)
		add(space, HUGE_GPA, SPACE_HUGE_BYTES, -1, 0);
	if (layout & LAYOUT_ALIAS)
		add(space, layout & LAYOUT_BELOW ? 0 : ALIAS_GPA, 512, 0,
			layout & LAYOUT_MIDDLE ? 4093 : 4096);
	add(space, FIRST_GPA, first_bytes, 0, 0);
	add(space, second, SPACE_BLOCK_BYTES, 1, 0);
}

const struct space_region *guest_space_find(const struct guest_space *space, uint64_t gpa)
{
	for (unsigned i = 0; i < space->n; i++) {
		const struct space_region *r = &space->region[i];

		if (gpa >= r->gpa && (unsigned __int128)gpa < (unsigned __int128)r->gpa + r->bytes)
			return r;
	}
	return NULL;
}

bool guest_space_holds(const struct guest_space *space, uint64_t gpa, uint64_t bytes)
{
	unsigned __int128 at = gpa;
	unsigned __int128 end = at + bytes;

	if (end > (unsigned __int128)1 << 64)
		return false;
	while (at < end) {
		const struct space_region *r = guest_space_find(space, (uint64_t)at);

		if (!r)
			return false;
		at = (unsigned __int128)r->gpa + r->bytes;
	}
	return true;
}

uint8_t *guest_space_at(const struct guest_space *space, uint64_t gpa)
{
	const struct space_region *r = guest_space_find(space, gpa);

	return r ? r->g_base + (gpa - r->gpa) : NULL;
}

/* The block of a host address, or -1. */
static int block_of(const struct guest_space *space, const uint8_t *g_byte, size_t *offset)
{
	for (int i = 0; i < SPACE_BLOCKS; i++) {
		*offset = (size_t)((uintptr_t)g_byte - (uintptr_t)space->g_block[i]);
		if (*offset < SPACE_BLOCK_BYTES)
			return i;
	}
	return -1;
}

uint8_t guest_space_get(const struct guest_space *space, const uint8_t *g_byte)
{
	size_t offset;
	int block = block_of(space, g_byte, &offset);

	return block < 0 ? *g_byte : space->image[block][offset];
}

void guest_space_expect(struct guest_space *space, uint8_t *g_byte, uint8_t value)
{
	size_t offset;
	int block = block_of(space, g_byte, &offset);

	if (block >= 0)
		space->image[block][offset] = value;
	else
		space->huge_written = true;
}

void guest_space_write(struct guest_space *space, uint64_t gpa, const void *from, size_t bytes)
{
	const uint8_t *byte = from;

	for (size_t i = 0; i < bytes; i++) {
		uint8_t *g_byte = guest_space_at(space, gpa + i);

		if (!g_byte)
			continue;
		*g_byte = byte[i];
		guest_space_expect(space, g_byte, byte[i]);
	}
}

void guest_space_check(const struct guest_space *space)
{
	for (int i = 0; i < SPACE_BLOCKS; i++)
		FUZZ_CHECK(memcmp(space->g_block[i], space->image[i], SPACE_BLOCK_BYTES) == 0);
}
