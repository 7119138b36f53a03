/* SPDX-License-Identifier: BSD-3-Clause */
#include "backend.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <rte_common.h>
#include <rte_vhost.h>

#include "log.h"
#include "memory_fault.h"
#include "node_memory.h"
#include "peer.h"
#include "placement.h"
#include "vhost_msg.h"

#define N_QUEUES       2    /* requestq and alarmq */
#define VIDS_MAX       1024 /* rte_vhost's RTE_MAX_VHOST_DEVICE */
/* A front-end can make us refuse its rings as often as it likes, but not fill the log. */
#define COMPLAINTS_MAX 4
/* Half a message, or answers that nobody reads, hold up everybody's control path for so long. */
#define MESSAGE_WAIT_S 1

/*
 * Not VIRTIO_F_RING_RESET: vhost-user has no message for it. A front-end would stop and start the
 * queue, and for the requestq we take that for the device's reset (D26, D47).
 */
#define DEVICE_FEATURES                                                                            \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |                        \
		1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_F_RING_PACKED |                   \
		1ULL << VIRTIO_F_IN_ORDER | 1ULL << VRTC_VHOST_F_LOG_ALL |                         \
		1ULL << VRTC_VHOST_F_PROTOCOL_FEATURES)
/*
 * MQ: without it QEMU takes the number of queues to be one. REPLY_ACK: QEMU 11 needs it to know
 * that a message was refused. LOG_SHMFD: for live migration. Not STATUS: readiness would wait for a
 * message that some front-ends never send. What is not offered is refused, see before_message().
 */
#define PROTOCOL_FEATURES                                                                          \
	(1ULL << VRTC_VHOST_PROTOCOL_F_MQ | 1ULL << VRTC_VHOST_PROTOCOL_F_LOG_SHMFD |              \
		1ULL << VRTC_VHOST_PROTOCOL_F_REPLY_ACK)
/* And this one where the VMM's map is wanted: its message is SET_CONFIG (D39). */
#define CONFIG_FEATURE (1ULL << VRTC_VHOST_PROTOCOL_F_CONFIG)

struct vrtc_endpoint {
	struct vrtc_session session;
	struct vrtc_endpoint_config config;
	int vid;                  /* of the present connection, -1: none */
	int peer_fd;              /* its socket, rte_vhost's; or as vrtc_peer_find() says */
	int socket_fd;            /* the same in either mode, for rte_vhost's own thread; or < 0 */
	bool closing;             /* no queue is started any more */
	bool mem_ok;              /* rte_vhost has the guest's memory mapped */
	bool ready[N_QUEUES];     /* rte_vhost says that the queue can be served */
	bool announced[N_QUEUES]; /* its first start of this connection was logged */
	bool has_config;          /* VHOST_USER_PROTOCOL_F_CONFIG is negotiated */
	bool has_log;             /* VHOST_USER_PROTOCOL_F_LOG_SHMFD is */
	bool claimed;             /* by this connection's driver: alarms */
	bool maybe_reset;         /* stopped or new: if the requestq begins anew, it was reset */
	unsigned complaints;      /* log lines about this connection */
	atomic_bool memory_gone;  /* set by memory_fault.c: its file was truncated */
	bool hung_up;             /* for that reason: nothing is started any more */
	struct vrtc_poller *poller; /* NULL: the requestq is stopped */
	bool has_alarms;
	struct vrtc_endpoint_alarms alarms; /* if it has */
	struct vrtc_endpoint *next;
};

int vrtc_logtype;
RTE_LOG_REGISTER(vrtc_logtype, rtc, INFO)

/* rte_vhost's callbacks carry no context, so the back-end is one for the process. */
static struct {
	pthread_mutex_t mutex;
	struct vrtc_backend_config config;
	struct vrtc_place *place; /* one for each poller; filled anew at each choice */
	struct vrtc_alarm_lcores alarm_lcores;
	int attention_fd;
	struct vrtc_endpoint *endpoints;
	struct vrtc_endpoint *by_vid[VIDS_MAX];
} backend = {.mutex = PTHREAD_MUTEX_INITIALIZER, .attention_fd = -1};

