/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A chain: the daemon of the host makes a PTP hardware clock of this kernel, and a daemon in here
 * takes its time from that. What its driver reads is compared with the clock itself, by
 * CLOCK_MONOTONIC_RAW, and by the runner with the host's.
 */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "driver.h"
#include "frontend/deadline.h"
#include "kernel_time.h"
#include "lab.h"
#include "line.h"
#include "phc.h"
#include "telemetry.h"
#include "wire.h"

#define CLOCKS       "tai,utc,utc-smeared,monotonic"
#define CONFIG       "/run/lab/two.ini"
#define OTHER_SOCKET "/run/lab/other.sock"
#define HOLDOVER     "2"
#define SHOTS_MAX    100000
#define PAUSE_MS     5
#define HOST_LOOKS   20
/* The clock's rate against the raw one, over the ms between two readings. */
#define RATE_SLACK   2000 /* one part in so many */

enum { TAI, UTC, SMEARED, MONOTONIC };

/* One comparison. */
struct shot {
	int64_t off_ns;    /* reading less clock, by the middles of the two brackets */
	int64_t beyond_ns; /* how far it is off for certain: beyond both brackets */
	int64_t bound_ns;  /* what the daemon claims */
};

static struct shot shots[SHOTS_MAX];

static pid_t start_daemon(const char *phc, struct vfe_session *s)
{
	char source[64];
	const char *const args[] = {"--socket-path", LAB_DAEMON_SOCKET, "--clocks", CLOCKS,
		"--source", source, "--phc-holdover", HOLDOVER, "--idle", "interrupt", NULL};
	pid_t daemon;

	snprintf(source, sizeof(source), "phc:%s", phc);
	daemon = lab_daemon_start(args);
	lab_daemon_await_log("is followed", 1, NULL, 0);
	lab_driver_start(s, LAB_DAEMON_SOCKET);
	return daemon;
}

