/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vring_packed.c against a driver that is written here from the specification's text: its own
 * numbers, its own wrap counters, its own reading of the event suppression structures. A ring's
 * areas and the buffers are one block, so that comparing it with a copy shows each byte that was
 * written where none should be.
 *
 * virtio-v1.4 Packed Virtqueues.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pop_ahead.h"
#include "vring.h"

#define F_NEXT     1
#define F_WRITE    2
#define F_INDIRECT 4
#define F_AVAIL    0x80
#define F_USED     0x8000

#define GPA        0x40000000u
#define NOWHERE    0x7777000u
#define BYTES      (64u << 10)
#define DRIVER_AT  (32u << 10)
#define DEVICE_AT  (DRIVER_AT + 64)
#define BUFFERS_AT (33u << 10)
#define TABLE_AT   (48u << 10)

static _Alignas(4096) uint8_t block[BYTES];
static uint8_t snapshot[BYTES];
static struct vrtc_guestmem mem;
static struct vrtc_vring ring;
static struct vrtc_vring_config config;
static unsigned next; /* the driver's next entry, and its wrap counter */
static bool wrap;

/* Atomic for the thread that flips bytes. */
static void put16(uint8_t *p, uint16_t v)
{
	__atomic_store_n(&p[0], (uint8_t)v, __ATOMIC_RELAXED);
	__atomic_store_n(&p[1], (uint8_t)(v >> 8), __ATOMIC_RELAXED);
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

static void set_desc(uint8_t *d, uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
	put32(d, (uint32_t)addr);
	put32(d + 4, (uint32_t)(addr >> 32));
	put32(d + 8, len);
	put16(d + 12, id);
	put16(d + 14, flags);
}

/* Makes the next entry available. */
static uint8_t *offer(uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
	uint8_t *d = block + 16 * next;

	set_desc(d, addr, len, id, (uint16_t)(flags | (wrap ? F_AVAIL : F_USED)));
	if (++next == config.size) {
		next = 0;
		wrap = !wrap;
	}
	return d;
}

/* What nearly every driver does: 16 bytes to be read, 16 to be written. */
static void offer_usual(uint16_t id)
{
	offer(GPA + BUFFERS_AT, 16, 0x5555, F_NEXT);
	offer(GPA + BUFFERS_AT + 64, 16, id, F_WRITE);
}

static uint16_t name(unsigned offset, bool at_wrap)
{
	return (uint16_t)(offset | (at_wrap ? 0x8000 : 0));
}

/* A fresh ring, as after a reset. */
static void begin(uint16_t size, bool event_idx, bool indirect)
{
	memset(block, 0, sizeof(block));
	mem = (struct vrtc_guestmem){0};
	assert_int_equal(vrtc_guestmem_add(&mem, GPA, BYTES, block), 0);
	config = (struct vrtc_vring_config){
		.mem = &mem,
		.g_desc = block,
		.g_driver = block + DRIVER_AT,
		.g_device = block + DEVICE_AT,
		.size = size,
		.base = VRTC_VRING_PACKED_FIRST,
		.packed = true,
		.event_idx = event_idx,
		.indirect = indirect,
	};
	assert_int_equal(vrtc_vring_start(&ring, &config), 0);
	assert_null(vrtc_vring_fault(&ring));
	next = 0;
	wrap = true;
}

static const uint8_t pattern[VRTC_RESP_BYTES_MAX] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
	0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};

static void serve(uint32_t resp_bytes, bool signal)
{
	struct vrtc_chain chain;

	assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_CHAIN);
	vrtc_vring_push(&ring, &chain, pattern, resp_bytes);
	assert_int_equal(vrtc_vring_publish(&ring), signal);
}

static void assert_used(const uint8_t *d, uint16_t id, uint32_t len, bool at_wrap)
{
	uint16_t flags = get16(d + 14);

	assert_int_equal(!!(flags & F_AVAIL), at_wrap);
	assert_int_equal(!!(flags & F_USED), at_wrap);
	assert_int_equal(!!(flags & F_WRITE), len != 0);
	assert_int_equal(get16(d + 12), id);
	assert_int_equal(get32(d + 8), len);
}

