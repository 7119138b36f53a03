/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session has shown the driver, and told its ledger, at the moment in which it passes a
 * request about an alarm on (D27): a daemon that is killed right then is followed by one that can
 * have at most this one request to judge. vrtc_alarm_lcore_send() is replaced, and looks.
 *
 * And which requests share a reading (D53). clock_gettime() is replaced: its clock goes on by a
 * nanosecond whenever it is read, and the driver can be quick just then.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "guest_rings.h"
#include "session.h"

struct world {
	struct vrtc_session session;
	struct vrtc_device device;
	struct vrtc_alarm_client client;
	struct vrtc_alarm_ledger ledger;
	struct guest_rings guest;
	int callfd;
	/* What was there when a request was passed on. */
	unsigned sent;
	unsigned shown;
	uint64_t answered_serial;
};

static const struct vrtc_clock clocks[] = {{.type = VIRTIO_RTC_CLOCK_MONOTONIC, .alarm = true}};
static struct vrtc_hosttime host;
static struct vrtc_pairing pairing;
static const struct vrtc_timesource source = {.host = &host, .pairing = &pairing};
static struct world *now;
static unsigned clock_ns;
static unsigned offered_when_read; /* READs that are offered when the clock is read next */

int seen_clock_gettime(clockid_t id, struct timespec *shown) __asm__("__wrap_clock_gettime");

int seen_clock_gettime(clockid_t id, struct timespec *shown)
{
	(void)id;
	*shown = (struct timespec){.tv_nsec = ++clock_ns};
	for (; offered_when_read > 0; offered_when_read--)
		guest_rings_offer(&now->guest, VIRTIO_RTC_REQ_READ);
	return 0;
}

/* NOLINTBEGIN(cert-dcl37-c,cert-dcl51-cpp): the linker's name. */
void __wrap_vrtc_alarm_lcore_send(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail);

void __wrap_vrtc_alarm_lcore_send(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	(void)l;
	now->sent++;
	now->shown = guest_rings_shown(&now->guest);
	now->answered_serial = atomic_load(&now->ledger.answered_serial);
	atomic_store(&mail->state, VRTC_ALARM_MAIL_SENT);
}
/* NOLINTEND(cert-dcl37-c,cert-dcl51-cpp) */

static void answer_mail(struct world *w)
{
	atomic_store(&w->session.mail.state, VRTC_ALARM_MAIL_DONE);
}

static void start(struct world *w)
{
	struct vrtc_session_ring ring = guest_rings_queue(&w->guest);
	const char *why = "";

	if (!w->guest.packed)
		ring.base = w->guest.offered;
	ring.callfd = w->callfd;
	if (vrtc_session_start(&w->session, &ring, &why))
		fail_msg("%s", why);
}

static void begin_stopped(struct world *w, bool packed)
{
	memset(w, 0, sizeof(*w));
	now = w;
	guest_rings_make(&w->guest, packed);
	w->device = (struct vrtc_device){.clock = clocks, .n_clocks = 1};
	vrtc_alarm_ledger_init(&w->ledger, clocks, 1);
	w->client.alarms.ledger = &w->ledger;
	w->session.device = &w->device;
	w->session.time = &source;
	w->session.attention_fd = -1;
	w->session.mail.client = &w->client;
	/* Never looked into: the mail does not get there. */
	w->session.alarm_lcore = (struct vrtc_alarm_lcore *)(void *)w;
	assert_int_equal(
		vrtc_guestmem_add(&w->session.mem, GUEST_GPA, GUEST_BYTES, w->guest.g_mem), 0);
	w->callfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(w->callfd >= 0);
}

static void begin(struct world *w, bool packed)
{
	begin_stopped(w, packed);
	start(w);
}

static void end(struct world *w)
{
	guest_rings_free(&w->guest);
	close(w->callfd);
}

static bool is_signalled(struct world *w)
{
	eventfd_t count;

	return eventfd_read(w->callfd, &count) == 0;
}

static void what_is_before_an_alarm_request_is_shown_before_it_is_passed_on(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
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
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
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
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
		for (int i = 0; i < 3; i++)
			(void)vrtc_session_poll(&w.session);
		assert_int_equal(guest_rings_shown(&w.guest), 0);
		assert_true(vrtc_session_is_waiting(&w.session));
		answer_mail(&w);
		(void)vrtc_session_poll(&w.session);
		assert_int_equal(guest_rings_shown(&w.guest), 2);
		assert_false(vrtc_session_is_waiting(&w.session));
		assert_int_equal(w.guest.g_mem[GUEST_RESPONSE_AT], VIRTIO_RTC_S_OK);
		end(&w);
	}
}

