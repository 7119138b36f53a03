/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kill -9 at random instants while alarms are armed, and the next daemon with the same front-end:
 * no expiration is lost, none is notified of twice, and the folder of alarms is never unreadable.
 *
 * A round sets some alarms, kills the daemon once or twice, starts the next one, and takes what has
 * come. How a loss or a double is recognised:
 *
 * - A round makes the number of expirations of each clock known beforehand. An alarm that is set
 *   (or enabled) expires once, whether its time is past, comes before the kill, between the
 *   daemons, or behind them; a request in flight at the kill is answered by one of the daemons and
 *   is one event, however often it was begun. So exactly one notification is wanted. An alarm that
 *   is disabled about its time expires at most once, and not after the answer. An alarm that is not
 *   touched in the round has had its notification in an earlier one: none is wanted, though it is
 *   enabled and past, and each new daemon finds it so.
 * - Too few: the wait for the last one times out.
 * - Too many: a notification of a clock that has had its own. When all have come and the alarmq is
 *   served by the last daemon, there is one more buffer in it and each alarm is read: those answers
 *   come from the thread that delivers, and it delivers whatever is due before it answers. So a
 *   double is in the ring by then.
 * - None can hide in the next round, as the one that is wanted there: a double that came late would
 *   come when none is wanted, or before its alarm's time, which the clock's reading tells, or else
 *   make that round's own notification the one too many.
 * - A used entry that names a buffer twice, or one that is not the device's, is found by the ring
 *   of the front-end.
 * - What each alarm reads at the end of a round is what was set; the daemon has said nothing of a
 *   file that it could not use.
 *
 * The first test kills as an operator does: 200 us around an alarm's instant, behind requests in
 * flight, while the next daemon takes over. What matters most lies between a few stores, which such
 * a kill all but never hits. So the second test stops the lcore (ptrace), gives it something to do,
 * lets it execute a number of instructions, and kills it there.
 *
 * Rounds: as many as fit into 8 s for each of the two, or $DPDK_RTC_KILLS of them. Random numbers:
 * $DPDK_RTC_SEED, else of each run its own; printed.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarms.h"
#include "wire.h"

#define ALARMQ    VIRTIO_RTC_ALARMQ
#define BUDGET_NS INT64_C(8000000000)
#define US        INT64_C(1000)
#define BUFFERS   8

static struct fixture f;
static struct vfe_session s;
static unsigned seed;
static unsigned idle_at; /* where in the daemon's arguments its idle policy is */
static bool connected;
static bool led;          /* by ptrace: its lcore must not sleep */
static pid_t stopped_tid; /* its lcore, while it is led; else 0 */

/* A clock of this round. */
static struct expected {
	unsigned min; /* notifications that are wanted ... */
	unsigned max;
	unsigned came; /* ... and that came */
	bool closed;   /* disabled, and answered: none may come any more */
	uint64_t alarm_ns;
	bool enabled;
	int64_t instant_ns; /* of the alarm, CLOCK_BOOTTIME */
} expected[ALARMS_N];

/* What happened, to be printed: a test that never hit anything would not be worth its time. */
static struct {
	unsigned kills;
	unsigned expirations;
	unsigned before_the_kill;
	unsigned in_flight;
	unsigned answered_by_the_next;
	unsigned applied; /* of those, with a notification already */
} seen;

static int64_t random_below(int64_t n)
{
	return (int64_t)((uint64_t)rand_r(&seed) * RAND_MAX + (uint64_t)rand_r(&seed)) % n;
}

static bool one_in(int64_t n)
{
	return random_below(n) == 0;
}

static int64_t now_ns(void)
{
	return (int64_t)fixture_now_ns(CLOCK_BOOTTIME);
}

/* To the microsecond: asleep, and awake at the end. */
static void wait_until(int64_t instant_ns)
{
	int64_t left_ns = instant_ns - now_ns();

	if (left_ns > 2000 * US)
		fixture_sleep_ms((long)(left_ns / 1000000) - 1);
	while (now_ns() < instant_ns)
		continue;
}

