/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why nothing here races.
 *
 * 1. An engine, and every client at it (alarms, alarmq, ledger records), is touched by one thread:
 *    the lcore that runs its turns. Everything below is called from a turn, except
 *    vrtc_alarm_lcore_new(), _watch() (before the lcore runs) and _send(), _ask().
 *
 * 2. A mail has one owner at a time. Its sender fills it in and sends it: the compare-and-swap of
 *    the inbox releases it, the exchange in open_mail() acquires it. The lcore answers in place and
 *    stores DONE with release; the sender loads it with acquire. So what either writes, the other
 *    sees, and neither writes while it is the other's.
 *
 * 3. The inbox is a list of which anybody may push to the front and the lcore takes the whole. A
 *    push of an address that was there before is harmless (no ABA): nothing is ever popped alone.
 *
 * 4. "MUST stop serving [...] before the device uses the response buffer": the request lcore uses
 *    the buffer when the mail is DONE; the lcore says so when it has cleared what was owed, in the
 *    thread that alone delivers. A notification published before that was published before the
 *    response: in memory, too, since publishing (R1 of vring.c), DONE (release), its load (acquire)
 *    and the response's publishing are ordered one after the other. An action of alarm_action.h is
 *    cancelled first, and the mail waits (deferred) while one is being begun, or until its sender,
 *    who stops the queue, withdraws it.
 *
 * 5. Going away. The control thread stops the request queue first: no more mail of its lcore, and
 *    the last is answered. STOP_QUEUE is answered when the alarmq is not touched any more, LEAVE
 *    when nothing of the client is. Only then the guest's memory, and the client, can go.
 *
 * 6. Sleeping (idle policy interrupt). The lcore stores sleeping, then looks at the inbox; a sender
 *    pushes, then looks at sleeping; all four sequentially consistent. So one sees the other, and a
 *    mail is either found before the sleep or ends it.
 */
#include "alarm_lcore.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "callfd.h"
#include "node_memory.h"
#include "wire.h"

/* Alarms that one turn handles for each timescale: the mail of other devices waits no longer. */
#define EXPIRATIONS_PER_TURN 64
/* Mails that one turn answers: a hostile driver's can cost as much as its alarmq is long. */
#define MAILS_PER_TURN       8
/* Devices without a buffer that one turn looks at. */
#define WAITING_PER_TURN     8
/* A wake-up is this much too early, and the rest is polled: the timer's own lateness is over. */
#define SLEEP_LEAD_NS        60000
/*
 * A source of time runs by so much, one part in so many, faster than the timer at most. What is
 * left then is slept for again.
 */
#define RATE_DOUBT           1000
/* The longest sleep with an alarm ahead: what no event tells (a PHC that was set) is seen then. */
#define SLEEP_MAX_NS         VRTC_NS_PER_S
/* How often an alarmq without a kick eventfd is looked at. */
#define POLLED_SLEEP_NS      (1000000 + SLEEP_LEAD_NS)
#define ASK_PAUSE_NS         10000
#define CACHE_LINE           64

/* The alarms of one timescale by one source, and the clock that they are compared with. */
struct watch {
	struct vrtc_agenda *agenda;
	const struct vrtc_clock *clock;
	const struct vrtc_timesource *time;
};

/* The engine's memory begins with a page. */
struct vrtc_alarm_lcore {
	/* Written by senders, read at each turn: a cache line of its own. */
	_Atomic(struct vrtc_alarm_mail *) inbox;
	atomic_bool sleeping; /* read by senders only after they wrote the inbox */
	char rest_of_line[CACHE_LINE - sizeof(void *) - sizeof(atomic_bool)];

	/* The lcore's. */
	struct watch *watch; /* by source; without those that no device has alarms of */
	unsigned n_watches;
	struct vrtc_agenda *agenda;   /* VRTC_TIMESCALES for each source */
	struct vrtc_alarm_mail *mail; /* taken out of the inbox, for this turn and the next ones */
	struct vrtc_alarm_mail *deferred; /* wait for an action that is just being begun */
	struct vrtc_alarm_client **waiting;
	uint32_t n_waiting;
	uint32_t next_waiting;

