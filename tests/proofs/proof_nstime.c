/* SPDX-License-Identifier: BSD-3-Clause */
/* nstime.h for all values: exact, or false with the output unchanged. No bound. */
#include "nstime.h"
#include "proof.h"

int main(void)
{
	int64_t a = nondet_i64();
	int64_t b = nondet_i64();
	int64_t out = 77;
	__int128 sum = (__int128)a + b;
	__int128 difference = (__int128)a - b;
	bool fits = sum >= INT64_MIN && sum <= INT64_MAX;
	int64_t s;

	PROVE(vrtc_nstime_add(a, b, &out) == fits, "add says whether the sum fits");
	PROVE(fits ? out == sum : out == 77, "add is exact, or leaves its output");
	out = 77;
	fits = difference >= INT64_MIN && difference <= INT64_MAX;
	PROVE(vrtc_nstime_sub(a, b, &out) == fits, "sub says whether the difference fits");
	PROVE(fits ? out == difference : out == 77, "sub is exact, or leaves its output");
	out = 77;
	fits = a >= INT64_MIN / VRTC_NS_PER_S && a <= INT64_MAX / VRTC_NS_PER_S;
	PROVE(vrtc_nstime_from_s(a, &out) == fits, "from_s says whether the nanoseconds fit");
	PROVE(fits || out == 77, "from_s leaves its output");
	s = vrtc_nstime_to_s(b);
	PROVE(s >= INT64_MIN / VRTC_NS_PER_S - 1 && s <= INT64_MAX / VRTC_NS_PER_S,
		"to_s is in range");
	return 0;
}
