/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alarm_lcore.h and endpoint_alarms.h, turn by turn in one thread: two alarm lcores on two NUMA
 * nodes, and clocks that show what a case says. What libnuma and the kernel would do with them is
 * recorded.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "endpoint_alarms.h"
#include "guest_rings.h"
#include "refuser.h"

#define NS_PER_S    INT64_C(1000000000)
#define UTC_1972_01 (INT64_C(63072000) * NS_PER_S)
#define UTC_1972_07 (INT64_C(78796800) * NS_PER_S)
#define UTC_ID      0
#define MONO_ID     1
#define MAILS       40 /* more than one turn handles */

static const char table_text[] = "#@ 2366755200\n"
				 "2272060800 10 # 1 Jan 1972\n"
				 "2287785600 11 # 1 Jul 1972\n";

static const struct vrtc_clock clocks[] = {
	{.type = VIRTIO_RTC_CLOCK_UTC, .alarm = true},
	{.type = VIRTIO_RTC_CLOCK_MONOTONIC, .alarm = true},
};
static const struct vrtc_device device = {.clock = clocks, .n_clocks = 2};

static struct vrtc_leap_table table;
static struct vrtc_hosttime host;
static struct vrtc_phc phc; /* never read: it shows no time */
static struct vrtc_timesource source = {.host = &host};

/* What the system's clocks show. */
static int64_t tai_ns;
static int64_t boottime_ns;

/* What was asked of the system. */
static unsigned moved_to_node[2];
static bool action_is_beginning;
static bool clock_was_set;

int seen_clock_gettime(clockid_t id, struct timespec *now) __asm__("__wrap_clock_gettime");
int seen_numa_available(void) __asm__("__wrap_numa_available");
void seen_numa_set_bind_policy(int strict) __asm__("__wrap_numa_set_bind_policy");
void seen_numa_tonode_memory(void *start, size_t bytes, int node) __asm__(
	"__wrap_numa_tonode_memory");
long seen_move_pages(int pid, unsigned long n, void **pages, const int *nodes, int *status,
	int flags) __asm__("__wrap_move_pages");
bool seen_cancel(struct vrtc_alarm_action *a, uint16_t clock_id) __asm__(
	"__wrap_vrtc_alarm_action_cancel");
ssize_t real_read(int fd, void *buffer, size_t bytes) __asm__("__real_read");
ssize_t seen_read(int fd, void *buffer, size_t bytes) __asm__("__wrap_read");

