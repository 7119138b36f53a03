/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm_qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "nstime.h"

/* Between the capabilities and the answer QEMU has a handful to tell. */
#define EVENTS_MAX 256
#define DESC_MAX   120

/* ---- A line. */

enum line_kind { LINE_OTHER, LINE_GREETING, LINE_RETURN, LINE_ERROR, LINE_EVENT };

struct span {
	const char *at;
	size_t bytes;
};

static bool span_is(struct span s, const char *text)
{
	return s.bytes == strlen(text) && memcmp(s.at, text, s.bytes) == 0;
}

static size_t skip_blanks(const char *line, size_t bytes, size_t i)
{
	while (i < bytes && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
		i++;
	return i;
}

/* The string that begins behind the quote at i; its end is bytes if there is no closing quote. */
static struct span string_at(const char *line, size_t bytes, size_t i)
{
	size_t end = i + 1;

	while (end < bytes && line[end] != '"')
		end += line[end] == '\\' && end + 1 < bytes ? 2 : 1;
	return (struct span){line + i + 1, (end < bytes ? end : bytes) - (i + 1)};
}

static enum line_kind kind_of_key(struct span key)
{
	if (span_is(key, "QMP"))
		return LINE_GREETING;
	if (span_is(key, "return"))
		return LINE_RETURN;
	if (span_is(key, "error"))
		return LINE_ERROR;
	return span_is(key, "event") ? LINE_EVENT : LINE_OTHER;
}

/*
 * What a line is: the first of the known keys of its object. It walks over strings and brackets
 * alone, so that a key within a value or within a string is not mistaken; a string in front of a
 * colon is a key. A line that is no whole object is LINE_OTHER. *desc is the text of an error as
 * JSON has it, with its escapes.
 */
static enum line_kind classify(const char *line, size_t bytes, struct span *desc)
{
	enum line_kind kind = LINE_OTHER;
	size_t i = skip_blanks(line, bytes, 0);
	unsigned depth = 0;

	*desc = (struct span){"", 0};
	if (i == bytes || line[i] != '{')
		return LINE_OTHER;
	for (; i < bytes; i++) {
		if (line[i] == '{' || line[i] == '[') {
			depth++;
		} else if (line[i] == '}' || line[i] == ']') {
			if (--depth == 0)
				break;
		} else if (line[i] == '"') {
			struct span string = string_at(line, bytes, i);
			size_t next;

			i += string.bytes + 1;
			next = skip_blanks(line, bytes, i + 1);
			if (next >= bytes)
				return LINE_OTHER;
			if (line[next] != ':')
				continue;
			next = skip_blanks(line, bytes, next + 1);
			if (depth == 1 && kind == LINE_OTHER)
				kind = kind_of_key(string);
			else if (depth == 2 && kind == LINE_ERROR && span_is(string, "desc") &&
				 next < bytes && line[next] == '"')
				*desc = string_at(line, bytes, next);
		}
	}
	if (i >= bytes || skip_blanks(line, bytes, i + 1) != bytes)
		return LINE_OTHER;
	return kind;
}

/* For the log: what is not printable, or too long, is not shown. */
static void print_desc(struct span desc, char text[DESC_MAX + 1])
{
	size_t n = desc.bytes < DESC_MAX ? desc.bytes : DESC_MAX;

	for (size_t i = 0; i < n; i++) {
		text[i] = desc.at[i];
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
	text[n] = '\0';
}

/* ---- The socket. */

static int64_t remaining_ns(const struct vrtc_qmp *q)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return q->deadline_ns - ((int64_t)now.tv_sec * VRTC_NS_PER_S + now.tv_nsec);
}

/* Takes the bytes that are there, after a wait until there are some. awaited is for *why. */
static enum vrtc_action_end receive(
	struct vrtc_qmp *q, const char *awaited, struct vrtc_action_why *why)
{
	struct pollfd readable = {.fd = q->fd, .events = POLLIN};
	int64_t left_ns = remaining_ns(q);
	ssize_t n;

	if (q->first > 0) {
		memmove(q->buf, q->buf + q->first, q->past - q->first);
		q->past -= q->first;
		q->first = 0;
	}
	if (q->past == sizeof(q->buf))
		return vrtc_action_fail(why, VRTC_ACTION_NOT_UNDERSTOOD,
			"a line of more than %zu bytes instead of %s", sizeof(q->buf), awaited);
	/* Rounded up: a poll() that times out has reached the deadline. */
	if (left_ns <= 0 || poll(&readable, 1, (int)(left_ns / 1000000) + 1) == 0)
		return vrtc_action_fail(why, VRTC_ACTION_TIMED_OUT, "no %s in time%s", awaited,
			strcmp(awaited, "greeting") == 0 ? "; QMP serves one client at a time, "
							   "another may be connected"
							 : "");
	n = recv(q->fd, q->buf + q->past, sizeof(q->buf) - q->past, MSG_DONTWAIT);
	if (n == 0)
		return vrtc_action_fail(
			why, VRTC_ACTION_HUNG_UP, "the connection ended before the %s", awaited);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return vrtc_action_fail(why, VRTC_ACTION_HUNG_UP,
			"the connection broke before the %s: %s", awaited, strerror(errno));
	if (n > 0)
		q->past += (size_t)n;
	return VRTC_ACTION_DONE;
}

static enum vrtc_action_end read_line(
	struct vrtc_qmp *q, struct span *line, const char *awaited, struct vrtc_action_why *why)
{
	size_t seen = 0; /* of what is received, and without the line's end */
	enum vrtc_action_end end;

	for (;;) {
		const char *at = q->buf + q->first;
		const char *newline = memchr(at + seen, '\n', q->past - q->first - seen);

		if (newline) {
			*line = (struct span){at, (size_t)(newline - at)};
			q->first += line->bytes + 1;
			return VRTC_ACTION_DONE;
		}
		seen = q->past - q->first;
		end = receive(q, awaited, why);
		if (end != VRTC_ACTION_DONE)
			return end;
	}
}

/* The next line that is no event. desc points into the buffer, until the next call. */
static enum vrtc_action_end read_reply(struct vrtc_qmp *q, enum line_kind *kind, struct span *desc,
	const char *awaited, struct vrtc_action_why *why)
{
	for (unsigned events = 0; events <= EVENTS_MAX; events++) {
		struct span line;
		enum vrtc_action_end end = read_line(q, &line, awaited, why);

		if (end != VRTC_ACTION_DONE)
			return end;
		*kind = classify(line.at, line.bytes, desc);
		if (*kind != LINE_EVENT)
			return VRTC_ACTION_DONE;
	}
	return vrtc_action_fail(why, VRTC_ACTION_NOT_UNDERSTOOD,
		"more than %d events before the %s", EVENTS_MAX, awaited);
}

static enum vrtc_action_end send_line(
	struct vrtc_qmp *q, const char *line, struct vrtc_action_why *why)
{
	size_t bytes = strlen(line);
	ssize_t sent = send(q->fd, line, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return vrtc_action_fail(
			why, VRTC_ACTION_HUNG_UP, "cannot send: %s", strerror(errno));
	/* Our first 70 bytes on this connection: no peer that reads lacks the room for them. */
	if ((size_t)sent != bytes)
		return vrtc_action_fail(why, VRTC_ACTION_HUNG_UP, "cannot send: no room");
	return VRTC_ACTION_DONE;
}

static enum vrtc_action_end connect_to(
	struct vrtc_qmp *q, const char *path, struct vrtc_action_why *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int64_t left_ns = remaining_ns(q);
	/* 0 would be no limit at all. */
	struct timeval limit = {.tv_usec = 1};

	if (strlen(path) >= sizeof(address.sun_path))
		return vrtc_action_fail(why, VRTC_ACTION_UNREACHABLE, "the path is too long");
	memcpy(address.sun_path, path, strlen(path));
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (q->fd < 0)
		return vrtc_action_fail(
			why, VRTC_ACTION_NO_MEANS, "no socket: %s", strerror(errno));
	if (left_ns > 1000) {
		limit.tv_sec = left_ns / VRTC_NS_PER_S;
		limit.tv_usec = left_ns % VRTC_NS_PER_S / 1000;
	}
	/*
	 * The kernel bounds a connect() to a UNIX socket by the send timeout. A non-blocking one
	 * would fail with EAGAIN while the backlog is full, and nothing tells when it is not.
	 */
	if (setsockopt(q->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return vrtc_action_fail(
			why, VRTC_ACTION_NO_MEANS, "SO_SNDTIMEO: %s", strerror(errno));
	if (connect(q->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return VRTC_ACTION_DONE;
	if (errno == EAGAIN || errno == EINPROGRESS)
		return vrtc_action_fail(why, VRTC_ACTION_TIMED_OUT,
			"not connected in time; QMP serves one client at a time, others wait");
	return vrtc_action_fail(
		why, VRTC_ACTION_UNREACHABLE, "cannot connect: %s", strerror(errno));
}

static enum vrtc_action_end shake_hands(struct vrtc_qmp *q, struct vrtc_action_why *why)
{
	enum line_kind kind = LINE_OTHER;
	struct span desc;
	char text[DESC_MAX + 1];
	enum vrtc_action_end end = read_reply(q, &kind, &desc, "greeting", why);

	if (end != VRTC_ACTION_DONE)
		return end;
	if (kind != LINE_GREETING)
		return vrtc_action_fail(why, VRTC_ACTION_NOT_UNDERSTOOD,
			"what came is no greeting of QMP's: is this QEMU's QMP socket?");
	end = send_line(q, "{\"execute\": \"qmp_capabilities\"}\n", why);
	if (end == VRTC_ACTION_DONE)
		end = read_reply(q, &kind, &desc, "answer to qmp_capabilities", why);
	if (end != VRTC_ACTION_DONE || kind == LINE_RETURN)
		return end;
	if (kind != LINE_ERROR)
		return vrtc_action_fail(why, VRTC_ACTION_NOT_UNDERSTOOD,
			"the answer to qmp_capabilities is neither a return nor an error");
	print_desc(desc, text);
	return vrtc_action_fail(why, VRTC_ACTION_REFUSED, "qmp_capabilities: %s", text);
}

enum vrtc_action_end vrtc_qmp_open(
	struct vrtc_qmp *q, const char *path, int64_t deadline_ns, struct vrtc_action_why *why)
{
	enum vrtc_action_end end;

	q->fd = -1;
	q->deadline_ns = deadline_ns;
	q->first = 0;
	q->past = 0;
	end = connect_to(q, path, why);
	if (end == VRTC_ACTION_DONE)
		end = shake_hands(q, why);
	if (end != VRTC_ACTION_DONE)
		vrtc_qmp_close(q);
	return end;
}

enum vrtc_action_end vrtc_qmp_send_wakeup(struct vrtc_qmp *q, struct vrtc_action_why *why)
{
	return send_line(q, "{\"execute\": \"system_wakeup\"}\n", why);
}

enum vrtc_action_end vrtc_qmp_finish(struct vrtc_qmp *q, struct vrtc_action_why *why)
{
	enum line_kind kind = LINE_OTHER;
	struct span desc;
	char text[DESC_MAX + 1];
	enum vrtc_action_end end = read_reply(q, &kind, &desc, "answer to system_wakeup", why);

	if (end != VRTC_ACTION_DONE || kind == LINE_RETURN)
		return end;
	if (kind != LINE_ERROR)
		return vrtc_action_fail(why, VRTC_ACTION_NOT_UNDERSTOOD,
			"the answer to system_wakeup is neither a return nor an error");
	print_desc(desc, text);
	/*
	 * All of QEMU's errors have the class GenericError, so that the words alone tell this one
	 * ("Unable to wake up: guest is not in suspended state") from a guest that cannot be woken.
	 * Were they changed, a line would be logged that need not be.
	 */
	if (strstr(text, "not in suspended state"))
		return vrtc_action_fail(why, VRTC_ACTION_NOT_NEEDED, "%s", text);
	return vrtc_action_fail(why, VRTC_ACTION_REFUSED, "system_wakeup: %s", text);
}

void vrtc_qmp_close(struct vrtc_qmp *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
}
