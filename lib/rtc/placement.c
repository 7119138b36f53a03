/* SPDX-License-Identifier: BSD-3-Clause */
#include "placement.h"

#include <assert.h>
#include <stdbool.h>

unsigned vrtc_placement_choose(const struct vrtc_place *place, unsigned n, int node)
{
	bool best_is_local = false;
	unsigned best = 0;

	assert(n > 0);
	for (unsigned i = 0; i < n; i++) {
		bool local = node >= 0 && place[i].node == node;

		if (i == 0 || (local && !best_is_local) ||
			(local == best_is_local && place[i].load < place[best].load)) {
			best = i;
			best_is_local = local;
		}
	}
	return best;
}
