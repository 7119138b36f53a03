/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What outlives what: alarms over device resets, stops of the VM, reconnects, the end of the daemon
 * in good order and by kill -9, and over a change of the front-end's process (retain = vmm, name,
 * no). And what is told when they cannot be kept.
 *
 * virtio-v1.4 RTC Device / Alarm Operation. Each test has a daemon and a folder for alarms of its
 * own.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "alarms.h"
#include "wire.h"

#define ALARMQ  VIRTIO_RTC_ALARMQ
#define F_ALARM (UINT64_C(1) << VIRTIO_RTC_F_ALARM)

/* What the daemon says when alarms are not kept, and when what was kept is of no use. */
#define NOT_KEPT  "alarms will not outlive this process"
#define FORGOTTEN "its alarms are forgotten"

static struct fixture f;
static struct vfe_session s;

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
	vfe_session_fini(&s);
	fixture_end(&f);
	return 0;
}

static void start_driver(void)
{
	if (vfe_session_start(&s))
		fail_msg("%s", vfe_error(&s));
}

/* The daemon with --retain, and a driver. */
static void begin(const char *retain)
{
	if (!fixture_store(&f))
		skip();
	alarms_args(&f, "interrupt");
	fixture_arg(&f, "--retain");
	fixture_arg(&f, retain);
	fixture_start(&f);
	start_driver();
}

static void reconnect(void)
{
	if (vfe_session_reconnect(&s))
		fail_msg("%s", vfe_error(&s));
}

static void end_daemon(bool in_good_order)
{
	if (in_good_order)
		fixture_stop(&f);
	else
		fixture_kill(&f);
}

static void restart(bool in_good_order)
{
	end_daemon(in_good_order);
	fixture_start(&f);
	reconnect();
}

static void reset(void)
{
	if (vfe_session_reset(&s))
		fail_msg("%s", vfe_error(&s));
}

static uint64_t in_ms(uint16_t clock, unsigned ms)
{
	return alarms_now(&s, clock) + ms * ALARMS_MS;
}

/* ---- Device resets ---- */

/*
 * "The device MAY retain both alarm time and alarm enabled status of a clock across a device
 * reset."
 *
 * Ours does, but for retain = no.
 */
static void alarm_time_and_enabled_status_are_retained_across_device_resets(void **state)
{
	static const char *const retain[] = {"vmm", "name"};

	for (unsigned i = 0; i < 2; i++) {
		begin(retain[i]);
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_set(&s, clock, UINT64_MAX - clock, clock % 2);
		for (unsigned k = 0; k < 3; k++) {
			reset();
			for (uint16_t clock = 0; clock < ALARMS_N; clock++)
				alarms_check(&s, clock, UINT64_MAX - clock, clock % 2);
		}
		alarms_fill(&s, 4);
		alarms_set(&s, ALARMS_TAI, in_ms(ALARMS_TAI, 30), true);
		reset();
		alarms_fill(&s, 4);
		alarms_wait(&s, ALARMS_TAI);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
		clean_up(state);
		assert_int_equal(prepare(state), 0);
	}
}

/*
 * "If the device did not retain alarm time and alarm enabled status of a clock across a device
 * reset, the device MUST initialize alarm time to 0."
 */
static void not_retained_the_alarm_time_is_0_after_a_reset(void **state)
{
	(void)state;
	begin("no");
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, UINT64_MAX - clock, false);
	reset();
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_check(&s, clock, 0, false);
}

/*
 * "If the device did not retain alarm time and alarm enabled status of a clock across a device
 * reset, the device MUST disable the alarm."
 *
 * Whether it was ahead, past, or waited for a buffer: nothing comes.
 */
static void not_retained_the_alarm_is_disabled_after_a_reset(void **state)
{
	(void)state;
	begin("no");
	for (unsigned i = 0; i < 3; i++) {
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_set(&s, clock, clock % 2 ? 1 : in_ms(clock, 20), true);
		reset();
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_check(&s, clock, 0, false);
		alarms_fill(&s, 16);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
	}
}

/*
 * "If the device retained alarm time and alarm enabled status of a clock across a device reset, and
 * the clock has already reached or passed the alarm time, the device MUST consider this device
 * reset an alarm expiration event, if the alarm is enabled."
 */
