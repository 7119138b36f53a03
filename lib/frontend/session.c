/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "deadline.h"

/* Looks at the used ring between two looks at the clock and the socket: some 10 us of spinning. */
#define SPINS_PER_CLOCK 16384

/* After so many of these (about a millisecond) a wait is no longer about latency: doze instead. */
#define CLOCKS_BEFORE_DOZE 100
#define DOZE_NS            50000

/* Between two attempts to connect. */
#define RETRY_NS 10000000

int vfe_session_fail(struct vfe_session *s, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, ap);
	va_end(ap);
	return err;
}

const char *vfe_error(const struct vfe_session *s)
{
	return s->error;
}

/* The end of a wait that begins now. */
static int64_t deadline_of(const struct vfe_session *s, unsigned int timeout_ms)
{
	int64_t deadline_ns = vfe_deadline_in_ms(timeout_ms);

	return s->deadline_ns != 0 && s->deadline_ns < deadline_ns ? s->deadline_ns : deadline_ns;
}

/* Milliseconds since a wait began, for its sentence. */
static unsigned int waited_ms(int64_t start_ns)
{
	return (unsigned int)((vfe_now_ns() - start_ns + 500000) / 1000000);
}

void vfe_config_default(struct vfe_config *cfg, const char *socket_path)
{
	*cfg = (struct vfe_config){
		.socket_path = socket_path,
		.timeout_ms = 5000,
		.features = 1ull << VFE_F_VERSION_1 | 1ull << VFE_F_PROTOCOL_FEATURES,
		.protocol_features = 1ull << VFE_PROTOCOL_F_MQ | 1ull << VFE_PROTOCOL_F_REPLY_ACK,
		.queues = 1,
		.ring_size = 256,
		.wait = VFE_WAIT_POLL,
		.mem_gpa = 1 << 20,
		.mem_bytes = 8 << 20,
	};
}

static bool has_queue(const struct vfe_session *s, unsigned int q)
{
	return q < VFE_QUEUES_MAX && (s->cfg.queues >> q & 1) != 0;
}

int vfe_session_init(struct vfe_session *s, const struct vfe_config *cfg)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->cfg = *cfg;
	s->sock = -1;
	s->listen_fd = -1;
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		s->queues[q].kick_fd = s->queues[q].call_fd = -1;

	if (!cfg->socket_path || cfg->mem_gpa % 4096 != 0 ||
		(cfg->queues | cfg->queues_named) >> VFE_QUEUES_MAX != 0)
		return vfe_session_fail(s, -EINVAL, "configuration: no path, queues or memory");
	err = vfe_mem_add(&s->mem, cfg->mem_gpa, cfg->mem_bytes, 0);
	if (err) {
		vfe_session_fail(s, err, "guest memory of %llu bytes at 0x%llx: %s",
			(unsigned long long)cfg->mem_bytes, (unsigned long long)cfg->mem_gpa,
			strerror(-err));
		goto fail;
	}
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++) {
		struct vfe_queue *queue = &s->queues[q];

		queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		queue->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (queue->kick_fd < 0 || queue->call_fd < 0) {
			err = vfe_session_fail(s, -errno, "eventfd: %s", strerror(errno));
			goto fail;
		}
		if (!has_queue(s, q))
			continue;
		err = vfe_ring_init(&queue->ring, &s->mem, cfg->ring_size, 0);
		if (err) {
			vfe_session_fail(s, err, "ring of queue %u with %u entries: %s", q,
				cfg->ring_size, strerror(-err));
			goto fail;
		}
	}
	return 0;

fail:
	vfe_session_fini(s);
	return err;
}

void vfe_session_fini(struct vfe_session *s)
{
	vfe_session_disconnect(s);
	if (s->listen_fd >= 0) {
		close(s->listen_fd);
		unlink(s->cfg.socket_path);
		s->listen_fd = -1;
	}
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++) {
		struct vfe_queue *queue = &s->queues[q];

		vfe_ring_fini(&queue->ring);
		if (queue->kick_fd >= 0)
			close(queue->kick_fd);
		if (queue->call_fd >= 0)
			close(queue->call_fd);
		queue->kick_fd = queue->call_fd = -1;
	}
	vfe_mem_fini(&s->mem);
	free(s->rtc);
	s->rtc = NULL;
}

