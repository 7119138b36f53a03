/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alarm_store.c on the tmpfs of this machine: what it refuses, and says, and what is found again by
 * the next process. Where /dev/shm is no tmpfs, there is nothing to test it on.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "alarm_store.h"
#include "refuser.h"
#include "wire.h"

static const struct vrtc_clock clocks[] = {
	{.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true}, {.type = VIRTIO_RTC_CLOCK_TAI}};
static char parent[64];
static char folder[96];
static char why[VRTC_ALARM_STORE_WHY_BYTES];
static struct vrtc_alarm_store store;

/* What a case makes of this machine. */
static int user = -1;      /* who we are taken for; -1: who we are */
static const char *tmpfs;  /* the one folder that is on a tmpfs; NULL: as it is */
static bool makes_nothing; /* folders are not made */

uid_t real_geteuid(void) __asm__("__real_geteuid");
uid_t seen_geteuid(void) __asm__("__wrap_geteuid");
int real_mkdir(const char *path, mode_t mode) __asm__("__real_mkdir");
int seen_mkdir(const char *path, mode_t mode) __asm__("__wrap_mkdir");
int real_statfs(const char *path, struct statfs *fs) __asm__("__real_statfs64");
int seen_statfs(const char *path, struct statfs *fs) __asm__("__wrap_statfs64");

uid_t seen_geteuid(void)
{
	return user < 0 ? real_geteuid() : (uid_t)user;
}

int seen_mkdir(const char *path, mode_t mode)
{
	if (!makes_nothing)
		return real_mkdir(path, mode);
	errno = EROFS;
	return -1;
}

int seen_statfs(const char *path, struct statfs *fs)
{
	int rc = real_statfs(path, fs);

	if (rc == 0 && tmpfs)
		fs->f_type = strcmp(path, tmpfs) == 0 ? RAMFS_MAGIC : EXT4_SUPER_MAGIC;
	return rc;
}

static int begin(void **state)
{
	(void)state;
	snprintf(parent, sizeof(parent), "/dev/shm/dpdk-rtc-test-XXXXXX");
	if (!mkdtemp(parent))
		return -1;
	snprintf(folder, sizeof(folder), "%s/store", parent);
	why[0] = '\0';
	return 0;
}

/* What a test has left, by its name. */
static int end(void **state)
{
	static const char *const left[] = {
		"store/vm.alarms", "store/other.alarms", "store", "link"};
	char path[160];

	(void)state;
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", parent, left[i]);
		if (unlink(path))
			(void)rmdir(path);
	}
	if (store.dir_fd >= 0)
		close(store.dir_fd);
	store.dir_fd = -1;
	return rmdir(parent);
}

static void open_store(void)
{
	struct statfs fs;

	assert_int_equal(statfs("/dev/shm", &fs), 0);
	if (fs.f_type != TMPFS_MAGIC)
		skip();
	if (vrtc_alarm_store_open(&store, folder, why))
		fail_msg("%s", why);
}

static struct vrtc_alarm_ledger *ledger(const char *name, enum vrtc_alarm_store_result expected)
{
	enum vrtc_alarm_store_result result;
	struct vrtc_alarm_ledger *l =
		vrtc_alarm_store_ledger(&store, name, clocks, 2, &result, why);

	assert_non_null(l);
	assert_int_equal(result, expected);
	return l;
}

/* A file of the store, as its name in there. */
static void file_path(char *path, size_t bytes)
{
	snprintf(path, bytes, "%s/vm.alarms", folder);
}

static void write_file(const void *what, size_t bytes)
{
	char path[160];
	int fd;

	file_path(path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, what, bytes), bytes);
	close(fd);
}

static void a_folder_that_is_missing_is_made_for_us_alone(void **state)
{
	struct stat st;

	(void)state;
	open_store();
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_string_equal(store.path, folder);
}

static void without_its_parent_it_is_not_made(void **state)
{
	char path[160];

	(void)state;
	snprintf(path, sizeof(path), "%s/none/store", parent);
	assert_int_equal(vrtc_alarm_store_open(&store, path, why), -ENOENT);
	assert_non_null(strstr(why, "cannot make "));
	assert_int_equal(store.dir_fd, -1);
}

static void a_folder_that_others_can_write_to_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, 0770), 0);
	assert_int_equal(vrtc_alarm_store_open(&store, folder, why), -EPERM);
	assert_non_null(strstr(why, "others can write to it; accepted: a folder of our user's"));
	assert_int_equal(store.dir_fd, -1);
}

static void a_folder_that_is_a_link_or_a_file_is_refused(void **state)
{
	char path[160];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/link", parent);
	assert_int_equal(symlink("/dev/shm", path), 0);
	assert_int_not_equal(vrtc_alarm_store_open(&store, path, why), 0);
	assert_non_null(strstr(why, "cannot open "));
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(vrtc_alarm_store_open(&store, path, why), -ENOTDIR);
	assert_int_equal(store.dir_fd, -1);
}

