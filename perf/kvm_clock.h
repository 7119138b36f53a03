/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's own pair of CLOCK_REALTIME and the TSC, which KVM hands out: made in the kernel from
 * one reading of the TSC, so it is exact to the nanosecond that it is cut to.
 */
#ifndef PERF_KVM_CLOCK_H
#define PERF_KVM_CLOCK_H

#include <stdint.h>

struct perf_kvm_pair {
	uint64_t tsc;
	int64_t realtime_ns;
};

/*
 * Makes a virtual machine, of which one instruction is run: before that KVM has no clock.
 *
 * @return  a descriptor, or -1: why is then a sentence
 */
int perf_kvm_clock_open(const char **why);

/* 0, or -1 with errno. */
int perf_kvm_clock_read(int fd, struct perf_kvm_pair *pair);

#endif
