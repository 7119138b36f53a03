/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session has shown the driver, and told its ledger, at the moment in which it passes a
 * request about an alarm on (D27): a daemon that is killed right then is followed by one that can
 * have at most this one request to judge. vrtc_alarm_lcore_send() is replaced, and looks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "session.h"

#define GPA         0x100000u
#define BYTES       65536u
#define SIZE        64u
#define DRIVER_AT   4096u
#define DEVICE_AT   8192u
#define REQUEST_AT  16384u
#define RESPONSE_AT 32768u
#define TABLES_AT   40960u
#define TABLE_BYTES 1024u
#define SLOT_BYTES  64u
#define F_NEXT      1u
#define F_WRITE     2u
#define F_INDIRECT  4u
#define F_AVAIL     0x80u
#define F_USED      0x8000u

struct descriptor {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t third;
	uint16_t fourth;
};

struct world {
	struct vrtc_session session;
	struct vrtc_device device;
	struct vrtc_alarm_client client;
	struct vrtc_alarm_ledger ledger;
	bool packed;
	uint16_t offered;
	uint8_t *g_mem;
	/* What was there when a request was passed on. */
	unsigned sent;
	unsigned shown;
	uint64_t answered_serial;
};

static const struct vrtc_clock clocks[] = {{.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true}};
static struct world *now;

static struct descriptor *descriptors(const struct world *w)
{
	return (struct descriptor *)(void *)w->g_mem;
}

/* How many requests the driver has been shown as answered, counted as a driver would. */
static unsigned count_shown(const struct world *w)
{
	unsigned n = 0;

	if (!w->packed)
		return le16toh(*(uint16_t *)(void *)(w->g_mem + DEVICE_AT + 2));
	/* Two entries each, the first lap. */
	while (n < w->offered && descriptors(w)[2 * n].fourth & F_USED)
		n++;
	return n;
}

/* NOLINTBEGIN(cert-dcl37-c,cert-dcl51-cpp): the linker's name. */
void __wrap_vrtc_alarm_lcore_send(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail);

void __wrap_vrtc_alarm_lcore_send(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	(void)l;
	now->sent++;
	now->shown = count_shown(now);
	now->answered_serial = atomic_load(&now->ledger.answered_serial);
	atomic_store(&mail->state, VRTC_ALARM_MAIL_SENT);
}
/* NOLINTEND(cert-dcl37-c,cert-dcl51-cpp) */

static void answer_mail(struct world *w)
{
	atomic_store(&w->session.mail.state, VRTC_ALARM_MAIL_DONE);
}

static void offer(struct world *w, uint16_t msg_type)
{
	unsigned i = w->offered;
	uint8_t *request = w->g_mem + REQUEST_AT + i * SLOT_BYTES;
	struct descriptor *d = &descriptors(w)[2 * i];
	uint64_t request_gpa = GPA + REQUEST_AT + i * SLOT_BYTES;
	uint64_t response_gpa = GPA + RESPONSE_AT + i * SLOT_BYTES;

	memset(request, 0, SLOT_BYTES);
	request[0] = (uint8_t)msg_type;
	request[1] = (uint8_t)(msg_type >> 8);
	w->offered++;
	if (w->packed) {
		d[1] = (struct descriptor){response_gpa, 24, (uint16_t)i, F_AVAIL | F_WRITE};
		d[0] = (struct descriptor){request_gpa, 24, (uint16_t)i, F_AVAIL | F_NEXT};
		return;
	}
	d[0] = (struct descriptor){request_gpa, 24, F_NEXT, (uint16_t)(2 * i + 1)};
	d[1] = (struct descriptor){response_gpa, 24, F_WRITE, 0};
	((uint16_t *)(void *)(w->g_mem + DRIVER_AT))[2 + i] = (uint16_t)(2 * i);
	((uint16_t *)(void *)(w->g_mem + DRIVER_AT))[1] = w->offered;
}

static void begin(struct world *w, bool packed)
{
	struct vrtc_session_ring ring;
	const char *why = "";

	memset(w, 0, sizeof(*w));
	now = w;
	w->packed = packed;
	w->g_mem = aligned_alloc(4096, BYTES);
	assert_non_null(w->g_mem);
	memset(w->g_mem, 0, BYTES);
	w->device = (struct vrtc_device){.clock = clocks, .n_clocks = 1};
	vrtc_alarm_ledger_init(&w->ledger, clocks, 1);
	w->client.alarms.ledger = &w->ledger;
	w->session.device = &w->device;
	w->session.attention_fd = -1;
	w->session.mail.client = &w->client;
	/* Never looked into: the mail does not get there. */
	w->session.alarm_lcore = (struct vrtc_alarm_lcore *)(void *)w;
	assert_int_equal(vrtc_guestmem_add(&w->session.mem, GPA, BYTES, w->g_mem), 0);
	ring = (struct vrtc_session_ring){
		.g_desc = w->g_mem,
		.g_avail = w->g_mem + DRIVER_AT,
		.g_used = w->g_mem + DEVICE_AT,
		.size = SIZE,
		.base = packed ? VRTC_VRING_PACKED_FIRST : 0,
		.kickfd = -1,
		.callfd = -1,
		.features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RTC_F_ALARM |
			    1ULL << VIRTIO_RING_F_INDIRECT_DESC |
			    (packed ? 1ULL << VIRTIO_F_RING_PACKED : 0),
	};
	if (vrtc_session_start(&w->session, &ring, &why))
		fail_msg("%s", why);
}

