/* SPDX-License-Identifier: BSD-3-Clause */
#include "node_memory.h"

#include <numa.h>
#include <numaif.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t page_bytes(void)
{
	return (uintptr_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t bytes)
{
	return (bytes + page_bytes() - 1) & ~(page_bytes() - 1);
}

void *vrtc_node_memory_alloc(size_t bytes, int node)
{
	void *memory = mmap(
		NULL, round_up(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (node >= 0 && numa_available() >= 0) {
		/* Preferred, not bound: for want of room there, the kernel would kill. */
		numa_set_bind_policy(0);
		numa_tonode_memory(memory, round_up(bytes), node);
	}
	/* Touched here and now, so that no turn of an lcore takes a page fault. */
	memset(memory, 0, round_up(bytes));
	return memory;
}

void vrtc_node_memory_free(void *memory, size_t bytes)
{
	if (memory)
		(void)munmap(memory, round_up(bytes));
}

int vrtc_node_memory_of(const void *address)
{
	void *page = (void *)((uintptr_t)address & ~(page_bytes() - 1));
	int node = -1;

	/* Without target nodes it moves nothing and says where the page is, or -errno. */
	if (move_pages(0, 1, &page, NULL, &node, 0) || node < 0)
		return -1;
	return node;
}

size_t vrtc_node_memory_count(const void *memory, size_t bytes, int node, size_t *n_pages)
{
	size_t on_node = 0;

	*n_pages = round_up(bytes) / page_bytes();
	for (size_t i = 0; i < *n_pages; i++)
		on_node += vrtc_node_memory_of((const char *)memory + i * page_bytes()) == node;
	return on_node;
}

void vrtc_node_memory_move(void *memory, size_t bytes, int node)
{
	if (node < 0 || numa_available() < 0)
		return;
	for (size_t at = 0; at < bytes; at += page_bytes()) {
		void *page = (char *)memory + at;
		int status;

		/* Shared pages (a ledger in a file) too, as far as no other process maps them. */
		(void)move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE);
	}
}