static void a_reset_is_an_expiration_of_a_retained_alarm_that_is_passed_and_enabled(void **state)
{
	uint64_t all = (UINT64_C(1) << ALARMS_N) - 1;

	(void)state;
	begin("vmm");
	alarms_fill(&s, 16);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, in_ms(clock, 2), true);
	alarms_wait_all(&s, all);
	/* At each reset, although it was notified of before; a single time each. */
	for (unsigned i = 0; i < 3; i++) {
		reset();
		alarms_fill(&s, 16);
		alarms_wait_all(&s, all);
		alarms_wait_none(&s, 5);
	}
	/* Not if it is disabled, and not if it is ahead. */
	alarms_enable(&s, ALARMS_TAI, false);
	alarms_set(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
	reset();
	alarms_fill(&s, 16);
	alarms_wait_all(&s, all & ~(1u << ALARMS_TAI | 1u << ALARMS_MONOTONIC));
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

static void an_expiration_that_waits_for_a_buffer_is_one_with_the_reset(void **state)
{
	(void)state;
	begin("vmm");
	alarms_set(&s, ALARMS_UTC, 1, true);
	reset();
	reset();
	alarms_fill(&s, 8);
	alarms_wait(&s, ALARMS_UTC);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* "This also facilitates distinct drivers using the same device, e.g. a driver in the bootloader". */
static void an_alarm_outlives_a_boot_loader_that_knows_no_alarms(void **state)
{
	const uint64_t without = s.cfg.features & ~F_ALARM;

	(void)state;
	begin("vmm");
	for (unsigned passes = 0; passes < 2; passes++) {
		alarms_set(&s, ALARMS_UTC, in_ms(ALARMS_UTC, passes ? 1 : 100), true);
		if (passes)
			fixture_sleep_ms(5);
		assert_int_equal(vfe_session_reset_as(&s, without, 1), 0);
		(void)alarms_now(&s, ALARMS_UTC);
		assert_int_equal(vfe_session_reset_as(&s, s.cfg.features, 3), 0);
		alarms_fill(&s, 8);
		alarms_wait(&s, ALARMS_UTC);
		alarms_wait_none(&s, ALARMS_QUIET_MS);

		/* With its alarmq set up, and its own time to pass. */
		alarms_set(&s, ALARMS_UTC, in_ms(ALARMS_UTC, 10), true);
		assert_int_equal(vfe_session_reset_as(&s, without, 3), 0);
		alarms_fill(&s, 8);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
		assert_int_equal(vfe_session_reset_as(&s, s.cfg.features, 3), 0);
		alarms_fill(&s, 8);
		alarms_wait(&s, ALARMS_UTC);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
	}
}

/*
 * "Alarms set prior to reset may cause unwanted alarm expiration notifications [...]. To prevent
 * both issues, the driver can do the following after the reset".
 */
static void the_drivers_precaution_after_a_reset_keeps_old_alarms_away(void **state)
{
	(void)state;
	begin("vmm");
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, clock % 2 ? 1 : in_ms(clock, 10), true);
	reset();
	alarms_clear(&s, ALARMS_N);
	alarms_fill(&s, 16);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_check(&s, clock, 0, false);
}

/* ---- No resets: the VM is stopped, the front-end or the daemon goes and comes back ---- */

static void a_stop_of_the_vm_is_no_event_and_an_alarm_meanwhile_comes_after_it(void **state)
{
	(void)state;
	begin("vmm");
	alarms_fill(&s, 64);
	for (unsigned i = 0; i < 10; i++) {
		/* Expired and notified of. */
		alarms_set(&s, ALARMS_UTC, 1, true);
		alarms_wait(&s, ALARMS_UTC);
		/* Expires meanwhile. */
		alarms_set(&s, ALARMS_TAI, in_ms(ALARMS_TAI, 3), true);
		assert_int_equal(vfe_session_stop(&s), 0);
		fixture_sleep_ms(10);
		assert_int_equal(vfe_session_resume(&s), 0);
		alarms_wait(&s, ALARMS_TAI);
		alarms_wait_none(&s, 5);
		assert_int_equal(vfe_session_stop(&s), 0);
		assert_int_equal(vfe_session_resume(&s), 0);
		alarms_check(&s, ALARMS_UTC, 1, true);
		alarms_wait_none(&s, 5);
	}
}

static void a_front_end_that_comes_back_finds_its_alarms_and_what_it_missed(void **state)
{
	(void)state;
	begin("vmm");
	alarms_fill(&s, 64);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t later_ns = UINT64_MAX - i;

		alarms_set(&s, ALARMS_UTC, 1, true);
		alarms_wait(&s, ALARMS_UTC);
		alarms_set(&s, ALARMS_TAI, in_ms(ALARMS_TAI, 5), true);
		alarms_set(&s, ALARMS_MONOTONIC, later_ns, true);
		vfe_session_disconnect(&s);
		fixture_sleep_ms(15);
		reconnect();
		alarms_wait(&s, ALARMS_TAI);
		alarms_check(&s, ALARMS_MONOTONIC, later_ns, true);
		alarms_check(&s, ALARMS_UTC, 1, true);
		alarms_wait_none(&s, 5);
	}
}

