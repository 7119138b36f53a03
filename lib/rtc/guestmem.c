/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every comparison is made on offsets into a region, `gpa - region->gpa < region->bytes`: the
 * difference wraps to something huge below the region, and no sum is formed that could overflow.
 */
#include "guestmem.h"

#include <errno.h>

int vrtc_guestmem_add(struct vrtc_guestmem *mem, uint64_t gpa, uint64_t bytes, void *g_base)
{
	unsigned at = 0;

	if (bytes == 0 || g_base == NULL || bytes - 1 > UINT64_MAX - gpa ||
		bytes - 1 > UINTPTR_MAX - (uintptr_t)g_base)
		return -EINVAL;

	/* Two ranges overlap where one of them holds the other's first byte. */
	for (unsigned i = 0; i < mem->n; i++) {
		const struct vrtc_guestmem_region *r = &mem->region[i];

		if (gpa - r->gpa < r->bytes || r->gpa - gpa < bytes)
			return -EINVAL;
		if (r->gpa < gpa)
			at = i + 1;
	}
	if (mem->n >= VRTC_GUESTMEM_REGIONS_MAX)
		return -ENOSPC;

	for (unsigned i = mem->n; i > at; i--)
		mem->region[i] = mem->region[i - 1];
	mem->region[at] = (struct vrtc_guestmem_region){gpa, bytes, g_base};
	mem->n++;
	return 0;
}

void *vrtc_guestmem_search(const struct vrtc_guestmem *mem, uint8_t *near, uint64_t gpa,
	uint64_t bytes, uint64_t *contig)
{
	*contig = 0;
	if (bytes == 0 || bytes - 1 > UINT64_MAX - gpa)
		return NULL;

	for (unsigned i = 0; i < mem->n; i++) {
		const struct vrtc_guestmem_region *r = &mem->region[i];
		uint64_t offset = gpa - r->gpa;

		if (offset < r->bytes) {
			uint64_t rest = r->bytes - offset;

			*near = (uint8_t)i;
			*contig = bytes < rest ? bytes : rest;
			return r->g_base + offset;
		}
	}
	return NULL;
}

void *vrtc_guestmem_map(
	const struct vrtc_guestmem *mem, uint64_t gpa, uint64_t bytes, uint64_t *contig)
{
	uint8_t near;

	return vrtc_guestmem_search(mem, &near, gpa, bytes, contig);
}

bool vrtc_guestmem_holds(const struct vrtc_guestmem *mem, const void *g_start, uint64_t bytes)
{
	for (unsigned i = 0; i < mem->n; i++) {
		const struct vrtc_guestmem_region *r = &mem->region[i];
		uint64_t offset = (uint64_t)((uintptr_t)g_start - (uintptr_t)r->g_base);

		/* Of two regions that show the same memory the other one may reach further. */
		if (offset < r->bytes && bytes <= r->bytes - offset)
			return bytes != 0;
	}
	return false;
}

bool vrtc_guestmem_gpa(const struct vrtc_guestmem *mem, const void *g_start, uint64_t *gpa)
{
	for (unsigned i = 0; i < mem->n; i++) {
		const struct vrtc_guestmem_region *r = &mem->region[i];
		uint64_t offset = (uint64_t)((uintptr_t)g_start - (uintptr_t)r->g_base);

		if (offset < r->bytes) {
			*gpa = r->gpa + offset;
			return true;
		}
	}
	return false;
}
