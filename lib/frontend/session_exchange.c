/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of a session: said, answered, and the answer judged. */
#include "session.h"

#include <errno.h>
#include <string.h>

#include "session_bounds.h"

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
	case VFE_MSG_SET_LOG_BASE:
		/* A reply without payload, acknowledgements or not. */
		if (s->protocol >> VFE_PROTOCOL_F_LOG_SHMFD & 1)
			return ANSWER_REPLY;
		/* fall through */
	default:
		return s->protocol >> VFE_PROTOCOL_F_REPLY_ACK & 1 ? ANSWER_ACK : ANSWER_NONE;
	}
}

int vfe_session_exchange(
	struct vfe_session *s, struct vfe_msg *msg, const int *fds, unsigned int n_fds)
{
	int64_t start_ns = vfe_now_ns();
	int64_t deadline_ns = vfe_session_deadline(s, s->cfg.timeout_ms);
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
		return vfe_session_fail(s, err, "%s: no answer within %u ms", name,
			vfe_session_waited_ms(start_ns));
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
