/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front-end may truncate the file behind its guest's memory while it is mapped here; whoever
 * touches a page that is gone gets SIGBUS. A page of zeroes takes its place, so that the access
 * goes on, the connection is marked, and the main thread closes it. A SIGBUS of any other kind
 * ends the process as it always did.
 *
 * No front-end can be asked for more: F_SEAL_SHRINK is its own choice, and files on hugetlbfs or a
 * tmpfs, which QEMU takes for guests' memory, cannot be sealed.
 *
 * Threads: the table is written by the control threads, one at a time (backend.c's mutex), and
 * read by the signal handler of any thread, without a lock. A connection's memory is in it while an
 * lcore may touch it. rte_vhost's own threads touch it earlier than we know where it is: see
 * vrtc_memory_fault_expect().
 */
#ifndef VRTC_MEMORY_FAULT_H
#define VRTC_MEMORY_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "guestmem.h"

/* rte_vhost's RTE_MAX_VHOST_DEVICE. */
#define VRTC_MEMORY_FAULT_OWNERS 1024

/*
 * Installs the handler. Once.
 *
 * @param attention_fd  eventfd, written to when a connection is marked
 * @return              0, or -errno
 */
int vrtc_memory_fault_init(int attention_fd);

/*
 * Faults in these regions are from now on the connection's.
 *
 * @param owner  below VRTC_MEMORY_FAULT_OWNERS; its regions of before are forgotten
 * @param seen   set by the handler, never freed
 */
void vrtc_memory_fault_watch(unsigned owner, const struct vrtc_guestmem *mem, atomic_bool *seen);

void vrtc_memory_fault_forget(unsigned owner);

/*
 * For a thread of rte_vhost's that begins to work for a connection: a fault of this thread at an
 * address that is in nobody's regions is this connection's. (rte_vhost maps the memory and looks
 * at the rings in one step, and unmaps after we have forgotten it.) The EAL's memory is excepted.
 */
void vrtc_memory_fault_expect(atomic_bool *seen);

#endif
