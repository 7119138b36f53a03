/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Alarms and their notifications. virtio-v1.4 RTC Device / Device Operation / Alarm Operation.
 *
 * Each case begins as the text advises a driver: all alarms are set to 0 and disabled, and then
 * buffers go into the alarmq.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "messages.h"
#include "statements.h"
#include "wire.h"

#define NS_PER_MS UINT64_C(1000000)
/* For an alarm that comes while we look. */
#define AHEAD_NS  (8 * NS_PER_MS)
#define FAR_NS    UINT64_MAX

static bool clear_all(struct conform *c)
{
	for (uint16_t i = 0; i < c->n_clocks; i++)
		if (conform_has_alarm(c, i) && !conform_set_alarm(c, i, 0, false))
			return false;
	return true;
}

/* n buffers of a notification's size more, as far as the ring goes. */
static bool fill(struct conform *c, unsigned int n)
{
	unsigned int room = c->s.queues[VIRTIO_RTC_ALARMQ].ring.n_free;

	if (n > room)
		n = room;
	if (n > 0 && vfe_rtc_alarmq_fill(&c->s, n, 16))
		return conform_broke(c, "the alarmq: %s", vfe_error(&c->s));
	return true;
}

/* A session with alarms and none set; false: return, whatever the reason. */
static bool begin(struct conform *c, unsigned int buffers, uint16_t *clock)
{
	struct vfe_config cfg;
	int found = conform_alarm_clock(c);

	if (!(c->offered >> VIRTIO_RTC_F_ALARM & 1)) {
		conform_skip_all(c, "VIRTIO_RTC_F_ALARM is not offered");
		return false;
	}
	if (found < 0) {
		conform_skip_all(c, "no clock has an alarm");
		return false;
	}
	*clock = (uint16_t)found;
	conform_config_alarm(c, &cfg);
	return conform_open(c, &cfg) && clear_all(c) && (buffers == 0 || fill(c, buffers));
}

/*
 * Waits for a notification.
 *
 * @return 1 one came; 0 none; -1 conform_broke() was called
 */
static int take(struct conform *c, struct vfe_rtc_alarm_used *used, unsigned int timeout_ms)
{
	int err = vfe_rtc_alarm_take(&c->s, used, timeout_ms);

	if (err == 0)
		return 1;
	if (err == -ETIMEDOUT)
		return 0;
	conform_broke(c, "the alarmq: %s", vfe_error(&c->s));
	return -1;
}

/* The clock of a notification; -1: it is none. */
static int clock_of(const struct vfe_rtc_alarm_used *used)
{
	const uint8_t *b = used->content;

	if (used->used_bytes != 16 || (b[0] | b[1] << 8) != VIRTIO_RTC_NOTIF_ALARM)
		return -1;
	return b[8] | b[9] << 8;
}

/* A notification of the clock comes. false: return. */
static bool want_one(struct conform *c, unsigned int id, uint16_t clock, const char *after)
{
	struct vfe_rtc_alarm_used used;
	int n = take(c, &used, c->options.timeout_ms);

	if (n < 0)
		return false;
	if (n == 0)
		return conform_check(c, id, false, "a notification of the clock",
			"clock %u, after %s: none in %u ms", clock, after, c->options.timeout_ms);
	return conform_check(c, id, clock_of(&used) == clock, "a notification of the clock",
		"clock %u, after %s: one of clock %d", clock, after, clock_of(&used));
}

/* None comes. false: return. */
static bool want_none(struct conform *c, unsigned int id, const char *after)
{
	struct vfe_rtc_alarm_used used;
	int n = take(c, &used, CONFORM_QUIET_MS);

	if (n < 0)
		return false;
	conform_check(c, id, n == 0, "no notification", "%s: one of clock %d", after,
		n ? clock_of(&used) : 0);
	return true;
}

static bool set_enabled(struct conform *c, uint16_t clock, bool enabled)
{
	struct conform_ask ask;
	int status = conform_do(
		c, &ask, MSG_SET_ALARM_ENABLED, clock, enabled ? VIRTIO_RTC_FLAG_ALARM_ENABLED : 0);

	if (status > 0)
		return conform_broke(c, "%s: %s", ask.words, conform_status(status));
	return status == 0;
}

