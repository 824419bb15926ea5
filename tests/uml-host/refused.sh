#!/usr/bin/env bash
# refused.sh: a /dev/udmabuf that only root may open. Frames are copied then, and probe and log say why. For tests/uml-host/run.sh.
set -euo pipefail
reason() { "$BINNACLED" --probe --json 2>"$1" | jq -r '.features[] | select(.name == "frames as dma-bufs") | "\(.offered) \(.reason)"'; }
expect() { # expect PATTERN TEXT
	case "$2" in $1) ;; *) echo "expected '$1', not: $2"; exit 1 ;; esac
}
[ "$(stat -c %t:%T /dev/udmabuf)" != 0:0 ] && [ "$(id -u)" = 0 ] || { echo "not on this machine"; exit 77; }
expect 'true 1 plane*' "$(reason /dev/null)"
chown root /dev/udmabuf
chmod 0600 /dev/udmabuf
dir=$(mktemp -d)
expect 'false *needs /dev/udmabuf: Permission denied: the user that renderers run as*' "$(reason "$dir/log")"
# The service's own renderer says it, too.
printf '[core]\nruntime-dir=%s\n[output o]\nbackend=headless\nmode=640x480@60\n[vm v]\nscanout.0=o\n' "$dir" >"$dir/ini"
"$BINNACLED" -c "$dir/ini" 2>"$dir/log" &
for _ in $(seq 200); do
	if grep -q 'renderer ready' "$dir/log"; then break; fi
	sleep 0.05
done
kill $!
wait $! || true
expect '*frames are copied once: *Permission denied*' "$(cat "$dir/log")"
rm /dev/udmabuf
expect 'false *needs /dev/udmabuf: No such file*CONFIG_UDMABUF*' "$(reason "$dir/log")"
rm -r "$dir"