#define COMPLAIN(e, fmt, ...)                                                                      \
	do {                                                                                       \
		if ((e)->complaints++ < COMPLAINTS_MAX)                                            \
			VRTC_LOG(WARNING, "%s: " fmt, (e)->config.name, ##__VA_ARGS__);            \
	} while (0)

static struct vrtc_endpoint *find_by_vid(int vid)
{
	return vid >= 0 && vid < VIDS_MAX ? backend.by_vid[vid] : NULL;
}

/* The functions from here to the callbacks run with backend.mutex held. */

static struct vrtc_poller *choose_poller(int node)
{
	for (unsigned i = 0; i < backend.config.n_pollers; i++) {
		backend.place[i].node = vrtc_poller_node(backend.config.poller[i]);
		backend.place[i].load = vrtc_poller_load(backend.config.poller[i]);
	}
	return backend.config
		.poller[vrtc_placement_choose(backend.place, backend.config.n_pollers, node)];
}

/*
 * The stop functions return when no lcore touches the queue any more. With `leave` the front-end is
 * about to ask for the queue's base; otherwise it may never learn of it.
 */
static void stop_alarmq(struct vrtc_endpoint *e, bool leave)
{
	uint16_t base;

	if (!e->has_alarms || !e->alarms.alarmq_runs)
		return;
	base = vrtc_endpoint_alarms_stop(&e->alarms, leave);
	(void)rte_vhost_set_vring_base(e->vid, VIRTIO_RTC_ALARMQ, base, base);
}

static void stop_requestq(struct vrtc_endpoint *e, bool leave)
{
	uint16_t base;

	if (!e->poller)
		return;
	vrtc_poller_remove(e->poller, &e->session);
	e->poller = NULL;
	vrtc_session_settle(&e->session);
	/* What GET_VRING_BASE answers, and where we go on ourselves. */
	base = vrtc_vring_base(&e->session.requestq);
	if (leave)
		vrtc_vring_leave(&e->session.requestq);
	(void)rte_vhost_set_vring_base(e->vid, VIRTIO_RTC_REQUESTQ, base, base);
}

/* And nothing touches the guest's memory. */
static void stop_queues(struct vrtc_endpoint *e, bool leave)
{
	stop_requestq(e, leave);
	stop_alarmq(e, leave);
}

static void stop_queue(struct vrtc_endpoint *e, uint32_t index, bool leave)
{
	if (index == VIRTIO_RTC_REQUESTQ)
		stop_queues(e, leave);
	else
		stop_alarmq(e, leave);
}

static int get_guest_memory(struct vrtc_endpoint *e)
{
	struct rte_vhost_memory *mem = NULL;
	int rc = 0;

	e->session.mem = (struct vrtc_guestmem){0};
	if (rte_vhost_get_mem_table(e->vid, &mem))
		return -ENOMEM;
	for (uint32_t i = 0; i < mem->nregions && rc == 0; i++) {
		const struct rte_vhost_mem_region *region = &mem->regions[i];

		rc = vrtc_guestmem_add(&e->session.mem, region->guest_phys_addr, region->size,
			(void *)(uintptr_t)region->host_user_addr);
	}
	free(mem);
	if (rc == 0)
		vrtc_memory_fault_watch((unsigned)e->vid, &e->session.mem, &e->memory_gone);
	return rc;
}

static void get_dirty_log(struct vrtc_endpoint *e, struct vrtc_session_ring *ring)
{
	uint64_t base = 0;
	uint64_t bytes = 0;

	if (!(ring->features & 1ULL << VRTC_VHOST_F_LOG_ALL) ||
		rte_vhost_get_log_base(e->vid, &base, &bytes))
		return;
	ring->g_dirty_bits = (uint8_t *)(uintptr_t)base;
	ring->dirty_bytes = bytes;
}

static int get_ring(struct vrtc_endpoint *e, uint16_t index, struct vrtc_session_ring *ring)
{
	struct rte_vhost_vring vring;
	uint16_t used;

	*ring = (struct vrtc_session_ring){0};
	if (rte_vhost_get_vhost_vring(e->vid, index, &vring) ||
		rte_vhost_get_vring_base(e->vid, index, &ring->base, &used) ||
		rte_vhost_get_negotiated_features(e->vid, &ring->features))
		return -ENODEV;
	/* Of a packed ring these are the descriptor ring, and the driver's and our event area. */
	ring->g_desc = vring.desc;
	ring->g_avail = vring.avail;
	ring->g_used = vring.used;
	ring->size = vring.size;
	ring->kickfd = vring.kickfd;
	ring->callfd = vring.callfd;
	ring->log_guest_addr = vring.log_guest_addr;
	get_dirty_log(e, ring);
	return ring->g_desc && ring->g_avail && ring->g_used ? 0 : -ENODEV;
}

/* Who the front-end is; all zero: that cannot be told. */
static struct vrtc_peer_process find_front_end(const struct vrtc_endpoint *e)
{
	int fd = e->peer_fd >= 0 ? e->peer_fd
				 : vrtc_peer_find(e->config.socket_path, e->config.client);
	struct vrtc_peer_process process = {0};

	if (fd >= 0)
		(void)vrtc_peer_process(fd, &process);
	return process;
}

/* Whose alarms these are, and what becomes of them when the device was reset. */
static void begin_alarms(struct vrtc_endpoint *e, int node)
{
	if (!e->has_alarms)
		return;
	vrtc_endpoint_alarms_place(&e->alarms, &backend.alarm_lcores, node);
	e->session.alarm_lcore = e->alarms.lcore;
	if (e->session.offer.alarm && !e->claimed) {
		struct vrtc_peer_process user = find_front_end(e);
		bool forgotten;

		/* What was left unanswered is no request of another driver's. */
		if (!vrtc_endpoint_alarms_claim(&e->alarms, &user, &forgotten))
			e->session.replay = false;
		if (forgotten)
			VRTC_LOG(INFO,
				"%s: %s: the alarms of before are forgotten (retain = name would "
				"keep them)",
				e->config.name,
				user.pid ? "another process uses the device"
					 : "the front-end's process cannot be told");
		e->claimed = true;
	}
	if (e->maybe_reset && vrtc_session_is_fresh(&e->session))
		vrtc_endpoint_alarms_reset(&e->alarms);
	e->maybe_reset = false;
}

/* Which counter cross-timestamps are of, if any. */
static void begin_counter(struct vrtc_endpoint *e)
{
	struct vrtc_peer_process vmm = {0};
	char what[VRTC_GUEST_COUNTER_WHAT_BYTES];

	if (vrtc_guest_counter_wants_process(&e->session.counter))
		vmm = find_front_end(e);
	vrtc_guest_counter_start(&e->session.counter, &vmm, what);
	if (what[0])
		VRTC_LOG(INFO, "%s: %s", e->config.name, what);
	if (vrtc_guest_counter_is_looked_at(&e->session.counter))
		(void)eventfd_write(backend.attention_fd, 1);
}

/* The start functions do nothing while anything is missing that the queue needs. */
static void start_requestq(struct vrtc_endpoint *e)
{
	struct vrtc_session_ring ring;
	struct vrtc_poller *poller;
	const char *why = NULL;
	int node;
	int rc;

	if (e->poller || !e->ready[VIRTIO_RTC_REQUESTQ])
		return;
	if (get_guest_memory(e)) {
		COMPLAIN(e, "the guest's memory regions overlap or are empty; not served");
		return;
	}
	if (get_ring(e, VIRTIO_RTC_REQUESTQ, &ring))
		return;
	begin_counter(e);
	if (vrtc_session_start(&e->session, &ring, &why)) {
		COMPLAIN(e, "requestq: %s; not served", why);
		return;
	}
	node = vrtc_session_node(&e->session);
	begin_alarms(e, node);
	poller = choose_poller(node);
	rc = vrtc_poller_add(poller, &e->session);
	if (rc) {
		COMPLAIN(e, "requestq: cannot wait for the driver's kicks: %s; not served",
			strerror(-rc));
		return;
	}
	e->poller = poller;
	vrtc_session_signal(&e->session);
	if (!e->announced[VIRTIO_RTC_REQUESTQ]) {
		e->announced[VIRTIO_RTC_REQUESTQ] = true;
		VRTC_LOG(INFO,
			"%s: requestq of %u entries served by lcore %u (memory on node %d, "
			"lcore on node %d), features 0x%" PRIx64,
			e->config.name, ring.size, vrtc_poller_lcore(poller), node,
			vrtc_poller_node(poller), ring.features);
	}
}

static void start_alarmq(struct vrtc_endpoint *e)
{
	struct vrtc_session_ring ring;
	const char *why = NULL;

	if (!e->poller || !e->session.offer.alarm || e->alarms.alarmq_runs ||
		!e->ready[VIRTIO_RTC_ALARMQ] || get_ring(e, VIRTIO_RTC_ALARMQ, &ring))
		return;
	if (vrtc_endpoint_alarms_start(&e->alarms, &ring, &e->session.mem, &why)) {
		COMPLAIN(e, "alarmq: %s; not served", why);
		return;
	}
	if (!e->announced[VIRTIO_RTC_ALARMQ]) {
		e->announced[VIRTIO_RTC_ALARMQ] = true;
		VRTC_LOG(INFO,
			"%s: alarmq of %u entries served by alarm lcore %u (memory on node %d, "
			"lcore on node %d)",
			e->config.name, ring.size, vrtc_alarm_lcore_id(e->alarms.lcore),
			vrtc_node_memory_of(ring.g_used), vrtc_alarm_lcore_node(e->alarms.lcore));
	}
}

static void start_queues(struct vrtc_endpoint *e)
{
	if (e->closing || e->hung_up || !e->mem_ok)
		return;
	start_requestq(e);
	start_alarmq(e);
}

/* What a message refers to, as far as we have to know. */
static bool names_queue(const struct vrtc_vhost_msg *msg, uint32_t *index)
{
	switch (msg->request) {
	case VRTC_VHOST_SET_VRING_KICK:
	case VRTC_VHOST_SET_VRING_CALL:
	case VRTC_VHOST_SET_VRING_ERR:
		*index = (uint32_t)(msg->payload.u64 & VRTC_VHOST_VRING_INDEX_MASK);
		return true;
	case VRTC_VHOST_SET_VRING_NUM:
	case VRTC_VHOST_SET_VRING_ADDR:
	case VRTC_VHOST_SET_VRING_BASE:
	case VRTC_VHOST_GET_VRING_BASE:
	case VRTC_VHOST_SET_VRING_ENABLE:
		*index = msg->payload.state.index;
		return true;
	default:
		return false;
	}
}

/* Refuses a message: closes what came with it, and has rte_vhost close the connection. */
static enum rte_vhost_msg_result refuse(struct vrtc_endpoint *e, struct vrtc_vhost_msg *msg)
{
	COMPLAIN(e,
		"vhost-user message %u: not offered, a bad size, queue or region, or answers are not read; "
		"connection closed",
		msg->request);
	vrtc_vhost_msg_close_fds(msg);
	/* With NEED_REPLY rte_vhost would report the error and keep the connection. */
	msg->flags &= ~VRTC_VHOST_FLAG_NEED_REPLY;
	return RTE_VHOST_MSG_RESULT_ERR;
}

/*
 * SET_CONFIG: the map of the guest's counter. The queue goes on: its lcore takes the one map or the
 * other, and when this is answered, the new one.
 */
static enum rte_vhost_msg_result take_map(struct vrtc_endpoint *e, struct vrtc_vhost_msg *msg)
{
	uint32_t bytes = msg->payload.config.bytes;
	bool changed = false;
	const char *why;

	if (!e->has_config || msg->bytes < VRTC_VHOST_CONFIG_HEAD ||
		bytes > sizeof(msg->payload.config.region) ||
		msg->bytes - VRTC_VHOST_CONFIG_HEAD != bytes)
		return refuse(e, msg);
	vrtc_vhost_msg_close_fds(msg);
	if (msg->payload.config.offset != 0 || msg->payload.config.flags != 0)
		why = "offset and flags have to be 0";
	else
		why = vrtc_guest_counter_message(
			&e->session.counter, msg->payload.config.region, bytes, &changed);
	if (why) {
		/* Another version's, perhaps: answered as an error, and no reason to hang up. */
		COMPLAIN(e, "the VMM's map of the guest's counter is not understood: %s", why);
		return msg->flags & VRTC_VHOST_FLAG_NEED_REPLY ? RTE_VHOST_MSG_RESULT_ERR
							       : RTE_VHOST_MSG_RESULT_OK;
	}
	if (changed && e->poller)
		vrtc_poller_synchronize(e->poller);
	return RTE_VHOST_MSG_RESULT_OK;
}

/*
 * Regions that rte_vhost would fail to map, when it loses their descriptor, and files that are
 * shorter than told, of which each page behind the end would be a SIGBUS.
 */
static bool is_mappable(const struct vrtc_vhost_msg *msg)
{
	uint32_t n = msg->payload.memory.n;

	if (n > RTE_DIM(msg->payload.memory.region) ||
		msg->bytes < offsetof(struct vrtc_vhost_msg, payload.memory.region[n]) -
				     offsetof(struct vrtc_vhost_msg, payload))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t offset = msg->payload.memory.region[i].offset;
		uint64_t bytes = msg->payload.memory.region[i].bytes;
		int fd = vrtc_vhost_msg_fd(msg, i);
		struct stat file;

		if (bytes == 0 || bytes > (uint64_t)INT64_MAX ||
			offset > (uint64_t)INT64_MAX - bytes)
			return false;
		/* A device (DAX) has no size; anything else that can be mapped has. */
		if (fd >= 0 &&
			(fstat(fd, &file) ||
				(S_ISREG(file.st_mode) ? offset + bytes > (uint64_t)file.st_size
						       : !S_ISCHR(file.st_mode))))
			return false;
	}
	return true;
}