/* The next chain breaks the ring for this reason, for ever, and no byte is written. */
static void assert_breaks(const char *part_of_fault)
{
	struct vrtc_chain chain;

	memcpy(snapshot, block, BYTES);
	assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_BROKEN);
	assert_non_null(vrtc_vring_fault(&ring));
	if (strstr(vrtc_vring_fault(&ring), part_of_fault) == NULL)
		fail_msg("broken by: %s", vrtc_vring_fault(&ring));
	assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_BROKEN);
	assert_false(vrtc_vring_publish(&ring));
	vrtc_vring_kick_disable(&ring);
	assert_false(vrtc_vring_kick_enable(&ring));
	vrtc_vring_leave(&ring);
	assert_memory_equal(block, snapshot, BYTES);
}

/* ---- start ---- */

static void any_size_up_to_32768_and_aligned_areas_inside_of_the_memory(void **state)
{
	(void)state;
	begin(1, false, false);
	begin(3, false, false);
	begin(1000, false, false);
	config.size = 0;
	assert_int_equal(vrtc_vring_start(&ring, &config), -EINVAL);
	config.size = 32769;
	assert_int_equal(vrtc_vring_start(&ring, &config), -EINVAL);
	config.size = 32768; /* 512 KiB: not in this guest */
	assert_int_equal(vrtc_vring_start(&ring, &config), -EFAULT);
	config.size = 8;
	for (unsigned i = 1; i < 4; i++) {
		config.g_driver = block + DRIVER_AT + i;
		assert_int_equal(vrtc_vring_start(&ring, &config), -EINVAL);
	}
	config.g_driver = block + BYTES;
	assert_int_equal(vrtc_vring_start(&ring, &config), -EFAULT);
	config.g_driver = block + DRIVER_AT;
	config.g_device = block + DEVICE_AT + 2;
	assert_int_equal(vrtc_vring_start(&ring, &config), -EINVAL);
	config.g_device = block + BYTES;
	assert_int_equal(vrtc_vring_start(&ring, &config), -EFAULT);
	config.g_device = block + BYTES - 4;
	assert_int_equal(vrtc_vring_start(&ring, &config), 0);
	assert_null(vrtc_vring_fault(&ring));
	config.base = name(8, true);
	assert_int_equal(vrtc_vring_start(&ring, &config), 0);
	assert_non_null(strstr(vrtc_vring_fault(&ring), "base"));
}

/* "MUST NOT use a descriptor unless it observes the [AVAIL] bit in its flags being changed" */
static void nothing_is_used_before_its_flags_say_that_it_is_available(void **state)
{
	static const uint16_t not_available[] = {0, F_AVAIL | F_USED, F_USED, F_WRITE};
	struct vrtc_chain chain;

	(void)state;
	begin(4, false, false);
	for (unsigned i = 0; i < 4; i++) {
		set_desc(block, GPA + BUFFERS_AT, 16, 1, not_available[i]);
		assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_EMPTY);
	}
	assert_false(vrtc_vring_publish(&ring));
}

/* ---- chains ---- */

static void rings_of_many_sizes_go_around_with_chains_of_many_lengths(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 13, 64, 100};

	(void)state;
	for (unsigned k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		begin(sizes[k], false, false);
		for (unsigned i = 0; i < 5000; i++) {
			unsigned n = 1 + (i * 7 + i / 3) % (sizes[k] < 6 ? sizes[k] : 6);
			unsigned head = next;
			bool at_wrap = wrap;

			for (unsigned d = 0; d < n; d++)
				offer(GPA + BUFFERS_AT + 64 * d, 16, (uint16_t)(i + d),
					(uint16_t)(F_WRITE | (d + 1 < n ? F_NEXT : 0)));
			assert_int_equal(vrtc_vring_base(&ring), name(head, at_wrap));
			serve(i % 17, true);
			assert_used(block + 16 * head, (uint16_t)(i + n - 1), i % 17, at_wrap);
			assert_memory_equal(block + BUFFERS_AT, pattern, i % 17);
			assert_int_equal(vrtc_vring_base(&ring), name(next, wrap));
		}
	}
}

