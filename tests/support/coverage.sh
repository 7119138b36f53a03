#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# coverage.sh [SUITE]...: how much of lib/rtc the tests execute, by default suites unit, sim and
# daemon: a table of lines and branches for each file, and in build-coverage/missed what was not
# executed, line by line. With clang and llvm-cov. The counters are kept in mapped files (%c), so
# what a daemon did that a test killed is counted, too.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
# shellcheck source=tests/support/builds.sh
. tests/support/builds.sh

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(unit sim daemon)

# By whatever version of LLVM the compiler is of.
llvm() {
	local tool=$1 version
	shift
	version=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
	if command -v "$tool-$version" >/dev/null; then tool=$tool-$version; fi
	"$tool" "$@"
}

mkdir -p build-logs
# Atomic counters: lcores are threads. On Linux %c needs counters that can be moved into a mapping.
relocated='-mllvm -runtime-counter-relocation'
if ! LLVM_PROFILE_FILE=/dev/null build build-coverage clang --buildtype=debug -Dwerror=false \
	"-Dc_args=-fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic $relocated" \
	-Dc_link_args=-fprofile-instr-generate >build-logs/coverage-build.log 2>&1; then
	tail -n 30 build-logs/coverage-build.log
	exit 1
fi
rm -rf build-coverage/profiles
mkdir -p build-coverage/profiles
arguments=()
for suite in "${suites[@]}"; do arguments+=(--suite "$suite"); done
status=0
LLVM_PROFILE_FILE=$PWD/build-coverage/profiles/%c%p-%m.raw meson test -C build-coverage \
	--no-rebuild -t 3 "${arguments[@]}" >build-logs/coverage-tests.log 2>&1 || status=$?
tail -n 9 build-logs/coverage-tests.log

# One that its process had no time to begin is left out.
llvm llvm-profdata merge --failure-mode=all -o build-coverage/all \
	build-coverage/profiles/*.raw 2>/dev/null
objects=()
while read -r program; do
	objects+=(-object "$program")
done < <(find build-coverage/app build-coverage/tests -type f -executable ! -name '*.so*' \
	! -name '*.o' ! -name 'replay_*' | sort)
others='-ignore-filename-regex=/(app|tests|perf|frontend)/|^/usr/'
llvm llvm-cov report "${objects[@]:1}" -instr-profile=build-coverage/all \
	"$others" >build-coverage/report 2>/dev/null
llvm llvm-cov show "${objects[@]:1}" -instr-profile=build-coverage/all -show-branches=count \
	"$others" >build-coverage/shown 2>/dev/null
awk '/^\/.*:$/ { file = $0 } /^ *[0-9]+\| *0\|/ { print file $0 }' build-coverage/shown \
	>build-coverage/missed
awk '/^-/ || /^Files/ { next } /^Filename/ || NF > 10 && $8 > 0 {
	print $1, $8, $9, $10, $11, $12, $13 }' \
	build-coverage/report | sed '1s/.*/file lines missed covered branches missed covered/' |
	column -t
exit $status
