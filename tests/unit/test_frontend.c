/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/frontend: messages on a socketpair, guest memory, the driver's ring against a device made by
 * hand, and sessions against a small back-end in a thread, which can be told to answer nonsense.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/deadline.h"
#include "frontend/rtc.h"
#include "wire.h"

static unsigned int open_fds(void)
{
	unsigned int n = 0;
	struct stat st;

	for (int fd = 0; fd < 1024; fd++)
		n += fstat(fd, &st) == 0;
	return n;
}

/* Around every test: it leaves no descriptor open. */
static int count_fds(void **state)
{
	static unsigned int before;

	before = open_fds();
	*state = &before;
	return 0;
}

static int recount_fds(void **state)
{
	return open_fds() == *(unsigned int *)*state ? 0 : -1;
}

/* ---- messages ---- */

struct pair {
	int a, b;
};

static struct pair make_pair(void)
{
	struct pair p;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p.a = fds[0];
	p.b = fds[1];
	return p;
}

static void end_pair(struct pair *p)
{
	close(p->a);
	close(p->b);
}

static int64_t soon(void)
{
	return vfe_deadline_in_ms(1000);
}

static void message_and_descriptors_arrive(void **state)
{
	struct pair p = make_pair();
	struct vfe_msg sent = {
		.header = {.request = VFE_MSG_SET_VRING_KICK, .flags = VFE_MSG_VERSION, .size = 8},
		.payload.u64 = 0x1122334455667788,
	};
	int out[2] = {eventfd(0, 0), eventfd(0, 0)};
	struct vfe_msg came;
	int in[VFE_MSG_FDS_MAX];
	unsigned int n = 99;
	eventfd_t value;

	(void)state;
	assert_int_equal(vfe_msg_send(p.a, &sent, out, 2, soon()), 0);
	assert_int_equal(vfe_msg_recv(p.b, &came, in, &n, soon()), 0);
	assert_int_equal(n, 2);
	assert_memory_equal(&came, &sent, sizeof(sent.header) + 8);
	assert_int_equal(eventfd_write(out[1], 7), 0);
	assert_int_equal(eventfd_read(in[1], &value), 0);
	assert_int_equal(value, 7);
	for (int i = 0; i < 2; i++) {
		close(out[i]);
		close(in[i]);
	}
	end_pair(&p);
}

static void descriptors_nobody_asked_for_are_closed(void **state)
{
	struct pair p = make_pair();
	struct vfe_msg msg = {.header = {.request = 1, .flags = VFE_MSG_VERSION}};
	int out[VFE_MSG_FDS_MAX];

	(void)state;
	for (int i = 0; i < VFE_MSG_FDS_MAX; i++)
		out[i] = eventfd(0, 0);
	assert_int_equal(vfe_msg_send(p.a, &msg, out, VFE_MSG_FDS_MAX, soon()), 0);
	for (int i = 0; i < VFE_MSG_FDS_MAX; i++)
		close(out[i]);
	assert_int_equal(vfe_msg_recv(p.b, &msg, NULL, NULL, soon()), 0);
	end_pair(&p);
}

static void descriptors_of_a_bad_message_are_closed(void **state)
{
	struct pair p = make_pair();
	struct vfe_msg msg = {.header = {.request = 1, .flags = 2}};
	int fd = eventfd(0, 0);
	int in[VFE_MSG_FDS_MAX];
	unsigned int n = 99;

	(void)state;
	assert_int_equal(vfe_msg_send(p.a, &msg, &fd, 1, soon()), 0);
	close(fd);
	assert_int_equal(vfe_msg_recv(p.b, &msg, in, &n, soon()), -EPROTO);
	assert_int_equal(n, 0);
	end_pair(&p);
}

static void payload_that_does_not_fit_is_eproto(void **state)
{
	struct pair p = make_pair();
	struct vfe_msg msg;
	struct vfe_msg_header header = {
		.request = 1, .flags = VFE_MSG_VERSION, .size = sizeof(msg.payload) + 1};

	(void)state;
	assert_int_equal(vfe_msg_send_raw(p.a, &header, sizeof(header), NULL, 0, soon()), 0);
	assert_int_equal(vfe_msg_recv(p.b, &msg, NULL, NULL, soon()), -EPROTO);
	msg.header = header;
	assert_int_equal(vfe_msg_send(p.a, &msg, NULL, 0, soon()), -EINVAL);
	end_pair(&p);
}

static void half_a_message_is_reset_when_the_peer_closes_and_timed_out_before(void **state)
{
	struct pair p = make_pair();
	struct vfe_msg_header header = {.request = 1, .flags = VFE_MSG_VERSION, .size = 8};
	struct vfe_msg msg = {0};

	(void)state;
	assert_int_equal(vfe_msg_send_raw(p.a, &header, 11, NULL, 0, soon()), 0);
	assert_int_equal(vfe_msg_recv(p.b, &msg, NULL, NULL, vfe_deadline_in_ms(5)), -ETIMEDOUT);
	assert_int_equal(vfe_msg_send_raw(p.a, &header, sizeof(header), NULL, 0, soon()), 0);
	assert_false(vfe_msg_is_closed(p.b));
	shutdown(p.a, SHUT_RDWR);
	assert_int_equal(vfe_msg_recv(p.b, &msg, NULL, NULL, soon()), -ECONNRESET);
	assert_int_equal(vfe_msg_send(p.b, &msg, NULL, 0, soon()), -ECONNRESET);
	end_pair(&p);
}

static void peer_that_does_not_read_is_timed_out(void **state)
{
	struct pair p = make_pair();
	static uint8_t many[1 << 20];

	(void)state;
	assert_int_equal(vfe_msg_send_raw(p.a, many, sizeof(many), NULL, 0, vfe_deadline_in_ms(5)),
		-ETIMEDOUT);
	end_pair(&p);
}

static void wait_for_the_end_ignores_what_still_comes(void **state)
{
	struct pair p = make_pair();

	(void)state;
	assert_int_equal(vfe_msg_wait_closed(p.b, vfe_deadline_in_ms(5)), -ETIMEDOUT);
	assert_int_equal(vfe_msg_send_raw(p.a, "rest", 4, NULL, 0, soon()), 0);
	shutdown(p.a, SHUT_RDWR);
	assert_false(vfe_msg_is_closed(p.b));
	assert_int_equal(vfe_msg_wait_closed(p.b, soon()), 0);
	assert_true(vfe_msg_is_closed(p.b));
	end_pair(&p);
}

static void requests_have_names(void **state)
{
	(void)state;
	assert_string_equal(vfe_msg_name(VFE_MSG_GET_FEATURES), "GET_FEATURES");
	assert_string_equal(vfe_msg_name(VFE_MSG_CHECK_DEVICE_STATE), "CHECK_DEVICE_STATE");
	assert_string_equal(vfe_msg_name(0), "unknown");
	assert_string_equal(vfe_msg_name(UINT32_MAX), "unknown");
}

/* ---- memory ---- */

static void regions_neither_overlap_nor_wrap(void **state)
{
	struct vfe_mem mem;

	(void)state;
	vfe_mem_init(&mem);
	assert_int_equal(vfe_mem_add(&mem, 0x10000, 0x1000, 0), 0);
	assert_int_equal(vfe_mem_add(&mem, 0x10fff, 1, 0), -EEXIST);
	assert_int_equal(vfe_mem_add(&mem, 0xf000, 0x1001, 0), -EEXIST);
	assert_int_equal(vfe_mem_add(&mem, 0xf000, 0x1000, 0), 0);
	assert_int_equal(vfe_mem_add(&mem, 0x20000, 0, 0), -EINVAL);
	assert_int_equal(vfe_mem_add(&mem, UINT64_MAX, 2, 0), -EINVAL);
	assert_int_equal(vfe_mem_add(&mem, 0x20000, 1, 1), -EINVAL);
	/* The very last bytes of the address space are lawful. */
	assert_int_equal(vfe_mem_add(&mem, UINT64_MAX - 0xfff, 0x1000, 0), 0);
	assert_non_null(vfe_mem_host(&mem, UINT64_MAX, 1));
	assert_null(vfe_mem_host(&mem, UINT64_MAX, 2));
	vfe_mem_fini(&mem);
}