int seen_clock_gettime(clockid_t id, struct timespec *now)
{
	int64_t ns = id == CLOCK_TAI ? tai_ns : boottime_ns;

	*now = (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
	return 0;
}

int seen_numa_available(void)
{
	return 0;
}

void seen_numa_set_bind_policy(int strict)
{
	assert_int_equal(strict, 0);
}

void seen_numa_tonode_memory(void *start, size_t bytes, int node)
{
	assert_non_null(start);
	assert_true(bytes > 0);
	assert_in_range(node, 0, 1);
}

long seen_move_pages(
	int pid, unsigned long n, void **pages, const int *nodes, int *status, int flags)
{
	(void)pid;
	(void)flags;
	assert_int_equal(n, 1);
	assert_int_equal((uintptr_t)pages[0] % 8, 0);
	if (nodes)
		moved_to_node[*nodes]++;
	*status = nodes ? *nodes : -EFAULT;
	return 0;
}

bool seen_cancel(struct vrtc_alarm_action *a, uint16_t clock_id)
{
	assert_non_null(a);
	assert_in_range(clock_id, 0, 1);
	return !action_is_beginning;
}

/* As a timerfd says that the clock was set: once. */
ssize_t seen_read(int fd, void *buffer, size_t bytes)
{
	if (clock_was_set) {
		clock_was_set = false;
		errno = ECANCELED;
		return -1;
	}
	return real_read(fd, buffer, bytes);
}

struct world {
	struct vrtc_alarm_lcore *lcore[2];
	struct vrtc_place place[2];
	struct vrtc_alarm_lcores lcores;
	struct vrtc_alarm_ledger ledger;
	struct vrtc_endpoint_alarms_config config;
	struct vrtc_endpoint_alarms ea;
	struct guest_rings guest;
	struct vrtc_guestmem mem;
	int attention_fd;
};

static void begin(struct world *w)
{
	const struct vrtc_alarm_source sources = {.time = &source,
		.capacity = {[VRTC_TIMESCALE_UTC] = 4, [VRTC_TIMESCALE_MONOTONIC] = 4}};

	memset(w, 0, sizeof(*w));
	memset(&host, 0, sizeof(host));
	memset(moved_to_node, 0, sizeof(moved_to_node));
	atomic_store(&host.leap, &table);
	source.phc = NULL;
	tai_ns = UTC_1972_01 + 10 * NS_PER_S;
	boottime_ns = 1000 * NS_PER_S;
	assert_int_equal(
		vrtc_leap_parse(&table, table_text, strlen(table_text), NULL), VRTC_LEAP_OK);
	for (int i = 0; i < 2; i++) {
		w->lcore[i] = vrtc_alarm_lcore_new((unsigned)i, i, &sources, 1, 4);
		assert_non_null(w->lcore[i]);
		w->place[i].node = i;
	}
	w->lcores = (struct vrtc_alarm_lcores){.lcore = w->lcore, .place = w->place, .n = 2};
	vrtc_alarm_ledger_init(&w->ledger, clocks, 2);
	w->config = (struct vrtc_endpoint_alarms_config){
		.retain = VRTC_RETAIN_VMM, .ledger = &w->ledger, .time = &source};
	guest_rings_make(&w->guest, false);
	assert_int_equal(vrtc_guestmem_add(&w->mem, GUEST_GPA, GUEST_BYTES, w->guest.g_mem), 0);
	w->attention_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(w->attention_fd >= 0);
}

static void open_it(struct world *w)
{
	assert_int_equal(
		vrtc_endpoint_alarms_open(&w->ea, &w->config, &device, &w->lcores, w->attention_fd),
		0);
}

static void end(struct world *w)
{
	guest_rings_free(&w->guest);
	close(w->attention_fd);
}

static struct vrtc_alarm_mail set_alarm(struct world *w, uint16_t clock_id, int64_t alarm_ns)
{
	return (struct vrtc_alarm_mail){.op = VRTC_ALARM_SET,
		.client = w->ea.client,
		.change = {.clock_id = clock_id, .enabled = true, .alarm_ns = (uint64_t)alarm_ns}};
}

static void set(struct world *w, uint16_t clock_id, int64_t alarm_ns)
{
	struct vrtc_alarm_mail mail = set_alarm(w, clock_id, alarm_ns);

	assert_int_equal(vrtc_alarm_lcore_ask(w->ea.lcore, &mail), 0);
}

static bool has_expired(const struct world *w, uint16_t clock_id)
{
	return vrtc_alarm_ledger_read(&w->ledger, clock_id).flags & VRTC_ALARM_RECORD_REACHED;
}

/* ---- At which lcore. */

static void alarms_without_memory_are_at_no_lcore(void **state)
{
	static struct world w;

	(void)state;
	begin(&w);
	refuser_begin(1, ENOMEM);
	assert_int_equal(
		vrtc_endpoint_alarms_open(&w.ea, &w.config, &device, &w.lcores, w.attention_fd),
		-ENOMEM);
	assert_true(refuser_end());
	assert_int_equal(w.place[0].load + w.place[1].load, 0);
	end(&w);
}

static void alarms_move_to_the_node_of_their_guest_and_expire_there(void **state)
{
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	assert_ptr_equal(w.ea.lcore, w.lcore[0]);
	set(&w, MONO_ID, boottime_ns + NS_PER_S);
	vrtc_endpoint_alarms_place(&w.ea, &w.lcores, 1);
	assert_ptr_equal(w.ea.lcore, w.lcore[1]);
	assert_int_equal(w.place[0].load, 0);
	assert_int_equal(w.place[1].load, 1);
	assert_true(moved_to_node[1] >= 2); /* its own memory, and its ledger's */
	boottime_ns += NS_PER_S;
	assert_int_equal(vrtc_alarm_lcore_turn(w.lcore[0]), 0);
	assert_false(has_expired(&w, MONO_ID));
	assert_int_equal(vrtc_alarm_lcore_turn(w.lcore[1]), 1);
	assert_true(has_expired(&w, MONO_ID));
	end(&w);
}

static void alarms_stay_where_it_is_as_good(void **state)
{
	struct vrtc_endpoint_alarms second;
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	/* Two of one node: the second device is at the second one, and it is as good there. */
	w.place[1].node = 0;
	assert_int_equal(
		vrtc_endpoint_alarms_open(&second, &w.config, &device, &w.lcores, w.attention_fd),
		0);
	assert_ptr_equal(second.lcore, w.lcore[1]);
	w.place[0].load = 0;
	vrtc_endpoint_alarms_place(&second, &w.lcores, 0);
	assert_ptr_equal(second.lcore, w.lcore[1]);
	assert_int_equal(w.place[1].load, 1);
	/* And where one is fuller than the other it goes. */
	w.place[1].load = 3;
	vrtc_endpoint_alarms_place(&second, &w.lcores, 0);
	assert_ptr_equal(second.lcore, w.lcore[0]);
	assert_int_equal(w.place[1].load, 2);
	/* As it does from another node. */
	w.place[0].node = 1;
	vrtc_endpoint_alarms_place(&second, &w.lcores, 0);
	assert_ptr_equal(second.lcore, w.lcore[1]);
	end(&w);
}

static void alarms_are_forgotten_by_another_process_alone(void **state)
{
	const struct vrtc_peer_process first = {.pid = 17, .start_ticks = 100};
	const struct vrtc_peer_process later = {.pid = 17, .start_ticks = 200};
	const struct vrtc_peer_process other = {.pid = 18, .start_ticks = 200};
	const struct vrtc_peer_process unknown = {0};
	const struct {
		const struct vrtc_peer_process *user;
		bool same;
	} users[] = {{&first, false}, {&first, true}, {&later, false}, {&later, true},
		{&other, false}, {&unknown, false}, {&unknown, false}};
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	for (unsigned i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		bool forgotten;

		set(&w, MONO_ID, boottime_ns + NS_PER_S);
		assert_int_equal(vrtc_endpoint_alarms_claim(&w.ea, users[i].user, &forgotten),
			users[i].same);
		assert_int_equal(forgotten, !users[i].same);
		assert_int_equal(
			vrtc_alarm_ledger_read(&w.ledger, MONO_ID).alarm_ns != 0, users[i].same);
	}
	end(&w);
}

/* ---- Its queue. */

static void an_alarmq_that_cannot_be_served_is_told_and_does_not_run(void **state)
{
	struct vrtc_session_ring ring;
	const char *why = "";
	static struct world w;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int kickfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	begin(&w);
	open_it(&w);
	ring = guest_rings_queue(&w.guest);
	ring.size = GUEST_QUEUE_SIZE - 1;
	assert_int_equal(vrtc_endpoint_alarms_start(&w.ea, &ring, &w.mem, &why), -EINVAL);
	assert_string_equal(why, "a ring is missing, misaligned or of a bad size");
	ring = guest_rings_queue(&w.guest);
	ring.features = 0;
	assert_int_equal(vrtc_endpoint_alarms_start(&w.ea, &ring, &w.mem, &why), -EINVAL);
	assert_string_equal(why, "VIRTIO_F_VERSION_1 is not negotiated");
	/* Broken at its start: the driver has not made available what was used. */
	ring = guest_rings_queue(&w.guest);
	ring.base = 7;
	w.guest.g_mem[GUEST_DEVICE_AT + 2] = GUEST_QUEUE_SIZE + 9;
	why = "";
	assert_int_equal(vrtc_endpoint_alarms_start(&w.ea, &ring, &w.mem, &why), -EINVAL);
	assert_true(strlen(why) > 0);
	w.guest.g_mem[GUEST_DEVICE_AT + 2] = 0;
	/* A kick that a sleeping lcore could not wait for. */
	assert_int_equal(vrtc_alarm_lcore_watch(w.ea.lcore, epoll_fd), 0);
	ring = guest_rings_queue(&w.guest);
	ring.kickfd = kickfd;
	refuser_begin(1, ENOSPC);
	assert_int_equal(vrtc_endpoint_alarms_start(&w.ea, &ring, &w.mem, &why), -ENOSPC);
	assert_true(refuser_end());
	assert_string_equal(why, "cannot wait for the driver's kicks");
	assert_false(w.ea.alarmq_runs);
	assert_false(w.ea.client->alarms.alarmq_runs);
	/* And after all that a good one is served. */
	assert_int_equal(vrtc_endpoint_alarms_start(&w.ea, &ring, &w.mem, &why), 0);
	assert_true(w.ea.alarmq_runs);
	guest_rings_offer(&w.guest, 0);
	assert_int_equal(vrtc_endpoint_alarms_stop(&w.ea, false), 0);
	/* The kernel waits for it no more. */
	assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, kickfd, NULL), -1);
	assert_int_equal(errno, ENOENT);
	end(&w);
	close(kickfd);
	close(epoll_fd);
}

