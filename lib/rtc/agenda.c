/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two binary heaps of which each alarm is in one at most: alarm->reached says in which, and
 * alarm->place - 1 where.
 */
#include "agenda.h"

#include <assert.h>

size_t vrtc_agenda_bytes(uint32_t capacity)
{
	return 2 * sizeof(struct vrtc_agenda_slot) * capacity;
}

void vrtc_agenda_init(struct vrtc_agenda *agenda, void *storage, uint32_t capacity)
{
	struct vrtc_agenda_slot *slot = storage;

	*agenda = (struct vrtc_agenda){
		.ahead.slot = slot,
		.behind.slot = slot + capacity,
		.capacity = capacity,
	};
}

static void set_slot(struct vrtc_agenda_heap *heap, uint32_t at, struct vrtc_agenda_slot slot)
{
	heap->slot[at] = slot;
	slot.alarm->place = at + 1;
}

/* Finds the place of a slot whose parents may be larger; at is free. */
static void sift_up(struct vrtc_agenda_heap *heap, uint32_t at, struct vrtc_agenda_slot slot)
{
	while (at > 0 && heap->slot[(at - 1) / 2].key > slot.key) {
		set_slot(heap, at, heap->slot[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	set_slot(heap, at, slot);
}

/* Finds the place of a slot whose children may be smaller; at is free. */
static void sift_down(struct vrtc_agenda_heap *heap, uint32_t at, struct vrtc_agenda_slot slot)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= heap->n)
			break;
		if (child + 1 < heap->n && heap->slot[child + 1].key < heap->slot[child].key)
			child++;
		if (heap->slot[child].key >= slot.key)
			break;
		set_slot(heap, at, heap->slot[child]);
		at = child;
	}
	set_slot(heap, at, slot);
}

static void insert(struct vrtc_agenda_heap *heap, struct vrtc_agenda_slot slot)
{
	sift_up(heap, heap->n++, slot);
}

static void take(struct vrtc_agenda_heap *heap, uint32_t at)
{
	struct vrtc_agenda_slot last = heap->slot[--heap->n];

	heap->slot[at].alarm->place = 0;
	if (at == heap->n)
		return;
	if (at > 0 && heap->slot[(at - 1) / 2].key > last.key)
		sift_up(heap, at, last);
	else
		sift_down(heap, at, last);
}

void vrtc_agenda_put(struct vrtc_agenda *agenda, struct vrtc_alarm *alarm)
{
	assert(alarm->place == 0 && agenda->ahead.n + agenda->behind.n < agenda->capacity);
	if (alarm->reached)
		insert(&agenda->behind, (struct vrtc_agenda_slot){~alarm->alarm_ns, alarm});
	else
		insert(&agenda->ahead, (struct vrtc_agenda_slot){alarm->alarm_ns, alarm});
}

void vrtc_agenda_remove(struct vrtc_agenda *agenda, struct vrtc_alarm *alarm)
{
	if (alarm->place != 0)
		take(alarm->reached ? &agenda->behind : &agenda->ahead, alarm->place - 1);
}

struct vrtc_alarm *vrtc_agenda_expire(struct vrtc_agenda *agenda, uint64_t now_ns)
{
	struct vrtc_alarm *alarm;

	if (agenda->ahead.n == 0 || agenda->ahead.slot[0].key > now_ns)
		return NULL;
	alarm = agenda->ahead.slot[0].alarm;
	take(&agenda->ahead, 0);
	alarm->reached = true;
	vrtc_agenda_put(agenda, alarm);
	return alarm;
}

struct vrtc_alarm *vrtc_agenda_rewind(struct vrtc_agenda *agenda, uint64_t now_ns)
{
	struct vrtc_alarm *alarm;

	if (agenda->behind.n == 0 || ~agenda->behind.slot[0].key <= now_ns)
		return NULL;
	alarm = agenda->behind.slot[0].alarm;
	take(&agenda->behind, 0);
	alarm->reached = false;
	vrtc_agenda_put(agenda, alarm);
	return alarm;
}
