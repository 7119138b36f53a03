/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-probe: asks a vhost-user RTC device, ours or another's, what clocks it has, what they
 * say and how fast. It plays VMM and driver itself, so it needs no guest, and the device must have
 * no front-end at the time.
 *
 * Exit status: 0; 1 an error, with what to do on stderr; 2 wrong usage.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "advice.h"
#include "probe.h"
#include "probe_alarm.h"
#include "report.h"

#define COUNT_MAX     10000000
#define TIMEOUT_MAX_S 3600
#define LEAP_TABLE    "/usr/share/zoneinfo/leap-seconds.list"

static const char help[] =
	"usage: dpdk-rtc-probe [OPTION...] SOCKET\n"
	"Shows the clocks of a vhost-user RTC device, their readings beside the host's own clocks,\n"
	"and the round trip of a reading. The device must not be in use by a VM.\n"
	"\n"
	"  --count=N          readings for the round trip (10000; 0: none)\n"
	"  --wait=HOW         for an answer: poll (spin on the ring) or sleep (on the call eventfd)\n"
	"  --alarms           show which clocks have an alarm and what it is set to. The probe then is\n"
	"                     who uses the device's alarms: with retain = vmm those of a VM that is\n"
	"                     to come back to the device are forgotten\n"
	"  --alarm=CLOCK      the same, and set the alarm of this clock 1 s ahead, wait for it, show\n"
	"                     how late it came, and set it as it was; the device's alarm_action is\n"
	"                     carried out\n"
	"  --watch[=SECONDS]  go on reading, every second or every so many, until interrupted\n"
	"  --json             one JSON object a line\n"
	"  --listen           listen on SOCKET for a back-end that connects (client mode)\n"
	"  --timeout=SECONDS  for each step: connecting, negotiating, the clocks, their readings,\n"
	"                     the round trips (5)\n"
	"  --leap-table=FILE  for TAI (" LEAP_TABLE ")\n"
	"  --help, --version\n";

struct arguments {
	struct probe_options options;
	const char *leap_table;
	double watch_s; /* 0: once */
	bool json;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* A number from min to max, or a line about it and false. */
static bool parse_number(const char *option, const char *text, double min, double max, double *out)
{
	char *after;

	errno = 0;
	*out = strtod(text, &after);
	if (errno || after == text || *after || !(*out >= min && *out <= max)) {
		fprintf(stderr, "dpdk-rtc-probe: --%s=%s: a number from %g to %g is accepted\n",
			option, text, min, max);
		return false;
	}
	return true;
}

/* A whole number from 0 to max, likewise. */
static bool parse_whole(const char *option, const char *text, int max, int *out)
{
	char *after;
	long v;

	errno = 0;
	v = strtol(text, &after, 10);
	if (errno || *text < '0' || *text > '9' || *after || v > max) {
		fprintf(stderr,
			"dpdk-rtc-probe: --%s=%s: a whole number from 0 to %d is accepted\n",
			option, text, max);
		return false;
	}
	*out = (int)v;
	return true;
}

/* 0: run; 1: done, exit 0; -1: wrong usage, said. */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	enum { COUNT = 1, WAIT, ALARMS, ALARM, WATCH, JSON, LISTEN, TIMEOUT, LEAP, HELP, VERSION };
	static const struct option options[] = {
		{"count", required_argument, NULL, COUNT},
		{"wait", required_argument, NULL, WAIT},
		{"alarms", no_argument, NULL, ALARMS},
		{"alarm", required_argument, NULL, ALARM},
		{"watch", optional_argument, NULL, WATCH},
		{"json", no_argument, NULL, JSON},
		{"listen", no_argument, NULL, LISTEN},
		{"timeout", required_argument, NULL, TIMEOUT},
		{"leap-table", required_argument, NULL, LEAP},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{NULL, 0, NULL, 0},
	};
	double v = 0;
	int opt;

	*a = (struct arguments){
		.options = {.timeout_ms = 5000,
			.count = 10000,
			.wait = VFE_WAIT_POLL,
			.alarm_clock = -1},
		.leap_table = LEAP_TABLE,
	};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char *value = optarg ? optarg : "";

