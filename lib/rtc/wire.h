/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire of the RTC device: message types, statuses and structures, spelled as in
 * virtio-v1.4 RTC Device / Device Operation. No other file defines a name of the specification,
 * and no other file knows the byte order: every multi-byte field is little-endian and is read and
 * written through the vrtc_le*() functions below.
 *
 * The structures lie at any address (a request is copied out of guest memory, whose alignment the
 * driver chooses): each is packed, and its size is asserted here once.
 */
#ifndef VRTC_WIRE_H
#define VRTC_WIRE_H

#include <stdint.h>

#define VIRTIO_ID_RTC 17

/* Feature bits. */
#define VIRTIO_RTC_F_ALARM 0

/* Virtqueues. */
#define VIRTIO_RTC_REQUESTQ 0
#define VIRTIO_RTC_ALARMQ   1

/* Message types of the requestq and of the alarmq. */
#define VIRTIO_RTC_REQ_READ              0x0001
#define VIRTIO_RTC_REQ_READ_CROSS        0x0002
#define VIRTIO_RTC_REQ_CFG               0x1000
#define VIRTIO_RTC_REQ_CLOCK_CAP         0x1001
#define VIRTIO_RTC_REQ_CROSS_CAP         0x1002
#define VIRTIO_RTC_REQ_READ_ALARM        0x1003
#define VIRTIO_RTC_REQ_SET_ALARM         0x1004
#define VIRTIO_RTC_REQ_SET_ALARM_ENABLED 0x1005
#define VIRTIO_RTC_NOTIF_ALARM           0x2000

/* Statuses. */
#define VIRTIO_RTC_S_OK         0
#define VIRTIO_RTC_S_EOPNOTSUPP 2
#define VIRTIO_RTC_S_ENODEV     3
#define VIRTIO_RTC_S_EINVAL     4
#define VIRTIO_RTC_S_EIO        5

/* Clock types. */
#define VIRTIO_RTC_CLOCK_UTC               0
#define VIRTIO_RTC_CLOCK_TAI               1
#define VIRTIO_RTC_CLOCK_MONOTONIC         2
#define VIRTIO_RTC_CLOCK_UTC_SMEARED       3
#define VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED 4

/* Smearing variants. */
#define VIRTIO_RTC_SMEAR_UNSPECIFIED 0
#define VIRTIO_RTC_SMEAR_NOON_LINEAR 1
#define VIRTIO_RTC_SMEAR_UTC_SLS     2

/* Hardware counters; 0xF0 to 0xFE are for experiments, of which we know none. */
#define VIRTIO_RTC_COUNTER_ARM_VCT 0
#define VIRTIO_RTC_COUNTER_X86_TSC 1
#define VIRTIO_RTC_COUNTER_INVALID 0xFF

/* Flags. */
#define VIRTIO_RTC_FLAG_ALARM_CAP     (1 << 0)
#define VIRTIO_RTC_FLAG_CROSS_CAP     (1 << 0)
#define VIRTIO_RTC_FLAG_ALARM_ENABLED (1 << 0)

/* The little-endian integers: bytes, so that no field is ever touched in the wrong order. */
struct vrtc_le16 {
	uint8_t b[2];
};

struct vrtc_le64 {
	uint8_t b[8];
};

static inline uint16_t vrtc_le16_get(struct vrtc_le16 v)
{
	return (uint16_t)(v.b[0] | v.b[1] << 8);
}

static inline struct vrtc_le16 vrtc_le16_put(uint16_t v)
{
	return (struct vrtc_le16){{(uint8_t)v, (uint8_t)(v >> 8)}};
}

static inline uint64_t vrtc_le64_get(struct vrtc_le64 v)
{
	return (uint64_t)v.b[0] | (uint64_t)v.b[1] << 8 | (uint64_t)v.b[2] << 16 |
	       (uint64_t)v.b[3] << 24 | (uint64_t)v.b[4] << 32 | (uint64_t)v.b[5] << 40 |
	       (uint64_t)v.b[6] << 48 | (uint64_t)v.b[7] << 56;
}

