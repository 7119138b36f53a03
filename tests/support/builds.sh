# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Builds, sourced by demo and by stage.sh. The current directory is the source tree.

# build DIR CC [MESON OPTION]...: configures what is not configured as asked, and builds.
# A directory remembers what it was configured with, so that a change of options, of the compiler
# or of DPDK begins anew instead of failing in some later, stranger way.
build() {
	local dir=$1 cc=$2 asked
	shift 2
	asked="$cc $* | $("$cc" --version | head -n 1) | DPDK $(pkg-config --modversion libdpdk)"
	if [ ! -e "$dir/build.ninja" ] ||
		[ "$(cat "$dir/configured-as" 2>/dev/null)" != "$asked" ]; then
		rm -rf "$dir"
		# With CFLAGS of whoever calls it would be another build than the one we test.
		env -u CFLAGS -u CPPFLAGS -u LDFLAGS CC="$cc" meson setup "$dir" "$@" || return 1
		echo "$asked" >"$dir/configured-as"
	fi
	ninja --quiet -C "$dir"
}
