/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.h behind an rte_vhost that refuses, and that hands on what the real one would hold back:
 * tests/daemon and tests/faults have the real one. Its callbacks are called by hand, and the alarm
 * lcore turns when it is asked something.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_log.h>
#include <rte_vhost.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "backend.h"
#include "fake_vhost.h"
#include "guest_rings.h"
#include "memory_fault.h"
#include "refuser.h"
#include "vhost_msg.h"

#define PATH     FAKE_VHOST_PATH
#define VID      FAKE_VHOST_VID
#define VIDS_MAX FAKE_VHOST_VIDS

/* ---- What the daemon makes before its sockets. */

static const struct vrtc_clock clocks[] = {{.type = VIRTIO_RTC_CLOCK_MONOTONIC, .alarm = true}};
static struct vrtc_leap_table table;
static struct vrtc_hosttime host;
static struct vrtc_pairing pairing;
static const struct vrtc_timesource source = {.host = &host, .pairing = &pairing};
static struct vrtc_alarm_ledger ledger;
static struct vrtc_poller *poller;
static struct vrtc_alarm_lcore *alarm_lcore;
static struct vrtc_backend_config backend = {
	.poller = &poller, .n_pollers = 1, .alarm_lcore = &alarm_lcore, .n_alarm_lcores = 1};
static struct vrtc_endpoint_config config = {
	.name = "vm1",
	.socket_path = PATH,
	.device = {.clock = clocks, .n_clocks = 1},
	.time = &source,
	.counter = {.choice = VRTC_COUNTER_NONE},
	.alarms = {.ledger = &ledger, .time = &source},
};
static struct guest_rings guest;
static int attention_fd;
static char *log_text;
static size_t log_bytes;
static FILE *log_file;

static int begin_process(void **state)
{
	const struct vrtc_alarm_source sources = {
		.time = &source, .capacity = {[VRTC_TIMESCALE_MONOTONIC] = 64}};

	(void)state;
	atomic_store(&host.leap, &table);
	alarm_lcore = vrtc_alarm_lcore_new(2, -1, &sources, 1, 64);
	poller = vrtc_poller_new(1, -1, VRTC_IDLE_INTERRUPT, NULL);
	vrtc_alarm_ledger_init(&ledger, clocks, 1);
	guest_rings_make(&guest, false);
	return alarm_lcore && poller ? 0 : -1;
}

static int end_process(void **state)
{
	(void)state;
	vrtc_poller_free(poller);
	guest_rings_free(&guest);
	return 0;
}

static void begin_log(void)
{
	log_file = open_memstream(&log_text, &log_bytes);
	assert_non_null(log_file);
	(void)rte_openlog_stream(log_file);
}

/* How often the log has it; the log begins anew. */
static unsigned logged(const char *what)
{
	unsigned n = 0;

	(void)rte_openlog_stream(NULL);
	(void)fclose(log_file);
	for (const char *at = log_text; (at = strstr(at, what)); at++)
		n++;
	free(log_text);
	begin_log();
	return n;
}

/* A connection as it is when a driver's queue is ready, but for what a case changes then. */
static struct vrtc_endpoint *begin(void)
{
	struct vrtc_endpoint *e;

	memset(&vhost, 0, sizeof(vhost));
	vhost.refused = FAKE_VHOST_NO_STEP;
	vhost.path = PATH;
	vhost.peer_fd = -ENOTCONN;
	vhost.negotiated = guest_rings_queue(&guest).features;
	vhost.region[0] = (struct rte_vhost_mem_region){.guest_phys_addr = GUEST_GPA,
		.host_user_addr = (uint64_t)(uintptr_t)guest.g_mem,
		.size = GUEST_BYTES};
	vhost.n_regions = 1;
	vhost.vring.desc = (struct vring_desc *)(void *)guest.g_mem;
	vhost.vring.avail = (struct vring_avail *)(void *)(guest.g_mem + GUEST_DRIVER_AT);
	vhost.vring.used = (struct vring_used *)(void *)(guest.g_mem + GUEST_DEVICE_AT);
	vhost.vring.size = GUEST_QUEUE_SIZE;
	vhost.vring.kickfd = -1;
	vhost.vring.callfd = -1;
	begin_log();
	e = vrtc_backend_open(&config);
	assert_non_null(e);
	return e;
}

