/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list was found with strace under the suites of tests/daemon, tests/faults and
 * tests/conformance, on DPDK 22.11 and 24.11; what an architecture or another C library has in
 * place of a call that was seen is listed with it. Names that the machine's libseccomp or its
 * architecture do not know are passed over.
 */
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

/* <signal.h> of glibc 2.36 does not have it; <asm/siginfo.h> does, and cannot be had beside it. */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

/* Allowed whatever their arguments are: the kernel knows these by a bit, and runs no filter. */
static const char *const allowed[] = {
	/* descriptors: sockets of front-ends and of telemetry, eventfds, timers, files */
	"read", "pread64", "write", "writev", "close", "lseek", "fcntl", "poll", "ppoll",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2",
	"timerfd_create", "timerfd_settime", "timerfd_gettime", "inotify_add_watch",
	"inotify_rm_watch", "io_submit",
	/* sockets; what socket() is allowed is below */
	"connect", "accept", "accept4", "shutdown", "getsockname", "getpeername", "getsockopt",
	"setsockopt", "sendto", "sendmsg", "recvfrom", "recvmsg",
	/* to look at files; and at the end to remove our sockets */
	"access", "faccessat", "faccessat2", "stat", "lstat", "fstat", "newfstatat", "statx",
	"statfs", "fstatfs", "readlink", "readlinkat", "getdents64", "getcwd", "unlink", "unlinkat",
	/* memory; what mmap() and mprotect() are allowed is below */
	"brk", "munmap", "mremap", "madvise", "get_mempolicy", "mbind",
	/* time */
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"clock_adjtime", "adjtimex",
	/* threads, and signals of our own */
	"futex", "futex_waitv", "set_robust_list", "rseq", "membarrier", "sched_yield",
	"sched_getaffinity", "sched_setaffinity", "getcpu", "gettid", "exit", "exit_group",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
	"restart_syscall",
	/* what the C library asks for */
	"getpid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getrandom",
	"getrusage"};

/* Allowed with this argument: (argument & mask) == value. */
struct allowed_with {
	const char *name;
	unsigned argument;
	uint64_t mask;
	uint64_t value;
};

#define EVERY_BIT (~0ULL)
/* clone() of a thread, without a namespace of its own. */
#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)
#define THREAD (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
/* open() that reads what is there. The C library hides the kernel's bit of O_TMPFILE in its own. */
#define WRITES (O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

static const struct allowed_with allowed_with[] = {
	{"openat", 2, WRITES, O_RDONLY}, {"socket", 0, EVERY_BIT, AF_UNIX},
	{"ioctl", 1, EVERY_BIT, PTP_CLOCK_GETCAPS}, {"ioctl", 1, EVERY_BIT, PTP_SYS_OFFSET},
	{"ioctl", 1, EVERY_BIT, PTP_SYS_OFFSET_EXTENDED},
	{"ioctl", 1, EVERY_BIT, PTP_SYS_OFFSET_PRECISE},
	{"ioctl", 1, EVERY_BIT, TCGETS}, /* whether a stream is a terminal's */
	{"mmap", 2, PROT_EXEC, 0}, {"mprotect", 2, PROT_EXEC, 0},
	{"clone", 0, NAMESPACES | THREAD, THREAD}, {"prctl", 0, EVERY_BIT, PR_SET_NAME},
	{"prctl", 0, EVERY_BIT, PR_GET_NAME}, {"prctl", 0, EVERY_BIT, PR_SET_VMA},
	{"prlimit64", 2, EVERY_BIT, 0},  /* to read a limit */
	{"move_pages", 0, EVERY_BIT, 0}, /* of our own */
};

/* Where EAL options may have given it hugepages, which it maps and returns as it goes. */
static const char *const allowed_hugepages[] = {
	"openat", "memfd_create", "ftruncate", "fallocate", "flock", "mlock", "set_mempolicy"};

/* Told to be missing, so that the C library takes the older call: its arguments can be seen. */
static const char *const missing[] = {"clone3"};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* The names of system calls, for the handler, which may not allocate. */
#define NUMBERS 512
static char *name_of[NUMBERS];

static void note_names(void)
{
	for (int i = 0; i < NUMBERS; i++)
		name_of[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
}

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void say_number(int number)
{
	char digits[12];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	say(at);
}

/*
 * Once, in the thread that made the call; by then the default action is back. A thread that has
 * blocked SIGSYS, as the C library does here and there for a moment, ends the process without it.
 */
static void handle(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code == SYS_SECCOMP) {
		int number = info->si_syscall;
		const char *name =
			number >= 0 && number < NUMBERS && name_of[number] ? name_of[number] : "?";

		say("dpdk-rtc: the system call ");
		say(name);
		say(" (");
		say_number(number < 0 ? 0 : number);
		say("), or this use of it, is none that dpdk-rtc makes once it serves: it is "
		    "refused, and the process ends. If you believe that it is needed, please "
		    "report it; seccomp = off allows it\n");
	}
	(void)raise(signo);
}

/* Negative numbers are libseccomp's for calls that this architecture does not have. */
static int add(scmp_filter_ctx filter, uint32_t action, const char *name,
	const struct scmp_arg_cmp *argument)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number < 0)
		return 0;
	return seccomp_rule_add_array(filter, action, number, argument ? 1 : 0, argument);
}

static int add_all(scmp_filter_ctx filter, bool hugepages)
{
	const struct scmp_arg_cmp own = {
		.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid()};
	int rc = add(filter, SCMP_ACT_ALLOW, "tgkill", &own);

	for (size_t i = 0; rc == 0 && i < N(allowed); i++)
		rc = add(filter, SCMP_ACT_ALLOW, allowed[i], NULL);
	for (size_t i = 0; rc == 0 && hugepages && i < N(allowed_hugepages); i++)
		rc = add(filter, SCMP_ACT_ALLOW, allowed_hugepages[i], NULL);
	for (size_t i = 0; rc == 0 && i < N(allowed_with); i++) {
		const struct scmp_arg_cmp argument = {
			.arg = allowed_with[i].argument,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = allowed_with[i].mask,
			.datum_b = allowed_with[i].value,
		};

		rc = add(filter, SCMP_ACT_ALLOW, allowed_with[i].name, &argument);
	}
	for (size_t i = 0; rc == 0 && i < N(missing); i++)
		rc = add(filter, SCMP_ACT_ERRNO(ENOSYS), missing[i], NULL);
	return rc;
}

static int set_attributes(scmp_filter_ctx filter)
{
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	/* Another architecture's calls (32 bits of this one) have other numbers. */
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/*
	 * Before Linux 5.16 a filter costs a thread the CPU's speculation past stores, for the sake
	 * of those who run foreign code: every load of an lcore would be slower.
	 */
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	/* A tree, not a list of comparisons, where the kernel has to ask the filter. */
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return rc;
}

int app_syscalls_limit(bool hugepages)
{
	struct sigaction action = {
		.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int rc;

	if (!filter)
		return -ENOMEM;
	rc = set_attributes(filter);
	if (rc == 0)
		rc = add_all(filter, hugepages);
	if (rc == 0) {
		note_names();
		sigemptyset(&action.sa_mask);
		rc = sigaction(SIGSYS, &action, NULL) ? -errno : seccomp_load(filter);
	}
	seccomp_release(filter);
	return rc;
}