void alarm_messages(struct conform *c)
{
	static const enum conform_message_index messages[] = {
		MSG_READ_ALARM, MSG_SET_ALARM, MSG_SET_ALARM_ENABLED};
	struct vfe_rtc_alarm_used used;
	struct conform_ask ask;
	unsigned int n_without = 0;
	unsigned int served = 0;
	uint16_t clock;
	int n;

	if (!begin(c, 4, &clock))
		return;
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		bool cap;

		if (conform_do(c, &ask, MSG_CLOCK_CAP, i, 0) < 0)
			return;
		cap = ask.resp[10] & VIRTIO_RTC_FLAG_ALARM_CAP;
		n_without += !cap;
		for (unsigned int j = 0; j < 3; j++) {
			/* Time 0, enabled: a clock without alarm must not notify of it. */
			uint8_t flags = j > 0 && !cap ? VIRTIO_RTC_FLAG_ALARM_ENABLED : 0;
			int status = conform_do(c, &ask, messages[j], i, flags);

			if (status < 0)
				return;
			served += status == VIRTIO_RTC_S_OK;
			conform_check(c, RTC_ALARM_6, (status == VIRTIO_RTC_S_OK) == cap,
				cap ? "status 0 (OK): CLOCK_CAP says that it has an alarm"
				    : "not OK: CLOCK_CAP says that it has no alarm",
				"%s: %s", ask.words, conform_status(status));
			if (!cap)
				conform_check(c, RTC_ALARMREQ_2, status == VIRTIO_RTC_S_ENODEV,
					"status 3 (ENODEV)", "%s: %s", ask.words,
					conform_status(status));
		}
	}
	for (unsigned int j = 0; j < 3; j++) {
		int status = conform_do(c, &ask, messages[j], (uint16_t)c->n_clocks, 0);

		if (status < 0)
			return;
		conform_check(c, RTC_OP_6, status == VIRTIO_RTC_S_ENODEV, "status 3 (ENODEV)",
			"%s: %s", ask.words, conform_status(status));
	}
	conform_check(c, RTC_ALARM_4, served > 0, "the alarm messages of a clock",
		"none of %u clocks answers one with status 0 (OK)", c->n_clocks);
	/* And none is notified of, though times were set and enabled. */
	n = take(c, &used, n_without ? CONFORM_QUIET_MS : 0);
	if (n < 0)
		return;
	conform_check(c, RTC_NOTIF_1, n == 0, "no notification: only clocks without alarm were set",
		"one of clock %d", n ? clock_of(&used) : 0);
	conform_skip(c, RTC_ALARMREQ_2, "every clock has an alarm");
}

void alarm_not_negotiated(struct conform *c)
{
	static const enum conform_message_index messages[] = {
		MSG_READ_ALARM, MSG_SET_ALARM, MSG_SET_ALARM_ENABLED};
	struct conform_ask ask;

	if (!conform_open(c, NULL))
		return;
	for (uint32_t i = 0; i <= c->n_clocks && i < 16; i++) {
		for (unsigned int j = 0; j < 3; j++) {
			int status = conform_do(c, &ask, messages[j], (uint16_t)i, 0);

			if (status < 0)
				return;
			conform_check(c, RTC_ALARMREQ_1, status == VIRTIO_RTC_S_ENODEV,
				"status 3 (ENODEV)", "%s: %s", ask.words, conform_status(status));
			conform_check(c, RTC_ALARM_5, status != VIRTIO_RTC_S_OK,
				"another status than 0 (OK)", "%s: %s", ask.words,
				conform_status(status));
		}
	}
}

/* What READ_ALARM gives. */
static bool read_alarm(struct conform *c, uint16_t clock, uint64_t *alarm_ns, bool *enabled)
{
	struct conform_ask ask;
	int status = conform_do(c, &ask, MSG_READ_ALARM, clock, 0);

	if (status > 0)
		return conform_broke(c, "%s: %s", ask.words, conform_status(status));
	*alarm_ns = conform_get(&ask, 8, 8);
	*enabled = ask.resp[16] & VIRTIO_RTC_FLAG_ALARM_ENABLED;
	return status == 0;
}

