/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests that do to their queues what a driver must never do, through a front-end that keeps to the
 * protocol. The queue of such a guest is broken, with one line in the log, and served again when
 * its driver has reset the device; nothing is written to it meanwhile; the process lives, and the
 * neighbour's readings, from the same lcore, are right.
 *
 * tests/unit/test_vring*.c has more ways to be wrong, each byte accounted for; here they come in
 * from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "frontend/deadline.h"
#include "frontend/rtc.h"
#include "neighbour.h"
#include "wire.h"

#define F_NEXT     1
#define F_WRITE    2
#define F_INDIRECT 4
#define F_AVAIL    0x80
#define F_USED     0x8000

#define NOWHERE  0x777700000000u
#define SIZE     256
/* Of a queue that must not be served: how long nothing may happen. */
#define QUIET_MS 5

struct guest {
	struct vfe_session session;
	struct vfe_ring *ring;
	uint64_t gpa; /* of 64 KiB for tables and buffers */
	uint8_t *host;
	uint16_t idx; /* of the available ring */
};

static void begin(struct guest *g, uint64_t features, uint16_t ring_size)
{
	struct vfe_config cfg;

	memset(g, 0, sizeof(*g));
	fixture_config(&neighbour_fixture, &cfg);
	cfg.ring_size = ring_size;
	cfg.features |= features;
	cfg.features_required |= features;
	fixture_connect_as(&g->session, &cfg);
	g->ring = &g->session.queues[0].ring;
	g->gpa = vfe_mem_alloc(&g->session.mem, 64 << 10, 4096);
	assert_true(g->gpa != VFE_GPA_NONE);
	g->host = vfe_mem_host(&g->session.mem, g->gpa, 64 << 10);
	assert_non_null(g->host);
}

/* Whatever it did before: after a reset its device is as good as new. */
static void end(struct guest *g)
{
	assert_int_equal(vfe_session_reset(&g->session), 0);
	fixture_check_all_clocks(&g->session);
	vfe_session_fini(&g->session);
}

static void put(struct vfe_desc *d, uint64_t gpa, uint32_t bytes, uint16_t flags, uint16_t next)
{
	const struct vfe_desc desc = {.gpa = gpa, .bytes = bytes, .flags = flags, .next = next};
	uint64_t word[2];

	/* Atomic for the thread that flips bytes. */
	memcpy(word, &desc, sizeof(word));
	__atomic_store_n((uint64_t *)(void *)d, word[0], __ATOMIC_RELAXED);
	__atomic_store_n((uint64_t *)(void *)d + 1, word[1], __ATOMIC_RELAXED);
}

static struct vfe_desc *table(struct guest *g)
{
	return (struct vfe_desc *)(void *)(g->host + 0x8000);
}

static uint64_t table_gpa(const struct guest *g)
{
	return g->gpa + 0x8000;
}

/* Makes a chain available, and the index so much larger. */
static void offer(struct guest *g, uint16_t head, uint16_t by)
{
	__atomic_store_n(&g->ring->avail->ring[g->idx % g->ring->size], head, __ATOMIC_RELAXED);
	g->idx = (uint16_t)(g->idx + by);
	__atomic_store_n(&g->ring->avail->idx, g->idx, __ATOMIC_RELEASE);
	vfe_session_kick(&g->session, 0, true);
}

/* ---- Split rings: each of these breaks the queue. */

static void loop(struct guest *g)
{
	put(&g->ring->desc[0], g->gpa, 8, F_NEXT, 1);
	put(&g->ring->desc[1], g->gpa, 8, F_NEXT, 0);
	offer(g, 0, 1);
}

static void loop_of_one(struct guest *g)
{
	put(&g->ring->desc[0], g->gpa, 0, F_NEXT, 0);
	offer(g, 0, 1);
}

static void next_out_of_range(struct guest *g)
{
	put(&g->ring->desc[0], g->gpa, 8, F_NEXT, SIZE);
	offer(g, 0, 1);
}

static void head_out_of_range(struct guest *g)
{
	offer(g, 0xffff, 1);
}

static void nowhere(struct guest *g)
{
	put(&g->ring->desc[0], NOWHERE, 16, 0, 0);
	offer(g, 0, 1);
}

