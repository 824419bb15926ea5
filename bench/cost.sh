# bench/run cost: what the scheduler itself takes. Sourced by bench/run.
#
#   alone     frames a second of one VM without a scheduler and with it, in pairs that alternate; median of the pairs' ratios
#   decision  from a doorbell to the grants written, four VMs that all want the GPU
#   shares    processor time of each renderer (the kernel's figure) in windows of 1 s against its share; and how much of the processor all had together,
#             of what the rest of the machine left them (a window in which that was less than half says nothing about shares, and is counted as disturbed)
#   slack     the same beside a safety VM that has reserved half of the GPU and leaves it
#   many      two and eight VMs: the service's processor time for each batch, and what all got done
. "$top/bench/vms.sh"

if [ -n "$quick" ]; then
	pairs=5 pair_seconds=2 window_seconds=10
else
	pairs=15 pair_seconds=5 window_seconds=60
fi
results=$run_dir/results
: >"$results"

# rate POLICY ARGS…: frames a second of a VM that is alone.
rate() {
	local policy=$1
	shift
	light_ini "$policy" "vm class=interactive" >"$run_dir/binnacle.ini"
	service_up "$run_dir/binnacle.ini"
	light vm 1 "$@" >/dev/null
	light vm $pair_seconds "$@" | jq .fps
	service_stop || true
}

alone() { # alone NAME ARGS…
	local name=$1 i a b
	shift
	: >"$run_dir/ratios"
	for i in $(seq $pairs); do
		if [ $((i % 2)) = 1 ]; then a=$(rate none "$@") b=$(rate reserve "$@"); else b=$(rate reserve "$@") a=$(rate none "$@"); fi
		echo "$a $b" >>"$run_dir/ratios"
	done
	jq -Rnc --arg name "$name" '[inputs | split(" ") | map(tonumber)] as $p | ($p | map(.[1] / .[0]) | sort) as $r |
		{alone: $name, pairs: $p, ratio: $r[$r | length / 2 | floor], low: $r[0], high: $r[-1]}' "$run_dir/ratios" >>"$results"
}

# contend POLICY SECONDS SHARE…: a saturating VM for each share, and whatever $extra_vm is; leaves window samples, status before and after.
extra_vm=
contend() {
	local policy=$1 for=$2 i=0 vms=() pids names=()
	shift 2
	for share; do
		i=$((i + 1))
		names+=("vm$i")
		vms+=("vm$i class=interactive share=$share")
	done
	light_ini "$policy" "${vms[@]}" ${extra_vm:+"$extra_vm"} >"$run_dir/binnacle.ini"
	service_up "$run_dir/binnacle.ini"
	for i in "${names[@]}"; do light_start "$i" $((for + 4)) $light_load; done
	sleep 2
	pids=$(ctl status --json | jq -r --args '.vms[] | select(.name | IN($ARGS.positional[])) | .renderer_pid' "${names[@]}")
	ctl status --json >"$run_dir/before"
	local cpu idle
	cpu=$(daemon_cpu_ns) idle=$(gpu_idle_ns)
	taskset -c "$host_cpu" "$build/bench/sampler" "$for" 1000 $pids >"$run_dir/windows"
	cpu=$(($(daemon_cpu_ns) - cpu)) idle=$(($(gpu_idle_ns) - idle))
	echo "$idle" >"$run_dir/idle"
	ctl status --json >"$run_dir/after"
	echo "$cpu" >"$run_dir/daemon"
	lights_wait
	service_stop || true
}

# shares NAME SHARE…
shares() {
	local name=$1
	shift
	contend reserve $window_seconds "$@"
	awk -v shares="$*" -v idle="$(cat "$run_dir/idle")" '
		BEGIN { n = split(shares, share, " "); for (i = 1; i <= n; i++) total += share[i] }
		NR > 1 {
			all = 0; for (i = 1; i <= n; i++) { used[i] = $(i + 1) - last[i + 1]; all += used[i] }
			busy += all
			if (all < ($1 - last[1]) / 2) { disturbed++; for (i = 1; i <= NF; i++) last[i] = $i; next }
			for (i = 1; i <= n; i++) { e = used[i] / all - share[i] / total; e = e < 0 ? -e : e; sum += e; count++; if (e > worst) worst = e; r = e / (share[i] / total); if (r > worst_r) worst_r = r }
		}
		{ for (i = 1; i <= NF; i++) last[i] = $i }
		END {
			if (count) printf "{\"mean_error_percent\": %.3f, \"worst_error_percent\": %.3f, \"worst_relative_percent\": %.3f, ", 100 * sum / count, 100 * worst, 100 * worst_r
			else printf "{\"mean_error_percent\": null, \"worst_error_percent\": null, \"worst_relative_percent\": null, "
			printf "\"windows\": %d, \"disturbed\": %d, \"busy_percent\": %.3f}\n", NR - 1, disturbed, 100 * busy / (busy + idle)
		}' "$run_dir/windows" >"$run_dir/shares.json"
	jq -c --arg name "$name" --slurpfile a "$run_dir/before" --slurpfile b "$run_dir/after" '
		{shares: $name} + . + {charged_percent: ((([$b[0].vms[].scheduler.gpu_ms] | add) - ([$a[0].vms[].scheduler.gpu_ms] | add)) / '"$window_seconds"' / 10),
		decision: ($b[0].scheduler | {p50_us: .decision_p50_us, p99_us: .decision_p99_us, max_us: .decision_max_us, wakeups}),
		vms: [$b[0].vms[] | {name, coverage_percent: .scheduler.coverage_percent, wait_p99_ms: .scheduler.wait_p99_ms, grants: .scheduler.grants, batches: .scheduler.batches}]}' \
		"$run_dir/shares.json" >>"$results"
}

