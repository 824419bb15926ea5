# Shell functions that start, watch and stop the service and its guests: shared by tools/demo, tests/guests and bench.
# Sourced by bash scripts that run inside tools/devbox with `set -euo pipefail`. Everything started here is ended by its own pid.
#
#   top    the repository          build  the build folder            run_dir  where sockets and logs go

service_pid=
guest_pids=()

say() { printf '%s\n' "$*"; }
fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# build_programs TARGET…: configures once, then builds what changed of the service and these targets.
build_programs() {
	if [ ! -e "$build/build.ninja" ]; then
		meson setup "$build" "$top" >"$run_dir/meson.log" 2>&1 || {
			tail -n 20 "$run_dir/meson.log" >&2
			fail "configuring failed (whole log: $run_dir/meson.log)"
		}
	fi
	ninja -C "$build" backend-host/daemon/binnacled backend-host/renderer/binnacle-renderer backend-host/ctl/binnaclectl "$@" \
		>"$run_dir/ninja.log" 2>&1 || {
		tail -n 30 "$run_dir/ninja.log" >&2
		fail "building failed (whole log: $run_dir/ninja.log)"
	}
}

ctl() { "$build/backend-host/ctl/binnaclectl" --socket "$run_dir/control" "$@"; }

# service_start INI: starts binnacled and waits until its control socket answers.
service_start() {
	"$build/backend-host/daemon/binnacled" -c "$1" >"$run_dir/binnacled.log" 2>&1 &
	service_pid=$!
	local i
	for i in $(seq 200); do
		ctl status >/dev/null 2>&1 && return
		kill -0 "$service_pid" 2>/dev/null || {
			cat "$run_dir/binnacled.log" >&2
			fail "binnacled ended"
		}
		sleep 0.05
	done
	cat "$run_dir/binnacled.log" >&2
	fail "binnacled does not answer on $run_dir/control"
}

# stop_pid PID: TERM, then KILL after five seconds. Returns the process's exit status.
stop_pid() {
	kill -TERM "$1" 2>/dev/null || true
	local i
	for i in $(seq 100); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null || true
	local status=0
	wait "$1" 2>/dev/null || status=$?
	return "$status"
}

# service_stop: returns binnacled's exit status.
service_stop() {
	[ -n "$service_pid" ] || return 0
	local pid=$service_pid
	service_pid=
	stop_pid "$pid"
}

guests_stop() {
	local pid
	for pid in ${guest_pids[@]+"${guest_pids[@]}"}; do
		stop_pid "$pid" || true
	done
	guest_pids=()
}

stop_all() {
	guests_stop
	service_stop || true
}

# vm_field NAME FIELD: one field of a VM's status.
vm_field() { ctl status --json 2>/dev/null | jq -r --arg n "$1" ".vms[] | select(.name == \$n) | .$2"; }

# wait_frames NAME COUNT SECONDS: until the VM has had COUNT frames presented, or fails.
wait_frames() {
	local i n
	for i in $(seq $(($3 * 4))); do
		n=$(vm_field "$1" frames_presented)
		[ "${n:-0}" -ge "$2" ] 2>/dev/null && return 0
		sleep 0.25
	done
	return 1
}

# guest_errors FILE: virtio-gpu errors in a guest's console log, if any.
guest_errors() {
	grep -aE 'virtio_gpu.*(ERROR|error|timed out|response 0x12)|BINNACLE-GUEST: dmesg:|Kernel panic|Oops' "$1" || true
}
