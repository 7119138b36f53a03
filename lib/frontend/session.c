/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a session: its memory and queues, negotiated, started, stopped and begun again. */
#include "session.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "session_bounds.h"

int vfe_session_fail(struct vfe_session *s, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, ap);
	va_end(ap);
	return err;
}

const char *vfe_error(const struct vfe_session *s)
{
	return s->error;
}

void vfe_config_default(struct vfe_config *cfg, const char *socket_path)
{
	*cfg = (struct vfe_config){
		.socket_path = socket_path,
		.timeout_ms = 5000,
		.features = 1ull << VFE_F_VERSION_1 | 1ull << VFE_F_PROTOCOL_FEATURES,
		.protocol_features = 1ull << VFE_PROTOCOL_F_MQ | 1ull << VFE_PROTOCOL_F_REPLY_ACK,
		.queues = 1,
		.ring_size = 256,
		.wait = VFE_WAIT_POLL,
		.mem_gpa = 1 << 20,
		.mem_bytes = 8 << 20,
	};
}

int vfe_session_init(struct vfe_session *s, const struct vfe_config *cfg)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->cfg = *cfg;
	s->sock = -1;
	s->listen_fd = -1;
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		s->queues[q].kick_fd = s->queues[q].call_fd = -1;

	if (!cfg->socket_path || cfg->mem_gpa % 4096 != 0 ||
		(cfg->queues | cfg->queues_named) >> VFE_QUEUES_MAX != 0)
		return vfe_session_fail(s, -EINVAL, "configuration: no path, queues or memory");
	err = vfe_mem_add(&s->mem, cfg->mem_gpa, cfg->mem_bytes, 0);
	if (err) {
		vfe_session_fail(s, err, "guest memory of %llu bytes at 0x%llx: %s",
			(unsigned long long)cfg->mem_bytes, (unsigned long long)cfg->mem_gpa,
			strerror(-err));
		goto fail;
	}
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++) {
		struct vfe_queue *queue = &s->queues[q];

		queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		queue->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (queue->kick_fd < 0 || queue->call_fd < 0) {
			err = vfe_session_fail(s, -errno, "eventfd: %s", strerror(errno));
			goto fail;
		}
		if (!vfe_session_has_queue(s, q))
			continue;
		err = vfe_ring_init(&queue->ring, &s->mem, cfg->ring_size, 0);
		if (err) {
			vfe_session_fail(s, err, "ring of queue %u with %u entries: %s", q,
				cfg->ring_size, strerror(-err));
			goto fail;
		}
	}
	return 0;

fail:
	vfe_session_fini(s);
	return err;
}

void vfe_session_fini(struct vfe_session *s)
{
	vfe_session_disconnect(s);
	if (s->listen_fd >= 0) {
		close(s->listen_fd);
		unlink(s->cfg.socket_path);
		s->listen_fd = -1;
	}
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++) {
		struct vfe_queue *queue = &s->queues[q];

		vfe_ring_fini(&queue->ring);
		if (queue->kick_fd >= 0)
			close(queue->kick_fd);
		if (queue->call_fd >= 0)
			close(queue->call_fd);
		queue->kick_fd = queue->call_fd = -1;
	}
	vfe_mem_fini(&s->mem);
	free(s->rtc);
	s->rtc = NULL;
}

/* Names of the features that matter here, for the sentence of an error. */
static const char *feature_name(unsigned int bit)
{
	switch (bit) {
	case 0:
		return "VIRTIO_RTC_F_ALARM";
	case VFE_F_INDIRECT_DESC:
		return "VIRTIO_F_INDIRECT_DESC";
	case VFE_F_EVENT_IDX:
		return "VIRTIO_F_EVENT_IDX";
	case VFE_F_PROTOCOL_FEATURES:
		return "VHOST_USER_F_PROTOCOL_FEATURES";
	case VFE_F_VERSION_1:
		return "VIRTIO_F_VERSION_1";
	case VFE_F_RING_PACKED:
		return "VIRTIO_F_RING_PACKED";
	case VFE_F_IN_ORDER:
		return "VIRTIO_F_IN_ORDER";
	default:
		return "feature";
	}
}

