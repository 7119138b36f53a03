/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm_ledger.h"

#include <assert.h>
#include <string.h>

static const char magic[8] = "rtcalrm1";

void vrtc_alarm_ledger_init(
	struct vrtc_alarm_ledger *ledger, const struct vrtc_clock *clock, uint16_t n_clocks)
{
	assert(n_clocks <= VRTC_ALARM_CLOCKS_MAX);
	memset(ledger, 0, sizeof(*ledger));
	ledger->bytes = sizeof(*ledger);
	ledger->n_clocks = n_clocks;
	for (uint16_t c = 0; c < n_clocks; c++) {
		ledger->clock[c].type = clock[c].type;
		ledger->clock[c].smear = clock[c].smear;
	}
	/* Last: before it, this is no ledger. */
	atomic_signal_fence(memory_order_release);
	memcpy(ledger->magic, magic, sizeof(magic));
}

static bool is_of(
	const struct vrtc_alarm_ledger *ledger, const struct vrtc_clock *clock, uint16_t n_clocks)
{
	bool same = ledger->n_clocks == n_clocks;

	for (uint16_t c = 0; same && c < n_clocks; c++)
		same = ledger->clock[c].type == clock[c].type &&
		       ledger->clock[c].smear == clock[c].smear;
	return same;
}

static bool is_whole(const struct vrtc_alarm_ledger *ledger)
{
	bool whole = true;

	for (uint16_t c = 0; c < VRTC_ALARM_CLOCKS_MAX; c++)
		whole = whole &&
			atomic_load_explicit(&ledger->current[c], memory_order_relaxed) <= 1 &&
			!(vrtc_alarm_ledger_read(ledger, c).flags & ~VRTC_ALARM_RECORD_FLAGS);
	return whole;
}

bool vrtc_alarm_ledger_check(const struct vrtc_alarm_ledger *ledger, size_t bytes,
	const struct vrtc_clock *clock, uint16_t n_clocks, const char **why)
{
	if (bytes != sizeof(*ledger) || memcmp(ledger->magic, magic, sizeof(magic)) != 0 ||
		ledger->bytes != sizeof(*ledger) || ledger->n_clocks > VRTC_ALARM_CLOCKS_MAX) {
		*why = "is no file of alarms";
		return false;
	}
	if (!is_whole(ledger)) {
		*why = "is damaged";
		return false;
	}
	if (!is_of(ledger, clock, n_clocks)) {
		*why = "is of a device with other clocks";
		return false;
	}
	return true;
}

struct vrtc_alarm_record vrtc_alarm_ledger_read(
	const struct vrtc_alarm_ledger *ledger, uint16_t clock_id)
{
	/* One bit of it: who can write to the file must not lead us out of it. */
	return ledger->record[clock_id][atomic_load_explicit(
						&ledger->current[clock_id], memory_order_acquire) &
					1];
}

void vrtc_alarm_ledger_write(
	struct vrtc_alarm_ledger *ledger, uint16_t clock_id, const struct vrtc_alarm_record *record)
{
	uint8_t other =
		!(atomic_load_explicit(&ledger->current[clock_id], memory_order_relaxed) & 1);

	ledger->record[clock_id][other] = *record;
	/* Release: no store of the record is made behind it. */
	atomic_store_explicit(&ledger->current[clock_id], other, memory_order_release);
}

static struct vrtc_alarm_record read_latest(const struct vrtc_alarm_ledger *ledger)
{
	struct vrtc_alarm_record latest = {0};

	for (uint16_t c = 0; c < VRTC_ALARM_CLOCKS_MAX; c++) {
		struct vrtc_alarm_record record = vrtc_alarm_ledger_read(ledger, c);

		if (record.serial > latest.serial)
			latest = record;
	}
	return latest;
}

uint64_t vrtc_alarm_ledger_next_serial(const struct vrtc_alarm_ledger *ledger)
{
	uint64_t answered = atomic_load_explicit(&ledger->answered_serial, memory_order_relaxed);
	uint64_t latest = read_latest(ledger).serial;

	return (latest > answered ? latest : answered) + 1;
}

bool vrtc_alarm_ledger_unanswered(const struct vrtc_alarm_ledger *ledger, uint16_t *request_index)
{
	struct vrtc_alarm_record latest = read_latest(ledger);

	if (latest.serial <= atomic_load_explicit(&ledger->answered_serial, memory_order_relaxed))
		return false;
	*request_index = latest.request_index;
	return true;
}