static void end(struct world *w)
{
	free(w->g_mem);
}

static void what_is_before_an_alarm_request_is_shown_before_it_is_passed_on(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		offer(&w, VIRTIO_RTC_REQ_CFG);
		offer(&w, VIRTIO_RTC_REQ_CFG);
		offer(&w, VIRTIO_RTC_REQ_SET_ALARM);
		assert_int_equal(vrtc_session_poll(&w.session), 3);
		assert_int_equal(w.sent, 1);
		assert_int_equal(w.shown, 2);
		end(&w);
	}
}

static void an_answer_is_shown_and_noted_before_the_next_alarm_request_is_passed_on(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		offer(&w, VIRTIO_RTC_REQ_SET_ALARM);
		offer(&w, VIRTIO_RTC_REQ_SET_ALARM);
		(void)vrtc_session_poll(&w.session);
		assert_int_equal(w.sent, 1);
		assert_int_equal(w.shown, 0);
		assert_int_equal(w.answered_serial, 0);
		/* As long as there is no answer, nothing else of this queue is looked at. */
		assert_int_equal(vrtc_session_poll(&w.session), 1);
		assert_int_equal(w.sent, 1);
		answer_mail(&w);
		(void)vrtc_session_poll(&w.session);
		assert_int_equal(w.sent, 2);
		assert_int_equal(w.shown, 1);
		assert_int_equal(w.answered_serial, 1);
		end(&w);
	}
}

static void requests_behind_an_alarm_request_wait_for_its_answer(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		offer(&w, VIRTIO_RTC_REQ_SET_ALARM);
		offer(&w, VIRTIO_RTC_REQ_CFG);
		for (int i = 0; i < 3; i++)
			(void)vrtc_session_poll(&w.session);
		assert_int_equal(count_shown(&w), 0);
		assert_true(vrtc_session_is_waiting(&w.session));
		answer_mail(&w);
		(void)vrtc_session_poll(&w.session);
		assert_int_equal(count_shown(&w), 2);
		assert_false(vrtc_session_is_waiting(&w.session));
		assert_int_equal(w.g_mem[RESPONSE_AT], VIRTIO_RTC_S_OK);
		end(&w);
	}
}

/* A table of n descriptors: a request of 24 bytes in the first, 24 to be written in the last. */
static void offer_long(struct world *w, unsigned n)
{
	unsigned i = w->offered;
	struct descriptor *table =
		(struct descriptor *)(void *)(w->g_mem + TABLES_AT + i * TABLE_BYTES);
	struct descriptor *d = &descriptors(w)[i];
	uint64_t gpa = GPA + TABLES_AT + i * TABLE_BYTES;

	for (unsigned k = 0; k < n; k++) {
		bool last = k == n - 1;

		table[k] = (struct descriptor){GPA + (last ? RESPONSE_AT : REQUEST_AT),
			k == 0 || last ? 24 : 0, last ? F_WRITE : F_NEXT, (uint16_t)(k + 1)};
		if (w->packed)
			table[k].fourth = last ? F_WRITE : 0;
	}
	w->offered++;
	if (w->packed) {
		*d = (struct descriptor){
			gpa, 16 * n, (uint16_t)i, (uint16_t)(F_AVAIL | F_INDIRECT)};
		return;
	}
	*d = (struct descriptor){gpa, 16 * n, F_INDIRECT, 0};
	((uint16_t *)(void *)(w->g_mem + DRIVER_AT))[2 + i] = (uint16_t)i;
	((uint16_t *)(void *)(w->g_mem + DRIVER_AT))[1] = w->offered;
}

/* VRTC_SESSION_BUDGET_DESCRIPTORS: the neighbours' turn comes. */
static void a_turn_ends_after_256_descriptors_however_few_the_requests(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		for (unsigned i = 0; i < 6; i++)
			offer_long(&w, SIZE);
		assert_int_equal(vrtc_session_poll(&w.session), 256 / SIZE);
		assert_int_equal(vrtc_session_poll(&w.session), 6 - 256 / SIZE);
		assert_int_equal(vrtc_session_poll(&w.session), 0);
		end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_before_an_alarm_request_is_shown_before_it_is_passed_on),
		cmocka_unit_test(
			an_answer_is_shown_and_noted_before_the_next_alarm_request_is_passed_on),
		cmocka_unit_test(requests_behind_an_alarm_request_wait_for_its_answer),
		cmocka_unit_test(a_turn_ends_after_256_descriptors_however_few_the_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