static int try_connect(struct vfe_session *s, const struct sockaddr_un *addr);

/* Listens at the path, once in a session's life. */
static int listen_at(struct vfe_session *s, const struct sockaddr_un *addr)
{
	int err;

	if (s->listen_fd >= 0)
		return 0;
	/* A socket that nobody listens on is a left-over. Anything else is not ours to remove. */
	err = try_connect(s, addr);
	if (err == -ECONNREFUSED)
		unlink(s->cfg.socket_path);
	vfe_session_disconnect(s);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return vfe_session_fail(s, -errno, "socket: %s", strerror(errno));
	if (bind(s->listen_fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
		listen(s->listen_fd, 1) < 0) {
		err = vfe_session_fail(
			s, -errno, "listening on %s: %s", s->cfg.socket_path, strerror(errno));
		close(s->listen_fd);
		s->listen_fd = -1;
		return err;
	}
	return 0;
}

static int accept_backend(struct vfe_session *s)
{
	int64_t start_ns = vfe_now_ns();
	int64_t deadline_ns = deadline_of(s, s->cfg.timeout_ms);

	for (;;) {
		struct pollfd pfd = {.fd = s->listen_fd, .events = POLLIN};
		int n;

		s->sock = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (s->sock >= 0 && !vfe_msg_is_closed(s->sock))
			return 0;
		if (s->sock >= 0) {
			/* Somebody who looked whether we listen, and is gone. */
			vfe_session_disconnect(s);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			return vfe_session_fail(s, -errno, "accepting on %s: %s",
				s->cfg.socket_path, strerror(errno));
		n = poll(&pfd, 1, vfe_deadline_left_ms(deadline_ns));
		if (n == 0)
			return vfe_session_fail(s, -ETIMEDOUT,
				"no back-end connected to %s within %u ms", s->cfg.socket_path,
				waited_ms(start_ns));
	}
}

/* One attempt. -EAGAIN: somebody listens, and has no room for another connection now. */
static int try_connect(struct vfe_session *s, const struct sockaddr_un *addr)
{
	struct stat st;
	int err;

	/* connect() to a plain file says "refused", which sends an operator the wrong way. */
	if (stat(s->cfg.socket_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	s->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->sock < 0)
		return -errno;
	if (connect(s->sock, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return 0;
	err = -errno;
	close(s->sock);
	s->sock = -1;
	return err;
}

int vfe_session_connect(struct vfe_session *s)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int64_t start_ns = vfe_now_ns();
	int64_t retry_until_ns = deadline_of(s, s->cfg.connect_ms);
	int64_t busy_until_ns = deadline_of(s, s->cfg.timeout_ms);
	int err;

	vfe_session_disconnect(s);
	if (strlen(s->cfg.socket_path) >= sizeof(addr.sun_path))
		return vfe_session_fail(s, -ENAMETOOLONG,
			"%.100s...: a socket path has at most %zu bytes", s->cfg.socket_path,
			sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, s->cfg.socket_path);

	if (s->cfg.listen) {
		err = listen_at(s, &addr);
		return err ? err : accept_backend(s);
	}
	for (;;) {
		const struct timespec pause = {.tv_nsec = RETRY_NS};
		int64_t now_ns = vfe_now_ns();

		err = try_connect(s, &addr);
		if (!err)
			return 0;
		if (err == -EAGAIN && now_ns >= busy_until_ns)
			return vfe_session_fail(s, -ETIMEDOUT,
				"%s: the listener did not take the connection within %u ms",
				s->cfg.socket_path, waited_ms(start_ns));
		if (err != -EAGAIN &&
			(now_ns >= retry_until_ns || (err != -ENOENT && err != -ECONNREFUSED)))
			return vfe_session_fail(
				s, err, "connecting to %s: %s", s->cfg.socket_path, strerror(-err));
		nanosleep(&pause, NULL);
	}
}

/* What the protocol answers to a request. */
enum answer { ANSWER_NONE, ANSWER_ACK, ANSWER_REPLY };

static enum answer answer_of(const struct vfe_session *s, uint32_t request)
{
	switch (request) {
	case VFE_MSG_GET_FEATURES:
	case VFE_MSG_GET_PROTOCOL_FEATURES:
	case VFE_MSG_GET_QUEUE_NUM:
	case VFE_MSG_GET_VRING_BASE:
	case VFE_MSG_GET_CONFIG:
	case VFE_MSG_GET_INFLIGHT_FD:
	case VFE_MSG_GET_MAX_MEM_SLOTS:
	case VFE_MSG_GET_STATUS:
	case VFE_MSG_GET_SHARED_OBJECT:
	case VFE_MSG_SET_DEVICE_STATE_FD:
	case VFE_MSG_CHECK_DEVICE_STATE:
		return ANSWER_REPLY;
	default:
		return s->protocol >> VFE_PROTOCOL_F_REPLY_ACK & 1 ? ANSWER_ACK : ANSWER_NONE;
	}
}

int vfe_session_exchange(
	struct vfe_session *s, struct vfe_msg *msg, const int *fds, unsigned int n_fds)
{
	int64_t start_ns = vfe_now_ns();
	int64_t deadline_ns = deadline_of(s, s->cfg.timeout_ms);
	uint32_t request = msg->header.request;
	enum answer answer = answer_of(s, request);
	const char *name = vfe_msg_name(request);
	struct vfe_msg reply;
	int err;

	if (s->sock < 0)
		return vfe_session_fail(s, -ENOTCONN, "%s: not connected", name);
	msg->header.flags = VFE_MSG_VERSION | (answer == ANSWER_ACK ? VFE_MSG_NEED_REPLY : 0);
	err = vfe_msg_send(s->sock, msg, fds, n_fds, deadline_ns);
	if (!err && answer != ANSWER_NONE)
		err = vfe_msg_recv(s->sock, &reply, NULL, NULL, deadline_ns);
	if (err == -ETIMEDOUT)
		return vfe_session_fail(
			s, err, "%s: no answer within %u ms", name, waited_ms(start_ns));
	if (err == -ECONNRESET)
		return vfe_session_fail(s, err, "%s: the back-end closed the connection", name);
	if (err == -EPROTO)
		return vfe_session_fail(s, err, "%s: the answer is not a vhost-user message", name);
	if (err)
		return vfe_session_fail(s, err, "%s: %s", name, strerror(-err));
	if (answer == ANSWER_NONE)
		return 0;

	if (reply.header.request != request || !(reply.header.flags & VFE_MSG_REPLY))
		return vfe_session_fail(s, -EPROTO,
			"%s: answered by message %u, flags 0x%x, which is no reply to it", name,
			reply.header.request, reply.header.flags);
	if (answer == ANSWER_REPLY) {
		*msg = reply;
		return 0;
	}
	if (reply.header.size != sizeof(reply.payload.u64))
		return vfe_session_fail(s, -EPROTO, "%s: acknowledged with %u bytes instead of 8",
			name, reply.header.size);
	if (reply.payload.u64 != 0)
		return vfe_session_fail(s, -EREMOTEIO, "%s: the back-end refused it", name);
	return 0;
}

/* An answer of the size that the protocol gives it. */
static int expect_size(struct vfe_session *s, const struct vfe_msg *reply, size_t bytes)
{
	if (reply->header.size == bytes)
		return 0;
	return vfe_session_fail(s, -EPROTO, "%s: answered with %u bytes instead of %zu",
		vfe_msg_name(reply->header.request), reply->header.size, bytes);
}

int vfe_session_set_u64(struct vfe_session *s, uint32_t request, uint64_t value)
{
	struct vfe_msg msg = {
		.header = {.request = request, .size = sizeof(msg.payload.u64)},
		.payload.u64 = value,
	};

	return vfe_session_exchange(s, &msg, NULL, 0);
}

int vfe_session_get_u64(struct vfe_session *s, uint32_t request, uint64_t *value)
{
	struct vfe_msg msg = {.header.request = request};
	int err = vfe_session_exchange(s, &msg, NULL, 0);

	if (!err)
		err = expect_size(s, &msg, sizeof(msg.payload.u64));
	if (!err)
		*value = msg.payload.u64;
	return err;
}

int vfe_session_state(
	struct vfe_session *s, uint32_t request, uint32_t index, uint32_t num, uint32_t *num_out)
{
	struct vfe_msg msg = {
		.header = {.request = request, .size = sizeof(msg.payload.state)},
		.payload.state = {.index = index, .num = num},
	};
	int err = vfe_session_exchange(s, &msg, NULL, 0);

	if (err || !num_out)
		return err;
	err = expect_size(s, &msg, sizeof(msg.payload.state));
	if (!err)
		*num_out = msg.payload.state.num;
	return err;
}

int vfe_session_set_fd(struct vfe_session *s, uint32_t request, uint32_t index, int fd)
{
	struct vfe_msg msg = {
		.header = {.request = request, .size = sizeof(msg.payload.u64)},
		.payload.u64 = index | (fd < 0 ? VFE_MSG_VRING_NO_FD : 0),
	};

	return vfe_session_exchange(s, &msg, &fd, fd < 0 ? 0 : 1);
}

/* Names of the features that matter here, for the sentence of an error. */
static const char *feature_name(unsigned int bit)
{
	switch (bit) {
	case 0:
		return "VIRTIO_RTC_F_ALARM";
	case VFE_F_INDIRECT_DESC:
		return "VIRTIO_F_INDIRECT_DESC";
	case VFE_F_EVENT_IDX:
		return "VIRTIO_F_EVENT_IDX";
	case VFE_F_PROTOCOL_FEATURES:
		return "VHOST_USER_F_PROTOCOL_FEATURES";
	case VFE_F_VERSION_1:
		return "VIRTIO_F_VERSION_1";
	case VFE_F_IN_ORDER:
		return "VIRTIO_F_IN_ORDER";
	default:
		return "feature";
	}
}

/* The wanted features out of the offered ones; required must be among them. */
static int choose_features(struct vfe_session *s, uint64_t wanted, uint64_t required)
{
	uint64_t missing;

	s->features = wanted & s->features_offered;
	missing = required & ~s->features;
	if (missing) {
		unsigned int bit = (unsigned int)__builtin_ctzll(missing);

		return vfe_session_fail(s, -ENOTSUP,
			"the back-end does not offer %s (bit %u); it offers 0x%llx",
			feature_name(bit), bit, (unsigned long long)s->features_offered);
	}
	return 0;
}

static int negotiate(struct vfe_session *s, uint64_t wanted, uint64_t required)
{
	struct vfe_msg owner = {.header.request = VFE_MSG_SET_OWNER};
	int err;

	s->protocol = 0;
	s->protocol_offered = 0;
	s->queue_max = 0;
	err = vfe_session_get_u64(s, VFE_MSG_GET_FEATURES, &s->features_offered);
	if (err)
		return err;
	err = choose_features(s, wanted, required);
	if (err)
		return err;
	if (s->features >> VFE_F_PROTOCOL_FEATURES & 1) {
		uint64_t protocol;

		err = vfe_session_get_u64(s, VFE_MSG_GET_PROTOCOL_FEATURES, &s->protocol_offered);
		if (err)
			return err;
		protocol = s->protocol_offered & s->cfg.protocol_features;
		err = vfe_session_set_u64(s, VFE_MSG_SET_PROTOCOL_FEATURES, protocol);
		if (err)
			return err;
		s->protocol = protocol;
	}
	if (s->protocol >> VFE_PROTOCOL_F_MQ & 1) {
		err = vfe_session_get_u64(s, VFE_MSG_GET_QUEUE_NUM, &s->queue_max);
		if (err)
			return err;
	}
	err = vfe_session_exchange(s, &owner, NULL, 0);
	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (s->cfg.queues_named >> q & 1)
			err = vfe_session_set_fd(
				s, VFE_MSG_SET_VRING_CALL, q, s->queues[q].call_fd);
	if (!err)
		err = vfe_session_set_u64(s, VFE_MSG_SET_FEATURES, s->features);
	return err;
}

int vfe_session_negotiate(struct vfe_session *s)
{
	int err = negotiate(s, s->cfg.features, s->cfg.features_required);

	if (err)
		return err;
	/* The rings were made before the features were known. */
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		if (has_queue(s, q) && s->queues[q].ring.added_idx == 0)
			vfe_ring_reset(&s->queues[q].ring, s->features);
	return 0;
}

int vfe_session_set_mem_table(struct vfe_session *s)
{
	int fds[VFE_MSG_FDS_MAX];
	struct vfe_msg msg;
	unsigned int n_fds = vfe_mem_table(&s->mem, &msg, fds);
	uint64_t ignored;
	int err;

	err = vfe_session_exchange(s, &msg, fds, n_fds);
	if (err || s->protocol >> VFE_PROTOCOL_F_REPLY_ACK & 1)
		return err;
	return vfe_session_get_u64(s, VFE_MSG_GET_FEATURES, &ignored);
}

static int set_enable(struct vfe_session *s, unsigned int q, bool enable)
{
	/* Without protocol features a ring is enabled as soon as it starts. */
	if (!(s->features >> VFE_F_PROTOCOL_FEATURES & 1))
		return 0;
	return vfe_session_state(s, VFE_MSG_SET_VRING_ENABLE, q, enable, NULL);
}

int vfe_session_queue_start(struct vfe_session *s, unsigned int q)
{
	struct vfe_msg addr = {
		.header = {.request = VFE_MSG_SET_VRING_ADDR, .size = sizeof(addr.payload.addr)},
	};
	struct vfe_queue *queue = &s->queues[q];
	int err;

	if (!has_queue(s, q))
		return vfe_session_fail(s, -EINVAL, "queue %u is not in the configuration", q);
	addr.payload.addr = (struct vfe_msg_addr){
		.index = q,
		.desc_user_addr = (uint64_t)(uintptr_t)queue->ring.desc,
		.used_user_addr = (uint64_t)(uintptr_t)queue->ring.used,
		.avail_user_addr = (uint64_t)(uintptr_t)queue->ring.avail,
		.log_guest_addr = queue->ring.used_gpa,
	};
	err = vfe_session_state(s, VFE_MSG_SET_VRING_NUM, q, queue->ring.size, NULL);
	if (!err)
		err = vfe_session_state(s, VFE_MSG_SET_VRING_BASE, q, queue->base, NULL);
	if (!err)
		err = vfe_session_exchange(s, &addr, NULL, 0);
	if (!err)
		err = vfe_session_set_fd(s, VFE_MSG_SET_VRING_KICK, q, queue->kick_fd);
	if (!err)
		err = vfe_session_set_fd(s, VFE_MSG_SET_VRING_CALL, q, queue->call_fd);
	if (!err)
		err = set_enable(s, q, true);
	if (err)
		return err;
	queue->started = true;
	/* A back-end may begin only when kicked, and there may be requests of before. */
	vfe_session_kick(s, q, true);
	return 0;
}

/* The second half of a stop. */
static int get_base(struct vfe_session *s, unsigned int q)
{
	uint32_t base;
	int err = vfe_session_state(s, VFE_MSG_GET_VRING_BASE, q, 0, &base);

	if (err)
		return err;
	s->queues[q].base = (uint16_t)base;
	s->queues[q].started = false;
	return 0;
}

int vfe_session_queue_stop(struct vfe_session *s, unsigned int q)
{
	int err;

	if (!has_queue(s, q))
		return vfe_session_fail(s, -EINVAL, "queue %u is not in the configuration", q);
	if (!s->queues[q].started)
		return 0;
	err = set_enable(s, q, false);
	return err ? err : get_base(s, q);
}

int vfe_session_stop(struct vfe_session *s)
{
	int err = 0;

	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (s->queues[q].started)
			err = set_enable(s, q, false);
	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (s->queues[q].started)
			err = get_base(s, q);
	return err;
}

int vfe_session_resume(struct vfe_session *s)
{
	int err = 0;

	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (has_queue(s, q) && !s->queues[q].started)
			err = vfe_session_queue_start(s, q);
	return err;
}

int vfe_session_start(struct vfe_session *s)
{
	int err = vfe_session_connect(s);

	if (!err)
		err = vfe_session_negotiate(s);
	if (!err)
		err = vfe_session_set_mem_table(s);
	if (!err)
		err = vfe_session_resume(s);
	return err;
}

int vfe_session_reset(struct vfe_session *s)
{
	int err = vfe_session_stop(s);

	if (err)
		return err;
	s->resets++;
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++) {
		s->queues[q].base = 0;
		if (has_queue(s, q))
			vfe_ring_reset(&s->queues[q].ring, s->features);
	}
	err = vfe_session_set_u64(s, VFE_MSG_SET_FEATURES, s->features);
	if (!err)
		err = vfe_session_set_mem_table(s);
	if (!err)
		err = vfe_session_resume(s);
	return err;
}

void vfe_session_disconnect(struct vfe_session *s)
{
	if (s->sock >= 0)
		close(s->sock);
	s->sock = -1;
	s->protocol = 0;
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		s->queues[q].started = false;
}

int vfe_session_reconnect(struct vfe_session *s)
{
	/* The driver in the guest goes on with what it negotiated; it cannot be asked again. */
	uint64_t features = s->features;
	int err;

	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		if (has_queue(s, q))
			s->queues[q].base = vfe_ring_used_idx(&s->queues[q].ring);
	err = vfe_session_connect(s);
	if (!err)
		err = negotiate(s, features, features);
	s->features = features;
	if (!err)
		err = vfe_session_set_mem_table(s);
	if (!err)
		err = vfe_session_resume(s);
	return err;
}

void vfe_session_kick(struct vfe_session *s, unsigned int q, bool force)
{
	struct vfe_queue *queue = &s->queues[q];

	/* Asked even with force: it keeps the account of what was kicked for. */
	if (has_queue(s, q) && (vfe_ring_kick_wanted(&queue->ring) || force))
		eventfd_write(queue->kick_fd, 1);
}

/* The end of a wait that got nothing. */
static int nothing_came(struct vfe_session *s, unsigned int q, int64_t start_ns)
{
	if (vfe_ring_used_idx(&s->queues[q].ring) != s->queues[q].ring.used_idx)
		return vfe_session_fail(s, -ETIMEDOUT,
			"queue %u: a buffer is used, but no call came within %u ms", q,
			waited_ms(start_ns));
	return vfe_session_fail(
		s, -ETIMEDOUT, "queue %u: no used buffer within %u ms", q, waited_ms(start_ns));
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
			deadline_ns = deadline_of(s, timeout_ms);
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
	int64_t deadline_ns = deadline_of(s, timeout_ms);
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

	if (!has_queue(s, q))
		return vfe_session_fail(s, -EINVAL, "queue %u is not in the configuration", q);
	if (timeout_ms == 0) {
		n = look(s, q, done);
		return n == 0 ? nothing_came(s, q, vfe_now_ns()) : n < 0 ? n : 0;
	}
	if (s->cfg.wait == VFE_WAIT_SLEEP)
		return wait_sleeping(s, q, done, timeout_ms);
	return wait_spinning(s, q, done, timeout_ms);
}
