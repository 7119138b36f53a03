/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VHOST_F_LOG_ALL: while a front-end keeps a log of written pages, each page of guest memory that
 * the device changes is marked in it, and none that it has no business with. The guest's memory is
 * compared with a copy of before. Split and packed rings; requests, alarms, suppression fields.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alarms.h"
#include "fixture.h"
#include "wire.h"

#define PAGE 4096u

static struct vfe_session s;
static struct vfe_region *region;
static uint8_t *before;
static uint8_t *bits; /* the log */
static size_t log_bytes;
static int log_fd;

static int start_daemon(void **state)
{
	(void)state;
	fixture_init(&fixture_group);
	alarms_args(&fixture_group, "interrupt");
	fixture_start(&fixture_group);
	return 0;
}

static void begin(uint64_t features, uint16_t ring_size)
{
	struct vfe_config cfg;

	alarms_config(&fixture_group, &cfg);
	cfg.features |= features;
	cfg.features_required |= features;
	cfg.protocol_features |= UINT64_C(1) << VFE_PROTOCOL_F_LOG_SHMFD;
	cfg.wait = VFE_WAIT_SLEEP;
	cfg.ring_size = ring_size;
	fixture_connect_as(&s, &cfg);
	alarms_clear(&s, ALARMS_N);
	region = &s.mem.regions[0];
	log_bytes = (region->gpa + region->bytes) / PAGE / 8;
	log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_true(log_fd >= 0);
	assert_int_equal(ftruncate(log_fd, (off_t)log_bytes), 0);
	bits = mmap(NULL, log_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, 0);
	assert_true(bits != MAP_FAILED);
	before = malloc(region->bytes);
	assert_non_null(before);
}

static void end(void)
{
	free(before);
	munmap(bits, log_bytes);
	close(log_fd);
	vfe_session_fini(&s);
}

static bool is_marked(uint64_t gpa)
{
	return bits[gpa / PAGE / 8] >> (gpa / PAGE % 8) & 1;
}

/* Whether gpa is in the n_bytes at area, whole pages. */
static bool is_in(uint64_t gpa, uint64_t area, uint64_t n_bytes)
{
	return gpa / PAGE >= area / PAGE && gpa / PAGE <= (area + n_bytes - 1) / PAGE;
}

/* The pages that the driver alone writes: its ring areas lie on pages of their own. */
static bool is_drivers(uint64_t gpa)
{
	for (unsigned q = 0; q < 2; q++) {
		const struct vfe_ring *ring = &s.queues[q].ring;

		if (is_in(gpa, ring->avail_gpa, 4 + 2 * (ring->size + 1u)) ||
			(!ring->packed && is_in(gpa, ring->desc_gpa, 16 * ring->size)))
			return true;
	}
	return false;
}

/* The device may write to a suppression field what is there already. */
static bool is_ring(uint64_t gpa)
{
	for (unsigned q = 0; q < 2; q++) {
		const struct vfe_ring *ring = &s.queues[q].ring;

		if (is_in(gpa, ring->used_gpa, 4 + 8 * ring->size + 2))
			return true;
	}
	return false;
}

/* @return how many pages the device has changed */
static unsigned check_log(void)
{
	unsigned changed = 0;

	for (uint64_t at = 0; at < region->bytes; at += PAGE) {
		uint64_t gpa = region->gpa + at;
		bool differs = memcmp(before + at, region->host + at, PAGE) != 0;

		if (is_drivers(gpa)) {
			assert_false(is_marked(gpa));
			continue;
		}
		if (differs != is_marked(gpa) && !(is_ring(gpa) && !differs))
			fail_msg("page 0x%llx: %s", (unsigned long long)gpa,
				differs ? "changed, not marked" : "marked, not changed");
		changed += differs;
	}
	return changed;
}

/* A request whose response goes wherever the driver likes. */
static void ask(uint64_t req_gpa, uint32_t req_bytes, uint64_t resp_gpa, uint32_t resp_bytes)
{
	const struct vfe_seg segs[] = {{req_gpa, req_bytes, false}, {resp_gpa, resp_bytes, true}};
	struct vfe_done done;

	assert_int_equal(vfe_ring_add(&s.queues[0].ring, segs, 2, 0, NULL), 0);
	vfe_ring_publish(&s.queues[0].ring);
	vfe_session_kick(&s, 0, false);
	assert_int_equal(vfe_session_wait_used(&s, 0, &done, FIXTURE_WAIT_MS), 0);
	assert_int_equal(done.used_bytes, resp_bytes);
	assert_int_equal(*(uint8_t *)vfe_mem_host(&s.mem, resp_gpa, 1), VIRTIO_RTC_S_OK);
}

static void read_into(uint64_t req_gpa, uint64_t resp_gpa)
{
	ask(req_gpa, 16, resp_gpa, 16);
}

