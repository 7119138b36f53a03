/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks at a PTP hardware clock whose driver is ours: what it can do, how long it takes, and what
 * happens to the system clock meanwhile. The counter runs at 2.5 GHz.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <linux/ptp_clock.h>

#include "phc_device.h"

#define S           INT64_C(1000000000)
#define PHC_PLUS_NS (37 * S + 12345)

/* The world: time passes when somebody looks at a clock. */
static struct {
	int64_t now_ns;
	int64_t realtime_plus_ns;
	int64_t read_ns;   /* what it takes to read a system clock */
	int64_t look_ns;   /* what the driver takes to read the PHC */
	int64_t step_ns;   /* of CLOCK_REALTIME, in the midst of a look */
	int precise_error; /* of each method; 0: it works */
	int raw_error;
	int extended_error;
	int offset_error;
	unsigned asked;
	int64_t busy_ns;      /* what keeps us from a CPU when the counter is read ... */
	unsigned busy_counts; /* ... so many times from now on */
	int64_t phc_s;        /* what the PHC shows; 0: the time and PHC_PLUS_NS */
	bool backwards;       /* its brackets end before they begin */
} world;

static int64_t pass(int64_t ns)
{
	world.now_ns += ns;
	return world.now_ns;
}

static uint64_t count(enum vrtc_counter counter)
{
	assert_int_equal(counter, VRTC_COUNTER_CPU);
	if (world.busy_counts > 0 && --world.busy_counts % 3 == 0)
		pass(world.busy_ns);
	return (uint64_t)pass(5) * 5 / 2;
}

static int64_t system_ns(clockid_t id)
{
	int64_t now_ns = pass(world.read_ns / 2);

	pass(world.read_ns / 2);
	return id == CLOCK_REALTIME ? now_ns + world.realtime_plus_ns : now_ns;
}

