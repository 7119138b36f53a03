/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's memory with one queue in it, as far as a driver and a front-end make it. */
#ifndef GUEST_RINGS_H
#define GUEST_RINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "session.h"

#define GUEST_GPA         0x100000u
#define GUEST_BYTES       65536u
#define GUEST_QUEUE_SIZE  64u
#define GUEST_DRIVER_AT   4096u
#define GUEST_DEVICE_AT   8192u
#define GUEST_REQUEST_AT  16384u
#define GUEST_RESPONSE_AT 32768u
#define GUEST_TABLES_AT   40960u
#define GUEST_SLOT_BYTES  64u /* of a request, and of a response */

struct guest_rings {
	bool packed;
	uint16_t offered;
	uint8_t *g_mem;
};

void guest_rings_make(struct guest_rings *guest, bool packed);
void guest_rings_free(struct guest_rings *guest);

/* The queue as rte_vhost would hand it out, with VIRTIO_F_VERSION_1 and VIRTIO_RTC_F_ALARM. */
struct vrtc_session_ring guest_rings_queue(const struct guest_rings *guest);

/* Offers a request of 24 bytes, all zero but for its type, with 24 bytes for the response. */
void guest_rings_offer(struct guest_rings *guest, uint16_t msg_type);

/* The same as an indirect table of n descriptors. */
void guest_rings_offer_long(struct guest_rings *guest, unsigned n);

/*
 * How many buffers the driver has been shown as used, counted as a driver would; of a packed queue
 * those of guest_rings_offer(), in the first lap.
 */
unsigned guest_rings_shown(const struct guest_rings *guest);

#endif
