/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Features, resets and rings: virtio-v1.4 Basic Facilities of a Virtio Device, as far as a device
 * of this kind meets them.
 *
 * The ring cases speak to the ring itself, with CFG as the request: a device without clocks answers
 * it, too.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "frontend/deadline.h"

#include "messages.h"
#include "statements.h"
#include "wire.h"

/* Between a reset and the look at what it left: an alarm expires there. */
#define ALARM_AHEAD_NS 20000000

#define BIT(n)    (UINT64_C(1) << (n))
#define REQ       8  /* bytes of CFG */
#define RESP      16 /* and of its response */
#define PIECES    (REQ + RESP)
#define UNTOUCHED 0xa5

#define F_ACCESS_PLATFORM   33
#define F_ORDER_PLATFORM    36
#define F_NOTIFICATION_DATA 38
#define F_NOTIF_CONFIG_DATA 39
#define F_RING_RESET        40
#define F_SUSPEND           43
#define F_VHOST_LOG_ALL     26

/* ---- A CFG request of our own in guest memory: request, response, and room for a table. */

#define AT_RESP  64
#define AT_TABLE 128
#define BOX      1024

static uint8_t *box_of(struct conform *c, uint64_t gpa)
{
	return vfe_mem_host(&c->s.mem, gpa, BOX);
}

static uint64_t new_box(struct conform *c)
{
	uint64_t gpa = vfe_mem_alloc(&c->s.mem, BOX, 64);

	if (gpa == VFE_GPA_NONE)
		conform_broke(c, "no guest memory left");
	return gpa;
}

/* What the response is where the device is in order. */
static bool is_answer(const struct conform *c, const uint8_t *resp)
{
	struct conform_ask ask = {.msg = NULL};

	memcpy(ask.resp, resp, RESP);
	/* All the clocks, also those beyond what we look at. */
	return ask.resp[0] == VIRTIO_RTC_S_OK &&
	       (conform_get(&ask, 8, 2) == c->n_clocks || c->n_clocks == CONFORM_CLOCKS_MAX) &&
	       conform_get(&ask, 1, 7) == 0 && conform_get(&ask, 10, 6) == 0;
}

static void fill_box(struct conform *c, uint64_t gpa)
{
	struct conform_ask ask;
	uint8_t *box = box_of(c, gpa);

	conform_prepare(&ask, MSG_CFG, 0, 0);
	memset(box, UNTOUCHED, BOX);
	memcpy(box, ask.req, REQ);
}

/* Adds a box to the requestq in the plainest way that the options allow; not published. */
static bool add_box(struct conform *c, uint64_t gpa, uint64_t cookie)
{
	const struct vfe_seg segs[2] = {{.gpa = gpa, .bytes = REQ},
		{.gpa = gpa + AT_RESP, .bytes = RESP, .writable = true}};
	struct vfe_ring *ring = &c->s.queues[0].ring;
	int err;

	fill_box(c, gpa);
	if (c->s.cfg.indirect && conform_has(c, VFE_F_INDIRECT_DESC))
		err = vfe_ring_add_indirect(ring, segs, 2, gpa + AT_TABLE, cookie, NULL);
	else
		err = vfe_ring_add(ring, segs, 2, cookie, NULL);
	return err == 0 || conform_broke(c, "the requestq has no room");
}

static void offer(struct conform *c)
{
	vfe_ring_publish(&c->s.queues[0].ring);
	vfe_session_kick(&c->s, 0, false);
}

static bool collect(struct conform *c, struct vfe_done *done)
{
	if (vfe_session_wait_used(&c->s, 0, done, c->options.timeout_ms))
		return conform_broke(c, "CFG: %s", vfe_error(&c->s));
	return true;
}

/* Makes one request, all the way. */
static bool turn(struct conform *c, uint64_t gpa, struct vfe_done *done)
{
	if (!add_box(c, gpa, 0))
		return false;
	offer(c);
	return collect(c, done);
}

/* Rings are looked at by who polls, with these features besides VERSION_1. */
static bool open_ring(struct conform *c, uint64_t with, uint64_t without)
{
	struct vfe_config cfg;

	conform_config(c, &cfg);
	cfg.wait = VFE_WAIT_POLL;
	cfg.features = (cfg.features | with) & ~without;
	return conform_open(c, &cfg);
}

