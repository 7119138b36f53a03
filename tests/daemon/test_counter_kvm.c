/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cross-timestamps whose map comes from KVM's debugfs: the front-end is a VMM with a VM of KVM's,
 * as small as they come, and its guest reads its own TSC before and after each request. The VMM
 * tells the daemon nothing.
 *
 * Not every KVM keeps the TSC offset that it is given (kvm_pvm does not). So what an offset does is
 * also shown with a debugfs that is made up, which says of the VM what the test wants; its guest's
 * readings are then changed by the same. All of it is in a mount namespace of the test's own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "counter_map.h"
#include "fixture.h"
#include "tiny_vm.h"
#include "wire.h"

#define DEBUGFS  "/sys/kernel/debug"
#define UTC      1
#define N_CLOCKS 4
#define TSC      VIRTIO_RTC_COUNTER_X86_TSC
#define ARM      VIRTIO_RTC_COUNTER_ARM_VCT

static struct fixture f;

static struct {
	struct tiny_vm vm;
	bool made_up;
	/* What the made-up debugfs adds to what the guest reads. */
	int64_t offset;
	uint64_t ratio; /* of 2^48 */
} guest;

/* ---- The guest. */

static void put_file(const char *name, const char *text)
{
	char path[128];
	char next[128];
	FILE *file;

	snprintf(path, sizeof(path), DEBUGFS "/kvm/%d-%d/vcpu0/%s", getpid(), guest.vm.vm_fd, name);
	snprintf(next, sizeof(next), DEBUGFS "/next");
	file = fopen(next, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	/* Never half of it, like the real one. */
	assert_int_equal(rename(next, path), 0);
}

static void put_number(const char *name, int64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld\n", (long long)value);
	put_file(name, text);
}

static void make_up_a_debugfs(void)
{
	char path[128];

	assert_int_equal(mount("none", DEBUGFS, "tmpfs", 0, NULL), 0);
	guest.made_up = true;
	guest.ratio = UINT64_C(1) << 48;
	assert_int_equal(mkdir(DEBUGFS "/kvm", 0755), 0);
	snprintf(path, sizeof(path), DEBUGFS "/kvm/%d-%d", getpid(), guest.vm.vm_fd);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), DEBUGFS "/kvm/%d-%d/vcpu0", getpid(), guest.vm.vm_fd);
	assert_int_equal(mkdir(path, 0755), 0);
	put_number("tsc-offset", 0);
	put_number("guest_mode", 0);
}

/* What the guest's RDTSC is, now. */
static uint64_t guest_reads(void)
{
	uint64_t tsc;

	assert_true(tiny_vm_rdtsc(&guest.vm, &tsc));
	if (!guest.made_up)
		return tsc;
	return (uint64_t)((unsigned __int128)tsc * guest.ratio >> 48) + (uint64_t)guest.offset;
}

/* false: KVM does not keep it. */
static bool give_offset(int64_t offset)
{
	if (!guest.made_up)
		return tiny_vm_set_offset(&guest.vm, offset);
	guest.offset = offset;
	put_number("tsc-offset", offset);
	return true;
}

/* ---- The frame. */

static bool can(const char *why)
{
	if (why)
		print_message("SKIP: %s\n", why);
	return !why;
}

