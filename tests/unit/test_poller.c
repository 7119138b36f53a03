/* SPDX-License-Identifier: BSD-3-Clause */
/* poller.h: what is left when one cannot be made, and sessions that come and go while it runs. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest_rings.h"
#include "poller.h"
#include "refuser.h"

#define LCORE         3
#define NODE          (-1)
#define SESSIONS_MANY 1024

static const struct vrtc_device no_clocks;
static const struct vrtc_pairing pairing;
static const struct vrtc_hosttime host;
static const struct vrtc_timesource source = {.pairing = &pairing, .host = &host};

static struct vrtc_alarm_lcore *new_alarms(void)
{
	const struct vrtc_alarm_source alarms = {
		.time = &source, .capacity = {[VRTC_TIMESCALE_UTC] = 4}};

	return vrtc_alarm_lcore_new(LCORE, NODE, &alarms, 1, 1);
}

static void a_poller_that_cannot_be_made_leaves_nothing_behind(void **state)
{
	static const enum vrtc_idle idle[] = {VRTC_IDLE_BUSY, VRTC_IDLE_INTERRUPT};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct vrtc_alarm_lcore *alarms = new_alarms();
		unsigned nth = 0;
		bool refused = true;

		assert_non_null(alarms);
		while (refused) {
			unsigned descriptors = refuser_descriptors();
			long memory = refuser_memory();
			struct vrtc_poller *p;

			refuser_begin(++nth, ENFILE);
			p = vrtc_poller_new(LCORE, NODE, idle[i], alarms);
			refused = refuser_end();
			if (refused) {
				assert_null(p);
				assert_true(errno == ENFILE || errno == ENOMEM);
			} else {
				assert_non_null(p);
				assert_int_equal(vrtc_poller_lcore(p), LCORE);
				assert_int_equal(vrtc_poller_node(p), NODE);
				vrtc_poller_free(p);
			}
			assert_int_equal(refuser_memory(), memory);
			assert_int_equal(refuser_descriptors(), descriptors);
		}
		/* Its descriptors and memory, and in the one that sleeps what wakes it. */
		assert_int_equal(nth - 1, idle[i] == VRTC_IDLE_INTERRUPT ? 11 : 7);
	}
	vrtc_poller_free(NULL);
}

static void an_alarm_lcore_that_cannot_be_made_leaves_nothing_behind(void **state)
{
	unsigned nth = 0;
	bool refused = true;

	(void)state;
	while (refused) {
		unsigned descriptors = refuser_descriptors();
		long memory = refuser_memory();
		struct vrtc_alarm_lcore *l;

		refuser_begin(++nth, EMFILE);
		l = new_alarms();
		refused = refuser_end();
		if (!refused) {
			assert_non_null(l);
			assert_int_equal(vrtc_alarm_lcore_id(l), LCORE);
			break;
		}
		assert_null(l);
		assert_int_equal(errno, EMFILE);
		assert_int_equal(refuser_memory(), memory);
		assert_int_equal(refuser_descriptors(), descriptors);
	}
	assert_int_equal(nth - 1, 4);
}

/* ---- Sessions. */

struct world {
	struct guest_rings guest;
	struct vrtc_session *session;
	struct vrtc_poller *poller;
	pthread_t thread;
};

static void make_session(struct world *w, int kickfd)
{
	struct vrtc_session_ring ring;
	const char *why = "";

	guest_rings_make(&w->guest, false);
	w->session = aligned_alloc(VRTC_SESSION_ALIGN, sizeof(*w->session));
	assert_non_null(w->session);
	memset(w->session, 0, sizeof(*w->session));
	w->session->device = &no_clocks;
	w->session->time = &source;
	w->session->attention_fd = -1;
	assert_int_equal(
		vrtc_guestmem_add(&w->session->mem, GUEST_GPA, GUEST_BYTES, w->guest.g_mem), 0);
	ring = guest_rings_queue(&w->guest);
	if (vrtc_session_start(w->session, &ring, &why))
		fail_msg("%s", why);
	w->session->kickfd = kickfd;
}

static void *run(void *poller)
{
	(void)vrtc_poller_run(poller);
	return NULL;
}

static void begin(struct world *w, enum vrtc_idle idle, int kickfd)
{
	make_session(w, kickfd);
	w->poller = vrtc_poller_new(LCORE, NODE, idle, NULL);
	assert_non_null(w->poller);
	assert_int_equal(pthread_create(&w->thread, NULL, run, w->poller), 0);
}

