/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread, the dispatcher, sleeps on an eventfd that expirations write to. It looks at the
 * devices in turn, beginning behind the one that had its turn last, and starts a thread (the
 * worker) for each that has an action due and none running, as long as fewer than RUNNING_MAX run.
 * So no device has two turns while another one waits; and two clocks of a device, which share a QMP
 * socket that serves one client at a time, do not meet. Before the next action of a device there is
 * a pause, so that a guest that sets alarms in the past starts ten programs a second at most.
 *
 * The threads are children of the main thread: they run on its CPUs, the control lcore's, and never
 * on those of the lcores. All signals are blocked in them.
 *
 * Why nothing begins after vrtc_alarm_action_cancel() has returned true. Of a clock there are
 *
 *	due         how many expirations and cancellings it had, and a bit: the last expiration's
 *	            action has not begun
 *	committing  a bit: a worker is between deciding to begin and having begun
 *
 * The alarm lcore, in this order (one thread, so an expiration is earlier or later than a
 * cancelling):
 *
 *	expire:  E   counts one more, and sets the bit of due
 *	cancel:  L1  counts one more, and clears the bit of due
 *	         L2  returns whether committing is clear
 *
 * The one worker of the device:
 *
 *	         W1  has prepared all that does nothing to the guest (handshake)
 *	         W2  sets committing
 *	         W3  clears the bit of due, by a compare-and-swap that finds it set; else goes to W5
 *	         W4  begins: one send that does not sleep, or one posix_spawn
 *	         W5  clears committing
 *
 * All of these are sequentially consistent; W3 wants the very word that E stored. An action that
 * begins has, at W3, taken a bit that an E set, with no L1 in between (it would have found the bit
 * clear). Let the cancelling come after that expiration:
 *
 *  - L1 before W3: what W3 has found was set by an E later than L1. It is no earlier expiration's.
 *  - W3 before L1: so W2 < W3 < L1 < L2 in the single order of all these operations. L2 finds what
 *    W2 stored or something later. If it is set, the answer is false. If it is clear, then W5 was
 *    before L2: the action had begun, W4 is over, and W5 and L2 synchronise.
 *
 * An answer of false is repeated by the alarm lcore until it is true. That does not take long: the
 * bit of due is clear by L1, so that committing is set again only for a later expiration, and W4
 * sleeps for no peer. posix_spawn() waits until the kernel has loaded the program: one on a file
 * system that hangs, after it answered vrtc_exec_check() a moment before, delays the answer to this
 * driver; nobody else.
 *
 * A preparation that fails uses up the expiration that it was made for, and no later one: the
 * compare-and-swap then wants the very number that was seen before. This is why there is a number.
 *
 * A guest that is still on its way into its sleep when its alarm expires is awake by QEMU's word,
 * and would then sleep for good. So the expiration of a guest that needed no waking becomes due
 * again, for as long as asleep_ms: by a compare-and-swap that wants what W3 left, so that after an
 * L1 or another E it does not. The driver of an awake guest disables its alarm, and so ends this.
 * Each time is a turn like others, with the pause between; no slot is held meanwhile.
 *
 * The end of the process is a bit, ended, that is set before and looked at after W2: the same
 * argument.
 *
 * alarm_ns changes only after a cancelling that returned true, so no worker that reads it between
 * W2 and W5 reads it while it changes; it is atomic for one that prepares.
 */
#include "alarm_action.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "alarm_exec.h"
#include "alarm_qmp.h"
#include "log.h"
#include "nstime.h"

/* Actions that run at a time, in the whole process. */
#define RUNNING_MAX 16
/* No thread could be had: how soon to try again. */
#define AGAIN_NS    VRTC_NS_PER_S
/* A worker has a QMP conversation (17 KB) on its stack; sanitizers want some more. */
#define STACK_BYTES (256 * 1024)
/* DPDK_RTC_DEVICE, _CLOCK_ID, _CLOCK, _ALARM_NS. */
#define VARIABLES   4

#define DUE            UINT64_C(1)
#define ONE_EXPIRATION UINT64_C(2)

