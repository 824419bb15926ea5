# compositor-inside.sh PHASE…: the part of bench/run compositor that runs on the User-Mode Linux kernel with vkms. Prints a line 'R {…}' for each result.
#
# binnacled and weston take the same processor, so the order of rank is: service (it takes SCHED_FIFO 19 by itself), weston 19, guests and clients 10, the rest.
set -euo pipefail
build=$BINNACLE_BUILD
run=/run/bench
mode=1280x720
mkdir -p "$run/weston"
chmod 0700 "$run/weston"
cd "$run"
export BINNACLE_RENDERER=$build/backend-host/renderer/binnacle-renderer
service_pid=

say() { echo "· $*"; }
fail() { echo "compositor: $*" >&2; exit 1; }
ctl() { "$build/backend-host/ctl/binnaclectl" --socket "$run/control" "$@"; }
result() { echo "R $(jq -nc "$@")"; }

# ini [LINE…]: a VM on a display, and more lines.
ini() {
	cat >"$run/binnacle.ini" <<-INI
		[core]
		runtime-dir=$run
		control-socket=$run/control
		log=warn
		[output a]
		backend=kms
		${card:-card=vkms}
		mode=$mode@60
		${more_output:-}
		[vm one]
		scanout.0=a
		class=safety
		budget=6ms
	INI
	printf '%s\n' "$@" >>"$run/binnacle.ini"
}

service_up() {
	rm -f "$run/busy"
	BUSY_PROGRAM=binnacled BUSY_FILE=$run/busy LD_PRELOAD=$build/bench/libbusy_shim.so \
		"$build/backend-host/daemon/binnacled" -c "$run/binnacle.ini" 2>>"$run/log" &
	service_pid=$!
	local i
	for i in $(seq 200); do
		if [ "$(ctl status --json 2>/dev/null | jq '[.vms[].renderer_ready] | all')" = true ]; then return; fi
		kill -0 "$service_pid" 2>/dev/null || break
		sleep 0.05
	done
	cat "$run/log" >&2
	fail "binnacled does not come up"
}
service_down() {
	kill "$service_pid"
	wait "$service_pid" || true
	service_pid=
}

# guest NAME [OPTION…]: its result goes to NAME.json.
guest() {
	local name=$1
	shift
	"$build/bench/scanout" "$run/$name.sock" --size "${guest_mode:-$mode}" --priority 10 "$@" >"$run/$name.json"
}

# figures: what counts of the first output and VM, and the work of the main thread.
figures() {
	local work
	work=$(od -An -t u8 -w16 "$run/busy" | awk '{ printf "{\"work_ns\": %s, \"waits\": %s}", $1, $2 }')
	jq -nc --argjson o "$(ctl outputs --json)" --argjson s "$(ctl status --json)" --argjson w "$work" --argjson t "$(date +%s%N)" '
		($o.outputs[0] | {flips, late, commits, tests, failed, composed, composed_bytes, planes, planes_used, commit_p50_us, commit_p99_us, latency_p50_ms, latency_p99_ms}) +
		($s.vms[0] | {copy_bytes_in, copy_bytes_out, zero_copy_frames, miss_causes: .frame.miss_causes}) + $w + {t_ns: $t}'
}
# work: nanoseconds and waits of the main thread and the time, without asking it.
work() { echo "$(od -An -t u8 -w16 "$run/busy") $(date +%s%N)"; }

# measured NAME KIND SECONDS [OPTION…]: a guest runs for so long; figures before and after, its own, and the work of the main thread in the middle of it.
measured() {
	local name=$1 seconds=$2 before after from to pid
	shift 2
	before=$(figures)
	guest one --seconds "$seconds" "$@" &
	pid=$!
	sleep 2
	from=$(work)
	sleep $((seconds - 2))
	to=$(work)
	# While its layer is there still.
	after=$(figures)
	wait "$pid" || fail "the guest of '$name' failed"
	result --arg name "$name" --argjson b "$before" --argjson a "$after" --slurpfile g "$run/one.json" --arg w "$from $to" '
		($w | [scan("[0-9]+") | tonumber]) as $w | {name: $name, guest: $g[0], before: $b, after: $a,
		work_percent: (($w[3] - $w[0]) / ($w[5] - $w[2]) * 100), waits_per_second: (($w[4] - $w[1]) / ($w[5] - $w[2]) * 1e9), work_ns: ($w[3] - $w[0]), wall_ns: ($w[5] - $w[2])}'
}

