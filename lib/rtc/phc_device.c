/* SPDX-License-Identifier: BSD-3-Clause */
#include "phc_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/ptp_clock.h>

/* Readings of one look, of which the tightest counts. */
#define SAMPLES      5
/* Tries to read counter and system clock together. */
#define TRIES        3
/* What a servo may do to CLOCK_REALTIME during a look, in parts of it, and a little more. */
#define SLEWED_PARTS 1000
#define SLEWED_NS    5000

static int control(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument);
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

const struct vrtc_phc_system vrtc_phc_system = {control, vrtc_counter_read, clock_ns};

/* ---- The counter and a system clock. */

/* Read together: the counter is `counter`, give or take half_counts. */
struct both {
	uint64_t counter;
	double half_counts;
	int64_t system_ns;
	int64_t raw_ns; /* CLOCK_MONOTONIC_RAW, some ns later */
};

static struct both read_both(const struct vrtc_phc_device *d, clockid_t id)
{
	struct both best = {.half_counts = 1e18};

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = d->system->count(d->counter);
		int64_t system_ns = d->system->clock_ns(id);
		uint64_t after = d->system->count(d->counter);
		double half_counts = (double)(after - before) / 2;

		if (half_counts < best.half_counts)
			best = (struct both){.counter = before + (after - before) / 2,
				.half_counts = half_counts + 1,
				.system_ns = system_ns,
				.raw_ns = d->system->clock_ns(CLOCK_MONOTONIC_RAW)};
	}
	return best;
}

/* Whether the system clock went on between the two as time does. (The raw one always does.) */
static bool was_set(clockid_t id, const struct both *before, const struct both *after)
{
	int64_t raw_ns = after->raw_ns - before->raw_ns;
	int64_t system_ns = after->system_ns - before->system_ns;
	int64_t slewed_ns = raw_ns / SLEWED_PARTS + SLEWED_NS;

	return system_ns <= 0 ||
	       (id != CLOCK_MONOTONIC_RAW &&
		       (system_ns < raw_ns - slewed_ns || system_ns > raw_ns + slewed_ns));
}

/* ---- The three methods: brackets of a reading by a system clock. */

struct bracket {
	int64_t before_ns;
	int64_t after_ns;
	int64_t phc_ns;
};

static int64_t to_ns(const struct ptp_clock_time *t)
{
	int64_t ns;

	/* A device's time is whatever it likes; what is no time is refused by the model. */
	if (__builtin_mul_overflow(t->sec, INT64_C(1000000000), &ns) ||
		__builtin_add_overflow(ns, (int64_t)t->nsec, &ns))
		return INT64_MAX;
	return ns;
}

static void take_tighter(struct bracket *best, const struct ptp_clock_time *before,
	const struct ptp_clock_time *phc, const struct ptp_clock_time *after)
{
	struct bracket now = {to_ns(before), to_ns(after), to_ns(phc)};

	if (now.after_ns >= now.before_ns &&
		now.after_ns - now.before_ns < best->after_ns - best->before_ns)
		*best = now;
}

static int ask_precise(const struct vrtc_phc_device *d, struct bracket *best)
{
	struct ptp_sys_offset_precise request = {.device = {0}};

	if (d->system->control(d->fd, PTP_SYS_OFFSET_PRECISE, &request))
		return -errno;
	take_tighter(best, &request.sys_monoraw, &request.device, &request.sys_monoraw);
	return 0;
}

static int ask_extended(const struct vrtc_phc_device *d, clockid_t id, struct bracket *best)
{
	struct ptp_sys_offset_extended request = {.n_samples = SAMPLES};

	/*
	 * Since Linux 6.12 the word behind the number is the clock's id; its name depends on the
	 * headers. Before, it was reserved, and 0 as is CLOCK_REALTIME.
	 */
	memcpy((char *)&request + sizeof(request.n_samples), &id, sizeof(id));
	if (d->system->control(d->fd, PTP_SYS_OFFSET_EXTENDED, &request))
		return -errno;
	for (int i = 0; i < SAMPLES; i++)
		take_tighter(best, &request.ts[i][0], &request.ts[i][1], &request.ts[i][2]);
	return 0;
}

static int ask_offset(const struct vrtc_phc_device *d, struct bracket *best)
{
	struct ptp_sys_offset request = {.n_samples = SAMPLES};

	if (d->system->control(d->fd, PTP_SYS_OFFSET, &request))
		return -errno;
	for (int i = 0; i < SAMPLES; i++)
		take_tighter(
			best, &request.ts[2 * i], &request.ts[2 * i + 1], &request.ts[2 * i + 2]);
	return 0;
}

