# bench/run isolation: a VM that has reserved half of the GPU, beside one to seven saturating neighbours. Sourced by bench/run.
#
# Its rate against half of what it does alone: before and after all others, so that a drift of the machine shows. User-space guests
# (tests/guest). The neighbours draw, each another kind of frame, one of them (the third) does harm.
. "$top/bench/vms.sh"

if [ -n "$quick" ]; then
	seconds=8 counts="1 3 7"
else
	seconds=30 counts="1 2 3 4 5 6 7"
fi
seconds=${BINNACLE_BENCH_SECONDS:-$seconds}
neighbour_loads=(
	"--size 128 --draws 8 --rounds 80"
	"--size 128 --draws 1 --rounds 60"
	"--size 128 --draws 2 --rounds 40 --hostile"
	"--size 64 --draws 1 --ahead 16"
	"--size 256 --draws 32 --rounds 40"
	"--size 512 --draws 16 --rounds 5"
	"--size 128 --draws 16 --rounds 80 --ahead 8"
)
rows=$run_dir/rows
: >"$rows"

# run_half POLICY BUDGET NEIGHBOURS: frames a second of the VM "half".
run_half() {
	local policy=$1 budget=$2 n=$3 i vms=() err=0
	for i in $(seq 1 "$n"); do vms+=("n$i class=interactive share=100"); done
	light_ini "$policy" "half class=interactive share=100 period=60Hz${budget:+ budget=$budget}" ${vms[@]+"${vms[@]}"} >"$run_dir/binnacle.ini"
	service_up "$run_dir/binnacle.ini"
	for i in $(seq 1 "$n"); do light_start "n$i" $((seconds + 6)) ${neighbour_loads[i - 1]}; done
	sleep 1.5
	light half "$seconds" $light_load >"$run_dir/half.light" || err=1
	ctl status --json >"$run_dir/status"
	guests_stop
	service_stop || true
	[ "$err" = 0 ] || { tail -n 3 "$run_dir/binnacled.log" >&2; fail "the VM was not served"; }
	jq -nc --arg policy "$policy" --arg budget "$budget" --argjson n "$n" --slurpfile half "$run_dir/half.light" --slurpfile s "$run_dir/status" '
		($s[0].vms[] | select(.name == "half") | .scheduler) as $v |
		{policy: $policy, budget: $budget, neighbours: $n, fps: $half[0].fps, worst_second: ($half[0].windows[:-1] | min), wait_p99_ms: $v.wait_p99_ms, wait_max_ms: $v.wait_max_ms, coverage_percent: $v.coverage_percent, demotions: $v.demotions}' |
		tee -a "$rows" | jq -r '"  \(.fps * 10 | round / 10) frames a second, worst second \(.worst_second)"'
}

say "software rasteriser; renderers on processor $gpu_cpu, guests (user-space, no kernel) and service on processor $host_cpu; $seconds s each"
say "· alone"
run_half reserve "" 0
for n in $counts; do
	say "· 50 % beside $n"
	run_half reserve 50% "$n"
done
for n in ${counts##* }; do
	say "· without a scheduler beside $n"
	run_half none "" "$n"
done
say "· alone again"
run_half reserve "" 0

jq -s --arg date "$(date -u +%FT%TZ)" --arg cpus "$cpu_count" '
	([.[] | select(.neighbours == 0) | .fps] | add / length) as $solo |
	map(. + {ratio: (.fps / ($solo / 2))}) as $rows |
	{benchmark: "isolation", rasteriser: "software (llvmpipe)", date: $date, cpus: ($cpus | tonumber), solo_fps: $solo, rows: $rows,
	 ratios: {"worst of all numbers of neighbours (aim 0.98)": ([$rows[] | select(.budget != "") | .ratio] | min)}}' "$rows" >"$run_dir/result.json"
cp "$run_dir/result.json" "$top/bench/out/isolation.json"
say
jq -r '["policy", "budget", "beside", "frames/s", "worst second", "of half the solo rate", "wait p99 ms"],
	(.rows[] | [.policy, (if .budget == "" then "-" else .budget end), .neighbours, (.fps * 10 | round / 10), .worst_second, (.ratio * 1000 | round / 1000), .wait_p99_ms]) | @tsv' "$run_dir/result.json" |
	awk -F'\t' '{ printf "%-10s %-8s %-8s %10s %14s %22s %12s\n", $1, $2, $3, $4, $5, $6, $7 }'
say
jq -r '.ratios | to_entries[] | "\(.key): \(.value * 1000 | round / 1000)"' "$run_dir/result.json"
say "written: bench/out/isolation.json"