/* ---- Features. */

void features_offered(struct conform *c)
{
	uint64_t known = BIT(VIRTIO_RTC_F_ALARM) | BIT(F_VHOST_LOG_ALL) | BIT(VFE_F_INDIRECT_DESC) |
			 BIT(VFE_F_EVENT_IDX) | BIT(VFE_F_PROTOCOL_FEATURES) |
			 BIT(VFE_F_VERSION_1) | BIT(F_ACCESS_PLATFORM) | BIT(VFE_F_RING_PACKED) |
			 BIT(VFE_F_IN_ORDER) | BIT(F_ORDER_PLATFORM) | BIT(F_NOTIFICATION_DATA) |
			 BIT(F_NOTIF_CONFIG_DATA) | BIT(F_RING_RESET) | BIT(F_SUSPEND);
	uint64_t offered;

	if (!conform_open(c, NULL))
		return;
	offered = c->s.features_offered;
	conform_check(c, RESERVED_1, offered >> VFE_F_VERSION_1 & 1,
		"VIRTIO_F_VERSION_1 (bit 32) among the features", "0x%llx",
		(unsigned long long)offered);
	/* Of those that can be met here, the ones above bit 32 are VIRTIO 1's. */
	conform_check(c, FEATURE_1, offered >> 33 == 0 || offered >> VFE_F_VERSION_1 & 1,
		"VERSION_1 beside features that came with it", "0x%llx",
		(unsigned long long)offered);
	conform_check(c, FEATURE_3, (offered & ~known) == 0,
		"no feature that is reserved, unknown, or another device's or transport's",
		"0x%llx besides", (unsigned long long)(offered & ~known));
}

void features_accepted(struct conform *c)
{
	static const unsigned int optional[] = {VIRTIO_RTC_F_ALARM, VFE_F_INDIRECT_DESC,
		VFE_F_EVENT_IDX, VFE_F_IN_ORDER, VFE_F_RING_PACKED};
	unsigned int n = sizeof(optional) / sizeof(optional[0]);

	for (unsigned int subset = 0; subset < 1u << n; subset++) {
		struct vfe_config cfg;
		uint64_t chosen = 0;
		bool good;

		for (unsigned int i = 0; i < n; i++)
			chosen |= subset >> i & 1 ? BIT(optional[i]) : 0;
		if (chosen & ~c->offered)
			continue;
		conform_config(c, &cfg);
		cfg.features = BIT(VFE_F_VERSION_1) | BIT(VFE_F_PROTOCOL_FEATURES) | chosen;
		cfg.indirect &= chosen >> VFE_F_INDIRECT_DESC & 1;
		good = conform_open(c, &cfg) && conform_is_alive(c);
		/* A ring that this front-end does not know is no fault of the device's. */
		if (!good && chosen >> VFE_F_RING_PACKED & 1 && !c->has_session) {
			c->broke = false;
			continue;
		}
		conform_check(c, FEATURE_2, good, "a device that answers with this subset",
			"features 0x%llx: %s", (unsigned long long)cfg.features, c->broken.came);
		if (!good)
			return;
		good = conform_reset(c) && conform_is_alive(c);
		conform_check(c, FEATURE_4, good, "the same features once more after a reset",
			"features 0x%llx: %s", (unsigned long long)cfg.features, c->broken.came);
		if (!good)
			return;
	}
}

void without_version_1(struct conform *c)
{
	struct vfe_config cfg;
	uint16_t n;

	conform_config(c, &cfg);
	cfg.features &= ~BIT(VFE_F_VERSION_1);
	cfg.timeout_ms = 4 * CONFORM_QUIET_MS;
	/* A MAY: whatever comes is allowed. */
	conform_check(c, RESERVED_2, true, "anything", "%s",
		conform_open(c, &cfg) && vfe_rtc_cfg(&c->s, &n) == 0 ? "it serves" : "it does not");
	c->broke = false;
}

/* ---- The device's life. */

/* For the while in which a stopped device must keep still: what moved. NULL: nothing. */
static const char *moved(struct conform *c, unsigned int q, uint16_t used_idx)
{
	conform_sleep_ms(CONFORM_QUIET_MS);
	if (vfe_ring_used_idx(&c->s.queues[q].ring) != used_idx)
		return "a buffer was used";
	if (vfe_session_calls(&c->s, q) != 0)
		return "a notification was sent";
	return NULL;
}

