/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <stddef.h>
#include <string.h>

/* What a request consists of behind its header. */
enum layout {
	LAYOUT_EMPTY,         /* nothing */
	LAYOUT_CLOCK,         /* clock_id, reserved[6] */
	LAYOUT_CLOCK_COUNTER, /* clock_id, hw_counter, reserved[5] */
	LAYOUT_ALARM,         /* an alarm message, clock_id, reserved[6] */
	LAYOUT_ALARM_FLAGS,   /* an alarm message, clock_id, flags, reserved[5] */
	LAYOUT_ALARM_TIME,    /* an alarm message, alarm_time, clock_id, flags, reserved[5] */
};

struct message {
	uint8_t req_bytes;
	uint8_t resp_bytes;
	enum layout layout;
};

#define SIZES(name) sizeof(struct virtio_rtc_req_##name), sizeof(struct virtio_rtc_resp_##name)

/* NULL for a message type that the specification does not describe as a request. */
static const struct message *find_message(uint16_t msg_type)
{
	static const struct message read = {SIZES(read), LAYOUT_CLOCK};
	static const struct message read_cross = {SIZES(read_cross), LAYOUT_CLOCK_COUNTER};
	static const struct message cfg = {SIZES(cfg), LAYOUT_EMPTY};
	static const struct message clock_cap = {SIZES(clock_cap), LAYOUT_CLOCK};
	static const struct message cross_cap = {SIZES(cross_cap), LAYOUT_CLOCK_COUNTER};
	static const struct message read_alarm = {SIZES(read_alarm), LAYOUT_ALARM};
	static const struct message set_alarm = {SIZES(set_alarm), LAYOUT_ALARM_TIME};
	static const struct message set_alarm_enabled = {
		SIZES(set_alarm_enabled), LAYOUT_ALARM_FLAGS};

	switch (msg_type) {
	case VIRTIO_RTC_REQ_READ:
		return &read;
	case VIRTIO_RTC_REQ_READ_CROSS:
		return &read_cross;
	case VIRTIO_RTC_REQ_CFG:
		return &cfg;
	case VIRTIO_RTC_REQ_CLOCK_CAP:
		return &clock_cap;
	case VIRTIO_RTC_REQ_CROSS_CAP:
		return &cross_cap;
	case VIRTIO_RTC_REQ_READ_ALARM:
		return &read_alarm;
	case VIRTIO_RTC_REQ_SET_ALARM:
		return &set_alarm;
	case VIRTIO_RTC_REQ_SET_ALARM_ENABLED:
		return &set_alarm_enabled;
	default:
		return NULL;
	}
}

static uint64_t load_word(const uint8_t *p)
{
	struct vrtc_le64 word;

	memcpy(&word, p, sizeof(word));
	return vrtc_le64_get(word);
}

/*
 * The statuses of hw_counter. VIRTIO_RTC_COUNTER_INVALID is described by the specification, so it
 * is not an unknown counter; but no counter can be read through it, so it is a value that no
 * request may carry (DESIGN.md, D14).
 */
static uint8_t counter_status(uint8_t hw_counter)
{
	switch (hw_counter) {
	case VIRTIO_RTC_COUNTER_ARM_VCT:
	case VIRTIO_RTC_COUNTER_X86_TSC:
		return VIRTIO_RTC_S_OK;
	case VIRTIO_RTC_COUNTER_INVALID:
		return VIRTIO_RTC_S_EINVAL;
	default:
		return VIRTIO_RTC_S_EOPNOTSUPP;
	}
}

/*
 * The fields of an alarm message, which exists with VIRTIO_RTC_F_ALARM alone, and for a clock that
 * has an alarm. Of flags, the one bit that the text allows.
 */
static uint8_t check_alarm_fields(const struct vrtc_device *dev, bool alarm, const uint8_t *req,
	enum layout layout, struct vrtc_command *cmd)
{
	const uint8_t *fields = req + sizeof(struct virtio_rtc_req_head);
	unsigned field_bits = layout == LAYOUT_ALARM ? 16 : 16 + 1;
	uint64_t params;