static void compare(struct vfe_session *s, int phc_fd, int telemetry_fd, struct shot *shot)
{
	struct lab_phc_reading clock;
	int64_t before_ns, after_ns, reading_ns, low_ns, high_ns, slack_ns;
	char answer[1024];

	lab_phc_read(phc_fd, &clock);
	before_ns = lab_time_ns(CLOCK_MONOTONIC_RAW);
	lab_driver_read(s, TAI, &reading_ns);
	after_ns = lab_time_ns(CLOCK_MONOTONIC_RAW);
	lab_telemetry_ask(telemetry_fd, "/rtc/source,1", answer, sizeof(answer));

	slack_ns = (after_ns - clock.before_ns) / RATE_SLACK;
	low_ns = clock.phc_ns + (before_ns - clock.after_ns) - slack_ns;
	high_ns = clock.phc_ns + (after_ns - clock.before_ns) + slack_ns;
	*shot = (struct shot){
		.off_ns = reading_ns - clock.phc_ns -
			  ((before_ns + after_ns) / 2 - (clock.before_ns + clock.after_ns) / 2),
		.beyond_ns = reading_ns < low_ns    ? low_ns - reading_ns
			     : reading_ns > high_ns ? reading_ns - high_ns
						    : 0,
		.bound_ns = lab_telemetry_number(answer, "error_bound_ns"),
	};
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t sort(unsigned int n, int64_t *values)
{
	qsort(values, n, sizeof(values[0]), by_size);
	return values[n / 2];
}

static void tell_shots(unsigned int n, const char *phc)
{
	static int64_t off[SHOTS_MAX], bound[SHOTS_MAX];
	int64_t off_median, bound_median;

	for (unsigned int i = 0; i < n; i++) {
		off[i] = shots[i].off_ns < 0 ? -shots[i].off_ns : shots[i].off_ns;
		bound[i] = shots[i].bound_ns;
	}
	off_median = sort(n, off);
	bound_median = sort(n, bound);
	lab_note("%u readings of TAI from %s: off by %.1f us at the median, %.1f us at most, both "
		 "with the clock's own brackets; claimed +-%.1f us at the median, %.1f us at most, "
		 "never exceeded",
		n, phc, 1e-3 * (double)off_median, 1e-3 * (double)off[n - 1],
		1e-3 * (double)bound_median, 1e-3 * (double)bound[n - 1]);
}

/* The runner notes the host's clock before it answers "go", and after it got the reading. */
static void show_host(struct vfe_session *s, int telemetry_fd)
{
	for (int i = 0; i < HOST_LOOKS; i++) {
		char answer[1024], go[16];
		int64_t reading_ns;

		lab_line_fact("begin", "reading");
		lab_check(lab_line_read(go, sizeof(go), LAB_PATIENCE_MS), "the runner is silent");
		lab_driver_read(s, TAI, &reading_ns);
		lab_line_fact("reading", "%" PRId64, reading_ns);
		lab_telemetry_ask(telemetry_fd, "/rtc/source,1", answer, sizeof(answer));
		lab_line_fact("bound", "%lld", lab_telemetry_number(answer, "error_bound_ns"));
	}
}

void lab_case_phc(void)
{
	int64_t until_ns;
	unsigned int n = 0;
	struct vfe_session s;
	int phc_fd, telemetry_fd;
	char phc[32];
	pid_t daemon;

	lab_phc_load();
	lab_phc_find(VIRTIO_RTC_CLOCK_TAI, phc, sizeof(phc));
	daemon = start_daemon(phc, &s);
	phc_fd = open(phc, O_RDONLY | O_CLOEXEC);
	lab_check(phc_fd >= 0, "%s: %s", phc, strerror(errno));
	telemetry_fd = lab_telemetry_open();

	until_ns = vfe_deadline_in_ms(1000 * lab_seconds(5));
	while (n < SHOTS_MAX && vfe_now_ns() < until_ns) {
		compare(&s, phc_fd, telemetry_fd, &shots[n]);
		lab_check(shots[n].beyond_ns <= shots[n].bound_ns,
			"reading %u is %" PRId64 " ns off or more, claimed are %" PRId64, n,
			shots[n].beyond_ns, shots[n].bound_ns);
		n++;
		lab_sleep_ms(PAUSE_MS);
	}
	tell_shots(n, phc);
	show_host(&s, telemetry_fd);
	close(phc_fd);
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}

static uint8_t read_status(struct vfe_session *s, uint16_t clock)
{
	uint64_t reading_ns;
	int status = vfe_rtc_read(s, clock, &reading_ns);

	lab_check(status >= 0, "READ: %s", vfe_error(s));
	return (uint8_t)status;
}

static void await_status(struct vfe_session *s, uint16_t clock, uint8_t status, const char *when)
{
	int64_t deadline_ns = vfe_deadline_in_ms(LAB_PATIENCE_MS);

	while (read_status(s, clock) != status) {
		lab_check(vfe_now_ns() < deadline_ns, "%s: clock %u does not answer %s", when,
			clock, vfe_rtc_status_name(status));
		lab_sleep_ms(20);
	}
}

/* Two devices of one process: one by the clock, one by the system. */
static pid_t start_two(const char *phc, struct vfe_session *s, struct vfe_session *other)
{
	static const char *const args[] = {"--config", CONFIG, NULL};
	FILE *file = fopen(CONFIG, "we");
	pid_t daemon;

	lab_check(file, CONFIG ": %s", strerror(errno));
	fprintf(file,
		"[global]\nidle = interrupt\nphc_holdover = " HOLDOVER "\n"
		"[device rtc]\nsocket = " LAB_DAEMON_SOCKET "\nclocks = " CLOCKS
		"\nsource = phc:%s\n"
		"[device other]\nsocket = " OTHER_SOCKET "\nclocks = " CLOCKS "\n",
		phc);
	lab_check(fclose(file) == 0, CONFIG ": %s", strerror(errno));
	daemon = lab_daemon_start(args);
	lab_daemon_await_log("is followed", 1, NULL, 0);
	lab_driver_start(s, LAB_DAEMON_SOCKET);
	lab_driver_start(other, OTHER_SOCKET);
	return daemon;
}

void lab_case_phc_lost(void)
{
	struct vfe_session s, other;
	int64_t gone_ns;
	char phc[32];
	pid_t daemon;

	lab_phc_load();
	lab_phc_find(VIRTIO_RTC_CLOCK_TAI, phc, sizeof(phc));
	daemon = start_two(phc, &s, &other);
	for (uint16_t clock = TAI; clock <= MONOTONIC; clock++)
		lab_check(read_status(&s, clock) == VIRTIO_RTC_S_OK, "clock %u is not read", clock);
	for (unsigned int life = 1; life <= 2; life++) {
		lab_phc_unbind();
		gone_ns = lab_time_ns(CLOCK_BOOTTIME);
		lab_check(read_status(&s, TAI) == VIRTIO_RTC_S_OK ||
				  lab_time_ns(CLOCK_BOOTTIME) - gone_ns > LAB_NS_PER_S,
			"there is no holdover");
		await_status(&s, TAI, VIRTIO_RTC_S_EIO, "the clock is gone");
		await_status(&s, UTC, VIRTIO_RTC_S_EIO, "the clock is gone");
		await_status(&s, SMEARED, VIRTIO_RTC_S_EIO, "the clock is gone");
		lab_check(read_status(&s, MONOTONIC) == VIRTIO_RTC_S_OK,
			"the monotonic clock needs a PTP hardware clock");
		for (uint16_t clock = TAI; clock <= MONOTONIC; clock++)
			lab_check(read_status(&other, clock) == VIRTIO_RTC_S_OK,
				"clock %u of the device on system time is not read", clock);
		lab_daemon_await_log("cannot be read for longer", life, NULL, 0);
		lab_phc_bind();
		await_status(&s, TAI, VIRTIO_RTC_S_OK, "the clock is back");
		lab_check(read_status(&s, UTC) == VIRTIO_RTC_S_OK, "UTC is not back");
		lab_daemon_await_log("is followed", life + 1, NULL, 0);
	}
	vfe_session_fini(&s);
	vfe_session_fini(&other);
	lab_daemon_stop(daemon);
}