static void a_folder_that_is_not_on_a_tmpfs_is_refused(void **state)
{
	(void)state;
	assert_int_equal(vrtc_alarm_store_open(&store, "/proc", why), -EINVAL);
	assert_non_null(strstr(why, "is not on a tmpfs; accepted: a folder on one"));
	assert_int_equal(store.dir_fd, -1);
}

static void by_default_it_is_below_the_first_that_is_on_a_tmpfs(void **state)
{
	const struct {
		int user;
		const char *runtime; /* $XDG_RUNTIME_DIR */
		const char *tmpfs;
		const char *said;
	} choices[] = {
		{0, parent, "/run", "cannot make /run/dpdk-rtc: "},
		{1000, parent, parent, "cannot make /dev/shm/dpdk-rtc-test-"},
		{1000, NULL, "/dev/shm", "cannot make /dev/shm/dpdk-rtc-1000: "},
		{0, NULL, "/dev/shm", "cannot make /dev/shm/dpdk-rtc-0: "},
		/* Who is not root has no folder in /run, and what is no absolute path is none. */
		{1000, NULL, "/run", "there is no tmpfs at /run, $XDG_RUNTIME_DIR or /dev/shm"},
		{1000, "run", "run", "there is no tmpfs at /run, $XDG_RUNTIME_DIR or /dev/shm"},
		{0, "/dev/shm/none", "", "there is no tmpfs at /run, $XDG_RUNTIME_DIR or "},
	};
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *was = runtime ? strdup(runtime) : NULL;

	(void)state;
	makes_nothing = true;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (choices[i].runtime)
			setenv("XDG_RUNTIME_DIR", choices[i].runtime, 1);
		else
			unsetenv("XDG_RUNTIME_DIR");
		user = choices[i].user;
		tmpfs = choices[i].tmpfs;
		assert_true(vrtc_alarm_store_open(&store, NULL, why) < 0);
		assert_ptr_equal(strstr(why, choices[i].said), why);
		assert_int_equal(store.dir_fd, -1);
	}
	makes_nothing = false;
	user = -1;
	tmpfs = NULL;
	if (was)
		setenv("XDG_RUNTIME_DIR", was, 1);
	else
		unsetenv("XDG_RUNTIME_DIR");
	free(was);
}

static void a_folder_of_another_user_s_is_refused(void **state)
{
	(void)state;
	open_store();
	close(store.dir_fd);
	user = (int)real_geteuid() + 1;
	assert_int_equal(vrtc_alarm_store_open(&store, folder, why), -EPERM);
	assert_non_null(strstr(why, "others can write to it; accepted: "));
	user = -1;
}

static void a_folder_that_cannot_be_opened_or_looked_at_is_told_and_left_closed(void **state)
{
	unsigned descriptors;

	(void)state;
	open_store();
	close(store.dir_fd);
	descriptors = refuser_descriptors();
	for (unsigned nth = 1; nth <= 3; nth++) {
		refuser_begin(nth, EIO);
		assert_int_equal(vrtc_alarm_store_open(&store, folder, why), -EIO);
		assert_true(refuser_end());
		assert_non_null(strstr(why, strerror(EIO)));
		assert_int_equal(store.dir_fd, -1);
		assert_int_equal(refuser_descriptors(), descriptors);
	}
}

/* Alarms are kept in memory then, and the operator is told. */
static void a_file_that_cannot_be_had_is_told_and_its_alarms_live_without_it(void **state)
{
	enum vrtc_alarm_store_result result;
	struct vrtc_alarm_ledger *l;

	(void)state;
	open_store();
	/* Opened, looked at, locked, cut, filled, mapped. */
	for (unsigned nth = 1; nth <= 6; nth++) {
		unsigned descriptors = refuser_descriptors();

		refuser_begin(nth, EIO);
		l = vrtc_alarm_store_ledger(&store, "vm", clocks, 2, &result, why);
		assert_true(refuser_end());
		assert_non_null(l);
		assert_int_equal(result, VRTC_ALARM_STORE_NONE);
		assert_non_null(strstr(why, "vm.alarms: "));
		assert_non_null(strstr(why, strerror(EIO)));
		assert_int_equal(refuser_descriptors(), descriptors);
		(void)munmap(l, sizeof(*l));
	}
	/* The last one left it filled with zeroes, which is no file of alarms, and is mapped. */
	refuser_begin(4, EIO);
	l = vrtc_alarm_store_ledger(&store, "vm", clocks, 2, &result, why);
	assert_true(refuser_end());
	assert_int_equal(result, VRTC_ALARM_STORE_NONE);
	(void)munmap(l, sizeof(*l));
	(void)ledger("vm", VRTC_ALARM_STORE_DISCARDED);
}

static void without_memory_there_is_no_ledger(void **state)
{
	enum vrtc_alarm_store_result result;

	(void)state;
	refuser_begin(1, ENOMEM);
	assert_null(vrtc_alarm_store_ledger(NULL, "vm", clocks, 2, &result, why));
	assert_true(refuser_end());
}