/* The wanted features out of the offered ones; required must be among them. */
static int choose_features(struct vfe_session *s, uint64_t wanted, uint64_t required)
{
	uint64_t missing;

	s->features = wanted & s->features_offered;
	missing = required & ~s->features;
	if (missing) {
		unsigned int bit = (unsigned int)__builtin_ctzll(missing);

		return vfe_session_fail(s, -ENOTSUP,
			"the back-end does not offer %s (bit %u); it offers 0x%llx",
			feature_name(bit), bit, (unsigned long long)s->features_offered);
	}
	return 0;
}

static int negotiate(struct vfe_session *s, uint64_t wanted, uint64_t required)
{
	struct vfe_msg owner = {.header.request = VFE_MSG_SET_OWNER};
	int err;

	s->protocol = 0;
	s->protocol_offered = 0;
	s->queue_max = 0;
	err = vfe_session_get_u64(s, VFE_MSG_GET_FEATURES, &s->features_offered);
	if (err)
		return err;
	err = choose_features(s, wanted, required);
	if (err)
		return err;
	if (s->features >> VFE_F_PROTOCOL_FEATURES & 1) {
		uint64_t protocol;

		err = vfe_session_get_u64(s, VFE_MSG_GET_PROTOCOL_FEATURES, &s->protocol_offered);
		if (err)
			return err;
		protocol = s->protocol_offered & s->cfg.protocol_features;
		err = vfe_session_set_u64(s, VFE_MSG_SET_PROTOCOL_FEATURES, protocol);
		if (err)
			return err;
		s->protocol = protocol;
	}
	if (s->protocol >> VFE_PROTOCOL_F_MQ & 1) {
		err = vfe_session_get_u64(s, VFE_MSG_GET_QUEUE_NUM, &s->queue_max);
		if (err)
			return err;
	}
	err = vfe_session_exchange(s, &owner, NULL, 0);
	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (s->cfg.queues_named >> q & 1)
			err = vfe_session_set_fd(
				s, VFE_MSG_SET_VRING_CALL, q, s->queues[q].call_fd);
	if (!err)
		err = vfe_session_set_u64(s, VFE_MSG_SET_FEATURES, s->features);
	return err;
}

int vfe_session_negotiate(struct vfe_session *s)
{
	int err = negotiate(s, s->cfg.features, s->cfg.features_required);

	if (err)
		return err;
	/* The rings were made before the features were known. */
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		if (vfe_session_has_queue(s, q) && s->queues[q].ring.added_idx == 0) {
			vfe_ring_reset(&s->queues[q].ring, s->features);
			if (s->queues[q].ring.packed)
				s->queues[q].base = vfe_ring_first_base(&s->queues[q].ring);
		}
	return 0;
}

int vfe_session_set_mem_table(struct vfe_session *s)
{
	int fds[VFE_MSG_FDS_MAX];
	struct vfe_msg msg;
	unsigned int n_fds = vfe_mem_table(&s->mem, &msg, fds);
	uint64_t ignored;
	int err;

	err = vfe_session_exchange(s, &msg, fds, n_fds);
	if (err || s->protocol >> VFE_PROTOCOL_F_REPLY_ACK & 1)
		return err;
	return vfe_session_get_u64(s, VFE_MSG_GET_FEATURES, &ignored);
}

static int set_enable(struct vfe_session *s, unsigned int q, bool enable)
{
	/* Without protocol features a ring is enabled as soon as it starts. */
	if (!(s->features >> VFE_F_PROTOCOL_FEATURES & 1))
		return 0;
	return vfe_session_state(s, VFE_MSG_SET_VRING_ENABLE, q, enable, NULL);
}