		switch (opt) {
		case COUNT:
			if (!parse_number("count", value, 0, COUNT_MAX, &v))
				return -1;
			a->options.count = (unsigned int)v;
			break;
		case WAIT:
			if (strcmp(value, "poll") == 0) {
				a->options.wait = VFE_WAIT_POLL;
			} else if (strcmp(value, "sleep") == 0) {
				a->options.wait = VFE_WAIT_SLEEP;
			} else {
				fprintf(stderr,
					"dpdk-rtc-probe: --wait=%s: poll and sleep are accepted\n",
					value);
				return -1;
			}
			break;
		case ALARMS:
			a->options.alarms = true;
			break;
		case ALARM:
			if (!parse_whole("alarm", value, UINT16_MAX, &a->options.alarm_clock))
				return -1;
			a->options.alarms = true;
			break;
		case WATCH:
			a->watch_s = 1;
			if (optarg && !parse_number("watch", value, 0.01, 86400, &a->watch_s))
				return -1;
			break;
		case JSON:
			a->json = true;
			break;
		case LISTEN:
			a->options.listen = true;
			break;
		case TIMEOUT:
			if (!parse_number("timeout", value, 0.001, TIMEOUT_MAX_S, &v))
				return -1;
			a->options.timeout_ms = (unsigned int)(v * 1000);
			break;
		case LEAP:
			a->leap_table = value;
			break;
		case HELP:
			fputs(help, stdout);
			return 1;
		case VERSION:
			puts("dpdk-rtc-probe " PROBE_VERSION);
			return 1;
		default:
			/* getopt has said which option, in one line. */
			return -1;
		}
	}
	if (optind + 1 != argc) {
		fputs("dpdk-rtc-probe: exactly one SOCKET is needed; see --help\n", stderr);
		return -1;
	}
	a->options.socket_path = argv[optind];
	return 0;
}

static int fail(const struct probe *p, int result)
{
	char advice[1024];

	fflush(stdout);
	if (result > 0)
		fprintf(stderr, "dpdk-rtc-probe: %s: CFG: answered with status %d (%s)\n",
			p->options.socket_path, result, vfe_rtc_status_name((uint8_t)result));
	else if (strstr(vfe_error(&p->session), p->options.socket_path))
		fprintf(stderr, "dpdk-rtc-probe: %s\n", vfe_error(&p->session));
	else
		fprintf(stderr, "dpdk-rtc-probe: %s: %s\n", p->options.socket_path,
			vfe_error(&p->session));
	probe_advise(p, result, advice, sizeof(advice));
	fputs(advice, stderr);
	return 1;
}

/* Sleeps, unless interrupted, until the next reading is due. */
static void sleep_s(double s)
{
	struct timespec ts = {.tv_sec = (time_t)s};

	ts.tv_nsec = (long)((s - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

static int run(struct probe *p, const struct arguments *a)
{
	int result = probe_discover(p);

	if (result)
		return fail(p, result);
	if (!a->json)
		report_clocks(p);
	for (;;) {
		result = probe_read_all(p);
		if (!result && !a->json)
			report_readings(p);
		if (!result)
			result = probe_round_trips(p);
		if (!result && !a->json)
			report_round_trips(p);
		if (!result)
			result = probe_alarm(p);
		if (result)
			return fail(p, result);
		if (a->json)
			report_json(p);
		else
			report_alarm(p);
		if (fflush(stdout) != 0 || ferror(stdout)) {
			fprintf(stderr, "dpdk-rtc-probe: writing: %s\n", strerror(errno));
			return 1;
		}
		if (a->watch_s == 0 || interrupted)
			return 0;
		sleep_s(a->watch_s);
		if (interrupted)
			return 0;
	}
}

int main(int argc, char **argv)
{
	static struct probe p;
	struct sigaction sa = {.sa_handler = interrupt};
	struct arguments a;
	int result = parse_arguments(argc, argv, &a);

	if (result != 0)
		return result > 0 ? 0 : 2;
	/* A second signal ends it at once, whatever it waits for. */
	if (a.watch_s > 0) {
		sa.sa_flags = (int)SA_RESETHAND;
		sigaction(SIGINT, &sa, NULL);
		sigaction(SIGTERM, &sa, NULL);
	}
	result = probe_init(&p, &a.options, a.leap_table);
	result = result ? fail(&p, result) : run(&p, &a);
	probe_fini(&p);
	return result;
}
