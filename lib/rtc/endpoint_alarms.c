/* SPDX-License-Identifier: BSD-3-Clause */
#include "endpoint_alarms.h"

#include <errno.h>
#include <string.h>

#include "node_memory.h"

static int ask(struct vrtc_endpoint_alarms *ea, enum vrtc_alarm_op op)
{
	ea->mail.op = op;
	return vrtc_alarm_lcore_ask(ea->lcore, &ea->mail);
}

static unsigned choose(struct vrtc_alarm_lcores *lcores, int node)
{
	return vrtc_placement_choose(lcores->place, lcores->n, node);
}

static struct vrtc_place *place_of(
	struct vrtc_alarm_lcores *lcores, const struct vrtc_alarm_lcore *lcore)
{
	unsigned i = 0;

	while (lcores->lcore[i] != lcore)
		i++;
	return &lcores->place[i];
}

static void join(struct vrtc_endpoint_alarms *ea, struct vrtc_alarm_lcores *lcores, unsigned which)
{
	ea->lcore = lcores->lcore[which];
	lcores->place[which].load++;
	(void)ask(ea, VRTC_ALARM_JOIN);
}

int vrtc_endpoint_alarms_open(struct vrtc_endpoint_alarms *ea,
	const struct vrtc_endpoint_alarms_config *config, const struct vrtc_device *device,
	struct vrtc_alarm_lcores *lcores, int attention_fd)
{
	unsigned which = choose(lcores, -1);
	struct vrtc_alarm_client *client =
		vrtc_node_memory_alloc(sizeof(*client), lcores->place[which].node);

	if (!client)
		return -ENOMEM;
	client->callfd = -1;
	client->kickfd = -1;
	client->action = config->action;
	client->source = config->source;
	client->time = config->time;
	client->attention_fd = attention_fd;
	vrtc_alarm_device_init(&client->alarms, device->clock, device->n_clocks, config->ledger);

	*ea = (struct vrtc_endpoint_alarms){
		.client = client, .retain = config->retain, .mail.client = client};
	vrtc_node_memory_move(config->ledger, sizeof(*config->ledger), lcores->place[which].node);
	join(ea, lcores, which);
	return 0;
}

void vrtc_endpoint_alarms_place(
	struct vrtc_endpoint_alarms *ea, struct vrtc_alarm_lcores *lcores, int node)
{
	struct vrtc_place *now = place_of(lcores, ea->lcore);
	unsigned which;

	/* It does not count against the place where it is: it would leave for nothing. */
	now->load--;
	which = choose(lcores, node);
	if (lcores->lcore[which] == ea->lcore || (lcores->place[which].node == now->node &&
							 lcores->place[which].load == now->load)) {
		now->load++;
		return;
	}
	(void)ask(ea, VRTC_ALARM_LEAVE);
	/* Between two lcores it is nobody's, and can be moved. */
	vrtc_node_memory_move(ea->client, sizeof(*ea->client), lcores->place[which].node);
	vrtc_node_memory_move(ea->client->alarms.ledger, sizeof(*ea->client->alarms.ledger),
		lcores->place[which].node);
	join(ea, lcores, which);
}

static bool has_alarms(const struct vrtc_alarm_ledger *ledger)
{
	for (uint16_t c = 0; c < VRTC_ALARM_CLOCKS_MAX; c++) {
		struct vrtc_alarm_record record = vrtc_alarm_ledger_read(ledger, c);

		if (record.alarm_ns != 0 || record.flags != 0)
			return true;
	}
	return false;
}

bool vrtc_endpoint_alarms_claim(
	struct vrtc_endpoint_alarms *ea, const struct vrtc_peer_process *user, bool *forgotten)
{
	struct vrtc_alarm_ledger *ledger = ea->client->alarms.ledger;
	bool same = ea->retain == VRTC_RETAIN_NAME ||
		    (user->pid != 0 && user->pid == ledger->owner_pid &&
			    user->start_ticks == ledger->owner_start_ticks);

	*forgotten = false;
	if (!same) {
		/* First, so that whenever we are killed nobody finds another's alarms. */
		ea->mail.retain = false;
		*forgotten = has_alarms(ledger);
		(void)ask(ea, VRTC_ALARM_RESET);
		atomic_store_explicit(&ledger->answered_serial,
			vrtc_alarm_ledger_next_serial(ledger) - 1, memory_order_release);
	}
	ledger->owner_pid = user->pid;
	ledger->owner_start_ticks = user->start_ticks;
	return same;
}

void vrtc_endpoint_alarms_reset(struct vrtc_endpoint_alarms *ea)
{
	ea->mail.retain = ea->retain != VRTC_RETAIN_NO;
	(void)ask(ea, VRTC_ALARM_RESET);
}

int vrtc_endpoint_alarms_start(struct vrtc_endpoint_alarms *ea,
	const struct vrtc_session_ring *ring, const struct vrtc_guestmem *mem, const char **why)
{
	struct vrtc_vring_config config;
	int rc = vrtc_session_ring_config(ring, mem, &config, why);

	if (rc)
		return rc;
	ea->mail.ring = &config;
	ea->mail.callfd = ring->callfd;
	ea->mail.kickfd = ring->kickfd;
	rc = ask(ea, VRTC_ALARM_START_QUEUE);
	ea->alarmq_runs = rc == 0;
	if (rc)
		*why = ea->mail.why;
	return rc;
}

uint16_t vrtc_endpoint_alarms_stop(struct vrtc_endpoint_alarms *ea, bool leave)
{
	(void)ask(ea, VRTC_ALARM_STOP_QUEUE);
	ea->alarmq_runs = false;
	if (leave)
		vrtc_vring_leave(&ea->client->alarms.alarmq);
	return vrtc_vring_base(&ea->client->alarms.alarmq);
}
