/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system calls that the daemon makes once it serves, as a seccomp filter: whoever takes one of
 * its threads over can ask the kernel for these and for nothing else. Another one ends the process
 * by SIGSYS, with a line on standard error that names it: DESIGN.md, D49.
 *
 * Main thread only; allocates.
 */
#ifndef APP_SYSCALLS_H
#define APP_SYSCALLS_H

#include <stdbool.h>

/*
 * Limits every thread of the process, those that are there and those that they will start; for
 * good. To be called when everything is started: calls of the start are not among them.
 *
 * @param hugepages  the EAL may make files of its own at any time, as it does with hugepages
 * @return           0; -errno: nothing is limited. -EINVAL, -ENOSYS: the kernel knows no filters;
 *                   -EACCES: no_new_privs is not set; -ECANCELED, -ESRCH: a thread has a filter of
 *                   its own; -ENOMEM
 */
int app_syscalls_limit(bool hugepages);

#endif
