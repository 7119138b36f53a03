/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab.h"

#define SOCKET_PATH "/run/dpdk/dpdk-rtc/dpdk_telemetry.v2"

int lab_telemetry_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char greeting[1024];

	lab_check(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0,
		SOCKET_PATH ": %s", strerror(errno));
	lab_check(read(fd, greeting, sizeof(greeting)) > 0, "telemetry does not greet");
	return fd;
}

void lab_telemetry_ask(int fd, const char *command, char *answer, size_t size)
{
	ssize_t n;

	lab_check(write(fd, command, strlen(command)) > 0, "telemetry: %s", strerror(errno));
	n = read(fd, answer, size - 1);
	lab_check(n > 0, "telemetry does not answer %s", command);
	answer[n] = '\0';
}

long long lab_telemetry_number(const char *answer, const char *name)
{
	char quoted[64];
	const char *found;

	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	found = strstr(answer, quoted);
	lab_check(found, "there is no %s in %s", name, answer);
	return strtoll(found + strlen(quoted), NULL, 10);
}
