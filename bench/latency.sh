# bench/run latency: round trips from inside a guest, start-up, idle cost. Sourced by bench/run.

if [ -n "$quick" ]; then
	samples=1000 starts=5 idle_seconds=5
	peers=(contrib binnacle-gpu binnacle-uml)
else
	samples=5000 starts=20 idle_seconds=20
	peers=(qemu-gl contrib binnacle-gpu binnacle-device binnacle-uml)
fi
probe="/usr/libexec/binnacle/binnacle-gpu-probe --samples $samples"

rows=$run_dir/rows
: >"$rows"
say "software rasteriser; $samples samples of each round trip"
for peer in "${peers[@]}"; do
	say "· $peer"
	peer_boot "$peer" "$probe" 180 >"$run_dir/last.log" || true
	peer_stop
	if ! grep -a -o '{"unit": "us".*}' "$run_dir/last.log" | jq -c --arg p "$peer" '{peer: $p} + .' >>"$rows"; then
		say "  no result from $peer; last lines:" >&2
		tail -n 5 "$run_dir/last.log" "$run_dir/vm.log" >&2 2>/dev/null || true
	fi
done
say "· start-up"
start=$("$build/bench/start_probe" "$build/backend-host/daemon/binnacled" $starts)

# switches PID…: voluntary context switches of all threads, i.e. how often they slept and woke.
switches() {
	local pid
	for pid; do cat /proc/"$pid"/task/*/status 2>/dev/null; done |
		awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n + 0 }'
}
pss_kib() {
	local pid
	for pid; do cat "/proc/$pid/smaps_rollup" 2>/dev/null; done | awk '/^Pss:/ { n += $2 } END { print n + 0 }'
}
say "· eight VMs, idle"
{
	printf '[core]\nruntime-dir=%s\ncontrol-socket=%s/control\nlog=warn\n' "$run_dir" "$run_dir"
	for i in 1 2 3 4 5 6 7 8; do
		printf '[output d%d]\nbackend=headless\nmode=1280x720@60\n[vm vm%d]\nscanout.0=d%d\n' $i $i $i
	done
} >"$run_dir/binnacle.ini"
service_start "$run_dir/binnacle.ini"
sleep 5
renderers=$(ctl status --json | jq -r '.vms[].renderer_pid')
# The control connections above woke the daemon: count from here on, without touching it.
sleep 1
before=$(switches $service_pid $renderers)
sleep $idle_seconds
after=$(switches $service_pid $renderers)
pss=$(pss_kib $service_pid $renderers)
service_stop
idle=$(jq -n --argjson w $((after - before)) --argjson s $idle_seconds --argjson kib "$pss" --argjson n "$(wc -w <<<"$renderers")" \
	'{vms: $n, wakeups_per_second: ($w / $s), pss_mib: ($kib / 1024 | round)}')

jq -n --slurpfile rows "$rows" --argjson start "$start" --argjson idle "$idle" --arg date "$(date -u +%FT%TZ)" --arg cpus "$(nproc)" '
	def of($p; $k; $q): [$rows[] | select(.peer == $p) | .[$k] | select(. != null) | .[$q]] | first;
	def ratio($a; $b): if $a == null or $b == null or $b == 0 then null else $a / $b end;
	{benchmark: "latency", rasteriser: "software (llvmpipe)", date: $date, cpus: ($cpus | tonumber), rows: $rows, start: $start, idle: $idle,
	 ratios: {
		"QEMU guest, NOP p50, binnacle / contrib (aim 0.7)": ratio(of("binnacle-gpu"; "nop"; "p50"); of("contrib"; "nop"; "p50")),
		"QEMU guest, clear p50, binnacle / contrib (aim 0.8)": ratio(of("binnacle-gpu"; "clear"; "p50"); of("contrib"; "clear"; "p50")),
		"QEMU guest, clear p99, binnacle / contrib (aim 1)": ratio(of("binnacle-gpu"; "clear"; "p99"); of("contrib"; "clear"; "p99"))
	 }}' >"$top/bench/out/latency.json"

say
jq -r '["µs", "NOP p50", "p99", "max", "clear p50", "p99", "max"], (.rows[] | [.peer] + [(.nop, .clear) | if . == null then "-", "-", "-" else .p50, .p99, .max end]) | @tsv' \
	"$top/bench/out/latency.json" | awk -F'\t' '{ printf "%-18s %10s %10s %10s %10s %10s %10s\n", $1, $2, $3, $4, $5, $6, $7 }'
say
jq -r '.ratios | to_entries[] | select(.value != null) | "\(.key): \(.value * 100 | round / 100)"' "$top/bench/out/latency.json"
jq -r '"start to sockets ready: p50 \(.start.sockets.p50) ms, max \(.start.sockets.max) ms (aim 100)",
	"connect to first scanout: warm p50 \(.start.warm.p50) ms, max \(.start.warm.max) ms; cold p50 \(.start.cold.p50) ms (aim 150)",
	"eight idle VMs: \(.idle.pss_mib) MiB (PSS, aim 1536), \(.idle.wakeups_per_second) wake-ups a second (aim 0)"' "$top/bench/out/latency.json"
say "written: bench/out/latency.json"
