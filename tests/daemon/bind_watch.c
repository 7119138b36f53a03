/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For LD_PRELOAD: says who has access to a socket after each step by which the daemon makes it, a
 * line a step on standard error: "bind_watch: STEP MODE USER GROUP".
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void say(const char *step, const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		fprintf(stderr, "bind_watch: %s %04o %u %u\n", step, status.st_mode & 07777,
			status.st_uid, status.st_gid);
}

int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
	int rc = (int)syscall(SYS_bind, fd, address, bytes);

	if (rc == 0 && address->sa_family == AF_UNIX)
		say("bind", ((const struct sockaddr_un *)(const void *)address)->sun_path);
	return rc;
}

int chmod(const char *path, mode_t mode)
{
	int rc = (int)syscall(SYS_fchmodat, -100, path, mode);

	say("chmod", path);
	return rc;
}

int fchownat(int fd, const char *path, uid_t user, gid_t group, int flags)
{
	int rc = (int)syscall(SYS_fchownat, fd, path, user, group, flags);
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	say("chown", link);
	return rc;
}
