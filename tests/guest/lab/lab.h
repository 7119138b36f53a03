/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a case of the laboratory is made of. A case runs as a process of its own, as root, in a
 * guest where nobody is harmed by a clock that is set or by a leap second. It judges for itself,
 * since the clocks it judges by are the guest's; its verdict is its end: return (it passed),
 * lab_fail() or lab_skip(). Whatever it has started or set is undone by process 1 afterwards.
 */
#ifndef LAB_H
#define LAB_H

#include <stdint.h>

#define LAB_NS_PER_S  INT64_C(1000000000)
#define LAB_NS_PER_MS INT64_C(1000000)

struct lab_case {
	const char *name;
	void (*run)(void);
};

/* Ends with an entry without a name. */
extern const struct lab_case lab_cases[];

/** Ends the case: the daemon, the device or the kernel did something else than it should. */
void lab_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/** Ends the case: it cannot be run with this daemon or this kernel. */
void lab_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/** What was measured; the runner prints it behind the case's name. */
void lab_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** How long a case shall measure, from the kernel's command line (lab.seconds=N). */
unsigned int lab_seconds(unsigned int otherwise);

/* Ends the case unless the condition holds; the text says what is wrong if it does not. */
#define lab_check(condition, ...)                                                                  \
	do {                                                                                       \
		if (!(condition))                                                                  \
			lab_fail(__VA_ARGS__);                                                     \
	} while (0)

/* Until when a wait that should end soon may last, on a guest whose CPUs are emulated. */
#define LAB_PATIENCE_MS 20000
/* How long nothing must come before it counts as nothing; a step is noticed in 3 to 12 ms. */
#define LAB_SILENCE_MS  300

#endif
