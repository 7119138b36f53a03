/* SPDX-License-Identifier: BSD-3-Clause */
#include "rtc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* What a response holds where the device did not write. */
#define UNTOUCHED 0xa5

/* Guest memory of a slot: the request, the response behind it, and the table of both. */
#define SLOT_TABLE (2ul * VFE_RTC_BYTES_MAX)
#define SLOT_BYTES (SLOT_TABLE + 64)

/* Guest memory of an alarmq buffer's indirect table. */
#define TABLE_BYTES (sizeof(struct vfe_desc) * VFE_RTC_ALARM_PARTS_MAX)

struct slot {
	bool in_use; /* from submit() to collect() */
	bool done;
	uint32_t resp_bytes;
	uint32_t used_bytes;
};

struct vfe_rtc {
	unsigned int resets; /* of the session, when the slots were last true */
	uint64_t slots_gpa;
	uint8_t *slots_host;
	struct slot slots[VFE_RTC_SLOTS];

	uint64_t alarm_gpa;  /* VFE_GPA_NONE before the first buffer */
	uint64_t tables_gpa; /* VFE_GPA_NONE before the first indirect buffer */
	uint8_t *alarm_host;
	unsigned int n_alarm_free;
	uint16_t alarm_free[VFE_RING_SIZE_MAX];
	uint8_t alarm_bytes[VFE_RING_SIZE_MAX]; /* of each buffer that is in the ring */
};

static void forget_all(struct vfe_session *s, struct vfe_rtc *rtc)
{
	unsigned int ring_size = s->queues[VIRTIO_RTC_ALARMQ].ring.size;

	memset(rtc->slots, 0, sizeof(rtc->slots));
	rtc->n_alarm_free = ring_size;
	for (unsigned int i = 0; i < ring_size; i++)
		rtc->alarm_free[i] = (uint16_t)i;
	rtc->resets = s->resets;
}

/*
 * The driver of a session, made at its first use; after a guest reset it begins again. NULL: *err
 * says why.
 */
static struct vfe_rtc *driver_of(struct vfe_session *s, int *err)
{
	struct vfe_rtc *rtc = s->rtc;

	if (!rtc) {
		rtc = calloc(1, sizeof(*rtc));
		if (!rtc) {
			*err = vfe_session_fail(s, -ENOMEM, "out of memory");
			return NULL;
		}
		rtc->slots_gpa = vfe_mem_alloc(&s->mem, SLOT_BYTES * VFE_RTC_SLOTS, 4096);
		if (rtc->slots_gpa == VFE_GPA_NONE) {
			free(rtc);
			*err = vfe_session_fail(s, -ENOSPC, "no guest memory left for requests");
			return NULL;
		}
		rtc->slots_host = vfe_mem_host(&s->mem, rtc->slots_gpa, SLOT_BYTES * VFE_RTC_SLOTS);
		rtc->alarm_gpa = VFE_GPA_NONE;
		rtc->tables_gpa = VFE_GPA_NONE;
		s->rtc = rtc;
		forget_all(s, rtc);
	} else if (rtc->resets != s->resets) {
		forget_all(s, rtc);
	}
	return rtc;
}