struct expiration {
	_Atomic uint64_t due; /* see above */
	_Atomic uint64_t alarm_ns;
	/* The worker's. */
	uint64_t awake;   /* the word of the expiration that needed no waking */
	int64_t awake_ns; /* when that was found first, of CLOCK_MONOTONIC */
};

struct vrtc_alarm_action {
	/* Set once. */
	char *what;
	const char *qmp_path; /* within what; NULL: it is a program */
	const char *program;
	const char *device;
	const struct vrtc_clock *clock;
	uint16_t n_clocks;
	int64_t deadline_ns;
	int64_t pause_ns;
	int64_t asleep_ns;

	struct expiration *expiration; /* n_clocks */
	_Atomic uint64_t committing;   /* a bit a clock */

	/* The dispatcher's, or the worker's while there is one. */
	uint32_t logged; /* a bit for each enum vrtc_action_end */
	uint16_t clock_id;
	int64_t began_ns; /* of CLOCK_MONOTONIC */

	/* Under the mutex. */
	bool running;
	struct vrtc_alarm_action *next; /* in a ring */
};

/* What the actions have in common. It is made with the first of them, and stays. */
static struct {
	pthread_mutex_t mutex;
	struct vrtc_alarm_action *last; /* of the ring: the one that had its turn last */
	unsigned running;
	bool dispatching;
	int wake_fd;
	/* A copy, since setenv() in the main thread may move the original. */
	char **environment;
	size_t n_environment;
	atomic_bool ended;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake_fd = -1};

struct vrtc_alarm_action_limits vrtc_alarm_action_limits = {
	.deadline_ms = 30000,
	.pause_ms = 100,
	.asleep_ms = 10000,
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * VRTC_NS_PER_S + now.tv_nsec;
}