static void writable_nowhere(struct guest *g)
{
	put(&g->ring->desc[0], g->gpa, 16, F_NEXT, 1);
	put(&g->ring->desc[1], NOWHERE, 16, F_WRITE, 0);
	offer(g, 0, 1);
}

static void address_that_wraps(struct guest *g)
{
	put(&g->ring->desc[0], UINT64_MAX - 3, 16, 0, 0);
	offer(g, 0, 1);
}

static void end_of_memory(struct guest *g)
{
	const struct vfe_region *r = &g->session.mem.regions[0];

	put(&g->ring->desc[0], r->gpa + r->bytes - 8, 16, 0, 0);
	offer(g, 0, 1);
}

static void four_gigabytes(struct guest *g)
{
	put(&g->ring->desc[0], g->gpa, 16, F_NEXT, 1);
	put(&g->ring->desc[1], g->gpa, UINT32_MAX, F_WRITE, 0);
	offer(g, 0, 1);
}

static void readable_behind_writable(struct guest *g)
{
	put(&g->ring->desc[0], g->gpa, 16, F_WRITE | F_NEXT, 1);
	put(&g->ring->desc[1], g->gpa + 64, 16, 0, 0);
	offer(g, 0, 1);
}

static void refer(struct guest *g, uint32_t bytes, uint16_t flags)
{
	put(&g->ring->desc[0], table_gpa(g), bytes, (uint16_t)(F_INDIRECT | flags), 1);
	offer(g, 0, 1);
}

static void table_in_a_table(struct guest *g)
{
	put(&table(g)[0], table_gpa(g) + 256, 16, F_INDIRECT, 0);
	refer(g, 16, 0);
}

static void table_with_next(struct guest *g)
{
	refer(g, 16, F_NEXT);
}

static void table_of_an_odd_length(struct guest *g)
{
	refer(g, 17, 0);
}

static void table_of_no_length(struct guest *g)
{
	refer(g, 0, 0);
}

static void table_that_is_nowhere(struct guest *g)
{
	put(&g->ring->desc[0], NOWHERE, 32, F_INDIRECT, 0);
	offer(g, 0, 1);
}

static void table_that_leaves_the_memory(struct guest *g)
{
	put(&g->ring->desc[0], table_gpa(g), 0xfffffff0, F_INDIRECT, 0);
	offer(g, 0, 1);
}

static void table_with_a_loop(struct guest *g)
{
	put(&table(g)[0], g->gpa, 8, F_NEXT, 1);
	put(&table(g)[1], g->gpa, 8, F_NEXT, 0);
	refer(g, 32, 0);
}

static void table_whose_next_is_outside(struct guest *g)
{
	put(&table(g)[0], g->gpa, 8, F_NEXT, 2);
	refer(g, 32, 0);
}

static void table_longer_than_the_queue(struct guest *g)
{
	for (uint16_t i = 0; i <= SIZE; i++)
		put(&table(g)[i], g->gpa, 1, i < SIZE ? F_NEXT : 0, (uint16_t)(i + 1));
	refer(g, (SIZE + 1) * 16, 0);
}

static void index_too_far_ahead(struct guest *g)
{
	put(&g->ring->desc[0], g->gpa, 16, 0, 0);
	offer(g, 0, SIZE + 1);
}

static void index_that_goes_back(struct guest *g)
{
	offer(g, 0, UINT16_MAX);
}

static const char LONG[] = "a chain has more descriptors than its queue, or is a loop";
static const char AWAY[] = "a buffer is not in the guest's memory";
static const char AHEAD[] = "the available index is ahead by more than the queue's size";
static const char ODD[] = "the length of an indirect table is zero or no multiple of 16";
static const char NO_TABLE[] = "an indirect table is not in the guest's memory";