void before_the_start(struct conform *c)
{
	struct vfe_config cfg;
	struct vfe_ring *ring;
	struct vfe_done done;
	const char *what;
	struct vfe_msg msg;
	uint64_t gpa;
	int err;

	conform_config(c, &cfg);
	cfg.wait = VFE_WAIT_POLL;
	if (!conform_init(c, &cfg))
		return;
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE)
		return;
	ring = &c->s.queues[0].ring;
	err = vfe_session_connect(&c->s);
	if (!err)
		err = vfe_session_negotiate(&c->s);
	if (!err)
		err = vfe_session_set_mem_table(&c->s);
	if (!err)
		err = vfe_session_state(&c->s, VFE_MSG_SET_VRING_NUM, 0, ring->size, NULL);
	if (!err)
		err = vfe_session_state(&c->s, VFE_MSG_SET_VRING_BASE, 0, 0, NULL);
	msg = (struct vfe_msg){
		.header = {.request = VFE_MSG_SET_VRING_ADDR, .size = sizeof(struct vfe_msg_addr)},
		.payload.addr = {.desc_user_addr = (uintptr_t)ring->desc,
			.used_user_addr = (uintptr_t)ring->used,
			.avail_user_addr = (uintptr_t)ring->avail},
	};
	if (!err)
		err = vfe_session_exchange(&c->s, &msg, NULL, 0);
	if (!err)
		err = vfe_session_set_fd(&c->s, VFE_MSG_SET_VRING_CALL, 0, c->s.queues[0].call_fd);
	if (err) {
		conform_broke(c, "%s", vfe_error(&c->s));
		return;
	}
	/* All that it needs to know, a request, and no start. */
	if (!add_box(c, gpa, 0))
		return;
	vfe_ring_publish(ring);
	what = moved(c, 0, 0);
	conform_check(c, STATUS_1, !what, "nothing before the queue is started", "%s", what);
	if (vfe_session_resume(&c->s)) {
		conform_broke(c, "%s", vfe_error(&c->s));
		return;
	}
	conform_check(c, STATUS_1, collect(c, &done) && is_answer(c, box_of(c, gpa) + AT_RESP),
		"the request served after the start", "%s", c->broken.came);
}

void after_a_reset(struct conform *c)
{
	int clock = conform_alarm_clock(c);
	bool alarms = c->offered >> VIRTIO_RTC_F_ALARM & 1 && clock >= 0;
	struct vfe_config cfg;
	uint16_t alarm_used = 0;
	const char *what;
	uint64_t now_ns = 0;
	uint64_t gpa;

	conform_config_alarm(c, &cfg);
	cfg.wait = VFE_WAIT_POLL;
	if (!conform_open(c, &cfg))
		return;
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE || !conform_is_alive(c))
		return;
	/* An alarm that expires while there is no device to speak of. */
	if (alarms &&
		(!conform_set_alarm(c, (uint16_t)clock, 0, false) ||
			vfe_rtc_alarmq_fill(&c->s, 2, 16) ||
			!conform_read(c, (uint16_t)clock, &now_ns) ||
			!conform_set_alarm(c, (uint16_t)clock, now_ns + ALARM_AHEAD_NS, true)))
		return;
	if (vfe_session_stop(&c->s)) {
		conform_broke(c, "%s", vfe_error(&c->s));
		return;
	}
	for (unsigned int q = 0; q < 2; q++)
		if (c->s.queues[q].ring.size)
			(void)vfe_session_calls(&c->s, q);
	if (alarms)
		alarm_used = vfe_ring_used_idx(&c->s.queues[1].ring);
	c->s.queues[0].base = 0;
	vfe_ring_reset(&c->s.queues[0].ring, c->s.features);
	if (!add_box(c, gpa, 0))
		return;
	vfe_ring_publish(&c->s.queues[0].ring);
	vfe_session_kick(&c->s, 0, true);
	what = moved(c, 0, 0);
	conform_check(c, RESET_1, !what, "the requestq left alone after the reset", "%s", what);
	/* Unless it expired before the reset, which then was slow. */
	if (alarms && alarm_used == 0) {
		what = moved(c, 1, 0);
		conform_check(c, RESET_1, !what, "the alarmq left alone after the reset",
			"%s of an alarm that expired after it", what);
	}
	if (conform_reset(c) && alarms)
		conform_set_alarm(c, (uint16_t)clock, 0, false);
}

