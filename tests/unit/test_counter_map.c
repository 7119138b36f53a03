/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counter_map.h, against arithmetic of another make: products digit by digit, with the sign kept
 * apart. The message is written by hand, and what may be in it is said a second time, byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counter_map.h"
#include "wire.h"

static uint64_t seed;

static uint64_t next_random(void)
{
	uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Of all sizes alike, and often one beside a power of two. */
static uint64_t next_random_size(void)
{
	unsigned bits = (unsigned)(next_random() % 64);

	switch (next_random() % 3) {
	case 0:
		return (UINT64_C(1) << bits) + next_random() % 3 - 1;
	case 1:
		return UINT64_MAX - (next_random() >> bits);
	default:
		return next_random() >> bits;
	}
}

/* ---- Numbers of 192 bits, not negative: digits of 32 bits, the least first. */

#define DIGITS 6

struct big {
	uint32_t digit[DIGITS];
};

static struct big product(uint64_t a, uint64_t b)
{
	const uint32_t x[2] = {(uint32_t)a, (uint32_t)(a >> 32)};
	const uint32_t y[2] = {(uint32_t)b, (uint32_t)(b >> 32)};
	struct big sum = {{0}};

	for (unsigned i = 0; i < 2; i++) {
		uint64_t carry = 0;

		for (unsigned j = 0; j < 2; j++) {
			carry += (uint64_t)x[i] * y[j] + sum.digit[i + j];
			sum.digit[i + j] = (uint32_t)carry;
			carry >>= 32;
		}
		sum.digit[i + 2] = (uint32_t)carry;
	}
	return sum;
}

/* A bit at a time; returns whether one that was set fell out. */
static uint32_t halve(struct big *n)
{
	uint32_t carry = 0;

	for (unsigned i = DIGITS; i-- > 0;) {
		uint32_t out = n->digit[i] & 1;

		n->digit[i] = n->digit[i] >> 1 | carry << 31;
		carry = out;
	}
	return carry;
}

/* guest_base + floor((host - host_base) * mult / 2^shift), modulo 2^64. */
static uint64_t expected(const struct vrtc_counter_map *map, uint64_t host)
{
	uint64_t since = host - map->host_base;
	int negative = since >> 63 != 0;
	struct big n = product(negative ? 0 - since : since, map->mult);
	uint32_t lost = 0;
	uint64_t whole;

	for (unsigned i = 0; i < map->shift; i++)
		lost |= halve(&n);
	whole = (uint64_t)n.digit[1] << 32 | n.digit[0];
	if (!negative)
		return map->guest_base + whole;
	return map->guest_base - whole - lost;
}

static void assert_exact(const struct vrtc_counter_map *map, uint64_t host)
{
	uint64_t guest = vrtc_counter_map_apply(map, host);

	if (guest != expected(map, host))
		fail_msg("host %#llx of map mult %#llx shift %u host_base %#llx guest_base %#llx: "
			 "%#llx instead of %#llx",
			(unsigned long long)host, (unsigned long long)map->mult, map->shift,
			(unsigned long long)map->host_base, (unsigned long long)map->guest_base,
			(unsigned long long)guest, (unsigned long long)expected(map, host));
}

/* ---- The arithmetic. */

/* By hand, so that expected() is not believed for its own sake. */
static void some_values_that_were_worked_out_by_hand(void **state)
{
	struct vrtc_counter_map map = {.host_counter = VRTC_HOST_COUNTER_CPU,
		.mult = 3,
		.shift = 1,
		.host_base = 100,
		.guest_base = 1000};
	static const struct {
		uint64_t host, guest;
	} at[] = {
		{100, 1000},
		{101, 1001}, /* 1.5, down */
		{102, 1003},
		{99, 998}, /* -1.5, down */
		{98, 997},
		{0, 850},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		assert_int_equal(vrtc_counter_map_apply(&map, at[i].host), at[i].guest);
		assert_exact(&map, at[i].host);
	}
	map = (struct vrtc_counter_map){.mult = UINT64_MAX, .shift = 127};
	/* The most and the least that a product can be: (2^63-1)(2^64-1), -2^63 (2^64-1). */
	assert_true(vrtc_counter_map_apply(&map, INT64_MAX) == 0);
	assert_true(vrtc_counter_map_apply(&map, UINT64_C(1) << 63) == UINT64_MAX);
	map.shift = 63;
	assert_true(vrtc_counter_map_apply(&map, INT64_MAX) == UINT64_MAX - 2);
	assert_true(vrtc_counter_map_apply(&map, UINT64_C(1) << 63) == 1);
	map.shift = 0;
	assert_true(vrtc_counter_map_apply(&map, 5) == UINT64_MAX - 4);
}

static void every_map_of_extremes_is_exact(void **state)
{
	static const uint64_t edge[] = {0, 1, 2, 3, INT64_MAX - 1, INT64_MAX, UINT64_C(1) << 63,
		(UINT64_C(1) << 63) + 1, UINT64_MAX - 1, UINT64_MAX, UINT32_MAX,
		(uint64_t)UINT32_MAX + 1, UINT64_C(0x123456789abcdef0)};
	static const uint8_t shift[] = {0, 1, 31, 32, 33, 48, 62, 63, 64, 65, 95, 96, 126, 127};
	const size_t n = sizeof(edge) / sizeof(edge[0]);

	(void)state;
	for (size_t m = 1; m < n; m++) {
		for (size_t h = 0; h < n * n; h++) {
			for (size_t s = 0; s < sizeof(shift); s++) {
				struct vrtc_counter_map map = {.mult = edge[m],
					.shift = shift[s],
					.host_base = edge[h / n],
					.guest_base = edge[(m + h) % n]};

				assert_exact(&map, edge[h % n]);
			}
		}
	}
}

static void random_maps_are_exact(void **state)
{
	(void)state;
	seed = 5;
	for (unsigned i = 0; i < 20000; i++) {
		struct vrtc_counter_map map = {
			.mult = next_random_size(),
			.shift = (uint8_t)(next_random() % 128),
			.host_base = next_random_size(),
			.guest_base = next_random_size(),
		};

		map.mult += map.mult == 0;
		for (unsigned k = 0; k < 10; k++)
			assert_exact(&map, next_random_size());
		/* Close to the base, on both sides: where the host's counter is in practice. */
		for (unsigned k = 0; k < 10; k++)
			assert_exact(&map, map.host_base + next_random() % 1000 - 500);
	}
}

static void neither_of_the_two_counters_wrapping_is_a_step(void **state)
{
	struct vrtc_counter_map map = {.mult = 5,
		.shift = 1,
		.host_base = UINT64_MAX - 100,
		.guest_base = UINT64_MAX - 50};
	uint64_t before = vrtc_counter_map_apply(&map, map.host_base - 500);

	(void)state;
	for (uint64_t i = 1; i < 1000; i++) {
		uint64_t guest = vrtc_counter_map_apply(&map, map.host_base - 500 + i);

		assert_in_range(guest - before, 2, 3);
		before = guest;
	}
}

static void guest_s_counter_goes_back_for_no_map_whose_host_s_goes_on(void **state)
{
	(void)state;
	seed = 6;
	for (unsigned i = 0; i < 20000; i++) {
		struct vrtc_counter_map map = {.mult = next_random_size(),
			.host_base = next_random(),
			.guest_base = next_random()};
		uint64_t host = map.host_base + (next_random() >> 20) - (UINT64_C(1) << 43);
		uint64_t guest;

		map.mult += map.mult == 0;
		/* Of at most a few thousand counts for one. */
		while (map.mult >> map.shift > 4096)
			map.shift++;
		guest = vrtc_counter_map_apply(&map, host);
		for (unsigned k = 0; k < 20; k++) {
			uint64_t later;

			host += next_random() % 1000;
			later = vrtc_counter_map_apply(&map, host);
			assert_true((int64_t)(later - guest) >= 0);
			guest = later;
		}
	}
}

/* ---- Whose arithmetic it is. */

/*
 * Linux, arch/x86/kvm: kvm_scale_tsc() is (host * ratio) >> frac_bits, unsigned and of 128 bits in
 * between, and the offset is added to it. frac_bits: 48 with VMX, 32 with SVM. A host's TSC below
 * 2^63, which is 97 years at 3 GHz: beyond that the map counts on from the base's other side.
 */
static void map_is_kvm_s_scaling_and_offset_to_the_last_bit(void **state)
{
	(void)state;
	seed = 7;
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t host = next_random() >> (1 + next_random() % 20);
		uint8_t frac_bits = next_random() % 2 ? 48 : 32;
		uint64_t ratio = next_random() >> (64 - frac_bits - next_random() % 8);
		uint64_t offset = next_random();
		struct big n = product(host, ratio);
		struct vrtc_counter_map map = {
			.mult = ratio, .shift = frac_bits, .guest_base = offset};

		for (unsigned k = 0; k < frac_bits; k++)
			(void)halve(&n);
		assert_true(vrtc_counter_map_apply(&map, host) ==
			    ((uint64_t)n.digit[1] << 32 | n.digit[0]) + offset);
	}
}

