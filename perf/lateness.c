/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-lateness: how late an alarm is, from its instant to the driver seeing it.
 *
 * The instant of an alarm is known to the nanosecond, and its clock, UTC, is one that this program
 * can read at the price of a few tens of nanoseconds: so the lateness is what CLOCK_REALTIME shows
 * when the used index of the alarmq is seen to have changed, minus the alarm's time. The CPU that
 * looks is not the CPU of the alarm lcore.
 *
 * In one run, in alternating batches, on the same CPU and with the same end point (rival.h):
 *
 *   device, busy       dpdk-rtc with an alarm lcore that polls
 *   device, interrupt  dpdk-rtc with --idle interrupt
 *   timerfd + thread   the usual way
 *   clock loop         a loop that reads the clock and does nothing else: the machine's own noise
 *
 * Those whose turn it is not are stopped. A batch of the gap detector on the measuring CPU comes
 * last: what delays the look is no fault of the alarm.
 *
 * A device is also measured at the first alarm of a connection, when it has not yet touched the
 * pages of guest memory that the notification goes to: what a guest with an alarm a day has.
 *
 * Alarms are set a random time ahead, so that they keep no step with the kernel's ticks. One whose
 * time came before SET_ALARM was answered says nothing; it is counted and made up for.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alarm_session.h"
#include "cycles.h"
#include "frontend/deadline.h"
#include "histogram.h"
#include "options.h"
#include "pause.h"
#include "random.h"
#include "result.h"
#include "rival.h"
#include "utc.h"
#include "wire.h"

#define FIRSTS_MAX       10000
#define SETTLE_NS        20000000
#define WARMUP_ALARMS    20
#define GAPS_BATCH_NS    200000000
#define RIVAL_PATIENCE_S 10
#define LOOKS_PER_CLOCK  4096

static const char program[] = "dpdk-rtc-lateness";

enum who { BUSY, INTERRUPT, TIMERFD, LOOP, N_WHO };

static const char *const names[N_WHO] = {
	"device, busy",
	"device, interrupt",
	"timerfd + thread",
	"clock loop",
};

struct options {
	const char *path[2]; /* of BUSY and INTERRUPT; NULL: not measured */
	long pid[2];         /* 0: never stopped */
	long alarms, batch, firsts, ahead_min_us, ahead_max_us, cpu, alarm_cpu, seconds;
	const char *json;
};

struct side {
	bool measured;
	bool connected;
	uint16_t clock_id;
	pid_t pid;
	struct vfe_session session;
	size_t n_too_late;
	/* In ns. */
	struct perf_histogram *seen;
	struct perf_histogram *own;   /* of a rival: its own reading */
	struct perf_histogram *first; /* of a device: the first one of a connection */
};

static struct side sides[N_WHO];
static struct perf_rival rival;
static struct perf_histogram *gaps_there; /* on the alarm lcore's CPU; ns */
static struct perf_histogram *gaps_here;

static int64_t next_ahead_ns(const struct options *o)
{
	uint64_t range_ns = (uint64_t)(o->ahead_max_us - o->ahead_min_us) * 1000 + 1;

	return o->ahead_min_us * 1000 + (int64_t)(perf_random() % range_ns);
}

static enum perf_alarm_outcome time_rival(int64_t ahead_ns, int64_t *seen_ns, int64_t *own_ns)
{
	uint64_t before = atomic_load_explicit(&rival.fired, memory_order_relaxed);
	int64_t alarm_ns = perf_utc_ns() + ahead_ns;
	int64_t now_ns;
	bool too_late;

	perf_rival_arm(&rival, alarm_ns);
	too_late = perf_utc_ns() >= alarm_ns;
	/* Acquire: pairs with the release of the rival, who wrote own_ns before. */
	for (unsigned int looks = 1;
		atomic_load_explicit(&rival.fired, memory_order_acquire) == before; looks++) {
		if (looks % LOOKS_PER_CLOCK == 0 &&
			perf_utc_ns() > alarm_ns + RIVAL_PATIENCE_S * INT64_C(1000000000)) {
			fprintf(stderr, "%s: the thread beside did not wake within %d s\n", program,
				RIVAL_PATIENCE_S);
			return PERF_ALARM_FAILED;
		}
	}
	now_ns = perf_utc_ns();
	*seen_ns = now_ns - alarm_ns;
	*own_ns = rival.own_ns - alarm_ns;
	return too_late ? PERF_ALARM_TOO_LATE : PERF_ALARM_SEEN;
}

