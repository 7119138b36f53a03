/* SPDX-License-Identifier: BSD-3-Clause */
#include "phc.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S      INT64_C(1000000000)
/* The second and the third look, which the first line waits for. */
#define FIRST_LOOK_NS (VRTC_PHC_LOOK_NS / 5)
#define REOPEN_NS     NS_PER_S
/* Without a good look for so long, the clock is not followed any more. */
#define FOLLOWED_NS   NS_PER_S
/* How long a thread may take to end. */
#define END_NS        (NS_PER_S / 2)

struct vrtc_phc_follower {
	struct vrtc_phc phc;
	const char *path;
	int attention_fd;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stop;
	bool ended;

	/* Under the mutex; the thread alone writes. */
	struct vrtc_phc_model model;
	struct vrtc_phc_status status;
	uint64_t counter_first; /* with raw_first_ns: how fast the counter counts */
	int64_t raw_first_ns;
	uint64_t counter_last;
	int64_t raw_last_ns;
	int64_t raw_good_ns; /* when the last good look was */

	/* The thread's alone. */
	struct vrtc_phc_device device;
};

static int64_t raw_ns(void)
{
	return vrtc_phc_system.clock_ns(CLOCK_MONOTONIC_RAW);
}

int vrtc_phc_check(const char *path, char *why)
{
	struct vrtc_phc_device device;
	int rc = vrtc_phc_device_open(&device, path, why);

	vrtc_phc_device_close(&device);
	return rc;
}

int vrtc_phc_node(const char *path)
{
	char why[VRTC_PHC_WHY_BYTES];
	struct vrtc_phc_device device;
	int node = -1;

	if (vrtc_phc_device_open(&device, path, why) == 0)
		node = vrtc_phc_device_node(&device);
	vrtc_phc_device_close(&device);
	return node;
}

/* ---- The status. */

static enum vrtc_phc_state state_of(const struct vrtc_phc_follower *f, int64_t error_ns)
{
	if (f->status.looks == 0)
		return VRTC_PHC_STARTING;
	if (error_ns == INT64_MAX)
		return f->model.line.counts_max > 0 ? VRTC_PHC_LOST : VRTC_PHC_STARTING;
	if (raw_ns() - f->raw_good_ns > FOLLOWED_NS)
		return VRTC_PHC_HOLDOVER;
	return VRTC_PHC_FOLLOWING;
}

static double counter_hz(const struct vrtc_phc_follower *f)
{
	int64_t ns = f->raw_last_ns - f->raw_first_ns;

	return ns > 0 ? (double)(f->counter_last - f->counter_first) * 1e9 / (double)ns : 1e9;
}

/* Under the mutex. */
static void make_status(const struct vrtc_phc_follower *f, struct vrtc_phc_status *status)
{
	uint64_t counter = vrtc_counter_read(f->phc.counter);

	*status = f->status;
	status->error_ns = vrtc_phc_model_error_ns(&f->model, counter);
	status->state = state_of(f, status->error_ns);
	status->frequency_ppb = (int64_t)vrtc_phc_model_frequency_ppb(&f->model, counter_hz(f));
}

void vrtc_phc_status(const struct vrtc_phc *phc, struct vrtc_phc_status *status)
{
	struct vrtc_phc_follower *f = phc->follower;

	pthread_mutex_lock(&f->mutex);
	make_status(f, status);
	pthread_mutex_unlock(&f->mutex);
}

const char *vrtc_phc_state_name(enum vrtc_phc_state state)
{
	switch (state) {
	case VRTC_PHC_STARTING:
		return "starting";
	case VRTC_PHC_FOLLOWING:
		return "following";
	case VRTC_PHC_HOLDOVER:
		return "holdover";
	case VRTC_PHC_LOST:
		return "lost";
	}
	return "unknown";
}

/* ---- The thread. */

/*
 * Under the mutex. A line is drawn ahead of the counter, and again if this thread was interrupted
 * for so long that the counter is there.
 */
static void publish(struct vrtc_phc_follower *f)
{
	for (;;) {
		uint64_t counter = vrtc_counter_read(f->phc.counter);

		if (vrtc_phc_model_is_in_time(&f->model, counter))
			break;
		vrtc_phc_model_redraw(&f->model, counter);
	}
	vrtc_phc_line_publish(&f->phc.published, &f->model.line);
}

/* Under the mutex: how fast the counter counts, anew after it began anew. */
static void clock_counter(struct vrtc_phc_follower *f, uint64_t counter)
{
	f->raw_last_ns = raw_ns();
	if ((int64_t)(counter - f->counter_last) < 0) {
		f->counter_first = counter;
		f->raw_first_ns = f->raw_last_ns;
	}
	f->counter_last = counter;
}

/* Under the mutex. Returns the time to the next look. */
static int64_t take_look(struct vrtc_phc_follower *f, const struct vrtc_phc_look *look)
{
	uint64_t counter = vrtc_counter_read(f->phc.counter);
	int64_t shown_ns;

	if (vrtc_phc_line_at(&f->model.line, look->counter, &shown_ns))
		f->status.offset_ns = look->time_ns - shown_ns;
	clock_counter(f, counter);
	switch (vrtc_phc_model_look(&f->model, look, counter)) {
	case VRTC_PHC_REFUSED:
		f->status.rejected++;
		return VRTC_PHC_LOOK_NS;
	case VRTC_PHC_NOT_YET:
		f->status.looks++;
		return FIRST_LOOK_NS;
	case VRTC_PHC_ANEW:
		publish(f);
		return FIRST_LOOK_NS;
	case VRTC_PHC_STEP:
		f->status.steps++;
		f->status.step_ns = f->model.step_ns;
		break;
	case VRTC_PHC_FIRST:
	case VRTC_PHC_NOTHING_NEW:
		break;
	}
	f->status.looks++;
	f->status.half_ns = look->half_ns;
	f->raw_good_ns = f->raw_last_ns;
	publish(f);
	return VRTC_PHC_LOOK_NS;
}

