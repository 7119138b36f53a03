/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line to the operator, through rte_log's type "rtc" (level: --log-level=rtc:debug of the EAL).
 * For the control threads alone: an lcore that serves requests never logs.
 */
#ifndef VRTC_LOG_H
#define VRTC_LOG_H

#include <rte_log.h>

extern int vrtc_logtype;

/* level: ERR, WARNING, NOTICE, INFO or DEBUG; the line's end is added here. */
#define VRTC_LOG(level, fmt, ...)                                                                  \
	rte_log(RTE_LOG_##level, (uint32_t)vrtc_logtype, "dpdk-rtc: " fmt "\n", ##__VA_ARGS__)

#endif
