/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vring.c against a driver that is written here from the specification's text, and not from
 * vring.c: its own numbers, its own address translation, its own reading of the event indices.
 *
 * The guest has three regions: the rings, and two of buffers which are neighbours for the guest and
 * lie the other way round, with gaps, in our memory. All is one block, so that comparing the block
 * with a copy of it shows each byte that was written where none should be.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pop_ahead.h"
#include "vring.h"

#define F_NEXT     1
#define F_WRITE    2
#define F_INDIRECT 4

#define RINGS_GPA 0x8000u
#define LOW_GPA   0x40000000u
#define GAP       64u /* of host memory, between regions and at the ends */
#define NOWHERE   0x7777000u

enum { EVENT_IDX = 1, INDIRECT = 2 };

struct guest {
	uint8_t *host;
	uint8_t *snapshot;
	size_t host_bytes;
	uint8_t *rings;
	uint8_t *low;
	uint8_t *high;
	uint32_t rings_bytes;
	uint32_t buffer_bytes; /* of low, and of high */
	uint32_t high_gpa;
	uint8_t *desc;
	uint8_t *avail;
	uint8_t *used;
	uint16_t size;
	uint16_t avail_idx;
	bool event_idx;
	struct vrtc_guestmem mem;
	struct vrtc_vring_config config;
	struct vrtc_vring ring;
};

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void set_desc(
	uint8_t *table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *d = table + 16 * (size_t)i;

	put32(d, (uint32_t)addr);
	put32(d + 4, (uint32_t)(addr >> 32));
	put32(d + 8, len);
	put16(d + 12, flags);
	put16(d + 14, next);
}

/* The host address of one guest byte, or NULL. */
static uint8_t *at(const struct guest *g, uint64_t gpa)
{
	if (gpa >= RINGS_GPA && gpa < (uint64_t)RINGS_GPA + g->rings_bytes)
		return g->rings + (gpa - RINGS_GPA);
	if (gpa >= LOW_GPA && gpa < (uint64_t)LOW_GPA + g->buffer_bytes)
		return g->low + (gpa - LOW_GPA);
	if (gpa >= g->high_gpa && gpa < (uint64_t)g->high_gpa + g->buffer_bytes)
		return g->high + (gpa - g->high_gpa);
	return NULL;
}

static void restart(struct guest *g, uint16_t base)
{
	g->avail_idx = base;
	put16(g->avail + 2, base);
	put16(g->used + 2, base);
	g->config.base = base;
	assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
	assert_null(vrtc_vring_fault(&g->ring));
}

static struct guest *new_guest(uint16_t size, uint32_t buffer_bytes, int features)
{
	struct guest *g = calloc(1, sizeof(*g));
	uint32_t avail_at = 16 * (uint32_t)size;
	uint32_t used_at = (avail_at + 6 + 2 * (uint32_t)size + 3) / 4 * 4;
	size_t rings_bytes = used_at + 6 + 8 * (uint32_t)size;
	size_t rings_room = (rings_bytes + 15) / 16 * 16;

	assert_non_null(g);
	g->size = size;
	g->event_idx = (features & EVENT_IDX) != 0;
	g->buffer_bytes = buffer_bytes;
	g->rings_bytes = (uint32_t)rings_bytes;
	g->high_gpa = LOW_GPA + buffer_bytes;
	g->host_bytes = GAP + buffer_bytes + GAP + buffer_bytes + GAP + rings_room + GAP;
	g->host = aligned_alloc(64, (g->host_bytes + 63) / 64 * 64);
	g->snapshot = malloc(g->host_bytes);
	assert_non_null(g->host);
	assert_non_null(g->snapshot);
	memset(g->host, 0xee, g->host_bytes);
	g->high = g->host + GAP;
	g->low = g->high + buffer_bytes + GAP;
	g->rings = g->low + buffer_bytes + GAP;
	memset(g->rings, 0, rings_bytes);
	g->desc = g->rings;
	g->avail = g->rings + avail_at;
	g->used = g->rings + used_at;

	assert_int_equal(vrtc_guestmem_add(&g->mem, RINGS_GPA, rings_bytes, g->rings), 0);
	assert_int_equal(vrtc_guestmem_add(&g->mem, LOW_GPA, buffer_bytes, g->low), 0);
	assert_int_equal(vrtc_guestmem_add(&g->mem, g->high_gpa, buffer_bytes, g->high), 0);
	g->config = (struct vrtc_vring_config){
		.mem = &g->mem,
		.g_desc = g->desc,
		.g_driver = g->avail,
		.g_device = g->used,
		.size = size,
		.event_idx = g->event_idx,
		.indirect = (features & INDIRECT) != 0,
	};
	restart(g, 0);
	return g;
}

static void free_guest(struct guest *g)
{
	free(g->snapshot);
	free(g->host);
	free(g);
}

static void offer(struct guest *g, uint16_t head)
{
	put16(g->avail + 4 + 2 * (g->avail_idx % g->size), head);
	put16(g->avail + 2, ++g->avail_idx);
}

static void set_flags(struct guest *g, uint16_t flags)
{
	put16(g->avail, flags);
}

static void set_used_event(struct guest *g, uint16_t event)
{
	put16(g->avail + 4 + 2 * (size_t)g->size, event);
}

static uint16_t avail_event(const struct guest *g)
{
	return get16(g->used + 4 + 8 * (size_t)g->size);
}

static uint16_t used_idx(const struct guest *g)
{
	return get16(g->used + 2);
}

static void take_snapshot(struct guest *g)
{
	memcpy(g->snapshot, g->host, g->host_bytes);
}

static void assert_untouched(const struct guest *g)
{
	assert_memory_equal(g->host, g->snapshot, g->host_bytes);
}

/* What the device is to do to this byte. */
static void expect_byte(struct guest *g, const uint8_t *where, uint8_t value)
{
	g->snapshot[where - g->host] = value;
}

static void expect_used(struct guest *g, uint16_t idx, uint32_t id, uint32_t len)
{
	uint8_t *e = g->snapshot + (g->used - g->host) + 4 + 8 * (size_t)(idx % g->size);

	put32(e, id);
	put32(e + 4, len);
	put16(g->snapshot + (g->used - g->host) + 2, (uint16_t)(idx + 1));
}

static const uint8_t pattern[VRTC_RESP_BYTES_MAX] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
	0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6,
	0xb7};

/* The next chain breaks the ring for this reason, for ever, and no byte is written. */
static void assert_breaks(struct guest *g, const char *part_of_fault)
{
	struct vrtc_chain chain;
	uint16_t base = vrtc_vring_base(&g->ring);

	take_snapshot(g);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_BROKEN);
	assert_non_null(vrtc_vring_fault(&g->ring));
	if (strstr(vrtc_vring_fault(&g->ring), part_of_fault) == NULL)
		fail_msg("broken by: %s", vrtc_vring_fault(&g->ring));
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_BROKEN);
	assert_false(vrtc_vring_publish(&g->ring));
	vrtc_vring_kick_disable(&g->ring);
	assert_false(vrtc_vring_kick_enable(&g->ring));
	assert_int_equal(vrtc_vring_base(&g->ring), base);
	assert_untouched(g);
}

/* Serves the one chain on offer; each byte of guest memory is accounted for. */
static void assert_served(struct guest *g, struct vrtc_chain *chain, uint32_t resp_bytes)
{
	uint16_t idx = used_idx(g);

	take_snapshot(g);
	assert_int_equal(vrtc_vring_pop(&g->ring, chain), VRTC_VRING_CHAIN);
	assert_untouched(g);
	vrtc_vring_push(&g->ring, chain, pattern, resp_bytes);
	assert_int_equal(used_idx(g), idx);
	vrtc_vring_publish(&g->ring);
	expect_used(g, idx, chain->id, resp_bytes);
	for (unsigned s = 0, done = 0; s < chain->n_segments; s++)
		for (unsigned i = 0; i < chain->segment[s].bytes && done < resp_bytes; i++)
			expect_byte(g, chain->segment[s].g_base + i, pattern[done++]);
	assert_untouched(g);
	assert_int_equal(vrtc_vring_base(&g->ring), (uint16_t)(idx + 1));
}

/* A request of 16 bytes in LOW, a response of 16 in HIGH: what nearly every driver does. */
static void offer_usual(struct guest *g, uint16_t head)
{
	uint16_t second = (uint16_t)((head + 1) % g->size);

	set_desc(g->desc, head, LOW_GPA + 64, 16, F_NEXT, second);
	set_desc(g->desc, second, g->high_gpa + 64, 16, F_WRITE, 0);
	offer(g, head);
}

/* ---- start ---- */

static void size_is_a_power_of_two_up_to_32768(void **state)
{
	struct guest *g = new_guest(32768, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	for (unsigned size = 0; size <= UINT16_MAX; size++) {
		bool good = size != 0 && size <= 32768 && __builtin_popcount(size) == 1;

		g->config.size = (uint16_t)size;
		assert_int_equal(vrtc_vring_start(&g->ring, &g->config), good ? 0 : -EINVAL);
		assert_int_equal(vrtc_vring_fault(&g->ring) == NULL, good);
		if (!good)
			assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_BROKEN);
	}
	free_guest(g);
}