static void translation_stays_inside_one_region(void **state)
{
	struct vfe_mem mem;
	uint8_t *host;

	(void)state;
	vfe_mem_init(&mem);
	assert_int_equal(vfe_mem_add(&mem, 0x1000, 0x1000, 0), 0);
	assert_int_equal(vfe_mem_add(&mem, 0x2000, 0x1000, 0), 0);
	host = vfe_mem_host(&mem, 0x1000, 0x1000);
	assert_non_null(host);
	assert_ptr_equal(vfe_mem_host(&mem, 0x1fff, 1), host + 0xfff);
	assert_null(vfe_mem_host(&mem, 0x1fff, 2));
	assert_null(vfe_mem_host(&mem, 0xfff, 1));
	assert_null(vfe_mem_host(&mem, 0x1000, UINT64_MAX));
	vfe_mem_fini(&mem);
}

static void allocation_aligns_the_guest_address_and_ends(void **state)
{
	struct vfe_mem mem;

	(void)state;
	vfe_mem_init(&mem);
	assert_int_equal(vfe_mem_alloc(&mem, 1, 1), VFE_GPA_NONE);
	assert_int_equal(vfe_mem_add(&mem, 0x1008, 0x100, 0), 0);
	assert_int_equal(vfe_mem_add(&mem, 0x8000, 0x1000, 0), 0);
	assert_int_equal(vfe_mem_alloc(&mem, 8, 16), 0x1010);
	assert_int_equal(vfe_mem_alloc(&mem, 1, 1), 0x1018);
	assert_int_equal(vfe_mem_alloc(&mem, 0x200, 1), 0x8000);
	assert_int_equal(vfe_mem_alloc_in(&mem, 0x8000, 4, 0x1000), VFE_GPA_NONE);
	assert_int_equal(vfe_mem_alloc_in(&mem, 0x8000, 0xe00, 0x200), 0x8200);
	assert_int_equal(vfe_mem_alloc_in(&mem, 0x8000, 1, 1), VFE_GPA_NONE);
	assert_int_equal(vfe_mem_alloc_in(&mem, 0x9000, 1, 1), VFE_GPA_NONE);
	assert_int_equal(vfe_mem_release(&mem, 0x8300), 0);
	assert_int_equal(vfe_mem_alloc_in(&mem, 0x8000, 1, 1), 0x8300);
	assert_int_equal(vfe_mem_release(&mem, 0x7000), -ENOENT);
	vfe_mem_fini(&mem);
}

static void table_names_every_region_and_its_offset(void **state)
{
	struct vfe_mem mem;
	struct vfe_msg msg;
	int fds[VFE_MSG_FDS_MAX];
	uint8_t *peer;

	(void)state;
	vfe_mem_init(&mem);
	for (unsigned int i = 0; i < VFE_MSG_REGIONS_MAX; i++)
		assert_int_equal(vfe_mem_add(&mem, i << 20, 0x1000, i * 0x1000), 0);
	assert_int_equal(vfe_mem_add(&mem, 99 << 20, 0x1000, 0), -ENOSPC);
	assert_int_equal(vfe_mem_remove(&mem, 3 << 20), 0);
	assert_int_equal(vfe_mem_remove(&mem, 3 << 20), -ENOENT);

	assert_int_equal(vfe_mem_table(&mem, &msg, fds), 7);
	assert_int_equal(msg.header.request, VFE_MSG_SET_MEM_TABLE);
	assert_int_equal(msg.header.size, 8 + 7 * 32);
	assert_int_equal(msg.payload.memory.n_regions, 7);
	assert_int_equal(msg.payload.memory.regions[3].guest_addr, 4 << 20);
	assert_int_equal(msg.payload.memory.regions[3].mmap_offset, 0x4000);

	/* What the back-end maps is what we see. */
	peer = mmap(NULL, 0x5000, PROT_READ, MAP_SHARED, fds[3], 0);
	assert_ptr_not_equal(peer, MAP_FAILED);
	*(uint8_t *)vfe_mem_host(&mem, 4 << 20, 1) = 0x5c;
	assert_int_equal(peer[0x4000], 0x5c);
	munmap(peer, 0x5000);
	vfe_mem_fini(&mem);
}

/* ---- the ring, against a device made by hand ---- */

struct bench {
	struct vfe_mem mem;
	struct vfe_ring ring;
};

static void make_bench(struct bench *b, uint16_t size, uint64_t features)
{
	vfe_mem_init(&b->mem);
	assert_int_equal(vfe_mem_add(&b->mem, 0x100000, 0x100000, 0), 0);
	assert_int_equal(vfe_ring_init(&b->ring, &b->mem, size, features), 0);
}

static void end_bench(struct bench *b)
{
	vfe_ring_fini(&b->ring);
	vfe_mem_fini(&b->mem);
}

/* The device uses a buffer. */
static void use(struct vfe_ring *r, uint32_t id, uint32_t bytes)
{
	r->used->ring[r->used->idx & (r->size - 1)] = (struct vfe_used_elem){id, bytes};
	__atomic_store_n(&r->used->idx, (uint16_t)(r->used->idx + 1), __ATOMIC_RELEASE);
}

static const struct vfe_seg three[3] = {{.gpa = 0x111, .bytes = 1}, {.gpa = 0x222, .bytes = 2},
	{.gpa = 0x333, .bytes = 3, .writable = true}};

static void chain_is_laid_out_as_the_specification_says(void **state)
{
	struct bench b;
	struct vfe_ring *r = &b.ring;
	struct vfe_done done;
	uint16_t head;

	(void)state;
	make_bench(&b, 4, 0);
	assert_int_equal(r->desc_gpa % 16, 0);
	assert_int_equal(vfe_ring_add(r, three, 0, 0, NULL), -EINVAL);
	assert_int_equal(vfe_ring_add(r, three, 3, 77, &head), 0);
	assert_int_equal(r->desc[head].gpa, 0x111);
	assert_int_equal(r->desc[head].flags, VFE_DESC_F_NEXT);
	assert_int_equal(r->desc[r->desc[head].next].bytes, 2);
	assert_int_equal(r->desc[r->desc[r->desc[head].next].next].flags, VFE_DESC_F_WRITE);
	assert_int_equal(r->avail->idx, 0);
	vfe_ring_publish(r);
	assert_int_equal(r->avail->idx, 1);
	assert_int_equal(r->avail->ring[0], head);

	assert_int_equal(vfe_ring_add(r, three, 2, 0, NULL), -ENOSPC);
	assert_int_equal(vfe_ring_poll(r, &done), 0);
	use(r, head, 3);
	assert_int_equal(vfe_ring_in_flight(r), 1);
	assert_int_equal(vfe_ring_poll(r, &done), 1);
	assert_int_equal(done.cookie, 77);
	assert_int_equal(done.used_bytes, 3);
	assert_int_equal(vfe_ring_in_flight(r), 0);
	assert_int_equal(r->n_free, 4);
	end_bench(&b);
}

