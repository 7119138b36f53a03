/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvm_debugfs.h: on trees of files that are made up, where anything can be shown; and on the real
 * debugfs, with a VM of the test's own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kvm_debugfs.h"
#include "tiny_vm.h"
#include "wire.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define KVM "sys/kernel/debug/kvm"

static char root[] = "/tmp/dpdk-rtc-kvm-XXXXXX";
static struct vrtc_peer_process self;

/* What happens just before a file is opened: the kernel does not wait for us either. */
static void (*before_open)(const char *name);

int real_openat(int at, const char *name, int flags, ...) __asm__("__real_openat64");
int watched_openat(int at, const char *name, int flags, ...) __asm__("__wrap_openat64");

int watched_openat(int at, const char *name, int flags, ...)
{
	if (before_open)
		before_open(name);
	return real_openat(at, name, flags);
}

/* ---- The tree. Names may hold %p for our pid. */

static void expand(char *path, size_t bytes, const char *name)
{
	const char *at = strstr(name, "%p");

	if (at)
		snprintf(
			path, bytes, "%s/%.*s%d%s", root, (int)(at - name), name, getpid(), at + 2);
	else
		snprintf(path, bytes, "%s/%s", root, name);
}

static void make_folders_to(char *path)
{
	for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
}

static void put_bytes(const char *name, const char *text, size_t bytes)
{
	char path[512];
	FILE *file;

	expand(path, sizeof(path), name);
	make_folders_to(path);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static void put_link(const char *name, const char *target)
{
	char path[512];

	expand(path, sizeof(path), name);
	make_folders_to(path);
	(void)unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static void put_folder(const char *name)
{
	char path[512];

	expand(path, sizeof(path), name);
	make_folders_to(path);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void remove_at(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0) {
		(void)unlinkat(at, name, 0);
		return;
	}
	dir = fdopendir(fd);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_at(fd, entry->d_name);
	closedir(dir);
	(void)unlinkat(at, name, AT_REMOVEDIR);
}

static void take_away(const char *name)
{
	char path[512];

	expand(path, sizeof(path), name);
	remove_at(AT_FDCWD, path);
	assert_int_equal(access(path, F_OK), -1);
}

/* A VM as descriptor 7, with vCPU 0, of ours. */
static int put_vm(void **state)
{
	(void)state;
	assert_int_equal(mkdir(root, 0755), 0);
	put_link("proc/self/ns/pid", "pid:[4026531836]");
	put_link("proc/%p/fd/7", "anon_inode:kvm-vm");
	put(KVM "/%p-7/vcpu0/tsc-offset", "-1000\n");
	put(KVM "/%p-7/vcpu0/guest_mode", "0\n");
	put(KVM "/%p-7/vcpu0/pid", "0\n");
	/* What else there is. */
	put(KVM "/exits", "12345\n");
	put(KVM "/%p-7/exits", "123\n");
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	before_open = NULL;
	remove_at(AT_FDCWD, root);
	return 0;
}

static int begin_all(void **state)
{
	int pair[2];

	(void)state;
	if (!mkdtemp(root) || rmdir(root) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
		!vrtc_peer_process(pair[0], &self))
		return -1;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* ---- What is expected. */

static bool is_x86(void)
{
#if defined(__x86_64__)
	return true;
#else
	return false;
#endif
}

static struct vrtc_kvm_debugfs *open_ok(const char *base)
{
	enum vrtc_kvm_debugfs_result result = VRTC_KVM_DEBUGFS_NO_MEMORY;
	struct vrtc_kvm_debugfs *k = vrtc_kvm_debugfs_open(base, &self, &result);

	if (!k)
		fail_msg("%s", vrtc_kvm_debugfs_why(result));
	assert_int_equal(result, VRTC_KVM_DEBUGFS_OK);
	return k;
}

static void assert_not_opened(const struct vrtc_peer_process *vmm, int expected)
{
	enum vrtc_kvm_debugfs_result result = VRTC_KVM_DEBUGFS_OK;

	assert_null(vrtc_kvm_debugfs_open(root, vmm, &result));
	assert_int_equal(result, expected);
}

static void assert_offset(struct vrtc_kvm_debugfs *k, int64_t offset)
{
	struct vrtc_counter_map expected =
		vrtc_counter_map_offset(VIRTIO_RTC_COUNTER_X86_TSC, (uint64_t)offset);
	struct vrtc_counter_map map;

	memset(&map, 0x5a, sizeof(map));
	assert_int_equal(vrtc_kvm_debugfs_read(k, &map), VRTC_KVM_DEBUGFS_OK);
	assert_true(vrtc_counter_map_equal(&map, &expected));
}

static void assert_no_map(struct vrtc_kvm_debugfs *k, int expected)
{
	struct vrtc_counter_map untouched;
	struct vrtc_counter_map map;

	memset(&map, 0x5a, sizeof(map));
	memset(&untouched, 0x5a, sizeof(untouched));
	assert_int_equal(vrtc_kvm_debugfs_read(k, &map), expected);
	assert_memory_equal(&map, &untouched, sizeof(map));
}

#define ON_X86_ALONE()                                                                             \
	do {                                                                                       \
		(void)state;                                                                       \
		if (!is_x86())                                                                     \
			skip();                                                                    \
	} while (0)

/* ---- Made-up trees. */

static void elsewhere_than_on_x86_it_says_so(void **state)
{
	(void)state;
	if (is_x86())
		skip();
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NOT_X86);
}

static void offset_of_vcpu_0_is_the_map(void **state)
{
	static const struct {
		const char *text;
		int64_t offset;
	} cases[] = {{"0\n", 0}, {"1\n", 1}, {"-1\n", -1}, {"-123636727850482\n", -123636727850482},
		{"9223372036854775807\n", INT64_MAX}, {"-9223372036854775808\n", INT64_MIN}};

	ON_X86_ALONE();
	put(KVM "/%p-7/vcpu1/tsc-offset", "55\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vrtc_kvm_debugfs *k;

		put(KVM "/%p-7/vcpu0/tsc-offset", cases[i].text);
		k = open_ok(root);
		assert_offset(k, cases[i].offset);
		assert_offset(k, cases[i].offset);
		vrtc_kvm_debugfs_close(k);
	}
	vrtc_kvm_debugfs_close(NULL);
}

static void change_is_seen_at_the_next_look(void **state)
{
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	k = open_ok(root);
	assert_offset(k, -1000);
	for (int i = 0; i < 5; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d\n", i);
		put(KVM "/%p-7/vcpu0/tsc-offset", text);
		assert_offset(k, i);
		assert_offset(k, i);
	}
	vrtc_kvm_debugfs_close(k);
}

static void scaling_is_kvm_s(void **state)
{
	struct vrtc_counter_map map;
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	put(KVM "/%p-7/vcpu0/tsc-scaling-ratio", "422212465065984\n"); /* 1.5, 48 bits */
	put(KVM "/%p-7/vcpu0/tsc-scaling-ratio-frac-bits", "48\n");
	k = open_ok(root);
	assert_int_equal(vrtc_kvm_debugfs_read(k, &map), VRTC_KVM_DEBUGFS_OK);
	assert_int_equal(map.guest_counter, VIRTIO_RTC_COUNTER_X86_TSC);
	assert_int_equal(map.host_counter, VRTC_HOST_COUNTER_CPU);
	assert_true(vrtc_counter_map_apply(&map, 1001) == 1501 - 1000);
	assert_true(vrtc_counter_map_apply(&map, UINT64_C(3) << 60) ==
		    (UINT64_C(9) << 59) - UINT64_C(1000));
	/* And the ratio changes, too: KVM_SET_TSC_KHZ. */
	put(KVM "/%p-7/vcpu0/tsc-scaling-ratio", "140737488355328\n"); /* 0.5 */
	assert_int_equal(vrtc_kvm_debugfs_read(k, &map), VRTC_KVM_DEBUGFS_OK);
	assert_true(vrtc_counter_map_apply(&map, 4001) == 2000 - 1000);
	/* A ratio of one is none. */
	put(KVM "/%p-7/vcpu0/tsc-scaling-ratio", "281474976710656\n");
	assert_offset(k, -1000);
	vrtc_kvm_debugfs_close(k);
	/* AMD's. */
	put(KVM "/%p-7/vcpu0/tsc-scaling-ratio", "6442450944\n");
	put(KVM "/%p-7/vcpu0/tsc-scaling-ratio-frac-bits", "32\n");
	k = open_ok(root);
	assert_int_equal(vrtc_kvm_debugfs_read(k, &map), VRTC_KVM_DEBUGFS_OK);
	assert_true(vrtc_counter_map_apply(&map, 1001) == 1501 - 1000);
	vrtc_kvm_debugfs_close(k);
}

static void without_debugfs_or_kvm_in_it_there_is_none(void **state)
{
	ON_X86_ALONE();
	take_away(KVM);
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_DEBUGFS);
	take_away("sys");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_DEBUGFS);
	put("sys/kernel/debug/kvm", "a file\n");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_DEBUGFS);
}

