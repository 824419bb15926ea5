#!/usr/bin/env bash
# run.sh [--words 'WORD…'] [--] COMMAND [ARG…]
#
# Runs COMMAND on a User-Mode Linux kernel (tools/uml) whose root is the development root, read-only, and returns its exit
# code: a host with /dev/udmabuf, dma-buf heaps and a vkms display, whatever this machine has. COMMAND starts in this
# folder, if it is shown there: the repository and the build folder (BINNACLE_BUILD) are. It gets this environment's
# BINNACLE*, E2E_* and BN_* variables. /tmp, /run and /dev are the kernel's own. Nothing is installed, and no privilege is needed.
#
# Without the kernel it is skipped (77), unless BINNACLE_MAKE_GUESTS is set: then it is built first.
#
#   UML_HOST_MEMORY   MiB for the kernel   (default 1536)
#   UML_HOST_SECONDS  ended after so long  (default 200)
#   UML_HOST_WORDS    more words for its command line, as --words
#   UML_HOST_OUT      a folder that COMMAND may write to
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(cd "$here/../.." && pwd -P)
[ -n "${BINNACLE_IN_DEVBOX:-}" ] || exec "$top/tools/devbox" "$here/run.sh" "$@"

if [ "${1:-}" = --words ]; then
	UML_HOST_WORDS="${UML_HOST_WORDS:-} $2"
	shift 2
fi
case "${1:-}" in
-h | --help | '') sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
--) shift ;;
esac
say() { printf 'uml-host: %s\n' "$*" >&2; }

if [ -z "${BINNACLE_MAKE_GUESTS:-}" ] && ! "$top/tools/uml" --check; then
	say "skipped: no user-mode kernel here (tools/uml builds it, or set BINNACLE_MAKE_GUESTS=1)"
	exit 77
fi
kernel=$("$top/tools/uml" --path)

run=$(mktemp -d "${TMPDIR:-/tmp}/binnacle-uml-host.XXXXXX")
kernel_pid=
finish() {
	[ -z "$kernel_pid" ] || kill -KILL "$kernel_pid" 2>/dev/null || true
	rm -rf "$run"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP

# What the kernel's first process does, with this side's paths and variables. Folders that its own /tmp hides are shown again.
{
	for name in $(compgen -e); do
		case "$name" in
		BINNACLE* | E2E_* | BN_* | LANG | LC_ALL | PATH | UBSAN_OPTIONS | ASAN_OPTIONS)
			printf 'export %s=%q\n' "$name" "${!name}" ;;
		esac
	done
	printf 'shown=(%q %q) writable=%q\n' "$top" "${BINNACLE_BUILD:-$top}" "${UML_HOST_OUT:-}"
	printf 'run=%q folder=%q\ncommand=(' "$run" "$PWD"
	printf '%q ' "$@"
	echo ')'
} >"$run/job"

# One processor and the seccomp mode: both make its system calls several times faster.
cpu=$(taskset -pc $$ | sed 's/.*[ ,-]//')
seconds=${UML_HOST_SECONDS:-200}
# Each of them ends with the one that started it.
setpriv --pdeathsig KILL timeout -s KILL "$seconds" setpriv --pdeathsig KILL taskset -c "$cpu" \
	"$kernel" "mem=${UML_HOST_MEMORY:-1536}M" rootfstype=hostfs rootflags=/ ro "init=$here/init" "uml_run=$run" umid=run "uml_dir=$run/" \
	seccomp=auto con=null ssl=null con0=null,fd:1 quiet loglevel=3 panic=-1 vkms.enable_overlay=1 ${UML_HOST_WORDS:-} </dev/null &
kernel_pid=$!
status=0
wait "$kernel_pid" || status=$?
kernel_pid=
[ "$status" != 137 ] || say "ended after $seconds s"
[ -e "$run/status" ] || { say "the kernel ended before the command did"; exit 1; }
exit "$(cat "$run/status")"