static void end(struct vrtc_endpoint *e)
{
	if (e)
		vrtc_backend_close(e);
	(void)rte_openlog_stream(NULL);
	(void)fclose(log_file);
	free(log_text);
}

/* ---- A message, in the room that rte_vhost has for it and its descriptors. */

struct message {
	union {
		struct vrtc_vhost_msg head;
		char room[1024];
	};
};

#if RTE_VERSION < RTE_VERSION_NUM(25, 3, 0, 0)
#define FDS_KNOWN true
static void attach(struct message *m, int n, const int *fd)
{
	memcpy(m->room + VRTC_VHOST_FDS_OFFSET, fd, sizeof(int) * (n < 8 ? (size_t)n : 8));
	memcpy(m->room + VRTC_VHOST_FDS_OFFSET + 8 * sizeof(int), &n, sizeof(n));
}
#else
#define FDS_KNOWN false
static void attach(struct message *m, int n, const int *fd)
{
	(void)m;
	(void)n;
	(void)fd;
}
#endif

static enum rte_vhost_msg_result hand_on(struct message *m)
{
	return vhost.messages->pre_msg_handle(VID, m);
}

static struct message message_of(uint32_t request, uint32_t bytes)
{
	struct message m;

	memset(&m, 0, sizeof(m));
	m.head.request = request;
	m.head.flags = VRTC_VHOST_FLAG_NEED_REPLY;
	m.head.bytes = bytes;
	return m;
}

static void refused(struct message m)
{
	assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_ERR);
	/* Or rte_vhost would answer, and keep the connection. */
	assert_int_equal(m.head.flags & VRTC_VHOST_FLAG_NEED_REPLY, 0);
}

static void connect_it(void)
{
	assert_int_equal(vhost.ops->new_connection(VID), 0);
}

