#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Sees that the programs a target needs are there (tools/packages.txt is the list).
#
#   setup.sh SET...            install what is missing, or say how and fail
#   setup.sh --try SET...      the same, but never fails: for parts that can be skipped
#   setup.sh --missing SET...  print what is missing on one line; installs nothing
#   setup.sh --look            a table of everything; installs nothing; fails if a thing is missing
#
# On Debian and Ubuntu missing packages are named, then installed by apt-get, as root or by sudo.
# Elsewhere the exact command is printed for the user to run. Silent when nothing is missing.

list=$(dirname "$0")/packages.txt

# present LOOK: is it here? LOOK is the second column of the list.
present() {
    old_ifs=$IFS
    IFS=,
    # shellcheck disable=SC2086 # split at the commas, and expand globs
    set -- $1
    IFS=$old_ifs
    for one; do
        case $one in
        /*) [ -e "$one" ] && return 0 ;;
        *\?*)
            found=$("${one%%\?*}" -print-file-name="${one#*\?}" 2>/dev/null)
            case $found in /*) [ -e "$found" ] && return 0 ;; esac
            ;;
        @*) command -v "$TOOLPREFIX${one#@}" >/dev/null && return 0 ;;
        *) command -v "$one" >/dev/null && return 0 ;;
        esac
    done
    return 1
}

# rows SET...: the list's rows of these sets (of all, if none is named). Of cross compilers only
# Homebrew has a package.
rows() {
    while read -r set look packages; do
        case $set in '' | '#'*) continue ;; esac
        case $look in @*) [ -n "$TOOLPREFIX" ] && packages="- - - ${packages##* }" ;; esac
        if [ $# -eq 0 ]; then
            echo "$set $look $packages"
        else
            for wanted; do
                [ "$set" = "$wanted" ] && echo "$set $look $packages"
            done
        fi
    done <"$list"
}

# missing COLUMN SET...: what the sets lack: column 2 is what was looked for, 3 to 6 the packages.
missing() {
    column=$1
    shift
    rows "$@" | while read -r set look packages; do
        present "$look" || echo "$set $look $packages" | awk -v c="$column" '{print $c}'
    done | tr , '\n' | grep -vx -e - | sed "s/^@/$TOOLPREFIX/" | sort -u | tr '\n' ' '
}

look() {
    status=0
    # A here-document rather than a pipe: status is set in this shell.
    while read -r set look packages; do
        if present "$look"; then
            state=found
        else
            state=MISSING
            status=1
        fi
        printf '%-6s %-8s %s  (%s)\n' "$set" "$state" "$look" "${packages%% *}"
    done <<ROWS
$(rows)
ROWS
    return $status
}

fail() {
    echo "setup: $*" >&2
    exit "$failure"
}

install_with_apt() {
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif command -v sudo >/dev/null; then
        as_root=sudo
    else
        fail "missing; as root, run: apt-get install $(missing 3 "$@")"
    fi
    # One at a time: make may ask for two sets at once.
    exec 9<"$list"
    flock 9
    [ -z "$(missing 3 "$@")" ] && return
    $as_root apt-get -qq update || fail "apt-get update failed; needed: $(missing 3 "$@")"
    packages=
    for package in $(missing 3 "$@"); do # a release may not have all of them
        apt-cache -q show "$package" >/dev/null 2>&1 && packages="$packages $package"
    done
    echo "setup: installing with apt-get:$packages"
    # shellcheck disable=SC2086 # $packages is a list; $as_root may be nothing
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 install $packages >&2 || fail "apt-get could not install: $packages"
}

# advise COLUMN COMMAND SET...: print the install line and stop.
advise() {
    column=$1 command=$2
    shift 2
    packages=$(missing "$column" "$@")
    [ -n "$packages" ] || fail "no package known here for: $(missing 2 "$@")"
    fail "missing: $(missing 2 "$@"); run: $command $packages"
}

failure=1
case $1 in
--look)
    look
    exit
    ;;
--missing)
    shift
    missing 2 "$@"
    exit
    ;;
--try)
    failure=0
    shift
    ;;
esac

[ -z "$(missing 2 "$@")" ] && exit 0
if command -v apt-get >/dev/null; then
    install_with_apt "$@"
elif command -v dnf >/dev/null; then
    advise 4 "sudo dnf install" "$@"
elif command -v pacman >/dev/null; then
    advise 5 "sudo pacman -S" "$@"
elif command -v brew >/dev/null; then
    advise 6 "brew install" "$@"
fi
still=$(missing 2 "$@")
[ -z "$still" ] || fail "still missing: $still(tools/packages.txt says what each is for)"
