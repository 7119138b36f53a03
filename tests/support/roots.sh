# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Root file systems of Debian releases, sourced by stage.sh and fresh-root.sh.
#
# A root is entered in mount and PID namespaces of its own: when the command ends, or is killed,
# the kernel ends what it left running and undoes the mounts, so nothing can be forgotten and the
# root's directory can be removed without a thought.

# Prints why roots cannot be made here; succeeds if so.
root_impossible() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "not root: debootstrap and chroot need it"
	elif ! command -v debootstrap >/dev/null; then
		echo "debootstrap is not installed"
	elif ! unshare --mount --pid --fork true 2>/dev/null; then
		echo "this machine allows no mount namespace (a container without CAP_SYS_ADMIN?)"
	elif ! root_mirror >/dev/null; then
		echo "apt's sources name no Debian mirror"
	else
		return 1
	fi
}

# The mirror of Debian that the system itself uses, by apt's own reading of its sources. Security
# and third-party archives do not have the releases, so the name of the suite decides.
root_mirror() {
	local codename uri suite
	# shellcheck disable=SC2016 # it is apt that fills these in
	local fields='$(REPO_URI) $(RELEASE)'
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
	while read -r uri suite; do
		case $suite in
		"$codename" | oldstable | stable | testing | unstable | sid)
			echo "${uri%/}"
			return 0
			;;
		esac
	done < <(apt-get indextargets --no-release-info --format "$fields" 'Created-By: Packages')
	return 1
}

# root_make RELEASE DIR: a minimal root. DIR is there completely, or not at all.
root_make() {
	local release=$1 dir=$2 mirror new
	mirror=$(root_mirror) || return 1
	mkdir -p "$(dirname "$dir")"
	new=$(mktemp -d "$(dirname "$dir")/new.XXXXXX") || return 1
	chmod 755 "$new"
	if ! debootstrap --variant=minbase "$release" "$new" "$mirror" </dev/null; then
		tail -n 20 "$new/debootstrap/debootstrap.log" 2>/dev/null
		rm -rf "$new"
		return 1
	fi
	# How this machine reaches its mirror: proxies, certificates, retries, but not its hooks.
	apt-config dump | sed -n '/^Acquire::IndexTargets/d; /^Acquire::/p' \
		>"$new/etc/apt/apt.conf.d/90host"
	mkdir -p "$new/src" "$new/usr/local/share/ca-certificates"
	cp -R /usr/local/share/ca-certificates/. "$new/usr/local/share/ca-certificates/" \
		2>/dev/null || true
	mv "$new" "$dir"
}

# root_run DIR SOURCE COMMAND...: runs a command as root of DIR, in /src; SOURCE, if it is not
# empty, is the directory to be seen there. The environment is a new login's, and the proxies'.
root_run() {
	local dir=$1 source=$2
	shift 2
	cp -L /etc/resolv.conf /etc/hosts "$dir/etc/" 2>/dev/null || true
	# In single quotes, because the inner shell is to expand it.
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child --propagation private bash -euc '
		dir=$1 source=$2
		shift 2
		# unshare within the root (our own ./check does) wants a / that is a mount point.
		mount --bind "$dir" "$dir"
		mount -t proc proc "$dir/proc"
		mount --rbind /sys "$dir/sys"
		mount --rbind /dev "$dir/dev"
		mount -t tmpfs -o mode=1777 shm "$dir/dev/shm"
		if [ -n "$source" ]; then mount --bind "$source" "$dir/src"; fi
		env=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
			LANG=C.UTF-8 TERM="${TERM:-dumb}")
		for name in CI http_proxy https_proxy no_proxy; do
			if [ -n "${!name:-}" ]; then env+=("$name=${!name}"); fi
		done
		cd "$dir"
		exec chroot "$dir" env -i "${env[@]}" sh -c "cd /src && exec \"\$@\"" sh "$@"
	' bash "$dir" "$source" "$@"
}