static void set_memory(void)
{
	struct message m = message_of(VRTC_VHOST_SET_MEM_TABLE, 8);

	assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(
		vhost.messages->post_msg_handle(VID, &m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
}

/* Whether the requestq is served, of a connection whose memory is there. */
static bool is_served(void)
{
	unsigned load = vrtc_poller_load(poller);

	set_memory();
	assert_int_equal(vhost.ops->vring_state_changed(VID, VIRTIO_RTC_REQUESTQ, 1), 0);
	return vrtc_poller_load(poller) > load;
}

static void close_it(void)
{
	vhost.ops->destroy_connection(VID);
	assert_int_equal(vrtc_poller_load(poller), 0);
}

/* ---- The process, and its sockets. */

static void a_back_end_that_cannot_be_made_says_so_and_leaves_nothing(void **state)
{
	static const int expected[] = {-ENOMEM, -ENOMEM, -EMFILE, -EMFILE};
	unsigned descriptors = refuser_descriptors();
	long memory = refuser_memory();

	(void)state;
	for (unsigned nth = 1; nth <= 4; nth++) {
		refuser_begin(nth, EMFILE);
		assert_int_equal(vrtc_backend_init(&backend), expected[nth - 1]);
		assert_true(refuser_end());
		assert_int_equal(refuser_memory(), memory);
		assert_int_equal(refuser_descriptors(), descriptors);
	}
	attention_fd = vrtc_backend_init(&backend);
	assert_true(attention_fd >= 0);
}

static void a_device_without_memory_is_not_opened_and_leaves_none(void **state)
{
	long memory = refuser_memory();

	(void)state;
	memset(&vhost, 0, sizeof(vhost));
	for (unsigned nth = 1; nth <= 2; nth++) {
		refuser_begin(nth, ENOMEM);
		assert_null(vrtc_backend_open(&config));
		assert_true(refuser_end());
		assert_int_equal(errno, ENOMEM);
		assert_int_equal(refuser_memory(), memory);
	}
}

static void a_device_that_rte_vhost_refuses_is_not_opened_and_serves_nobody(void **state)
{
	(void)state;
	end(begin());
	for (int step = 0; step < FAKE_VHOST_NO_STEP; step++) {
		for (int known = 0; known < 2; known++) {
			vhost.refused = (enum fake_vhost_step)step;
			vhost.err = known ? EADDRINUSE : 0;
			assert_null(vrtc_backend_open(&config));
			assert_int_equal(errno, known ? EADDRINUSE : EIO);
			assert_int_equal(vhost.ops->new_connection(VID), -1);
		}
	}
}

static void what_rte_vhost_offers_is_what_the_device_is(void **state)
{
	struct vrtc_endpoint_config other = config;
	struct vrtc_endpoint *e;

	(void)state;
	end(begin());
	assert_int_equal(vhost.flags, 0);
	assert_true(vhost.features & 1ULL << VIRTIO_RTC_F_ALARM);
	assert_true(vhost.features & 1ULL << VIRTIO_F_RING_PACKED);
	assert_false(vhost.protocol & 1ULL << VRTC_VHOST_PROTOCOL_F_CONFIG);
	other.device.n_clocks = 0;
	other.no_packed = true;
	other.client = true;
	other.counter.choice = VRTC_COUNTER_VMM;
	e = vrtc_backend_open(&other);
	assert_non_null(e);
	assert_int_equal(vhost.flags, RTE_VHOST_USER_CLIENT);
	assert_false(vhost.features & 1ULL << VIRTIO_RTC_F_ALARM);
	assert_false(vhost.features & 1ULL << VIRTIO_F_RING_PACKED);
	assert_true(vhost.protocol & 1ULL << VRTC_VHOST_PROTOCOL_F_CONFIG);
	vrtc_backend_close(e);
}

/* ---- Connections. */

static void a_connection_that_cannot_be_told_is_refused(void **state)
{
	struct vrtc_endpoint *e = begin();

	(void)state;
	assert_int_equal(vhost.ops->new_connection(-1), -1);
	assert_int_equal(vhost.ops->new_connection(VIDS_MAX), -1);
	vhost.path = NULL;
	assert_int_equal(vhost.ops->new_connection(VID), -1);
	vhost.path = "/tmp/somebody/else";
	assert_int_equal(vhost.ops->new_connection(VID), -1);
	vhost.path = PATH;
	/* Without messages it could not be served safely. */
	vhost.no_messages = true;
	assert_int_equal(vhost.ops->new_connection(VID), -1);
	vhost.no_messages = false;
	assert_int_equal(logged("front-end connected"), 0);
	connect_it();
	assert_int_equal(logged("front-end connected"), 1);
	close_it();
	end(e);
}

static void one_front_end_is_served_until_it_is_gone(void **state)
{
	struct vrtc_endpoint *e = begin();
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	vhost.peer_fd = ends[0];
	connect_it();
	assert_int_equal(vhost.ops->new_connection(VID + 1), -1);
	assert_int_equal(logged("a second front-end was refused"), 1);
	/* It crashed, and rte_vhost has not noticed yet. */
	close(ends[1]);
	assert_int_equal(vhost.ops->new_connection(VID + 1), 0);
	assert_int_equal(logged("front-end disconnected"), 1);
	/* What rte_vhost says of the old one is of nobody now, also where it has no such number. */
	vhost.ops->destroy_connection(VID);
	vhost.ops->destroy_connection(VIDS_MAX);
	vhost.ops->destroy_connection(-1);
	assert_int_equal(logged("front-end disconnected"), 0);
	vhost.ops->destroy_connection(VID + 1);
	assert_int_equal(logged("front-end disconnected"), 1);
	close(ends[0]);
	end(e);
}

static void the_last_words_of_a_front_end_that_is_gone_leave_no_descriptor(void **state)
{
	struct message m = message_of(VRTC_VHOST_SET_VRING_KICK, 8);
	unsigned descriptors = refuser_descriptors();
	struct vrtc_endpoint *e = begin();
	int ends[2];

	(void)state;
	connect_it();
	close_it();
	if (!FDS_KNOWN) {
		end(e);
		skip();
	}
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	attach(&m, 2, ends);
	assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_ERR);
	assert_int_equal(
		vhost.messages->post_msg_handle(VID, &m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(vhost.ops->vring_state_changed(VID, VIRTIO_RTC_REQUESTQ, 1), 0);
	assert_int_equal(refuser_descriptors(), descriptors);
	end(e);
}

/* ---- Messages. */

static void messages_of_a_bad_size_or_queue_close_the_connection(void **state)
{
	static const uint32_t of_a_queue[] = {VRTC_VHOST_SET_VRING_KICK, VRTC_VHOST_SET_VRING_CALL,
		VRTC_VHOST_SET_VRING_ERR, VRTC_VHOST_SET_VRING_NUM, VRTC_VHOST_SET_VRING_ADDR,
		VRTC_VHOST_SET_VRING_BASE, VRTC_VHOST_GET_VRING_BASE, VRTC_VHOST_SET_VRING_ENABLE};
	struct vrtc_endpoint *e = begin();
	struct message m;

	(void)state;
	connect_it();
	for (unsigned i = 0; i < sizeof(of_a_queue) / sizeof(of_a_queue[0]); i++) {
		refused(message_of(of_a_queue[i], 7));
		m = message_of(of_a_queue[i], 8);
		m.head.payload.state.index = 2;
		refused(m);
		m.head.payload.state.index = 1;
		assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	}
	/* VHOST_USER_SET_INFLIGHT_FD, and one that there is not yet. */
	refused(message_of(32, 8));
	refused(message_of(UINT32_MAX, 8));
	/* The log would be filled otherwise. */
	assert_in_range(logged("connection closed"), 1, 4);
	assert_int_equal(vhost.ops->vring_state_changed(VID, 2, 1), 0);
	close_it();
	end(e);
}

static void the_map_of_a_counter_that_is_badly_told_is_refused(void **state)
{
	struct vrtc_endpoint_config with_map = config;
	struct vrtc_endpoint *e = begin();
	struct message m;

	(void)state;
	vrtc_backend_close(e);
	with_map.counter.choice = VRTC_COUNTER_VMM;
	e = vrtc_backend_open(&with_map);
	assert_non_null(e);
	connect_it();
	/* Not negotiated. */
	refused(message_of(VRTC_VHOST_SET_CONFIG, VRTC_VHOST_CONFIG_HEAD));
	refused(message_of(VRTC_VHOST_GET_CONFIG, VRTC_VHOST_CONFIG_HEAD));
	m = message_of(VRTC_VHOST_SET_PROTOCOL_FEATURES, 8);
	m.head.payload.u64 = 1ULL << VRTC_VHOST_PROTOCOL_F_CONFIG;
	assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	refused(message_of(VRTC_VHOST_SET_CONFIG, VRTC_VHOST_CONFIG_HEAD - 1));
	m = message_of(VRTC_VHOST_SET_CONFIG, VRTC_VHOST_CONFIG_HEAD + 257);
	m.head.payload.config.bytes = 257;
	refused(m);
	m = message_of(VRTC_VHOST_SET_CONFIG, VRTC_VHOST_CONFIG_HEAD + 8);
	m.head.payload.config.bytes = 9;
	refused(m);
	assert_true(logged("connection closed") > 0);
	/* Of another version, perhaps: an error to who wants an answer, and no end. */
	m = message_of(VRTC_VHOST_SET_CONFIG, VRTC_VHOST_CONFIG_HEAD + 8);
	m.head.payload.config.bytes = 8;
	for (unsigned which = 0; which < 3; which++) {
		m.head.payload.config.offset = which == 1 ? 4 : 0;
		m.head.payload.config.flags = which == 2 ? 1 : 0;
		m.head.flags = VRTC_VHOST_FLAG_NEED_REPLY;
		assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_ERR);
		assert_int_equal(m.head.flags, VRTC_VHOST_FLAG_NEED_REPLY);
		m.head.flags = 0;
		assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_OK);
	}
	close_it();
	/* Nor is it negotiated by a message of another size. */
	connect_it();
	m = message_of(VRTC_VHOST_SET_PROTOCOL_FEATURES, 4);
	m.head.payload.u64 =
		1ULL << VRTC_VHOST_PROTOCOL_F_CONFIG | 1ULL << VRTC_VHOST_PROTOCOL_F_LOG_SHMFD;
	assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	refused(message_of(VRTC_VHOST_GET_CONFIG, VRTC_VHOST_CONFIG_HEAD));
	refused(message_of(VRTC_VHOST_SET_LOG_BASE, 16));
	close_it();
	end(e);
}

static void memory_that_cannot_be_mapped_is_refused(void **state)
{
	struct vrtc_endpoint *e = begin();
	int file = memfd_create("guest", MFD_CLOEXEC);
	int device = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int not_open = 1000;
	struct message m;
	int ends[2];

	(void)state;
	assert_int_equal(ftruncate(file, 8192), 0);
	connect_it();
	m = message_of(VRTC_VHOST_SET_MEM_TABLE, sizeof(m.head.payload.memory));
	m.head.payload.memory.n = 9;
	refused(m);
	m.head.payload.memory.n = 2;
	m.head.bytes = 8 + 2 * 32 - 1;
	refused(m);
	m = message_of(VRTC_VHOST_SET_MEM_TABLE, 8 + 32);
	m.head.payload.memory.n = 1;
	refused(m);
	m.head.payload.memory.region[0].bytes = (uint64_t)INT64_MAX + 1;
	refused(m);
	m.head.payload.memory.region[0].bytes = 4096;
	m.head.payload.memory.region[0].offset = (uint64_t)INT64_MAX - 4095;
	refused(m);
	m.head.payload.memory.region[0].offset = 4096;
	/* Without a descriptor it is rte_vhost's to refuse. */
	assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	if (FDS_KNOWN) {
		attach(&m, 1, &file);
		assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		attach(&m, 1, &device);
		assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		/* A number that rte_vhost lost, more of them than it has room for, a pipe. */
		attach(&m, 1, &not_open);
		refused(m);
		attach(&m, 9, (int[8]){-1, -1, -1, -1, -1, -1, -1, -1});
		assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		attach(&m, 2, ends);
		refused(m);
		assert_int_equal(fcntl(ends[0], F_GETFD), -1);
		assert_int_equal(fcntl(ends[1], F_GETFD), -1);
		/* A page more than the file has. Refused, and closed. */
		m.head.payload.memory.region[0].bytes = 4097;
		attach(&m, 1, &file);
		refused(m);
		assert_int_equal(fcntl(file, F_GETFD), -1);
	} else {
		close(file);
	}
	close(device);
	close_it();
	end(e);
}

static void a_log_that_is_no_file_of_its_size_is_refused(void **state)
{
	struct vrtc_endpoint *e = begin();
	struct message m = message_of(VRTC_VHOST_SET_PROTOCOL_FEATURES, 8);
	const int two[] = {dup(0), dup(0)};
	int ends[2];
	int file;

	(void)state;
	connect_it();
	m.head.payload.u64 = 1ULL << VRTC_VHOST_PROTOCOL_F_LOG_SHMFD;
	assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	m = message_of(VRTC_VHOST_SET_LOG_BASE, 16);
	m.head.payload.log.mmap_bytes = 4096;
	m.head.bytes = 15;
	refused(m);
	m.head.bytes = 16;
	m.head.payload.log.mmap_offset = 1;
	refused(m);
	m.head.payload.log.mmap_offset = 0;
	m.head.payload.log.mmap_bytes = 0;
	refused(m);
	m.head.payload.log.mmap_bytes = 4096;
	if (FDS_KNOWN) {
		refused(m);
		attach(&m, 2, two);
		refused(m);
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		attach(&m, 1, ends);
		refused(m);
		close(ends[1]);
		attach(&m, 1, (int[]){1000});
		refused(m);
		file = memfd_create("log", MFD_CLOEXEC);
		assert_int_equal(ftruncate(file, 4096), 0);
		attach(&m, 1, &file);
		assert_int_equal(hand_on(&m), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		close(file);
	} else {
		close(two[0]);
		close(two[1]);
	}
	close_it();
	end(e);
}

static void a_front_end_that_reads_no_answers_is_left(void **state)
{
	struct vrtc_endpoint *e = begin();
	char nothing[1024] = {0};
	int ends[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	vhost.peer_fd = ends[0];
	connect_it();
	while (write(ends[0], nothing, sizeof(nothing)) > 0)
		;
	refused(message_of(VRTC_VHOST_GET_FEATURES, 0));
	close_it();
	close(ends[0]);
	close(ends[1]);
	end(e);
}

/* ---- Queues. */

static void a_queue_is_served_once_all_of_it_can_be_told(void **state)
{
	static bool *const missing[] = {
		&vhost.no_memory, &vhost.no_vring, &vhost.no_base, &vhost.no_features};
	struct vrtc_endpoint *e = begin();

	(void)state;
	for (unsigned i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		connect_it();
		*missing[i] = true;
		assert_false(is_served());
		assert_int_equal(logged("overlap or are empty; not served") > 0, i == 0);
		*missing[i] = false;
		assert_true(is_served());
		close_it();
	}
	for (unsigned i = 0; i < 3; i++) {
		struct rte_vhost_vring vring = vhost.vring;

		connect_it();
		if (i == 0)
			vhost.vring.desc = NULL;
		else if (i == 1)
			vhost.vring.avail = NULL;
		else
			vhost.vring.used = NULL;
		assert_false(is_served());
		vhost.vring = vring;
		assert_true(is_served());
		close_it();
	}
	end(e);
}

static void memory_that_overlaps_itself_is_not_served(void **state)
{
	struct vrtc_endpoint *e = begin();

	(void)state;
	connect_it();
	vhost.region[1] = vhost.region[0];
	vhost.n_regions = 2;
	assert_false(is_served());
	assert_true(logged("the guest's memory regions overlap or are empty; not served") > 0);
	close_it();
	end(e);
}

static void a_kick_that_cannot_be_waited_for_is_told(void **state)
{
	struct vrtc_endpoint *e = begin();

	(void)state;
	vhost.vring.kickfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	connect_it();
	set_memory();
	/* Each start allocates the list of regions before: the second call is the one. */
	refuser_begin(2, ENOSPC);
	assert_int_equal(vhost.ops->vring_state_changed(VID, VIRTIO_RTC_REQUESTQ, 1), 0);
	assert_true(refuser_end());
	assert_int_equal(vrtc_poller_load(poller), 0);
	assert_int_equal(logged("requestq: cannot wait for the driver's kicks: No space left on "
				"device; not served"),
		1);
	assert_true(is_served());
	close_it();
	close(vhost.vring.kickfd);
	end(e);
}

static void an_alarmq_is_served_once_it_can_be_told_and_the_requestq_is(void **state)
{
	struct vrtc_endpoint *e = begin();

	(void)state;
	connect_it();
	vhost.no_vring = true;
	set_memory();
	assert_int_equal(vhost.ops->vring_state_changed(VID, VIRTIO_RTC_ALARMQ, 1), 0);
	assert_int_equal(logged("alarmq of"), 0);
	vhost.no_vring = false;
	assert_true(is_served());
	assert_int_equal(logged("alarmq of 64 entries served by alarm lcore 2"), 1);
	/* And again, with a ring that is none, while the requestq runs. */
	assert_int_equal(vhost.ops->vring_state_changed(VID, VIRTIO_RTC_ALARMQ, 0), 0);
	vhost.no_vring = true;
	assert_int_equal(vhost.ops->vring_state_changed(VID, VIRTIO_RTC_ALARMQ, 1), 0);
	vhost.no_vring = false;
	vhost.vring.size = GUEST_QUEUE_SIZE - 1;
	assert_int_equal(vhost.ops->vring_state_changed(VID, VIRTIO_RTC_ALARMQ, 1), 0);
	assert_int_equal(
		logged("alarmq: a ring is missing, misaligned or of a bad size; not served"), 1);
	close_it();
	end(e);
}

static void a_log_that_is_gone_is_not_written(void **state)
{
	struct vrtc_endpoint *e = begin();

	(void)state;
	connect_it();
	vhost.negotiated |= 1ULL << VRTC_VHOST_F_LOG_ALL;
	vhost.no_log = true;
	assert_true(is_served());
	close_it();
	end(e);
}

/* ---- What is found while queues run. */

static void memory_that_is_truncated_ends_the_connection_once(void **state)
{
	struct vrtc_endpoint *e = begin();
	int file = memfd_create("guest", MFD_CLOEXEC);
	volatile uint8_t *g_mem;

	(void)state;
	/* Once more: cmocka has a handler of its own for each case. */
	assert_int_equal(vrtc_memory_fault_init(attention_fd), 0);
	assert_int_equal(ftruncate(file, GUEST_BYTES), 0);
	g_mem = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_true(g_mem != MAP_FAILED);
	vhost.region[0].host_user_addr = (uint64_t)(uintptr_t)g_mem;
	vhost.vring.desc = (struct vring_desc *)(uintptr_t)g_mem;
	vhost.vring.avail = (struct vring_avail *)(uintptr_t)(g_mem + GUEST_DRIVER_AT);
	vhost.vring.used = (struct vring_used *)(uintptr_t)(g_mem + GUEST_DEVICE_AT);
	connect_it();
	assert_true(is_served());
	vrtc_backend_report();
	assert_int_equal(logged("truncated"), 0);
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(g_mem[0], 0);
	for (int i = 0; i < 3; i++)
		vrtc_backend_report();
	assert_int_equal(
		logged("the file behind the guest's memory was truncated; connection closed"), 1);
	assert_int_equal(vhost.hung_up, 1);
	assert_int_equal(vrtc_poller_load(poller), 0);
	/* Nothing is started any more, whatever rte_vhost says, until the next connection. */
	assert_false(is_served());
	close_it();
	vrtc_backend_report();
	(void)munmap((void *)(uintptr_t)g_mem, GUEST_BYTES);
	close(file);
	end(e);
}

static void a_device_that_is_closed_serves_nobody(void **state)
{
	struct vrtc_endpoint *e = begin();

	(void)state;
	connect_it();
	assert_true(is_served());
	vrtc_backend_close(e);
	assert_int_equal(vrtc_poller_load(poller), 0);
	assert_int_equal(vhost.ops->new_connection(VID), -1);
	end(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_back_end_that_cannot_be_made_says_so_and_leaves_nothing),
		cmocka_unit_test(a_device_without_memory_is_not_opened_and_leaves_none),
		cmocka_unit_test(a_device_that_rte_vhost_refuses_is_not_opened_and_serves_nobody),
		cmocka_unit_test(what_rte_vhost_offers_is_what_the_device_is),
		cmocka_unit_test(a_connection_that_cannot_be_told_is_refused),
		cmocka_unit_test(one_front_end_is_served_until_it_is_gone),
		cmocka_unit_test(the_last_words_of_a_front_end_that_is_gone_leave_no_descriptor),
		cmocka_unit_test(messages_of_a_bad_size_or_queue_close_the_connection),
		cmocka_unit_test(the_map_of_a_counter_that_is_badly_told_is_refused),
		cmocka_unit_test(memory_that_cannot_be_mapped_is_refused),
		cmocka_unit_test(a_log_that_is_no_file_of_its_size_is_refused),
		cmocka_unit_test(a_front_end_that_reads_no_answers_is_left),
		cmocka_unit_test(a_queue_is_served_once_all_of_it_can_be_told),
		cmocka_unit_test(memory_that_overlaps_itself_is_not_served),
		cmocka_unit_test(a_kick_that_cannot_be_waited_for_is_told),
		cmocka_unit_test(an_alarmq_is_served_once_it_can_be_told_and_the_requestq_is),
		cmocka_unit_test(a_log_that_is_gone_is_not_written),
		cmocka_unit_test(memory_that_is_truncated_ends_the_connection_once),
		cmocka_unit_test(a_device_that_is_closed_serves_nobody),
	};

	return cmocka_run_group_tests(tests, begin_process, end_process);
}
