/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter of system calls: that each thread of the daemon has it, and what it refuses. What is
 * refused is tried twice: each case in a child that has nothing but the filter, and a call that is
 * put into a thread of the daemon with ptrace, as one who took it over would make it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../daemon/fixture.h"
#include "syscalls.h"

/* ---- The daemon's threads. */

static long status_number(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* The mode of each thread's filter is the one wanted; the number of threads. */
static unsigned check_threads(const struct fixture *f, long mode)
{
	unsigned n = 0;
	struct dirent *entry;
	char path[320];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)f->daemon.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char *status;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)f->daemon.pid,
			entry->d_name);
		status = child_read_file(path);
		assert_non_null(status);
		assert_int_equal(status_number(status, "Seccomp:"), mode);
		free(status);
		n++;
	}
	closedir(dir);
	return n;
}

/* A filter of whoever runs us is ours and the daemon's, too. */
static void skip_with_a_filter_of_our_own(void)
{
	char *status = child_read_file("/proc/self/status");
	long mode;

	assert_non_null(status);
	mode = status_number(status, "Seccomp:");
	free(status);
	if (mode != 0) {
		print_message("this process has a filter itself\n");
		skip();
	}
}

/* Sanitizers, coverage and valgrind make calls of their own, so there is no filter. */
static void skip_without_filter(void)
{
	const char *other = getenv("DPDK_RTC");

	if (!APP_SECCOMP || (other && *other)) {
		print_message("this build, or what runs the daemon, makes calls of its own\n");
		skip();
	}
}

static void every_thread_of_a_daemon_that_serves_is_limited(void **state)
{
	struct fixture f;
	struct vfe_session s;

	(void)state;
	skip_without_filter();
	fixture_init(&f);
	fixture_start_one(&f);
	fixture_wait_log(&f, "system calls are limited", 1);
	fixture_connect(&f, &s);
	fixture_check_all_clocks(&s);
	/* Main, an lcore and rte_vhost's at the least; and two of telemetry's. */
	assert_true(check_threads(&f, 2) >= 3);
	vfe_session_fini(&s);
	fixture_stop(&f);
	fixture_fini(&f);
}

static void with_seccomp_off_no_thread_is_limited(void **state)
{
	struct fixture f;

	(void)state;
	skip_with_a_filter_of_our_own();
	fixture_init(&f);
	fixture_arg(&f, "--seccomp");
	fixture_arg(&f, "off");
	fixture_start_one(&f);
	fixture_wait_log(&f, "system calls are not limited: seccomp = off", 1);
	assert_true(check_threads(&f, 0) >= 3);
	fixture_stop(&f);
	fixture_fini(&f);
}

static void where_programs_are_executed_they_inherit_no_limit(void **state)
{
	struct fixture f;

	(void)state;
	skip_without_filter();
	skip_with_a_filter_of_our_own();
	fixture_init(&f);
	fixture_arg(&f, "--alarm-action");
	fixture_arg(&f, "exec:/bin/true");
	fixture_start_one(&f);
	fixture_wait_log(&f, "system calls are not limited: programs of exec:", 1);
	assert_true(check_threads(&f, 0) >= 3);
	fixture_stop(&f);
	fixture_fini(&f);
}

/* ---- A call put into the daemon's main thread, which sleeps in poll(). */

#ifdef __x86_64__
static bool wait_stop(pid_t pid, int *status)
{
	for (unsigned ms = 0; ms < FIXTURE_WAIT_MS; ms += 2) {
		pid_t stopped = waitpid(pid, status, WNOHANG | __WALL);

		if (stopped != 0)
			return stopped == pid;
		fixture_sleep_ms(2);
	}
	return false;
}

