/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readings and cross-timestamps. virtio-v1.4 RTC Device / Device Operation / Read Requests, and
 * Control Requests as far as a clock can be judged beside the host's own.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "frontend/deadline.h"

#include "counter_here.h"
#include "messages.h"
#include "statements.h"
#include "wire.h"

#define NS_PER_S        INT64_C(1000000000)
#define NS_PER_MS       INT64_C(1000000)
/* How far a clock may be from the host's: a leap second more or less is still noticed. */
#define NEAR_NS         (NS_PER_S / 2)
/* A clock that is smearing is up to half a second from UTC. */
#define NEAR_SMEARED_NS (NS_PER_S * 6 / 10)
#define LEAP_TABLE      "/usr/share/zoneinfo/leap-seconds.list"

static int64_t host_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* TAI - UTC now, by the last line of the table that is past; 0: not known. */
static int64_t tai_utc_s(void)
{
	FILE *file = fopen(LEAP_TABLE, "re");
	unsigned long now_ntp = (unsigned long)time(NULL) + 2208988800ul;
	int64_t found = 0;
	char line[256];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		unsigned long since;
		int offset;

		if (line[0] != '#' && sscanf(line, "%lu %d", &since, &offset) == 2 &&
			since <= now_ntp)
			found = offset;
	}
	fclose(file);
	return found;
}

void every_clock_reads(struct conform *c)
{
	struct conform_ask ask;

	if (!conform_open(c, NULL))
		return;
	if (c->n_clocks == 0)
		conform_skip_all(c, "the device has no clock");
	for (unsigned int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < c->n_clocks; i++) {
			int status = conform_do(c, &ask, MSG_READ, i, 0);

			if (status < 0)
				return;
			/* EIO is for a clock that is lost for a while: a SHOULD. */
			conform_check(c, RTC_READ_1, status == VIRTIO_RTC_S_OK, "status 0 (OK)",
				"%s: %s", ask.words, conform_status(status));
			conform_check(c, RTC_READ_5,
				(status == VIRTIO_RTC_S_OK && ask.used_bytes == 16) ||
					status == VIRTIO_RTC_S_EIO,
				"a reading, or status 5 (EIO) for the time being",
				"%s: %s, %u bytes", ask.words, conform_status(status),
				ask.used_bytes);
		}
	}
}

/* ---- Clocks beside the host's. */

/* A reading, and what a clock of the host showed before and after it. */
struct beside {
	int64_t before_ns;
	int64_t reading_ns;
	int64_t after_ns;
};

static bool look_beside(struct conform *c, uint16_t clock, clockid_t host, struct beside *b)
{
	uint64_t reading_ns = 0;

	b->before_ns = host_ns(host);
	if (!conform_read(c, clock, &reading_ns))
		return false;
	b->after_ns = host_ns(host);
	b->reading_ns = (int64_t)reading_ns;
	return true;
}

/* Whether it is ahead of the host's clock by this; however long the look took. */
static bool is_ahead_by(const struct beside *b, int64_t ns, int64_t near_ns)
{
	return b->reading_ns > b->before_ns + ns - near_ns &&
	       b->reading_ns < b->after_ns + ns + near_ns;
}

static void judge_utc(struct conform *c, uint16_t i, const struct beside *b)
{
	uint8_t type = c->cap[i].type;
	bool maybe = type == VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED;
	const unsigned int ids[] = {type == VIRTIO_RTC_CLOCK_UTC ? RTC_CLOCK_1 : RTC_CLOCK_2,
		RTC_CLOCK_3, RTC_CLOCK_4, RTC_CLOCK_16};
	bool good = is_ahead_by(b, 0, type == VIRTIO_RTC_CLOCK_UTC ? NEAR_NS : NEAR_SMEARED_NS);

	for (unsigned int j = 0; j < (maybe ? 4u : 3u); j++)
		conform_check(c, ids[j], good,
			"a reading as of CLOCK_REALTIME of this host, which is taken for UTC",
			"clock %u (%s) is ahead of it by %" PRId64 " ns", i,
			vfe_rtc_clock_type_name(type), b->reading_ns - b->before_ns);
}

