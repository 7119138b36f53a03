/* SPDX-License-Identifier: BSD-3-Clause */
#include "messages.h"

#include <stdio.h>
#include <string.h>

#include "wire.h"

/* Bits from..to-1: the bytes of that range. */
#define BYTES(from, to) ((1u << (to)) - (1u << (from)))
#define REQ_HEAD        BYTES(2, 8)
#define RESP_HEAD       BYTES(1, 8)

const struct conform_message conform_messages[N_MESSAGES] = {
	[MSG_READ] = {.name = "READ",
		.type = VIRTIO_RTC_REQ_READ,
		.req_bytes = 16,
		.resp_bytes = 16,
		.clock_at = 8,
		.req_reserved = REQ_HEAD | BYTES(10, 16),
		.resp_reserved = RESP_HEAD},
	[MSG_READ_CROSS] = {.name = "READ_CROSS",
		.type = VIRTIO_RTC_REQ_READ_CROSS,
		.req_bytes = 16,
		.resp_bytes = 24,
		.clock_at = 8,
		.counter_at = 10,
		.req_reserved = REQ_HEAD | BYTES(11, 16),
		.resp_reserved = RESP_HEAD},
	[MSG_CFG] = {.name = "CFG",
		.type = VIRTIO_RTC_REQ_CFG,
		.req_bytes = 8,
		.resp_bytes = 16,
		.req_reserved = REQ_HEAD,
		.resp_reserved = RESP_HEAD | BYTES(10, 16)},
	[MSG_CLOCK_CAP] = {.name = "CLOCK_CAP",
		.type = VIRTIO_RTC_REQ_CLOCK_CAP,
		.req_bytes = 16,
		.resp_bytes = 16,
		.clock_at = 8,
		.resp_flags_at = 10,
		.req_reserved = REQ_HEAD | BYTES(10, 16),
		.resp_reserved = RESP_HEAD | BYTES(11, 16)},
	[MSG_CROSS_CAP] = {.name = "CROSS_CAP",
		.type = VIRTIO_RTC_REQ_CROSS_CAP,
		.req_bytes = 16,
		.resp_bytes = 16,
		.clock_at = 8,
		.counter_at = 10,
		.resp_flags_at = 8,
		.req_reserved = REQ_HEAD | BYTES(11, 16),
		.resp_reserved = RESP_HEAD | BYTES(9, 16)},
	[MSG_READ_ALARM] = {.name = "READ_ALARM",
		.type = VIRTIO_RTC_REQ_READ_ALARM,
		.req_bytes = 16,
		.resp_bytes = 24,
		.clock_at = 8,
		.resp_flags_at = 16,
		.req_reserved = REQ_HEAD | BYTES(10, 16),
		.resp_reserved = RESP_HEAD | BYTES(17, 24),
		.about_alarm = true},
	[MSG_SET_ALARM] = {.name = "SET_ALARM",
		.type = VIRTIO_RTC_REQ_SET_ALARM,
		.req_bytes = 24,
		.resp_bytes = 8,
		.clock_at = 16,
		.flags_at = 18,
		.req_reserved = REQ_HEAD | BYTES(19, 24),
		.resp_reserved = RESP_HEAD,
		.about_alarm = true},
	[MSG_SET_ALARM_ENABLED] = {.name = "SET_ALARM_ENABLED",
		.type = VIRTIO_RTC_REQ_SET_ALARM_ENABLED,
		.req_bytes = 16,
		.resp_bytes = 8,
		.clock_at = 8,
		.flags_at = 10,
		.req_reserved = REQ_HEAD | BYTES(11, 16),
		.resp_reserved = RESP_HEAD,
		.about_alarm = true},
};

void conform_put(struct conform_ask *ask, unsigned int at, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		ask->req[at + i] = (uint8_t)(value >> 8 * i);
}

uint64_t conform_get(const struct conform_ask *ask, unsigned int at, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)ask->resp[at + i] << 8 * i;
	return value;
}

void conform_prepare(
	struct conform_ask *ask, enum conform_message_index msg, uint16_t clock, uint8_t arg)
{
	const struct conform_message *m = &conform_messages[msg];
	unsigned int n;

	*ask = (struct conform_ask){.msg = m};
	conform_put(ask, 0, m->type, 2);
	n = (unsigned int)snprintf(ask->words, sizeof(ask->words), "%s", m->name);
	if (m->clock_at) {
		conform_put(ask, m->clock_at, clock, 2);
		n += (unsigned int)snprintf(
			ask->words + n, sizeof(ask->words) - n, " of clock %u", clock);
	}
	if (m->counter_at) {
		ask->req[m->counter_at] = arg;
		snprintf(ask->words + n, sizeof(ask->words) - n, " with counter 0x%x", arg);
	}
	if (m->flags_at) {
		ask->req[m->flags_at] = arg;
		snprintf(ask->words + n, sizeof(ask->words) - n, " with flags 0x%x", arg);
	}
}

int conform_ask(struct conform *c, struct conform_ask *ask)
{
	memset(ask->resp, 0xa5, sizeof(ask->resp));
	if (!conform_request(c, ask->req, ask->msg->req_bytes, ask->resp, ask->msg->resp_bytes,
		    &ask->used_bytes))
		return -1;
	return ask->resp[0];
}

int conform_do(struct conform *c, struct conform_ask *ask, enum conform_message_index msg,
	uint16_t clock, uint8_t arg)
{
	conform_prepare(ask, msg, clock, arg);
	return conform_ask(c, ask);
}

bool conform_read(struct conform *c, uint16_t clock, uint64_t *reading_ns)
{
	struct conform_ask ask;
	int status = conform_do(c, &ask, MSG_READ, clock, 0);

	if (status > 0)
		return conform_broke(c, "%s: %s", ask.words, conform_status(status));
	*reading_ns = conform_get(&ask, 8, 8);
	return status == 0;
}

bool conform_set_alarm(struct conform *c, uint16_t clock, uint64_t alarm_ns, bool enabled)
{
	struct conform_ask ask;
	int status;

	conform_prepare(&ask, MSG_SET_ALARM, clock, enabled ? VIRTIO_RTC_FLAG_ALARM_ENABLED : 0);
	conform_put(&ask, 8, alarm_ns, 8);
	status = conform_ask(c, &ask);
	if (status > 0)
		return conform_broke(c, "%s: %s", ask.words, conform_status(status));
	return status == 0;
}

const char *conform_status(int status)
{
	static char text[4][32];
	static unsigned int next;
	char *here = text[next++ % 4];

	snprintf(here, sizeof(text[0]), "status %d (%s)", status,
		vfe_rtc_status_name((uint8_t)status));
	return here;
}
