/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/deadline.h"
#include "wire.h"

/* A leap-seconds.list has 11 KB. */
#define LEAP_BYTES_MAX 65536

/* Of so many readings of a clock the one with the shortest round trip is shown. */
#define TRIES 5

static void begin(struct probe *p, enum probe_step step)
{
	p->step = step;
	p->session.deadline_ns = vfe_deadline_in_ms(p->options.timeout_ms);
}

static void load_leap_table(struct vrtc_leap_table *table, const char *path)
{
	static char text[LEAP_BYTES_MAX];
	FILE *f = fopen(path, "re");
	size_t bytes;

	memset(table, 0, sizeof(*table));
	if (!f)
		return;
	bytes = fread(text, 1, sizeof(text), f);
	/* A table that is not good is left empty by the parser. */
	if (!ferror(f) && bytes < sizeof(text))
		vrtc_leap_parse(table, text, bytes, NULL);
	fclose(f);
}

int probe_init(struct probe *p, const struct probe_options *options, const char *leap_table)
{
	struct vfe_config cfg;

	memset(p, 0, sizeof(*p));
	p->options = *options;
	load_leap_table(&p->leap, leap_table);
	vfe_config_default(&cfg, options->socket_path);
	cfg.listen = options->listen;
	cfg.timeout_ms = options->timeout_ms;
	cfg.wait = options->wait;
	if (options->alarms)
		cfg.features |= 1ull << VIRTIO_RTC_F_ALARM;
	if (options->alarm_clock >= 0)
		cfg.queues |= 1u << VIRTIO_RTC_ALARMQ;
	cfg.features_required = 1ull << VFE_F_VERSION_1;
	return vfe_session_init(&p->session, &cfg);
}

void probe_fini(struct probe *p)
{
	/* Stopped rather than dropped, as far as the back-end still listens. */
	if (p->session.sock >= 0) {
		p->session.deadline_ns = vfe_deadline_in_ms(200);
		vfe_session_stop(&p->session);
	}
	vfe_session_fini(&p->session);
	free(p->clocks);
	free(p->samples_ns);
}

/* One clock's capabilities; a status other than OK is the device's answer, not an error. */
static int ask_clock(struct probe *p, struct probe_clock *c)
{
	static const uint8_t counters[2] = {VIRTIO_RTC_COUNTER_ARM_VCT, VIRTIO_RTC_COUNTER_X86_TSC};

	c->cap_status = vfe_rtc_clock_cap(&p->session, c->id, &c->cap);
	if (c->cap_status < 0)
		return c->cap_status;
	if (c->cap_status == VIRTIO_RTC_S_OK && (c->cap.flags & VIRTIO_RTC_FLAG_ALARM_CAP)) {
		c->alarm_status =
			vfe_rtc_read_alarm(&p->session, c->id, &c->alarm_ns, &c->alarm_enabled);
		if (c->alarm_status < 0)
			return c->alarm_status;
	}
	for (int i = 0; i < 2; i++) {
		c->cross_status[i] =
			vfe_rtc_cross_cap(&p->session, c->id, counters[i], &c->cross[i]);
		if (c->cross_status[i] < 0)
			return c->cross_status[i];
	}
	return 0;
}

bool probe_knows_alarms(const struct probe *p)
{
	return (p->session.features >> VIRTIO_RTC_F_ALARM & 1) != 0;
}