static struct ptp_clock_time ptp_time(int64_t ns)
{
	return (struct ptp_clock_time){.sec = ns / S, .nsec = (unsigned)(ns % S)};
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

static int ask_precise(struct ptp_sys_offset_precise *p)
{
	if (world.precise_error)
		return refuse(world.precise_error);
	pass(world.look_ns);
	p->device = ptp_time(world.now_ns + PHC_PLUS_NS);
	if (world.phc_s)
		p->device = (struct ptp_clock_time){.sec = world.phc_s, .nsec = 999999999};
	p->sys_monoraw = ptp_time(world.now_ns);
	p->sys_realtime = ptp_time(world.now_ns + world.realtime_plus_ns);
	pass(world.look_ns);
	return 0;
}

static int ask_extended(struct ptp_sys_offset_extended *e)
{
	clockid_t words[4], id;
	int error;

	/* Behind the number: the clock's id, whatever headers call it, and reserved words. */
	memcpy(words, e, sizeof(words));
	id = words[1];
	error = id == CLOCK_MONOTONIC_RAW ? world.raw_error : world.extended_error;
	assert_int_equal(words[2] | words[3], 0);
	if (error)
		return refuse(error);
	for (unsigned i = 0; i < e->n_samples; i++) {
		/* The third one is the tightest. */
		int64_t half_ns = world.look_ns * (i == 2 ? 1 : 10);

		e->ts[i][0] = ptp_time(system_ns(id));
		e->ts[i][1] = ptp_time(pass(half_ns) + PHC_PLUS_NS);
		pass(half_ns);
		world.realtime_plus_ns += i == 1 ? world.step_ns : 0;
		e->ts[i][2] = ptp_time(system_ns(id));
		if (world.backwards)
			e->ts[i][2] = ptp_time(system_ns(id) - S);
	}
	return 0;
}

static int ask_offset(struct ptp_sys_offset *o)
{
	if (world.offset_error)
		return refuse(world.offset_error);
	o->ts[0] = ptp_time(system_ns(CLOCK_REALTIME));
	for (unsigned i = 0; i < o->n_samples; i++) {
		o->ts[2 * i + 1] = ptp_time(pass(world.look_ns) + PHC_PLUS_NS);
		pass(world.look_ns);
		o->ts[2 * i + 2] = ptp_time(system_ns(CLOCK_REALTIME));
	}
	return 0;
}

static int control(int fd, unsigned long request, void *argument)
{
	assert_int_equal(fd, 42);
	world.asked++;
	switch (request) {
	case PTP_SYS_OFFSET_PRECISE:
		return ask_precise(argument);
	case PTP_SYS_OFFSET_EXTENDED:
		return ask_extended(argument);
	case PTP_SYS_OFFSET:
		return ask_offset(argument);
	default:
		fail_msg("ioctl %lx", request);
		return -1;
	}
}

static const struct vrtc_phc_system fake = {control, count, system_ns};

static struct vrtc_phc_device begin(void)
{
	memset(&world, 0, sizeof(world));
	world.now_ns = 1000 * S;
	world.realtime_plus_ns = 1795000000 * S;
	world.read_ns = 20;
	world.look_ns = 700;
	return (struct vrtc_phc_device){
		.system = &fake, .fd = 42, .counter = VRTC_COUNTER_CPU, .method = VRTC_PHC_PRECISE};
}

/* The look's bracket holds the truth, and is not wider than it must be. */
static void assert_right(const struct vrtc_phc_look *look, int64_t half_ns_max)
{
	int64_t truth_ns = (int64_t)(look->counter * 2 / 5) + PHC_PLUS_NS;

	assert_in_range(look->half_ns, 1, half_ns_max);
	assert_in_range(look->time_ns - truth_ns + look->half_ns, 0, 2 * look->half_ns);
}

static void device_that_takes_both_clocks_at_once_is_known_to_what_a_reading_costs(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look;

	(void)state;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_int_equal(d.method, VRTC_PHC_PRECISE);
	assert_right(&look, 30);
}

static void driver_that_brackets_is_asked_for_the_raw_clock_first(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look;

	(void)state;
	world.precise_error = EOPNOTSUPP;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_int_equal(d.method, VRTC_PHC_EXTENDED_RAW);
	assert_right(&look, 700 + 40);
	/* What was refused is not asked for again. */
	world.asked = 0;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_int_equal(world.asked, 1);
}

static void older_kernel_brackets_with_realtime(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look;

	(void)state;
	world.precise_error = EOPNOTSUPP;
	world.raw_error = EINVAL;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_int_equal(d.method, VRTC_PHC_EXTENDED);
	assert_right(&look, 700 + 40);
}

static void driver_without_either_is_bracketed_by_the_kernel(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look;

	(void)state;
	world.precise_error = EOPNOTSUPP;
	world.raw_error = EOPNOTSUPP;
	world.extended_error = EOPNOTSUPP;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_int_equal(d.method, VRTC_PHC_OFFSET);
	assert_right(&look, 700 + 40);
}

static void driver_that_knows_no_method_says_so_each_time(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look = {.half_ns = 77};

	(void)state;
	world.precise_error = EOPNOTSUPP;
	world.raw_error = ENOTTY;
	world.extended_error = EOPNOTSUPP;
	world.offset_error = EINVAL;
	for (int i = 0; i < 2; i++)
		assert_int_equal(vrtc_phc_device_look(&d, &look), -EOPNOTSUPP);
	assert_int_equal(d.method, VRTC_PHC_NO_METHOD);
	assert_int_equal(look.half_ns, 77);
}

static void system_clock_that_was_set_meanwhile_spoils_the_look(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look = {.half_ns = 77};

	(void)state;
	world.precise_error = EOPNOTSUPP;
	world.raw_error = EINVAL;
	world.step_ns = 1000000;
	assert_int_equal(vrtc_phc_device_look(&d, &look), -EAGAIN);
	world.step_ns = -1000000;
	assert_int_equal(vrtc_phc_device_look(&d, &look), -EAGAIN);
	assert_int_equal(look.half_ns, 77);
	world.step_ns = 0;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_right(&look, 700 + 40);
}

static void device_that_is_gone_or_broken_says_so_and_keeps_its_method(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look;

	(void)state;
	world.precise_error = ENODEV;
	assert_int_equal(vrtc_phc_device_look(&d, &look), -ENODEV);
	world.precise_error = EIO;
	assert_int_equal(vrtc_phc_device_look(&d, &look), -EIO);
	world.precise_error = ETIMEDOUT;
	assert_int_equal(vrtc_phc_device_look(&d, &look), -ETIMEDOUT);
	assert_int_equal(d.method, VRTC_PHC_PRECISE);
	world.precise_error = 0;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
}

/* The model refuses it (phc_model.h); it must not become another time on the way. */
static void device_that_shows_no_time_is_not_taken_for_another_one(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look;

	(void)state;
	world.phc_s = INT64_MAX;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_true(look.time_ns == INT64_MAX);
	/* Its seconds would fit, with its nanoseconds they do not. */
	world.phc_s = INT64_MAX / S;
	assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
	assert_true(look.time_ns == INT64_MAX);
}

static void driver_without_a_bracket_that_holds_spoils_the_look(void **state)
{
	struct vrtc_phc_device d = begin();
	struct vrtc_phc_look look = {.half_ns = 77};

	(void)state;
	world.precise_error = EOPNOTSUPP;
	world.backwards = true;
	assert_int_equal(vrtc_phc_device_look(&d, &look), -EAGAIN);
	assert_int_equal(look.half_ns, 77);
}

static void look_that_was_interrupted_is_wider_and_holds_the_truth(void **state)
{
	struct vrtc_phc_look look;

	(void)state;
	/* Once, in all of the tries before, and in some of those behind. */
	for (unsigned counts = 1; counts < 30; counts++) {
		struct vrtc_phc_device d = begin();

		world.busy_ns = 5000;
		world.busy_counts = counts;
		assert_int_equal(vrtc_phc_device_look(&d, &look), 0);
		assert_right(&look, 6000);
	}
}

/* ---- The device itself; the kernel's answers are made up. */

static bool is_clock; /* what /dev/null is taken for */
static int fstat_error;
static const char *node_text; /* of its numa_node; NULL: there is no such file */

int seen_ioctl(int fd, unsigned long request, void *argument) __asm__("__wrap_ioctl");
int real_fstat(int fd, struct stat *status) __asm__("__real_fstat64");
int seen_fstat(int fd, struct stat *status) __asm__("__wrap_fstat64");
FILE *seen_fopen(const char *path, const char *mode) __asm__("__wrap_fopen64");

int seen_ioctl(int fd, unsigned long request, void *argument)
{
	assert_true(fd >= 0);
	assert_non_null(argument);
	if (is_clock && request == PTP_CLOCK_GETCAPS)
		return 0;
	return refuse(ENOTTY);
}

int seen_fstat(int fd, struct stat *status)
{
	return fstat_error ? refuse(fstat_error) : real_fstat(fd, status);
}

FILE *seen_fopen(const char *path, const char *mode)
{
	assert_string_equal(path, "/sys/dev/char/1:3/device/numa_node");
	assert_string_equal(mode, "re");
	if (!node_text) {
		errno = ENOENT;
		return NULL;
	}
	return fmemopen((void *)(uintptr_t)node_text, strlen(node_text), "r");
}

static void clock_is_opened_and_its_node_is_what_the_kernel_says(void **state)
{
	static const struct {
		const char *text;
		int node;
	} nodes[] = {{"1\n", 1}, {"0\n", 0}, {"-1\n", -1}, {"none\n", -1}, {NULL, -1}};
	char why[VRTC_PHC_WHY_BYTES] = "";
	struct vrtc_phc_device d;
	struct vrtc_phc_look look;

	(void)state;
	is_clock = true;
	assert_int_equal(vrtc_phc_device_open(&d, "/dev/null", why), 0);
	for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		node_text = nodes[i].text;
		assert_int_equal(vrtc_phc_device_node(&d), nodes[i].node);
	}
	node_text = "1\n";
	fstat_error = EBADF;
	assert_int_equal(vrtc_phc_device_node(&d), -1);
	fstat_error = 0;
	/* A clock that can be read in no way. */
	assert_int_equal(vrtc_phc_device_look(&d, &look), -EOPNOTSUPP);
	assert_int_equal(d.method, VRTC_PHC_NO_METHOD);
	vrtc_phc_device_close(&d);
	assert_int_equal(d.fd, -1);
	vrtc_phc_device_close(&d);
	is_clock = false;
}

