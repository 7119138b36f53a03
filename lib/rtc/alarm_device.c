/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm_device.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "wire.h"

static struct vrtc_agenda *agenda_of(const struct vrtc_alarm *alarm)
{
	const struct vrtc_alarm_device *dev = alarm->device;

	return dev->agenda ? &dev->agenda[vrtc_clock_timescale(&dev->clock[alarm->clock_id])]
			   : NULL;
}

static uint64_t bit_of(const struct vrtc_alarm *alarm)
{
	return UINT64_C(1) << alarm->clock_id;
}

static void put(struct vrtc_alarm *alarm)
{
	struct vrtc_agenda *agenda = agenda_of(alarm);

	if (agenda && alarm->enabled)
		vrtc_agenda_put(agenda, alarm);
}

static void take(struct vrtc_alarm *alarm)
{
	struct vrtc_agenda *agenda = agenda_of(alarm);

	if (agenda)
		vrtc_agenda_remove(agenda, alarm);
}

static uint8_t record_flags(const struct vrtc_alarm *alarm)
{
	uint8_t flags = 0;

	if (alarm->enabled)
		flags |= VRTC_ALARM_RECORD_ENABLED;
	if (alarm->reached)
		flags |= VRTC_ALARM_RECORD_REACHED;
	if (alarm->device->owed & bit_of(alarm))
		flags |= VRTC_ALARM_RECORD_PENDING;
	return flags;
}

/* After a change that came from no request: the last request's marks stay. */
static void record(const struct vrtc_alarm *alarm)
{
	struct vrtc_alarm_ledger *ledger = alarm->device->ledger;
	struct vrtc_alarm_record r = vrtc_alarm_ledger_read(ledger, alarm->clock_id);

	r.alarm_ns = alarm->alarm_ns;
	r.flags = record_flags(alarm);
	vrtc_alarm_ledger_write(ledger, alarm->clock_id, &r);
}

static void record_sending(const struct vrtc_alarm *alarm, uint16_t used_index)
{
	struct vrtc_alarm_ledger *ledger = alarm->device->ledger;
	struct vrtc_alarm_record r = vrtc_alarm_ledger_read(ledger, alarm->clock_id);

	r.used_index = used_index;
	r.flags = record_flags(alarm) | VRTC_ALARM_RECORD_SENDING;
	vrtc_alarm_ledger_write(ledger, alarm->clock_id, &r);
}

void vrtc_alarm_device_init(struct vrtc_alarm_device *dev, const struct vrtc_clock *clock,
	uint16_t n_clocks, struct vrtc_alarm_ledger *ledger)
{
	assert(n_clocks <= VRTC_ALARM_CLOCKS_MAX);
	memset(dev, 0, sizeof(*dev));
	dev->clock = clock;
	dev->n_clocks = n_clocks;
	dev->ledger = ledger;
	for (uint16_t c = 0; c < n_clocks; c++) {
		struct vrtc_alarm_record r = vrtc_alarm_ledger_read(ledger, c);
		struct vrtc_alarm *alarm = &dev->alarm[c];

		alarm->device = dev;
		alarm->clock_id = c;
		if (!clock[c].alarm)
			continue;
		alarm->alarm_ns = r.alarm_ns;
		alarm->enabled = r.flags & VRTC_ALARM_RECORD_ENABLED;
		alarm->reached = r.flags & VRTC_ALARM_RECORD_REACHED;
		if (r.flags & VRTC_ALARM_RECORD_PENDING)
			dev->owed |= bit_of(alarm);
	}
}

void vrtc_alarm_device_join(struct vrtc_alarm_device *dev, struct vrtc_agenda *agenda)
{
	assert(!dev->agenda);
	dev->agenda = agenda;
	for (uint16_t c = 0; c < dev->n_clocks; c++)
		put(&dev->alarm[c]);
}

void vrtc_alarm_device_leave(struct vrtc_alarm_device *dev)
{
	for (uint16_t c = 0; c < dev->n_clocks; c++)
		take(&dev->alarm[c]);
	dev->agenda = NULL;
}

static bool change_alarm(struct vrtc_alarm_device *dev, const struct vrtc_alarm_change *change,
	uint64_t alarm_ns, struct vrtc_alarm_now now)
{
	struct vrtc_alarm *alarm = &dev->alarm[change->clock_id];
	struct vrtc_alarm_record r;
	bool expires;

	take(alarm);
	alarm->alarm_ns = alarm_ns;
	alarm->enabled = change->enabled;
	alarm->reached = now.known && now.ns >= alarm_ns;
	put(alarm);

	/*
	 * Whatever was being served is not any more: it has to be if the alarm is disabled, and may
	 * be otherwise.
	 */
	expires = alarm->enabled && alarm->reached;
	if (expires)
		dev->owed |= bit_of(alarm);
	else
		dev->owed &= ~bit_of(alarm);

	r = (struct vrtc_alarm_record){
		.alarm_ns = alarm->alarm_ns,
		.serial = change->serial,
		.request_index = change->request_index,
		.flags = record_flags(alarm),
	};
	vrtc_alarm_ledger_write(dev->ledger, alarm->clock_id, &r);
	return expires;
}