static void null_or_misaligned_areas_are_einval(void **state)
{
	struct guest *g = new_guest(8, 256, EVENT_IDX);
	struct vrtc_vring_config good = g->config;
	struct vrtc_vring_config bad;

	(void)state;
	for (uintptr_t off = 1; off < 16; off++) {
		bad = good;
		bad.g_desc = (const uint8_t *)good.g_desc + off;
		assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EINVAL);
	}
	bad = good;
	bad.g_driver = (const uint8_t *)good.g_driver - 1;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EINVAL);
	for (uintptr_t off = 1; off < 4; off++) {
		bad = good;
		bad.g_device = (uint8_t *)good.g_device - off;
		assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EINVAL);
	}
	bad = good;
	bad.g_desc = NULL;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EINVAL);
	bad = good;
	bad.g_driver = NULL;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EINVAL);
	bad = good;
	bad.g_device = NULL;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EINVAL);
	bad = good;
	bad.mem = NULL;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EINVAL);
	assert_non_null(vrtc_vring_fault(&g->ring));
	free_guest(g);
}

static void areas_that_leave_their_region_are_efault(void **state)
{
	struct guest *g = new_guest(8, 256, EVENT_IDX);
	struct vrtc_vring_config bad = g->config;

	(void)state;
	/* The device area ends exactly with the region: nothing more fits. */
	bad.g_device = (uint8_t *)g->config.g_device + 4;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EFAULT);
	assert_string_equal(
		vrtc_vring_start_error(-EFAULT), "a ring lies outside of the guest's memory");
	bad = g->config;
	bad.g_driver = g->rings + g->rings_bytes - 6 - 16 + 2;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EFAULT);
	bad = g->config;
	bad.g_desc = g->rings - 16;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EFAULT);
	bad = g->config;
	bad.size = 16;
	assert_int_equal(vrtc_vring_start(&g->ring, &bad), -EFAULT);
	assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
	free_guest(g);
}

static void start_writes_nothing(void **state)
{
	struct guest *g = new_guest(8, 256, EVENT_IDX);

	(void)state;
	take_snapshot(g);
	assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
	assert_untouched(g);
	free_guest(g);
}

static void what_a_predecessor_left_unanswered_is_served_again(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	restart(g, 65534);
	for (uint16_t i = 0; i < 3; i++) {
		set_desc(g->desc, i, LOW_GPA, 16, 0, 0);
		offer(g, i);
	}
	/* Two were popped by it, none was answered. */
	g->config.base = 0;
	assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
	assert_int_equal(vrtc_vring_base(&g->ring), 65534);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		assert_int_equal(chain.id, i);
		vrtc_vring_push(&g->ring, &chain, pattern, 0);
	}
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_EMPTY);
	vrtc_vring_publish(&g->ring);
	assert_int_equal(used_idx(g), 1);
	assert_int_equal(vrtc_vring_base(&g->ring), 1);
	free_guest(g);
}

static void a_used_index_that_contradicts_the_base_breaks_the_ring(void **state)
{
	struct guest *g = new_guest(8, 256, 0);

	(void)state;
	put16(g->used + 2, 100);
	g->config.base = 108;
	assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
	assert_null(vrtc_vring_fault(&g->ring));
	g->config.base = 109;
	assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
	assert_int_equal(vrtc_vring_base(&g->ring), 109);
	assert_breaks(g, "contradicts the base");
	g->config.base = 99;
	assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
	assert_breaks(g, "contradicts the base");
	free_guest(g);
}

/* ---- the usual ---- */

static void an_empty_ring_is_empty(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	take_snapshot(g);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_EMPTY);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_EMPTY);
	assert_false(vrtc_vring_publish(&g->ring));
	assert_untouched(g);
	free_guest(g);
}

static void a_request_is_copied_and_its_response_is_used_with_the_exact_length(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	for (uint32_t len = 0; len <= 16; len++) {
		memset(at(g, LOW_GPA + 64), (int)(0x30 + len), 16);
		offer_usual(g, (uint16_t)(len % 8));
		assert_served(g, &chain, len);
		assert_int_equal(chain.id, len % 8);
		assert_int_equal(chain.readable_bytes, 16);
		assert_int_equal(chain.writable_bytes, 16);
		assert_int_equal(chain.n_segments, 1);
		assert_ptr_equal(chain.segment[0].g_base, at(g, g->high_gpa + 64));
		for (unsigned i = 0; i < VRTC_REQ_BYTES_MAX; i++)
			assert_int_equal(chain.req[i], i < 16 ? 0x30 + len : 0);
	}
	free_guest(g);
}

static void a_request_that_changes_after_the_pop_is_not_read_again(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	memset(at(g, LOW_GPA + 64), 0x11, 16);
	offer_usual(g, 0);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
	memset(at(g, LOW_GPA + 64), 0x22, 16);
	/* Nor are its descriptors: the response goes where it was to go when it was popped. */
	set_desc(g->desc, 1, NOWHERE, 16, 0, 0);
	assert_int_equal(chain.req[0], 0x11);
	vrtc_vring_push(&g->ring, &chain, pattern, 16);
	assert_memory_equal(at(g, g->high_gpa + 64), pattern, 16);
	free_guest(g);
}

static void buffers_at_odd_addresses_are_served(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	for (uint32_t i = 0; i < 256; i++)
		*at(g, LOW_GPA + i) = (uint8_t)i;
	for (uint32_t off = 0; off < 9; off++) {
		set_desc(g->desc, 0, LOW_GPA + off, 24, F_NEXT, 1);
		set_desc(g->desc, 1, g->high_gpa + off, 24, F_WRITE, 0);
		offer(g, 0);
		assert_served(g, &chain, 24);
		assert_memory_equal(chain.req, at(g, LOW_GPA + off), 24);
		assert_memory_equal(at(g, g->high_gpa + off), pattern, 24);
	}
	free_guest(g);
}

static void more_than_24_bytes_are_counted_and_neither_copied_nor_written(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	set_desc(g->desc, 0, LOW_GPA, 20, F_NEXT, 1);
	set_desc(g->desc, 1, LOW_GPA + 20, 180, F_NEXT, 2);
	set_desc(g->desc, 2, g->high_gpa, 20, F_NEXT | F_WRITE, 3);
	set_desc(g->desc, 3, g->high_gpa + 40, 30, F_NEXT | F_WRITE, 4);
	set_desc(g->desc, 4, g->high_gpa + 100, 30, F_WRITE, 0);
	offer(g, 0);
	assert_served(g, &chain, 24);
	assert_int_equal(chain.readable_bytes, 200);
	assert_int_equal(chain.writable_bytes, 80);
	assert_int_equal(chain.n_segments, 2);
	assert_int_equal(chain.segment[1].bytes, 4);
	free_guest(g);
}

static void chains_of_one_side_only_are_served(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	set_desc(g->desc, 5, LOW_GPA, 16, 0, 0);
	offer(g, 5);
	assert_served(g, &chain, 0);
	assert_int_equal(chain.writable_bytes, 0);
	assert_int_equal(chain.n_segments, 0);
	set_desc(g->desc, 6, LOW_GPA, 16, F_WRITE, 0);
	offer(g, 6);
	assert_served(g, &chain, 16);
	assert_int_equal(chain.readable_bytes, 0);
	free_guest(g);
}

static void next_is_ignored_without_the_next_flag(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	set_desc(g->desc, 0, LOW_GPA, 16, 0xfff8, 0xffff); /* and so are unknown flags */
	offer(g, 0);
	assert_served(g, &chain, 0);
	free_guest(g);
}

static void descriptors_of_length_zero_add_nothing_wherever_they_point(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	set_desc(g->desc, 0, NOWHERE, 0, F_NEXT, 1);
	set_desc(g->desc, 1, LOW_GPA, 8, F_NEXT, 2);
	set_desc(g->desc, 2, UINT64_MAX, 0, F_NEXT, 3);
	set_desc(g->desc, 3, NOWHERE, 0, F_NEXT | F_WRITE, 4);
	set_desc(g->desc, 4, g->high_gpa, 8, F_NEXT | F_WRITE, 5);
	set_desc(g->desc, 5, 0, 0, F_WRITE, 0);
	offer(g, 0);
	assert_served(g, &chain, 8);
	assert_int_equal(chain.readable_bytes, 8);
	assert_int_equal(chain.writable_bytes, 8);
	assert_int_equal(chain.n_segments, 1);

	set_desc(g->desc, 0, NOWHERE, 0, 0, 0);
	offer(g, 0);
	assert_served(g, &chain, 0);
	assert_int_equal(chain.readable_bytes, 0);

	/* But they keep the order of the two kinds. */
	set_desc(g->desc, 0, NOWHERE, 0, F_NEXT | F_WRITE, 1);
	set_desc(g->desc, 1, LOW_GPA, 8, 0, 0);
	offer(g, 0);
	assert_breaks(g, "follows a device-writable");
	free_guest(g);
}

static void chains_are_used_in_the_order_in_which_they_were_made_available(void **state)
{
	struct guest *g = new_guest(16, 256, 0);
	struct vrtc_chain chain[16];
	struct vrtc_chain none;
	const uint16_t heads[16] = {3, 9, 0, 15, 7, 1, 2, 14, 13, 4, 5, 6, 8, 10, 12, 11};

	(void)state;
	restart(g, 65530);
	for (unsigned i = 0; i < 16; i++) {
		set_desc(g->desc, heads[i], LOW_GPA + i, 1 + i, 0, 0);
		offer(g, heads[i]);
	}
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain[i]), VRTC_VRING_CHAIN);
		assert_int_equal(chain[i].id, heads[i]);
		assert_int_equal(chain[i].readable_bytes, 1 + i);
	}
	assert_int_equal(vrtc_vring_pop(&g->ring, &none), VRTC_VRING_EMPTY);
	assert_int_equal(vrtc_vring_base(&g->ring), 65530);
	for (unsigned i = 0; i < 16; i++)
		vrtc_vring_push(&g->ring, &chain[i], pattern, 0);
	assert_int_equal(used_idx(g), 65530);
	assert_true(vrtc_vring_publish(&g->ring));
	assert_int_equal(used_idx(g), 10);
	for (unsigned i = 0; i < 16; i++) {
		unsigned slot = (65530 + i) % 16;

		assert_int_equal(get32(g->used + 4 + 8 * slot), heads[i]);
		assert_int_equal(get32(g->used + 8 + 8 * slot), 0);
	}
	free_guest(g);
}