static inline struct vrtc_le64 vrtc_le64_put(uint64_t v)
{
	return (struct vrtc_le64){{(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
		(uint8_t)(v >> 24), (uint8_t)(v >> 32), (uint8_t)(v >> 40), (uint8_t)(v >> 48),
		(uint8_t)(v >> 56)}};
}

struct virtio_rtc_req_head {
	struct vrtc_le16 msg_type;
	uint8_t reserved[6];
} __attribute__((packed));

struct virtio_rtc_resp_head {
	uint8_t status;
	uint8_t reserved[7];
} __attribute__((packed));

struct virtio_rtc_notif_head {
	struct vrtc_le16 msg_type;
	uint8_t reserved[6];
} __attribute__((packed));

struct virtio_rtc_req_cfg {
	struct virtio_rtc_req_head head;
} __attribute__((packed));

struct virtio_rtc_resp_cfg {
	struct virtio_rtc_resp_head head;
	struct vrtc_le16 num_clocks;
	uint8_t reserved[6];
} __attribute__((packed));

struct virtio_rtc_req_clock_cap {
	struct virtio_rtc_req_head head;
	struct vrtc_le16 clock_id;
	uint8_t reserved[6];
} __attribute__((packed));

struct virtio_rtc_resp_clock_cap {
	struct virtio_rtc_resp_head head;
	uint8_t type;
	uint8_t leap_second_smearing;
	uint8_t flags;
	uint8_t reserved[5];
} __attribute__((packed));

struct virtio_rtc_req_cross_cap {
	struct virtio_rtc_req_head head;
	struct vrtc_le16 clock_id;
	uint8_t hw_counter;
	uint8_t reserved[5];
} __attribute__((packed));

struct virtio_rtc_resp_cross_cap {
	struct virtio_rtc_resp_head head;
	uint8_t flags;
	uint8_t reserved[7];
} __attribute__((packed));

struct virtio_rtc_req_read {
	struct virtio_rtc_req_head head;
	struct vrtc_le16 clock_id;
	uint8_t reserved[6];
} __attribute__((packed));

struct virtio_rtc_resp_read {
	struct virtio_rtc_resp_head head;
	struct vrtc_le64 clock_reading;
} __attribute__((packed));

struct virtio_rtc_req_read_cross {
	struct virtio_rtc_req_head head;
	struct vrtc_le16 clock_id;
	uint8_t hw_counter;
	uint8_t reserved[5];
} __attribute__((packed));

struct virtio_rtc_resp_read_cross {
	struct virtio_rtc_resp_head head;
	struct vrtc_le64 clock_reading;
	struct vrtc_le64 counter_cycles;
} __attribute__((packed));

struct virtio_rtc_req_read_alarm {
	struct virtio_rtc_req_head head;
	struct vrtc_le16 clock_id;
	uint8_t reserved[6];
} __attribute__((packed));

struct virtio_rtc_resp_read_alarm {
	struct virtio_rtc_resp_head head;
	struct vrtc_le64 alarm_time;
	uint8_t flags;
	uint8_t reserved[7];
} __attribute__((packed));

struct virtio_rtc_req_set_alarm {
	struct virtio_rtc_req_head head;
	struct vrtc_le64 alarm_time;
	struct vrtc_le16 clock_id;
	uint8_t flags;
	uint8_t reserved[5];
} __attribute__((packed));

struct virtio_rtc_resp_set_alarm {
	struct virtio_rtc_resp_head head;
} __attribute__((packed));

struct virtio_rtc_req_set_alarm_enabled {
	struct virtio_rtc_req_head head;
	struct vrtc_le16 clock_id;
	uint8_t flags;
	uint8_t reserved[5];
} __attribute__((packed));

struct virtio_rtc_resp_set_alarm_enabled {
	struct virtio_rtc_resp_head head;
} __attribute__((packed));

struct virtio_rtc_notif_alarm {
	struct virtio_rtc_notif_head head;
	struct vrtc_le16 clock_id;
	uint8_t reserved[6];
} __attribute__((packed));

/* The longest request and the longest response: no more than this is ever copied. */
#define VRTC_REQ_BYTES_MAX  24
#define VRTC_RESP_BYTES_MAX 24

_Static_assert(sizeof(struct virtio_rtc_req_head) == 8, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_head) == 8, "wire size");
_Static_assert(sizeof(struct virtio_rtc_notif_head) == 8, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_cfg) == 8, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_cfg) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_clock_cap) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_clock_cap) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_cross_cap) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_cross_cap) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_read) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_read) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_read_cross) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_read_cross) == VRTC_RESP_BYTES_MAX, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_read_alarm) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_read_alarm) == VRTC_RESP_BYTES_MAX, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_set_alarm) == VRTC_REQ_BYTES_MAX, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_set_alarm) == 8, "wire size");
_Static_assert(sizeof(struct virtio_rtc_req_set_alarm_enabled) == 16, "wire size");
_Static_assert(sizeof(struct virtio_rtc_resp_set_alarm_enabled) == 8, "wire size");
_Static_assert(sizeof(struct virtio_rtc_notif_alarm) == 16, "wire size");

#endif