bool vrtc_alarm_device_set(struct vrtc_alarm_device *dev, const struct vrtc_alarm_change *change,
	struct vrtc_alarm_now now)
{
	return change_alarm(dev, change, change->alarm_ns, now);
}

bool vrtc_alarm_device_enable(struct vrtc_alarm_device *dev, const struct vrtc_alarm_change *change,
	struct vrtc_alarm_now now)
{
	return change_alarm(dev, change, dev->alarm[change->clock_id].alarm_ns, now);
}

void vrtc_alarm_device_expire(struct vrtc_alarm *alarm)
{
	alarm->device->owed |= bit_of(alarm);
	record(alarm);
}

void vrtc_alarm_device_rewind(struct vrtc_alarm *alarm)
{
	alarm->device->owed &= ~bit_of(alarm);
	record(alarm);
}

void vrtc_alarm_device_reset(struct vrtc_alarm_device *dev, bool retain)
{
	dev->owed = 0;
	for (uint16_t c = 0; c < dev->n_clocks; c++) {
		struct vrtc_alarm *alarm = &dev->alarm[c];

		if (!retain) {
			take(alarm);
			alarm->alarm_ns = 0;
			alarm->enabled = false;
			alarm->reached = false;
		} else if (alarm->enabled && alarm->reached) {
			dev->owed |= bit_of(alarm);
		}
		record(alarm);
	}
}

/* Notifications that a predecessor was publishing when it died: the used ring says how it ended. */
static void settle_sending(struct vrtc_alarm_device *dev)
{
	uint16_t used_index = vrtc_vring_base(&dev->alarmq);

	for (uint16_t c = 0; c < dev->n_clocks; c++) {
		struct vrtc_alarm_record r = vrtc_alarm_ledger_read(dev->ledger, c);

		if (!(r.flags & VRTC_ALARM_RECORD_SENDING))
			continue;
		if (r.used_index != used_index)
			dev->owed &= ~bit_of(&dev->alarm[c]);
		record(&dev->alarm[c]);
	}
}

int vrtc_alarm_device_start(
	struct vrtc_alarm_device *dev, const struct vrtc_vring_config *ring, const char **why)
{
	int rc = vrtc_vring_start(&dev->alarmq, ring);

	if (rc) {
		*why = vrtc_vring_start_error(rc);
		return -EINVAL;
	}
	if (vrtc_vring_fault(&dev->alarmq)) {
		*why = vrtc_vring_fault(&dev->alarmq);
		return -EINVAL;
	}
	/* Buffers wait here for an alarm, so there is nothing that the driver could tell us. */
	vrtc_vring_kick_disable(&dev->alarmq);
	settle_sending(dev);
	dev->alarmq_runs = true;
	return 0;
}

void vrtc_alarm_device_stop(struct vrtc_alarm_device *dev)
{
	dev->alarmq_runs = false;
}

void vrtc_alarm_device_warm(const struct vrtc_alarm_device *dev)
{
	if (dev->alarmq_runs)
		vrtc_vring_warm(&dev->alarmq);
}

static bool has_room(const struct vrtc_chain *chain)
{
	return chain->readable_bytes == 0 &&
	       chain->writable_bytes >= sizeof(struct virtio_rtc_notif_alarm);
}

/* Each notification is published alone, so that the ledger can say which one was under way. */
static bool send(struct vrtc_alarm_device *dev, struct vrtc_alarm *alarm, struct vrtc_chain *chain)
{
	const struct virtio_rtc_notif_alarm notif = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_NOTIF_ALARM),
		.clock_id = vrtc_le16_put(alarm->clock_id),
	};
	bool signal;

	record_sending(alarm, vrtc_vring_base(&dev->alarmq));
	vrtc_vring_push(&dev->alarmq, chain, &notif, sizeof(notif));
	signal = vrtc_vring_publish(&dev->alarmq);
	dev->owed &= ~bit_of(alarm);
	record(alarm);
	return signal;
}

enum vrtc_alarm_delivery vrtc_alarm_device_deliver(struct vrtc_alarm_device *dev, bool *signal)
{
	unsigned bad_buffers = 0;
	struct vrtc_chain chain;

	if (!dev->alarmq_runs)
		return VRTC_ALARM_NOTHING_OWED;
	while (dev->owed) {
		enum vrtc_vring_result result = VRTC_VRING_EMPTY;

		if (bad_buffers < VRTC_ALARM_BAD_BUFFERS_MAX)
			result = vrtc_vring_pop(&dev->alarmq, &chain);
		if (result == VRTC_VRING_EMPTY)
			return VRTC_ALARM_NO_BUFFER;
		if (result == VRTC_VRING_BROKEN)
			return VRTC_ALARM_NOTHING_OWED;
		if (!has_room(&chain)) {
			vrtc_vring_push(&dev->alarmq, &chain, NULL, 0);
			*signal |= vrtc_vring_publish(&dev->alarmq);
			dev->bad_buffer = true;
			bad_buffers++;
			continue;
		}
		*signal |= send(dev, &dev->alarm[__builtin_ctzll(dev->owed)], &chain);
	}
	return VRTC_ALARM_NOTHING_OWED;
}