static void indices_wrap_at_65536_for_all_sizes(void **state)
{
	const uint16_t sizes[] = {1, 2, 64, 1024, 32768};

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct guest *g = new_guest(sizes[s], 256, 0);
		struct vrtc_chain chain;

		restart(g, 65500);
		for (unsigned i = 0; i < 70000; i++) {
			uint16_t head = (uint16_t)(i * 7 % sizes[s]);

			set_desc(g->desc, head, LOW_GPA, 8, F_WRITE, 0);
			offer(g, head);
			assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
			vrtc_vring_push(&g->ring, &chain, pattern, i % 9);
			assert_true(vrtc_vring_publish(&g->ring));
			assert_int_equal(used_idx(g), (uint16_t)(65500 + i + 1));
			assert_int_equal(
				get32(g->used + 4 + 8 * ((65500 + i) % 65536 % sizes[s])), head);
			assert_int_equal(
				get32(g->used + 8 + 8 * ((65500 + i) % 65536 % sizes[s])), i % 9);
		}
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_EMPTY);
		free_guest(g);
	}
}

static void a_full_ring_of_32768_is_served(void **state)
{
	struct guest *g = new_guest(32768, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	restart(g, 40000);
	for (unsigned i = 0; i < 32768; i++) {
		set_desc(g->desc, i, LOW_GPA, 8, 0, 0);
		offer(g, (uint16_t)i);
	}
	for (unsigned i = 0; i < 32768; i++) {
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		assert_int_equal(chain.id, i);
		vrtc_vring_push(&g->ring, &chain, pattern, 0);
	}
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_EMPTY);
	assert_true(vrtc_vring_publish(&g->ring));
	assert_int_equal(used_idx(g), (uint16_t)(40000 + 32768));
	free_guest(g);
}

/* ---- framing ---- */

enum layout { DIRECT, WHOLLY_INDIRECT, MIXED, LAYOUTS };

/*
 * Offers the elements of two compositions (readable, writable) with the descriptors in the given
 * layout and in scattered order; elements lie in LOW resp. HIGH, with gaps of one byte.
 */
static void offer_framed(struct guest *g, enum layout layout, const uint8_t *r, unsigned n_r,
	const uint8_t *w, unsigned n_w, const uint8_t *expected_req)
{
	unsigned n = n_r + n_w;
	unsigned direct = layout == DIRECT ? n : layout == MIXED ? n / 2 : 0;
	uint32_t table_gpa = g->high_gpa + 1024; /* 16-aligned */
	uint32_t r_gpa = LOW_GPA + 3;
	uint32_t w_gpa = g->high_gpa + 5;
	unsigned req_bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		bool write = i >= n_r;
		uint8_t len = write ? w[i - n_r] : r[i];
		uint32_t gpa = write ? w_gpa : r_gpa;
		bool last = i + 1 == n;
		uint16_t flags = (uint16_t)((write ? F_WRITE : 0) | (last ? 0 : F_NEXT));

		if (write) {
			w_gpa += len + 1u;
		} else {
			for (unsigned b = 0; b < len; b++)
				*at(g, r_gpa + b) = expected_req[req_bytes++];
			r_gpa += len + 1u;
		}
		/* A stride of 5 visits each of the 64 descriptors once. */
		if (i < direct)
			set_desc(
				g->desc, i * 5 % 64, gpa, len, flags, (uint16_t)((i + 1) * 5 % 64));
		else
			set_desc(at(g, table_gpa), (i - direct) * 5 % 64, gpa, len, flags,
				(uint16_t)((i - direct + 1) * 5 % 64));
	}
	if (direct < n)
		set_desc(g->desc, direct * 5 % 64, table_gpa, 64 * 16, F_INDIRECT, 0);
	offer(g, 0);
}

static void assert_framed(struct guest *g, enum layout layout, const uint8_t *r, unsigned n_r,
	const uint8_t *w, unsigned n_w)
{
	uint8_t req[VRTC_REQ_BYTES_MAX] = {0};
	unsigned readable = 0;
	unsigned writable = 0;
	struct vrtc_chain chain;
	uint32_t w_gpa = g->high_gpa + 5;
	unsigned done = 0;

	for (unsigned i = 0; i < n_r; i++)
		readable += r[i];
	for (unsigned i = 0; i < n_w; i++)
		writable += w[i];
	for (unsigned i = 0; i < readable; i++)
		req[i] = (uint8_t)rand();
	offer_framed(g, layout, r, n_r, w, n_w, req);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
	assert_int_equal(chain.readable_bytes, readable);
	assert_int_equal(chain.writable_bytes, writable);
	assert_int_equal(chain.n_segments, n_w);
	assert_memory_equal(chain.req, req, sizeof(req));

	memset(g->high, 0xee, 128);
	vrtc_vring_push(&g->ring, &chain, pattern, writable);
	vrtc_vring_publish(&g->ring);
	assert_int_equal(g->high[4], 0xee);
	for (unsigned i = 0; i < n_w; i++) {
		for (unsigned b = 0; b < w[i]; b++)
			assert_int_equal(*at(g, w_gpa++), pattern[done++]);
		assert_int_equal(*at(g, w_gpa++), 0xee); /* the byte between the elements */
	}
}

/* The k-th of the 2^(bytes-1) compositions of `bytes`. */
static unsigned compose(uint8_t *parts, unsigned bytes, uint32_t k)
{
	unsigned n = 0;
	uint8_t part = 1;

	for (unsigned i = 1; i < bytes; i++, part++) {
		if ((k >> (i - 1) & 1) != 0) {
			parts[n++] = part;
			part = 0;
		}
	}
	parts[n++] = part;
	return n;
}

static void all_framings_of_8_bytes_on_both_sides_mean_the_same(void **state)
{
	struct guest *g = new_guest(64, 4096, INDIRECT);
	uint8_t r[24];
	uint8_t w[24];

	(void)state;
	srand(1);
	for (uint32_t i = 0; i < 128; i++) {
		for (uint32_t k = 0; k < 128; k++) {
			unsigned n_r = compose(r, 8, i);
			unsigned n_w = compose(w, 8, k);

			for (unsigned layout = 0; layout < LAYOUTS; layout++)
				assert_framed(g, (enum layout)layout, r, n_r, w, n_w);
		}
	}
	free_guest(g);
}

static void framings_of_24_bytes_in_1_to_24_descriptors_mean_the_same(void **state)
{
	struct guest *g = new_guest(64, 4096, INDIRECT);
	uint8_t r[24];
	uint8_t w[24];

	(void)state;
	srand(2);
	for (unsigned n_r = 1; n_r <= 24; n_r++) {
		for (unsigned n_w = 1; n_w <= 24; n_w++) {
			for (unsigned round = 0; round < 12; round++) {
				/* A composition with so many parts: that many - 1 bits of 23. */
				uint32_t bits_r = 0;
				uint32_t bits_w = 0;

				while (__builtin_popcount(bits_r) < (int)n_r - 1)
					bits_r |= 1u << rand() % 23;
				while (__builtin_popcount(bits_w) < (int)n_w - 1)
					bits_w |= 1u << rand() % 23;
				assert_int_equal(compose(r, 24, bits_r), n_r);
				assert_int_equal(compose(w, 24, bits_w), n_w);
				assert_framed(g, (enum layout)(round % LAYOUTS), r, n_r, w, n_w);
			}
		}
	}
	free_guest(g);
}

static void buffers_that_straddle_regions_are_served_in_pieces(void **state)
{
	struct guest *g = new_guest(8, 4096, INDIRECT);
	struct vrtc_chain chain;

	(void)state;
	for (uint32_t before = 1; before < 24; before++) {
		uint32_t start = g->high_gpa - before;

		for (uint32_t i = 0; i < 24; i++)
			*at(g, start + i) = (uint8_t)(0x40 + i + before);
		set_desc(g->desc, 0, start, 24, F_NEXT, 1);
		set_desc(g->desc, 1, start, 24, F_WRITE, 0);
		offer(g, 0);
		assert_served(g, &chain, 24);
		assert_int_equal(chain.n_segments, 2);
		assert_int_equal(chain.segment[0].bytes, before);
		assert_int_equal(chain.segment[1].bytes, 24 - before);
		for (uint32_t i = 0; i < 24; i++) {
			assert_int_equal(chain.req[i], 0x40 + i + before);
			assert_int_equal(*at(g, start + i), pattern[i]);
		}
	}
	free_guest(g);
}

static void an_indirect_table_may_lie_at_any_address_and_straddle_regions(void **state)
{
	struct guest *g = new_guest(8, 4096, INDIRECT);
	struct vrtc_chain chain;

	(void)state;
	for (uint32_t before = 1; before < 48; before++) {
		uint32_t table = g->high_gpa - before;
		uint8_t entries[48];

		set_desc(entries, 0, LOW_GPA + 64, 16, F_NEXT, 2);
		set_desc(entries, 2, LOW_GPA + 128, 16, F_WRITE, 77);
		set_desc(entries, 1, NOWHERE, 99, F_INDIRECT, 99); /* not reached */
		for (uint32_t i = 0; i < sizeof(entries); i++)
			*at(g, table + i) = entries[i];
		set_desc(g->desc, 3, table, sizeof(entries), F_INDIRECT, 0);
		offer(g, 3);
		assert_served(g, &chain, 16);
		assert_int_equal(chain.id, 3);
		assert_int_equal(chain.readable_bytes, 16);
		assert_memory_equal(at(g, LOW_GPA + 128), pattern, 16);
	}
	free_guest(g);
}

