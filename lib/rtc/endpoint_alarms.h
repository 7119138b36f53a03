/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The alarms of one endpoint, as the control threads see them: at which alarm lcore they are, when
 * their alarmq runs, whose they are. All of it is done by mail to the alarm lcore, and waited for.
 *
 * Threads: the control threads, one at a time (backend.c holds its mutex), while the alarm lcores
 * run.
 */
#ifndef VRTC_ENDPOINT_ALARMS_H
#define VRTC_ENDPOINT_ALARMS_H

#include <stdbool.h>

#include "alarm_lcore.h"
#include "alarm_retain.h"
#include "peer.h"
#include "placement.h"
#include "session.h"

struct vrtc_endpoint_alarms_config {
	enum vrtc_retain retain;
	struct vrtc_alarm_ledger *ledger; /* outlives the process's end or not: alarm_store.h */
	struct vrtc_alarm_action *action; /* NULL: none */
	unsigned source;                  /* of time, as of vrtc_alarm_lcore_new(), and: */
	const struct vrtc_timesource *time;
};

struct vrtc_endpoint_alarms {
	struct vrtc_alarm_client *client;
	struct vrtc_alarm_lcore *lcore;
	enum vrtc_retain retain;
	bool alarmq_runs;
	struct vrtc_alarm_mail mail;
};

/* The alarm lcores to choose from; lcore and place are n >= 1 each and outlive all endpoints. */
struct vrtc_alarm_lcores {
	struct vrtc_alarm_lcore **lcore;
	struct vrtc_place *place; /* node; load: the devices there, counted here */
	unsigned n;
};

/*
 * The alarms begin to run, without a driver.
 *
 * @return  0, or -ENOMEM
 */
int vrtc_endpoint_alarms_open(struct vrtc_endpoint_alarms *ea,
	const struct vrtc_endpoint_alarms_config *config, const struct vrtc_device *device,
	struct vrtc_alarm_lcores *lcores, int attention_fd);

/*
 * To the lcore that suits the node of the guest's memory best; stays where it is if that is as
 * good. The alarmq does not run.
 */
void vrtc_endpoint_alarms_place(
	struct vrtc_endpoint_alarms *ea, struct vrtc_alarm_lcores *lcores, int node);

/*
 * A driver that negotiated VIRTIO_RTC_F_ALARM is about to be served, on a new connection: is it the
 * one that the alarms belong to? If not, they are forgotten (enum vrtc_retain).
 *
 * @param user       the front-end's process; all zero: unknown, which is nobody that alarms belong
 *                   to
 * @param forgotten  set: whether there was something to forget
 * @return           false: it is another one; requests of before were none of its own
 */
bool vrtc_endpoint_alarms_claim(
	struct vrtc_endpoint_alarms *ea, const struct vrtc_peer_process *user, bool *forgotten);

/* The device was reset. */
void vrtc_endpoint_alarms_reset(struct vrtc_endpoint_alarms *ea);

/*
 * The alarmq starts and stops.
 *
 * @param leave  the front-end asks where the queue goes on, see vrtc_vring_leave()
 * @return  start: 0, or -EINVAL and why; stop: where the queue goes on, for GET_VRING_BASE
 */
int vrtc_endpoint_alarms_start(struct vrtc_endpoint_alarms *ea,
	const struct vrtc_session_ring *ring, const struct vrtc_guestmem *mem, const char **why);
uint16_t vrtc_endpoint_alarms_stop(struct vrtc_endpoint_alarms *ea, bool leave);

#endif
