# bench/run watchdog: faults of safety content, and how soon their fallback is on the screen. Sourced by bench/run.
# BINNACLE_BENCH_FAULT=KIND ("frozen", "renderer killed", …): that kind alone, without the others and their file.

if [ -n "$quick" ]; then
	faults=40 kills=10 frames=1800 starts=5
else
	faults=1000 kills=1000 frames=36000 starts=20
fi
build_programs bench/watchdog
"$build/bench/watchdog" pictures "$run_dir"
cat >"$run_dir/binnacle.ini" <<-INI
	[core]
	runtime-dir=$run_dir
	control-socket=$run_dir/control
	log=error
	[output dash]
	mode=256x96@60
	boot=boot.png
	[vm cluster]
	scanout.0=dash
	gl=no
	[watch warning]
	layer=cluster
	region=16,16,32,32
	expect=warning.png
	good-frames=2
	fallback=stop.png
	[watch belt]
	layer=cluster
	region=64,16,32,32
	expect=belt.png
	good-frames=2
	fallback=stop.png
	[watch speed]
	layer=cluster
	region=112,16,64,32
	change-within=100
	good-frames=2
	fallback=bar.png
	[watch alive]
	layer=cluster
	region=248,88,8,8
	max-age=100
	good-frames=2
	fallback=bar.png
	at=192,64
INI
say "a cluster of the test guest at 60 Hz on a headless output; change-within and max-age 100 ms"
say "(beside a killed renderer the guest draws nothing until that is found; a new one would be there before the limit)"
rows=$run_dir/rows
"$build/bench/watchdog" start "$build/backend-host/daemon/binnacled" "$run_dir/binnacle.ini" "$run_dir/control" $starts >"$run_dir/start"
service_start "$run_dir/binnacle.ini"
"$build/bench/watchdog" faults "$run_dir/cluster.sock" "$run_dir/control" $faults $kills $frames ${BINNACLE_BENCH_FAULT:+"$BINNACLE_BENCH_FAULT"} >"$rows" || fail "the cluster failed by itself"
service_stop
if [ -n "${BINNACLE_BENCH_FAULT:-}" ]; then
	cat "$rows"
	return
fi

jq -n --slurpfile rows "$rows" --slurpfile start "$run_dir/start" --arg date "$(date -u +%FT%TZ)" --arg cpus "$(nproc)" '
	{benchmark: "watchdog", output: "headless, 60 Hz", date: $date, cpus: ($cpus | tonumber), start: $start[0],
	 quiet: ($rows | map(select(.frames)) | .[0]), faults: ($rows | map(select(.fault)))}' >"$top/bench/out/watchdog.json"
say
say "refreshes from the moment in which the rule could know to the fallback on the screen (aim 2)"
jq -r '["fault", "injected", "caught", "on screen", "disputed", "p50", "p99", "max"], (.faults[] | [.fault, .injected, .caught, .on_screen, .disputed, .p50, .p99, .max]) | @tsv' \
	"$top/bench/out/watchdog.json" | awk -F'\t' '{ printf "%-16s %9s %8s %10s %9s %7s %7s %7s\n", $1, $2, $3, $4, $5, $6, $7, $8 }'
say
jq -r '.quiet | "false alarms in \(.frames) frames: \(.false_alarms) (aim 0); alarms in all \(.alarms): the guest itself was late for \(.guest_late) of them, this machine carried its frames too late for \(.host_late); longest time between two frames \(.longest_gap_ms) ms"' "$top/bench/out/watchdog.json"
jq -r '.start | "fork of binnacled to the boot picture: p50 \(.boot_p50_ms) ms, max \(.boot_max_ms) ms of \(.starts) (aim 150)"' "$top/bench/out/watchdog.json"
say "written: bench/out/watchdog.json"