static void indirect_table_takes_one_descriptor(void **state)
{
	struct bench b;
	struct vfe_ring *r = &b.ring;
	uint64_t table_gpa;
	struct vfe_desc *table;
	uint16_t head;

	(void)state;
	make_bench(&b, 2, 1ull << VFE_F_INDIRECT_DESC);
	table_gpa = vfe_mem_alloc(&b.mem, 48, 16);
	table = vfe_mem_host(&b.mem, table_gpa, 48);
	assert_int_equal(vfe_ring_add_indirect(r, three, 3, 0x5000, 0, NULL), -EFAULT);
	assert_int_equal(vfe_ring_add_indirect(r, three, 3, table_gpa, 5, &head), 0);
	assert_int_equal(r->desc[head].flags, VFE_DESC_F_INDIRECT);
	assert_int_equal(r->desc[head].bytes, 48);
	assert_int_equal(table[0].next, 1);
	assert_int_equal(table[1].flags, VFE_DESC_F_NEXT);
	assert_int_equal(table[2].flags, VFE_DESC_F_WRITE);
	assert_int_equal(r->n_free, 1);
	end_bench(&b);
}

static void sizes_that_are_no_ring_are_refused(void **state)
{
	struct vfe_mem mem;
	struct vfe_ring r;

	(void)state;
	vfe_mem_init(&mem);
	assert_int_equal(vfe_mem_add(&mem, 0, 0x3000, 0), 0);
	assert_int_equal(vfe_ring_init(&r, &mem, 0, 0), -EINVAL);
	assert_int_equal(vfe_ring_init(&r, &mem, 3, 0), -EINVAL);
	assert_int_equal(vfe_ring_init(&r, &mem, 1024, 0), -ENOSPC);
	vfe_ring_fini(&r);
	vfe_mem_fini(&mem);
}

/* Random buffers, used in random order, over several wraps of all indices. */
static void books_balance_over_wraps_and_disorder(void **state)
{
	uint16_t flying[8];
	uint64_t cookie_of[8];
	unsigned int n_flying = 0, seed = 1;
	uint64_t cookie = 0;
	struct bench b;
	struct vfe_ring *r = &b.ring;

	(void)state;
	make_bench(&b, 8, 0);
	for (unsigned int i = 0; i < 200000; i++) {
		struct vfe_done done;
		uint16_t head;
		unsigned int n = 1 + (unsigned int)rand_r(&seed) % 3;
		unsigned int pick;

		if (rand_r(&seed) % 2 && vfe_ring_add(r, three, n, cookie, &head) == 0) {
			for (unsigned int j = 0; j < n_flying; j++)
				assert_int_not_equal(flying[j], head);
			flying[n_flying] = head;
			cookie_of[n_flying++] = cookie++;
			vfe_ring_publish(r);
		} else if (n_flying > 0) {
			pick = (unsigned int)rand_r(&seed) % n_flying;
			use(r, flying[pick], i);
			assert_int_equal(vfe_ring_poll(r, &done), 1);
			assert_int_equal(done.head, flying[pick]);
			assert_int_equal(done.cookie, cookie_of[pick]);
			assert_int_equal(done.used_bytes, i);
			n_flying--;
			flying[pick] = flying[n_flying];
			cookie_of[pick] = cookie_of[n_flying];
		}
		assert_int_equal(vfe_ring_in_flight(r), n_flying);
	}
	assert_true(cookie > 65536);
	end_bench(&b);
}

static void nonsense_in_the_used_ring_is_eproto_and_changes_nothing(void **state)
{
	struct bench b;
	struct vfe_ring *r = &b.ring;
	struct vfe_done done;
	uint16_t head;

	(void)state;
	make_bench(&b, 4, 0);
	r->used->idx = 1;
	assert_int_equal(vfe_ring_poll(r, &done), -EPROTO);
	r->used->idx = 0;
	assert_int_equal(vfe_ring_add(r, three, 3, 9, &head), 0);
	/* Added and not published: the device cannot have it. */
	use(r, head, 0);
	assert_int_equal(vfe_ring_poll(r, &done), -EPROTO);
	vfe_ring_publish(r);
	r->used->idx = 2;
	assert_int_equal(vfe_ring_poll(r, &done), -EPROTO);
	r->used->idx = 1;
	r->used->ring[0].id = (uint32_t)head + 1;
	assert_int_equal(vfe_ring_poll(r, &done), -EPROTO);
	r->used->ring[0].id = 0x10000 + (uint32_t)head;
	assert_int_equal(vfe_ring_poll(r, &done), -EPROTO);
	r->used->ring[0].id = head;
	assert_int_equal(vfe_ring_poll(r, &done), 1);
	assert_int_equal(done.cookie, 9);
	/* The same buffer twice. */
	assert_int_equal(vfe_ring_add(r, three, 1, 10, NULL), 0);
	vfe_ring_publish(r);
	use(r, head, 0);
	assert_int_equal(vfe_ring_poll(r, &done), -EPROTO);
	end_bench(&b);
}

static void in_order_device_may_name_only_the_last_of_a_batch(void **state)
{
	struct bench b;
	struct vfe_ring *r = &b.ring;
	struct vfe_done done;
	uint16_t head[3];

	(void)state;
	make_bench(&b, 8, 1ull << VFE_F_IN_ORDER);
	for (unsigned int round = 0; round < 40000; round++) {
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(vfe_ring_add(r, three + 2, 1, i, &head[i]), 0);
		vfe_ring_publish(r);
		r->used->ring[r->used->idx & 7] = (struct vfe_used_elem){head[2], 1};
		r->used->idx = (uint16_t)(r->used->idx + 3);
		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(vfe_ring_poll(r, &done), 1);
			assert_int_equal(done.cookie, i);
			/* Those before the last count as filled. */
			assert_int_equal(done.used_bytes, i < 2 ? 3 : 1);
		}
		assert_int_equal(vfe_ring_poll(r, &done), 0);
	}
	/* virtio-v1.4: "driver uses descriptors in ring order". */
	assert_int_equal(head[2], (40000 * 3 - 1) % 8);
	end_bench(&b);
}

static void kick_is_wanted_unless_the_device_says_no(void **state)
{
	struct bench b;
	struct vfe_ring *r = &b.ring;

	(void)state;
	make_bench(&b, 4, 0);
	assert_false(vfe_ring_kick_wanted(r));
	vfe_ring_add(r, three, 1, 0, NULL);
	assert_false(vfe_ring_kick_wanted(r));
	vfe_ring_publish(r);
	assert_true(vfe_ring_kick_wanted(r));
	assert_false(vfe_ring_kick_wanted(r));
	vfe_ring_add(r, three, 1, 0, NULL);
	vfe_ring_publish(r);
	r->used->flags = VFE_USED_F_NO_NOTIFY;
	assert_false(vfe_ring_kick_wanted(r));
	end_bench(&b);
}

static void kick_with_event_idx_follows_avail_event_and_ignores_flags(void **state)
{
	struct bench b;
	struct vfe_ring *r = &b.ring;
	uint16_t *avail_event;

	(void)state;
	make_bench(&b, 8, 1ull << VFE_F_EVENT_IDX);
	avail_event = (uint16_t *)(void *)&r->used->ring[8];
	r->used->flags = VFE_USED_F_NO_NOTIFY;
	*avail_event = 1;
	vfe_ring_add(r, three, 1, 0, NULL);
	vfe_ring_publish(r);
	assert_false(vfe_ring_kick_wanted(r));
	vfe_ring_add(r, three, 1, 0, NULL);
	vfe_ring_publish(r);
	assert_true(vfe_ring_kick_wanted(r));
	/* Several at once, the event in the middle. */
	*avail_event = 3;
	for (int i = 0; i < 3; i++)
		vfe_ring_add(r, three, 1, 0, NULL);
	vfe_ring_publish(r);
	assert_true(vfe_ring_kick_wanted(r));
	end_bench(&b);
}

