/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

static __attribute__((format(printf, 2, 3))) void say(char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, VRTC_ALARM_STORE_WHY_BYTES, fmt, args);
	va_end(args);
}

static bool is_tmpfs(const struct statfs *fs)
{
	return fs->f_type == TMPFS_MAGIC || fs->f_type == RAMFS_MAGIC;
}

/* The folder by default: the first candidate whose parent is on a tmpfs. */
static int choose(char *path, size_t bytes)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *parent[] = {geteuid() == 0 ? "/run" : NULL, runtime, "/dev/shm"};
	char name[3][32] = {"dpdk-rtc", "dpdk-rtc", ""};

	snprintf(name[2], sizeof(name[2]), "dpdk-rtc-%u", (unsigned)geteuid());
	for (int i = 0; i < 3; i++) {
		struct statfs fs;

		if (parent[i] && parent[i][0] == '/' && statfs(parent[i], &fs) == 0 &&
			is_tmpfs(&fs) &&
			(size_t)snprintf(path, bytes, "%s/%s", parent[i], name[i]) < bytes)
			return 0;
	}
	return -ENOENT;
}

/* In a folder that others can write to, a file may be replaced under us. */
static int check_folder(int fd, const char *path, char *why)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) || fstatfs(fd, &fs)) {
		int err = errno;

		say(why, "%s: %s", path, strerror(err));
		return -err;
	}
	if (!is_tmpfs(&fs)) {
		say(why,
			"%s is not on a tmpfs; accepted: a folder on one, such as below /run or "
			"/dev/shm",
			path);
		return -EINVAL;
	}
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH)) {
		say(why,
			"%s: others can write to it; accepted: a folder of our user's, mode 0755 "
			"or less",
			path);
		return -EPERM;
	}
	return 0;
}

int vrtc_alarm_store_open(struct vrtc_alarm_store *store, const char *path, char *why)
{
	int fd;
	int rc;

	store->dir_fd = -1;
	if (path) {
		snprintf(store->path, sizeof(store->path), "%s", path);
	} else if (choose(store->path, sizeof(store->path))) {
		say(why, "there is no tmpfs at /run, $XDG_RUNTIME_DIR or /dev/shm");
		return -ENOENT;
	}
	if (mkdir(store->path, 0700) && errno != EEXIST) {
		rc = -errno;
		say(why, "cannot make %s: %s", store->path, strerror(-rc));
		return rc;
	}
	fd = open(store->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		say(why, "cannot open %s: %s", store->path, strerror(-rc));
		return rc;
	}
	rc = check_folder(fd, store->path, why);
	if (rc) {
		close(fd);
		return rc;
	}
	store->dir_fd = fd;
	return 0;
}

static void *map(int fd)
{
	void *memory = mmap(NULL, sizeof(struct vrtc_alarm_ledger), PROT_READ | PROT_WRITE,
		fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return NULL;
	/* So that no turn of an lcore waits for swap; where it is not allowed, it may. */
	(void)mlock(memory, sizeof(struct vrtc_alarm_ledger));
	return memory;
}

/* All of its pages, now: nothing is allocated when an alarm is set. */
static int allocate(int fd)
{
	int err;

	if (ftruncate(fd, 0))
		return -errno;
	err = posix_fallocate(fd, 0, (off_t)sizeof(struct vrtc_alarm_ledger));
	if (err)
		(void)ftruncate(fd, 0);
	return -err;
}

/*
 * The ledger in the device's file; NULL with why where it cannot be had. The descriptor stays open:
 * it holds the lock.
 */
static struct vrtc_alarm_ledger *open_file(const struct vrtc_alarm_store *store, const char *name,
	const struct vrtc_clock *clock, uint16_t n_clocks, enum vrtc_alarm_store_result *result,
	char *why)
{
	struct vrtc_alarm_ledger *ledger = NULL;
	char file[VRTC_ALARM_STORE_PATH_BYTES];
	const char *wrong = NULL;
	struct stat st;
	int fd;
	int rc = 0;

	snprintf(file, sizeof(file), "%s.alarms", name);
	fd = openat(
		store->dir_fd, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) || flock(fd, LOCK_EX | LOCK_NB)) {
		rc = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		rc = -EINVAL;
	} else if (st.st_size == (off_t)sizeof(*ledger)) {
		ledger = map(fd);
		if (!ledger)
			rc = -errno;
		else if (!vrtc_alarm_ledger_check(ledger, sizeof(*ledger), clock, n_clocks, &wrong))
			vrtc_alarm_ledger_init(ledger, clock, n_clocks);
		*result = wrong ? VRTC_ALARM_STORE_DISCARDED : VRTC_ALARM_STORE_KEPT;
	} else {
		if (st.st_size > 0)
			wrong = "is no file of alarms";
		rc = allocate(fd);
		if (rc == 0) {
			ledger = map(fd);
			rc = ledger ? 0 : -errno;
		}
		if (ledger)
			vrtc_alarm_ledger_init(ledger, clock, n_clocks);
		*result = wrong ? VRTC_ALARM_STORE_DISCARDED : VRTC_ALARM_STORE_NEW;
	}
	if (rc) {
		say(why, "%s/%s: %s", store->path, file,
			rc == -EWOULDBLOCK ? "another dpdk-rtc uses it"
			: rc == -EINVAL    ? "is no regular file"
					   : strerror(-rc));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (wrong)
		say(why, "%s/%s %s", store->path, file, wrong);
	return ledger;
}

struct vrtc_alarm_ledger *vrtc_alarm_store_ledger(const struct vrtc_alarm_store *store,
	const char *name, const struct vrtc_clock *clock, uint16_t n_clocks,
	enum vrtc_alarm_store_result *result, char *why)
{
	struct vrtc_alarm_ledger *ledger = NULL;

	why[0] = '\0';
	if (store && store->dir_fd >= 0)
		ledger = open_file(store, name, clock, n_clocks, result, why);
	if (ledger)
		return ledger;
	*result = VRTC_ALARM_STORE_NONE;
	ledger = map(-1);
	if (ledger)
		vrtc_alarm_ledger_init(ledger, clock, n_clocks);
	return ledger;
}
