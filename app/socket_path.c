/* SPDX-License-Identifier: BSD-3-Clause */
#include "socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_file.h"

static __attribute__((format(printf, 5, 6))) int fail(const struct app_device_config *d, int err,
	char *error, unsigned error_bytes, const char *fmt, ...)
{
	va_list args;

	if (error_bytes > 0)
		error[0] = '\0';
	app_config_append(error, error_bytes, "%s%s: ", d->origin, d->socket_path);
	va_start(args, fmt);
	app_config_vappend(error, error_bytes, fmt, args);
	va_end(args);
	return -err;
}

/* The folder of the device's socket; as many bytes as the path has are enough. */
static void find_folder(const struct app_device_config *d, char folder[sizeof(d->socket_path)])
{
	char *slash;

	memcpy(folder, d->socket_path, sizeof(d->socket_path));
	slash = strrchr(folder, '/');
	if (!slash)
		memcpy(folder, ".", 2);
	else if (slash == folder)
		slash[1] = '\0';
	else
		*slash = '\0';
}

static int check_folder(const struct app_device_config *d, char *error, unsigned error_bytes)
{
	char folder[sizeof(d->socket_path)];
	struct stat status;

	find_folder(d, folder);
	if (stat(folder, &status)) {
		int err = errno;

		return fail(d, err, error, error_bytes,
			"the folder %s: %s; accepted: a socket in a folder that exists", folder,
			strerror(err));
	}
	if (!S_ISDIR(status.st_mode))
		return fail(d, ENOTDIR, error, error_bytes,
			"%s is no folder; accepted: a socket in a folder that exists", folder);
	/* effective ids, which is what bind() goes by */
	if (!d->client && faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS)) {
		int err = errno;

		return fail(d, err, error, error_bytes,
			"the folder %s: %s; accepted: a socket in a folder that we may write to",
			folder, strerror(err));
	}
	return 0;
}

/* 0: nobody listens; otherwise the errno that says why that is not known to be so. */
static int find_listener(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0;

	if (fd < 0)
		return errno;
	memcpy(address.sun_path, path, strlen(path) + 1);
	/* EAGAIN: its backlog is full, so it has one. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		err = EADDRINUSE;
	else if (errno != ECONNREFUSED && errno != ENOENT)
		err = errno;
	close(fd);
	return err;
}

static int look(const struct app_device_config *d, bool *stale, char *error, unsigned error_bytes)
{
	struct stat status;
	int err;

	*stale = false;
	if (strnlen(d->socket_path, sizeof(d->socket_path)) == sizeof(d->socket_path))
		return -ENAMETOOLONG; /* config.c has not let it pass */
	err = check_folder(d, error, error_bytes);
	if (err || d->client)
		return err;

	/* Not stat(): behind a symbolic link there may be anything, and the link is somebody's. */
	if (lstat(d->socket_path, &status)) {
		err = errno;
		return err == ENOENT ? 0
				     : fail(d, err, error, error_bytes,
					       "%s; accepted: a path that is free", strerror(err));
	}
	if (!S_ISSOCK(status.st_mode))
		return fail(d, EEXIST, error, error_bytes,
			"exists and is %s, not a socket; accepted: a path that is free",
			S_ISDIR(status.st_mode)   ? "a folder"
			: S_ISLNK(status.st_mode) ? "a symbolic link"
			: S_ISREG(status.st_mode) ? "a file"
						  : "something else");
	err = find_listener(d->socket_path);
	if (err == EADDRINUSE)
		return fail(d, EADDRINUSE, error, error_bytes,
			"is in use: another process listens on it; accepted: a path that is free");
	if (err == EPROTOTYPE)
		return fail(d, EADDRINUSE, error, error_bytes,
			"is in use: another process has a socket of another kind there; accepted: "
			"a path that is free");
	if (err)
		return fail(d, EADDRINUSE, error, error_bytes,
			"exists, and whether it is in use cannot be told (%s); accepted: a path "
			"that is free",
			strerror(err));
	*stale = true;
	return 0;
}

int app_socket_check(const struct app_device_config *d, char *error, unsigned error_bytes)
{
	bool stale;

	return look(d, &stale, error, error_bytes);
}

int app_socket_remove_stale(const struct app_device_config *d, char *error, unsigned error_bytes)
{
	bool stale;
	int err = look(d, &stale, error, error_bytes);

	if (err || !stale)
		return err;
	if (unlink(d->socket_path) && errno != ENOENT) {
		err = errno;
		return fail(d, err, error, error_bytes,
			"is left over from another process and cannot be removed: %s; accepted: a "
			"path that is free",
			strerror(err));
	}
	return 0;
}

int app_socket_lock_folder(const struct app_device_config *d)
{
	char folder[sizeof(d->socket_path)];
	int fd;

	find_folder(d, folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* flock() has no time limit of its own. */
	for (unsigned tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && tries < 100; tries++)
		usleep(10000);
	return fd;
}