busy_pids=()
load_start() {
	local i
	for i in 1 2; do
		(while :; do :; done) &
		busy_pids+=($!)
	done
}
load_stop() {
	kill "${busy_pids[@]}"
	wait "${busy_pids[@]}" 2>/dev/null || true
	busy_pids=()
}

# ---- phases ----

phase_start() {
	say "start"
	"$build/bench/scanout" --picture "$run/boot.png" ${mode/x/ }
	more_output="boot=boot.png" ini
	result --arg name start --argjson r "$("$build/bench/watchdog" start "$build/backend-host/daemon/binnacled" "$run/binnacle.ini" "$run/control" "$BN_BENCH_STARTS" 2>>"$run/log")" '{name: $name} + $r'
}

phase_idle() {
	say "a still picture"
	ini
	service_up
	measured idle "$BN_BENCH_SHORT" --gl --still
	service_down
}

phase_animated() {
	say "a picture with each refresh, GL, $BN_BENCH_LONG s"
	ini
	service_up
	measured animated "$BN_BENCH_LONG" --gl
	service_down
	say "the same with the CPU (2D)"
	ini
	service_up
	measured animated-2d "$BN_BENCH_SHORT"
	service_down
	# What of all that is system calls, which cost more here than on hardware.
	say "system calls"
	ini
	service_up
	guest one --gl --seconds 5 &
	local pid=$! calls
	sleep 3
	chrt -f 50 strace -c -p "$service_pid" -o "$run/calls" 2>/dev/null &
	local tracer=$!
	sleep 0.2
	local from
	from=$(ctl outputs --json | jq '.outputs[0].flips')
	sleep 2
	local to
	to=$(ctl outputs --json | jq '.outputs[0].flips')
	kill -INT "$tracer"
	wait "$tracer" || true
	wait "$pid" || true
	service_down
	calls=$(awk 'NR > 2 && $NF != "total" && $NF !~ /^-/ { n = ($5 ~ /^[0-9]+$/ && NF == 6) ? $4 : $4; printf "%s{\"call\": \"%s\", \"n\": %d}", sep, $NF, n; sep = ", " }' "$run/calls")
	result --argjson calls "[$calls]" --argjson frames $((to - from)) --argjson cost "$("$build/bench/scanout" --syscall-cost)" \
		'{name: "calls", frames: $frames, calls: $calls, syscall_us: $cost}'
}

phase_load() {
	say "with two busy processes, $BN_BENCH_LOAD s"
	ini
	service_up
	load_start
	measured load "$BN_BENCH_LOAD" --gl
	load_stop
	service_down
}

# The load is the other side's.
phase_host_load() {
	say "with two busy processes around this kernel, $BN_BENCH_LOAD s"
	ini
	service_up
	measured host-load "$BN_BENCH_LOAD" --gl
	service_down
}

phase_latency() {
	say "flushes at any moment"
	ini
	service_up
	measured latency-random "$BN_BENCH_SHORT" --gl --random
	service_down
	# A quarter of the pixels: vkms maps a picture that it no longer has mapped page by page, within the commit.
	say "the same at 640x480"
	mode=640x480 ini
	service_up
	guest_mode=640x480 measured latency-random-small "$BN_BENCH_SHORT" --gl --random
	service_down
	say "flushes 10 ms after the flip"
	ini
	service_up
	measured latency-think "$BN_BENCH_SHORT" --gl --think 10
	service_down
}

