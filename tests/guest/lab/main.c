/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Process 1 of the laboratory: the guest of tests/guest that runs the daemon itself. It takes names
 * of cases from the runner, runs each as a child, and undoes afterwards what the case did, so that
 * one boot serves them all: everything else that runs is killed, files are removed, and the clocks
 * are what they would be without us.
 *
 * Facts of a case: `note=TEXT` as often as it likes, and then one of `passed=NAME`,
 * `failed=NAME: why` (with `log=LINE` of the daemon before it), `skipped=NAME: why`.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "frontend/deadline.h"
#include "kernel_time.h"
#include "lab.h"
#include "line.h"

/* How long a case may run, and how long the runner may think between two. */
#define CASE_MS_MAX   100000 /* and what the runner asks for, see lab_seconds() */
#define RUNNER_MS_MAX 600000
#define LOG_LINES_MAX 60

enum { STATUS_PASSED, STATUS_FAILED = 10, STATUS_SKIPPED };

static const char *case_name = "start";

static void tell_log(void)
{
	static char lines[LOG_LINES_MAX][512];
	FILE *log = fopen(LAB_DAEMON_LOG, "re");
	unsigned int n = 0;

	if (!log)
		return;
	while (fgets(lines[n % LOG_LINES_MAX], sizeof(lines[0]), log))
		n++;
	fclose(log);
	for (unsigned int i = n > LOG_LINES_MAX ? n - LOG_LINES_MAX : 0; i < n; i++)
		lab_line_fact("log", "%s", lines[i % LOG_LINES_MAX]);
}

void lab_fail(const char *format, ...)
{
	char why[512];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	tell_log();
	lab_line_fact("failed", "%s: %s", case_name, why);
	_exit(STATUS_FAILED);
}

void lab_skip(const char *format, ...)
{
	char why[512];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	lab_line_fact("skipped", "%s: %s", case_name, why);
	_exit(STATUS_SKIPPED);
}

unsigned int lab_seconds(unsigned int otherwise)
{
	static const char name[] = "lab.seconds=";
	FILE *file = fopen("/proc/cmdline", "re");
	char cmdline[2048] = "";
	const char *found;

	if (file) {
		if (!fgets(cmdline, sizeof(cmdline), file))
			cmdline[0] = '\0';
		fclose(file);
	}
	found = strstr(cmdline, name);
	return found ? (unsigned int)atoi(found + strlen(name)) : otherwise;
}

void lab_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	lab_line_vfact("note", format, args);
	va_end(args);
}

/* Files of the daemon and of a case; folders are left, the EAL's with its files removed. */
static void empty_folder(const char *path)
{
	struct dirent *entry;
	char child[512];
	struct stat st;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode))
			empty_folder(child);
		else
			unlink(child);
	}
	if (dir)
		closedir(dir);
}

/* Everything but process 1 and the kernel ends here. */
static void end_all_others(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static int run_child(const struct lab_case *c)
{
	int64_t deadline_ns = vfe_deadline_in_ms(CASE_MS_MAX + 1000 * lab_seconds(0));
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		c->run();
		_exit(STATUS_PASSED);
	}
	for (;;) {
		pid_t ended = waitpid(-1, &status, WNOHANG);

		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (vfe_now_ns() > deadline_ns)
			return -ETIMEDOUT;
		if (ended == 0)
			lab_sleep_ms(5);
	}
}

static void run_case(const struct lab_case *c)
{
	int64_t untouched_ns = lab_time_ns(CLOCK_REALTIME) - lab_time_ns(CLOCK_BOOTTIME);
	int status;

	case_name = c->name;
	status = run_child(c);
	if (status != STATUS_PASSED && status != STATUS_FAILED && status != STATUS_SKIPPED)
		tell_log();
	end_all_others();
	empty_folder("/run");
	empty_folder("/dev/shm");
	if (!lab_time_calm(untouched_ns))
		lab_line_fact("failed", "%s: the kernel's clock cannot be put right: %s", c->name,
			strerror(errno));
	else if (status == STATUS_PASSED)
		lab_line_fact("passed", "%s", c->name);
	else if (status == -ETIMEDOUT)
		lab_line_fact("failed", "%s: not done after %d s", c->name, CASE_MS_MAX / 1000);
	else if (status != STATUS_FAILED && status != STATUS_SKIPPED)
		lab_line_fact("failed", "%s: its process has ended with %d", c->name, status);
	lab_line_fact("ready", "lab");
}

static void run_named(const char *name)
{
	for (const struct lab_case *c = lab_cases; c->name; c++) {
		if (strcmp(c->name, name) == 0) {
			run_case(c);
			return;
		}
	}
	lab_line_fact("failed", "%s: the laboratory has no such case", name);
	lab_line_fact("ready", "lab");
}

static void end_machine(void)
{
	lab_line_drain();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static bool mount_all(void)
{
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/run", 0755);
	mkdir("/tmp", 0755);
	mkdir("/var", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) ||
		mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL))
		return false;
	mkdir("/dev/shm", 01777);
	return !mount("tmpfs", "/run", "tmpfs", 0, "mode=755") &&
	       !mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") &&
	       !mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") && !symlink("/run", "/var/run") &&
	       !mkdir("/run/lab", 0755);
}

int main(void)
{
	char name[64];

	if (!mount_all() || !lab_line_open()) {
		perror("the laboratory cannot start");
		reboot(RB_POWER_OFF);
	}
	lab_line_fact("ready", "lab");
	while (lab_line_read(name, sizeof(name), RUNNER_MS_MAX) && strcmp(name, "poweroff") != 0)
		run_named(name);
	end_machine();
	return 0;
}
