/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies between the guest's memory and ours, for the rings (vring_chain.h). The driver may write
 * there at the same time: each byte is read, or written, exactly once, and what was copied is what
 * is looked at. All accesses are relaxed atomics: they order nothing.
 *
 * The caller has found the range in the guest's memory (guestmem.h), and its own to be as long.
 */
#ifndef VRTC_GUEST_COPY_H
#define VRTC_GUEST_COPY_H

#include <stdint.h>
#include <string.h>

/* A word in guest memory: little-endian, and it aliases whatever the guest keeps there. */
typedef uint64_t __attribute__((may_alias)) g_le64;

/*
 * Copies with every byte of guest memory read once. By words where its address allows, which is
 * nearly always; never more than 24 bytes.
 */
static inline void copy_in(uint8_t *to, const uint8_t *g_from, uint32_t bytes)
{
	if ((uintptr_t)g_from % sizeof(uint64_t) == 0) {
		for (; bytes >= sizeof(uint64_t); bytes -= (uint32_t)sizeof(uint64_t)) {
			uint64_t word = __atomic_load_n(
				(const g_le64 *)(const void *)g_from, __ATOMIC_RELAXED);

			memcpy(to, &word, sizeof(word));
			to += sizeof(word);
			g_from += sizeof(word);
		}
	}
	while (bytes-- > 0)
		*to++ = __atomic_load_n(g_from++, __ATOMIC_RELAXED);
}

static inline void copy_out(uint8_t *g_to, const uint8_t *from, uint32_t bytes)
{
	if ((uintptr_t)g_to % sizeof(uint64_t) == 0) {
		for (; bytes >= sizeof(uint64_t); bytes -= (uint32_t)sizeof(uint64_t)) {
			uint64_t word;

			memcpy(&word, from, sizeof(word));
			__atomic_store_n((g_le64 *)(void *)g_to, word, __ATOMIC_RELAXED);
			from += sizeof(word);
			g_to += sizeof(word);
		}
	}
	while (bytes-- > 0)
		__atomic_store_n(g_to++, *from++, __ATOMIC_RELAXED);
}

#endif
