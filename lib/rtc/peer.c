/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The same socket may have been bound by another name for it. */
static bool is_named(const struct sockaddr_un *name, const char *path)
{
	char bound[sizeof(name->sun_path) + 1];
	struct stat theirs;
	struct stat ours;

	if (name->sun_family != AF_UNIX)
		return false;
	snprintf(bound, sizeof(bound), "%.*s", (int)sizeof(name->sun_path), name->sun_path);
	if (strcmp(bound, path) == 0)
		return true;
	return bound[0] == '/' && stat(bound, &theirs) == 0 && stat(path, &ours) == 0 &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

static bool is_connection(int fd, const char *path, bool client)
{
	struct sockaddr_un ours = {0};
	struct sockaddr_un theirs = {0};
	socklen_t bytes = sizeof(theirs);

	/* A listening socket has no peer. */
	if (getpeername(fd, (struct sockaddr *)&theirs, &bytes))
		return false;
	bytes = sizeof(ours);
	if (getsockname(fd, (struct sockaddr *)&ours, &bytes))
		return false;
	return is_named(client ? &theirs : &ours, path);
}

int vrtc_peer_find(const char *path, bool client)
{
	DIR *fds = opendir("/proc/self/fd");
	struct dirent *entry;
	int found = -ENOTCONN;

	if (!fds)
		return -errno;
	while ((entry = readdir(fds))) {
		char *end;
		int fd = (int)strtol(entry->d_name, &end, 10);

		if (end == entry->d_name || *end != '\0' || !is_connection(fd, path, client) ||
			vrtc_peer_is_gone(fd))
			continue;
		if (client && found >= 0) {
			/* The name is of who listens, and two cannot both be right about it. */
			found = -ENOTUNIQ;
			break;
		}
		found = fd;
	}
	closedir(fds);
	return found;
}

bool vrtc_peer_is_gone(int fd)
{
	struct pollfd peer = {.fd = fd, .events = POLLRDHUP};

	return poll(&peer, 1, 0) == 1 && peer.revents & (POLLRDHUP | POLLHUP);
}

void vrtc_peer_hang_up(const char *path, bool client)
{
	int found = vrtc_peer_find(path, client);
	int fd = found < 0 ? -1 : fcntl(found, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return;
	/* rte_vhost may have closed it meanwhile; its number may be another one's, ours is not. */
	if (is_connection(fd, path, client))
		(void)shutdown(fd, SHUT_RDWR);
	close(fd);
}

void vrtc_peer_bound_waits(int fd, unsigned timeout_s)
{
	const struct timeval bound = {.tv_sec = timeout_s};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
}

/* The 22nd field of /proc/PID/stat; the second is a name that may hold anything, in parentheses. */
static bool read_start_ticks(pid_t pid, uint64_t *ticks)
{
	char path[32];
	char stat[1024];
	const char *at;
	size_t bytes;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	bytes = fread(stat, 1, sizeof(stat) - 1, file);
	fclose(file);
	stat[bytes] = '\0';
	at = strrchr(stat, ')');
	for (int field = 3; at && field <= 22; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	*ticks = strtoull(at + 1, NULL, 10);
	return *ticks != 0;
}

bool vrtc_peer_process(int fd, struct vrtc_peer_process *process)
{
	socklen_t bytes = sizeof(struct ucred);
	struct ucred peer;

	*process = (struct vrtc_peer_process){0};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) || peer.pid <= 0 ||
		!read_start_ticks(peer.pid, &process->start_ticks))
		return false;
	process->pid = (uint64_t)peer.pid;
	return true;
}

bool vrtc_peer_process_runs(const struct vrtc_peer_process *process)
{
	uint64_t start_ticks;

	return process->pid > 0 && process->pid <= INT32_MAX &&
	       read_start_ticks((pid_t)process->pid, &start_ticks) &&
	       start_ticks == process->start_ticks;
}