static void calls_are_suppressed_and_armed_both_ways(void **state)
{
	struct vfe_done done;
	struct bench b;
	struct vfe_ring *r = &b.ring;
	uint16_t head;

	(void)state;
	make_bench(&b, 4, 0);
	assert_int_equal(r->avail->flags, 0);
	vfe_ring_suppress_calls(r);
	assert_int_equal(r->avail->flags, VFE_AVAIL_F_NO_INTERRUPT);
	assert_true(vfe_ring_arm_call(r));
	assert_int_equal(r->avail->flags, 0);
	vfe_ring_add(r, three, 1, 0, &head);
	vfe_ring_publish(r);
	use(r, head, 0);
	assert_false(vfe_ring_arm_call(r));
	end_bench(&b);

	make_bench(&b, 4, 1ull << VFE_F_EVENT_IDX);
	vfe_ring_add(r, three, 1, 0, &head);
	vfe_ring_publish(r);
	use(r, head, 0);
	assert_int_equal(vfe_ring_poll(r, &done), 1);
	vfe_ring_suppress_calls(r);
	assert_int_equal(r->avail->flags, 0);
	assert_int_equal(r->avail->ring[4], 0);
	assert_true(vfe_ring_arm_call(r));
	assert_int_equal(r->avail->ring[4], 1);
	end_bench(&b);
}

/* ---- the alarmq, the device made by hand ---- */

/* A session that is never connected, its alarmq alone. */
static void make_alarmq(struct vfe_session *s, uint16_t size)
{
	struct vfe_config cfg;

	vfe_config_default(&cfg, "/nowhere");
	cfg.queues = 1u << VIRTIO_RTC_ALARMQ;
	cfg.ring_size = size;
	assert_int_equal(vfe_session_init(s, &cfg), 0);
}

/* The device uses the next available buffer with so many bytes, and writes them if it may. */
static void use_next(struct vfe_session *s, const void *bytes, uint32_t n_bytes)
{
	struct vfe_ring *r = &s->queues[VIRTIO_RTC_ALARMQ].ring;
	uint16_t head = r->avail->ring[r->used->idx & (r->size - 1)];

	if (n_bytes > 0 && !(r->desc[head].flags & VFE_DESC_F_INDIRECT) &&
		r->desc[head].bytes >= n_bytes)
		memcpy(vfe_mem_host(&s->mem, r->desc[head].gpa, n_bytes), bytes, n_bytes);
	use(r, head, n_bytes);
}

static void alarmq_buffers_have_the_shape_that_was_asked_for(void **state)
{
	static const struct vfe_rtc_part parts[] = {{4, false}, {0, true}, {20, true}};
	struct vfe_rtc_alarm_used used;
	const struct vfe_desc *d;
	struct vfe_session s;
	struct vfe_ring *r;

	(void)state;
	make_alarmq(&s, 4);
	r = &s.queues[VIRTIO_RTC_ALARMQ].ring;
	assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 3, false), 0);
	assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 3, true), 0);
	assert_int_equal(r->avail->idx, 2);

	d = &r->desc[r->avail->ring[0]];
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(d->bytes, parts[i].bytes);
		assert_int_equal(d->flags,
			(parts[i].writable ? VFE_DESC_F_WRITE : 0) | (i < 2 ? VFE_DESC_F_NEXT : 0));
		d = &r->desc[d->next];
	}
	d = &r->desc[r->avail->ring[1]];
	assert_int_equal(d->flags, VFE_DESC_F_INDIRECT);
	assert_int_equal(d->bytes, 3 * sizeof(*d));
	d = vfe_mem_host(&s.mem, d->gpa, 3 * sizeof(*d));
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(d[i].bytes, parts[i].bytes);
	assert_int_equal(d[1].gpa, d[0].gpa + 4);
	assert_int_equal(d[2].gpa, d[0].gpa + 4);

	assert_int_equal(vfe_rtc_alarm_take(&s, &used, 0), -ETIMEDOUT);
	memset(vfe_mem_host(&s.mem, d[2].gpa, 20), 0x11, 20);
	use(r, r->avail->ring[1], 20);
	assert_int_equal(vfe_rtc_alarm_take(&s, &used, 0), 0);
	assert_int_equal(used.bytes, 24);
	assert_int_equal(used.used_bytes, 20);
	for (unsigned int i = 0; i < sizeof(used.content); i++)
		assert_int_equal(used.content[i], i >= 4 && i < 24 ? 0x11 : 0xa5);
	vfe_session_fini(&s);
}

static void an_alarmq_that_is_full_takes_nothing_and_the_next_after_a_use(void **state)
{
	static const struct vfe_rtc_part parts[9] = {{8, true}, {8, true}, {49, true}};
	struct vfe_rtc_alarm_used used;
	struct vfe_session s;

	(void)state;
	make_alarmq(&s, 2);
	assert_int_equal(vfe_rtc_alarm_take(&s, &used, 0), -EINVAL);
	assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 0, false), -EINVAL);
	assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 3, false), -EINVAL);
	assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 9, false), -EINVAL);
	assert_int_equal(vfe_rtc_alarmq_fill(&s, 1, 0), -EINVAL);
	assert_int_equal(vfe_rtc_alarmq_fill(&s, 1, 65), -EINVAL);
	assert_int_equal(vfe_rtc_alarmq_fill(&s, 3, 16), -ENOSPC);
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 2, false), 0);
		assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 1, false), -ENOSPC);
		assert_int_equal(vfe_rtc_alarmq_add(&s, parts, 1, true), -ENOSPC);
		use_next(&s, NULL, 0);
		assert_int_equal(vfe_rtc_alarm_take(&s, &used, 0), 0);
		assert_int_equal(used.used_bytes, 0);
	}
	vfe_session_fini(&s);
}

static void a_notification_is_judged_to_the_byte(void **state)
{
	const struct virtio_rtc_notif_alarm good = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_NOTIF_ALARM),
		.clock_id = vrtc_le16_put(0x102),
	};
	struct virtio_rtc_notif_alarm bad;
	uint16_t clock_id = 0;
	struct vfe_session s;

	(void)state;
	make_alarmq(&s, 4);
	assert_int_equal(vfe_rtc_alarmq_fill(&s, 1, sizeof(good)), 0);
	use_next(&s, &good, sizeof(good));
	assert_int_equal(vfe_rtc_alarm_wait(&s, &clock_id, true, 0), 0);
	assert_int_equal(clock_id, 0x102);
	assert_int_equal(vfe_rtc_alarm_wait(&s, &clock_id, true, 0), -ETIMEDOUT);

	/* The recycled buffer, again and again, with each byte wrong in turn. */
	for (size_t i = 0; i < sizeof(bad); i++) {
		bad = good;
		((uint8_t *)&bad)[i] ^= 0x80;
		use_next(&s, &bad, sizeof(bad));
		clock_id = 0;
		if (i == 8 || i == 9) {
			assert_int_equal(vfe_rtc_alarm_wait(&s, &clock_id, true, 0), 0);
			assert_int_equal(clock_id, i == 8 ? 0x182 : 0x8102);
		} else {
			assert_int_equal(vfe_rtc_alarm_wait(&s, &clock_id, true, 0), -EPROTO);
			assert_int_equal(clock_id, 0);
		}
	}
	use_next(&s, &good, sizeof(good) - 1);
	assert_int_equal(vfe_rtc_alarm_wait(&s, &clock_id, false, 0), -EPROTO);
	/* Not recycled: there is none left. */
	assert_int_equal(vfe_ring_in_flight(&s.queues[VIRTIO_RTC_ALARMQ].ring), 0);
	vfe_session_fini(&s);
}

