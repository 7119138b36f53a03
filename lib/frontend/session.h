/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One vhost-user connection, seen from the VMM: socket, negotiation, memory, queues.
 *
 * The life of a session:
 *
 *	vfe_config_default(&cfg, path);         adjust cfg
 *	vfe_session_init(&s, &cfg);             guest memory and rings
 *	vfe_session_start(&s);                  connect, negotiate, memory table, queues
 *	...                                     requests (rtc.h)
 *	vfe_session_stop(&s), _resume(&s)       VM stop and cont
 *	vfe_session_reset(&s)                   the guest resets the device and sets it up again
 *	vfe_session_reconnect(&s)               the back-end died or was replaced
 *	vfe_session_fini(&s);
 *
 * The steps of start() are there one by one as well, exchange() says a message of the caller's, and
 * with msg.h on s.sock a test can say anything at any moment. Every call ends within cfg.timeout_ms
 * for each message it exchanges, and at s.deadline_ns if the caller has set it.
 *
 * Errors are -errno, and vfe_error() then holds a sentence for a human: what was tried, what came.
 *
 * Threads: a session belongs to one thread at a time.
 */
#ifndef VFE_SESSION_H
#define VFE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "counter_map.h"
#include "mem.h"
#include "msg.h"
#include "ring.h"

#define VFE_QUEUES_MAX 2

/* How a driver waits for a used buffer. */
enum vfe_wait {
	VFE_WAIT_POLL,  /* spin on the used ring, calls suppressed */
	VFE_WAIT_SPIN,  /* spin on the used ring, the device calls nevertheless */
	VFE_WAIT_SLEEP, /* sleep on the call eventfd */
};

struct vfe_config {
	const char *socket_path;    /* outlives the session */
	bool listen;                /* the back-end connects to us; a stale socket is replaced */
	unsigned int timeout_ms;    /* for each answer, and for a back-end to connect */
	unsigned int connect_ms;    /* retry a socket that is missing or refuses so long; 0: once */
	uint64_t features;          /* negotiated are those that the back-end offers too */
	uint64_t features_required; /* without them negotiation fails with -ENOTSUP */
	uint64_t protocol_features; /* likewise negotiated if offered */
	unsigned int queues;        /* bit q: queue q is set up and started */
	unsigned int queues_named;  /* bit q: SET_VRING_CALL only, as QEMU names unused queues */
	uint16_t ring_size;         /* entries of each ring */
	enum vfe_wait wait;
	bool indirect;    /* requests go into tables of their own, if INDIRECT_DESC is negotiated */
	uint64_t mem_gpa; /* the first region of memory, a multiple of 4096: the rings lie in it */
	uint64_t mem_bytes;
};

struct vfe_queue {
	struct vfe_ring ring;
	int kick_fd;
	int call_fd;
	uint16_t base; /* of the next start: 0, or the answer to GET_VRING_BASE */
	bool started;
};

struct vfe_rtc; /* rtc.c's own */

struct vfe_session {
	struct vfe_config cfg;
	int sock;      /* -1: not connected */
	int listen_fd; /* -1: cfg.listen is not set */
	uint64_t features_offered;
	uint64_t features; /* negotiated */
	uint64_t protocol_offered;
	uint64_t protocol;  /* negotiated */
	uint64_t queue_max; /* answer to GET_QUEUE_NUM; 0: not asked, MQ is not negotiated */
	struct vfe_mem mem;
	struct vfe_queue queues[VFE_QUEUES_MAX];
	int64_t deadline_ns; /* no wait goes beyond it, whatever its own timeout; 0: no such end */
	struct vrtc_counter_map counter_map; /* sent before the queues start, if: */
	bool has_counter_map;
	bool logging;        /* a log of written pages is kept, see vfe_session_log() */
	unsigned int resets; /* guest resets so far: what was in flight before one is gone */
	struct vfe_rtc *rtc;
	char error[320];
};

