/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the alarms of devices outlive the process: a folder on a tmpfs with a file NAME.alarms for
 * each, mapped into memory and written as alarm_ledger.h says.
 *
 * On a tmpfs, since an alarm lcore writes there: a mapped page of a disk can block its writer for
 * as long as the disk likes, or kill it (SIGBUS) where a file system that copies on write is full.
 * On a tmpfs a page that was allocated once stays, and so there is nothing that can fail later: a
 * folder that is missing, full, read-only or somebody else's is found out when the device is
 * opened, and costs the retention over the process's end and nothing else.
 *
 * Main thread.
 */
#ifndef VRTC_ALARM_STORE_H
#define VRTC_ALARM_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "alarm_ledger.h"

#define VRTC_ALARM_STORE_WHY_BYTES  512
#define VRTC_ALARM_STORE_PATH_BYTES 256

struct vrtc_alarm_store {
	int dir_fd; /* -1: there is none, and alarms live as long as the process */
	char path[VRTC_ALARM_STORE_PATH_BYTES];
};

/*
 * Opens the folder, and makes it (not its parents) where it is missing.
 *
 * @param path  NULL: the first that is on a tmpfs of /run/dpdk-rtc (root alone),
 *              $XDG_RUNTIME_DIR/dpdk-rtc and /dev/shm/dpdk-rtc-UID
 * @param why   VRTC_ALARM_STORE_WHY_BYTES bytes; on error what is wrong and what is accepted
 * @return      0; -errno: the store is there, but as one that keeps nothing
 */
int vrtc_alarm_store_open(struct vrtc_alarm_store *store, const char *path, char *why);

enum vrtc_alarm_store_result {
	VRTC_ALARM_STORE_KEPT,      /* the alarms of the last time */
	VRTC_ALARM_STORE_NEW,       /* there were none */
	VRTC_ALARM_STORE_DISCARDED, /* what was there is unusable, and replaced; see why */
	VRTC_ALARM_STORE_NONE,      /* nothing will be kept: no store, or see why */
};

/*
 * The ledger of a device, for as long as the process lives.
 *
 * @param store  NULL: memory alone
 * @param name   of the device: letters, digits, '.', '_', '-'
 * @param why    as above; "" where there is nothing to say
 * @return       NULL: no memory
 */
struct vrtc_alarm_ledger *vrtc_alarm_store_ledger(const struct vrtc_alarm_store *store,
	const char *name, const struct vrtc_clock *clock, uint16_t n_clocks,
	enum vrtc_alarm_store_result *result, char *why);

#endif
