/* SPDX-License-Identifier: BSD-3-Clause */
#include "dirty_log.h"

#include <stdbool.h>

static bool find_gpa(const struct vrtc_dirty_log *log, const struct vrtc_guestmem *mem,
	const void *g_start, uint64_t *gpa)
{
	uint64_t offset = (uint64_t)((uintptr_t)g_start - (uintptr_t)log->g_device);

	if (log->device_gpa != 0 && offset < log->device_bytes) {
		*gpa = log->device_gpa + offset;
		return true;
	}
	return vrtc_guestmem_gpa(mem, g_start, gpa);
}

void vrtc_dirty_log_mark(const struct vrtc_dirty_log *log, const struct vrtc_guestmem *mem,
	const void *g_start, uint64_t bytes)
{
	uint64_t gpa;
	uint64_t last;

	if (bytes == 0 || !find_gpa(log, mem, g_start, &gpa) || bytes - 1 > UINT64_MAX - gpa)
		return;
	last = (gpa + bytes - 1) / VRTC_DIRTY_LOG_PAGE_BYTES;
	for (uint64_t page = gpa / VRTC_DIRTY_LOG_PAGE_BYTES; page <= last; page++) {
		if (page / 8 >= log->bytes)
			return;
		/*
		 * Release: pairs with the front-end's exchange that takes the bit. Who finds it set
		 * and copies the page finds what was written before.
		 */
		__atomic_fetch_or(
			&log->g_bits[page / 8], (uint8_t)(1u << page % 8), __ATOMIC_RELEASE);
	}
}