void queue_reset(struct conform *c)
{
	struct vfe_done done;
	const char *what;
	uint64_t gpa;

	if (!(c->offered >> F_RING_RESET & 1)) {
		conform_skip_all(c, "VIRTIO_F_RING_RESET is not offered");
		return;
	}
	if (!open_ring(c, BIT(F_RING_RESET), 0))
		return;
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE || !turn(c, gpa, &done) || !turn(c, gpa, &done))
		return;
	if (vfe_session_queue_stop(&c->s, 0)) {
		conform_broke(c, "%s", vfe_error(&c->s));
		return;
	}
	(void)vfe_session_calls(&c->s, 0);
	c->s.queues[0].base = 0;
	vfe_ring_reset(&c->s.queues[0].ring, c->s.features);
	if (!add_box(c, gpa, 0))
		return;
	vfe_ring_publish(&c->s.queues[0].ring);
	vfe_session_kick(&c->s, 0, true);
	what = moved(c, 0, 0);
	conform_check(c, RINGRESET_1, !what, "a queue left alone after its reset", "%s", what);
	if (vfe_session_queue_start(&c->s, 0)) {
		conform_broke(c, "%s", vfe_error(&c->s));
		return;
	}
	if (!collect(c, &done))
		return;
	conform_check(c, RINGRESET_2, vfe_ring_used_idx(&c->s.queues[0].ring) == 1,
		"the first entry of a ring that begins again", "used index %u",
		vfe_ring_used_idx(&c->s.queues[0].ring));
	conform_check(c, RINGRESET_3, is_answer(c, box_of(c, gpa) + AT_RESP),
		"the request of the queue as it is now", "another answer");
}

/* ---- Descriptors. */

/* A CFG whose request ends pieces where bit i of req_cuts is set, and likewise the response. */
static bool in_pieces(
	struct conform *c, uint64_t gpa, uint32_t req_cuts, uint32_t resp_cuts, bool indirect)
{
	struct vfe_ring *ring = &c->s.queues[0].ring;
	struct vfe_seg segs[PIECES];
	struct vfe_done done;
	unsigned int n = 0;
	int err;

	fill_box(c, gpa);
	for (unsigned int part = 0; part < 2; part++) {
		uint32_t bytes = part ? RESP : REQ;
		uint32_t cuts = part ? resp_cuts : req_cuts;
		uint32_t begin = 0;

		for (uint32_t i = 0; i < bytes; i++) {
			if (i + 1 < bytes && !(cuts >> i & 1))
				continue;
			segs[n++] = (struct vfe_seg){.gpa = gpa + (part ? AT_RESP : 0) + begin,
				.bytes = i + 1 - begin,
				.writable = part};
			begin = i + 1;
		}
	}
	/* A chain may not be longer than its queue. */
	if (n > ring->size)
		return true;
	err = indirect ? vfe_ring_add_indirect(ring, segs, n, gpa + AT_TABLE, 0, NULL)
		       : vfe_ring_add(ring, segs, n, 0, NULL);
	if (err)
		return conform_broke(c, "the requestq has no room");
	offer(c);
	if (!collect(c, &done))
		return false;
	conform_check(c, FRAMING_1,
		is_answer(c, box_of(c, gpa) + AT_RESP) && done.used_bytes == RESP,
		"the answer, however the message is divided", "%u descriptors%s: %s, %u bytes", n,
		indirect ? " in a table" : "", conform_status(box_of(c, gpa)[AT_RESP]),
		done.used_bytes);
	conform_check(c, FRAMING_2, true, "anything", "%u descriptors", n);
	return true;
}