static void calls_are_counted_until_they_are_asked_for(void **state)
{
	struct vfe_session s;

	(void)state;
	make_alarmq(&s, 4);
	assert_int_equal(vfe_session_calls(&s, VIRTIO_RTC_ALARMQ), 0);
	assert_int_equal(eventfd_write(s.queues[VIRTIO_RTC_ALARMQ].call_fd, 1), 0);
	assert_int_equal(eventfd_write(s.queues[VIRTIO_RTC_ALARMQ].call_fd, 1), 0);
	assert_int_equal(vfe_session_calls(&s, VIRTIO_RTC_ALARMQ), 2);
	assert_int_equal(vfe_session_calls(&s, VIRTIO_RTC_ALARMQ), 0);
	assert_int_equal(vfe_session_calls(&s, VIRTIO_RTC_REQUESTQ), 0);
	vfe_session_fini(&s);
}

/* ---- sessions, against a back-end in a thread ---- */

enum misdeed {
	NONE,
	CLOSE_AT_ONCE,
	NO_ANSWER,
	WRONG_REPLY,
	SHORT_REPLY,
	GARBAGE,
	REFUSE, /* negative acknowledgements */
	NO_VERSION_1,
	BAD_USED_ID,
	BAD_USED_IDX,
	BAD_USED_LENGTH,
	NO_CALL,
	CLOSE_ON_REQUEST,
	SWALLOW_REQUESTS,
};

struct backend {
	char path[64];
	int listen_fd;
	bool as_client;
	_Atomic(enum misdeed) misdeed; /* the test changes it while the back-end runs */
	bool no_protocol_features;
	unsigned int seed;
	uint16_t base;     /* SET_VRING_BASE that came last */
	uint64_t features; /* SET_FEATURES that came last */
	unsigned int n_started[VFE_QUEUES_MAX];
	unsigned int n_mem_tables;
	atomic_bool end;
	pthread_t thread;
	/* of the present connection */
	int sock;
	struct vfe_msg_memory table;
	uint8_t *map[VFE_MSG_REGIONS_MAX];
	int kick_fd, call_fd;
	uint16_t size, last_avail;
	bool enabled;
	struct vfe_msg_addr addr;
};

/* User address when by_user, guest address otherwise; all of it in one region, or NULL. */
static void *backend_map(struct backend *b, uint64_t at, uint64_t bytes, bool by_user)
{
	for (unsigned int i = 0; i < b->table.n_regions; i++) {
		const struct vfe_msg_region *r = &b->table.regions[i];
		uint64_t start = by_user ? r->user_addr : r->guest_addr;

		if (at >= start && at - start < r->bytes && bytes <= r->bytes - (at - start))
			return b->map[i] + r->mmap_offset + (at - start);
	}
	return NULL;
}

static void backend_unmap(struct backend *b)
{
	for (unsigned int i = 0; i < b->table.n_regions; i++)
		munmap(b->map[i], b->table.regions[i].bytes + b->table.regions[i].mmap_offset);
	b->table.n_regions = 0;
}

/* A device with two clocks, number 1 reading 1000 and more each time. False: hang up. */
static bool backend_serve(struct backend *b)
{
	struct vfe_avail *avail = backend_map(b, b->addr.avail_user_addr, 6 + 2 * b->size, true);
	struct vfe_used *used = backend_map(b, b->addr.used_user_addr, 6 + 8 * b->size, true);
	struct vfe_desc *desc = backend_map(b, b->addr.desc_user_addr, 16 * b->size, true);
	static uint64_t reading = 1000;

	if (!avail || !used || !desc || b->misdeed == SWALLOW_REQUESTS)
		return true;
	while (b->last_avail != __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE)) {
		uint16_t head = avail->ring[b->last_avail++ & (b->size - 1)];
		const struct vfe_desc *in = &desc[desc[head].next];
		struct virtio_rtc_req_read *req =
			backend_map(b, desc[head].gpa, desc[head].bytes, false);
		struct virtio_rtc_resp_read_cross *resp = backend_map(b, in->gpa, in->bytes, false);
		uint32_t bytes = in->bytes;

		if (b->misdeed == CLOSE_ON_REQUEST)
			return false;
		if (b->misdeed == NO_CALL)
			usleep(50000); /* the driver is asleep by then */
		memset(resp, 0, bytes);
		if (vrtc_le16_get(req->head.msg_type) == VIRTIO_RTC_REQ_CFG) {
			((struct virtio_rtc_resp_cfg *)(void *)resp)->num_clocks = vrtc_le16_put(2);
		} else if (vrtc_le16_get(req->clock_id) != 1) {
			resp->head.status = VIRTIO_RTC_S_ENODEV;
			bytes = 8;
		} else if (vrtc_le16_get(req->head.msg_type) == VIRTIO_RTC_REQ_CLOCK_CAP) {
			((struct virtio_rtc_resp_clock_cap *)(void *)resp)->type =
				VIRTIO_RTC_CLOCK_TAI;
		} else {
			resp->clock_reading = vrtc_le64_put(reading++);
		}
		if (b->misdeed == BAD_USED_LENGTH)
			bytes--;
		used->ring[used->idx & (b->size - 1)] =
			(struct vfe_used_elem){b->misdeed == BAD_USED_ID ? 0xffffu : head, bytes};
		__atomic_store_n(&used->idx,
			(uint16_t)(used->idx + (b->misdeed == BAD_USED_IDX ? 0x4000 : 1)),
			__ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (b->misdeed != NO_CALL && b->call_fd >= 0 &&
			!(avail->flags & VFE_AVAIL_F_NO_INTERRUPT))
			eventfd_write(b->call_fd, 1);
	}
	return true;
}

static void replace_fd(int *fd, const int *fds, unsigned int n_fds)
{
	if (*fd >= 0)
		close(*fd);
	*fd = n_fds > 0 ? fds[0] : -1;
}

static void backend_reply(struct backend *b, struct vfe_msg *msg, uint32_t bytes)
{
	msg->header.flags = VFE_MSG_VERSION | VFE_MSG_REPLY;
	msg->header.size = bytes;
	if (b->misdeed == WRONG_REPLY)
		msg->header.request++;
	if (b->misdeed == SHORT_REPLY)
		msg->header.size--;
	vfe_msg_send(b->sock, msg, NULL, 0, soon());
}

static void backend_garbage(struct backend *b)
{
	uint8_t bytes[600];
	size_t n = (size_t)rand_r(&b->seed) % sizeof(bytes) + 1;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)rand_r(&b->seed);
	/* Half of the time with a header that looks right, so that more code sees it. */
	if (rand_r(&b->seed) % 2 && n > 12) {
		struct vfe_msg_header h = {.request = (uint32_t)rand_r(&b->seed) % 20,
			.flags = 5,
			.size = (uint32_t)rand_r(&b->seed) % 20};

		memcpy(bytes, &h, sizeof(h));
	}
	vfe_msg_send_raw(b->sock, bytes, n, NULL, 0, soon());
}

