/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fuzz targets share: the entry that libFuzzer calls (and replay.c, where there is no
 * libFuzzer), a reader of the input, and the check that a finding is.
 *
 * A target gets any bytes, never fails on them and returns 0; whatever it finds ends the process.
 * It is deterministic: no time, no random number, nothing kept from one input for the next.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): a fuzzer that was built with NDEBUG would find nothing. */
#define FUZZ_CHECK(cond)                                                                           \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Whether two structures are the same to the last byte, padding included: one is a copy. */
static inline bool fuzz_is_same(const void *a, const void *b, size_t bytes)
{
	return memcmp(a, b, bytes) == 0;
}

/* What is left of an input; what is behind its end reads as zeroes. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline void fuzz_take(struct fuzz_input *in, void *to, size_t bytes)
{
	size_t have = bytes < in->left ? bytes : in->left;

	if (bytes == 0)
		return;
	memset(to, 0, bytes);
	if (have == 0)
		return;
	memcpy(to, in->at, have);
	in->at += have;
	in->left -= have;
}

static inline uint8_t fuzz_take8(struct fuzz_input *in)
{
	uint8_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

static inline uint16_t fuzz_take16(struct fuzz_input *in)
{
	uint16_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

static inline uint32_t fuzz_take32(struct fuzz_input *in)
{
	uint32_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

static inline uint64_t fuzz_take64(struct fuzz_input *in)
{
	uint64_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

/* A copy of exactly so many bytes, so that a sanitizer sees a read beyond it; to be freed. */
static inline void *fuzz_copy(const void *from, size_t bytes)
{
	void *copy = calloc(1, bytes ? bytes : 1);

	FUZZ_CHECK(copy);
	if (bytes > 0)
		memcpy(copy, from, bytes);
	return copy;
}

#endif
