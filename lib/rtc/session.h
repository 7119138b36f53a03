/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection of a front-end: its guest's memory, its requestq and the device behind it. The
 * alarmq is the alarm lcore's (alarm_lcore.h), as are the alarms: a request about one is passed on
 * by mail, and this device's next requests wait until it is answered. Other devices' do not.
 *
 * Two parties touch a session, never at the same time: the control threads (rte_vhost's, main)
 * while its requestq is stopped, and the lcore that polls it while it runs. backend.c starts and
 * stops; poller.c polls.
 *
 * Trust boundary: all that lies in guest memory, and all that rte_vhost passes on from the
 * front-end (ring addresses, sizes, descriptors), is hostile. It is checked here when the queue
 * starts and by vring.c at each access.
 */
#ifndef VRTC_SESSION_H
#define VRTC_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "alarm_lcore.h"
#include "device.h"
#include "guest_counter.h"
#include "guestmem.h"
#include "timesource.h"
#include "vring.h"

#define VRTC_SESSION_ALIGN 64 /* a cache line */

/*
 * In the order in which a request needs it: an idle device costs the first cache line, and the
 * driver's; a reading two or three more, and the table of the memory's first regions.
 */
struct vrtc_session {
	/* Of the polling lcore, while the queue runs. */
	_Alignas(VRTC_SESSION_ALIGN) bool mail_sent; /* an alarm request is with the alarm lcore */
	struct vrtc_vring requestq;
	const struct vrtc_device *device;
	const struct vrtc_timesource *time;
	int callfd;       /* rte_vhost's; valid while the queue runs; < 0: the driver polls */
	int attention_fd; /* eventfd that wakes the control thread */
	bool fault_told;  /* the control thread was told that the ring is broken */
	atomic_bool faulty;
	/* A predecessor applied the request of this index and did not live to answer it. */
	bool replay;
	uint16_t replay_index;
	struct vrtc_offer offer;
	struct vrtc_alarm_lcore *alarm_lcore; /* NULL: the device has no alarms */
	uint64_t pushed_serial;               /* answered with what is published next; 0: none */
	uint64_t serial;                      /* of the last one that was sent */

	/* Of the control threads, who fill it in before a queue runs. */
	struct vrtc_guestmem mem;
	int kickfd;

	struct vrtc_guest_counter counter;

	/* The alarm request that is with the alarm lcore. */
	struct vrtc_alarm_mail mail;
	struct vrtc_command mail_cmd;
	struct vrtc_chain mail_chain;
};

/* Whether vrtc_session_poll() has something to do. The polling lcore. */
static inline bool vrtc_session_is_waiting(const struct vrtc_session *s)
{
	return s->mail_sent || vrtc_vring_is_waiting(&s->requestq);
}

/*
 * Serves what the driver made available, a bounded number of requests (VRTC_SESSION_BUDGET) and of
 * descriptors, and signals the driver at most once. Without a lock, an allocation, a log line, or a
 * system call but the write to the call eventfd (and, once, to the attention eventfd; and to the
 * alarm lcore's if that one sleeps).
 *
 * @return  how many requests were served; one that is with the alarm lcore counts: do not sleep
 */
unsigned vrtc_session_poll(struct vrtc_session *s);

#define VRTC_SESSION_BUDGET             64
/* So many answers are shown at a time: fewer cost the driver's cache line more often (D52). */
#define VRTC_SESSION_SHOWN              16
/*
 * After so many descriptors it is the neighbours' turn, too, however few requests they were: a
 * request of a usual driver has two, one of a hostile driver as many as its queue has entries.
 */
#define VRTC_SESSION_BUDGET_DESCRIPTORS 256

/* The ring of a queue as rte_vhost hands it out; addresses are ours, and not yet checked. */
struct vrtc_session_ring {
	void *g_desc;
	void *g_avail;
	void *g_used;
	uint32_t size;
	uint16_t base;
	int kickfd;
	int callfd;
	uint64_t features; /* negotiated */
	/* The log of a live migration, while there is one (VHOST_F_LOG_ALL); NULL: none. */
	uint8_t *g_dirty_bits;
	uint64_t dirty_bytes;
	uint64_t log_guest_addr;
};

/*
 * What vrtc_vring_start() has to know of a ring; its descriptors are made ready, see callfd.h.
 *
 * @param why  set on error: a sentence for the log
 * @return     0, or -EINVAL: no such queue can be served
 */
int vrtc_session_ring_config(const struct vrtc_session_ring *ring, const struct vrtc_guestmem *mem,
	struct vrtc_vring_config *config, const char **why);

/*
 * Starts the requestq. s->mem must be filled.
 *
 * @param why  set on error: a sentence for the log
 * @return     0, or -EINVAL: the rings lie outside of the guest's memory, or are malformed
 */
int vrtc_session_start(
	struct vrtc_session *s, const struct vrtc_session_ring *ring, const char **why);

/*
 * After the poller let go of the session: waits for the alarm lcore if that has a request, and
 * answers it, so that nothing is under way any more; a request that waits for an action to begin is
 * withdrawn, and left for the next start of the queue. Control threads.
 */
void vrtc_session_settle(struct vrtc_session *s);

/*
 * Whether the queue that was just started is that of a device which was reset: it begins at its
 * beginning. (One that was stopped when its index had just come around to 0 looks the same; it is
 * taken for a reset, too, whose only effect is that an alarm which is past expires again.)
 */
bool vrtc_session_is_fresh(const struct vrtc_session *s);

/*
 * Signals the driver, wanted or not: once when a queue starts, since a predecessor may have died
 * between showing the driver its last answers and signalling them.
 */
void vrtc_session_signal(struct vrtc_session *s);

/* NUMA node of the page that holds the ring, or -1: unknown. After vrtc_session_start(). */
int vrtc_session_node(const struct vrtc_session *s);

#endif
