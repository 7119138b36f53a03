/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-echo: the floor of a device on rte_vhost. A back-end that answers each request of its
 * one queue with a status of 0 and the TSC, and nothing else: no translation that is checked, no
 * clock, no second queue. What a device takes beyond this is what it is worth.
 *
 * It trusts its front-end. Never give its socket to a guest.
 *
 * Threads: main polls the ring on its core; rte_vhost's event thread runs the callbacks, which hand
 * the ring over by the flags below.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_pause.h>
#include <rte_vhost.h>

#include "wire.h"

#define F_VERSION_1 32

static struct {
	struct rte_vhost_vring vring;
	struct rte_vhost_memory *mem;
	uint16_t last_avail;
	uint16_t used;
} ring;

static atomic_bool ring_given; /* written by the event thread */
static atomic_bool ring_taken; /* written by the poller */
static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static void take_ring_back(int vid)
{
	if (!atomic_load(&ring_given))
		return;
	atomic_store(&ring_given, false);
	while (atomic_load(&ring_taken))
		rte_pause();
	rte_vhost_set_vring_base(vid, 0, ring.last_avail, ring.used);
	free(ring.mem);
	ring.mem = NULL;
}

static int change_ring(int vid, uint16_t queue, int enable)
{
	if (queue != 0)
		return 0;
	take_ring_back(vid);
	if (!enable)
		return 0;
	if (rte_vhost_get_vhost_vring(vid, 0, &ring.vring) < 0 ||
		rte_vhost_get_vring_base(vid, 0, &ring.last_avail, &ring.used) < 0 ||
		rte_vhost_get_mem_table(vid, &ring.mem) < 0)
		return -1;
	ring.vring.used->flags = VRING_USED_F_NO_NOTIFY;
	atomic_store(&ring_given, true);
	return 0;
}

static int new_device(int vid)
{
	(void)vid;
	return 0;
}

static void destroy_device(int vid)
{
	take_ring_back(vid);
}

static const struct rte_vhost_device_ops ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = change_ring,
};

/* Where guest memory is here. A front-end that gives a wrong address ends the measurement. */
static void *at(uint64_t gpa, uint64_t bytes)
{
	uint64_t there = bytes;
	void *p = (void *)(uintptr_t)rte_vhost_va_from_guest_pa(ring.mem, gpa, &there);

	if (!p || there < bytes)
		abort();
	return p;
}

/* The device: all requests that are there. */
static void serve(void)
{
	struct rte_vhost_vring *v = &ring.vring;
	uint16_t mask = (uint16_t)(v->size - 1);
	uint16_t avail = __atomic_load_n(&v->avail->idx, __ATOMIC_ACQUIRE);

	if (avail == ring.last_avail)
		return;
	while (ring.last_avail != avail) {
		uint16_t head = v->avail->ring[ring.last_avail++ & mask];
		const struct vring_desc *out = &v->desc[head];
		const struct vring_desc *in = &v->desc[out->next];
		struct virtio_rtc_req_read req;
		struct virtio_rtc_resp_read_cross resp = {.head.status = VIRTIO_RTC_S_OK};
		uint32_t bytes = in->len < sizeof(resp) ? in->len : sizeof(resp);
		struct vring_used_elem elem = {.id = head, .len = bytes};

		memcpy(&req, at(out->addr, sizeof(req)), sizeof(req));
		resp.clock_reading = vrtc_le64_put(rte_rdtsc() + vrtc_le16_get(req.clock_id));
		memcpy(at(in->addr, bytes), &resp, bytes);
		v->used->ring[ring.used++ & mask] = elem;
	}
	__atomic_store_n(&v->used->idx, ring.used, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(__atomic_load_n(&v->avail->flags, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT))
		eventfd_write(v->callfd, 1);
}

static void poll_until_ended(void)
{
	while (!ended) {
		bool given = atomic_load_explicit(&ring_given, memory_order_acquire);

		if (given != atomic_load_explicit(&ring_taken, memory_order_relaxed)) {
			/* Taken, then looked at again: it may have been taken back meanwhile. */
			atomic_store(&ring_taken, given);
			continue;
		}
		if (given)
			serve();
	}
}

static int start_eal(const char *core)
{
	char prefix[32];
	char *args[] = {(char *)"dpdk-rtc-echo", (char *)"-l", (char *)(uintptr_t)core,
		(char *)"--no-huge", (char *)"-m", (char *)"64", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"--no-telemetry", (char *)"--log-level=4",
		(char *)"--file-prefix", prefix, NULL};

	snprintf(prefix, sizeof(prefix), "echo%d", getpid());
	return rte_eal_init((int)(sizeof(args) / sizeof(args[0])) - 1, args);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket-path", required_argument, NULL, 's'},
		{"core", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	const char *core = "1";
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			path = optarg;
			break;
		case 'c':
			core = optarg;
			break;
		case 'h':
			puts("usage: dpdk-rtc-echo --socket-path PATH [--core N]\n"
			     "The floor of a device on rte_vhost: answers each request with the TSC.");
			return 0;
		default:
			return 2;
		}
	}
	if (!path || optind != argc) {
		fputs("usage: dpdk-rtc-echo --socket-path PATH [--core N]\n", stderr);
		return 2;
	}
	signal(SIGTERM, end);
	signal(SIGINT, end);
	if (start_eal(core) < 0) {
		fprintf(stderr, "dpdk-rtc-echo: EAL did not start on core %s\n", core);
		return 1;
	}
	unlink(path);
	if (rte_vhost_driver_register(path, 0) < 0 ||
		rte_vhost_driver_set_features(
			path, 1ull << F_VERSION_1 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES) < 0 ||
		rte_vhost_driver_set_protocol_features(
			path, 1ull << VHOST_USER_PROTOCOL_F_MQ |
				      1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK) < 0 ||
		rte_vhost_driver_callback_register(path, &ops) < 0 ||
		rte_vhost_driver_start(path) < 0) {
		fprintf(stderr, "dpdk-rtc-echo: cannot serve %s\n", path);
		return 1;
	}
	poll_until_ended();
	/* The event thread may be waiting for the ring: it is free now. */
	atomic_store(&ring_taken, false);
	rte_vhost_driver_unregister(path);
	rte_eal_cleanup();
	return 0;
}
