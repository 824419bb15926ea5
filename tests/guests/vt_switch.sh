#!/usr/bin/env bash
# vt_switch.sh [FOLDER]: the kernel's virtual terminals are switched under a binnacled that drives a display.
#
# The host is a QEMU machine with the stock kernel of the guest image, a display (bochs: one plane, no vblank of its own) and the
# console's terminals on it; in it vt_inside.sh starts the service, as a seat's session and without a seat, and switches. Passes when
# the machine's display shows the guest's picture, the terminal and the guest's picture again with a seat, and the guest's all the
# time without. The pictures are left in FOLDER.
#
# Needs the guest image (tools/guest-image): without it, it is skipped (77) unless BINNACLE_MAKE_GUESTS=1. BINNACLE_BUILD: the build folder.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=${BINNACLE_BUILD:?set by meson: the build folder}
run_dir=$(mktemp -d "${TMPDIR:-/tmp}/binnacle-vt.XXXXXX")
pictures=${1:-$run_dir}
. "$top/tools/lib/service.sh"
cleanup() {
	guests_stop
	rm -rf "$run_dir"
}
trap cleanup EXIT

if [ -z "${BINNACLE_MAKE_GUESTS:-}" ]; then
	"$top/tools/guest-image" --path >/dev/null 2>&1 || { say "no guest image: run tools/guest-image"; exit 77; }
fi
mkdir -p "$pictures"

# What runs in it, on a disk of its own, with every library that it needs but the C library's, which is the machine's.
make_disk() {
	local tree=$run_dir/tree program
	mkdir -p "$tree"
	cp "$top/tests/guests/vt_inside.sh" "$tree/"
	for program in backend-host/{daemon/binnacled,renderer/binnacle-renderer} backend-host/ctl/binnaclectl tests/guests/moving; do
		cp "$build/$program" "$tree/"
		ldd "$build/$program"
	done | awk '$2 == "=>" && $1 !~ /^lib(c|m|dl|rt|pthread|resolv)\.so/ { print $3 }' | sort -u | xargs cp -L -t "$tree"
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$tree" "$run_dir/disk" "$(($(du -sm --apparent-size "$tree" | cut -f1) * 11 / 10 + 16))M"
}

show_logs() { tail -n 40 "$run_dir/console" "$run_dir/vm.log" >&2 2>/dev/null || true; }
give_up() {
	show_logs
	fail "$*"
}

# wait_mark NAME: until the machine says that it is there.
wait_mark() {
	local i
	for i in $(seq 1200); do
		! grep -aq "^VT: $1"$'\r*$' "$run_dir/console" 2>/dev/null || return 0
		! grep -aq '^VT: failed' "$run_dir/console" 2>/dev/null || give_up "in there: $(grep -a '^VT: failed' "$run_dir/console")"
		kill -0 "${guest_pids[0]}" 2>/dev/null || give_up "the machine ended before '$1'"
		sleep 0.1
	done
	give_up "'$1' does not come"
}

# shot NAME: what the machine's display shows, as facts about the picture.
shot() {
	local i file=$pictures/$1.png
	rm -f "$file"
	echo "screendump $file -f png" >"$run_dir/monitor.in"
	for i in $(seq 100); do
		! "$build/tests/guests/png_facts" "$file" 2>/dev/null || return 0
		sleep 0.1
	done
	give_up "$1: no picture of the display"
}

# expect NAME guest|terminal: the guest fills the display with one colour, another with each frame; the terminal has a few words.
expect() {
	local one two i
	wait_mark "$1"
	one=$(shot "$1")
	for i in $(seq 50); do
		sleep 0.1
		two=$(shot "$1-later")
		[ "$2" = guest ] && [ "$(jq -r .hash <<<"$one")" = "$(jq -r .hash <<<"$two")" ] || break
	done
	say "$1: $one"
	case "$2" in
	guest)
		jq -se '.[0].lit == 1 and .[1].lit == 1 and .[0].hash != .[1].hash' <<<"$one $two" >/dev/null ||
			give_up "$1: that is not the guest's moving picture: $one, then $two"
		;;
	terminal)
		jq -se '.[0].lit < 0.1 and .[0].lit > 0 and .[0].hash == .[1].hash' <<<"$one $two" >/dev/null ||
			give_up "$1: that is not the terminal: $one, then $two"
		;;
	esac
	echo go >"$run_dir/go.in"
}

make_disk
mkfifo "$run_dir"/{monitor,go}.{in,out}
# Nobody waits for somebody to read or write.
exec 5<>"$run_dir/monitor.in" 6<>"$run_dir/monitor.out" 7<>"$run_dir/go.in" 8<>"$run_dir/go.out"
"$top/tools/vm" vt --tcg --cpus 1 --memory 512 --front none --wait none --poweroff --serial "$run_dir/console" \
	--append "no_timer_check vt.global_cursor_default=0" \
	--run "mkdir /run/b && mount -o ro /dev/vdb /run/b && bash /run/b/vt_inside.sh" -- \
	-device VGA,xres=640,yres=480 \
	-drive "if=none,id=more,file=$run_dir/disk,format=raw,readonly=on" -device virtio-blk-pci,drive=more \
	-chardev "pipe,id=go,path=$run_dir/go" -serial chardev:go \
	-chardev "pipe,id=monitor,path=$run_dir/monitor" -mon chardev=monitor,mode=readline >"$run_dir/vm.log" 2>&1 &
guest_pids+=($!)
for round in 1 2; do
	expect "seat-$round" guest
	expect "seat-$round-away" terminal
done
expect seat-back guest
expect alone guest
expect alone-away guest
wait_mark "done"
grep -a '^VT: flips' "$run_dir/console" | tr -d '\r'
say "ok: terminals come and go"
