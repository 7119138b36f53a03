/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Going to sleep without missing a request (VRTC_IDLE_INTERRUPT):
 *
 *	1. ask every driver for a notification (avail_event or used flags), full barrier
 *	2. look at every ring once more; if there is something, serve it and do not sleep
 *	3. sleep in epoll_wait() on all kick eventfds and on the poller's own eventfd
 *
 * A driver that makes a request available after 2 has seen 1 and kicks; the eventfds are registered
 * edge-triggered, so a kick between 2 and 3 ends the sleep at once, and nothing has to be read from
 * a descriptor that belongs to the front-end. A change of the list or a stop writes to the poller's
 * own eventfd; alarms have a timer and an eventfd (alarm_lcore.c). While it sleeps the lcore is
 * offline for rte_rcu_qsbr: the control threads do not wait for it.
 */
#include "poller.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>

#include "turn.h"

/* Empty turns before the idle policy sets in: a driver that asks again at once finds us polling. */
#define IDLE_AFTER_TURNS 2048
/* The longest run of pause instructions between two looks: 1 to 3 us, depending on the CPU. */
#define PAUSES_MAX       64
/* A front-end that gave no kick eventfd wants to be polled: how often, when all else sleeps. */
#define POLLED_SLEEP_MS  1

/* rte_vhost serves no more devices in one process. */
#define SESSIONS_MAX 1024

struct session_list {
	unsigned n;
	bool polled; /* some session has no kick eventfd */
	struct vrtc_session *session[SESSIONS_MAX];
};

struct vrtc_poller {
	/* Read by the lcore at each turn, written by the control threads now and then. */
	_Atomic(struct session_list *) list;
	struct rte_rcu_qsbr *qsbr;

	struct vrtc_alarm_lcore *alarms; /* or NULL */

	/* Of the control threads: the list that the lcore has let go of, for the next change. */
	struct session_list *spare;
	struct session_list *lists; /* both of them */

	/* Of the waits for a grace period: rte_rcu_qsbr_check() has a data race with itself. */
	pthread_mutex_t grace;

	enum vrtc_idle idle;
	int epoll_fd;
	int wake_fd;
	unsigned lcore_id;
	int node;
	atomic_uint load;
	atomic_bool stop;  /* read by the lcore at each turn, too */
	atomic_bool ended; /* the lcore's last store */
} __rte_cache_aligned;

/* The one reader of a poller's qsbr: its lcore. */
#define QSBR_THREAD 0

struct vrtc_poller *vrtc_poller_new(
	unsigned lcore_id, int node, enum vrtc_idle idle, struct vrtc_alarm_lcore *alarms)
{
	struct epoll_event wake = {.events = EPOLLIN};
	struct vrtc_poller *p;
	size_t qsbr_bytes = rte_rcu_qsbr_get_memsize(1);
	struct session_list *lists;

	p = rte_zmalloc_socket("vrtc_poller", sizeof(*p), RTE_CACHE_LINE_SIZE, node);
	if (!p) {
		errno = ENOMEM;
		return NULL;
	}
	(void)pthread_mutex_init(&p->grace, NULL);
	p->lcore_id = lcore_id;
	p->node = node;
	p->idle = idle;
	p->alarms = alarms;
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->qsbr = rte_zmalloc_socket("vrtc_qsbr", qsbr_bytes, RTE_CACHE_LINE_SIZE, node);
	lists = rte_zmalloc_socket("vrtc_lists", 2 * sizeof(*lists), RTE_CACHE_LINE_SIZE, node);
	p->lists = lists;
	p->spare = lists ? &lists[1] : NULL;
	atomic_init(&p->list, lists);
	if (p->epoll_fd < 0 || p->wake_fd < 0 ||
		epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &wake)) {
		int err = errno;

		vrtc_poller_free(p);
		errno = err;
		return NULL;
	}
	if (alarms && idle == VRTC_IDLE_INTERRUPT) {
		int rc = vrtc_alarm_lcore_watch(alarms, p->epoll_fd);

		if (rc) {
			vrtc_poller_free(p);
			errno = -rc;
			return NULL;
		}
	}
	if (!lists || !p->qsbr || rte_rcu_qsbr_init(p->qsbr, 1) ||
		rte_rcu_qsbr_thread_register(p->qsbr, QSBR_THREAD)) {
		vrtc_poller_free(p);
		errno = ENOMEM;
		return NULL;
	}
	return p;
}

void vrtc_poller_free(struct vrtc_poller *p)
{
	if (!p)
		return;
	/* Acquire: what the lcore did lies behind us. (Where it never ran, there is nothing.) */
	(void)atomic_load_explicit(&p->ended, memory_order_acquire);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	if (p->epoll_fd >= 0)
		close(p->epoll_fd);
	(void)pthread_mutex_destroy(&p->grace);
	rte_free(p->lists);
	rte_free(p->qsbr);
	rte_free(p);
}

static void wake(struct vrtc_poller *p)
{
	(void)eventfd_write(p->wake_fd, 1);
}

void vrtc_poller_synchronize(struct vrtc_poller *p)
{
	pthread_mutex_lock(&p->grace);
	/* rte_rcu_qsbr_synchronize() in parts, which are inline: ThreadSanitizer sees them. */
	(void)rte_rcu_qsbr_check(p->qsbr, rte_rcu_qsbr_start(p->qsbr), true);
	pthread_mutex_unlock(&p->grace);
}

