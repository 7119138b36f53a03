/* SPDX-License-Identifier: BSD-3-Clause */
/* What is the same for both kinds of ring, and no hot path. */
#include "vring.h"

#include <errno.h>

#include "vring_chain.h"
#include "vring_kinds.h"

int vrtc_vring_start(struct vrtc_vring *ring, const struct vrtc_vring_config *config)
{
	uint64_t size = config->size;

	*ring = (struct vrtc_vring){
		.mem = config->mem,
		.fault = "the areas or the size of the queue are not those of a ring",
		.g_desc = (void *)(uintptr_t)config->g_desc,
		.g_driver = config->g_driver,
		.g_device = config->g_device,
		.kind = VRTC_VRING_KIND_BROKEN,
		.size = config->size,
		.event_idx = config->event_idx,
		.indirect = config->indirect,
		.avail_next = config->base,
		.avail_seen = config->base,
		.used_next = config->base,
		.used_published = config->base,
		.dirty =
			{
				.g_bits = config->g_dirty_bits,
				.bytes = config->dirty_bytes,
				.g_device = config->g_device,
				.device_gpa = config->log_guest_addr,
			},
	};
	if (size == 0 || size > VRTC_VRING_SIZE_MAX || config->mem == NULL ||
		config->g_desc == NULL || (uintptr_t)config->g_desc % DESC_BYTES != 0 ||
		config->g_driver == NULL || config->g_device == NULL)
		return -EINVAL;
	if (!vrtc_guestmem_holds(config->mem, config->g_desc, size * DESC_BYTES))
		return -EFAULT;
	return config->packed ? vrtc_vring_packed_start(ring, config)
			      : vrtc_vring_split_start(ring, config);
}

const char *vrtc_vring_start_error(int rc)
{
	return rc == -EFAULT ? "a ring lies outside of the guest's memory"
			     : "a ring is missing, misaligned or of a bad size";
}

void vrtc_vring_warm(const struct vrtc_vring *ring)
{
	struct vrtc_vring copy = *ring;
	struct vrtc_chain chain;

	/* All that a pop changes is in the copy. */
	if (vrtc_vring_pop(&copy, &chain) != VRTC_VRING_CHAIN)
		return;
	for (unsigned i = 0; i < chain.n_segments; i++)
		(void)__atomic_load_n(chain.segment[i].g_base, __ATOMIC_RELAXED);
	if (ring->kind == VRTC_VRING_KIND_SPLIT)
		vrtc_vring_split_warm(ring);
}

void vrtc_vring_mark_response(
	const struct vrtc_vring *ring, const struct vrtc_chain *chain, uint32_t resp_bytes)
{
	uint32_t left = resp_bytes;

	for (const struct vrtc_segment *segment = chain->segment; left != 0; segment++) {
		uint32_t bytes = left < segment->bytes ? left : segment->bytes;

		mark(ring, segment->g_base, bytes);
		left -= bytes;
	}
}

void vrtc_vring_leave(struct vrtc_vring *ring)
{
	if (ring->kind == VRTC_VRING_KIND_PACKED)
		vrtc_vring_packed_leave(ring);
}

bool vrtc_vring_is_at_start(const struct vrtc_vring *ring)
{
	if (ring->kind == VRTC_VRING_KIND_PACKED)
		return vrtc_vring_packed_is_at_start(ring);
	return ring->used_published == 0;
}