static bool want_alarm(struct conform *c, unsigned int time_id, unsigned int enabled_id,
	uint16_t clock, uint64_t alarm_ns, bool enabled, const char *after)
{
	uint64_t is_ns = 0;
	bool is_enabled = false;
	char wanted[80];

	if (!read_alarm(c, clock, &is_ns, &is_enabled))
		return false;
	snprintf(wanted, sizeof(wanted), "alarm time %" PRIu64, alarm_ns);
	for (unsigned int i = 0; i < 3; i++) {
		const unsigned int ids[] = {time_id, RTC_ALARMREQ_3, RTC_ALARMREQ_5};

		conform_check(c, ids[i], is_ns == alarm_ns, wanted, "clock %u, after %s: %" PRIu64,
			clock, after, is_ns);
	}
	for (unsigned int i = 0; i < 2; i++)
		conform_check(c, i ? RTC_ALARMREQ_4 : enabled_id, is_enabled == enabled,
			enabled ? "an alarm that is enabled" : "an alarm that is disabled",
			"clock %u, after %s: the other", clock, after);
	return true;
}

void alarm_read_back(struct conform *c)
{
	/* Bytes that differ, the ends, and what has the highest bit. */
	static const uint64_t times_ns[] = {0, 1, UINT64_C(0x0102030405060708), INT64_MAX,
		UINT64_C(0x8000000000000000), UINT64_C(0xfffefdfcfbfaf9f8), UINT64_MAX};
	struct conform_ask ask;
	uint16_t first;

	if (!begin(c, 0, &first))
		return;
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		if (!conform_has_alarm(c, i))
			continue;
		for (unsigned int j = 0; j < sizeof(times_ns) / sizeof(times_ns[0]); j++) {
			for (unsigned int enabled = 0; enabled < 2; enabled++) {
				int status;

				conform_prepare(&ask, MSG_SET_ALARM, i, (uint8_t)enabled);
				conform_put(&ask, 8, times_ns[j], 8);
				status = conform_ask(c, &ask);
				if (status < 0)
					return;
				conform_check(c, RTC_ALARMREQ_6, status == VIRTIO_RTC_S_OK,
					"status 0 (OK)", "%s, alarm time %" PRIu64 ": %s",
					ask.words, times_ns[j], conform_status(status));
				if (!want_alarm(c, RTC_ALARMREQ_7,
					    enabled ? RTC_ALARMREQ_8 : RTC_ALARMREQ_9, i,
					    times_ns[j], enabled, "SET_ALARM"))
					return;
				/* The other way around, and back. */
				for (unsigned int k = 0; k < 2; k++) {
					bool to = k ? enabled : !enabled;

					if (!set_enabled(c, i, to) ||
						!want_alarm(c, RTC_ALARMREQ_12,
							to ? RTC_ALARMREQ_10 : RTC_ALARMREQ_11, i,
							times_ns[j], to, "SET_ALARM_ENABLED"))
						return;
				}
			}
		}
		if (!conform_set_alarm(c, i, 0, false))
			return;
	}
}

void alarm_on_time(struct conform *c)
{
	uint16_t first;

	if (!begin(c, 16, &first))
		return;
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		struct vfe_rtc_alarm_used used;
		uint64_t alarm_ns = 0;
		uint64_t reading_ns = 0;
		int n;

		if (!conform_has_alarm(c, i))
			continue;
		if (!fill(c, 1) || !conform_read(c, i, &reading_ns))
			return;
		alarm_ns = reading_ns + AHEAD_NS;
		if (!conform_set_alarm(c, i, alarm_ns, true))
			return;
		n = take(c, &used, c->options.timeout_ms);
		if (n < 0)
			return;
		conform_check(c, RTC_ALARM_7, n == 1 && clock_of(&used) == i,
			"a notification of the clock", "clock %u, set 8 ms ahead: %s of clock %d",
			i, n ? "one" : "none", n ? clock_of(&used) : i);
		conform_check(c, RTC_ALARMREQ_5, n == 1, "an alarm 8,000,000 ahead after 8 ms",
			"clock %u: none after %u ms", i, c->options.timeout_ms);
		if (!conform_read(c, i, &reading_ns))
			return;
		conform_check(c, RTC_READ_13, n == 0 || reading_ns >= alarm_ns,
			"a reading that does not precede the alarm time",
			"clock %u: %" PRIu64 ", %" PRIu64 " ns before it", i, reading_ns,
			alarm_ns - reading_ns);
		if (!conform_set_alarm(c, i, 0, false))
			return;
	}
}

