/* SPDX-License-Identifier: BSD-3-Clause */
#include "conform.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "counter_here.h"
#include "messages.h"
#include "statements.h"
#include "wire.h"

_Static_assert((unsigned int)CONFORM_STATEMENTS <= CONFORM_STATEMENTS_MAX, "too many");

static void note(struct conform *c, struct conform_result *r, const char *wanted, const char *came)
{
	struct conform_note *n = &r->note[r->failures];

	r->verdict = CONFORM_FAIL;
	if (r->failures++ >= CONFORM_NOTES)
		return;
	n->in = conform_cases[c->in_case].name;
	snprintf(n->wanted, sizeof(n->wanted), "%s", wanted);
	snprintf(n->came, sizeof(n->came), "%s", came);
}

static bool is_of_case(const struct conform *c, unsigned int id)
{
	return conform_statements[id].cases >> c->in_case & 1;
}

/* A case that speaks of what statements.txt does not give to it is a mistake of ours. */
static void want_of_case(const struct conform *c, unsigned int id)
{
	if (is_of_case(c, id))
		return;
	fprintf(stderr,
		"dpdk-rtc-conformance: case %s judges %s, and statements.txt does not say so\n",
		conform_cases[c->in_case].name, conform_statements[id].id);
	abort();
}

bool conform_check(
	struct conform *c, unsigned int id, bool good, const char *wanted, const char *came, ...)
{
	struct conform_result *r = &c->result[id];
	char text[sizeof(r->note[0].came)];
	va_list args;

	want_of_case(c, id);
	r->checks++;
	if (good) {
		if (r->verdict != CONFORM_FAIL)
			r->verdict = CONFORM_PASS;
		return true;
	}
	va_start(args, came);
	vsnprintf(text, sizeof(text), came, args);
	va_end(args);
	note(c, r, wanted, text);
	return false;
}

