/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which request lcore serves a device: one on the NUMA node of the guest's memory where there is
 * one, and of those the one that serves the fewest devices. Pure arithmetic; no DPDK, no libnuma.
 */
#ifndef VRTC_PLACEMENT_H
#define VRTC_PLACEMENT_H

/* A lcore that can be chosen. */
struct vrtc_place {
	int node;      /* NUMA node, -1: unknown */
	unsigned load; /* number of devices served */
};

/*
 * @param place  n >= 1 candidates
 * @param node   NUMA node wished for, -1: any
 * @return       index of the place to take: least load on the node, else least load anywhere; the
 *               first of equals
 */
unsigned vrtc_placement_choose(const struct vrtc_place *place, unsigned n, int node);

#endif
