/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm_debugfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

#if defined(__x86_64__)
#define IS_X86 true
#else
#define IS_X86 false
#endif

/* What readlink() shows of /proc/self/ns/pid in the first namespace: PROC_PID_INIT_INO. */
#define HOST_NAMESPACE "pid:[4026531836]"
#define VM_DESCRIPTOR  "anon_inode:kvm-vm"

/* Of a look that finds another offset than before: so many tries to have it settled. */
#define TRIES        8
/* In so many looks in a row it was another one. */
#define RESTLESS_MIN 3

/* What KVM shows of a vCPU's TSC. */
struct shown {
	uint64_t offset;
	uint64_t ratio;
	uint64_t frac_bits; /* 0 with ratio 1: not scaled */
};

struct vrtc_kvm_debugfs {
	int vcpu_fd; /* its folder; a name of it may come to mean another one */
	bool known;
	struct shown last; /* if known */
	unsigned changes;  /* looks in a row that found another one */
};

const char *vrtc_kvm_debugfs_why(enum vrtc_kvm_debugfs_result result)
{
	switch (result) {
	case VRTC_KVM_DEBUGFS_OK:
		return "KVM's debugfs tells the guest's TSC";
	case VRTC_KVM_DEBUGFS_NOT_X86:
		return "KVM's debugfs tells the guest's counter on x86 alone";
	case VRTC_KVM_DEBUGFS_NAMESPACE:
		return "in a PID namespace of our own KVM's debugfs does not tell whose VM is whose";
	case VRTC_KVM_DEBUGFS_NO_DEBUGFS:
		return "no KVM in /sys/kernel/debug: it is not mounted, or we may not read it";
	case VRTC_KVM_DEBUGFS_NO_PROCESS:
		return "the front-end's process cannot be told";
	case VRTC_KVM_DEBUGFS_NO_ACCESS:
		return "we may not see which VM the front-end has (CAP_SYS_PTRACE, or its user)";
	case VRTC_KVM_DEBUGFS_NO_VM:
		return "the front-end's process has no VM of KVM";
	case VRTC_KVM_DEBUGFS_SEVERAL_VMS:
		return "the front-end's process has several VMs of KVM";
	case VRTC_KVM_DEBUGFS_GONE:
		return "the front-end's VM has ended";
	case VRTC_KVM_DEBUGFS_ODD:
		return "KVM's debugfs shows the guest's TSC in a way that is not understood";
	case VRTC_KVM_DEBUGFS_NESTED:
		return "KVM's debugfs shows the TSC of a guest of the guest";
	case VRTC_KVM_DEBUGFS_RESTLESS:
		return "KVM changes the guest's TSC offset all the time";
	case VRTC_KVM_DEBUGFS_NO_MEMORY:
		return "out of memory";
	}
	return "unknown";
}

/* A number from where text begins, without blanks or a sign of its own; what is behind it. */
static const char *parse_digits(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno ? NULL : end;
}

/*
 * A file of debugfs that holds a number and nothing else. It has to be opened for each reading:
 * these files cannot be rewound.
 *
 * @return  0, or -errno; -EPROTO: it is something else
 */
static int read_number(int folder_fd, const char *name, bool may_be_negative, uint64_t *value)
{
	char text[32];
	const char *digits = text;
	const char *end;
	ssize_t bytes;
	uint64_t size = 0;
	int err;
	int fd;

	fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	bytes = read(fd, text, sizeof(text) - 1);
	err = bytes < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	text[bytes] = '\0';
	if (may_be_negative && *digits == '-')
		digits++;
	end = parse_digits(digits, &size);
	if (!end || end != text + bytes - 1 || *end != '\n')
		return -EPROTO;
	if (may_be_negative && size > (uint64_t)INT64_MAX + (digits > text))
		return -EPROTO;
	*value = digits > text ? 0 - size : size;
	return 0;
}

/* ---- Whose VM it is. */

static bool is_thread_of(const char *root, uint64_t pid, uint64_t tid)
{
	char path[PATH_MAX];

	if (tid == pid)
		return true;
	snprintf(path, sizeof(path), "%s/proc/%u/task/%u", root, (unsigned)pid, (unsigned)tid);
	return access(path, F_OK) == 0;
}

