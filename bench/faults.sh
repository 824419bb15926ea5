# bench/run faults: what a neighbour's faults cost the cluster: the longest time without a new frame, in refreshes of its display. Sourced by bench/run.
#
# The program is the end-to-end test of the same name (tests/e2e/test_faults.c): a cluster that draws with GL at 60 Hz, and a neighbour that draws
# for seconds, loops for ever, is stopped or killed while it holds the GPU, makes 10,000 contexts, or an arbiter that comes 50 ms late.

runs=$([ -n "$quick" ] && echo 1 || echo 5)
ninja -C "$build" tests/e2e/test_e2e_faults >"$run_dir/ninja.log" 2>&1 || { tail -n 20 "$run_dir/ninja.log"; fail "building the faults failed"; }
export E2E_FAULTS_ALL=1
export BINNACLED=$build/backend-host/daemon/binnacled
export BINNACLE_RENDERER=$build/backend-host/renderer/binnacle-renderer
export BINNACLECTL=$build/backend-host/ctl/binnaclectl

rows=$run_dir/rows
: >"$rows"
say "software rasteriser; $runs runs of each fault"
for i in $(seq "$runs"); do
	"$build/tests/e2e/test_e2e_faults" >"$run_dir/faults.log" 2>&1 || say "  run $i: the test failed; see its output: $(grep -aE 'FAIL|assert' "$run_dir/faults.log" | head -n 2)" >&2
	sed -n 's/^FAULT //p' "$run_dir/faults.log" >>"$rows"
done
jq -Rn --arg date "$(date -u +%FT%TZ)" --arg cpus "$(nproc)" '
	[inputs | split(" ") | {fault: .[0], refreshes: (.[1] | tonumber), frames: (.[2] | tonumber)}] as $rows |
	{benchmark: "faults", rasteriser: "software (llvmpipe)", date: $date, cpus: ($cpus | tonumber), rows: $rows,
	 faults: ([$rows | group_by(.fault)[] | {fault: .[0].fault, runs: length, median: (map(.refreshes) | sort | .[length / 2 | floor]), worst: (map(.refreshes) | max)}])}' \
	"$rows" >"$top/bench/out/faults.json"

say
jq -r '["fault", "runs", "median", "worst"], (.faults[] | [.fault, .runs, .median, .worst]) | @tsv' "$top/bench/out/faults.json" |
	awk -F'\t' '{ printf "%-24s %6s %10s %10s\n", $1, $2, $3, $4 }'
say "longest time between two frames of the cluster, in refreshes of 16.7 ms (aim: a valid frame within 2 refreshes)"
say "written: bench/out/faults.json"