/* ---- Notifications ---- */

static void note(uint16_t clock)
{
	struct expected *e = &expected[clock];

	assert_in_range(clock, 0, ALARMS_N - 1);
	e->came++;
	if (e->came > e->max || e->closed)
		fail_msg("notification %u of clock %u; wanted: %u to %u%s", e->came, clock, e->min,
			e->max, e->closed ? ", and it was disabled" : "");
	seen.expirations++;
	if (connected)
		assert_in_range(alarms_now(&s, clock), e->alarm_ns, UINT64_MAX);
	else
		seen.before_the_kill++;
}

/* Takes what is there. */
static void drain(void)
{
	uint16_t clock;
	int err;

	while ((err = vfe_rtc_alarm_wait(&s, &clock, false, 0)) == 0)
		note(clock);
	if (err != -ETIMEDOUT)
		fail_msg("%s", vfe_error(&s));
}

static void offer_buffers(unsigned n)
{
	unsigned there = vfe_ring_in_flight(&s.queues[ALARMQ].ring);

	if (there < n)
		alarms_fill(&s, n - there);
}

static void take_all(void)
{
	for (;;) {
		unsigned missing = 0;
		uint16_t clock;

		for (unsigned c = 0; c < ALARMS_N; c++)
			missing += expected[c].came < expected[c].min;
		if (missing == 0)
			return;
		offer_buffers(missing);
		if (vfe_rtc_alarm_wait(&s, &clock, false, FIXTURE_WAIT_MS))
			fail_msg("%u notifications are lost: %s", missing, vfe_error(&s));
		note(clock);
	}
}

/* ---- The daemon's death ---- */

static void send_kill(void)
{
	assert_int_equal(child_signal(&f.daemon, SIGKILL), 0);
}

static void await_death(void)
{
	assert_int_equal(child_wait(&f.daemon, FIXTURE_WAIT_MS), 128 + SIGKILL);
	connected = false;
	seen.kills++;
	(void)vfe_session_calls(&s, ALARMQ);
	/* What the dead one has delivered. */
	drain();
}

static void kill_daemon(void)
{
	send_kill();
	await_death();
}

static void start_next(void)
{
	if (!led)
		f.args[idle_at] = one_in(2) ? "busy" : "interrupt";
	fixture_start(&f);
	assert_int_equal(fixture_log_lines(&f, "alarms are forgotten"), 0);
	assert_int_equal(fixture_log_lines(&f, "will not outlive"), 0);
	if (vfe_session_reconnect(&s))
		fail_msg("%s", vfe_error(&s));
	connected = true;
}

/* ---- Requests ---- */

static struct {
	unsigned slot;
	uint16_t clock;
	bool disables;
} flight[2 * ALARMS_N];
static unsigned n_flight;

static void submit(const void *req, uint32_t req_bytes, uint16_t clock, bool disables)
{
	flight[n_flight].clock = clock;
	flight[n_flight].disables = disables;
	if (vfe_rtc_submit(&s, req, req_bytes, sizeof(struct virtio_rtc_resp_head),
		    &flight[n_flight].slot))
		fail_msg("%s", vfe_error(&s));
	n_flight++;
}

static void submit_set(uint16_t clock, uint64_t alarm_ns, bool enabled)
{
	struct virtio_rtc_req_set_alarm req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_SET_ALARM),
		.alarm_time = vrtc_le64_put(alarm_ns),
		.clock_id = vrtc_le16_put(clock),
		.flags = enabled,
	};

	submit(&req, sizeof(req), clock, !enabled);
}

