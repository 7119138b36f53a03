/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm_clock.h"

#if defined(__x86_64__)
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUEST_BYTES 0x2000
#define CODE        0x1000
#define HLT         0xf4

static int run_one_instruction(int vm, unsigned char *memory)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = GUEST_BYTES, .userspace_addr = (uintptr_t)memory};
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	struct kvm_sregs sregs;
	int vcpu, result = -1;

	memory[CODE] = HLT;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		return -1;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		return -1;
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) == 0) {
		sregs.cs.base = 0;
		sregs.cs.selector = 0;
		if (ioctl(vcpu, KVM_SET_SREGS, &sregs) == 0 &&
			ioctl(vcpu, KVM_SET_REGS, &regs) == 0)
			result = ioctl(vcpu, KVM_RUN, 0);
	}
	/* The virtual machine keeps its vCPU. */
	(void)close(vcpu);
	return result;
}

int perf_kvm_clock_open(const char **why)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	unsigned char *memory;
	struct perf_kvm_pair pair;
	int vm;

	*why = "/dev/kvm cannot be opened";
	if (kvm < 0)
		return -1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	(void)close(kvm);
	*why = "KVM makes no virtual machine";
	if (vm < 0)
		return -1;
	/* Stays mapped for as long as the virtual machine is there. */
	memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*why = "KVM runs no guest here";
	if (memory != MAP_FAILED && run_one_instruction(vm, memory) == 0) {
		*why = "KVM_GET_CLOCK does not tell the TSC and CLOCK_REALTIME here";
		if (perf_kvm_clock_read(vm, &pair) == 0)
			return vm;
	}
	(void)close(vm);
	return -1;
}

int perf_kvm_clock_read(int fd, struct perf_kvm_pair *pair)
{
	struct kvm_clock_data data = {0};

	if (ioctl(fd, KVM_GET_CLOCK, &data))
		return -1;
	if (!(data.flags & KVM_CLOCK_REALTIME) || !(data.flags & KVM_CLOCK_HOST_TSC)) {
		errno = ENODATA;
		return -1;
	}
	*pair = (struct perf_kvm_pair){data.host_tsc, (int64_t)data.realtime};
	return 0;
}
#else
int perf_kvm_clock_open(const char **why)
{
	*why = "KVM tells its clock beside the TSC on x86 alone";
	return -1;
}

int perf_kvm_clock_read(int fd, struct perf_kvm_pair *pair)
{
	(void)fd;
	(void)pair;
	return -1;
}
#endif