int vfe_rtc_submit(struct vfe_session *s, const void *req, uint32_t req_bytes, uint32_t resp_bytes,
	unsigned int *slot)
{
	struct vfe_queue *queue = &s->queues[VIRTIO_RTC_REQUESTQ];
	struct vfe_seg segs[2];
	unsigned int n_segs = 0;
	struct vfe_rtc *rtc;
	unsigned int i = 0;
	uint64_t gpa;
	int err;

	if (req_bytes > VFE_RTC_BYTES_MAX || resp_bytes > VFE_RTC_BYTES_MAX ||
		(req_bytes == 0 && resp_bytes == 0))
		return vfe_session_fail(
			s, -EINVAL, "a request of %u and %u bytes", req_bytes, resp_bytes);
	if (!queue->ring.desc)
		return vfe_session_fail(s, -EINVAL, "the requestq is not in the configuration");
	rtc = driver_of(s, &err);
	if (!rtc)
		return err;
	while (i < VFE_RTC_SLOTS && rtc->slots[i].in_use)
		i++;
	if (i == VFE_RTC_SLOTS)
		return vfe_session_fail(s, -ENOSPC, "%u requests are in flight", VFE_RTC_SLOTS);

	gpa = rtc->slots_gpa + i * SLOT_BYTES;
	if (req_bytes > 0) {
		memcpy(rtc->slots_host + i * SLOT_BYTES, req, req_bytes);
		segs[n_segs++] = (struct vfe_seg){.gpa = gpa, .bytes = req_bytes};
	}
	if (resp_bytes > 0) {
		memset(rtc->slots_host + i * SLOT_BYTES + VFE_RTC_BYTES_MAX, UNTOUCHED, resp_bytes);
		segs[n_segs++] = (struct vfe_seg){
			.gpa = gpa + VFE_RTC_BYTES_MAX, .bytes = resp_bytes, .writable = true};
	}
	if (s->cfg.indirect && s->features >> VFE_F_INDIRECT_DESC & 1)
		err = vfe_ring_add_indirect(&queue->ring, segs, n_segs, gpa + SLOT_TABLE, i, NULL);
	else
		err = vfe_ring_add(&queue->ring, segs, n_segs, i, NULL);
	if (err)
		return vfe_session_fail(s, err, "the requestq is full");
	rtc->slots[i] = (struct slot){.in_use = true, .resp_bytes = resp_bytes};
	if (s->cfg.wait == VFE_WAIT_POLL)
		vfe_ring_suppress_calls(&queue->ring);
	else
		vfe_ring_arm_call(&queue->ring);
	vfe_ring_publish(&queue->ring);
	vfe_session_kick(s, VIRTIO_RTC_REQUESTQ, false);
	*slot = i;
	return 0;
}

int vfe_rtc_collect(struct vfe_session *s, unsigned int slot, void *resp, uint32_t *used_bytes,
	unsigned int timeout_ms)
{
	struct slot *wanted;
	int err;
	struct vfe_rtc *rtc = driver_of(s, &err);

	if (!rtc)
		return err;
	if (slot >= VFE_RTC_SLOTS || !rtc->slots[slot].in_use)
		return vfe_session_fail(s, -EINVAL, "slot %u: no request is in flight", slot);
	wanted = &rtc->slots[slot];
	while (!wanted->done) {
		struct vfe_done done;

		err = vfe_session_wait_used(s, VIRTIO_RTC_REQUESTQ, &done, timeout_ms);
		if (err)
			return err;
		/* Only submit() adds to this ring, unless a test did so itself. */
		if (done.cookie >= VFE_RTC_SLOTS || !rtc->slots[done.cookie].in_use)
			continue;
		rtc->slots[done.cookie].done = true;
		rtc->slots[done.cookie].used_bytes = done.used_bytes;
	}
	if (wanted->resp_bytes > 0)
		memcpy(resp, rtc->slots_host + slot * SLOT_BYTES + VFE_RTC_BYTES_MAX,
			wanted->resp_bytes);
	if (used_bytes)
		*used_bytes = wanted->used_bytes;
	wanted->in_use = false;
	return 0;
}

int vfe_rtc_request(struct vfe_session *s, const void *req, uint32_t req_bytes, void *resp,
	uint32_t resp_bytes, uint32_t *used_bytes, unsigned int timeout_ms)
{
	unsigned int slot = 0;
	int err = vfe_rtc_submit(s, req, req_bytes, resp_bytes, &slot);

	return err ? err : vfe_rtc_collect(s, slot, resp, used_bytes, timeout_ms);
}

