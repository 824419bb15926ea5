# Peers of a benchmark: each is a way to give one guest a GPU. Sourced by bench/run.
#
#   peer_boot PEER COMMAND SECONDS   boots the guest image with that peer, runs COMMAND in it, prints its console
#   peer_host PEER COMMAND SECONDS   the same command on this machine (native, virgl_test_server)
#
# Every guest has the same kernel, image, memory, CPUs and display size; only the GPU device and its back end differ.

contrib=/usr/lib/qemu/vhost-user-gpu
# Not 800x600: glmark2-es2-drm takes its own default size for a window that is there already, and stops.
bench_mode=960x540
# QEMU offers modes up to 5120x2160 and glmark2-es2-drm takes the largest, also for --off-screen: give every guest the same one.
one_mode=drm.edid_firmware=edid/$bench_mode.bin
peer_pids=()

peer_stop() {
	local pid
	for pid in ${peer_pids[@]+"${peer_pids[@]}"}; do
		stop_pid "$pid" || true
	done
	peer_pids=()
	guests_stop
	service_stop || true
}

# wait_socket PATH
wait_socket() {
	local i
	for i in $(seq 200); do
		[ -S "$1" ] && return
		sleep 0.05
	done
	fail "$1 did not appear"
}

# start_x DISPLAY: an X server without a monitor, for programs that need one.
start_x() {
	Xvfb ":$1" -screen 0 1280x1024x24 -nolisten tcp >"$run_dir/xvfb.log" 2>&1 &
	peer_pids+=($!)
	wait_socket "/tmp/.X11-unix/X$1"
}

# binnacle_start PACING: binnacled with one VM on one headless output.
binnacle_start() {
	cat >"$run_dir/binnacle.ini" <<INI
[core]
runtime-dir=$run_dir
control-socket=$run_dir/control
log=warn
[output display]
backend=headless
mode=$bench_mode@60
pacing=$1
[vm guest]
scanout.0=display
INI
	service_start "$run_dir/binnacle.ini"
}

# run_guest SECONDS ARGS…: tools/vm with these arguments until the guest powers off; prints its console.
run_guest() {
	local limit=$1 pid i
	shift
	"$top/tools/vm" guest --serial "$run_dir/console" "$@" >"$run_dir/vm.log" 2>&1 &
	pid=$!
	guest_pids+=("$pid")
	for i in $(seq "$limit"); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 1
	done
	[ "$i" -lt "$limit" ] || say "  (stopped after $limit s)" >&2
	guests_stop
	tr -d '\r' <"$run_dir/console"
}

peer_boot() {
	local peer=$1 command=$2 limit=$3
	rm -f "$run_dir/console"
	case $peer in
	binnacle-gpu | binnacle-device | binnacle-uml)
		binnacle_start free
		local kind=(--guest qemu --front "${peer#binnacle-}")
		[ "$peer" != binnacle-uml ] || kind=(--guest uml)
		run_guest "$limit" "${kind[@]}" --socket "$run_dir/guest.sock" --poweroff --run "$command"
		;;
	contrib)
		LD_PRELOAD=$build/bench/libcontrib_shim.so "$contrib" --virgl --socket-path "$run_dir/contrib.sock" >"$run_dir/contrib.log" 2>&1 &
		peer_pids+=($!)
		wait_socket "$run_dir/contrib.sock"
		run_guest "$limit" --guest qemu --front gpu --socket "$run_dir/contrib.sock" --append "$one_mode" --poweroff --run "$command" -- \
			-global vhost-user-gpu.xres="${bench_mode%x*}" -global vhost-user-gpu.yres="${bench_mode#*x}"
		;;
	qemu-gl)
		start_x 97
		DISPLAY=:97 SDL_VIDEODRIVER=x11 run_guest "$limit" --guest qemu --front none --append "$one_mode" --poweroff --run "$command" -- \
			-device "virtio-gpu-gl-pci,xres=${bench_mode%x*},yres=${bench_mode#*x}" -display sdl,gl=on
		;;
	*) fail "unknown peer '$peer'" ;;
	esac
	peer_stop
}

peer_host() {
	local peer=$1 command=$2 limit=$3
	start_x 98
	case $peer in
	native) DISPLAY=:98 timeout "$limit" sh -c "$command" 2>&1 ;;
	vtest)
		virgl_test_server --use-egl-surfaceless --multi-clients --socket-path="$run_dir/vtest.sock" >"$run_dir/vtest.log" 2>&1 &
		peer_pids+=($!)
		wait_socket "$run_dir/vtest.sock"
		DISPLAY=:98 GALLIUM_DRIVER=virpipe LIBGL_ALWAYS_SOFTWARE=1 VTEST_SOCKET_NAME=$run_dir/vtest.sock timeout "$limit" sh -c "$command" 2>&1
		;;
	*) fail "unknown peer '$peer'" ;;
	esac
	peer_stop
}