	int wake_fd;
	int timer_fd;     /* CLOCK_BOOTTIME, the next alarm */
	int clock_set_fd; /* readable when CLOCK_REALTIME was set */
	int epoll_fd;     /* -1: never sleeps */
	unsigned lcore_id;
	int node;
	size_t bytes;
};

/* The times of one source that a turn has asked for, each at most once. */
struct readings {
	const struct vrtc_timesource *time;
	bool read[VRTC_TIMEBASE_REALTIME + 1];
	struct vrtc_instant instant[VRTC_TIMEBASE_REALTIME + 1];
};

/* Room in the engine's memory, taken piece by piece; all pieces are multiples of 8 bytes. */
struct room {
	char *memory; /* NULL: only counting */
	size_t bytes;
};

static void *take_room(struct room *room, size_t bytes)
{
	size_t at = room->bytes;

	room->bytes += (bytes + 7) / 8 * 8;
	return room->memory ? room->memory + at : NULL;
}

/* Counts the room that the engine takes, or fills it in. */
static void lay_out(struct vrtc_alarm_lcore *l, struct room *room,
	const struct vrtc_alarm_source *source, unsigned n_sources, uint32_t clients)
{
	struct vrtc_alarm_lcore counted;
	bool fill = l != NULL;

	(void)take_room(room, sizeof(*l));
	if (!l)
		l = &counted;
	l->waiting = take_room(room, clients * sizeof(l->waiting[0]));
	l->watch = take_room(room, n_sources * VRTC_TIMESCALES * sizeof(l->watch[0]));
	l->agenda = take_room(room, n_sources * VRTC_TIMESCALES * sizeof(l->agenda[0]));
	for (unsigned i = 0; i < n_sources * VRTC_TIMESCALES; i++) {
		enum vrtc_timescale t = (enum vrtc_timescale)(i % VRTC_TIMESCALES);
		uint32_t capacity = source[i / VRTC_TIMESCALES].capacity[t];
		void *heaps = take_room(room, vrtc_agenda_bytes(capacity));

		if (!fill)
			continue;
		vrtc_agenda_init(&l->agenda[i], heaps, capacity);
		if (capacity > 0)
			l->watch[l->n_watches++] = (struct watch){.agenda = &l->agenda[i],
				.clock = vrtc_timescale_clock(t),
				.time = source[i / VRTC_TIMESCALES].time};
	}
}

struct vrtc_alarm_lcore *vrtc_alarm_lcore_new(unsigned lcore_id, int node,
	const struct vrtc_alarm_source *source, unsigned n_sources, uint32_t clients)
{
	struct room room = {0};
	struct vrtc_alarm_lcore *l;

	lay_out(NULL, &room, source, n_sources, clients);
	l = vrtc_node_memory_alloc(room.bytes, node);
	if (!l)
		return NULL;

	l->lcore_id = lcore_id;
	l->node = node;
	l->bytes = room.bytes;
	room = (struct room){.memory = (char *)l};
	lay_out(l, &room, source, n_sources, clients);
	l->epoll_fd = -1;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	l->clock_set_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->wake_fd < 0 || l->timer_fd < 0 || l->clock_set_fd < 0) {
		int err = errno;

		if (l->wake_fd >= 0)
			close(l->wake_fd);
		if (l->timer_fd >= 0)
			close(l->timer_fd);
		if (l->clock_set_fd >= 0)
			close(l->clock_set_fd);
		vrtc_node_memory_free(l, l->bytes);
		errno = err;
		return NULL;
	}
	return l;
}

unsigned vrtc_alarm_lcore_id(const struct vrtc_alarm_lcore *l)
{
	return l->lcore_id;
}

int vrtc_alarm_lcore_node(const struct vrtc_alarm_lcore *l)
{
	return l->node;
}

size_t vrtc_alarm_lcore_pages(const struct vrtc_alarm_lcore *l, int node, size_t *n_pages)
{
	return vrtc_node_memory_count(l, l->bytes, node, n_pages);
}

void vrtc_alarm_lcore_send(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	struct vrtc_alarm_mail *first = atomic_load_explicit(&l->inbox, memory_order_relaxed);

	atomic_store_explicit(&mail->state, VRTC_ALARM_MAIL_SENT, memory_order_relaxed);
	do
		mail->next = first;
	while (!atomic_compare_exchange_weak(&l->inbox, &first, mail));
	if (atomic_load(&l->sleeping))
		(void)eventfd_write(l->wake_fd, 1);
}