void alarm_set_late(struct conform *c)
{
	uint64_t now_ns = 0;
	uint16_t clock;

	if (!begin(c, 4, &clock) || !conform_read(c, clock, &now_ns))
		return;
	if (!conform_set_alarm(c, clock, now_ns, true) ||
		!want_one(c, RTC_ALARM_8, clock, "SET_ALARM to a reading that is past"))
		return;
	if (!conform_set_alarm(c, clock, 0, true) ||
		!want_one(c, RTC_ALARM_8, clock, "SET_ALARM to 0, enabled"))
		return;
	if (!conform_set_alarm(c, clock, now_ns, false))
		return;
	want_none(c, RTC_ALARM_8, "SET_ALARM to a reading that is past, not enabled");
}

void alarm_enabled_late(struct conform *c)
{
	uint64_t now_ns = 0;
	uint16_t clock;

	if (!begin(c, 4, &clock) || !conform_read(c, clock, &now_ns))
		return;
	/* Twice: it expires each time, even if it was enabled before. */
	if (!conform_set_alarm(c, clock, now_ns, false) || !set_enabled(c, clock, true) ||
		!want_one(c, RTC_ALARM_9, clock, "SET_ALARM_ENABLED with a time that is past"))
		return;
	if (set_enabled(c, clock, true))
		want_one(c, RTC_ALARM_9, clock, "SET_ALARM_ENABLED once more");
}

void alarm_each_served(struct conform *c)
{
	uint64_t clocks = 0;
	uint16_t first;

	if (!begin(c, 16, &first))
		return;
	for (unsigned int round = 0; round < 3; round++) {
		if (!conform_set_alarm(c, first, 0, true) ||
			!want_one(c, RTC_ALARM_11, first, "an alarm that expires again"))
			return;
		if (!fill(c, 1))
			return;
	}
	/* All clocks of an instant, one buffer after the other. */
	if (!conform_reset(c) || !clear_all(c))
		return;
	for (uint16_t i = 0; i < c->n_clocks && i < 64; i++) {
		if (!conform_has_alarm(c, i))
			continue;
		clocks |= UINT64_C(1) << i;
		if (!conform_set_alarm(c, i, 0, true))
			return;
	}
	while (clocks) {
		struct vfe_rtc_alarm_used used;
		int n;
		int clock;

		if (!fill(c, 1))
			return;
		n = take(c, &used, c->options.timeout_ms);
		if (n < 0)
			return;
		clock = n ? clock_of(&used) : -1;
		if (!conform_check(c, RTC_ALARM_11, clock >= 0 && clock < 64 && clocks >> clock & 1,
			    "a notification of each clock that expired",
			    "%s of clock %d, and of those with a bit in 0x%" PRIx64 " some are due",
			    n ? "one" : "none", clock, clocks))
			return;
		clocks &= ~(UINT64_C(1) << clock);
	}
}

void alarm_notified_once(struct conform *c)
{
	struct vfe_rtc_alarm_used used;
	uint16_t clock;
	int n;

	if (!begin(c, 4, &clock))
		return;
	if (!conform_set_alarm(c, clock, 0, true))
		return;
	n = take(c, &used, c->options.timeout_ms);
	if (n < 0)
		return;
	conform_check(c, RTC_ALARM_12, n == 1 && clock_of(&used) == clock,
		"a notification of 16 bytes, type 0x2000, of the clock", "%s of clock %d, %u bytes",
		n ? "one" : "none", n ? clock_of(&used) : -1, n ? used.used_bytes : 0);
	for (unsigned int i = 0; n == 1 && i < 16; i++)
		if ((i >= 2 && i < 8) || i >= 10)
			conform_check(c, RTC_OP_14, used.content[i] == 0, "0",
				"byte %u of the notification is 0x%02x", i, used.content[i]);
	want_none(c, RTC_ALARM_12, "one expiration and its notification");
}

void alarm_waits_for_a_buffer(struct conform *c)
{
	uint16_t clock;

	if (!begin(c, 0, &clock))
		return;
	if (!conform_set_alarm(c, clock, 0, true))
		return;
	conform_sleep_ms(CONFORM_QUIET_MS);
	if (!fill(c, 2) ||
		!want_one(c, RTC_ALARM_12, clock, "a buffer made available after the expiration"))
		return;
	want_none(c, RTC_ALARM_12, "the notification that had waited for a buffer");
}

