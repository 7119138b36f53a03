/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is common to all requests: statuses, sizes, reserved fields, repetitions.
 * virtio-v1.4 RTC Device / Device Operation.
 */
#include <string.h>

#include "messages.h"
#include "statements.h"
#include "wire.h"

#define UNTOUCHED 0xa5

/* The clocks that every message is tried on: all of a few, the ends of many. */
static unsigned int clocks_tried(const struct conform *c)
{
	return c->n_clocks < 16 ? c->n_clocks : 16;
}

static bool open_with_alarms(struct conform *c)
{
	struct vfe_config cfg;

	conform_config_alarm(c, &cfg);
	return conform_open(c, &cfg);
}

/* A clock on which a message must succeed; -1: there is none. */
static int clock_for(const struct conform *c, const struct conform_message *m)
{
	if (m->about_alarm)
		return conform_has(c, VIRTIO_RTC_F_ALARM) ? conform_alarm_clock(c) : -1;
	return c->n_clocks > 0 || !m->clock_at ? 0 : -1;
}

void alarm_offered(struct conform *c)
{
	bool any = false;

	if (!open_with_alarms(c))
		return;
	if (!conform_has(c, VIRTIO_RTC_F_ALARM)) {
		conform_skip(c, RTC_FEATURE_1,
			"VIRTIO_RTC_F_ALARM is not offered, and what the device could do is not seen");
		return;
	}
	for (unsigned int i = 0; i < c->n_clocks; i++)
		any |= conform_has_alarm(c, i);
	conform_check(c, RTC_FEATURE_1, any,
		"a clock with VIRTIO_RTC_FLAG_ALARM_CAP, as F_ALARM says",
		"none of %u clocks has it", c->n_clocks);
}

static bool want_ok(struct conform *c, enum conform_message_index msg, uint16_t clock, uint8_t arg)
{
	struct conform_ask ask;
	int status = conform_do(c, &ask, msg, clock, arg);

	if (status < 0)
		return false;
	conform_check(c, RTC_OP_1,
		status == VIRTIO_RTC_S_OK && ask.used_bytes == ask.msg->resp_bytes,
		"status 0 (OK), and the whole response", "%s: %s, %u bytes of %u", ask.words,
		conform_status(status), ask.used_bytes, ask.msg->resp_bytes);
	return true;
}

void every_request(struct conform *c)
{
	if (!open_with_alarms(c) || !want_ok(c, MSG_CFG, 0, 0))
		return;
	for (uint16_t i = 0; i < clocks_tried(c); i++) {
		if (!want_ok(c, MSG_CLOCK_CAP, i, 0) || !want_ok(c, MSG_READ, i, 0) ||
			!want_ok(c, MSG_CROSS_CAP, i, VIRTIO_RTC_COUNTER_ARM_VCT) ||
			!want_ok(c, MSG_CROSS_CAP, i, VIRTIO_RTC_COUNTER_X86_TSC))
			return;
		if (conform_has(c, VIRTIO_RTC_F_ALARM) && conform_has_alarm(c, i) &&
			(!want_ok(c, MSG_SET_ALARM, i, 0) ||
				!want_ok(c, MSG_SET_ALARM_ENABLED, i, 0) ||
				!want_ok(c, MSG_READ_ALARM, i, 0)))
			return;
	}
}

static bool want_status(struct conform *c, unsigned int id, struct conform_ask *ask, int wanted)
{
	char words[64];
	int status = conform_ask(c, ask);

	if (status < 0)
		return false;
	snprintf(words, sizeof(words), "%s", conform_status(wanted));
	conform_check(c, id, status == wanted && ask->used_bytes >= 8, words, "%s: %s, %u bytes",
		ask->words, conform_status(status), ask->used_bytes);
	conform_check(c, RTC_OP_2, status != VIRTIO_RTC_S_OK, "another status than 0 (OK)",
		"%s: %s", ask->words, conform_status(status));
	return true;
}

