/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real dpdk-rtc in a process of its own, for the tests that are its front-end. The program is
 * $DPDK_RTC, which may be a wrapper (valgrind). Every wait is bounded; a failure ends the test.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/rtc.h"
#include "child.h"

#define FIXTURE_ARGS_MAX 24

/* Generous: under valgrind on a busy machine everything takes 50 times as long. */
#define FIXTURE_WAIT_MS 30000

struct fixture {
	char dir[64];     /* a folder of our own */
	char socket[108]; /* of the first device, dir/rtc.sock */
	char store[64];   /* a folder for alarms on a tmpfs; "": none */
	const char *args[FIXTURE_ARGS_MAX + 1];
	unsigned n_args;
	bool store_chosen; /* --alarm-store is among them */
	struct child daemon;
};

/* A fresh folder, and no daemon yet. */
void fixture_init(struct fixture *f);

/* Adds an argument of the daemon; strings outlive the fixture. */
void fixture_arg(struct fixture *f, const char *arg);

/*
 * --alarm-store with a folder of our own on a tmpfs, which goes with the fixture. Without it a
 * daemon gets --alarm-store none: it must not find what another one left. false: there is no tmpfs,
 * and the reason to skip is printed.
 */
bool fixture_store(struct fixture *f);

/* --socket-path dir/rtc.sock --idle interrupt, and starts; the usual case. */
void fixture_start_one(struct fixture *f);

/* Starts the daemon with the arguments, and waits until it says that it is ready. */
void fixture_start(struct fixture *f);

/* kill -9, and reaped. Its sockets stay, as after a crash. */
void fixture_kill(struct fixture *f);

/* SIGTERM; exit status 0 is wanted, and the socket gone. */
void fixture_stop(struct fixture *f);

/* What the daemon has logged since it was started; to be freed. */
char *fixture_log(const struct fixture *f);

/* How many lines of it contain a text. */
unsigned fixture_log_lines(const struct fixture *f, const char *text);

/* Waits until there are n such lines, and wants no more of them a moment later. */
void fixture_wait_log(const struct fixture *f, const char *text, unsigned n);

/*
 * A daemon for a whole group of tests, as fixture_start_one() starts it: for
 * cmocka_run_group_tests().
 */
extern struct fixture fixture_group;
int fixture_group_setup(void **state);
int fixture_group_teardown(void **state);

/* For time that has to pass, not for something that has to happen. */
void fixture_sleep_ms(long ms);

/* Removes the folder and what is in it. */
void fixture_fini(struct fixture *f);

/* As fixture_fini(), whatever state a test has left the daemon in: for a teardown. */
void fixture_end(struct fixture *f);

/* A session with f->socket that polls, started. Its error is printed when it fails. */
void fixture_connect(struct fixture *f, struct vfe_session *s);

/* The same with a configuration. */
void fixture_connect_as(struct vfe_session *s, const struct vfe_config *cfg);

/* cfg of fixture_connect(). With FIXTURE_RING=packed in the environment, of packed rings. */
void fixture_config(const struct fixture *f, struct vfe_config *cfg);

/* The host's clocks, in ns. */
uint64_t fixture_now_ns(int clock_id);

/* Reads UTC (clock 1 of the default set) and wants it between the host's readings around it. */
void fixture_check_reading(struct vfe_session *s);

/* As above for each of the four default clocks; tai_utc_s is TAI - UTC today. */
void fixture_check_all_clocks(struct vfe_session *s);

/* TAI - UTC of /usr/share/zoneinfo/leap-seconds.list, read without the device's code. */
int fixture_tai_utc_s(void);

#endif
