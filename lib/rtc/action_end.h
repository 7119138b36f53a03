/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How one attempt at an alarm action ended, and the words for the log if it failed. The kind says
 * which failures are the same: one of a kind is logged until an attempt succeeds, so that neither a
 * guest that sets alarms nor a hostile peer can fill the log.
 */
#ifndef VRTC_ACTION_END_H
#define VRTC_ACTION_END_H

#include <stdarg.h>
#include <stdio.h>

enum vrtc_action_end {
	VRTC_ACTION_DONE,
	VRTC_ACTION_NOT_NEEDED, /* the guest is awake */
	/* Failures. */
	VRTC_ACTION_NO_MEANS, /* no thread, no memory, no descriptor */
	VRTC_ACTION_UNREACHABLE,
	VRTC_ACTION_HUNG_UP,
	VRTC_ACTION_TIMED_OUT,
	VRTC_ACTION_NOT_UNDERSTOOD,
	VRTC_ACTION_REFUSED,
	VRTC_ACTION_NOT_STARTED,
	VRTC_ACTION_BAD_STATUS,
};

struct vrtc_action_why {
	char text[256];
};

/* Returns end, with the reason in *why. */
static inline enum vrtc_action_end __attribute__((format(printf, 3, 4)))
vrtc_action_fail(struct vrtc_action_why *why, enum vrtc_action_end end, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return end;
}

#endif
