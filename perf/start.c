/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long it takes from the start of a back-end to its first answer, and what it then holds of
 * memory.
 *
 *	dpdk-rtc-start RUNS SOCKET COMMAND [ARGUMENT...]
 *
 * Starts COMMAND, which is to serve an RTC device on SOCKET, tries to connect until it does, asks
 * for the number of clocks, and ends it (SIGTERM): RUNS times. Prints the median, minimum and
 * maximum of start and end in ms, and the resident memory after the first answer.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/deadline.h"
#include "frontend/rtc.h"

#define RUNS_MAX   100
#define TIMEOUT_MS 10000

struct run {
	double start_ms;
	double end_ms;
	double resident_mb;
};

static double resident_mb(pid_t pid)
{
	char path[64];
	long pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Nothing of ours outlives us. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (freopen("/dev/null", "w", stderr) && freopen("/dev/null", "w", stdout))
			execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static int first_answer(const char *socket_path)
{
	struct vfe_config cfg;
	struct vfe_session s;
	uint16_t n;
	int rc;

	vfe_config_default(&cfg, socket_path);
	cfg.timeout_ms = TIMEOUT_MS;
	cfg.connect_ms = TIMEOUT_MS;
	rc = vfe_session_init(&s, &cfg);
	if (rc == 0)
		rc = vfe_session_start(&s);
	if (rc == 0)
		rc = vfe_rtc_cfg(&s, &n);
	if (rc)
		fprintf(stderr, "dpdk-rtc-start: %s\n", vfe_error(&s));
	vfe_session_fini(&s);
	return rc;
}

static int measure(char **argv, const char *socket_path, struct run *run)
{
	uint64_t began_ns = vfe_now_ns();
	pid_t pid = start(argv);
	int status = 0;
	int rc;

	if (pid < 0) {
		fprintf(stderr, "dpdk-rtc-start: fork: %s\n", strerror(errno));
		return -1;
	}
	rc = first_answer(socket_path);
	run->start_ms = (double)(vfe_now_ns() - began_ns) / 1e6;
	run->resident_mb = resident_mb(pid);
	began_ns = vfe_now_ns();
	kill(pid, rc ? SIGKILL : SIGTERM);
	waitpid(pid, &status, 0);
	run->end_ms = (double)(vfe_now_ns() - began_ns) / 1e6;
	if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
		fprintf(stderr, "dpdk-rtc-start: %s ended with status 0x%x\n", argv[0],
			(unsigned)status);
		rc = -1;
	}
	return rc;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, double *value, int n, const char *unit)
{
	qsort(value, (size_t)n, sizeof(value[0]), by_value);
	printf("%-24s median %7.1f   min %7.1f   max %7.1f %s\n", what, value[n / 2], value[0],
		value[n - 1], unit);
}

int main(int argc, char **argv)
{
	static double value[3][RUNS_MAX];
	int runs = argc > 3 ? atoi(argv[1]) : 0;

	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr,
			"usage: dpdk-rtc-start RUNS SOCKET COMMAND [ARGUMENT...], RUNS from 1 to "
			"%d\n",
			RUNS_MAX);
		return 2;
	}
	for (int i = 0; i < runs; i++) {
		struct run run;

		if (measure(argv + 3, argv[2], &run))
			return 1;
		value[0][i] = run.start_ms;
		value[1][i] = run.end_ms;
		value[2][i] = run.resident_mb;
	}
	print("start to first answer", value[0], runs, "ms");
	print("SIGTERM to end", value[1], runs, "ms");
	print("resident memory", value[2], runs, "MB");
	return 0;
}