static void submit_enable(uint16_t clock, bool enabled)
{
	struct virtio_rtc_req_set_alarm_enabled req = {
		.head.msg_type = vrtc_le16_put(VIRTIO_RTC_REQ_SET_ALARM_ENABLED),
		.clock_id = vrtc_le16_put(clock),
		.flags = enabled,
	};

	submit(&req, sizeof(req), clock, !enabled);
}

/* Waits for all answers; what disables has its effect with its answer. */
static void collect_all(void)
{
	for (unsigned i = 0; i < n_flight; i++) {
		struct virtio_rtc_resp_head resp;

		if (vfe_rtc_collect(&s, flight[i].slot, &resp, NULL, FIXTURE_WAIT_MS))
			fail_msg("%s", vfe_error(&s));
		assert_int_equal(resp.status, VIRTIO_RTC_S_OK);
	}
	drain();
	for (unsigned i = 0; i < n_flight; i++) {
		if (flight[i].disables)
			expected[flight[i].clock].closed = true;
	}
	n_flight = 0;
}

/* ---- A round ---- */

/* An alarm so far ahead of its clock, or behind it; known beforehand, and not yet set. */
static void plan(uint16_t clock, int64_t ahead_ns)
{
	struct expected *e = &expected[clock];

	e->instant_ns = now_ns() + ahead_ns;
	e->alarm_ns = alarms_now(&s, clock) + (uint64_t)ahead_ns;
	e->enabled = true;
	e->min = 1;
	e->max = 1;
}

/* Before the kill, between the daemons, behind them; or past. */
static int64_t random_ahead_ns(void)
{
	switch (random_below(4)) {
	case 0:
		return -random_below(1000000 * US);
	case 1:
		return random_below(2000 * US);
	default:
		return random_below(300000 * US);
	}
}

static void begin_round(void)
{
	for (unsigned c = 0; c < ALARMS_N; c++) {
		struct expected *e = &expected[c];

		e->min = 0;
		e->max = 0;
		e->came = 0;
		e->closed = false;
	}
	if (one_in(2))
		offer_buffers(1 + (unsigned)random_below(BUFFERS));
}

/* All is answered before the kill, which is aimed at an alarm's instant, or at none. */
static void kill_around_an_alarm(void)
{
	uint16_t aim = (uint16_t)random_below(ALARMS_N);
	int64_t kill_ns;

	for (uint16_t c = 0; c < ALARMS_N; c++) {
		if (c != aim && one_in(3))
			continue;
		plan(c, c == aim ? 3000 * US + random_below(10000 * US) : random_ahead_ns());
		submit_set(c, expected[c].alarm_ns, true);
	}
	collect_all();
	kill_ns = expected[aim].instant_ns;
	kill_ns += one_in(4) ? random_below(20000 * US) : random_below(400 * US) - 200 * US;
	wait_until(kill_ns);
	kill_daemon();
}

/* Requests in flight, from none begun to all answered. */
static void kill_among_requests(void)
{
	unsigned after = (unsigned)random_below(ALARMS_N + 1);
	unsigned n = 0;

	for (uint16_t c = 0; c < ALARMS_N; c++) {
		plan(c, random_ahead_ns());
		/* Those that are enabled or disabled in flight: set before. */
		if (c % 3 == 1) {
			alarms_set(&s, c, expected[c].alarm_ns, false);
		} else if (c % 3 == 2) {
			expected[c].instant_ns = now_ns() + 1000 * US;
			expected[c].alarm_ns = alarms_now(&s, c) + (uint64_t)(1000 * US);
			expected[c].min = 0;
			alarms_set(&s, c, expected[c].alarm_ns, true);
		}
	}
	if (one_in(2))
		wait_until(expected[2].instant_ns - random_below(100 * US));
	for (uint16_t c = 0; c < ALARMS_N; c++) {
		bool now = n++ == after;

		/* Dying takes a microsecond or two: some requests meet it when it comes first. */
		if (now) {
			wait_until(now_ns() + random_below(one_in(2) ? 60 * US : 2 * US));
			send_kill();
		}
		if (c % 3 == 0)
			submit_set(c, expected[c].alarm_ns, true);
		else
			submit_enable(c, c % 3 == 1);
		if (c % 3 == 2)
			expected[c].enabled = false;
		if (now)
			await_death();
	}
	if (n == after) {
		wait_until(now_ns() + random_below(one_in(2) ? 60 * US : 2 * US));
		kill_daemon();
	}
	seen.in_flight += n_flight;
	seen.answered_by_the_next += vfe_ring_in_flight(&s.queues[VIRTIO_RTC_REQUESTQ].ring) -
				     (vfe_ring_used_idx(&s.queues[VIRTIO_RTC_REQUESTQ].ring) -
					     s.queues[VIRTIO_RTC_REQUESTQ].ring.used_idx);
}

