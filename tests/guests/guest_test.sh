#!/usr/bin/env bash
# guest_test.sh FRONT SCENE: boots one stock Linux guest against a real binnacled and looks at its display.
#
#   FRONT  gpu (QEMU vhost-user-gpu-pci), device (QEMU vhost-user-test-device-pci), uml (User-Mode Linux)
#   SCENE  kmscube, glmark2, cluster
#
# Passes when frames keep coming, two pictures taken apart show real and different content, the guest's console has no virtio-gpu error and the service stops
# cleanly. Needs the guest image (tools/guest-image) and, for uml, the kernel (tools/uml): without them it is skipped (77) unless BINNACLE_MAKE_GUESTS=1.
set -euo pipefail
front=$1 scene=$2
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=${BINNACLE_BUILD:?set by meson}
run_dir=$(mktemp -d "${TMPDIR:-/tmp}/binnacle-guest.XXXXXX")
. "$top/tools/lib/service.sh"
cleanup() {
	stop_all
	rm -rf "$run_dir"
}
trap cleanup EXIT

if [ -z "${BINNACLE_MAKE_GUESTS:-}" ]; then
	"$top/tools/guest-image" --path >/dev/null 2>&1 || { say "no guest image: run tools/guest-image"; exit 77; }
	[ "$front" != uml ] || "$top/tools/uml" --path >/dev/null 2>&1 || { say "no user-mode kernel: run tools/uml"; exit 77; }
fi

case $scene in
kmscube) run="kmscube" ;;
glmark2) run="glmark2-es2-drm --visual-config red=8:green=8:blue=8:alpha=0 --run-forever -b build:use-vbo=true" ;;
cluster) run="/usr/libexec/binnacle/binnacle-cluster --fps-report" ;;
*) fail "unknown scene '$scene'" ;;
esac
case $front in
uml) vm=(--guest uml) ;;
gpu | device) vm=(--guest qemu --front "$front") ;;
*) fail "unknown front end '$front'" ;;
esac

cat >"$run_dir/binnacle.ini" <<INI
[core]
runtime-dir=$run_dir
control-socket=$run_dir/control
[output display]
backend=headless
mode=640x480@60
[vm guest]
scanout.0=display
INI
service_start "$run_dir/binnacle.ini"
"$top/tools/vm" guest "${vm[@]}" --socket "$run_dir/guest.sock" --serial "$run_dir/console" --run "$run" >"$run_dir/vm.log" 2>&1 &
guest_pids+=($!)

show_logs() { tail -n 25 "$run_dir/console" "$run_dir/vm.log" "$run_dir/binnacled.log" >&2 2>/dev/null || true; }
# The console shows first (frame buffer console), so the scene itself must have run: its commands reach the GPU.
wait_submits() {
	local i n
	for i in $(seq 480); do
		n=$(vm_field guest submits)
		[ "${n:-0}" -ge 60 ] 2>/dev/null && return 0
		kill -0 "${guest_pids[0]}" 2>/dev/null || return 1
		sleep 0.25
	done
	return 1
}
wait_submits || { show_logs; fail "the scene submits nothing to the GPU"; }
frames=$(vm_field guest frames_presented)
wait_frames guest $((frames + 30)) 60 || { show_logs; fail "frames stopped at $(vm_field guest frames_presented)"; }

shot() { ctl screenshot display "$run_dir/$1.png" && "$build/tests/guests/png_facts" "$run_dir/$1.png"; }
one=$(shot one)
frames=$(vm_field guest frames_presented)
wait_frames guest $((frames + 10)) 60 || { show_logs; fail "the display stood still"; }
two=$(shot two)
say "$one"
say "$two"
for facts in "$one" "$two"; do
	jq -e '.width == 640 and .height == 480 and .lit > 0.02 and .colours >= 8' <<<"$facts" >/dev/null || { show_logs; fail "blank or wrong picture: $facts"; }
done
[ "$(jq -r .hash <<<"$one")" != "$(jq -r .hash <<<"$two")" ] || fail "the picture does not change"
[ "$(vm_field guest restarts)" = 0 ] || { show_logs; fail "the renderer was restarted"; }
errors=$(guest_errors "$run_dir/console")
[ -z "$errors" ] || fail "the guest logged: $errors"
guests_stop
service_stop || { show_logs; fail "binnacled did not stop cleanly"; }
say "ok: $front $scene"
