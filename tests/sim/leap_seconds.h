/* SPDX-License-Identifier: BSD-3-Clause */
/* The leap seconds that are driven through: that of 2016, and two that are invented. */
#ifndef SIM_LEAP_SECONDS_H
#define SIM_LEAP_SECONDS_H

#include "formulas.h"
#include "leap.h"

#define SIM_LEAPS 3

extern const struct sim_leap sim_leap[SIM_LEAPS];

/* The table of all leap seconds, the invented ones behind the real ones; -1: it does not parse. */
int sim_table(struct vrtc_leap_table *table);

#endif