static const char *look_around(void)
{
	char text[64] = "";
	FILE *file =
		fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	if (!file || !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	if (strcmp(text, "tsc\n") != 0)
		return "the kernel does not keep time by the TSC";
	return tiny_vm_see_debugfs();
}

/* Of a machine without what it takes, each test is skipped. */
static const char *why_not;

static int begin_all(void **state)
{
	struct tiny_vm vm;

	(void)state;
	why_not = look_around();
	if (!why_not)
		why_not = tiny_vm_open(&vm);
	if (!why_not)
		tiny_vm_close(&vm);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	memset(&guest, 0, sizeof(guest));
	guest.vm = (struct tiny_vm){.kvm_fd = -1, .vm_fd = -1, .vcpu_fd = -1};
	fixture_init(&f);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fixture_end(&f);
	tiny_vm_close(&guest.vm);
	if (guest.made_up)
		assert_int_equal(umount(DEBUGFS), 0);
	return 0;
}

#define WITH_KVM()                                                                                 \
	do {                                                                                       \
		(void)state;                                                                       \
		if (!can(why_not))                                                                 \
			skip();                                                                    \
	} while (0)

static void begin_guest(bool made_up)
{
	assert_null(tiny_vm_open(&guest.vm));
	if (made_up) {
		(void)tiny_vm_set_offset(&guest.vm, 0);
		make_up_a_debugfs();
	}
}

static void start(const char *counter)
{
	fixture_arg(&f, "--counter");
	fixture_arg(&f, counter);
	fixture_start_one(&f);
}

static void assert_capable(struct vfe_session *s, uint8_t counter, bool wanted)
{
	for (uint16_t id = 0; id < N_CLOCKS; id++) {
		bool supported = !wanted;

		assert_int_equal(vfe_rtc_cross_cap(s, id, counter, &supported), VIRTIO_RTC_S_OK);
		assert_int_equal(supported, wanted);
	}
}

/* ---- Pairs. */

static uint64_t read_pair(struct vfe_session *s, uint16_t clock)
{
	uint64_t reading_ns = 0;
	uint64_t cycles = 0;
	int status = vfe_rtc_read_cross(s, clock, TSC, &reading_ns, &cycles);

	if (status != VIRTIO_RTC_S_OK)
		fail_msg("READ_CROSS: status or error %d: %s", status, vfe_error(s));
	assert_true(reading_ns > 0);
	return cycles;
}

/* Whether the pair's counter lies between what the guest read before and after the request. */
static bool is_pair_true(struct vfe_session *s, uint16_t clock)
{
	uint64_t before = guest_reads();
	uint64_t cycles = read_pair(s, clock);
	uint64_t after = guest_reads();

	return cycles - before <= after - before;
}

static void assert_true_pairs(struct vfe_session *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t clock = (uint16_t)(i % N_CLOCKS);
		uint64_t before = guest_reads();
		uint64_t cycles = read_pair(s, clock);
		uint64_t after = guest_reads();

		if (cycles - before > after - before)
			fail_msg("the pair's counter is %lld cycles from what the guest read "
				 "before, which took %llu until it read again",
				(long long)(cycles - before), (unsigned long long)(after - before));
	}
}

/*
 * The daemon looks at debugfs now and then: until it has seen that the offset is another one by
 * moved, pairs are of the one before, and of nothing else. Returns how long that took.
 */
static uint64_t wait_for_a_true_pair(struct vfe_session *s, int64_t moved)
{
	uint64_t begin_ns = fixture_now_ns(CLOCK_MONOTONIC);

	for (;;) {
		uint64_t before = guest_reads();
		uint64_t cycles = read_pair(s, UTC);
		uint64_t after = guest_reads();
		uint64_t ns = fixture_now_ns(CLOCK_MONOTONIC) - begin_ns;

		if (cycles - before <= after - before)
			return ns;
		assert_true(cycles + (uint64_t)moved - before <= after - before);
		if (ns / 1000000 > FIXTURE_WAIT_MS)
			fail_msg("the change was not seen");
		fixture_sleep_ms(2);
	}
}

static const int64_t offsets[] = {-1000000000000, 123456789000, INT64_C(1) << 62, -1 - INT64_MAX};
#define N_OFFSETS (sizeof(offsets) / sizeof(offsets[0]))

static void guest_of_kvm_has_pairs_of_its_own_tsc(void **state)
{
	static const char *const choices[] = {"kvm", "auto"};

	WITH_KVM();
	for (unsigned c = 0; c < 2; c++) {
		struct vfe_session s;

		if (c > 0)
			begin(state);
		begin_guest(false);
		if (!give_offset(offsets[c]))
			print_message("this KVM keeps no TSC offset: only the one it has is "
				      "seen\n");
		start(choices[c]);
		fixture_connect(&f, &s);
		assert_capable(&s, TSC, true);
		assert_capable(&s, ARM, false);
		fixture_wait_log(
			&f, "cross-timestamps with the guest's X86_TSC, by KVM's debugfs", 1);
		assert_true_pairs(&s, 400);
		/* As the guest boots again. */
		assert_int_equal(vfe_session_reset(&s), 0);
		assert_capable(&s, TSC, true);
		assert_true_pairs(&s, 100);
		vfe_session_fini(&s);
		fixture_stop(&f);
		if (c == 0)
			end(state);
	}
}

static void any_offset_of_kvm_s_is_the_guest_s(void **state)
{
	WITH_KVM();
	for (unsigned i = 0; i < N_OFFSETS; i++) {
		struct vfe_session s;

		if (i > 0)
			begin(state);
		begin_guest(true);
		assert_true(give_offset(offsets[i]));
		start("kvm");
		fixture_connect(&f, &s);
		assert_capable(&s, TSC, true);
		assert_true_pairs(&s, 100);
		vfe_session_fini(&s);
		fixture_stop(&f);
		if (i + 1 < N_OFFSETS)
			end(state);
	}
}

