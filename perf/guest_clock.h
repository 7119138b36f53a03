/* SPDX-License-Identifier: BSD-3-Clause */
/* What guest_clock_page.c writes and guest_clock_watch.c finds: a page of the guest's memory. */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdint.h>

#define GUEST_CLOCK_PAGE_BYTES 4096
#define GUEST_CLOCK_MAGICS     4

struct guest_clock_page {
	uint64_t magic[GUEST_CLOCK_MAGICS];
	_Atomic uint64_t sequence; /* odd: being written */
	/* CLOCK_REALTIME showed realtime_ns when the guest's TSC showed tsc. */
	uint64_t tsc;
	int64_t realtime_ns;
};

static inline uint64_t guest_clock_magic(unsigned int i)
{
	return (i + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x5ec0d5);
}

#endif