static void process_without_a_vm_has_none(void **state)
{
	static const char *const names[] = {"7", "-7", "%p", "%p-", "%p-x", "%p-7-9", "%p-7x",
		"%p--7", "+%p-7", " %p-7", "0x%p-7", "%p-99999999999", "%p-18446744073709551623",
		"99999999999999999999999-7"};

	ON_X86_ALONE();
	take_away(KVM "/%p-7");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[128];

		snprintf(name, sizeof(name), KVM "/%s/vcpu0/tsc-offset", names[i]);
		put(name, "5\n");
		assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
	}
	/* Another one's. */
	put(KVM "/4000001-7/vcpu0/tsc-offset", "5\n");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
}

static void vm_whose_descriptor_the_process_does_not_have_is_not_its_own(void **state)
{
	static const char *const others[] = {"anon_inode:kvm-vcpu:0", "anon_inode:kvm-v",
		"anon_inode:kvm-vm2", "/tmp/anon_inode:kvm-vm", "socket:[1]",
		"anon_inode:kvm-vm                                                 x"};

	ON_X86_ALONE();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		put_link("proc/%p/fd/7", others[i]);
		assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
	}
	take_away("proc/%p/fd/7");
	put_link("proc/%p/fd/8", "anon_inode:kvm-vm");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
}

