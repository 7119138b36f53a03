/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "callfd.h"
#include "node_memory.h"

#define SETTLE_PAUSE_NS 10000

/*
 * A pair is made with one map. The next one to be made waits for a grace period of this lcore, so
 * what is pointed to does not change under us.
 */
static void read_cross(
	struct vrtc_session *s, const struct vrtc_command *cmd, struct vrtc_instant *now)
{
	/* Acquire: pairs with the release in guest_counter.c. */
	const struct vrtc_counter_map *map =
		atomic_load_explicit(&s->counter.map, memory_order_acquire);
	struct vrtc_pair pair;

	/* The map was lost since it was offered, or has become another counter's. */
	if (map->host_counter == VRTC_HOST_COUNTER_NONE ||
		map->guest_counter != s->offer.hw_counter)
		return;
	vrtc_timesource_read_pair(s->time, cmd->timebase, map->host_counter, now, &pair);
	now->counted = true;
	now->guest_cycles = vrtc_counter_map_apply(map, pair.count);
	vrtc_guest_counter_note(&s->counter, pair.doubt);
}

/*
 * A reading that is still good for a request: none of the burst was made available after it, and
 * the driver is shown them together (D53).
 */
struct snapshot {
	enum vrtc_timebase timebase; /* VRTC_TIMEBASE_NONE: there is none, and instant is not set */
	struct vrtc_instant instant;
};

/* The chain was popped before, so what is read here is later than the driver's request. */
static void take_snapshot(
	struct vrtc_session *s, const struct vrtc_command *cmd, struct snapshot *snapshot)
{
	snapshot->timebase = cmd->timebase;
	snapshot->instant.counted = false;
	if (!cmd->cross) {
		vrtc_timesource_read(s->time, cmd->timebase, &snapshot->instant);
		return;
	}
	snapshot->instant.known = false;
	read_cross(s, cmd, &snapshot->instant);
	/* Without the guest's counter there may be a time nevertheless, which others want. */
	if (!snapshot->instant.counted)
		snapshot->timebase = VRTC_TIMEBASE_NONE;
}

static uint32_t respond(struct vrtc_session *s, const struct vrtc_command *cmd,
	struct snapshot *snapshot, uint8_t *resp)
{
	/* A pair will do for a reading, so that in their order none is older than one before it. */
	if (cmd->timebase != VRTC_TIMEBASE_NONE &&
		(cmd->timebase != snapshot->timebase || (cmd->cross && !snapshot->instant.counted)))
		take_snapshot(s, cmd, snapshot);
	return vrtc_device_respond(s->device, cmd, &snapshot->instant, resp);
}

static void tell_fault(struct vrtc_session *s)
{
	s->fault_told = true;
	atomic_store_explicit(&s->faulty, true, memory_order_release);
	(void)eventfd_write(s->attention_fd, 1);
}

void vrtc_session_signal(struct vrtc_session *s)
{
	vrtc_callfd_signal(s->callfd);
}

/* ---- Requests about alarms. */

static struct vrtc_alarm_ledger *ledger_of(struct vrtc_session *s)
{
	return s->mail.client->alarms.ledger;
}

/* Passes a request on to the alarm lcore. */
static void send_mail(
	struct vrtc_session *s, const struct vrtc_chain *chain, const struct vrtc_command *cmd)
{
	s->mail_chain = *chain;
	s->mail_cmd = *cmd;
	s->mail.op = cmd->msg_type == VIRTIO_RTC_REQ_READ_ALARM  ? VRTC_ALARM_READ
		     : cmd->msg_type == VIRTIO_RTC_REQ_SET_ALARM ? VRTC_ALARM_SET
								 : VRTC_ALARM_ENABLE;
	s->mail.change = (struct vrtc_alarm_change){
		.clock_id = cmd->alarm.clock_id,
		.enabled = cmd->alarm.enabled,
		.alarm_ns = cmd->alarm.alarm_ns,
		.serial = ++s->serial,
		.request_index = chain->index,
	};
	atomic_store_explicit(&s->mail.withdrawn, false, memory_order_relaxed);
	s->mail_sent = true;
	vrtc_alarm_lcore_send(s->alarm_lcore, &s->mail);
}

