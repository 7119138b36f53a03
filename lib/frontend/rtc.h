/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver of a virtio-rtc device, on a session.
 *
 * The typed calls return the status of the device, 0 (VIRTIO_RTC_S_OK) or above, or -errno; outputs
 * are written only with status OK. As the Linux driver does, they want a used length of exactly the
 * response with status OK and of at least 8 with another: -EPROTO otherwise.
 *
 * request() puts any bytes into any buffer. submit() and collect() are its two halves, for many
 * requests at once and for requests that a back-end's death interrupts. A request that timed out
 * stays in flight: its buffer is not used again before it comes back or the device is reset.
 *
 * Errors of all calls, besides their own: -ETIMEDOUT, -ECONNRESET, -EPROTO (broken ring or wrong
 * length), -ENOSPC (too much in flight), -ENOMEM; the sentence is in vfe_error().
 *
 * Threads: the session's. The first call allocates.
 */
#ifndef VFE_RTC_H
#define VFE_RTC_H

#include <stdbool.h>
#include <stdint.h>

#include "session.h"

/* Requests in flight at a time, and bytes of one request and of one response. */
#define VFE_RTC_SLOTS     64
#define VFE_RTC_BYTES_MAX 4096

struct vfe_rtc_clock_cap {
	uint8_t type;     /* VIRTIO_RTC_CLOCK_... */
	uint8_t smearing; /* VIRTIO_RTC_SMEAR_... */
	uint8_t flags;    /* VIRTIO_RTC_FLAG_ALARM_CAP */
};

/**
 * Makes a request and waits for the response.
 *
 * @param req         req_bytes bytes, 0 to VFE_RTC_BYTES_MAX
 * @param resp        resp_bytes bytes, 0 to VFE_RTC_BYTES_MAX; both 0 is -EINVAL. Written whole:
 *                    what the device did not write is 0xA5, so a test sees what was touched
 * @param used_bytes  used length as the device wrote it, or NULL
 * @param timeout_ms  for the response
 * @return 0, whatever the response says
 */
int vfe_rtc_request(struct vfe_session *s, const void *req, uint32_t req_bytes, void *resp,
	uint32_t resp_bytes, uint32_t *used_bytes, unsigned int timeout_ms);

/**
 * Makes a request available and kicks if wanted.
 *
 * @param slot  names it for vfe_rtc_collect()
 * @return 0
 */
int vfe_rtc_submit(struct vfe_session *s, const void *req, uint32_t req_bytes, uint32_t resp_bytes,
	unsigned int *slot);

/**
 * Waits for a submitted request; others that come first are kept for their own collect().
 *
 * @param resp  resp_bytes of submit() bytes
 * @return 0; -EINVAL nothing was submitted as slot. After an error other than -EINVAL the request
 *         is still in flight and can be collected later
 */
int vfe_rtc_collect(struct vfe_session *s, unsigned int slot, void *resp, uint32_t *used_bytes,
	unsigned int timeout_ms);

/** VIRTIO_RTC_REQ_CFG: the number of clocks. */
int vfe_rtc_cfg(struct vfe_session *s, uint16_t *num_clocks);

/** VIRTIO_RTC_REQ_CLOCK_CAP. */
int vfe_rtc_clock_cap(struct vfe_session *s, uint16_t clock_id, struct vfe_rtc_clock_cap *cap);

/** VIRTIO_RTC_REQ_CROSS_CAP; supported is VIRTIO_RTC_FLAG_CROSS_CAP. */
int vfe_rtc_cross_cap(
	struct vfe_session *s, uint16_t clock_id, uint8_t hw_counter, bool *supported);

/** VIRTIO_RTC_REQ_READ: the reading in nanoseconds of the clock's own timescale. */
int vfe_rtc_read(struct vfe_session *s, uint16_t clock_id, uint64_t *reading_ns);