/* One message. False: hang up. */
static bool backend_message(struct backend *b)
{
	int fds[VFE_MSG_FDS_MAX];
	unsigned int n_fds;
	struct vfe_msg msg;
	bool need_ack;

	if (vfe_msg_recv(b->sock, &msg, fds, &n_fds, soon()) < 0)
		return false;
	if (b->misdeed == NO_ANSWER)
		return true;
	if (b->misdeed == GARBAGE) {
		backend_garbage(b);
		return rand_r(&b->seed) % 4 != 0;
	}
	need_ack = msg.header.flags & VFE_MSG_NEED_REPLY;
	switch (msg.header.request) {
	case VFE_MSG_GET_FEATURES:
		msg.payload.u64 = 1ull << VIRTIO_RTC_F_ALARM;
		if (!b->no_protocol_features)
			msg.payload.u64 |= 1ull << VFE_F_PROTOCOL_FEATURES;
		if (b->misdeed != NO_VERSION_1)
			msg.payload.u64 |= 1ull << VFE_F_VERSION_1;
		backend_reply(b, &msg, 8);
		return true;
	case VFE_MSG_GET_PROTOCOL_FEATURES:
		msg.payload.u64 = ~0ull;
		backend_reply(b, &msg, 8);
		return true;
	case VFE_MSG_GET_QUEUE_NUM:
		msg.payload.u64 = 2;
		backend_reply(b, &msg, 8);
		return true;
	case VFE_MSG_GET_VRING_BASE:
		msg.payload.state.num = b->last_avail;
		b->enabled = false;
		backend_reply(b, &msg, 8);
		return true;
	case VFE_MSG_SET_MEM_TABLE:
		backend_unmap(b);
		b->n_mem_tables++;
		b->table = msg.payload.memory;
		for (unsigned int i = 0; i < n_fds; i++) {
			b->map[i] = mmap(NULL,
				b->table.regions[i].bytes + b->table.regions[i].mmap_offset,
				PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
			close(fds[i]);
		}
		break;
	case VFE_MSG_SET_FEATURES:
		b->features = msg.payload.u64;
		break;
	case VFE_MSG_SET_VRING_NUM:
		b->n_started[msg.payload.state.index % VFE_QUEUES_MAX]++;
		b->size = (uint16_t)msg.payload.state.num;
		break;
	case VFE_MSG_SET_VRING_BASE:
		b->base = b->last_avail = (uint16_t)msg.payload.state.num;
		break;
	case VFE_MSG_SET_VRING_ADDR:
		b->addr = msg.payload.addr;
		break;
	case VFE_MSG_SET_VRING_KICK:
		replace_fd(&b->kick_fd, fds, n_fds);
		b->enabled = b->no_protocol_features;
		break;
	case VFE_MSG_SET_VRING_CALL:
		replace_fd(&b->call_fd, fds, n_fds);
		break;
	case VFE_MSG_SET_VRING_ENABLE:
		b->enabled = msg.payload.state.num != 0;
		break;
	default:
		break;
	}
	if (need_ack) {
		msg.payload.u64 = b->misdeed == REFUSE;
		backend_reply(b, &msg, 8);
	}
	return true;
}

static void backend_connection(struct backend *b)
{
	bool open = b->misdeed != CLOSE_AT_ONCE;

	b->kick_fd = b->call_fd = -1;
	b->enabled = false;
	b->table.n_regions = 0;
	while (open && !b->end) {
		struct pollfd pfd[2] = {{.fd = b->sock, .events = POLLIN},
			{.fd = b->enabled ? b->kick_fd : -1, .events = POLLIN}};
		eventfd_t ignored;

		poll(pfd, 2, 1);
		if (pfd[0].revents)
			open = backend_message(b);
		if (open && pfd[1].revents && b->enabled) {
			eventfd_read(b->kick_fd, &ignored);
			open = backend_serve(b);
		}
	}
	replace_fd(&b->kick_fd, NULL, 0);
	replace_fd(&b->call_fd, NULL, 0);
	backend_unmap(b);
	close(b->sock);
}

static void *backend_main(void *arg)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct backend *b = arg;

	strcpy(addr.sun_path, b->path);
	while (!b->end) {
		struct pollfd pfd = {.fd = b->listen_fd, .events = POLLIN};

		if (b->as_client) {
			b->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
			if (connect(b->sock, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
				backend_connection(b);
			} else {
				close(b->sock);
				usleep(1000);
			}
		} else if (poll(&pfd, 1, 2) == 1) {
			b->sock = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			backend_connection(b);
		}
	}
	return NULL;
}

static void backend_start(struct backend *b, enum misdeed misdeed)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	b->misdeed = misdeed;
	b->end = false;
	snprintf(b->path, sizeof(b->path), "/tmp/test_frontend.%d", getpid());
	b->listen_fd = -1;
	unlink(b->path);
	if (!b->as_client) {
		b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		strcpy(addr.sun_path, b->path);
		assert_int_equal(bind(b->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_int_equal(listen(b->listen_fd, 4), 0);
	}
	assert_int_equal(pthread_create(&b->thread, NULL, backend_main, b), 0);
}

static void backend_stop(struct backend *b)
{
	b->end = true;
	pthread_join(b->thread, NULL);
	if (b->listen_fd >= 0)
		close(b->listen_fd);
	unlink(b->path);
}

static struct vfe_config config_for(const struct backend *b)
{
	struct vfe_config cfg;

	vfe_config_default(&cfg, b->path);
	cfg.timeout_ms = 2000;
	cfg.ring_size = 16;
	return cfg;
}

static void session_against(struct vfe_session *s, const struct vfe_config *cfg)
{
	assert_int_equal(vfe_session_init(s, cfg), 0);
	if (vfe_session_start(s) < 0)
		fail_msg("%s", vfe_error(s));
}

static void expect_reading(struct vfe_session *s)
{
	uint64_t reading_ns = 0;

	if (vfe_rtc_read(s, 1, &reading_ns) != VIRTIO_RTC_S_OK)
		fail_msg("%s", vfe_error(s));
	assert_true(reading_ns >= 1000);
}

static void driver_reads_in_every_wait_mode(void **state)
{
	(void)state;
	for (enum vfe_wait wait = VFE_WAIT_POLL; wait <= VFE_WAIT_SLEEP; wait++) {
		struct vfe_rtc_clock_cap cap = {0};
		struct backend b = {0};
		struct vfe_config cfg;
		struct vfe_session s;
		uint16_t n_clocks = 0;
		uint64_t reading_ns;

		backend_start(&b, NONE);
		cfg = config_for(&b);
		cfg.wait = wait;
		session_against(&s, &cfg);
		assert_int_equal(vfe_rtc_cfg(&s, &n_clocks), VIRTIO_RTC_S_OK);
		assert_int_equal(n_clocks, 2);
		assert_int_equal(vfe_rtc_clock_cap(&s, 1, &cap), VIRTIO_RTC_S_OK);
		assert_int_equal(cap.type, VIRTIO_RTC_CLOCK_TAI);
		assert_int_equal(vfe_rtc_read(&s, 0, &reading_ns), VIRTIO_RTC_S_ENODEV);
		for (int i = 0; i < 40; i++)
			expect_reading(&s);
		vfe_session_fini(&s);
		backend_stop(&b);
	}
}

static void session_works_without_protocol_features(void **state)
{
	struct backend b = {.no_protocol_features = true};
	struct vfe_config cfg;
	struct vfe_session s;

	(void)state;
	backend_start(&b, NONE);
	cfg = config_for(&b);
	session_against(&s, &cfg);
	assert_int_equal(s.protocol, 0);
	expect_reading(&s);
	vfe_session_fini(&s);
	backend_stop(&b);
}

static void back_end_in_client_mode_is_awaited(void **state)
{
	struct backend b = {.as_client = true};
	struct vfe_config cfg;
	struct vfe_session s, second;

	(void)state;
	backend_start(&b, NONE);
	cfg = config_for(&b);
	cfg.listen = true;
	session_against(&s, &cfg);
	expect_reading(&s);
	/* Another front-end does not take the socket away. */
	assert_int_equal(vfe_session_init(&second, &cfg), 0);
	assert_int_equal(vfe_session_connect(&second), -EADDRINUSE);
	vfe_session_fini(&second);
	vfe_session_disconnect(&s);
	assert_int_equal(vfe_session_reconnect(&s), 0);
	expect_reading(&s);
	vfe_session_fini(&s);
	backend_stop(&b);
}

static void back_end_in_client_mode_can_connect_before_it_is_awaited(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct vfe_session s;
	struct vfe_config cfg;
	char byte = 'x';
	int sock;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/test_frontend.%d", getpid());
	unlink(addr.sun_path);
	vfe_config_default(&cfg, addr.sun_path);
	cfg.listen = true;
	assert_int_equal(vfe_session_init(&s, &cfg), 0);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), -1);
	assert_int_equal(vfe_session_listen(&s), 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(send(sock, &byte, 1, 0), 1);
	assert_int_equal(vfe_session_connect(&s), 0);
	assert_int_equal(recv(s.sock, &byte, 1, 0), 1);
	close(sock);
	vfe_session_fini(&s);
}

static void stop_resume_and_reset_keep_and_lose_what_they_should(void **state)
{
	struct backend b = {0};
	struct vfe_config cfg;
	struct vfe_session s;

	(void)state;
	backend_start(&b, NONE);
	cfg = config_for(&b);
	session_against(&s, &cfg);
	for (int i = 0; i < 3; i++)
		expect_reading(&s);
	assert_int_equal(vfe_session_stop(&s), 0);
	assert_int_equal(s.queues[0].base, 3);
	assert_int_equal(vfe_session_resume(&s), 0);
	assert_int_equal(b.base, 3);
	expect_reading(&s);
	assert_int_equal(vfe_session_reset(&s), 0);
	assert_int_equal(b.base, 0);
	for (int i = 0; i < 40; i++)
		expect_reading(&s);
	vfe_session_fini(&s);
	backend_stop(&b);
}

static void the_next_driver_may_want_other_features_and_queues(void **state)
{
	const uint64_t alarm = 1ull << VIRTIO_RTC_F_ALARM;
	struct backend b = {0};
	struct vfe_session s;
	struct vfe_config cfg;

	(void)state;
	backend_start(&b, NONE);
	cfg = config_for(&b);
	cfg.features |= alarm;
	cfg.queues = 3;
	session_against(&s, &cfg);
	assert_true(b.features & alarm);
	assert_int_equal(b.n_started[1], 1);

	assert_int_equal(vfe_session_reset_as(&s, cfg.features & ~alarm, 1), 0);
	assert_false(b.features & alarm);
	expect_reading(&s);
	assert_int_equal(b.n_started[1], 1);
	assert_int_equal(vfe_rtc_alarmq_fill(&s, 1, 16), 0);

	/* Features that are not offered are not negotiated. */
	assert_int_equal(vfe_session_reset_as(&s, cfg.features | 1ull << VFE_F_EVENT_IDX, 3), 0);
	assert_true(s.features == cfg.features);
	assert_true(b.features == cfg.features);
	assert_int_equal(b.n_started[1], 2);
	assert_int_equal(vfe_ring_in_flight(&s.queues[1].ring), 0);
	assert_int_equal(vfe_session_reset_as(&s, cfg.features, 5), -EINVAL);
	vfe_session_fini(&s);
	backend_stop(&b);
}

static void requests_in_flight_survive_a_back_end(void **state)
{
	struct virtio_rtc_req_read req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ),
		.clock_id = vrtc_le16_put(1),
	};
	struct virtio_rtc_resp_read resp;
	struct backend b = {0};
	struct vfe_config cfg;
	struct vfe_session s;
	unsigned int slot[3];
	uint32_t used_bytes;

	(void)state;
	backend_start(&b, NONE);
	cfg = config_for(&b);
	session_against(&s, &cfg);
	expect_reading(&s);
	b.misdeed = SWALLOW_REQUESTS;
	for (int i = 0; i < 3; i++)
		assert_int_equal(vfe_rtc_submit(&s, &req, sizeof(req), sizeof(resp), &slot[i]), 0);
	assert_int_equal(vfe_rtc_collect(&s, slot[0], &resp, &used_bytes, 5), -ETIMEDOUT);
	backend_stop(&b);
	assert_int_equal(vfe_rtc_collect(&s, slot[0], &resp, &used_bytes, 1000), -ECONNRESET);

	/* Not to be confused with descriptors of ours. */
	backend_start(&b, NONE);
	assert_int_equal(vfe_session_reconnect(&s), 0);
	assert_int_equal(b.base, 1);
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(vfe_rtc_collect(&s, slot[i], &resp, &used_bytes, 1000), 0);
		assert_int_equal(used_bytes, sizeof(resp));
	}
	assert_int_equal(vfe_rtc_collect(&s, slot[0], &resp, &used_bytes, 1000), -EINVAL);
	expect_reading(&s);
	backend_stop(&b);
	vfe_session_fini(&s);
}

