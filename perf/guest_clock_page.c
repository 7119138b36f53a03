/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In the guest: says what its clock shows, in a page of its own that the host finds in the guest's
 * memory. Nothing of virtio or of PTP is in between, so that what these do can be judged by it; and
 * nothing is measured, since the clock is a line of the TSC (vdso_clock.h).
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "guest_clock.h"
#include "vdso_clock.h"

/* One line holds from before the count until after it. */
static bool look(const struct vdso_clock *clock, uint64_t *tsc, int64_t *ns)
{
	struct vdso_line line, after;

	do {
		if (!vdso_clock_line(clock, &line))
			return false;
		*tsc = vdso_count_now();
		if (!vdso_clock_line(clock, &after))
			return false;
	} while (memcmp(&line, &after, sizeof(line)) != 0);
	*ns = vdso_line_ns(&line, *tsc);
	return true;
}

int main(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct guest_clock_page *page = mmap(NULL, GUEST_CLOCK_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct vdso_clock clock;

	if (page == MAP_FAILED || mlock(page, GUEST_CLOCK_PAGE_BYTES) ||
		!vdso_clock_find(&clock, CLOCK_REALTIME))
		return 1;
	/* Made here, since this program's own text is in the guest's memory, too. */
	for (unsigned i = 0; i < GUEST_CLOCK_MAGICS; i++)
		page->magic[i] = guest_clock_magic(i);
	for (uint64_t sequence = 2;; sequence += 2) {
		uint64_t tsc;
		int64_t ns;

		if (!look(&clock, &tsc, &ns))
			return 1;
		atomic_store(&page->sequence, sequence - 1);
		page->tsc = tsc;
		page->realtime_ns = ns;
		atomic_store(&page->sequence, sequence);
		nanosleep(&pause, NULL);
	}
}
