/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Once around all the devices of an lcore (D48): some sessions at a time are looked at, and those
 * in which something waits are served before the next are. With more than one waiting, the cache
 * fetches first what serving them will touch (vring_ahead.h).
 *
 * Threads: the lcore that polls these sessions. See vrtc_session_poll() for what it does not do.
 */
#ifndef VRTC_TURN_H
#define VRTC_TURN_H

#include "session.h"

/*
 * @param session  n of them, running; a session is served no more than VRTC_SESSION_BUDGET requests
 * @return         how many requests were served; 0: all of them are idle
 */
unsigned vrtc_turn(struct vrtc_session *const *session, unsigned n);

#endif