/* An alarm is never early; the clock may have been set back. */
static void note(struct perf_histogram *h, int64_t lateness_ns)
{
	perf_histogram_add(h, lateness_ns > 0 ? (uint64_t)lateness_ns : 0);
}

static int measure(const struct options *o, enum who who, size_t n)
{
	struct side *side = &sides[who];
	uint64_t end = side->seen->n + n;

	for (unsigned int i = 0; side->seen->n < end; i++) {
		enum perf_alarm_outcome outcome;
		int64_t seen_ns = 0;
		int64_t own_ns = 0;

		if (who < TIMERFD)
			outcome = perf_alarm_session_time(&side->session, program, side->clock_id,
				next_ahead_ns(o), &seen_ns);
		else
			outcome = time_rival(next_ahead_ns(o), &seen_ns, &own_ns);
		if (outcome == PERF_ALARM_FAILED)
			return -1;
		if (i < WARMUP_ALARMS)
			continue;
		if (outcome == PERF_ALARM_TOO_LATE) {
			/* A device that is always too late is not waited for endlessly. */
			if (++side->n_too_late > (size_t)o->alarms) {
				fprintf(stderr, "%s: %s: alarms are set too late; --ahead-min\n",
					program, names[who]);
				return -1;
			}
			continue;
		}
		note(side->seen, seen_ns);
		if (who >= TIMERFD)
			note(side->own, own_ns);
	}
	return 0;
}

static int take_turn(const struct options *o, enum who who, size_t n)
{
	struct side *side = &sides[who];
	int rc;

	if (who == TIMERFD || who == LOOP)
		perf_rival_become(&rival, who == TIMERFD ? PERF_RIVAL_TIMERFD : PERF_RIVAL_LOOP);
	else
		perf_pause_end(side->pid);
	rc = measure(o, who, n);
	if (who == TIMERFD || who == LOOP) {
		perf_rival_become(&rival, PERF_RIVAL_REST);
	} else if (perf_pause(side->pid) < 0) {
		fprintf(stderr, "%s: cannot stop process %d\n", program, (int)side->pid);
		rc = -1;
	}
	return rc;
}

/* The first alarm of one connection after the other. */
static int measure_first(const struct options *o, struct side *side)
{
	int rc = 0;

	perf_pause_end(side->pid);
	for (long i = 0; rc == 0 && i < o->firsts; i++) {
		const struct timespec settle = {.tv_nsec = SETTLE_NS};
		int64_t seen_ns = 0;

		vfe_session_disconnect(&side->session);
		rc = vfe_session_reconnect(&side->session);
		if (rc) {
			perf_complain(&side->session, program, "connecting again", rc);
			break;
		}
		/* Its control threads may have this very CPU, and something to do. */
		nanosleep(&settle, NULL);
		switch (perf_alarm_session_time(
			&side->session, program, side->clock_id, next_ahead_ns(o), &seen_ns)) {
		case PERF_ALARM_SEEN:
			note(side->first, seen_ns);
			break;
		case PERF_ALARM_TOO_LATE:
			side->n_too_late++;
			break;
		default:
			rc = -1;
		}
	}
	if (perf_pause(side->pid) < 0)
		rc = -1;
	return rc;
}

/* The gap detector on this CPU. */
static void find_gaps_here(void)
{
	int64_t before_ns = perf_utc_ns();
	int64_t end_ns = before_ns + GAPS_BATCH_NS;

	while (before_ns < end_ns) {
		int64_t now_ns = perf_utc_ns();

		if (now_ns >= before_ns)
			perf_histogram_add(gaps_here, (uint64_t)(now_ns - before_ns));
		before_ns = now_ns;
	}
}

static bool begin_side(const struct options *o, enum who who)
{
	struct side *side = &sides[who];

	side->measured = who >= TIMERFD || o->path[who];
	if (!side->measured)
		return true;
	side->seen = perf_histogram_new();
	side->own = perf_histogram_new();
	side->first = perf_histogram_new();
	if (!side->seen || !side->own || !side->first) {
		fprintf(stderr, "%s: out of memory\n", program);
		return false;
	}
	if (who >= TIMERFD)
		return true;
	if (perf_alarm_session_start(&side->session, program, o->path[who]) < 0)
		return false;
	side->connected = true;
	side->pid = (pid_t)o->pid[who];
	if (perf_alarm_session_find(&side->session, program, VIRTIO_RTC_CLOCK_UTC, &side->clock_id))
		return false;
	if (perf_pause(side->pid) < 0) {
		fprintf(stderr, "%s: cannot stop process %d\n", program, (int)side->pid);
		return false;
	}
	return true;
}