/*
 * The next daemon serves the alarmq: it calls when it starts (lib/rtc/DESIGN.md, D17), having
 * delivered what was due; our buffers say that no notification is called for.
 */
static void await_alarmq(void)
{
	for (unsigned ms = 0; vfe_session_calls(&s, ALARMQ) == 0; ms++) {
		assert_in_range(ms, 0, FIXTURE_WAIT_MS);
		fixture_sleep_ms(1);
	}
}

static void end_round(void)
{
	collect_all();
	await_alarmq();
	take_all();
	/* Room for one too many, and the barrier. */
	offer_buffers(2);
	for (uint16_t c = 0; c < ALARMS_N; c++)
		alarms_check(&s, c, expected[c].alarm_ns, expected[c].enabled);
	drain();
}

/* ---- A kill between two instructions ---- */

/* What the lcore that fires alarms is doing when it dies. */
enum scene {
	SCENE_SET,      /* SET_ALARM of a time that is past */
	SCENE_ENABLE,   /* SET_ALARM_ENABLED of an alarm that is past */
	SCENE_PROGRESS, /* the clock comes to an alarm */
	SCENE_BUFFER,   /* there is a buffer, at last, for a notification that waits */
	SCENE_DISABLE,  /* SET_ALARM_ENABLED stops one that waits, as a buffer comes */
	N_SCENES,
};

/* More steps than any scene takes. */
#define STEPS_MAX 300000

/* After how many instructions a scene has its first effect, and its last; 0: not known yet. */
static unsigned scene_first[N_SCENES];
static unsigned scene_steps[N_SCENES];

/* The thread of the one lcore that does all: requests and alarms. */
static pid_t find_worker(void)
{
	char path[300];
	struct dirent *entry;
	pid_t tid = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)f.daemon.pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		char *name;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/comm", (int)f.daemon.pid,
			entry->d_name);
		name = entry->d_name[0] == '.' ? NULL : child_read_file(path);
		if (name && strstr(name, "worker"))
			tid = (pid_t)strtol(entry->d_name, NULL, 10);
		free(name);
	}
	closedir(tasks);
	assert_true(tid > 0);
	return tid;
}

/* Stops a thread, to be led by us. False: that is not permitted here. */
static bool stop_thread(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return false;
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, &status, __WALL), tid);
	assert_true(WIFSTOPPED(status));
	stopped_tid = tid;
	return true;
}

static void step(pid_t tid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, &status, __WALL), tid);
	assert_true(WIFSTOPPED(status));
}

static void kill_stopped(void)
{
	int status;

	send_kill();
	/* It is ours to be waited for, and the process ends after it. */
	while (waitpid(stopped_tid, &status, __WALL) == stopped_tid && WIFSTOPPED(status))
		continue;
	stopped_tid = 0;
	await_death();
}

/* Whether the device has used a buffer that was not taken yet. */
static bool has_used(unsigned queue)
{
	return vfe_ring_used_idx(&s.queues[queue].ring) != s.queues[queue].ring.used_idx;
}