static void pid_that_is_used_again_is_another_process(void **state)
{
	struct vrtc_peer_process other = self;

	ON_X86_ALONE();
	other.start_ticks--;
	assert_not_opened(&other, VRTC_KVM_DEBUGFS_NO_PROCESS);
	other = (struct vrtc_peer_process){0};
	assert_not_opened(&other, VRTC_KVM_DEBUGFS_NO_PROCESS);
	other = (struct vrtc_peer_process){.pid = UINT64_MAX, .start_ticks = 1};
	assert_not_opened(&other, VRTC_KVM_DEBUGFS_NO_PROCESS);
}

/* A VMM makes its VM in any thread; KVM takes that one's number. */
static void vm_that_a_thread_of_the_process_made_is_its_own(void **state)
{
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	take_away(KVM "/%p-7");
	put(KVM "/4000001-7/vcpu0/tsc-offset", "42\n");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
	put_folder("proc/%p/task/4000001");
	k = open_ok(root);
	assert_offset(k, 42);
	vrtc_kvm_debugfs_close(k);
}

static void vm_that_another_process_runs_is_not_its_own(void **state)
{
	ON_X86_ALONE();
	put_folder("proc/%p/task/4000001");
	put(KVM "/%p-7/vcpu0/pid", "4000002\n");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
	put(KVM "/%p-7/vcpu0/pid", "4294967297\n");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NO_VM);
	put(KVM "/%p-7/vcpu0/pid", "4000001\n");
	vrtc_kvm_debugfs_close(open_ok(root));
	/* Linux before 6.0 */
	take_away(KVM "/%p-7/vcpu0/pid");
	vrtc_kvm_debugfs_close(open_ok(root));
}

