#!/usr/bin/env bash
# wayland_output.sh PROGRAM RENDERER [GLOBALS]
#
# Starts a headless weston with that renderer (gl or pixman) and PROGRAM (wayland_output.c) as its client,
# which does without the GLOBALS (comma-separated). 77 (skipped) where there is no weston. With BN_TEST_DMABUF the
# pictures are dma-bufs, and weston must show the very ones that it was given.
set -euo pipefail

program=$(realpath "$1") renderer=$2
[ -z "${3:-}" ] || export BN_WAYLAND_WITHOUT=$3
command -v weston >/dev/null && command -v weston-screenshooter >/dev/null || exit 77

dir=$(mktemp -d)
chmod 700 "$dir"
weston=
finish() {
	[ -z "$weston" ] || kill -KILL "$weston" 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT

# Nobody there: both must be errors that say so.
export XDG_RUNTIME_DIR=$dir
unset WAYLAND_DISPLAY WAYLAND_SOCKET
refused() { # refused TEXT: it ends with an error that has TEXT
	if ! "$program" $$ >"$dir/error" 2>&1 && grep -q "$1" "$dir/error"; then return; fi
	echo "without a compositor '$1' was to be said, not:"
	cat "$dir/error"
	exit 1
}
refused 'WAYLAND_DISPLAY is not set'
WAYLAND_DISPLAY=nobody refused "no Wayland compositor answers at 'nobody'"

# The kiosk shell centres the window on its 800 by 600, without panels or animations. The debug protocol
# is what lets the screenshooter in.
weston --backend=headless --renderer="$renderer" --no-config --shell=kiosk --socket=binnacle-test \
	--width=800 --height=600 --idle-time=0 --debug >"$dir/weston.log" 2>&1 &
weston=$!
disown
for _ in $(seq 200); do
	[ ! -S "$dir/binnacle-test" ] || break
	kill -0 "$weston" || { cat "$dir/weston.log"; exit 1; }
	sleep 0.05
done

cd "$dir"
export WAYLAND_DISPLAY=binnacle-test
[ -z "${BN_TEST_DMABUF:-}" ] || export WAYLAND_DEBUG=client
if ! "$program" "$weston" 2>"$dir/error"; then
	{ grep -v '^\[' "$dir/error" || tail -n 50 "$dir/error"; cat "$dir/weston.log"; }
	exit 1
fi
grep -v '^\[' "$dir/error"
# Each dma-buf became a buffer of weston's, and each of those was shown.
imports() {
	awk '{ sub(/^\[[^]]*\] */, ""); sub(/^\{[^}]*\} */, "") }
		/^-> zwp_linux_buffer_params_v1.*\.create\(/ { asked++ }
		/^zwp_linux_buffer_params_v1.*\.failed/ { failed++ }
		/^zwp_linux_buffer_params_v1.*\.created/ { match($0, /wl_buffer[#@][0-9]+/); id = substr($0, RSTART, RLENGTH); made++; waits[id] = 1 }
		/^-> wl_surface.*\.attach\(/ { match($0, /wl_buffer[#@][0-9]+/); id = substr($0, RSTART, RLENGTH); if (waits[id]) { shown++; waits[id] = 0 } }
		END {
			printf "dma-bufs: %d asked for, %d imported, %d failed, %d shown\n", asked, made, failed, shown
			exit !(made >= 7 && made == asked && shown == made && !failed)
		}' "$dir/error"
}
[ -z "${BN_TEST_DMABUF:-}" ] || imports
if grep -i 'protocol error' "$dir/error" "$dir/weston.log"; then exit 1; fi
grep -q 'output test: no longer shown on Wayland' "$dir/error" || { echo "the loss was not logged"; exit 1; }
