/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of a live migration: a bit for each page of 4096 bytes of the guest's memory, in memory
 * that the front-end shares (VHOST_F_LOG_ALL; vhost-user, SET_LOG_BASE). Who writes to the guest's
 * memory sets the page's bit behind the write, so that a page which is copied before it is written
 * is copied again.
 *
 * Trust: the log is the front-end's, which reads and clears bits at any time; its size and
 * log_guest_addr are hostile. No bit outside of the log is set. Threads: any number may mark, the
 * bits are set atomically; the log stays mapped for as long as a ring that has it runs.
 */
#ifndef VRTC_DIRTY_LOG_H
#define VRTC_DIRTY_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "guestmem.h"

#define VRTC_DIRTY_LOG_PAGE_BYTES 4096

/* All zero: there is no log, and nothing is marked. */
struct vrtc_dirty_log {
	uint8_t *g_bits; /* NULL: no log */
	uint64_t bytes;
	/* What the front-end calls the Device Area in the log, if it does (VHOST_VRING_F_LOG). */
	const void *g_device;
	uint64_t device_bytes;
	uint64_t device_gpa; /* 0: what its address in the guest's memory is */
};

/* Marks [g_start, g_start + bytes), which lies in one region of mem; there is a log. */
void vrtc_dirty_log_mark(const struct vrtc_dirty_log *log, const struct vrtc_guestmem *mem,
	const void *g_start, uint64_t bytes);

#endif
