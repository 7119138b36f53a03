/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What KVM's debugfs shows, as kvm_debugfs.c reads it: a tree of a VM's is made up once, and each
 * opening of a file in it gets the next piece of the input. So files change, vanish and fail
 * between any two looks. The link is told to --wrap=openat64.
 *
 * Input: pieces, of a byte for the length (or an error) and that many bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "kvm_debugfs.h"
#include "wire.h"

#define READS         4
#define PIECE_NOENT   0xff
#define PIECE_IO      0xfe
#define PIECE_IS_GOOD 0xfd

static struct fuzz_input pieces;
static bool watching;
static char root[] = "/tmp/dpdk-rtc-fuzz-XXXXXX";
static struct vrtc_peer_process self;

int real_openat(int at, const char *name, int flags, ...) __asm__("__real_openat64");
int piecewise_openat(int at, const char *name, int flags, ...) __asm__("__wrap_openat64");

int piecewise_openat(int at, const char *name, int flags, ...)
{
	char text[64];
	uint8_t length;
	int fd;

	/* The folder of the vCPU is a real one, its files are not. */
	if (!watching || flags & O_DIRECTORY)
		return real_openat(at, name, flags);
	length = fuzz_take8(&pieces);
	if (length >= PIECE_IO) {
		errno = length == PIECE_NOENT ? ENOENT : EIO;
		return -1;
	}
	fd = memfd_create("piece", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0);
	if (length == PIECE_IS_GOOD) {
		/* A number, so that a look gets through more often than by chance. */
		length = (uint8_t)snprintf(text, sizeof(text), "%u\n", fuzz_take8(&pieces) & 63U);
	} else {
		length %= sizeof(text);
		fuzz_take(&pieces, text, length);
	}
	FUZZ_CHECK(pwrite(fd, text, length, 0) == length);
	return fd;
}

static void make_folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	FUZZ_CHECK(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static void make_link(const char *name, const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	FUZZ_CHECK(symlink(target, path) == 0);
}

static void remove_tree(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	if (system(command)) /* NOLINT(cert-env33-c): a path of our own making */
		fprintf(stderr, "%s stays\n", root);
}

static void make_tree(void)
{
	static const char *const folders[] = {"proc", "proc/self", "proc/self/ns", "sys",
		"sys/kernel", "sys/kernel/debug", "sys/kernel/debug/kvm"};
	char name[128];

	self.pid = (uint64_t)getpid();
	FUZZ_CHECK(mkdtemp(root));
	FUZZ_CHECK(atexit(remove_tree) == 0);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		make_folder(folders[i]);
	make_link("proc/self/ns/pid", "pid:[4026531836]");
	snprintf(name, sizeof(name), "proc/%d", getpid());
	make_folder(name);
	snprintf(name, sizeof(name), "proc/%d/fd", getpid());
	make_folder(name);
	snprintf(name, sizeof(name), "proc/%d/fd/7", getpid());
	make_link(name, "anon_inode:kvm-vm");
	snprintf(name, sizeof(name), "sys/kernel/debug/kvm/%d-7", getpid());
	make_folder(name);
	snprintf(name, sizeof(name), "sys/kernel/debug/kvm/%d-7/vcpu0", getpid());
	make_folder(name);
}

/* The start of this process, as field 22 of its stat has it. */
static void find_start(void)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");
	char *at;
	size_t bytes;

	FUZZ_CHECK(file);
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	FUZZ_CHECK(at);
	self.start_ticks = strtoull(at + 1, NULL, 10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	enum vrtc_kvm_debugfs_result result;
	struct vrtc_kvm_debugfs *k;

	if (self.pid == 0) {
		make_tree();
		find_start();
	}
	pieces = (struct fuzz_input){data, bytes};
	watching = true;
	k = vrtc_kvm_debugfs_open(root, &self, &result);
	FUZZ_CHECK((k != NULL) == (result == VRTC_KVM_DEBUGFS_OK));
	for (int i = 0; k && i < READS; i++) {
		struct vrtc_counter_map map = {.guest_counter = VIRTIO_RTC_COUNTER_INVALID};
		const struct vrtc_counter_map untouched = map;

		result = vrtc_kvm_debugfs_read(k, &map);
		FUZZ_CHECK(result == VRTC_KVM_DEBUGFS_OK || result == VRTC_KVM_DEBUGFS_GONE ||
			   result == VRTC_KVM_DEBUGFS_ODD || result == VRTC_KVM_DEBUGFS_NESTED ||
			   result == VRTC_KVM_DEBUGFS_RESTLESS);
		if (result != VRTC_KVM_DEBUGFS_OK) {
			FUZZ_CHECK(vrtc_counter_map_equal(&map, &untouched));
			continue;
		}
		FUZZ_CHECK(map.guest_counter == VIRTIO_RTC_COUNTER_X86_TSC);
		FUZZ_CHECK(map.mult != 0 && map.shift <= 63);
		FUZZ_CHECK(vrtc_counter_map_apply(&map, 0) == map.guest_base);
	}
	FUZZ_CHECK(strcmp(vrtc_kvm_debugfs_why(result), "unknown") != 0);
	vrtc_kvm_debugfs_close(k);
	watching = false;
	return 0;
}