static void device_that_cannot_be_looked_at_is_refused_with_the_kernel_s_reason(void **state)
{
	char why[VRTC_PHC_WHY_BYTES] = "";
	struct vrtc_phc_device d;

	(void)state;
	fstat_error = EIO;
	assert_int_equal(vrtc_phc_device_open(&d, "/dev/null", why), -EIO);
	fstat_error = 0;
	assert_int_equal(d.fd, -1);
	assert_ptr_equal(strstr(why, strerror(EIO)), why);
}

static void methods_have_the_names_of_their_ioctls(void **state)
{
	(void)state;
	assert_string_equal(vrtc_phc_method_name(VRTC_PHC_PRECISE), "PTP_SYS_OFFSET_PRECISE");
	assert_string_equal(vrtc_phc_method_name(VRTC_PHC_EXTENDED_RAW), "PTP_SYS_OFFSET_EXTENDED");
	assert_string_equal(vrtc_phc_method_name(VRTC_PHC_EXTENDED), "PTP_SYS_OFFSET_EXTENDED");
	assert_string_equal(vrtc_phc_method_name(VRTC_PHC_OFFSET), "PTP_SYS_OFFSET");
	assert_string_equal(vrtc_phc_method_name(VRTC_PHC_NO_METHOD), "none");
}

