/* SPDX-License-Identifier: BSD-3-Clause */
#include "counter.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>

#define KERNELS_NAME              "tsc\n"
#define ADVANCED_POWER_MANAGEMENT 0x80000007
#define INVARIANT_TSC             (1u << 8)
#elif defined(__aarch64__)
#define KERNELS_NAME "arch_sys_counter\n"
#else
#define KERNELS_NAME ""
#endif

static bool kernel_counts_by_it(void)
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
	return name[0] && strcmp(name, KERNELS_NAME) == 0;
}

enum vrtc_counter vrtc_counter_choose(void)
{
	return kernel_counts_by_it() ? VRTC_COUNTER_CPU : VRTC_COUNTER_MONOTONIC_RAW;
}

/* The architecture says so of arm64's; of the TSC, the CPU has to. */
static bool is_constant(void)
{
#if defined(__x86_64__)
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(ADVANCED_POWER_MANAGEMENT, &eax, &ebx, &ecx, &edx) &&
	       edx & INVARIANT_TSC;
#else
	return true;
#endif
}

const char *vrtc_counter_unfit(void)
{
	if (KERNELS_NAME[0] == '\0')
		return "this processor's counter is none that VIRTIO knows";
	if (!is_constant())
		return "the CPU does not say that its counter is constant (invariant TSC)";
	if (!kernel_counts_by_it())
		return "the kernel does not keep time by the CPU's counter (see "
		       "/sys/devices/system/clocksource/clocksource0/current_clocksource)";
	return NULL;
}
