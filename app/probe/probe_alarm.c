/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's clock may be none of the host's. So when the alarm is due is known by
 * CLOCK_MONOTONIC from a reading taken just before: to half of that reading's round trip, and to
 * what the clock gains on CLOCK_MONOTONIC within the second, which is nothing but while a leap
 * second is smeared.
 */
#include "probe_alarm.h"

#include <errno.h>
#include <time.h>

#include "frontend/deadline.h"
#include "wire.h"

/* Of so many readings the one with the shortest round trip counts. */
#define TRIES 9

#define BUFFERS 4

/* With --wait=poll: from so long before the alarm until so long after it the ring is polled. */
#define POLL_BEFORE_NS 2000000
#define POLL_AFTER_NS  20000000

/* A request's result: 0 or -errno; a status is a sentence and -EIO. */
static int good(struct probe *p, const char *request, int result)
{
	if (result <= 0)
		return result;
	return vfe_session_fail(&p->session, -EIO, "%s of clock %u: answered with status %d (%s)",
		request, p->alarm.clock_id, result, vfe_rtc_status_name((uint8_t)result));
}

/* The alarmq runs, with buffers, from the first alarm on. */
static int start_alarmq(struct probe *p)
{
	int err;

	if (p->session.queues[VIRTIO_RTC_ALARMQ].started)
		return 0;
	err = vfe_session_queue_start(&p->session, VIRTIO_RTC_ALARMQ);
	return err ? err
		   : vfe_rtc_alarmq_fill(
			     &p->session, BUFFERS, sizeof(struct virtio_rtc_notif_alarm));
}

/* When the clock will show alarm_ns, 1 s ahead, by CLOCK_MONOTONIC. */
static int plan(struct probe *p, int64_t *due_ns)
{
	struct probe_alarm *a = &p->alarm;
	int64_t best_trip_ns = INT64_MAX;

	for (int t = 0; t < TRIES; t++) {
		uint64_t reading_ns = 0;
		int64_t sent_ns = vfe_now_ns();
		int err = good(p, "READ", vfe_rtc_read(&p->session, a->clock_id, &reading_ns));
		int64_t trip_ns = vfe_now_ns() - sent_ns;

		if (err)
			return err;
		if (trip_ns >= best_trip_ns)
			continue;
		best_trip_ns = trip_ns;
		a->alarm_ns = reading_ns + PROBE_ALARM_AHEAD_NS;
		a->known_to_ns = (trip_ns + 1) / 2;
		*due_ns = sent_ns + trip_ns / 2 + PROBE_ALARM_AHEAD_NS;
	}
	return 0;
}

/* Waits for the notification of this clock, whatever others come; sees when it was there. */
static int wait_for_it(struct probe *p, int64_t due_ns, int64_t *seen_ns)
{
	const struct vfe_ring *ring = &p->session.queues[VIRTIO_RTC_ALARMQ].ring;
	uint16_t id = 0;
	int err;

	do {
		*seen_ns = 0;
		if (p->options.wait == VFE_WAIT_POLL) {
			int64_t sleep_ns = due_ns - POLL_BEFORE_NS - vfe_now_ns();
			const struct timespec ts = {
				.tv_sec = sleep_ns / 1000000000, .tv_nsec = sleep_ns % 1000000000};

			if (sleep_ns > 0)
				nanosleep(&ts, NULL);
			while (vfe_ring_used_idx(ring) == ring->used_idx &&
				vfe_now_ns() < due_ns + POLL_AFTER_NS)
				;
			*seen_ns = vfe_now_ns();
		}
		if (*seen_ns == 0 || vfe_ring_used_idx(ring) == ring->used_idx) {
			err = vfe_rtc_alarm_wait(
				&p->session, &id, false, p->options.timeout_ms + 1000);
			*seen_ns = vfe_now_ns();
		} else {
			err = vfe_rtc_alarm_wait(&p->session, &id, false, 1);
		}
		if (!err)
			err = vfe_rtc_alarmq_fill(
				&p->session, 1, sizeof(struct virtio_rtc_notif_alarm));
	} while (!err && id != p->alarm.clock_id);
	return err;
}

/* What the guest had set. */
static int set_again(struct probe *p, uint64_t alarm_ns, bool enabled, uint64_t now_ns)
{
	return good(p, "SET_ALARM",
		vfe_rtc_set_alarm(
			&p->session, p->alarm.clock_id, alarm_ns, enabled && alarm_ns > now_ns));
}

int probe_alarm(struct probe *p)
{
	struct probe_alarm *a = &p->alarm;
	int64_t due_ns = 0;
	int64_t seen_ns = 0;
	uint64_t guests_ns = 0;
	uint64_t reading_ns = 0;
	bool guests_enabled = false;
	int err;

	if (p->options.alarm_clock < 0)
		return 0;
	p->step = PROBE_ALARM;
	p->session.deadline_ns = vfe_deadline_in_ms(p->options.timeout_ms + 1000);
	a->clock_id = (uint16_t)p->options.alarm_clock;
	if (a->clock_id >= p->n_clocks)
		return vfe_session_fail(&p->session, -ENODEV,
			"--alarm=%u: there is no such clock; the device has %u, from 0",
			a->clock_id, p->n_clocks);
	if (p->clocks[a->clock_id].cap_status != VIRTIO_RTC_S_OK ||
		!(p->clocks[a->clock_id].cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP))
		return vfe_session_fail(
			&p->session, -ENODEV, "--alarm=%u: this clock has no alarm", a->clock_id);

	err = good(p, "READ_ALARM",
		vfe_rtc_read_alarm(&p->session, a->clock_id, &guests_ns, &guests_enabled));
	/* What of it was still to be notified is not to be taken for ours. */
	if (!err)
		err = good(p, "SET_ALARM_ENABLED",
			vfe_rtc_set_alarm_enabled(&p->session, a->clock_id, false));
	if (!err)
		err = start_alarmq(p);
	if (!err)
		err = plan(p, &due_ns);
	if (!err)
		err = good(p, "SET_ALARM",
			vfe_rtc_set_alarm(&p->session, a->clock_id, a->alarm_ns, true));
	if (!err)
		err = wait_for_it(p, due_ns, &seen_ns);
	if (!err)
		err = good(p, "READ", vfe_rtc_read(&p->session, a->clock_id, &reading_ns));
	if (!err)
		err = set_again(p, guests_ns, guests_enabled, reading_ns);
	if (err)
		return err;
	a->came = true;
	a->late_ns = seen_ns - due_ns;
	a->beyond_ns = (int64_t)(reading_ns - a->alarm_ns);
	return 0;
}