static void of_several_vms_with_a_vcpu_0_none_is_chosen(void **state)
{
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	put_link("proc/%p/fd/9", "anon_inode:kvm-vm");
	/* Made to ask KVM what it can do: no guest runs in it. */
	put_folder(KVM "/%p-9");
	k = open_ok(root);
	put(KVM "/%p-9/vcpu0/tsc-offset", "3\n");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_SEVERAL_VMS);
	/* What was found stays found. */
	assert_offset(k, -1000);
	vrtc_kvm_debugfs_close(k);
}

static void in_a_pid_namespace_of_our_own_nothing_is_read(void **state)
{
	ON_X86_ALONE();
	put_link("proc/self/ns/pid", "pid:[4026532836]");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NAMESPACE);
	take_away("proc/self/ns/pid");
	assert_not_opened(&self, VRTC_KVM_DEBUGFS_NAMESPACE);
}

static void process_that_may_not_be_looked_at_is_said_to_be(void **state)
{
	char path[512];
	pid_t nobody;
	int status;

	ON_X86_ALONE();
	expand(path, sizeof(path), "proc/%p/fd");
	assert_int_equal(chmod(path, 0), 0);
	nobody = fork();
	if (nobody == 0) {
		enum vrtc_kvm_debugfs_result result;

		if (geteuid() == 0 && setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(vrtc_kvm_debugfs_open(root, &self, &result) ||
			result != VRTC_KVM_DEBUGFS_NO_ACCESS);
	}
	assert_int_equal(waitpid(nobody, &status, 0), nobody);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(status, 0);
}

static void what_is_no_number_is_not_taken_for_one(void **state)
{
	static const char *const odd[] = {"", "\n", "5", "-\n", "--5\n", "+5\n", " 5\n", "5 \n",
		"5\n\n", "5\n6\n", "5x", "5 ", "0x5\n", "5.0\n", "five\n", "- 5\n",
		"9223372036854775808\n", "-9223372036854775809\n", "18446744073709551616\n",
		"-18446744073709551615\n", "00000000000000000000000000000000000000000000005\n"};
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		put(KVM "/%p-7/vcpu0/tsc-offset", odd[i]);
		k = open_ok(root);
		assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
		/* When it is a number again, that is taken. */
		put(KVM "/%p-7/vcpu0/tsc-offset", "7\n");
		assert_offset(k, 7);
		put(KVM "/%p-7/vcpu0/tsc-offset", odd[i]);
		assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
		vrtc_kvm_debugfs_close(k);
	}
	put_bytes(KVM "/%p-7/vcpu0/tsc-offset", "5\0\n", 3);
	k = open_ok(root);
	assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
	put_bytes(KVM "/%p-7/vcpu0/tsc-offset", "5\n\0\n", 4);
	assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
	take_away(KVM "/%p-7/vcpu0/tsc-offset");
	put_folder(KVM "/%p-7/vcpu0/tsc-offset");
	assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
	/* It was never there: nothing has ended. */
	take_away(KVM "/%p-7/vcpu0/tsc-offset");
	assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
	vrtc_kvm_debugfs_close(k);
}