int vrtc_alarm_lcore_ask(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	const struct timespec pause = {.tv_nsec = ASK_PAUSE_NS};

	vrtc_alarm_lcore_send(l, mail);
	while (!vrtc_alarm_mail_done(mail))
		(void)nanosleep(&pause, NULL);
	return mail->rc;
}

static void use_source(struct readings *readings, const struct vrtc_timesource *time)
{
	assert(time);
	if (readings->time == time)
		return;
	readings->time = time;
	memset(readings->read, 0, sizeof(readings->read));
}

static struct vrtc_alarm_now read_clock(const struct vrtc_clock *clock, struct readings *readings)
{
	enum vrtc_timebase base = vrtc_clock_timebase(clock);
	const struct vrtc_instant *instant = &readings->instant[base];
	struct vrtc_alarm_now now = {.known = false};

	if (!readings->read[base])
		vrtc_timesource_read(readings->time, base, &readings->instant[base]);
	readings->read[base] = true;
	if (instant->known)
		now.known = vrtc_clock_read(clock, instant->leap, instant->timebase_ns, &now.ns);
	return now;
}

static struct vrtc_alarm_now read_clock_now(
	const struct vrtc_timesource *time, const struct vrtc_clock *clock)
{
	struct readings readings = {0};

	use_source(&readings, time);
	return read_clock(clock, &readings);
}

/* ---- The devices that owe a notification and have no buffer for it. */

static void begin_waiting(struct vrtc_alarm_lcore *l, struct vrtc_alarm_client *client)
{
	if (client->waiting_at)
		return;
	l->waiting[l->n_waiting++] = client;
	client->waiting_at = l->n_waiting;
}

static void end_waiting(struct vrtc_alarm_lcore *l, struct vrtc_alarm_client *client)
{
	struct vrtc_alarm_client *last;

	if (!client->waiting_at)
		return;
	last = l->waiting[--l->n_waiting];
	l->waiting[client->waiting_at - 1] = last;
	last->waiting_at = client->waiting_at;
	client->waiting_at = 0;
}

static void tell_once(struct vrtc_alarm_client *client, bool *told, atomic_bool *what)
{
	if (*told)
		return;
	*told = true;
	/* Release: the control thread that acquires it reads why the ring is broken. */
	atomic_store_explicit(what, true, memory_order_release);
	(void)eventfd_write(client->attention_fd, 1);
}

/* Delivers what is owed, signals the driver, and sees to what remains. */
static void deliver(struct vrtc_alarm_lcore *l, struct vrtc_alarm_client *client)
{
	struct vrtc_alarm_device *dev = &client->alarms;
	bool signal = false;

	if (vrtc_alarm_device_deliver(dev, &signal) == VRTC_ALARM_NO_BUFFER)
		begin_waiting(l, client);
	else
		end_waiting(l, client);
	if (signal)
		vrtc_callfd_signal(client->callfd);
	if (dev->bad_buffer)
		tell_once(client, &client->bad_buffer_told, &client->bad_buffer);
	if (dev->alarmq_runs && vrtc_vring_fault(&dev->alarmq))
		tell_once(client, &client->fault_told, &client->faulty);
}

/*
 * A hostile driver's buffer can be a chain of 32768 descriptors, a fifth of a millisecond. So the
 * first device of which a buffer was used, in vain or not, is the last one of the turn, and the
 * clocks are compared in between.
 */
static unsigned serve_waiting(struct vrtc_alarm_lcore *l)
{
	for (unsigned i = 0; i < WAITING_PER_TURN && i < l->n_waiting; i++) {
		struct vrtc_alarm_client *client;
		uint16_t used;

		if (l->next_waiting >= l->n_waiting)
			l->next_waiting = 0;
		client = l->waiting[l->next_waiting++];
		used = vrtc_vring_base(&client->alarms.alarmq);
		deliver(l, client);
		if (vrtc_vring_base(&client->alarms.alarmq) != used)
			return 1;
	}
	return 0;
}

/* ---- The clocks. */

