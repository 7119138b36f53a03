/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vring*.c and guestmem.c beside a shadow (shadow.h) and on memory whose every byte is accounted
<<<<<<< HEAD
 * for (guest_space.h): a driver that does anything between the calls of the device. After each
 * call the two agree on its result and on the whole of the guest's memory.
=======
 * for (guest_space.h): a driver that does anything between the calls of the device. After each call
 * the two agree on its result and on the whole of the guest's memory.
>>>>>>> bfeb82663be661fedf310ab57d42789eabb2cd89
 *
 * Input: 8 bytes that set the ring up, then steps of a driver or a device, see run_step().
 */
#include <errno.h>

#include "fuzz.h"
#include "shadow.h"
#include "vring_ahead.h"

#define STEPS_MAX     400
#define UNDER_WAY_MAX 256

/* By the first byte of an input. */
static const struct shadow_kind *const kinds[] = {&shadow_split, &shadow_packed};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct both {
	struct vrtc_vring real;
	struct shadow_ring shadow;
	struct vrtc_vring_config config;
	/* Popped and not pushed yet, oldest first. */
	unsigned first;
	unsigned end;
	struct vrtc_chain chain[UNDER_WAY_MAX];
	struct shadow_chain expected[UNDER_WAY_MAX];
};

static struct guest_space space;

static void compare_chains(const struct vrtc_chain *chain, const struct shadow_chain *expected)
{
	unsigned n = 0;

	FUZZ_CHECK(chain->readable_bytes == expected->readable_bytes);
	FUZZ_CHECK(chain->writable_bytes == expected->writable_bytes);
	FUZZ_CHECK(chain->id == expected->id && chain->index == expected->index);
	FUZZ_CHECK(expected->entries == 0 || chain->entries == expected->entries);
	FUZZ_CHECK(memcmp(chain->req, expected->req, sizeof(chain->req)) == 0);
	FUZZ_CHECK(chain->n_segments <= VRTC_RESP_BYTES_MAX);
	for (unsigned i = 0; i < chain->n_segments; i++) {
		const struct vrtc_segment *segment = &chain->segment[i];

		FUZZ_CHECK(segment->bytes > 0);
		for (uint32_t k = 0; k < segment->bytes; k++, n++)
			FUZZ_CHECK(n < expected->n_writable &&
				   segment->g_base + k == expected->g_writable[n]);
	}
	FUZZ_CHECK(n == expected->n_writable);
}

static void compare(const struct both *b)
{
	FUZZ_CHECK((vrtc_vring_fault(&b->real) != NULL) == b->shadow.broken);
	FUZZ_CHECK(vrtc_vring_base(&b->real) == b->shadow.published);
	guest_space_check(&space);
}

/*
 * Whether an area may be there, by its host address: all that the front-end's message leaves of it.
 * Of two regions that show the same memory either will do; the shadow is told which.
 */
static bool area_is_good(const void *g_area, uint64_t bytes, unsigned align, uint64_t *gpa)
{
	uintptr_t at = (uintptr_t)g_area;

	for (unsigned i = 0; i < space.n; i++) {
		const struct space_region *r = &space.region[i];
		uintptr_t base = (uintptr_t)r->g_base;

		if (at < base || (unsigned __int128)at + bytes > (unsigned __int128)base + r->bytes)
			continue;
		*gpa = r->gpa + (at - base);
		return at % align == 0;
	}
	return false;
}

/* Returns whether it could be a ring, broken or not. */
static bool start(struct both *b, uint16_t base)
{
	struct shadow_ring *s = &b->shadow;
	bool good = s->kind->size_is_good(s->size);
	int rc;

	b->config.base = base;
	b->first = b->end = 0;
	rc = vrtc_vring_start(&b->real, &b->config);
	good = good && area_is_good(b->config.g_desc, s->kind->desc_bytes(s), 16, &s->desc_gpa) &&
	       area_is_good(b->config.g_driver, s->kind->driver_bytes(s), s->kind->driver_align,
		       &s->driver_gpa) &&
	       area_is_good(b->config.g_device, s->kind->device_bytes(s), s->kind->device_align,
		       &s->device_gpa);
	FUZZ_CHECK((rc == 0) == good);
	FUZZ_CHECK(rc == 0 || rc == -EINVAL || rc == -EFAULT);
	if (good) {
		s->kind->start(s, base);
	} else {
		FUZZ_CHECK(vrtc_vring_start_error(rc));
		s->broken = true;
		s->published = base;
	}
	compare(b);
	return good;
}

