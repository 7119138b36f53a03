/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_counter.h: what a host whose CPU's counter is unfit offers, and what telemetry is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest_counter.h"

static const struct vrtc_peer_process nobody;

/* A message with mult 1 and shift 0; see counter_map.h. */
static const char *tell(struct vrtc_guest_counter *c, uint8_t host_counter, bool *changed)
{
	uint8_t message[VRTC_COUNTER_MAP_BYTES] = {'V', 'T', 'C', 'M', VRTC_COUNTER_MAP_VERSION};

	message[6] = VIRTIO_RTC_COUNTER_X86_TSC;
	message[7] = host_counter;
	message[16] = host_counter != VRTC_HOST_COUNTER_NONE;
	return vrtc_guest_counter_message(c, message, sizeof(message), changed);
}

static void unfit_cpu_s_counter_is_not_offered_and_the_sentence_says_why(void **state)
{
	const struct vrtc_pairing pairing = {.cpu_unfit = "it stops"};
	const struct vrtc_counter_config offset = {.choice = VRTC_COUNTER_OFFSET, .offset = 7};
	const struct vrtc_counter_config vmm = {.choice = VRTC_COUNTER_VMM};
	char what[VRTC_GUEST_COUNTER_WHAT_BYTES];
	struct vrtc_guest_counter c;
	bool changed;

	(void)state;
	vrtc_guest_counter_init(&c, &offset, &pairing);
	vrtc_guest_counter_start(&c, &nobody, what);
	assert_string_equal(what, "no cross-timestamps: it stops");
	assert_int_equal(c.offered, VIRTIO_RTC_COUNTER_INVALID);
	/* An emulated counter does not come from the CPU's. */
	vrtc_guest_counter_init(&c, &vmm, &pairing);
	assert_null(tell(&c, VRTC_HOST_COUNTER_MONOTONIC, &changed));
	assert_true(changed);
	vrtc_guest_counter_start(&c, &nobody, what);
	assert_string_equal(what, "cross-timestamps with the guest's X86_TSC, by the VMM");
	assert_int_equal(c.offered, VIRTIO_RTC_COUNTER_X86_TSC);
}

static void vmm_that_cannot_tell_is_told_from_one_that_did_not(void **state)
{
	const struct vrtc_pairing pairing = {.cpu_unfit = NULL};
	const struct vrtc_counter_config vmm = {.choice = VRTC_COUNTER_VMM};
	char what[VRTC_GUEST_COUNTER_WHAT_BYTES];
	struct vrtc_guest_counter c;
	bool changed;

	(void)state;
	vrtc_guest_counter_init(&c, &vmm, &pairing);
	vrtc_guest_counter_start(&c, &nobody, what);
	assert_string_equal(what, "no cross-timestamps: the VMM does not tell the guest's counter");
	vrtc_guest_counter_forget(&c);
	assert_null(tell(&c, VRTC_HOST_COUNTER_NONE, &changed));
	vrtc_guest_counter_start(&c, &nobody, what);
	assert_string_equal(what, "no cross-timestamps: the VMM cannot tell the guest's counter");
	/* Decided once in a connection, whatever comes. */
	assert_null(tell(&c, VRTC_HOST_COUNTER_CPU, &changed));
	assert_true(changed);
	vrtc_guest_counter_start(&c, &nobody, what);
	assert_string_equal(what, "");
	assert_int_equal(c.offered, VIRTIO_RTC_COUNTER_INVALID);
}

static void status_counts_maps_and_pairs_and_gives_doubts_in_ns_rounded_up(void **state)
{
	const struct vrtc_pairing pairing = {
		.counts_per_ns = {[VRTC_HOST_COUNTER_CPU] = 2.0},
	};
	const struct vrtc_counter_config vmm = {.choice = VRTC_COUNTER_VMM};
	struct vrtc_guest_counter_status status;
	char what[VRTC_GUEST_COUNTER_WHAT_BYTES];
	struct vrtc_guest_counter c;
	bool changed;

	(void)state;
	vrtc_guest_counter_init(&c, &vmm, &pairing);
	assert_null(tell(&c, VRTC_HOST_COUNTER_CPU, &changed));
	assert_null(tell(&c, VRTC_HOST_COUNTER_CPU, &changed));
	assert_false(changed);
	vrtc_guest_counter_start(&c, &nobody, what);
	vrtc_guest_counter_note(&c, 101);
	vrtc_guest_counter_note(&c, 40);
	vrtc_guest_counter_status(&c, &status);
	assert_int_equal(status.offered, VIRTIO_RTC_COUNTER_X86_TSC);
	assert_int_equal(status.origin, VRTC_COUNTER_FROM_VMM);
	assert_int_equal(status.generation, 1);
	assert_int_equal(status.map.host_counter, VRTC_HOST_COUNTER_CPU);
	assert_int_equal(status.pairs, 2);
	assert_int_equal(status.doubt_ns, 21);
	assert_int_equal(status.doubt_max_ns, 51);
	/* Without a map there is no rate to tell ns by; and the next connection begins anew. */
	assert_null(tell(&c, VRTC_HOST_COUNTER_NONE, &changed));
	vrtc_guest_counter_status(&c, &status);
	assert_int_equal(status.generation, 2);
	assert_int_equal(status.doubt_ns, 0);
	vrtc_guest_counter_forget(&c);
	vrtc_guest_counter_status(&c, &status);
	assert_int_equal(status.origin, VRTC_COUNTER_FROM_NOWHERE);
	assert_int_equal(status.generation, 0);
	assert_int_equal(status.pairs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unfit_cpu_s_counter_is_not_offered_and_the_sentence_says_why),
		cmocka_unit_test(vmm_that_cannot_tell_is_told_from_one_that_did_not),
		cmocka_unit_test(status_counts_maps_and_pairs_and_gives_doubts_in_ns_rounded_up),
	};

	return cmocka_run_group_tests_name("guest_counter", tests, NULL, NULL);
}
