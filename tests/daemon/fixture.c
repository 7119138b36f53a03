/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <ftw.h>

#include <linux/magic.h>

#include <cmocka.h>

#include "wire.h"

static const char *program(void)
{
	const char *path = getenv("DPDK_RTC");

	return path && *path ? path : FIXTURE_DAEMON;
}

void fixture_init(struct fixture *f)
{
	*f = (struct fixture){0};
	snprintf(f->dir, sizeof(f->dir), "/tmp/dpdk-rtc-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->socket, sizeof(f->socket), "%s/rtc.sock", f->dir);
	f->args[f->n_args++] = program();
}

void fixture_arg(struct fixture *f, const char *arg)
{
	assert_true(f->n_args < FIXTURE_ARGS_MAX);
	f->args[f->n_args++] = arg;
}

bool fixture_store(struct fixture *f)
{
	char path[] = "/dev/shm/dpdk-rtc-test-XXXXXX";
	struct statfs fs;

	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC || !mkdtemp(path)) {
		print_message("no tmpfs at /dev/shm that a folder could be made in\n");
		return false;
	}
	memcpy(f->store, path, sizeof(path));
	fixture_arg(f, "--alarm-store");
	fixture_arg(f, f->store);
	f->store_chosen = true;
	return true;
}

char *fixture_log(const struct fixture *f)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/stderr", f->dir);
	return child_read_file(path);
}

unsigned fixture_log_lines(const struct fixture *f, const char *text)
{
	char *log = fixture_log(f);
	char *rest = log;
	unsigned n = 0;
	char *line;

	while ((line = strsep(&rest, "\n")))
		n += strstr(line, text) != NULL;
	free(log);
	return n;
}

static void print_log(struct fixture *f)
{
	char *text = fixture_log(f);

	if (text)
		print_message("---- the daemon's log\n%s----\n", text);
	free(text);
}

void fixture_sleep_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

void fixture_wait_log(const struct fixture *f, const char *text, unsigned n)
{
	unsigned waited_ms = 0;

	while (fixture_log_lines(f, text) < n && waited_ms < FIXTURE_WAIT_MS) {
		fixture_sleep_ms(5);
		waited_ms += 5;
	}
	fixture_sleep_ms(20);
	assert_int_equal(fixture_log_lines(f, text), n);
}

/* The daemon says so when its sockets are there and its lcores run. */
static bool is_ready(struct fixture *f)
{
	char *text = fixture_log(f);
	bool ready = text && strstr(text, "dpdk-rtc: ready:");
	free(text);
	return ready;
}

void fixture_start(struct fixture *f)
{
	char out_path[96];
	char err_path[96];
	unsigned waited_ms = 0;

	if (!f->store_chosen) {
		fixture_arg(f, "--alarm-store");
		fixture_arg(f, "none");
		f->store_chosen = true;
	}
	snprintf(out_path, sizeof(out_path), "%s/stdout", f->dir);
	snprintf(err_path, sizeof(err_path), "%s/stderr", f->dir);
	assert_int_equal(child_start(&f->daemon, f->args, out_path, err_path), 0);
	while (!is_ready(f)) {
		if (!child_runs(&f->daemon) || waited_ms > FIXTURE_WAIT_MS) {
			bool runs = child_runs(&f->daemon);

			print_log(f);
			child_signal(&f->daemon, SIGKILL);
			fail_msg("the daemon did not start: %s %d after %u ms of sleep",
				runs ? "it runs, and got" : "status",
				child_wait(&f->daemon, FIXTURE_WAIT_MS), waited_ms);
		}
		fixture_sleep_ms(5);
		waited_ms += 5;
	}
}

void fixture_start_one(struct fixture *f)
{
	fixture_arg(f, "--socket-path");
	fixture_arg(f, f->socket);
	fixture_arg(f, "--idle");
	fixture_arg(f, "interrupt");
	fixture_start(f);
}

void fixture_kill(struct fixture *f)
{
	assert_int_equal(child_signal(&f->daemon, SIGKILL), 0);
	assert_int_equal(child_wait(&f->daemon, FIXTURE_WAIT_MS), 128 + SIGKILL);
}

