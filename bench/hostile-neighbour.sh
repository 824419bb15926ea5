# bench/run hostile-neighbour: a cluster at 60 Hz beside two saturating VMs and a hostile one, under each policy. Sourced by bench/run.
#
# One serialised rasteriser: all renderers on one processor. The other has the guests and the service: there the cluster's guest goes before the
# other guests (SCHED_FIFO 10), as a hypervisor would do it, and the service before that (its threads take SCHED_FIFO 19 and 20 by themselves);
# guest processor time is not the GPU scheduler's business.
#
#   alone      the cluster without neighbours          none       the kernel slices the processor
#   fifo       one batch at a time, first come first served: a GPU without a scheduler
#   priority   one batch at a time, the safety VM first
#   reserve    Binnacle
#
# Beside each run a program that only sleeps, with the highest real-time priority on each processor, says when the machine itself ran nobody
# (bench/stalls.c). Each missed refresh is put beside that: a frame that the machine withheld at least as much time from as it was late is
# counted apart, and stays counted as missed.
#
# BINNACLE_BENCH_KEEP names a folder for all that was seen, with a trace of each miss.
# BINNACLE_BENCH_SECONDS overrides 600 s (--quick: 60 s) for each policy, BINNACLE_BENCH_POLICIES which ones are run.
. "$top/bench/vms.sh"
"$top/tools/uml"

seconds=${BINNACLE_BENCH_SECONDS:-$([ -n "$quick" ] && echo 60 || echo 600)}
policies=${BINNACLE_BENCH_POLICIES:-alone none fifo priority reserve}
warm_up=8
cluster_mode=1280x480
neighbour_mode=800x480
libexec=/usr/libexec/binnacle
declare -A program=(
	[cluster]="$libexec/binnacle-cluster --fps-report"
	[cockpit]="$libexec/binnacle-saturate --display --load fragment --amount 40 --draws 24"
	[rear]="$libexec/binnacle-saturate --display --load vertex --amount 60 --draws 24"
	[hostile]="$libexec/binnacle-hostile --turn 5 --strength 20 --seconds 60"
)

write_ini() { # write_ini POLICY
	cat <<INI
[core]
runtime-dir=$run_dir
control-socket=$run_dir/control
log=warn
policy=$1
realtime=auto
gpu-cpus=$gpu_cpu
[output cluster]
backend=headless
mode=$cluster_mode@60
[output cockpit]
backend=headless
mode=$neighbour_mode@60
[output rear]
backend=headless
mode=$neighbour_mode@60
[vm cluster]
scanout.0=cluster
class=safety
budget=9ms
[vm cockpit]
scanout.0=cockpit
class=interactive
share=200
[vm rear]
scanout.0=rear
class=interactive
share=100
[vm hostile]
class=background
share=50
INI
}

boot() { # boot VM [OPTION…]
	local name=$1
	shift
	$first "$top/tools/vm" "$name" --guest uml --cpu "$host_cpu" --memory 512 --socket "$run_dir/$name.sock" --serial "$run_dir/$name.console" \
		--run "${program[$name]}" "$@" >"$run_dir/$name.vm.log" 2>&1 &
	guest_pids+=($!)
}

# wait_work VM: until its program has the GPU work.
wait_work() {
	local i n
	for i in $(seq 240); do
		n=$(vm_field "$1" submits)
		[ "${n:-0}" -ge 60 ] 2>/dev/null && return 0
		sleep 0.25
	done
	tail -n 15 "$run_dir/$1.console" "$run_dir/$1.vm.log" "$run_dir/binnacled.log" >&2
	fail "$1 does not draw"
}

