# bench/run compositor: displays on real KMS (vkms on a User-Mode Linux kernel as the host), with weston beside. Sourced by bench/run.
#
# What is measured is in bench/compositor-inside.sh, which runs in there. That kernel has one processor; the guests are the tests' user-space guests (bench/scanout.c).
#
# On a machine that has other work the kernel as a whole runs as SCHED_FIFO 1, where this user may, so that neighbours do not count as its own misses
# (BINNACLE_BENCH_FIFO=yes|no; default: when the load average is 0.7 or more). It then cannot interrupt its own processes while they compute, so sleeps in it may end late; the
# load within it ("load") is always measured without. For the load around it the kernel itself is SCHED_FIFO 2 and its processes 1, each from half a second after its start at the
# latest: so its timers interrupt them as they do on a machine, and whoever is busy beside it has the processor only when it is idle.
#
# What nobody on this machine can do anything about (it may be somebody's guest) is written down by bench/stalls beside the load around that kernel.
. "$top/bench/vms.sh"
[ -n "$(command -v weston)" ] || fail "weston is missing (tools/devbox.packages)"

if [ -n "$quick" ]; then
	short=4 long=30 load=30 starts=5
else
	short=30 long=600 load=600 starts=20
fi
long=${BINNACLE_BENCH_SECONDS:-$long} load=${BINNACLE_BENCH_SECONDS:-$load}
phases=${BINNACLE_BENCH_PHASES:-start idle animated latency layers two weston}
build_programs bench/scanout bench/watchdog bench/commit bench/stalls bench/libbusy_shim.so
export BINNACLE_BUILD=$build BN_BENCH_SHORT=$short BN_BENCH_LONG=$long BN_BENCH_LOAD=$load BN_BENCH_STARTS=$starts

fifo=${BINNACLE_BENCH_FIFO:-$(awk '{ print $1 < 0.7 ? "no" : "yes" }' /proc/loadavg)}
[ -n "$can_realtime" ] || fifo=no

# kernel_first PID…: of these, the processes of the User-Mode Linux kernel, which are its children here, go behind it.
kernel_first() {
	local pid parent stat
	for pid; do
		{ read -r -a stat <"/proc/$pid/stat"; } 2>/dev/null || continue
		{ read -r parent <"/proc/${stat[3]}/comm"; } 2>/dev/null || continue
		# Its parent's name and its real-time rank.
		[ "$parent" != linux ] || [ "${stat[39]}" = 1 ] || chrt -f -p 1 "$pid" 2>/dev/null || true
	done
}

# inside first|yes|no PHASE…: with SCHED_FIFO, the kernel before its processes or not, or without; results go to $rows.
inside() {
	local pid failed= seen=0 how=() mode=$1
	case "$mode" in
	first) how=(chrt -f 2) ;;
	yes) how=(chrt -f 1) ;;
	esac
	shift
	UML_HOST_SECONDS=$((long * 2 + load + short * 30 + 120)) taskset -c "$host_cpu" "${how[@]}" "$top/tests/uml-host/run.sh" -- bash "$top/bench/compositor-inside.sh" "$@" >"$run_dir/inside.log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		# Each by itself: one that computes as SCHED_FIFO keeps the others from dying.
		peer_pids=($(descendants "$pid") ${load_pids[@]+"${load_pids[@]}"})
		[ "$mode" != first ] || kernel_first "${peer_pids[@]}"
		tr -d '\r' <"$run_dir/inside.log" | grep -a '^· ' | tail -n +$((seen + 1)) || true
		seen=$(grep -ac '^· ' "$run_dir/inside.log" || true)
		sleep 0.5
	done
	wait "$pid" || failed=1
	peer_pids=()
	tr -d '\r' <"$run_dir/inside.log" | grep -a '^R {' | cut -c3- >>"$rows" || true
	[ -z "$failed" ] || {
		grep -av '^R ' "$run_dir/inside.log" | tail -n 15 >&2
		fail "the run on User-Mode Linux failed"
	}
}

load_pids=()
busy_start() {
	local i
	for i in $(seq 0 $((cpu_count - 1))); do
		taskset -c "$i" bash -c 'while :; do :; done' &
		load_pids+=($!)
	done
}
busy_stop() {
	local pid
	for pid in "${load_pids[@]}"; do stop_pid "$pid" || true; done
	load_pids=()
}