void alarm_disabled(struct conform *c)
{
	uint64_t later_ns = 0;
	uint64_t now_ns = 0;
	uint16_t clock;

	if (!begin(c, 0, &clock))
		return;
	/* An expiration that waits for a buffer, and each way to disable. */
	for (unsigned int way = 0; way < 2; way++) {
		if (!conform_set_alarm(c, clock, 0, true))
			return;
		if (!(way ? conform_set_alarm(c, clock, 0, false) : set_enabled(c, clock, false)))
			return;
		if (!fill(c, 1) ||
			!want_none(c, RTC_ALARM_16,
				way ? "SET_ALARM, disabled, of an alarm that had expired"
				    : "SET_ALARM_ENABLED, disabled, of an alarm that had expired"))
			return;
		if (!conform_reset(c) || !clear_all(c))
			return;
	}
	/* One ahead that is disabled before its time. */
	if (!fill(c, 1) || !conform_read(c, clock, &now_ns) ||
		!conform_set_alarm(c, clock, now_ns + AHEAD_NS, true) ||
		!set_enabled(c, clock, false) || !conform_read(c, clock, &later_ns))
		return;
	/* Unless all that took so long that it expired before. */
	if (later_ns < now_ns + AHEAD_NS)
		want_none(c, RTC_ALARM_16, "the time of an alarm that was disabled before it");
}

void alarm_set_anew(struct conform *c)
{
	struct vfe_rtc_alarm_used used;
	unsigned int came = 0;
	uint16_t clock;
	int n;

	if (!begin(c, 0, &clock))
		return;
	/* Two expirations without a buffer: at most two notifications. */
	if (!conform_set_alarm(c, clock, 0, true) || !conform_set_alarm(c, clock, 1, true) ||
		!fill(c, 8))
		return;
	while ((n = take(c, &used, came ? CONFORM_QUIET_MS : c->options.timeout_ms)) > 0)
		came++;
	if (n < 0)
		return;
	conform_check(c, RTC_ALARM_19, came == 1 || came == 2,
		"a notification of the last expiration, and perhaps one of the earlier",
		"%u notifications", came);
	if (!conform_reset(c) || !clear_all(c) || !conform_set_alarm(c, clock, 0, true) ||
		!conform_set_alarm(c, clock, FAR_NS, true) || !fill(c, 8))
		return;
	for (came = 0; (n = take(c, &used, CONFORM_QUIET_MS)) > 0;)
		came++;
	if (n < 0)
		return;
	conform_check(c, RTC_ALARM_17, came <= 1,
		"no notification, or one of the expiration before the alarm was set anew",
		"%u notifications", came);
	conform_set_alarm(c, clock, 0, false);
}

void alarm_over_reset(struct conform *c)
{
	uint64_t alarm_ns = 0;
	uint64_t now_ns = 0;
	bool enabled = false;
	uint16_t clock;

	if (!begin(c, 0, &clock) || !conform_read(c, clock, &now_ns))
		return;
	if (!conform_set_alarm(c, clock, now_ns, true) || !conform_reset(c) ||
		!read_alarm(c, clock, &alarm_ns, &enabled))
		return;
	conform_check(c, RTC_ALARM_1,
		(alarm_ns == now_ns && enabled) || (alarm_ns == 0 && !enabled),
		"alarm time and status both retained, or 0 and disabled",
		"clock %u: alarm time %" PRIu64 " of %" PRIu64 ", %s", clock, alarm_ns, now_ns,
		enabled ? "enabled" : "disabled");
	if (alarm_ns == now_ns && enabled) {
		conform_skip(c, RTC_ALARM_2, "the device retains alarms");
		conform_skip(c, RTC_ALARM_3, "the device retains alarms");
		if (!fill(c, 4) ||
			!want_one(c, RTC_ALARM_10, clock, "a reset behind the alarm time"))
			return;
		/* And again, though it was notified of: each reset is an expiration. */
		if (!conform_reset(c) || !fill(c, 4) ||
			!want_one(c, RTC_ALARM_10, clock, "another reset"))
			return;
		if (!set_enabled(c, clock, false) || !conform_reset(c) || !fill(c, 4))
			return;
		want_none(c, RTC_ALARM_10, "a reset, and the alarm is disabled");
		return;
	}
	conform_skip(c, RTC_ALARM_10, "the device does not retain alarms");
	conform_check(c, RTC_ALARM_2, alarm_ns == 0, "alarm time 0", "%" PRIu64, alarm_ns);
	conform_check(c, RTC_ALARM_3, !enabled, "a disabled alarm", "an enabled one");
}