static void pop(struct both *b)
{
	struct vrtc_chain *chain = &b->chain[b->end % UNDER_WAY_MAX];
	struct shadow_chain *expected = &b->expected[b->end % UNDER_WAY_MAX];
	enum vrtc_vring_result result;

	if (b->end - b->first == UNDER_WAY_MAX)
		return;
	memset(chain, 0xa5, sizeof(*chain));
	result = vrtc_vring_pop(&b->real, chain);
	FUZZ_CHECK(result == b->shadow.kind->pop(&b->shadow, expected));
	if (result != VRTC_VRING_CHAIN)
		return;
	compare_chains(chain, expected);
	b->end++;
}

static void push(struct both *b, uint8_t byte)
{
	const struct vrtc_chain *chain = &b->chain[b->first % UNDER_WAY_MAX];
	const struct shadow_chain *expected = &b->expected[b->first % UNDER_WAY_MAX];
	uint32_t bytes = byte % (VRTC_RESP_BYTES_MAX + 1);
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	uint8_t *exact;

	if (b->first == b->end)
		return;
	if (bytes > chain->writable_bytes)
		bytes = chain->writable_bytes;
	for (unsigned i = 0; i < sizeof(resp); i++)
		resp[i] = (uint8_t)(byte + i);
	exact = fuzz_copy(resp, bytes);
	vrtc_vring_push(&b->real, chain, exact, bytes);
	b->shadow.kind->push(&b->shadow, expected, exact, bytes);
	/* Of the huge region there is no image. */
	for (uint32_t i = 0; i < bytes && !b->shadow.broken; i++)
		FUZZ_CHECK(*expected->g_writable[i] ==
			   guest_space_get(&space, expected->g_writable[i]));
	free(exact);
	b->first++;
}

/* A guest address that leads somewhere more often than not. */
static uint64_t take_gpa(struct fuzz_input *in)
{
	uint8_t choice = fuzz_take8(in);
	const struct space_region *r;
	uint16_t offset;

	if ((choice & 15) == 15)
		return fuzz_take64(in);
	r = &space.region[(choice & 7) % space.n];
	offset = fuzz_take16(in);
	/* Of its end, or of its beginning. */
	return choice & 16 ? r->gpa + r->bytes - offset % 1024
			   : r->gpa + offset % SPACE_BLOCK_BYTES;
}

static uint32_t take_length(struct fuzz_input *in)
{
	uint8_t choice = fuzz_take8(in);

	if (choice < 0xc0)
		return choice % 64;
	if (choice < 0xe0)
		return 16u * (choice & 31);
	if (choice < 0xf0)
		return fuzz_take16(in);
	if (choice < 0xf8)
		return UINT32_MAX - (choice & 7);
	return fuzz_take32(in);
}

static void put_descriptor(struct fuzz_input *in, uint64_t at)
{
	struct {
		uint64_t gpa;
		uint32_t bytes;
		uint16_t flags;
		uint16_t next;
	} desc;
	uint8_t flags;

	desc.gpa = take_gpa(in);
	desc.bytes = take_length(in);
	flags = fuzz_take8(in);
	desc.flags = flags & 7;
	if (flags & 0x80)
		desc.flags |= (uint16_t)(flags << 8);
	desc.next = fuzz_take8(in);
	if (flags & 0x40)
		desc.next = (uint16_t)(desc.next << 8 | 1);
	guest_space_write(&space, at, &desc, sizeof(desc));
}

/* What only looks: it says what the shadow says, and changes nothing. */
static void look(struct both *b)
{
	struct shadow_ring *s = &b->shadow;
	struct vrtc_vring_ahead ahead;
	struct vrtc_vring before;

	memcpy(&before, &b->real, sizeof(before));
	vrtc_vring_warm(&b->real);
	FUZZ_CHECK(vrtc_vring_is_waiting(&b->real) == s->kind->is_waiting(s));
	FUZZ_CHECK(s->broken || vrtc_vring_is_at_start(&b->real) == s->kind->is_at_start(s));
	if (vrtc_vring_is_waiting(&b->real))
		for (unsigned i = 1; i <= VRTC_VRING_AHEAD_STEPS; i++)
			vrtc_vring_ahead(&b->real, i, &ahead);
	FUZZ_CHECK(fuzz_is_same(&before, &b->real, sizeof(before)));
}