	if (!alarm)
		return VIRTIO_RTC_S_ENODEV;
	if (layout == LAYOUT_ALARM_TIME) {
		cmd->alarm.alarm_ns = load_word(fields);
		fields += sizeof(struct vrtc_le64);
	}
	params = load_word(fields);
	cmd->alarm.clock_id = (uint16_t)params;
	cmd->alarm.enabled = params >> 16 & VIRTIO_RTC_FLAG_ALARM_ENABLED;
	if (cmd->alarm.clock_id >= dev->n_clocks || !dev->clock[cmd->alarm.clock_id].alarm)
		return VIRTIO_RTC_S_ENODEV;
	if (load_word(req) >> 16 || params >> field_bits)
		return VIRTIO_RTC_S_EINVAL;
	cmd->about_alarm = true;
	return VIRTIO_RTC_S_OK;
}

/*
 * The fields of a request that fits. EOPNOTSUPP and ENODEV come before EINVAL, because the text
 * says of EINVAL "if the inconsistence is not described by the requirements which stipulate status
 * VIRTIO_RTC_S_EOPNOTSUPP or VIRTIO_RTC_S_ENODEV"; between those two it is silent, and we take them
 * in the order in which it names them (DESIGN.md, D14).
 */
static uint8_t check_fields(const struct vrtc_device *dev, uint8_t offered_counter,
	const uint8_t *req, enum layout layout, struct vrtc_command *cmd)
{
	/* One word holds all that follows the header: clock_id lowest, reserved highest. */
	unsigned field_bits = 16;
	uint8_t counter = VIRTIO_RTC_S_OK;
	uint16_t clock_id;
	uint64_t params;

	if (layout == LAYOUT_EMPTY)
		return load_word(req) >> 16 ? VIRTIO_RTC_S_EINVAL : VIRTIO_RTC_S_OK;

	params = load_word(req + sizeof(struct virtio_rtc_req_head));
	if (layout == LAYOUT_CLOCK_COUNTER) {
		field_bits += 8;
		counter = counter_status((uint8_t)(params >> 16));
		cmd->cross =
			counter == VIRTIO_RTC_S_OK && (uint8_t)(params >> 16) == offered_counter;
		if (counter == VIRTIO_RTC_S_EOPNOTSUPP)
			return counter;
	}
	clock_id = (uint16_t)params;
	if (clock_id >= dev->n_clocks)
		return VIRTIO_RTC_S_ENODEV;
	if (load_word(req) >> 16 || params >> field_bits)
		return VIRTIO_RTC_S_EINVAL;
	cmd->clock = &dev->clock[clock_id];
	return counter;
}

void vrtc_device_decode(const struct vrtc_device *dev, const struct vrtc_offer *offer,
	const uint8_t *req, uint32_t readable_bytes, uint32_t writable_bytes,
	struct vrtc_command *cmd)
{
	uint8_t error_bytes = sizeof(struct virtio_rtc_resp_head);
	const struct message *message;

	/* A response that is cut off still carries the status, if at least that byte fits. */
	if (writable_bytes < error_bytes)
		error_bytes = (uint8_t)writable_bytes;

	*cmd = (struct vrtc_command){
		.timebase = VRTC_TIMEBASE_NONE,
		.status = VIRTIO_RTC_S_EINVAL,
		.resp_bytes = error_bytes,
	};
	if (readable_bytes < sizeof(struct virtio_rtc_req_head))
		return;

	cmd->msg_type = (uint16_t)load_word(req);
	message = find_message(cmd->msg_type);
	if (!message) {
		cmd->status = VIRTIO_RTC_S_EOPNOTSUPP;
		return;
	}
	if (readable_bytes < message->req_bytes || writable_bytes < message->resp_bytes)
		return;

	cmd->resp_bytes = message->resp_bytes;
	if (message->layout >= LAYOUT_ALARM)
		cmd->status = check_alarm_fields(dev, offer->alarm, req, message->layout, cmd);
	else
		cmd->status = check_fields(dev, offer->hw_counter, req, message->layout, cmd);
	cmd->alarm_negotiated = offer->alarm;
	if (cmd->status != VIRTIO_RTC_S_OK)
		return;