static void the_write_flag_of_the_descriptor_that_refers_to_a_table_is_ignored(void **state)
{
	struct guest *g = new_guest(8, 4096, INDIRECT);
	struct vrtc_chain chain;

	(void)state;
	/* In both directions: readable after it, and it after writable ones without the flag. */
	set_desc(g->low, 0, g->high_gpa, 8, F_NEXT, 1);
	set_desc(g->low, 1, g->high_gpa + 64, 8, F_WRITE, 0);
	set_desc(g->desc, 0, LOW_GPA, 32, F_INDIRECT | F_WRITE, 0);
	offer(g, 0);
	assert_served(g, &chain, 8);
	assert_int_equal(chain.readable_bytes, 8);

	set_desc(g->low, 0, g->high_gpa + 64, 8, F_WRITE, 0);
	set_desc(g->desc, 0, g->high_gpa, 8, F_NEXT | F_WRITE, 1);
	set_desc(g->desc, 1, LOW_GPA, 16, F_INDIRECT, 0);
	offer(g, 0);
	assert_served(g, &chain, 16);
	assert_int_equal(chain.writable_bytes, 16);
	free_guest(g);
}

static void a_chain_as_long_as_the_queue_is_served_and_a_longer_one_breaks_it(void **state)
{
	struct guest *g = new_guest(8, 4096, INDIRECT);
	struct vrtc_chain chain;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		set_desc(g->desc, i, LOW_GPA + i, 1, i < 7 ? F_NEXT : 0, (uint16_t)(i + 1));
	offer(g, 0);
	assert_served(g, &chain, 0);
	assert_int_equal(chain.readable_bytes, 8);

	/* Seven in the table after one direct: eight buffers. */
	for (unsigned i = 0; i < 8; i++)
		set_desc(g->high, i, LOW_GPA + i, 1, i < 6 ? F_NEXT : 0, (uint16_t)(i + 1));
	set_desc(g->desc, 0, LOW_GPA, 1, F_NEXT, 1);
	set_desc(g->desc, 1, g->high_gpa, 8 * 16, F_INDIRECT, 0);
	offer(g, 0);
	assert_served(g, &chain, 0);
	assert_int_equal(chain.readable_bytes, 8);

	/* Eight after one: nine. */
	set_desc(g->high, 6, LOW_GPA, 1, F_NEXT, 7);
	offer(g, 0);
	assert_breaks(g, "a loop");
	free_guest(g);
}

/* ---- faults ---- */

static void an_available_index_too_far_ahead_breaks_the_ring(void **state)
{
	const uint16_t sizes[] = {1, 8, 32768};

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct guest *g = new_guest(sizes[s], 256, 0);
		struct vrtc_chain chain;

		set_desc(g->desc, 0, LOW_GPA, 8, 0, 0);
		restart(g, 65535);
		put16(g->avail + 2, (uint16_t)(65535 + sizes[s]));
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		restart(g, 65535);
		put16(g->avail + 2, (uint16_t)(65535 + sizes[s] + 1));
		assert_breaks(g, "ahead by more");
		restart(g, 100);
		put16(g->avail + 2, 99); /* "MUST NOT decrement the available idx" */
		assert_breaks(g, "ahead by more");
		free_guest(g);
	}
}

static void more_chains_under_way_than_the_queue_holds_break_the_ring(void **state)
{
	struct guest *g = new_guest(4, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	set_desc(g->desc, 0, LOW_GPA, 8, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		offer(g, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		vrtc_vring_push(&g->ring, &chain, pattern, 0);
	}
	/* None of the four was shown as used. */
	offer(g, 0);
	assert_breaks(g, "ahead by more");
	free_guest(g);
}

static void a_head_out_of_range_breaks_the_ring(void **state)
{
	struct guest *g = new_guest(8, 256, 0);

	(void)state;
	offer(g, 8);
	assert_breaks(g, "head of a chain");
	restart(g, 0);
	offer(g, 65535);
	assert_breaks(g, "head of a chain");
	free_guest(g);
}

static void a_next_out_of_range_breaks_the_ring(void **state)
{
	struct guest *g = new_guest(8, 256, 0);

	(void)state;
	set_desc(g->desc, 0, LOW_GPA, 8, F_NEXT, 8);
	offer(g, 0);
	assert_breaks(g, "outside of the descriptor table");
	restart(g, 0);
	set_desc(g->desc, 0, LOW_GPA, 8, F_NEXT, 65535);
	offer(g, 0);
	assert_breaks(g, "outside of the descriptor table");
	free_guest(g);
}

static void a_loop_breaks_the_ring(void **state)
{
	const uint16_t sizes[] = {1, 2, 64, 32768};

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct guest *g = new_guest(sizes[s], 256, 0);

		set_desc(g->desc, 0, LOW_GPA, 8, F_NEXT, (uint16_t)(sizes[s] > 1));
		if (sizes[s] > 1)
			set_desc(g->desc, 1, LOW_GPA, 0, F_NEXT, 0);
		offer(g, 0);
		assert_breaks(g, "a loop");
		free_guest(g);
	}
}

static void an_unmapped_buffer_breaks_the_ring(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{NOWHERE, 1},              /* in a hole */
		{0, 1},                    /* before all */
		{RINGS_GPA - 1, 2},        /* partly, from before */
		{LOW_GPA - 1, 1},          /* the byte before */
		{LOW_GPA + 512, 1},        /* the byte behind */
		{LOW_GPA - 1, 8},          /* partly, from before */
		{LOW_GPA + 511, 2},        /* partly, to behind */
		{LOW_GPA, 513},            /* partly, over two regions */
		{LOW_GPA, UINT32_MAX},     /* partly, by much */
		{UINT64_MAX, 1},           /* the last byte there is */
		{UINT64_MAX, 2},           /* overflows to 0 */
		{UINT64_MAX - 7, 16},      /* overflows beyond 0 */
		{LOW_GPA | 1ull << 32, 8}, /* an address has 64 bits */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned write = 0; write < 2; write++) {
			uint16_t flags = write != 0 ? F_WRITE : 0;

			restart(g, (uint16_t)(65535 * write));
			set_desc(g->desc, 0, bad[i].addr, bad[i].len, flags, 0);
			offer(g, 0);
			assert_breaks(g, "buffer is not in");
			/* Also past the first 24 bytes. */
			restart(g, 0);
			set_desc(g->desc, 0, LOW_GPA, 100, (uint16_t)(flags | F_NEXT), 1);
			set_desc(g->desc, 1, bad[i].addr, bad[i].len, flags, 0);
			offer(g, 0);
			assert_breaks(g, "buffer is not in");
		}
	}
	free_guest(g);
}

static void readable_after_writable_breaks_the_ring(void **state)
{
	struct guest *g = new_guest(8, 256, INDIRECT);

	(void)state;
	set_desc(g->desc, 0, LOW_GPA, 8, F_NEXT | F_WRITE, 1);
	set_desc(g->desc, 1, LOW_GPA, 8, 0, 0);
	offer(g, 0);
	assert_breaks(g, "follows a device-writable");

	/* Also from the descriptor table into an indirect one. */
	restart(g, 0);
	set_desc(g->desc, 1, g->high_gpa, 16, F_INDIRECT | F_WRITE, 0);
	set_desc(g->high, 0, LOW_GPA, 8, 0, 0);
	offer(g, 0);
	assert_breaks(g, "follows a device-writable");
	free_guest(g);
}

static void indirect_without_the_feature_breaks_the_ring(void **state)
{
	struct guest *g = new_guest(8, 256, 0);

	(void)state;
	set_desc(g->desc, 0, g->high_gpa, 16, F_INDIRECT, 0);
	set_desc(g->high, 0, LOW_GPA, 8, 0, 0);
	offer(g, 0);
	assert_breaks(g, "not negotiated");
	free_guest(g);
}

