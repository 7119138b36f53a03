/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line between the laboratory and its runner: the second serial port, so that no fact is torn
 * by a message of the kernel. The runner sends the name of a case a line; we answer with facts,
 * `key=value` a line. One process writes at a time.
 */
#ifndef LAB_LINE_H
#define LAB_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/** @return false: there is no such port */
bool lab_line_open(void);

/** Writes a fact; a line break in the text becomes a blank. */
void lab_line_fact(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

void lab_line_vfact(const char *key, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/**
 * Waits for a line of the runner.
 *
 * @param text  without its end, cut to size
 * @return false: none came within timeout_ms
 */
bool lab_line_read(char *text, size_t size, int timeout_ms);

/** Returns when all that was written has left. */
void lab_line_drain(void);

#endif
