/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm_session.h"

#include <stdio.h>

#include "utc.h"
#include "wire.h"

#define BUFFERS    16
#define CONNECT_MS 5000
#define PATIENCE_S 2 /* for a notification beyond its time */

/* The clock is read once in so many looks: a look is to be as short as it can be. */
#define LOOKS_PER_CLOCK 4096

int perf_complain(const struct vfe_session *s, const char *program, const char *doing, int result)
{
	fprintf(stderr, "%s: %s: %s: %s%s\n", program, s->cfg.socket_path, doing,
		result > 0 ? "answered with " : "",
		result > 0 ? vfe_rtc_status_name((uint8_t)result) : vfe_error(s));
	return -1;
}

int perf_alarm_session_start(struct vfe_session *s, const char *program, const char *socket_path)
{
	struct vfe_config cfg;
	int err;

	vfe_config_default(&cfg, socket_path);
	cfg.connect_ms = CONNECT_MS;
	cfg.features |= 1ull << VIRTIO_RTC_F_ALARM;
	cfg.features_required |= 1ull << VIRTIO_RTC_F_ALARM;
	cfg.queues |= 1u << VIRTIO_RTC_ALARMQ;
	err = vfe_session_init(s, &cfg);
	if (!err)
		err = vfe_session_start(s);
	if (!err)
		err = vfe_rtc_alarmq_fill(s, BUFFERS, sizeof(struct virtio_rtc_notif_alarm));
	if (!err)
		return 0;
	fprintf(stderr, "%s: %s: %s\n", program, socket_path, vfe_error(s));
	vfe_session_fini(s);
	return err;
}

int perf_alarm_session_find(
	struct vfe_session *s, const char *program, uint8_t type, uint16_t *clock_id)
{
	struct vfe_rtc_clock_cap cap;
	uint16_t n = 0;
	int result = vfe_rtc_cfg(s, &n);

	for (uint16_t i = 0; !result && i < n; i++) {
		result = vfe_rtc_clock_cap(s, i, &cap);
		if (!result && cap.type == type && (cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP)) {
			*clock_id = i;
			return 0;
		}
	}
	if (result)
		perf_complain(s, program, "its clocks", result);
	else
		fprintf(stderr, "%s: %s: no clock of type %s has an alarm\n", program,
			s->cfg.socket_path, vfe_rtc_clock_type_name(type));
	return -1;
}

enum perf_alarm_outcome perf_alarm_session_time(struct vfe_session *s, const char *program,
	uint16_t clock_id, int64_t ahead_ns, int64_t *lateness_ns)
{
	const struct vfe_ring *alarmq = &s->queues[VIRTIO_RTC_ALARMQ].ring;
	uint16_t before = vfe_ring_used_idx(alarmq);
	int64_t alarm_ns = perf_utc_ns() + ahead_ns;
	int result = vfe_rtc_set_alarm(s, clock_id, (uint64_t)alarm_ns, true);
	int64_t seen_ns = perf_utc_ns();
	bool too_late = seen_ns >= alarm_ns;
	int64_t end_ns = (too_late ? seen_ns : alarm_ns) + PATIENCE_S * INT64_C(1000000000);
	uint16_t notified;

	if (result) {
		perf_complain(s, program, "SET_ALARM", result);
		return PERF_ALARM_FAILED;
	}
	for (unsigned int looks = 1; vfe_ring_used_idx(alarmq) == before; looks++) {
		if (looks % LOOKS_PER_CLOCK == 0 && perf_utc_ns() > end_ns) {
			fprintf(stderr, "%s: %s: an alarm was not notified within %d s\n", program,
				s->cfg.socket_path, PATIENCE_S);
			return PERF_ALARM_FAILED;
		}
	}
	seen_ns = perf_utc_ns();
	result = vfe_rtc_alarm_wait(s, &notified, true, 1);
	if (result) {
		perf_complain(s, program, "the notification", result);
		return PERF_ALARM_FAILED;
	}
	if (notified != clock_id) {
		fprintf(stderr, "%s: %s: clock %u's alarm was set, clock %u's was notified\n",
			program, s->cfg.socket_path, clock_id, notified);
		return PERF_ALARM_FAILED;
	}
	*lateness_ns = seen_ns - alarm_ns;
	return too_late ? PERF_ALARM_TOO_LATE : PERF_ALARM_SEEN;
}
