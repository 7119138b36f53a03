/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an lcore does that fires alarms: it compares the nearest alarm of each timescale with the
 * clock at each turn (D11), serves the alarm requests that request lcores pass on, and writes the
 * notifications into the alarmqs.
 *
 * Each device is at one alarm lcore, and everything about its alarms, its alarmq included, is
 * touched by that one thread alone. Others ask by mail: a request lcore for READ_ALARM, SET_ALARM
 * and SET_ALARM_ENABLED, the control threads for queues, resets and the device's coming and going.
 * So a request and a firing alarm never race: one comes before the other, and when a mail that
 * disables an alarm is answered, its notification either was published before or never will be. The
 * whole argument is at the head of alarm_lcore.c.
 *
 * An engine runs within a poller's loop (poller.h), which may or may not serve requests as well.
 */
#ifndef VRTC_ALARM_LCORE_H
#define VRTC_ALARM_LCORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "alarm_action.h"
#include "alarm_device.h"
#include "timesource.h"

struct vrtc_alarm_lcore;

enum vrtc_alarm_op {
	/* From the request lcore. */
	VRTC_ALARM_READ,
	VRTC_ALARM_SET,
	VRTC_ALARM_ENABLE, /* VIRTIO_RTC_REQ_SET_ALARM_ENABLED */
	/* From the control threads. */
	VRTC_ALARM_JOIN,
	VRTC_ALARM_LEAVE,
	VRTC_ALARM_RESET,
	VRTC_ALARM_START_QUEUE,
	VRTC_ALARM_STOP_QUEUE,
};

enum vrtc_alarm_mail_state {
	VRTC_ALARM_MAIL_IDLE, /* the sender's */
	VRTC_ALARM_MAIL_SENT, /* the alarm lcore's */
	VRTC_ALARM_MAIL_DONE, /* the sender's again, with the answer in it */
};

struct vrtc_alarm_client;

/* One question, and its answer in place. Belongs to whom its state says. */
struct vrtc_alarm_mail {
	struct vrtc_alarm_mail *next;
	atomic_int state;
	atomic_bool withdrawn; /* of the sender at any time: do not wait for an action */
	enum vrtc_alarm_op op;
	struct vrtc_alarm_client *client;
	/* SET, ENABLE: what is asked; READ: clock_id is asked, alarm_ns and enabled answered. */
	struct vrtc_alarm_change change;
	bool retain; /* RESET */
	/* START_QUEUE */
	const struct vrtc_vring_config *ring;
	int callfd;
	int kickfd;
	int rc;          /* 0 or -errno; -ECANCELED: withdrawn in time, nothing was done */
	const char *why; /* of an error */
};

/* One device at an alarm lcore. Between mails, all but the last three is the lcore's alone. */
struct vrtc_alarm_client {
	struct vrtc_alarm_device alarms;
	unsigned source; /* of its time: which of those that the engine was made with, and: */
	const struct vrtc_timesource *time;
	int callfd;
	int kickfd;
	uint32_t
		waiting_at; /* its place among those that wait for a buffer, from 1; 0: not there */
	bool fault_told;
	bool bad_buffer_told;
	struct vrtc_alarm_action *action; /* NULL: none */
	int attention_fd;                 /* wakes the control thread for: */
	atomic_bool faulty;               /* the alarmq is broken, see vrtc_vring_fault() */
	atomic_bool bad_buffer;           /* a buffer was given back, for the first time */
};

/* A source of time, and by timescale how many alarms there can be of its devices. */
struct vrtc_alarm_source {
	const struct vrtc_timesource *time; /* outlives the engine */
	uint32_t capacity[VRTC_TIMESCALES];
};

/*
 * @param node     of the lcore: memory is taken from it; -1: any
 * @param source   n_sources of them, one at least
 * @param clients  how many devices there can be
 * @return         NULL with errno set
 */
struct vrtc_alarm_lcore *vrtc_alarm_lcore_new(unsigned lcore_id, int node,
	const struct vrtc_alarm_source *source, unsigned n_sources, uint32_t clients);

unsigned vrtc_alarm_lcore_id(const struct vrtc_alarm_lcore *l);
int vrtc_alarm_lcore_node(const struct vrtc_alarm_lcore *l);

/* How much of the engine's own memory is on a node, in pages. */
size_t vrtc_alarm_lcore_pages(const struct vrtc_alarm_lcore *l, int node, size_t *n_pages);

/*
 * Sends a mail; mail->state is IDLE, and is SENT until the alarm lcore has answered. Any thread;
 * never blocks. No system call unless the alarm lcore sleeps (idle policy interrupt).
 */
void vrtc_alarm_lcore_send(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail);

/* Whether the mail is answered; if so, what it holds is the sender's again. */
static inline bool vrtc_alarm_mail_done(const struct vrtc_alarm_mail *mail)
{
	/* Acquire: pairs with the release of the alarm lcore, see answer(). */
	return atomic_load_explicit(&mail->state, memory_order_acquire) == VRTC_ALARM_MAIL_DONE;
}

/* Sends a mail and waits for the answer. Control threads, while the lcore runs. */
int vrtc_alarm_lcore_ask(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail);

/* Of the lcore that runs the engine, through poller.c: */

/* One turn. Returns how much there was to do; 0: nothing. */
unsigned vrtc_alarm_lcore_turn(struct vrtc_alarm_lcore *l);

/* Registers what ends a sleep with an epoll instance, before the lcore runs. 0 or -errno. */
int vrtc_alarm_lcore_watch(struct vrtc_alarm_lcore *l, int epoll_fd);

/*
 * Prepares a sleep on that epoll instance: timer set, mails announced by eventfd.
 *
 * @return  false: do not sleep, there is something to do, or it is too near for a sleep
 */
bool vrtc_alarm_lcore_prepare_sleep(struct vrtc_alarm_lcore *l);

/* After each vrtc_alarm_lcore_prepare_sleep(), whatever it returned and whether one slept. */
void vrtc_alarm_lcore_end_sleep(struct vrtc_alarm_lcore *l);

#endif