/* "The device only writes out a single used descriptor for the whole list." */
static void of_a_chain_only_the_first_descriptor_is_written(void **state)
{
	(void)state;
	begin(8, false, false);
	offer_usual(7);
	memcpy(snapshot, block, BYTES);
	serve(16, true);
	assert_used(block, 7, 16, true);
	assert_memory_equal(block, snapshot, 8); /* its address */
	assert_memory_equal(block + 16, snapshot + 16, DEVICE_AT - 16);
	assert_memory_equal(block + BUFFERS_AT, snapshot + BUFFERS_AT, 64);
	assert_memory_equal(block + BUFFERS_AT + 64, pattern, 16);
	assert_memory_equal(
		block + BUFFERS_AT + 80, snapshot + BUFFERS_AT + 80, BYTES - BUFFERS_AT - 80);
}

static void a_batch_is_used_in_order(void **state)
{
	struct vrtc_chain chain[4];
	struct vrtc_chain none;

	(void)state;
	begin(8, false, false);
	for (uint16_t i = 0; i < 4; i++)
		offer_usual(i);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(vrtc_vring_pop(&ring, &chain[i]), VRTC_VRING_CHAIN);
	assert_int_equal(vrtc_vring_pop(&ring, &none), VRTC_VRING_EMPTY);
	assert_int_equal(chain[1].index, name(2, true));
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(chain[i].id, i);
		vrtc_vring_push(&ring, &chain[i], pattern, i);
		/* What is shown of a batch before it is published is its beginning. */
		assert_int_equal(vrtc_vring_base(&ring), name(2 * i, true));
	}
	assert_true(vrtc_vring_publish(&ring));
	assert_int_equal(vrtc_vring_base(&ring), name(0, false));
	for (uint16_t i = 0; i < 4; i++)
		assert_used(block + 32 * i, i, i, true);
}

static void more_than_the_ring_is_never_taken(void **state)
{
	struct vrtc_chain chain;

	(void)state;
	begin(2, false, false);
	offer_usual(0);
	assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_CHAIN);
	/* Over what is still ours. */
	offer_usual(1);
	assert_breaks("more descriptors than its queue");

	/* By one. */
	begin(2, false, false);
	offer_usual(0);
	assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_CHAIN);
	offer(GPA + BUFFERS_AT, 16, 1, F_WRITE);
	assert_breaks("more descriptors than its queue");

	/* NEXT in each entry: a loop. */
	begin(4, false, false);
	for (unsigned i = 0; i < 4; i++)
		offer(GPA + BUFFERS_AT, 1, 0, F_NEXT);
	assert_breaks("");
}

static void what_a_driver_must_not_do_breaks_the_ring(void **state)
{
	(void)state;
	begin(8, false, true);
	offer(GPA + BUFFERS_AT, 16, 0, F_NEXT);
	assert_breaks("not marked as available");

	begin(8, false, true);
	offer(GPA + BUFFERS_AT, 16, 0, F_WRITE | F_NEXT);
	offer(GPA + BUFFERS_AT, 16, 0, 0);
	assert_breaks("readable descriptor follows");

	begin(8, false, true);
	offer(NOWHERE, 16, 0, 0);
	assert_breaks("not in the guest's memory");

	begin(8, false, true);
	offer(UINT64_MAX, 16, 0, F_WRITE);
	assert_breaks("not in the guest's memory");

	begin(8, false, true);
	offer(GPA, UINT32_MAX, 0, F_WRITE);
	assert_breaks("not in the guest's memory");

	/* "MUST NOT write direct descriptors with [INDIRECT] set in a [...] list linked by [NEXT]" */
	begin(8, false, true);
	offer(GPA + BUFFERS_AT, 16, 0, F_NEXT);
	offer(GPA + TABLE_AT, 32, 0, F_INDIRECT);
	assert_breaks("linked to a direct one");

	begin(8, false, true);
	offer(GPA + TABLE_AT, 32, 0, F_INDIRECT | F_NEXT);
	assert_breaks("both INDIRECT and NEXT");

	begin(8, false, false);
	offer(GPA + TABLE_AT, 32, 0, F_INDIRECT);
	assert_breaks("not negotiated");
}