# The whole picture and eleven parts of it.
twelve() {
	local i
	for i in $(seq 11); do
		printf '[layer part%d]\nvm=one\noutput=a\ncrop=%d,%d,120,90\nat=%d,%d\nz=%d\n' "$i" $((i * 60)) $((i * 40)) $((20 + (i - 1) % 6 * 200)) $((100 + (i - 1) / 6 * 300)) "$i"
	done
}
phase_layers() {
	say "12 layers"
	ini "$(twelve)"
	service_up
	measured layers "$BN_BENCH_SHORT" --gl
	service_down
	say "12 layers, one of which moves"
	ini "$(twelve)"
	service_up
	guest one --gl --seconds "$BN_BENCH_SHORT" &
	local pid=$! before i
	sleep 2
	before=$(figures)
	for i in $(seq 100); do
		ctl scene set part3 at=$((400 + i)),$((100 + i)) >/dev/null
	done
	local after
	after=$(figures)
	wait "$pid"
	result --argjson b "$before" --argjson a "$after" --slurpfile g "$run/one.json" '{name: "moving", before: $b, after: $a, guest: $g[0]}'
	service_down
}

# A card with two displays of its own: /dev/dri/card1.
make_two() {
	local c=/sys/kernel/config/vkms/two i
	mountpoint -q /sys/kernel/config || mount -t configfs config /sys/kernel/config
	mkdir "$c"
	for i in 1 2; do
		mkdir "$c/planes/p$i" "$c/planes/o$i" "$c/crtcs/c$i" "$c/encoders/e$i" "$c/connectors/k$i"
		echo 1 >"$c/planes/p$i/type"
		echo 0 >"$c/planes/o$i/type"
		ln -s "$c/crtcs/c$i" "$c/planes/p$i/possible_crtcs/"
		ln -s "$c/crtcs/c$i" "$c/planes/o$i/possible_crtcs/"
		ln -s "$c/crtcs/c$i" "$c/encoders/e$i/possible_crtcs/"
		ln -s "$c/encoders/e$i" "$c/connectors/k$i/possible_encoders/"
		echo 1 >"$c/connectors/k$i/status"
	done
	echo 1 >"$c/enabled"
}
two_ini() {
	card="card=/dev/dri/card1" mode=1024x768 ini "[output b]" backend=kms card=/dev/dri/card1 mode=800x600@56 "[vm two]" scanout.0=b class=safety budget=6ms
}
two_run() { # two_run NAME VM HZ SIZE [OPTION…]: one guest
	guest_mode=$4 guest "$2" --gl --hz "$3" --seconds "$BN_BENCH_SHORT" "${@:5}"
	result --arg name "$1" --slurpfile g "$run/$2.json" --argjson s "$(ctl status --json)" --argjson o "$(ctl outputs --json)" \
		'{name: $name, guest: $g[0], miss_causes: [$s.vms[].frame.miss_causes], late: [$o.outputs[].late]}'
}
phase_two() {
	say "two displays, 60 Hz and 56 Hz"
	make_two
	two_ini
	service_up
	two_run alone-60 one 60 1024x768
	two_run alone-56 two 56.25 800x600
	# Neither counts the other one's start and end: that kernel then sets up or tears down its memory, for 70 to 80 ms at a time.
	guest_mode=800x600 guest two --gl --hz 56.25 --seconds "$BN_BENCH_SHORT" --warm 3 --linger 3 &
	local pid=$!
	two_run together-60 one 60 1024x768 --warm 3 --linger 3
	wait "$pid"
	result --slurpfile g "$run/two.json" '{name: "together-56", guest: $g[0]}'
	# The other one stands still at first, then changes its mode (a modeset) again and again.
	local i
	(for i in 1 2 3; do
		sleep 2
		ctl output b mode 640x480@60 >/dev/null || true
		sleep 1
		ctl output b mode 800x600@56 >/dev/null || true
	done) &
	pid=$!
	two_run beside-modesets one 60 1024x768
	wait "$pid"
	service_down
}

# ---- the peer ----