/**
 * The usual: client, 5 s for each answer, no retry, VERSION_1 and PROTOCOL_FEATURES, protocol
 * features MQ and REPLY_ACK, queue 0 of 256 entries, polling, 8 MiB of memory at 1 MiB.
 */
void vfe_config_default(struct vfe_config *cfg, const char *socket_path);

/**
 * Allocates memory, rings and eventfds; does not touch the socket.
 *
 * @param s    any content; on error there is nothing to fini(), and vfe_error() speaks
 * @return 0; -EINVAL the configuration; -errno of what failed
 */
int vfe_session_init(struct vfe_session *s, const struct vfe_config *cfg);

/** Closes the connection without a word, frees all. Allowed after init() failed as well. */
void vfe_session_fini(struct vfe_session *s);

/** @return the sentence of the last error; "" if there was none. Lives as long as the session. */
const char *vfe_error(const struct vfe_session *s);

/** connect(), negotiate(), set_mem_table() and queue_start() of each queue of the configuration. */
int vfe_session_start(struct vfe_session *s);

/**
 * Connects, or with cfg.listen listens and waits cfg.timeout_ms for the back-end.
 *
 * @return 0; -ENOENT no such socket; -EACCES; -ECONNREFUSED nobody listens on it; -ENOTSOCK the
 *         path is no socket; -EPROTOTYPE it is another kind of socket; -ENAMETOOLONG; -EADDRINUSE
 *         with cfg.listen: somebody listens there already; -ETIMEDOUT; other -errno of connect(2)
 *         or bind(2)
 */
int vfe_session_connect(struct vfe_session *s);

/**
 * With cfg.listen: listens from now on, so that a back-end can connect before anybody waits for it.
 * connect() does this otherwise.
 *
 * @return as vfe_session_connect()
 */
int vfe_session_listen(struct vfe_session *s);

/**
 * GET_FEATURES, protocol features if offered, SET_OWNER, GET_QUEUE_NUM if MQ, SET_FEATURES.
 *
 * @return 0; -ETIMEDOUT; -ECONNRESET; -EPROTO an answer that is none; -ENOTSUP a required feature
 *         is not offered; -EREMOTEIO the back-end refused (REPLY_ACK)
 */
int vfe_session_negotiate(struct vfe_session *s);

/**
 * Sends the present memory table; returns when the back-end has applied it (REPLY_ACK, or else a
 * GET_FEATURES behind it, as QEMU does).
 */
int vfe_session_set_mem_table(struct vfe_session *s);

/**
 * Sets queue q up (NUM, BASE, ADDR, KICK, CALL), enables it and kicks it once.
 *
 * @return 0; -EINVAL no such queue in the configuration; as vfe_session_negotiate()
 */
int vfe_session_queue_start(struct vfe_session *s, unsigned int q);

/** ENABLE 0 and GET_VRING_BASE; the answer is kept for the next start. Nothing if not started. */
int vfe_session_queue_stop(struct vfe_session *s, unsigned int q);

/** ENABLE 0 of all queues, then GET_VRING_BASE of all, as QEMU stops a device. */
int vfe_session_stop(struct vfe_session *s);

/** Starts the queues again where they were stopped. */
int vfe_session_resume(struct vfe_session *s);

/**
 * The guest resets the device and sets it up again: stop(), empty rings, SET_FEATURES, memory
 * table, queues from index 0. What was in flight is forgotten.
 */
int vfe_session_reset(struct vfe_session *s);

/**
 * The guest resets the device, and the next driver negotiates something else: a boot loader that
 * knows no alarms, and the OS behind it.
 *
 * @param features  negotiated, as far as they are offered; they hold for later resets, too
 * @param queues    bit q: queue q is set up; only of those that the session began with
 * @return as vfe_session_reset(); -EINVAL another queue
 */
int vfe_session_reset_as(struct vfe_session *s, uint64_t features, unsigned int queues);