static void judge_tai(struct conform *c, uint16_t i, const struct beside *b)
{
	int64_t offset_s = tai_utc_s();

	for (unsigned int j = 0; j < 2; j++) {
		unsigned int id = j ? RTC_CLOCK_18 : RTC_CLOCK_17;

		if (offset_s == 0)
			conform_skip(c, id, "no " LEAP_TABLE " says what TAI is");
		else
			conform_check(c, id, is_ahead_by(b, offset_s * NS_PER_S, NEAR_NS),
				"CLOCK_REALTIME of this host, and TAI - UTC of " LEAP_TABLE,
				"clock %u (TAI) is ahead of UTC by %" PRId64
				" ns, and TAI by %" PRId64 " s",
				i, b->reading_ns - b->before_ns, offset_s);
	}
}

/* Between two looks it goes on as much as the host's, whose slewing stays below a hundredth. */
static bool judge_rate(struct conform *c, uint16_t i, const struct beside *first)
{
	struct beside b;
	int64_t least_ns;
	int64_t most_ns;
	int64_t gone_ns;

	conform_sleep_ms(40);
	if (!look_beside(c, i, CLOCK_MONOTONIC, &b))
		return false;
	least_ns = b.before_ns - first->after_ns;
	most_ns = b.after_ns - first->before_ns;
	gone_ns = b.reading_ns - first->reading_ns;
	conform_check(c, RTC_CLOCK_19,
		gone_ns >= least_ns - least_ns / 100 && gone_ns <= most_ns + most_ns / 100,
		"as many nanoseconds as CLOCK_MONOTONIC of this host has gone on",
		"clock %u (MONOTONIC): %" PRId64 " ns, of %" PRId64 " to %" PRId64, i, gone_ns,
		least_ns, most_ns);
	return true;
}

void clocks_beside_the_host(struct conform *c)
{
	struct beside b;

	if (!conform_open(c, NULL))
		return;
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		bool monotonic = c->cap[i].type == VIRTIO_RTC_CLOCK_MONOTONIC;

		if (c->cap[i].type > VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED)
			continue;
		if (!look_beside(c, i, monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, &b))
			return;
		if (c->cap[i].type == VIRTIO_RTC_CLOCK_TAI)
			judge_tai(c, i, &b);
		else if (!monotonic)
			judge_utc(c, i, &b);
		else if (!judge_rate(c, i, &b))
			return;
	}
	conform_skip_all(c, "the device has no clock of that type");
}

void monotonic_epoch(struct conform *c)
{
	if (!conform_open(c, NULL))
		return;
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		uint64_t reading_ns = 0;
		int64_t begun_ns;
		int64_t least_ns;

		if (c->cap[i].type != VIRTIO_RTC_CLOCK_MONOTONIC)
			continue;
		if (!conform_reset(c))
			return;
		begun_ns = host_ns(CLOCK_MONOTONIC);
		conform_sleep_ms(10);
		least_ns = host_ns(CLOCK_MONOTONIC) - begun_ns;
		if (!conform_read(c, i, &reading_ns))
			return;
		conform_check(c, RTC_CLOCK_20,
			reading_ns <= INT64_MAX && (int64_t)reading_ns >= least_ns - NS_PER_MS,
			"the time since the reset at least",
			"clock %u: %" PRIu64 " ns, %" PRId64 " ns after the reset", i, reading_ns,
			least_ns);
	}
	conform_skip_all(c, "the device has no clock of type MONOTONIC");
}