void wrong_requests(struct conform *c)
{
	static const uint16_t types[] = {0x0000, 0x0003, 0x0fff, 0x1006, 0x1100, 0x2000, 0x2001,
		0x3001, 0x8001, 0xf001, 0xffff};
	static const uint8_t counters[] = {2, 3, 0x10, 0x7f, 0x80, 0xef};
	static const enum conform_message_index by_clock[] = {
		MSG_READ, MSG_CLOCK_CAP, MSG_CROSS_CAP};
	const uint16_t ids[] = {(uint16_t)c->n_clocks, (uint16_t)(c->n_clocks + 1),
		(uint16_t)(c->n_clocks + 256), 0x7fff, 0x8000, 0xffff};
	struct conform_ask ask;

	if (!conform_open(c, NULL))
		return;
	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		conform_prepare(&ask, MSG_READ, 0, 0);
		conform_put(&ask, 0, types[i], 2);
		snprintf(ask.words, sizeof(ask.words), "message type 0x%04x", types[i]);
		if (!want_status(c, RTC_OP_4, &ask, VIRTIO_RTC_S_EOPNOTSUPP))
			return;
	}
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int j = 0; j < sizeof(ids) / sizeof(ids[0]); j++) {
			conform_prepare(&ask, by_clock[i], ids[j], 0);
			if (ids[j] >= c->n_clocks &&
				!want_status(c, RTC_OP_6, &ask, VIRTIO_RTC_S_ENODEV))
				return;
		}
	}
	if (c->n_clocks == 0) {
		conform_skip(c, RTC_OP_5, "the device has no clock to ask for");
		return;
	}
	for (unsigned int i = 0; i < sizeof(counters); i++) {
		conform_prepare(&ask, MSG_CROSS_CAP, 0, counters[i]);
		if (!want_status(c, RTC_OP_5, &ask, VIRTIO_RTC_S_EOPNOTSUPP))
			return;
		conform_prepare(&ask, MSG_READ_CROSS, 0, counters[i]);
		if (!want_status(c, RTC_OP_5, &ask, VIRTIO_RTC_S_EOPNOTSUPP))
			return;
	}
}

void limited_requests(struct conform *c)
{
	bool seen = false;

	if (!conform_open(c, NULL))
		return;
	for (uint16_t i = 0; i < clocks_tried(c); i++) {
		for (uint8_t counter = 0; counter < 2; counter++) {
			struct conform_ask ask;
			int status = conform_do(c, &ask, MSG_CROSS_CAP, i, counter);

			if (status < 0)
				return;
			if (status != VIRTIO_RTC_S_OK || ask.resp[8] & VIRTIO_RTC_FLAG_CROSS_CAP)
				continue;
			status = conform_do(c, &ask, MSG_READ_CROSS, i, counter);
			if (status < 0)
				return;
			seen = true;
			conform_check(c, RTC_OP_3, status == VIRTIO_RTC_S_EOPNOTSUPP,
				"status 2 (EOPNOTSUPP): CROSS_CAP says that it is not supported",
				"%s: %s", ask.words, conform_status(status));
		}
	}
	if (!seen)
		conform_skip(c, RTC_OP_3, "every clock has cross-timestamps with every counter");
}

static bool want_einval(struct conform *c, struct conform_ask *ask, const char *what)
{
	int status = conform_ask(c, ask);

	if (status < 0)
		return false;
	conform_check(c, RTC_OP_7, status == VIRTIO_RTC_S_EINVAL, "status 4 (EINVAL)", "%s, %s: %s",
		ask->words, what, conform_status(status));
	return true;
}