/* A ratio of one, and then for a host's counter of any value. */
static void map_of_an_offset_is_the_sum(void **state)
{
	(void)state;
	seed = 8;
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t offset = next_random_size();
		uint64_t host = next_random_size();
		uint8_t counter = i % 2 ? VIRTIO_RTC_COUNTER_X86_TSC : VIRTIO_RTC_COUNTER_ARM_VCT;
		struct vrtc_counter_map map = vrtc_counter_map_offset(counter, offset);

		assert_int_equal(map.guest_counter, counter);
		assert_int_equal(map.host_counter, VRTC_HOST_COUNTER_CPU);
		assert_true(vrtc_counter_map_apply(&map, host) == host + offset);
		map = vrtc_counter_map_offset(counter, 0);
		assert_true(vrtc_counter_map_apply(&map, host) == host);
		map = vrtc_counter_map_offset(counter, 0 - host);
		assert_true(vrtc_counter_map_apply(&map, host) == 0);
	}
}

/*
 * An emulator divides ns by a counter's period (QEMU's arm64: 16 ns). With mult = 2^shift / period,
 * rounded up and as long as it fits, that is the quotient itself for 2^62 ns, 146 years.
 */
static void map_can_be_an_emulator_s_division_by_a_period(void **state)
{
	(void)state;
	seed = 9;
	for (uint64_t period = 1; period < 4000; period++) {
		struct vrtc_counter_map map = {.host_counter = VRTC_HOST_COUNTER_MONOTONIC};
		uint64_t quotient = 0, rest = 1;

		/* 2^shift / period, a bit at a time. */
		while (quotient < UINT64_C(1) << 62 && map.shift < 127) {
			rest *= 2;
			quotient = quotient * 2 + (rest >= period);
			rest -= rest >= period ? period : 0;
			map.shift++;
		}
		map.mult = quotient + (rest != 0);
		for (unsigned k = 0; k < 200; k++) {
			uint64_t ns = next_random() >> (2 + next_random() % 40);

			map.host_base = next_random();
			map.guest_base = next_random();
			/* Where an error would show: at a multiple, and one before it. */
			ns = k % 3 == 0 ? ns : ns / period * period;
			ns -= k % 3 == 2 && ns > 0;
			assert_true(vrtc_counter_map_apply(&map, map.host_base + ns) ==
				    map.guest_base + ns / period);
		}
	}
}