/* Whether a link of /proc reads so: 1, 0, or -errno. */
static int link_is(const char *path, const char *wanted)
{
	char text[64];
	ssize_t bytes = readlink(path, text, sizeof(text));

	if (bytes < 0)
		return -errno;
	return (size_t)bytes == strlen(wanted) && memcmp(text, wanted, (size_t)bytes) == 0;
}

/* A folder's name is TID-FD. */
static bool parse_name(const char *name, uint64_t *tid, uint64_t *fd)
{
	const char *rest = parse_digits(name, tid);

	if (!rest || *rest != '-')
		return false;
	rest = parse_digits(rest + 1, fd);
	return rest && *rest == '\0' && *tid <= INT_MAX && *fd <= INT_MAX;
}

/* vCPU 0 of a VM of that process: a descriptor; -ENOENT: it is not one; -EACCES: who knows. */
static int open_vcpu(const char *root, uint64_t pid, DIR *vms, const char *name)
{
	char path[PATH_MAX];
	uint64_t tid;
	uint64_t fd;
	int vcpu_fd;
	int is_vm;

	if (!parse_name(name, &tid, &fd) || !is_thread_of(root, pid, tid))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/proc/%u/fd/%u", root, (unsigned)pid, (unsigned)fd);
	is_vm = link_is(path, VM_DESCRIPTOR);
	if (is_vm == -EACCES)
		return -EACCES;
	if (is_vm != 1)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/vcpu0", name);
	vcpu_fd = openat(dirfd(vms), path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (vcpu_fd < 0)
		return -ENOENT;
	/* Before Linux 6.0 it is not told who runs it. */
	if (read_number(vcpu_fd, "pid", false, &tid) == 0 && tid != 0 &&
		(tid > INT_MAX || !is_thread_of(root, pid, tid))) {
		close(vcpu_fd);
		return -ENOENT;
	}
	return vcpu_fd;
}

static enum vrtc_kvm_debugfs_result find_vcpu(
	const char *root, const struct vrtc_peer_process *vmm, int *vcpu_fd)
{
	enum vrtc_kvm_debugfs_result result = VRTC_KVM_DEBUGFS_NO_VM;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *vms;

	snprintf(path, sizeof(path), "%s/proc/self/ns/pid", root);
	if (link_is(path, HOST_NAMESPACE) != 1)
		return VRTC_KVM_DEBUGFS_NAMESPACE;
	snprintf(path, sizeof(path), "%s/sys/kernel/debug/kvm", root);
	vms = opendir(path);
	if (!vms)
		return VRTC_KVM_DEBUGFS_NO_DEBUGFS;
	while (result != VRTC_KVM_DEBUGFS_SEVERAL_VMS && (entry = readdir(vms))) {
		int fd = open_vcpu(root, vmm->pid, vms, entry->d_name);

		if (fd == -EACCES && result == VRTC_KVM_DEBUGFS_NO_VM) {
			result = VRTC_KVM_DEBUGFS_NO_ACCESS;
		} else if (fd >= 0 && *vcpu_fd >= 0) {
			result = VRTC_KVM_DEBUGFS_SEVERAL_VMS;
			close(fd);
		} else if (fd >= 0) {
			result = VRTC_KVM_DEBUGFS_OK;
			*vcpu_fd = fd;
		}
	}
	closedir(vms);
	/* If it is there now, it was all the time; and not another one of its pid. */
	if (!vrtc_peer_process_runs(vmm))
		return VRTC_KVM_DEBUGFS_NO_PROCESS;
	return result;
}

struct vrtc_kvm_debugfs *vrtc_kvm_debugfs_open(
	const char *root, const struct vrtc_peer_process *vmm, enum vrtc_kvm_debugfs_result *result)
{
	struct vrtc_kvm_debugfs *k;
	int vcpu_fd = -1;

	*result = VRTC_KVM_DEBUGFS_NOT_X86;
	if (IS_X86)
		*result = find_vcpu(root, vmm, &vcpu_fd);
	if (*result == VRTC_KVM_DEBUGFS_OK) {
		k = calloc(1, sizeof(*k));
		if (k) {
			k->vcpu_fd = vcpu_fd;
			return k;
		}
		*result = VRTC_KVM_DEBUGFS_NO_MEMORY;
	}
	if (vcpu_fd >= 0)
		close(vcpu_fd);
	return NULL;
}

void vrtc_kvm_debugfs_close(struct vrtc_kvm_debugfs *k)
{
	if (!k)
		return;
	close(k->vcpu_fd);
	free(k);
}

/* ---- Its counter. */

static bool is_same(const struct shown *a, const struct shown *b)
{
	return a->offset == b->offset && a->ratio == b->ratio && a->frac_bits == b->frac_bits;
}

static int read_shown(int vcpu_fd, struct shown *shown)
{
	int err = read_number(vcpu_fd, "tsc-offset", true, &shown->offset);

	if (err)
		return err;
	err = read_number(vcpu_fd, "tsc-scaling-ratio", false, &shown->ratio);
	if (err == -ENOENT) {
		shown->ratio = 1;
		shown->frac_bits = 0;
		return 0;
	}
	if (!err)
		err = read_number(vcpu_fd, "tsc-scaling-ratio-frac-bits", false, &shown->frac_bits);
	if (!err && (shown->ratio == 0 || shown->frac_bits > 63))
		err = -EPROTO;
	return err;
}

/* Something could not be read. When a VM ends, so do its files: what has been there, is gone. */
static enum vrtc_kvm_debugfs_result failed(const struct vrtc_kvm_debugfs *k)
{
	uint64_t ignored;
	int err = read_number(k->vcpu_fd, "tsc-offset", true, &ignored);

	return k->known && (err == -ENOENT || err == -EIO) ? VRTC_KVM_DEBUGFS_GONE
							   : VRTC_KVM_DEBUGFS_ODD;
}

/* -ENOENT is allowed: Linux before 5.14 does not tell. */
static int read_nested(int vcpu_fd, bool *nested)
{
	uint64_t mode = 0;
	int err = read_number(vcpu_fd, "guest_mode", false, &mode);

	*nested = mode != 0;
	return err == -ENOENT ? 0 : err;
}

/*
 * Seen twice alike, and while vCPU 0 ran no guest's guest: KVM exchanges the offset shortly behind
 * the word that it does not run one any more. Should its thread lose the CPU just there, the next
 * look has it right.
 */
static enum vrtc_kvm_debugfs_result settle(const struct vrtc_kvm_debugfs *k, struct shown *shown)
{
	enum vrtc_kvm_debugfs_result result = VRTC_KVM_DEBUGFS_RESTLESS;
	struct shown before = {0};
	bool seen = false;

	for (unsigned i = 0; i < TRIES; i++) {
		bool nested;

		if (read_shown(k->vcpu_fd, shown) || read_nested(k->vcpu_fd, &nested))
			return failed(k);
		if (nested) {
			result = VRTC_KVM_DEBUGFS_NESTED;
			seen = false;
			continue;
		}
		if (seen && is_same(&before, shown))
			return VRTC_KVM_DEBUGFS_OK;
		before = *shown;
		seen = true;
	}
	return result;
}

static struct vrtc_counter_map map_of(const struct shown *shown)
{
	struct vrtc_counter_map map =
		vrtc_counter_map_offset(VIRTIO_RTC_COUNTER_X86_TSC, shown->offset);

	/* KVM does not multiply by one. */
	if (shown->ratio != UINT64_C(1) << shown->frac_bits) {
		map.mult = shown->ratio;
		map.shift = (uint8_t)shown->frac_bits;
	}
	return map;
}

enum vrtc_kvm_debugfs_result vrtc_kvm_debugfs_read(
	struct vrtc_kvm_debugfs *k, struct vrtc_counter_map *map)
{
	enum vrtc_kvm_debugfs_result result;
	struct shown shown = {0};

	if (read_shown(k->vcpu_fd, &shown))
		return failed(k);
	if (k->known && is_same(&k->last, &shown)) {
		k->changes = 0;
		*map = map_of(&shown);
		return VRTC_KVM_DEBUGFS_OK;
	}
	result = settle(k, &shown);
	if (result != VRTC_KVM_DEBUGFS_OK)
		return result;
	/* It may have been a guest's guest's at first. */
	if (k->known && !is_same(&k->last, &shown))
		k->changes++;
	k->known = true;
	k->last = shown;
	if (k->changes >= RESTLESS_MIN)
		return VRTC_KVM_DEBUGFS_RESTLESS;
	*map = map_of(&shown);
	return VRTC_KVM_DEBUGFS_OK;
}
