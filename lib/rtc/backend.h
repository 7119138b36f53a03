/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user sockets: rte_vhost's callbacks, turned into sessions that start and stop. Control
 * path only; nothing here is on the way of a request.
 *
 * Each endpoint is one socket with one device behind it, served by one connection at a time. A
 * queue is stopped (unpublished, and its lcore waited for) before rte_vhost acts on any message
 * that changes its rings or the memory, and started again when the message is done and rte_vhost
 * says that the queue is ready (D2, D3). The alarmq runs only while the requestq does.
 *
 * Threads: rte_vhost's callbacks come from its event thread, and in client mode from its reconnect
 * thread; the functions below are for the main thread. A mutex orders them.
 */
#ifndef VRTC_BACKEND_H
#define VRTC_BACKEND_H

#include <stdbool.h>

#include "device.h"
#include "endpoint_alarms.h"
#include "guest_counter.h"
#include "poller.h"
#include "timesource.h"

/* What a socket is to be. All of it outlives the endpoint. */
struct vrtc_endpoint_config {
	const char *name;        /* for log lines */
	const char *socket_path; /* fits struct sockaddr_un */
	bool client;             /* we connect, and connect again, instead of listening */
	struct vrtc_device device;
	const struct vrtc_timesource *time;
	struct vrtc_counter_config counter;
	bool no_packed; /* VIRTIO_F_RING_PACKED is not offered */
	/* Not looked at if no clock has an alarm: VIRTIO_RTC_F_ALARM is not offered then. */
	struct vrtc_endpoint_alarms_config alarms;
};

struct vrtc_endpoint;

struct vrtc_backend_config {
	struct vrtc_poller **poller; /* the request lcores */
	unsigned n_pollers;          /* at least 1 */
	struct vrtc_alarm_lcore **alarm_lcore;
	unsigned n_alarm_lcores; /* at least 1 if any device has alarms */
};

/*
 * Once, after rte_eal_init(). All that config refers to outlives the back-end.
 *
 * @return  an eventfd that becomes readable when vrtc_backend_report() has something to log; -errno
 */
int vrtc_backend_init(const struct vrtc_backend_config *config);

/*
 * Listens on a socket, or begins to connect to it. A stale socket file has to be gone. The alarm
 * lcores run.
 *
 * @return  NULL: rte_vhost refused; errno holds the most likely reason
 */
struct vrtc_endpoint *vrtc_backend_open(const struct vrtc_endpoint_config *config);

/*
 * Stops serving the endpoint and removes its socket, for a process that is about to end:
 * rte_vhost's own descriptors and mappings go with the process. (rte_vhost_driver_unregister()
 * would wait, spinning, for an event thread that a front-end can keep waiting for ever.) The
 * endpoint stays allocated.
 */
void vrtc_backend_close(struct vrtc_endpoint *endpoint);

/*
 * DPDK before 23.11 does not notice a new listening socket before its event thread's poll() times
 * out, which takes up to a second. To be called after vrtc_backend_open(), and once more some 20 ms
 * later; does nothing where DPDK needs no help.
 */
void vrtc_backend_nudge_events(void);

/*
 * Looks whether guests' counters are still what they were, where nobody tells us.
 *
 * @return  in how many milliseconds to look again; -1: there is nothing to be looked at, until
 *          vrtc_backend_report() is due
 */
int vrtc_backend_look(void);

/* What is known of the counter of an endpoint's guest. Any thread but an lcore. */
void vrtc_backend_counter_status(
	struct vrtc_endpoint *endpoint, struct vrtc_guest_counter_status *status);

/*
 * Logs what the lcores found and could not log themselves: one line for each broken ring, and for
 * the first bad buffer of an alarmq.
 */
void vrtc_backend_report(void);

#endif
