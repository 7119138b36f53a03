/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nstime.h"

/* Between two looks at a program that runs; doubled from the first to the second. */
#define LOOK_FIRST_NS 1000000
#define LOOK_MAX_NS   64000000

/*
 * rte_eal_init() pins the main thread to the control lcore's CPU, so what the process may run on
 * has to be looked up before main(). On a machine with more CPUs than a cpu_set_t the look-up
 * fails, and a program gets the CPU of the thread that starts it.
 */
static cpu_set_t initial_cpus;
static bool initial_cpus_known;

static void __attribute__((constructor)) note_initial_cpus(void)
{
	initial_cpus_known = sched_getaffinity(0, sizeof(initial_cpus), &initial_cpus) == 0;
}

enum vrtc_action_end vrtc_exec_check(const char *program, struct vrtc_action_why *why)
{
	if (access(program, X_OK) == 0)
		return VRTC_ACTION_DONE;
	return vrtc_action_fail(
		why, VRTC_ACTION_NOT_STARTED, "cannot be started: %s", strerror(errno));
}

/* Returns 0, or an error number. */
static int prepare(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *files)
{
	sigset_t none;
	sigset_t all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	rc = posix_spawnattr_setsigmask(attributes, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attributes, &all);
	if (rc == 0)
		rc = posix_spawnattr_setpgroup(attributes, 0);
	if (rc == 0)
		rc = posix_spawnattr_setflags(attributes,
			POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(files, 2, 1);
	/* rte_vhost's descriptors are not all close-on-exec. */
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(files, 3);
	return rc;
}

enum vrtc_action_end vrtc_exec_start(
	const char *program, char *const environment[], pid_t *pid, struct vrtc_action_why *why)
{
	/* execve() does not write to it; its type is older than const. */
	char *const argv[] = {(char *)(uintptr_t)program, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	cpu_set_t own_cpus;
	bool widened = false;
	int rc;

	rc = posix_spawnattr_init(&attributes);
	if (rc)
		return vrtc_action_fail(why, VRTC_ACTION_NO_MEANS, "posix_spawn: %s", strerror(rc));
	rc = posix_spawn_file_actions_init(&files);
	if (rc) {
		posix_spawnattr_destroy(&attributes);
		return vrtc_action_fail(why, VRTC_ACTION_NO_MEANS, "posix_spawn: %s", strerror(rc));
	}
	rc = prepare(&attributes, &files);
	if (rc == 0) {
		/*
		 * posix_spawn() has no attribute for it. This thread sleeps until the child has
		 * executed the program, and is back on its own CPUs right after.
		 */
		widened = initial_cpus_known &&
			  sched_getaffinity(0, sizeof(own_cpus), &own_cpus) == 0 &&
			  sched_setaffinity(0, sizeof(initial_cpus), &initial_cpus) == 0;
		rc = posix_spawn(pid, program, &files, &attributes, argv, environment);
		if (widened)
			(void)sched_setaffinity(0, sizeof(own_cpus), &own_cpus);
	}
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (rc)
		return vrtc_action_fail(
			why, VRTC_ACTION_NOT_STARTED, "cannot be started: %s", strerror(rc));
	return VRTC_ACTION_DONE;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * VRTC_NS_PER_S + now.tv_nsec;
}

static enum vrtc_action_end judge(int status, struct vrtc_action_why *why)
{
	if (WIFSIGNALED(status))
		return vrtc_action_fail(why, VRTC_ACTION_BAD_STATUS, "ended by signal %d (%s)",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return vrtc_action_fail(
			why, VRTC_ACTION_BAD_STATUS, "exit status %d", WEXITSTATUS(status));
	return VRTC_ACTION_DONE;
}

enum vrtc_action_end vrtc_exec_wait(pid_t pid, int64_t deadline_ns, struct vrtc_action_why *why)
{
	long pause_ns = LOOK_FIRST_NS;
	int status = 0;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && now_ns() < deadline_ns) {
		nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
		if (pause_ns < LOOK_MAX_NS)
			pause_ns *= 2;
	}
	if (ended == pid)
		return judge(status, why);
	/* SIGCHLD was ignored when we were started: the kernel has reaped it, without a word. */
	if (ended < 0)
		return VRTC_ACTION_DONE;
	/*
	 * It is not reaped, so that the number is still its group's. One that the kernel cannot end
	 * at once is waited for: it counts as one that runs.
	 */
	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return vrtc_action_fail(why, VRTC_ACTION_TIMED_OUT, "it ran for too long, and was killed");
}
