/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The enabled alarms of all clocks of one timescale, in the order in which the clock comes to them.
 *
 * An alarm is either ahead of the clock or behind it. The nearest of those ahead and the latest of
 * those behind are at hand, so two comparisons tell whether anything has to be done, however many
 * alarms there are and however the clock has moved (virtio-v1.4 RTC Device / Alarm Operation, "when
 * the associated clock progresses (also: steps)"): forward past the nearest, alarms expire; back
 * before the latest, they are ahead again, and expire anew when the clock comes to them again. To
 * put, to remove and to cross cost the logarithm of their number.
 *
 * An agenda belongs to one thread. Nothing allocates: the alarms are the caller's, as is the
 * storage. No clock is read; now_ns is the clock's own time.
 */
#ifndef VRTC_AGENDA_H
#define VRTC_AGENDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alarm.h"

/* Private to agenda.c. */
struct vrtc_agenda_slot {
	uint64_t key; /* a copy of what orders the heap, so that comparing touches the heap alone */
	struct vrtc_alarm *alarm;
};

struct vrtc_agenda_heap {
	struct vrtc_agenda_slot *slot;
	uint32_t n;
};

struct vrtc_agenda {
	struct vrtc_agenda_heap ahead;  /* by alarm_ns, the smallest first */
	struct vrtc_agenda_heap behind; /* by its complement: the largest first */
	uint32_t capacity;
};

/* The storage of an agenda for so many alarms, in bytes. */
size_t vrtc_agenda_bytes(uint32_t capacity);

/* storage: vrtc_agenda_bytes() bytes, aligned as for a pointer; outlives the agenda */
void vrtc_agenda_init(struct vrtc_agenda *agenda, void *storage, uint32_t capacity);

/*
 * Puts an alarm that is in no agenda: behind the clock if alarm->reached, ahead of it if not.
 * Whether the clock has moved since that was found out is for the next turn. There is room:
 * asserted.
 */
void vrtc_agenda_put(struct vrtc_agenda *agenda, struct vrtc_alarm *alarm);

/* Takes an alarm out; does nothing where it is not in. */
void vrtc_agenda_remove(struct vrtc_agenda *agenda, struct vrtc_alarm *alarm);

/* Whether an alarm is in an agenda. A fresh alarm is all zero. */
static inline bool vrtc_agenda_has(const struct vrtc_alarm *alarm)
{
	return alarm->place != 0;
}

/*
 * The next alarm that the clock has come to or past: it expires. It is moved behind the clock and
 * alarm->reached set.
 *
 * @return  NULL: none is left
 */
struct vrtc_alarm *vrtc_agenda_expire(struct vrtc_agenda *agenda, uint64_t now_ns);

/*
 * The next alarm that the clock has stepped back before: it is moved ahead of the clock, and
 * alarm->reached cleared.
 *
 * @return  NULL: none is left
 */
struct vrtc_alarm *vrtc_agenda_rewind(struct vrtc_agenda *agenda, uint64_t now_ns);

static inline bool vrtc_agenda_is_empty(const struct vrtc_agenda *agenda)
{
	return agenda->ahead.n == 0 && agenda->behind.n == 0;
}

/* The nearest alarm ahead of the clock; false: there is none, *alarm_ns unchanged. */
static inline bool vrtc_agenda_next(const struct vrtc_agenda *agenda, uint64_t *alarm_ns)
{
	if (agenda->ahead.n == 0)
		return false;
	*alarm_ns = agenda->ahead.slot[0].key;
	return true;
}

#endif