static void end(struct world *w)
{
	vrtc_poller_stop(w->poller);
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	vrtc_poller_free(w->poller);
	free(w->session);
	guest_rings_free(&w->guest);
}

static bool is_shown(const struct world *w, unsigned n)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (int i = 0; i < 5000 && guest_rings_shown(&w->guest) < n; i++)
		(void)nanosleep(&pause, NULL);
	return guest_rings_shown(&w->guest) == n;
}

static void a_driver_without_a_kick_is_served_by_a_poller_that_sleeps(void **state)
{
	const struct timespec asleep = {.tv_nsec = 20000000};
	struct world w;

	(void)state;
	begin(&w, VRTC_IDLE_INTERRUPT, -1);
	assert_int_equal(vrtc_poller_add(w.poller, w.session), 0);
	assert_int_equal(vrtc_poller_load(w.poller), 1);
	for (unsigned n = 1; n <= 3; n++) {
		(void)nanosleep(&asleep, NULL);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
		assert_true(is_shown(&w, n));
	}
	vrtc_poller_remove(w.poller, w.session);
	assert_int_equal(vrtc_poller_load(w.poller), 0);
	end(&w);
}

static void a_session_that_was_removed_is_not_served(void **state)
{
	static const enum vrtc_idle idle[] = {VRTC_IDLE_BUSY, VRTC_IDLE_PAUSE, VRTC_IDLE_INTERRUPT};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		int kickfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		struct world w;

		begin(&w, idle[i], kickfd);
		assert_int_equal(vrtc_poller_add(w.poller, w.session), 0);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
		assert_int_equal(eventfd_write(kickfd, 1), 0);
		assert_true(is_shown(&w, 1));
		vrtc_poller_remove(w.poller, w.session);
		guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
		assert_int_equal(eventfd_write(kickfd, 1), 0);
		vrtc_poller_synchronize(w.poller);
		assert_int_equal(guest_rings_shown(&w.guest), 1);
		end(&w);
		close(kickfd);
	}
}

static void a_kick_that_cannot_be_waited_for_is_refused_and_the_others_are_served(void **state)
{
	int kickfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct world other;
	struct world w;

	(void)state;
	begin(&w, VRTC_IDLE_INTERRUPT, kickfd);
	assert_int_equal(vrtc_poller_add(w.poller, w.session), 0);
	make_session(&other, kickfd);
	/* The kernel has the descriptor in the set already: it refuses by itself. */
	assert_int_equal(vrtc_poller_add(w.poller, other.session), -EEXIST);
	assert_int_equal(vrtc_poller_load(w.poller), 1);
	guest_rings_offer(&w.guest, VIRTIO_RTC_REQ_CFG);
	assert_int_equal(eventfd_write(kickfd, 1), 0);
	assert_true(is_shown(&w, 1));
	free(other.session);
	guest_rings_free(&other.guest);
	end(&w);
	close(kickfd);
}

static void more_sessions_than_rte_vhost_has_connections_are_refused(void **state)
{
	struct vrtc_session *many;
	struct world w;

	(void)state;
	begin(&w, VRTC_IDLE_BUSY, -1);
	many = aligned_alloc(VRTC_SESSION_ALIGN, SESSIONS_MANY * sizeof(*many));
	assert_non_null(many);
	for (unsigned i = 0; i < SESSIONS_MANY; i++) {
		memcpy(&many[i], w.session, sizeof(many[i]));
		assert_int_equal(vrtc_poller_add(w.poller, &many[i]), 0);
	}
	assert_int_equal(vrtc_poller_load(w.poller), SESSIONS_MANY);
	assert_int_equal(vrtc_poller_add(w.poller, w.session), -ENOSPC);
	vrtc_poller_remove(w.poller, &many[SESSIONS_MANY / 2]);
	assert_int_equal(vrtc_poller_add(w.poller, w.session), 0);
	end(&w);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_poller_that_cannot_be_made_leaves_nothing_behind),
		cmocka_unit_test(an_alarm_lcore_that_cannot_be_made_leaves_nothing_behind),
		cmocka_unit_test(a_driver_without_a_kick_is_served_by_a_poller_that_sleeps),
		cmocka_unit_test(a_session_that_was_removed_is_not_served),
		cmocka_unit_test(
			a_kick_that_cannot_be_waited_for_is_refused_and_the_others_are_served),
		cmocka_unit_test(more_sessions_than_rte_vhost_has_connections_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
