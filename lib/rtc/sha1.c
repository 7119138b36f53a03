/* SPDX-License-Identifier: BSD-3-Clause */
#include "sha1.h"

/* Where the length of the message lies in the last block: in its last eight bytes. */
#define LENGTH_OFFSET (VRTC_SHA1_BLOCK_BYTES - 8)

static uint32_t rotate_left(uint32_t word, unsigned int bits)
{
	return word << bits | word >> (32 - bits);
}

/* FIPS 180-4, 6.1.2: mix the full block into the words. */
static void mix_block(struct vrtc_sha1 *sha1)
{
	uint32_t w[80];
	uint32_t a = sha1->words[0], b = sha1->words[1], c = sha1->words[2], d = sha1->words[3],
		 e = sha1->words[4];

	for (size_t t = 0; t < 16; t++) {
		const uint8_t *in = &sha1->block[4 * t];

		w[t] = (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
	}
	for (unsigned int t = 16; t < 80; t++)
		w[t] = rotate_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);

	for (unsigned int t = 0; t < 80; t++) {
		uint32_t f, k, next;

		if (t < 20) {
			f = (b & c) ^ (~b & d);
			k = 0x5a827999;
		} else if (t < 40) {
			f = b ^ c ^ d;
			k = 0x6ed9eba1;
		} else if (t < 60) {
			f = (b & c) ^ (b & d) ^ (c & d);
			k = 0x8f1bbcdc;
		} else {
			f = b ^ c ^ d;
			k = 0xca62c1d6;
		}
		next = rotate_left(a, 5) + f + e + k + w[t];
		e = d;
		d = c;
		c = rotate_left(b, 30);
		b = a;
		a = next;
	}

	sha1->words[0] += a;
	sha1->words[1] += b;
	sha1->words[2] += c;
	sha1->words[3] += d;
	sha1->words[4] += e;
}

void vrtc_sha1_init(struct vrtc_sha1 *sha1)
{
	*sha1 = (struct vrtc_sha1){
		.words = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0},
	};
}

void vrtc_sha1_update(struct vrtc_sha1 *sha1, const void *data, size_t bytes)
{
	const uint8_t *in = data;

	for (size_t i = 0; i < bytes; i++) {
		sha1->block[sha1->bytes++ % VRTC_SHA1_BLOCK_BYTES] = in[i];
		if (sha1->bytes % VRTC_SHA1_BLOCK_BYTES == 0)
			mix_block(sha1);
	}
}

void vrtc_sha1_final(struct vrtc_sha1 *sha1, uint32_t digest[VRTC_SHA1_WORDS])
{
	static const uint8_t one_bit = 0x80, zero = 0;
	uint64_t bits = sha1->bytes * 8;
	uint8_t length[8];

	for (unsigned int i = 0; i < sizeof(length); i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));

	vrtc_sha1_update(sha1, &one_bit, 1);
	while (sha1->bytes % VRTC_SHA1_BLOCK_BYTES != LENGTH_OFFSET)
		vrtc_sha1_update(sha1, &zero, 1);
	vrtc_sha1_update(sha1, length, sizeof(length));

	for (unsigned int i = 0; i < VRTC_SHA1_WORDS; i++)
		digest[i] = sha1->words[i];
}
