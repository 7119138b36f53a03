/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-phc PATH SECONDS: how far what an lcore reads of a PTP hardware clock is from the clock,
 * and whether it is ever farther than is claimed.
 *
 * The clock is followed as by the daemon (lib/rtc/phc.h) and looked at beside that, in looks of our
 * own: what the line shows at a look's counter, less what the look says, is the error, give or take
 * half of the look's bracket. For certain it is off by what is beyond that half.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "phc.h"

#define SHOTS_MAX 400000
#define PAUSE_NS  7000000 /* no multiple of the follower's own */
#define START_S   20

struct shot {
	int64_t off_ns;
	int64_t beyond_ns;
	int64_t half_ns;
	int64_t bound_ns;
};

static struct shot shots[SHOTS_MAX];

static void pause_ns(int64_t ns)
{
	const struct timespec pause = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	(void)nanosleep(&pause, NULL);
}

static int await_following(const struct vrtc_phc *phc, struct vrtc_phc_status *status)
{
	for (int i = 0; i < START_S * 100; i++) {
		vrtc_phc_status(phc, status);
		if (status->state == VRTC_PHC_FOLLOWING)
			return 0;
		pause_ns(10000000);
	}
	return -1;
}

/* False: no reading, or no look. */
static int take(const struct vrtc_phc *phc, struct vrtc_phc_device *device, struct shot *shot)
{
	struct vrtc_phc_status status;
	struct vrtc_phc_look look;
	struct vrtc_phc_line line;
	int64_t shown_ns, off_ns;

	if (vrtc_phc_device_look(device, &look))
		return 0;
	/* The line that was in use then, or the next one, which goes on where it ended. */
	vrtc_phc_line_get(&phc->published, &line);
	if (!vrtc_phc_line_at(&line, look.counter, &shown_ns))
		return 0;
	vrtc_phc_status(phc, &status);
	off_ns = llabs(shown_ns - look.time_ns);
	*shot = (struct shot){.off_ns = off_ns,
		.beyond_ns = off_ns > look.half_ns ? off_ns - look.half_ns : 0,
		.half_ns = look.half_ns,
		.bound_ns = status.error_ns};
	return 1;
}

static int64_t values[SHOTS_MAX];

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

#define TELL(what, n, member)                                                                      \
	do {                                                                                       \
		for (unsigned i = 0; i < (n); i++)                                                 \
			values[i] = shots[i].member;                                               \
		qsort(values, n, sizeof(values[0]), by_size);                                      \
		printf("| %s | %.1f us | %.1f us | %.1f us |\n", what,                             \
			1e-3 * (double)values[(n) / 2], 1e-3 * (double)values[(n) / 100 * 99],     \
			1e-3 * (double)values[(n)-1]);                                             \
	} while (0)

int main(int argc, char **argv)
{
	struct vrtc_phc_config config = {.holdover_ns = 60000000000, .attention_fd = -1};
	char why[VRTC_PHC_WHY_BYTES];
	struct vrtc_phc_status status;
	struct vrtc_phc_device device;
	struct vrtc_phc *phc;
	unsigned n = 0, exceeded = 0;
	time_t until;

	if (argc != 3 || sched_getaffinity(0, sizeof(config.cpus), &config.cpus)) {
		fprintf(stderr, "usage: dpdk-rtc-phc /dev/ptpN SECONDS\n");
		return 1;
	}
	phc = vrtc_phc_open(argv[1], &config, why);
	if (!phc || vrtc_phc_device_open(&device, argv[1], why)) {
		fprintf(stderr, "%s: %s\n", argv[1], why);
		return 1;
	}
	if (await_following(phc, &status)) {
		fprintf(stderr, "%s: cannot be followed: %s\n", argv[1], strerror(status.error));
		return 1;
	}
	until = time(NULL) + atoi(argv[2]);
	while (n < SHOTS_MAX && time(NULL) < until) {
		if (take(phc, &device, &shots[n])) {
			exceeded += shots[n].beyond_ns > shots[n].bound_ns;
			n++;
		}
		pause_ns(PAUSE_NS);
	}
	vrtc_phc_status(phc, &status);
	vrtc_phc_close(phc);
	printf("%s, %s, %" PRIu64 " looks, %" PRIu64 " rejected, %" PRIu64
	       " steps; %u comparisons, the "
	       "bound exceeded in %u.\n\n",
		argv[1], vrtc_phc_method_name(status.method), status.looks, status.rejected,
		status.steps, n, exceeded);
	if (n < 100)
		return 1;
	printf("| | median | p99 | max |\n| --- | --- | --- | --- |\n");
	TELL("reading less clock, with half of the bracket", n, off_ns);
	TELL("half of the bracket", n, half_ns);
	TELL("off for certain: beyond the bracket", n, beyond_ns);
	TELL("claimed bound", n, bound_ns);
	return exceeded > 0;
}