/* The alarm lcore has answered: so do we. */
static void push_mail(struct vrtc_session *s)
{
	const struct vrtc_instant no_time = {.known = false};
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	uint32_t resp_bytes;

	s->mail_sent = false;
	s->mail_cmd.alarm.alarm_ns = s->mail.change.alarm_ns;
	s->mail_cmd.alarm.enabled = s->mail.change.enabled;
	resp_bytes = vrtc_device_respond(s->device, &s->mail_cmd, &no_time, resp);
	vrtc_vring_push(&s->requestq, &s->mail_chain, resp, resp_bytes);
	s->pushed_serial = s->mail.change.serial;
}

/*
 * A predecessor applied the request and was killed before the driver saw the answer: it is answered
 * now, and not applied again. READ_ALARM changes nothing, and is never in doubt.
 */
static bool is_replay(
	struct vrtc_session *s, const struct vrtc_chain *chain, const struct vrtc_command *cmd)
{
	if (!s->replay || chain->index != s->replay_index)
		return false;
	s->replay = false;
	return cmd->msg_type != VIRTIO_RTC_REQ_READ_ALARM;
}

/*
 * Shows the driver what was pushed, and then the ledger that it was shown.
 *
 * @return  whether the driver wants to be signalled
 */
static bool publish(struct vrtc_session *s)
{
	bool signal = vrtc_vring_publish(&s->requestq);

	if (s->pushed_serial) {
		atomic_store_explicit(
			&ledger_of(s)->answered_serial, s->pushed_serial, memory_order_release);
		s->pushed_serial = 0;
		/* Nothing else that has this index is the predecessor's. */
		s->replay = false;
	}
	return signal;
}

unsigned vrtc_session_poll(struct vrtc_session *s)
{
	enum vrtc_vring_result result = VRTC_VRING_EMPTY;
	struct snapshot snapshot;
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	struct vrtc_chain chain;
	unsigned served = 0;
	unsigned descriptors = 0;
	bool signal = false;

	snapshot.timebase = VRTC_TIMEBASE_NONE;
	if (s->mail_sent) {
		if (!vrtc_alarm_mail_done(&s->mail))
			return 1;
		push_mail(s);
		served++;
	}
	while (served < VRTC_SESSION_BUDGET && descriptors < VRTC_SESSION_BUDGET_DESCRIPTORS &&
		(result = vrtc_vring_pop(&s->requestq, &chain)) == VRTC_VRING_CHAIN) {
		struct vrtc_command cmd;
		uint32_t resp_bytes;

		vrtc_device_decode(s->device, &s->offer, chain.req, chain.readable_bytes,
			chain.writable_bytes, &cmd);
		served++;
		descriptors += chain.descriptors;
		if (cmd.about_alarm && !is_replay(s, &chain, &cmd)) {
			/*
			 * All before it first: so the one request that can be applied and not
			 * answered is the first that was not answered.
			 */
			signal |= publish(s);
			send_mail(s, &chain, &cmd);
			break;
		}
		resp_bytes = respond(s, &cmd, &snapshot, resp);
		vrtc_vring_push(&s->requestq, &chain, resp, resp_bytes);
		if (!vrtc_vring_is_announced(&s->requestq))
			snapshot.timebase = VRTC_TIMEBASE_NONE;
		/* Of a long burst the driver can take the first while we answer the rest. */
		if (served % VRTC_SESSION_SHOWN == 0) {
			signal |= publish(s);
			snapshot.timebase = VRTC_TIMEBASE_NONE;
		}
	}
	if (served > 0)
		signal |= publish(s);
	if (signal)
		vrtc_callfd_signal(s->callfd);
	if (result == VRTC_VRING_BROKEN && !s->fault_told)
		tell_fault(s);
	return served;
}

