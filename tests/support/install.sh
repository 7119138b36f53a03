#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# install.sh LIST|PACKAGE...: sees to it that Debian packages are installed.
#
# A LIST is a file (an argument with a slash): one package a line, and a comment from # on. Only
# what dpkg calls missing is asked of apt, and the package lists are refreshed only then: where
# nothing is missing neither root nor a network is needed. Who is not root needs sudo; where there
# is none, one line says what to run, and the exit status is 1.
set -euo pipefail

die() {
	echo "install.sh: $*" >&2
	exit 1
}

wanted=()
for arg in "$@"; do
	case $arg in
	*/*)
		[ -r "$arg" ] || die "cannot read $arg"
		while read -r package _; do
			[ -z "$package" ] || wanted+=("$package")
		done < <(sed 's/#.*//' "$arg")
		;;
	*) wanted+=("$arg") ;;
	esac
done
[ ${#wanted[@]} -gt 0 ] || die "no package was named"
if ! command -v dpkg-query apt-get >/dev/null; then
	die "not a Debian system; to be installed by other means: ${wanted[*]}"
fi

missing=()
for package in "${wanted[@]}"; do
	# Quiet: dpkg-query complains about each package that it has never heard of.
	status=$(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null) || true
	[[ $status = installed* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	root=(env)
elif ! command -v sudo >/dev/null; then
	die "not root, no sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
elif [ -t 0 ]; then
	root=(sudo env)
else
	root=(sudo -n env) # nobody is there to type a password
fi

# Another apt may be at work (a new machine's automatic upgrades): wait for its lock, not for ever.
apt=("${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300
	-o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
echo "missing: ${missing[*]}"
"${apt[@]}" update || die "apt-get update failed"
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null ||
	die "failed; by hand: apt-get install --no-install-recommends ${missing[*]}"
