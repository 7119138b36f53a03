/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For LD_PRELOAD: a CLOCK_REALTIME that a test can step, for the daemon alone. What is added to the
 * kernel's time, in nanoseconds, is an int64_t in the file that $STEPPED_CLOCK names.
 *
 * The kernel knows nothing of these steps, so no timer is cancelled by them: a daemon that sleeps
 * does not notice. (Steps of the kernel's own clock are made in the laboratory of tests/guest.)
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t *_Atomic step_ns;

static const int64_t *map_step(void)
{
	static const int64_t none;
	const char *path = getenv("STEPPED_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0) {
		map = mmap(NULL, sizeof(*step_ns), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	return map == MAP_FAILED ? &none : map;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, now);
	int64_t ns;

	if (rc || clock != CLOCK_REALTIME)
		return rc;
	/* Two threads may map it at once, and both get it right. */
	if (!step_ns)
		step_ns = map_step();
	ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec +
	     __atomic_load_n(step_ns, __ATOMIC_RELAXED);
	now->tv_sec = ns / 1000000000;
	now->tv_nsec = ns % 1000000000;
	return 0;
}