/* Of a thread that we trace: its next entry into the kernel becomes another one. */
static bool inject(pid_t pid, long number)
{
	struct user_regs_struct registers;
	int status;

	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) || !wait_stop(pid, &status))
		return false;
	do {
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) || !wait_stop(pid, &status) ||
			!WIFSTOPPED(status))
			return false;
	} while (WSTOPSIG(status) != (SIGTRAP | 0x80) ||
		 ptrace(PTRACE_GETREGS, pid, 0, &registers) || registers.rax != (uint64_t)-ENOSYS);
	registers.orig_rax = (uint64_t)number;
	return ptrace(PTRACE_SETREGS, pid, 0, &registers) == 0 &&
	       ptrace(PTRACE_DETACH, pid, 0, 0) == 0;
}
#endif

static void a_call_that_is_none_of_its_own_ends_the_daemon_and_the_log_names_it(void **state)
{
#ifdef __x86_64__
	struct fixture f;

	(void)state;
	skip_without_filter();
	fixture_init(&f);
	fixture_start_one(&f);
	if (ptrace(PTRACE_SEIZE, f.daemon.pid, 0, PTRACE_O_TRACESYSGOOD)) {
		print_message("this machine allows no ptrace(): %s\n", strerror(errno));
		fixture_stop(&f);
		fixture_fini(&f);
		skip();
	}
	assert_true(inject(f.daemon.pid, SYS_mount));
	assert_int_equal(child_wait(&f.daemon, FIXTURE_WAIT_MS), 128 + SIGSYS);
	fixture_wait_log(&f, "the system call mount (165), or this use of it", 1);
	fixture_fini(&f);
#else
	(void)state;
	print_message("registers are known of x86-64 alone\n");
	skip();
#endif
}

/* ---- Each rule by itself. */

static int file_fd;    /* an eventfd, made before the filter */
static pid_t test_pid; /* not the child's */
static char *page;     /* of memory */

static void *do_nothing(void *arg)
{
	return arg;
}

static bool reads_and_writes(void)
{
	uint64_t n = 1;

	return write(file_fd, &n, sizeof(n)) == sizeof(n) &&
	       read(file_fd, &n, sizeof(n)) == sizeof(n);
}

static bool starts_a_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, do_nothing, NULL) == 0 &&
	       pthread_join(thread, NULL) == 0;
}

static bool reads_a_file(void)
{
	FILE *f = fopen("/proc/self/stat", "re");
	char line[64];
	bool good = f && fgets(line, sizeof(line), f);

	if (f)
		fclose(f);
	return good;
}

static bool lists_a_folder(void)
{
	DIR *dir = opendir("/proc/self/fd");
	bool good = dir && readdir(dir);

	if (dir)
		closedir(dir);
	return good;
}

static bool connects(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nonexistent"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) &&
		    errno == ENOENT;

	close(fd);
	return good;
}

static bool maps_memory(void)
{
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map != MAP_FAILED && mprotect(map, 4096, PROT_READ) == 0 && munmap(map, 4096) == 0;
}

static bool asks_a_clock(void)
{
	struct ptp_clock_caps caps;

	/* It is none, and says so. */
	return ioctl(file_fd, PTP_CLOCK_GETCAPS, &caps) && errno == ENOTTY;
}

static bool sleeps(void)
{
	return nanosleep(&(struct timespec){.tv_nsec = 1}, NULL) == 0;
}

static bool signals_itself(void)
{
	signal(SIGURG, SIG_IGN);
	return raise(SIGURG) == 0;
}

static bool is_told_that_clone3_is_missing(void)
{
	return syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS;
}

static bool executes(void)
{
	char *argv[] = {page, NULL};
	char *env[] = {NULL};

	return execve("/bin/true", argv, env) == 0;
}

static bool forks(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

static bool starts_a_thread_in_a_namespace(void)
{
	return syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNET, page, 0,
		       0, 0) >= 0;
}

static bool opens_to_write(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0;
}

static bool opens_to_read_and_write(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC) >= 0;
}