static struct vrtc_alarm_client *client_of(struct vrtc_alarm_device *dev)
{
	return (struct vrtc_alarm_client *)((char *)dev -
					    offsetof(struct vrtc_alarm_client, alarms));
}

static void act(struct vrtc_alarm_client *client, const struct vrtc_alarm *alarm)
{
	if (client->action)
		vrtc_alarm_action_expire(client->action, alarm->clock_id, alarm->alarm_ns);
}

static unsigned compare(struct vrtc_alarm_lcore *l)
{
	struct readings readings = {0};
	unsigned work = 0;

	for (unsigned i = 0; i < l->n_watches; i++) {
		struct vrtc_agenda *agenda = l->watch[i].agenda;
		struct vrtc_alarm_now now;
		struct vrtc_alarm *alarm;
		unsigned budget = EXPIRATIONS_PER_TURN;

		if (vrtc_agenda_is_empty(agenda))
			continue;
		use_source(&readings, l->watch[i].time);
		now = read_clock(l->watch[i].clock, &readings);
		if (!now.known)
			continue;
		while (budget > 0 && (alarm = vrtc_agenda_expire(agenda, now.ns)) != NULL) {
			struct vrtc_alarm_client *client = client_of(alarm->device);

			vrtc_alarm_device_expire(alarm);
			deliver(l, client);
			act(client, alarm);
			budget--;
			work++;
		}
		while (budget > 0 && (alarm = vrtc_agenda_rewind(agenda, now.ns)) != NULL) {
			vrtc_alarm_device_rewind(alarm);
			budget--;
			work++;
		}
	}
	return work;
}

/* ---- The mail. */

static void answer(struct vrtc_alarm_mail *mail)
{
	/* Release: pairs with the acquire of vrtc_alarm_mail_done(). */
	atomic_store_explicit(&mail->state, VRTC_ALARM_MAIL_DONE, memory_order_release);
}

/* Returns false if an action of the alarm is just being begun: to be tried again. */
static bool change_alarm(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	struct vrtc_alarm_client *client = mail->client;
	const struct vrtc_alarm_change *change = &mail->change;
	struct vrtc_alarm_now now;
	bool expires;

	if (client->action && !vrtc_alarm_action_cancel(client->action, change->clock_id))
		return false;
	now = read_clock_now(client->time, &client->alarms.clock[change->clock_id]);
	if (mail->op == VRTC_ALARM_SET)
		expires = vrtc_alarm_device_set(&client->alarms, change, now);
	else
		expires = vrtc_alarm_device_enable(&client->alarms, change, now);
	/* Also where nothing is owed any more: it does not wait for a buffer then. */
	deliver(l, client);
	if (expires)
		act(client, &client->alarms.alarm[change->clock_id]);
	else if (change->enabled)
		vrtc_alarm_device_warm(&client->alarms);
	return true;
}

static void reset(struct vrtc_alarm_lcore *l, struct vrtc_alarm_client *client, bool retain)
{
	/* No action: who resets a device is awake. */
	vrtc_alarm_device_reset(&client->alarms, retain);
	for (uint16_t c = 0; !retain && client->action && c < client->alarms.n_clocks; c++)
		(void)vrtc_alarm_action_cancel(client->action, c);
	deliver(l, client);
}

static void start_queue(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	struct vrtc_alarm_client *client = mail->client;

	mail->rc = vrtc_alarm_device_start(&client->alarms, mail->ring, &mail->why);
	if (mail->rc)
		return;
	client->callfd = mail->callfd;
	client->kickfd = mail->kickfd;
	client->fault_told = false;
	client->bad_buffer_told = false;
	client->alarms.bad_buffer = false;
	/* What nobody was told of yet is of the ring that was. */
	atomic_store_explicit(&client->faulty, false, memory_order_relaxed);
	atomic_store_explicit(&client->bad_buffer, false, memory_order_relaxed);
	if (l->epoll_fd >= 0 && client->kickfd >= 0) {
		struct epoll_event kick = {.events = EPOLLIN | EPOLLET};

		if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, client->kickfd, &kick)) {
			mail->rc = -errno;
			mail->why = "cannot wait for the driver's kicks";
			vrtc_alarm_device_stop(&client->alarms);
			return;
		}
	}
	deliver(l, client);
	vrtc_alarm_device_warm(&client->alarms);
	/* A predecessor may have died between the used index and the signal (D17). */
	vrtc_callfd_signal(client->callfd);
}