static int set_addr(struct vfe_session *s, unsigned int q)
{
	const struct vfe_ring *ring = &s->queues[q].ring;
	struct vfe_msg msg = {
		.header = {.request = VFE_MSG_SET_VRING_ADDR, .size = sizeof(msg.payload.addr)},
		.payload.addr =
			{
				.index = q,
				.flags = s->logging ? VFE_MSG_VRING_F_LOG : 0,
				.desc_user_addr = (uint64_t)(uintptr_t)ring->desc,
				.used_user_addr = (uint64_t)(uintptr_t)ring->used,
				.avail_user_addr = (uint64_t)(uintptr_t)ring->avail,
				.log_guest_addr = ring->used_gpa,
			},
	};

	return vfe_session_exchange(s, &msg, NULL, 0);
}

int vfe_session_queue_start(struct vfe_session *s, unsigned int q)
{
	struct vfe_queue *queue = &s->queues[q];
	int err;

	if (!vfe_session_has_queue(s, q))
		return vfe_session_fail(s, -EINVAL, "queue %u is not in the configuration", q);
	err = vfe_session_state(s, VFE_MSG_SET_VRING_NUM, q, queue->ring.size, NULL);
	if (!err)
		err = vfe_session_state(s, VFE_MSG_SET_VRING_BASE, q, queue->base, NULL);
	if (!err)
		err = set_addr(s, q);
	if (!err)
		err = vfe_session_set_fd(s, VFE_MSG_SET_VRING_KICK, q, queue->kick_fd);
	if (!err)
		err = vfe_session_set_fd(s, VFE_MSG_SET_VRING_CALL, q, queue->call_fd);
	if (!err)
		err = set_enable(s, q, true);
	if (err)
		return err;
	queue->started = true;
	/* A back-end may begin only when kicked, and there may be requests of before. */
	vfe_session_kick(s, q, true);
	return 0;
}

/* The second half of a stop. */
static int get_base(struct vfe_session *s, unsigned int q)
{
	uint32_t base;
	int err = vfe_session_state(s, VFE_MSG_GET_VRING_BASE, q, 0, &base);

	if (err)
		return err;
	s->queues[q].base = (uint16_t)base;
	s->queues[q].started = false;
	return 0;
}

int vfe_session_queue_stop(struct vfe_session *s, unsigned int q)
{
	int err;

	if (!vfe_session_has_queue(s, q))
		return vfe_session_fail(s, -EINVAL, "queue %u is not in the configuration", q);
	if (!s->queues[q].started)
		return 0;
	err = set_enable(s, q, false);
	return err ? err : get_base(s, q);
}

int vfe_session_stop(struct vfe_session *s)
{
	int err = 0;

	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (s->queues[q].started)
			err = set_enable(s, q, false);
	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (s->queues[q].started)
			err = get_base(s, q);
	return err;
}

