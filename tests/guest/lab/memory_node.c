/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_node.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include "kernel_time.h"
#include "lab.h"

/* What a filling process takes at a time, and how often in vain until it stops. */
#define PIECE_BYTES 16384
#define VAIN_MAX    1000
#define RESERVE_KB  256
#define SETTLE_MS   1000

unsigned int lab_nodes(void)
{
	unsigned int n = 0;
	char path[64];

	do
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", n);
	while (access(path, F_OK) == 0 && ++n);
	return n;
}

static void set_policy(int policy, int node)
{
	unsigned long mask = node < 0 ? 0 : 1ul << node;

	lab_check(
		syscall(SYS_set_mempolicy, policy, node < 0 ? NULL : &mask, 8 * sizeof(mask)) == 0,
		"set_mempolicy(node %d): %s", node, strerror(errno));
}

void lab_memory_bind(int node)
{
	set_policy(node < 0 ? MPOL_DEFAULT : MPOL_BIND, node);
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

/* Takes memory until the node gives no more; what others give then is given back. */
static void take_all(int node)
{
	int vain = 0;

	set_policy(MPOL_PREFERRED, node);
	while (vain < VAIN_MAX) {
		char *piece = mmap(NULL, PIECE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		lab_check(piece != MAP_FAILED, "mmap: %s", strerror(errno));
		memset(piece, 1, PIECE_BYTES);
		vain++;
		if (lab_memory_node(piece + PIECE_BYTES - 1) == node)
			vain = 0;
		else
			munmap(piece, PIECE_BYTES);
	}
}

/*
 * What the kernel keeps free for those who insist on the node is a part of its reserve. It is made
 * small, and stays so.
 */
static void shrink_reserve(void)
{
	FILE *reserve = fopen("/proc/sys/vm/min_free_kbytes", "we");

	lab_check(reserve, "min_free_kbytes: %s", strerror(errno));
	fprintf(reserve, "%d", RESERVE_KB);
	lab_check(fclose(reserve) == 0, "min_free_kbytes: %s", strerror(errno));
}

pid_t lab_memory_fill(int node)
{
	int done[2];
	char byte = 0;
	pid_t pid;

	shrink_reserve();
	lab_check(pipe(done) == 0, "pipe: %s", strerror(errno));
	pid = fork();
	lab_check(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		take_all(node);
		/* The kernel has set some aside meanwhile. */
		lab_sleep_ms(SETTLE_MS);
		take_all(node);
		if (write(done[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(done[1]);
	lab_check(read(done[0], &byte, 1) == 1, "the process that fills node %d has ended", node);
	close(done[0]);
	return pid;
}