static void malformed_indirect_tables_break_the_ring(void **state)
{
	struct guest *g = new_guest(8, 256, INDIRECT);
	const uint32_t bad_lengths[] = {0, 1, 8, 15, 17, 31, UINT32_MAX};
	const struct {
		uint64_t addr;
		uint32_t len;
	} unmapped[] = {
		{NOWHERE, 16},
		{LOW_GPA - 1, 16},
		{LOW_GPA + 512 - 8, 16},  /* partly */
		{LOW_GPA + 512 - 16, 32}, /* an entry that is not reached */
		{LOW_GPA, 528},           /* partly, over two regions */
		{UINT64_MAX - 7, 16},
		{LOW_GPA, 0xfffffff0},
	};

	(void)state;
	memset(g->low, 0, 256);
	memset(g->high, 0, 256); /* each entry: a readable one of length 0, the last */
	set_desc(g->desc, 0, g->high_gpa, 16, F_INDIRECT | F_NEXT, 1);
	set_desc(g->desc, 1, LOW_GPA, 8, 0, 0);
	offer(g, 0);
	assert_breaks(g, "both INDIRECT and NEXT");
	for (unsigned i = 0; i < sizeof(bad_lengths) / sizeof(bad_lengths[0]); i++) {
		restart(g, 0);
		set_desc(g->desc, 0, g->high_gpa, bad_lengths[i], F_INDIRECT, 0);
		offer(g, 0);
		assert_breaks(g, "multiple of 16");
	}
	for (unsigned i = 0; i < sizeof(unmapped) / sizeof(unmapped[0]); i++) {
		restart(g, 0);
		set_desc(g->desc, 0, unmapped[i].addr, unmapped[i].len, F_INDIRECT, 0);
		offer(g, 0);
		assert_breaks(g, "indirect table is not in");
	}
	/* A table in a table, at its beginning and later. */
	restart(g, 0);
	set_desc(g->desc, 0, g->high_gpa, 32, F_INDIRECT, 0);
	set_desc(g->high, 0, LOW_GPA, 16, F_INDIRECT, 0);
	offer(g, 0);
	assert_breaks(g, "in an indirect table");
	restart(g, 0);
	set_desc(g->high, 0, LOW_GPA, 16, F_NEXT, 1);
	set_desc(g->high, 1, LOW_GPA, 16, F_INDIRECT, 0);
	offer(g, 0);
	assert_breaks(g, "in an indirect table");
	/* next outside of a table that is smaller than the queue. */
	restart(g, 0);
	set_desc(g->high, 0, LOW_GPA, 16, F_NEXT, 2);
	offer(g, 0);
	assert_breaks(g, "outside of its indirect table");
	/* A loop in a table: more steps than it has entries, though not than the queue. */
	restart(g, 0);
	set_desc(g->high, 0, LOW_GPA, 16, F_NEXT, 0);
	offer(g, 0);
	assert_breaks(g, "a loop");
	/* A buffer that is not there. */
	restart(g, 0);
	set_desc(g->high, 0, NOWHERE, 16, 0, 0);
	offer(g, 0);
	assert_breaks(g, "buffer is not in");
	free_guest(g);
}

static void a_chain_of_2_to_the_32_bytes_saturates_and_a_longer_one_breaks_the_ring(void **state)
{
	struct guest *g = new_guest(32768, 0x20000, 0);
	struct vrtc_chain chain;

	(void)state;
	for (unsigned write = 0; write < 2; write++) {
		uint16_t kind = write != 0 ? F_WRITE : 0;

		for (unsigned i = 0; i < 32768; i++)
			set_desc(g->desc, i, LOW_GPA + 1, 0x20000,
				(uint16_t)(kind | (i < 32767 ? F_NEXT : 0)), (uint16_t)(i + 1));
		restart(g, 0);
		offer(g, 0);
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		assert_int_equal(chain.readable_bytes, write != 0 ? 0 : UINT32_MAX);
		assert_int_equal(chain.writable_bytes, write != 0 ? UINT32_MAX : 0);
		set_desc(g->desc, 7, LOW_GPA + 1, 0x20001, (uint16_t)(kind | F_NEXT), 8);
		restart(g, 0);
		offer(g, 0);
		assert_breaks(g, "more than 2^32 bytes");
	}
	/* One side alone is less, both together are more. */
	for (unsigned i = 20000; i < 32768; i++)
		set_desc(g->desc, i, LOW_GPA + 1, 0x20000,
			(uint16_t)(F_WRITE | (i < 32767 ? F_NEXT : 0)), (uint16_t)(i + 1));
	for (unsigned i = 0; i < 20000; i++)
		set_desc(g->desc, i, LOW_GPA + 1, 0x20000, F_NEXT, (uint16_t)(i + 1));
	restart(g, 0);
	offer(g, 0);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
	assert_int_equal(chain.readable_bytes, 20000u * 0x20000u);
	assert_int_equal(chain.writable_bytes, 12768u * 0x20000u);
	set_desc(g->desc, 7, LOW_GPA + 1, 0x20001, F_NEXT, 8);
	restart(g, 0);
	offer(g, 0);
	assert_breaks(g, "more than 2^32 bytes");
	free_guest(g);
}

static void a_chain_popped_before_a_fault_writes_nothing_after_it(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain first;
	struct vrtc_chain second;

	(void)state;
	offer_usual(g, 0);
	offer_usual(g, 2);
	offer(g, 99);
	assert_int_equal(vrtc_vring_pop(&g->ring, &first), VRTC_VRING_CHAIN);
	assert_int_equal(vrtc_vring_pop(&g->ring, &second), VRTC_VRING_CHAIN);
	vrtc_vring_push(&g->ring, &first, pattern, 16);
	assert_breaks(g, "head of a chain");
	vrtc_vring_push(&g->ring, &second, pattern, 16);
	assert_false(vrtc_vring_publish(&g->ring));
	assert_untouched(g);
	assert_int_equal(vrtc_vring_base(&g->ring), 0); /* neither was shown to the driver */
	free_guest(g);
}

/* Our own bugs end the process: seen in a child. */
static void assert_aborts(struct guest *g, const struct vrtc_chain *chain, uint32_t resp_bytes)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		uint8_t resp[64] = {0};

		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		vrtc_vring_push(&g->ring, chain, resp, resp_bytes);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_response_longer_than_the_buffer_or_than_24_bytes_is_our_bug(void **state)
{
	struct guest *g = new_guest(8, 256, 0);
	struct vrtc_chain chain;

	(void)state;
	offer_usual(g, 0);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
	assert_aborts(g, &chain, 17);
	vrtc_vring_push(&g->ring, &chain, pattern, 16);
	assert_aborts(g, &chain, 16); /* used twice */
	set_desc(g->desc, 3, LOW_GPA, 100, F_WRITE, 0);
	offer(g, 3);
	assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
	assert_aborts(g, &chain, 25);
	free_guest(g);
}

/* ---- notifications ---- */

/* Serves n chains as one batch. */
static bool serve(struct guest *g, unsigned n)
{
	struct vrtc_chain chain;

	set_desc(g->desc, 0, LOW_GPA, 8, 0, 0);
	for (unsigned i = 0; i < n; i++)
		offer(g, 0);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		vrtc_vring_push(&g->ring, &chain, pattern, 0);
	}
	return vrtc_vring_publish(&g->ring);
}

static void without_event_idx_the_flag_decides_and_used_event_is_ignored(void **state)
{
	struct guest *g = new_guest(8, 256, 0);

	(void)state;
	set_used_event(g, 1000);
	assert_true(serve(g, 1));
	set_flags(g, 1);
	set_used_event(g, 1);
	assert_false(serve(g, 1));
	assert_false(serve(g, 8));
	set_flags(g, 0);
	assert_true(serve(g, 3));
	assert_false(serve(g, 0)); /* nothing was used */
	set_flags(g, 0xfffe);      /* reserved bits */
	assert_true(serve(g, 1));
	free_guest(g);
}

static void with_event_idx_the_entry_at_used_event_is_signalled_and_no_other(void **state)
{
	struct guest *g = new_guest(8, 256, EVENT_IDX);
	const uint16_t bases[] = {0, 1, 7, 32767, 32768, 65528, 65531, 65535};

	(void)state;
	for (unsigned b = 0; b < sizeof(bases) / sizeof(bases[0]); b++) {
		for (unsigned batch = 1; batch <= 8; batch++) {
			for (int event = -10; event <= 20; event++) {
				restart(g, bases[b]); /* so each is the first publish, too */
				set_flags(g, (uint16_t)(event & 1)); /* "MUST ignore" */
				set_used_event(g, (uint16_t)(bases[b] + event));
				assert_int_equal(serve(g, batch), event >= 0 && event < (int)batch);
			}
		}
	}
	free_guest(g);
}

static void with_used_event_0_the_first_and_the_65537th_entry_are_signalled(void **state)
{
	struct guest *g = new_guest(8, 256, EVENT_IDX);
	unsigned signals = 0;

	(void)state;
	set_used_event(g, 0);
	for (unsigned i = 0; i < 65536 + 10; i++) {
		bool signal = serve(g, 1);

		assert_int_equal(signal, i == 0 || i == 65536);
		signals += signal;
	}
	assert_int_equal(signals, 2);
	free_guest(g);
}

static void without_event_idx_kicks_are_switched_by_the_flag(void **state)
{
	struct guest *g = new_guest(8, 256, 0);

	(void)state;
	take_snapshot(g);
	vrtc_vring_kick_disable(&g->ring);
	expect_byte(g, g->used, 1);
	assert_untouched(g);
	assert_false(vrtc_vring_kick_enable(&g->ring));
	expect_byte(g, g->used, 0);
	assert_untouched(g);
	free_guest(g);
}

/* Would a driver that follows the text notify when its index goes from old to new? */
static bool driver_kicks(const struct guest *g, uint16_t old, uint16_t new)
{
	if (!g->event_idx)
		return get16(g->used) == 0;
	for (uint16_t idx = old; idx != new; idx++)
		if (idx == avail_event(g))
			return true;
	return false;
}

static void with_event_idx_kicks_are_switched_by_avail_event_and_flags_stay_0(void **state)
{
	struct guest *g = new_guest(8, 256, EVENT_IDX);
	const uint16_t bases[] = {0, 1, 32768, 65534, 65535};

	(void)state;
	for (unsigned b = 0; b < sizeof(bases) / sizeof(bases[0]); b++) {
		restart(g, bases[b]);
		assert_false(vrtc_vring_kick_enable(&g->ring));
		for (uint16_t n = 1; n <= 8; n++)
			assert_true(driver_kicks(g, bases[b], (uint16_t)(bases[b] + n)));
		vrtc_vring_kick_disable(&g->ring);
		for (uint16_t n = 1; n <= 8; n++)
			assert_false(driver_kicks(g, bases[b], (uint16_t)(bases[b] + n)));
		assert_false(driver_kicks(g, bases[b], (uint16_t)(bases[b] + 65535)));
		assert_int_equal(get16(g->used), 0);
	}
	free_guest(g);
}