static void put(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static int send_counter_map(struct vfe_session *s)
{
	const struct vrtc_counter_map *map = &s->counter_map;
	struct vfe_msg msg = {
		.header = {.request = VFE_MSG_SET_CONFIG,
			.size = offsetof(struct vfe_msg_config, region) + VRTC_COUNTER_MAP_BYTES},
		.payload.config = {.bytes = VRTC_COUNTER_MAP_BYTES},
	};
	uint8_t *region = msg.payload.config.region;

	if (!(s->protocol >> VFE_PROTOCOL_F_CONFIG & 1))
		return vfe_session_fail(
			s, -ENOTSUP, "VHOST_USER_PROTOCOL_F_CONFIG is not negotiated");
	put(region, VRTC_COUNTER_MAP_MAGIC, 4);
	put(region + 4, VRTC_COUNTER_MAP_VERSION, 2);
	region[6] = map->guest_counter;
	region[7] = (uint8_t)map->host_counter;
	region[8] = map->shift;
	put(region + 16, map->mult, 8);
	put(region + 24, map->host_base, 8);
	put(region + 32, map->guest_base, 8);
	return vfe_session_exchange(s, &msg, NULL, 0);
}

int vfe_session_set_counter_map(struct vfe_session *s, const struct vrtc_counter_map *map)
{
	s->counter_map = *map;
	s->has_counter_map = true;
	return s->sock >= 0 ? send_counter_map(s) : 0;
}

int vfe_session_log(struct vfe_session *s, int fd, uint64_t bytes)
{
	struct vfe_msg msg = {
		.header = {.request = VFE_MSG_SET_LOG_BASE, .size = sizeof(msg.payload.log)},
		.payload.log = {.mmap_bytes = bytes},
	};
	int err = 0;

	if (!(s->protocol >> VFE_PROTOCOL_F_LOG_SHMFD & s->features_offered >> VFE_F_LOG_ALL & 1))
		return vfe_session_fail(s, -ENOTSUP, "the back-end keeps no log of its writes");
	if (fd >= 0)
		err = vfe_session_exchange(s, &msg, &fd, 1);
	s->logging = fd >= 0;
	if (!err)
		err = vfe_session_set_u64(s, VFE_MSG_SET_FEATURES,
			s->features | (s->logging ? 1ull << VFE_F_LOG_ALL : 0));
	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (s->queues[q].started)
			err = set_addr(s, q);
	return err;
}

int vfe_session_resume(struct vfe_session *s)
{
	int err = s->has_counter_map ? send_counter_map(s) : 0;

	for (unsigned int q = 0; !err && q < VFE_QUEUES_MAX; q++)
		if (vfe_session_has_queue(s, q) && !s->queues[q].started)
			err = vfe_session_queue_start(s, q);
	return err;
}

int vfe_session_start(struct vfe_session *s)
{
	int err = vfe_session_connect(s);

	if (!err)
		err = vfe_session_negotiate(s);
	if (!err)
		err = vfe_session_set_mem_table(s);
	if (!err)
		err = vfe_session_resume(s);
	return err;
}

int vfe_session_reset(struct vfe_session *s)
{
	int err = vfe_session_stop(s);

	if (err)
		return err;
	s->resets++;
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++) {
		s->queues[q].base = 0;
		if (!s->queues[q].ring.desc)
			continue;
		vfe_ring_reset(&s->queues[q].ring, s->features);
		s->queues[q].base = vfe_ring_first_base(&s->queues[q].ring);
	}
	err = vfe_session_set_u64(s, VFE_MSG_SET_FEATURES, s->features);
	if (!err)
		err = vfe_session_set_mem_table(s);
	if (!err)
		err = vfe_session_resume(s);
	return err;
}

int vfe_session_reset_as(struct vfe_session *s, uint64_t features, unsigned int queues)
{
	int err;

	for (unsigned int q = 0; queues >> q != 0; q++)
		if (queues >> q & 1 && (q >= VFE_QUEUES_MAX || !s->queues[q].ring.desc))
			return vfe_session_fail(s, -EINVAL, "queue %u has no ring", q);
	err = vfe_session_stop(s);
	if (err)
		return err;
	s->features = features & s->features_offered;
	s->cfg.queues = queues;
	return vfe_session_reset(s);
}

int vfe_session_reconnect(struct vfe_session *s)
{
	/* The driver in the guest goes on with what it negotiated; it cannot be asked again. */
	uint64_t features = s->features;
	int err;

	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		/* Of a packed ring QEMU says what it knew last: where the queue began. So do we. */
		if (vfe_session_has_queue(s, q) && !s->queues[q].ring.packed)
			s->queues[q].base = vfe_ring_used_idx(&s->queues[q].ring);
	err = vfe_session_connect(s);
	if (!err)
		err = negotiate(s, features, features);
	s->features = features;
	if (!err)
		err = vfe_session_set_mem_table(s);
	if (!err)
		err = vfe_session_resume(s);
	return err;
}
