# What the benches of the scheduler have in common. Sourced by bench/run.
#
# Two processors are used: renderers (they are the GPU: its rasteriser runs in them) stay on one, everything else on the other, so that
# the GPU's time is that processor's time and nothing but the scheduler decides who gets it.

cpu_count=$(nproc)
gpu_cpu=$((cpu_count - 1))
host_cpu=0
[ "$cpu_count" -ge 2 ] || fail "two processors are needed: one for the renderers, one for the rest"

# Rank of the cluster's guest on the host's processor: behind the service, whose threads take theirs (backend-host/daemon/cpu.h).
rank_guest=10
can_realtime=
if chrt -f 1 true 2>/dev/null; then can_realtime=1; fi

# What else runs on this machine is not to be measured: guests and renderers, all alike, go before it.
first=
if nice -n -20 true 2>/dev/null; then first="nice -n -20"; fi
# Where the kernel shares processors between sessions, the session counts.
session_nice=$(cut -d' ' -f3 /proc/self/autogroup 2>/dev/null || true)
if [ -n "$session_nice" ] && [ -n "$first" ]; then
	trap 'echo "$session_nice" >/proc/self/autogroup; cleanup' EXIT
	echo -20 >/proc/self/autogroup
fi
go_first() { # go_first PID…
	local pid
	[ -n "$first" ] || return 0
	for pid; do
		renice -n -20 -p $(ls "/proc/$pid/task") >/dev/null 2>&1 || true
		[ -z "$session_nice" ] || echo -20 >"/proc/$pid/autogroup" || true # a renderer is a session
	done
}

# service_up INI: binnacled on the host's processor, its renderers ready.
service_up() {
	local i
	service_start "$1"
	taskset -a -p -c "$host_cpu" "$service_pid" >/dev/null
	for i in $(seq 100); do
		[ "$(ctl status --json | jq '[.vms[] | select(.renderer_ready | not)] | length')" != 0 ] || break
		sleep 0.1
	done
	go_first $(renderer_pids)
}

# descendants PID: it and all processes below it.
descendants() {
	local pid
	echo "$1"
	for pid in $(cat /proc/"$1"/task/*/children 2>/dev/null); do descendants "$pid"; done
}

# prefer PID: a guest's virtual processor goes before all others of its processor, as a hypervisor schedules a safety VM's.
prefer() {
	local pid
	[ -n "$can_realtime" ] || return 0
	for pid in $(descendants "$1"); do chrt -a -f -p $rank_guest "$pid" 2>/dev/null || true; done
}

# renderer_pids: of all VMs, in the order of the configuration.
renderer_pids() { ctl status --json | jq -r '.vms[].renderer_pid'; }

# light_ini POLICY "NAME KEY=VALUE…"…: a configuration of VMs without guests' kernels.
light_ini() {
	local vm key
	printf '[core]\nruntime-dir=%s\ncontrol-socket=%s/control\nlog=error\npolicy=%s\nrealtime=auto\ngpu-cpus=%s\n' "$run_dir" "$run_dir" "$1" "$gpu_cpu"
	shift
	for vm; do
		printf '[vm %s]\n' "${vm%% *}"
		for key in ${vm#"${vm%% *}"}; do printf '%s\n' "$key"; done
	done
}

# What a VM draws here by default: frames of about 4 ms in eight draw calls.
light_load="--size 128 --draws 8 --rounds 80"

# light VM SECONDS ARGS…: one such guest, in the foreground; prints its result.
light() {
	local vm=$1 for=$2
	shift 2
	$first taskset -c "$host_cpu" "$build/bench/light" "$run_dir/$vm.sock" --seconds "$for" "$@"
}

# light_start VM SECONDS ARGS…: the same in the background, its result in $run_dir/VM.light; guests_stop ends it early.
light_start() {
	local vm=$1 for=$2
	shift 2
	$first taskset -c "$host_cpu" "$build/bench/light" "$run_dir/$vm.sock" --seconds "$for" "$@" >"$run_dir/$vm.light" 2>"$run_dir/$vm.err" &
	guest_pids+=($!)
}

# lights_wait: until all have ended by themselves.
lights_wait() {
	local pid
	for pid in ${guest_pids[@]+"${guest_pids[@]}"}; do wait "$pid" || say "  a guest failed: $(cat "$run_dir"/*.err)" >&2; done
	guest_pids=()
}

# gpu_idle_ns: time for which nobody at all wanted the processor that draws.
gpu_idle_ns() { awk -v cpu="cpu$gpu_cpu" -v hz="$(getconf CLK_TCK)" '$1 == cpu { printf "%.0f\n", ($5 + $6) * 1e9 / hz }' /proc/stat; }

# daemon_cpu_ns: processor time of the service itself, all threads.
daemon_cpu_ns() { "$build/bench/sampler" 0.001 1000 "$service_pid" | awk 'NR == 1 { print $2 }'; }

# median: of numbers on stdin.
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; else print 0 }'; }