static void what_is_set_is_found_by_the_next_process(void **state)
{
	struct vrtc_alarm_ledger *l, *again;

	(void)state;
	open_store();
	l = ledger("vm", VRTC_ALARM_STORE_NEW);
	assert_string_equal(why, "");
	atomic_store(&l->answered_serial, 42);
	/* Its file is locked as long as the process lives: for the next one, it is made by hand. */
	again = malloc(sizeof(*again));
	assert_non_null(again);
	memcpy(again, l, sizeof(*again));
	{
		char path[160];

		file_path(path, sizeof(path));
		assert_int_equal(unlink(path), 0);
	}
	write_file(again, sizeof(*again));
	free(again);
	again = ledger("vm", VRTC_ALARM_STORE_KEPT);
	assert_int_equal(atomic_load(&again->answered_serial), 42);
	assert_string_equal(why, "");
	(void)munmap(l, sizeof(*l));
	(void)munmap(again, sizeof(*again));
}

static void a_file_in_use_is_left_alone_and_nothing_is_kept(void **state)
{
	struct vrtc_alarm_ledger *l, *other;

	(void)state;
	open_store();
	l = ledger("vm", VRTC_ALARM_STORE_NEW);
	other = ledger("vm", VRTC_ALARM_STORE_NONE);
	assert_non_null(strstr(why, "vm.alarms: another dpdk-rtc uses it"));
	assert_ptr_not_equal(l, other);
	atomic_store(&other->answered_serial, 7);
	assert_int_equal(atomic_load(&l->answered_serial), 0);
	(void)munmap(l, sizeof(*l));
	(void)munmap(other, sizeof(*other));
}

static void a_file_of_another_size_is_replaced(void **state)
{
	struct vrtc_alarm_ledger *l;

	(void)state;
	open_store();
	write_file("too short", 9);
	l = ledger("vm", VRTC_ALARM_STORE_DISCARDED);
	assert_non_null(strstr(why, "vm.alarms is no file of alarms"));
	assert_int_equal(l->n_clocks, 2);
	(void)munmap(l, sizeof(*l));
}

static void a_damaged_file_is_replaced(void **state)
{
	struct vrtc_alarm_ledger *l, *bad = calloc(1, sizeof(*bad));

	(void)state;
	assert_non_null(bad);
	open_store();
	memset(bad, 0xa5, sizeof(*bad));
	write_file(bad, sizeof(*bad));
	free(bad);
	l = ledger("vm", VRTC_ALARM_STORE_DISCARDED);
	assert_non_null(strstr(why, "vm.alarms is "));
	assert_int_equal(l->n_clocks, 2);
	(void)munmap(l, sizeof(*l));
}

static void what_is_no_regular_file_is_not_opened_for_alarms(void **state)
{
	struct vrtc_alarm_ledger *l;
	char path[160];

	(void)state;
	open_store();
	file_path(path, sizeof(path));
	assert_int_equal(mkfifo(path, 0600), 0);
	l = ledger("vm", VRTC_ALARM_STORE_NONE);
	assert_non_null(strstr(why, "vm.alarms: is no regular file"));
	(void)munmap(l, sizeof(*l));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("other.alarms", path), 0);
	l = ledger("vm", VRTC_ALARM_STORE_NONE);
	assert_non_null(strstr(why, "vm.alarms: "));
	(void)munmap(l, sizeof(*l));
}

static void without_a_store_alarms_live_as_long_as_the_process(void **state)
{
	enum vrtc_alarm_store_result result = VRTC_ALARM_STORE_KEPT;
	struct vrtc_alarm_ledger *l = vrtc_alarm_store_ledger(NULL, "vm", clocks, 2, &result, why);

	(void)state;
	assert_non_null(l);
	assert_int_equal(result, VRTC_ALARM_STORE_NONE);
	assert_string_equal(why, "");
	assert_int_equal(l->n_clocks, 2);
	(void)munmap(l, sizeof(*l));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_folder_that_is_missing_is_made_for_us_alone),
		CASE(without_its_parent_it_is_not_made),
		CASE(a_folder_that_others_can_write_to_is_refused),
		CASE(a_folder_that_is_a_link_or_a_file_is_refused),
		CASE(a_folder_that_is_not_on_a_tmpfs_is_refused),
		CASE(by_default_it_is_below_the_first_that_is_on_a_tmpfs),
		CASE(a_folder_of_another_user_s_is_refused),
		CASE(a_folder_that_cannot_be_opened_or_looked_at_is_told_and_left_closed),
		CASE(a_file_that_cannot_be_had_is_told_and_its_alarms_live_without_it),
		CASE(without_memory_there_is_no_ledger),
		CASE(what_is_set_is_found_by_the_next_process),
		CASE(a_file_in_use_is_left_alone_and_nothing_is_kept),
		CASE(a_file_of_another_size_is_replaced),
		CASE(a_damaged_file_is_replaced),
		CASE(what_is_no_regular_file_is_not_opened_for_alarms),
		CASE(without_a_store_alarms_live_as_long_as_the_process),
	};

	store.dir_fd = -1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
