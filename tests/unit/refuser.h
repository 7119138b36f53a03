/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel and a library that refuse one call of those that the code under test makes, and count
 * what it has: for tests of what is left behind by what could not be made. Linked with --wrap of
 * each (meson.build has the list).
 */
#ifndef REFUSER_H
#define REFUSER_H

#include <stdbool.h>

/* From now on the n-th of the calls fails with that error; 0: none does. */
void refuser_begin(unsigned nth, int err);

/* Whether it was called so often; nothing is refused from now on. */
bool refuser_end(void);

/* How many pieces of memory there are, and descriptors of this process. */
long refuser_memory(void);
unsigned refuser_descriptors(void);

/* What a timerfd was set to last. */
struct itimerspec;
void refuser_last_timer(struct itimerspec *timer);

#endif