static enum rte_vhost_msg_result before_message(struct vrtc_endpoint *e, struct vrtc_vhost_msg *msg)
{
	uint32_t index;

	if (names_queue(msg, &index)) {
		if (msg->bytes < sizeof(msg->payload.u64) || index >= N_QUEUES)
			return refuse(e, msg);
		/* ENABLE of a queue that runs changes nothing; all else does. */
		if (!(msg->request == VRTC_VHOST_SET_VRING_ENABLE && msg->payload.state.num))
			stop_queue(e, index,
				msg->request == VRTC_VHOST_SET_VRING_ENABLE ||
					msg->request == VRTC_VHOST_GET_VRING_BASE);
		if (msg->request == VRTC_VHOST_GET_VRING_BASE && index == VIRTIO_RTC_REQUESTQ)
			e->maybe_reset = true;
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	}
	switch (msg->request) {
	case VRTC_VHOST_RESET_OWNER:
		/*
		 * Ignored, as the protocol advises: rte_vhost would lose a megabyte of the EAL's
		 * heap at each, until no other device can start.
		 */
		vrtc_vhost_msg_close_fds(msg);
		return RTE_VHOST_MSG_RESULT_OK;
	case VRTC_VHOST_SET_MEM_TABLE:
		if (!is_mappable(msg))
			return refuse(e, msg);
		stop_queues(e, false);
		vrtc_memory_fault_forget((unsigned)e->vid);
		e->mem_ok = false;
		break;
	case VRTC_VHOST_SET_LOG_BASE:
		/*
		 * DPDK 24.11 maps the log from the offset on, and adds the offset once more: its
		 * log is outside of its mapping. QEMU's offset is 0.
		 */
		if (!e->has_log || msg->bytes != sizeof(msg->payload.log) ||
			msg->payload.log.mmap_offset != 0 || msg->payload.log.mmap_bytes == 0 ||
			!vrtc_vhost_msg_has_file(msg, msg->payload.log.mmap_bytes))
			return refuse(e, msg);
		stop_queues(e, false);
		break;
	case VRTC_VHOST_SET_FEATURES:
		stop_queues(e, false);
		break;
	case VRTC_VHOST_GET_QUEUE_NUM:
		/* rte_vhost would answer 128, the most that it can manage. */
		vrtc_vhost_msg_close_fds(msg);
		msg->payload.u64 = N_QUEUES;
		msg->bytes = sizeof(msg->payload.u64);
		return RTE_VHOST_MSG_RESULT_REPLY;
	case VRTC_VHOST_SET_CONFIG:
		return take_map(e, msg);
	case VRTC_VHOST_GET_CONFIG:
		if (!e->has_config)
			return refuse(e, msg);
		/* There is no configuration space. Empty is the protocol's word for an error. */
		vrtc_vhost_msg_close_fds(msg);
		msg->bytes = 0;
		return RTE_VHOST_MSG_RESULT_REPLY;
	case VRTC_VHOST_GET_FEATURES:
	case VRTC_VHOST_SET_OWNER:
	case VRTC_VHOST_GET_PROTOCOL_FEATURES:
		break;
	case VRTC_VHOST_SET_PROTOCOL_FEATURES:
		e->has_config = msg->bytes == sizeof(msg->payload.u64) &&
				msg->payload.u64 & CONFIG_FEATURE &&
				vrtc_guest_counter_wants_message(&e->session.counter);
		e->has_log = msg->bytes == sizeof(msg->payload.u64) &&
			     msg->payload.u64 & 1ULL << VRTC_VHOST_PROTOCOL_F_LOG_SHMFD;
		break;
	default:
		/*
		 * rte_vhost serves what was never offered, and not with care: SET_INFLIGHT_FD
		 * writes outside of its mapping.
		 */
		return refuse(e, msg);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* After success. A queue that the message made ready or unready is told by ring_state_changed(). */
static void after_message(struct vrtc_endpoint *e, const struct vrtc_vhost_msg *msg)
{
	switch (msg->request) {
	case VRTC_VHOST_SET_MEM_TABLE:
		e->mem_ok = true;
		start_queues(e);
		break;
	case VRTC_VHOST_GET_VRING_BASE:
	case VRTC_VHOST_SET_VRING_ENABLE:
	case VRTC_VHOST_SET_VRING_KICK:
	case VRTC_VHOST_SET_VRING_CALL:
		break;
	default:
		start_queues(e);
		break;
	}
}

/*
 * Whether the front-end reads our answers. The socket says no when a quarter of its buffer is full,
 * some 70 answers of which none was read; a few more, and rte_vhost would block in the next one.
 */
static bool is_read(const struct vrtc_endpoint *e)
{
	struct pollfd answers = {.fd = e->socket_fd, .events = POLLOUT};

	return e->socket_fd < 0 || poll(&answers, 1, 0) != 0;
}

/* rte_vhost's callbacks. */

static enum rte_vhost_msg_result pre_message(int vid, void *opaque)
{
	enum rte_vhost_msg_result result = RTE_VHOST_MSG_RESULT_ERR;
	struct vrtc_endpoint *e;

	pthread_mutex_lock(&backend.mutex);
	e = find_by_vid(vid);
	if (e) {
		vrtc_memory_fault_expect(&e->memory_gone);
		result = is_read(e) ? before_message(e, opaque) : refuse(e, opaque);
	} else {
		/* The last words of a front-end that is gone: see drop_dead_connection(). */
		vrtc_vhost_msg_close_fds(opaque);
	}
	pthread_mutex_unlock(&backend.mutex);
	return result;
}

static enum rte_vhost_msg_result post_message(int vid, void *opaque)
{
	struct vrtc_endpoint *e;

	pthread_mutex_lock(&backend.mutex);
	e = find_by_vid(vid);
	if (e)
		after_message(e, opaque);
	pthread_mutex_unlock(&backend.mutex);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops message_ops = {
	.pre_msg_handle = pre_message,
	.post_msg_handle = post_message,
};

static int ring_state_changed(int vid, uint16_t index, int enable)
{
	struct vrtc_endpoint *e;

	if (index >= N_QUEUES)
		return 0;
	pthread_mutex_lock(&backend.mutex);
	e = find_by_vid(vid);
	if (e) {
		e->ready[index] = enable;
		if (enable)
			start_queues(e);
		else
			stop_queue(e, index, false);
	}
	pthread_mutex_unlock(&backend.mutex);
	return 0;
}

static struct vrtc_endpoint *find_by_path(const char *path)
{
	struct vrtc_endpoint *e = backend.endpoints;

	while (e && strcmp(e->config.socket_path, path) != 0)
		e = e->next;
	return e;
}

static void forget_connection(struct vrtc_endpoint *e)
{
	stop_queues(e, false);
	vrtc_memory_fault_forget((unsigned)e->vid);
	memset(e->ready, 0, sizeof(e->ready));
	e->mem_ok = false;
	vrtc_guest_counter_forget(&e->session.counter);
	backend.by_vid[e->vid] = NULL;
	e->vid = -1;
}

/*
 * A front-end that crashed, or that connects anew at once, can be here before rte_vhost has read
 * the end of its old connection, which is then dropped now: its callback will find nobody.
 */
static void drop_dead_connection(struct vrtc_endpoint *e)
{
	if (e->vid >= 0 &&
		(e->peer_fd == -ENOTCONN || (e->peer_fd >= 0 && vrtc_peer_is_gone(e->peer_fd)))) {
		VRTC_LOG(INFO, "%s: front-end disconnected", e->config.name);
		forget_connection(e);
	}
}

static int connection_opened(int vid)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct vrtc_endpoint *e;
	int rc = -1;

	if (vid < 0 || vid >= VIDS_MAX || rte_vhost_get_ifname(vid, path, sizeof(path)))
		return -1;
	pthread_mutex_lock(&backend.mutex);
	e = find_by_path(path);
	if (e)
		drop_dead_connection(e);
	if (e && e->vid >= 0) {
		VRTC_LOG(WARNING, "%s: a second front-end was refused: %s serves one at a time",
			e->config.name, path);
	} else if (e && !e->closing) {
		e->vid = vid;
		/* In client mode rte_vhost connects once the old connection is closed. */
		e->peer_fd = e->config.client ? -ENOTSUP : vrtc_peer_find(path, false);
		e->socket_fd = e->config.client ? vrtc_peer_find(path, true) : e->peer_fd;
		if (e->socket_fd >= 0)
			vrtc_peer_bound_waits(e->socket_fd, MESSAGE_WAIT_S);
		e->mem_ok = false;
		memset(e->ready, 0, sizeof(e->ready));
		memset(e->announced, 0, sizeof(e->announced));
		e->claimed = false;
		e->has_config = false;
		e->has_log = false;
		e->maybe_reset = true;
		e->complaints = 0;
		e->hung_up = false;
		atomic_store(&e->memory_gone, false);
		backend.by_vid[vid] = e;
		rc = rte_vhost_extern_callback_register(vid, &message_ops, NULL);
		if (rc) {
			backend.by_vid[vid] = NULL;
			e->vid = -1;
		} else {
			VRTC_LOG(INFO, "%s: front-end connected", e->config.name);
		}
	}
	pthread_mutex_unlock(&backend.mutex);
	return rc;
}

static void connection_closed(int vid)
{
	struct vrtc_endpoint *e;

	pthread_mutex_lock(&backend.mutex);
	e = find_by_vid(vid);
	if (e) {
		forget_connection(e);
		VRTC_LOG(INFO, "%s: front-end disconnected", e->config.name);
	}
	pthread_mutex_unlock(&backend.mutex);
}

/*
 * Not new_device() and destroy_device(): they wait for every queue that a message ever named, and
 * the driver may never set up the alarmq.
 */
static const struct rte_vhost_device_ops device_ops = {
	.vring_state_changed = ring_state_changed,
	.new_connection = connection_opened,
	.destroy_connection = connection_closed,
};

static int give_up_init(int rc)
{
	if (backend.attention_fd >= 0)
		close(backend.attention_fd);
	backend.attention_fd = -1;
	free(backend.place);
	backend.place = NULL;
	free(backend.alarm_lcores.place);
	backend.alarm_lcores.place = NULL;
	return rc;
}

int vrtc_backend_init(const struct vrtc_backend_config *config)
{
	struct vrtc_alarm_lcores *alarm_lcores = &backend.alarm_lcores;
	int rc;

	backend.config = *config;
	alarm_lcores->lcore = config->alarm_lcore;
	alarm_lcores->n = config->n_alarm_lcores;
	backend.place = calloc(config->n_pollers, sizeof(backend.place[0]));
	alarm_lcores->place = calloc(alarm_lcores->n + 1, sizeof(alarm_lcores->place[0]));
	if (!backend.place || !alarm_lcores->place)
		return give_up_init(-ENOMEM);
	for (unsigned i = 0; i < alarm_lcores->n; i++)
		alarm_lcores->place[i].node = vrtc_alarm_lcore_node(alarm_lcores->lcore[i]);
	backend.attention_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (backend.attention_fd < 0)
		return give_up_init(-errno);
	rc = vrtc_memory_fault_init(backend.attention_fd);
	return rc ? give_up_init(rc) : backend.attention_fd;
}

/* The alarms begin to run here, before any driver comes: a predecessor may have left some. */
static int open_alarms(struct vrtc_endpoint *e)
{
	const struct vrtc_device *device = &e->config.device;
	int rc = 0;

	for (uint16_t c = 0; c < device->n_clocks; c++)
		e->has_alarms |= device->clock[c].alarm;
	if (e->has_alarms)
		rc = vrtc_endpoint_alarms_open(&e->alarms, &e->config.alarms, device,
			&backend.alarm_lcores, backend.attention_fd);
	if (e->has_alarms && !rc) {
		e->session.alarm_lcore = e->alarms.lcore;
		e->session.mail.client = e->alarms.client;
	}
	return rc;
}

struct vrtc_endpoint *vrtc_backend_open(const struct vrtc_endpoint_config *config)
{
	struct vrtc_endpoint *e = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*e), (size_t)RTE_CACHE_LINE_SIZE));
	const char *path = config->socket_path;
	uint64_t protocol = PROTOCOL_FEATURES;
	uint64_t features = DEVICE_FEATURES;

	if (!e)
		return NULL;
	memset(e, 0, sizeof(*e));
	e->config = *config;
	e->vid = -1;
	e->peer_fd = -ENOTSUP;
	e->session.device = &e->config.device;
	e->session.time = config->time;
	e->session.attention_fd = backend.attention_fd;
	vrtc_guest_counter_init(&e->session.counter, &config->counter, config->time->pairing);
	if (open_alarms(e)) {
		free(e);
		errno = ENOMEM;
		return NULL;
	}
	if (e->has_alarms)
		features |= 1ULL << VIRTIO_RTC_F_ALARM;
	if (config->no_packed)
		features &= ~(1ULL << VIRTIO_F_RING_PACKED);
	if (vrtc_guest_counter_wants_message(&e->session.counter))
		protocol |= CONFIG_FEATURE;

	pthread_mutex_lock(&backend.mutex);
	e->next = backend.endpoints;
	backend.endpoints = e;
	pthread_mutex_unlock(&backend.mutex);

	errno = 0;
	if (rte_vhost_driver_register(path, config->client ? RTE_VHOST_USER_CLIENT : 0) ||
		rte_vhost_driver_set_features(path, features) ||
		rte_vhost_driver_set_protocol_features(path, protocol) ||
		rte_vhost_driver_callback_register(path, &device_ops) ||
		rte_vhost_driver_start(path)) {
		/*
		 * Not rte_vhost_driver_unregister(): it would remove the path, which may be another
		 * process's socket by now. rte_vhost keeps the path, and callbacks find the
		 * endpoint closed.
		 */
		int err = errno;

		pthread_mutex_lock(&backend.mutex);
		e->closing = true;
		pthread_mutex_unlock(&backend.mutex);
		errno = err ? err : EIO;
		return NULL;
	}
	return e;
}