static void odd_scaling_or_mode_is_not_taken_either(void **state)
{
	static const struct {
		const char *ratio;
		const char *frac_bits;
		const char *mode;
	} odd[] = {
		{"1\n", NULL, "0\n"},
		{"0\n", "48\n", "0\n"},
		{"-1\n", "48\n", "0\n"},
		{"281474976710656\n", "64\n", "0\n"},
		{"281474976710656\n", "-48\n", "0\n"},
		{"281474976710656\n", "x\n", "0\n"},
		{"x\n", "48\n", "0\n"},
		{"18446744073709551616\n", "48\n", "0\n"},
		{NULL, NULL, "no\n"},
		{NULL, NULL, ""},
	};

	ON_X86_ALONE();
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct vrtc_kvm_debugfs *k;

		if (odd[i].ratio)
			put(KVM "/%p-7/vcpu0/tsc-scaling-ratio", odd[i].ratio);
		else
			take_away(KVM "/%p-7/vcpu0/tsc-scaling-ratio");
		if (odd[i].frac_bits)
			put(KVM "/%p-7/vcpu0/tsc-scaling-ratio-frac-bits", odd[i].frac_bits);
		put(KVM "/%p-7/vcpu0/guest_mode", odd[i].mode);
		k = open_ok(root);
		assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
		vrtc_kvm_debugfs_close(k);
	}
}

static void vm_that_has_ended_is_gone_for_good(void **state)
{
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	k = open_ok(root);
	assert_offset(k, -1000);
	take_away(KVM "/%p-7");
	assert_no_map(k, VRTC_KVM_DEBUGFS_GONE);
	/* The next one of that name is another one. */
	put(KVM "/%p-7/vcpu0/tsc-offset", "3\n");
	assert_no_map(k, VRTC_KVM_DEBUGFS_GONE);
	vrtc_kvm_debugfs_close(k);
	k = open_ok(root);
	assert_offset(k, 3);
	vrtc_kvm_debugfs_close(k);
}

static void offset_of_a_guest_s_guest_is_not_taken(void **state)
{
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	put(KVM "/%p-7/vcpu0/guest_mode", "1\n");
	k = open_ok(root);
	assert_no_map(k, VRTC_KVM_DEBUGFS_NESTED);
	put(KVM "/%p-7/vcpu0/guest_mode", "0\n");
	assert_offset(k, -1000);
	put(KVM "/%p-7/vcpu0/guest_mode", "1\n");
	put(KVM "/%p-7/vcpu0/tsc-offset", "-5000\n");
	for (int i = 0; i < 5; i++)
		assert_no_map(k, VRTC_KVM_DEBUGFS_NESTED);
	put(KVM "/%p-7/vcpu0/guest_mode", "0\n");
	put(KVM "/%p-7/vcpu0/tsc-offset", "-1000\n");
	assert_offset(k, -1000);
	/* Linux before 5.14 */
	take_away(KVM "/%p-7/vcpu0/guest_mode");
	put(KVM "/%p-7/vcpu0/tsc-offset", "-2000\n");
	assert_offset(k, -2000);
	vrtc_kvm_debugfs_close(k);
}

static void offset_that_is_another_one_at_each_look_is_none(void **state)
{
	struct vrtc_kvm_debugfs *k;
	char text[16];

	ON_X86_ALONE();
	k = open_ok(root);
	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "%d\n", i);
		put(KVM "/%p-7/vcpu0/tsc-offset", text);
		if (i < 3)
			assert_offset(k, i);
		else
			assert_no_map(k, VRTC_KVM_DEBUGFS_RESTLESS);
	}
	assert_offset(k, 9);
	vrtc_kvm_debugfs_close(k);
}

static unsigned offsets_opened;

/* The guest's guest was left, and the offset is still its own when it is read the second time. */
static void leave_late(const char *name)
{
	if (strcmp(name, "tsc-offset") == 0 && ++offsets_opened == 3)
		put(KVM "/%p-7/vcpu0/tsc-offset", "-1000\n");
}

