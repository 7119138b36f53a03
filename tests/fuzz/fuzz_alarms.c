/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of alarms that anybody may have written (alarm_ledger.c), and a device's alarms on top of
 * it (alarm_device.c, agenda.c) beside a model: for each clock what is set, whether it was reached
 * and whether a notification is owed. The clocks of the input step to anywhere.
 *
 * Input: the number of clocks, a byte that says what of the file is the input's, then 16 bytes a
 * clock for its record and a byte for its switch, then steps.
 */
#include "alarm_device.h"
#include "fuzz.h"

#define STEPS_MAX  200
#define CLOCKS     5
#define HEAD_BYTES offsetof(struct vrtc_alarm_ledger, owner_pid)

struct model {
	struct {
		uint64_t alarm_ns;
		bool enabled;
		bool reached;
		bool owed;
	} alarm[CLOCKS];
};

static struct vrtc_clock clock_of[VRTC_ALARM_CLOCKS_MAX];

/* Any bytes, of any length, as the file. */
static void check_hostile_file(const uint8_t *data, size_t bytes)
{
	struct vrtc_alarm_ledger *ledger = fuzz_copy(data, bytes);
	const char *why = NULL;
	bool good = vrtc_alarm_ledger_check(ledger, bytes, clock_of, CLOCKS, &why);

	FUZZ_CHECK(good == (why == NULL));
	FUZZ_CHECK(!good || bytes == sizeof(*ledger));
	free(ledger);
}

/* A file whose head is right, or nearly. */
static void fill(struct fuzz_input *in, struct vrtc_alarm_ledger *ledger)
{
	uint8_t how = fuzz_take8(in);

	vrtc_alarm_ledger_init(ledger, clock_of, CLOCKS);
	if (how & 1)
		((uint8_t *)ledger)[fuzz_take16(in) % HEAD_BYTES] ^= fuzz_take8(in);
	if (!(how & 2))
		return;
	for (uint16_t c = 0; c < CLOCKS; c++) {
		struct vrtc_alarm_record record = {0};

		record.alarm_ns = fuzz_take64(in);
		record.serial = fuzz_take32(in);
		record.request_index = fuzz_take16(in);
		record.used_index = fuzz_take8(in);
		record.flags = fuzz_take8(in);
		ledger->record[c][0] = record;
		record.alarm_ns = ~record.alarm_ns;
		ledger->record[c][1] = record;
		ledger->current[c] = fuzz_take8(in);
	}
	ledger->answered_serial = fuzz_take32(in);
}

static void compare(const struct vrtc_alarm_device *dev, const struct model *m)
{
	const char *why;

	for (uint16_t c = 0; c < CLOCKS; c++) {
		struct vrtc_alarm_record r = vrtc_alarm_ledger_read(dev->ledger, c);

		if (!clock_of[c].alarm)
			continue;
		FUZZ_CHECK(dev->alarm[c].alarm_ns == m->alarm[c].alarm_ns);
		FUZZ_CHECK(dev->alarm[c].enabled == m->alarm[c].enabled);
		FUZZ_CHECK(dev->alarm[c].reached == m->alarm[c].reached);
		FUZZ_CHECK((dev->owed >> c & 1) == m->alarm[c].owed);
		FUZZ_CHECK(vrtc_agenda_has(&dev->alarm[c]) == m->alarm[c].enabled);
		/* The next process finds the same. */
		FUZZ_CHECK(r.alarm_ns == m->alarm[c].alarm_ns);
		FUZZ_CHECK(!(r.flags & VRTC_ALARM_RECORD_ENABLED) == !m->alarm[c].enabled);
		FUZZ_CHECK(!(r.flags & VRTC_ALARM_RECORD_PENDING) == !m->alarm[c].owed);
	}
	FUZZ_CHECK(
		vrtc_alarm_ledger_check(dev->ledger, sizeof(*dev->ledger), clock_of, CLOCKS, &why));
}

/* The clocks of one timescale show now_ns: what a turn of the alarm lcore does. */
static void turn(struct vrtc_agenda *agenda, struct model *m, int timescale, uint64_t now_ns)
{
	struct vrtc_alarm *alarm;

	while ((alarm = vrtc_agenda_rewind(agenda, now_ns)))
		vrtc_alarm_device_rewind(alarm);
	while ((alarm = vrtc_agenda_expire(agenda, now_ns)))
		vrtc_alarm_device_expire(alarm);
	for (uint16_t c = 0; c < CLOCKS; c++) {
		bool reached = now_ns >= m->alarm[c].alarm_ns;

		if ((int)vrtc_clock_timescale(&clock_of[c]) != timescale || !m->alarm[c].enabled)
			continue;
		if (reached != m->alarm[c].reached)
			m->alarm[c].owed = reached;
		m->alarm[c].reached = reached;
	}
}