/* ---- The message. */

static const uint8_t good_message[VRTC_COUNTER_MAP_BYTES] = {
	'V', 'T', 'C', 'M',                             /* magic */
	1, 0,                                           /* version */
	1,                                              /* X86_TSC */
	1,                                              /* the host's CPU */
	48,                                             /* shift */
	0, 0, 0, 0, 0, 0, 0,                            /* reserved */
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, /* mult */
	0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, /* host_base */
	0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0xf8, /* guest_base */
};

/* In memory that ends where the message ends: a sanitizer and valgrind see a byte too far. */
static const char *parse(const uint8_t *message, size_t bytes, struct vrtc_counter_map *map)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	const char *why;

	assert_non_null(copy);
	memcpy(copy, message, bytes);
	why = vrtc_counter_map_parse(copy, bytes, map);
	free(copy);
	return why;
}

static void assert_accepted(const uint8_t message[VRTC_COUNTER_MAP_BYTES])
{
	struct vrtc_counter_map map;
	const char *why;

	memset(&map, 0x5a, sizeof(map));
	why = parse(message, VRTC_COUNTER_MAP_BYTES, &map);
	if (why)
		fail_msg("refused: %s", why);
}

/* Refused, with a sentence, and the map is untouched to the last byte. */
static void assert_refused(const uint8_t *message, size_t bytes)
{
	struct vrtc_counter_map untouched;
	struct vrtc_counter_map map;
	const char *why;

	memset(&map, 0x5a, sizeof(map));
	memset(&untouched, 0x5a, sizeof(untouched));
	why = parse(message, bytes, &map);
	assert_non_null(why);
	assert_true(strlen(why) > 10);
	assert_memory_equal(&map, &untouched, sizeof(map));
}

static void message_is_taken_apart_as_described(void **state)
{
	struct vrtc_counter_map map;

	(void)state;
	assert_int_equal(VRTC_COUNTER_MAP_BYTES, 40);
	assert_null(parse(good_message, sizeof(good_message), &map));
	assert_int_equal(map.guest_counter, VIRTIO_RTC_COUNTER_X86_TSC);
	assert_int_equal(map.host_counter, VRTC_HOST_COUNTER_CPU);
	assert_int_equal(map.shift, 48);
	assert_true(map.mult == UINT64_C(0x0807060504030201));
	assert_true(map.host_base == UINT64_C(0x1817161514131211));
	assert_true(map.guest_base == UINT64_C(0xf827262524232221));
}