void framings(struct conform *c)
{
	uint64_t gpa;

	if (!open_ring(c, 0, 0))
		return;
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE)
		return;
	for (unsigned int indirect = 0; indirect < 2; indirect++) {
		if (indirect && !conform_has(c, VFE_F_INDIRECT_DESC))
			break;
		for (uint32_t i = 0; i < 16; i++)
			if (!in_pieces(c, gpa, 1u << i % 8, 1u << i, indirect) ||
				!in_pieces(c, gpa, 0xff, 1u << i, indirect) ||
				!in_pieces(c, gpa, 1u << i % 8, 0xffff, indirect))
				return;
		if (!in_pieces(c, gpa, 0, 0, indirect) ||
			!in_pieces(c, gpa, 0xff, 0xffff, indirect))
			return;
	}
}

void memory_of_the_driver(struct conform *c)
{
	static struct vfe_desc table[VFE_RING_SIZE_MAX];
	struct vfe_done done;
	uint8_t answers[2][RESP];
	struct vfe_ring *ring;
	uint8_t *box;
	uint64_t gpa;

	if (!open_ring(c, 0, 0))
		return;
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE)
		return;
	ring = &c->s.queues[0].ring;
	box = box_of(c, gpa);
	for (unsigned int i = 0; i < 2u * ring->size && i < 600; i++) {
		uint8_t before[AT_RESP];

		if (!add_box(c, gpa, 0))
			return;
		memset(box + AT_RESP, i % 2 ? 0x00 : 0xff, RESP);
		memcpy(before, box, AT_RESP);
		memcpy(table, ring->desc, sizeof(table[0]) * ring->size);
		offer(c);
		if (!collect(c, &done))
			return;
		conform_check(c, DESC_1, memcmp(before, box, AT_RESP) == 0,
			"the request as the driver wrote it", "request %u: other bytes", i);
		conform_check(c, DESC_3,
			memcmp(table, ring->desc, sizeof(table[0]) * ring->size) == 0,
			"the descriptor table as the driver wrote it", "request %u: other bytes",
			i);
		memcpy(answers[i % 2], box + AT_RESP, RESP);
		if (i > 0)
			conform_check(c, DESC_2, memcmp(answers[0], answers[1], RESP) == 0,
				"an answer that does not depend on what the buffer held before",
				"request %u: another answer", i);
	}
}

void indirect_tables(struct conform *c)
{
	struct vfe_desc *desc;
	struct vfe_ring *ring;
	struct vfe_done done;
	uint16_t head = 0;
	uint8_t *box;
	uint64_t gpa;

	if (!open_ring(c, BIT(VFE_F_INDIRECT_DESC) & ~c->options.without, 0))
		return;
	if (!conform_has(c, VFE_F_INDIRECT_DESC)) {
		conform_skip_all(c, "VIRTIO_F_INDIRECT_DESC is not %s",
			c->s.features_offered >> VFE_F_INDIRECT_DESC & 1 ? "negotiated here"
									 : "offered");
		return;
	}
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE)
		return;
	ring = &c->s.queues[0].ring;
	desc = ring->desc;
	box = box_of(c, gpa);
	for (unsigned int way = 0; way < 2; way++) {
		const struct vfe_seg segs[2] = {{.gpa = gpa, .bytes = REQ},
			{.gpa = gpa + AT_RESP, .bytes = RESP, .writable = true}};

		fill_box(c, gpa);
		if (way == 0) {
			if (vfe_ring_add_indirect(ring, segs, 2, gpa + AT_TABLE, 0, &head))
				return;
			desc[head].flags |= VFE_DESC_F_WRITE;
		} else {
			struct vfe_desc last = {
				.gpa = gpa + AT_RESP, .bytes = RESP, .flags = VFE_DESC_F_WRITE};

			if (vfe_ring_add(ring, segs, 2, 0, &head))
				return;
			memcpy(box + AT_TABLE, &last, sizeof(last));
			desc[desc[head].next] = (struct vfe_desc){.gpa = gpa + AT_TABLE,
				.bytes = sizeof(last),
				.flags = VFE_DESC_F_INDIRECT};
		}
		offer(c);
		if (!collect(c, &done))
			return;
		conform_check(c, way ? DESC_5 : DESC_4,
			is_answer(c, box + AT_RESP) && done.used_bytes == RESP,
			way ? "the answer to a request whose response is in a table behind it"
			    : "the answer to a request whose table is marked as writable",
			"%s, %u bytes", conform_status(box[AT_RESP]), done.used_bytes);
	}
}

/* ---- Notifications, both ways. */