/* Publishes the spare list, and returns when the lcore no longer reads the one before. */
static void publish_spare(struct vrtc_poller *p)
{
	struct session_list *list = p->spare;

	list->polled = false;
	for (unsigned i = 0; i < list->n; i++)
		list->polled |= list->session[i]->kickfd < 0;

	/* Release: whoever loads the list (acquire, in the loop) sees its sessions complete. */
	p->spare = atomic_exchange_explicit(&p->list, list, memory_order_acq_rel);
	atomic_store_explicit(&p->load, list->n, memory_order_relaxed);
	wake(p);
	vrtc_poller_synchronize(p);
}

/* Makes the spare list a copy of the present one, without a session. */
static void copy_without(struct vrtc_poller *p, const struct vrtc_session *s)
{
	const struct session_list *now = atomic_load_explicit(&p->list, memory_order_relaxed);

	p->spare->n = 0;
	for (unsigned i = 0; i < now->n; i++) {
		if (now->session[i] != s)
			p->spare->session[p->spare->n++] = now->session[i];
	}
}

int vrtc_poller_add(struct vrtc_poller *p, struct vrtc_session *s)
{
	copy_without(p, s);
	if (p->spare->n == SESSIONS_MAX)
		return -ENOSPC;
	if (p->idle == VRTC_IDLE_INTERRUPT && s->kickfd >= 0) {
		struct epoll_event kick = {.events = EPOLLIN | EPOLLET};

		if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, s->kickfd, &kick))
			return -errno;
	}
	vrtc_vring_kick_disable(&s->requestq);
	p->spare->session[p->spare->n++] = s;
	publish_spare(p);
	return 0;
}

void vrtc_poller_remove(struct vrtc_poller *p, struct vrtc_session *s)
{
	copy_without(p, s);
	if (p->idle == VRTC_IDLE_INTERRUPT && s->kickfd >= 0)
		(void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, s->kickfd, NULL);
	publish_spare(p);
}

unsigned vrtc_poller_lcore(const struct vrtc_poller *p)
{
	return p->lcore_id;
}

int vrtc_poller_node(const struct vrtc_poller *p)
{
	return p->node;
}

unsigned vrtc_poller_load(const struct vrtc_poller *p)
{
	return atomic_load_explicit(&p->load, memory_order_relaxed);
}

static unsigned poll_all(const struct vrtc_poller *p, const struct session_list *list)
{
	unsigned served = vrtc_turn(list->session, list->n);

	if (p->alarms)
		served += vrtc_alarm_lcore_turn(p->alarms);
	return served;
}

/* See the head of this file. Called and left between two quiescent states. */
static void sleep_until_kicked(struct vrtc_poller *p, const struct session_list *list)
{
	struct epoll_event events[8];
	bool work = false;
	int timeout_ms = list->polled ? POLLED_SLEEP_MS : -1;

	for (unsigned i = 0; i < list->n; i++)
		work |= vrtc_vring_kick_enable(&list->session[i]->requestq);
	if (p->alarms)
		work |= !vrtc_alarm_lcore_prepare_sleep(p->alarms);
	/* A list that was replaced meanwhile is polled before sleep, too: its sessions are new. */
	if (!work && atomic_load_explicit(&p->list, memory_order_acquire) == list) {
		rte_rcu_qsbr_thread_offline(p->qsbr, QSBR_THREAD);
		if (epoll_wait(p->epoll_fd, events, RTE_DIM(events), timeout_ms) > 0) {
			eventfd_t ignored;

			(void)eventfd_read(p->wake_fd, &ignored);
		}
		rte_rcu_qsbr_thread_online(p->qsbr, QSBR_THREAD);
		list = atomic_load_explicit(&p->list, memory_order_acquire);
	}
	for (unsigned i = 0; i < list->n; i++)
		vrtc_vring_kick_disable(&list->session[i]->requestq);
	if (p->alarms)
		vrtc_alarm_lcore_end_sleep(p->alarms);
}

int vrtc_poller_run(void *poller)
{
	struct vrtc_poller *p = poller;
	unsigned empty_turns = 0;
	unsigned pauses = 1;

	rte_rcu_qsbr_thread_online(p->qsbr, QSBR_THREAD);
	while (!atomic_load_explicit(&p->stop, memory_order_relaxed)) {
		/* Acquire: pairs with the release in publish_spare(). */
		struct session_list *list = atomic_load_explicit(&p->list, memory_order_acquire);

		if (poll_all(p, list) > 0) {
			empty_turns = 0;
			pauses = 1;
		} else if (p->idle != VRTC_IDLE_BUSY && ++empty_turns > IDLE_AFTER_TURNS) {
			if (p->idle == VRTC_IDLE_INTERRUPT) {
				sleep_until_kicked(p, list);
				empty_turns = 0;
			} else {
				for (unsigned i = 0; i < pauses; i++)
					rte_pause();
				pauses = RTE_MIN(2 * pauses, (unsigned)PAUSES_MAX);
			}
		}
		rte_rcu_qsbr_quiescent(p->qsbr, QSBR_THREAD);
	}
	rte_rcu_qsbr_thread_offline(p->qsbr, QSBR_THREAD);
	/* Release: pairs with vrtc_poller_free(). */
	atomic_store_explicit(&p->ended, true, memory_order_release);
	return 0;
}

void vrtc_poller_stop(struct vrtc_poller *p)
{
	atomic_store_explicit(&p->stop, true, memory_order_relaxed);
	wake(p);
}