/* "The VIRTQ_DESC_F_WRITE flags bit is the only valid flag [...] Others are [...] ignored" */
static void a_table_is_a_plain_list_and_its_other_flags_and_ids_are_ignored(void **state)
{
	struct vrtc_chain chain;
	uint8_t *table;

	(void)state;
	begin(4, false, true);
	table = block + TABLE_AT;
	block[BUFFERS_AT] = 0x42;
	set_desc(table, GPA + BUFFERS_AT, 16, 99, F_INDIRECT | F_USED);
	set_desc(table + 16, GPA + BUFFERS_AT + 64, 4, 98, F_WRITE | F_AVAIL);
	set_desc(table + 32, GPA + BUFFERS_AT + 128, 12, 97, F_WRITE);
	/* "In descriptors with [INDIRECT] set [WRITE] is reserved and is ignored by the device." */
	offer(GPA + TABLE_AT, 48, 3, F_INDIRECT | F_WRITE);
	assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_CHAIN);
	assert_int_equal(chain.readable_bytes, 16);
	assert_int_equal(chain.writable_bytes, 16);
	assert_int_equal(chain.req[0], 0x42);
	vrtc_vring_push(&ring, &chain, pattern, 16);
	assert_true(vrtc_vring_publish(&ring));
	assert_used(block, 3, 16, true);
	assert_memory_equal(block + BUFFERS_AT + 64, pattern, 4);
	assert_memory_equal(block + BUFFERS_AT + 128, pattern + 4, 12);
	assert_int_equal(vrtc_vring_base(&ring), name(1, true));
}

static void a_table_of_a_bad_size_or_place_breaks_the_ring(void **state)
{
	(void)state;
	for (unsigned len = 0; len < 80; len += 8) {
		if (len != 0 && len % 16 == 0 && len <= 64)
			continue;
		begin(4, false, true);
		offer(GPA + TABLE_AT, len, 0, F_INDIRECT);
		assert_breaks("the length of an indirect table");
	}
	begin(4, false, true);
	offer(GPA + TABLE_AT, 5 * 16, 0, F_INDIRECT);
	assert_breaks("more descriptors than its queue");
	begin(4, false, true);
	offer(GPA + BYTES - 16, 32, 0, F_INDIRECT);
	assert_breaks("table is not in the guest's memory");
}

/* ---- event suppression ---- */

static void set_driver_event(uint16_t desc, uint16_t flags)
{
	put16(block + DRIVER_AT, desc);
	put16(block + DRIVER_AT + 2, flags);
}

static void a_signal_is_wanted_unless_it_is_disabled(void **state)
{
	(void)state;
	begin(8, false, false);
	set_driver_event(0, 1);
	offer_usual(0);
	serve(16, false);
	set_driver_event(0, 0);
	offer_usual(0);
	serve(16, true);
	/* The value 3 is reserved; and 2 is "only valid if VIRTIO_F_EVENT_IDX". */
	set_driver_event(0, 3);
	offer_usual(0);
	serve(16, true);
	set_driver_event(0, 2);
	offer_usual(0);
	serve(16, true);
}

/* "Event will only trigger when this descriptor is [...] used", and the wrap counter matches. */
static void with_event_idx_a_signal_is_wanted_for_the_entry_that_was_named(void **state)
{
	(void)state;
	begin(5, true, false);
	for (unsigned i = 0; i < 200; i++) {
		unsigned head = next;
		bool at_wrap = wrap;
		unsigned event = i % 5;
		bool event_wrap = i / 5 % 2;
		bool wanted = false;

		offer_usual((uint16_t)i);
		for (unsigned d = 0; d < 2; d++) {
			unsigned at = head + d;
			bool w = at < 5 ? at_wrap : !at_wrap;

			wanted |= event == at % 5 && event_wrap == w;
		}
		set_driver_event(name(event, event_wrap), 2);
		serve(16, wanted);
	}
	/* An entry that there is not. */
	set_driver_event(name(5, true), 2);
	offer_usual(0);
	serve(16, true);
}