static void check_writes(uint64_t features, uint16_t ring_size)
{
	const struct virtio_rtc_req_set_alarm set = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_SET_ALARM),
		.clock_id = vrtc_le16_put(ALARMS_UTC),
		.flags = VIRTIO_RTC_FLAG_ALARM_ENABLED,
		.alarm_time = vrtc_le64_put(1),
	};
	uint64_t req_gpa;
	uint64_t resp_gpa;

	begin(features, ring_size);
	req_gpa = vfe_mem_alloc(&s.mem, PAGE, PAGE);
	resp_gpa = vfe_mem_alloc(&s.mem, 64 * PAGE, PAGE);
	*(uint8_t *)vfe_mem_host(&s.mem, req_gpa, 1) = VIRTIO_RTC_REQ_READ;
	*((uint8_t *)vfe_mem_host(&s.mem, req_gpa, 16) + 8) = ALARMS_UTC;
	memset(vfe_mem_host(&s.mem, resp_gpa, 64 * PAGE), 0xee, 64 * PAGE);
	memcpy(vfe_mem_host(&s.mem, req_gpa + 64, sizeof(set)), &set, sizeof(set));
	alarms_fill(&s, 4);

	assert_int_equal(vfe_session_log(&s, log_fd, log_bytes), 0);
	/* A request behind the last start: what that wrote is written. */
	read_into(req_gpa, resp_gpa);
	fixture_sleep_ms(20);
	memset(bits, 0, log_bytes);
	memcpy(before, region->host, region->bytes);
	/* Each third page, and one response that lies in two. */
	for (unsigned i = 0; i < 20; i++)
		read_into(req_gpa, resp_gpa + 3 * i * PAGE + i * 100);
	read_into(req_gpa, resp_gpa + 62 * PAGE - 5);
	/* Up to where a large ring is in its second page, or its third. */
	for (unsigned i = 22; i < ring_size * 5u / 8; i++)
		read_into(req_gpa, resp_gpa);
	ask(req_gpa + 64, sizeof(set), resp_gpa + 60 * PAGE,
		sizeof(struct virtio_rtc_resp_set_alarm));
	alarms_wait(&s, ALARMS_UTC);
	assert_true(check_log() >= 20 + 2 + 2);

	/* And no mark once the log is off. */
	assert_int_equal(vfe_session_log(&s, -1, 0), 0);
	fixture_sleep_ms(20);
	memset(bits, 0, log_bytes);
	read_into(req_gpa, resp_gpa + 10);
	for (size_t i = 0; i < log_bytes; i++)
		assert_int_equal(bits[i], 0);
	end();
}

static void each_page_that_the_device_changes_is_marked(void **state)
{
	const uint64_t event_idx = UINT64_C(1) << VFE_F_EVENT_IDX;
	const uint64_t packed = UINT64_C(1) << VFE_F_RING_PACKED;

	(void)state;
	check_writes(0, 64);
	check_writes(event_idx, 64);
	check_writes(packed, 64);
	check_writes(packed | event_idx, 64);
	check_writes(0, 1024);
	check_writes(packed, 1024);
}

/* What is behind the end of the log cannot be marked, and the memory behind it is not touched. */
static void a_log_that_is_too_short_is_not_written_past_its_end(void **state)
{
	uint64_t gpa;

	(void)state;
	begin(0, 64);
	gpa = vfe_mem_alloc(&s.mem, PAGE, PAGE);
	*(uint8_t *)vfe_mem_host(&s.mem, gpa, 1) = VIRTIO_RTC_REQ_READ;
	/* One byte: pages 0 to 7, and the guest's memory begins at page 256. */
	assert_int_equal(vfe_session_log(&s, log_fd, 1), 0);
	read_into(gpa, gpa + 64);
	for (size_t i = 0; i < log_bytes; i++)
		assert_int_equal(bits[i], 0);
	end();
}

static void refused(uint64_t bytes, uint64_t offset, bool negotiated)
{
	struct vfe_msg msg = {
		.header = {.request = VFE_MSG_SET_LOG_BASE, .size = sizeof(msg.payload.log)},
		.payload.log = {.mmap_bytes = bytes, .mmap_offset = offset},
	};

	begin(0, 64);
	if (!negotiated)
		assert_int_equal(vfe_session_set_u64(&s, VFE_MSG_SET_PROTOCOL_FEATURES,
					 1u << VFE_PROTOCOL_F_REPLY_ACK),
			0);
	assert_int_equal(vfe_session_exchange(&s, &msg, &log_fd, 1), -ECONNRESET);
	end();
}

static void a_log_that_is_no_log_is_refused(void **state)
{
	(void)state;
	refused(0, 0, true);
	refused(PAGE, PAGE, true);
	refused(UINT64_C(1) << 30, 0, true); /* the file is shorter */
	refused(PAGE / 64, 0, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_page_that_the_device_changes_is_marked),
		cmocka_unit_test(a_log_that_is_too_short_is_not_written_past_its_end),
		cmocka_unit_test(a_log_that_is_no_log_is_refused),
	};

	return cmocka_run_group_tests(tests, start_daemon, fixture_group_teardown);
}
