/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An alarm that the probe sets itself, to see whether it comes and how late.
 *
 * It takes the place of what a guest has set on that clock, which is set again afterwards; disabled
 * if it has expired meanwhile, since setting an alarm that is past lets it expire once more.
 *
 * Main thread only; allocates nothing.
 */
#ifndef PROBE_ALARM_H
#define PROBE_ALARM_H

#include "probe.h"

/* How far ahead the alarm is set. */
#define PROBE_ALARM_AHEAD_NS 1000000000

/**
 * Sets the alarm of options.alarm_clock and waits for its notification; what was found is in
 * p->alarm. Nothing if no alarm is asked for.
 *
 * @param p  discovered
 * @return   0 or -errno with vfe_error(&p->session); -ENODEV no such clock, or it has no alarm
 */
int probe_alarm(struct probe *p);

#endif
