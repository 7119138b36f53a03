/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What else happens when an alarm of a device expires (virtio-v1.4 RTC Device / Alarm Operation,
 * "implementation-specific actions"): a QEMU is told to wake its guest, or a program is started.
 * It happens whatever the device's state is.
 *
 * Actions are executed by threads of this file's own, never by an lcore: one that hangs delays no
 * alarm, no request and no other device's action. An expiration whose action has not begun when
 * the next one of the same clock happens is replaced by it (the text allows it), so there is never
 * more than one due for each clock. At most 16 run at a time in the process, one for each device;
 * the devices take turns. An action may take 30 s; a program is killed then, with its process
 * group.
 *
 * A failure is logged once, and failures of the same kind again only when one has succeeded.
 *
 * That a guest is awake already is a success. But it may be on its way to sleep: it is tried again
 * for 10 s, every 100 ms, until its driver disables the alarm or sets it anew, as that of an awake
 * guest does.
 *
 * "If the driver successfully disables an alarm [...] the device MUST stop serving any previous
 * alarm expiration event for C before the device uses the response buffer": cancelling is therefore
 * a question with an answer, see vrtc_alarm_action_cancel().
 */
#ifndef VRTC_ALARM_ACTION_H
#define VRTC_ALARM_ACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

/* The clock ids that can have an action: 0 to 63. */
#define VRTC_ALARM_ACTION_CLOCKS_MAX 64

struct vrtc_alarm_action;

/* What vrtc_alarm_action_new() gives the actions that it makes. Tests change it; main thread. */
struct vrtc_alarm_action_limits {
	unsigned deadline_ms; /* of an action: connecting and its answer, the program's end */
	unsigned pause_ms;    /* from an action's start to that of the device's next one */
	unsigned asleep_ms;   /* for how long a guest that is awake is tried again */
};
extern struct vrtc_alarm_action_limits vrtc_alarm_action_limits;

/*
 * The action of one device. Main thread: the threads that execute actions run on the CPUs that it
 * has now, which after rte_eal_init() are those of the control lcore. The environment of a program
 * is the one that this process has at the first call.
 *
 * @param what     "qmp:PATH": sends system_wakeup to the QMP socket PATH; "exec:PROGRAM": starts
 *                 PROGRAM, without arguments, with DPDK_RTC_DEVICE, DPDK_RTC_CLOCK_ID,
 *                 DPDK_RTC_CLOCK (as vrtc_clock_name()) and DPDK_RTC_ALARM_NS in its environment.
 *                 Copied
 * @param device   its name, for log lines and the environment; outlives the action
 * @param clock    n_clocks clocks, outlive the action
 * @return         NULL with errno set: EINVAL for what is neither, an empty PATH or PROGRAM, a PATH
 *                 that is too long for a socket, or no clock or too many; ENOMEM; or what a thread
 *                 or a descriptor was refused with
 */
struct vrtc_alarm_action *vrtc_alarm_action_new(
	const char *what, const char *device, const struct vrtc_clock *clock, uint16_t n_clocks);

/*
 * An alarm has expired. The alarm lcore; never blocks, allocates or logs. One system call: the
 * write to an eventfd that wakes the threads here.
 */
void vrtc_alarm_action_expire(struct vrtc_alarm_action *a, uint16_t clock_id, uint64_t alarm_ns);

/*
 * The driver disables the alarm, or sets it anew. The alarm lcore; never blocks.
 *
 * @return  true: no action of an earlier expiration of this clock begins from now on;
 *          false: one is just being begun; ask again, it takes milliseconds at most
 *
 * An action begins when system_wakeup is written, or when the program is started; one that has
 * begun is not taken back.
 */
bool vrtc_alarm_action_cancel(struct vrtc_alarm_action *a, uint16_t clock_id);

/*
 * For a process that is about to end: begins nothing more, and does not wait for what runs. Main
 * thread. The actions stay allocated, and programs that run go on.
 */
void vrtc_alarm_actions_end(void);

#endif