static void skip(struct conform *c, unsigned int id, const char *reason)
{
	struct conform_result *r = &c->result[id];

	if (r->verdict != CONFORM_OPEN)
		return;
	r->verdict = CONFORM_SKIP;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

void conform_skip(struct conform *c, unsigned int id, const char *reason, ...)
{
	char text[sizeof(c->result[0].reason)];
	va_list args;

	want_of_case(c, id);
	va_start(args, reason);
	vsnprintf(text, sizeof(text), reason, args);
	va_end(args);
	skip(c, id, text);
}

void conform_skip_all(struct conform *c, const char *reason, ...)
{
	char text[sizeof(c->result[0].reason)];
	va_list args;

	va_start(args, reason);
	vsnprintf(text, sizeof(text), reason, args);
	va_end(args);
	for (unsigned int id = 0; id < conform_n_statements; id++)
		if (is_of_case(c, id))
			skip(c, id, text);
}

bool conform_broke(struct conform *c, const char *what, ...)
{
	va_list args;

	va_start(args, what);
	vsnprintf(c->broken.came, sizeof(c->broken.came), what, args);
	va_end(args);
	c->broke = true;
	return false;
}

/* After a case: what it has to judge and did not. */
static void close_case(struct conform *c)
{
	for (unsigned int id = 0; id < conform_n_statements; id++) {
		struct conform_result *r = &c->result[id];
		bool last = conform_statements[id].cases >> c->in_case == 1;

		if (!is_of_case(c, id))
			continue;
		if (c->broke && (r->verdict == CONFORM_OPEN || r->verdict == CONFORM_SKIP))
			note(c, r, "an answer, to be judged", c->broken.came);
		else if (last && r->verdict == CONFORM_OPEN)
			note(c, r, "a judgement of this case",
				"none: a mistake in the conformance suite");
	}
}

void conform_run(struct conform *c, uint64_t cases)
{
	for (unsigned int id = 0; id < conform_n_statements; id++)
		if (conform_statements[id].cases == 0)
			c->result[id].verdict = CONFORM_ELSEWHERE;
	for (c->in_case = 0; c->in_case < conform_n_cases; c->in_case++) {
		if (!(cases >> c->in_case & 1))
			continue;
		c->broke = false;
		conform_cases[c->in_case].run(c);
		conform_close(c);
		close_case(c);
	}
}

/* ---- Sessions. */

void conform_config(const struct conform *c, struct vfe_config *cfg)
{
	vfe_config_default(cfg, c->options.socket_path);
	cfg->timeout_ms = c->options.timeout_ms;
	/* A device that was there comes back after the session before; another does not. */
	cfg->connect_ms = c->offered ? c->options.timeout_ms : 0;
	cfg->features |= UINT64_C(1) << VFE_F_INDIRECT_DESC | UINT64_C(1) << VFE_F_EVENT_IDX;
	cfg->features &= ~c->options.without;
	cfg->indirect = c->options.indirect;
	if (c->options.sleep)
		cfg->wait = VFE_WAIT_SLEEP;
	if (c->options.ring_size)
		cfg->ring_size = c->options.ring_size;
	if (c->options.counter_map)
		cfg->protocol_features |= UINT64_C(1) << VFE_PROTOCOL_F_CONFIG;
	/* The largest ring is 1 MiB, and there are two. */
	if (cfg->ring_size > 1024)
		cfg->mem_bytes = UINT64_C(16) << 20;
}

void conform_config_alarm(const struct conform *c, struct vfe_config *cfg)
{
	conform_config(c, cfg);
	if (!(c->offered >> VIRTIO_RTC_F_ALARM & 1))
		return;
	cfg->features |= UINT64_C(1) << VIRTIO_RTC_F_ALARM;
	cfg->queues = 1u << VIRTIO_RTC_REQUESTQ | 1u << VIRTIO_RTC_ALARMQ;
}

bool conform_init(struct conform *c, const struct vfe_config *given)
{
	struct vfe_config cfg;

	conform_close(c);
	if (c->gone)
		return conform_broke(c, "the device is gone: an earlier case ended it");
	if (given)
		cfg = *given;
	else
		conform_config(c, &cfg);
	if (vfe_session_init(&c->s, &cfg))
		return conform_broke(c, "%s", vfe_error(&c->s));
	c->has_session = true;
	if (cfg.protocol_features >> VFE_PROTOCOL_F_CONFIG & 1) {
		const struct vrtc_counter_map map = conform_counter_map();

		(void)vfe_session_set_counter_map(&c->s, &map);
	}
	return true;
}

bool conform_open(struct conform *c, const struct vfe_config *cfg)
{
	if (!conform_init(c, cfg))
		return false;
	if (vfe_session_start(&c->s)) {
		/* It was waited for; to wait again in every case helps nobody. */
		c->gone = c->s.sock < 0;
		return conform_broke(c, "%s", vfe_error(&c->s));
	}
	return true;
}

void conform_close(struct conform *c)
{
	if (c->has_session)
		vfe_session_fini(&c->s);
	c->has_session = false;
}

bool conform_reset(struct conform *c)
{
	if (vfe_session_reset(&c->s))
		return conform_broke(c, "a device reset: %s", vfe_error(&c->s));
	return true;
}

bool conform_has(const struct conform *c, unsigned int bit)
{
	return c->s.features >> bit & 1;
}

bool conform_request(struct conform *c, const void *req, uint32_t req_bytes, void *resp,
	uint32_t resp_bytes, uint32_t *used_bytes)
{
	if (vfe_rtc_request(
		    &c->s, req, req_bytes, resp, resp_bytes, used_bytes, c->options.timeout_ms))
		return conform_broke(c, "a request of %u bytes with %u for the response: %s",
			req_bytes, resp_bytes, vfe_error(&c->s));
	return true;
}

bool conform_is_alive(struct conform *c)
{
	struct conform_ask ask;

	return conform_do(c, &ask, MSG_CFG, 0, 0) == VIRTIO_RTC_S_OK;
}

void conform_sleep_ms(unsigned int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

bool conform_has_alarm(const struct conform *c, unsigned int clock)
{
	return c->cap[clock].flags & VIRTIO_RTC_FLAG_ALARM_CAP;
}

int conform_alarm_clock(const struct conform *c)
{
	for (unsigned int i = 0; i < c->n_clocks; i++)
		if (conform_has_alarm(c, i))
			return (int)i;
	return -1;
}

int conform_discover(struct conform *c)
{
	struct vfe_config cfg;
	uint16_t n = 0;
	int err;

	/* What is offered is seen by whoever connects; then again with what it is good for. */
	if (!conform_open(c, NULL))
		return -1;
	c->offered = c->s.features_offered & ~c->options.without;
	conform_config_alarm(c, &cfg);
	if (!conform_open(c, &cfg))
		return -1;
	err = vfe_rtc_cfg(&c->s, &n);
	if (err) {
		conform_broke(c, "CFG: %s", err < 0 ? vfe_error(&c->s) : conform_status(err));
		return -1;
	}
	c->n_clocks = n < CONFORM_CLOCKS_MAX ? n : CONFORM_CLOCKS_MAX;
	for (unsigned int i = 0; i < c->n_clocks; i++)
		/* A failure is for the cases to find: then the clock has no capability. */
		if (vfe_rtc_clock_cap(&c->s, (uint16_t)i, &c->cap[i]) != VIRTIO_RTC_S_OK)
			c->cap[i] = (struct vfe_rtc_clock_cap){.type = 0xff};
	conform_close(c);
	return 0;
}