void values_not_allowed(struct conform *c)
{
	struct conform_ask ask;
	char what[64];

	if (!open_with_alarms(c))
		return;
	for (unsigned int m = 0; m < N_MESSAGES; m++) {
		const struct conform_message *msg = &conform_messages[m];
		int clock = clock_for(c, msg);

		if (clock < 0 || m == MSG_READ_CROSS)
			continue;
		for (unsigned int byte = 0; byte < msg->req_bytes; byte++) {
			if (!(msg->req_reserved >> byte & 1))
				continue;
			conform_prepare(&ask, m, (uint16_t)clock, 0);
			ask.req[byte] = byte % 2 ? 0x01 : 0x80;
			snprintf(what, sizeof(what), "reserved byte %u not zero", byte);
			if (!want_einval(c, &ask, what))
				return;
		}
		for (unsigned int bit = 1; msg->flags_at && bit < 8; bit++) {
			conform_prepare(&ask, m, (uint16_t)clock, (uint8_t)(1u << bit));
			if (!want_einval(c, &ask, "a flag that is not defined"))
				return;
		}
		if (msg->counter_at) {
			conform_prepare(&ask, m, (uint16_t)clock, VIRTIO_RTC_COUNTER_INVALID);
			if (!want_einval(c, &ask, "VIRTIO_RTC_COUNTER_INVALID"))
				return;
		}
	}
}

/* Whether all bytes from one on are as the driver left them. */
static bool untouched(const uint8_t *resp, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (resp[i] != UNTOUCHED)
			return false;
	return true;
}

void buffers_too_small(struct conform *c)
{
	if (!open_with_alarms(c))
		return;
	for (unsigned int m = 0; m < N_MESSAGES; m++) {
		const struct conform_message *msg = &conform_messages[m];
		int clock = clock_for(c, msg);
		struct conform_ask ask;
		uint8_t resp[32];
		uint32_t used = 0;

		if (clock < 0)
			continue;
		conform_prepare(&ask, m, (uint16_t)clock, 0);
		for (uint32_t n = 0; n < msg->req_bytes; n++) {
			if (!conform_request(c, ask.req, n, resp, msg->resp_bytes, &used))
				return;
			conform_check(c, RTC_OP_8, resp[0] == VIRTIO_RTC_S_EINVAL && used > 0,
				"status 4 (EINVAL)", "%s in %u bytes of %u: %s, %u bytes",
				ask.words, n, msg->req_bytes, conform_status(resp[0]), used);
		}
		for (uint32_t n = 1; n < msg->resp_bytes; n++) {
			if (!conform_request(c, ask.req, msg->req_bytes, resp, n, &used))
				return;
			conform_check(c, RTC_OP_9,
				resp[0] == VIRTIO_RTC_S_EINVAL && used > 0 && used <= n,
				"status 4 (EINVAL), and not more bytes than there is room for",
				"%s with %u bytes for the %u of the response: %s, %u bytes",
				ask.words, n, msg->resp_bytes, conform_status(resp[0]), used);
		}
	}
}

void no_room_for_the_status(struct conform *c)
{
	struct conform_ask ask;
	uint32_t used = 0;

	if (!conform_open(c, NULL))
		return;
	for (unsigned int m = 0; m < N_MESSAGES; m++) {
		conform_prepare(&ask, m, 0, 0);
		if (!conform_request(c, ask.req, ask.msg->req_bytes, ask.resp, 0, &used))
			return;
		conform_check(c, RTC_OP_10, used == 0, "the buffer back with 0 bytes written",
			"%s without room: %u bytes", ask.words, used);
	}
	conform_check(
		c, RTC_OP_10, conform_is_alive(c), "answers after it", "none: %s", c->broken.came);
}

