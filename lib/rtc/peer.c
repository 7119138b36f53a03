/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool is_named(const struct sockaddr_un *name, const char *path)
{
	return name->sun_family == AF_UNIX &&
	       strncmp(name->sun_path, path, sizeof(name->sun_path)) == 0;
}

static bool is_connection(int fd, const char *path)
{
	struct sockaddr_un ours = {0};
	struct sockaddr_un theirs = {0};
	socklen_t bytes = sizeof(ours);

	/* Of a connected socket, one end is bound to the path; a listening socket has no peer. */
	if (getpeername(fd, (struct sockaddr *)&theirs, &bytes))
		return false;
	bytes = sizeof(ours);
	if (getsockname(fd, (struct sockaddr *)&ours, &bytes))
		return false;
	return is_named(&ours, path) || is_named(&theirs, path);
}

int vrtc_peer_find(const char *path)
{
	DIR *fds = opendir("/proc/self/fd");
	struct dirent *entry;
	int found = -ENOTCONN;

	if (!fds)
		return -errno;
	while (found < 0 && (entry = readdir(fds))) {
		char *end;
		int fd = (int)strtol(entry->d_name, &end, 10);

		if (end != entry->d_name && *end == '\0' && is_connection(fd, path) &&
			!vrtc_peer_is_gone(fd))
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