static void memory_can_be_plugged_while_running(void **state)
{
	struct backend b = {0};
	struct vfe_config cfg;
	struct vfe_session s;

	(void)state;
	backend_start(&b, NONE);
	cfg = config_for(&b);
	cfg.protocol_features = 0;
	session_against(&s, &cfg);
	assert_int_equal(vfe_mem_add(&s.mem, 0x40000000, 0x10000, 0x1000), 0);
	assert_int_equal(vfe_session_set_mem_table(&s), 0);
	/* Applied when the call returns, acknowledged or not. */
	assert_int_equal(b.n_mem_tables, 2);
	expect_reading(&s);
	vfe_session_fini(&s);
	backend_stop(&b);
}

/* Starting against a misdeed gives this error, a sentence, and an end in time. */
static void expect_start(enum misdeed misdeed, int err, const char *words)
{
	struct backend b = {0};
	struct vfe_config cfg;
	struct vfe_session s;
	int64_t start_ns = vfe_now_ns();

	backend_start(&b, misdeed);
	cfg = config_for(&b);
	cfg.timeout_ms = err == -ETIMEDOUT ? 50 : 2000;
	cfg.features_required = 1ull << VFE_F_VERSION_1;
	assert_int_equal(vfe_session_init(&s, &cfg), 0);
	assert_int_equal(vfe_session_start(&s), err);
	if (!strstr(vfe_error(&s), words))
		fail_msg("'%s' lacks '%s'", vfe_error(&s), words);
	vfe_session_fini(&s);
	backend_stop(&b);
	assert_true(vfe_now_ns() - start_ns < 3000000000);
}

static void bad_negotiation_is_told_in_words(void **state)
{
	(void)state;
	expect_start(CLOSE_AT_ONCE, -ECONNRESET, "GET_FEATURES: the back-end closed");
	expect_start(NO_ANSWER, -ETIMEDOUT, "GET_FEATURES: no answer within");
	expect_start(WRONG_REPLY, -EPROTO, "GET_FEATURES: answered by message 2");
	expect_start(SHORT_REPLY, -EPROTO, "answered with 7 bytes instead of 8");
	expect_start(REFUSE, -EREMOTEIO, "refused");
	expect_start(NO_VERSION_1, -ENOTSUP, "VIRTIO_F_VERSION_1");
}