int probe_discover(struct probe *p)
{
	uint16_t n_clocks = 0;
	uint16_t n_again = 0;
	int err;

	begin(p, PROBE_CONNECT);
	err = vfe_session_connect(&p->session);
	if (err)
		return err;
	begin(p, PROBE_NEGOTIATE);
	err = vfe_session_negotiate(&p->session);
	if (!err)
		err = vfe_session_set_mem_table(&p->session);
	if (!err)
		err = vfe_session_queue_start(&p->session, VIRTIO_RTC_REQUESTQ);
	if (err)
		return err;
	if (p->options.alarm_clock >= 0 && !probe_knows_alarms(p)) {
		p->step = PROBE_ALARM;
		return vfe_session_fail(&p->session, -ENOTSUP,
			"--alarm=%d: the device offers no alarms", p->options.alarm_clock);
	}
	begin(p, PROBE_CFG);
	err = vfe_rtc_cfg(&p->session, &n_clocks);
	if (!err)
		err = vfe_rtc_cfg(&p->session, &n_again);
	if (err)
		return err;
	/* "The device MUST emit the same response": what answers at random is found out here. */
	if (n_again != n_clocks)
		return vfe_session_fail(&p->session, -EPROTO,
			"CFG: answered with %u clocks, and again with %u", n_clocks, n_again);

	begin(p, PROBE_CLOCKS);
	p->clocks = calloc(n_clocks + 1u, sizeof(p->clocks[0]));
	if (!p->clocks)
		return vfe_session_fail(&p->session, -ENOMEM, "out of memory");
	p->n_clocks = n_clocks;
	for (unsigned int i = 0; !err && i < n_clocks; i++) {
		p->clocks[i].id = (uint16_t)i;
		err = ask_clock(p, &p->clocks[i]);
	}
	return err;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* What the host has that a clock of this type should agree with. */
static bool host_clock_of(uint8_t type, clockid_t *id, const char **name)
{
	switch (type) {
	case VIRTIO_RTC_CLOCK_UTC:
	case VIRTIO_RTC_CLOCK_UTC_SMEARED:
	case VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED:
		*id = CLOCK_REALTIME;
		*name = "CLOCK_REALTIME";
		return true;
	case VIRTIO_RTC_CLOCK_TAI:
		*id = CLOCK_TAI;
		*name = "CLOCK_TAI";
		return true;
	case VIRTIO_RTC_CLOCK_MONOTONIC:
		*id = CLOCK_BOOTTIME;
		*name = "CLOCK_BOOTTIME";
		return true;
	default:
		return false;
	}
}

static int read_once(struct probe *p, const struct probe_clock *c, struct probe_reading *r)
{
	clockid_t host = CLOCK_MONOTONIC;
	int64_t before_ns, sent_ns, came_ns, after_ns;

	memset(r, 0, sizeof(*r));
	host_clock_of(c->cap.type, &host, &r->host_name);
	before_ns = clock_ns(host);
	sent_ns = vfe_now_ns();
	r->status = vfe_rtc_read(&p->session, c->id, &r->reading_ns);
	came_ns = vfe_now_ns();
	after_ns = clock_ns(host);
	r->round_trip_ns = came_ns - sent_ns;
	r->host_ns = before_ns + (after_ns - before_ns) / 2;
	if (c->cap.type == VIRTIO_RTC_CLOCK_TAI) {
		/* The two clocks of the host differ by whole seconds, read at any moment. */
		int64_t ahead_ns = clock_ns(CLOCK_TAI) - clock_ns(CLOCK_REALTIME);
		int64_t utc_ns = r->host_ns - (ahead_ns + 500000000) / 1000000000 * 1000000000;
		int64_t last_ns;

		r->table_known = vrtc_leap_tai_from_utc(&p->leap, utc_ns, &r->table_ns, &last_ns) ==
				 VRTC_LEAP_OK;
	}
	return r->status < 0 ? r->status : 0;
}

int probe_read_all(struct probe *p)
{
	begin(p, PROBE_READINGS);
	for (unsigned int i = 0; i < p->n_clocks; i++) {
		struct probe_clock *c = &p->clocks[i];

		if (c->cap_status != VIRTIO_RTC_S_OK)
			continue;
		for (int t = 0; t < TRIES; t++) {
			struct probe_reading r;
			int err = read_once(p, c, &r);

			if (err)
				return err;
			if (t == 0 || (r.status == VIRTIO_RTC_S_OK &&
					      r.round_trip_ns < c->reading.round_trip_ns))
				c->reading = r;
		}
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int probe_round_trips(struct probe *p)
{
	struct probe_round_trips *r = &p->round_trips;
	const struct probe_clock *c = NULL;
	unsigned int n = 0;

	memset(r, 0, sizeof(*r));
	for (unsigned int i = 0; !c && i < p->n_clocks; i++)
		if (p->clocks[i].cap_status == VIRTIO_RTC_S_OK &&
			p->clocks[i].reading.status == VIRTIO_RTC_S_OK)
			c = &p->clocks[i];
	if (!c || p->options.count == 0)
		return 0;
	if (!p->samples_ns)
		p->samples_ns = malloc(sizeof(p->samples_ns[0]) * p->options.count);
	if (!p->samples_ns)
		return vfe_session_fail(
			&p->session, -ENOMEM, "out of memory for %u readings", p->options.count);

	begin(p, PROBE_ROUND_TRIPS);
	while (n < p->options.count) {
		uint64_t reading_ns;
		int64_t sent_ns = vfe_now_ns();
		int64_t took_ns;
		int status;

		/* The time is up, and what is measured is worth showing. */
		if (n > 0 && sent_ns >= p->session.deadline_ns)
			break;
		status = vfe_rtc_read(&p->session, c->id, &reading_ns);
		took_ns = vfe_now_ns() - sent_ns;
		if (status < 0)
			return status;
		if (status != VIRTIO_RTC_S_OK)
			return vfe_session_fail(&p->session, -EIO,
				"READ of clock %u: answered with status %d (%s) after %u good answers",
				c->id, status, vfe_rtc_status_name((uint8_t)status), n);
		p->samples_ns[n++] = took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;
	}
	qsort(p->samples_ns, n, sizeof(p->samples_ns[0]), by_value);
	*r = (struct probe_round_trips){
		.n = n,
		.clock_id = c->id,
		.min_ns = p->samples_ns[0],
		.median_ns = p->samples_ns[n / 2],
		.p99_ns = p->samples_ns[n - 1 - n / 100],
		.max_ns = p->samples_ns[n - 1],
	};
	return 0;
}
