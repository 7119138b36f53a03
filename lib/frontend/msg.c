/* SPDX-License-Identifier: BSD-3-Clause */
#include "msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deadline.h"

/* 0 when the socket is ready for events (or has an error, which the next call then reports). */
static int wait_ready(int sock, short events, int64_t deadline_ns)
{
	struct pollfd pfd = {.fd = sock, .events = events};
	int n;

	do
		n = poll(&pfd, 1, vfe_deadline_left_ms(deadline_ns));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

static void close_fds(const int *fds, unsigned int n_fds)
{
	for (unsigned int i = 0; i < n_fds; i++)
		close(fds[i]);
}

int vfe_msg_send_raw(int sock, const void *bytes, size_t n_bytes, const int *fds,
	unsigned int n_fds, int64_t deadline_ns)
{
	union {
		char space[CMSG_SPACE(VFE_MSG_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	const uint8_t *at = bytes;
	int err;

	if (n_fds > VFE_MSG_FDS_MAX || (n_fds > 0 && n_bytes == 0))
		return -EINVAL;
	while (n_bytes > 0) {
		struct iovec iov = {.iov_base = (void *)(uintptr_t)at, .iov_len = n_bytes};
		struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		if (n_fds > 0) {
			struct cmsghdr *cmsg;

			memset(&control, 0, sizeof(control));
			mh.msg_control = &control;
			mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
			cmsg = CMSG_FIRSTHDR(&mh);
			cmsg->cmsg_level = SOL_SOCKET;
			cmsg->cmsg_type = SCM_RIGHTS;
			cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
			memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
		}
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			at += n;
			n_bytes -= (size_t)n;
			n_fds = 0;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return -ECONNRESET;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		err = wait_ready(sock, POLLOUT, deadline_ns);
		if (err)
			return err;
	}
	return 0;
}

int vfe_msg_send(int sock, const struct vfe_msg *msg, const int *fds, unsigned int n_fds,
	int64_t deadline_ns)
{
	if (msg->header.size > sizeof(msg->payload))
		return -EINVAL;
	return vfe_msg_send_raw(
		sock, msg, sizeof(msg->header) + msg->header.size, fds, n_fds, deadline_ns);
}

/* Appends the descriptors that came to fds; what finds no place there is closed. */
static void take_fds(struct msghdr *mh, int *fds, unsigned int *n_fds)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t n;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (fds && *n_fds < VFE_MSG_FDS_MAX)
				fds[(*n_fds)++] = fd;
			else
				close(fd);
		}
	}
}

/* Receives exactly n_bytes. */
static int recv_bytes(
	int sock, void *bytes, size_t n_bytes, int *fds, unsigned int *n_fds, int64_t deadline_ns)
{
	uint8_t *at = bytes;

	while (n_bytes > 0) {
		union {
			char space[CMSG_SPACE(VFE_MSG_FDS_MAX * sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov = {.iov_base = at, .iov_len = n_bytes};
		struct msghdr mh = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n > 0) {
			take_fds(&mh, fds, n_fds);
			at += n;
			n_bytes -= (size_t)n;
			continue;
		}
		if (n == 0 || errno == ECONNRESET)
			return -ECONNRESET;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;

		int err = wait_ready(sock, POLLIN, deadline_ns);

		if (err)
			return err;
	}
	return 0;
}

int vfe_msg_recv(int sock, struct vfe_msg *msg, int *fds, unsigned int *n_fds, int64_t deadline_ns)
{
	unsigned int n = 0;
	int err;

	err = recv_bytes(sock, &msg->header, sizeof(msg->header), fds, &n, deadline_ns);
	if (!err && ((msg->header.flags & VFE_MSG_VERSION_MASK) != VFE_MSG_VERSION ||
			    msg->header.size > sizeof(msg->payload)))
		err = -EPROTO;
	if (!err)
		err = recv_bytes(sock, &msg->payload, msg->header.size, fds, &n, deadline_ns);
	if (err && fds) {
		close_fds(fds, n);
		n = 0;
	}
	if (n_fds)
		*n_fds = n;
	return err;
}

int vfe_msg_wait_closed(int sock, int64_t deadline_ns)
{
	uint8_t byte;
	int err;

	do
		err = recv_bytes(sock, &byte, 1, NULL, NULL, deadline_ns);
	while (!err && vfe_deadline_left_ms(deadline_ns) > 0);
	if (!err)
		return -ETIMEDOUT;
	return err == -ECONNRESET ? 0 : err;
}

bool vfe_msg_is_closed(int sock)
{
	uint8_t byte;
	ssize_t n;

	do
		n = recv(sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

const char *vfe_msg_name(uint32_t request)
{
	static const char *const names[] = {
		[VFE_MSG_GET_FEATURES] = "GET_FEATURES",
		[VFE_MSG_SET_FEATURES] = "SET_FEATURES",
		[VFE_MSG_SET_OWNER] = "SET_OWNER",
		[VFE_MSG_RESET_OWNER] = "RESET_OWNER",
		[VFE_MSG_SET_MEM_TABLE] = "SET_MEM_TABLE",
		[VFE_MSG_SET_LOG_BASE] = "SET_LOG_BASE",
		[VFE_MSG_SET_LOG_FD] = "SET_LOG_FD",
		[VFE_MSG_SET_VRING_NUM] = "SET_VRING_NUM",
		[VFE_MSG_SET_VRING_ADDR] = "SET_VRING_ADDR",
		[VFE_MSG_SET_VRING_BASE] = "SET_VRING_BASE",
		[VFE_MSG_GET_VRING_BASE] = "GET_VRING_BASE",
		[VFE_MSG_SET_VRING_KICK] = "SET_VRING_KICK",
		[VFE_MSG_SET_VRING_CALL] = "SET_VRING_CALL",
		[VFE_MSG_SET_VRING_ERR] = "SET_VRING_ERR",
		[VFE_MSG_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
		[VFE_MSG_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
		[VFE_MSG_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
		[VFE_MSG_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
		[VFE_MSG_SEND_RARP] = "SEND_RARP",
		[VFE_MSG_NET_SET_MTU] = "NET_SET_MTU",
		[VFE_MSG_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
		[VFE_MSG_IOTLB_MSG] = "IOTLB_MSG",
		[VFE_MSG_SET_VRING_ENDIAN] = "SET_VRING_ENDIAN",
		[VFE_MSG_GET_CONFIG] = "GET_CONFIG",
		[VFE_MSG_SET_CONFIG] = "SET_CONFIG",
		[VFE_MSG_CREATE_CRYPTO_SESSION] = "CREATE_CRYPTO_SESSION",
		[VFE_MSG_CLOSE_CRYPTO_SESSION] = "CLOSE_CRYPTO_SESSION",
		[VFE_MSG_POSTCOPY_ADVISE] = "POSTCOPY_ADVISE",
		[VFE_MSG_POSTCOPY_LISTEN] = "POSTCOPY_LISTEN",
		[VFE_MSG_POSTCOPY_END] = "POSTCOPY_END",
		[VFE_MSG_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
		[VFE_MSG_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
		[VFE_MSG_GPU_SET_SOCKET] = "GPU_SET_SOCKET",
		[VFE_MSG_RESET_DEVICE] = "RESET_DEVICE",
		[VFE_MSG_VRING_KICK] = "VRING_KICK",
		[VFE_MSG_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
		[VFE_MSG_ADD_MEM_REG] = "ADD_MEM_REG",
		[VFE_MSG_REM_MEM_REG] = "REM_MEM_REG",
		[VFE_MSG_SET_STATUS] = "SET_STATUS",
		[VFE_MSG_GET_STATUS] = "GET_STATUS",
		[VFE_MSG_GET_SHARED_OBJECT] = "GET_SHARED_OBJECT",
		[VFE_MSG_SET_DEVICE_STATE_FD] = "SET_DEVICE_STATE_FD",
		[VFE_MSG_CHECK_DEVICE_STATE] = "CHECK_DEVICE_STATE",
	};

	if (request >= sizeof(names) / sizeof(names[0]) || !names[request])
		return "unknown";
	return names[request];
}
