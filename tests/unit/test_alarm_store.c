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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "alarm_store.h"
#include "wire.h"

static const struct vrtc_clock clocks[] = {
	{.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true}, {.type = VIRTIO_RTC_CLOCK_TAI}};
static char parent[64];
static char folder[96];
static char why[VRTC_ALARM_STORE_WHY_BYTES];
static struct vrtc_alarm_store store;

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
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *was = runtime ? strdup(runtime) : NULL;
	char expected[160];

	(void)state;
	if (geteuid() == 0)
		skip(); /* /run comes before */
	snprintf(expected, sizeof(expected), "%s/dpdk-rtc", parent);
	setenv("XDG_RUNTIME_DIR", parent, 1);
	assert_int_equal(vrtc_alarm_store_open(&store, NULL, why), 0);
	assert_string_equal(store.path, expected);
	assert_int_equal(rmdir(expected), 0);
	if (was)
		setenv("XDG_RUNTIME_DIR", was, 1);
	else
		unsetenv("XDG_RUNTIME_DIR");
	free(was);
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