static bool makes_a_file(void)
{
	return open("/dev/null", O_RDONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool empties_a_file(void)
{
	return open("/dev/null", O_RDONLY | O_TRUNC | O_CLOEXEC) >= 0;
}

static bool makes_a_file_without_name(void)
{
	return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) >= 0;
}

static bool talks_to_the_network(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool talks_to_the_kernel(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}

static bool listens(void)
{
	return listen(file_fd, 1) == 0;
}

static bool maps_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static bool makes_code(void)
{
	return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool types_into_a_terminal(void)
{
	return ioctl(file_fd, TIOCSTI, page) == 0;
}

static bool sets_a_clock_by_ioctl(void)
{
	return ioctl(file_fd, PTP_PIN_SETFUNC, page) == 0;
}

static bool signals_another_process(void)
{
	return kill(test_pid, 0) == 0;
}

static bool signals_a_thread_of_another(void)
{
	return syscall(SYS_tgkill, test_pid, test_pid, 0) == 0;
}

static bool traces(void)
{
	return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0;
}

static bool reads_anothers_memory(void)
{
	struct iovec iov = {page, 8};

	return process_vm_readv(test_pid, &iov, 1, &iov, 1, 0) >= 0;
}

static bool moves_anothers_memory(void)
{
	return syscall(SYS_move_pages, test_pid, 0, NULL, NULL, NULL, 0) == 0;
}

static bool mounts(void)
{
	return mount("none", "/nonexistent", "tmpfs", 0, NULL) == 0;
}

static bool changes_a_mode(void)
{
	return fchmodat(AT_FDCWD, "/nonexistent", 0777, 0) == 0;
}

static bool changes_an_owner(void)
{
	return fchownat(AT_FDCWD, "/nonexistent", 0, 0, 0) == 0;
}

static bool renames(void)
{
	return renameat(AT_FDCWD, "/nonexistent", AT_FDCWD, "/nonexistent2") == 0;
}

static bool becomes_another_user(void)
{
	return syscall(SYS_setuid, 0) == 0;
}

static bool sets_capabilities(void)
{
	return syscall(SYS_capset, NULL, NULL) == 0;
}

static bool sets_a_limit(void)
{
	struct rlimit limit = {1, 1};

	return setrlimit(RLIMIT_CORE, &limit) == 0;
}

static bool becomes_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool leaves_its_namespace(void)
{
	return unshare(CLONE_NEWNS) == 0;
}

static bool loads_a_module(void)
{
	return syscall(SYS_init_module, NULL, 0, NULL) == 0;
}

static bool loads_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) == 0;
}

static bool sets_up_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) >= 0;
}

static bool sets_the_time(void)
{
	return syscall(SYS_clock_settime, CLOCK_REALTIME, NULL) == 0;
}

/* refused: the name that the message has; NULL: it works */
struct use {
	bool (*use)(void);
	const char *refused;
};

static const struct use uses[] = {
	{reads_and_writes, NULL},
	{starts_a_thread, NULL},
	{reads_a_file, NULL},
	{lists_a_folder, NULL},
	{connects, NULL},
	{maps_memory, NULL},
	{asks_a_clock, NULL},
	{sleeps, NULL},
	{signals_itself, NULL},
	{is_told_that_clone3_is_missing, NULL},
	{executes, "execve"},
	{forks, "clone"},
	{starts_a_thread_in_a_namespace, "clone"},
	{opens_to_write, "openat"},
	{opens_to_read_and_write, "openat"},
	{makes_a_file, "openat"},
	{empties_a_file, "openat"},
	{makes_a_file_without_name, "openat"},
	{talks_to_the_network, "socket"},
	{talks_to_the_kernel, "socket"},
	{listens, "listen"},
	{maps_code, "mmap"},
	{makes_code, "mprotect"},
	{types_into_a_terminal, "ioctl"},
	{sets_a_clock_by_ioctl, "ioctl"},
	{signals_another_process, "kill"},
	{signals_a_thread_of_another, "tgkill"},
	{traces, "ptrace"},
	{reads_anothers_memory, "process_vm_readv"},
	{moves_anothers_memory, "move_pages"},
	{mounts, "mount"},
	{changes_a_mode, "fchmodat"},
	{changes_an_owner, "fchownat"},
	{renames, "renameat"},
	{becomes_another_user, "setuid"},
	{sets_capabilities, "capset"},
	{sets_a_limit, "prlimit64"},
	{becomes_dumpable, "prctl"},
	{leaves_its_namespace, "unshare"},
	{loads_a_module, "init_module"},
	{loads_bpf, "bpf"},
	{sets_up_io_uring, "io_uring_setup"},
	{sets_the_time, "clock_settime"},
};

