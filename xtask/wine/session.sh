#!/bin/sh
# Runs a command with a Windows beside it: session.sh ROOT DIR... -- COMMAND...
#
# ROOT is a Debian with Wine in it; each DIR is made visible inside under its own path. To be started as the first process
# of mount and pid namespaces of its own (wine.rs does so): however this ends, a kill included, the kernel then takes
# every process, every mount and the Wine prefix with it. That is why nothing here cleans up.
set -eu

NPIPE_WINE_ROOT=$1
export NPIPE_WINE_ROOT
shift
# The first process of a namespace ignores what it does not catch.
trap 'exit 130' INT TERM HUP

mount -t proc proc "$NPIPE_WINE_ROOT/proc"
mount --rbind /dev "$NPIPE_WINE_ROOT/dev"
mount -t tmpfs -o mode=1777 tmpfs "$NPIPE_WINE_ROOT/tmp"
while [ "$1" != -- ]; do
    mkdir -p "$NPIPE_WINE_ROOT$1"
    mount --rbind "$1" "$NPIPE_WINE_ROOT$1"
    shift
done
shift

# One server for the whole session: a program that starts while the last server of a prefix is just leaving can die. And
# Wine's services keep what they were started with as their output for ever: a file, since the reader of a pipe would
# wait for them.
mkdir "$NPIPE_WINE_ROOT/tmp/prefix"
log=$NPIPE_WINE_ROOT/tmp/wine.log
here=$(cd "$(dirname "$0")" && pwd)
if ! { chroot "$NPIPE_WINE_ROOT" /usr/bin/env WINEPREFIX=/tmp/prefix /usr/lib/wine/wineserver64 -p &&
    (cd / && timeout 180 "$here/npipe-wine" wineboot -i); } >"$log" 2>&1; then
    cat "$log" >&2
    echo "Wine did not start" >&2
    exit 1
fi

status=0
"$@" || status=$?
exit "$status"
