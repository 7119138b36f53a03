/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The eventfds that a front-end gives us: we write to the call eventfd of a queue to interrupt its
 * driver, and wait on the kick eventfd. They are the front-end's, and hostile (D15).
 */
#ifndef VRTC_CALLFD_H
#define VRTC_CALLFD_H

#include <stdbool.h>

/*
 * From now on nothing that a front-end does to its eventfd makes a thread of ours sleep, for three
 * times the price of a write(): for a process that has other front-ends, too. Control thread,
 * before a queue is served; once.
 *
 * @param n_threads  how many may signal; those beyond write() as without this
 * @return           0; -errno: the kernel has none of it to give
 */
int vrtc_callfd_protect(unsigned n_threads);

/*
 * Whether a queue can be served with these descriptors: each is an eventfd, or negative (the driver
 * polls; we poll). The call eventfd is made non-blocking. Control threads.
 */
bool vrtc_callfd_check(int callfd, int kickfd);

/* Interrupts the driver; does nothing for a negative callfd. An lcore: one system call. */
void vrtc_callfd_signal(int callfd);

#endif