# many N POLICY
many() {
	local n=$1 policy=$2
	rm -f "$run_dir"/vm*.light # those of the runs before
	contend "$policy" $((window_seconds / 2)) $(for _ in $(seq "$n"); do echo 100; done)
	jq -nc --argjson n "$n" --arg policy "$policy" --slurpfile a "$run_dir/before" --slurpfile b "$run_dir/after" --argjson cpu "$(cat "$run_dir/daemon")" \
		--argjson fps "$(jq -s 'map(.fps) | add' "$run_dir"/vm*.light)" --slurpfile windows <(awk 'NR == 1 { t = $1 } END { print ($1 - t) / 1e9 }' "$run_dir/windows") \
		--argjson busy "$(awk 'NR == 1 { t = $1; for (i = 2; i <= NF; i++) first += $i } END { for (i = 2; i <= NF; i++) sum += $i; print (sum - first) / ($1 - t) }' "$run_dir/windows")" '
		def batches($s): [$s.vms[].scheduler.batches] | add;
		(batches($b[0]) - batches($a[0])) as $batches |
		{many: $n, policy: $policy, fps: $fps, frames_per_cpu_second: ($fps / $busy), batches: $batches, daemon_cpu_percent: ($cpu / $windows[0] / 1e7),
		 daemon_us_per_batch: (if $batches > 0 then $cpu / 1000 / $batches else null end), decision: ($b[0].scheduler | {p50_us: .decision_p50_us, p99_us: .decision_p99_us})}' >>"$results"
}

say "software rasteriser; renderers on processor $gpu_cpu, guests (user-space, no kernel) and service on processor $host_cpu"
say "· one VM, $pairs pairs of $pair_seconds s: frames of 4 ms"
alone frames $light_load
say "· … the shortest round trips"
alone "round trips" --size 64 --draws 1 --ahead 1
say "· … small frames, 16 queued"
alone "small frames" --size 64 --draws 1 --ahead 16
for set in "100 100" "100 200 400" "100 200 300 400"; do
	say "· shares $set, $window_seconds s"
	shares "$set" $set
done
say "· slack beside an idle reservation"
extra_vm="reserved class=safety budget=50%"
shares "100 100 beside an idle 50 % reservation" 100 100
extra_vm=
for n in 2 8; do
	say "· $n VMs"
	many $n none
	many $n reserve
done

jq -s --arg date "$(date -u +%FT%TZ)" --arg cpus "$cpu_count" '
	def greatest: map(select(. != null)) | max;
	def many($n; $p): [.[] | select(.many == $n and .policy == $p)] | first;
	[.[] | select(.shares)] as $shares |
	{benchmark: "cost", rasteriser: "software (llvmpipe)", date: $date, cpus: ($cpus | tonumber), alone: [.[] | select(.alone)], shares: $shares, many: [.[] | select(.many)],
	 ratios: {
		"throughput of a VM that is alone, scheduler / none (aim 0.99)": ([.[] | select(.alone == "frames") | .ratio] | first),
		"decision p99, µs (aim 5)": ($shares | map(.decision.p99_us) | max),
		"worst error of a share over 1 s, % of the GPU (aim 2)": ($shares | map(.worst_error_percent) | greatest),
		"GPU time used, % (aim 95)": ($shares | map(.busy_percent) | min),
		"service time for a batch, 8 VMs / 2 VMs (aim 1)": (many(8; "reserve").daemon_us_per_batch / many(2; "reserve").daemon_us_per_batch),
		"frames for a second of processor time, 8 VMs, scheduler / none": (many(8; "reserve").frames_per_cpu_second / many(8; "none").frames_per_cpu_second),
		"frames for a second of processor time, 2 VMs, scheduler / none": (many(2; "reserve").frames_per_cpu_second / many(2; "none").frames_per_cpu_second)
	 }}' "$results" >"$run_dir/result.json"
cp "$run_dir/result.json" "$top/bench/out/cost.json"

say
jq -r 'def r($d): if . == null then "-" else . * $d | round / $d end;
	(.alone[] | "alone, \(.alone): \(.ratio | r(10000)) (\(.low | r(10000)) … \(.high | r(10000))); \(.pairs | map(.[0]) | add / length | round) → \(.pairs | map(.[1]) | add / length | round) a second"),
	(.shares[] | "shares \(.shares): error mean \(.mean_error_percent | r(100)) %, worst \(.worst_error_percent | r(100)) % of the GPU (\(.worst_relative_percent | r(10)) % of the share); GPU used \(.busy_percent | r(10)) %\(if .disturbed > 0 then " (\(.disturbed) of \(.windows) windows disturbed)" else "" end), charged \(.charged_percent | r(10)) %; decision p50 \(.decision.p50_us) p99 \(.decision.p99_us) µs"),
	(.many[] | "\(.many) VMs, \(.policy): \(.fps | r(10)) frames/s in all, \(.frames_per_cpu_second | r(10)) for a second of processor time, service \(.daemon_cpu_percent | r(100)) % of a processor, \(.daemon_us_per_batch // 0 | r(100)) µs a batch")' "$run_dir/result.json"
say
jq -r '.ratios | to_entries[] | select(.value != null) | "\(.key): \(.value * 10000 | round / 10000)"' "$run_dir/result.json"
say "written: bench/out/cost.json"