void vrtc_backend_close(struct vrtc_endpoint *e)
{
	pthread_mutex_lock(&backend.mutex);
	e->closing = true;
	if (e->vid >= 0)
		forget_connection(e);
	pthread_mutex_unlock(&backend.mutex);
	/* We listen on it until the process ends, so it is nobody else's. */
	if (!e->config.client)
		(void)unlink(e->config.socket_path);
}

static void report_alarmq(struct vrtc_endpoint *e)
{
	struct vrtc_alarm_client *client = e->alarms.client;

	if (atomic_exchange_explicit(&client->faulty, false, memory_order_acquire))
		COMPLAIN(e, "alarmq is broken: %s; not served until the driver resets it",
			vrtc_vring_fault(&client->alarms.alarmq));
	if (atomic_exchange_explicit(&client->bad_buffer, false, memory_order_acquire))
		COMPLAIN(e,
			"alarmq: a buffer that is too small for a notification, or not "
			"device-writable alone, was given back unused; the notification waits for "
			"the next one");
}

/* What is in its place is no guest's memory any more, and nothing can be served from it. */
static void report_memory(struct vrtc_endpoint *e)
{
	if (e->vid < 0 || e->hung_up || !atomic_load(&e->memory_gone))
		return;
	VRTC_LOG(WARNING, "%s: the file behind the guest's memory was truncated; connection closed",
		e->config.name);
	e->hung_up = true;
	stop_queues(e, false);
	/* rte_vhost reads the end of the connection, and unmaps the memory. */
	vrtc_peer_hang_up(e->config.socket_path, e->config.client);
}

