/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the proofs share: values that may be anything, and names for what CBMC is told. A harness is
 * a main() of the functions of lib/rtc as they are; only its bounds are its own, and each says what
 * they leave out. Unwinding assertions are on: a loop that goes on beyond its bound is a failure,
 * so a proof of all else is one of termination, too.
 */
#ifndef TESTS_PROOF_H
#define TESTS_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
int64_t nondet_i64(void);
_Bool nondet_bool(void);

void __CPROVER_assume(_Bool condition);
void __CPROVER_assert(_Bool condition, const char *what);

#ifndef __CPROVER__ /* where it is built in */
_Bool __CPROVER_r_ok(const void *begin, size_t bytes);
#endif

#define ASSUME(condition)      __CPROVER_assume(condition)
#define PROVE(condition, what) __CPROVER_assert(condition, what)

#endif