# measure POLICY: one run; its samples go to $run_dir/POLICY.samples, a status each.
measure() {
	local policy=$1 kind=$1 vm end
	[ "$policy" != alone ] || kind=reserve
	write_ini "$kind" >"$run_dir/binnacle.ini"
	service_up "$run_dir/binnacle.ini"
	boot cluster
	wait_work cluster
	if [ "$policy" != alone ]; then
		for vm in cockpit rear; do boot $vm; done
		boot hostile --loop --wait render
		for vm in cockpit rear hostile; do wait_work $vm; done
	fi
	prefer "${guest_pids[0]}"
	sleep $warm_up
	local stalls_pid='' events_pid=''
	: >"$run_dir/$policy.stalls"
	if [ -n "$can_realtime" ]; then
		"$build/bench/stalls" --over 1 >"$run_dir/$policy.stalls" &
		stalls_pid=$!
	fi
	ctl events --follow --json >"$run_dir/$policy.events" 2>/dev/null &
	events_pid=$!
	if [ -n "${BINNACLE_BENCH_KEEP:-}" ]; then
		mkdir -p "$BINNACLE_BENCH_KEEP"
		keep_misses "$policy" &
	fi
	ctl reset >/dev/null
	local begun_ns
	begun_ns=$(awk '{ printf "%.0f", $1 * 1e9 }' /proc/uptime)
	local samples=$run_dir/$policy.samples
	# Twice in the time that the last 60 frames of a VM take at most, so that the list of frame times has no hole.
	end=$(($(date +%s%N) + seconds * 1000000000))
	: >"$samples"
	while [ "$(date +%s%N)" -lt "$end" ]; do
		ctl status --json | jq -c --arg t "$(date +%s%N)" '. + {t: ($t | tonumber)}' >>"$samples"
		sleep 0.6
	done
	ctl trace --last --seconds 5 "$run_dir/$policy.trace" >/dev/null 2>&1 || true
	kill "$events_pid" 2>/dev/null || true
	wait "$events_pid" 2>/dev/null || true
	if [ -n "$stalls_pid" ]; then
		kill "$stalls_pid" 2>/dev/null || true
		wait "$stalls_pid" || true
	fi
	explain "$begun_ns" "$run_dir/$policy.stalls" "$run_dir/$policy.events" >"$run_dir/$policy.explained"
	if [ -n "${BINNACLE_BENCH_KEEP:-}" ]; then
		mkdir -p "$BINNACLE_BENCH_KEEP"
		cp "$run_dir"/"$policy".* "$run_dir"/*.console "$run_dir/binnacled.log" "$BINNACLE_BENCH_KEEP/"
	fi
	for vm in "${guest_pids[@]}"; do
		kill -0 "$vm" 2>/dev/null || say "  a guest ended early: $(tail -n 1 "$run_dir"/*.console | tr -d '\r' | tail -n 4)" >&2
	done
	guests_stop
	service_stop || say "  binnacled did not stop cleanly" >&2
}

# keep_misses POLICY: for whoever looks into it, the second before each of the first 40 misses of the cluster as a trace.
keep_misses() {
	local line n=0
	ctl events --follow --json 2>/dev/null | while read -r line; do
		case "$line" in
		*'"cluster"'*'"missed"'*)
			n=$((n + 1))
			[ "$n" -gt 40 ] || ctl trace --last --seconds 1 "$BINNACLE_BENCH_KEEP/$1.miss.$n.json" >/dev/null
			;;
		esac
	done
}

# explain BEGUN_NS STALLS EVENTS: the stalls of the machine, and the missed frames beside them, as one object. A frame's way ends with its event.
explain() {
	jq -nc --argjson begun "$1" --slurpfile stalls "$2" --slurpfile events "$3" '
		[$stalls[] | select(.from_ns and .to_ns >= $begun)] as $s |
		[$events[] | (.events // [.event // .])[] | select(.kind == "missed" and .vm == "cluster" and .time_ns >= $begun) |
			(.text | capture("^missed (?<n>[0-9]+) refresh.* because of the (?<cause>[a-z]+): (?<late>[0-9.]+) ms too late, (?<way>[0-9.]+) ms from release")) as $t |
			{time_ns, missed: ($t.n | tonumber), cause: $t.cause, late_ms: ($t.late | tonumber), way_ms: ($t.way | tonumber), text}] |
		map(. as $m | ($m.time_ns - $m.way_ms * 1e6) as $from |
			. + {stalled_ms: ([$s | group_by(.cpu)[] | map(([.to_ns, $m.time_ns] | min) - ([.from_ns, $from] | max) | select(. > 0)) | (add // 0) / 1e6] | max // 0)} |
			. + {machine: (.stalled_ms > 0 and .stalled_ms >= .late_ms)}) as $misses |
		{misses: $misses, told: ([$misses[].missed] | add // 0), machine: ([$misses[] | select(.machine) | .missed] | add // 0),
		 stalls: {watched: ($stalls | length > 0), count: ($s | length), over_5_ms: ([$s[] | select(.to_ns - .from_ns >= 5e6)] | length),
			max_ms: (([$s[] | .to_ns - .from_ns] | max // 0) / 1e6), sum_ms: (($s | group_by(.cpu) | map(map(.to_ns - .from_ns) | add) | max // 0) / 1e6)}}'
}

# summarise POLICY: its samples as one object. The frame times of the cluster are put together from the samples' last 60 each.
summarise() {
	jq -sc --arg policy "$1" --slurpfile explained "$run_dir/$1.explained" '
		def vm($s; $n): $s.vms[] | select(.name == $n);
		(.[0]) as $a | (.[-1]) as $b | (($b.t - $a.t) / 1e9) as $seconds |
		(reduce .[] as $s ({seen: 0, times: []}; (vm($s; "cluster").frame) as $f | ($f.count - .seen) as $new |
			.times += (if $new > 0 then $f.recent_ms[-([$new, ($f.recent_ms | length)] | min):] else [] end) | .seen = $f.count) | .times) as $times |
		(vm($b; "cluster")) as $c |
		{policy: $policy, seconds: $seconds, frame: ($c.frame | del(.recent_ms)), scheduler: $c.scheduler, core: $b.scheduler, explained: $explained[0],
		 seen: ($times | length),
		 histogram: ($times | map(. * 10 | floor) | group_by(.) | map([.[0] / 10, length])),
		 exact: (($times | sort) as $t | ($t | length) as $n | if $n == 0 then null else
			($times | add / $n) as $mean | {mean_ms: $mean, stddev_ms: ($times | map(. - $mean | . * .) | add / $n | sqrt),
			p50_ms: $t[$n * 0.5 | floor], p99_ms: $t[$n * 0.99 | floor], p999_ms: $t[$n * 0.999 | floor], max_ms: $t[-1]} end),
		 vms: [$b.vms[] | . as $v | (vm($a; $v.name)) as $w | {name, fps: (($v.frames_presented - $w.frames_presented) / $seconds),
			gpu_percent: (($v.scheduler.gpu_ms - $w.scheduler.gpu_ms) / $seconds / 10), cpu_percent: (($v.scheduler.cpu_ms - $w.scheduler.cpu_ms) / $seconds / 10),
			submits_per_second: (($v.submits - $w.submits) / $seconds), batches: $v.scheduler.batches, cuts: $v.scheduler.cuts,
			coverage_percent: $v.scheduler.coverage_percent, trips: $v.scheduler.trips, quarantined: $v.scheduler.quarantined}]}' "$run_dir/$1.samples"
}

say "software rasteriser; renderers on processor $gpu_cpu; guests (User-Mode Linux) and service on processor $host_cpu"
if [ -n "$can_realtime" ]; then
	say "service SCHED_FIFO 19 and 20, cluster's guest SCHED_FIFO $rank_guest; $seconds s each after $warm_up s of warm-up"
else
	say "no right to real-time scheduling: guests and service compete as equals, which says little about the GPU; $seconds s each after $warm_up s of warm-up"
fi
rows=$run_dir/rows
: >"$rows"
for policy in $policies; do
	say "· $policy"
	measure "$policy"
	summarise "$policy" >>"$rows"
done

jq -s --arg date "$(date -u +%FT%TZ)" --arg cpus "$cpu_count" --arg mode "$cluster_mode" '
	. as $rows |
	def of($p): $rows[] | select(.policy == $p);
	def stat($p; $k): [of($p) | .exact[$k] // .frame[$k]] | first;
	def ratio($a; $b): if $a == null or $b == null or $b == 0 then null else $a / $b end;
	{benchmark: "hostile-neighbour", rasteriser: "software (llvmpipe)", date: $date, cpus: ($cpus | tonumber), cluster: ($mode + "@60"), rows: $rows,
	 ratios: {
		"missed refreshes under reserve (aim 0)": ([of("reserve") | .frame.misses] | first),
		"standard deviation, reserve / fifo (aim 0.05)": ratio(stat("reserve"; "stddev_ms"); stat("fifo"; "stddev_ms")),
		"p99.9 / p50 under reserve (aim 1.2)": ratio(stat("reserve"; "p999_ms"); stat("reserve"; "p50_ms")),
		"mean, reserve / alone (aim 1.02)": ratio(stat("reserve"; "mean_ms"); stat("alone"; "mean_ms"))
	 }}' "$rows" >"$run_dir/result.json"
cp "$run_dir/result.json" "$top/bench/out/hostile-neighbour.json"

say
say "cluster, release → present (ms)"
jq -r '["", "frames", "missed", "run", "mean", "p50", "p99", "p99.9", "max", "std-dev", "response p99", "gpu p99"],
	(.rows[] | (.exact // .frame) as $e | [.policy, .frame.count, .frame.misses, .frame.longest_miss_run, $e.mean_ms, $e.p50_ms, $e.p99_ms, $e.p999_ms, $e.max_ms, $e.stddev_ms,
		.frame.response_p99_ms, .frame.gpu_p99_ms] | map(if type == "number" and . != floor then . * 100 | round / 100 else . end)) | @tsv' "$run_dir/result.json" |
	awk -F'\t' '{ printf "%-10s %7s %7s %5s %8s %8s %8s %8s %8s %8s %13s %8s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 }'
say
say "neighbours: frames a second, share of the processor that draws (%), tripped batches"
jq -r '.rows[] | [.policy, (.vms[] | "\(.name) \(if .name == "hostile" then "\(.submits_per_second | round) submits/s" else "\(.fps * 10 | round / 10) fps" end), \(.cpu_percent | round) %\(if .trips > 0 then ", \(.trips) trips" else "" end)")] | @tsv' \
	"$run_dir/result.json" | awk -F'\t' '{ printf "%-10s", $1; for (i = 2; i <= NF; i++) printf "  %-30s", $i; print "" }'
say
jq -r '.rows[] | select(.frame.misses > 0) | "\(.policy): missed because of \(.frame.miss_causes | to_entries | map("\(.key) \(.value)") | join(", "))"' "$run_dir/result.json"
if [ -n "$can_realtime" ]; then
	say "the machine itself: times that it ran nobody for more than 1 ms (5 ms, longest), and missed refreshes in which that was as long as the frame was late"
	jq -r '.rows[] | .explained as $e | "\(.policy): \($e.stalls.count) (\($e.stalls.over_5_ms), \($e.stalls.max_ms * 10 | round / 10) ms); \($e.machine) of \($e.told) missed"' "$run_dir/result.json"
	jq -r '.rows[] | select(.policy == "reserve") | .explained.misses[] | select(.machine | not) | "  not the machine: \(.text), it withheld \(.stalled_ms * 100 | round / 100) ms"' "$run_dir/result.json" | head -n 40
fi
jq -r '.ratios | to_entries[] | select(.value != null) | "\(.key): \(.value * 1000 | round / 1000)"' "$run_dir/result.json"

plot=()
for policy in fifo priority reserve; do
	jq -r --arg p "$policy" '.rows[] | select(.policy == $p) | .seen as $n | .histogram as $h | reduce ($h | range(0; length)) as $i ([0, []]; [.[0] + $h[$i][1], .[1] + [[$h[$i][0], $h[$i][1] / $n, 1 - .[0] / $n]]]) | .[1][] | @tsv' \
		"$run_dir/result.json" >"$run_dir/$policy.dat"
	[ ! -s "$run_dir/$policy.dat" ] || plot+=("$policy")
done
if [ "${#plot[@]}" = 3 ] && command -v gnuplot >/dev/null; then
	mkdir -p "$top/docs/images"
	gnuplot -e "dir='$run_dir'; out='$top/docs/images/frame-times.svg'" "$top/bench/plot/frame-times.gp"
	gnuplot -e "dir='$run_dir'; out='$top/bench/out/frame-times.png'" "$top/bench/plot/frame-times.gp"
	say "written: docs/images/frame-times.svg, bench/out/frame-times.png"
fi
say "written: bench/out/hostile-neighbour.json"