static void wake_dispatcher(void)
{
	/* EAGAIN: it is full, and wakes as well. */
	(void)!write(all.wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* ---- The alarm lcore. */

void vrtc_alarm_action_expire(struct vrtc_alarm_action *a, uint16_t clock_id, uint64_t alarm_ns)
{
	struct expiration *e = &a->expiration[clock_id];
	uint64_t due = atomic_load_explicit(&e->due, memory_order_relaxed);

	atomic_store_explicit(&e->alarm_ns, alarm_ns, memory_order_relaxed);
	/* A worker changes nothing but the bit, which is set whatever it was. */
	atomic_store(&e->due, (due + ONE_EXPIRATION) | DUE);
	wake_dispatcher();
}

bool vrtc_alarm_action_cancel(struct vrtc_alarm_action *a, uint16_t clock_id)
{
	struct expiration *e = &a->expiration[clock_id];
	uint64_t due = atomic_load_explicit(&e->due, memory_order_relaxed);

	atomic_store(&e->due, (due + ONE_EXPIRATION) & ~DUE);
	return !(atomic_load(&a->committing) >> clock_id & 1);
}

/* ---- A worker. */

/* W3: returns the word that was taken, or 0. */
static uint64_t take(struct expiration *e)
{
	uint64_t due = atomic_load(&e->due);

	while (due & DUE) {
		if (atomic_compare_exchange_weak(&e->due, &due, due & ~DUE))
			return due;
	}
	return 0;
}

/* The action of what was taken had no effect, and becomes due again if nothing came since. */
static void give_back(struct expiration *e, uint64_t taken)
{
	uint64_t left = taken & ~DUE;

	(void)atomic_compare_exchange_strong(&e->due, &left, taken);
}

/*
 * W2 and W3. If not 0, whoever calls it begins the action, and then says has_begun(); it is the
 * word that was taken.
 */
static uint64_t may_begin(struct vrtc_alarm_action *a)
{
	uint64_t taken = 0;

	(void)atomic_fetch_or(&a->committing, UINT64_C(1) << a->clock_id);
	if (!atomic_load(&all.ended))
		taken = take(&a->expiration[a->clock_id]);
	if (!taken)
		(void)atomic_fetch_and(&a->committing, ~(UINT64_C(1) << a->clock_id));
	return taken;
}

/* W5. */
static void has_begun(struct vrtc_alarm_action *a)
{
	(void)atomic_fetch_and(&a->committing, ~(UINT64_C(1) << a->clock_id));
}

/* The expiration that was seen will have no action. One that came since is left. */
static void drop(struct vrtc_alarm_action *a, uint64_t seen)
{
	(void)atomic_compare_exchange_strong(&a->expiration[a->clock_id].due, &seen, seen & ~DUE);
}

static void report(
	struct vrtc_alarm_action *a, enum vrtc_action_end end, const struct vrtc_action_why *why)
{
	if (end == VRTC_ACTION_DONE || end == VRTC_ACTION_NOT_NEEDED) {
		a->logged = 0;
		VRTC_LOG(DEBUG, "%s: alarm of clock %" PRIu16 ": %s: %s", a->device, a->clock_id,
			a->what, end == VRTC_ACTION_DONE ? "done" : why->text);
		return;
	}
	if (a->logged & UINT32_C(1) << end)
		return;
	a->logged |= UINT32_C(1) << end;
	VRTC_LOG(WARNING, "%s: alarm of clock %" PRIu16 ": %s: %s", a->device, a->clock_id, a->what,
		why->text);
}

/* The guest is awake, or not asleep yet: see the head of this file. */
static void try_again(struct vrtc_alarm_action *a, uint64_t taken)
{
	struct expiration *e = &a->expiration[a->clock_id];

	if (e->awake != taken) {
		e->awake = taken;
		e->awake_ns = now_ns();
	}
	if (now_ns() - e->awake_ns < a->asleep_ns)
		give_back(e, taken);
}

/* Returns false if there was nothing to begin any more: neither a success nor a failure. */
static bool wake_by_qmp(
	struct vrtc_alarm_action *a, enum vrtc_action_end *end, struct vrtc_action_why *why)
{
	uint64_t seen = atomic_load(&a->expiration[a->clock_id].due);
	struct vrtc_qmp qmp;
	uint64_t taken;

	if (!(seen & DUE))
		return false;
	*end = vrtc_qmp_open(&qmp, a->qmp_path, a->began_ns + a->deadline_ns, why);
	if (*end != VRTC_ACTION_DONE) {
		drop(a, seen);
		return true;
	}
	taken = may_begin(a);
	if (!taken) {
		vrtc_qmp_close(&qmp);
		return false;
	}
	*end = vrtc_qmp_send_wakeup(&qmp, why);
	has_begun(a);
	if (*end == VRTC_ACTION_DONE)
		*end = vrtc_qmp_finish(&qmp, why);
	vrtc_qmp_close(&qmp);
	if (*end == VRTC_ACTION_NOT_NEEDED)
		try_again(a, taken);
	return true;
}

static bool is_ours(const char *variable)
{
	static const char *const names[VARIABLES] = {
		"DPDK_RTC_DEVICE=", "DPDK_RTC_CLOCK_ID=", "DPDK_RTC_CLOCK=", "DPDK_RTC_ALARM_NS="};

	for (size_t i = 0; i < VARIABLES; i++) {
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static void free_environment(char **environment)
{
	for (size_t i = 0; environment && i < VARIABLES; i++)
		free(environment[i]);
	free(environment);
}

/* Ours, which are the first and to be freed, and then those of this process; NULL: no memory. */
static char **make_environment(const struct vrtc_alarm_action *a)
{
	char **environment = calloc(VARIABLES + all.n_environment + 1, sizeof(environment[0]));
	size_t n = VARIABLES;

	if (!environment)
		return NULL;
	for (size_t i = 0; i < all.n_environment; i++) {
		if (!is_ours(all.environment[i]))
			environment[n++] = all.environment[i];
	}
	/* asprintf() leaves the pointer undefined when it fails; calloc() has not. */
	if (asprintf(&environment[0], "DPDK_RTC_DEVICE=%s", a->device) < 0)
		environment[0] = NULL;
	if (asprintf(&environment[1], "DPDK_RTC_CLOCK_ID=%" PRIu16, a->clock_id) < 0)
		environment[1] = NULL;
	if (asprintf(&environment[2], "DPDK_RTC_CLOCK=%s",
		    vrtc_clock_name(&a->clock[a->clock_id])) < 0)
		environment[2] = NULL;
	if (asprintf(&environment[3], "DPDK_RTC_ALARM_NS=%" PRIu64,
		    atomic_load_explicit(
			    &a->expiration[a->clock_id].alarm_ns, memory_order_relaxed)) < 0)
		environment[3] = NULL;
	for (size_t i = 0; i < VARIABLES; i++) {
		if (!environment[i]) {
			free_environment(environment);
			return NULL;
		}
	}
	return environment;
}

/* As wake_by_qmp(). */
static bool run_program(
	struct vrtc_alarm_action *a, enum vrtc_action_end *end, struct vrtc_action_why *why)
{
	uint64_t seen = atomic_load(&a->expiration[a->clock_id].due);
	char **environment;
	pid_t pid = 0;

	if (!(seen & DUE))
		return false;
	*end = vrtc_exec_check(a->program, why);
	if (*end != VRTC_ACTION_DONE) {
		drop(a, seen);
		return true;
	}
	if (!may_begin(a))
		return false;
	environment = make_environment(a);
	if (environment)
		*end = vrtc_exec_start(a->program, environment, &pid, why);
	else
		*end = vrtc_action_fail(why, VRTC_ACTION_NO_MEANS, "no memory");
	has_begun(a);
	free_environment(environment);
	if (*end == VRTC_ACTION_DONE)
		*end = vrtc_exec_wait(pid, a->began_ns + a->deadline_ns, why);
	return true;
}

static void *work(void *arg)
{
	struct vrtc_alarm_action *a = arg;
	enum vrtc_action_end end = VRTC_ACTION_DONE;
	struct vrtc_action_why why = {""};

	(void)pthread_setname_np(pthread_self(), "rtc-action");
	if (a->qmp_path ? wake_by_qmp(a, &end, &why) : run_program(a, &end, &why))
		report(a, end, &why);
	pthread_mutex_lock(&all.mutex);
	a->running = false;
	all.running--;
	pthread_mutex_unlock(&all.mutex);
	/* The device may have another action due, or another device have waited for the place. */
	wake_dispatcher();
	return NULL;
}

/* ---- The dispatcher. */

/* Returns 0 or an error number. The attributes: of a thread that nobody joins. */
static int start_thread(void *(*run)(void *), void *arg)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int rc = pthread_attr_init(&attributes);

	if (rc)
		return rc;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	rc = pthread_create(&thread, &attributes, run, arg);
	pthread_attr_destroy(&attributes);
	return rc;
}

/* Whether a clock of the device has an action due: the one behind that of the last action first. */
static bool find_due(struct vrtc_alarm_action *a)
{
	for (unsigned i = 1; i <= a->n_clocks; i++) {
		uint16_t clock_id = (uint16_t)((a->clock_id + i) % a->n_clocks);

		if (atomic_load(&a->expiration[clock_id].due) & DUE) {
			a->clock_id = clock_id;
			return true;
		}
	}
	return false;
}

/*
 * Starts what is due and may run, under the mutex.
 *
 * @return  after how many ns there is more to start although nobody wakes us; -1: never
 */
static int64_t start_due(void)
{
	struct vrtc_alarm_action *first = all.last;
	struct vrtc_alarm_action *a = first;
	int64_t now = now_ns();
	int64_t wait_ns = -1;

	do {
		int64_t left_ns;
		int rc;

		a = a->next;
		if (all.running >= RUNNING_MAX || atomic_load(&all.ended))
			return -1;
		if (a->running)
			continue;
		left_ns = a->began_ns + a->pause_ns - now;
		if (left_ns > 0) {
			if (wait_ns < 0 || left_ns < wait_ns)
				wait_ns = left_ns;
			continue;
		}
		if (!find_due(a))
			continue;
		a->running = true;
		a->began_ns = now;
		all.running++;
		all.last = a;
		rc = start_thread(work, a);
		if (rc) {
			struct vrtc_action_why why;

			a->running = false;
			all.running--;
			report(a,
				vrtc_action_fail(&why, VRTC_ACTION_NO_MEANS,
					"no thread, trying again: %s", strerror(rc)),
				&why);
			return AGAIN_NS;
		}
	} while (a != first);
	return wait_ns;
}

static void *dispatch(void *arg)
{
	struct pollfd wake = {.fd = all.wake_fd, .events = POLLIN};

	(void)arg;
	(void)pthread_setname_np(pthread_self(), "rtc-actions");
	for (;;) {
		int64_t wait_ns;
		uint64_t ignored;

		pthread_mutex_lock(&all.mutex);
		wait_ns = start_due();
		pthread_mutex_unlock(&all.mutex);
		(void)poll(&wake, 1, wait_ns < 0 ? -1 : (int)(wait_ns / 1000000) + 1);
		/* Before the next look: an expiration after it wakes again. */
		(void)!read(all.wake_fd, &ignored, sizeof(ignored));
	}
	return NULL;
}

/* ---- The main thread. */

static bool copy_environment(void)
{
	size_t n = 0;
	char **copy;

	while (environ[n])
		n++;
	copy = calloc(n + 1, sizeof(copy[0]));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(environ[i]);
		if (copy[i])
			continue;
		while (i > 0)
			free(copy[--i]);
		free(copy);
		return false;
	}
	all.environment = copy;
	all.n_environment = n;
	return copy != NULL;
}

/* Under the mutex. What a failure leaves is used by the next call. Returns 0 or an error number. */
static int start_dispatcher(void)
{
	sigset_t every;
	sigset_t before;
	int rc;

	if (!all.environment && !copy_environment())
		return ENOMEM;
	if (all.wake_fd < 0)
		all.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all.wake_fd < 0)
		return errno;
	sigfillset(&every);
	/* Blocked, it would end the process without the line that says why (app/syscalls.c). */
	sigdelset(&every, SIGSYS);
	rc = pthread_sigmask(SIG_SETMASK, &every, &before);
	if (rc)
		return rc;
	rc = start_thread(dispatch, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	all.dispatching = rc == 0;
	return rc;
}

static void free_action(struct vrtc_alarm_action *a)
{
	free(a->expiration);
	free(a->what);
	free(a);
}

static struct vrtc_alarm_action *make_action(
	const char *what, const char *device, const struct vrtc_clock *clock, uint16_t n_clocks)
{
	struct vrtc_alarm_action *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->what = strdup(what);
	a->expiration = calloc(n_clocks, sizeof(a->expiration[0]));
	if (!a->what || !a->expiration) {
		free_action(a);
		return NULL;
	}
	if (strncmp(what, "qmp:", strlen("qmp:")) == 0)
		a->qmp_path = a->what + strlen("qmp:");
	else
		a->program = a->what + strlen("exec:");
	a->device = device;
	a->clock = clock;
	a->n_clocks = n_clocks;
	a->clock_id = n_clocks - 1;
	a->deadline_ns = vrtc_alarm_action_limits.deadline_ms * INT64_C(1000000);
	a->pause_ns = vrtc_alarm_action_limits.pause_ms * INT64_C(1000000);
	a->asleep_ns = vrtc_alarm_action_limits.asleep_ms * INT64_C(1000000);
	a->began_ns = now_ns() - a->pause_ns;
	return a;
}

static bool is_action(const char *what)
{
	const struct sockaddr_un *address = NULL;

	if (strncmp(what, "exec:", strlen("exec:")) == 0)
		return what[strlen("exec:")] != '\0';
	if (strncmp(what, "qmp:", strlen("qmp:")) != 0)
		return false;
	what += strlen("qmp:");
	return *what != '\0' && strlen(what) < sizeof(address->sun_path);
}

struct vrtc_alarm_action *vrtc_alarm_action_new(
	const char *what, const char *device, const struct vrtc_clock *clock, uint16_t n_clocks)
{
	struct vrtc_alarm_action *a;
	int rc = 0;

	if (!is_action(what) || n_clocks == 0 || n_clocks > VRTC_ALARM_ACTION_CLOCKS_MAX) {
		errno = EINVAL;
		return NULL;
	}
	a = make_action(what, device, clock, n_clocks);
	if (!a) {
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_lock(&all.mutex);
	if (!all.dispatching)
		rc = start_dispatcher();
	if (rc == 0) {
		a->next = all.last ? all.last->next : a;
		if (all.last)
			all.last->next = a;
		else
			all.last = a;
	}
	pthread_mutex_unlock(&all.mutex);
	if (rc) {
		free_action(a);
		errno = rc;
		return NULL;
	}
	return a;
}

void vrtc_alarm_actions_end(void)
{
	atomic_store(&all.ended, true);
}
