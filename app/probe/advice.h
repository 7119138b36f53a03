/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an operator can do about an error of the probe. Main thread only.
 */
#ifndef PROBE_ADVICE_H
#define PROBE_ADVICE_H

#include <stddef.h>

#include "probe.h"

/**
 * Writes one or more lines, each ended, none longer than a terminal.
 *
 * @param p       as the failed call left it
 * @param result  of that call: -errno, or a status above 0
 */
void probe_advise(const struct probe *p, int result, char *text, size_t text_bytes);

#endif
