/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In the guest: says what its clock shows, in a page of its own that the host finds in the guest's
 * memory. Nothing of virtio or of PTP is in between, so that what these do can be judged by it.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#include "guest_clock.h"

int main(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct guest_clock_page *page = mmap(NULL, GUEST_CLOCK_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (page == MAP_FAILED || mlock(page, GUEST_CLOCK_PAGE_BYTES))
		return 1;
	/* Made here, since this program's own text is in the guest's memory, too. */
	for (unsigned i = 0; i < GUEST_CLOCK_MAGICS; i++)
		page->magic[i] = guest_clock_magic(i);
	for (uint64_t sequence = 2;; sequence += 2) {
		struct timespec now;

		atomic_store(&page->sequence, sequence - 1);
		page->tsc_before = __rdtsc();
		clock_gettime(CLOCK_REALTIME, &now);
		page->tsc_after = __rdtsc();
		page->realtime_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		atomic_store(&page->sequence, sequence);
		nanosleep(&pause, NULL);
	}
}
