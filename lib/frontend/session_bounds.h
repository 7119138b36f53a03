/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the waits of a session end, and how long they were. Internal to lib/frontend.
 */
#ifndef VFE_SESSION_BOUNDS_H
#define VFE_SESSION_BOUNDS_H

#include "deadline.h"
#include "session.h"

/** @return the end of a wait that begins now: timeout_ms from now, or the session's own before. */
static inline int64_t vfe_session_deadline(const struct vfe_session *s, unsigned int timeout_ms)
{
	int64_t deadline_ns = vfe_deadline_in_ms(timeout_ms);

	return s->deadline_ns != 0 && s->deadline_ns < deadline_ns ? s->deadline_ns : deadline_ns;
}

/** @return milliseconds since a wait began, for its sentence. */
static inline unsigned int vfe_session_waited_ms(int64_t start_ns)
{
	return (unsigned int)((vfe_now_ns() - start_ns + 500000) / 1000000);
}

/** @return true if queue q is in the session's configuration. */
static inline bool vfe_session_has_queue(const struct vfe_session *s, unsigned int q)
{
	return q < VFE_QUEUES_MAX && (s->cfg.queues >> q & 1) != 0;
}

#endif