/*
 * Chains are shown one by one, so a quick driver goes on with entries of the batch while it lasts,
 * and the batch goes around the ring, more than once.
 */
static void a_batch_of_more_than_the_ring_signals_the_entry_that_was_named(void **state)
{
	(void)state;
	for (unsigned size = 2; size <= 5; size++) {
		for (unsigned n = 1; n <= 4 * size; n++) {
			struct vrtc_chain chain;

			begin((uint16_t)size, true, false);
			/* What the driver waits for: the last of them. */
			set_driver_event(name((n - 1) % size, (n - 1) / size % 2 == 0), 2);
			for (unsigned i = 0; i < n && i < size; i++)
				offer(GPA + BUFFERS_AT, 16, (uint16_t)i, F_WRITE);
			for (unsigned i = 0; i < n; i++) {
				assert_int_equal(vrtc_vring_pop(&ring, &chain), VRTC_VRING_CHAIN);
				vrtc_vring_push(&ring, &chain, pattern, 16);
				/* The one before is shown by now. */
				if (i > 0 && i + size - 1 < n)
					offer(GPA + BUFFERS_AT, 16, (uint16_t)i, F_WRITE);
			}
			assert_true(vrtc_vring_publish(&ring));
		}
	}
}

static void kicks_are_asked_for_and_not_asked_for(void **state)
{
	(void)state;
	begin(8, false, false);
	vrtc_vring_kick_disable(&ring);
	assert_int_equal(get16(block + DEVICE_AT + 2), 1);
	assert_false(vrtc_vring_kick_enable(&ring));
	assert_int_equal(get16(block + DEVICE_AT + 2), 0);
	offer_usual(0);
	assert_true(vrtc_vring_kick_enable(&ring));

	begin(8, true, false);
	for (unsigned i = 0; i < 20; i++) {
		vrtc_vring_kick_disable(&ring);
		assert_int_equal(get16(block + DEVICE_AT + 2), 1);
		offer_usual(0);
		serve(16, true);
		/* Never an event that names another entry than the next. */
		assert_int_not_equal(get16(block + DEVICE_AT + 2), 2);
		assert_false(vrtc_vring_kick_enable(&ring));
		assert_int_equal(get16(block + DEVICE_AT + 2), 2);
		assert_int_equal(get16(block + DEVICE_AT), name(next, wrap));
	}
	/* It is sound without EVENT_IDX, too, if the driver comes while we sleep. */
	offer_usual(0);
	serve(16, true);
	assert_int_equal(get16(block + DEVICE_AT + 2), 0);
}

/* ---- a successor ---- */

/* The next process: what it is told is where the queue began, as QEMU does after a crash. */
static void assert_next_begins_at(uint16_t at)
{
	config.base = VRTC_VRING_PACKED_FIRST;
	memcpy(snapshot, block, BYTES);
	assert_int_equal(vrtc_vring_start(&ring, &config), 0);
	assert_null(vrtc_vring_fault(&ring));
	assert_int_equal(vrtc_vring_base(&ring), at);
	assert_memory_equal(block, snapshot, BYTES);
}

static void after_kill_9_the_ring_goes_on_where_it_was(void **state)
{
	(void)state;
	for (unsigned policy = 0; policy < 3; policy++) {
		begin(7, policy == 2, false);
		for (unsigned i = 0; i < 500; i++) {
			if (policy == 1)
				vrtc_vring_kick_disable(&ring);
			else if (policy == 2)
				(void)vrtc_vring_kick_enable(&ring);
			offer_usual((uint16_t)i);
			if (i % 3 == 0)
				offer(GPA + BUFFERS_AT, 16, 1, F_WRITE);
			if (i % 5 == 0)
				assert_next_begins_at(vrtc_vring_base(&ring));
			serve(16, true);
			if (i % 3 == 0)
				serve(16, true);
			assert_next_begins_at(name(next, wrap));
		}
	}
}

/*
 * Killed in the middle of the three stores that show a chain: the note that says so, the used
 * descriptor, the note behind it. Whatever the driver does before the next process comes.
 */
