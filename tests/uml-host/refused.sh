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
expect '*frames are copied once: *Permission denied*' "$(cat "$dir/log")"
rm /dev/udmabuf
expect 'false *needs /dev/udmabuf: No such file*CONFIG_UDMABUF*' "$(reason "$dir/log")"
rm -r "$dir"
