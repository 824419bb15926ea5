#!/usr/bin/env bash
# kms_seat.sh TEST [ARG…]: runs it in a session of a seat manager of its own.
set -euo pipefail
seatd=$(command -v seatd || echo /usr/sbin/seatd)
[ -x "$seatd" ] || { echo "no seatd here" >&2; exit 77; }
SEATD_VTBOUND=0 "$seatd" -l error &
trap 'kill $!' EXIT
for ((i = 0; i < 500; i++)); do
	[ ! -S /run/seatd.sock ] || break
	sleep 0.01
done
LIBSEAT_BACKEND=seatd "$@"
