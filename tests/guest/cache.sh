# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The cache of tests/guest, sourced by fetch-qemu and build-guest: what is downloaded or built is an
# "entry", a directory that is complete or absent. An entry is made in a directory beside its final
# place and renamed when done; its SHA256SUMS is the stamp, written last and checked at every reuse.
#
# Packages come from an apt of our own: its lists, sources and archives are in the cache, so the
# system's apt is neither changed nor locked. It shares with the system only what the network asks
# for (the Acquire:: settings: proxies, certificates, retries) and the mirror. Signatures are
# checked as ever: archive keys -> Release -> Packages -> the hash of each .deb.

# Exit status for "cannot be had here" (no network, no mirror); the caller makes it a skip.
readonly EXIT_UNAVAILABLE=75
# The newest Debian suite with backports: it has the QEMU and the kernels that know the device.
readonly SUITE=trixie
# How long an answer to "which version is the newest?" is believed.
readonly FRESH_MINUTES=1440
# How long the package lists are: before the mirror can have let go of what they name.
readonly LISTS_MINUTES=30

CACHE="${DPDK_RTC_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/dpdk-rtc}"
me=$(basename "$0")

say() { echo "$me: $*" >&2; }
die() { say "$*"; exit 1; }
unavailable() { say "$*"; exit "$EXIT_UNAVAILABLE"; }

# One process at a time works on the cache; a second one waits, and then finds the entry made.
cache_lock() {
	mkdir -p "$CACHE" || die "cannot make $CACHE"
	exec 9>"$CACHE/lock"
	flock -w 900 9 || die "another process has held $CACHE/lock for 15 minutes"
	# What an interrupted run left; nobody else is at work, since we hold the lock.
	rm -rf "$CACHE"/tmp.*
}

# Prints a new directory to build an entry in, on the same file system as its final place.
entry_begin() { mktemp -d "$CACHE/tmp.XXXXXX"; }

# entry_commit BUILT FINAL: stamps what was built and gives it its name.
entry_commit() {
	local built=$1 final=$2 sums
	sums=$(cd "$built" &&
		find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum) ||
		die "cannot checksum $built"
	printf '%s\n' "$sums" >"$built/SHA256SUMS"
	chmod 755 "$built"
	mkdir -p "$(dirname "$final")"
	rm -rf "$final"
	mv "$built" "$final"
}

# entry_good DIR: complete, and still what was stamped?
entry_good() {
	[ -s "$1/SHA256SUMS" ] || return 1
	(cd "$1" && sha256sum --quiet --check SHA256SUMS) >&2 && return 0
	say "$1 is damaged; it is made again"
	return 1
}

# is_recent FILE MINUTES: was it made less than so long ago, and nobody wants to look again?
is_recent() {
	[ -z "${DPDK_RTC_REFRESH:-}" ] && [ -n "$(find "$1" -mmin "-$2" 2>/dev/null)" ]
}

# The mirror of Debian the system itself uses, with apt's own reading of sources.list, *.list and
# *.sources. Security and third-party archives do not have our suite, so the release's name decides.
mirror() {
	local codename='' uri release
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016  # apt's names, not ours
	while read -r uri release; do
		case $release in
		"$SUITE" | "$codename" | oldstable | stable | testing | unstable | sid)
			echo "${uri%/}"
			return 0
			;;
		esac
	done < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages')
	return 1
}