/* It is entered when the offset is read, left before that is read again, and the offset is late. */
static void enter_and_leave(const char *name)
{
	if (strcmp(name, "tsc-offset") != 0)
		return;
	switch (++offsets_opened) {
	case 2:
		put(KVM "/%p-7/vcpu0/guest_mode", "1\n");
		put(KVM "/%p-7/vcpu0/tsc-offset", "-5000\n");
		break;
	case 3:
		put(KVM "/%p-7/vcpu0/guest_mode", "0\n");
		break;
	case 4:
		put(KVM "/%p-7/vcpu0/tsc-offset", "-1000\n");
		break;
	}
}

static void offset_of_a_guest_s_guest_that_comes_and_goes_is_not_taken(void **state)
{
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	k = open_ok(root);
	put(KVM "/%p-7/vcpu0/tsc-offset", "-5000\n");
	offsets_opened = 0;
	before_open = leave_late;
	assert_offset(k, -1000);
	before_open = NULL;
	vrtc_kvm_debugfs_close(k);

	k = open_ok(root);
	offsets_opened = 0;
	before_open = enter_and_leave;
	assert_offset(k, -1000);
	before_open = NULL;
	assert_int_equal(offsets_opened, 5);
	vrtc_kvm_debugfs_close(k);
}

/* Written over and over while it is read. */
static atomic_bool stop_writing;

static void *write_two_offsets(void *unused)
{
	char offset[512];
	char next[512];

	(void)unused;
	expand(offset, sizeof(offset), KVM "/%p-7/vcpu0/tsc-offset");
	expand(next, sizeof(next), "next");
	for (int i = 0; !atomic_load(&stop_writing); i++) {
		int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, i % 2 ? "-1000\n" : "-2000\n", 6) != 6 || close(fd) ||
			rename(next, offset))
			return (void *)1;
	}
	return NULL;
}