static void check_restart_keeps_alarms(bool in_good_order)
{
	begin("vmm");
	alarms_fill(&s, 64);
	for (unsigned i = 0; i < 3; i++) {
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_set(&s, clock, UINT64_MAX - clock - i, clock % 2);
		restart(in_good_order);
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_check(&s, clock, UINT64_MAX - clock - i, clock % 2);
	}
}

static void alarms_outlive_sigterm(void **state)
{
	(void)state;
	check_restart_keeps_alarms(true);
}

static void alarms_outlive_kill_9(void **state)
{
	(void)state;
	check_restart_keeps_alarms(false);
}

static void an_alarm_ahead_of_a_restart_comes_on_time_and_once(void **state)
{
	(void)state;
	begin("vmm");
	alarms_fill(&s, 64);
	for (unsigned good = 0; good < 2; good++) {
		uint64_t alarm_ns[ALARMS_N];

		for (uint16_t clock = 0; clock < ALARMS_N; clock++) {
			alarm_ns[clock] = in_ms(clock, 600);
			alarms_set(&s, clock, alarm_ns[clock], true);
		}
		restart(good);
		for (unsigned i = 0; i < ALARMS_N; i++) {
			uint16_t clock = 0;

			assert_int_equal(vfe_rtc_alarm_wait(&s, &clock, false, FIXTURE_WAIT_MS), 0);
			assert_in_range(clock, 0, ALARMS_N - 1);
			assert_in_range(alarms_now(&s, clock), alarm_ns[clock], UINT64_MAX);
			alarm_ns[clock] = UINT64_MAX; /* the same once more would be before it */
		}
		alarms_wait_none(&s, ALARMS_QUIET_MS);
	}
}

static void an_alarm_that_passes_while_there_is_no_daemon_comes_once_after_it(void **state)
{
	(void)state;
	begin("vmm");
	alarms_fill(&s, 64);
	for (unsigned good = 0; good < 2; good++) {
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_set(&s, clock, in_ms(clock, 50), true);
		end_daemon(good);
		fixture_sleep_ms(60);
		fixture_start(&f);
		reconnect();
		alarms_wait_all(&s, (UINT64_C(1) << ALARMS_N) - 1);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
	}
}

static void what_was_notified_of_before_a_restart_is_not_again(void **state)
{
	(void)state;
	begin("vmm");
	alarms_fill(&s, 64);
	for (unsigned i = 0; i < 4; i++) {
		/* One of them is seen before the end, the other one is in the ring. */
		alarms_set(&s, ALARMS_UTC, 1, true);
		alarms_wait(&s, ALARMS_UTC);
		alarms_set(&s, ALARMS_TAI, 1, true);
		restart(i % 2);
		alarms_wait(&s, ALARMS_TAI);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
		alarms_check(&s, ALARMS_UTC, 1, true);
	}
}

