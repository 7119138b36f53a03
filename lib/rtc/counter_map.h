/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest's counter shows, as a function of a counter of the host: what
 * VIRTIO_RTC_REQ_READ_CROSS hands out (virtio-v1.4 RTC Device / Read Requests: "the device converts
 * the hardware counter value the device has read, accounting for any differences in counter offsets
 * or counter multipliers").
 *
 *	guest = guest_base + ((host - host_base) * mult >> shift)	modulo 2^64
 *
 * The difference counts as signed, and the shift rounds down. KVM's arithmetic is of this form to
 * the last bit (host_base = 0, mult >> shift the scaling ratio, guest_base the offset), and so is a
 * counter that an emulator derives from nanoseconds.
 *
 * Only the VMM knows its guest's map: see the message below, kvm_debugfs.h, and D39. It changes
 * while the guest runs (migration, a VM that is stopped and goes on, a reset); the reader takes all
 * of it or nothing.
 *
 * Pure: no allocation, no clock read.
 */
#ifndef VRTC_COUNTER_MAP_H
#define VRTC_COUNTER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The host's counter that a map begins at. The values are the message's. */
enum vrtc_host_counter {
	VRTC_HOST_COUNTER_NONE = 0,      /* there is no map */
	VRTC_HOST_COUNTER_CPU = 1,       /* x86: the TSC; arm64: CNTVCT_EL0 */
	VRTC_HOST_COUNTER_MONOTONIC = 2, /* CLOCK_MONOTONIC in ns: of emulated counters */
};

struct vrtc_counter_map {
	uint8_t guest_counter; /* VIRTIO_RTC_COUNTER_*; INVALID: which one is not known either */
	enum vrtc_host_counter host_counter;
	uint8_t shift; /* 0 to 127 */
	uint64_t mult; /* not 0 */
	uint64_t host_base;
	uint64_t guest_base;
};

/* What the guest's counter shows when the host's shows host. The map must not be NONE. */
static inline uint64_t vrtc_counter_map_apply(const struct vrtc_counter_map *map, uint64_t host)
{
	int64_t since = (int64_t)(host - map->host_base);
	/* 64 bits by 64 bits, of which one has a sign: it fits. */
	__int128 product = (__int128)since * (__int128)map->mult;

	return map->guest_base + (uint64_t)(product >> map->shift);
}

/*
 * The VMM's message: what VHOST_USER_SET_CONFIG carries, at offset 0, all of it little-endian.
 * qemu-glue/README.md describes it for those who send it.
 */
#define VRTC_COUNTER_MAP_MAGIC   0x4d435456u /* "VTCM" */
#define VRTC_COUNTER_MAP_VERSION 1
#define VRTC_COUNTER_MAP_BYTES   40
/*
 *	offset  size
 *	     0     4  magic
 *	     4     2  version
 *	     6     1  guest's counter, VIRTIO_RTC_COUNTER_*
 *	     7     1  host's counter, enum vrtc_host_counter; 0: no map at present
 *	     8     1  shift
 *	     9     7  reserved, zero
 *	    16     8  mult
 *	    24     8  host_base
 *	    32     8  guest_base
 */

/*
 * Takes a message apart; any bytes are allowed.
 *
 * @return  NULL, and *map is the map; or a sentence for the log, and *map is unchanged
 */
const char *vrtc_counter_map_parse(
	const uint8_t *message, size_t bytes, struct vrtc_counter_map *map);

/* The map of a guest whose counter is the host's plus offset (modulo 2^64). */
struct vrtc_counter_map vrtc_counter_map_offset(uint8_t guest_counter, uint64_t offset);

bool vrtc_counter_map_equal(const struct vrtc_counter_map *a, const struct vrtc_counter_map *b);

#endif