static void offset_that_changes_meanwhile_is_one_of_those_or_none(void **state)
{
	struct vrtc_kvm_debugfs *k;
	pthread_t writer;
	void *failed;

	ON_X86_ALONE();
	atomic_store(&stop_writing, false);
	assert_int_equal(pthread_create(&writer, NULL, write_two_offsets, NULL), 0);
	k = open_ok(root);
	for (int i = 0; i < 2000; i++) {
		struct vrtc_counter_map map;
		int result = vrtc_kvm_debugfs_read(k, &map);

		if (result == VRTC_KVM_DEBUGFS_OK)
			assert_true(map.guest_base + 1000 == 0 || map.guest_base + 2000 == 0);
		else
			assert_int_equal(result, VRTC_KVM_DEBUGFS_RESTLESS);
	}
	vrtc_kvm_debugfs_close(k);
	atomic_store(&stop_writing, true);
	assert_int_equal(pthread_join(writer, &failed), 0);
	assert_null(failed);
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void no_descriptor_is_left_open(void **state)
{
	unsigned before = count_descriptors();
	enum vrtc_kvm_debugfs_result result;
	struct vrtc_kvm_debugfs *k;

	ON_X86_ALONE();
	k = open_ok(root);
	assert_int_equal(count_descriptors(), before + 1);
	for (int i = 0; i < 100; i++)
		assert_offset(k, -1000);
	put(KVM "/%p-7/vcpu0/tsc-offset", "x\n");
	assert_no_map(k, VRTC_KVM_DEBUGFS_ODD);
	assert_int_equal(count_descriptors(), before + 1);
	vrtc_kvm_debugfs_close(k);
	put_link("proc/%p/fd/9", "anon_inode:kvm-vm");
	put(KVM "/%p-9/vcpu0/tsc-offset", "3\n");
	assert_null(vrtc_kvm_debugfs_open(root, &self, &result));
	take_away(KVM "/%p-9");
	put(KVM "/%p-7/vcpu0/pid", "4000001\n");
	assert_null(vrtc_kvm_debugfs_open(root, &self, &result));
	assert_int_equal(count_descriptors(), before);
}

static void each_result_has_a_sentence_of_its_own(void **state)
{
	(void)state;
	for (int a = VRTC_KVM_DEBUGFS_OK; a <= VRTC_KVM_DEBUGFS_NO_MEMORY; a++) {
		const char *why = vrtc_kvm_debugfs_why((enum vrtc_kvm_debugfs_result)a);

		/* It goes into a line of the log behind another sentence's beginning. */
		assert_in_range(strlen(why), 10, 100);
		for (int b = VRTC_KVM_DEBUGFS_OK; b < a; b++)
			assert_string_not_equal(
				why, vrtc_kvm_debugfs_why((enum vrtc_kvm_debugfs_result)b));
	}
}

/* ---- The real one, in a mount namespace of our own. */

static bool can(const char *why)
{
	if (why)
		print_message("SKIP: %s\n", why);
	return !why;
}

static uint64_t host_tsc(void)
{
#if defined(__x86_64__)
	unsigned cpu;
	uint64_t count;

	_mm_lfence();
	count = __rdtscp(&cpu);
	_mm_lfence();
	return count;
#else
	return 0;
#endif
}

/* What the guest reads lies between the host's counts around it, as the map has them. */
static void assert_true_map(struct vrtc_kvm_debugfs *k, struct tiny_vm *vm)
{
	struct vrtc_counter_map map;

	assert_int_equal(vrtc_kvm_debugfs_read(k, &map), VRTC_KVM_DEBUGFS_OK);
	for (int i = 0; i < 20; i++) {
		uint64_t low = vrtc_counter_map_apply(&map, host_tsc());
		uint64_t guest;
		uint64_t high;

		assert_true(tiny_vm_rdtsc(vm, &guest));
		high = vrtc_counter_map_apply(&map, host_tsc());
		assert_true(guest - low <= high - low);
	}
}

static void guest_of_kvm_reads_what_the_map_says_until_its_vm_ends(void **state)
{
	static const int64_t offsets[] = {-1000000000000, 123456789, 0, INT64_C(1) << 62};
	struct vrtc_kvm_debugfs *k;
	struct tiny_vm vm;

	ON_X86_ALONE();
	if (!can(tiny_vm_see_debugfs()) || !can(tiny_vm_open(&vm)))
		skip();
	k = open_ok("");
	assert_true_map(k, &vm);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		if (tiny_vm_set_offset(&vm, offsets[i]))
			assert_offset(k, offsets[i]);
		else if (i == 0)
			print_message(
				"this KVM keeps no TSC offset: only the one it has is seen\n");
		assert_true_map(k, &vm);
	}
	tiny_vm_close(&vm);
	assert_no_map(k, VRTC_KVM_DEBUGFS_GONE);
	vrtc_kvm_debugfs_close(k);
}

static void vms_without_a_guest_are_not_the_guest_s(void **state)
{
	enum vrtc_kvm_debugfs_result result;
	struct tiny_vm bare;
	struct tiny_vm other;
	struct tiny_vm vm;

	ON_X86_ALONE();
	if (!can(tiny_vm_see_debugfs()) || !can(tiny_vm_open_bare(&bare)))
		skip();
	assert_null(vrtc_kvm_debugfs_open("", &self, &result));
	assert_int_equal(result, VRTC_KVM_DEBUGFS_NO_VM);
	if (!can(tiny_vm_open(&vm))) {
		tiny_vm_close(&bare);
		skip();
	}
	vrtc_kvm_debugfs_close(open_ok(""));
	assert_null(tiny_vm_open(&other));
	assert_null(vrtc_kvm_debugfs_open("", &self, &result));
	assert_int_equal(result, VRTC_KVM_DEBUGFS_SEVERAL_VMS);
	tiny_vm_close(&other);
	tiny_vm_close(&vm);
	tiny_vm_close(&bare);
}

