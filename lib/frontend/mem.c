/* SPDX-License-Identifier: BSD-3-Clause */
#include "mem.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void vfe_mem_init(struct vfe_mem *mem)
{
	memset(mem, 0, sizeof(*mem));
}

static void drop(struct vfe_region *r)
{
	munmap(r->host, r->bytes);
	close(r->fd);
}

void vfe_mem_fini(struct vfe_mem *mem)
{
	for (unsigned int i = 0; i < mem->n_regions; i++)
		drop(&mem->regions[i]);
	mem->n_regions = 0;
}

int vfe_mem_add(struct vfe_mem *mem, uint64_t gpa, uint64_t bytes, uint64_t fd_offset)
{
	struct vfe_region *r;
	void *host;
	int err;

	/* The last byte may be the last address; sizes stay below what off_t and mmap() take. */
	if (bytes == 0 || bytes > INT64_MAX / 2 || fd_offset > INT64_MAX / 2 ||
		gpa + (bytes - 1) < gpa || fd_offset % (uint64_t)sysconf(_SC_PAGESIZE) != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		r = &mem->regions[i];
		if (gpa <= r->gpa + (r->bytes - 1) && r->gpa <= gpa + (bytes - 1))
			return -EEXIST;
	}
	if (mem->n_regions == VFE_MSG_REGIONS_MAX)
		return -ENOSPC;

	r = &mem->regions[mem->n_regions];
	memset(r, 0, sizeof(*r));
	r->fd = memfd_create("vfe-guest-memory", MFD_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	if (ftruncate(r->fd, (off_t)(fd_offset + bytes)) < 0)
		goto fail;
	host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)fd_offset);
	if (host == MAP_FAILED)
		goto fail;
	r->gpa = gpa;
	r->bytes = bytes;
	r->fd_offset = fd_offset;
	r->host = host;
	mem->n_regions++;
	return 0;

fail:
	err = -errno;
	close(r->fd);
	return err;
}

int vfe_mem_remove(struct vfe_mem *mem, uint64_t gpa)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		if (mem->regions[i].gpa != gpa)
			continue;
		drop(&mem->regions[i]);
		mem->n_regions--;
		memmove(&mem->regions[i], &mem->regions[i + 1],
			(mem->n_regions - i) * sizeof(mem->regions[0]));
		return 0;
	}
	return -ENOENT;
}

void *vfe_mem_host(const struct vfe_mem *mem, uint64_t gpa, uint64_t bytes)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct vfe_region *r = &mem->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->bytes && bytes <= r->bytes - (gpa - r->gpa))
			return r->host + (gpa - r->gpa);
	}
	return NULL;
}

static uint64_t alloc_from(struct vfe_region *r, uint64_t bytes, uint64_t align)
{
	/* Padding up to the alignment of the guest address, which need not be the host's. */
	uint64_t pad = (align - ((r->gpa + r->brk) & (align - 1))) & (align - 1);
	uint64_t room = r->bytes - r->brk;
	uint64_t gpa;

	if (bytes == 0 || pad > room || bytes > room - pad)
		return VFE_GPA_NONE;
	gpa = r->gpa + r->brk + pad;
	r->brk += pad + bytes;
	return gpa;
}

uint64_t vfe_mem_alloc(struct vfe_mem *mem, uint64_t bytes, uint64_t align)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		uint64_t gpa = alloc_from(&mem->regions[i], bytes, align);

		if (gpa != VFE_GPA_NONE)
			return gpa;
	}
	return VFE_GPA_NONE;
}

uint64_t vfe_mem_alloc_in(struct vfe_mem *mem, uint64_t region_gpa, uint64_t bytes, uint64_t align)
{
	for (unsigned int i = 0; i < mem->n_regions; i++)
		if (mem->regions[i].gpa == region_gpa)
			return alloc_from(&mem->regions[i], bytes, align);
	return VFE_GPA_NONE;
}

int vfe_mem_release(struct vfe_mem *mem, uint64_t gpa)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		struct vfe_region *r = &mem->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->bytes) {
			if (r->brk > gpa - r->gpa)
				r->brk = gpa - r->gpa;
			return 0;
		}
	}
	return -ENOENT;
}

unsigned int vfe_mem_table(const struct vfe_mem *mem, struct vfe_msg *msg, int *fds)
{
	memset(msg, 0, sizeof(*msg));
	msg->header.request = VFE_MSG_SET_MEM_TABLE;
	msg->header.flags = VFE_MSG_VERSION;
	msg->header.size = (uint32_t)(offsetof(struct vfe_msg_memory, regions) +
				      mem->n_regions * sizeof(struct vfe_msg_region));
	msg->payload.memory.n_regions = mem->n_regions;
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct vfe_region *r = &mem->regions[i];

		msg->payload.memory.regions[i] = (struct vfe_msg_region){
			.guest_addr = r->gpa,
			.bytes = r->bytes,
			.user_addr = (uint64_t)(uintptr_t)r->host,
			.mmap_offset = r->fd_offset,
		};
		fds[i] = r->fd;
	}
	return mem->n_regions;
}
