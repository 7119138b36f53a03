/* SPDX-License-Identifier: BSD-3-Clause */
/* What both kinds of ring have: words of the image, and what a list of buffers amounts to. */
#include "shadow.h"

#include "fuzz.h"

uint64_t shadow_get(const struct shadow_ring *ring, uint64_t gpa, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0) {
		const uint8_t *g_byte = guest_space_at(ring->space, gpa + bytes);

		FUZZ_CHECK(g_byte);
		value = value << 8 | guest_space_get(ring->space, g_byte);
	}
	return value;
}

void shadow_expect(struct shadow_ring *ring, uint64_t gpa, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		guest_space_expect(ring->space, guest_space_at(ring->space, gpa + i),
			(uint8_t)(value >> 8 * i));
}

struct shadow_buffer shadow_get_descriptor(const struct shadow_ring *ring, uint64_t gpa)
{
	return (struct shadow_buffer){
		.gpa = shadow_get(ring, gpa, 8),
		.bytes = (uint32_t)shadow_get(ring, gpa + 8, 4),
		.flags = (uint16_t)shadow_get(ring, gpa + 12, 2),
		.next = (uint16_t)shadow_get(ring, gpa + 14, 2),
	};
}

bool shadow_judge(
	struct shadow_ring *ring, const struct shadow_list *list, struct shadow_chain *chain)
{
	uint64_t bytes[2] = {0, 0};
	bool write_seen = false;

	memset(chain->req, 0, sizeof(chain->req));
	chain->n_writable = 0;
	for (unsigned i = 0; i < list->n; i++) {
		const struct shadow_buffer *buffer = &list->buffer[i];
		bool write = buffer->flags & SHADOW_WRITE;

		if (write_seen && !write)
			return false;
		write_seen = write;
		if (!guest_space_holds(ring->space, buffer->gpa, buffer->bytes))
			return false;
		for (uint32_t k = 0; k < buffer->bytes && bytes[write] + k < 24; k++) {
			uint8_t *g_byte = guest_space_at(ring->space, buffer->gpa + k);

			if (write)
				chain->g_writable[chain->n_writable++] = g_byte;
			else
				chain->req[bytes[write] + k] = guest_space_get(ring->space, g_byte);
		}
		bytes[write] += buffer->bytes;
	}
	if (bytes[0] + bytes[1] > (uint64_t)1 << 32)
		return false;
	chain->readable_bytes = bytes[0] > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes[0];
	chain->writable_bytes = bytes[1] > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes[1];
	return true;
}