static void kick_enable_tells_of_a_chain_that_came_before_it(void **state)
{
	(void)state;
	for (int features = 0; features <= EVENT_IDX; features++) {
		struct guest *g = new_guest(8, 256, features);
		struct vrtc_chain chain;

		restart(g, 65535);
		vrtc_vring_kick_disable(&g->ring);
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_EMPTY);
		offer_usual(g, 0); /* between the last look and the sleep, without a kick */
		offer_usual(g, 2);
		assert_true(vrtc_vring_kick_enable(&g->ring));
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		assert_true(vrtc_vring_kick_enable(&g->ring)); /* the second is seen, not popped */
		assert_int_equal(vrtc_vring_pop(&g->ring, &chain), VRTC_VRING_CHAIN);
		assert_false(vrtc_vring_kick_enable(&g->ring));
		/* What it tells of may be a fault: pop finds it. */
		put16(g->avail + 2, 500);
		assert_true(vrtc_vring_kick_enable(&g->ring));
		assert_breaks(g, "ahead by more");
		free_guest(g);
	}
}

/* ---- against a naive model ---- */

struct model {
	bool broken;
	uint64_t readable;
	uint64_t writable;
	uint8_t req[VRTC_REQ_BYTES_MAX];
	uint64_t resp_gpa[VRTC_RESP_BYTES_MAX];
};

/* Byte by byte, and without any bound but a count of steps. */
static void model_buffer(const struct guest *g, struct model *m, const uint8_t *d)
{
	uint64_t addr = get32(d) | (uint64_t)get32(d + 4) << 32;
	uint32_t len = get32(d + 8);
	bool write = (get16(d + 12) & F_WRITE) != 0;

	if (len != 0 && addr + len - 1 < addr)
		m->broken = true;
	for (uint32_t i = 0; i < len && !m->broken; i++) {
		const uint8_t *byte = at(g, addr + i);

		if (byte == NULL)
			m->broken = true;
		else if (write && m->writable++ < VRTC_RESP_BYTES_MAX)
			m->resp_gpa[m->writable - 1] = addr + i;
		else if (!write && m->readable++ < VRTC_REQ_BYTES_MAX)
			m->req[m->readable - 1] = *byte;
	}
}

static struct model run_model(const struct guest *g, uint16_t head, bool indirect)
{
	struct model m = {.broken = head >= g->size};
	uint8_t copy[16];
	uint64_t table = RINGS_GPA;
	uint32_t entries = g->size;
	uint32_t steps = 0;
	bool in_table = false;
	bool wrote = false;
	uint32_t i = head;

	while (!m.broken) {
		uint16_t flags;

		for (unsigned b = 0; b < 16; b++)
			copy[b] = *at(g, table + 16ull * i + b);
		flags = get16(copy + 12);
		if ((flags & F_INDIRECT) != 0) {
			uint32_t len = get32(copy + 8);

			if (!indirect || in_table || (flags & F_NEXT) != 0 || len == 0 ||
				len % 16 != 0) {
				m.broken = true;
				break;
			}
			table = get32(copy) | (uint64_t)get32(copy + 4) << 32;
			for (uint32_t b = 0; b < len && !m.broken; b++)
				m.broken = at(g, table + b) == NULL;
			in_table = true;
			entries = len / 16;
			i = 0;
			continue;
		}
		if (++steps > g->size || (wrote && (flags & F_WRITE) == 0)) {
			m.broken = true;
			break;
		}
		wrote = (flags & F_WRITE) != 0;
		model_buffer(g, &m, copy);
		if ((flags & F_NEXT) == 0)
			break;
		i = get16(copy + 14);
		m.broken = m.broken || i >= entries;
	}
	return m;
}

static uint32_t pick(uint32_t n)
{
	return (uint32_t)rand() % n;
}

/* Mostly sane descriptors, so that chains of some length come about. */
static void random_desc(const struct guest *g, uint8_t *table, uint32_t i, uint32_t entries)
{
	uint64_t addr = LOW_GPA + pick(2 * g->buffer_bytes - 40);
	uint32_t len = pick(40);
	uint16_t flags = (uint16_t)(pick(4) != 0 ? F_NEXT : 0);

	if (i > entries / 2 || pick(6) == 0)
		flags |= F_WRITE;
	if (pick(8) == 0) {
		flags |= F_INDIRECT;
		len = 16 * pick(6);
		if (pick(3) != 0)
			flags &= (uint16_t)~F_NEXT;
	}
	if (pick(50) == 0)
		addr = LOW_GPA + 2 * g->buffer_bytes - pick(60);
	if (pick(200) == 0)
		addr = UINT64_MAX - pick(40);
	if (pick(100) == 0)
		len = 16 * pick(40);
	if (pick(100) == 0)
		flags = (uint16_t)rand();
	set_desc(table, i, addr, len, flags,
		(uint16_t)(pick(6) != 0 ? i + 1 : pick(entries + (pick(20) == 0))));
}

static void random_rings_agree_with_a_byte_by_byte_model(void **state)
{
	unsigned broken = 0;
	unsigned served = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 120000; seed++) {
		static struct guest *g[3];
		struct guest *v;
		struct vrtc_chain chain;
		struct model model;
		uint16_t base;
		uint16_t head;
		enum vrtc_vring_result result;

		srand(seed);
		if (g[seed % 3] == NULL)
			g[seed % 3] =
				new_guest((uint16_t)(2u << seed % 3), 256, seed % 3 ? INDIRECT : 0);
		v = g[seed % 3];
		base = (uint16_t)(pick(4) == 0 ? 65535 : pick(65536));
		restart(v, base);
		for (uint32_t i = 0; i < 16; i++) {
			random_desc(v, v->low, i, 6);
			random_desc(v, v->high, i, 6);
		}
		/* Tables at odd addresses, and one across the two regions. */
		if (pick(2) == 0)
			for (uint32_t i = 0, shift = pick(48); i < 48; i++)
				*at(v, v->high_gpa - shift + i) = v->low[i];
		for (uint32_t i = 0; i < v->size; i++) {
			random_desc(v, v->desc, i, v->size);
			if (pick(3) == 0)
				put32(v->desc + 16 * i,
					v->high_gpa - (pick(2) != 0 ? pick(48) : 0));
		}
		head = (uint16_t)(pick(50) == 0 ? pick(65536) : pick(v->size));
		offer(v, head);

		model = run_model(v, head, v->config.indirect);
		take_snapshot(v);
		result = vrtc_vring_pop(&v->ring, &chain);
		assert_untouched(v);
		assert_int_equal(result, model.broken ? VRTC_VRING_BROKEN : VRTC_VRING_CHAIN);
		if (model.broken) {
			broken++;
		} else {
			uint64_t room = model.writable < 24 ? model.writable : 24;
			uint32_t resp_bytes = pick((uint32_t)room + 1);

			assert_int_equal(chain.id, head);
			assert_int_equal(chain.readable_bytes, model.readable);
			assert_int_equal(chain.writable_bytes, model.writable);
			assert_memory_equal(chain.req, model.req, sizeof(model.req));
			vrtc_vring_push(&v->ring, &chain, pattern, resp_bytes);
			vrtc_vring_publish(&v->ring);
			for (uint32_t i = 0; i < resp_bytes; i++)
				expect_byte(v, at(v, model.resp_gpa[i]), pattern[i]);
			expect_used(v, base, head, resp_bytes);
			assert_untouched(v);
			served++;
		}
		if (seed > 120000 - 3)
			free_guest(v);
	}
	/* The generator is good only if both happen often. */
	assert_true(broken > 20000);
	assert_true(served > 20000);
}

/* ---- two threads ---- */

static cpu_set_t all_cpus;

/*
 * Puts the calling thread on the nth CPU that we have, where there are two: driver and device on
 * one CPU never meet, and a busy machine's scheduler likes to leave them there.
 */
static void stay_on_cpu(int nth)
{
	cpu_set_t one;

	for (int cpu = 0; CPU_COUNT(&all_cpus) >= 2 && cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all_cpus) && nth-- == 0) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			(void)sched_setaffinity(0, sizeof(one), &one);
			return;
		}
	}
}

static int setup_cpus(void **state)
{
	(void)state;
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) != 0)
		CPU_ZERO(&all_cpus);
	stay_on_cpu(0);
	return 0;
}

/* A ring of 16, so that both sides often meet at the empty and at the full one. */
struct pair {
	struct guest *g;
	unsigned requests;
	bool sleeping; /* both sides sleep on notifications; otherwise both poll */
	sem_t kick;
	sem_t call;
	unsigned kicks;
	unsigned calls;
	const char *failure; /* ends both threads; through fail_pair() and has_failed() alone */
};

static void fail_pair(struct pair *p, const char *failure)
{
	__atomic_store_n(&p->failure, failure, __ATOMIC_RELAXED);
}

static bool has_failed(struct pair *p)
{
	return __atomic_load_n(&p->failure, __ATOMIC_RELAXED) != NULL;
}