static void report(const struct options *o, double ns_per_cycle)
{
	static const char lateness[] = "lateness of an alarm";
	struct perf_result *r = perf_result_begin(
		"lateness", "How late is an alarm, from its instant to the driver?", o->json);
	size_t n_too_late = 0;
	char name[64];

	perf_result_set_tsc(r, ns_per_cycle);
	for (int w = 0; w < N_WHO; w++)
		n_too_late += sides[w].n_too_late;
	perf_result_head(r,
		"\n%" PRIu64
		" alarms each in interleaved batches of %ld, set %ld to %ld us ahead (%zu set too "
		"late, made up for)",
		sides[LOOP].seen->n, o->batch, o->ahead_min_us, o->ahead_max_us, n_too_late);
	for (int w = 0; w < N_WHO; w++)
		if (sides[w].measured)
			perf_result_series(r, names[w], lateness, w < TIMERFD ? "device" : "floor",
				sides[w].seen, 1);
	if (o->firsts > 0)
		perf_result_head(r, "\nthe first alarm of a connection");
	for (int w = 0; w < TIMERFD; w++) {
		if (!sides[w].measured || sides[w].first->n == 0)
			continue;
		snprintf(name, sizeof(name), "%s, first", names[w]);
		perf_result_series(r, name, "lateness of the first alarm of a connection", "device",
			sides[w].first, 1);
	}
	perf_result_head(r, "\nby the clock that the thread itself reads when it is awake");
	for (int w = TIMERFD; w < N_WHO; w++) {
		snprintf(name, sizeof(name), "%s, by itself", names[w]);
		perf_result_series(r, name, "lateness by its own clock", "other", sides[w].own, 1);
	}
	perf_result_head(r, "\nbetween two readings of CLOCK_REALTIME");
	perf_result_noise(r, (int)o->alarm_cpu, gaps_there, 1);
	if (o->cpu >= 0)
		perf_result_noise(r, (int)o->cpu, gaps_here, 1);
	for (int w = 0; w < TIMERFD; w++) {
		if (!sides[w].measured)
			continue;
		snprintf(name, sizeof(name), "%s, over the clock loop", names[w]);
		perf_result_ratios(r, name, sides[w].seen, sides[LOOP].seen, 0, 0, 0);
	}
	perf_result_end(r);
}

static int run(const struct options *o)
{
	uint64_t first_cycles = perf_cycles(), last_cycles;
	int64_t first_ns = vfe_now_ns(), last_ns;
	bool ok = true;

	gaps_there = perf_histogram_new();
	gaps_here = perf_histogram_new();
	if (!gaps_there || !gaps_here || perf_rival_start(&rival, (int)o->alarm_cpu, gaps_there)) {
		fprintf(stderr, "%s: no memory, or no thread\n", program);
		return 1;
	}
	for (int w = 0; ok && w < N_WHO; w++)
		ok = begin_side(o, (enum who)w);
	for (long done = 0, b = 0;
		ok && done < o->alarms && vfe_now_ns() - first_ns < o->seconds * 1000000000; b++) {
		size_t n = (size_t)(o->alarms - done < o->batch ? o->alarms - done : o->batch);

		/* Forwards, then backwards: nobody is always behind the same one. */
		for (int i = 0; ok && i < N_WHO; i++) {
			int w = b & 1 ? N_WHO - 1 - i : i;

			if (sides[w].measured)
				ok = take_turn(o, (enum who)w, n) == 0;
		}
		find_gaps_here();
		done += (long)n;
	}
	for (int w = 0; ok && w < TIMERFD; w++)
		if (sides[w].measured)
			ok = measure_first(o, &sides[w]) == 0;
	perf_rival_stop(&rival);
	for (int w = 0; w < TIMERFD; w++)
		perf_pause_end(sides[w].pid);
	last_cycles = perf_cycles();
	last_ns = vfe_now_ns();
	if (ok)
		report(o, (double)(last_ns - first_ns) / (double)(last_cycles - first_cycles));
	for (int w = 0; w < N_WHO; w++) {
		if (sides[w].connected)
			vfe_session_fini(&sides[w].session);
		free(sides[w].seen);
		free(sides[w].own);
		free(sides[w].first);
	}
	free(gaps_there);
	free(gaps_here);
	return ok ? 0 : 1;
}