# What the machine withholds from a thread of the highest rank on the processor that the kernel runs on, in pieces of 5 ms and more.
stalls_start() {
	: >"$run_dir/stalls"
	[ -n "$can_realtime" ] || return 0
	"$build/bench/stalls" --over 5 >"$run_dir/stalls" &
	load_pids+=($!)
}
stalls_row() {
	[ -s "$run_dir/stalls" ] || return 0
	jq -sc --argjson cpu "$host_cpu" '[.[] | select(.cpu == $cpu and .from_ns) | (.to_ns - .from_ns) / 1e6] |
		{name: "withheld", stalls: length, ms: (add // 0), max_ms: (max // 0)}' "$run_dir/stalls" >>"$rows"
}

# The real-time priority itself, on this machine's own scheduler: the service as SCHED_FIFO 19, which it takes by itself, its safety VM's renderer and guest below that, a headless
# output in the place of the display, and busy processes on all processors.
native_load() {
	say "· this machine's own kernel, headless output, busy processes on $cpu_count processors, $load s"
	cat >"$run_dir/binnacle.ini" <<-INI
		[core]
		runtime-dir=$run_dir
		control-socket=$run_dir/control
		log=warn
		[output a]
		backend=headless
		mode=640x480@60
		[vm one]
		scanout.0=a
		class=safety
		budget=8ms
	INI
	service_start "$run_dir/binnacle.ini"
	wait_renderer
	say "· commits, the display controller being data"
	${can_realtime:+chrt -f 19} "$build/bench/commit" 36000 | grep '^{' >>"$rows"
	native_latency
	native_cpu idle "$short" --gl --still
	native_cpu animated "$short" --gl
	busy_start
	peer_pids=("${load_pids[@]}")
	native_cpu load "$load" --gl
	busy_stop
	peer_pids=()
	service_stop || true
}
wait_renderer() {
	local i
	for i in $(seq 200); do
		[ "$(vm_field one renderer_ready)" != true ] || return 0
		sleep 0.05
	done
	fail "the renderer does not come up"
}
# cpu_ns: processor time of the service: its main thread, and all of them (the scheduler's, too).
cpu_ns() { cat /proc/"$service_pid"/task/"$service_pid"/schedstat /proc/"$service_pid"/task/*/schedstat | awk '{ n += $1 } NR == 1 { first = n; n = 0 } END { printf "%d %d\n", first, n }'; }
native_cpu() { # native_cpu NAME SECONDS OPTION…
	local name=$1 seconds=$2 pid from to
	shift 2
	"$build/bench/scanout" "$run_dir/one.sock" --size 640x480 --priority 10 --seconds "$seconds" "$@" >"$run_dir/one.json" &
	pid=$!
	sleep 2
	from="$(cpu_ns) $(date +%s%N)"
	sleep $((seconds - 2))
	to="$(cpu_ns) $(date +%s%N)"
	wait "$pid" || fail "the guest failed"
	jq -nc --arg name "native-$name" --slurpfile g "$run_dir/one.json" --argjson vm "$(ctl status --json | jq '.vms[0].frame.miss_causes')" --arg w "$from $to" '($w | [scan("[0-9]+") | tonumber]) as $w |
		{name: $name, guest: $g[0], miss_causes: $vm, work_percent: (($w[3] - $w[0]) / ($w[5] - $w[2]) * 100), all_percent: (($w[4] - $w[1]) / ($w[5] - $w[2]) * 100)}' >>"$rows"
}

# Guests flush at any moment, with nothing of a display controller between: what is beyond half a refresh is the service's.
native_latency() {
	"$build/bench/scanout" "$run_dir/one.sock" --size 640x480 --priority 10 --seconds "$short" --gl --random >"$run_dir/one.json" || fail "the guest failed"
	ctl outputs --json | jq -c '.outputs[0] | {name: "native-latency", latency_p50_ms, latency_p99_ms}' >>"$rows"
}

rows=$run_dir/rows
: >"$rows"
say "vkms on User-Mode Linux, 1280x720 at 60 Hz; that kernel $([ "$fifo" = yes ] && echo "as SCHED_FIFO" || echo "without a real-time priority") on this machine, load average $(cut -d ' ' -f 1 /proc/loadavg)"
inside "$fifo" $phases
if [ -z "${BINNACLE_BENCH_PHASES:-}" ]; then
	inside no load
	say "· busy processes on all processors around that kernel$([ -z "$can_realtime" ] || echo ", which is SCHED_FIFO")"
	busy_start
	stalls_start
	inside "${can_realtime:+first}" host_load
	busy_stop
	stalls_row
	native_load
fi

jq -s --arg date "$(date -u +%FT%TZ)" --arg cpus "$cpu_count" --argjson quick "${quick:-0}" --arg fifo "$fifo" \
	-f "$top/bench/compositor.jq" "$rows" >"$top/bench/out/compositor.json"
say
jq -r '.table[] | [.figure, (.value | tostring), .aim, .met] | @tsv' "$top/bench/out/compositor.json" | awk -F'\t' 'BEGIN { printf "%-78s %22s  %-12s\n", "figure", "measured", "aim" } { printf "%-78s %22s  %-12s %s\n", $1, $2, $3, $4 }'
say
jq -r '.peer | if length > 0 then (["service work (% of a core)", "per frame (µs)", "planes", "latency p50", "p99", "doubled"] | "\(" " * 30)  \(join("  "))"), (.[] | [.name, .work_percent, .us_per_frame, .planes, .latency_p50_ms, .latency_p99_ms, .doubled] | map(. // "-" | tostring) | @tsv) else empty end' \
	"$top/bench/out/compositor.json" | awk -F'\t' 'NF == 1 { print; next } { printf "%-32s %24s %16s %8s %13s %5s %9s\n", $1, $2, $3, $4, $5, $6, $7 }'
say "written: bench/out/compositor.json"
