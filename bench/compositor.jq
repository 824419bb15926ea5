# Rows of bench/run compositor to its figures, with their aims.
def round2: if . == null then null else . * 100 | round / 100 end;
def round3: if . == null then null else . * 1000 | round / 1000 end;
(map({key: .name, value: .}) | from_entries) as $r |
def row($name; f): $r[$name] | if . == null then null else f end;
# Refreshes without a new picture; that a guest learns late of a flip is none.
def missed: [(.guest.interval.mean_ms * .guest.frames * 60 / 1000 | round) - .guest.frames, 0] | max;
def delta($k): .after[$k] - .before[$k];
def figure($text; $value; $aim; $met): if $value == null then empty else {figure: $text, value: $value, aim: $aim, met: (if $met == null then "" elif $met then "met" else "MISSED" end)} end;
def at_most($text; $value; $limit; $unit): figure($text; $value; "≤ \($limit)\($unit)"; if $value == null then null else $value <= $limit end);
# Of a frame: its system calls, without those of the shim and of the waiting itself; what they cost here.
(row("calls"; .frames as $f | ([.calls[] | select(.call != "clock_gettime") | .n] | add) / ([.calls[] | select(.call == "ioctl") | .n] | add))) as $calls |
{benchmark: "compositor", date: $date, cpus: ($cpus | tonumber), quick: ($quick == 1), fifo: $fifo, rasteriser: "software (llvmpipe)", display: "vkms on User-Mode Linux, 1280x720 at 60 Hz",
 table: [
	at_most("CPU pixel bytes a frame, on planes (GL)"; row("animated"; (delta("composed_bytes") + delta("copy_bytes_out") + delta("copy_bytes_in")) / .guest.frames); 0; ""),
	figure("  … of a 2D guest: the transfer that the guest asks for"; row("animated-2d"; delta("copy_bytes_in") / (delta("flips")) | round); ""; null),
	at_most("service's work beside a still display, % of a core"; row("idle"; .work_percent | round3); 0.1; ""),
	at_most("service's work for a 60 Hz display on planes, % of a core"; row("animated"; .work_percent | round2); 0.5; ""),
	figure("  … and reads of the clock, which are system calls here, without the measurement's own"; (row("calls"; .frames as $f | ([.calls[] | select(.call == "clock_gettime") | .n] | add) / ([.calls[] | select(.call == "ioctl") | .n] | add) - 2 * ([.calls[] | select(.call == "epoll_wait") | .n] | add) / ([.calls[] | select(.call == "ioctl") | .n] | add)) | round2); ""; null),
	figure("  … system calls a frame (each takes \(row("calls"; .syscall_us) | round2) µs here)"; ($calls | round2); ""; null),
	at_most("  … on this machine's kernel, headless, main loop, % of a core"; row("native-animated"; .work_percent | round2); 0.5; ""),
	figure("  … with the scheduler's thread, which a GL guest needs"; row("native-animated"; .all_percent | round2); ""; null),
	at_most("  … still, all threads"; row("native-idle"; .all_percent | round3); 0.1; ""),
	at_most("commit, 12 layers (9 planes, 3 composed), p99 µs"; row("layers"; .after.commit_p99_us); 200; ""),
	figure("  … p50 µs"; row("layers"; .after.commit_p50_us); ""; null),
	at_most("  … this machine's kernel, controller as data (5 on planes, 7 composed), p99 µs"; row("native-steady"; .commit_p99_us); 200; ""),
	figure("  … p50 µs"; row("native-steady"; .commit_p50_us); ""; null),
	figure("  … a layer moves with each frame, p99 µs"; row("native-moving"; .commit_p99_us); ""; null),
	figure("  … p50 µs, one layer"; row("animated"; .after.commit_p50_us); ""; null),
	figure("  … p99 µs, one layer"; row("animated"; .after.commit_p99_us); ""; null),
	at_most("TEST_ONLY commits in a steady scene of 12 layers, after the first"; row("layers"; [delta("tests") - 1, 0] | max); 0; ""),
	figure("  … for each change, one layer moving"; row("moving"; delta("tests") / 100); ""; null),
	at_most("flips missed in \(row("animated"; .guest.frames)) frames, nothing else running in there"; row("animated"; missed); 0; ""),
	at_most("  … seen by the guest as doubled or dropped"; row("animated"; .guest.doubled + .guest.dropped); 0; ""),
	at_most("flips missed in \(row("load"; .guest.frames)) frames, two busy processes beside the service in the kernel"; row("load"; missed); 0; ""),
	at_most("flips missed in \(row("host-load"; .guest.frames)) frames, all processors busy around the kernel"; row("host-load"; missed); 0; ""),
	figure("  … of these because the machine gave that kernel no processor, as the service in it saw"; row("host-load"; .after.miss_causes.host - .before.miss_causes.host); ""; null),
	figure("  … what the machine withheld from a SCHED_FIFO 99 thread that only sleeps there, ms"; (row("withheld"; .ms) | round2); ""; null),
	at_most("  … this machine's kernel, headless, \(row("native-load"; .guest.frames)) frames"; row("native-load"; missed); 0; ""),
	at_most("flush to flip, p50 ms, flushes at any moment"; row("latency-random"; .after.latency_p50_ms); 8.33; ""),
	figure("  … of that beyond half a refresh, which is the mean wait for the flip"; (row("latency-random"; .after.latency_p50_ms - 8.33) | round2); ""; null),
	figure("  … the commit alone (vkms maps the picture), p50 ms"; (row("latency-random"; .after.commit_p50_us / 1000) | round2); ""; null),
	figure("  … p50 ms at 640x480, a third of the pages"; row("latency-random-small"; .after.latency_p50_ms); ""; null),
	figure("  … beyond half a refresh"; (row("latency-random-small"; .after.latency_p50_ms - 8.33) | round2); ""; null),
	figure("  … the commit alone"; (row("latency-random-small"; .after.commit_p50_us / 1000) | round2); ""; null),
	figure("  … this machine's kernel, headless, p50 ms"; row("native-latency"; .latency_p50_ms | round2); ""; null),
	figure("  … p99 ms"; row("latency-random"; .after.latency_p99_ms); ""; null),
	at_most("  … p50 ms, flushes 10 ms after the flip"; row("latency-think"; .after.latency_p50_ms); 8.33; ""),
	figure("  … p50 ms, flushes right after the flip"; row("animated"; .after.latency_p50_ms); ""; null),
	at_most("fork of binnacled to the boot picture's flip, p50 ms"; row("start"; .boot_p50_ms); 150; ""),
	at_most("  … max ms"; row("start"; .boot_max_ms); 150; ""),
	figure("two displays: std-dev of intervals, 60 Hz alone, ms"; row("alone-60"; .guest.interval.stddev_ms); ""; null),
	figure("  … beside 56 Hz"; row("together-60"; .guest.interval.stddev_ms); ""; null),
	figure("  … 56 Hz alone"; row("alone-56"; .guest.interval.stddev_ms); ""; null),
	figure("  … beside 60 Hz"; row("together-56"; .guest.interval.stddev_ms); ""; null),
	figure("  … 60 Hz while the other one changes its mode"; row("beside-modesets"; .guest.interval.stddev_ms); ""; null),
	at_most("  … flips missed in these"; ([row("together-60", "together-56", "beside-modesets"; .guest.doubled)] | if any(. == null) then null else add end); 0; "")
 ],
 peer: [
	($r["idle"] | select(. != null) | {name: "binnacled, still", work_percent: (.work_percent | round3), us_per_frame: null, planes: .after.planes_used}),
	($r["animated"] | select(. != null) | {name: "binnacled, GL guest", work_percent: (.work_percent | round2), us_per_frame: (.work_ns / 1e3 / (.wall_ns / 1e9 * 60) | round), planes: .after.planes_used,
		latency_p50_ms: .after.latency_p50_ms, latency_p99_ms: .after.latency_p99_ms, doubled: .guest.doubled}),
	(.[] | select(.name | startswith("weston-")) | {name, client, work_percent: (.work_percent | round2),
		us_per_frame: (if .name | endswith("idle") then null else (.work_ns / 1e3 / (if .frames > 0 then .frames else (.wall_ns / 1e9 * ((.fps | split(" ")[0] | tonumber?) // 60)) end) | round) end),
		planes, latency_p50_ms: .c2p_p50_ms, latency_p99_ms: .c2p_p99_ms, doubled})
 ],
 rows: .}
