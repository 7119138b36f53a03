/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the guest (init.c, steps `pairs` and `meet`) leaves in its memory for the host to find there
 * (pairs.py, pairs_host.c): nothing of virtio or of PTP is in between.
 */
#ifndef PAIRS_H
#define PAIRS_H

#include <stdint.h>

#define PAIRS_PAGE_BYTES  4096
#define PAIRS_ON_PAGE     254
#define PAIRS_MAGIC       UINT64_C(0x7061697273206f66)
#define PAIRS_MEETING     UINT32_MAX
#define PAIRS_MEETING_END UINT64_MAX /* asks for nothing any more */

/* The device's clock showed device_ns when the guest's counter showed count. */
struct pairs_pair {
	uint64_t count;
	int64_t device_ns;
};

struct pairs_page {
	uint64_t magic; /* PAIRS_MAGIC exclusive or run: a program's text has it nowhere */
	uint64_t run;   /* which of the guest's runs it is of; it has told the host */
	uint32_t index; /* or PAIRS_MEETING */
	uint32_t n;
	uint64_t reserved;
	union {
		struct pairs_pair pair[PAIRS_ON_PAGE];
		/* The host asks for the guest's counter, and both look how long that took. */
		struct {
			_Atomic uint64_t ask;
			_Atomic uint64_t answer;
			uint64_t count;
		} meeting;
	};
};

_Static_assert(sizeof(struct pairs_page) == PAIRS_PAGE_BYTES, "a page");

#endif