/* A lost notification shows here. */
static bool sleep_on(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	while (sem_timedwait(sem, &until) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

static void *run_device(void *arg)
{
	struct pair *p = arg;
	struct vrtc_vring *ring = &p->g->ring;
	unsigned served = 0;

	stay_on_cpu(1);
	vrtc_vring_kick_disable(ring);
	while (served < p->requests && !has_failed(p)) {
		struct vrtc_chain chain;
		enum vrtc_vring_result result = VRTC_VRING_EMPTY;
		unsigned batch = 0;

		while (batch < 5 &&
			(result = pop_beside_driver(ring, &chain)) == VRTC_VRING_CHAIN) {
			uint8_t resp[16];

			/* The response: the request, each byte inverted. */
			for (unsigned i = 0; i < sizeof(resp); i++)
				resp[i] = (uint8_t)~chain.req[i];
			vrtc_vring_push(ring, &chain, resp, sizeof(resp));
			batch++;
		}
		served += batch;
		if (vrtc_vring_publish(ring)) {
			p->calls++;
			if (p->sleeping)
				sem_post(&p->call);
		}
		if (result == VRTC_VRING_BROKEN) {
			fail_pair(p, vrtc_vring_fault(ring));
			return NULL;
		}
		if (batch != 0 || served == p->requests)
			continue;
		if (!p->sleeping) {
			sched_yield();
		} else if (!vrtc_vring_kick_enable(ring)) {
			if (!sleep_on(&p->kick)) {
				fail_pair(p, "the device waits for a kick that was lost");
				return NULL;
			}
			vrtc_vring_kick_disable(ring);
		} else {
			vrtc_vring_kick_disable(ring);
		}
	}
	return NULL;
}

/* The driver's accesses: of the words of the rings only, with the barriers that the text wants. */
static uint16_t sc_load(uint8_t *p)
{
	return __atomic_load_n((uint16_t *)(void *)p, __ATOMIC_SEQ_CST);
}

static void sc_store(uint8_t *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)(void *)p, v, __ATOMIC_SEQ_CST);
}

static void run_driver(struct pair *p)
{
	struct guest *g = p->g;
	uint8_t *used_event = g->avail + 4 + 2 * (size_t)g->size;
	uint8_t *event = g->used + 4 + 8 * (size_t)g->size;
	unsigned sent = 0;
	unsigned received = 0;
	unsigned slots = g->size / 2;
	time_t until = time(NULL) + 100;

	while (received < p->requests && !has_failed(p)) {
		uint16_t old = g->avail_idx;
		uint16_t used_seen;

		/* Slot s: descriptors 2s and 2s + 1, request at 32s of LOW, response of HIGH. */
		for (unsigned burst = sent % 4 + 1;
			burst != 0 && sent < p->requests && sent - received < slots; burst--) {
			unsigned s = sent % slots;
			uint8_t *req = g->low + 32 * (size_t)s;

			memset(req, 0, 16);
			put32(req, sent);
			set_desc(g->desc, 2 * s, LOW_GPA + 32 * s, 16, F_NEXT,
				(uint16_t)(2 * s + 1));
			set_desc(g->desc, 2 * s + 1, g->high_gpa + 32 * s, 16, F_WRITE, 0);
			put16(g->avail + 4 + 2 * (size_t)(g->avail_idx % g->size),
				(uint16_t)(2 * s));
			g->avail_idx++;
			sent++;
		}
		if (g->avail_idx != old) {
			bool kick;

			sc_store(g->avail + 2, g->avail_idx);
			if (g->event_idx) {
				uint16_t e = sc_load(event);

				kick = (uint16_t)(g->avail_idx - e - 1) <
				       (uint16_t)(g->avail_idx - old);
			} else {
				kick = sc_load(g->used) == 0;
			}
			if (kick) {
				p->kicks++;
				if (p->sleeping)
					sem_post(&p->kick);
			}
		}

		used_seen = (uint16_t)received;
		if (sc_load(g->used + 2) == used_seen) {
			if (p->sleeping && (sent == p->requests || sent - received == slots)) {
				/* Ask for the next one, look again, sleep. */
				if (g->event_idx)
					sc_store(used_event, used_seen);
				else
					sc_store(g->avail, 0);
				if (sc_load(g->used + 2) == used_seen && !sleep_on(&p->call)) {
					fail_pair(p, "the driver waits for a signal that was lost");
					return;
				}
				if (!g->event_idx)
					sc_store(g->avail, 1);
			} else {
				if (time(NULL) > until) {
					fail_pair(p, "the device does not answer");
					return;
				}
				sched_yield();
			}
			continue;
		}
		while (used_seen != sc_load(g->used + 2)) {
			const uint8_t *e = g->used + 4 + 8 * (size_t)(used_seen % g->size);
			unsigned s = received % slots;
			const uint8_t *resp = g->high + 32 * (size_t)s;

			if (get32(e) != 2 * s || get32(e + 4) != 16 || get32(resp) != ~received ||
				get32(resp + 12) != UINT32_MAX) {
				fail_pair(p, "a response is not that of its request");
				return;
			}
			received++;
			used_seen++;
		}
	}
}

static void run_pair(unsigned requests, int features, bool sleeping)
{
	struct pair p = {.requests = requests, .sleeping = sleeping};
	pthread_t device;

	p.g = new_guest(16, 4096, features);
	sem_init(&p.kick, 0, 0);
	sem_init(&p.call, 0, 0);
	assert_int_equal(pthread_create(&device, NULL, run_device, &p), 0);
	run_driver(&p);
	assert_int_equal(pthread_join(device, NULL), 0);
	if (p.failure != NULL)
		fail_msg("%s", p.failure);
	print_message("%u requests, %u kicks, %u calls\n", requests, p.kicks, p.calls);
	sem_destroy(&p.kick);
	sem_destroy(&p.call);
	free_guest(p.g);
}

static void a_million_requests_between_two_polling_threads_are_answered(void **state)
{
	(void)state;
	run_pair(1000000, 0, false);
}

static void no_notification_is_lost_between_sleeping_threads_with_flags(void **state)
{
	(void)state;
	run_pair(200000, 0, true);
}

static void no_notification_is_lost_between_sleeping_threads_with_event_idx(void **state)
{
	(void)state;
	run_pair(200000, EVENT_IDX, true);
}

/*
 * The two places where a store must not be overtaken by a load that follows it, F1 and F2 of
 * vring.c: driver and device meet, then do their halves at the same time. One of the two has to see
 * the other, round after round. (Size 64: avail->idx and the used ring are in lines of their own.)
 */
struct race {
	struct guest *g;
	time_t until; /* rounds end then: on a busy machine each may take a time slice */
	unsigned met_device;
	unsigned met_driver;
	bool told; /* what the device's half returned */
	bool last; /* set by the driver before the first meeting of a round */
};

static void meet(unsigned *mine, const unsigned *other)
{
	unsigned round = *mine + 1;

	__atomic_store_n(mine, round, __ATOMIC_RELEASE);
	for (unsigned spins = 0; __atomic_load_n(other, __ATOMIC_ACQUIRE) < round; spins++)
		if (spins > 500)
			sched_yield();
}

static bool is_last_round(const struct race *r, unsigned i)
{
	return i == 150000 || (i % 64 == 0 && time(NULL) >= r->until);
}

static void wait_a_little(unsigned steps)
{
	for (unsigned i = 0; i < steps; i++)
		__asm__ volatile("" ::: "memory");
}

static void *race_publish(void *arg)
{
	struct race *r = arg;

	stay_on_cpu(1);
	for (bool last = false; !last;) {
		struct vrtc_chain chain;

		meet(&r->met_device, &r->met_driver);
		if (pop_beside_driver(&r->g->ring, &chain) == VRTC_VRING_CHAIN)
			vrtc_vring_push(&r->g->ring, &chain, pattern, 0);
		meet(&r->met_device, &r->met_driver);
		last = r->last;
		r->told = vrtc_vring_publish(&r->g->ring);
		meet(&r->met_device, &r->met_driver);
	}
	return NULL;
}

static void *race_kick_enable(void *arg)
{
	struct race *r = arg;
	bool last = false;

	stay_on_cpu(1);
	for (unsigned i = 0; !last; i++) {
		struct vrtc_chain chain;

		vrtc_vring_kick_disable(&r->g->ring);
		meet(&r->met_device, &r->met_driver);
		last = r->last;
		wait_a_little(i / 64 % 64 * 4);
		r->told = vrtc_vring_kick_enable(&r->g->ring);
		meet(&r->met_device, &r->met_driver);
		if (pop_beside_driver(&r->g->ring, &chain) == VRTC_VRING_CHAIN)
			vrtc_vring_push(&r->g->ring, &chain, pattern, 0);
		vrtc_vring_publish(&r->g->ring);
		meet(&r->met_device, &r->met_driver);
	}
	return NULL;
}

static void of_publishing_and_asking_for_a_signal_one_sees_the_other(void **state)
{
	(void)state;
	for (int features = 0; features <= EVENT_IDX; features++) {
		struct race r = {.g = new_guest(64, 256, features), .until = time(NULL) + 2};
		struct guest *g = r.g;
		uint8_t *word = features != 0 ? g->avail + 4 + 2 * (size_t)g->size : g->avail;
		unsigned lost = 0;
		pthread_t device;

		set_desc(g->desc, 0, LOW_GPA, 8, 0, 0);
		assert_int_equal(pthread_create(&device, NULL, race_publish, &r), 0);
		for (unsigned i = 0; !r.last; i++) {
			bool seen;

			r.last = is_last_round(&r, i);
			sc_store(word, features != 0 ? (uint16_t)(i - 1) : 1); /* no signal */
			offer(g, 0);
			meet(&r.met_driver, &r.met_device);
			meet(&r.met_driver, &r.met_device);
			wait_a_little(i % 32);
			sc_store(word, features != 0 ? (uint16_t)i : 0);
			seen = sc_load(g->used + 2) == (uint16_t)(i + 1);
			meet(&r.met_driver, &r.met_device);
			lost += !seen && !r.told;
		}
		assert_int_equal(pthread_join(device, NULL), 0);
		assert_int_equal(lost, 0);
		free_guest(g);
	}
}

