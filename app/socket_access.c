/* SPDX-License-Identifier: BSD-3-Clause */
#include "socket_access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_file.h"

/* Not 0777: alarm files are made meanwhile, too, and we are to open them again. */
#define OURS_ALONE 0077
#define EVERYBODY  0777

static bool is_asked_for(const struct app_socket_access *access)
{
	return access->has_mode || access->has_user || access->has_group;
}

mode_t app_socket_access_close(const struct app_device_config *d)
{
	mode_t before;

	if (is_asked_for(&d->access))
		return umask(OURS_ALONE);
	before = umask(OURS_ALONE);
	(void)umask(before);
	return before;
}

/*
 * The socket that we have just made, as a descriptor. In a folder of somebody else's it may be
 * something else by now, which must not be given away: it is ours if no one else could have made
 * it so.
 */
static int open_socket(const char *path)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_uid == geteuid() &&
		status.st_nlink == 1 && (status.st_mode & EVERYBODY) == (EVERYBODY & ~OURS_ALONE))
		return fd;
	close(fd);
	return -EEXIST;
}

/* fchmod() takes no descriptor of O_PATH; fchmodat() takes none of a file before Linux 6.6. */
static int change_mode(int fd, mode_t mode)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, mode) ? -errno : 0;
}

static int change_owner(int fd, uid_t user, gid_t group)
{
	return fchownat(fd, "", user, group, AT_EMPTY_PATH) ? -errno : 0;
}

/*
 * First the group, which has no access yet; then the mode, by which it and others get theirs, and
 * at the end the user, who until then is us.
 */
static int apply(const struct app_socket_access *access, int fd, mode_t before)
{
	int rc = 0;

	if (access->has_group)
		rc = change_owner(fd, (uid_t)-1, access->group);
	if (rc == 0)
		rc = change_mode(fd, access->has_mode ? access->mode : EVERYBODY & ~before);
	if (rc == 0 && access->has_user)
		rc = change_owner(fd, access->user, (gid_t)-1);
	return rc;
}

int app_socket_access_apply(
	const struct app_device_config *d, mode_t before, char *error, unsigned error_bytes)
{
	int fd;
	int rc;

	if (!is_asked_for(&d->access))
		return 0;
	(void)umask(before);
	fd = open_socket(d->socket_path);
	rc = fd;
	if (fd >= 0) {
		rc = apply(&d->access, fd, before);
		close(fd);
	}
	if (rc == 0)
		return 0;
	if (error_bytes > 0)
		error[0] = '\0';
	app_config_append(error, error_bytes, "%s%s: %s; accepted: %s", d->access_origin,
		d->socket_path, strerror(-rc),
		rc == -EPERM
			? "a user and a group that we may give it to; only root gives to others"
			: "a socket in a folder to which only we can write");
	return rc;
}