/* A VM lives as long as anybody has it, and so does its name. Here we have another one's. */
static void vm_that_another_process_has_made_is_not_ours(void **state)
{
	enum vrtc_kvm_debugfs_result result;
	struct tiny_vm vm;
	char path[64];
	int pair[2];
	pid_t maker;

	ON_X86_ALONE();
	if (!can(tiny_vm_see_debugfs()) || !can(tiny_vm_open(&vm)))
		skip();
	tiny_vm_close(&vm);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	/* With descriptors that are ours as well. */
	maker = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (maker == 0) {
		bool made;

		/* Nor does it outlive a test that fails. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		made = tiny_vm_open(&vm) == NULL && write(pair[1], &vm, sizeof(vm)) > 0;
		if (made)
			pause();
		_exit(1);
	}
	assert_true(maker > 0);
	assert_int_equal(read(pair[0], &vm, sizeof(vm)), sizeof(vm));
	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/vcpu0", maker, vm.vm_fd);
	assert_int_equal(access(path, F_OK), 0);
	assert_null(vrtc_kvm_debugfs_open("", &self, &result));
	assert_int_equal(result, VRTC_KVM_DEBUGFS_NO_VM);
	kill(maker, SIGKILL);
	assert_int_equal(waitpid(maker, NULL, 0), maker);
	/* It goes on without its maker. */
	assert_int_equal(access(path, F_OK), 0);
	assert_null(vrtc_kvm_debugfs_open("", &self, &result));
	assert_int_equal(result, VRTC_KVM_DEBUGFS_NO_VM);
	close(vm.vcpu_fd);
	close(vm.vm_fd);
	close(vm.kvm_fd);
	close(pair[0]);
	close(pair[1]);
}

#define ON_A_TREE(name) cmocka_unit_test_setup_teardown(name, put_vm, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_TREE(elsewhere_than_on_x86_it_says_so),
		ON_A_TREE(offset_of_vcpu_0_is_the_map),
		ON_A_TREE(change_is_seen_at_the_next_look),
		ON_A_TREE(scaling_is_kvm_s),
		ON_A_TREE(without_debugfs_or_kvm_in_it_there_is_none),
		ON_A_TREE(process_without_a_vm_has_none),
		ON_A_TREE(vm_whose_descriptor_the_process_does_not_have_is_not_its_own),
		ON_A_TREE(pid_that_is_used_again_is_another_process),
		ON_A_TREE(vm_that_a_thread_of_the_process_made_is_its_own),
		ON_A_TREE(vm_that_another_process_runs_is_not_its_own),
		ON_A_TREE(of_several_vms_with_a_vcpu_0_none_is_chosen),
		ON_A_TREE(in_a_pid_namespace_of_our_own_nothing_is_read),
		ON_A_TREE(process_that_may_not_be_looked_at_is_said_to_be),
		ON_A_TREE(what_is_no_number_is_not_taken_for_one),
		ON_A_TREE(odd_scaling_or_mode_is_not_taken_either),
		ON_A_TREE(vm_that_has_ended_is_gone_for_good),
		ON_A_TREE(offset_of_a_guest_s_guest_is_not_taken),
		ON_A_TREE(offset_of_a_guest_s_guest_that_comes_and_goes_is_not_taken),
		ON_A_TREE(offset_that_is_another_one_at_each_look_is_none),
		ON_A_TREE(offset_that_changes_meanwhile_is_one_of_those_or_none),
		ON_A_TREE(no_descriptor_is_left_open),
		cmocka_unit_test(each_result_has_a_sentence_of_its_own),
		cmocka_unit_test(guest_of_kvm_reads_what_the_map_says_until_its_vm_ends),
		cmocka_unit_test(vms_without_a_guest_are_not_the_guest_s),
		cmocka_unit_test(vm_that_another_process_has_made_is_not_ours),
	};

	return cmocka_run_group_tests_name("kvm_debugfs", tests, begin_all, NULL);
}
