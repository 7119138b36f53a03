/* SPDX-License-Identifier: BSD-3-Clause */
#include "lane.h"

#include <stdio.h>
#include <string.h>

#include "frontend/deadline.h"
#include "frontend/rtc.h"
#include "wire.h"

/* A line of cache for the request, and one for the response. */
#define LINE       64
#define SLOT_BYTES (2 * LINE)

#define PATIENCE_MS     5000
/* The clock is read once in so many looks: a look is to be as short as it can be. */
#define LOOKS_PER_CLOCK 16384

static int complain(const struct perf_lane *lane, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", lane->program, lane->session.cfg.socket_path, what);
	return -1;
}

/* Request and response of a slot, as descriptors. */
static void describe(const struct perf_lane *lane, unsigned slot, struct vfe_seg segs[2])
{
	uint64_t gpa = lane->slots_gpa + (uint64_t)slot * SLOT_BYTES;

	segs[0] = (struct vfe_seg){.gpa = gpa, .bytes = sizeof(struct virtio_rtc_req_read)};
	segs[1] = (struct vfe_seg){
		.gpa = gpa + LINE, .bytes = sizeof(struct virtio_rtc_resp_read), .writable = true};
}

int perf_lane_init(
	struct perf_lane *lane, const char *program, const struct perf_lane_config *config)
{
	const struct virtio_rtc_req_read read = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_READ),
		.clock_id = vrtc_le16_put(config->clock_id),
	};
	uint64_t bytes = (uint64_t)config->depth * SLOT_BYTES;
	struct vfe_config cfg;
	int err;

	memset(lane, 0, sizeof(*lane));
	lane->program = program;
	lane->depth = config->depth;
	vfe_config_default(&cfg, config->path);
	cfg.listen = config->listen;
	cfg.connect_ms = config->connect_ms;
	cfg.features |= config->features;
	cfg.ring_size = (uint16_t)config->ring_entries;
	cfg.wait = config->wait;
	/* The three parts of the ring, each on pages of its own, and the slots. */
	cfg.mem_bytes = ((uint64_t)config->ring_entries * 32 + bytes + 6 * 4096) & ~UINT64_C(4095);
	err = vfe_session_init(&lane->session, &cfg);
	if (!err && config->listen)
		err = vfe_session_listen(&lane->session);
	if (err) {
		complain(lane, vfe_error(&lane->session));
		vfe_session_fini(&lane->session);
		memset(lane, 0, sizeof(*lane));
		return -1;
	}
	lane->slots_gpa = vfe_mem_alloc(&lane->session.mem, bytes, 4096);
	lane->slots = vfe_mem_host(&lane->session.mem, lane->slots_gpa, bytes);
	for (unsigned i = 0; i < lane->depth; i++)
		memcpy(lane->slots + (size_t)i * SLOT_BYTES, &read, sizeof(read));
	return 0;
}

int perf_lane_start(struct perf_lane *lane)
{
	if (vfe_session_start(&lane->session))
		return complain(lane, vfe_error(&lane->session));
	if (lane->session.cfg.wait == VFE_WAIT_POLL)
		vfe_ring_suppress_calls(&lane->session.queues[VIRTIO_RTC_REQUESTQ].ring);
	return 0;
}

void perf_lane_fini(struct perf_lane *lane)
{
	if (lane->program)
		vfe_session_fini(&lane->session);
	memset(lane, 0, sizeof(*lane));
}

int perf_lane_add(struct perf_lane *lane, unsigned slot)
{
	struct vfe_ring *ring = &lane->session.queues[VIRTIO_RTC_REQUESTQ].ring;
	struct vfe_seg segs[2];

	describe(lane, slot, segs);
	if (vfe_ring_add(ring, segs, 2, slot, NULL) == 0)
		return 0;
	return complain(lane, "the ring has no room for a request");
}

void perf_lane_publish(struct perf_lane *lane)
{
	vfe_ring_publish(&lane->session.queues[VIRTIO_RTC_REQUESTQ].ring);
	vfe_session_kick(&lane->session, VIRTIO_RTC_REQUESTQ, false);
}

int perf_lane_take(struct perf_lane *lane)
{
	struct vfe_ring *ring = &lane->session.queues[VIRTIO_RTC_REQUESTQ].ring;
	struct virtio_rtc_resp_head *head;
	struct vfe_done done;
	int n = vfe_ring_poll(ring, &done);

	if (n == 0)
		return PERF_LANE_NONE;
	if (n < 0) {
		complain(lane, "the device broke the used ring");
		return PERF_LANE_ERROR;
	}
	head = (struct virtio_rtc_resp_head *)(void *)(lane->slots + done.cookie * SLOT_BYTES +
						       LINE);
	if (head->status != VIRTIO_RTC_S_OK ||
		done.used_bytes != sizeof(struct virtio_rtc_resp_read)) {
		fprintf(stderr, "%s: %s: READ answered with %s and %u bytes\n", lane->program,
			lane->session.cfg.socket_path, vfe_rtc_status_name(head->status),
			done.used_bytes);
		return PERF_LANE_ERROR;
	}
	return (int)done.cookie;
}

int perf_lane_wait(struct perf_lane *lane)
{
	int64_t deadline_ns = 0;

	for (;;) {
		for (unsigned i = 0; i < LOOKS_PER_CLOCK; i++) {
			int slot = perf_lane_take(lane);

			if (slot != PERF_LANE_NONE)
				return slot;
		}
		if (deadline_ns == 0)
			deadline_ns = vfe_deadline_in_ms(PATIENCE_MS);
		if (vfe_now_ns() >= deadline_ns || vfe_msg_is_closed(lane->session.sock)) {
			complain(lane, "a request was not answered");
			return PERF_LANE_ERROR;
		}
	}
}
