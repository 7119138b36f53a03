/* SPDX-License-Identifier: BSD-3-Clause */
#include "counter.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define KERNELS_NAME "tsc\n"
#elif defined(__aarch64__)
#define KERNELS_NAME "arch_sys_counter\n"
#else
#define KERNELS_NAME ""
#endif

enum vrtc_counter vrtc_counter_choose(void)
{
	static const char path[] =
		"/sys/devices/system/clocksource/clocksource0/current_clocksource";
	char name[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, name, sizeof(name) - 1) < 0)
			name[0] = '\0';
		close(fd);
	}
	return name[0] && strcmp(name, KERNELS_NAME) == 0 ? VRTC_COUNTER_CPU
							  : VRTC_COUNTER_MONOTONIC_RAW;
}