weston_pid=
weston_up() { # weston_up RENDERER
	printf '[core]\nidle-time=0\n[output]\nname=Virtual-1\nmode=%s@60.0\n' "$mode" >"$run/weston.ini"
	rm -f "$run/busy"
	export XDG_RUNTIME_DIR=$run/weston
	BUSY_PROGRAM=weston BUSY_FILE=$run/busy LD_PRELOAD=$build/bench/libbusy_shim.so LIBSEAT_BACKEND=noop \
		chrt -f 19 weston -c "$run/weston.ini" --backend=drm --drm-device=card0 --renderer="$1" --shell=kiosk --continue-without-input --socket=peer >"$run/weston.log" 2>&1 &
	weston_pid=$!
	export WAYLAND_DISPLAY=peer
	local i
	for i in $(seq 200); do
		[ ! -S "$run/weston/peer" ] || { sleep 0.5; return; }
		sleep 0.05
	done
	tail -n 5 "$run/weston.log" >&2
	fail "weston does not come up"
}
weston_down() {
	kill "$weston_pid"
	wait "$weston_pid" || true
}
planes_lit() {
	mountpoint -q /sys/kernel/debug || mount -t debugfs debug /sys/kernel/debug
	awk '/^plane/ { on = 1 } /^crtc\[/ { on = 0 } on && /fb=[1-9]/ { n++ } END { print n + 0 }' /sys/kernel/debug/dri/"${1:-0}"/state
}
# weston_client NAME RENDERER COMMAND…: the client's output goes to NAME.log.
weston_client() {
	local name=$1 renderer=$2 pid from to planes
	shift 2
	chrt -f 10 stdbuf -oL "$@" >"$run/$name.log" 2>&1 &
	pid=$!
	sleep 2
	from=$(work)
	local skip
	skip=$(wc -l <"$run/$name.log")
	sleep "$BN_BENCH_SHORT"
	to=$(work)
	planes=$(planes_lit)
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	# presentation-shm: a line a frame; c2p: commit to present.
	tail -n +$((skip + 1)) "$run/$name.log" | grep -oE 'c2p +[0-9]+ ms, f2p +[0-9]+ ms, p2p +[0-9]+ us' | awk '{ print $2, $8 }' >"$run/$name.times" || true
	result --arg name "$name" --arg renderer "$renderer" --arg client "$*" --arg w "$from $to" --argjson planes "$planes" --rawfile times "$run/$name.times" --arg fps "$(grep -oE '[0-9.]+ fps' "$run/$name.log" | tail -n 1)" '
		($w | [scan("[0-9]+") | tonumber]) as $w | [$times | split("\n")[] | select(. != "") | split(" ") | map(tonumber)] as $t | ($t | map(.[0]) | sort) as $c |
		{name: $name, renderer: $renderer, client: $client, planes: $planes, fps: $fps, work_percent: (($w[3] - $w[0]) / ($w[5] - $w[2]) * 100), work_ns: ($w[3] - $w[0]), wall_ns: ($w[5] - $w[2]),
		waits_per_second: (($w[4] - $w[1]) / ($w[5] - $w[2]) * 1e9), frames: ($t | length),
		c2p_p50_ms: (if ($c | length) > 0 then $c[($c | length) / 2 | floor] else null end), c2p_p99_ms: (if ($c | length) > 0 then $c[($c | length) * 0.99 | floor] else null end),
		doubled: ($t | map(.[1] / 16667 | round - 1 | if . > 0 then . else 0 end) | add)}'
}
phase_weston() {
	local renderer
	for renderer in pixman gl; do
		say "weston, $renderer"
		weston_up $renderer
		weston_client "weston-$renderer-idle" $renderer sleep 1000
		weston_client "weston-$renderer-shm" $renderer weston-presentation-shm -f
		# With pixman weston 14.0.2 crashes on this client.
		[ $renderer = pixman ] || weston_client "weston-$renderer-egl" $renderer weston-simple-egl -f
		weston_down
	done
}

for phase; do "phase_$phase"; done
