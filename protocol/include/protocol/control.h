/* The control socket (binnaclectl ↔ binnacled): SOCK_SEQPACKET, one JSON object per message. A
 * request is {"command": NAME, …arguments}; the answer is {"ok": true, …} or {"ok": false, "error":
 * TEXT, …}. A picture or a long text comes as a sealed memfd with the answer. One request after the
 * other on a connection; requests sent while one is being answered wait in the socket. */
#ifndef BN_PROTOCOL_CONTROL_H
#define BN_PROTOCOL_CONTROL_H

/* A request's and a message's greatest length in bytes. An answer that is longer comes as
 * {"ok": true, "answer": "memfd", "size": N} with one sealed memfd, whose first N bytes are the
 * answer proper, a JSON object as below: a client reads it whenever it finds "answer" to be "memfd".
 * Such an answer has no other fd. */
#define BN_CONTROL_REQUEST_MAX 65536
#define BN_CONTROL_ANSWER_MAX 65536

/* The socket when neither the configuration nor the command line names one:
 * $XDG_RUNTIME_DIR/binnacle/control, or /run/binnacle/control for root. */
#define BN_CONTROL_NAME "control"

/* Commands:
 * "status"                      → "version", "vms": [ … ], "outputs": [ … ] (fields: binnaclectl(1)
 *                                 and below)
 * "outputs"                     → "outputs": [ … ] as in "status"
 * "planes"      optionally "output": NAME
 *                               → "outputs": [{"name", "kind", "planes": [{"id", "type": primary,
 *                                 overlay or cursor, "layer": what it shows, or ""}], "layers":
 *                                 [LAYER, …] lowest first}]
 * "scene"                       → "layers": [LAYER, …], those of each output lowest first
 * "scene"       "changes": [{"do": "set", "layer": NAME, "set": {KEY: VALUE, …}}, {"do": "add",
 *               "layer": NAME, "set": {…}}, {"do": "remove", "layer": NAME}, …] (strings, the keys
 *               of [layer NAME])
 *                               → changes the scene: all of it or, with "ok": false, nothing;
 *                                 "faults": [{"line": N (of a text; 0: none), "layer": NAME or "",
 *                                 "text": one line}, …] then says everything that is wrong where
 *                                 "error" has the first fault
 * "scene"       "load": TEXT (an INI of [layer NAME] sections)
 *                               → the same with another scene as a whole
 * "scene"       "reset": true   → … with that of the configuration
 * "screenshot"  "output": NAME, "layer": NAME, or "name": NAME (an output's or, if there is none, a
 *               layer's)         → "width", "height", "stride", "format": "XR24", and one sealed
 *                                 memfd with the pixels: what the output shows now; or a layer's
 *                                 picture by itself, uncropped, unscaled, upright
 *               With "output" also "scanout": true: what is scanned out, from as near to the display
 *               as can be looked at, with "source" ("writeback", "composed" or "layer") and
 *               "shown_ns" (the vblank that first showed it)
 * "output"      "output": NAME, and "mode": "WxH[@HZ]" and/or "enabled": bool
 *                               → changes a display at run time; a mode for which the scene would
 *                                 not do is refused, with "faults" as for "scene"
 * "quit"                        → stops the service as SIGTERM does
 * "admit"       optionally "vm": NAME and "set": {KEY: VALUE, …} (strings, the keys of [vm NAME]
 *               that may change: class, period, budget, share, batch-max, …)
 *                               → "text": the admission test for people, "admission": see below.
 *                                 Changes nothing.
 * "vm"          "vm": NAME, "set": {KEY: VALUE, …}
 *                               → changes a VM at run time; "text" and "admission" as it is now. When
 *                                 it would break a guarantee: "ok": false, "error" (one line: the
 *                                 remedy), "text" and "admission" as it would have been, and
 *                                 nothing has changed
 * "vm"          "vm": NAME, "pardon": true
 *                               → takes the VM out of quarantine
 * "metrics"                     → "format": "prometheus", "size": N, and one sealed memfd with N
 *                                 bytes of Prometheus' text format 0.0.4
 * "trace"       "seconds": 0.1–600, "last": bool (default false)
 *                               → "format": "chrome-json", "size": N, "events": number, and one
 *                                 sealed memfd with N bytes of Chrome's JSON trace format. last:
 *                                 what has happened in the seconds before, at once; otherwise what
 *                                 happens in the seconds to come, and the answer comes after them.
 *                                 The recorder forgets the oldest: "truncated": true then
 * "events"      "since": N (default 0), "follow": bool (default false)
 *                               → "events": [EVENT, …] with numbers ≥ since (256 are kept), "next":
 *                                 the number that the next one will have. follow: from then on each
 *                                 event comes as a message {"event": EVENT}, until the client closes
 *                                 the connection; it is not to send requests on it any more. A
 *                                 client too slow to read is disconnected.
 * "watchdog"                    → "watches": [WATCH, …], "boot": [{"output", "shown", "first_ns"
 *                                 (CLOCK_MONOTONIC; 0: not yet), "after_ms" (from the start of the
 *                                 service), "times"}]
 * "watchdog"    "reset": NAME   → counters of that watch begin anew; one that has failed waits as at
 *                                 the start
 * "reset"       optionally "vm": NAME (default: all)
 *                               → histograms and misses ("frame", latency, interval, waits, and
 *                                 without "vm" the decision times) begin
 *                                 anew; other counters go on (for benchmarks)
 *
 * LAYER: "name", "output", "vm", "scanout", "x", "y", "width", "height" (0: as large as the picture),
 * "crop": RECT (missing: all of it), "rotate", "reflect": none, x, y or xy, "alpha" (0–100), "blend",
 * "z", "role": normal or safety, "hidden", "openings": [RECT, …], "shown": no, plane or composed,
 * "plane" (number; 0: none), "why" (it is composed or not shown), and while the guest shows something
 * "at": RECT on the output, "screen_width", "screen_height". RECT: {"x", "y", "width", "height"}
 *
 * WATCH: "name", "layer", "output", "at": RECT (pixels of the output), "rule": text, "state": waiting,
 * live, fallback, fault (nothing is shown instead) or paused ("reason": "output inactive" or "output
 * off"; else ""), "since_ms", "source" (of the pixels: writeback,
 * composed, layer; "": none yet), "covered" (what lies below the fallback is judged), "fault" (now): ok,
 * missing, wrong, present, frozen, stale or unreadable, "last_fault", "failures", "count": {FAULT:
 * times, …}, "pictures" (judged), "bad" (of them), "crc" (of what is there, hexadecimal), "failed_ns"
 * (CLOCK_MONOTONIC: when the last failure could be known at the earliest), "shown_ns" (vblank that first
 * showed the fallback after it; 0: not yet), "reactions" (between the two), "reaction_p50_ms",
 * "reaction_p99_ms", "reaction_max_ms", "refresh_ms", "hook_runs"
 *
 * EVENT: "number" (from 1), "time_ns" (CLOCK_MONOTONIC), "wall": "2026-05-01T12:00:00.123Z",
 * "vm": NAME or "", "kind": tripped, stuck, quarantined, pardoned, ignores, silent, overrun, demoted,
 * late, bound, fault, restart, changed, watchdog, recovered, "text": one line.
 *
 * "admission": {"admitted", "utilisation", "vms": [{"name", "class", "admitted", "remedy" ("" when
 * admitted), and for safety VMs "gaps", "in_flight", "batches", "batch_max_ms", "dispatch_ms",
 * "cost_ms", "overhead_ms", "compositor_ms", "others_ms", "period_ms", "lead_ms", "bound_ms" (R),
 * "deadline_ms" (D), for the others "load", "blocking_ms"}]}
 *
 * "status", scheduler's and monitor's part. Durations in ms or µs as named, numbers since the start
 * or the last "reset" where they are counts of frames.
 * top level "scheduler": {"policy": none|fifo|priority|reserve, "realtime", "software",
 *	"decision_p50_us", "decision_p99_us", "decision_max_us", "wakeups", "late", "admitted",
 *	"utilisation"}
 * of each output "connected", "active" (scanning out), "card", "driver", "connector", "model" ("" when
 *	unknown), "planes", "planes_used", "flips" (refreshes that showed something new), "late" (of
 *	them), "commits", "tests", "failed", "composed" (pictures), "composed_bytes" (written by the
 *	CPU), "unplugged" (times), "commit_p50_us", "commit_p99_us", "latency_p50_ms",
 *	"latency_p99_ms", "latency_max_ms" (the guest's flush → refresh)
 * of each VM "scheduler": {"class": safety|interactive|background, "period_ms", "budget_ms",
 *	"share", "batch_max_ms", "gpu_ms" (charged in all), "gpu_percent" (since the question
 *	before), "wait_p50_ms", "wait_p99_ms", "wait_p999_ms", "wait_max_ms", "batches", "cuts",
 *	"coverage_percent", "grants", "leases", "revokes", "overruns", "debt_ms", "budget_left_ms",
 *	"guard_waits", "demotions", "demoted", "held", "quarantined", "attached", "trips",
 *	"quarantines", "ignored", "cpu_ms", "bound_ms" (0: none), "bound_violations", "admitted"}
 * of each VM "frame", release → present: {"count", "p50_ms", "p99_ms", "p999_ms", "max_ms",
 *	"mean_ms", "stddev_ms", "misses" (refreshes), "missed_frames", "longest_miss_run",
 *	"miss_causes": {"guest", "scheduler", "gpu", "compositor", "host"} (refreshes), "over_budget"
 *	(frames), "idle" (frames not timed: the guest began long after it could), "response_p50_ms",
 *	"response_p99_ms", "response_max_ms", "guest_p50_ms", "guest_p99_ms" (release → first
 *	batch), "wait_p99_ms", "wait_max_ms" (grant waits of a frame), "gpu_p50_ms", "gpu_p99_ms",
 *	"gpu_max_ms", "period_ms", "recent_ms": [up to 60 frame times, oldest first]}
 */

#endif