/* Uses up what buffers there are, with the alarm of the last clock. */
static void empty_the_alarmq(void)
{
	uint16_t last = ALARMS_N - 1;

	while (vfe_ring_in_flight(&s.queues[ALARMQ].ring) > 0) {
		alarms_set(&s, last, 1, true);
		alarms_wait(&s, last);
		expected[last].alarm_ns = 1;
		expected[last].enabled = true;
	}
}

/* Sets the scene for a clock; play() says what happens in it, while the lcore stands still. */
static void set_scene(enum scene scene, uint16_t clock)
{
	plan(clock, scene == SCENE_PROGRESS ? 5000 * US : -1000 * US);
	if (scene == SCENE_BUFFER || scene == SCENE_DISABLE)
		empty_the_alarmq();
	else
		offer_buffers(2);
	if (scene == SCENE_ENABLE)
		alarms_set(&s, clock, expected[clock].alarm_ns, false);
	else if (scene != SCENE_SET)
		alarms_set(&s, clock, expected[clock].alarm_ns, true);
}

static void play(enum scene scene, uint16_t clock)
{
	switch (scene) {
	case SCENE_SET:
		submit_set(clock, expected[clock].alarm_ns, true);
		break;
	case SCENE_ENABLE:
		submit_enable(clock, true);
		break;
	case SCENE_PROGRESS:
		wait_until(expected[clock].instant_ns + 100 * US);
		break;
	case SCENE_DISABLE:
		submit_enable(clock, false);
		expected[clock].enabled = false;
		expected[clock].min = 0;
		alarms_fill(&s, 1);
		break;
	default:
		alarms_fill(&s, 1);
		break;
	}
}

/* How many instructions the lcore may still execute: any number, or one about the effects. */
static unsigned choose_steps(enum scene scene)
{
	unsigned from = 0;

	if (!scene_steps[scene])
		return STEPS_MAX;
	if (one_in(2) && scene_first[scene] > 100)
		from = scene_first[scene] - 100;
	return from + (unsigned)random_below(scene_steps[scene] + 100 - from);
}

/* Whether the program is executed by another one, whose instructions would be counted. */
static bool is_emulated(void)
{
	char path[64];
	char target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)f.daemon.pid);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	return strstr(target, "valgrind") != NULL;
}

/* Returns false if threads cannot be led here. */
static bool kill_within_a_scene(enum scene scene)
{
	bool wants_answer = scene == SCENE_SET || scene == SCENE_ENABLE || scene == SCENE_DISABLE;
	bool wants_notification = scene != SCENE_DISABLE;
	uint16_t clock = (uint16_t)random_below(ALARMS_N - 1);
	unsigned limit = choose_steps(scene);
	pid_t tid = find_worker();
	unsigned first = 0;
	unsigned n = 0;

	drain();
	set_scene(scene, clock);
	if (!stop_thread(tid))
		return false;
	play(scene, clock);
	while (n < limit &&
		((wants_answer && !has_used(VIRTIO_RTC_REQUESTQ)) ||
			(wants_notification && !has_used(ALARMQ)) || scene_steps[scene])) {
		step(tid);
		n++;
		if (first == 0 && (has_used(VIRTIO_RTC_REQUESTQ) || has_used(ALARMQ)))
			first = n;
	}
	assert_in_range(n, 0, STEPS_MAX - 1);
	/* 0 where the clock was there before the lcore stood still: measured another time. */
	if (!scene_steps[scene]) {
		scene_first[scene] = first;
		scene_steps[scene] = n;
	}
	if (wants_answer) {
		seen.in_flight++;
		if (!has_used(VIRTIO_RTC_REQUESTQ)) {
			seen.answered_by_the_next++;
			seen.applied += has_used(ALARMQ);
		}
	}
	kill_stopped();
	return true;
}

/* ---- The tests ---- */