static void what_waited_for_a_buffer_at_the_end_of_the_daemon_comes_once_after_it(void **state)
{
	(void)state;
	begin("vmm");
	for (unsigned i = 0; i < 4; i++) {
		alarms_set(&s, ALARMS_UTC, 1, true);
		alarms_set(&s, ALARMS_TAI, in_ms(ALARMS_TAI, 1), true);
		fixture_sleep_ms(5);
		/* Buffers come before the next daemon, and after it. */
		if (i / 2)
			alarms_fill(&s, 2);
		if (i / 2)
			alarms_wait_all(&s, 1u << ALARMS_UTC | 1u << ALARMS_TAI);
		else
			end_daemon(i % 2);
		if (!(i / 2)) {
			alarms_fill(&s, 2);
			fixture_start(&f);
			reconnect();
			alarms_wait_all(&s, 1u << ALARMS_UTC | 1u << ALARMS_TAI);
		} else {
			restart(i % 2);
		}
		alarms_fill(&s, 1);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
		reset();
		alarms_clear(&s, ALARMS_N);
	}
}

static void a_disabled_expiration_is_not_notified_of_after_a_restart(void **state)
{
	(void)state;
	begin("vmm");
	for (unsigned good = 0; good < 2; good++) {
		alarms_set(&s, ALARMS_UTC, 1, true);
		alarms_enable(&s, ALARMS_UTC, false);
		restart(good);
		alarms_check(&s, ALARMS_UTC, 1, false);
		alarms_fill(&s, 2);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
		reset();
	}
}

static void a_reset_after_a_restart_is_an_expiration_as_any(void **state)
{
	(void)state;
	begin("vmm");
	alarms_fill(&s, 4);
	alarms_set(&s, ALARMS_UTC, 1, true);
	alarms_wait(&s, ALARMS_UTC);
	restart(false);
	reset();
	alarms_fill(&s, 4);
	alarms_wait(&s, ALARMS_UTC);
	alarms_wait_none(&s, ALARMS_QUIET_MS);
}

/* ---- Whose alarms they are ---- */

struct seen {
	int err;
	uint64_t alarm_ns[ALARMS_N];
	bool enabled[ALARMS_N];
	unsigned notifications;
};

static int look(struct vfe_session *other, const struct vfe_config *cfg, struct seen *seen)
{
	uint16_t clock;
	int err = vfe_session_init(other, cfg);

	if (!err)
		err = vfe_session_start(other);
	if (err || !(other->features & F_ALARM))
		return err;
	for (clock = 0; !err && clock < ALARMS_N; clock++)
		err = vfe_rtc_read_alarm(
			other, clock, &seen->alarm_ns[clock], &seen->enabled[clock]);
	if (!err)
		err = vfe_rtc_alarmq_fill(other, 32, 16);
	while (!err && vfe_rtc_alarm_wait(other, &clock, false, ALARMS_QUIET_MS) == 0)
		seen->notifications++;
	return err;
}

/* What a front-end of another process finds, while ours is gone. */
static struct seen as_another_process(uint64_t features)
{
	struct seen seen = {.err = -ECHILD};
	struct vfe_session other;
	struct vfe_config cfg;
	int result[2];
	int status;
	pid_t pid;

