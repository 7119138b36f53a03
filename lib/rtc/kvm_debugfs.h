/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest of KVM's reads with RDTSC, as KVM itself tells in debugfs: for a VMM that tells us
 * nothing. x86 alone: on arm64 KVM does not show the offset of a guest's counter.
 *
 *	/sys/kernel/debug/kvm/TID-FD/    a VM: the thread that made it, and as what descriptor
 *	    vcpu0/tsc-offset
 *	         /tsc-scaling-ratio, tsc-scaling-ratio-frac-bits   where the CPU can scale
 *	         /guest_mode             1: the guest runs a guest of its own; since Linux 5.14
 *	         /pid                    the thread that runs it, 0: none yet; since Linux 6.0
 *
 *	guest = (host * ratio >> frac_bits) + offset
 *
 * vCPU 0 counts, should they differ (virtio-v1.4 RTC Device: a device "SHOULD assume that the
 * driver reads the hardware counter through the CPU which the driver enumerates as the first").
 *
 * A VM is the front-end's if a thread of it made it, if the process still has a VM as that
 * descriptor, and if vCPU 0 is run by one of its threads; a pid that is used again passes none of
 * this, nor does the process pass that has it, which is known by its start. While the guest is a
 * hypervisor at work, the offset shown is that of the guest's guest: it is not taken.
 *
 * It has to be looked at again and again: KVM tells nobody that an offset has changed.
 *
 * The names in debugfs are of the host's PID namespace, while a socket names its peer as ours has
 * it. In a namespace of our own there is no way to translate, and the same number may well be
 * another VM's: so nothing is read there (NAMESPACE). And the front-end has to be the VMM itself:
 * where a manager has made the socket and handed it over, there is NO_VM.
 *
 * What it takes: a debugfs that we may read (root's, unless it is mounted otherwise), and to see
 * the descriptors of the front-end in /proc (the same user, or CAP_SYS_PTRACE).
 *
 * Control path, any one thread: some system calls, 10 us; opening reads a folder.
 */
#ifndef VRTC_KVM_DEBUGFS_H
#define VRTC_KVM_DEBUGFS_H

#include "counter_map.h"
#include "peer.h"

enum vrtc_kvm_debugfs_result {
	VRTC_KVM_DEBUGFS_OK,
	VRTC_KVM_DEBUGFS_NOT_X86,
	VRTC_KVM_DEBUGFS_NAMESPACE,   /* we are in a PID namespace of our own */
	VRTC_KVM_DEBUGFS_NO_DEBUGFS,  /* not mounted, not permitted, or no KVM in it */
	VRTC_KVM_DEBUGFS_NO_PROCESS,  /* the front-end's process has ended, or was never known */
	VRTC_KVM_DEBUGFS_NO_ACCESS,   /* its descriptors may not be looked at */
	VRTC_KVM_DEBUGFS_NO_VM,       /* that process has no VM with a vCPU 0 */
	VRTC_KVM_DEBUGFS_SEVERAL_VMS, /* it has more than one: which is the guest's? */
	VRTC_KVM_DEBUGFS_GONE,        /* the VM has ended */
	VRTC_KVM_DEBUGFS_ODD,         /* a file is missing, unreadable or not what it should be */
	VRTC_KVM_DEBUGFS_NESTED,      /* cannot be told just now: vCPU 0 runs a guest's guest */
	VRTC_KVM_DEBUGFS_RESTLESS,    /* another offset at each look: KVM moves it to make up */
				      /* for a scaling that the CPU cannot do */
	VRTC_KVM_DEBUGFS_NO_MEMORY,
};

/* The VM of a process, once found; it stays that VM, whatever becomes of names. */
struct vrtc_kvm_debugfs;

/*
 * Finds the VM of a front-end.
 *
 * @param root  "", or in its place a folder with a proc and a sys/kernel/debug of a test's
 * @param vmm   as vrtc_peer_process() has it; all zero: NO_PROCESS
 * @return      NULL with *result other than OK. To be closed
 */
struct vrtc_kvm_debugfs *vrtc_kvm_debugfs_open(const char *root,
	const struct vrtc_peer_process *vmm, enum vrtc_kvm_debugfs_result *result);

/*
 * The map now.
 *
 * @param map  set with OK, else untouched
 * @return     OK, GONE (and it remains so), ODD, NESTED or RESTLESS. With NESTED, the map of before
 *             is still the best that is known; with all others but OK there is none
 */
enum vrtc_kvm_debugfs_result vrtc_kvm_debugfs_read(
	struct vrtc_kvm_debugfs *k, struct vrtc_counter_map *map);

/* k may be NULL. */
void vrtc_kvm_debugfs_close(struct vrtc_kvm_debugfs *k);

/* A result as a sentence for the log, without a capital and a full stop; a static string. */
const char *vrtc_kvm_debugfs_why(enum vrtc_kvm_debugfs_result result);

#endif