void smearing_variants(struct conform *c)
{
	struct conform_ask ask;

	if (!conform_open(c, NULL))
		return;
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		uint8_t variant;

		if (conform_do(c, &ask, MSG_CLOCK_CAP, i, 0) < 0)
			return;
		variant = ask.resp[9];
		if (ask.resp[0] != VIRTIO_RTC_S_OK)
			continue;
		if (ask.resp[8] == VIRTIO_RTC_CLOCK_UTC_SMEARED)
			conform_check(c, RTC_CLOCK_22,
				variant <= VIRTIO_RTC_SMEAR_UTC_SLS || variant >= 0xf0,
				"leap_second_smearing 0 to 2, or 0xf0 and above", "%s: %u",
				ask.words, variant);
		else
			conform_check(c, RTC_CLOCK_21, variant == VIRTIO_RTC_SMEAR_UNSPECIFIED,
				"leap_second_smearing 0 (UNSPECIFIED)", "%s, type %s: %u",
				ask.words, vfe_rtc_clock_type_name(ask.resp[8]), variant);
	}
	conform_skip_all(c, "the device has no clock of that type");
}

/* ---- Order and freshness. */

#define BATCH_MAX 32

/* n READs at once, of the clocks from the first on in turn, made available by one index. */
static bool read_batch(struct conform *c, uint16_t first, unsigned int stride, unsigned int n,
	uint64_t gpa, uint16_t order[BATCH_MAX], uint64_t reading_ns[BATCH_MAX])
{
	struct vfe_ring *ring = &c->s.queues[0].ring;
	uint8_t *host = vfe_mem_host(&c->s.mem, gpa, BATCH_MAX * 64);
	struct conform_ask ask;

	memset(host, 0xa5, BATCH_MAX * 64);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = gpa + i * 64;
		const struct vfe_seg segs[2] = {
			{.gpa = at, .bytes = 16}, {.gpa = at + 16, .bytes = 16, .writable = true}};
		int err;

		conform_prepare(&ask, MSG_READ, (uint16_t)(first + i % stride), 0);
		memcpy(host + (size_t)i * 64, ask.req, 16);
		err = c->s.cfg.indirect ? vfe_ring_add_indirect(ring, segs, 2, at + 32, i, NULL)
					: vfe_ring_add(ring, segs, 2, i, NULL);
		if (err)
			return conform_broke(c, "the requestq has no room");
	}
	vfe_ring_arm_call(ring);
	vfe_ring_publish(ring);
	vfe_session_kick(&c->s, 0, false);
	for (unsigned int i = 0; i < n; i++) {
		struct vfe_done done;

		if (vfe_session_wait_used(&c->s, 0, &done, c->options.timeout_ms))
			return conform_broke(c, "%u READs at once: %s", n, vfe_error(&c->s));
		order[i] = (uint16_t)done.cookie;
	}
	for (unsigned int i = 0; i < n; i++) {
		memcpy(ask.resp, host + (size_t)i * 64 + 16, 16);
		if (ask.resp[0] != VIRTIO_RTC_S_OK)
			return conform_broke(c, "READ of clock %u: %s",
				(unsigned int)(first + i % stride), conform_status(ask.resp[0]));
		reading_ns[i] = conform_get(&ask, 8, 8);
	}
	return true;
}

static unsigned int batch_of(const struct conform *c)
{
	unsigned int room = c->s.queues[0].ring.size / (c->s.cfg.indirect ? 1u : 2u);

	return room < BATCH_MAX ? room : BATCH_MAX;
}

