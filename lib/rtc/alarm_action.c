/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm_action.h"

#include <errno.h>
#include <stddef.h>

/* Until actions are built, the one who asks for one is told so, and the rest of alarms works. */
struct vrtc_alarm_action *vrtc_alarm_action_new(
	const char *what, const char *device, const struct vrtc_clock *clock, uint16_t n_clocks)
{
	(void)what;
	(void)device;
	(void)clock;
	(void)n_clocks;
	errno = ENOTSUP;
	return NULL;
}

void vrtc_alarm_action_expire(struct vrtc_alarm_action *a, uint16_t clock_id, uint64_t alarm_ns)
{
	(void)a;
	(void)clock_id;
	(void)alarm_ns;
}

bool vrtc_alarm_action_cancel(struct vrtc_alarm_action *a, uint16_t clock_id)
{
	(void)a;
	(void)clock_id;
	return true;
}

void vrtc_alarm_actions_end(void)
{
}