/* VRTC_SESSION_BUDGET_DESCRIPTORS: the neighbours' turn comes. */
static void a_turn_ends_after_256_descriptors_however_few_the_requests(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		for (unsigned i = 0; i < 6; i++)
			guest_rings_offer_long(&w.guest, GUEST_QUEUE_SIZE);
		assert_int_equal(vrtc_session_poll(&w.session), 256 / GUEST_QUEUE_SIZE);
		assert_int_equal(vrtc_session_poll(&w.session), 6 - 256 / GUEST_QUEUE_SIZE);
		assert_int_equal(vrtc_session_poll(&w.session), 0);
		end(&w);
	}
}

static uint64_t reading_of(const struct world *w, unsigned i)
{
	struct virtio_rtc_resp_read resp;

	memcpy(&resp, w->guest.g_mem + GUEST_RESPONSE_AT + i * GUEST_SLOT_BYTES, sizeof(resp));
	assert_int_equal(resp.head.status, VIRTIO_RTC_S_OK);
	return vrtc_le64_get(resp.clock_reading);
}

static void requests_that_were_made_available_together_share_a_reading(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, false);
	for (int turn = 0; turn < 2; turn++) {
		unsigned first_ns = clock_ns + 1;
		unsigned first = w.guest.offered;

		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ);
		assert_int_equal(vrtc_session_poll(&w.session), 3);
		assert_int_equal(clock_ns, first_ns);
		assert_int_equal(reading_of(&w, first), first_ns);
		assert_int_equal(reading_of(&w, first + 2), first_ns);
	}
	end(&w);
}

/* "the device MUST obtain the clock_reading [...] after the driver made the read request available" */
static void a_request_that_is_made_available_after_a_reading_has_its_own(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ);
		offered_when_read = 2;
		assert_int_equal(vrtc_session_poll(&w.session), 3);
		assert_true(reading_of(&w, 1) > reading_of(&w, 0));
		assert_true(reading_of(&w, 2) >= reading_of(&w, 1));
		end(&w);
	}
}

static void what_is_shown_later_is_read_anew(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, false);
	for (int i = 0; i < VRTC_SESSION_SHOWN + 2; i++)
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ);
	assert_int_equal(vrtc_session_poll(&w.session), VRTC_SESSION_SHOWN + 2);
	assert_int_equal(reading_of(&w, VRTC_SESSION_SHOWN - 1), reading_of(&w, 0));
	assert_true(reading_of(&w, VRTC_SESSION_SHOWN) > reading_of(&w, 0));
	assert_int_equal(
		reading_of(&w, VRTC_SESSION_SHOWN + 1), reading_of(&w, VRTC_SESSION_SHOWN));
	end(&w);
}

static void offer_cross(struct world *w)
{
	uint8_t *request = w->guest.g_mem + GUEST_REQUEST_AT + w->guest.offered * GUEST_SLOT_BYTES;

	guest_rings_offer(&w->guest, VIRTIO_RTC_REQ_READ_CROSS);
	request[offsetof(struct virtio_rtc_req_read_cross, hw_counter)] =
		w->session.offer.hw_counter;
}

static uint64_t cycles_of(const struct world *w, unsigned i)
{
	struct virtio_rtc_resp_read_cross resp;

	memcpy(&resp, w->guest.g_mem + GUEST_RESPONSE_AT + i * GUEST_SLOT_BYTES, sizeof(resp));
	assert_int_equal(resp.head.status, VIRTIO_RTC_S_OK);
	return vrtc_le64_get(resp.counter_cycles);
}

static void begin_cross(struct world *w)
{
	const struct vrtc_counter_config config = {.choice = VRTC_COUNTER_OFFSET};

	begin(w, false);
	vrtc_pairing_init(&pairing);
	vrtc_guest_counter_init(&w->session.counter, &config, &pairing);
	vrtc_guest_counter_start(
		&w->session.counter, &(struct vrtc_peer_process){0}, (char[256]){""});
	w->session.offer.hw_counter = w->session.counter.offered;
}