static void killed_between_any_two_stores_no_chain_is_lost_or_used_twice(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 3; n++) {
		for (unsigned lap = 0; lap < 4 * 6; lap++) {
			unsigned head;
			bool at_wrap;
			uint32_t noted;

			begin(6, false, false);
			for (unsigned i = 0; i < lap; i++) {
				offer(GPA + BUFFERS_AT, 16, 1, F_WRITE);
				serve(16, true);
			}
			head = next;
			at_wrap = wrap;
			for (unsigned d = 0; d < n; d++)
				offer(GPA + BUFFERS_AT, 16, 1,
					d + 1 < n ? F_NEXT | F_WRITE : F_WRITE);
			noted = (head + 1) | 0x4000u | (at_wrap ? 0x8000u : 0);

			/* Before the used descriptor. */
			put32(block + DEVICE_AT, noted);
			assert_next_begins_at(name(head, at_wrap));
			/* Behind it. */
			serve(16, true);
			put32(block + DEVICE_AT, noted);
			assert_next_begins_at(name(next, wrap));
			/* And the driver makes the whole ring available meanwhile. */
			for (unsigned i = 0; i < 6 / n; i++) {
				for (unsigned d = 0; d < n; d++)
					offer(GPA + BUFFERS_AT, 16, 1,
						d + 1 < n ? F_NEXT | F_WRITE : F_WRITE);
				if (i + 1 < 6 / n)
					assert_next_begins_at(name(
						(head + n) % 6, head + n < 6 ? at_wrap : !at_wrap));
			}
			assert_next_begins_at(
				name((head + n) % 6, head + n < 6 ? at_wrap : !at_wrap));
		}
	}
}

/* A queue that was stopped in order, and a driver that leaves the event structures as they are. */
static void once_the_front_end_was_told_the_base_that_counts(void **state)
{
	(void)state;
	begin(8, true, false);
	offer_usual(0);
	serve(16, true);
	(void)vrtc_vring_kick_enable(&ring);
	vrtc_vring_leave(&ring);
	assert_int_equal(get16(block + DEVICE_AT), 0);
	assert_int_not_equal(get16(block + DEVICE_AT + 2), 2);
	config.base = name(5, false);
	assert_int_equal(vrtc_vring_start(&ring, &config), 0);
	assert_int_equal(vrtc_vring_base(&ring), name(5, false));
}

/* What is in the structure is the guest's: no value of it leads out of the ring. */
static void any_note_names_an_entry_of_the_ring_or_nothing(void **state)
{
	(void)state;
	begin(6, true, false);
	for (unsigned i = 0; i < 3; i++)
		offer_usual(0);
	for (uint32_t flags = 0; flags < 4; flags++) {
		for (uint32_t desc = 0; desc < 0x10000; desc++) {
			put32(block + DEVICE_AT, desc | flags << 16);
			assert_int_equal(vrtc_vring_start(&ring, &config), 0);
			assert_true((vrtc_vring_base(&ring) & 0x7fff) < 6);
		}
	}
	/* Entries that are all marked as used, all with NEXT. */
	for (unsigned i = 0; i < 6; i++)
		put16(block + 16 * i + 14, F_AVAIL | F_USED | F_NEXT);
	put32(block + DEVICE_AT, 0xc001);
	assert_int_equal(vrtc_vring_start(&ring, &config), 0);
	assert_true((vrtc_vring_base(&ring) & 0x7fff) < 6);
}

static void a_ring_is_at_its_start_only_before_its_first_lap(void **state)
{
	(void)state;
	begin(4, false, false);
	assert_true(vrtc_vring_is_at_start(&ring));
	for (unsigned i = 0; i < 8; i++) {
		offer(GPA + BUFFERS_AT, 16, 0, F_WRITE);
		serve(16, true);
		assert_false(vrtc_vring_is_at_start(&ring));
	}
	assert_int_equal(vrtc_vring_base(&ring), VRTC_VRING_PACKED_FIRST);
	begin(4, false, false);
	for (unsigned i = 0; i < 4; i++)
		offer(GPA + BUFFERS_AT, 16, 0, F_WRITE);
	assert_true(vrtc_vring_is_at_start(&ring));
}

