/* SPDX-License-Identifier: BSD-3-Clause */
#include "phc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

#include "kernel_time.h"
#include "lab.h"

#define MODULE     "/virtio_rtc.ko"
#define DRIVER_DIR "/sys/bus/virtio/drivers/virtio_rtc"
#define CLOCKS     4
#define SAMPLES    5

static char bound_device[32];

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void await(const char *path, bool there)
{
	int waited_ms = 0;

	while (is_there(path) != there) {
		lab_check(waited_ms < LAB_PATIENCE_MS, "%s %s", path,
			there ? "has not come" : "has not gone");
		lab_sleep_ms(10);
		waited_ms += 10;
	}
}

void lab_phc_load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);

	lab_check(fd >= 0, MODULE ": %s", strerror(errno));
	lab_check(syscall(SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST, MODULE ": %s",
		strerror(errno));
	close(fd);
	for (int i = 0; i < 8 && !bound_device[0]; i++) {
		char path[128];

		snprintf(path, sizeof(path), DRIVER_DIR "/virtio%d", i);
		if (is_there(path))
			snprintf(bound_device, sizeof(bound_device), "virtio%d", i);
	}
	if (!bound_device[0])
		lab_skip("this laboratory has no virtio-rtc device");
	await("/dev/ptp3", true);
}

void lab_phc_find(unsigned int type, char *path, unsigned int size)
{
	for (int i = 0; i < CLOCKS; i++) {
		char name[64], text[64] = "", want[64];
		FILE *file;

		snprintf(name, sizeof(name), "/sys/class/ptp/ptp%d/clock_name", i);
		file = fopen(name, "re");
		if (!file)
			continue;
		if (!fgets(text, sizeof(text), file))
			text[0] = '\0';
		fclose(file);
		snprintf(want, sizeof(want), "Virtio PTP type %u/", type);
		if (strncmp(text, want, strlen(want)) == 0) {
			snprintf(path, size, "/dev/ptp%d", i);
			return;
		}
	}
	lab_fail("there is no clock of type %u", type);
}

static void write_driver(const char *file)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), DRIVER_DIR "/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	lab_check(fd >= 0 && write(fd, bound_device, strlen(bound_device)) > 0, "%s: %s", path,
		strerror(errno));
	close(fd);
}

void lab_phc_unbind(void)
{
	write_driver("unbind");
	await("/dev/ptp0", false);
}

void lab_phc_bind(void)
{
	write_driver("bind");
	await("/dev/ptp3", true);
}

static int64_t to_ns(const struct ptp_clock_time *t)
{
	return t->sec * LAB_NS_PER_S + t->nsec;
}

void lab_phc_read(int fd, struct lab_phc_reading *reading)
{
	struct ptp_sys_offset_extended request = {.n_samples = SAMPLES};
	clockid_t id = CLOCK_MONOTONIC_RAW;

	/* Since Linux 6.12; older headers call the word reserved. */
	memcpy((char *)&request + sizeof(request.n_samples), &id, sizeof(id));
	lab_check(ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &request) == 0, "PTP_SYS_OFFSET_EXTENDED: %s",
		strerror(errno));
	*reading = (struct lab_phc_reading){0, INT64_MAX, 0};
	for (int i = 0; i < SAMPLES; i++) {
		struct lab_phc_reading one = {to_ns(&request.ts[i][0]), to_ns(&request.ts[i][2]),
			to_ns(&request.ts[i][1])};

		if (one.after_ns - one.before_ns < reading->after_ns - reading->before_ns)
			*reading = one;
	}
}
