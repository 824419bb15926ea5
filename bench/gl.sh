# bench/run gl: glmark2 scene by scene, the same guest image behind each peer. Sourced by bench/run.
#
# Off-screen: forwarding and rendering only. On display: what a person gets, every frame shown on a free-running output (Binnacle) or read back by
# the peer's display code (QEMU's in-process device, whose window is in an X server without a monitor); contrib/vhost-user-gpu shows nothing here (bench/peers/contrib_shim.c).

if [ -n "$quick" ]; then
	scenes=(build:use-vbo=true texture:texture-filter=linear shading:shading=phong)
	duration=1.5
	qemu_peers=(contrib binnacle-gpu)
	uml_peers=(binnacle-uml)
else
	scenes=(build:use-vbo=true texture:texture-filter=linear shading:shading=phong ideas:speed=duration bump:bump-render=normals desktop:effect=shadow)
	duration=5
	qemu_peers=(qemu-gl contrib binnacle-gpu binnacle-device)
	uml_peers=(binnacle-uml)
fi
scene_args=
for s in "${scenes[@]}"; do scene_args+=" -b $s:duration=$duration"; done
guest_off="glmark2-es2-drm --off-screen --visual-config red=8:green=8:blue=8:alpha=0$scene_args"
guest_on="glmark2-es2-drm --visual-config red=8:green=8:blue=8:alpha=0$scene_args"
host_off="glmark2-es2 --off-screen -s $bench_mode$scene_args"
limit=$(awk -v n=${#scenes[@]} -v d=$duration 'BEGIN { print int(90 + n * (d + 8)) }')

rows=$run_dir/rows
: >"$rows"
# record PEER MODE: glmark2's output on stdin → one line a scene.
record() {
	tee "$run_dir/last.log" | sed -n 's/^\[\([a-z-]*\)\].*FPS: \([0-9]*\) .*/\1 \2/p' |
		while read -r scene fps; do echo "$1 $2 $scene $fps"; done >>"$rows"
	if ! grep -q "^$1 $2 " "$rows"; then
		say "  no result from $1 ($2); last lines:" >&2
		tail -n 5 "$run_dir/last.log" "$run_dir/vm.log" >&2 2>/dev/null || true
	fi
}

say "software rasteriser; $bench_mode; ${#scenes[@]} scenes of $duration s"
for peer in native vtest; do
	say "· $peer, off-screen"
	peer_host "$peer" "$host_off" "$limit" | record "$peer" off || true
	peer_stop
done
for peer in "${uml_peers[@]}" "${qemu_peers[@]}"; do
	say "· $peer, off-screen"
	peer_boot "$peer" "$guest_off" "$limit" | record "$peer" off || true
	peer_stop
done
if [ -z "$quick" ]; then
	for peer in qemu-gl binnacle-gpu binnacle-uml; do
		say "· $peer, on its display"
		peer_boot "$peer" "$guest_on" "$limit" | record "$peer" shown || true
		peer_stop
	done
fi

jq -Rn --arg date "$(date -u +%FT%TZ)" --arg mode "$bench_mode" --arg duration "$duration" --arg cpus "$(nproc)" '
	[inputs | split(" ") | {peer: .[0], mode: .[1], scene: .[2], fps: (.[3] | tonumber)}] as $rows |
	def geomean: if length == 0 then null else (map(if . < 1 then 1 else . end | log) | add / length | exp) end;
	def mean_of($p; $m): [$rows[] | select(.peer == $p and .mode == $m) | .fps] | geomean;
	def ratio($a; $b): if $a == null or $b == null then null else $a / $b end;
	{benchmark: "gl", rasteriser: "software (llvmpipe)", date: $date, size: $mode, seconds_per_scene: ($duration | tonumber), cpus: ($cpus | tonumber),
	 rows: $rows,
	 geomean: ([$rows[] | {peer, mode}] | unique | map(. + {fps: mean_of(.peer; .mode)})),
	 ratios: {
		"binnacle-gpu / contrib (aim 1.2)": ratio(mean_of("binnacle-gpu"; "off"); mean_of("contrib"; "off")),
		"binnacle-device / contrib (aim 1.2)": ratio(mean_of("binnacle-device"; "off"); mean_of("contrib"; "off")),
		"binnacle-gpu / qemu-gl (aim 5)": ratio(mean_of("binnacle-gpu"; "off"); mean_of("qemu-gl"; "off")),
		"binnacle-uml / native (aim 0.75)": ratio(mean_of("binnacle-uml"; "off"); mean_of("native"; "off")),
		"binnacle-gpu / qemu-gl, shown": ratio(mean_of("binnacle-gpu"; "shown"); mean_of("qemu-gl"; "shown"))
	 },
	 uml_to_native: ([$rows[] | select(.peer == "binnacle-uml" and .mode == "off") | . as $r |
		{scene, ratio: ratio(.fps; ([$rows[] | select(.peer == "native" and .scene == $r.scene) | .fps] | first))}])}' \
	"$rows" >"$top/bench/out/gl.json"

say
awk -v mode=$bench_mode '
	{ key = $1 " " $2; if (!(key in seen)) { seen[key] = 1; order[++n] = key } fps[key, $3] = $4; if (!($3 in scene)) { scene[$3] = 1; scenes[++m] = $3 } }
	END {
		printf "%-18s %-6s", "fps at " mode, ""; for (j = 1; j <= m; j++) printf " %9s", scenes[j]; printf " %9s\n", "geomean"
		for (i = 1; i <= n; i++) {
			split(order[i], k, " "); printf "%-18s %-6s", k[1], k[2]; s = 0; c = 0
			for (j = 1; j <= m; j++) { v = fps[order[i], scenes[j]]; printf " %9s", v == "" ? "-" : v; if (v != "") { s += log(v < 1 ? 1 : v); c++ } }
			printf " %9.0f\n", c ? exp(s / c) : 0
		}
	}' "$rows"
say
jq -r '.ratios | to_entries[] | select(.value != null) | "\(.key): \(.value * 100 | round / 100)"' "$top/bench/out/gl.json"
jq -r '.uml_to_native[] | select(.ratio != null) | "  uml / native, \(.scene): \(.ratio * 100 | round / 100)"' "$top/bench/out/gl.json"
say "written: bench/out/gl.json"