/* Under the mutex, which it lets go of while the driver works. Returns as above. */
static int64_t look(struct vrtc_phc_follower *f)
{
	struct vrtc_phc_look found;
	char why[VRTC_PHC_WHY_BYTES];
	int rc = 0;

	pthread_mutex_unlock(&f->mutex);
	if (f->device.fd < 0)
		rc = vrtc_phc_device_open(&f->device, f->path, why);
	if (!rc)
		rc = vrtc_phc_device_look(&f->device, &found);
	if (rc == -ENODEV)
		vrtc_phc_device_close(&f->device);
	pthread_mutex_lock(&f->mutex);

	f->status.method = f->device.method;
	if (!rc)
		return take_look(f, &found);
	f->status.rejected++;
	f->status.error = -rc;
	if (vrtc_phc_model_no_look(&f->model, vrtc_counter_read(f->phc.counter)) == VRTC_PHC_ANEW)
		publish(f);
	if (f->device.fd >= 0)
		return VRTC_PHC_LOOK_NS;
	vrtc_phc_model_forget(&f->model);
	return REOPEN_NS;
}

/* Under the mutex. */
static void sleep_until_woken(struct vrtc_phc_follower *f, int64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ns % NS_PER_S;
	until.tv_sec += ns / NS_PER_S + until.tv_nsec / NS_PER_S;
	until.tv_nsec %= NS_PER_S;
	while (!f->stop && pthread_cond_timedwait(&f->wake, &f->mutex, &until) != ETIMEDOUT)
		;
}

static void *follow(void *follower)
{
	struct vrtc_phc_follower *f = follower;
	struct vrtc_phc_status was = {.state = VRTC_PHC_STARTING};
	struct vrtc_phc_status now;

	pthread_mutex_lock(&f->mutex);
	while (!f->stop) {
		int64_t ns = look(f);

		make_status(f, &now);
		if ((now.state != was.state || now.steps != was.steps) && f->attention_fd >= 0)
			(void)eventfd_write(f->attention_fd, 1);
		was = now;
		sleep_until_woken(f, ns);
	}
	f->ended = true;
	pthread_cond_broadcast(&f->wake);
	pthread_mutex_unlock(&f->mutex);
	return NULL;
}

static int start_thread(struct vrtc_phc_follower *f, const cpu_set_t *cpus)
{
	pthread_condattr_t condition;
	pthread_attr_t attributes;
	int rc;

	pthread_mutex_init(&f->mutex, NULL);
	pthread_condattr_init(&condition);
	pthread_condattr_setclock(&condition, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &condition);
	pthread_condattr_destroy(&condition);
	pthread_attr_init(&attributes);
	rc = pthread_attr_setaffinity_np(&attributes, sizeof(*cpus), cpus);
	if (!rc)
		rc = pthread_create(&f->thread, &attributes, follow, f);
	pthread_attr_destroy(&attributes);
	return rc;
}

struct vrtc_phc *vrtc_phc_open(const char *path, const struct vrtc_phc_config *config, char *why)
{
	struct vrtc_phc_follower *f = aligned_alloc(64, (sizeof(*f) + 63) / 64 * 64);
	int rc;

	if (!f) {
		snprintf(why, VRTC_PHC_WHY_BYTES, "%s", strerror(ENOMEM));
		return NULL;
	}
	memset(f, 0, sizeof(*f));
	f->path = path;
	f->attention_fd = config->attention_fd;
	vrtc_phc_model_init(&f->model, config->holdover_ns);
	rc = vrtc_phc_device_open(&f->device, path, why);
	if (!rc) {
		f->phc.follower = f;
		f->phc.counter = f->device.counter;
		f->raw_first_ns = raw_ns();
		f->counter_first = vrtc_counter_read(f->phc.counter);
		rc = -start_thread(f, &config->cpus);
		if (!rc)
			return &f->phc;
		snprintf(why, VRTC_PHC_WHY_BYTES, "no thread for it: %s", strerror(-rc));
		vrtc_phc_device_close(&f->device);
	}
	free(f);
	errno = -rc;
	return NULL;
}

void vrtc_phc_close(struct vrtc_phc *phc)
{
	struct vrtc_phc_follower *f = phc->follower;
	struct timespec until;
	bool ended;

	pthread_mutex_lock(&f->mutex);
	f->stop = true;
	pthread_cond_broadcast(&f->wake);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += END_NS;
	until.tv_sec += until.tv_nsec / NS_PER_S;
	until.tv_nsec %= NS_PER_S;
	while (!f->ended && pthread_cond_timedwait(&f->wake, &f->mutex, &until) != ETIMEDOUT)
		;
	ended = f->ended;
	pthread_mutex_unlock(&f->mutex);
	if (!ended) {
		(void)pthread_detach(f->thread);
		return;
	}
	(void)pthread_join(f->thread, NULL);
	vrtc_phc_device_close(&f->device);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->mutex);
	free(f);
}