static void cross_timestamps_share_a_pair_and_readings_never_go_back(void **state)
{
	static struct world w;

	(void)state;
	begin_cross(&w);
	if (w.session.offer.hw_counter == VIRTIO_RTC_COUNTER_INVALID) {
		end(&w);
		skip();
	}
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ);
	offer_cross(&w);
	offer_cross(&w);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ);
	assert_int_equal(vrtc_session_poll(&w.session), 4);
	/* What was read without the counter is no pair. */
	assert_true(reading_of(&w, 1) > reading_of(&w, 0));
	assert_int_equal(reading_of(&w, 2), reading_of(&w, 1));
	assert_int_equal(cycles_of(&w, 2), cycles_of(&w, 1));
	assert_int_equal(reading_of(&w, 3), reading_of(&w, 2));
	end(&w);
}

static void a_counter_that_was_lost_leaves_readings_as_they_are(void **state)
{
	static const struct vrtc_counter_map no_map;
	static struct world w;

	(void)state;
	begin_cross(&w);
	if (w.session.offer.hw_counter == VIRTIO_RTC_COUNTER_INVALID) {
		end(&w);
		skip();
	}
	offer_cross(&w);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ);
	offer_cross(&w);
	/* As SET_CONFIG does. */
	atomic_store(&w.session.counter.map, &no_map);
	assert_int_equal(vrtc_session_poll(&w.session), 3);
	assert_int_not_equal(w.guest.g_mem[GUEST_RESPONSE_AT], VIRTIO_RTC_S_OK);
	assert_int_equal(reading_of(&w, 1), clock_ns);
	assert_int_not_equal(
		w.guest.g_mem[GUEST_RESPONSE_AT + 2 * GUEST_SLOT_BYTES], VIRTIO_RTC_S_OK);
	end(&w);
}

/* An alarm lcore that answers as soon as it is told not to wait for an action. */
struct answerer {
	struct world *w;
	int rc;
	bool withdrawn;
};

static void *answer_when_withdrawn(void *argument)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct answerer *answerer = argument;
	struct vrtc_alarm_mail *mail = &answerer->w->session.mail;

	for (int i = 0; i < 5000 && !atomic_load(&mail->withdrawn); i++)
		(void)nanosleep(&pause, NULL);
	answerer->withdrawn = atomic_load(&mail->withdrawn);
	mail->rc = answerer->rc;
	answer_mail(answerer->w);
	return NULL;
}

static void settle(struct world *w, int rc)
{
	struct answerer answerer = {.w = w, .rc = rc};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, answer_when_withdrawn, &answerer), 0);
	vrtc_session_settle(&w->session);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(answerer.withdrawn);
}

static void a_stop_waits_for_the_alarm_lcore_and_shows_its_answer(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		static struct world w;

		begin(&w, packed);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
		(void)vrtc_session_poll(&w.session);
		settle(&w, 0);
		assert_int_equal(guest_rings_shown(&w.guest), 1);
		assert_true(is_signalled(&w));
		assert_int_equal(w.ledger.answered_serial, 1);
		assert_false(vrtc_session_is_waiting(&w.session));
		/* With nothing under way there is nothing to wait for. */
		vrtc_session_settle(&w.session);
		assert_int_equal(guest_rings_shown(&w.guest), 1);
		end(&w);
	}
}

static void an_answer_at_a_stop_signals_no_driver_that_does_not_want_it(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, false);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
	w.guest.g_mem[GUEST_DRIVER_AT] = 1; /* VIRTQ_AVAIL_F_NO_INTERRUPT */
	(void)vrtc_session_poll(&w.session);
	settle(&w, 0);
	assert_int_equal(guest_rings_shown(&w.guest), 1);
	assert_false(is_signalled(&w));
	end(&w);
}

static void a_request_that_was_withdrawn_is_the_first_of_the_next_start(void **state)
{
	static struct world w;

	(void)state;
	begin(&w, false);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
	(void)vrtc_session_poll(&w.session);
	settle(&w, -ECANCELED);
	assert_int_equal(guest_rings_shown(&w.guest), 1);
	assert_int_equal(vrtc_vring_base(&w.session.requestq), 1);
	end(&w);
}

/* The first `answered` of its requests were, and a predecessor died with the next one applied. */
static void leave_in_doubt(struct world *w, uint16_t answered)
{
	const struct vrtc_alarm_record record = {.serial = 1, .request_index = answered};

	begin_stopped(w, false);
	w->guest.offered = answered;
	w->guest.g_mem[GUEST_DRIVER_AT + 2] = (uint8_t)answered;
	w->guest.g_mem[GUEST_DEVICE_AT + 2] = (uint8_t)answered;
	vrtc_alarm_ledger_write(&w->ledger, 0, &record);
	start(w);
}

