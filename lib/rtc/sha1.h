/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SHA-1 (FIPS 180-4), for one purpose: leap-seconds.list carries such a digest of its contents. It
 * finds a damaged file and protects against no attacker, who would write a digest that fits.
 *
 * The state is the caller's: any thread, no allocation.
 */
#ifndef VRTC_SHA1_H
#define VRTC_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define VRTC_SHA1_WORDS       5
#define VRTC_SHA1_BLOCK_BYTES 64

struct vrtc_sha1 {
	uint32_t words[VRTC_SHA1_WORDS];
	uint64_t bytes; /* seen so far; modulo the block, how full the block is */
	uint8_t block[VRTC_SHA1_BLOCK_BYTES];
};

/* Begin a message. */
void vrtc_sha1_init(struct vrtc_sha1 *sha1);

/* Append bytes at data to the message; bytes may be 0. */
void vrtc_sha1_update(struct vrtc_sha1 *sha1, const void *data, size_t bytes);

/* End the message: its digest, the most significant word first. *sha1 is then used up. */
void vrtc_sha1_final(struct vrtc_sha1 *sha1, uint32_t digest[VRTC_SHA1_WORDS]);

#endif
