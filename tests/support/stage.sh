#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# stage.sh STAGE RESULTS: one stage of ./check. Writes a line for each test case to the file
# RESULTS,
#
#	pass|fail|skip <tab> name <tab> reason
#
# and all it has to tell to standard output. ./check counts the lines, and bounds the time.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
stage=$1
results=$2
support=tests/support
logs=$PWD/build-logs/$stage
# shellcheck source=tests/support/builds.sh
. $support/builds.sh
# shellcheck source=tests/support/roots.sh
. $support/roots.sh

result() { printf '%s\t%s\t%s\n' "$1" "$2" "${3:-}" >>"$results"; }

# must NAME COMMAND...: a step without which the stage has nothing to test.
must() {
	local name=$1
	shift
	"$@" && return 0
	result fail "$name"
	exit 1
}

# judge NAME COMMAND...: a command that is a test by itself.
judge() {
	local name=$1
	shift
	if "$@"; then result pass "$name"; else result fail "$name"; fi
}

# run_suites DIR TIMEOUT_FACTOR SUITES [MESON ARGUMENT]...: `meson test`, each case counted.
# The tests of the daemon are declared as not parallel where a daemon polls: pollers of two tests on
# two cores would measure each other.
run_suites() {
	local dir=$1 factor=$2 suite arguments=() status=0
	local log=$dir/meson-logs/testlog.json
	for suite in $3; do arguments+=(--suite "$suite"); done
	shift 3
	rm -f "$dir"/meson-logs/testlog*.json
	meson test -C "$dir" --no-rebuild --num-processes "$(nproc)" -t "$factor" \
		--print-errorlogs "${arguments[@]}" "$@" </dev/null || status=$?
	# With a wrapper meson puts its name into the log's.
	if [ ! -e "$log" ]; then log=$dir/meson-logs/testlog-valgrind.json; fi
	if [ ! -s "$log" ]; then
		result fail "meson test ($dir) ran nothing"
	else
		python3 $support/count-tests.py "$log" ${label:+"$label"} >>"$results"
		# The status is meson's; the lines are ours. Neither may hide the other's failure.
		[ $status -eq 0 ] || grep -q '^fail' "$results" ||
			result fail "meson test: status $status"
	fi
}

# no_reports NAME GLOB: what a sanitizer or valgrind wrote to files of its own, because the tests
# keep the daemon's output, or kill it before its exit status tells.
no_reports() {
	local name=$1 file bad=0
	shift
	for file in "$@"; do
		[ -s "$file" ] || continue
		bad=1
		echo "---- $file"
		cat "$file"
	done
	if [ $bad -eq 0 ]; then result pass "$name"; else result fail "$name"; fi
}

stage_gcc() {
	must "build with gcc" build build gcc
	run_suites build 1 "unit sim style daemon"
}

stage_clang() {
	must "build with clang" build build-clang clang
	run_suites build-clang 1 "unit sim daemon" --no-suite repeated
}

stage_sanitize() {
	# Not -Werror: gcc warns of impossible paths where the sanitizers' checks hide that they are
	# so (its manual says this of -fsanitize); the plain builds have it.
	must "build with sanitizers" build build-sanitize gcc --buildtype=debugoptimized \
		-Db_sanitize=address,undefined -Dwerror=false
	# Leaks are looked for in DPDK, too: linked to what we use, it has none at our exit.
	# log_path: the tests read the daemon's stderr, and kill it; a report must survive both.
	# (What UBSan finds ends the process, so the tests notice it in any case.)
	export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1
	ASAN_OPTIONS+=:check_initialization_order=1:log_path=$logs/sanitizer
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	run_suites build-sanitize 3 "unit sim daemon"
	no_reports "no report of a sanitizer" "$logs"/sanitizer.*
}

stage_threads() {
	must "build with ThreadSanitizer" build build-threads gcc --buildtype=debugoptimized \
		-Db_sanitize=thread -Dwerror=false
	export TSAN_OPTIONS=exitcode=66:log_path=$logs/race:suppressions=$PWD/$support/threads.supp
	run_suites build-threads 3 "unit sim daemon"
	no_reports "no report of ThreadSanitizer" "$logs"/race.*
}

stage_valgrind() {
	# --fair-sched: valgrind runs one thread at a time, and a poller never gives way by itself.
	# No suppressions: neither DPDK nor the C library needs one.
	local valgrind=(valgrind --quiet --fair-sched=yes --error-exitcode=99 --leak-check=full
		--show-leak-kinds=definite
		--errors-for-leak-kinds=definite)
	# -O1: valgrind translates what it runs, and debugging at -O0 would double its work.
	must "build for valgrind" build build-valgrind gcc --buildtype=debug -Doptimization=1
	run_suites build-valgrind 10 "unit sim" --no-suite no-valgrind --wrapper "${valgrind[*]}"
	# Here valgrind runs the daemon, not the test that talks to it: see valgrind-daemon.sh.
	export DPDK_RTC=$PWD/$support/valgrind-daemon.sh
	# Registers are right at each access: behind its SIGBUS an instruction goes on (D41).
	export VALGRIND_DAEMON="${valgrind[*]} --log-file=$logs/daemon.%p"
	VALGRIND_DAEMON+=" --vex-iropt-register-updates=allregs-at-mem-access"
	VALGRIND_DAEMON+=" $PWD/build-valgrind/app/dpdk-rtc"
	run_suites build-valgrind 10 daemon --no-suite repeated --no-suite no-valgrind
	no_reports "no report of valgrind on the daemon" "$logs"/daemon.*
}