static const struct way {
	const char *name;
	void (*spoil)(struct guest *g);
	const char *fault;
} split_ways[] = {
	{"a loop", loop, LONG},
	{"a loop of one descriptor of no length", loop_of_one, LONG},
	{"next out of range", next_out_of_range, "outside of the descriptor table"},
	{"a head out of range", head_out_of_range, "the head of a chain is outside"},
	{"a readable buffer nowhere", nowhere, AWAY},
	{"a writable buffer nowhere", writable_nowhere, AWAY},
	{"an address that wraps", address_that_wraps, AWAY},
	{"a buffer across the end of memory", end_of_memory, AWAY},
	{"a buffer of 4 GiB", four_gigabytes, AWAY},
	{"readable behind writable", readable_behind_writable, "follows a device-writable one"},
	{"a table in a table", table_in_a_table, "an indirect descriptor in an indirect table"},
	{"a table with NEXT", table_with_next, "both INDIRECT and NEXT"},
	{"a table of 17 bytes", table_of_an_odd_length, ODD},
	{"a table of no byte", table_of_no_length, ODD},
	{"a table nowhere", table_that_is_nowhere, NO_TABLE},
	{"a table of 4 GiB", table_that_leaves_the_memory, NO_TABLE},
	{"a loop in a table", table_with_a_loop, LONG},
	{"next outside of the table", table_whose_next_is_outside, "outside of its indirect table"},
	{"a table longer than the queue", table_longer_than_the_queue, LONG},
	{"an index too far ahead", index_too_far_ahead, AHEAD},
	{"an index that goes back; 65,535 requests at once", index_that_goes_back, AHEAD},
};

/*
 * Has a guest break its queue. The line about it comes once, whatever the guest does then, and its
 * memory stays as it is.
 */
static void check_broken(struct guest *g, const struct way *way)
{
	static uint8_t before[64 << 10];
	unsigned lines = fixture_log_lines(&neighbour_fixture, way->fault);

	way->spoil(g);
	neighbour_count(1);
	vfe_session_kick(&g->session, 0, true);
	fixture_wait_log(&neighbour_fixture, way->fault, lines + 1);
	memcpy(before, g->host, sizeof(before));
	vfe_session_kick(&g->session, 0, true);
	fixture_sleep_ms(QUIET_MS);
	if (memcmp(before, g->host, sizeof(before)) != 0)
		fail_msg("%s: the device wrote to a guest whose queue is broken", way->name);
	if (!g->ring->packed && g->ring->used->idx != 0)
		fail_msg("%s: something was used", way->name);
	assert_int_equal(fixture_log_lines(&neighbour_fixture, way->fault), lines + 1);
}

static void a_split_ring_that_breaks_the_rules_is_broken_until_it_is_reset(void **state)
{
	(void)state;
	neighbour_begin(__func__);
	for (size_t i = 0; i < sizeof(split_ways) / sizeof(split_ways[0]); i++) {
		struct guest g;

		begin(&g, 1ull << VFE_F_INDIRECT_DESC, SIZE);
		check_broken(&g, &split_ways[i]);
		end(&g);
	}
	neighbour_end();
}

static void table_as_it_should_be(struct guest *g)
{
	put(&table(g)[0], g->gpa, 16, 0, 0);
	refer(g, 16, 0);
}

static void a_table_that_was_not_negotiated_breaks_the_ring(void **state)
{
	static const struct way way = {
		"a table", table_as_it_should_be, "INDIRECT_DESC was not negotiated"};
	struct guest g;

	(void)state;
	neighbour_begin(__func__);
	begin(&g, 0, SIZE);
	assert_int_equal(g.session.features & 1ull << VFE_F_INDIRECT_DESC, 0);
	check_broken(&g, &way);
	end(&g);
	neighbour_end();
}

/* ---- Packed rings. */

static void put_packed(struct guest *g, unsigned at, uint64_t gpa, uint32_t bytes, unsigned flags)
{
	struct vfe_packed_desc *d = &g->ring->packed_desc[at];

	d->gpa = gpa;
	d->bytes = bytes;
	d->id = (uint16_t)at;
	__atomic_store_n(&d->flags, (uint16_t)flags, __ATOMIC_RELEASE);
}

static void packed_nowhere(struct guest *g)
{
	put_packed(g, 0, NOWHERE, 16, F_AVAIL);
}

static void packed_readable_behind_writable(struct guest *g)
{
	put_packed(g, 1, g->gpa, 16, F_AVAIL);
	put_packed(g, 0, g->gpa + 64, 16, F_AVAIL | F_WRITE | F_NEXT);
}