static void guest_whose_tsc_is_scaled_has_pairs_of_that(void **state)
{
	struct vfe_session s;

	WITH_KVM();
	begin_guest(true);
	assert_true(give_offset(-5000000000));
	guest.ratio = UINT64_C(3) << 47; /* 1.5 */
	put_number("tsc-scaling-ratio", INT64_C(3) << 47);
	put_number("tsc-scaling-ratio-frac-bits", 48);
	start("kvm");
	fixture_connect(&f, &s);
	assert_capable(&s, TSC, true);
	assert_true_pairs(&s, 400);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* Each pair is of the old offset or of the new one; and soon of the new one. */
static void change_offset_again_and_again(bool made_up, unsigned n)
{
	int64_t last = -1000000000000;
	uint64_t longest_ns = 0;
	struct vfe_session s;

	begin_guest(made_up);
	if (!give_offset(last)) {
		print_message("SKIP: this KVM keeps no TSC offset\n");
		skip();
	}
	start("kvm");
	fixture_connect(&f, &s);
	assert_true_pairs(&s, 20);
	for (unsigned i = 0; i < n; i++) {
		/* Far from any of before, by more than the time that passes. */
		int64_t step = (int64_t)(i % 2 ? -3 : 2) * 1000000000000;
		int64_t offset = step * (int64_t)(i + 1);
		int64_t moved = offset - last;
		uint64_t waited_ns;

		assert_true(give_offset(offset));
		last = offset;
		waited_ns = wait_for_a_true_pair(&s, moved);
		if (waited_ns > longest_ns)
			longest_ns = waited_ns;
		assert_true_pairs(&s, 50);
		/* Not at every look another one: that is no offset any more. */
		fixture_sleep_ms(250);
	}
	print_message("a change was seen after %llu ms at most\n",
		(unsigned long long)(longest_ns / 1000000));
	assert_capable(&s, TSC, true);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

static void pairs_follow_the_offset_when_kvm_is_given_another_one(void **state)
{
	WITH_KVM();
	change_offset_again_and_again(false, 5);
}

static void pairs_follow_the_offset_that_debugfs_shows(void **state)
{
	WITH_KVM();
	change_offset_again_and_again(true, 5);
}

/* This is also how it is known that the tests here can fail. */
static void wrong_offset_would_be_noticed(void **state)
{
	struct vfe_session s;

	WITH_KVM();
	begin_guest(true);
	assert_true(give_offset(0));
	start("kvm");
	fixture_connect(&f, &s);
	assert_true_pairs(&s, 20);
	/* What debugfs shows is off by a second; then right again. */
	put_number("tsc-offset", 3000000000);
	fixture_sleep_ms(1000);
	for (unsigned i = 0; i < 20; i++)
		assert_false(is_pair_true(&s, UTC));
	put_number("tsc-offset", 0);
	(void)wait_for_a_true_pair(&s, -3000000000);
	assert_true_pairs(&s, 20);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

static int read_status(struct vfe_session *s)
{
	uint64_t reading_ns;
	uint64_t cycles;

	return vfe_rtc_read_cross(s, UTC, TSC, &reading_ns, &cycles);
}

static void wait_for_status(struct vfe_session *s, int status)
{
	unsigned waited_ms = 0;

	while (read_status(s) != status && waited_ms < FIXTURE_WAIT_MS) {
		fixture_sleep_ms(5);
		waited_ms += 5;
	}
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(read_status(s), status);
}

static void vm_that_ends_makes_read_cross_fail_for_the_rest_of_the_connection(void **state)
{
	struct vfe_session s;
	int vm_fd;

	WITH_KVM();
	begin_guest(false);
	vm_fd = guest.vm.vm_fd;
	start("kvm");
	fixture_connect(&f, &s);
	assert_true_pairs(&s, 20);
	tiny_vm_close(&guest.vm);
	wait_for_status(&s, VIRTIO_RTC_S_EIO);
	/* What was offered stays offered, and clocks have nothing to do with it. */
	assert_capable(&s, TSC, true);
	fixture_check_reading(&s);
	/* Another VM, by the same name. */
	assert_null(tiny_vm_open(&guest.vm));
	assert_int_equal(guest.vm.vm_fd, vm_fd);
	fixture_sleep_ms(500);
	wait_for_status(&s, VIRTIO_RTC_S_EIO);
	/* That of the next connection. */
	assert_int_equal(vfe_session_reconnect(&s), 0);
	assert_capable(&s, TSC, true);
	assert_true_pairs(&s, 50);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

static void what_debugfs_does_not_say_makes_read_cross_fail_until_it_does(void **state)
{
	struct vfe_session s;

	WITH_KVM();
	begin_guest(true);
	start("kvm");
	fixture_connect(&f, &s);
	assert_true_pairs(&s, 20);
	put_file("tsc-offset", "what?\n");
	wait_for_status(&s, VIRTIO_RTC_S_EIO);
	assert_capable(&s, TSC, true);
	assert_true(give_offset(77));
	wait_for_status(&s, VIRTIO_RTC_S_OK);
	assert_true_pairs(&s, 20);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* While vCPU 0 runs a guest of the guest's, debugfs shows the offset of that one. */
static void pairs_are_not_of_a_guest_s_guest(void **state)
{
	struct vfe_session s;

	WITH_KVM();
	begin_guest(true);
	start("kvm");
	fixture_connect(&f, &s);
	assert_true_pairs(&s, 20);
	put_number("guest_mode", 1);
	put_number("tsc-offset", -3000000000000);
	for (unsigned i = 0; i < 10; i++) {
		fixture_sleep_ms(50);
		assert_true_pairs(&s, 10);
	}
	put_number("tsc-offset", 0);
	put_number("guest_mode", 0);
	assert_true_pairs(&s, 20);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* Who is no VMM, or has more than one guest, has no pairs; and the log says why. */
static void front_end_whose_guest_cannot_be_told_is_offered_nothing(void **state)
{
	struct tiny_vm other;
	struct vfe_session s;

	WITH_KVM();
	start("kvm");
	fixture_connect(&f, &s);
	assert_capable(&s, TSC, false);
	assert_int_equal(read_status(&s), VIRTIO_RTC_S_EOPNOTSUPP);
	fixture_wait_log(&f, "no cross-timestamps: the front-end's process has no VM of KVM", 1);
	/* Nor is it offered later in the connection. */
	begin_guest(false);
	assert_int_equal(vfe_session_reset(&s), 0);
	assert_capable(&s, TSC, false);
	assert_null(tiny_vm_open(&other));
	assert_int_equal(vfe_session_reconnect(&s), 0);
	assert_capable(&s, TSC, false);
	fixture_wait_log(
		&f, "no cross-timestamps: the front-end's process has several VMs of KVM", 1);
	tiny_vm_close(&other);
	assert_int_equal(vfe_session_reconnect(&s), 0);
	assert_capable(&s, TSC, true);
	assert_true_pairs(&s, 20);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

/* "auto": who speaks for itself is believed before debugfs is. */
static void map_of_the_vmm_goes_before_kvm_s(void **state)
{
	struct vrtc_counter_map map = vrtc_counter_map_offset(TSC, UINT64_C(1) << 60);
	struct vfe_config cfg;
	struct vfe_session s;

	WITH_KVM();
	begin_guest(true);
	start("auto");
	fixture_config(&f, &cfg);
	cfg.protocol_features |= UINT64_C(1) << VFE_PROTOCOL_F_CONFIG;
	assert_int_equal(vfe_session_init(&s, &cfg), 0);
	assert_int_equal(vfe_session_set_counter_map(&s, &map), 0);
	assert_int_equal(vfe_session_start(&s), 0);
	assert_false(is_pair_true(&s, UTC));
	guest.offset = INT64_C(1) << 60;
	assert_true_pairs(&s, 20);
	/* Debugfs is not looked at. */
	put_number("tsc-offset", 5000000000000);
	fixture_sleep_ms(500);
	assert_true_pairs(&s, 20);
	vfe_session_fini(&s);
	fixture_stop(&f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest_of_kvm_has_pairs_of_its_own_tsc),
		CASE(any_offset_of_kvm_s_is_the_guest_s),
		CASE(guest_whose_tsc_is_scaled_has_pairs_of_that),
		CASE(pairs_follow_the_offset_when_kvm_is_given_another_one),
		CASE(pairs_follow_the_offset_that_debugfs_shows),
		CASE(wrong_offset_would_be_noticed),
		CASE(vm_that_ends_makes_read_cross_fail_for_the_rest_of_the_connection),
		CASE(what_debugfs_does_not_say_makes_read_cross_fail_until_it_does),
		CASE(pairs_are_not_of_a_guest_s_guest),
		CASE(front_end_whose_guest_cannot_be_told_is_offered_nothing),
		CASE(map_of_the_vmm_goes_before_kvm_s),
	};

	return cmocka_run_group_tests_name("counter_kvm", tests, begin_all, NULL);
}
