/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user messages on a connected AF_UNIX stream socket, with their file descriptors.
 *
 * What is sent is not judged: tests of hostility send what a decent front-end never would (a wrong
 * size, no descriptor, half a header). What is received is not trusted: a size beyond the payload,
 * a wrong version or surplus descriptors come back as errors and leak nothing.
 *
 * Threads: a socket belongs to one thread at a time. Nothing here allocates memory. Every call ends
 * at its deadline (deadline.h), blocking socket or not.
 *
 * Numbers and layouts: QEMU, docs/interop/vhost-user.rst. Multi-byte fields are in the byte order
 * of the machine.
 */
#ifndef VFE_MSG_H
#define VFE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests of a front-end. */
enum vfe_msg_request {
	VFE_MSG_GET_FEATURES = 1,
	VFE_MSG_SET_FEATURES = 2,
	VFE_MSG_SET_OWNER = 3,
	VFE_MSG_RESET_OWNER = 4,
	VFE_MSG_SET_MEM_TABLE = 5,
	VFE_MSG_SET_LOG_BASE = 6,
	VFE_MSG_SET_LOG_FD = 7,
	VFE_MSG_SET_VRING_NUM = 8,
	VFE_MSG_SET_VRING_ADDR = 9,
	VFE_MSG_SET_VRING_BASE = 10,
	VFE_MSG_GET_VRING_BASE = 11,
	VFE_MSG_SET_VRING_KICK = 12,
	VFE_MSG_SET_VRING_CALL = 13,
	VFE_MSG_SET_VRING_ERR = 14,
	VFE_MSG_GET_PROTOCOL_FEATURES = 15,
	VFE_MSG_SET_PROTOCOL_FEATURES = 16,
	VFE_MSG_GET_QUEUE_NUM = 17,
	VFE_MSG_SET_VRING_ENABLE = 18,
	VFE_MSG_SEND_RARP = 19,
	VFE_MSG_NET_SET_MTU = 20,
	VFE_MSG_SET_BACKEND_REQ_FD = 21,
	VFE_MSG_IOTLB_MSG = 22,
	VFE_MSG_SET_VRING_ENDIAN = 23,
	VFE_MSG_GET_CONFIG = 24,
	VFE_MSG_SET_CONFIG = 25,
	VFE_MSG_CREATE_CRYPTO_SESSION = 26,
	VFE_MSG_CLOSE_CRYPTO_SESSION = 27,
	VFE_MSG_POSTCOPY_ADVISE = 28,
	VFE_MSG_POSTCOPY_LISTEN = 29,
	VFE_MSG_POSTCOPY_END = 30,
	VFE_MSG_GET_INFLIGHT_FD = 31,
	VFE_MSG_SET_INFLIGHT_FD = 32,
	VFE_MSG_GPU_SET_SOCKET = 33,
	VFE_MSG_RESET_DEVICE = 34,
	VFE_MSG_VRING_KICK = 35,
	VFE_MSG_GET_MAX_MEM_SLOTS = 36,
	VFE_MSG_ADD_MEM_REG = 37,
	VFE_MSG_REM_MEM_REG = 38,
	VFE_MSG_SET_STATUS = 39,
	VFE_MSG_GET_STATUS = 40,
	VFE_MSG_GET_SHARED_OBJECT = 41,
	VFE_MSG_SET_DEVICE_STATE_FD = 42,
	VFE_MSG_CHECK_DEVICE_STATE = 43,
};

/* The flags of a header. */
#define VFE_MSG_VERSION      0x1u
#define VFE_MSG_VERSION_MASK 0x3u
#define VFE_MSG_REPLY        0x4u
#define VFE_MSG_NEED_REPLY   0x8u

/* Feature bit that says "protocol features can be negotiated", and the protocol's feature bits. */
#define VFE_F_PROTOCOL_FEATURES  30
#define VFE_PROTOCOL_F_MQ        0
#define VFE_PROTOCOL_F_LOG_SHMFD 1
#define VFE_PROTOCOL_F_REPLY_ACK 3
#define VFE_PROTOCOL_F_CONFIG    9
#define VFE_PROTOCOL_F_STATUS    16

/* In the flags of SET_VRING_ADDR: writes to the used ring are logged at log_guest_addr. */
#define VFE_MSG_VRING_F_LOG 1u

