#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# fresh-root.sh RELEASE [COMMAND...]: a new user's machine, to try a release of ours on.
#
# Debootstraps a minimal RELEASE (bookworm, trixie): no git, no sudo, no compiler, no cache. Clones
# what is committed here into it, and runs each COMMAND (a string, given to bash in the clone) as
# root, by default those of the README: ./demo --no-guest, ./demo, ./demo again, ./check. Tells the
# exit status and the seconds of each; the output is kept in build-logs/fresh-RELEASE/. The root and
# all that runs in it are gone at the end. Needs root, some 8 GB in $TMPDIR and a Debian mirror.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
# shellcheck source=tests/support/roots.sh
. tests/support/roots.sh

die() {
	echo "fresh-root.sh: $*" >&2
	exit 1
}

[ $# -ge 1 ] || die "usage: fresh-root.sh bookworm|trixie [COMMAND...]"
release=$1
shift
commands=("$@")
[ ${#commands[@]} -gt 0 ] || commands=("./demo --no-guest" ./demo ./demo ./check)
if reason=$(root_impossible); then die "$reason"; fi

logs=$PWD/build-logs/fresh-$release
mkdir -p "$logs"
top=$(mktemp -d "${TMPDIR:-/tmp}/fresh-root.XXXXXX")
# The mounts were those of a namespace that has ended: what is here is nothing but files.
trap 'rm -rf "$top"' EXIT
trap 'exit 130' INT TERM

began=$SECONDS
root_make "$release" "$top/root" >"$logs/debootstrap" 2>&1 || die "see $logs/debootstrap"
git clone --quiet --no-hardlinks . "$top/root/src/dpdk-rtc"
printf '%-28s %6d s\n' "a new $release" $((SECONDS - began))

worst=0
for ((i = 0; i < ${#commands[@]}; i++)); do
	began=$SECONDS status=0
	timeout --kill-after=30 5400 bash -c '. tests/support/roots.sh; root_run "$@"' root_run \
		"$top/root" "" bash -c "cd dpdk-rtc && ${commands[i]}" \
		>"$logs/$((i + 1))" 2>&1 </dev/null || status=$?
	printf '%-28s %6d s   exit status %d   %s\n' "${commands[i]}" $((SECONDS - began)) $status \
		"$(tail -n 1 "$logs/$((i + 1))")"
	[ $status -eq 0 ] || worst=1
done
exit $worst
