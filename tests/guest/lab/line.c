/* SPDX-License-Identifier: BSD-3-Clause */
#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "frontend/deadline.h"

#define PORT "/dev/ttyS1"

static int port_fd = -1;

bool lab_line_open(void)
{
	struct termios raw;

	port_fd = open(PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (port_fd < 0 || tcgetattr(port_fd, &raw))
		return false;
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	return tcsetattr(port_fd, TCSANOW, &raw) == 0;
}

static void write_all(const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(port_fd, text, bytes);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (n > 0) {
			text += n;
			bytes -= (size_t)n;
		}
	}
}

void lab_line_vfact(const char *key, const char *format, va_list args)
{
	char text[1024];
	size_t length = (size_t)snprintf(text, sizeof(text), "%s=", key);

	/* Cut, with room for the end of the line. */
	vsnprintf(text + length, sizeof(text) - length - 1, format, args);
	for (char *c = strchr(text, '\n'); c; c = strchr(c, '\n'))
		*c = ' ';
	length = strlen(text);
	text[length++] = '\n';
	write_all(text, length);
}

void lab_line_fact(const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	lab_line_vfact(key, format, args);
	va_end(args);
}

bool lab_line_read(char *text, size_t size, int timeout_ms)
{
	int64_t deadline_ns = vfe_deadline_in_ms((unsigned int)timeout_ms);
	size_t length = 0;

	for (;;) {
		struct pollfd port = {.fd = port_fd, .events = POLLIN};
		char c;

		if (poll(&port, 1, vfe_deadline_left_ms(deadline_ns)) <= 0 ||
			read(port_fd, &c, 1) != 1)
			return false;
		if (c == '\n')
			break;
		if (length < size - 1)
			text[length++] = c;
	}
	text[length] = '\0';
	return true;
}

void lab_line_drain(void)
{
	tcdrain(port_fd);
}