static const char help[] =
	"usage: dpdk-rtc-lateness --alarm-cpu N [OPTION...]\n"
	"Measures how late alarms are: of a device, of a timerfd, and of a loop that reads the clock.\n"
	"  --device SOCKET --device-pid PID    dpdk-rtc that polls; stopped while it is not measured\n"
	"  --sleeper SOCKET --sleeper-pid PID  dpdk-rtc with --idle interrupt; likewise\n"
	"  --alarm-cpu N     the CPU of their alarm lcore, for the timerfd's thread and the loop\n"
	"  --cpu N           pin this process (0; -1: do not)\n"
	"  --alarms N        of each (10000)    --batch N  of these one after the other (500)\n"
	"  --seconds N       no further batch after that long (40)\n"
	"  --firsts N        connections of which the first alarm is measured (50)\n"
	"  --ahead-min US, --ahead-max US      how long before its time an alarm is set (500, 1500)\n"
	"  --quick           2000 alarms, 20 connections\n"
	"  --json FILE\n";

int main(int argc, char **argv)
{
	enum {
		DEVICE = 1,
		DEVICE_PID,
		SLEEPER,
		SLEEPER_PID,
		ALARM_CPU,
		CPU,
		ALARMS,
		BATCH,
		FIRSTS,
		SECONDS,
		AHEAD_MIN,
		AHEAD_MAX,
		QUICK,
		JSON,
		HELP
	};
	static const struct option options[] = {
		{"device", required_argument, NULL, DEVICE},
		{"device-pid", required_argument, NULL, DEVICE_PID},
		{"sleeper", required_argument, NULL, SLEEPER},
		{"sleeper-pid", required_argument, NULL, SLEEPER_PID},
		{"alarm-cpu", required_argument, NULL, ALARM_CPU},
		{"cpu", required_argument, NULL, CPU},
		{"alarms", required_argument, NULL, ALARMS},
		{"batch", required_argument, NULL, BATCH},
		{"firsts", required_argument, NULL, FIRSTS},
		{"seconds", required_argument, NULL, SECONDS},
		{"ahead-min", required_argument, NULL, AHEAD_MIN},
		{"ahead-max", required_argument, NULL, AHEAD_MAX},
		{"quick", no_argument, NULL, QUICK},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	struct options o = {
		.alarms = 10000,
		.batch = 500,
		.firsts = 50,
		.seconds = 40,
		.ahead_min_us = 500,
		.ahead_max_us = 1500,
		.alarm_cpu = -1,
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool ok = true;

		switch (opt) {
		case DEVICE:
			o.path[BUSY] = optarg;
			break;
		case DEVICE_PID:
			ok = perf_number(program, optarg, 2, 1 << 30, &o.pid[BUSY]);
			break;
		case SLEEPER:
			o.path[INTERRUPT] = optarg;
			break;
		case SLEEPER_PID:
			ok = perf_number(program, optarg, 2, 1 << 30, &o.pid[INTERRUPT]);
			break;
		case ALARM_CPU:
			ok = perf_number(program, optarg, 0, 1023, &o.alarm_cpu);
			break;
		case CPU:
			ok = perf_number(program, optarg, -1, 1023, &o.cpu);
			break;
		case ALARMS:
			ok = perf_number(program, optarg, 1, 10000000, &o.alarms);
			break;
		case BATCH:
			ok = perf_number(program, optarg, 1, 10000000, &o.batch);
			break;
		case FIRSTS:
			ok = perf_number(program, optarg, 0, FIRSTS_MAX, &o.firsts);
			break;
		case SECONDS:
			ok = perf_number(program, optarg, 1, 3600, &o.seconds);
			break;
		case AHEAD_MIN:
			ok = perf_number(program, optarg, 1, 60000000, &o.ahead_min_us);
			break;
		case AHEAD_MAX:
			ok = perf_number(program, optarg, 1, 60000000, &o.ahead_max_us);
			break;
		case QUICK:
			o.alarms = 2000;
			o.firsts = 20;
			break;
		case JSON:
			o.json = optarg;
			break;
		case HELP:
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
		if (!ok)
			return 2;
	}
	if (o.alarm_cpu < 0 || optind != argc) {
		fprintf(stderr, "%s: --alarm-cpu is needed; see --help\n", program);
		return 2;
	}
	if (o.ahead_max_us < o.ahead_min_us) {
		fprintf(stderr, "%s: --ahead-max %ld is below --ahead-min %ld\n", program,
			o.ahead_max_us, o.ahead_min_us);
		return 2;
	}
	if (!perf_pin(program, (int)o.cpu))
		return 1;
	perf_pause_begin();
	return run(&o);
}
