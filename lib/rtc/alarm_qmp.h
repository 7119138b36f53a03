/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One conversation with the QMP socket of a QEMU (its docs/interop/qmp-spec): greeting,
 * qmp_capabilities, system_wakeup. In three steps, so that the caller can decide between the
 * handshake, which does nothing to the guest, and the one send that wakes it.
 *
 * The peer is not trusted: it may be slow, send anything, or hang up. Every wait ends at the
 * deadline, a line has at most 16 KiB and a reply at most 256 events before it, and of a line
 * nothing but its kind, and the text of an error, is used.
 *
 * For a thread that may sleep; signals are blocked in it.
 */
#ifndef VRTC_ALARM_QMP_H
#define VRTC_ALARM_QMP_H

#include <stddef.h>
#include <stdint.h>

#include "action_end.h"

struct vrtc_qmp {
	int fd;
	int64_t deadline_ns; /* of CLOCK_MONOTONIC */
	size_t first, past;  /* what is received and not looked at yet */
	char buf[16384];
};

/*
 * Connects, and negotiates capabilities. VRTC_ACTION_DONE: to be ended by vrtc_qmp_close();
 * anything else is a failure with *why, and nothing is left open.
 */
enum vrtc_action_end vrtc_qmp_open(
	struct vrtc_qmp *q, const char *path, int64_t deadline_ns, struct vrtc_action_why *why);

/* Sends system_wakeup: one system call that never sleeps. VRTC_ACTION_DONE, or a failure. */
enum vrtc_action_end vrtc_qmp_send_wakeup(struct vrtc_qmp *q, struct vrtc_action_why *why);

/*
 * Waits for the answer.
 *
 * @return  VRTC_ACTION_DONE; VRTC_ACTION_NOT_NEEDED when QEMU says that the guest is not suspended:
 *          a guest that is awake needs no waking; anything else is a failure with *why, a QEMU
 *          whose guest cannot be woken at all (VRTC_ACTION_REFUSED) among them
 */
enum vrtc_action_end vrtc_qmp_finish(struct vrtc_qmp *q, struct vrtc_action_why *why);

void vrtc_qmp_close(struct vrtc_qmp *q);

#endif
