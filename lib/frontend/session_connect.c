/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket of a session: connecting to a back-end, or listening for one. */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "session_bounds.h"

/* Between two attempts to connect. */
#define RETRY_NS 10000000

/* One attempt. -EAGAIN: somebody listens, and has no room for another connection now. */
static int try_connect(struct vfe_session *s, const struct sockaddr_un *addr)
{
	struct stat st;
	int err;

	/* connect() to a plain file says "refused", which sends an operator the wrong way. */
	if (stat(s->cfg.socket_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	s->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->sock < 0)
		return -errno;
	if (connect(s->sock, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return 0;
	err = -errno;
	close(s->sock);
	s->sock = -1;
	return err;
}

/* Listens at the path, once in a session's life. */
static int listen_at(struct vfe_session *s, const struct sockaddr_un *addr)
{
	int err;

	if (s->listen_fd >= 0)
		return 0;
	/* A socket that nobody listens on is a left-over. Anything else is not ours to remove. */
	err = try_connect(s, addr);
	if (err == -ECONNREFUSED)
		unlink(s->cfg.socket_path);
	vfe_session_disconnect(s);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return vfe_session_fail(s, -errno, "socket: %s", strerror(errno));
	if (bind(s->listen_fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
		listen(s->listen_fd, 1) < 0) {
		err = vfe_session_fail(
			s, -errno, "listening on %s: %s", s->cfg.socket_path, strerror(errno));
		close(s->listen_fd);
		s->listen_fd = -1;
		return err;
	}
	return 0;
}

/* The address of the configuration's socket. */
static int address(struct vfe_session *s, struct sockaddr_un *addr)
{
	size_t path_bytes = strlen(s->cfg.socket_path);

	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (path_bytes >= sizeof(addr->sun_path))
		return vfe_session_fail(s, -ENAMETOOLONG,
			"%.100s...: a socket path has at most %zu bytes", s->cfg.socket_path,
			sizeof(addr->sun_path) - 1);
	memcpy(addr->sun_path, s->cfg.socket_path, path_bytes);
	return 0;
}

int vfe_session_listen(struct vfe_session *s)
{
	struct sockaddr_un addr;
	int err = address(s, &addr);

	return err ? err : listen_at(s, &addr);
}

static int accept_backend(struct vfe_session *s)
{
	int64_t start_ns = vfe_now_ns();
	int64_t deadline_ns = vfe_session_deadline(s, s->cfg.timeout_ms);

	for (;;) {
		struct pollfd pfd = {.fd = s->listen_fd, .events = POLLIN};
		int n;

		s->sock = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (s->sock >= 0 && !vfe_msg_is_closed(s->sock))
			return 0;
		if (s->sock >= 0) {
			/* Somebody who looked whether we listen, and is gone. */
			vfe_session_disconnect(s);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			return vfe_session_fail(s, -errno, "accepting on %s: %s",
				s->cfg.socket_path, strerror(errno));
		n = poll(&pfd, 1, vfe_deadline_left_ms(deadline_ns));
		if (n == 0)
			return vfe_session_fail(s, -ETIMEDOUT,
				"no back-end connected to %s within %u ms", s->cfg.socket_path,
				vfe_session_waited_ms(start_ns));
	}
}

int vfe_session_connect(struct vfe_session *s)
{
	struct sockaddr_un addr;
	int64_t start_ns = vfe_now_ns();
	int64_t retry_until_ns = vfe_session_deadline(s, s->cfg.connect_ms);
	int64_t busy_until_ns = vfe_session_deadline(s, s->cfg.timeout_ms);
	int err;

	vfe_session_disconnect(s);
	err = address(s, &addr);
	if (err)
		return err;
	if (s->cfg.listen) {
		err = listen_at(s, &addr);
		return err ? err : accept_backend(s);
	}
	for (;;) {
		const struct timespec pause = {.tv_nsec = RETRY_NS};
		int64_t now_ns = vfe_now_ns();

		err = try_connect(s, &addr);
		if (!err)
			return 0;
		if (err == -EAGAIN && now_ns >= busy_until_ns)
			return vfe_session_fail(s, -ETIMEDOUT,
				"%s: the listener did not take the connection within %u ms",
				s->cfg.socket_path, vfe_session_waited_ms(start_ns));
		if (err != -EAGAIN &&
			(now_ns >= retry_until_ns || (err != -ENOENT && err != -ECONNREFUSED)))
			return vfe_session_fail(
				s, err, "connecting to %s: %s", s->cfg.socket_path, strerror(-err));
		nanosleep(&pause, NULL);
	}
}

void vfe_session_disconnect(struct vfe_session *s)
{
	if (s->sock >= 0)
		close(s->sock);
	s->sock = -1;
	s->protocol = 0;
	for (unsigned int q = 0; q < VFE_QUEUES_MAX; q++)
		s->queues[q].started = false;
}