static void run_step(struct both *b, struct fuzz_input *in)
{
	struct shadow_ring *s = &b->shadow;
	uint8_t step = fuzz_take8(in);
	uint8_t bytes[32];
	uint64_t gpa;
	uint8_t n;

	switch (step % 16) {
	case 0: /* a descriptor of the table */
	case 1:
	case 2:
		put_descriptor(in, s->desc_gpa + (uint64_t)16 * fuzz_take8(in));
		break;
	case 3: /* one anywhere: of an indirect table */
		gpa = take_gpa(in);
		for (n = 0; n <= step >> 4; n++)
			put_descriptor(in, gpa + (uint64_t)16 * n);
		break;
	case 4: /* a chain is offered */
	case 5:
	case 6:
		s->kind->offer(s, step & 0x80 ? fuzz_take16(in) : (uint16_t)(step >> 4));
		break;
	case 7: /* bytes anywhere: requests, and rings */
		gpa = take_gpa(in);
		n = fuzz_take8(in) % (sizeof(bytes) + 1);
		fuzz_take(in, bytes, n);
		guest_space_write(&space, gpa, bytes, n);
		break;
	case 8: /* the words of the driver's area: flags, index, used_event */
		fuzz_take(in, bytes, 2);
		guest_space_write(&space,
			s->driver_gpa + (step & 0x80 ? s->kind->driver_bytes(s) - 2
						     : 2 * (uint64_t)(step >> 4)),
			bytes, 2);
		break;
	case 9:
	case 10:
		pop(b);
		break;
	case 11:
		push(b, fuzz_take8(in));
		break;
	case 12:
		FUZZ_CHECK(vrtc_vring_publish(&b->real) == s->kind->publish(s));
		break;
	case 13: /* serve all there is, as a poller does */
		for (unsigned i = 0; i < 8; i++) {
			pop(b);
			push(b, (uint8_t)(step + 24));
		}
		FUZZ_CHECK(vrtc_vring_publish(&b->real) == s->kind->publish(s));
		break;
	case 14:
		if (step & 0x10) {
			vrtc_vring_kick_disable(&b->real);
			s->kind->kick_disable(s);
		} else if (step & 0x20) {
			FUZZ_CHECK(vrtc_vring_kick_enable(&b->real) == s->kind->kick_enable(s));
		} else if (step & 0x40) {
			vrtc_vring_leave(&b->real);
			s->kind->leave(s);
		} else {
			look(b);
		}
		break;
	default: /* another process goes on, where this one was or elsewhere */
		if (step & 0x40)
			s->kind->be_killed(s);
		(void)start(b, (uint16_t)(vrtc_vring_base(&b->real) +
					  (step & 0x80 ? fuzz_take16(in) : step >> 4 & 3)));
		break;
	}
	/* What the driver does is in both memories: there is nothing to compare. */
	if (step % 16 >= 9)
		compare(b);
}

/* The areas, one behind the other, or wherever the input has them. */
static void place_ring(struct both *b, struct fuzz_input *in, uint8_t flags)
{
	struct shadow_ring *s = &b->shadow;
	uint64_t at = space.region[space.n - 2].gpa + 64;

	s->desc_gpa = at;
	at += s->kind->desc_bytes(s);
	s->driver_gpa = at;
	at = (at + s->kind->driver_bytes(s) + 3) & ~UINT64_C(3);
	s->device_gpa = at;
	if (flags & 4)
		s->desc_gpa = take_gpa(in);
	if (flags & 8)
		s->driver_gpa = take_gpa(in);
	if (flags & 16)
		s->device_gpa = take_gpa(in);
	b->config.g_desc = guest_space_at(&space, s->desc_gpa);
	b->config.g_driver = guest_space_at(&space, s->driver_gpa);
	b->config.g_device = guest_space_at(&space, s->device_gpa);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct both b;
	struct fuzz_input in = {data, bytes};
	uint8_t flags;
	uint8_t size;
	uint16_t base;

	if (!space.g_block[0])
		guest_space_map(&space);
	memset(&b, 0, sizeof(b));
	b.shadow.space = &space;
	b.shadow.kind = kinds[fuzz_take8(&in) % N_KINDS];
	guest_space_lay_out(&space, fuzz_take8(&in));
	flags = fuzz_take8(&in);
	b.shadow.event_idx = flags & 1;
	b.shadow.indirect = flags & 2;
	size = fuzz_take8(&in);
	b.shadow.size = b.shadow.kind->size_of(size);
	place_ring(&b, &in, flags);
	base = fuzz_take16(&in);
	b.config.mem = &space.mem;
	b.config.size = (uint16_t)b.shadow.size;
	b.config.packed = b.shadow.kind == &shadow_packed;
	b.config.event_idx = b.shadow.event_idx;
	b.config.indirect = b.shadow.indirect;

	base = b.shadow.kind->prepare(&b.shadow, base, !(flags & 32), !(flags & 64));
	if (!start(&b, base)) {
		b.shadow.broken = true;
		FUZZ_CHECK(vrtc_vring_pop(&b.real, &b.chain[0]) == VRTC_VRING_BROKEN);
		FUZZ_CHECK(!vrtc_vring_publish(&b.real) && !vrtc_vring_kick_enable(&b.real));
		vrtc_vring_kick_disable(&b.real);
		vrtc_vring_warm(&b.real);
		compare(&b);
		return 0;
	}
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
		run_step(&b, &in);
	return 0;
}