static void set_flags(struct conform *c, uint16_t flags)
{
	__atomic_store_n(&c->s.queues[0].ring.avail->flags, flags, __ATOMIC_SEQ_CST);
}

static void set_used_event(struct conform *c, uint16_t event)
{
	struct vfe_ring *ring = &c->s.queues[0].ring;

	__atomic_store_n(&ring->avail->ring[ring->size], event, __ATOMIC_SEQ_CST);
}

static bool called(struct conform *c, bool wanted)
{
	int64_t end_ns = vfe_deadline_in_ms(wanted ? c->options.timeout_ms : CONFORM_QUIET_MS);

	while (vfe_now_ns() < end_ns) {
		if (vfe_session_calls(&c->s, 0))
			return true;
		conform_sleep_ms(1);
	}
	return false;
}

/* A request, and whether a call came for it. The calls of before are forgotten first. */
static bool want_call(
	struct conform *c, unsigned int id, uint64_t gpa, bool wanted, const char *when)
{
	struct vfe_done done;
	bool came;

	(void)vfe_session_calls(&c->s, 0);
	if (!turn(c, gpa, &done))
		return false;
	came = called(c, wanted);
	conform_check(c, id, came == wanted,
		wanted ? "a used buffer notification" : "no used buffer notification", "%s: %s",
		when, came ? "one" : "none");
	return true;
}

void calls_by_flag(struct conform *c)
{
	struct vfe_ring *ring;
	uint64_t gpa;

	if (!open_ring(c, 0, BIT(VFE_F_EVENT_IDX)))
		return;
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE)
		return;
	ring = &c->s.queues[0].ring;
	/* The one that a device may send when it starts is over with the first request's. */
	set_flags(c, 0);
	if (!want_call(c, CALL_3, gpa, true, "flags 0"))
		return;
	conform_sleep_ms(5);
	set_flags(c, 1);
	set_used_event(c, ring->used_idx);
	if (!want_call(c, CALL_2, gpa, false, "flags 1"))
		return;
	set_used_event(c, ring->used_idx);
	if (!want_call(c, CALL_1, gpa, false, "flags 1, and used_event at the entry"))
		return;
	set_flags(c, 0);
	set_used_event(c, (uint16_t)(ring->used_idx - 1));
	if (!want_call(c, CALL_1, gpa, true, "flags 0, and used_event elsewhere"))
		return;
	want_call(c, CALL_3, gpa, true, "flags 0 again");
}

void calls_by_event(struct conform *c)
{
	struct vfe_done done;
	struct vfe_ring *ring;
	uint64_t gpa[3];
	bool came;

	if (!open_ring(c, BIT(VFE_F_EVENT_IDX) & ~c->options.without, 0))
		return;
	if (!conform_has(c, VFE_F_EVENT_IDX)) {
		conform_skip_all(c, "VIRTIO_F_EVENT_IDX is not %s",
			c->s.features_offered >> VFE_F_EVENT_IDX & 1 ? "negotiated here"
								     : "offered");
		return;
	}
	for (unsigned int i = 0; i < 3; i++) {
		gpa[i] = new_box(c);
		if (gpa[i] == VFE_GPA_NONE)
			return;
	}
	ring = &c->s.queues[0].ring;
	set_used_event(c, ring->used_idx);
	if (!want_call(c, CALL_5, gpa[0], true, "used_event at the entry"))
		return;
	conform_sleep_ms(5);
	set_used_event(c, (uint16_t)(ring->used_idx - 1));
	if (!want_call(c, CALL_6, gpa[0], false, "used_event at the entry before"))
		return;
	set_used_event(c, (uint16_t)(ring->used_idx + 1));
	if (!want_call(c, CALL_6, gpa[0], false, "used_event at the entry behind"))
		return;
	/* That entry is the next one. */
	if (!want_call(
		    c, CALL_5, gpa[0], true, "used_event that was set before the entry before it"))
		return;
	set_flags(c, 1);
	set_used_event(c, ring->used_idx);
	if (!want_call(c, CALL_4, gpa[0], true, "flags 1, and used_event at the entry"))
		return;
	set_flags(c, 0);
	if (!want_call(c, CALL_4, gpa[0], false, "flags 0, and used_event at the entry before"))
		return;
	/* The middle one of three at once. */
	if (ring->size < 6)
		return;
	(void)vfe_session_calls(&c->s, 0);
	set_used_event(c, (uint16_t)(ring->used_idx + 1));
	for (unsigned int i = 0; i < 3; i++)
		if (!add_box(c, gpa[i], i))
			return;
	offer(c);
	for (unsigned int i = 0; i < 3; i++)
		if (!collect(c, &done))
			return;
	came = called(c, true);
	conform_check(c, CALL_5, came, "a used buffer notification",
		"used_event at the second of three entries: none");
}

