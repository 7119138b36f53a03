/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's memory: regions at guest addresses of the caller's choice, each a memfd of its own
 * that is shared with the back-end, and a bump allocator of guest addresses.
 *
 * Guest addresses ("gpa") are what goes into descriptors; user addresses are where the memory is
 * mapped here, which vhost-user uses for the rings. Both are handled as numbers and translated
 * only by vfe_mem_host().
 *
 * Threads: one at a time. The back-end may write to the memory at any moment.
 */
#ifndef VFE_MEM_H
#define VFE_MEM_H

#include <stdint.h>

#include "msg.h"

/* No such address. */
#define VFE_GPA_NONE UINT64_MAX

struct vfe_region {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t fd_offset; /* where the region begins in the memfd */
	uint64_t brk;       /* bytes handed out from its start */
	uint8_t *host;      /* where the region begins here */
	int fd;
};

struct vfe_mem {
	unsigned int n_regions;
	struct vfe_region regions[VFE_MSG_REGIONS_MAX];
};

/** Begins with no memory. A vfe_mem that is all zero is the same. */
void vfe_mem_init(struct vfe_mem *mem);

/** Unmaps and closes all regions. */
void vfe_mem_fini(struct vfe_mem *mem);

/**
 * Adds a region of zeroed memory. The back-end learns of it by vfe_session_set_mem_table().
 *
 * @param gpa        guest address of its first byte, any
 * @param bytes      1 or more; gpa + bytes must not wrap
 * @param fd_offset  bytes of the memfd before the region, a multiple of the page size: the
 *                   "mmap offset" of the protocol, 0 for the plain case
 * @return 0; -EINVAL as above; -EEXIST it overlaps another; -ENOSPC VFE_MSG_REGIONS_MAX are
 *         there; -errno of memfd_create(2), ftruncate(2) or mmap(2)
 */
int vfe_mem_add(struct vfe_mem *mem, uint64_t gpa, uint64_t bytes, uint64_t fd_offset);

/**
 * Removes the region that begins at gpa and unmaps it here at once. Tell the back-end first, by a
 * memory table without it, if the order matters to the test.
 *
 * @return 0; -ENOENT no region begins there
 */
int vfe_mem_remove(struct vfe_mem *mem, uint64_t gpa);

/**
 * @return where the bytes at gpa are here; NULL unless all of them are inside one region
 */
void *vfe_mem_host(const struct vfe_mem *mem, uint64_t gpa, uint64_t bytes);

/**
 * Hands out guest memory from the first region that has room; it is never given back, except with
 * its region or by vfe_mem_release().
 *
 * @param bytes  1 or more
 * @param align  of the guest address, a power of two
 * @return its guest address; VFE_GPA_NONE if there is no room
 */
uint64_t vfe_mem_alloc(struct vfe_mem *mem, uint64_t bytes, uint64_t align);

/** As vfe_mem_alloc(), from the region that begins at region_gpa. */
uint64_t vfe_mem_alloc_in(struct vfe_mem *mem, uint64_t region_gpa, uint64_t bytes, uint64_t align);

/**
 * Gives back everything that was handed out at gpa or behind it in the same region.
 *
 * @return 0; -ENOENT gpa is in no region
 */
int vfe_mem_release(struct vfe_mem *mem, uint64_t gpa);

/**
 * Writes the SET_MEM_TABLE message of the present regions.
 *
 * @param msg  written whole, flags without NEED_REPLY
 * @param fds  VFE_MSG_FDS_MAX descriptors, which stay the memory's
 * @return the number of descriptors
 */
unsigned int vfe_mem_table(const struct vfe_mem *mem, struct vfe_msg *msg, int *fds);

#endif
