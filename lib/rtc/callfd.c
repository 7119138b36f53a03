/* SPDX-License-Identifier: BSD-3-Clause */
#include "callfd.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* A descriptor of another kind can make the lcore sleep in write(), whatever its flags. */
static bool is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[32];
	char target[sizeof(wanted)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) == (ssize_t)(sizeof(wanted) - 1) &&
	       memcmp(target, wanted, sizeof(wanted) - 1) == 0;
}

bool vrtc_callfd_check(int callfd, int kickfd)
{
	if ((callfd >= 0 && !is_eventfd(callfd)) || (kickfd >= 0 && !is_eventfd(kickfd)))
		return false;
	/*
	 * The lcore must never sleep in a write. The flag belongs to the open file, which the
	 * front-end shares and could clear again: DESIGN.md, D15.
	 */
	if (callfd >= 0)
		(void)fcntl(callfd, F_SETFL, O_NONBLOCK);
	return true;
}

void vrtc_callfd_signal(int callfd)
{
	uint64_t one = 1;

	if (callfd < 0)
		return;
	/*
	 * It fails where the front-end made the descriptor useless, or where the counter is full
	 * and the interrupt thus pending: nobody to tell.
	 */
	if (write(callfd, &one, sizeof(one)) < 0)
		return;
}