static void stop_queue(struct vrtc_alarm_lcore *l, struct vrtc_alarm_client *client)
{
	end_waiting(l, client);
	if (client->alarms.alarmq_runs && l->epoll_fd >= 0 && client->kickfd >= 0)
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, client->kickfd, NULL);
	vrtc_alarm_device_stop(&client->alarms);
}

/* Returns false if the mail has to be tried again. */
static bool handle(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	struct vrtc_alarm_device *dev = &mail->client->alarms;

	mail->rc = 0;
	switch (mail->op) {
	case VRTC_ALARM_READ:
		mail->change.alarm_ns = dev->alarm[mail->change.clock_id].alarm_ns;
		mail->change.enabled = dev->alarm[mail->change.clock_id].enabled;
		break;
	case VRTC_ALARM_SET:
	case VRTC_ALARM_ENABLE:
		if (change_alarm(l, mail))
			break;
		if (!atomic_load_explicit(&mail->withdrawn, memory_order_relaxed))
			return false;
		mail->rc = -ECANCELED;
		break;
	case VRTC_ALARM_JOIN:
		vrtc_alarm_device_join(
			dev, l->agenda + mail->client->source * (size_t)VRTC_TIMESCALES);
		break;
	case VRTC_ALARM_LEAVE:
		end_waiting(l, mail->client);
		vrtc_alarm_device_leave(dev);
		break;
	case VRTC_ALARM_RESET:
		reset(l, mail->client, mail->retain);
		break;
	case VRTC_ALARM_START_QUEUE:
		start_queue(l, mail);
		break;
	case VRTC_ALARM_STOP_QUEUE:
		stop_queue(l, mail->client);
		break;
	}
	answer(mail);
	return true;
}

static struct vrtc_alarm_mail *take_first(struct vrtc_alarm_mail **list)
{
	struct vrtc_alarm_mail *first = *list;

	/* Before it is answered: an answered mail is its sender's, its link too. */
	*list = first->next;
	return first;
}

static bool handle_or_defer(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	if (handle(l, mail))
		return true;
	mail->next = l->deferred;
	l->deferred = mail;
	return false;
}

static unsigned open_mail(struct vrtc_alarm_lcore *l)
{
	struct vrtc_alarm_mail *deferred = l->deferred;
	unsigned work = 0;

	l->deferred = NULL;
	while (deferred)
		work += handle_or_defer(l, take_first(&deferred));
	if (!l->mail && atomic_load_explicit(&l->inbox, memory_order_relaxed))
		l->mail = atomic_exchange(&l->inbox, NULL);
	for (unsigned n = 0; n < MAILS_PER_TURN && l->mail; n++)
		work += handle_or_defer(l, take_first(&l->mail));
	return work;
}

unsigned vrtc_alarm_lcore_turn(struct vrtc_alarm_lcore *l)
{
	unsigned work = compare(l);

	work += open_mail(l);
	if (l->n_waiting > 0)
		work += serve_waiting(l);
	return work;
}

/* ---- Sleeping. */

static int arm_clock_set(struct vrtc_alarm_lcore *l)
{
	/* Never expires, and is cancelled when the clock is set. */
	const struct itimerspec never = {.it_value.tv_sec = INT32_MAX};

	return timerfd_settime(
		l->clock_set_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

int vrtc_alarm_lcore_watch(struct vrtc_alarm_lcore *l, int epoll_fd)
{
	const int fds[] = {l->wake_fd, l->timer_fd, l->clock_set_fd};

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLET};

		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event))
			return -errno;
	}
	if (arm_clock_set(l))
		return -errno;
	l->epoll_fd = epoll_fd;
	return 0;
}

/* How long until the clock shows alarm_ns; at most limit_ns. */
static int64_t until_alarm(const struct vrtc_clock *clock, uint64_t alarm_ns,
	const struct vrtc_instant *now, int64_t limit_ns)
{
	int64_t instant_ns;
	int64_t until_ns;

	if (!vrtc_clock_instant(clock, now->leap, alarm_ns, &instant_ns) ||
		!vrtc_nstime_sub(instant_ns, now->timebase_ns, &until_ns))
		return limit_ns;
	until_ns -= until_ns / RATE_DOUBT;
	return until_ns < limit_ns ? until_ns : limit_ns;
}