void vrtc_session_settle(struct vrtc_session *s)
{
	const struct timespec pause = {.tv_nsec = SETTLE_PAUSE_NS};

	if (!s->mail_sent)
		return;
	/* An action that is being begun may hang, and we hold up everybody's control path. */
	atomic_store_explicit(&s->mail.withdrawn, true, memory_order_relaxed);
	while (!vrtc_alarm_mail_done(&s->mail))
		(void)nanosleep(&pause, NULL);
	if (s->mail.rc == -ECANCELED) {
		/* As if it had not been popped: the queue goes on with it. */
		s->mail_sent = false;
		return;
	}
	push_mail(s);
	if (publish(s))
		vrtc_callfd_signal(s->callfd);
}

bool vrtc_session_is_fresh(const struct vrtc_session *s)
{
	return vrtc_vring_is_at_start(&s->requestq);
}

/* What a predecessor of ours left half done; see alarm_ledger.h. */
static void look_for_replay(struct vrtc_session *s)
{
	struct vrtc_alarm_ledger *ledger = ledger_of(s);
	uint16_t base = vrtc_vring_base(&s->requestq);

	s->serial = vrtc_alarm_ledger_next_serial(ledger) - 1;
	s->replay = !vrtc_session_is_fresh(s) &&
		    vrtc_alarm_ledger_unanswered(ledger, &s->replay_index) &&
		    s->replay_index == base;
	/* Whatever is answered first ends the doubt. */
	s->pushed_serial = s->replay ? s->serial : 0;
	/* What is not found now was answered, or its driver is gone. */
	if (!s->replay)
		atomic_store_explicit(&ledger->answered_serial, s->serial, memory_order_release);
}

int vrtc_session_ring_config(const struct vrtc_session_ring *ring, const struct vrtc_guestmem *mem,
	struct vrtc_vring_config *config, const char **why)
{
	/* Without it the rings are of the driver's byte order, and their layout is another one. */
	if (!(ring->features & (1ULL << VIRTIO_F_VERSION_1))) {
		*why = "VIRTIO_F_VERSION_1 is not negotiated";
		return -EINVAL;
	}
	if (!vrtc_callfd_check(ring->callfd, ring->kickfd)) {
		*why = "a kick or call descriptor is no eventfd";
		return -EINVAL;
	}
	if (ring->size > UINT16_MAX) {
		*why = "a ring is missing, misaligned or of a bad size";
		return -EINVAL;
	}
	*config = (struct vrtc_vring_config){
		.mem = mem,
		.g_desc = ring->g_desc,
		.g_driver = ring->g_avail,
		.g_device = ring->g_used,
		.size = (uint16_t)ring->size,
		.base = ring->base,
		.packed = ring->features & (1ULL << VIRTIO_F_RING_PACKED),
		.event_idx = ring->features & (1ULL << VIRTIO_RING_F_EVENT_IDX),
		.indirect = ring->features & (1ULL << VIRTIO_RING_F_INDIRECT_DESC),
		.g_dirty_bits = ring->g_dirty_bits,
		.dirty_bytes = ring->dirty_bytes,
		.log_guest_addr = ring->log_guest_addr,
	};
	return 0;
}

int vrtc_session_start(
	struct vrtc_session *s, const struct vrtc_session_ring *ring, const char **why)
{
	struct vrtc_vring_config config;
	int rc;

	if (vrtc_session_ring_config(ring, &s->mem, &config, why))
		return -EINVAL;
	rc = vrtc_vring_start(&s->requestq, &config);
	if (rc) {
		*why = vrtc_vring_start_error(rc);
		return -EINVAL;
	}

	s->callfd = ring->callfd;
	s->kickfd = ring->kickfd;
	s->offer.alarm = s->alarm_lcore && ring->features & (1ULL << VIRTIO_RTC_F_ALARM);
	s->offer.hw_counter = s->counter.offered;
	s->fault_told = false;
	atomic_store_explicit(&s->faulty, false, memory_order_relaxed);
	if (vrtc_vring_fault(&s->requestq)) {
		/* Already visible at the start: a used index that does not fit the base. */
		*why = vrtc_vring_fault(&s->requestq);
		return -EINVAL;
	}
	if (s->alarm_lcore)
		look_for_replay(s);
	return 0;
}

int vrtc_session_node(const struct vrtc_session *s)
{
	return vrtc_node_memory_of(s->requestq.g_device);
}