static void packed_longer_than_the_queue(struct guest *g)
{
	for (unsigned i = SIZE; i-- > 0;)
		put_packed(g, i, g->gpa, 1, F_AVAIL | F_NEXT);
}

static void packed_without_its_second(struct guest *g)
{
	put_packed(g, 0, g->gpa, 16, F_AVAIL | F_NEXT);
}

static void packed_table_behind_a_buffer(struct guest *g)
{
	put_packed(g, 1, table_gpa(g), 32, F_AVAIL | F_INDIRECT);
	put_packed(g, 0, g->gpa, 16, F_AVAIL | F_NEXT);
}

static void packed_table_of_an_odd_length(struct guest *g)
{
	put_packed(g, 0, table_gpa(g), 33, F_AVAIL | F_INDIRECT);
}

static void packed_table_that_is_nowhere(struct guest *g)
{
	put_packed(g, 0, NOWHERE, 32, F_AVAIL | F_INDIRECT);
}

static const struct way packed_ways[] = {
	{"a buffer nowhere", packed_nowhere, AWAY},
	{"readable behind writable", packed_readable_behind_writable,
		"follows a device-writable one"},
	/* Its end is where it began, an entry that is of the other lap now. */
	{"a chain longer than the queue", packed_longer_than_the_queue,
		"a descriptor of a chain is not marked as available"},
	{"a chain without its second", packed_without_its_second,
		"a descriptor of a chain is not marked as available"},
	{"a table behind a buffer", packed_table_behind_a_buffer,
		"an indirect descriptor is linked to a direct one"},
	{"a table of 33 bytes", packed_table_of_an_odd_length, ODD},
	{"a table nowhere", packed_table_that_is_nowhere, NO_TABLE},
};

static void a_packed_ring_that_breaks_the_rules_is_broken_until_it_is_reset(void **state)
{
	(void)state;
	neighbour_begin(__func__);
	for (size_t i = 0; i < sizeof(packed_ways) / sizeof(packed_ways[0]); i++) {
		struct guest g;

		begin(&g, 1ull << VFE_F_RING_PACKED | 1ull << VFE_F_INDIRECT_DESC, SIZE);
		assert_true(g.ring->packed);
		check_broken(&g, &packed_ways[i]);
		end(&g);
	}
	neighbour_end();
}

/* ---- What is odd and allowed. */

static void wait_used(struct guest *g, uint16_t idx)
{
	int64_t deadline_ns = vfe_deadline_in_ms(FIXTURE_WAIT_MS);

	while (__atomic_load_n(&g->ring->used->idx, __ATOMIC_ACQUIRE) != idx) {
		if (vfe_now_ns() > deadline_ns)
			fail_msg("used are %u, not %u", g->ring->used->idx, idx);
		fixture_sleep_ms(1);
	}
}

static void a_request_of_no_byte_is_einval(void **state)
{
	struct guest g;

	(void)state;
	neighbour_begin(__func__);
	begin(&g, 0, SIZE);
	/* The address of no byte is not looked at. */
	put(&g.ring->desc[0], NOWHERE, 0, F_NEXT, 1);
	put(&g.ring->desc[1], g.gpa, 16, F_WRITE, 0);
	offer(&g, 0, 1);
	wait_used(&g, 1);
	assert_int_equal(g.host[0], VIRTIO_RTC_S_EINVAL);
	end(&g);
	neighbour_end();
}

static void table_of_two(struct guest *g)
{
	put(&table(g)[0], g->gpa, 16, F_NEXT, 1);
	put(&table(g)[1], g->gpa + 64, 16, F_WRITE, 0);
	refer(g, 32, 0);
}

