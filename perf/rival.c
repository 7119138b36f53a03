/* SPDX-License-Identifier: BSD-3-Clause */
#include "rival.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "options.h"
#include "utc.h"

static void publish(struct perf_rival *r, int64_t own_ns)
{
	r->own_ns = own_ns;
	/* Release: pairs with the acquire of the measurer, who then reads own_ns. */
	atomic_store_explicit(&r->fired, atomic_load_explicit(&r->fired, memory_order_relaxed) + 1,
		memory_order_release);
}

static void fire_by_timer(struct perf_rival *r)
{
	int64_t alarm_ns = atomic_exchange(&r->alarm_ns, 0);
	struct itimerspec its = {
		.it_value = {.tv_sec = alarm_ns / 1000000000, .tv_nsec = alarm_ns % 1000000000}};
	uint64_t expirations;
	int64_t own_ns;

	/* Woken to become something else. */
	if (alarm_ns == 0)
		return;
	timerfd_settime(r->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
	if (read(r->timer_fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	own_ns = perf_utc_ns();
	publish(r, own_ns);
}

static void loop(struct perf_rival *r)
{
	int64_t before_ns = perf_utc_ns();

	while (atomic_load_explicit(&r->way, memory_order_relaxed) == PERF_RIVAL_LOOP) {
		int64_t now_ns = perf_utc_ns();
		int64_t alarm_ns = atomic_load_explicit(&r->alarm_ns, memory_order_relaxed);

		if (alarm_ns != 0 && now_ns >= alarm_ns) {
			/* Before it is published: the next one may be armed at once. */
			atomic_store_explicit(&r->alarm_ns, 0, memory_order_relaxed);
			publish(r, now_ns);
		}
		/* Less than 0: the clock was set. */
		if (now_ns >= before_ns)
			perf_histogram_add(r->gaps, (uint64_t)(now_ns - before_ns));
		before_ns = now_ns;
	}
}

static void *run(void *arg)
{
	struct perf_rival *r = arg;
	eventfd_t ignored;

	if (!perf_pin("the rival's thread", r->cpu))
		return NULL;
	while (eventfd_read(r->wake_fd, &ignored) == 0) {
		switch (atomic_load(&r->way)) {
		case PERF_RIVAL_TIMERFD:
			fire_by_timer(r);
			break;
		case PERF_RIVAL_LOOP:
			loop(r);
			break;
		case PERF_RIVAL_QUIT:
			return NULL;
		default:
			break;
		}
	}
	return NULL;
}

int perf_rival_start(struct perf_rival *r, int cpu, struct perf_histogram *gaps)
{
	int err = 0;

	memset(r, 0, sizeof(*r));
	r->cpu = cpu;
	r->gaps = gaps;
	r->wake_fd = eventfd(0, EFD_CLOEXEC);
	r->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
	if (r->wake_fd < 0 || r->timer_fd < 0)
		err = errno;
	if (!err)
		err = pthread_create(&r->thread, NULL, run, r);
	if (err) {
		if (r->wake_fd >= 0)
			close(r->wake_fd);
		if (r->timer_fd >= 0)
			close(r->timer_fd);
		memset(r, 0, sizeof(*r));
	}
	return -err;
}

void perf_rival_stop(struct perf_rival *r)
{
	if (!r->gaps)
		return;
	perf_rival_become(r, PERF_RIVAL_QUIT);
	pthread_join(r->thread, NULL);
	close(r->wake_fd);
	close(r->timer_fd);
	r->gaps = NULL;
}

void perf_rival_become(struct perf_rival *r, enum perf_rival_way way)
{
	atomic_store(&r->alarm_ns, 0);
	atomic_store(&r->way, way);
	eventfd_write(r->wake_fd, 1);
}

void perf_rival_arm(struct perf_rival *r, int64_t alarm_ns)
{
	atomic_store(&r->alarm_ns, alarm_ns);
	/* The loop sees it by itself. */
	if (atomic_load(&r->way) == PERF_RIVAL_TIMERFD)
		eventfd_write(r->wake_fd, 1);
}