/* How long until UTC steps back at a leap second, and alarms behind it may be ahead again. */
static int64_t until_leap_second(const struct vrtc_instant *now, int64_t limit_ns)
{
	for (unsigned i = now->leap->n; i-- > 0;) {
		int64_t step_ns = now->leap->entries[i].step_tai_ns;
		int64_t until_ns;

		if (step_ns <= now->timebase_ns)
			break;
		if (vrtc_nstime_sub(step_ns, now->timebase_ns, &until_ns) && until_ns < limit_ns)
			limit_ns = until_ns;
	}
	return limit_ns;
}

/* How long until there may be something to do; INT64_MAX: there is no alarm. */
static int64_t until_next(struct vrtc_alarm_lcore *l)
{
	struct readings readings = {0};
	int64_t until_ns = SLEEP_MAX_NS;
	bool any = false;

	for (unsigned i = 0; i < l->n_watches; i++) {
		const struct vrtc_clock *clock = l->watch[i].clock;
		const struct vrtc_agenda *agenda = l->watch[i].agenda;
		const struct vrtc_instant *now = &readings.instant[vrtc_clock_timebase(clock)];
		uint64_t alarm_ns;

		if (vrtc_agenda_is_empty(agenda))
			continue;
		any = true;
		use_source(&readings, l->watch[i].time);
		if (!read_clock(clock, &readings).known)
			continue;
		if (vrtc_agenda_next(agenda, &alarm_ns))
			until_ns = until_alarm(clock, alarm_ns, now, until_ns);
		if (clock->type == VIRTIO_RTC_CLOCK_UTC && agenda->behind.n > 0)
			until_ns = until_leap_second(now, until_ns);
	}
	return any ? until_ns : INT64_MAX;
}

/* A driver that gave no kick eventfd wants to be polled: for the buffer that is waited for, too. */
static int64_t until_buffers(const struct vrtc_alarm_lcore *l, int64_t limit_ns)
{
	for (uint32_t i = 0; i < l->n_waiting; i++) {
		if (l->waiting[i]->kickfd < 0 && limit_ns > POLLED_SLEEP_NS)
			limit_ns = POLLED_SLEEP_NS;
	}
	return limit_ns;
}

static void arm_timer(struct vrtc_alarm_lcore *l, int64_t until_ns)
{
	struct itimerspec timer = {0};

	if (until_ns != INT64_MAX) {
		timer.it_value.tv_sec = (time_t)(until_ns / VRTC_NS_PER_S);
		timer.it_value.tv_nsec = (long)(until_ns % VRTC_NS_PER_S);
	}
	(void)timerfd_settime(l->timer_fd, 0, &timer, NULL);
}

bool vrtc_alarm_lcore_prepare_sleep(struct vrtc_alarm_lcore *l)
{
	int64_t until_ns = until_buffers(l, until_next(l));
	bool work = l->mail != NULL || l->deferred != NULL || until_ns <= SLEEP_LEAD_NS;

	if (!work)
		arm_timer(l, until_ns == INT64_MAX ? until_ns : until_ns - SLEEP_LEAD_NS);
	for (uint32_t i = 0; i < l->n_waiting; i++)
		work |= vrtc_vring_kick_enable(&l->waiting[i]->alarms.alarmq);
	atomic_store(&l->sleeping, true);
	return !work && atomic_load(&l->inbox) == NULL;
}

void vrtc_alarm_lcore_end_sleep(struct vrtc_alarm_lcore *l)
{
	uint64_t ignored;

	atomic_store_explicit(&l->sleeping, false, memory_order_relaxed);
	for (uint32_t i = 0; i < l->n_waiting; i++)
		vrtc_vring_kick_disable(&l->waiting[i]->alarms.alarmq);
	/* What wakes us is edge-triggered and need not be read; this one has to be set anew. */
	if (read(l->clock_set_fd, &ignored, sizeof(ignored)) < 0 && errno == ECANCELED)
		(void)arm_clock_set(l);
}