static void set(struct vrtc_alarm_device *dev, struct model *m, struct fuzz_input *in, bool both)
{
	struct vrtc_alarm_change change = {.clock_id = fuzz_take8(in) % CLOCKS};
	uint8_t flags = fuzz_take8(in);
	struct vrtc_alarm_now now = {.known = !(flags & 2)};
	uint16_t c = change.clock_id;
	bool expires;
	bool said;

	if (!clock_of[c].alarm)
		return;
	change.enabled = flags & 1;
	change.alarm_ns = flags & 4 ? fuzz_take64(in) : fuzz_take8(in);
	change.serial = vrtc_alarm_ledger_next_serial(dev->ledger);
	change.request_index = fuzz_take8(in);
	now.ns = flags & 8 ? fuzz_take64(in) : fuzz_take8(in);
	if (both)
		m->alarm[c].alarm_ns = change.alarm_ns;
	m->alarm[c].enabled = change.enabled;
	m->alarm[c].reached = now.known && now.ns >= m->alarm[c].alarm_ns;
	expires = m->alarm[c].enabled && m->alarm[c].reached;
	m->alarm[c].owed = expires;
	said = both ? vrtc_alarm_device_set(dev, &change, now)
		    : vrtc_alarm_device_enable(dev, &change, now);
	FUZZ_CHECK(said == expires);
	if (change.serial != 0) {
		uint16_t index = 0;

		FUZZ_CHECK(vrtc_alarm_ledger_unanswered(dev->ledger, &index));
		FUZZ_CHECK(index == change.request_index);
	}
}

static void reset(struct vrtc_alarm_device *dev, struct model *m, bool retain)
{
	vrtc_alarm_device_reset(dev, retain);
	for (uint16_t c = 0; c < CLOCKS; c++) {
		m->alarm[c].owed = retain && m->alarm[c].enabled && m->alarm[c].reached;
		if (retain)
			continue;
		m->alarm[c].alarm_ns = 0;
		m->alarm[c].enabled = false;
		m->alarm[c].reached = false;
	}
}

static void take_over(struct vrtc_alarm_device *dev, struct model *m, struct vrtc_agenda *agenda,
	struct vrtc_alarm_ledger *ledger)
{
	vrtc_alarm_device_init(dev, clock_of, CLOCKS, ledger);
	for (uint16_t c = 0; c < CLOCKS; c++) {
		struct vrtc_alarm_record r = vrtc_alarm_ledger_read(ledger, c);

		memset(&m->alarm[c], 0, sizeof(m->alarm[c]));
		if (!clock_of[c].alarm)
			continue;
		m->alarm[c].alarm_ns = r.alarm_ns;
		m->alarm[c].enabled = r.flags & VRTC_ALARM_RECORD_ENABLED;
		m->alarm[c].reached = r.flags & VRTC_ALARM_RECORD_REACHED;
		m->alarm[c].owed = r.flags & VRTC_ALARM_RECORD_PENDING;
	}
	vrtc_alarm_device_join(dev, agenda);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char *const names[CLOCKS] = {
		"utc-smeared+alarm", "utc+alarm", "utc+alarm", "tai", "monotonic+alarm"};
	static struct vrtc_alarm_ledger ledger;
	static struct vrtc_alarm_device dev;
	struct vrtc_agenda_slot slots[VRTC_TIMESCALES][2 * CLOCKS];
	struct vrtc_agenda agenda[VRTC_TIMESCALES];
	struct fuzz_input in = {data, bytes};
	const char *why = NULL;
	struct model m;

	for (int c = 0; c < CLOCKS; c++)
		FUZZ_CHECK(vrtc_clock_parse(names[c], &clock_of[c]) == 0);
	FUZZ_CHECK(vrtc_agenda_bytes(CLOCKS) <= sizeof(slots[0]));
	for (int t = 0; t < VRTC_TIMESCALES; t++)
		vrtc_agenda_init(&agenda[t], slots[t], CLOCKS);

	check_hostile_file(data, bytes);
	fill(&in, &ledger);
	if (!vrtc_alarm_ledger_check(&ledger, sizeof(ledger), clock_of, CLOCKS, &why)) {
		FUZZ_CHECK(why && why[0]);
		vrtc_alarm_ledger_init(&ledger, clock_of, CLOCKS);
	}
	take_over(&dev, &m, agenda, &ledger);
	compare(&dev, &m);
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
		uint8_t step = fuzz_take8(&in);
		uint64_t now_ns;
		bool signal = false;

		switch (step % 8) {
		case 0:
		case 1:
			set(&dev, &m, &in, true);
			break;
		case 2:
			set(&dev, &m, &in, false);
			break;
		case 3:
		case 4:
			now_ns = step & 0x80 ? fuzz_take64(&in) : fuzz_take8(&in);
			for (int t = 0; t < VRTC_TIMESCALES; t++)
				turn(&agenda[t], &m, t, now_ns);
			break;
		case 5:
			reset(&dev, &m, step & 0x10);
			break;
		case 6: /* another process takes the ledger over */
			vrtc_alarm_device_leave(&dev);
			take_over(&dev, &m, agenda, &ledger);
			break;
		default: /* no alarmq runs */
			vrtc_alarm_device_warm(&dev);
			FUZZ_CHECK(vrtc_alarm_device_deliver(&dev, &signal) ==
				   VRTC_ALARM_NOTHING_OWED);
			FUZZ_CHECK(!signal);
			break;
		}
		compare(&dev, &m);
	}
	return 0;
}