/* In the payload of SET_VRING_KICK, _CALL and _ERR: the queue, and "no descriptor comes along". */
#define VFE_MSG_VRING_INDEX 0xffu
#define VFE_MSG_VRING_NO_FD 0x100u

#define VFE_MSG_FDS_MAX     8
#define VFE_MSG_REGIONS_MAX 8
#define VFE_MSG_CONFIG_MAX  256

struct vfe_msg_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload, in bytes */
} __attribute__((packed));

struct vfe_msg_state {
	uint32_t index;
	uint32_t num;
} __attribute__((packed));

struct vfe_msg_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc_user_addr;
	uint64_t used_user_addr;
	uint64_t avail_user_addr;
	uint64_t log_guest_addr;
} __attribute__((packed));

struct vfe_msg_region {
	uint64_t guest_addr;
	uint64_t bytes;
	uint64_t user_addr;
	uint64_t mmap_offset;
} __attribute__((packed));

struct vfe_msg_memory {
	uint32_t n_regions;
	uint32_t padding;
	struct vfe_msg_region regions[VFE_MSG_REGIONS_MAX];
} __attribute__((packed));

struct vfe_msg_config {
	uint32_t offset;
	uint32_t bytes;
	uint32_t flags;
	uint8_t region[VFE_MSG_CONFIG_MAX];
} __attribute__((packed));

struct vfe_msg_log {
	uint64_t mmap_bytes;
	uint64_t mmap_offset;
} __attribute__((packed));

union vfe_msg_payload {
	uint64_t u64;
	struct vfe_msg_state state;
	struct vfe_msg_addr addr;
	struct vfe_msg_memory memory;
	struct vfe_msg_config config;
	struct vfe_msg_log log;
	uint8_t raw[512];
} __attribute__((packed));

struct vfe_msg {
	struct vfe_msg_header header;
	union vfe_msg_payload payload;
} __attribute__((packed));

_Static_assert(sizeof(struct vfe_msg_header) == 12, "wire size");
_Static_assert(sizeof(struct vfe_msg_addr) == 40, "wire size");
_Static_assert(sizeof(struct vfe_msg_region) == 32, "wire size");
_Static_assert(offsetof(struct vfe_msg, payload) == 12, "wire layout");

/**
 * Sends one message: the header, and header.size bytes of payload.
 *
 * @param sock        connected stream socket
 * @param msg         header.size up to sizeof(union vfe_msg_payload); for more use the raw call
 * @param fds         descriptors that go with the message, or NULL; they stay the caller's
 * @param n_fds       0 to VFE_MSG_FDS_MAX
 * @param deadline_ns see deadline.h
 * @return 0; -EINVAL size or n_fds out of range; -ETIMEDOUT the peer does not read;
 *         -ECONNRESET the peer has closed; another -errno of sendmsg(2)
 */
int vfe_msg_send(int sock, const struct vfe_msg *msg, const int *fds, unsigned int n_fds,
	int64_t deadline_ns);

/**
 * Sends bytes as they are, the descriptors with the first of them: for malformed messages.
 *
 * @param bytes   n_bytes bytes, 1 or more when there are descriptors
 * @return as vfe_msg_send()
 */
int vfe_msg_send_raw(int sock, const void *bytes, size_t n_bytes, const int *fds,
	unsigned int n_fds, int64_t deadline_ns);

/**
 * Receives one message, whole.
 *
 * @param msg    on error its content is undefined
 * @param fds    VFE_MSG_FDS_MAX descriptors, from now on the caller's, close-on-exec; or NULL:
 *               descriptors that come are closed
 * @param n_fds  how many came; 0 on error. NULL if fds is
 * @return 0; -ETIMEDOUT; -ECONNRESET the peer has closed, also in the middle of a message;
 *         -EPROTO a version other than 1, or a payload that does not fit; another -errno of
 *         recvmsg(2)
 */
int vfe_msg_recv(int sock, struct vfe_msg *msg, int *fds, unsigned int *n_fds, int64_t deadline_ns);

/**
 * Waits until the peer closes the connection; what it still sends is thrown away.
 *
 * @return 0 closed; -ETIMEDOUT it is still open at the deadline
 */
int vfe_msg_wait_closed(int sock, int64_t deadline_ns);

/** @return true if the peer has closed its end and nothing is left to read. Does not wait. */
bool vfe_msg_is_closed(int sock);

/** @return the protocol's name of a request, "GET_FEATURES" for 1; "unknown" otherwise. */
const char *vfe_msg_name(uint32_t request);

#endif
