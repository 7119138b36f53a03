/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's memory as we see it: (guest-physical address, length) -> host pointer, or nothing.
 *
 * Trust: every address and length asked for is the guest's and is hostile; the regions themselves
 * come from the front-end's memory table, and rte_vhost has mapped them. No arithmetic here can
 * overflow whatever is asked for, and no guest memory is touched.
 *
 * Threads: a table is built by one thread and is constant afterwards, so any number of lcores may
 * look into it. For that reason the memory of the last region found is the caller's (`near` below)
 * and not the table's. Nothing is allocated; the mappings are the caller's to keep alive.
 */
#ifndef VRTC_GUESTMEM_H
#define VRTC_GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VRTC_GUESTMEM_REGIONS_MAX 8 /* VHOST_MEMORY_MAX_NREGIONS of rte_vhost */

struct vrtc_guestmem_region {
	uint64_t gpa;    /* the guest-physical address of its first byte */
	uint64_t bytes;  /* at least 1 */
	uint8_t *g_base; /* where that first byte is mapped in this process */
};

/*
 * Begins as all zeroes (`= {0}`), which is the guest without memory. The regions are in ascending
 * order of gpa and disjoint; those past n stay zero, and so contain no address.
 */
struct vrtc_guestmem {
	unsigned n;
	struct vrtc_guestmem_region region[VRTC_GUESTMEM_REGIONS_MAX];
};

/*
 * Adds a region, in any order.
 * @param gpa    guest-physical address of the first byte
 * @param bytes  its length; the last byte may be the last of the address space
 * @param g_base host address of the first byte
 * @return 0;
 *         -EINVAL: bytes is 0, g_base is NULL, the end is past either address space, or the region
 *         overlaps another in the guest's address space (two regions may share host memory: an
 *         alias in the guest's memory map is legitimate);
 *         -ENOSPC: there are VRTC_GUESTMEM_REGIONS_MAX regions. On error nothing has changed.
 */
int vrtc_guestmem_add(struct vrtc_guestmem *mem, uint64_t gpa, uint64_t bytes, void *g_base);

/*
 * The host address of gpa, where [gpa, gpa + bytes) begins. The range may go on in another region
 * that is the guest's neighbour but not ours (a hot-plugged DIMM): the caller then asks again for
 * what is left, at gpa + *contig. At most VRTC_GUESTMEM_REGIONS_MAX such pieces make a range.
 * @param bytes  the whole of the range; 0 maps to nothing
 * @param contig out: how many bytes are contiguous from the returned address on, 1..bytes; 0 where
 *               NULL is returned
 * @return NULL: gpa is in no region, bytes is 0, or the range is longer than the address space
 */
void *vrtc_guestmem_map(
	const struct vrtc_guestmem *mem, uint64_t gpa, uint64_t bytes, uint64_t *contig);

/* The search behind the two functions around it; *near is set to the region found. */
void *vrtc_guestmem_search(const struct vrtc_guestmem *mem, uint8_t *near, uint64_t gpa,
	uint64_t bytes, uint64_t *contig);

/*
 * vrtc_guestmem_map() for those who ask often: tries first the region of the last answer.
 * @param near below VRTC_GUESTMEM_REGIONS_MAX, begins as 0; it is the caller's own, never shared
 */
static inline void *vrtc_guestmem_map_near(const struct vrtc_guestmem *mem, uint8_t *near,
	uint64_t gpa, uint64_t bytes, uint64_t *contig)
{
	const struct vrtc_guestmem_region *r = &mem->region[*near];
	uint64_t offset = gpa - r->gpa; /* huge where gpa is below the region */

	/* Wholly inside, or the search decides. A region never wraps, so neither does the range. */
	if (offset < r->bytes && bytes <= r->bytes - offset && bytes != 0) {
		*contig = bytes;
		return r->g_base + offset;
	}
	return vrtc_guestmem_search(mem, near, gpa, bytes, contig);
}

/*
 * Whether the host range [g_start, g_start + bytes) lies wholly inside of one region: for what the
 * front-end gave us as a translated pointer, that is the rings. bytes of 0 is in no region.
 */
bool vrtc_guestmem_holds(const struct vrtc_guestmem *mem, const void *g_start, uint64_t bytes);

/* The guest's address of what is mapped at g_start; false: it is in no region. */
bool vrtc_guestmem_gpa(const struct vrtc_guestmem *mem, const void *g_start, uint64_t *gpa);

#endif
