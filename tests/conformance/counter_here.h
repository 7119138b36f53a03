/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The counter of the CPU that we run on, in the place of a guest's, and the map of a guest whose
 * counter is the host's plus an offset.
 */
#ifndef CONFORM_COUNTER_HERE_H
#define CONFORM_COUNTER_HERE_H

#include <stdint.h>

#include "counter_map.h"
#include "wire.h"

/* So that a host's counter that is passed off as the guest's is noticed. */
#define CONFORM_COUNTER_OFFSET UINT64_C(0x0123456789abcdef)

#ifdef __aarch64__
#define CONFORM_COUNTER VIRTIO_RTC_COUNTER_ARM_VCT

static inline uint64_t conform_counter(void)
{
	uint64_t cycles;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(cycles)::"memory");
	return cycles;
}
#else
#define CONFORM_COUNTER VIRTIO_RTC_COUNTER_X86_TSC

static inline uint64_t conform_counter(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}
#endif

static inline struct vrtc_counter_map conform_counter_map(void)
{
	return (struct vrtc_counter_map){
		.guest_counter = CONFORM_COUNTER,
		.host_counter = VRTC_HOST_COUNTER_CPU,
		.mult = 1,
		.guest_base = CONFORM_COUNTER_OFFSET,
	};
}

#endif