# Makes our apt ready; sets APT_CONFIG, so that every apt-* below is ours.
apt_begin() {
	local dir=$CACHE/apt uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	uri=$(mirror) || unavailable "apt's sources name no Debian mirror"
	[ -r "$keyring" ] || unavailable "$keyring is missing (package debian-archive-keyring)"
	mkdir -p "$dir"/{lists/partial,archives/partial,empty,state}
	: >"$dir/status" # no package is installed, so every dependency is downloaded
	printf 'deb [signed-by=%s] %s %s main\n' \
		"$keyring" "$uri" "$SUITE" "$keyring" "$uri" "$SUITE-backports" >"$dir/sources.list"
	{
		apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets'
		cat <<-END
			#clear Acquire::Languages;
			Acquire::Languages "none";
			Acquire::AllowInsecureRepositories "false";
			Acquire::AllowWeakRepositories "false";
			Acquire::Retries "3";
			Dir::Etc::main "/dev/null";
			Dir::Etc::parts "$dir/empty";
			Dir::Etc::sourcelist "$dir/sources.list";
			Dir::Etc::sourceparts "$dir/empty";
			Dir::Etc::preferences "/dev/null";
			Dir::Etc::preferencesparts "$dir/empty";
			Dir::State "$dir/state";
			Dir::State::lists "$dir/lists";
			Dir::State::status "$dir/status";
			Dir::State::extended_states "$dir/extended_states";
			Dir::Cache "$dir";
			Dir::Cache::archives "$dir/archives";
			Dir::Log "$dir";
			// The guests' processors: the kernels are of both.
			APT::Architectures { "amd64"; "arm64"; };
			APT::Default-Release "$SUITE-backports";
			APT::Install-Recommends "false";
			APT::Update::Error-Mode "any";
			// The cache may be in a home directory that apt's own user cannot enter.
			APT::Sandbox::User "$(id -un)";
		END
	} >"$dir/apt.conf"
	export APT_CONFIG=$dir/apt.conf
	if is_recent "$dir/updated" "$LISTS_MINUTES"; then return 0; fi
	say "reading the package lists of $SUITE and $SUITE-backports from $uri"
	rm -f "$dir/updated"
	apt-get -qq update >&2 || return 1
	touch "$dir/updated"
}

# apt_fetch DIR PACKAGE...: the packages themselves into DIR, verified.
apt_fetch() {
	local dir=$1
	shift
	mkdir -p "$dir"
	(cd "$dir" && apt-get -qq download "$@") >&2
}

# apt_fetch_closure DIR PACKAGE...: with all they depend on.
apt_fetch_closure() {
	local dir=$1
	shift
	mkdir -p "$dir/partial"
	apt-get -qq -y --download-only -o "Dir::Cache::archives=$dir" install "$@" >&2
}

# unpack DIR INTO: every .deb of DIR.
unpack() {
	local deb
	mkdir -p "$2"
	for deb in "$1"/*.deb; do
		dpkg -x "$deb" "$2" || return 1
	done
}

# newest_entry KIND: the entry of that kind that was asked for last, if it is good.
newest_entry() {
	local name
	name=$(cat "$CACHE/$1/current" 2>/dev/null) || return 1
	[ -n "$name" ] && entry_good "$CACHE/$1/$name" || return 1
	touch "$CACHE/$1/$name"
	echo "$CACHE/$1/$name"
}

# is_fresh KIND SCRIPTS: was the newest version looked up less than a day ago, and the entry made by
# these very scripts? (An entry's name ends with their hash.)
is_fresh() {
	is_recent "$CACHE/$1/current" "$FRESH_MINUTES" &&
		grep -q -e "-$2\$" "$CACHE/$1/current"
}

# hash_of FILE...: twelve digits that change when one of the files does.
hash_of() { cat "$@" | sha256sum | cut -c1-12; }

# make_current KIND NAME: remembers the answer, and lets go of entries that nobody asked for since a
# day (a run beside this one, or of another working copy, may still use its own).
make_current() {
	local old
	touch "$CACHE/$1/$2"
	find "$CACHE/$1" -mindepth 1 -maxdepth 1 -type d -mmin +$FRESH_MINUTES ! -name "$2" |
		while read -r old; do rm -rf "$old"; done
	echo "$2" >"$CACHE/$1/current.new"
	mv "$CACHE/$1/current.new" "$CACHE/$1/current"
}
