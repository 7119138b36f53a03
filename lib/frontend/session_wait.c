/* SPDX-License-Identifier: BSD-3-Clause */
/* The kicks of a session, and its waits for used buffers. */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>

#include "session_bounds.h"

/* Looks at the used ring between two looks at the clock and the socket: some 10 us of spinning. */
#define SPINS_PER_CLOCK 16384

/* After so many of these (about a millisecond) a wait is no longer about latency: doze instead. */
#define CLOCKS_BEFORE_DOZE 100
#define DOZE_NS            50000

void vfe_session_kick(struct vfe_session *s, unsigned int q, bool force)
{
	struct vfe_queue *queue = &s->queues[q];

	/* Asked even with force: it keeps the account of what was kicked for. */
	if (vfe_session_has_queue(s, q) && (vfe_ring_kick_wanted(&queue->ring) || force))
		eventfd_write(queue->kick_fd, 1);
}

uint64_t vfe_session_calls(struct vfe_session *s, unsigned int q)
{
	eventfd_t calls = 0;

	if (!vfe_session_has_queue(s, q) || eventfd_read(s->queues[q].call_fd, &calls))
		return 0;
	return calls;
}

/* The end of a wait that got nothing. */
static int nothing_came(struct vfe_session *s, unsigned int q, int64_t start_ns)
{
	if (vfe_ring_used_idx(&s->queues[q].ring) != s->queues[q].ring.used_idx)
		return vfe_session_fail(s, -ETIMEDOUT,
			"queue %u: a buffer is used, but no call came within %u ms", q,
			vfe_session_waited_ms(start_ns));
	return vfe_session_fail(s, -ETIMEDOUT, "queue %u: no used buffer within %u ms", q,
		vfe_session_waited_ms(start_ns));
}

/* A look at the ring: 1, 0 or -EPROTO, the latter with its sentence. */
static int look(struct vfe_session *s, unsigned int q, struct vfe_done *done)
{
	struct vfe_ring *ring = &s->queues[q].ring;
	int n = vfe_ring_poll(ring, done);

	if (n < 0)
		vfe_session_fail(s, n,
			"queue %u: the device broke the used ring (its index is %u, ours %u, "
			"available %u; entry %u names buffer %u)",
			q, vfe_ring_used_idx(ring), ring->used_idx, ring->published_idx,
			ring->used_idx & (ring->size - 1u),
			ring->used->ring[ring->used_idx & (ring->size - 1u)].id);
	return n;
}

/* The last look when the connection is lost: what came before still counts. */
static int look_after_loss(struct vfe_session *s, unsigned int q, struct vfe_done *done)
{
	int n = look(s, q, done);

	if (n == 0)
		return vfe_session_fail(s, -ECONNRESET,
			"queue %u: the back-end closed the connection before it answered", q);
	return n < 0 ? n : 0;
}

static int wait_spinning(
	struct vfe_session *s, unsigned int q, struct vfe_done *done, unsigned int timeout_ms)
{
	const struct timespec doze = {.tv_nsec = DOZE_NS};
	int64_t start_ns = 0;
	int64_t deadline_ns = 0;
	int n;

	for (unsigned int clocks = 0;; clocks++) {
		for (unsigned int i = 0; i < SPINS_PER_CLOCK; i++) {
			n = look(s, q, done);
			if (n != 0)
				return n < 0 ? n : 0;
		}
		/* The clock is first read here: a fast answer does not pay for it. */
		if (clocks == 0) {
			start_ns = vfe_now_ns();
			deadline_ns = vfe_session_deadline(s, timeout_ms);
		} else if (vfe_now_ns() >= deadline_ns) {
			return nothing_came(s, q, start_ns);
		}
		if (s->sock < 0 || vfe_msg_is_closed(s->sock))
			return look_after_loss(s, q, done);
		/* By now the other side may want this very core. */
		if (clocks < CLOCKS_BEFORE_DOZE)
			sched_yield();
		else
			nanosleep(&doze, NULL);
	}
}

static int wait_sleeping(
	struct vfe_session *s, unsigned int q, struct vfe_done *done, unsigned int timeout_ms)
{
	int64_t start_ns = vfe_now_ns();
	int64_t deadline_ns = vfe_session_deadline(s, timeout_ms);
	struct vfe_queue *queue = &s->queues[q];
	eventfd_t ignored;
	int n;

	for (;;) {
		struct pollfd pfd[2] = {
			{.fd = queue->call_fd, .events = POLLIN},
			{.fd = s->sock, .events = POLLRDHUP},
		};

		n = look(s, q, done);
		if (n != 0)
			return n < 0 ? n : 0;
		if (s->sock < 0)
			return look_after_loss(s, q, done);
		if (!vfe_ring_arm_call(&queue->ring))
			continue;
		n = poll(pfd, 2, vfe_deadline_left_ms(deadline_ns));
		if (n < 0 && errno != EINTR)
			return vfe_session_fail(s, -errno, "poll: %s", strerror(errno));
		if (n == 0)
			return nothing_came(s, q, start_ns);
		if (n > 0 && pfd[0].revents)
			eventfd_read(queue->call_fd, &ignored);
		else if (n > 0 && pfd[1].revents)
			return look_after_loss(s, q, done);
	}
}

int vfe_session_wait_used(
	struct vfe_session *s, unsigned int q, struct vfe_done *done, unsigned int timeout_ms)
{
	int n;

	if (!vfe_session_has_queue(s, q))
		return vfe_session_fail(s, -EINVAL, "queue %u is not in the configuration", q);
	if (timeout_ms == 0) {
		n = look(s, q, done);
		return n == 0 ? nothing_came(s, q, vfe_now_ns()) : n < 0 ? n : 0;
	}
	if (s->cfg.wait == VFE_WAIT_SLEEP)
		return wait_sleeping(s, q, done, timeout_ms);
	return wait_spinning(s, q, done, timeout_ms);
}