static void message_of_any_other_size_is_refused(void **state)
{
	uint8_t longer[2 * VRTC_COUNTER_MAP_BYTES] = {0};

	(void)state;
	memcpy(longer, good_message, sizeof(good_message));
	for (size_t bytes = 0; bytes <= sizeof(longer); bytes++)
		if (bytes != VRTC_COUNTER_MAP_BYTES)
			assert_refused(longer, bytes);
}

/* What the header says of each byte, said again; host counter 0 makes no demand on mult. */
static bool is_allowed(const uint8_t m[VRTC_COUNTER_MAP_BYTES])
{
	bool moves = false;

	if (m[0] != 0x56 || m[1] != 0x54 || m[2] != 0x43 || m[3] != 0x4d || m[4] != 1 || m[5] != 0)
		return false;
	for (unsigned i = 9; i < 16; i++)
		if (m[i] != 0)
			return false;
	for (unsigned i = 16; i < 24; i++)
		moves |= m[i] != 0;
	return m[6] <= 1 && m[7] <= 2 && m[8] <= 127 && (moves || m[7] == 0);
}

static void assert_as_allowed(const uint8_t message[VRTC_COUNTER_MAP_BYTES])
{
	if (is_allowed(message))
		assert_accepted(message);
	else
		assert_refused(message, VRTC_COUNTER_MAP_BYTES);
}

static void every_value_of_every_byte_is_accepted_or_refused_as_described(void **state)
{
	uint8_t message[VRTC_COUNTER_MAP_BYTES];
	unsigned allowed = 0;

	(void)state;
	for (unsigned at = 0; at < VRTC_COUNTER_MAP_BYTES; at++) {
		for (unsigned value = 0; value < 256; value++) {
			memcpy(message, good_message, sizeof(message));
			message[at] = (uint8_t)value;
			allowed += is_allowed(message);
			assert_as_allowed(message);
		}
	}
	/* Magic, version and reserved: one value for each byte; 24 bytes of any. */
	assert_int_equal(allowed, 13 + 2 + 3 + 128 + 24 * 256);
}

static void each_wrong_field_has_a_sentence_of_its_own(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		const char *names;
	} wrong[] = {
		{0, 0, "magic"},
		{4, 2, "version"},
		{5, 1, "version"},
		{6, 2, "guest's counter"},
		{6, VIRTIO_RTC_COUNTER_INVALID, "guest's counter"},
		{7, 3, "host's counter"},
		{7, 255, "host's counter"},
		{8, 128, "shift"},
		{9, 1, "reserved"},
		{15, 0x80, "reserved"},
	};
	uint8_t message[VRTC_COUNTER_MAP_BYTES];
	struct vrtc_counter_map map;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memcpy(message, good_message, sizeof(message));
		message[wrong[i].at] = wrong[i].value;
		why = parse(message, sizeof(message), &map);
		assert_non_null(why);
		if (!strstr(why, wrong[i].names))
			fail_msg("byte %u: \"%s\" does not say \"%s\"", wrong[i].at, why,
				wrong[i].names);
	}
	memcpy(message, good_message, sizeof(message));
	memset(message + 16, 0, 8);
	why = parse(message, sizeof(message), &map);
	assert_non_null(why);
	assert_non_null(strstr(why, "mult"));
	assert_non_null(strstr(parse(message, 39, &map), "40 bytes"));
}

static void message_that_there_is_no_map_need_not_describe_one(void **state)
{
	uint8_t message[VRTC_COUNTER_MAP_BYTES];
	struct vrtc_counter_map map;

	(void)state;
	memcpy(message, good_message, sizeof(message));
	message[7] = VRTC_HOST_COUNTER_NONE;
	assert_accepted(message);
	memset(message + 8, 0, sizeof(message) - 8);
	assert_null(parse(message, sizeof(message), &map));
	assert_int_equal(map.host_counter, VRTC_HOST_COUNTER_NONE);
	assert_int_equal(map.guest_counter, VIRTIO_RTC_COUNTER_X86_TSC);
	/* It still says whose counter it is that there is no map of. */
	message[6] = VIRTIO_RTC_COUNTER_INVALID;
	assert_refused(message, sizeof(message));
}