static void garbage_never_starts_a_session(void **state)
{
	(void)state;
	for (unsigned int seed = 0; seed < 60; seed++) {
		struct backend b = {.seed = seed};
		struct vfe_config cfg;
		struct vfe_session s;

		backend_start(&b, GARBAGE);
		cfg = config_for(&b);
		cfg.timeout_ms = 5;
		assert_int_equal(vfe_session_init(&s, &cfg), 0);
		assert_true(vfe_session_start(&s) < 0);
		assert_string_not_equal(vfe_error(&s), "");
		vfe_session_fini(&s);
		backend_stop(&b);
	}
}

static void expect_read(enum misdeed misdeed, enum vfe_wait wait, int err, const char *words)
{
	struct backend b = {0};
	struct vfe_config cfg;
	struct vfe_session s;
	uint64_t reading_ns;

	backend_start(&b, misdeed);
	cfg = config_for(&b);
	cfg.wait = wait;
	session_against(&s, &cfg);
	s.cfg.timeout_ms = err == -ETIMEDOUT ? 700 : 2000;
	assert_int_equal(vfe_rtc_read(&s, 1, &reading_ns), err);
	if (!strstr(vfe_error(&s), words))
		fail_msg("'%s' lacks '%s'", vfe_error(&s), words);
	vfe_session_fini(&s);
	backend_stop(&b);
}

static void bad_devices_are_told_in_words(void **state)
{
	(void)state;
	expect_read(BAD_USED_ID, VFE_WAIT_POLL, -EPROTO, "broke the used ring");
	expect_read(BAD_USED_IDX, VFE_WAIT_SLEEP, -EPROTO, "broke the used ring");
	expect_read(BAD_USED_LENGTH, VFE_WAIT_POLL, -EPROTO, "status OK with 15 bytes");
	expect_read(NO_CALL, VFE_WAIT_SLEEP, -ETIMEDOUT, "but no call came");
	expect_read(SWALLOW_REQUESTS, VFE_WAIT_POLL, -ETIMEDOUT, "no used buffer within");
	expect_read(CLOSE_ON_REQUEST, VFE_WAIT_POLL, -ECONNRESET, "closed the connection before");
	expect_read(CLOSE_ON_REQUEST, VFE_WAIT_SLEEP, -ECONNRESET, "closed the connection before");
}

static void no_back_end_is_told_apart(void **state)
{
	char path[] = "/tmp/test_frontend.XXXXXX";
	char long_path[200];
	struct vfe_config cfg;
	struct vfe_session s;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	vfe_config_default(&cfg, path);
	assert_int_equal(vfe_session_init(&s, &cfg), 0);
	assert_int_equal(vfe_session_start(&s), -ENOTSOCK);
	unlink(path);
	assert_int_equal(vfe_session_start(&s), -ENOENT);
	/* It may still come. */
	s.cfg.connect_ms = 15;
	assert_int_equal(vfe_session_start(&s), -ENOENT);
	vfe_session_fini(&s);

	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	vfe_config_default(&cfg, long_path);
	assert_int_equal(vfe_session_init(&s, &cfg), 0);
	assert_int_equal(vfe_session_start(&s), -ENAMETOOLONG);
	vfe_session_fini(&s);
	cfg.queues = 4;
	assert_int_equal(vfe_session_init(&s, &cfg), -EINVAL);
}

static void deadline_of_a_session_ends_every_wait(void **state)
{
	struct backend b = {0};
	struct vfe_config cfg;
	struct vfe_session s;
	uint64_t reading_ns;
	int64_t start_ns = vfe_now_ns();

	(void)state;
	backend_start(&b, SWALLOW_REQUESTS);
	cfg = config_for(&b);
	cfg.timeout_ms = 60000;
	session_against(&s, &cfg);
	s.deadline_ns = vfe_deadline_in_ms(20);
	assert_int_equal(vfe_rtc_read(&s, 1, &reading_ns), -ETIMEDOUT);
	s.deadline_ns = vfe_deadline_in_ms(20);
	s.cfg.wait = VFE_WAIT_SLEEP;
	assert_int_equal(vfe_rtc_read(&s, 1, &reading_ns), -ETIMEDOUT);
	vfe_session_fini(&s);
	backend_stop(&b);
	assert_true(vfe_now_ns() - start_ns < 3000000000);
}

static void slots_run_out_and_come_back_with_a_reset(void **state)
{
	uint8_t req[16] = {0}, resp[16];
	struct backend b = {0};
	struct vfe_config cfg;
	struct vfe_session s;
	unsigned int slot;

	(void)state;
	backend_start(&b, SWALLOW_REQUESTS);
	cfg = config_for(&b);
	cfg.ring_size = 256;
	session_against(&s, &cfg);
	for (unsigned int i = 0; i < VFE_RTC_SLOTS; i++)
		assert_int_equal(vfe_rtc_submit(&s, req, 16, 16, &slot), 0);
	assert_int_equal(vfe_rtc_submit(&s, req, 16, 16, &slot), -ENOSPC);
	assert_int_equal(vfe_rtc_submit(&s, req, 0, 0, &slot), -EINVAL);
	b.misdeed = NONE;
	assert_int_equal(vfe_session_reset(&s), 0);
	expect_reading(&s);
	assert_int_equal(vfe_rtc_collect(&s, 5, resp, NULL, 0), -EINVAL);
	vfe_session_fini(&s);
	backend_stop(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, count_fds, recount_fds)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(message_and_descriptors_arrive),
		TEST(descriptors_nobody_asked_for_are_closed),
		TEST(descriptors_of_a_bad_message_are_closed),
		TEST(payload_that_does_not_fit_is_eproto),
		TEST(half_a_message_is_reset_when_the_peer_closes_and_timed_out_before),
		TEST(peer_that_does_not_read_is_timed_out),
		TEST(wait_for_the_end_ignores_what_still_comes),
		TEST(requests_have_names),
		TEST(regions_neither_overlap_nor_wrap),
		TEST(translation_stays_inside_one_region),
		TEST(allocation_aligns_the_guest_address_and_ends),
		TEST(table_names_every_region_and_its_offset),
		TEST(chain_is_laid_out_as_the_specification_says),
		TEST(indirect_table_takes_one_descriptor),
		TEST(sizes_that_are_no_ring_are_refused),
		TEST(books_balance_over_wraps_and_disorder),
		TEST(nonsense_in_the_used_ring_is_eproto_and_changes_nothing),
		TEST(in_order_device_may_name_only_the_last_of_a_batch),
		TEST(kick_is_wanted_unless_the_device_says_no),
		TEST(kick_with_event_idx_follows_avail_event_and_ignores_flags),
		TEST(calls_are_suppressed_and_armed_both_ways),
		TEST(alarmq_buffers_have_the_shape_that_was_asked_for),
		TEST(an_alarmq_that_is_full_takes_nothing_and_the_next_after_a_use),
		TEST(a_notification_is_judged_to_the_byte),
		TEST(calls_are_counted_until_they_are_asked_for),
		TEST(driver_reads_in_every_wait_mode),
		TEST(session_works_without_protocol_features),
		TEST(back_end_in_client_mode_is_awaited),
		TEST(back_end_in_client_mode_can_connect_before_it_is_awaited),
		TEST(stop_resume_and_reset_keep_and_lose_what_they_should),
		TEST(the_next_driver_may_want_other_features_and_queues),
		TEST(requests_in_flight_survive_a_back_end),
		TEST(memory_can_be_plugged_while_running),
		TEST(bad_negotiation_is_told_in_words),
		TEST(garbage_never_starts_a_session),
		TEST(bad_devices_are_told_in_words),
		TEST(no_back_end_is_told_apart),
		TEST(deadline_of_a_session_ends_every_wait),
		TEST(slots_run_out_and_come_back_with_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