static void begin(bool by_ptrace)
{
	const char *given_seed = getenv("DPDK_RTC_SEED");

	seed = given_seed ? (unsigned)strtoul(given_seed, NULL, 10)
			  : (unsigned)now_ns() ^ (unsigned)getpid();
	print_message("DPDK_RTC_SEED=%u\n", seed);
	if (!fixture_store(&f))
		skip();
	led = by_ptrace;
	alarms_args(&f, "busy");
	idle_at = f.n_args - 1;
	fixture_start(&f);
	if (vfe_session_start(&s))
		fail_msg("%s", vfe_error(&s));
	connected = true;
	alarms_clear(&s, ALARMS_N);
	offer_buffers(1);
	memset(expected, 0, sizeof(expected));
	memset(&seen, 0, sizeof(seen));
}

/* The rounds of a test: as many as $DPDK_RTC_KILLS says, or as fit in; three at least. */
static bool another_round(unsigned n, int64_t begin_ns)
{
	const char *kills = getenv("DPDK_RTC_KILLS");

	return kills ? n < strtoul(kills, NULL, 10) : n < 3 || now_ns() < begin_ns + BUDGET_NS;
}

static void end(unsigned rounds)
{
	print_message("%u rounds, %u kills; %u notifications, %u of them by a daemon that was "
		      "killed; %u requests in flight, %u of them answered by the next\n",
		rounds, seen.kills, seen.expirations, seen.before_the_kill, seen.in_flight,
		seen.answered_by_the_next);
}

static void no_expiration_is_lost_or_doubled_by_kill_9(void **state)
{
	int64_t begin_ns = now_ns();
	unsigned n;

	(void)state;
	begin(false);
	for (n = 0; another_round(n, begin_ns); n++) {
		begin_round();
		if (one_in(2))
			kill_around_an_alarm();
		else
			kill_among_requests();
		start_next();
		if (one_in(4)) {
			/* The next one, too, while it takes over what the first has left. */
			offer_buffers(BUFFERS);
			wait_until(now_ns() + random_below(1000 * US));
			kill_daemon();
			start_next();
		}
		end_round();
	}
	end(n);
}

static void nor_by_a_kill_between_any_two_instructions(void **state)
{
	static const char *const names[N_SCENES] = {[SCENE_SET] = "SET_ALARM",
		[SCENE_ENABLE] = "SET_ALARM_ENABLED",
		[SCENE_PROGRESS] = "the clock",
		[SCENE_BUFFER] = "a buffer",
		[SCENE_DISABLE] = "SET_ALARM_ENABLED that disables"};
	int64_t begin_ns = now_ns();
	unsigned n;

	(void)state;
	begin(true);
	if (is_emulated()) {
		print_message("the daemon runs in valgrind: its instructions are not its own\n");
		skip();
	}
	for (n = 0; another_round(n, begin_ns); n++) {
		begin_round();
		if (!kill_within_a_scene((enum scene)(n % N_SCENES))) {
			print_message("ptrace is not permitted here: %s\n", strerror(errno));
			skip();
		}
		start_next();
		end_round();
	}
	end(n);
	print_message(
		"%u of those requests had their notification before the kill\n", seen.applied);
	for (unsigned i = 0; i < N_SCENES; i++)
		print_message("%s: the first effect after %u instructions, the last after %u\n",
			names[i], scene_first[i], scene_steps[i]);
}

static int prepare(void **state)
{
	struct vfe_config cfg;

	(void)state;
	fixture_init(&f);
	alarms_config(&f, &cfg);
	return vfe_session_init(&s, &cfg);
}

static int clean_up(void **state)
{
	(void)state;
	if (stopped_tid)
		kill_stopped();
	vfe_session_fini(&s);
	fixture_end(&f);
	return 0;
}

/* Argument: the one test to run, with *. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			no_expiration_is_lost_or_doubled_by_kill_9, prepare, clean_up),
		cmocka_unit_test_setup_teardown(
			nor_by_a_kill_between_any_two_instructions, prepare, clean_up),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