static void a_request_that_a_predecessor_applied_is_answered_and_not_applied_again(void **state)
{
	static struct world w;

	(void)state;
	leave_in_doubt(&w, 3);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
	(void)vrtc_session_poll(&w.session);
	assert_int_equal(w.shown, 4);
	assert_int_equal(w.answered_serial, 1);
	assert_int_equal(w.sent, 1);
	assert_int_equal(w.session.mail_chain.index, 4);
	end(&w);
}

static void a_reading_in_place_of_what_was_applied_is_served(void **state)
{
	static struct world w;

	(void)state;
	leave_in_doubt(&w, 3);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_READ_ALARM);
	(void)vrtc_session_poll(&w.session);
	assert_int_equal(w.sent, 1);
	assert_int_equal(w.session.mail.op, VRTC_ALARM_READ);
	end(&w);
}

/* Or the request that has the same index 65536 requests later would not be applied. */
static void whatever_is_answered_first_ends_the_doubt(void **state)
{
	static struct world w;

	(void)state;
	leave_in_doubt(&w, 3);
	assert_true(w.session.replay);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_SET_ALARM);
	(void)vrtc_session_poll(&w.session);
	assert_int_equal(w.sent, 1);
	assert_int_equal(w.answered_serial, 1);
	assert_false(w.session.replay);
	end(&w);
}

static void a_broken_queue_is_told_once(void **state)
{
	static struct world w;
	eventfd_t told;

	(void)state;
	begin(&w, false);
	w.session.attention_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Further ahead than there are entries. */
	w.guest.g_mem[GUEST_DRIVER_AT + 2] = GUEST_QUEUE_SIZE + 1;
	for (int i = 0; i < 3; i++)
		assert_int_equal(vrtc_session_poll(&w.session), 0);
	assert_true(atomic_load(&w.session.faulty));
	assert_int_equal(eventfd_read(w.session.attention_fd, &told), 0);
	assert_true(told == 1);
	close(w.session.attention_fd);
	end(&w);
}

static void a_queue_that_no_ring_can_be_is_refused(void **state)
{
	struct vrtc_vring_config config;
	struct vrtc_session_ring ring;
	static struct world w;
	const char *why = "";

	(void)state;
	begin_stopped(&w, false);
	ring = guest_rings_queue(&w.guest);
	ring.size = UINT16_MAX + GUEST_QUEUE_SIZE;
	assert_int_equal(vrtc_session_ring_config(&ring, &w.session.mem, &config, &why), -EINVAL);
	assert_string_equal(why, "a ring is missing, misaligned or of a bad size");
	ring = guest_rings_queue(&w.guest);
	ring.features &= ~(1ULL << VIRTIO_F_VERSION_1);
	assert_int_equal(vrtc_session_start(&w.session, &ring, &why), -EINVAL);
	assert_string_equal(why, "VIRTIO_F_VERSION_1 is not negotiated");
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_before_an_alarm_request_is_shown_before_it_is_passed_on),
		cmocka_unit_test(
			an_answer_is_shown_and_noted_before_the_next_alarm_request_is_passed_on),
		cmocka_unit_test(requests_behind_an_alarm_request_wait_for_its_answer),
		cmocka_unit_test(a_turn_ends_after_256_descriptors_however_few_the_requests),
		cmocka_unit_test(requests_that_were_made_available_together_share_a_reading),
		cmocka_unit_test(a_request_that_is_made_available_after_a_reading_has_its_own),
		cmocka_unit_test(what_is_shown_later_is_read_anew),
		cmocka_unit_test(cross_timestamps_share_a_pair_and_readings_never_go_back),
		cmocka_unit_test(a_counter_that_was_lost_leaves_readings_as_they_are),
		cmocka_unit_test(a_stop_waits_for_the_alarm_lcore_and_shows_its_answer),
		cmocka_unit_test(an_answer_at_a_stop_signals_no_driver_that_does_not_want_it),
		cmocka_unit_test(a_request_that_was_withdrawn_is_the_first_of_the_next_start),
		cmocka_unit_test(
			a_request_that_a_predecessor_applied_is_answered_and_not_applied_again),
		cmocka_unit_test(a_reading_in_place_of_what_was_applied_is_served),
		cmocka_unit_test(whatever_is_answered_first_ends_the_doubt),
		cmocka_unit_test(a_broken_queue_is_told_once),
		cmocka_unit_test(a_queue_that_no_ring_can_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