static void emulated_counters_begin_at_the_monotonic_clock(void **state)
{
	uint8_t message[VRTC_COUNTER_MAP_BYTES];
	struct vrtc_counter_map map;

	(void)state;
	memcpy(message, good_message, sizeof(message));
	message[6] = VIRTIO_RTC_COUNTER_ARM_VCT;
	message[7] = 2;
	assert_null(parse(message, sizeof(message), &map));
	assert_int_equal(map.guest_counter, VIRTIO_RTC_COUNTER_ARM_VCT);
	assert_int_equal(map.host_counter, VRTC_HOST_COUNTER_MONOTONIC);
}

static void any_bytes_are_accepted_or_refused_as_described(void **state)
{
	unsigned allowed = 0;

	(void)state;
	seed = 10;
	for (unsigned i = 0; i < 300000; i++) {
		uint8_t message[VRTC_COUNTER_MAP_BYTES];
		/* Good up to here: noise alone would end at the magic number. */
		unsigned good = (unsigned)(next_random() % (VRTC_COUNTER_MAP_BYTES + 1));

		for (unsigned k = 0; k < sizeof(message); k++)
			message[k] = k < good ? good_message[k] : (uint8_t)next_random();
		if (i % 2) {
			message[6] = (uint8_t)(next_random() % 3);
			message[7] = (uint8_t)(next_random() % 4);
			memset(message + 9, 0, 7);
		}
		allowed += is_allowed(message);
		assert_as_allowed(message);
	}
	assert_in_range(allowed, 50000, 250000);
}

static void maps_are_equal_if_and_only_if_all_of_them_is(void **state)
{
	const struct vrtc_counter_map map = {.guest_counter = 1,
		.host_counter = VRTC_HOST_COUNTER_CPU,
		.shift = 48,
		.mult = UINT64_C(1) << 48,
		.host_base = 5,
		.guest_base = 6};
	struct vrtc_counter_map other;

	(void)state;
	/* Not by what is between the fields. */
	memset(&other, 0x5a, sizeof(other));
	other.guest_counter = map.guest_counter;
	other.host_counter = map.host_counter;
	other.shift = map.shift;
	other.mult = map.mult;
	other.host_base = map.host_base;
	other.guest_base = map.guest_base;
	assert_true(vrtc_counter_map_equal(&map, &other));
#define ASSERT_DIFFERS_BY(field, value)                                                            \
	do {                                                                                       \
		other = map;                                                                       \
		other.field = (value);                                                             \
		assert_false(vrtc_counter_map_equal(&map, &other));                                \
		assert_false(vrtc_counter_map_equal(&other, &map));                                \
	} while (0)
	ASSERT_DIFFERS_BY(guest_counter, 0);
	ASSERT_DIFFERS_BY(host_counter, VRTC_HOST_COUNTER_MONOTONIC);
	ASSERT_DIFFERS_BY(shift, 49);
	ASSERT_DIFFERS_BY(mult, (UINT64_C(1) << 48) + (UINT64_C(1) << 32));
	ASSERT_DIFFERS_BY(host_base, 5 + (UINT64_C(1) << 32));
	ASSERT_DIFFERS_BY(guest_base, 6 + (UINT64_C(1) << 63));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_values_that_were_worked_out_by_hand),
		cmocka_unit_test(every_map_of_extremes_is_exact),
		cmocka_unit_test(random_maps_are_exact),
		cmocka_unit_test(neither_of_the_two_counters_wrapping_is_a_step),
		cmocka_unit_test(guest_s_counter_goes_back_for_no_map_whose_host_s_goes_on),
		cmocka_unit_test(map_is_kvm_s_scaling_and_offset_to_the_last_bit),
		cmocka_unit_test(map_of_an_offset_is_the_sum),
		cmocka_unit_test(map_can_be_an_emulator_s_division_by_a_period),
		cmocka_unit_test(message_is_taken_apart_as_described),
		cmocka_unit_test(message_of_any_other_size_is_refused),
		cmocka_unit_test(every_value_of_every_byte_is_accepted_or_refused_as_described),
		cmocka_unit_test(each_wrong_field_has_a_sentence_of_its_own),
		cmocka_unit_test(message_that_there_is_no_map_need_not_describe_one),
		cmocka_unit_test(emulated_counters_begin_at_the_monotonic_clock),
		cmocka_unit_test(any_bytes_are_accepted_or_refused_as_described),
		cmocka_unit_test(maps_are_equal_if_and_only_if_all_of_them_is),
	};

	return cmocka_run_group_tests_name("counter_map", tests, NULL, NULL);
}
