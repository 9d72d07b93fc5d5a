#!/bin/sh
# SPDX-License-Identifier: MIT
#
# debs.sh, sourced by the scripts called fetch.sh: Debian's packages without installing them.
#
# Nothing here needs a privilege: apt works on lists and a cache of its own below $debs, from the
# package sources this system is set up with, and dpkg-deb only unpacks. All that is fetched stays
# in $debs, so a machine without a network or without apt can be served by hand.
#
# The script sets $debs, the directory, before it sources this, and defines `fail MESSAGE`, which
# ends it and says what can be done. "cannot be had" in the message says that this machine is to
# blame and not the script; tests then are skipped (tests/harness/suite.py).

mkdir -p "$debs/apt/lists/partial" "$debs/apt/cache/archives/partial"
debs=$(cd "$debs" && pwd)
exec 9>"$debs/lock" # make may run two of the scripts at once
flock 9

# deb PATTERN: the newest package here whose name is like that; nothing if there is none
deb() {
    find "$debs" -maxdepth 1 -name "$1_*.deb" | sort -V | tail -n 1
}

apt() {
    program=$1
    shift
    "$program" -qq -o Dir::State::Lists="$debs/apt/lists" -o Dir::Cache="$debs/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

update_lists() {
    command -v apt-get >/dev/null || fail "cannot be had: there is no apt-get here"
    echo "fetch: asking for package lists"
    apt apt-get update >&2 || fail "cannot be had: apt-get update failed"
}

# depends REGEX PACKAGE...: what these depend on, as far as its name is like that
depends() {
    pattern=$1
    shift
    apt apt-cache depends "$@" 2>/dev/null | sed -n "s/^ *Depends: \($pattern\)\$/\1/p" | sort -u
}

# closure REGEX PACKAGE...: these, and all they depend on, as far as its name is like that
closure() {
    wanted=$1
    shift
    all=
    while [ $# -gt 0 ]; do
        all="$all $*"
        # shellcheck disable=SC2046 # a list
        set -- $(depends "$wanted" "$@" | while read -r package; do
            case " $all " in *" $package "*) ;; *) echo "$package" ;; esac
        done)
    done
    echo "$all"
}

# download PACKAGE...: the newest of each, into $debs; none is left there half written
download() {
    echo "fetch: fetching" "$@"
    rm -rf "$debs/new"
    mkdir "$debs/new"
    find "$debs" -maxdepth 1 -name '*.deb' -exec ln {} "$debs/new" \;
    (cd "$debs/new" && apt apt-get download "$@" >&2) || fail "cannot be had: apt-get download failed"
    find "$debs/new" -name '*.deb' -links 1 -exec mv {} "$debs" \;
    rm -r "$debs/new"
}

# unpack DEB DIRECTORY [MEMBER...]
unpack() {
    package=$1 into=$2
    shift 2
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$into" "$@" ||
        fail "$package cannot be unpacked; remove it"
}
