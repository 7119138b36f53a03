/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool is_accepted_on(int fd, const char *path)
{
	struct sockaddr_un name;
	socklen_t bytes = sizeof(name);
	socklen_t int_bytes = sizeof(int);
	int listening = 1;

	memset(&name, 0, sizeof(name));
	if (getsockname(fd, (struct sockaddr *)&name, &bytes) || name.sun_family != AF_UNIX)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_bytes) || listening)
		return false;
	return strncmp(name.sun_path, path, sizeof(name.sun_path)) == 0;
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

		if (end != entry->d_name && *end == '\0' && is_accepted_on(fd, path) &&
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
