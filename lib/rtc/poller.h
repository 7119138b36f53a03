/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One lcore: the sessions that it polls, the alarms that it fires, and what it does when there is
 * nothing to do. An lcore has the one or the other, or, where none can be spared, both.
 *
 * The list of sessions is one of two arrays: the control threads fill the other one and swap them
 * (store release, load acquire); rte_rcu_qsbr says when the lcore has let go of the old one (D3).
 * So the lcore takes no lock, and a session that vrtc_poller_remove() has returned for is nobody's.
 */
#ifndef VRTC_POLLER_H
#define VRTC_POLLER_H

#include <stdbool.h>

#include "alarm_lcore.h"
#include "session.h"

/* D12. Declared in the order of rising latency and falling cost. */
enum vrtc_idle {
	VRTC_IDLE_BUSY,      /* polls without a pause: the product */
	VRTC_IDLE_PAUSE,     /* polls with the CPU's pause instruction between empty turns */
	VRTC_IDLE_INTERRUPT, /* sleeps until a driver kicks */
};

struct vrtc_poller;

/*
 * A poller for an lcore. Memory comes from the lcore's NUMA node.
 *
 * @param alarms  what it fires, used by no other poller; NULL: no alarms. Outlives the poller
 * @return        NULL with errno set: no memory, or no file descriptor
 */
struct vrtc_poller *vrtc_poller_new(
	unsigned lcore_id, int node, enum vrtc_idle idle, struct vrtc_alarm_lcore *alarms);

/* After its lcore has returned from vrtc_poller_run(). */
void vrtc_poller_free(struct vrtc_poller *p);

/*
 * Control threads, one at a time (backend.c holds its mutex).
 * add: the session's queue has been started. Returns 0, -ENOSPC, or the error of epoll_ctl() for a
 * kick descriptor that cannot be waited for.
 * remove: returns when the lcore no longer touches the session: within one turn of its loop.
 */
int vrtc_poller_add(struct vrtc_poller *p, struct vrtc_session *s);
void vrtc_poller_remove(struct vrtc_poller *p, struct vrtc_session *s);

unsigned vrtc_poller_lcore(const struct vrtc_poller *p);
int vrtc_poller_node(const struct vrtc_poller *p);
unsigned vrtc_poller_load(const struct vrtc_poller *p); /* number of sessions */

/*
 * Returns when nothing is in use any more that the lcore took from shared memory before: within one
 * turn of its loop, at once if it does not run or sleeps. Any thread but an lcore.
 */
void vrtc_poller_synchronize(struct vrtc_poller *p);

/* The lcore's loop, for rte_eal_remote_launch(); returns 0 after vrtc_poller_stop(). */
int vrtc_poller_run(void *poller);

/* From any thread. */
void vrtc_poller_stop(struct vrtc_poller *p);

#endif