/* A request of the specification: its status, or -errno. */
static int typed(struct vfe_session *s, const char *name, const void *req, uint32_t req_bytes,
	void *resp, uint32_t resp_bytes)
{
	const struct virtio_rtc_resp_head *head = resp;
	char reason[sizeof(s->error)];
	uint32_t used_bytes = 0;
	int err;

	err = vfe_rtc_request(s, req, req_bytes, resp, resp_bytes, &used_bytes, s->cfg.timeout_ms);
	if (err) {
		memcpy(reason, s->error, sizeof(reason));
		return vfe_session_fail(s, err, "%s: %.280s", name, reason);
	}
	if (used_bytes > resp_bytes)
		return vfe_session_fail(s, -EPROTO,
			"%s: the device says it wrote %u bytes into a buffer of %u", name,
			used_bytes, resp_bytes);
	if (used_bytes < sizeof(*head))
		return vfe_session_fail(s, -EPROTO,
			"%s: the device wrote %u bytes, less than the header of a response", name,
			used_bytes);
	if (head->status == VIRTIO_RTC_S_OK && used_bytes != resp_bytes)
		return vfe_session_fail(s, -EPROTO,
			"%s: status OK with %u bytes; the response has %u", name, used_bytes,
			resp_bytes);
	return head->status;
}

int vfe_rtc_cfg(struct vfe_session *s, uint16_t *num_clocks)
{
	struct virtio_rtc_req_cfg req = {.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_CFG)};
	struct virtio_rtc_resp_cfg resp = {0};
	int status = typed(s, "CFG", &req, sizeof(req), &resp, sizeof(resp));

	if (status == VIRTIO_RTC_S_OK)
		*num_clocks = vrtc_le16_get(resp.num_clocks);
	return status;
}

int vfe_rtc_clock_cap(struct vfe_session *s, uint16_t clock_id, struct vfe_rtc_clock_cap *cap)
{
	struct virtio_rtc_req_clock_cap req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_CLOCK_CAP),
		.clock_id = vrtc_le16_put(clock_id),
	};
	struct virtio_rtc_resp_clock_cap resp = {0};
	int status = typed(s, "CLOCK_CAP", &req, sizeof(req), &resp, sizeof(resp));

	if (status == VIRTIO_RTC_S_OK)
		*cap = (struct vfe_rtc_clock_cap){
			.type = resp.type,
			.smearing = resp.leap_second_smearing,
			.flags = resp.flags,
		};
	return status;
}

int vfe_rtc_cross_cap(struct vfe_session *s, uint16_t clock_id, uint8_t hw_counter, bool *supported)
{
	struct virtio_rtc_req_cross_cap req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_CROSS_CAP),
		.clock_id = vrtc_le16_put(clock_id),
		.hw_counter = hw_counter,
	};
	struct virtio_rtc_resp_cross_cap resp = {0};
	int status = typed(s, "CROSS_CAP", &req, sizeof(req), &resp, sizeof(resp));

	if (status == VIRTIO_RTC_S_OK)
		*supported = (resp.flags & VIRTIO_RTC_FLAG_CROSS_CAP) != 0;
	return status;
}

int vfe_rtc_read(struct vfe_session *s, uint16_t clock_id, uint64_t *reading_ns)
{
	struct virtio_rtc_req_read req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ),
		.clock_id = vrtc_le16_put(clock_id),
	};
	struct virtio_rtc_resp_read resp = {0};
	int status = typed(s, "READ", &req, sizeof(req), &resp, sizeof(resp));

	if (status == VIRTIO_RTC_S_OK)
		*reading_ns = vrtc_le64_get(resp.clock_reading);
	return status;
}

int vfe_rtc_read_cross(struct vfe_session *s, uint16_t clock_id, uint8_t hw_counter,
	uint64_t *reading_ns, uint64_t *counter_cycles)
{
	struct virtio_rtc_req_read_cross req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ_CROSS),
		.clock_id = vrtc_le16_put(clock_id),
		.hw_counter = hw_counter,
	};
	struct virtio_rtc_resp_read_cross resp = {0};
	int status = typed(s, "READ_CROSS", &req, sizeof(req), &resp, sizeof(resp));

	if (status == VIRTIO_RTC_S_OK) {
		*reading_ns = vrtc_le64_get(resp.clock_reading);
		*counter_cycles = vrtc_le64_get(resp.counter_cycles);
	}
	return status;
}

