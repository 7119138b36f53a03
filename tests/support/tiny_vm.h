/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM of KVM's with one vCPU and a page of code, which does nothing but read its TSC: so that a
 * test knows what a guest reads. x86 alone. One thread.
 */
#ifndef TINY_VM_H
#define TINY_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tiny_vm {
	int kvm_fd;
	int vm_fd;
	int vcpu_fd;
	void *run;
	size_t run_bytes;
	uint8_t *mem;
};

/* NULL, or why there is none here: a reason to skip. */
const char *tiny_vm_open(struct tiny_vm *vm);

/* The same without a vCPU. */
const char *tiny_vm_open_bare(struct tiny_vm *vm);

/* Has the guest read its TSC; false: it did not come to it. */
bool tiny_vm_rdtsc(struct tiny_vm *vm, uint64_t *tsc);

/*
 * Sets the vCPU's TSC offset.
 *
 * @return  false: this KVM does not keep it (kvm_pvm accepts one and ignores it), or knows none
 */
bool tiny_vm_set_offset(struct tiny_vm *vm, int64_t offset);

/* Ends it; also one that was not opened whole, or is closed already. */
void tiny_vm_close(struct tiny_vm *vm);

/*
 * A mount namespace of this process's own, in which /sys/kernel/debug is a debugfs with KVM in it.
 * NULL, or why there is none here, or none that names us. To be called before there are threads;
 * child processes have it.
 */
const char *tiny_vm_see_debugfs(void);

#endif