/** Closes the connection without a word. Memory, rings and what is in flight stay. */
void vfe_session_disconnect(struct vfe_session *s);

/**
 * Connects again and sets up everything as it was: the rings are kept, and each starts at the used
 * index in memory, so requests in flight are served again. As QEMU does after a back-end's crash.
 *
 * @return as vfe_session_start(); -ENOTSUP the new back-end lacks a feature that was negotiated
 */
int vfe_session_reconnect(struct vfe_session *s);

/**
 * Sends a message and waits for what the protocol answers to it: a reply for the GET requests, an
 * acknowledgement for the others if REPLY_ACK is negotiated, otherwise nothing.
 *
 * @param msg    request, size and payload; the flags are set here. On return 0 of a GET request it
 *               is the reply
 * @param fds    descriptors that go along, or NULL
 * @return as vfe_session_negotiate(); -ENOTCONN
 */
int vfe_session_exchange(
	struct vfe_session *s, struct vfe_msg *msg, const int *fds, unsigned int n_fds);

/** exchange() of a request with nothing but a u64: SET_FEATURES, SET_VRING_ENABLE has its own. */
int vfe_session_set_u64(struct vfe_session *s, uint32_t request, uint64_t value);

/** exchange() of a GET request that answers with a u64. */
int vfe_session_get_u64(struct vfe_session *s, uint32_t request, uint64_t *value);

/** exchange() of a request with index and num. For GET_VRING_BASE, num_out is the answer. */
int vfe_session_state(
	struct vfe_session *s, uint32_t request, uint32_t index, uint32_t num, uint32_t *num_out);

/** exchange() of SET_VRING_KICK, _CALL or _ERR; fd -1: none goes along (VFE_MSG_VRING_NO_FD). */
int vfe_session_set_fd(struct vfe_session *s, uint32_t request, uint32_t index, int fd);

/**
 * Tells the back-end the map of the guest's counter by SET_CONFIG, as qemu-glue's QEMU does: now,
 * if the session is connected, and from now on whenever queues start.
 *
 * @return as vfe_session_exchange(); -ENOTSUP VHOST_USER_PROTOCOL_F_CONFIG is not negotiated
 */
int vfe_session_set_counter_map(struct vfe_session *s, const struct vrtc_counter_map *map);

/**
 * Has the back-end mark in a log which pages it writes, or not any more, as QEMU does when a
 * migration begins and ends: SET_LOG_BASE, SET_FEATURES, and SET_VRING_ADDR of the queues.
 *
 * @param fd     a file with a bit for each page of 4096 bytes of the guest's memory, from guest
 *               address 0 on; -1: no log any more
 * @param bytes  of the file
 * @return as vfe_session_exchange(); -ENOTSUP VFE_PROTOCOL_F_LOG_SHMFD is not negotiated, or
 *         VFE_F_LOG_ALL not offered
 */
int vfe_session_log(struct vfe_session *s, int fd, uint64_t bytes);

/** Writes the kick eventfd of queue q if the device wants it (always with force). */
void vfe_session_kick(struct vfe_session *s, unsigned int q, bool force);

/** @return how often the device has called for queue q since the last question; does not wait. */
uint64_t vfe_session_calls(struct vfe_session *s, unsigned int q);

/**
 * Waits for the next used buffer of queue q, in the way of cfg.wait.
 *
 * @param done        as vfe_ring_poll()
 * @param timeout_ms  0: look once
 * @return 0; -ETIMEDOUT, also when a buffer is there but VFE_WAIT_SLEEP got no call for it (it can
 *         still be polled); -ECONNRESET the back-end is gone and the ring has nothing more;
 *         -EPROTO the ring is broken
 */
int vfe_session_wait_used(
	struct vfe_session *s, unsigned int q, struct vfe_done *done, unsigned int timeout_ms);

/** Records an error: sets the sentence, printf style, and returns err. */
int vfe_session_fail(struct vfe_session *s, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