int vfe_rtc_read_alarm(struct vfe_session *s, uint16_t clock_id, uint64_t *alarm_ns, bool *enabled)
{
	struct virtio_rtc_req_read_alarm req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ_ALARM),
		.clock_id = vrtc_le16_put(clock_id),
	};
	struct virtio_rtc_resp_read_alarm resp = {0};
	int status = typed(s, "READ_ALARM", &req, sizeof(req), &resp, sizeof(resp));

	if (status == VIRTIO_RTC_S_OK) {
		*alarm_ns = vrtc_le64_get(resp.alarm_time);
		*enabled = (resp.flags & VIRTIO_RTC_FLAG_ALARM_ENABLED) != 0;
	}
	return status;
}

int vfe_rtc_set_alarm(struct vfe_session *s, uint16_t clock_id, uint64_t alarm_ns, bool enabled)
{
	struct virtio_rtc_req_set_alarm req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_SET_ALARM),
		.alarm_time = vrtc_le64_put(alarm_ns),
		.clock_id = vrtc_le16_put(clock_id),
		.flags = enabled ? VIRTIO_RTC_FLAG_ALARM_ENABLED : 0,
	};
	struct virtio_rtc_resp_set_alarm resp = {0};

	return typed(s, "SET_ALARM", &req, sizeof(req), &resp, sizeof(resp));
}

int vfe_rtc_set_alarm_enabled(struct vfe_session *s, uint16_t clock_id, bool enabled)
{
	struct virtio_rtc_req_set_alarm_enabled req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_SET_ALARM_ENABLED),
		.clock_id = vrtc_le16_put(clock_id),
		.flags = enabled ? VIRTIO_RTC_FLAG_ALARM_ENABLED : 0,
	};
	struct virtio_rtc_resp_set_alarm_enabled resp = {0};

	return typed(s, "SET_ALARM_ENABLED", &req, sizeof(req), &resp, sizeof(resp));
}

/* The driver with guest memory for the alarmq's buffers; NULL: *err says why. */
static struct vfe_rtc *alarm_driver_of(struct vfe_session *s, int *err)
{
	struct vfe_ring *ring = &s->queues[VIRTIO_RTC_ALARMQ].ring;
	uint64_t all_bytes = (uint64_t)ring->size * VFE_RTC_ALARM_BYTES_MAX;
	struct vfe_rtc *rtc;

	if (!ring->desc) {
		*err = vfe_session_fail(s, -EINVAL, "the alarmq is not in the configuration");
		return NULL;
	}
	rtc = driver_of(s, err);
	if (!rtc || rtc->alarm_gpa != VFE_GPA_NONE)
		return rtc;
	rtc->alarm_gpa = vfe_mem_alloc(&s->mem, all_bytes, 4096);
	if (rtc->alarm_gpa == VFE_GPA_NONE) {
		*err = vfe_session_fail(s, -ENOSPC, "no guest memory left for the alarmq");
		return NULL;
	}
	rtc->alarm_host = vfe_mem_host(&s->mem, rtc->alarm_gpa, all_bytes);
	return rtc;
}

/* Adds a buffer with these parts, unpublished. -ENOSPC: nothing was added. */
static int add_alarm_buffer(struct vfe_session *s, struct vfe_rtc *rtc,
	const struct vfe_rtc_part *part, unsigned int n_parts, bool indirect)
{
	struct vfe_ring *ring = &s->queues[VIRTIO_RTC_ALARMQ].ring;
	struct vfe_seg segs[VFE_RTC_ALARM_PARTS_MAX];
	uint32_t bytes = 0;
	uint16_t index;
	uint64_t gpa;
	int err;

	if (rtc->n_alarm_free == 0)
		return -ENOSPC;
	index = rtc->alarm_free[rtc->n_alarm_free - 1];
	gpa = rtc->alarm_gpa + (uint64_t)index * VFE_RTC_ALARM_BYTES_MAX;
	for (unsigned int i = 0; i < n_parts; i++) {
		segs[i] = (struct vfe_seg){gpa + bytes, part[i].bytes, part[i].writable};
		bytes += part[i].bytes;
	}
	memset(rtc->alarm_host + (size_t)index * VFE_RTC_ALARM_BYTES_MAX, UNTOUCHED,
		VFE_RTC_ALARM_BYTES_MAX);
	err = indirect ? vfe_ring_add_indirect(ring, segs, n_parts,
				 rtc->tables_gpa + index * TABLE_BYTES, index, NULL)
		       : vfe_ring_add(ring, segs, n_parts, index, NULL);
	if (err)
		return err;
	rtc->alarm_bytes[index] = (uint8_t)bytes;
	rtc->n_alarm_free--;
	return 0;
}

