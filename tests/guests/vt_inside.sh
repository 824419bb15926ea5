# In the machine of vt_switch.sh. Each mark on the console is a moment at which its display is looked at; the second serial port says
# when that is done.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
echo "$here" >/etc/ld.so.conf.d/binnacle.conf
ldconfig
exec 5<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo 2>/dev/null

fail() {
	tail -n 20 /run/binnacled.log
	echo "VT: failed: $*"
	exit 1
}
ctl() { "$here/binnaclectl" --socket /run/control "$@"; }
# output_field NAME: of the one output.
output_field() { ctl outputs --json | tr ',{}' '\n\n\n' | sed -n "s/^ *\"$1\": *//p" | head -n 1; }
# until NAME VALUE: of the output.
until_is() {
	local i
	for i in $(seq 300); do
		[ "$(output_field "$1")" != "$2" ] || return 0
		sleep 0.1
	done
	fail "$1 is $(output_field "$1"), not $2"
}
# The guest's picture comes to be shown: or it would be, were there a display.
frames_go_on() {
	local i from
	from=$(output_field frames)
	for i in $(seq 300); do
		[ "$(output_field frames)" -lt $((from + 5)) ] || return 0
		sleep 0.1
	done
	fail "frames stand still at $from"
}
mark() {
	local answer
	frames_go_on
	echo "VT: $1"
	read -r answer <&5
}
to() { busybox chvt "$1" || fail "terminal $1 does not come"; }

start() {
	"$here/binnacled" -c /run/binnacle.ini --renderer "$here/binnacle-renderer" >/run/binnacled.log 2>&1 &
	service=$!
	local i
	for i in $(seq 300); do
		! ctl status >/dev/null 2>&1 || break
		kill -0 "$service" 2>/dev/null || fail "binnacled ended"
		sleep 0.1
	done
	"$here/moving" /run/b.sock --size 640x480 --seconds 3000 >/dev/null 2>/run/moving.log &
	guest=$!
	until_is active true
}
stop() {
	kill "$guest" "$service"
	wait "$service" || fail "binnacled ended with $?"
}

modprobe bochs 2>/dev/null
for _ in $(seq 100); do [ ! -e /dev/dri/card0 ] || break; sleep 0.1; done
[ -e /dev/dri/card0 ] || fail "no card"
cat >/run/binnacle.ini <<-INI
	[core]
	runtime-dir=/run
	control-socket=/run/control
	[output display]
	backend=kms
	mode=640x480@60
	[vm b]
	scanout.0=display
	gl=no
INI
printf '\033[2J\033[Hterminal two\n' >/dev/tty2

seatd -l error >/run/seatd.log 2>&1 &
seatd=$!
for _ in $(seq 100); do [ ! -S /run/seatd.sock ] || break; sleep 0.1; done
start
for round in 1 2; do
	mark "seat-$round"
	to 2
	until_is active false
	[ "$(output_field connected)" = true ] || fail "the display is called unplugged"
	mark "seat-$round-away"
	to 1
	until_is active true
done
# The driver tells of flips at once: no more of them than refreshes of the mode, however fast the guest is.
began=${EPOCHREALTIME/./} from=$(output_field flips)
sleep 3
flips=$(($(output_field flips) - from)) ms=$(((${EPOCHREALTIME/./} - began) / 1000))
echo "VT: flips: $flips in $ms ms"
[ "$flips" -le $((ms * 60 / 1000 + 2)) ] || fail "$flips flips in $ms ms of a display with 60 Hz"
mark seat-back
stop
kill "$seatd"
wait "$seatd" 2>/dev/null
rm -f /run/seatd.sock

# Whoever has the card has the display, whatever terminal is in front.
start
mark alone
to 2
mark alone-away
[ "$(output_field active)" = true ] || fail "without a seat a terminal takes the display away"
to 1
stop
echo "VT: done"