#define WORKED   0
#define FAILED   1
#define NO_LIMIT 2

static void run_use(bool (*use)(void), bool hugepages, int said_fd)
{
	if (dup2(said_fd, STDERR_FILENO) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
		app_syscalls_limit(hugepages))
		_exit(NO_LIMIT);
	_exit(use() ? WORKED : FAILED);
}

/* What waitpid() says of a child that was limited first, and what it wrote. */
static int try_use(bool (*use)(void), bool hugepages, char *said, size_t said_bytes)
{
	int pipes[2];
	ssize_t bytes;
	int status;
	pid_t pid;

	file_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(file_fd >= 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_use(use, hugepages, pipes[1]);
	close(pipes[1]);
	bytes = read(pipes[0], said, said_bytes - 1);
	said[bytes > 0 ? bytes : 0] = '\0';
	/* The rest of the line, which is written in pieces. */
	while (bytes > 0) {
		size_t used = strlen(said);

		bytes = read(pipes[0], said + used, said_bytes - 1 - used);
		said[used + (bytes > 0 ? (size_t)bytes : 0)] = '\0';
	}
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(file_fd);
	return status;
}

static void what_a_daemon_that_serves_does_works_and_all_else_is_refused_by_name(void **state)
{
	char said[1024];
	char wanted[128];

	(void)state;
	if (!APP_SECCOMP) {
		print_message("this build makes calls of its own\n");
		skip();
	}
	test_pid = getpid();
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		int status = try_use(uses[i].use, false, said, sizeof(said));

		if (!uses[i].refused) {
			if (!WIFEXITED(status) || WEXITSTATUS(status) != WORKED)
				fail_msg("use %zu: status 0x%x: %s", i, status, said);
			continue;
		}
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("use %zu, %s: status 0x%x", i, uses[i].refused, status);
		snprintf(wanted, sizeof(wanted), "dpdk-rtc: the system call %s (", uses[i].refused);
		if (strncmp(said, wanted, strlen(wanted)) != 0)
			fail_msg("use %zu, %s: it said: %s", i, uses[i].refused, said);
		assert_int_equal(said[strlen(said) - 1], '\n');
	}
	munmap(page, 4096);
}

static void with_hugepages_files_may_be_made(void **state)
{
	char said[1024];

	(void)state;
	if (!APP_SECCOMP) {
		print_message("this build makes calls of its own\n");
		skip();
	}
	assert_int_equal(try_use(makes_a_file, true, said, sizeof(said)), 0);
	assert_int_equal(try_use(opens_to_read_and_write, true, said, sizeof(said)), 0);
	assert_int_not_equal(try_use(changes_a_mode, true, said, sizeof(said)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_thread_of_a_daemon_that_serves_is_limited),
		cmocka_unit_test(with_seccomp_off_no_thread_is_limited),
		cmocka_unit_test(where_programs_are_executed_they_inherit_no_limit),
		cmocka_unit_test(
			a_call_that_is_none_of_its_own_ends_the_daemon_and_the_log_names_it),
		cmocka_unit_test(
			what_a_daemon_that_serves_does_works_and_all_else_is_refused_by_name),
		cmocka_unit_test(with_hugepages_files_may_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