/* ---- Requests, and an action that is just being begun. */

static void a_change_waits_until_the_action_before_it_has_begun(void **state)
{
	struct vrtc_alarm_mail mail;
	static struct world w;

	(void)state;
	begin(&w);
	w.config.action = (struct vrtc_alarm_action *)(void *)&w;
	open_it(&w);
	mail = set_alarm(&w, MONO_ID, boottime_ns + NS_PER_S);
	action_is_beginning = true;
	vrtc_alarm_lcore_send(w.ea.lcore, &mail);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vrtc_alarm_lcore_turn(w.ea.lcore), 0);
		assert_false(vrtc_alarm_mail_done(&mail));
		assert_false(vrtc_alarm_lcore_prepare_sleep(w.ea.lcore));
		vrtc_alarm_lcore_end_sleep(w.ea.lcore);
	}
	action_is_beginning = false;
	assert_int_equal(vrtc_alarm_lcore_turn(w.ea.lcore), 1);
	assert_true(vrtc_alarm_mail_done(&mail));
	assert_int_equal(mail.rc, 0);
	assert_int_equal(
		vrtc_alarm_ledger_read(&w.ledger, MONO_ID).alarm_ns, boottime_ns + NS_PER_S);
	end(&w);
}

static void a_change_that_is_withdrawn_meanwhile_is_not_made(void **state)
{
	struct vrtc_alarm_mail mail;
	static struct world w;

	(void)state;
	begin(&w);
	w.config.action = (struct vrtc_alarm_action *)(void *)&w;
	open_it(&w);
	mail = set_alarm(&w, MONO_ID, boottime_ns + NS_PER_S);
	action_is_beginning = true;
	vrtc_alarm_lcore_send(w.ea.lcore, &mail);
	(void)vrtc_alarm_lcore_turn(w.ea.lcore);
	atomic_store(&mail.withdrawn, true);
	(void)vrtc_alarm_lcore_turn(w.ea.lcore);
	action_is_beginning = false;
	assert_true(vrtc_alarm_mail_done(&mail));
	assert_int_equal(mail.rc, -ECANCELED);
	assert_int_equal(vrtc_alarm_ledger_read(&w.ledger, MONO_ID).alarm_ns, 0);
	end(&w);
}

