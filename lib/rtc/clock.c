/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "smear.h"
#include "wire.h"

static const struct {
	const char *name;
	uint8_t type;
	uint8_t smear;
} names[] = {
	{"utc", VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED},
	{"tai", VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED},
	{"monotonic", VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED},
	{"utc-smeared:noon-linear", VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR},
	{"utc-smeared:utc-sls", VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_UTC_SLS},
	{"utc-maybe-smeared", VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED, VIRTIO_RTC_SMEAR_UNSPECIFIED},
	/* Short forms last: a clock is called by the first name that fits. */
	{"utc-smeared", VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR},
};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

static const struct vrtc_clock timescales[VRTC_TIMESCALES] = {
	[VRTC_TIMESCALE_UTC] = {.type = VIRTIO_RTC_CLOCK_UTC},
	[VRTC_TIMESCALE_TAI] = {.type = VIRTIO_RTC_CLOCK_TAI},
	[VRTC_TIMESCALE_MONOTONIC] = {.type = VIRTIO_RTC_CLOCK_MONOTONIC},
	[VRTC_TIMESCALE_NOON_LINEAR] = {.type = VIRTIO_RTC_CLOCK_UTC_SMEARED,
		.smear = VIRTIO_RTC_SMEAR_NOON_LINEAR},
	[VRTC_TIMESCALE_UTC_SLS] = {.type = VIRTIO_RTC_CLOCK_UTC_SMEARED,
		.smear = VIRTIO_RTC_SMEAR_UTC_SLS},
	[VRTC_TIMESCALE_MAYBE_SMEARED] = {.type = VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED},
};

enum vrtc_timescale vrtc_clock_timescale(const struct vrtc_clock *clock)
{
	int timescale = 0;

	while (timescale < VRTC_TIMESCALES && (timescales[timescale].type != clock->type ||
						      timescales[timescale].smear != clock->smear))
		timescale++;
	assert(timescale < VRTC_TIMESCALES);
	return (enum vrtc_timescale)timescale;
}

const struct vrtc_clock *vrtc_timescale_clock(enum vrtc_timescale timescale)
{
	return &timescales[timescale];
}

enum vrtc_timebase vrtc_clock_timebase(const struct vrtc_clock *clock)
{
	switch (clock->type) {
	case VIRTIO_RTC_CLOCK_UTC:
	case VIRTIO_RTC_CLOCK_TAI:
		return VRTC_TIMEBASE_TAI;
	case VIRTIO_RTC_CLOCK_UTC_SMEARED:
		return vrtc_smear_known(clock->smear) ? VRTC_TIMEBASE_TAI : VRTC_TIMEBASE_NONE;
	case VIRTIO_RTC_CLOCK_MONOTONIC:
		return VRTC_TIMEBASE_MONOTONIC;
	case VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED:
		return VRTC_TIMEBASE_REALTIME;
	default:
		return VRTC_TIMEBASE_NONE;
	}
}

bool vrtc_clock_read(const struct vrtc_clock *clock, const struct vrtc_leap_table *table,
	int64_t timebase_ns, uint64_t *reading_ns)
{
	int64_t clock_ns = timebase_ns;

	switch (clock->type) {
	case VIRTIO_RTC_CLOCK_TAI:
	case VIRTIO_RTC_CLOCK_MONOTONIC:
	case VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED:
		break;
	case VIRTIO_RTC_CLOCK_UTC:
		if (vrtc_leap_utc_from_tai(table, timebase_ns, &clock_ns) != VRTC_LEAP_OK)
			return false;
		break;
	case VIRTIO_RTC_CLOCK_UTC_SMEARED:
		if (vrtc_smear_from_tai(clock->smear, table, timebase_ns, &clock_ns) !=
			VRTC_LEAP_OK)
			return false;
		break;
	default:
		return false;
	}
	if (clock_ns < 0)
		return false;
	*reading_ns = (uint64_t)clock_ns;
	return true;
}

bool vrtc_clock_instant(const struct vrtc_clock *clock, const struct vrtc_leap_table *table,
	uint64_t reading_ns, int64_t *timebase_ns)
{
	int64_t clock_ns = (int64_t)reading_ns;
	int64_t last_tai_ns;

	if (reading_ns > INT64_MAX)
		return false;
	switch (clock->type) {
	case VIRTIO_RTC_CLOCK_TAI:
	case VIRTIO_RTC_CLOCK_MONOTONIC:
	case VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED:
		*timebase_ns = clock_ns;
		return true;
	case VIRTIO_RTC_CLOCK_UTC:
		switch (vrtc_leap_tai_from_utc(table, clock_ns, timebase_ns, &last_tai_ns)) {
		case VRTC_LEAP_OK:
		case VRTC_LEAP_AMBIGUOUS:
		case VRTC_LEAP_SKIPPED:
			return true;
		default:
			return false;
		}
	case VIRTIO_RTC_CLOCK_UTC_SMEARED:
		return vrtc_smear_to_tai(clock->smear, table, clock_ns, timebase_ns) ==
		       VRTC_LEAP_OK;
	default:
		return false;
	}
}

int vrtc_clock_parse(const char *name, struct vrtc_clock *clock)
{
	static const char alarm[] = "+alarm";
	const char *plus = strchrnul(name, '+');
	size_t bytes = (size_t)(plus - name);

	if (*plus && strcmp(plus, alarm) != 0)
		return -EINVAL;
	for (size_t i = 0; i < N_NAMES; i++) {
		if (strlen(names[i].name) == bytes && memcmp(name, names[i].name, bytes) == 0) {
			clock->type = names[i].type;
			clock->smear = names[i].smear;
			clock->alarm = *plus != '\0';
			return 0;
		}
	}
	return -EINVAL;
}

const char *vrtc_clock_name(const struct vrtc_clock *clock)
{
	for (size_t i = 0; i < N_NAMES; i++) {
		if (clock->type == names[i].type && clock->smear == names[i].smear)
			return names[i].name;
	}
	return "unknown";
}

const char *vrtc_clock_accepted(void)
{
	return "utc, tai, monotonic, utc-smeared[:noon-linear|:utc-sls], utc-maybe-smeared, each "
	       "with or without +alarm";
}