void vrtc_backend_report(void)
{
	eventfd_t ignored;

	(void)eventfd_read(backend.attention_fd, &ignored);
	pthread_mutex_lock(&backend.mutex);
	for (struct vrtc_endpoint *e = backend.endpoints; e; e = e->next) {
		report_memory(e);
		/* Acquire: pairs with the release of the lcore that found the fault. */
		if (atomic_exchange_explicit(&e->session.faulty, false, memory_order_acquire))
			COMPLAIN(e, "requestq is broken: %s; not served until the driver resets it",
				vrtc_vring_fault(&e->session.requestq));
		if (e->has_alarms)
			report_alarmq(e);
	}
	pthread_mutex_unlock(&backend.mutex);
}

int vrtc_backend_look(void)
{
	int again_ms = -1;

	pthread_mutex_lock(&backend.mutex);
	for (struct vrtc_endpoint *e = backend.endpoints; e; e = e->next) {
		if (!vrtc_guest_counter_is_looked_at(&e->session.counter))
			continue;
		again_ms = VRTC_GUEST_COUNTER_LOOK_MS;
		if (vrtc_guest_counter_look(&e->session.counter) && e->poller)
			vrtc_poller_synchronize(e->poller);
	}
	pthread_mutex_unlock(&backend.mutex);
	return again_ms;
}

void vrtc_backend_counter_status(struct vrtc_endpoint *e, struct vrtc_guest_counter_status *status)
{
	pthread_mutex_lock(&backend.mutex);
	vrtc_guest_counter_status(&e->session.counter, status);
	pthread_mutex_unlock(&backend.mutex);
}