static void a_queue_of_one_entry_is_served(void **state)
{
	static const struct way two = {"two descriptors", table_of_two, LONG};
	struct guest g;

	(void)state;
	neighbour_begin(__func__);
	begin(&g, 1ull << VFE_F_INDIRECT_DESC, 1);
	for (uint16_t n = 1; n <= 300; n++) {
		/* A buffer to be written alone: there is no room for a request. */
		put(&g.ring->desc[0], g.gpa, 16, F_WRITE, 0);
		memset(g.host, 0xa5, 16);
		offer(&g, 0, 1);
		wait_used(&g, n);
		assert_int_equal(g.ring->used->ring[0].bytes, 8);
		assert_int_equal(g.host[0], VIRTIO_RTC_S_EINVAL);
		assert_int_equal(g.host[8], 0xa5);
	}
	vfe_session_fini(&g.session);
	/* Two descriptors are more than the queue's size, in a table, too. */
	begin(&g, 1ull << VFE_F_INDIRECT_DESC, 1);
	check_broken(&g, &two);
	vfe_session_fini(&g.session);
	neighbour_end();
}

static void a_queue_of_32768_entries_is_served_when_it_is_full(void **state)
{
	const uint16_t full = 32768;
	struct guest g;

	(void)state;
	neighbour_begin(__func__);
	begin(&g, 0, full);
	*(uint16_t *)(void *)g.host = VIRTIO_RTC_REQ_CFG;
	for (uint16_t i = 0; i < full; i++) {
		put(&g.ring->desc[i], g.gpa, 8, 0, 0);
		g.ring->avail->ring[i] = i;
	}
	offer(&g, 0, full);
	wait_used(&g, full);
	offer(&g, 0, full);
	wait_used(&g, 0);
	end(&g);
	neighbour_end();
}

/* ---- Rings that are none. */

static void rings_at_odd_addresses_are_refused(void **state)
{
	static const char line[] = "a ring is missing, misaligned or of a bad size";
	static const struct {
		unsigned desc, avail, used;
	} shifts[] = {{8, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 2}, {0, 0, 1}};

	unsigned lines = fixture_log_lines(&neighbour_fixture, line);

	(void)state;
	neighbour_begin(__func__);
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		struct vfe_session s;
		struct vfe_config cfg;
		struct vfe_ring *ring;

		fixture_config(&neighbour_fixture, &cfg);
		assert_int_equal(vfe_session_init(&s, &cfg), 0);
		ring = &s.queues[0].ring;
		ring->desc = (void *)((uint8_t *)ring->desc + shifts[i].desc);
		ring->avail = (void *)((uint8_t *)ring->avail + shifts[i].avail);
		ring->used = (void *)((uint8_t *)ring->used + shifts[i].used);
		ring->desc_gpa += shifts[i].desc;
		ring->avail_gpa += shifts[i].avail;
		ring->used_gpa += shifts[i].used;
		/* Refused now or not served later: the daemon says which, and lives. */
		(void)vfe_session_start(&s);
		fixture_sleep_ms(QUIET_MS);
		ring->desc = (void *)((uint8_t *)ring->desc - shifts[i].desc);
		ring->avail = (void *)((uint8_t *)ring->avail - shifts[i].avail);
		ring->used = (void *)((uint8_t *)ring->used - shifts[i].used);
		vfe_session_fini(&s);
	}
	fixture_wait_log(&neighbour_fixture, line, lines + 5);
	neighbour_end();
}

/* ---- The alarmq. */

static void an_alarmq_flooded_with_useless_buffers_costs_the_notification_a_wait_alone(void **state)
{
	struct vfe_rtc_part readable = {.bytes = 16, .writable = false};
	struct vfe_session s;
	struct vfe_config cfg;
	uint16_t clock_id = 0xffff;

	(void)state;
	neighbour_begin(__func__);
	fixture_config(&neighbour_fixture, &cfg);
	cfg.queues = 3;
	cfg.features |= 1ull << VIRTIO_RTC_F_ALARM;
	fixture_connect_as(&s, &cfg);
	for (unsigned round = 0; round < 20; round++) {
		struct vfe_rtc_alarm_used used;
		unsigned n = 0;

		/* All of them too small, or not to be written; 256 entries. */
		assert_int_equal(vfe_rtc_alarmq_fill(&s, 128, round % 2 ? 1 : 15), 0);
		for (unsigned i = 0; i < 128; i++)
			assert_int_equal(vfe_rtc_alarmq_add(&s, &readable, 1, false), 0);
		/* Past, so it expires at once. */
		assert_int_equal(vfe_rtc_set_alarm(&s, 0, 1, true), 0);
		while (n < 256 && vfe_rtc_alarm_take(&s, &used, FIXTURE_WAIT_MS) == 0) {
			assert_int_equal(used.used_bytes, 0);
			n++;
		}
		assert_int_equal(n, 256);
		neighbour_count(n);
		/* The first that is good has it. */
		assert_int_equal(vfe_rtc_alarmq_fill(&s, 1, 16), 0);
		assert_int_equal(vfe_rtc_alarm_wait(&s, &clock_id, false, FIXTURE_WAIT_MS), 0);
		assert_int_equal(clock_id, 0);
	}
	vfe_session_fini(&s);
	neighbour_end();
}