void kicks(struct conform *c)
{
	struct vfe_done done;
	struct vfe_ring *ring;
	uint64_t gpa;

	for (unsigned int event_idx = 0; event_idx < 2; event_idx++) {
		uint64_t bit = BIT(VFE_F_EVENT_IDX) & ~c->options.without;

		if (!open_ring(c, event_idx ? bit : 0, event_idx ? 0 : bit))
			return;
		if (event_idx && !conform_has(c, VFE_F_EVENT_IDX))
			break;
		gpa = new_box(c);
		if (gpa == VFE_GPA_NONE)
			return;
		ring = &c->s.queues[0].ring;
		for (unsigned int i = 0; i < 200; i++) {
			uint16_t flags;

			/* Asleep, just woken, and at work. */
			if (i % 50 == 49)
				conform_sleep_ms(2);
			flags = __atomic_load_n(&ring->used->flags, __ATOMIC_ACQUIRE);
			if (event_idx)
				conform_check(
					c, KICK_3, flags == 0, "flags 0", "flags 0x%x", flags);
			else
				conform_check(
					c, KICK_1, flags <= 1, "flags 0 or 1", "flags 0x%x", flags);
			conform_check(
				c, event_idx ? KICK_4 : KICK_2, true, "anything", "%u", flags);
			/* Kicks that nobody asked for, with and without a request. */
			vfe_session_kick(&c->s, 0, true);
			if (i % 4 == 0) {
				bool good = turn(c, gpa, &done);

				conform_check(c, KICK_5, good,
					"an answer after kicks about nothing", "%s",
					c->broken.came);
				if (!good)
					return;
			}
		}
	}
	conform_skip(c, KICK_3, "VIRTIO_F_EVENT_IDX is not negotiated");
	conform_skip(c, KICK_4, "VIRTIO_F_EVENT_IDX is not negotiated");
}

/* ---- The used ring. */

void used_entries(struct conform *c)
{
	struct vfe_done done;
	struct vfe_ring *ring;
	uint8_t *box;
	uint64_t gpa;

	if (!open_ring(c, 0, 0))
		return;
	gpa = new_box(c);
	if (gpa == VFE_GPA_NONE)
		return;
	ring = &c->s.queues[0].ring;
	box = box_of(c, gpa);
	for (unsigned int i = 0; i < 3000; i++) {
		if (!add_box(c, gpa, 0))
			return;
		/* What is not written in time shows. */
		ring->used->ring[ring->used_idx & (ring->size - 1u)].bytes = 0xdeadbeef;
		offer(c);
		if (!collect(c, &done))
			return;
		conform_check(c, USED_1, done.used_bytes != 0xdeadbeef && done.used_bytes <= RESP,
			"the length of this entry", "request %u: length 0x%x", i, done.used_bytes);
		conform_check(c, USED_2, done.used_bytes <= RESP && is_answer(c, box + AT_RESP),
			"as many bytes of the answer as the length says",
			"request %u: %u bytes, %s", i, done.used_bytes,
			conform_status(box[AT_RESP]));
		conform_check(c, USED_3, true, "anything", "%u", done.used_bytes);
	}
}

void in_order(struct conform *c)
{
	struct vfe_done done;
	uint64_t gpa[8];
	unsigned int n;

	if (!(c->offered >> VFE_F_IN_ORDER & 1)) {
		conform_skip_all(c, "VIRTIO_F_IN_ORDER is not offered");
		return;
	}
	if (!open_ring(c, BIT(VFE_F_IN_ORDER), 0))
		return;
	n = c->s.queues[0].ring.size / 2u < 8 ? c->s.queues[0].ring.size / 2u : 8;
	for (unsigned int i = 0; i < n; i++) {
		gpa[i] = new_box(c);
		if (gpa[i] == VFE_GPA_NONE)
			return;
	}
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < n; i++)
			if (!add_box(c, gpa[i], i))
				return;
		offer(c);
		for (unsigned int i = 0; i < n; i++) {
			if (!collect(c, &done))
				return;
			conform_check(c, RESERVED_3,
				done.cookie == i && is_answer(c, box_of(c, gpa[i]) + AT_RESP),
				"buffers in the order in which they were made available",
				"buffer %u, and %u was the next", (unsigned int)done.cookie, i);
		}
	}
}