static void publish_alarmq(struct vfe_session *s)
{
	struct vfe_ring *ring = &s->queues[VIRTIO_RTC_ALARMQ].ring;

	/* An alarm is waited for asleep or not at all: calls are wanted in every mode but POLL. */
	if (s->cfg.wait == VFE_WAIT_POLL)
		vfe_ring_suppress_calls(ring);
	else
		vfe_ring_arm_call(ring);
	vfe_ring_publish(ring);
	vfe_session_kick(s, VIRTIO_RTC_ALARMQ, false);
}

int vfe_rtc_alarmq_fill(struct vfe_session *s, unsigned int n_buffers, uint32_t bytes)
{
	const struct vfe_rtc_part whole = {.bytes = bytes, .writable = true};
	struct vfe_ring *ring = &s->queues[VIRTIO_RTC_ALARMQ].ring;
	struct vfe_rtc *rtc;
	int err;

	if (bytes == 0 || bytes > VFE_RTC_ALARM_BYTES_MAX)
		return vfe_session_fail(s, -EINVAL, "alarmq buffers of %u bytes", bytes);
	rtc = alarm_driver_of(s, &err);
	if (!rtc)
		return err;
	if (n_buffers > rtc->n_alarm_free || n_buffers > ring->n_free)
		return vfe_session_fail(s, -ENOSPC, "the alarmq has room for %u buffers, not %u",
			ring->n_free, n_buffers);
	for (unsigned int i = 0; i < n_buffers; i++)
		add_alarm_buffer(s, rtc, &whole, 1, false);
	publish_alarmq(s);
	return 0;
}

int vfe_rtc_alarmq_add(
	struct vfe_session *s, const struct vfe_rtc_part *part, unsigned int n_parts, bool indirect)
{
	uint64_t bytes = 0;
	struct vfe_rtc *rtc;
	int err;

	for (unsigned int i = 0; i < n_parts && i < VFE_RTC_ALARM_PARTS_MAX; i++)
		bytes += part[i].bytes;
	if (n_parts == 0 || n_parts > VFE_RTC_ALARM_PARTS_MAX || bytes > VFE_RTC_ALARM_BYTES_MAX)
		return vfe_session_fail(s, -EINVAL, "an alarmq buffer of %u parts and %llu bytes",
			n_parts, (unsigned long long)bytes);
	rtc = alarm_driver_of(s, &err);
	if (!rtc)
		return err;
	if (indirect && rtc->tables_gpa == VFE_GPA_NONE) {
		rtc->tables_gpa = vfe_mem_alloc(
			&s->mem, s->queues[VIRTIO_RTC_ALARMQ].ring.size * TABLE_BYTES, 4096);
		if (rtc->tables_gpa == VFE_GPA_NONE)
			return vfe_session_fail(
				s, -ENOSPC, "no guest memory left for indirect tables");
	}
	err = add_alarm_buffer(s, rtc, part, n_parts, indirect);
	if (err)
		return vfe_session_fail(
			s, err, "the alarmq has no room for a buffer of %u parts", n_parts);
	publish_alarmq(s);
	return 0;
}

