/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

static uint32_t serve(struct vrtc_session *s, const struct vrtc_chain *chain, uint8_t *resp)
{
	struct vrtc_instant now = {.known = false};
	struct vrtc_command cmd;

	vrtc_device_decode(
		s->device, chain->req, chain->readable_bytes, chain->writable_bytes, &cmd);
	/* The chain was popped above, so what is read here is later than the driver's request. */
	if (cmd.timebase != VRTC_TIMEBASE_NONE)
		now.known = vrtc_timesource_read(s->time, cmd.timebase, &now.timebase_ns);
	return vrtc_device_respond(s->device, s->time->leap, &cmd, &now, resp);
}

static void tell_fault(struct vrtc_session *s)
{
	s->fault_told = true;
	atomic_store_explicit(&s->faulty, true, memory_order_release);
	(void)eventfd_write(s->attention_fd, 1);
}

void vrtc_session_signal(struct vrtc_session *s)
{
	uint64_t one = 1;

	if (s->callfd < 0)
		return;
	/*
	 * Non-blocking since the queue started. It fails where the front-end made the descriptor
	 * useless, or where the counter is full and the interrupt thus pending: nobody to tell.
	 */
	if (write(s->callfd, &one, sizeof(one)) < 0)
		return;
}

unsigned vrtc_session_poll(struct vrtc_session *s)
{
	enum vrtc_vring_result result = VRTC_VRING_EMPTY;
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	struct vrtc_chain chain;
	unsigned served = 0;

	while (served < VRTC_SESSION_BUDGET &&
		(result = vrtc_vring_pop(&s->requestq, &chain)) == VRTC_VRING_CHAIN) {
		uint32_t resp_bytes = serve(s, &chain, resp);

		vrtc_vring_push(&s->requestq, &chain, resp, resp_bytes);
		served++;
	}
	if (served > 0 && vrtc_vring_publish(&s->requestq))
		vrtc_session_signal(s);
	if (result == VRTC_VRING_BROKEN && !s->fault_told)
		tell_fault(s);
	return served;
}

/* A descriptor of another kind can make the lcore sleep in write(), whatever its flags. */
static bool is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[32];
	char target[sizeof(wanted)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) == (ssize_t)(sizeof(wanted) - 1) &&
	       memcmp(target, wanted, sizeof(wanted) - 1) == 0;
}

int vrtc_session_start(
	struct vrtc_session *s, const struct vrtc_session_ring *ring, const char **why)
{
	struct vrtc_vring_config config = {
		.mem = &s->mem,
		.g_desc = ring->g_desc,
		.g_driver = ring->g_avail,
		.g_device = ring->g_used,
		.size = (uint16_t)ring->size,
		.base = ring->base,
		.event_idx = ring->features & (1ULL << VIRTIO_RING_F_EVENT_IDX),
		.indirect = ring->features & (1ULL << VIRTIO_RING_F_INDIRECT_DESC),
	};
	int rc;

	/* Without it the rings are of the driver's byte order, and their layout is another one. */
	if (!(ring->features & (1ULL << VIRTIO_F_VERSION_1))) {
		*why = "VIRTIO_F_VERSION_1 is not negotiated";
		return -EINVAL;
	}
	if ((ring->callfd >= 0 && !is_eventfd(ring->callfd)) ||
		(ring->kickfd >= 0 && !is_eventfd(ring->kickfd))) {
		*why = "a kick or call descriptor is no eventfd";
		return -EINVAL;
	}
	rc = ring->size > UINT16_MAX ? -EINVAL : vrtc_vring_start(&s->requestq, &config);
	if (rc == -EFAULT)
		*why = "a ring lies outside of the guest's memory";
	else if (rc)
		*why = "a ring is missing, misaligned or of a bad size";
	if (rc)
		return -EINVAL;

	s->callfd = ring->callfd;
	s->kickfd = ring->kickfd;
	/*
	 * The lcore must never sleep in a write. The flag belongs to the open file, which the
	 * front-end shares and could clear again: DESIGN.md, D15.
	 */
	if (s->callfd >= 0)
		(void)fcntl(s->callfd, F_SETFL, O_NONBLOCK);

	s->fault_told = false;
	atomic_store_explicit(&s->faulty, false, memory_order_relaxed);
	if (vrtc_vring_fault(&s->requestq)) {
		/* Already visible at the start: a used index that does not fit the base. */
		*why = vrtc_vring_fault(&s->requestq);
		return -EINVAL;
	}
	return 0;
}

int vrtc_session_node(const struct vrtc_session *s)
{
	long page_bytes = sysconf(_SC_PAGESIZE);
	void *page = (void *)((uintptr_t)s->requestq.g_device & ~((uintptr_t)page_bytes - 1));
	int node = -1;

	/* Without target nodes it moves nothing and says where the page is, or -errno. */
	if (move_pages(0, 1, &page, NULL, &node, 0) || node < 0)
		return -1;
	return node;
}