/* ---- while it is read ---- */

static atomic_bool flipping;

static void *flip(void *arg)
{
	uint32_t random = 1;

	(void)arg;
	while (atomic_load_explicit(&flipping, memory_order_relaxed)) {
		random = random * 1664525 + 1013904223;
		/* Descriptors, the driver's event, and the table. */
		__atomic_store_n(&block[random >> 8 & 1 ? TABLE_AT + (random >> 16) % 64
							: (random >> 16) % 128],
			(uint8_t)(random >> 9), __ATOMIC_RELAXED);
	}
	return NULL;
}

static void a_ring_that_changes_while_it_is_read_hurts_nobody(void **state)
{
	const time_t end_s = time(NULL) + 20;
	unsigned served = 0;
	unsigned broken = 0;
	pthread_t thread;

	(void)state;
	begin(8, true, true);
	atomic_store(&flipping, true);
	assert_int_equal(pthread_create(&thread, NULL, flip, NULL), 0);
	/* On a busy machine the other thread may not run for a while. */
	for (unsigned i = 0; i < 100000 || (broken == 0 && time(NULL) < end_s); i++) {
		struct vrtc_chain chain;

		if (i % 1024 == 0)
			sched_yield();
		next = i % 8;
		wrap = i & 8;
		config.base = name(next, wrap);
		put32(block + DEVICE_AT, 0);
		offer_usual(1);
		set_desc(block + TABLE_AT, GPA + BUFFERS_AT, 16, 0, F_WRITE);
		offer(GPA + TABLE_AT, 16, 2, F_INDIRECT);
		assert_int_equal(vrtc_vring_start(&ring, &config), 0);
		for (unsigned k = 0; k < 4; k++) {
			enum vrtc_vring_result result = pop_beside_driver(&ring, &chain);

			if (result == VRTC_VRING_CHAIN) {
				uint32_t bytes = chain.writable_bytes;

				vrtc_vring_push(&ring, &chain, pattern,
					bytes < VRTC_RESP_BYTES_MAX ? bytes : VRTC_RESP_BYTES_MAX);
				served++;
			}
			broken += result == VRTC_VRING_BROKEN;
		}
		(void)vrtc_vring_publish(&ring);
	}
	atomic_store(&flipping, false);
	pthread_join(thread, NULL);
	print_message("%u served, %u times broken\n", served, broken);
	assert_true(served > 0 && broken > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_size_up_to_32768_and_aligned_areas_inside_of_the_memory),
		cmocka_unit_test(nothing_is_used_before_its_flags_say_that_it_is_available),
		cmocka_unit_test(rings_of_many_sizes_go_around_with_chains_of_many_lengths),
		cmocka_unit_test(of_a_chain_only_the_first_descriptor_is_written),
		cmocka_unit_test(a_batch_is_used_in_order),
		cmocka_unit_test(more_than_the_ring_is_never_taken),
		cmocka_unit_test(what_a_driver_must_not_do_breaks_the_ring),
		cmocka_unit_test(a_table_is_a_plain_list_and_its_other_flags_and_ids_are_ignored),
		cmocka_unit_test(a_table_of_a_bad_size_or_place_breaks_the_ring),
		cmocka_unit_test(a_signal_is_wanted_unless_it_is_disabled),
		cmocka_unit_test(with_event_idx_a_signal_is_wanted_for_the_entry_that_was_named),
		cmocka_unit_test(a_batch_of_more_than_the_ring_signals_the_entry_that_was_named),
		cmocka_unit_test(kicks_are_asked_for_and_not_asked_for),
		cmocka_unit_test(after_kill_9_the_ring_goes_on_where_it_was),
		cmocka_unit_test(killed_between_any_two_stores_no_chain_is_lost_or_used_twice),
		cmocka_unit_test(once_the_front_end_was_told_the_base_that_counts),
		cmocka_unit_test(any_note_names_an_entry_of_the_ring_or_nothing),
		cmocka_unit_test(a_ring_is_at_its_start_only_before_its_first_lap),
		cmocka_unit_test(a_ring_that_changes_while_it_is_read_hurts_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