	vfe_session_disconnect(&s);
	alarms_config(&f, &cfg);
	cfg.features = features;
	assert_int_equal(pipe2(result, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(2 * FIXTURE_WAIT_MS / 1000);
		seen.err = look(&other, &cfg, &seen);
		if (seen.err)
			fprintf(stderr, "the other front-end: %s\n", vfe_error(&other));
		_exit(write(result[1], &seen, sizeof(seen)) != (ssize_t)sizeof(seen));
	}
	close(result[1]);
	if (read(result[0], &seen, sizeof(seen)) != (ssize_t)sizeof(seen))
		seen.err = -EPIPE;
	close(result[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(seen.err, 0);
	return seen;
}

static void check_nothing_seen(const struct seen *seen)
{
	for (unsigned clock = 0; clock < ALARMS_N; clock++) {
		assert_int_equal(seen->alarm_ns[clock], 0);
		assert_false(seen->enabled[clock]);
	}
	assert_int_equal(seen->notifications, 0);
}

/* Ahead, past and notified of, past and waiting for a buffer. */
static void set_some_alarms(void)
{
	alarms_set(&s, ALARMS_UTC, 1, true);
	alarms_set(&s, ALARMS_TAI, in_ms(ALARMS_TAI, 20), true);
	alarms_set(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
}

static void by_default_another_process_finds_no_alarm_and_gets_no_notification(void **state)
{
	struct seen seen;

	(void)state;
	if (!fixture_store(&f))
		skip();
	alarms_args(&f, "interrupt");
	fixture_start(&f);
	start_driver();
	for (unsigned i = 0; i < 3; i++) {
		/* The same daemon, and one that was started anew. */
		set_some_alarms();
		if (i > 0) {
			end_daemon(i == 1);
			fixture_start(&f);
		}
		seen = as_another_process(s.cfg.features);
		check_nothing_seen(&seen);
		/* And what was forgotten is forgotten. */
		reconnect();
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_check(&s, clock, 0, false);
	}
}

static void a_process_that_does_not_negotiate_alarms_leaves_them_to_their_owner(void **state)
{
	struct seen seen;

	(void)state;
	begin("vmm");
	alarms_set(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
	seen = as_another_process(s.cfg.features & ~F_ALARM);
	check_nothing_seen(&seen);
	reconnect();
	alarms_check(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
}

static void with_retain_name_another_process_finds_the_alarms_and_what_was_missed(void **state)
{
	struct seen seen;

	(void)state;
	begin("name");
	for (unsigned i = 0; i < 3; i++) {
		set_some_alarms();
		if (i > 0) {
			end_daemon(i == 1);
			fixture_start(&f);
		}
		fixture_sleep_ms(20);
		seen = as_another_process(s.cfg.features);
		assert_int_equal(seen.alarm_ns[ALARMS_UTC], 1);
		assert_true(seen.enabled[ALARMS_UTC]);
		assert_true(seen.enabled[ALARMS_TAI]);
		assert_true(seen.alarm_ns[ALARMS_MONOTONIC] == UINT64_MAX);
		assert_true(seen.enabled[ALARMS_MONOTONIC]);
		/* UTC and TAI, once each. */
		assert_int_equal(seen.notifications, 2);
		vfe_session_disconnect(&s);
		reconnect();
		alarms_check(&s, ALARMS_UTC, 1, true);
		alarms_clear(&s, ALARMS_N);
	}
}

static void with_retain_no_neither_another_process_nor_the_next_daemon_finds_alarms(void **state)
{
	struct seen seen;

	(void)state;
	begin("no");
	set_some_alarms();
	seen = as_another_process(s.cfg.features);
	check_nothing_seen(&seen);
	reconnect();
	for (unsigned good = 0; good < 2; good++) {
		set_some_alarms();
		restart(good);
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_check(&s, clock, 0, false);
		alarms_fill(&s, 8);
		alarms_wait_none(&s, ALARMS_QUIET_MS);
		reset();
	}
}

/* ---- The store ---- */

/* Alarms are served, and known to this process. */
static void check_serves(void)
{
	alarms_clear(&s, ALARMS_N);
	alarms_set(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
	alarms_set(&s, ALARMS_UTC, in_ms(ALARMS_UTC, 2), true);
	reset();
	alarms_fill(&s, 2);
	alarms_wait(&s, ALARMS_UTC);
	alarms_check(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
	alarms_wait_none(&s, 5);
}

static void start_with_store(const char *path)
{
	fixture_arg(&f, "--alarm-store");
	fixture_arg(&f, path);
	f.store_chosen = true;
	alarms_args(&f, "interrupt");
	fixture_start(&f);
	start_driver();
}

static void with_alarm_store_none_alarms_end_with_the_process_without_a_word(void **state)
{
	(void)state;
	start_with_store("none");
	check_serves();
	assert_int_equal(fixture_log_lines(&f, NOT_KEPT), 0);
	restart(true);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_check(&s, clock, 0, false);
}

/* One line says that alarms are not kept, and why; all else works. */
static void check_not_kept(const char *why)
{
	check_serves();
	assert_int_equal(fixture_log_lines(&f, NOT_KEPT), 1);
	assert_int_equal(fixture_log_lines(&f, why), 1);
	restart(false);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_check(&s, clock, 0, false);
	assert_int_equal(fixture_log_lines(&f, NOT_KEPT), 1);
}

static void a_store_that_is_no_tmpfs_is_told_and_harms_nothing_else(void **state)
{
	(void)state;
	start_with_store("/sys");
	check_not_kept("not on a tmpfs");
}

static void a_store_without_a_parent_is_told_and_harms_nothing_else(void **state)
{
	(void)state;
	start_with_store("/dev/shm/dpdk-rtc-test-none/alarms");
	check_not_kept("No such file or directory");
}

static void a_store_that_others_can_write_to_is_told_and_harms_nothing_else(void **state)
{
	(void)state;
	if (!fixture_store(&f))
		skip();
	assert_int_equal(chmod(f.store, 0777), 0);
	alarms_args(&f, "interrupt");
	fixture_start(&f);
	start_driver();
	check_not_kept("others can write to it");
}

/*
 * The daemon in a mount namespace of its own, where f.dir/full is a tmpfs: "size=4k" is not enough
 * for a file of alarms, "ro" not even for an empty one.
 */
static void start_on_tmpfs(const char *options)
{
	static const char script[] =
		"mount -t tmpfs -o size=1m,mode=755 none \"$1\" && mkdir -m 700 \"$1/alarms\" && "
		"mount -o remount,\"$2\" \"$1\" && shift 2 && exec \"$@\"";
	static const char *const probe[] = {"unshare", "-rm", "sh", "-c",
		"mount -t tmpfs none /mnt && mount -o remount,size=4k /mnt", NULL};
	const char *program = f.args[0];
	static char folder[96];
	static char store[112];
	struct child child;

	snprintf(folder, sizeof(folder), "%s/full", f.dir);
	snprintf(store, sizeof(store), "%s/full/alarms", f.dir);
	if (child_start(&child, probe, NULL, NULL) || child_wait(&child, FIXTURE_WAIT_MS) != 0) {
		print_message("unshare -rm and mount -t tmpfs are not permitted here\n");
		skip();
	}
	assert_int_equal(mkdir(folder, 0700), 0);
	f.n_args = 0;
	fixture_arg(&f, "unshare");
	fixture_arg(&f, "-rm");
	fixture_arg(&f, "sh");
	fixture_arg(&f, "-c");
	fixture_arg(&f, script);
	fixture_arg(&f, "sh");
	fixture_arg(&f, folder);
	fixture_arg(&f, options);
	fixture_arg(&f, program);
	start_with_store(store);
}

static void check_on_tmpfs(const char *options, const char *why)
{
	char folder[96];

	start_on_tmpfs(options);
	check_not_kept(why);
	fixture_kill(&f);
	snprintf(folder, sizeof(folder), "%s/full", f.dir);
	assert_int_equal(rmdir(folder), 0);
}

static void a_store_that_is_full_is_told_and_harms_nothing_else(void **state)
{
	(void)state;
	check_on_tmpfs("size=4k", "No space left on device");
}

static void a_store_that_is_read_only_is_told_and_harms_nothing_else(void **state)
{
	(void)state;
	check_on_tmpfs("ro", "Read-only file system");
}

/* ---- What is in the file ---- */

static void file_path(char path[static 96])
{
	snprintf(path, 96, "%s/rtc.alarms", f.store);
}

/* Writes the daemon's file, starts the daemon, and the driver goes on. */
static void start_over_file(const void *bytes, size_t n)
{
	char path[96];
	int fd;

	file_path(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	fixture_start(&f);
	reconnect();
}

static void a_file_of_garbage_is_told_of_once_and_replaced(void **state)
{
	static uint8_t garbage[65536];
	static const size_t sizes[] = {1, 8, 4096, 65536};
	unsigned seed = 1;
	char path[96];
	struct stat st;

	(void)state;
	begin("name");
	alarms_set(&s, ALARMS_UTC, UINT64_MAX, true);
	file_path(path);
	assert_int_equal(stat(path, &st), 0);
	for (unsigned i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)rand_r(&seed);
	/* Of any size, and the daemon's own size. */
	for (unsigned i = 0; i < 5; i++) {
		fixture_kill(&f);
		start_over_file(garbage, i < 4 ? sizes[i] : (size_t)st.st_size);
		assert_int_equal(fixture_log_lines(&f, FORGOTTEN), 1);
		assert_int_equal(fixture_log_lines(&f, NOT_KEPT), 0);
		for (uint16_t clock = 0; clock < ALARMS_N; clock++)
			alarms_check(&s, clock, 0, false);
		check_serves();
		/* The new file is as good as any. */
		restart(false);
		assert_int_equal(fixture_log_lines(&f, FORGOTTEN), 0);
		alarms_check(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
	}
}

static void a_file_with_any_byte_damaged_is_used_or_told_of_and_never_harms(void **state)
{
	static uint8_t whole[65536];
	char path[96];
	size_t bytes;
	FILE *file;

	(void)state;
	begin("name");
	alarms_set(&s, ALARMS_MONOTONIC, UINT64_MAX, true);
	fixture_kill(&f);
	file_path(path);
	file = fopen(path, "re");
	assert_non_null(file);
	bytes = fread(whole, 1, sizeof(whole), file);
	fclose(file);
	assert_in_range(bytes, 64, sizeof(whole) - 1);
	/* The first bytes one after the other: name, size, clocks, owner; and some of the rest. */
	for (size_t at = 0; at < bytes; at += at < 24 ? 3 : bytes / 5) {
		whole[at] ^= 0xff;
		start_over_file(whole, bytes);
		whole[at] ^= 0xff;
		assert_in_range(fixture_log_lines(&f, FORGOTTEN), 0, 1);
		check_serves();
		fixture_kill(&f);
	}
}

static void a_file_that_is_cut_off_or_too_long_is_told_of_once_and_replaced(void **state)
{
	static const long change[] = {0, -1, 1, 100};
	char path[96];
	struct stat st;

	(void)state;
	begin("name");
	file_path(path);
	for (unsigned i = 0; i < 4; i++) {
		alarms_set(&s, ALARMS_UTC, UINT64_MAX, true);
		fixture_kill(&f);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(truncate(path, i ? st.st_size + change[i] : 8), 0);
		fixture_start(&f);
		reconnect();
		assert_int_equal(fixture_log_lines(&f, FORGOTTEN), 1);
		alarms_check(&s, ALARMS_UTC, 0, false);
		check_serves();
		alarms_clear(&s, ALARMS_N);
	}
	/* An empty file is a new one: nothing is lost, and nothing said. */
	fixture_kill(&f);
	assert_int_equal(truncate(path, 0), 0);
	fixture_start(&f);
	reconnect();
	assert_int_equal(fixture_log_lines(&f, FORGOTTEN), 0);
	check_serves();
}

static void the_file_of_a_device_with_other_clocks_is_told_of_once_and_replaced(void **state)
{
	(void)state;
	begin("name");
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_set(&s, clock, UINT64_MAX, true);
	fixture_kill(&f);
	/* alarms_args(): --socket-path PATH --clocks LIST */
	for (unsigned i = 0; i < f.n_args; i++) {
		if (strcmp(f.args[i], ALARMS_CLOCKS) == 0)
			f.args[i] = "utc+alarm,utc-smeared:noon-linear+alarm,tai+alarm,"
				    "monotonic+alarm,utc-smeared:utc-sls+alarm,"
				    "utc-maybe-smeared+alarm,monotonic";
	}
	fixture_start(&f);
	reconnect();
	assert_int_equal(fixture_log_lines(&f, FORGOTTEN), 1);
	for (uint16_t clock = 0; clock < ALARMS_N; clock++)
		alarms_check(&s, clock, 0, false);
	restart(false);
	assert_int_equal(fixture_log_lines(&f, FORGOTTEN), 0);
}

static void what_is_no_file_is_told_of_and_harms_nothing_else(void **state)
{
	char path[96];

	(void)state;
	if (!fixture_store(&f))
		skip();
	alarms_args(&f, "interrupt");
	file_path(path);
	for (unsigned i = 0; i < 3; i++) {
		switch (i) {
		case 0:
			assert_int_equal(mkdir(path, 0700), 0);
			break;
		case 1:
			assert_int_equal(mkfifo(path, 0600), 0);
			break;
		default:
			/* Whoever follows it would write to somebody else's file. */
			assert_int_equal(symlink("/dev/null", path), 0);
			break;
		}
		fixture_start(&f);
		if (i == 0)
			start_driver();
		else
			reconnect();
		check_not_kept("rtc.alarms");
		fixture_kill(&f);
		assert_int_equal(remove(path), 0);
	}
}

static void a_second_daemon_with_the_same_name_is_told_and_both_serve(void **state)
{
	struct fixture second;
	struct vfe_session other;
	struct vfe_config cfg;

	(void)state;
	begin("name");
	alarms_set(&s, ALARMS_TAI, UINT64_MAX - 1, true);

	fixture_init(&second);
	fixture_arg(&second, "--alarm-store");
	fixture_arg(&second, f.store);
	second.store_chosen = true;
	alarms_args(&second, "interrupt");
	fixture_start(&second);
	assert_int_equal(fixture_log_lines(&second, NOT_KEPT), 1);
	assert_int_equal(fixture_log_lines(&second, "another dpdk-rtc uses it"), 1);
	alarms_config(&second, &cfg);
	fixture_connect_as(&other, &cfg);
	alarms_check(&other, ALARMS_TAI, 0, false);
	alarms_fill(&other, 1);
	alarms_set(&other, ALARMS_TAI, 1, true);
	alarms_wait(&other, ALARMS_TAI);
	vfe_session_fini(&other);
	fixture_stop(&second);
	fixture_fini(&second);

	alarms_check(&s, ALARMS_TAI, UINT64_MAX - 1, true);
	restart(false);
	alarms_check(&s, ALARMS_TAI, UINT64_MAX - 1, true);
	check_serves();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean_up)
	const struct CMUnitTest tests[] = {
		TEST(alarm_time_and_enabled_status_are_retained_across_device_resets),
		TEST(not_retained_the_alarm_time_is_0_after_a_reset),
		TEST(not_retained_the_alarm_is_disabled_after_a_reset),
		TEST(a_reset_is_an_expiration_of_a_retained_alarm_that_is_passed_and_enabled),
		TEST(an_expiration_that_waits_for_a_buffer_is_one_with_the_reset),
		TEST(an_alarm_outlives_a_boot_loader_that_knows_no_alarms),
		TEST(the_drivers_precaution_after_a_reset_keeps_old_alarms_away),
		TEST(a_stop_of_the_vm_is_no_event_and_an_alarm_meanwhile_comes_after_it),
		TEST(a_front_end_that_comes_back_finds_its_alarms_and_what_it_missed),
		TEST(alarms_outlive_sigterm),
		TEST(alarms_outlive_kill_9),
		TEST(an_alarm_ahead_of_a_restart_comes_on_time_and_once),
		TEST(an_alarm_that_passes_while_there_is_no_daemon_comes_once_after_it),
		TEST(what_was_notified_of_before_a_restart_is_not_again),
		TEST(what_waited_for_a_buffer_at_the_end_of_the_daemon_comes_once_after_it),
		TEST(a_disabled_expiration_is_not_notified_of_after_a_restart),
		TEST(a_reset_after_a_restart_is_an_expiration_as_any),
		TEST(by_default_another_process_finds_no_alarm_and_gets_no_notification),
		TEST(a_process_that_does_not_negotiate_alarms_leaves_them_to_their_owner),
		TEST(with_retain_name_another_process_finds_the_alarms_and_what_was_missed),
		TEST(with_retain_no_neither_another_process_nor_the_next_daemon_finds_alarms),
		TEST(with_alarm_store_none_alarms_end_with_the_process_without_a_word),
		TEST(a_store_that_is_no_tmpfs_is_told_and_harms_nothing_else),
		TEST(a_store_without_a_parent_is_told_and_harms_nothing_else),
		TEST(a_store_that_others_can_write_to_is_told_and_harms_nothing_else),
		TEST(a_store_that_is_full_is_told_and_harms_nothing_else),
		TEST(a_store_that_is_read_only_is_told_and_harms_nothing_else),
		TEST(a_file_of_garbage_is_told_of_once_and_replaced),
		TEST(a_file_with_any_byte_damaged_is_used_or_told_of_and_never_harms),
		TEST(a_file_that_is_cut_off_or_too_long_is_told_of_once_and_replaced),
		TEST(the_file_of_a_device_with_other_clocks_is_told_of_once_and_replaced),
		TEST(what_is_no_file_is_told_of_and_harms_nothing_else),
		TEST(a_second_daemon_with_the_same_name_is_told_and_both_serve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
