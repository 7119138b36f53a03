/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UTC through a leap second, read as fast as it can be, beside the kernel's CLOCK_REALTIME: ours
 * steps at the instant, the kernel's at the tick that finds the instant behind it.
 *
 * Both are told by CLOCK_TAI, which goes on. A reading lies between two of that, so it may only be
 * on the wrong side of the step if they are on both.
 */
#include "cases.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon.h"
#include "driver.h"
#include "kernel_time.h"
#include "lab.h"
#include "leap_second.h"
#include "line.h"

#define BEGIN_NS   (LAB_LEAP_UTC_NS - 3 * LAB_NS_PER_S)
/* What is looked at, on either side of the step. */
#define AROUND_NS  (50 * LAB_NS_PER_MS)
/* How much longer, while the kernel's tick is late: this guest's CPUs have to share the host's. */
#define LATE_NS    (1000 * LAB_NS_PER_MS)
#define SHOTS_MAX  200000
/* Readings are made on another CPU than what they are compared with. */
#define SLACK_NS   100000
#define POINTS_MAX 400

/* One reading, relative to the step; clocks as how far they are from TAI less the offset. */
struct shot {
	int64_t before_ns;
	int64_t after_ns;
	int64_t utc_ns;
	int64_t host_at_ns;
	int64_t host_ns;
};

static struct shot shots[SHOTS_MAX];

/* What a clock shows, less what it would show without the leap second. */
static int64_t shift_ns(int64_t shown_ns, const struct lab_leap *leap, int64_t tai_ns)
{
	return shown_ns - (tai_ns - leap->before_s * LAB_NS_PER_S);
}

static bool has_stepped(int64_t off_ns, int64_t step_ns)
{
	return step_ns < 0 ? off_ns < step_ns / 2 : off_ns > step_ns / 2;
}

static unsigned int take_shots(struct vfe_session *s, const struct lab_leap *leap, int64_t step_ns)
{
	unsigned int n = 0;

	while (lab_time_ns(CLOCK_TAI) < leap->step_tai_ns - AROUND_NS)
		lab_sleep_ms(1);
	while (n < SHOTS_MAX) {
		struct shot *shot = &shots[n++];
		int64_t host_ns, before_ns, after_ns, utc_ns;

		host_ns = lab_time_ns(CLOCK_REALTIME);
		before_ns = lab_time_ns(CLOCK_TAI);
		lab_driver_read(s, 0, &utc_ns);
		after_ns = lab_time_ns(CLOCK_TAI);
		*shot = (struct shot){
			.before_ns = before_ns - leap->step_tai_ns,
			.after_ns = after_ns - leap->step_tai_ns,
			.utc_ns = shift_ns(utc_ns, leap, before_ns),
			.host_at_ns = before_ns - leap->step_tai_ns,
			.host_ns = shift_ns(host_ns, leap, before_ns),
		};
		if (shot->after_ns > LATE_NS ||
			(shot->after_ns > AROUND_NS && has_stepped(shot->host_ns, step_ns)))
			break;
	}
	return n;
}

static bool is_near(int64_t ns, int64_t low_ns, int64_t high_ns)
{
	return ns >= low_ns - SLACK_NS && ns <= high_ns + SLACK_NS;
}

static void check_shot(const struct shot *shot, int64_t step_ns)
{
	int64_t took_ns = shot->after_ns - shot->before_ns;
	bool old_side = is_near(shot->utc_ns, 0, took_ns);
	bool new_side = is_near(shot->utc_ns, step_ns, step_ns + took_ns);

	lab_check((old_side && shot->before_ns < 0) || (new_side && shot->after_ns >= 0),
		"UTC is %" PRId64 " ns from what it was to be, asked %" PRId64
		" ns after the step and answered %" PRId64 " ns after it",
		shot->utc_ns, shot->before_ns, shot->after_ns);
}

/* The first shot behind which a clock has stepped, and when; -1: none. */
static int first_stepped(unsigned int n, int64_t step_ns, bool host)
{
	for (unsigned int i = 0; i < n; i++) {
		int64_t ns = host ? shots[i].host_ns : shots[i].utc_ns;

		if (has_stepped(ns, step_ns))
			return (int)i;
	}
	return -1;
}

/* Some shots of all, most of them near the step. */
static void tell_points(unsigned int n)
{
	unsigned int every = n / POINTS_MAX + 1;

	for (unsigned int i = 0; i < n; i++) {
		const struct shot *shot = &shots[i];

		if (i % every == 0)
			lab_line_fact("point", "%.3f %.9f %.3f %.9f",
				1e-3 * (double)(shot->before_ns + shot->after_ns) / 2,
				1e-9 * (double)shot->utc_ns, 1e-3 * (double)shot->host_at_ns,
				1e-9 * (double)shot->host_ns);
	}
}

static void check_rate(enum lab_leap_kind kind)
{
	const char *const args[] = {"--socket-path", LAB_DAEMON_SOCKET, "--clocks", "utc", "--idle",
		"busy", "--leap-table", LAB_LEAP_TABLE, NULL};
	struct lab_leap leap = lab_leap_write_table(kind);
	int64_t step_ns = -kind * LAB_NS_PER_S;
	struct vfe_session s;
	int ours, hosts;
	unsigned int n;
	pid_t daemon;

	lab_time_set(BEGIN_NS - 600 * LAB_NS_PER_S);
	lab_time_set_tai(leap.before_s);
	daemon = lab_daemon_start(args);
	lab_driver_start_polling(&s, LAB_DAEMON_SOCKET);
	lab_time_set(BEGIN_NS);
	lab_time_plan_leap_second(kind == LAB_LEAP_INSERTED);

	n = take_shots(&s, &leap, step_ns);
	for (unsigned int i = 0; i < n; i++)
		check_shot(&shots[i], step_ns);
	ours = first_stepped(n, step_ns, false);
	hosts = first_stepped(n, step_ns, true);
	lab_check(ours > 0, "UTC has not stepped in %u readings", n);
	lab_check(hosts > 0, "CLOCK_REALTIME has not stepped in %u readings", n);
	tell_points(n);
	lab_note(
		"%u readings: UTC has not stepped in one asked %.1f us before the instant, and has "
		"in one asked %.1f us after it; CLOCK_REALTIME has not at %.1f us after it, and has "
		"at %.1f us",
		n, -1e-3 * (double)shots[ours - 1].before_ns, 1e-3 * (double)shots[ours].before_ns,
		1e-3 * (double)shots[hosts - 1].host_at_ns, 1e-3 * (double)shots[hosts].host_at_ns);
	vfe_session_fini(&s);
	lab_daemon_stop(daemon);
}

void lab_case_leap_rate(void)
{
	check_rate(LAB_LEAP_INSERTED);
}

void lab_case_leap_rate_deleted(void)
{
	check_rate(LAB_LEAP_DELETED);
}