/* ---- Memory that changes while it is read. */

struct flipper {
	uint8_t *at[3]; /* descriptors, available ring, tables and buffers */
	size_t bytes[3];
	atomic_bool end;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	uint64_t state = 0x9e3779b97f4a7c15u;

	while (!atomic_load_explicit(&f->end, memory_order_relaxed)) {
		uint8_t *g_byte;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		g_byte = f->at[state % 3] + (state >> 8) % f->bytes[state % 3];
		__atomic_fetch_xor(g_byte, (uint8_t)(1u << (state >> 5 & 7)), __ATOMIC_RELAXED);
	}
	return NULL;
}

static void offer_anything(struct guest *g, unsigned round)
{
	for (uint16_t i = 0; i < 16; i += 2) {
		put(&g->ring->desc[i], g->gpa + 64u * i, 16, F_NEXT, (uint16_t)(i + 1));
		put(&g->ring->desc[i + 1], g->gpa + 64u * i + 2048, 24, F_WRITE, 0);
		__atomic_store_n((uint16_t *)(void *)(g->host + 64u * i),
			round % 2 ? VIRTIO_RTC_REQ_READ : VIRTIO_RTC_REQ_CFG, __ATOMIC_RELAXED);
		offer(g, i, 1);
	}
}

static void bytes_that_flip_while_they_are_read_harm_nobody_else(void **state)
{
	unsigned answered = 0, broken;

	(void)state;
	neighbour_begin(__func__);
	broken = fixture_log_lines(&neighbour_fixture, "requestq is broken: ");
	for (unsigned round = 0; round < 60; round++) {
		struct flipper f = {.end = false};
		struct guest g;
		pthread_t thread;

		begin(&g, 1ull << VFE_F_INDIRECT_DESC, SIZE);
		f.at[0] = (uint8_t *)g.ring->desc;
		f.bytes[0] = 16 * 16;
		f.at[1] = (uint8_t *)g.ring->avail;
		f.bytes[1] = 4 + 2 * SIZE;
		f.at[2] = g.host;
		f.bytes[2] = 4096;
		assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
		for (unsigned i = 0; i < 20; i++)
			offer_anything(&g, i);
		fixture_sleep_ms(2);
		atomic_store(&f.end, true);
		pthread_join(thread, NULL);
		answered += g.ring->used->idx;
		neighbour_count(1);
		end(&g);
	}
	print_message("%u requests answered, %u queues broken\n", answered,
		fixture_log_lines(&neighbour_fixture, "requestq is broken: ") - broken);
	neighbour_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_split_ring_that_breaks_the_rules_is_broken_until_it_is_reset),
		cmocka_unit_test(a_table_that_was_not_negotiated_breaks_the_ring),
		cmocka_unit_test(a_packed_ring_that_breaks_the_rules_is_broken_until_it_is_reset),
		cmocka_unit_test(a_request_of_no_byte_is_einval),
		cmocka_unit_test(a_queue_of_one_entry_is_served),
		cmocka_unit_test(a_queue_of_32768_entries_is_served_when_it_is_full),
		cmocka_unit_test(rings_at_odd_addresses_are_refused),
		cmocka_unit_test(
			an_alarmq_flooded_with_useless_buffers_costs_the_notification_a_wait_alone),
		cmocka_unit_test(bytes_that_flip_while_they_are_read_harm_nobody_else),
	};

	return cmocka_run_group_tests(tests, neighbour_group_setup, neighbour_group_teardown);
}
