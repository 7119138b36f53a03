/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What runs in the handler: atomics, mmap(), sigaction() and write(), in the thread that touched
 * the page. It interrupts one instruction of that thread, a load or a store, never a library call
 * that holds a lock: memory of a guest's is handed to no system call.
 */
#include "memory_fault.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <rte_common.h>
#include <rte_memory.h>

/* Written like a sequence lock: an odd number is a slot that is being changed. */
struct slot {
	atomic_uint sequence;
	atomic_uintptr_t first; /* address of the first byte ... */
	atomic_uintptr_t last;  /* ... and of the last; 0: none */
	_Atomic(atomic_bool *) seen;
};

static struct slot slots[VRTC_MEMORY_FAULT_OWNERS][VRTC_GUESTMEM_REGIONS_MAX];
static struct sigaction default_action;
static int attention_fd = -1;
static _Thread_local atomic_bool *expected;

static void write_slot(struct slot *slot, uintptr_t first, uintptr_t last, atomic_bool *seen)
{
	unsigned sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);

	/* Sequentially consistent throughout: this is no fast path. */
	atomic_store(&slot->sequence, sequence + 1);
	atomic_store(&slot->first, first);
	atomic_store(&slot->last, last);
	atomic_store(&slot->seen, seen);
	atomic_store(&slot->sequence, sequence + 2);
}

/*
 * The regions that a thread may touch do not change while it does. Those of others may, and a slot
 * that changes under us is none of ours.
 */
static atomic_bool *find(uintptr_t address)
{
	for (unsigned owner = 0; owner < VRTC_MEMORY_FAULT_OWNERS; owner++) {
		for (unsigned i = 0; i < VRTC_GUESTMEM_REGIONS_MAX; i++) {
			struct slot *slot = &slots[owner][i];
			unsigned sequence = atomic_load(&slot->sequence);
			uintptr_t first = atomic_load(&slot->first);
			uintptr_t last = atomic_load(&slot->last);
			atomic_bool *seen = atomic_load(&slot->seen);

			if (last != 0 && address >= first && address <= last && sequence % 2 == 0 &&
				atomic_load(&slot->sequence) == sequence)
				return seen;
		}
	}
	return NULL;
}

/* Zeroes in place of the page. Of a huge page no part can be replaced: the whole of it is. */
static bool put_zeroes(uintptr_t address)
{
	static const size_t page_bytes[] = {(size_t)4 << 10, (size_t)16 << 10, (size_t)64 << 10,
		(size_t)2 << 20, (size_t)32 << 20, (size_t)512 << 20, (size_t)1 << 30};

	for (unsigned i = 0; i < RTE_DIM(page_bytes); i++) {
		uintptr_t page = RTE_ALIGN_FLOOR(address, (uintptr_t)page_bytes[i]);

		/* NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel hands out numbers */
		if (mmap((void *)page, page_bytes[i], PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
			return true;
	}
	return false;
}

static void handle(int signo, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	int err = errno;
	atomic_bool *seen = NULL;

	(void)context;
	/* Somebody's kill() has another code, and no address. */
	if (info->si_code == BUS_ADRERR) {
		seen = find(address);
		if (!seen && expected && !rte_mem_virt2memseg_list(info->si_addr))
			seen = expected;
	}
	if (seen && put_zeroes(address)) {
		if (!atomic_exchange(seen, true))
			(void)eventfd_write(attention_fd, 1);
	} else {
		/* The instruction is executed again, and this time it is the end. */
		(void)sigaction(signo, &default_action, NULL);
		if (info->si_code <= 0)
			(void)raise(signo);
	}
	errno = err;
}

int vrtc_memory_fault_init(int fd)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART};

	attention_fd = fd;
	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, &default_action) ? -errno : 0;
}

void vrtc_memory_fault_watch(unsigned owner, const struct vrtc_guestmem *mem, atomic_bool *seen)
{
	vrtc_memory_fault_forget(owner);
	for (unsigned i = 0; i < mem->n; i++) {
		uintptr_t first = (uintptr_t)mem->region[i].g_base;

		write_slot(&slots[owner][i], first, first + (mem->region[i].bytes - 1), seen);
	}
}

void vrtc_memory_fault_forget(unsigned owner)
{
	for (unsigned i = 0; i < VRTC_GUESTMEM_REGIONS_MAX; i++)
		write_slot(&slots[owner][i], 0, 0, NULL);
}

void vrtc_memory_fault_expect(atomic_bool *seen)
{
	expected = seen;
}
