#!/usr/bin/env bash
# kmscube.sh [FOLDER]: kmscube in two VMs on two connectors of one card.
#
# The host is User-Mode Linux with vkms (run.sh), the VMs are QEMU's, emulated within that, with the stock kernel, virtio-gpu
# driver and Mesa of the guest image. Passes when each VM's cube is what the display hardware writes back of its connector, and
# moves; the watchdog says so, too. The pictures are left in FOLDER. It takes two minutes of a processor.
#
# Needs the guest image (tools/guest-image) and the kernel (tools/uml): without them it is skipped (77), unless
# BINNACLE_MAKE_GUESTS=1. BINNACLE_BUILD: the build folder.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=${BINNACLE_BUILD:?set by meson: the build folder}
. "$top/tools/lib/service.sh"
run_dir=/tmp/kmscube # of the kernel's own /tmp
guests=(left right)

outside() {
	if [ -z "${BINNACLE_MAKE_GUESTS:-}" ]; then
		"$top/tools/guest-image" --path >/dev/null 2>&1 || { say "no guest image: run tools/guest-image"; exit 77; }
	fi
	# The image is found out here, where it can be made. A kernel that gets too little time thinks its timer broken.
	for guest in "${guests[@]}"; do
		command=$("$top/tools/vm" "$guest" --tcg --cpus 1 --memory 512 --socket "$run_dir/$guest.sock" \
			--serial "$run_dir/console-$guest" --append no_timer_check --run kmscube --print)
		export "BN_GUEST_$guest=exec $command"
	done
	[ -z "${1:-}" ] || mkdir -p "$1"
	UML_HOST_OUT=${1:+$(realpath "$1")} UML_HOST_MEMORY=3072 UML_HOST_SECONDS=${UML_HOST_SECONDS:-840} \
		exec "$top/tests/uml-host/run.sh" --words vkms.create_default_dev=0 -- "$top/tests/uml-host/kmscube.sh" --inside "${1:+$(realpath "$1")}"
}

show_logs() { tail -n 25 "$run_dir"/console-* "$run_dir"/vm-* "$run_dir/binnacled.log" >&2 2>/dev/null || true; }
give_up() {
	show_logs
	fail "$*"
}

configuration() {
	printf '[core]\nruntime-dir=%s\ncontrol-socket=%s/control\n' "$run_dir" "$run_dir"
	for guest in "${guests[@]}"; do
		# The cube's middle never stands still.
		cat <<-INI
			[output $guest]
			backend=kms
			card=vkms
			mode=640x480@60
			[vm $guest]
			scanout.0=$guest
			[watch $guest]
			layer=$guest
			region=240,160,160,160
			change-within=10000
			good-frames=30
			on-fault=event
		INI
	done
}

watch_field() { ctl watchdog --json | jq -r --arg n "$1" ".watches[] | select(.name == \$n) | .$2"; }

# picture GUEST NAME: what is on its connector, and facts about it.
picture() {
	"$build/tests/uml-host/scanout" "$run_dir/control" "$1" "$out/$1-$2.png" || give_up "$1: its display writes nothing back"
	"$build/tests/guests/png_facts" "$out/$1-$2.png"
}

# While the guest boots its frame buffer console is shown: the cube is there when its commands reach the GPU.
wait_cube() {
	local i n=0
	for i in $(seq 2400); do
		n=$(vm_field "$1" submits)
		[ "${n:-0}" -lt 100 ] 2>/dev/null || return 0
		kill -0 "${guest_pids[0]}" 2>/dev/null && kill -0 "${guest_pids[1]}" 2>/dev/null || give_up "a guest ended"
		sleep 0.25
	done
	give_up "$1: the cube is not drawn ($n submits)"
}

check() {
	local guest one two frames errors
	guest=$1
	one=$(picture "$guest" one)
	frames=$(vm_field "$guest" frames_presented)
	wait_frames "$guest" $((frames + 10)) 60 || give_up "$guest: its display stands still"
	two=$(picture "$guest" two)
	say "$guest: $one"
	say "$guest: $two"
	for facts in "$one" "$two"; do
		jq -e '.width == 640 and .height == 480 and .lit > 0.9 and .colours >= 100' <<<"$facts" >/dev/null ||
			give_up "$guest: that is no cube"
	done
	[ "$(jq -r .hash <<<"$one")" != "$(jq -r .hash <<<"$two")" ] || give_up "$guest: the cube does not move"
	[ "$(watch_field "$guest" state)" = live ] || give_up "$guest: its watch is $(watch_field "$guest" state)"
	[ "$(vm_field "$guest" restarts)" = 0 ] || give_up "$guest: its renderer was restarted"
	errors=$(guest_errors "$run_dir/console-$guest")
	[ -z "$errors" ] || give_up "$guest: the guest logged: $errors"
}

inside() {
	out=${1:-$run_dir}
	mkdir -p "$run_dir"
	trap stop_all EXIT
	"$build/tests/uml-host/make_card" 2
	configuration >"$run_dir/binnacle.ini"
	service_start "$run_dir/binnacle.ini"
	for guest in "${guests[@]}"; do
		command=BN_GUEST_$guest
		bash -c "${!command}" >"$run_dir/vm-$guest" 2>&1 &
		guest_pids+=($!)
	done
	for guest in "${guests[@]}"; do wait_cube "$guest"; done
	# Both are there from here on.
	for guest in "${guests[@]}"; do check "$guest"; done
	say "the second cube moves after $(cut -d' ' -f1 /proc/uptime) s"
	ctl outputs
	ctl planes
	guests_stop
	service_stop || give_up "binnacled did not stop cleanly"
	say "ok: two cubes on two connectors"
}

if [ "${1:-}" = --inside ]; then inside "${2:-}"; else outside "$@"; fi
