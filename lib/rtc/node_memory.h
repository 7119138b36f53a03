/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory on a NUMA node, through libnuma: for what an alarm lcore reads at each turn. Not the
 * EAL's, which without hugepages has no nodes. Where the machine has no NUMA, memory is memory.
 *
 * Control threads only: all of it calls into the kernel.
 */
#ifndef VRTC_NODE_MEMORY_H
#define VRTC_NODE_MEMORY_H

#include <stddef.h>

/* Whole pages, zeroed and touched, on the node if it has room; node -1: any. NULL: no memory. */
void *vrtc_node_memory_alloc(size_t bytes, int node);
void vrtc_node_memory_free(void *memory, size_t bytes);

/* Node of the page that holds an address, or -1: unknown. */
int vrtc_node_memory_of(const void *address);

/* How many of the pages are on the node, and, in *n_pages, how many there are. */
size_t vrtc_node_memory_count(const void *memory, size_t bytes, int node, size_t *n_pages);

/* Moves pages, if it can be done; whether it was shows vrtc_node_memory_count(). */
void vrtc_node_memory_move(void *memory, size_t bytes, int node);

#endif