void reads_in_order(struct conform *c)
{
	uint16_t order[BATCH_MAX];
	uint64_t reading_ns[BATCH_MAX];
	uint64_t gpa;
	unsigned int n;

	if (!conform_open(c, NULL))
		return;
	if (c->n_clocks == 0) {
		conform_skip_all(c, "the device has no clock");
		return;
	}
	n = batch_of(c);
	gpa = vfe_mem_alloc(&c->s.mem, BATCH_MAX * 64, 64);
	/* Each clock for itself, then all of them mixed. */
	for (unsigned int i = 0; i <= c->n_clocks; i++) {
		bool mixed = i == c->n_clocks;
		unsigned int stride = mixed ? c->n_clocks : 1;
		uint16_t first = (uint16_t)(mixed ? 0 : i);
		uint64_t last_ns = 0;

		for (unsigned int round = 0; round < 4; round++) {
			if (!read_batch(c, first, stride, n, gpa, order, reading_ns))
				return;
			for (unsigned int j = 0; j < n; j++) {
				unsigned int earlier = j;

				/* The latest before it of the same clock. */
				while (earlier > 0 &&
					order[earlier - 1] % stride != order[j] % stride)
					earlier--;
				if (earlier > 0)
					conform_check(c, RTC_READ_3, order[earlier - 1] < order[j],
						"the order in which they were made available",
						"request %u of %u came back before request %u",
						order[earlier - 1], n, order[j]);
				else
					conform_check(c, RTC_READ_3, order[j] < stride,
						"the first of the clock's requests first",
						"request %u came back first", order[j]);
			}
			if (mixed)
				continue;
			for (unsigned int j = 0; j < n; j++) {
				bool good = j + round == 0 || reading_ns[j] >= last_ns;

				/* A clock that steps back just then is told from this by nobody. */
				conform_check(c, RTC_READ_2, good,
					"no reading before that of an earlier request",
					"clock %u: %" PRIu64 " after %" PRIu64, first,
					reading_ns[j], last_ns);
				if (c->cap[i].type == VIRTIO_RTC_CLOCK_MONOTONIC)
					conform_check(c, RTC_READ_4, good,
						"no reading less than an earlier one",
						"clock %u: %" PRIu64 " after %" PRIu64, first,
						reading_ns[j], last_ns);
				last_ns = reading_ns[j];
			}
		}
	}
	conform_skip(c, RTC_READ_4, "the device has no clock of type MONOTONIC");
}

void readings_are_nanoseconds(struct conform *c)
{
	if (!conform_open(c, NULL))
		return;
	if (c->n_clocks == 0)
		conform_skip_all(c, "the device has no clock");
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		uint64_t first_ns = 0;
		uint64_t second_ns = 0;
		int64_t before_ns;
		int64_t took_ns;

		if (c->cap[i].type > VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED)
			continue;
		before_ns = vfe_now_ns();
		if (!conform_read(c, i, &first_ns))
			return;
		conform_sleep_ms(5);
		if (!conform_read(c, i, &second_ns))
			return;
		took_ns = vfe_now_ns() - before_ns;
		conform_check(c, RTC_READ_6,
			second_ns - first_ns > 4 * NS_PER_MS &&
				second_ns - first_ns < (uint64_t)(took_ns + took_ns / 100),
			"5,000,000 more after 5 ms, and no more than the time it took",
			"clock %u: %" PRIu64 " more in %" PRId64 " ns at most", i,
			second_ns - first_ns, took_ns);
	}
	conform_skip_all(c, "no clock is of a type that VIRTIO 1.4 lists");
}

void readings_are_fresh(struct conform *c)
{
	if (!conform_open(c, NULL))
		return;
	if (c->n_clocks == 0)
		conform_skip_all(c, "the device has no clock");
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		for (unsigned int round = 0; round < 8; round++) {
			uint64_t first_ns = 0;
			uint64_t second_ns = 0;
			int64_t from_ns;
			int64_t pause_ns;

			if (!conform_read(c, i, &first_ns))
				return;
			from_ns = vfe_now_ns();
			conform_sleep_ms(1);
			pause_ns = vfe_now_ns() - from_ns;
			if (!conform_read(c, i, &second_ns))
				return;
			/* A hundredth for a clock that is slewed. */
			conform_check(c, RTC_READ_7,
				(int64_t)(second_ns - first_ns) >= pause_ns - pause_ns / 100,
				"a reading taken after its request was made available",
				"clock %u: %" PRId64
				" ns more than the reading before, which was back %" PRId64
				" ns before this request",
				i, (int64_t)(second_ns - first_ns), pause_ns);
		}
	}
}

/* ---- Cross-timestamps. */