void fixture_stop(struct fixture *f)
{
	int status;

	assert_int_equal(child_signal(&f->daemon, SIGTERM), 0);
	status = child_wait(&f->daemon, FIXTURE_WAIT_MS);
	if (status)
		print_log(f);
	assert_int_equal(status, 0);
	assert_int_equal(access(f->socket, F_OK), -1);
}

/* With all that is in it: the EAL has folders of its own there, where it is told to. */
static int remove_piece(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static void remove_folder(const char *path)
{
	assert_int_equal(nftw(path, remove_piece, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void fixture_fini(struct fixture *f)
{
	remove_folder(f->dir);
	if (f->store[0])
		remove_folder(f->store);
	f->store[0] = '\0';
}

void fixture_end(struct fixture *f)
{
	if (f->daemon.pid != 0)
		fixture_kill(f);
	fixture_fini(f);
}

struct fixture fixture_group;

int fixture_group_setup(void **state)
{
	(void)state;
	fixture_init(&fixture_group);
	fixture_start_one(&fixture_group);
	return 0;
}

int fixture_group_teardown(void **state)
{
	(void)state;
	fixture_stop(&fixture_group);
	fixture_fini(&fixture_group);
	return 0;
}

void fixture_config(const struct fixture *f, struct vfe_config *cfg)
{
	const char *ring = getenv("FIXTURE_RING");

	vfe_config_default(cfg, f->socket);
	cfg->timeout_ms = FIXTURE_WAIT_MS;
	if (ring && strcmp(ring, "packed") == 0) {
		cfg->features |= UINT64_C(1) << VFE_F_RING_PACKED;
		cfg->features_required |= UINT64_C(1) << VFE_F_RING_PACKED;
	}
}

void fixture_connect_as(struct vfe_session *s, const struct vfe_config *cfg)
{
	if (vfe_session_init(s, cfg))
		fail_msg("%s", vfe_error(s));
	if (vfe_session_start(s)) {
		print_message("%s\n", vfe_error(s));
		vfe_session_fini(s);
		fail_msg("no session with %s", cfg->socket_path);
	}
}

void fixture_connect(struct fixture *f, struct vfe_session *s)
{
	struct vfe_config cfg;

	fixture_config(f, &cfg);
	fixture_connect_as(s, &cfg);
}

uint64_t fixture_now_ns(int clock_id)
{
	struct timespec t;

	clock_gettime(clock_id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int fixture_tai_utc_s(void)
{
	FILE *f = fopen("/usr/share/zoneinfo/leap-seconds.list", "re");
	char line[256];
	int last = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		unsigned long ntp_s;
		int offset_s;

		if (line[0] != '#' && sscanf(line, "%lu %d", &ntp_s, &offset_s) == 2)
			last = offset_s;
	}
	fclose(f);
	return last;
}

static void check_clock(
	struct vfe_session *s, uint16_t id, int host_clock, int64_t ahead_ns, const char *name)
{
	uint64_t before_ns = fixture_now_ns(host_clock) + (uint64_t)ahead_ns;
	uint64_t reading_ns = 0;
	int status = vfe_rtc_read(s, id, &reading_ns);
	uint64_t after_ns = fixture_now_ns(host_clock) + (uint64_t)ahead_ns;

	if (status != VIRTIO_RTC_S_OK)
		fail_msg("reading of %s: status or error %d: %s", name, status, vfe_error(s));
	assert_in_range(reading_ns, before_ns, after_ns);
}

void fixture_check_reading(struct vfe_session *s)
{
	check_clock(s, 1, CLOCK_REALTIME, 0, "UTC");
}

void fixture_check_all_clocks(struct vfe_session *s)
{
	/* No smear is under way: the next leap second is none that tzdata knows of. */
	check_clock(s, 0, CLOCK_REALTIME, 0, "UTC_SMEARED");
	check_clock(s, 1, CLOCK_REALTIME, 0, "UTC");
	check_clock(s, 2, CLOCK_REALTIME, fixture_tai_utc_s() * INT64_C(1000000000), "TAI");
	check_clock(s, 3, CLOCK_BOOTTIME, 0, "MONOTONIC");
}