	if (cmd->msg_type == VIRTIO_RTC_REQ_READ ||
		(cmd->msg_type == VIRTIO_RTC_REQ_READ_CROSS && cmd->cross))
		cmd->timebase = vrtc_clock_timebase(cmd->clock);
	else if (cmd->msg_type == VIRTIO_RTC_REQ_READ_CROSS)
		/* D10: of a counter that is not known to be the guest's, there is no pair. */
		cmd->status = VIRTIO_RTC_S_EOPNOTSUPP;
}

static uint8_t respond_read(
	const struct vrtc_command *cmd, const struct vrtc_instant *now, uint8_t *resp)
{
	uint64_t reading_ns;
	struct vrtc_le64 clock_reading;

	if (!now->known || !vrtc_clock_read(cmd->clock, now->leap, now->timebase_ns, &reading_ns))
		return VIRTIO_RTC_S_EIO;
	clock_reading = vrtc_le64_put(reading_ns);
	memcpy(resp + offsetof(struct virtio_rtc_resp_read, clock_reading), &clock_reading,
		sizeof(clock_reading));
	return VIRTIO_RTC_S_OK;
}

/* The pair, or neither of the two. */
static uint8_t respond_read_cross(
	const struct vrtc_command *cmd, const struct vrtc_instant *now, uint8_t *resp)
{
	struct vrtc_le64 counter_cycles = vrtc_le64_put(now->guest_cycles);
	uint8_t status = now->counted ? respond_read(cmd, now, resp) : VIRTIO_RTC_S_EIO;

	if (status == VIRTIO_RTC_S_OK)
		memcpy(resp + offsetof(struct virtio_rtc_resp_read_cross, counter_cycles),
			&counter_cycles, sizeof(counter_cycles));
	return status;
}

uint32_t vrtc_device_respond(const struct vrtc_device *dev, const struct vrtc_command *cmd,
	const struct vrtc_instant *now, uint8_t *resp)
{
	uint8_t status = cmd->status;

	/* All that is not set below is a reserved field, or undefined for lack of success: zero. */
	memset(resp, 0, VRTC_RESP_BYTES_MAX);

	if (status == VIRTIO_RTC_S_OK) {
		switch (cmd->msg_type) {
		case VIRTIO_RTC_REQ_READ:
			status = respond_read(cmd, now, resp);
			break;
		case VIRTIO_RTC_REQ_READ_CROSS:
			status = respond_read_cross(cmd, now, resp);
			break;
		case VIRTIO_RTC_REQ_CROSS_CAP:
			if (cmd->cross)
				resp[offsetof(struct virtio_rtc_resp_cross_cap, flags)] =
					VIRTIO_RTC_FLAG_CROSS_CAP;
			break;
		case VIRTIO_RTC_REQ_CFG: {
			struct vrtc_le16 num_clocks = vrtc_le16_put(dev->n_clocks);

			memcpy(resp + offsetof(struct virtio_rtc_resp_cfg, num_clocks), &num_clocks,
				sizeof(num_clocks));
			break;
		}
		case VIRTIO_RTC_REQ_CLOCK_CAP:
			resp[offsetof(struct virtio_rtc_resp_clock_cap, type)] = cmd->clock->type;
			resp[offsetof(struct virtio_rtc_resp_clock_cap, leap_second_smearing)] =
				cmd->clock->smear;
			if (cmd->alarm_negotiated && cmd->clock->alarm)
				resp[offsetof(struct virtio_rtc_resp_clock_cap, flags)] =
					VIRTIO_RTC_FLAG_ALARM_CAP;
			break;
		case VIRTIO_RTC_REQ_READ_ALARM: {
			struct vrtc_le64 alarm_time = vrtc_le64_put(cmd->alarm.alarm_ns);

			memcpy(resp + offsetof(struct virtio_rtc_resp_read_alarm, alarm_time),
				&alarm_time, sizeof(alarm_time));
			if (cmd->alarm.enabled)
				resp[offsetof(struct virtio_rtc_resp_read_alarm, flags)] =
					VIRTIO_RTC_FLAG_ALARM_ENABLED;
			break;
		}
		default:
			/* The alarm messages whose response is the status alone. */
			break;
		}
	}
	resp[offsetof(struct virtio_rtc_resp_head, status)] = status;
	return cmd->resp_bytes;
}