int vfe_rtc_alarm_take(
	struct vfe_session *s, struct vfe_rtc_alarm_used *used, unsigned int timeout_ms)
{
	struct vfe_done done;
	uint16_t index;
	int err;
	struct vfe_rtc *rtc = driver_of(s, &err);

	if (!rtc)
		return err;
	if (rtc->alarm_gpa == VFE_GPA_NONE)
		return vfe_session_fail(s, -EINVAL, "the alarmq was never filled");
	err = vfe_session_wait_used(s, VIRTIO_RTC_ALARMQ, &done, timeout_ms);
	if (err)
		return err;
	index = (uint16_t)done.cookie;
	used->bytes = rtc->alarm_bytes[index];
	used->used_bytes = done.used_bytes;
	memcpy(used->content, rtc->alarm_host + (size_t)index * VFE_RTC_ALARM_BYTES_MAX,
		sizeof(used->content));
	rtc->alarm_free[rtc->n_alarm_free++] = index;
	return 0;
}

int vfe_rtc_alarm_wait(
	struct vfe_session *s, uint16_t *clock_id, bool recycle, unsigned int timeout_ms)
{
	static const uint8_t zero[6];
	struct virtio_rtc_notif_alarm notif;
	struct vfe_rtc_alarm_used used = {0};
	int err = vfe_rtc_alarm_take(s, &used, timeout_ms);

	if (err)
		return err;
	memcpy(&notif, used.content, sizeof(notif));
	if (recycle && used.bytes > 0)
		err = vfe_rtc_alarmq_fill(s, 1, used.bytes);
	if (err)
		return err;
	if (used.used_bytes != sizeof(notif) || used.bytes < sizeof(notif))
		return vfe_session_fail(s, -EPROTO,
			"the alarmq: a buffer of %u bytes came back with %u; a notification has %zu",
			used.bytes, used.used_bytes, sizeof(notif));
	if (vrtc_le16_get(notif.head.msg_type) != VIRTIO_RTC_NOTIF_ALARM)
		return vfe_session_fail(s, -EPROTO, "the alarmq: a notification of type 0x%04x",
			vrtc_le16_get(notif.head.msg_type));
	if (memcmp(notif.head.reserved, zero, sizeof(zero)) != 0 ||
		memcmp(notif.reserved, zero, sizeof(zero)) != 0)
		return vfe_session_fail(
			s, -EPROTO, "the alarmq: a reserved field of a notification is not zero");
	*clock_id = vrtc_le16_get(notif.clock_id);
	return 0;
}

const char *vfe_rtc_status_name(uint8_t status)
{
	switch (status) {
	case VIRTIO_RTC_S_OK:
		return "OK";
	case VIRTIO_RTC_S_EOPNOTSUPP:
		return "EOPNOTSUPP";
	case VIRTIO_RTC_S_ENODEV:
		return "ENODEV";
	case VIRTIO_RTC_S_EINVAL:
		return "EINVAL";
	case VIRTIO_RTC_S_EIO:
		return "EIO";
	default:
		return "unknown";
	}
}

const char *vfe_rtc_clock_type_name(uint8_t type)
{
	switch (type) {
	case VIRTIO_RTC_CLOCK_UTC:
		return "UTC";
	case VIRTIO_RTC_CLOCK_TAI:
		return "TAI";
	case VIRTIO_RTC_CLOCK_MONOTONIC:
		return "MONOTONIC";
	case VIRTIO_RTC_CLOCK_UTC_SMEARED:
		return "UTC_SMEARED";
	case VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED:
		return "UTC_MAYBE_SMEARED";
	default:
		return "unknown";
	}
}

const char *vfe_rtc_smearing_name(uint8_t smearing)
{
	switch (smearing) {
	case VIRTIO_RTC_SMEAR_UNSPECIFIED:
		return "UNSPECIFIED";
	case VIRTIO_RTC_SMEAR_NOON_LINEAR:
		return "NOON_LINEAR";
	case VIRTIO_RTC_SMEAR_UTC_SLS:
		return "UTC_SLS";
	default:
		return "unknown";
	}
}