static void path_that_is_no_clock_is_refused_with_a_reason(void **state)
{
	static const char *const paths[] = {"/dev/null", "/", "/proc/self/exe", "/dev/ptp-none"};
	char why[VRTC_PHC_WHY_BYTES];
	struct vrtc_phc_device d;

	(void)state;
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		why[0] = '\0';
		assert_true(vrtc_phc_device_open(&d, paths[i], why) < 0);
		assert_int_equal(d.fd, -1);
		assert_non_null(strstr(why, "; accepted: "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			device_that_takes_both_clocks_at_once_is_known_to_what_a_reading_costs),
		cmocka_unit_test(driver_that_brackets_is_asked_for_the_raw_clock_first),
		cmocka_unit_test(older_kernel_brackets_with_realtime),
		cmocka_unit_test(driver_without_either_is_bracketed_by_the_kernel),
		cmocka_unit_test(driver_that_knows_no_method_says_so_each_time),
		cmocka_unit_test(system_clock_that_was_set_meanwhile_spoils_the_look),
		cmocka_unit_test(device_that_is_gone_or_broken_says_so_and_keeps_its_method),
		cmocka_unit_test(device_that_shows_no_time_is_not_taken_for_another_one),
		cmocka_unit_test(driver_without_a_bracket_that_holds_spoils_the_look),
		cmocka_unit_test(look_that_was_interrupted_is_wider_and_holds_the_truth),
		cmocka_unit_test(clock_is_opened_and_its_node_is_what_the_kernel_says),
		cmocka_unit_test(
			device_that_cannot_be_looked_at_is_refused_with_the_kernel_s_reason),
		cmocka_unit_test(methods_have_the_names_of_their_ioctls),
		cmocka_unit_test(path_that_is_no_clock_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests_name("phc_device", tests, NULL, NULL);
}
