/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user messages that backend.c looks at before rte_vhost does. The hook of rte_vhost
 * hands out its own private structure; of it we use the head, which is the message as on the wire
 * (QEMU, docs/interop/vhost-user.rst), and the descriptors that came along, whose place differs
 * between versions of DPDK and is only needed to close them when a message is refused.
 */
#ifndef VRTC_VHOST_MSG_H
#define VRTC_VHOST_MSG_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_version.h>

enum vrtc_vhost_request {
	VRTC_VHOST_GET_FEATURES = 1,
	VRTC_VHOST_SET_FEATURES = 2,
	VRTC_VHOST_SET_OWNER = 3,
	VRTC_VHOST_RESET_OWNER = 4,
	VRTC_VHOST_SET_MEM_TABLE = 5,
	VRTC_VHOST_SET_LOG_BASE = 6,
	VRTC_VHOST_SET_VRING_NUM = 8,
	VRTC_VHOST_SET_VRING_ADDR = 9,
	VRTC_VHOST_SET_VRING_BASE = 10,
	VRTC_VHOST_GET_VRING_BASE = 11,
	VRTC_VHOST_SET_VRING_KICK = 12,
	VRTC_VHOST_SET_VRING_CALL = 13,
	VRTC_VHOST_SET_VRING_ERR = 14,
	VRTC_VHOST_GET_PROTOCOL_FEATURES = 15,
	VRTC_VHOST_SET_PROTOCOL_FEATURES = 16,
	VRTC_VHOST_GET_QUEUE_NUM = 17,
	VRTC_VHOST_SET_VRING_ENABLE = 18,
	VRTC_VHOST_GET_CONFIG = 24,
	VRTC_VHOST_SET_CONFIG = 25,
};

#define VRTC_VHOST_F_LOG_ALL            26
#define VRTC_VHOST_F_PROTOCOL_FEATURES  30
#define VRTC_VHOST_PROTOCOL_F_MQ        0
#define VRTC_VHOST_PROTOCOL_F_LOG_SHMFD 1
#define VRTC_VHOST_PROTOCOL_F_REPLY_ACK 3
#define VRTC_VHOST_PROTOCOL_F_CONFIG    9

#define VRTC_VHOST_FLAG_NEED_REPLY  (1u << 3)
#define VRTC_VHOST_VRING_INDEX_MASK 0xff
/* Of the payload, before a configuration's region. */
#define VRTC_VHOST_CONFIG_HEAD      12

struct vrtc_vhost_msg {
	uint32_t request;
	uint32_t flags;
	uint32_t bytes;
	union {
		uint64_t u64;
		struct {
			uint32_t index;
			uint32_t num;
		} state;
		struct {
			uint64_t mmap_bytes;
			uint64_t mmap_offset;
		} log;
		struct {
			uint32_t offset;
			uint32_t bytes;
			uint32_t flags;
			uint8_t region[256]; /* the protocol's maximum */
		} config;
		struct {
			uint32_t n;
			uint32_t padding;
			struct {
				uint64_t gpa;
				uint64_t bytes;
				uint64_t user_address;
				uint64_t offset; /* of the region in its file */
			} region[8];
		} memory;
	} payload;
} __attribute__((packed));

/* rte_vhost's struct vhu_msg_context behind the message: int fds[8]; int fd_num. */
#if RTE_VERSION < RTE_VERSION_NUM(25, 3, 0, 0)
#define VRTC_VHOST_FDS_OFFSET 644
#define VRTC_VHOST_FDS_MAX    8

/* A descriptor that came along; -1: there is none of that number. */
static inline int vrtc_vhost_msg_fd(const void *msg, unsigned i)
{
	int fds[VRTC_VHOST_FDS_MAX + 1];

	memcpy(fds, (const char *)msg + VRTC_VHOST_FDS_OFFSET, sizeof(fds));
	return i < VRTC_VHOST_FDS_MAX && (int)i < fds[VRTC_VHOST_FDS_MAX] ? fds[i] : -1;
}

/* Closes what came along with a message that is not handed on to rte_vhost. */
static inline void vrtc_vhost_msg_close_fds(void *msg)
{
	int fds[VRTC_VHOST_FDS_MAX + 1];
	char *place = (char *)msg + VRTC_VHOST_FDS_OFFSET;

	memcpy(fds, place, sizeof(fds));
	for (int i = 0; i < fds[VRTC_VHOST_FDS_MAX] && i < VRTC_VHOST_FDS_MAX; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	memset(place + VRTC_VHOST_FDS_MAX * sizeof(int), 0, sizeof(int));
}

/* Whether the one descriptor that came along is a file of at least so many bytes. */
static inline bool vrtc_vhost_msg_has_file(const void *msg, uint64_t bytes)
{
	int fds[VRTC_VHOST_FDS_MAX + 1];
	struct stat st;

	memcpy(fds, (const char *)msg + VRTC_VHOST_FDS_OFFSET, sizeof(fds));
	return fds[VRTC_VHOST_FDS_MAX] == 1 && fstat(fds[0], &st) == 0 && st.st_size >= 0 &&
	       (uint64_t)st.st_size >= bytes;
}
#else
/* Not known for this version: the descriptors of a refused message stay open. */
static inline int vrtc_vhost_msg_fd(const void *msg, unsigned i)
{
	(void)msg;
	(void)i;
	return -1;
}

static inline void vrtc_vhost_msg_close_fds(void *msg)
{
	(void)msg;
}

static inline bool vrtc_vhost_msg_has_file(const void *msg, uint64_t bytes)
{
	(void)msg;
	(void)bytes;
	return true;
}
#endif

#endif