/* ---- The packed ring. */

static bool packed_turns(struct conform *c, const uint64_t *gpa, unsigned int n)
{
	static const uint8_t old[2] = {0x00, 0xff};
	uint8_t answers[2][RESP];
	struct vfe_done done;

	for (unsigned int round = 0; round < 600; round++) {
		for (unsigned int i = 0; i < n; i++) {
			if (!add_box(c, gpa[i], i))
				return false;
			memset(box_of(c, gpa[i]) + AT_RESP, old[round % 2], RESP);
		}
		offer(c);
		for (unsigned int i = 0; i < n; i++) {
			const uint8_t *box;
			struct conform_ask ask;

			if (!collect(c, &done))
				return false;
			box = box_of(c, gpa[i]);
			conform_prepare(&ask, MSG_CFG, 0, 0);
			for (unsigned int j = 0; j < 3; j++) {
				const unsigned int ids[] = {PACKED_1, PACKED_2, PACKED_8};

				conform_check(c, ids[j],
					done.cookie == i && is_answer(c, box + AT_RESP),
					"each request's answer, in the order of the ring",
					"request %u of round %u came for %u",
					(unsigned int)done.cookie, round, i);
			}
			conform_check(c, PACKED_4, memcmp(box, ask.req, REQ) == 0,
				"the request as the driver wrote it", "round %u: other bytes",
				round);
			memcpy(answers[round % 2], box + AT_RESP, RESP);
		}
		if (round > 0)
			conform_check(c, PACKED_5, memcmp(answers[0], answers[1], RESP) == 0,
				"an answer that does not depend on what the buffer held before",
				"round %u: another answer", round);
	}
	return true;
}

void packed_ring(struct conform *c)
{
	static uint8_t ring_before[16 * 32];
	struct vfe_config cfg;
	struct vfe_done done;
	struct vfe_ring *ring;
	uint64_t gpa[4];
	size_t bytes;

	if (!(c->offered >> VFE_F_RING_PACKED & 1)) {
		conform_skip_all(c, "VIRTIO_F_RING_PACKED is not offered");
		return;
	}
	conform_config(c, &cfg);
	cfg.wait = VFE_WAIT_POLL;
	cfg.features |= BIT(VFE_F_RING_PACKED);
	cfg.ring_size = 32;
	if (!conform_open(c, &cfg)) {
		if (!c->has_session) {
			c->broke = false;
			conform_skip_all(c, "this front-end drives no packed rings");
		}
		return;
	}
	for (unsigned int i = 0; i < 4; i++) {
		gpa[i] = new_box(c);
		if (gpa[i] == VFE_GPA_NONE)
			return;
	}
	if (!packed_turns(c, gpa, 4))
		return;
	ring = &c->s.queues[0].ring;
	bytes = 16ul * ring->size;
	/* Kicked, and not available. */
	if (!add_box(c, gpa[0], 0))
		return;
	vfe_session_kick(&c->s, 0, true);
	conform_check(c, PACKED_6,
		vfe_session_wait_used(&c->s, 0, &done, CONFORM_QUIET_MS) == -ETIMEDOUT,
		"nothing, before the descriptor is available", "a used buffer");
	offer(c);
	if (!collect(c, &done))
		return;
	memcpy(ring_before, vfe_mem_host(&c->s.mem, ring->desc_gpa, bytes), bytes);
	conform_sleep_ms(CONFORM_QUIET_MS);
	conform_check(c, PACKED_7,
		memcmp(ring_before, vfe_mem_host(&c->s.mem, ring->desc_gpa, bytes), bytes) == 0,
		"a ring that stays as it is once its buffers are used", "other bytes");
	conform_check(c, PACKED_3, true, "anything", "in order");
	conform_check(c, PACKED_9, true, "anything", "two of a list");
}
