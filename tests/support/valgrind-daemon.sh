#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The daemon of the daemon suite under valgrind (stage.sh sets $DPDK_RTC to this): what
# $VALGRIND_DAEMON says, with the test's arguments. exec keeps the pid, so the test's signals
# reach the daemon. valgrind makes system calls of its own.
# shellcheck disable=SC2086 # it is a command with arguments
exec $VALGRIND_DAEMON "$@" --seccomp off