static void many_requests_take_more_than_one_turn_and_no_sleep_between(void **state)
{
	struct vrtc_alarm_mail mail[MAILS];
	unsigned turns = 0;
	unsigned done = 0;
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	for (unsigned i = 0; i < MAILS; i++) {
		mail[i] = (struct vrtc_alarm_mail){.op = VRTC_ALARM_READ, .client = w.ea.client};
		vrtc_alarm_lcore_send(w.ea.lcore, &mail[i]);
	}
	while (done < MAILS && turns < MAILS) {
		assert_false(vrtc_alarm_lcore_prepare_sleep(w.ea.lcore));
		vrtc_alarm_lcore_end_sleep(w.ea.lcore);
		done += vrtc_alarm_lcore_turn(w.ea.lcore);
		turns++;
	}
	assert_int_equal(done, MAILS);
	assert_true(turns > 1);
	for (unsigned i = 0; i < MAILS; i++)
		assert_true(vrtc_alarm_mail_done(&mail[i]));
	assert_true(vrtc_alarm_lcore_prepare_sleep(w.ea.lcore));
	vrtc_alarm_lcore_end_sleep(w.ea.lcore);
	end(&w);
}

/* ---- Sleep. */

/* For how long it would sleep; INT64_MAX: until it is woken. */
static int64_t sleep_of(struct world *w)
{
	struct itimerspec timer = {0};
	int64_t ns;

	assert_true(vrtc_alarm_lcore_prepare_sleep(w->ea.lcore));
	refuser_last_timer(&timer);
	vrtc_alarm_lcore_end_sleep(w->ea.lcore);
	ns = timer.it_value.tv_sec * NS_PER_S + timer.it_value.tv_nsec;
	return ns == 0 ? INT64_MAX : ns;
}