void buffers_too_large(struct conform *c)
{
	static const uint32_t more[] = {1, 7, 8, 100, 4000};

	if (!open_with_alarms(c))
		return;
	for (unsigned int m = 0; m < N_MESSAGES; m++) {
		const struct conform_message *msg = &conform_messages[m];
		int clock = clock_for(c, msg);
		struct conform_ask ask;

		/* READ_CROSS may be unsupported: its status is then EOPNOTSUPP as without. */
		if (clock < 0)
			continue;
		conform_prepare(&ask, m, (uint16_t)clock, 0);
		if (conform_ask(c, &ask) < 0)
			return;
		for (unsigned int i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
			static uint8_t req[VFE_RTC_BYTES_MAX];
			static uint8_t resp[VFE_RTC_BYTES_MAX];
			uint32_t used = 0;

			memset(req, 0xff, sizeof(req));
			memcpy(req, ask.req, msg->req_bytes);
			if (!conform_request(
				    c, req, msg->req_bytes + more[i], resp, msg->resp_bytes, &used))
				return;
			conform_check(c, RTC_OP_12, resp[0] == ask.resp[0],
				"the status as without the additional bytes",
				"%s with %u more: %s instead of %s", ask.words, more[i],
				conform_status(resp[0]), conform_status(ask.resp[0]));
			if (!conform_request(c, ask.req, msg->req_bytes, resp,
				    msg->resp_bytes + more[i], &used))
				return;
			conform_check(c, RTC_OP_13,
				resp[0] == ask.resp[0] && used == ask.used_bytes &&
					untouched(resp, msg->resp_bytes, msg->resp_bytes + more[i]),
				"the answer as without the additional room, which is left alone",
				"%s with %u more: %s, %u bytes%s", ask.words, more[i],
				conform_status(resp[0]), used,
				untouched(resp, msg->resp_bytes, msg->resp_bytes + more[i])
					? ""
					: ", and it was written to");
		}
	}
}

static void want_reserved_zero(struct conform *c, const struct conform_ask *ask)
{
	for (unsigned int byte = 0; byte < ask->used_bytes && byte < CONFORM_BYTES_MAX; byte++)
		if (ask->msg->resp_reserved >> byte & 1)
			conform_check(c, RTC_OP_14, ask->resp[byte] == 0, "0",
				"%s: byte %u of the response is 0x%02x", ask->words, byte,
				ask->resp[byte]);
	/* Not written at all is not set to zero either. */
	if (ask->resp[0] == VIRTIO_RTC_S_OK)
		conform_check(c, RTC_OP_14, ask->used_bytes == ask->msg->resp_bytes,
			"the response in full, with its reserved fields", "%s: %u bytes of %u",
			ask->words, ask->used_bytes, ask->msg->resp_bytes);
}

void reserved_fields(struct conform *c)
{
	struct conform_ask ask;

	if (!open_with_alarms(c))
		return;
	for (unsigned int m = 0; m < N_MESSAGES; m++) {
		const struct conform_message *msg = &conform_messages[m];
		int clock = clock_for(c, msg);

		if (clock >= 0) {
			/* Twice, so that what an earlier answer left behind shows. */
			for (unsigned int i = 0; i < 2; i++) {
				if (conform_do(c, &ask, m, (uint16_t)clock, 0) < 0)
					return;
				want_reserved_zero(c, &ask);
			}
		}
		if (msg->clock_at) {
			if (conform_do(c, &ask, m, 0xffff, 0) < 0)
				return;
			want_reserved_zero(c, &ask);
		}
	}
}

void flags_fields(struct conform *c)
{
	struct conform_ask ask;

	/* Without alarms first, then with all that is offered. */
	for (unsigned int with = 0; with < 2; with++) {
		if (!(with ? open_with_alarms(c) : conform_open(c, NULL)))
			return;
		for (uint16_t i = 0; i < c->n_clocks; i++) {
			uint8_t allowed =
				conform_has(c, VIRTIO_RTC_F_ALARM) ? VIRTIO_RTC_FLAG_ALARM_CAP : 0;

			if (conform_do(c, &ask, MSG_CLOCK_CAP, i, 0) < 0)
				return;
			conform_check(c, RTC_OP_15, (ask.resp[10] & ~allowed) == 0,
				allowed ? "no flag but VIRTIO_RTC_FLAG_ALARM_CAP"
					: "no flag, since F_ALARM is not negotiated",
				"%s: flags 0x%02x", ask.words, ask.resp[10]);
			if (conform_do(c, &ask, MSG_CROSS_CAP, i, 0) < 0)
				return;
			conform_check(c, RTC_OP_15, (ask.resp[8] & ~VIRTIO_RTC_FLAG_CROSS_CAP) == 0,
				"no flag but VIRTIO_RTC_FLAG_CROSS_CAP", "%s: flags 0x%02x",
				ask.words, ask.resp[8]);
			if (!conform_has(c, VIRTIO_RTC_F_ALARM) || !conform_has_alarm(c, i))
				continue;
			if (conform_do(c, &ask, MSG_READ_ALARM, i, 0) < 0)
				return;
			conform_check(c, RTC_OP_15,
				(ask.resp[16] & ~VIRTIO_RTC_FLAG_ALARM_ENABLED) == 0,
				"no flag but VIRTIO_RTC_FLAG_ALARM_ENABLED", "%s: flags 0x%02x",
				ask.words, ask.resp[16]);
		}
	}
	if (c->n_clocks == 0)
		conform_skip(c, RTC_OP_15, "without a clock no response has flags");
}