/** VIRTIO_RTC_REQ_READ_CROSS. */
int vfe_rtc_read_cross(struct vfe_session *s, uint16_t clock_id, uint8_t hw_counter,
	uint64_t *reading_ns, uint64_t *counter_cycles);

/** VIRTIO_RTC_REQ_READ_ALARM. */
int vfe_rtc_read_alarm(struct vfe_session *s, uint16_t clock_id, uint64_t *alarm_ns, bool *enabled);

/** VIRTIO_RTC_REQ_SET_ALARM. */
int vfe_rtc_set_alarm(struct vfe_session *s, uint16_t clock_id, uint64_t alarm_ns, bool enabled);

/** VIRTIO_RTC_REQ_SET_ALARM_ENABLED. */
int vfe_rtc_set_alarm_enabled(struct vfe_session *s, uint16_t clock_id, bool enabled);

/* Bytes of an alarmq buffer, all of its parts together, and how many parts it may have. */
#define VFE_RTC_ALARM_BYTES_MAX 64
#define VFE_RTC_ALARM_PARTS_MAX 8

/* One descriptor of an alarmq buffer. */
struct vfe_rtc_part {
	uint32_t bytes; /* 0 is allowed here */
	bool writable;  /* by the device */
};

/* An alarmq buffer that came back. */
struct vfe_rtc_alarm_used {
	uint32_t bytes;      /* of the buffer */
	uint32_t used_bytes; /* used length as the device wrote it */
	/* The buffer, its parts one after the other; what the device did not write is 0xA5. */
	uint8_t content[VFE_RTC_ALARM_BYTES_MAX];
};

/**
 * Puts buffers into the alarmq (queue 1) and kicks.
 *
 * @param n_buffers  each a descriptor of the ring
 * @param bytes      of each, 1 to VFE_RTC_ALARM_BYTES_MAX; the driver's is 16
 * @return 0; -ENOSPC the ring has not as many free descriptors: none was added
 */
int vfe_rtc_alarmq_fill(struct vfe_session *s, unsigned int n_buffers, uint32_t bytes);

/**
 * Puts one buffer of any shape into the alarmq and kicks.
 *
 * @param part      n_parts of them, 1 to VFE_RTC_ALARM_PARTS_MAX
 * @param indirect  in a table of its own, one descriptor of the ring
 * @return 0; -ENOSPC the ring has not as many free descriptors
 */
int vfe_rtc_alarmq_add(struct vfe_session *s, const struct vfe_rtc_part *part, unsigned int n_parts,
	bool indirect);

/**
 * Waits for the next alarmq buffer that comes back, whatever is in it.
 *
 * @param used        written only with 0
 * @param timeout_ms  0: look once
 * @return 0; -ETIMEDOUT none came; -EINVAL nothing was ever put into the alarmq
 */
int vfe_rtc_alarm_take(
	struct vfe_session *s, struct vfe_rtc_alarm_used *used, unsigned int timeout_ms);

/**
 * Waits for an alarm notification.
 *
 * @param clock_id    of the alarm
 * @param recycle     put a buffer of the same size, writable, into the alarmq again
 * @return 0; -ETIMEDOUT no alarm; -EPROTO a notification of wrong length or type, or one with a
 *         reserved field that is not zero; -EINVAL nothing was ever put into the alarmq
 */
int vfe_rtc_alarm_wait(
	struct vfe_session *s, uint16_t *clock_id, bool recycle, unsigned int timeout_ms);

/** @return "OK", "EOPNOTSUPP", "ENODEV", "EINVAL", "EIO" or "unknown". */
const char *vfe_rtc_status_name(uint8_t status);

/** @return "UTC", "TAI", "MONOTONIC", "UTC_SMEARED", "UTC_MAYBE_SMEARED" or "unknown". */
const char *vfe_rtc_clock_type_name(uint8_t type);

/** @return "UNSPECIFIED", "NOON_LINEAR", "UTC_SLS" or "unknown". */
const char *vfe_rtc_smearing_name(uint8_t smearing);

#endif
