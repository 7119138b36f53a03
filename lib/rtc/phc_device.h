/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks at a PTP hardware clock through the kernel (/dev/ptpN): what it shows at a value of the
 * host's counter, by the best of what its driver can do.
 *
 *	PTP_SYS_OFFSET_PRECISE   the device takes both clocks at one instant
 *	PTP_SYS_OFFSET_EXTENDED  the driver brackets its reading with the system clock
 *	PTP_SYS_OFFSET           the kernel does, around the driver
 *
 * All three speak of a system clock. It is related to the counter by reading both together before
 * and after; what that costs in certainty is added to the bracket.
 *
 * Any one thread. A look is a system call, and a driver can block for as long as it likes (a minute
 * for virtio_rtc whose device is gone).
 */
#ifndef VRTC_PHC_DEVICE_H
#define VRTC_PHC_DEVICE_H

#include <stdint.h>
#include <time.h>

#include "counter.h"
#include "phc_model.h"

#define VRTC_PHC_WHY_BYTES 160

/* From the best to the worst. */
enum vrtc_phc_method {
	VRTC_PHC_PRECISE,
	VRTC_PHC_EXTENDED_RAW, /* with CLOCK_MONOTONIC_RAW, since Linux 6.12 */
	VRTC_PHC_EXTENDED,     /* with CLOCK_REALTIME */
	VRTC_PHC_OFFSET,
	VRTC_PHC_NO_METHOD,
};

/* What is asked of the system; tests answer in its place. */
struct vrtc_phc_system {
	int (*control)(int fd, unsigned long request, void *argument); /* ioctl() */
	uint64_t (*count)(enum vrtc_counter counter);
	int64_t (*clock_ns)(clockid_t id);
};

extern const struct vrtc_phc_system vrtc_phc_system;

struct vrtc_phc_device {
	const struct vrtc_phc_system *system;
	int fd;
	enum vrtc_counter counter;
	enum vrtc_phc_method method; /* the best that has not been refused */
};

/*
 * @param why  set on error: a sentence, what is wrong and what is accepted; VRTC_PHC_WHY_BYTES
 * @return     0, or -errno: no PTP hardware clock of that path
 */
int vrtc_phc_device_open(struct vrtc_phc_device *d, const char *path, char *why);

void vrtc_phc_device_close(struct vrtc_phc_device *d);

/* NUMA node of the device; -1: unknown, or none. */
int vrtc_phc_device_node(const struct vrtc_phc_device *d);

/*
 * A look.
 *
 * @param look  untouched on error
 * @return      0; -ENODEV: the device is gone; -EAGAIN: the system clock was set meanwhile;
 *              -EOPNOTSUPP: the driver knows no method; another -errno of the driver
 */
int vrtc_phc_device_look(struct vrtc_phc_device *d, struct vrtc_phc_look *look);

/* The name of its ioctl, or "none"; a static string. */
const char *vrtc_phc_method_name(enum vrtc_phc_method method);

#endif
