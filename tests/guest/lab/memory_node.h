/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On which NUMA node memory is put, and where it is, by the kernel's own calls. What goes wrong
 * ends the case.
 */
#ifndef LAB_MEMORY_NODE_H
#define LAB_MEMORY_NODE_H

#include <sys/types.h>

/** How many nodes with memory the kernel has. */
unsigned int lab_nodes(void);

/** From now on, pages that this process touches first are on that node; -1: where it runs. */
void lab_memory_bind(int node);

/** @return the node of the page at address */
int lab_memory_node(void *address);

/** Has the kernel set aside so many huge pages of 2 MiB on each node. */
void lab_memory_huge_pages(unsigned int n);

/**
 * Has a process take all memory of a node, and hold it.
 *
 * @return its id
 */
pid_t lab_memory_fill(int node);

#endif