static void of_enabling_kicks_and_making_available_one_sees_the_other(void **state)
{
	(void)state;
	for (int features = 0; features <= EVENT_IDX; features++) {
		struct race r = {.g = new_guest(64, 256, features), .until = time(NULL) + 2};
		struct guest *g = r.g;
		uint8_t *word = features != 0 ? g->used + 4 + 8 * (size_t)g->size : g->used;
		unsigned lost = 0;
		pthread_t device;

		set_desc(g->desc, 0, LOW_GPA, 8, 0, 0);
		assert_int_equal(pthread_create(&device, NULL, race_kick_enable, &r), 0);
		for (unsigned i = 0; !r.last; i++) {
			bool kick;

			r.last = is_last_round(&r, i);
			put16(g->avail + 4 + 2 * (size_t)(i % g->size), 0);
			meet(&r.met_driver, &r.met_device);
			/* Fetches the word, so that the device's store to it takes its time. */
			(void)sc_load(word);
			wait_a_little(i % 64 * 4);
			sc_store(g->avail + 2, (uint16_t)(i + 1));
			kick = sc_load(word) == (features != 0 ? (uint16_t)i : 0);
			meet(&r.met_driver, &r.met_device);
			lost += !kick && !r.told;
			meet(&r.met_driver, &r.met_device);
		}
		assert_int_equal(pthread_join(device, NULL), 0);
		assert_int_equal(lost, 0);
		free_guest(g);
	}
}

struct scribbler {
	struct guest *g;
	bool stop;
};

static void store_word(uint8_t *g_word, uint64_t v)
{
	__atomic_store_n((uint64_t *)(void *)g_word, v, __ATOMIC_RELAXED);
}

/*
 * Changes descriptors, the heads in the available ring and buffers while they are read, a byte at a
 * time. Not the indices: one load tells of those, and the ring would be broken all the time.
 */
static void *run_scribbler(void *arg)
{
	struct scribbler *s = arg;
	const struct guest *g = s->g;
	uint32_t x = 12345;

	stay_on_cpu(1);
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		x = x * 1664525 + 1013904223;
		__atomic_store_n(
			g->desc + (x >> 8) % (16u * g->size), (uint8_t)(x >> 24), __ATOMIC_RELAXED);
		__atomic_store_n(
			g->low + (x >> 8) % g->buffer_bytes, (uint8_t)(x >> 24), __ATOMIC_RELAXED);
		if ((x >> 16) % 16 == 0)
			__atomic_store_n(g->avail + 4 + (x >> 8) % (2u * g->size),
				(uint8_t)(x >> 30), __ATOMIC_RELAXED);
		if ((x >> 16) % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* Makes the whole ring well-formed again, with one more chain in it. */
static void heal(struct guest *g)
{
	for (unsigned d = 0; d < g->size; d++) {
		bool last = d % 4 == 3;
		uint64_t flags =
			d % 8 == 7 ? F_INDIRECT : (d % 4 < 2 ? 0u : F_WRITE) | (last ? 0u : F_NEXT);

		store_word(g->desc + 16 * (size_t)d, d % 8 == 7 ? g->high_gpa : LOW_GPA + d * 8);
		store_word(g->desc + 16 * (size_t)d + 8, 16 | flags << 32 | (d + 1ull) << 48);
	}
	for (unsigned i = 0; i < 2u * g->size; i += 2)
		__atomic_store_n((uint16_t *)(void *)(g->avail + 4 + i), (uint16_t)(i / 2 % 4 * 4),
			__ATOMIC_RELAXED);
	g->avail_idx = (uint16_t)(used_idx(g) + 1);
	sc_store(g->avail + 2, g->avail_idx);
}

/* Nothing is to be expected but that no sanitizer, guard byte or assertion is hit. */
static void a_ring_that_changes_while_it_is_read_hurts_nobody(void **state)
{
	struct scribbler s = {.g = new_guest(16, 256, INDIRECT | EVENT_IDX)};
	struct guest *g = s.g;
	pthread_t thread;
	unsigned served = 0;
	unsigned broken = 0;

	(void)state;
	set_desc(g->high, 0, g->high_gpa + 64, 16, F_WRITE, 0);
	assert_int_equal(pthread_create(&thread, NULL, run_scribbler, &s), 0);
	for (unsigned i = 0; i < 200000; i++) {
		struct vrtc_chain chain;

		heal(g);
		if (i % 16 == 0)
			sched_yield(); /* on one CPU the other's turn is here */
		if (pop_beside_driver(&g->ring, &chain) == VRTC_VRING_CHAIN) {
			uint32_t room = chain.writable_bytes < 24 ? chain.writable_bytes : 24;

			vrtc_vring_push(&g->ring, &chain, pattern, room);
			vrtc_vring_publish(&g->ring);
			served++;
		} else {
			assert_non_null(vrtc_vring_fault(&g->ring));
			broken++;
			g->config.base = used_idx(g);
			assert_int_equal(vrtc_vring_start(&g->ring, &g->config), 0);
		}
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	print_message("%u served, %u times broken\n", served, broken);
	for (unsigned i = 0; i < GAP; i++) {
		assert_int_equal(g->host[i], 0xee);
		assert_int_equal((g->low - GAP)[i], 0xee);
		assert_int_equal(g->low[g->buffer_bytes + i], 0xee);
		assert_int_equal((g->host + g->host_bytes - GAP)[i], 0xee);
	}
	free_guest(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_is_a_power_of_two_up_to_32768),
		cmocka_unit_test(null_or_misaligned_areas_are_einval),
		cmocka_unit_test(areas_that_leave_their_region_are_efault),
		cmocka_unit_test(start_writes_nothing),
		cmocka_unit_test(what_a_predecessor_left_unanswered_is_served_again),
		cmocka_unit_test(a_used_index_that_contradicts_the_base_breaks_the_ring),
		cmocka_unit_test(an_empty_ring_is_empty),
		cmocka_unit_test(
			a_request_is_copied_and_its_response_is_used_with_the_exact_length),
		cmocka_unit_test(a_request_that_changes_after_the_pop_is_not_read_again),
		cmocka_unit_test(buffers_at_odd_addresses_are_served),
		cmocka_unit_test(more_than_24_bytes_are_counted_and_neither_copied_nor_written),
		cmocka_unit_test(chains_of_one_side_only_are_served),
		cmocka_unit_test(next_is_ignored_without_the_next_flag),
		cmocka_unit_test(descriptors_of_length_zero_add_nothing_wherever_they_point),
		cmocka_unit_test(chains_are_used_in_the_order_in_which_they_were_made_available),
		cmocka_unit_test(indices_wrap_at_65536_for_all_sizes),
		cmocka_unit_test(a_full_ring_of_32768_is_served),
		cmocka_unit_test(all_framings_of_8_bytes_on_both_sides_mean_the_same),
		cmocka_unit_test(framings_of_24_bytes_in_1_to_24_descriptors_mean_the_same),
		cmocka_unit_test(buffers_that_straddle_regions_are_served_in_pieces),
		cmocka_unit_test(an_indirect_table_may_lie_at_any_address_and_straddle_regions),
		cmocka_unit_test(
			the_write_flag_of_the_descriptor_that_refers_to_a_table_is_ignored),
		cmocka_unit_test(a_chain_as_long_as_the_queue_is_served_and_a_longer_one_breaks_it),
		cmocka_unit_test(an_available_index_too_far_ahead_breaks_the_ring),
		cmocka_unit_test(more_chains_under_way_than_the_queue_holds_break_the_ring),
		cmocka_unit_test(a_head_out_of_range_breaks_the_ring),
		cmocka_unit_test(a_next_out_of_range_breaks_the_ring),
		cmocka_unit_test(a_loop_breaks_the_ring),
		cmocka_unit_test(an_unmapped_buffer_breaks_the_ring),
		cmocka_unit_test(readable_after_writable_breaks_the_ring),
		cmocka_unit_test(indirect_without_the_feature_breaks_the_ring),
		cmocka_unit_test(malformed_indirect_tables_break_the_ring),
		cmocka_unit_test(
			a_chain_of_2_to_the_32_bytes_saturates_and_a_longer_one_breaks_the_ring),
		cmocka_unit_test(a_chain_popped_before_a_fault_writes_nothing_after_it),
		cmocka_unit_test(a_response_longer_than_the_buffer_or_than_24_bytes_is_our_bug),
		cmocka_unit_test(without_event_idx_the_flag_decides_and_used_event_is_ignored),
		cmocka_unit_test(with_event_idx_the_entry_at_used_event_is_signalled_and_no_other),
		cmocka_unit_test(with_used_event_0_the_first_and_the_65537th_entry_are_signalled),
		cmocka_unit_test(without_event_idx_kicks_are_switched_by_the_flag),
		cmocka_unit_test(with_event_idx_kicks_are_switched_by_avail_event_and_flags_stay_0),
		cmocka_unit_test(kick_enable_tells_of_a_chain_that_came_before_it),
		cmocka_unit_test(random_rings_agree_with_a_byte_by_byte_model),
		cmocka_unit_test(a_million_requests_between_two_polling_threads_are_answered),
		cmocka_unit_test(no_notification_is_lost_between_sleeping_threads_with_flags),
		cmocka_unit_test(no_notification_is_lost_between_sleeping_threads_with_event_idx),
		cmocka_unit_test(of_publishing_and_asking_for_a_signal_one_sees_the_other),
		cmocka_unit_test(of_enabling_kicks_and_making_available_one_sees_the_other),
		cmocka_unit_test(a_ring_that_changes_while_it_is_read_hurts_nobody),
	};

	return cmocka_run_group_tests(tests, setup_cpus, NULL);
}
