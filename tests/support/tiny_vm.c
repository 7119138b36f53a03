/* SPDX-License-Identifier: BSD-3-Clause */
#include "tiny_vm.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/kvm.h>

#define MEM_BYTES 0x2000
#define CODE      0x1000
#define RESULT    0x0800

const char *tiny_vm_see_debugfs(void)
{
	static const char path[] = "/sys/kernel/debug";
	char pids[32] = "";

	/* It knows neither this clone() nor what KVM does to our memory. */
	if (getenv("LD_PRELOAD") && strstr(getenv("LD_PRELOAD"), "vgpreload"))
		return "valgrind knows no KVM";

	/* The first one there is: PROC_PID_INIT_INO. */
	if (readlink("/proc/self/ns/pid", pids, sizeof(pids) - 1) < 0 ||
		strcmp(pids, "pid:[4026531836]") != 0)
		return "in a PID namespace of our own KVM's debugfs names no process of ours";
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", "none", MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace of our own: not root?";
	if (access("/sys/kernel/debug/kvm", F_OK) && mount("none", path, "debugfs", 0, NULL))
		return "debugfs cannot be mounted";
	if (access("/sys/kernel/debug/kvm", R_OK | X_OK))
		return "no KVM in debugfs";
	return NULL;
}

void tiny_vm_close(struct tiny_vm *vm)
{
	if (vm->run)
		munmap(vm->run, vm->run_bytes);
	if (vm->mem)
		munmap(vm->mem, MEM_BYTES);
	if (vm->vcpu_fd >= 0)
		close(vm->vcpu_fd);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	*vm = (struct tiny_vm){.kvm_fd = -1, .vm_fd = -1, .vcpu_fd = -1};
}

const char *tiny_vm_open_bare(struct tiny_vm *vm)
{
	*vm = (struct tiny_vm){.kvm_fd = -1, .vm_fd = -1, .vcpu_fd = -1};
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		return "/dev/kvm cannot be opened";
	vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd >= 0)
		return NULL;
	tiny_vm_close(vm);
	return "KVM makes no VM";
}

#if defined(__x86_64__)

/* Real mode: rdtsc; mov [RESULT], eax; mov [RESULT + 4], edx; hlt */
static const uint8_t code[] = {
	0x0f, 0x31, 0x66, 0xa3, 0x00, 0x08, 0x66, 0x89, 0x16, 0x04, 0x08, 0xf4};

static bool fill(struct tiny_vm *vm)
{
	struct kvm_userspace_memory_region region = {.memory_size = MEM_BYTES};
	struct kvm_sregs sregs;
	void *mem =
		mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *run;

	if (mem == MAP_FAILED)
		return false;
	vm->mem = mem;
	memcpy(vm->mem + CODE, code, sizeof(code));
	region.userspace_addr = (uintptr_t)mem;
	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		return false;
	vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	vm->run_bytes = (size_t)ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vm->vcpu_fd < 0)
		return false;
	run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (run == MAP_FAILED || ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs))
		return false;
	vm->run = run;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	return ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs) == 0;
}

const char *tiny_vm_open(struct tiny_vm *vm)
{
	const char *why = tiny_vm_open_bare(vm);
	uint64_t tsc;

	if (!why && !fill(vm))
		why = "KVM makes no vCPU";
	if (!why && !tiny_vm_rdtsc(vm, &tsc))
		why = "KVM runs no guest that reads its TSC";
	if (why)
		tiny_vm_close(vm);
	return why;
}

bool tiny_vm_rdtsc(struct tiny_vm *vm, uint64_t *tsc)
{
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	const struct kvm_run *run = vm->run;

	memset(vm->mem + RESULT, 0, sizeof(*tsc));
	if (ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs) || ioctl(vm->vcpu_fd, KVM_RUN, 0) ||
		run->exit_reason != KVM_EXIT_HLT)
		return false;
	memcpy(tsc, vm->mem + RESULT, sizeof(*tsc));
	return *tsc != 0;
}

bool tiny_vm_set_offset(struct tiny_vm *vm, int64_t offset)
{
	int64_t kept = ~offset;
	struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET};

	attr.addr = (uintptr_t)&offset;
	if (ioctl(vm->vcpu_fd, KVM_SET_DEVICE_ATTR, &attr))
		return false;
	attr.addr = (uintptr_t)&kept;
	return ioctl(vm->vcpu_fd, KVM_GET_DEVICE_ATTR, &attr) == 0 && kept == offset;
}

#else

const char *tiny_vm_open(struct tiny_vm *vm)
{
	*vm = (struct tiny_vm){.kvm_fd = -1, .vm_fd = -1, .vcpu_fd = -1};
	return "no TSC: x86 alone";
}

bool tiny_vm_rdtsc(struct tiny_vm *vm, uint64_t *tsc)
{
	(void)vm;
	(void)tsc;
	return false;
}

bool tiny_vm_set_offset(struct tiny_vm *vm, int64_t offset)
{
	(void)vm;
	(void)offset;
	return false;
}

#endif
