/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PTP hardware clocks of the laboratory: those that its own virtio_rtc driver makes of the
 * device that the host's daemon serves.
 */
#ifndef LAB_PHC_H
#define LAB_PHC_H

#include <stdint.h>

/** Loads the driver and waits for its clocks; skips the case if the guest has no such device. */
void lab_phc_load(void);

/** The path of the clock of that type (VIRTIO_RTC_CLOCK_*), in path. */
void lab_phc_find(unsigned int type, char *path, unsigned int size);

/** Takes the driver off its device, so that the clocks vanish; puts it back. */
void lab_phc_unbind(void);
void lab_phc_bind(void);

/* A clock read directly: it showed phc_ns between two values of CLOCK_MONOTONIC_RAW. */
struct lab_phc_reading {
	int64_t before_ns;
	int64_t after_ns;
	int64_t phc_ns;
};

/** The tightest of a few. */
void lab_phc_read(int fd, struct lab_phc_reading *reading);

#endif
