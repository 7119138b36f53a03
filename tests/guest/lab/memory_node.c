/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_node.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include "lab.h"

unsigned int lab_nodes(void)
{
	unsigned int n = 0;
	char path[64];

	do
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", n);
	while (access(path, F_OK) == 0 && ++n);
	return n;
}

void lab_memory_bind(int node)
{
	unsigned long mask = node < 0 ? 0 : 1ul << node;

	lab_check(syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_BIND,
			  node < 0 ? NULL : &mask, 8 * sizeof(mask)) == 0,
		"set_mempolicy(node %d): %s", node, strerror(errno));
}

int lab_memory_node(void *address)
{
	int node = -1;

	/* Without target nodes nothing is moved. */
	lab_check(syscall(SYS_move_pages, 0, 1ul, &address, NULL, &node, 0) == 0 && node >= 0,
		"move_pages: %s", strerror(node < 0 ? -node : errno));
	return node;
}

void lab_memory_huge_pages(unsigned int n)
{
	for (unsigned int node = 0; node < lab_nodes(); node++) {
		unsigned int got = n + 1;
		char path[128];
		FILE *pages;

		snprintf(path, sizeof(path),
			"/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/nr_hugepages",
			node);
		pages = fopen(path, "we");
		lab_check(pages, "%s: %s", path, strerror(errno));
		fprintf(pages, "%u", n);
		lab_check(fclose(pages) == 0, "%s: %s", path, strerror(errno));
		pages = fopen(path, "re");
		lab_check(pages && fscanf(pages, "%u", &got) == 1 && got == n,
			"node %u has %u huge pages, not %u", node, got, n);
		fclose(pages);
	}
}