static clockid_t clock_of(enum vrtc_phc_method method)
{
	return method == VRTC_PHC_PRECISE || method == VRTC_PHC_EXTENDED_RAW ? CLOCK_MONOTONIC_RAW
									     : CLOCK_REALTIME;
}

static int ask(const struct vrtc_phc_device *d, struct bracket *best)
{
	*best = (struct bracket){.before_ns = 0, .after_ns = INT64_MAX};
	switch (d->method) {
	case VRTC_PHC_PRECISE:
		return ask_precise(d, best);
	case VRTC_PHC_EXTENDED_RAW:
	case VRTC_PHC_EXTENDED:
		return ask_extended(d, clock_of(d->method), best);
	case VRTC_PHC_OFFSET:
		return ask_offset(d, best);
	case VRTC_PHC_NO_METHOD:
		break;
	}
	return -EOPNOTSUPP;
}

static bool is_refusal(int rc)
{
	return rc == -EOPNOTSUPP || rc == -ENOTTY || rc == -EINVAL;
}

static bool is_complete(const struct bracket *bracket)
{
	return bracket->after_ns != INT64_MAX;
}

int vrtc_phc_device_look(struct vrtc_phc_device *d, struct vrtc_phc_look *look)
{
	struct bracket bracket;
	struct both before, after;
	double counts_per_ns, middle_ns, half_ns;
	int rc;

	for (;;) {
		before = read_both(d, clock_of(d->method));
		rc = ask(d, &bracket);
		if (d->method == VRTC_PHC_NO_METHOD || !is_refusal(rc))
			break;
		d->method++;
	}
	if (rc)
		return rc;
	after = read_both(d, clock_of(d->method));
	if (!is_complete(&bracket) || was_set(clock_of(d->method), &before, &after))
		return -EAGAIN;

	counts_per_ns = (double)(after.counter - before.counter) /
			(double)(after.system_ns - before.system_ns);
	middle_ns = (double)(bracket.before_ns - before.system_ns) +
		    (double)(bracket.after_ns - bracket.before_ns) / 2;
	/* The system clock's two readings may be off by as much, either of them; and rounding. */
	half_ns =
		(double)(bracket.after_ns - bracket.before_ns) / 2 +
		(before.half_counts > after.half_counts ? before.half_counts : after.half_counts) /
			counts_per_ns +
		2;
	*look = (struct vrtc_phc_look){
		.counter = before.counter + (uint64_t)(int64_t)(middle_ns * counts_per_ns),
		.time_ns = bracket.phc_ns,
		.half_ns = (int64_t)half_ns + 1,
	};
	return 0;
}

/* ---- The device. */

static int fail(int rc, char *why, const char *what)
{
	snprintf(why, VRTC_PHC_WHY_BYTES,
		"%s; accepted: the path of a PTP hardware clock, /dev/ptp0 for example", what);
	return rc;
}

int vrtc_phc_device_open(struct vrtc_phc_device *d, const char *path, char *why)
{
	struct ptp_clock_caps caps;
	struct stat status;
	int rc = 0;

	*d = (struct vrtc_phc_device){.system = &vrtc_phc_system, .counter = vrtc_counter_choose()};
	/* Without blocking: what is no clock may be a FIFO. */
	d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (d->fd < 0)
		return fail(-errno, why, strerror(errno));
	if (fstat(d->fd, &status))
		rc = -errno;
	else if (!S_ISCHR(status.st_mode) || ioctl(d->fd, PTP_CLOCK_GETCAPS, &caps))
		rc = -ENOTTY;
	if (!rc)
		return 0;
	vrtc_phc_device_close(d);
	return fail(rc, why, rc == -ENOTTY ? "it is no PTP hardware clock" : strerror(-rc));
}

void vrtc_phc_device_close(struct vrtc_phc_device *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int vrtc_phc_device_node(const struct vrtc_phc_device *d)
{
	struct stat status;
	char path[96];
	int node = -1;
	FILE *file;

	if (fstat(d->fd, &status))
		return -1;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device/numa_node", major(status.st_rdev),
		minor(status.st_rdev));
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%d", &node) != 1)
			node = -1;
		fclose(file);
	}
	return node;
}

const char *vrtc_phc_method_name(enum vrtc_phc_method method)
{
	switch (method) {
	case VRTC_PHC_PRECISE:
		return "PTP_SYS_OFFSET_PRECISE";
	case VRTC_PHC_EXTENDED_RAW:
	case VRTC_PHC_EXTENDED:
		return "PTP_SYS_OFFSET_EXTENDED";
	case VRTC_PHC_OFFSET:
		return "PTP_SYS_OFFSET";
	case VRTC_PHC_NO_METHOD:
		break;
	}
	return "none";
}