stage_lint() {
	local file findings sources=() scripts=()
	mapfile -t scripts < <(find demo check .ci tests perf -type f -not -name '*.[ch]' \
		-exec grep -lE -m1 '^#!/bin/(ba)?sh|^# shellcheck shell=' {} + | sort)
	for file in "${scripts[@]}"; do
		judge "shellcheck: $file" shellcheck -x -S warning "$file"
	done
	# Each version of the two has opinions of its own; the tree follows those of Debian 12.
	if ! clang-tidy --version | grep -q 'version 14\.'; then
		result skip "clang-tidy and cppcheck" "others than clang-tidy 14 judge otherwise"
		return
	fi
	# clang-tidy wants to know how each file is compiled, and by clang.
	must "build with clang" build build-clang clang
	mapfile -t sources < <(python3 -c '
import json, os, sys
for entry in json.load(open("build-clang/compile_commands.json")):
    print(os.path.relpath(os.path.join(entry["directory"], entry["file"])))' | sort -u)
	findings=$logs/clang-tidy
	mkdir -p "$findings"
	# One process a file, as many at a time as there are CPUs; each file is a test case.
	# shellcheck disable=SC2016 # the inner shell expands it
	printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c '
		out=$1/${2//\//_}
		if clang-tidy --quiet -p build-clang "$2" >"$out.log" 2>&1; then
			touch "$out.good"
		fi' bash "$findings"
	for file in "${sources[@]}"; do
		if [ -e "$findings/${file//\//_}.good" ]; then
			result pass "clang-tidy: $file"
		else
			result fail "clang-tidy: $file"
			cat "$findings/${file//\//_}.log"
		fi
	done
	# Without DPDK's headers: cppcheck needs no foreign declarations, and reading them takes
	# minutes.
	judge cppcheck cppcheck --quiet --std=c11 --enable=warning,performance,portability \
		--inline-suppr --library=$support/cppcheck.cfg --error-exitcode=1 \
		-j "$(nproc)" -D_GNU_SOURCE -I lib/rtc -I lib -I app -I tests/support \
		app lib perf tests
}

# The other Debian release: another DPDK, other compilers, another C library.
stage_root() {
	local release=trixie reason host root cc
	# shellcheck source=/dev/null
	host=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	if [ "$host" = trixie ]; then release=bookworm; fi
	if reason=$(root_impossible); then
		result skip "Debian $release" "$reason"
		return
	fi
	root=${DPDK_RTC_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/dpdk-rtc}/roots/$release
	mkdir -p "$(dirname "$root")"
	(
		flock -w 600 9 || exit 1
		[ -d "$root" ] || root_make "$release" "$root"
	) 9>"$root.lock" || {
		# Without the network no root: what is missing is the machine's, not ours.
		result skip "Debian $release" "debootstrap failed, see the log"
		return
	}
	must "packages in $release" root_run "$root" "$PWD" \
		$support/install.sh $support/packages.txt clang
	for cc in gcc clang; do
		if ! root_run "$root" "$PWD" bash -euc \
			". $support/builds.sh; build build-$release-$cc $cc; $cc --version"; then
			result fail "build in $release with $cc"
			continue
		fi
		root_run "$root" "$PWD" $support/stage.sh "suites:build-$release-$cc" \
			"$results" || result fail "suites in $release with $cc"
	done
	stage_proofs "$release" "$root"
}

# CBMC is in trixie and later. A line each: "ok NAME - ...", "not ok NAME - why", "skip NAME - why".
stage_proofs() {
	local release=$1 root=$2 line
	if [ "$release" = trixie ] && ! root_run "$root" "$PWD" \
		$support/install.sh tests/proofs/packages.txt; then
		result skip proofs "cbmc could not be installed in $release"
		return
	fi
	root_run "$root" "$PWD" tests/proofs/run >"$logs/proofs" 2>&1 || true
	cat "$logs/proofs"
	grep -qE '^(not )?ok |^skip ' "$logs/proofs" || result fail "proofs: nothing was proved"
	while read -r line; do
		case $line in
		"ok "*) result pass "proof: $line" ;;
		"not ok "*) result fail "proof: ${line#not ok }" ;;
		"skip "*) line=${line#skip } && result skip "${line%% - *}" "${line#* - }" ;;
		esac
	done <"$logs/proofs"
}

stage_guest() {
	local line counts
	if [ ! -x tests/guest/run ]; then
		result fail "tests/guest/run is missing"
		return
	fi
	tests/guest/run </dev/null 2>&1 | tee "$logs/output" || true
	line=$(tail -n 1 "$logs/output")
	counts='^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$'
	if ! [[ $line =~ $counts ]]; then
		result fail "tests/guest/run gave no closing line"
		return
	fi
	# A line a case: "ok NAME - ...", "not ok NAME - why", "skip NAME - reason".
	while read -r line; do
		case $line in
		"ok "*) result pass "guest: $line" ;;
		"not ok "*) result fail "guest: ${line#not ok }" ;;
		"skip "*) line=${line#skip } && result skip "guest: ${line%% - *}" "${line#* - }" ;;
		esac
	done <"$logs/output"
}

mkdir -p "$logs"
rm -rf "${logs:?}"/*
# Kills at random instants need a number of them, which one stage has: the others have a few.
[ "$stage" = gcc ] || export DPDK_RTC_KILLS=${DPDK_RTC_KILLS:-8}
case $stage in
suites:*)
	label=${stage#suites:build-}
	# One compiler's daemon is enough for the other release's DPDK and C library.
	if [[ $stage = *-clang ]]; then
		run_suites "${stage#suites:}" 1 "unit sim"
	else
		run_suites "${stage#suites:}" 1 "unit sim daemon" --no-suite repeated
	fi
	;;
gcc | clang | sanitize | threads | valgrind | lint | root | guest) "stage_$stage" ;;
*)
	echo "stage.sh: no stage $stage" >&2
	exit 2
	;;
esac