static void a_sleep_ends_before_the_next_alarm_and_after_a_second(void **state)
{
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	assert_true(sleep_of(&w) == INT64_MAX);
	set(&w, MONO_ID, boottime_ns + 1000 * NS_PER_S);
	assert_in_range(sleep_of(&w), NS_PER_S * 9 / 10, NS_PER_S);
	set(&w, MONO_ID, boottime_ns + NS_PER_S / 2);
	assert_in_range(sleep_of(&w), NS_PER_S / 3, NS_PER_S / 2);
	/* So near that there is no time to sleep. */
	set(&w, MONO_ID, boottime_ns + 1);
	assert_false(vrtc_alarm_lcore_prepare_sleep(w.ea.lcore));
	vrtc_alarm_lcore_end_sleep(w.ea.lcore);
	end(&w);
}

/* UTC shows the second before it twice: an alarm that is past may be ahead again. */
static void a_sleep_ends_before_a_leap_second_where_an_alarm_is_behind_the_clock(void **state)
{
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	tai_ns = UTC_1972_07 + 10 * NS_PER_S - NS_PER_S / 2;
	set(&w, UTC_ID, UTC_1972_01);
	(void)vrtc_alarm_lcore_turn(w.ea.lcore);
	assert_true(has_expired(&w, UTC_ID));
	assert_in_range(sleep_of(&w), NS_PER_S / 3, NS_PER_S / 2);
	/* A second earlier the longest sleep ends before; and there is none after the last one. */
	tai_ns -= NS_PER_S;
	assert_in_range(sleep_of(&w), NS_PER_S * 9 / 10, NS_PER_S);
	tai_ns += 5 * NS_PER_S;
	assert_in_range(sleep_of(&w), NS_PER_S * 9 / 10, NS_PER_S);
	end(&w);
}