void cross_cap_agrees(struct conform *c)
{
	static const uint8_t counters[] = {
		VIRTIO_RTC_COUNTER_ARM_VCT, VIRTIO_RTC_COUNTER_X86_TSC, 2, 0xf0, 0xfe, 0xff};
	struct conform_ask cap;
	struct conform_ask cross;

	if (!conform_open(c, NULL))
		return;
	if (c->n_clocks == 0)
		conform_skip_all(c, "the device has no clock");
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		for (unsigned int j = 0; j < sizeof(counters); j++) {
			bool supported;
			int status;

			if (conform_do(c, &cap, MSG_CROSS_CAP, i, counters[j]) < 0)
				return;
			status = conform_do(c, &cross, MSG_READ_CROSS, i, counters[j]);
			if (status < 0)
				return;
			supported = cap.resp[0] == VIRTIO_RTC_S_OK &&
				    cap.resp[8] & VIRTIO_RTC_FLAG_CROSS_CAP;
			conform_check(c, RTC_CLOCK_23, supported == (status == VIRTIO_RTC_S_OK),
				supported
					? "status 0 (OK), since CROSS_CAP sets its flag"
					: "another status than 0 (OK), since CROSS_CAP has no flag",
				"%s: %s", cross.words, conform_status(status));
			if (!supported)
				conform_check(c, RTC_READ_10, status != VIRTIO_RTC_S_OK,
					"another status than 0 (OK)", "%s: %s", cross.words,
					conform_status(status));
		}
	}
	conform_skip(c, RTC_READ_10, "every clock has cross-timestamps with every counter");
}

void cross_pairs(struct conform *c)
{
	/* With a map of ours the guest's counter is not the host's. */
	uint64_t ahead = c->options.counter_map ? CONFORM_COUNTER_OFFSET : 0;
	struct conform_ask ask;
	bool any = false;

	if (!conform_open(c, NULL))
		return;
	for (uint16_t i = 0; i < c->n_clocks; i++) {
		uint64_t last_cycles = 0;
		uint64_t last_ns = 0;

		if (conform_do(c, &ask, MSG_CROSS_CAP, i, CONFORM_COUNTER) < 0)
			return;
		if (ask.resp[0] != VIRTIO_RTC_S_OK || !(ask.resp[8] & VIRTIO_RTC_FLAG_CROSS_CAP))
			continue;
		any = true;
		for (unsigned int round = 0; round < 50; round++) {
			uint64_t before = conform_counter();
			int64_t before_ns = vfe_now_ns();
			uint64_t after;
			uint64_t cycles;
			uint64_t ns;
			int status = conform_do(c, &ask, MSG_READ_CROSS, i, CONFORM_COUNTER);

			after = conform_counter();
			if (status < 0)
				return;
			if (status != VIRTIO_RTC_S_OK) {
				conform_broke(c, "%s: %s, and CROSS_CAP offers it", ask.words,
					conform_status(status));
				return;
			}
			cycles = conform_get(&ask, 16, 8) - ahead;
			conform_check(c, RTC_READ_8, cycles >= before && cycles <= after,
				"what the guest's counter shows between request and answer",
				"%s: %" PRIu64 " cycles, of %" PRIu64 " to %" PRIu64, ask.words,
				cycles, before, after);
			conform_check(c, RTC_READ_11, cycles >= last_cycles,
				"a counter that does not go back",
				"%s: %" PRIu64 " cycles after %" PRIu64, ask.words, cycles,
				last_cycles);
			last_cycles = cycles;
			/* The clock beside it goes on as a READ's does. */
			ns = conform_get(&ask, 8, 8);
			if (!conform_read(c, i, &last_ns))
				return;
			conform_check(c, RTC_READ_12,
				last_ns - ns < (uint64_t)(vfe_now_ns() - before_ns) + NS_PER_MS,
				"the nanoseconds that READ gives just after it",
				"%s: %" PRIu64 " ns, then READ %" PRIu64, ask.words, ns, last_ns);
		}
	}
	if (!any)
		conform_skip_all(c, "no cross-timestamps with this machine's counter; a VMM's map "
				    "(--counter-map) may be what is missing");
}