/* The control requests that are repeated: CFG, and of each clock the two others. */
#define REPEATED_MAX (1 + 3 * 16)

static bool ask_all(struct conform *c, struct conform_ask all[REPEATED_MAX], unsigned int *n)
{
	*n = 0;
	if (conform_do(c, &all[(*n)++], MSG_CFG, 0, 0) < 0)
		return false;
	/* One more than there are: an error is an answer, too. */
	for (uint16_t i = 0; i < clocks_tried(c) + 1u && i < 16; i++)
		if (conform_do(c, &all[(*n)++], MSG_CLOCK_CAP, i, 0) < 0 ||
			conform_do(c, &all[(*n)++], MSG_CROSS_CAP, i, 0) < 0 ||
			conform_do(c, &all[(*n)++], MSG_CROSS_CAP, i, 1) < 0)
			return false;
	return true;
}

static void want_the_same(struct conform *c, unsigned int id, const struct conform_ask *a,
	const struct conform_ask *b, unsigned int n, const char *when)
{
	for (unsigned int i = 0; i < n; i++) {
		uint32_t bytes = a[i].resp[0] == VIRTIO_RTC_S_OK ? a[i].msg->resp_bytes : 1;

		conform_check(c, id, memcmp(a[i].resp, b[i].resp, bytes) == 0,
			"the same answer as at first",
			"%s %s: %s, first %s, or other fields differ", a[i].words, when,
			conform_status(b[i].resp[0]), conform_status(a[i].resp[0]));
	}
}

static struct conform_ask first[REPEATED_MAX];
static struct conform_ask again[REPEATED_MAX];

void repeated_requests(struct conform *c)
{
	unsigned int n;

	if (!open_with_alarms(c) || !ask_all(c, first, &n))
		return;
	for (unsigned int i = 0; i < 5; i++) {
		if (!ask_all(c, again, &n))
			return;
		want_the_same(c, RTC_OP_16, first, again, n, "repeated");
	}
}

void repeated_over_resets(struct conform *c)
{
	unsigned int n;

	if (!open_with_alarms(c) || !ask_all(c, first, &n))
		return;
	for (unsigned int i = 0; i < 3; i++) {
		if (!conform_reset(c) || !ask_all(c, again, &n))
			return;
		want_the_same(c, RTC_OP_17, first, again, n, "after a reset");
	}
}

void clock_identifiers(struct conform *c)
{
	struct conform_ask ask;
	uint16_t n;
	int status;

	if (!conform_open(c, NULL))
		return;
	if (conform_do(c, &ask, MSG_CFG, 0, 0) < 0)
		return;
	n = (uint16_t)conform_get(&ask, 8, 2);
	for (uint32_t i = 0; i <= n && i <= 0xffff; i++) {
		bool is_one = i < n;

		status = conform_do(c, &ask, MSG_CLOCK_CAP, (uint16_t)i, 0);
		if (status < 0)
			return;
		conform_check(c, RTC_OP_18, (status == VIRTIO_RTC_S_OK) == is_one,
			is_one ? "status 0 (OK): it is below num_clocks"
			       : "no clock: it is not below num_clocks",
			"%s, num_clocks %u: %s", ask.words, n, conform_status(status));
	}
}