static void alarms_of_a_clock_without_a_time_wait_for_it(void **state)
{
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	set(&w, UTC_ID, UTC_1972_01 + NS_PER_S);
	source.phc = &phc;
	tai_ns += 3 * NS_PER_S;
	assert_int_equal(vrtc_alarm_lcore_turn(w.ea.lcore), 0);
	assert_false(has_expired(&w, UTC_ID));
	assert_in_range(sleep_of(&w), NS_PER_S * 9 / 10, NS_PER_S);
	source.phc = NULL;
	assert_int_equal(vrtc_alarm_lcore_turn(w.ea.lcore), 1);
	assert_true(has_expired(&w, UTC_ID));
	end(&w);
}

/* Without a kick, and with no buffer in it. */
static void serve_alarmq(struct world *w)
{
	struct vrtc_session_ring ring = guest_rings_queue(&w->guest);
	const char *why = "";

	if (vrtc_endpoint_alarms_start(&w->ea, &ring, &w->mem, &why))
		fail_msg("%s", why);
}

static void a_driver_without_a_kick_is_looked_at_every_millisecond_for_its_buffer(void **state)
{
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	serve_alarmq(&w);
	set(&w, MONO_ID, boottime_ns);
	(void)vrtc_alarm_lcore_turn(w.ea.lcore);
	assert_in_range(sleep_of(&w), NS_PER_S / 2000, NS_PER_S / 500);
	(void)vrtc_endpoint_alarms_stop(&w.ea, false);
	assert_in_range(sleep_of(&w), NS_PER_S * 9 / 10, NS_PER_S);
	end(&w);
}

static void a_device_that_leaves_waits_for_no_buffer_any_more(void **state)
{
	static struct world w;

	(void)state;
	begin(&w);
	open_it(&w);
	serve_alarmq(&w);
	set(&w, MONO_ID, boottime_ns);
	vrtc_endpoint_alarms_place(&w.ea, &w.lcores, 1);
	guest_rings_offer(&w.guest, 0);
	assert_int_equal(vrtc_alarm_lcore_turn(w.lcore[0]), 0);
	assert_int_equal(guest_rings_shown(&w.guest), 0);
	end(&w);
}

static void a_clock_that_was_set_ends_one_sleep_and_the_next_one(void **state)
{
	static struct world w;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct itimerspec timer;

	(void)state;
	begin(&w);
	open_it(&w);
	assert_int_equal(vrtc_alarm_lcore_watch(w.ea.lcore, epoll_fd), 0);
	assert_true(vrtc_alarm_lcore_prepare_sleep(w.ea.lcore));
	clock_was_set = true;
	vrtc_alarm_lcore_end_sleep(w.ea.lcore);
	/* Armed anew: never expires, but is cancelled. */
	refuser_last_timer(&timer);
	assert_int_equal(timer.it_value.tv_sec, INT32_MAX);
	end(&w);
	close(epoll_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alarms_without_memory_are_at_no_lcore),
		cmocka_unit_test(alarms_move_to_the_node_of_their_guest_and_expire_there),
		cmocka_unit_test(alarms_stay_where_it_is_as_good),
		cmocka_unit_test(alarms_are_forgotten_by_another_process_alone),
		cmocka_unit_test(an_alarmq_that_cannot_be_served_is_told_and_does_not_run),
		cmocka_unit_test(a_change_waits_until_the_action_before_it_has_begun),
		cmocka_unit_test(a_change_that_is_withdrawn_meanwhile_is_not_made),
		cmocka_unit_test(many_requests_take_more_than_one_turn_and_no_sleep_between),
		cmocka_unit_test(a_sleep_ends_before_the_next_alarm_and_after_a_second),
		cmocka_unit_test(
			a_sleep_ends_before_a_leap_second_where_an_alarm_is_behind_the_clock),
		cmocka_unit_test(alarms_of_a_clock_without_a_time_wait_for_it),
		cmocka_unit_test(
			a_driver_without_a_kick_is_looked_at_every_millisecond_for_its_buffer),
		cmocka_unit_test(a_device_that_leaves_waits_for_no_buffer_any_more),
		cmocka_unit_test(a_clock_that_was_set_ends_one_sleep_and_the_next_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
